/* The screen of weft top: two lines about the node, a line of titles, the rows, and one line of
 * keys or of trouble.
 *
 * Columns have fixed widths, and the first takes what is left; on a narrow terminal the last ones
 * are left out. Everything that came from the network is escaped before it is drawn. */
#include "top_screen.h"

#include <curses.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/units.h"
#include "../common/words.h"

#define NAME_MIN 32 /* columns that the first column has at least */
#define HEAD 3      /* lines above the rows */
#define CELL 64

/* ---- The terminal ------------------------------------------------------------------------------
 */

static SCREEN *screen; /* there is one terminal */

bool top_screen_open(void)
{
    setlocale(LC_CTYPE, "");
    screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return false;
    cbreak();
    noecho();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    curs_set(0);
    const char *no_color = getenv("NO_COLOR");
    if (!(no_color && *no_color) && has_colors()) {
        start_color();
        use_default_colors();
        init_pair(1, COLOR_GREEN, -1);
        init_pair(2, COLOR_RED, -1);
    }
    return true;
}

void top_screen_close(void)
{
    endwin();
    delscreen(screen);
}

enum top_key top_key(void)
{
    int key = getch();
    switch (key) {
    case ERR:
        return TOP_NONE;
    case 'q':
    case 'Q':
        return TOP_QUIT;
    case 'p':
        return TOP_SHOW_PEERS;
    case 'r':
        return TOP_SHOW_ROUTES;
    case 's':
        return TOP_SORT;
    case KEY_UP:
        return TOP_UP;
    case KEY_DOWN:
        return TOP_DOWN;
    case KEY_PPAGE:
        return TOP_PAGE_UP;
    case KEY_NPAGE:
        return TOP_PAGE_DOWN;
    case KEY_HOME:
        return TOP_HOME;
    }
    return TOP_OTHER;
}

/* ---- Text in a width ---------------------------------------------------------------------------
 */

/* Draw `text` in `width` columns from x on, cut off where it is longer, at the right edge if
 * `right`. */
static void draw(int y, int x, int width, const char *text, bool right)
{
    char *safe = text_safe_copy(text);
    size_t n = mbstowcs(NULL, safe, 0);
    wchar_t *wide = xresize(NULL, (strlen(safe) + 1) * sizeof(*wide));
    if (n == (size_t)-1) { /* a locale that knows no UTF-8 */
        for (n = 0; safe[n]; n++)
            wide[n] = (unsigned char)safe[n] < 0x80 ? (wchar_t)safe[n] : L'?';
        wide[n] = L'\0';
    } else {
        mbstowcs(wide, safe, strlen(safe) + 1);
    }
    int used = 0;
    size_t fit = 0;
    for (; fit < n; fit++) {
        if (wcwidth(wide[fit]) < 0)
            wide[fit] = L'?'; /* a character that this system does not know */
        if (used + wcwidth(wide[fit]) > width)
            break;
        used += wcwidth(wide[fit]);
    }
    if (width > 0)
        mvaddnwstr(y, right ? x + width - used : x, wide, (int)fit);
    xfree(wide);
    xfree(safe);
}

/* ---- Rows --------------------------------------------------------------------------------------
 */

static const char *rate_text(double rate, char buf[CELL])
{
    if (rate < 0)
        return "-";
    return amount_format(rate, buf);
}

static const char *peer_cell(const struct peer_rate *r, unsigned column, char buf[CELL])
{
    const weft_peer_info *p = r->info;
    switch (column) {
    case 0:
        return p->url;
    case 1:
        return p->state;
    case 2:
        return rate_text(r->messages_in, buf);
    case 3:
        return rate_text(r->messages_out, buf);
    case 4:
        return p->rtt_ns ? ns_format(p->rtt_ns, buf) : "-";
    case 5:
        return rate_text(r->bytes_in, buf);
    case 6:
        return rate_text(r->bytes_out, buf);
    case 7:
        return amount_format((double)p->outbox_bytes, buf);
    default:
        return amount_format((double)drops_sum(p->dropped), buf);
    }
}

