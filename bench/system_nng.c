/* NNG. One publisher and one subscriber use PAIR, which loses nothing and is faster than PUSH and
 * PULL, for it has queues on both sides; so do round trips and inproc. Fan-out uses PUB and SUB,
 * which drops for a subscriber whose queue is full and has no setting against that: its loss is
 * counted. Messages are made by nng_msg_alloc and handed over, which is what nng_send does. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>

#include "peers.h"

#define QUEUE_MAX 8192 /* the largest that NNG takes, in messages */
#define QUEUE_BYTES (64 << 20)

typedef int (*protocol)(nng_socket *);

struct nng_side {
    nng_socket socket;
};

static void version(char *buf, size_t size)
{
    snprintf(buf, size, "%s", nng_version());
}

static int failed(const char *what, int error)
{
    return bench_error("nng: %s: %s", what, nng_strerror(error));
}

/* ---- Sockets ----------------------------------------------------------------------------------
 */

/* Not every protocol has both queues. */
static int set_up(nng_socket socket, const struct bench_setup *setup)
{
    size_t fit = QUEUE_BYTES / (setup->size + 64);
    int queue = fit > QUEUE_MAX ? QUEUE_MAX : fit < 16 ? 16 : (int)fit;
    int rc = nng_socket_set_int(socket, NNG_OPT_SENDBUF, queue);
    if (rc == 0 || rc == NNG_ENOTSUP)
        rc = nng_socket_set_int(socket, NNG_OPT_RECVBUF, queue);
    if (rc == 0 || rc == NNG_ENOTSUP)
        rc = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0);
    return rc == NNG_ENOTSUP ? 0 : rc;
}

static struct nng_side *side_new(const struct bench_setup *setup, protocol open)
{
    struct nng_side *s = calloc(1, sizeof(*s));
    if (!s) {
        bench_error("out of memory");
        return NULL;
    }
    int rc = open(&s->socket);
    if (rc == 0)
        rc = set_up(s->socket, setup);
    if (rc == 0 && open == nng_sub0_open)
        rc = nng_socket_set(s->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    if (rc == 0)
        return s;
    failed("socket", rc);
    free(s);
    return NULL;
}

static void side_close(void *self)
{
    struct nng_side *s = self;
    nng_close(s->socket);
    free(s);
}

static int side_listen(const struct bench_setup *setup, protocol open, char address[BENCH_ADDRESS],
                       void **ret_self)
{
    bool file = setup->transport == TRANSPORT_UNIX;
    nng_listener listener;
    nng_sockaddr local = {0};
    struct nng_side *s = side_new(setup, open);
    if (!s)
        return -1;
    snprintf(address, BENCH_ADDRESS, "tcp://127.0.0.1:0");
    if (file)
        snprintf(address, BENCH_ADDRESS, "ipc://%s/socket", setup->folder);
    int rc = nng_listen(s->socket, address, &listener, 0);
    if (rc == 0 && !file)
        rc = nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &local);
    if (rc != 0) {
        side_close(s);
        return failed(address, rc);
    }
    if (!file)
        snprintf(address, BENCH_ADDRESS, "tcp://127.0.0.1:%u", ntohs(local.s_in.sa_port));
    *ret_self = s;
    return 0;
}

static int side_dial(const struct bench_setup *setup, protocol open, const char *address,
                     void **ret_self)
{
    struct nng_side *s = side_new(setup, open);
    if (!s)
        return -1;
    int rc = nng_dial(s->socket, address, NULL, 0);
    if (rc != 0) {
        side_close(s);
        return failed(address, rc);
    }
    *ret_self = s;
    return 0;
}

/* ---- One direction ----------------------------------------------------------------------------
 */

static int publisher_open(const struct bench_setup *setup, char address[BENCH_ADDRESS],
                          void **ret_self)
{
    return side_listen(setup, setup->subscribers > 1 ? nng_pub0_open : nng_pair0_open, address,
                       ret_self);
}

static int subscriber_open(const struct bench_setup *setup, const char *address, void **ret_self)
{
    return side_dial(setup, setup->subscribers > 1 ? nng_sub0_open : nng_pair0_open, address,
                     ret_self);
}

