/* Sending, from any thread.
 *
 * The happy path of weft_send, for small messages to linked peers: take plane, append one frame to
 * the chunk that is open in each outbox, release plane. The loop is woken if it sleeps; in bulk
 * (bulk.c) it is left alone, and whoever fills a chunk writes it. Nobody interested: a lock and a
 * look.
 *
 * No room somewhere: the intent's policy decides, for that peer alone. BLOCK waits before anything
 * is queued, so that a message is queued everywhere at one moment and every peer sees one order. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"
#include "node/records.h"

#define CHUNKS_MAX 16 /* peers of the happy path */
#define WRITERS_MAX 8 /* peers a sender writes to itself; the loop writes to the others */

/* ---- Room ---- */

/* Do all peers (even those given up on) have room? plane held */
static bool peers_have_room(const struct flow *f, size_t size, bool even_stuck)
{
    for (uint32_t t = 0; t < f->n_targets; t++) {
        const struct outbox *o = &f->targets[t].conn->out;
        size_t need = outbox_frame_size(o, f->targets[t].route, size);
        if (need && o->open && (even_stuck || !o->stuck) && !outbox_has_room(o, need))
            return false;
    }
    return true;
}

/* The same of this node's own interests. */
static bool locals_have_room(weft_node *node, const struct flow *f, size_t size, bool even_stuck)
{
    bool callbacks = false;
    for (uint32_t l = 0; l < f->n_locals; l++) {
        callbacks |= f->locals[l]->options.on_message != NULL;
        if (even_stuck ? interest_refuses(f->locals[l], size)
                       : interest_wait_ms(f->locals[l], size) > 0)
            return false;
    }
    return !callbacks || local_has_room(&node->local, node->options.outbox, size);
}

static bool all_have_room(weft_node *node, const struct flow *f, size_t size)
{
    return peers_have_room(f, size, false) && locals_have_room(node, f, size, false);
}

/* Would weft_try_send have to drop the message somewhere? A peer's KEEP_LAST slot always takes it.
 */
static bool must_refuse(weft_node *node, const struct flow *f, size_t size, enum weft_policy policy)
{
    return (policy != WEFT_KEEP_LAST && !peers_have_room(f, size, true)) ||
           !locals_have_room(node, f, size, true);
}

/* Give up on those without room until they have drained. plane held */
static void mark_stuck(struct flow *f, size_t size)
{
    for (uint32_t t = 0; t < f->n_targets; t++) {
        struct outbox *o = &f->targets[t].conn->out;
        size_t need = outbox_frame_size(o, f->targets[t].route, size);
        o->stuck |= need && !outbox_has_room(o, need);
    }
}

/* BLOCK: wait for room. False: there is none, or nobody looked. plane held; the flow may be gone
 * afterwards. */
static bool wait_for_room(weft_intent *i, size_t size)
{
    weft_node *node = i->node;
    if (i->options.block_ms == 0 || on_loop(node))
        return false;
    if (all_have_room(node, i->flow, size))
        return true;
    uint64_t deadline = deadline_after((int)i->options.block_ms);
    while (i->flow && !node->closed && !all_have_room(node, i->flow, size)) {
        if (!node_wait(node, &node->room, deadline)) {
            if (i->flow)
                mark_stuck(i->flow, size);
            return false;
        }
    }
    return true;
}

/* Queue for one peer, or drop. Returns whether it was queued. plane held */
static bool send_to_peer(weft_node *node, const struct sending *s, const struct target *t,
                         enum weft_policy policy)
{
    static const enum weft_drop no_room[] = {
        [WEFT_BLOCK] = WEFT_DROP_TIMEOUT,
        [WEFT_REFUSE] = WEFT_DROP_REFUSED,
    };
    struct outbox *o = &t->conn->out;
    size_t need = outbox_frame_size(o, t->route, s->size);
    enum weft_drop reason;
    if (!o->open) {
        reason = WEFT_DROP_LINK;
    } else if (need == 0) {
        reason = WEFT_DROP_TOOBIG;
    } else {
        if (policy == WEFT_DROP_OLDEST && !outbox_has_room(o, need))
            outbox_make_room(node, o, need);
        if (policy < ARRAY_LEN(no_room) && !outbox_has_room(o, need)) {
            reason = no_room[policy];
        } else {
            int rc = policy == WEFT_KEEP_LAST ? outbox_put_last(node, o, s, t->route)
                                              : outbox_put(node, o, s, t->route);
            if (rc == 0)
                return true;
            reason = WEFT_DROP_NOMEM;
        }
    }
    outbox_drop(node, o, s->flow, reason);
    return false;
}

