/* Target: the decoders of control messages and of one record of the address-book file.
 *
 *     input   u8 type, as an index | the body
 *
 * Decoding takes no more memory than docs/protocol.md section 2 allows. What was decoded can be
 * encoded, that decodes to the same, and encodes to the same bytes. */
#include "fuzz.h"

#include <weft/weft.h>

#include "proto/codec.h"
#include "tests/proto/samples.h"

#define MEMORY_FLOOR ((size_t)256 << 10)
#define MEMORY_FACTOR 24u

static void give_back(struct control *c)
{
    control_fini(c);
    CHECK_EQ(heap_live(), 0);
}

static bool is_single(uint32_t type)
{
    return type == MSG_INTENT || type == MSG_INTEREST;
}

/* What is no number equals nothing, itself included. */
static void settle_nan(struct control *c)
{
    bool book = c->type == MSG_ADDRBOOK, answer = c->type == MSG_ANSWER;
    struct book_record *records = book ? c->book.records : answer ? c->answer.records : NULL;
    size_t count = book ? c->book.count : answer ? c->answer.n_records : 0;
    for (size_t i = 0; i < count; i++) {
        if (records[i].multiplier != records[i].multiplier)
            records[i].multiplier = 0;
    }
}

static void decode_bounded(uint32_t type, const uint8_t *body, size_t size, int *ret_rc,
                           struct control *ret_control)
{
    heap_mark();
    size_t before = heap_live();
    *ret_rc = codec_decode(type, body, size, ret_control);
    size_t bound = MEMORY_FACTOR * size > MEMORY_FLOOR ? MEMORY_FACTOR * size : MEMORY_FLOOR;
    CHECK(heap_peak() - before <= bound);
}

/* Encode what came in a body of `size` bytes, find the frame, and decode it: *out holds the frame,
 * or nothing if there is no way back, and *ret_again what it says. */
static void round_trip(const struct control *c, size_t size, struct buf *out,
                       struct control *ret_again)
{
    struct header header = {.timestamp = 77, .type = c->type}, back;
    struct frame frame;
    int rc = codec_encode(out, &header, c);
    *ret_again = (struct control){0};
    if (rc == WEFT_EINVAL && is_single(c->type)) /* its route stands in the Header, too */
        return;
    CHECK_EQ(rc, 0);
    CHECK_EQ(frame_scan(out->data, out->len, FRAME_MAX_LIMIT, &frame), 1);
    CHECK_EQ(frame.size, out->len);
    CHECK_EQ(header_decode(frame.header, frame.header_size, &back), 0);
    CHECK(back.type == c->type && back.timestamp == 77);
    decode_bounded(c->type, frame.body, frame.body_size, &rc, ret_again);
    if (rc == WEFT_ELIMIT && frame.body_size < size) /* padding justified the memory */
        out->len = 0;
    else
        CHECK_EQ(rc, 0);
}

static void check_message(uint32_t type, const uint8_t *body, size_t size)
{
    struct control c, again, last;
    int rc;
    decode_bounded(type, body, size, &rc, &c);
    CHECK(rc == 0 || rc == WEFT_EMALFORMED || rc == WEFT_ELIMIT);
    if (rc < 0) {
        CHECK_EQ(heap_live(), 0);
        return;
    }
    struct buf once, twice;
    buf_init(&once, FRAME_MAX_LIMIT);
    buf_init(&twice, FRAME_MAX_LIMIT);
    round_trip(&c, size, &once, &again);
    if (once.len) {
        round_trip(&again, size, &twice, &last);
        CHECK_EQ(once.len, twice.len);
        CHECK_MEM(once.data, twice.data, once.len);
        settle_nan(&c);
        settle_nan(&again);
        same_control(&c, &again);
        control_fini(&last);
    }
    buf_fini(&once);
    buf_fini(&twice);
    control_fini(&again);
    give_back(&c);
}

static void check_record(const uint8_t *data, size_t size)
{
    struct control c, again;
    if (codec_decode_record(data, size, &c) < 0)
        return;
    CHECK_EQ(c.book.count, 1);
    struct buf out;
    buf_init(&out, FRAME_MAX_LIMIT);
    CHECK_EQ(codec_encode_record(&out, c.book.records), 0);
    CHECK_EQ(codec_decode_record(out.data, out.len, &again), 0);
    settle_nan(&c);
    settle_nan(&again);
    same_records(c.book.records, again.book.records, 1);
    control_fini(&again);
    buf_fini(&out);
    give_back(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return -1;
    struct input in = input_of(data, size);
    unsigned kind = take_u8(&in) % (SAMPLE_TYPES + 1);
    uint8_t *body = exact_copy(in.at, in.left);
    heap_watch();
    if (kind < SAMPLE_TYPES)
        check_message(types[kind], body, in.left);
    else
        check_record(body, in.left);
    CHECK_EQ(heap_live(), 0);
    free(body);
    return 0;
}
