/* Who can send on which route. The happy path of a declaration: check it, find the record of its
 * (endpoint, route, origin); if there is none make it, put it into its lists and tables, match it
 * and tell the others. A withdrawal goes the same way back; the record is dead then, and stays
 * until its owner, whose tables point to it, releases it.
 *
 * A publisher is known to the others by its origin, and two may come by one name: two leaves
 * without an address of their own at one path, say. The later one on a route is told of as
 * "name?link=ENDPOINT", or whoever hears of both would take them for one.
 *
 * Failure modes: what is malformed or not allowed is refused before anything is looked up; memory
 * is taken before anything is changed. */
#include "router/private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- Finding ---- */

static const char *publisher_name(const struct endpoint *from, const char *origin)
{
    return *origin ? origin : str_text(from->name);
}

static uint32_t key_hash(const struct entry *entry, const char *name)
{
    uint64_t id = (uintptr_t)entry;
    return table_fold(hash64(HASH64_SEED ^ id * UINT64_C(0x9e3779b97f4a7c15), name, strlen(name)));
}

uint32_t intent_key_hash(const struct table_node *node)
{
    const struct intent *i = &container_of(node, struct link_intent, by_key)->base;
    return key_hash(i->entry, publisher_name(i->from, str_text(i->pub.origin)));
}

/* Ours comes first, and there is one a route. */
struct intent *intent_ours(const struct entry *entry)
{
    struct intent *i =
        entry->intents ? container_of(entry->intents, struct intent, in_entry) : NULL;
    return i && intent_is_ours(i) ? i : NULL;
}

/* The record of exactly this publisher; origin "" where the endpoint itself is meant. */
static struct intent *find_exact(const struct router *router, const struct endpoint *from,
                                 const struct entry *entry, const char *origin)
{
    if (from->local)
        return intent_ours(entry);
    uint32_t hash = key_hash(entry, publisher_name(from, origin));
    for (struct table_node *n = table_chain(&router->intents, hash); n; n = n->next) {
        struct intent *i = &container_of(n, struct link_intent, by_key)->base;
        if (i->entry == entry && i->from == from && strcmp(str_text(i->pub.origin), origin) == 0)
            return i;
    }
    return NULL;
}

/* Is there a publisher of this name on the route, wherever? We are the one without a name. */
static bool name_is_taken(const struct router *router, const struct entry *entry, const char *name)
{
    if (*name == '\0' && intent_ours(entry))
        return true;
    uint32_t hash = key_hash(entry, name);
    for (struct table_node *n = table_chain(&router->intents, hash); n; n = n->next) {
        struct intent *i = &container_of(n, struct link_intent, by_key)->base;
        if (i->entry == entry &&
            strcmp(publisher_name(i->from, str_text(i->pub.origin)), name) == 0)
            return true;
    }
    return false;
}

/* The other side chooses the numbers; it cannot choose them to collide, as it does not know where
 * its endpoint lies. */
static uint32_t alias_hash(const struct endpoint *from, uint32_t alias)
{
    uint64_t id = (uintptr_t)from;
    return table_fold(
        hash64(HASH64_SEED ^ id * UINT64_C(0x9e3779b97f4a7c15), &alias, sizeof(alias)));
}

uint32_t intent_alias_hash(const struct table_node *node)
{
    const struct intent *i = &container_of(node, struct link_intent, by_alias)->base;
    return alias_hash(i->from, i->pub.link_alias);
}

static struct intent *find_alias(const struct router *router, const struct endpoint *from,
                                 uint32_t alias)
{
    struct table_node *n = table_chain(&router->aliases, alias_hash(from, alias));
    for (; n; n = n->next) {
        struct intent *i = &container_of(n, struct link_intent, by_alias)->base;
        if (i->from == from && i->pub.link_alias == alias)
            return i;
    }
    return NULL;
}

struct router_intent *router_find_intent(const struct router *router, uint32_t endpoint,
                                         uint32_t alias)
{
    const struct endpoint *from = router_endpoint(router, endpoint);
    struct intent *i = from && alias ? find_alias(router, from, alias) : NULL;
    return i ? &i->pub : NULL;
}

