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
    else
        net_bytes_free(b);
}

void net_bytes_free(struct net_bytes *b)
{
    free(b->data);
    *b = (struct net_bytes){0};
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
                           .wall_ns =
                               NET_EPOCH + node->net->now + skew + (uint64_t)node->wall_step_ns};
}

uint64_t net_chance(struct net *net, uint64_t low, uint64_t high)
{
    return prng_between(&net->prng, low, high);
}

void net_seed_prng(const struct net *net, struct prng *prng, uint64_t a, uint64_t b, uint64_t c)
{
    struct prng mix;
    prng_init(&mix, net->options.seed);
    uint64_t seed = prng_next(&mix);
    const uint64_t parts[] = {a, b, c};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        prng_init(&mix, seed ^ parts[i]);
        seed = prng_next(&mix);
    }
    prng_init(prng, seed);
}

/* FNV-1a over words. */
void net_note(struct net *net, uint64_t what)
{
    net->hash = (net->hash ^ what) * UINT64_C(0x100000001b3);
}

uint64_t net_hash(const struct net *net)
{
    return net->hash;
}

uint64_t net_events(const struct net *net)
{
    return net->events;
}

const char *net_broken(const struct net *net)
{
    return net->broken[0] ? net->broken : NULL;
}

void net_wrong(struct net *net, const char *format, ...)
{
    if (net->broken[0])
        return;
    va_list args;
    va_start(args, format);
    int n = snprintf(net->broken, sizeof(net->broken), "at %.6f s: ", (double)net->now / 1e9);
    vsnprintf(net->broken + n, sizeof(net->broken) - (size_t)n, format, args);
    va_end(args);
    if (net->trace)
        fprintf(stderr, "WRONG %s\n", net->broken);
}

const struct net_traffic *net_traffic(const struct net *net)
{
    return &net->traffic;
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
    if (node->tick_at != event->at)
        return;
    node->tick_at = NEVER;
    struct moment now = net_moment_of(node);
    list_each (it, &node->paused)
        mesh_paused(node->mesh, list_entry(it, struct net_end, in_paused)->link, now);
    mesh_tick(node->mesh, now);
    net_resume(node, true);
    net_disk_tick(node);
    net_after(node);
}

/* Whose process an event needs. */
static struct net_node *owner_of(const struct event *event)
{
    if (!event->end)
        return event->node;
    return event->type == EVENT_TURN ? event->end->node : net_other(event->end)->node;
}

/* Put what a process that stands still would do to when it goes on. */
static bool postponed(struct net *net, struct event *event)
{
    const struct net_node *node = owner_of(event);
    if (!node || node->stalled_until <= event->at || !node->mesh)
        return false;
    uint64_t until = node->stalled_until;
    if (event->type == EVENT_TICK && event->node->tick_at == event->at)
        event->node->tick_at = until;
    if (event->type == EVENT_TURN && event->end->turn_at == event->at)
        event->end->turn_at = until;
    if (event->end) {
        event->end->conn->harmed |= node->stall_harms;
        event->end->conn->events--; /* net_schedule counts it again */
    }
    event->at = until;
    net_schedule(net, *event);
    return true;
}

static void run_event(struct net *net, struct event *event)
{
    net->now = event->at;
    if (postponed(net, event))
        return;
    net->events++;
    net_note(net, event->at ^ (uint64_t)event->type);
    if (event->end) {
        net_conn_event(net, event);
        return;
    }
    struct net_node *node = event->node;
    if (!node->mesh || node->life != event->life)
        return;
    if (event->type == EVENT_TICK) {
        tick(node, event);
    } else {
        net_programs_run(node);
        net_after(node);
    }
}

void net_run(struct net *net, uint64_t ns)
{
    uint64_t until = net->now + ns;
    while (net->heap_len && net->heap[0].at <= until) {
        struct event event = take_event(net);
        run_event(net, &event);
    }
    net->now = until;
}

/* What the step was good for: tables are read, links go on, programs run. */
static void follow_up(struct net_node *node)
{
    net_plane_drain(node);
    for (unsigned rounds = 0; (node->resume || node->pump) && rounds < 16; rounds++) {
        if (node->resume)
            net_resume(node, false);
        net_plane_drain(node);
        if (node->pump)
            net_programs_run(node);
    }
}

void net_after(struct net_node *node)
{
    if (node->net->now < node->stalled_until)
        net_plane_drain(node);
    else
        follow_up(node);
    uint64_t deadline = mesh_deadline(node->mesh), at = net_disk_deadline(node);
    list_each (it, &node->paused)
        at = min_u64(at, list_entry(it, struct net_end, in_paused)->pause_until);
    if (deadline != NEVER)
        at = min_u64(at, deadline > NS_PER_SEC ? deadline - NS_PER_SEC : 0);
    at = max_u64(at, node->net->now);
    if (at >= node->tick_at || at == NEVER)
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
    *net = (struct net){.options = *options,
                        .hash = UINT64_C(0xcbf29ce484222325),
                        .trace = getenv("WEFT_NET_TRACE") != NULL};
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
        buf_fini(&net->nodes[i]->writing);
        free(net->nodes[i]->by_id);
        free(net->nodes[i]);
    }
    free(net->nodes);
    free(net->heap);
    free(net->payload.data);
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

