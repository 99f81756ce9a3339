/* Asking: for a report or a command, of this node or of a linked one.
 *
 * The happy path: a question is posted to the loop, which answers it itself (no URL) or asks the
 * mesh to send it over the link. What comes back is gathered until the answer is whole. Then, or
 * when the link goes, the time is up or the node leaves, it is finished: it waits on
 * node->answered until the loop settles, where it is called back once, with no table being walked,
 * and freed. A caller that waits is such a callback too. */
#include <stdio.h>
#include <stdlib.h>
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
    uint64_t token;         /* of the mesh; 0: it was not sent */
    uint32_t parts;
    char *route; /* or NULL */
    char *verb;  /* a command, or NULL */
    char **args; /* of it, NULL-terminated */
    size_t n_args;
    bool remote;
    struct url url; /* of whom, if remote */
    uint8_t node_id[16];
    weft_report *report;
    int error;
    char *text; /* or NULL */
    report_fn *on_report;
    void *user;
};

static void ask_free(struct ask *q)
{
    for (size_t i = 0; i < q->n_args; i++)
        mem_free(q->args[i]);
    mem_free(q->args);
    weft_report_free(q->report);
    mem_free(q->route);
    mem_free(q->verb);
    mem_free(q->text);
    mem_free(q);
}

/* ---- On the loop ---- */

/* What came is a sentence for most errors; here is one for the others. */
static void explain(struct ask *q)
{
    const char *why = q->error == WEFT_ENOTFOUND    ? "is not linked to this node"
                      : q->error == WEFT_ENOTSUP    ? "is not of a version that can be asked"
                      : q->error == WEFT_ETIMEDOUT  ? "did not answer in time"
                      : q->error == WEFT_ELIMIT     ? "is being asked already: wait for that answer"
                      : q->error == WEFT_ETOOBIG    ? "takes no frame as large as this command"
                      : q->error == WEFT_ELOST      ? "is gone: the link broke before it answered"
                      : q->error == WEFT_EMALFORMED ? "did not tell all that it was asked for"
                                                    : NULL;
    char text[TEXT_SIZE];
    if (q->text || !q->remote || !why)
        return;
    snprintf(text, sizeof(text), "%.900s %s", q->url.text, why);
    q->text = mem_strdup(text);
}

