/* The alias table against an array: puts, overwrites, removals and look-ups in random order, with
 * aliases dense as a sender gives them, sparse, and chosen to collide. */
#include "../check.h"

#include "base/mem.h"
#include "base/prng.h"
#include "node/node.h"

#define ALIASES 4096u
#define STEPS 400000u
#define SEED UINT64_C(0xa11a5)

/* Spreads indexes over the numbers in three ways. */
static uint32_t alias_of(unsigned way, uint32_t index)
{
    static const uint32_t steps[] = {1, 65536, 2654435761u};
    uint32_t alias = (index + 1) * steps[way];
    return alias ? alias : 1;
}

static void run(unsigned way)
{
    struct flow *model[ALIASES] = {0};
    struct alias_table table = {0};
    struct prng prng;
    uint32_t count = 0;
    prng_init(&prng, SEED + way);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t i = (uint32_t)prng_between(&prng, 0, ALIASES - 1), alias = alias_of(way, i);
        /* Whole stretches of growing and of shrinking. */
        bool put = prng_between(&prng, 0, 9) < (step / 20000 % 2 ? 2u : 6u);
        if (put) {
            struct flow *flow = (struct flow *)(uintptr_t)(step + 1);
            CHECK_EQ(alias_put(&table, alias, flow), 0);
            count += model[i] == NULL;
            model[i] = flow;
        } else {
            alias_del(&table, alias);
            count -= model[i] != NULL;
            model[i] = NULL;
        }
        CHECK_EQ(table.count, count);
        uint32_t k = (uint32_t)prng_between(&prng, 0, ALIASES - 1);
        if (alias_get(&table, alias_of(way, k)) != model[k] || alias_get(&table, alias) != model[i])
            FAIL("seed %llu, step %u", (unsigned long long)(SEED + way), step);
        CHECK(2 * table.count <= table.cap);
    }
    for (uint32_t i = 0; i < ALIASES; i++)
        CHECK(alias_get(&table, alias_of(way, i)) == model[i]);
    alias_fini(&table);
    CHECK(alias_get(&table, 1) == NULL);
}

TEST(aliases, dense)
{
    run(0);
}

TEST(aliases, sparse)
{
    run(1);
}

TEST(aliases, scattered)
{
    run(2);
}

TEST(aliases, of_an_empty_table)
{
    struct alias_table table = {0};
    CHECK(alias_get(&table, 0) == NULL);
    CHECK(alias_get(&table, 7) == NULL);
    alias_del(&table, 7);
    CHECK_EQ(alias_put(&table, 7, (struct flow *)(uintptr_t)1), 0);
    CHECK(alias_get(&table, 0) == NULL);
    alias_fini(&table);
}
