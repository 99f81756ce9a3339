/* What holds in every session, whatever the peers do:
 *
 *   - a link is UP at most once and closed once; to one node at most one is UP, and at most
 *     max_peers in all, and a few leaves; at most 100 are accepted and not through their handshake;
 *   - what is sent decodes, fits the state of the link and what the other side has named, and
 *     nothing follows GOODBYE; an alias stands for one intent;
 *   - the router knows nothing of links that are not up; its counts are the sums of its records;
 *     what its owner keeps of each intent is what it would be told now; a local interest is matched
 *     with, and served by, what covers it;
 *   - what the address book calls linked is, and what it has handed out is being dialled;
 *   - memory is bounded by what was fed. */
#include "session.h"

#include <weft/weft.h>

#include "base/hash.h"
#include "base/mem.h"
#include "mesh/private.h"
#include "proto/codec.h"

#define MEMORY_FLOOR ((size_t)3 << 20)
#define MEMORY_LINK ((size_t)24 << 10)
#define MEMORY_FACTOR 256u

/* ---- What is sent ---- */

static bool declares(uint32_t type)
{
    return type == MSG_INTENT || type == MSG_INTENTS || type == MSG_INTEREST ||
           type == MSG_INTERESTS;
}

static bool tells_intents(uint32_t type)
{
    return type == MSG_INTENT || type == MSG_INTENTS;
}

static void check_alias(struct world *w, const struct decl *d)
{
    uint64_t hash = route_digest(d->route, strlen(d->route), d->origin, strlen(d->origin));
    size_t i = d->alias % ARRAY_LEN(w->aliases);
    if (d->alias == 0)
        return;
    CHECK(w->aliases[i].alias != d->alias || w->aliases[i].hash == hash);
    w->aliases[i].alias = d->alias;
    w->aliases[i].hash = hash;
}

static void check_decl(struct world *w, const struct slot *s, const struct decl *d, bool intent)
{
    struct route route;
    CHECK_EQ(route_parse(d->route, strlen(d->route), &route, NULL), 0);
    CHECK(!intent || route.kind != ROUTE_PATTERN);
    CHECK(d->hops <= ROUTER_HOPS_MAX);
    if (route.kind == ROUTE_PATTERN)
        CHECK((s->doubt ? s->link->hs.features : s->features) & FEATURE_PATTERNS);
    if (s->base) {
        CHECK(!d->ttl_ns && !d->alias && !d->schema && !d->origin[0]);
        CHECK(route.kind == ROUTE_PLAIN && (intent || d->registered));
    } else if (intent) {
        CHECK(d->alias);
        check_alias(w, d);
    }
}

static void check_decls(struct world *w, const struct slot *s, const struct control *c)
{
    CHECK(s->up && c->decls.count > 0);
    CHECK(!s->base || c->decls.count == 1);
    for (size_t i = 0; i < c->decls.count; i++)
        check_decl(w, s, &c->decls.items[i], tells_intents(c->type));
}

static void see_handshake(struct slot *s, const struct handshake_msg *h)
{
    CHECK(h->stage == STAGE_INITIAL || h->stage == STAGE_FINAL);
    bool *got = h->stage == STAGE_INITIAL ? &s->got_initial : &s->got_final;
    CHECK(!*got && !s->up);
    *got = true;
    snprintf(s->its_me, sizeof(s->its_me), "%s", h->me);
    snprintf(s->called, sizeof(s->called), "%s", h->you);
}

static size_t keep(uint8_t *room, size_t size, const struct control *c)
{
    size_t n = c->ping.payload_len < size ? c->ping.payload_len : size;
    if (n)
        memcpy(room, c->ping.payload, n);
    return n;
}

static void see(struct world *w, struct slot *s, const struct header *header,
                const struct control *c)
{
    switch (c->type) {
    case MSG_HANDSHAKE:
        see_handshake(s, &c->handshake);
        break;
    case MSG_PEERS:
        s->got_peers = true;
        CHECK(c->peers.count <= 250);
        break;
    case MSG_PING:
        s->ping_len = keep(s->ping, sizeof(s->ping), c);
        CHECK(s->ping_len >= 16);
        break;
    case MSG_PONG:
        s->pongs++;
        s->pong_len = keep(s->pong, sizeof(s->pong), c);
        break;
    case MSG_GOODBYE:
        s->got_goodbye = true;
        break;
    case MSG_QUERY:
        s->nonce = header->timestamp;
        break;
    case MSG_ANSWER:
        CHECK(question_open(s, c->answer.nonce));
        s->answers++;
        break;
    default:
        if (declares(c->type))
            check_decls(w, s, c);
        break;
    }
}

