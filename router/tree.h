/* The path tree: who declared what, by route. The router has two of them, one of the plain and
 * hashed routes and one of the patterns, in which `*` and `**` are segments like others.
 *
 *     types.Pose@robot.arm.pose      root ── types.Pose ── robot ── arm ── pose •
 *     types.Pose@robot/base                                      └─ base •
 *     robot#bM0pVb…                       └─ # ── robot ── bM0pVb… •
 *                                    • something is declared here
 *
 * The type comes first: most patterns name one. Separators do not matter, since segments are the
 * keys. Nodes are found by (parent, segment) through one hash table, iterated through their
 * siblings, and go when nothing is declared at or below them. */
#ifndef ROUTER_TREE_H
#define ROUTER_TREE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/route.h"
#include "router/chain.h"
#include "router/table.h"

#define STEP_LEN_BITS 13
#define STEP_LEN_MASK ((1u << STEP_LEN_BITS) - 1)
static_assert(ROUTE_MAX <= STEP_LEN_MASK, "a segment's length fits its field");

/* A node of the tree; while `route` is set also the entry of that route. */
struct entry {
    struct table_node node;    /* tree->nodes, by parent and segment */
    struct entry *parent;      /* NULL: the root */
    struct entry *child;       /* first; NULL: none */
    struct entry *next, *prev; /* siblings, those with near records first; the first one's prev is
                                  the last, the last one's next NULL */
    struct str *route;         /* with '.' as its separator; NULL: nothing is declared here */
    struct chain *intents;     /* struct intent: ours, then those of near endpoints, then others */
    struct chain *interests;   /* struct router_interest: near ones, then others */
    uint32_t near;             /* records of near endpoints (ours, leaves'), here and below */
    uint32_t local, leaf, remote; /* interests to be relayed: ours, leaves', all links' */
    uint16_t len : STEP_LEN_BITS; /* of the segment */
    uint16_t kind : 2;            /* enum route_kind, while route is set */
    uint16_t mixed : 1;           /* interests to be relayed differ in their schemas, or did since
                                     the first of them came */
    char text[];                  /* the segment, not NUL-terminated */
};

struct tree {
    struct table nodes;
    struct entry *root;
    uint64_t steps; /* nodes visited because of a wildcard, in all */
};

/* Errors: WEFT_ENOMEM. */
int tree_init(struct tree *tree);
void tree_fini(struct tree *tree); /* frees all nodes, not what hangs in them; zeroed is fine */

/* The entry of a route, or NULL. */
struct entry *tree_find(const struct tree *tree, const struct route *route);

/* The same, made where it is not there; give it to tree_prune if nothing comes to hang in it.
 * Errors: WEFT_ENOMEM. */
int tree_make(struct tree *tree, const struct route *route, struct entry **ret_entry);

/* Remove the entry, and nodes above that served it alone, if nothing hangs in it. */
void tree_prune(struct tree *tree, struct entry *entry);

/* A record of a near endpoint came to hang in the entry, or went. */
void tree_count_near(struct entry *entry, bool added);

/* All nodes in depth-first order, parents first, nodes without a route included; with `near` only
 * those at or above records of near endpoints. Start at NULL. NULL: no more. */
struct entry *tree_walk(const struct tree *tree, const struct entry *last, bool near);

typedef void entry_fn(void *ctx, struct entry *entry);

/* Call fn once for each entry of a tree of patterns that covers a plain route; with `near` only for
 * those in which records of near endpoints hang, and others cost nothing. fn must not change the
 * tree. */
void tree_each_cover(const struct tree *patterns, const struct route *route, bool near,
                     entry_fn *fn, void *ctx);

/* Call fn once for each entry of a tree of routes that a pattern covers; `near` as above. fn must
 * not change the tree. */
void tree_each_covered(const struct tree *routes, const struct route *pattern, bool near,
                       entry_fn *fn, void *ctx);

/* The parsed route of an entry, borrowing its text. */
struct route entry_route(const struct entry *entry);

#endif
