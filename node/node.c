/* A node's life: opened on a loop of its own or attached to a caller's, and closed again.
 *
 * Opening listens before it returns, so that an address in use is an error of the call; dialling
 * begins with the loop's first turn. Closing says goodbye to every peer, drains what is queued for
 * up to the linger time, saves the address book, and frees the node when the last libuv handle is
 * closed.
 *
 * The path of a failed opening is the path of a closing: handles that were made are closed by turns
 * of the loop. On a caller's loop that happens after the call; nothing of the node is visible to
 * the caller then. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "node/ask.h"
#include "node/node.h"

#define FEATURES                                                                                   \
    (FEATURE_COMPACT | FEATURE_PATTERNS | FEATURE_DIGEST | FEATURE_GOODBYE | FEATURE_BOOK |        \
     FEATURE_INFO)

const char *weft_version(void)
{
    return WEFT_VERSION;
}

/* ---- Freeing ---- */

static void free_handles(weft_node *node)
{
    list_each_safe (it, &node->intents)
        intent_handle_free(list_entry(it, struct weft_intent, list_node));
    list_each_safe (it, &node->interests)
        interest_handle_free(list_entry(it, struct weft_interest, list_node));
}

static void free_flow(void *ctx, const struct router_info *info)
{
    if (info->intent && info->record->user)
        flow_free(ctx, info->record->user);
}

static void node_free(weft_node *node)
{
    local_clear(&node->local);
    if (node->mesh)
        router_each(mesh_router(node->mesh), free_flow, node);
    mesh_free(node->mesh);
    free_handles(node);
    gather_close(node);
    alias_fini(&node->flows);
    struct list *it;
    while ((it = list_pop(&node->spare_chunks)) != NULL)
        mem_free(list_entry(it, struct seg, node));
    node_drop_events(node);
    incidents_fini(&node->incidents);
    answers_drop(node);
    pthread_mutex_destroy(&node->plane);
    pthread_cond_destroy(&node->changed);
    pthread_cond_destroy(&node->room);
    mem_free(node->network);
    bookfile_close(node);
    mem_free(node->addrbook_file);
    mem_free(node->agent);
    str_unref(node->url_text);
    mem_free(node->rx);
    buf_fini(&node->large);
    pool_close(node->pool);
    mem_free(node);
}

/* ---- Closing ---- */

/* The last handle of an attached node is closed: it is gone. An own loop just runs out of handles.
 */
void node_maybe_gone(weft_node *node)
{
    if (node->handles || !node->closing_handles || node->owns_loop)
        return;
    void (*done)(void *user) = node->on_detached;
    void *user = node->detached_user;
    node_free(node);
    if (done)
        done(user);
}

static void on_handle_closed(uv_handle_t *handle)
{
    weft_node *node = handle->data;
    node->handles--;
    node_maybe_gone(node);
}

void node_check_left(weft_node *node)
{
    if (!node->leaving || node->closing_handles || !list_empty(&node->conns) ||
        !list_empty(&node->listeners) || !list_empty(&node->answered) || node->depth)
        return;
    node->closing_handles = true;
    uv_close((uv_handle_t *)&node->wake, on_handle_closed);
    uv_close((uv_handle_t *)&node->timer, on_handle_closed);
    bulk_close(node, on_handle_closed);
}

/* What KEEP_LAST holds back goes out before GOODBYE, after which nobody listens. */
static void flush_all_slots(weft_node *node)
{
    plane_lock(node);
    list_each (it, &node->conns)
        outbox_flush_slots(node, &list_entry(it, struct conn, list_node)->out, NULL);
    plane_unlock(node);
}

static void begin_leave(weft_node *node)
{
    if (node->leaving)
        return;
    deliver_local(node);
    flush_all_slots(node);
    node->leaving = true;
    bookfile_save(node);
    bookfile_close(node); /* nothing is written from here on, however long goodbyes take */
    node->save_at = NEVER;
    asks_abandon(node);
    answers_drop(node);
    mesh_leave(node->mesh, node_now());
    list_each (it, &node->listeners)
        listener_close(list_entry(it, struct node_listener, node)->listener);
}

static void run_leave(weft_node *node, struct command *command)
{
    begin_leave(node);
}

/* No more calls from outside; whoever waits for peers, matches, room or the loop returns. */
static void stop_calls(weft_node *node)
{
    plane_lock(node);
    node->closed = true;
    node->leave_cmd.run = run_leave;
    list_push(&node->commands, &node->leave_cmd.node);
    node_todo(node, TODO_COMMANDS);
    pthread_cond_broadcast(&node->changed);
    pthread_cond_broadcast(&node->room);
    plane_unlock(node);
    node_wake(node);
}

int weft_node_close(weft_node *node)
{
    if (!node)
        return 0;
    if (!node->owns_loop)
        return WEFT_EINVAL; /* an attached node is detached */
    if (on_loop(node))
        return WEFT_ELOOP;
    stop_calls(node);
    uv_thread_join(&node->thread);
    uv_loop_close(&node->own_loop);
    node_free(node);
    return 0;
}

