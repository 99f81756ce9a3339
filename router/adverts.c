/* Who is told what (docs/protocol.md section 5, Relay).
 *
 *     to a PEER, an UPLINK   what we and our leaves declare
 *     to a LEAF              what everyone else declares
 *
 * Intents are told one by one. Interests are told once a route, however many want it: an entry
 * counts those that are to be relayed, and an endpoint is told when the number visible to it leaves
 * 0 or returns to it. Most changes move no such number and touch no endpoint. Interests go only
 * where something they cover could be published; an uplink takes all, since it speaks for others.
 *
 * A base peer is told nothing of its own accord, and one without patterns no pattern: asks.c. */
#include "router/private.h"

/* ---- Intents ---- */

bool intent_is_relayed(const struct endpoint *to, const struct intent *intent)
{
    const struct endpoint *from = intent->from;
    if (to->base && intent->entry->kind == ROUTE_HASHED)
        return false;
    return endpoint_hears(to, from) && (from->local || intent->pub.hops < ROUTER_HOPS_MAX);
}

void intent_advert(const struct endpoint *to, const struct intent *intent, struct str *route,
                   struct router_advert *ret_advert)
{
    bool local = intent->from->local;
    *ret_advert = (struct router_advert){
        .endpoint = to->id,
        .intent = true,
        .registered = true,
        .alias = intent->pub.alias,
        .hops = local ? 0 : intent->pub.hops + 1,
        .schema = intent->pub.schema,
        .route = route,
        .origin =
            to->base || local ? NULL : intent_origin(intent), /* one route, one registration */
    };
}

static void tell_intent_to_all(struct router *router, struct intent *intent, enum change change)
{
    list_each (it, &router->endpoints) {
        struct endpoint *to = list_entry(it, struct endpoint, all);
        if (to->base || !intent_is_relayed(to, intent))
            continue;
        struct router_advert advert;
        intent_advert(to, intent, intent->pub.route, &advert);
        advert.registered = change != ADVERT_REMOVE;
        queue_advert(router, to, &advert, change);
    }
}

void advertise_intent(struct router *router, struct intent *intent, enum change change)
{
    if (intent->from->near || router->n_leaves)
        tell_intent_to_all(router, intent, change);
    if (change != ADVERT_UPDATE)
        reply_update_all(router, intent->entry);
}

/* ---- Interests ---- */

/* Does it count for others? One that came over 8 hops ends here. */
static bool is_counted(const struct router_interest *i)
{
    return i->from->local || interest_of_link(i)->lease.hops < ROUTER_HOPS_MAX;
}

/* The first that counts, not regarding one of them. */
static const struct router_interest *first_counted(const struct entry *entry,
                                                   const struct router_interest *but)
{
    chain_each(it, entry->interests)
    {
        const struct router_interest *i = container_of(it, struct router_interest, in_entry);
        if (i != but && is_counted(i))
            return i;
    }
    return NULL;
}

/* Common to all interests that count; 0: unknown or mixed. */
static uint64_t entry_schema(const struct entry *entry)
{
    const struct router_interest *i = entry->mixed ? NULL : first_counted(entry, NULL);
    return i ? i->schema : 0;
}

uint32_t interests_visible(const struct router *router, const struct endpoint *to,
                           const struct entry *entry)
{
    if (to->class != ENDPOINT_LEAF)
        return entry->local + entry->leaf;
    uint32_t all = entry->local + entry->remote;
    const struct router_interest *own = all ? interest_find(router, to, entry) : NULL;
    return own && is_counted(own) ? all - 1 : all;
}

/* Would it be told, were there a visible interest? */
static bool is_addressed(const struct endpoint *to, const struct entry *entry)
{
    if (to->base || (entry->kind == ROUTE_PATTERN && !to->patterns))
        return false;
    if (to->class == ENDPOINT_UPLINK)
        return true;
    struct route route = entry_route(entry);
    return route_reaches(&route, to->path, to->path_len);
}

bool interest_is_sent(const struct router *router, const struct endpoint *to,
                      const struct entry *entry)
{
    return interests_visible(router, to, entry) > 0 && is_addressed(to, entry);
}

