/* The loop's turns, and how other threads reach it.
 *
 * Every entry from libuv is bracketed by node_enter and node_leave. The outermost node_leave
 * settles: commands that were posted run, fan-outs that changed are rebuilt, callbacks that are due
 * are called, and what was queued is written. Callbacks therefore run when no table is being walked
 * but the one that called them, and whatever they open or close takes effect afterwards: that is
 * why every call is allowed in them.
 *
 * Other threads post commands and wake the loop with one uv_async_send for however many there are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "node/ask.h"
#include "node/node.h"

#define BURST 2          /* messages of other threads in one go */
#define BURST_PAUSES 64  /* of the processor */
#define SETTLE_ROUNDS 16 /* then the loop gets its turn, and settling goes on after it */

/* ---- Clocks and waiting ---- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

struct moment node_now(void)
{
    return (struct moment){.mono_ns = clock_ns(CLOCK_MONOTONIC), .wall_ns = wall_ns()};
}

bool on_loop(const weft_node *node)
{
    return pthread_equal(pthread_self(), node->loop_thread) != 0;
}

uint64_t deadline_after(int timeout_ms)
{
    return timeout_ms < 0 ? NEVER : clock_ns(CLOCK_MONOTONIC) + (uint64_t)timeout_ms * NS_PER_MS;
}

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void mutex_init_spinning(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(mutex, &attr);
    pthread_mutexattr_destroy(&attr);
}

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline)
{
    if (deadline == NEVER)
        return pthread_cond_wait(cond, mutex) == 0;
    struct timespec ts = {.tv_sec = (time_t)(deadline / NS_PER_SEC),
                          .tv_nsec = (long)(deadline % NS_PER_SEC)};
    return pthread_cond_timedwait(cond, mutex, &ts) != ETIMEDOUT;
}

bool node_wait(weft_node *node, pthread_cond_t *cond, uint64_t deadline)
{
    bool for_room = cond == &node->room;
    node->room_waiters += for_room;
    bool in_time = cond_wait_until(cond, &node->plane, deadline);
    node->room_waiters -= for_room;
    return in_time;
}

/* ---- Commands ---- */

/* On the loop's own thread, below an entry, node_leave will see to it. */
bool node_request_wake(weft_node *node)
{
    if (atomic_load(&node->wake_sent))
        return false;
    if (on_loop(node) && node->depth) {
        node->unsettled = true;
        return false;
    }
    atomic_store(&node->wake_sent, true);
    return true;
}

/* The loop clears wake_sent before it looks at todo, and this sets todo before it looks at
 * wake_sent: one of the two sees the other. */
bool node_todo(weft_node *node, enum todo what)
{
    if (!(atomic_load(&node->todo) & what))
        atomic_fetch_or(&node->todo, what);
    return node_request_wake(node);
}

void node_wake(weft_node *node)
{
    uv_async_send(&node->wake);
}

bool node_post(weft_node *node, struct command *command)
{
    list_push(&node->commands, &command->node);
    return node_todo(node, TODO_COMMANDS);
}

bool node_mark_dirty(weft_node *node, struct outbox *o)
{
    if (o->dirty)
        return false;
    o->dirty = true;
    list_push(&node->dirty, &o->dirty_node);
    return node_todo(node, TODO_FLUSH);
}

bool node_queued(weft_node *node, struct outbox *o)
{
    if (o->bulk || o->dirty)
        return false;
    if (!o->writing)
        return node_mark_dirty(node, o);
    o->passed_over = true;
    return false;
}

/* Those that wait now. What they cause to be posted is for the next round, or a callback that opens
 * and closes something each time it is called would keep the loop here for ever. */
static bool run_commands(weft_node *node)
{
    if (!(atomic_load(&node->todo) & TODO_COMMANDS))
        return false;
    struct list batch, *it;
    list_init(&batch);
    plane_lock(node);
    atomic_fetch_and(&node->todo, ~(unsigned)TODO_COMMANDS);
    list_splice(&batch, &node->commands);
    plane_unlock(node);
    bool any = !list_empty(&batch);
    while ((it = list_pop(&batch)) != NULL) {
        struct command *command = list_entry(it, struct command, node);
        command->run(node, command);
    }
    return any;
}

/* ---- Calls: commands whose caller waits ---- */

