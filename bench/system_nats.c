/* NATS: libnats against a nats-server on the loopback (bench/README.md tells how it is set up). The
 * publisher's buffer is flushed by the library when it is full and by a thread of it otherwise, and
 * by a round trip to the server at the end; for round trips every message is sent as soon as
 * possible. Subscribers have callbacks and no limit on what is pending. */
#include <stdio.h>
#include <stdlib.h>

#include <nats/nats.h>

#include "peers.h"

#define FLOOD "bench.flood"
#define PING "bench.ping"
#define PONG "bench.pong"
#define IO_BUFFER (256 * 1024)
#define FLUSH_MS 60000

struct nats_side {
    natsConnection *connection;
    natsSubscription *subscription;
    struct sink *_Atomic sink;
    struct pinger *_Atomic pinger;
    natsStatus error; /* of a publish in a callback */
};

static void version(char *buf, size_t size)
{
    snprintf(buf, size, "%s", nats_GetVersion());
}

static int failed(const char *what, natsStatus s)
{
    return bench_error("nats: %s: %s", what, natsStatus_GetText(s));
}

/* ---- Connections ------------------------------------------------------------------------------
 */

static void side_close(void *self)
{
    struct nats_side *n = self;
    natsSubscription_Destroy(n->subscription);
    natsConnection_Destroy(n->connection);
    free(n);
    nats_Close();
}

static natsStatus connect_with(natsOptions *o, const struct bench_setup *setup, bool at_once,
                               natsConnection **ret)
{
    char url[64];
    snprintf(url, sizeof(url), "nats://127.0.0.1:%u", setup->port);
    natsStatus s = natsOptions_SetURL(o, url);
    if (s == NATS_OK)
        s = natsOptions_SetIOBufSize(o, IO_BUFFER);
    if (s == NATS_OK)
        s = natsOptions_SetSendAsap(o, at_once);
    if (s == NATS_OK)
        s = natsOptions_SetAllowReconnect(o, false);
    return s == NATS_OK ? natsConnection_Connect(ret, o) : s;
}

static struct nats_side *side_new(const struct bench_setup *setup, bool at_once)
{
    natsOptions *o = NULL;
    struct nats_side *n = calloc(1, sizeof(*n));
    if (!n) {
        bench_error("out of memory");
        return NULL;
    }
    natsStatus s = natsOptions_Create(&o);
    if (s == NATS_OK)
        s = connect_with(o, setup, at_once, &n->connection);
    natsOptions_Destroy(o);
    if (s == NATS_OK)
        return n;
    failed("connect", s);
    side_close(n);
    return NULL;
}

/* The round trip of the flush ends when the server knows the subscription. */
static int subscribe(struct nats_side *n, const char *subject, natsMsgHandler handler)
{
    natsStatus s = natsConnection_Subscribe(&n->subscription, n->connection, subject, handler, n);
    if (s == NATS_OK)
        s = natsSubscription_SetPendingLimits(n->subscription, -1, -1);
    if (s == NATS_OK)
        s = natsConnection_FlushTimeout(n->connection, FLUSH_MS);
    return s == NATS_OK ? 0 : failed("subscribe", s);
}

static inline int send_one(struct nats_side *n, const char *subject, const void *data, size_t size)
{
    natsStatus s = natsConnection_Publish(n->connection, subject, data, (int)size);
    return s == NATS_OK ? 0 : failed("publish", s);
}

/* ---- One direction ----------------------------------------------------------------------------
 */

static int publisher_open(const struct bench_setup *setup, char address[BENCH_ADDRESS],
                          void **ret_self)
{
    struct nats_side *n = side_new(setup, false);
    snprintf(address, BENCH_ADDRESS, "%u", setup->port);
    *ret_self = n;
    return n ? 0 : -1;
}

static int publisher_send(void *self, const void *data, size_t size)
{
    return send_one(self, FLOOD, data, size);
}

