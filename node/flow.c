/* Flows: what the router decided, written down for the data plane.
 *
 * For each intent that changed, the targets are gathered into scratch arrays and then swapped into
 * the flow under plane, because senders of other threads read them. A remote intent that nobody
 * here wants has no flow at all and costs the data plane nothing.
 *
 * Out of memory while gathering: the flow is emptied, which is always possible and never leaves a
 * pointer to something that went, and all flows are rebuilt a little later. Until then it is
 * starved: weft_send returns WEFT_ENOMEM, and what comes over a link is counted as dropped. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"

struct gather {
    weft_node *node;
    struct target *targets;
    weft_interest **locals;
    uint32_t n_targets, cap_targets, n_locals, cap_locals;
    bool failed;
    bool matched; /* some flow of ours found its first interest, or lost the last */
};

struct flow *flow_new(struct router_intent *intent, struct str *sender, bool own)
{
    struct flow *f = mem_zalloc(own ? sizeof(struct own_flow) : sizeof(*f));
    if (!f)
        return NULL;
    f->own = own;
    f->alias = intent->alias;
    f->intent = intent;
    f->route = str_ref(intent->route);
    f->sender = str_ref(sender);
    if (own) {
        list_init(&own_flow(f)->handles);
        list_init(&own_flow(f)->match_node);
    }
    return f;
}

static void free_room(struct flow *f)
{
    if (f->targets != &f->few.target)
        mem_free(f->targets);
    if (f->locals != f->few.locals)
        mem_free(f->locals);
    f->targets = NULL;
    f->locals = NULL;
}

static void empty(struct flow *f)
{
    for (uint32_t i = 0; i < f->n_targets; i++)
        str_unref(f->targets[i].route);
    free_room(f);
    f->n_targets = f->n_locals = 0;
    f->callbacks = f->callbacks_only = false;
}

/* Nothing may refer to the flow any more, wherever it was noted. plane held */
static void forget_everywhere(weft_node *node, struct flow *f)
{
    if (alias_get(&node->flows, f->alias) == f)
        alias_del(&node->flows, f->alias);
    if (!f->own)
        return; /* relayed messages wait as frames alone */
    list_each (it, &node->conns)
        outbox_drop_slot(node, &list_entry(it, struct conn, list_node)->out, f);
    local_forget(&node->local, f);
    local_forget(&node->local_batch, f);
}

void flow_free(weft_node *node, struct flow *f)
{
    if (!f)
        return;
    plane_lock(node);
    forget_everywhere(node, f);
    plane_unlock(node);
    if (f->own)
        list_remove(&own_flow(f)->match_node);
    empty(f);
    str_unref(f->route);
    str_unref(f->sender);
    mem_free(f->dropped);
    mem_free(f);
}

void flow_count_drops(struct flow *f, enum weft_drop reason, uint64_t count)
{
    if (f && !f->dropped)
        f->dropped = mem_zalloc(WEFT_DROP_REASONS * sizeof(*f->dropped));
    if (f && f->dropped)
        f->dropped[reason] += count;
}

/* ---- Gathering ---- */

static bool grow(void **array, uint32_t *cap, uint32_t need, size_t size)
{
    if (need <= *cap)
        return true;
    uint32_t bigger = *cap ? 2 * *cap : 4;
    while (bigger < need)
        bigger *= 2;
    void *p = mem_realloc(*array, bigger * size);
    if (!p)
        return false;
    *array = p;
    *cap = bigger;
    return true;
}

static void gather_target(void *ctx, const struct router_target *t)
{
    struct gather *g = ctx;
    if (t->interest) {
        if (!grow((void **)&g->locals, &g->cap_locals, g->n_locals + 1, sizeof(weft_interest *)))
            g->failed = true;
        else
            g->locals[g->n_locals++] = t->interest;
        return;
    }
    struct conn *c = conn_find(g->node, t->endpoint);
    if (!c || !c->up || c->retired)
        return; /* its end is on its way to the router */
    if (!grow((void **)&g->targets, &g->cap_targets, g->n_targets + 1, sizeof(struct target)))
        g->failed = true;
    else
        g->targets[g->n_targets++] = (struct target){.conn = c, .route = t->route};
}

static bool is_target(const struct gather *g, uint32_t link)
{
    bool found = false;
    for (uint32_t i = 0; link && i < g->n_targets; i++)
        found |= g->targets[i].conn->id == link;
    return found;
}

/* Of two links to one node, the newer one alone, once it has the interest too. */
static void drop_replaced(struct gather *g)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->n_targets; i++) {
        if (is_target(g, g->targets[i].conn->replaced_by))
            g->targets[i].route = NULL; /* marked; one may be replaced by another that is, too */
    }
    for (uint32_t i = 0; i < g->n_targets; i++) {
        if (g->targets[i].route)
            g->targets[kept++] = g->targets[i];
    }
    g->n_targets = kept;
}

/* The flow is empty: make room in it for so many. */
static int make_room(struct flow *f, uint32_t n_targets, uint32_t n_locals)
{
    if (n_targets == 1 && n_locals == 0)
        f->targets = &f->few.target;
    else if (n_targets)
        f->targets = mem_alloc(n_targets * sizeof(*f->targets));
    if (n_targets == 0 && n_locals <= FLOW_FEW_LOCALS)
        f->locals = f->few.locals;
    else if (n_locals)
        f->locals = mem_alloc(n_locals * sizeof(*f->locals));
    if ((f->targets || !n_targets) && (f->locals || !n_locals))
        return 0;
    free_room(f);
    return WEFT_ENOMEM;
}

