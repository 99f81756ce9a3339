#include <stdbool.h>

#include "base/prng.h"
#include "router/table.h"
#include "tests/check.h"

#define COUNT 4000

static struct table_node nodes[COUNT];

/* Few hashes, so that chains hold several entries of one hash and of others. */
static uint32_t hash_of(uint32_t i)
{
    return table_fold(i % 700);
}

static bool has(const struct table *t, uint32_t i)
{
    struct table_node *n = table_first(t, hash_of(i));
    while (n && n != &nodes[i])
        n = table_next(n);
    return n != NULL;
}

TEST(router_table, finds_what_is_in_and_nothing_else)
{
    struct table t;
    struct prng prng;
    static bool in[COUNT];
    uint32_t count = 0;
    prng_init(&prng, 7);
    CHECK_EQ(table_init(&t), 0);
    for (int round = 0; round < 40000; round++) {
        uint32_t i = (uint32_t)prng_between(&prng, 0, COUNT - 1);
        bool fill = round / 10000 % 2 == 0; /* grows, shrinks, grows, shrinks */
        CHECK(has(&t, i) == in[i]);
        if (in[i] == fill)
            continue;
        if (fill)
            table_put(&t, &nodes[i], hash_of(i));
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
