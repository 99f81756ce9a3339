/* Delivery of messages to this node's interests, and the relay of a router to its leaves.
 *
 * What comes over a link goes to callbacks straight from the read buffer, to queues as bytes (if it
 * is large, as one shared copy), and to other links as a frame with another alias. */
#include "base/mem.h"
#include "node/node.h"
#include "node/records.h"

void deliver_call(weft_node *node, weft_interest *interest, const weft_msg *msg)
{
    if (atomic_load_explicit(&interest->closed, memory_order_acquire))
        return;
    bool outer = node->delivering;
    node->delivering = true;
    node->delivered++;
    uint64_t called = atomic_load_explicit(&interest->called, memory_order_relaxed);
    atomic_store_explicit(&interest->called, called + 1, memory_order_relaxed);
    interest->options.on_message(interest, msg, interest->options.user);
    node->delivering = outer;
}

/* ---- From links ---- */

/* Has a leaf no room that may still come? Who writes to it tells us then. */
static bool peers_must_wait(weft_node *node, const struct flow *flow, size_t size)
{
    bool wait = false;
    plane_lock(node);
    for (uint32_t i = 0; i < flow->n_targets; i++) {
        struct outbox *o = &flow->targets[i].conn->out;
        size_t need = outbox_frame_size(o, flow->targets[i].route, size);
        if (need && o->open && !o->stuck && !outbox_has_room(o, need))
            wait = o->awaited = true;
    }
    plane_unlock(node);
    return wait;
}

/* Does some target lack room and still have time to find it? Notes until when. */
static bool must_wait(weft_node *node, struct conn *from, struct flow *flow, size_t size)
{
    uint32_t wait_ms = 0;
    for (uint32_t i = 0; i < flow->n_locals; i++) {
        uint32_t ms = interest_wait_ms(flow->locals[i], size);
        wait_ms = ms > wait_ms ? ms : wait_ms;
    }
    if (flow->n_targets && peers_must_wait(node, flow, size) && wait_ms < RELAY_BLOCK_MS)
        wait_ms = RELAY_BLOCK_MS;
    if (wait_ms && !from->pause_until)
        from->pause_until = node_now().mono_ns + wait_ms * NS_PER_MS;
    return wait_ms != 0;
}

/* `promised`: there was room when we looked. Where a sender of this node has taken it meanwhile the
 * message goes over the limit, by one a link at most, since the next one waits. */
static void relay(weft_node *node, struct flow *flow, const struct incoming *in, bool promised)
{
    struct sending s = {
        .flow = flow, .data = in->data, .size = in->size, .time = in->time, .type = in->type};
    if (in->size > COPY_MAX && flow->n_targets > 1)
        s.msg = msg_copy(NULL, in->data, in->size, NULL, NULL, 0);
    bool wake = false;
    plane_lock(node);
    for (uint32_t i = 0; i < flow->n_targets; i++) {
        struct outbox *o = &flow->targets[i].conn->out;
        size_t need = outbox_frame_size(o, flow->targets[i].route, in->size);
        if (!o->open) {
            outbox_drop(node, o, flow, WEFT_DROP_LINK);
        } else if (need == 0) {
            outbox_drop(node, o, flow, WEFT_DROP_TOOBIG);
        } else if (!outbox_has_room(o, need) && (!promised || o->stuck)) {
            o->stuck = true;
            outbox_drop(node, o, flow, WEFT_DROP_TIMEOUT);
        } else if (outbox_put(node, o, &s, flow->targets[i].route) < 0) {
            outbox_drop(node, o, flow, WEFT_DROP_NOMEM);
        } else {
            node->relayed++;
            wake |= node_mark_dirty(node, o);
        }
    }
    plane_unlock(node);
    weft_msg_unref(s.msg);
    if (wake)
        node_wake(node);
}

/* A message on the stack, over the bytes of a read buffer. */
static weft_msg in_place(weft_node *node, const struct flow *flow, const struct incoming *in)
{
    return (weft_msg){
        .transient = true,
        .pool = node->pool,
        .data = (uint8_t *)(uintptr_t)in->data, /* readable only: the API says not to write to it */
        .size = in->size,
        .time = in->time,
        .route = flow->route,
        .sender = flow->sender,
    };
}

void deliver_calls(weft_node *node, struct flow *flow, const struct incoming *in)
{
    node->messages_in++;
    flow->messages++;
    weft_msg msg = in_place(node, flow, in);
    for (uint32_t i = 0; i < flow->n_locals; i++)
        deliver_call(node, flow->locals[i], &msg);
}

static struct parcel parcel_of(const struct flow *flow, const struct incoming *in)
{
    return (struct parcel){.data = in->data,
                           .size = in->size,
                           .time = in->time,
                           .route = flow->route,
                           .sender = flow->sender};
}

/* The common case of one interest with a queue that has room. False: nothing happened. */
static bool deliver_queued(weft_node *node, struct flow *flow, const struct incoming *in)
{
    if (flow->n_targets || flow->n_locals != 1 || flow->callbacks || in->size > RECORD_COPY_MAX)
        return false;
    struct parcel p = parcel_of(flow, in);
    if (!interest_push_at_once(flow->locals[0], &p))
        return false;
    node->messages_in++;
    node->delivered++;
    flow->messages++;
    return true;
}

static void deliver_interests(weft_node *node, struct flow *flow, const struct incoming *in,
                              bool promised)
{
    weft_msg transient = in_place(node, flow, in);
    struct parcel p = parcel_of(flow, in);
    bool queues = false;
    for (uint32_t i = 0; i < flow->n_locals; i++) {
        if (flow->locals[i]->options.on_message)
            deliver_call(node, flow->locals[i], &transient);
        else
            queues = true;
    }
    if (queues && in->size > RECORD_COPY_MAX)
        p.msg = weft_msg_ref(&transient);
    for (uint32_t i = 0; queues && i < flow->n_locals; i++) {
        weft_interest *interest = flow->locals[i];
        if (interest->options.on_message)
            continue;
        if (in->size > RECORD_COPY_MAX && !p.msg)
            interest_no_memory(interest);
        else if (interest_push(interest, &p, promised))
            node->delivered++;
    }
    weft_msg_unref(p.msg);
}

bool deliver(weft_node *node, struct conn *from, struct flow *flow, const struct incoming *in,
             bool may_pause)
{
    if (deliver_queued(node, flow, in))
        return true;
    if (may_pause && must_wait(node, from, flow, in->size))
        return false;
    node->messages_in++;
    flow->messages++;
    if (flow->starved) {
        plane_lock(node);
        outbox_drop(node, &from->out, flow, WEFT_DROP_NOMEM);
        plane_unlock(node);
        return true;
    }
    if (flow->n_targets)
        relay(node, flow, in, may_pause);
    deliver_interests(node, flow, in, may_pause);
    return true;
}
