/* weft top: a node's peers and routes by rate, live on the terminal, or as lines of JSON.
 *
 * A report is asked for every --interval, while keys are heeded all the time. A node that goes away
 * leaves its last figures on the screen, with the reason below; the link is dialled again every
 * second or two, and when it stands, figures go on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/memory.h"
#include "../common/report_json.h"
#include "../common/suggest.h"
#include "../common/table.h"
#include "../common/units.h"
#include "inspect.h"
#include "top_screen.h"

enum { OPTION_COUNT = OPTION_INSPECT, OPTION_INTERVAL };

#define PAGE 10 /* rows that a page key goes */

static const struct option options[] = {INSPECT_LONG,
                                        {"count", required_argument, NULL, OPTION_COUNT},
                                        {"interval", required_argument, NULL, OPTION_INTERVAL},
                                        {NULL, 0, NULL, 0}};

struct top {
    struct inspector in;
    uint64_t count; /* of JSON lines; 0: no end */
    uint32_t interval_ms;
    struct answer before, now; /* the last two reports */
    bool has_before, has_now, asking;
    char *trouble;
    struct top_view view;
};

static int take_option(int option, struct top *t)
{
    if (option == OPTION_COUNT && !count_parse(optarg, 1, UINT32_MAX, &t->count))
        return usage_error(&top_command, "--count %s: expected a number from 1", optarg);
    if (option == OPTION_INTERVAL && (!parse_seconds(optarg, &t->interval_ms) ||
                                      t->interval_ms < 100 || t->interval_ms > 3600000))
        return usage_error(&top_command, "--interval %s: expected seconds or %s, 100ms to 1h",
                           optarg, DURATION_EXPECTED);
    return EXIT_OK;
}

static int parse(int argc, char **argv, struct top *t, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        int taken = inspect_option(option, &top_command, &t->in, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, t)) != EXIT_OK)
            return code;
    }
    if (argc - optind != 1)
        return usage_error(&top_command, "expected one URL, such as unix:///run/weft/weftd.sock/");
    if (t->count && !t->in.json)
        return usage_error(&top_command, "--count goes with --json");
    if (!t->in.json && !(isatty(STDOUT_FILENO) && isatty(STDIN_FILENO)))
        return usage_error(&top_command, "this is no terminal; --json gives lines for programs");
    return inspect_url(argv[optind], &top_command, &t->in);
}

/* ---- Reports -----------------------------------------------------------------------------------
 */

static weft_query whole_query(void)
{
    weft_query query;
    weft_query_init(&query);
    query.parts = WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES;
    return query;
}

static void forget(struct answer *answer, bool *has)
{
    if (*has)
        answer_fini(answer);
    *has = false;
}

/* The answer that has come becomes the newest. */
static void take(struct top *t)
{
    struct answer answer;
    char *text = NULL;
    t->asking = false;
    if (inspector_take(&t->in, &answer, &text) == 0) {
        forget(&t->before, &t->has_before);
        t->before = t->now;
        t->has_before = t->has_now;
        t->now = answer;
        t->has_now = true;
    }
    xfree(t->trouble);
    t->trouble = text;
}

static void ask(struct top *t)
{
    weft_query query = whole_query();
    char *text = NULL;
    if (t->asking)
        return;
    if (inspector_start(&t->in, &query, &text) == 0) {
        t->asking = true;
        return;
    }
    xfree(t->trouble);
    t->trouble = text;
}

/* A node that comes back is to be seen at once, not after a minute. */
static void dial_often(struct top *t)
{
    weft_dial_options o;
    weft_dial_options_init(&o);
    o.backoff_ms = 500;
    o.max_backoff_ms = 2000;
    weft_node_dial(t->in.session.node, t->in.url, &o);
}

/* ---- Lines of JSON -----------------------------------------------------------------------------
 */

static json_t *rate_json(double rate)
{
    return rate < 0 ? json_null() : json_real(rate);
}

static json_t *peers_json(const struct peer_rate *rates, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        json_t *o = peer_json(rates[i].info);
        if (json_object_set_new(o, "messages_in_hz", rate_json(rates[i].messages_in)) != 0 ||
            json_object_set_new(o, "messages_out_hz", rate_json(rates[i].messages_out)) != 0 ||
            json_object_set_new(o, "bytes_in_hz", rate_json(rates[i].bytes_in)) != 0 ||
            json_object_set_new(o, "bytes_out_hz", rate_json(rates[i].bytes_out)) != 0 ||
            json_array_append(list, o) != 0) {
            json_decref(list);
            list = NULL;
        }
        json_decref(o);
    }
    return list;
}

static json_t *routes_json(const struct route_rate *rates, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        json_t *o = route_json(rates[i].info);
        if (json_object_set_new(o, "rate_hz", rate_json(rates[i].hz)) != 0 ||
            json_array_append(list, o) != 0) {
            json_decref(list);
            list = NULL;
        }
        json_decref(o);
    }
    return list;
}

