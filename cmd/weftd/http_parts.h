/* Between the files of the HTTP listener. */
#ifndef WEFTD_HTTP_PARTS_H
#define WEFTD_HTTP_PARTS_H

#include <libwebsockets.h>
#include <stdio.h>

#include <weft/admin.h>

#include "../common/report_json.h"
#include "http.h"
#include "page/page.h"

#define HTTP_LISTENERS_MAX 16
#define HTTP_CONNECTIONS_MAX 64
#define HTTP_VIEWERS_MAX 16
#define HTTP_PATIENCE_S 5     /* for a request's headers, and for a client to take a piece */
#define HTTP_RESPONSE_S 30    /* for a whole response */
#define HTTP_ROUTES_MAX 10000 /* of a report; where there are more, no list of them is made */

/* ---- Sockets (http_listen.c) ----------------------------------------------------------------- */

struct listener {
    uv_poll_t poll;
    int fd;
    char *path; /* of a unix socket, which is removed at the end; or NULL */
};

/* Bind and listen on all of config->listen. Errors as http_open. */
int http_listen(struct http *http, const struct config_http *config);
void http_listen_close(struct http *http);

/* ---- Responses ------------------------------------------------------------------------------- */

struct response {
    unsigned code;
    const char *type;
    const char *cache; /* Cache-Control */
    const char *body;  /* `size` bytes */
    size_t size;
    char *owned; /* body, where it is to be freed; else NULL */
};

/* A response of text, which is borrowed (http_paths.c). */
void http_text(struct response *ret_response, unsigned code, const char *text);

/* What a GET of this path gives. */
void http_answer(struct http *http, struct lws *wsi, const char *path,
                 struct response *ret_response);

/* /metrics (http_metrics.c): of a report with all its parts. `classic`: in Prometheus's older
 * text format. */
struct http_process {
    unsigned connections, viewers;
};
void http_metrics(const weft_report *report, const struct http_process *process,
                  uint64_t routes_left_out, bool classic, FILE *out);

/* ---- The picture of the mesh (http_live.c) --------------------------------------------------- */

struct picture; /* the JSON that viewers are sent, counted */
struct neighbour;

struct viewer {
    struct lws *wsi;         /* NULL: this place is free */
    struct picture *picture; /* not sent yet; or NULL */
    uint64_t waiting_since;  /* loop time at which it got one that is not sent yet */
};

struct live {
    uv_timer_t tick; /* each second while there are viewers */
    uv_timer_t soon; /* shortly after something changed, all of it together */
    bool ask;        /* the next picture asks the neighbours, too */
    struct viewer viewers[HTTP_VIEWERS_MAX];
    unsigned viewer_count;
    struct neighbour *neighbours;
};

void http_live_init(struct http *http);
void http_live_event(struct http *http);
void http_live_close(struct http *http);
void http_live_fini(struct http *http);
int http_live_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
                       size_t size);

/* ---- All of it (http.c) ---------------------------------------------------------------------- */

struct http {
    uv_loop_t *loop;
    weft_node *node; /* NULL once closed */
    http_log log;
    void *user;
    struct names names;
    struct lws_context *context; /* libwebsockets sets it to NULL when all of it is gone */
    struct lws_vhost *vhost;
    struct listener listeners[HTTP_LISTENERS_MAX];
    size_t listener_count;
    uv_timer_t retry; /* takes up listening again after the process ran out of descriptors */
    unsigned connections;
    struct live live;
    bool closed;
};

/* A line of the log, made as by printf. */
__attribute__((format(printf, 3, 4))) void http_say(struct http *http, enum weft_log_level level,
                                                    const char *format, ...);

/* A connection to give to libwebsockets, which closes it. */
void http_adopt(struct http *http, int fd);

/* A report of the node with as many of the parts as it can make without a pause. Routes are left
 * out where there are more than `routes_max`: how many there are then is in *ret_left_out, else 0.
 * Errors as weft_node_inspect. */
int http_report(struct http *http, uint32_t parts, uint64_t routes_max, weft_report **ret_report,
                uint64_t *ret_left_out);

/* A report as JSON with at most so many of each; how many more there are goes into the object
 * left_out, by name. NULL: out of memory. */
struct http_bounds {
    size_t peers, routes, book;
};
json_t *http_report_json(const weft_report *report, const struct http_bounds *bounds,
                         uint64_t routes_left_out, json_t *left_out);

/* May the request be answered, by its Host header? A sentence if not, else NULL. */
const char *http_refusal(struct http *http, struct lws *wsi);

#endif
