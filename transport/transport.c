/* Finds the transport of a scheme and passes calls on to it. What holds for every transport is
 * settled here: closing twice is harmless, and a closing stream neither reads nor writes. */
#include "transport/transport.h"

#include <assert.h>
#include <string.h>

#include <weft/weft.h>

#include "base/util.h"

static const struct transport *const transports[] = {
    &transport_tcp,
    &transport_unix,
    &transport_inproc,
};

static const struct transport *find(const char *scheme)
{
    for (size_t i = 0; i < ARRAY_LEN(transports); i++)
        if (strcmp(transports[i]->scheme, scheme) == 0)
            return transports[i];
    return NULL;
}

bool transport_known(const char *scheme)
{
    return find(scheme) != NULL;
}

int transport_listen(uv_loop_t *loop, const struct url *url, const struct listener_handler *handler,
                     void *user, struct listener **ret_listener, struct url *ret_url)
{
    const struct transport *t = find(url->scheme);
    if (!t)
        return WEFT_ENOTSUP;
    return t->listen(loop, url, handler, user, ret_listener, ret_url);
}

void listener_close(struct listener *l)
{
    l->close(l);
}

int transport_dial(uv_loop_t *loop, const struct url *url, const struct stream_handler *handler,
                   void *user, struct stream **ret_stream)
{
    const struct transport *t = find(url->scheme);
    if (!t)
        return WEFT_ENOTSUP;
    return t->dial(loop, url, handler, user, ret_stream);
}

void stream_accept_start(struct stream *s, const struct stream_handler *handler, void *user)
{
    assert(!s->handler && !s->closing);
    s->handler = handler;
    s->user = user;
}

int stream_read_start(struct stream *s)
{
    return s->closing ? WEFT_ECLOSED : s->ops->read_start(s);
}

void stream_read_stop(struct stream *s)
{
    if (!s->closing)
        s->ops->read_stop(s);
}

int stream_write(struct stream *s, const uv_buf_t *bufs, unsigned count)
{
    return s->closing ? WEFT_ELOST : s->ops->write(s, bufs, count);
}

ssize_t stream_write_some(struct stream *s, const uv_buf_t *bufs, unsigned count)
{
    return s->ops->write_some(s, bufs, count);
}

bool stream_can_write_some(const struct stream *s)
{
    return s->ops->write_some != NULL;
}

void stream_shutdown(struct stream *s)
{
    if (!s->closing)
        s->ops->shutdown(s);
}

size_t stream_unsent(struct stream *s)
{
    return s->closing ? 0 : s->ops->unsent(s);
}

size_t stream_unwritten(struct stream *s)
{
    return s->closing ? 0 : s->ops->unwritten(s);
}

size_t stream_unacked(struct stream *s)
{
    return s->closing ? 0 : s->ops->unacked(s);
}

const char *stream_remote_host(const struct stream *s)
{
    return s->remote_host;
}

bool stream_is_local(const struct stream *s)
{
    return s->local;
}

bool stream_is_guarded(const struct stream *s)
{
    return s->guarded;
}

void stream_close(struct stream *s)
{
    if (s->closing)
        return;
    s->closing = true;
    s->ops->close(s);
}

int transport_error(int uv_error)
{
    switch (uv_error) {
    case 0:
        return 0;
    case UV_EOF:
    case UV_ECANCELED:
        return WEFT_ECLOSED;
    case UV_ECONNREFUSED:
        return WEFT_EREFUSED;
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
    case UV_ENETDOWN:
        return WEFT_EUNREACHABLE;
    case UV_ETIMEDOUT:
        return WEFT_ETIMEDOUT;
    case UV_EAI_ADDRFAMILY:
    case UV_EAI_AGAIN:
    case UV_EAI_FAIL:
    case UV_EAI_FAMILY:
    case UV_EAI_NODATA:
    case UV_EAI_NONAME:
    case UV_EAI_SERVICE:
        return WEFT_ERESOLVE;
    case UV_EACCES:
    case UV_EPERM:
    case UV_EROFS:
        return WEFT_EACCESS;
    case UV_ENOENT:
    case UV_ENOTDIR:
        return WEFT_ENOTFOUND;
    case UV_EMFILE:
    case UV_ENFILE:
        return WEFT_EMFILE;
    case UV_EADDRINUSE:
        return WEFT_EADDRINUSE;
    case UV_EADDRNOTAVAIL:
    case UV_EAFNOSUPPORT:
    case UV_ENAMETOOLONG:
        return WEFT_EADDRNOTAVAIL;
    case UV_ENOMEM:
    case UV_ENOBUFS:
    case UV_EAI_MEMORY:
        return WEFT_ENOMEM;
    case UV_ENOSPC:
        return WEFT_ENOSPC;
    case UV_EPIPE:
    case UV_ECONNRESET:
    case UV_ECONNABORTED:
    case UV_ENOTCONN:
        return WEFT_ELOST;
    default:
        return WEFT_EIO;
    }
}
