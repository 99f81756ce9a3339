/* Fifty nodes restarted together, each with its address book: they do not storm.
 *
 * The budget follows from the rules of the address book (docs/internals/addrbook.md). A book that
 * was read is dialled once, and of a pair the smaller name dials within the first second, the other
 * a second later if no link stands by then. So a pair needs one dial. A second one is made where
 * both dial before they know of each other's dial, as the first of a configured peer does; it is
 * displaced, which is no failure and is not repeated: duplicates for 5 % of the pairs are allowed.
 * Where the nodes come back one after the other within a second, a dial may find nobody and be
 * repeated after a pause of 1 s at most: as each has its time within the same second, half of them
 * at most. */
#include "lab.h"

#include <stdio.h>

/* A sanitizer takes five times as long. */
enum { SEEDS = INSTRUMENTED ? 1 : 2 };

enum { NODES = 50, PAIRS = NODES * (NODES - 1) / 2 };

static struct net *formed(uint64_t seed)
{
    struct net *net = lab_net(seed);
    for (unsigned i = 0; i < NODES; i++) {
        struct net_node *node = lab_node(net);
        if (i)
            net_configure(node, net_node(net, 0)->url);
    }
    lab_whole(net, 20 * NS_PER_SEC, "the start");
    net_run(net, 10 * NS_PER_SEC);
    return net;
}

struct storm {
    uint64_t dials, duplicates, failed, refused, took;
};

static struct storm restart(uint64_t seed, enum net_death death, uint64_t spread_ns)
{
    struct net *net = formed(seed);
    for (unsigned i = 0; i < NODES; i++)
        net_kill(net_node(net, i), death);
    net_run(net, NS_PER_SEC);
    net_reset_counts(net);
    for (unsigned i = 0; i < NODES; i++) {
        if (spread_ns)
            net_run(net, prng_between(net_prng(net), 0, 2 * spread_ns / NODES));
        CHECK(net_start(net_node(net, i), true));
    }
    struct storm s = {.took = lab_whole(net, 20 * NS_PER_SEC, "the restart")};
    net_run(net, 10 * NS_PER_SEC);
    lab_whole(net, 0, "a while");
    s.dials = net_counts(net)->dials;
    s.duplicates = net_counts(net)->accepted - PAIRS;
    for (unsigned i = 0; i < NODES; i++) {
        struct mesh_counts counts;
        mesh_count(net_node(net, i)->mesh, &counts);
        s.failed += counts.dials_failed;
        s.refused += counts.refused;
    }
    net_free(net);
    return s;
}

static void report(const char *what, const struct storm *s)
{
    fprintf(
        stderr,
        "%s: %llu dials for %d pairs, %llu failed, %llu duplicates (%.1f %%), whole after %.2f s\n",
        what, (unsigned long long)s->dials, PAIRS, (unsigned long long)s->failed,
        (unsigned long long)s->duplicates, 100.0 * (double)s->duplicates / PAIRS,
        (double)s->took / 1e9);
}

TEST(adversarial, fifty_nodes_restarted_together_do_not_storm)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct storm s = restart(seed, (enum net_death)(seed % 3), 0);
        report("at one instant", &s);
        CHECK(s.duplicates * 20 < PAIRS);
        CHECK_EQ(s.failed, 0);
        CHECK_EQ(s.refused, 0);
        CHECK_EQ(s.dials, PAIRS + s.duplicates);
    }
}

TEST(adversarial, fifty_nodes_restarted_within_a_second_do_not_storm)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct storm s = restart(seed, (enum net_death)(seed % 3), NS_PER_SEC);
        report("within a second", &s);
        CHECK(s.duplicates * 20 < PAIRS);
        CHECK_EQ(s.refused, 0);
        CHECK(s.dials <= PAIRS + s.duplicates + s.failed);
        CHECK(s.failed <= PAIRS / 2);
    }
}
