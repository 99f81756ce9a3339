/* Names told and heard: bounded, checked, and used by one side. */
#include <weft/weft.h>

#include "tests/check.h"
#include "tests/sim/net.h"

#define WHY 256

static struct net *make(uint64_t seed)
{
    struct net_options options = {.seed = seed, .pieces = 10};
    return net_new(&options);
}

static struct net_node *add(struct net *net)
{
    struct net_node *node = net_add(net, NULL);
    CHECK(net_start(node, false));
    return node;
}

static void tell(struct net_end *end, const char *const *names, size_t count, bool removed)
{
    struct control c = {.type = MSG_PEERS,
                        .peers = {.ids = names, .count = count, .remove = removed}};
    net_raw_send(end, &c, 1, false);
    net_run(end->conn->net, 100 * NS_PER_MS);
}

static size_t names_of(const struct net_node *node)
{
    return addrbook_count(mesh_addrbook(node->mesh));
}

static bool knows(const struct net_node *node, const char *url)
{
    struct addrbook_view view;
    return addrbook_find(mesh_addrbook(node->mesh), url, &view);
}

static void need_result(struct net_end *end, int error, const char *word)
{
    struct control c;
    if (!net_raw_await(end, MSG_RESULT, NS_PER_SEC, &c))
        FAIL("no RESULT came");
    CHECK_EQ(result_to_error(c.result.error), error);
    if (!strstr(c.result.description, word))
        FAIL("\"%s\" does not say %s", c.result.description, word);
    control_fini(&c);
}

TEST(gossip, ten_thousand_names)
{
    struct net *net = make(1);
    struct net_node *node = add(net);
    struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
    struct net_end *end = net_raw_greet(net, peer, node, 0);
    CHECK(end);
    size_t before = names_of(node);
    enum { NAMES = 10000 };
    static char texts[NAMES][48];
    static const char *names[NAMES];
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(texts[i], sizeof(texts[i]), "tcp://10.50.%u.%u:7400/x", i / 250, i % 250 + 1);
        names[i] = texts[i];
    }
    tell(end, names, NAMES, false);
    CHECK_EQ(names_of(node), before + 250);
    need_result(end, WEFT_ELIMIT, "10000");
    for (unsigned i = 0; i < NAMES; i += 250)
        tell(end, names + i, 250, false);
    CHECK(names_of(node) <= before + ADDRBOOK_GOSSIP_SOURCE);
    CHECK(end->got_end == false);
    struct addrbook_view view;
    CHECK(addrbook_find(mesh_addrbook(node->mesh), peer->url, &view) && view.linked);
    net_run(net, 3 * NS_PER_SEC);
    uint64_t out = 0;
    list_each (it, mesh_links(node->mesh))
        out += list_entry(it, struct mesh_link, node)->state == LINK_DIALING;
    CHECK(out <= ADDRBOOK_DIALS_MAX);
    net_free(net);
}

TEST(gossip, names_that_are_not_taken)
{
    struct net *net = make(2);
    struct net_node *node = add(net), *other = add(net);
    struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
    struct net_end *end = net_raw_greet(net, peer, node, 0);
    CHECK(end);
    static char long_name[600];
    memset(long_name, 'x', sizeof(long_name) - 1);
    memcpy(long_name, "tcp://10.8.8.8:7400/", 20);
    const char *const names[] = {
        node->url,
        "tcp://127.0.0.1:7401/x",
        "tcp://[::1]:7401/x",
        "tcp://localhost:7401/x",
        "unix:///run/x.sock/x",
        "inproc://x/x",
        "serial:///dev/ttyUSB0/x",
        "tcp://0.0.0.0:7400/x",
        "tcp://[::]:7400/x",
        "tcp://10.7.7.7:0/x",
        "",
        "not a name",
        "tcp://",
        long_name,
    };
    size_t before = names_of(node);
    tell(end, names, ARRAY_LEN(names), false);
    CHECK_EQ(names_of(node), before);
    CHECK_EQ(net_counts(net)->dials, 0);
    tell(end, (const char *const[]){other->url}, 1, false);
    CHECK(knows(node, other->url));
    net_free(net);
}

/* A name of this host is worth something to who is on this host. */
TEST(gossip, loopback_on_the_same_host)
{
    struct net *net = make(3);
    struct net_node *node = add(net);
    struct net_node *peer = net_raw_listen(net, "tcp://127.0.0.1:7401/peer");
    struct net_end *end = net_raw_connect(net, peer, node, true);
    CHECK(net_raw_shake(end, 0));
    tell(end, (const char *const[]){"tcp://127.0.0.1:7402/x"}, 1, false);
    CHECK(knows(node, "tcp://127.0.0.1:7402/x"));
    struct net_node *far = net_raw_listen(net, "tcp://10.9.9.8:7400/far");
    struct net_end *remote = net_raw_connect(net, far, node, false);
    struct control c, first = net_raw_handshake(far, node, STAGE_INITIAL, 0);
    net_raw_send(remote, &first, 1, false);
    CHECK(net_raw_await(remote, MSG_HANDSHAKE, NS_PER_SEC, &c));
    control_fini(&c);
    first.handshake.stage = STAGE_FINAL;
    net_raw_send(remote, &first, 1, false);
    CHECK(net_raw_await(remote, MSG_PEERS, NS_PER_SEC, &c));
    CHECK_EQ(c.peers.count, 0); /* the loopback peer is not told to who is elsewhere */
    control_fini(&c);
    net_free(net);
}

