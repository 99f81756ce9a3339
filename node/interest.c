/* Interests: callbacks run on the loop; without one, messages wait in a ring for weft_recv.
 *
 * The ring is bounded in bytes and has its own lock, so that a receiver disturbs no sender of other
 * routes. When it is full: BLOCK lets the link that brought the message pause, or the thread that
 * sent it wait, and weft_recv wakes them when half is free; the other policies drop here and count.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/node.h"
#include "proto/route.h"

#define QUEUE_DEFAULT ((size_t)16 << 20)
#define MSG_COST (sizeof(weft_msg) + sizeof(weft_msg *)) /* of an empty message in a queue */

void weft_subscribe_options_init(weft_subscribe_options *options)
{
    *options = (weft_subscribe_options){
        .size = sizeof(*options), .queue = QUEUE_DEFAULT, .policy = WEFT_BLOCK, .block_ms = 1000};
}

/* ---- Opening and closing ---- */

static void run_open(weft_node *node, struct command *command)
{
    weft_interest *i = container_of(command, struct weft_interest, open_cmd);
    int rc = router_open_interest(mesh_router(node->mesh), i->route->text, i->options.schema, i,
                                  &i->rec);
    if (rc == 0)
        return;
    plane_lock(node);
    i->error = rc;
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
    weft_event event = {.type = WEFT_EVENT_ROUTE_REFUSED,
                        .route = i->route->text,
                        .error = rc,
                        .text = weft_strerror(rc)};
    node_event(node, &event);
}

static void run_close(weft_node *node, struct command *command)
{
    weft_interest *i = container_of(command, struct weft_interest, close_cmd);
    if (i->rec)
        router_close_interest(mesh_router(node->mesh), i->rec);
    i->rec = NULL;
    list_remove(&i->match_node);
    mesh_settle(node->mesh, node_now());
    flow_rebuild_changed(node); /* no fan-out names it any more */
    plane_lock(node);
    list_remove(&i->list_node);
    node->dropped[interest_drop_reason(i)] += atomic_load(&i->dropped);
    node->routes_open--;
    node->resume_wanted = true;
    pthread_cond_broadcast(&node->room);
    plane_unlock(node);
    interest_handle_free(i);
}

static void clear_ring(weft_interest *i)
{
    while (i->ring_count) {
        weft_msg_unref(i->ring[i->ring_head]);
        i->ring_head = (i->ring_head + 1) & (i->ring_cap - 1);
        i->ring_count--;
    }
    i->ring_bytes = 0;
}

void interest_handle_free(weft_interest *i)
{
    clear_ring(i);
    if (i->fd >= 0)
        close(i->fd);
    pthread_mutex_destroy(&i->lock);
    pthread_cond_destroy(&i->arrived);
    str_unref(i->route);
    mem_free(i->ring);
    mem_free(i);
}

static weft_interest *interest_new(weft_node *node, const char *route,
                                   const weft_subscribe_options *options)
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
    i->fd = -1;
    if (options)
        i->options = *options;
    else
        weft_subscribe_options_init(&i->options);
    i->open_cmd.run = run_open;
    i->close_cmd.run = run_close;
    list_init(&i->match_node);
    pthread_mutex_init(&i->lock, NULL);
    cond_init(&i->arrived);
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
    weft_interest *i = interest_new(node, route, options);
    if (!i)
        return WEFT_ENOMEM;
    rc = node_post_open(node, &node->interests, &i->list_node, &i->open_cmd);
    if (rc < 0) {
        interest_handle_free(i);
        return rc;
    }
    *ret_interest = i;
    return 0;
}

static int close_now(weft_node *node, void *arg)
{
    weft_interest *i = arg;
    run_close(node, &i->close_cmd);
    return 0;
}

/* Nobody is left in weft_recv once this returns. */
static void expel_waiters(weft_interest *i)
{
    pthread_mutex_lock(&i->lock);
    pthread_cond_broadcast(&i->arrived);
    while (i->waiters)
        pthread_cond_wait(&i->arrived, &i->lock);
    pthread_mutex_unlock(&i->lock);
}

