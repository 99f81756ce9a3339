/* The mesh: router, address book and handshake composed into one node, still without I/O, clock or
 * entropy.
 *
 *     owner ── accept / opened / frame / ended / tick ──▶ mesh ── ops ──▶ owner
 *                                                          │
 *                          handshake (one a link) ─────────┼── addrbook (whom to dial, when)
 *                                                          └── router (who wants what)
 *
 * The cores never call each other: the mesh feeds each with what the others said. Its owner moves
 * bytes: under libuv in node/, under a virtual clock in a test. A call may emit any number of ops;
 * ops must not call back into the mesh. After every call the owner drains router_next_changed
 * (fan-outs) and asks mesh_deadline. One thread at a time. */
#ifndef MESH_MESH_H
#define MESH_MESH_H

#include <stdbool.h>
#include <stdint.h>

#include "addrbook/addrbook.h"
#include "base/list.h"
#include "handshake/handshake.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/url.h"
#include "router/router.h"

struct mesh;

#define MESH_SPARE_PLACES 4u /* beyond max_peers, for leaves that only ask or command */

enum lane {
    LANE_CONTROL, /* overtakes messages */
    LANE_ORDERED, /* keeps its place among them: what tells of intents, whose messages are around it
                   */
};

enum link_state {
    LINK_DIALING,
    LINK_HANDSHAKE,
    LINK_UP,
    LINK_RETIRING /* was UP; another link to the node is, and this one is brought to its end */
};

/* Who the other side is, as the handshake found it. Before that its strings are "". They live as
 * long as the link, but move when it goes UP: ask for them each time. */
struct link_peer {
    struct {
        const char *text, *path;
    } peer; /* its FQN, and that one's path */
    const char *agent;
    bool base; /* it speaks the base protocol alone */
    bool has_node_id;
    bool dialable, on_own_host; /* its FQN */
    uint8_t node_id[16];
    enum role role;
    uint32_t max_frame; /* the smaller of both */
    uint64_t features;  /* of both */
    uint64_t incarnation;
    uint64_t stamp; /* orders links of one initiator */
};

/* One connection, from the dial or accept on. Gone once ops->close was called for it. */
struct mesh_link {
    uint32_t id; /* also its endpoint in the router; never reused */
    enum link_state state;
    bool outbound;
    bool local; /* the connection stays on this host */
    void *user; /* the owner's */
    struct link_peer hs;
    uint64_t up_since;                      /* monotonic */
    uint64_t rtt_ns, rtt_var_ns, jitter_ns; /* 0 while unknown */
    struct link_private *priv;
    struct list node;
};

struct mesh_config {
    struct url self; /* our FQN; scheme://0.0.0.0:0/path for clients and leaves */
    bool advertised; /* self is configured `advertise` */
    uint8_t node_id[16];
    uint64_t incarnation;
    uint64_t seed; /* of the generator */
    const char *network, *agent;
    bool allow_base;
    enum role role;
    uint32_t max_frame, max_peers, max_routes;
    uint64_t features;
};

