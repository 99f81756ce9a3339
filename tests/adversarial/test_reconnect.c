/* A reconnect never finds state of the former link. The peer leaves on the first link whatever can
 * be left there, half a frame too, the link ends in one of several ways, and the second link starts
 * from nothing. Aliases and queued messages are looked for in test_programs.py, on the real
 * programs. */
#include "lab.h"

enum ending { CLOSED, NEW_INCARNATION, SAME_INCARNATION, GOODBYE_FIRST, BREAKS_RULES, ENDINGS };

struct scene {
    struct net *net;
    struct net_node *node, *peer;
    struct net_end *first, *second;
    uint8_t nonce[16]; /* of a PING that was not answered */
};

static uint32_t remote_routes(const struct scene *s)
{
    struct router_counts counts;
    router_count(mesh_router(s->node->mesh), &counts);
    return counts.remote_intents + counts.remote_interests;
}

static void count_target(void *ctx, const struct router_target *target)
{
    *(unsigned *)ctx += 1;
}

static unsigned targets(const struct scene *s)
{
    unsigned n = 0;
    const struct net_route *own = list_entry(s->node->routes.next, struct net_route, in_node);
    router_each_target(mesh_router(s->node->mesh), own->rec, count_target, &n);
    return n;
}

/* Everything that a link can owe. */
static void leave_all_behind(struct scene *s, bool goodbye)
{
    struct mesh_link *l = lab_link(s->first);
    struct control c;
    lab_declare(s->first, true, "T@peer.x", 5);
    lab_declare(s->first, false, "T@n0.*", 0);
    lab_declare(s->first, true, "T@n0.not_its_own", 6); /* refused, and counted in digests */
    lab_refused(s->first, lab_stamp(), WEFT_EDENIED, "not_its_own");
    lab_alive(s->first);
    CHECK_EQ(remote_routes(s), 2);
    CHECK_EQ(targets(s), 1);
    CHECK_EQ(mesh_ping(s->node->mesh, l, 77, net_moment_of(s->node)), 0);
    CHECK_EQ(mesh_ask_book(s->node->mesh, l, 78, net_moment_of(s->node)), 0);
    net_settle(s->node);
    while (net_raw_await(s->first, MSG_PING, 50 * NS_PER_MS, &c)) {
        CHECK_EQ(c.ping.payload_len, sizeof(s->nonce));
        memcpy(s->nonce, c.ping.payload, sizeof(s->nonce));
        control_fini(&c);
    }
    lab_digest(s->first, "T@peer.other", NULL); /* differs: a resync is under way */
    lab_alive(s->first);
    if (goodbye)
        lab_goodbye(s->first, GOODBYE_IDLE);
    else
        net_raw_write(s->first, "\xfa\xda\xbe\xda\0\0\1\0\0\0", 10);
    net_run(s->net, 50 * NS_PER_MS);
}

static void end_and_reconnect(struct scene *s, enum ending how)
{
    struct lab_claim claim = {.incarnation = how == NEW_INCARNATION ? 2 : 1};
    if (how == CLOSED)
        net_raw_close(s->first);
    else if (how == BREAKS_RULES)
        net_raw_write(s->first, "garbage", 7);
    net_run(s->net, 50 * NS_PER_MS);
    s->second = lab_join(s->net, s->peer, s->node, &claim);
    net_run(s->net, 50 * NS_PER_MS);
}

/* The PONG and the book that the former link owed come over the new one. */
static void answer_late(struct scene *s)
{
    uint64_t answers = s->node->answers;
    struct book_record record = {.peer = "tcp://10.1.2.3:7400/x", .source = "", .last_error = ""};
    lab_send(s->second,
             &(struct control){.type = MSG_PONG, .ping = {.payload = s->nonce, .payload_len = 16}});
    lab_send(s->second,
             &(struct control){.type = MSG_ADDRBOOK, .book = {.records = &record, .count = 1}});
    lab_alive(s->second);
    CHECK_EQ(s->node->answers, answers);
}

static void reconnect(uint64_t seed, enum ending how)
{
    struct scene s = {.net = lab_net(seed)};
    s.node = lab_node(s.net);
    s.peer = net_raw_listen(s.net, "tcp://10.9.9.9:7400/peer");
    CHECK(net_open(s.node, true, "T@n0.x", NULL));
    s.first = lab_join(s.net, s.peer, s.node, NULL);
    leave_all_behind(&s, how == GOODBYE_FIRST);
    end_and_reconnect(&s, how);
    /* With the same incarnation the old link stands until the new one has all (docs/protocol.md,
     * "Handing over"), with its own state. */
    if (how == SAME_INCARNATION)
        net_raw_close(s.first);
    net_run(s.net, 50 * NS_PER_MS); /* that it is closed may be heard later than what follows */
    lab_alive(s.second);
    CHECK_EQ(s.node->answers, 2); /* what was asked over the first has failed, and says so */
    CHECK(s.node->last_answer < 0);
    CHECK_EQ(remote_routes(&s), 0);
    CHECK_EQ(targets(&s), 0);
    answer_late(&s);
    struct control c;
    lab_digest(s.second, NULL, NULL); /* nothing declared, nothing refused: it agrees */
    while (net_raw_await(s.second, MSG_DIGEST, 100 * NS_PER_MS, &c)) {
        CHECK(!c.digest.resync);
        control_fini(&c);
    }
    lab_declare(s.second, true, "T@peer.y", 5); /* the alias is free */
    lab_declare(s.second, false, "T@n0.x", 0);
    lab_alive(s.second);
    CHECK_EQ(remote_routes(&s), 2);
    CHECK_EQ(targets(&s), 1);
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    net_free(s.net);
}

TEST(adversarial, a_reconnect_finds_nothing_of_the_former_link)
{
    for (uint64_t seed = 1; seed <= 4 * ENDINGS; seed++)
        reconnect(seed, (enum ending)(seed % ENDINGS));
}
