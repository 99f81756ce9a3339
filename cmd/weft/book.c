/* The columns of an address book. Times and durations stand there twice in all forms but the table:
 * as people read them, and behind that in whole nanoseconds, so that nothing is lost on the way
 * through a file. */
#include "book.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/escape.h"
#include "../common/units.h"
#include "../common/words.h"

const char *entry_state(const weft_addrbook_entry *e, uint64_t now_ns)
{
    if (e->linked)
        return "linked";
    if (e->banned_until > now_ns)
        return "banned";
    if (e->dialing)
        return "dialing";
    if (e->failed_attempts > 0)
        return "failing";
    return e->last_success ? "known" : "new";
}

bool entry_configured(const weft_addrbook_entry *e)
{
    return e->origin == WEFT_ORIGIN_CONFIGURED || e->origin == WEFT_ORIGIN_OPERATOR;
}

/* ---- Values ------------------------------------------------------------------------------------
 */

#define ENTRY(row) ((const weft_addrbook_entry *)(row))

static const char *peer(const void *row, struct cell *c)
{
    return ENTRY(row)->peer;
}

static const char *state(const void *row, struct cell *c)
{
    return entry_state(row, c->now);
}

static const char *origin(const void *row, struct cell *c)
{
    return origin_word((int)ENTRY(row)->origin);
}

static const char *in_config(const void *row, struct cell *c)
{
    return cell_bool(ENTRY(row)->in_config, c);
}

static const char *persistent(const void *row, struct cell *c)
{
    return cell_bool(ENTRY(row)->persistent, c);
}

static const char *attempts(const void *row, struct cell *c)
{
    return cell_number(ENTRY(row)->attempts, c);
}

static const char *failed(const void *row, struct cell *c)
{
    return cell_number(ENTRY(row)->failed_attempts, c);
}

static const char *max_attempts(const void *row, struct cell *c)
{
    return cell_number(ENTRY(row)->max_attempts, c);
}

static const char *ms(uint64_t ns, struct cell *c)
{
    if (c->exact)
        return cell_number(ns / 1000000, c);
    return ns ? duration_format(ns / 1000000, c->text) : "";
}

static const char *backoff(const void *row, struct cell *c)
{
    return ms(ENTRY(row)->backoff_ns, c);
}

static const char *default_backoff(const void *row, struct cell *c)
{
    return ms(ENTRY(row)->default_backoff_ns, c);
}

static const char *max_backoff(const void *row, struct cell *c)
{
    return ms(ENTRY(row)->max_backoff_ns, c);
}

/* In hundredths where that is exact. Neither "nan" nor infinity of a damaged peer gets into JSON;
 * LC_NUMERIC is never set, so the comma is a point. */
static const char *multiplier(const void *row, struct cell *c)
{
    float m =
        ENTRY(row)->multiplier >= 0 && ENTRY(row)->multiplier < 1e6f ? ENTRY(row)->multiplier : 0;
    snprintf(c->text, sizeof(c->text), "%.2f", (double)m);
    float read = strtof(c->text, NULL);
    if (read < m || read > m)
        snprintf(c->text, sizeof(c->text), "%.9g", (double)m);
    return c->text;
}

static const char *last_success(const void *row, struct cell *c)
{
    return cell_time(ENTRY(row)->last_success, c);
}

static const char *banned_until(const void *row, struct cell *c)
{
    return cell_time(ENTRY(row)->banned_until, c);
}

static const char *added(const void *row, struct cell *c)
{
    return cell_time(ENTRY(row)->added, c);
}

static const char *source(const void *row, struct cell *c)
{
    return ENTRY(row)->source;
}

static const char *last_error(const void *row, struct cell *c)
{
    return ENTRY(row)->last_error;
}

static const char *node_id(const void *row, struct cell *c)
{
    return node_id_format(ENTRY(row)->node_id, c->text);
}

/* JSON's integers end at 2^63-1 for most readers: it stands for whatever is beyond. */
static const char *whole_ns(uint64_t ns, struct cell *c)
{
    return cell_number(ns > INT64_MAX ? INT64_MAX : ns, c);
}

static const char *backoff_ns(const void *row, struct cell *c)
{
    return whole_ns(ENTRY(row)->backoff_ns, c);
}

static const char *default_backoff_ns(const void *row, struct cell *c)
{
    return whole_ns(ENTRY(row)->default_backoff_ns, c);
}

static const char *max_backoff_ns(const void *row, struct cell *c)
{
    return whole_ns(ENTRY(row)->max_backoff_ns, c);
}

