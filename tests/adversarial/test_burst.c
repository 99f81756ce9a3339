/* Ten times whatever is counted, gathered or bounded on a message's way, all at once, on a full
 * mesh of real nodes: each message arrives once, in order, on every subscriber.
 *
 * The windows, and what of them one burst is:
 *
 *     outbox of a peer              16 MiB by default, 1 MiB here (an option)      16 x
 *     queue of an interest          16 MiB by default, 1 MiB here (an option)      16 x
 *     list for callbacks            as the outbox                                  16 x
 *     chunk of an outbox            64 KiB                                        256 x
 *     copied, not referenced        up to 16 KiB: sizes on both sides of it
 *     written by a sender           from 256 KiB on, 512 KiB at once               32 x
 *     one write of the loop         1 MiB, 64 buffers, 8 rounds in a turn          16 x
 *     read buffer, lane of inproc   256 KiB, and messages larger than it           64 x
 *     spare chunks                  32, 2 MiB                                       8 x
 *     a list in INITIAL             32 KiB, 1,024 routes                           10 x (routes)
 *     INTENTS, INTERESTS            32 KiB, 512 routes                             20 x (routes)
 *
 * The control lane (64 MiB), the book and PINGs are bounded against others: tests/adversarial has
 * tests of their own for these. */
#include "tests/node/fixture.h"

#include <stdatomic.h>

#if INSTRUMENTED
#define SCALE 8u /* a sanitizer takes so many times as long */
#else
#define SCALE 1u
#endif

#define NODES 4u
#define BURST ((size_t)(16u << 20) / SCALE) /* bytes that each node publishes at once */
#define WINDOW ((size_t)(1u << 20) / SCALE)

struct member {
    weft_node *node;
    weft_intent *out;
    weft_interest *queued, *called;
    uint32_t next_queued[NODES], next_called[NODES];
    atomic_uint total_called, wrong;
    unsigned index;
    int rc;
};

static struct member members[NODES];
static uint32_t messages; /* that each publishes */

/* Mostly small, and on both sides of each limit on the size of one. */
static size_t size_of(uint32_t number)
{
    if (number % 97 == 96)
        return 300u << 10;
    if (number % 13 == 12)
        return (16u << 10) + number % 2;
    return sizeof(number) + number * 37 % 2000;
}

static void check(struct member *m, const weft_msg *msg, uint32_t *next)
{
    unsigned from = (unsigned)(weft_msg_route(msg)[strlen("t.B@n")] - '0');
    uint32_t number = UINT32_MAX;
    if (weft_msg_size(msg) >= sizeof(number))
        memcpy(&number, weft_msg_data(msg), sizeof(number));
    if (from >= NODES || number != next[from] || weft_msg_size(msg) != size_of(number))
        atomic_fetch_add(&m->wrong, 1);
    if (from < NODES)
        next[from]++;
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct member *m = user;
    check(m, msg, m->next_called);
    atomic_fetch_add(&m->total_called, 1);
}

static void *receive(void *arg)
{
    struct member *m = arg;
    for (uint32_t i = 0; i < NODES * messages; i++) {
        weft_msg *msg;
        if ((m->rc = weft_recv(m->queued, &msg, 2 * WAIT_MS)) < 0)
            return NULL;
        check(m, msg, m->next_queued);
        weft_msg_unref(msg);
    }
    return NULL;
}

static void *publish(void *arg)
{
    const struct member *m = arg;
    uint8_t *data = calloc(1, 300u << 10);
    intptr_t rc = data ? 0 : WEFT_ENOMEM;
    for (uint32_t i = 0; i < messages && rc == 0; i++) {
        memcpy(data, &i, sizeof(i));
        rc = weft_send(m->out, data, size_of(i));
    }
    free(data);
    return (void *)rc;
}

