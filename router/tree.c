/* The happy path: a route is split into steps (its type, then its segments; for a hashed route "#",
 * its prefix, then its hash), and each step is one look-up by parent and text. A node's address is
 * its id: it is unique as long as it has children that are found by it.
 *
 * Patterns meet routes by walking one tree with the steps of the other. As long as no `**` was
 * passed the depth in the tree is the step, so a node is reached by one way only and is visited
 * once; below a `**` everything is a candidate and route_covers decides. Recursion is as deep as a
 * route. What one peer declares is never linked with what a peer declares, so a walk on behalf of a
 * peer passes over all nodes without records of near endpoints: siblings with such records come
 * first. Else a peer with many patterns and many routes would cost us their product.
 *
 * The only failure is want of memory while a route's nodes are made: those made are pruned. */
#include "router/tree.h"

#include <string.h>

#include <weft/weft.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/util.h"

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

static uint32_t node_hash(const struct table_node *node)
{
    const struct entry *e = container_of(node, struct entry, node);
    return step_hash(e->parent, &(struct step){e->text, e->len});
}

static struct entry *child_at(const struct tree *tree, const struct entry *parent,
                              const struct step *step)
{
    struct table_node *n = table_chain(&tree->nodes, step_hash(parent, step));
    for (; n; n = n->next) {
        struct entry *e = container_of(n, struct entry, node);
        if (e->parent == parent && e->len == step->len &&
            memcmp(e->text, step->text, step->len) == 0)
            return e;
    }
    return NULL;
}

static struct entry *node_new(const struct step *step)
{
    size_t size = offsetof(struct entry, text) + step->len; /* the text begins in the padding */
    struct entry *e = mem_zalloc(max_u64(size, sizeof(*e)));
    if (!e)
        return NULL;
    e->len = step->len & STEP_LEN_MASK;
    memcpy(e->text, step->text, step->len);
    return e;
}

/* Hang a node into its parent's list of children, at the front or the end. */
static void link_child(struct entry *e, bool front)
{
    struct entry *first = e->parent->child;
    e->prev = first ? first->prev : e;
    e->next = front ? first : NULL;
    if (first)
        first->prev = e;
    if (first && !front)
        e->prev->next = e;
    else
        e->parent->child = e;
}

static void unlink_child(struct entry *e)
{
    struct entry *parent = e->parent;
    if (parent->child == e)
        parent->child = e->next;
    else
        e->prev->next = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else if (parent->child)
        parent->child->prev = e->prev;
}

static struct entry *add_child(struct tree *tree, struct entry *parent, const struct step *step)
{
    struct entry *e = node_new(step);
    if (!e)
        return NULL;
    e->parent = parent;
    link_child(e, false);
    table_put(&tree->nodes, &e->node);
    return e;
}

static void remove_node(struct tree *tree, struct entry *e)
{
    unlink_child(e);
    table_del(&tree->nodes, &e->node);
    mem_free(e);
}

int tree_init(struct tree *tree)
{
    struct entry *root = node_new(&(struct step){"", 0});
    if (!root)
        return WEFT_ENOMEM;
    int rc = table_init(&tree->nodes, node_hash);
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
        e->kind = route->kind & 3u;
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
    if (entry->intents || entry->interests)
        return;
    str_unref(entry->route);
    entry->route = NULL;
    prune_node(tree, entry);
}

void tree_count_near(struct entry *entry, bool added)
{
    for (struct entry *e = entry; e; e = e->parent) {
        bool was = e->near > 0;
        e->near += added ? 1 : UINT32_MAX;
        if (e->parent && was != (e->near > 0)) {
            unlink_child(e);
            link_child(e, !was);
        }
    }
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

/* The node if a walk goes there, or NULL: then it goes to none of its later siblings either. */
static struct entry *visited(struct entry *e, bool near)
{
    return e && (e->near || !near) ? e : NULL;
}

/* The next node below `top` in depth-first order, or NULL. */
static struct entry *walk_below(const struct entry *top, const struct entry *last, bool near)
{
    if (visited(last->child, near))
        return last->child;
    while (last != top && !visited(last->next, near))
        last = last->parent;
    return last == top ? NULL : last->next;
}

struct entry *tree_walk(const struct tree *tree, const struct entry *last, bool near)
{
    return last ? walk_below(tree->root, last, near) : tree->root;
}

struct walk {
    const struct tree *tree;
    const struct route *route; /* plain, or the pattern */
    struct steps steps;
    bool near; /* pass over nodes without records of near endpoints */
    entry_fn *fn;
    void *ctx;
};

/* The count is no part of what the tree holds. */
static void count_step(const struct walk *w)
{
    ((struct tree *)(uintptr_t)w->tree)->steps++;
}

static void each_pattern_from(const struct walk *w, struct entry *top)
{
    for (struct entry *e = top; e; e = walk_below(top, e, w->near)) {
        count_step(w);
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
    struct entry *any = visited(child_at(w->tree, at, &stars), w->near);
    if (any)
        each_pattern_from(w, any);
    if (i == w->steps.count) {
        if (at->route)
            w->fn(w->ctx, at);
        return;
    }
    struct entry *same = visited(child_at(w->tree, at, &w->steps.step[i]), w->near);
    if (same)
        climb_patterns(w, same, i + 1);
    struct entry *one = visited(child_at(w->tree, at, &star), w->near);
    if (one)
        climb_patterns(w, one, i + 1);
}

void tree_each_cover(const struct tree *patterns, const struct route *route, bool near,
                     entry_fn *fn, void *ctx)
{
    if (!visited(patterns->root->child, near))
        return;
    struct walk w = {.tree = patterns, .route = route, .near = near, .fn = fn, .ctx = ctx};
    split(route, &w.steps);
    climb_patterns(&w, patterns->root, 0);
}

static void each_route_from(const struct walk *w, struct entry *top)
{
    for (struct entry *e = top; e; e = walk_below(top, e, w->near)) {
        count_step(w);
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
        for (struct entry *e = visited(at->child, w->near); e; e = visited(e->next, w->near)) {
            count_step(w);
            if (i > 0 || e->text[0] != '#') /* patterns never match hashed routes */
                climb_routes(w, e, i + 1);
        }
    } else {
        struct entry *e = visited(child_at(w->tree, at, step), w->near);
        if (e)
            climb_routes(w, e, i + 1);
    }
}

void tree_each_covered(const struct tree *routes, const struct route *pattern, bool near,
                       entry_fn *fn, void *ctx)
{
    struct walk w = {.tree = routes, .route = pattern, .near = near, .fn = fn, .ctx = ctx};
    split(pattern, &w.steps);
    climb_routes(&w, routes->root, 0);
}
