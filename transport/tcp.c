/* tcp: TCP over IPv4 and IPv6.
 *
 * Happy path. Dialling turns the host into a list of addresses: a literal one at once, a name on a
 * thread (resolve.c), so that a slow name server holds up neither the loop nor other dials. The
 * addresses are tried in turn until one connects. Listening resolves on the spot and takes the
 * first address that can be bound; an empty host is every address of both families.
 *
 * Failure modes.
 * - The name does not resolve: WEFT_ERESOLVE.
 * - No address connects: "refused" if any refused, as it shows that the host is there; else what
 *   befell the first.
 * - Closed while the resolver works: it cannot be interrupted, so the stream lets go of it and
 *   closes at once. */
#include "transport/private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <weft/weft.h>

#include "base/mem.h"

#ifndef TCP_RTO_MAX_MS /* since Linux 6.15, <linux/tcp.h> */
#define TCP_RTO_MAX_MS 44
#endif

struct tcp_stream {
    struct sock_stream sock;
    struct addrinfo *addrs, *next; /* addrs: the whole list; next: not tried yet */
    struct resolve *resolve;       /* the name is being resolved; else NULL */
    int error;                     /* what to tell when no address is left */
};

union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

/* ---- What a connection is ---- */

/* A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d; make them IPv4. */
static socklen_t unmap(union sockaddr_any *a)
{
    if (a->sa.sa_family != AF_INET6)
        return sizeof(a->in);
    if (!IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
        return sizeof(a->in6);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = a->in6.sin6_port};
    memcpy(&in.sin_addr, &a->in6.sin6_addr.s6_addr[12], sizeof(in.sin_addr));
    a->in = in;
    return sizeof(a->in);
}

