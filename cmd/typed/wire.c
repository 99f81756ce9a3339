/* The wire format: reading field by field, and objects from and to it.
 *
 * Reading follows what protobuf asks of every parser: of a field that is not repeated the last one
 * counts, and messages are merged; numbers may come packed or not, whatever was declared; a field
 * in another wire format than its type's is unknown, and so is a number that a closed enum does not
 * have. Memory is bounded by the bytes read, since every value has cost at least one. */
#include "typed.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"

#define NUMBER_MAX ((UINT32_C(1) << 29) - 1)

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, GROUP_START = 3, GROUP_END = 4, FIXED32 = 5 };

/* ---- Reading -----------------------------------------------------------------------------------
 */

static bool read_varint(struct typed_reader *r, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && r->at < r->end; shift += 7) {
        unsigned char byte = *r->at++;
        value |= shift < 64 ? (uint64_t)(byte & 127) << shift : 0;
        if (byte < 128) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool read_fixed(struct typed_reader *r, unsigned bytes, uint64_t *ret_value)
{
    uint64_t value = 0;
    if ((size_t)(r->end - r->at) < bytes)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)r->at[i] << (8 * i);
    r->at += bytes;
    *ret_value = value;
    return true;
}

static bool read_key(struct typed_reader *r, uint32_t *ret_number, unsigned *ret_wire)
{
    uint64_t key;
    if (!read_varint(r, &key) || key > UINT32_MAX || key >> 3 == 0)
        return false;
    *ret_number = (uint32_t)key >> 3;
    *ret_wire = key & 7;
    return *ret_number <= NUMBER_MAX;
}

static bool read_value(struct typed_reader *r, struct typed_tag *tag)
{
    switch (tag->wire) {
    case VARINT:
        return read_varint(r, &tag->value);
    case FIXED64:
        return read_fixed(r, 8, &tag->value);
    case FIXED32:
        return read_fixed(r, 4, &tag->value);
    case BYTES:
        if (!read_varint(r, &tag->value) || tag->value > (uint64_t)(r->end - r->at))
            return false;
        tag->bytes = (struct typed_bytes){(const char *)r->at, (size_t)tag->value};
        r->at += tag->bytes.size;
        return true;
    }
    return false;
}

/* To the end of a group whose beginning has been read, by a stack of the groups within it. */
static bool read_group(struct typed_reader *r, struct typed_tag *tag)
{
    uint32_t open[TYPED_DEPTH] = {tag->number};
    size_t depth = 1;
    const unsigned char *start = r->at;
    for (;;) {
        struct typed_tag inner = {0};
        const unsigned char *before = r->at;
        if (!read_key(r, &inner.number, &inner.wire))
            return false;
        if (inner.wire == GROUP_START) {
            if (depth == TYPED_DEPTH)
                return false;
            open[depth++] = inner.number;
        } else if (inner.wire == GROUP_END) {
            if (inner.number != open[--depth])
                return false;
            if (depth == 0) {
                tag->bytes = (struct typed_bytes){(const char *)start, (size_t)(before - start)};
                return true;
            }
        } else if (!read_value(r, &inner)) {
            return false;
        }
    }
}

bool typed_read(struct typed_reader *r, struct typed_tag *ret_tag)
{
    struct typed_tag tag = {0};
    if (!read_key(r, &tag.number, &tag.wire))
        return false;
    if (tag.wire == GROUP_START ? !read_group(r, &tag) : !read_value(r, &tag))
        return false;
    *ret_tag = tag;
    return true;
}

/* ---- Decoding ----------------------------------------------------------------------------------
 */

struct decoder {
    struct typed_pool *pool;
    const unsigned char *start; /* of the whole */
    char *error;
};

static unsigned wire_of(enum typed_type type)
{
    switch (type) {
    case TYPED_DOUBLE:
    case TYPED_FIXED64:
    case TYPED_SFIXED64:
        return FIXED64;
    case TYPED_FLOAT:
    case TYPED_FIXED32:
    case TYPED_SFIXED32:
        return FIXED32;
    case TYPED_STRING:
    case TYPED_BYTES:
    case TYPED_MESSAGE:
        return BYTES;
    case TYPED_GROUP:
        return GROUP_START;
    default:
        return VARINT;
    }
}

static bool fail(struct decoder *d, const unsigned char *at, const struct typed_message *type,
                 const char *field, const char *why)
{
    if (!*d->error)
        snprintf(d->error, TYPED_ERROR, "byte %zu: %s%s%s: %s", (size_t)(at - d->start), type->name,
                 field ? "." : "", field ? field : "", why);
    return false;
}

