/* weft explain: why messages of a route flow, or do not. Asks the node at the URL and all that it
 * is linked to, and lets cmd/common/explain.c find out. */
#include <stdio.h>
#include <string.h>

#include "../common/explain.h"
#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/table.h"
#include "../common/units.h"
#include "crawl.h"

enum { OPTION_ALONE = OPTION_INSPECT };

static const struct option options[] = {
    INSPECT_LONG, {"alone", no_argument, NULL, OPTION_ALONE}, {NULL, 0, NULL, 0}};

/* As far as is known it flows, but a node that has to do with it did not answer. */
#define EXIT_UNCERTAIN 3

struct task {
    struct inspector in;
    const char *route;
    bool alone;
};

static int parse(int argc, char **argv, struct task *t, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        if (inspect_option(option, &explain_command, &t->in, &code) < 0) {
            *ret_done = true;
            return code;
        }
        t->alone |= option == OPTION_ALONE;
    }
    if (argc - optind != 2)
        return usage_error(&explain_command, "expected a route and a URL, such as "
                                             "types.Pose@robot.arm unix:///run/weft/weftd.sock/");
    t->route = argv[optind];
    if (weft_route_check(t->route, NULL) < 0)
        return no_route(&explain_command, t->route);
    return inspect_url(argv[optind + 1], &explain_command, &t->in);
}

/* ---- Output ------------------------------------------------------------------------------------
 */

static void print_party(const struct explain_party *p)
{
    char messages[UNITS_TEXT];
    fputs("  ", stdout);
    print_safe(p->peer);
    if (p->count > 1)
        printf(" (%u of that name)", p->count);
    if (strcmp(p->peer, p->home) != 0) {
        fputs(" at ", stdout);
        print_safe(p->home);
    }
    fputs(": ", stdout);
    print_safe(p->route);
    if (p->messages)
        printf(", %s message%s", amount_format((double)p->messages, messages),
               p->messages == 1 ? "" : "s");
    putchar('\n');
}

static void print_parties(const struct explanation *e, bool intent, const char *title)
{
    bool any = false;
    printf("%s\n", title);
    for (size_t i = 0; i < e->n_parties; i++) {
        if (e->parties[i].intent != intent)
            continue;
        print_party(&e->parties[i]);
        any = true;
    }
    if (!any)
        puts("  nobody");
}

static void print_finding(const struct explain_finding *f)
{
    bool good = f->reason == EXPLAIN_MATCHES, color = color_wanted();
    const char *name = *f->from ? f->from : f->to;
    fputs(color ? good ? "  \033[32m" : "  \033[31m" : "  ", stdout);
    if ((!*f->from || !*f->to) && strstr(f->text, name)) { /* it names it itself */
        print_safe(f->text);
        puts(color ? "\033[0m" : "");
        return;
    }
    print_safe(name);
    if (*f->from && *f->to) {
        fputs(good ? " -> " : " -/-> ", stdout);
        print_safe(f->to);
    }
    fputs(color ? "\033[0m: " : ": ", stdout);
    print_safe(f->text);
    putchar('\n');
}

static void print_findings(const struct explain_finding *findings, size_t n, const char *title)
{
    if (n)
        printf("%s\n", title);
    for (size_t i = 0; i < n; i++)
        print_finding(&findings[i]);
}

static int print_text(const struct explanation *e, const struct crawl *c)
{
    bool silent = c->left_out > 0;
    for (size_t i = 0; i < c->count; i++)
        silent |= !c->nodes[i].tells;
    print_parties(e, true, "publishers");
    print_parties(e, false, "subscribers");
    print_findings(e->pairs, e->n_pairs, "from one to the other");
    print_findings(e->others, e->n_others, "near misses, and who could have to do with it");
    if (silent && c->count > 1) {
        puts("nodes that do not tell");
        crawl_print_silent(c);
    }
    print_safe(e->verdict);
    putchar('\n');
    return output_done();
}

