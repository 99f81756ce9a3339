/* libwebsockets on the daemon's loop: it parses and frames, we decide.
 *
 * Happy path: on_connection (http_listen.c) hands a socket over; LWS_CALLBACK_HTTP checks the Host
 * header and the method and finds the path; what it makes is written in pieces as the client takes
 * them. An upgrade at /live becomes a viewer (http_live.c).
 *
 * Failure modes: at most HTTP_CONNECTIONS_MAX connections, others get 503; a client that neither
 * asks nor takes for HTTP_PATIENCE_S is dropped, and so is one that has not got its response after
 * HTTP_RESPONSE_S, however it dribbles; one that sends a body is dropped with its response; without
 * memory a request gets 503. A response is made whole at one moment, of a bounded number of things.
 * Nothing a client sends changes anything. */
#include "http_parts.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "../common/memory.h"
#include "http_address.h"

#define PIECE (16 * 1024) /* of a body, written at once */
#define HEADERS_MAX 1024

/* A request's response on its way: the session of protocol "http". */
struct session {
    struct response response;
    size_t sent;
    uint64_t deadline; /* loop time, ms */
};

void http_say(struct http *http, enum weft_log_level level, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    http->log(level, text, http->user);
}

/* ---- Requests and responses ----------------------------------------------------------------- */

const char *http_refusal(struct http *http, struct lws *wsi)
{
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof(at);
    char host[300];
    if (getsockname(lws_get_socket_fd(wsi), (struct sockaddr *)&at, &size) < 0)
        return "the connection is gone\n";
    if (at.ss_family == AF_UNIX) /* whoever gets here was let in by the file's permissions */
        return NULL;
    if (lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) <= 0)
        return "the Host header is missing or too long\n";
    if (!http_host_allowed(host, http_socket_local(&at), names_list(&http->names)))
        return "not by this name: ask by an address or as localhost, or add the name to http.names "
               "of weftd's configuration\n";
    return NULL;
}

static bool add(struct lws *wsi, const char *name, const char *value, unsigned char **p,
                unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), p,
                                       end) == 0;
}

static int write_headers(struct lws *wsi, const struct session *s)
{
    unsigned char head[LWS_PRE + HEADERS_MAX], *start = head + LWS_PRE, *p = start;
    unsigned char *end = head + sizeof(head) - 1;
    const struct response *r = &s->response;
    if (lws_add_http_common_headers(wsi, r->code, r->type, r->size, &p, end) != 0 ||
        !add(wsi, "cache-control:", r->cache, &p, end) ||
        (r->code == 405 && !add(wsi, "allow:", "GET, HEAD", &p, end)) ||
        (r->code == 426 && !add(wsi, "upgrade:", "websocket", &p, end)))
        return -1;
    return lws_finalize_write_http_header(wsi, start, &p, end) != 0 ? -1 : 0;
}

static void forget_response(struct session *s)
{
    xfree(s->response.owned);
    s->response = (struct response){0};
}

/* The response is out. Returns what a callback does. */
static int finish(struct lws *wsi, struct session *s)
{
    forget_response(s);
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

/* Is a body announced? */
static bool has_body(struct lws *wsi)
{
    char length[24];
    return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
           (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 &&
            (lws_hdr_copy(wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0 ||
             strcmp(length, "0") != 0));
}

/* The response, a short text, and then the end of the connection: libwebsockets is not to look for
 * a body. Of a request that waited behind another it has been seen to do so for ever. */
static int turn_away(struct lws *wsi, struct session *s)
{
    unsigned char text[LWS_PRE + 256];
    size_t size = s->response.size < 256 ? s->response.size : 256;
    if (write_headers(wsi, s) == 0 && size > 0) {
        memcpy(text + LWS_PRE, s->response.body, size);
        lws_write(wsi, text + LWS_PRE, size, LWS_WRITE_HTTP_FINAL);
    }
    forget_response(s);
    return -1;
}

static int on_request(struct http *http, struct lws *wsi, struct session *s, const char *path)
{
    bool head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    bool get = lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0;
    const char *refusal = http_refusal(http, wsi);
    if (!http->node)
        return -1;
    forget_response(s);
    *s = (struct session){.deadline = uv_now(http->loop) + HTTP_RESPONSE_S * 1000};
    if (refusal)
        http_text(&s->response, 403, refusal);
    else if (!get && !head)
        http_text(&s->response, 405, "there is nothing to change here: GET and HEAD alone\n");
    else if (has_body(wsi))
        http_text(&s->response, 413, "there is nothing to be sent here\n");
    else
        http_answer(http, wsi, path, &s->response);
    if ((!get && !head) || has_body(wsi))
        return turn_away(wsi, s);
    if (write_headers(wsi, s) < 0)
        return -1;
    if (head || s->response.size == 0)
        return finish(wsi, s);
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, HTTP_PATIENCE_S);
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_writable(struct http *http, struct lws *wsi, struct session *s)
{
    static unsigned char piece[LWS_PRE + PIECE]; /* the loop's thread alone is here */
    const struct response *r = &s->response;
    if (!r->body)
        return 0;
    if (uv_now(http->loop) >= s->deadline)
        return -1;
    size_t size = r->size - s->sent < PIECE ? r->size - s->sent : PIECE;
    bool last = s->sent + size == r->size;
    memcpy(piece + LWS_PRE, r->body + s->sent, size);
    if (lws_write(wsi, piece + LWS_PRE, size, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
        return -1;
    s->sent += size;
    if (last)
        return finish(wsi, s);
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, HTTP_PATIENCE_S);
    lws_callback_on_writable(wsi);
    return 0;
}

/* Whether a WebSocket may be opened: 0, or more where it was refused with a response. */
static int on_upgrade(struct http *http, struct lws *wsi, const char *to)
{
    char path[16], origin[320], host[300], protocol[64];
    const char *refusal = http_refusal(http, wsi);
    if (refusal)
        return lws_return_http_status(wsi, 403, "not by this name") < 0 ? -1 : 1;
    if (strcasecmp(to, "websocket") != 0 ||
        lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI) <= 0 || strcmp(path, "/live") != 0)
        return lws_return_http_status(wsi, 404, "there is a WebSocket at /live alone") < 0 ? -1 : 1;
    if (lws_hdr_copy(wsi, protocol, sizeof(protocol), WSI_TOKEN_PROTOCOL) <= 0 ||
        strcmp(protocol, "weft-live") != 0)
        return lws_return_http_status(wsi, 400, "its protocol is weft-live") < 0 ? -1 : 1;
    /* Programs send no Origin; browsers always do. */
    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0 &&
        (lws_hdr_copy(wsi, origin, sizeof(origin), WSI_TOKEN_ORIGIN) <= 0 ||
         lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) <= 0 ||
         !http_origin_allowed(origin, host)))
        return lws_return_http_status(wsi, 403, "pages from elsewhere may not look") < 0 ? -1 : 1;
    if (!http->node || http->live.viewer_count >= HTTP_VIEWERS_MAX)
        return lws_return_http_status(wsi, 503, "too many are looking already") < 0 ? -1 : 1;
    return 0;
}

