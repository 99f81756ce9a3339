/* Snapshots: statistics, links, routes and the address book, as copies the caller owns. Each is one
 * block of memory for the array and one string each, so that a view costs the loop as little as can
 * be. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/node.h"

#define FREE_TEXT(s) mem_free((char *)(uintptr_t)(s))

/* ---- Statistics ---- */

static int take_stats(weft_node *node, void *arg)
{
    weft_stats *out = arg;
    struct router_counts routes;
    struct mesh_counts mesh;
    router_count(mesh_router(node->mesh), &routes);
    mesh_count(node->mesh, &mesh);
    *out = (weft_stats){
        .uptime_ms = (node_now().mono_ns - node->started) / NS_PER_MS,
        .peers = mesh_up_count(node->mesh),
        .intents = routes.local_intents,
        .interests = routes.local_interests,
        .remote_intents = routes.remote_intents,
        .remote_interests = routes.remote_interests,
        .messages_in = node->messages_in,
        .bytes_in = node->bytes_in,
        .delivered = node->delivered,
        .relayed = node->relayed,
        .dials = mesh.dials,
        .dials_failed = mesh.dials_failed,
        .refused = mesh.refused,
    };
    plane_lock(node);
    memcpy(out->dropped, node->dropped, sizeof(out->dropped));
    list_each (it, &node->interests) {
        const weft_interest *i = list_entry(it, struct weft_interest, list_node);
        interest_add_drops(i, out->dropped);
    }
    out->delivered += node->queued_here;
    out->messages_out = node->messages_out;
    out->bytes_out = node->bytes_out;
    list_each (it, &node->conns) {
        const struct outbox *o = &list_entry(it, struct conn, list_node)->out;
        out->outbox_bytes += o->queued;
        out->messages_out += o->messages;
        out->bytes_out += o->bytes;
    }
    plane_unlock(node);
    return 0;
}

int weft_node_stats(weft_node *node, weft_stats *ret_stats)
{
    weft_stats stats;
    int rc = node_call(node, take_stats, &stats);
    if (rc == 0)
        *ret_stats = stats;
    return rc;
}

/* ---- Links ---- */

struct peers {
    weft_peer_info *items;
    size_t count;
};

static bool fill_peer(weft_node *node, weft_peer_info *p, const struct mesh_link *l)
{
    struct conn *c = l->user;
    *p = (weft_peer_info){
        .url = mem_strdup(l->hs.peer.text),
        .path = mem_strdup(l->hs.peer.path),
        .agent = mem_strdup(l->hs.agent),
        .state = l->state == LINK_UP ? "linked" : "handshake",
        .role = l->hs.role == ROLE_PEER     ? WEFT_ROLE_PEER
                : l->hs.role == ROLE_CLIENT ? WEFT_ROLE_CLIENT
                                            : WEFT_ROLE_LEAF,
        .inbound = !l->outbound,
        .base = l->hs.base,
        .features = l->hs.features,
        .uptime_ms = (node_now().mono_ns - l->up_since) / NS_PER_MS,
        .rtt_ns = l->rtt_ns,
        .jitter_ns = l->jitter_ns,
        .messages_in = c->messages_in,
        .bytes_in = c->bytes_in,
    };
    memcpy(p->node_id, l->hs.node_id, sizeof(p->node_id));
    plane_lock(node);
    p->messages_out = c->out.messages;
    p->bytes_out = c->out.bytes;
    p->outbox_bytes = c->out.queued;
    memcpy(p->dropped, c->out.dropped, sizeof(p->dropped));
    plane_unlock(node);
    return p->url && p->path && p->agent;
}

static int by_url(const void *a, const void *b)
{
    return strcmp(((const weft_peer_info *)a)->url, ((const weft_peer_info *)b)->url);
}

static int take_peers(weft_node *node, void *arg)
{
    struct peers *out = arg;
    out->items = mem_zalloc((mesh_up_count(node->mesh) + 1) * sizeof(*out->items));
    if (!out->items)
        return WEFT_ENOMEM;
    list_each (it, mesh_links(node->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->state != LINK_UP || !l->user)
            continue;
        if (!fill_peer(node, &out->items[out->count++], l)) {
            weft_peers_free(out->items, out->count);
            return WEFT_ENOMEM;
        }
    }
    qsort(out->items, out->count, sizeof(*out->items), by_url);
    return 0;
}

