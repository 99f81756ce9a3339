/* Intents: opened in the caller's thread, registered by the loop, sent on from any thread.
 *
 * The happy path of weft_send: take plane, find the flow, append one frame to the outbox of each
 * linked peer and one message to the queue of each local interest, release plane, wake the loop if
 * it is not on its way already. Nobody interested: a lock and a look.
 *
 * No room somewhere: the intent's policy decides, for that peer alone. BLOCK waits before anything
 * is queued, so that a message is queued everywhere at one moment and every peer sees one order. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"
#include "proto/route.h"

void weft_publish_options_init(weft_publish_options *options)
{
    *options =
        (weft_publish_options){.size = sizeof(*options), .policy = WEFT_BLOCK, .block_ms = 1000};
}

/* ---- Opening and closing ---- */

static int check_route(const weft_node *node, const char *text)
{
    struct route route;
    int rc = route_parse(text, strlen(text), &route, NULL);
    if (rc < 0)
        return rc;
    if (route.kind == ROUTE_PATTERN)
        return WEFT_EPATTERN;
    return route_in_scope(&route, node->self.path, strlen(node->self.path)) ? 0 : WEFT_ESCOPE;
}

static void refuse(weft_node *node, const char *route, int error)
{
    weft_event event = {.type = WEFT_EVENT_ROUTE_REFUSED,
                        .route = route,
                        .error = error,
                        .text = weft_strerror(error),
                        .intent = true};
    node_event(node, &event);
}

static void run_open(weft_node *node, struct command *command)
{
    weft_intent *i = container_of(command, struct weft_intent, open_cmd);
    struct router *router = mesh_router(node->mesh);
    int rc = router_open_intent(router, i->route->text, i->options.schema, i->spare, &i->rec);
    if (rc == 0 && i->rec->user == i->spare) {
        rc = flow_bind(node, i->spare, i->rec);
        i->spare = NULL;
        if (rc < 0) {
            router_close_intent(router, i->rec);
            i->rec = NULL;
        }
    }
    flow_free(node, i->spare);
    i->spare = NULL;
    struct flow *flow = rc == 0 ? i->rec->user : NULL;
    plane_lock(node);
    i->flow = flow;
    i->error = rc;
    if (flow)
        atomic_store(&i->interested, flow_matched(flow));
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
    if (!flow) {
        refuse(node, i->route->text, rc);
        return;
    }
    list_push(&flow->handles, &i->flow_node);
    if (flow_matched(flow) && flow->was_matched && i->options.on_match && !atomic_load(&i->closed))
        i->options.on_match(i, true, i->options.user);
}

static void run_close(weft_node *node, struct command *command)
{
    weft_intent *i = container_of(command, struct weft_intent, close_cmd);
    deliver_local(node);
    plane_lock(node);
    struct flow *flow = i->flow;
    bool last = i->flow_node.next == i->flow_node.prev; /* only the list's head beside it */
    for (uint32_t t = 0; flow && last && t < flow->n_targets; t++) {
        /* The withdrawal goes behind the last message. */
        outbox_flush_slots(node, &flow->targets[t].conn->out, flow);
        node_mark_dirty(node, &flow->targets[t].conn->out);
    }
    i->flow = NULL;
    list_remove(&i->list_node);
    node->routes_open--;
    plane_unlock(node);
    list_remove(&i->flow_node);
    if (i->rec)
        router_close_intent(mesh_router(node->mesh), i->rec);
    mesh_settle(node->mesh, node_now());
    intent_handle_free(i);
}

void intent_handle_free(weft_intent *i)
{
    str_unref(i->route);
    mem_free(i);
}

int node_post_open(weft_node *node, struct list *list, struct list *member, struct command *command)
{
    plane_lock(node);
    if (node->closed || node->routes_open >= node->options.max_routes) {
        int rc = node->closed ? WEFT_ECLOSED : WEFT_ELIMIT;
        plane_unlock(node);
        return rc;
    }
    node->routes_open++;
    list_push(list, member);
    bool wake = node_post(node, command);
    plane_unlock(node);
    if (wake)
        node_wake(node);
    return 0;
}

