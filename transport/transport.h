/* Transports: byte streams under one vtable. Besides node/ the only place that knows libuv.
 *
 * A stream is dialled or accepted, then reads until closed. It never loses, reorders or frames
 * bytes. Everything runs on the loop's thread; callbacks come from the loop, never from inside a
 * call below, except where said. After stream_close no callback comes but on_closed, always,
 * exactly once. */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proto/url.h"

struct stream;
struct listener;

struct stream_handler {
    /* The connection stands (0) or could not be made: WEFT_EREFUSED, WEFT_EUNREACHABLE,
     * WEFT_ETIMEDOUT, WEFT_ERESOLVE, WEFT_EACCESS, WEFT_ENOTFOUND (unix: no such socket),
     * WEFT_EMFILE, WEFT_EIO. Dialled streams only. On error close it all the same. */
    void (*on_open)(struct stream *s, int error, void *user);
    /* Where to read to: at least one byte. */
    void (*on_alloc)(struct stream *s, uv_buf_t *ret_buf, void *user);
    /* `size` bytes stand at the start of the buffer on_alloc gave. */
    void (*on_read)(struct stream *s, size_t size, void *user);
    /* A write that stream_write could not finish at once has finished (0) or failed. */
    void (*on_written)(struct stream *s, int error, void *user);
    /* The other side closed (WEFT_ECLOSED) or the connection broke (WEFT_ELOST, WEFT_EIO): close
     * it. */
    void (*on_end)(struct stream *s, int error, void *user);
    /* All is released; the stream is gone when this returns. */
    void (*on_closed)(struct stream *s, void *user);
};

struct listener_handler {
    /* A connection came; take it with stream_accept_start, or close it (then no callback follows).
     * user of the stream is still NULL. */
    void (*on_accept)(struct listener *l, struct stream *s, void *user);
    /* Accepting failed, e.g. WEFT_EMFILE; the listener goes on. */
    void (*on_error)(struct listener *l, int error, void *user);
    void (*on_closed)(struct listener *l, void *user);
};

/* Is there a transport for the scheme ("tcp", "unix", "inproc")? */
bool transport_known(const char *scheme);

/* Listen; ret_url gets the URL with the real port. Errors: WEFT_ENOTSUP (scheme), WEFT_EADDRINUSE,
 * WEFT_EADDRNOTAVAIL, WEFT_EACCESS, WEFT_ERESOLVE, WEFT_ENOTFOUND (unix: folder), WEFT_EMFILE,
 * WEFT_ENOMEM, WEFT_EIO. A unix socket file that nobody listens on is replaced; it is removed on
 * close. A name is resolved on the spot, which may block. */
int transport_listen(uv_loop_t *loop, const struct url *url, const struct listener_handler *handler,
                     void *user, struct listener **ret_listener, struct url *ret_url);
void listener_close(struct listener *l);

/* Dial; on_open follows. The caller keeps the time: close it when it takes too long. Names are
 * resolved off the loop, and each address is tried in turn. Errors: WEFT_ENOTSUP, WEFT_ENOMEM,
 * WEFT_EMFILE; then no callback comes. */
int transport_dial(uv_loop_t *loop, const struct url *url, const struct stream_handler *handler,
                   void *user, struct stream **ret_stream);

/* Begin with an accepted stream. */
void stream_accept_start(struct stream *s, const struct stream_handler *handler, void *user);

/* Read, or stop reading (back pressure). Reading is off at first. */
int stream_read_start(struct stream *s);
void stream_read_stop(struct stream *s);

/* Write. Returns 1: all is written. 0: not all; the bytes must stay where they are until
 * on_written; the array `bufs` need not. Only one write may be under way. Errors: WEFT_ELOST,
 * WEFT_ENOMEM; on_end does not follow by itself, and the stream can only be closed. */
int stream_write(struct stream *s, const uv_buf_t *bufs, unsigned count);

/* Write what the kernel takes at once, from any thread, as long as the stream is connected, not
 * closed, and nobody else writes. Returns the bytes taken, 0 for none now, or a negative error:
 * WEFT_ELOST, WEFT_ENOMEM. Not where stream_can_write_some says no. */
ssize_t stream_write_some(struct stream *s, const uv_buf_t *bufs, unsigned count);
bool stream_can_write_some(const struct stream *s);

/* End our direction once what was written is out: the other side reads it all and then the end.
 * Reading goes on. Not while a write is under way. */
void stream_shutdown(struct stream *s);

/* Bytes the kernel has taken and not yet sent off (not: acknowledged); 0 where that is not known.
 */
size_t stream_unsent(struct stream *s);

/* Bytes of the write under way that are not written yet; in on_written, of the one that failed. */
size_t stream_unwritten(struct stream *s);

/* Bytes written that the other side has not got: over tcp those that its host has not acknowledged,
 * which it may have got all the same; over inproc those that it closed without reading. 0 where
 * nobody can tell (unix: a socket that the other side has closed). */
size_t stream_unacked(struct stream *s);

/* Where the connection comes from, without port: "10.0.0.7", "fe80::1%eth0"; "" for unix and
 * inproc. */
const char *stream_remote_host(const struct stream *s);

/* Does the connection stay on this host? True for unix, inproc, loopback and our own addresses. */
bool stream_is_local(const struct stream *s);

/* Is it guarded by the permissions of a file of ours, or does it stay in this process? True for
 * unix where we accepted it, and for inproc. */
bool stream_is_guarded(const struct stream *s);

/* Close; on_closed follows. Closing twice is harmless. Bytes written before are delivered as far as
 * the other side still reads. */
void stream_close(struct stream *s);

/* ---- For transports ---- */

struct transport {
    const char *scheme;
    int (*listen)(uv_loop_t *loop, const struct url *url, const struct listener_handler *handler,
                  void *user, struct listener **ret_listener, struct url *ret_url);
    int (*dial)(uv_loop_t *loop, const struct url *url, const struct stream_handler *handler,
                void *user, struct stream **ret_stream);
};

struct stream_ops {
    int (*read_start)(struct stream *s);
    void (*read_stop)(struct stream *s);
    int (*write)(struct stream *s, const uv_buf_t *bufs, unsigned count);
    ssize_t (*write_some)(struct stream *s, const uv_buf_t *bufs, unsigned count); /* or NULL */
    void (*shutdown)(struct stream *s);
    size_t (*unsent)(struct stream *s);
    size_t (*unwritten)(struct stream *s);
    size_t (*unacked)(struct stream *s);
    void (*close)(struct stream *s);
};

/* First member of each transport's own stream. */
struct stream {
    const struct stream_ops *ops;
    const struct stream_handler *handler;
    void *user;
    char remote_host[URL_MAX + 1];
    bool local, guarded, closing;
};

struct listener {
    void (*close)(struct listener *l);
    const struct listener_handler *handler;
    void *user;
};

extern const struct transport transport_tcp, transport_unix, transport_inproc;

/* WEFT_E… for a libuv error code. */
int transport_error(int uv_error);

#endif
