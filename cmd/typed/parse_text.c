/* Protobuf text, as protoc --encode takes it: fields one after another, with an optional comma or
 * semicolon between, messages in braces or angle brackets, lists in brackets, comments from # to
 * the end of the line.
 *
 * What is wrong is told with its line and column, and nothing is sent. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "parse.h"

#define WORD_MAX 512

struct parser {
    struct typed_pool *pool;
    const char *start, *at, *end;
    char *error;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parser *p, const char *format, ...)
{
    size_t line = 1, column = 1;
    va_list args;
    if (*p->error)
        return false;
    for (const char *c = p->start; c < p->at; c++) {
        line += *c == '\n';
        column = *c == '\n' ? 1 : column + 1;
    }
    int n = snprintf(p->error, TYPED_ERROR, "line %zu, column %zu: ", line, column);
    va_start(args, format);
    vsnprintf(p->error + n, TYPED_ERROR - (size_t)n, format, args);
    va_end(args);
    return false;
}

/* ---- Words -------------------------------------------------------------------------------------
 */

/* Behind blanks and comments. The next character, or 0 at the end. */
static char peek(struct parser *p)
{
    while (p->at < p->end) {
        if (*p->at == '#')
            while (p->at < p->end && *p->at != '\n')
                p->at++;
        else if (isspace((unsigned char)*p->at))
            p->at++;
        else
            return *p->at;
    }
    return '\0';
}

static bool take(struct parser *p, char c)
{
    if (peek(p) != c || p->at == p->end)
        return false;
    p->at++;
    return true;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '+' || c == '-';
}

/* A name or number of letters, digits and what numbers have. False: none, or too long. */
static bool take_word(struct parser *p, char word[WORD_MAX])
{
    size_t size = 0;
    if (peek(p) == '-') { /* blanks may follow it */
        word[size++] = '-';
        p->at++;
        peek(p);
    }
    while (p->at < p->end && word_char(*p->at) && size < WORD_MAX - 1) {
        char before = size ? word[size - 1] : '\0';
        if ((*p->at == '+' || *p->at == '-') && before != 'e' && before != 'E')
            break;
        word[size++] = *p->at++;
    }
    word[size] = '\0';
    return size > 0 && size < WORD_MAX - 1;
}

/* ---- Strings -----------------------------------------------------------------------------------
 */

static unsigned digit(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0')
                                     : (unsigned)(tolower((unsigned char)c) - 'a' + 10);
}

/* Up to `most` digits of a base. False: not even `least`. */
static bool take_digits(struct parser *p, unsigned base, int least, int most, uint32_t *ret_value)
{
    uint32_t value = 0;
    int n = 0;
    for (; n < most && p->at < p->end && isxdigit((unsigned char)*p->at) && digit(*p->at) < base;
         n++)
        value = value * base + digit(*p->at++);
    *ret_value = value;
    return n >= least;
}

static size_t put_utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> size) | c);
    return size;
}

/* What follows a backslash. Returns how many bytes it became, 0 for a mistake. */
static size_t take_escape(struct parser *p, char out[4])
{
    static const char letters[] = "abfnrtv\\'\"?", bytes[] = "\a\b\f\n\r\t\v\\'\"?";
    char c = p->at < p->end ? *p->at++ : '\0';
    const char *special = c ? strchr(letters, c) : NULL;
    uint32_t value;
    if (special) {
        out[0] = bytes[special - letters];
        return 1;
    }
    if (c >= '0' && c <= '7') {
        p->at--;
        take_digits(p, 8, 1, 3, &value);
    } else if (c == 'x' || c == 'X') {
        if (!take_digits(p, 16, 1, 2, &value))
            return 0;
    } else if (c == 'u' || c == 'U') {
        int size = c == 'u' ? 4 : 8;
        if (!take_digits(p, 16, size, size, &value) || value > 0x10ffff ||
            (value >= 0xd800 && value < 0xe000))
            return 0;
        return put_utf8(value, out);
    } else {
        return 0;
    }
    out[0] = (char)value;
    return value <= 255;
}

