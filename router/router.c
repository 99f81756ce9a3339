/* The happy path: an endpoint is attached when its link is DONE and gets the full state queued;
 * what it declares is checked here, registered by intents.c and interests.c, matched by match.c and
 * told to others by adverts.c. When its link goes it is taken off the list of endpoints first, so
 * that nothing more is queued for it, and then all its records are forgotten one by one.
 *
 * Failure modes: memory for the endpoint itself (nothing changed), and adverts that cannot be
 * queued (queue.c: the endpoint is broken). Adverts queued for an endpoint that is gone are skipped
 * when they are taken: its serial number is no longer that of an endpoint. */
#include "router/private.h"

#include <string.h>

static void endpoint_init(struct endpoint *e, uint32_t id)
{
    *e = (struct endpoint){.id = id};
    list_init(&e->all);
    list_init(&e->intents);
    list_init(&e->interests);
    list_init(&e->asks);
    list_init(&e->in_broken);
}

/* An endpoint as the options describe it, borrowing their path; no name. */
static void endpoint_describe(struct endpoint *e, const struct endpoint_options *options)
{
    e->class = options->class;
    e->near = options->class == ENDPOINT_LEAF;
    e->base = options->base;
    e->patterns = options->patterns && !options->base;
    e->path = options->path ? options->path : "";
    e->path_len = strlen(e->path);
}

static uint32_t endpoint_hash(const struct table_node *node)
{
    return table_fold(container_of(node, struct endpoint, by_id)->id);
}

static int tables_init(struct router *r)
{
    struct {
        struct table *table;
        table_hash_fn *hash;
    } tables[] = {
        {&r->by_id, endpoint_hash},       {&r->intents, intent_key_hash},
        {&r->aliases, intent_alias_hash}, {&r->interests, interest_key_hash},
        {&r->asks, ask_key_hash},
    };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        int rc = table_init(tables[i].table, tables[i].hash);
        if (rc < 0)
            return rc;
    }
    int rc = tree_init(&r->routes);
    return rc < 0 ? rc : tree_init(&r->patterns);
}

int router_new(const struct router_config *config, struct router **ret_router)
{
    struct router *r = mem_zalloc(sizeof(*r));
    if (!r)
        return WEFT_ENOMEM;
    r->max_routes = r->most_routes = config->max_routes;
    endpoint_init(&r->local, ROUTER_LOCAL);
    r->local.local = r->local.near = r->local.patterns = true;
    list_init(&r->endpoints);
    list_init(&r->pending);
    list_init(&r->conflicts);
    list_init(&r->broken);
    int rc = tables_init(r);
    if (rc < 0) {
        router_free(r);
        return rc;
    }
    *ret_router = r;
    return 0;
}

static void endpoint_free(struct router *r, struct endpoint *e)
{
    list_each_safe (it, &e->asks)
        ask_free(r, list_entry(it, struct ask, in_endpoint));
    mem_free((char *)e->path);
    str_unref(e->name);
    mem_free(e);
}

/* The records of an endpoint without telling anybody: all is going. */
static void free_records(struct endpoint *e)
{
    list_each_safe (it, &e->intents)
        intent_free(intent_listed(it));
    list_each_safe (it, &e->interests)
        interest_free(list_entry(it, struct router_interest, in_endpoint));
}

static void free_own_intents(struct router *router)
{
    const struct tree *routes = &router->routes;
    struct entry *e = routes->root ? tree_walk(routes, NULL, true) : NULL;
    for (; e; e = tree_walk(routes, e, true)) {
        struct intent *i = intent_ours(e);
        if (i)
            intent_free(i);
    }
}

static void free_dead(struct router *router)
{
    for (struct chain *it = router->dead, *next; it; it = next) {
        next = it->next;
        intent_free(container_of(it, struct intent, in_entry));
    }
}

void router_free(struct router *router)
{
    if (!router)
        return;
    free_own_intents(router); /* while the others in their entries are there */
    list_splice(&router->local.interests, &router->pending);
    free_records(&router->local);
    list_each_safe (it, &router->endpoints) {
        struct endpoint *e = list_entry(it, struct endpoint, all);
        free_records(e);
        endpoint_free(router, e);
    }
    free_dead(router);
    notices_drop_all(router);
    queue_clear(router);
    tree_fini(&router->routes);
    tree_fini(&router->patterns);
    table_fini(&router->by_id);
    table_fini(&router->intents);
    table_fini(&router->aliases);
    table_fini(&router->interests);
    table_fini(&router->asks);
    mem_free(router);
}

void router_set_max(struct router *r, uint32_t max_routes)
{
    r->max_routes = max_routes;
    if (r->most_routes < max_routes)
        r->most_routes = max_routes;
}

/* ---- Endpoints ---- */

struct endpoint *router_endpoint(const struct router *router, uint32_t id)
{
    struct table_node *n = table_chain(&router->by_id, table_fold(id));
    for (; n; n = n->next) {
        struct endpoint *e = container_of(n, struct endpoint, by_id);
        if (e->id == id)
            return e;
    }
    return NULL;
}

