/* Links from the first byte to the last.
 *
 * A link is dialled (DIALING, HANDSHAKE, UP) or accepted (HANDSHAKE, UP). Every way out is
 * link_end: a dial that failed, a refusal by either side, a lost connection, silence, the loser of
 * two links to one node, goodbye. It tells the other side why, reports to the address book what
 * became of the reservation, detaches the router's endpoint, hands the connection back to the owner
 * and frees the link. */
#include "mesh/private.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "proto/route.h"

struct mesh_link *link_new(struct mesh *m, bool outbound)
{
    struct mesh_link *l = mem_zalloc(sizeof(*l));
    if (!l)
        return NULL;
    l->priv = mem_zalloc(sizeof(*l->priv));
    struct handshake *machine = mem_zalloc(sizeof(*machine));
    if (!l->priv || !machine || timers_add(m, l) < 0) {
        mem_free(machine);
        mem_free(l->priv);
        mem_free(l);
        return NULL;
    }
    l->id = ++m->next_id;
    l->outbound = outbound;
    machine->deadline = NEVER;
    l->priv->machine = machine;
    l->hs.peer.text = machine->peer.text;
    l->hs.peer.path = machine->peer.path;
    l->hs.agent = machine->agent;
    l->priv->me = machine->me.text;
    l->priv->dialled = machine->dialled.text;
    l->priv->digest_at = l->priv->refresh_at = l->priv->expire_at = NEVER;
    l->priv->ask_deadline = l->priv->connect_deadline = l->priv->slice_at = NEVER;
    l->priv->asked.deadline = NEVER;
    l->priv->resync_pause = RESYNC_MIN_NS;
    list_push(&m->links, &l->node);
    return l;
}

void link_break(struct mesh *m, struct mesh_link *l)
{
    l->priv->broken = m->any_broken = true;
}

void link_identify(struct mesh_link *l)
{
    const struct handshake *h = l->priv->machine;
    l->hs.base = h->base;
    l->hs.has_node_id = h->has_node_id;
    l->hs.dialable = url_dialable(&h->peer);
    l->hs.on_own_host = url_on_own_host(&h->peer);
    memcpy(l->hs.node_id, h->node_id, sizeof(l->hs.node_id));
    l->hs.role = h->role;
    l->hs.max_frame = h->max_frame;
    l->hs.features = h->features;
    l->hs.incarnation = h->incarnation;
    l->hs.stamp = h->stamp;
    char identity[URL_MAX + 1];
    l->priv->name_hash = hash64(HASH64_SEED, identity, url_identity(&h->peer, identity));
}

static const char *move_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *to = memcpy(*at, text, size);
    *at += size;
    return to;
}

void link_drop_machine(struct mesh_link *l)
{
    struct link_private *p = l->priv;
    const char **texts[] = {&l->hs.peer.text, &l->hs.peer.path, &l->hs.agent, &p->me, &p->dialled};
    size_t size = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        size += strlen(*texts[i]) + 1;
    char *at = p->names = mem_alloc(size);
    if (!at)
        return; /* what is there will do */
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = move_text(&at, *texts[i]);
    mem_free(p->machine);
    p->machine = NULL;
}

bool link_identified(const struct mesh_link *l)
{
    const struct handshake *h = l->priv->machine;
    return l->hs.peer.text[0] != '\0' && !(h && h->state == HANDSHAKE_FAILED);
}

bool same_address(const char *text, const struct url *url)
{
    struct url other;
    return url_parse(text, strlen(text), &other, NULL) == 0 && url_same_address(&other, url);
}

bool link_same_name(const struct mesh_link *a, const struct mesh_link *b)
{
    struct url url;
    return a->priv->name_hash == b->priv->name_hash &&
           url_parse(a->hs.peer.text, strlen(a->hs.peer.text), &url, NULL) == 0 &&
           same_address(b->hs.peer.text, &url);
}

/* Does it come from another host, and call itself by what leads to a place on our own? */
static bool is_misnamed(const struct mesh_link *l)
{
    return l->hs.on_own_host && !l->local;
}

bool link_same_node(const struct mesh_link *a, const struct mesh_link *b)
{
    if (a->hs.has_node_id != b->hs.has_node_id)
        return false;
    if (a->hs.has_node_id)
        return memcmp(a->hs.node_id, b->hs.node_id, sizeof(a->hs.node_id)) == 0;
    return link_same_name(a, b) && is_misnamed(a) == is_misnamed(b);
}

