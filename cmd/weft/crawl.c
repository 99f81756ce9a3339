/* Happy path: the first node tells, with its peers; a leaf of its own is opened for each of those,
 * and all dial at once; then each is waited for in turn and asked.
 *
 * A node that cannot be reached or does not tell is kept with its reason: that is no failure, since
 * nodes tell their own hosts alone unless configured otherwise. Together they have the time that
 * one has, so that many dead ones cost no more than one. */
#include "crawl.h"

#include <stdio.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/explain.h"
#include "../common/memory.h"
#include "../common/report_json.h"

#define INFO (UINT64_C(1) << 6) /* the feature, docs/protocol.md section 3 */

static struct crawled *add(struct crawl *c, const char *url)
{
    if (c->count == CRAWL_MAX) {
        c->left_out++;
        return NULL;
    }
    struct crawled *node = &c->nodes[c->count++];
    *node = (struct crawled){.url = xcopy(url, strlen(url))};
    return node;
}

static int ask_first(struct inspector *in, const weft_query *query, struct crawl *c)
{
    struct crawled *first = add(c, in->url);
    int code = inspector_open(in);
    if (code != EXIT_OK)
        return code;
    code = inspector_report(in, query, &first->answer);
    first->tells = code == EXIT_OK;
    inspector_close(in);
    return code;
}

/* ---- The others --------------------------------------------------------------------------------
 */

/* Dial as a leaf of its own. NULL: it cannot even be begun, and a reason was printed. */
static struct inspector *begin(const struct inspector *like, const char *url)
{
    struct inspector *in = xresize(NULL, sizeof(*in));
    *in = (struct inspector){INSPECTOR_DEFAULTS};
    in->timeout_ms = like->timeout_ms;
    in->link.network = like->link.network;
    in->url = url;
    names_add(&in->link.peers, url);
    if (inspector_begin(in) == EXIT_OK)
        return in;
    link_fini(&in->link);
    xfree(in);
    return NULL;
}

/* False: a signal has come. */
static bool ask(struct inspector *in, uint64_t deadline, const weft_query *query,
                struct crawled *node)
{
    int rc = inspector_link(in, deadline, &node->why);
    node->unreached = rc != 0;
    if (rc != 0)
        return *node->why != '\0';
    rc = inspector_ask(in, query, &node->answer, &node->why);
    node->tells = rc == 0;
    node->unreached = rc == WEFT_ETIMEDOUT || rc == WEFT_ELOST;
    return rc != INTERRUPTED;
}

static void end(struct inspector *in)
{
    inspector_close(in);
    link_fini(&in->link);
    xfree(in);
}

/* False: a signal has come. */
static bool ask_all(const struct inspector *like, const weft_query *query, struct crawl *c)
{
    struct inspector *others[CRAWL_MAX] = {0};
    bool going = true;
    for (size_t i = 1; i < c->count; i++)
        others[i] = c->nodes[i].why ? NULL : begin(like, c->nodes[i].url);
    uint64_t deadline = deadline_after(like->timeout_ms);
    for (size_t i = 1; i < c->count; i++) {
        if (!others[i])
            continue;
        going = going && ask(others[i], deadline, query, &c->nodes[i]);
        end(others[i]);
    }
    return going;
}

/* A linked peer without feature INFO has no answer, so it is left in peace: base peers bear little.
 */
static void add_peer(struct crawl *c, const weft_peer_info *p, bool linked)
{
    static const char why[] = "it answers no questions: an older weft, or a base (dndm) peer";
    struct crawled *node = url_dialable(p->url) ? add(c, p->url) : NULL;
    if (node && linked && (p->base || !(p->features & INFO)))
        node->why = xcopy(why, strlen(why));
}

static void add_peers(struct crawl *c, bool linked)
{
    const weft_report *r = &c->nodes[0].answer.shown;
    for (size_t i = 0; i < r->n_peers; i++)
        if ((strcmp(r->peers[i].state, "linked") == 0) == linked)
            add_peer(c, &r->peers[i], linked);
}

int crawl(struct inspector *in, const weft_query *query, enum crawl_reach reach,
          struct crawl *ret_crawl)
{
    struct crawl *c = ret_crawl;
    *c = (struct crawl){0};
    int code = ask_first(in, query, c);
    if (code != EXIT_OK || reach == CRAWL_ALONE)
        return code;
    add_peers(c, true);
    if (reach == CRAWL_KNOWN)
        add_peers(c, false);
    return ask_all(in, query, c) ? EXIT_OK : EXIT_FAILED;
}

bool crawl_ask_more(const struct inspector *like, const weft_query *query, const struct crawl *c,
                    struct answer *ret_answer)
{
    struct crawled first = {.url = c->nodes[0].url};
    struct inspector *in = begin(like, first.url);
    if (!in)
        return false;
    ask(in, deadline_after(like->timeout_ms), query, &first);
    end(in);
    xfree(first.why);
    if (first.tells)
        *ret_answer = first.answer;
    return first.tells;
}

void crawl_fini(struct crawl *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct crawled *node = &c->nodes[i];
        if (node->tells)
            answer_fini(&node->answer);
        xfree(node->url);
        xfree(node->why);
    }
    *c = (struct crawl){0};
}

/* ---- Who did not tell --------------------------------------------------------------------------
 */

void crawl_print_silent(const struct crawl *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->nodes[i].tells)
            continue;
        fputs("  ", stdout);
        print_safe(c->nodes[i].url);
        printf(": %s\n", c->nodes[i].why ? c->nodes[i].why : "not asked");
    }
    if (c->left_out)
        printf("  and %zu more, which were not asked\n", c->left_out);
}

json_t *crawl_silent_json(const struct crawl *c)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < c->count; i++) {
        const struct crawled *node = &c->nodes[i];
        if (node->tells)
            continue;
        json_t *o = json_pack("{s:o, s:s}", "url", text_json(node->url), "why",
                              node->why ? node->why : "not asked");
        if (json_array_append_new(list, o) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