int weft_publish(weft_node *node, const char *route, const weft_publish_options *options,
                 weft_intent **ret_intent)
{
    if (!node || !route || !ret_intent || (options && options->size != sizeof(*options)) ||
        (options && (unsigned)options->policy > WEFT_KEEP_LAST))
        return WEFT_EINVAL;
    int rc = check_route(node, route);
    if (rc < 0)
        return rc;
    weft_intent *i = mem_zalloc(sizeof(*i));
    if (!i)
        return WEFT_ENOMEM;
    rc = WEFT_ENOMEM;
    i->route = str_new(route, strlen(route));
    struct str *sender = str_new(node->url_text, strlen(node->url_text));
    if (i->route && sender)
        i->spare = flow_new(i->route, sender, true);
    str_unref(sender);
    if (!i->spare)
        goto fail;
    i->node = node;
    if (options)
        i->options = *options;
    else
        weft_publish_options_init(&i->options);
    i->open_cmd.run = run_open;
    i->close_cmd.run = run_close;
    list_init(&i->flow_node);
    rc = node_post_open(node, &node->intents, &i->list_node, &i->open_cmd);
    if (rc < 0)
        goto fail;
    *ret_intent = i;
    return 0;

fail:
    flow_free(node, i->spare);
    intent_handle_free(i);
    return rc;
}

static int close_now(weft_node *node, void *arg)
{
    weft_intent *i = arg;
    i->close_cmd.run(node, &i->close_cmd);
    return 0;
}

void weft_intent_close(weft_intent *i)
{
    if (!i || atomic_exchange(&i->closed, true))
        return;
    weft_node *node = i->node;
    if (i->options.on_match && !on_loop(node)) {
        node_call(node, close_now, i); /* no callback of it runs once this returns */
        return;
    }
    plane_lock(node);
    bool wake = node_post(node, &i->close_cmd);
    plane_unlock(node);
    if (wake)
        node_wake(node);
}

/* Tell handles whose flow found its first interest, or lost the last. loop, no locks */
void intent_tell(weft_node *node)
{
    struct list *it;
    while ((it = list_pop(&node->matches)) != NULL) {
        struct flow *f = list_entry(it, struct flow, match_node);
        bool matched = flow_matched(f);
        if (matched == f->was_matched)
            continue;
        f->was_matched = matched;
        weft_event event = {.type = matched ? WEFT_EVENT_MATCH : WEFT_EVENT_UNMATCH,
                            .route = f->route->text,
                            .intent = true};
        node_event(node, &event);
        list_each (h, &f->handles) {
            weft_intent *i = list_entry(h, struct weft_intent, flow_node);
            if (i->options.on_match && !atomic_load(&i->closed))
                i->options.on_match(i, matched, i->options.user);
        }
    }
}

/* ---- Sending ---- */

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
    return !callbacks || local_has_room(node, size + sizeof(struct local_item));
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

/* BLOCK: wait for room. plane held; the flow may be gone afterwards. */
static void wait_for_room(weft_intent *i, size_t size)
{
    weft_node *node = i->node;
    if (i->options.block_ms == 0 || on_loop(node) || all_have_room(node, i->flow, size))
        return;
    uint64_t deadline = deadline_after((int)i->options.block_ms);
    while (i->flow && !node->closed && !all_have_room(node, i->flow, size)) {
        if (!node_wait(node, &node->room, deadline)) {
            if (i->flow)
                mark_stuck(i->flow, size);
            return;
        }
    }
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
};

static void send_to_peers(weft_node *node, const struct sending *s, enum weft_policy policy,
                          struct aftermath *after)
{
    for (uint32_t t = 0; t < s->flow->n_targets; t++) {
        if (send_to_peer(node, s, &s->flow->targets[t], policy))
            after->wake |= node_mark_dirty(node, &s->flow->targets[t].conn->out);
        else
            after->error = WEFT_EDROPPED;
    }
}

