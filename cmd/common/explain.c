/* Three steps. Gather: every report's routes are sorted into publishers, subscribers, and near
 * misses; the same declaration told by several nodes is one party. Pair: for each publisher and
 * each subscriber that its route should reach, look whether the publisher's node knows the
 * interest, and if not, at the link between the two nodes as either tells of it. Judge: one
 * sentence.
 *
 * A node knows every intent of those it is linked to, but only the interests that it could serve
 * (docs/protocol.md section 1, scope). So the publisher's node is the one that knows who gets its
 * messages; where it does not tell, the subscriber's matches are the next best evidence, and if
 * there is none of these either, that is what is said. */
#include "explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "explain_private.h"
#include "memory.h"
#include "suggest.h"

#define LATELY_NS UINT64_C(600000000000) /* who was refused before has given up, or was mended */

char *explain_text(const char *format, ...)
{
    char buf[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(buf, sizeof(buf), format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf) - 1;
    return xcopy(buf, len);
}

static char *copy(const char *s)
{
    return xcopy(s, strlen(s));
}

/* ---- Gathering ---------------------------------------------------------------------------------
 */

static void add_finding(struct explain_finding **list, size_t *n, struct explain_finding finding)
{
    *list = xresize(*list, (*n + 1) * sizeof(**list));
    (*list)[(*n)++] = finding;
}

static void add_other(struct work *w, const char *from, const char *to, enum explain_reason reason,
                      char *why)
{
    struct explanation *e = w->out;
    for (size_t i = 0; i < e->n_others; i++) {
        const struct explain_finding *f = &e->others[i];
        if (f->reason == reason && explain_same_node(w, f->from, from) &&
            explain_same_node(w, f->to, to) && strcmp(f->text, why) == 0) {
            xfree(why);
            return;
        }
    }
    add_finding(&e->others, &e->n_others,
                (struct explain_finding){copy(from), copy(to), reason, why});
}

/* Who is linked for it: a leaf's router, or itself. */
static const char *home_of(const struct work *w, size_t view, const weft_route_info *r)
{
    const weft_report *report = w->views[view].report;
    const char *here = report->status ? report->status->url : w->views[view].url;
    if (!r->peer)
        return here;
    if (r->via)
        return r->via;
    for (size_t i = 0; i < report->n_peers; i++)
        if (strcmp(report->peers[i].url, r->peer) == 0 && report->peers[i].role == WEFT_ROLE_LEAF)
            return here;
    return r->peer;
}

/* `peer` may be one of several of that name: they are one party that counts for more. */
static struct explain_party *find_party(const struct work *w, const char *peer, const char *home,
                                        const weft_route_info *r)
{
    for (size_t i = 0; i < w->out->n_parties; i++) {
        struct explain_party *p = &w->out->parties[i];
        if (p->intent == r->intent && strcmp(p->route, r->route) == 0 &&
            (explain_same_name(p->peer, peer) || explain_same_node(w, p->peer, peer)) &&
            explain_same_node(w, p->home, home))
            return p;
    }
    return NULL;
}

/* How many of the view's routes up to this one are the same, as far as names tell? */
static unsigned occurrence(const weft_report *report, const weft_route_info *r)
{
    unsigned count = 1;
    for (const weft_route_info *i = report->routes; i < r; i++) {
        bool same_peer = !i->peer == !r->peer && (!i->peer || explain_same_name(i->peer, r->peer));
        bool same_via = !i->via == !r->via && (!i->via || strcmp(i->via, r->via) == 0);
        count += same_peer && same_via && i->intent == r->intent && strcmp(i->route, r->route) == 0;
    }
    return count;
}

static void add_party(struct work *w, size_t view, const weft_route_info *r)
{
    struct explanation *e = w->out;
    const weft_report *report = w->views[view].report;
    const char *home = home_of(w, view, r);
    const char *peer = r->peer ? r->peer : home;
    struct explain_party *p = find_party(w, peer, home, r);
    if (!p) {
        e->parties = xresize(e->parties, (e->n_parties + 1) * sizeof(*e->parties));
        p = &e->parties[e->n_parties++];
        *p = (struct explain_party){.peer = xcopy(peer, explain_name_len(peer)),
                                    .home = copy(home),
                                    .route = copy(r->route),
                                    .intent = r->intent};
    }
    unsigned count = occurrence(report, r);
    p->count = count > p->count ? count : p->count;
    p->messages = r->messages > p->messages ? r->messages : p->messages;
    p->schema = r->schema ? r->schema : p->schema;
    p->told_by |= UINT64_C(1) << view;
}

/* Why a declaration that is none of the route's comes near it. */
static char *near_text(const weft_route_info *r, enum explain_relation how)
{
    const char *verb = r->intent ? "publishes" : "wants";
    if (how == NEAR_TYPE)
        return explain_text("%s %s: the path fits, the type differs", verb, r->route);
    if (how == UNSEEN)
        return explain_text(
            "%s %s: what a hashed route stands for cannot be told, and no pattern covers "
            "it",
            verb, r->route);
    return explain_text(
        "%s %s, the same route in its %s form; hashed and plain never meet, so use one form "
        "on both sides",
        verb, r->route, strchr(r->route, '#') ? "hashed" : "plain");
}

static void add_near(struct work *w, size_t view, const weft_route_info *r,
                     enum explain_relation how)
{
    const char *name = r->peer ? r->peer : home_of(w, view, r);
    char *peer = xcopy(name, explain_name_len(name));
    add_other(w, r->intent ? peer : "", r->intent ? "" : peer,
              how == NEAR_TYPE ? EXPLAIN_TYPE : EXPLAIN_HASHED, near_text(r, how));
    xfree(peer);
}

/* An interest is passed on as the router's own, whoever has it there (docs/protocol.md section 5).
 * Where the router told itself who that is, this adds but one more who knows of it. */
static bool is_known_at_home(struct work *w, size_t view, const weft_route_info *r)
{
    const char *home = home_of(w, view, r);
    size_t home_view = explain_view_of(w, home);
    bool known = false;
    if (r->intent || home_view == NO_VIEW || home_view == view)
        return false;
    for (size_t i = 0; i < w->out->n_parties; i++) {
        struct explain_party *p = &w->out->parties[i];
        if (p->intent || strcmp(p->route, r->route) != 0 || !explain_same_node(w, p->home, home))
            continue;
        p->told_by |= UINT64_C(1) << view;
        known = true;
    }
    return known;
}

static bool is_home(const struct work *w, size_t view, const weft_route_info *r)
{
    return explain_view_of(w, home_of(w, view, r)) == view;
}

/* Of a view's routes, those it is the home of, or the others. */
static void gather(struct work *w, size_t view, bool home)
{
    const weft_report *report = w->views[view].report;
    for (size_t i = 0; i < report->n_routes; i++) {
        const weft_route_info *r = &report->routes[i];
        enum explain_relation how = explain_relation(w->route, r->route, r->intent);
        if (how == UNRELATED || is_home(w, view, r) != home)
            continue;
        if (how != PARTY)
            add_near(w, view, r, how);
        else if (!is_known_at_home(w, view, r))
            add_party(w, view, r);
    }
}

static void gather_all(struct work *w)
{
    for (int home = 1; home >= 0; home--)
        for (size_t i = 0; i < w->n; i++)
            if (w->views[i].report)
                gather(w, i, home);
}

static void pair(struct work *w)
{
    struct explanation *e = w->out;
    for (size_t i = 0; i < e->n_parties; i++) {
        const struct explain_party *p = &e->parties[i];
        for (size_t k = 0; p->intent && k < e->n_parties; k++) {
            const struct explain_party *s = &e->parties[k];
            if (s->intent || weft_route_matches(s->route, p->route) != 1)
                continue;
            struct explain_finding f = explain_pair(w, p, s);
            f.from = copy(p->peer);
            f.to = copy(s->peer);
            add_finding(&e->pairs, &e->n_pairs, f);
        }
    }
}

/* ---- Who could publish it ----------------------------------------------------------------------
 */

static void add_candidate(struct work *w, size_t view, const weft_peer_info *p)
{
    const weft_status *s = w->views[view].report->status;
    const char *teller = s ? s->url : w->views[view].url;
    if (explain_view_of(w, p->url) != NO_VIEW ||
        (!url_dialable(p->url) && strcmp(p->state, "linked") != 0))
        return;
    if (strcmp(p->state, "linked") != 0) {
        struct explain_finding f = explain_no_link(w, view, teller, p->url, p);
        add_other(w, p->url, "", f.reason, f.text);
    } else if (!explain_in_scope(w->route, p->path)) {
        add_other(w, p->url, "", EXPLAIN_SCOPE,
                  explain_text("may not publish it: its path %s is no prefix", p->path));
    } else {
        add_other(w, p->url, "", EXPLAIN_SILENT, explain_text("may publish it, and does not"));
    }
}

/* Who dialled a node and was refused for its network may be known by its address alone. */
static void add_refused(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const weft_report *r = w->views[i].report;
        for (size_t k = 0; r && k < r->n_incidents; k++) {
            const weft_incident *it = &r->incidents[k];
            bool lately = !r->status || r->status->now < it->time + LATELY_NS;
            if (lately && it->type == WEFT_EVENT_REFUSED && it->error == WEFT_ENETWORK)
                add_other(w, it->peer, "", EXPLAIN_NETWORK,
                          explain_text("%s was refused: %s", it->peer, it->text));
        }
    }
}

