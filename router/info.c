/* What the router knows, for people: everything here only reads. */
#include "router/private.h"

typedef void info_fn(void *ctx, const struct router_info *info);

static void tell_intent(const struct router *router, struct intent *i, info_fn *fn, void *ctx)
{
    struct router_info info = {
        .intent = true,
        .route = i->pub.route->text,
        .origin = i->pub.origin ? i->pub.origin->text : NULL,
        .endpoint = i->pub.endpoint,
        .hops = i->pub.hops,
        .matches = match_count(router, i),
        .schema = i->pub.schema,
        .record = &i->pub,
    };
    fn(ctx, &info);
}

static void tell_interest(struct router_interest *i, info_fn *fn, void *ctx)
{
    bool ours = i->from->local;
    struct router_info info = {
        .route = interest_route(i)->text,
        .endpoint = i->from->id,
        .hops = ours ? 0 : interest_of_link(i)->lease.hops,
        .matches = *interest_matches(i),
        .schema = i->schema,
        .user = ours ? interest_of_us(i)->user : NULL,
    };
    fn(ctx, &info);
}

static void tell_endpoint(const struct router *router, const struct endpoint *e, info_fn *fn,
                          void *ctx)
{
    list_each (it, &e->intents)
        tell_intent(router, intent_listed(it), fn, ctx);
    list_each (jt, &e->interests)
        tell_interest(list_entry(jt, struct router_interest, in_endpoint), fn, ctx);
}

static void tell_own_intents(const struct router *router, info_fn *fn, void *ctx)
{
    const struct tree *routes = &router->routes;
    for (struct entry *e = tree_walk(routes, NULL, true); e; e = tree_walk(routes, e, true)) {
        struct intent *i = intent_ours(e);
        if (i)
            tell_intent(router, i, fn, ctx);
    }
}

void router_each(const struct router *router, info_fn *fn, void *ctx)
{
    tell_own_intents(router, fn, ctx);
    tell_endpoint(router, &router->local, fn, ctx);
    list_each (it, &router->pending)
        tell_interest(list_entry(it, struct router_interest, in_endpoint), fn, ctx);
    list_each (jt, &router->endpoints)
        tell_endpoint(router, list_entry(jt, struct endpoint, all), fn, ctx);
}

void router_count(const struct router *router, struct router_counts *ret_counts)
{
    *ret_counts = router->counts;
}
