/* Instructions for a frame on the wire: encoding and decoding, compact and standard.
 *
 * Encoding writes what precedes the message and copies the message behind it; decoding goes through
 * a buffer full of frames as a link's reader does. What was decoded is added up and checked, so
 * that no compiler leaves it out. */
#include <string.h>

#include "base/buf.h"
#include "count.h"
#include "proto/frame.h"

#define FRAMES 10000u
#define BODY 64u
#define FRAME_ROOM (FRAME_STANDARD_HEAD + FRAME_HEADER_MAX + 4 + BODY)

static const char route[] = "bench.Sample@bench.instr.frames";
static uint8_t body[BODY];

static struct header message_header(uint64_t timestamp)
{
    return (struct header){.timestamp = timestamp,
                           .type = MSG_MESSAGE,
                           .route = route,
                           .route_len = sizeof(route) - 1};
}

static size_t put_compact(uint8_t *out, uint64_t number)
{
    frame_put_compact(out, 7, number, BODY);
    memcpy(out + FRAME_COMPACT_HEAD, body, BODY);
    return FRAME_COMPACT_HEAD + BODY;
}

static size_t put_standard(uint8_t *out, uint64_t number)
{
    struct header header = message_header(number);
    size_t head = frame_put_standard(out, &header, BODY);
    memcpy(out + head, body, BODY);
    return head + BODY;
}

static uint64_t take_compact(const struct frame *frame)
{
    return frame->compact ? frame->timestamp : UINT64_MAX;
}

static uint64_t take_standard(const struct frame *frame)
{
    struct header header;
    if (frame->compact || header_decode(frame->header, frame->header_size, &header) < 0 ||
        header.route_len != sizeof(route) - 1)
        return UINT64_MAX;
    return header.timestamp;
}

/* Encode FRAMES frames, then decode them, each counted under its name. */
static void measure(uint8_t *buf, size_t (*put)(uint8_t *, uint64_t),
                    uint64_t (*take)(const struct frame *), const char *encode, const char *decode)
{
    size_t len = 0;
    count_begin();
    for (uint64_t i = 1; i <= FRAMES; i++)
        len += put(buf + len, i);
    count_end();
    count_done(encode, FRAMES);

    uint64_t sum = 0;
    struct frame frame;
    size_t at = 0;
    count_begin();
    while (at < len && frame_scan(buf + at, len - at, FRAME_MAX_DEFAULT, &frame) == 1) {
        sum += take(&frame);
        at += frame.size;
    }
    count_end();
    if (at != len || sum != (uint64_t)FRAMES * (FRAMES + 1) / 2)
        give_up("what was decoded is not what was encoded");
    count_done(decode, FRAMES);
}

int main(void)
{
    uint8_t *buf = calloc(FRAMES, FRAME_ROOM);
    if (!buf)
        give_up("out of memory");
    measure(buf, put_compact, take_compact, "encode a compact frame", "decode a compact frame");
    measure(buf, put_standard, take_standard, "encode a standard frame", "decode a standard frame");
    free(buf);
    return 0;
}