/* With no subscriber, those that nobody is linked to and that did not tell may be the ones. */
static void add_unlinked(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const weft_report *r = w->views[i].report;
        for (size_t k = 0; r && k < r->n_peers; k++) {
            const weft_peer_info *p = &r->peers[k];
            const char *teller = r->status ? r->status->url : w->views[i].url;
            if (strcmp(p->state, "linked") == 0 || !url_dialable(p->url) ||
                explain_view_of(w, p->url) != NO_VIEW)
                continue;
            struct explain_finding f = explain_no_link(w, i, teller, p->url, p);
            add_other(w, "", p->url, f.reason, f.text);
        }
    }
}

/* With no publisher, each node known is a place to look. */
static void add_candidates(struct work *w)
{
    if (weft_route_check(w->route, NULL) == WEFT_ROUTE_PATTERN)
        return;
    for (size_t i = 0; i < w->n; i++) {
        const weft_report *r = w->views[i].report;
        if (!r)
            continue;
        if (r->status && !explain_in_scope(w->route, r->status->path))
            add_other(
                w, r->status->url, "", EXPLAIN_SCOPE,
                explain_text("may not publish it: its path %s is no prefix", r->status->path));
        else if (r->status)
            add_other(w, r->status->url, "", EXPLAIN_SILENT,
                      explain_text("may publish it, and does not"));
        for (size_t k = 0; k < r->n_peers; k++)
            add_candidate(w, i, &r->peers[k]);
    }
}

