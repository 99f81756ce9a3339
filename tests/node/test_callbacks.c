/* Every call is allowed in every callback, closing the very object included; what would wait for
 * the loop says so; and after a close has returned, nothing of the object is called any more. */
#include "fixture.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#define ROUTE "t.C@a.out"

/* ---- Every call, inside each kind of callback ---- */

struct inside {
    weft_node *node; /* whose callback it is */
    weft_node *_Atomic other;
    weft_intent *_Atomic out;
    atomic_uint runs, failures;
    atomic_bool stop; /* do nothing any more */
    int depth;        /* of callbacks: what is called in one may call another */
};

#define EXPECT(in, cond)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: in a callback: %s\n", __FILE__, __LINE__, #cond);              \
            atomic_fetch_add(&(in)->failures, 1);                                                  \
        }                                                                                          \
    } while (0)

static void look(struct inside *in)
{
    weft_peer_info *peers;
    weft_route_info *routes;
    weft_addrbook *book;
    weft_stats stats;
    size_t n;
    EXPECT(in, weft_node_stats(in->node, &stats) == 0);
    EXPECT(in, weft_node_peers(in->node, &peers, &n) == 0);
    weft_peers_free(peers, n);
    EXPECT(in, weft_node_routes(in->node, &routes, &n) == 0);
    weft_routes_free(routes, n);
    EXPECT(in, weft_node_addrbook(in->node, &book) == 0);
    weft_addrbook_free(book);
}

static void wait_in_vain(struct inside *in)
{
    weft_interest *interest;
    weft_intent *intent;
    weft_addrbook *book;
    weft_msg *msg;
    uint64_t rtt;
    EXPECT(in, weft_subscribe(in->node, "t.None@x", NULL, &interest) == 0);
    EXPECT(in, weft_publish(in->node, "t.None@a.none", NULL, &intent) == 0);
    EXPECT(in, weft_node_wait_peers(in->node, 100, -1) == WEFT_ELOOP);
    EXPECT(in, weft_recv(interest, &msg, -1) == WEFT_ELOOP);
    EXPECT(in, weft_recv(interest, &msg, 0) == WEFT_ETIMEDOUT);
    EXPECT(in, weft_interest_wait(interest, 10) == WEFT_ELOOP);
    EXPECT(in, weft_intent_wait(intent, 10) == WEFT_ELOOP);
    EXPECT(in, weft_node_ping(in->node, "tcp://127.0.0.1:1/x", 10, &rtt) == WEFT_ELOOP);
    EXPECT(in, weft_node_fetch_addrbook(in->node, "tcp://127.0.0.1:1/x", 10, &book) == WEFT_ELOOP);
    EXPECT(in, weft_node_close(in->node) == WEFT_ELOOP);
    EXPECT(in, weft_send(intent, "x", 1) == 0);
    weft_interest_close(interest);
    weft_intent_close(intent);
}

static void everything(struct inside *in)
{
    if (in->depth++ == 0 && in->node && !atomic_load(&in->stop)) {
        weft_node *other = atomic_load(&in->other);
        weft_intent *out = atomic_load(&in->out);
        look(in);
        wait_in_vain(in);
        EXPECT(in, weft_node_dial(in->node, "inproc://nobody/x", NULL) == 0);
        EXPECT(in, weft_node_forget(in->node, "inproc://nobody/x") == 0);
        if (other)
            EXPECT(in, weft_node_dial(in->node, weft_node_url(other), NULL) == 0);
        if (out)
            EXPECT(in, weft_send(out, "from a callback", 15) == 0);
        atomic_fetch_add(&in->runs, 1);
    }
    in->depth--;
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    everything(user);
}

static void on_match(weft_interest *interest, bool matched, void *user)
{
    everything(user);
}

static void on_interested(weft_intent *intent, bool interested, void *user)
{
    everything(user);
}

static void on_event(weft_node *node, const weft_event *event, void *user)
{
    struct inside *in = user;
    in->node = node; /* the first may come before weft_node_open has returned */
    everything(in);
}

