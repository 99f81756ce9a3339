/* Queues: what waits for weft_recv.
 *
 *     interest_push ─ lock ─▶ in │◀── swapped when out is empty ──▶│ out ─ take ─▶ weft_recv
 *
 * Senders append to `in` under one lock, receivers take from `out` under another, and swap the two
 * when `out` is empty: the threads meet once a batch instead of once a message. Where the policy
 * may have to drop the oldest message, or a descriptor shows whether one waits, receivers take from
 * `in` itself.
 *
 * A queue is bounded in bytes. When it is full: BLOCK lets the link that brought the message pause,
 * or the thread that sent it wait, and weft_recv wakes them when half is free; the other policies
 * drop here and count. What receivers take is given back in portions, so a large queue may count
 * up to GIVE_BACK bytes more than it holds. */
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/node.h"
#include "node/records.h"

#define GIVE_BACK ((size_t)64 << 10)
#define LARGE_QUEUE (16 * GIVE_BACK) /* from here on portions are given back */
#define SMALL_BATCH 64
#define PAUSES 64 /* of the processor, before a receiver sleeps */

/* What senders write with each message, what receivers write, and what hardly changes lie apart: a
 * line of memory that two processors write to in turn costs each of them more than the message. */
#define LINE 64

struct queue {
    size_t limit;
    enum weft_policy policy;
    struct msg_pool *pool; /* of what receivers get; its lock is `take` */
    atomic_int fd;         /* readable while messages wait; -1: none. Written under both locks */
    bool closed;           /* likewise */
    char apart[LINE];

    pthread_mutex_t lock; /* after plane, after take */
    struct records in;
    size_t bytes;                /* of both rows, and `taken` */
    atomic_uint_fast64_t pushed; /* messages in all */
    unsigned asleep, signalled;  /* in weft_recv; those of them that were woken */
    unsigned inside;             /* calls of weft_recv that found nothing and are not over */
    bool stuck;                  /* BLOCK ran out of time */
    atomic_bool blocking;        /* a link or a sender waits for room */
    pthread_cond_t arrived;
    char apart_too[LINE];

    pthread_mutex_t take;
    struct records out;
    size_t taken;   /* bytes not yet given back */
    uint32_t batch; /* messages of the last swap */
};

/* ---- Life ---- */

static struct queue *queue_new(size_t limit, enum weft_policy policy)
{
    struct queue *q = mem_zalloc(sizeof(*q));
    if (!q)
        return NULL;
    q->limit = limit;
    q->policy = policy;
    atomic_init(&q->fd, -1);
    q->pool = pool_new(&q->take);
    if (!q->pool) {
        mem_free(q);
        return NULL;
    }
    mutex_init_spinning(&q->lock);
    mutex_init_spinning(&q->take);
    cond_init(&q->arrived);
    return q;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    records_fini(&q->in);
    records_fini(&q->out);
    pool_close(q->pool);
    if (q->fd >= 0)
        close(q->fd);
    pthread_mutex_destroy(&q->lock);
    pthread_mutex_destroy(&q->take);
    pthread_cond_destroy(&q->arrived);
    mem_free(q);
}

/* Most interests of a node with very many have callbacks or hear nothing: the first message, or the
 * first to ask for one, makes the queue. NULL: out of memory. */
static struct queue *queue_of(weft_interest *i)
{
    struct queue *q = atomic_load_explicit(&i->queue, memory_order_acquire);
    if (q)
        return q;
    struct queue *fresh = queue_new(i->queue_limit, i->options.policy);
    if (!fresh || atomic_compare_exchange_strong(&i->queue, &q, fresh))
        return fresh;
    queue_free(fresh);
    return q; /* another thread was first */
}

