/* Clients and leaves: linked as their role says, never named to anybody, and routes pass through a
 * router to its leaves and from them. */
#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define WHY 256

static struct net *make(uint64_t seed)
{
    struct net_options options = {.seed = seed, .pieces = 10, .backlog = 10};
    return net_new(&options);
}

static struct net_node *add(struct net *net, enum role role, const char *url)
{
    struct net_node_options options = {.role = role, .url = url};
    struct net_node *node = net_add(net, &options);
    CHECK(net_start(node, false));
    return node;
}

static void need_whole(struct net *net, uint64_t limit_ns)
{
    char why[WHY] = "";
    if (net_run_whole(net, limit_ns, why, sizeof(why)) == NEVER)
        FAIL("seed %llu: %s", (unsigned long long)net_seed(net), why);
}

struct names {
    bool bad;
    char text[URL_MAX + 1];
};

static void look_at_entry(void *ctx, const struct addrbook_view *view)
{
    struct names *names = ctx;
    struct url url;
    if (url_parse(view->peer, strlen(view->peer), &url, NULL) == 0 && url_dialable(&url))
        return;
    names->bad = true;
    snprintf(names->text, sizeof(names->text), "%s", view->peer);
}

/* PEERS on the wire name nobody who cannot be dialled. */
static bool watch_peers(void *ctx, const struct net_end *from, const struct header *header,
                        const struct frame *frame)
{
    struct names *names = ctx;
    struct control c;
    if (header->type != MSG_PEERS || codec_decode(MSG_PEERS, frame->body, frame->body_size, &c) < 0)
        return true;
    for (size_t i = 0; i < c.peers.count; i++) {
        if (!strstr(c.peers.ids[i], "0.0.0.0"))
            continue;
        names->bad = true;
        snprintf(names->text, sizeof(names->text), "%.250s", c.peers.ids[i]);
    }
    control_fini(&c);
    return true;
}

static void nobody_is_named(struct net *net, struct names *names)
{
    for (uint32_t i = 0; i < net_count(net); i++)
        addrbook_each(mesh_addrbook(net_node(net, i)->mesh), look_at_entry, names);
    if (names->bad)
        FAIL("seed %llu: %s was named", (unsigned long long)net_seed(net), names->text);
}

TEST(roles, a_client_links_to_every_peer)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct net *net = make(seed);
        struct names names = {0};
        net_set_filter(net, watch_peers, &names);
        for (unsigned i = 0; i < 4; i++) {
            struct net_node *peer = add(net, ROLE_PEER, NULL);
            if (i)
                net_configure(peer, net_node(net, 0)->url);
        }
        struct net_node *a = add(net, ROLE_CLIENT, NULL), *b = add(net, ROLE_CLIENT, NULL);
        net_configure(a, net_node(net, seed % 4)->url);
        net_configure(b, net_node(net, seed / 4 % 4)->url);
        CHECK(net_open(a, false, "T@**", NULL) && net_open(b, true, "T@n5.x", NULL));
        CHECK(net_open(net_node(net, 2), true, "T@n2.x", NULL));
        CHECK(net_open(net_node(net, 3), false, "*@n5.*", NULL));
        need_whole(net, 5 * NS_PER_SEC);
        CHECK_EQ(mesh_up_count(a->mesh), 4);
        net_kill(net_node(net, 1), NET_DEATH_CLOSES);
        net_run(net, 3 * NS_PER_SEC);
        CHECK(net_start(net_node(net, 1), false)); /* it knows nobody: all dial it */
        need_whole(net, 30 * NS_PER_SEC);
        nobody_is_named(net, &names);
        net_free(net);
    }
}

static struct net_node *add_leaf(struct net *net, const struct net_node *router, const char *url)
{
    struct net_node *leaf = add(net, ROLE_LEAF, url);
    net_configure(leaf, router->url);
    return leaf;
}

