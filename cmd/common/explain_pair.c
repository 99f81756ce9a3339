/* One publisher and one subscriber: whether they meet, by whoever tells of it, and if not, what is
 * known of the link between their nodes. The publisher's node knows best: it has the interest or it
 * does not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "explain_private.h"
#include "units.h"

/* ---- What is told of links ----------------------------------------------------------------------
 */

/* What one node tells of another as its peer; the linked one, where names differ. */
static const weft_peer_info *peer_in(const struct work *w, size_t view, const char *url)
{
    const weft_peer_info *found = NULL;
    if (view == NO_VIEW)
        return NULL;
    const weft_report *r = w->views[view].report;
    for (size_t i = 0; i < r->n_peers; i++) {
        if (!explain_same_node(w, r->peers[i].url, url))
            continue;
        if (strcmp(r->peers[i].state, "linked") == 0)
            return &r->peers[i];
        found = found ? found : &r->peers[i];
    }
    return found;
}

/* ---- Pairs -------------------------------------------------------------------------------------
 */

static bool told(const struct explain_party *p, size_t view)
{
    return view != NO_VIEW && p->told_by >> view & 1;
}

/* The last incident of a view that is about the peer `url`: that its routes were not taken, or its
 * network is another. */
static const weft_incident *incident(const struct work *w, size_t view, const char *url,
                                     const char *route, int error)
{
    const weft_incident *found = NULL;
    if (view == NO_VIEW)
        return NULL;
    const weft_report *r = w->views[view].report;
    for (size_t i = 0; i < r->n_incidents; i++) {
        const weft_incident *it = &r->incidents[i];
        bool about = route ? it->type == WEFT_EVENT_ROUTE_REFUSED && strcmp(it->route, route) == 0
                           : it->error == error;
        if (about && explain_same_node(w, it->peer, url))
            found = it;
    }
    return found;
}

static struct explain_finding finding(enum explain_reason reason, char *why)
{
    return (struct explain_finding){.reason = reason, .text = why};
}

/* Two linked nodes, and yet the publisher's does not have the interest. */
static struct explain_finding why_not_declared(const struct work *w, size_t va, size_t vb,
                                               const struct explain_party *p,
                                               const struct explain_party *s)
{
    const struct {
        size_t view;
        const char *peer, *route;
    } places[] = {{va, s->home, s->route},
                  {va, s->home, p->route},
                  {vb, p->home, s->route},
                  {vb, p->home, p->route}};
    for (size_t i = 0; i < 4; i++) {
        const weft_incident *it = incident(w, places[i].view, places[i].peer, places[i].route, 0);
        if (it)
            return finding(it->error == WEFT_ESCHEMA ? EXPLAIN_SCHEMA : EXPLAIN_REFUSED,
                           explain_text("%s was refused: %s", places[i].route,
                                        *it->text ? it->text : weft_strerror(it->error)));
    }
    const weft_peer_info *a = peer_in(w, vb, p->home);
    if (a && !explain_in_scope(p->route, a->path))
        return finding(
            EXPLAIN_SCOPE,
            explain_text("the publisher's path %s is no prefix of %s, so that it is not told of "
                         "the interest",
                         a->path, explain_path(p->route)));
    return finding(
        EXPLAIN_PENDING,
        explain_text("they are linked, but the publisher has not been told of the interest; "
                     "unless it was declared just now, look into both logs"));
}

struct explain_finding explain_no_link(const struct work *w, size_t view, const char *teller,
                                       const char *other, const weft_peer_info *peer)
{
    const weft_incident *network = incident(w, view, other, NULL, WEFT_ENETWORK);
    char next[UNITS_TEXT], dial[96] = "it is not dialled";
    if (strcmp(peer->state, "banned") == 0)
        return finding(
            EXPLAIN_BANNED,
            explain_text("%s bans %s; lift it there with 'weft addrbook unban'", teller, other));
    if (network || strstr(peer->last_error, "in network \""))
        return finding(EXPLAIN_NETWORK,
                       explain_text("%s and %s are of different networks: %s", teller, other,
                                    network ? network->text : peer->last_error));
    if (strcmp(peer->state, "dialing") == 0 || strcmp(peer->state, "handshake") == 0)
        snprintf(dial, sizeof(dial), "it is being dialled");
    else if (peer->next_dial_ms != UINT64_MAX)
        snprintf(dial, sizeof(dial), "it is dialled next in %s",
                 ns_format(peer->next_dial_ms * 1000000, next));
    return finding(EXPLAIN_NOT_LINKED,
                   explain_text("%s has no link to %s (%s); %s%s%s", teller, other, peer->state,
                                dial, *peer->last_error ? "; the last one: " : "",
                                peer->last_error));
}

static struct explain_finding untold(const struct work *w, const struct explain_party *p)
{
    if (!explain_home(p))
        return finding(
            EXPLAIN_UNTOLD,
            explain_text("%s cannot be asked, so that nobody knows whom it sends to", p->home));
    return finding(EXPLAIN_UNTOLD, explain_text("%s does not tell whom it sends to; run there: "
                                                "weft explain '%s' %s",
                                                p->home, w->route, p->home));
}

/* The publisher's node does not have the interest, or does not tell. */
static struct explain_finding why_not(const struct work *w, const struct explain_party *p,
                                      const struct explain_party *s)
{
    size_t va = explain_view_of(w, p->home), vb = explain_view_of(w, s->home);
    const weft_peer_info *b = peer_in(w, va, s->home), *a = peer_in(w, vb, p->home);
    bool linked = (b && strcmp(b->state, "linked") == 0) || (a && strcmp(a->state, "linked") == 0);
    if (va == NO_VIEW && (vb == NO_VIEW || linked))
        return untold(w, p);
    if (linked)
        return why_not_declared(w, va, vb, p, s);
    bool banned_there = a && strcmp(a->state, "banned") == 0; /* which the other side only feels */
    if (b && !banned_there)
        return explain_no_link(w, va, p->home, s->home, b);
    if (a)
        return explain_no_link(w, vb, s->home, p->home, a);
    return finding(
        EXPLAIN_NOT_LINKED,
        explain_text("%s and %s do not know of each other, or an operator had one of them forget "
                     "the other: name one as a peer of the other, in its configuration or by "
                     "'weft addrbook add'",
                     p->home, s->home));
}

struct explain_finding explain_pair(const struct work *w, const struct explain_party *p,
                                    const struct explain_party *s)
{
    size_t va = explain_view_of(w, p->home), vb = explain_view_of(w, s->home);
    if (p->schema && s->schema && p->schema != s->schema)
        return finding(EXPLAIN_SCHEMA,
                       explain_text("their schemas differ (%016" PRIx64 ", %016" PRIx64
                                    "): the two were built from different descriptors",
                                    p->schema, s->schema));
    if (explain_same_node(w, p->home, s->home))
        return finding(EXPLAIN_MATCHES, explain_text("both are at %s", p->home));
    if (told(s, va))
        return finding(EXPLAIN_MATCHES, explain_text("the publisher's node has the interest"));
    if (va == NO_VIEW && told(p, vb))
        return finding(EXPLAIN_MATCHES, explain_text("the subscriber's node has the intent; the "
                                                     "publisher's does not tell"));
    return why_not(w, p, s);
}
