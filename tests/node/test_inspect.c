/* Reports: of this node and of another, and what they hold. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

static const weft_peer_info *row(const weft_report *report, const char *url)
{
    for (size_t i = 0; i < report->n_peers; i++) {
        if (strcmp(report->peers[i].url, url) == 0)
            return &report->peers[i];
    }
    FAIL("no peer %s", url);
    return NULL;
}

static bool has_state(weft_node *node, const char *url, const char *state)
{
    weft_report *report = fx_inspect(node, NULL, WEFT_PART_PEERS, NULL);
    bool found = false;
    for (size_t i = 0; i < report->n_peers; i++)
        found |=
            strcmp(report->peers[i].url, url) == 0 && strcmp(report->peers[i].state, state) == 0;
    weft_report_free(report);
    return found;
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
    fx_dead_url(dead, sizeof(dead));
    fx_dead_url(banned, sizeof(banned));
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(a), NULL);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    weft_dial_options dial;
    weft_dial_options_init(&dial);
    dial.backoff_ms = dial.max_backoff_ms = 600000;
    CHECK_EQ(weft_node_dial(a, dead, &dial), 0);
    UNTIL(has_state(a, dead, "waiting"));
    CHECK_EQ(weft_node_ban(a, banned, UINT64_MAX), 0);
    weft_report *r = fx_inspect(a, NULL, FX_ALL_PARTS, NULL);
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

/* A connection that stands and says nothing: "handshake", by the name we dialled, or by the host it
 * came from. */
TEST(inspect, peers_in_their_handshake)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), silent = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(addr);
    CHECK_EQ(bind(listener, (struct sockaddr *)&addr, size), 0);
    CHECK_EQ(listen(listener, 5), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&addr, &size), 0);
    char url[128];
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%u/silent", ntohs(addr.sin_port));
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", url, NULL);
    UNTIL(has_state(a, url, "handshake"));
    unsigned port;
    CHECK_EQ(sscanf(weft_node_url(a), "tcp://127.0.0.1:%u", &port), 1);
    addr.sin_port = htons((uint16_t)port);
    CHECK_EQ(connect(silent, (struct sockaddr *)&addr, size), 0);
    UNTIL(has_state(a, "127.0.0.1", "handshake"));
    weft_report *r = fx_inspect(a, NULL, WEFT_PART_PEERS, NULL);
    CHECK_EQ(r->n_peers, 2); /* the entry that is dialled is no row besides */
    CHECK(row(r, "127.0.0.1")->inbound && !row(r, url)->inbound);
    CHECK(row(r, url)->persistent && !row(r, "127.0.0.1")->persistent);
    CHECK_EQ(row(r, url)->uptime_ms, 0);
    weft_report_free(r);
    close(silent);
    close(listener);
    weft_node_close(a);
}

/* A peer that was there once, and does not answer as often as it may: tried seldom. Then pinned. */
TEST(inspect, a_peer_that_is_given_up)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", NULL, NULL);
    char url[128];
    snprintf(url, sizeof(url), "%s", weft_node_url(b));
    weft_dial_options dial;
    weft_dial_options_init(&dial);
    dial.persistent = false;
    dial.max_attempts = 1;
    dial.backoff_ms = dial.max_backoff_ms = 1;
    CHECK_EQ(weft_node_dial(a, url, &dial), 0);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    weft_node_close(b);
    UNTIL(has_state(a, url, "given up"));
    weft_report *r = fx_inspect(a, NULL, WEFT_PART_PEERS | WEFT_PART_BOOK, NULL);
    const weft_peer_info *p = row(r, url);
    CHECK(!p->persistent && p->failed_attempts >= 1);
    CHECK(p->next_dial_ms > 200000 && p->next_dial_ms != UINT64_MAX);
    CHECK(r->book->entries[0].next_dial_ns > UINT64_C(200000000000));
    weft_report_free(r);
    CHECK_EQ(weft_node_pin(a, url, true), 0);
    UNTIL(fx_stats(a).dials_failed >= 2); /* at once, and again */
    CHECK(!has_state(a, url, "given up"));
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
    weft_report *r = fx_inspect(a, NULL, FX_ALL_PARTS, NULL);
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
    weft_report *r = fx_inspect(node, NULL, WEFT_PART_ROUTES, route);
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

/* How often the only incident there is happened. */
static uint32_t count_of_one(weft_node *node)
{
    weft_report *r = fx_inspect(node, NULL, WEFT_PART_INCIDENTS, NULL);
    CHECK(r->n_incidents <= 1);
    uint32_t count = r->n_incidents ? r->incidents[0].count : 0;
    weft_report_free(r);
    return count;
}

TEST(inspect, the_same_incident_counts_up)
{
    char dead[128];
    fx_dead_url(dead, sizeof(dead));
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_dial_options dial;
    weft_dial_options_init(&dial);
    dial.backoff_ms = dial.max_backoff_ms = 1;
    CHECK_EQ(weft_node_dial(a, dead, &dial), 0);
    UNTIL(count_of_one(a) >= 3);
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
    weft_report *r = fx_inspect(a, NULL, WEFT_PART_INCIDENTS, NULL);
    CHECK_EQ(r->n_incidents, 64);
    CHECK(strstr(r->incidents[0].peer, "socket-16") != NULL);
    CHECK(strstr(r->incidents[63].peer, "socket-79") != NULL);
    weft_report_free(r);
    weft_node_close(a);
}

/* ---- Without waiting ---- */

TEST(inspect, without_waiting)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_query query;
    weft_query_init(&query);
    struct fx_told told = FX_TOLD_INIT;
    CHECK_EQ(weft_node_inspect_async(a, NULL, &query, 1000, fx_told_take, &told), 0);
    fx_told_wait(&told);
    CHECK_EQ(told.error, 0);
    CHECK_STR(told.report->status->path, "a");
    weft_report_free(told.report);
    query.parts = 0;
    CHECK_EQ(weft_node_inspect_async(a, NULL, &query, 1000, fx_told_take, &told), WEFT_EINVAL);
    weft_node_close(a);
    CHECK_EQ(told.count, 1);
}
