/* QUERY and ANSWER between meshes, and with a peer of the test's own that says what it likes:
 * pieces, refusals, silence, wrong nonces, too much, the link's end, peers without the feature. */
#include <weft/weft.h>

#include "mesh/private.h"
#include "tests/check.h"
#include "tests/oom/oom.h"
#include "tests/sim/net.h"

#define FEATURES (FEATURE_DIGEST | FEATURE_GOODBYE | FEATURE_INFO)
#define TOKEN 4711

/* What the ops of these meshes saw and do: the network's own, with two more. */
static struct {
    struct mesh_ops ops;
    unsigned told, asked;
    char text[256], route[64], command[64], arg[64];
    uint32_t parts, pid;
    size_t n_args, n_peers, n_routes, n_records, n_incidents;
    bool more;
    uint64_t nonce; /* of the last query, */
    struct mesh_link *link;
    void (*reply)(struct net_node *node); /* or NULL: later */
    int send_fails;
} seen;

static void on_told(void *ctx, uint64_t token, const struct answer_msg *part)
{
    const struct net_node *node = ctx;
    CHECK_EQ(token, TOKEN);
    CHECK_EQ(node->answers, 0); /* it comes before the end */
    seen.told++;
    seen.more = part->more;
    seen.pid = part->status ? part->status->pid : seen.pid;
    seen.n_peers += part->n_peers;
    seen.n_routes += part->n_routes;
    seen.n_records += part->n_records;
    seen.n_incidents += part->n_incidents;
    if (part->text && part->text[0])
        snprintf(seen.text, sizeof(seen.text), "%s", part->text);
}

static void on_query(void *ctx, struct mesh_link *link, uint64_t nonce, const struct query_msg *q)
{
    seen.asked++;
    seen.nonce = nonce;
    seen.link = link;
    seen.parts = q->parts;
    seen.n_args = q->n_args;
    snprintf(seen.route, sizeof(seen.route), "%s", q->route);
    snprintf(seen.command, sizeof(seen.command), "%s", q->command);
    snprintf(seen.arg, sizeof(seen.arg), "%s", q->n_args ? q->args[q->n_args - 1] : "");
    if (seen.reply)
        seen.reply(ctx);
}

static int (*net_send_op)(void *ctx, struct mesh_link *link, const void *frames, size_t size,
                          enum lane lane);

static int on_send(void *ctx, struct mesh_link *link, const void *frames, size_t size,
                   enum lane lane)
{
    return seen.send_fails ? seen.send_fails : net_send_op(ctx, link, frames, size, lane);
}

struct scene {
    struct net *net;
    struct net_node *node, *peer, *other; /* peer: the test's own; other: asks the node */
    struct net_end *end;
    struct mesh_link *link;
};

static struct net_node *add(struct net *net, uint64_t features)
{
    struct net_node *node = net_add(net, &(struct net_node_options){.features = features});
    CHECK(net_start(node, false));
    net_send_op = node->mesh->ops == &seen.ops ? net_send_op : node->mesh->ops->send;
    seen.ops = *node->mesh->ops;
    seen.ops.told = on_told;
    seen.ops.query = on_query;
    seen.ops.send = on_send;
    node->mesh->ops = &seen.ops;
    return node;
}

static struct mesh_link *first_link(struct net_node *node)
{
    CHECK(!list_empty(mesh_links(node->mesh)));
    return list_entry(mesh_links(node->mesh)->next, struct mesh_link, node);
}

/* A node, and a peer that has named these features. */
static struct scene scene(uint64_t features)
{
    memset(&seen, 0, sizeof(seen));
    struct scene s = {.net = net_new(&(struct net_options){.seed = 3})};
    s.node = add(s.net, FEATURES);
    s.peer = net_raw_listen(s.net, "tcp://10.9.9.9:7400/peer");
    s.end = net_raw_greet(s.net, s.peer, s.node, features);
    CHECK(s.end);
    net_run(s.net, 100 * NS_PER_MS);
    s.link = first_link(s.node);
    CHECK_EQ(s.link->state, LINK_UP);
    return s;
}

static struct moment now_of(const struct scene *s)
{
    return net_moment_of(s->node);
}

