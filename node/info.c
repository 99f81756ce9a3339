/* Snapshots: statistics, routes and the address book, as copies the caller owns. Each is one block
 * of memory for the array and one string each, so that a view costs the loop as little as can be.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/node.h"
#include "node/report.h"

#define FREE_TEXT(s) mem_free((char *)(uintptr_t)(s))

/* ---- Statistics ---- */

int stats_take(weft_node *node, weft_stats *out)
{
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

static int run_stats(weft_node *node, void *arg)
{
    return stats_take(node, arg);
}

int weft_node_stats(weft_node *node, weft_stats *ret_stats)
{
    return node_call(node, run_stats, ret_stats);
}

/* ---- Routes ---- */

struct routes {
    weft_node *node;
    const struct route *about; /* NULL: all */
    weft_route_info *items;
    size_t count, cap;
    size_t size, max; /* bytes that these take, by route_size; more than max end it */
    bool failed;
};

size_t route_size(const weft_route_info *r)
{
    const char *texts[] = {r->route, r->peer, r->via};
    size_t size = ROUTE_BYTES_COMMON;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        size += texts[i] ? strlen(texts[i]) : 0;
    return size;
}

bool route_concerns(const struct route *a, const struct route *b)
{
    if (a->kind == ROUTE_HASHED || b->kind == ROUTE_HASHED) {
        const struct route *hashed = a->kind == ROUTE_HASHED ? a : b;
        const struct route *other = hashed == a ? b : a;
        if (other->kind == ROUTE_PATTERN)
            return route_covers(other, hashed) ||
                   route_reaches(other, hashed->path, hashed->path_len);
        return route_covers(hashed, other) ||
               (other->kind == ROUTE_PLAIN &&
                path_covers(hashed->path, hashed->path_len, other->path, other->path_len));
    }
    /* Of any type: a publisher of another type at the same place is what one looks for. And a
     * pattern taken by the letter: what covers that covers all that it does. */
    struct route any_a = *a, any_b = *b, plain_a = *a, plain_b = *b;
    any_a.kind = any_b.kind = ROUTE_PATTERN;
    any_a.type = any_b.type = "*";
    any_a.type_len = any_b.type_len = 1;
    plain_a.kind = plain_b.kind = ROUTE_PLAIN;
    return route_covers(&any_a, &plain_b) || route_covers(&any_b, &plain_a);
}

static bool is_wanted(const struct routes *out, const char *text)
{
    struct route route;
    return !out->about || (route_parse(text, strlen(text), &route, NULL) == 0 &&
                           route_concerns(out->about, &route));
}

static char *copy_or_null(struct routes *out, const char *text)
{
    char *copy = text ? mem_strdup(text) : NULL;
    out->failed |= text && !copy;
    return copy;
}

/* Messages and drops: what we publish or relay has a flow, what we subscribe a handle. */
static void fill_traffic(weft_node *node, weft_route_info *r, const struct router_info *info)
{
    const struct flow *f = info->record ? info->record->user : NULL;
    const weft_interest *i = info->user;
    if (f) {
        plane_lock(node);
        r->matches = f->n_targets + f->n_locals;
        r->messages = f->messages;
        if (f->dropped)
            memcpy(r->dropped, f->dropped, sizeof(r->dropped));
        plane_unlock(node);
    } else if (i && !info->intent) {
        r->messages = atomic_load(&i->called) + queue_pushed(i);
        interest_add_drops(i, r->dropped);
    }
}

static void add_route(void *ctx, const struct router_info *info)
{
    struct routes *out = ctx;
    if (out->failed || out->size > out->max || !is_wanted(out, info->route))
        return;
    if (out->count == out->cap) {
        out->failed = true;
        return;
    }
    const struct conn *c = info->endpoint ? conn_find(out->node, info->endpoint) : NULL;
    const char *link = c && c->link ? c->link->hs.peer.text : NULL;
    const char *origin = info->origin && info->origin[0] ? info->origin : NULL;
    weft_route_info *r = &out->items[out->count++];
    *r = (weft_route_info){
        .route = copy_or_null(out, info->route),
        .peer = copy_or_null(out, origin ? origin : link),
        .via = copy_or_null(out, origin && link && strcmp(origin, link) != 0 ? link : NULL),
        .intent = info->intent,
        .hops = info->hops,
        .matches = info->matches,
        .schema = info->schema,
    };
    out->size += route_size(r);
    fill_traffic(out->node, r, info);
}

static int by_route(const void *a, const void *b)
{
    const weft_route_info *x = a, *y = b;
    int order = strcmp(x->route, y->route);
    if (order == 0)
        order = (int)y->intent - (int)x->intent;
    return order ? order : strcmp(x->peer ? x->peer : "", y->peer ? y->peer : "");
}

void routes_sort(weft_route_info *routes, size_t count)
{
    if (count)
        qsort(routes, count, sizeof(*routes), by_route);
}

int routes_take(weft_node *node, const struct route *about, size_t max,
                weft_route_info **ret_routes, size_t *ret_count)
{
    struct routes out = {.node = node, .about = about, .max = max};
    struct router_counts n;
    router_count(mesh_router(node->mesh), &n);
    out.cap = (size_t)n.local_intents + n.local_interests + n.remote_intents + n.remote_interests;
    out.items = mem_zalloc((out.cap + 1) * sizeof(*out.items));
    if (!out.items)
        return WEFT_ENOMEM;
    router_each(mesh_router(node->mesh), add_route, &out);
    if (out.failed || out.size > max) {
        weft_routes_free(out.items, out.count);
        return out.failed ? WEFT_ENOMEM : WEFT_ELIMIT;
    }
    weft_route_info *fitted =
        about ? mem_realloc(out.items, (out.count + 1) * sizeof(*fitted)) : NULL;
    if (fitted)
        out.items = fitted;
    routes_sort(out.items, out.count);
    *ret_routes = out.items;
    *ret_count = out.count;
    return 0;
}

struct wanted_routes {
    weft_route_info **ret_routes;
    size_t *ret_count;
};

static int run_routes(weft_node *node, void *arg)
{
    const struct wanted_routes *w = arg;
    return routes_take(node, NULL, SIZE_MAX, w->ret_routes, w->ret_count);
}

int weft_node_routes(weft_node *node, weft_route_info **ret_routes, size_t *ret_count)
{
    return node_call(node, run_routes, &(struct wanted_routes){ret_routes, ret_count});
}

void weft_routes_free(weft_route_info *routes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FREE_TEXT(routes[i].route);
        FREE_TEXT(routes[i].peer);
        FREE_TEXT(routes[i].via);
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

struct book_record record_from_entry(const weft_addrbook_entry *e)
{
    static const uint8_t none[16];
    return (struct book_record){
        .peer = e->peer ? e->peer : "",
        .max_attempts = e->max_attempts,
        .default_backoff_ns = e->default_backoff_ns,
        .max_backoff_ns = e->max_backoff_ns,
        .multiplier = e->multiplier,
        .attempts = e->attempts,
        .failed_attempts = e->failed_attempts,
        .last_success = e->last_success,
        .backoff_ns = e->backoff_ns,
        .persistent = e->persistent,
        .node_id = memcmp(e->node_id, none, sizeof(none)) == 0 ? NULL : e->node_id,
        .source = e->source ? e->source : "",
        .origin = (uint32_t)e->origin,
        .last_error = e->last_error ? e->last_error : "",
        .banned_until = e->banned_until,
        .added = e->added,
        .linked = e->linked,
        .dialing = e->dialing,
        .next_dial_ns = e->next_dial_ns,
        .in_config = e->in_config,
    };
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
            .origin = addrbook_origin(r->origin),
            .banned_until = r->banned_until,
            .added = r->added,
            .linked = r->linked,
            .dialing = r->dialing,
            .next_dial_ns = r->next_dial_ns,
            .in_config = r->in_config,
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

int book_take(weft_node *node, weft_addrbook **ret_book)
{
    size_t count;
    struct book_record *records = addrbook_records(mesh_addrbook(node->mesh), node_now(), &count);
    if (!records)
        return WEFT_ENOMEM;
    weft_addrbook *book = book_from_records(records, count);
    mem_free(records);
    if (!book)
        return WEFT_ENOMEM;
    memcpy(book->node_id, node->node_id, sizeof(book->node_id));
    *ret_book = book;
    return 0;
}

static int run_book(weft_node *node, void *arg)
{
    return book_take(node, arg);
}

int weft_node_addrbook(weft_node *node, weft_addrbook **ret_book)
{
    return node_call(node, run_book, ret_book);
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
