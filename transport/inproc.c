/* inproc: connections inside the process, between any two loops on any threads.
 *
 * Happy path. A listener stands in a table of the process under its name. Dialling makes a pipe,
 * leaves it in the listener's queue and wakes its loop, which accepts it. The connection stands as
 * soon as it is queued, as with TCP. From then on each end is woken by the other through a uv_async
 * and looks what there is to do: finish a write, read, or see that the other end has closed.
 *
 * Failure modes.
 * - Nobody listens under the name, or the queue is full: WEFT_EREFUSED, from the loop.
 * - A listener closes with connections queued: to the diallers they end.
 * - Either end closes at any moment, its loop with it: see pipe.c. What it had written is read
 *   before the other end hears of the end.
 * - A reader that has more to read than its turn allows wakes itself.
 *
 * Locks: the table's, then a pipe's; none is held while a handler runs. */
#include "transport/private.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include <weft/weft.h>

#include "base/list.h"
#include "base/mem.h"
#include "transport/pipe.h"

enum {
    BACKLOG = 1024,
    ACCEPTS_PER_EVENT = 64,
    READS_PER_EVENT = 16,
};

enum { DIALLER, ACCEPTOR }; /* sides of a pipe */

struct inproc_stream {
    struct stream base;
    uv_async_t wake;
    struct pipe *pipe; /* NULL: refused */
    int side;
    bool opening; /* on_open is due */
    bool reading;
    struct rest rest; /* of the write under way */
};