struct call {
    struct command command;
    struct list waiting; /* node->calls_waiting; plane */
    int (*fn)(weft_node *node, void *arg);
    int (*begin)(weft_node *node, uint64_t token, void *arg);
    void (*take)(void *arg, uint64_t rtt, const struct book_record *records, size_t count);
    void *arg;
    uint64_t token;
    int rc;
    bool begun, done;
};

/* plane held */
static void finish_call(weft_node *node, struct call *call, int rc)
{
    call->rc = rc;
    call->done = true;
    list_remove(&call->waiting);
    pthread_cond_broadcast(&node->changed);
}

static void run_call(weft_node *node, struct command *command)
{
    struct call *call = container_of(command, struct call, command);
    int rc = call->fn(node, call->arg);
    plane_lock(node);
    finish_call(node, call, rc);
    plane_unlock(node);
}

static int post_call(weft_node *node, struct call *call)
{
    list_init(&call->waiting);
    plane_lock(node);
    if (node->closed) {
        plane_unlock(node);
        return WEFT_ECLOSED;
    }
    if (call->begin) {
        call->token = ++node->next_token;
        list_push(&node->calls_waiting, &call->waiting);
    }
    bool wake = node_post(node, &call->command);
    plane_unlock(node);
    if (wake)
        node_wake(node);
    return 0;
}

int node_call(weft_node *node, int (*fn)(weft_node *node, void *arg), void *arg)
{
    if (on_loop(node)) {
        node->unsettled = true;
        return fn(node, arg);
    }
    struct call call = {.command.run = run_call, .fn = fn, .arg = arg};
    int rc = post_call(node, &call);
    if (rc < 0)
        return rc;
    plane_lock(node);
    while (!call.done)
        node_wait(node, &node->changed, NEVER);
    plane_unlock(node);
    return call.rc;
}

static void run_ask(weft_node *node, struct command *command)
{
    struct call *call = container_of(command, struct call, command);
    int rc = call->begin(node, call->token, call->arg);
    plane_lock(node);
    if (rc < 0 && !call->done)
        finish_call(node, call, rc);
    call->begun = true; /* the caller may go from here on */
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
}

int node_ask(weft_node *node, int timeout_ms,
             int (*begin)(weft_node *node, uint64_t token, void *arg), void *arg,
             void (*take)(void *arg, uint64_t rtt, const struct book_record *records, size_t count))
{
    if (on_loop(node))
        return WEFT_ELOOP;
    struct call call = {.command.run = run_ask, .begin = begin, .take = take, .arg = arg};
    uint64_t deadline = deadline_after(timeout_ms);
    int rc = post_call(node, &call);
    if (rc < 0)
        return rc;
    plane_lock(node);
    while (!call.begun)
        node_wait(node, &node->changed, NEVER);
    while (!call.done) {
        if (!node_wait(node, &node->changed, deadline) && !call.done)
            finish_call(node, &call, WEFT_ETIMEDOUT);
    }
    plane_unlock(node);
    return call.rc;
}

void node_answer(weft_node *node, uint64_t token, int error, uint64_t rtt,
                 const struct book_record *records, size_t count)
{
    plane_lock(node);
    list_each_safe (it, &node->calls_waiting) {
        struct call *call = list_entry(it, struct call, waiting);
        if (call->token != token)
            continue;
        if (error == 0)
            call->take(call->arg, rtt, records, count);
        finish_call(node, call, error);
    }
    plane_unlock(node);
}

/* ---- Events ---- */

static void free_event(struct owned_event *e)
{
    mem_free((char *)(uintptr_t)e->event.peer);
    mem_free((char *)(uintptr_t)e->event.route);
    mem_free((char *)(uintptr_t)e->event.text);
    mem_free((char *)(uintptr_t)e->line);
    mem_free(e);
}

static bool copy_text(const char **to, const char *from)
{
    *to = from ? mem_strdup(from) : NULL;
    return *to || !from;
}

static void queue_event(weft_node *node, const weft_event *event, enum weft_log_level level,
                        const char *line)
{
    node->unsettled = true;
    struct owned_event *e = mem_zalloc(sizeof(*e));
    if (!e)
        return; /* out of memory: the program misses a notice, the state is as it is */
    e->event = *event;
    e->level = level;
    e->event.peer = e->event.route = e->event.text = NULL;
    if (copy_text(&e->line, line) && copy_text(&e->event.peer, event->peer) &&
        copy_text(&e->event.route, event->route) && copy_text(&e->event.text, event->text))
        list_push(&node->events, &e->node);
    else
        free_event(e);
}