/* Put what was gathered into the flow. Errors: WEFT_ENOMEM, it is empty. plane held */
static int install(weft_node *node, struct flow *f, const struct gather *g)
{
    empty(f);
    if (g->failed || make_room(f, g->n_targets, g->n_locals) < 0)
        return WEFT_ENOMEM;
    /* What waits for a target is counted by the flow's alias, should it be dropped. */
    if (g->n_targets && alias_put(&node->flows, f) < 0) {
        free_room(f);
        return WEFT_ENOMEM;
    }
    for (uint32_t i = 0; i < g->n_targets; i++) {
        f->targets[i] = g->targets[i];
        str_ref(f->targets[i].route);
    }
    uint32_t callbacks = 0;
    for (uint32_t i = 0; i < g->n_locals; i++) {
        f->locals[i] = g->locals[i];
        callbacks += g->locals[i]->options.on_message != NULL;
    }
    f->n_targets = g->n_targets;
    f->n_locals = g->n_locals;
    f->callbacks = callbacks > 0;
    f->callbacks_only = g->n_targets == 0 && callbacks == g->n_locals;
    return 0;
}

/* The link knows the flow by the number its intent has now, and by no former one. An intent may be
 * declared again under another; its former number may be that of another flow by then. */
static int place_alias(struct conn *c, struct flow *f, uint32_t alias)
{
    c->last_flow = NULL;
    if (f->link_alias == alias)
        return 0;
    if (alias_get(&c->aliases, f->link_alias) == f)
        alias_del(&c->aliases, f->link_alias);
    f->link_alias = alias;
    int rc = alias ? alias_put(&c->aliases, f) : 0;
    if (rc < 0)
        f->link_alias = 0;
    return rc;
}

/* A remote intent found its first target. */
static struct flow *flow_for_remote(weft_node *node, struct router_intent *intent)
{
    struct conn *c = conn_find(node, intent->endpoint);
    if (!c || !c->link)
        return NULL;
    if (!c->name) /* made here, where a failure has the flow tried again */
        c->name = str_new(c->link->hs.peer.text, strlen(c->link->hs.peer.text));
    return c->name ? flow_new(intent, intent->origin ? intent->origin : c->name, false) : NULL;
}

static void free_remote(weft_node *node, struct router_intent *intent)
{
    struct conn *c = conn_find(node, intent->endpoint);
    if (c)
        place_alias(c, intent->user, 0);
    flow_free(node, intent->user);
    intent->user = NULL;
}

/* Its handles say so at once; who waits for them is woken, and they are told, when all fan-outs are
 * rebuilt. */
static void note_match(weft_node *node, struct own_flow *own)
{
    bool matched = flow_matched(&own->flow);
    list_each (it, &own->handles) {
        weft_intent *i = list_entry(it, struct weft_intent, flow_node);
        if (atomic_exchange(&i->interested, matched) != matched)
            node->gather->matched = true;
    }
    if (own->was_matched != matched && list_empty(&own->match_node))
        list_push(&node->matches, &own->match_node);
}

static void rebuild(weft_node *node, struct router_intent *intent)
{
    struct gather *g = node->gather;
    g->n_targets = g->n_locals = 0;
    g->failed = false;
    router_each_target(mesh_router(node->mesh), intent, gather_target, g);
    drop_replaced(g);
    struct flow *f = intent->user;
    bool wanted = g->n_targets + g->n_locals > 0 || g->failed;
    if (!f && !wanted)
        return;
    if (!f) {
        f = flow_for_remote(node, intent);
        intent->user = f;
    } else if (!wanted && !f->own) {
        free_remote(node, intent);
        return;
    }
    bool ok = f != NULL;
    if (f) {
        plane_lock(node);
        ok = install(node, f, g) == 0;
        f->starved = !ok;
        plane_unlock(node);
        if (f->own && ok) /* its handles stay as interested as they were */
            note_match(node, own_flow(f));
    }
    struct conn *c = f && !f->own ? conn_find(node, intent->endpoint) : NULL;
    if (c && place_alias(c, f, intent->link_alias) < 0)
        ok = false;
    if (!ok)
        node->rebuild_at = min_u64(node->rebuild_at, node_now().mono_ns + REBUILD_NS);
}

static void bury(weft_node *node, struct router_intent *intent)
{
    struct flow *f = intent->user;
    if (f && f->own) {
        flow_free(node, f);
        intent->user = NULL;
    } else if (f) {
        free_remote(node, intent);
    }
    router_release_intent(mesh_router(node->mesh), intent);
}

void flow_rebuild_changed(weft_node *node)
{
    struct router_intent *intent;
    while ((intent = router_next_changed(mesh_router(node->mesh))) != NULL) {
        if (intent->dead)
            bury(node, intent);
        else
            rebuild(node, intent);
    }
    if (!node->gather->matched)
        return;
    node->gather->matched = false;
    plane_lock(node);
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
}

static void mark(void *ctx, const struct router_info *info)
{
    weft_node *node = ctx;
    if (info->intent)
        router_mark_changed(mesh_router(node->mesh),
                            (struct router_intent *)(uintptr_t)info->record);
}

void flow_rebuild_all(weft_node *node)
{
    node->rebuild_at = NEVER;
    router_each(mesh_router(node->mesh), mark, node);
    flow_rebuild_changed(node);
}

int gather_open(weft_node *node)
{
    node->gather = mem_zalloc(sizeof(*node->gather));
    if (!node->gather)
        return WEFT_ENOMEM;
    node->gather->node = node;
    return 0;
}

void gather_close(weft_node *node)
{
    if (!node->gather)
        return;
    mem_free(node->gather->targets);
    mem_free(node->gather->locals);
    mem_free(node->gather);
    node->gather = NULL;
}
