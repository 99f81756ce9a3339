/* What a leaf's router refuses.
 *
 * A leaf has one router, and hears of nobody but through it: a route that the router does not take
 * is a route that nobody else hears of. So whoever waits for a counterpart is told, by the error of
 * the refusal, as long as it stands: until the link ends, or the router asks for everything anew,
 * as it does now and then where it only had no room. One that comes late, when the route was closed
 * and opened again, is not about what stands now: its stamp tells. A peer or client has others to
 * hope for, and waits on; so does a leaf whose program has dialled a second router. */
#include <string.h>

#include "node/node.h"

static void refuse_interest(void *ctx, void *user)
{
    ((weft_interest *)user)->refusal = *(const int *)ctx;
}

/* Of those that share a declaration the first made it. */
static void find_first(void *ctx, void *user)
{
    uint64_t *first = ctx;
    *first = min_u64(*first, ((weft_interest *)user)->declared_after);
}

void refusal_note(weft_node *node, const char *route, bool intent, int error, uint64_t stamp)
{
    uint64_t first = UINT64_MAX;
    struct router *router = mesh_router(node->mesh);
    if (node->up_count != 1)
        return;
    node->refused = true;
    plane_lock(node);
    if (intent) {
        struct router_intent *rec =
            router_find_intent_by_route(router, ROUTER_LOCAL, route, strlen(route));
        if (rec && rec->user && stamp > own_flow(rec->user)->declared_after)
            own_flow(rec->user)->refusal = error;
    } else {
        router_each_own_interest(router, route, find_first, &first);
        if (stamp > first)
            router_each_own_interest(router, route, refuse_interest, &error);
    }
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
}

void refusal_lift(weft_node *node)
{
    if (!node->refused)
        return;
    node->refused = false;
    plane_lock(node);
    list_each (it, &node->intents) {
        struct flow *flow = list_entry(it, struct weft_intent, list_node)->flow;
        if (flow)
            own_flow(flow)->refusal = 0;
    }
    list_each (it, &node->interests)
        list_entry(it, struct weft_interest, list_node)->refusal = 0;
    plane_unlock(node);
}

static void inherit(void *ctx, void *user)
{
    weft_interest *i = ctx, *other = user;
    if (other->refusal)
        i->refusal = other->refusal;
}

void refusal_inherit(weft_node *node, weft_interest *i, const char *route)
{
    if (node->refused)
        router_each_own_interest(mesh_router(node->mesh), route, inherit, i);
}
