/* Refusals: whatever is wrong, the reason goes out before the connection ends, and the node serves
 * on. Base peers in both roles, and connections that say nothing. */
#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define WHY 256

static struct net *make(uint64_t seed)
{
    struct net_options options = {.seed = seed};
    return net_new(&options);
}

static struct net_node *add(struct net *net, const struct net_node_options *options)
{
    struct net_node *node = net_add(net, options);
    CHECK(net_start(node, false));
    return node;
}

/* RESULT with this error came, then the end. */
static void need_refusal(struct net_end *end, int error, const char *word)
{
    struct control c;
    if (!net_raw_await(end, MSG_RESULT, 6 * NS_PER_SEC, &c))
        FAIL("no RESULT came that says %s", word);
    CHECK_EQ(result_to_error(c.result.error), error);
    if (!strstr(c.result.description, word))
        FAIL("\"%s\" does not say %s", c.result.description, word);
    control_fini(&c);
    net_run(end->conn->net, 100 * NS_PER_MS);
    CHECK(end->got_end);
    net_raw_close(end);
}

struct scene {
    struct net *net;
    struct net_node *node, *peer;
};

static struct scene scene(const struct net_node_options *options)
{
    struct net *net = make(1);
    return (struct scene){.net = net,
                          .node = add(net, options),
                          .peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer")};
}

/* The node still takes a real peer. */
static void serves_on(struct scene *s)
{
    struct net_node *other = add(s->net, &s->node->options);
    net_configure(other, s->node->url);
    char why[WHY] = "";
    if (net_run_whole(s->net, 4 * NS_PER_SEC, why, sizeof(why)) == NEVER)
        FAIL("%s", why);
    net_free(s->net);
}

static struct control initial(const struct scene *s)
{
    return net_raw_handshake(s->peer, s->node, STAGE_INITIAL, FEATURE_GOODBYE);
}

static struct net_end *connect_and_send(const struct scene *s, const struct control *c)
{
    struct net_end *end = net_raw_connect(s->net, s->peer, s->node, false);
    net_raw_send(end, c, 1, false);
    return end;
}

TEST(refuse, a_handshake_once_the_link_is_up)
{
    struct scene s = scene(&(struct net_node_options){0});
    struct net_end *end = net_raw_greet(s.net, s.peer, s.node, FEATURE_GOODBYE);
    CHECK(end != NULL);
    struct control c = net_raw_handshake(s.peer, s.node, STAGE_UPDATE, FEATURE_GOODBYE);
    net_raw_send(end, &c, 2, true);
    struct control answer;
    CHECK(net_raw_await(end, MSG_PING, 4 * NS_PER_SEC, &answer)); /* an UPDATE is let pass */
    control_fini(&answer);
    CHECK(!end->got_end);
    c = initial(&s);
    net_raw_send(end, &c, 3, false);
    need_refusal(end, WEFT_EMALFORMED, "HANDSHAKE");
    serves_on(&s);
}

TEST(refuse, another_network)
{
    struct scene s = scene(&(struct net_node_options){.network = "lab"});
    struct control c = initial(&s);
    c.handshake.network = "factory";
    need_refusal(connect_and_send(&s, &c), WEFT_ENETWORK, "factory");
    CHECK_EQ(s.node->refused, 1);
    serves_on(&s);
}

/* Both sides are told, and the one that dialled keeps it as last_error. */
TEST(refuse, another_network_dialled)
{
    struct net *net = make(2);
    struct net_node *a = add(net, &(struct net_node_options){.network = "lab"});
    struct net_node *b = add(net, NULL);
    net_configure(b, a->url);
    net_run(net, NS_PER_SEC);
    CHECK_EQ(a->last_error, WEFT_ENETWORK);
    CHECK_EQ(b->last_error, WEFT_ENETWORK);
    struct addrbook_view view;
    CHECK(addrbook_find(mesh_addrbook(b->mesh), a->url, &view));
    CHECK(strstr(view.last_error, "lab") != NULL);
    net_free(net);
}

TEST(refuse, itself)
{
    struct net *net = make(3);
    struct net_node_options options = {.url = "tcp://0.0.0.0:7400/n0"};
    struct net_node *node = add(net, &options);
    net_configure(node, "tcp://10.0.0.1:7400/n0");
    net_run(net, NS_PER_SEC);
    CHECK_EQ(node->last_error, WEFT_ESELF);
    uint64_t dials = net_counts(net)->dials;
    CHECK(net_configure(node, "tcp://10.0.0.1:7400/n0") == WEFT_ESELF);
    net_run(net, 120 * NS_PER_SEC);
    CHECK_EQ(net_counts(net)->dials, dials);
    CHECK(list_empty(mesh_links(node->mesh)));
    net_free(net);
}

TEST(refuse, a_second_handshake)
{
    struct scene s = scene(NULL);
    struct net_end *end = net_raw_greet(s.net, s.peer, s.node, FEATURE_GOODBYE);
    CHECK(end);
    struct control c = initial(&s);
    net_raw_send(end, &c, 2, false);
    need_refusal(end, WEFT_EMALFORMED, "HANDSHAKE");
    struct control early = initial(&s);
    end = connect_and_send(&s, &early);
    net_raw_send(end, &early, 2, false);
    need_refusal(end, WEFT_EMALFORMED, "HANDSHAKE");
    serves_on(&s);
}

TEST(refuse, frames_before_the_handshake_is_done)
{
    struct decl d = {.route = "T@peer.x", .registered = true};
    const char *name = "tcp://10.1.1.1:7400/x";
    struct control early[] = {
        {.type = MSG_INTENT, .decls = {.items = &d, .count = 1}},
        {.type = MSG_PEERS, .peers = {.ids = &name, .count = 1}},
        {.type = MSG_DIGEST},
        {.type = MSG_ADDRBOOK},
        {.type = MSG_QUERY},
        {.type = MSG_ANSWER},
        {.type = MSG_GOODBYE},
    };
    struct scene s = scene(NULL);
    for (size_t i = 0; i < ARRAY_LEN(early); i++)
        need_refusal(connect_and_send(&s, &early[i]), WEFT_EMALFORMED,
                     early[i].type == MSG_PEERS ? "PEERS" : "before DONE");
    CHECK_EQ(s.node->ups, 0);
    serves_on(&s);
}

/* One standard frame of any type and body. */
static void send_raw_frame(struct net_end *end, uint32_t type, const void *body, size_t size)
{
    uint8_t bytes[256];
    struct header header = {.timestamp = 5, .type = type};
    size_t head = frame_put_standard(bytes, &header, size);
    memcpy(bytes + head, body, size);
    net_raw_write(end, bytes, head + size);
}

TEST(refuse, unknown_types)
{
    struct scene s = scene(NULL);
    struct net_end *end = net_raw_connect(s.net, s.peer, s.node, false);
    send_raw_frame(end, 77, "x", 1);
    need_refusal(end, WEFT_EPROTO, "77");
    end = net_raw_greet(s.net, s.peer, s.node, FEATURE_GOODBYE);
    CHECK(end);
    send_raw_frame(end, 77, "x", 1); /* later versions may know more: skipped */
    net_run(s.net, NS_PER_SEC);
    CHECK(!end->got_end);
    net_raw_close(end);
    serves_on(&s);
}

TEST(refuse, malformed_bodies)
{
    static const uint32_t types[] = {MSG_HANDSHAKE, MSG_INTENT, MSG_INTERESTS, MSG_PEERS,
                                     MSG_DIGEST,    MSG_PING,   MSG_RESULT,    MSG_ADDRBOOK};
    struct scene s = scene(NULL);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct net_end *end = net_raw_connect(s.net, s.peer, s.node, false);
        send_raw_frame(end, types[i], "\x0a\xff\xff", 3);
        need_refusal(end, WEFT_EMALFORMED, "body");
        end = net_raw_greet(s.net, s.peer, s.node, 0);
        CHECK(end);
        send_raw_frame(end, types[i], "\x0a\xff\xff", 3);
        need_refusal(end, WEFT_EMALFORMED, "body");
    }
    struct net_end *end = net_raw_connect(s.net, s.peer, s.node, false);
    net_raw_write(end, "GET / HTTP/1.1\r\n\r\n", 18);
    need_refusal(end, WEFT_EMALFORMED, "frame");
    serves_on(&s);
}