static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
                         size_t size)
{
    struct http *http = lws_context_user(lws_get_context(wsi));
    switch (reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        http->connections++;
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        http->connections -= http->connections > 0;
        return 0;
    case LWS_CALLBACK_HTTP:
        return on_request(http, wsi, session, in);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writable(http, wsi, session);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return on_upgrade(http, wsi, in);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return -1; /* a WebSocket without a protocol of ours */
    case LWS_CALLBACK_CLOSED_HTTP:
        if (session)
            forget_response(session);
        return 0;
    default: /* also of LWS_CALLBACK_HTTP_BODY, which nobody reads */
        return 0;
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

void http_adopt(struct http *http, int fd)
{
    lws_adopt_socket_vhost(http->vhost, fd);
}

/* Headers of all responses. The page takes nothing from elsewhere, and nobody frames it. */
static const struct lws_protocol_vhost_options header_frame = {NULL, NULL,
                                                               "x-frame-options:", "DENY"};
static const struct lws_protocol_vhost_options header_resource = {
    &header_frame, NULL, "cross-origin-resource-policy:", "same-origin"};
static const struct lws_protocol_vhost_options header_referrer = {
    &header_resource, NULL, "referrer-policy:", "no-referrer"};
static const struct lws_protocol_vhost_options header_type = {&header_referrer, NULL,
                                                              "x-content-type-options:", "nosniff"};
static const struct lws_protocol_vhost_options headers = {
    &header_type, NULL, "content-security-policy:",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"};

static const struct lws_protocols protocols[] = {
    {"http", http_callback, sizeof(struct session), 0, 0, NULL, 0},
    {"weft-live", http_live_callback, 0, 256, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};

static int open_context(struct http *http)
{
    void *loops[] = {http->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .headers = &headers,
        .server_string = "weftd",
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN |
                   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .foreign_loops = loops,
        .pcontext = &http->context,
        .user = http,
        .timeout_secs = HTTP_PATIENCE_S,
        .keepalive_timeout = HTTP_PATIENCE_S,
        .fd_limit_per_thread = HTTP_CONNECTIONS_MAX + 8,
        .gid = -1,
        .uid = -1,
        .vhost_name = "weftd",
    };
    lws_set_log_level(0, NULL);
    http->context = lws_create_context(&info);
    if (http->context)
        http->vhost = lws_create_vhost(http->context, &info);
    if (http->vhost)
        return 0;
    http_say(http, WEFT_LOG_ERROR,
             "http: libwebsockets cannot use this event loop; install its libuv plugin "
             "(libwebsockets-evlib-uv) or remove http from the configuration");
    return WEFT_ENOTSUP;
}

int http_open(uv_loop_t *loop, weft_node *node, const struct config_http *config, http_log log,
              void *user, struct http **ret_http)
{
    *ret_http = NULL;
    if (config->listen.count == 0)
        return 0;
    struct http *http = xresize(NULL, sizeof(*http));
    *http = (struct http){.loop = loop, .node = node, .log = log, .user = user};
    for (size_t i = 0; i < config->names.count; i++)
        names_add(&http->names, config->names.items[i]);
    *ret_http = http;
    http_live_init(http);
    int rc = http_listen(http, config);
    if (rc == 0)
        rc = open_context(http);
    if (rc < 0)
        http_close(http);
    return rc;
}

void http_event(struct http *http, const weft_event *event)
{
    if (http && !http->closed &&
        (event->type == WEFT_EVENT_PEER_UP || event->type == WEFT_EVENT_PEER_DOWN))
        http_live_event(http);
}

void http_close(struct http *http)
{
    if (!http || http->closed)
        return;
    http->closed = true;
    http->node = NULL;
    http_listen_close(http);
    http_live_close(http);
    if (http->context)
        lws_context_destroy(http->context);
}

void http_free(struct http *http)
{
    if (!http)
        return;
    if (http->context) /* its handles are gone now: the second half */
        lws_context_destroy(http->context);
    http_live_fini(http);
    names_fini(&http->names);
    xfree(http);
}