TEST(callbacks, every_call_from_inside)
{
    static struct inside in;
    weft_options o = fx_options("inproc://calls/a");
    o.on_event = on_event;
    o.user = &in;
    weft_node *node = fx_open_options(&o);
    weft_node *other = fx_open("inproc://calls-b/b", NULL, NULL);
    atomic_store(&in.other, other);
    CHECK_EQ(weft_node_dial(node, weft_node_url(other), NULL), 0);

    weft_publish_options po;
    weft_publish_options_init(&po);
    po.on_match = on_interested;
    po.user = &in;
    weft_intent *out, *there = fx_publish(other, "t.C@b.out");
    CHECK_EQ(weft_publish(node, ROUTE, &po, &out), 0);
    weft_subscribe_options so;
    weft_subscribe_options_init(&so);
    so.on_message = on_message;
    so.on_match = on_match;
    so.user = &in;
    weft_interest *local, *remote, *sink = fx_subscribe(other, ROUTE);
    CHECK_EQ(weft_subscribe(node, ROUTE, &so, &local), 0);
    CHECK_EQ(weft_subscribe(node, "t.C@b.**", &so, &remote), 0);
    CHECK_EQ(weft_intent_wait(there, WAIT_MS), 0);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_interest_wait(sink, WAIT_MS), 0);
    atomic_store(&in.out, out);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_send(there, "x", 1), 0);
    CHECK_EQ(weft_send(out, "x", 1), 0);
    for (int i = 0; i < 50; i++) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(sink, &msg, WAIT_MS), 0);
        weft_msg_unref(msg);
    }
    UNTIL(atomic_load(&in.runs) > 60);
    atomic_store(&in.stop, true);
    fx_stats(node); /* comes back when no callback is in the middle of it */
    CHECK_EQ(weft_node_close(node), 0);
    CHECK_EQ(weft_node_close(other), 0);
    CHECK_EQ(in.failures, 0);
}

/* ---- Closing the very object ---- */

struct self_close {
    atomic_uint calls, after;
    bool closed;
};

static void close_itself(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct self_close *s = user;
    atomic_fetch_add(s->closed ? &s->after : &s->calls, 1);
    s->closed = true;
    weft_interest_close(interest);
}

static void close_on_match(weft_interest *interest, bool matched, void *user)
{
    struct self_close *s = user;
    atomic_fetch_add(s->closed ? &s->after : &s->calls, 1);
    s->closed = true;
    weft_interest_close(interest);
}

static void close_on_interest(weft_intent *intent, bool interested, void *user)
{
    struct self_close *s = user;
    atomic_fetch_add(s->closed ? &s->after : &s->calls, 1);
    s->closed = true;
    weft_intent_close(intent);
}

TEST(callbacks, an_interest_closes_itself_on_a_message)
{
    static struct self_close s;
    weft_node *a = fx_open("inproc://self-a/a", NULL, NULL);
    weft_node *b = fx_open("inproc://self-b/b", weft_node_url(a), NULL);
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = close_itself;
    o.user = &s;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(b, ROUTE, &o, &in), 0);
    weft_intent *out = fx_publish(a, ROUTE);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weft_send(out, "x", 1), 0);
    UNTIL(!weft_intent_interested(out));
    CHECK_EQ(s.calls, 1);
    CHECK_EQ(s.after, 0);
    CHECK_EQ(fx_stats(b).interests, 0);
    weft_node_close(a);
    weft_node_close(b);
}

TEST(callbacks, handles_close_themselves_on_a_match)
{
    static struct self_close si, so;
    weft_node *node = fx_open("inproc://self-c/a", NULL, NULL);
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_match = close_on_match;
    o.user = &si;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(node, ROUTE, &o, &in), 0);
    weft_publish_options p;
    weft_publish_options_init(&p);
    p.on_match = close_on_interest;
    p.user = &so;
    weft_intent *out;
    CHECK_EQ(weft_publish(node, ROUTE, &p, &out), 0);
    UNTIL(fx_stats(node).intents == 0 && fx_stats(node).interests == 0);
    CHECK_EQ(si.calls, 1);
    CHECK_EQ(so.calls, 1);
    CHECK_EQ(si.after + so.after, 0);
    weft_node_close(node);
}

/* A message's callback ends the link it came over. */
static void forget_sender(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct inside *in = user;
    int rc = weft_node_forget(in->node, weft_msg_sender(msg));
    EXPECT(in, rc == 0 || rc == WEFT_ENOTFOUND);
    atomic_fetch_add(&in->runs, 1);
}

TEST(callbacks, a_message_ends_its_own_link)
{
    for (int round = 0; round < 20; round++) {
        static struct inside in;
        in = (struct inside){0};
        weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
        in.node = fx_open("tcp://127.0.0.1:0/b", NULL, NULL);
        CHECK_EQ(weft_node_dial(a, weft_node_url(in.node), NULL), 0);
        weft_subscribe_options o;
        weft_subscribe_options_init(&o);
        o.on_message = forget_sender;
        o.user = &in;
        weft_interest *one, *two;
        CHECK_EQ(weft_subscribe(in.node, ROUTE, &o, &one), 0);
        CHECK_EQ(weft_subscribe(in.node, "*@a.*", &o, &two), 0);
        weft_intent *out = fx_publish(a, ROUTE);
        CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
        for (int i = 0; i < 200; i++)
            CHECK(weft_send(out, "x", 1) != WEFT_ECLOSED);
        UNTIL(atomic_load(&in.runs) >= 1);
        CHECK_EQ(weft_node_close(in.node), 0);
        CHECK_EQ(weft_node_close(a), 0);
        CHECK_EQ(in.failures, 0);
    }
}

