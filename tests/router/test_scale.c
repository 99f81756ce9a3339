/* 100,000 routes and 1,000 patterns. Time and memory are printed, not judged; that nothing grows
 * with the square is, by the test's time limit: the smallest square here would take hours. */
#include <stdio.h>
#include <time.h>

#include <weft/weft.h>

#include "base/util.h"
#include "proto/codec.h"
#include "router/router.h"
#include "router/table.h"
#include "tests/check.h"

#define ROUTES 100000
#define PATTERNS 1000
#define LINKS 200
#define COLLIDING 30000

static size_t bytes; /* in use, as asked for */

static void *count_alloc(size_t size)
{
    size_t *p = malloc(size + 16);
    if (!p)
        return NULL;
    *p = size;
    bytes += size;
    return p + 2;
}

static void count_release(void *p)
{
    if (!p)
        return;
    size_t *at = (size_t *)p - 2;
    bytes -= *at;
    free(at);
}

static void *count_resize(void *p, size_t size)
{
    void *q = count_alloc(size);
    size_t old = p ? ((size_t *)p)[-2] : 0;
    if (q && p) {
        memcpy(q, p, old < size ? old : size);
        count_release(p);
    }
    return q;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double started;

static void report(const char *what, unsigned count, size_t bytes_before)
{
    double ms = now_ms() - started;
    printf("%-44s %7u  %8.1f ms  %6.0f ns each", what, count, ms, ms * 1e6 / count);
    if (bytes > bytes_before)
        printf("  %5.0f bytes each", (double)(bytes - bytes_before) / count);
    putchar('\n');
    started = now_ms();
}

static const char *route_at(unsigned i)
{
    static char text[64];
    snprintf(text, sizeof(text), "types.T%u@fleet.robot%u.part%u", i % 10, i / 100, i % 100);
    return text;
}

static const char *pattern_at(unsigned i)
{
    static char text[64];
    snprintf(text, sizeof(text), i % 2 ? "*@fleet.robot%u.*" : "types.T3@fleet.robot%u.**", i);
    return text;
}

static struct router *router;

static void drain(void)
{
    struct router_advert a;
    struct router_notice n;
    struct router_intent *i;
    while (router_next_advert(router, &a))
        continue;
    while (router_next_notice(router, &n))
        continue;
    while ((i = router_next_changed(router))) {
        if (i->dead)
            router_release_intent(router, i);
    }
}

static void attach(uint32_t id, enum endpoint_class class)
{
    struct endpoint_options options = {
        .class = class, .path = "", .name = "tcp://far", .patterns = true};
    CHECK_EQ(router_attach(router, id, &options, false), 0);
}

static void learn(uint32_t id, unsigned i, bool intent)
{
    struct decl d = {.route = route_at(i), .registered = true, .alias = i + 1, .origin = ""};
    CHECK_EQ(intent ? router_learn_intent(router, id, &d, 1)
                    : router_learn_interest(router, id, &d, 1),
             0);
}

static void start(void)
{
    struct router_config config = {.max_routes = 1000000};
    CHECK_EQ(weft_set_allocator(count_alloc, count_resize, count_release), 0);
    CHECK_EQ(router_new(&config, &router), 0);
    started = now_ms();
}

static void stop(void)
{
    router_free(router);
    CHECK_EQ(bytes, 0);
    fflush(stdout);
}

TEST(router_scale, routes_of_a_peer_under_patterns)
{
    struct router_interest *s;
    struct router_counts c;
    start();
    for (unsigned i = 0; i < PATTERNS; i++)
        CHECK_EQ(router_open_interest(router, pattern_at(i), 0, router, &s), 0);
    report("patterns opened", PATTERNS, bytes);
    attach(1, ENDPOINT_PEER);
    size_t before = bytes;
    for (unsigned i = 0; i < ROUTES; i++)
        learn(1, i, true);
    report("intents learnt under the patterns", ROUTES, before);
    for (unsigned i = 0; i < ROUTES; i++)
        learn(1, i, true);
    report("intents refreshed", ROUTES, bytes);
    drain();
    report("changes drained", ROUTES, bytes);
    attach(2, ENDPOINT_LEAF);
    drain();
    report("told to a leaf", ROUTES, bytes);
    for (unsigned i = 0; i < ROUTES; i++)
        CHECK(router_find_intent(router, 1, i + 1) != NULL);
    report("found by alias", ROUTES, bytes);
    router_detach(router, 1);
    drain();
    report("forgotten with the link", ROUTES, bytes);
    router_count(router, &c);
    CHECK(c.remote_intents == 0);
    stop();
}

TEST(router_scale, patterns_over_routes_that_are_there)
{
    struct router_interest *s;
    start();
    attach(1, ENDPOINT_LEAF);
    attach(2, ENDPOINT_PEER);
    size_t before = bytes;
    for (unsigned i = 0; i < ROUTES; i++)
        learn(1, i, false);
    drain();
    report("interests of a leaf relayed to a peer", ROUTES, before);
    for (unsigned i = 0; i < ROUTES; i++)
        learn(2, i, true);
    drain();
    report("intents on the same routes, all matched", ROUTES, bytes);
    for (unsigned i = 0; i < PATTERNS; i++)
        CHECK_EQ(router_open_interest(router, pattern_at(i), 0, router, &s), 0);
    drain();
    report("patterns opened over them", PATTERNS, bytes);
    router_detach(router, 1);
    router_detach(router, 2);
    drain();
    report("forgotten with the links", 2 * ROUTES, bytes);
    stop();
}

TEST(router_scale, many_on_one_route)
{
    struct router_intent *i;
    struct router_interest *s;
    struct decl d = {.route = "types.T@a", .registered = true, .origin = ""};
    char origin[32];
    start();
    for (uint32_t id = 1; id <= LINKS; id++)
        attach(id, id % 2 ? ENDPOINT_PEER : ENDPOINT_LEAF);
    CHECK_EQ(router_open_intent(router, "types.T@a", 0, NULL, &i), 0);
    drain();
    started = now_ms();
    for (unsigned n = 0; n < ROUTES; n++)
        CHECK_EQ(router_open_interest(router, "types.T@a", 0, router, &s), 0);
    drain();
    report("local interests on one route, 200 links", ROUTES, bytes);
    router_free(router);
    start();
    attach(1, ENDPOINT_UPLINK);
    d.origin = origin;
    for (unsigned n = 0; n < ROUTES; n++) {
        snprintf(origin, sizeof(origin), "tcp://%u", n);
        d.alias = n + 1;
        CHECK_EQ(router_learn_intent(router, 1, &d, 1), 0);
    }
    report("publishers of one route over one uplink", ROUTES, 0);
    router_detach(router, 1);
    drain();
    report("forgotten with the uplink", ROUTES, bytes);
    stop();
}

TEST(router_scale, hashed_routes_below_one_prefix)
{
    struct router_intent *i;
    char route[64], hashed[64];
    start();
    for (unsigned n = 0; n < ROUTES; n++) {
        snprintf(route, sizeof(route), "types.T@fleet.v%u", n);
        CHECK(weft_route_hash(route, "fleet", hashed, sizeof(hashed)) > 0);
        CHECK_EQ(router_open_intent(router, hashed, 0, NULL, &i), 0);
    }
    report("hashed intents, hashing included", ROUTES, 0);
    stop();
}

/* Aliases that one multiplication sends to the same slot, as who knew the hash would choose them.
 * Judged after all: with chains that long it took half a minute. */
TEST(router_scale, aliases_chosen_to_collide)
{
    static uint32_t aliases[COLLIDING];
    struct decl d = {.registered = true, .origin = ""};
    uint32_t alias = 0;
    for (unsigned n = 0; n < COLLIDING; n++) {
        do
            alias++;
        while (table_fold(UINT64_C(1) << 32 | alias) & 0x7fff);
        aliases[n] = alias;
    }
    start();
    attach(1, ENDPOINT_PEER);
    for (unsigned n = 0; n < COLLIDING; n++) {
        d.route = route_at(n);
        d.alias = aliases[n];
        CHECK_EQ(router_learn_intent(router, 1, &d, 1), 0);
    }
    CHECK(now_ms() - started < 10000);
    report("intents with colliding aliases", COLLIDING, 0);
    stop();
}

/* What one peer declares is never linked with what a peer declares, and must not cost us the
 * product. A pattern of our own beside the others makes the walks begin. */
TEST(router_scale, patterns_and_routes_of_one_peer)
{
    struct router_interest *s;
    struct decl d = {.registered = true, .origin = ""};
    char text[64];
    start();
    attach(1, ENDPOINT_PEER);
    CHECK_EQ(router_open_interest(router, "types.T@**.temp", 0, router, &s), 0);
    d.route = text;
    for (unsigned n = 0; n < ROUTES; n++) {
        snprintf(text, sizeof(text), "types.T@**.p%u", n);
        CHECK_EQ(router_learn_interest(router, 1, &d, 1), 0);
    }
    report("patterns of a peer", ROUTES, 0);
    for (unsigned n = 0; n < ROUTES; n++) {
        snprintf(text, sizeof(text), "types.T@fleet.r%u", n);
        d.alias = n + 1;
        CHECK_EQ(router_learn_intent(router, 1, &d, 1), 0);
    }
    report("its intents", ROUTES, 0);
    snprintf(text, sizeof(text), "*@**");
    for (unsigned n = 0; n < ROUTES; n++) {
        d.registered = n % 2 == 0;
        CHECK_EQ(router_learn_interest(router, 1, &d, 1), 0);
    }
    report("a pattern over them all, on and off", ROUTES, bytes);
    stop();
}