void weft_node_detach(weft_node *node, void (*on_done)(void *user), void *user)
{
    if (!node)
        return;
    node->on_detached = on_done;
    node->detached_user = user;
    stop_calls(node);
}

/* ---- Opening ---- */

static void on_wake(uv_async_t *async)
{
    weft_node *node = async->data;
    node_enter(node);
    node_leave(node);
}

static int init_handles(weft_node *node)
{
    int rc = uv_async_init(node->loop, &node->wake, on_wake);
    if (rc < 0)
        return transport_error(rc);
    rc = uv_timer_init(node->loop, &node->timer);
    node->wake.data = node->timer.data = node;
    node->handles = 2;
    if (rc < 0)
        return transport_error(rc);
    if (bulk_open(node) < 0)
        node_log(node, WEFT_LOG_WARN, "no timer for bulk writing; the loop writes everything");
    return 0;
}

int node_random(void *out, size_t size)
{
    int rc = uv_random(NULL, NULL, out, size, 0, NULL);
    return rc < 0 ? WEFT_EIO : 0;
}

static int copy_strings(weft_node *node, const weft_options *o)
{
    node->network = o->network ? mem_strdup(o->network) : NULL;
    node->addrbook_file = o->addrbook ? mem_strdup(o->addrbook) : NULL;
    node->agent = mem_strdup(o->agent ? o->agent : "weft/" WEFT_VERSION);
    bool ok =
        (node->network || !o->network) && (node->addrbook_file || !o->addrbook) && node->agent;
    node->options.self = node->options.advertise = node->options.network = NULL;
    node->options.addrbook = node->options.agent = node->options.path = NULL;
    node->options.listen = node->options.peers = NULL;
    return ok ? 0 : WEFT_ENOMEM;
}

static int make_mesh(weft_node *node, const weft_options *o, const struct addrbook_file *file,
                     bool found)
{
    struct mesh_config config = {
        .self = node->self,
        .advertised = o->advertise != NULL,
        .network = node->network,
        .agent = node->agent,
        .allow_base = o->allow_base,
        .role = node->role,
        .max_frame = o->max_frame,
        .max_peers = o->max_peers,
        .max_routes = o->max_routes,
        .features = FEATURES,
    };
    int rc = node_random(&config.incarnation, sizeof(config.incarnation));
    if (rc == 0)
        rc = node_random(&config.seed, sizeof(config.seed));
    if (rc == 0)
        rc = node_random(&node->alias_key, sizeof(node->alias_key));
    if (rc == 0)
        rc = found ? 0 : node_random(config.node_id, sizeof(config.node_id));
    if (rc < 0)
        return rc;
    if (found)
        memcpy(config.node_id, file->node_id, sizeof(config.node_id));
    memcpy(node->node_id, config.node_id, sizeof(node->node_id));
    struct moment now = node_now();
    rc = mesh_new(&config, &node_mesh_ops, node, now, &node->mesh);
    if (rc == 0 && found)
        rc = addrbook_merge(mesh_addrbook(node->mesh), file, now);
    return rc;
}

static void init_lists(weft_node *node)
{
    struct list *lists[] = {&node->conns,         &node->listeners, &node->paused,
                            &node->matches,       &node->matched,   &node->events,
                            &node->commands,      &node->dirty,     &node->bulk,
                            &node->intents,       &node->interests, &node->spare_chunks,
                            &node->calls_waiting, &node->asked,     &node->questions,
                            &node->answers,       &node->answered};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        list_init(lists[i]);
    mutex_init_spinning(&node->plane);
    incidents_init(&node->incidents);
    local_init(&node->local);
    local_init(&node->local_batch);
    cond_init(&node->changed);
    cond_init(&node->room);
}

static weft_node *node_alloc(const weft_options *o)
{
    weft_node *node = mem_zalloc(sizeof(*node));
    if (!node)
        return NULL;
    node->options = *o;
    atomic_init(&node->max_frame, o->max_frame);
    atomic_init(&node->log_level, (int)o->log_level);
    init_lists(node);
    node->started = node_now().mono_ns;
    node->armed = node->conns_at = node->save_at = node->rebuild_at = NEVER;
    node->tick_fd = -1;
    buf_init(&node->large, FRAME_MAX_LIMIT + RX_BUFFER);
    node->flows.ours = true;
    node->loop_thread = uv_thread_self();
    if (copy_strings(node, o) == 0 && gather_open(node) == 0)
        node->rx = mem_alloc(RX_BUFFER);
    if (node->rx)
        node->pool = pool_new(&node->plane);
    if (!node->pool) {
        node_free(node);
        return NULL;
    }
    return node;
}

