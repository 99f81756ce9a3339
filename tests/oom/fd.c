/* What makes descriptors, standing in for libc's functions: the dynamic linker finds these first,
 * for weft and libuv as well. In turn the process is said to have too many, and the system. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/oom/fd.h"
#include "tests/oom/oom.h"

#define SHOWN __attribute__((visibility("default")))

static atomic_uint refused;

atomic_uint fd_accepts;

static bool refuse(void)
{
    if (oom_descriptor())
        return false;
    errno = atomic_fetch_add(&refused, 1) % 2 ? ENFILE : EMFILE;
    return true;
}

SHOWN int socket(int domain, int type, int protocol)
{
    return refuse() ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

/* The kernel looks whether a connection waits only once it has a descriptor for it. */
SHOWN int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict size, int flags)
{
    atomic_fetch_add(&fd_accepts, 1);
    return refuse() ? -1 : (int)syscall(SYS_accept4, fd, addr, size, flags);
}

SHOWN int eventfd(unsigned count, int flags)
{
    return refuse() ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

SHOWN int timerfd_create(clockid_t clock, int flags)
{
    return refuse() ? -1 : (int)syscall(SYS_timerfd_create, clock, flags);
}

SHOWN int epoll_create1(int flags)
{
    return refuse() ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

SHOWN int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return refuse() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

unsigned fd_open(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < FD_MAX; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}
