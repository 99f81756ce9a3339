#include "lab.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_FEATURES                                                                               \
    (FEATURE_COMPACT | FEATURE_PATTERNS | FEATURE_DIGEST | FEATURE_GOODBYE | FEATURE_BOOK)

struct net *lab_net(uint64_t seed)
{
    struct net_options options = {.seed = seed, .pieces = 10, .backlog = 10};
    return net_new(&options);
}

struct net_node *lab_node(struct net *net)
{
    struct net_node *node = net_add(net, NULL);
    CHECK(net_start(node, false));
    return node;
}

uint64_t lab_whole(struct net *net, uint64_t ns, const char *after)
{
    char why[LAB_WHY] = "";
    uint64_t took = net_run_whole(net, ns, why, sizeof(why));
    if (took == NEVER)
        FAIL("seed %llu, after %s: %s", (unsigned long long)net_seed(net), after, why);
    return took;
}

/* ---- Shaking hands ---- */

static struct control hello(struct net_end *end, const struct lab_claim *claim, enum stage stage)
{
    struct net_conn *conn = end->conn;
    const struct net_node *from = end->node, *to = conn->ends[end == &conn->ends[0]].node;
    struct control c = net_raw_handshake(from, to, stage, ALL_FEATURES);
    if (!claim)
        return c;
    if (claim->me)
        c.handshake.me = claim->me;
    if (claim->you)
        c.handshake.you = claim->you;
    if (claim->id)
        c.handshake.node_id = claim->id;
    if (claim->incarnation)
        c.handshake.incarnation = claim->incarnation;
    if (claim->features)
        c.handshake.features = claim->features;
    return c;
}

static bool await(struct net_end *end, uint32_t type)
{
    struct control got;
    if (!net_raw_await(end, type, NS_PER_SEC, &got))
        return false;
    control_fini(&got);
    return true;
}

static uint64_t stamp_of(const struct net_end *end, const struct lab_claim *claim)
{
    return claim && claim->stamp ? claim->stamp : LAB_WALL + net_now(end->conn->net);
}

bool lab_shake(struct net_end *end, const struct lab_claim *claim)
{
    struct control c = hello(end, claim, STAGE_INITIAL);
    net_raw_send(end, &c, stamp_of(end, claim), false);
    if (!await(end, MSG_HANDSHAKE))
        return false;
    c = hello(end, claim, STAGE_FINAL);
    lab_send(end, &c);
    if (!await(end, MSG_PEERS))
        return false;
    lab_send(end, &(struct control){.type = MSG_PEERS});
    return true;
}

struct net_end *lab_join(struct net *net, struct net_node *from, struct net_node *to,
                         const struct lab_claim *claim)
{
    struct net_end *end = net_raw_connect(net, from, to, false);
    if (!lab_shake(end, claim))
        FAIL("%s was not taken", claim && claim->me ? claim->me : from->url);
    return end;
}

/* The connection that came in last and that nobody has looked at. */
static struct net_end *next_dialled(struct net_node *raw, uint64_t ns)
{
    struct net *net = raw->net;
    for (uint64_t until = net_now(net) + ns; net_now(net) <= until; net_run(net, NS_PER_MS)) {
        struct net_end *end =
            list_empty(&raw->conns) ? NULL : list_entry(raw->conns.prev, struct net_end, in_raw);
        if (end && end->rx.len)
            return end;
    }
    return NULL;
}

struct net_end *lab_answer(struct net_node *raw, const struct net_node *dialler, uint64_t ns,
                           const struct lab_claim *claim)
{
    struct net_end *end = next_dialled(raw, ns);
    if (!end)
        return NULL;
    list_remove(&end->in_raw);
    CHECK(end->conn->ends[0].node == dialler);
    if (!await(end, MSG_HANDSHAKE))
        return NULL;
    struct control c = hello(end, claim, STAGE_INITIAL);
    lab_send(end, &c);
    if (!await(end, MSG_HANDSHAKE))
        return NULL;
    c = hello(end, claim, STAGE_FINAL);
    lab_send(end, &c);
    lab_send(end, &(struct control){.type = MSG_PEERS});
    return await(end, MSG_PEERS) ? end : NULL;
}

/* ---- Saying ---- */

static uint64_t last_stamp;