/* One literal, appended to what is in `out`, which has room for all that is left of the text. */
static bool take_literal(struct parser *p, char *out, size_t *size)
{
    char quote = *p->at++, escaped[4];
    while (p->at < p->end && *p->at != quote) {
        if (*p->at == '\n')
            return fail(p, "the string has no end on its line; write \\n for a new line");
        if (*p->at != '\\') {
            out[(*size)++] = *p->at++;
            continue;
        }
        p->at++;
        size_t n = take_escape(p, escaped);
        if (n == 0)
            return fail(p, "an escape that is none; write \\\\ for a backslash");
        memcpy(out + *size, escaped, n);
        *size += n;
    }
    if (p->at == p->end)
        return fail(p, "the string has no end");
    p->at++;
    return true;
}

static bool take_string(struct parser *p, const struct typed_field *field,
                        union typed_value *ret_value)
{
    char quote = peek(p);
    if (quote != '"' && quote != '\'')
        return fail(p, "%s: expected %s", field->name, typed_expected(field));
    char *out = xresize(NULL, (size_t)(p->end - p->at));
    size_t size = 0;
    bool ok = true;
    for (; ok && (quote == '"' || quote == '\'');
         quote = peek(p)) /* literals side by side are one */
        ok = take_literal(p, out, &size);
    if (ok && field->utf8 && !utf8_valid(out, size))
        ok = fail(p, "%s: the string is not UTF-8", field->name);
    ret_value->bytes = (struct typed_bytes){typed_copy(p->pool, out, ok ? size : 0), size};
    xfree(out);
    return ok;
}

/* ---- Values ------------------------------------------------------------------------------------
 */

static bool special_real(const char *word, double *ret_value)
{
    bool negative = *word == '-';
    word += negative;
    if (strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0)
        *ret_value = negative ? -HUGE_VAL : HUGE_VAL;
    else if (strcasecmp(word, "nan") == 0)
        *ret_value = (double)NAN;
    else
        return false;
    return true;
}

static bool real_of(char *word, enum typed_type type, double *ret_value)
{
    size_t size = strlen(word);
    if (special_real(word, ret_value))
        return true;
    if (size > 1 && (word[size - 1] == 'f' || word[size - 1] == 'F'))
        word[size - 1] = '\0';
    return typed_float(word, type, ret_value);
}

static bool bool_of(const char *word, uint64_t *ret_number)
{
    static const char *const words[] = {"false", "False", "f", "true", "True", "t"};
    for (size_t i = 0; i < 6; i++) {
        if (strcmp(word, words[i]) == 0) {
            *ret_number = i >= 3;
            return true;
        }
    }
    return typed_integer(word, TYPED_BOOL, true, ret_number);
}

