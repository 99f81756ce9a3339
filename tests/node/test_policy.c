/* No room: what each policy does to the peer that has none, that nobody else notices, and that
 * every message that is missing is counted.
 *
 * The slow subscriber's callback waits on a semaphore, which stops its node's whole loop. The other
 * one acknowledges every message before the next is sent, so that its own outbox never fills. */
#include "fixture.h"

#include <semaphore.h>
#include <stdatomic.h>

#define MESSAGES 4000u
#define SIZE 1000u
#define OUTBOX (64u << 10)

struct side {
    weft_node *node;
    weft_interest *in;
    sem_t *gate; /* NULL: reads on */
    atomic_uint got;
    uint32_t last; /* number of the last message */
    atomic_uint disorder;
};

static sem_t gate;

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct side *s = user;
    uint32_t number;
    memcpy(&number, weft_msg_data(msg), sizeof(number));
    if (s->gate)
        sem_wait(s->gate);
    if (atomic_load(&s->got) && number <= s->last)
        atomic_fetch_add(&s->disorder, 1);
    s->last = number;
    atomic_fetch_add(&s->got, 1);
}

struct scene {
    weft_node *from;
    weft_intent *out;
    struct side slow, quick;
    uint32_t sent, refused;
};

static void open_side(struct side *s, const char *self, weft_node *from, sem_t *g)
{
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = on_message;
    o.user = s;
    *s = (struct side){.gate = g};
    s->node = fx_open(self, weft_node_url(from), NULL);
    CHECK_EQ(weft_subscribe(s->node, "t.P@a.out", &o, &s->in), 0);
}

static uint32_t matches_of(weft_node *node)
{
    weft_route_info *routes;
    size_t n;
    uint32_t matches = 0;
    CHECK_EQ(weft_node_routes(node, &routes, &n), 0);
    for (size_t i = 0; i < n; i++)
        matches += routes[i].intent && !routes[i].peer ? routes[i].matches : 0;
    weft_routes_free(routes, n);
    return matches;
}

static void open_scene(struct scene *s, enum weft_policy policy, uint32_t block_ms)
{
    *s = (struct scene){0};
    sem_init(&gate, 0, 0);
    weft_options o = fx_options("inproc://policy-a/a");
    o.outbox = OUTBOX;
    s->from = fx_open_options(&o);
    weft_publish_options po;
    weft_publish_options_init(&po);
    po.policy = policy;
    po.block_ms = block_ms;
    CHECK_EQ(weft_publish(s->from, "t.P@a.out", &po, &s->out), 0);
    open_side(&s->slow, "inproc://policy-s/s", s->from, &gate);
    open_side(&s->quick, "inproc://policy-q/q", s->from, NULL);
    UNTIL(matches_of(s->from) == 2);
}

static int send_one(struct scene *s, int (*send)(weft_intent *, const void *, size_t))
{
    uint8_t data[SIZE] = {0};
    memcpy(data, &s->sent, sizeof(s->sent));
    int rc = send(s->out, data, sizeof(data));
    if (rc == 0 || rc == WEFT_EDROPPED)
        s->sent++;
    s->refused += rc == WEFT_EDROPPED;
    UNTIL(atomic_load(&s->quick.got) == s->sent);
    return rc;
}

static void send_all(struct scene *s)
{
    while (s->sent < MESSAGES) {
        int rc = send_one(s, weft_send);
        CHECK(rc == 0 || rc == WEFT_EDROPPED);
    }
}

static void release_slow(void)
{
    for (uint32_t i = 0; i < 2 * MESSAGES; i++) /* more than are ever sent */
        sem_post(&gate);
}

static uint64_t peer_dropped(weft_node *node, const char *url, enum weft_drop reason,
                             uint64_t *ret_all)
{
    weft_peer_info *peers;
    size_t n;
    uint64_t dropped = 0, all = 0;
    CHECK_EQ(weft_node_peers(node, &peers, &n), 0);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(peers[i].url, url) != 0)
            continue;
        dropped = peers[i].dropped[reason];
        for (int r = 0; r < WEFT_DROP_REASONS; r++)
            all += peers[i].dropped[r];
    }
    weft_peers_free(peers, n);
    *ret_all = all;
    return dropped;
}

static uint64_t route_dropped(weft_node *node, enum weft_drop reason)
{
    weft_route_info *routes;
    size_t n;
    uint64_t dropped = 0;
    CHECK_EQ(weft_node_routes(node, &routes, &n), 0);
    for (size_t i = 0; i < n; i++) {
        if (routes[i].intent && !routes[i].peer)
            dropped = routes[i].dropped[reason];
    }
    weft_routes_free(routes, n);
    return dropped;
}

