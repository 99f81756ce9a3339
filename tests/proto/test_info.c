/* QUERY and ANSWER beyond there and back (test_codec.c): what other nodes may say that these
 * structs do not hold, bodies that end early, lists that want more memory than they are worth. */
#include <weft/weft.h>

#include "base/util.h"
#include "proto/codec.h"
#include "tests/check.h"
#include "tests/proto/samples.h"

/* Protobuf by hand. */
struct bytes {
    uint8_t data[512];
    size_t len;
};

static void put_varint(struct bytes *b, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        b->data[b->len++] = (uint8_t)(value | 0x80);
    b->data[b->len++] = (uint8_t)value;
}

static void put_number(struct bytes *b, unsigned field, uint64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, value);
}

static void put_blob(struct bytes *b, unsigned field, const void *data, size_t len)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, len);
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void put_message(struct bytes *b, unsigned field, const struct bytes *message)
{
    put_blob(b, field, message->data, message->len);
}

enum { STATUS = 3, PEERS = 4, ROUTES = 5, ENTRIES = 6, INCIDENTS = 7 }; /* of ANSWER */

static struct control decode(const struct bytes *b)
{
    struct control c;
    CHECK_EQ(codec_decode(MSG_ANSWER, b->data, b->len, &c), 0);
    return c;
}

TEST(info, nothing_said)
{
    struct control c;
    CHECK_EQ(codec_decode(MSG_QUERY, (const uint8_t *)"", 0, &c), 0);
    CHECK(c.query.parts == 0 && c.query.n_args == 0);
    CHECK_STR(c.query.route, "");
    CHECK_STR(c.query.command, "");
    control_fini(&c);

    struct bytes b = {0}, none = {0};
    for (unsigned field = STATUS; field <= INCIDENTS; field++)
        put_message(&b, field, &none);
    c = decode(&b);
    CHECK(c.answer.nonce == 0 && !c.answer.more);
    CHECK_STR(c.answer.text, "");
    CHECK_STR(c.answer.status->url, "");
    CHECK_EQ(c.answer.status->role, WEFT_ROLE_PEER);
    CHECK_EQ(c.answer.status->log_level, WEFT_LOG_ERROR);
    CHECK_EQ(c.answer.status->stats.peers, 0);
    CHECK_STR(c.answer.peers[0].last_error, "");
    CHECK(c.answer.peers[0].next_dial_ms == UINT64_MAX);
    CHECK_STR(c.answer.routes[0].route, "");
    CHECK(!c.answer.routes[0].peer && !c.answer.routes[0].via);
    CHECK_STR(c.answer.records[0].peer, "");
    CHECK_EQ(c.answer.incidents[0].type, WEFT_EVENT_WARNING);
    CHECK_STR(c.answer.incidents[0].peer, "");
    control_fini(&c);
}

/* Values of a later version are brought into what these enums can hold. */
TEST(info, unknown_values)
{
    static const struct {
        uint64_t role, level, incident, error; /* error: zigzag */
        enum weft_role is_role;
        enum weft_log_level is_level;
        enum weft_event_type is_incident;
        int is_error;
    } cases[] = {
        {3, 5, 10, 2, WEFT_ROLE_PEER, WEFT_LOG_DEBUG, WEFT_EVENT_WARNING, WEFT_EPROTO},
        {77, UINT32_MAX, 1, UINT32_MAX - 1, WEFT_ROLE_PEER, WEFT_LOG_DEBUG, WEFT_EVENT_WARNING,
         WEFT_EPROTO},
        {UINT64_MAX, 0, 5, UINT32_MAX, WEFT_ROLE_PEER, WEFT_LOG_ERROR, WEFT_EVENT_WARNING,
         INT32_MIN},
        {2, 3, 7, 5, WEFT_ROLE_LEAF, WEFT_LOG_INFO, WEFT_EVENT_ROUTE_REFUSED, -3},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes b = {0}, status = {0}, peer = {0}, incident = {0};
        put_number(&status, 9, cases[i].role);
        put_number(&status, 10, cases[i].level);
        put_number(&status, 99, 1); /* a field that nobody knows */
        put_number(&peer, 6, cases[i].role);
        put_number(&incident, 3, cases[i].incident);
        put_number(&incident, 4, cases[i].error);
        put_message(&b, STATUS, &status);
        put_message(&b, PEERS, &peer);
        put_message(&b, INCIDENTS, &incident);
        struct control c = decode(&b);
        CHECK_EQ(c.answer.status->role, cases[i].is_role);
        CHECK_EQ(c.answer.status->log_level, cases[i].is_level);
        CHECK_EQ(c.answer.peers[0].role, cases[i].is_role);
        CHECK_EQ(c.answer.incidents[0].type, cases[i].is_incident);
        CHECK_EQ(c.answer.incidents[0].error, cases[i].is_error);
        control_fini(&c);
    }
}

