/* What a peer says in somebody else's name is refused with its reason, or changes nothing: PEERS,
 * INTENT, HANDSHAKE, GOODBYE, and a handshake with another's name, node id, or address for us. */
#include "lab.h"

#include <stdio.h>

/* A node, a real peer of it, and a liar; nobody is configured but the node at the peer, so that the
 * node knows the peer by its link alone. */
struct scene {
    struct net *net;
    struct net_node *node, *victim, *raw;
    struct net_end *liar;
};

static struct scene scene(uint64_t seed, const struct lab_claim *claim)
{
    struct scene s = {.net = lab_net(seed)};
    s.node = lab_node(s.net);
    s.victim = lab_node(s.net);
    net_configure(s.victim, s.node->url);
    lab_whole(s.net, 5 * NS_PER_SEC, "the start");
    s.raw = net_raw_listen(s.net, "tcp://10.9.9.9:7400/liar");
    struct lab_claim none = {0};
    none = claim ? *claim : none;
    if (none.me)
        none.me = s.victim->url;
    if (none.id)
        none.id = s.victim->id;
    s.liar = lab_join(s.net, s.raw, s.node, &none);
    return s;
}

static uint64_t dials_of(const struct net_node *node)
{
    struct mesh_counts counts;
    mesh_count(node->mesh, &counts);
    return counts.dials;
}

/* The peer is linked and known as before, and was not dialled. */
static void victim_is_as_before(struct scene *s)
{
    struct addrbook_view view = lab_view(s->node, s->victim->url);
    CHECK(view.linked && !view.dialing);
    CHECK(view.node_id && memcmp(view.node_id, s->victim->id, sizeof(s->victim->id)) == 0);
    CHECK_STR(view.peer, s->victim->url);
    CHECK_EQ(s->node->downs, 0);
    CHECK_EQ(s->victim->downs, 0);
    CHECK_EQ(view.attempts, 0); /* it was the peer that dialled */
    lab_whole(s->net, 0, "the forgery");
}

/* Once more with the link lost: the node finds the peer again by itself. */
static void victim_is_found_again(struct scene *s)
{
    struct net_conn *conn = net_find(s->net, s->node, s->victim);
    CHECK(conn);
    net_cut(conn, conn->ends[0].node == s->node ? 0 : 1, NET_CUT_ONE);
    /* Its first pause is 1 s at most; the victim knows of nothing. */
    net_run(s->net, 1100 * NS_PER_MS);
    CHECK_EQ(dials_of(s->node), 1);
    lab_whole(s->net, 16 * NS_PER_SEC, "a cut");
}

/* ---- PEERS ---- */

TEST(adversarial, forged_peers_remove_of_another)
{
    struct scene s = scene(1, NULL);
    lab_peers(s.liar, (const char *const[]){s.victim->url}, 1, true);
    lab_refused(s.liar, lab_stamp(), WEFT_EDENIED, "itself");
    lab_alive(s.liar);
    victim_is_as_before(&s);
    lab_peers(s.liar, (const char *const[]){s.raw->url, s.victim->url}, 2, true);
    lab_refused(s.liar, lab_stamp(), WEFT_EDENIED, "itself");
    CHECK(!lab_knows(s.node, s.raw->url)); /* that one was its own */
    victim_is_as_before(&s);
    victim_is_found_again(&s);
    net_free(s.net);
}

/* It names those that are linked, by other paths and in other spellings. */
TEST(adversarial, forged_peers_names_of_others)
{
    struct scene s = scene(2, NULL);
    char text[128];
    snprintf(text, sizeof(text), "tcp://%s:7400/elsewhere", s.victim->host);
    lab_peers(s.liar, (const char *const[]){text, s.victim->url, s.node->url, s.raw->url}, 4,
              false);
    lab_alive(s.liar);
    net_run(s.net, 8 * NS_PER_SEC);
    lab_alive(s.liar);
    CHECK(!lab_knows(s.node, s.node->url));
    victim_is_as_before(&s);
    net_free(s.net);
}

/* ---- INTENT ---- */

