/* A run: the schedule is carried out, then faults stop, and then everything must come right.
 *
 * What must hold, and from when on:
 *
 *   all the time   a message that arrives is the next of its link, goes to the interests that are
 *                  open and cover its route, each once and in order; nothing is lost on a
 * connection that no fault has met; nothing is sent to who has withdrawn (net_data.c) RECOVERY_NS
 * after faults stop: one link a pair, equal tables, right targets (net_whole) IDLE_NS        later
 * nothing waits any more SETTLED_NS     later all is as it was, and nobody has dialled anybody the
 * end        new messages reach everybody who wants them, each once; dials were within the budget;
 * no memory is left
 *
 * RECOVERY_NS is the longest chain of waits there is: silence is found out after 10 s and its PING;
 * the dial that follows may be on its way into a fault that has just ended (3 s), or its handshake
 * (5 s); the pause after that is 60 s at most, since a configured peer is never given up; its dial
 * may wait 5 s for the other side's, and runs into a retransmission or two (8 s with the
 * handshake); tables that differ are found by a DIGEST within 36 s and mended within a round trip.
 */
#include "run.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#include "base/mem.h"

#define WAIT_SILENCE_NS (13 * NS_PER_SEC)
#define WAIT_DIAL_NS (8 * NS_PER_SEC)
#define WAIT_BACKOFF_NS (60 * NS_PER_SEC)
#define WAIT_POLITE_NS (5 * NS_PER_SEC)
#define WAIT_DIGEST_NS (36 * NS_PER_SEC)
#define RECOVERY_NS                                                                                \
    (WAIT_SILENCE_NS + WAIT_DIAL_NS + WAIT_BACKOFF_NS + WAIT_POLITE_NS + WAIT_DIAL_NS +            \
     WAIT_DIGEST_NS)
#define IDLE_NS (60 * NS_PER_SEC)
#define SETTLED_NS (90 * NS_PER_SEC)
#define SETTLED_MANY_NS (40 * NS_PER_SEC) /* with more nodes than MANY: a round of DIGESTs */
#define SETTLED_HUGE_NS (10 * NS_PER_SEC) /* than HUGE: of PINGs; a second takes half a minute */
#define MANY 50u
#define HUGE 500
#define PULL_NS (5 * NS_PER_SEC)
#define LAST_MESSAGES 3u
#define SECOND_DIALS 12u

struct sim {
    const struct schedule *schedule;
    struct net *net;
    bool *started; /* by the schedule: comes back at the end */
    bool *named;   /* some node is configured with it: comes too, or would be dialled for ever */
    struct prng prng;
    struct sim_result *result;
    uint32_t restarts, agains;
};

/* ---- Memory: every block counted ---- */

static uint64_t blocks_now, blocks_most;

static void *counted_alloc(size_t size)
{
    void *p = malloc(size);
    blocks_now += p != NULL;
    blocks_most = max_u64(blocks_most, blocks_now);
    return p;
}

static void *counted_resize(void *p, size_t size)
{
    void *q = realloc(p, size);
    blocks_now += !p && q;
    blocks_most = max_u64(blocks_most, blocks_now);
    return q;
}

static void counted_release(void *p)
{
    blocks_now -= p != NULL;
    free(p);
}

/* ---- Who and what ---- */

static bool is_leaf(const struct net_node *node)
{
    return node->options.role == ROLE_LEAF;
}

/* Its router, n0 or n1. */
static struct net_node *router_of(const struct sim *s, const struct net_node *leaf)
{
    return net_node(s->net, leaf->index % 2);
}

static const char *path_of(const struct net_node *node)
{
    return strrchr(node->url, ':') + strcspn(strrchr(node->url, ':'), "/") + 1;
}

/* One of four clusters has clients and leaves too. */
static void add_node(struct sim *s, uint32_t index, bool mixed)
{
    char url[64];
    struct net_node_options options = {.role = ROLE_PEER};
    uint64_t chance = prng_between(&s->prng, 0, 99);
    if (mixed && index > 1 && chance < 15) {
        snprintf(url, sizeof(url), "tcp://0.0.0.0:0/n%u.l%u", index % 2, index);
        options.role = ROLE_LEAF;
        options.url = url;
    } else if (mixed && index > 1 && chance < 25) {
        options.role = ROLE_CLIENT;
    }
    struct net_node *node = net_add(s->net, &options);
    if (is_leaf(node))
        router_of(s, node)->router = true;
    node->options.url = NULL;
    snprintf(node->second, sizeof(node->second), "10.1.%u.%u", index / 200, index % 200 + 1);
}

