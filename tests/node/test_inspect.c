/* Reports: of this node and of another, and what they hold. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/admin.h>

#include "fixture.h"

#define ALL                                                                                        \
    (WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES | WEFT_PART_BOOK | WEFT_PART_INCIDENTS)

static weft_report *inspect(weft_node *node, const char *url, uint32_t parts, const char *route)
{
    weft_query query;
    weft_query_init(&query);
    query.parts = parts;
    query.route = route;
    weft_report *report = NULL;
    char *text = NULL;
    int rc = weft_node_inspect(node, url, &query, WAIT_MS, &report, &text);
    if (rc < 0)
        FAIL("%s: %s", weft_err_name(rc), text ? text : "");
    return report;
}

static const weft_peer_info *row(const weft_report *report, const char *url)
{
    for (size_t i = 0; i < report->n_peers; i++) {
        if (strcmp(report->peers[i].url, url) == 0)
            return &report->peers[i];
    }
    FAIL("no peer %s", url);
}

static bool has_state(weft_node *node, const char *url, const char *state)
{
    weft_report *report = inspect(node, NULL, WEFT_PART_PEERS, NULL);
    bool found = false;
    for (size_t i = 0; i < report->n_peers; i++)
        found |=
            strcmp(report->peers[i].url, url) == 0 && strcmp(report->peers[i].state, state) == 0;
    weft_report_free(report);
    return found;
}

/* A port that nobody listens on. */
static void dead_url(char *url, size_t size)
{
    weft_node *node = fx_open("tcp://127.0.0.1:0/gone", NULL, NULL);
    snprintf(url, size, "%s", weft_node_url(node));
    weft_node_close(node);
}

/* ---- This node ---- */

TEST(inspect, only_what_is_asked_for)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_query query;
    weft_query_init(&query);
    weft_report *r = NULL;
    CHECK_EQ(weft_node_inspect(a, NULL, &query, 0, &r, NULL), 0);
    CHECK(r->status && !r->peers && !r->routes && !r->book && !r->incidents);
    CHECK_STR(r->status->url, weft_node_url(a));
    CHECK_STR(r->status->listen, weft_node_url(a));
    CHECK_STR(r->status->path, "a");
    CHECK_STR(r->status->version, weft_version());
    CHECK_STR(r->status->network, "");
    CHECK_STR(r->status->addrbook, "");
    CHECK_EQ(r->status->role, WEFT_ROLE_PEER);
    CHECK_EQ(r->status->log_level, WEFT_LOG_INFO);
    CHECK_EQ(r->status->pid, (uint32_t)getpid());
    CHECK_EQ(r->status->max_frame, 4u << 20);
    CHECK_EQ(r->status->max_peers, 1024);
    CHECK(r->status->started <= r->status->now);
    weft_report_free(r);
    weft_report_free(NULL);
    weft_node_close(a);
}

TEST(inspect, refuses_a_senseless_query)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_query query;
    weft_query_init(&query);
    weft_report *r = NULL;
    query.parts = 0;
    CHECK_EQ(weft_node_inspect(a, NULL, &query, 0, &r, NULL), WEFT_EINVAL);
    query.parts = 64;
    CHECK_EQ(weft_node_inspect(a, NULL, &query, 0, &r, NULL), WEFT_EINVAL);
    query.parts = WEFT_PART_ROUTES;
    query.route = "no route";
    CHECK_EQ(weft_node_inspect(a, NULL, &query, 0, &r, NULL), WEFT_EROUTE);
    query.route = NULL;
    CHECK_EQ(weft_node_inspect(a, "no url", &query, 0, &r, NULL), WEFT_EURL);
    CHECK_EQ(weft_node_inspect(a, "tcp://127.0.0.1:1/x", &query, 1000, &r, NULL), WEFT_ENOTFOUND);
    CHECK(r == NULL);
    weft_node_close(a);
}

/* Every state of a peer that can be waited for. */
TEST(inspect, peers_in_every_state)
{
    char dead[128], banned[128];
    dead_url(dead, sizeof(dead));
    dead_url(banned, sizeof(banned));
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(a), NULL);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    weft_dial_options dial;
    weft_dial_options_init(&dial);
    dial.backoff_ms = dial.max_backoff_ms = 600000;
    CHECK_EQ(weft_node_dial(a, dead, &dial), 0);
    UNTIL(has_state(a, dead, "waiting"));
    CHECK_EQ(weft_node_ban(a, banned, UINT64_MAX), 0);
    weft_report *r = inspect(a, NULL, ALL, NULL);
    CHECK_EQ(r->n_peers, 3);
    const weft_peer_info *p = row(r, weft_node_url(b));
    CHECK_STR(p->state, "linked");
    CHECK(p->inbound);
    CHECK_EQ(p->next_dial_ms, UINT64_MAX);
    p = row(r, dead);
    CHECK_STR(p->state, "waiting");
    CHECK_STR(p->last_error, weft_strerror(WEFT_EREFUSED));
    CHECK_EQ(p->failed_attempts, 1);
    CHECK(p->persistent && p->next_dial_ms <= 600000);
    CHECK_STR(p->path, "gone");
    CHECK_STR(row(r, banned)->state, "banned");
    CHECK_EQ(row(r, banned)->next_dial_ms, UINT64_MAX);
    CHECK_EQ(r->n_incidents, 1);
    CHECK_EQ(r->incidents[0].type, WEFT_EVENT_DIAL_FAILED);
    CHECK_EQ(r->incidents[0].error, WEFT_EREFUSED);
    CHECK_EQ(r->incidents[0].count, 1);
    CHECK_STR(r->incidents[0].peer, dead);
    weft_report_free(r);
    weft_node_close(b);
    weft_node_close(a);
}

