/* weft peers: the links of a node, and those that it would like to have, as a table. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/report_json.h"
#include "../common/suggest.h"
#include "../common/table.h"
#include "../common/units.h"
#include "../common/words.h"
#include "inspect.h"

enum { OPTION_WIDE = OPTION_INSPECT };

static const struct option options[] = {
    INSPECT_LONG, INSPECT_WATCH, {"wide", no_argument, NULL, OPTION_WIDE}, {NULL, 0, NULL, 0}};

struct peers {
    struct inspector in;
    bool wide;
};

static int parse(int argc, char **argv, struct peers *p, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        if (inspect_option(option, &peers_command, &p->in, &code) < 0) {
            *ret_done = true;
            return code;
        }
        p->wide |= option == OPTION_WIDE;
    }
    if (argc - optind != 1)
        return usage_error(&peers_command,
                           "expected one URL, such as unix:///run/weft/weftd.sock/");
    return inspect_url(argv[optind], &peers_command, &p->in);
}

/* ---- Columns -----------------------------------------------------------------------------------
 */

#define VALUE(name) static const char *name(const void *row, struct cell *c)

static bool is_linked(const weft_peer_info *p)
{
    return strcmp(p->state, "linked") == 0;
}

VALUE(url)
{
    return ((const weft_peer_info *)row)->url;
}

VALUE(state)
{
    return ((const weft_peer_info *)row)->state;
}

VALUE(direction)
{
    const weft_peer_info *p = row;
    return !is_linked(p) ? "" : p->inbound ? "in" : "out";
}

VALUE(path)
{
    return ((const weft_peer_info *)row)->path;
}

VALUE(agent)
{
    return ((const weft_peer_info *)row)->agent;
}

VALUE(role)
{
    const weft_peer_info *p = row;
    return p->base ? "base" : is_linked(p) ? role_word((int)p->role) : "";
}

VALUE(rtt)
{
    return cell_ns(((const weft_peer_info *)row)->rtt_ns, c);
}

VALUE(jitter)
{
    return cell_ns(((const weft_peer_info *)row)->jitter_ns, c);
}

static const char *amount(const weft_peer_info *p, uint64_t n, struct cell *c)
{
    return is_linked(p) || n ? cell_amount(n, c) : "";
}

VALUE(queue)
{
    return amount(row, ((const weft_peer_info *)row)->outbox_bytes, c);
}

VALUE(messages_in)
{
    return amount(row, ((const weft_peer_info *)row)->messages_in, c);
}

VALUE(messages_out)
{
    return amount(row, ((const weft_peer_info *)row)->messages_out, c);
}

VALUE(bytes_in)
{
    return amount(row, ((const weft_peer_info *)row)->bytes_in, c);
}

VALUE(bytes_out)
{
    return amount(row, ((const weft_peer_info *)row)->bytes_out, c);
}

VALUE(drops)
{
    return drops_format(((const weft_peer_info *)row)->dropped, c->text, sizeof(c->text));
}

/* How long it has been linked, or when it is dialled. */
VALUE(since)
{
    const weft_peer_info *p = row;
    char text[UNITS_TEXT];
    if (is_linked(p))
        return cell_ns(p->uptime_ms * 1000000, c);
    if (p->next_dial_ms == UINT64_MAX)
        return "";
    if (p->next_dial_ms == 0)
        return "now";
    snprintf(c->text, sizeof(c->text), "in %s", ns_format(p->next_dial_ms * 1000000, text));
    return c->text;
}

VALUE(last_error)
{
    return ((const weft_peer_info *)row)->last_error;
}

VALUE(failed)
{
    const weft_peer_info *p = row;
    return p->failed_attempts ? cell_number(p->failed_attempts, c) : "";
}

VALUE(persistent)
{
    return cell_bool(((const weft_peer_info *)row)->persistent, c);
}

VALUE(node_id)
{
    return node_id_format(((const weft_peer_info *)row)->node_id, c->text);
}