/* What the sender still has to do once plane is released. */
struct aftermath {
    bool wake, direct; /* direct: callbacks to be run here */
    int error;
    unsigned n_writers;
    struct conn *writers[WRITERS_MAX]; /* taken: this thread writes to them */
};

static void send_to_peers(weft_node *node, const struct sending *s, enum weft_policy policy,
                          struct aftermath *after)
{
    for (uint32_t t = 0; t < s->flow->n_targets; t++) {
        if (send_to_peer(node, s, &s->flow->targets[t], policy))
            after->wake |= node_queued(node, &s->flow->targets[t].conn->out);
        else
            after->error = WEFT_EDROPPED;
    }
}

/* The message for queues and callbacks of this node. plane held */
static weft_msg *local_msg(weft_node *node, const struct sending *s)
{
    struct flow *f = s->flow;
    return s->msg ? msg_wrap(node->pool, s->msg, f->route, f->sender, s->time)
                  : msg_copy(node->pool, s->data, s->size, f->route, f->sender, s->time);
}

/* plane held */
static void push_to_locals(weft_node *node, const struct sending *s, weft_msg *msg,
                           struct aftermath *after)
{
    struct flow *f = s->flow;
    struct parcel p = {.data = s->data,
                       .size = s->size,
                       .time = s->time,
                       .route = f->route,
                       .sender = f->sender,
                       .msg = msg};
    for (uint32_t l = 0; l < f->n_locals; l++) {
        if (f->locals[l]->options.on_message)
            continue;
        if (interest_push(f->locals[l], &p, s->promised))
            node->queued_here++;
        else
            after->error = WEFT_EDROPPED;
    }
}

/* No memory for the message: all miss it but callbacks that are called from here. plane held */
static void lose_locals(weft_node *node, struct flow *f, struct aftermath *after)
{
    for (uint32_t l = 0; l < f->n_locals; l++) {
        if (after->direct && f->locals[l]->options.on_message)
            continue;
        flow_count_drops(f, WEFT_DROP_NOMEM, 1);
        node->dropped[WEFT_DROP_NOMEM]++;
        after->error = WEFT_EDROPPED;
    }
}

/* plane held */
static void send_to_locals(weft_node *node, const struct sending *s, enum weft_policy policy,
                           struct aftermath *after)
{
    struct flow *f = s->flow;
    after->direct = f->callbacks && on_loop(node) && !node->delivering && !node->local.head;
    bool for_loop = f->callbacks && !after->direct;
    weft_msg *msg = NULL;
    if (for_loop || s->size > RECORD_COPY_MAX) {
        msg = local_msg(node, s);
        if (!msg) {
            lose_locals(node, s->flow, after);
            return;
        }
    }
    push_to_locals(node, s, msg, after);
    if (!for_loop) {
        weft_msg_unref(msg);
        return;
    }
    if (local_put(node, f, msg, policy) < 0)
        after->error = WEFT_EDROPPED;
    after->wake |= node_todo(node, TODO_LOCAL);
}

static void call_directly(weft_node *node, const struct sending *s)
{
    struct flow *f = s->flow;
    weft_msg msg = {
        .transient = true,
        .pool = node->pool,
        .data = (uint8_t *)(uintptr_t)s->data,
        .size = s->size,
        .time = s->time,
        .route = f->route,
        .sender = f->sender,
    };
    node_enter(node);
    for (uint32_t l = 0; l < f->n_locals; l++) {
        if (f->locals[l]->options.on_message)
            deliver_call(node, f->locals[l], &msg);
    }
    node_leave_lightly(node);
}

/* ---- Writing from here ---- */

/* Nobody is at it, and a sender may be. plane held */
static bool may_write(const struct conn *c)
{
    return c->out.direct && !c->out.writing && list_empty(&c->flight);
}

/* Take what has gathered for the flow's peers. plane held */
static void take_to_write(const struct flow *f, struct aftermath *after)
{
    for (uint32_t t = 0; t < f->n_targets && after->n_writers < WRITERS_MAX; t++) {
        struct conn *c = f->targets[t].conn;
        if (outbox_waiting(&c->out) >= DIRECT_MIN && may_write(c) && conn_take(c, DIRECT_BYTES))
            after->writers[after->n_writers++] = c;
    }
}

