/* Intrusive hash map over uthash, keyed by bytes. The key lies in (or is pointed to by) the entry
 * and must not change while the entry is in the map. Out of memory is an error code, never an
 * abort.
 *
 *     struct peer { struct map_node node; uint32_t id; … };
 *     map_put(&peers, &peer->node, &peer->id, sizeof(peer->id));
 *     struct map_node *n = map_get(&peers, &id, sizeof(id));
 *     struct peer *p = n ? container_of(n, struct peer, node) : NULL;
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"

#include "base/hash.h"

/* uthash's own default falls through its switch without saying so, which clang takes for a mistake.
 */
#define HASH_FUNCTION(key, len, hashv)                                                             \
    do {                                                                                           \
        uint64_t map_hash = hash64(HASH64_SEED, (key), (len));                                     \
        (hashv) = (unsigned)(map_hash ^ map_hash >> 32);                                           \
    } while (0)
#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(ptr, size) mem_free(ptr)
#include <uthash.h>

struct map_node {
    UT_hash_handle hh;
};

struct map {
    struct map_node *head; /* NULL: empty */
};

/* Find, or NULL. */
struct map_node *map_get(const struct map *map, const void *key, size_t len);

/* Add an entry whose key is not in the map yet. Errors: WEFT_ENOMEM, nothing was added. */
int map_put(struct map *map, struct map_node *node, const void *key, size_t len);

/* Take an entry out. It must be in. */
void map_del(struct map *map, struct map_node *node);

size_t map_count(const struct map *map);

/* In order of insertion. The current entry may be deleted while iterating. */
#define map_each(it, map)                                                                          \
    for (struct map_node *it = (map)->head, *it##_next = it ? it->hh.next : NULL; it;              \
         it = it##_next, it##_next = it ? it->hh.next : NULL)

#endif
