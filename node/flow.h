/* Flows, the data plane of one router intent (flow.c), and the tables that find them by their
 * number on the wire (aliases.c).
 *
 * There is one for each route this node publishes, and one for each that a peer publishes and
 * somebody here wants: a mesh may have a million of them. Most have one target, or an interest or
 * two, which lie in the flow itself; what few need is allocated when it is needed. */
#ifndef NODE_FLOW_H
#define NODE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/weft.h>

#include "base/list.h"
#include "base/str.h"
#include "base/util.h"
#include "router/router.h"

#define FLOW_FEW_LOCALS 2 /* an interest in the route, and one in a pattern */

struct target {
    struct conn *conn; /* whose outbox */
    struct str *route; /* as that peer spells it; reference held */
};

/* The fan-out is rebuilt by the loop when the router says it changed; `targets` and `locals` are
 * read under plane where the flow is our own (any thread sends), by the loop alone where it is
 * remote. */
struct flow {
    struct target *targets; /* in `few`, or on the heap */
    weft_interest **locals; /* likewise */
    uint32_t n_targets, n_locals;
    bool callbacks;             /* some local has one */
    bool callbacks_only;        /* no targets, and all locals have one */
    bool starved;               /* no memory for its fan-out: it is empty for a while */
    bool own;                   /* it lies in a struct own_flow */
    uint32_t alias;             /* on links we send over */
    uint32_t link_alias;        /* remote: its number in the alias table of its link; 0: in none */
    struct str *route, *sender; /* references held */
    struct router_intent *intent;
    uint64_t *dropped; /* WEFT_DROP_REASONS counters; NULL: nothing was; plane */
    union {
        struct target target;                   /* the only one, and there are no locals */
        weft_interest *locals[FLOW_FEW_LOCALS]; /* up to so many, and there are no targets */
    } few;
    uint64_t messages; /* plane, or loop where remote; away from what the other only reads */
};

/* The flow of a route that this node itself publishes. */
struct own_flow {
    struct flow flow;
    struct list handles;     /* of weft_intent; loop */
    struct list match_node;  /* on node->matches; loop */
    bool was_matched;        /* what handles were last told; loop */
    int refusal;             /* a leaf's: its router does not take it; plane */
    uint64_t declared_after; /* the mesh's last stamp when it was opened; loop */
};

static inline struct own_flow *own_flow(struct flow *f)
{
    return container_of(f, struct own_flow, flow);
}

static inline bool flow_matched(const struct flow *f)
{
    return f->n_targets + f->n_locals > 0;
}

/* NULL: out of memory. The flow takes the route and the alias of its intent. */
struct flow *flow_new(struct router_intent *intent, struct str *sender, bool own);
void flow_free(weft_node *node, struct flow *f); /* NULL is ignored; loop */
/* Count a dropped message; NULL is ignored. Without memory the flow's own count misses it. plane */
void flow_count_drops(struct flow *f, enum weft_drop reason, uint64_t count);
/* Rebuild the fan-outs of all intents that changed, release those that died. loop */
void flow_rebuild_changed(weft_node *node);
void flow_rebuild_all(weft_node *node);
int gather_open(weft_node *node);
void gather_close(weft_node *node);

/* ---- Alias tables ---- */

/* By the number the peer chose, flow->link_alias (one table a link; loop), or by our own,
 * flow->alias (one a node; plane). A flow in a table keeps its number. */
struct alias_table {
    struct flow **slots; /* NULL: free */
    uint32_t count, cap; /* cap is a power of two, or 0 */
    uint32_t key; /* not known to the peer, who chooses the aliases; set before the first put */
    bool ours;    /* by flow->alias; set before the first put */
};
/* A flow with the same number is replaced. Errors: WEFT_ENOMEM. */
int alias_put(struct alias_table *t, struct flow *flow);
void alias_del(struct alias_table *t, uint32_t alias);
struct flow *alias_get(const struct alias_table *t, uint32_t alias); /* NULL: unknown */
void alias_fini(struct alias_table *t);

#endif
