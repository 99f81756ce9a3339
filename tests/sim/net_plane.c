/* Routes: what the programs of the nodes have open, the targets that a data plane would keep, and
 * what both should be.
 *
 * The model knows the routes that are open and who is linked to whom, and nothing of how nodes tell
 * each other. From these alone follow the targets of every intent: whoever has an interest that
 * covers it, reached over the one link that leads there, never from peer to peer. */
#include "net_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECTED_MAX 4096 /* targets of one intent */

/* ---- The data plane ---- */

static void add_target(void *ctx, const struct router_target *target)
{
    struct net_flow *flow = ctx;
    if (flow->count == flow->cap) {
        flow->cap = flow->cap ? 2 * flow->cap : 4;
        flow->targets = net_alloc(flow->targets, flow->cap * sizeof(*flow->targets));
    }
    flow->targets[flow->count] = *target;
    str_ref(target->route);
    flow->count++;
}

static void empty(struct net_flow *flow)
{
    for (size_t i = 0; i < flow->count; i++)
        str_unref(flow->targets[i].route);
    flow->count = 0;
}

static void flow_free(struct net_flow *flow)
{
    flow->rec->user = NULL;
    list_remove(&flow->in_node);
    empty(flow);
    str_unref(flow->text);
    free(flow->targets);
    free(flow);
}

static struct net_flow *flow_of(struct net_node *node, struct router_intent *rec)
{
    if (rec->user)
        return rec->user;
    struct net_flow *flow = net_alloc(NULL, sizeof(*flow));
    *flow = (struct net_flow){.rec = rec, .text = str_ref(rec->route)};
    route_parse(flow->text->text, flow->text->len, &flow->route, NULL);
    list_push(&node->flows, &flow->in_node);
    rec->user = flow;
    return flow;
}

static bool is_target(const struct net_flow *flow, uint32_t link)
{
    for (size_t i = 0; link && i < flow->count; i++) {
        if (!flow->targets[i].interest && flow->targets[i].endpoint == link)
            return true;
    }
    return false;
}

/* Not those whose end is on its way to the router; and of two links to one node the newer one
 * alone, once it has the interest too. */
static void drop_replaced(const struct net_node *node, struct net_flow *flow)
{
    size_t kept = 0;
    struct router_target *t = flow->targets;
    bool *gone = net_alloc(NULL, flow->count);
    for (size_t i = 0; i < flow->count; i++) {
        const struct net_end *end = t[i].interest ? NULL : net_end_by_id(node, t[i].endpoint);
        gone[i] = !t[i].interest &&
                  (!end || !end->up || end->retired || is_target(flow, end->replaced_by));
    }
    for (size_t i = 0; i < flow->count; i++) {
        if (gone[i])
            str_unref(t[i].route);
        else
            t[kept++] = t[i];
    }
    flow->count = kept;
    free(gone);
}

static bool has_peer(const struct net_flow *flow)
{
    bool any = false;
    for (size_t i = 0; i < flow->count; i++)
        any |= !flow->targets[i].interest;
    return any;
}

void net_plane_drain(struct net_node *node)
{
    struct router *router = mesh_router(node->mesh);
    struct router_intent *rec;
    while ((rec = router_next_changed(router)) != NULL) {
        struct net_flow *flow = flow_of(node, rec);
        bool served = rec->endpoint == ROUTER_LOCAL && has_peer(flow);
        empty(flow);
        if (rec->dead) {
            flow_free(flow);
            router_release_intent(router, rec);
            continue;
        }
        router_each_target(router, rec, add_target, flow);
        drop_replaced(node, flow);
        node->unserved += served && !has_peer(flow);
        if (flow->count == 0)
            flow_free(flow);
    }
}

void net_plane_clear(struct net_node *node)
{
    list_each_safe (it, &node->flows)
        flow_free(list_entry(it, struct net_flow, in_node));
}

/* ---- Routes ---- */

struct net_route *net_open(struct net_node *node, bool intent, const char *text, int *ret_error)
{
    struct net_route *route = net_alloc(NULL, sizeof(*route));
    *route = (struct net_route){.intent = intent};
    snprintf(route->text, sizeof(route->text), "%s", text);
    struct router *router = mesh_router(node->mesh);
    int rc = route_parse(route->text, strlen(route->text), &route->route, NULL);
    if (rc == 0)
        rc = intent ? router_open_intent(router, text, 0, NULL, &route->rec)
                    : router_open_interest(router, text, 0, route, &route->handle);
    if (ret_error)
        *ret_error = rc;
    if (rc < 0) {
        free(route);
        route = NULL;
    } else {
        route->uid = ++node->net->next_uid;
        list_push(&node->routes, &route->in_node);
    }
    net_settle(node);
    return route;
}

