/* Clock, nodes and the order of events.
 *
 * Happy path: net_run takes the earliest event off the heap, sets the clock to it and hands it to
 * the node or connection it belongs to; whatever that causes is scheduled anew. A node has one
 * timer: the earliest deadline its mesh has named. A timer that was moved leaves its former event
 * behind, which finds that tick_at differs and does nothing. */
#include "net_private.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#define FEATURES                                                                                   \
    (FEATURE_COMPACT | FEATURE_PATTERNS | FEATURE_DIGEST | FEATURE_GOODBYE | FEATURE_BOOK)
#define BOOK_MAX ((size_t)16 << 20)

/* ---- Small things ---- */

void *net_alloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);
    if (!q)
        abort();
    return q;
}

void net_bytes_put(struct net_bytes *b, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (b->len + size > b->cap) {
        b->cap = 2 * (b->len + size);
        b->data = net_alloc(b->data, b->cap);
    }
    memcpy(b->data + b->len, data, size);
    b->len += size;
}

void net_bytes_drop(struct net_bytes *b, size_t size)
{
    b->len -= size;
    if (b->len)
        memmove(b->data, b->data + size, b->len);
}

void net_trace(const struct net *net, const struct net_node *node, const char *format, ...)
{
    if (!net->trace)
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%12.6f n%u ", (double)net->now / 1e9, node->index);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* Clocks of different nodes differ: nothing may rely on them. */
struct moment net_moment_of(const struct net_node *node)
{
    uint64_t skew = (uint64_t)node->id[0] * 20 * NS_PER_MS;
    return (struct moment){.mono_ns = node->net->now + NS_PER_SEC,
                           .wall_ns = NET_EPOCH + node->net->now + skew};
}

uint64_t net_chance(struct net *net, uint64_t low, uint64_t high)
{
    return prng_between(&net->prng, low, high);
}

struct prng *net_prng(struct net *net)
{
    return &net->prng;
}

uint64_t net_now(const struct net *net)
{
    return net->now;
}

uint64_t net_seed(const struct net *net)
{
    return net->options.seed;
}

const struct net_counts *net_counts(const struct net *net)
{
    return &net->counts;
}

void net_reset_counts(struct net *net)
{
    net->counts = (struct net_counts){0};
}

void net_set_filter(struct net *net, net_filter *filter, void *ctx)
{
    net->filter = filter;
    net->filter_ctx = ctx;
}

/* ---- The heap ---- */

static bool earlier(const struct event *a, const struct event *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

void net_schedule(struct net *net, struct event event)
{
    if (net->heap_len == net->heap_cap) {
        net->heap_cap = net->heap_cap ? 2 * net->heap_cap : 256;
        net->heap = net_alloc(net->heap, net->heap_cap * sizeof(*net->heap));
    }
    event.seq = net->next_seq++;
    if (event.end)
        event.end->conn->events++;
    size_t slot = net->heap_len++;
    while (slot > 0 && earlier(&event, &net->heap[(slot - 1) / 2])) {
        net->heap[slot] = net->heap[(slot - 1) / 2];
        slot = (slot - 1) / 2;
    }
    net->heap[slot] = event;
}

static struct event take_event(struct net *net)
{
    struct event first = net->heap[0], last = net->heap[--net->heap_len];
    size_t slot = 0;
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= net->heap_len)
            break;
        if (child + 1 < net->heap_len && earlier(&net->heap[child + 1], &net->heap[child]))
            child++;
        if (!earlier(&net->heap[child], &last))
            break;
        net->heap[slot] = net->heap[child];
        slot = child;
    }
    net->heap[slot] = last;
    return first;
}

static void tick(struct net_node *node, const struct event *event)
{
    if (!node->mesh || node->life != event->life || node->tick_at != event->at)
        return;
    node->tick_at = NEVER;
    mesh_tick(node->mesh, net_moment_of(node));
    net_after(node);
}