/* Everything sent has arrived, or is counted in three places for the one reason. */
static void check_account(struct scene *s, enum weft_drop reason)
{
    UNTIL(atomic_load(&s->slow.got) + fx_stats(s->from).dropped[reason] == s->sent &&
          fx_stats(s->from).outbox_bytes == 0);
    uint64_t all, dropped = fx_stats(s->from).dropped[reason];
    CHECK(dropped > 0);
    CHECK_EQ(fx_dropped(s->from), dropped);
    CHECK_EQ(peer_dropped(s->from, weft_node_url(s->slow.node), reason, &all), dropped);
    CHECK_EQ(all, dropped);
    peer_dropped(s->from, weft_node_url(s->quick.node), reason, &all);
    CHECK_EQ(all, 0);
    CHECK_EQ(route_dropped(s->from, reason), dropped);
    CHECK_EQ(s->slow.disorder, 0);
    CHECK_EQ(s->quick.disorder, 0);
    CHECK_EQ(s->quick.got, s->sent);
}

static void close_scene(struct scene *s)
{
    weft_node_close(s->from);
    weft_node_close(s->slow.node);
    weft_node_close(s->quick.node);
    sem_destroy(&gate);
}

TEST(policy, refuse)
{
    static struct scene s;
    open_scene(&s, WEFT_REFUSE, 0);
    send_all(&s);
    CHECK_EQ(fx_stats(s.from).dropped[WEFT_DROP_REFUSED], s.refused);
    release_slow();
    check_account(&s, WEFT_DROP_REFUSED);
    close_scene(&s);
}

TEST(policy, drop_oldest)
{
    static struct scene s;
    open_scene(&s, WEFT_DROP_OLDEST, 0);
    send_all(&s);
    CHECK_EQ(s.refused, 0);
    CHECK(fx_stats(s.from).outbox_bytes <= OUTBOX + SIZE + 64);
    release_slow();
    check_account(&s, WEFT_DROP_OLD);
    CHECK_EQ(s.slow.last, MESSAGES - 1);
    close_scene(&s);
}

TEST(policy, keep_last)
{
    static struct scene s;
    open_scene(&s, WEFT_KEEP_LAST, 0);
    send_all(&s);
    CHECK_EQ(s.refused, 0);
    release_slow();
    check_account(&s, WEFT_DROP_REPLACED);
    CHECK_EQ(s.slow.last, MESSAGES - 1);
    close_scene(&s);
}

TEST(policy, block_waits_once_for_a_peer_that_stopped)
{
    static struct scene s;
    open_scene(&s, WEFT_BLOCK, 100);
    while (s.refused == 0)
        send_one(&s, weft_send);
    uint64_t start = fx_now_ms();
    uint32_t before = s.sent;
    while (s.sent < before + 200)
        CHECK_EQ(send_one(&s, weft_send), WEFT_EDROPPED);
    CHECK(fx_now_ms() - start < 200 * 100 / 2);
    release_slow();
    check_account(&s, WEFT_DROP_TIMEOUT);
    CHECK_EQ(send_one(&s, weft_send), 0); /* it has room, and is waited for again */
    UNTIL(atomic_load(&s.slow.got) + s.refused == s.sent);
    close_scene(&s);
}

TEST(policy, block_without_time_is_refusal)
{
    static struct scene s;
    open_scene(&s, WEFT_BLOCK, 0);
    send_all(&s);
    release_slow();
    check_account(&s, WEFT_DROP_TIMEOUT);
    close_scene(&s);
}

TEST(policy, try_send_is_all_or_nothing)
{
    static const enum weft_policy policies[] = {WEFT_BLOCK, WEFT_REFUSE, WEFT_DROP_OLDEST};
    for (int i = 0; i < 3; i++) {
        static struct scene s;
        open_scene(&s, policies[i], 1000);
        int rc = 0;
        while (rc == 0)
            rc = send_one(&s, weft_try_send);
        CHECK_EQ(rc, WEFT_EAGAIN);
        for (int again = 0; again < 100; again++)
            CHECK_EQ(send_one(&s, weft_try_send), WEFT_EAGAIN);
        release_slow();
        UNTIL(atomic_load(&s.slow.got) == s.sent);
        CHECK_EQ(s.quick.got, s.sent);
        CHECK_EQ(fx_dropped(s.from), 0);
        CHECK_EQ(send_one(&s, weft_try_send), 0);
        close_scene(&s);
    }
}

