/* Listening sockets, shared by tcp and unix.
 *
 * Happy path: the socket polls readable, connections are accepted until none waits, each becomes a
 * stream and is handed to on_accept.
 *
 * Failure modes.
 * - The connection went away before it was accepted: the next one.
 * - No descriptor or memory is left: on_error, and accepting rests for a moment. The connections
 *   wait in the kernel meanwhile; going on at once would spin, as the socket stays readable.
 * - The listener is closed inside on_accept: the rest is left to the kernel, which resets it. */
#include "transport/private.h"

#include <errno.h>
#include <unistd.h>

#include <weft/weft.h>

#include "base/mem.h"

enum {
    ACCEPTS_PER_EVENT = 64,
    PAUSE_MS = 100,
};

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct sock_listener *l = timer->data;
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void pause_accepting(struct sock_listener *l, int error)
{
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
    l->base.handler->on_error(&l->base, error, l->base.user);
}

static int hand_over(struct sock_listener *l, int fd)
{
    struct sock_stream *s = mem_zalloc(sizeof(*s));
    if (!s) {
        close(fd);
        return WEFT_ENOMEM;
    }
    sock_init(s, l->loop, l->family);
    int rc = sock_adopt(s, fd);
    if (rc < 0) {
        close(fd);
        stream_close(&s->base);
        return rc;
    }
    l->base.handler->on_accept(&l->base, &s->base, l->base.user);
    return 0;
}

/* 1: go on. 0: nothing waits. */
static int accept_one(struct sock_listener *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        int rc = hand_over(l, fd);
        return rc < 0 ? rc : 1;
    }
    switch (errno) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
        return 0;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
        return 1;
    default:
        return transport_error(-errno);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct sock_listener *l = poll->data;
    if (status < 0) {
        pause_accepting(l, WEFT_EIO);
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_EVENT && !l->closing; i++) {
        int rc = accept_one(l);
        if (rc < 0)
            pause_accepting(l, rc);
        if (rc <= 0)
            return;
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct sock_listener *l = handle->data;
    if (--l->handles > 0)
        return;
    l->base.handler->on_closed(&l->base, l->base.user);
    mem_free(l);
}

/* Only our own socket file, and while we still listen on it: to others it must never look stale. */
static void remove_file(const struct sock_listener *l)
{
    struct stat st;
    if (l->path[0] && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        unlink(l->path);
}

static void close_listener(struct listener *base)
{
    struct sock_listener *l = container_of(base, struct sock_listener, base);
    if (l->closing)
        return;
    l->closing = true;
    remove_file(l);
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    uv_close((uv_handle_t *)&l->pause, on_handle_closed);
    close(l->fd);
}

int sock_listen(uv_loop_t *loop, int fd, const struct sock_family *family,
                const struct listener_handler *handler, void *user,
                struct sock_listener **ret_listener)
{
    struct sock_listener *l = mem_zalloc(sizeof(*l));
    if (!l)
        return WEFT_ENOMEM;
    int rc = uv_poll_init(loop, &l->poll, fd);
    if (rc < 0) {
        mem_free(l);
        return transport_error(rc);
    }
    uv_timer_init(loop, &l->pause);
    l->poll.data = l->pause.data = l;
    l->handles = 2;
    l->base.close = close_listener;
    l->base.handler = handler;
    l->base.user = user;
    l->loop = loop;
    l->family = family;
    l->fd = fd;
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
    *ret_listener = l;
    return 0;
}
