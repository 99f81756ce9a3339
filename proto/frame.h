/* Frames (docs/protocol.md section 2): found in a byte stream, taken apart in place, and put
 * together.
 *
 *     standard  magic | total | header size | Header | message size | message
 *     compact   magic | total | alias | timestamp | message
 *
 * Nothing here allocates. The data plane uses these on every message. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FRAME_MAGIC UINT32_C(0xFADABEDA)
#define FRAME_MAGIC_COMPACT UINT32_C(0xCEBAFE4A)
#define FRAME_HEADER_MAX 2048u       /* bytes of Header */
#define FRAME_MAX_DEFAULT (4u << 20) /* whole frame */
#define FRAME_MAX_LIMIT (64u << 20)
#define FRAME_MAX_HANDSHAKE (64u << 10) /* until the handshake is done */
#define FRAME_COMPACT_HEAD 20u          /* bytes before the message */
#define FRAME_STANDARD_HEAD 12u         /* bytes before the Header */

enum msg_type {
    MSG_MESSAGE = 1,
    MSG_INTENT = 2,
    MSG_INTENTS = 3,
    MSG_INTEREST = 4,
    MSG_INTERESTS = 5,
    MSG_NOTIFY_INTENT = 6,
    MSG_RESULT = 7,
    MSG_PING = 8,
    MSG_PONG = 9,
    MSG_HANDSHAKE = 50,
    MSG_PEERS = 51,
    MSG_ADDRBOOK = 52,
    MSG_GOODBYE = 60,
    MSG_DIGEST = 61,
    MSG_QUERY = 62,
    MSG_ANSWER = 63,
    MSG_USER = 1000, /* from here on: carried like MESSAGE */
};

struct frame {
    size_t size; /* of the whole frame; 0 while fewer than 8 bytes are there */
    bool compact;
    uint32_t alias;        /* compact */
    uint64_t timestamp;    /* compact */
    const uint8_t *header; /* standard: the encoded Header */
    size_t header_size;
    const uint8_t *body;
    size_t body_size;
};

/* Look at the front of `data`. Returns 1: a whole frame of ret_frame->size bytes stands there,
 * taken apart. 0: more bytes are needed; ret_frame->size tells how many in all, or 0. Lengths are
 * checked as soon as they are seen. Errors: WEFT_EMALFORMED (magic, or lengths that do not add up),
 * WEFT_ETOOBIG (over max_frame, or a Header over FRAME_HEADER_MAX). */
int frame_scan(const uint8_t *data, size_t len, size_t max_frame, struct frame *ret_frame);

/* The common case of frame_scan, inline: true when a whole compact frame stands at the front of
 * `data`, taken apart. False says nothing about it: ask frame_scan. */
static inline bool frame_scan_compact(const uint8_t *data, size_t len, size_t max_frame,
                                      struct frame *ret_frame)
{
    if (len < FRAME_COMPACT_HEAD || load_u32(data) != FRAME_MAGIC_COMPACT)
        return false;
    size_t size = (size_t)load_u32(data + 4) + 8;
    if (size > len || size < FRAME_COMPACT_HEAD || size > max_frame)
        return false;
    ret_frame->size = size;
    ret_frame->compact = true;
    ret_frame->alias = load_u32(data + 8);
    ret_frame->timestamp = load_u64(data + 12);
    ret_frame->body = data + FRAME_COMPACT_HEAD;
    ret_frame->body_size = size - FRAME_COMPACT_HEAD;
    return true;
}

/* A Header taken apart in place; bytes and strings point into the frame. Absent fields are 0 or
 * NULL. */
struct header {
    uint64_t receive_timestamp;
    uint64_t timestamp;
    uint32_t type;
    bool want_result;
    const uint8_t *signature;
    size_t signature_len;
    const char *route; /* not NUL-terminated */
    size_t route_len;
};

/* Decode without allocating: equal in effect to protobuf-c on every input it accepts, and refusing
 * what it refuses. Unknown fields are skipped; the last of a repeated scalar counts. Errors:
 * WEFT_EMALFORMED. */
int header_decode(const uint8_t *data, size_t len, struct header *ret_header);

/* Encoded size and encoding of a Header, fields in order of number, zero values left out. */
size_t header_size(const struct header *header);
size_t header_encode(const struct header *header, uint8_t *out);

/* Write everything of a standard frame that precedes the message: magic to message size. Returns
 * its length: header_size(header) + 16. The message of body_size bytes follows. */
size_t frame_put_standard(uint8_t *out, const struct header *header, size_t body_size);

/* Write the 20 bytes that precede the message of a compact frame. */
static inline void frame_put_compact(uint8_t *out, uint32_t alias, uint64_t timestamp,
                                     size_t body_size)
{
    store_u32(out, FRAME_MAGIC_COMPACT);
    store_u32(out + 4, (uint32_t)body_size + 12);
    store_u32(out + 8, alias);
    store_u64(out + 12, timestamp);
}

#endif