/* No lock held; those taken cannot go away. Nobody else wakes the loop while we owe it that: not to
 * be put off until the kernel has copied half a megabyte. */
static void write_taken(weft_node *node, struct aftermath *after)
{
    if (after->wake)
        node_wake(node);
    after->wake = false;
    for (unsigned i = 0; i < after->n_writers; i++) {
        int result = conn_write_taken(after->writers[i]);
        plane_lock(node);
        if (result >= 0) {
            after->writers[i]->out.writes++;
            after->wake |= bulk_enter(node, &after->writers[i]->out);
        }
        after->wake |= conn_give(after->writers[i], result);
        plane_unlock(node);
    }
}

/* ---- A message ---- */

/* The clock, read once for messages that follow each other within CPU_TICKS_SHORT. plane held */
static uint64_t recent_time(weft_node *node)
{
    uint64_t ticks = cpu_ticks();
    if (ticks - node->stamp_ticks < CPU_TICKS_SHORT && ticks)
        return node->stamp;
    node->stamp_ticks = ticks;
    node->stamp = wall_ns();
    return node->stamp;
}

/* The time to stamp on a message. In bulk, which the loop looks after, not even ticks are read for
 * each. plane held */
static uint64_t stamp(weft_node *node, const struct flow *f)
{
    struct outbox *o = f->n_targets ? &f->targets[0].conn->out : NULL;
    if (!o || !o->bulk)
        return recent_time(node);
    if (o->stamp_uses-- == 0) {
        o->stamp_uses = STAMP_USES;
        o->stamp = wall_ns();
    }
    return o->stamp;
}

/* The chunks of all peers of a flow that take `need` bytes as things stand. False: some peer has
 * none, or they are too many for this way. plane held */
static bool open_chunks(const struct flow *f, size_t need, struct seg *chunks[CHUNKS_MAX])
{
    if (f->n_targets > CHUNKS_MAX)
        return false;
    for (uint32_t t = 0; t < f->n_targets; t++) {
        chunks[t] = outbox_open_chunk(&f->targets[t].conn->out, need);
        if (!chunks[t])
            return false;
    }
    return true;
}

/* Queue the message for the one interest of this node, which takes it as things stand. plane held
 */
static bool push_at_once(weft_node *node, struct flow *f, const void *data, size_t size,
                         uint64_t time)
{
    struct parcel p = {
        .data = data, .size = size, .time = time, .route = f->route, .sender = f->sender};
    if (size > RECORD_COPY_MAX || !interest_push_at_once(f->locals[0], &p))
        return false;
    node->queued_here++;
    return true;
}

/* The happy path: nothing to wait for, to allocate or to drop. plane held */
static bool send_at_once(weft_node *node, struct flow *f, const void *data, size_t size,
                         struct aftermath *after)
{
    struct seg *chunks[CHUNKS_MAX];
    if (size > COPY_MAX || f->callbacks || f->n_locals > 1 || !flow_matched(f) ||
        !open_chunks(f, FRAME_COMPACT_HEAD + size, chunks))
        return false;
    uint64_t time = stamp(node, f);
    if (f->n_locals && !push_at_once(node, f, data, size, time))
        return false;
    for (uint32_t t = 0; t < f->n_targets; t++) {
        struct outbox *o = &f->targets[t].conn->out;
        outbox_append(o, chunks[t], f->alias, time, data, size);
        if (!o->bulk)
            after->wake |= node_queued(node, o);
    }
    f->messages++;
    return true;
}

/* plane held */
static void send_slowly(weft_intent *i, struct sending *s, bool try, struct aftermath *after)
{
    weft_node *node = i->node;
    enum weft_policy policy = i->options.policy;
    if (i->flow && flow_matched(i->flow) && policy == WEFT_BLOCK && !try)
        s->promised = wait_for_room(i, s->size);
    s->flow = i->flow;
    if (atomic_load_explicit(&i->closed, memory_order_relaxed) || node->closed) {
        after->error = WEFT_ECLOSED;
    } else if (i->error) {
        after->error = i->error;
    } else if (s->flow && flow_matched(s->flow)) {
        if (try && must_refuse(node, s->flow, s->size, policy)) {
            after->error = WEFT_EAGAIN;
            return;
        }
        s->promised |= try;
        s->time = stamp(node, s->flow);
        s->flow->messages++;
        send_to_peers(node, s, policy, after);
        if (s->flow->n_locals)
            send_to_locals(node, s, policy, after);
        take_to_write(s->flow, after);
    } else if (s->flow && s->flow->starved) {
        after->error = WEFT_ENOMEM;
    }
}

