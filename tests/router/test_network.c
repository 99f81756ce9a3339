/* Routers that are linked by moving adverts as declarations: their digests agree when all is quiet,
 * also after adverts were lost and a resync, and an intent anywhere finds every interest that the
 * rules let it find.
 *
 *     leaves   4   5     6
 *               \ /      |
 *     peers      1 ───── 2
 *                 \     /
 *                    3                */
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "base/util.h"
#include "proto/codec.h"
#include "router/router.h"
#include "tests/check.h"

#define ROUTERS 6

static const struct {
    int a, b; /* b is a's leaf, or both are peers */
    bool leaf;
} links[] = {{1, 2, false}, {1, 3, false}, {2, 3, false}, {1, 4, true}, {1, 5, true}, {2, 6, true}};

static const char *const paths[ROUTERS + 1] = {"",      "one",   "two",  "three",
                                               "one.x", "one.y", "two.z"};

/* 4 and 5 go by one name, as leaves without an address of their own may. */
static const char *const names[ROUTERS + 1] = {
    "", "tcp://1", "tcp://2", "tcp://3", "unix://leaf", "unix://leaf", "unix://6"};

static struct router *routers[ROUTERS + 1];
static struct prng prng;

/* An endpoint's id is the number of the router at its other end. */
static void join(int at, int to, enum endpoint_class class)
{
    struct endpoint_options options = {
        .class = class, .path = paths[to], .name = names[to], .patterns = true};
    CHECK_EQ(router_attach(routers[at], (uint32_t)to, &options, false), 0);
}

static void link_up(size_t i)
{
    join(links[i].a, links[i].b, links[i].leaf ? ENDPOINT_LEAF : ENDPOINT_PEER);
    join(links[i].b, links[i].a, links[i].leaf ? ENDPOINT_UPLINK : ENDPOINT_PEER);
}

