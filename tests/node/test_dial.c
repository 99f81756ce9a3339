/* Two nodes dial each other at the same instant, a thousand times: one link is left each time, the
 * same one on both sides, and it carries messages. */
#include "fixture.h"

#if INSTRUMENTED
#define ROUNDS 60
#else
#define ROUNDS 500 /* over each of two transports */
#endif

struct dialler {
    weft_node *node;
    const char *url;
    pthread_barrier_t *start;
    int rc;
};

static void *dial(void *arg)
{
    struct dialler *d = arg;
    pthread_barrier_wait(d->start);
    d->rc = weft_node_dial(d->node, d->url, NULL);
    return NULL;
}

static void dial_both(weft_node *a, weft_node *b)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, 2);
    struct dialler d[2] = {{a, weft_node_url(b), &start, 1}, {b, weft_node_url(a), &start, 1}};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, dial, &d[1]), 0);
    dial(&d[0]);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&start);
    CHECK_EQ(d[0].rc, 0);
    CHECK_EQ(d[1].rc, 0);
}

/* One link that both mean, and nothing under way any more that could replace it. */
static bool settled(weft_node *a, weft_node *b)
{
    uint64_t rtt;
    return fx_one_link(a, b) && weft_node_ping(a, weft_node_url(b), 1000, &rtt) == 0 &&
           weft_node_ping(b, weft_node_url(a), 1000, &rtt) == 0 && fx_one_link(a, b);
}

static void round_trip(weft_node *a, weft_node *b, uint32_t round)
{
    weft_interest *in = fx_subscribe(b, "t.R@a.out");
    weft_intent *out = fx_publish(a, "t.R@a.out");
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_send(out, &round, sizeof(round)), 0);
    weft_msg *msg;
    CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
    CHECK_EQ(weft_msg_size(msg), sizeof(round));
    CHECK_MEM(weft_msg_data(msg), &round, sizeof(round));
    weft_msg_unref(msg);
}

static void run(const char *self_a, const char *self_b)
{
    uint64_t begin = fx_now_ms();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        weft_node *a = fx_open(self_a, NULL, NULL), *b = fx_open(self_b, NULL, NULL);
        dial_both(a, b);
        CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
        CHECK_EQ(weft_node_wait_peers(b, 1, WAIT_MS), 0);
        UNTIL(settled(a, b));
        round_trip(a, b, round);
        CHECK(fx_one_link(a, b));
        CHECK_EQ(fx_stats(a).peers, 1);
        CHECK_EQ(fx_stats(b).peers, 1);
        CHECK_EQ(weft_node_close(a), 0);
        CHECK_EQ(weft_node_close(b), 0);
    }
    fprintf(stderr, "%d rounds in %llu ms\n", ROUNDS, (unsigned long long)(fx_now_ms() - begin));
}

TEST(dial, at_the_same_instant_over_inproc)
{
    run("inproc://dial-a/a", "inproc://dial-b/b");
}

TEST(dial, at_the_same_instant_over_tcp)
{
    run("tcp://127.0.0.1:0/a", "tcp://127.0.0.1:0/b");
}

TEST(dial, both_configured_with_each_other)
{
    for (int round = 0; round < ROUNDS / 20; round++) {
        weft_node *a = fx_open("inproc://dial-c/a", "inproc://dial-d/b", NULL);
        weft_node *b = fx_open("inproc://dial-d/b", "inproc://dial-c/a", NULL);
        UNTIL(settled(a, b));
        weft_node_close(a);
        weft_node_close(b);
    }
}

TEST(dial, the_same_peer_twice_is_one_link)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", NULL, NULL);
    char other[128];
    snprintf(other, sizeof(other), "tcp://localhost:%s",
             weft_node_url(b) + strlen("tcp://127.0.0.1:"));
    CHECK_EQ(weft_node_dial(a, weft_node_url(b), NULL), 0);
    CHECK_EQ(weft_node_dial(a, weft_node_url(b), NULL), 0);
    CHECK_EQ(weft_node_dial(a, other, NULL), 0);
    UNTIL(settled(a, b));
    weft_node_close(a);
    weft_node_close(b);
}
