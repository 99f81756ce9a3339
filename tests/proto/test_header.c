/* The header decoder against protobuf-c: on every input both accept or both refuse, and what they
 * accept they read alike. Inputs are valid headers, headers mutated byte by byte, and random bytes
 * biased towards tags that exist. */
#include "tests/check.h"

#include <weft/weft.h>

#include "base/prng.h"
#include "base/util.h"
#include "proto/frame.h"
#include "proto/weft.pb-c.h"

static void show(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        fprintf(stderr, "%02x", data[i]);
    fputc('\n', stderr);
}

static bool same_header(const struct header *h, const Weft__Header *m)
{
    return h->receive_timestamp == m->receive_timestamp && h->timestamp == m->timestamp &&
           h->type == (uint32_t)m->type && h->want_result == (m->want_result != 0) &&
           h->signature_len == m->signature.len &&
           (h->signature_len == 0 ||
            (h->signature && memcmp(h->signature, m->signature.data, h->signature_len) == 0)) &&
           strnlen(h->route ? h->route : "", h->route_len) == strlen(m->route) &&
           (h->route_len == 0 || (h->route && memcmp(h->route, m->route, h->route_len) == 0));
}

/* Decode both ways; true if accepted. */
static bool compare(const uint8_t *data, size_t len)
{
    struct header h = {.type = 4711};
    int rc = header_decode(data, len, &h);
    Weft__Header *m = weft__header__unpack(NULL, len, data);
    if ((rc == 0) != (m != NULL) || (rc == 0 && !same_header(&h, m)) ||
        (rc < 0 && (rc != WEFT_EMALFORMED || h.type != 4711))) {
        show(data, len);
        FAIL("ours %d, protobuf-c %s", rc, m ? "accepts" : "refuses");
    }
    if (m)
        weft__header__free_unpacked(m, NULL);
    return rc == 0;
}

/* In memory of exactly that length, for the sanitizer. */
static bool compare_exact(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (len)
        memcpy(copy, data, len);
    bool ok = compare(copy, len);
    free(copy);
    return ok;
}

static void random_header(struct prng *prng, struct header *h, uint8_t *bytes)
{
    *h = (struct header){0};
    if (prng_between(prng, 0, 1))
        h->receive_timestamp = prng_next(prng) >> prng_between(prng, 0, 63);
    if (prng_between(prng, 0, 3))
        h->timestamp = prng_next(prng) >> prng_between(prng, 0, 63);
    h->type = (uint32_t)(prng_next(prng) >> prng_between(prng, 32, 63));
    h->want_result = prng_between(prng, 0, 1);
    prng_fill(prng, bytes, 400);
    for (size_t i = 200; i < 400; i++)
        bytes[i] = (uint8_t)('a' + bytes[i] % 26);
    if (prng_between(prng, 0, 3) == 0) {
        h->signature = bytes;
        h->signature_len = prng_between(prng, 0, 200);
    }
    if (prng_between(prng, 0, 3)) {
        h->route = (const char *)bytes + 200;
        h->route_len = prng_between(prng, 0, 200);
    }
}

/* What we write is what protobuf-c writes, and reads back. */
TEST(header, encodes_like_protobuf_c)
{
    struct prng prng;
    prng_init(&prng, 20260401);
    for (int i = 0; i < 30000; i++) {
        struct header h;
        uint8_t bytes[400], ours[512], theirs[512];
        char route[201] = "";
        random_header(&prng, &h, bytes);
        size_t n = header_encode(&h, ours);
        CHECK_EQ(n, header_size(&h));
        CHECK(compare_exact(ours, n));

        if (h.route_len)
            memcpy(route, h.route, h.route_len);
        Weft__Header m = WEFT__HEADER__INIT;
        m.receive_timestamp = h.receive_timestamp;
        m.timestamp = h.timestamp;
        m.type = (Weft__Type)h.type;
        m.want_result = h.want_result;
        m.signature = (ProtobufCBinaryData){h.signature_len, (uint8_t *)h.signature};
        m.route = route;
        CHECK_EQ(weft__header__pack(&m, theirs), n);
        CHECK_MEM(ours, theirs, n);
    }
}

TEST(header, differs_never_when_mutated)
{
    const uint64_t seed = 20260402;
    struct prng prng;
    prng_init(&prng, seed);
    int accepted = 0, rounds = 150000;
    for (int i = 0; i < rounds; i++) {
        struct header h;
        uint8_t bytes[400], data[600];
        random_header(&prng, &h, bytes);
        size_t n = header_encode(&h, data);
        if (prng_between(&prng, 0, 1) && n < 60) { /* a second one behind: last value counts */
            random_header(&prng, &h, bytes);
            n += header_encode(&h, data + n);
        }
        for (uint64_t k = prng_between(&prng, 0, 4); k > 0 && n > 0; k--) {
            uint8_t value = (uint8_t)prng_next(&prng);
            size_t front = prng_between(&prng, 0, 3) ? min_size(n, 24) : n;
            size_t at = prng_between(&prng, 0, front - 1);
            if (prng_between(&prng, 0, 1))
                data[at] ^= (uint8_t)(1u << (value % 8));
            else
                data[at] = value;
        }
        if (prng_between(&prng, 0, 7) == 0)
            n = prng_between(&prng, 0, n);
        accepted += compare_exact(data, n);
    }
    CHECK(accepted > rounds / 20 && accepted < rounds);
}