void queue_expel(weft_interest *i)
{
    struct queue *q = atomic_load_explicit(&i->queue, memory_order_acquire);
    if (!q)
        return;
    pthread_mutex_lock(&q->take);
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->arrived);
    pthread_mutex_unlock(&q->take);
    while (q->inside)
        pthread_cond_wait(&q->arrived, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

void queue_refused(weft_interest *i)
{
    struct queue *q = atomic_load(&i->queue);
    if (!q) /* who makes one from now on sees the error */
        return;
    pthread_mutex_lock(&q->lock);
    pthread_cond_broadcast(&q->arrived);
    if (q->fd >= 0)
        eventfd_write(q->fd, 1);
    pthread_mutex_unlock(&q->lock);
}

/* ---- Senders ---- */

/* lock held */
static bool has_room(const struct queue *q, size_t size)
{
    return q->bytes == 0 || q->bytes + size + RECORD_COST <= q->limit;
}

uint32_t interest_wait_ms(weft_interest *i, size_t size)
{
    struct queue *q = atomic_load_explicit(&i->queue, memory_order_acquire);
    if (!q || q->policy != WEFT_BLOCK || atomic_load_explicit(&i->closed, memory_order_relaxed))
        return 0;
    pthread_mutex_lock(&q->lock);
    bool wait = !q->stuck && !has_room(q, size);
    if (wait)
        atomic_store(&q->blocking, true);
    pthread_mutex_unlock(&q->lock);
    return wait ? i->options.block_ms : 0;
}

bool interest_refuses(weft_interest *i, size_t size)
{
    struct queue *q = atomic_load_explicit(&i->queue, memory_order_acquire);
    if (!q || atomic_load_explicit(&i->closed, memory_order_relaxed) ||
        (q->policy != WEFT_BLOCK && q->policy != WEFT_REFUSE))
        return false;
    pthread_mutex_lock(&q->lock);
    bool full = !has_room(q, size);
    pthread_mutex_unlock(&q->lock);
    return full;
}

/* Make room by policy. False: the new message is dropped. What was `promised` room, when somebody
 * looked, goes over the limit where another thread has taken it meanwhile: of those who look there
 * is one sender (plane) and the loop, so by one message. lock held */
static bool make_room(weft_interest *i, struct queue *q, size_t size, bool promised)
{
    if (q->policy == WEFT_KEEP_LAST || q->policy == WEFT_DROP_OLDEST) {
        bool all = q->policy == WEFT_KEEP_LAST;
        while (q->in.count && (all || !has_room(q, size))) {
            q->bytes -= records_drop(&q->in) + RECORD_COST;
            atomic_fetch_add(&i->dropped, 1);
        }
    }
    if (has_room(q, size) ||
        (promised && q->policy == WEFT_BLOCK && i->options.block_ms && !q->stuck))
        return true;
    q->stuck = q->policy == WEFT_BLOCK;
    return false;
}

/* Tell those who wait for a message that one came. lock held */
static void announce(struct queue *q, size_t size)
{
    q->bytes += size + RECORD_COST;
    atomic_store_explicit(&q->pushed, atomic_load_explicit(&q->pushed, memory_order_relaxed) + 1,
                          memory_order_release);
    if (q->asleep > q->signalled) {
        q->signalled++;
        pthread_cond_signal(&q->arrived);
    }
    if (q->fd >= 0 && q->in.count == 1)
        eventfd_write(q->fd, 1);
}

bool interest_push(weft_interest *i, const struct parcel *p, bool promised)
{
    if (atomic_load_explicit(&i->closed, memory_order_relaxed))
        return true; /* it wants nothing any more */
    struct queue *q = queue_of(i);
    if (!q) {
        interest_no_memory(i);
        return false;
    }
    pthread_mutex_lock(&q->lock);
    bool room = make_room(i, q, p->size, promised);
    bool ok = room && records_push(&q->in, p) == 0;
    if (ok)
        announce(q, p->size);
    else if (room)
        interest_no_memory(i);
    else
        atomic_fetch_add(&i->dropped, 1);
    pthread_mutex_unlock(&q->lock);
    return ok;
}

bool interest_push_at_once(weft_interest *i, const struct parcel *p)
{
    struct queue *q = queue_of(i);
    if (!q || q->policy == WEFT_KEEP_LAST || atomic_load_explicit(&i->closed, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&q->lock);
    bool ok = has_room(q, p->size) && records_push(&q->in, p) == 0;
    if (ok)
        announce(q, p->size);
    pthread_mutex_unlock(&q->lock);
    return ok;
}

/* ---- Receivers ---- */

/* Room again: wake links that paused and senders that wait. */
static void unblock(weft_node *node)
{
    plane_lock(node);
    bool wake = node_todo(node, TODO_RESUME);
    pthread_cond_broadcast(&node->room);
    plane_unlock(node);
    if (wake)
        node_wake(node);
}

/* Returns whether somebody waits for room and should be woken. lock held */
static bool give_back(struct queue *q)
{
    q->bytes -= q->taken;
    q->taken = 0;
    if (q->bytes > q->limit / 2)
        return false;
    q->stuck = false;
    return atomic_load_explicit(&q->blocking, memory_order_relaxed) &&
           atomic_exchange(&q->blocking, false);
}

static bool swaps(const struct queue *q)
{
    return q->fd < 0 && (q->policy == WEFT_BLOCK || q->policy == WEFT_REFUSE);
}

struct taking {
    weft_msg *msg;
    int error;     /* there is one, but no memory for it */
    bool wake;     /* call unblock */
    bool may_wait; /* the caller has time */
    bool inside;   /* counted in q->inside */
    uint64_t seen; /* q->pushed, when there was nothing */
};

static void take_from(struct queue *q, struct records *r, struct taking *t)
{
    t->msg = records_pop(r, q->pool);
    if (t->msg)
        q->taken += t->msg->size + RECORD_COST;
    else
        t->error = WEFT_ENOMEM;
}

/* A receiver that is faster than the senders would meet them at the lock for every few messages.
 * Not to look for a moment leaves them the memory they write to, and lets a batch gather. */
static void let_gather(const struct queue *q)
{
    for (int i = 0; i < PAUSES && q->batch < SMALL_BATCH; i++)
        cpu_relax();
}

/* Fill `out`, or take from `in` itself. A call that finds nothing is counted before any lock is
 * free: closing waits for it. take held */
static void refill(struct queue *q, struct taking *t)
{
    if (swaps(q) && t->may_wait)
        let_gather(q);
    pthread_mutex_lock(&q->lock);
    t->wake |= give_back(q);
    t->seen = atomic_load_explicit(&q->pushed, memory_order_relaxed);
    if (swaps(q)) {
        q->batch = q->in.count;
        struct records empty = q->out;
        q->out = q->in;
        q->in = empty;
    } else if (q->in.count) {
        take_from(q, &q->in, t);
        t->wake |= give_back(q);
    }
    if (!t->inside && !t->msg && q->out.count == 0) {
        q->inside++;
        t->inside = true;
    }
    pthread_mutex_unlock(&q->lock);
}

/* The descriptor is readable as long as something waits. take held */
static void quiet_fd(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    eventfd_t ignored;
    if (q->in.count == 0)
        eventfd_read(q->fd, &ignored);
    pthread_mutex_unlock(&q->lock);
}

/* The next message, or none. take held */
static void take_one(struct queue *q, struct taking *t)
{
    if (q->closed) {
        t->error = WEFT_ECLOSED;
        return;
    }
    if (q->out.count == 0)
        refill(q, t);
    if (!t->msg && q->out.count && t->error == 0) {
        take_from(q, &q->out, t);
        if (q->taken >= GIVE_BACK || q->limit < LARGE_QUEUE) {
            pthread_mutex_lock(&q->lock);
            t->wake |= give_back(q);
            pthread_mutex_unlock(&q->lock);
        }
    }
    if (t->msg && q->fd >= 0 && q->out.count == 0)
        quiet_fd(q);
}

/* Nothing waits: what a burst took goes back. */
static void trim(struct queue *q)
{
    pool_trim(q->pool, mono_ns());
    pthread_mutex_lock(&q->take);
    pthread_mutex_lock(&q->lock);
    records_trim(&q->in);
    records_trim(&q->out);
    pthread_mutex_unlock(&q->lock);
    pthread_mutex_unlock(&q->take);
}

/* Wait until there is something new to see. Errors: WEFT_ETIMEDOUT, WEFT_ECLOSED, and what the
 * interest was refused with, for then nothing ever comes. */
static int wait_for_message(weft_interest *i, struct queue *q, uint64_t seen, uint64_t deadline)
{
    if (deadline)
        trim(q);
    pthread_mutex_lock(&q->lock);
    int rc = atomic_load(&i->error);
    if (rc == 0 && !q->closed && atomic_load_explicit(&q->pushed, memory_order_relaxed) == seen) {
        q->asleep++;
        if (deadline == 0 || !cond_wait_until(&q->arrived, &q->lock, deadline))
            rc = WEFT_ETIMEDOUT;
        q->asleep--;
        q->signalled -= q->signalled > 0;
    }
    if (q->closed) {
        rc = WEFT_ECLOSED;
    } else if (rc < 0 && atomic_load_explicit(&q->pushed, memory_order_relaxed) != seen) {
        rc = 0;
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}

/* Take a message, waiting for it. */
static int take_or_wait(weft_interest *i, struct queue *q, struct taking *t, int timeout_ms)
{
    weft_node *node = i->node; /* the interest may go once a call that found something is over */
    uint64_t deadline = 0;
    for (;;) {
        pthread_mutex_lock(&q->take);
        take_one(q, t);
        pthread_mutex_unlock(&q->take);
        if (t->wake)
            unblock(node);
        t->wake = false;
        if (t->msg || t->error)
            return t->error;
        if (timeout_ms && !deadline)
            deadline = deadline_after(timeout_ms);
        int rc = wait_for_message(i, q, t->seen, deadline);
        if (rc < 0)
            return rc;
    }
}

/* A call that was counted is over: the queue may go now. */
static void leave(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->inside--;
    if (q->closed)
        pthread_cond_broadcast(&q->arrived);
    pthread_mutex_unlock(&q->lock);
}

int weft_recv(weft_interest *i, weft_msg **ret_msg, int timeout_ms)
{
    if (!i || !ret_msg || i->options.on_message)
        return WEFT_EINVAL;
    if (timeout_ms != 0 && on_loop(i->node))
        return WEFT_ELOOP;
    struct queue *q = queue_of(i);
    if (!q)
        return WEFT_ENOMEM;
    struct taking t = {.may_wait = timeout_ms != 0};
    int rc = take_or_wait(i, q, &t, timeout_ms);
    if (t.inside)
        leave(q);
    if (t.msg)
        *ret_msg = t.msg;
    return rc;
}

uint64_t queue_pushed(const weft_interest *i)
{
    struct queue *q = atomic_load_explicit(&i->queue, memory_order_acquire);
    return q ? atomic_load_explicit(&q->pushed, memory_order_relaxed) : 0;
}

int weft_interest_fd(weft_interest *i)
{
    if (i->options.on_message)
        return WEFT_EINVAL;
    struct queue *q = queue_of(i);
    if (!q)
        return WEFT_ENOMEM;
    pthread_mutex_lock(&q->take);
    pthread_mutex_lock(&q->lock);
    if (q->fd < 0)
        q->fd = eventfd(q->in.count + q->out.count || atomic_load(&i->error) ? 1 : 0,
                        EFD_NONBLOCK | EFD_CLOEXEC);
    int fd = q->fd;
    pthread_mutex_unlock(&q->lock);
    pthread_mutex_unlock(&q->take);
    return fd >= 0 ? fd : WEFT_EMFILE;
}
