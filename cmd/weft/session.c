/* A node on its own thread, and this thread waiting for several things at once.
 *
 * Happy path: SIGINT and SIGTERM are blocked before the node's thread exists, so that they arrive
 * at the signalfd and nowhere else; callbacks on the loop's thread write what they learn under the
 * lock and poke the eventfd; session_wait polls both, and whatever the command adds.
 *
 * What goes wrong on a link is told on stderr when it begins, once a peer: a mesh that is down for
 * an hour is one line, not thousands. A link to that peer makes it worth telling again. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "command.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

static unsigned open_sessions; /* this thread's: while one is open, signals are its to see */

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t deadline_after(uint32_t ms)
{
    return ms == UINT32_MAX ? FOREVER : now_ns() + ms * NS_PER_MS;
}

/* ---- Events of the node [loop] ----------------------------------------------------------------
 */

static bool already_told(struct session *s, const char *peer)
{
    for (size_t i = 0; i < s->told.count; i++)
        if (strcmp(s->told.items[i], peer) == 0)
            return true;
    if (s->told.count < TOLD_MAX)
        names_add(&s->told, peer);
    return s->told.count == TOLD_MAX;
}

static void forget_told(struct session *s, const char *peer)
{
    for (size_t i = 0; i < s->told.count; i++) {
        if (strcmp(s->told.items[i], peer) != 0)
            continue;
        xfree(s->told.items[i]);
        s->told.items[i] = s->told.items[--s->told.count];
        s->told.items[s->told.count] = NULL;
        return;
    }
}

/* "weft: WHAT PEER: TEXT" with what comes from others made safe for a terminal. */
static void tell(const char *what, const weft_event *e, const char *rest)
{
    const char *text = e->text ? e->text : weft_strerror(e->error);
    char *peer = text_safe_copy(e->peer ? e->peer : "");
    char *reason = text_safe_copy(text);
    fprintf(stderr, "weft: %s%s%s: %s%s\n", what, *peer ? " " : "", peer, reason, rest);
    xfree(peer);
    xfree(reason);
}

static void link_failed(struct session *s, const weft_event *e, const char *what)
{
    const char *text = e->text ? e->text : weft_strerror(e->error);
    const char *remedy = e->error == WEFT_ENETWORK ? "; weft's is set by --network NAME" : "";
    char rest[64];
    snprintf(rest, sizeof(rest), "%s; still trying", remedy);
    pthread_mutex_lock(&s->lock);
    s->failed = true;
    s->unreachable = e->type == WEFT_EVENT_DIAL_FAILED;
    snprintf(s->reason, sizeof(s->reason), "%s%s", text, remedy);
    bool silent = s->quiet || already_told(s, e->peer ? e->peer : "");
    pthread_mutex_unlock(&s->lock);
    if (!silent)
        tell(what, e, rest);
    session_wake(s);
}

static void link_made(struct session *s, const weft_event *e)
{
    const char *peer = e->peer ? e->peer : "";
    pthread_mutex_lock(&s->lock);
    if (!s->linked)
        snprintf(s->peer, sizeof(s->peer), "%s", peer);
    s->linked = true;
    forget_told(s, peer);
    pthread_mutex_unlock(&s->lock);
    session_wake(s);
}

static void route_refused(struct session *s, const weft_event *e)
{
    if (e->error != WEFT_EDENIED)
        return;
    pthread_mutex_lock(&s->lock);
    s->denied = true;
    pthread_mutex_unlock(&s->lock);
    session_wake(s);
}

static void on_event(weft_node *node, const weft_event *e, void *user)
{
    struct session *s = user;
    switch (e->type) {
    case WEFT_EVENT_PEER_UP:
        link_made(s, e);
        break;
    case WEFT_EVENT_PEER_DOWN:
        if (!s->quiet)
            tell("lost the link to", e, "");
        break;
    case WEFT_EVENT_REFUSED:
        link_failed(s, e, "refused:");
        break;
    case WEFT_EVENT_DIAL_FAILED:
        link_failed(s, e, "cannot reach");
        break;
    case WEFT_EVENT_ROUTE_REFUSED:
        tell("the route was refused by", e, "");
        route_refused(s, e);
        break;
    case WEFT_EVENT_ADDRBOOK:
    case WEFT_EVENT_WARNING:
        if (!s->quiet)
            tell("warning", e, "");
        break;
    case WEFT_EVENT_MATCH:
    case WEFT_EVENT_UNMATCH:
        break;
    }
}

/* ---- Opening and closing -----------------------------------------------------------------------
 */

void session_options(const struct link_options *link, weft_options *ret_options)
{
    weft_options_init(ret_options);
    ret_options->self = link->listen;
    ret_options->peers = names_list(&link->peers);
    ret_options->network = link->network;
    ret_options->path = link->path;
    ret_options->role = link->role;
    ret_options->agent = "weft/" WEFT_VERSION;
    ret_options->max_frame = 64 * 1024 * 1024;
    ret_options->linger_ms = 10000;
    ret_options->log_level = WEFT_LOG_ERROR;
}

static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