/* Fields made up of known and unknown numbers, all wire types, and varints of any width. */
static size_t random_field(struct prng *prng, uint8_t *out)
{
    size_t n = 0;
    uint8_t wire = (uint8_t)prng_between(prng, 0, 23);
    wire = wire < 8 ? wire : wire < 16 ? 0 : 2;
    out[n] = (uint8_t)(prng_between(prng, 0, prng_between(prng, 0, 1) ? 7 : 15) << 3 | wire);
    uint64_t wide = prng_between(prng, 0, 15);
    for (; wide > 10; wide--) { /* an overlong or large tag */
        out[n++] |= 0x80;
        out[n] = (uint8_t)(prng_between(prng, 0, 3) ? 0 : prng_between(prng, 0, 127));
    }
    n++;
    if (wire == 0) {
        for (uint64_t more = prng_between(prng, 0, 11); more > 0; more--)
            out[n++] = (uint8_t)(prng_next(prng) | 0x80);
        out[n++] = (uint8_t)prng_between(prng, 0, prng_between(prng, 0, 1) ? 127 : 0);
        return n;
    }
    if (wire == 2) {
        size_t len = prng_between(prng, 0, 20), pad = prng_between(prng, 0, 9);
        out[n++] = (uint8_t)len;
        for (; pad > 4; pad--) { /* an overlong length */
            out[n - 1] |= 0x80;
            out[n++] = 0;
        }
        memset(out + n, prng_between(prng, 0, 1) ? 'x' : 0, len);
        return n + len;
    }
    prng_fill(prng, out + n, 8);
    return n + (wire == 5 ? 4 : 8);
}

TEST(header, differs_never_on_made_up_fields)
{
    const uint64_t seed = 20260403;
    struct prng prng;
    prng_init(&prng, seed);
    int accepted = 0, rounds = 150000;
    for (int i = 0; i < rounds; i++) {
        uint8_t data[512];
        size_t n = 0;
        for (uint64_t k = prng_between(&prng, 0, 6); k > 0; k--)
            n += random_field(&prng, data + n);
        if (prng_between(&prng, 0, 9) == 0)
            n = prng_between(&prng, 0, n);
        accepted += compare_exact(data, n);
    }
    CHECK(accepted > rounds / 20 && accepted < rounds);
}

TEST(header, differs_never_on_random_bytes)
{
    struct prng prng;
    prng_init(&prng, 20260404);
    for (int i = 0; i < 60000; i++) {
        uint8_t data[32];
        prng_fill(&prng, data, sizeof(data));
        compare_exact(data, prng_between(&prng, 0, sizeof(data)));
    }
}

/* Every input of up to two bytes, and the oddities that the file's opening names. */
TEST(header, differs_never_on_short_and_odd)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++)
            compare_exact((const uint8_t[]){(uint8_t)a, (uint8_t)b}, 2);
        compare_exact((const uint8_t[]){(uint8_t)a}, 1);
    }
    CHECK(compare(NULL, 0));
#define ODD(accepted, ...)                                                                         \
    CHECK(compare_exact((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})) == \
          (accepted))
    ODD(false, 0x00, 0x00);                               /* field 0 */
    ODD(true, 0x80, 0x00, 0x00);                          /* field 0, overlong */
    ODD(true, 0x90, 0x80, 0x80, 0x80, 0x00, 0x01);        /* tag of five bytes */
    ODD(false, 0x90, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01); /* of six */
    ODD(true, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f);
    ODD(false, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    ODD(true, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01); /* type -1 */
    ODD(true, 0x18, 0x81, 0x80, 0x80, 0x80, 0x70);                               /* cut to 32 bit */
    ODD(false, 0x12, 0x01, 0x00);            /* timestamp as bytes */
    ODD(false, 0x30, 0x01);                  /* route as varint */
    ODD(true, 0x21, 0, 0, 0, 0, 0, 0, 0, 1); /* bool as 64 bit */
    ODD(true, 0x25, 0, 0, 0, 0x80);          /* bool as 32 bit */
    ODD(true, 0x22, 0x00);                   /* bool as bytes, empty */
    ODD(true, 0x22, 0x01, 0x00);             /* bool as bytes: its length counts */
    ODD(false, 0x0b, 0x0c);                  /* group */
    ODD(false, 0x7b, 0x7c);                  /* group, unknown field */
    ODD(false, 0x32, 0x05, 'a', 'b');        /* longer than what is there */
    ODD(false, 0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00);
    ODD(false, 0x7a, 0xff, 0xff, 0xff, 0xff, 0x0f);
    ODD(true, 0x32, 0x82, 0x80, 0x80, 0x80, 0x00, 'a', 'b'); /* overlong length */
    ODD(true, 0x32, 0x03, 'a', 0x00, 'b');                   /* NUL in a route */
    ODD(true, 0x32, 0x01, 'a', 0x32, 0x00);                  /* the last counts, though empty */
#undef ODD
}

TEST(header, empty)
{
    struct header h = {.type = 1};
    CHECK_EQ(header_decode(NULL, 0, &h), 0);
    CHECK(h.type == 0 && h.route == NULL && h.route_len == 0);
    CHECK_EQ(header_size(&h), 0);
}
