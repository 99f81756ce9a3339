/* What an endpoint is told only in reply to what it declares (docs/protocol.md section 8).
 *
 *     base peer   INTENT r   ─▶ ask(r) ── any interest covers r ─▶ INTEREST r, never withdrawn
 *                 INTEREST r ─▶ record ── any intent on r ───────▶ INTENT r
 *     without
 *     patterns    INTENT r   ─▶ ask(r) ── a pattern covers r ────▶ INTEREST r, withdrawn
 *
 * An ask exists while the endpoint has an intent on a route, and remembers whether our interest is
 * registered there. It is looked at again when an interest becomes visible to the endpoint, or
 * stops to be. An endpoint without patterns that is not base is told of plain interests by the
 * common rule too; its ask then only adds what patterns want.
 *
 * Failure modes: memory for the ask, before the intent is registered. */
#include "router/private.h"

uint32_t ask_key_hash(const struct table_node *node)
{
    const struct ask *ask = container_of(node, struct ask, by_key);
    return pair_hash(ask->to, ask->entry);
}

struct ask *ask_find(const struct router *router, const struct endpoint *to,
                     const struct entry *entry)
{
    struct table_node *n = table_chain(&router->asks, pair_hash(to, entry));
    for (; n; n = n->next) {
        struct ask *ask = container_of(n, struct ask, by_key);
        if (ask->to == to && ask->entry == entry)
            return ask;
    }
    return NULL;
}

int ask_make(struct router *router, struct endpoint *to, struct entry *entry, struct str *route,
             struct ask **ret_ask)
{
    struct ask *ask = ask_find(router, to, entry);
    if (!ask) {
        ask = mem_zalloc(sizeof(*ask));
        if (!ask)
            return WEFT_ENOMEM;
        ask->to = to;
        ask->entry = entry;
        ask->route = str_ref(to->base ? route : entry->route);
        ask->sent = interest_is_sent(router, to, entry); /* false for base */
        list_push(&to->asks, &ask->in_endpoint);
        table_put(&router->asks, &ask->by_key);
    }
    *ret_ask = ask;
    return 0;
}

void ask_free(struct router *router, struct ask *ask)
{
    list_remove(&ask->in_endpoint);
    table_del(&router->asks, &ask->by_key);
    str_unref(ask->route);
    mem_free(ask);
}

static void tell_ask(struct router *router, struct ask *ask, enum change change)
{
    struct router_advert advert;
    interest_advert(ask->to, ask->entry, ask->route, &advert);
    advert.registered = change != ADVERT_REMOVE;
    queue_advert(router, ask->to, &advert, change);
}

void ask_drop(struct router *router, struct ask *ask)
{
    struct endpoint *to = ask->to;
    if (ask->sent && !to->base && !interest_is_sent(router, to, ask->entry))
        tell_ask(router, ask, ADVERT_REMOVE);
    else if (ask->sent && to->base)
        digest_count(&to->sent, false, false,
                     route_digest(ask->route->text, ask->route->len, "", 0));
    ask_free(router, ask);
}

struct wanting {
    const struct router *router;
    const struct endpoint *to;
    bool wanted;
};

static void want_pattern(void *ctx, struct entry *pattern)
{
    struct wanting *w = ctx;
    w->wanted = w->wanted || interests_visible(w->router, w->to, pattern) > 0;
}

static bool is_wanted(const struct router *router, const struct ask *ask)
{
    struct wanting w = {.router = router, .to = ask->to};
    if (interests_visible(router, ask->to, ask->entry) > 0)
        return true;
    if (ask->entry->kind != ROUTE_PLAIN)
        return false;
    struct route route = entry_route(ask->entry);
    bool near = ask->to->class != ENDPOINT_LEAF; /* others hear of near interests alone */
    tree_each_cover(&router->patterns, &route, near, want_pattern, &w);
    return w.wanted;
}

void ask_update(struct router *router, struct ask *ask)
{
    bool wanted = is_wanted(router, ask);
    if (wanted == ask->sent)
        return;
    if (!wanted && ask->to->base)
        return; /* a withdrawal can crash it while it sends: its messages are dropped instead */
    ask->sent = wanted;
    tell_ask(router, ask, wanted ? ADVERT_ADD : ADVERT_REMOVE);
}

void ask_repeat(struct router *router, struct ask *ask)
{
    if (ask->sent)
        tell_ask(router, ask, ADVERT_UPDATE);
}

struct covered {
    struct router *router;
    struct endpoint *to;
};

static void update_covered(void *ctx, struct entry *entry)
{
    const struct covered *c = ctx;
    struct ask *ask = ask_find(c->router, c->to, entry);
    if (ask)
        ask_update(c->router, ask);
}

void ask_update_covered(struct router *router, struct endpoint *to, const struct entry *pattern)
{
    struct covered c = {.router = router, .to = to};
    if (list_empty(&to->asks))
        return;
    struct route route = entry_route(pattern);
    tree_each_covered(&router->routes, &route, false, update_covered, &c);
}

/* ---- Intents, in reply to a base peer's interest ---- */

struct intent *reply_intent(const struct router_interest *interest)
{
    chain_each(it, interest->entry->intents)
    {
        struct intent *i = container_of(it, struct intent, in_entry);
        if (!i->from->near && interest->from->class != ENDPOINT_LEAF)
            break; /* no near one is left */
        if (intent_is_relayed(interest->from, i))
            return i;
    }
    return NULL;
}

/* The route alone names it to a base peer. */
static void withdraw(struct router *router, struct router_interest *interest)
{
    struct router_advert advert = {
        .endpoint = interest->from->id,
        .intent = true,
        .route = interest_route(interest),
    };
    interest_of_link(interest)->lease.replied = false;
    queue_advert(router, interest->from, &advert, ADVERT_REMOVE);
}

void reply_update(struct router *router, struct router_interest *interest)
{
    const struct intent *i = reply_intent(interest);
    if (i && !interest_of_link(interest)->lease.replied) {
        struct router_advert advert;
        intent_advert(interest->from, i, interest_route(interest), &advert);
        interest_of_link(interest)->lease.replied = true;
        queue_advert(router, interest->from, &advert, ADVERT_ADD);
    } else if (!i && interest_of_link(interest)->lease.replied) {
        withdraw(router, interest);
    }
}

void reply_update_all(struct router *router, const struct entry *entry)
{
    if (router->n_base == 0)
        return;
    list_each (it, &router->endpoints) {
        struct endpoint *to = list_entry(it, struct endpoint, all);
        struct router_interest *i = to->base ? interest_find(router, to, entry) : NULL;
        if (i)
            reply_update(router, i);
    }
}

/* Its own publisher of the route would fail as long as ours is registered there. */
void reply_withdraw(struct router *router, struct router_interest *interest)
{
    if (interest_of_link(interest)->lease.replied)
        withdraw(router, interest);
}
