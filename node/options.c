/* Options of a node: defaults and checks, each with a sentence that names the place and the remedy.
 */
#include <stdio.h>
#include <string.h>

#include "node/node.h"
#include "proto/route.h"

void weft_options_init(weft_options *options)
{
    *options = (weft_options){
        .size = sizeof(*options),
        .max_frame = FRAME_MAX_DEFAULT,
        .max_peers = 1024,
        .max_routes = 1000000,
        .outbox = (size_t)16 << 20,
        .linger_ms = 1000,
        .log_level = WEFT_LOG_INFO,
    };
}

int weft_url_check(const char *url, size_t *ret_where)
{
    struct url parsed;
    if (!url)
        return WEFT_EURL;
    int rc = url_parse(url, strlen(url), &parsed, ret_where);
    if (rc < 0)
        return rc;
    return transport_known(parsed.scheme) ? 0 : WEFT_ENOTSUP;
}

int weft_url_explain(const char *url, char *buf, size_t size)
{
    struct url parsed;
    if (url_parse(url, strlen(url), &parsed, NULL) < 0 || transport_known(parsed.scheme))
        return url_explain(url, strlen(url), buf, size);
    int n = snprintf(buf, size,
                     "there is no transport for the scheme \"%s\"; there are tcp, unix and inproc",
                     parsed.scheme);
    return n < 0 || size == 0 ? 0 : (size_t)n < size ? n : (int)size - 1;
}

int weft_route_explain(const char *route, char *buf, size_t size)
{
    return route_explain(route, strlen(route), buf, size);
}

static int check_url(const char *what, const char *text, bool dialled, struct url *ret_url,
                     char *out, size_t size)
{
    char why[256];
    int rc = url_parse(text, strlen(text), ret_url, NULL);
    if (rc < 0) {
        url_explain(text, strlen(text), why, sizeof(why));
        snprintf(out, size, "%s: %s", what, why);
        return rc;
    }
    if (!transport_known(ret_url->scheme)) {
        snprintf(out, size, "%s: %s: no transport for \"%s\"; use tcp, unix or inproc", what, text,
                 ret_url->scheme);
        return WEFT_ENOTSUP;
    }
    if (dialled && !url_dialable(ret_url)) {
        snprintf(out, size, "%s: %s names no address to connect to; give a host and a port", what,
                 text);
        return WEFT_EURL;
    }
    return 0;
}

static int check_list(const char *what, const char *const *list, bool dialled, char *text,
                      size_t size)
{
    struct url url;
    for (size_t i = 0; list && list[i]; i++) {
        int rc = check_url(what, list[i], dialled, &url, text, size);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_numbers(const weft_options *o, char *text, size_t size)
{
    if (o->max_frame < FRAME_MAX_HANDSHAKE || o->max_frame > FRAME_MAX_LIMIT)
        snprintf(text, size, "max_frame: %u bytes; it must be from 64 KiB to 64 MiB", o->max_frame);
    else if (o->max_peers == 0 || o->max_routes == 0 || o->outbox == 0)
        snprintf(text, size, "max_peers, max_routes and outbox must not be 0");
    else if ((unsigned)o->role > WEFT_ROLE_LEAF)
        snprintf(text, size, "role: %d is none of AUTO, PEER, CLIENT, LEAF", (int)o->role);
    else if ((unsigned)o->info > WEFT_ACCESS_ANY)
        snprintf(text, size, "info: %d is none of NONE, UNIX, LOCAL, ANY", (int)o->info);
    else if ((unsigned)o->control > WEFT_ACCESS_ANY)
        snprintf(text, size, "control: %d is none of NONE, UNIX, LOCAL, ANY", (int)o->control);
    else
        return 0;
    return WEFT_EINVAL;
}

static enum role choose_role(const weft_options *o)
{
    if (o->role != WEFT_ROLE_AUTO)
        return o->role == WEFT_ROLE_PEER     ? ROLE_PEER
               : o->role == WEFT_ROLE_CLIENT ? ROLE_CLIENT
                                             : ROLE_LEAF;
    if (o->self || (o->listen && o->listen[0]))
        return ROLE_PEER;
    bool all_unix = o->peers && o->peers[0];
    for (size_t i = 0; o->peers && o->peers[i]; i++)
        all_unix &= strncmp(o->peers[i], "unix:", 5) == 0;
    return all_unix ? ROLE_LEAF : ROLE_CLIENT;
}

/* Without an address of its own a node is named by scheme://0.0.0.0:0/path. */
static int nominal_self(const weft_options *o, struct url *ret_self, char *text, size_t size)
{
    struct url first = {.scheme = "tcp"};
    if (o->peers && o->peers[0])
        url_parse(o->peers[0], strlen(o->peers[0]), &first, NULL);
    char name[URL_MAX + 1];
    const char *path = o->path ? o->path : "";
    size_t where;
    if (!path_valid(path, strlen(path), &where) ||
        (size_t)snprintf(name, sizeof(name), "%s://0.0.0.0:0/%s", first.scheme, path) >=
            sizeof(name)) {
        snprintf(text, size, "path: \"%.200s\" is not segments separated by '.'", path);
        return WEFT_EURL;
    }
    return check_url("path", name, false, ret_self, text, size);
}

static int check_self(const weft_options *o, enum role role, struct url *ret_self, char *text,
                      size_t size)
{
    const char *self = o->self ? o->self : o->listen && o->listen[0] ? o->listen[0] : NULL;
    if (!self || role != ROLE_PEER) {
        if (self) {
            snprintf(text, size,
                     "self: a client or leaf does not listen; leave self out or be a peer");
            return WEFT_EINVAL;
        }
        if (role == ROLE_PEER) {
            snprintf(text, size, "self: a peer listens; give self, or be a client or leaf");
            return WEFT_EINVAL;
        }
        return nominal_self(o, ret_self, text, size);
    }
    int rc = check_url("self", self, false, ret_self, text, size);
    if (rc == 0 && o->path && strcmp(o->path, ret_self->path) != 0) {
        snprintf(text, size, "path: \"%s\" differs from the path of self; leave it out", o->path);
        rc = WEFT_EINVAL;
    }
    return rc;
}

int options_check(const weft_options *o, struct url *ret_self, enum role *ret_role, char *text,
                  size_t size)
{
    struct url advertise;
    if (o->size != sizeof(*o)) {
        snprintf(text, size, "options: not initialised; call weft_options_init first");
        return WEFT_EINVAL;
    }
    *ret_role = choose_role(o);
    int rc = check_numbers(o, text, size);
    if (rc == 0)
        rc = check_self(o, *ret_role, ret_self, text, size);
    if (rc == 0 && o->advertise)
        rc = check_url("advertise", o->advertise, true, &advertise, text, size);
    if (rc == 0)
        rc = check_list("listen", o->listen, false, text, size);
    if (rc == 0)
        rc = check_list("peers", o->peers, true, text, size);
    if (rc == 0 && *ret_role == ROLE_LEAF && (!o->peers || !o->peers[0] || o->peers[1])) {
        snprintf(text, size, "peers: a leaf has exactly one router; give one peer URL");
        rc = WEFT_EINVAL;
    }
    return rc;
}

void weft_dial_options_init(weft_dial_options *options)
{
    *options = (weft_dial_options){
        .size = sizeof(*options),
        .persistent = true,
        .max_attempts = 10,
        .backoff_ms = 1000,
        .max_backoff_ms = 60000,
        .multiplier = 1.5f,
    };
}
