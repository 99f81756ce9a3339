/* Gossip of 100,000 names that lead nowhere, from one liar and from many: what the book holds of
 * them is bounded, and real peers are dialled when they would have been dialled without.
 *
 * A third of the addresses do not answer at all, so that dialling them takes 3 s each; the others
 * refuse. Left to the order of their times, the names that a book holds at once would keep it busy
 * for a quarter of an hour. */
#include "lab.h"

#include <stdio.h>

/* A sanitizer takes ten times as long. */
enum { SEEDS = INSTRUMENTED ? 1 : 3 };

enum { NAMES = 100000, A_MESSAGE = 250 };

#define MEMORY_MAX ((size_t)4 << 20) /* of what the flood leaves in the book */
#define BACKOFF_NS (1 * NS_PER_SEC)  /* the first pause, at most */
#define DIAL_NS (3 * NS_PER_SEC)     /* a name before takes so long, at most */
#define LATENCY_NS (100 * NS_PER_MS) /* until the dial is seen, and its INITIAL */
#define POLITE_NS (1 * NS_PER_SEC)

/* 250 names that nobody told before. */
static void tell_names(struct net_end *liar, unsigned first)
{
    static char texts[A_MESSAGE][48];
    const char *names[A_MESSAGE];
    for (unsigned i = 0; i < A_MESSAGE; i++) {
        unsigned n = first + i;
        snprintf(texts[i], sizeof(texts[i]), "tcp://10.%u.%u.%u:7400/x", 100 + n / 65536,
                 n / 256 % 256, n % 256);
        names[i] = texts[i];
    }
    lab_peers(liar, names, A_MESSAGE, false);
}

struct scene {
    struct net *net;
    struct net_node *node, *configured, *heard;
    struct net_end *to_configured, *to_heard; /* the links that the node dialled */
};

static struct scene two_real_peers(uint64_t seed)
{
    struct scene s = {.net = lab_net(seed)};
    s.node = lab_node(s.net);
    s.configured = net_raw_listen(s.net, "tcp://10.9.1.1:7400/configured");
    s.heard = net_raw_listen(s.net, "tcp://10.9.1.2:7400/heard");
    net_configure(s.node, s.configured->url);
    s.to_configured = lab_answer(s.configured, s.node, NS_PER_SEC, NULL);
    CHECK(s.to_configured);
    lab_peers(s.to_configured, (const char *const[]){s.heard->url}, 1, false);
    s.to_heard = lab_answer(s.heard, s.node, NS_PER_SEC, NULL);
    CHECK(s.to_heard);
    return s;
}

static void stay_alive(const struct scene *s)
{
    lab_alive(s->to_configured);
    lab_alive(s->to_heard);
}

static void flood(struct scene *s, unsigned liars)
{
    struct net_end *ends[64];
    for (unsigned i = 0; i < liars; i++) {
        char url[64];
        snprintf(url, sizeof(url), "tcp://10.9.2.%u:7400/liar", i + 1);
        ends[i] = lab_join(s->net, net_raw_listen(s->net, url), s->node, NULL);
        if (i % 16 == 15)
            stay_alive(s);
    }
    size_t before = lab_memory();
    for (unsigned n = 0; n < NAMES; n += A_MESSAGE) {
        tell_names(ends[n / A_MESSAGE % liars], n);
        net_run(s->net, 10 * NS_PER_MS);
        if (n % (100 * A_MESSAGE) == 0)
            stay_alive(s);
    }
    for (unsigned i = 0; i < 5; i++) {
        net_run(s->net, NS_PER_SEC);
        stay_alive(s);
        tell_names(ends[i % liars], NAMES + A_MESSAGE * i);
    }
    size_t grown = lab_memory() - before, names = addrbook_count(mesh_addrbook(s->node->mesh));
    fprintf(stderr, "%u liars, %u names: %zu in the book, %zu KiB\n", liars, NAMES, names,
            grown >> 10);
    CHECK(names >= ADDRBOOK_GOSSIP_SOURCE); /* it was a flood */
    CHECK(names <= ADDRBOOK_GOSSIP_TOTAL + 2 * liars + 2);
    CHECK(grown <= MEMORY_MAX);
}

/* How long until the node dials it; the test fails after `limit`. */
static struct net_end *dialled_within(const struct scene *s, struct net_node *raw, uint64_t limit)
{
    uint64_t start = net_now(s->net);
    while (list_empty(&raw->conns) && net_now(s->net) - start <= limit)
        net_run(s->net, NS_PER_MS);
    uint64_t took = net_now(s->net) - start;
    fprintf(stderr, "%s: dialled after %llu ms\n", raw->url,
            (unsigned long long)(took / NS_PER_MS));
    if (took > limit)
        FAIL("%s was not dialled within %llu ms", raw->url,
             (unsigned long long)(limit / NS_PER_MS));
    return lab_answer(raw, s->node, NS_PER_SEC, NULL);
}

static void real_peers_are_undisturbed(uint64_t seed, unsigned liars)
{
    lab_count_memory();
    struct scene s = two_real_peers(seed);
    flood(&s, liars);
    CHECK_EQ(mesh_up_count(s.node->mesh), liars + 2);

    net_raw_close(s.to_configured);
    s.to_configured = dialled_within(&s, s.configured, BACKOFF_NS + LATENCY_NS);
    CHECK(s.to_configured);
    net_raw_close(s.to_heard);
    s.to_heard = dialled_within(&s, s.heard, BACKOFF_NS + LATENCY_NS);
    CHECK(s.to_heard);

    /* One that the node first hears of now, from a peer that tells the truth. */
    struct net_node *fresh = net_raw_listen(s.net, "tcp://10.9.1.3:7400/fresh");
    lab_peers(s.to_configured, (const char *const[]){fresh->url}, 1, false);
    CHECK(dialled_within(&s, fresh, DIAL_NS + LATENCY_NS));
    net_free(s.net);
}

TEST(adversarial, gossip_of_100000_names_from_one_liar)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        real_peers_are_undisturbed(seed, 1);
}

TEST(adversarial, gossip_of_100000_names_from_forty_liars)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        real_peers_are_undisturbed(seed, 40);
}

/* Every node of a mesh has a liar of its own when another node comes, which knows one of them. */
TEST(adversarial, a_node_joins_a_mesh_under_a_flood_of_names)
{
    enum { NODES = 8 };
    struct net *net = lab_net(4);
    struct net_end *ends[NODES];
    for (unsigned i = 0; i < NODES; i++) {
        struct net_node *node = lab_node(net);
        if (i)
            net_configure(node, net_node(net, 0)->url);
    }
    lab_whole(net, 10 * NS_PER_SEC, "the start");
    for (unsigned i = 0; i < NODES; i++) {
        char url[64];
        snprintf(url, sizeof(url), "tcp://10.9.2.%u:7400/liar", i + 1);
        ends[i] = lab_join(net, net_raw_listen(net, url), net_node(net, i), NULL);
    }
    for (unsigned n = 0; n < NAMES / 10; n += A_MESSAGE) {
        tell_names(ends[n / A_MESSAGE % NODES], n);
        net_run(net, 5 * NS_PER_MS);
    }
    struct net_node *late = lab_node(net);
    net_configure(late, net_node(net, NODES - 1)->url);
    uint64_t took = lab_whole(net, POLITE_NS + DIAL_NS + NS_PER_SEC, "one more came");
    fprintf(stderr, "whole again after %llu ms\n", (unsigned long long)(took / NS_PER_MS));
    net_free(net);
}