void weft_interest_close(weft_interest *i)
{
    if (!i || atomic_exchange(&i->closed, true))
        return;
    weft_node *node = i->node;
    expel_waiters(i);
    if (!on_loop(node) && (i->options.on_message || i->options.on_match)) {
        node_call(node, close_now, i); /* waits for a running callback */
        return;
    }
    plane_lock(node);
    bool wake = node_post(node, &i->close_cmd);
    plane_unlock(node);
    if (wake)
        node_wake(node);
}

/* ---- Matches ---- */

void interest_settle_matches(weft_node *node)
{
    struct list *it;
    while ((it = list_pop(&node->matched)) != NULL) {
        weft_interest *i = list_entry(it, struct weft_interest, match_node);
        bool matched = router_interest_matches(i->rec) > 0;
        plane_lock(node);
        i->matched = matched;
        pthread_cond_broadcast(&node->changed);
        plane_unlock(node);
        if (matched == i->told)
            continue;
        i->told = matched;
        weft_event event = {.type = matched ? WEFT_EVENT_MATCH : WEFT_EVENT_UNMATCH,
                            .route = i->route->text};
        node_event(node, &event);
        if (i->options.on_match && !atomic_load(&i->closed))
            i->options.on_match(i, matched, i->options.user);
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
        if (inside)
            rc = WEFT_ELOOP;
        else if (node->closed || atomic_load(&i->closed))
            rc = WEFT_ECLOSED;
        else if (i->error)
            rc = i->error;
        else if (!node_wait(node, &node->changed, deadline))
            rc = WEFT_ETIMEDOUT;
        if (rc < 0)
            break;
    }
    plane_unlock(node);
    return rc;
}

/* ---- The queue ---- */

/* lock held */
static bool has_room(const weft_interest *i, size_t size)
{
    return i->ring_count == 0 || i->ring_bytes + size + MSG_COST <= i->options.queue;
}

uint32_t interest_wait_ms(weft_interest *i, size_t size)
{
    if (i->options.on_message || i->options.policy != WEFT_BLOCK ||
        atomic_load_explicit(&i->closed, memory_order_relaxed))
        return 0;
    pthread_mutex_lock(&i->lock);
    bool wait = !i->stuck && !has_room(i, size);
    if (wait)
        atomic_store(&i->blocking, true);
    pthread_mutex_unlock(&i->lock);
    return wait ? i->options.block_ms : 0;
}

bool interest_refuses(weft_interest *i, size_t size)
{
    if (i->options.on_message || atomic_load_explicit(&i->closed, memory_order_relaxed) ||
        (i->options.policy != WEFT_BLOCK && i->options.policy != WEFT_REFUSE))
        return false;
    pthread_mutex_lock(&i->lock);
    bool full = !has_room(i, size);
    pthread_mutex_unlock(&i->lock);
    return full;
}

enum weft_drop interest_drop_reason(const weft_interest *i)
{
    static const enum weft_drop reasons[] = {
        [WEFT_BLOCK] = WEFT_DROP_TIMEOUT,
        [WEFT_REFUSE] = WEFT_DROP_REFUSED,
        [WEFT_DROP_OLDEST] = WEFT_DROP_OLD,
        [WEFT_KEEP_LAST] = WEFT_DROP_REPLACED,
    };
    return reasons[i->options.policy];
}

/* lock held */
static weft_msg *pop(weft_interest *i)
{
    weft_msg *msg = i->ring[i->ring_head];
    i->ring_head = (i->ring_head + 1) & (i->ring_cap - 1);
    i->ring_count--;
    i->ring_bytes -= msg->size + MSG_COST;
    return msg;
}

/* lock held */
static bool grow_ring(weft_interest *i)
{
    if (i->ring_count < i->ring_cap)
        return true;
    uint32_t cap = i->ring_cap ? 2 * i->ring_cap : 16;
    weft_msg **ring = mem_alloc(cap * sizeof(*ring));
    if (!ring)
        return false;
    for (uint32_t n = 0; n < i->ring_count; n++)
        ring[n] = i->ring[(i->ring_head + n) & (i->ring_cap - 1)];
    mem_free(i->ring);
    i->ring = ring;
    i->ring_cap = cap;
    i->ring_head = 0;
    return true;
}

