/* The happy path: a route is split into steps (its type, then its segments; for a hashed route "#",
 * its prefix, then its hash), and each step is one look-up by parent and text. A node's address is
 * its id: it is unique as long as it has children that are found by it.
 *
 * Patterns meet routes by walking one tree with the steps of the other. As long as no `**` was
 * passed the depth in the tree is the step, so a node is reached by one way only and is visited
 * once; below a `**` everything is a candidate and route_covers decides. Recursion is as deep as a
 * route.
 *
 * The only failure is want of memory while a route's nodes are made: those made are pruned. */
#include "router/tree.h"

#include <string.h>

#include <weft/weft.h>

#include "base/hash.h"
#include "base/mem.h"

struct step {
    const char *text;
    uint16_t len;
};

struct steps {
    size_t count;
    struct step step[ROUTE_DEPTH_MAX + 2]; /* the segments, and type or "#" and hash */
};

static void add_step(struct steps *steps, const char *text, uint16_t len)
{
    if (steps->count < ARRAY_LEN(steps->step))
        steps->step[steps->count++] = (struct step){text, len};
}

static void split(const struct route *route, struct steps *ret_steps)
{
    bool hashed = route->kind == ROUTE_HASHED;
    ret_steps->count = 0;
    if (hashed)
        add_step(ret_steps, "#", 1);
    else
        add_step(ret_steps, route->type, route->type_len);
    for (struct segment s = path_first(route->path, route->path_len); s.text; s = path_next(s))
        add_step(ret_steps, s.text, s.len);
    if (hashed)
        add_step(ret_steps, route->type, route->type_len);
}

static bool is_step(const struct step *step, const char *text)
{
    return step->len == strlen(text) && memcmp(step->text, text, step->len) == 0;
}

/* ---- Nodes ---- */

static uint32_t step_hash(const struct entry *parent, const struct step *step)
{
    uint64_t id = (uintptr_t)parent;
    return table_fold(
        hash64(HASH64_SEED ^ id * UINT64_C(0x9e3779b97f4a7c15), step->text, step->len));
}

static struct entry *child_at(const struct tree *tree, const struct entry *parent,
                              const struct step *step)
{
    struct table_node *n = table_first(&tree->nodes, step_hash(parent, step));
    for (; n; n = table_next(n)) {
        struct entry *e = container_of(n, struct entry, node);
        if (e->parent == parent && e->len == step->len &&
            memcmp(e->text, step->text, step->len) == 0)
            return e;
    }
    return NULL;
}

static struct entry *node_new(const struct step *step)
{
    struct entry *e = mem_zalloc(sizeof(*e) + step->len);
    if (!e)
        return NULL;
    list_init(&e->intents);
    list_init(&e->interests);
    e->len = step->len;
    memcpy(e->text, step->text, step->len);
    return e;
}

static struct entry *add_child(struct tree *tree, struct entry *parent, const struct step *step)
{
    struct entry *e = node_new(step);
    if (!e)
        return NULL;
    e->parent = parent;
    e->next = parent->child;
    if (e->next)
        e->next->prev = e;
    parent->child = e;
    table_put(&tree->nodes, &e->node, step_hash(parent, step));
    return e;
}

static void remove_node(struct tree *tree, struct entry *e)
{
    if (e->prev)
        e->prev->next = e->next;
    else
        e->parent->child = e->next;
    if (e->next)
        e->next->prev = e->prev;
    table_del(&tree->nodes, &e->node);
    mem_free(e);
}

int tree_init(struct tree *tree)
{
    struct entry *root = node_new(&(struct step){"", 0});
    if (!root)
        return WEFT_ENOMEM;
    int rc = table_init(&tree->nodes);
    if (rc < 0) {
        mem_free(root);
        return rc;
    }
    tree->root = root;
    return 0;
}

void tree_fini(struct tree *tree)
{
    struct entry *e = tree->root;
    while (e) { /* leaves first; a freed one is no longer its parent's child */
        if (e->child) {
            e = e->child;
            continue;
        }
        struct entry *parent = e->parent;
        if (parent)
            parent->child = e->next;
        str_unref(e->route);
        mem_free(e);
        e = parent;
    }
    table_fini(&tree->nodes);
    tree->root = NULL;
}

/* ---- Entries ---- */

static struct entry *find_node(const struct tree *tree, const struct route *route)
{
    struct steps steps;
    split(route, &steps);
    struct entry *e = tree->root;
    for (size_t i = 0; e && i < steps.count; i++)
        e = child_at(tree, e, &steps.step[i]);
    return e;
}

struct entry *tree_find(const struct tree *tree, const struct route *route)
{
    struct entry *e = find_node(tree, route);
    return e && e->route ? e : NULL;
}

/* The route with '.' as its only separator; a hash may contain '/', so only the path is touched. */
static struct str *normal_text(const struct route *route)
{
    struct str *s = str_new(route->text, route->len);
    if (!s)
        return NULL;
    char *path = s->text + (route->path - route->text);
    for (size_t i = 0; i < route->path_len; i++)
        if (path[i] == '/')
            path[i] = '.';
    return s;
}

