/* Nodes that know only the first become a full mesh: one link a pair, seen alike by both sides, and
 * equal tables of who wants what. */
#include "fixture.h"

#include <stdatomic.h>

#define NODES_MAX 50

struct mesh_node {
    weft_node *node;
    weft_intent *out;
    weft_interest *in;
    atomic_uint got[NODES_MAX]; /* by publisher */
    atomic_uint bad;
};

static struct mesh_node nodes[NODES_MAX];

static void open_node(unsigned i, const char *self, const char *peer)
{
    nodes[i].node = fx_open(self, peer, NULL);
}

static void open_mesh(unsigned n)
{
    fx_many_files();
    open_node(0, "tcp://127.0.0.1:0/n0", NULL);
    for (unsigned i = 1; i < n; i++) {
        char self[64];
        snprintf(self, sizeof(self), "tcp://127.0.0.1:0/n%u", i);
        open_node(i, self, weft_node_url(nodes[0].node));
    }
}

static void close_mesh(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(weft_node_close(nodes[i].node), 0);
}

static void wait_linked(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(weft_node_wait_peers(nodes[i].node, n - 1, WAIT_MS), 0);
}

static bool all_single(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (fx_peer_count(nodes[i].node) != n - 1)
            return false;
        for (unsigned k = i + 1; k < n; k++) {
            if (!fx_one_link(nodes[i].node, nodes[k].node))
                return false;
        }
    }
    return true;
}

/* Each node's view of all routes, as text, with its own name where the route is its own. */
static char *view_of(weft_node *node)
{
    weft_route_info *routes;
    size_t n, len = 0, cap = 1 << 20;
    CHECK_EQ(weft_node_routes(node, &routes, &n), 0);
    char **lines = calloc(n + 1, sizeof(*lines));
    char *all = calloc(1, cap);
    for (size_t i = 0; i < n; i++) {
        const char *peer = routes[i].peer ? routes[i].peer : weft_node_url(node);
        if (asprintf(&lines[i], "%s %d %s\n", routes[i].route, routes[i].intent, peer) < 0)
            FAIL("out of memory");
    }
    for (size_t done = 0; done < n; done++) { /* sorted by line, not by peer as the node sees it */
        size_t least = done;
        for (size_t i = done; i < n; i++)
            least = strcmp(lines[i], lines[least]) < 0 ? i : least;
        char *line = lines[least];
        lines[least] = lines[done];
        lines[done] = NULL;
        len += (size_t)snprintf(all + len, cap - len, "%s", line);
        free(line);
    }
    free(lines);
    weft_routes_free(routes, n);
    return all;
}

static bool views_agree(unsigned n, size_t lines)
{
    char *first = view_of(nodes[0].node);
    size_t count = 0;
    for (const char *p = first; *p; p++)
        count += *p == '\n';
    bool same = count == lines;
    for (unsigned i = 1; same && i < n; i++) {
        char *other = view_of(nodes[i].node);
        same = strcmp(first, other) == 0;
        free(other);
    }
    free(first);
    return same;
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct mesh_node *me = user;
    uint32_t from = UINT32_MAX;
    if (weft_msg_size(msg) == sizeof(from))
        memcpy(&from, weft_msg_data(msg), sizeof(from));
    if (from >= NODES_MAX || strcmp(weft_msg_sender(msg), weft_node_url(nodes[from].node)) != 0)
        atomic_fetch_add(&me->bad, 1);
    else
        atomic_fetch_add(&me->got[from], 1);
}

static void declare(unsigned n)
{
    weft_subscribe_options so;
    weft_subscribe_options_init(&so);
    so.on_message = on_message;
    for (unsigned i = 0; i < n; i++) {
        char route[64];
        snprintf(route, sizeof(route), "t.X@n%u.out", i);
        nodes[i].out = fx_publish(nodes[i].node, route);
        so.user = &nodes[i];
        CHECK_EQ(weft_subscribe(nodes[i].node, "t.X@*.out", &so, &nodes[i].in), 0);
    }
}

