/* Who wants to hear what. Interests go the way of intents: checked, made, hung into their lists,
 * matched, told. Plain and hashed ones hang in the tree of routes beside the intents they match,
 * patterns in a tree of their own. A link has one record a route; each local handle has its own,
 * since each gets its own copy of a message.
 *
 * Failure modes: as for intents. */
#include "router/private.h"

#include <string.h>

uint32_t pair_hash(const struct endpoint *endpoint, const struct entry *entry)
{
    uint64_t id = (uintptr_t)entry;
    return table_fold(hash64(HASH64_SEED ^ id * UINT64_C(0x9e3779b97f4a7c15), &endpoint->serial,
                             sizeof(endpoint->serial)));
}

uint32_t interest_key_hash(const struct table_node *node)
{
    const struct router_interest *i = &container_of(node, struct link_interest, by_key)->base;
    return pair_hash(i->from, i->entry);
}

struct router_interest *interest_find(const struct router *router, const struct endpoint *from,
                                      const struct entry *entry)
{
    struct table_node *n = table_chain(&router->interests, pair_hash(from, entry));
    for (; n; n = n->next) {
        struct router_interest *i = &container_of(n, struct link_interest, by_key)->base;
        if (i->from == from && i->entry == entry)
            return i;
    }
    return NULL;
}

uint32_t *interest_matches(const struct router_interest *interest)
{
    return interest->from->local ? &interest_of_us(interest)->matches
                                 : &interest_of_link(interest)->lease.matches;
}

static struct tree *tree_of(struct router *router, enum route_kind kind)
{
    return kind == ROUTE_PATTERN ? &router->patterns : &router->routes;
}

void interest_free(struct router_interest *interest)
{
    if (interest->from->local && interest_of_us(interest)->has_extra)
        str_unref(interest_of_us(interest)->extra[0]);
    if (!interest->from->local && interest_of_link(interest)->lease.has_extra)
        str_unref(interest_of_link(interest)->extra[0]);
    mem_free(interest);
}

/* The memory of a record; `spelled` is its route where the entry's will not do, else NULL, and
 * becomes the record's. */
static struct router_interest *interest_alloc(bool local, struct str *spelled)
{
    size_t extra = spelled ? sizeof(spelled) : 0;
    if (local) {
        struct own_interest *own = mem_zalloc(sizeof(*own) + extra);
        if (!own)
            return NULL;
        own->has_extra = spelled != NULL;
        if (spelled)
            own->extra[0] = spelled;
        return &own->base;
    }
    struct link_interest *l = mem_zalloc(sizeof(*l) + extra);
    if (!l)
        return NULL;
    l->lease.has_extra = spelled != NULL;
    if (spelled)
        l->extra[0] = spelled;
    return &l->base;
}

/* A record that hangs nowhere yet. Errors: WEFT_ELIMIT, WEFT_ENOMEM. */
static int interest_new(struct router *router, struct endpoint *from, struct entry *entry,
                        const struct route *route, struct router_interest **ret_interest)
{
    if (router_is_full(router, from))
        return WEFT_ELIMIT;
    struct str *spelled = NULL;
    if (!str_equals(entry->route, route->text, route->len)) {
        spelled = str_new(route->text, route->len);
        if (!spelled)
            return WEFT_ENOMEM;
    }
    struct router_interest *i = interest_alloc(from->local, spelled);
    if (!i) {
        str_unref(spelled);
        return WEFT_ENOMEM;
    }
    i->from = from;
    i->entry = entry;
    *ret_interest = i;
    return 0;
}

static void count_interest(struct router *router, const struct endpoint *from, uint32_t by)
{
    uint32_t *count =
        from->local ? &router->counts.local_interests : &router->counts.remote_interests;
    *count += by; /* by UINT32_MAX: one less */
    router->generation++;
}

static void interest_commit(struct router *router, struct router_interest *i)
{
    struct endpoint *from = i->from;
    if (from->near) {
        chain_insert(&i->entry->interests, NULL, &i->in_entry);
        tree_count_near(i->entry, true);
    } else {
        chain_push(&i->entry->interests, &i->in_entry);
    }
    list_push(&from->interests, &i->in_endpoint);
    if (!from->local)
        table_put(&router->interests, &interest_of_link(i)->by_key);
    count_interest(router, from, 1);
    match_interest(router, i, true);
    advertise_interest(router, i, ADVERT_ADD);
    if (from->base)
        reply_update(router, i);
}