/* ---- Closing from other threads while messages flow ---- */

struct flood {
    weft_intent *out;
    atomic_bool stop;
};

static void *flood(void *arg)
{
    struct flood *f = arg;
    while (!atomic_load(&f->stop))
        weft_send(f->out, "payload", 7);
    return NULL;
}

struct guarded {
    atomic_bool open;
    atomic_uint calls, late;
};

static void count_guarded(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct guarded *g = user;
    atomic_fetch_add(atomic_load(&g->open) ? &g->calls : &g->late, 1);
}

static void open_and_close(weft_node *node, struct guarded *g)
{
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = count_guarded;
    o.user = g;
    weft_interest *in;
    unsigned before = atomic_load(&g->calls);
    atomic_store(&g->open, true);
    CHECK_EQ(weft_subscribe(node, ROUTE, &o, &in), 0);
    UNTIL(atomic_load(&g->calls) > before);
    weft_interest_close(in);
    atomic_store(&g->open, false);
}

static void open_and_close_queue(weft_node *node)
{
    weft_interest *in = fx_subscribe(node, ROUTE);
    for (int i = 0; i < 5; i++) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
        weft_msg_unref(msg);
    }
    weft_interest_close(in);
}

static void close_while_flowing(weft_node *from, weft_node *to)
{
    static struct guarded g;
    struct flood f = {.out = fx_publish(from, ROUTE)};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, flood, &f), 0);
    for (int i = 0; i < (INSTRUMENTED ? 30 : 200); i++) {
        open_and_close(to, &g);
        open_and_close_queue(to);
        weft_intent *another = fx_publish(from, ROUTE);
        weft_send(another, "x", 1);
        weft_intent_close(another);
    }
    atomic_store(&f.stop, true);
    pthread_join(thread, NULL);
    CHECK_EQ(g.late, 0);
}

TEST(callbacks, closing_while_messages_flow_between_nodes)
{
    weft_node *a = fx_open("inproc://flow-a/a", NULL, NULL);
    weft_node *b = fx_open("inproc://flow-b/b", weft_node_url(a), NULL);
    close_while_flowing(a, b);
    weft_node_close(a);
    weft_node_close(b);
}

TEST(callbacks, closing_while_messages_flow_within_a_node)
{
    weft_node *a = fx_open("inproc://flow-c/a", NULL, NULL);
    close_while_flowing(a, a);
    weft_node_close(a);
}

/* What a callback opens and closes is still to be opened when it is closed. */
struct fleeting {
    weft_node *node;
    int failed;
    atomic_uint calls;
};

static void open_and_close_both(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct fleeting *f = user;
    weft_intent *out = NULL;
    weft_interest *in = NULL;
    f->failed += weft_publish(f->node, "t.C@a.fleeting", NULL, &out) < 0;
    f->failed += weft_subscribe(f->node, "t.C@a.fleeting", NULL, &in) < 0;
    weft_intent_close(out);
    weft_interest_close(in);
    atomic_fetch_add(&f->calls, 1);
}

TEST(callbacks, closing_what_is_not_opened_yet)
{
    weft_options options = fx_options("inproc://fleeting/a");
    options.max_routes = 4; /* what is not closed has used them up soon */
    weft_node *node = fx_open_options(&options);
    struct fleeting f = {.node = node};
    weft_interest *in;
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = open_and_close_both;
    o.user = &f;
    CHECK_EQ(weft_subscribe(node, ROUTE, &o, &in), 0);
    weft_intent *out = fx_publish(node, ROUTE);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    for (unsigned n = 1; n <= 20; n++) {
        CHECK_EQ(weft_send(out, "x", 1), 0);
        UNTIL(atomic_load(&f.calls) == n);
        weft_stats stats = fx_stats(node); /* behind what the callback posted */
        CHECK_EQ(stats.intents + stats.interests, 2);
    }
    CHECK_EQ(f.failed, 0);
    weft_node_close(node);
}

/* ---- Closing nodes ---- */

static void ignore(weft_interest *interest, const weft_msg *msg, void *user)
{
}

TEST(callbacks, a_node_closes_with_everything_open)
{
    for (int round = 0; round < (INSTRUMENTED ? 10 : 50); round++) {
        weft_node *a = fx_open("inproc://open-a/a", NULL, NULL);
        weft_node *b = fx_open("inproc://open-b/b", weft_node_url(a), NULL);
        weft_subscribe_options o;
        weft_subscribe_options_init(&o);
        o.on_message = ignore;
        weft_interest *in;
        weft_intent *out = NULL;
        for (int i = 0; i < 20; i++) {
            char route[64];
            snprintf(route, sizeof(route), "t.C@a.r%d", i);
            out = fx_publish(a, route);
            fx_publish(a, route);
            fx_subscribe(b, route);
            CHECK_EQ(weft_subscribe(b, route, &o, &in), 0);
            CHECK_EQ(weft_subscribe(a, route, &o, &in), 0);
        }
        CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
        for (int i = 0; i < round * 10; i++)
            CHECK_EQ(weft_send(out, "x", 1), 0);
        CHECK_EQ(weft_node_close(round % 2 ? a : b), 0);
        CHECK_EQ(weft_node_close(round % 2 ? b : a), 0);
    }
}