static int ask(struct scene *s)
{
    struct query_msg q = {.parts = WEFT_PART_STATUS};
    s->node->answers = 0;
    int rc = mesh_query(s->node->mesh, s->link, &q, TOKEN, now_of(s));
    net_settle(s->node);
    return rc;
}

/* The nonce of a QUERY that the node has sent. */
static uint64_t await_query(struct scene *s)
{
    struct header header;
    struct control c;
    for (unsigned i = 0; i < 100; i++) {
        while (net_raw_next(s->end, &header, &c)) {
            control_fini(&c);
            if (header.type == MSG_QUERY) {
                CHECK(header.want_result);
                return header.timestamp;
            }
        }
        net_run(s->net, NS_PER_MS);
    }
    FAIL("no QUERY came");
    return 0;
}

static void answer(struct scene *s, struct answer_msg part)
{
    struct control c = {.type = MSG_ANSWER, .answer = part};
    net_raw_send(s->end, &c, 9, false);
    net_run(s->net, 100 * NS_PER_MS);
}

static void refuse(struct scene *s, uint64_t nonce, uint64_t code, const char *text)
{
    struct control c = {.type = MSG_RESULT,
                        .result = {.nonce = nonce, .error = code, .description = text}};
    net_raw_send(s->end, &c, 9, false);
    net_run(s->net, 100 * NS_PER_MS);
}

static void query(struct scene *s, uint64_t nonce)
{
    struct control c = {.type = MSG_QUERY, .query = {.parts = WEFT_PART_PEERS}};
    net_raw_send(s->end, &c, nonce, true);
    net_run(s->net, 100 * NS_PER_MS);
}

static void need_result(struct scene *s, uint64_t nonce, int error, const char *word)
{
    struct control c;
    CHECK(net_raw_await(s->end, MSG_RESULT, NS_PER_SEC, &c));
    CHECK(c.result.nonce == nonce);
    CHECK_EQ(result_to_error(c.result.error), error);
    if (!strstr(c.result.description, word))
        FAIL("\"%s\" does not say %s", c.result.description, word);
    control_fini(&c);
}

/* ---- Two meshes ---- */

