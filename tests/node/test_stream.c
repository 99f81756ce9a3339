/* What is sent arrives: once, in order, byte for byte, on every subscriber, with default options
 * but for patience.
 *
 * The content of a message follows from its publisher and its number, its size too. So a receiver
 * knows what must come next, and anything lost, doubled, swapped or changed shows at once. */
#include "fixture.h"

#include <stdatomic.h>

#include "base/prng.h"

#define PUBLISHERS 3
#define SUBSCRIBERS 3
#if INSTRUMENTED
#define MESSAGES 6000u
#else
#define MESSAGES 100000u
#endif
#define SMALL_MAX 2000u
#define LARGE (1u << 20)
#define LARGE_EVERY (MESSAGES / 4)

static uint8_t noise[2 * LARGE];

static void make_noise(void)
{
    struct prng prng;
    prng_init(&prng, 20240607);
    prng_fill(&prng, noise, sizeof(noise));
}

static size_t content(unsigned publisher, uint32_t number, const uint8_t **ret_data)
{
    uint32_t mixed = (number + 1) * UINT32_C(2654435761) ^ (publisher + 1) * UINT32_C(40503);
    *ret_data = noise + mixed % LARGE;
    return number % LARGE_EVERY == 777 ? LARGE : (mixed >> 7) % (SMALL_MAX + 1);
}

struct subscriber {
    weft_node *node;
    weft_interest *interests[PUBLISHERS];
    uint32_t next[PUBLISHERS]; /* number expected from each */
    atomic_uint total, wrong;
};

static struct subscriber subscribers[SUBSCRIBERS];

static void check_message(struct subscriber *s, const weft_msg *msg)
{
    unsigned p = (unsigned)(weft_msg_route(msg)[strlen("t.S@p")] - '0');
    const uint8_t *data;
    size_t size = p < PUBLISHERS ? content(p, s->next[p], &data) : 0;
    if (p >= PUBLISHERS || weft_msg_size(msg) != size ||
        memcmp(weft_msg_data(msg), data, size) != 0)
        atomic_fetch_add(&s->wrong, 1);
    if (p < PUBLISHERS)
        s->next[p]++;
    atomic_fetch_add(&s->total, 1);
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    check_message(user, msg);
}

static void *receive(void *arg)
{
    struct subscriber *s = arg;
    weft_msg *msg;
    for (uint32_t i = 0; i < PUBLISHERS * MESSAGES; i++) {
        if (weft_recv(s->interests[0], &msg, WAIT_MS) < 0)
            break;
        check_message(s, msg);
        weft_msg_unref(msg);
    }
    return NULL;
}

struct publisher {
    weft_node *node;
    weft_intent *out;
    unsigned index;
    int rc;
};

static void *publish(void *arg)
{
    struct publisher *p = arg;
    for (uint32_t i = 0; i < MESSAGES && p->rc == 0; i++) {
        const uint8_t *data;
        size_t size = content(p->index, i, &data);
        p->rc = weft_send(p->out, data, size);
    }
    return NULL;
}

/* The first subscriber takes messages by weft_recv and one pattern, the others by callbacks. */
static void subscribe(unsigned s)
{
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.user = &subscribers[s];
    o.block_ms = WAIT_MS;
    if (s == 0) {
        subscribers[s].interests[0] = fx_subscribe(subscribers[s].node, "t.S@*.s");
        return;
    }
    o.on_message = on_message;
    for (unsigned p = 0; p < PUBLISHERS; p++) {
        char route[32];
        snprintf(route, sizeof(route), "t.S@p%u.s", p);
        CHECK_EQ(weft_subscribe(subscribers[s].node, route, &o, &subscribers[s].interests[p]), 0);
    }
}

static struct publisher publishers[PUBLISHERS];

static void wait_matches(weft_node *node, uint32_t matches)
{
    uint32_t found = 0;
    do {
        weft_route_info *routes;
        size_t n;
        CHECK_EQ(weft_node_routes(node, &routes, &n), 0);
        for (size_t i = 0; i < n; i++) {
            if (routes[i].intent && !routes[i].peer)
                found = routes[i].matches;
        }
        weft_routes_free(routes, n);
    } while (found < matches);
}

static void name(char *buf, size_t size, bool tcp, char kind, unsigned i)
{
    if (tcp)
        snprintf(buf, size, "tcp://127.0.0.1:0/%c%u", kind, i);
    else
        snprintf(buf, size, "inproc://stream-%c%u/%c%u", kind, i, kind, i);
}

