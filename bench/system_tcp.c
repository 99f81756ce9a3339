/* Bare sockets: what is left when a system costs nothing. A message is a 4-byte length and its
 * payload; 64 KiB are gathered in user space before a write and read at once on the other side.
 *
 * Happy path: accept as many as there are subscribers, append frames to the buffer, write it to
 * each of them when it is full; the reader takes frames apart in place and moves the rest of the
 * last one to the front. A payload that does not fit into the buffer is written from and read to
 * the memory where it lies. Round trips write at once. All sockets block. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "peers.h"

#define BUFFER 65536
#define HEAD sizeof(uint32_t)

struct tcp {
    int listener; /* -1: none */
    unsigned wanted, count;
    int fds[BENCH_SUBSCRIBERS];
    char path[BENCH_ADDRESS]; /* of the socket file, or "" */
    uint8_t *large;           /* where payloads go that do not fit into the buffer */
    size_t large_size;
    size_t begin, end; /* out: [0, end) waits; in: [begin, end) has been read */
    uint8_t buffer[BUFFER];
};

static void version(char *buf, size_t size)
{
    snprintf(buf, size, "kernel");
}

/* ---- Connections ------------------------------------------------------------------------------
 */

static socklen_t make_address(const struct bench_setup *setup, struct sockaddr_storage *a)
{
    memset(a, 0, sizeof(*a));
    if (setup->transport == TRANSPORT_UNIX) {
        struct sockaddr_un *un = (struct sockaddr_un *)a;
        un->sun_family = AF_UNIX;
        snprintf(un->sun_path, sizeof(un->sun_path), "%s/socket", setup->folder);
        return sizeof(*un);
    }
    struct sockaddr_in *in = (struct sockaddr_in *)a;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof(*in);
}

static int no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* a unix socket has no delay */
    return fd;
}

static struct tcp *tcp_new(const struct bench_setup *setup)
{
    struct tcp *t = calloc(1, sizeof(*t));
    if (t && setup->size + HEAD > BUFFER) {
        t->large_size = setup->size;
        t->large = malloc(setup->size);
    }
    if (!t || (t->large_size && !t->large)) {
        free(t);
        bench_error("out of memory");
        return NULL;
    }
    t->listener = -1;
    t->wanted = setup->subscribers;
    return t;
}

static void tcp_close(void *self)
{
    struct tcp *t = self;
    for (unsigned i = 0; i < t->count; i++)
        close(t->fds[i]);
    if (t->listener >= 0)
        close(t->listener);
    if (*t->path)
        unlink(t->path);
    free(t->large);
    free(t);
}

static int tcp_listen(const struct bench_setup *setup, char address[BENCH_ADDRESS], void **ret_self)
{
    struct sockaddr_storage a;
    socklen_t size = make_address(setup, &a);
    struct tcp *t = tcp_new(setup);
    if (!t)
        return -1;
    t->listener = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(t->listener, (struct sockaddr *)&a, size) < 0 || listen(t->listener, 128) < 0 ||
        getsockname(t->listener, (struct sockaddr *)&a, &size) < 0) {
        tcp_close(t);
        return bench_error("cannot listen: %s", strerror(errno));
    }
    if (setup->transport == TRANSPORT_UNIX)
        snprintf(t->path, sizeof(t->path), "%s/socket", setup->folder);
    snprintf(address, BENCH_ADDRESS, "%u", ntohs(((struct sockaddr_in *)&a)->sin_port));
    *ret_self = t;
    return 0;
}

static int tcp_accept(void *self)
{
    struct tcp *t = self;
    for (; t->listener >= 0 && t->count < t->wanted; t->count++) {
        int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return bench_error("accept: %s", strerror(errno));
        t->fds[t->count] = no_delay(fd);
    }
    return 0;
}