/* ---- What may have been meant ------------------------------------------------------------------
 */

/* Calls for each plain route of that side that has nothing to do with the one asked for. */
static void each_stranger(struct work *w, bool intent,
                          void (*take)(struct work *w, size_t view, const weft_route_info *r,
                                       void *arg),
                          void *arg)
{
    for (size_t i = 0; i < w->n; i++) {
        const weft_report *report = w->views[i].report;
        for (size_t k = 0; report && k < report->n_routes; k++) {
            const weft_route_info *r = &report->routes[k];
            if (r->intent == intent && weft_route_check(r->route, NULL) == WEFT_ROUTE_PLAIN &&
                explain_relation(w->route, r->route, intent) == UNRELATED)
                take(w, i, r, arg);
        }
    }
}

static void take_nearer(struct work *w, size_t view, const weft_route_info *r, void *arg)
{
    (void)view;
    if (explain_other_words(w->route, r->route))
        return;
    const char **nearest = arg, *both[] = {*nearest ? *nearest : r->route, r->route};
    const char *near = suggest(w->route, both, 2, sizeof(both[0]));
    *nearest = near ? near : *nearest;
}

static void take_meant(struct work *w, size_t view, const weft_route_info *r, void *arg)
{
    const char *meant = *(const char **)arg, *name = r->peer ? r->peer : home_of(w, view, r);
    if (strcmp(r->route, meant) != 0)
        return;
    char *peer = xcopy(name, explain_name_len(name));
    add_other(w, r->intent ? peer : "", r->intent ? "" : peer, EXPLAIN_SPELLING,
              explain_text("%s %s: did you mean that?", r->intent ? "publishes" : "wants", meant));
    xfree(peer);
}

