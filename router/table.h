/* An intrusive chained hash table, 16 bytes an entry, of which 4 are the owner's, and 8 to 16 for
 * its slot: a router holds a million routes, each in three tables, and base/map.h would take 56
 * bytes for each membership.
 *
 *     slots ─▶ [0] ─▶ node ─▶ node
 *              [1]
 *              [2] ─▶ node
 *
 * Who looks up hashes the key, walks the nodes with that hash and compares keys itself. Once made,
 * a table takes any entry: where it cannot grow for want of memory its chains become longer. */
#ifndef ROUTER_TABLE_H
#define ROUTER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct table_node {
    struct table_node *next;
    uint32_t hash;
    uint32_t aux; /* the owner's: the table does not touch it */
};

struct table {
    struct table_node **slots;
    uint32_t mask;  /* number of slots - 1; a power of two of slots */
    uint32_t count; /* entries */
};

/* Errors: WEFT_ENOMEM. */
int table_init(struct table *table);

/* Frees the slots, not the entries. A zeroed table is fine. */
void table_fini(struct table *table);

void table_put(struct table *table, struct table_node *node, uint32_t hash);

/* Take out an entry. It must be in. */
void table_del(struct table *table, struct table_node *node);

/* The entries with this hash, one after the other; NULL: no more. Neighbours in a chain with
 * another hash are skipped. */
struct table_node *table_first(const struct table *table, uint32_t hash);
struct table_node *table_next(const struct table_node *node);

/* A table hash from a 64-bit hash. */
static inline uint32_t table_fold(uint64_t h)
{
    h = (h ^ (h >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

#endif
