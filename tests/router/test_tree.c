/* The path tree against route_covers on every pair. */
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "base/util.h"
#include "router/tree.h"
#include "tests/check.h"

#define COUNT 300

struct found {
    struct entry *entries[COUNT];
    size_t count;
};

static void collect(void *ctx, struct entry *entry)
{
    struct found *f = ctx;
    CHECK(f->count < COUNT);
    for (size_t i = 0; i < f->count; i++)
        CHECK(f->entries[i] != entry); /* each once */
    f->entries[f->count++] = entry;
}

static bool is_found(const struct found *f, const struct entry *entry)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->entries[i] == entry)
            return true;
    return false;
}

static struct route parse(const char *text)
{
    struct route route = {0};
    CHECK_EQ(route_parse(text, strlen(text), &route, NULL), 0);
    return route;
}

static struct entry *random_entry(struct tree *tree, struct prng *prng, bool pattern)
{
    static const char *const names[] = {"a", "b", "*", "**"};
    char text[64];
    int n = snprintf(text, sizeof(text), "%s@", pattern && prng_next(prng) % 3 == 0 ? "*" : "T");
    uint64_t depth = prng_between(prng, 1, 5);
    for (uint64_t i = 0; i < depth; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s", i ? "." : "",
                      names[prng_between(prng, 0, pattern ? 3 : 1)]);
    struct route route = parse(text);
    struct entry *entry;
    if ((route.kind == ROUTE_PATTERN) != pattern)
        return random_entry(tree, prng, pattern);
    CHECK_EQ(tree_make(tree, &route, &entry), 0);
    CHECK(tree_find(tree, &route) == entry);
    return entry;
}

TEST(router_tree, walks_meet_what_route_covers_says)
{
    struct tree routes, patterns;
    struct entry *r[COUNT], *p[COUNT];
    struct prng prng;
    prng_init(&prng, 11);
    CHECK(tree_init(&routes) == 0 && tree_init(&patterns) == 0);
    for (size_t i = 0; i < COUNT; i++) {
        r[i] = random_entry(&routes, &prng, false);
        p[i] = random_entry(&patterns, &prng, true);
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct found covers = {.count = 0}, covered = {.count = 0};
        struct route route = entry_route(r[i]), pattern = entry_route(p[i]);
        tree_each_cover(&patterns, &route, false, collect, &covers);
        tree_each_covered(&routes, &pattern, false, collect, &covered);
        for (size_t k = 0; k < COUNT; k++) {
            struct route other = entry_route(r[k]), cover = entry_route(p[k]);
            CHECK(is_found(&covers, p[k]) == route_covers(&cover, &route));
            CHECK(is_found(&covered, r[k]) == route_covers(&pattern, &other));
        }
    }
    tree_fini(&routes);
    tree_fini(&patterns);
}

TEST(router_tree, spellings_are_one_and_kinds_are_not)
{
    struct tree tree;
    struct entry *a, *b, *h;
    struct route dots = parse("T@a.b"), slashes = parse("T@a/b");
    struct route hashed = parse("a/b#AAAAAAAAAAAAAAAAAAAAAAAA//A"), any = parse("*@**");
    struct found found = {.count = 0};
    CHECK_EQ(tree_init(&tree), 0);
    CHECK(tree_make(&tree, &slashes, &a) == 0 && tree_make(&tree, &dots, &b) == 0);
    CHECK(a == b);
    CHECK_STR(a->route->text, "T@a.b");
    CHECK_EQ(tree_make(&tree, &hashed, &h), 0);
    CHECK_STR(h->route->text, "a.b#AAAAAAAAAAAAAAAAAAAAAAAA//A"); /* the hash as it was */
    struct route again = entry_route(h);
    CHECK(again.kind == ROUTE_HASHED && again.type_len == 27 && again.path_len == 3);
    tree_each_covered(&tree, &any, false, collect, &found);
    CHECK(found.count == 1 && found.entries[0] == a);
    tree_fini(&tree);
}

TEST(router_tree, nodes_go_with_the_last_entry_below_them)
{
    struct tree tree;
    struct entry *upper, *lower;
    struct route up = parse("T@a.b"), low = parse("T@a.b.c.d");
    CHECK_EQ(tree_init(&tree), 0);
    CHECK(tree_make(&tree, &low, &lower) == 0 && tree_make(&tree, &up, &upper) == 0);
    CHECK_EQ(tree.nodes.count, 5);
    tree_prune(&tree, upper); /* still on the way to the other */
    CHECK(tree.nodes.count == 5 && !tree_find(&tree, &up) && tree_find(&tree, &low));
    struct chain record;
    chain_push(&lower->intents, &record);
    tree_prune(&tree, lower);
    CHECK_EQ(tree.nodes.count, 5);
    chain_remove(&lower->intents, &record);
    tree_prune(&tree, lower);
    CHECK_EQ(tree.nodes.count, 0);
    CHECK(tree_walk(&tree, NULL, false) == tree.root && !tree_walk(&tree, tree.root, false));
    tree_fini(&tree);
}

static void check_near(const struct tree *tree, const struct route *any, struct entry **entries,
                       const unsigned *near)
{
    struct found found = {.count = 0};
    tree_each_covered(tree, any, true, collect, &found);
    for (size_t i = 0; i < COUNT; i++)
        CHECK(!near[i] || is_found(&found, entries[i]));
    for (size_t i = 0; i < found.count; i++)
        CHECK(found.entries[i]->near > 0);
}

TEST(router_tree, near_walks_meet_what_has_near_records_and_little_else)
{
    struct tree tree;
    struct entry *entries[COUNT];
    unsigned near[COUNT] = {0};
    struct prng prng;
    struct route any = parse("*@**");
    prng_init(&prng, 12);
    CHECK_EQ(tree_init(&tree), 0);
    for (size_t i = 0; i < COUNT; i++)
        entries[i] = random_entry(&tree, &prng, false);
    for (size_t n = 0; n < 2000; n++) {
        size_t i = prng_between(&prng, 0, COUNT - 1);
        bool added = near[i] == 0 || prng_next(&prng) % 2;
        near[i] += added ? 1 : -1u;
        tree_count_near(entries[i], added);
        if (n % 50 == 0)
            check_near(&tree, &any, entries, near);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (; near[i]; near[i]--)
            tree_count_near(entries[i], false);
    CHECK_EQ(tree.root->near, 0);
    tree_fini(&tree);
}
