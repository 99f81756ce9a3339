/* Rows of anything in four forms: a table for people, JSON, tab-separated lines, paragraphs. One
 * list of columns serves all of them. The table leaves columns out and rounds times to "3m ago";
 * the others carry everything, exact. */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include <libsmartcols/libsmartcols.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum table_form { TABLE_COLUMNS, TABLE_JSON, TABLE_TSV, TABLE_TEXT };

/* What a value is called while it is on its way into a cell. */
#define CELL_TEXT 128
struct cell {
    bool exact;           /* not for people */
    uint64_t now;         /* ns since the epoch */
    char text[CELL_TEXT]; /* for what is not a string of the row */
};

struct table_column {
    const char *name;  /* in all forms but the table */
    const char *title; /* of the table, NULL: not in it; short, since the width is the terminal's */
    /* Text of a row: of the row itself, of the cell, or static. */
    const char *(*value)(const void *row, struct cell *cell);
    double width; /* of the table's, where it does not fit as it is; 0: as it is */
    int flags;    /* SCOLS_FL_… of the table */
    int json;     /* SCOLS_JSON_… */
    bool extra;   /* in the table only where there is room, or with `wide` */
};

struct table {
    const char *name; /* member of the JSON object */
    const struct table_column *columns;
    size_t n_columns;
    const void *rows;
    size_t row_size, n_rows;
    /* Colour of a row on a terminal ("green", "red"), or NULL; NULL: none has one. */
    const char *(*color)(const void *row, const struct cell *cell);
    const char *empty; /* printed in place of a table without rows */
    bool wide;         /* all columns, and nothing cut off, however narrow the terminal */
};

/* Print to stdout; whatever the values contain, it gets there escaped. False: out of memory, or the
 * output failed. */
bool table_print(const struct table *table, enum table_form form);

/* Does table_print show the extra columns? */
bool table_has_extra(const struct table *table);

/* May the output be coloured? On a terminal, unless NO_COLOR is set. */
bool color_wanted(void);

/* Nanoseconds since the epoch. */
uint64_t wall_clock(void);

/* ---- Values; all return text that lives as long as the cell -----------------------------------
 */

const char *cell_number(uint64_t n, struct cell *cell);

/* "3m ago", "in 2h"; exact: 2026-01-31T12:00:00.123Z. "" for 0; "for ever" for UINT64_MAX. */
const char *cell_time(uint64_t ns, struct cell *cell);

/* Of a length of time, short: "1.2ms", "3.4s", "5m", "2h", "3d"; exact: ns. "" for 0. */
const char *cell_ns(uint64_t ns, struct cell *cell);

/* Bytes, short: "120", "1.2k", "3.4M"; exact: as a number. */
const char *cell_amount(uint64_t n, struct cell *cell);

const char *cell_bool(bool yes, struct cell *cell); /* "yes" or ""; exact: "true" or "false" */

#endif
