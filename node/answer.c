/* Answering other nodes: what they ask of this one, and the commands they send it
 * (docs/protocol.md section 9).
 *
 * The happy path: a question comes, the connection it came over is one that may ask, and it is
 * noted. When the loop settles the report is made, of one moment, and goes out in pieces of at most
 * PIECE_BYTES. The next piece is queued only when what waits for that link is little: so messages
 * pass between the pieces, one who reads slowly makes nobody else wait, and what is kept for him is
 * the one report. A command is done when the loop settles, and what it said is the answer.
 *
 * Who may not ask, asks for too much, or does not read for GIVE_UP_NS is refused with a sentence
 * that names the remedy. A link that goes takes its questions along. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "node/ask.h"
#include "node/node.h"
#include "node/report.h"

#define PIECE_BYTES ((size_t)256 << 10)
#define WAITING_MAX ((size_t)512 << 10)     /* of control frames; then the next piece waits */
#define LOOK_NS (5 * NS_PER_MS)             /* after so long it is looked whether there is room */
#define GIVE_UP_NS (10 * NS_PER_SEC)        /* without a piece, as who asks does */
#define ROUTES_MAX 400000u                  /* all of them are told up to so many */
#define REPORT_BYTES_MAX ((size_t)64 << 20) /* of one answer ... */
#define KEPT_BYTES_MAX ((size_t)128 << 20)  /* ... and of all that are under way */
#define SMALL_BYTES ((size_t)64 << 10) /* such a report is never refused for the sake of others */
#define RECORDS_MAX 64u                /* of the address book in a piece */

/* At most so many bytes each takes on the wire, besides its strings. */
#define PEER_BYTES 512u
#define ROUTE_BYTES 256u
#define ENTRY_BYTES 256u
#define INCIDENT_BYTES 64u

struct answer {
    struct list node; /* of node->questions, then of node->answers */
    uint32_t conn;    /* id of the link it came over */
    uint64_t nonce;
    struct query_msg query; /* strings are owned */
    /* under way */
    weft_report *report; /* NULL: nothing is built yet */
    bool told_status;
    size_t peers, routes, entries, incidents; /* how many are told */
    size_t bytes;                             /* of all of it */
    uint64_t give_up_at;
};

static void answer_free(weft_node *node, struct answer *a)
{
    list_remove(&a->node);
    node->answer_bytes -= a->bytes;
    for (size_t i = 0; i < a->query.n_args; i++)
        mem_free((char *)(uintptr_t)a->query.args[i]);
    mem_free((void *)(uintptr_t)a->query.args);
    mem_free((char *)(uintptr_t)a->query.route);
    mem_free((char *)(uintptr_t)a->query.command);
    weft_report_free(a->report);
    mem_free(a);
}

/* ---- Who may ask ---- */

static bool is_allowed(enum weft_access access, const struct conn *c)
{
    switch (access) {
    case WEFT_ACCESS_UNIX:
        return stream_is_guarded(c->stream);
    case WEFT_ACCESS_LOCAL:
        return c->link->local;
    case WEFT_ACCESS_ANY:
        return true;
    default:
        return false;
    }
}

static const char *whom(enum weft_access access)
{
    return access == WEFT_ACCESS_LOCAL  ? "programs of its own host"
           : access == WEFT_ACCESS_UNIX ? "programs that come over a unix socket"
                                        : "nobody";
}

/* False: `text` (TEXT_SIZE) says why not, and what to do. */
static bool may_ask(const weft_node *node, const struct conn *c, bool control, char *text)
{
    enum weft_access access = control ? node->options.control : node->options.info;
    if (access == WEFT_ACCESS_DEFAULT)
        access = control ? WEFT_ACCESS_UNIX : WEFT_ACCESS_LOCAL;
    if (is_allowed(access, c))
        return true;
    snprintf(text, TEXT_SIZE, "this node %s %s; allow it by access: {%s: %s} there",
             control ? "takes commands from" : "tells of itself to", whom(access),
             control ? "control" : "info", c->link->local ? "local" : "any");
    return false;
}

/* ---- Noting ---- */

static bool copy_query(struct query_msg *to, const struct query_msg *from)
{
    const char **args = mem_zalloc((from->n_args + 1) * sizeof(*args));
    to->parts = from->parts;
    to->args = args;
    to->route = mem_strdup(from->route);
    to->command = mem_strdup(from->command);
    if (!args || !to->route || !to->command)
        return false;
    for (; to->n_args < from->n_args; to->n_args++) {
        args[to->n_args] = mem_strdup(from->args[to->n_args]);
        if (!args[to->n_args])
            return false;
    }
    return true;
}

