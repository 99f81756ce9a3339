/* Reports: what an operator asks of a node, all of one moment, since the loop makes it in one go.
 *
 * A report is built of the same pieces as the single calls of weft.h (info.c, peers.c). Out of
 * memory there is none: half a report would mislead. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "node/ask.h"
#include "node/node.h"
#include "node/report.h"

#define PARTS                                                                                      \
    (WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES | WEFT_PART_BOOK | WEFT_PART_INCIDENTS)
#define LISTEN_MAX (1u << 20)

void weft_query_init(weft_query *query)
{
    *query = (weft_query){.size = sizeof(*query), .parts = WEFT_PART_STATUS};
}

int query_check(const weft_query *query)
{
    if (!query || query->size != sizeof(*query) || !query->parts ||
        (query->parts & ~(uint32_t)PARTS))
        return WEFT_EINVAL;
    int rc = query->route ? weft_route_check(query->route, NULL) : 0;
    return rc < 0 ? rc : 0;
}

/* ---- Status ---- */

static bool copy(const char **to, const char *from)
{
    *to = mem_strdup(from ? from : "");
    return *to != NULL;
}

/* The URLs it listens on, with the ports it was given; NULL when out of memory. */
static char *listen_text(const weft_node *node)
{
    struct buf text;
    buf_init(&text, LISTEN_MAX);
    list_each (it, &node->listeners) {
        const struct node_listener *nl = list_entry(it, struct node_listener, node);
        if (text.len)
            buf_put(&text, " ", 1);
        buf_put(&text, nl->url, strlen(nl->url));
    }
    buf_put(&text, "", 1);
    char *joined = text.error ? NULL : mem_strdup((const char *)text.data);
    buf_fini(&text);
    return joined;
}

static bool fill_texts(const weft_node *node, weft_status *s)
{
    const struct url *self = mesh_self(node->mesh);
    s->listen = listen_text(node);
    return copy(&s->url, self->text) && copy(&s->path, self->path) &&
           copy(&s->agent, node->agent) && copy(&s->version, weft_version()) &&
           copy(&s->network, node->network) && copy(&s->addrbook, node->addrbook_file) && s->listen;
}

void status_free(weft_status *s)
{
    if (!s)
        return;
    const char *texts[] = {s->url,     s->path,   s->agent,   s->version,
                           s->network, s->listen, s->addrbook};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        mem_free((char *)(uintptr_t)texts[i]);
    mem_free(s);
}

static int take_status(weft_node *node, weft_status **ret_status)
{
    weft_status *s = mem_zalloc(sizeof(*s));
    if (!s)
        return WEFT_ENOMEM;
    struct moment now = node_now();
    *s = (weft_status){
        .role = node->role == ROLE_PEER     ? WEFT_ROLE_PEER
                : node->role == ROLE_CLIENT ? WEFT_ROLE_CLIENT
                                            : WEFT_ROLE_LEAF,
        .log_level = (enum weft_log_level)atomic_load(&node->log_level),
        .pid = (uint32_t)getpid(),
        .now = now.wall_ns,
        .started = now.wall_ns - (now.mono_ns - node->started),
        .max_frame = atomic_load(&node->max_frame),
        .max_peers = node->options.max_peers,
        .max_routes = node->options.max_routes,
        .outbox = node->options.outbox,
    };
    memcpy(s->node_id, node->node_id, sizeof(s->node_id));
    int rc = stats_take(node, &s->stats);
    if (rc == 0 && !fill_texts(node, s))
        rc = WEFT_ENOMEM;
    if (rc < 0)
        status_free(s);
    else
        *ret_status = s;
    return rc;
}

/* ---- The whole ---- */

void weft_report_free(weft_report *r)
{
    if (!r)
        return;
    status_free(r->status);
    weft_peers_free(r->peers, r->n_peers);
    weft_routes_free(r->routes, r->n_routes);
    weft_addrbook_free(r->book);
    incidents_free(r->incidents, r->n_incidents);
    mem_free(r);
}

static int fill_report(weft_node *node, uint32_t parts, const struct route *about,
                       size_t max_routes_size, weft_report *r)
{
    int rc = 0;
    if (parts & WEFT_PART_STATUS)
        rc = take_status(node, &r->status);
    if (rc == 0 && (parts & WEFT_PART_PEERS))
        rc = peers_take(node, true, &r->peers, &r->n_peers);
    if (rc == 0 && (parts & WEFT_PART_ROUTES))
        rc = routes_take(node, about, max_routes_size, &r->routes, &r->n_routes);
    if (rc == 0 && (parts & WEFT_PART_BOOK))
        rc = book_take(node, &r->book);
    if (rc == 0 && (parts & WEFT_PART_INCIDENTS))
        rc = incidents_copy(&node->incidents, &r->incidents, &r->n_incidents);
    return rc;
}

int report_build(weft_node *node, uint32_t parts, const char *route, size_t max_routes_size,
                 weft_report **ret_report)
{
    struct route about;
    if (route && route_parse(route, strlen(route), &about, NULL) < 0)
        return WEFT_EROUTE;
    weft_report *r = mem_zalloc(sizeof(*r));
    if (!r)
        return WEFT_ENOMEM;
    int rc = fill_report(node, parts, route ? &about : NULL, max_routes_size, r);
    if (rc < 0)
        weft_report_free(r);
    else
        *ret_report = r;
    return rc;
}