/* The hops of an interest on the entry that is visible to the endpoint, as it is told them. */
static uint32_t interest_hops(const struct endpoint *to, const struct entry *entry)
{
    if (entry->local)
        return 0;
    chain_each(it, entry->interests)
    {
        const struct router_interest *i = container_of(it, struct router_interest, in_entry);
        if (is_counted(i) && endpoint_hears(to, i->from))
            return interest_of_link(i)->lease.hops + 1u;
    }
    return 0;
}

void interest_advert(const struct endpoint *to, const struct entry *entry, struct str *route,
                     struct router_advert *ret_advert)
{
    *ret_advert = (struct router_advert){
        .endpoint = to->id,
        .registered = true,
        .hops = interest_hops(to, entry),
        .schema = endpoint_is_asked(to) ? 0 : entry_schema(entry),
        .route = route,
    };
}

static void tell_interest(struct router *router, struct endpoint *to, const struct entry *entry,
                          enum change change)
{
    struct router_advert advert;
    interest_advert(to, entry, entry->route, &advert);
    advert.registered = change != ADVERT_REMOVE;
    queue_advert(router, to, &advert, change);
}

/* The first interest on the entry became visible to the endpoint, or the last is no more. */
static void visible_changed(struct router *router, struct endpoint *to, const struct entry *entry,
                            enum change change)
{
    struct ask *ask = NULL;
    if (endpoint_is_asked(to)) {
        if (entry->kind == ROUTE_PATTERN) {
            ask_update_covered(router, to, entry);
            return;
        }
        ask = ask_find(router, to, entry);
    }
    if (ask)
        ask_update(router, ask);
    else if (is_addressed(to, entry))
        tell_interest(router, to, entry, change);
}

/* An interest of `from` was counted in or out: whose view has left 0, or returned to it? */
static void tell_transitions(struct router *router, const struct endpoint *from,
                             const struct entry *entry, enum change change)
{
    uint32_t edge = change == ADVERT_ADD ? 1 : 0;
    bool peers = from->near && entry->local + entry->leaf == edge;
    bool leaves = router->n_leaves &&
                  entry->local + entry->remote <= edge + 1; /* one may be the leaf's own */
    if (!peers && !leaves)
        return;
    list_each (it, &router->endpoints) {
        struct endpoint *to = list_entry(it, struct endpoint, all);
        if (!(to->class == ENDPOINT_LEAF ? leaves : peers) || !endpoint_hears(to, from))
            continue;
        if (interests_visible(router, to, entry) == edge)
            visible_changed(router, to, entry, change);
    }
}

/* Interests of different schemas make one advert that names none; it stays so until the last goes.
 * True: those who know the advert must hear of it. */
static bool merge_schema(const struct router_interest *interest, bool alone)
{
    struct entry *entry = interest->entry;
    const struct router_interest *other = alone ? NULL : first_counted(entry, interest);
    if (!other)
        entry->mixed = false;
    if (!other || entry->mixed || other->schema == interest->schema)
        return false;
    entry->mixed = true;
    return other->schema != 0;
}

static void tell_schema(struct router *router, const struct entry *entry)
{
    list_each (it, &router->endpoints) {
        struct endpoint *to = list_entry(it, struct endpoint, all);
        if (!endpoint_is_asked(to) && interest_is_sent(router, to, entry))
            tell_interest(router, to, entry, ADVERT_UPDATE);
    }
}

static void count_in_entry(struct entry *entry, const struct endpoint *from, uint32_t by)
{
    entry->local += from->local ? by : 0;
    entry->leaf += from->near && !from->local ? by : 0;
    entry->remote += from->local ? 0 : by;
}

void advertise_interest(struct router *router, struct router_interest *interest, enum change change)
{
    struct endpoint *from = interest->from;
    struct entry *entry = interest->entry;
    if (!is_counted(interest))
        return;
    if (change == ADVERT_REMOVE) {
        count_in_entry(entry, from, UINT32_MAX);
        tell_transitions(router, from, entry, change);
        return;
    }
    if (change == ADVERT_ADD)
        count_in_entry(entry, from, 1);
    bool alone = entry->local + entry->remote == 1;
    bool widened = merge_schema(interest, alone);
    if (widened || (alone && change == ADVERT_UPDATE))
        tell_schema(router, entry);
    if (change == ADVERT_ADD)
        tell_transitions(router, from, entry, change);
}

