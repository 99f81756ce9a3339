/* What there is to see: a path, a function that makes the response. Each is made whole at one
 * moment, of the node as it is then and of a bounded number of things, since the mesh waits
 * meanwhile. Without memory the response is 503. */
#include "http_parts.h"

#include <string.h>

#include "../common/memory.h"

/* What /status.json holds at most. */
#define STATUS_PEERS_MAX 500
#define STATUS_ROUTES_MAX 1000
#define STATUS_BOOK_MAX 500

void http_text(struct response *ret_response, unsigned code, const char *text)
{
    *ret_response = (struct response){
        .code = code,
        .type = "text/plain; charset=utf-8",
        .cache = "no-store",
        .body = text,
        .size = strlen(text),
    };
}

/* At most `max` of the n: how many more there are is noted. */
static size_t at_most(size_t n, size_t max, const char *name, json_t *left_out)
{
    if (n <= max)
        return n;
    json_object_set_new(left_out, name, json_integer((json_int_t)(n - max)));
    return max;
}

json_t *http_report_json(const weft_report *report, const struct http_bounds *bounds,
                         uint64_t routes_left_out, json_t *left_out)
{
    weft_addrbook book = report->book ? *report->book : (weft_addrbook){0};
    weft_report cut = *report;
    cut.n_peers = at_most(cut.n_peers, bounds->peers, "peers", left_out);
    cut.n_routes = at_most(cut.n_routes, bounds->routes, "routes", left_out);
    book.count = at_most(book.count, bounds->book, "addrbook", left_out);
    cut.book = report->book ? &book : NULL;
    if (routes_left_out)
        json_object_set_new(left_out, "routes", json_integer((json_int_t)routes_left_out));
    return report_json(&cut);
}

int http_report(struct http *http, uint32_t parts, uint64_t routes_max, weft_report **ret_report,
                uint64_t *ret_left_out)
{
    weft_query query;
    weft_stats stats;
    weft_query_init(&query);
    int rc = weft_node_stats(http->node, &stats);
    if (rc < 0)
        return rc;
    uint64_t routes =
        (uint64_t)stats.intents + stats.interests + stats.remote_intents + stats.remote_interests;
    query.parts = routes > routes_max ? parts & ~(uint32_t)WEFT_PART_ROUTES : parts;
    rc = weft_node_inspect(http->node, NULL, &query, 0, ret_report, NULL);
    if (rc == 0)
        *ret_left_out = query.parts == parts ? 0 : routes;
    return rc;
}

#define ALL_PARTS                                                                                  \
    (WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES | WEFT_PART_BOOK | WEFT_PART_INCIDENTS)

/* The response is this JSON, which is given back. NULL: out of memory. */
static void respond_json(struct response *ret_response, unsigned code, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text) {
        http_text(ret_response, 503, "out of memory\n");
        return;
    }
    *ret_response = (struct response){
        .code = code,
        .type = "application/json",
        .cache = "no-store",
        .body = text,
        .size = strlen(text),
        .owned = text,
    };
}

static void get_status(struct http *http, struct lws *wsi, struct response *ret_response)
{
    static const struct http_bounds bounds = {STATUS_PEERS_MAX, STATUS_ROUTES_MAX, STATUS_BOOK_MAX};
    weft_report *report;
    uint64_t routes_left_out = 0;
    if (http_report(http, ALL_PARTS, STATUS_ROUTES_MAX, &report, &routes_left_out) < 0) {
        http_text(ret_response, 503, "no report can be made now\n");
        return;
    }
    json_t *left_out = json_object();
    json_t *json = http_report_json(report, &bounds, routes_left_out, left_out);
    weft_report_free(report);
    if (json)
        json_object_set(json, "left_out", left_out);
    json_decref(left_out);
    respond_json(ret_response, 200, json);
}

/* Does the client want the older of the two text formats? Unless it says so, it gets OpenMetrics.
 */
