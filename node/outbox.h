/* Messages, and the outboxes in which they wait to be written to one peer. */
#ifndef NODE_OUTBOX_H
#define NODE_OUTBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <uv.h>

#include <weft/weft.h>

#include "base/list.h"
#include "base/str.h"
#include "mesh/mesh.h"
#include "node/trail.h"
#include "proto/frame.h"

#define CHUNK_SIZE (64u << 10) /* messages gathered for one write */
#define CHUNKS_SPARE 32u       /* kept for reuse */
#define COPY_MAX (16u << 10)   /* a larger message is referenced, not copied */
#define WRITE_BYTES (1u << 20) /* taken from an outbox for one write */
#define WRITE_BUFS 64u
#define DIRECT_MIN (256u << 10)   /* a sender writes once so much waits */
#define DIRECT_BYTES (512u << 10) /* at most, at once */
#define STAMP_USES 32u            /* messages in bulk that may share a reading of the clock */
#define FRAME_OVERHEAD (16u + FRAME_HEADER_MAX)

struct flow;

/* ---- Messages (msg.c) ---- */

struct weft_msg {
    atomic_uint refs;
    bool transient;        /* lies in a read buffer, valid during a callback: weft_msg_ref copies */
    uint8_t shelf;         /* of the pool */
    struct msg_pool *pool; /* where the block belongs; NULL: to the heap. transient: where a copy's
                              comes from */
    weft_msg *next;        /* in the pool, or in the local queue */
    struct flow *flow;     /* in the local queue: what it was sent on; NULL: that has gone */
    uint8_t *data;
    size_t size;
    uint64_t time;
    struct str *route, *sender; /* references held, unless transient */
    struct weft_msg *parent;    /* whose bytes these are, or NULL */
};

/* Blocks for messages, taken with a lock held, given back by any thread without. */
struct msg_pool *pool_new(pthread_mutex_t *lock); /* NULL: out of memory */
void pool_close(struct msg_pool *pool);           /* its messages may live on; NULL is ignored */
/* Nothing waits: give most of what a burst took back to the heap, once a second at most. lock not
 * held */
void pool_trim(struct msg_pool *pool, uint64_t mono);

/* NULL: out of memory. With a pool: its lock held. pool NULL: from the heap. */
weft_msg *msg_copy(struct msg_pool *pool, const void *data, size_t size, struct str *route,
                   struct str *sender, uint64_t time);
/* The same bytes under another route and time. */
weft_msg *msg_wrap(struct msg_pool *pool, weft_msg *parent, struct str *route, struct str *sender,
                   uint64_t time);

/* A lock that is held for less than a switch of threads takes. */
void mutex_init_spinning(pthread_mutex_t *mutex);

/* ---- Outbox (outbox.c): what waits to be written to one peer. plane ---- */

enum seg_kind { SEG_CHUNK, SEG_MESSAGE, SEG_CONTROL };

/* A piece of an outbox: a chunk of small compact frames; one message (head here, payload here or in
 * msg); or control frames. */
struct seg {
    struct list node;
    enum seg_kind kind;
    uint32_t alias;  /* MESSAGE: of the flow, for counting a drop */
    weft_msg *msg;   /* MESSAGE: payload, or NULL where it is in data */
    size_t off, len; /* unsent bytes of data are [off, len) */
    size_t cap;
    uint8_t data[];
};

/* KEEP_LAST: the newest message of one flow, not yet turned into a frame. */
struct slot {
    struct list node;
    struct flow *flow;
    struct str *route;
    weft_msg *msg;
    uint64_t time;
};

struct outbox {
    struct list control, ordered; /* of struct seg: the two lanes */
    struct list slots;            /* of struct slot */
    size_t queued;                /* bytes of messages waiting or in flight */
    size_t flying;                /* of these, what the writer has taken */
    size_t control_bytes;         /* the same of control frames; at most CONTROL_MAX */
    size_t limit;
    size_t peer_max;    /* largest frame the peer takes */
    size_t compact_max; /* the same of compact ones, while the outbox is open; 0: none */
    bool open;          /* takes messages: the link is UP */
    bool compact;       /* the peer knows aliases */
    bool stuck;         /* a BLOCK ran out of time; no waiting until it has drained */
    bool dirty;         /* on node->dirty */
    struct list dirty_node;

    /* The writer's token: who sets `writing` takes from the lanes and writes, and nobody else. */
    bool writing;
    bool passed_over;     /* something was queued meanwhile: the writer looks again */
    bool awaited;         /* a link pauses until there is room */
    bool direct;          /* senders may write themselves */
    int error;            /* a sender's write failed; the loop ends the link */
    bool bulk;            /* on node->bulk: senders write, the loop looks after what is left */
    uint32_t writes;      /* of senders ... */
    uint32_t writes_seen; /* ... and how many they, and messages, were at the last tick */
    uint64_t messages_seen;
    struct list bulk_node;
    uint64_t stamp;           /* bulk: time of the latest messages */
    uint32_t stamp_uses;      /* left, until the clock is read again */
    uint64_t messages, bytes; /* queued in all */
    uint64_t dropped[WEFT_DROP_REASONS];
};

