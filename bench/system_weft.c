/* weft, by its public API and as it comes: a publisher that listens, subscribers that dial it,
 * callbacks on the loop's thread.
 *
 * Nothing may be lost: the publisher waits for room (WEFT_BLOCK) for longer than a subscriber that
 * reads could ever need. Where a subscriber stops, a user would not want to wait for it for
 * seconds: block_ms is then short, the first message that runs out of it declares that peer stuck,
 * and it is not waited for again before it reads. The others lose nothing either way. */
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "bench.h"
#include "system_weft.h"

#define ROUTE "bench.Message@bench.flood"
#define PING "bench.Ping@bench.ping"
#define PONG "bench.Pong@bench.pong"
#define WAIT_MS 60000
#define BLOCK_MS 60000
#define BLOCK_STOPPED_MS 100

struct weft_side {
    weft_node *node;
    weft_intent *out;
    weft_interest *in;
    weft_intent **other_intents;
    weft_interest **other_interests;
    unsigned others;
    struct sink *_Atomic sink;
    struct pinger *_Atomic pinger;
    bool asks;
    int error; /* of a send in a callback */
};

static void version(char *buf, size_t size)
{
    snprintf(buf, size, "%s", weft_version());
}

int weft_failed(const char *what, int error)
{
    return bench_error("weft: %s: %s", what, weft_strerror(error));
}

/* ---- Nodes ------------------------------------------------------------------------------------
 */

static void side_close(void *self)
{
    struct weft_side *s = self;
    weft_node_close(s->node); /* with all its intents and interests */
    free(s->other_intents);
    free(s->other_interests);
    free(s);
}

/* A node that listens, or one that dials `peer`. */
static struct weft_side *side_new(const struct bench_setup *setup, const char *peer)
{
    weft_options o;
    char self[BENCH_ADDRESS] = "tcp://127.0.0.1:0/bench", *why = NULL;
    struct weft_side *s = calloc(1, sizeof(*s));
    if (!s) {
        bench_error("out of memory");
        return NULL;
    }
    weft_options_init(&o);
    if (setup->transport == TRANSPORT_UNIX)
        snprintf(self, sizeof(self), "unix://%s/socket/bench", setup->folder);
    if (setup->size + 1024 > o.max_frame)
        o.max_frame = (uint32_t)setup->size + 1024;
    o.self = peer ? NULL : self;
    o.path = peer ? "bench" : NULL;
    o.peers = peer ? (const char *[]){peer, NULL} : NULL;
    o.role = peer ? WEFT_ROLE_CLIENT : WEFT_ROLE_AUTO;
    int rc = weft_node_open_explain(&o, &s->node, &why);
    if (rc == 0)
        return s;
    bench_error("weft: %s", why ? why : weft_strerror(rc));
    weft_free(why);
    free(s);
    return NULL;
}

static int publish(struct weft_side *s, const struct bench_setup *setup, const char *route)
{
    weft_publish_options o;
    weft_publish_options_init(&o);
    o.block_ms = setup->stop ? BLOCK_STOPPED_MS : BLOCK_MS;
    int rc = weft_publish(s->node, route, &o, &s->out);
    return rc < 0 ? weft_failed(route, rc) : 0;
}

static int subscribe(struct weft_side *s, const char *route,
                     void (*on_message)(weft_interest *, const weft_msg *, void *))
{
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = on_message;
    o.user = s;
    int rc = weft_subscribe(s->node, route, &o, &s->in);
    return rc < 0 ? weft_failed(route, rc) : 0;
}

/* ---- Other routes -----------------------------------------------------------------------------
 */

static void other_route(unsigned number, char route[64])
{
    snprintf(route, 64, "bench.Other@bench.other.%u", number);
}

static int declare_others(struct weft_side *s, unsigned count, bool intents)
{
    char route[64];
    s->others = count;
    void *handles = calloc(count + 1, sizeof(void *));
    if (!handles)
        return bench_error("out of memory");
    if (intents)
        s->other_intents = handles;
    else
        s->other_interests = handles;
    for (unsigned i = 0; i < count; i++) {
        other_route(i, route);
        int rc = intents ? weft_publish(s->node, route, NULL, &s->other_intents[i])
                         : weft_subscribe(s->node, route, NULL, &s->other_interests[i]);
        if (rc < 0)
            return weft_failed(route, rc);
    }
    return 0;
}

/* Until each of them has found the other side. */
static int wait_for_others(struct weft_side *s)
{
    int rc = 0;
    for (unsigned i = 0; i < s->others && rc == 0; i++)
        rc = s->other_intents ? weft_intent_wait(s->other_intents[i], WAIT_MS)
                              : weft_interest_wait(s->other_interests[i], WAIT_MS);
    return rc < 0 ? weft_failed("the other routes are not matched", rc) : 0;
}

/* ---- One direction ----------------------------------------------------------------------------
 */

static int publisher_open(const struct bench_setup *setup, char address[BENCH_ADDRESS],
                          void **ret_self)
{
    struct weft_side *s = side_new(setup, NULL);
    if (!s)
        return -1;
    if (publish(s, setup, ROUTE) < 0 || declare_others(s, setup->other_routes, true) < 0) {
        side_close(s);
        return -1;
    }
    snprintf(address, BENCH_ADDRESS, "%s", weft_node_url(s->node));
    *ret_self = s;
    return 0;
}