TEST(roles, a_router_relays_for_its_leaves)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct net *net = make(seed);
        struct names names = {0};
        net_set_filter(net, watch_peers, &names);
        struct net_node *a = add(net, ROLE_PEER, NULL), *b = add(net, ROLE_PEER, NULL);
        net_configure(b, a->url);
        struct net_node *x = add_leaf(net, a, "tcp://0.0.0.0:0/n0.x");
        struct net_node *y = add_leaf(net, a, "tcp://0.0.0.0:0/n0.y");
        struct net_node *z = add_leaf(net, b, "tcp://0.0.0.0:0/n1.z");
        CHECK(net_open(x, true, "T@n0.x.v", NULL) && net_open(z, false, "T@n0.**", NULL));
        CHECK(net_open(y, false, "*@**", NULL) && net_open(z, true, "T@n1.z.v", NULL));
        CHECK(net_open(b, true, "T@n1.v", NULL) && net_open(b, false, "T@n0.x.v", NULL));
        need_whole(net, 10 * NS_PER_SEC);
        CHECK_EQ(mesh_up_count(x->mesh), 1);
        for (unsigned i = 0; i < 30; i++) {
            struct net_node *node = net_node(net, (uint32_t)prng_between(net_prng(net), 0, 4));
            static const char *const own[] = {"n0.u", "n1.u", "n0.x.u", "n0.y.u", "n1.z.u"};
            char text[64];
            snprintf(text, sizeof(text), "U@%s",
                     i % 2 ? own[node->index] : own[prng_between(net_prng(net), 0, 4)]);
            CHECK(net_open(node, i % 2, text, NULL));
            if (i % 3 == 0)
                net_close(node, list_entry(node->routes.next, struct net_route, in_node));
            net_run(net, prng_between(net_prng(net), 0, NS_PER_SEC));
        }
        need_whole(net, 5 * NS_PER_SEC);
        net_kill(seed % 2 ? a : z, (enum net_death)(seed / 2 % 3));
        net_run(net, 2 * NS_PER_SEC);
        CHECK(net_start(seed % 2 ? a : z, seed % 3 == 0));
        if (seed % 2 == 0)
            net_configure(z, b->url);
        need_whole(net, 75 * NS_PER_SEC);
        nobody_is_named(net, &names);
        net_free(net);
    }
}

/* A leaf of a leaf's path, an unspecified path and one that is not the router's. */
TEST(roles, a_leaf_lives_below_its_router)
{
    struct net *net = make(1);
    struct net_node *a = add(net, ROLE_PEER, NULL);
    struct net_node *foreign = add_leaf(net, a, "tcp://0.0.0.0:0/elsewhere");
    net_run(net, 3 * NS_PER_SEC);
    CHECK_EQ(mesh_up_count(foreign->mesh), 0);
    CHECK_EQ(foreign->last_error, WEFT_EDENIED);
    CHECK(strstr(foreign->last_text, "elsewhere") != NULL);
    struct net_node *open = add_leaf(net, a, "tcp://0.0.0.0:0/");
    net_run(net, 3 * NS_PER_SEC);
    CHECK_EQ(mesh_up_count(open->mesh), 1);
    net_free(net);
}

struct hops {
    uint64_t seen; /* largest of an advert that a mesh sent */
};

static bool watch_hops(void *ctx, const struct net_end *from, const struct header *header,
                       const struct frame *frame)
{
    struct hops *hops = ctx;
    struct control c;
    if ((header->type != MSG_INTENT && header->type != MSG_INTENTS) ||
        codec_decode(header->type, frame->body, frame->body_size, &c) < 0)
        return true;
    for (size_t i = 0; i < c.decls.count; i++)
        hops->seen = max_u64(hops->seen, c.decls.items[i].hops);
    control_fini(&c);
    return true;
}

/* Every relay adds one. What has come over eight goes no further, and over nine is refused. */
TEST(roles, hops_are_counted)
{
    struct net *net = make(2);
    struct net_node_options options = {.role = ROLE_LEAF, .url = "tcp://0.0.0.0:0/n0.leaf"};
    struct net_node *a = add(net, ROLE_PEER, NULL), *b = add(net, ROLE_PEER, NULL);
    struct net_node *leaf = net_add(net, &options);
    net_configure(b, a->url);
    leaf->alive = true; /* the test's own */
    struct net_end *end = net_raw_greet(net, leaf, a, 0);
    CHECK(end);
    net_run(net, NS_PER_SEC);
    struct hops hops = {0};
    net_set_filter(net, watch_hops, &hops);
    struct router_counts counts;
    for (uint64_t n = 0; n <= 9; n++) {
        char text[32];
        snprintf(text, sizeof(text), "T@n0.leaf.h%u", (unsigned)n);
        struct decl d = {.route = text, .hops = n, .ttl_ns = 60 * NS_PER_SEC, .registered = true};
        struct control c = {.type = MSG_INTENT, .decls = {.items = &d, .count = 1}};
        net_raw_send(end, &c, n, false);
    }
    net_run(net, NS_PER_SEC);
    router_count(mesh_router(a->mesh), &counts);
    CHECK_EQ(counts.remote_intents, 9);
    router_count(mesh_router(b->mesh), &counts);
    CHECK_EQ(counts.remote_intents, 8);
    CHECK_EQ(hops.seen, 8);
    net_free(net);
}
