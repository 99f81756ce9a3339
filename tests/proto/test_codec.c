/* Control messages: each kind there and back, the bytes of real dndm frames, bodies that are
 * damaged or want too much, and allocations that fail one after the other. */
#include "tests/check.h"

#include <weft/weft.h>

#include "base/prng.h"
#include "base/util.h"
#include "proto/codec.h"
#include "tests/oom/oom.h"
#include "tests/proto/samples.h"

/* ---- There and back ---- */

/* Take a whole frame apart; the header borrows from it. */
static void open_frame(const struct buf *b, struct frame *f, struct header *h)
{
    CHECK_EQ(frame_scan(b->data, b->len, FRAME_MAX_LIMIT, f), 1);
    CHECK_EQ(f->size, b->len);
    CHECK_EQ(header_decode(f->header, f->header_size, h), 0);
}

TEST(codec, round_trips)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct control c = sample(types[i]), back;
        struct header h = {.timestamp = 42, .want_result = true, .type = 999}, got;
        struct frame f;
        struct buf b;
        buf_init(&b, 1 << 16);
        CHECK_EQ(codec_encode(&b, &h, &c), 0);
        open_frame(&b, &f, &got);
        CHECK(got.type == types[i] && got.timestamp == 42 && got.want_result);
        CHECK_EQ(codec_decode(types[i], f.body, f.body_size, &back), 0);
        same_control(&c, &back);
        control_fini(&back);
        control_fini(&back); /* harmless */
        buf_fini(&b);
    }
}

TEST(codec, header_route)
{
    struct control c = sample(MSG_INTENT);
    struct header h = {0}, got;
    struct frame f;
    struct buf b;
    buf_init(&b, 1 << 16);
    CHECK_EQ(codec_encode(&b, &h, &c), 0);
    open_frame(&b, &f, &got);
    CHECK(got.route_len == 5 && memcmp(got.route, "T@a.b", 5) == 0);
    buf_reset(&b);
    h.route = "X@y";
    h.route_len = 3;
    CHECK_EQ(codec_encode(&b, &h, &c), 0);
    open_frame(&b, &f, &got);
    CHECK(got.route_len == 3 && memcmp(got.route, "X@y", 3) == 0);
    buf_reset(&b);
    h = (struct header){0};
    c.type = MSG_INTENTS;
    CHECK_EQ(codec_encode(&b, &h, &c), 0);
    open_frame(&b, &f, &got);
    CHECK(got.route == NULL);
    buf_fini(&b);
}

/* Absent fields decode as nothing, and text is never NULL. */
TEST(codec, empty_bodies)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct control c;
        CHECK_EQ(codec_decode(types[i], (const uint8_t *)"", 0, &c), 0);
        CHECK_EQ(c.type, types[i]);
        if (types[i] == MSG_HANDSHAKE) {
            CHECK_STR(c.handshake.me, "");
            CHECK_STR(c.handshake.network, "");
            CHECK(c.handshake.version == 0 && c.handshake.node_id == NULL);
            CHECK(c.handshake.n_intents == 0 && c.handshake.n_interests == 0);
        } else if (types[i] == MSG_INTENT || types[i] == MSG_INTEREST) {
            CHECK_EQ(c.decls.count, 1);
            CHECK_STR(c.decls.items[0].route, "");
            CHECK_STR(c.decls.items[0].origin, "");
        } else if (types[i] == MSG_PEERS || types[i] == MSG_ADDRBOOK) {
            CHECK(c.peers.count == 0 && c.book.count == 0);
        }
        control_fini(&c);
    }
}

TEST(codec, no_codec)
{
    static const uint32_t without[] = {0, MSG_MESSAGE, 10, 49, 53, 64, MSG_USER, UINT32_MAX};
    struct buf b;
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(without); i++) {
        struct control c = {.type = without[i]};
        CHECK_EQ(codec_encode(&b, &(struct header){0}, &c), WEFT_EINVAL);
        CHECK_EQ(codec_decode(without[i], (const uint8_t *)"", 0, &c), WEFT_ENOTSUP);
    }
    struct control two = sample(MSG_INTENTS);
    two.type = MSG_INTENT;
    CHECK_EQ(codec_encode(&b, &(struct header){0}, &two), WEFT_EINVAL);
    CHECK_EQ(b.len, 0);
    buf_fini(&b);
    struct control zero = {0};
    control_fini(&zero);
}