static int publisher_wait(void *self)
{
    struct weft_side *s = self;
    int rc = weft_intent_wait(s->out, WAIT_MS);
    return rc < 0 ? weft_failed("nobody subscribed", rc) : wait_for_others(s);
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct weft_side *s = user;
    struct sink *sink = atomic_load_explicit(&s->sink, memory_order_acquire);
    if (sink)
        sink_take(sink, weft_msg_data(msg), weft_msg_size(msg));
}

static int subscriber_open(const struct bench_setup *setup, const char *address, void **ret_self)
{
    struct weft_side *s = side_new(setup, address);
    if (!s)
        return -1;
    int rc = subscribe(s, ROUTE, on_message);
    if (rc == 0)
        rc = declare_others(s, setup->other_routes, false);
    if (rc == 0 && (rc = weft_interest_wait(s->in, WAIT_MS)) < 0)
        weft_failed("no publisher", rc);
    if (rc == 0)
        rc = wait_for_others(s);
    if (rc < 0) {
        side_close(s);
        return -1;
    }
    *ret_self = s;
    return 0;
}

/* A subscriber that is stuck gets no message, and that is no error of the publisher. */
static inline int send_one(struct weft_side *s, const void *data, size_t size)
{
    int rc = weft_send(s->out, data, size);
    return rc == 0 || rc == WEFT_EDROPPED ? 0 : weft_failed("send", rc);
}

static int publisher_send(void *self, const void *data, size_t size)
{
    return send_one(self, data, size);
}

static int publisher_flood(void *self, struct feed *feed)
{
    const void *payload;
    while ((payload = feed_next(feed)) != NULL)
        if (send_one(self, payload, feed->size) < 0)
            return -1;
    return 0;
}

static int subscriber_receive(void *self, struct sink *sink)
{
    struct weft_side *s = self;
    atomic_store_explicit(&s->sink, sink, memory_order_release);
    sink_wait(sink);
    return 0;
}

/* ---- Round trips: both callbacks send from the loop's thread ----------------------------------
 */

static void finish(struct weft_side *s, struct pinger *pinger, int error)
{
    s->error = error;
    sem_post(&pinger->finished);
}

static void on_answer(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct weft_side *s = user;
    struct pinger *pinger = atomic_load(&s->pinger);
    bool more = pinger_take(pinger, weft_msg_data(msg), weft_msg_size(msg));
    int rc = weft_send(s->out, pinger->payload, pinger->size);
    if (!more || rc < 0)
        finish(s, pinger, rc);
}

static void on_question(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct weft_side *s = user;
    struct pinger *pinger = atomic_load(&s->pinger);
    int rc = 0;
    bool ends = pinger_ends(pinger, weft_msg_data(msg), weft_msg_size(msg));
    if (!ends)
        rc = weft_send(s->out, weft_msg_data(msg), weft_msg_size(msg));
    if (ends || rc < 0)
        finish(s, pinger, rc);
}

static int pair_open(const struct bench_setup *setup, bool asks, char address[BENCH_ADDRESS],
                     void **ret_self)
{
    struct weft_side *s = side_new(setup, asks ? address : NULL);
    if (!s)
        return -1;
    s->asks = asks;
    if (publish(s, setup, asks ? PING : PONG) < 0 ||
        subscribe(s, asks ? PONG : PING, asks ? on_answer : on_question) < 0) {
        side_close(s);
        return -1;
    }
    if (!asks)
        snprintf(address, BENCH_ADDRESS, "%s", weft_node_url(s->node));
    *ret_self = s;
    return 0;
}

static int pair_wait(void *self, struct pinger *pinger)
{
    struct weft_side *s = self;
    atomic_store(&s->pinger, pinger);
    int rc = weft_intent_wait(s->out, WAIT_MS);
    if (rc == 0)
        rc = weft_interest_wait(s->in, WAIT_MS);
    return rc < 0 ? weft_failed("the other side is not there", rc) : 0;
}

static int await_end(struct weft_side *s, struct pinger *pinger)
{
    while (sem_wait(&pinger->finished) < 0)
        ;
    return s->error < 0 ? weft_failed("send", s->error) : 0;
}

static int pair_ask(void *self, struct pinger *pinger)
{
    struct weft_side *s = self;
    int rc = weft_send(s->out, pinger->payload, pinger->size);
    return rc < 0 ? weft_failed("send", rc) : await_end(s, pinger);
}

static int pair_answer(void *self, struct pinger *pinger)
{
    return await_end(self, pinger);
}

const struct bench_system system_weft = {
    .name = "weft",
    .setting = "the options as they come, callbacks on the loop's thread, WEFT_BLOCK with time "
               "enough that nothing is lost; where one subscriber stops, block_ms is 100",
    .version = version,
    .publisher_open = publisher_open,
    .publisher_wait = publisher_wait,
    .publisher_send = publisher_send,
    .publisher_flood = publisher_flood,
    .publisher_close = side_close,
    .subscriber_open = subscriber_open,
    .subscriber_receive = subscriber_receive,
    .subscriber_close = side_close,
    .pair_open = pair_open,
    .pair_wait = pair_wait,
    .pair_ask = pair_ask,
    .pair_answer = pair_answer,
    .pair_close = side_close,
    .local = weft_local,
};
