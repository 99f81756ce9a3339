/* Most messages fit into one chunk; each further one is twice as large, so that a long list takes
 * few. Decoding must not let a small body claim much memory: a chunk that would go over the budget
 * shrinks to the piece asked for, and if that is too much the arena fails with WEFT_ELIMIT. */
#include "proto/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <weft/weft.h>

#include "base/mem.h"
#include "base/util.h"

#define ALIGN _Alignof(max_align_t)
#define STEP_FIRST ((size_t)1024)
#define STEP_MAX ((size_t)64 << 10)

struct arena_chunk {
    struct arena_chunk *next;
    max_align_t data[];
};

void arena_init(struct arena *arena, size_t budget, void *first, size_t first_size)
{
    *arena = (struct arena){.budget = budget, .step = STEP_FIRST, .at = first, .left = first_size};
}

static bool arena_fail(struct arena *arena, int error)
{
    if (!arena->error)
        arena->error = error;
    return false;
}

static bool arena_grow(struct arena *arena, size_t need)
{
    size_t room = need > arena->step ? need : arena->step;
    size_t head = sizeof(struct arena_chunk);
    if (head + room > arena->budget)
        room = need;
    if (head + room > arena->budget)
        return arena_fail(arena, WEFT_ELIMIT);
    struct arena_chunk *chunk = mem_alloc(head + room);
    if (!chunk)
        return arena_fail(arena, WEFT_ENOMEM);
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->at = (char *)chunk->data;
    arena->left = room;
    arena->budget -= head + room;
    arena->step = min_size(arena->step * 2, STEP_MAX);
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size == 0)
        size = 1;
    if (size > SIZE_MAX / 2) {
        arena_fail(arena, WEFT_ELIMIT);
        return NULL;
    }
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (arena->error || (size > arena->left && !arena_grow(arena, size)))
        return NULL;
    void *p = arena->at;
    arena->at += size;
    arena->left -= size;
    return p;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    /* More members than memory has bytes are refused by arena_alloc. */
    void *p = arena_alloc(arena, count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return p ? memset(p, 0, count * size) : NULL;
}

void arena_free(struct arena_chunk *chunks)
{
    while (chunks) {
        struct arena_chunk *next = chunks->next;
        mem_free(chunks);
        chunks = next;
    }
}
