/* Address-book entries from JSON, in the form of `weft addrbook dump --json`:
 *
 *     {"addrbook": [{"peer": "tcp://10.0.0.2:7400/robot.arm", "persistent": true, …}, …]}
 *
 * or in that of weftd's status.json and `--json` elsewhere, which say the same. Times and durations
 * stand there twice, readable and in ns; ns are exact and so come last and win. Only "peer" must be
 * there. Whatever is wrong is told with its place, and nothing is taken. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/units.h"
#include "../common/words.h"
#include "addrbook.h"

#define NS_PER_MS UINT64_C(1000000)

enum kind { TEXT, BOOLEAN, U32, MS, NS, TIME, FACTOR, ORIGIN, ID, IGNORED };

static const struct field {
    const char *name;
    enum kind kind;
    size_t at; /* offset in the entry */
    const char *expected;
} fields[] = {
#define AT(member) offsetof(weft_addrbook_entry, member)
#define COUNT "a whole number up to 4294967295"
#define WHOLE "a whole number"
#define WHEN "a time such as 2026-01-31T12:00:00Z"
    {"peer", TEXT, AT(peer), "a peer URL"},
    {"origin", ORIGIN, AT(origin), "configured, gossip, inbound, observed or operator"},
    {"source", TEXT, AT(source), "a text"},
    {"last_error", TEXT, AT(last_error), "a text"},
    {"in_config", BOOLEAN, AT(in_config), "true or false"},
    {"persistent", BOOLEAN, AT(persistent), "true or false"},
    {"attempts", U32, AT(attempts), COUNT},
    {"failed", U32, AT(failed_attempts), COUNT},
    {"failed_attempts", U32, AT(failed_attempts), COUNT},
    {"max_attempts", U32, AT(max_attempts), COUNT},
    {"multiplier", FACTOR, AT(multiplier), "a number"},
    {"node_id", ID, AT(node_id), "32 hex digits"},
    {"backoff_ms", MS, AT(backoff_ns), WHOLE},
    {"default_backoff_ms", MS, AT(default_backoff_ns), WHOLE},
    {"max_backoff_ms", MS, AT(max_backoff_ns), WHOLE},
    {"last_success", TIME, AT(last_success), WHEN},
    {"banned_until", TIME, AT(banned_until), WHEN " or \"for ever\""},
    {"added", TIME, AT(added), WHEN},
    {"backoff_ns", NS, AT(backoff_ns), WHOLE},
    {"default_backoff_ns", NS, AT(default_backoff_ns), WHOLE},
    {"max_backoff_ns", NS, AT(max_backoff_ns), WHOLE},
    {"last_success_ns", NS, AT(last_success), WHOLE},
    {"banned_until_ns", NS, AT(banned_until), WHOLE},
    {"added_ns", NS, AT(added), WHOLE},
    /* Of a moment, not of the book. */
    {"state", IGNORED, 0, ""},
    {"linked", IGNORED, 0, ""},
    {"dialing", IGNORED, 0, ""},
    {"next_dial_ns", IGNORED, 0, ""},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* ---- Values ------------------------------------------------------------------------------------
 */

static bool whole(const json_t *value, uint64_t max, uint64_t *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

static bool take_number(const struct field *f, const json_t *value, void *at)
{
    uint64_t n;
    if (!whole(value, f->kind == U32 ? UINT32_MAX : INT64_MAX, &n))
        return false;
    if (f->kind == U32)
        *(uint32_t *)at = (uint32_t)n;
    else if (f->kind == NS)
        *(uint64_t *)at = n == INT64_MAX ? UINT64_MAX : n; /* as such a number is written */
    else if (n > UINT64_MAX / NS_PER_MS)
        return false;
    else
        *(uint64_t *)at = n * NS_PER_MS;
    return true;
}

static bool take_time(const json_t *value, uint64_t *at)
{
    const char *text = json_string_value(value);
    if (text && strcmp(text, "for ever") == 0) {
        *at = UINT64_MAX;
        return true;
    }
    return text && time_parse(text, at);
}

static bool take_origin(const json_t *value, enum weft_origin *at)
{
    const char *text = json_string_value(value);
    for (int i = WEFT_ORIGIN_CONFIGURED; text && i <= WEFT_ORIGIN_OPERATOR; i++) {
        if (strcmp(origin_word(i), text) == 0) {
            *at = (enum weft_origin)i;
            return true;
        }
    }
    return false;
}

static bool take_id(const json_t *value, uint8_t *at)
{
    const char *text = json_string_value(value);
    unsigned byte;
    if (!text || strlen(text) != 32 || strspn(text, "0123456789abcdefABCDEF") != 32)
        return false;
    for (size_t i = 0; i < 16; i++)
        at[i] = sscanf(text + 2 * i, "%2x", &byte) == 1 ? (uint8_t)byte : 0;
    return true;
}

/* null is what is not known. */
static bool take_value(const struct field *f, const json_t *value, weft_addrbook_entry *e)
{
    void *at = (char *)e + f->at;
    if (f->kind == IGNORED || json_is_null(value))
        return true;
    switch (f->kind) {
    case TEXT:
        *(const char **)at = json_string_value(value);
        return json_is_string(value);
    case BOOLEAN:
        *(bool *)at = json_is_true(value);
        return json_is_boolean(value);
    case FACTOR:
        *(float *)at = (float)json_number_value(value);
        return json_is_number(value) && json_number_value(value) >= 0;
    case ORIGIN:
        return take_origin(value, at);
    case TIME:
        return take_time(value, at);
    case ID:
        return take_id(value, at);
    default:
        return take_number(f, value, at);
    }
}

/* ---- Entries -----------------------------------------------------------------------------------
 */

struct place {
    const char *file;
    size_t entry; /* from 1 */
    const char *peer;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct place *p, const char *format,
                                                       ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    char *safe = text_safe_copy(text), *peer = text_safe_copy(p->peer ? p->peer : "");
    failure("%s: entry %zu%s%s%s: %s; nothing was changed", p->file, p->entry, *peer ? " (" : "",
            peer, *peer ? ")" : "", safe);
    xfree(safe);
    xfree(peer);
    return EXIT_FAILED;
}

static int check_names(const struct place *p, json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        size_t i = 0;
        while (i < FIELDS && strcmp(fields[i].name, name) != 0)
            i++;
        if (i < FIELDS)
            continue;
        const char *near = suggest(name, &fields[0].name, FIELDS, sizeof(fields[0]));
        return wrong(p, "\"%s\" is no field of an entry%s%s%s", name, near ? "; did you mean " : "",
                     near ? near : "", near ? "?" : "");
    }
    return EXIT_OK;
}

static int put_entry(const struct place *p, const weft_addrbook_entry *e, weft_addrbook *book)
{
    char why[512];
    int rc = weft_addrbook_put(book, e);
    if (rc == 1)
        return EXIT_OK;
    if (rc == 0)
        return wrong(p, "another entry has the same address; leave one out");
    weft_url_explain(e->peer, why, sizeof(why));
    return wrong(p, "%s",
                 rc == WEFT_EURL     ? why
                 : rc == WEFT_EINVAL ? "not an address that can be dialled"
                                     : weft_strerror(rc));
}

static int read_entry(struct place *p, json_t *object, weft_addrbook *book)
{
    weft_addrbook_entry e = {.origin = WEFT_ORIGIN_OPERATOR};
    if (!json_is_object(object))
        return wrong(p, "expected an object, {\"peer\": …}");
    p->peer = json_string_value(json_object_get(object, "peer"));
    if (!p->peer)
        return wrong(p, "expected a \"peer\" with a URL");
    if (!json_object_get(object, "persistent"))
        e.persistent = true; /* as 'add' does, and the origin above */
    int code = check_names(p, object);
    for (size_t i = 0; code == EXIT_OK && i < FIELDS; i++) {
        const json_t *value = json_object_get(object, fields[i].name);
        if (value && !take_value(&fields[i], value, &e))
            code = wrong(p, "%s: expected %s", fields[i].name, fields[i].expected);
    }
    return code == EXIT_OK ? put_entry(p, &e, book) : code;
}

static int read_entries(const char *file, json_t *root, weft_addrbook *book)
{
    json_t *list = json_is_object(root) ? json_object_get(root, "addrbook") : root, *object;
    int code = EXIT_OK;
    size_t i;
    if (!json_is_array(list))
        return failure("%s: expected {\"addrbook\": [...]}, as 'weft addrbook dump --json' writes "
                       "it",
                       file);
    json_array_foreach(list, i, object)
    {
        struct place p = {.file = file, .entry = i + 1};
        code = read_entry(&p, object, book);
        if (code != EXIT_OK)
            break;
    }
    return code;
}

int book_read_json(const char *file, weft_addrbook **ret_book)
{
    json_error_t error;
    bool input = strcmp(file, "-") == 0;
    json_t *root = input ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
                         : json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    const char *name = input ? "standard input" : file;
    if (!root && error.line < 1)
        return failure("%s: %s", name, error.text);
    if (!root)
        return failure("%s:%d:%d: no JSON: %s", name, error.line, error.column, error.text);
    weft_addrbook *book = NULL;
    int code =
        weft_addrbook_new(&book) == 0 ? read_entries(name, root, book) : failure("out of memory");
    json_decref(root);
    if (code == EXIT_OK)
        *ret_book = book;
    else
        weft_addrbook_free(book);
    return code;
}
