/* Intents: opened in the caller's thread, registered by the loop, withdrawn behind their last
 * message. How they are sent on is in send.c. */
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

static struct flow *new_own_flow(weft_node *node, struct router_intent *rec)
{
    struct flow *flow = flow_new(rec, node->url_text, true);
    if (flow)
        own_flow(flow)->declared_after = mesh_last_stamp(node->mesh);
    return flow;
}

/* All handles of one route share its flow. */
static int open_flow(weft_node *node, const weft_intent *i, struct flow **ret_flow)
{
    struct router *router = mesh_router(node->mesh);
    struct router_intent *rec;
    int rc = router_open_intent(router, i->route->text, i->schema, NULL, &rec);
    if (rc < 0)
        return rc;
    if (!rec->user)
        rec->user = new_own_flow(node, rec);
    if (!rec->user) {
        router_close_intent(router, rec);
        return WEFT_ENOMEM;
    }
    *ret_flow = rec->user;
    return 0;
}

static void close_handle(weft_node *node, weft_intent *i)
{
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
    if (flow)
        router_close_intent(mesh_router(node->mesh), flow->intent);
    mesh_settle(node->mesh, node_now());
    intent_handle_free(i);
}

static void run_close(weft_node *node, struct command *command)
{
    close_handle(node, container_of(command, struct weft_intent, command));
}

/* Whoever waits is woken when the fan-out is built (flow.c), unless it is already. */
static void run_open(weft_node *node, struct command *command)
{
    weft_intent *i = container_of(command, struct weft_intent, command);
    struct flow *flow = NULL;
    int rc = open_flow(node, i, &flow);
    bool matched = flow && flow_matched(flow);
    if (flow)
        list_push(&own_flow(flow)->handles, &i->flow_node);
    else
        refuse(node, i->route->text, rc);
    str_unref(i->route);
    i->route = NULL;
    plane_lock(node);
    i->flow = flow;
    i->error = rc;
    i->opened = true;
    bool close = i->close_wanted;
    atomic_store(&i->interested, matched);
    if (rc < 0 || matched || own_flow(flow)->refusal)
        pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
    if (close)
        close_handle(node, i);
    else if (matched && own_flow(flow)->was_matched && i->options.on_match &&
             !atomic_load(&i->closed))
        i->options.on_match(i, true, i->options.user);
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

static void take_options(weft_intent *i, const weft_publish_options *options)
{
    weft_publish_options defaults;
    weft_publish_options_init(&defaults);
    const weft_publish_options *o = options ? options : &defaults;
    i->schema = o->schema;
    i->options.on_match = o->on_match;
    i->options.user = o->user;
    i->options.policy = o->policy;
    i->options.block_ms = o->block_ms;
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
    if (!i->route)
        goto fail;
    i->node = node;
    take_options(i, options);
    i->command.run = run_open;
    list_init(&i->flow_node);
    rc = node_post_open(node, &node->intents, &i->list_node, &i->command);
    if (rc < 0)
        goto fail;
    *ret_intent = i;
    return 0;

fail:
    intent_handle_free(i);
    return rc;
}

static int close_now(weft_node *node, void *arg)
{
    close_handle(node, arg);
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
    bool wake = false;
    if (i->opened) {
        i->command.run = run_close;
        wake = node_post(node, &i->command);
    } else {
        i->close_wanted = true;
    }
    plane_unlock(node);
    if (wake)
        node_wake(node);
}

/* Tell handles whose flow found its first interest, or lost the last. loop, no locks */
void intent_tell(weft_node *node)
{
    struct list *it;
    while ((it = list_pop(&node->matches)) != NULL) {
        struct own_flow *own = list_entry(it, struct own_flow, match_node);
        bool matched = flow_matched(&own->flow);
        if (matched == own->was_matched)
            continue;
        own->was_matched = matched;
        weft_event event = {.type = matched ? WEFT_EVENT_MATCH : WEFT_EVENT_UNMATCH,
                            .route = own->flow.route->text,
                            .intent = true};
        node_event(node, &event);
        list_each (h, &own->handles) {
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
    bool inside = on_loop(node);
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
        if (i->flow && own_flow(i->flow)->refusal) {
            rc = own_flow(i->flow)->refusal;
            break;
        }
        if (inside) {
            rc = WEFT_ELOOP;
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
