/* Adverts that wait to be sent: a ring that grows by doubling and goes when it is empty.
 *
 *     ring ─▶ [ … head ▒▒▒▒▒▒ head + count … ]   one entry 40 bytes and a reference of its strings
 *
 * Failure modes: no memory, or an endpoint with more waiting than its full state could explain,
 * whose owner does not drain. Either way it has missed something, so it is marked broken and gets
 * no more; a link that starts anew gets everything. */
#include "router/private.h"

#define RING_FIRST 64u

static bool ring_grow(struct queue *q)
{
    if (q->count < q->cap)
        return true;
    if (q->cap > UINT32_MAX / 4)
        return false;
    uint32_t cap = q->cap ? q->cap * 2 : RING_FIRST;
    struct advert *ring = mem_alloc(cap * sizeof(*ring));
    if (!ring)
        return false;
    for (uint32_t i = 0; i < q->count; i++)
        ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
    mem_free(q->ring);
    q->ring = ring;
    q->cap = cap;
    q->head = 0;
    return true;
}

static void mark_broken(struct router *router, struct endpoint *to)
{
    to->broken = true;
    list_push(&router->broken, &to->in_broken);
}

void queue_advert(struct router *router, struct endpoint *to, const struct router_advert *advert,
                  enum change change)
{
    struct queue *q = &router->queue;
    if (to->broken)
        return;
    if (to->queued / 2 > router->most_routes + (uint64_t)RING_FIRST || !ring_grow(q)) {
        mark_broken(router, to);
        return;
    }
    q->ring[(q->head + q->count++) & (q->cap - 1)] = (struct advert){
        .endpoint = to->id,
        .serial = to->serial,
        .alias = advert->alias,
        .hops = (uint8_t)advert->hops,
        .intent = advert->intent,
        .registered = advert->registered,
        .schema = advert->schema,
        .route = str_ref(advert->route),
        .origin = str_ref(advert->origin),
    };
    to->queued++;
    if (change != ADVERT_UPDATE)
        digest_count_advert(&to->sent, advert, change == ADVERT_ADD);
}

static bool pop(struct queue *q, struct advert *ret_advert)
{
    if (q->count == 0)
        return false;
    *ret_advert = q->ring[q->head];
    q->head = (q->head + 1) & (q->cap - 1);
    if (--q->count == 0) {
        mem_free(q->ring);
        *q = (struct queue){0};
    }
    return true;
}

static void give_back(struct router *router)
{
    str_unref(router->last_advert[0]);
    str_unref(router->last_advert[1]);
    router->last_advert[0] = router->last_advert[1] = NULL;
}

void queue_clear(struct router *router)
{
    struct advert a;
    give_back(router);
    while (pop(&router->queue, &a)) {
        str_unref(a.route);
        str_unref(a.origin);
    }
}

bool router_next_advert(struct router *router, struct router_advert *ret_advert)
{
    struct advert a;
    give_back(router);
    while (pop(&router->queue, &a)) {
        struct endpoint *to = router_endpoint(router, a.endpoint);
        if (!to || to->serial != a.serial || to->broken) {
            str_unref(a.route);
            str_unref(a.origin);
            continue;
        }
        to->queued--;
        router->last_advert[0] = a.route;
        router->last_advert[1] = a.origin;
        *ret_advert = (struct router_advert){
            .endpoint = a.endpoint,
            .intent = a.intent,
            .registered = a.registered,
            .alias = a.alias,
            .hops = a.hops,
            .schema = a.schema,
            .route = a.route,
            .origin = a.origin,
        };
        return true;
    }
    return false;
}