void node_event(weft_node *node, const weft_event *event)
{
    incidents_note(&node->incidents, event, wall_ns());
    if (node->options.on_event)
        queue_event(node, event, 0, NULL);
}

PRINTF_LIKE(4, 0)
static void log_line(weft_node *node, enum weft_log_level level, const weft_event *event,
                     const char *format, va_list args)
{
    char line[512];
    if ((!node->options.on_log && !node->options.on_record) ||
        (int)level > atomic_load_explicit(&node->log_level, memory_order_relaxed))
        return;
    vsnprintf(line, sizeof(line), format, args);
    queue_event(node, event, level, line);
}

void node_log(weft_node *node, enum weft_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(node, level, &(weft_event){0}, format, args);
    va_end(args);
}

void node_record(weft_node *node, enum weft_log_level level, const weft_event *event,
                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(node, level, event, format, args);
    va_end(args);
}

static void dispatch_event(weft_node *node, const struct owned_event *e)
{
    const weft_options *o = &node->options;
    if (!e->line)
        o->on_event(node, &e->event, o->user);
    else if (o->on_record)
        o->on_record(e->level, e->line, e->event.type ? &e->event : NULL, o->user);
    else
        o->on_log(e->level, e->line, o->user);
}

void node_dispatch_events(weft_node *node)
{
    struct list *it;
    while ((it = list_pop(&node->events)) != NULL) {
        struct owned_event *e = list_entry(it, struct owned_event, node);
        dispatch_event(node, e);
        free_event(e);
    }
}

void node_drop_events(weft_node *node)
{
    struct list *it;
    while ((it = list_pop(&node->events)) != NULL)
        free_event(list_entry(it, struct owned_event, node));
}

/* ---- Turns ---- */

void node_request_turn(weft_node *node)
{
    if (!atomic_exchange(&node->wake_sent, true))
        node_wake(node);
}

/* Each is looked at once: one that pauses again joins node->paused anew, and callbacks may end any
 * connection meanwhile, which takes it off the list it is on. */
static void resume_paused(weft_node *node, bool expired_only)
{
    uint64_t mono = node_now().mono_ns;
    struct list batch, *it;
    list_init(&batch);
    list_splice(&batch, &node->paused);
    while ((it = list_pop(&batch)) != NULL) {
        struct conn *c = list_entry(it, struct conn, paused_node);
        if (expired_only && c->pause_until > mono)
            list_push(&node->paused, it);
        else
            conn_resume(c);
    }
}

/* plane held */
static struct outbox *pop_dirty(struct list *batch)
{
    struct list *it = list_pop(batch);
    if (!it)
        return NULL;
    struct outbox *o = list_entry(it, struct outbox, dirty_node);
    o->dirty = false;
    return o;
}

/* Those that are dirty now; a write that fails may take any of them off the list meanwhile. */
static void flush_dirty(weft_node *node)
{
    if (!(atomic_load(&node->todo) & TODO_FLUSH))
        return;
    struct list batch;
    list_init(&batch);
    plane_lock(node);
    atomic_fetch_and(&node->todo, ~(unsigned)TODO_FLUSH);
    list_splice(&batch, &node->dirty);
    struct outbox *o = pop_dirty(&batch);
    plane_unlock(node);
    while (o) {
        conn_flush(container_of(o, struct conn, out));
        if (list_empty(&batch))
            return;
        plane_lock(node);
        o = pop_dirty(&batch);
        plane_unlock(node);
    }
}

/* Does something wait that this turn should still do? */
static bool has_work(weft_node *node)
{
    return (atomic_load(&node->todo) & (TODO_COMMANDS | TODO_LOCAL | TODO_RESUME)) ||
           !list_empty(&node->events) || !list_empty(&node->answered) || answers_wait(node) ||
           !list_empty(&node->matches) || !list_empty(&node->matched);
}

/* A thread that sends at full speed has more ready sooner than the loop falls asleep, and to wake
 * it would cost both more than this. */