/* A peer that knows GOODBYE is told by it once it is up. */
TEST(refuse, goodbye_goes_out)
{
    struct scene s = scene(NULL);
    struct control c;
    struct net_end *end = net_raw_greet(s.net, s.peer, s.node, FEATURE_GOODBYE);
    CHECK(end);
    net_raw_write(end, "garbage garbage garbage", 23);
    CHECK(net_raw_await(end, MSG_GOODBYE, NS_PER_SEC, &c));
    CHECK_EQ(c.goodbye.reason, GOODBYE_PROTOCOL);
    control_fini(&c);
    net_raw_close(end);
    end = net_raw_greet(s.net, s.peer, s.node, FEATURE_GOODBYE);
    CHECK(end);
    CHECK_EQ(mesh_forget(s.node->mesh, s.peer->url, net_moment_of(s.node)), 0);
    CHECK(net_raw_await(end, MSG_GOODBYE, NS_PER_SEC, &c));
    CHECK_EQ(c.goodbye.reason, GOODBYE_FORGOTTEN);
    control_fini(&c);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK(end->got_end);
    net_raw_close(end);
    end = net_raw_greet(s.net, s.peer, s.node, FEATURE_GOODBYE);
    CHECK(end);
    net_leave(s.node);
    CHECK(net_raw_await(end, MSG_PEERS, NS_PER_SEC, &c));
    CHECK(c.peers.remove);
    CHECK_STR(c.peers.ids[0], s.node->url);
    control_fini(&c);
    CHECK(net_raw_await(end, MSG_GOODBYE, NS_PER_SEC, &c));
    CHECK_EQ(c.goodbye.reason, GOODBYE_SHUTDOWN);
    control_fini(&c);
    net_free(s.net);
}

