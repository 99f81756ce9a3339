/* JSON as proto3 maps it, read by jansson: fields by either name, 64-bit numbers as strings or not,
 * bytes in base64, enums by name or number, null for a field that is not there.
 *
 * What is wrong in the JSON itself is told with line and column, what does not fit the type with
 * the way to it, such as arm.joints[2].angle. */
#include <jansson.h>

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "../common/memory.h"
#include "parse.h"

#define PATH_MAX_SHOWN 256

struct parser {
    struct typed_pool *pool;
    char *error;
    char path[PATH_MAX_SHOWN]; /* of the value in hand; cut off where it is too long */
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parser *p, const char *format, ...)
{
    va_list args;
    if (*p->error)
        return false;
    int n = snprintf(p->error, TYPED_ERROR, "%s%s", p->path, *p->path ? ": " : "");
    va_start(args, format);
    vsnprintf(p->error + n, TYPED_ERROR - (size_t)n, format, args);
    va_end(args);
    return false;
}

/* Go down. Returns what path_leave takes. */
__attribute__((format(printf, 2, 3))) static size_t path_enter(struct parser *p, const char *format,
                                                               ...)
{
    size_t before = strlen(p->path);
    va_list args;
    va_start(args, format);
    vsnprintf(p->path + before, sizeof(p->path) - before, format, args);
    va_end(args);
    return before;
}

static void path_leave(struct parser *p, size_t before)
{
    p->path[before] = '\0';
}

/* ---- Values ------------------------------------------------------------------------------------
 */

static bool expected(struct parser *p, const struct typed_field *field)
{
    switch (field->type) {
    case TYPED_BYTES:
        return fail(p, "expected bytes as a string of base64");
    case TYPED_MESSAGE:
    case TYPED_GROUP:
        return fail(p, "expected an object");
    case TYPED_STRING:
        return fail(p, "expected a string");
    default:
        return fail(p, "expected %s", typed_expected(field));
    }
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c == '-' ? '+' : c == '_' ? '/' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Both alphabets, with padding or without. */
static bool base64_of(struct parser *p, const char *text, size_t size,
                      struct typed_bytes *ret_bytes)
{
    while (size && text[size - 1] == '=')
        size--;
    unsigned char *out = typed_alloc(p->pool, size);
    size_t count = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 != 0) /* 6 bits are left over, then 12, then 18 */
            out[count++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    *ret_bytes = (struct typed_bytes){(const char *)out, count};
    return size % 4 != 1;
}

static bool integer_of(const struct typed_field *field, json_t *json, uint64_t *ret_number)
{
    char text[64];
    if (json_is_string(json))
        return typed_integer(json_string_value(json), field->type, false, ret_number);
    if (json_is_integer(json))
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    else if (json_is_real(json) && fabs(json_real_value(json)) < 1e18 &&
             floor(json_real_value(json)) == json_real_value(json)) /* such as 1e3 */
        snprintf(text, sizeof(text), "%.0f", json_real_value(json) + 0.0);
    else
        return false;
    return typed_integer(text, field->type, false, ret_number);
}

static bool real_of(struct parser *p, const struct typed_field *field, json_t *json,
                    double *ret_value)
{
    const char *text = json_string_value(json);
    double value;
    if (json_is_number(json))
        value = json_number_value(json);
    else if (text && strcmp(text, "NaN") == 0)
        value = (double)NAN;
    else if (text && (strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0))
        value = *text == '-' ? -HUGE_VAL : HUGE_VAL;
    else if (!text || !typed_float(text, field->type, &value))
        return expected(p, field);
    if (field->type == TYPED_FLOAT && json_is_number(json)) {
        value = (double)(float)value;
        if (isinf(value))
            return fail(p, "too large for a float");
    }
    *ret_value = value;
    return true;
}

static bool enum_of(struct parser *p, const struct typed_field *field, json_t *json,
                    uint64_t *ret_number)
{
    const struct typed_enum *e = field->enumeration;
    const char *text = json_string_value(json);
    const struct typed_enum_value *value = text ? typed_value_by_name(e, text) : NULL;
    if (value) {
        *ret_number = (uint64_t)(int64_t)value->number;
        return true;
    }
    if (!text && integer_of(field, json, ret_number)) {
        if (!e->closed || typed_value_by_number(e, (int32_t)*ret_number))
            return true;
        return fail(p, "%s has no value %" PRId32, e->name, (int32_t)*ret_number);
    }
    if (!text)
        return expected(p, field);
    const char *near = typed_near_value(e, text);
    return fail(p, "'%s' is no value of %s%s%s%s", text, e->name, near ? "; did you mean " : "",
                near ? near : "", near ? "?" : "");
}

static bool scalar_of(struct parser *p, const struct typed_field *field, json_t *json,
                      union typed_value *ret_value)
{
    const char *text = json_string_value(json);
    size_t size = json_string_length(json);
    switch (field->type) {
    case TYPED_STRING:
        if (text)
            ret_value->bytes = (struct typed_bytes){typed_copy(p->pool, text, size), size};
        return text ? true : expected(p, field);
    case TYPED_BYTES:
        return text && base64_of(p, text, size, &ret_value->bytes) ? true : expected(p, field);
    case TYPED_BOOL:
        ret_value->number = json_is_true(json);
        return json_is_boolean(json) ? true : expected(p, field);
    case TYPED_FLOAT:
    case TYPED_DOUBLE:
        return real_of(p, field, json, &ret_value->real);
    case TYPED_ENUM:
        return enum_of(p, field, json, &ret_value->number);
    default:
        return integer_of(field, json, &ret_value->number) ? true : expected(p, field);
    }
}

static bool fill(struct parser *p, struct typed_object *object, json_t *json, unsigned depth);

static bool value_of(struct parser *p, const struct typed_field *field, json_t *json,
                     unsigned depth, union typed_value *ret_value)
{
    *ret_value = (union typed_value){0};
    if (!field->message)
        return scalar_of(p, field, json, ret_value);
    if (!json_is_object(json))
        return expected(p, field);
    ret_value->object = typed_object_new(p->pool, field->message);
    return fill(p, ret_value->object, json, depth + 1);
}

/* ---- Fields ------------------------------------------------------------------------------------
 */

/* A key, which is always a string in JSON. */
static bool key_of(struct parser *p, const struct typed_field *field, const char *text,
                   union typed_value *ret_value)
{
    size_t size = strlen(text);
    if (field->type == TYPED_STRING) {
        ret_value->bytes = (struct typed_bytes){typed_copy(p->pool, text, size), size};
        return true;
    }
    if (field->type == TYPED_BOOL) {
        ret_value->number = strcmp(text, "true") == 0;
        return ret_value->number || strcmp(text, "false") == 0 ? true : expected(p, field);
    }
    return typed_integer(text, field->type, false, &ret_value->number) ? true : expected(p, field);
}

static bool take_map(struct parser *p, struct typed_object *object, const struct typed_field *field,
                     json_t *json, unsigned depth)
{
    const struct typed_field *key = typed_field_by_number(field->message, 1),
                             *value = typed_field_by_number(field->message, 2);
    const char *name;
    json_t *item;
    if (!json_is_object(json))
        return fail(p, "expected an object");
    json_object_foreach(json, name, item)
    {
        struct typed_object *entry = typed_object_new(p->pool, field->message);
        union typed_value k, v;
        size_t before = path_enter(p, "[\"%s\"]", name);
        if (!key_of(p, key, name, &k) || !value_of(p, value, item, depth + 1, &v))
            return false;
        path_leave(p, before);
        typed_put(p->pool, entry, key, k);
        typed_put(p->pool, entry, value, v);
        typed_put_entry(p->pool, object, field, entry);
    }
    return true;
}

static bool take_list(struct parser *p, struct typed_object *object,
                      const struct typed_field *field, json_t *json, unsigned depth)
{
    size_t i;
    json_t *item;
    if (!json_is_array(json))
        return fail(p, "expected a list in brackets");
    json_array_foreach(json, i, item)
    {
        union typed_value value;
        size_t before = path_enter(p, "[%zu]", i);
        if (!value_of(p, field, item, depth, &value))
            return false;
        path_leave(p, before);
        typed_put(p->pool, object, field, value);
    }
    return true;
}

static bool excluded(struct parser *p, const struct typed_object *object,
                     const struct typed_field *field)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct typed_field *other = object->slots[i].field;
        if (other == field)
            return !fail(p, "given twice, by both of its names");
        if (field->oneof >= 0 && other->oneof == field->oneof)
            return !fail(p, "given along with %s; they exclude one another", other->name);
    }
    return false;
}