int session_open(struct session *s, weft_options *options)
{
    sigset_t set = stop_signals();
    char *text = NULL;
    int code;
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return failure("cannot wait for signals: %s", strerror(errno));
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0) {
        code = failure("cannot make an eventfd: %s", strerror(errno));
        goto close_signal_fd;
    }
    pthread_mutex_init(&s->lock, NULL);
    options->on_event = on_event;
    options->user = s;
    int rc = weft_node_open_explain(options, &s->node, &text);
    if (rc == 0) {
        open_sessions++;
        return EXIT_OK;
    }
    code = failure("%s", text ? text : weft_strerror(rc));
    weft_free(text);
    pthread_mutex_destroy(&s->lock);
    close(s->wake_fd);
close_signal_fd:
    close(s->signal_fd);
    return code;
}

void session_close(struct session *s)
{
    sigset_t set = stop_signals();
    struct signalfd_siginfo taken;
    /* What has come so far was heeded and must not strike when the signals are given back. */
    bool last = --open_sessions == 0;
    while (last && read(s->signal_fd, &taken, sizeof(taken)) == sizeof(taken))
        continue;
    close(s->signal_fd);
    if (last)
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    weft_node_close(s->node);
    pthread_mutex_destroy(&s->lock);
    close(s->wake_fd);
    names_fini(&s->told);
}

bool session_denied(struct session *s)
{
    pthread_mutex_lock(&s->lock);
    bool denied = s->denied;
    pthread_mutex_unlock(&s->lock);
    return denied;
}

/* ---- Waiting -----------------------------------------------------------------------------------
 */

void session_wake(struct session *s)
{
    uint64_t one = 1;
    /* The only failure is a counter at its maximum, which is readable already. */
    ssize_t n = write(s->wake_fd, &one, sizeof(one));
    (void)n;
}

/* A signal that has arrived is left unread: every further wait sees it, too. */
static enum session_event look(struct session *s, const struct pollfd *fds, size_t count)
{
    uint64_t woken;
    if (fds[0].revents)
        return SESSION_SIGNAL;
    if (fds[1].revents && read(s->wake_fd, &woken, sizeof(woken)) == sizeof(woken))
        return SESSION_WOKEN;
    for (size_t i = 2; i < count; i++)
        if (fds[i].revents)
            return SESSION_INPUT;
    return SESSION_TIMEOUT;
}

enum session_event session_wait(struct session *s, uint64_t deadline_ns, const int *fds,
                                size_t count)
{
    struct pollfd polled[FDS_MAX + 2] = {{.fd = s->signal_fd, .events = POLLIN},
                                         {.fd = s->wake_fd, .events = POLLIN}};
    for (size_t i = 0; i < count; i++)
        polled[i + 2] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    for (;;) {
        uint64_t now = now_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
        struct timespec timeout = {.tv_sec = (time_t)(left / NS_PER_SECOND),
                                   .tv_nsec = (long)(left % NS_PER_SECOND)};
        int n = ppoll(polled, count + 2, deadline_ns == FOREVER ? NULL : &timeout, NULL);
        if (n > 0)
            return look(s, polled, count + 2);
        if (n == 0)
            return SESSION_TIMEOUT;
        if (errno != EINTR)
            return SESSION_SIGNAL; /* no memory in the kernel: end as if told to */
    }
}

/* True: it stands, or *ret_reason says why it will not. */
static bool link_settled(struct session *s, char **ret_reason)
{
    pthread_mutex_lock(&s->lock);
    bool linked = s->linked;
    if (!linked && s->failed)
        *ret_reason = text_safe_copy(s->reason);
    pthread_mutex_unlock(&s->lock);
    return linked || *ret_reason;
}

char *session_lost(struct session *s)
{
    if (weft_node_wait_peers(s->node, 1, 0) == 0)
        return NULL;
    pthread_mutex_lock(&s->lock);
    char *reason = text_safe_copy(s->failed ? s->reason : "it broke");
    pthread_mutex_unlock(&s->lock);
    return reason;
}

int session_try_link(struct session *s, uint64_t deadline_ns, char **ret_reason)
{
    static const char late[] =
        "no link in time; is a node listening there? Give it longer with --timeout";
    char *reason = NULL;
    enum session_event e = SESSION_WOKEN;
    while (!link_settled(s, &reason)) {
        if (e == SESSION_SIGNAL)
            reason = xcopy("", 0);
        else if (e == SESSION_TIMEOUT)
            reason = xcopy(late, strlen(late));
        else
            e = session_wait(s, deadline_ns, NULL, 0);
        if (reason)
            break;
    }
    if (!reason)
        return 0;
    *ret_reason = reason;
    return -1;
}

static bool unreachable(struct session *s)
{
    pthread_mutex_lock(&s->lock);
    bool yes = s->unreachable;
    pthread_mutex_unlock(&s->lock);
    return yes;
}

int session_wait_link(struct session *s, const char *url, uint64_t deadline_ns)
{
    char *reason;
    if (session_try_link(s, deadline_ns, &reason) == 0)
        return EXIT_OK;
    if (*reason)
        failure("%s: %s%s", url, reason,
                unreachable(s) ? "; does a node listen there, and is that how it is reached?" : "");
    xfree(reason);
    return EXIT_FAILED;
}
