/* The listening sockets are ours, so that addresses, permissions and errors are the same as
 * anywhere in weft; what is accepted goes to libwebsockets.
 *
 * A unix socket whose owner died is replaced; one that answers is not. Its file has mode 0660: who
 * may enter is said by its owner and group. When the process has no descriptors left, listening
 * pauses for a second instead of turning the loop in circles. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../common/memory.h"
#include "http_address.h"
#include "http_parts.h"

#define BACKLOG 64
#define RETRY_MS 1000
#define SEND_BUFFER (64 * 1024) /* of the kernel's, for a client that does not take */

static void on_connection(uv_poll_t *poll, int status, int events);

static void resume(uv_timer_t *timer)
{
    struct http *http = timer->data;
    for (size_t i = 0; i < http->listener_count; i++)
        uv_poll_start(&http->listeners[i].poll, UV_READABLE, on_connection);
}

static void pause_listening(struct http *http, int error)
{
    http_say(http, WEFT_LOG_WARN, "http: cannot accept a connection: %s; trying again in a second",
             strerror(error));
    for (size_t i = 0; i < http->listener_count; i++)
        uv_poll_stop(&http->listeners[i].poll);
    uv_timer_start(&http->retry, resume, RETRY_MS, 0);
}

static void turn_away(int fd)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 5\r\nConnection: close\r\n\r\n";
    (void)!send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

/* One a turn: the mesh's own sockets come in between. */
static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct http *http = poll->data;
    struct listener *l = (struct listener *)((char *)poll - offsetof(struct listener, poll));
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), buffer = SEND_BUFFER;
    if (fd >= 0 && http->connections < HTTP_CONNECTIONS_MAX) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
        http_adopt(http, fd);
    } else if (fd >= 0)
        turn_away(fd);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause_listening(http, errno);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int explain(struct http *http, const char *text, int error)
{
    switch (error) {
    case EADDRINUSE:
        http_say(http, WEFT_LOG_ERROR,
                 "http: %s is in use by another program; choose another under http.listen", text);
        return WEFT_EADDRINUSE;
    case EACCES:
    case EPERM:
        http_say(http, WEFT_LOG_ERROR,
                 "http: no permission to listen on %s; choose a port over 1023 or a folder that "
                 "may be written to",
                 text);
        return WEFT_EACCESS;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        http_say(http, WEFT_LOG_ERROR,
                 "http: this host has no address %s; correct it under http.listen", text);
        return WEFT_EADDRNOTAVAIL;
    case ENOENT:
    case ENOTDIR:
        http_say(http, WEFT_LOG_ERROR, "http: the folder of %s does not exist; make it (mkdir -p)",
                 text);
        return WEFT_ENOTFOUND;
    default:
        http_say(http, WEFT_LOG_ERROR, "http: cannot listen on %s: %s", text, strerror(error));
        return WEFT_EIO;
    }
}

/* Remove a socket file that nobody answers on any more. */
static void remove_stale(const struct http_address *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->socket;
    struct stat st;
    if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 && errno == ECONNREFUSED)
        unlink(un->sun_path);
    close(fd);
}

/* A listening socket, or a negative errno. */
static int bind_socket(const struct http_address *address)
{
    int family = address->socket.ss_family, one = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (family == AF_UNIX)
        remove_stale(address);
    else
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    mode_t mask = umask(0117);
    int rc = bind(fd, (const struct sockaddr *)&address->socket, address->size);
    int error = errno;
    umask(mask);
    if (rc == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    error = rc == 0 ? errno : error;
    close(fd);
    return -error;
}

static void announce(struct http *http, const char *text, int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof(at);
    const char *colon = strrchr(text, ':');
    getsockname(fd, (struct sockaddr *)&at, &size);
    if (at.ss_family == AF_UNIX)
        http_say(http, WEFT_LOG_INFO, "http: listening on %s", text);
    else /* IPv4 and IPv6 have the port at the same place */
        http_say(http, WEFT_LOG_INFO, "http: listening on http://%.*s:%u/", (int)(colon - text),
                 text, ntohs(((struct sockaddr_in *)&at)->sin_port));
}

static int open_listener(struct http *http, const char *text)
{
    struct http_address address;
    struct listener *l = &http->listeners[http->listener_count];
    if (!http_address_parse(text, &address))
        return explain(http, text, EINVAL);
    int fd = bind_socket(&address);
    if (fd < 0)
        return explain(http, text, -fd);
    if (uv_poll_init(http->loop, &l->poll, fd) < 0) {
        close(fd);
        return explain(http, text, ENOMEM);
    }
    http->listener_count++;
    l->fd = fd;
    l->poll.data = http;
    l->path = NULL;
    if (address.socket.ss_family == AF_UNIX)
        xreplace(&l->path, ((struct sockaddr_un *)&address.socket)->sun_path);
    uv_poll_start(&l->poll, UV_READABLE, on_connection);
    announce(http, text, fd);
    return 0;
}

int http_listen(struct http *http, const struct config_http *config)
{
    uv_timer_init(http->loop, &http->retry);
    http->retry.data = http;
    for (size_t i = 0; i < config->listen.count; i++) {
        int rc = open_listener(http, config->listen.items[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void http_listen_close(struct http *http)
{
    for (size_t i = 0; i < http->listener_count; i++) {
        struct listener *l = &http->listeners[i];
        uv_close((uv_handle_t *)&l->poll, NULL);
        close(l->fd);
        if (l->path)
            unlink(l->path);
        xfree(l->path);
    }
    http->listener_count = 0;
    uv_close((uv_handle_t *)&http->retry, NULL);
}
