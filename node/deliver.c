/* Delivery of messages to this node's interests, and the relay of a router to its leaves.
 *
 * What comes over a link goes to callbacks straight from the read buffer, to queues as one shared
 * copy, and to other links as a frame with another alias: its payload is copied once and looked at
 * never. What a thread of this node sends to its own callbacks waits in the local queue for the
 * loop. */
#include "base/mem.h"
#include "node/node.h"

void deliver_call(weft_node *node, weft_interest *interest, const weft_msg *msg)
{
    if (atomic_load_explicit(&interest->closed, memory_order_acquire))
        return;
    bool outer = node->delivering;
    node->delivering = true;
    node->delivered++;
    interest_count_delivered(interest);
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

static void relay(weft_node *node, struct flow *flow, const struct incoming *in)
{
    struct sending s = {
        .flow = flow, .data = in->data, .size = in->size, .time = in->time, .type = in->type};
    if (in->size > COPY_MAX && flow->n_targets > 1)
        s.msg = msg_copy(in->data, in->size, NULL, NULL, 0);
    bool wake = false;
    plane_lock(node);
    for (uint32_t i = 0; i < flow->n_targets; i++) {
        struct outbox *o = &flow->targets[i].conn->out;
        size_t need = outbox_frame_size(o, flow->targets[i].route, in->size);
        if (!o->open) {
            outbox_drop(node, o, flow, WEFT_DROP_LINK);
        } else if (need == 0) {
            outbox_drop(node, o, flow, WEFT_DROP_TOOBIG);
        } else if (!outbox_has_room(o, need)) {
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
static weft_msg in_place(const struct flow *flow, const struct incoming *in)
{
    return (weft_msg){
        .transient = true,
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
    weft_msg msg = in_place(flow, in);
    for (uint32_t i = 0; i < flow->n_locals; i++)
        deliver_call(node, flow->locals[i], &msg);
}

static void deliver_interests(weft_node *node, struct flow *flow, const struct incoming *in)
{
    weft_msg transient = in_place(flow, in);
    weft_msg *shared = NULL;
    for (uint32_t i = 0; i < flow->n_locals; i++) {
        weft_interest *interest = flow->locals[i];
        if (interest->options.on_message) {
            deliver_call(node, interest, &transient);
            continue;
        }
        if (!shared)
            shared = weft_msg_ref(&transient);
        if (shared && interest_push(interest, shared))
            node->delivered++;
        else if (!shared)
            atomic_fetch_add(&interest->dropped, 1);
    }
    weft_msg_unref(shared);
}

bool deliver(weft_node *node, struct conn *from, struct flow *flow, const struct incoming *in,
             bool may_pause)
{
    if (may_pause && must_wait(node, from, flow, in->size))
        return false;
    node->messages_in++;
    flow->messages++;
    if (flow->n_targets)
        relay(node, flow, in);
    deliver_interests(node, flow, in);
    return true;
}

/* ---- From this node's threads ---- */

void local_item_free(weft_node *node, struct local_item *item)
{
    list_remove(&item->node);
    node->local_bytes -= item->msg->size + sizeof(*item);
    weft_msg_unref(item->msg);
    mem_free(item);
}

static struct local_item *newest_of(weft_node *node, const struct flow *flow)
{
    for (struct list *it = node->local_queue.prev; it != &node->local_queue; it = it->prev) {
        struct local_item *item = list_entry(it, struct local_item, node);
        if (item->flow == flow)
            return item;
    }
    return NULL;
}

static void drop_local(weft_node *node, struct flow *flow, enum weft_drop reason)
{
    flow->dropped[reason]++;
    node->dropped[reason]++;
}

/* Make the local queue take `need` bytes, by policy. False: the new message is dropped. */
static bool local_room(weft_node *node, struct flow *flow, size_t need, enum weft_policy policy)
{
    if (policy == WEFT_KEEP_LAST) {
        struct local_item *old = newest_of(node, flow);
        if (old) {
            drop_local(node, flow, WEFT_DROP_REPLACED);
            local_item_free(node, old);
        }
    }
    while (policy == WEFT_DROP_OLDEST && !list_empty(&node->local_queue) &&
           !local_has_room(node, need)) {
        struct local_item *old = list_entry(node->local_queue.next, struct local_item, node);
        drop_local(node, old->flow, WEFT_DROP_OLD);
        local_item_free(node, old);
    }
    if (local_has_room(node, need))
        return true;
    drop_local(node, flow, policy == WEFT_BLOCK ? WEFT_DROP_TIMEOUT : WEFT_DROP_REFUSED);
    return false;
}

bool local_has_room(const weft_node *node, size_t need)
{
    return node->local_bytes == 0 || node->local_bytes + need <= node->options.outbox;
}

int local_put(weft_node *node, struct flow *flow, weft_msg *msg, enum weft_policy policy)
{
    size_t need = msg->size + sizeof(struct local_item);
    if (!local_room(node, flow, need, policy))
        return WEFT_EDROPPED;
    struct local_item *item = mem_alloc(sizeof(*item));
    if (!item) {
        drop_local(node, flow, WEFT_DROP_NOMEM);
        return WEFT_EDROPPED;
    }
    *item =
        (struct local_item){.flow = flow, .msg = weft_msg_ref(msg), .number = ++node->local_number};
    list_push(&node->local_queue, &item->node);
    node->local_bytes += need;
    return 0;
}

/* Messages that callbacks send below this one join the end of the queue. They are for the next
 * turn: a callback that answers itself must not starve the loop. */
void deliver_local(weft_node *node)
{
    plane_lock(node);
    uint64_t last = node->local_number;
    while (!list_empty(&node->local_queue)) {
        struct local_item *item = list_entry(node->local_queue.next, struct local_item, node);
        if (item->number > last)
            break;
        struct flow *flow = item->flow;
        weft_msg *msg = weft_msg_ref(item->msg);
        local_item_free(node, item);
        plane_unlock(node);
        for (uint32_t i = 0; i < flow->n_locals; i++) {
            if (flow->locals[i]->options.on_message)
                deliver_call(node, flow->locals[i], msg);
        }
        weft_msg_unref(msg);
        plane_lock(node);
        if (node->room_waiters)
            pthread_cond_broadcast(&node->room);
    }
    plane_unlock(node);
}