static void open_all(bool tcp)
{
    char self[64];
    for (unsigned p = 0; p < PUBLISHERS; p++) {
        name(self, sizeof(self), tcp, 'p', p);
        publishers[p] = (struct publisher){.node = fx_open(self, NULL, NULL), .index = p};
        snprintf(self, sizeof(self), "t.S@p%u.s", p);
        publishers[p].out = fx_publish(publishers[p].node, self);
    }
    for (unsigned s = 0; s < SUBSCRIBERS; s++) {
        name(self, sizeof(self), tcp, 's', s);
        subscribers[s].node = fx_open(self, weft_node_url(publishers[0].node), NULL);
        subscribe(s);
        for (unsigned p = 1; p < PUBLISHERS; p++)
            CHECK_EQ(weft_node_dial(subscribers[s].node, weft_node_url(publishers[p].node), NULL),
                     0);
    }
    for (unsigned p = 0; p < PUBLISHERS; p++)
        wait_matches(publishers[p].node, SUBSCRIBERS);
}

static void run(bool tcp)
{
    make_noise();
    open_all(tcp);
    uint64_t start = fx_now_ms();
    pthread_t senders[PUBLISHERS], receiver;
    CHECK_EQ(pthread_create(&receiver, NULL, receive, &subscribers[0]), 0);
    for (unsigned p = 0; p < PUBLISHERS; p++)
        CHECK_EQ(pthread_create(&senders[p], NULL, publish, &publishers[p]), 0);
    for (unsigned p = 0; p < PUBLISHERS; p++) {
        pthread_join(senders[p], NULL);
        CHECK_EQ(publishers[p].rc, 0);
    }
    pthread_join(receiver, NULL);
    for (unsigned s = 0; s < SUBSCRIBERS; s++) {
        UNTIL(atomic_load(&subscribers[s].total) == PUBLISHERS * MESSAGES);
        CHECK_EQ(subscribers[s].wrong, 0);
        CHECK_EQ(fx_dropped(subscribers[s].node), 0);
        CHECK_EQ(weft_interest_dropped(subscribers[s].interests[0]), 0);
        CHECK_EQ(fx_stats(subscribers[s].node).delivered, PUBLISHERS * MESSAGES);
    }
    fprintf(stderr, "%u deliveries in %llu ms\n", PUBLISHERS * SUBSCRIBERS * MESSAGES,
            (unsigned long long)(fx_now_ms() - start));
    for (unsigned p = 0; p < PUBLISHERS; p++) {
        CHECK_EQ(fx_dropped(publishers[p].node), 0);
        weft_node_close(publishers[p].node);
    }
    for (unsigned s = 0; s < SUBSCRIBERS; s++)
        weft_node_close(subscribers[s].node);
}

TEST(stream, three_to_three_over_tcp)
{
    run(true);
}

TEST(stream, three_to_three_over_inproc)
{
    run(false);
}

/* ---- Single streams ---- */

struct pair {
    weft_node *from, *to;
    weft_intent *out;
    weft_interest *in;
    atomic_bool stop; /* the thread that sends */
};

static struct pair open_pair(const weft_publish_options *options)
{
    struct pair p;
    p.from = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    p.to = fx_open("tcp://127.0.0.1:0/b", weft_node_url(p.from), NULL);
    p.in = fx_subscribe(p.to, "t.P@a.out");
    CHECK_EQ(weft_publish(p.from, "t.P@a.out", options, &p.out), 0);
    CHECK_EQ(weft_intent_wait(p.out, WAIT_MS), 0);
    return p;
}

static void expect_numbers(weft_interest *in, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        weft_msg *msg;
        int rc = weft_recv(in, &msg, WAIT_MS);
        if (rc < 0)
            FAIL("message %u of %u: %s", i, count, weft_strerror(rc));
        CHECK_EQ(weft_msg_size(msg), sizeof(i));
        CHECK_MEM(weft_msg_data(msg), &i, sizeof(i));
        weft_msg_unref(msg);
    }
}

static void send_numbers(weft_intent *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(weft_send(out, &i, sizeof(i)), 0);
}

TEST(stream, identical_payloads_all_arrive)
{
    enum { BURST = 20000 };
    struct pair p = open_pair(NULL);
    for (int i = 0; i < BURST; i++)
        CHECK_EQ(weft_send(p.out, "the same", 8), 0);
    for (int i = 0; i < BURST; i++) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(p.in, &msg, WAIT_MS), 0);
        CHECK_EQ(weft_msg_size(msg), 8);
        CHECK_MEM(weft_msg_data(msg), "the same", 8);
        weft_msg_unref(msg);
    }
    weft_intent_close(p.out);
    UNTIL(fx_stats(p.to).remote_intents == 0);
    weft_msg *msg;
    CHECK_EQ(weft_recv(p.in, &msg, 0), WEFT_ETIMEDOUT);
    weft_node_close(p.from);
    weft_node_close(p.to);
}