struct mesh_ops {
    /* Connect the link to url; answer with mesh_opened. */
    void (*dial)(void *ctx, struct mesh_link *link, const struct url *url);
    /* Queue whole control frames. Never dropped, in order within their lane. Errors: WEFT_ENOMEM,
     * WEFT_ELIMIT (too much waits unread). Either ends the link. */
    int (*send)(void *ctx, struct mesh_link *link, const void *frames, size_t size, enum lane lane);
    /* The link is UP: messages may pass. */
    void (*up)(void *ctx, struct mesh_link *link);
    /* Another link to the same node came UP. Of a route for which both are targets, `by` is the one
     * from now on; `link` is no more counted among the peers. NULL: it stands again. May come again
     * with another. */
    void (*replaced)(void *ctx, struct mesh_link *link, const struct mesh_link *by);
    /* Queue no message for the link any more: the GOODBYE behind the last comes next. */
    void (*retire)(void *ctx, struct mesh_link *link);
    /* Take no message from the link (`on`): one that it replaces is to be read to its end before.
     * Control frames before the first message go on. */
    void (*hold)(void *ctx, struct mesh_link *link, bool on);
    /* Feed no frame of the link (`on`), control frames included, until told otherwise: what it
     * declared costs so much that others come first. May be NULL; a frame that is fed all the same
     * is dealt with. */
    void (*stall)(void *ctx, struct mesh_link *link, bool on);
    /* The link is over; it was UP if up() was called. Write out what is queued (`drain`: messages
     * too), then close the connection. `link` is gone after this. */
    void (*close)(void *ctx, struct mesh_link *link, bool drain);
    /* A base peer has read every INTENT queued for it so far. */
    void (*intents_seen)(void *ctx, struct mesh_link *link);
    void (*event)(void *ctx, const weft_event *event);
    /* We are a leaf, and its router does not take this declaration of ours, which the frame of this
     * stamp had. NULL, 0: all is declared anew. May be NULL. */
    void (*refused)(void *ctx, const char *route, bool intent, int error, uint64_t stamp);
    /* A local interest found its first (or lost its last) intent. */
    void (*matched)(void *ctx, void *interest, bool matched);
    /* An answer to mesh_ping, mesh_ask_book or mesh_query; error 0 or WEFT_E…; rtt for a ping,
     * records for a book. */
    void (*answer)(void *ctx, uint64_t token, int error, uint64_t rtt_ns,
                   const struct book_record *records, size_t count);
    /* A piece of the answer to mesh_query, before the `answer` that ends it; of a refusal, its
     * sentence as `text` and nothing else. Good during the call. May be NULL. */
    void (*told)(void *ctx, uint64_t token, const struct answer_msg *part);
    /* The other side asks, or commands: to be answered by mesh_reply or mesh_refuse_query, now (the
     * one exception to what is said of ops above) or later, as long as the link stands. `query` is
     * good during the call. May be NULL: all are refused. */
    void (*query)(void *ctx, struct mesh_link *link, uint64_t nonce, const struct query_msg *query);
    void (*log)(void *ctx, enum weft_log_level level, const char *text);
};

/* Errors: WEFT_ENOMEM, WEFT_EURL. */
int mesh_new(const struct mesh_config *config, const struct mesh_ops *ops, void *ctx,
             struct moment now, struct mesh **ret_mesh);

/* Free everything; every link must have been closed. NULL is ignored. */
void mesh_free(struct mesh *mesh);

/* Of all that this node declared to others so far; those of later declarations are greater. */
uint64_t mesh_last_stamp(const struct mesh *mesh);
struct router *mesh_router(struct mesh *mesh);
struct addrbook *mesh_addrbook(struct mesh *mesh);
const struct url *mesh_self(const struct mesh *mesh);

/* The port was bound: our FQN is complete. */
int mesh_set_self(struct mesh *mesh, const struct url *self);

/* Send what declarations and the address book ask for. Call after using router or address book
 * directly. */
void mesh_settle(struct mesh *mesh, struct moment now);

/* Leave: GOODBYE to all, every link closed with drain. The mesh takes nothing on any more. */
void mesh_leave(struct mesh *mesh, struct moment now);

/* ---- Connections ---- */

/* A connection came in. `local`: it stays on this host; `guarded`: it came over a unix socket of
 * ours, or stays in the process. NULL: out of memory, close it. Too many at once close the longest
 * silent one. */
struct mesh_link *mesh_accept(struct mesh *mesh, void *user, const char *remote_host, bool local,
                              bool guarded, struct moment now);

/* The connection that ops->dial asked for stands (0) or failed (WEFT_E…). */
void mesh_opened(struct mesh *mesh, struct mesh_link *link, int error, const char *remote_host,
                 bool local, struct moment now);

/* Bytes came: the other side lives. */
void mesh_received(struct mesh_link *link, uint64_t mono_ns);

/* The owner does not read from the link for now, for want of room: its silence is ours. And since
 * it gets no PONG for what waits unread, it is PINGed, so that it hears from us. Call when reading
 * stops, and at each mesh_tick that finds it stopped. */
void mesh_paused(struct mesh *mesh, struct mesh_link *link, struct moment now);

/* A control frame came, header taken apart. */
void mesh_frame(struct mesh *mesh, struct mesh_link *link, const struct frame *frame,
                const struct header *header, struct moment now);

/* What came is no frame, or cannot be taken now (WEFT_EMALFORMED, WEFT_ETOOBIG, WEFT_EPROTO):
 * RESULT and close. */