TEST(adversarial, forged_intent_for_the_scope_of_another)
{
    struct scene s = scene(3, NULL);
    CHECK(net_open(s.node, false, "T@*.x", NULL));
    CHECK(net_open(s.victim, true, "T@n1.x", NULL));
    lab_whole(s.net, NS_PER_SEC, "routes");
    struct router_counts before, now;
    router_count(mesh_router(s.node->mesh), &before);
    lab_declare(s.liar, true, "T@n1.x", 5);
    lab_refused(s.liar, lab_stamp(), WEFT_EDENIED, "T@n1.x");
    CHECK_EQ(s.node->route_refused, 1);
    struct decl mixed[] = {
        {.route = "T@liar.x", .registered = true, .alias = 6, .origin = ""},
        {.route = "T@n1.y", .registered = true, .alias = 7, .origin = ""},
    };
    lab_send(s.liar, &(struct control){.type = MSG_INTENTS, .decls = {.items = mixed, .count = 2}});
    lab_refused(s.liar, lab_stamp(), WEFT_EDENIED, "T@n1.y");
    /* To withdraw what another has registered is no error, and changes nothing. */
    struct decl gone = {.route = "T@n1.x", .alias = 1, .origin = ""};
    lab_send(s.liar, &(struct control){.type = MSG_INTENT, .decls = {.items = &gone, .count = 1}});
    lab_alive(s.liar);
    router_count(mesh_router(s.node->mesh), &now);
    CHECK_EQ(now.remote_intents, before.remote_intents + 1); /* its own, and none of the others */
    victim_is_as_before(&s);
    net_free(s.net);
}

/* ---- HANDSHAKE ---- */

TEST(adversarial, forged_second_handshake)
{
    struct scene s = scene(4, NULL);
    struct control c = net_raw_handshake(s.raw, s.node, STAGE_INITIAL, FEATURE_GOODBYE);
    c.handshake.me = s.victim->url;
    c.handshake.node_id = s.victim->id;
    lab_send(s.liar, &c);
    lab_thrown_out(s.liar, WEFT_EMALFORMED, "HANDSHAKE");
    s.node->downs--; /* the liar's */
    victim_is_as_before(&s);
    for (enum stage stage = STAGE_INITIAL; stage <= STAGE_UPDATE; stage++) {
        struct net_end *end = net_raw_connect(s.net, s.raw, s.node, false);
        c = net_raw_handshake(s.raw, s.node, STAGE_INITIAL, FEATURE_GOODBYE);
        lab_send(end, &c);
        c.handshake.stage = stage;
        c.handshake.me = s.victim->url; /* agreed was another */
        lab_send(end, &c);
        lab_thrown_out(end, WEFT_EMALFORMED, "HANDSHAKE");
    }
    victim_is_as_before(&s);
    net_free(s.net);
}

/* ---- The name of another ---- */

static const struct lab_claim its_name = {.me = "its"};

/* It calls itself by the address of a peer that is linked: a name in the book belongs to who had it
 * first, as long as that one's link stands. */
TEST(adversarial, the_name_of_another_departs)
{
    struct scene s = scene(5, &its_name);
    lab_alive(s.liar);
    victim_is_as_before(&s);
    lab_peers(s.liar, (const char *const[]){s.victim->url}, 1, true);
    lab_refused(s.liar, lab_stamp(), WEFT_EDENIED, "itself");
    victim_is_as_before(&s);
    lab_goodbye(s.liar, GOODBYE_FORGOTTEN);
    net_run(s.net, NS_PER_SEC);
    s.node->downs--;
    victim_is_as_before(&s);
    victim_is_found_again(&s);
    net_free(s.net);
}

/* Its end is not that of the peer. The other way round: who came second has the name afterwards. */
TEST(adversarial, the_name_of_another_is_lost)
{
    struct scene s = scene(6, &its_name);
    net_raw_close(s.liar);
    net_run(s.net, 5 * NS_PER_SEC);
    s.node->downs--;
    victim_is_as_before(&s);
    s.liar = lab_join(s.net, s.raw, s.node, &(struct lab_claim){.me = s.victim->url});
    net_kill(s.victim, NET_DEATH_CLOSES);
    net_run(s.net, NS_PER_SEC);
    lab_alive(s.liar);
    struct addrbook_view view = lab_view(s.node, s.victim->url);
    CHECK(view.linked && memcmp(view.node_id, s.raw->id, 16) == 0);
    net_free(s.net);
}

