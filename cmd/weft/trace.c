/* weft trace: the way and the time of single messages. We subscribe as a leaf of the node at -P, so
 * that the message comes the way it goes to any leaf there; that node's report, and those of the
 * nodes the message came from, tell of the links on the way.
 *
 * The time it took is between two clocks. The publisher's is compared with ours by asking its node
 * for the time: half a round trip is what that can be off. A publisher that cannot be asked shares
 * the clock of its router where their link is a unix socket; elsewhere the difference is unknown,
 * and said to be. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/explain.h"
#include "../common/memory.h"
#include "../common/report_json.h"
#include "../common/suggest.h"
#include "../common/table.h"
#include "../common/units.h"
#include "inspect.h"

#define LEGS_MAX 4
#define KEPT 64 /* messages that wait to be told of; more at a time are left out */

enum { OPTION_COUNT = OPTION_INSPECT };

static const struct option options[] = {INSPECT_LONG,
                                        {"peer", required_argument, NULL, 'P'},
                                        {"count", required_argument, NULL, OPTION_COUNT},
                                        {NULL, 0, NULL, 0}};

/* What is kept of a message when it arrives. */
struct arrival {
    char *route, *sender;
    uint64_t sent, arrived; /* ns since the epoch, by the publisher's clock and by ours */
    size_t size;
};

/* How another clock differs from ours. */
struct clock {
    bool known;
    int64_t ahead_ns;
    uint64_t uncertain_ns;
};

struct leg {
    const char *from, *to;
    char transport[16];
    const weft_peer_info *peer; /* the link, by one of its ends; NULL: unknown */
    bool queue_known;           /* that end is the one that sends */
};

struct task {
    struct inspector in;
    const char *route;
    uint64_t count;
    weft_interest *interest;
    struct inspector *source; /* open towards where the last message came from, or NULL */

    /* Under in.session.lock; written on the loop's thread. */
    struct arrival kept[KEPT];
    size_t n_kept;
};

/* What is known of the way of one message. */
struct way {
    struct answer router, source; /* of the node at -P; of the node that the message came from */
    bool has_source;
    const weft_route_info *intent;
    struct clock clock;
    const char *clock_of; /* the node whose clock it is */
    struct leg legs[LEGS_MAX];
    size_t n_legs;
};

/* ---- The command line --------------------------------------------------------------------------
 */

static int parse(int argc, char **argv, struct task *t, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "P:h", options)) != -1) {
        int taken = inspect_option(option, &trace_command, &t->in, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && !count_parse(optarg, 1, UINT32_MAX, &t->count))
            return usage_error(&trace_command, "--count %s: expected a number from 1", optarg);
    }
    if (argc - optind != 1)
        return usage_error(&trace_command, "expected one route, such as types.Pose@robot.arm");
    t->route = argv[optind];
    if (weft_route_check(t->route, NULL) < 0)
        return no_route(&trace_command, t->route);
    if (t->in.link.peers.count != 1)
        return usage_error(&trace_command, "give one -P URL: the node through which messages come");
    t->in.url = t->in.link.peers.items[0];
    return EXIT_OK;
}

/* ---- Messages [loop] ---------------------------------------------------------------------------
 */

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    uint64_t now = wall_clock();
    struct task *t = user;
    pthread_mutex_lock(&t->in.session.lock);
    if (t->n_kept < KEPT) {
        const char *route = weft_msg_route(msg), *sender = weft_msg_sender(msg);
        t->kept[t->n_kept++] = (struct arrival){
            .route = xcopy(route, strlen(route)),
            .sender = xcopy(sender, strlen(sender)),
            .sent = weft_msg_time(msg),
            .arrived = now,
            .size = weft_msg_size(msg),
        };
    }
    pthread_mutex_unlock(&t->in.session.lock);
    session_wake(&t->in.session);
}

static void arrival_fini(struct arrival *a)
{
    xfree(a->route);
    xfree(a->sender);
}

static bool take_arrival(struct task *t, struct arrival *ret_arrival)
{
    pthread_mutex_lock(&t->in.session.lock);
    bool any = t->n_kept > 0;
    if (any) {
        *ret_arrival = t->kept[0];
        t->n_kept--;
        memmove(t->kept, t->kept + 1, t->n_kept * sizeof(t->kept[0]));
    }
    pthread_mutex_unlock(&t->in.session.lock);
    return any;
}

/* ---- Clocks ------------------------------------------------------------------------------------
 */

/* Ask a node and compare its clock with ours: its answer was made between the two readings. */
static int ask_timed(struct inspector *in, const weft_query *query, struct answer *ret_answer,
                     struct clock *ret_clock, char **ret_text)
{
    uint64_t before = wall_clock();
    int rc = inspector_ask(in, query, ret_answer, ret_text);
    uint64_t after = wall_clock();
    if (rc == 0)
        *ret_clock = (struct clock){
            .known = true,
            .ahead_ns = (int64_t)(ret_answer->shown.status->now - (before / 2 + after / 2)),
            .uncertain_ns = (after - before + 1) / 2,
        };
    return rc;
}

