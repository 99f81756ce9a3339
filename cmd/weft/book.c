/* One list of columns serves all forms. Table and JSON are libsmartcols'; tab-separated lines and
 * paragraphs are written here. The table is for people: it leaves columns out and rounds times to
 * "3m ago"; the others carry everything, exact.
 *
 * Names, sources and errors in a book come from other nodes: whatever they contain, it reaches the
 * output escaped. */
#include "book.h"

#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/units.h"

#define CELL_TEXT 64
#define NS_PER_SECOND UINT64_C(1000000000)

/* What a value is called while it is on its way into a cell. */
struct cell {
    bool exact;           /* not for people */
    uint64_t now;         /* ns since the epoch */
    char text[CELL_TEXT]; /* for what is not a string of the entry */
};

typedef const char *value_fn(const weft_addrbook_entry *e, struct cell *cell);

/* ---- Values ------------------------------------------------------------------------------------
 */

static const char *time_value(uint64_t ns, struct cell *c)
{
    if (ns == 0)
        return "";
    if (c->exact)
        return time_format(ns, 3, c->text);
    uint64_t far = (ns > c->now ? ns - c->now : c->now - ns) / NS_PER_SECOND;
    const char *unit = far < 120 ? "s" : far < 7200 ? "m" : far < 172800 ? "h" : "d";
    uint64_t per = far < 120 ? 1 : far < 7200 ? 60 : far < 172800 ? 3600 : 86400;
    snprintf(c->text, sizeof(c->text), ns > c->now ? "in %" PRIu64 "%s" : "%" PRIu64 "%s ago",
             far / per, unit);
    return c->text;
}

static const char *number_value(uint64_t n, struct cell *c)
{
    snprintf(c->text, sizeof(c->text), "%" PRIu64, n);
    return c->text;
}

static const char *ms_value(uint64_t ns, struct cell *c)
{
    if (c->exact)
        return number_value(ns / 1000000, c);
    return ns ? duration_format(ns / 1000000, c->text) : "";
}

static const char *peer(const weft_addrbook_entry *e, struct cell *c)
{
    return e->peer;
}

static const char *state(const weft_addrbook_entry *e, struct cell *c)
{
    if (e->linked)
        return "linked";
    if (e->banned_until > c->now)
        return "banned";
    if (e->failed_attempts > 0)
        return "failing";
    return e->last_success ? "known" : "new";
}

static const char *origin(const weft_addrbook_entry *e, struct cell *c)
{
    static const char *const names[] = {"", "configured", "gossip", "inbound", "observed"};
    return (unsigned)e->origin < sizeof(names) / sizeof(names[0]) ? names[e->origin] : "";
}

static const char *persistent(const weft_addrbook_entry *e, struct cell *c)
{
    if (c->exact)
        return e->persistent ? "true" : "false";
    return e->persistent ? "yes" : "";
}

static const char *attempts(const weft_addrbook_entry *e, struct cell *c)
{
    return number_value(e->attempts, c);
}

static const char *failed(const weft_addrbook_entry *e, struct cell *c)
{
    return number_value(e->failed_attempts, c);
}

static const char *max_attempts(const weft_addrbook_entry *e, struct cell *c)
{
    return number_value(e->max_attempts, c);
}

static const char *backoff(const weft_addrbook_entry *e, struct cell *c)
{
    return ms_value(e->backoff_ns, c);
}

static const char *default_backoff(const weft_addrbook_entry *e, struct cell *c)
{
    return ms_value(e->default_backoff_ns, c);
}

static const char *max_backoff(const weft_addrbook_entry *e, struct cell *c)
{
    return ms_value(e->max_backoff_ns, c);
}