void answer_note(weft_node *node, struct mesh_link *link, uint64_t nonce,
                 const struct query_msg *query)
{
    char text[TEXT_SIZE];
    const struct conn *c = link->user;
    if (!may_ask(node, c, query->command[0] != '\0', text)) {
        mesh_refuse_query(node->mesh, link, nonce, WEFT_EDENIED, text, node_now());
        return;
    }
    struct answer *a = mem_zalloc(sizeof(*a));
    if (a)
        list_init(&a->node);
    if (!a || !copy_query(&a->query, query)) {
        if (a)
            answer_free(node, a);
        mesh_refuse_query(node->mesh, link, nonce, WEFT_ENOMEM, NULL, node_now());
        return;
    }
    a->conn = c->id;
    a->nonce = nonce;
    list_push(&node->questions, &a->node);
    node->unsettled = true;
}

/* ---- Pieces ---- */

static size_t text_size(const char *text)
{
    return text ? strlen(text) : 0;
}

static size_t peer_size(const weft_peer_info *p)
{
    return PEER_BYTES + text_size(p->url) + text_size(p->path) + text_size(p->agent) +
           text_size(p->state) + text_size(p->last_error);
}

static size_t route_size_max(const weft_route_info *r)
{
    return ROUTE_BYTES + text_size(r->route) + text_size(r->peer) + text_size(r->via);
}

static size_t entry_size(const weft_addrbook_entry *e)
{
    return ENTRY_BYTES + text_size(e->peer) + text_size(e->source) + text_size(e->last_error);
}

static size_t incident_size(const weft_incident *i)
{
    return INCIDENT_BYTES + text_size(i->peer) + text_size(i->route) + text_size(i->text);
}

/* Of what may be many: links and the address book have limits of their own. */
static size_t report_size(const weft_report *r)
{
    size_t size = r->n_peers * sizeof(*r->peers);
    for (size_t i = 0; i < r->n_routes; i++)
        size += route_size(&r->routes[i]);
    for (size_t i = 0; r->book && i < r->book->count; i++)
        size += entry_size(&r->book->entries[i]);
    return size;
}

/* Take one of `size` bytes into a piece with so much room left; the first always fits. */
static bool take(size_t *room, bool *any, size_t size)
{
    if (*any && size > *room)
        return false;
    *any = true;
    *room -= min_size(size, *room);
    return true;
}

/* The next piece: as much as fits of what is not told yet. `records` holds RECORDS_MAX. */
static void next_piece(const struct answer *a, size_t room, struct book_record *records,
                       struct answer_msg *ret_part)
{
    weft_report *r = a->report;
    bool any = !a->told_status && r->status;
    size_t n_entries = r->book ? r->book->count : 0;
    struct answer_msg p = {.status = any ? r->status : NULL,
                           .peers = r->peers ? r->peers + a->peers : NULL,
                           .routes = r->routes ? r->routes + a->routes : NULL,
                           .records = records,
                           .incidents = r->incidents ? r->incidents + a->incidents : NULL,
                           .text = ""};
    if (any) /* its strings are bounded: names, addresses to listen on, a file */
        room -=
            min_size(room, 2048 + text_size(r->status->listen) + text_size(r->status->addrbook));
    while (a->peers + p.n_peers < r->n_peers && take(&room, &any, peer_size(&p.peers[p.n_peers])))
        p.n_peers++;
    while (a->routes + p.n_routes < r->n_routes &&
           take(&room, &any, route_size_max(&p.routes[p.n_routes])))
        p.n_routes++;
    while (a->entries + p.n_records < n_entries && p.n_records < RECORDS_MAX) {
        const weft_addrbook_entry *e = &r->book->entries[a->entries + p.n_records];
        if (!take(&room, &any, entry_size(e)))
            break;
        records[p.n_records++] = record_from_entry(e);
    }
    while (a->incidents + p.n_incidents < r->n_incidents &&
           take(&room, &any, incident_size(&p.incidents[p.n_incidents])))
        p.n_incidents++;
    p.more = a->peers + p.n_peers < r->n_peers || a->routes + p.n_routes < r->n_routes ||
             a->entries + p.n_records < n_entries || a->incidents + p.n_incidents < r->n_incidents;
    *ret_part = p;
}

static bool has_room(weft_node *node, const struct conn *c)
{
    plane_lock(node);
    bool room = c->out.control_bytes < WAITING_MAX;
    plane_unlock(node);
    return room;
}

/* The link that it came over; NULL: it is gone. */
static struct conn *conn_of(const weft_node *node, const struct answer *a)
{
    struct conn *c = conn_find(node, a->conn);
    return c && c->link ? c : NULL;
}

static void refuse(weft_node *node, struct answer *a, int error, const char *text)
{
    const struct conn *c = conn_of(node, a);
    if (c)
        mesh_refuse_query(node->mesh, c->link, a->nonce, error, text, node_now());
    answer_free(node, a);
}