void net_run(struct net *net, uint64_t ns)
{
    uint64_t until = net->now + ns;
    while (net->heap_len && net->heap[0].at <= until) {
        struct event event = take_event(net);
        net->now = event.at;
        if (event.type == EVENT_TICK)
            tick(event.node, &event);
        else
            net_conn_event(net, &event);
    }
    net->now = until;
}

void net_after(struct net_node *node)
{
    net_plane_drain(node);
    uint64_t deadline = mesh_deadline(node->mesh);
    if (deadline == NEVER)
        return;
    uint64_t at =
        deadline > NS_PER_SEC ? max_u64(deadline - NS_PER_SEC, node->net->now) : node->net->now;
    if (at >= node->tick_at)
        return;
    node->tick_at = at;
    net_schedule(node->net,
                 (struct event){.at = at, .type = EVENT_TICK, .node = node, .life = node->life});
}

void net_settle(struct net_node *node)
{
    mesh_settle(node->mesh, net_moment_of(node));
    net_after(node);
}

/* ---- The network ---- */

struct net *net_new(const struct net_options *options)
{
    struct net *net = net_alloc(NULL, sizeof(*net));
    *net = (struct net){.options = *options, .trace = getenv("WEFT_NET_TRACE") != NULL};
    if (!net->options.delay_max_ns) {
        net->options.delay_min_ns = 100 * NS_PER_US;
        net->options.delay_max_ns = 20 * NS_PER_MS;
    }
    prng_init(&net->prng, options->seed);
    list_init(&net->conns);
    return net;
}

void net_free(struct net *net)
{
    for (uint32_t i = 0; i < net->count; i++) {
        if (net->nodes[i]->mesh)
            net_kill(net->nodes[i], NET_DEATH_SILENT);
    }
    list_each_safe (it, &net->conns)
        net_conn_free(list_entry(it, struct net_conn, in_net));
    for (uint32_t i = 0; i < net->count; i++) {
        buf_fini(&net->nodes[i]->book);
        free(net->nodes[i]);
    }
    free(net->nodes);
    free(net->heap);
    free(net);
}

uint32_t net_count(const struct net *net)
{
    return net->count;
}

struct net_node *net_node(const struct net *net, uint32_t index)
{
    return net->nodes[index];
}

struct net_node *net_node_at(const struct net *net, const struct url *url)
{
    for (uint32_t i = 0; i < net->count; i++) {
        struct net_node *node = net->nodes[i];
        struct url own;
        if (url_parse(node->url, strlen(node->url), &own, NULL) < 0 ||
            strcmp(own.scheme, url->scheme) != 0 || own.port != url->port || own.port == 0)
            continue;
        const char *host = url_host_unspecified(&own) ? node->host : own.host;
        if (strcmp(host, url->host) == 0 || strcmp(node->second, url->host) == 0)
            return node;
    }
    return NULL;
}

/* ---- Nodes ---- */

struct net_node *net_add(struct net *net, const struct net_node_options *options)
{
    if (net->count == net->cap) {
        net->cap = net->cap ? 2 * net->cap : 16;
        net->nodes = net_alloc(net->nodes, net->cap * sizeof(struct net_node *));
    }
    struct net_node *node = net_alloc(NULL, sizeof(*node));
    *node = (struct net_node){.net = net, .index = net->count, .tick_at = NEVER};
    if (options)
        node->options = *options;
    snprintf(node->host, sizeof(node->host), "10.0.%u.%u", node->index / 200,
             node->index % 200 + 1);
    if (node->options.url)
        snprintf(node->url, sizeof(node->url), "%s", node->options.url);
    else if (node->options.role == ROLE_PEER)
        snprintf(node->url, sizeof(node->url), "tcp://%s:7400/n%u", node->host, node->index);
    else
        snprintf(node->url, sizeof(node->url), "tcp://0.0.0.0:0/n%u", node->index);
    list_init(&node->conns);
    list_init(&node->routes);
    list_init(&node->flows);
    buf_init(&node->book, BOOK_MAX);
    net->nodes[net->count++] = node;
    return node;
}

