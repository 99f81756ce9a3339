/* What was written to a peer and may not have come there: which messages the last bytes held.
 *
 * The kernel says how many bytes the other host has not acknowledged (stream_unacked); the trail
 * turns these into messages, so that a link that breaks counts what was on its way. */
#ifndef NODE_TRAIL_H
#define NODE_TRAIL_H

#include <stddef.h>
#include <stdint.h>

#define TRAIL_RUNS 128u

/* Frames in a row. Of one flow and size, unless runs had to be joined. */
struct run {
    size_t bytes;
    uint32_t frames; /* messages; 0: control frames, or the front of a frame that goes on */
    uint32_t alias;  /* of the flow; 0: several */
};

/* By who holds the writer's token. Zeroed is empty. */
struct trail {
    struct run *runs; /* TRAIL_RUNS, oldest first; made when needed; NULL: none yet */
    uint32_t count;
    struct run all; /* instead of runs, where there is no memory for them */
};

struct seg;
struct stream;

/* The last `bytes` bytes written held `frames` messages of the flow. */
void trail_add(struct trail *t, struct stream *s, uint32_t alias, uint32_t frames, size_t bytes);

/* The first `bytes` bytes of a segment are written. Returns how many of them are whole frames. */
size_t trail_add_seg(struct trail *t, struct stream *s, const struct seg *seg, size_t bytes);

/* Forget all but the last `unacked` bytes. */
void trail_keep(struct trail *t, size_t unacked);

/* How many messages of this run were not acknowledged whole, if that many of its bytes were not:
 * never fewer than there were. */
uint32_t run_lost(const struct run *run, size_t unacked);

void trail_fini(struct trail *t);

#endif
