/* A peer that the test plays itself, on a real socket: what no well-meaning node would send. */
#include "fixture.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/url.h"

struct raw {
    int fd;
    struct buf in;
    char me[64];
    const char *you;
    uint64_t incarnation;
    uint8_t node; /* its id */
};

static void raw_write(struct raw *r, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        ssize_t n = send(r->fd, p, size, MSG_NOSIGNAL);
        CHECK(n > 0);
        p += n;
        size -= (size_t)n;
    }
}

static void raw_send(struct raw *r, const struct control *control)
{
    struct buf out;
    struct header header = {.timestamp = fx_now_ms(), .type = control->type};
    buf_init(&out, FRAME_MAX_LIMIT);
    CHECK_EQ(codec_encode(&out, &header, control), 0);
    raw_write(r, out.data, out.len);
    buf_fini(&out);
}

/* Read until a frame of the type came, and decode it. Returns its timestamp. */
static uint64_t raw_take(struct raw *r, uint32_t type, struct control *ret_control)
{
    for (;;) {
        struct frame frame;
        while (frame_scan(r->in.data, r->in.len, FRAME_MAX_LIMIT, &frame) == 1) {
            struct header header;
            CHECK_EQ(header_decode(frame.header, frame.header_size, &header), 0);
            bool found = header.type == type;
            if (found)
                CHECK_EQ(codec_decode(type, frame.body, frame.body_size, ret_control), 0);
            buf_consume(&r->in, frame.size);
            if (found)
                return header.timestamp;
        }
        uint8_t *to = buf_reserve(&r->in, 4096);
        CHECK(to != NULL);
        ssize_t n = recv(r->fd, to, 4096, 0);
        if (n <= 0)
            FAIL("the connection ended before a frame of type %u", type);
        r->in.len += (size_t)n;
    }
}

static void raw_await(struct raw *r, uint32_t type)
{
    struct control c = {0};
    raw_take(r, type, &c);
    control_fini(&c);
}

static void raw_shake(struct raw *r, enum stage stage)
{
    uint8_t id[16] = {r->node};
    raw_send(r, &(struct control){
                    .type = MSG_HANDSHAKE,
                    .handshake = {.me = r->me,
                                  .you = r->you,
                                  .stage = stage,
                                  .version = PROTO_VERSION,
                                  .node_id = id,
                                  .incarnation = r->incarnation,
                                  .network = "",
                                  .agent = "raw",
                                  .features = FEATURE_COMPACT | FEATURE_PATTERNS | FEATURE_INFO}});
}