/* The same report as the single calls give. */
TEST(inspect, agrees_with_the_single_calls)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(a), NULL);
    weft_intent *intent = fx_publish(a, "types.X@a.x");
    weft_interest *interest = fx_subscribe(b, "types.X@a.x");
    CHECK_EQ(weft_intent_wait(intent, WAIT_MS), 0);
    weft_report *r = inspect(a, NULL, ALL, NULL);
    weft_peer_info *peers;
    weft_route_info *routes;
    size_t n_peers, n_routes;
    CHECK_EQ(weft_node_peers(a, &peers, &n_peers), 0);
    CHECK_EQ(weft_node_routes(a, &routes, &n_routes), 0);
    CHECK_EQ(r->n_peers, n_peers);
    CHECK_STR(r->peers[0].url, peers[0].url);
    CHECK_EQ(r->n_routes, n_routes);
    CHECK_EQ(n_routes, 2);
    for (size_t i = 0; i < n_routes; i++) {
        CHECK_STR(r->routes[i].route, routes[i].route);
        CHECK_EQ(r->routes[i].intent, routes[i].intent);
        CHECK_EQ(r->routes[i].matches, routes[i].matches);
    }
    CHECK_EQ(r->status->stats.peers, 1);
    CHECK_EQ(r->book->count, 1);
    CHECK_STR(r->book->entries[0].peer, weft_node_url(b));
    CHECK(r->book->entries[0].linked && !r->book->entries[0].dialing);
    CHECK_EQ(r->book->entries[0].next_dial_ns, 0);
    weft_peers_free(peers, n_peers);
    weft_routes_free(routes, n_routes);
    weft_report_free(r);
    weft_interest_close(interest);
    weft_node_close(b);
    weft_node_close(a);
}

static size_t routes_about(weft_node *node, const char *route)
{
    weft_report *r = inspect(node, NULL, WEFT_PART_ROUTES, route);
    size_t n = r->n_routes;
    weft_report_free(r);
    return n;
}

TEST(inspect, routes_that_concern_one)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    char hashed[256];
    CHECK(weft_route_hash("types.H@a.secret", "a", hashed, sizeof(hashed)) > 0);
    fx_publish(a, "types.X@a.x");
    fx_publish(a, "types.Y@a.x");
    fx_publish(a, "types.X@a.y");
    fx_publish(a, hashed);
    fx_subscribe(a, "*@a.**");
    fx_subscribe(a, "types.Z@b.x");
    UNTIL(routes_about(a, NULL) == 6);
    CHECK_EQ(routes_about(a, "types.X@a.x"), 4); /* itself, other type, hashed below a, pattern */
    CHECK_EQ(routes_about(a, "types.Q@a.q"), 2); /* hashed, pattern */
    CHECK_EQ(routes_about(a, "types.Z@b.x"), 1);
    CHECK_EQ(routes_about(a, "*@**"), 6);
    CHECK_EQ(routes_about(a, "types.X@c"), 0);
    CHECK_EQ(routes_about(a, hashed), 5);
    weft_node_close(a);
}

/* ---- Incidents ---- */

TEST(inspect, the_same_incident_counts_up)
{
    char dead[128];
    dead_url(dead, sizeof(dead));
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_dial_options dial;
    weft_dial_options_init(&dial);
    dial.backoff_ms = dial.max_backoff_ms = 1;
    CHECK_EQ(weft_node_dial(a, dead, &dial), 0);
    uint32_t count = 0;
    while (count < 3) {
        weft_report *r = inspect(a, NULL, WEFT_PART_INCIDENTS, NULL);
        CHECK(r->n_incidents <= 1);
        count = r->n_incidents ? r->incidents[0].count : 0;
        weft_report_free(r);
        fx_pause();
    }
    weft_node_close(a);
}

TEST(inspect, the_last_64_incidents)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    struct events events;
    events_init(&events);
    weft_node_close(a);
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    o.on_event = events_take;
    o.user = &events;
    a = fx_open_options(&o);
    weft_dial_options dial;
    weft_dial_options_init(&dial);
    dial.backoff_ms = dial.max_backoff_ms = 600000;
    for (int i = 0; i < 80; i++) {
        char url[128];
        snprintf(url, sizeof(url), "unix:///nonexistent/socket-%02d", i);
        CHECK_EQ(weft_node_dial(a, url, &dial), 0);
        events_wait(&events, WEFT_EVENT_DIAL_FAILED, (size_t)i + 1);
    }
    weft_report *r = inspect(a, NULL, WEFT_PART_INCIDENTS, NULL);
    CHECK_EQ(r->n_incidents, 64);
    CHECK(strstr(r->incidents[0].peer, "socket-16") != NULL);
    CHECK(strstr(r->incidents[63].peer, "socket-79") != NULL);
    weft_report_free(r);
    weft_node_close(a);
}