bool endpoint_hears(const struct endpoint *to, const struct endpoint *from)
{
    return to != from && (to->class == ENDPOINT_LEAF || from->near);
}

int router_attach(struct router *router, uint32_t endpoint, const struct endpoint_options *options,
                  bool quiet)
{
    if (endpoint == ROUTER_LOCAL || router_endpoint(router, endpoint))
        return WEFT_EEXIST;
    struct endpoint *e = mem_alloc(sizeof(*e));
    if (!e)
        return WEFT_ENOMEM;
    endpoint_init(e, endpoint);
    endpoint_describe(e, options);
    bool named = options->name && *options->name;
    e->path = mem_strdup(e->path);
    e->name = named ? str_new(options->name, strlen(options->name)) : NULL;
    if (!e->path || (named && !e->name)) {
        endpoint_free(router, e);
        return WEFT_ENOMEM;
    }
    if (++router->last_serial == 0)
        router->last_serial = 1;
    e->serial = router->last_serial;
    list_push(&router->endpoints, &e->all);
    table_put(&router->by_id, &e->by_id);
    router->n_base += e->base;
    router->n_asked += endpoint_is_asked(e);
    router->n_leaves += e->class == ENDPOINT_LEAF;
    advertise_all(router, e, quiet);
    return 0;
}

void router_detach(struct router *router, uint32_t endpoint)
{
    struct endpoint *e = router_endpoint(router, endpoint);
    if (!e)
        return;
    list_remove(&e->all);
    list_remove(&e->in_broken);
    table_del(&router->by_id, &e->by_id);
    router->n_base -= e->base;
    router->n_asked -= endpoint_is_asked(e);
    router->n_leaves -= e->class == ENDPOINT_LEAF;
    e->broken = true; /* from here on nothing is queued for it */
    list_each_safe (it, &e->interests)
        interest_forget(router, list_entry(it, struct router_interest, in_endpoint));
    list_each_safe (it, &e->intents)
        intent_forget(router, intent_listed(it));
    notices_drop(router, NULL, endpoint);
    endpoint_free(router, e);
}

uint32_t router_next_broken(struct router *router)
{
    struct list *it = list_pop(&router->broken);
    return it ? list_entry(it, struct endpoint, in_broken)->id : 0;
}

/* ---- What all declarations share ---- */

bool str_equals(const struct str *s, const char *text, size_t len)
{
    return s && s->len == len && memcmp(s->text, text, len) == 0;
}

struct str *str_share(struct str *same, const char *text, size_t len)
{
    if (str_equals(same, text, len))
        return str_ref(same);
    return str_new(text, len);
}

/* What links declare leaves an eighth for the program's own routes, one link takes half at most,
 * and routes of many segments count by the nodes they need: nobody's routes crowd out everybody
 * else's. */
bool router_is_full(const struct router *router, const struct endpoint *from)
{
    const struct router_counts *c = &router->counts;
    uint64_t max = router->max_routes;
    uint64_t count =
        (uint64_t)c->local_intents + c->local_interests + c->remote_intents + c->remote_interests;
    if (from->local)
        return count >= max;
    uint64_t nodes = (uint64_t)router->routes.nodes.count + router->patterns.nodes.count;
    uint64_t own = (uint64_t)from->held.intents + from->held.interests + from->stale;
    return count >= max - max / 8 || own >= max - max / 2 || nodes >= max * ROUTER_NODES_PER_ROUTE;
}

int decl_check(const struct endpoint *from, const struct decl *decl, bool intent,
               struct route *ret_route)
{
    struct route route;
    int rc = route_parse(decl->route, strlen(decl->route), &route, NULL);
    if (rc < 0)
        return rc;
    if (intent && route.kind == ROUTE_PATTERN)
        return WEFT_EPATTERN;
    if (decl->hops > ROUTER_HOPS_MAX || (decl->origin && strlen(decl->origin) > ORIGIN_MAX))
        return WEFT_EPROTO;
    /* An uplink tells of everyone; base peers are not held to scope (section 8). */
    bool scoped = intent && from->class != ENDPOINT_UPLINK && !from->base;
    if (scoped && !route_in_scope(&route, from->path, from->path_len))
        return WEFT_ESCOPE;
    *ret_route = route;
    return 0;
}

bool router_would_take(const struct router *router, const struct endpoint_options *options,
                       const struct decl *decl, bool intent)
{
    struct endpoint from;
    struct route route;
    endpoint_init(&from, ROUTER_LOCAL);
    endpoint_describe(&from, options);
    return decl_check(&from, decl, intent, &route) == 0 && !router_is_full(router, &from);
}

void router_each_advert(const struct router *router, const struct endpoint_options *options,
                        bool (*fn)(void *ctx, const struct router_advert *advert), void *ctx)
{
    struct endpoint to;
    endpoint_init(&to, ROUTER_LOCAL);
    endpoint_describe(&to, options);
    each_advert(router, &to, fn, ctx);
}

uint64_t router_steps(const struct router *router)
{
    return router->routes.steps + router->patterns.steps;
}

uint64_t router_generation(const struct router *router)
{
    return router->generation;
}