static bool has_address(const struct net_node *node, const struct url *url)
{
    struct url own;
    if (url_parse(node->url, strlen(node->url), &own, NULL) < 0 ||
        strcmp(own.scheme, url->scheme) != 0 || own.port != url->port || own.port == 0)
        return false;
    const char *host = url_host_unspecified(&own) ? node->host : own.host;
    return strcmp(host, url->host) == 0 || strcmp(node->second, url->host) == 0;
}

struct net_node *net_node_at(const struct net *net, const struct url *url)
{
    unsigned high, low;
    if (sscanf(url->host, "10.0.%u.%u", &high, &low) == 2 && low > 0) {
        uint64_t index = (uint64_t)high * 200 + low - 1; /* as net_add gives them */
        if (index < net->count && has_address(net->nodes[index], url))
            return net->nodes[index];
    }
    for (uint32_t i = 0; i < net->count; i++) {
        if (has_address(net->nodes[i], url))
            return net->nodes[i];
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
    node->save_at = node->saved_at = NEVER;
    list_init(&node->conns);
    list_init(&node->ends);
    list_init(&node->paused);
    list_init(&node->routes);
    list_init(&node->flows);
    buf_init(&node->book, BOOK_MAX);
    buf_init(&node->writing, BOOK_MAX);
    net->nodes[net->count++] = node;
    return node;
}

/* Who it was. False: no memory. */
static bool read_book(struct net_node *node, struct addrbook_file *ret_file)
{
    int rc = addrbook_decode(node->book.data, node->book.len, ret_file);
    if (rc == WEFT_ECORRUPT)
        net_wrong(node->net, "n%u: its address book is corrupt: %s", node->index, ret_file->where);
    if (rc == 0)
        memcpy(node->id, ret_file->node_id, sizeof(node->id));
    return rc == 0;
}

static int make_mesh(struct net_node *node, struct prng *prng)
{
    const struct net_node_options *o = &node->options;
    struct mesh_config config = {
        .advertised = o->advertised,
        .incarnation = prng_next(prng),
        .seed = prng_next(prng),
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
    (void)rc;
    return mesh_new(&config, &net_ops, node, net_moment_of(node), &node->mesh);
}

bool net_start(struct net_node *node, bool remembers)
{
    struct net *net = node->net;
    struct addrbook_file file;
    struct prng prng;
    assert(!node->mesh);
    net_seed_prng(net, &prng, node->index, node->life, 0);
    remembers = remembers && node->book.len;
    if (remembers && !read_book(node, &file))
        return false;
    if (!remembers) {
        prng_fill(&prng, node->id, sizeof(node->id));
        buf_reset(&node->book);
    }
    bool made = make_mesh(node, &prng) == 0;
    int rc = 0;
    if (made) {
        node->alive = true;
        node->life++;
        node->tick_at = NEVER;
        node->stalled_until = 0;
        net_disk_start(node, remembers);
        net_trace(net, node, "starts as %s%s", node->url, remembers ? ", with its book" : "");
        if (remembers)
            rc = addrbook_merge(mesh_addrbook(node->mesh), &file, net_moment_of(node));
        net_settle(node);
    }
    if (remembers)
        addrbook_file_fini(&file);
    return made && rc == 0;
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
        net_route_free(list_entry(it, struct net_route, in_node));
    }
    net_plane_clear(node);
    mesh_free(node->mesh);
    node->mesh = NULL;
    node->resume = node->pump = false;
    if (node->cap_by_id)
        memset(node->by_id, 0, node->cap_by_id * sizeof(struct net_end *));
}

static void sweep(struct net_node *node)
{
    list_each_safe (it, &node->ends)
        net_conn_sweep(list_entry(it, struct net_end, in_node)->conn);
}

/* A process that dies says nothing: its mesh leaves with nobody listening. What it had not given
 * to the kernel is lost. */
void net_kill(struct net_node *node, enum net_death death)
{
    net_trace(node->net, node, "dies (%d)", (int)death);
    node->alive = false; /* from here on its ops do nothing */
    net_disk_crash(node);
    list_each (it, &node->ends) {
        struct net_end *end = list_entry(it, struct net_end, in_node);
        struct net_conn *conn = end->conn;
        bool coming = end == &conn->ends[1] && !end->connected; /* a dial that has not arrived */
        conn->harmed |= !coming;
        if (end->closed || coming)
            continue;
        conn->resets = death == NET_DEATH_RESETS;
        net_drop_waiting(end);
        net_end_close(end, death == NET_DEATH_CLOSES);
    }
    mesh_leave(node->mesh, net_moment_of(node));
    free_mesh(node);
    sweep(node);
}

/* What others have on their way to it is lost. */
void net_leave(struct net_node *node)
{
    net_disk_leave(node);
    list_each (it, &node->ends)
        list_entry(it, struct net_end, in_node)->conn->harmed = true;
    mesh_leave(node->mesh, net_moment_of(node));
    node->alive = false;
    free_mesh(node);
    sweep(node);
}
