/* Frames: found whole at every split of the stream, and refused by the first byte that is wrong. */
#include "tests/check.h"

#include <weft/weft.h>

#include "base/prng.h"
#include "base/util.h"
#include "proto/frame.h"

/* A standard frame with the given body length. Returns its size. */
static size_t make_standard(uint8_t *out, size_t body_size)
{
    struct header h = {.timestamp = 1234567890123, .type = MSG_MESSAGE, .route = "T@a.b"};
    h.route_len = strlen(h.route);
    size_t n = frame_put_standard(out, &h, body_size);
    CHECK_EQ(n, header_size(&h) + 16);
    for (size_t i = 0; i < body_size; i++)
        out[n + i] = (uint8_t)i;
    return n + body_size;
}

static size_t make_compact(uint8_t *out, size_t body_size)
{
    frame_put_compact(out, 7, 99, body_size);
    memset(out + FRAME_COMPACT_HEAD, 0xab, body_size);
    return FRAME_COMPACT_HEAD + body_size;
}

/* The front of `data`, in memory of exactly that length. */
static int scan_exact(const uint8_t *data, size_t len, size_t max, struct frame *frame)
{
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, data, len);
    uint8_t *end = realloc(copy, len ? len : 1);
    int rc = frame_scan(end, len, max, frame);
    free(end);
    return rc;
}

TEST(frame, every_prefix)
{
    uint8_t data[256];
    for (int compact = 0; compact < 2; compact++) {
        for (size_t body = 0; body < 40; body += 13) {
            size_t size = compact ? make_compact(data, body) : make_standard(data, body);
            struct frame f;
            for (size_t len = 0; len < size; len++) {
                CHECK_EQ(scan_exact(data, len, FRAME_MAX_DEFAULT, &f), 0);
                CHECK_EQ(f.size, len < 8 ? 0 : size);
            }
            for (size_t more = 0; more < 3; more++) {
                CHECK_EQ(frame_scan(data, size + more, FRAME_MAX_DEFAULT, &f), 1);
                CHECK_EQ(f.size, size);
                CHECK_EQ(f.compact, compact);
                CHECK_EQ(f.body_size, body);
                CHECK(f.body == data + size - body);
            }
        }
    }
}

TEST(frame, parts)
{
    uint8_t data[256];
    struct frame f;
    make_compact(data, 5);
    CHECK_EQ(frame_scan(data, 25, 25, &f), 1);
    CHECK(f.alias == 7 && f.timestamp == 99 && f.header == NULL && f.header_size == 0);

    size_t size = make_standard(data, 3);
    CHECK_EQ(frame_scan(data, size, size, &f), 1);
    struct header h;
    CHECK_EQ(header_decode(f.header, f.header_size, &h), 0);
    CHECK(h.timestamp == 1234567890123 && h.type == MSG_MESSAGE && h.route_len == 5);
    CHECK_MEM(h.route, "T@a.b", 5);
    CHECK_MEM(f.body, "\0\1\2", 3);
}

/* A stream of frames, read one byte at a time as a link would. */
TEST(frame, byte_by_byte)
{
    static uint8_t stream[1 << 16], window[1 << 12];
    size_t sizes[200], total = 0, len = 0, found = 0;
    struct prng prng;
    prng_init(&prng, 20260301);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        size_t body = prng_between(&prng, 0, 200);
        sizes[i] = i % 3 ? make_standard(stream + total, body) : make_compact(stream + total, body);
        total += sizes[i];
    }
    for (size_t at = 0; at < total; at++) {
        window[len++] = stream[at];
        struct frame f;
        int rc = frame_scan(window, len, sizeof(window), &f);
        CHECK(rc >= 0);
        if (rc == 1) {
            CHECK_EQ(f.size, sizes[found]);
            CHECK_EQ(f.size, len);
            found++;
            len = 0;
        }
    }
    CHECK_EQ(found, ARRAY_LEN(sizes));
    CHECK_EQ(len, 0);
}

/* Magic and total are given; what comes of the first `len` bytes? */
static int scan_words(uint32_t magic, uint32_t total, uint32_t third, size_t len, size_t max)
{
    uint8_t data[12];
    struct frame f = {.alias = 77};
    store_u32(data, magic);
    store_u32(data + 4, total);
    store_u32(data + 8, third);
    int rc = scan_exact(data, len, max, &f);
    CHECK(rc >= 0 || f.alias == 77);
    return rc;
}

