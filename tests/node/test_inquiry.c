/* Reports of another node, asked for over a link: what is told, to whom, and how it ends. */
#include <string.h>

#include "fixture.h"

/* b dials a over loopback tcp. */
static void open_two(weft_node **ret_a, weft_node **ret_b)
{
    *ret_a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    *ret_b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(*ret_a), NULL);
    CHECK_EQ(weft_node_wait_peers(*ret_a, 1, WAIT_MS), 0);
    CHECK_EQ(weft_node_wait_peers(*ret_b, 1, WAIT_MS), 0);
}

static void same_routes(const weft_report *x, const weft_report *y)
{
    CHECK_EQ(x->n_routes, y->n_routes);
    for (size_t i = 0; i < x->n_routes; i++) {
        CHECK_STR(x->routes[i].route, y->routes[i].route);
        CHECK_EQ(x->routes[i].intent, y->routes[i].intent);
        CHECK_EQ(x->routes[i].matches, y->routes[i].matches);
        CHECK_EQ(x->routes[i].schema, y->routes[i].schema);
        CHECK_STR(x->routes[i].peer ? x->routes[i].peer : "-",
                  y->routes[i].peer ? y->routes[i].peer : "-");
    }
}

/* What a tells of itself over a link is what it tells here. */
TEST(inquiry, over_a_link)
{
    char dead[128];
    fx_dead_url(dead, sizeof(dead));
    weft_node *a, *b;
    open_two(&a, &b);
    weft_publish_options publish;
    weft_publish_options_init(&publish);
    publish.schema = 77;
    weft_intent *intent;
    CHECK_EQ(weft_publish(a, "types.X@a.x", &publish, &intent), 0);
    weft_interest *interest = fx_subscribe(b, "types.X@a.x");
    CHECK_EQ(weft_intent_wait(intent, WAIT_MS), 0);
    CHECK_EQ(weft_node_ban(a, dead, UINT64_MAX), 0);
    weft_report *there = fx_inspect(b, weft_node_url(a), FX_ALL_PARTS, NULL);
    weft_report *here = fx_inspect(a, NULL, FX_ALL_PARTS, NULL);
    CHECK_STR(there->status->url, here->status->url);
    CHECK_STR(there->status->listen, here->status->listen);
    CHECK_STR(there->status->path, here->status->path);
    CHECK_STR(there->status->agent, here->status->agent);
    CHECK_EQ(there->status->pid, here->status->pid);
    CHECK_EQ(there->status->max_routes, here->status->max_routes);
    CHECK_EQ(there->status->outbox, here->status->outbox);
    CHECK(memcmp(there->status->node_id, here->status->node_id, 16) == 0);
    CHECK_EQ(there->status->stats.intents, 1);
    CHECK_EQ(there->n_peers, 2);
    for (size_t i = 0; i < 2; i++) {
        CHECK_STR(there->peers[i].url, here->peers[i].url);
        CHECK_STR(there->peers[i].state, here->peers[i].state);
        CHECK_EQ(there->peers[i].inbound, here->peers[i].inbound);
        CHECK_EQ(there->peers[i].next_dial_ms, here->peers[i].next_dial_ms);
    }
    same_routes(there, here);
    CHECK_EQ(there->n_routes, 2);
    CHECK_EQ(there->book->count, here->book->count);
    CHECK(memcmp(there->book->node_id, here->status->node_id, 16) == 0);
    for (size_t i = 0; i < here->book->count; i++) {
        CHECK_STR(there->book->entries[i].peer, here->book->entries[i].peer);
        CHECK_EQ(there->book->entries[i].banned_until, here->book->entries[i].banned_until);
        CHECK_EQ(there->book->entries[i].linked, here->book->entries[i].linked);
    }
    CHECK_EQ(there->n_incidents, here->n_incidents);
    weft_report_free(there);
    there = fx_inspect(b, weft_node_url(a), WEFT_PART_PEERS | WEFT_PART_INCIDENTS, NULL);
    CHECK(!there->status && there->peers && !there->routes && !there->book && there->incidents);
    weft_report_free(there);
    there = fx_inspect(b, weft_node_url(a), WEFT_PART_ROUTES, "types.Q@q");
    CHECK_EQ(there->n_routes, 0);
    weft_report_free(there);
    weft_report_free(here);
    weft_interest_close(interest);
    weft_node_close(b);
    weft_node_close(a);
}