/* May this link carry such a message now? */
static void check_allowed(const struct world *w, const struct slot *s, const struct control *c,
                          size_t size)
{
    bool greeting = c->type == MSG_HANDSHAKE || c->type == MSG_PEERS || c->type == MSG_RESULT ||
                    c->type == MSG_GOODBYE;
    uint64_t both = s->doubt ? s->link->hs.features : s->features & w->config.features;
    CHECK(s->opened && !s->got_goodbye);
    CHECK(s->up || greeting);
    CHECK(c->type != MSG_GOODBYE || (both & FEATURE_GOODBYE));
    CHECK(c->type != MSG_DIGEST || (both & FEATURE_DIGEST));
    CHECK((c->type != MSG_QUERY && c->type != MSG_ANSWER) || (both & FEATURE_INFO));
    CHECK(c->type != MSG_RESULT || c->result.error == RESULT_OK || c->result.description[0]);
    if (s->link->hs.base) {
        CHECK(c->type < 60 && size <= 60000);
        CHECK(s->up || c->type != MSG_RESULT);
    }
}

void check_frame_sent(struct world *w, struct slot *s, const void *data, size_t size)
{
    struct frame frame;
    struct header header;
    struct control c;
    uint8_t *copy = exact_copy(data, size);
    CHECK_EQ(frame_scan(copy, size, FRAME_MAX_LIMIT, &frame), 1);
    CHECK(frame.size == size && !frame.compact);
    CHECK_EQ(header_decode(frame.header, frame.header_size, &header), 0);
    CHECK_EQ(codec_decode(header.type, frame.body, frame.body_size, &c), 0);
    check_allowed(w, s, &c, size);
    see(w, s, &header, &c);
    control_fini(&c);
    free(copy);
}

/* ---- Links ---- */

static void check_pair(const struct mesh_link *a, const struct mesh_link *b)
{
    CHECK(a->id != b->id);
    if (a->state == LINK_UP && b->state == LINK_UP)
        CHECK(!link_same_node(a, b));
}

static void check_links(const struct world *w)
{
    uint32_t up = 0, accepted = 0, used = 0, all = 0;
    struct list *links = mesh_links(w->mesh);
    list_each (it, links) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        const struct slot *s = l->user;
        CHECK(s && s->used && s->link == l && s->link_id == l->id);
        CHECK_EQ(s->up, l->state >= LINK_UP);
        all++;
        up += l->state == LINK_UP;
        accepted += !l->outbound && l->state == LINK_HANDSHAKE;
        for (struct list *other = it->next; other != links; other = other->next)
            check_pair(l, list_entry(other, struct mesh_link, node));
    }
    for (size_t i = 0; i < SLOTS; i++)
        used += w->slots[i].used;
    CHECK_EQ(used, all);
    CHECK_EQ(up, mesh_up_count(w->mesh));
    CHECK(up <= w->config.max_peers + MESH_SPARE_PLACES && accepted <= HANDSHAKES_MAX);
}

/* ---- The router ---- */

struct tally {
    const struct world *w;
    struct router_counts counts;
    const struct open_route *interest; /* whose matches are counted */
    struct route route;
    uint32_t matches;
};

static const struct mesh_link *link_of(const struct world *w, uint32_t endpoint)
{
    list_each (it, mesh_links(w->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->id == endpoint)
            return l;
    }
    return NULL;
}

static void tally_one(void *ctx, const struct router_info *info)
{
    struct tally *t = ctx;
    bool local = info->endpoint == ROUTER_LOCAL;
    if (info->intent)
        *(local ? &t->counts.local_intents : &t->counts.remote_intents) += 1;
    else
        *(local ? &t->counts.local_interests : &t->counts.remote_interests) += 1;
    if (local)
        return;
    const struct mesh_link *l = link_of(t->w, info->endpoint);
    CHECK(l && l->state >= LINK_UP);
}

static void match_one(void *ctx, const struct router_info *info)
{
    struct tally *t = ctx;
    struct route route;
    if (!info->intent)
        return;
    CHECK_EQ(route_parse(info->route, strlen(info->route), &route, NULL), 0);
    const struct mesh_link *from = link_of(t->w, info->endpoint);
    if (route.kind == ROUTE_HASHED && from && from->hs.base)
        return; /* a base peer knows no such routes */
    uint64_t ours = t->interest->schema, theirs = info->record->schema;
    t->matches += route_covers(&t->route, &route) && (!ours || !theirs || ours == theirs);
}