/* Forgotten while it is being dialled: the dial does not bring it back. */
TEST(refuse, forgotten_while_dialled)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net *net = make(seed);
        struct net_node *a = add(net, NULL), *b = add(net, NULL);
        net_configure(a, b->url);
        net_run(net, seed * 4 * NS_PER_MS);
        CHECK_EQ(mesh_forget(a->mesh, b->url, net_moment_of(a)), 0);
        net_settle(a);
        net_run(net, NS_PER_SEC);
        if (mesh_up_count(a->mesh))
            FAIL("seed %llu: linked again", (unsigned long long)seed);
        net_free(net);
    }
}

/* A ban ends the link, whatever we dialled; the other side is told why, and refused from then on.
 */
TEST(refuse, banned_by_the_operator)
{
    struct scene s = scene(&(struct net_node_options){0});
    struct net_end *end = net_raw_greet(s.net, s.peer, s.node, FEATURE_GOODBYE);
    CHECK(end != NULL);
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    CHECK_EQ(mesh_ban(s.node->mesh, "nonsense", NEVER, net_moment_of(s.node)), WEFT_EURL);
    CHECK_EQ(mesh_ban(s.node->mesh, s.peer->url, NEVER, net_moment_of(s.node)), 0);
    net_settle(s.node);
    CHECK_EQ(mesh_up_count(s.node->mesh), 0);
    struct control c;
    CHECK(net_raw_await(end, MSG_GOODBYE, NS_PER_SEC, &c));
    CHECK_EQ(c.goodbye.reason, GOODBYE_BANNED);
    CHECK_STR(c.goodbye.description, "banned here by the operator");
    control_fini(&c);
    net_raw_close(end);
    c = initial(&s);
    need_refusal(connect_and_send(&s, &c), WEFT_EDENIED, "banned here by the operator");
    CHECK_EQ(mesh_ban(s.node->mesh, s.peer->url, 0, net_moment_of(s.node)), 0);
    end = net_raw_greet(s.net, s.peer, s.node, FEATURE_GOODBYE);
    CHECK(end != NULL);
    net_raw_close(end);
    serves_on(&s);
}

