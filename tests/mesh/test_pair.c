/* Three links to one node at a time: what tests/model found. The peer is the test's own, so that
 * each message comes when the test says so. In the end one link is UP, whatever displaced what. */
#include <string.h>

#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define FEATURES (FEATURE_DIGEST | FEATURE_GOODBYE)

struct scene {
    struct net *net;
    struct net_node *node, *peer, *again; /* again: another address of the peer */
    uint64_t stamp;
};

/* A node that knows the peer's first address, which does not answer yet. */
static struct scene scene_make(uint64_t seed, uint8_t peer_id)
{
    struct net_options options = {.seed = seed};
    struct scene s = {.net = net_new(&options), .stamp = 1000};
    s.node = net_add(s.net, NULL);
    CHECK(net_start(s.node, false));
    s.peer = net_raw_listen(s.net, "tcp://10.9.9.9:7400/peer");
    s.again = net_raw_listen(s.net, "tcp://10.9.9.10:7400/peer");
    memset(s.peer->id, peer_id, sizeof(s.peer->id));
    memset(s.again->id, peer_id, sizeof(s.again->id));
    return s;
}

/* The node dials that address of the peer, and says INITIAL. */
static struct net_end *dialled(struct scene *s, struct net_node *address)
{
    struct control c;
    CHECK_EQ(net_configure(s->node, address->url), 0);
    for (unsigned i = 0; i < 10 && list_empty(&address->conns); i++)
        net_run(s->net, 100 * NS_PER_MS);
    CHECK(!list_empty(&address->conns));
    struct net_end *end = list_entry(address->conns.prev, struct net_end, in_raw);
    CHECK(net_raw_await(end, MSG_HANDSHAKE, NS_PER_SEC, &c));
    control_fini(&c);
    return end;
}

static void say(struct scene *s, struct net_end *end, enum stage stage)
{
    struct control c = net_raw_handshake(end->node, s->node, stage, FEATURES);
    net_raw_send(end, &c, ++s->stamp, false);
    net_run(s->net, 100 * NS_PER_MS);
}

static void say_peers(struct scene *s, struct net_end *end)
{
    net_raw_send(end, &(struct control){.type = MSG_PEERS}, ++s->stamp, false);
    net_run(s->net, 100 * NS_PER_MS);
}

/* The node has one link that is UP, and of the others none stays longer than silence lets it. */
static void one_is_up(struct scene *s)
{
    uint32_t up = 0;
    list_each (it, mesh_links(s->node->mesh))
        up += list_entry(it, struct mesh_link, node)->state == LINK_UP;
    CHECK_EQ(up, 1);
    CHECK_EQ(mesh_up_count(s->node->mesh), 1);
    CHECK_EQ(s->node->ups, s->node->downs + 1);
}

/* The node dialled, and waits for the answer. The peer dials twice meanwhile: the second displaces
 * the first, and is displaced itself, in its handshake still, by the answer that comes now. The
 * first does not stand again beside that one. */
TEST(pair, what_waits_behind_a_loser_waits_for_its_winner)
{
    struct scene s = scene_make(1, 0);
    struct net_end *ours = dialled(&s, s.peer);
    struct net_end *first = net_raw_greet(s.net, s.peer, s.node, FEATURES);
    CHECK(first);
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    struct net_end *second = net_raw_connect(s.net, s.peer, s.node, false);
    s.stamp = UINT64_MAX / 2; /* later than that of the first */
    say(&s, second, STAGE_INITIAL);
    say(&s, ours, STAGE_INITIAL);
    say(&s, ours, STAGE_FINAL);
    say_peers(&s, ours);
    one_is_up(&s);
    net_free(s.net);
}

/* The node dialled a first address, which is UP, and a second one, which is to displace it. The
 * peer's own dial displaces the second in turn and is UP when that one ends: now the first steps
 * back. */
TEST(pair, a_link_steps_back_for_the_winner_of_its_winner)
{
    struct scene s = scene_make(2, 0xff);
    struct net_end *first = dialled(&s, s.peer);
    say(&s, first, STAGE_INITIAL);
    say(&s, first, STAGE_FINAL);
    say_peers(&s, first);
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    struct net_end *second = dialled(&s, s.again);
    say(&s, second, STAGE_INITIAL);
    CHECK(net_raw_greet(s.net, s.peer, s.node, FEATURES));
    net_raw_close(second);
    net_run(s.net, 100 * NS_PER_MS);
    one_is_up(&s);
    net_free(s.net);
}

/* The peer's first link is displaced by its second. Both are alive, and no DIGEST comes that would
 * agree, as when each side holds messages before it: GOODBYE comes all the same. */
TEST(pair, a_handover_does_not_wait_for_ever)
{
    struct scene s = scene_make(3, 0);
    struct net_end *old = net_raw_greet(s.net, s.peer, s.node, FEATURES);
    struct net_end *fresh = net_raw_greet(s.net, s.peer, s.node, FEATURES);
    static const uint8_t payload[16] = {1};
    struct control ping = {.type = MSG_PING, .ping = {.payload = payload, .payload_len = 16}}, c;
    CHECK(old && fresh);
    one_is_up(&s);
    bool said = false;
    for (unsigned i = 0; i < 7 && !said; i++) {
        net_raw_send(old, &ping, ++s.stamp, false);
        net_raw_send(fresh, &ping, ++s.stamp, false);
        said = net_raw_await(old, MSG_GOODBYE, NS_PER_SEC, &c);
    }
    CHECK(said);
    CHECK_EQ(c.goodbye.reason, GOODBYE_DISPLACED);
    control_fini(&c);
    one_is_up(&s);
    net_free(s.net);
}