static int publisher_flood(void *self, struct feed *feed)
{
    struct nats_side *n = self;
    const void *payload;
    while ((payload = feed_next(feed)) != NULL)
        if (send_one(n, FLOOD, payload, feed->size) < 0)
            return -1;
    natsStatus s = natsConnection_FlushTimeout(n->connection, FLUSH_MS);
    return s == NATS_OK ? 0 : failed("flush", s);
}

static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *msg,
                       void *user)
{
    struct nats_side *n = user;
    struct sink *sink = atomic_load_explicit(&n->sink, memory_order_acquire);
    if (sink)
        sink_take(sink, natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    natsMsg_Destroy(msg);
}

static int subscriber_open(const struct bench_setup *setup, const char *address, void **ret_self)
{
    struct nats_side *n = side_new(setup, false);
    if (!n)
        return -1;
    if (subscribe(n, FLOOD, on_message) < 0) {
        side_close(n);
        return -1;
    }
    *ret_self = n;
    return 0;
}

static int subscriber_receive(void *self, struct sink *sink)
{
    struct nats_side *n = self;
    atomic_store_explicit(&n->sink, sink, memory_order_release);
    sink_wait(sink);
    return 0;
}

/* ---- Round trips ------------------------------------------------------------------------------
 */

static void on_answer(natsConnection *connection, natsSubscription *subscription, natsMsg *msg,
                      void *user)
{
    struct nats_side *n = user;
    struct pinger *p = atomic_load(&n->pinger);
    bool more = pinger_take(p, natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    natsStatus s = natsConnection_Publish(connection, PING, p->payload, (int)p->size);
    natsMsg_Destroy(msg);
    if (!more || s != NATS_OK) {
        n->error = s;
        sem_post(&p->finished);
    }
}

static void on_question(natsConnection *connection, natsSubscription *subscription, natsMsg *msg,
                        void *user)
{
    struct nats_side *n = user;
    struct pinger *p = atomic_load(&n->pinger);
    const char *data = natsMsg_GetData(msg);
    int size = natsMsg_GetDataLength(msg);
    natsStatus s = NATS_OK;
    bool ends = pinger_ends(p, data, (size_t)size);
    if (!ends)
        s = natsConnection_Publish(connection, PONG, data, size);
    natsMsg_Destroy(msg);
    if (ends || s != NATS_OK) {
        n->error = s;
        sem_post(&p->finished);
    }
}

static int pair_open(const struct bench_setup *setup, bool asks, char address[BENCH_ADDRESS],
                     void **ret_self)
{
    struct nats_side *n = side_new(setup, true);
    if (!n)
        return -1;
    if (subscribe(n, asks ? PONG : PING, asks ? on_answer : on_question) < 0) {
        side_close(n);
        return -1;
    }
    *ret_self = n;
    return 0;
}

static int pair_wait(void *self, struct pinger *pinger)
{
    atomic_store(&((struct nats_side *)self)->pinger, pinger);
    return 0;
}

static int await_end(struct nats_side *n, struct pinger *pinger)
{
    while (sem_wait(&pinger->finished) < 0)
        ;
    return n->error == NATS_OK ? 0 : failed("publish", n->error);
}

static int pair_ask(void *self, struct pinger *pinger)
{
    struct nats_side *n = self;
    if (send_one(n, PING, pinger->payload, pinger->size) < 0 || await_end(n, pinger) < 0)
        return -1;
    natsStatus s = natsConnection_FlushTimeout(n->connection, FLUSH_MS);
    return s == NATS_OK ? 0 : failed("flush", s);
}

static int pair_answer(void *self, struct pinger *pinger)
{
    return await_end(self, pinger);
}

const struct bench_system system_nats = {
    .name = "nats",
    .setting =
        "one nats-server, core NATS; publishing through a 256 KiB buffer that is flushed "
        "when full and at the end (round trips: each message as soon as possible), callbacks "
        "without pending limits",
    .broker = true,
    .version = version,
    .publisher_open = publisher_open,
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
};