void net_close(struct net_node *node, struct net_route *route)
{
    struct router *router = mesh_router(node->mesh);
    if (route->intent)
        router_close_intent(router, route->rec);
    else
        router_close_interest(router, route->handle);
    list_remove(&route->in_node);
    route->todo = 0;
    net_settle(node); /* no target names it any more */
    if (!route->intent)
        net_interest_closing(node, route);
    net_route_free(route);
}

/* ---- Who is linked to whom ---- */

/* links[a * count + b]: the id of the link at a that leads to b; 0: none. */
struct chart {
    struct net *net;
    uint32_t *links;
    uint32_t *uplink;             /* of a leaf: its router; else the node itself */
    bool *relays;                 /* it has leaves, or is one */
    uint32_t *wanting, n_wanting; /* who wants the intent that is looked at */
    char *why;
    size_t size;
};

static uint32_t link_at(const struct chart *c, uint32_t a, uint32_t b)
{
    return c->links[(size_t)a * c->net->count + b];
}

static bool is_mesh(const struct net_node *node)
{
    return node->alive && node->mesh;
}

static const char *network_of(const struct net_node *node)
{
    return node->options.network ? node->options.network : "";
}

static bool should_link(const struct chart *c, const struct net_node *a, const struct net_node *b)
{
    enum role x = a->options.role, y = b->options.role;
    if (a->group != b->group || strcmp(network_of(a), network_of(b)) != 0)
        return false;
    if (x == ROLE_LEAF || y == ROLE_LEAF)
        return c->uplink[a->index] == b->index || c->uplink[b->index] == a->index;
    return x == ROLE_PEER || y == ROLE_PEER;
}

static bool wrong(const struct chart *c, const struct net_node *a, const struct net_node *b,
                  const char *what)
{
    snprintf(c->why, c->size, "n%u and n%u: %s", a->index, b->index, what);
    return false;
}

