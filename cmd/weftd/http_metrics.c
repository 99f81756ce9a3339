/* /metrics: a report as Prometheus reads it. What there is, is listed in docs/metrics.md.
 *
 * Two formats that differ in little: OpenMetrics names a counter's family without "_total" and ends
 * with "# EOF". Families with a label per peer or per route are bounded, since each label is a
 * series that somebody stores: the first PEERS_MAX peers by URL, and of the routes that go through
 * this node the ROUTES_MAX that moved most messages; how many are left out is a metric itself. */
#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/words.h"
#include "http_parts.h"

#define PEERS_MAX 1000
#define ROUTES_MAX 200
#define NS 1e9

struct writer {
    FILE *out;
    bool classic;
    const char *family; /* the one under way */
    bool counter;
};

enum kind { GAUGE, COUNTER };

/* Begin a family; its samples follow. `name` is without "_total". */
static void family(struct writer *w, const char *name, enum kind kind, const char *help)
{
    const char *total = kind == COUNTER && w->classic ? "_total" : "";
    w->family = name;
    w->counter = kind == COUNTER;
    fprintf(w->out, "# HELP %s%s %s\n", name, total, help);
    fprintf(w->out, "# TYPE %s%s %s\n", name, total, w->counter ? "counter" : "gauge");
}

/* A label's value: no byte of it can end the quotes or the line, and all of it is UTF-8. */
static void label_value(struct writer *w, const char *value)
{
    char *valid = utf8_copy(value, strlen(value));
    for (const char *p = valid; *p; p++) {
        if (*p == '\n')
            fputs("\\n", w->out);
        else if (*p == '"' || *p == '\\')
            fprintf(w->out, "\\%c", *p);
        else
            putc(*p, w->out);
    }
    xfree(valid);
}

/* One to three labels: pairs of a name and a value; names are NULL from the first unused one on. */
struct labels {
    const char *pair[3][2];
};
#define NONE ((struct labels){0})
#define LABELS(...) ((struct labels){{__VA_ARGS__}})

static void start(struct writer *w, const struct labels *l)
{
    fprintf(w->out, "%s%s", w->family, w->counter ? "_total" : "");
    for (size_t i = 0; i < 3 && l->pair[i][0]; i++) {
        fprintf(w->out, "%s%s=\"", i ? "," : "{", l->pair[i][0]);
        label_value(w, l->pair[i][1]);
        putc('"', w->out);
    }
    fputs(l->pair[0][0] ? "} " : " ", w->out);
}

static void count(struct writer *w, struct labels l, uint64_t value)
{
    start(w, &l);
    fprintf(w->out, "%" PRIu64 "\n", value);
}

static void real(struct writer *w, struct labels l, double value)
{
    start(w, &l);
    fprintf(w->out, "%.9g\n", value);
}

/* A family of one sample without labels. */
static void single(struct writer *w, const char *name, enum kind kind, uint64_t value,
                   const char *help)
{
    family(w, name, kind, help);
    count(w, NONE, value);
}

/* ---- The node -------------------------------------------------------------------------------- */

static void node_metrics(struct writer *w, const weft_status *s)
{
    family(w, "weft_build_info", GAUGE, "Which program this is; always 1.");
    count(w, LABELS({"agent", s->agent}, {"version", s->version}, {"path", s->path}), 1);
    family(w, "weft_uptime_seconds", GAUGE, "How long the node has been open.");
    real(w, NONE, (double)s->stats.uptime_ms / 1e3);
    single(w, "weft_peers_limit", GAUGE, s->max_peers, "Most links there may be.");
    single(w, "weft_routes_limit", GAUGE, s->max_routes, "Most routes that may be known.");
}

