/* Mosquitto: libmosquitto against a mosquitto on the loopback (bench/README.md tells how it is set
 * up), QoS 0, TCP_NODELAY. The library is driven from the calling thread, which saves it the locks
 * and wake-ups of its own thread: a publish is written at once, and where the socket is full the
 * publisher waits for it before the next. The library reads one packet a call; as long as there was
 * one, the next call follows without a poll. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <mosquitto.h>

#include "peers.h"

#define FLOOD "bench/flood"
#define PING "bench/ping"
#define PONG "bench/pong"
#define KEEPALIVE_S 3600

struct mosquitto_side {
    struct mosquitto *client;
    const char *in, *out; /* topics */
    bool connected, subscribed;
    bool progress; /* a message came */
    struct sink *sink;
    struct pinger *pinger;
    bool asks, more; /* of round trips */
    char *answer;
    int answer_size; /* 0: none to send */
};

static void version(char *buf, size_t size)
{
    int major, minor, revision;
    mosquitto_lib_version(&major, &minor, &revision);
    snprintf(buf, size, "%d.%d.%d", major, minor, revision);
}

static int failed(const char *what, int error)
{
    return bench_error("mosquitto: %s: %s", what,
                       error == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(error));
}

/* ---- The library's turn -----------------------------------------------------------------------
 */

/* Wait for the socket, then read one packet or write what waits. */
static int turn(struct mosquitto_side *m, bool wait)
{
    struct pollfd p = {.fd = mosquitto_socket(m->client), .events = POLLIN};
    int rc = MOSQ_ERR_SUCCESS;
    if (wait) {
        if (mosquitto_want_write(m->client))
            p.events |= POLLOUT;
        poll(&p, 1, 1000);
        rc = mosquitto_loop_misc(m->client);
    }
    if (rc == MOSQ_ERR_SUCCESS && (p.revents & POLLOUT))
        rc = mosquitto_loop_write(m->client, 1);
    if (rc == MOSQ_ERR_SUCCESS && (!wait || (p.revents & ~POLLOUT)))
        rc = mosquitto_loop_read(m->client, 1);
    return rc == MOSQ_ERR_SUCCESS ? 0 : failed("connection", rc);
}

static int send_one(struct mosquitto_side *m, const void *data, size_t size)
{
    int rc = mosquitto_publish(m->client, NULL, m->out, (int)size, data, 0, false);
    if (rc != MOSQ_ERR_SUCCESS)
        return failed("publish", rc);
    while (mosquitto_want_write(m->client))
        if (turn(m, true) < 0)
            return -1;
    return 0;
}

/* ---- Connections ------------------------------------------------------------------------------
 */

static void on_connect(struct mosquitto *client, void *user, int code)
{
    struct mosquitto_side *m = user;
    m->connected = code == 0;
    if (m->connected && m->in)
        mosquitto_subscribe(client, NULL, m->in, 0);
}

static void on_subscribe(struct mosquitto *client, void *user, int id, int count, const int *qos)
{
    struct mosquitto_side *m = user;
    m->subscribed = true;
}

static void on_message(struct mosquitto *client, void *user, const struct mosquitto_message *msg)
{
    struct mosquitto_side *m = user;
    size_t size = (size_t)msg->payloadlen;
    m->progress = true;
    if (m->sink) {
        sink_take(m->sink, msg->payload, size);
    } else if (m->pinger && m->asks) {
        m->more = pinger_take(m->pinger, msg->payload, size);
    } else if (m->pinger) {
        m->more = !pinger_ends(m->pinger, msg->payload, size);
        m->answer_size = size == m->pinger->size ? msg->payloadlen : 0;
        memcpy(m->answer, msg->payload, (size_t)m->answer_size);
    }
}

static void side_close(void *self)
{
    struct mosquitto_side *m = self;
    if (m->client) {
        mosquitto_disconnect(m->client);
        mosquitto_destroy(m->client);
    }
    free(m->answer);
    free(m);
    mosquitto_lib_cleanup();
}