static void open_member(unsigned i, const char *scheme)
{
    char self[64];
    weft_options o;
    weft_options_init(&o);
    const char *peers[] = {i ? weft_node_url(members[0].node) : NULL, NULL};
    if (strcmp(scheme, "tcp") == 0)
        snprintf(self, sizeof(self), "tcp://127.0.0.1:0/n%u", i);
    else
        snprintf(self, sizeof(self), "inproc://burst-%u/n%u", i, i);
    o.self = self;
    o.peers = peers;
    o.outbox = WINDOW;
    members[i] = (struct member){.node = fx_open_options(&o), .index = i};
}

static void declare(struct member *m)
{
    char route[32];
    snprintf(route, sizeof(route), "t.B@n%u.x", m->index);
    weft_publish_options po;
    weft_publish_options_init(&po);
    po.block_ms = 2 * WAIT_MS;
    CHECK_EQ(weft_publish(m->node, route, &po, &m->out), 0);
    weft_subscribe_options so;
    weft_subscribe_options_init(&so);
    so.queue = WINDOW;
    so.block_ms = 2 * WAIT_MS;
    so.user = m;
    CHECK_EQ(weft_subscribe(m->node, "t.B@*.x", &so, &m->queued), 0);
    so.on_message = on_message;
    CHECK_EQ(weft_subscribe(m->node, "t.B@**", &so, &m->called), 0);
}

/* Our intents have so many targets: interests here, and nodes. */
static bool own_intents_matched(weft_node *node, uint32_t matches)
{
    weft_route_info *routes;
    size_t n;
    bool all = true;
    CHECK_EQ(weft_node_routes(node, &routes, &n), 0);
    for (size_t i = 0; i < n; i++) {
        if (routes[i].intent && !routes[i].peer)
            all &= routes[i].matches >= matches;
    }
    weft_routes_free(routes, n);
    return all;
}

static void open_mesh(const char *scheme)
{
    messages = 0;
    for (size_t bytes = 0; bytes < BURST; bytes += size_of(messages++)) {
    }
    for (unsigned i = 0; i < NODES; i++)
        open_member(i, scheme);
    for (unsigned i = 0; i < NODES; i++)
        CHECK_EQ(weft_node_wait_peers(members[i].node, NODES - 1, WAIT_MS), 0);
    for (unsigned i = 0; i < NODES; i++)
        declare(&members[i]);
    for (unsigned i = 0; i < NODES; i++)
        UNTIL(own_intents_matched(members[i].node, 2 + NODES - 1));
}

static void burst(const char *scheme)
{
    pthread_t receivers[NODES], publishers[NODES];
    open_mesh(scheme);
    for (unsigned i = 0; i < NODES; i++)
        CHECK_EQ(pthread_create(&receivers[i], NULL, receive, &members[i]), 0);
    for (unsigned i = 0; i < NODES; i++)
        CHECK_EQ(pthread_create(&publishers[i], NULL, publish, &members[i]), 0);
    for (unsigned i = 0; i < NODES; i++) {
        void *rc;
        pthread_join(publishers[i], &rc);
        CHECK_EQ((intptr_t)rc, 0);
    }
    for (unsigned i = 0; i < NODES; i++) {
        pthread_join(receivers[i], NULL);
        CHECK_EQ(members[i].rc, 0);
        UNTIL(atomic_load(&members[i].total_called) >= NODES * messages);
    }
    for (unsigned i = 0; i < NODES; i++) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(members[i].queued, &msg, 0), WEFT_ETIMEDOUT); /* none too many */
        CHECK_EQ(atomic_load(&members[i].total_called), NODES * messages);
        CHECK_EQ(atomic_load(&members[i].wrong), 0);
        CHECK_EQ(fx_dropped(members[i].node), 0);
    }
    for (unsigned i = 0; i < NODES; i++)
        CHECK_EQ(weft_node_close(members[i].node), 0);
    fprintf(stderr, "%s: %u nodes, %u messages of %zu MiB from each, to 2 interests on each\n",
            scheme, NODES, messages, BURST >> 20);
}