static int print_all_json(const struct task *t, const struct explanation *e, const struct crawl *c)
{
    json_t *o = explanation_json(t->route, e);
    if (o && json_object_set_new(o, "untold", crawl_silent_json(c)) != 0) {
        json_decref(o);
        o = NULL;
    }
    return print_json(o, false);
}

/* ---- Finding out -------------------------------------------------------------------------------
 */

/* Nobody on one side: the first node tells all its routes, of which one may have been meant. That
 * it may be unwilling to tell so much is no failure. */
static void explain_more(const struct task *t, const struct crawl *c, struct explain_view *views,
                         struct explanation *e)
{
    struct answer all;
    weft_report first = *views[0].report;
    weft_query query;
    weft_query_init(&query);
    query.parts = WEFT_PART_ROUTES;
    if (!crawl_ask_more(&t->in, &query, c, &all))
        return;
    first.routes = all.shown.routes;
    first.n_routes = all.shown.n_routes;
    views[0].report = &first;
    explanation_fini(e);
    explain(t->route, views, c->count, e);
    views[0].report = NULL;
    answer_fini(&all);
}

static int explain_crawled(const struct task *t, const struct crawl *c)
{
    struct explain_view views[CRAWL_MAX];
    struct explanation e;
    for (size_t i = 0; i < c->count; i++) {
        const struct crawled *node = &c->nodes[i];
        views[i] = (struct explain_view){node->url, node->tells ? &node->answer.shown : NULL,
                                         node->unreached};
    }
    explain(t->route, views, c->count, &e);
    if (explanation_one_sided(&e))
        explain_more(t, c, views, &e);
    int code = t->in.json ? print_all_json(t, &e, c) : print_text(&e, c);
    if (code == EXIT_OK)
        code = !e.flows ? EXIT_FAILED : e.certain ? EXIT_OK : EXIT_UNCERTAIN;
    explanation_fini(&e);
    return code;
}

static int explain_route(struct task *t)
{
    struct crawl *c = xresize(NULL, sizeof(*c));
    weft_query query;
    weft_query_init(&query);
    query.parts = WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES | WEFT_PART_INCIDENTS;
    query.route = t->route;
    int code = crawl(&t->in, &query, t->alone ? CRAWL_ALONE : CRAWL_KNOWN, c);
    if (code == EXIT_OK)
        code = explain_crawled(t, c);
    crawl_fini(c);
    xfree(c);
    return code;
}

static int run(int argc, char **argv)
{
    struct task t = {.in = {INSPECTOR_DEFAULTS}};
    bool done = false;
    int code = parse(argc, argv, &t, &done);
    if (code == EXIT_OK && !done)
        code = explain_route(&t);
    link_fini(&t.in.link);
    return code;
}

const struct command explain_command = {
    .name = "explain",
    .run = run,
    .summary = "why messages of a route flow, or do not",
    .help = "usage: weft explain ROUTE URL [--alone] [--json] [options]\n"
            "\n"
            "Asks the node at URL, and its peers, linked or not, who publishes ROUTE and who\n"
            "wants it, and says of each publisher and subscriber whether they meet, and if\n"
            "not, why: not linked and when it is dialled next, banned, another network,\n"
            "refused, the schema differs, out of scope. Below stand the near misses: another\n"
            "type at that path, a hashed form of the route, another spelling. If nobody\n"
            "publishes it, the nodes that could are named. The last line is the verdict;\n"
            "'should flow' where a node that has to do with it did not answer.\n"
            "\n"
            "      --alone         ask the node at URL alone\n"
            "      --json          one JSON object: route, flows, certain, verdict, pairs,\n"
            "                      publishers, subscribers, others, untold\n" INSPECT_HELP "\n"
            "Exit codes: 0 somebody publishes it, somebody wants it, and all of these meet;\n"
            "1 not so, or no such node, or it does not tell; 2 wrong usage; 3 it should\n"
            "flow, but a node that publishes or wants it did not answer.\n",
};
