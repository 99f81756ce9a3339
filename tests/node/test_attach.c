/* Nodes on a loop of the caller's: everything happens inside uv_run, and nothing is left on the
 * loop afterwards. */
#include "fixture.h"

#include <weft/uv.h>

struct world {
    uv_loop_t loop;
    unsigned got, done, ups;
    bool stop_on_message;
    weft_node *a, *b;
};

static void on_done(void *user)
{
    ((struct world *)user)->done++;
}

static void on_event(weft_node *node, const weft_event *event, void *user)
{
    ((struct world *)user)->ups += event->type == WEFT_EVENT_PEER_UP;
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct world *w = user;
    w->got++;
    if (w->stop_on_message && w->a) {
        weft_node_detach(w->a, on_done, w);
        weft_node_detach(w->b, on_done, w);
        w->a = w->b = NULL;
    }
}

static weft_node *attach(struct world *w, const char *self, const char *peer)
{
    weft_options o = fx_options(self);
    const char *peers[] = {peer, NULL};
    o.peers = peer ? peers : NULL;
    o.on_event = on_event;
    o.user = w;
    weft_node *node;
    char *text = NULL;
    int rc = weft_node_attach(&w->loop, &o, &node, &text);
    if (rc < 0)
        FAIL("%s: %s", weft_err_name(rc), text);
    return node;
}

/* Turn the loop until the condition holds. */
#define TURN_UNTIL(w, cond)                                                                        \
    do {                                                                                           \
        uint64_t turn_end = fx_now_ms() + WAIT_MS;                                                 \
        while (!(cond)) {                                                                          \
            CHECK(fx_now_ms() < turn_end);                                                         \
            uv_run(&(w)->loop, UV_RUN_ONCE);                                                       \
        }                                                                                          \
    } while (0)

static void open_world(struct world *w)
{
    *w = (struct world){0};
    CHECK_EQ(uv_loop_init(&w->loop), 0);
}

/* Nothing is left: the loop ends by itself and can be closed. */
static void close_world(struct world *w)
{
    uv_run(&w->loop, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&w->loop), 0);
}

static weft_interest *subscribe(struct world *w, weft_node *node)
{
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = on_message;
    o.user = w;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(node, "t.A@a.out", &o, &in), 0);
    return in;
}

static void talk(const char *self_a, const char *self_b)
{
    struct world w;
    open_world(&w);
    w.a = attach(&w, self_a, NULL);
    w.b = attach(&w, self_b, weft_node_url(w.a));
    subscribe(&w, w.b);
    subscribe(&w, w.a); /* called directly by weft_send */
    weft_intent *out = fx_publish(w.a, "t.A@a.out");
    TURN_UNTIL(&w, w.ups == 2);
    TURN_UNTIL(&w, fx_stats(w.b).remote_intents == 1 && fx_stats(w.a).remote_interests == 1);
    for (unsigned i = 0; i < 1000; i++)
        CHECK_EQ(weft_send(out, &i, sizeof(i)), 0);
    TURN_UNTIL(&w, w.got == 2000);
    CHECK_EQ(weft_intent_wait(out, 1000), 0); /* it is interested: no waiting */
    CHECK_EQ(weft_node_wait_peers(w.a, 1, 1000), WEFT_ELOOP);
    CHECK_EQ(weft_node_close(w.a), WEFT_EINVAL);
    weft_node_detach(w.a, on_done, &w);
    weft_node_detach(w.b, on_done, &w);
    close_world(&w);
    CHECK_EQ(w.done, 2);
}

TEST(attach, two_nodes_on_one_loop_over_tcp)
{
    talk("tcp://127.0.0.1:0/a", "tcp://127.0.0.1:0/b");
}

TEST(attach, two_nodes_on_one_loop_over_inproc)
{
    talk("inproc://attach-a/a", "inproc://attach-b/b");
}

TEST(attach, detached_in_a_callback)
{
    struct world w;
    open_world(&w);
    w.a = attach(&w, "tcp://127.0.0.1:0/a", NULL);
    w.b = attach(&w, "tcp://127.0.0.1:0/b", weft_node_url(w.a));
    subscribe(&w, w.b);
    weft_intent *out = fx_publish(w.a, "t.A@a.out");
    TURN_UNTIL(&w, weft_intent_interested(out));
    w.stop_on_message = true;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_send(out, "x", 1), 0);
    close_world(&w);
    CHECK(w.got >= 1);
    CHECK_EQ(w.done, 2);
}

TEST(attach, detached_before_the_loop_ever_ran)
{
    struct world w;
    open_world(&w);
    w.a = attach(&w, "tcp://127.0.0.1:0/a", "tcp://127.0.0.1:1/nobody");
    fx_publish(w.a, "t.A@a.out");
    fx_subscribe(w.a, "t.A@a.out");
    weft_node_detach(w.a, on_done, &w);
    close_world(&w);
    CHECK_EQ(w.done, 1);
    open_world(&w);
    w.a = attach(&w, NULL, "tcp://127.0.0.1:1/nobody");
    weft_node_detach(w.a, NULL, NULL);
    close_world(&w);
}

