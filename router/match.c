/* Which intent meets which interest. An intent finds its interests in its own entry and in the
 * patterns that cover its route; a pattern finds its intents in the routes it covers. Both walk the
 * same pairs, so that what is counted when a record comes is taken off when it goes, and no pair is
 * stored: a route and a pattern cost nothing for each other.
 *
 * Whoever drains sees states, not histories: an intent is listed as changed once however often it
 * changed, and an interest gives notice if it has matches and its owner was told it had none, or
 * the other way round. Neither takes memory. Schema conflicts are told pair by pair, up to
 * CONFLICTS_MAX at a time; they are advice to people, and one that finds no memory is not told. */
#include "router/private.h"

enum verdict { APART, LINKED, CONFLICT };

/* Do messages pass from X to Y at all? Never from peer to peer, where each hears the publisher
 * itself, nor back to where they came from. */
static bool relays(const struct endpoint *x, const struct endpoint *y)
{
    return (x->near || y->near) && (x != y || x->local);
}

static enum verdict judge(const struct intent *i, const struct router_interest *s)
{
    if (!relays(i->from, s->from))
        return APART;
    if (i->entry->kind == ROUTE_HASHED && (i->from->base || s->from->base))
        return APART; /* hashed routes do not travel to base peers */
    bool differ = i->pub.schema && s->schema && i->pub.schema != s->schema;
    return differ ? CONFLICT : LINKED;
}

/* ---- Walking the pairs ---- */

typedef void pair_fn(void *ctx, struct intent *intent, struct router_interest *interest);

struct pairs {
    pair_fn *fn;
    void *ctx;
    struct intent *intent;            /* of which interests are walked, or */
    struct router_interest *interest; /* of which intents are walked */
};

/* Of two endpoints that are not near none hears the other: those in an entry come last, and where
 * the counterpart is such a one they are not looked at. */
static void each_interest_in(void *ctx, struct entry *entry)
{
    const struct pairs *p = ctx;
    chain_each(it, entry->interests)
    {
        struct router_interest *s = container_of(it, struct router_interest, in_entry);
        if (!p->intent->from->near && !s->from->near)
            break;
        p->fn(p->ctx, p->intent, s);
    }
}

static void each_intent_in(void *ctx, struct entry *entry)
{
    const struct pairs *p = ctx;
    chain_each(it, entry->intents)
    {
        struct intent *i = container_of(it, struct intent, in_entry);
        if (!p->interest->from->near && !i->from->near)
            break;
        p->fn(p->ctx, i, p->interest);
    }
}

/* Plain interests first: where an endpoint has one its spelling of the route is known. */
static void each_interest(const struct router *router, struct intent *intent, pair_fn *fn,
                          void *ctx)
{
    struct pairs p = {.fn = fn, .ctx = ctx, .intent = intent};
    each_interest_in(&p, intent->entry);
    if (intent->entry->kind != ROUTE_PLAIN)
        return;
    struct route route = entry_route(intent->entry);
    tree_each_cover(&router->patterns, &route, !intent->from->near, each_interest_in, &p);
}

static void each_intent(const struct router *router, struct router_interest *interest, pair_fn *fn,
                        void *ctx)
{
    struct pairs p = {.fn = fn, .ctx = ctx, .interest = interest};
    if (interest->entry->kind != ROUTE_PATTERN) {
        each_intent_in(&p, interest->entry);
        return;
    }
    struct route pattern = entry_route(interest->entry);
    tree_each_covered(&router->routes, &pattern, !interest->from->near, each_intent_in, &p);
}

/* ---- Matches, changes, notices ---- */

struct matching {
    struct router *router;
    bool added, by_intent; /* which of the pair comes or goes */
};

static void conflict(const struct matching *m, const struct intent *i,
                     const struct router_interest *s)
{
    struct router *router = m->router;
    if (router->n_conflicts == CONFLICTS_MAX)
        return;
    struct conflict *c = mem_alloc(sizeof(*c));
    if (!c)
        return;
    /* "They" are the link of the two; if both are, the one that has just declared. */
    bool their_intent = !i->from->local && (s->from->local || m->by_intent);
    c->interest = s->from->local ? s : NULL;
    c->notice = (struct router_notice){
        .type = ROUTER_SCHEMA_CONFLICT,
        .interest = s->from->local ? interest_of_us(s)->user : NULL,
        .endpoint = their_intent ? i->from->id : s->from->id,
        .route = str_ref(i->pub.route),
        .ours = their_intent ? s->schema : i->pub.schema,
        .theirs = their_intent ? i->pub.schema : s->schema,
    };
    list_push(&router->conflicts, &c->node);
    router->n_conflicts++;
}

static void set_pending(struct router *router, struct own_interest *s, bool pending)
{
    list_remove(&s->base.in_endpoint);
    list_push(pending ? &router->pending : &router->local.interests, &s->base.in_endpoint);
    s->pending = pending;
}