struct mesh_link *link_other_there(struct mesh *m, const struct mesh_link *l)
{
    list_each (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o != l && o->state == LINK_UP && !is_misnamed(o) && link_same_name(o, l) &&
            !link_same_node(o, l))
            return o;
    }
    return NULL;
}

const char *link_book_name(const struct mesh_link *l)
{
    return is_misnamed(l) ? l->priv->dialled : l->hs.peer.text;
}

const char *link_name(const struct mesh_link *l)
{
    if (l->hs.peer.text[0])
        return l->hs.peer.text;
    if (l->priv->dialled[0])
        return l->priv->dialled;
    const char *host = l->priv->machine->remote_host; /* it has no name: it is not UP */
    return host[0] ? host : "a local connection";
}

static bool declares(const struct control *c)
{
    return c->type == MSG_INTENT || c->type == MSG_INTENTS || c->type == MSG_INTEREST ||
           c->type == MSG_INTERESTS;
}

/* A refusal names the frame it answers by this: no two that declare have the same. */
static uint64_t stamp_of(struct mesh *m, const struct mesh_link *l, const struct control *c,
                         struct moment now)
{
    const struct handshake *h = c->type == MSG_HANDSHAKE ? l->priv->machine : NULL;
    if (h && l->outbound && h->stamp)
        return h->stamp;
    return declares(c) ? mesh_stamp(m, now) : now.wall_ns;
}

void link_send(struct mesh *m, struct mesh_link *l, const struct control *c, enum lane lane,
               bool want_result, struct moment now)
{
    if (l->priv->said_goodbye)
        return;
    struct header header = {
        .timestamp = stamp_of(m, l, c, now),
        .type = c->type,
        .want_result = want_result,
    };
    buf_reset(&m->scratch);
    int rc = codec_encode(&m->scratch, &header, c);
    if (rc == 0)
        rc = m->ops->send(m->ctx, l, m->scratch.data, m->scratch.len, lane);
    if (rc < 0)
        link_break(m, l);
    if (rc == WEFT_ELIMIT)
        l->priv->overrun = true;
}

int link_takes(struct mesh *m, const struct mesh_link *l, const struct control *c)
{
    struct header header = {.timestamp = UINT64_MAX, .type = c->type};
    buf_reset(&m->scratch);
    int rc = codec_encode(&m->scratch, &header, c);
    return rc == 0 && m->scratch.len > l->hs.max_frame ? WEFT_ELIMIT : rc;
}

static struct control result_of(uint64_t nonce, int error, const char *text)
{
    enum result_code code = result_from_error(error);
    return (struct control){
        .type = MSG_RESULT,
        .result = {.nonce = nonce,
                   .error = code > RESULT_SHUTDOWN ? RESULT_FAILURE : code, /* those: inquiry.c */
                   .description = text},
    };
}

void link_send_result(struct mesh *m, struct mesh_link *l, uint64_t nonce, int error,
                      const char *text, struct moment now)
{
    struct control c = result_of(nonce, error, text);
    link_send(m, l, &c, LANE_CONTROL, false, now);
}

void link_send_refusal(struct mesh *m, struct mesh_link *l, uint64_t nonce, const struct decl *d,
                       bool intent, int error, const char *text, struct moment now)
{
    struct control c = result_of(nonce, error, text);
    c.result.route = d->route;
    c.result.intent = intent;
    link_send(m, l, &c, LANE_CONTROL, false, now);
}

/* The responder is as soon as it has the initiator's FINAL, which went out when it was identified.
 */
bool link_is_up_there(const struct mesh_link *l)
{
    return l->state >= LINK_UP || (l->outbound && !l->hs.base && link_identified(l) &&
                                   l->priv->machine->state == HANDSHAKE_PEERS);
}

/* GOODBYE precedes a deliberate close; what the other side did wrong is told by RESULT as well. A
 * base peer that is not through its handshake would take RESULT for an error of protocol; it is
 * told nothing. */
