/* weft routes: what a node knows of intents and interests, its own and others', with rates from two
 * reports. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/memory.h"
#include "../common/rates.h"
#include "../common/report_json.h"
#include "../common/suggest.h"
#include "../common/table.h"
#include "../common/units.h"
#include "../common/words.h"
#include "inspect.h"

enum { OPTION_WIDE = OPTION_INSPECT, OPTION_INTERVAL };

static const struct option options[] = {INSPECT_LONG,
                                        INSPECT_WATCH,
                                        {"wide", no_argument, NULL, OPTION_WIDE},
                                        {"interval", required_argument, NULL, OPTION_INTERVAL},
                                        {NULL, 0, NULL, 0}};

struct routes {
    struct inspector in;
    const char *route; /* these alone; NULL: all */
    uint32_t interval_ms;
    bool wide;
};

static int take_option(int option, struct routes *r)
{
    if (option == OPTION_WIDE)
        r->wide = true;
    else if (!parse_seconds(optarg, &r->interval_ms) || r->interval_ms > 3600000)
        return usage_error(&routes_command, "--interval %s: expected seconds or %s, up to 1h",
                           optarg, DURATION_EXPECTED);
    return EXIT_OK;
}

static int parse(int argc, char **argv, struct routes *r, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        int taken = inspect_option(option, &routes_command, &r->in, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, r)) != EXIT_OK)
            return code;
    }
    if (argc - optind < 1 || argc - optind > 2)
        return usage_error(&routes_command, "expected a URL, such as unix:///run/weft/weftd.sock/, "
                                            "and perhaps a route or pattern");
    if (argc - optind == 2)
        r->route = argv[optind + 1];
    if (r->route && weft_route_check(r->route, NULL) < 0)
        return no_route(&routes_command, r->route);
    return inspect_url(argv[optind], &routes_command, &r->in);
}

/* ---- Columns -----------------------------------------------------------------------------------
 */

static const weft_route_info *info_of(const void *row)
{
    return ((const struct route_rate *)row)->info;
}

#define VALUE(name) static const char *name(const void *row, struct cell *c)

VALUE(route)
{
    return info_of(row)->route;
}

VALUE(kind)
{
    return info_of(row)->intent ? "intent" : "interest";
}

VALUE(peer)
{
    return info_of(row)->peer ? info_of(row)->peer : "this node";
}

VALUE(via)
{
    return info_of(row)->via ? info_of(row)->via : "";
}

VALUE(hops)
{
    return cell_number(info_of(row)->hops, c);
}

VALUE(matches)
{
    return cell_number(info_of(row)->matches, c);
}

VALUE(messages)
{
    return cell_amount(info_of(row)->messages, c);
}

VALUE(hz)
{
    double n = ((const struct route_rate *)row)->hz;
    if (n < 0)
        return "";
    char text[UNITS_TEXT];
    snprintf(c->text, sizeof(c->text), "%s/s", amount_format(n, text));
    return c->text;
}

VALUE(drops)
{
    return drops_format(info_of(row)->dropped, c->text, sizeof(c->text));
}

VALUE(schema)
{
    if (info_of(row)->schema == 0)
        return "";
    snprintf(c->text, sizeof(c->text), "%016" PRIx64, info_of(row)->schema);
    return c->text;
}

#define R SCOLS_FL_RIGHT
#define W SCOLS_FL_WRAP
static const struct table_column columns[] = {
    {"route", "ROUTE", route, 0.35, W, 0, false},   {"kind", "KIND", kind, 0, 0, 0, false},
    {"peer", "PEER", peer, 0.3, W, 0, false},       {"via", "VIA", via, 0.2, W, 0, true},
    {"hops", "HOPS", hops, 0, R, 0, true},          {"matches", "MATCHES", matches, 0, R, 0, false},
    {"messages", "MSGS", messages, 0, R, 0, false}, {"rate", "RATE", hz, 0, R, 0, false},
    {"drops", "DROPS", drops, 0.15, W, 0, false},   {"schema", "SCHEMA", schema, 0, 0, 0, true},
};

static const char *color(const void *row, const struct cell *cell)
{
    return info_of(row)->matches ? "green" : NULL;
}

/* ---- Output ------------------------------------------------------------------------------------
 */

/* Does it have to do with the route asked for? The node also tells of near misses, for explain. Of
 * two patterns nobody can say; both are shown. */