struct router_intent *router_find_intent_by_route(const struct router *router, uint32_t endpoint,
                                                  const char *route, size_t len)
{
    const struct endpoint *from =
        endpoint == ROUTER_LOCAL ? &router->local : router_endpoint(router, endpoint);
    struct route parsed;
    if (!from || route_parse(route, len, &parsed, NULL) < 0)
        return NULL;
    const struct entry *entry = tree_find(&router->routes, &parsed);
    if (!entry)
        return NULL;
    if (from->local || from->base) { /* one a route, without an origin */
        struct intent *i = find_exact(router, from, entry, "");
        return i ? &i->pub : NULL;
    }
    chain_each(it, entry->intents)
    {
        struct intent *i = container_of(it, struct intent, in_entry);
        if (i->from == from)
            return &i->pub;
    }
    return NULL;
}

/* ---- Making and forgetting ---- */

struct intent *intent_listed(const struct list *in_endpoint)
{
    return &list_entry(in_endpoint, struct link_intent, in_endpoint)->base;
}

void intent_free(struct intent *intent)
{
    str_unref(intent->pub.route);
    str_unref(intent->pub.origin);
    if (!intent_is_ours(intent) && intent_of_link(intent)->lease.has_extra)
        str_unref(intent_of_link(intent)->extra[0]);
    mem_free(intent);
}

/* The publisher's name with its link, which nobody else on a route has. */
static struct str *unique_name(const struct endpoint *from, const char *name)
{
    char text[ORIGIN_MAX + 32];
    char mark = strchr(name, '?') ? '&' : '?';
    int n = snprintf(text, sizeof(text), "%.*s%clink=%u", (int)ORIGIN_MAX, name, mark, from->id);
    return str_new(text, (size_t)n);
}

struct str *intent_origin(const struct intent *intent)
{
    const struct link_intent *l = intent_of_link(intent);
    if (l->lease.has_extra)
        return l->extra[0];
    return intent->pub.origin ? intent->pub.origin : intent->from->name;
}

/* Publishers with many routes declare them in a row: their records share one string. */
static struct str *share_origin(const struct endpoint *from, const char *origin)
{
    struct str *last = NULL;
    if (!list_empty(&from->intents))
        last = intent_listed(from->intents.prev)->pub.origin;
    return str_share(last, origin, strlen(origin));
}

/* The memory of a record, with the name others are told where that is not the publisher's own. */
static struct intent *intent_alloc(const struct router *router, const struct endpoint *from,
                                   const struct entry *entry, const char *origin)
{
    if (from->local)
        return mem_zalloc(sizeof(struct intent));
    const char *name = publisher_name(from, origin);
    bool taken = name_is_taken(router, entry, name);
    struct str *unique = taken ? unique_name(from, name) : NULL;
    struct link_intent *l = mem_zalloc(sizeof(*l) + (taken ? sizeof(l->extra[0]) : 0));
    if (!l || (taken && !unique)) {
        str_unref(unique);
        mem_free(l);
        return NULL;
    }
    if (taken) {
        l->lease.has_extra = true;
        l->extra[0] = unique;
    }
    return &l->base;
}

/* A record that hangs nowhere yet. Errors: WEFT_ELIMIT (aliases have run out), WEFT_ENOMEM. */
static int intent_new(struct router *router, struct endpoint *from, struct entry *entry,
                      const struct route *route, const char *origin, struct intent **ret_intent)
{
    if (router->last_alias == UINT32_MAX)
        return WEFT_ELIMIT;
    struct intent *i = intent_alloc(router, from, entry, origin);
    if (!i)
        return WEFT_ENOMEM;
    i->pub.endpoint = from->id;
    i->pub.route = str_share(entry->route, route->text, route->len);
    i->pub.origin = *origin ? share_origin(from, origin) : NULL;
    if (!i->pub.route || (*origin && !i->pub.origin)) {
        intent_free(i);
        return WEFT_ENOMEM;
    }
    i->from = from;
    i->entry = entry;
    *ret_intent = i;
    return 0;
}

static void count_intent(struct router *router, const struct endpoint *from, uint32_t by)
{
    uint32_t *count = from->local ? &router->counts.local_intents : &router->counts.remote_intents;
    *count += by; /* by UINT32_MAX: one less */
    router->generation++;
}

static void enter_tables(struct router *router, struct intent *i)
{
    struct link_intent *l = intent_of_link(i);
    table_put(&router->intents, &l->by_key);
    if (i->pub.link_alias)
        table_put(&router->aliases, &l->by_alias);
}

static void leave_tables(struct router *router, struct intent *i)
{
    struct link_intent *l = intent_of_link(i);
    table_del(&router->intents, &l->by_key);
    if (i->pub.link_alias)
        table_del(&router->aliases, &l->by_alias);
}

