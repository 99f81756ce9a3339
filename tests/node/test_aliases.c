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

/* Two flows of each number: one may take the other's place. */
static struct flow flows[2][ALIASES];

static void number(unsigned way, bool ours)
{
    memset(flows, 0, sizeof(flows));
    for (uint32_t i = 0; i < 2 * ALIASES; i++) {
        struct flow *f = &flows[i / ALIASES][i % ALIASES];
        *(ours ? &f->alias : &f->link_alias) = alias_of(way, i % ALIASES);
    }
}

static void run(unsigned way, bool ours)
{
    struct flow *model[ALIASES] = {0};
    struct alias_table table = {.ours = ours};
    struct prng prng;
    uint32_t count = 0;
    number(way, ours);
    prng_init(&prng, SEED + way);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t i = (uint32_t)prng_between(&prng, 0, ALIASES - 1), alias = alias_of(way, i);
        /* Whole stretches of growing and of shrinking. */
        bool put = prng_between(&prng, 0, 9) < (step / 20000 % 2 ? 2u : 6u);
        if (put) {
            struct flow *flow = &flows[step % 2][i];
            CHECK_EQ(alias_put(&table, flow), 0);
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
    run(0, false);
}

TEST(aliases, sparse)
{
    run(1, false);
}

TEST(aliases, scattered)
{
    run(2, false);
}

TEST(aliases, of_our_own_choice)
{
    run(0, true);
}

TEST(aliases, of_an_empty_table)
{
    struct alias_table table = {0};
    CHECK(alias_get(&table, 0) == NULL);
    CHECK(alias_get(&table, 7) == NULL);
    alias_del(&table, 7);
    struct flow seven = {.link_alias = 7};
    CHECK_EQ(alias_put(&table, &seven), 0);
    CHECK(alias_get(&table, 0) == NULL);
    alias_fini(&table);
}
