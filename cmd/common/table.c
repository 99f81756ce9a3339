/* Table and JSON are libsmartcols'; tab-separated lines and paragraphs are written here.
 *
 * Names and errors come from other nodes: whatever they contain, it reaches the output escaped. */
#include "table.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"
#include "memory.h"
#include "units.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define ROOMY 180 /* columns of a terminal that has room for the extra ones */

uint64_t wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

bool color_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

/* ---- Values ------------------------------------------------------------------------------------
 */

const char *cell_number(uint64_t n, struct cell *c)
{
    snprintf(c->text, sizeof(c->text), "%" PRIu64, n);
    return c->text;
}

const char *cell_time(uint64_t ns, struct cell *c)
{
    if (ns == 0)
        return "";
    if (ns == UINT64_MAX)
        return "for ever";
    if (c->exact)
        return time_format(ns, 3, c->text);
    uint64_t far = (ns > c->now ? ns - c->now : c->now - ns) / NS_PER_SECOND;
    const char *unit = far < 120 ? "s" : far < 7200 ? "m" : far < 172800 ? "h" : "d";
    uint64_t per = far < 120 ? 1 : far < 7200 ? 60 : far < 172800 ? 3600 : 86400;
    snprintf(c->text, sizeof(c->text), ns > c->now ? "in %" PRIu64 "%s" : "%" PRIu64 "%s ago",
             far / per, unit);
    return c->text;
}

const char *cell_ns(uint64_t ns, struct cell *c)
{
    if (c->exact)
        return cell_number(ns, c);
    return ns ? ns_format(ns, c->text) : "";
}

const char *cell_amount(uint64_t n, struct cell *c)
{
    return c->exact ? cell_number(n, c) : amount_format((double)n, c->text);
}

const char *cell_bool(bool yes, struct cell *c)
{
    if (c->exact)
        return yes ? "true" : "false";
    return yes ? "yes" : "";
}

/* ---- Lines and paragraphs ---------------------------------------------------------------------
 */

static const void *row_at(const struct table *t, size_t i)
{
    return (const char *)t->rows + i * t->row_size;
}

static void print_value(const struct table_column *column, const void *row, struct cell *cell)
{
    const char *text = column->value(row, cell);
    text_safe(stdout, text, strlen(text));
}

static bool print_tsv(const struct table *t, struct cell *cell)
{
    for (size_t k = 0; k < t->n_columns; k++)
        printf("%s%s", k ? "\t" : "", t->columns[k].name);
    putchar('\n');
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t k = 0; k < t->n_columns; k++) {
            if (k)
                putchar('\t');
            print_value(&t->columns[k], row_at(t, i), cell);
        }
        putchar('\n');
    }
    return !ferror(stdout);
}

static bool print_text(const struct table *t, struct cell *cell)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (i)
            putchar('\n');
        for (size_t k = 0; k < t->n_columns; k++) {
            printf("%s: ", t->columns[k].name);
            print_value(&t->columns[k], row_at(t, i), cell);
            putchar('\n');
        }
    }
    return !ferror(stdout);
}

/* ---- Table and JSON ----------------------------------------------------------------------------
 */

/* What is being printed: which columns there are. */
struct sheet {
    const struct table *table;
    struct libscols_table *scols;
    struct cell *cell;
    bool json, roomy;
};

static bool shown(const struct sheet *s, const struct table_column *column)
{
    return s->json || (column->title && (!column->extra || s->roomy));
}

static bool add_columns(const struct sheet *s)
{
    for (size_t k = 0; k < s->table->n_columns; k++) {
        const struct table_column *c = &s->table->columns[k];
        if (!shown(s, c))
            continue;
        struct libscols_column *column = scols_table_new_column(
            s->scols, s->json ? c->name : c->title, s->json ? 0 : c->width, s->json ? 0 : c->flags);
        if (!column || scols_column_set_json_type(column, c->json) != 0 ||
            scols_cell_set_color(scols_column_get_header(column), "bold") != 0)
            return false;
    }
    return true;
}

/* JSON has escapes of its own, for all but what is not UTF-8, and libsmartcols' none for C1. */
static bool add_cell(struct libscols_line *line, size_t at, const char *value, bool json)
{
    if (json && utf8_valid(value, strlen(value)) && !utf8_has_c1(value))
        return scols_line_set_data(line, at, value) == 0;
    char *text = text_safe_copy(value);
    int rc = scols_line_set_data(line, at, text);
    xfree(text);
    return rc == 0;
}

static bool add_row(const struct sheet *s, const void *row)
{
    struct libscols_line *line = scols_table_new_line(s->scols, NULL);
    size_t at = 0;
    if (!line)
        return false;
    for (size_t k = 0; k < s->table->n_columns; k++) {
        const struct table_column *c = &s->table->columns[k];
        if (!shown(s, c))
            continue;
        const char *value = c->value(row, s->cell);
        if (s->json && c->json == SCOLS_JSON_BOOLEAN) /* it takes every word for true */
            value = strcmp(value, "true") == 0 ? "1" : "0";
        if (!add_cell(line, at++, value, s->json))
            return false;
    }
    const char *color = !s->json && s->table->color ? s->table->color(row, s->cell) : NULL;
    return !color || scols_line_set_color(line, color) == 0;
}

static bool terminal_is_roomy(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= ROOMY;
}

bool table_has_extra(const struct table *t)
{
    return t->wide || terminal_is_roomy();
}

/* On a terminal the table is as wide as it, and coloured; elsewhere nothing is cut off. */
static void set_up_terminal(const struct sheet *s)
{
    scols_table_enable_colors(s->scols, color_wanted());
    if (!isatty(STDOUT_FILENO) || s->table->wide)
        scols_table_set_termforce(s->scols, SCOLS_TERMFORCE_NEVER);
}

static bool print_table(const struct table *t, struct cell *cell, bool json)
{
    setlocale(LC_CTYPE, "");
    struct sheet s = {.table = t,
                      .scols = scols_new_table(),
                      .cell = cell,
                      .json = json,
                      .roomy = table_has_extra(t)};
    bool ok = s.scols && scols_table_enable_json(s.scols, json) == 0 &&
              scols_table_set_name(s.scols, t->name) == 0 && add_columns(&s);
    for (size_t i = 0; ok && i < t->n_rows; i++)
        ok = add_row(&s, row_at(t, i));
    if (ok && !json)
        set_up_terminal(&s);
    ok = ok && scols_print_table(s.scols) == 0;
    scols_unref_table(s.scols);
    return ok;
}

bool table_print(const struct table *t, enum table_form form)
{
    struct cell cell = {.exact = form != TABLE_COLUMNS, .now = wall_clock()};
    if (form == TABLE_TSV)
        return print_tsv(t, &cell);
    if (form == TABLE_TEXT)
        return print_text(t, &cell);
    if (form == TABLE_COLUMNS && t->n_rows == 0)
        return !t->empty || puts(t->empty) >= 0;
    return print_table(t, &cell, form == TABLE_JSON);
}