static bool take_field(struct parser *p, struct typed_object *object,
                       const struct typed_field *field, json_t *json, unsigned depth)
{
    union typed_value value;
    if (json_is_null(json))
        return true;
    if (excluded(p, object, field))
        return false;
    if (field->message && field->message->map_entry)
        return take_map(p, object, field, json, depth);
    if (field->repeated)
        return take_list(p, object, field, json, depth);
    if (!value_of(p, field, json, depth, &value))
        return false;
    typed_put(p->pool, object, field, value);
    return true;
}

static bool fill(struct parser *p, struct typed_object *object, json_t *json, unsigned depth)
{
    const char *name;
    json_t *item;
    if (depth > TYPED_DEPTH)
        return fail(p, "more than %d messages in one another", TYPED_DEPTH);
    json_object_foreach(json, name, item)
    {
        const struct typed_field *field = typed_field_by_name(object->type, name, true);
        if (!field) {
            const char *near = typed_near_field(object->type, name, true);
            return fail(p, "%s has no field '%s'%s%s%s", object->type->name, name,
                        near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        }
        size_t before = path_enter(p, "%s%s", *p->path ? "." : "", name);
        if (!take_field(p, object, field, item, depth))
            return false;
        path_leave(p, before);
    }
    return true;
}

struct typed_object *typed_parse_json(struct typed_pool *pool, const struct typed_message *type,
                                      const char *text, size_t size, char error[TYPED_ERROR])
{
    struct parser p = {.pool = pool, .error = error};
    struct typed_object *object = typed_object_new(pool, type);
    json_error_t wrong;
    *error = '\0';
    json_t *json =
        json_loadb(size ? text : "", size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &wrong);
    bool ok = json != NULL;
    if (!json)
        snprintf(
            error, TYPED_ERROR, "line %d, column %d: %s%s", wrong.line, wrong.column, wrong.text,
            json_error_code(&wrong) == json_error_numeric_overflow ? "; write it in quotes" : "");
    else if (!json_is_object(json))
        ok = fail(&p, "expected an object in braces");
    else
        ok = fill(&p, object, json, 1);
    json_decref(json);
    if (!ok)
        return NULL;
    typed_sort_maps(object);
    return object;
}
