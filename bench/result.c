#include "result.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

static struct result_field *add(struct result *r, const char *name, enum result_kind kind)
{
    assert(r->count < RESULT_FIELDS);
    struct result_field *field = &r->fields[r->count++];
    field->name = name;
    field->kind = kind;
    return field;
}

void result_begin(struct result *r, const char *bench, const char *system, const char *version)
{
    r->count = 0;
    result_words(r, "bench", bench);
    result_words(r, "system", system);
    result_words(r, "version", version);
}

void result_count(struct result *r, const char *name, uint64_t value)
{
    add(r, name, RESULT_COUNT)->n = value;
}

/* JSON knows neither infinity nor NaN, and a measurement that comes to either found nothing. */
void result_number(struct result *r, const char *name, double value)
{
    add(r, name, RESULT_NUMBER)->number = isfinite(value) ? value : 0;
}

void result_words(struct result *r, const char *name, const char *value)
{
    struct result_field *field = add(r, name, RESULT_WORDS);
    snprintf(field->words, sizeof(field->words), "%s", value);
}

void result_untold(struct result *r, const char *name, const char *why)
{
    struct result_field *field = add(r, name, RESULT_UNTOLD);
    snprintf(field->words, sizeof(field->words), "%s", why);
}

/* ---- Printing ---------------------------------------------------------------------------------
 */

static void print_string(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

/* A tenth is enough of rates and nanoseconds, not of seconds and ratios. */
static void print_number(FILE *out, double value)
{
    fprintf(out, fabs(value) >= 1000 ? "%.1f" : "%.6f", value);
}

static void print_value(const struct result_field *field, FILE *out, bool json)
{
    if (field->kind == RESULT_COUNT)
        fprintf(out, "%" PRIu64, field->n);
    else if (field->kind == RESULT_NUMBER)
        print_number(out, field->number);
    else if (json)
        print_string(out, field->words);
    else
        fputs(field->words, out);
}

static void print_json(const struct result *r, FILE *out)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->fields[i].kind == RESULT_UNTOLD)
            continue;
        fprintf(out, "%s\"%s\":", i ? "," : "{", r->fields[i].name);
        print_value(&r->fields[i], out, true);
    }
    fputs("}\n", out);
}

static void print_text(const struct result *r, FILE *out)
{
    for (size_t i = 0; i < r->count; i++) {
        fprintf(out, "%-20s ", r->fields[i].name);
        print_value(&r->fields[i], out, false);
        fputc('\n', out);
    }
}

bool result_print(const struct result *r, FILE *out, bool json)
{
    if (json)
        print_json(r, out);
    else
        print_text(r, out);
    return fflush(out) == 0 && !ferror(out);
}
