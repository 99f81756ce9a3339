/* Messages: one refcounted block with header and bytes together, or a header over another's bytes.
 * A transient message is a header on the stack over a read buffer; keeping it means copying it.
 *
 * Blocks of common sizes come from a pool. Messages are mostly made by one thread and released by
 * another, which is what a general allocator is slowest at. Here makers take blocks from a list
 * under the pool's lock, and whoever releases one pushes it on a second list without any lock;
 * when the first is empty, the maker takes the second whole.
 *
 *     msg_copy ◀── free ◀──(all at once)── returned ◀── weft_msg_unref, any thread
 *
 * A block on its way back keeps the names it had: the next message is mostly of the same route, and
 * counting references that two processors share costs more than the rest.
 *
 * A pool belongs to a node or a queue, and outlives that as long as messages do: `holders` counts
 * its blocks, and one for the owner. Once that has gone, `returned` is closed and blocks go back to
 * the heap. */
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "node/outbox.h"

#define SHELVES 4

#define TRIM_NS NS_PER_SEC /* between two trims: the next burst may be on its way */

static const size_t shelf_size[SHELVES] = {64, 256, 1024, 4096};
static const size_t shelf_keep[SHELVES] = {4096, 1024, 256, 64}; /* blocks when nothing waits */

struct msg_pool {
    pthread_mutex_t *lock;
    weft_msg *free[SHELVES]; /* lock */
    _Atomic(weft_msg *) returned[SHELVES];
    atomic_size_t blocks[SHELVES]; /* there are, wherever */
    atomic_size_t holders;
    atomic_uint_fast64_t trim_at; /* not before; monotonic */
};

static weft_msg closed; /* stands at the end of `returned` once the owner has gone */

struct msg_pool *pool_new(pthread_mutex_t *lock)
{
    struct msg_pool *pool = mem_zalloc(sizeof(*pool));
    if (!pool)
        return NULL;
    pool->lock = lock;
    atomic_init(&pool->holders, 1);
    return pool;
}

static void let_go(struct msg_pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->holders, 1, memory_order_acq_rel) == 1)
        mem_free(pool);
}

static void free_block(weft_msg *msg)
{
    struct msg_pool *pool = msg->pool;
    if (pool) {
        atomic_fetch_sub_explicit(&pool->blocks[msg->shelf], 1, memory_order_relaxed);
        let_go(pool);
    }
    str_unref(msg->route);
    str_unref(msg->sender);
    mem_free(msg);
}

static void free_blocks(weft_msg *list)
{
    while (list) {
        weft_msg *msg = list;
        list = msg->next;
        free_block(msg);
    }
}

void pool_close(struct msg_pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < SHELVES; i++) {
        free_blocks(pool->free[i]);
        free_blocks(atomic_exchange_explicit(&pool->returned[i], &closed, memory_order_acq_rel));
    }
    let_go(pool);
}

/* A block from the shelf, or NULL: it is empty. lock held */
static weft_msg *take_block(struct msg_pool *pool, int shelf)
{
    weft_msg *msg = pool->free[shelf];
    if (!msg)
        msg = atomic_exchange_explicit(&pool->returned[shelf], NULL, memory_order_acquire);
    if (msg)
        pool->free[shelf] = msg->next;
    return msg;
}

static bool too_many(const struct msg_pool *pool, int shelf)
{
    return atomic_load_explicit(&pool->blocks[shelf], memory_order_relaxed) > shelf_keep[shelf];
}

void pool_trim(struct msg_pool *pool, uint64_t mono)
{
    uint64_t due = atomic_load_explicit(&pool->trim_at, memory_order_relaxed);
    if (mono < due || !atomic_compare_exchange_strong(&pool->trim_at, &due, mono + TRIM_NS))
        return;
    for (int i = 0; i < SHELVES; i++) {
        while (too_many(pool, i)) {
            pthread_mutex_lock(pool->lock);
            weft_msg *msg = take_block(pool, i);
            pthread_mutex_unlock(pool->lock);
            if (!msg)
                break;
            free_block(msg);
        }
    }
}

static int shelf_for(size_t size)
{
    int shelf = 0;
    while (shelf < SHELVES && size > shelf_size[shelf])
        shelf++;
    return shelf;
}

