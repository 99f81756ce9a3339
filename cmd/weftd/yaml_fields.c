/* A mapping is read key by key against its table; each value by the function its field names.
 * Nothing stops at the first mistake: a bad value becomes a problem with its place and the next key
 * is read, so that one run shows all of them. Values are bounded, and so is what is quoted of them.
 */
#include "yaml_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/units.h"

#define QUOTE_MAX 60 /* bytes of a value that a message shows */
#define STRING_MAX 1024

/* The scalar's text, NULL for anything else. */
static const char *scalar(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static bool plain(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* YAML's null: "key:", "~" and "null". */
static bool nothing(const yaml_node_t *node)
{
    const char *text = scalar(node);
    return plain(node) && (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static void describe(const yaml_node_t *node, char *buf, size_t size)
{
    if (node->type == YAML_MAPPING_NODE) {
        snprintf(buf, size, "a mapping");
    } else if (node->type == YAML_SEQUENCE_NODE) {
        snprintf(buf, size, "a list");
    } else if (nothing(node)) {
        snprintf(buf, size, "nothing");
    } else {
        char *safe = text_safe_copy(scalar(node));
        snprintf(buf, size, "\"%.*s%s\"", QUOTE_MAX, safe, strlen(safe) > QUOTE_MAX ? "…" : "");
        xfree(safe);
    }
}

void read_unexpected(struct reader *r, const yaml_node_t *value, const char *expected)
{
    char found[QUOTE_MAX + 16];
    describe(value, found, sizeof(found));
    problems_add(r->problems, value->start_mark.line + 1, value->start_mark.column + 1,
                 "%s: found %s, expected %s", r->place, found, expected);
}

/* Text that fits a C string and our bounds; else a problem and NULL. */
static const char *text_of(struct reader *r, const yaml_node_t *value, const char *expected)
{
    const char *text = scalar(value);
    if (!text || nothing(value)) {
        read_unexpected(r, value, expected);
        return NULL;
    }
    if (strlen(text) != value->data.scalar.length || value->data.scalar.length > STRING_MAX) {
        problems_add(r->problems, value->start_mark.line + 1, value->start_mark.column + 1,
                     "%s: found a text of %zu bytes, expected one of at most %d without NUL bytes",
                     r->place, value->data.scalar.length, STRING_MAX);
        return NULL;
    }
    return text;
}

void read_string(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    const char *text = text_of(r, v, "a text");
    if (text)
        xreplace(out, text);
}

const char *read_url_text(struct reader *r, const yaml_node_t *value)
{
    static const char expected[] = "a peer URL such as tcp://10.0.0.2:7400/robot.arm or "
                                   "unix:///run/weft.sock/robot.arm";
    const char *text = text_of(r, value, expected);
    size_t where = 0;
    if (!text)
        return NULL;
    if (weft_url_check(text, &where) == 0)
        return text;
    char found[QUOTE_MAX + 16];
    describe(value, found, sizeof(found));
    problems_add(r->problems, value->start_mark.line + 1,
                 value->start_mark.column + 1 + where + !plain(value),
                 "%s: found %s, which goes wrong after %zu bytes; expected %s", r->place, found,
                 where, expected);
    return NULL;
}

void read_url(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    const char *text = read_url_text(r, v);
    if (text)
        xreplace(out, text);
}

void read_size(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    uint64_t bytes;
    const char *text = text_of(r, v, SIZE_EXPECTED);
    if (!text)
        return;
    if (size_parse(text, &bytes) && bytes >= f->min && bytes <= f->max) {
        *(uint64_t *)out = bytes;
        return;
    }
    char expected[160], least[UNITS_TEXT], most[UNITS_TEXT];
    snprintf(expected, sizeof(expected), "%s, from %s to %s", SIZE_EXPECTED,
             size_format(f->min, least), size_format(f->max, most));
    read_unexpected(r, v, expected);
}

void read_count(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    char expected[80];
    snprintf(expected, sizeof(expected), "a number from %" PRIu64 " to %" PRIu64, f->min, f->max);
    const char *text = text_of(r, v, expected);
    if (text && !count_parse(text, f->min, f->max, out))
        read_unexpected(r, v, expected);
}

void read_duration(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    uint32_t ms;
    const char *text = text_of(r, v, DURATION_EXPECTED);
    if (!text)
        return;
    if (duration_parse(text, 0, &ms) && ms >= f->min && ms <= f->max) {
        *(uint32_t *)out = ms;
        return;
    }
    char expected[160], least[UNITS_TEXT], most[UNITS_TEXT];
    snprintf(expected, sizeof(expected), "%s, from %s to %s", DURATION_EXPECTED,
             duration_format(f->min, least), duration_format(f->max, most));
    read_unexpected(r, v, expected);
}

void read_bool(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    const char *text = text_of(r, v, "true or false");
    if (!text)
        return;
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
    if (yes || strcmp(text, "false") == 0 || strcmp(text, "no") == 0)
        *(bool *)out = yes;
    else
        read_unexpected(r, v, "true or false");
}

void read_choice(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    const char *text = text_of(r, v, f->expected);
    if (!text)
        return;
    for (const struct choice *c = f->names; c->name; c++) {
        if (strcmp(text, c->name) == 0) {
            *(uint64_t *)out = c->value;
            return;
        }
    }
    read_unexpected(r, v, f->expected);
}

/* ---- Mappings ------------------------------------------------------------------------------- */

static const struct field *field_named(const struct field *fields, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].key, key) == 0)
            return &fields[i];
    return NULL;
}

static void unknown_key(struct reader *r, const struct field *fields, size_t count,
                        const yaml_node_t *key, const char *prefix)
{
    char found[QUOTE_MAX + 16], known[256] = "";
    const char *near = suggest(scalar(key), &fields[0].key, count, sizeof(*fields));
    size_t len = 0;
    describe(key, found, sizeof(found));
    for (size_t i = 0; i < count && len < sizeof(known); i++)
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "",
                                fields[i].key);
    problems_add(r->problems, key->start_mark.line + 1, key->start_mark.column + 1,
                 "%s%sunknown key %s%s%s%s; known here: %s", prefix, *prefix ? ": " : "", found,
                 near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "", known);
}

/* True the first time a key is met. `lines` has a slot for each field: the line it was met on. */
static bool first_time(struct reader *r, const struct field *fields, const struct field *f,
                       const yaml_node_t *key, size_t *lines)
{
    size_t *line = &lines[f - fields];
    if (*line) {
        problems_add(r->problems, key->start_mark.line + 1, key->start_mark.column + 1,
                     "%s: given twice, first on line %zu; remove one", r->place, *line);
        return false;
    }
    *line = key->start_mark.line + 1;
    return true;
}

void read_mapping(struct reader *r, const struct field *fields, size_t count,
                  const yaml_node_t *node, const char *prefix, void *base)
{
    size_t lines[FIELDS_MAX] = {0};
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        const yaml_node_t *value = yaml_document_get_node(&r->doc, p->value);
        if (!scalar(key)) {
            snprintf(r->place, sizeof(r->place), "%s", *prefix ? prefix : "top level");
            read_unexpected(r, key, "a key");
            continue;
        }
        const struct field *f = field_named(fields, count, scalar(key));
        if (!f) {
            unknown_key(r, fields, count, key, prefix);
            continue;
        }
        snprintf(r->place, sizeof(r->place), "%s%s%s", prefix, *prefix ? "." : "", f->key);
        if (first_time(r, fields, f, key, lines))
            f->read(r, f, value, (char *)base + f->offset);
    }
}
