/* The happy path is one step down a short chain: there are at least as many slots as entries. The
 * only failure is a growth for which there is no memory; it is tried again with the next entry. */
#include "router/table.h"

#include <weft/weft.h>

#include "base/mem.h"

#define FIRST_SLOTS 16u

int table_init(struct table *table)
{
    struct table_node **slots = mem_zalloc(FIRST_SLOTS * sizeof(struct table_node *));
    if (!slots)
        return WEFT_ENOMEM;
    *table = (struct table){.slots = slots, .mask = FIRST_SLOTS - 1};
    return 0;
}

void table_fini(struct table *table)
{
    mem_free(table->slots);
    *table = (struct table){.slots = NULL};
}

static void resize(struct table *table, uint32_t mask)
{
    struct table_node **slots = mem_zalloc(((size_t)mask + 1) * sizeof(struct table_node *));
    if (!slots)
        return;
    for (uint32_t i = 0; i <= table->mask; i++) {
        for (struct table_node *node = table->slots[i], *next; node; node = next) {
            next = node->next;
            node->next = slots[node->hash & mask];
            slots[node->hash & mask] = node;
        }
    }
    mem_free(table->slots);
    table->slots = slots;
    table->mask = mask;
}

void table_put(struct table *table, struct table_node *node, uint32_t hash)
{
    if (table->count > table->mask && table->mask < UINT32_MAX / 2)
        resize(table, table->mask * 2 + 1);
    node->hash = hash;
    node->next = table->slots[hash & table->mask];
    table->slots[hash & table->mask] = node;
    table->count++;
}

void table_del(struct table *table, struct table_node *node)
{
    struct table_node **at = &table->slots[node->hash & table->mask];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    table->count--;
    if (table->mask >= FIRST_SLOTS && table->count < table->mask / 8)
        resize(table, table->mask / 2);
}

static struct table_node *same_hash(struct table_node *node, uint32_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct table_node *table_first(const struct table *table, uint32_t hash)
{
    return same_hash(table->slots[hash & table->mask], hash);
}

struct table_node *table_next(const struct table_node *node)
{
    return same_hash(node->next, node->hash);
}
