/* What threads of this node send to its own callbacks, which run on the loop.
 *
 * Messages wait in a list; the loop takes it whole and calls without any lock. What callbacks send
 * below that joins the next list: a callback that answers itself must not starve the loop.
 *
 * No room: the intent's policy decides, as for a peer's outbox. A flow that dies takes its messages
 * with it, also those the loop is at. */
#include "base/mem.h"
#include "node/node.h"

void local_init(struct local_queue *q)
{
    *q = (struct local_queue){.tail = &q->head};
}

static weft_msg *pop(struct local_queue *q)
{
    weft_msg *msg = q->head;
    if (!msg)
        return NULL;
    q->head = msg->next;
    if (!q->head)
        q->tail = &q->head;
    q->bytes -= msg->size + LOCAL_COST;
    return msg;
}

void local_clear(struct local_queue *q)
{
    weft_msg *msg;
    while ((msg = pop(q)) != NULL)
        weft_msg_unref(msg);
}

void local_forget(struct local_queue *q, const struct flow *flow)
{
    for (weft_msg *msg = q->head; msg; msg = msg->next) {
        if (msg->flow == flow)
            msg->flow = NULL;
    }
}

static void count_drop(weft_node *node, struct flow *flow, enum weft_drop reason)
{
    flow_count_drops(flow, reason, 1);
    node->dropped[reason]++;
}

/* KEEP_LAST: put the message in the place of the one of its flow that waits. False: none does. */
static bool replace_former(weft_node *node, struct flow *flow, weft_msg *msg)
{
    struct local_queue *q = &node->local;
    weft_msg **at = &q->head;
    while (*at && (*at)->flow != flow)
        at = &(*at)->next;
    weft_msg *old = *at;
    if (!old)
        return false;
    msg->flow = flow;
    msg->next = old->next;
    *at = msg;
    if (!msg->next)
        q->tail = &msg->next;
    q->bytes += msg->size - old->size;
    count_drop(node, flow, WEFT_DROP_REPLACED);
    weft_msg_unref(old);
    return true;
}

static void drop_oldest(weft_node *node, size_t size)
{
    struct local_queue *q = &node->local;
    while (q->head && !local_has_room(q, node->options.outbox, size)) {
        weft_msg *old = pop(q);
        count_drop(node, old->flow, WEFT_DROP_OLD);
        weft_msg_unref(old);
    }
}

int local_put(weft_node *node, struct flow *flow, weft_msg *msg, enum weft_policy policy)
{
    struct local_queue *q = &node->local;
    if (policy == WEFT_KEEP_LAST && replace_former(node, flow, msg))
        return 0;
    if (policy == WEFT_DROP_OLDEST)
        drop_oldest(node, msg->size);
    if (!local_has_room(q, node->options.outbox, msg->size)) {
        count_drop(node, flow, policy == WEFT_BLOCK ? WEFT_DROP_TIMEOUT : WEFT_DROP_REFUSED);
        weft_msg_unref(msg);
        return WEFT_EDROPPED;
    }
    msg->flow = flow;
    msg->next = NULL;
    *q->tail = msg;
    q->tail = &msg->next;
    q->bytes += msg->size + LOCAL_COST;
    return 0;
}

/* Take all that waits, at once. False: nothing does. */
static bool take_batch(weft_node *node)
{
    if (!(atomic_load(&node->todo) & TODO_LOCAL))
        return false;
    plane_lock(node);
    atomic_fetch_and(&node->todo, ~(unsigned)TODO_LOCAL);
    struct local_queue *batch = &node->local_batch;
    bool any = node->local.head != NULL;
    if (any) {
        if (batch->head) { /* a callback of the batch had the node settle */
            *batch->tail = node->local.head;
            batch->bytes += node->local.bytes;
        } else {
            *batch = node->local;
        }
        batch->tail = node->local.tail;
        local_init(&node->local);
        if (node->room_waiters)
            pthread_cond_broadcast(&node->room);
    }
    plane_unlock(node);
    return any;
}

size_t deliver_local(weft_node *node)
{
    size_t count = 0;
    if (!take_batch(node))
        return 0;
    weft_msg *msg;
    for (; (msg = pop(&node->local_batch)) != NULL; count++) {
        struct flow *flow = msg->flow;
        for (uint32_t i = 0; flow && i < flow->n_locals; i++) {
            if (flow->locals[i]->options.on_message)
                deliver_call(node, flow->locals[i], msg);
        }
        weft_msg_unref(msg);
    }
    return count;
}