static int print_line(const weft_report *before, const weft_report *now)
{
    struct peer_rate *peers = peer_rates(before, now);
    struct route_rate *routes = route_rates(before, now);
    weft_report status = {.status = now->status};
    json_t *o = report_json(&status);
    if (o && (json_object_set_new(o, "interval_ns",
                                  json_integer((json_int_t)(report_seconds(before, now) * 1e9))) ||
              json_object_set_new(o, "peers", peers_json(peers, now->n_peers)) ||
              json_object_set_new(o, "routes", routes_json(routes, now->n_routes)))) {
        json_decref(o);
        o = NULL;
    }
    xfree(peers);
    xfree(routes);
    return print_json(o, true);
}

static int print_lines(struct top *t)
{
    weft_query query = whole_query();
    int code = inspector_report(&t->in, &query, &t->before);
    t->has_before = code == EXIT_OK;
    for (uint64_t printed = 0; code == EXIT_OK && (t->count == 0 || printed < t->count);
         printed++) {
        if (!inspector_pause(&t->in, t->interval_ms))
            return EXIT_OK;
        code = inspector_report(&t->in, &query, &t->now);
        if (code != EXIT_OK)
            return t->in.interrupted ? EXIT_OK : code;
        code = print_line(&t->before.shown, &t->now.shown);
        answer_fini(&t->before);
        t->before = t->now;
    }
    return code;
}

/* ---- The screen --------------------------------------------------------------------------------
 */

static void scroll(struct top_view *v, long rows)
{
    if (rows < 0 && v->first < (size_t)-rows)
        v->first = 0;
    else
        v->first += (size_t)rows; /* top_draw keeps it within the rows */
}

static void turn_to(struct top_view *v, enum top_page page)
{
    v->page = page;
    v->first = 0;
}

/* False: the user wants to leave. */
static bool heed_keys(struct top_view *v)
{
    for (;;) {
        switch (top_key()) {
        case TOP_NONE:
            return true;
        case TOP_QUIT:
            return false;
        case TOP_SHOW_PEERS:
            turn_to(v, TOP_PEERS);
            break;
        case TOP_SHOW_ROUTES:
            turn_to(v, TOP_ROUTES);
            break;
        case TOP_SORT:
            v->sort++;
            v->first = 0;
            break;
        case TOP_UP:
            scroll(v, -1);
            break;
        case TOP_DOWN:
            scroll(v, 1);
            break;
        case TOP_PAGE_UP:
            scroll(v, -PAGE);
            break;
        case TOP_PAGE_DOWN:
            scroll(v, PAGE);
            break;
        case TOP_HOME:
            v->first = 0;
            break;
        case TOP_OTHER:
            break;
        }
    }
}

static void redraw(struct top *t)
{
    t->view.before = t->has_before ? &t->before.shown : NULL;
    t->view.now = t->has_now ? &t->now.shown : NULL;
    t->view.trouble = t->trouble;
    top_draw(&t->view);
}

static int show(struct top *t)
{
    static const int keys[] = {STDIN_FILENO};
    uint64_t next = now_ns();
    dial_often(t);
    while (heed_keys(&t->view)) {
        if (inspector_answered(&t->in))
            take(t);
        if (now_ns() >= next) {
            next = deadline_after(t->interval_ms);
            ask(t);
        }
        redraw(t);
        if (session_wait(&t->in.session, next, keys, 1) == SESSION_SIGNAL)
            break;
    }
    return EXIT_OK;
}

static int show_on_screen(struct top *t)
{
    if (!top_screen_open())
        return failure("this terminal is not known; set TERM, or use --json");
    int code = show(t);
    top_screen_close();
    return code;
}

static int run(int argc, char **argv)
{
    struct top t = {.in = {INSPECTOR_DEFAULTS}, .interval_ms = 1000};
    bool done = false;
    int code = parse(argc, argv, &t, &done);
    if (code != EXIT_OK || done)
        goto out;
    t.view.url = t.in.url;
    code = inspector_open(&t.in);
    if (code != EXIT_OK)
        goto out;
    code = t.in.json ? print_lines(&t) : show_on_screen(&t);
    inspector_close(&t.in);
out:
    forget(&t.before, &t.has_before);
    forget(&t.now, &t.has_now);
    xfree(t.trouble);
    link_fini(&t.in.link);
    return code;
}

const struct command top_command = {
    .name = "top",
    .run = run,
    .summary = "a node's peers and routes by rate, live",
    .help = "usage: weft top URL [--interval S] [--json [--count N]] [options]\n"
            "\n"
            "Shows the peers and routes of the node at URL, the busiest first, anew every\n"
            "second. A node that goes away is waited for.\n"
            "\n"
            "  q               quit\n"
            "  p, r            peers, routes\n"
            "  s               order by another column\n"
            "  arrows          scroll, as do page up, page down and home\n"
            "\n"
            "      --interval S    seconds between two looks (default 1)\n"
            "      --json          no screen, but one JSON object a look, a line each\n"
            "      --count N       with --json: end after N lines\n" INSPECT_HELP "\n"
            "Exit codes: 0 ended by q, SIGINT or --count; 1 no such node, or it does not\n"
            "tell; with --json also: it went away; 2 wrong usage.\n",
};
