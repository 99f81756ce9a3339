/* What the files of the virtual network share. */
#ifndef TESTS_SIM_NET_PRIVATE_H
#define TESTS_SIM_NET_PRIVATE_H

#include "net.h"

#define NET_EPOCH UINT64_C(1700000000000000000) /* wall clock at the start */

enum event_type {
    EVENT_TICK,  /* node: a deadline of its mesh */
    EVENT_TURN,  /* end: it writes what has gathered */
    EVENT_DIAL,  /* end 0: its dial arrives */
    EVENT_CHUNK, /* end: the first chunk away from it arrives */
};

struct event {
    uint64_t at, seq; /* seq keeps what is due at the same time in order */
    enum event_type type;
    struct net_node *node;
    struct net_end *end;
    uint32_t life; /* TICK: of the node */
};

struct net {
    struct net_options options;
    struct prng prng;
    uint64_t now, next_seq;
    struct event *heap; /* binary, earliest first */
    size_t heap_len, heap_cap;
    struct net_node **nodes;
    uint32_t count, cap;
    struct list conns;
    net_filter *filter;
    void *filter_ctx;
    struct net_counts counts;
    bool trace;
};

/* The targets of one intent, as a data plane would keep them. */
struct net_flow {
    struct list in_node;
    struct router_intent *rec;
    struct router_target *targets;
    size_t count, cap;
};

/* Fail loudly: nothing here can go on without memory. */
void *net_alloc(void *p, size_t size);
void net_bytes_put(struct net_bytes *b, const void *data, size_t size);
void net_bytes_drop(struct net_bytes *b, size_t size);
void net_trace(const struct net *net, const struct net_node *node, const char *format, ...)
    PRINTF_LIKE(3, 4);

uint64_t net_chance(struct net *net, uint64_t low, uint64_t high);
void net_schedule(struct net *net, struct event event);
struct net_node *net_node_at(const struct net *net, const struct url *url);

/* After each call into a node's mesh: its tables are read, its timer set. */
void net_after(struct net_node *node);

/* ---- net_conn.c ---- */

extern const struct mesh_ops net_ops;
static inline struct net_end *net_other(struct net_end *end)
{
    return &end->conn->ends[end == &end->conn->ends[0]];
}
void net_conn_event(struct net *net, const struct event *event);
/* Both ends closed and no event under way: then it is freed. */
void net_conn_sweep(struct net_conn *conn);
void net_conn_free(struct net_conn *conn);
struct net_conn *net_dial(struct net_node *from, struct net_node *to);
/* Send bytes, whole or in pieces. */
void net_put_data(struct net_end *end, const uint8_t *data, size_t size);
/* Close an end; `tell` sends what is queued and the end of the stream. */
void net_end_close(struct net_end *end, bool tell);

/* ---- net_plane.c ---- */

void net_plane_drain(struct net_node *node);
void net_plane_clear(struct net_node *node);

#endif