/* List a local interest for notice, or not, by what its owner was told last. */
static void note(struct router *router, struct router_interest *interest)
{
    if (!interest->from->local)
        return;
    struct own_interest *s = interest_of_us(interest);
    bool pending = (s->matches > 0) != s->told;
    if (pending != s->pending)
        set_pending(router, s, pending);
}

static void match_pair(void *ctx, struct intent *i, struct router_interest *s)
{
    const struct matching *m = ctx;
    enum verdict verdict = judge(i, s);
    if (verdict == CONFLICT && m->added)
        conflict(m, i, s);
    if (verdict != LINKED)
        return;
    *interest_matches(s) += m->added ? 1 : UINT32_MAX;
    note(m->router, s);
    router_mark_changed(m->router, &i->pub);
}

void match_intent(struct router *router, struct intent *intent, bool added)
{
    struct matching m = {.router = router, .added = added, .by_intent = true};
    each_interest(router, intent, match_pair, &m);
}

void match_interest(struct router *router, struct router_interest *interest, bool added)
{
    struct matching m = {.router = router, .added = added};
    each_intent(router, interest, match_pair, &m);
}

static void count_pair(void *ctx, struct intent *i, struct router_interest *s)
{
    *(uint32_t *)ctx += judge(i, s) == LINKED;
}

uint32_t match_count(const struct router *router, struct intent *intent)
{
    uint32_t count = 0;
    each_interest(router, intent, count_pair, &count);
    return count;
}

/* ---- Draining ---- */

void router_mark_changed(struct router *router, struct router_intent *intent)
{
    if (intent->priv_next)
        return;
    if (router->changed)
        router->last_changed->priv_next = intent;
    else
        router->changed = intent;
    router->last_changed = intent->priv_next = intent;
}

struct router_intent *router_next_changed(struct router *router)
{
    struct router_intent *intent = router->changed;
    if (!intent)
        return NULL;
    router->changed = intent == router->last_changed ? NULL : intent->priv_next;
    intent->priv_next = NULL;
    return intent;
}

static void conflict_free(struct router *router, struct conflict *c)
{
    list_remove(&c->node);
    router->n_conflicts--;
    str_unref(c->notice.route);
    mem_free(c);
}

void notices_drop(struct router *router, const struct router_interest *interest, uint32_t endpoint)
{
    list_each_safe (it, &router->conflicts) {
        struct conflict *c = list_entry(it, struct conflict, node);
        bool gone = interest ? c->interest == interest : c->notice.endpoint == endpoint;
        if (gone)
            conflict_free(router, c);
    }
}

void notices_drop_all(struct router *router)
{
    list_each_safe (it, &router->conflicts)
        conflict_free(router, list_entry(it, struct conflict, node));
    str_unref(router->last_route);
    router->last_route = NULL;
}

bool router_next_notice(struct router *router, struct router_notice *ret_notice)
{
    str_unref(router->last_route);
    router->last_route = NULL;
    if (!list_empty(&router->pending)) {
        struct own_interest *s =
            list_entry(router->pending.next, struct own_interest, base.in_endpoint);
        set_pending(router, s, false);
        s->told = !s->told;
        router->last_route = str_ref(interest_route(&s->base));
        *ret_notice = (struct router_notice){
            .type = s->told ? ROUTER_INTEREST_MATCHED : ROUTER_INTEREST_UNMATCHED,
            .interest = s->user,
            .route = router->last_route,
        };
        return true;
    }
    if (list_empty(&router->conflicts))
        return false;
    struct conflict *c = list_entry(router->conflicts.next, struct conflict, node);
    router->last_route = str_ref(c->notice.route);
    *ret_notice = c->notice;
    conflict_free(router, c);
    return true;
}

/* ---- Targets ---- */

struct targets {
    struct router *router;
    void (*fn)(void *ctx, const struct router_target *target);
    void *ctx;
};

static void target_pair(void *ctx, struct intent *i, struct router_interest *s)
{
    const struct targets *t = ctx;
    if (judge(i, s) != LINKED)
        return;
    struct router_target target = {.endpoint = s->from->id};
    if (s->from->local) {
        target.interest = interest_of_us(s)->user;
    } else {
        if (s->from->visit == t->router->visit)
            return;
        s->from->visit = t->router->visit;
        target.route = s->entry->kind == ROUTE_PATTERN ? i->pub.route : interest_route(s);
    }
    t->fn(t->ctx, &target);
}

void router_each_target(struct router *router, const struct router_intent *intent,
                        void (*fn)(void *ctx, const struct router_target *target), void *ctx)
{
    struct targets t = {.router = router, .fn = fn, .ctx = ctx};
    if (intent->dead)
        return;
    router->visit++;
    each_interest(router, container_of(intent, struct intent, pub), target_pair, &t);
}