static void tell_end(struct mesh *m, struct mesh_link *l, int error, const char *text,
                     enum goodbye_reason goodbye, struct moment now)
{
    if (l->state == LINK_DIALING)
        return;
    bool says_goodbye = goodbye && (l->hs.features & FEATURE_GOODBYE) && link_is_up_there(l);
    if ((!says_goodbye || goodbye == GOODBYE_PROTOCOL) && (!l->hs.base || l->state >= LINK_UP))
        link_send_result(m, l, 0, error, text, now);
    if (says_goodbye) {
        struct control c = {.type = MSG_GOODBYE,
                            .goodbye = {.reason = goodbye, .description = text}};
        link_send(m, l, &c, LANE_ORDERED, false, now);
    }
}

/* Another link to the same node that has got as far, or further. */
static struct mesh_link *sibling_of(struct mesh *m, const struct mesh_link *l)
{
    list_each (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o != l && o->state == LINK_UP && link_same_node(o, l))
            return o;
    }
    return NULL;
}

static void report_to_book(struct mesh *m, struct mesh_link *l, int error, const char *text,
                           struct moment now)
{
    if (l->state != LINK_UP) {
        if (l->priv->book_entry)
            addrbook_dial_failed(m->book, l->priv->book_entry, error, text, now);
        return;
    }
    struct mesh_link *sibling = sibling_of(m, l);
    if (sibling) {
        sibling->priv->in_book |= l->priv->in_book;
        return;
    }
    if (l->priv->in_book) {
        bool stable = now.mono_ns - l->up_since >= ADDRBOOK_STABLE_NS;
        const uint8_t *id = l->hs.has_node_id ? l->hs.node_id : NULL;
        addrbook_unlinked(m->book, link_book_name(l), id, error, text, stable, now);
    }
    greet_heir(m, l, now);
}

static void report_event(struct mesh *m, struct mesh_link *l, int error, const char *text)
{
    if (m->leaving || l->state == LINK_RETIRING)
        return; /* that it is DOWN was told when it stepped back */
    if (l->state == LINK_UP) {
        mesh_event(m, WEFT_EVENT_PEER_DOWN, l, NULL, error, text);
    } else if (l->state == LINK_DIALING) {
        m->counts.dials_failed++;
        mesh_event(m, WEFT_EVENT_DIAL_FAILED, l, NULL, error, text);
    } else if (error == WEFT_EDUPLICATE || error == WEFT_EDISPLACED) {
        mesh_log(m, WEFT_LOG_DEBUG, "%s: %s", link_name(l), text);
    } else {
        m->counts.refused++;
        mesh_event(m, WEFT_EVENT_REFUSED, l, NULL, error, text);
    }
}

void link_end(struct mesh *m, struct mesh_link *l, int error, const char *text, bool tell,
              enum goodbye_reason goodbye, struct moment now)
{
    char copy[TEXT_MAX]; /* text may lie in the link */
    snprintf(copy, sizeof(copy), "%s", text ? text : weft_strerror(error));
    if (tell)
        tell_end(m, l, error, copy, goodbye, now);
    list_remove(&l->node);
    timers_remove(m, l);
    handover_ended(m, l, now);
    live_abandon(m, l);
    report_to_book(m, l, error, copy, now);
    report_event(m, l, error, copy);
    if (l->state == LINK_UP) {
        greet_doubt(m, l, error);
        m->up--;
        router_detach(m->router, l->id);
    } else if (l->state == LINK_RETIRING) {
        router_detach(m->router, l->id);
    } else if (l->state == LINK_HANDSHAKE && !l->outbound) {
        m->inbound_handshakes--;
    }
    m->ops->close(m->ctx, l, l->state == LINK_RETIRING || (tell && goodbye == GOODBYE_SHUTDOWN));
    routes_abandon(m, l);
    batch_clear(&l->priv->batch);
    if (l->priv->initial) {
        control_fini(l->priv->initial);
        mem_free(l->priv->initial);
    }
    mem_free(l->priv->batch.strings);
    mem_free(l->priv->batch.decls);
    mem_free(l->priv->refusals);
    mem_free(l->priv->machine);
    mem_free(l->priv->names);
    mem_free(l->priv);
    mem_free(l);
}

/* ---- What the owner reports ---- */

/* Make room among connections in the handshake: the oldest that has not said who it is goes, or the
 * oldest of all. */
static void evict_silent(struct mesh *m, struct moment now)
{
    struct mesh_link *oldest = NULL;
    list_each (it, &m->links) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->state != LINK_HANDSHAKE || l->outbound)
            continue;
        if (!oldest || (link_identified(oldest) && !link_identified(l)))
            oldest = l;
    }
    if (oldest)
        link_end(m, oldest, WEFT_ELIMIT, "too many connections in the handshake at once", true, 0,
                 now);
}

