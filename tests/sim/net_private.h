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
    EVENT_PUMP,  /* node: a program of it sends or reads */
};

struct event {
    uint64_t at, seq; /* seq keeps what is due at the same time in order */
    enum event_type type;
    struct net_node *node;
    struct net_end *end;
    uint32_t life; /* TICK, PUMP: of the node */
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
    struct net_traffic traffic;
    struct net_bytes payload; /* of the message being sent */
    uint64_t next_uid;
    uint64_t hash, events;
    char broken[512];
    bool trace;
};

/* The targets of one intent, as a data plane keeps them (node/flow.c). */
struct net_flow {
    struct list in_node;
    struct router_intent *rec;
    struct str *text;   /* of its route */
    struct route route; /* of text */
    struct router_target *targets;
    size_t count, cap;
};

/* Fail loudly: nothing here can go on without memory. */
void *net_alloc(void *p, size_t size);
void net_bytes_put(struct net_bytes *b, const void *data, size_t size);
void net_bytes_drop(struct net_bytes *b, size_t size); /* all: its memory goes too */
void net_bytes_free(struct net_bytes *b);
void net_trace(const struct net *net, const struct net_node *node, const char *format, ...)
    PRINTF_LIKE(3, 4);

uint64_t net_chance(struct net *net, uint64_t low, uint64_t high);
/* A generator that depends on the seed and these alone. */
void net_seed_prng(const struct net *net, struct prng *prng, uint64_t a, uint64_t b, uint64_t c);
void net_note(struct net *net, uint64_t what); /* into the hash */
void net_schedule(struct net *net, struct event event);
struct net_node *net_node_at(const struct net *net, const struct url *url);

/* After each call into a node's mesh: its tables are read, its timer set. */
void net_after(struct net_node *node);

/* ---- net_conn.c: connections ---- */

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
/* It has something to write: a turn comes. */
void net_write_soon(struct net_end *end);
/* What is on its way from this end is lost. */
void net_lose_chunks(struct net_end *end);
/* Close an end; `tell` sends what is queued and the end of the stream. */
void net_end_close(struct net_end *end, bool tell);
/* The program of no process: a test's own. */
bool net_is_raw(const struct net_node *node);
/* Go on with what is paused; `expired`: only where the time is over. */
void net_resume(struct net_node *node, bool expired);

/* ---- net_ops.c: what a mesh asks for, and faults ---- */

extern const struct mesh_ops net_ops;
/* What the filter says. */
bool net_passes(const struct net_end *end, const struct header *header, const struct frame *frame);
void net_bind(struct net_end *end, struct mesh_link *link);
struct net_end *net_end_by_id(const struct net_node *node, uint32_t id); /* or NULL */

/* ---- net_plane.c: routes ---- */

void net_plane_drain(struct net_node *node);
void net_plane_clear(struct net_node *node);

/* ---- net_data.c: messages ---- */

bool net_is_message(const struct frame *frame);
/* False: the end pauses, and the frame stays. */
bool net_take_message(struct net_end *end, const struct frame *frame);
/* `size` bytes of messages left the lane: there is room. */
void net_written(struct net_end *end, size_t size);
/* Messages that wait here are lost, and counted by the sender. */
void net_drop_waiting(struct net_end *end);
void net_ledger_close(struct net_end *end);   /* and what is in it: lost on the way */
void net_programs_run(struct net_node *node); /* send and read what is due */
void net_interest_closing(struct net_node *node, const struct net_route *interest);
void net_route_free(struct net_route *route);

/* ---- net_disk.c ---- */

void net_disk_start(struct net_node *node, bool found);
uint64_t net_disk_deadline(const struct net_node *node);
void net_disk_tick(struct net_node *node);
void net_disk_crash(struct net_node *node);
void net_disk_leave(struct net_node *node);

#endif
