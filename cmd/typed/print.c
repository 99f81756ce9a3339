/* Objects as protobuf text, the way protoc prints it but on one line, and as JSON, the way proto3
 * maps it. What comes from the network is escaped in both: text has nothing but ASCII, JSON no
 * control characters.
 *
 * Text shows what a message has beyond its type by number. JSON cannot, and leaves it out. */
#include "typed.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../common/escape.h"

#define UNKNOWN_DEPTH 10 /* protoc's own: how deep bytes are taken for messages */

const char *typed_real(double value, bool single, char buf[TYPED_REAL])
{
    if (isnan(value) || isinf(value)) {
        snprintf(buf, TYPED_REAL, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return buf;
    }
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(buf, TYPED_REAL, "%.*g", digits, value);
        if (single ? strtof(buf, NULL) == (float)value : strtod(buf, NULL) == value)
            break;
    }
    return buf;
}

/* ---- Text --------------------------------------------------------------------------------------
 */

struct text {
    FILE *out;
    bool begun; /* something was printed: a space comes first */
};

static void space(struct text *t)
{
    if (t->begun)
        putc(' ', t->out);
    t->begun = true;
}

static void text_bytes(FILE *out, struct typed_bytes bytes)
{
    static const char plain[] = "\n\r\t\"'\\", letters[] = "nrt\"'\\";
    putc('"', out);
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        const char *special = c ? strchr(plain, c) : NULL;
        if (special)
            fprintf(out, "\\%c", letters[special - plain]);
        else if (c < 0x20 || c >= 0x7f)
            fprintf(out, "\\%03o", c);
        else
            putc(c, out);
    }
    putc('"', out);
}

static void text_object(struct text *t, const struct typed_object *object);

static void text_value(struct text *t, const struct typed_field *field, union typed_value value)
{
    char real[TYPED_REAL];
    const struct typed_enum_value *name;
    switch (field->type) {
    case TYPED_FLOAT:
    case TYPED_DOUBLE:
        fputs(typed_real(value.real, field->type == TYPED_FLOAT, real), t->out);
        break;
    case TYPED_BOOL:
        fputs(value.number ? "true" : "false", t->out);
        break;
    case TYPED_STRING:
    case TYPED_BYTES:
        text_bytes(t->out, value.bytes);
        break;
    case TYPED_ENUM:
        name = typed_value_by_number(field->enumeration, (int32_t)value.number);
        if (name)
            fputs(name->name, t->out);
        else
            fprintf(t->out, "%" PRId32, (int32_t)value.number);
        break;
    case TYPED_UINT32:
    case TYPED_UINT64:
    case TYPED_FIXED32:
    case TYPED_FIXED64:
        fprintf(t->out, "%" PRIu64, value.number);
        break;
    default:
        fprintf(t->out, "%" PRId64, (int64_t)value.number);
        break;
    }
}

static void text_field(struct text *t, const struct typed_field *field, union typed_value value)
{
    space(t);
    fputs(field->name, t->out);
    if (field->message) {
        fputs(" {", t->out);
        text_object(t, value.object);
        fputs(" }", t->out);
    } else {
        fputs(": ", t->out);
        text_value(t, field, value);
    }
}

/* Do the bytes read as fields to their end? */
static bool looks_like_fields(struct typed_bytes bytes)
{
    struct typed_reader r = {(const unsigned char *)bytes.data,
                             (const unsigned char *)bytes.data + bytes.size};
    struct typed_tag tag;
    while (r.at < r.end)
        if (!typed_read(&r, &tag))
            return false;
    return bytes.size > 0;
}

static void text_unknown(struct text *t, const struct typed_unknown *u, int depth);

static void text_unknown_fields(struct text *t, struct typed_bytes bytes, int depth)
{
    struct typed_reader r = {(const unsigned char *)bytes.data,
                             (const unsigned char *)bytes.data + bytes.size};
    struct typed_tag tag;
    fputs(" {", t->out);
    while (r.at < r.end && typed_read(&r, &tag)) {
        struct typed_unknown u = {tag.number, tag.wire, tag.value, tag.bytes};
        text_unknown(t, &u, depth);
    }
    fputs(" }", t->out);
}

static void text_unknown(struct text *t, const struct typed_unknown *u, int depth)
{
    space(t);
    fprintf(t->out, "%" PRIu32, u->number);
    switch (u->wire) {
    case 0:
        fprintf(t->out, ": %" PRIu64, u->value);
        break;
    case 1:
        fprintf(t->out, ": 0x%016" PRIx64, u->value);
        break;
    case 5:
        fprintf(t->out, ": 0x%08" PRIx64, u->value);
        break;
    default:
        if (depth > 0 && (u->wire == 3 || looks_like_fields(u->bytes))) {
            text_unknown_fields(t, u->bytes, depth - 1);
            break;
        }
        fputs(": ", t->out);
        text_bytes(t->out, u->bytes);
        break;
    }
}