/* The route of the missing side that is nearest in letters, if it is near. */
static void add_misspelt(struct work *w, bool intent)
{
    const char *meant = NULL;
    if (weft_route_check(w->route, NULL) != WEFT_ROUTE_PLAIN)
        return;
    each_stranger(w, intent, take_nearer, &meant);
    if (meant)
        each_stranger(w, intent, take_meant, &meant);
}

/* ---- The verdict -------------------------------------------------------------------------------
 */

static size_t count_parties(const struct explanation *e, bool intent)
{
    size_t count = 0;
    for (size_t i = 0; i < e->n_parties; i++)
        if (e->parties[i].intent == intent)
            count += e->parties[i].count;
    return count;
}

static const struct explain_finding *first_other(const struct explanation *e,
                                                 enum explain_reason reason)
{
    for (size_t i = 0; i < e->n_others; i++)
        if (e->others[i].reason == reason)
            return &e->others[i];
    return NULL;
}

/* Only what could have been a publisher explains that there is none; likewise a subscriber. */
static const struct explain_finding *first_near(const struct explanation *e,
                                                enum explain_reason reason, bool intents,
                                                bool interests)
{
    for (size_t i = 0; i < e->n_others; i++) {
        const struct explain_finding *f = &e->others[i];
        if (f->reason == reason && ((intents && *f->from) || (interests && *f->to)))
            return f;
    }
    return NULL;
}

/* ", but X publishes ….": what came nearest, or who is out of reach, or why nobody can. */
static char *nearest(const struct explanation *e, size_t publishers, size_t subscribers)
{
    bool both = publishers && subscribers, intents = !publishers || both,
         interests = !subscribers || both;
    /* If there is nobody at all, the route asked for is the first to doubt; else who is missing. */
    static const enum explain_reason order[] = {
        EXPLAIN_TYPE,    EXPLAIN_HASHED,     EXPLAIN_SPELLING, EXPLAIN_BANNED,
        EXPLAIN_NETWORK, EXPLAIN_NOT_LINKED, EXPLAIN_SPELLING};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        bool miss = order[i] <= EXPLAIN_HASHED || order[i] == EXPLAIN_SPELLING;
        const struct explain_finding *near =
            miss ? first_near(e, order[i], intents, interests) : first_other(e, order[i]);
        if (!near || (i == 2 && (publishers || subscribers)))
            continue;
        if (order[i] == EXPLAIN_SPELLING)
            return explain_text(", but %s %s", *near->from ? near->from : near->to, near->text);
        if (miss)
            return explain_text(", but %s %s.", *near->from ? near->from : near->to, near->text);
        return explain_text(", but %s.", near->text);
    }
    if (publishers == 0 && first_other(e, EXPLAIN_SCOPE) && !first_other(e, EXPLAIN_SILENT))
        return explain_text(", and no node known has a path that allows it.");
    return copy(".");
}

