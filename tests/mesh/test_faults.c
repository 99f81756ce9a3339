/* One fault at a time, with the time each may take to heal. */
#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define WHY 256

static struct net *make(uint64_t seed, uint32_t nodes)
{
    struct net_options options = {.seed = seed, .pieces = 10, .backlog = 10};
    struct net *net = net_new(&options);
    for (uint32_t i = 0; i < nodes; i++) {
        struct net_node *node = net_add(net, NULL);
        CHECK(net_start(node, false));
        if (i)
            net_configure(node, net_node(net, 0)->url);
    }
    return net;
}

static void need_whole(struct net *net, uint64_t limit_ns, const char *after)
{
    char why[WHY] = "";
    if (net_run_whole(net, limit_ns, why, sizeof(why)) == NEVER)
        FAIL("seed %llu, after %s: %s", (unsigned long long)net_seed(net), after, why);
}

static void formed(struct net *net, uint64_t age_ns)
{
    need_whole(net, 10 * NS_PER_SEC, "the start");
    net_run(net, age_ns);
}

static uint64_t age_of(uint64_t seed)
{
    static const uint64_t ages[] = {0, 2, 6, 11, 40};
    return ages[seed % ARRAY_LEN(ages)] * NS_PER_SEC;
}

/* Young links and old ones, whichever side dialled, whoever learns. */
TEST(faults, connection_cut)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct net *net = make(seed, 2);
        formed(net, age_of(seed));
        struct net_conn *conn = net_find(net, NULL, NULL);
        CHECK(conn);
        net_cut(conn, seed / 5 % 2, (enum net_cut)(seed / 10 % 4));
        net_run(net, 10 * NS_PER_MS);
        need_whole(net, 16 * NS_PER_SEC, "a cut");
        net_free(net);
    }
}

TEST(faults, silence_is_noticed_after_ten_seconds)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct net *net = make(seed, 2);
        formed(net, 30 * NS_PER_SEC);
        struct net_node *a = net_node(net, 0), *b = net_node(net, 1);
        struct net_conn *conn = net_find(net, a, b);
        net_silence(conn, (unsigned)(seed % 2));
        struct net_node *deaf = conn->ends[seed % 2 == 0].node;
        uint64_t downs = deaf->downs;
        net_run(net, 7400 * NS_PER_MS); /* it heard something 2.5 s before, at most */
        CHECK_EQ(deaf->downs, downs);
        net_run(net, 2700 * NS_PER_MS);
        CHECK(deaf->downs > downs);
        need_whole(net, 16 * NS_PER_SEC, "silence");
        net_free(net);
    }
}

static void restart(uint64_t seed, enum net_death death, bool remembers)
{
    struct net *net = make(seed, 4);
    formed(net, age_of(seed));
    struct net_node *victim = net_node(net, (uint32_t)(1 + seed % 3));
    net_kill(victim, death);
    net_run(net, seed % 3 * NS_PER_SEC);
    CHECK(net_start(victim, remembers));
    if (!remembers)
        net_configure(victim, net_node(net, 0)->url);
    net_run(net, 10 * NS_PER_MS);
    /* A new incarnation displaces the old links at once. A new node id cannot: the old links are
     * another node's, and die of silence. */
    need_whole(net, 16 * NS_PER_SEC, "a restart");
    CHECK_EQ(victim->refused, 0);
    net_free(net);
}

TEST(faults, restart_as_the_same_node)
{
    for (uint64_t seed = 1; seed <= 90; seed++)
        restart(seed, (enum net_death)(seed / 3 % 3), true);
}

TEST(faults, restart_as_another_node)
{
    for (uint64_t seed = 1; seed <= 90; seed++)
        restart(seed, (enum net_death)(seed / 3 % 3), false);
}

/* The one node everybody was configured with comes back and knows nobody. */
TEST(faults, the_seed_restarts)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct net *net = make(seed, 5);
        formed(net, age_of(seed));
        net_kill(net_node(net, 0), (enum net_death)(seed % 3));
        uint64_t away = seed % 4 * 20 * NS_PER_SEC;
        net_run(net, away);
        CHECK(net_start(net_node(net, 0), false));
        net_run(net, 10 * NS_PER_MS);
        need_whole(net, 75 * NS_PER_SEC, "the seed's restart"); /* max_backoff is 60 s */
        net_free(net);
    }
}

/* It leaves in good order and returns: tombstones must not keep it out. */
TEST(faults, the_seed_leaves_and_returns)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct net *net = make(seed, 4);
        formed(net, 12 * NS_PER_SEC);
        net_leave(net_node(net, (uint32_t)(seed % 2)));
        net_run(net, 5 * NS_PER_SEC);
        CHECK(net_start(net_node(net, (uint32_t)(seed % 2)), seed % 3 == 0));
        if (seed % 2)
            net_configure(net_node(net, 1), net_node(net, 0)->url);
        need_whole(net, 30 * NS_PER_SEC, "return");
        net_free(net);
    }
}

/* It returns to one that cannot be dialled for so long that it gives that one up. So the other must
 * dial, though it knows of the departure and hears of the return but once. */