/* ---- Without waiting ---- */

struct told {
    pthread_mutex_t lock;
    pthread_cond_t came;
    int error;
    weft_report *report;
    unsigned count;
};

#define TOLD_INIT                                                                                  \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER                        \
    }

static void on_report(int error, const char *text, weft_report *report, void *user)
{
    struct told *told = user;
    pthread_mutex_lock(&told->lock);
    told->error = error;
    told->report = report;
    told->count++;
    pthread_cond_broadcast(&told->came);
    pthread_mutex_unlock(&told->lock);
}

static void wait_told(struct told *told)
{
    pthread_mutex_lock(&told->lock);
    while (!told->count)
        pthread_cond_wait(&told->came, &told->lock);
    pthread_mutex_unlock(&told->lock);
}

TEST(inspect, without_waiting)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_query query;
    weft_query_init(&query);
    struct told told = TOLD_INIT;
    CHECK_EQ(weft_node_inspect_async(a, NULL, &query, 1000, on_report, &told), 0);
    wait_told(&told);
    CHECK_EQ(told.error, 0);
    CHECK_STR(told.report->status->path, "a");
    weft_report_free(told.report);
    query.parts = 0;
    CHECK_EQ(weft_node_inspect_async(a, NULL, &query, 1000, on_report, &told), WEFT_EINVAL);
    weft_node_close(a);
    CHECK_EQ(told.count, 1);
}

/* ---- Another node ---- */

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
TEST(inspect, over_a_link)
{
    char dead[128];
    dead_url(dead, sizeof(dead));
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
    weft_report *there = inspect(b, weft_node_url(a), ALL, NULL);
    weft_report *here = inspect(a, NULL, ALL, NULL);
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
    there = inspect(b, weft_node_url(a), WEFT_PART_PEERS | WEFT_PART_INCIDENTS, NULL);
    CHECK(!there->status && there->peers && !there->routes && !there->book && there->incidents);
    weft_report_free(there);
    there = inspect(b, weft_node_url(a), WEFT_PART_ROUTES, "types.Q@q");
    CHECK_EQ(there->n_routes, 0);
    weft_report_free(there);
    weft_report_free(here);
    weft_interest_close(interest);
    weft_node_close(b);
    weft_node_close(a);
}

/* Several MiB, in pieces; messages pass meanwhile. */
TEST(inspect, fifty_thousand_routes)
{
    enum { COUNT = 50000 };
    weft_node *a, *b;
    open_two(&a, &b);
    for (int i = 0; i < COUNT; i++) {
        char route[64];
        snprintf(route, sizeof(route), "types.X@a.route-%d", i);
        fx_publish(a, route);
    }
    UNTIL(fx_stats(a).intents == COUNT);
    weft_report *there = inspect(b, weft_node_url(a), WEFT_PART_STATUS | WEFT_PART_ROUTES, NULL);
    weft_report *here = inspect(a, NULL, WEFT_PART_ROUTES, NULL);
    CHECK_EQ(there->n_routes, COUNT);
    same_routes(there, here);
    weft_report_free(there);
    weft_report_free(here);
    there = inspect(b, weft_node_url(a), WEFT_PART_ROUTES, "types.Y@a.route-7");
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

TEST(inspect, who_is_told)
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
TEST(inspect, a_node_that_closes)
{
    for (int round = 0; round < 20; round++) {
        weft_node *a, *b;
        open_two(&a, &b);
        weft_query query;
        weft_query_init(&query);
        query.parts = ALL;
        struct told told = TOLD_INIT;
        CHECK_EQ(weft_node_inspect_async(b, weft_node_url(a), &query, WAIT_MS, on_report, &told),
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
    struct told told;
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
    CHECK_EQ(
        weft_node_inspect_async(asker->node, asker->url, &query, WAIT_MS, on_report, &asker->told),
        0);
}

TEST(inspect, from_a_callback)
{
    weft_node *a, *b;
    open_two(&a, &b);
    struct asker asker = {.told = TOLD_INIT, .node = b, .url = weft_node_url(a)};
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = ask_below;
    o.user = &asker;
    weft_interest *interest;
    CHECK_EQ(weft_subscribe(b, "types.X@a.x", &o, &interest), 0);
    weft_intent *intent = fx_publish(a, "types.X@a.x");
    CHECK_EQ(weft_intent_wait(intent, WAIT_MS), 0);
    CHECK_EQ(weft_send(intent, "x", 1), 0);
    wait_told(&asker.told);
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
        query.parts = ALL;
        weft_report *r = NULL;
        int rc = weft_node_inspect(asker->node, asker->url, &query, WAIT_MS, &r, NULL);
        CHECK(rc == 0 || rc == WEFT_ELIMIT);
        asker->waited += rc == 0;
        weft_report_free(r);
    }
    return NULL;
}

TEST(inspect, many_threads)
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