static bool chart_node(struct chart *c, struct net_node *node)
{
    list_each (it, mesh_links(node->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        struct net_end *there = net_other(l->user);
        if (!there->node || !is_mesh(there->node))
            continue;
        uint32_t *id = &c->links[(size_t)node->index * c->net->count + there->node->index];
        if (l->state != LINK_UP)
            return wrong(c, node, there->node, "a link is not up yet");
        if (*id)
            return wrong(c, node, there->node, "two links");
        if (!there->link || there->link->state != LINK_UP)
            return wrong(c, node, there->node, "a link is up on one side only");
        if (there->silent || there->conn->ends[0].silent)
            return wrong(c, node, there->node, "nothing passes over their link any more");
        *id = l->id;
        if (node->options.role == ROLE_LEAF) {
            c->uplink[node->index] = there->node->index;
            c->relays[node->index] = c->relays[there->node->index] = true;
        }
    }
    return true;
}

static bool chart_pairs(const struct chart *c)
{
    for (uint32_t a = 0; a < c->net->count; a++) {
        const struct net_node *x = c->net->nodes[a];
        if (!is_mesh(x))
            continue;
        if (x->options.role == ROLE_LEAF && c->uplink[a] == a)
            return wrong(c, x, x, "a leaf without a router");
        for (uint32_t b = 0; b < c->net->count; b++) {
            const struct net_node *y = c->net->nodes[b];
            if (a == b || !is_mesh(y))
                continue;
            if (should_link(c, x, y) != (link_at(c, a, b) != 0))
                return wrong(c, x, y, link_at(c, a, b) ? "a link too many" : "no link");
        }
    }
    return true;
}

/* ---- Tables ---- */

static bool same_digest(const struct router_digest *a, const struct router_digest *b)
{
    return a->intents == b->intents && a->intents_hash == b->intents_hash &&
           a->interests == b->interests && a->interests_hash == b->interests_hash;
}

static bool digests_agree(const struct chart *c, struct net_node *node)
{
    list_each (it, mesh_links(node->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        struct net_end *there = net_other(l->user);
        if (!there->node || !is_mesh(there->node) || !there->link)
            continue;
        struct router_digest sent, held;
        router_digest_sent(mesh_router(node->mesh), l->id, &sent);
        router_digest_held(mesh_router(there->node->mesh), there->link->id, &held);
        if (!same_digest(&sent, &held))
            return wrong(c, node, there->node, "tables differ");
    }
    return true;
}

/* Whom node asks to get to there: that node's id, or its own if they do not hear each other. */
static uint32_t next_hop(const struct chart *c, uint32_t node, uint32_t there)
{
    uint32_t mine = c->uplink[node], its = c->uplink[there];
    if (mine != its && !link_at(c, mine, its))
        return node;
    if (mine != node)
        return mine;
    return its == node ? there : its;
}

static bool covers(const struct net_route *interest, const struct net_route *intent)
{
    return !interest->intent && route_covers(&interest->route, &intent->route);
}

/* Does node, which the hop leads to or beyond, want the intent? */
static bool wants(const struct net_node *node, const struct net_route *intent)
{
    list_each (it, &node->routes) {
        if (covers(list_entry(it, struct net_route, in_node), intent))
            return true;
    }
    return false;
}

/* ---- Targets ---- */

/* Does node pass on over the hop what reached it from `from` (itself: its own)? */
static bool passes_on(const struct chart *c, uint32_t node, uint32_t from, uint32_t hop)
{
    if (hop == node || hop == from)
        return false;
    if (from == node)
        return true;
    bool from_router = c->uplink[node] == from;
    bool touches_leaf = c->uplink[from] == node || c->uplink[hop] == node;
    return !from_router && touches_leaf;
}

/* One for each target that a flow should have, until the flow is found to have it. */
struct expected {
    const void *interest;
    uint32_t hop;
};

static bool find_expected(struct expected *e, size_t *count, const void *interest, uint32_t hop)
{
    for (size_t i = 0; i < *count; i++) {
        if (e[i].interest != interest || e[i].hop != hop)
            continue;
        e[i] = e[--*count];
        return true;
    }
    return false;
}

/* Whom node should serve of an intent that reaches it from `from`. */
static size_t gather_expected(const struct chart *c, const struct net_node *node,
                              uint32_t publisher, uint32_t from, const struct net_route *intent,
                              struct expected *out)
{
    size_t count = 0;
    list_each (it, &node->routes) {
        const struct net_route *r = list_entry(it, struct net_route, in_node);
        if (covers(r, intent) && count < EXPECTED_MAX)
            out[count++] = (struct expected){.interest = r};
    }
    size_t locals = count;
    bool relays = publisher == node->index || c->relays[node->index];
    for (uint32_t i = 0; relays && i < c->n_wanting; i++) {
        uint32_t z = c->wanting[i], hop = next_hop(c, node->index, z);
        bool had = false;
        if (z == from || z == node->index || !link_at(c, node->index, hop) ||
            !passes_on(c, node->index, from, hop))
            continue;
        for (size_t k = locals; k < count; k++)
            had |= out[k].hop == hop + 1;
        if (!had && count < EXPECTED_MAX)
            out[count++] = (struct expected){.hop = hop + 1};
    }
    return count;
}

static uint32_t node_behind(const struct net_node *node, uint32_t endpoint)
{
    const struct net_end *end = net_end_by_id(node, endpoint);
    const struct net_end *there = end ? net_other((struct net_end *)(uintptr_t)end) : NULL;
    return there && there->node ? there->node->index + 1 : UINT32_MAX;
}

/* The targets of one intent at one node against what they should be. */
static bool check_flow(const struct chart *c, const struct net_node *node, uint32_t publisher,
                       uint32_t from, const struct net_flow *flow, const struct net_route *intent)
{
    struct expected left[EXPECTED_MAX];
    size_t count = gather_expected(c, node, publisher, from, intent, left);
    for (size_t i = 0; flow && i < flow->count; i++) {
        const struct router_target *t = &flow->targets[i];
        uint32_t hop = t->interest ? 0 : node_behind(node, t->endpoint);
        if (!find_expected(left, &count, t->interest, hop))
            return wrong(c, node, c->net->nodes[from], "somebody is served who should not be");
    }
    if (count == 0)
        return true;
    if (left[0].interest)
        return wrong(c, node, c->net->nodes[from], "a local interest is not served");
    return wrong(c, node, c->net->nodes[left[0].hop - 1], "an interested peer is not served");
}

/* Of two links that came with one name, the later's routes are told under "name?link=…", and keep
 * that when the former has gone. */
static bool names_origin(const char *origin, const char *url)
{
    size_t n = strlen(url);
    return strncmp(origin, url, n) == 0 &&
           (origin[n] == '\0' || strncmp(origin + n, "?link=", 6) == 0);
}

/* The flow at node of the intent that another node (or itself) has open. */
static const struct net_flow *find_flow(const struct chart *c, const struct net_node *node,
                                        uint32_t publisher, const struct net_route *intent)
{
    uint32_t hop = next_hop(c, node->index, publisher);
    uint32_t endpoint = publisher == node->index ? ROUTER_LOCAL : link_at(c, node->index, hop);
    const char *origin = hop == publisher ? "" : c->net->nodes[publisher]->url;
    list_each (it, &node->flows) {
        const struct net_flow *flow = list_entry(it, struct net_flow, in_node);
        bool relayed = flow->rec->origin != NULL;
        if (flow->rec->endpoint != endpoint || strcmp(flow->rec->route->text, intent->text) != 0)
            continue;
        if (publisher == node->index ||
            (relayed ? names_origin(flow->rec->origin->text, origin) : origin[0] == '\0'))
            return flow;
    }
    return NULL;
}

/* Who has an interest that covers the intent. */
static void chart_wanting(struct chart *c, const struct net_route *intent)
{
    c->n_wanting = 0;
    for (uint32_t z = 0; z < c->net->count; z++) {
        if (is_mesh(c->net->nodes[z]) && wants(c->net->nodes[z], intent))
            c->wanting[c->n_wanting++] = z;
    }
}

/* The targets of one intent at every node that it reaches. */
static bool targets_right(struct chart *c, uint32_t p, const struct net_route *intent)
{
    chart_wanting(c, intent);
    for (uint32_t n = 0; n < c->net->count; n++) {
        const struct net_node *node = c->net->nodes[n];
        uint32_t from = p == n ? p : next_hop(c, n, p);
        if (!is_mesh(node) || (p != n && from == n))
            continue;
        if (!check_flow(c, node, p, from, find_flow(c, node, p, intent), intent))
            return false;
    }
    return true;
}

static bool all_targets_right(struct chart *c)
{
    for (uint32_t p = 0; p < c->net->count; p++) {
        const struct net_node *publisher = c->net->nodes[p];
        if (!is_mesh(publisher))
            continue;
        list_each (it, &publisher->routes) {
            const struct net_route *intent = list_entry(it, struct net_route, in_node);
            if (intent->intent && !targets_right(c, p, intent))
                return false;
        }
    }
    return true;
}

bool net_whole(struct net *net, char *why, size_t size)
{
    size_t cells = (size_t)net->count * net->count;
    struct chart c = {
        .net = net,
        .links = net_alloc(NULL, cells * sizeof(uint32_t)),
        .uplink = net_alloc(NULL, net->count * sizeof(uint32_t)),
        .relays = net_alloc(NULL, net->count * sizeof(bool)),
        .wanting = net_alloc(NULL, net->count * sizeof(uint32_t)),
        .why = why,
        .size = size,
    };
    memset(c.links, 0, cells * sizeof(uint32_t));
    memset(c.relays, 0, net->count * sizeof(bool));
    for (uint32_t i = 0; i < net->count; i++)
        c.uplink[i] = i;
    bool whole = true;
    for (uint32_t i = 0; i < net->count && whole; i++)
        whole = !is_mesh(net->nodes[i]) || chart_node(&c, net->nodes[i]);
    whole = whole && chart_pairs(&c);
    for (uint32_t i = 0; i < net->count && whole; i++)
        whole = !is_mesh(net->nodes[i]) || digests_agree(&c, net->nodes[i]);
    whole = whole && all_targets_right(&c);
    free(c.links);
    free(c.uplink);
    free(c.relays);
    free(c.wanting);
    return whole;
}

uint64_t net_run_whole(struct net *net, uint64_t ns, char *why, size_t size)
{
    uint64_t began = net->now;
    for (;;) {
        if (net_whole(net, why, size))
            return net->now - began;
        if (net->now - began >= ns)
            return NEVER;
        net_run(net, min_u64(50 * NS_PER_MS, ns - (net->now - began)));
    }
}
