/* Happy path: socketpair, fork, and the child runs its role with its end of the socket. The parent
 * has no threads and no library of a measured system open, so that a child may do what it likes.
 *
 * A child that fails says why on stderr and exits: its socket closes, whoever waits for it learns
 * so at once, and crew_end kills the others. A child that hangs is late for what is expected of it.
 * A parent that dies takes its children along (PR_SET_PDEATHSIG); one that is interrupted stops
 * waiting and kills them. */
#include "crew.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct message {
    char what;
    char data[256];
};
#define HEAD offsetof(struct message, data)

/* Readable once a signal has come; never read. Negative: signals are not caught. */
static int signal_fd = -1;

static void signals_meant(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

int crew_catch_signals(void)
{
    sigset_t set;
    signals_meant(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return signal_fd < 0 ? bench_error("signalfd: %s", strerror(errno)) : 0;
}

bool crew_interrupted(void)
{
    struct pollfd p = {.fd = signal_fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

void crew_sleep_until(uint64_t ns)
{
    struct pollfd p = {.fd = signal_fd, .events = POLLIN};
    uint64_t now;
    while ((now = bench_now_ns()) < ns) {
        struct timespec left = {.tv_sec = (time_t)((ns - now) / 1000000000),
                                .tv_nsec = (long)((ns - now) % 1000000000)};
        if (ppoll(&p, 1, &left, NULL) > 0)
            return;
    }
}

/* Wait for `fd` or a signal. Returns 1: fd; 0: not in time; -1: a signal. */
static int await_input(int fd, int timeout_ms)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    int n;
    do
        n = poll(p, 2, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n;
    return p[1].revents ? -1 : 1;
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
    int n = await_input(fd, timeout_ms);
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
    sigset_t set;
    signals_meant(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    close(signal_fd);
    signal_fd = -1;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* it comes from a terminal to all, and the parent sees to it */
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

/* Wait for a member, or for another to end, which it should not. Returns 1: the member; 0: not in
 * time; -1: a signal; -2 - i: member i is gone. */
static int await_member(struct crew *crew, int member, int timeout_ms)
{
    struct pollfd p[CREW_MAX + 1];
    int n, count = (int)crew->count;
    for (int i = 0; i < count; i++) {
        const struct member *m = &crew->members[i];
        p[i].fd = m->pid && (i == member || !m->may_fail) ? m->fd : -1;
        p[i].events = i == member ? POLLIN : 0;
    }
    p[count] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
    do
        n = poll(p, (nfds_t)count + 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n;
    if (p[count].revents)
        return -1;
    for (int i = 0; i < count && !p[member].revents; i++)
        if (p[i].revents)
            return -2 - i;
    return 1;
}

static int is_late(const struct member *m, enum told what, int timeout_ms)
{
    const char *missing = what == TOLD_ADDRESS || what == TOLD_READY ? "start"
                          : what == TOLD_HEARD                       ? "hear anything"
                                                                     : "finish";
    return bench_error("the %s did not %s within %d s", m->role, missing, timeout_ms / 1000);
}

int crew_expect(struct crew *crew, int member, enum told what, void *data, size_t size,
                int timeout_ms)
{
    struct member *m = &crew->members[member];
    int rc = await_member(crew, member, timeout_ms);
    if (rc == 0)
        return is_late(m, what, timeout_ms);
    if (rc == -1)
        return bench_error("interrupted");
    if (rc < 0)
        return bench_error("the %s has failed", crew->members[-2 - rc].role);
    if (crew_await(m->fd, what, data, size, 0) != 0)
        return bench_error("the %s has failed", m->role);
    return 0;
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

/* Its socket is the first thing that goes when it exits; what it has told before is of no interest
 * any more. */
int crew_join(struct crew *crew, int member, int timeout_ms)
{
    struct member *m = &crew->members[member];
    struct message left;
    int rc;
    while ((rc = await_input(m->fd, timeout_ms)) > 0)
        if (recv(m->fd, &left, sizeof(left), 0) <= 0)
            return reap(m);
    if (rc < 0)
        return bench_error("interrupted");
    return bench_error("the %s did not end within %d s", m->role, timeout_ms / 1000);
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