/* Queue pieces as long as there is room. The answer may be gone after this. */
static void go_on(weft_node *node, struct answer *a)
{
    struct book_record records[RECORDS_MAX];
    struct moment now = node_now();
    const struct conn *c = conn_of(node, a);
    while (c && has_room(node, c)) {
        struct answer_msg part;
        next_piece(a, min_size(PIECE_BYTES, c->link->hs.max_frame - FRAME_OVERHEAD), records,
                   &part);
        int rc = mesh_reply(node->mesh, c->link, a->nonce, &part, now);
        if (rc == WEFT_EAGAIN)
            break;
        if (rc < 0) {
            refuse(node, a, rc, NULL);
            return;
        }
        if (!part.more) {
            answer_free(node, a);
            return;
        }
        a->told_status = true;
        a->peers += part.n_peers;
        a->routes += part.n_routes;
        a->entries += part.n_records;
        a->incidents += part.n_incidents;
        a->give_up_at = now.mono_ns + GIVE_UP_NS;
    }
    if (!c)
        answer_free(node, a);
    else if (a->give_up_at <= now.mono_ns)
        refuse(node, a, WEFT_ELIMIT, "what was told first still waits unread");
}

/* ---- Beginning ---- */

static int build(weft_node *node, struct answer *a, char *text)
{
    struct router_counts n;
    router_count(mesh_router(node->mesh), &n);
    uint64_t routes =
        (uint64_t)n.local_intents + n.local_interests + n.remote_intents + n.remote_interests;
    const char *about = a->query.route[0] ? a->query.route : NULL;
    if ((a->query.parts & WEFT_PART_ROUTES) && !about && routes > ROUTES_MAX) {
        snprintf(text, TEXT_SIZE,
                 "this node knows %llu routes, more than are told at once: ask for one route",
                 (unsigned long long)routes);
        return WEFT_ELIMIT;
    }
    int rc = report_build(node, a->query.parts, about, REPORT_BYTES_MAX, &a->report);
    if (rc == WEFT_EROUTE)
        weft_route_explain(about, text, TEXT_SIZE);
    size_t size = rc == 0 ? report_size(a->report) : 0;
    if (rc == WEFT_ELIMIT || size > REPORT_BYTES_MAX) {
        snprintf(text, TEXT_SIZE,
                 "the report takes more than %zu MiB, the most that is told at once: ask for one "
                 "route",
                 REPORT_BYTES_MAX >> 20);
        return WEFT_ELIMIT;
    }
    if (rc < 0)
        return rc;
    if (size > SMALL_BYTES && node->answer_bytes + size > KEPT_BYTES_MAX) {
        snprintf(text, TEXT_SIZE, "this node is answering others: ask again later");
        return WEFT_ELIMIT;
    }
    a->bytes = size;
    node->answer_bytes += size;
    return 0;
}

static void begin_report(weft_node *node, struct answer *a)
{
    char text[TEXT_SIZE] = "";
    int rc = build(node, a, text);
    if (rc < 0) {
        refuse(node, a, rc, text[0] ? text : NULL);
        return;
    }
    a->give_up_at = node_now().mono_ns + GIVE_UP_NS;
    list_push(&node->answers, &a->node);
    go_on(node, a);
}

/* The link may be gone afterwards: "ban" may have meant it. */
static void do_command(weft_node *node, struct answer *a)
{
    weft_command command = {.verb = a->query.command, .args = a->query.args};
    char *text = NULL;
    int rc = command_run(node, &command, &text);
    const struct conn *c = conn_of(node, a);
    if (rc == 0 && c) {
        struct answer_msg said = {.text = text ? text : ""};
        rc = mesh_reply(node->mesh, c->link, a->nonce, &said, node_now());
        if (rc < 0)
            refuse(node, a, rc, "it is done, but what it said could not be told");
        else
            answer_free(node, a);
    } else {
        refuse(node, a, rc < 0 ? rc : WEFT_EPROTO, text);
    }
    mem_free(text);
}

bool answers_run(weft_node *node)
{
    bool any = answers_wait(node);
    struct list batch;
    if (!any)
        return false;
    list_init(&batch);
    list_splice(&batch, &node->answers);
    while (!list_empty(&batch)) {
        struct answer *a = list_entry(list_pop(&batch), struct answer, node);
        list_push(&node->answers, &a->node);
        go_on(node, a);
    }
    list_splice(&batch, &node->questions);
    while (!list_empty(&batch)) {
        struct answer *a = list_entry(list_pop(&batch), struct answer, node);
        if (node->leaving)
            answer_free(node, a);
        else if (a->query.command[0])
            do_command(node, a);
        else
            begin_report(node, a);
    }
    return true;
}

bool answers_wait(weft_node *node)
{
    if (!list_empty(&node->questions))
        return true;
    list_each (it, &node->answers) {
        const struct answer *a = list_entry(it, struct answer, node);
        const struct conn *c = conn_of(node, a);
        if (!c || has_room(node, c) || a->give_up_at <= mono_ns())
            return true;
    }
    return false;
}

/* A sender may have written what waited, of which the loop hears nothing. */
uint64_t answers_deadline(const weft_node *node)
{
    return list_empty(&node->answers) ? NEVER : mono_ns() + LOOK_NS;
}

void answers_drop(weft_node *node)
{
    while (!list_empty(&node->questions))
        answer_free(node, list_entry(node->questions.next, struct answer, node));
    while (!list_empty(&node->answers))
        answer_free(node, list_entry(node->answers.next, struct answer, node));
}
