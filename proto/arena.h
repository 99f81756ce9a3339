/* Memory for one message: handed out from chunks, given back all at once.
 *
 *     chunks ─▶ [next | used … ] ─▶ [next | used … ]
 *                          at ──▲  └ left ┘ of the newest
 *
 * A budget bounds the chunks together; a borrowed first piece saves small messages from taking any.
 */
#ifndef PROTO_ARENA_H
#define PROTO_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *at;                   /* aligned; where the next piece begins */
    size_t left;                /* bytes from `at` to the end of its chunk */
    size_t budget;              /* bytes that chunks may still take */
    size_t step;                /* size of the next chunk, unless one piece needs more */
    int error;                  /* 0, WEFT_ENOMEM or WEFT_ELIMIT: why arena_alloc failed first */
};

/* `first` of first_size bytes is used before any chunk; aligned for any type, or NULL. */
void arena_init(struct arena *arena, size_t budget, void *first, size_t first_size);

/* Uninitialised memory, aligned for any type; NULL on error, which is kept in arena->error. */
void *arena_alloc(struct arena *arena, size_t size);

/* Memory for an array, zeroed; never NULL for 0 members. NULL on error. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* Free the chunks of an arena, which may be gone by then. NULL is ignored. */
void arena_free(struct arena_chunk *chunks);

#endif