static void reply_at_once(struct net_node *node)
{
    weft_status status = {.pid = 77};
    weft_peer_info peers[3] = {{.url = "tcp://h:1/a"}};
    weft_route_info routes[2] = {{.route = "T@a"}};
    struct book_record record = {.peer = "tcp://h:2"};
    weft_incident incident = {.text = "x"};
    struct answer_msg parts[] = {
        {.nonce = 1, .more = true, .status = &status},
        {.more = true, .peers = peers, .n_peers = 3, .routes = routes, .n_routes = 1},
        {.routes = routes,
         .n_routes = 2,
         .records = &record,
         .n_records = 1,
         .incidents = &incident,
         .n_incidents = 1,
         .text = "done"},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        CHECK_EQ(mesh_reply(node->mesh, seen.link, seen.nonce, &parts[i], net_moment_of(node)), 0);
    CHECK_EQ(mesh_reply(node->mesh, seen.link, seen.nonce, &parts[2], net_moment_of(node)),
             WEFT_ENOTFOUND);
}

static struct scene two(void)
{
    memset(&seen, 0, sizeof(seen));
    struct scene s = {.net = net_new(&(struct net_options){.seed = 4, .pieces = 50})};
    char why[256] = "";
    s.node = add(s.net, FEATURES);
    s.other = add(s.net, FEATURES);
    net_configure(s.node, s.other->url);
    if (net_run_whole(s.net, 4 * NS_PER_SEC, why, sizeof(why)) == NEVER)
        FAIL("%s", why);
    s.link = first_link(s.node);
    return s;
}

TEST(inquiry, a_question_and_its_answer_in_pieces)
{
    struct scene s = two();
    static const char *const args[] = {"tcp://h:1/a", "persistent=true"};
    struct query_msg q = {.parts = WEFT_PART_STATUS | WEFT_PART_BOOK,
                          .route = "T@a.**",
                          .command = "add",
                          .args = args,
                          .n_args = ARRAY_LEN(args)};
    seen.reply = reply_at_once;
    for (unsigned i = 1; i <= 3; i++) {
        s.node->answers = 0;
        CHECK_EQ(mesh_query(s.node->mesh, s.link, &q, TOKEN, now_of(&s)), 0);
        CHECK_EQ(mesh_query(s.node->mesh, s.link, &q, TOKEN + 1, now_of(&s)), WEFT_ELIMIT);
        net_settle(s.node);
        net_run(s.net, 200 * NS_PER_MS);
        CHECK_EQ(seen.asked, i);
        CHECK_EQ(s.node->answers, 1);
        CHECK_EQ(s.node->last_answer, 0);
        CHECK(seen.told == 3 * i && !seen.more);
    }
    CHECK_EQ(seen.parts, WEFT_PART_STATUS | WEFT_PART_BOOK);
    CHECK_STR(seen.route, "T@a.**");
    CHECK_STR(seen.command, "add");
    CHECK_STR(seen.arg, "persistent=true");
    CHECK(seen.n_args == 2 && seen.pid == 77 && seen.n_peers == 9 && seen.n_routes == 9);
    CHECK(seen.n_records == 3 && seen.n_incidents == 3);
    CHECK_STR(seen.text, "done");
    CHECK_EQ(net_counts(s.net)->frames[MSG_RESULT], 0); /* a QUERY is not confirmed besides */
    net_free(s.net);
}

static void refuse_at_once(struct net_node *node)
{
    mesh_refuse_query(node->mesh, seen.link, seen.nonce, WEFT_EDENIED, "set access.info: any",
                      net_moment_of(node));
}

TEST(inquiry, a_refusal_with_its_sentence)
{
    struct scene s = two();
    seen.reply = refuse_at_once;
    CHECK_EQ(ask(&s), 0);
    net_run(s.net, 200 * NS_PER_MS);
    CHECK(seen.asked == 1 && seen.told == 1 && s.node->answers == 1);
    CHECK_EQ(s.node->last_answer, WEFT_EDENIED);
    CHECK_STR(seen.text, "set access.info: any");
    CHECK(s.node->route_refused == 0 && s.node->warnings == 0); /* it is nobody else's matter */
    net_free(s.net);
}

/* What a command can fail with arrives as that. */
TEST(inquiry, errors_arrive)
{
    static const int errors[] = {WEFT_ENOTSUP, WEFT_ENOTFOUND, WEFT_EINVAL, WEFT_ETIMEDOUT,
                                 WEFT_EBUSY,   WEFT_EIO,       WEFT_ELIMIT, WEFT_EMALFORMED};
    struct scene s = two();
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        CHECK_EQ(ask(&s), 0);
        net_run(s.net, 200 * NS_PER_MS);
        CHECK_EQ(s.node->answers, 0);
        mesh_refuse_query(s.other->mesh, seen.link, seen.nonce, errors[i], NULL,
                          net_moment_of(s.other));
        net_run(s.net, 200 * NS_PER_MS);
        CHECK(s.node->answers == 1);
        CHECK_EQ(s.node->last_answer, errors[i]);
        CHECK_STR(seen.text, weft_strerror(errors[i]));
    }
    net_free(s.net);
}

/* ---- Asking ---- */

TEST(inquiry, what_nobody_asked_for)
{
    struct scene s = scene(FEATURES);
    answer(&s, (struct answer_msg){.nonce = 5, .text = "unasked"});
    answer(&s, (struct answer_msg){.text = "nor this"});
    uint64_t asked_at = now_of(&s).wall_ns;
    CHECK_EQ(ask(&s), 0);
    uint64_t nonce = await_query(&s);
    CHECK(nonce >
          asked_at); /* a list that is sent in the same step has that: both are told apart */
    answer(&s, (struct answer_msg){.nonce = nonce + 1, .text = "another"});
    answer(&s, (struct answer_msg){.text = "none"});
    CHECK(seen.told == 0 && s.node->answers == 0);
    refuse(&s, nonce - 1, RESULT_DENIED, "a route, perhaps");
    CHECK(seen.told == 0 && s.node->answers == 0 && s.node->route_refused == 1);
    answer(&s, (struct answer_msg){.nonce = nonce, .text = "this"});
    CHECK(seen.told == 1 && s.node->answers == 1 && s.node->last_answer == 0);
    CHECK_STR(seen.text, "this");
    answer(&s, (struct answer_msg){.nonce = nonce, .text = "and again"});
    refuse(&s, nonce, RESULT_DENIED, "or not");
    CHECK(seen.told == 1 && s.node->answers == 1 && s.node->route_refused == 1);
    CHECK(!s.end->got_end);
    net_free(s.net);
}