static void returns_undialled(uint64_t seed, uint32_t leaver, uint64_t away_ns)
{
    struct net *net = make(seed, 4);
    formed(net, age_of(seed));
    struct net_node *a = net_node(net, leaver), *b = net_node(net, 3 - leaver);
    b->dials = seed / 2 % 2 ? NET_DIALS_REFUSED : NET_DIALS_UNANSWERED;
    net_leave(a);
    net_run(net, away_ns);
    CHECK(net_start(a, false));
    net_configure(a, net_node(net, 0)->url);
    need_whole(net, 20 * NS_PER_SEC,
               "return to one that takes no dials"); /* 15 s, polite, a dial */
    net_free(net);
}

TEST(faults, a_peer_returns_to_one_that_takes_no_dials)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        returns_undialled(seed, (uint32_t)(1 + seed % 2), 200 * NS_PER_MS + seed % 5 * NS_PER_SEC);
}

/* Two that could not reach each other for so long that both have given up, while a third was linked
 * to both: nobody has anything new to tell them. */
TEST(faults, the_given_up_are_found_again)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct net *net = make(seed, 3);
        formed(net, 40 * NS_PER_SEC);
        struct net_node *a = net_node(net, 1), *b = net_node(net, 2);
        a->dials = b->dials = NET_DIALS_REFUSED;
        net_cut(net_find(net, a, b), 0, NET_CUT_BOTH);
        net_run(net, 600 * NS_PER_SEC + seed * 60 * NS_PER_SEC);
        a->dials = b->dials = NET_DIALS_TAKEN;
        need_whole(net, 910 * NS_PER_SEC, "ten minutes apart"); /* dormant for 15 min at most */
        net_free(net);
    }
}

/* Nobody can dial a client: it has to learn of the one that returns. */
TEST(faults, a_peer_leaves_and_returns_to_a_client)
{
    struct net *net = make(1, 3);
    struct net_node_options options = {.role = ROLE_CLIENT};
    struct net_node *client = net_add(net, &options), *peer = net_node(net, 2);
    CHECK(net_start(client, false));
    net_configure(client, net_node(net, 0)->url);
    formed(net, 12 * NS_PER_SEC);
    net_leave(peer);
    net_run(net, NS_PER_SEC);
    CHECK(net_start(peer, false));
    net_configure(peer, net_node(net, 0)->url);
    need_whole(net, 5 * NS_PER_SEC, "return");
    net_free(net);
}

static void partition(uint64_t seed, uint64_t ns, uint64_t limit_ns)
{
    struct net *net = make(seed, 6);
    formed(net, age_of(seed));
    for (uint32_t i = 0; i < 6; i++)
        net_node(net, i)->group = i < 1 + seed % 5;
    net_run(net, ns);
    for (uint32_t i = 0; i < 6; i++)
        net_node(net, i)->group = 0;
    net_run(net, 100 * NS_PER_MS);
    need_whole(net, limit_ns, "a partition");
    uint64_t dials = net_counts(net)->dials;
    net_run(net, 100 * NS_PER_SEC);
    need_whole(net, 0, "a while");
    CHECK_EQ(net_counts(net)->dials, dials);
    net_free(net);
}

TEST(faults, partition)
{
    for (uint64_t seed = 1; seed <= 120; seed++)
        partition(seed, seed * NS_PER_SEC, 75 * NS_PER_SEC);
}

TEST(faults, partition_of_an_hour)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        partition(seed, 3600 * NS_PER_SEC, 75 * NS_PER_SEC);
}

static bool same_host(const struct net_node *node, const char *host)
{
    return strcmp(mesh_self(node->mesh)->host, host) == 0;
}

/* Two hosts get other addresses, each that of the other or a new one: nodes that learned from
 * others how they are called learn it anew, or the two could not find each other any more. */
static void readdressed(uint64_t seed)
{
    struct net_options options = {.seed = seed, .pieces = 10, .backlog = 10};
    struct net *net = net_new(&options);
    bool swap = seed % 2;
    for (uint32_t i = 0; i < 4; i++) {
        char url[64];
        snprintf(url, sizeof(url), "tcp://0.0.0.0:7400/n%u", i);
        struct net_node *node = net_add(net, &(struct net_node_options){.url = url});
        CHECK(net_start(node, false));
        if (i)
            net_configure(node, "tcp://10.0.0.1:7400/n0");
        if (i > 1)
            net_configure(node, "tcp://10.0.0.2:7400/n1");
    }
    formed(net, age_of(seed));
    struct net_node *c = net_node(net, 2), *d = net_node(net, 3);
    CHECK(same_host(c, "10.0.0.3") && same_host(d, "10.0.0.4"));
    c->group = 1;
    d->group = 2;
    net_run(net, 13 * NS_PER_SEC);
    c->group = d->group = 0;
    snprintf(c->host, sizeof(c->host), "%s", swap ? "10.0.0.4" : "10.9.0.3");
    snprintf(d->host, sizeof(d->host), "%s", swap ? "10.0.0.3" : "10.9.0.4");
    need_whole(net, 60 * NS_PER_SEC, swap ? "a swap of addresses" : "new addresses");
    net_free(net);
}

TEST(faults, addresses_change)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        readdressed(seed);
}