static union typed_value number_of(enum typed_type type, uint64_t raw)
{
    union typed_value value = {.number = raw};
    float single;
    uint32_t half = (uint32_t)raw;
    switch (type) {
    case TYPED_FLOAT:
        memcpy(&single, &half, sizeof(single));
        value.real = (double)single;
        break;
    case TYPED_INT32:
    case TYPED_SFIXED32:
    case TYPED_ENUM:
        value.number = (uint64_t)(int64_t)(int32_t)half;
        break;
    case TYPED_UINT32:
        value.number = half;
        break;
    case TYPED_SINT32:
        value.number = (uint64_t)(int64_t)(int32_t)((half >> 1) ^ (0 - (half & 1)));
        break;
    case TYPED_SINT64:
        value.number = (raw >> 1) ^ (0 - (raw & 1));
        break;
    case TYPED_BOOL:
        value.number = raw != 0;
        break;
    default: /* double: the bits are in place */
        break;
    }
    return value;
}

static void put_number(struct decoder *d, struct typed_object *object,
                       const struct typed_field *field, uint64_t raw)
{
    union typed_value value = number_of(field->type, raw);
    if (field->type == TYPED_ENUM && field->enumeration->closed &&
        !typed_value_by_number(field->enumeration, (int32_t)value.number)) {
        typed_put_unknown(d->pool, object,
                          (struct typed_unknown){.number = field->number, .value = raw});
        return;
    }
    typed_put(d->pool, object, field, value);
}

static bool put_packed(struct decoder *d, struct typed_object *object,
                       const struct typed_field *field, struct typed_bytes bytes)
{
    struct typed_reader r = {(const unsigned char *)bytes.data,
                             (const unsigned char *)bytes.data + bytes.size};
    struct typed_tag tag = {.wire = wire_of(field->type)};
    while (r.at < r.end) {
        if (!read_value(&r, &tag))
            return fail(d, r.at, object->type, field->name, "its packed numbers are cut short");
        put_number(d, object, field, tag.value);
    }
    return true;
}

static bool decode_into(struct decoder *d, struct typed_object *object, struct typed_bytes bytes,
                        unsigned depth);

static bool put_message(struct decoder *d, struct typed_object *object,
                        const struct typed_field *field, struct typed_bytes bytes, unsigned depth)
{
    struct typed_slot *slot = field->repeated ? NULL : typed_slot_find(object, field);
    struct typed_object *inner =
        slot ? slot->values[0].object : typed_object_new(d->pool, field->message);
    if (!decode_into(d, inner, bytes, depth + 1))
        return false;
    if (slot)
        return true;
    if (field->message->map_entry && inner->unknown_count) { /* a closed enum's, say: none */
        typed_put_unknown(
            d->pool, object,
            (struct typed_unknown){.number = field->number, .wire = BYTES, .bytes = bytes});
        return true;
    }
    if (field->message->map_entry)
        typed_put_entry(d->pool, object, field, inner);
    else
        typed_put(d->pool, object, field, (union typed_value){.object = inner});
    return true;
}

static bool put_bytes(struct decoder *d, struct typed_object *object,
                      const struct typed_field *field, struct typed_bytes bytes, unsigned depth)
{
    switch (field->type) {
    case TYPED_MESSAGE:
    case TYPED_GROUP:
        return put_message(d, object, field, bytes, depth);
    case TYPED_STRING:
        if (field->utf8 && !utf8_valid(bytes.data, bytes.size))
            return fail(d, (const unsigned char *)bytes.data, object->type, field->name,
                        "the string is not UTF-8");
        break;
    default:
        break;
    }
    typed_put(d->pool, object, field, (union typed_value){.bytes = bytes});
    return true;
}

static bool put_tag(struct decoder *d, struct typed_object *object, const struct typed_tag *tag,
                    unsigned depth)
{
    const struct typed_field *field = typed_field_by_number(object->type, tag->number);
    unsigned wire = field ? wire_of(field->type) : 0;
    if (field && wire == tag->wire) {
        if (wire == BYTES || wire == GROUP_START)
            return put_bytes(d, object, field, tag->bytes, depth);
        put_number(d, object, field, tag->value);
        return true;
    }
    if (field && field->repeated && tag->wire == BYTES && wire != GROUP_START)
        return put_packed(d, object, field, tag->bytes);
    typed_put_unknown(d->pool, object,
                      (struct typed_unknown){tag->number, tag->wire, tag->value, tag->bytes});
    return true;
}

static bool decode_into(struct decoder *d, struct typed_object *object, struct typed_bytes bytes,
                        unsigned depth)
{
    struct typed_reader r = {(const unsigned char *)bytes.data,
                             (const unsigned char *)bytes.data + bytes.size};
    struct typed_tag tag;
    if (depth > TYPED_DEPTH)
        return fail(d, r.at, object->type, NULL, "more than 100 messages in one another");
    while (r.at < r.end) {
        const unsigned char *at = r.at;
        if (!typed_read(&r, &tag))
            return fail(d, at, object->type, NULL, "no field begins here, or it is cut short");
        if (!put_tag(d, object, &tag, depth))
            return false;
    }
    return true;
}