/* Make room by policy. False: the new message is dropped. lock held */
static bool make_room(weft_interest *i, size_t size)
{
    if (i->options.policy == WEFT_KEEP_LAST || i->options.policy == WEFT_DROP_OLDEST) {
        bool all = i->options.policy == WEFT_KEEP_LAST;
        while (i->ring_count && (all || !has_room(i, size))) {
            weft_msg_unref(pop(i));
            atomic_fetch_add(&i->dropped, 1);
        }
    }
    if (has_room(i, size))
        return true;
    i->stuck = i->options.policy == WEFT_BLOCK;
    return false;
}

bool interest_push(weft_interest *i, weft_msg *msg)
{
    if (atomic_load_explicit(&i->closed, memory_order_relaxed))
        return true; /* it wants nothing any more */
    pthread_mutex_lock(&i->lock);
    bool ok = make_room(i, msg->size) && grow_ring(i);
    if (ok) {
        i->ring[(i->ring_head + i->ring_count++) & (i->ring_cap - 1)] = weft_msg_ref(msg);
        i->ring_bytes += msg->size + MSG_COST;
        atomic_fetch_add_explicit(&i->delivered, 1, memory_order_relaxed);
        if (i->waiters)
            pthread_cond_signal(&i->arrived);
        if (i->fd >= 0 && i->ring_count == 1)
            eventfd_write(i->fd, 1);
    } else {
        atomic_fetch_add(&i->dropped, 1);
    }
    pthread_mutex_unlock(&i->lock);
    return ok;
}

/* Room again: wake links that paused and senders that wait. */
static void unblock(weft_node *node)
{
    plane_lock(node);
    node->resume_wanted = true;
    bool wake = node_request_wake(node);
    pthread_cond_broadcast(&node->room);
    plane_unlock(node);
    if (wake)
        node_wake(node);
}

int weft_recv(weft_interest *i, weft_msg **ret_msg, int timeout_ms)
{
    if (!i || !ret_msg || i->options.on_message)
        return WEFT_EINVAL;
    if (timeout_ms != 0 && on_loop(i->node))
        return WEFT_ELOOP;
    weft_node *node = i->node; /* the interest may go once its lock is free */
    uint64_t deadline = deadline_after(timeout_ms);
    int rc = 0;
    bool wake = false;
    pthread_mutex_lock(&i->lock);
    i->waiters++;
    while (i->ring_count == 0) {
        if (atomic_load(&i->closed))
            rc = WEFT_ECLOSED;
        else if (timeout_ms == 0 || !cond_wait_until(&i->arrived, &i->lock, deadline))
            rc = WEFT_ETIMEDOUT;
        if (rc < 0)
            break;
    }
    if (i->ring_count && !atomic_load(&i->closed)) {
        rc = 0;
        *ret_msg = pop(i);
        if (i->fd >= 0 && i->ring_count == 0) {
            eventfd_t ignored;
            eventfd_read(i->fd, &ignored);
        }
        if (i->ring_bytes <= i->options.queue / 2) {
            i->stuck = false;
            wake = atomic_exchange(&i->blocking, false);
        }
    } else {
        rc = rc ? rc : WEFT_ECLOSED;
    }
    i->waiters--;
    if (atomic_load(&i->closed))
        pthread_cond_broadcast(&i->arrived);
    pthread_mutex_unlock(&i->lock);
    if (wake)
        unblock(node);
    return rc;
}

int weft_interest_fd(weft_interest *i)
{
    if (i->options.on_message)
        return WEFT_EINVAL;
    pthread_mutex_lock(&i->lock);
    if (i->fd < 0) {
        i->fd = eventfd(i->ring_count ? 1 : 0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (i->fd < 0)
            i->fd = -1;
    }
    int fd = i->fd;
    pthread_mutex_unlock(&i->lock);
    return fd >= 0 ? fd : WEFT_EMFILE;
}

uint64_t weft_interest_dropped(const weft_interest *i)
{
    return atomic_load(&i->dropped);
}
