/* The picture of the mesh, for those who look at the page.
 *
 * Happy path: with the first viewer a timer starts; each second it asks the linked peers for their
 * reports, one question at a time each. What they tell is kept as JSON. Shortly after a question
 * was answered, or a link came or went, the picture is made anew of this node's report and the
 * neighbours', and all viewers get the same bytes. With the last viewer the timers stop: a mesh
 * that nobody looks at is not asked.
 *
 *     {"time_ns": …, "nodes": [{"url": …, "self": true, "tells": true, "report": {…}}
 *                              {"url": …, "self": false, "tells": false, "why": "…"} …]}
 *
 * Failure modes: a viewer that does not take a picture keeps getting the newest one only, and is
 * dropped when it has taken none for VIEWER_PATIENCE_MS. A neighbour that does not tell is in the
 * picture with the reason. Of large nodes only so much is shown; "left_out" says how much is not.
 * Routes of a neighbour are asked for only where it has few, which its status has told before. */
#include "http_parts.h"

#include <string.h>

#include "../common/memory.h"

#define TICK_MS 1000
#define SOON_MS 50
#define ANSWER_MS 5000
#define VIEWER_PATIENCE_MS 5000
#define NEIGHBOURS_MAX 32 /* asked; further ones are links without an end that tells */
#define PEERS_MAX 256
#define ROUTES_MAX 500
#define BOOK_MAX 256

struct picture {
    unsigned users;
    size_t size;
    unsigned char *data; /* LWS_PRE bytes, then `size` */
};

struct neighbour {
    struct neighbour *next;
    struct http *http;
    char *url;
    json_t *node;    /* as it is in the picture; NULL before its first answer */
    uint64_t routes; /* that it knows, by its last answer; UINT64_MAX: unknown */
    bool asking;     /* a question is under way; its callback comes in any case */
    bool linked;     /* in the round under way */
};

/* ---- Reports as JSON ------------------------------------------------------------------------- */

/* Is it a leaf or a client of the node, of which nobody else may tell? */
static bool is_attached(const weft_report *r, const char *url)
{
    for (size_t i = 0; i < r->n_peers; i++)
        if (strcmp(r->peers[i].url, url) == 0)
            return r->peers[i].role != WEFT_ROLE_PEER;
    return false;
}

/* The routes that only this node can tell of to the front of the list: its own, those it has passed
 * messages of, and those of its leaves. Returns how many. */
static size_t own_routes_first(weft_report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_routes; i++) {
        weft_route_info route = r->routes[i];
        if (route.peer && !route.messages && !is_attached(r, route.peer))
            continue;
        r->routes[i] = r->routes[n];
        r->routes[n++] = route;
    }
    return n;
}

/* A node of the picture. Frees the report. NULL: out of memory. */
static json_t *node_json(const char *url, bool self, weft_report *report, uint64_t routes_left_out)
{
    static const struct http_bounds bounds = {PEERS_MAX, ROUTES_MAX, BOOK_MAX};
    weft_report shown = *report;
    if (!self)
        shown.n_routes = own_routes_first(report);
    json_t *left_out = json_object();
    json_t *part = http_report_json(&shown, &bounds, routes_left_out, left_out);
    weft_report_free(report);
    return json_pack("{s:o, s:b, s:b, s:o, s:o}", "url", text_json(url), "self", self, "tells",
                     true, "report", part, "left_out", left_out);
}

static json_t *silent_json(const char *url, const char *why)
{
    return json_pack("{s:o, s:b, s:b, s:o}", "url", text_json(url), "self", false, "tells", false,
                     "why", text_json(why));
}

/* ---- Neighbours ------------------------------------------------------------------------------ */

static void soon(struct http *http);