/* ---- Base peers ---- */

static struct control base_handshake(const struct scene *s, enum stage stage)
{
    return (struct control){.type = MSG_HANDSHAKE,
                            .handshake = {.me = s->peer->url, .you = s->node->url, .stage = stage}};
}

/* What may be said to a base peer, by any frame that came. */
static void only_base_types(struct net_end *end)
{
    struct header header;
    struct control c;
    while (net_raw_next(end, &header, &c)) {
        if (header.type > MSG_PEERS || (header.type > MSG_PONG && header.type < MSG_HANDSHAKE))
            FAIL("type %u was sent to a base peer", header.type);
        control_fini(&c);
    }
}

static void base_exchange(struct scene *s, struct net_end *end)
{
    struct control c;
    CHECK(net_open(s->node, true, "T@n0.x", NULL));
    CHECK(net_open(s->node, false, "T@peer.*", NULL));
    net_run(s->net, NS_PER_SEC);
    only_base_types(end); /* nothing of our own accord */
    struct decl wants = {.route = "T@n0.x", .registered = true};
    struct control interest = {.type = MSG_INTEREST, .decls = {.items = &wants, .count = 1}};
    net_raw_send(end, &interest, 1, false);
    CHECK(net_raw_await(end, MSG_INTENT, NS_PER_SEC, &c));
    CHECK_STR(c.decls.items[0].route, "T@n0.x");
    CHECK_EQ(c.decls.items[0].ttl_ns, 0);
    control_fini(&c);
    struct decl has = {.route = "T@peer.y", .registered = true};
    struct control intent = {.type = MSG_INTENT, .decls = {.items = &has, .count = 1}};
    net_raw_send(end, &intent, 1, false);
    CHECK(net_raw_await(end, MSG_INTEREST, NS_PER_SEC, &c));
    CHECK_STR(c.decls.items[0].route, "T@peer.y");
    control_fini(&c);
    uint8_t payload[1024] = {1};
    struct control ping = {.type = MSG_PING,
                           .ping = {.payload = payload, .payload_len = sizeof(payload)}};
    for (unsigned i = 0; i < 40; i++) {
        net_raw_send(end, &ping, i + 1, false);
        CHECK(net_raw_await(end, MSG_PONG, NS_PER_SEC, &c));
        CHECK_EQ(c.ping.payload_len, sizeof(payload));
        control_fini(&c);
        net_run(s->net, 3 * NS_PER_SEC);
        only_base_types(end);
    }
    CHECK(!end->got_end);
    struct router_counts counts;
    router_count(mesh_router(s->node->mesh), &counts);
    CHECK_EQ(counts.remote_intents + counts.remote_interests, 2); /* no ttl for it */
}

TEST(base, dials_us)
{
    struct scene s = scene(NULL);
    struct control c, hello = base_handshake(&s, STAGE_INITIAL);
    struct net_end *end = net_raw_connect(s.net, s.peer, s.node, false);
    uint8_t payload[16] = {1};
    struct control ping = {.type = MSG_PING, .ping = {.payload = payload, .payload_len = 16}};
    net_raw_send(end, &ping, 1, false); /* it does so before the handshake */
    net_raw_send(end, &hello, 1, false);
    CHECK(net_raw_await(end, MSG_HANDSHAKE, NS_PER_SEC, &c));
    CHECK_EQ(c.handshake.stage, STAGE_FINAL);
    control_fini(&c);
    CHECK(net_raw_await(end, MSG_PEERS, NS_PER_SEC, &c));
    control_fini(&c);
    hello = base_handshake(&s, STAGE_FINAL);
    net_raw_send(end, &hello, 1, false);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    base_exchange(&s, end);
    net_leave(s.node);
    only_base_types(end);
    net_free(s.net);
}