TEST(adversarial, a_burst_of_ten_windows_over_tcp)
{
    burst("tcp");
}

TEST(adversarial, a_burst_of_ten_windows_within_the_process)
{
    burst("inproc");
}

/* ---- One queue, filled from two sides ---- */

#define FEW 4000u
#define SIZE 3000u

static void *send_few(void *arg)
{
    uint8_t data[SIZE] = {0};
    intptr_t rc = 0;
    for (unsigned i = 0; i < FEW && rc == 0; i++)
        rc = weft_send(arg, data, sizeof(data));
    return (void *)rc;
}

/* A thread of the node and its loop both find room for one message: neither is dropped, since both
 * may wait. */
TEST(adversarial, a_queue_that_is_filled_from_two_sides)
{
    weft_options o = fx_options("inproc://two-sides-a/a");
    weft_node *a = fx_open_options(&o);
    weft_node *b = fx_open("inproc://two-sides-b/b", weft_node_url(a), NULL);
    weft_publish_options po;
    weft_publish_options_init(&po);
    po.block_ms = 2 * WAIT_MS;
    weft_intent *near, *far;
    CHECK_EQ(weft_publish(a, "t.T@a.x", &po, &near), 0);
    CHECK_EQ(weft_publish(b, "t.T@b.x", &po, &far), 0);
    weft_subscribe_options so;
    weft_subscribe_options_init(&so);
    so.queue = 4 * SIZE;
    so.block_ms = 2 * WAIT_MS;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(a, "t.T@*.x", &so, &in), 0);
    CHECK_EQ(weft_intent_wait(near, WAIT_MS), 0);
    CHECK_EQ(weft_intent_wait(far, WAIT_MS), 0);
    pthread_t threads[2];
    CHECK_EQ(pthread_create(&threads[0], NULL, send_few, near), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, send_few, far), 0);
    for (unsigned i = 0; i < 2 * FEW; i++) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
        weft_msg_unref(msg);
    }
    for (unsigned i = 0; i < 2; i++) {
        void *rc;
        pthread_join(threads[i], &rc);
        CHECK_EQ((intptr_t)rc, 0);
    }
    CHECK_EQ(weft_interest_dropped(in), 0);
    CHECK_EQ(weft_node_close(b), 0);
    CHECK_EQ(weft_node_close(a), 0);
}

/* ---- Routes ---- */

#define ROUTES (5120u / SCALE) /* intents that each node has, and as many interests */

struct route_owner {
    weft_intent *out[ROUTES];
    weft_interest *in[ROUTES];
};

static struct route_owner owners[NODES];

/* Some 64 bytes each. Everyone subscribes to each route of the next. */
static void declare_routes(unsigned node, uint32_t from, uint32_t to)
{
    char route[96];
    for (uint32_t r = from; r < to; r++) {
        snprintf(route, sizeof(route), "t.R@n%u.a_segment_of_some_length.and_another_one.r%u", node,
                 r);
        owners[node].out[r] = fx_publish(members[node].node, route);
        snprintf(route, sizeof(route), "t.R@n%u.a_segment_of_some_length.and_another_one.r%u",
                 (node + 1) % NODES, r);
        owners[node].in[r] = fx_subscribe(members[node].node, route);
    }
}

static void exchange_routes(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        for (uint32_t r = 0; r < ROUTES; r++)
            CHECK_EQ(weft_send(owners[i].out[r], &r, sizeof(r)), 0);
    }
    for (unsigned i = 0; i < NODES; i++) {
        for (uint32_t r = 0; r < ROUTES; r++) {
            weft_msg *msg;
            CHECK_EQ(weft_recv(owners[i].in[r], &msg, WAIT_MS), 0);
            CHECK_EQ(weft_msg_size(msg), sizeof(r));
            CHECK(memcmp(weft_msg_data(msg), &r, sizeof(r)) == 0);
            weft_msg_unref(msg);
        }
    }
    for (unsigned i = 0; i < NODES; i++) {
        CHECK_EQ(fx_stats(members[i].node).delivered, ROUTES); /* once each */
        CHECK_EQ(fx_dropped(members[i].node), 0);
    }
}