/* ---- Everything at once ---- */

typedef bool advert_fn(void *ctx, const struct router_advert *advert);

static bool tell_intent(const struct endpoint *to, const struct intent *intent, advert_fn *fn,
                        void *ctx)
{
    struct router_advert advert;
    if (!intent_is_relayed(to, intent))
        return true;
    intent_advert(to, intent, intent->pub.route, &advert);
    return fn(ctx, &advert);
}

static bool each_own_intent_advert(const struct router *router, const struct endpoint *to,
                                   advert_fn *fn, void *ctx)
{
    const struct tree *routes = &router->routes;
    for (struct entry *e = tree_walk(routes, NULL, true); e; e = tree_walk(routes, e, true)) {
        const struct intent *i = intent_ours(e);
        if (i && !tell_intent(to, i, fn, ctx))
            return false;
    }
    return true;
}

static bool each_intent_of(const struct endpoint *to, const struct endpoint *from, advert_fn *fn,
                           void *ctx)
{
    if (!endpoint_hears(to, from))
        return true;
    list_each (it, &from->intents) {
        if (!tell_intent(to, intent_listed(it), fn, ctx))
            return false;
    }
    return true;
}

static bool each_intent_advert(const struct router *router, const struct endpoint *to,
                               advert_fn *fn, void *ctx)
{
    if (to->class != ENDPOINT_LEAF && !router->n_leaves)
        return true; /* `to` need not be attached yet */
    list_each (it, &router->endpoints) {
        if (!each_intent_of(to, list_entry(it, struct endpoint, all), fn, ctx))
            return false;
    }
    return true;
}

static bool each_interest_advert(const struct router *router, const struct endpoint *to,
                                 const struct tree *tree, advert_fn *fn, void *ctx)
{
    bool near = to->class != ENDPOINT_LEAF; /* others hear of near interests alone */
    for (struct entry *e = tree_walk(tree, NULL, near); e; e = tree_walk(tree, e, near)) {
        struct router_advert advert;
        if (!e->route || !interest_is_sent(router, to, e))
            continue;
        interest_advert(to, e, e->route, &advert);
        if (!fn(ctx, &advert))
            return false;
    }
    return true;
}

/* What it was told in reply to what it has declared. */
static bool each_reply_advert(const struct router *router, const struct endpoint *to, advert_fn *fn,
                              void *ctx)
{
    struct router_advert advert;
    list_each (it, &to->interests) {
        const struct router_interest *i = list_entry(it, struct router_interest, in_endpoint);
        if (!to->base || !interest_of_link(i)->lease.replied)
            continue;
        intent_advert(to, reply_intent(i), interest_route(i), &advert);
        if (!fn(ctx, &advert))
            return false;
    }
    list_each (it, &to->asks) {
        const struct ask *ask = list_entry(it, struct ask, in_endpoint);
        if (!ask->sent || interest_is_sent(router, to, ask->entry))
            continue;
        interest_advert(to, ask->entry, ask->route, &advert);
        if (!fn(ctx, &advert))
            return false;
    }
    return true;
}

void each_advert(const struct router *router, const struct endpoint *to, advert_fn *fn, void *ctx)
{
    if (!to->base) {
        if (!each_own_intent_advert(router, to, fn, ctx) ||
            !each_intent_advert(router, to, fn, ctx) ||
            !each_interest_advert(router, to, &router->routes, fn, ctx) ||
            !each_interest_advert(router, to, &router->patterns, fn, ctx))
            return;
    }
    each_reply_advert(router, to, fn, ctx);
}

struct filling {
    struct router *router;
    struct endpoint *to;
    bool quiet;
};

static bool fill_advert(void *ctx, const struct router_advert *advert)
{
    const struct filling *f = ctx;
    if (f->quiet)
        digest_count_advert(&f->to->sent, advert, true);
    else
        queue_advert(f->router, f->to, advert, ADVERT_ADD);
    return !f->to->broken;
}

void advertise_all(struct router *router, struct endpoint *to, bool quiet)
{
    struct filling f = {.router = router, .to = to, .quiet = quiet};
    to->sent = (struct router_digest){0};
    each_advert(router, to, fill_advert, &f);
}
