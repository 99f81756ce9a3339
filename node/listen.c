/* Listening: what a peer is reached by. An address that cannot be had is an error of the call that
 * opens the node, with a sentence on the remedy; a connection that cannot be accepted later is only
 * logged. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "node/node.h"

static void on_accept(struct listener *l, struct stream *s, void *user)
{
    struct node_listener *nl = user;
    weft_node *node = nl->owner;
    if (node->leaving) {
        stream_close(s);
        return;
    }
    node_enter(node);
    conn_accept(node, s);
    node_leave(node);
}

/* Without descriptors this comes ten times a second until there are some again: once a minute is
 * told. */
static void on_accept_error(struct listener *l, int error, void *user)
{
    struct node_listener *nl = user;
    weft_node *node = nl->owner;
    uint64_t mono = node_now().mono_ns;
    if (node->accept_told && mono - node->accept_told < 60 * NS_PER_SEC)
        return;
    node->accept_told = mono;
    node_enter(node);
    node_log(node, WEFT_LOG_WARN, "a connection could not be accepted: %s%s", weft_strerror(error),
             error == WEFT_EMFILE ? "; raise the limit on open files" : "");
    node_leave(node);
}

static void on_listener_closed(struct listener *l, void *user)
{
    struct node_listener *nl = user;
    weft_node *node = nl->owner;
    list_remove(&nl->node);
    mem_free(nl->url);
    mem_free(nl);
    node->handles--;
    node_enter(node);
    node_leave(node);
    node_maybe_gone(node);
}

static const struct listener_handler listener_handler = {
    .on_accept = on_accept,
    .on_error = on_accept_error,
    .on_closed = on_listener_closed,
};

static const char *listen_remedy(const struct url *url, int error)
{
    bool file = strcmp(url->scheme, "unix") == 0;
    switch (error) {
    case WEFT_EADDRINUSE:
        return file ? "; another program listens there, or the file is no socket: stop it or "
                      "choose another name"
                    : "; another program listens there: stop it or choose another port";
    case WEFT_EADDRNOTAVAIL:
        return file ? "; the path of a socket begins with a slash and has at most 107 bytes"
                    : "; no interface of this host has that address: check it, or use 0.0.0.0";
    case WEFT_EACCESS:
        return "; this user may not listen there: use a port over 1023 or another folder";
    case WEFT_ENOTFOUND:
        return "; the folder does not exist: create it";
    case WEFT_ERESOLVE:
        return "; use an address instead of the name, or mend the name service";
    default:
        return "";
    }
}

static int listen_on(weft_node *node, const struct url *url, struct url *ret_url, char *text)
{
    struct node_listener *nl = mem_zalloc(sizeof(*nl));
    if (!nl)
        return WEFT_ENOMEM;
    nl->owner = node;
    int rc = transport_listen(node->loop, url, &listener_handler, nl, &nl->listener, ret_url);
    if (rc < 0) {
        snprintf(text, TEXT_SIZE, "cannot listen on %s: %s%s", url->text, weft_strerror(rc),
                 listen_remedy(url, rc));
        mem_free(nl);
        return rc;
    }
    list_push(&node->listeners, &nl->node);
    node->handles++;
    nl->url = mem_strdup(ret_url->text);
    return nl->url ? 0 : WEFT_ENOMEM;
}

int node_listen(weft_node *node, const weft_options *o, char *text)
{
    struct url bound = node->self;
    bool self_listens = node->role == ROLE_PEER && o->self;
    int rc = self_listens ? listen_on(node, &node->self, &bound, text) : 0;
    for (size_t i = 0; rc == 0 && node->role == ROLE_PEER && o->listen && o->listen[i]; i++) {
        struct url url, real;
        rc = url_parse(o->listen[i], strlen(o->listen[i]), &url, NULL);
        if (rc == 0)
            rc = listen_on(node, &url, &real, text);
        if (rc == 0 && i == 0 && !self_listens)
            bound = real;
    }
    if (rc < 0)
        return rc;
    node->self = bound;
    node->url_text = str_new(bound.text, strlen(bound.text));
    if (!node->url_text)
        return WEFT_ENOMEM;
    if (o->advertise)
        rc = url_parse(o->advertise, strlen(o->advertise), &bound, NULL);
    return rc < 0 ? rc : mesh_set_self(node->mesh, &bound);
}