TEST(inquiry, silence)
{
    struct scene s = scene(FEATURES);
    CHECK_EQ(ask(&s), 0);
    uint64_t nonce = await_query(&s);
    for (unsigned i = 0; i < 8; i++) { /* each piece gives it time again */
        for (unsigned k = 0; k < 8; k++) {
            net_raw_send(s.end, &(struct control){.type = MSG_PEERS}, 9, false); /* it lives */
            net_run(s.net, NS_PER_SEC);
        }
        answer(&s, (struct answer_msg){.nonce = nonce, .more = true});
    }
    CHECK(seen.told == 8 && s.node->answers == 0);
    for (unsigned k = 0; k < 9; k++) {
        net_raw_send(s.end, &(struct control){.type = MSG_PEERS}, 9, false);
        net_run(s.net, NS_PER_SEC);
    }
    net_run(s.net, 800 * NS_PER_MS); /* the last piece came up to 100 ms after it was sent */
    CHECK_EQ(s.node->answers, 0);
    net_run(s.net, 200 * NS_PER_MS);
    CHECK(s.node->answers == 1 && seen.told == 8);
    CHECK_EQ(s.node->last_answer, WEFT_ETIMEDOUT);
    refuse(&s, nonce, RESULT_DENIED, "late");
    CHECK(s.node->answers == 1 && seen.told == 8 && s.node->route_refused == 0);
    CHECK_EQ(ask(&s), 0); /* and another may be asked */
    nonce = await_query(&s);
    answer(&s, (struct answer_msg){.nonce = nonce});
    CHECK(s.node->answers == 1 && s.node->last_answer == 0);
    net_free(s.net);
}

TEST(inquiry, the_link_ends)
{
    struct scene s = scene(FEATURES);
    CHECK_EQ(ask(&s), 0);
    net_cut(s.end->conn, 0, NET_CUT_BOTH);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK(s.node->answers == 1 && seen.told == 0);
    CHECK_EQ(s.node->last_answer, WEFT_ELOST);
    net_free(s.net);
    s = scene(FEATURES);
    CHECK_EQ(ask(&s), 0);
    net_leave(s.node);
    CHECK(s.node->answers == 1);
    CHECK_EQ(s.node->last_answer, WEFT_ECLOSED);
    net_free(s.net);
}

/* An answer that has no end is cut off, and so is the memory that it takes. */
TEST(inquiry, an_endless_answer)
{
    enum { SIZE = 3 << 20 };
    struct scene s = scene(FEATURES);
    CHECK_EQ(ask(&s), 0);
    uint64_t nonce = await_query(&s);
    char *text = malloc(SIZE + 1);
    memset(text, 'x', SIZE);
    text[SIZE] = '\0';
    unsigned n = 0;
    for (; n < 200 && s.node->answers == 0; n++)
        answer(&s, (struct answer_msg){.nonce = nonce, .more = true, .text = text});
    free(text);
    CHECK_EQ(n, (256 / 3) + 1);
    CHECK_EQ(s.node->last_answer, WEFT_ELIMIT);
    if (!strstr(seen.text, "256 MiB"))
        FAIL("\"%s\" does not say how much", seen.text);
    answer(&s, (struct answer_msg){.nonce = nonce, .text = "more"});
    CHECK(s.node->answers == 1 && seen.told == n && !s.end->got_end);
    net_free(s.net);
}

/* Small pieces that become large: what they become is counted. */
TEST(inquiry, an_answer_larger_than_its_bytes)
{
    static weft_peer_info peers[400];
    struct scene s = scene(FEATURES);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++)
        peers[i].next_dial_ms = UINT64_MAX; /* two bytes each */
    CHECK_EQ(ask(&s), 0);
    uint64_t nonce = await_query(&s);
    answer(&s, (struct answer_msg){
                   .nonce = nonce, .more = true, .peers = peers, .n_peers = ARRAY_LEN(peers)});
    CHECK(seen.n_peers == ARRAY_LEN(peers));
    CHECK(s.link->priv->asked.taken > sizeof(peers));
    net_free(s.net);
}

/* ---- Answering ---- */