static int tcp_connect(const struct bench_setup *setup, const char *address, void **ret_self)
{
    struct sockaddr_storage a;
    socklen_t size = make_address(setup, &a);
    struct tcp *t = tcp_new(setup);
    if (!t)
        return -1;
    if (setup->transport == TRANSPORT_TCP)
        ((struct sockaddr_in *)&a)->sin_port = htons((uint16_t)strtoul(address, NULL, 10));
    t->fds[0] = no_delay(socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    t->count = 1;
    if (connect(t->fds[0], (struct sockaddr *)&a, size) < 0) {
        tcp_close(t);
        return bench_error("cannot connect: %s", strerror(errno));
    }
    *ret_self = t;
    return 0;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

static int write_fully(int fd, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t n = writev(fd, parts, count);
        if (n < 0 && errno != EINTR)
            return bench_error("write: %s", strerror(errno));
        for (; n > 0 && count > 0 && (size_t)n >= parts->iov_len; count--)
            n -= (ssize_t)(parts++)->iov_len;
        if (n > 0) {
            parts->iov_base = (uint8_t *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int flush(struct tcp *t)
{
    size_t size = t->end;
    t->end = 0;
    for (unsigned i = 0; size && i < t->count; i++) {
        struct iovec whole = {t->buffer, size};
        if (write_fully(t->fds[i], &whole, 1) < 0)
            return -1;
    }
    return 0;
}

static int write_large(struct tcp *t, const void *data, size_t size)
{
    uint32_t head = (uint32_t)size;
    if (flush(t) < 0)
        return -1;
    for (unsigned i = 0; i < t->count; i++) {
        struct iovec parts[] = {{&head, HEAD}, {(void *)(uintptr_t)data, size}};
        if (write_fully(t->fds[i], parts, 2) < 0)
            return -1;
    }
    return 0;
}

static inline int append(struct tcp *t, const void *data, size_t size)
{
    uint32_t head = (uint32_t)size;
    if (HEAD + size > BUFFER - t->end) {
        if (HEAD + size > BUFFER)
            return write_large(t, data, size);
        if (flush(t) < 0)
            return -1;
    }
    memcpy(t->buffer + t->end, &head, HEAD);
    memcpy(t->buffer + t->end + HEAD, data, size);
    t->end += HEAD + size;
    return 0;
}

static int tcp_send(void *self, const void *data, size_t size)
{
    return append(self, data, size) < 0 ? -1 : flush(self);
}

static int tcp_flood(void *self, struct feed *feed)
{
    struct tcp *t = self;
    const void *payload;
    while ((payload = feed_next(feed)) != NULL)
        if (append(t, payload, feed->size) < 0)
            return -1;
    return flush(t);
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

static int read_fully(int fd, uint8_t *to, size_t size)
{
    while (size > 0) {
        ssize_t n = read(fd, to, size);
        if (n == 0)
            return bench_error("the connection was closed");
        if (n < 0 && errno != EINTR)
            return bench_error("read: %s", strerror(errno));
        to += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int read_more(struct tcp *t)
{
    memmove(t->buffer, t->buffer + t->begin, t->end - t->begin);
    t->end -= t->begin;
    t->begin = 0;
    ssize_t n = read(t->fds[0], t->buffer + t->end, BUFFER - t->end);
    if (n == 0)
        return bench_error("the connection was closed");
    if (n < 0 && errno != EINTR)
        return bench_error("read: %s", strerror(errno));
    t->end += n > 0 ? (size_t)n : 0;
    return 0;
}

/* The head of a payload larger than the buffer is at its front: the rest goes where it shall lie.
 */
static int read_large(struct tcp *t, size_t size)
{
    size_t here = t->end - t->begin - HEAD;
    if (size > t->large_size)
        return bench_error("a message of %zu bytes, which nobody sent", size);
    memcpy(t->large, t->buffer + t->begin + HEAD, here);
    t->begin = t->end = 0;
    return read_fully(t->fds[0], t->large + here, size - here);
}

/* The next message: in the buffer, or NULL when it is not complete there. */
static inline const uint8_t *parse(struct tcp *t, size_t *ret_size)
{
    uint32_t size;
    if (t->end - t->begin < HEAD)
        return NULL;
    memcpy(&size, t->buffer + t->begin, HEAD);
    *ret_size = size;
    if (t->end - t->begin - HEAD < size)
        return NULL;
    const uint8_t *payload = t->buffer + t->begin + HEAD;
    t->begin += HEAD + size;
    return payload;
}

/* As parse, reading what is missing; NULL after an error. */
static const uint8_t *next_message(struct tcp *t, size_t *ret_size)
{
    const uint8_t *payload;
    *ret_size = 0;
    while ((payload = parse(t, ret_size)) == NULL) {
        if (HEAD + *ret_size > BUFFER)
            return read_large(t, *ret_size) < 0 ? NULL : t->large;
        if (read_more(t) < 0)
            return NULL;
    }
    return payload;
}

static int tcp_receive(void *self, struct sink *sink)
{
    struct tcp *t = self;
    const uint8_t *payload;
    size_t size;
    while (!sink_done(sink)) {
        if ((payload = next_message(t, &size)) == NULL)
            return -1;
        sink_take(sink, payload, size);
        while ((payload = parse(t, &size)) != NULL)
            sink_take(sink, payload, size);
    }
    return 0;
}

/* ---- Round trips ------------------------------------------------------------------------------
 */

/* A connection has one buffer for each direction, and an answer is on its way before the next
 * message comes: the same buffer serves both, as long as it is empty in between. */
static int pair_open(const struct bench_setup *setup, bool asks, char address[BENCH_ADDRESS],
                     void **ret_self)
{
    return asks ? tcp_connect(setup, address, ret_self) : tcp_listen(setup, address, ret_self);
}

static int pair_wait(void *self, struct pinger *pinger)
{
    return tcp_accept(self);
}

static int pair_send(struct tcp *t, const void *data, size_t size)
{
    uint32_t head = (uint32_t)size;
    struct iovec parts[] = {{&head, HEAD}, {(void *)(uintptr_t)data, size}};
    return write_fully(t->fds[0], parts, 2);
}

static int pair_ask(void *self, struct pinger *pinger)
{
    struct tcp *t = self;
    const uint8_t *payload;
    size_t size;
    do {
        if (pair_send(t, pinger->payload, pinger->size) < 0 ||
            (payload = next_message(t, &size)) == NULL)
            return -1;
    } while (pinger_take(pinger, payload, size));
    return pair_send(t, pinger->payload, pinger->size);
}

static int pair_answer(void *self, struct pinger *pinger)
{
    struct tcp *t = self;
    const uint8_t *payload;
    size_t size;
    while ((payload = next_message(t, &size)) != NULL) {
        if (pinger_ends(pinger, payload, size))
            return 0;
        if (pair_send(t, payload, size) < 0)
            return -1;
    }
    return -1;
}

const struct bench_system system_tcp = {
    .name = "tcp",
    .setting = "blocking sockets with TCP_NODELAY, a 4-byte length before each payload, 64 KiB "
               "gathered before a write and read at once; round trips are written at once",
    .version = version,
    .publisher_open = tcp_listen,
    .publisher_wait = tcp_accept,
    .publisher_send = tcp_send,
    .publisher_flood = tcp_flood,
    .publisher_close = tcp_close,
    .subscriber_open = tcp_connect,
    .subscriber_receive = tcp_receive,
    .subscriber_close = tcp_close,
    .pair_open = pair_open,
    .pair_wait = pair_wait,
    .pair_ask = pair_ask,
    .pair_answer = pair_answer,
    .pair_close = tcp_close,
};