static const char *multiplier(const weft_addrbook_entry *e, struct cell *c)
{
    /* In hundredths: neither the locale's comma nor "nan" of a damaged peer gets into JSON. */
    float m = e->multiplier >= 0 && e->multiplier < 1e6f ? e->multiplier : 0;
    unsigned hundredths = (unsigned)(m * 100 + 0.5f);
    snprintf(c->text, sizeof(c->text), "%u.%02u", hundredths / 100, hundredths % 100);
    return c->text;
}

static const char *last_success(const weft_addrbook_entry *e, struct cell *c)
{
    return time_value(e->last_success, c);
}

static const char *banned_until(const weft_addrbook_entry *e, struct cell *c)
{
    return time_value(e->banned_until, c);
}

static const char *added(const weft_addrbook_entry *e, struct cell *c)
{
    return time_value(e->added, c);
}

static const char *source(const weft_addrbook_entry *e, struct cell *c)
{
    return e->source;
}

static const char *last_error(const weft_addrbook_entry *e, struct cell *c)
{
    return e->last_error;
}

static const char *node_id(const weft_addrbook_entry *e, struct cell *c)
{
    static const uint8_t none[sizeof(e->node_id)];
    if (memcmp(e->node_id, none, sizeof(none)) == 0)
        return "";
    for (size_t i = 0; i < sizeof(e->node_id); i++)
        snprintf(c->text + 2 * i, 3, "%02x", e->node_id[i]);
    return c->text;
}

/* ---- Columns -----------------------------------------------------------------------------------
 */