/* More reasons than there are here are left out, in whatever form they come. */
TEST(info, more_drop_counters)
{
    uint8_t packed[20];
    struct bytes b = {0}, stats = {0}, status = {0}, peer = {0}, route = {0};
    for (size_t i = 0; i < sizeof(packed); i++) {
        packed[i] = (uint8_t)(i + 1);
        put_number(&peer, 18, i + 1u); /* one by one */
    }
    put_blob(&stats, 13, packed, sizeof(packed));
    put_message(&status, 18, &stats);
    put_blob(&route, 7, packed, 3);
    put_message(&b, STATUS, &status);
    put_message(&b, PEERS, &peer);
    put_message(&b, ROUTES, &route);
    struct control c = decode(&b);
    for (unsigned i = 0; i < WEFT_DROP_REASONS; i++) {
        CHECK_EQ(c.answer.status->stats.dropped[i], i + 1);
        CHECK_EQ(c.answer.peers[0].dropped[i], i + 1);
        CHECK_EQ(c.answer.routes[0].dropped[i], i < 3 ? i + 1 : 0);
    }
    control_fini(&c);
}

TEST(info, node_id_length)
{
    static const struct {
        unsigned list, field;
    } places[] = {{STATUS, 8}, {PEERS, 5}, {ENTRIES, 16}};
    uint8_t id[20] = {9, 9, 9};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        for (size_t len = 0; len <= sizeof(id); len++) {
            struct bytes b = {0}, part = {0};
            struct control c = {.type = 4711};
            put_blob(&part, places[i].field, id, len);
            put_message(&b, places[i].list, &part);
            int rc = codec_decode(MSG_ANSWER, b.data, b.len, &c);
            CHECK_EQ(rc, len == 0 || len == 16 ? 0 : WEFT_EMALFORMED);
            CHECK(rc == 0 || c.type == 4711);
            if (rc == 0)
                control_fini(&c);
        }
    }
}

/* A time in ns that ms cannot hold exactly: what is due at once stays due, what is long stays so.
 */
TEST(info, times)
{
    static const struct {
        uint64_t ns, ms;
    } cases[] = {{0, UINT64_MAX}, {1, 0}, {999999, 0}, {1000000, 1}, {UINT64_MAX, 18446744073709}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes b = {0}, peer = {0};
        put_number(&peer, 20, cases[i].ns);
        put_message(&b, PEERS, &peer);
        struct control c = decode(&b);
        CHECK(c.answer.peers[0].next_dial_ms == cases[i].ms);
        control_fini(&c);
    }
    weft_peer_info peer = {.next_dial_ms = UINT64_MAX - 1, .uptime_ms = UINT64_MAX};
    struct control c = {.type = MSG_ANSWER, .answer = {.peers = &peer, .n_peers = 1}}, back;
    struct frame f;
    struct buf buf;
    buf_init(&buf, 4096);
    CHECK_EQ(codec_encode(&buf, &(struct header){0}, &c), 0);
    CHECK_EQ(frame_scan(buf.data, buf.len, FRAME_MAX_LIMIT, &f), 1);
    CHECK_EQ(codec_decode(MSG_ANSWER, f.body, f.body_size, &back), 0);
    CHECK(back.answer.peers[0].next_dial_ms == UINT64_MAX / NS_PER_MS);
    CHECK(back.answer.peers[0].uptime_ms == UINT64_MAX / NS_PER_MS);
    control_fini(&back);
    buf_fini(&buf);
}

/* ---- Bodies that are not whole ---- */

