/* weftd built without its HTTP listener (-Dhttp=disabled): the configuration refuses the setting,
 * so that there is never anything to open. */
#include "http.h"

int http_open(uv_loop_t *loop, weft_node *node, const struct config_http *config, http_log log,
              void *user, struct http **ret_http)
{
    *ret_http = NULL;
    return config->listen.count == 0 ? 0 : WEFT_ENOTSUP;
}

void http_event(struct http *http, const weft_event *event)
{
}

void http_close(struct http *http)
{
}

void http_free(struct http *http)
{
}
