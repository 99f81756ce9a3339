/* Ledgers: what was queued on a direction of a connection and not read yet. */
#ifndef TESTS_SIM_NET_LEDGER_H
#define TESTS_SIM_NET_LEDGER_H

#include "net_private.h"

#define OUTBOX_DEFAULT ((size_t)1 << 20)

/* One message queued for the other side. */
struct parcel {
    uint64_t uid, seq;
    uint32_t frame;          /* bytes */
    uint32_t interests_read; /* from the other side, when it was queued */
};

/* An interest that this end's node has closed, and how much it had told the other side by then. */
struct closed {
    char *text;
    struct route route;
    uint32_t mark;
};

struct net_ledger {
    struct parcel *items; /* [head, len) are queued and not read, oldest first */
    size_t head, len, cap;
    struct closed *closed;
    size_t n_closed, cap_closed;
};

struct net_ledger *net_ledger_of(struct net_end *end); /* made where there is none */
void net_ledger_put(struct net_end *end, const struct parcel *parcel);
size_t net_ledger_count(const struct net_end *end);
/* Only a fault, or a node with leaves, may cost messages. */
bool net_may_lose(const struct net_end *end);
/* Drop the oldest that wait in the lane, so many bytes of them at least; returns how many. */
size_t net_take_back(struct net_end *end, size_t bytes);
/* The same with all of one intent. */
size_t net_take_back_of(struct net_end *end, uint64_t uid);

static inline unsigned index_of(const struct net_node *node)
{
    return node ? node->index : UINT32_MAX;
}

#endif