static bool wants_classic(struct lws *wsi)
{
    char accept[512];
    if (lws_hdr_copy(wsi, accept, sizeof(accept), WSI_TOKEN_HTTP_ACCEPT) <= 0)
        return false;
    return strstr(accept, "text/plain") && !strstr(accept, "application/openmetrics-text");
}

static void get_metrics(struct http *http, struct lws *wsi, struct response *ret_response)
{
    const struct http_process process = {http->connections, http->live.viewer_count};
    weft_report *report;
    uint64_t left_out = 0;
    char *text = NULL;
    size_t size = 0;
    bool classic = wants_classic(wsi);
    if (http_report(http, ALL_PARTS, HTTP_ROUTES_MAX, &report, &left_out) < 0) {
        http_text(ret_response, 503, "no report can be made now\n");
        return;
    }
    FILE *out = open_memstream(&text, &size);
    if (out)
        http_metrics(report, &process, left_out, classic, out);
    weft_report_free(report);
    if (!out || fclose(out) != 0) {
        xfree(text);
        http_text(ret_response, 503, "out of memory\n");
        return;
    }
    *ret_response = (struct response){
        .code = 200,
        .type = classic ? "text/plain; version=0.0.4; charset=utf-8"
                        : "application/openmetrics-text; version=1.0.0; charset=utf-8",
        .cache = "no-store",
        .body = text,
        .size = size,
        .owned = text,
    };
}

/* That this is answered is the answer: the loop turns. */
static void get_health(struct http *http, struct lws *wsi, struct response *ret_response)
{
    http_text(ret_response, 200, "ok\n");
}

/* A node that listens is ready: it takes whoever comes. One that only dials is, once it has a link.
 * Peers it should be linked to and is not are named, but make it no less ready for the others. */
static void get_ready(struct http *http, struct lws *wsi, struct response *ret_response)
{
    weft_report *report;
    uint64_t left_out = 0;
    if (http_report(http, WEFT_PART_STATUS | WEFT_PART_PEERS, UINT64_MAX, &report, &left_out) < 0) {
        http_text(ret_response, 503, "no report can be made now\n");
        return;
    }
    json_t *missing = json_array();
    for (size_t i = 0; i < report->n_peers; i++)
        if (report->peers[i].persistent && strcmp(report->peers[i].state, "linked") != 0)
            json_array_append_new(missing, text_json(report->peers[i].url));
    bool listens = *report->status->listen;
    bool ready = listens || report->status->stats.peers > 0;
    json_t *json = json_pack("{s:b, s:s, s:i, s:o}", "ready", ready, "reason",
                             listens ? "it listens"
                             : ready ? "it is linked"
                                     : "it does not listen, and no peer is linked yet",
                             "linked", (int)report->status->stats.peers, "not_linked", missing);
    weft_report_free(report);
    respond_json(ret_response, ready ? 200 : 503, json);
}

static bool get_page(const char *path, struct response *ret_response)
{
    for (size_t i = 0; i < page_file_count; i++) {
        const struct page_file *f = &page_files[i];
        if (strcmp(f->path, path) != 0)
            continue;
        *ret_response = (struct response){
            .code = 200, .type = f->type, .cache = "no-cache", .body = f->data, .size = f->size};
        return true;
    }
    return false;
}

static const struct {
    const char *path;
    void (*get)(struct http *http, struct lws *wsi, struct response *ret_response);
} paths[] = {
    {"/metrics", get_metrics},
    {"/healthz", get_health},
    {"/readyz", get_ready},
    {"/status.json", get_status},
};

void http_answer(struct http *http, struct lws *wsi, const char *path,
                 struct response *ret_response)
{
    for (size_t i = 0; i < LWS_ARRAY_SIZE(paths); i++) {
        if (strcmp(paths[i].path, path) == 0) {
            paths[i].get(http, wsi, ret_response);
            return;
        }
    }
    if (strcmp(path, "/live") == 0)
        http_text(ret_response, 426, "this is a WebSocket of protocol weft-live\n");
    else if (!get_page(path, ret_response))
        http_text(ret_response, 404,
                  "nothing is here; there are /, /metrics, /healthz, /readyz and /status.json\n");
}
