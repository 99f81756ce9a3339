/* PEERS: names told and names heard (docs/protocol.md section 6).
 *
 * A new link is told of all peers we hold a link to; later a peer hears only of those newly linked
 * to us, gathered for ANNOUNCE_NS so that a mesh forming does not send a frame per name. Names
 * heard go into the address book within its limits. Clients and leaves have no name others could
 * dial. */
#include "mesh/private.h"

#include <stdio.h>
#include <string.h>

#define NAMES_BYTES (BASE_FRAME_MAX - 1000) /* of names in one PEERS */

static bool is_nameable(const struct mesh_link *l)
{
    return l->state == LINK_UP && l->hs.role == ROLE_PEER && l->hs.dialable;
}

/* Names on their way into PEERS, as many frames as they need. A base peer takes 60 kB in one. */
struct roll {
    struct mesh_link *to;
    const char *names[PEERS_NAMES_MAX];
    size_t count, bytes, frames;
};

static void roll_send(struct mesh *m, struct roll *roll, struct moment now)
{
    struct control c = {.type = MSG_PEERS, .peers = {.ids = roll->names, .count = roll->count}};
    link_send(m, roll->to, &c, LANE_CONTROL, false, now);
    roll->count = roll->bytes = 0;
    roll->frames++;
}

static void roll_add(struct mesh *m, struct roll *roll, const struct mesh_link *l,
                     struct moment now)
{
    size_t size = strlen(l->hs.peer.text) + 4;
    if (roll->count == PEERS_NAMES_MAX || roll->bytes + size > NAMES_BYTES)
        roll_send(m, roll, now);
    roll->names[roll->count++] = l->hs.peer.text;
    roll->bytes += size;
}

/* A name that leads to a place on this host is of use to nobody on another; and who comes from
 * another host has none here. */
static bool worth_telling(const struct mesh_link *to, const struct mesh_link *l)
{
    return l != to && is_nameable(l) && (!l->hs.on_own_host || (to->local && l->local));
}

static bool takes_names(const struct mesh *m, const struct mesh_link *to)
{
    return to->hs.role != ROLE_LEAF && m->me.role == ROLE_PEER;
}

/* Also when there is no name to tell: the handshake waits for it. */
void gossip_send_all(struct mesh *m, struct mesh_link *to, struct moment now)
{
    struct roll roll = {.to = to};
    list_each (it, &m->links) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (takes_names(m, to) && worth_telling(to, l))
            roll_add(m, &roll, l, now);
    }
    if (roll.count || !roll.frames)
        roll_send(m, &roll, now);
}

/* Links that others have not been told of, as many as one PEERS takes. */
struct news {
    const struct mesh_link *links[PEERS_NAMES_MAX];
    size_t count;
};

static void gather(struct mesh *m, struct news *news)
{
    news->count = 0;
    list_each (it, &m->links) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (!l->priv->unannounced)
            continue;
        if (news->count == PEERS_NAMES_MAX)
            return;
        l->priv->unannounced = false;
        news->links[news->count++] = l;
    }
}

static void announce_to(struct mesh *m, struct mesh_link *to, const struct news *news,
                        struct moment now)
{
    struct roll roll = {.to = to};
    for (size_t i = 0; i < news->count; i++) {
        if (worth_telling(to, news->links[i]))
            roll_add(m, &roll, news->links[i], now);
    }
    if (roll.count)
        roll_send(m, &roll, now);
}

void gossip_announce(struct mesh *m, struct moment now)
{
    struct news news;
    m->announce_at = NEVER;
    for (gather(m, &news); news.count; gather(m, &news)) {
        list_each (it, &m->links) {
            struct mesh_link *to = list_entry(it, struct mesh_link, node);
            if (to->state == LINK_UP && takes_names(m, to))
                announce_to(m, to, &news, now);
        }
    }
}

static void receive_removal(struct mesh *m, struct mesh_link *l, const struct control *c,
                            uint64_t nonce, struct moment now)
{
    for (size_t i = 0; i < c->peers.count; i++) {
        struct url url;
        const char *name = c->peers.ids[i];
        if (url_parse(name, strlen(name), &url, NULL) == 0 && same_address(l->hs.peer.text, &url) &&
            !link_other_there(m, l)) {
            addrbook_departed(m->book, link_book_name(l), now);
            continue;
        }
        link_send_result(m, l, nonce, WEFT_EDENIED,
                         "a peer may announce the departure of nobody but itself", now);
        return;
    }
}

void gossip_receive(struct mesh *m, struct mesh_link *l, const struct control *c, uint64_t nonce,
                    struct moment now)
{
    if (c->peers.remove) {
        receive_removal(m, l, c, nonce, now);
        return;
    }
    if (m->me.role == ROLE_LEAF || l->hs.role != ROLE_PEER)
        return;
    size_t taken = c->peers.count;
    if (taken > PEERS_NAMES_MAX) {
        char text[TEXT_MAX];
        snprintf(text, sizeof(text),
                 "PEERS with %zu names, the first %u were taken; send at most that many", taken,
                 PEERS_NAMES_MAX);
        taken = PEERS_NAMES_MAX;
        if (!l->hs.base)
            link_send_result(m, l, nonce, WEFT_ELIMIT, text, now);
        mesh_event(m, WEFT_EVENT_WARNING, l, NULL, WEFT_ELIMIT, text);
    }
    for (size_t i = 0; i < taken; i++) {
        int rc = addrbook_add_gossip(m->book, c->peers.ids[i], l->hs.peer.text, !l->local, now);
        if (rc < 0)
            mesh_log(m, WEFT_LOG_DEBUG, "%s: name %.256s not taken: %s", link_name(l),
                     c->peers.ids[i], weft_strerror(rc));
    }
}

/* We leave: the peer drops our name and dials it no more, until it is told it again. */
void gossip_depart(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (m->me.role != ROLE_PEER || l->hs.base)
        return;
    const char *name = l->priv->me;
    struct control c = {.type = MSG_PEERS, .peers = {.ids = &name, .count = 1, .remove = true}};
    link_send(m, l, &c, LANE_CONTROL, false, now);
}