static void enter_entry(struct intent *i)
{
    struct chain **head = &i->entry->intents;
    if (!i->from->near) {
        chain_push(head, &i->in_entry);
        return;
    }
    struct intent *ours = intent_ours(i->entry);
    chain_insert(head, ours ? &ours->in_entry : NULL, &i->in_entry);
    tree_count_near(i->entry, true);
}

static void intent_commit(struct router *router, struct intent *i, struct ask *ask)
{
    struct endpoint *from = i->from;
    i->pub.alias = ++router->last_alias;
    if (!from->local) {
        enter_tables(router, i);
        list_push(&from->intents, &intent_of_link(i)->in_endpoint);
    }
    enter_entry(i);
    count_intent(router, from, 1);
    router_mark_changed(router, &i->pub);
    match_intent(router, i, true);
    advertise_intent(router, i, ADVERT_ADD);
    if (ask) {
        ask->intents++;
        ask_update(router, ask);
    }
}

void intent_forget(struct router *router, struct intent *intent)
{
    struct endpoint *from = intent->from;
    struct entry *entry = intent->entry;
    match_intent(router, intent, false);
    chain_remove(&entry->intents, &intent->in_entry);
    count_intent(router, from, UINT32_MAX);
    if (!from->local) {
        list_remove(&intent_of_link(intent)->in_endpoint);
        leave_tables(router, intent);
        lease_end(&intent_of_link(intent)->lease, from, true);
    }
    advertise_intent(router, intent, ADVERT_REMOVE);
    struct ask *ask = endpoint_is_asked(from) ? ask_find(router, from, entry) : NULL;
    if (ask && --ask->intents == 0)
        ask_drop(router, ask);
    if (from->near)
        tree_count_near(entry, false);
    tree_prune(&router->routes, entry);
    intent->entry = NULL;
    intent->from = NULL;
    intent->pub.dead = true;
    chain_push(&router->dead, &intent->in_entry);
    router_mark_changed(router, &intent->pub);
}

void router_release_intent(struct router *router, struct router_intent *intent)
{
    struct intent *i = container_of(intent, struct intent, pub);
    assert(intent->dead && !intent->priv_next);
    chain_remove(&router->dead, &i->in_entry);
    intent_free(i);
}

/* ---- Local ---- */

static void intent_set_schema(struct router *router, struct intent *i, uint64_t schema)
{
    match_intent(router, i, false);
    i->pub.schema = schema;
    match_intent(router, i, true);
    router->generation++;
}

/* One more handle of a route that is published already. */
static int intent_share(struct router *router, struct intent *i, uint64_t schema)
{
    if (schema && i->pub.schema && schema != i->pub.schema)
        return WEFT_ESCHEMA;
    if (i->pub.priv_refs == UINT16_MAX)
        return WEFT_ELIMIT;
    i->pub.priv_refs++;
    if (schema && !i->pub.schema) { /* what the first handle did not know */
        intent_set_schema(router, i, schema);
        advertise_intent(router, i, ADVERT_UPDATE);
    }
    return 0;
}

static int intent_open(struct router *router, struct entry *entry, const struct route *route,
                       uint64_t schema, void *user, struct intent **ret_intent)
{
    if (router_is_full(router, &router->local))
        return WEFT_ELIMIT;
    struct intent *i;
    int rc = intent_new(router, &router->local, entry, route, "", &i);
    if (rc < 0)
        return rc;
    i->pub.schema = schema;
    i->pub.user = user;
    i->pub.priv_refs = 1;
    intent_commit(router, i, NULL);
    *ret_intent = i;
    return 0;
}

int router_open_intent(struct router *router, const char *route, uint64_t schema, void *user,
                       struct router_intent **ret_intent)
{
    struct route parsed;
    struct entry *entry;
    int rc = route_parse(route, strlen(route), &parsed, NULL);
    if (rc < 0)
        return rc;
    if (parsed.kind == ROUTE_PATTERN)
        return WEFT_EPATTERN;
    rc = tree_make(&router->routes, &parsed, &entry);
    if (rc < 0)
        return rc;
    struct intent *i = intent_ours(entry);
    rc =
        i ? intent_share(router, i, schema) : intent_open(router, entry, &parsed, schema, user, &i);
    if (rc < 0)
        tree_prune(&router->routes, entry);
    else
        *ret_intent = &i->pub;
    return rc;
}

