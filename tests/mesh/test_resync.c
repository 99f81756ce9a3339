/* Tables that come apart are found by the digest and put right, and where they cannot be put right
 * the asking becomes rare. */
#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define WHY 256

struct swallow {
    uint32_t type;  /* of the frames to lose */
    unsigned count; /* how many */
    unsigned lost;
    const struct net_node *from;
};

static bool swallow(void *ctx, const struct net_end *from, const struct header *header,
                    const struct frame *frame)
{
    struct swallow *s = ctx;
    if (header->type != s->type || s->count == 0 || (s->from && from->node != s->from))
        return true;
    s->count--;
    s->lost++;
    return false;
}

static struct net *make(uint64_t seed, uint32_t nodes, uint32_t max_routes)
{
    struct net_options options = {.seed = seed, .pieces = 10, .backlog = 10};
    struct net_node_options node_options = {.max_routes = max_routes};
    struct net *net = net_new(&options);
    for (uint32_t i = 0; i < nodes; i++) {
        struct net_node *node = net_add(net, &node_options);
        CHECK(net_start(node, false));
        if (i)
            net_configure(node, net_node(net, 0)->url);
    }
    return net;
}

static void need_whole(struct net *net, uint64_t limit_ns)
{
    char why[WHY] = "";
    if (net_run_whole(net, limit_ns, why, sizeof(why)) == NEVER)
        FAIL("seed %llu: %s", (unsigned long long)net_seed(net), why);
}

/* Routes below the path of n<below>. */
static void open_many(struct net_node *node, bool intent, uint32_t below, unsigned count)
{
    struct router *router = mesh_router(node->mesh);
    for (unsigned i = 0; i < count; i++) {
        char text[64];
        snprintf(text, sizeof(text), "T@n%u.r%u", below, i);
        struct router_intent *rec;
        struct router_interest *handle;
        int rc = intent ? router_open_intent(router, text, 0, NULL, &rec)
                        : router_open_interest(router, text, 0, NULL, &handle);
        CHECK_EQ(rc, 0);
    }
    net_settle(node);
}

/* What lists and single declarations, of both kinds, may lose. */
TEST(resync, a_lost_frame_is_repaired)
{
    static const uint32_t types[] = {MSG_INTENTS, MSG_INTERESTS, MSG_INTENT, MSG_INTEREST};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct net *net = make(seed, 3, 0);
        need_whole(net, 5 * NS_PER_SEC);
        struct swallow s = {.type = types[seed % 4], .count = 1};
        net_set_filter(net, swallow, &s);
        for (uint32_t i = 0; i < 3; i++) {
            unsigned many = seed % 4 < 2 ? 5 : 1;
            open_many(net_node(net, i), seed % 2 == 0, seed % 2 ? (i + 1) % 3 : i, many);
        }
        net_run(net, NS_PER_SEC);
        char why[WHY];
        CHECK_EQ(s.lost, 1);
        CHECK(!net_whole(net, why, sizeof(why)));
        need_whole(net, 40 * NS_PER_SEC); /* a digest comes every 36 s at the latest */
        net_free(net);
    }
}

/* A withdrawal that was lost leaves what is withdrawn by the list that replaces it. */
TEST(resync, a_lost_withdrawal_is_repaired)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct net *net = make(seed, 2, 0);
        struct net_node *a = net_node(net, 0), *b = net_node(net, 1);
        struct net_route *kept = net_open(a, true, "T@n0.kept", NULL);
        struct net_route *gone = net_open(a, seed % 2, seed % 2 ? "T@n0.gone" : "T@n1.gone", NULL);
        CHECK(kept && gone && net_open(b, false, "T@n0.*", NULL));
        CHECK(net_open(b, true, "T@n1.gone", NULL));
        need_whole(net, 5 * NS_PER_SEC);
        struct swallow s = {.type = seed % 2 ? MSG_INTENT : MSG_INTEREST, .count = 1, .from = a};
        net_set_filter(net, swallow, &s);
        net_close(a, gone);
        net_run(net, NS_PER_SEC);
        CHECK_EQ(s.lost, 1);
        need_whole(net, 40 * NS_PER_SEC);
        net_free(net);
    }
}

