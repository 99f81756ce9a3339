/* Interests: callbacks run on the loop; without one, messages wait in a queue (queue.c) for
 * weft_recv. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"
#include "proto/route.h"

#define QUEUE_DEFAULT ((size_t)16 << 20)

void weft_subscribe_options_init(weft_subscribe_options *options)
{
    *options = (weft_subscribe_options){
        .size = sizeof(*options), .queue = QUEUE_DEFAULT, .policy = WEFT_BLOCK, .block_ms = 1000};
}

/* ---- Opening and closing ---- */

static void close_handle(weft_node *node, weft_interest *i)
{
    if (i->rec)
        router_close_interest(mesh_router(node->mesh), i->rec);
    i->rec = NULL;
    list_remove(&i->match_node);
    mesh_settle(node->mesh, node_now());
    flow_rebuild_changed(node); /* no fan-out names it any more */
    plane_lock(node);
    list_remove(&i->list_node);
    interest_add_drops(i, node->dropped);
    node->routes_open--;
    bool wake = node_todo(node, TODO_RESUME);
    pthread_cond_broadcast(&node->room);
    plane_unlock(node);
    if (wake)
        node_wake(node);
    interest_handle_free(i);
}

static void run_close(weft_node *node, struct command *command)
{
    close_handle(node, container_of(command, struct weft_interest, command));
}

static void refuse(weft_node *node, const char *route, int error)
{
    weft_event event = {.type = WEFT_EVENT_ROUTE_REFUSED,
                        .route = route,
                        .error = error,
                        .text = weft_strerror(error)};
    node_event(node, &event);
}

static void run_open(weft_node *node, struct command *command)
{
    weft_interest *i = container_of(command, struct weft_interest, command);
    int rc = router_open_interest(mesh_router(node->mesh), i->route->text, i->schema, i, &i->rec);
    i->declared_after = mesh_last_stamp(node->mesh);
    if (rc < 0)
        refuse(node, i->route->text, rc);
    plane_lock(node);
    refusal_inherit(node, i, i->route->text);
    str_unref(i->route);
    i->route = NULL;
    atomic_store(&i->error, rc);
    i->opened = true;
    bool close = i->close_wanted;
    if (rc < 0 || i->refusal)
        pthread_cond_broadcast(&node->changed);
    if (rc < 0)
        queue_refused(i);
    plane_unlock(node);
    if (close)
        close_handle(node, i);
}

void interest_handle_free(weft_interest *i)
{
    queue_free(i->queue);
    str_unref(i->route);
    mem_free(i);
}

static weft_interest *interest_new(weft_node *node, const char *route,
                                   const weft_subscribe_options *o)
{
    weft_interest *i = mem_zalloc(sizeof(*i));
    if (!i)
        return NULL;
    i->route = str_new(route, strlen(route));
    if (!i->route) {
        mem_free(i);
        return NULL;
    }
    i->node = node;
    i->schema = o->schema;
    i->options.on_message = o->on_message;
    i->options.on_match = o->on_match;
    i->options.user = o->user;
    i->options.policy = o->policy;
    i->options.block_ms = o->block_ms;
    i->command.run = run_open;
    list_init(&i->match_node);
    i->queue_limit = o->queue;
    return i;
}

int weft_subscribe(weft_node *node, const char *route, const weft_subscribe_options *options,
                   weft_interest **ret_interest)
{
    if (!node || !route || !ret_interest || (options && options->size != sizeof(*options)) ||
        (options && (unsigned)options->policy > WEFT_KEEP_LAST))
        return WEFT_EINVAL;
    struct route parsed;
    int rc = route_parse(route, strlen(route), &parsed, NULL);
    if (rc < 0)
        return rc;
    weft_subscribe_options defaults;
    weft_subscribe_options_init(&defaults);
    weft_interest *i = interest_new(node, route, options ? options : &defaults);
    if (!i)
        return WEFT_ENOMEM;
    rc = node_post_open(node, &node->interests, &i->list_node, &i->command);
    if (rc < 0) {
        interest_handle_free(i);
        return rc;
    }
    *ret_interest = i;
    return 0;
}

static int close_now(weft_node *node, void *arg)
{
    close_handle(node, arg);
    return 0;
}

void weft_interest_close(weft_interest *i)
{
    if (!i || atomic_exchange(&i->closed, true))
        return;
    weft_node *node = i->node;
    queue_expel(i);
    if (!on_loop(node) && (i->options.on_message || i->options.on_match)) {
        node_call(node, close_now, i); /* waits for a running callback */
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

/* ---- Matches ---- */

/* Keep those that found their first publisher, or lost the last. Whoever waits for one is woken
 * before any callback runs. */
static void note_matches(weft_node *node, struct list *batch)
{
    plane_lock(node);
    list_each_safe (it, batch) {
        weft_interest *i = list_entry(it, struct weft_interest, match_node);
        bool matched = router_interest_matches(i->rec) > 0;
        if (matched == i->matched)
            list_remove(it);
        i->matched = matched;
    }
    if (!list_empty(batch))
        pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
}

void interest_settle_matches(weft_node *node)
{
    if (list_empty(&node->matched))
        return;
    struct list batch, *it;
    list_init(&batch);
    list_splice(&batch, &node->matched);
    note_matches(node, &batch);
    while ((it = list_pop(&batch)) != NULL) {
        weft_interest *i = list_entry(it, struct weft_interest, match_node);
        weft_event event = {.type = i->matched ? WEFT_EVENT_MATCH : WEFT_EVENT_UNMATCH,
                            .route = router_interest_route(i->rec)->text};
        node_event(node, &event);
        if (i->options.on_match && !atomic_load(&i->closed))
            i->options.on_match(i, i->matched, i->options.user);
    }
}

int weft_interest_wait(weft_interest *i, int timeout_ms)
{
    weft_node *node = i->node;
    bool inside = on_loop(node);
    uint64_t deadline = deadline_after(timeout_ms);
    int rc = 0;
    plane_lock(node);
    while (!i->matched) {
        if (node->closed || atomic_load(&i->closed))
            rc = WEFT_ECLOSED;
        else if (atomic_load(&i->error))
            rc = atomic_load(&i->error);
        else if (i->refusal)
            rc = i->refusal;
        else if (inside)
            rc = WEFT_ELOOP;
        else if (!node_wait(node, &node->changed, deadline))
            rc = WEFT_ETIMEDOUT;
        if (rc < 0)
            break;
    }
    plane_unlock(node);
    return rc;
}

/* ---- Counters ---- */

void interest_no_memory(weft_interest *i)
{
    atomic_fetch_add(&i->dropped, 1);
    atomic_fetch_add(&i->no_memory, 1);
}

void interest_add_drops(const weft_interest *i, uint64_t dropped[WEFT_DROP_REASONS])
{
    static const enum weft_drop reasons[] = {
        [WEFT_BLOCK] = WEFT_DROP_TIMEOUT,
        [WEFT_REFUSE] = WEFT_DROP_REFUSED,
        [WEFT_DROP_OLDEST] = WEFT_DROP_OLD,
        [WEFT_KEEP_LAST] = WEFT_DROP_REPLACED,
    };
    uint64_t no_memory = atomic_load(&i->no_memory); /* first: it is part of the other */
    dropped[WEFT_DROP_NOMEM] += no_memory;
    dropped[reasons[i->options.policy]] += atomic_load(&i->dropped) - no_memory;
}

uint64_t weft_interest_dropped(const weft_interest *i)
{
    return atomic_load(&i->dropped);
}