TEST(codec, node_id_length)
{
    /* field 17, wire type 2: tag 0x8a 0x01 */
    uint8_t body[3 + 20] = {0x8a, 0x01, 16};
    struct control c = {.type = 4711};
    CHECK_EQ(codec_decode(MSG_HANDSHAKE, body, 3 + 16, &c), 0);
    CHECK(c.handshake.node_id != NULL);
    control_fini(&c);
    c.type = 4711;
    body[2] = 15;
    CHECK_EQ(codec_decode(MSG_HANDSHAKE, body, 3 + 15, &c), WEFT_EMALFORMED);
    body[2] = 17;
    CHECK_EQ(codec_decode(MSG_HANDSHAKE, body, 3 + 17, &c), WEFT_EMALFORMED);
    CHECK_EQ(c.type, 4711);
    body[2] = 0;
    CHECK_EQ(codec_decode(MSG_HANDSHAKE, body, 3, &c), 0);
    CHECK(c.handshake.node_id == NULL);
    control_fini(&c);
}

TEST(codec, record_alone)
{
    for (size_t i = 0; i < ARRAY_LEN(sample_records); i++) {
        struct buf b;
        struct control c;
        buf_init(&b, 4096);
        CHECK_EQ(codec_encode_record(&b, &sample_records[i]), 0);
        CHECK_EQ(codec_decode_record(b.data, b.len, &c), 0);
        CHECK_EQ(c.type, MSG_ADDRBOOK);
        CHECK_EQ(c.book.count, 1);
        same_records(c.book.records, &sample_records[i], 1);
        control_fini(&c);
        CHECK_EQ(codec_decode_record(b.data, b.len - 1, &c), WEFT_EMALFORMED);
        buf_fini(&b);
    }
}

/* ---- Limits ---- */

TEST(codec, full_buffer)
{
    struct control c = sample(MSG_HANDSHAKE);
    struct buf b;
    buf_init(&b, 100);
    CHECK(buf_put(&b, "front", 5));
    CHECK_EQ(codec_encode(&b, &(struct header){0}, &c), WEFT_ELIMIT);
    CHECK_EQ(b.len, 5);
    CHECK_MEM(b.data, "front", 5);
    buf_fini(&b);
}

TEST(codec, header_too_large)
{
    static char route[FRAME_HEADER_MAX + 1];
    memset(route, 'a', sizeof(route) - 1);
    struct decl decl = {.route = route};
    struct control c = {.type = MSG_INTENT, .decls = {&decl, 1}};
    struct buf b;
    buf_init(&b, 1 << 16);
    CHECK_EQ(codec_encode(&b, &(struct header){0}, &c), WEFT_EINVAL);
    CHECK_EQ(b.len, 0);
    buf_fini(&b);
}

/* Two bytes a record that cost some 200 each: a body of them must not take what it asks for. */
TEST(codec, budget)
{
    static uint8_t body[64 << 10];
    for (size_t i = 0; i < sizeof(body); i += 2)
        body[i] = 0x0a; /* field 1, empty message */
    static const uint32_t lists[] = {MSG_ADDRBOOK, MSG_INTENTS, MSG_INTERESTS, MSG_PEERS};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct control c = {.type = 4711};
        CHECK_EQ(codec_decode(lists[i], body, sizeof(body), &c), WEFT_ELIMIT);
        CHECK_EQ(c.type, 4711);
        CHECK_EQ(codec_decode(lists[i], body, 100, &c), 0);
        CHECK_EQ(c.decls.count, 50);
        control_fini(&c);
    }
}

/* Lists as large as nodes send them stay within it. */
TEST(codec, long_lists)
{
    enum { COUNT = 20000 };
    char(*routes)[32] = malloc(COUNT * sizeof(*routes));
    struct decl *decls = calloc(COUNT, sizeof(*decls));
    for (int i = 0; i < COUNT; i++) {
        snprintf(routes[i], sizeof(routes[i]), "types.Pose@a.b%d", i);
        decls[i] = (struct decl){.route = routes[i], .registered = true, .origin = ""};
    }
    for (uint32_t type = MSG_INTENTS; type <= MSG_INTERESTS; type += MSG_INTERESTS - MSG_INTENTS) {
        struct control c = {.type = type, .decls = {decls, COUNT}}, back;
        struct header h;
        struct frame f;
        struct buf b;
        buf_init(&b, 4 << 20);
        CHECK_EQ(codec_encode(&b, &(struct header){0}, &c), 0);
        open_frame(&b, &f, &h);
        CHECK_EQ(codec_decode(type, f.body, f.body_size, &back), 0);
        same_control(&c, &back);
        control_fini(&back);
        buf_fini(&b);
    }
    free(decls);
    free(routes);
}