static const char *route_cell(const struct route_rate *r, unsigned column, char buf[CELL])
{
    const weft_route_info *i = r->info;
    switch (column) {
    case 0:
        return i->route;
    case 1:
        return i->intent ? "intent" : "interest";
    case 2:
        return i->peer ? i->peer : "this node";
    case 3:
        snprintf(buf, CELL, "%" PRIu32, i->matches);
        return buf;
    case 4:
        return rate_text(r->hz, buf);
    case 5:
        return amount_format((double)i->messages, buf);
    default:
        return amount_format((double)drops_sum(i->dropped), buf);
    }
}

struct title {
    const char *text;
    int width; /* of the first: what is left */
    bool right;
};

static const struct title peer_titles[] = {
    {"PEER", 0, false}, {"STATE", 9, false}, {"MSG/S IN", 8, true},
    {"OUT", 7, true},   {"RTT", 7, true},    {"BYTE/S IN", 10, true},
    {"OUT", 7, true},   {"QUEUE", 7, true},  {"DROPS", 7, true},
};
static const struct title route_titles[] = {
    {"ROUTE", 0, false}, {"KIND", 9, false}, {"PEER", 28, false}, {"MATCHES", 8, true},
    {"MSG/S", 8, true},  {"MSGS", 8, true},  {"DROPS", 7, true},
};
#define LENGTH(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))

/* ---- Order -------------------------------------------------------------------------------------
 */

static int descending(double a, double b)
{
    return (a < b) - (a > b);
}

/* What peers are ordered by, in turn: messages, bytes, queue, drops, name. */
static const char *const peer_orders[] = {"messages", "bytes", "queue", "drops", "name"};

static double peer_weight(const struct peer_rate *r, unsigned order)
{
    switch (order) {
    case 0:
        return r->messages_in + r->messages_out;
    case 1:
        return r->bytes_in + r->bytes_out;
    case 2:
        return (double)r->info->outbox_bytes;
    case 3:
        return (double)drops_sum(r->info->dropped);
    default:
        return 0;
    }
}

static int order_peers(const void *a, const void *b, void *order)
{
    const struct peer_rate *x = a, *y = b;
    unsigned by = *(const unsigned *)order;
    int result = descending(peer_weight(x, by), peer_weight(y, by));
    return result ? result : strcmp(x->info->url, y->info->url);
}

static const char *const route_orders[] = {"rate", "messages", "drops", "matches", "name"};

static double route_weight(const struct route_rate *r, unsigned order)
{
    switch (order) {
    case 0:
        return r->hz;
    case 1:
        return (double)r->info->messages;
    case 2:
        return (double)drops_sum(r->info->dropped);
    case 3:
        return r->info->matches;
    default:
        return 0;
    }
}

static int order_routes(const void *a, const void *b, void *order)
{
    const struct route_rate *x = a, *y = b;
    unsigned by = *(const unsigned *)order;
    int result = descending(route_weight(x, by), route_weight(y, by));
    return result ? result : strcmp(x->info->route, y->info->route);
}

/* ---- Drawing -----------------------------------------------------------------------------------
 */

/* How many of the columns fit, and how wide the first is. */
static unsigned columns_that_fit(const struct title *titles, unsigned count, int *ret_first)
{
    int left = COLS - NAME_MIN;
    unsigned fit = 1;
    while (fit < count && left >= titles[fit].width + 1)
        left -= titles[fit++].width + 1;
    *ret_first = NAME_MIN + left < COLS ? NAME_MIN + left : COLS;
    return fit;
}

/* Draw a row's cells; `cell` gives them. */
static void draw_row(int y, const struct title *titles, unsigned count, const void *row,
                     const char *(*cell)(const void *row, unsigned column, char buf[CELL]))
{
    int first, x = 0;
    unsigned fit = columns_that_fit(titles, count, &first);
    for (unsigned i = 0; i < fit; i++) {
        char buf[CELL];
        int width = i ? titles[i].width : first;
        draw(y, x, width, cell(row, i, buf), titles[i].right);
        x += width + 1;
    }
}

static const char *title_cell(const void *row, unsigned column, char buf[CELL])
{
    return ((const struct title *)row)[column].text;
}

static const char *peer_row_cell(const void *row, unsigned column, char buf[CELL])
{
    return peer_cell(row, column, buf);
}

