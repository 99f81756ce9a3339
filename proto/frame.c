/* A frame is looked at from the front, as far as bytes are there: magic, total, header size,
 * message size. Each is checked the moment it is complete, so that a frame that cannot be right is
 * refused by its first bytes and nobody waits for, or makes room for, four gigabytes of it. */
#include "proto/frame.h"

#include <weft/weft.h>

#define STANDARD_REST 8u /* what total counts besides Header and message: their two sizes */
#define COMPACT_REST 12u /* alias and timestamp */

/* The part after magic and total, of `len` bytes that are there. frame->size is known. */
static int scan_standard(const uint8_t *data, size_t len, struct frame *frame)
{
    size_t total = frame->size - 8;
    if (len < FRAME_STANDARD_HEAD)
        return 0;
    size_t header_len = load_u32(data + 8);
    if (header_len > total - STANDARD_REST)
        return WEFT_EMALFORMED;
    if (header_len > FRAME_HEADER_MAX)
        return WEFT_ETOOBIG;
    size_t body_at = FRAME_STANDARD_HEAD + header_len + 4;
    if (len < body_at)
        return 0;
    frame->header = data + FRAME_STANDARD_HEAD;
    frame->header_size = header_len;
    frame->body = data + body_at;
    frame->body_size = frame->size - body_at;
    if (load_u32(data + body_at - 4) != frame->body_size)
        return WEFT_EMALFORMED;
    return len >= frame->size;
}

static int scan_compact(const uint8_t *data, size_t len, struct frame *frame)
{
    frame->compact = true;
    if (len < frame->size)
        return 0;
    frame->alias = load_u32(data + 8);
    frame->timestamp = load_u64(data + 12);
    frame->body = data + FRAME_COMPACT_HEAD;
    frame->body_size = frame->size - FRAME_COMPACT_HEAD;
    return 1;
}

int frame_scan(const uint8_t *data, size_t len, size_t max_frame, struct frame *ret_frame)
{
    struct frame frame = {0};
    int rc = 0;
    if (len >= 4) {
        uint32_t magic = load_u32(data);
        bool compact = magic == FRAME_MAGIC_COMPACT;
        if (!compact && magic != FRAME_MAGIC)
            return WEFT_EMALFORMED;
        if (len >= 8) {
            uint32_t total = load_u32(data + 4);
            if (total < (compact ? COMPACT_REST : STANDARD_REST))
                return WEFT_EMALFORMED;
            if (max_frame < 8 || total > max_frame - 8)
                return WEFT_ETOOBIG;
            frame.size = (size_t)total + 8;
            rc = compact ? scan_compact(data, len, &frame) : scan_standard(data, len, &frame);
        }
    }
    if (rc >= 0)
        *ret_frame = frame;
    return rc;
}

size_t frame_put_standard(uint8_t *out, const struct header *header, size_t body_size)
{
    size_t header_len = header_encode(header, out + FRAME_STANDARD_HEAD);
    store_u32(out, FRAME_MAGIC);
    store_u32(out + 4, (uint32_t)(header_len + body_size + STANDARD_REST));
    store_u32(out + 8, (uint32_t)header_len);
    store_u32(out + FRAME_STANDARD_HEAD + header_len, (uint32_t)body_size);
    return FRAME_STANDARD_HEAD + header_len + 4;
}