TEST(stream, sent_before_the_intent_closes)
{
    struct pair p = open_pair(NULL);
    send_numbers(p.out, 5000);
    weft_intent_close(p.out);
    expect_numbers(p.in, 5000);
    weft_node_close(p.from);
    weft_node_close(p.to);
}

TEST(stream, sent_before_the_node_closes)
{
    struct pair p = open_pair(NULL);
    send_numbers(p.out, 5000);
    CHECK_EQ(weft_node_close(p.from), 0);
    expect_numbers(p.in, 5000);
    weft_node_close(p.to);
}

static void last_of_keep_last(void (*end)(struct pair *p))
{
    weft_publish_options o;
    weft_publish_options_init(&o);
    o.policy = WEFT_KEEP_LAST;
    struct pair p = open_pair(&o);
    for (uint32_t i = 0; i < 1000; i++)
        CHECK_EQ(weft_send(p.out, &i, sizeof(i)), 0);
    end(&p);
    uint32_t number = 0;
    while (number < 999) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(p.in, &msg, 5000), 0);
        memcpy(&number, weft_msg_data(msg), sizeof(number));
        weft_msg_unref(msg);
    }
    if (p.from)
        weft_node_close(p.from);
    weft_node_close(p.to);
}

static void end_intent(struct pair *p)
{
    weft_intent_close(p->out);
}

static void end_node(struct pair *p)
{
    weft_node_close(p->from);
    p->from = NULL;
}

TEST(stream, the_last_of_keep_last_arrives)
{
    for (int i = 0; i < 20; i++) {
        last_of_keep_last(end_intent);
        last_of_keep_last(end_node);
    }
}

TEST(stream, counters_survive_the_link)
{
    struct pair p = open_pair(NULL);
    send_numbers(p.out, 100);
    expect_numbers(p.in, 100);
    CHECK_EQ(fx_stats(p.from).messages_out, 100);
    CHECK_EQ(weft_node_forget(p.from, weft_node_url(p.to)), 0);
    UNTIL(fx_peer_count(p.from) == 0 && fx_peer_count(p.to) == 0);
    CHECK_EQ(weft_node_close(p.to), 0);
    CHECK_EQ(fx_stats(p.from).messages_out, 100);
    CHECK(fx_stats(p.from).bytes_out > 100 * sizeof(uint32_t));
    weft_node_close(p.from);
}

TEST(stream, between_handles_of_one_node)
{
    weft_node *node = fx_open("inproc://alone/a", NULL, NULL);
    weft_interest *in = fx_subscribe(node, "t.P@a.out"), *too = fx_subscribe(node, "*@a.**");
    weft_intent *out = fx_publish(node, "t.P@a.out");
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_interest_wait(in, WAIT_MS), 0);
    CHECK_EQ(weft_interest_wait(too, WAIT_MS), 0);
    send_numbers(out, 1000);
    expect_numbers(in, 1000);
    expect_numbers(too, 1000);
    CHECK_EQ(fx_stats(node).delivered, 2000);
    weft_node_close(node);
}

static void *send_on(void *arg)
{
    struct pair *p = arg;
    char data[100] = {0};
    while (!atomic_load(&p->stop)) {
        int rc = weft_send(p->out, data, sizeof(data));
        CHECK(rc == 0 || rc == WEFT_EDROPPED);
    }
    return NULL;
}

/* A thread sends on while subscribers come and go at once, so that it is often the loop's own write
 * that finds the connection gone. */
TEST(stream, subscribers_go_while_a_thread_sends)
{
    weft_publish_options po;
    weft_publish_options_init(&po);
    po.policy = WEFT_REFUSE;
    struct pair p = {.from = fx_open("inproc://going/a", NULL, NULL)};
    CHECK_EQ(weft_publish(p.from, "t.P@a.out", &po, &p.out), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, send_on, &p), 0);
    const char *const peers[] = {"inproc://going/a", NULL};
    for (int i = 0; i < 100; i++) {
        weft_options o = fx_options(NULL);
        o.peers = peers;
        o.role = WEFT_ROLE_CLIENT;
        o.linger_ms = 0;
        p.to = fx_open_options(&o);
        p.in = fx_subscribe(p.to, "t.P@a.out");
        weft_msg *msg;
        CHECK_EQ(weft_recv(p.in, &msg, WAIT_MS), 0);
        weft_msg_unref(msg);
        CHECK_EQ(weft_node_close(p.to), 0);
    }
    atomic_store(&p.stop, true);
    pthread_join(thread, NULL);
    CHECK_EQ(weft_node_close(p.from), 0);
}
