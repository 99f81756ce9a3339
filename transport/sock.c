/* Streams over sockets, shared by tcp and unix.
 *
 * Happy path. sock_dial has the dialer's attempt called from the loop; that calls sock_connect,
 * which opens a socket and waits until it can be written to. Then SO_ERROR tells how it went, and
 * on_open is called. An accepted socket comes from sock_listen.c and is connected from the start.
 * Reads go straight into the owner's buffer. Writes go to the kernel at once; what it does not take
 * is kept as a list of buffers and follows when the socket can be written to again.
 *
 *     uv_timer ─► attempt ─► connect ─► poll writable ─► on_open ─► poll as reading/rest demand
 *                   ▲                        │ failed
 *                   └──── close the socket ◄─┘
 *
 * The socket is watched by uv_poll rather than owned by uv_tcp or uv_pipe, because libuv writes
 * without MSG_NOSIGNAL: a peer that goes away during a write would raise SIGPIPE, and a library
 * that an application attaches to its own loop may neither die of that nor change the process's
 * signal handling.
 *
 * Failure modes.
 * - An attempt fails, at once or later: the dialer is asked for the next address. The last word is
 *   its own, through on_open.
 * - POLLERR makes libuv stop the poll and report EBADF. It is taken as "ready": the system call
 *   that follows gives the true error.
 * - The peer is gone while we read: on_end. While we write: the result of the write, or on_written.
 * - Closed in the middle of anything: nothing is called but on_closed, once every libuv handle is
 *   back. A write under way is forgotten. Closing a TCP socket with unread bytes makes the kernel
 *   drop what it still had to send, so what can be read is read away first. */
#include "transport/private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <weft/weft.h>

#include "base/mem.h"

enum {
    READS_PER_EVENT = 16,  /* then other streams of the loop have their turn */
    IOV_AT_ONCE = 64,      /* buffers of one system call */
    DRAIN_AT_CLOSE = 1024, /* KiB of unread bytes thrown away at most */
    LATER_MS = 10,         /* pause of a dialer that asked for one */
};

static struct sock_stream *from_base(struct stream *s)
{
    return container_of(s, struct sock_stream, base);
}