static void prune_node(struct tree *tree, struct entry *e)
{
    while (e->parent && !e->child && !e->route) {
        struct entry *parent = e->parent;
        remove_node(tree, e);
        e = parent;
    }
}

int tree_make(struct tree *tree, const struct route *route, struct entry **ret_entry)
{
    struct steps steps;
    split(route, &steps);
    struct entry *e = tree->root;
    for (size_t i = 0; i < steps.count; i++) {
        struct entry *child = child_at(tree, e, &steps.step[i]);
        if (!child)
            child = add_child(tree, e, &steps.step[i]);
        if (!child)
            goto prune;
        e = child;
    }
    if (!e->route) {
        e->route = normal_text(route);
        e->kind = (uint8_t)route->kind;
    }
    if (!e->route)
        goto prune;
    *ret_entry = e;
    return 0;
prune:
    prune_node(tree, e);
    return WEFT_ENOMEM;
}

void tree_prune(struct tree *tree, struct entry *entry)
{
    if (!list_empty(&entry->intents) || !list_empty(&entry->interests))
        return;
    str_unref(entry->route);
    entry->route = NULL;
    prune_node(tree, entry);
}

struct route entry_route(const struct entry *entry)
{
    const struct str *s = entry->route;
    bool hashed = entry->kind == ROUTE_HASHED;
    const char *mark = memchr(s->text, hashed ? '#' : '@', s->len);
    uint16_t before = (uint16_t)(mark - s->text), after = (uint16_t)(s->len - before - 1);
    return (struct route){.kind = entry->kind,
                          .text = s->text,
                          .len = (uint16_t)s->len,
                          .type = hashed ? mark + 1 : s->text,
                          .type_len = hashed ? after : before,
                          .path = hashed ? s->text : mark + 1,
                          .path_len = hashed ? before : after};
}

/* ---- Walks ---- */

/* The next node below `top` in depth-first order, or NULL. */
static struct entry *walk_below(const struct entry *top, const struct entry *last)
{
    if (last->child)
        return last->child;
    while (last != top && !last->next)
        last = last->parent;
    return last == top ? NULL : last->next;
}

struct entry *tree_walk(const struct tree *tree, const struct entry *last)
{
    return last ? walk_below(tree->root, last) : tree->root;
}

struct walk {
    const struct tree *tree;
    const struct route *route; /* plain, or the pattern */
    struct steps steps;
    entry_fn *fn;
    void *ctx;
};

static void each_pattern_from(const struct walk *w, struct entry *top)
{
    for (struct entry *e = top; e; e = walk_below(top, e)) {
        if (!e->route)
            continue;
        struct route pattern = entry_route(e);
        if (route_covers(&pattern, w->route))
            w->fn(w->ctx, e);
    }
}

/* Patterns at or below `at`, which the first i steps of the route led to. */
static void climb_patterns(const struct walk *w, struct entry *at, size_t i)
{
    static const struct step star = {"*", 1}, stars = {"**", 2};
    struct entry *any = child_at(w->tree, at, &stars);
    if (any)
        each_pattern_from(w, any);
    if (i == w->steps.count) {
        if (at->route)
            w->fn(w->ctx, at);
        return;
    }
    struct entry *same = child_at(w->tree, at, &w->steps.step[i]);
    if (same)
        climb_patterns(w, same, i + 1);
    struct entry *one = child_at(w->tree, at, &star);
    if (one)
        climb_patterns(w, one, i + 1);
}

void tree_each_cover(const struct tree *patterns, const struct route *route, entry_fn *fn,
                     void *ctx)
{
    if (!patterns->root->child)
        return;
    struct walk w = {.tree = patterns, .route = route, .fn = fn, .ctx = ctx};
    split(route, &w.steps);
    climb_patterns(&w, patterns->root, 0);
}

static void each_route_from(const struct walk *w, struct entry *top)
{
    for (struct entry *e = top; e; e = walk_below(top, e)) {
        if (!e->route)
            continue;
        struct route route = entry_route(e);
        if (route_covers(w->route, &route))
            w->fn(w->ctx, e);
    }
}

/* Routes at or below `at`, which the first i steps of the pattern led to. */
static void climb_routes(const struct walk *w, struct entry *at, size_t i)
{
    if (i == w->steps.count) {
        if (at->route)
            w->fn(w->ctx, at);
        return;
    }
    const struct step *step = &w->steps.step[i];
    if (is_step(step, "**")) {
        each_route_from(w, at);
    } else if (is_step(step, "*")) {
        for (struct entry *e = at->child; e; e = e->next)
            if (i > 0 || e->text[0] != '#') /* patterns never match hashed routes */
                climb_routes(w, e, i + 1);
    } else {
        struct entry *e = child_at(w->tree, at, step);
        if (e)
            climb_routes(w, e, i + 1);
    }
}

void tree_each_covered(const struct tree *routes, const struct route *pattern, entry_fn *fn,
                       void *ctx)
{
    struct walk w = {.tree = routes, .route = pattern, .fn = fn, .ctx = ctx};
    split(pattern, &w.steps);
    climb_routes(&w, routes->root, 0);
}
