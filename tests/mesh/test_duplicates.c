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