struct mesh_link *mesh_accept(struct mesh *m, void *user, const char *remote_host, bool local,
                              bool guarded, struct moment now)
{
    if (m->leaving)
        return NULL;
    if (m->inbound_handshakes >= HANDSHAKES_MAX)
        evict_silent(m, now);
    struct mesh_link *l = link_new(m, false);
    if (!l)
        return NULL;
    l->user = user;
    l->local = local;
    l->priv->guarded = guarded;
    l->state = LINK_HANDSHAKE;
    l->priv->last_rx = now.mono_ns;
    m->inbound_handshakes++;
    greet_start(m, l, NULL, remote_host, now);
    mesh_settle(m, now);
    return l;
}

void mesh_opened(struct mesh *m, struct mesh_link *l, int error, const char *remote_host,
                 bool local, struct moment now)
{
    if (error) {
        link_end(m, l, error, weft_strerror(error), false, 0, now);
    } else {
        struct url dialled = l->priv->machine->dialled;
        l->state = LINK_HANDSHAKE;
        l->local = local;
        l->priv->connect_deadline = NEVER;
        l->priv->last_rx = now.mono_ns;
        greet_start(m, l, &dialled, remote_host, now);
    }
    mesh_settle(m, now);
}

void mesh_received(struct mesh_link *l, uint64_t mono_ns)
{
    l->priv->last_rx = mono_ns;
}

void mesh_ended(struct mesh *m, struct mesh_link *l, int error, struct moment now)
{
    const char *text = l->state >= LINK_UP
                           ? weft_strerror(error == WEFT_ECLOSED ? WEFT_ELOST : error)
                           : "closed by the other side during the handshake";
    link_end(m, l, error == WEFT_ECLOSED ? WEFT_ELOST : error, text, false, 0, now);
    mesh_settle(m, now);
}

void mesh_malformed(struct mesh *m, struct mesh_link *l, int error, const char *text,
                    struct moment now)
{
    link_end(m, l, error, text, true, GOODBYE_PROTOCOL, now);
    mesh_settle(m, now);
}

/* ---- Dispatch ---- */

/* Before DONE only the handshake speaks. A base peer PINGs at once: that waits. */
static void frame_in_handshake(struct mesh *m, struct mesh_link *l, struct control *c,
                               const struct header *h, struct moment now)
{
    switch (c->type) {
    case MSG_HANDSHAKE:
        greet_handshake(m, l, c, h->timestamp, now);
        return;
    case MSG_PEERS:
        greet_peers(m, l, c, h->timestamp, now);
        return;
    case MSG_RESULT: {
        if (c->result.error == RESULT_OK)
            return;
        char text[TEXT_MAX];
        snprintf(text, sizeof(text), "refused by the other side: %s", c->result.description);
        link_end(m, l, result_to_error(c->result.error), text, false, 0, now);
        return;
    }
    case MSG_PING:
    case MSG_PONG:
        return;
    default:
        link_end(m, l, WEFT_EPROTO, "only HANDSHAKE, PEERS, PING and RESULT may come before DONE",
                 true, 0, now);
    }
}

static void receive_result(struct mesh *m, struct mesh_link *l, const struct control *c)
{
    if (c->result.error == RESULT_OK || inquiry_receive_result(m, l, c))
        return;
    int error = result_to_error(c->result.error);
    const char *about = c->result.route;
    struct route named;
    if (about[0] && route_parse(about, strlen(about), &named, NULL) == 0) {
        mesh_route_event(m, l, about, c->result.intent, error, c->result.description);
        if (m->me.role == ROLE_LEAF && m->ops->refused)
            m->ops->refused(m->ctx, about, c->result.intent, error, c->result.nonce);
        return;
    }
    if (l->priv->ask_token && (error == WEFT_EDENIED || error == WEFT_ELIMIT)) {
        m->ops->answer(m->ctx, l->priv->ask_token, error, 0, NULL, 0);
        l->priv->ask_token = 0;
        return;
    }
    bool route = error == WEFT_EDENIED || error == WEFT_ESCHEMA || error == WEFT_ENOROUTE ||
                 error == WEFT_ELIMIT || error == WEFT_EMALFORMED;
    mesh_event(m, route ? WEFT_EVENT_ROUTE_REFUSED : WEFT_EVENT_WARNING, l, NULL, error,
               c->result.description);
}