struct inproc_listener {
    struct listener base;
    uv_loop_t *loop;
    uv_async_t wake;
    struct list node; /* in the table until closed */
    bool closing;
    struct list pending; /* pipes to accept; by the table's lock, as is their number */
    unsigned pending_count;
    char name[URL_MAX + 1];
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list table = {&table, &table};

static struct inproc_listener *find(const char *name)
{
    list_each (it, &table) {
        struct inproc_listener *l = list_entry(it, struct inproc_listener, node);
        if (strcmp(l->name, name) == 0)
            return l;
    }
    return NULL;
}

/* ---- Streams ---- */

static struct inproc_stream *from_base(struct stream *s)
{
    return container_of(s, struct inproc_stream, base);
}

static int inproc_read_start(struct stream *base)
{
    struct inproc_stream *s = from_base(base);
    s->reading = true;
    uv_async_send(&s->wake);
    return 0;
}

static void inproc_read_stop(struct stream *base)
{
    from_base(base)->reading = false;
}

/* As much as there is room for. Returns the bytes, or WEFT_ELOST. */
static ssize_t put_some(struct inproc_stream *s, const uv_buf_t *bufs, unsigned count)
{
    size_t done = 0;
    for (unsigned i = 0; i < count; i++) {
        for (size_t at = 0; at < bufs[i].len;) {
            ssize_t n = pipe_put(s->pipe, s->side, bufs[i].base + at, bufs[i].len - at);
            if (n < 0)
                return n;
            if (n == 0)
                return (ssize_t)done;
            at += (size_t)n;
            done += (size_t)n;
        }
    }
    return (ssize_t)done;
}

static int inproc_write(struct stream *base, const uv_buf_t *bufs, unsigned count)
{
    struct inproc_stream *s = from_base(base);
    assert(!s->rest.bufs && s->pipe && !s->opening);
    size_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += bufs[i].len;
    ssize_t n = put_some(s, bufs, count);
    if (n < 0)
        return (int)n;
    if ((size_t)n == total)
        return 1;
    return rest_keep(&s->rest, bufs, count, (size_t)n);
}

static void write_rest(struct inproc_stream *s)
{
    ssize_t n = put_some(s, s->rest.bufs + s->rest.next, s->rest.count - s->rest.next);
    if (n >= 0) {
        rest_skip(&s->rest, (size_t)n);
        if (!rest_empty(&s->rest))
            return;
    }
    if (n >= 0)
        rest_clear(&s->rest);
    s->base.handler->on_written(&s->base, n < 0 ? (int)n : 0, s->base.user);
    if (n < 0)
        rest_clear(&s->rest);
}

/* One turn of on_alloc and on_read. False: there is nothing more for now. */
static bool read_once(struct inproc_stream *s)
{
    uv_buf_t buf = {0};
    s->base.handler->on_alloc(&s->base, &buf, s->base.user);
    if (s->base.closing)
        return false;
    assert(buf.base && buf.len > 0);
    ssize_t n = pipe_get(s->pipe, s->side, buf.base, buf.len);
    if (n > 0) {
        s->base.handler->on_read(&s->base, (size_t)n, s->base.user);
        return true;
    }
    if (n < 0) {
        s->reading = false;
        s->base.handler->on_end(&s->base, (int)n, s->base.user);
    }
    return false;
}

static void read_some(struct inproc_stream *s)
{
    for (int i = 0; i < READS_PER_EVENT; i++)
        if (!s->reading || s->base.closing || !read_once(s))
            return;
    if (!s->base.closing)
        uv_async_send(&s->wake);
}

static void on_wake(uv_async_t *async)
{
    struct inproc_stream *s = async->data;
    if (s->opening) {
        s->opening = false;
        s->base.handler->on_open(&s->base, s->pipe ? 0 : WEFT_EREFUSED, s->base.user);
    }
    if (s->rest.bufs)
        write_rest(s);
    if (s->reading)
        read_some(s);
}

static void inproc_shutdown(struct stream *base)
{
    struct inproc_stream *s = from_base(base);
    assert(!s->rest.bufs);
    if (s->pipe)
        pipe_finish(s->pipe, s->side);
}

static size_t inproc_unsent(struct stream *base)
{
    return 0;
}

static size_t inproc_unwritten(struct stream *base)
{
    return rest_bytes(&from_base(base)->rest);
}

static size_t inproc_unacked(struct stream *base)
{
    struct inproc_stream *s = from_base(base);
    return s->pipe ? pipe_unread(s->pipe, s->side) : 0;
}

static void on_stream_closed(uv_handle_t *handle)
{
    struct inproc_stream *s = handle->data;
    if (s->base.handler)
        s->base.handler->on_closed(&s->base, s->base.user);
    mem_free(s);
}

static void inproc_close(struct stream *base)
{
    struct inproc_stream *s = from_base(base);
    s->reading = false;
    rest_clear(&s->rest);
    if (s->pipe)
        pipe_close(s->pipe, s->side);
    uv_close((uv_handle_t *)&s->wake, on_stream_closed);
}

static const struct stream_ops ops = {
    .read_start = inproc_read_start,
    .read_stop = inproc_read_stop,
    .write = inproc_write,
    .shutdown = inproc_shutdown,
    .unsent = inproc_unsent,
    .unwritten = inproc_unwritten,
    .unacked = inproc_unacked,
    .close = inproc_close,
};

/* Errors: WEFT_ENOMEM, WEFT_EMFILE, WEFT_EIO; the pipe stays the caller's. */
static int stream_new(uv_loop_t *loop, struct pipe *pipe, int side, struct inproc_stream **ret_s)
{
    struct inproc_stream *s = mem_zalloc(sizeof(*s));
    if (!s)
        return WEFT_ENOMEM;
    int rc = uv_async_init(loop, &s->wake, on_wake);
    if (rc < 0) {
        mem_free(s);
        return transport_error(rc);
    }
    s->wake.data = s;
    s->base.ops = &ops;
    s->base.local = s->base.guarded = true;
    s->pipe = pipe;
    s->side = side;
    pipe_attach(pipe, side, &s->wake);
    *ret_s = s;
    return 0;
}

/* ---- Dialling ---- */

static bool enqueue(const char *name, struct pipe *pipe)
{
    pthread_mutex_lock(&table_lock);
    struct inproc_listener *l = find(name);
    bool room = l && l->pending_count < BACKLOG;
    if (room) {
        list_push(&l->pending, pipe_node(pipe));
        l->pending_count++;
        uv_async_send(&l->wake);
    }
    pthread_mutex_unlock(&table_lock);
    return room;
}

static void drop_pipe(struct pipe *pipe)
{
    pipe_close(pipe, ACCEPTOR);
    pipe_close(pipe, DIALLER);
}

static int inproc_dial(uv_loop_t *loop, const struct url *url, const struct stream_handler *handler,
                       void *user, struct stream **ret_stream)
{
    struct pipe *pipe;
    int rc = pipe_new(&pipe);
    if (rc < 0)
        return rc;
    struct inproc_stream *s = NULL;
    rc = stream_new(loop, pipe, DIALLER, &s);
    if (rc < 0) {
        drop_pipe(pipe);
        return rc;
    }
    s->base.handler = handler;
    s->base.user = user;
    s->opening = true;
    if (!enqueue(url->address, pipe)) {
        drop_pipe(pipe);
        s->pipe = NULL;
    }
    uv_async_send(&s->wake);
    *ret_stream = &s->base;
    return 0;
}

/* ---- Listening ---- */

static struct pipe *dequeue(struct inproc_listener *l)
{
    pthread_mutex_lock(&table_lock);
    struct list *node = list_pop(&l->pending);
    if (node)
        l->pending_count--;
    pthread_mutex_unlock(&table_lock);
    return node ? pipe_of_node(node) : NULL;
}

static void on_pending(uv_async_t *async)
{
    struct inproc_listener *l = async->data;
    for (int i = 0; i < ACCEPTS_PER_EVENT && !l->closing; i++) {
        struct pipe *pipe = dequeue(l);
        if (!pipe)
            return;
        struct inproc_stream *s = NULL;
        int rc = stream_new(l->loop, pipe, ACCEPTOR, &s);
        if (rc < 0) {
            pipe_close(pipe, ACCEPTOR);
            l->base.handler->on_error(&l->base, rc, l->base.user);
        } else {
            l->base.handler->on_accept(&l->base, &s->base, l->base.user);
        }
    }
    if (!l->closing)
        uv_async_send(&l->wake);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct inproc_listener *l = handle->data;
    l->base.handler->on_closed(&l->base, l->base.user);
    mem_free(l);
}

static void close_listener(struct listener *base)
{
    struct inproc_listener *l = container_of(base, struct inproc_listener, base);
    if (l->closing)
        return;
    l->closing = true;
    pthread_mutex_lock(&table_lock);
    list_remove(&l->node);
    pthread_mutex_unlock(&table_lock);
    for (struct pipe *pipe; (pipe = dequeue(l));)
        pipe_close(pipe, ACCEPTOR);
    uv_close((uv_handle_t *)&l->wake, on_listener_closed);
}

/* Under one lock, so that a name in use leaves no handle to close and nobody finds a listener that
 * cannot be woken yet. */
static int enter(struct inproc_listener *l)
{
    pthread_mutex_lock(&table_lock);
    int rc = find(l->name) ? WEFT_EADDRINUSE : 0;
    if (rc == 0)
        rc = transport_error(uv_async_init(l->loop, &l->wake, on_pending));
    if (rc == 0)
        list_push(&table, &l->node);
    pthread_mutex_unlock(&table_lock);
    return rc;
}

static int inproc_listen(uv_loop_t *loop, const struct url *url,
                         const struct listener_handler *handler, void *user,
                         struct listener **ret_listener, struct url *ret_url)
{
    if (!url->address[0])
        return WEFT_EADDRNOTAVAIL;
    struct inproc_listener *l = mem_zalloc(sizeof(*l));
    if (!l)
        return WEFT_ENOMEM;
    l->wake.data = l;
    l->base.close = close_listener;
    l->base.handler = handler;
    l->base.user = user;
    l->loop = loop;
    list_init(&l->node);
    list_init(&l->pending);
    memcpy(l->name, url->address, sizeof(l->name));
    int rc = enter(l);
    if (rc < 0) {
        mem_free(l);
        return rc;
    }
    *ret_listener = &l->base;
    *ret_url = *url;
    return 0;
}

const struct transport transport_inproc = {
    .scheme = "inproc", .listen = inproc_listen, .dial = inproc_dial};
