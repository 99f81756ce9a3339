/* Flows: what the router decided, written down for the data plane.
 *
 * For each intent that changed, the targets are gathered into scratch arrays and then swapped into
 * the flow under plane, because senders of other threads read them. A remote intent that nobody
 * here wants has no flow at all and costs the data plane nothing.
 *
 * Out of memory while gathering: the flow is emptied, which is always possible and never leaves a
 * pointer to something that went, and all flows are rebuilt a little later. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"

struct gather {
    weft_node *node;
    struct target *targets;
    weft_interest **locals;
    uint32_t n_targets, cap_targets, n_locals, cap_locals;
    bool failed;
};

struct flow *flow_new(struct str *route, struct str *sender, bool local)
{
    struct flow *f = mem_zalloc(sizeof(*f));
    if (!f)
        return NULL;
    f->route = str_ref(route);
    f->sender = str_ref(sender);
    f->local = local;
    list_init(&f->handles);
    list_init(&f->match_node);
    return f;
}

static void drop_targets(struct flow *f)
{
    for (uint32_t i = 0; i < f->n_targets; i++)
        str_unref(f->targets[i].route);
    f->n_targets = f->n_locals = 0;
    f->callbacks = f->callbacks_only = false;
}

/* Nothing may refer to the flow any more, wherever it was noted. */
static void forget_everywhere(weft_node *node, struct flow *f)
{
    if (f->by_alias.hh.tbl)
        map_del(&node->flows, &f->by_alias);
    if (!f->local)
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
    if (f->intent) { /* else it was never known to anybody, and this may be any thread */
        plane_lock(node);
        forget_everywhere(node, f);
        plane_unlock(node);
    }
    drop_targets(f);
    list_remove(&f->match_node);
    str_unref(f->route);
    str_unref(f->sender);
    mem_free(f->targets);
    mem_free(f->locals);
    mem_free(f);
}

int flow_bind(weft_node *node, struct flow *f, struct router_intent *intent)
{
    f->intent = intent;
    plane_lock(node);
    f->alias = intent->alias;
    int rc = map_put(&node->flows, &f->by_alias, &f->alias, sizeof(f->alias));
    if (rc < 0)
        memset(&f->by_alias, 0, sizeof(f->by_alias));
    plane_unlock(node);
    return rc;
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
    if (!c || !c->up)
        return; /* its end is on its way to the router */
    if (!grow((void **)&g->targets, &g->cap_targets, g->n_targets + 1, sizeof(struct target)))
        g->failed = true;
    else
        g->targets[g->n_targets++] = (struct target){.conn = c, .route = t->route};
}

/* Put what was gathered into the flow; false if it does not fit for want of memory. plane held */
static bool install(struct flow *f, const struct gather *g)
{
    drop_targets(f);
    if (g->failed ||
        !grow((void **)&f->targets, &f->cap_targets, g->n_targets, sizeof(struct target)) ||
        !grow((void **)&f->locals, &f->cap_locals, g->n_locals, sizeof(weft_interest *)))
        return false;
    for (uint32_t i = 0; i < g->n_targets; i++) {
        f->targets[i] = g->targets[i];
        str_ref(f->targets[i].route);
    }
    if (g->n_locals)
        memcpy(f->locals, g->locals, g->n_locals * sizeof(weft_interest *));
    f->n_targets = g->n_targets;
    f->n_locals = g->n_locals;
    uint32_t callbacks = 0;
    for (uint32_t i = 0; i < g->n_locals; i++)
        callbacks += g->locals[i]->options.on_message != NULL;
    f->callbacks = callbacks > 0;
    f->callbacks_only = g->n_targets == 0 && callbacks == g->n_locals;
    return true;
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
    f->link_alias = 0;
    int rc = alias ? alias_put(&c->aliases, alias, f) : 0;
    if (rc == 0)
        f->link_alias = alias;
    return rc;
}

/* A remote intent found its first target. */
static struct flow *flow_for_remote(weft_node *node, struct router_intent *intent)
{
    struct conn *c = conn_find(node, intent->endpoint);
    if (!c)
        return NULL;
    struct flow *f = flow_new(intent->route, intent->origin ? intent->origin : c->name, false);
    if (f && flow_bind(node, f, intent) < 0) {
        flow_free(node, f);
        return NULL;
    }
    return f;
}

static void free_remote(weft_node *node, struct router_intent *intent)
{
    struct conn *c = conn_find(node, intent->endpoint);
    if (c)
        place_alias(c, intent->user, 0);
    flow_free(node, intent->user);
    intent->user = NULL;
}

static void note_match(weft_node *node, struct flow *f)
{
    if (!f->local)
        return;
    bool matched = flow_matched(f);
    plane_lock(node);
    list_each (it, &f->handles)
        atomic_store(&list_entry(it, struct weft_intent, flow_node)->interested, matched);
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
    if (f->was_matched != matched && list_empty(&f->match_node))
        list_push(&node->matches, &f->match_node);
}

static void rebuild(weft_node *node, struct router_intent *intent)
{
    struct gather *g = node->gather;
    g->n_targets = g->n_locals = 0;
    g->failed = false;
    router_each_target(mesh_router(node->mesh), intent, gather_target, g);
    struct flow *f = intent->user;
    bool wanted = g->n_targets + g->n_locals > 0 || g->failed;
    if (!f && !wanted)
        return;
    if (!f) {
        f = flow_for_remote(node, intent);
        intent->user = f;
    } else if (!wanted && !f->local) {
        free_remote(node, intent);
        return;
    }
    bool ok = f != NULL;
    if (f) {
        plane_lock(node);
        ok = install(f, g);
        plane_unlock(node);
        note_match(node, f);
    }
    struct conn *c = f && !f->local ? conn_find(node, intent->endpoint) : NULL;
    if (c && place_alias(c, f, intent->link_alias) < 0)
        ok = false;
    if (!ok)
        node->rebuild_at = min_u64(node->rebuild_at, node_now().mono_ns + REBUILD_NS);
}

static void bury(weft_node *node, struct router_intent *intent)
{
    struct flow *f = intent->user;
    if (f && f->local) {
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