static bool all_matched(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        weft_route_info *routes;
        size_t count;
        uint32_t matches = 0;
        CHECK_EQ(weft_node_routes(nodes[i].node, &routes, &count), 0);
        for (size_t r = 0; r < count; r++) {
            if (routes[r].intent && !routes[r].peer)
                matches = routes[r].matches;
        }
        weft_routes_free(routes, count);
        if (matches != n)
            return false;
    }
    return true;
}

static bool all_got(unsigned n, unsigned rounds)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < n; k++) {
            if (atomic_load(&nodes[i].got[k]) < rounds)
                return false;
        }
    }
    return true;
}

static void exchange(unsigned n)
{
    for (unsigned round = 1; round <= 3; round++) {
        for (uint32_t i = 0; i < n; i++)
            CHECK_EQ(weft_send(nodes[i].out, &i, sizeof(i)), 0);
        UNTIL(all_got(n, round));
    }
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(nodes[i].bad, 0);
        CHECK_EQ(fx_dropped(nodes[i].node), 0);
        for (unsigned k = 0; k < n; k++)
            CHECK_EQ(nodes[i].got[k], 3);
    }
}

static void form(unsigned n, unsigned limit_ms)
{
    uint64_t start = fx_now_ms();
    open_mesh(n);
    wait_linked(n);
    uint64_t took = fx_now_ms() - start;
    fprintf(stderr, "%u nodes: %u links within %llu ms\n", n, n * (n - 1) / 2,
            (unsigned long long)took);
    UNTIL(all_single(n));
    if (!INSTRUMENTED)
        CHECK(took < limit_ms);
}

static void form_and_talk(unsigned n, unsigned limit_ms)
{
    form(n, limit_ms);
    declare(n);
    UNTIL(views_agree(n, 2 * (size_t)n));
    UNTIL(all_matched(n));
    exchange(n);
    CHECK(all_single(n));
    close_mesh(n);
}

TEST(mesh, ten_nodes)
{
    form_and_talk(10, 2000);
}

TEST(mesh, fifty_nodes)
{
    form_and_talk(INSTRUMENTED ? 20 : 50, 10000);
}

TEST(mesh, routes_declared_before_the_links)
{
    enum { N = 6 };
    open_node(0, "tcp://127.0.0.1:0/n0", NULL);
    for (unsigned i = 1; i < N; i++) {
        char self[64];
        snprintf(self, sizeof(self), "tcp://127.0.0.1:0/n%u", i);
        open_node(i, self, NULL);
    }
    declare(N);
    for (unsigned i = 1; i < N; i++)
        CHECK_EQ(weft_node_dial(nodes[i].node, weft_node_url(nodes[0].node), NULL), 0);
    UNTIL(all_single(N));
    UNTIL(views_agree(N, 2 * (size_t)N));
    UNTIL(all_matched(N));
    exchange(N);
    close_mesh(N);
}

TEST(mesh, a_node_goes_and_comes_back)
{
    enum { N = 10, GONE = 4 };
    form(N, 2000);
    declare(N);
    UNTIL(views_agree(N, 2 * (size_t)N));
    char self[128];
    snprintf(self, sizeof(self), "%s", weft_node_url(nodes[GONE].node));

    uint64_t start = fx_now_ms();
    CHECK_EQ(weft_node_close(nodes[GONE].node), 0);
    for (unsigned i = 0; i < N; i++) {
        if (i != GONE)
            UNTIL(fx_peer_count(nodes[i].node) == N - 2);
    }
    uint64_t noticed = fx_now_ms() - start;
    start = fx_now_ms();
    open_node(GONE, self, weft_node_url(nodes[0].node));
    wait_linked(N);
    uint64_t back = fx_now_ms() - start;
    fprintf(stderr, "gone: noticed within %llu ms; back: linked within %llu ms\n",
            (unsigned long long)noticed, (unsigned long long)back);
    UNTIL(all_single(N));
    if (!INSTRUMENTED)
        CHECK(noticed < 1000 + 1000 && back < 2000);
    UNTIL(views_agree(N, 2 * (size_t)(N - 1)));
    close_mesh(N);
}
