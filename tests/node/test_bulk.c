/* Floods: senders write themselves, and nothing of it may show. What is sent arrives once, in order
 * and byte for byte, whoever wrote it; what a burst leaves behind follows; and a link may end at
 * any moment. Streams go over tcp and unix, for elsewhere senders do not write. */
#include "fixture.h"

#include <stdatomic.h>

#include "base/prng.h"

#if INSTRUMENTED
#define BURST 20000u
#define MIXED 3000u
#define DEATHS 6
#else
#define BURST 200000u
#define MIXED 30000u
#define DEATHS 20
#endif
#define SENDERS 2
#define LARGEST (300u << 10)

static uint8_t noise[2 * LARGEST];

/* Size and place of message `n` of a sender. Most are small, some too large to be copied. */
static size_t content(unsigned sender, uint32_t n, const uint8_t **ret_data)
{
    uint32_t mixed = (n + 1) * UINT32_C(2654435761) ^ (sender + 1) * UINT32_C(97);
    *ret_data = noise + (mixed >> 3) % LARGEST;
    switch (mixed % 64) {
    case 0:
        return LARGEST - mixed % 1000;
    case 1:
        return (17u << 10) + mixed % 5000;
    default:
        return mixed % 1200;
    }
}

struct pair {
    weft_node *from, *to;
    weft_intent *out[SENDERS];
    weft_interest *in[SENDERS];
    uint32_t next[SENDERS];
    atomic_uint total, wrong;
    bool mixed;
};

static void check(struct pair *p, const weft_msg *msg)
{
    unsigned s = (unsigned)(weft_msg_route(msg)[strlen("t.S@f.")] - '0');
    const uint8_t *data;
    uint32_t n = p->next[s]++;
    size_t size = sizeof(n);
    if (p->mixed)
        size = content(s, n, &data);
    else
        data = (const uint8_t *)&n;
    if (weft_msg_size(msg) != size || memcmp(weft_msg_data(msg), data, size) != 0)
        atomic_fetch_add(&p->wrong, 1);
    atomic_fetch_add(&p->total, 1);
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    check(user, msg);
}

static char folder[64];

static void name(char *text, size_t size, const char *scheme, const char *side)
{
    if (strcmp(scheme, "tcp") == 0)
        snprintf(text, size, "tcp://127.0.0.1:0/%s", side);
    else
        snprintf(text, size, "unix://%s/%s.sock/%s", folder, side, side);
}

static void open_pair(struct pair *p, const char *scheme, bool callbacks)
{
    char from[128], to[128], route[16];
    fx_mkdir(folder, sizeof(folder));
    name(to, sizeof(to), scheme, "to");
    name(from, sizeof(from), scheme, "f");
    p->to = fx_open(to, NULL, NULL);
    p->from = fx_open(from, weft_node_url(p->to), NULL);
    weft_subscribe_options so;
    weft_subscribe_options_init(&so);
    so.block_ms = WAIT_MS;
    so.queue = 1 << 20;
    so.on_message = callbacks ? on_message : NULL;
    so.user = p;
    weft_publish_options po;
    weft_publish_options_init(&po);
    po.block_ms = WAIT_MS;
    for (int s = 0; s < SENDERS; s++) {
        snprintf(route, sizeof(route), "t.S@f.%d", s);
        CHECK_EQ(weft_subscribe(p->to, route, &so, &p->in[s]), 0);
        CHECK_EQ(weft_publish(p->from, route, &po, &p->out[s]), 0);
        CHECK_EQ(weft_intent_wait(p->out[s], WAIT_MS), 0);
    }
}

static void close_pair(struct pair *p)
{
    weft_node_close(p->from);
    weft_node_close(p->to);
    fx_rmdir(folder);
}

/* ---- What a burst leaves behind ---- */

static void bursts(const char *scheme)
{
    struct pair p = {0};
    open_pair(&p, scheme, true);
    uint32_t sent = 0;
    for (uint32_t burst = BURST; burst > 0; burst /= 3) {
        for (uint32_t i = 0; i < burst; i++, sent++)
            CHECK_EQ(weft_send(p.out[0], &sent, sizeof(sent)), 0);
        UNTIL(atomic_load(&p.total) == sent);
    }
    CHECK_EQ(p.wrong, 0);
    CHECK_EQ(fx_stats(p.from).messages_out, sent);
    CHECK_EQ(fx_stats(p.to).messages_in, sent);
    CHECK_EQ(fx_dropped(p.from), 0);
    close_pair(&p);
}

TEST(bulk, every_burst_arrives_to_its_last_message_over_tcp)
{
    bursts("tcp");
}