static char *verdict_without_pairs(const struct explanation *e, size_t publishers,
                                   size_t subscribers)
{
    char *near = nearest(e, publishers, subscribers), *verdict;
    if (publishers && subscribers)
        verdict =
            explain_text("%zu publish and %zu want something of that kind, but nothing that is "
                         "published is wanted%s",
                         publishers, subscribers, near);
    else if (publishers)
        verdict = explain_text("It has %zu publisher%s, and as far as is known nobody wants it%s",
                               publishers, publishers == 1 ? "" : "s", near);
    else if (subscribers)
        verdict = explain_text("It is wanted by %zu, and nobody publishes it%s", subscribers, near);
    else
        verdict = explain_text("Nobody publishes it, and nobody wants it%s", near);
    xfree(near);
    return verdict;
}

/* Of the nodes that the route's messages leave from or come to, one that was not reached: that they
 * are linked still is what the other side believes. */
static const char *unreached_home(const struct work *w)
{
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; w->views[i].unreached && k < w->out->n_parties; k++)
            if (explain_same_node(w, w->views[i].url, w->out->parties[k].home))
                return w->views[i].url;
    return NULL;
}

static char *verdict_of_matches(const struct work *w, size_t publishers, size_t subscribers)
{
    const char *unreached = unreached_home(w);
    return explain_text("It %s, from %zu publisher%s to %zu subscriber%s%s%s%s.",
                        unreached ? "should flow" : "flows", publishers, publishers == 1 ? "" : "s",
                        subscribers, subscribers == 1 ? "" : "s", unreached ? ", but " : "",
                        unreached ? unreached : "", unreached ? " did not answer" : "");
}

static void judge(struct work *w)
{
    struct explanation *e = w->out;
    const struct explain_finding *bad = NULL;
    size_t bad_count = 0, publishers = count_parties(e, true),
           subscribers = count_parties(e, false);
    bool untold = false;
    for (size_t i = 0; i < w->n; i++)
        untold |= w->views[i].unreached;
    for (size_t i = 0; i < e->n_pairs; i++) {
        if (e->pairs[i].reason == EXPLAIN_MATCHES)
            continue;
        untold |= e->pairs[i].reason == EXPLAIN_UNTOLD;
        bad = bad ? bad : &e->pairs[i];
        bad_count++;
    }
    e->flows = e->n_pairs && !bad;
    e->certain = e->flows ? !unreached_home(w) : !untold;
    if (e->n_pairs == 0)
        e->verdict = verdict_without_pairs(e, publishers, subscribers);
    else if (!bad)
        e->verdict = verdict_of_matches(w, publishers, subscribers);
    else
        e->verdict = explain_text(
            "Of %zu pair%s of publisher and subscriber %zu do%s not meet: %s.", e->n_pairs,
            e->n_pairs == 1 ? "" : "s", bad_count, bad_count == 1 ? "es" : "", bad->text);
}

bool explanation_one_sided(const struct explanation *e)
{
    return count_parties(e, true) == 0 || count_parties(e, false) == 0;
}

void explain(const char *route, const struct explain_view *views, size_t n,
             struct explanation *ret_explanation)
{
    struct work w = {.route = route,
                     .views = views,
                     .n = n < EXPLAIN_VIEWS ? n : EXPLAIN_VIEWS,
                     .out = ret_explanation};
    *ret_explanation = (struct explanation){0};
    explain_names_init(&w);
    gather_all(&w);
    pair(&w);
    if (count_parties(ret_explanation, true) == 0)
        add_candidates(&w);
    else if (count_parties(ret_explanation, false) == 0)
        add_unlinked(&w);
    if (explanation_one_sided(ret_explanation))
        add_refused(&w);
    for (int intent = 0; intent < 2; intent++)
        if (count_parties(ret_explanation, intent) == 0)
            add_misspelt(&w, intent);
    judge(&w);
    explain_names_fini(&w);
}
