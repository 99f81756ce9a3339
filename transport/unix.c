/* unix: stream sockets in the file system.
 *
 * Happy path: bind makes the socket file, connect finds it, closing the listener removes it.
 *
 * Failure modes.
 * - The file is there already. A socket that refuses connections was left behind by a process that
 *   died: it is replaced. One that answers is in use; a file that is no socket is never touched.
 *   Two processes that start at once must not both find the same stale file and the later remove
 *   what the earlier has just made, nor take a socket that is bound but not listening yet for a
 *   stale one. So everything from bind to listen happens under a lock on the folder, which leaves
 *   no lock file behind.
 * - Somebody else has replaced the file meanwhile: on close the inode tells, and it stays.
 * - The listener's queue is full: connect says EAGAIN, and is tried again while the caller waits.
 */
#include "transport/private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/un.h>
#include <unistd.h>

#include <weft/weft.h>

#include "base/mem.h"

struct unix_stream {
    struct sock_stream sock;
    struct sockaddr_un addr;
    int error; /* not 0: why there is nothing to connect to */
};

/* Errors: WEFT_EADDRNOTAVAIL (too long for a socket, or no absolute path). */
static int make_addr(const char *path, struct sockaddr_un *ret_addr)
{
    size_t len = strlen(path);
    if (path[0] != '/' || len >= sizeof(ret_addr->sun_path))
        return WEFT_EADDRNOTAVAIL;
    *ret_addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_addr->sun_path, path, len);
    return 0;
}

/* Whom we dial is guarded by a file of another's, whose name we may have from anybody. */
static void unix_describe(struct sock_stream *s)
{
    s->base.local = true;
    s->base.guarded = !s->dialer;
}

static const struct sock_family family = {.describe = unix_describe};

/* ---- Dialling ---- */

static int unix_attempt(struct sock_stream *s)
{
    struct unix_stream *u = container_of(s, struct unix_stream, sock);
    if (u->error)
        return u->error;
    if (s->open_error)
        return transport_error(s->open_error);
    int rc = sock_connect(s, (const struct sockaddr *)&u->addr, sizeof(u->addr));
    return rc == UV_EAGAIN ? SOCK_LATER : transport_error(rc);
}

static void unix_abandon(struct sock_stream *s)
{
}

static const struct sock_dialer dialer = {.attempt = unix_attempt, .abandon = unix_abandon};

static int unix_dial(uv_loop_t *loop, const struct url *url, const struct stream_handler *handler,
                     void *user, struct stream **ret_stream)
{
    struct unix_stream *u = mem_zalloc(sizeof(*u));
    if (!u)
        return WEFT_ENOMEM;
    if (make_addr(url->address, &u->addr) < 0)
        u->error = WEFT_ENOTFOUND; /* nobody can listen there */
    sock_init(&u->sock, loop, &family);
    u->sock.base.handler = handler;
    u->sock.base.user = user;
    sock_dial(&u->sock, &dialer);
    *ret_stream = &u->sock.base;
    return 0;
}

/* ---- Listening ---- */

/* Lock the folder that holds `path`. A folder that cannot be opened is done without the lock: bind
 * will say what is wrong with it. Returns a descriptor to close, or -1. */
static int lock_folder(const char *path)
{
    char folder[URL_MAX + 1];
    size_t len = (size_t)(strrchr(path, '/') - path);
    memcpy(folder, path, len);
    folder[len] = '\0';
    int fd = open(len ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
            ;
    return fd;
}

/* Is it a socket that nobody listens on? */
static bool is_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = sock_open(AF_UNIX);
    if (fd < 0)
        return false;
    bool refused =
        connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_replacing(int fd, const struct sockaddr_un *addr)
{
    if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
        return 0;
    if (errno != EADDRINUSE || !is_stale(addr))
        return -errno;
    if (unlink(addr->sun_path) < 0)
        return -errno;
    return bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
}

static int open_socket(const struct sockaddr_un *addr, struct stat *ret_st, int *ret_fd)
{
    int fd = sock_open(AF_UNIX);
    if (fd < 0)
        return fd;
    int lock = lock_folder(addr->sun_path);
    int rc = bind_replacing(fd, addr);
    if (rc == 0 && (listen(fd, SOMAXCONN) < 0 || lstat(addr->sun_path, ret_st) < 0)) {
        rc = -errno;
        unlink(addr->sun_path);
    }
    if (lock >= 0)
        close(lock);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static int unix_listen(uv_loop_t *loop, const struct url *url,
                       const struct listener_handler *handler, void *user,
                       struct listener **ret_listener, struct url *ret_url)
{
    struct sockaddr_un addr;
    int rc = make_addr(url->address, &addr);
    if (rc < 0)
        return rc;
    struct stat st;
    int fd;
    rc = open_socket(&addr, &st, &fd);
    if (rc < 0)
        return transport_error(rc);
    struct sock_listener *l;
    rc = sock_listen(loop, fd, &family, handler, user, &l);
    if (rc < 0) {
        unlink(addr.sun_path);
        close(fd);
        return rc;
    }
    memcpy(l->path, addr.sun_path, strlen(addr.sun_path) + 1);
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    *ret_listener = &l->base;
    *ret_url = *url;
    return 0;
}

const struct transport transport_unix = {
    .scheme = "unix", .listen = unix_listen, .dial = unix_dial};