static const struct column {
    const char *name;  /* in all forms but the table */
    const char *title; /* of the table, NULL: not in it; short, since the width is the terminal's */
    value_fn *value;
    double width; /* of the table's, where it does not fit as it is; 0: as it is */
    int flags;    /* SCOLS_FL_… of the table */
    int json;     /* SCOLS_JSON_… */
} columns[] = {
    {"peer", "PEER", peer, 0.3, SCOLS_FL_WRAP, SCOLS_JSON_STRING},
    {"state", "STATE", state, 0, 0, SCOLS_JSON_STRING},
    {"origin", "ORIGIN", origin, 0, 0, SCOLS_JSON_STRING},
    {"persistent", "KEEP", persistent, 0, 0, SCOLS_JSON_BOOLEAN},
    {"attempts", "DIALS", attempts, 0, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
    {"failed", "FAILED", failed, 0, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
    {"backoff_ms", "PAUSE", backoff, 0, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
    {"last_success", "LINKED", last_success, 0, SCOLS_FL_RIGHT, SCOLS_JSON_STRING},
    {"last_error", "ERROR", last_error, 0.25, SCOLS_FL_WRAP, SCOLS_JSON_STRING},
    {"source", "SOURCE", source, 0.15, SCOLS_FL_TRUNC, SCOLS_JSON_STRING},
    {"node_id", NULL, node_id, 0, 0, SCOLS_JSON_STRING},
    {"max_attempts", NULL, max_attempts, 0, 0, SCOLS_JSON_NUMBER},
    {"default_backoff_ms", NULL, default_backoff, 0, 0, SCOLS_JSON_NUMBER},
    {"max_backoff_ms", NULL, max_backoff, 0, 0, SCOLS_JSON_NUMBER},
    {"multiplier", NULL, multiplier, 0, 0, SCOLS_JSON_NUMBER},
    {"banned_until", NULL, banned_until, 0, 0, SCOLS_JSON_STRING},
    {"added", NULL, added, 0, 0, SCOLS_JSON_STRING},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static uint64_t wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* ---- Lines and paragraphs
 * ------------------------------------------------------------------------ */

static void print_value(const struct column *column, const weft_addrbook_entry *e,
                        struct cell *cell)
{
    const char *text = column->value(e, cell);
    text_safe(stdout, text, strlen(text));
}

static bool print_tsv(const weft_addrbook *book, struct cell *cell)
{
    for (size_t k = 0; k < COLUMNS; k++)
        printf("%s%s", k ? "\t" : "", columns[k].name);
    putchar('\n');
    for (size_t i = 0; i < book->count; i++) {
        for (size_t k = 0; k < COLUMNS; k++) {
            if (k)
                putchar('\t');
            print_value(&columns[k], &book->entries[i], cell);
        }
        putchar('\n');
    }
    return !ferror(stdout);
}

static bool print_text(const weft_addrbook *book, struct cell *cell)
{
    for (size_t i = 0; i < book->count; i++) {
        if (i)
            putchar('\n');
        for (size_t k = 0; k < COLUMNS; k++) {
            printf("%s: ", columns[k].name);
            print_value(&columns[k], &book->entries[i], cell);
            putchar('\n');
        }
    }
    return !ferror(stdout);
}

/* ---- Table and JSON
 * ------------------------------------------------------------------------------ */

static bool add_columns(struct libscols_table *table, bool json)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        if (!json && !columns[k].title)
            continue;
        struct libscols_column *column =
            scols_table_new_column(table, json ? columns[k].name : columns[k].title,
                                   json ? 0 : columns[k].width, json ? 0 : columns[k].flags);
        if (!column || scols_column_set_json_type(column, columns[k].json) != 0 ||
            scols_cell_set_color(scols_column_get_header(column), "bold") != 0)
            return false;
    }
    return true;
}

/* JSON has escapes of its own, for all but what is not UTF-8. */
static bool add_cell(struct libscols_line *line, size_t at, const char *value, bool json)
{
    if (json && utf8_valid(value, strlen(value)))
        return scols_line_set_data(line, at, value) == 0;
    char *text = text_safe_copy(value);
    int rc = scols_line_set_data(line, at, text);
    xfree(text);
    return rc == 0;
}

static bool add_entry(struct libscols_table *table, const weft_addrbook_entry *e, struct cell *cell,
                      bool json)
{
    struct libscols_line *line = scols_table_new_line(table, NULL);
    size_t at = 0;
    if (!line)
        return false;
    for (size_t k = 0; k < COLUMNS; k++) {
        if (!json && !columns[k].title)
            continue;
        if (!add_cell(line, at++, columns[k].value(e, cell), json))
            return false;
    }
    if (!json && e->linked)
        return scols_line_set_color(line, "green") == 0;
    if (!json && (e->failed_attempts || e->banned_until > cell->now))
        return scols_line_set_color(line, "red") == 0;
    return true;
}

/* On a terminal the table is as wide as it, and coloured; elsewhere nothing is cut off. */
static void set_up_terminal(struct libscols_table *table)
{
    const char *no_color = getenv("NO_COLOR");
    bool terminal = isatty(STDOUT_FILENO);
    scols_table_enable_colors(table, terminal && !(no_color && *no_color));
    if (!terminal)
        scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
}

static bool print_table(const weft_addrbook *book, struct cell *cell, bool json)
{
    setlocale(LC_CTYPE, "");
    struct libscols_table *table = scols_new_table();
    bool ok = table && scols_table_enable_json(table, json) == 0 &&
              scols_table_set_name(table, "addrbook") == 0 && add_columns(table, json);
    for (size_t i = 0; ok && i < book->count; i++)
        ok = add_entry(table, &book->entries[i], cell, json);
    if (ok && !json)
        set_up_terminal(table);
    ok = ok && scols_print_table(table) == 0;
    scols_unref_table(table);
    return ok;
}

bool book_print(const weft_addrbook *book, enum book_format format)
{
    struct cell cell = {.exact = format != BOOK_TABLE, .now = wall_clock()};
    switch (format) {
    case BOOK_TSV:
        return print_tsv(book, &cell);
    case BOOK_TEXT:
        return print_text(book, &cell);
    case BOOK_JSON:
        return print_table(book, &cell, true);
    case BOOK_TABLE:
        break;
    }
    if (book->count == 0) {
        puts("the address book is empty");
        return true;
    }
    return print_table(book, &cell, false);
}
