/* Adverts of the router become frames: one INTENT or INTEREST alone, several to the same link as
 * INTENTS or INTERESTS (docs/protocol.md section 5).
 *
 * What tells of intents goes in the ordered lane: a message must not overtake the INTENT that gives
 * its alias, nor the withdrawal the messages sent before it. Interests go in the control lane, so
 * that subscribing does not wait behind a backlog. A base peer gets one declaration a frame, with
 * ttl 0. */
#include "mesh/private.h"

#include <string.h>

#include "base/mem.h"

void batch_clear(struct batch *b)
{
    for (uint32_t i = 0; i < 2 * b->count; i++)
        str_unref(b->strings[i]);
    b->count = b->bytes = 0;
}

static void batch_send(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct batch *b = &l->priv->batch;
    if (b->count == 0)
        return;
    bool single = b->count == 1;
    struct control c = {.decls = {.items = b->decls, .count = b->count}};
    if (b->intent)
        c.type = single ? MSG_INTENT : MSG_INTENTS;
    else
        c.type = single ? MSG_INTEREST : MSG_INTERESTS;
    link_send(m, l, &c, b->intent ? LANE_ORDERED : LANE_CONTROL, false, now);
    l->priv->probe_due |= b->intent && l->hs.base;
    batch_clear(b);
}

/* Arrays grow with the largest batch and go back when the step is over. */
static bool batch_grow(struct batch *b, uint32_t need)
{
    if (b->decls && (need & (need - 1)) != 0)
        return true; /* room is a power of two */
    size_t cap = need ? 2 * (size_t)need : 1;
    struct decl *decls = mem_realloc(b->decls, cap * sizeof(*decls));
    if (decls)
        b->decls = decls;
    struct str **strings = mem_realloc(b->strings, 2 * cap * sizeof(struct str *));
    if (strings)
        b->strings = strings;
    return decls && strings;
}

static void batch_add(struct mesh *m, struct mesh_link *l, const struct router_advert *a,
                      struct moment now)
{
    struct batch *b = &l->priv->batch;
    uint32_t bytes = a->route->len + (a->origin ? a->origin->len : 0) + 48;
    if (b->count && (b->intent != a->intent || b->bytes + bytes > BATCH_BYTES ||
                     b->count == BATCH_MAX || l->hs.base))
        batch_send(m, l, now);
    if (!batch_grow(b, b->count)) {
        link_break(m, l);
        return;
    }
    b->intent = a->intent;
    b->strings[2 * b->count] = str_ref(a->route);
    b->strings[2 * b->count + 1] = str_ref(a->origin);
    b->decls[b->count] = (struct decl){
        .route = a->route->text,
        .hops = a->hops,
        .ttl_ns = l->hs.base ? 0 : TTL_NS,
        .registered = a->registered,
        .alias = l->hs.base ? 0 : a->alias,
        .schema = l->hs.base ? 0 : a->schema,
        .origin = l->hs.base ? "" : str_text(a->origin),
    };
    b->count++;
    b->bytes += bytes;
}

/* From the last one found on: adverts come for the same link, or for one after the other. */
static struct mesh_link *find_link(struct mesh *m, uint32_t id, struct mesh_link *last)
{
    struct list *start = last ? &last->node : &m->links, *it = start;
    do {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (it != &m->links && l->id == id)
            return l;
        it = it->next;
    } while (it != start);
    return NULL;
}

void advert_flush(struct mesh *m, struct moment now)
{
    struct router_advert advert;
    struct mesh_link *l = NULL;
    bool any = false;
    while (router_next_advert(m->router, &advert)) {
        any = true;
        l = find_link(m, advert.endpoint, l);
        if (l && !l->priv->broken)
            batch_add(m, l, &advert, now);
    }
    if (!any)
        return;
    list_each (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        struct batch *b = &o->priv->batch;
        batch_send(m, o, now);
        if (o->priv->probe_due)
            live_probe(m, o, now);
        o->priv->probe_due = false;
        mem_free(b->decls);
        mem_free(b->strings);
        *b = (struct batch){0};
    }
}
