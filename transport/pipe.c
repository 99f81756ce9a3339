/* The shared half of an inproc connection.
 *
 * Happy path. The writer finds room under the lock, copies without it, and makes the bytes visible
 * under it again; the reader likewise. That is safe because a lane has one writer, which touches
 * only the free part, and one reader, which touches only the filled part:
 *
 *     data  ....[head ■■■■■■■ len).....
 *           free     filled       free
 *
 * Failure modes.
 * - A wake-up must not be lost. The reader is woken when a lane stops being empty, judged at the
 *   moment the bytes become visible. The writer is woken once half the lane is free again, and says
 *   that it waits under the same lock under which it found the lane full.
 * - A loop may close while the other side wakes it. So wake-ups are sent under the lock, and a side
 *   takes its handle out under the lock before it closes it. */
#include "transport/pipe.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <weft/weft.h>

#include "base/mem.h"

struct lane {
    uint8_t *data;    /* PIPE_CAPACITY bytes */
    size_t head, len; /* filled: len bytes from head on, wrapping */
    bool writer_waits;
    bool finished; /* nothing more comes */
};

struct pipe {
    struct list node; /* among the connections a listener has yet to accept */
    pthread_mutex_t lock;
    struct lane lanes[2]; /* [i]: what side i has written */
    uv_async_t *wake[2];  /* NULL: nobody to wake */
    bool closed[2];       /* both: freed */
};

int pipe_new(struct pipe **ret_pipe)
{
    struct pipe *p = mem_zalloc(sizeof(*p));
    if (!p)
        return WEFT_ENOMEM;
    p->lanes[0].data = mem_alloc(PIPE_CAPACITY);
    p->lanes[1].data = mem_alloc(PIPE_CAPACITY);
    if (!p->lanes[0].data || !p->lanes[1].data || pthread_mutex_init(&p->lock, NULL) != 0) {
        mem_free(p->lanes[1].data);
        mem_free(p->lanes[0].data);
        mem_free(p);
        return WEFT_ENOMEM;
    }
    list_init(&p->node);
    *ret_pipe = p;
    return 0;
}

static void pipe_free(struct pipe *p)
{
    pthread_mutex_destroy(&p->lock);
    mem_free(p->lanes[1].data);
    mem_free(p->lanes[0].data);
    mem_free(p);
}

struct list *pipe_node(struct pipe *p)
{
    return &p->node;
}

struct pipe *pipe_of_node(struct list *node)
{
    return list_entry(node, struct pipe, node);
}

/* With the lock held. */
static void wake(struct pipe *p, int side)
{
    if (p->wake[side])
        uv_async_send(p->wake[side]);
}

void pipe_attach(struct pipe *p, int side, uv_async_t *async)
{
    pthread_mutex_lock(&p->lock);
    p->wake[side] = async;
    pthread_mutex_unlock(&p->lock);
}

ssize_t pipe_put(struct pipe *p, int side, const void *data, size_t size)
{
    struct lane *lane = &p->lanes[side];
    pthread_mutex_lock(&p->lock);
    if (p->closed[!side]) {
        pthread_mutex_unlock(&p->lock);
        return WEFT_ELOST;
    }
    if (lane->len == 0) /* from the start: an idle lane keeps few pages busy */
        lane->head = 0;
    size_t tail = (lane->head + lane->len) % PIPE_CAPACITY;
    size_t n = min_size(size, min_size(PIPE_CAPACITY - lane->len, PIPE_CAPACITY - tail));
    lane->writer_waits = n == 0;
    pthread_mutex_unlock(&p->lock);
    if (n == 0)
        return 0;

    memcpy(lane->data + tail, data, n);

    pthread_mutex_lock(&p->lock);
    bool was_empty = lane->len == 0;
    lane->len += n;
    if (was_empty)
        wake(p, !side);
    pthread_mutex_unlock(&p->lock);
    return (ssize_t)n;
}

ssize_t pipe_get(struct pipe *p, int side, void *data, size_t size)
{
    struct lane *lane = &p->lanes[!side];
    pthread_mutex_lock(&p->lock);
    size_t head = lane->head;
    size_t n = min_size(size, min_size(lane->len, PIPE_CAPACITY - head));
    bool closed = p->closed[!side] || lane->finished;
    pthread_mutex_unlock(&p->lock);
    if (n == 0)
        return closed ? WEFT_ECLOSED : 0;

    memcpy(data, lane->data + head, n);

    pthread_mutex_lock(&p->lock);
    lane->head = (head + n) % PIPE_CAPACITY;
    lane->len -= n;
    if (lane->writer_waits && lane->len <= PIPE_CAPACITY / 2) {
        lane->writer_waits = false;
        wake(p, !side);
    }
    pthread_mutex_unlock(&p->lock);
    return (ssize_t)n;
}

size_t pipe_unread(struct pipe *p, int side)
{
    pthread_mutex_lock(&p->lock);
    size_t unread = p->closed[!side] ? p->lanes[side].len : 0;
    pthread_mutex_unlock(&p->lock);
    return unread;
}

void pipe_finish(struct pipe *p, int side)
{
    pthread_mutex_lock(&p->lock);
    p->lanes[side].finished = true;
    wake(p, !side);
    pthread_mutex_unlock(&p->lock);
}

void pipe_close(struct pipe *p, int side)
{
    pthread_mutex_lock(&p->lock);
    p->closed[side] = true;
    p->wake[side] = NULL;
    wake(p, !side);
    bool last = p->closed[!side];
    pthread_mutex_unlock(&p->lock);
    if (last)
        pipe_free(p);
}
