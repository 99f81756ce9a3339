/* A network in memory: meshes, byte pipes between them, and a virtual clock.
 *
 *     mesh ──send──▶ end ──turn──▶ [OPEN|DATA|DATA|END] ──delay──▶ end ──frames──▶ mesh
 *     program ─────▶  │ messages keep their place in the ordered lane     └──────▶ interests
 *
 * Every connection has two directions, each a queue of chunks that never overtake one another. A
 * seed decides all chance: delays, how frames are cut into pieces, when an end writes, whether
 * intents wait behind a backlog while the control lane overtakes them. Each node and each
 * connection draws from a generator of its own, so that what happens to one moves nothing at the
 * others. The same seed and the same calls give the same run (net_hash). All of it is
 * single-threaded, and memory is libc's, so that an allocator that fails hurts the meshes alone.
 *
 * Faults: a connection is cut (both ends learn, one learns, none learns), a direction falls silent,
 * nodes are partitioned (what is under way waits, as TCP would have it), a node is killed and
 * started again with its address book as it was on disk or without, stands still, is far away,
 * refuses dials or lets them run into nothing, has its wall clock set, a program reads slowly, and
 * a frame is swallowed by the filter.
 *
 * Messages (net_data.c) go the way node/ sends them, and what should become of each is known
 * beforehand: net_broken says what was found to be wrong.
 *
 * An address that belongs to no mesh can be the test's own: net_raw_* speak bytes. */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include "mesh/mesh.h"
#include "proto/route.h"

struct net;
struct net_conn;

/* Growing bytes, of libc's memory. */
struct net_bytes {
    uint8_t *data;
    size_t len, cap;
};

struct net_options {
    uint64_t seed;
    uint64_t delay_min_ns,
        delay_max_ns; /* each direction draws its own, each chunk a little more */
    unsigned pieces;  /* of 100 writes, so many arrive in pieces */
    unsigned backlog; /* of 100 writes, so many let the ordered lane wait */
    unsigned loss;    /* of 1,000 chunks, so many come only after they were sent again */
    size_t window;    /* bytes of a direction that wait unread; 0: any number */
    size_t outbox;    /* bytes of messages that wait for one peer; 0: 1 MiB */
    bool disk;        /* a node that dies has the book that was saved, not the one it had */
};

struct net_node_options {
    const char *url; /* FQN; NULL: tcp://10.0.x.y:7400/n<index> */
    const char *network;
    enum role role;
    bool allow_base, advertised;
    uint64_t features; /* 0: all that weft has */
    uint32_t max_peers, max_routes;
};

/* A route that the program of a node has open. */
struct net_route {
    struct list in_node;
    bool intent;
    char text[96];
    struct route route;             /* of text */
    struct router_intent *rec;      /* intents */
    struct router_interest *handle; /* interests */

    /* Intents: the program that sends. */
    uint64_t uid, seq;        /* of the handle; of its latest message */
    uint32_t todo, size;      /* messages it still has to send; bytes of each */
    int policy;               /* enum weft_policy */
    uint64_t gap_ns, pump_at; /* between two; when the next is due */
    uint64_t deadline;        /* BLOCK: when it waits no longer; 0: it does not wait */

    /* Interests: the program that reads. */
    uint64_t got;
    uint64_t every_ns, read_at; /* it takes one message so often; 0: at once */
    uint32_t waiting, limit;    /* messages in its queue, and their maximum */
    bool stuck;                 /* it ran out of time; no link waits for it until it has read */
    struct net_seen *seen;      /* the latest of each uid */
    size_t n_seen, cap_seen;
};

/* What becomes of dials to a node. */
enum net_dials { NET_DIALS_TAKEN, NET_DIALS_REFUSED, NET_DIALS_UNANSWERED };

struct net_node {
    struct net *net;
    uint32_t index;
    uint32_t life; /* counts starts: what was scheduled for an earlier one is void */
    bool alive;
    char url[URL_MAX + 1], host[64];
    char second[64]; /* another host that leads to it; empty: none */
    struct net_node_options options;
    uint8_t id[16];
    struct mesh *mesh;      /* NULL while it is down, and for the test's own addresses */
    struct list conns;      /* test's own address: struct net_end.in_raw, oldest first */
    struct list ends;       /* struct net_end.in_node: its connections */
    struct list paused;     /* struct net_end.in_paused: what it does not read for now */
    struct list routes;     /* struct net_route */
    struct list flows;      /* those with targets */
    struct net_end **by_id; /* by the id of the link; NULL: it has gone */
    uint32_t cap_by_id;
    struct buf book;    /* its address book as it was when it went down, or on its disk */
    struct buf writing; /* the book on its way to the disk */
    uint64_t save_at, saved_at;
    uint64_t tick_at;
    uint32_t group; /* nodes of different groups do not reach each other */
    enum net_dials dials;
    uint64_t lag_ns;      /* on top of the delay of what it sends */
    int64_t wall_step_ns; /* its wall clock against the others' */
    uint64_t stalled_until;
    bool stall_harms; /* it stands still for so long that its links may be given up */
    bool router;      /* leaves attach to it: it does not hand over */
    bool resume;      /* what is paused is to be looked at */
    bool pump;        /* a program waits for room */
    uint64_t dialled; /* dials it made, over all its lives */