static bool same_host(const union sockaddr_any *a, const union sockaddr_any *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

static bool is_loopback(const union sockaddr_any *a)
{
    if (a->sa.sa_family == AF_INET)
        return ntohl(a->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

/* Small messages leave at once. And TCP tries again each second at the latest: its pauses double
 * with each try, to two minutes, and after a few packets lost in a row the next try would come when
 * the peer has given the link up for its silence. Linux before 6.15 does not know the option: such
 * a link may end under heavy loss. */
static void set_options(int fd)
{
    int on = 1, rto_max_ms = 1000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &rto_max_ms, sizeof(rto_max_ms));
}

static void tcp_describe(struct sock_stream *s)
{
    set_options(s->fd);
    union sockaddr_any local, remote;
    socklen_t local_size = sizeof(local), remote_size = sizeof(remote);
    if (getsockname(s->fd, &local.sa, &local_size) < 0 ||
        getpeername(s->fd, &remote.sa, &remote_size) < 0)
        return; /* gone already: the first read will tell */
    unmap(&local);
    remote_size = unmap(&remote);
    if (getnameinfo(&remote.sa, remote_size, s->base.remote_host, sizeof(s->base.remote_host), NULL,
                    0, NI_NUMERICHOST) != 0)
        s->base.remote_host[0] = '\0';
    s->base.local = is_loopback(&remote) || same_host(&local, &remote);
}

static size_t tcp_unsent(struct sock_stream *s)
{
    int size = 0;
    return ioctl(s->fd, SIOCOUTQNSD, &size) < 0 || size < 0 ? 0 : (size_t)size;
}

static size_t tcp_unacked(struct sock_stream *s)
{
    int size = 0;
    if (ioctl(s->fd, SIOCOUTQ, &size) < 0 || size <= 0)
        return 0;
    return (size_t)size - s->shut; /* the FIN counts as a byte, and is the last */
}

static const struct sock_family family = {
    .describe = tcp_describe, .unsent = tcp_unsent, .unacked = tcp_unacked};

/* ---- Dialling ---- */

static struct tcp_stream *from_sock(struct sock_stream *s)
{
    return container_of(s, struct tcp_stream, sock);
}

static void note(struct tcp_stream *t, int uv_error)
{
    int error = transport_error(uv_error);
    if (error == WEFT_EADDRNOTAVAIL) /* of the family or scope we have no address */
        error = WEFT_EUNREACHABLE;
    if (!t->error || error == WEFT_EREFUSED)
        t->error = error;
}

static int tcp_attempt(struct sock_stream *s)
{
    struct tcp_stream *t = from_sock(s);
    if (s->open_error)
        note(t, s->open_error);
    s->open_error = 0;
    while (t->next) {
        struct addrinfo *ai = t->next;
        t->next = ai->ai_next;
        int rc = sock_connect(s, ai->ai_addr, ai->ai_addrlen);
        if (rc == 0)
            return 0;
        note(t, rc);
    }
    return t->error ? t->error : WEFT_ERESOLVE;
}

static void tcp_abandon(struct sock_stream *s)
{
    struct tcp_stream *t = from_sock(s);
    if (t->addrs)
        freeaddrinfo(t->addrs);
    t->addrs = t->next = NULL;
    if (t->resolve)
        resolve_abandon(t->resolve);
    t->resolve = NULL;
}

static const struct sock_dialer dialer = {.attempt = tcp_attempt, .abandon = tcp_abandon};

static void on_resolved(void *user, int error, struct addrinfo *addrs)
{
    struct tcp_stream *t = user;
    t->resolve = NULL;
    t->addrs = t->next = addrs;
    t->error = error;
    sock_attempt(&t->sock);
}

static const struct addrinfo *hints(struct addrinfo *out, int flags)
{
    *out = (struct addrinfo){
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_protocol = IPPROTO_TCP,
        .ai_flags = flags,
    };
    return out;
}

static int resolve_name(struct tcp_stream *t, const char *host, const char *port)
{
    int rc = resolve_start(t->sock.loop, host, port, on_resolved, t, &t->resolve);
    if (rc == WEFT_ERESOLVE) {
        t->error = rc;
        sock_dial(&t->sock, &dialer);
        return 0;
    }
    if (rc == 0)
        t->sock.dialer = &dialer;
    return rc;
}

static int tcp_dial(uv_loop_t *loop, const struct url *url, const struct stream_handler *handler,
                    void *user, struct stream **ret_stream)
{
    struct tcp_stream *t = mem_zalloc(sizeof(*t));
    if (!t)
        return WEFT_ENOMEM;
    sock_init(&t->sock, loop, &family);
    t->sock.base.user = user;

    char port[8];
    snprintf(port, sizeof(port), "%u", url->port);
    struct addrinfo want;
    int rc = getaddrinfo(url->host, port, hints(&want, AI_NUMERICHOST | AI_NUMERICSERV), &t->addrs);
    if (rc == 0) {
        t->next = t->addrs;
        sock_dial(&t->sock, &dialer);
    } else {
        t->addrs = NULL;
        rc = resolve_name(t, url->host, port);
        if (rc < 0) {
            stream_close(&t->sock.base);
            return rc;
        }
    }
    t->sock.base.handler = handler;
    *ret_stream = &t->sock.base;
    return 0;
}

/* ---- Listening ---- */

static int bind_and_listen(const struct addrinfo *ai, int *ret_fd)
{
    int fd = sock_open(ai->ai_family);
    if (fd < 0)
        return fd;
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int listen_on(const char *host, const char *port, int *ret_fd)
{
    struct addrinfo want, *addrs;
    int rc = getaddrinfo(host, port, hints(&want, AI_PASSIVE | AI_NUMERICSERV), &addrs);
    if (rc != 0)
        return rc == EAI_MEMORY ? WEFT_ENOMEM : WEFT_ERESOLVE;
    int error = 0;
    for (const struct addrinfo *ai = addrs; ai; ai = ai->ai_next) {
        rc = bind_and_listen(ai, ret_fd);
        if (rc == 0)
            break;
        if (!error)
            error = rc;
    }
    freeaddrinfo(addrs);
    return rc == 0 ? 0 : transport_error(error);
}

static int listen_host(const struct url *url, int *ret_fd)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", url->port);
    if (url->host[0])
        return listen_on(url->host, port, ret_fd);
    int rc = listen_on("::", port, ret_fd);
    return rc == WEFT_EADDRNOTAVAIL ? listen_on("0.0.0.0", port, ret_fd) : rc;
}

static int real_url(int fd, const struct url *url, struct url *ret_url)
{
    *ret_url = *url;
    if (url->port != 0)
        return 0;
    union sockaddr_any local;
    socklen_t size = sizeof(local);
    if (getsockname(fd, &local.sa, &size) < 0)
        return transport_error(-errno);
    bool v6 = local.sa.sa_family == AF_INET6;
    return url_set_port(ret_url, ntohs(v6 ? local.in6.sin6_port : local.in.sin_port));
}

static int tcp_listen(uv_loop_t *loop, const struct url *url,
                      const struct listener_handler *handler, void *user,
                      struct listener **ret_listener, struct url *ret_url)
{
    int fd;
    int rc = listen_host(url, &fd);
    if (rc < 0)
        return rc;
    struct url real;
    struct sock_listener *l;
    rc = real_url(fd, url, &real);
    if (rc == 0)
        rc = sock_listen(loop, fd, &family, handler, user, &l);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_listener = &l->base;
    *ret_url = real;
    return 0;
}

const struct transport transport_tcp = {.scheme = "tcp", .listen = tcp_listen, .dial = tcp_dial};