static inline int send_one(nng_socket socket, const void *data, size_t size)
{
    nng_msg *msg;
    int rc = nng_msg_alloc(&msg, size);
    if (rc != 0)
        return failed("send", rc);
    memcpy(nng_msg_body(msg), data, size);
    rc = nng_sendmsg(socket, msg, 0);
    if (rc == 0)
        return 0;
    nng_msg_free(msg);
    return failed("send", rc);
}

static int publisher_send(void *self, const void *data, size_t size)
{
    return send_one(((struct nng_side *)self)->socket, data, size);
}

static int flood(nng_socket socket, struct feed *feed)
{
    const void *payload;
    while ((payload = feed_next(feed)) != NULL)
        if (send_one(socket, payload, feed->size) < 0)
            return -1;
    return 0;
}

static int publisher_flood(void *self, struct feed *feed)
{
    return flood(((struct nng_side *)self)->socket, feed);
}

static int receive(nng_socket socket, struct sink *sink)
{
    while (!sink_done(sink)) {
        nng_msg *msg;
        int rc = nng_recvmsg(socket, &msg, 0);
        if (rc != 0)
            return failed("recv", rc);
        sink_take(sink, nng_msg_body(msg), nng_msg_len(msg));
        nng_msg_free(msg);
    }
    return 0;
}

static int subscriber_receive(void *self, struct sink *sink)
{
    return receive(((struct nng_side *)self)->socket, sink);
}

/* ---- Round trips ------------------------------------------------------------------------------
 */

static int pair_open(const struct bench_setup *setup, bool asks, char address[BENCH_ADDRESS],
                     void **ret_self)
{
    return asks ? side_dial(setup, nng_pair0_open, address, ret_self)
                : side_listen(setup, nng_pair0_open, address, ret_self);
}

static int pair_ask(void *self, struct pinger *pinger)
{
    nng_socket socket = ((struct nng_side *)self)->socket;
    bool more = true;
    while (more) {
        nng_msg *msg;
        if (send_one(socket, pinger->payload, pinger->size) < 0)
            return -1;
        int rc = nng_recvmsg(socket, &msg, 0);
        if (rc != 0)
            return failed("recv", rc);
        more = pinger_take(pinger, nng_msg_body(msg), nng_msg_len(msg));
        nng_msg_free(msg);
    }
    return send_one(socket, pinger->payload, pinger->size);
}

static int pair_answer(void *self, struct pinger *pinger)
{
    nng_socket socket = ((struct nng_side *)self)->socket;
    for (;;) {
        nng_msg *msg;
        int rc = nng_recvmsg(socket, &msg, 0);
        if (rc != 0)
            return failed("recv", rc);
        bool ends = pinger_ends(pinger, nng_msg_body(msg), nng_msg_len(msg));
        rc = ends ? 0 : nng_sendmsg(socket, msg, 0);
        if (ends || rc != 0)
            nng_msg_free(msg);
        if (ends || rc != 0)
            return rc != 0 ? failed("send", rc) : 0;
    }
}

/* ---- Within a process -------------------------------------------------------------------------
 */

struct receiver {
    nng_socket socket;
    struct sink *sink;
    int rc;
};

static void *receiver_run(void *arg)
{
    struct receiver *r = arg;
    r->rc = receive(r->socket, r->sink);
    return NULL;
}

static int local_between(nng_socket from, nng_socket to, struct feed *feed, struct sink *sink,
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
        return bench_error("nng is measured with --mode recv");
    struct nng_side *from = side_new(setup, nng_pair0_open);
    struct nng_side *to = side_new(setup, nng_pair0_open);
    if (!from || !to)
        return -1;
    int rc = nng_listen(from->socket, "inproc://bench", NULL, 0);
    if (rc == 0)
        rc = nng_dial(to->socket, "inproc://bench", NULL, 0);
    rc = rc != 0 ? failed("inproc", rc)
                 : local_between(from->socket, to->socket, feed, sink, setup->run_ns);
    side_close(from);
    side_close(to);
    return rc;
}

const struct bench_system system_nng = {
    .name = "nng",
    .setting = "PAIR, but for fan-out, which is PUB and SUB (they drop, and the loss is counted); "
               "queues of up to 8192 messages, messages handed over by nng_sendmsg",
    .version = version,
    .publisher_open = publisher_open,
    .publisher_send = publisher_send,
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
