/* A recording is read through once before it is played: so every route is declared before the first
 * message is due, its length is known, and damage is told at the start and not in the middle. */
#include "play.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../common/memory.h"
#include "../common/report_json.h"
#include "../common/table.h"
#include "../common/units.h"

/* ---- Routes, sorted ----------------------------------------------------------------------------
 */

/* Where the name is, or would be. */
static size_t place_of(const struct contents *c, const char *name)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(c->routes[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct played_route *contents_find(const struct contents *c, const char *name)
{
    size_t at = place_of(c, name);
    return at < c->count && strcmp(c->routes[at].name, name) == 0 ? &c->routes[at] : NULL;
}

static struct played_route *find_or_add(struct contents *c, const char *name)
{
    size_t at = place_of(c, name);
    if (at < c->count && strcmp(c->routes[at].name, name) == 0)
        return &c->routes[at];
    if ((c->count & (c->count - 1)) == 0) /* a power of two: full */
        c->routes = xresize(c->routes, (c->count ? 2 * c->count : 1) * sizeof(*c->routes));
    memmove(&c->routes[at + 1], &c->routes[at], (c->count - at) * sizeof(*c->routes));
    c->count++;
    c->routes[at] = (struct played_route){.name = xcopy(name, strlen(name))};
    return &c->routes[at];
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

static void count_record(struct contents *c, const struct record *record)
{
    if (record->at_ns > c->duration_ns)
        c->duration_ns = record->at_ns;
    if (record->kind == RECORD_END) {
        c->whole = true;
        return;
    }
    struct played_route *route = find_or_add(c, record->route);
    if (record->kind == RECORD_GAP) {
        route->lost += record->count;
        c->lost += record->count;
        return;
    }
    if (route->messages++ == 0)
        route->first_ns = record->at_ns;
    route->last_ns = record->at_ns;
    route->bytes += record->size;
    c->messages++;
    c->bytes += record->size;
    if (record->size > c->largest)
        c->largest = record->size;
}

static int no_recording(const struct contents *c, enum recording_result result)
{
    switch (result) {
    case RECORDING_FOREIGN:
        return failure("%s is no recording; weft record makes one", c->file);
    case RECORDING_NEWER:
        return failure("%s is of a later version of weft; play it with that one", c->file);
    case RECORDING_CUT:
        return failure("%s was cut before its first record: nothing is in it", c->file);
    case RECORDING_DAMAGED:
        return failure("%s is damaged at its beginning: nothing of it can be trusted", c->file);
    default:
        return failure("cannot read %s: %s", c->file, strerror(errno));
    }
}

int contents_read(struct contents *c, const char *file)
{
    struct record record;
    *c = (struct contents){.file = file};
    FILE *in = fopen(file, "re");
    if (!in)
        return failure("cannot open %s: %s", file, strerror(errno));
    enum recording_result result = recording_open(&c->recording, in);
    if (result != RECORDING_OK)
        return no_recording(c, result);
    while (!c->whole && (c->end = recording_next(&c->recording, &record)) == RECORDING_OK)
        count_record(c, &record);
    if (c->whole)
        c->end = getc(in) == EOF ? RECORDING_EOF : RECORDING_DAMAGED;
    if (c->end == RECORDING_FAILED)
        return failure("cannot read %s: %s", file, strerror(errno));
    uint64_t offset = c->recording.offset; /* kept for the report */
    result = recording_rewind(&c->recording);
    c->recording.offset = offset;
    return result == RECORDING_OK ? EXIT_OK : failure("cannot read %s: %s", file, strerror(errno));
}

int contents_report(const struct contents *c)
{
    uint64_t at = c->recording.offset;
    if (c->end == RECORDING_DAMAGED)
        return failure("%s is damaged at byte %" PRIu64 "; the %" PRIu64
                       " messages before are sound, what is behind is not read",
                       c->file, at, c->messages);
    if (c->end == RECORDING_CUT)
        fprintf(stderr,
                "weft: %s was cut within the record at byte %" PRIu64 "; the %" PRIu64
                " messages before are sound\n",
                c->file, at, c->messages);
    else if (!c->whole)
        fprintf(stderr, "weft: %s has no end: its recorder was cut short, or is still at it\n",
                c->file);
    if (c->lost)
        fprintf(stderr, "weft: %s lacks %" PRIu64 " messages that its recorder lost\n", c->file,
                c->lost);
    return EXIT_OK;
}

void contents_fini(struct contents *c)
{
    for (size_t i = 0; i < c->count; i++)
        xfree(c->routes[i].name);
    xfree(c->routes);
    if (c->recording.in)
        fclose(c->recording.in);
    recording_fini(&c->recording);
}

/* ---- --info ------------------------------------------------------------------------------------
 */

static const struct played_route *route_of(const void *row)
{
    return row;
}

static const char *name_cell(const void *row, struct cell *cell)
{
    return route_of(row)->name;
}

static const char *messages_cell(const void *row, struct cell *cell)
{
    return cell_number(route_of(row)->messages, cell);
}

static const char *bytes_cell(const void *row, struct cell *cell)
{
    return cell_number(route_of(row)->bytes, cell);
}

static const char *lost_cell(const void *row, struct cell *cell)
{
    return cell_number(route_of(row)->lost, cell);
}

static const char *first_cell(const void *row, struct cell *cell)
{
    return ns_format(route_of(row)->first_ns, cell->text);
}

static const char *last_cell(const void *row, struct cell *cell)
{
    return ns_format(route_of(row)->last_ns, cell->text);
}

static const struct table_column columns[] = {
    {"route", "ROUTE", name_cell, .width = 0.5, .flags = SCOLS_FL_TRUNC},
    {"messages", "MESSAGES", messages_cell, .flags = SCOLS_FL_RIGHT},
    {"bytes", "BYTES", bytes_cell, .flags = SCOLS_FL_RIGHT},
    {"lost", "LOST", lost_cell, .flags = SCOLS_FL_RIGHT},
    {"first", "FIRST", first_cell, .flags = SCOLS_FL_RIGHT},
    {"last", "LAST", last_cell, .flags = SCOLS_FL_RIGHT},
};

static int print_table(const struct contents *c)
{
    char started[TIME_TEXT], duration[UNITS_TEXT], bytes[UNITS_TEXT];
    struct table table = {.name = "routes",
                          .columns = columns,
                          .n_columns = sizeof(columns) / sizeof(columns[0]),
                          .rows = c->routes,
                          .row_size = sizeof(*c->routes),
                          .n_rows = c->count,
                          .empty = "no messages"};
    printf("%s: %" PRIu64 " messages, %sB, %zu routes, %s from %s\n", c->file, c->messages,
           amount_format((double)c->bytes, bytes), c->count, ns_format(c->duration_ns, duration),
           time_format(c->recording.started_ns, 3, started));
    return table_print(&table, TABLE_COLUMNS) ? EXIT_OK : failure("cannot write the output");
}

static json_int_t number(uint64_t n)
{
    return n > INT64_MAX ? INT64_MAX : (json_int_t)n;
}

static int print_json(const struct contents *c)
{
    char started[TIME_TEXT];
    json_t *routes = json_array();
    for (size_t i = 0; i < c->count; i++) {
        const struct played_route *r = &c->routes[i];
        json_array_append_new(routes, json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "route",
                                                text_json(r->name), "messages", number(r->messages),
                                                "bytes", number(r->bytes), "lost", number(r->lost),
                                                "first_ns", number(r->first_ns), "last_ns",
                                                number(r->last_ns)));
    }
    json_t *all = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "started",
                            time_format(c->recording.started_ns, 9, started), "started_ns",
                            number(c->recording.started_ns), "duration_ns", number(c->duration_ns),
                            "messages", number(c->messages), "bytes", number(c->bytes), "lost",
                            number(c->lost), "whole", (int)c->whole, "damaged",
                            (int)(c->end == RECORDING_DAMAGED), "routes", routes);
    bool ok = all && json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 &&
              putchar('\n') != EOF;
    json_decref(all);
    return ok ? EXIT_OK : failure("cannot write the output");
}

int contents_print(const struct contents *c, bool json)
{
    int code = json ? print_json(c) : print_table(c);
    return code == EXIT_OK && fflush(stdout) != 0
               ? failure("cannot write the output: %s", strerror(errno))
               : code;
}
