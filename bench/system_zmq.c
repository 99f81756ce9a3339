/* libzmq. One publisher and one subscriber use PUSH and PULL, which takes less time than PUB and
 * SUB and loses nothing; fan-out uses PUB and SUB, told to wait instead of dropping (XPUB_NODROP),
 * except where a subscriber stops: then nobody would want to wait, and PUB drops for it as it does
 * by default. Round trips and inproc use PAIR. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "peers.h"

#define QUEUE_BYTES ((size_t)16 << 20)

struct zmq_side {
    void *context, *socket;
};

static void version(char *buf, size_t size)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    snprintf(buf, size, "%d.%d.%d", major, minor, patch);
}

static int failed(const char *what)
{
    return bench_error("zmq: %s: %s", what, zmq_strerror(errno));
}

/* ---- Sockets ----------------------------------------------------------------------------------
 */

static void side_close(void *self)
{
    struct zmq_side *s = self;
    if (s->socket)
        zmq_close(s->socket);
    zmq_ctx_term(s->context);
    free(s);
}

/* A mark of so many messages that a queue holds about 16 MiB of them, as one of weft's does. */
static int high_water(size_t size)
{
    size_t mark = QUEUE_BYTES / (size + 64);
    return mark < 16 ? 16 : (int)mark;
}

static int set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value));
}

static int set_up(void *socket, const struct bench_setup *setup, int type)
{
    int mark = high_water(setup->size);
    if (set(socket, ZMQ_SNDHWM, mark) < 0 || set(socket, ZMQ_RCVHWM, mark) < 0 ||
        set(socket, ZMQ_LINGER, 1000) < 0)
        return -1;
    if (type == ZMQ_SUB)
        return zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    return type == ZMQ_PUB ? set(socket, ZMQ_XPUB_NODROP, !setup->stop) : 0;
}

static struct zmq_side *side_new(const struct bench_setup *setup, int type)
{
    struct zmq_side *s = calloc(1, sizeof(*s));
    if (!s || !(s->context = zmq_ctx_new())) {
        free(s);
        bench_error("out of memory");
        return NULL;
    }
    s->socket = zmq_socket(s->context, type);
    if (!s->socket || set_up(s->socket, setup, type) < 0) {
        failed("socket");
        side_close(s);
        return NULL;
    }
    return s;
}

static int side_bind(const struct bench_setup *setup, int type, char address[BENCH_ADDRESS],
                     void **ret_self)
{
    char where[BENCH_ADDRESS] = "tcp://127.0.0.1:*";
    size_t size = BENCH_ADDRESS;
    struct zmq_side *s = side_new(setup, type);
    if (!s)
        return -1;
    if (setup->transport == TRANSPORT_UNIX)
        snprintf(where, sizeof(where), "ipc://%s/socket", setup->folder);
    if (zmq_bind(s->socket, where) < 0 ||
        zmq_getsockopt(s->socket, ZMQ_LAST_ENDPOINT, address, &size) < 0) {
        side_close(s);
        return failed(where);
    }
    *ret_self = s;
    return 0;
}

static int side_connect(const struct bench_setup *setup, int type, const char *address,
                        void **ret_self)
{
    struct zmq_side *s = side_new(setup, type);
    if (!s)
        return -1;
    if (zmq_connect(s->socket, address) < 0) {
        side_close(s);
        return failed(address);
    }
    *ret_self = s;
    return 0;
}

/* ---- One direction ----------------------------------------------------------------------------
 */

static int publisher_open(const struct bench_setup *setup, char address[BENCH_ADDRESS],
                          void **ret_self)
{
    return side_bind(setup, setup->subscribers > 1 ? ZMQ_PUB : ZMQ_PUSH, address, ret_self);
}

static int subscriber_open(const struct bench_setup *setup, const char *address, void **ret_self)
{
    return side_connect(setup, setup->subscribers > 1 ? ZMQ_SUB : ZMQ_PULL, address, ret_self);
}

static inline int send_one(void *socket, const void *data, size_t size)
{
    return zmq_send(socket, data, size, 0) < 0 ? failed("send") : 0;
}

static int side_send(void *self, const void *data, size_t size)
{
    return send_one(((struct zmq_side *)self)->socket, data, size);
}

static int flood(void *socket, struct feed *feed)
{
    const void *payload;
    while ((payload = feed_next(feed)) != NULL)
        if (send_one(socket, payload, feed->size) < 0)
            return -1;
    return 0;
}

