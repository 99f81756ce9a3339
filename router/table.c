/* The happy path is one step down a short chain: there are at least as many slots as entries. The
 * only failure is a growth for which there is no memory; it is tried again with the next entry. */
#include "router/table.h"

#include <weft/weft.h>

#include "base/mem.h"

#define FIRST_SLOTS 16u

int table_init(struct table *table, table_hash_fn *hash)
{
    struct table_node **slots = mem_zalloc(FIRST_SLOTS * sizeof(struct table_node *));
    if (!slots)
        return WEFT_ENOMEM;
    *table = (struct table){.slots = slots, .hash = hash, .mask = FIRST_SLOTS - 1};
    return 0;
}

void table_fini(struct table *table)
{
    mem_free(table->slots);
    *table = (struct table){.slots = NULL};
}

static void push(struct table_node **slot, struct table_node *node)
{
    node->next = *slot;
    *slot = node;
}

static void resize(struct table *table, uint32_t mask)
{
    struct table_node **slots = mem_zalloc(((size_t)mask + 1) * sizeof(struct table_node *));
    if (!slots)
        return;
    for (uint32_t i = 0; i <= table->mask; i++) {
        for (struct table_node *node = table->slots[i], *next; node; node = next) {
            next = node->next;
            push(&slots[table->hash(node) & mask], node);
        }
    }
    mem_free(table->slots);
    table->slots = slots;
    table->mask = mask;
}

void table_put(struct table *table, struct table_node *node)
{
    if (table->count > table->mask && table->mask < UINT32_MAX / 2)
        resize(table, table->mask * 2 + 1);
    push(&table->slots[table->hash(node) & table->mask], node);
    table->count++;
}

void table_del(struct table *table, struct table_node *node)
{
    struct table_node **at = &table->slots[table->hash(node) & table->mask];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    table->count--;
    if (table->mask >= FIRST_SLOTS && table->count < table->mask / 8)
        resize(table, table->mask / 2);
}
