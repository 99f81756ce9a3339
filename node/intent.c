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

/* ---- Asking ---- */

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