static void route_text(const struct sim *s, const struct net_node *node, uint32_t which,
                       bool intent, char *out, size_t size)
{
    static const char *const leaves[] = {"a", "b.c", "b.d"};
    static const char *const patterns[] = {"*", "**", "b.*", "b.**"};
    static const char *const types[] = {"T", "U"};
    const char *type = types[which & 1];
    const struct net_node *there = net_node(s->net, (which >> 8) % net_count(s->net));
    uint32_t form = which >> 1 & 7;
    if (intent)
        snprintf(out, size, "%s@%s.%s", type, path_of(node), leaves[form % 3]);
    else if (form < 5)
        snprintf(out, size, "%s@%s.%s", type, path_of(there), leaves[form % 3]);
    else if (form < 7)
        snprintf(out, size, "%s@%s.%s", which & 16 ? "*" : type, path_of(there),
                 patterns[which >> 5 & 3]);
    else
        snprintf(out, size, "%s@**", which & 16 ? "*" : type);
}

/* The n-th, counted round, of its routes of a kind. */
static struct net_route *nth_route(struct net_node *node, uint32_t n, bool intents, bool interests)
{
    uint32_t count = 0;
    for (int round = 0; round < 2; round++) {
        uint32_t wanted = count ? n % count : 0, at = 0;
        list_each (it, &node->routes) {
            struct net_route *r = list_entry(it, struct net_route, in_node);
            if (!(r->intent ? intents : interests))
                continue;
            if (round && at++ == wanted)
                return r;
            count += !round;
        }
    }
    return NULL;
}

/* ---- Steps ---- */

static void configure(struct sim *s, struct net_node *node, const struct net_node *with,
                      const char *url)
{
    if (node == with || with->options.role != ROLE_PEER)
        return;
    if (net_configure(node, url) < 0)
        net_wrong(s->net, "n%u cannot be configured with %s", node->index, url);
    s->named[with->index] = true;
}

static void start(struct sim *s, struct net_node *node, bool remembers, uint32_t second)
{
    const struct net_node *known[] = {
        is_leaf(node) ? router_of(s, node) : net_node(s->net, 0),
        net_node(s->net, second % net_count(s->net)),
    };
    if (node->mesh)
        return;
    s->restarts += s->started[node->index];
    s->started[node->index] = true;
    if (!net_start(node, remembers)) {
        net_wrong(s->net, "n%u does not start", node->index);
        return;
    }
    configure(s, node, known[0], known[0]->url);
    if (!is_leaf(node) && second % 3 == 0)
        configure(s, node, known[1], known[1]->url);
}

static void open_route(struct sim *s, struct net_node *node, uint32_t which, bool intent)
{
    char text[96];
    int error = 0;
    route_text(s, node, which, intent, text, sizeof(text));
    if (!net_open(node, intent, text, &error))
        net_wrong(s->net, "n%u cannot open %s: %s", node->index, text, weft_strerror(error));
}

static void send_some(struct net_node *node, uint32_t count, uint32_t which, uint32_t how)
{
    static const int policies[] = {WEFT_BLOCK, WEFT_KEEP_LAST, WEFT_REFUSE, WEFT_DROP_OLDEST};
    static const uint32_t sizes[] = {24, 24, 300, 9000};
    static const uint64_t gaps[] = {0, 0, NS_PER_MS, 15 * NS_PER_MS};
    struct net_route *r = nth_route(node, which, true, false);
    if (r && !r->todo)
        net_send(node, r, count, sizes[how & 3], policies[how >> 2 & 3], gaps[how >> 4 & 3]);
}

static void partition(struct sim *s, uint32_t x, uint32_t y)
{
    struct prng sides;
    prng_init(&sides, (uint64_t)x << 32 | y);
    for (uint32_t i = 0; i < net_count(s->net); i++)
        net_node(s->net, i)->group = (uint32_t)prng_between(&sides, 0, 1);
}