/* Several MiB, in pieces; messages pass meanwhile. */
TEST(inquiry, fifty_thousand_routes)
{
    enum { COUNT = 50000 };
    weft_node *a, *b;
    open_two(&a, &b);
    for (int i = 0; i < COUNT; i++) {
        char route[64];
        snprintf(route, sizeof(route), "types.X@a.route-%d", i);
        fx_publish(a, route);
    }
    CHECK_EQ(fx_stats(a).intents, COUNT); /* calls run in their order */
    weft_report *there = fx_inspect(b, weft_node_url(a), WEFT_PART_STATUS | WEFT_PART_ROUTES, NULL);
    weft_report *here = fx_inspect(a, NULL, WEFT_PART_ROUTES, NULL);
    CHECK_EQ(there->n_routes, COUNT);
    same_routes(there, here);
    weft_report_free(there);
    weft_report_free(here);
    there = fx_inspect(b, weft_node_url(a), WEFT_PART_ROUTES, "types.Y@a.route-7");
    CHECK_EQ(there->n_routes, 1);
    CHECK_STR(there->routes[0].route, "types.X@a.route-7");
    weft_report_free(there);
    weft_node_close(b);
    weft_node_close(a);
}

static int ask(weft_node *node, const char *url, const char *says)
{
    weft_query query;
    weft_query_init(&query);
    weft_report *r = NULL;
    char *text = NULL;
    int rc = weft_node_inspect(node, url, &query, WAIT_MS, &r, &text);
    if (rc < 0 && (!text || !strstr(text, says)))
        FAIL("\"%s\" lacks \"%s\"", text ? text : "(nothing)", says);
    weft_report_free(r);
    weft_free(text);
    return rc;
}

TEST(inquiry, who_is_told)
{
    static const struct {
        enum weft_access access;
        int over_tcp, over_unix;
    } cases[] = {
        {WEFT_ACCESS_DEFAULT, 0, 0},
        {WEFT_ACCESS_NONE, WEFT_EDENIED, WEFT_EDENIED},
        {WEFT_ACCESS_UNIX, WEFT_EDENIED, 0},
        {WEFT_ACCESS_LOCAL, 0, 0},
        {WEFT_ACCESS_ANY, 0, 0},
    };
    char folder[64], file[128];
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "unix://%s/door/a", folder);
    for (size_t i = 0; i < 5; i++) {
        const char *listen[] = {file, NULL};
        weft_options o = fx_options("tcp://127.0.0.1:0/a");
        o.listen = listen;
        o.info = cases[i].access;
        weft_node *a = fx_open_options(&o);
        weft_node *b = fx_open(NULL, weft_node_url(a), NULL);
        weft_node *c = fx_open(NULL, file, NULL);
        CHECK_EQ(weft_node_wait_peers(b, 1, WAIT_MS), 0);
        CHECK_EQ(weft_node_wait_peers(c, 1, WAIT_MS), 0);
        CHECK_EQ(ask(b, weft_node_url(a), "access: {info: local} there"), cases[i].over_tcp);
        CHECK_EQ(ask(c, file, "access: {info: local} there"), cases[i].over_unix);
        weft_node_close(b);
        weft_node_close(c);
        weft_node_close(a);
    }
    fx_rmdir(folder);
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    weft_node *a;
    o.info = (enum weft_access)5;
    CHECK_EQ(weft_node_open(&o, &a), WEFT_EINVAL);
}

/* Whoever asks and whoever is asked may go at any time; the callback comes once. */
TEST(inquiry, a_node_that_closes)
{
    for (int round = 0; round < 20; round++) {
        weft_node *a, *b;
        open_two(&a, &b);
        weft_query query;
        weft_query_init(&query);
        query.parts = FX_ALL_PARTS;
        struct fx_told told = FX_TOLD_INIT;
        CHECK_EQ(weft_node_inspect_async(b, weft_node_url(a), &query, WAIT_MS, fx_told_take, &told),
                 0);
        if (round & 1)
            weft_node_close(a);
        weft_node_close(b);
        CHECK_EQ(told.count, 1);
        if (told.error == 0)
            weft_report_free(told.report);
        else
            CHECK(!told.report && (told.error == WEFT_ECLOSED || told.error == WEFT_ELOST ||
                                   told.error == WEFT_ENOTFOUND));
        if (!(round & 1))
            weft_node_close(a);
    }
}

