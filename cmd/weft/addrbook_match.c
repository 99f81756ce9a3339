/* Which entries a word means that an operator typed: a URL by its address, a path, or the beginning
 * of a node id. */
#include <ctype.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/words.h"
#include "addrbook.h"

#define ID_DIGITS_MIN 4 /* fewer are rather a path */
#define NAMED_MAX 8     /* entries in a message */

/* Path of a URL: what stands behind its last slash, up to a '?'. */
static const char *path_of(const char *url, size_t *ret_size)
{
    size_t size = strcspn(url, "?");
    size_t at = size;
    while (at > 0 && url[at - 1] != '/')
        at--;
    *ret_size = size - at;
    return url + at;
}

static bool has_path(const char *url, const char *path)
{
    size_t size;
    const char *own = path_of(url, &size);
    return size && size == strlen(path) && memcmp(own, path, size) == 0;
}

static bool is_id_start(const char *word)
{
    size_t n = strlen(word);
    return n >= ID_DIGITS_MIN && n < NODE_ID_TEXT && strspn(word, "0123456789abcdefABCDEF") == n;
}

static bool has_id(const weft_addrbook_entry *e, const char *start)
{
    char text[NODE_ID_TEXT];
    return strncasecmp(node_id_format(e->node_id, text), start, strlen(start)) == 0;
}

static void add(struct matches *m, const weft_addrbook_entry *e)
{
    m->items = xresize(m->items, (m->count + 1) * sizeof(m->items[0]));
    m->items[m->count++] = e;
}

struct matches match(const weft_addrbook *book, const char *word)
{
    struct matches m = {0};
    if (is_url(word)) {
        const weft_addrbook_entry *e = weft_addrbook_find(book, word);
        if (e)
            add(&m, e);
        return m;
    }
    for (size_t i = 0; i < book->count; i++)
        if (has_path(book->entries[i].peer, word))
            add(&m, &book->entries[i]);
    if (m.count > 0 || !is_id_start(word))
        return m;
    for (size_t i = 0; i < book->count; i++)
        if (has_id(&book->entries[i], word))
            add(&m, &book->entries[i]);
    return m;
}

void matches_fini(struct matches *m)
{
    xfree(m->items);
    *m = (struct matches){0};
}

bool same_node(const weft_addrbook_entry *a, const weft_addrbook_entry *b)
{
    char text[NODE_ID_TEXT];
    return *node_id_format(a->node_id, text) && memcmp(a->node_id, b->node_id, 16) == 0;
}

/* ---- What is told ------------------------------------------------------------------------------
 */

/* An entry with the same path, or one that is like it. */
static const weft_addrbook_entry *nearest(const weft_addrbook *book, const char *word)
{
    size_t size;
    const char *path = path_of(word, &size);
    char *wanted = xcopy(path, size);
    char **paths = xresize(NULL, (book->count + 1) * sizeof(*paths));
    const weft_addrbook_entry *found = NULL;
    for (size_t i = 0; i < book->count; i++) {
        const char *own = path_of(book->entries[i].peer, &size);
        paths[i] = xcopy(own, size);
    }
    const char *near =
        *wanted ? suggest(wanted, (const char *const *)paths, book->count, sizeof(*paths)) : NULL;
    for (size_t i = 0; i < book->count; i++) {
        if (near == paths[i])
            found = &book->entries[i];
        xfree(paths[i]);
    }
    xfree(paths);
    xfree(wanted);
    return near ? found : NULL;
}

int no_match(const weft_addrbook *book, const char *word)
{
    const weft_addrbook_entry *near = nearest(book, word);
    char *peer = near ? text_safe_copy(near->peer) : NULL;
    if (peer)
        failure("%s: no such entry in the address book; did you mean %s?", word, peer);
    else if (book->count == 0)
        failure("%s: no such entry; the address book is empty", word);
    else
        failure("%s: no such entry in the address book, which has %zu; 'weft addrbook dump' shows "
                "them",
                word, book->count);
    xfree(peer);
    return EXIT_FAILED;
}

static int ambiguous(const char *word, const struct matches *m)
{
    failure("%s: that is several peers; give the URL of one:", word);
    for (size_t i = 0; i < m->count && i < NAMED_MAX; i++) {
        fputs("  ", stderr);
        text_safe(stderr, m->items[i]->peer, strlen(m->items[i]->peer));
        fputc('\n', stderr);
    }
    if (m->count > NAMED_MAX)
        fprintf(stderr, "  and %zu more\n", m->count - NAMED_MAX);
    return EXIT_FAILED;
}

int match_peer(const weft_addrbook *book, const char *word, struct matches *ret_matches)
{
    struct matches m = match(book, word);
    if (m.count == 0)
        return no_match(book, word);
    for (size_t i = 1; i < m.count; i++) {
        if (!same_node(m.items[0], m.items[i])) {
            int code = ambiguous(word, &m);
            matches_fini(&m);
            return code;
        }
    }
    *ret_matches = m;
    return EXIT_OK;
}
