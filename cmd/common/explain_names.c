/* Which URLs name the same node. All that the reports tell of ids is gathered once and sorted,
 * since every pair of declarations asks. */
#include <stdlib.h>
#include <string.h>

#include "explain_private.h"
#include "memory.h"

bool url_dialable(const char *url)
{
    return !strstr(url, "://0.0.0.0:0/");
}

const char *explain_home(const struct explain_party *party)
{
    return url_dialable(party->home) ? party->home : NULL;
}

/* ---- Names told apart --------------------------------------------------------------------------
 */

size_t explain_name_len(const char *url)
{
    static const char mark[] = "?link=";
    const char *at = NULL;
    for (const char *next = strstr(url, mark); next; next = strstr(next + 1, mark))
        at = next;
    const char *number = at ? at + strlen(mark) : NULL;
    if (!number || !*number || number[strspn(number, "0123456789")] != '\0')
        return strlen(url);
    return (size_t)(at - url);
}

bool explain_same_name(const char *a, const char *b)
{
    size_t len = explain_name_len(a);
    return len == explain_name_len(b) && memcmp(a, b, len) == 0;
}

/* ---- Ids ---------------------------------------------------------------------------------------
 */

static int by_url(const void *a, const void *b)
{
    return strcmp(((const struct explain_name *)a)->url, ((const struct explain_name *)b)->url);
}

/* Names without an id, and those that any number of nodes have, tell nothing. */
static void add_name(struct work *w, const char *url, const uint8_t *id)
{
    static const uint8_t none[16];
    if (url_dialable(url) && memcmp(id, none, sizeof(none)) != 0)
        w->names[w->n_names++] = (struct explain_name){url, id};
}

void explain_names_init(struct work *w)
{
    size_t most = 0;
    for (size_t i = 0; i < w->n; i++)
        most += w->views[i].report ? w->views[i].report->n_peers + 1 : 0;
    w->names = xresize(NULL, most * sizeof(*w->names));
    w->n_names = 0;
    for (size_t i = 0; i < w->n; i++) {
        const weft_report *r = w->views[i].report;
        if (r && r->status)
            add_name(w, r->status->url, r->status->node_id);
        for (size_t k = 0; r && k < r->n_peers; k++)
            add_name(w, r->peers[k].url, r->peers[k].node_id);
    }
    qsort(w->names, w->n_names, sizeof(*w->names), by_url);
}

void explain_names_fini(struct work *w)
{
    xfree(w->names);
}

static const uint8_t *id_of(const struct work *w, const char *url)
{
    const struct explain_name key = {url, NULL};
    const struct explain_name *found = bsearch(&key, w->names, w->n_names, sizeof(key), by_url);
    return found ? found->id : NULL;
}

bool explain_same_node(const struct work *w, const char *a, const char *b)
{
    if (strcmp(a, b) == 0)
        return true;
    const uint8_t *x = id_of(w, a), *y = x ? id_of(w, b) : NULL;
    return y && memcmp(x, y, 16) == 0;
}

size_t explain_view_of(const struct work *w, const char *url)
{
    for (size_t i = 0; i < w->n; i++) {
        const weft_report *r = w->views[i].report;
        if (r && r->status && explain_same_node(w, r->status->url, url))
            return i;
    }
    return NO_VIEW;
}