/* Connect to a node on tcp, up to DONE. */
static void raw_open_as(struct raw *r, weft_node *node, uint8_t id, uint64_t incarnation)
{
    struct url url;
    *r = (struct raw){.you = weft_node_url(node), .incarnation = incarnation, .node = id};
    buf_init(&r->in, FRAME_MAX_LIMIT);
    snprintf(r->me, sizeof(r->me), "tcp://127.0.0.1:%u/raw", id);
    CHECK_EQ(url_parse(r->you, strlen(r->you), &url, NULL), 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)url.port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(r->fd >= 0);
    CHECK_EQ(connect(r->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    raw_shake(r, STAGE_INITIAL);
    raw_await(r, MSG_HANDSHAKE);
    raw_shake(r, STAGE_FINAL);
    raw_await(r, MSG_PEERS);
    raw_send(r, &(struct control){.type = MSG_PEERS});
    CHECK_EQ(weft_node_wait_peers(node, 1, WAIT_MS), 0);
}

static void raw_open(struct raw *r, weft_node *node)
{
    raw_open_as(r, node, 1, 1);
}

static void raw_close(struct raw *r)
{
    close(r->fd);
    buf_fini(&r->in);
}

static void raw_intent(struct raw *r, const char *route, uint32_t alias, bool registered)
{
    struct decl d = {.route = route, .registered = registered, .alias = alias, .origin = ""};
    raw_send(r, &(struct control){.type = MSG_INTENT, .decls = {.items = &d, .count = 1}});
}

static void raw_message(struct raw *r, uint32_t alias, const char *text)
{
    uint8_t frame[FRAME_COMPACT_HEAD + 64];
    size_t size = strlen(text);
    frame_put_compact(frame, alias, 1, size);
    memcpy(frame + FRAME_COMPACT_HEAD, text, size);
    raw_write(r, frame, FRAME_COMPACT_HEAD + size);
}

/* Everything sent before was dealt with. */
static void raw_sync(struct raw *r)
{
    uint8_t payload[16] = {1};
    raw_send(r,
             &(struct control){.type = MSG_PING, .ping = {.payload = payload, .payload_len = 16}});
    raw_await(r, MSG_PONG);
}

static void expect(weft_interest *in, const char *text)
{
    weft_msg *msg;
    CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
    CHECK_EQ(weft_msg_size(msg), strlen(text));
    CHECK(memcmp(weft_msg_data(msg), text, strlen(text)) == 0);
    weft_msg_unref(msg);
}

/* An intent that is declared again under another alias is found under that one only, also when it
 * is withdrawn: the first number must not go on to name what is gone. */
TEST(raw, alias_changes)
{
    struct raw r;
    weft_node *node = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_interest *in = fx_subscribe(node, "t.P@raw.x");
    weft_interest *other = fx_subscribe(node, "t.P@raw.y");
    raw_open(&r, node);
    raw_intent(&r, "t.P@raw.x", 5, true);
    raw_message(&r, 5, "five");
    expect(in, "five");
    raw_intent(&r, "t.P@raw.x", 6, true);
    raw_message(&r, 5, "lost");
    raw_message(&r, 6, "six");
    expect(in, "six");
    raw_intent(&r, "t.P@raw.y", 5, true); /* the number is free again */
    raw_message(&r, 5, "five of y");
    expect(other, "five of y");
    raw_intent(&r, "t.P@raw.x", 6, false);
    raw_intent(&r, "t.P@raw.y", 7, true);
    raw_intent(&r, "t.P@raw.y", 7, false);
    for (uint32_t alias = 0; alias < 9; alias++)
        raw_message(&r, alias, "lost");
    raw_sync(&r);
    CHECK_EQ(fx_stats(node).messages_in, 3u);
    raw_close(&r);
    CHECK_EQ(weft_node_close(node), 0);
}

/* Bytes that the kernel has for us, or that came before; the messages among them that are whole. */
static uint64_t raw_whole_messages(struct raw *r, size_t size)
{
    uint64_t whole = 0;
    size_t used = 0;
    struct frame frame;
    uint8_t *to = buf_reserve(&r->in, size);
    CHECK(to != NULL);
    ssize_t n = recv(r->fd, to, size, MSG_PEEK);
    CHECK_EQ(n, (ssize_t)size);
    while (frame_scan(r->in.data + used, r->in.len + size - used, FRAME_MAX_LIMIT, &frame) == 1) {
        used += frame.size;
        whole += frame.compact;
    }
    return whole;
}

/* The bytes that came and wait, once the sender cannot send more: the window is shut. */
static size_t raw_wait_full(struct raw *r)
{
    int now = 0, before = -1;
    while (now == 0 || now != before) {
        before = now;
        for (int i = 0; i < 50; i++)
            fx_pause();
        CHECK_EQ(ioctl(r->fd, FIONREAD, &now), 0);
    }
    return (size_t)now;
}

/* A peer whose window is shut vanishes: all that did not get into it counts as lost, what was
 * queued and what was written alike, by peer and by route. */
TEST(raw, what_was_under_way_counts_as_lost)
{
    struct raw r;
    struct events events;
    events_init(&events);
    weft_node *node = fx_open("tcp://127.0.0.1:0/a", NULL, &events);
    weft_intent *out = fx_publish(node, "t.P@a.x");
    raw_open(&r, node);
    struct decl d = {.route = "t.P@a.x", .registered = true, .origin = ""};
    raw_send(&r, &(struct control){.type = MSG_INTEREST, .decls = {.items = &d, .count = 1}});
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    uint8_t data[1000] = {0};
    uint64_t sent = 0;
    while (weft_try_send(out, data, sizeof(data)) == 0)
        sent++;
    uint64_t whole = raw_whole_messages(&r, raw_wait_full(&r));
    CHECK(whole > 0 && whole < sent);
    raw_close(&r);
    events_wait(&events, WEFT_EVENT_PEER_DOWN, 1);
    UNTIL(fx_dropped(node) == sent - whole);
    weft_stats stats = fx_stats(node);
    CHECK_EQ(stats.dropped[WEFT_DROP_LINK], sent - whole);
    weft_route_info *routes;
    size_t count;
    CHECK_EQ(weft_node_routes(node, &routes, &count), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(routes[0].dropped[WEFT_DROP_LINK], sent - whole);
    weft_routes_free(routes, count);
    CHECK(stats.outbox_bytes == 0);
    weft_intent_close(out);
    CHECK_EQ(weft_node_close(node), 0);
}

/* An interest that soon has no room and then blocks for long. */
static weft_interest *subscribe_small(weft_node *node)
{
    weft_subscribe_options options;
    weft_interest *in;
    weft_subscribe_options_init(&options);
    options.queue = 1000;
    options.block_ms = 10 * WAIT_MS;
    CHECK_EQ(weft_subscribe(node, "t.P@raw.x", &options, &in), 0);
    return in;
}

/* A publisher whose messages wait unread, because their interest is full, starts anew: its new life
 * displaces the link, and what waited counts as lost with it. */
TEST(raw, what_waits_unread_counts_as_lost)
{
    enum { SENT = 300 };
    struct raw former, next;
    struct events events;
    events_init(&events);
    weft_node *node = fx_open("tcp://127.0.0.1:0/a", NULL, &events);
    weft_interest *in = subscribe_small(node);
    raw_open(&former, node);
    raw_intent(&former, "t.P@raw.x", 5, true);
    for (int i = 0; i < SENT; i++)
        raw_message(&former, 5, "some twenty bytes or so");
    UNTIL(fx_stats(node).delivered > 0);
    raw_open_as(&next, node, 1, 2);
    events_wait(&events, WEFT_EVENT_PEER_DOWN, 1);
    UNTIL(fx_stats(node).delivered + fx_dropped(node) == SENT);
    CHECK(fx_stats(node).dropped[WEFT_DROP_LINK] > 0);
    raw_close(&former);
    raw_close(&next);
    weft_interest_close(in);
    CHECK_EQ(weft_node_close(node), 0);
}

/* A link that is given up while the other side still sends: what is read after that reaches nobody,
 * and each of it is counted. */
TEST(raw, what_comes_too_late_counts_as_lost)
{
    enum { LATE = 7 };
    struct raw r;
    struct events events;
    events_init(&events);
    weft_node *node = fx_open("tcp://127.0.0.1:0/a", NULL, &events);
    weft_interest *in = fx_subscribe(node, "t.P@raw.x");
    raw_open(&r, node);
    raw_intent(&r, "t.P@raw.x", 5, true);
    raw_message(&r, 5, "in time");
    expect(in, "in time");
    CHECK_EQ(weft_node_forget(node, r.me), 0);
    events_wait(&events, WEFT_EVENT_PEER_DOWN, 1);
    for (int i = 0; i < LATE; i++)
        raw_message(&r, 5, "too late");
    UNTIL(fx_dropped(node) == LATE);
    CHECK_EQ(fx_stats(node).dropped[WEFT_DROP_LINK], (uint64_t)LATE);
    raw_close(&r);
    weft_interest_close(in);
    CHECK_EQ(weft_node_close(node), 0);
}

/* What ends a link may have waited itself, behind messages that had no room: what comes behind it
 * is read on and counted, as it is where nothing waited. */
TEST(raw, what_follows_a_goodbye_that_waited_counts_as_lost)
{
    enum { SENT = 300, LATE = 7 };
    struct raw r;
    struct events events;
    events_init(&events);
    weft_node *node = fx_open("tcp://127.0.0.1:0/a", NULL, &events);
    weft_interest *in = subscribe_small(node);
    raw_open(&r, node);
    raw_intent(&r, "t.P@raw.x", 5, true);
    for (int i = 0; i < SENT; i++)
        raw_message(&r, 5, "some twenty bytes or so");
    raw_send(&r, &(struct control){.type = MSG_GOODBYE,
                                   .goodbye = {.reason = GOODBYE_SHUTDOWN, .description = "bye"}});
    for (int i = 0; i < LATE; i++)
        raw_message(&r, 5, "behind it");
    for (int i = 0; i < SENT; i++)
        expect(in, "some twenty bytes or so");
    events_wait(&events, WEFT_EVENT_PEER_DOWN, 1);
    for (int i = 0; i < LATE; i++)
        raw_message(&r, 5, "too late");
    UNTIL(fx_dropped(node) == 2ull * LATE);
    CHECK_EQ(fx_stats(node).dropped[WEFT_DROP_LINK], 2ull * LATE);
    raw_close(&r);
    weft_interest_close(in);
    CHECK_EQ(weft_node_close(node), 0);
}

/* ---- What costs the node much ---- */

#define OWN_ROUTES 2000
#define PATTERNS 3000

static void raw_patterns(struct raw *r)
{
    static struct decl decls[PATTERNS];
    static char texts[PATTERNS][32];
    for (int i = 0; i < PATTERNS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "t.P@**.z%d", i);
        decls[i] = (struct decl){.route = texts[i], .registered = true, .origin = ""};
    }
    raw_send(
        r, &(struct control){.type = MSG_INTERESTS, .decls = {.items = decls, .count = PATTERNS}});
}

/* Patterns that each walk all our routes, thousands in one frame: others are answered while they
 * are taken, what follows on the same link waits, and in the end all are there. */
TEST(raw, patterns_that_walk_everything_hold_up_nobody)
{
    struct raw greedy, other;
    weft_node *node = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    static weft_intent *out[OWN_ROUTES];
    char text[64];
    for (int i = 0; i < OWN_ROUTES; i++) {
        snprintf(text, sizeof(text), "t.P@a.x%d.z%d", i, i);
        out[i] = fx_publish(node, text);
    }
    raw_open_as(&greedy, node, 1, 1);
    raw_open_as(&other, node, 2, 1);
    raw_patterns(&greedy);
    UNTIL(fx_stats(node).remote_interests > 0);
    raw_sync(&other);
    CHECK(fx_stats(node).remote_interests < PATTERNS);
    raw_sync(&greedy);
    CHECK_EQ(fx_stats(node).remote_interests, PATTERNS);
    CHECK_EQ(weft_intent_interested(out[0]), 1);
    raw_close(&greedy);
    raw_close(&other);
    CHECK_EQ(weft_node_close(node), 0);
}

/* ---- Questions ---- */

/* With the timestamp, that is the nonce, `nonce`. */
static void raw_ask(struct raw *r, uint64_t nonce, uint32_t parts)
{
    struct buf out;
    struct header header = {.timestamp = nonce, .type = MSG_QUERY, .want_result = true};
    struct control c = {.type = MSG_QUERY, .query = {.parts = parts, .route = "", .command = ""}};
    buf_init(&out, FRAME_MAX_LIMIT);
    CHECK_EQ(codec_encode(&out, &header, &c), 0);
    raw_write(r, out.data, out.len);
    buf_fini(&out);
}

/* Read until the answers to questions 1 and 2 are whole; how many routes they have. */
static size_t raw_answers(struct raw *r)
{
    size_t count = 0;
    unsigned open = 1u << 1 | 1u << 2;
    while (open) {
        struct control c = {0};
        raw_take(r, MSG_ANSWER, &c);
        CHECK(c.answer.nonce <= 2 && (open & 1u << c.answer.nonce));
        CHECK_EQ(c.answer.status != NULL, c.answer.nonce == 2);
        count += c.answer.n_routes;
        if (!c.answer.more)
            open &= ~(1u << c.answer.nonce);
        control_fini(&c);
    }
    return count;
}

/* One that asks for much and does not read costs nobody else anything: the rest of its answer
 * waits, and goes on when it reads. */
TEST(raw, asks_and_does_not_read)
{
    enum { COUNT = 20000 }; /* of some 700 bytes each: more than a socket takes */
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(a), NULL);
    CHECK_EQ(weft_node_wait_peers(b, 1, WAIT_MS), 0);
    struct raw slow;
    raw_open_as(&slow, a, 7, 1);
    CHECK_EQ(weft_node_wait_peers(a, 2, WAIT_MS), 0);
    char route[800];
    snprintf(route, sizeof(route), "types.X@a.%0650d", 0);
    fx_subscribe_often(a, route, COUNT);
    raw_ask(&slow, 1, WEFT_PART_ROUTES);
    weft_report *r = fx_inspect(b, weft_node_url(a), WEFT_PART_ROUTES | WEFT_PART_PEERS, NULL);
    CHECK_EQ(r->n_routes, COUNT);
    for (size_t i = 0; i < r->n_peers; i++)
        CHECK(r->peers[i].outbox_bytes == 0); /* of messages */
    weft_report_free(r);
    raw_ask(&slow, 2, WEFT_PART_STATUS); /* is answered beside it */
    CHECK_EQ(raw_answers(&slow), COUNT);
    raw_close(&slow);
    weft_node_close(b);
    weft_node_close(a);
}

static int ask_raw(weft_node *node, const struct raw *r, int timeout_ms, const char *says)
{
    weft_query query;
    weft_query_init(&query);
    weft_report *report = NULL;
    char *text = NULL;
    int rc = weft_node_inspect(node, r->me, &query, timeout_ms, &report, &text);
    CHECK((rc == 0) == (report != NULL));
    if (rc < 0 && (!text || !strstr(text, says)))
        FAIL("%s: \"%s\" lacks \"%s\"", weft_err_name(rc), text ? text : "(nothing)", says);
    weft_report_free(report);
    weft_free(text);
    return rc;
}

struct asking_thread {
    weft_node *node;
    const struct raw *raw;
    int rc;
};

static void *ask_in_thread(void *arg)
{
    struct asking_thread *t = arg;
    t->rc = ask_raw(t->node, t->raw, WAIT_MS, "did not tell all");
    return NULL;
}

/* One that is asked and says nothing, or less than it was asked for. */
TEST(raw, is_asked)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    struct raw r;
    raw_open(&r, a);
    CHECK_EQ(ask_raw(a, &r, 20, "did not answer in time"), WEFT_ETIMEDOUT);
    CHECK_EQ(ask_raw(a, &r, 20, "is being asked already"), WEFT_ELIMIT);
    struct control c = {0};
    raw_take(&r, MSG_QUERY, &c);
    CHECK_EQ(c.query.parts, WEFT_PART_STATUS);
    control_fini(&c);
    raw_close(&r);
    UNTIL(fx_peer_count(a) == 0);

    raw_open_as(&r, a, 2, 2);
    struct asking_thread t = {.node = a, .raw = &r};
    pthread_t thread;
    pthread_create(&thread, NULL, ask_in_thread, &t);
    uint64_t nonce = raw_take(&r, MSG_QUERY, &c);
    control_fini(&c);
    raw_send(&r, &(struct control){.type = MSG_ANSWER, .answer = {.nonce = nonce, .text = ""}});
    pthread_join(thread, NULL);
    CHECK_EQ(t.rc, WEFT_EMALFORMED);
    raw_close(&r);
    weft_node_close(a);
}
