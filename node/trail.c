/* The trail of a connection: runs of frames, youngest last.
 *
 *     acknowledged ┊ [3000 x 36 of 7] [1 x 400 of 9] [control] [120 x 36 of 7]
 *                  ╰──────────────────── unacked ───────────────────────────▶
 *
 * Most traffic is of one flow and one size at a time, so that a run stands for a whole chunk. When
 * the table is full, what is acknowledged is forgotten; if too much is left, neighbours are joined:
 * a joined run knows its messages' number but, if they were of several flows, not whose they were.
 * Counts err upwards alone: a message in doubt counts as lost. Without memory everything is one
 * run. */
#include "node/trail.h"

#include <string.h>

#include "base/mem.h"
#include "node/node.h"

#define JOINED 0x80000000u /* in `frames`: of more than one size */

static uint32_t frames_of(const struct run *run)
{
    return run->frames & ~JOINED;
}

uint32_t run_lost(const struct run *run, size_t unacked)
{
    uint32_t frames = frames_of(run);
    if (unacked >= run->bytes || frames == 0)
        return unacked ? frames : 0;
    size_t size = run->frames & JOINED ? FRAME_COMPACT_HEAD : run->bytes / frames;
    size_t lost = (unacked + size - 1) / size;
    return lost < frames ? (uint32_t)lost : frames;
}

/* Messages of one size in both? */
static bool alike(const struct run *a, const struct run *b)
{
    return a->frames && b->frames && !((a->frames | b->frames) & JOINED) &&
           a->bytes / a->frames == b->bytes / b->frames;
}

static void join(struct run *into, const struct run *run)
{
    bool same = alike(into, run);
    if (into->frames == 0)
        into->alias = run->alias;
    else if (run->frames && into->alias != run->alias)
        into->alias = 0;
    into->bytes += run->bytes;
    into->frames = (frames_of(into) + frames_of(run)) | (same ? 0 : JOINED);
}

void trail_keep(struct trail *t, size_t unacked)
{
    uint32_t first = t->count;
    size_t bytes = 0;
    while (first > 0 && bytes < unacked)
        bytes += t->runs[--first].bytes;
    t->count -= first;
    if (first && t->count)
        memmove(t->runs, t->runs + first, t->count * sizeof(*t->runs));
    if (unacked == 0)
        t->all = (struct run){0};
}

/* Make room for another run, at the cost of knowing less: neighbours become runs of about the same
 * number of bytes, so that the one in which the unacknowledged ones begin is never a large part. */
static void make_room(struct trail *t, struct stream *s)
{
    size_t unacked = stream_unacked(s);
    trail_keep(t, unacked);
    if (t->count <= TRAIL_RUNS / 2)
        return;
    size_t grain = unacked / (TRAIL_RUNS / 4);
    uint32_t last = 0;
    for (uint32_t i = 1; i < t->count; i++) {
        if (t->runs[last].bytes + t->runs[i].bytes <= grain)
            join(&t->runs[last], &t->runs[i]);
        else
            t->runs[++last] = t->runs[i];
    }
    t->count = last + 1;
}

void trail_add(struct trail *t, struct stream *s, uint32_t alias, uint32_t frames, size_t bytes)
{
    struct run run = {.bytes = bytes, .frames = frames, .alias = alias};
    if (bytes == 0)
        return;
    if (!t->runs)
        t->runs = mem_alloc(TRAIL_RUNS * sizeof(*t->runs));
    if (!t->runs) {
        join(&t->all, &run);
        return;
    }
    struct run *last = t->count ? &t->runs[t->count - 1] : NULL;
    if (last && last->alias == alias && alike(last, &run) && last->bytes < UINT32_MAX) {
        join(last, &run);
        return;
    }
    if (t->count == TRAIL_RUNS)
        make_room(t, s);
    t->runs[t->count++] = run;
}

/* Size and alias of the frame at `p`, as they stand there. */
static uint64_t size_and_alias(const uint8_t *p)
{
    uint64_t key;
    memcpy(&key, p + 4, sizeof(key));
    return key;
}

/* Frames of one flow and size from `p` on, as far as `end`, but at least one. */
static struct run next_run(const uint8_t *p, const uint8_t *end)
{
    size_t size = load_u32(p + 4) + 8;
    uint64_t key = size_and_alias(p);
    const uint8_t *next = p + size;
    while (size <= (size_t)(end - next) && size_and_alias(next) == key)
        next += size;
    size_t bytes = (size_t)(next - p);
    return (struct run){
        .bytes = bytes, .frames = (uint32_t)(bytes / size), .alias = load_u32(p + 8)};
}

static size_t add_chunk(struct trail *t, struct stream *s, const struct seg *seg, size_t bytes)
{
    const uint8_t *p = seg->data + seg->off, *end = p + bytes;
    while (p < end && load_u32(p + 4) + 8 <= (size_t)(end - p)) {
        struct run run = next_run(p, end);
        trail_add(t, s, run.alias, run.frames, run.bytes);
        p += run.bytes;
    }
    trail_add(t, s, 0, 0, (size_t)(end - p)); /* the front of a frame that is not written whole */
    return bytes - (size_t)(end - p);
}

size_t trail_add_seg(struct trail *t, struct stream *s, const struct seg *seg, size_t bytes)
{
    if (seg->kind == SEG_CHUNK)
        return add_chunk(t, s, seg, bytes);
    bool whole = bytes == seg_bytes(seg);
    trail_add(t, s, seg->alias, whole && seg->kind == SEG_MESSAGE, bytes);
    return whole ? bytes : 0;
}

void trail_fini(struct trail *t)
{
    mem_free(t->runs);
    *t = (struct trail){0};
}
