/* weftd's HTTP listener: /metrics, /healthz, /readyz, /status.json, and the page of the mesh with
 * its WebSocket /live. Everything runs on the daemon's loop; nothing here waits.
 *
 * Life: http_open after the node, http_close before it goes, http_free after the loop ran out. */
#ifndef WEFTD_HTTP_H
#define WEFTD_HTTP_H

#include <uv.h>

#include <weft/weft.h>

#include "config.h"

struct http;

/* Where its lines go. */
typedef void (*http_log)(enum weft_log_level level, const char *text, void *user);

/* Listen as `config` says, which is copied. Opens nothing and gives NULL where it is off. On
 * failure a sentence of what is wrong, where, and what to do was logged as an error, and nothing is
 * left on the loop but handles that are closing: http_free is still due for *ret_http if that is
 * not NULL. [loop] Errors: WEFT_EADDRINUSE, WEFT_EACCESS, WEFT_EADDRNOTAVAIL, WEFT_EIO,
 * WEFT_ENOTSUP (libwebsockets has no libuv here). */
int http_open(uv_loop_t *loop, weft_node *node, const struct config_http *config, http_log log,
              void *user, struct http **ret_http);

/* Tell viewers at once that a link came or went. NULL is ignored. [loop] */
void http_event(struct http *http, const weft_event *event);

/* Close all connections; the node is not used any more. Its handles leave the loop over the next
 * turns. NULL is ignored, and so is a second call. [loop] */
void http_close(struct http *http);

/* After the loop ran out. NULL is ignored. */
void http_free(struct http *http);

#endif