static int dial(struct mosquitto_side *m, const struct bench_setup *setup)
{
    mosquitto_lib_init();
    m->client = mosquitto_new(NULL, true, m);
    m->answer = malloc(setup->size);
    if (!m->client || !m->answer)
        return bench_error("out of memory");
    mosquitto_connect_callback_set(m->client, on_connect);
    mosquitto_subscribe_callback_set(m->client, on_subscribe);
    mosquitto_message_callback_set(m->client, on_message);
    mosquitto_int_option(m->client, MOSQ_OPT_TCP_NODELAY, 1);
    int rc = mosquitto_connect(m->client, "127.0.0.1", setup->port, KEEPALIVE_S);
    if (rc != MOSQ_ERR_SUCCESS)
        return failed("connect", rc);
    while (!m->connected || (m->in && !m->subscribed))
        if (turn(m, true) < 0)
            return -1;
    return 0;
}

static int open_side(const struct bench_setup *setup, const char *in, const char *out,
                     void **ret_self)
{
    struct mosquitto_side *m = calloc(1, sizeof(*m));
    if (!m)
        return bench_error("out of memory");
    m->in = in;
    m->out = out;
    if (dial(m, setup) < 0) {
        side_close(m);
        return -1;
    }
    *ret_self = m;
    return 0;
}

/* ---- One direction ----------------------------------------------------------------------------
 */

static int publisher_open(const struct bench_setup *setup, char address[BENCH_ADDRESS],
                          void **ret_self)
{
    snprintf(address, BENCH_ADDRESS, "%u", setup->port);
    return open_side(setup, NULL, FLOOD, ret_self);
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

static int subscriber_open(const struct bench_setup *setup, const char *address, void **ret_self)
{
    return open_side(setup, FLOOD, NULL, ret_self);
}

static int subscriber_receive(void *self, struct sink *sink)
{
    struct mosquitto_side *m = self;
    m->sink = sink;
    while (!sink_done(sink)) {
        bool wait = !m->progress;
        m->progress = false;
        if (turn(m, wait) < 0)
            return -1;
    }
    return 0;
}

/* ---- Round trips ------------------------------------------------------------------------------
 */

static int pair_open(const struct bench_setup *setup, bool asks, char address[BENCH_ADDRESS],
                     void **ret_self)
{
    if (open_side(setup, asks ? PONG : PING, asks ? PING : PONG, ret_self) < 0)
        return -1;
    ((struct mosquitto_side *)*ret_self)->asks = asks;
    return 0;
}

/* The library only queues what is published in a callback: the answer is sent behind it. */
static int await_message(struct mosquitto_side *m)
{
    m->progress = false;
    while (!m->progress)
        if (turn(m, true) < 0)
            return -1;
    return 0;
}

static int pair_ask(void *self, struct pinger *pinger)
{
    struct mosquitto_side *m = self;
    m->pinger = pinger;
    m->more = true;
    while (m->more)
        if (send_one(m, pinger->payload, pinger->size) < 0 || await_message(m) < 0)
            return -1;
    return send_one(m, pinger->payload, pinger->size);
}

static int pair_answer(void *self, struct pinger *pinger)
{
    struct mosquitto_side *m = self;
    m->pinger = pinger;
    for (;;) {
        if (await_message(m) < 0)
            return -1;
        if (!m->more)
            return 0;
        if (send_one(m, m->answer, (size_t)m->answer_size) < 0)
            return -1;
    }
}

const struct bench_system system_mosquitto = {
    .name = "mosquitto",
    .setting = "one mosquitto, QoS 0, queues without limit, TCP_NODELAY; libmosquitto driven from "
               "the calling thread",
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
    .pair_ask = pair_ask,
    .pair_answer = pair_answer,
    .pair_close = side_close,
};
