/* More than two links of one node at a time, as a peer has them that dials again and again: when
 * the dust settles one stands, whatever became of those in between. */
#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define STAMP UINT64_C(1700000000000000000) /* as net_raw_shake has them */
#define HANDS_OVER (FEATURE_DIGEST | FEATURE_GOODBYE)

struct scene {
    struct net *net;
    struct net_node *node, *peer;
};

static struct scene scene(void)
{
    struct net *net = net_new(&(struct net_options){.seed = 1});
    struct net_node *node = net_add(net, NULL);
    CHECK(net_start(node, false));
    return (struct scene){net, node, net_raw_listen(net, "tcp://10.9.9.9:7400/peer")};
}

static void greet(const struct scene *s, uint64_t features)
{
    CHECK(net_raw_greet(s->net, s->peer, s->node, features) != NULL);
    net_run(s->net, 100 * NS_PER_MS);
}

static void need_one_link(const struct scene *s)
{
    CHECK_EQ(mesh_up_count(s->node->mesh), 1);
    CHECK_EQ(s->node->ups - s->node->downs, 1);
    net_free(s->net);
}

/* The second was to displace the first, and never came so far. */
TEST(duplicates, third_link_while_the_second_shakes_hands)
{
    struct scene s = scene();
    greet(&s, HANDS_OVER);
    struct net_end *second = net_raw_connect(s.net, s.peer, s.node, false);
    struct control c = net_raw_handshake(s.peer, s.node, STAGE_INITIAL, HANDS_OVER);
    net_raw_send(second, &c, STAMP + net_now(s.net), false);
    net_run(s.net, 100 * NS_PER_MS);
    greet(&s, HANDS_OVER);
    need_one_link(&s);
}

/* The first is handed over to the second, which ends at once for a third that cannot hand over. */
TEST(duplicates, third_link_that_cannot_hand_over)
{
    struct scene s = scene();
    greet(&s, HANDS_OVER);
    greet(&s, HANDS_OVER);
    greet(&s, FEATURE_GOODBYE);
    need_one_link(&s);
}

TEST(duplicates, many_links_one_after_the_other)
{
    struct scene s = scene();
    for (unsigned i = 0; i < 20; i++)
        greet(&s, i % 3 ? HANDS_OVER : FEATURE_GOODBYE);
    need_one_link(&s);
}

/* A name of the peer that the node dials: the other end, once it is accepted. */
static struct net_end *dialled(const struct scene *s, struct net_node *name)
{
    memcpy(name->id, s->peer->id, sizeof(name->id));
    CHECK_EQ(net_configure(s->node, name->url), 0);
    net_run(s->net, 200 * NS_PER_MS);
    CHECK(!list_empty(&name->conns));
    return list_entry(name->conns.next, struct net_end, in_raw);
}

static void answer(const struct scene *s, struct net_end *end, enum stage stage)
{
    struct control c = net_raw_handshake(end->node, s->node, stage, HANDS_OVER);
    net_raw_send(end, &c, STAMP + net_now(s->net), false);
    net_run(s->net, 50 * NS_PER_MS);
}

/* The first is to be displaced by a second that is not UP, and that one by a third, which is. */
static struct net_end *third_wins(struct scene *s)
{
    *s = scene();
    memset(s->peer->id, 0, sizeof(s->peer->id)); /* what the node dials wins */
    greet(s, HANDS_OVER);
    struct net_end *second = dialled(s, net_raw_listen(s->net, "tcp://10.9.9.8:7400/peer"));
    answer(s, second, STAGE_INITIAL);
    struct net_end *third = dialled(s, net_raw_listen(s->net, "tcp://10.9.9.7:7400/peer"));
    answer(s, third, STAGE_INITIAL);
    answer(s, third, STAGE_FINAL);
    struct control c = {.type = MSG_PEERS};
    net_raw_send(third, &c, STAMP, false);
    net_run(s->net, 50 * NS_PER_MS);
    CHECK_EQ(mesh_up_count(s->node->mesh), 1);
    CHECK_EQ(s->node->ups - s->node->downs, 1);
    return third;
}

TEST(duplicates, first_steps_back_for_a_third)
{
    struct scene s;
    third_wins(&s);
    net_run(s.net, 6 * NS_PER_SEC); /* the second's handshake times out */
    need_one_link(&s);
}

TEST(duplicates, first_stands_again_for_a_third)
{
    struct scene s;
    net_raw_close(third_wins(&s));
    net_run(s.net, 100 * NS_PER_MS);
    need_one_link(&s);
}

/* A client is not kept in the book; one that takes a peer's place leaves its name to be dialled. */
TEST(duplicates, book_hears_of_the_end_of_a_client_in_a_peers_place)
{
    struct scene s = scene();
    struct net_end *ends[2];
    for (int i = 0; i < 2; i++) {
        s.peer->options.role = i == 0 ? ROLE_PEER : ROLE_CLIENT;
        ends[i] = net_raw_greet(s.net, s.peer, s.node, HANDS_OVER);
        CHECK(ends[i]);
        net_run(s.net, 100 * NS_PER_MS);
    }
    struct addrbook_view view;
    CHECK(addrbook_find(mesh_addrbook(s.node->mesh), s.peer->url, &view) && view.linked);
    for (int i = 0; i < 2; i++) {
        net_raw_close(ends[i]);
        net_run(s.net, 100 * NS_PER_MS);
    }
    CHECK_EQ(mesh_up_count(s.node->mesh), 0);
    CHECK(addrbook_find(mesh_addrbook(s.node->mesh), s.peer->url, &view) && !view.linked);
    net_free(s.net);
}