TEST(bulk, every_burst_arrives_to_its_last_message_over_unix)
{
    bursts("unix");
}

/* ---- Two threads, all sizes, a receiver that is too slow ---- */

struct sender {
    struct pair *pair;
    unsigned index;
    pthread_t thread, receiver;
    int rc, recv_rc;
};

static void *send_mixed(void *arg)
{
    struct sender *s = arg;
    for (uint32_t n = 0; n < MIXED && s->rc == 0; n++) {
        const uint8_t *data;
        size_t size = content(s->index, n, &data);
        s->rc = weft_send(s->pair->out[s->index], data, size);
    }
    return NULL;
}

/* Each queue has a thread of its own: one that nobody empties holds up the whole link. */
static void *receive_mixed(void *arg)
{
    struct sender *s = arg;
    weft_msg *msg;
    for (uint32_t n = 0; n < MIXED && s->recv_rc == 0; n++) {
        s->recv_rc = weft_recv(s->pair->in[s->index], &msg, WAIT_MS);
        if (s->recv_rc < 0)
            break;
        check(s->pair, msg);
        weft_msg_unref(msg);
    }
    return NULL;
}

static void mixed(const char *scheme, bool callbacks)
{
    struct pair p = {.mixed = true};
    struct sender senders[SENDERS];
    struct prng prng;
    prng_init(&prng, 7);
    prng_fill(&prng, noise, sizeof(noise));
    open_pair(&p, scheme, callbacks);
    for (unsigned s = 0; s < SENDERS; s++) {
        senders[s] = (struct sender){.pair = &p, .index = s};
        CHECK_EQ(pthread_create(&senders[s].thread, NULL, send_mixed, &senders[s]), 0);
        if (!callbacks)
            CHECK_EQ(pthread_create(&senders[s].receiver, NULL, receive_mixed, &senders[s]), 0);
    }
    for (unsigned s = 0; s < SENDERS; s++) {
        pthread_join(senders[s].thread, NULL);
        if (!callbacks)
            pthread_join(senders[s].receiver, NULL);
        CHECK_EQ(senders[s].rc, 0);
        CHECK_EQ(senders[s].recv_rc, 0);
    }
    UNTIL(atomic_load(&p.total) == SENDERS * MIXED);
    CHECK_EQ(p.wrong, 0);
    CHECK_EQ(fx_dropped(p.from), 0);
    CHECK_EQ(fx_dropped(p.to), 0);
    close_pair(&p);
}

TEST(bulk, two_threads_and_all_sizes_to_callbacks_over_tcp)
{
    mixed("tcp", true);
}

TEST(bulk, two_threads_and_all_sizes_to_callbacks_over_unix)
{
    mixed("unix", true);
}

TEST(bulk, two_threads_and_all_sizes_to_slow_queues_over_tcp)
{
    mixed("tcp", false);
}

/* ---- The link ends while senders write ---- */

struct flood {
    weft_intent *out;
    atomic_bool over;
    atomic_int error;
};

static void *flood(void *arg)
{
    struct flood *f = arg;
    static const uint8_t payload[900];
    for (uint32_t n = 0; !atomic_load(&f->over); n++) {
        int rc = weft_send(f->out, n % 50 ? payload : noise, n % 50 ? sizeof(payload) : LARGEST);
        if (rc < 0 && rc != WEFT_EDROPPED)
            atomic_store(&f->error, rc);
    }
    return NULL;
}

TEST(bulk, a_peer_that_goes_while_senders_write)
{
    struct flood f = {0};
    pthread_t threads[SENDERS];
    weft_node *from = fx_open("tcp://127.0.0.1:0/f", NULL, NULL);
    f.out = fx_publish(from, "t.S@f.0");
    for (int s = 0; s < SENDERS; s++)
        CHECK_EQ(pthread_create(&threads[s], NULL, flood, &f), 0);
    for (int death = 0; death < DEATHS; death++) {
        struct pair p = {0};
        p.to = fx_open("tcp://127.0.0.1:0/to", weft_node_url(from), NULL);
        p.in[0] = fx_subscribe(p.to, "t.S@f.0");
        for (int n = 0; n < 100; n++) {
            weft_msg *msg;
            CHECK_EQ(weft_recv(p.in[0], &msg, WAIT_MS), 0);
            weft_msg_unref(msg);
        }
        weft_node_close(p.to);
    }
    atomic_store(&f.over, true);
    for (int s = 0; s < SENDERS; s++)
        pthread_join(threads[s], NULL);
    CHECK_EQ(f.error, 0);
    weft_node_close(from);
}