/* The answer to a resync is lost too: the next round repairs it. */
TEST(resync, a_lost_answer_is_repaired)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net *net = make(seed, 2, 0);
        need_whole(net, 5 * NS_PER_SEC);
        struct swallow s = {.type = MSG_INTENTS, .count = 2};
        net_set_filter(net, swallow, &s);
        open_many(net_node(net, 0), true, 0, 5);
        net_run(net, 40 * NS_PER_SEC);
        CHECK_EQ(s.lost, 2);
        need_whole(net, 80 * NS_PER_SEC);
        net_free(net);
    }
}

/* One side takes fewer routes than the other has: that cannot be mended by asking. */
TEST(resync, what_is_refused_is_asked_for_ever_more_seldom)
{
    struct net_options options = {.seed = 5};
    struct net *net = net_new(&options);
    struct net_node_options small = {.max_routes = 10};
    struct net_node *a = net_add(net, NULL), *b = net_add(net, &small);
    CHECK(net_start(a, false) && net_start(b, false));
    net_configure(b, a->url);
    net_run(net, 5 * NS_PER_SEC);
    open_many(a, true, 0, 30);
    net_run(net, 60 * NS_PER_SEC);
    CHECK(a->route_refused > 0 && b->route_refused > 0);
    CHECK_EQ(a->last_error, WEFT_ELIMIT);
    const char *remedy = strstr(a->last_text, ": raise limits.routes of ");
    CHECK(remedy && strstr(remedy, b->url)); /* which both may read */
    CHECK(strstr(b->last_text, remedy) != NULL);
    net_reset_counts(net);
    net_run(net, 3600 * NS_PER_SEC);
    uint64_t lists = net_counts(net)->frames[MSG_INTENTS];
    uint64_t results = net_counts(net)->frames[MSG_RESULT];
    if (lists > 12 || results > 12 * 8)
        FAIL("in an hour %llu lists and %llu results", (unsigned long long)lists,
             (unsigned long long)results);
    CHECK(lists > 0);
    net_free(net);
}

/* A leaf hears of each route that its router has no room for, not of some alone, and is told when
 * all are declared anew. */
TEST(resync, a_leaf_hears_of_every_refusal)
{
    struct net_options options = {.seed = 6};
    struct net *net = net_new(&options);
    struct net_node *router = net_add(net, &(struct net_node_options){.max_routes = 20});
    struct net_node *leaf =
        net_add(net, &(struct net_node_options){.role = ROLE_LEAF, .url = "tcp://0.0.0.0:0/"});
    CHECK(net_start(router, false) && net_start(leaf, false));
    net_configure(leaf, router->url);
    net_run(net, 2 * NS_PER_SEC);
    open_many(leaf, true, 0, 110); /* below its router's path */
    open_many(leaf, true, 1, 5);   /* not below it */
    net_run(net, NS_PER_SEC);
    CHECK_EQ(leaf->not_taken, 105);
    CHECK_EQ(leaf->route_refused, 105);
    CHECK_EQ(router->route_refused, 8 + 5); /* of each list */
    CHECK_EQ(leaf->taken_anew, 0);
    net_run(net, 120 * NS_PER_SEC);
    CHECK(leaf->taken_anew > 0);
    CHECK(leaf->not_taken > 105 + 50 * leaf->taken_anew); /* again of each, as far as need be */
    net_free(net);
}