static void on_answer(int error, const char *text, weft_report *report, void *user)
{
    struct neighbour *n = user;
    n->asking = false;
    if (n->http->closed) {
        weft_report_free(report);
        return;
    }
    json_decref(n->node);
    if (error < 0 || !report || !report->status) {
        n->node = silent_json(n->url, text ? text : weft_strerror(error));
        weft_report_free(report);
    } else {
        const weft_stats *s = &report->status->stats;
        bool told = report->routes || n->routes == 0;
        n->routes = (uint64_t)s->intents + s->interests + s->remote_intents + s->remote_interests;
        n->node = node_json(n->url, false, report, told ? 0 : (uint64_t)s->intents + s->interests);
    }
    soon(n->http);
}

static void ask(struct http *http, struct neighbour *n)
{
    weft_query query;
    weft_query_init(&query);
    query.parts = WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_BOOK;
    if (n->routes <= ROUTES_MAX)
        query.parts |= WEFT_PART_ROUTES;
    n->asking = true;
    int rc = weft_node_inspect_async(http->node, n->url, &query, ANSWER_MS, on_answer, n);
    if (rc == 0)
        return;
    n->asking = false;
    json_decref(n->node);
    n->node = silent_json(n->url, weft_strerror(rc));
}

static struct neighbour *neighbour_of(struct http *http, const char *url)
{
    for (struct neighbour *n = http->live.neighbours; n; n = n->next)
        if (strcmp(n->url, url) == 0)
            return n;
    struct neighbour *n = xresize(NULL, sizeof(*n));
    *n = (struct neighbour){.next = http->live.neighbours,
                            .http = http,
                            .url = xcopy(url, strlen(url)),
                            .routes = UINT64_MAX};
    http->live.neighbours = n;
    return n;
}

static void neighbour_free(struct neighbour *n)
{
    json_decref(n->node);
    xfree(n->url);
    xfree(n);
}

/* Those of whom no link stands any more go, unless a question to them is still under way. */
static void drop_gone(struct http *http)
{
    struct neighbour **at = &http->live.neighbours;
    while (*at) {
        struct neighbour *n = *at;
        if (n->linked || n->asking) {
            at = &n->next;
            continue;
        }
        *at = n->next;
        neighbour_free(n);
    }
}

/* Find the neighbours of a report of ours; ask all of them, or those never asked. */
static void visit_neighbours(struct http *http, const weft_report *report, bool all)
{
    unsigned count = 0;
    for (struct neighbour *n = http->live.neighbours; n; n = n->next)
        n->linked = false;
    for (size_t i = 0; i < report->n_peers && count < NEIGHBOURS_MAX; i++) {
        if (strcmp(report->peers[i].state, "linked") != 0)
            continue;
        struct neighbour *n = neighbour_of(http, report->peers[i].url);
        n->linked = true;
        count++;
        if (!n->asking && (all || !n->node))
            ask(http, n);
    }
    drop_gone(http);
}

/* ---- The picture ----------------------------------------------------------------------------- */

static void picture_unref(struct picture *p)
{
    if (!p || --p->users > 0)
        return;
    xfree(p->data);
    xfree(p);
}

/* NULL: out of memory. */
static json_t *draw(struct http *http)
{
    weft_report *report;
    uint64_t left_out = 0;
    uint32_t parts = WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES | WEFT_PART_BOOK |
                     WEFT_PART_INCIDENTS;
    if (http_report(http, parts, HTTP_ROUTES_MAX, &report, &left_out) < 0)
        return NULL;
    visit_neighbours(http, report, http->live.ask);
    http->live.ask = false;
    uint64_t now = report->status->now;
    json_t *nodes = json_array();
    json_array_append_new(nodes, node_json(weft_node_url(http->node), true, report, left_out));
    for (struct neighbour *n = http->live.neighbours; n; n = n->next)
        if (n->linked && n->node)
            json_array_append(nodes, n->node);
    return json_pack("{s:I, s:o}", "time_ns", (json_int_t)now, "nodes", nodes);
}

/* With one user: the caller. NULL: out of memory. */
static struct picture *picture_new(json_t *json)
{
    size_t size = json ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
    if (size == 0) {
        json_decref(json);
        return NULL;
    }
    struct picture *p = xresize(NULL, sizeof(*p));
    *p = (struct picture){.users = 1, .size = size, .data = xresize(NULL, LWS_PRE + size)};
    json_dumpb(json, (char *)p->data + LWS_PRE, size, JSON_COMPACT);
    json_decref(json);
    return p;
}

