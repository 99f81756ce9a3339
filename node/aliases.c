/* Alias tables: open addressing with linear probing, at most half full; a removed entry is closed
 * by moving its successors back, so that a look-up never meets tombstones. Aliases are consecutive
 * numbers of a well-meaning sender; a keyed mix keeps others from choosing numbers that collide. A
 * slot is a bare pointer, for tables are large and flows know their numbers. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"

static uint32_t home_of(const struct alias_table *t, uint32_t alias)
{
    uint32_t h = alias ^ t->key;
    h = (h ^ h >> 16) * UINT32_C(0x7feb352d);
    h = (h ^ h >> 15) * UINT32_C(0x846ca68b);
    return (h ^ h >> 16) & (t->cap - 1);
}

static uint32_t alias_of(const struct alias_table *t, const struct flow *flow)
{
    return t->ours ? flow->alias : flow->link_alias;
}

/* Where the flow of the alias is, or belongs. */
static struct flow **find_slot(const struct alias_table *t, uint32_t alias)
{
    uint32_t i = home_of(t, alias);
    while (t->slots[i] && alias_of(t, t->slots[i]) != alias)
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static int grow(struct alias_table *t)
{
    struct alias_table bigger = *t;
    bigger.cap = t->cap ? t->cap * 2 : 16;
    bigger.slots = mem_zalloc(bigger.cap * sizeof(struct flow *));
    if (!bigger.slots)
        return WEFT_ENOMEM;
    for (uint32_t i = 0; i < t->cap; i++) {
        if (t->slots[i])
            *find_slot(&bigger, alias_of(t, t->slots[i])) = t->slots[i];
    }
    mem_free(t->slots);
    *t = bigger;
    return 0;
}

int alias_put(struct alias_table *t, struct flow *flow)
{
    if (2 * (t->count + 1) > t->cap) {
        int rc = grow(t);
        if (rc < 0)
            return rc;
    }
    struct flow **slot = find_slot(t, alias_of(t, flow));
    t->count += *slot == NULL;
    *slot = flow;
    return 0;
}

void alias_del(struct alias_table *t, uint32_t alias)
{
    if (t->cap == 0)
        return;
    uint32_t hole = (uint32_t)(find_slot(t, alias) - t->slots);
    if (!t->slots[hole])
        return;
    t->count--;
    uint32_t mask = t->cap - 1;
    for (uint32_t i = (hole + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
        uint32_t home = home_of(t, alias_of(t, t->slots[i]));
        /* Movable unless its home lies cyclically after the hole. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = NULL;
}

struct flow *alias_get(const struct alias_table *t, uint32_t alias)
{
    return t->cap && alias ? *find_slot(t, alias) : NULL;
}

void alias_fini(struct alias_table *t)
{
    mem_free(t->slots);
    *t = (struct alias_table){0};
}