TEST(inquiry, answered_later_and_in_any_order)
{
    struct scene s = scene(FEATURES);
    struct answer_msg part = {.text = "late"};
    struct control c;
    query(&s, 11);
    query(&s, 12);
    CHECK(seen.asked == 2 && seen.nonce == 12);
    CHECK_EQ(mesh_reply(s.node->mesh, s.link, 13, &part, now_of(&s)), WEFT_ENOTFOUND);
    CHECK_EQ(mesh_reply(s.node->mesh, s.link, 12, &part, now_of(&s)), 0);
    part.more = true;
    CHECK_EQ(mesh_reply(s.node->mesh, s.link, 11, &part, now_of(&s)), 0);
    mesh_refuse_query(s.node->mesh, s.link, 11, WEFT_ENOMEM, "the rest is missing", now_of(&s));
    mesh_refuse_query(s.node->mesh, s.link, 11, WEFT_ENOMEM, "twice", now_of(&s));
    mesh_refuse_query(s.node->mesh, s.link, 99, WEFT_ENOMEM, "never asked", now_of(&s));
    CHECK(net_raw_await(s.end, MSG_ANSWER, NS_PER_SEC, &c));
    CHECK(c.answer.nonce == 12 && !c.answer.more);
    control_fini(&c);
    CHECK(net_raw_await(s.end, MSG_ANSWER, NS_PER_SEC, &c));
    CHECK(c.answer.nonce == 11 && c.answer.more);
    control_fini(&c);
    need_result(&s, 11, WEFT_ELIMIT, "missing");
    CHECK(!net_raw_await(s.end, MSG_RESULT, NS_PER_SEC, &c));
    net_free(s.net);
}

TEST(inquiry, too_many_at_once)
{
    struct scene s = scene(FEATURES);
    for (uint64_t nonce = 1; nonce <= QUERIES_MAX; nonce++)
        query(&s, nonce);
    CHECK_EQ(seen.asked, QUERIES_MAX);
    query(&s, 50);
    need_result(&s, 50, WEFT_ELIMIT, "too many");
    CHECK_EQ(seen.asked, QUERIES_MAX);
    mesh_refuse_query(s.node->mesh, s.link, 2, WEFT_EDENIED, "no", now_of(&s));
    need_result(&s, 2, WEFT_EDENIED, "no");
    query(&s, 51);
    CHECK(seen.asked == QUERIES_MAX + 1 && seen.nonce == 51);
    CHECK(!s.end->got_end);
    net_free(s.net);
}

TEST(inquiry, a_piece_that_does_not_go_out)
{
    struct scene s = scene(FEATURES);
    struct answer_msg part = {0};
    size_t size = s.link->hs.max_frame;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    query(&s, 7);
    part.text = text;
    CHECK_EQ(mesh_reply(s.node->mesh, s.link, 7, &part, now_of(&s)), WEFT_ELIMIT);
    part.text = "";
    seen.send_fails = WEFT_ELIMIT;
    CHECK_EQ(mesh_reply(s.node->mesh, s.link, 7, &part, now_of(&s)), WEFT_EAGAIN);
    seen.send_fails = WEFT_ENOMEM;
    CHECK_EQ(mesh_reply(s.node->mesh, s.link, 7, &part, now_of(&s)), WEFT_ENOMEM);
    CHECK_EQ(ask(&s), WEFT_ENOMEM);
    seen.send_fails = WEFT_ELIMIT;
    CHECK_EQ(ask(&s), WEFT_ELIMIT);
    seen.send_fails = 0;
    struct query_msg q = {.route = text};
    CHECK_EQ(mesh_query(s.node->mesh, s.link, &q, TOKEN, now_of(&s)), WEFT_ETOOBIG);
    net_settle(s.node);
    net_run(s.net, NS_PER_SEC);
    CHECK(s.node->answers == 0 && !s.end->got_end); /* none of these has harmed the link */
    CHECK_EQ(ask(&s), 0);
    CHECK_EQ(mesh_reply(s.node->mesh, s.link, 7, &part, now_of(&s)), 0);
    query(&s, 8);
    mesh_refuse_query(s.node->mesh, s.link, 8, WEFT_EDENIED, text, now_of(&s));
    free(text);
    need_result(&s, 8, WEFT_EDENIED, weft_strerror(WEFT_EDENIED)); /* its own does not fit */
    net_free(s.net);
}