static const char *last_success_ns(const void *row, struct cell *c)
{
    return whole_ns(ENTRY(row)->last_success, c);
}

static const char *banned_until_ns(const void *row, struct cell *c)
{
    return whole_ns(ENTRY(row)->banned_until, c);
}

static const char *added_ns(const void *row, struct cell *c)
{
    return whole_ns(ENTRY(row)->added, c);
}

/* ---- Columns -----------------------------------------------------------------------------------
 */

#define TEXT_COLUMN SCOLS_JSON_STRING
#define NUMBER_COLUMN SCOLS_JSON_NUMBER

static const struct table_column columns[] = {
    {"peer", "PEER", peer, 0.3, SCOLS_FL_WRAP, TEXT_COLUMN, false},
    {"state", "STATE", state, 0, 0, TEXT_COLUMN, false},
    {"origin", "ORIGIN", origin, 0, 0, TEXT_COLUMN, false},
    {"in_config", NULL, in_config, 0, 0, SCOLS_JSON_BOOLEAN, false},
    {"persistent", "KEEP", persistent, 0, 0, SCOLS_JSON_BOOLEAN, false},
    {"attempts", "DIALS", attempts, 0, SCOLS_FL_RIGHT, NUMBER_COLUMN, true},
    {"failed", "FAILED", failed, 0, SCOLS_FL_RIGHT, NUMBER_COLUMN, false},
    {"backoff_ms", "PAUSE", backoff, 0, SCOLS_FL_RIGHT, NUMBER_COLUMN, true},
    {"last_success", "LINKED", last_success, 0, SCOLS_FL_RIGHT, TEXT_COLUMN, false},
    {"last_error", "ERROR", last_error, 0.25, SCOLS_FL_WRAP, TEXT_COLUMN, true},
    {"source", "SOURCE", source, 0.15, SCOLS_FL_TRUNC, TEXT_COLUMN, true},
    {"node_id", NULL, node_id, 0, 0, TEXT_COLUMN, false},
    {"max_attempts", NULL, max_attempts, 0, 0, NUMBER_COLUMN, false},
    {"default_backoff_ms", NULL, default_backoff, 0, 0, NUMBER_COLUMN, false},
    {"max_backoff_ms", NULL, max_backoff, 0, 0, NUMBER_COLUMN, false},
    {"multiplier", NULL, multiplier, 0, 0, NUMBER_COLUMN, false},
    {"banned_until", NULL, banned_until, 0, 0, TEXT_COLUMN, false},
    {"added", NULL, added, 0, 0, TEXT_COLUMN, false},
    {"backoff_ns", NULL, backoff_ns, 0, 0, NUMBER_COLUMN, false},
    {"default_backoff_ns", NULL, default_backoff_ns, 0, 0, NUMBER_COLUMN, false},
    {"max_backoff_ns", NULL, max_backoff_ns, 0, 0, NUMBER_COLUMN, false},
    {"last_success_ns", NULL, last_success_ns, 0, 0, NUMBER_COLUMN, false},
    {"banned_until_ns", NULL, banned_until_ns, 0, 0, NUMBER_COLUMN, false},
    {"added_ns", NULL, added_ns, 0, 0, NUMBER_COLUMN, false},
};

static const char *color(const void *row, const struct cell *c)
{
    const weft_addrbook_entry *e = row;
    if (e->linked)
        return "green";
    return e->failed_attempts || e->banned_until > c->now ? "red" : NULL;
}

/* Where the table has no room for errors, those of peers that are not linked stand below it. */
static void print_errors(const weft_addrbook *book)
{
    for (size_t i = 0; i < book->count; i++) {
        const weft_addrbook_entry *e = &book->entries[i];
        if (e->linked || !e->last_error || !*e->last_error)
            continue;
        text_safe(stdout, e->peer, strlen(e->peer));
        fputs(": ", stdout);
        text_safe(stdout, e->last_error, strlen(e->last_error));
        putchar('\n');
    }
}

bool book_print(const weft_addrbook *book, enum table_form form)
{
    const struct table table = {
        .name = "addrbook",
        .columns = columns,
        .n_columns = sizeof(columns) / sizeof(columns[0]),
        .rows = book->entries,
        .row_size = sizeof(book->entries[0]),
        .n_rows = book->count,
        .color = color,
        .empty = "the address book is empty",
        .wide = !isatty(STDOUT_FILENO),
    };
    if (!table_print(&table, form))
        return false;
    if (form == TABLE_COLUMNS && !table_has_extra(&table))
        print_errors(book);
    return !ferror(stdout);
}