/* A question is asked from a callback, on the loop; to wait there is an error. */
struct asker {
    struct fx_told told;
    weft_node *node;
    const char *url;
    int waited;
};

static void ask_below(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct asker *asker = user;
    weft_query query;
    weft_query_init(&query);
    weft_report *r;
    asker->waited = weft_node_inspect(asker->node, asker->url, &query, WAIT_MS, &r, NULL);
    CHECK_EQ(weft_node_inspect(asker->node, NULL, &query, 0, &r, NULL), 0);
    weft_report_free(r);
    CHECK_EQ(weft_node_inspect_async(asker->node, asker->url, &query, WAIT_MS, fx_told_take,
                                     &asker->told),
             0);
}

TEST(inquiry, from_a_callback)
{
    weft_node *a, *b;
    open_two(&a, &b);
    struct asker asker = {.told = FX_TOLD_INIT, .node = b, .url = weft_node_url(a)};
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = ask_below;
    o.user = &asker;
    weft_interest *interest;
    CHECK_EQ(weft_subscribe(b, "types.X@a.x", &o, &interest), 0);
    weft_intent *intent = fx_publish(a, "types.X@a.x");
    CHECK_EQ(weft_intent_wait(intent, WAIT_MS), 0);
    CHECK_EQ(weft_send(intent, "x", 1), 0);
    fx_told_wait(&asker.told);
    CHECK_EQ(asker.waited, WEFT_ELOOP);
    CHECK_EQ(asker.told.error, 0);
    CHECK_STR(asker.told.report->status->path, "a");
    weft_report_free(asker.told.report);
    weft_node_close(b);
    weft_node_close(a);
}

/* One question at a time a link: many threads ask, and each is answered or told to wait. */
static void *ask_often(void *arg)
{
    struct asker *asker = arg;
    for (int i = 0; i < 50; i++) {
        weft_query query;
        weft_query_init(&query);
        query.parts = FX_ALL_PARTS;
        weft_report *r = NULL;
        int rc = weft_node_inspect(asker->node, asker->url, &query, WAIT_MS, &r, NULL);
        CHECK(rc == 0 || rc == WEFT_ELIMIT);
        asker->waited += rc == 0;
        weft_report_free(r);
    }
    return NULL;
}

TEST(inquiry, many_threads)
{
    weft_node *a, *b;
    open_two(&a, &b);
    struct asker askers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        askers[i] = (struct asker){.node = b, .url = weft_node_url(a)};
        pthread_create(&threads[i], NULL, ask_often, &askers[i]);
    }
    int answered = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        answered += askers[i].waited;
    }
    CHECK(answered > 0);
    weft_node_close(b);
    weft_node_close(a);
}

/* A report that takes more than 64 MiB is refused; asking for less is answered. Interests in one
 * route are told to peers once, and are each a row of a report. */
TEST(inquiry, too_large_a_report)
{
    enum { COUNT = 75000 };
    weft_node *a, *b;
    open_two(&a, &b);
    char route[1000];
    snprintf(route, sizeof(route), "types.X@a.%0900d", 0);
    fx_subscribe_often(a, route, COUNT);
    weft_query query;
    weft_query_init(&query);
    query.parts = WEFT_PART_ROUTES;
    weft_report *r;
    for (int i = 0; i < 2; i++) {
        char *text = NULL;
        query.route = i ? "*@a.**" : NULL;
        CHECK_EQ(weft_node_inspect(b, weft_node_url(a), &query, WAIT_MS, &r, &text), WEFT_ELIMIT);
        if (!text || !strstr(text, "more than 64 MiB, the most that is told at once: ask for one"))
            FAIL("%s", text ? text : "(nothing)");
        weft_free(text);
    }
    r = fx_inspect(b, weft_node_url(a), FX_ALL_PARTS & ~(uint32_t)WEFT_PART_ROUTES, NULL);
    CHECK_EQ(r->status->stats.interests, COUNT);
    weft_report_free(r);
    weft_node_close(b);
    weft_node_close(a);
}