/* A peer that goes with messages queued for it: they are counted as lost with the link. */
TEST(policy, a_link_that_goes_takes_its_queue)
{
    static struct scene s;
    open_scene(&s, WEFT_REFUSE, 0);
    while (s.refused == 0)
        send_one(&s, weft_send);
    CHECK_EQ(weft_node_forget(s.from, weft_node_url(s.slow.node)), 0);
    UNTIL(fx_peer_count(s.from) == 1);
    UNTIL(fx_stats(s.from).outbox_bytes == 0);
    weft_stats stats = fx_stats(s.from);
    CHECK_EQ(stats.dropped[WEFT_DROP_REFUSED], s.refused);
    CHECK(stats.dropped[WEFT_DROP_LINK] > 0);
    CHECK_EQ(route_dropped(s.from, WEFT_DROP_LINK), stats.dropped[WEFT_DROP_LINK]);
    release_slow();
    CHECK_EQ(send_one(&s, weft_send), 0);
    close_scene(&s);
}

/* Sending goes on when a blocked sender's peer goes for good. */
struct blocked {
    weft_intent *out;
    atomic_uint sent;
    atomic_bool stop;
};

static void *send_on(void *arg)
{
    struct blocked *b = arg;
    uint8_t data[SIZE] = {0};
    while (!atomic_load(&b->stop)) {
        if (weft_send(b->out, data, sizeof(data)) == WEFT_ECLOSED)
            break;
        atomic_fetch_add(&b->sent, 1);
    }
    return NULL;
}

TEST(policy, a_blocked_sender_is_freed_when_the_peer_goes)
{
    static struct scene s;
    open_scene(&s, WEFT_BLOCK, 60000);
    struct blocked b = {.out = s.out};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, send_on, &b), 0);
    UNTIL(fx_stats(s.from).outbox_bytes + SIZE + 64 > OUTBOX);
    unsigned before = atomic_load(&b.sent);
    CHECK_EQ(weft_node_forget(s.from, weft_node_url(s.slow.node)), 0);
    UNTIL(atomic_load(&b.sent) > before + 100);
    atomic_store(&b.stop, true);
    pthread_join(thread, NULL);
    release_slow();
    close_scene(&s);
}

/* ---- Queues of weft_recv ---- */

struct queued {
    weft_node *from, *to;
    weft_intent *out;
    weft_interest *in;
};

static struct queued open_queue(enum weft_policy policy, size_t queue)
{
    struct queued q;
    q.from = fx_open("inproc://queue-a/a", NULL, NULL);
    q.to = fx_open("inproc://queue-b/b", weft_node_url(q.from), NULL);
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.policy = policy;
    o.queue = queue;
    o.block_ms = 50;
    CHECK_EQ(weft_subscribe(q.to, "t.P@a.out", &o, &q.in), 0);
    q.out = fx_publish(q.from, "t.P@a.out");
    CHECK_EQ(weft_intent_wait(q.out, WAIT_MS), 0);
    return q;
}

static void send_numbered(weft_intent *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t data[SIZE] = {0};
        memcpy(data, &i, sizeof(i));
        CHECK_EQ(weft_send(out, data, sizeof(data)), 0);
    }
}

/* Take what is queued; returns how many, and the numbers of the first and last. */
static uint32_t drain(weft_interest *in, uint32_t *ret_first, uint32_t *ret_last)
{
    uint32_t n = 0;
    weft_msg *msg;
    while (weft_recv(in, &msg, 0) == 0) {
        memcpy(ret_last, weft_msg_data(msg), sizeof(*ret_last));
        if (n++ == 0)
            *ret_first = *ret_last;
        weft_msg_unref(msg);
    }
    return n;
}

static void queue_policy(enum weft_policy policy, enum weft_drop reason, bool keeps_first,
                         bool keeps_last)
{
    enum { N = 200 };
    struct queued q = open_queue(policy, 20 * SIZE);
    send_numbered(q.out, N);
    UNTIL(fx_stats(q.to).messages_in == N);
    uint32_t first = 0, last = 0, n = drain(q.in, &first, &last);
    CHECK(n > 0 && n <= 20);
    CHECK_EQ(n + weft_interest_dropped(q.in), N);
    CHECK_EQ(n + fx_stats(q.to).dropped[reason], N);
    weft_interest_close(q.in);
    CHECK_EQ(n + fx_dropped(q.to), N); /* for no other reason, and for good */
    CHECK_EQ(first == 0, keeps_first);
    CHECK_EQ(last == N - 1, keeps_last);
    weft_node_close(q.from);
    weft_node_close(q.to);
}

TEST(policy, queue_refuse)
{
    queue_policy(WEFT_REFUSE, WEFT_DROP_REFUSED, true, false);
}

TEST(policy, queue_drop_oldest)
{
    queue_policy(WEFT_DROP_OLDEST, WEFT_DROP_OLD, false, true);
}

TEST(policy, queue_keep_last)
{
    queue_policy(WEFT_KEEP_LAST, WEFT_DROP_REPLACED, false, true);
}