void router_close_intent(struct router *router, struct router_intent *intent)
{
    struct intent *i = container_of(intent, struct intent, pub);
    assert(!intent->dead && intent->priv_refs > 0);
    if (--intent->priv_refs == 0)
        intent_forget(router, i);
}

/* ---- Links ---- */

static void set_link_alias(struct router *router, struct intent *i, uint32_t alias)
{
    if (i->pub.link_alias == alias)
        return;
    struct link_intent *l = intent_of_link(i);
    if (i->pub.link_alias)
        table_del(&router->aliases, &l->by_alias);
    i->pub.link_alias = alias;
    if (alias)
        table_put(&router->aliases, &l->by_alias);
    router->generation++;
    router_mark_changed(router, &i->pub);
}

/* It is declared again. Never fails. Others are told only of what is new for them. */
static void intent_refresh(struct router *router, struct intent *i, const struct decl *decl,
                           uint64_t mono_ns)
{
    struct endpoint *from = i->from;
    lease_renew(&intent_of_link(i)->lease, from, decl, true, mono_ns);
    set_link_alias(router, i, decl->alias);
    uint32_t hops = (uint32_t)decl->hops;
    bool relayed = i->pub.hops < ROUTER_HOPS_MAX, relay = hops < ROUTER_HOPS_MAX;
    bool news = i->pub.schema != decl->schema || i->pub.hops != hops;
    if (relayed && !relay)
        advertise_intent(router, i, ADVERT_REMOVE);
    if (i->pub.schema != decl->schema)
        intent_set_schema(router, i, decl->schema);
    i->pub.hops = (uint8_t)hops;
    if (relayed && !relay)
        reply_update_all(router, i->entry);
    if (relay && news)
        advertise_intent(router, i, relayed ? ADVERT_UPDATE : ADVERT_ADD);
    router->generation += news;
    struct ask *ask = from->base ? ask_find(router, from, i->entry) : NULL;
    if (ask)
        ask_repeat(router, ask);
}

static int intent_learn(struct router *router, struct endpoint *from, struct entry *entry,
                        const struct route *route, const struct decl *decl, uint64_t mono_ns)
{
    struct intent *i;
    struct ask *ask = NULL;
    if (router_is_full(router, from))
        return WEFT_ELIMIT;
    int rc = intent_new(router, from, entry, route, decl->origin ? decl->origin : "", &i);
    if (rc < 0)
        return rc;
    if (endpoint_is_asked(from) && !(from->base && route->kind == ROUTE_HASHED)) {
        rc = ask_make(router, from, entry, i->pub.route, &ask);
        if (rc < 0) {
            intent_free(i);
            return rc;
        }
    }
    i->pub.link_alias = decl->alias;
    i->pub.hops = (uint8_t)decl->hops;
    i->pub.schema = decl->schema;
    lease_start(&intent_of_link(i)->lease, from, decl, true, mono_ns);
    intent_commit(router, i, ask);
    return 0;
}

static int intent_withdraw(struct router *router, struct endpoint *from, const struct decl *decl)
{
    struct route route;
    int rc = route_parse(decl->route, strlen(decl->route), &route, NULL);
    if (rc < 0)
        return rc;
    struct entry *entry = tree_find(&router->routes, &route);
    struct intent *i =
        entry ? find_exact(router, from, entry, decl->origin ? decl->origin : "") : NULL;
    if (i)
        intent_forget(router, i);
    return 0;
}

int router_learn_intent(struct router *router, uint32_t endpoint, const struct decl *decl,
                        uint64_t mono_ns)
{
    struct endpoint *from = router_endpoint(router, endpoint);
    if (!from)
        return WEFT_ENOTFOUND;
    if (!decl->registered)
        return intent_withdraw(router, from, decl);
    struct route route;
    int rc = decl_check(from, decl, true, &route);
    if (rc < 0)
        return rc;
    struct entry *entry; /* made before it is known to be needed: one walk does */
    rc = tree_make(&router->routes, &route, &entry);
    if (rc < 0)
        return rc;
    struct intent *i = find_exact(router, from, entry, decl->origin ? decl->origin : "");
    struct intent *other = decl->alias ? find_alias(router, from, decl->alias) : NULL;
    if (other && other != i)
        rc = WEFT_EPROTO;
    else if (i)
        intent_refresh(router, i, decl, mono_ns);
    else
        rc = intent_learn(router, from, entry, &route, decl, mono_ns);
    if (rc < 0)
        tree_prune(&router->routes, entry);
    return rc;
}