static void build(void)
{
    struct router_config config = {.max_routes = 10000};
    for (int i = 1; i <= ROUTERS; i++)
        CHECK_EQ(router_new(&config, &routers[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        link_up(i);
}

static void tear_down(void)
{
    for (int i = 1; i <= ROUTERS; i++)
        router_free(routers[i]);
}

static void deliver(int from, const struct router_advert *a)
{
    struct router *to = routers[a->endpoint];
    struct decl d = {.route = a->route->text,
                     .hops = a->hops,
                     .registered = a->registered,
                     .alias = a->alias,
                     .schema = a->schema,
                     .origin = str_text(a->origin)};
    int rc = a->intent ? router_learn_intent(to, (uint32_t)from, &d, 1)
                       : router_learn_interest(to, (uint32_t)from, &d, 1);
    CHECK_EQ(rc, 0);
}

/* Move adverts until there are none; of a hundred, lose so many. */
static void pump(uint32_t lost)
{
    bool busy = true;
    while (busy) {
        busy = false;
        for (int i = 1; i <= ROUTERS; i++) {
            struct router_advert a;
            while (router_next_advert(routers[i], &a)) {
                busy = true;
                if (prng_between(&prng, 1, 100) > lost)
                    deliver(i, &a);
            }
        }
    }
}

static bool agree(int from, int to)
{
    struct router_digest sent, held;
    router_digest_sent(routers[from], (uint32_t)to, &sent);
    router_digest_held(routers[to], (uint32_t)from, &held);
    return memcmp(&sent, &held, sizeof(sent)) == 0;
}

static unsigned disagreements(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        count +=
            (agree(links[i].a, links[i].b) ? 0u : 1u) + (agree(links[i].b, links[i].a) ? 0u : 1u);
    return count;
}

static void resync(int from, int to)
{
    if (agree(from, to))
        return;
    router_resync_begin(routers[to], (uint32_t)from);
    router_readvertise(routers[from], (uint32_t)to);
    pump(0);
    router_resync_end(routers[to], (uint32_t)from);
    pump(0);
}

static void resync_all(void)
{
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        resync(links[i].a, links[i].b);
        resync(links[i].b, links[i].a);
    }
}

/* ---- Where messages would go ---- */

struct reach {
    int at;
    uint32_t from; /* endpoint the message came over */
    struct router_intent *intent;
    unsigned *arrived; /* by interest */
};

static void follow(struct reach reach);

static void pass_on(void *ctx, const struct router_target *target)
{
    struct reach *reach = ctx;
    if (target->endpoint == ROUTER_LOCAL) {
        reach->arrived[(uintptr_t)target->interest]++;
        return;
    }
    struct router_intent *next =
        router_find_intent(routers[target->endpoint], (uint32_t)reach->at, reach->intent->alias);
    CHECK(next != NULL); /* whoever is sent a message knows its alias */
    follow((struct reach){(int)target->endpoint, (uint32_t)reach->at, next, reach->arrived});
}

static void follow(struct reach reach)
{
    router_each_target(routers[reach.at], reach.intent, pass_on, &reach);
}

/* ---- Tests ---- */

static struct router_intent *publish(int at, const char *route)
{
    struct router_intent *i;
    CHECK_EQ(router_open_intent(routers[at], route, 0, NULL, &i), 0);
    return i;
}

static struct router_interest *subscribe(int at, const char *route, uintptr_t user)
{
    struct router_interest *s;
    CHECK_EQ(router_open_interest(routers[at], route, 0, (void *)user, &s), 0);
    return s;
}

TEST(router_network, each_message_reaches_each_interest_once)
{
    unsigned arrived[ROUTERS + 1];
    struct router_intent *intents[ROUTERS + 1];
    build();
    for (int i = 1; i <= ROUTERS; i++) {
        char route[64];
        snprintf(route, sizeof(route), "T@%s.v", paths[i]);
        intents[i] = publish(i, route);
        subscribe(i, "T@**.v", (uintptr_t)i);
    }
    pump(0);
    CHECK_EQ(disagreements(), 0);
    for (int i = 1; i <= ROUTERS; i++) {
        memset(arrived, 0, sizeof(arrived));
        follow((struct reach){i, ROUTER_LOCAL, intents[i], arrived});
        for (int k = 1; k <= ROUTERS; k++)
            CHECK_EQ(arrived[k], 1);
    }
    tear_down();
}

/* Both publish the same route by the same name; neither may be taken for the other. */
TEST(router_network, leaves_of_one_name_are_told_apart)
{
    unsigned arrived[ROUTERS + 1] = {0};
    struct endpoint_options leaf = {
        .class = ENDPOINT_LEAF, .path = "one", .name = "unix://leaf", .patterns = true};
    build();
    for (uint32_t id = 4; id <= 5; id++) {
        router_detach(routers[1], id);
        CHECK_EQ(router_attach(routers[1], id, &leaf, false), 0);
    }
    struct router_intent *four = publish(4, "T@one.v"), *five = publish(5, "T@one.v");
    subscribe(2, "T@one.v", 2);
    subscribe(6, "T@one.v", 6);
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        router_readvertise(routers[links[i].b], (uint32_t)links[i].a);
    pump(0);
    CHECK_EQ(disagreements(), 0);
    follow((struct reach){4, ROUTER_LOCAL, four, arrived});
    follow((struct reach){5, ROUTER_LOCAL, five, arrived});
    CHECK(arrived[2] == 2 && arrived[6] == 2);
    tear_down();
}

static void *live[ROUTERS + 1][8];

/* Open or close something somewhere. Even slots are intents. */
static void random_step(void)
{
    static const char *const tails[] = {"a", "a.b", "b", "b.c", "a/b"};
    static const char *const wide[] = {"T@**", "T@*.a", "*@one.**", "T@two.z.*", "T@one.x.a"};
    int at = (int)prng_between(&prng, 1, ROUTERS);
    size_t slot = prng_between(&prng, 0, 7);
    char route[64];
    void **it = &live[at][slot];
    if (*it && slot % 2 == 0) {
        router_close_intent(routers[at], *it);
    } else if (*it) {
        router_close_interest(routers[at], *it);
    } else if (slot % 2 == 0) {
        snprintf(route, sizeof(route), "T@%s.%s", paths[at], tails[prng_between(&prng, 0, 4)]);
        *it = publish(at, route);
        return;
    } else {
        *it = subscribe(at, wide[prng_between(&prng, 0, 4)], 1);
        return;
    }
    *it = NULL;
}

static void random_relink(void)
{
    size_t i = prng_between(&prng, 0, ARRAY_LEN(links) - 1);
    router_detach(routers[links[i].a], (uint32_t)links[i].b);
    router_detach(routers[links[i].b], (uint32_t)links[i].a);
    link_up(i);
}

TEST(router_network, digests_agree_when_all_is_quiet)
{
    prng_init(&prng, 5);
    memset(live, 0, sizeof(live));
    build();
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 10; i++)
            random_step();
        if (round % 7 == 0)
            random_relink();
        pump(0);
        if (disagreements())
            FAIL("seed 5 round %d: %u links disagree", round, disagreements());
    }
    tear_down();
}

TEST(router_network, a_resync_heals_lost_adverts)
{
    unsigned lossy = 0;
    prng_init(&prng, 6);
    memset(live, 0, sizeof(live));
    build();
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 10; i++)
            random_step();
        pump(30);
        lossy += disagreements() > 0;
        for (int tries = 0; disagreements() && tries < 10; tries++)
            resync_all();
        if (disagreements())
            FAIL("seed 6 round %d: %u links disagree", round, disagreements());
    }
    CHECK(lossy > 50); /* or nothing was tested */
    tear_down();
}