static void traffic_metrics(struct writer *w, const weft_stats *s)
{
    family(w, "weft_messages", COUNTER, "Messages over links; out: when queued.");
    count(w, LABELS({"direction", "in"}), s->messages_in);
    count(w, LABELS({"direction", "out"}), s->messages_out);
    family(w, "weft_bytes", COUNTER, "Bytes over links, frames of every kind.");
    count(w, LABELS({"direction", "in"}), s->bytes_in);
    count(w, LABELS({"direction", "out"}), s->bytes_out);
    single(w, "weft_delivered_messages", COUNTER, s->delivered,
           "Messages given to interests of this node.");
    single(w, "weft_relayed_messages", COUNTER, s->relayed, "Messages passed on for leaves.");
    family(w, "weft_dropped_messages", COUNTER, "Messages that did not reach a subscriber.");
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        count(w, LABELS({"reason", drop_word(i)}), s->dropped[i]);
    single(w, "weft_queue_bytes", GAUGE, s->outbox_bytes, "Bytes queued for all peers.");
    single(w, "weft_dials", COUNTER, s->dials, "Dials made.");
    single(w, "weft_dials_failed", COUNTER, s->dials_failed, "Dials that failed.");
    single(w, "weft_refused", COUNTER, s->refused, "Links refused, by either side.");
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static bool linked(const weft_peer_info *p)
{
    return strcmp(p->state, "linked") == 0;
}

static void peer_states(struct writer *w, const char *name, const weft_report *r, const char *help)
{
    static const char *const states[] = {"linked",  "handshake", "dialing",
                                         "waiting", "given up",  "banned"};
    family(w, name, GAUGE, help);
    for (size_t i = 0; i < LWS_ARRAY_SIZE(states); i++) {
        uint64_t n = 0;
        for (size_t k = 0; k < r->n_peers; k++)
            n += strcmp(r->peers[k].state, states[i]) == 0;
        count(w, LABELS({"state", states[i]}), n);
    }
}

/* A peer with its series. Clients and leaves may share one name, since nobody dials them: they are
 * one series, their figures added up, the round trip that of the slowest. */
struct peer {
    weft_peer_info info;
    uint64_t links;
};

static void add_link(struct peer *sum, const weft_peer_info *p)
{
    weft_peer_info *s = &sum->info;
    sum->links++;
    s->uptime_ms = p->uptime_ms > s->uptime_ms ? p->uptime_ms : s->uptime_ms;
    s->rtt_ns = p->rtt_ns > s->rtt_ns ? p->rtt_ns : s->rtt_ns;
    s->jitter_ns = p->jitter_ns > s->jitter_ns ? p->jitter_ns : s->jitter_ns;
    s->messages_in += p->messages_in;
    s->messages_out += p->messages_out;
    s->bytes_in += p->bytes_in;
    s->bytes_out += p->bytes_out;
    s->outbox_bytes += p->outbox_bytes;
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        s->dropped[i] += p->dropped[i];
}

/* At most PEERS_MAX of them, from a report's list, which is sorted by URL. Returns how many;
 * *ret_left_out is how many names there was no room for. */
static size_t gather_peers(const weft_report *r, struct peer *peers, size_t *ret_left_out)
{
    size_t n = 0, left_out = 0;
    for (size_t i = 0; i < r->n_peers; i++) {
        const weft_peer_info *p = &r->peers[i];
        bool same = i > 0 && strcmp(p->url, r->peers[i - 1].url) == 0;
        if (!same && n == PEERS_MAX) {
            left_out++;
            continue;
        }
        if (same && left_out)
            continue;
        if (!same)
            peers[n++] = (struct peer){.info = {.url = p->url, .path = p->path}};
        peers[n - 1].info.failed_attempts += p->failed_attempts;
        if (linked(p))
            add_link(&peers[n - 1], p);
    }
    *ret_left_out = left_out;
    return n;
}

#define PEER(p)                                                                                    \
    {"peer", (p)->info.path},                                                                      \
    {                                                                                              \
        "url", (p)->info.url                                                                       \
    }

/* The families with a label per peer: one function each writes a peer's samples. */
static void peer_up(struct writer *w, const struct peer *p)
{
    count(w, LABELS(PEER(p)), p->links);
}

static void peer_uptime(struct writer *w, const struct peer *p)
{
    if (p->links)
        real(w, LABELS(PEER(p)), (double)p->info.uptime_ms / 1e3);
}

static void peer_rtt(struct writer *w, const struct peer *p)
{
    if (p->info.rtt_ns)
        real(w, LABELS(PEER(p)), (double)p->info.rtt_ns / NS);
}

static void peer_jitter(struct writer *w, const struct peer *p)
{
    if (p->info.rtt_ns)
        real(w, LABELS(PEER(p)), (double)p->info.jitter_ns / NS);
}

static void peer_messages(struct writer *w, const struct peer *p)
{
    if (!p->links)
        return;
    count(w, LABELS(PEER(p), {"direction", "in"}), p->info.messages_in);
    count(w, LABELS(PEER(p), {"direction", "out"}), p->info.messages_out);
}

static void peer_bytes(struct writer *w, const struct peer *p)
{
    if (!p->links)
        return;
    count(w, LABELS(PEER(p), {"direction", "in"}), p->info.bytes_in);
    count(w, LABELS(PEER(p), {"direction", "out"}), p->info.bytes_out);
}

static void peer_queue(struct writer *w, const struct peer *p)
{
    if (p->links)
        count(w, LABELS(PEER(p)), p->info.outbox_bytes);
}

static void peer_drops(struct writer *w, const struct peer *p)
{
    for (int i = 0; p->links && i < WEFT_DROP_REASONS; i++)
        count(w, LABELS(PEER(p), {"reason", drop_word(i)}), p->info.dropped[i]);
}

static void peer_failures(struct writer *w, const struct peer *p)
{
    count(w, LABELS(PEER(p)), p->info.failed_attempts);
}

static const struct {
    const char *name;
    enum kind kind;
    void (*write)(struct writer *w, const struct peer *peer);
    const char *help;
} per_peer[] = {
    {"weft_peer_up", GAUGE, peer_up, "Links to the peer: 1 or 0; more for clients of one name."},
    {"weft_peer_uptime_seconds", GAUGE, peer_uptime, "How long the link has stood."},
    {"weft_peer_rtt_seconds", GAUGE, peer_rtt, "Round trip, smoothed."},
    {"weft_peer_jitter_seconds", GAUGE, peer_jitter, "How much the round trip varies."},
    {"weft_peer_messages", COUNTER, peer_messages, "Messages over the link."},
    {"weft_peer_bytes", COUNTER, peer_bytes, "Bytes over the link, frames of every kind."},
    {"weft_peer_queue_bytes", GAUGE, peer_queue, "Bytes queued for the peer."},
    {"weft_peer_dropped_messages", COUNTER, peer_drops, "Messages that did not reach the peer."},
    {"weft_peer_failed_attempts", GAUGE, peer_failures, "Dials that failed since the last link."},
};

static void peer_metrics(struct writer *w, const weft_report *r)
{
    size_t left_out, max = r->n_peers < PEERS_MAX ? r->n_peers : PEERS_MAX;
    struct peer *peers = xresize(NULL, max * sizeof(*peers));
    size_t n = gather_peers(r, peers, &left_out);
    peer_states(w, "weft_peers", r, "Peers by state: links, and addresses without one.");
    single(w, "weft_peers_left_out", GAUGE, left_out,
           "Peers that have no metrics of their own here, since there are too many.");
    for (size_t f = 0; f < LWS_ARRAY_SIZE(per_peer); f++) {
        family(w, per_peer[f].name, per_peer[f].kind, per_peer[f].help);
        for (size_t i = 0; i < n; i++)
            per_peer[f].write(w, &peers[i]);
    }
    xfree(peers);
}

/* ---- Routes and the address book ------------------------------------------------------------- */

/* A route with its series, which all its publishers (or subscribers) here share. */
struct route {
    const char *name;
    bool intent;
    uint64_t messages, dropped, matches;
};

static int by_name(const void *a, const void *b)
{
    const struct route *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : y->intent - x->intent;
}

static int by_messages(const void *a, const void *b)
{
    const struct route *x = a, *y = b;
    if (x->messages != y->messages)
        return x->messages < y->messages ? 1 : -1;
    return by_name(a, b);
}

/* The routes that go through this node: its own, and those it has passed messages of. Each name
 * once, the busiest first. Returns how many. */
static size_t gather_routes(const weft_report *r, struct route *routes)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < r->n_routes; i++) {
        const weft_route_info *f = &r->routes[i];
        if (!f->peer || f->messages)
            routes[n++] = (struct route){.name = f->route,
                                         .intent = f->intent,
                                         .messages = f->messages,
                                         .dropped = drops_sum(f->dropped),
                                         .matches = f->matches};
    }
    qsort(routes, n, sizeof(*routes), by_name);
    for (size_t i = 0; i < n; i++) {
        struct route *last = kept ? &routes[kept - 1] : NULL;
        if (!last || by_name(last, &routes[i]) != 0) {
            routes[kept++] = routes[i];
            continue;
        }
        last->messages += routes[i].messages;
        last->dropped += routes[i].dropped;
        last->matches = last->matches > routes[i].matches ? last->matches : routes[i].matches;
    }
    qsort(routes, kept, sizeof(*routes), by_messages);
    return kept;
}

