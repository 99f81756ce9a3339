/* An intrusive chained hash table, 8 bytes an entry and 8 to 16 for its slot: a router holds a
 * million routes, each in three tables, and base/map.h would take 56 bytes for each membership.
 *
 *     slots ─▶ [0] ─▶ node ─▶ node
 *              [1]
 *              [2] ─▶ node
 *
 * An entry's hash is not kept but asked for again when the table grows, which costs one hash an
 * entry in all. Who looks up hashes the key, walks the nodes of its slot and compares keys itself.
 * Once made, a table takes any entry: where it cannot grow for want of memory its chains become
 * longer. */
#ifndef ROUTER_TABLE_H
#define ROUTER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct table_node {
    struct table_node *next;
};

/* The hash of an entry's key, the same for as long as the entry is in the table. */
typedef uint32_t table_hash_fn(const struct table_node *node);

struct table {
    struct table_node **slots;
    table_hash_fn *hash;
    uint32_t mask;  /* number of slots - 1; a power of two of slots */
    uint32_t count; /* entries */
};

/* Errors: WEFT_ENOMEM. */
int table_init(struct table *table, table_hash_fn *hash);

/* Frees the slots, not the entries. A zeroed table is fine. */
void table_fini(struct table *table);

void table_put(struct table *table, struct table_node *node);

/* Take out an entry. It must be in, its key what it was then. */
void table_del(struct table *table, struct table_node *node);

/* All entries with this hash are in this chain, and some others may be; NULL: none. */
static inline struct table_node *table_chain(const struct table *table, uint32_t hash)
{
    return table->slots[hash & table->mask];
}

/* A table hash from a 64-bit hash. */
static inline uint32_t table_fold(uint64_t h)
{
    h = (h ^ (h >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

#endif