static void harm_link(struct sim *s, const struct step *t)
{
    struct net_conn *conn =
        net_find(s->net, net_node(s->net, t->a), net_node(s->net, t->b % net_count(s->net)));
    if (conn && t->op == STEP_CUT)
        net_cut(conn, t->y & 1, (enum net_cut)(t->x & 3));
    else if (conn)
        net_silence(conn, t->y & 1);
}

/* Which link stays is settled between the two; no message may be lost by it. */
static void dial_again(struct sim *s, struct net_node *node, const struct net_node *there)
{
    char url[96];
    s->agains++;
    snprintf(url, sizeof(url), "tcp://%s:7400/n%u", there->second, there->index);
    if (!is_leaf(node))
        configure(s, node, there, url);
}

/* Steps on a node that is up. */
static void step_at(struct sim *s, struct net_node *node, const struct step *t)
{
    struct net_route *r;
    switch (t->op) {
    case STEP_KILL:
        net_kill(node, (enum net_death)(t->x % 3));
        break;
    case STEP_LEAVE:
        net_leave(node);
        break;
    case STEP_OPEN:
        open_route(s, node, t->x, t->y & 1);
        break;
    case STEP_CLOSE:
        r = nth_route(node, t->x, true, true);
        if (r)
            net_close(node, r);
        break;
    case STEP_SEND:
        send_some(node, t->b, t->x, t->y);
        break;
    case STEP_SLOW:
        r = nth_route(node, t->x, false, true);
        if (r)
            net_read_slowly(node, r, t->b * NS_PER_MS, t->y ? t->y : 1);
        break;
    case STEP_AGAIN:
        dial_again(s, node, net_node(s->net, t->b % net_count(s->net)));
        break;
    case STEP_STALL:
        net_stall(node, t->x * NS_PER_MS);
        break;
    default:
        break;
    }
}

static void carry_out(struct sim *s, const struct step *t)
{
    struct net_node *node = net_node(s->net, t->a % net_count(s->net));
    switch (t->op) {
    case STEP_START:
        start(s, node, t->x != 0, t->y);
        break;
    case STEP_CUT:
    case STEP_SILENCE:
        harm_link(s, t);
        break;
    case STEP_PARTITION:
        partition(s, t->x, t->y);
        break;
    case STEP_HEAL:
        for (uint32_t i = 0; i < net_count(s->net); i++)
            net_node(s->net, i)->group = 0;
        break;
    case STEP_LAG:
        node->lag_ns = t->x * NS_PER_MS;
        break;
    case STEP_CLOCK:
        node->wall_step_ns += (int64_t)(t->x * NS_PER_SEC) * (t->y ? -1 : 1);
        break;
    case STEP_DIALS:
        node->dials = (enum net_dials)(t->x % 3);
        break;
    default:
        if (node->mesh && net_now(s->net) >= node->stalled_until)
            step_at(s, node, t);
    }
}

/* ---- The end of faults ---- */

static void stop_faults(struct sim *s)
{
    for (uint32_t i = 0; i < net_count(s->net); i++) {
        struct net_node *node = net_node(s->net, i);
        node->group = 0;
        node->lag_ns = 0;
        node->dials = NET_DIALS_TAKEN;
        if (!node->mesh && (s->started[i] || s->named[i]))
            start(s, node, i % 2, 1);
        list_each (it, &node->routes) {
            struct net_route *r = list_entry(it, struct net_route, in_node);
            if (!r->intent && r->every_ns)
                net_read_slowly(node, r, 0, 0);
        }
    }
}

/* A process that stands still is a fault until it goes on. */
static void wait_for_stalled(struct sim *s)
{
    uint64_t until = net_now(s->net);
    for (uint32_t i = 0; i < net_count(s->net); i++)
        until = max_u64(until, net_node(s->net, i)->stalled_until);
    net_run(s->net, until - net_now(s->net));
}

/* ---- Budget of dials ----
 *
 * A dial needs a reason: the start of a node; the start of the other one, or its link lost, or its
 * name heard, which pulls a dial forward once in 5 s at most; or the end of a pause. Pauses are
 * uniform below a backoff that grows from 1 s by half to 60 s, and a link that stood for 30 s
 * starts anew. So many pauses last a time on average when their halves add up to it; twice as many,
 * and eight, are allowed. */