static bool enum_of(struct parser *p, const struct typed_field *field, const char *word,
                    uint64_t *ret_number)
{
    const struct typed_enum *e = field->enumeration;
    const struct typed_enum_value *value = typed_value_by_name(e, word);
    uint64_t number;
    if (value) {
        *ret_number = (uint64_t)(int64_t)value->number;
        return true;
    }
    if (typed_integer(word, TYPED_ENUM, true, &number)) {
        if (e->closed && !typed_value_by_number(e, (int32_t)number))
            return fail(p, "%s: %s has no value %s", field->name, e->name, word);
        *ret_number = number;
        return true;
    }
    const char *near = typed_near_value(e, word);
    return fail(p, "%s: '%s' is no value of %s%s%s%s", field->name, word, e->name,
                near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static bool take_scalar(struct parser *p, const struct typed_field *field,
                        union typed_value *ret_value)
{
    char word[WORD_MAX];
    const char *before = (peek(p), p->at);
    bool ok;
    if (field->type == TYPED_STRING || field->type == TYPED_BYTES)
        return take_string(p, field, ret_value);
    if (!take_word(p, word))
        return fail(p, "%s: expected %s", field->name, typed_expected(field));
    const char *after = p->at;
    p->at = before; /* where a mistake is told */
    if (field->type == TYPED_ENUM) {
        ok = enum_of(p, field, word, &ret_value->number);
    } else {
        if (field->type == TYPED_BOOL)
            ok = bool_of(word, &ret_value->number);
        else if (field->type == TYPED_FLOAT || field->type == TYPED_DOUBLE)
            ok = real_of(word, field->type, &ret_value->real);
        else
            ok = typed_integer(word, field->type, true, &ret_value->number);
        if (!ok)
            fail(p, "%s: '%s' is not %s", field->name, word, typed_expected(field));
    }
    p->at = ok ? after : p->at;
    return ok;
}

static bool take_fields(struct parser *p, struct typed_object *object, char end, unsigned depth);

static bool take_message(struct parser *p, const struct typed_field *field, unsigned depth,
                         union typed_value *ret_value)
{
    struct typed_object *inner = typed_object_new(p->pool, field->message);
    char end = take(p, '{') ? '}' : take(p, '<') ? '>' : '\0';
    if (!end)
        return fail(p, "%s: expected %s", field->name, typed_expected(field));
    ret_value->object = inner;
    return take_fields(p, inner, end, depth + 1);
}

static bool take_value(struct parser *p, struct typed_object *object,
                       const struct typed_field *field, unsigned depth)
{
    union typed_value value = {0};
    if (field->message ? !take_message(p, field, depth, &value) : !take_scalar(p, field, &value))
        return false;
    if (field->message && field->message->map_entry)
        typed_put_entry(p->pool, object, field, value.object);
    else
        typed_put(p->pool, object, field, value);
    return true;
}

static bool take_list(struct parser *p, struct typed_object *object,
                      const struct typed_field *field, unsigned depth)
{
    if (take(p, ']'))
        return true;
    do {
        if (!take_value(p, object, field, depth))
            return false;
    } while (take(p, ','));
    return take(p, ']') || fail(p, "%s: expected , or ] in the list", field->name);
}

/* ---- Fields ------------------------------------------------------------------------------------
 */

static const struct typed_field *no_field(struct parser *p, const struct typed_message *type,
                                          const char *word)
{
    const char *near = typed_near_field(type, word, false);
    fail(p, "%s has no field '%s'%s%s%s", type->name, word, near ? "; did you mean " : "",
         near ? near : "", near ? "?" : "");
    return NULL;
}

static const struct typed_field *take_name(struct parser *p, const struct typed_message *type)
{
    char word[WORD_MAX] = "";
    peek(p);
    const char *before = p->at;
    if (take(p, '[')) {
        word[0] = '[';
        const char *close = memchr(p->at, ']', (size_t)(p->end - p->at));
        size_t size = close ? (size_t)(close - p->at) : 0;
        if (size == 0 || size > WORD_MAX - 3) {
            fail(p, "expected the name of an extension and ]");
            return NULL;
        }
        memcpy(word + 1, p->at, size + 1);
        word[size + 2] = '\0';
        p->at = close + 1;
    } else if (!take_word(p, word)) {
        fail(p, "expected the name of a field of %s", type->name);
        return NULL;
    }
    const struct typed_field *field = typed_field_by_name(type, word, false);
    if (!field)
        p->at = before;
    return field ? field : no_field(p, type, word);
}

static bool taken_already(struct parser *p, const struct typed_object *object,
                          const struct typed_field *field)
{
    if (field->repeated)
        return false;
    for (size_t i = 0; i < object->count; i++) {
        const struct typed_field *other = object->slots[i].field;
        if (other == field)
            return !fail(p, "%s is given twice", field->name);
        if (field->oneof >= 0 && other->oneof == field->oneof)
            return !fail(p, "%s is given along with %s; they exclude one another", field->name,
                         other->name);
    }
    return false;
}

static bool take_field(struct parser *p, struct typed_object *object, unsigned depth)
{
    const struct typed_field *field = take_name(p, object->type);
    if (!field || taken_already(p, object, field))
        return false;
    bool colon = take(p, ':');
    if (!colon && !field->message)
        return fail(p, "%s: expected : and %s", field->name, typed_expected(field));
    bool ok = field->repeated && colon && take(p, '[') ? take_list(p, object, field, depth)
                                                       : take_value(p, object, field, depth);
    if (ok && !take(p, ','))
        take(p, ';');
    return ok;
}

static bool take_fields(struct parser *p, struct typed_object *object, char end, unsigned depth)
{
    if (depth > TYPED_DEPTH)
        return fail(p, "more than %d messages in one another", TYPED_DEPTH);
    for (;;) {
        char c = peek(p);
        if (p->at == p->end)
            return end ? fail(p, "expected %c, but here is the end", end) : true;
        if (end && c == end) {
            p->at++;
            return true;
        }
        if (!take_field(p, object, depth))
            return false;
    }
}

struct typed_object *typed_parse_text(struct typed_pool *pool, const struct typed_message *type,
                                      const char *text, size_t size, char error[TYPED_ERROR])
{
    const char *start = size ? text : "";
    struct parser p = {pool, start, start, start + size, error};
    struct typed_object *object = typed_object_new(pool, type);
    *error = '\0';
    if (!take_fields(&p, object, '\0', 1))
        return NULL;
    typed_sort_maps(object);
    return object;
}