static void no_answer_comes(struct scene *s)
{
    struct header header;
    struct control c;
    net_run(s->net, NS_PER_SEC);
    while (net_raw_next(s->end, &header, &c)) {
        CHECK(header.type != MSG_ANSWER && header.type != MSG_QUERY && header.type != MSG_RESULT);
        control_fini(&c);
    }
    CHECK(seen.asked == 0 && !s->end->got_end);
}

TEST(inquiry, a_peer_without_the_feature)
{
    struct scene s = scene(FEATURE_DIGEST | FEATURE_GOODBYE);
    CHECK_EQ(ask(&s), WEFT_ENOTSUP);
    query(&s, 7);
    answer(&s, (struct answer_msg){.nonce = 7});
    no_answer_comes(&s);
    net_free(s.net);
}

/* One that names a feature all the same gets none: base peers close on a type they do not know. */
TEST(inquiry, a_base_peer)
{
    struct scene s = {.net = net_new(&(struct net_options){.seed = 5})};
    memset(&seen, 0, sizeof(seen));
    s.node = add(s.net, FEATURES);
    s.peer = net_raw_listen(s.net, "tcp://10.9.9.9:7400/peer");
    s.end = net_raw_connect(s.net, s.peer, s.node, false);
    struct control hello = {
        .type = MSG_HANDSHAKE,
        .handshake = {
            .me = s.peer->url, .you = s.node->url, .stage = STAGE_INITIAL, .features = FEATURES}};
    net_raw_send(s.end, &hello, 1, false);
    hello.handshake.stage = STAGE_FINAL;
    net_raw_send(s.end, &hello, 2, false);
    net_run(s.net, 100 * NS_PER_MS);
    CHECK_EQ(mesh_up_count(s.node->mesh), 1);
    s.link = first_link(s.node);
    CHECK(s.link->hs.base);
    CHECK_EQ(ask(&s), WEFT_ENOTSUP);
    query(&s, 7);
    no_answer_comes(&s);
    net_free(s.net);
}

TEST(inquiry, nobody_answers_here)
{
    struct scene s = scene(FEATURES);
    seen.ops.query = NULL;
    seen.ops.told = NULL;
    query(&s, 7);
    need_result(&s, 7, WEFT_ENOTSUP, "no questions");
    CHECK_EQ(ask(&s), 0); /* it may ask all the same, if only for the error */
    refuse(&s, await_query(&s), RESULT_DENIED, "no");
    CHECK(s.node->answers == 1);
    CHECK_EQ(s.node->last_answer, WEFT_EDENIED);
    net_free(s.net);
}

/* ---- Out of memory ---- */

/* Whatever allocation fails, the call says so, nothing is open, and the link stands. */
TEST(inquiry, out_of_memory)
{
    static weft_peer_info peers[100];
    struct answer_msg part = {.peers = peers, .n_peers = ARRAY_LEN(peers)};
    bool whole = false;
    unsigned n = 0;
    while (!whole) {
        struct scene s = scene(FEATURES);
        query(&s, 7);
        buf_fini(&s.node->mesh->scratch); /* it has grown already */
        buf_init(&s.node->mesh->scratch, FRAME_MAX_LIMIT);
        oom_arm(++n, 1);
        int rc = ask(&s);
        CHECK_EQ(rc, oom_failed() ? WEFT_ENOMEM : 0);
        CHECK(rc == 0 || s.link->priv->asked.token == 0);
        bool asked = rc == 0;
        rc = mesh_reply(s.node->mesh, s.link, 7, &part, now_of(&s));
        CHECK_EQ(rc, asked && oom_failed() ? WEFT_ENOMEM : 0);
        whole = !oom_failed();
        oom_relent();
        if (rc < 0)
            CHECK_EQ(mesh_reply(s.node->mesh, s.link, 7, &part, now_of(&s)), 0);
        if (!asked)
            CHECK_EQ(ask(&s), 0);
        answer(&s, (struct answer_msg){.nonce = await_query(&s)});
        CHECK(s.node->answers == 1 && s.node->last_answer == 0 && !s.end->got_end);
        weft_set_allocator(NULL, NULL, NULL);
        net_free(s.net);
    }
    CHECK(n >= 3);
}