int weft_node_peers(weft_node *node, weft_peer_info **ret_peers, size_t *ret_count)
{
    struct peers peers = {0};
    int rc = node_call(node, take_peers, &peers);
    if (rc < 0)
        return rc;
    *ret_peers = peers.items;
    *ret_count = peers.count;
    return 0;
}

void weft_peers_free(weft_peer_info *peers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FREE_TEXT(peers[i].url);
        FREE_TEXT(peers[i].path);
        FREE_TEXT(peers[i].agent);
    }
    mem_free(peers);
}

/* ---- Routes ---- */

struct routes {
    weft_node *node;
    weft_route_info *items;
    size_t count, cap;
    bool failed;
};

static void add_route(void *ctx, const struct router_info *info)
{
    struct routes *out = ctx;
    if (out->failed || out->count == out->cap) {
        out->failed = true;
        return;
    }
    struct conn *c = info->endpoint ? conn_find(out->node, info->endpoint) : NULL;
    weft_route_info *r = &out->items[out->count++];
    *r = (weft_route_info){
        .route = mem_strdup(info->route),
        .intent = info->intent,
        .hops = info->hops,
        .matches = info->matches,
    };
    const char *peer = info->origin && info->origin[0] ? info->origin
                       : c && c->link                  ? c->link->hs.peer.text
                                                       : NULL;
    r->peer = peer ? mem_strdup(peer) : NULL;
    out->failed = !r->route || (peer && !r->peer);
    const struct flow *f = info->record ? info->record->user : NULL;
    const weft_interest *i = info->user;
    if (f) {
        plane_lock(out->node);
        r->matches = f->n_targets + f->n_locals;
        r->messages = f->messages;
        if (f->dropped)
            memcpy(r->dropped, f->dropped, sizeof(r->dropped));
        plane_unlock(out->node);
    } else if (i && !info->intent) {
        r->messages = atomic_load(&i->called) + queue_pushed(i);
        interest_add_drops(i, r->dropped);
    }
}

static int by_route(const void *a, const void *b)
{
    const weft_route_info *x = a, *y = b;
    int order = strcmp(x->route, y->route);
    if (order == 0)
        order = (int)y->intent - (int)x->intent;
    return order ? order : strcmp(x->peer ? x->peer : "", y->peer ? y->peer : "");
}

static int take_routes(weft_node *node, void *arg)
{
    struct routes *out = arg;
    struct router_counts n;
    router_count(mesh_router(node->mesh), &n);
    out->node = node;
    out->cap = (size_t)n.local_intents + n.local_interests + n.remote_intents + n.remote_interests;
    out->items = mem_zalloc((out->cap + 1) * sizeof(*out->items));
    if (!out->items)
        return WEFT_ENOMEM;
    router_each(mesh_router(node->mesh), add_route, out);
    if (out->failed) {
        weft_routes_free(out->items, out->count);
        return WEFT_ENOMEM;
    }
    qsort(out->items, out->count, sizeof(*out->items), by_route);
    return 0;
}

int weft_node_routes(weft_node *node, weft_route_info **ret_routes, size_t *ret_count)
{
    struct routes routes = {0};
    int rc = node_call(node, take_routes, &routes);
    if (rc < 0)
        return rc;
    *ret_routes = routes.items;
    *ret_count = routes.count;
    return 0;
}

void weft_routes_free(weft_route_info *routes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FREE_TEXT(routes[i].route);
        FREE_TEXT(routes[i].peer);
    }
    mem_free(routes);
}

/* ---- Address books ---- */

void weft_addrbook_free(weft_addrbook *book)
{
    if (!book)
        return;
    for (size_t i = 0; i < book->count; i++) {
        FREE_TEXT(book->entries[i].peer);
        FREE_TEXT(book->entries[i].source);
        FREE_TEXT(book->entries[i].last_error);
    }
    mem_free(book->entries);
    mem_free(book);
}

static weft_addrbook *book_new(size_t count)
{
    weft_addrbook *book = mem_zalloc(sizeof(*book));
    if (!book)
        return NULL;
    book->entries = mem_zalloc((count + 1) * sizeof(*book->entries));
    if (!book->entries) {
        mem_free(book);
        return NULL;
    }
    return book;
}