    /* What was seen. */
    uint64_t unserved; /* an intent of its own lost its last peer */
    uint64_t ups, downs, refused, route_refused, warnings, answers;
    uint64_t not_taken, taken_anew; /* a leaf's: declarations, and how often it told all again */
    int last_error;
    char last_text[1024];
    char last_peer[URL_MAX + 1];
    uint64_t last_rtt;
    int last_answer;
    size_t last_records;
};

/* One side of a connection. */
struct net_end {
    struct net_conn *conn;
    struct net_node *node; /* whose; NULL: the address is nobody's */
    struct mesh_link *link;
    struct list in_raw, in_node, in_paused;
    struct net_bytes rx;      /* what came and is no whole frame yet; for the test's own end, all */
    struct net_bytes lane[2]; /* written, not sent yet */
    uint64_t turn_at;         /* when it writes; NEVER: nothing to write */
    bool connected, up;
    bool closed;          /* by its owner: takes nothing more */
    bool retired, held;   /* what mesh_ops say of it */
    uint32_t replaced_by; /* id of a link; 0: none */
    bool got_end;         /* the other side has closed; raw, or paused */
    bool compact;         /* messages go in compact frames */
    bool stuck;           /* a BLOCK ran out of time here */
    bool paused;          /* on node->paused */
    uint64_t pause_until;
    size_t unread; /* bytes of rx the sender is not told of yet */

    /* The direction away from this end. */
    struct list chunks;
    uint64_t delay_ns, last_arrival;
    bool silent;               /* what is sent is lost */
    bool window_full;          /* lanes wait for the other side to read */
    size_t flying;             /* bytes sent and not read */
    size_t waiting;            /* bytes of messages in the ordered lane */
    struct net_ledger *ledger; /* messages queued and not read; NULL: there were none */
    uint32_t interests_put, interests_read; /* INTEREST and INTERESTS: sent, and read here */
};

struct net_conn {
    struct net *net;
    struct list in_net;
    struct net_end ends[2]; /* 0 dialled */
    struct prng prng;
    uint32_t events;        /* that refer to it */
    bool harmed;            /* a fault has met it: it may lose messages */
    uint64_t blocked_since; /* between partitioned nodes; 0: it is not */
    bool local;             /* it stays on one host */
    bool resets;            /* an end that is gone answers bytes with a reset */
};

struct net *net_new(const struct net_options *options);
/* Kill everything, check that no mesh left anything behind, free. */
void net_free(struct net *net);

struct prng *net_prng(struct net *net);
uint64_t net_now(const struct net *net); /* since the start */
uint64_t net_seed(const struct net *net);
struct moment net_moment_of(const struct net_node *node);

/* ---- Nodes ---- */

/* Add a node that is down. options may be NULL. Returned nodes stay where they are. */
struct net_node *net_add(struct net *net, const struct net_node_options *options);
uint32_t net_count(const struct net *net);
struct net_node *net_node(const struct net *net, uint32_t index);

/* Start it with a new incarnation. With `remembers` it has the node id and the book it had; without
 * it is another node at the same address that knows nobody. False: out of memory. */
bool net_start(struct net_node *node, bool remembers);

/* Say a peer URL to it, as configuration does (persistent). */
int net_configure(struct net_node *node, const char *url);

enum net_death {
    NET_DEATH_CLOSES, /* the process died: the other sides learn at once */
    NET_DEATH_RESETS, /* the host came back: they learn when they write */
    NET_DEATH_SILENT, /* the host is gone: they learn nothing */
};
void net_kill(struct net_node *node, enum net_death death);
void net_leave(struct net_node *node); /* in good order */

/* Call after using a node's mesh, router or book directly. */
void net_settle(struct net_node *node);

/* ---- Time ---- */

/* Run all events up to now + ns. */
void net_run(struct net *net, uint64_t ns);

/* ---- Faults ---- */

enum net_cut {
    NET_CUT_BOTH,  /* both ends learn */
    NET_CUT_ONE,   /* one learns, the other keeps a half-open connection */
    NET_CUT_RESET, /* likewise, but learns when it writes */
    NET_CUT_NONE,  /* neither learns; nothing passes any more */
};
void net_cut(struct net_conn *conn, unsigned end, enum net_cut how);

/* Nothing that this end sends arrives any more. */
void net_silence(struct net_conn *conn, unsigned end);

/* The whole process stands still: it neither reads nor writes nor notices time. */
void net_stall(struct net_node *node, uint64_t ns);