static int load_and_listen(weft_node *node, const weft_options *o, char *text)
{
    struct addrbook_file file = {0};
    bool found;
    int rc = bookfile_load(node, &file, &found, text);
    if (rc < 0)
        return rc;
    rc = make_mesh(node, o, &file, found);
    addrbook_file_fini(&file);
    if (rc == 0)
        rc = node_listen(node, o, text);
    if (rc == 0)
        rc = named_open(node, o->peers, text);
    if (node->addrbook_file) /* a new file at once: whether it can be written is known now */
        node->save_at = node_now().mono_ns + (found ? SAVE_NS : 0);
    return rc;
}

/* Build everything on node->loop. On failure the handles that were made are closing. */
static int build(weft_node *node, const weft_options *o, char *text)
{
    int rc = init_handles(node);
    if (rc < 0)
        return rc;
    rc = load_and_listen(node, o, text);
    atomic_store(&node->wake_sent, true);
    node_wake(node); /* the first turn dials */
    return rc;
}

static int prepare(const weft_options *o, weft_node **ret_node, char *text)
{
    struct url self;
    enum role role;
    if (!o || !ret_node)
        return WEFT_EINVAL;
    int rc = options_check(o, &self, &role, text, TEXT_SIZE);
    if (rc < 0)
        return rc;
    weft_node *node = node_alloc(o);
    if (!node)
        return WEFT_ENOMEM;
    node->self = self;
    node->role = role;
    *ret_node = node;
    return 0;
}

/* Undo a build that failed half-way. */
static void unbuild(weft_node *node)
{
    node->options.on_event = NULL; /* a call that fails calls nothing back */
    node->options.on_log = NULL;
    node->options.on_record = NULL;
    node_drop_events(node);
    bookfile_close(node); /* to be had at once by who tries again */
    mem_free(node->addrbook_file);
    node->addrbook_file = NULL;
    if (!node->mesh) { /* only the two handles exist, or none */
        node->leaving = true;
        if (node->handles)
            node_check_left(node);
        return;
    }
    node->closed = true;
    begin_leave(node);
    node_check_left(node);
}

static void explain(char **ret_text, int rc, const char *text)
{
    if (ret_text)
        *ret_text = mem_strdup(text[0] ? text : weft_strerror(rc));
}

int weft_node_attach(uv_loop_t *loop, const weft_options *options, weft_node **ret_node,
                     char **ret_error_text)
{
    char text[TEXT_SIZE] = "";
    weft_node *node;
    int rc = loop ? prepare(options, &node, text) : WEFT_EINVAL;
    if (rc < 0) {
        explain(ret_error_text, rc, text);
        return rc;
    }
    node->loop = loop;
    rc = build(node, options, text);
    if (rc < 0) {
        explain(ret_error_text, rc, text);
        if (node->handles)
            unbuild(node);
        else
            node_free(node);
        return rc;
    }
    *ret_node = node;
    return 0;
}

static void run_thread(void *arg)
{
    weft_node *node = arg;
    node->loop_thread = uv_thread_self();
    uv_sem_post(&node->running);
    uv_run(&node->own_loop, UV_RUN_DEFAULT);
}

static int start_thread(weft_node *node)
{
    if (uv_sem_init(&node->running, 0) < 0)
        return WEFT_ENOMEM;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old); /* signals are for the program's own threads */
    int rc = uv_thread_create(&node->thread, run_thread, node);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        uv_sem_wait(&node->running);
    uv_sem_destroy(&node->running);
    return rc < 0 ? WEFT_ENOMEM : 0;
}

int weft_node_open_explain(const weft_options *options, weft_node **ret_node, char **ret_error_text)
{
    char text[TEXT_SIZE] = "";
    weft_node *node;
    int rc = prepare(options, &node, text);
    if (rc < 0) {
        explain(ret_error_text, rc, text);
        return rc;
    }
    rc = uv_loop_init(&node->own_loop);
    if (rc < 0) {
        rc = transport_error(rc);
        explain(ret_error_text, rc, text);
        node_free(node);
        return rc;
    }
    node->owns_loop = true;
    node->loop = &node->own_loop;
    rc = build(node, options, text);
    if (rc == 0)
        rc = start_thread(node);
    if (rc < 0) {
        explain(ret_error_text, rc, text);
        if (node->handles)
            unbuild(node);
        uv_run(&node->own_loop, UV_RUN_DEFAULT);
        uv_loop_close(&node->own_loop);
        node_free(node);
        return rc;
    }
    *ret_node = node;
    return 0;
}

int weft_node_open(const weft_options *options, weft_node **ret_node)
{
    return weft_node_open_explain(options, ret_node, NULL);
}

/* ---- Small calls ---- */

const char *weft_node_url(const weft_node *node)
{
    return node->url_text->text;
}

int weft_node_wait_peers(weft_node *node, unsigned count, int timeout_ms)
{
    if (on_loop(node))
        return WEFT_ELOOP;
    uint64_t deadline = deadline_after(timeout_ms);
    int rc = 0;
    plane_lock(node);
    while (node->up_count < count && rc == 0) {
        if (node->closed)
            rc = WEFT_ECLOSED;
        else if (!node_wait(node, &node->changed, deadline))
            rc = WEFT_ETIMEDOUT;
    }
    plane_unlock(node);
    return rc;
}