#define ROUTE(r)                                                                                   \
    {"route", (r)->name},                                                                          \
    {                                                                                              \
        "kind", (r)->intent ? "intent" : "interest"                                                \
    }

static void top_routes(struct writer *w, const struct route *routes, size_t n)
{
    family(w, "weft_route_messages", COUNTER, "Messages of a route that goes through this node.");
    for (size_t i = 0; i < n; i++)
        count(w, LABELS(ROUTE(&routes[i])), routes[i].messages);
    family(w, "weft_route_dropped_messages", COUNTER, "Messages of the route that were dropped.");
    for (size_t i = 0; i < n; i++)
        count(w, LABELS(ROUTE(&routes[i])), routes[i].dropped);
    family(w, "weft_route_matches", GAUGE, "Counterparts of the route.");
    for (size_t i = 0; i < n; i++)
        count(w, LABELS(ROUTE(&routes[i])), routes[i].matches);
}

static void route_metrics(struct writer *w, const weft_report *r, uint64_t left_out)
{
    const weft_stats *s = &r->status->stats;
    struct route *routes = xresize(NULL, r->n_routes * sizeof(*routes));
    size_t n = gather_routes(r, routes), shown = n < ROUTES_MAX ? n : ROUTES_MAX;
    family(w, "weft_routes", GAUGE, "Routes known: this node's own, and others'.");
    count(w, LABELS({"side", "own"}, {"kind", "intent"}), s->intents);
    count(w, LABELS({"side", "own"}, {"kind", "interest"}), s->interests);
    count(w, LABELS({"side", "other"}, {"kind", "intent"}), s->remote_intents);
    count(w, LABELS({"side", "other"}, {"kind", "interest"}), s->remote_interests);
    single(w, "weft_routes_left_out", GAUGE, left_out ? left_out : n - shown,
           "Routes that have no metrics of their own here, since there are too many.");
    top_routes(w, routes, shown);
    xfree(routes);
}

