/* What weft top shows on a terminal. */
#ifndef CMD_WEFT_TOP_SCREEN_H
#define CMD_WEFT_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "../common/rates.h"

enum top_page { TOP_PEERS, TOP_ROUTES };

struct top_view {
    const char *url; /* who is asked */
    enum top_page page;
    unsigned sort; /* which column orders the rows; any number */
    size_t first;  /* row at the top; put right by top_draw */
    /* NULL: nothing yet. `before` may be NULL. */
    const weft_report *before, *now;
    const char *trouble; /* why there is nothing newer, or NULL; safe to print */
};

/* Take over the terminal, and give it back. False: it is none that ncurses knows. */
bool top_screen_open(void);
void top_screen_close(void);

/* Draw everything anew, in the size that the terminal has now. */
void top_draw(struct top_view *view);

/* A key that was pressed, or 0 where none waits. */
enum top_key {
    TOP_NONE,
    TOP_QUIT,
    TOP_SHOW_PEERS,
    TOP_SHOW_ROUTES,
    TOP_SORT,
    TOP_UP,
    TOP_DOWN,
    TOP_PAGE_UP,
    TOP_PAGE_DOWN,
    TOP_HOME,
    TOP_OTHER /* also a new size */
};
enum top_key top_key(void);

#endif