static int publisher_flood(void *self, struct feed *feed)
{
    return flood(((struct zmq_side *)self)->socket, feed);
}

static int receive(void *socket, struct sink *sink)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (!sink_done(sink)) {
        if (zmq_msg_recv(&msg, socket, 0) < 0)
            return failed("recv");
        sink_take(sink, zmq_msg_data(&msg), zmq_msg_size(&msg));
    }
    zmq_msg_close(&msg);
    return 0;
}

static int subscriber_receive(void *self, struct sink *sink)
{
    return receive(((struct zmq_side *)self)->socket, sink);
}

/* ---- Round trips ------------------------------------------------------------------------------
 */

static int pair_open(const struct bench_setup *setup, bool asks, char address[BENCH_ADDRESS],
                     void **ret_self)
{
    return asks ? side_connect(setup, ZMQ_PAIR, address, ret_self)
                : side_bind(setup, ZMQ_PAIR, address, ret_self);
}

static int pair_ask(void *self, struct pinger *pinger)
{
    void *socket = ((struct zmq_side *)self)->socket;
    bool more = true;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (more) {
        if (send_one(socket, pinger->payload, pinger->size) < 0)
            return -1;
        if (zmq_msg_recv(&msg, socket, 0) < 0)
            return failed("recv");
        more = pinger_take(pinger, zmq_msg_data(&msg), zmq_msg_size(&msg));
    }
    zmq_msg_close(&msg);
    return send_one(socket, pinger->payload, pinger->size);
}

static int pair_answer(void *self, struct pinger *pinger)
{
    void *socket = ((struct zmq_side *)self)->socket;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    for (;;) {
        if (zmq_msg_recv(&msg, socket, 0) < 0)
            return failed("recv");
        if (pinger_ends(pinger, zmq_msg_data(&msg), zmq_msg_size(&msg)))
            break;
        if (zmq_msg_send(&msg, socket, 0) < 0)
            return failed("send");
    }
    zmq_msg_close(&msg);
    return 0;
}

/* ---- Within a process -------------------------------------------------------------------------
 */

struct receiver {
    void *socket;
    struct sink *sink;
    int rc;
};

static void *receiver_run(void *arg)
{
    struct receiver *r = arg;
    r->rc = receive(r->socket, r->sink);
    return NULL;
}

static int local_between(void *from, void *to, struct feed *feed, struct sink *sink,
                         uint64_t run_ns)
{
    struct receiver r = {.socket = to, .sink = sink};
    pthread_t thread;
    if (pthread_create(&thread, NULL, receiver_run, &r) != 0)
        return bench_error("cannot start a thread");
    feed_start(feed, run_ns);
    int rc = flood(from, feed);
    struct mark end = {.kind = MARK_END, .count = feed->next};
    if (rc == 0)
        rc = send_one(from, &end, sizeof(end));
    if (rc == 0)
        pthread_join(thread, NULL);
    return rc < 0 ? rc : r.rc;
}

static int local(const struct bench_setup *setup, struct feed *feed, struct sink *sink)
{
    if (setup->mode != MODE_RECV)
        return bench_error("zmq has no callbacks; it offers --mode recv");
    struct zmq_side *s = side_new(setup, ZMQ_PAIR);
    if (!s)
        return -1;
    int rc = -1;
    void *to = zmq_socket(s->context, ZMQ_PAIR);
    if (!to || set_up(to, setup, ZMQ_PAIR) < 0 || zmq_bind(s->socket, "inproc://bench") < 0 ||
        zmq_connect(to, "inproc://bench") < 0)
        failed("inproc");
    else
        rc = local_between(s->socket, to, feed, sink, setup->run_ns);
    if (to)
        zmq_close(to);
    side_close(s);
    return rc;
}

const struct bench_system system_zmq = {
    .name = "zmq",
    .setting =
        "PUSH and PULL to one subscriber (faster than PUB and SUB), PUB with XPUB_NODROP and "
        "SUB to several, PUB as it comes where one of them stops, PAIR for round trips and "
        "inproc; high-water marks of about 16 MiB, one I/O thread",
    .version = version,
    .publisher_open = publisher_open,
    .publisher_send = side_send,
    .publisher_flood = publisher_flood,
    .publisher_close = side_close,
    .subscriber_open = subscriber_open,
    .subscriber_receive = subscriber_receive,
    .subscriber_close = side_close,
    .pair_open = pair_open,
    .pair_ask = pair_ask,
    .pair_answer = pair_answer,
    .pair_close = side_close,
    .local = local,
};