void outbox_init(struct outbox *o, size_t limit);
/* Drop everything; messages count as DROP_LINK. keep_control keeps control frames. */
void outbox_clear(weft_node *node, struct outbox *o, bool keep_control);
bool outbox_empty(const struct outbox *o);
/* Bytes of the frame that would carry the message; 0 if the peer does not take one as large. */
size_t outbox_frame_size(const struct outbox *o, const struct str *route, size_t size);
/* Errors: WEFT_ENOMEM, WEFT_ELIMIT (a peer that makes us answer and does not read). */
int outbox_put_control(weft_node *node, struct outbox *o, const void *frames, size_t size,
                       enum lane lane);

/* One message on its way into outboxes and queues. */
struct sending {
    struct flow *flow;
    const void *data;
    size_t size;
    weft_msg *msg; /* holds data and may be shared; NULL: data must be copied */
    uint64_t time;
    uint32_t type; /* MSG_MESSAGE, or a user type, which goes in a standard frame */
    bool promised; /* interests that BLOCK had room for it */
};
/* Queue a frame. Errors: WEFT_ENOMEM. */
int outbox_put(weft_node *node, struct outbox *o, const struct sending *s, struct str *route);
/* KEEP_LAST: replace what is in the flow's slot. Errors: WEFT_ENOMEM. */
int outbox_put_last(weft_node *node, struct outbox *o, const struct sending *s, struct str *route);
/* Drop the oldest messages until `need` bytes fit. */
void outbox_make_room(weft_node *node, struct outbox *o, size_t need);
/* A sender writes a frame of `size` bytes that was never queued: count it as if it flew. */
void outbox_count_flying(struct outbox *o, size_t size);
/* `size` bytes of it are written. */
void outbox_count_written(struct outbox *o, size_t size);
/* It is lost. */
void outbox_count_lost(weft_node *node, struct outbox *o, uint32_t alias, size_t size);
/* Of what was written the last `unacked` bytes are lost. */
void outbox_count_trail(weft_node *node, struct outbox *o, const struct trail *trail,
                        size_t unacked);
/* Keep the unwritten rest of it for the writer. Errors: WEFT_ENOMEM. */
int outbox_keep_rest(weft_node *node, struct list *flight, uint32_t alias, const uv_buf_t bufs[2],
                     size_t written);
void outbox_drop(weft_node *node, struct outbox *o, struct flow *flow, enum weft_drop reason);
/* Forget the slot of a flow that dies. */
void outbox_drop_slot(weft_node *node, struct outbox *o, const struct flow *flow);
/* Turn slots into frames: all, or those of one flow. */
void outbox_flush_slots(weft_node *node, struct outbox *o, const struct flow *only);
/* Move up to `bytes` from the lanes to `flight`, control first. By who holds the token. */
void outbox_take(weft_node *node, struct outbox *o, struct list *flight, size_t bytes);
/* Hand one unlinked segment to the writer. Returns its bytes. */
size_t outbox_fly(struct outbox *o, struct seg *seg, struct list *flight);
/* The first `written` bytes of the flight are written, and that is all that will be: account and
 * free what is whole of them. */
void outbox_land_part(weft_node *node, struct outbox *o, struct list *flight, size_t written,
                      struct trail *trail, struct stream *stream);
/* Account and free what was written, or (lost) was not. */
void outbox_done(weft_node *node, struct outbox *o, struct list *flight, bool lost);
void seg_free(weft_node *node, struct seg *seg);
size_t seg_bytes(const struct seg *seg);

/* ---- The happy path, inline ---- */

/* Bytes that no writer has taken yet. */
static inline size_t outbox_waiting(const struct outbox *o)
{
    return o->queued - o->flying;
}

/* A message larger than the limit passes when nothing else waits. */
static inline bool outbox_has_room(const struct outbox *o, size_t need)
{
    return o->queued == 0 || o->queued + need <= o->limit;
}

/* The chunk that takes a small compact frame of `need` bytes as things stand: without waiting,
 * allocating or dropping. NULL: go the long way. */
static inline struct seg *outbox_open_chunk(const struct outbox *o, size_t need)
{
    if (need > o->compact_max || o->queued + need > o->limit || list_empty(&o->ordered))
        return NULL;
    struct seg *last = list_entry(o->ordered.prev, struct seg, node);
    return last->kind == SEG_CHUNK && last->cap - last->len >= need ? last : NULL;
}

/* Append a frame to the chunk that outbox_open_chunk gave. */
static inline void outbox_append(struct outbox *o, struct seg *chunk, uint32_t alias, uint64_t time,
                                 const void *data, size_t size)
{
    uint8_t *to = chunk->data + chunk->len;
    frame_put_compact(to, alias, time, size);
    if (size)
        memcpy(to + FRAME_COMPACT_HEAD, data, size);
    size_t need = FRAME_COMPACT_HEAD + size;
    chunk->len += need;
    o->queued += need;
    o->messages++;
    o->bytes += need;
}

#endif
