/* Peers as people see them: the links, and beside them what the address book knows.
 *
 * A link tells what passes over it; the book's entry of the same peer, why the last one ended, when
 * the next dial is due and how long it is tried. An entry without a link is a row of its own, whose
 * state says what becomes of it. A link on its way out, whose node has another that stands, is
 * none. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/node.h"
#include "node/report.h"

struct peers {
    weft_node *node;
    struct moment now;
    weft_peer_info *items;
    size_t count;
    bool failed;
};

/* The strings of a row, copied. */
struct texts {
    const char *url, *path, *agent, *state, *last_error;
};

static void add_texts(struct peers *out, weft_peer_info *p, const struct texts *t)
{
    p->url = mem_strdup(t->url);
    p->path = mem_strdup(t->path);
    p->agent = mem_strdup(t->agent);
    p->state = mem_strdup(t->state);
    p->last_error = mem_strdup(t->last_error);
    out->failed |= !p->url || !p->path || !p->agent || !p->state || !p->last_error;
}

/* ---- Links ---- */

static enum weft_role public_role(enum role role)
{
    return role == ROLE_PEER     ? WEFT_ROLE_PEER
           : role == ROLE_CLIENT ? WEFT_ROLE_CLIENT
                                 : WEFT_ROLE_LEAF;
}

static void fill_counters(weft_node *node, weft_peer_info *p, const struct conn *c)
{
    p->messages_in = c->messages_in;
    p->bytes_in = c->bytes_in;
    plane_lock(node);
    p->messages_out = c->out.messages;
    p->bytes_out = c->out.bytes;
    p->outbox_bytes = c->out.queued;
    memcpy(p->dropped, c->out.dropped, sizeof(p->dropped));
    plane_unlock(node);
}

/* By the name it gives itself, else by the one that was dialled. */
static bool find_entry(weft_node *node, const struct mesh_link *l, struct addrbook_view *ret_view)
{
    const struct addrbook *book = mesh_addrbook(node->mesh);
    const char *dialled = mesh_link_dialled(l);
    return (l->hs.peer.text[0] && addrbook_find(book, l->hs.peer.text, ret_view)) ||
           (dialled[0] && addrbook_find(book, dialled, ret_view));
}

static void add_link(struct peers *out, const struct mesh_link *l)
{
    bool up = l->state == LINK_UP;
    struct addrbook_view view;
    bool known = find_entry(out->node, l, &view);
    weft_peer_info *p = &out->items[out->count++];
    *p = (weft_peer_info){
        .role = public_role(l->hs.role),
        .inbound = !l->outbound,
        .base = l->hs.base,
        .features = l->hs.features,
        .uptime_ms = up ? (out->now.mono_ns - l->up_since) / NS_PER_MS : 0,
        .rtt_ns = l->rtt_ns,
        .jitter_ns = l->jitter_ns,
        .next_dial_ms = UINT64_MAX,
        .failed_attempts = known ? view.failed_attempts : 0,
        .persistent = known && view.kept,
    };
    memcpy(p->node_id, l->hs.node_id, sizeof(p->node_id));
    add_texts(out, p,
              &(struct texts){
                  .url = mesh_link_name(l),
                  .path = l->hs.peer.path,
                  .agent = l->hs.agent,
                  .state = up ? "linked" : "handshake",
                  .last_error = known ? view.last_error : "",
              });
    fill_counters(out->node, p, l->user);
}

/* ---- Entries ---- */

/* Has a dial of that name led to a connection, which is a row already? */
static bool in_handshake(weft_node *node, const char *name)
{
    list_each (it, mesh_links(node->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->state == LINK_HANDSHAKE && l->user && strcmp(mesh_link_dialled(l), name) == 0)
            return true;
    }
    return false;
}

static const char *state_of(const struct addrbook_view *view, struct moment now)
{
    if (view->dialing)
        return "dialing";
    if (view->node_banned_until > now.wall_ns)
        return "banned";
    return view->given_up ? "given up" : "waiting";
}

static uint64_t wait_ms(uint64_t when, uint64_t mono_ns)
{
    if (when == NEVER)
        return UINT64_MAX;
    return when > mono_ns ? (when - mono_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
}

static void add_entry(void *ctx, const struct addrbook_view *view)
{
    struct peers *out = ctx;
    if (out->failed || view->linked || (view->dialing && in_handshake(out->node, view->peer)))
        return;
    struct url url;
    bool parsed = url_parse(view->peer, strlen(view->peer), &url, NULL) == 0;
    const char *state = state_of(view, out->now);
    bool banned = strcmp(state, "banned") == 0; /* then it is only looked at again */
    weft_peer_info *p = &out->items[out->count++];
    *p = (weft_peer_info){
        .next_dial_ms = banned ? UINT64_MAX : wait_ms(view->next_dial, out->now.mono_ns),
        .failed_attempts = view->failed_attempts,
        .persistent = view->kept,
    };
    if (view->node_id)
        memcpy(p->node_id, view->node_id, sizeof(p->node_id));
    add_texts(out, p,
              &(struct texts){
                  .url = view->peer,
                  .path = parsed ? url.path : "",
                  .agent = "",
                  .state = state,
                  .last_error = view->last_error,
              });
}

/* ---- All of it ---- */

static int by_url(const void *a, const void *b)
{
    return strcmp(((const weft_peer_info *)a)->url, ((const weft_peer_info *)b)->url);
}

static bool is_shown(const struct mesh_link *l, bool all)
{
    return l->user && (l->state == LINK_UP || (all && l->state == LINK_HANDSHAKE));
}

int peers_take(weft_node *node, bool all, weft_peer_info **ret_peers, size_t *ret_count)
{
    struct peers out = {.node = node, .now = node_now()};
    const struct addrbook *book = mesh_addrbook(node->mesh);
    size_t most = all ? addrbook_count(book) : 0;
    list_each (it, mesh_links(node->mesh))
        most += is_shown(list_entry(it, struct mesh_link, node), all);
    out.items = mem_zalloc((most + 1) * sizeof(*out.items));
    if (!out.items)
        return WEFT_ENOMEM;
    list_each (it, mesh_links(node->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (is_shown(l, all) && !out.failed)
            add_link(&out, l);
    }
    if (all)
        addrbook_each(book, add_entry, &out);
    if (out.failed) {
        weft_peers_free(out.items, out.count);
        return WEFT_ENOMEM;
    }
    qsort(out.items, out.count, sizeof(*out.items), by_url);
    *ret_peers = out.items;
    *ret_count = out.count;
    return 0;
}

struct wanted_peers {
    weft_peer_info **ret_peers;
    size_t *ret_count;
};

static int run_peers(weft_node *node, void *arg)
{
    const struct wanted_peers *w = arg;
    return peers_take(node, false, w->ret_peers, w->ret_count);
}

int weft_node_peers(weft_node *node, weft_peer_info **ret_peers, size_t *ret_count)
{
    return node_call(node, run_peers, &(struct wanted_peers){ret_peers, ret_count});
}

void weft_peers_free(weft_peer_info *peers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *texts[] = {peers[i].url, peers[i].path, peers[i].agent, peers[i].state,
                               peers[i].last_error};
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            mem_free((char *)(uintptr_t)texts[k]);
    }
    mem_free(peers);
}
