/* Asking: for a report or a command, of this node or of a linked one.
 *
 * The happy path: a question is posted to the loop, which answers it itself (no URL) or asks the
 * mesh to send it over the link. What comes back is gathered until the answer is whole. Then, or
 * when the link goes, the time is up or the node leaves, it is finished: it waits on
 * node->answered until the loop settles, where it is called back once, with no table being walked,
 * and freed. A caller that waits is such a callback too. */
#include <string.h>

#include "base/mem.h"
#include "node/ask.h"
#include "node/node.h"
#include "node/report.h"

typedef void report_fn(int error, const char *text, weft_report *report, void *user);

struct ask {
    struct command command; /* posts it */
    struct list node;       /* of node->asked, then of node->answered */
    uint64_t deadline;      /* monotonic */
    uint32_t parts;
    char *route; /* or NULL */
    bool remote;
    struct url url; /* of whom, if remote */
    weft_report *report;
    int error;
    char *text; /* or NULL */
    report_fn *on_report;
    void *user;
};

static void ask_free(struct ask *q)
{
    weft_report_free(q->report);
    mem_free(q->route);
    mem_free(q->text);
    mem_free(q);
}

/* ---- On the loop ---- */

static void finish(weft_node *node, struct ask *q, int error)
{
    q->error = error;
    list_remove(&q->node);
    list_push(&node->answered, &q->node);
    node->unsettled = true;
}

void asks_tell(weft_node *node)
{
    struct list batch, *it;
    list_init(&batch);
    list_splice(&batch, &node->answered);
    while ((it = list_pop(&batch)) != NULL) {
        struct ask *q = list_entry(it, struct ask, node);
        weft_report *report = q->error ? NULL : q->report;
        if (report)
            q->report = NULL;
        q->on_report(q->error, q->text, report, q->user);
        ask_free(q);
    }
}

void asks_expire(weft_node *node, uint64_t mono_ns)
{
    list_each_safe (it, &node->asked) {
        struct ask *q = list_entry(it, struct ask, node);
        if (q->deadline <= mono_ns)
            finish(node, q, WEFT_ETIMEDOUT);
    }
}

uint64_t asks_deadline(const weft_node *node)
{
    uint64_t next = NEVER;
    list_each (it, &node->asked)
        next = min_u64(next, list_entry(it, struct ask, node)->deadline);
    return next;
}

void asks_abandon(weft_node *node)
{
    while (!list_empty(&node->asked))
        finish(node, list_entry(node->asked.next, struct ask, node), WEFT_ECLOSED);
}

/* Errors, besides those of the mesh: WEFT_ENOTFOUND. */
static int ask_link(weft_node *node, const struct ask *q)
{
    const struct mesh_link *l = mesh_find(node->mesh, &q->url);
    return l ? WEFT_ENOTSUP : WEFT_ENOTFOUND;
}

static void run_ask(weft_node *node, struct command *command)
{
    struct ask *q = container_of(command, struct ask, command);
    list_push(&node->asked, &q->node);
    if (!q->remote) {
        finish(node, q, report_build(node, q->parts, q->route, &q->report));
        return;
    }
    int rc = ask_link(node, q);
    if (rc < 0)
        finish(node, q, rc);
}

/* ---- Reports ---- */

static int ask_new(const char *url, const weft_query *query, int timeout_ms, struct ask **ret_ask)
{
    struct ask *q = mem_zalloc(sizeof(*q));
    if (!q)
        return WEFT_ENOMEM;
    q->command.run = run_ask;
    list_init(&q->node);
    q->deadline = deadline_after(timeout_ms);
    q->parts = query->parts;
    q->remote = url != NULL;
    int rc = url && url_parse(url, strlen(url), &q->url, NULL) < 0 ? WEFT_EURL : 0;
    q->route = rc == 0 && query->route ? mem_strdup(query->route) : NULL;
    if (rc == 0 && query->route && !q->route)
        rc = WEFT_ENOMEM;
    if (rc < 0)
        ask_free(q);
    else
        *ret_ask = q;
    return rc;
}

static int post_ask(weft_node *node, struct ask *q)
{
    plane_lock(node);
    if (node->closed) {
        plane_unlock(node);
        ask_free(q);
        return WEFT_ECLOSED;
    }
    bool wake = node_post(node, &q->command);
    plane_unlock(node);
    if (wake)
        node_wake(node);
    return 0;
}

int weft_node_inspect_async(weft_node *node, const char *url, const weft_query *query,
                            int timeout_ms, report_fn *on_report, void *user)
{
    struct ask *q = NULL;
    if (!node || !on_report)
        return WEFT_EINVAL;
    int rc = query_check(query);
    if (rc == 0)
        rc = ask_new(url, query, timeout_ms, &q);
    if (rc < 0)
        return rc;
    q->on_report = on_report;
    q->user = user;
    return post_ask(node, q);
}

/* ---- Waiting for them ---- */

struct waiter {
    weft_node *node;
    bool done; /* plane, like all that follows */
    int error;
    char *text;
    weft_report *report;
};

static void on_waited(int error, const char *text, weft_report *report, void *user)
{
    struct waiter *w = user;
    weft_node *node = w->node;
    plane_lock(node);
    w->error = error;
    w->text = text ? mem_strdup(text) : NULL;
    w->report = report;
    w->done = true;
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
}

static void wait_for(struct waiter *w)
{
    plane_lock(w->node);
    while (!w->done)
        node_wait(w->node, &w->node->changed, NEVER);
    plane_unlock(w->node);
}

struct building {
    const weft_query *query;
    weft_report **ret_report;
};

static int run_build(weft_node *node, void *arg)
{
    const struct building *b = arg;
    return report_build(node, b->query->parts, b->query->route, b->ret_report);
}

int weft_node_inspect(weft_node *node, const char *url, const weft_query *query, int timeout_ms,
                      weft_report **ret_report, char **ret_error_text)
{
    if (ret_error_text)
        *ret_error_text = NULL;
    if (!node || !ret_report)
        return WEFT_EINVAL;
    int rc = query_check(query);
    if (rc < 0)
        return rc;
    if (!url)
        return node_call(node, run_build, &(struct building){query, ret_report});
    if (on_loop(node))
        return WEFT_ELOOP;
    struct waiter w = {.node = node};
    rc = weft_node_inspect_async(node, url, query, timeout_ms, on_waited, &w);
    if (rc < 0)
        return rc;
    wait_for(&w);
    if (w.error == 0)
        *ret_report = w.report;
    if (ret_error_text)
        *ret_error_text = w.text;
    else
        mem_free(w.text);
    return w.error;
}

/* ---- Commands ---- */

struct commanding {
    const weft_command *command;
    char *text;
};

static int run_here(weft_node *node, void *arg)
{
    struct commanding *c = arg;
    return command_run(node, c->command, &c->text);
}

int weft_node_command(weft_node *node, const char *url, const weft_command *command, int timeout_ms,
                      char **ret_text)
{
    if (ret_text)
        *ret_text = NULL;
    if (!node || !command || !command->verb || !command->verb[0])
        return WEFT_EINVAL;
    struct commanding c = {.command = command};
    int rc = url ? WEFT_ENOTSUP : node_call(node, run_here, &c);
    if (ret_text)
        *ret_text = c.text;
    else
        mem_free(c.text);
    return rc;
}