static void text_object(struct text *t, const struct typed_object *object)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct typed_slot *slot = &object->slots[i];
        if (object->type->map_entry || typed_present(slot))
            for (size_t k = 0; k < slot->count; k++)
                text_field(t, slot->field, slot->values[k]);
    }
    for (size_t i = 0; i < object->unknown_count; i++)
        text_unknown(t, &object->unknown[i], UNKNOWN_DEPTH);
}

void typed_print_text(FILE *out, const struct typed_object *object)
{
    struct text t = {.out = out};
    text_object(&t, object);
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

static void json_real(FILE *out, double value, bool single)
{
    char real[TYPED_REAL];
    if (isnan(value))
        fputs("\"NaN\"", out);
    else if (isinf(value))
        fputs(value > 0 ? "\"Infinity\"" : "\"-Infinity\"", out);
    else if (value == 0 && signbit(value)) /* as an integer it would lose its sign */
        fputs("-0.0", out);
    else
        fputs(typed_real(value, single, real), out);
}

/* Numbers as strings where `quoted`: keys, and 64 bits, which JavaScript cannot hold. */
static void json_number(FILE *out, enum typed_type type, uint64_t number, bool quoted)
{
    const char *quote = quoted ? "\"" : "";
    switch (type) {
    case TYPED_UINT32:
    case TYPED_UINT64:
    case TYPED_FIXED32:
    case TYPED_FIXED64:
        fprintf(out, "%s%" PRIu64 "%s", quote, number, quote);
        break;
    case TYPED_BOOL:
        fprintf(out, "%s%s%s", quote, number ? "true" : "false", quote);
        break;
    default:
        fprintf(out, "%s%" PRId64 "%s", quote, (int64_t)number, quote);
        break;
    }
}

static bool is_64_bits(enum typed_type type)
{
    return type == TYPED_INT64 || type == TYPED_UINT64 || type == TYPED_FIXED64 ||
           type == TYPED_SFIXED64 || type == TYPED_SINT64;
}

static void json_value(FILE *out, const struct typed_field *field, union typed_value value)
{
    const struct typed_enum_value *name;
    switch (field->type) {
    case TYPED_FLOAT:
    case TYPED_DOUBLE:
        json_real(out, value.real, field->type == TYPED_FLOAT);
        break;
    case TYPED_STRING:
        json_quoted(out, value.bytes.data, value.bytes.size);
        break;
    case TYPED_BYTES:
        putc('"', out);
        base64_write(out, value.bytes.data, value.bytes.size);
        putc('"', out);
        break;
    case TYPED_ENUM:
        name = typed_value_by_number(field->enumeration, (int32_t)value.number);
        if (name)
            json_quoted(out, name->name, strlen(name->name));
        else
            json_number(out, field->type, value.number, false);
        break;
    case TYPED_MESSAGE:
    case TYPED_GROUP:
        typed_print_json(out, value.object);
        break;
    default:
        json_number(out, field->type, value.number, is_64_bits(field->type));
        break;
    }
}

static void json_map(FILE *out, const struct typed_slot *slot)
{
    putc('{', out);
    for (size_t i = 0; i < slot->count; i++) {
        const struct typed_object *entry = slot->values[i].object;
        const struct typed_slot *key = &entry->slots[0], *value = &entry->slots[1];
        if (i)
            putc(',', out);
        if (key->field->type == TYPED_STRING)
            json_value(out, key->field, key->values[0]);
        else
            json_number(out, key->field->type, key->values[0].number, true);
        putc(':', out);
        json_value(out, value->field, value->values[0]);
    }
    putc('}', out);
}

static void json_field(FILE *out, const struct typed_slot *slot)
{
    const struct typed_field *field = slot->field;
    json_quoted(out, field->json_name, strlen(field->json_name));
    putc(':', out);
    if (field->message && field->message->map_entry) {
        json_map(out, slot);
    } else if (field->repeated) {
        putc('[', out);
        for (size_t i = 0; i < slot->count; i++) {
            if (i)
                putc(',', out);
            json_value(out, field, slot->values[i]);
        }
        putc(']', out);
    } else {
        json_value(out, field, slot->values[0]);
    }
}

void typed_print_json(FILE *out, const struct typed_object *object)
{
    bool begun = false;
    putc('{', out);
    for (size_t i = 0; i < object->count; i++) {
        if (!typed_present(&object->slots[i]))
            continue;
        if (begun)
            putc(',', out);
        begun = true;
        json_field(out, &object->slots[i]);
    }
    putc('}', out);
}