static void finish(weft_node *node, struct ask *q, int error)
{
    q->error = error;
    if (error)
        explain(q);
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

/* ---- Over a link ---- */

static int by_url(const void *a, const void *b)
{
    return strcmp(((const weft_peer_info *)a)->url, ((const weft_peer_info *)b)->url);
}

static int by_peer(const void *a, const void *b)
{
    return strcmp(((const weft_addrbook_entry *)a)->peer, ((const weft_addrbook_entry *)b)->peer);
}

/* The answer is whole: what the header promises of a report is made good, whoever told it. Errors:
 * WEFT_EMALFORMED. */
static int complete(struct ask *q)
{
    weft_report *r = q->report;
    if (q->verb)
        return 0;
    if (((q->parts & WEFT_PART_STATUS) && !r->status) || ((q->parts & WEFT_PART_BOOK) && !r->book))
        return WEFT_EMALFORMED;
    if (r->n_peers)
        qsort(r->peers, r->n_peers, sizeof(*r->peers), by_url);
    routes_sort(r->routes, r->n_routes);
    if (r->book) {
        if (r->book->count)
            qsort(r->book->entries, r->book->count, sizeof(*r->book->entries), by_peer);
        memcpy(r->book->node_id, q->node_id, sizeof(r->book->node_id));
    }
    return 0;
}

static struct ask *find_ask(weft_node *node, uint64_t token)
{
    list_each (it, &node->asked) {
        struct ask *q = list_entry(it, struct ask, node);
        if (q->token == token)
            return q;
    }
    return NULL;
}

void asks_told(weft_node *node, uint64_t token, const struct answer_msg *part)
{
    struct ask *q = find_ask(node, token);
    if (!q)
        return; /* its time was up */
    if (part->text && part->text[0]) {
        mem_free(q->text);
        q->text = mem_strdup(part->text);
    }
    int rc = q->verb ? 0 : report_gather(q->report, q->parts, part);
    if (rc < 0)
        finish(node, q, rc);
}

bool asks_ended(weft_node *node, uint64_t token, int error)
{
    struct ask *q = find_ask(node, token);
    if (q)
        finish(node, q, error ? error : complete(q));
    return q != NULL;
}

/* Errors, besides those of the mesh: WEFT_ENOTFOUND. */
static int ask_link(weft_node *node, struct ask *q)
{
    struct mesh_link *l = mesh_find(node->mesh, &q->url);
    if (!l)
        return WEFT_ENOTFOUND;
    struct query_msg query = {
        .parts = q->parts,
        .route = q->route ? q->route : "",
        .command = q->verb ? q->verb : "",
        .args = (const char *const *)q->args,
        .n_args = q->n_args,
    };
    memcpy(q->node_id, l->hs.node_id, sizeof(q->node_id));
    plane_lock(node);
    q->token = ++node->next_token;
    plane_unlock(node);
    return mesh_query(node->mesh, l, &query, q->token, node_now());
}

static void run_ask(weft_node *node, struct command *command)
{
    struct ask *q = container_of(command, struct ask, command);
    list_push(&node->asked, &q->node);
    if (!q->remote) {
        finish(node, q, report_build(node, q->parts, q->route, SIZE_MAX, &q->report));
        return;
    }
    int rc = ask_link(node, q);
    if (rc < 0)
        finish(node, q, rc);
}

/* ---- Making one ---- */

static int copy_text(char **to, const char *from)
{
    *to = from ? mem_strdup(from) : NULL;
    return *to || !from ? 0 : WEFT_ENOMEM;
}

static int copy_command(struct ask *q, const weft_command *command)
{
    size_t count = 0;
    while (command->args && command->args[count])
        count++;
    q->args = mem_zalloc((count + 1) * sizeof(*q->args));
    int rc = q->args ? copy_text(&q->verb, command->verb) : WEFT_ENOMEM;
    while (rc == 0 && q->n_args < count) {
        rc = copy_text(&q->args[q->n_args], command->args[q->n_args]);
        q->n_args += rc == 0;
    }
    return rc;
}

/* Of a report (query) or of a command; the other is NULL. */
static int ask_new(const char *url, const weft_query *query, const weft_command *command,
                   int timeout_ms, struct ask **ret_ask)
{
    struct ask *q = mem_zalloc(sizeof(*q));
    if (!q)
        return WEFT_ENOMEM;
    q->command.run = run_ask;
    list_init(&q->node);
    q->deadline = deadline_after(timeout_ms);
    q->remote = url != NULL;
    int rc = url && url_parse(url, strlen(url), &q->url, NULL) < 0 ? WEFT_EURL : 0;
    if (rc == 0 && command)
        rc = copy_command(q, command);
    if (rc == 0 && query) {
        q->parts = query->parts;
        q->report = url ? mem_zalloc(sizeof(*q->report)) : NULL;
        rc = url && !q->report ? WEFT_ENOMEM : copy_text(&q->route, query->route);
    }
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

static int ask(weft_node *node, const char *url, const weft_query *query,
               const weft_command *command, int timeout_ms, report_fn *on_report, void *user)
{
    struct ask *q = NULL;
    int rc = ask_new(url, query, command, timeout_ms, &q);
    if (rc < 0)
        return rc;
    q->on_report = on_report;
    q->user = user;
    return post_ask(node, q);
}

int weft_node_inspect_async(weft_node *node, const char *url, const weft_query *query,
                            int timeout_ms, report_fn *on_report, void *user)
{
    if (!node || !on_report)
        return WEFT_EINVAL;
    int rc = query_check(query);
    return rc < 0 ? rc : ask(node, url, query, NULL, timeout_ms, on_report, user);
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

static int ask_and_wait(weft_node *node, const char *url, const weft_query *query,
                        const weft_command *command, int timeout_ms, struct waiter *w)
{
    if (on_loop(node))
        return WEFT_ELOOP;
    w->node = node;
    int rc = ask(node, url, query, command, timeout_ms, on_waited, w);
    if (rc < 0)
        return rc;
    plane_lock(node);
    while (!w->done)
        node_wait(node, &node->changed, NEVER);
    plane_unlock(node);
    return w->error;
}

static void hand_out(char **ret_text, char *text)
{
    if (ret_text)
        *ret_text = text;
    else
        mem_free(text);
}

struct building {
    const weft_query *query;
    weft_report **ret_report;
};

static int run_build(weft_node *node, void *arg)
{
    const struct building *b = arg;
    return report_build(node, b->query->parts, b->query->route, SIZE_MAX, b->ret_report);
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
    struct waiter w = {0};
    rc = ask_and_wait(node, url, query, NULL, timeout_ms, &w);
    if (rc == 0)
        *ret_report = w.report;
    hand_out(ret_error_text, w.text);
    return rc;
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
    if (!url) {
        struct commanding c = {.command = command};
        int rc = node_call(node, run_here, &c);
        hand_out(ret_text, c.text);
        return rc;
    }
    struct waiter w = {0};
    int rc = ask_and_wait(node, url, NULL, command, timeout_ms, &w);
    hand_out(ret_text, w.text);
    return rc;
}