static void tell_nothing(weft_node *node, const weft_event *event, void *user)
{
    (*(unsigned *)user)++;
}

TEST(attach, a_failed_attach_leaves_the_loop_clean)
{
    struct world w;
    open_world(&w);
    char folder[64], file[128];
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/book", folder);
    FILE *f = fopen(file, "w");
    CHECK(f && fputs("this is no address book", f) >= 0 && fclose(f) == 0);
    weft_node *taken = fx_open("tcp://127.0.0.1:0/x", NULL, NULL), *node = NULL;
    unsigned told = 0;
    weft_options o = fx_options(weft_node_url(taken));
    o.addrbook = file;
    o.on_event = tell_nothing;
    o.user = &told;
    char *text = NULL;
    CHECK_EQ(weft_node_attach(&w.loop, &o, &node, &text), WEFT_EADDRINUSE);
    CHECK(node == NULL && strstr(text, weft_node_url(taken)) != NULL);
    weft_free(text);
    close_world(&w);
    CHECK_EQ(told, 0); /* of a node its owner has never got */
    weft_node_close(taken);
    fx_rmdir(folder);
}

TEST(attach, bad_options_touch_nothing)
{
    struct world w;
    open_world(&w);
    weft_options o = fx_options("tcp://127.0.0.1/a b");
    weft_node *node = NULL;
    char *text = NULL;
    CHECK_EQ(weft_node_attach(&w.loop, &o, &node, &text), WEFT_EURL);
    CHECK(text && strncmp(text, "self: ", 6) == 0);
    weft_free(text);
    CHECK_EQ(weft_node_attach(NULL, &o, &node, NULL), WEFT_EINVAL);
    CHECK(node == NULL);
    close_world(&w);
}

/* Other threads use an attached node while its loop runs. */
static void *use(void *arg)
{
    weft_node *node = arg;
    for (int i = 0; i < 200; i++) {
        weft_interest *in = fx_subscribe(node, "t.A@a.out");
        weft_intent *out = fx_publish(node, "t.A@a.out");
        if (weft_intent_wait(out, WAIT_MS) < 0 || weft_send(out, "x", 1) < 0)
            return arg;
        weft_stats stats;
        if (weft_node_stats(node, &stats) < 0)
            return arg;
        weft_interest_close(in);
        weft_intent_close(out);
    }
    return NULL;
}

static void stop_loop(uv_async_t *async)
{
    uv_close((uv_handle_t *)async, NULL);
    uv_stop(async->loop);
}

struct user {
    weft_node *node;
    uv_async_t *ready;
    void *failed;
};

static void *use_and_tell(void *arg)
{
    struct user *u = arg;
    u->failed = use(u->node);
    uv_async_send(u->ready);
    return NULL;
}

TEST(attach, other_threads_use_an_attached_node)
{
    struct world w;
    open_world(&w);
    w.a = attach(&w, "tcp://127.0.0.1:0/a", NULL);
    uv_async_t ready;
    CHECK_EQ(uv_async_init(&w.loop, &ready, stop_loop), 0);
    struct user u = {.node = w.a, .ready = &ready};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, use_and_tell, &u), 0);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    CHECK(u.failed == NULL);
    weft_node_detach(w.a, on_done, &w);
    close_world(&w);
    CHECK_EQ(w.done, 1);
}

static void on_report(int error, const char *text, weft_report *report, void *user)
{
    struct world *w = user;
    w->got++;
    CHECK_EQ(error, w->stop_on_message ? WEFT_ECLOSED : 0);
    CHECK_EQ(report != NULL, !w->stop_on_message);
    if (report)
        CHECK_STR(report->status->path, "a");
    weft_report_free(report);
}

/* A question from the loop's own thread: answered in a turn of the loop, or ended by detaching. */
TEST(attach, inspect_async)
{
    struct world w;
    open_world(&w);
    w.a = attach(&w, "inproc://inspect-a/a", NULL);
    w.b = attach(&w, "inproc://inspect-b/b", "inproc://inspect-a/a");
    TURN_UNTIL(&w, w.ups == 2);
    weft_query query;
    weft_query_init(&query);
    CHECK_EQ(weft_node_inspect_async(w.a, NULL, &query, 0, on_report, &w), 0);
    CHECK_EQ(w.got, 0); /* never from within the call */
    TURN_UNTIL(&w, w.got == 1);
    CHECK_EQ(weft_node_inspect_async(w.b, weft_node_url(w.a), &query, WAIT_MS, on_report, &w), 0);
    TURN_UNTIL(&w, w.got == 2);
    w.stop_on_message = true;
    CHECK_EQ(weft_node_inspect_async(w.b, weft_node_url(w.a), &query, WAIT_MS, on_report, &w), 0);
    weft_node_detach(w.b, on_done, &w);
    CHECK_EQ(weft_node_inspect_async(w.b, NULL, &query, 0, on_report, &w), WEFT_ECLOSED);
    TURN_UNTIL(&w, w.done == 1);
    CHECK_EQ(w.got, 3);
    weft_node_detach(w.a, on_done, &w);
    close_world(&w);
}