void mesh_malformed(struct mesh *mesh, struct mesh_link *link, int error, const char *text,
                    struct moment now);

/* The connection ended (WEFT_ECLOSED: by the other side) or broke. ops->close follows. */
void mesh_ended(struct mesh *mesh, struct mesh_link *link, int error, struct moment now);

/* ---- Time ---- */

uint64_t mesh_deadline(const struct mesh *mesh);
void mesh_tick(struct mesh *mesh, struct moment now);

/* ---- Requests ---- */

/* Find an UP link by URL: FQN, or the same address. NULL: none. */
struct mesh_link *mesh_find(struct mesh *mesh, const struct url *url);

/* Measure a round trip; ops->answer follows, also when the link goes. Errors: WEFT_ENOMEM,
 * WEFT_ELIMIT. */
int mesh_ping(struct mesh *mesh, struct mesh_link *link, uint64_t token, struct moment now);

/* Ask for its address book. Errors: WEFT_ENOTSUP, WEFT_ELIMIT (one at a time), WEFT_ENOMEM. */
int mesh_ask_book(struct mesh *mesh, struct mesh_link *link, uint64_t token, struct moment now);

/* Ask for a report, or command (feature INFO). ops->told follows for each piece of the answer and
 * ops->answer at its end: with WEFT_ETIMEDOUT after 10 s without a piece, WEFT_ELIMIT for more than
 * 256 MiB of it, WEFT_ELOST or WEFT_ECLOSED when the link goes, or what the other side refused it
 * with. Errors: WEFT_ENOTSUP, WEFT_ELIMIT (one at a time), WEFT_ETOOBIG (larger than the other side
 * takes), WEFT_ENOMEM. */
int mesh_query(struct mesh *mesh, struct mesh_link *link, const struct query_msg *query,
               uint64_t token, struct moment now);

/* One piece of the answer to ops->query; part->nonce is taken from `nonce`. The query is done with
 * when part->more is false. Errors, nothing sent and the query still open: WEFT_ENOTFOUND (no such
 * query is open), WEFT_ELIMIT (the frame is larger than the link takes: less at a time),
 * WEFT_EAGAIN (so much waits for the link unread that this does not fit: later), WEFT_ENOMEM. */
int mesh_reply(struct mesh *mesh, struct mesh_link *link, uint64_t nonce,
               const struct answer_msg *part, struct moment now);

/* Answer with an error and a sentence (NULL: the error's text), in place of what is still missing.
 * A query that is not open is ignored. */
void mesh_refuse_query(struct mesh *mesh, struct mesh_link *link, uint64_t nonce, int error,
                       const char *text, struct moment now);

/* Forget a peer: out of the book, link closed with GOODBYE 3. Errors: WEFT_EURL, WEFT_ENOTFOUND. */
int mesh_forget(struct mesh *mesh, const char *url, struct moment now);
/* The configuration names a peer no more: the same, but as addrbook_unconfigure. Returns 1 if it
 * stays with its link, since an operator added it. Errors: WEFT_EURL, WEFT_ENOTFOUND. */
int mesh_unconfigure(struct mesh *mesh, const char *url, struct moment now);

/* Ban a peer until the wall-clock time, and end the link to it; 0 lifts the ban. Errors: WEFT_EURL,
 * WEFT_ESELF, WEFT_ENOTFOUND (lift), WEFT_ELIMIT, WEFT_ENOMEM. */
int mesh_ban(struct mesh *mesh, const char *url, uint64_t until_wall_ns, struct moment now);

/* As in mesh_config, from now on; links and routes that stand are not touched. */
void mesh_set_limits(struct mesh *mesh, uint32_t max_frame, uint32_t max_peers,
                     uint32_t max_routes);

/* ---- Looking ---- */

/* Its FQN, or what was dialled, or where it comes from. Lives as link->hs. */
const char *mesh_link_name(const struct mesh_link *link);
const char *mesh_link_dialled(const struct mesh_link *link); /* or "" */

struct list *mesh_links(struct mesh *mesh); /* of struct mesh_link, by node */
uint32_t mesh_up_count(const struct mesh *mesh);

struct mesh_counts {
    uint64_t dials, dials_failed, refused;
};
void mesh_count(const struct mesh *mesh, struct mesh_counts *ret_counts);

#endif
