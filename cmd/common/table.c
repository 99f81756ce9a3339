/* The table is libsmartcols', JSON jansson's; tab-separated lines and paragraphs are written here.
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
#include "report_json.h"
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

/* ---- JSON --------------------------------------------------------------------------------------
 */

static json_t *json_value(const struct table_column *column, const char *text)
{
    if (column->json == SCOLS_JSON_BOOLEAN)
        return json_boolean(strcmp(text, "true") == 0);
    if (column->json == SCOLS_JSON_NUMBER)
        return json_loads(text, JSON_DECODE_ANY, NULL);
    return *text ? text_json(text) : json_null();
}

static json_t *json_row(const struct table *t, const void *row, struct cell *cell)
{
    json_t *object = json_object();
    for (size_t k = 0; object && k < t->n_columns; k++) {
        json_t *value = json_value(&t->columns[k], t->columns[k].value(row, cell));
        if (json_object_set_new(object, t->columns[k].name, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* ASCII: as it stands, JSON lets C1 controls through to the terminal. Of a float nine digits are
 * all there are. */
static bool print_json_rows(const struct table *t, struct cell *cell)
{
    json_t *list = json_array(), *all = json_pack("{s:o}", t->name, list);
    bool ok = all != NULL;
    for (size_t i = 0; ok && i < t->n_rows; i++)
        ok = json_array_append_new(list, json_row(t, row_at(t, i), cell)) == 0;
    ok = ok &&
         json_dumpf(all, stdout, JSON_ENSURE_ASCII | JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
    json_decref(all);
    return ok && putchar('\n') != EOF;
}

/* ---- Table -------------------------------------------------------------------------------------
 */

/* What is being printed: which columns there are. */
struct sheet {
    const struct table *table;
    struct libscols_table *scols;
    struct cell *cell;
    bool roomy;
};

static bool shown(const struct sheet *s, const struct table_column *column)
{
    return column->title && (!column->extra || s->roomy);
}

/* Cells are escaped by us: the backslash of an escape is none that libsmartcols has to escape. */
static bool add_columns(const struct sheet *s)
{
    for (size_t k = 0; k < s->table->n_columns; k++) {
        const struct table_column *c = &s->table->columns[k];
        if (!shown(s, c))
            continue;
        struct libscols_column *column =
            scols_table_new_column(s->scols, c->title, c->width, c->flags);
        if (!column || scols_column_set_safechars(column, "\\") != 0 ||
            scols_cell_set_color(scols_column_get_header(column), "bold") != 0)
            return false;
    }
    return true;
}

static bool add_cell(struct libscols_line *line, size_t at, const char *value)
{
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
        if (!add_cell(line, at++, c->value(row, s->cell)))
            return false;
    }
    const char *color = s->table->color ? s->table->color(row, s->cell) : NULL;
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

static bool print_table(const struct table *t, struct cell *cell)
{
    setlocale(LC_CTYPE, "");
    struct sheet s = {
        .table = t, .scols = scols_new_table(), .cell = cell, .roomy = table_has_extra(t)};
    bool ok = s.scols && add_columns(&s);
    for (size_t i = 0; ok && i < t->n_rows; i++)
        ok = add_row(&s, row_at(t, i));
    if (ok)
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
    if (form == TABLE_JSON)
        return print_json_rows(t, &cell);
    if (t->n_rows == 0)
        return !t->empty || puts(t->empty) >= 0;
    return print_table(t, &cell);
}