static weft_msg *new_block(struct msg_pool *pool, int shelf, size_t size)
{
    weft_msg *msg = mem_alloc(sizeof(*msg) + size);
    if (!msg)
        return NULL;
    *msg = (weft_msg){.pool = pool, .shelf = (uint8_t)shelf};
    if (pool) {
        atomic_fetch_add_explicit(&pool->blocks[shelf], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&pool->holders, 1, memory_order_relaxed);
    }
    return msg;
}

static weft_msg *get_block(struct msg_pool *pool, size_t size)
{
    int shelf = pool ? shelf_for(size) : SHELVES;
    if (shelf == SHELVES)
        return new_block(NULL, 0, size);
    weft_msg *msg = take_block(pool, shelf);
    return msg ? msg : new_block(pool, shelf, shelf_size[shelf]);
}

/* To its pool, or to the heap. */
static void put_block(weft_msg *msg)
{
    if (!msg->pool) {
        free_block(msg);
        return;
    }
    _Atomic(weft_msg *) *returned = &msg->pool->returned[msg->shelf];
    weft_msg *head = atomic_load_explicit(returned, memory_order_relaxed);
    do {
        if (head == &closed) {
            free_block(msg);
            return;
        }
        msg->next = head;
    } while (!atomic_compare_exchange_weak_explicit(returned, &head, msg, memory_order_release,
                                                    memory_order_relaxed));
}

static void set_name(struct str **name, struct str *to)
{
    if (*name == to)
        return;
    str_unref(*name);
    *name = str_ref(to);
}

static void fill(weft_msg *msg, struct str *route, struct str *sender, uint64_t time)
{
    atomic_store_explicit(&msg->refs, 1, memory_order_relaxed);
    msg->parent = NULL;
    msg->time = time;
    set_name(&msg->route, route);
    set_name(&msg->sender, sender);
}

weft_msg *msg_copy(struct msg_pool *pool, const void *data, size_t size, struct str *route,
                   struct str *sender, uint64_t time)
{
    weft_msg *msg = get_block(pool, size);
    if (!msg)
        return NULL;
    fill(msg, route, sender, time);
    msg->data = (uint8_t *)(msg + 1);
    msg->size = size;
    if (size)
        memcpy(msg->data, data, size);
    return msg;
}

weft_msg *msg_wrap(struct msg_pool *pool, weft_msg *parent, struct str *route, struct str *sender,
                   uint64_t time)
{
    weft_msg *msg = get_block(pool, 0);
    if (!msg)
        return NULL;
    fill(msg, route, sender, time);
    msg->parent = weft_msg_ref(parent);
    msg->data = parent->data;
    msg->size = parent->size;
    return msg;
}

int weft_msg_new(size_t size, weft_msg **ret_msg)
{
    if (!ret_msg)
        return WEFT_EINVAL;
    if (size > FRAME_MAX_LIMIT)
        return WEFT_ETOOBIG;
    weft_msg *msg = new_block(NULL, 0, size);
    if (!msg)
        return WEFT_ENOMEM;
    fill(msg, NULL, NULL, 0);
    msg->data = (uint8_t *)(msg + 1);
    msg->size = size;
    *ret_msg = msg;
    return 0;
}

void *weft_msg_data(const weft_msg *msg)
{
    return msg->data;
}

size_t weft_msg_size(const weft_msg *msg)
{
    return msg->size;
}

const char *weft_msg_route(const weft_msg *msg)
{
    return str_text(msg->route);
}

const char *weft_msg_sender(const weft_msg *msg)
{
    return str_text(msg->sender);
}

uint64_t weft_msg_time(const weft_msg *msg)
{
    return msg->time;
}

weft_msg *weft_msg_ref(const weft_msg *msg)
{
    if (msg->transient) {
        pthread_mutex_lock(msg->pool->lock);
        weft_msg *copy =
            msg_copy(msg->pool, msg->data, msg->size, msg->route, msg->sender, msg->time);
        pthread_mutex_unlock(msg->pool->lock);
        return copy;
    }
    weft_msg *shared =
        (weft_msg *)(uintptr_t)msg; /* the count is not part of what const promises */
    atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    return shared;
}

void weft_msg_unref(weft_msg *msg)
{
    /* The last holder need not count down: nobody else can count up. */
    if (!msg || (atomic_load_explicit(&msg->refs, memory_order_acquire) != 1 &&
                 atomic_fetch_sub_explicit(&msg->refs, 1, memory_order_acq_rel) != 1))
        return;
    weft_msg_unref(msg->parent);
    put_block(msg);
}