/* ---- The way -----------------------------------------------------------------------------------
 */

static const weft_peer_info *linked_peer(const weft_report *r, const char *url)
{
    for (size_t i = 0; i < r->n_peers; i++)
        if (strcmp(r->peers[i].url, url) == 0 && strcmp(r->peers[i].state, "linked") == 0)
            return &r->peers[i];
    return NULL;
}

static const weft_peer_info *peer_by_id(const weft_report *r, const uint8_t id[16])
{
    for (size_t i = 0; i < r->n_peers; i++)
        if (memcmp(r->peers[i].node_id, id, 16) == 0 && strcmp(r->peers[i].state, "linked") == 0)
            return &r->peers[i];
    return NULL;
}

/* Who announced the message's route: by its sender, as several may. */
static const weft_route_info *intent_of(const weft_report *r, const struct arrival *a)
{
    for (size_t i = 0; i < r->n_routes; i++) {
        const weft_route_info *it = &r->routes[i];
        const char *peer = it->peer ? it->peer : r->status->url;
        if (it->intent && strcmp(it->route, a->route) == 0 && strcmp(peer, a->sender) == 0)
            return it;
    }
    return NULL;
}

static void add_leg(struct way *w, const char *from, const char *to, const weft_peer_info *peer,
                    bool queue_known)
{
    struct leg *leg = &w->legs[w->n_legs++];
    *leg = (struct leg){.from = from, .to = to, .peer = peer, .queue_known = queue_known};
    const char *colon = peer ? strstr(peer->url, "://") : NULL;
    if (colon)
        snprintf(leg->transport, sizeof(leg->transport), "%.*s", (int)(colon - peer->url),
                 peer->url);
}

/* The leg between two routers, by the one that sends if it told. */
static void add_router_leg(struct way *w, const char *from, const char *here)
{
    const weft_report *router = &w->router.shown;
    const weft_peer_info *sending =
        w->has_source ? peer_by_id(&w->source.shown, router->status->node_id) : NULL;
    add_leg(w, from, here, sending ? sending : linked_peer(router, from), sending != NULL);
}

static void lay_out(struct way *w, const struct inspector *in, const struct arrival *a)
{
    const weft_report *router = &w->router.shown;
    const char *here = router->status->url;
    const char *via = w->intent ? w->intent->via : NULL;
    if (via) {
        const weft_report *source = w->has_source ? &w->source.shown : NULL;
        add_leg(w, a->sender, via, source ? linked_peer(source, a->sender) : NULL, false);
        add_router_leg(w, via, here);
    } else if (strcmp(a->sender, here) != 0) {
        add_router_leg(w, a->sender, here);
    }
    add_leg(w, here, "this command", peer_by_id(w->router.whole, in->self_id), true);
}

/* ---- Asking ------------------------------------------------------------------------------------
 */

static void close_source(struct task *t)
{
    if (!t->source)
        return;
    inspector_close(t->source);
    link_fini(&t->source->link);
    xfree(t->source);
    t->source = NULL;
}

/* Have t->source linked to that node. 0, or INTERRUPTED, or -1: it cannot be reached. */
static int open_source(struct task *t, const char *url)
{
    char *reason = NULL;
    if (t->source && strcmp(t->source->link.peers.items[0], url) == 0)
        return 0;
    close_source(t);
    t->source = xresize(NULL, sizeof(*t->source));
    *t->source = (struct inspector){INSPECTOR_DEFAULTS};
    t->source->timeout_ms = t->in.timeout_ms;
    t->source->link.network = t->in.link.network;
    names_add(&t->source->link.peers, url);
    if (inspector_begin(t->source) != EXIT_OK) {
        link_fini(&t->source->link);
        xfree(t->source);
        t->source = NULL;
        return -1;
    }
    int rc = inspector_link(t->source, deadline_after(t->in.timeout_ms), &reason);
    if (rc == 0)
        return 0;
    rc = *reason ? -1 : INTERRUPTED;
    xfree(reason);
    close_source(t);
    return rc;
}

/* Ask the node that the message came from to ours, by a link of its own. That it does not tell is
 * no failure; INTERRUPTED is a signal. */
static int ask_source(struct task *t, const weft_query *query, const char *url, struct way *w)
{
    char *text = NULL;
    int rc = open_source(t, url);
    if (rc == 0)
        rc = ask_timed(t->source, query, &w->source, &w->clock, &text);
    w->has_source = rc == 0;
    xfree(text);
    return rc;
}

