/* Two links to one node: whatever becomes of the loser, the winner does not feel it.
 *
 * First every order of what can happen to the two is played, then what an ill-meaning peer makes of
 * the rules for handing over: chains of links that all wait for one another's end. */
#include "lab.h"

/* ---- The loser's end ---- */

enum ending { CLOSES, SAYS_GOODBYE, DIGEST_FIRST, FALLS_SILENT, BREAKS_RULES, ENDINGS };

static void end_it(struct net_end *loser, struct net_end *winner, enum ending how)
{
    struct net *net = loser->conn->net;
    if (how == DIGEST_FIRST)
        lab_digest(winner, "T@peer.x", "T@n0.x");
    if (how == DIGEST_FIRST || how == SAYS_GOODBYE)
        lab_goodbye(loser, GOODBYE_DISPLACED);
    if (how == BREAKS_RULES)
        net_raw_write(loser, "garbage, garbage, garbage", 25);
    if (how == CLOSES)
        net_raw_close(loser);
    for (unsigned i = 0; i < (how == FALLS_SILENT ? 8u : 1u); i++) {
        net_run(net, NS_PER_SEC);
        lab_alive(winner);
    }
    if (how == SAYS_GOODBYE || how == FALLS_SILENT)
        lab_digest(winner, "T@peer.x", "T@n0.x");
    net_run(net, NS_PER_SEC);
}

struct scene {
    struct net *net;
    struct net_node *node, *peer;
    struct net_end *winner, *loser;
};

static struct router_counts counts_of(const struct net_node *node)
{
    struct router_counts counts;
    router_count(mesh_router(node->mesh), &counts);
    return counts;
}

struct fanout {
    uint32_t count, endpoint;
};

static void add_target(void *ctx, const struct router_target *target)
{
    struct fanout *f = ctx;
    f->count++;
    f->endpoint = target->endpoint;
}

/* What the node publishes goes over the winner, and over nothing else. */
static void sends_to(const struct scene *s, const struct net_end *end)
{
    const struct net_route *own = list_entry(s->node->routes.next, struct net_route, in_node);
    struct fanout f = {0};
    router_each_target(mesh_router(s->node->mesh), own->rec, add_target, &f);
    CHECK_EQ(f.count, 1);
    CHECK_EQ(f.endpoint, lab_link((struct net_end *)(uintptr_t)end)->id);
}

/* The winner is there as it was: linked, with its tables, in the book, dialled by nobody. */
static void unmoved(const struct scene *s, uint64_t downs)
{
    CHECK(lab_link(s->winner) && lab_link(s->winner)->state == LINK_UP);
    CHECK_EQ(mesh_up_count(s->node->mesh), 1);
    struct router_counts counts = counts_of(s->node);
    CHECK_EQ(counts.remote_intents, 1);
    CHECK_EQ(counts.remote_interests, 1);
    struct addrbook_view view = lab_view(s->node, s->peer->url);
    CHECK(view.linked && !view.dialing);
    CHECK_EQ(view.next_dial, NEVER);
    CHECK_EQ(s->node->downs, downs);
    CHECK_EQ(net_counts(s->net)->dials, 0);
    CHECK_EQ(s->node->unserved, 0);
    CHECK_EQ(s->node->ups, downs + 1);
    sends_to(s, s->winner);
    lab_alive(s->winner);
}

/* Both were dialled by the peer: the later stamp wins. `swapped`: the connection that was made
 * first is the one that says INITIAL last. `established`: the loser is UP before the winner comes.
 */
static struct scene two_dialled_links(uint64_t seed, bool swapped, bool established)
{
    struct scene s = {.net = lab_net(seed)};
    s.node = lab_node(s.net);
    CHECK(net_open(s.node, true, "T@n0.x", NULL));
    CHECK(net_open(s.node, false, "T@peer.x", NULL));
    s.peer = net_raw_listen(s.net, "tcp://10.9.9.9:7400/peer");
    struct net_end *first = net_raw_connect(s.net, s.peer, s.node, false);
    net_run(s.net, 50 * NS_PER_MS);
    struct net_end *second = net_raw_connect(s.net, s.peer, s.node, false);
    net_run(s.net, 50 * NS_PER_MS);
    s.loser = swapped ? second : first;
    s.winner = swapped ? first : second;
    if (established) {
        CHECK(lab_shake(s.loser, NULL));
        lab_declare(s.loser, true, "T@peer.x", 1);
        lab_declare(s.loser, false, "T@n0.x", 0);
    } else { /* stuck in its handshake */
        struct control c = net_raw_handshake(s.peer, s.node, STAGE_INITIAL, FEATURE_GOODBYE);
        net_raw_send(s.loser, &c, 1, false);
    }
    net_run(s.net, 50 * NS_PER_MS);
    CHECK(lab_shake(s.winner, NULL));
    lab_declare(s.winner, true, "T@peer.x", 2);
    lab_declare(s.winner, false, "T@n0.x", 0);
    lab_alive(s.winner);
    return s;
}