/* A body that ends too early is refused, or is a shorter one that ends between two fields. */
TEST(info, every_length)
{
    for (uint32_t type = MSG_QUERY; type <= MSG_ANSWER; type++) {
        struct control c = sample(type), part;
        struct frame f;
        struct buf b;
        size_t accepted = 0;
        buf_init(&b, 1 << 16);
        CHECK_EQ(codec_encode(&b, &(struct header){0}, &c), 0);
        CHECK_EQ(frame_scan(b.data, b.len, FRAME_MAX_LIMIT, &f), 1);
        for (size_t size = 0; size < f.body_size; size++) {
            uint8_t *body = malloc(size + 1);
            memcpy(body, f.body, size);
            int rc = codec_decode(type, body, size, &part);
            free(body);
            CHECK(rc == 0 || rc == WEFT_EMALFORMED);
            accepted += rc == 0;
            if (rc == 0)
                control_fini(&part);
        }
        /* between its fields: route, command, arguments; nonce, more, the parts and text */
        size_t fields = type == MSG_QUERY ? 3 + c.query.n_args
                                          : 4 + c.answer.n_peers + c.answer.n_routes +
                                                c.answer.n_records + c.answer.n_incidents;
        CHECK_EQ(accepted, fields);
        buf_fini(&b);
    }
}

/* Two bytes an item that cost up to 500 each. */
TEST(info, budget)
{
    static uint8_t body[64 << 10];
    for (unsigned field = PEERS; field <= INCIDENTS; field++) {
        struct control c = {.type = 4711};
        memset(body, 0, sizeof(body));
        for (size_t i = 0; i < sizeof(body); i += 2)
            body[i] = (uint8_t)(field << 3 | 2);
        CHECK_EQ(codec_decode(MSG_ANSWER, body, sizeof(body), &c), WEFT_ELIMIT);
        CHECK_EQ(c.type, 4711);
        CHECK_EQ(codec_decode(MSG_ANSWER, body, 100, &c), 0);
        CHECK_EQ(c.answer.n_peers + c.answer.n_routes + c.answer.n_records + c.answer.n_incidents,
                 50);
        control_fini(&c);
    }
    struct control c = {.type = 4711};
    for (size_t i = 0; i < sizeof(body); i += 2)
        body[i] = 4 << 3 | 2; /* arguments */
    CHECK_EQ(codec_decode(MSG_QUERY, body, sizeof(body), &c), WEFT_ELIMIT);
    CHECK_EQ(codec_decode(MSG_QUERY, body, 100, &c), 0);
    CHECK_EQ(c.query.n_args, 50);
    control_fini(&c);
}

/* What a node tells of many routes or peers is within it. */
TEST(info, long_lists)
{
    enum { COUNT = 20000 };
    char(*texts)[24] = malloc(COUNT * sizeof(*texts));
    weft_route_info *routes = calloc(COUNT, sizeof(*routes));
    weft_peer_info *peers = calloc(COUNT, sizeof(*peers));
    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof(texts[i]), "T@a.b%d", i);
        routes[i] = (weft_route_info){.route = texts[i]};
        snprintf(texts[i], sizeof(texts[i]), "tcp://h:%d/a", i);
        peers[i] = (weft_peer_info){
            .url = texts[i], .path = "a", .state = "waiting", .role = WEFT_ROLE_PEER};
    }
    for (int what = 0; what < 2; what++) {
        struct control c = {.type = MSG_ANSWER}, back;
        struct frame f;
        struct buf b;
        c.answer = what ? (struct answer_msg){.peers = peers, .n_peers = COUNT}
                        : (struct answer_msg){.routes = routes, .n_routes = COUNT};
        buf_init(&b, 4 << 20);
        CHECK_EQ(codec_encode(&b, &(struct header){0}, &c), 0);
        CHECK_EQ(frame_scan(b.data, b.len, FRAME_MAX_LIMIT, &f), 1);
        CHECK_EQ(codec_decode(MSG_ANSWER, f.body, f.body_size, &back), 0);
        same_answer(&c.answer, &back.answer);
        control_fini(&back);
        buf_fini(&b);
    }
    free(texts);
    free(routes);
    free(peers);
}
