/* Gathering a report that comes in pieces: what a piece holds is copied to the end of what is there
 * already, for its strings are gone after the call. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/node.h"
#include "node/report.h"

static bool copy(const char **to, const char *from)
{
    *to = from ? mem_strdup(from) : NULL;
    return *to || !from;
}

/* Room for `more` behind `count` items, and one to spare: a list that is asked for is never NULL.
 */
static void *grow(void *items, size_t count, size_t more, size_t size)
{
    char *grown = mem_realloc(items, (count + more + 1) * size);
    if (grown)
        memset(grown + count * size, 0, (more + 1) * size);
    return grown;
}

static int take_status(weft_report *r, const weft_status *from)
{
    if (!from)
        return 0;
    weft_status *s = mem_alloc(sizeof(*s));
    if (!s)
        return WEFT_ENOMEM;
    *s = *from;
    bool ok = copy(&s->url, from->url);
    ok &= copy(&s->path, from->path);
    ok &= copy(&s->agent, from->agent);
    ok &= copy(&s->version, from->version);
    ok &= copy(&s->network, from->network);
    ok &= copy(&s->listen, from->listen);
    ok &= copy(&s->addrbook, from->addrbook);
    if (!ok) {
        status_free(s);
        return WEFT_ENOMEM;
    }
    status_free(r->status); /* a second one is the newer */
    r->status = s;
    return 0;
}

static int take_peers(weft_report *r, const struct answer_msg *part)
{
    weft_peer_info *items = grow(r->peers, r->n_peers, part->n_peers, sizeof(*items));
    if (!items)
        return WEFT_ENOMEM;
    r->peers = items;
    for (size_t i = 0; i < part->n_peers; i++) {
        const weft_peer_info *from = &part->peers[i];
        weft_peer_info *to = &items[r->n_peers++];
        *to = *from;
        bool ok = copy(&to->url, from->url);
        ok &= copy(&to->path, from->path);
        ok &= copy(&to->agent, from->agent);
        ok &= copy(&to->state, from->state);
        ok &= copy(&to->last_error, from->last_error);
        if (!ok)
            return WEFT_ENOMEM;
    }
    return 0;
}

static int take_routes(weft_report *r, const struct answer_msg *part)
{
    weft_route_info *items = grow(r->routes, r->n_routes, part->n_routes, sizeof(*items));
    if (!items)
        return WEFT_ENOMEM;
    r->routes = items;
    for (size_t i = 0; i < part->n_routes; i++) {
        const weft_route_info *from = &part->routes[i];
        weft_route_info *to = &items[r->n_routes++];
        *to = *from;
        bool ok = copy(&to->route, from->route);
        ok &= copy(&to->peer, from->peer);
        ok &= copy(&to->via, from->via);
        if (!ok)
            return WEFT_ENOMEM;
    }
    return 0;
}

static int take_incidents(weft_report *r, const struct answer_msg *part)
{
    weft_incident *items = grow(r->incidents, r->n_incidents, part->n_incidents, sizeof(*items));
    if (!items)
        return WEFT_ENOMEM;
    r->incidents = items;
    for (size_t i = 0; i < part->n_incidents; i++) {
        const weft_incident *from = &part->incidents[i];
        weft_incident *to = &items[r->n_incidents++];
        *to = *from;
        bool ok = copy(&to->peer, from->peer);
        ok &= copy(&to->route, from->route);
        ok &= copy(&to->text, from->text);
        if (!ok)
            return WEFT_ENOMEM;
    }
    return 0;
}

static int take_book(weft_report *r, const struct answer_msg *part)
{
    weft_addrbook *more = book_from_records(part->records, part->n_records);
    if (!more || !r->book) {
        r->book = more;
        return more ? 0 : WEFT_ENOMEM;
    }
    weft_addrbook_entry *items =
        grow(r->book->entries, r->book->count, more->count, sizeof(*items));
    if (items) {
        r->book->entries = items;
        memcpy(items + r->book->count, more->entries, more->count * sizeof(*items));
        r->book->count += more->count;
        more->count = 0; /* the strings have moved */
    }
    weft_addrbook_free(more);
    return items ? 0 : WEFT_ENOMEM;
}

int report_gather(weft_report *r, uint32_t parts, const struct answer_msg *part)
{
    int rc = 0;
    if (parts & WEFT_PART_STATUS)
        rc = take_status(r, part->status);
    if (rc == 0 && (parts & WEFT_PART_PEERS))
        rc = take_peers(r, part);
    if (rc == 0 && (parts & WEFT_PART_ROUTES))
        rc = take_routes(r, part);
    if (rc == 0 && (parts & WEFT_PART_BOOK) && (part->n_records || !r->book))
        rc = take_book(r, part);
    if (rc == 0 && (parts & WEFT_PART_INCIDENTS))
        rc = take_incidents(r, part);
    return rc;
}