TEST(adversarial, a_duplicates_close_never_touches_the_winner)
{
    for (unsigned i = 0; i < 4 * ENDINGS; i++) {
        bool established = i & 2;
        struct scene s = two_dialled_links(i + 1, i & 1, established);
        uint64_t downs = s.node->downs;
        CHECK_EQ(downs, established); /* what stepped back was told so, at once */
        if (established)
            end_it(s.loser, s.winner, (enum ending)(i / 4));
        unmoved(&s, downs);
        net_free(s.net);
    }
}

/* ---- Chains of links that wait for one another ---- */

/* Every link of the chain displaced another, each said GOODBYE, and no DIGEST came: then the last
 * one agrees, and all of them end at once. In whatever order they lie in the node's list. */
static void chain(uint64_t seed, unsigned links)
{
    struct net *net = lab_net(seed);
    struct net_node *node = lab_node(net);
    struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
    struct net_end *ends[8];
    unsigned order[8];
    for (unsigned i = 0; i < links; i++) {
        ends[i] = net_raw_connect(net, peer, node, false);
        net_run(net, 50 * NS_PER_MS);
        order[i] = i;
    }
    for (unsigned i = links - 1; i > 0; i--) {
        unsigned k = (unsigned)prng_between(net_prng(net), 0, i), was = order[i];
        order[i] = order[k];
        order[k] = was;
    }
    for (unsigned i = 0; i < links; i++) {
        CHECK(lab_shake(ends[order[i]], NULL));
        net_run(net, 50 * NS_PER_MS);
        if (i)
            lab_goodbye(ends[order[i - 1]], GOODBYE_DISPLACED);
    }
    net_run(net, 50 * NS_PER_MS);
    struct net_end *last = ends[order[links - 1]];
    lab_digest(last, NULL, NULL);
    net_run(net, 100 * NS_PER_MS);
    for (unsigned i = 0; i < links; i++)
        CHECK((lab_link(ends[i]) != NULL) == (ends[i] == last));
    CHECK_EQ(mesh_up_count(node->mesh), 1);
    lab_alive(last);
    net_free(net);
}

TEST(adversarial, a_chain_of_duplicates_that_all_end_at_once)
{
    for (uint64_t seed = 1; seed <= 200; seed++)
        chain(seed, 3 + seed % 4);
}

/* It displaces itself again and again, and keeps all the former links busy: of those few are read
 * on, or they would take every descriptor there is, whatever the limit on peers. */
TEST(adversarial, a_peer_that_displaces_itself_without_end)
{
    enum { LINKS = 60, KEPT = 1 + 4 };
    struct net *net = lab_net(1);
    struct net_node *node = lab_node(net);
    struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
    struct net_end *ends[LINKS];
    unsigned standing = 0;
    for (unsigned i = 0; i < LINKS; i++) {
        ends[i] = lab_join(net, peer, node, NULL);
        net_run(net, 100 * NS_PER_MS);
        standing = 0;
        for (unsigned k = 0; k <= i; k++) {
            standing += lab_link(ends[k]) != NULL;
            if (lab_link(ends[k]))
                lab_alive(ends[k]);
        }
        CHECK(standing <= KEPT);
        CHECK_EQ(mesh_up_count(node->mesh), 1);
    }
    CHECK_EQ(standing, KEPT);
    CHECK(lab_link(ends[LINKS - 1])->state == LINK_UP);
    net_free(net);
}

/* ---- The book's reservation ---- */

/* The node's own dial is out when a link that the peer dialled comes up. The node id says which one
 * stays; either way the book knows the peer as linked, and dials it no more. */
static void crossed_dials(uint64_t seed, uint8_t id_byte)
{
    struct scene s = {.net = lab_net(seed)};
    s.node = lab_node(s.net);
    CHECK(net_open(s.node, true, "T@n0.x", NULL));
    s.peer = net_raw_listen(s.net, "tcp://10.9.9.9:7400/peer");
    memset(s.peer->id, id_byte, sizeof(s.peer->id));
    net_configure(s.node, s.peer->url);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK(lab_view(s.node, s.peer->url).dialing);
    struct net_end *inbound = lab_join(s.net, s.peer, s.node, NULL);
    lab_declare(inbound, false, "T@n0.x", 0);
    lab_alive(inbound);
    struct net_end *outbound = lab_answer(s.peer, s.node, NS_PER_SEC, NULL);
    CHECK((outbound != NULL) == (id_byte == 0)); /* else it was refused as the duplicate */
    s.winner = outbound ? outbound : inbound;
    if (outbound) {
        lab_declare(outbound, false, "T@n0.x", 0);
        lab_digest(outbound, NULL, "T@n0.x");
        lab_goodbye(inbound, GOODBYE_DISPLACED);
    }
    for (unsigned i = 0; i < 60; i++) {
        net_run(s.net, 2 * NS_PER_SEC);
        lab_alive(s.winner);
    }
    struct addrbook_view view = lab_view(s.node, s.peer->url);
    CHECK(view.linked && !view.dialing);
    CHECK_EQ(view.next_dial, NEVER);
    CHECK_EQ(net_counts(s.net)->dials, 1);
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    CHECK_EQ(s.node->unserved, 0);
    sends_to(&s, s.winner);
    net_free(s.net);
}

TEST(adversarial, a_duplicates_close_leaves_no_reservation)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        crossed_dials(seed, seed % 2 ? 0xff : 0x00);
}