/* plane held */
static void send_to_locals(weft_node *node, const struct sending *s, enum weft_policy policy,
                           struct aftermath *after)
{
    struct flow *f = s->flow;
    bool callbacks = false;
    weft_msg *msg = NULL;
    after->direct = on_loop(node) && !node->delivering && list_empty(&node->local_queue);
    for (uint32_t l = 0; l < f->n_locals; l++) {
        bool has_callback = f->locals[l]->options.on_message != NULL;
        callbacks |= has_callback;
        if (has_callback && after->direct)
            continue;
        if (!msg)
            msg = s->msg ? msg_wrap(s->msg, f->route, f->sender, s->time)
                         : msg_copy(s->data, s->size, f->route, f->sender, s->time);
        if (!msg) {
            after->error = WEFT_EDROPPED;
            continue;
        }
        if (has_callback)
            continue;
        if (interest_push(f->locals[l], msg))
            node->queued_here++;
        else
            after->error = WEFT_EDROPPED;
    }
    if (callbacks && !after->direct && msg) {
        if (local_put(node, f, msg, policy) < 0)
            after->error = WEFT_EDROPPED;
        after->wake |= node_request_wake(node);
    }
    after->direct &= callbacks;
    weft_msg_unref(msg);
}

static void call_directly(weft_node *node, const struct sending *s)
{
    struct flow *f = s->flow;
    weft_msg msg = {
        .transient = true,
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
    node_leave(node);
}

static int send_common(weft_intent *i, const void *data, size_t size, weft_msg *msg, bool try)
{
    weft_node *node = i->node;
    if (size > node->options.max_frame - FRAME_COMPACT_HEAD)
        return WEFT_ETOOBIG;
    struct sending s = {.data = data, .size = size, .msg = msg, .type = MSG_MESSAGE};
    struct aftermath after = {0};
    enum weft_policy policy = i->options.policy;
    plane_lock(node);
    if (i->flow && flow_matched(i->flow) && policy == WEFT_BLOCK && !try)
        wait_for_room(i, size);
    s.flow = i->flow;
    if (atomic_load_explicit(&i->closed, memory_order_relaxed) || node->closed) {
        after.error = WEFT_ECLOSED;
    } else if (i->error) {
        after.error = i->error;
    } else if (s.flow && flow_matched(s.flow)) {
        if (try && must_refuse(node, s.flow, size, policy)) {
            after.error = WEFT_EAGAIN;
        } else {
            s.time = wall_ns();
            s.flow->messages++;
            send_to_peers(node, &s, policy, &after);
            if (s.flow->n_locals)
                send_to_locals(node, &s, policy, &after);
        }
    }
    plane_unlock(node);
    if (after.wake)
        node_wake(node);
    if (after.direct)
        call_directly(node, &s);
    return after.error;
}

/* A large message is made shareable once instead of being copied for each peer. */
static int send_bytes(weft_intent *i, const void *data, size_t size, bool try)
{
    if (!i || (!data && size))
        return WEFT_EINVAL;
    if (size <= COPY_MAX || !atomic_load_explicit(&i->interested, memory_order_relaxed) ||
        size > i->node->options.max_frame)
        return send_common(i, data, size, NULL, try);
    weft_msg *msg = msg_copy(data, size, NULL, NULL, 0);
    if (!msg)
        return WEFT_ENOMEM;
    int rc = send_common(i, msg->data, size, msg, try);
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

bool weft_intent_interested(const weft_intent *intent)
{
    return atomic_load_explicit(&intent->interested, memory_order_relaxed);
}

int weft_intent_wait(weft_intent *i, int timeout_ms)
{
    weft_node *node = i->node;
    if (atomic_load(&i->interested))
        return 0;
    if (on_loop(node))
        return WEFT_ELOOP;
    uint64_t deadline = deadline_after(timeout_ms);
    int rc = 0;
    plane_lock(node);
    while (!atomic_load(&i->interested)) {
        if (node->closed || atomic_load(&i->closed)) {
            rc = WEFT_ECLOSED;
            break;
        }
        if (i->error) {
            rc = i->error;
            break;
        }
        if (!node_wait(node, &node->changed, deadline)) {
            rc = WEFT_ETIMEDOUT;
            break;
        }
    }
    plane_unlock(node);
    return rc;
}
