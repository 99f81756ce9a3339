/* weft status: a page of facts about one node: who it is, its limits and totals, and what went
 * wrong of late. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/memory.h"
#include "../common/report_json.h"
#include "../common/table.h"
#include "../common/units.h"
#include "../common/words.h"
#include "inspect.h"

#define INCIDENTS_SHOWN 10

static const struct option options[] = {INSPECT_LONG, INSPECT_WATCH, {NULL, 0, NULL, 0}};

/* ---- The page ----------------------------------------------------------------------------------
 */

static void label(const char *name)
{
    printf("%-11s", name);
}

static void fact(const char *name, const char *value)
{
    label(name);
    print_safe(*value ? value : "-");
    putchar('\n');
}

static void print_identity(const weft_status *s)
{
    char id[NODE_ID_TEXT];
    fact("node", s->url);
    fact("id", node_id_format(s->node_id, id));
    label("program");
    print_safe(s->agent);
    printf(", library %s, pid %" PRIu32 ", %s\n", s->version, s->pid, role_word((int)s->role));
    fact("network", s->network);
    fact("listening", s->listen);
    fact("addrbook", s->addrbook);
}

static void print_settings(const weft_status *s)
{
    char up[UNITS_TEXT], since[TIME_TEXT], frame[UNITS_TEXT], outbox[UNITS_TEXT];
    label("up");
    printf("%s, since %s\n", ns_format(s->stats.uptime_ms * 1000000, up),
           time_format(s->started, 0, since));
    fact("log level", level_word((int)s->log_level));
    label("limits");
    printf("frames of %s, %" PRIu32 " peers, %" PRIu32 " routes, %s queued for a peer\n",
           size_format(s->max_frame, frame), s->max_peers, s->max_routes,
           size_format(s->outbox, outbox));
}

/* "2 linked, 1 waiting": how many are in each state, in the order they are met. */
static void print_peers(const weft_report *r)
{
    label("peers");
    if (r->n_peers == 0)
        putchar('0');
    for (size_t i = 0, said = 0; i < r->n_peers; i++) {
        size_t count = 0, before = 0;
        for (size_t k = 0; k < r->n_peers; k++) {
            bool same = strcmp(r->peers[i].state, r->peers[k].state) == 0;
            count += same;
            before += same && k < i;
        }
        if (before)
            continue;
        printf("%s%zu ", said++ ? ", " : "", count);
        print_safe(r->peers[i].state);
    }
    putchar('\n');
}

static void print_drops(const uint64_t dropped[WEFT_DROP_REASONS])
{
    char text[256];
    label("dropped");
    puts(drops_sum(dropped) ? drops_format(dropped, text, sizeof(text)) : "0");
}

static void print_totals(const weft_stats *s)
{
    char in[UNITS_TEXT], out[UNITS_TEXT], queued[UNITS_TEXT];
    label("routes");
    printf("%" PRIu32 " intents, %" PRIu32 " interests; of others %" PRIu32 " and %" PRIu32 "\n",
           s->intents, s->interests, s->remote_intents, s->remote_interests);
    label("messages");
    printf("%" PRIu64 " in, %" PRIu64 " out, %" PRIu64 " delivered here, %" PRIu64 " relayed\n",
           s->messages_in, s->messages_out, s->delivered, s->relayed);
    label("bytes");
    printf("%s in, %s out, %s queued\n", amount_format((double)s->bytes_in, in),
           amount_format((double)s->bytes_out, out),
           amount_format((double)s->outbox_bytes, queued));
    label("dials");
    printf("%" PRIu64 ", %" PRIu64 " failed; %" PRIu64 " links refused\n", s->dials,
           s->dials_failed, s->refused);
    print_drops(s->dropped);
}

/* Their times are by the node's clock, and so is what they are compared with. */
static void print_incident(const weft_incident *i, uint64_t now)
{
    struct cell cell = {.now = now};
    printf("  %-9s %-13s ", cell_time(i->time, &cell), event_word((int)i->type));
    if (*i->peer) {
        print_safe(i->peer);
        fputs(": ", stdout);
    }
    if (*i->route) {
        print_safe(i->route);
        fputs(": ", stdout);
    }
    print_safe(*i->text ? i->text : weft_strerror(i->error));
    if (i->count > 1)
        printf(" (%" PRIu32 " times)", i->count);
    putchar('\n');
}

static void print_incidents(const weft_report *r)
{
    size_t first = r->n_incidents > INCIDENTS_SHOWN ? r->n_incidents - INCIDENTS_SHOWN : 0;
    if (r->n_incidents == 0)
        return;
    puts("incidents");
    for (size_t i = first; i < r->n_incidents; i++)
        print_incident(&r->incidents[i], r->status->now);
    if (first)
        printf("  and %zu before; --json has them all\n", first);
}

static int once(struct inspector *in, void *arg)
{
    struct answer a;
    weft_query query;
    weft_query_init(&query);
    query.parts = WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_INCIDENTS;
    int code = inspector_report(in, &query, &a);
    if (code != EXIT_OK)
        return code;
    if (in->json) {
        a.shown.peers = NULL; /* asked for to be counted */
        code = print_json(report_json(&a.shown), in->watch_ms > 0);
    } else {
        print_identity(a.shown.status);
        print_settings(a.shown.status);
        print_peers(&a.shown);
        print_totals(&a.shown.status->stats);
        print_incidents(&a.shown);
        code = output_done();
    }
    answer_fini(&a);
    return code;
}

static int run(int argc, char **argv)
{
    struct inspector in = {INSPECTOR_DEFAULTS};
    bool done = false;
    int code = inspect_parse(argc, argv, options, &status_command, &in, &done);
    if (code == EXIT_OK && !done)
        code = inspector_run(&in, once, NULL);
    link_fini(&in.link);
    return code;
}

const struct command status_command = {
    .name = "status",
    .run = run,
    .summary = "who a node is, its totals, and what went wrong of late",
    .help = "usage: weft status URL [--json] [--watch S] [options]\n"
            "\n"
            "Asks the node at URL about itself: name, limits, totals, drops by reason, and\n"
            "the last incidents: links refused or lost, dials that failed, routes that were\n"
            "not taken.\n"
            "\n"
            "      --json          one JSON object with the members status and "
            "incidents\n" INSPECT_WATCH_HELP INSPECT_HELP "\n"
            "Exit codes: 0 printed; 1 no such node, or it does not tell; 2 wrong usage.\n",
};