static int recall(struct net_node *node)
{
    struct addrbook_file file;
    int rc = addrbook_decode(node->book.data, node->book.len, &file);
    if (rc < 0)
        return rc;
    assert(memcmp(file.node_id, node->id, sizeof(node->id)) == 0);
    rc = addrbook_merge(mesh_addrbook(node->mesh), &file, net_moment_of(node));
    addrbook_file_fini(&file);
    return rc;
}

bool net_start(struct net_node *node, bool remembers)
{
    struct net *net = node->net;
    assert(!node->mesh);
    remembers = remembers && node->book.len;
    if (!remembers)
        prng_fill(&net->prng, node->id, sizeof(node->id));
    const struct net_node_options *o = &node->options;
    struct mesh_config config = {
        .advertised = o->advertised,
        .incarnation = prng_next(&net->prng),
        .seed = prng_next(&net->prng),
        .network = o->network,
        .agent = "net",
        .allow_base = o->allow_base,
        .role = o->role,
        .max_frame = FRAME_MAX_DEFAULT,
        .max_peers = o->max_peers ? o->max_peers : 1024,
        .max_routes = o->max_routes ? o->max_routes : 100000,
        .features = o->features ? o->features : FEATURES,
    };
    memcpy(config.node_id, node->id, sizeof(node->id));
    int rc = url_parse(node->url, strlen(node->url), &config.self, NULL);
    assert(rc == 0);
    if (mesh_new(&config, &net_ops, node, net_moment_of(node), &node->mesh) < 0)
        return false;
    node->alive = true;
    node->life++;
    node->tick_at = NEVER;
    net_trace(net, node, "starts as %s%s", node->url, remembers ? ", with its book" : "");
    rc = remembers ? recall(node) : 0;
    net_settle(node);
    return rc == 0;
}

int net_configure(struct net_node *node, const char *url)
{
    struct addrbook_policy policy = {.persistent = true};
    int rc = addrbook_add_configured(mesh_addrbook(node->mesh), url, &policy, net_moment_of(node));
    net_settle(node);
    return rc;
}

static void free_mesh(struct net_node *node)
{
    list_each_safe (it, &node->routes) {
        list_remove(it);
        free(list_entry(it, struct net_route, in_node));
    }
    net_plane_clear(node);
    mesh_free(node->mesh);
    node->mesh = NULL;
}

/* A process that dies says nothing: its mesh leaves with nobody listening. */
void net_kill(struct net_node *node, enum net_death death)
{
    struct net *net = node->net;
    net_trace(net, node, "dies (%d)", (int)death);
    node->alive = false; /* from here on its ops do nothing */
    buf_reset(&node->book);
    int rc = addrbook_encode(mesh_addrbook(node->mesh), &node->book);
    assert(rc == 0 || rc == WEFT_ENOMEM);
    (void)rc;
    list_each_safe (it, &net->conns) {
        struct net_conn *conn = list_entry(it, struct net_conn, in_net);
        for (unsigned i = 0; i < 2; i++) {
            struct net_end *end = &conn->ends[i];
            bool coming = i == 1 && !end->connected; /* a dial that has not arrived */
            if (end->node != node || end->closed || coming)
                continue;
            conn->resets = death == NET_DEATH_RESETS;
            net_end_close(end, death == NET_DEATH_CLOSES);
        }
    }
    mesh_leave(node->mesh, net_moment_of(node));
    free_mesh(node);
    list_each_safe (it, &net->conns)
        net_conn_sweep(list_entry(it, struct net_conn, in_net));
}

void net_leave(struct net_node *node)
{
    buf_reset(&node->book);
    addrbook_encode(mesh_addrbook(node->mesh), &node->book);
    mesh_leave(node->mesh, net_moment_of(node));
    node->alive = false;
    free_mesh(node);
}