#define R SCOLS_FL_RIGHT
#define W SCOLS_FL_WRAP
static const struct table_column columns[] = {
    {"peer", "PEER", url, 0.3, W, 0, false},
    {"state", "STATE", state, 0, 0, 0, false},
    {"direction", "DIR", direction, 0, 0, 0, false},
    {"role", "ROLE", role, 0, 0, 0, true},
    {"path", "PATH", path, 0.1, W, 0, true},
    {"agent", "AGENT", agent, 0.1, SCOLS_FL_TRUNC, 0, true},
    {"rtt", "RTT", rtt, 0, R, 0, false},
    {"jitter", "JITTER", jitter, 0, R, 0, true},
    {"queue", "QUEUE", queue, 0, R, 0, true},
    {"messages_in", "IN", messages_in, 0, R, 0, false},
    {"messages_out", "OUT", messages_out, 0, R, 0, false},
    {"bytes_in", "BYTES-IN", bytes_in, 0, R, 0, true},
    {"bytes_out", "BYTES-OUT", bytes_out, 0, R, 0, true},
    {"drops", "DROPS", drops, 0.1, W, 0, false},
    {"since", "UP/DIAL", since, 0, R, 0, false},
    {"failed", "FAILED", failed, 0, R, 0, true},
    {"persistent", "KEEP", persistent, 0, 0, 0, true},
    {"last_error", "ERROR", last_error, 0.2, W, 0, true},
    {"node_id", "ID", node_id, 0, 0, 0, true},
};

static const char *color(const void *row, const struct cell *cell)
{
    const weft_peer_info *p = row;
    return is_linked(p) ? "green" : strcmp(p->state, "handshake") == 0 ? NULL : "red";
}

/* Where the table has no room for errors, those that keep peers away stand below it. */
static void print_errors(const weft_report *r)
{
    for (size_t i = 0; i < r->n_peers; i++) {
        const weft_peer_info *p = &r->peers[i];
        if (is_linked(p) || !*p->last_error)
            continue;
        print_safe(p->url);
        fputs(": ", stdout);
        print_safe(p->last_error);
        putchar('\n');
    }
}

static int print_table(const struct peers *p, const weft_report *r)
{
    const struct table table = {
        .name = "peers",
        .columns = columns,
        .n_columns = sizeof(columns) / sizeof(columns[0]),
        .rows = r->peers,
        .row_size = sizeof(*r->peers),
        .n_rows = r->n_peers,
        .color = color,
        .empty = "it has no peers, and knows of none",
        .wide = p->wide,
    };
    if (!table_print(&table, TABLE_COLUMNS))
        return failure("cannot write the output");
    if (!table_has_extra(&table))
        print_errors(r);
    return output_done();
}

/* ---- Asking ------------------------------------------------------------------------------------
 */

static int once(struct inspector *in, void *arg)
{
    struct answer a;
    weft_query query;
    weft_query_init(&query);
    query.parts = WEFT_PART_PEERS;
    int code = inspector_report(in, &query, &a);
    if (code != EXIT_OK)
        return code;
    code =
        in->json ? print_json(report_json(&a.shown), in->watch_ms > 0) : print_table(arg, &a.shown);
    answer_fini(&a);
    return code;
}

static int run(int argc, char **argv)
{
    struct peers p = {.in = {INSPECTOR_DEFAULTS}};
    bool done = false;
    int code = parse(argc, argv, &p, &done);
    if (code == EXIT_OK && !done)
        code = inspector_run(&p.in, once, &p);
    link_fini(&p.in.link);
    return code;
}

const struct command peers_command = {
    .name = "peers",
    .run = run,
    .summary = "the links of a node, and those it tries to make",
    .help = "usage: weft peers URL [--wide] [--json] [--watch S] [options]\n"
            "\n"
            "Asks the node at URL for its peers: state (linked, handshake, dialing, waiting,\n"
            "given up, banned), which side dialled, round trip, messages in and out, drops\n"
            "with their reason, for how long it has been linked or when it is dialled next.\n"
            "Below stands what keeps a peer away.\n"
            "\n"
            "      --wide          all columns, however narrow the terminal: role, path,\n"
            "                      program, jitter, queue, bytes, failures in a row, why the\n"
            "                      last link or dial ended, node id (the default on 180\n"
            "                      columns and more)\n"
            "      --json          one JSON object, {\"peers\": [...]}, with "
            "everything\n" INSPECT_WATCH_HELP INSPECT_HELP "\n"
            "Colour is used on a terminal unless NO_COLOR is set.\n"
            "Exit codes: 0 printed; 1 no such node, or it does not tell; 2 wrong usage.\n",
};