/* Whose clock stamped the message, of those that can be asked; NULL: unknown. */
static const char *clock_owner(const struct way *w, const struct arrival *a, const char *source)
{
    if (url_dialable(a->sender))
        return a->sender;
    return strncmp(a->sender, "unix://", 7) == 0 ? source : NULL;
}

static int find_way(struct task *t, const struct arrival *a, struct way *w)
{
    weft_query query;
    struct clock clock;
    char *text = NULL;
    weft_query_init(&query);
    query.parts = WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES;
    query.route = a->route;
    int rc = ask_timed(&t->in, &query, &w->router, &clock, &text);
    if (rc != 0) {
        t->in.interrupted = rc == INTERRUPTED;
        if (rc != INTERRUPTED)
            failure("%s: %s", t->in.url, text);
        xfree(text);
        return EXIT_FAILED;
    }
    const char *here = w->router.shown.status->url;
    w->intent = intent_of(&w->router.shown, a);
    const char *source = w->intent && w->intent->via ? w->intent->via : a->sender;
    if (!url_dialable(source))
        source = here; /* a leaf or client of the node at -P */
    w->clock_of = clock_owner(w, a, source);
    if (strcmp(source, here) == 0)
        w->clock = clock;
    else if (ask_source(t, &query, source, w) == INTERRUPTED)
        t->in.interrupted = true;
    if (t->in.interrupted)
        return EXIT_FAILED;
    if (!w->clock_of)
        w->clock.known = false;
    lay_out(w, &t->in, a);
    return EXIT_OK;
}

static void way_fini(struct way *w)
{
    answer_fini(&w->router);
    if (w->has_source)
        answer_fini(&w->source);
}

/* ---- Output ------------------------------------------------------------------------------------
 */

/* From sending to arrival by our clock; it may come out below 0 by less than the uncertainty. */
static int64_t took(const struct way *w, const struct arrival *a)
{
    return (int64_t)(a->arrived - a->sent + (uint64_t)w->clock.ahead_ns); /* others' numbers wrap */
}

static uint64_t magnitude(int64_t n)
{
    return n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
}

static void print_leg(const struct leg *leg)
{
    char rtt[UNITS_TEXT], jitter[UNITS_TEXT], queue[UNITS_TEXT];
    fputs("  ", stdout);
    print_safe(leg->from);
    fputs(" -> ", stdout);
    print_safe(leg->to);
    fputs(": ", stdout);
    if (!leg->peer) {
        puts("nothing known of this link");
        return;
    }
    print_safe(leg->transport);
    if (leg->peer->rtt_ns)
        printf(", round trip %s, jitter %s", ns_format(leg->peer->rtt_ns, rtt),
               ns_format(leg->peer->jitter_ns, jitter));
    else
        fputs(", round trip not measured yet", stdout);
    if (leg->queue_known)
        printf(", %s bytes queued", amount_format((double)leg->peer->outbox_bytes, queue));
    putchar('\n');
}

static void print_time(const struct way *w, const struct arrival *a)
{
    char sent[TIME_TEXT], ns[UNITS_TEXT], off[UNITS_TEXT], ahead[UNITS_TEXT];
    int64_t t = took(w, a), by = w->clock.ahead_ns;
    printf("  sent %s by the publisher's clock", time_format(a->sent, 9, sent));
    if (!w->clock.known) {
        int64_t raw = (int64_t)(a->arrived - a->sent);
        printf("\n  arrived %s%s later by ours; how the two differ is unknown, since the publisher "
               "cannot be asked\n",
               raw < 0 ? "-" : "", ns_format(magnitude(raw), ns));
        return;
    }
    printf(", which is %s %s ours\n", ns_format(magnitude(by), ahead),
           by < 0 ? "behind" : "ahead of");
    printf("  arrived %s%s later, give or take %s\n", t < 0 ? "-" : "", ns_format(magnitude(t), ns),
           ns_format(w->clock.uncertain_ns, off));
}

static int print_text(const struct way *w, const struct arrival *a)
{
    print_safe(a->route);
    printf(": %zu bytes from ", a->size);
    print_safe(*a->sender ? a->sender : "an unnamed sender");
    printf(", %zu link%s\n", w->n_legs, w->n_legs == 1 ? "" : "s");
    for (size_t i = 0; i < w->n_legs; i++)
        print_leg(&w->legs[i]);
    print_time(w, a);
    return output_done();
}

static json_t *leg_json(const struct leg *leg)
{
    const weft_peer_info *p = leg->peer;
    json_t *rtt = p && p->rtt_ns ? json_integer((json_int_t)p->rtt_ns) : json_null();
    json_t *jitter = p && p->rtt_ns ? json_integer((json_int_t)p->jitter_ns) : json_null();
    json_t *queue = p && leg->queue_known ? json_integer((json_int_t)p->outbox_bytes) : json_null();
    json_t *transport = p ? text_json(leg->transport) : json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "from", text_json(leg->from), "to",
                     text_json(leg->to), "transport", transport, "rtt_ns", rtt, "jitter_ns", jitter,
                     "queue_bytes", queue);
}