static const char *route_row_cell(const void *row, unsigned column, char buf[CELL])
{
    return route_cell(row, column, buf);
}

static void draw_titles(const struct title *titles, unsigned count)
{
    attron(A_REVERSE);
    mvhline(HEAD - 1, 0, ' ', COLS);
    draw_row(HEAD - 1, titles, count, titles, title_cell);
    attroff(A_REVERSE);
}

/* The first row that is shown, so that none is shown beyond the last. */
static size_t put_right(struct top_view *v, size_t rows)
{
    size_t room = LINES > HEAD + 1 ? (size_t)(LINES - HEAD - 1) : 0;
    if (v->first + room > rows)
        v->first = rows > room ? rows - room : 0;
    return v->first + room < rows ? v->first + room : rows;
}

static void draw_peers(struct top_view *v)
{
    struct peer_rate *rates = peer_rates(v->before, v->now);
    unsigned order = v->sort % LENGTH(peer_orders);
    qsort_r(rates, v->now->n_peers, sizeof(*rates), order_peers, &order);
    draw_titles(peer_titles, LENGTH(peer_titles));
    size_t last = put_right(v, v->now->n_peers);
    for (size_t i = v->first; i < last; i++) {
        int color = strcmp(rates[i].info->state, "linked") == 0 ? COLOR_PAIR(1) : COLOR_PAIR(2);
        attron(color);
        draw_row(HEAD + (int)(i - v->first), peer_titles, LENGTH(peer_titles), &rates[i],
                 peer_row_cell);
        attroff(color);
    }
    xfree(rates);
}

static void draw_routes(struct top_view *v)
{
    struct route_rate *rates = route_rates(v->before, v->now);
    unsigned order = v->sort % LENGTH(route_orders);
    qsort_r(rates, v->now->n_routes, sizeof(*rates), order_routes, &order);
    draw_titles(route_titles, LENGTH(route_titles));
    size_t last = put_right(v, v->now->n_routes);
    for (size_t i = v->first; i < last; i++)
        draw_row(HEAD + (int)(i - v->first), route_titles, LENGTH(route_titles), &rates[i],
                 route_row_cell);
    xfree(rates);
}

static void draw_node(const struct top_view *v)
{
    char line[512], up[UNITS_TEXT], in[CELL], out[CELL], drops[UNITS_TEXT];
    const weft_status *s = v->now->status;
    const weft_stats *n = &s->stats, *b = v->before ? &v->before->status->stats : n;
    double seconds = report_seconds(v->before, v->now);
    snprintf(line, sizeof(line), "weft top: %s, %s, up %s", s->url, s->agent,
             ns_format(n->uptime_ms * 1000000, up));
    draw(0, 0, COLS, line, false);
    snprintf(line, sizeof(line),
             "%zu peers, %zu routes, messages %s/s in, %s/s out, %s dropped in all",
             v->now->n_peers, v->now->n_routes,
             rate_text(rate_of(b->messages_in, n->messages_in, seconds), in),
             rate_text(rate_of(b->messages_out, n->messages_out, seconds), out),
             amount_format((double)drops_sum(n->dropped), drops));
    draw(1, 0, COLS, line, false);
}

static void draw_foot(const struct top_view *v)
{
    char line[512];
    const char *order = v->page == TOP_PEERS ? peer_orders[v->sort % LENGTH(peer_orders)]
                                             : route_orders[v->sort % LENGTH(route_orders)];
    if (v->trouble)
        snprintf(line, sizeof(line), "still trying: %s", v->trouble);
    else
        snprintf(line, sizeof(line), "q quit  p peers  r routes  s sort (by %s)  arrows scroll",
                 order);
    attron(v->trouble ? A_REVERSE : A_BOLD);
    draw(LINES - 1, 0, COLS - 1, line, false);
    attroff(v->trouble ? A_REVERSE : A_BOLD);
}

void top_draw(struct top_view *view)
{
    erase();
    if (view->now) {
        draw_node(view);
        if (view->page == TOP_PEERS)
            draw_peers(view);
        else
            draw_routes(view);
    } else {
        char line[512];
        snprintf(line, sizeof(line), "weft top: asking %s", view->url);
        draw(0, 0, COLS, line, false);
    }
    draw_foot(view);
    refresh();
}