struct typed_object *typed_decode(struct typed_pool *pool, const struct typed_message *type,
                                  const void *data, size_t size, char error[TYPED_ERROR])
{
    struct decoder d = {pool, size ? data : (const unsigned char *)"", error};
    struct typed_object *object = typed_object_new(pool, type);
    *error = '\0';
    if (!decode_into(&d, object, (struct typed_bytes){(const char *)d.start, size}, 1))
        return NULL;
    typed_sort_maps(object);
    return object;
}

/* ---- Encoding ----------------------------------------------------------------------------------
 */

static void append(struct typed_buffer *b, const void *data, size_t size)
{
    if (b->allocated - b->size < size) {
        b->allocated = 2 * b->allocated + size + 64;
        b->data = xresize(b->data, b->allocated);
    }
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

static size_t make_varint(uint64_t n, unsigned char out[10])
{
    size_t size = 0;
    for (; n >= 128; n >>= 7)
        out[size++] = (unsigned char)(n | 128);
    out[size++] = (unsigned char)n;
    return size;
}

static void append_varint(struct typed_buffer *b, uint64_t n)
{
    unsigned char out[10];
    append(b, out, make_varint(n, out));
}

static void append_fixed(struct typed_buffer *b, uint64_t n, unsigned bytes)
{
    unsigned char out[8];
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (unsigned char)(n >> (8 * i));
    append(b, out, bytes);
}

/* Put the length of what was appended since `start` before it. */
static void prefix_length(struct typed_buffer *b, size_t start)
{
    unsigned char out[10];
    size_t size = b->size - start, prefix = make_varint(size, out);
    append(b, out, prefix); /* for the room */
    assert(b->data);
    memmove(b->data + start + prefix, b->data + start, size);
    memcpy(b->data + start, out, prefix);
}

static uint64_t zigzag(uint64_t n)
{
    return n << 1 ^ (0 - (n >> 63));
}

static void append_number(struct typed_buffer *b, enum typed_type type, union typed_value value)
{
    float single;
    uint32_t half;
    switch (type) {
    case TYPED_FLOAT:
        single = (float)value.real;
        memcpy(&half, &single, sizeof(half));
        append_fixed(b, half, 4);
        break;
    case TYPED_FIXED32:
    case TYPED_SFIXED32:
        append_fixed(b, value.number, 4);
        break;
    case TYPED_DOUBLE:
    case TYPED_FIXED64:
    case TYPED_SFIXED64:
        append_fixed(b, value.number, 8);
        break;
    case TYPED_SINT32:
        append_varint(b, (uint32_t)zigzag(value.number));
        break;
    case TYPED_SINT64:
        append_varint(b, zigzag(value.number));
        break;
    default:
        append_varint(b, value.number);
        break;
    }
}

static bool encode_into(struct typed_buffer *b, const struct typed_object *object, char *error);

static bool encode_value(struct typed_buffer *b, const struct typed_field *field,
                         union typed_value value, char *error)
{
    unsigned wire = wire_of(field->type);
    append_varint(b, (uint64_t)field->number << 3 | wire);
    if (wire == GROUP_START) {
        if (!encode_into(b, value.object, error))
            return false;
        append_varint(b, (uint64_t)field->number << 3 | GROUP_END);
    } else if (wire != BYTES) {
        append_number(b, field->type, value);
    } else if (field->type == TYPED_MESSAGE) {
        size_t start = b->size;
        if (!encode_into(b, value.object, error))
            return false;
        prefix_length(b, start);
    } else {
        append_varint(b, value.bytes.size);
        append(b, value.bytes.data, value.bytes.size);
    }
    return true;
}

static void encode_packed(struct typed_buffer *b, const struct typed_slot *slot)
{
    append_varint(b, (uint64_t)slot->field->number << 3 | BYTES);
    size_t start = b->size;
    for (size_t i = 0; i < slot->count; i++)
        append_number(b, slot->field->type, slot->values[i]);
    prefix_length(b, start);
}

static bool required_there(const struct typed_object *object, char *error)
{
    for (size_t i = 0; i < object->type->count; i++) {
        const struct typed_field *field = &object->type->fields[i];
        if (!field->required || typed_slot_find(object, field))
            continue;
        snprintf(error, TYPED_ERROR, "%s.%s is required and not given", object->type->name,
                 field->name);
        return false;
    }
    return true;
}

static bool encode_into(struct typed_buffer *b, const struct typed_object *object, char *error)
{
    if (!required_there(object, error))
        return false;
    for (size_t i = 0; i < object->count; i++) {
        const struct typed_slot *slot = &object->slots[i];
        if (!object->type->map_entry && !typed_present(slot))
            continue;
        if (slot->field->packed) {
            encode_packed(b, slot);
            continue;
        }
        for (size_t k = 0; k < slot->count; k++)
            if (!encode_value(b, slot->field, slot->values[k], error))
                return false;
    }
    return true;
}

bool typed_encode(const struct typed_object *object, struct typed_buffer *ret_buffer,
                  char error[TYPED_ERROR])
{
    struct typed_buffer b = {0};
    if (!encode_into(&b, object, error)) {
        xfree(b.data);
        return false;
    }
    *ret_buffer = b;
    return true;
}