static void check_counts(const struct world *w, const struct router *router)
{
    struct router_counts counts;
    struct tally t = {.w = w};
    router_each(router, tally_one, &t);
    router_count(router, &counts);
    CHECK(memcmp(&counts, &t.counts, sizeof(counts)) == 0);
    uint32_t most = w->config.max_routes;
    CHECK(counts.local_intents + counts.local_interests <= most);
    CHECK(counts.remote_intents + counts.remote_interests <= most);
}

static void check_matches(const struct world *w, const struct router *router)
{
    for (size_t i = 0; i < ROUTES_OPEN; i++) {
        const struct open_route *r = &w->routes[i];
        if (!r->used || r->intent)
            continue;
        struct tally t = {.w = w, .interest = r};
        CHECK_EQ(route_parse(r->text, strlen(r->text), &t.route, NULL), 0);
        router_each(router, match_one, &t);
        CHECK_EQ(router_interest_matches(r->handle), t.matches);
    }
}

struct compare {
    const struct world *w;
    const struct flow *flow;
    size_t count;
};

static bool has_target(const struct flow *f, const struct router_target *t, size_t *ret_times)
{
    *ret_times = 0;
    for (size_t i = 0; i < f->count; i++)
        *ret_times +=
            f->targets[i].interest == t->interest && f->targets[i].endpoint == t->endpoint;
    return *ret_times != 0;
}

static void compare_target(void *ctx, const struct router_target *target)
{
    struct compare *c = ctx;
    size_t times;
    c->count++;
    CHECK(has_target(c->flow, target, &times));
    CHECK_EQ(times, 1);
    if (target->interest)
        return;
    const struct mesh_link *l = link_of(c->w, target->endpoint);
    CHECK(l && l->state >= LINK_UP && l->id != c->flow->rec->endpoint);
}

static void check_flows(const struct world *w, const struct router *router)
{
    for (size_t i = 0; i < w->n_flows; i++) {
        struct compare c = {.w = w, .flow = &w->flows[i]};
        CHECK(!w->flows[i].rec->dead);
        router_each_target((struct router *)(uintptr_t)router, w->flows[i].rec, compare_target, &c);
        CHECK_EQ(c.count, w->flows[i].count);
    }
}

/* ---- The address book ---- */

/* By one of its names, that is; which entries are names of a node without id, the book alone knows.
 */
static bool is_linked(const struct world *w, const struct addrbook_view *view)
{
    struct url url;
    CHECK_EQ(url_parse(view->peer, strlen(view->peer), &url, NULL), 0);
    list_each (it, mesh_links(w->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->state < LINK_UP)
            continue;
        if ((view->node_id && l->hs.has_node_id &&
             memcmp(view->node_id, l->hs.node_id, sizeof(l->hs.node_id)) == 0) ||
            (!view->node_id && !l->hs.has_node_id) || same_address(l->hs.peer.text, &url) ||
            same_address(l->priv->dialled, &url))
            return true;
    }
    return false;
}

static bool is_dialled(const struct world *w, const struct addrbook_view *view)
{
    unsigned n = 0;
    list_each (it, mesh_links(w->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        n += l->outbound && l->state < LINK_UP && l->priv->book_entry == view->id;
    }
    CHECK(n <= 1);
    return n == 1;
}

static void check_entry(void *ctx, const struct addrbook_view *view)
{
    const struct world *w = ctx;
    if (view->linked && !is_linked(w, view))
        FAIL("%s is linked in the book alone", view->peer);
    if (view->dialing && !is_dialled(w, view))
        FAIL("%s is dialled in the book alone", view->peer);
}

void check_world(struct world *w)
{
    const struct router *router = mesh_router(w->mesh);
    check_links(w);
    check_counts(w, router);
    check_matches(w, router);
    check_flows(w, router);
    if (!heap_failed())
        addrbook_each(mesh_addrbook(w->mesh), check_entry, w);
    CHECK(addrbook_count(mesh_addrbook(w->mesh)) <= ADDRBOOK_ENTRIES_MAX);
    CHECK(heap_peak() <= MEMORY_FLOOR + SLOTS * MEMORY_LINK + MEMORY_FACTOR * w->fed);
}
