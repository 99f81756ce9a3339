/* Target: the frame reader, and the Header decoder behind it.
 *
 *     input   u8 limit | u8 n | n × u16 size of a piece | the stream
 *
 * The stream is read twice: at once, and as it arrives in the pieces, where the reader sees what is
 * there after each. Frames, the first error and its place must be the same. A size that is
 * announced must hold. A Header that is taken must be what protobuf-c reads, and one that is
 * refused it must refuse; written again it must be read alike. */
#include "fuzz.h"

#include <weft/weft.h>

#include "base/hash.h"
#include "base/util.h"
#include "proto/frame.h"
#include "proto/weft.pb-c.h"

/* What came of a stream. */
struct outcome {
    uint64_t frames, digest;
    size_t used;
    int error;
};

struct pieces {
    const uint8_t *sizes; /* u16 each */
    size_t count;
};

static const size_t limits[] = {
    FRAME_MAX_HANDSHAKE, FRAME_MAX_DEFAULT, FRAME_MAX_LIMIT, 0, 7, 8, 20, 64};

static void same_header(const struct header *h, const Weft__Header *m)
{
    CHECK(h->receive_timestamp == m->receive_timestamp && h->timestamp == m->timestamp);
    CHECK(h->type == (uint32_t)m->type && h->want_result == (m->want_result != 0));
    CHECK_EQ(h->signature_len, m->signature.len);
    CHECK_EQ(strnlen(h->route ? h->route : "", h->route_len), strlen(m->route));
    if (h->signature_len)
        CHECK_MEM(h->signature, m->signature.data, h->signature_len);
    if (h->route_len)
        CHECK_MEM(h->route, m->route, strlen(m->route));
}

static void again_header(const struct header *h)
{
    size_t size = header_size(h);
    uint8_t *out = malloc(size + 16);
    struct header back;
    struct frame frame;
    if (!out)
        abort();
    CHECK_EQ(frame_put_standard(out, h, 0), size + 16);
    if (size <= FRAME_HEADER_MAX)
        CHECK_EQ(frame_scan(out, size + 16, FRAME_MAX_DEFAULT, &frame), 1);
    CHECK_EQ(header_decode(out + FRAME_STANDARD_HEAD, size, &back), 0);
    CHECK(back.timestamp == h->timestamp && back.receive_timestamp == h->receive_timestamp);
    CHECK(back.type == h->type && back.want_result == h->want_result);
    CHECK(back.signature_len == h->signature_len && back.route_len == h->route_len);
    free(out);
}

static void check_header(const struct frame *frame)
{
    struct header h = {.type = 4711};
    uint8_t *copy = exact_copy(frame->header, frame->header_size);
    int rc = header_decode(copy, frame->header_size, &h);
    Weft__Header *m = weft__header__unpack(NULL, frame->header_size, copy);
    CHECK_EQ(rc == 0, m != NULL);
    CHECK(rc == 0 || (rc == WEFT_EMALFORMED && h.type == 4711));
    if (m) {
        same_header(&h, m);
        again_header(&h);
        weft__header__free_unpacked(m, NULL);
    }
    free(copy);
}

static void check_frame(const uint8_t *data, const struct frame *frame, size_t limit)
{
    CHECK(frame->size >= 8 && frame->size <= limit);
    CHECK(frame->body + frame->body_size == data + frame->size);
    struct frame fast = {0};
    CHECK_EQ(frame_scan_compact(data, frame->size, limit, &fast), frame->compact);
    if (frame->compact) {
        CHECK(fast.alias == frame->alias && fast.timestamp == frame->timestamp);
        CHECK(fast.body == frame->body && fast.body_size == frame->body_size);
        CHECK(fast.size == frame->size);
    } else {
        CHECK(frame->header_size <= FRAME_HEADER_MAX);
        check_header(frame);
    }
}

/* Take the frames that are whole. False: the stream has failed. */
static bool read_frames(const uint8_t *data, size_t len, size_t limit, size_t *announced,
                        struct outcome *out)
{
    size_t used = 0;
    for (;;) {
        struct frame frame;
        uint8_t *copy = exact_copy(data + used, len - used);
        out->error = frame_scan(copy, len - used, limit, &frame);
        CHECK(out->error >= 0 || !frame_scan_compact(copy, len - used, limit, &(struct frame){0}));
        if (out->error == 1) {
            CHECK(*announced == 0 || *announced == frame.size);
            check_frame(copy, &frame, limit);
            out->digest = hash64(out->digest, copy, frame.size);
        } else if (out->error == 0 && frame.size) {
            CHECK(frame.size > len - used && frame.size <= limit);
            CHECK(*announced == 0 || *announced == frame.size);
            *announced = frame.size;
        }
        free(copy);
        if (out->error != 1)
            break;
        *announced = 0;
        used += frame.size;
        out->frames++;
    }
    out->used += used;
    return out->error >= 0;
}

static struct outcome read_whole(const uint8_t *data, size_t len, size_t limit)
{
    struct outcome out = {.digest = HASH64_SEED};
    size_t announced = 0;
    read_frames(data, len, limit, &announced, &out);
    return out;
}

static struct outcome read_pieces(const uint8_t *data, size_t len, size_t limit,
                                  const struct pieces *pieces)
{
    struct outcome out = {.digest = HASH64_SEED};
    size_t there = 0, announced = 0;
    for (size_t i = 0; there < len; i++) {
        size_t piece = 1;
        if (pieces->count) {
            const uint8_t *p = pieces->sizes + 2 * (i % pieces->count);
            piece = 1 + ((size_t)p[0] << 8 | p[1]);
        }
        there = min_size(len, there + piece);
        if (!read_frames(data + out.used, there - out.used, limit, &announced, &out))
            break;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 16384)
        return -1;
    struct input in = input_of(data, size);
    size_t limit = limits[take_u8(&in) % ARRAY_LEN(limits)], bytes;
    struct pieces pieces = {0};
    size_t wanted = 2 * (size_t)take_u8(&in);
    pieces.sizes = take_bytes(&in, wanted, &bytes);
    pieces.count = bytes / 2;
    if (pieces.count == 0 && in.left > 1024)
        in.left = 1024; /* byte by byte is quadratic */
    struct outcome a = read_whole(in.at, in.left, limit);
    struct outcome b = read_pieces(in.at, in.left, limit, &pieces);
    CHECK(a.frames == b.frames && a.digest == b.digest && a.used == b.used);
    CHECK_EQ(in.left ? a.error : 0, b.error);
    return 0;
}
