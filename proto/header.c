/* The Header of a frame, taken apart in place: one pass, field by field, pointers into the frame
 * for strings. Data frames have one each, and protobuf-c would allocate for every route.
 *
 * What is accepted, and as what, is what protobuf-c does, oddities included, because base peers and
 * our own control messages go by it (tests/proto/test_header.c compares the two):
 *   - a tag has 1 to 5 bytes; field number 0 is refused in one byte, skipped where it is overlong;
 *   - a varint has 1 to 10 bytes, and what is too wide for the field is cut off;
 *   - a length has 1 to 5 bytes; groups and the wire types 6 and 7 are refused;
 *   - a known field with another wire type is refused, but for bool, which takes any: true if any
 *     of the value's bytes (with its length) is not zero, top bits aside. */
#include "proto/frame.h"

#include <limits.h>
#include <string.h>

#include <weft/weft.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

enum field {
    FIELD_RECEIVE_TIMESTAMP = 1,
    FIELD_TIMESTAMP = 2,
    FIELD_TYPE = 3,
    FIELD_WANT_RESULT = 4,
    FIELD_SIGNATURE = 5,
    FIELD_ROUTE = 6,
};

/* One field as it stands on the wire. */
struct member {
    uint32_t number;
    uint32_t wire;
    const uint8_t *raw; /* value, with its length where it has one */
    size_t raw_len;
    uint64_t value;       /* WIRE_VARINT */
    const uint8_t *bytes; /* WIRE_BYTES */
    size_t bytes_len;
};

/* ---- Reading ---- */

/* Read a varint of at most `max` bytes. Returns its length, 0 if it does not end in time. */
static inline size_t get_varint(const uint8_t *p, size_t left, size_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t limit = left < max ? left : max;
    for (size_t i = 0; i < limit; i++) {
        value |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (p[i] < 0x80) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

/* The value that follows a tag: fill in the member. Returns false if it is not whole or refused. */
static inline bool get_value(const uint8_t *p, size_t left, struct member *m)
{
    size_t n;
    uint64_t len;
    m->raw = p;
    switch (m->wire) {
    case WIRE_VARINT:
        m->raw_len = get_varint(p, left, 10, &m->value);
        return m->raw_len > 0;
    case WIRE_64:
        m->raw_len = 8;
        return left >= 8;
    case WIRE_32:
        m->raw_len = 4;
        return left >= 4;
    case WIRE_BYTES:
        n = get_varint(p, left, 5, &len);
        if (n == 0 || len > INT_MAX || len > left - n)
            return false;
        m->bytes = p + n;
        m->bytes_len = (size_t)len;
        m->raw_len = n + (size_t)len;
        return true;
    default:
        return false;
    }
}

static bool any_bit(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] & 0x7f)
            return true;
    }
    return false;
}

/* Put one member where it belongs; later ones of a number overwrite earlier ones. */
static inline bool take(struct header *h, const struct member *m)
{
    switch (m->number) {
    case FIELD_RECEIVE_TIMESTAMP:
        h->receive_timestamp = m->value;
        return m->wire == WIRE_VARINT;
    case FIELD_TIMESTAMP:
        h->timestamp = m->value;
        return m->wire == WIRE_VARINT;
    case FIELD_TYPE:
        h->type = (uint32_t)m->value;
        return m->wire == WIRE_VARINT;
    case FIELD_WANT_RESULT:
        h->want_result = any_bit(m->raw, m->raw_len);
        return true;
    case FIELD_SIGNATURE:
        h->signature = m->bytes;
        h->signature_len = m->bytes_len;
        return m->wire == WIRE_BYTES;
    case FIELD_ROUTE:
        h->route = (const char *)m->bytes;
        h->route_len = m->bytes_len;
        return m->wire == WIRE_BYTES;
    default:
        return true;
    }
}

int header_decode(const uint8_t *data, size_t len, struct header *ret_header)
{
    struct header h = {0};
    for (size_t at = 0; at < len;) {
        uint64_t tag;
        size_t n = get_varint(data + at, len - at, 5, &tag);
        if (n == 0 || data[at] < 8)
            return WEFT_EMALFORMED;
        struct member m = {.number = (uint32_t)(tag >> 3), .wire = tag & 7};
        at += n;
        if (!get_value(data + at, len - at, &m) || !take(&h, &m))
            return WEFT_EMALFORMED;
        at += m.raw_len;
    }
    *ret_header = h;
    return 0;
}

/* ---- Writing ---- */

static inline size_t varint_size(uint64_t value)
{
    size_t bits = 64 - (size_t)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

static inline uint8_t *put_varint(uint8_t *p, uint64_t value)
{
    while (value >= 0x80) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    return p;
}

static inline size_t number_size(uint64_t value)
{
    return value ? 1 + varint_size(value) : 0;
}

static inline size_t bytes_size(size_t len)
{
    return len ? 1 + varint_size(len) + len : 0;
}

static inline uint8_t *put_number(uint8_t *p, enum field field, uint64_t value)
{
    if (!value)
        return p;
    *p++ = (uint8_t)(field << 3 | WIRE_VARINT);
    return put_varint(p, value);
}

static inline uint8_t *put_bytes(uint8_t *p, enum field field, const void *data, size_t len)
{
    if (!len)
        return p;
    *p++ = (uint8_t)(field << 3 | WIRE_BYTES);
    p = put_varint(p, len);
    memcpy(p, data, len);
    return p + len;
}

/* An enum is an int32 on the wire, and a negative one is sign-extended to ten bytes. */
static inline uint64_t type_value(uint32_t type)
{
    return (uint64_t)(int32_t)type;
}

size_t header_size(const struct header *header)
{
    return number_size(header->receive_timestamp) + number_size(header->timestamp) +
           number_size(type_value(header->type)) + number_size(header->want_result) +
           bytes_size(header->signature_len) + bytes_size(header->route_len);
}

size_t header_encode(const struct header *header, uint8_t *out)
{
    uint8_t *p = out;
    p = put_number(p, FIELD_RECEIVE_TIMESTAMP, header->receive_timestamp);
    p = put_number(p, FIELD_TIMESTAMP, header->timestamp);
    p = put_number(p, FIELD_TYPE, type_value(header->type));
    p = put_number(p, FIELD_WANT_RESULT, header->want_result);
    p = put_bytes(p, FIELD_SIGNATURE, header->signature, header->signature_len);
    p = put_bytes(p, FIELD_ROUTE, header->route, header->route_len);
    return (size_t)(p - out);
}
