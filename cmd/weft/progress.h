/* One line on a terminal that tells how far a command is. */
#ifndef CMD_WEFT_PROGRESS_H
#define CMD_WEFT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;                     /* standard error is a terminal */
    bool drawn;                     /* there is a line to take away */
    uint64_t started;               /* of the monotonic clock */
    uint64_t next;                  /* when to draw again */
    uint64_t rated, messages_rated; /* when the rate was taken, and of how many messages */
    double rate;
};

void progress_init(struct progress *progress);

/* When it wants to be drawn again; FOREVER if never. */
uint64_t progress_due(const struct progress *progress);

/* Draw, if it is time. `total_ns` of the whole, 0 where there is none, `done_ns` of it. */
void progress_draw(struct progress *progress, uint64_t messages, uint64_t bytes, uint64_t done_ns,
                   uint64_t total_ns);

/* Take the line away, before anything else is printed. */
void progress_clear(struct progress *progress);

#endif