void interest_forget(struct router *router, struct router_interest *interest)
{
    struct endpoint *from = interest->from;
    struct entry *entry = interest->entry;
    match_interest(router, interest, false);
    chain_remove(&entry->interests, &interest->in_entry);
    list_remove(&interest->in_endpoint);
    if (!from->local) {
        table_del(&router->interests, &interest_of_link(interest)->by_key);
        lease_end(&interest_of_link(interest)->lease, from, false);
    }
    count_interest(router, from, UINT32_MAX);
    advertise_interest(router, interest, ADVERT_REMOVE);
    if (from->base)
        reply_withdraw(router, interest);
    if (from->near)
        tree_count_near(entry, false);
    tree_prune(tree_of(router, entry->kind), entry);
    interest_free(interest);
}

/* ---- Local ---- */

int router_open_interest(struct router *router, const char *route, uint64_t schema, void *user,
                         struct router_interest **ret_interest)
{
    struct route parsed;
    struct entry *entry;
    struct router_interest *i;
    int rc = route_parse(route, strlen(route), &parsed, NULL);
    if (rc < 0)
        return rc;
    struct tree *tree = tree_of(router, parsed.kind);
    rc = tree_make(tree, &parsed, &entry);
    if (rc < 0)
        return rc;
    rc = interest_new(router, &router->local, entry, &parsed, &i);
    if (rc < 0) {
        tree_prune(tree, entry);
        return rc;
    }
    i->schema = schema;
    interest_of_us(i)->user = user;
    interest_commit(router, i);
    *ret_interest = i;
    return 0;
}

void router_close_interest(struct router *router, struct router_interest *interest)
{
    notices_drop(router, interest, ROUTER_LOCAL);
    interest_forget(router, interest);
}

void router_each_own_interest(struct router *router, const char *route,
                              void (*fn)(void *ctx, void *user), void *ctx)
{
    struct route parsed;
    if (route_parse(route, strlen(route), &parsed, NULL) < 0)
        return;
    struct entry *entry = tree_find(tree_of(router, parsed.kind), &parsed);
    if (!entry)
        return;
    chain_each(it, entry->interests)
    {
        struct router_interest *i = container_of(it, struct router_interest, in_entry);
        if (i->from->local)
            fn(ctx, interest_of_us(i)->user);
    }
}

uint32_t router_interest_matches(const struct router_interest *interest)
{
    return interest_of_us(interest)->matches;
}

struct str *router_interest_route(const struct router_interest *interest)
{
    return interest_route(interest);
}

/* ---- Links ---- */

static void set_schema(struct router *router, struct router_interest *i, uint64_t schema)
{
    match_interest(router, i, false);
    i->schema = schema;
    match_interest(router, i, true);
    advertise_interest(router, i, ADVERT_UPDATE);
    router->generation++;
}

static void interest_refresh(struct router *router, struct router_interest *i,
                             const struct decl *decl, uint64_t mono_ns)
{
    struct lease *lease = &interest_of_link(i)->lease;
    lease_renew(lease, i->from, decl, false, mono_ns);
    bool moved = (lease->hops < ROUTER_HOPS_MAX) != (decl->hops < ROUTER_HOPS_MAX);
    if (moved)
        advertise_interest(router, i, ADVERT_REMOVE);
    lease->hops = decl->hops & 15u;
    if (moved)
        advertise_interest(router, i, ADVERT_ADD);
    if (i->schema != decl->schema)
        set_schema(router, i, decl->schema);
}

static int interest_withdraw(struct router *router, struct endpoint *from, const struct decl *decl)
{
    struct route route;
    int rc = route_parse(decl->route, strlen(decl->route), &route, NULL);
    if (rc < 0)
        return rc;
    struct entry *entry = tree_find(tree_of(router, route.kind), &route);
    struct router_interest *i = entry ? interest_find(router, from, entry) : NULL;
    if (i)
        interest_forget(router, i);
    return 0;
}

int router_learn_interest(struct router *router, uint32_t endpoint, const struct decl *decl,
                          uint64_t mono_ns)
{
    struct endpoint *from = router_endpoint(router, endpoint);
    if (!from)
        return WEFT_ENOTFOUND;
    if (!decl->registered)
        return interest_withdraw(router, from, decl);
    struct route route;
    int rc = decl_check(from, decl, false, &route);
    if (rc < 0)
        return rc;
    struct tree *tree = tree_of(router, route.kind);
    struct entry *entry; /* made before it is known to be needed: one walk does */
    rc = tree_make(tree, &route, &entry);
    if (rc < 0)
        return rc;
    struct router_interest *i = interest_find(router, from, entry);
    if (i) {
        interest_refresh(router, i, decl, mono_ns);
        return 0;
    }
    rc = interest_new(router, from, entry, &route, &i);
    if (rc < 0) {
        tree_prune(tree, entry);
        return rc;
    }
    i->schema = decl->schema;
    interest_of_link(i)->lease.hops = decl->hops & 15u;
    lease_start(&interest_of_link(i)->lease, from, decl, false, mono_ns);
    interest_commit(router, i);
    return 0;
}
