/* How a mesh comes to be: every node knows one address, and ends up with one link to every other.
 */
#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define WHY 256

static struct net *make(uint64_t seed, uint32_t nodes)
{
    struct net_options options = {.seed = seed, .pieces = 20, .backlog = 10};
    struct net *net = net_new(&options);
    for (uint32_t i = 0; i < nodes; i++)
        net_add(net, NULL);
    return net;
}

/* Node 0 knows nobody, the others know node 0; they start within spread_ns of each other. */
static void start_all(struct net *net, uint64_t spread_ns)
{
    for (uint32_t i = 0; i < net_count(net); i++) {
        CHECK(net_start(net_node(net, i), false));
        if (i)
            CHECK_EQ(net_configure(net_node(net, i), net_node(net, 0)->url), 0);
        net_run(net, prng_between(net_prng(net), 0, spread_ns / net_count(net)));
    }
}

static uint64_t form(uint64_t seed, uint32_t nodes, uint64_t spread_ns, uint64_t limit_ns)
{
    char why[WHY] = "";
    struct net *net = make(seed, nodes);
    start_all(net, spread_ns);
    uint64_t took = net_run_whole(net, limit_ns, why, sizeof(why));
    if (took == NEVER)
        FAIL("seed %llu, %u nodes: %s", (unsigned long long)seed, nodes, why);
    uint64_t pairs = (uint64_t)nodes * (nodes - 1) / 2;
    uint64_t dials = net_counts(net)->dials;
    if (dials > 2 * pairs + nodes)
        FAIL("seed %llu: %llu dials for %llu links", (unsigned long long)seed,
             (unsigned long long)dials, (unsigned long long)pairs);
    net_run(net, 60 * NS_PER_SEC);
    if (!net_whole(net, why, sizeof(why)) || net_counts(net)->dials != dials)
        FAIL("seed %llu: does not stay as it is: %s, %llu more dials", (unsigned long long)seed,
             why, (unsigned long long)(net_counts(net)->dials - dials));
    net_free(net);
    return took;
}

TEST(form, small_meshes)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        form(seed, (uint32_t)(3 + seed % 6), seed % 3 * NS_PER_SEC, 4 * NS_PER_SEC);
}

TEST(form, larger_meshes)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        form(seed, 30, seed * NS_PER_SEC, 8 * NS_PER_SEC);
}

/* Two nodes that know each other, at any distance in time and space. */
static void dial_each_other(uint64_t seed)
{
    struct net_options options = {
        .seed = seed, .delay_min_ns = NS_PER_US, .delay_max_ns = 400 * NS_PER_MS, .pieces = 30};
    struct net *net = net_new(&options);
    struct net_node *a = net_add(net, NULL), *b = net_add(net, NULL);
    char why[WHY] = "";
    CHECK(net_start(a, false) && net_start(b, false));
    net_configure(a, b->url);
    net_run(net, seed % 2 ? prng_between(net_prng(net), 0, 3 * NS_PER_SEC) : 0);
    net_configure(b, a->url);
    if (net_run_whole(net, 10 * NS_PER_SEC, why, sizeof(why)) == NEVER)
        FAIL("seed %llu: %s", (unsigned long long)seed, why);
    net_run(net, 40 * NS_PER_SEC);
    if (!net_whole(net, why, sizeof(why)) || net_counts(net)->dials > 5)
        FAIL("seed %llu: %llu dials; %s", (unsigned long long)seed,
             (unsigned long long)net_counts(net)->dials, why);
    if (a->refused || b->refused)
        FAIL("seed %llu: a duplicate was reported as a refusal", (unsigned long long)seed);
    net_free(net);
}

TEST(form, two_dial_each_other)
{
    for (uint64_t seed = 1; seed <= 3000; seed++)
        dial_each_other(seed);
}

/* However the two dials cross, and whichever link is UP first: an intent that has found its peer
 * keeps it, since the one link is left only when the other serves it too. */
static void cross_in_use(uint64_t seed)
{
    struct net_options options = {
        .seed = seed, .delay_min_ns = NS_PER_US, .delay_max_ns = 400 * NS_PER_MS, .pieces = 30};
    struct net *net = net_new(&options);
    struct net_node *a = net_add(net, NULL), *b = net_add(net, NULL);
    char why[WHY] = "";
    CHECK(net_start(a, false) && net_start(b, false));
    CHECK(net_open(a, true, "t.X@n0.x", NULL) && net_open(b, false, "t.X@n0.x", NULL));
    CHECK(net_open(b, true, "t.Y@n1.y", NULL) && net_open(a, false, "t.Y@n1.y", NULL));
    net_configure(a, b->url);
    net_run(net, prng_between(net_prng(net), 0, NS_PER_SEC));
    net_configure(b, a->url);
    if (net_run_whole(net, 10 * NS_PER_SEC, why, sizeof(why)) == NEVER)
        FAIL("seed %llu: %s", (unsigned long long)seed, why);
    net_run(net, 40 * NS_PER_SEC);
    if (!net_whole(net, why, sizeof(why)) || a->unserved || b->unserved)
        FAIL("seed %llu: left without a peer: %llu and %llu times; %s", (unsigned long long)seed,
             (unsigned long long)a->unserved, (unsigned long long)b->unserved, why);
    if (a->ups != a->downs + 1 || b->ups != b->downs + 1)
        FAIL("seed %llu: peers came and went unevenly", (unsigned long long)seed);
    net_free(net);
}

TEST(form, crossing_dials_leave_no_intent_alone)
{
    for (uint64_t seed = 1; seed <= 3000; seed++)
        cross_in_use(seed);
}

/* A second address of a peer is found to be one more name of it, and left in peace. */
TEST(form, second_address)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net *net = make(seed, 2);
        struct net_node *a = net_node(net, 0), *b = net_node(net, 1);
        snprintf(b->second, sizeof(b->second), "%s", "192.168.0.9");
        CHECK(net_start(a, false) && net_start(b, false));
        net_configure(a, b->url);
        net_run(net, seed % 2 ? 2 * NS_PER_SEC : 0);
        net_configure(a, "tcp://192.168.0.9:7400/n1");
        net_run(net, 600 * NS_PER_SEC);
        char why[WHY] = "";
        if (!net_whole(net, why, sizeof(why)) || net_counts(net)->dials > 6)
            FAIL("seed %llu: %llu dials; %s", (unsigned long long)seed,
                 (unsigned long long)net_counts(net)->dials, why);
        net_free(net);
    }
}