static bool wanted(const struct routes *r, const char *declared)
{
    if (!r->route || strcmp(r->route, declared) == 0)
        return true;
    int covered = weft_route_matches(r->route, declared);
    int covers = weft_route_matches(declared, r->route);
    return covered == 1 || covers == 1 || (covered < 0 && covers < 0);
}

static json_t *to_json(const struct route_rate *rates, size_t n, double seconds)
{
    json_t *list = json_array(), *o;
    for (size_t i = 0; i < n; i++) {
        json_t *item = route_json(rates[i].info);
        json_t *rate = rates[i].hz < 0 ? json_null() : json_real(rates[i].hz);
        if (json_object_set_new(item, "rate_hz", rate) != 0 || json_array_append(list, item) != 0) {
            json_decref(item);
            json_decref(list);
            return NULL;
        }
        json_decref(item);
    }
    o = json_pack("{s:I, s:o}", "interval_ns", (json_int_t)(seconds * 1e9), "routes", list);
    return o;
}

static int print_table(const struct routes *r, const struct route_rate *rates, size_t n)
{
    const struct table table = {
        .name = "routes",
        .columns = columns,
        .n_columns = sizeof(columns) / sizeof(columns[0]),
        .rows = rates,
        .row_size = sizeof(*rates),
        .n_rows = n,
        .color = color,
        .empty = r->route ? "it knows of nobody who publishes or wants that; 'weft explain' looks "
                            "further"
                          : "it knows of no routes",
        .wide = r->wide,
    };
    return table_print(&table, TABLE_COLUMNS) ? output_done() : failure("cannot write the output");
}

static int print(const struct routes *r, const weft_report *before, const weft_report *after)
{
    struct route_rate *rates = route_rates(before, after);
    size_t n = 0;
    for (size_t i = 0; i < after->n_routes; i++)
        if (wanted(r, rates[i].info->route))
            rates[n++] = rates[i];
    int code = r->in.json ? print_json(to_json(rates, n, report_seconds(before, after)),
                                       r->in.watch_ms > 0)
                          : print_table(r, rates, n);
    xfree(rates);
    return code;
}

/* ---- Asking ------------------------------------------------------------------------------------
 */

static int once(struct inspector *in, void *arg)
{
    const struct routes *r = arg;
    struct answer before = {0}, after;
    weft_query query;
    int code;
    weft_query_init(&query);
    query.parts = WEFT_PART_STATUS | WEFT_PART_ROUTES;
    query.route = r->route;
    if (r->interval_ms) {
        code = inspector_report(in, &query, &before);
        if (code != EXIT_OK)
            return code;
        inspector_pause(in, r->interval_ms); /* a signal ends the next question, too */
    }
    code = inspector_report(in, &query, &after);
    if (code == EXIT_OK) {
        code = print(r, r->interval_ms ? &before.shown : NULL, &after.shown);
        answer_fini(&after);
    }
    answer_fini(&before);
    return code;
}

static int run(int argc, char **argv)
{
    struct routes r = {.in = {INSPECTOR_DEFAULTS}, .interval_ms = 1000};
    bool done = false;
    int code = parse(argc, argv, &r, &done);
    if (code == EXIT_OK && !done)
        code = inspector_run(&r.in, once, &r);
    link_fini(&r.in.link);
    return code;
}

const struct command routes_command = {
    .name = "routes",
    .run = run,
    .summary = "who publishes and who wants what, as a node knows it",
    .help = "usage: weft routes URL [ROUTE|PATTERN] [--interval S] [--wide] [--json]\n"
            "                   [--watch S]\n"
            "\n"
            "Asks the node at URL for the intents and interests that it knows, its own and\n"
            "others', or those alone that meet a route or pattern: who declared it,\n"
            "counterparts it has there, messages, how many a second, and drops with their\n"
            "reason. A node knows all intents of its mesh, and those interests that it could\n"
            "serve; 'weft explain' asks further.\n"
            "\n"
            "      --interval S    seconds between the two looks that rates are made of\n"
            "                      (default 1; 0: one look, no rates)\n"
            "      --wide          all columns: the link it came over, hops, schema\n"
            "      --json          one JSON object with the members interval_ns and "
            "routes\n" INSPECT_WATCH_HELP INSPECT_HELP "\n"
            "Colour is used on a terminal unless NO_COLOR is set.\n"
            "Exit codes: 0 printed; 1 no such node, or it does not tell; 2 wrong usage.\n",
};