/* In peace a link carries digests and nothing else about routes. */
TEST(resync, agreement_is_quiet)
{
    struct net *net = make(3, 4, 0);
    for (uint32_t i = 0; i < 4; i++) {
        open_many(net_node(net, i), true, i, 700);
        open_many(net_node(net, i), false, (i + 1) % 4, 100);
        CHECK(net_open(net_node(net, i), false, "*@**", NULL));
    }
    need_whole(net, 5 * NS_PER_SEC);
    net_run(net, 10 * NS_PER_SEC);
    net_reset_counts(net);
    net_run(net, 600 * NS_PER_SEC);
    const struct net_counts *counts = net_counts(net);
    for (uint32_t type = MSG_INTENT; type <= MSG_RESULT; type++)
        CHECK_EQ(counts->frames[type], 0);
    CHECK_EQ(counts->frames[MSG_PEERS], 0);
    CHECK(counts->frames[MSG_DIGEST] >= 12 * 600 / 36);
    CHECK(counts->frames[MSG_DIGEST] <= 12 * 600 / 24 + 12);
    char why[WHY] = "";
    CHECK(net_whole(net, why, sizeof(why))); /* nothing has expired */
    net_free(net);
}

/* Without the feature every route is refreshed before its time is over. */
TEST(resync, without_digests_routes_are_refreshed)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct net_options options = {.seed = seed};
        struct net *net = net_new(&options);
        struct net_node_options plain = {.features = FEATURE_PATTERNS};
        struct net_node *a = net_add(net, NULL), *b = net_add(net, &plain);
        CHECK(net_start(a, false) && net_start(b, false));
        CHECK(net_open(a, true, "T@n0.x", NULL) && net_open(b, false, "T@n0.*", NULL));
        net_configure(seed % 2 ? a : b, seed % 2 ? b->url : a->url);
        need_whole(net, 5 * NS_PER_SEC);
        for (unsigned i = 0; i < 100; i++) {
            char why[WHY] = "";
            net_run(net, 3 * NS_PER_SEC);
            if (!net_whole(net, why, sizeof(why)))
                FAIL("seed %llu, after %u s: %s", (unsigned long long)seed, 3 * i, why);
        }
        net_free(net);
    }
}

/* A short ttl is kept to, whoever sends it. */
TEST(resync, a_short_ttl_ends_in_time)
{
    struct net_options options = {.seed = 1};
    struct net *net = net_new(&options);
    struct net_node *node = net_add(net, NULL);
    struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
    CHECK(net_start(node, false));
    struct net_end *end = net_raw_greet(net, peer, node, 0);
    CHECK(end);
    struct decl decl = {.route = "T@peer.x", .ttl_ns = 6 * NS_PER_SEC, .registered = true};
    struct control c = {.type = MSG_INTENT, .decls = {.items = &decl, .count = 1}};
    net_raw_send(end, &c, 1, false);
    net_run(net, 5 * NS_PER_SEC);
    struct router_counts counts;
    router_count(mesh_router(node->mesh), &counts);
    CHECK_EQ(counts.remote_intents, 1);
    net_run(net, 2 * NS_PER_SEC);
    router_count(mesh_router(node->mesh), &counts);
    CHECK_EQ(counts.remote_intents, 0);
    net_free(net);
}

/* Who has not named the feature may not know the type: it is never sent one, ask as it may. */
TEST(resync, no_digest_without_the_feature)
{
    struct net_options options = {.seed = 1};
    struct net *net = net_new(&options);
    struct net_node *node = net_add(net, NULL);
    CHECK(net_start(node, false));
    struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
    struct net_end *end = net_raw_greet(net, peer, node, FEATURE_GOODBYE);
    CHECK(end != NULL);
    for (int resync = 0; resync < 2; resync++) {
        struct control c = {.type = MSG_DIGEST, .digest = {.intents = 3, .resync = resync}};
        net_raw_send(end, &c, 5, false);
        net_run(net, 100 * NS_PER_MS);
    }
    CHECK_EQ(net_counts(net)->frames[MSG_DIGEST], 0);
    CHECK(!end->got_end);
    net_free(net);
}