/* Damaged bodies are decoded or refused; nothing leaks, nothing is read beyond the end. */
TEST(codec, mutated)
{
    struct prng prng;
    int accepted = 0, refused = 0;
    prng_init(&prng, 20260501);
    for (int i = 0; i < 60000; i++) {
        uint32_t type = types[prng_between(&prng, 0, ARRAY_LEN(types) - 1)];
        struct control c = sample(type), back;
        struct header h;
        struct frame f;
        struct buf b;
        buf_init(&b, 1 << 16);
        CHECK_EQ(codec_encode(&b, &(struct header){0}, &c), 0);
        open_frame(&b, &f, &h);
        size_t size = prng_between(&prng, 0, 3) ? f.body_size : prng_between(&prng, 0, f.body_size);
        uint8_t *body = malloc(size ? size : 1);
        memcpy(body, f.body, size);
        for (uint64_t n = prng_between(&prng, 0, 4); n > 0 && size > 0; n--)
            body[prng_between(&prng, 0, size - 1)] = (uint8_t)prng_next(&prng);
        if (prng_between(&prng, 0, 9) == 0)
            type = types[prng_between(&prng, 0, ARRAY_LEN(types) - 1)];
        int rc = codec_decode(type, body, size, &back);
        free(body); /* what was decoded does not borrow from it */
        buf_fini(&b);
        accepted += rc == 0;
        refused += rc < 0;
        if (rc < 0) {
            CHECK(rc == WEFT_EMALFORMED || rc == WEFT_ELIMIT);
            continue;
        }
        buf_init(&b, 1 << 20);
        rc = codec_encode(&b, &(struct header){.route = "x", .route_len = 1}, &back);
        CHECK_EQ(rc, 0);
        control_fini(&back);
        buf_fini(&b);
    }
    CHECK(accepted > 1000 && refused > 1000);
}

/* ---- Out of memory ---- */

/* One attempt in which the n-th allocation fails, or all from there on. True once it got through.
 */
static bool try_with(unsigned n, uint64_t failures, const struct control *c)
{
    struct control back = {.type = 4711};
    struct frame f;
    struct header h;
    struct buf b;
    oom_arm(n, failures);
    buf_init(&b, 1 << 20);
    int rc = codec_encode(&b, &(struct header){0}, c);
    if (rc == 0) {
        open_frame(&b, &f, &h);
        rc = codec_decode(c->type, f.body, f.body_size, &back);
    } else {
        CHECK_EQ(b.len, 0);
    }
    CHECK_EQ(oom_ok(rc), !oom_failed());
    CHECK(rc == 0 || back.type == 4711);
    if (rc == 0) {
        same_control(c, &back);
        control_fini(&back);
    }
    buf_fini(&b);
    CHECK_EQ(oom_living(), 0);
    return rc == 0;
}

TEST(codec, out_of_memory)
{
    struct decl many[200];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = sample_decls[i % 2];
    for (size_t i = 0; i <= ARRAY_LEN(types); i++) {
        struct control c = sample(i < ARRAY_LEN(types) ? types[i] : MSG_INTENTS);
        if (i == ARRAY_LEN(types)) {
            c.decls.items = many;
            c.decls.count = ARRAY_LEN(many);
        }
        unsigned n = 1;
        while (!try_with(n, UINT64_MAX, &c) || !try_with(n, 1, &c))
            CHECK(++n < 100);
        CHECK(n >= 3); /* the buffer, and the arena */
    }
}

/* An entry of the address-book file. */
TEST(codec, record_out_of_memory)
{
    unsigned n = 0;
    do {
        struct control back = {.type = 4711};
        struct buf b;
        oom_arm(++n, 1);
        buf_init(&b, 1 << 16);
        int rc = codec_encode_record(&b, &sample_records[0]);
        if (oom_ok(rc))
            rc = codec_decode_record(b.data, b.len, &back);
        CHECK_EQ(oom_ok(rc), !oom_failed());
        if (rc == 0) {
            same_records(back.book.records, &sample_records[0], 1);
            control_fini(&back);
        }
        buf_fini(&b);
        CHECK_EQ(oom_living(), 0);
    } while (oom_failed());
    CHECK(n >= 3);
}

/* ---- Result codes ---- */

TEST(codec, result_codes)
{
    for (uint64_t code = 0; code <= RESULT_IO; code++) {
        int error = result_to_error(code);
        CHECK(code == 0 ? error == 0 : error < 0);
        if (code != RESULT_FAILURE)
            CHECK_EQ(result_from_error(error), code);
    }
    CHECK_EQ(result_to_error(RESULT_IO + 1), WEFT_EPROTO);
    CHECK_EQ(result_to_error(UINT64_MAX), WEFT_EPROTO);
    CHECK_EQ(result_from_error(WEFT_EACCESS), RESULT_IO);
    CHECK_EQ(result_from_error(-9999), RESULT_FAILURE);
    CHECK_EQ(result_from_error(WEFT_EURL), RESULT_MALFORMED);
    CHECK_EQ(result_from_error(WEFT_ESCOPE), RESULT_DENIED);
}
