/* Redis: hiredis against a redis-server on the loopback (bench/README.md tells how it is set up).
 *
 * The publisher turns replies off (CLIENT REPLY OFF), since it has no use for the number of
 * receivers, and gathers PUBLISH commands, formatted once but for the payload, until 64 KiB are
 * worth a write. The subscriber takes replies from the reader as long as it has some and reads
 * then. For round trips each side has two connections: one that subscribes can do nothing else. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <hiredis/hiredis.h>

#include "peers.h"

#define FLOOD "bench.flood"
#define PING "bench.ping"
#define PONG "bench.pong"
#define GATHER 65536

/* A PUBLISH command with room for one size of payload. */
struct command {
    char *text;
    size_t size, payload_at, payload_size;
};

struct redis_side {
    redisContext *in, *out;
    const char *channel; /* that it publishes to */
    struct command message, mark;
    size_t gathered;
};

static void version(char *buf, size_t size)
{
    snprintf(buf, size, "hiredis %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}

static int failed(const char *what, const redisContext *c)
{
    return bench_error("redis: %s: %s", what, c->err ? c->errstr : "unexpected answer");
}

/* ---- Connections ------------------------------------------------------------------------------
 */

static redisContext *dial(const struct bench_setup *setup)
{
    redisContext *c = redisConnect("127.0.0.1", setup->port);
    if (c && !c->err && redisEnableKeepAlive(c) == REDIS_OK)
        return c;
    bench_error("redis: cannot connect: %s", c ? c->errstr : "out of memory");
    redisFree(c);
    return NULL;
}

static int subscribe(struct redis_side *r, const struct bench_setup *setup, const char *channel)
{
    r->in = dial(setup);
    if (!r->in)
        return -1;
    redisReply *reply = redisCommand(r->in, "SUBSCRIBE %s", channel);
    bool good = reply && reply->type == REDIS_REPLY_ARRAY;
    freeReplyObject(reply);
    return good ? 0 : failed("subscribe", r->in);
}

static int make_command(struct command *c, const char *channel, size_t payload_size)
{
    size_t room = payload_size + strlen(channel) + 128;
    c->payload_size = payload_size;
    c->text = malloc(room);
    if (!c->text)
        return bench_error("out of memory");
    c->payload_at = (size_t)snprintf(c->text, room, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n",
                                     strlen(channel), channel, payload_size);
    c->size = c->payload_at + payload_size + 2;
    memcpy(c->text + c->size - 2, "\r\n", 2);
    return 0;
}

/* There is no answer to it, and none from then on. */
static int publish_to(struct redis_side *r, const struct bench_setup *setup, const char *channel)
{
    int done = 0;
    r->channel = channel;
    r->out = dial(setup);
    if (!r->out || make_command(&r->message, channel, setup->size) < 0 ||
        make_command(&r->mark, channel, sizeof(struct mark)) < 0)
        return -1;
    if (redisAppendCommand(r->out, "CLIENT REPLY OFF") != REDIS_OK)
        return failed("connect", r->out);
    while (!done)
        if (redisBufferWrite(r->out, &done) != REDIS_OK)
            return failed("connect", r->out);
    return 0;
}

static void side_close(void *self)
{
    struct redis_side *r = self;
    redisFree(r->in);
    redisFree(r->out);
    free(r->message.text);
    free(r->mark.text);
    free(r);
}

static int open_side(const struct bench_setup *setup, const char *in, const char *out,
                     void **ret_self)
{
    struct redis_side *r = calloc(1, sizeof(*r));
    if (!r)
        return bench_error("out of memory");
    if ((in && subscribe(r, setup, in) < 0) || (out && publish_to(r, setup, out) < 0)) {
        side_close(r);
        return -1;
    }
    *ret_self = r;
    return 0;
}

/* ---- Publishing -------------------------------------------------------------------------------
 */

static int flush(struct redis_side *r)
{
    int done = 0;
    r->gathered = 0;
    while (!done)
        if (redisBufferWrite(r->out, &done) != REDIS_OK)
            return failed("publish", r->out);
    return 0;
}

static inline int append(struct redis_side *r, const void *data, size_t size)
{
    struct command *c = size == r->message.payload_size ? &r->message : &r->mark;
    memcpy(c->text + c->payload_at, data, size);
    if (redisAppendFormattedCommand(r->out, c->text, c->size) != REDIS_OK)
        return failed("publish", r->out);
    r->gathered += c->size;
    return r->gathered < GATHER ? 0 : flush(r);
}

static int publisher_open(const struct bench_setup *setup, char address[BENCH_ADDRESS],
                          void **ret_self)
{
    snprintf(address, BENCH_ADDRESS, "%u", setup->port);
    return open_side(setup, NULL, FLOOD, ret_self);
}

static int publisher_send(void *self, const void *data, size_t size)
{
    return append(self, data, size) < 0 ? -1 : flush(self);
}

static int publisher_flood(void *self, struct feed *feed)
{
    const void *payload;
    while ((payload = feed_next(feed)) != NULL)
        if (append(self, payload, feed->size) < 0)
            return -1;
    return flush(self);
}

/* ---- Subscribing ------------------------------------------------------------------------------
 */

/* The next reply is ["message", CHANNEL, payload]. */
static redisReply *next_message(struct redis_side *r)
{
    void *reply = NULL;
    while (redisGetReplyFromReader(r->in, &reply) == REDIS_OK && !reply)
        if (redisBufferRead(r->in) != REDIS_OK)
            break;
    redisReply *message = reply;
    if (message && message->type == REDIS_REPLY_ARRAY && message->elements == 3)
        return message;
    freeReplyObject(message);
    failed("receive", r->in);
    return NULL;
}

static int subscriber_open(const struct bench_setup *setup, const char *address, void **ret_self)
{
    return open_side(setup, FLOOD, NULL, ret_self);
}

static int subscriber_receive(void *self, struct sink *sink)
{
    while (!sink_done(sink)) {
        redisReply *message = next_message(self);
        if (!message)
            return -1;
        sink_take(sink, message->element[2]->str, (size_t)message->element[2]->len);
        freeReplyObject(message);
    }
    return 0;
}

/* ---- Round trips ------------------------------------------------------------------------------
 */

static int pair_open(const struct bench_setup *setup, bool asks, char address[BENCH_ADDRESS],
                     void **ret_self)
{
    return asks ? open_side(setup, PONG, PING, ret_self) : open_side(setup, PING, PONG, ret_self);
}

static int pair_ask(void *self, struct pinger *pinger)
{
    bool more = true;
    while (more) {
        redisReply *message = NULL;
        if (publisher_send(self, pinger->payload, pinger->size) == 0)
            message = next_message(self);
        if (!message)
            return -1;
        more = pinger_take(pinger, message->element[2]->str, (size_t)message->element[2]->len);
        freeReplyObject(message);
    }
    return publisher_send(self, pinger->payload, pinger->size);
}

static int pair_answer(void *self, struct pinger *pinger)
{
    redisReply *message;
    while ((message = next_message(self)) != NULL) {
        const char *data = message->element[2]->str;
        size_t size = (size_t)message->element[2]->len;
        bool ends = pinger_ends(pinger, data, size);
        int rc = ends ? 0 : publisher_send(self, data, size);
        freeReplyObject(message);
        if (ends || rc < 0)
            return rc;
    }
    return -1;
}

const struct bench_system system_redis = {
    .name = "redis",
    .setting = "one redis-server; PUBLISH commands without replies, gathered to 64 KiB a write "
               "(round trips: one a write), the server's output buffers for subscribers without "
               "limit, no persistence",
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