static void show(struct http *http, struct viewer *v, struct picture *p)
{
    uint64_t now = uv_now(http->loop);
    if (!v->picture)
        v->waiting_since = now;
    else if (now - v->waiting_since >= VIEWER_PATIENCE_MS)
        lws_set_timeout(v->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    picture_unref(v->picture);
    v->picture = p;
    p->users++;
    lws_callback_on_writable(v->wsi);
}

static void send_picture(uv_timer_t *timer)
{
    struct http *http = timer->data;
    if (http->closed || http->live.viewer_count == 0)
        return;
    struct picture *p = picture_new(draw(http));
    if (!p)
        return;
    for (size_t i = 0; i < HTTP_VIEWERS_MAX; i++)
        if (http->live.viewers[i].wsi)
            show(http, &http->live.viewers[i], p);
    picture_unref(p);
}

static void soon(struct http *http)
{
    if (!uv_is_active((uv_handle_t *)&http->live.soon) && http->live.viewer_count > 0)
        uv_timer_start(&http->live.soon, send_picture, SOON_MS, 0);
}

static void on_tick(uv_timer_t *timer)
{
    struct http *http = timer->data;
    http->live.ask = true;
    soon(http);
}

void http_live_event(struct http *http)
{
    http->live.ask = true;
    soon(http);
}

/* ---- Viewers --------------------------------------------------------------------------------- */

static struct viewer *viewer_of(struct http *http, const struct lws *wsi)
{
    for (size_t i = 0; i < HTTP_VIEWERS_MAX; i++)
        if (http->live.viewers[i].wsi == wsi)
            return &http->live.viewers[i];
    return NULL;
}

static int on_viewer(struct http *http, struct lws *wsi)
{
    struct viewer *v = viewer_of(http, NULL);
    if (!v || http->closed)
        return -1;
    *v = (struct viewer){.wsi = wsi};
    if (http->live.viewer_count++ == 0)
        uv_timer_start(&http->live.tick, on_tick, 0, TICK_MS);
    soon(http);
    return 0;
}

static void on_viewer_gone(struct http *http, struct lws *wsi)
{
    struct viewer *v = viewer_of(http, wsi);
    if (!v)
        return;
    picture_unref(v->picture);
    *v = (struct viewer){0};
    if (--http->live.viewer_count == 0 && !http->closed) {
        uv_timer_stop(&http->live.tick);
        uv_timer_stop(&http->live.soon);
    }
}

static int on_viewer_writable(struct http *http, struct lws *wsi)
{
    struct viewer *v = viewer_of(http, wsi);
    if (!v || !v->picture)
        return 0;
    struct picture *p = v->picture;
    v->picture = NULL;
    int rc = lws_write(wsi, p->data + LWS_PRE, p->size, LWS_WRITE_TEXT);
    picture_unref(p);
    return rc < 0 ? -1 : 0;
}

int http_live_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
                       size_t size)
{
    struct http *http = lws_context_user(lws_get_context(wsi));
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        return on_viewer(http, wsi);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_viewer_writable(http, wsi);
    case LWS_CALLBACK_RECEIVE:
        return -1; /* viewers look; they have nothing to say */
    case LWS_CALLBACK_CLOSED:
        on_viewer_gone(http, wsi);
        return 0;
    default:
        return 0;
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

void http_live_init(struct http *http)
{
    uv_timer_init(http->loop, &http->live.tick);
    uv_timer_init(http->loop, &http->live.soon);
    http->live.tick.data = http->live.soon.data = http;
}

void http_live_close(struct http *http)
{
    uv_close((uv_handle_t *)&http->live.tick, NULL);
    uv_close((uv_handle_t *)&http->live.soon, NULL);
}

void http_live_fini(struct http *http)
{
    while (http->live.neighbours) {
        struct neighbour *n = http->live.neighbours;
        http->live.neighbours = n->next;
        neighbour_free(n);
    }
}
