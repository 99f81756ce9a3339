#include "base/map.h"

#include <weft/weft.h>

struct map_node *map_get(const struct map *map, const void *key, size_t len)
{
    struct map_node *found;
    HASH_FIND(hh, map->head, key, len, found);
    return found;
}

/* uthash tells of a failed allocation by calling this macro with the element. */
#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(elt) (rc = WEFT_ENOMEM)

int map_put(struct map *map, struct map_node *node, const void *key, size_t len)
{
    int rc = 0;
    HASH_ADD_KEYPTR(hh, map->head, key, len, node);
    return rc;
}

void map_del(struct map *map, struct map_node *node)
{
    HASH_DEL(map->head, node);
}

size_t map_count(const struct map *map)
{
    return HASH_COUNT(map->head);
}