/* A node on this host or another calls itself by a socket of this one: what becomes of the name? */
static bool is_taken_for_ours(bool local)
{
    static const char *const name = "unix:///run/door.sock/peer";
    struct net *net = make(5);
    struct net_node *node = add(net);
    struct net_end *end = net_raw_connect(net, net_raw_listen(net, name), node, local);
    CHECK(net_raw_shake(end, 0));
    bool known = knows(node, name);
    struct net_end *here =
        net_raw_connect(net, net_raw_listen(net, "tcp://127.0.0.1:7401/here"), node, true);
    struct control c, first = net_raw_handshake(here->node, node, STAGE_INITIAL, 0);
    net_raw_send(here, &first, 1, false);
    CHECK(net_raw_await(here, MSG_HANDSHAKE, NS_PER_SEC, &c));
    control_fini(&c);
    first.handshake.stage = STAGE_FINAL;
    net_raw_send(here, &first, 1, false);
    CHECK(net_raw_await(here, MSG_PEERS, NS_PER_SEC, &c));
    CHECK_EQ(c.peers.count, known); /* told where it is known, to who is on this host */
    control_fini(&c);
    net_raw_close(end);
    net_run(net, 3 * NS_PER_SEC);
    struct addrbook_view view;
    if (known)
        CHECK(addrbook_find(mesh_addrbook(node->mesh), name, &view) && view.attempts > 0);
    else
        CHECK(!knows(node, name));
    net_free(net);
    return known;
}

TEST(gossip, who_calls_itself_by_a_socket_of_this_host)
{
    CHECK(is_taken_for_ours(true));
    CHECK(!is_taken_for_ours(false));
}

/* A peer on this host tells of the name. */
static void hear_here(struct net_node *node, const char *name)
{
    list_each (it, mesh_links(node->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->local)
            CHECK_EQ(addrbook_add_gossip(mesh_addrbook(node->mesh), name, l->hs.peer.text, false,
                                         net_moment_of(node)),
                     1);
    }
}

/* From elsewhere nobody takes a name of this host out of the book. */
TEST(gossip, the_departure_of_a_socket)
{
    static const char *const name = "unix:///run/door.sock/peer";
    struct net *net = make(6);
    struct net_node *node = add(net);
    CHECK(net_raw_shake(
        net_raw_connect(net, net_raw_listen(net, "tcp://127.0.0.1:7401/x"), node, true), 0));
    struct net_end *end = net_raw_connect(net, net_raw_listen(net, name), node, false);
    CHECK(net_raw_shake(end, 0));
    hear_here(node, name);
    tell(end, &name, 1, true);
    CHECK(knows(node, name));
    net_free(net);
}

/* Nor does it go with whoever calls itself so elsewhere, when an operator forgets that one. */
TEST(gossip, who_is_forgotten_elsewhere)
{
    static const char *const name = "unix:///run/door.sock/peer", *const its = "tcp://10.7.7.7:1/x";
    struct net *net = make(8);
    struct net_node *node = add(net), *there = net_raw_listen(net, name);
    struct addrbook *book = mesh_addrbook(node->mesh);
    CHECK(net_raw_shake(
        net_raw_connect(net, net_raw_listen(net, "tcp://127.0.0.1:7401/x"), node, true), 0));
    CHECK(net_raw_shake(net_raw_connect(net, there, node, false), 0));
    hear_here(node, name);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(addrbook_linked(book, 0, its, there->id, net_moment_of(node)), 0);
        CHECK_EQ(i ? mesh_unconfigure(node->mesh, its, net_moment_of(node))
                   : mesh_forget(node->mesh, its, net_moment_of(node)),
                 0);
        CHECK(!knows(node, its) && knows(node, name));
        CHECK_EQ(mesh_up_count(node->mesh), 1);
        if (i == 0)
            CHECK(net_raw_shake(net_raw_connect(net, there, node, false), 0));
    }
    net_free(net);
}