static json_t *way_json(const struct way *w, const struct arrival *a)
{
    json_t *legs = json_array();
    for (size_t i = 0; i < w->n_legs; i++)
        if (json_array_append_new(legs, leg_json(&w->legs[i])) != 0)
            return NULL;
    bool known = w->clock.known;
    json_t *ahead = known ? json_integer((json_int_t)w->clock.ahead_ns) : json_null();
    json_t *off = known ? json_integer((json_int_t)w->clock.uncertain_ns) : json_null();
    json_t *time = known ? json_integer((json_int_t)took(w, a)) : json_null();
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "route",
                     text_json(a->route), "sender", text_json(a->sender), "size",
                     (json_int_t)a->size, "hops", (json_int_t)w->n_legs, "sent_ns",
                     (json_int_t)a->sent, "arrived_ns", (json_int_t)a->arrived, "took_ns", time,
                     "clock_ahead_ns", ahead, "clock_uncertainty_ns", off, "legs", legs);
}

/* ---- Waiting -----------------------------------------------------------------------------------
 */

static int tell(struct task *t, const struct arrival *a)
{
    struct way w = {0};
    int code = find_way(t, a, &w);
    if (code == EXIT_OK)
        code = t->in.json ? print_json(way_json(&w, a), true) : print_text(&w, a);
    way_fini(&w);
    return code;
}

static int no_message(struct task *t)
{
    char text[UNITS_TEXT], *reason = session_lost(&t->in.session);
    duration_format(t->in.timeout_ms, text);
    int code = reason ? failure("no message of %s came within %s: the link to %s is gone: %s",
                                t->route, text, t->in.url, reason)
                      : failure("no message of %s came within %s; 'weft explain' tells who "
                                "publishes it",
                                t->route, text);
    xfree(reason);
    return code;
}

static int wait_for_messages(struct task *t)
{
    struct arrival a;
    for (uint64_t told = 0; told < t->count; told++) {
        uint64_t deadline = deadline_after(t->in.timeout_ms);
        while (!take_arrival(t, &a)) {
            enum session_event e = session_wait(&t->in.session, deadline, NULL, 0);
            if (e == SESSION_SIGNAL)
                return told ? EXIT_OK : EXIT_FAILED;
            if (e == SESSION_TIMEOUT)
                return no_message(t);
        }
        int code = tell(t, &a);
        arrival_fini(&a);
        if (code != EXIT_OK)
            return told && t->in.interrupted ? EXIT_OK : code;
    }
    return EXIT_OK;
}

static int trace(struct task *t)
{
    weft_subscribe_options o;
    int code = inspector_open(&t->in);
    if (code != EXIT_OK)
        return code;
    weft_subscribe_options_init(&o);
    o.on_message = on_message;
    o.user = t;
    int rc = weft_subscribe(t->in.session.node, t->route, &o, &t->interest);
    if (rc < 0) {
        code = failure("cannot subscribe to %s: %s", t->route, weft_strerror(rc));
    } else {
        code = wait_for_messages(t);
        weft_interest_close(t->interest);
    }
    close_source(t);
    inspector_close(&t->in);
    for (size_t i = 0; i < t->n_kept; i++)
        arrival_fini(&t->kept[i]);
    return code;
}

static int run(int argc, char **argv)
{
    struct task t = {.in = {INSPECTOR_DEFAULTS}, .count = 1};
    bool done = false;
    int code = parse(argc, argv, &t, &done);
    if (code == EXIT_OK && !done)
        code = trace(&t);
    link_fini(&t.in.link);
    return code;
}

const struct command trace_command = {
    .name = "trace",
    .run = run,
    .summary = "the way and the time of the next message of a route",
    .help = "usage: weft trace ROUTE -P URL [--count N] [--json] [options]\n"
            "\n"
            "Subscribes to ROUTE (or a pattern) at the node at URL, waits for a message, and\n"
            "tells its publisher, each link on its way with round trip and queue, and how\n"
            "long it took. The publisher's clock is compared with ours by asking its node;\n"
            "what that may be off is printed, and where it cannot be asked, that is said.\n"
            "\n"
            "  -P, --peer URL      the node through which messages come\n"
            "      --count N       tell of N messages (default 1)\n"
            "      --json          one JSON object a message, a line each\n" INSPECT_HELP "\n"
            "Exit codes: 0 told of N messages, or of at least one before SIGINT; 1 no\n"
            "message came in time, no such node, or it does not tell; 2 wrong usage.\n",
};