static void wait_for_more(void)
{
    for (int i = 0; i < BURST_PAUSES; i++)
        cpu_relax();
}

static void settle_once(weft_node *node)
{
    atomic_store(&node->wake_sent, false);
    node->unsettled = false;
    bool resume = atomic_load(&node->todo) & TODO_RESUME;
    if (resume)
        atomic_fetch_and(&node->todo, ~(unsigned)TODO_RESUME);
    bool any = run_commands(node);
    any |= answers_run(node);
    if (any)
        mesh_settle(node->mesh, node_now());
    flow_rebuild_changed(node);
    size_t delivered = deliver_local(node);
    if (resume)
        resume_paused(node, false);
    flow_rebuild_changed(node);
    interest_settle_matches(node);
    intent_tell(node);
    node_dispatch_events(node);
    asks_tell(node);
    flush_dirty(node);
    bulk_arm(node);
    if (delivered >= BURST)
        wait_for_more();
}

void node_enter(weft_node *node)
{
    node->depth++;
}

void node_leave(weft_node *node)
{
    if (node->depth > 1 || node->closing_handles) {
        node->depth--;
        return;
    }
    int rounds = 0;
    do {
        settle_once(node);
    } while (has_work(node) && ++rounds < SETTLE_ROUNDS);
    node->depth--;
    if (rounds == SETTLE_ROUNDS || (atomic_load(&node->todo) & TODO_FLUSH))
        node_request_turn(node);
    node_rearm(node);
    node_check_left(node);
}

void node_leave_lightly(weft_node *node)
{
    if (node->unsettled)
        node_leave(node);
    else
        node->depth--;
}

/* ---- The one timer ---- */

static uint64_t next_deadline(weft_node *node)
{
    uint64_t next = min_u64(mesh_deadline(node->mesh), min_u64(node->save_at, node->rebuild_at));
    next = min_u64(next,
                   min_u64(node->conns_at, min_u64(asks_deadline(node), answers_deadline(node))));
    list_each (it, &node->paused)
        next = min_u64(next, list_entry(it, struct conn, paused_node)->pause_until);
    return next;
}

static void tick_conns(weft_node *node, uint64_t mono)
{
    if (node->conns_at > mono)
        return;
    node->conns_at = NEVER;
    list_each_safe (it, &node->conns) {
        struct conn *c = list_entry(it, struct conn, list_node);
        if (c->drain_deadline <= mono) {
            conn_close(c);
        } else if (c->retry_at <= mono) {
            c->retry_at = NEVER; /* the flush sets it again where it has to */
            plane_lock(node);
            node_mark_dirty(node, &c->out);
            plane_unlock(node);
        }
        node->conns_at = min_u64(node->conns_at, min_u64(c->drain_deadline, c->retry_at));
    }
}

static void on_timer(uv_timer_t *timer)
{
    weft_node *node = timer->data;
    node_enter(node);
    node->armed = NEVER;
    node->in_timer = true;
    struct moment now = node_now();
    list_each (it, &node->paused)
        mesh_paused(node->mesh, list_entry(it, struct conn, paused_node)->link, now);
    if (!node->leaving)
        mesh_tick(node->mesh, now);
    tick_conns(node, now.mono_ns);
    conn_drop_large(node);
    pool_trim(node->pool, now.mono_ns);
    resume_paused(node, true);
    asks_expire(node, now.mono_ns);
    if (node->rebuild_at <= now.mono_ns)
        flow_rebuild_all(node);
    if (node->save_at <= now.mono_ns) {
        bookfile_save(node);
        node->save_at = now.mono_ns + SAVE_NS;
    }
    node_leave(node);
    node->in_timer = false;
}

void node_rearm(weft_node *node)
{
    if (node->closing_handles)
        return;
    uint64_t next = next_deadline(node);
    if (next == node->armed)
        return;
    node->armed = next;
    if (next == NEVER) {
        uv_timer_stop(&node->timer);
        return;
    }
    uint64_t mono = node_now().mono_ns;
    uint64_t ms = next > mono ? (next - mono + NS_PER_MS - 1) / NS_PER_MS : 0;
    if (node->in_timer && ms == 0)
        ms = 1; /* libuv would call on_timer again before it looks at any socket */
    uv_update_time(node->loop);
    uv_timer_start(&node->timer, on_timer, ms, 0);
}