static uint64_t pauses_within(double s)
{
    uint64_t n = 0;
    for (double backoff = 1, sum = 0; sum < s; n++) {
        sum += backoff / 2;
        backoff = backoff * 1.5 < 60 ? backoff * 1.5 : 60;
    }
    return n;
}

static uint64_t budget_of(const struct sim *s)
{
    uint64_t n = net_count(s->net), time = net_now(s->net);
    double stable = (double)(time / (30 * NS_PER_SEC) + 1);
    double seconds = (double)time / 1e9;
    uint64_t pair = 2 * (8 + 2 * pauses_within(seconds / stable) * (uint64_t)stable);
    return n * (n - 1) / 2 * (pair + 2 * time / PULL_NS) + 2 * n * s->restarts;
}

/* ---- Checks ---- */

static bool fail(struct sim *s, const char *what, const char *why)
{
    if (!s->result->failed)
        snprintf(s->result->why, sizeof(s->result->why), "%s: %s", what, why);
    s->result->failed = true;
    return false;
}

static bool sound(struct sim *s)
{
    const char *why = net_broken(s->net);
    return !why || fail(s, "messages", why);
}

static bool comes_right(struct sim *s)
{
    char why[256] = "";
    uint64_t took = net_run_whole(s->net, RECOVERY_NS, why, sizeof(why));
    if (took == NEVER)
        return fail(s, "not whole in time", why);
    s->result->recovery_ns = took;
    return sound(s);
}

static bool goes_idle(struct sim *s)
{
    uint64_t until = net_now(s->net) + IDLE_NS;
    while (net_busy(s->net)) {
        if (net_now(s->net) >= until)
            return fail(s, "wait without end", "messages wait still, a minute after all is whole");
        net_run(s->net, NS_PER_SEC);
    }
    return sound(s);
}

static bool stays_right(struct sim *s)
{
    char why[256] = "";
    struct net_counts before = *net_counts(s->net);
    uint32_t nodes = net_count(s->net);
    net_run(s->net, nodes > HUGE ? SETTLED_HUGE_NS : nodes > MANY ? SETTLED_MANY_NS : SETTLED_NS);
    if (!net_whole(s->net, why, sizeof(why)))
        return fail(s, "does not stay whole", why);
    /* A second address is refused as one too many, and tried again after ever longer pauses, until
     * the link that stands is old enough to be asked about. */
    uint64_t second = net_counts(s->net)->dials_second - before.dials_second;
    s->result->dialled_again = net_counts(s->net)->dials - before.dials - second;
    if (s->result->dialled_again || second > SECOND_DIALS * (uint64_t)s->agains) {
        snprintf(why, sizeof(why), "%" PRIu64 " dials while all is whole, and %" PRIu64 " more",
                 s->result->dialled_again, second);
        return fail(s, "dials without need", why);
    }
    return sound(s);
}

static void forget_got(struct sim *s)
{
    for (uint32_t i = 0; i < net_count(s->net); i++) {
        list_each (it, &net_node(s->net, i)->routes)
            list_entry(it, struct net_route, in_node)->got = 0;
    }
}

/* How many intents does an interest cover, wherever they are? */
static uint64_t count_covered(const struct sim *s, const struct net_node *node,
                              const struct net_route *interest)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < net_count(s->net); i++) {
        const struct net_node *there = net_node(s->net, i);
        bool heard = there == node || node->options.role == ROLE_PEER || is_leaf(node) ||
                     there->options.role == ROLE_PEER || is_leaf(there);
        list_each (it, &there->routes) {
            const struct net_route *r = list_entry(it, struct net_route, in_node);
            count += heard && r->intent && route_covers(&interest->route, &r->route);
        }
    }
    return count;
}

static bool check_got(struct sim *s)
{
    for (uint32_t i = 0; i < net_count(s->net); i++) {
        const struct net_node *node = net_node(s->net, i);
        list_each (it, &node->routes) {
            const struct net_route *r = list_entry(it, struct net_route, in_node);
            char why[256];
            uint64_t expected = r->intent ? 0 : LAST_MESSAGES * count_covered(s, node, r);
            if (r->got == expected)
                continue;
            snprintf(why, sizeof(why), "%s at n%u got %" PRIu64 " messages of %" PRIu64, r->text, i,
                     r->got, expected);
            return fail(s, "not delivered exactly once", why);
        }
    }
    return sound(s);
}