TEST(policy, queue_block_runs_out_of_time)
{
    queue_policy(WEFT_BLOCK, WEFT_DROP_TIMEOUT, true, false);
}

/* A queue of this node for which a sender has waited in vain once has no room all the same. */
TEST(policy, try_send_to_a_full_queue)
{
    weft_node *node = fx_open("inproc://queue-a/a", NULL, NULL);
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.queue = 20 * SIZE;
    o.block_ms = 50;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(node, "t.P@a.out", &o, &in), 0);
    weft_intent *out = fx_publish(node, "t.P@a.out");
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    uint8_t data[SIZE] = {0};
    while (weft_try_send(out, data, sizeof(data)) == 0)
        ;
    weft_publish_options po;
    weft_publish_options_init(&po);
    po.block_ms = 10;
    weft_intent *waits;
    CHECK_EQ(weft_publish(node, "t.P@a.out", &po, &waits), 0);
    CHECK_EQ(weft_intent_wait(waits, WAIT_MS), 0);
    CHECK_EQ(weft_send(waits, data, sizeof(data)), WEFT_EDROPPED);
    CHECK_EQ(weft_interest_dropped(in), 1);
    CHECK_EQ(weft_try_send(out, data, sizeof(data)), WEFT_EAGAIN);
    CHECK_EQ(weft_interest_dropped(in), 1);
    CHECK_EQ(fx_dropped(node), 1);
    weft_node_close(node);
}

/* ---- Back pressure ---- */

#define PRESSURE_FROM 3
#define PRESSURE_EACH 3000u

static void *send_pressure(void *arg)
{
    send_numbered(arg, PRESSURE_EACH);
    return NULL;
}

/* Several links share one small queue whose reader is slow: all of them pause and go on, again and
 * again, and nothing is lost. */
TEST(policy, back_pressure_loses_nothing)
{
    weft_node *to = fx_open("inproc://press/b", NULL, NULL), *from[PRESSURE_FROM];
    weft_intent *out[PRESSURE_FROM];
    pthread_t threads[PRESSURE_FROM];
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.queue = 8 * SIZE;
    o.block_ms = 10000;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(to, "t.P@*.out", &o, &in), 0);
    for (int i = 0; i < PRESSURE_FROM; i++) {
        char text[64];
        snprintf(text, sizeof(text), "inproc://press-%d/p%d", i, i);
        from[i] = fx_open(text, weft_node_url(to), NULL);
        snprintf(text, sizeof(text), "t.P@p%d.out", i);
        out[i] = fx_publish(from[i], text);
        CHECK_EQ(weft_intent_wait(out[i], WAIT_MS), 0);
    }
    for (int i = 0; i < PRESSURE_FROM; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, send_pressure, out[i]), 0);
    uint32_t next[PRESSURE_FROM] = {0};
    for (uint32_t n = 0; n < PRESSURE_FROM * PRESSURE_EACH; n++) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
        unsigned p = (unsigned)(weft_msg_route(msg)[strlen("t.P@p")] - '0');
        CHECK_MEM(weft_msg_data(msg), &next[p], sizeof(next[p]));
        next[p]++;
        weft_msg_unref(msg);
        if (n % 64 == 0) /* the loop goes round, whatever pauses */
            CHECK_EQ(fx_stats(to).peers, PRESSURE_FROM);
    }
    for (int i = 0; i < PRESSURE_FROM; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(weft_interest_dropped(in), 0);
    CHECK_EQ(fx_dropped(to), 0);
    for (int i = 0; i < PRESSURE_FROM; i++) {
        CHECK_EQ(fx_dropped(from[i]), 0);
        weft_node_close(from[i]);
    }
    weft_node_close(to);
}

/* A queue that stays full for longer than a silent peer is allowed to live: nothing is read from
 * the link, and still neither side takes the other for dead. */
TEST(policy, a_long_pause_is_not_silence)
{
    weft_node *to = fx_open("inproc://long/b", NULL, NULL);
    weft_node *from = fx_open("inproc://long-a/p0", weft_node_url(to), NULL);
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.queue = 8 * SIZE;
    o.block_ms = 60000;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(to, "t.P@p0.out", &o, &in), 0);
    weft_intent *out = fx_publish(from, "t.P@p0.out");
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    send_numbered(out, PRESSURE_EACH);
    CHECK_EQ(weft_node_wait_peers(from, 2, 12000), WEFT_ETIMEDOUT); /* 10 s is dead */
    for (uint32_t n = 0; n < PRESSURE_EACH; n++) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(in, &msg, 5000), 0);
        CHECK_MEM(weft_msg_data(msg), &n, sizeof(n));
        weft_msg_unref(msg);
    }
    CHECK_EQ(fx_dropped(from), 0);
    weft_node_close(from);
    weft_node_close(to);
}