TEST(base, is_dialled)
{
    struct scene s = scene(NULL);
    net_configure(s.node, s.peer->url);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK(!list_empty(&s.peer->conns));
    struct net_end *end = list_entry(s.peer->conns.next, struct net_end, in_raw);
    struct control c;
    CHECK(net_raw_await(end, MSG_HANDSHAKE, NS_PER_SEC, &c));
    CHECK_EQ(c.handshake.stage, STAGE_INITIAL);
    CHECK_EQ(c.handshake.n_intents + c.handshake.n_interests, 0);
    control_fini(&c);
    struct control hello = base_handshake(&s, STAGE_FINAL), peers = {.type = MSG_PEERS};
    net_raw_send(end, &hello, 1, false);
    net_raw_send(end, &peers, 2, false);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    base_exchange(&s, end);
    net_free(s.net);
}

TEST(base, is_refused_by_a_named_network)
{
    struct scene s = scene(&(struct net_node_options){.network = "lab"});
    struct control c = base_handshake(&s, STAGE_INITIAL);
    need_refusal(connect_and_send(&s, &c), WEFT_EDENIED, "allow_base");
    net_free(s.net);
    s = scene(&(struct net_node_options){.network = "lab", .allow_base = true});
    c = base_handshake(&s, STAGE_INITIAL);
    struct net_end *end = connect_and_send(&s, &c);
    CHECK(net_raw_await(end, MSG_PEERS, NS_PER_SEC, &c));
    control_fini(&c);
    net_free(s.net);
}

/* ---- Connections that say nothing, or too little ---- */

static void flood(bool identified)
{
    struct scene s = scene(NULL);
    struct net_node *other = net_add(s.net, NULL);
    struct net_end *ends[150];
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        ends[i] = net_raw_connect(s.net, s.peer, s.node, false);
        struct control c = initial(&s);
        uint8_t id[16] = {9, (uint8_t)i};
        c.handshake.node_id = id;
        if (identified)
            net_raw_send(ends[i], &c, 1, false);
        net_run(s.net, 5 * NS_PER_MS);
    }
    CHECK(net_counts(s.net)->pending_max == 100);
    CHECK(net_start(other, false));
    net_configure(other, s.node->url);
    char why[WHY] = "";
    if (net_run_whole(s.net, 2 * NS_PER_SEC, why, sizeof(why)) == NEVER)
        FAIL("%s", why);
    CHECK(net_counts(s.net)->pending_max == 100);
    net_run(s.net, 6 * NS_PER_SEC);
    unsigned evicted = 0;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct control c;
        CHECK(net_raw_await(ends[i], MSG_RESULT, 0, &c));
        int error = result_to_error(c.result.error);
        CHECK(error == WEFT_ELIMIT || error == WEFT_EHANDSHAKE);
        evicted += error == WEFT_ELIMIT;
        control_fini(&c);
        CHECK(ends[i]->got_end);
    }
    CHECK_EQ(evicted, 51); /* for the 101st to the 150th, and for the real peer */
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    net_free(s.net);
}

TEST(silent, a_hundred_and_fifty_say_nothing)
{
    flood(false);
}

TEST(silent, a_hundred_and_fifty_stop_half_way)
{
    flood(true);
}

TEST(silent, no_more_links_than_max_peers)
{
    struct scene s = scene(&(struct net_node_options){.max_peers = 3});
    struct net_end *ends[6];
    for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
        char url[64];
        snprintf(url, sizeof(url), "tcp://10.20.0.%u:7400/peer", i + 1);
        struct net_node *peer = net_raw_listen(s.net, url);
        ends[i] = net_raw_connect(s.net, peer, s.node, false);
        struct control c = net_raw_handshake(peer, s.node, STAGE_INITIAL, 0);
        net_raw_send(ends[i], &c, 1, false);
    }
    net_run(s.net, 200 * NS_PER_MS); /* all are identified before any is up */
    for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
        struct control c = net_raw_handshake(ends[i]->node, s.node, STAGE_FINAL, 0);
        net_raw_send(ends[i], &c, 1, false);
    }
    net_run(s.net, 200 * NS_PER_MS);
    CHECK_EQ(mesh_up_count(s.node->mesh), 3);
    net_free(s.net);
}
