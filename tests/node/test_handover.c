/* A link that is UP and in use is replaced by another to the same node: every message arrives once,
 * in order, and none is counted as dropped. */
#include "fixture.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#if INSTRUMENTED
#define ROUNDS 40
#else
#define ROUNDS 250 /* over each of two transports */
#endif
#define MESSAGES 2000u

/* One direction: `from` publishes as soon as `to` wants it. */
struct way {
    weft_node *from, *to;
    weft_intent *out;
    weft_interest *in;
    const char *peer; /* what `from` dials */
    pthread_barrier_t *start;
    struct events *events; /* of `from`; send until its second link is up, then MESSAGES more */
    uint32_t sent;
    int rc;
};

static bool go_on(const struct way *w, uint32_t *left)
{
    if (w->events && events_count(w->events, WEFT_EVENT_PEER_UP) < 2)
        return true;
    return (*left)-- > 0;
}

static void *send_all(void *arg)
{
    struct way *w = arg;
    uint32_t left = MESSAGES;
    if (w->start)
        pthread_barrier_wait(w->start);
    w->rc = weft_node_dial(w->from, w->peer, NULL);
    if (w->rc == 0)
        w->rc = weft_intent_wait(w->out, WAIT_MS);
    while (w->rc == 0 && go_on(w, &left)) {
        w->rc = weft_send(w->out, &w->sent, sizeof(w->sent));
        if (w->sent++ % 64 == 0)
            sched_yield();
    }
    return NULL;
}

static uint32_t receive(struct way *w)
{
    uint32_t number;
    weft_msg *msg;
    int rc = weft_recv(w->in, &msg, WAIT_MS);
    if (rc < 0)
        FAIL("no message: %s; dropped: %llu, %llu", weft_strerror(rc),
             (unsigned long long)fx_dropped(w->from), (unsigned long long)fx_dropped(w->to));
    CHECK_EQ(weft_msg_size(msg), sizeof(number));
    memcpy(&number, weft_msg_data(msg), sizeof(number));
    weft_msg_unref(msg);
    return number;
}

static void expect_all(struct way *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = receive(w);
        if (number != i)
            FAIL("message %u came in place of %u", number, i);
    }
}

static void expect_no_more(struct way *w)
{
    weft_msg *msg;
    CHECK_EQ(weft_recv(w->in, &msg, 0), WEFT_ETIMEDOUT);
    CHECK_EQ(fx_dropped(w->from), 0);
    CHECK_EQ(fx_dropped(w->to), 0);
}

static void cross(const char *self_a, const char *self_b)
{
    weft_node *a = fx_open(self_a, NULL, NULL), *b = fx_open(self_b, NULL, NULL);
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, 2);
    struct way ways[2] = {
        {.from = a, .to = b, .peer = weft_node_url(b), .start = &start},
        {.from = b, .to = a, .peer = weft_node_url(a), .start = &start},
    };
    ways[0].out = fx_publish(a, "t.H@a.out");
    ways[1].out = fx_publish(b, "t.H@b.out");
    ways[0].in = fx_subscribe(b, "t.H@a.out");
    ways[1].in = fx_subscribe(a, "t.H@b.out");
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, send_all, &ways[i]), 0);
    for (int i = 0; i < 2; i++)
        expect_all(&ways[i], MESSAGES);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(ways[i].rc, 0);
        CHECK_EQ(ways[i].sent, MESSAGES);
    }
    pthread_barrier_destroy(&start);
    UNTIL(fx_one_link(a, b));
    for (int i = 0; i < 2; i++)
        expect_no_more(&ways[i]);
    CHECK_EQ(weft_node_close(a), 0);
    CHECK_EQ(weft_node_close(b), 0);
}

TEST(handover, crossing_dials_over_inproc)
{
    for (int i = 0; i < ROUNDS; i++)
        cross("inproc://hand-a/a", "inproc://hand-b/b");
}

TEST(handover, crossing_dials_over_tcp)
{
    for (int i = 0; i < ROUNDS; i++)
        cross("tcp://127.0.0.1:0/a", "tcp://127.0.0.1:0/b");
}

/* A linked peer is dialled by another of its names: of two links that one side initiated the later
 * one stays, so this replaces a link in use each time. */
static void by_second_name(bool publisher_dials)
{
    struct events events;
    events_init(&events);
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, &events);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", NULL, NULL);
    weft_node *dials = publisher_dials ? a : b, *dialled = publisher_dials ? b : a;
    char other[128];
    snprintf(other, sizeof(other), "tcp://localhost:%s",
             weft_node_url(dialled) + strlen("tcp://127.0.0.1:"));
    struct way w = {.from = a, .to = b, .peer = weft_node_url(b), .events = &events};
    w.out = fx_publish(a, "t.H@a.out");
    w.in = fx_subscribe(b, "t.H@a.out");
    CHECK_EQ(weft_node_dial(dials, weft_node_url(dialled), NULL), 0);
    CHECK_EQ(weft_intent_wait(w.out, WAIT_MS), 0);
    UNTIL(fx_one_link(a, b));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, send_all, &w), 0);
    CHECK_EQ(receive(&w), 0);
    CHECK_EQ(weft_node_dial(dials, other, NULL), 0);
    uint32_t next = 1;
    while (events_count(&events, WEFT_EVENT_PEER_UP) < 2)
        CHECK_EQ(receive(&w), next++);
    for (uint32_t i = 0; i < MESSAGES / 2; i++)
        CHECK_EQ(receive(&w), next++);
    pthread_join(thread, NULL);
    CHECK_EQ(w.rc, 0);
    while (next < w.sent)
        CHECK_EQ(receive(&w), next++);
    UNTIL(fx_one_link(a, b));
    expect_no_more(&w);
    CHECK_EQ(events_count(&events, WEFT_EVENT_PEER_UP), 2);
    CHECK_EQ(events_count(&events, WEFT_EVENT_PEER_DOWN), 1);
    CHECK_EQ(weft_node_close(a), 0);
    CHECK_EQ(weft_node_close(b), 0);
}

TEST(handover, publisher_dials_by_second_name)
{
    for (int i = 0; i < ROUNDS / 10; i++)
        by_second_name(true);
}

TEST(handover, subscriber_dials_by_second_name)
{
    for (int i = 0; i < ROUNDS / 10; i++)
        by_second_name(false);
}
