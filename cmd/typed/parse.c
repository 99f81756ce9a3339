/* Names and numbers, as both parsers read them. */
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../common/suggest.h"

const struct typed_field *typed_field_by_name(const struct typed_message *type, const char *name,
                                              bool json)
{
    for (size_t i = 0; i < type->count; i++) {
        const struct typed_field *f = &type->fields[i];
        if (strcmp(f->name, name) == 0 || (json && strcmp(f->json_name, name) == 0))
            return f;
    }
    return NULL;
}

const char *typed_near_field(const struct typed_message *type, const char *name, bool json)
{
    if (!type->count)
        return NULL;
    const struct typed_field *f = type->fields;
    const char *near = suggest(name, &f->name, type->count, sizeof(*f));
    return near || !json ? near : suggest(name, &f->json_name, type->count, sizeof(*f));
}

const char *typed_near_value(const struct typed_enum *e, const char *name)
{
    return suggest(name, (const char *const *)&e->values->name, e->count, sizeof(*e->values));
}

static void limits(enum typed_type type, uint64_t *ret_below, uint64_t *ret_above)
{
    switch (type) {
    case TYPED_UINT32:
    case TYPED_FIXED32:
        *ret_below = 0;
        *ret_above = UINT32_MAX;
        break;
    case TYPED_UINT64:
    case TYPED_FIXED64:
        *ret_below = 0;
        *ret_above = UINT64_MAX;
        break;
    case TYPED_INT64:
    case TYPED_SINT64:
    case TYPED_SFIXED64:
        *ret_below = (uint64_t)INT64_MAX + 1;
        *ret_above = INT64_MAX;
        break;
    case TYPED_BOOL:
        *ret_below = 0;
        *ret_above = 1;
        break;
    default:
        *ret_below = (uint64_t)INT32_MAX + 1;
        *ret_above = INT32_MAX;
        break;
    }
}

bool typed_integer(const char *text, enum typed_type type, bool c_style, uint64_t *ret_number)
{
    bool negative = *text == '-';
    uint64_t below, above;
    char *end;
    text += negative;
    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    uint64_t n = strtoull(text, &end, c_style ? 0 : 10);
    limits(type, &below, &above);
    if (errno || *end || n > (negative ? below : above))
        return false;
    *ret_number = negative ? 0 - n : n;
    return true;
}

bool typed_float(const char *text, enum typed_type type, double *ret_value)
{
    const char *digits = text + (*text == '-');
    char *end;
    if (!isdigit((unsigned char)*digits) && *digits != '.')
        return false;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return false;
    double value = type == TYPED_FLOAT ? (double)strtof(text, &end) : strtod(text, &end);
    if (*end || end == text)
        return false;
    *ret_value = value;
    return true;
}

const char *typed_expected(const struct typed_field *field)
{
    switch (field->type) {
    case TYPED_DOUBLE:
    case TYPED_FLOAT:
        return "a number";
    case TYPED_BOOL:
        return "true or false";
    case TYPED_STRING:
        return "a string in quotes";
    case TYPED_BYTES:
        return "bytes as a string in quotes";
    case TYPED_ENUM:
        return "a name of its enum";
    case TYPED_MESSAGE:
    case TYPED_GROUP:
        return "a message in braces";
    case TYPED_UINT32:
    case TYPED_FIXED32:
        return "a whole number from 0 to 4294967295";
    case TYPED_UINT64:
    case TYPED_FIXED64:
        return "a whole number from 0 to 18446744073709551615";
    case TYPED_INT64:
    case TYPED_SINT64:
    case TYPED_SFIXED64:
        return "a whole number of 64 bits";
    default:
        return "a whole number from -2147483648 to 2147483647";
    }
}
