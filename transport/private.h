/* What the transports share among themselves. Not for other modules. */
#ifndef TRANSPORT_PRIVATE_H
#define TRANSPORT_PRIVATE_H

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/util.h"
#include "transport/transport.h"

/* ---- The unfinished part of a write: rest.c ---- */

enum { REST_INLINE = 16 };

/* Buffers still to be written, as copies of the caller's descriptors; the bytes stay with the
 * caller. */
struct rest {
    uv_buf_t few[REST_INLINE];
    uv_buf_t *bufs; /* few, or from the heap; NULL: no write is under way */
    unsigned count; /* of bufs */
    unsigned next;  /* the first with bytes left, shortened by what has gone; count: none */
};

/* Keep all but the first `done` bytes, fewer than there are. Errors: WEFT_ENOMEM. */
int rest_keep(struct rest *r, const uv_buf_t *bufs, unsigned count, size_t done);
void rest_skip(struct rest *r, size_t size);
bool rest_empty(const struct rest *r);
size_t rest_bytes(const struct rest *r);
void rest_clear(struct rest *r);

/* ---- Host names: resolve.c ---- */

struct addrinfo;
struct resolve;

/* error: 0, WEFT_ERESOLVE or WEFT_ENOMEM. addrs are the callee's: freeaddrinfo. [loop] */
typedef void resolve_fn(void *user, int error, struct addrinfo *addrs);

/* Look a name up off the loop; fn is called once, unless it is abandoned before. Errors:
 * WEFT_ENOMEM; WEFT_ERESOLVE: too many are under way. */
int resolve_start(uv_loop_t *loop, const char *host, const char *port, resolve_fn *fn, void *user,
                  struct resolve **ret_resolve);
/* Let go of it: fn is not called, and the loop does not wait for it. */
void resolve_abandon(struct resolve *resolve);

/* ---- Sockets of tcp and unix: sock.c, sock_listen.c ---- */

struct sock_stream;

/* What a transport adds to a dialled socket. */
struct sock_dialer {
    /* Go on with the next address: call sock_connect. Returns 0 while an attempt is under way,
     * SOCK_LATER if it should be called again soon, or a WEFT_E… when no address is left. */
    int (*attempt)(struct sock_stream *s);
    void (*abandon)(struct sock_stream *s); /* it closes; let go of whatever is under way */
};

enum { SOCK_LATER = 1 };

struct sock_family {
    void (*describe)(
        struct sock_stream *s); /* connected: fill remote_host and local, set options */
    size_t (*unsent)(struct sock_stream *s);  /* or NULL */
    size_t (*unacked)(struct sock_stream *s); /* or NULL */
};

enum sock_poll { SOCK_UNPOLLED, SOCK_POLLED, SOCK_POLL_CLOSING };

struct sock_stream {
    struct stream base;
    uv_loop_t *loop;
    const struct sock_family *family;
    const struct sock_dialer *dialer; /* NULL: accepted */
    int fd;                           /* -1: none */
    uv_poll_t poll;                   /* belongs to fd */
    enum sock_poll poll_state;
    int events;       /* what poll waits for */
    uv_timer_t timer; /* makes dialling begin on the loop */
    unsigned handles; /* open libuv handles; the stream is freed when it falls to 0 */
    bool opening;     /* an attempt to connect is under way */
    int open_error;   /* how the last attempt failed once it was under way; a libuv error */
    bool reading;
    bool shut;        /* our side is */
    bool in_event;    /* poll is adjusted once the event is dealt with */
    struct rest rest; /* of the write under way */
};

/* Set up a zeroed stream without a socket. From now on only sock_close gets rid of it. */
void sock_init(struct sock_stream *s, uv_loop_t *loop, const struct sock_family *family);

/* Begin dialling: dialer->attempt will be called from the loop. */
void sock_dial(struct sock_stream *s, const struct sock_dialer *dialer);

/* The dialer has more to try: call dialer->attempt now. [from the loop] */
void sock_attempt(struct sock_stream *s);

/* Open a socket and connect. 0: under way. Otherwise a libuv error and nothing is. */
int sock_connect(struct sock_stream *s, const struct sockaddr *addr, socklen_t size);

/* Take over a connected socket. Errors: WEFT_ENOMEM, WEFT_ENOSPC, WEFT_EIO; it is not taken. */
int sock_adopt(struct sock_stream *s, int fd);

void sock_close(struct stream *s);

struct sock_listener {
    struct listener base;
    uv_loop_t *loop;
    const struct sock_family *family;
    int fd;
    uv_poll_t poll;
    uv_timer_t pause; /* runs while accepting is given a rest after an error */
    unsigned handles;
    bool closing;
    /* unix: the socket file, to be removed if it is still this one. path is "" otherwise. */
    char path[URL_MAX + 1];
    dev_t dev;
    ino_t ino;
};

/* Serve a bound and listening socket. Takes the descriptor over on success. Errors: WEFT_ENOMEM,
 * WEFT_EIO. */
int sock_listen(uv_loop_t *loop, int fd, const struct sock_family *family,
                const struct listener_handler *handler, void *user,
                struct sock_listener **ret_listener);

/* A new non-blocking, close-on-exec stream socket, or a libuv error. */
int sock_open(int family);

#endif