TEST(frame, bad_magic)
{
    CHECK_EQ(scan_words(0xFADABEDB, 100, 0, 4, 4096), WEFT_EMALFORMED);
    CHECK_EQ(scan_words(0, 100, 0, 4, 4096), WEFT_EMALFORMED);
    CHECK_EQ(scan_words(0xDABEDAFA, 100, 0, 12, 4096), WEFT_EMALFORMED);
    CHECK_EQ(scan_words(0x47455420, 0x2f204854, 0, 8, 4096), WEFT_EMALFORMED); /* "GET / HT" */
    CHECK_EQ(scan_words(0, 0, 0, 3, 4096), 0);
}

TEST(frame, bad_total)
{
    static const uint32_t small[] = {0, 3, 4, 7};
    for (size_t i = 0; i < ARRAY_LEN(small); i++) {
        CHECK_EQ(scan_words(FRAME_MAGIC, small[i], 0, 8, 4096), WEFT_EMALFORMED);
        CHECK_EQ(scan_words(FRAME_MAGIC_COMPACT, small[i], 0, 8, 4096), WEFT_EMALFORMED);
    }
    CHECK_EQ(scan_words(FRAME_MAGIC_COMPACT, 11, 0, 8, 4096), WEFT_EMALFORMED);
    CHECK_EQ(scan_words(FRAME_MAGIC, UINT32_MAX, 0, 8, FRAME_MAX_LIMIT), WEFT_ETOOBIG);
    CHECK_EQ(scan_words(FRAME_MAGIC_COMPACT, UINT32_MAX, 0, 8, FRAME_MAX_LIMIT), WEFT_ETOOBIG);
    CHECK_EQ(scan_words(FRAME_MAGIC, 4096 - 8, 0, 8, 4096), 0);
    CHECK_EQ(scan_words(FRAME_MAGIC, 4096 - 7, 0, 8, 4096), WEFT_ETOOBIG);
    CHECK_EQ(scan_words(FRAME_MAGIC_COMPACT, 4096 - 8, 0, 8, 4096), 0);
    CHECK_EQ(scan_words(FRAME_MAGIC_COMPACT, 4096 - 7, 0, 8, 4096), WEFT_ETOOBIG);
    CHECK_EQ(scan_words(FRAME_MAGIC, 8, 0, 8, 0), WEFT_ETOOBIG);
}

TEST(frame, bad_header_size)
{
    CHECK_EQ(scan_words(FRAME_MAGIC, 100, 93, 12, 4096), WEFT_EMALFORMED);
    CHECK_EQ(scan_words(FRAME_MAGIC, 100, 92, 12, 4096), 0);
    CHECK_EQ(scan_words(FRAME_MAGIC, 100, UINT32_MAX, 12, 4096), WEFT_EMALFORMED);
    CHECK_EQ(scan_words(FRAME_MAGIC, 4000, FRAME_HEADER_MAX, 12, 4096), 0);
    CHECK_EQ(scan_words(FRAME_MAGIC, 4000, FRAME_HEADER_MAX + 1, 12, 4096), WEFT_ETOOBIG);
}

TEST(frame, bad_message_size)
{
    uint8_t data[256];
    struct frame f;
    size_t size = make_standard(data, 10), at = size - 10 - 4;
    for (uint32_t wrong = 0; wrong < 24; wrong++) {
        store_u32(data + at, wrong);
        int expected = wrong == 10 ? 0 : WEFT_EMALFORMED;
        CHECK_EQ(scan_exact(data, at + 3, 4096, &f), 0);
        CHECK_EQ(scan_exact(data, at + 4, 4096, &f), expected);
        CHECK_EQ(scan_exact(data, size, 4096, &f), expected ? expected : 1);
    }
    store_u32(data + at, UINT32_MAX);
    CHECK_EQ(frame_scan(data, size, 4096, &f), WEFT_EMALFORMED);
}

/* Frames with bytes changed are whole, refused or waited for, and never read beyond their end. */
TEST(frame, mutated)
{
    struct prng prng;
    prng_init(&prng, 20260302);
    for (int i = 0; i < 100000; i++) {
        uint8_t data[256];
        size_t body = prng_between(&prng, 0, 30);
        size_t size = i % 2 ? make_standard(data, body) : make_compact(data, body);
        for (uint64_t n = prng_between(&prng, 0, 3); n > 0; n--)
            data[prng_between(&prng, 4, size - 1)] = (uint8_t)prng_between(&prng, 0, 64);
        uint8_t *exact = malloc(size);
        memcpy(exact, data, size);
        struct frame f;
        int rc = frame_scan(exact, size, 1 << 20, &f);
        if (rc == 1) {
            CHECK(f.size <= size && f.body + f.body_size == exact + f.size);
            uint8_t copy[256]; /* the sanitizer sees a part that lies outside */
            memcpy(copy, f.body, f.body_size);
            if (!f.compact)
                memcpy(copy, f.header, f.header_size);
        } else {
            CHECK(rc < 0 || f.size > size);
        }
        free(exact);
    }
}