TEST(gossip, a_forged_removal)
{
    struct net *net = make(4);
    struct net_node *node = add(net), *victim = add(net);
    net_configure(victim, node->url);
    struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
    struct net_end *end = net_raw_greet(net, peer, node, 0);
    CHECK(end);
    net_run(net, NS_PER_SEC);
    CHECK(knows(node, victim->url));
    tell(end, (const char *const[]){victim->url}, 1, true);
    need_result(end, WEFT_EDENIED, "itself");
    CHECK(knows(node, victim->url));
    char why[WHY];
    CHECK(net_whole(net, why, sizeof(why)));
    tell(end, (const char *const[]){peer->url}, 1, true);
    CHECK(!knows(node, peer->url));
    net_free(net);
}

/* Somebody told us, or not; but none of us has dialled it. */
static void need_undialled(const struct net_node *node, const char *url)
{
    struct addrbook_view view;
    if (addrbook_find(mesh_addrbook(node->mesh), url, &view))
        CHECK_EQ(view.attempts, 0);
}

/* Who left in good order is not dialled as long as a third may name it for not knowing better, and
 * not for long if a third names it all the same. */
TEST(gossip, the_departed_are_left_in_peace)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net *net = make(seed);
        struct net_node *a = add(net), *b = add(net), *c = add(net);
        net_configure(b, a->url);
        net_configure(c, a->url);
        char why[WHY] = "";
        CHECK(net_run_whole(net, 5 * NS_PER_SEC, why, sizeof(why)) != NEVER);
        net_leave(c);
        net_run(net, NS_PER_SEC);
        struct net_node *peer = net_raw_listen(net, "tcp://10.9.9.9:7400/peer");
        struct net_end *end = net_raw_greet(net, peer, a, 0);
        tell(end, (const char *const[]){c->url}, 1, false);
        net_run(net, 13 * NS_PER_SEC);
        CHECK(knows(a, c->url));
        need_undialled(a, c->url);
        need_undialled(b, c->url);
        net_run(net, 107 * NS_PER_SEC);
        CHECK(!knows(a, c->url) && !knows(b, c->url));
        CHECK(net_start(c, false)); /* it may come back when it likes */
        net_configure(c, b->url);
        CHECK(net_run_whole(net, 10 * NS_PER_SEC, why, sizeof(why)) != NEVER);
        net_free(net);
    }
}

/* Two nodes hear of each other at the same time: the smaller name dials. */
TEST(gossip, one_of_two_dials)
{
    unsigned crossed = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct net *net = make(seed);
        struct net_node *hub = add(net), *a = add(net), *b = add(net);
        net_configure(seed % 2 ? a : b, hub->url);
        net_run(net, NS_PER_SEC);
        net_configure(seed % 2 ? b : a, hub->url);
        char why[WHY] = "";
        if (net_run_whole(net, 4 * NS_PER_SEC, why, sizeof(why)) == NEVER)
            FAIL("seed %llu: %s", (unsigned long long)seed, why);
        const struct net_conn *conn = net_find(net, a, b);
        struct net_node *smaller = strcmp(a->url, b->url) < 0 ? a : b;
        crossed += conn->ends[0].node != smaller;
        net_run(net, 5 * NS_PER_SEC);
        if (net_counts(net)->dials > 4)
            FAIL("seed %llu: %llu dials for 3 links", (unsigned long long)seed,
                 (unsigned long long)net_counts(net)->dials);
        net_free(net);
    }
    CHECK(crossed == 0);
}

/* Three hundred links at once are all announced. */
TEST(gossip, many_new_links_are_all_announced)
{
    enum { MANY = 300 };
    struct net_options options = {
        .seed = 7, .delay_min_ns = NS_PER_MS, .delay_max_ns = NS_PER_MS + 1000};
    struct net *net = net_new(&options);
    struct net_node *node = add(net);
    struct net_node *witness = net_raw_listen(net, "tcp://10.9.9.9:7400/witness");
    struct net_end *end = net_raw_greet(net, witness, node, 0);
    CHECK(end);
    struct net_end *ends[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        char url[64];
        snprintf(url, sizeof(url), "tcp://10.60.%u.%u:7400/m", i / 100, i % 100 + 1);
        struct net_node *peer = net_raw_listen(net, url);
        ends[i] = net_raw_connect(net, peer, node, false);
        struct control c = net_raw_handshake(peer, node, STAGE_INITIAL, 0);
        net_raw_send(ends[i], &c, 1, false);
        c.handshake.stage = STAGE_FINAL;
        net_raw_send(ends[i], &c, 1, false);
        if (i % 90 == 89)
            net_run(net, 4 * NS_PER_MS); /* no more than a hundred may shake hands at a time */
    }
    net_run(net, 100 * NS_PER_MS);
    CHECK_EQ(mesh_up_count(node->mesh), MANY + 1);
    size_t heard = 0;
    struct control c;
    while (net_raw_await(end, MSG_PEERS, 0, &c)) {
        CHECK(c.peers.count <= 250);
        heard += c.peers.count;
        control_fini(&c);
    }
    CHECK_EQ(heard, MANY);
    net_free(net);
}
