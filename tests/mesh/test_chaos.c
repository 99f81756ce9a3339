/* Everything at once: connections are cut, halved and silenced, nodes die and come back with or
 * without their books, the network is partitioned, and all the while routes are opened and closed.
 * Once the faults stop, the mesh must be whole again within a bounded time, with equal tables and
 * right targets everywhere, and without anybody restarting anything. */
#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define WHY 256
#define NODES_MAX 32

struct chaos {
    struct net *net;
    bool dead[NODES_MAX];
};

static uint64_t pick(struct chaos *c, uint64_t n)
{
    return prng_between(net_prng(c->net), 0, n - 1);
}

static struct net_node *some_node(struct chaos *c)
{
    return net_node(c->net, (uint32_t)pick(c, net_count(c->net)));
}

/* ---- Routes ---- */

static void random_route(struct chaos *c, const struct net_node *node, bool intent, char *out,
                         size_t size)
{
    static const char *const names[] = {"a", "b.c", "b.d"};
    static const char *const patterns[] = {"*", "**", "b.*", "b.**"};
    static const char *const types[] = {"T", "U"};
    uint32_t below = intent ? node->index : some_node(c)->index;
    bool pattern = !intent && pick(c, 3) == 0;
    if (pattern && pick(c, 4) == 0)
        snprintf(out, size, "*@**");
    else
        snprintf(out, size, "%s@n%u.%s", pattern && pick(c, 2) ? "*" : types[pick(c, 2)], below,
                 pattern ? patterns[pick(c, 4)] : names[pick(c, 3)]);
}

static void open_some(struct chaos *c, struct net_node *node)
{
    char text[96];
    bool intent = pick(c, 2) == 0;
    random_route(c, node, intent, text, sizeof(text));
    int error;
    if (!net_open(node, intent, text, &error))
        FAIL("%s: %s", text, weft_strerror(error));
}

static void close_some(struct chaos *c, struct net_node *node)
{
    uint64_t n = pick(c, 8);
    list_each (it, &node->routes) {
        if (n-- == 0) {
            net_close(node, list_entry(it, struct net_route, in_node));
            return;
        }
    }
}

/* ---- Faults ---- */

static void start(struct chaos *c, struct net_node *node, bool remembers)
{
    CHECK(net_start(node, remembers));
    c->dead[node->index] = false;
    if (node->index)
        CHECK_EQ(net_configure(node, net_node(c->net, 0)->url), 0);
    for (uint64_t n = pick(c, 4); n; n--)
        open_some(c, node);
}

static void kill_or_start(struct chaos *c)
{
    struct net_node *node = some_node(c);
    if (c->dead[node->index]) {
        start(c, node, pick(c, 2) == 0);
        return;
    }
    if (pick(c, 4) == 0)
        net_leave(node);
    else
        net_kill(node, (enum net_death)pick(c, 3));
    c->dead[node->index] = true;
    if (pick(c, 2) == 0)
        start(c, node, pick(c, 2) == 0);
}

static void partition(struct chaos *c)
{
    for (uint32_t i = 0; i < net_count(c->net); i++)
        net_node(c->net, i)->group = (uint32_t)pick(c, 2);
}

static void heal(struct chaos *c)
{
    for (uint32_t i = 0; i < net_count(c->net); i++)
        net_node(c->net, i)->group = 0;
}

static void harm(struct chaos *c)
{
    struct net_conn *conn = net_pick(c->net);
    unsigned end = (unsigned)pick(c, 2);
    switch (pick(c, 6)) {
    case 0:
        if (conn)
            net_silence(conn, end);
        break;
    case 1:
        kill_or_start(c);
        break;
    case 2:
        partition(c);
        break;
    case 3:
        heal(c);
        break;
    default:
        if (conn)
            net_cut(conn, end, (enum net_cut)pick(c, 4));
    }
}

static void step(struct chaos *c, bool harmful)
{
    struct net_node *node = some_node(c);
    uint64_t what = pick(c, harmful ? 4 : 3);
    if (what == 3)
        harm(c);
    else if (c->dead[node->index])
        return;
    else if (what == 2)
        close_some(c, node);
    else
        open_some(c, node);
}

/* ---- Runs ---- */

static void chaos_init(struct chaos *c, uint64_t seed, uint32_t nodes)
{
    struct net_options options = {.seed = seed, .pieces = 20, .backlog = 20};
    *c = (struct chaos){.net = net_new(&options)};
    for (uint32_t i = 0; i < nodes; i++)
        net_add(c->net, NULL);
    for (uint32_t i = 0; i < nodes; i++)
        start(c, net_node(c->net, i), false);
}

static uint64_t chaos_end(struct chaos *c, uint64_t limit_ns)
{
    char why[WHY] = "";
    heal(c);
    for (uint32_t i = 0; i < net_count(c->net); i++) {
        if (c->dead[i])
            start(c, net_node(c->net, i), pick(c, 2) == 0);
    }
    uint64_t took = net_run_whole(c->net, limit_ns, why, sizeof(why));
    if (took == NEVER)
        FAIL("seed %llu, %u nodes: not whole again: %s", (unsigned long long)net_seed(c->net),
             net_count(c->net), why);
    net_run(c->net, 90 * NS_PER_SEC);
    if (!net_whole(c->net, why, sizeof(why)))
        FAIL("seed %llu: does not stay whole: %s", (unsigned long long)net_seed(c->net), why);
    net_free(c->net);
    return took;
}

static uint64_t run(uint64_t seed, uint32_t nodes, unsigned steps, bool harmful, uint64_t limit_ns)
{
    struct chaos c;
    chaos_init(&c, seed, nodes);
    for (unsigned i = 0; i < steps; i++) {
        net_run(c.net,
                prng_between(net_prng(c.net), 0, pick(&c, 4) ? 200 * NS_PER_MS : 4 * NS_PER_SEC));
        step(&c, harmful);
    }
    return chaos_end(&c, limit_ns);
}

TEST(chaos, routes_alone)
{
    for (uint64_t seed = 1; seed <= 100; seed++)
        run(seed, (uint32_t)(3 + seed % 4), 60, false, 3 * NS_PER_SEC);
}

TEST(chaos, everything)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        run(seed, (uint32_t)(3 + seed % 6), 100, true, 120 * NS_PER_SEC);
}

TEST(chaos, thirty_nodes)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        run(seed, 30, 150, true, 150 * NS_PER_SEC);
}