/* Half of them when the nodes do not know each other yet, half when they are linked. */
TEST(adversarial, a_burst_of_ten_lists_of_routes)
{
    char self[64];
    for (unsigned i = 0; i < NODES; i++) {
        snprintf(self, sizeof(self), "tcp://127.0.0.1:0/n%u", i);
        members[i].node = fx_open(self, NULL, NULL);
        declare_routes(i, 0, ROUTES / 2);
    }
    for (unsigned i = 1; i < NODES; i++)
        CHECK_EQ(weft_node_dial(members[i].node, weft_node_url(members[0].node), NULL), 0);
    for (unsigned i = 0; i < NODES; i++)
        CHECK_EQ(weft_node_wait_peers(members[i].node, NODES - 1, WAIT_MS), 0);
    for (unsigned i = 0; i < NODES; i++)
        declare_routes(i, ROUTES / 2, ROUTES);
    for (unsigned i = 0; i < NODES; i++)
        UNTIL(own_intents_matched(members[i].node, 1));
    exchange_routes();
    for (unsigned i = 0; i < NODES; i++)
        CHECK_EQ(weft_node_close(members[i].node), 0);
}

/* ---- The same twice ---- */

static unsigned received(weft_interest *in, const char *text, const char *last)
{
    unsigned n = 0;
    for (;;) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
        size_t size = weft_msg_size(msg);
        bool end = size == strlen(last) && memcmp(weft_msg_data(msg), last, size) == 0;
        bool same = size == strlen(text) && memcmp(weft_msg_data(msg), text, size) == 0;
        weft_msg_unref(msg);
        CHECK(end || same);
        if (end)
            return n;
        n++;
    }
}

static void *send_once(void *arg)
{
    return (void *)(intptr_t)weft_send(arg, "same", 4);
}

/* One payload, twice in one instant: from one thread, from two, and shared. */
static void the_same_twice(const char *a_self, const char *b_self)
{
    weft_node *a = fx_open(a_self, NULL, NULL), *b = fx_open(b_self, weft_node_url(a), NULL);
    weft_intent *out = fx_publish(a, "t.T@a.x");
    weft_interest *far = fx_subscribe(b, "t.T@a.x"), *near = fx_subscribe(a, "t.T@a.x");
    UNTIL(own_intents_matched(a, 2));
    CHECK_EQ(weft_send(out, "same", 4), 0);
    CHECK_EQ(weft_send(out, "same", 4), 0);
    weft_msg *msg;
    CHECK_EQ(weft_msg_new(4, &msg), 0);
    memcpy(weft_msg_data(msg), "same", 4);
    CHECK_EQ(weft_send_msg(out, msg), 0);
    CHECK_EQ(weft_send_msg(out, msg), 0);
    weft_msg_unref(msg);
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, send_once, out), 0);
    for (unsigned i = 0; i < 2; i++) {
        void *rc;
        pthread_join(threads[i], &rc);
        CHECK_EQ((intptr_t)rc, 0);
    }
    CHECK_EQ(weft_send(out, "last", 4), 0);
    CHECK_EQ(received(far, "same", "last"), 6);
    CHECK_EQ(received(near, "same", "last"), 6);
    CHECK_EQ(weft_node_close(b), 0);
    CHECK_EQ(weft_node_close(a), 0);
}

TEST(adversarial, the_same_payload_twice_in_one_instant)
{
    the_same_twice("tcp://127.0.0.1:0/a", "tcp://127.0.0.1:0/b");
    the_same_twice("inproc://twice-a/a", "inproc://twice-b/b");
}