static int send_common(weft_intent *i, const void *data, size_t size, weft_msg *msg, bool try)
{
    weft_node *node = i->node;
    if (size > atomic_load_explicit(&node->max_frame, memory_order_relaxed) - FRAME_COMPACT_HEAD)
        return WEFT_ETOOBIG;
    struct aftermath after;
    after.wake = after.direct = false;
    after.error = 0;
    after.n_writers = 0;
    struct sending s;
    plane_lock(node);
    bool open = i->flow && !atomic_load_explicit(&i->closed, memory_order_relaxed) && !node->closed;
    if (!open || i->options.policy == WEFT_KEEP_LAST ||
        !send_at_once(node, i->flow, data, size, &after)) {
        s = (struct sending){.data = data, .size = size, .msg = msg, .type = MSG_MESSAGE};
        send_slowly(i, &s, try, &after);
    }
    plane_unlock(node);
    if (after.n_writers)
        write_taken(node, &after);
    if (after.wake)
        node_wake(node);
    if (after.direct)
        call_directly(node, &s);
    return after.error;
}

/* The one peer of a flow, if a large message can be written to it from where it lies: nothing waits
 * there, or here. plane held */
static struct conn *through_to(const weft_intent *i, size_t size)
{
    const struct flow *f = i->flow;
    if (!f || f->n_targets != 1 || f->n_locals || i->node->closed ||
        atomic_load_explicit(&i->closed, memory_order_relaxed))
        return NULL;
    struct conn *c = f->targets[0].conn;
    bool fits = FRAME_COMPACT_HEAD + size <= c->out.compact_max;
    return fits && may_write(c) && outbox_empty(&c->out) ? c : NULL;
}

/* Returns whether the message is sent, or lost with the link. */
static bool write_through(weft_intent *i, const void *data, size_t size, int *ret_rc)
{
    weft_node *node = i->node;
    bool wake = false;
    plane_lock(node);
    struct conn *c = through_to(i, size);
    if (c) {
        struct flow *f = i->flow;
        uint8_t head[FRAME_COMPACT_HEAD];
        frame_put_compact(head, f->alias, stamp(node, f), size);
        uv_buf_t bufs[] = {
            uv_buf_init((char *)head, sizeof(head)),
            uv_buf_init((char *)(uintptr_t)data, (unsigned)size),
        };
        f->messages++;
        int result = conn_write_through(c, f->alias, bufs);
        *ret_rc = result < 0 ? WEFT_EDROPPED : 0;
        wake = conn_give(c, result);
    }
    plane_unlock(node);
    if (wake)
        node_wake(node);
    return c != NULL;
}

/* A large message is made shareable once instead of being copied for each peer. */
static int send_bytes(weft_intent *i, const void *data, size_t size, bool try)
{
    if (!i || (!data && size))
        return WEFT_EINVAL;
    if (size <= COPY_MAX || !atomic_load_explicit(&i->interested, memory_order_relaxed) ||
        size > atomic_load_explicit(&i->node->max_frame, memory_order_relaxed))
        return send_common(i, data, size, NULL, try);
    int rc;
    if (write_through(i, data, size, &rc))
        return rc;
    weft_msg *msg = msg_copy(NULL, data, size, NULL, NULL, 0);
    if (!msg)
        return WEFT_ENOMEM;
    rc = send_common(i, msg->data, size, msg, try);
    weft_msg_unref(msg);
    return rc;
}

int weft_send(weft_intent *intent, const void *data, size_t size)
{
    return send_bytes(intent, data, size, false);
}

int weft_try_send(weft_intent *intent, const void *data, size_t size)
{
    return send_bytes(intent, data, size, true);
}

int weft_send_msg(weft_intent *intent, weft_msg *msg)
{
    if (!intent || !msg)
        return WEFT_EINVAL;
    return send_common(intent, msg->data, msg->size, msg->transient ? NULL : msg, false);
}