/* In good order: what every open intent sends reaches all, once. */
static bool delivers(struct sim *s)
{
    struct net_traffic before = *net_traffic(s->net);
    forget_got(s);
    for (uint32_t i = 0; i < net_count(s->net); i++) {
        struct net_node *node = net_node(s->net, i);
        list_each (it, &node->routes) {
            struct net_route *r = list_entry(it, struct net_route, in_node);
            if (r->intent)
                net_send(node, r, LAST_MESSAGES, 32, WEFT_BLOCK, NS_PER_MS);
        }
        if (node->mesh)
            net_settle(node);
    }
    if (!goes_idle(s) || !check_got(s))
        return false;
    const struct net_traffic *t = net_traffic(s->net);
    if (t->refused != before.refused || t->lost != before.lost || t->lost_away != before.lost_away)
        return fail(s, "lost without a fault", "messages, when all was whole");
    return true;
}

static bool adds_up(struct sim *s)
{
    struct sim_result *r = s->result;
    r->dials = net_counts(s->net)->dials;
    r->budget = budget_of(s);
    if (r->dials <= r->budget)
        return true;
    char why[128];
    snprintf(why, sizeof(why), "%" PRIu64 " dials, %" PRIu64 " allowed", r->dials, r->budget);
    return fail(s, "over the budget of dials", why);
}

/* ---- The run ---- */

static void set_up(struct sim *s, const struct schedule *schedule, struct sim_result *result)
{
    *s = (struct sim){.schedule = schedule, .result = result};
    prng_init(&s->prng, schedule->seed ^ UINT64_C(0x636c7573746572));
    struct net_options options = {
        .seed = schedule->seed,
        .delay_min_ns = 50 * NS_PER_US,
        .delay_max_ns = prng_between(&s->prng, 1, 4) * prng_between(&s->prng, 1, 4) * 5 * NS_PER_MS,
        .pieces = (unsigned)prng_between(&s->prng, 0, 30),
        .backlog = (unsigned)prng_between(&s->prng, 0, 30),
        .loss = (unsigned)prng_between(&s->prng, 0, 10),
        .window = (size_t)prng_between(&s->prng, 1, 4) << 16,
        .outbox = (size_t)prng_between(&s->prng, 1, 16) << 16,
        .disk = true,
    };
    s->net = net_new(&options);
    bool mixed = prng_between(&s->prng, 0, 3) == 0;
    for (uint32_t i = 0; i < schedule->nodes; i++)
        add_node(s, i, mixed);
    s->started = calloc(schedule->nodes + (size_t)1, sizeof(bool));
    s->named = calloc(schedule->nodes + (size_t)1, sizeof(bool));
    if (!s->started || !s->named)
        abort();
}

static bool play(struct sim *s)
{
    for (size_t i = 0; i < s->schedule->count; i++) {
        const struct step *t = &s->schedule->steps[i];
        uint64_t at = t->at_ms * NS_PER_MS;
        if (at > net_now(s->net))
            net_run(s->net, at - net_now(s->net));
        carry_out(s, t);
        if (!sound(s))
            return false;
    }
    wait_for_stalled(s);
    stop_faults(s);
    return sound(s);
}

void sim_run(const struct schedule *schedule, sim_plant *plant, struct sim_result *ret_result)
{
    struct sim s;
    *ret_result = (struct sim_result){0};
    blocks_now = blocks_most = 0;
    weft_set_allocator(counted_alloc, counted_resize, counted_release);
    set_up(&s, schedule, ret_result);
    if (plant)
        plant(s.net);
    if (play(&s) && comes_right(&s) && goes_idle(&s) && stays_right(&s) && delivers(&s))
        adds_up(&s);
    ret_result->hash = net_hash(s.net);
    ret_result->events = net_events(s.net);
    ret_result->virtual_ns = net_now(s.net);
    ret_result->dials = net_counts(s.net)->dials;
    ret_result->traffic = *net_traffic(s.net);
    net_free(s.net);
    free(s.started);
    free(s.named);
    ret_result->blocks = blocks_most;
    if (blocks_now) {
        s.net = NULL;
        char why[64];
        snprintf(why, sizeof(why), "%" PRIu64 " blocks are left", blocks_now);
        fail(&s, "memory", why);
    }
    weft_set_allocator(NULL, NULL, NULL);
}