int sock_open(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* ---- Writing ---- */

static unsigned fill_iov(struct iovec *iov, const uv_buf_t *bufs, unsigned count, size_t skip)
{
    unsigned n = 0;
    for (unsigned i = 0; i < count && n < IOV_AT_ONCE; i++) {
        if (skip >= bufs[i].len) {
            skip -= bufs[i].len;
            continue;
        }
        iov[n].iov_base = bufs[i].base + skip;
        iov[n++].iov_len = bufs[i].len - skip;
        skip = 0;
    }
    return n;
}

/* One system call from byte `skip` on. Returns the bytes taken, 0 for none now, or a libuv error.
 */
static ssize_t send_once(int fd, const uv_buf_t *bufs, unsigned count, size_t skip)
{
    struct iovec iov[IOV_AT_ONCE];
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = fill_iov(iov, bufs, count, skip)};
    ssize_t n;
    do
        n = sendmsg(fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

static int broken(ssize_t uv_error)
{
    int error = transport_error((int)uv_error);
    return error == WEFT_EIO || error == WEFT_ENOMEM ? error : WEFT_ELOST;
}

/* ---- The poll follows what the stream waits for ---- */

static void on_event(uv_poll_t *poll, int status, int events);

static void adjust_poll(struct sock_stream *s)
{
    if (s->in_event || s->poll_state != SOCK_POLLED)
        return;
    int wanted = 0;
    if (s->reading)
        wanted |= UV_READABLE;
    if (s->opening || s->rest.bufs)
        wanted |= UV_WRITABLE;
    if (wanted == s->events)
        return;
    s->events = wanted;
    if (wanted)
        uv_poll_start(&s->poll, wanted, on_event);
    else
        uv_poll_stop(&s->poll);
}

static int sock_read_start(struct stream *base)
{
    struct sock_stream *s = from_base(base);
    s->reading = true;
    adjust_poll(s);
    return 0;
}

static void sock_read_stop(struct stream *base)
{
    struct sock_stream *s = from_base(base);
    s->reading = false;
    adjust_poll(s);
}

static int sock_write(struct stream *base, const uv_buf_t *bufs, unsigned count)
{
    struct sock_stream *s = from_base(base);
    assert(!s->rest.bufs && s->poll_state == SOCK_POLLED && !s->opening);
    size_t total = 0, done = 0;
    for (unsigned i = 0; i < count; i++)
        total += bufs[i].len;
    while (done < total) {
        ssize_t n = send_once(s->fd, bufs, count, done);
        if (n < 0)
            return broken(n);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    if (done == total)
        return 1;
    int rc = rest_keep(&s->rest, bufs, count, done);
    if (rc < 0)
        return rc;
    adjust_poll(s);
    return 0;
}

static ssize_t sock_write_some(struct stream *base, const uv_buf_t *bufs, unsigned count)
{
    ssize_t n = send_once(from_base(base)->fd, bufs, count, 0);
    return n < 0 ? broken(n) : n;
}

static void write_rest(struct sock_stream *s)
{
    int error = 0;
    while (!rest_empty(&s->rest)) {
        ssize_t n = send_once(s->fd, s->rest.bufs + s->rest.next, s->rest.count - s->rest.next, 0);
        if (n == 0)
            return;
        if (n < 0) {
            error = broken(n);
            break;
        }
        rest_skip(&s->rest, (size_t)n);
    }
    if (!error)
        rest_clear(&s->rest);
    s->base.handler->on_written(&s->base, error, s->base.user);
    if (error)
        rest_clear(&s->rest);
}

static void sock_shutdown(struct stream *base)
{
    struct sock_stream *s = from_base(base);
    assert(!s->rest.bufs);
    if (s->poll_state != SOCK_POLLED || s->opening)
        return;
    s->shut = true;
    shutdown(s->fd, SHUT_WR);
}

static size_t sock_unsent(struct stream *base)
{
    struct sock_stream *s = from_base(base);
    return s->family->unsent && s->fd >= 0 ? s->family->unsent(s) : 0;
}

static size_t sock_unwritten(struct stream *base)
{
    return rest_bytes(&from_base(base)->rest);
}

static size_t sock_unacked(struct stream *base)
{
    struct sock_stream *s = from_base(base);
    return s->family->unacked && s->fd >= 0 ? s->family->unacked(s) : 0;
}

/* ---- Reading ---- */

static ssize_t receive(int fd, void *data, size_t size)
{
    ssize_t n;
    do
        n = recv(fd, data, size, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void end(struct sock_stream *s, int error)
{
    s->reading = false;
    s->base.handler->on_end(&s->base, error, s->base.user);
}

static void read_some(struct sock_stream *s)
{
    for (int i = 0; i < READS_PER_EVENT && s->reading && !s->base.closing; i++) {
        uv_buf_t buf = {0};
        s->base.handler->on_alloc(&s->base, &buf, s->base.user);
        if (s->base.closing)
            return;
        assert(buf.base && buf.len > 0);
        ssize_t n = receive(s->fd, buf.base, buf.len);
        if (n == UV_EAGAIN)
            return;
        if (n <= 0) {
            end(s, n == 0 ? WEFT_ECLOSED : broken(n));
            return;
        }
        s->base.handler->on_read(&s->base, (size_t)n, s->base.user);
        if ((size_t)n < buf.len)
            return;
    }
}

/* ---- Closing ---- */

static void on_handle_closed(struct sock_stream *s)
{
    if (--s->handles > 0)
        return;
    if (s->base.handler)
        s->base.handler->on_closed(&s->base, s->base.user);
    mem_free(s);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

/* The socket of an attempt that failed, or of a stream that closes. */
static void on_poll_closed(uv_handle_t *handle)
{
    struct sock_stream *s = handle->data;
    s->poll_state = SOCK_UNPOLLED;
    if (!s->base.closing)
        sock_attempt(s);
    on_handle_closed(s);
}

static void close_socket(struct sock_stream *s)
{
    s->poll_state = SOCK_POLL_CLOSING;
    s->events = 0;
    uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    close(s->fd);
    s->fd = -1;
}

static void throw_away_unread(int fd)
{
    char scratch[16 * 1024];
    for (size_t size = 0; size < DRAIN_AT_CLOSE * 1024;) {
        ssize_t n = receive(fd, scratch, sizeof(scratch));
        if (n <= 0)
            return;
        size += (size_t)n;
    }
}

void sock_close(struct stream *base)
{
    struct sock_stream *s = from_base(base);
    base->closing = true;
    s->reading = false;
    rest_clear(&s->rest);
    if (s->dialer)
        s->dialer->abandon(s);
    if (s->poll_state == SOCK_POLLED) {
        if (!s->opening) {
            shutdown(s->fd, SHUT_WR);
            throw_away_unread(s->fd);
        }
        close_socket(s);
    }
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

/* ---- Opening ---- */

static void on_timer(uv_timer_t *timer)
{
    sock_attempt(timer->data);
}

void sock_attempt(struct sock_stream *s)
{
    int rc = s->dialer->attempt(s);
    if (rc == SOCK_LATER)
        uv_timer_start(&s->timer, on_timer, LATER_MS, 0);
    else if (rc < 0)
        s->base.handler->on_open(&s->base, rc, s->base.user);
}

int sock_connect(struct sock_stream *s, const struct sockaddr *addr, socklen_t size)
{
    assert(s->poll_state == SOCK_UNPOLLED);
    int fd = sock_open(addr->sa_family);
    if (fd < 0)
        return fd;
    int rc = connect(fd, addr, size) < 0 && errno != EINPROGRESS && errno != EINTR ? -errno : 0;
    if (rc == 0)
        rc = uv_poll_init(s->loop, &s->poll, fd);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    s->poll.data = s;
    s->handles++;
    s->fd = fd;
    s->poll_state = SOCK_POLLED;
    s->opening = true;
    adjust_poll(s);
    return 0;
}

static void finish_opening(struct sock_stream *s)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    s->opening = false;
    if (error) {
        s->open_error = -error;
        close_socket(s);
        return;
    }
    s->family->describe(s);
    s->base.handler->on_open(&s->base, 0, s->base.user);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct sock_stream *s = poll->data;
    if (status < 0) {
        events = UV_READABLE | UV_WRITABLE;
        s->events = 0;
    }
    s->in_event = true;
    if (s->opening) {
        finish_opening(s);
    } else {
        if ((events & UV_WRITABLE) && s->rest.bufs)
            write_rest(s);
        if ((events & UV_READABLE) && s->reading)
            read_some(s);
    }
    s->in_event = false;
    adjust_poll(s);
}

static const struct stream_ops ops = {
    .read_start = sock_read_start,
    .read_stop = sock_read_stop,
    .write = sock_write,
    .write_some = sock_write_some,
    .shutdown = sock_shutdown,
    .unsent = sock_unsent,
    .unwritten = sock_unwritten,
    .unacked = sock_unacked,
    .close = sock_close,
};

void sock_init(struct sock_stream *s, uv_loop_t *loop, const struct sock_family *family)
{
    s->base.ops = &ops;
    s->loop = loop;
    s->family = family;
    s->fd = -1;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->handles = 1;
}

void sock_dial(struct sock_stream *s, const struct sock_dialer *dialer)
{
    s->dialer = dialer;
    uv_timer_start(&s->timer, on_timer, 0, 0);
}

int sock_adopt(struct sock_stream *s, int fd)
{
    int rc = uv_poll_init(s->loop, &s->poll, fd);
    if (rc < 0)
        return transport_error(rc);
    s->poll.data = s;
    s->handles++;
    s->fd = fd;
    s->poll_state = SOCK_POLLED;
    s->family->describe(s);
    return 0;
}