/* As "weft peers" has it: one that is given up may be tried now and then all the same. */
static const char *entry_state(const weft_addrbook_entry *e, uint64_t now)
{
    if (e->banned_until > now)
        return "banned";
    if (e->linked)
        return "linked";
    if (e->dialing)
        return "dialing";
    return !e->persistent && e->failed_attempts >= e->max_attempts ? "given up" : "waiting";
}

static void book_metrics(struct writer *w, const weft_report *r)
{
    static const char *const states[] = {"linked", "dialing", "waiting", "given up", "banned"};
    family(w, "weft_addrbook_entries", GAUGE, "Entries of the address book by state.");
    for (size_t i = 0; i < LWS_ARRAY_SIZE(states); i++) {
        uint64_t n = 0;
        for (size_t k = 0; k < r->book->count; k++)
            n += strcmp(entry_state(&r->book->entries[k], r->status->now), states[i]) == 0;
        count(w, LABELS({"state", states[i]}), n);
    }
}

/* ---- The process ----------------------------------------------------------------------------- */

static uint64_t open_descriptors(void)
{
    uint64_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 3; /* ".", ".." and the folder itself */
}

static uint64_t resident_bytes(void)
{
    char text[64] = "";
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (!fgets(text, sizeof(text), file) || sscanf(text, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void process_metrics(struct writer *w, const weft_status *s, const struct http_process *p)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    single(w, "process_open_fds", GAUGE, open_descriptors(), "Open file descriptors.");
    single(w, "process_resident_memory_bytes", GAUGE, resident_bytes(), "Memory in use.");
    family(w, "process_cpu_seconds", COUNTER, "Processor time, of user and system.");
    real(w, NONE, seconds(&usage.ru_utime) + seconds(&usage.ru_stime));
    family(w, "process_start_time_seconds", GAUGE, "When the node was opened, since the epoch.");
    count(w, NONE, s->started / 1000000000);
    single(w, "weft_http_connections", GAUGE, p->connections, "Connections of this listener.");
    single(w, "weft_http_viewers", GAUGE, p->viewers, "Of these, viewers of the page.");
}

void http_metrics(const weft_report *report, const struct http_process *process,
                  uint64_t routes_left_out, bool classic, FILE *out)
{
    struct writer w = {.out = out, .classic = classic};
    node_metrics(&w, report->status);
    traffic_metrics(&w, &report->status->stats);
    peer_metrics(&w, report);
    route_metrics(&w, report, routes_left_out);
    book_metrics(&w, report);
    process_metrics(&w, report->status, process);
    if (!classic)
        fputs("# EOF\n", out);
}