/* ---- One node, several lives ---- */

static void say(const struct scene *s, struct net_end *end, enum stage stage, uint64_t life)
{
    struct control c = net_raw_handshake(end->node, s->node, stage, HANDS_OVER);
    c.handshake.incarnation = life;
    net_raw_send(end, &c, STAMP + net_now(s->net), false);
    net_run(s->net, 50 * NS_PER_MS);
}

static struct net_end *link_up(const struct scene *s, uint64_t life)
{
    struct net_end *end = net_raw_connect(s->net, s->peer, s->node, false);
    say(s, end, STAGE_INITIAL, life);
    say(s, end, STAGE_FINAL, life);
    struct control c = {.type = MSG_PEERS};
    net_raw_send(end, &c, STAMP, false);
    net_run(s->net, 50 * NS_PER_MS);
    return end;
}

/* The node has dialled a peer and been dialled by it, when the peer's host loses power. It is back
 * with another incarnation, and linked, when an answer of its former life arrives. */
TEST(duplicates, an_answer_that_a_former_life_left_behind)
{
    struct scene s = scene();
    struct net_node *name = net_raw_listen(s.net, "tcp://10.9.9.8:7400/peer");
    struct net_end *answers = dialled(&s, name);
    struct net_end *dials = net_raw_connect(s.net, s.peer, s.node, false);
    say(&s, dials, STAGE_INITIAL, 1);
    link_up(&s, 2);
    CHECK_EQ(s.node->ups, 1);
    say(&s, answers, STAGE_INITIAL, 1);
    CHECK_EQ(s.node->downs, 0);
    struct addrbook_view view;
    CHECK(addrbook_find(mesh_addrbook(s.node->mesh), name->url, &view) && view.linked);
    need_one_link(&s);
}

/* Who is dialled after that and says to be the one that had to go is there: it is believed. */
TEST(duplicates, a_former_life_that_is_not_over)
{
    struct scene s = scene();
    link_up(&s, 1);
    link_up(&s, 2);
    CHECK_EQ(s.node->downs, 1);
    struct net_end *end = dialled(&s, net_raw_listen(s.net, "tcp://10.9.9.8:7400/peer"));
    say(&s, end, STAGE_INITIAL, 1);
    CHECK_EQ(s.node->downs, 2);
    say(&s, end, STAGE_FINAL, 1);
    struct control c = {.type = MSG_PEERS};
    net_raw_send(end, &c, STAMP, false);
    net_run(s.net, 50 * NS_PER_MS);
    need_one_link(&s);
}

/* ---- One name, several nodes ---- */

static bool linked_in_book(const struct scene *s)
{
    struct addrbook_view view;
    return addrbook_find(mesh_addrbook(s->node->mesh), s->peer->url, &view) && view.linked;
}

/* The next one at the peer's address, as after a restart without its book. */
static struct net_end *restarted(const struct scene *s, enum role role)
{
    s->peer->id[0]++;
    s->peer->options.role = role;
    struct net_end *end = net_raw_greet(s->net, s->peer, s->node, HANDS_OVER);
    CHECK(end);
    net_run(s->net, 100 * NS_PER_MS);
    return end;
}

/* The name stays linked while one of them is, and nobody is dialled, in whatever order they end. */
static void end_in_order(const unsigned order[3])
{
    struct scene s = scene();
    struct net_end *ends[3];
    for (unsigned i = 0; i < 3; i++)
        ends[i] = restarted(&s, ROLE_PEER);
    CHECK_EQ(mesh_up_count(s.node->mesh), 3);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(linked_in_book(&s));
        net_raw_close(ends[order[i]]);
        net_run(s.net, 100 * NS_PER_MS);
    }
    CHECK(!linked_in_book(&s));
    struct mesh_counts counts;
    mesh_count(s.node->mesh, &counts);
    CHECK_EQ(counts.dials, 0);
    net_free(s.net);
}

TEST(duplicates, one_name_of_three_nodes)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(orders); i++)
        end_in_order(orders[i]);
}

/* A client is not dialled, and keeps nobody from being known once it has gone. */
TEST(duplicates, one_name_of_a_client_and_a_peer)
{
    struct scene s = scene();
    struct net_end *client = restarted(&s, ROLE_CLIENT), *peer = restarted(&s, ROLE_PEER);
    CHECK(!linked_in_book(&s));
    net_raw_close(client);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK(linked_in_book(&s));
    client = restarted(&s, ROLE_CLIENT);
    net_raw_close(peer);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK(!linked_in_book(&s));
    net_raw_close(client);
    net_free(s.net);
}