TEST(callbacks, two_hundred_nodes_come_and_go)
{
    for (int i = 0; i < 200; i++) {
        weft_node *node = fx_open(i % 2 ? "tcp://127.0.0.1:0/x" : "inproc://many/x", NULL, NULL);
        if (i % 3 == 0)
            weft_node_dial(node, "inproc://nobody/x", NULL);
        CHECK_EQ(weft_node_close(node), 0);
    }
}

/* A client whose router is away closes at once all the same. */
TEST(callbacks, closing_while_dialling)
{
    for (int i = 0; i < 20; i++) {
        weft_node *node = fx_open(NULL, "tcp://127.0.0.1:1/nobody", NULL);
        uint64_t start = fx_now_ms();
        CHECK_EQ(weft_node_close(node), 0);
        CHECK(fx_now_ms() - start < 500);
    }
}

TEST(callbacks, waits_run_out_of_time)
{
    weft_node *node = fx_open("inproc://waits/a", NULL, NULL);
    weft_interest *in = fx_subscribe(node, ROUTE);
    weft_msg *msg;
    CHECK_EQ(weft_recv(in, &msg, 0), WEFT_ETIMEDOUT);
    CHECK_EQ(weft_recv(in, &msg, 20), WEFT_ETIMEDOUT);
    CHECK_EQ(weft_interest_wait(in, 20), WEFT_ETIMEDOUT);
    CHECK_EQ(weft_node_wait_peers(node, 1, 20), WEFT_ETIMEDOUT);
    weft_intent *out = fx_publish(node, "t.C@a.other");
    CHECK_EQ(weft_intent_wait(out, 20), WEFT_ETIMEDOUT);
    weft_node_close(node);
}

/* ---- The descriptor ---- */

static bool readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLIN);
}

TEST(callbacks, the_descriptor_polls_readable_while_messages_wait)
{
    weft_node *node = fx_open("inproc://poll/a", NULL, NULL);
    weft_interest *in = fx_subscribe(node, ROUTE);
    weft_intent *out = fx_publish(node, ROUTE);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_send(out, "early", 5), 0);
    int fd = weft_interest_fd(in);
    CHECK(fd >= 0);
    CHECK_EQ(weft_interest_fd(in), fd);
    CHECK(readable(fd, WAIT_MS));
    weft_msg *msg;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_send(out, "more", 4), 0);
    for (int i = 0; i < 4; i++) {
        CHECK(readable(fd, 0));
        CHECK_EQ(weft_recv(in, &msg, 0), 0);
        weft_msg_unref(msg);
    }
    CHECK(!readable(fd, 0));
    weft_node_close(node);
}

/* ---- A callback that answers itself ---- */

struct echo {
    weft_intent *_Atomic out;
    atomic_bool go, stop;
};

static void answer_itself(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct echo *e = user;
    while (!atomic_load(&e->go))
        fx_pause();
    if (!atomic_load(&e->stop))
        weft_send(atomic_load(&e->out), weft_msg_data(msg), weft_msg_size(msg));
}

/* What it sends replaces what waits for this turn, and is for the next one all the same. */
TEST(callbacks, one_that_answers_itself_leaves_the_loop_its_turn)
{
    struct echo e = {.go = false};
    weft_node *node = fx_open("inproc://echo/a", NULL, NULL);
    weft_subscribe_options so;
    weft_subscribe_options_init(&so);
    so.on_message = answer_itself;
    so.user = &e;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(node, "t.E@a.*", &so, &in), 0);
    weft_publish_options po;
    weft_publish_options_init(&po);
    po.policy = WEFT_KEEP_LAST;
    weft_intent *out, *first = fx_publish(node, "t.E@a.first");
    CHECK_EQ(weft_publish(node, "t.E@a.echo", &po, &out), 0);
    atomic_store(&e.out, out);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_intent_wait(first, WAIT_MS), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_send(first, "x", 1), 0);
    CHECK_EQ(weft_send(out, "x", 1), 0);
    atomic_store(&e.go, true);
    for (int i = 0; i < 100; i++)
        fx_stats(node); /* waits for the loop */
    atomic_store(&e.stop, true);
    CHECK_EQ(weft_node_close(node), 0);
}
