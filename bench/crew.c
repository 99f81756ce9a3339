/* Happy path: socketpair, fork, and the child runs its role with its end of the socket. The parent
 * has no threads and no library of a measured system open, so that a child may do what it likes.
 *
 * A child that fails says why on stderr and exits: its socket closes, whoever waits for it learns
 * so at once, and crew_end kills the others. A child that hangs is late for what is expected of it.
 * A parent that dies takes its children along (PR_SET_PDEATHSIG). */
#include "crew.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct message {
    char what;
    char data[256];
};
#define HEAD offsetof(struct message, data)

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    interrupted = signal_number;
}

void crew_catch_signals(void)
{
    struct sigaction action = {.sa_handler = interrupt}; /* no SA_RESTART: poll shall return */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool crew_interrupted(void)
{
    return interrupted != 0;
}

void crew_tell(int fd, enum told what, const void *data, size_t size)
{
    struct message m = {.what = (char)what};
    if (fd < 0)
        return;
    if (size)
        memcpy(m.data, data, size < sizeof(m.data) ? size : sizeof(m.data));
    if (send(fd, &m, HEAD + size, MSG_NOSIGNAL) < 0)
        bench_error("a process of the measurement is gone: %s", strerror(errno));
}

int crew_await(int fd, enum told what, void *data, size_t size, int timeout_ms)
{
    struct message m;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR && !crew_interrupted());
    if (n <= 0)
        return n == 0 ? 1 : -1;
    ssize_t got = recv(fd, &m, sizeof(m), 0);
    if (got != (ssize_t)(HEAD + size) || m.what != (char)what)
        return -1;
    if (size)
        memcpy(data, m.data, size);
    return 0;
}

/* ---- Children ---------------------------------------------------------------------------------
 */

static _Noreturn void child(struct crew *crew, int fd, pid_t parent,
                            int (*role_run)(int fd, void *arg), void *arg)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* it comes from a terminal to all, and the parent sees to it */
    signal(SIGTERM, SIG_DFL);
    for (unsigned i = 0; i < crew->count; i++)
        close(crew->members[i].fd);
    int rc = role_run(fd, arg);
    fflush(stderr);
    _exit(rc == 0 ? 0 : 1);
}

int crew_start(struct crew *crew, const char *role, int (*role_run)(int fd, void *arg), void *arg)
{
    int ends[2];
    pid_t parent = getpid();
    if (crew->count == CREW_MAX)
        return bench_error("more than %d processes", CREW_MAX);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return bench_error("socketpair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(crew, ends[1], parent, role_run, arg);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return bench_error("fork: %s", strerror(errno));
    }
    crew->members[crew->count] = (struct member){.role = role, .pid = pid, .fd = ends[0]};
    return (int)crew->count++;
}

int crew_expect(struct crew *crew, int member, enum told what, void *data, size_t size,
                int timeout_ms)
{
    struct member *m = &crew->members[member];
    int rc = crew_await(m->fd, what, data, size, timeout_ms);
    if (crew_interrupted())
        return bench_error("interrupted");
    if (rc < 0)
        bench_error("the %s has failed", m->role);
    if (rc > 0)
        bench_error("the %s did not %s within %d s", m->role,
                    what == TOLD_ADDRESS || what == TOLD_READY ? "start"
                    : what == TOLD_HEARD                       ? "hear anything"
                                                               : "finish",
                    timeout_ms / 1000);
    return rc == 0 ? 0 : -1;
}

/* ---- The end ----------------------------------------------------------------------------------
 */

static int reap(struct member *m)
{
    int status;
    if (waitpid(m->pid, &status, 0) < 0)
        return bench_error("waitpid: %s", strerror(errno));
    m->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return bench_error("the %s was ended by signal %d", m->role, WTERMSIG(status));
    return bench_error("the %s has failed", m->role);
}

/* Its socket is the first thing that goes when it exits. */
int crew_join(struct crew *crew, int member, int timeout_ms)
{
    struct member *m = &crew->members[member];
    struct pollfd p = {.fd = m->fd, .events = POLLIN};
    uint64_t deadline = bench_now_ns() + (uint64_t)timeout_ms * 1000000;
    char dropped[sizeof(struct message)];
    while (bench_now_ns() < deadline && !crew_interrupted()) {
        if (poll(&p, 1, 100) > 0 && recv(m->fd, dropped, sizeof(dropped), 0) <= 0)
            return reap(m);
    }
    return crew_interrupted()
               ? bench_error("interrupted")
               : bench_error("the %s did not end within %d s", m->role, timeout_ms / 1000);
}

void crew_end(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        if (crew->members[i].pid)
            kill(crew->members[i].pid, SIGKILL);
    }
    for (unsigned i = 0; i < crew->count; i++) {
        if (crew->members[i].pid)
            waitpid(crew->members[i].pid, NULL, 0);
        close(crew->members[i].fd);
    }
    crew->count = 0;
}
