/* Host names, each looked up on a thread of its own.
 *
 * Happy path. resolve_start makes a thread that asks the system's resolver and wakes the loop,
 * which tells the caller and closes the handle. libuv's pool would do the same with four threads
 * for the whole process: four names that no server answers for hold up every other name, and
 * whatever else the application gives to the pool, and the process cannot end before they are over.
 * A resolver of its own that needs no threads would not ask what nsswitch.conf names, mDNS first of
 * all.
 *
 * Failure modes.
 * - The resolver cannot be interrupted. Who does not want the answer any more lets go of it: the
 *   handle closes at once, the thread goes on until the resolver returns, and frees the rest. It
 *   keeps neither the loop nor the process from ending.
 * - LOOKUPS_MAX are under way: the next waits until one is over.
 * - There is no thread: told like a name that does not resolve, so that it is tried again; also to
 *   those that wait, where nobody is left to take them. */
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

#include "base/list.h"
#include "base/mem.h"
#include "transport/private.h"

#define LOOKUPS_MAX 64

struct resolve {
    uv_async_t done;
    resolve_fn *fn;
    void *user;
    struct list node;       /* lock; in waiting */
    int refs;               /* lock; the loop's, and the thread's or the list's */
    bool wanted;            /* lock; the loop waits for it */
    int error;              /* lock; 0 or WEFT_E… */
    struct addrinfo *addrs; /* lock */
    char port[8];
    char host[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned under_way;                         /* lock; threads */
static struct list waiting = {&waiting, &waiting}; /* lock; for a thread */

static void resolve_unref(struct resolve *r)
{
    pthread_mutex_lock(&lock);
    bool last = --r->refs == 0;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    if (r->addrs)
        freeaddrinfo(r->addrs);
    mem_free(r);
}

/* Returns who waits to be looked up next, or NULL: this thread is needed no more. */
static struct resolve *look_up(struct resolve *r)
{
    struct addrinfo *addrs = NULL, want = {
                                       .ai_family = AF_UNSPEC,
                                       .ai_socktype = SOCK_STREAM,
                                       .ai_protocol = IPPROTO_TCP,
                                       .ai_flags = AI_NUMERICSERV,
                                   };
    int rc = getaddrinfo(r->host, r->port, &want, &addrs);
    pthread_mutex_lock(&lock);
    r->addrs = rc == 0 ? addrs : NULL;
    r->error = rc == 0 ? 0 : rc == EAI_MEMORY ? WEFT_ENOMEM : WEFT_ERESOLVE;
    if (r->wanted)
        uv_async_send(&r->done);
    struct list *next = list_pop(&waiting);
    under_way -= next == NULL;
    pthread_mutex_unlock(&lock);
    resolve_unref(r);
    return next ? list_entry(next, struct resolve, node) : NULL;
}

static void *look_up_all(void *arg)
{
    for (struct resolve *r = arg; r; r = look_up(r))
        ;
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    resolve_unref(container_of((uv_async_t *)handle, struct resolve, done));
}

void resolve_abandon(struct resolve *r)
{
    pthread_mutex_lock(&lock);
    r->wanted = false;
    if (!list_empty(&r->node)) { /* it waits for a thread */
        list_remove(&r->node);
        r->refs--;
    }
    pthread_mutex_unlock(&lock);
    uv_close((uv_handle_t *)&r->done, on_closed);
}

static void on_done(uv_async_t *handle)
{
    struct resolve *r = container_of(handle, struct resolve, done);
    pthread_mutex_lock(&lock);
    struct addrinfo *addrs = r->addrs;
    int error = r->error;
    r->addrs = NULL;
    pthread_mutex_unlock(&lock);
    resolve_fn *fn = r->fn;
    void *user = r->user;
    resolve_abandon(r);
    fn(user, error, addrs);
}

/* The application's signals are for its own threads. */
static int start_thread(struct resolve *r)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0)
        return WEFT_ENOMEM;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attr, look_up_all, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0 ? 0 : WEFT_ERESOLVE;
}

/* No thread will come to take those that wait: each goes like the one that was to be. lock held */
static void fail_waiting(int error)
{
    struct list *it;
    while (under_way == 0 && (it = list_pop(&waiting)) != NULL) {
        struct resolve *r = list_entry(it, struct resolve, node);
        r->error = error;
        r->refs--; /* the loop has one */
        uv_async_send(&r->done);
    }
}

/* Start a thread, or wait for one; on failure nothing is left but the handle. */
static int begin(struct resolve *r)
{
    pthread_mutex_lock(&lock);
    bool room = under_way < LOOKUPS_MAX;
    under_way += room;
    r->refs++;
    if (!room)
        list_push(&waiting, &r->node);
    pthread_mutex_unlock(&lock);
    if (!room)
        return 0;
    int rc = start_thread(r);
    if (rc == 0)
        return 0;
    pthread_mutex_lock(&lock);
    under_way--;
    r->refs--;
    fail_waiting(rc);
    pthread_mutex_unlock(&lock);
    return rc;
}

int resolve_start(uv_loop_t *loop, const char *host, const char *port, resolve_fn *fn, void *user,
                  struct resolve **ret_resolve)
{
    size_t len = strlen(host);
    struct resolve *r = mem_zalloc(sizeof(*r) + len + 1);
    if (!r)
        return WEFT_ENOMEM;
    r->fn = fn;
    r->user = user;
    r->refs = 1;
    r->wanted = true;
    list_init(&r->node);
    memcpy(r->host, host, len + 1);
    snprintf(r->port, sizeof(r->port), "%s", port);
    if (uv_async_init(loop, &r->done, on_done) < 0) {
        mem_free(r);
        return WEFT_ENOMEM;
    }
    int rc = begin(r);
    if (rc < 0) {
        resolve_abandon(r);
        return rc;
    }
    *ret_resolve = r;
    return 0;
}