/* ---- The node id of another ---- */

/* Nothing proves a node id: who has that of a peer takes its place. The peer notices at once, and
 * takes it back. */
static void steal(uint64_t seed, bool same_incarnation)
{
    struct scene s = scene(seed, NULL);
    CHECK(net_open(s.node, true, "T@n0.x", NULL));
    CHECK(net_open(s.victim, false, "T@n0.x", NULL));
    lab_whole(s.net, NS_PER_SEC, "routes");
    uint64_t incarnation = 99;
    list_each (it, mesh_links(s.node->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (same_incarnation && memcmp(l->hs.node_id, s.victim->id, sizeof(s.victim->id)) == 0)
            incarnation = l->hs.incarnation;
    }
    struct lab_claim claim = {
        .id = s.victim->id, .incarnation = incarnation, .stamp = LAB_WALL + 3600 * NS_PER_SEC};
    struct net_end *thief = lab_join(s.net, s.raw, s.node, &claim);
    net_run(s.net, 500 * NS_PER_MS);
    if (same_incarnation)
        net_raw_close(thief); /* until then both are read, see "Handing over" */
    lab_whole(s.net, 3 * NS_PER_SEC, "the theft of its node id");
    net_run(s.net, 5 * NS_PER_SEC);
    lab_whole(s.net, 0, "a while");
    net_free(s.net);
}

TEST(adversarial, the_node_id_of_another)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        steal(seed, seed % 2);
}

/* ---- Our own name ---- */

/* A node that listens on all addresses learns from others how it is reached. Who answers at an
 * address that it merely heard of could give it that of a peer, which it would take for its own and
 * never dial. */
static void called_by_the_name_of(struct net *net, struct net_node *node, const char *name)
{
    struct net_node *raw = net_raw_listen(net, "tcp://10.9.9.9:7400/liar");
    struct net_node *second = net_raw_listen(net, "tcp://10.9.9.8:7400/liar");
    struct net_end *liar = lab_join(net, raw, node, NULL);
    lab_peers(liar, (const char *const[]){second->url}, 1, false);
    struct net_end *end = lab_answer(second, node, NS_PER_SEC, &(struct lab_claim){.you = name});
    CHECK(end);
    lab_alive(end);
}

TEST(adversarial, called_by_the_name_of_a_peer)
{
    struct net *net = lab_net(7);
    struct net_node *node =
        net_add(net, &(struct net_node_options){.url = "tcp://0.0.0.0:7400/n0"});
    struct net_node *configured = net_add(net, NULL), *later = net_add(net, NULL);
    CHECK(net_start(node, false));
    net_configure(node, configured->url); /* it is down */
    net_run(net, NS_PER_SEC);
    char name[128];
    snprintf(name, sizeof(name), "tcp://%s:7400/n0", configured->host);
    called_by_the_name_of(net, node, name);
    CHECK(lab_knows(node, configured->url));
    snprintf(name, sizeof(name), "tcp://%s:7400/n0", later->host);
    CHECK_EQ(net_configure(node, later->url), 0);
    CHECK(net_start(configured, false));
    CHECK(net_start(later, false));
    net_run(net, 5 * NS_PER_SEC);
    CHECK(lab_view(node, configured->url).linked);
    CHECK(lab_view(node, later->url).linked);
    net_free(net);
}

/* The same, when the node does not know the peer yet. */
TEST(adversarial, called_by_the_name_of_a_peer_to_come)
{
    struct net *net = lab_net(8);
    struct net_node *node =
        net_add(net, &(struct net_node_options){.url = "tcp://0.0.0.0:7400/n0"});
    struct net_node *later = net_add(net, NULL);
    CHECK(net_start(node, false));
    char name[128];
    snprintf(name, sizeof(name), "tcp://%s:7400/n0", later->host);
    called_by_the_name_of(net, node, name);
    CHECK(net_start(later, false));
    CHECK_EQ(net_configure(node, later->url), 0);
    net_run(net, 2 * NS_PER_SEC);
    CHECK(lab_view(node, later->url).linked);
    net_free(net);
}
