#include <stdbool.h>
#include <string.h>

#include "base/prng.h"
#include "router/chain.h"
#include "router/table.h"
#include "tests/check.h"

#define COUNT 4000

static struct table_node nodes[COUNT];

/* Few hashes, so that chains hold several entries of one hash and of others. */
static uint32_t hash_of(uint32_t i)
{
    return table_fold(i % 700);
}

static uint32_t hash_node(const struct table_node *node)
{
    return hash_of((uint32_t)(node - nodes));
}

static bool has(const struct table *t, uint32_t i)
{
    struct table_node *n = table_chain(t, hash_of(i));
    while (n && n != &nodes[i])
        n = n->next;
    return n != NULL;
}

TEST(router_table, finds_what_is_in_and_nothing_else)
{
    struct table t;
    struct prng prng;
    static bool in[COUNT];
    uint32_t count = 0;
    prng_init(&prng, 7);
    CHECK_EQ(table_init(&t, hash_node), 0);
    for (int round = 0; round < 40000; round++) {
        uint32_t i = (uint32_t)prng_between(&prng, 0, COUNT - 1);
        bool fill = round / 10000 % 2 == 0; /* grows, shrinks, grows, shrinks */
        CHECK(has(&t, i) == in[i]);
        if (in[i] == fill)
            continue;
        if (fill)
            table_put(&t, &nodes[i]);
        else
            table_del(&t, &nodes[i]);
        in[i] = fill;
        count += fill ? 1 : UINT32_MAX;
        CHECK_EQ(t.count, count);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        CHECK(has(&t, i) == in[i]);
    table_fini(&t);
}

#define LINKS_MAX 12

/* A chain against an array: the same nodes in the same order, from either end. */
static void check_chain(struct chain *head, struct chain *const *model, size_t count)
{
    size_t n = 0;
    chain_each(it, head)
    {
        CHECK(n < count && it == model[n]);
        CHECK(it->prev == model[n ? n - 1 : count - 1]);
        n++;
    }
    CHECK_EQ(n, count);
}

TEST(router_chain, keeps_its_order)
{
    struct chain links[LINKS_MAX], *model[LINKS_MAX], *head = NULL;
    size_t count = 0;
    struct prng prng;
    prng_init(&prng, 11);
    for (int round = 0; round < 20000; round++) {
        struct chain *node = &links[prng_between(&prng, 0, LINKS_MAX - 1)];
        size_t at = 0, to = 0;
        while (at < count && model[at] != node)
            at++;
        if (at < count) {
            chain_remove(&head, node);
            memmove(&model[at], &model[at + 1], (--count - at) * sizeof(*model));
        } else {
            bool end = prng_between(&prng, 0, 3) == 0;
            to = end ? count : (size_t)prng_between(&prng, 0, count);
            if (end)
                chain_push(&head, node);
            else
                chain_insert(&head, to ? model[to - 1] : NULL, node);
            memmove(&model[to + 1], &model[to], (count++ - to) * sizeof(*model));
            model[to] = node;
        }
        check_chain(head, model, count);
    }
}
