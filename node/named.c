/* Peers that somebody named: the program, its configuration, an operator by a command.
 *
 * What a configuration names is told at each start: by the option `peers`, or peer by peer and then
 * weft_node_configure_done. What the address book remembers of an earlier configuration, and the
 * present one does not name, is let go then, each with a line in the log: nobody is asked to know
 * it by heart. No link is broken by that and nothing is lost: it is dialled like any name that was
 * heard of, and given up when it does not answer. While the node runs a peer is taken back by
 * weft_node_unconfigure_peer, which ends the link, too. What an operator added stays either way. */
#include <stdio.h>

#include "node/node.h"

/* A leaf's router is on its host: it is tried again every second at the latest. */
#define LEAF_MAX_BACKOFF_NS (1 * NS_PER_SEC)
#define LEAF_BACKOFF_NS (250 * NS_PER_MS)

static void let_go(weft_node *node)
{
    struct addrbook_view view;
    while (addrbook_let_go(mesh_addrbook(node->mesh), &view))
        node_log(node, WEFT_LOG_INFO, "%s is no longer configured: %s", view.peer,
                 view.configured ? "it stays, as an operator added it"
                                 : "it is given up from now on when it does not answer");
}

int named_open(weft_node *node, const char *const *peers, char *text)
{
    struct addrbook_policy policy = {.persistent = true};
    if (node->role == ROLE_LEAF) {
        policy.default_backoff_ns = LEAF_BACKOFF_NS;
        policy.max_backoff_ns = LEAF_MAX_BACKOFF_NS;
    }
    for (size_t i = 0; peers && peers[i]; i++) {
        int rc = addrbook_add_named(mesh_addrbook(node->mesh), peers[i], ADDRBOOK_BY_CONFIG,
                                    &policy, node_now());
        if (rc == WEFT_ESELF) { /* a common list may name its reader */
            node_log(node, WEFT_LOG_WARN, "peers: %s is this node itself and is left out",
                     peers[i]);
        } else if (rc < 0) {
            snprintf(text, TEXT_SIZE, "peers: %s: %s", peers[i], weft_strerror(rc));
            return rc;
        }
    }
    if (peers)
        let_go(node);
    return 0;
}

/* ---- Calls ---- */

struct naming {
    const char *url;
    enum addrbook_by by;
    struct addrbook_policy policy;
};

static int run_name(weft_node *node, void *arg)
{
    const struct naming *n = arg;
    int rc = addrbook_add_named(mesh_addrbook(node->mesh), n->url, n->by, &n->policy, node_now());
    if (rc == 0 && node->depth == 0)
        node_request_turn(node);
    return rc;
}

int named_add(weft_node *node, const char *url, enum addrbook_by by,
              const weft_dial_options *options)
{
    weft_dial_options defaults;
    weft_dial_options_init(&defaults);
    if (!node || !url || (options && options->size != sizeof(*options)))
        return WEFT_EINVAL;
    const weft_dial_options *o = options ? options : &defaults;
    int rc = weft_url_check(url, NULL);
    if (rc < 0)
        return rc;
    struct naming n = {
        .url = url,
        .by = by,
        .policy =
            {
                .persistent = o->persistent,
                .max_attempts = o->max_attempts,
                .default_backoff_ns = o->backoff_ms * NS_PER_MS,
                .max_backoff_ns = o->max_backoff_ms * NS_PER_MS,
                .multiplier = o->multiplier,
            },
    };
    return node_call(node, run_name, &n);
}

int weft_node_dial(weft_node *node, const char *url, const weft_dial_options *options)
{
    return named_add(node, url, ADDRBOOK_BY_PROGRAM, options);
}

int weft_node_configure_peer(weft_node *node, const char *url, const weft_dial_options *options)
{
    return named_add(node, url, ADDRBOOK_BY_CONFIG, options);
}

static int run_forget(weft_node *node, void *arg)
{
    int rc = mesh_forget(node->mesh, arg, node_now());
    if (node->depth == 0)
        node_request_turn(node);
    return rc;
}

int weft_node_forget(weft_node *node, const char *url)
{
    return node && url ? node_call(node, run_forget, (void *)(uintptr_t)url) : WEFT_EINVAL;
}

static int run_unconfigure(weft_node *node, void *arg)
{
    int rc = mesh_unconfigure(node->mesh, arg, node_now());
    if (node->depth == 0)
        node_request_turn(node);
    return rc;
}

int weft_node_unconfigure_peer(weft_node *node, const char *url)
{
    return node && url ? node_call(node, run_unconfigure, (void *)(uintptr_t)url) : WEFT_EINVAL;
}

static int run_let_go(weft_node *node, void *arg)
{
    let_go(node);
    return 0;
}

int weft_node_configure_done(weft_node *node)
{
    return node ? node_call(node, run_let_go, NULL) : WEFT_EINVAL;
}

static int run_disown(weft_node *node, void *arg)
{
    return addrbook_disown(mesh_addrbook(node->mesh), arg, node_now());
}

int named_remove(weft_node *node, const char *url)
{
    int rc = node_call(node, run_disown, (void *)(uintptr_t)url);
    return rc == 1 ? rc : weft_node_forget(node, url);
}