static bool fill_texts(weft_addrbook_entry *e, const char *peer, const char *source,
                       const char *last_error)
{
    e->peer = mem_strdup(peer);
    e->source = mem_strdup(source);
    e->last_error = mem_strdup(last_error);
    return e->peer && e->source && e->last_error;
}

static int by_peer(const void *a, const void *b)
{
    return strcmp(((const weft_addrbook_entry *)a)->peer, ((const weft_addrbook_entry *)b)->peer);
}

weft_addrbook *book_from_records(const struct book_record *records, size_t count)
{
    weft_addrbook *book = book_new(count);
    if (!book)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const struct book_record *r = &records[i];
        weft_addrbook_entry *e = &book->entries[book->count++];
        *e = (weft_addrbook_entry){
            .max_attempts = r->max_attempts,
            .default_backoff_ns = r->default_backoff_ns,
            .max_backoff_ns = r->max_backoff_ns,
            .multiplier = r->multiplier,
            .attempts = r->attempts,
            .failed_attempts = r->failed_attempts,
            .last_success = r->last_success,
            .backoff_ns = r->backoff_ns,
            .persistent = r->persistent,
            .origin = (enum weft_origin)r->origin,
            .banned_until = r->banned_until,
            .added = r->added,
            .linked = r->linked,
        };
        if (r->node_id)
            memcpy(e->node_id, r->node_id, sizeof(e->node_id));
        if (!fill_texts(e, r->peer, r->source, r->last_error)) {
            weft_addrbook_free(book);
            return NULL;
        }
    }
    qsort(book->entries, book->count, sizeof(*book->entries), by_peer);
    return book;
}

static int take_book(weft_node *node, void *arg)
{
    size_t count;
    struct book_record *records = addrbook_records(mesh_addrbook(node->mesh), &count);
    if (!records)
        return WEFT_ENOMEM;
    weft_addrbook *book = book_from_records(records, count);
    mem_free(records);
    if (!book)
        return WEFT_ENOMEM;
    memcpy(book->node_id, node->node_id, sizeof(book->node_id));
    *(weft_addrbook **)arg = book;
    return 0;
}

int weft_node_addrbook(weft_node *node, weft_addrbook **ret_book)
{
    return node_call(node, take_book, ret_book);
}

/* ---- Asking peers ---- */

struct asking {
    struct url url;
    weft_addrbook *book;
    uint64_t rtt;
};

static int begin_book(weft_node *node, uint64_t token, void *arg)
{
    struct asking *a = arg;
    struct mesh_link *l = mesh_find(node->mesh, &a->url);
    return l ? mesh_ask_book(node->mesh, l, token, node_now()) : WEFT_ENOTFOUND;
}

static void take_answer(void *arg, uint64_t rtt, const struct book_record *records, size_t count)
{
    struct asking *a = arg;
    a->rtt = rtt;
    a->book = book_from_records(records, count);
}

int weft_node_fetch_addrbook(weft_node *node, const char *url, int timeout_ms,
                             weft_addrbook **ret_book)
{
    struct asking a = {0};
    if (url_parse(url, strlen(url), &a.url, NULL) < 0)
        return WEFT_EURL;
    int rc = node_ask(node, timeout_ms, begin_book, &a, take_answer);
    if (rc == 0 && !a.book)
        rc = WEFT_ENOMEM;
    if (rc == 0)
        *ret_book = a.book;
    return rc;
}

static int begin_ping(weft_node *node, uint64_t token, void *arg)
{
    struct asking *a = arg;
    struct mesh_link *l = mesh_find(node->mesh, &a->url);
    return l ? mesh_ping(node->mesh, l, token, node_now()) : WEFT_ENOTFOUND;
}

static void take_rtt(void *arg, uint64_t rtt, const struct book_record *records, size_t count)
{
    ((struct asking *)arg)->rtt = rtt;
}

int weft_node_ping(weft_node *node, const char *url, int timeout_ms, uint64_t *ret_rtt_ns)
{
    struct asking a = {0};
    if (url_parse(url, strlen(url), &a.url, NULL) < 0)
        return WEFT_EURL;
    int rc = node_ask(node, timeout_ms, begin_ping, &a, take_rtt);
    if (rc == 0)
        *ret_rtt_ns = a.rtt;
    return rc;
}