/* A standing connection of the network, or NULL; between these two nodes where they are given. */
struct net_conn *net_find(struct net *net, const struct net_node *a, const struct net_node *b);
struct net_conn *net_pick(struct net *net); /* any one, by chance */

/* Asked for each frame that a mesh sends, and for each MESSAGE, with no frame; false: it is lost.
 * NULL: all pass. */
typedef bool net_filter(void *ctx, const struct net_end *from, const struct header *header,
                        const struct frame *frame);
void net_set_filter(struct net *net, net_filter *filter, void *ctx);

/* ---- What the network counts ---- */

#define NET_TYPES 64
struct net_counts {
    uint64_t frames[NET_TYPES]; /* by message type, as sent by meshes */
    uint64_t bytes, dials, accepted;
    uint64_t dials_second; /* of the dials, those to a second address */
    uint64_t links_max;    /* most links one node had at once */
    uint64_t pending_max;  /* of these, accepted and not yet up */
};
const struct net_counts *net_counts(const struct net *net);
void net_reset_counts(struct net *net);

/* ---- The test's own end (net_raw.c) ---- */

/* An address of the test's own: what is dialled there is accepted. */
struct net_node *net_raw_listen(struct net *net, const char *url);

/* Connect from a host of the test's own. */
struct net_end *net_raw_connect(struct net *net, struct net_node *from, struct net_node *to,
                                bool local);

/* Shake hands as a weft peer with these features; false if it did not come about. What came up to
 * then is taken. Runs the network for up to 2 s. */
bool net_raw_shake(struct net_end *end, uint64_t features);
/* Connect and shake hands, or NULL. */
struct net_end *net_raw_greet(struct net *net, struct net_node *from, struct net_node *to,
                              uint64_t features);
void net_raw_send(struct net_end *end, const struct control *control, uint64_t stamp,
                  bool want_result);
void net_raw_write(struct net_end *end, const void *data, size_t size);
void net_raw_close(struct net_end *end);

/* A HANDSHAKE from the one to the other, as a weft peer of incarnation 1 says it. */
struct control net_raw_handshake(const struct net_node *from, const struct net_node *to,
                                 enum stage stage, uint64_t features);

/* Run until a frame of that type has come, taking what comes before; false: not within ns. */
bool net_raw_await(struct net_end *end, uint32_t type, uint64_t ns, struct control *ret_control);

/* Take the next frame that came; false: none. The control is decoded (type 0: it does not decode)
 * and the caller's to free. */
bool net_raw_next(struct net_end *end, struct header *ret_header, struct control *ret_control);

/* ---- Routes (net_plane.c) ---- */

/* NULL: refused, *ret_error says why (may be NULL). An interest reads at once. */
struct net_route *net_open(struct net_node *node, bool intent, const char *text, int *ret_error);
void net_close(struct net_node *node, struct net_route *route);

/* ---- Messages (net_data.c) ---- */

struct net_traffic {
    uint64_t sent;      /* by programs */
    uint64_t queued;    /* for a peer, each of them */
    uint64_t delivered; /* to an interest, each of them */
    uint64_t refused;   /* no room for a peer: by the policy of the intent */
    uint64_t expired;   /* no room in an interest, or at a leaf */
    uint64_t unwanted;  /* read where nobody was interested any more */
    uint64_t lost;      /* with the link: waiting, the sender has counted it */
    uint64_t handovers; /* links that stepped back for another, at either end */
    uint64_t lost_away; /* with the link: on its way, only the network knows */
};
const struct net_traffic *net_traffic(const struct net *net);

/* The program behind an intent sends `count` messages more of `size` bytes, at least 24, one every
 * gap_ns. A node has it wait for room (WEFT_BLOCK, 1 s at most), or drops. */
void net_send(struct net_node *node, struct net_route *intent, uint32_t count, uint32_t size,
              int policy, uint64_t gap_ns);

/* The program behind an interest takes one message every `every_ns`, and up to `limit` wait. 0: all
 * at once. */
void net_read_slowly(struct net_node *node, struct net_route *interest, uint64_t every_ns,
                     uint32_t limit);

/* Does any message wait or travel on a link that stands, or any program have more to send? */
bool net_busy(const struct net *net);

/* What was found wrong so far: the first thing, or NULL. */
const char *net_broken(const struct net *net);
void net_wrong(struct net *net, const char *format, ...) PRINTF_LIKE(2, 3);

/* Of all that has happened. */
uint64_t net_hash(const struct net *net);
uint64_t net_events(const struct net *net);

/* Is every pair that can reach each other linked exactly once, with equal tables and the targets
 * that the routes demand? If not, why says what is wrong. */
bool net_whole(struct net *net, char *why, size_t size);

/* Run until net_whole, looking every 50 ms, for at most ns. Returns the time it took, or NEVER. */
uint64_t net_run_whole(struct net *net, uint64_t ns, char *why, size_t size);

#endif