uint64_t lab_stamp(void)
{
    return last_stamp;
}

void lab_send(struct net_end *end, const struct control *control)
{
    last_stamp = LAB_WALL + net_now(end->conn->net);
    net_raw_send(end, control, last_stamp, false);
}

void lab_goodbye(struct net_end *end, enum goodbye_reason reason)
{
    lab_send(end, &(struct control){.type = MSG_GOODBYE,
                                    .goodbye = {.reason = reason, .description = "of the test"}});
}

void lab_declare(struct net_end *end, bool intent, const char *route, uint32_t alias)
{
    struct decl d = {.route = route, .registered = true, .alias = alias, .origin = ""};
    lab_send(end, &(struct control){.type = intent ? MSG_INTENT : MSG_INTEREST,
                                    .decls = {.items = &d, .count = 1}});
}

void lab_digest(struct net_end *end, const char *intent, const char *interest)
{
    struct control c = {.type = MSG_DIGEST};
    c.digest.intents = intent != NULL;
    c.digest.intents_hash = intent ? route_digest(intent, strlen(intent), "", 0) : 0;
    c.digest.interests = interest != NULL;
    c.digest.interests_hash = interest ? route_digest(interest, strlen(interest), "", 0) : 0;
    lab_send(end, &c);
}

void lab_peers(struct net_end *end, const char *const *names, size_t count, bool removed)
{
    lab_send(end, &(struct control){.type = MSG_PEERS,
                                    .peers = {.ids = names, .count = count, .remove = removed}});
}

/* ---- Hearing ---- */

void lab_refused(struct net_end *end, uint64_t nonce, int error, const char *word)
{
    struct control c;
    if (!net_raw_await(end, MSG_RESULT, 6 * NS_PER_SEC, &c))
        FAIL("no RESULT came that says %s", word);
    CHECK_EQ(result_to_error(c.result.error), error);
    CHECK_EQ(c.result.nonce, nonce);
    if (!strstr(c.result.description, word))
        FAIL("\"%s\" does not say %s", c.result.description, word);
    control_fini(&c);
}

void lab_thrown_out(struct net_end *end, int error, const char *word)
{
    lab_refused(end, 0, error, word);
    net_run(end->conn->net, 100 * NS_PER_MS);
    CHECK(end->got_end);
    net_raw_close(end);
}

void lab_alive(struct net_end *end)
{
    uint8_t payload[16] = {7};
    struct control c;
    lab_send(end,
             &(struct control){.type = MSG_PING, .ping = {.payload = payload, .payload_len = 16}});
    for (;;) {
        if (!net_raw_await(end, MSG_PONG, 2 * NS_PER_SEC, &c))
            FAIL("no PONG came: the link is gone, or it waits");
        bool ours = c.ping.payload_len == 16 && memcmp(c.ping.payload, payload, 16) == 0;
        control_fini(&c);
        if (ours)
            return;
    }
}

/* ---- Looking ---- */

bool lab_knows(const struct net_node *node, const char *url)
{
    struct addrbook_view view;
    return addrbook_find(mesh_addrbook(node->mesh), url, &view);
}

struct addrbook_view lab_view(const struct net_node *node, const char *url)
{
    struct addrbook_view view;
    if (!addrbook_find(mesh_addrbook(node->mesh), url, &view))
        FAIL("%s is not in the book of %s", url, node->url);
    return view;
}

struct mesh_link *lab_link(struct net_end *end)
{
    return end->conn->ends[end == &end->conn->ends[0]].link;
}

/* ---- Memory ---- */

static size_t living;

static void *count_up(void *p)
{
    living += p ? malloc_usable_size(p) : 0;
    return p;
}

static void *counted_alloc(size_t size)
{
    return count_up(malloc(size));
}

static void *counted_resize(void *p, size_t size)
{
    size_t was = p ? malloc_usable_size(p) : 0;
    void *q = realloc(p, size);
    if (q)
        living -= was;
    return q ? count_up(q) : NULL;
}

static void counted_release(void *p)
{
    living -= p ? malloc_usable_size(p) : 0;
    free(p);
}

void lab_count_memory(void)
{
    CHECK_EQ(weft_set_allocator(counted_alloc, counted_resize, counted_release), 0);
}

size_t lab_memory(void)
{
    return living;
}