static void receive_goodbye(struct mesh *m, struct mesh_link *l, const struct control *c,
                            struct moment now)
{
    static const int errors[] = {
        [GOODBYE_SHUTDOWN] = WEFT_ESHUTDOWN,   [GOODBYE_DISPLACED] = WEFT_EDISPLACED,
        [GOODBYE_FORGOTTEN] = WEFT_EFORGOTTEN, [GOODBYE_IDLE] = WEFT_ECLOSED,
        [GOODBYE_PROTOCOL] = WEFT_EPROTO,      [GOODBYE_BANNED] = WEFT_EDENIED,
        [GOODBYE_FULL] = WEFT_ELIMIT,
    };
    uint32_t reason = c->goodbye.reason;
    int error = reason && reason < ARRAY_LEN(errors) ? errors[reason] : WEFT_ECLOSED;
    if (error == WEFT_EDISPLACED && handover_goodbye(m, l, now))
        return;
    char peer[URL_MAX + 1];
    snprintf(peer, sizeof(peer), "%s", link_other_there(m, l) ? "" : link_book_name(l));
    char text[TEXT_MAX];
    snprintf(text, sizeof(text), "goodbye: %s", c->goodbye.description);
    link_end(m, l, error, text, false, 0, now);
    if (error == WEFT_EFORGOTTEN)
        addrbook_unwanted(m->book, peer, now);
}

static void frame_when_up(struct mesh *m, struct mesh_link *l, struct control *c, size_t size,
                          const struct header *h, struct moment now)
{
    switch (c->type) {
    case MSG_INTENT:
    case MSG_INTENTS:
    case MSG_INTEREST:
    case MSG_INTERESTS:
        if (c->decls.count && !greet_declares(m, l, now))
            return;
        routes_receive(m, l, c, h->timestamp, now);
        break;
    case MSG_DIGEST:
        if (l->hs.features & FEATURE_DIGEST) /* else one would answer with a type it may not know */
            digest_receive(m, l, c, now);
        break;
    case MSG_PEERS:
        gossip_receive(m, l, c, h->timestamp, now);
        break;
    case MSG_PING:
        live_receive_ping(m, l, c, h, now);
        break;
    case MSG_PONG:
        live_receive_pong(m, l, c, now);
        break;
    case MSG_RESULT:
        receive_result(m, l, c);
        break;
    case MSG_ADDRBOOK:
        book_receive(m, l, c, h, now);
        break;
    case MSG_QUERY:
        inquiry_receive_query(m, l, c, h, now);
        break;
    case MSG_ANSWER:
        inquiry_receive_answer(m, l, c, size, now);
        break;
    case MSG_GOODBYE:
        receive_goodbye(m, l, c, now);
        return;
    case MSG_HANDSHAKE: /* an UPDATE is ignored, anything else ends the link */
        greet_handshake(m, l, c, h->timestamp, now);
        return;
    default: /* NOTIFY_INTENT tells nothing new */
        break;
    }
    bool answered = c->type == MSG_ADDRBOOK || c->type == MSG_QUERY;
    if (h->want_result && !l->hs.base && !answered)
        link_send_result(m, l, h->timestamp, 0, "", now);
}

void mesh_frame(struct mesh *m, struct mesh_link *l, const struct frame *frame,
                const struct header *header, struct moment now)
{
    struct control c = {0};
    routes_finish(m, l, now); /* whoever feeds a stalled link: frames keep their order */
    int rc = codec_decode(header->type, frame->body, frame->body_size, &c);
    if (rc == WEFT_ENOTSUP && l->state >= LINK_UP) {
        mesh_log(m, WEFT_LOG_DEBUG, "%s: skipped a frame of unknown type %u", link_name(l),
                 header->type);
    } else if (rc < 0) {
        char text[TEXT_MAX];
        snprintf(text, sizeof(text), "the body of a type %u frame of %zu bytes: %s", header->type,
                 frame->size, weft_strerror(rc));
        link_end(m, l, rc, text, true, GOODBYE_PROTOCOL, now);
    } else if (l->state >= LINK_UP) {
        frame_when_up(m, l, &c, frame->body_size, header, now);
    } else {
        frame_in_handshake(m, l, &c, header, now);
    }
    control_fini(&c);
    mesh_settle(m, now);
}
