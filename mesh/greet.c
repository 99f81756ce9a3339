/* The handshake's part in the mesh: what the machine in handshake/ asks for is sent, who it
 * identified is checked against the address book and the other links, and a link that is DONE goes
 * UP (docs/protocol.md section 4).
 *
 * The order at the end is the protocol's: FINAL and PEERS are queued first, then the link is UP and
 * the router's full state follows. Routes that the other side's INITIAL carried are registered only
 * then. */
#include "mesh/private.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Routes for an INITIAL, gathered up to INITIAL_LISTS_MAX bytes. */
struct lists {
    struct decl *intents, *interests;
    size_t n_intents, n_interests, bytes, cap;
    bool complete;
};

static bool lists_add(void *ctx, const struct router_advert *advert)
{
    struct lists *lists = ctx;
    size_t size = advert->route->len + 48u + (advert->origin ? advert->origin->len : 0);
    if (lists->bytes + size > INITIAL_LISTS_MAX ||
        lists->n_intents + lists->n_interests == lists->cap) {
        lists->complete = false;
        return false;
    }
    lists->bytes += size;
    struct decl d = {
        .route = advert->route->text,
        .hops = advert->hops,
        .ttl_ns = TTL_NS,
        .registered = true,
        .alias = advert->alias,
        .schema = advert->schema,
        .origin = str_text(advert->origin),
    };
    if (advert->intent)
        lists->intents[lists->n_intents++] = d;
    else
        lists->interests[lists->n_interests++] = d;
    return true;
}

static enum endpoint_class class_of(const struct mesh *m, enum role role)
{
    if (m->me.role == ROLE_LEAF)
        return ENDPOINT_UPLINK;
    return role == ROLE_LEAF ? ENDPOINT_LEAF : ENDPOINT_PEER;
}

static struct endpoint_options endpoint_of(const struct mesh *m, const struct mesh_link *l)
{
    return (struct endpoint_options){
        .class = class_of(m, l->hs.role),
        .path = l->hs.peer.path,
        .name = l->hs.peer.text,
        .base = l->hs.base,
        .patterns = (l->hs.features & FEATURE_PATTERNS) != 0,
    };
}

/* Does the other side speak weft, as far as we can know before it has said so? */
static bool speaks_weft(const struct mesh *m, const struct mesh_link *l)
{
    if (link_identified(l))
        return !l->hs.base;
    struct addrbook_view view;
    return addrbook_find(m->book, l->priv->dialled, &view) && view.node_id;
}

static void send_initial(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct control c = {.type = MSG_HANDSHAKE};
    handshake_fill(l->priv->machine, STAGE_INITIAL, &c.handshake);
    struct decl decls[2 * BATCH_MAX];
    struct lists lists = {
        .intents = decls,
        .interests = decls + BATCH_MAX,
        .cap = BATCH_MAX,
        .complete = true,
    };
    if (speaks_weft(m, l) && !l->priv->spare) {
        struct endpoint_options options = endpoint_of(m, l);
        if (!link_identified(l))
            options.path = l->priv->machine->dialled.path;
        router_each_advert(m->router, &options, lists_add, &lists);
        c.handshake.intents = lists.intents;
        c.handshake.n_intents = lists.n_intents;
        c.handshake.interests = lists.interests;
        c.handshake.n_interests = lists.n_interests;
        /* Before it is identified its path and features are only assumed. */
        l->priv->initial_complete = lists.complete && link_identified(l);
        l->priv->initial_count = (uint32_t)(lists.n_intents + lists.n_interests);
        l->priv->initial_generation = router_generation(m->router);
    }
    link_send(m, l, &c, LANE_CONTROL, false, now);
}

/* Keep of a list what would be registered; returns how many. */
static size_t take(const struct mesh *m, const struct mesh_link *l, struct decl *items,
                   size_t count, bool intents)
{
    struct endpoint_options options = endpoint_of(m, l);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (router_would_take(m->router, &options, &items[i], intents))
            items[n++] = items[i];
    }
    return n;
}

static void send_final(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct control c = {.type = MSG_HANDSHAKE};
    handshake_fill(l->priv->machine, STAGE_FINAL, &c.handshake);
    struct control *initial = l->priv->initial;
    if (initial && !l->hs.base) {
        struct handshake_msg *got = &initial->handshake;
        got->n_intents = take(m, l, got->intents, got->n_intents, true);
        got->n_interests = take(m, l, got->interests, got->n_interests, false);
        c.handshake.intents = got->intents;
        c.handshake.n_intents = got->n_intents;
        c.handshake.interests = got->interests;
        c.handshake.n_interests = got->n_interests;
    }
    link_send(m, l, &c, LANE_CONTROL, false, now);
}

/* ---- Who is it? ---- */

static struct link_claim claim_of(const struct mesh_link *l)
{
    return (struct link_claim){
        .initiated = l->outbound,
        .base = l->hs.base,
        .incarnation = l->hs.incarnation,
        .stamp = l->hs.stamp,
        .done_since = l->state == LINK_UP ? l->up_since : NEVER,
    };
}

/* The other link to the same node stands: this one goes. */
static void yield_to(struct mesh *m, struct mesh_link *l, struct mesh_link *o, struct moment now)
{
    if (o->state == LINK_UP && l->priv->book_entry) {
        /* What was dialled is one more name of a linked peer. */
        addrbook_linked(m->book, l->priv->book_entry, link_book_name(o),
                        o->hs.has_node_id ? o->hs.node_id : NULL, now);
        l->priv->book_entry = 0;
        o->priv->in_book = true;
    }
    link_end(m, l, WEFT_EDUPLICATE, "another link to this node stands", true, 0, now);
}

/* What a process sent before it ended may be read after its successor has linked. Where the two are
 * told apart by no stamps, it is known by this: it comes over a link that we had when the successor
 * said who it is, from an incarnation that had to go for that one. */
static bool is_left_behind(const struct mesh_link *l, const struct mesh_link *o)
{
    return o->priv->succeeded && l->hs.incarnation == o->priv->former &&
           l->hs.incarnation != o->hs.incarnation && l->id <= o->priv->met;
}

static void succeed(struct mesh_link *l, const struct mesh_link *former)
{
    if (former->hs.incarnation == l->hs.incarnation)
        return;
    l->priv->succeeded = true;
    l->priv->former = former->hs.incarnation;
}

enum settled { SETTLED, ENDED_OTHER, ENDED_THIS };

/* Every other link to the same node against this one, up to the first that ends. */
static enum settled settle_next(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct link_claim fresh = claim_of(l);
    list_each (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o == l || !link_same_node(o, l) || !link_identified(o))
            continue;
        if (handover_under_way(m, o, l))
            continue;
        struct link_claim old = claim_of(o);
        if (is_left_behind(l, o) || handshake_arbitrate(m->me.node_id, l->hs.node_id, &old, &fresh,
                                                        now.mono_ns) == KEEP_OLD) {
            yield_to(m, l, o, now);
            return ENDED_THIS;
        }
        succeed(l, o);
        if (handover_begin(m, o, l))
            continue;
        int error = o->state >= LINK_UP ? WEFT_EDISPLACED : WEFT_EDUPLICATE;
        link_end(m, o, error, DISPLACED_TEXT, true, GOODBYE_DISPLACED, now);
        return ENDED_OTHER;
    }
    return SETTLED;
}

/* False: this link lost and is gone. With the end of another one, a link that it was to displace
 * stands again, and counts against this one: so all are looked at again. */
static bool settle_duplicates(struct mesh *m, struct mesh_link *l, struct moment now)
{
    enum settled settled;
    do
        settled = settle_next(m, l, now);
    while (settled == ENDED_OTHER);
    return settled == SETTLED;
}

static bool is_configured(const struct mesh *m, const char *name)
{
    struct addrbook_view view;
    return addrbook_find(m->book, name, &view) && view.configured;
}

/* Does the book know somebody else there? */
static bool is_others(const struct mesh *m, const char *name)
{
    struct addrbook_view view;
    return addrbook_find(m->book, name, &view) && (view.configured || view.last_success);
}

void greet_doubt(struct mesh *m, const struct mesh_link *l, int error)
{
    if (m->in_doubt || l->local || url_host_unspecified(&m->self) ||
        !url_host_unspecified(&m->given) ||
        (error != WEFT_EDEAD && error != WEFT_ELOST && error != WEFT_EUNREACHABLE) ||
        addrbook_set_self(m->book, m->given.text) < 0)
        return;
    addrbook_drop_own(m->book, m->self.text); /* it may be another's by now */
    m->in_doubt = true;
    memset(&m->observed, 0, sizeof(m->observed));
}

/* Two peers agree on our host. */
static void adopt(struct mesh *m, const char *host)
{
    struct url self = m->given;
    if (url_set_host(&self, host) < 0 || addrbook_set_self(m->book, self.text) < 0)
        return;
    m->in_doubt = false;
    if (strcmp(self.text, m->self.text) == 0)
        return;
    m->self = self;
    mesh_log(m, WEFT_LOG_INFO, "known to others as %s", self.text);
}

/* Was the other side asked how we are called? */
static bool asked(const struct mesh *m, const struct mesh_link *l)
{
    return url_host_unspecified(&m->self) || (m->in_doubt && l->priv->machine->self == &m->asking);
}

/* A node with an unspecified host learns from others how it is reached. Whom we were told to dial
 * is believed for the schedule of dials; what we tell of ourselves takes two witnesses. One that
 * merely came to us, or that we dialled on hearsay, could make us take another node's address for
 * ours; and an address where the book knows somebody is never taken for it. */
static void learn_observed(struct mesh *m, const struct mesh_link *l)
{
    const struct url *me = &l->priv->machine->me;
    if (m->me.advertised || m->me.role != ROLE_PEER || !asked(m, l) || url_host_unspecified(me) ||
        !l->hs.has_node_id || is_others(m, me->text))
        return;
    bool agreed = strcmp(m->observed.host, me->host) == 0 &&
                  memcmp(m->observed.witness, l->hs.node_id, sizeof(m->observed.witness)) != 0;
    if (agreed || (l->outbound && is_configured(m, l->priv->dialled))) {
        addrbook_add_own(m->book, me->text);
        addrbook_set_self(m->book, me->text);
    }
    if (agreed) {
        adopt(m, me->host);
        return;
    }
    memcpy(m->observed.host, me->host, sizeof(m->observed.host));
    memcpy(m->observed.witness, l->hs.node_id, sizeof(m->observed.witness));
}

static void warn_same_path(struct mesh *m, struct mesh_link *l)
{
    if (l->hs.role != ROLE_PEER || m->me.role != ROLE_PEER || !l->hs.peer.path[0] ||
        strcmp(l->hs.peer.path, m->self.path) != 0)
        return;
    char text[TEXT_MAX];
    snprintf(
        text, sizeof(text),
        "%s has this node's path \"%s\" too: both may publish the same routes; give one of them "
        "another path",
        link_name(l), m->self.path);
    mesh_event(m, WEFT_EVENT_WARNING, l, NULL, 0, text);
}

/* ---- Places ----
 *
 * When max_peers links are UP an operator wants to look all the more. So a leaf that comes over a
 * guarded connection and declares nothing, as who asks or commands, is taken all the same, into one
 * of a few places more. When it does declare something it goes, unless there is room by then. It is
 * told of no routes before: a publisher would find its subscribers, and send what nobody reads. */

/* Has it one of the spare places, or the right to one? */
static bool may_be_spare(const struct mesh_link *l, uint32_t taken)
{
    return l->priv->guarded && l->hs.role == ROLE_LEAF && !l->priv->initial &&
           taken < MESH_SPARE_PLACES;
}

static bool has_place(struct mesh *m, struct mesh_link *l)
{
    uint32_t spare = 0, up = 0;
    if (m->up - handover_yielding(m, l) < m->max_peers) {
        l->priv->spare = false;
        return true;
    }
    list_each (it, &m->links) {
        const struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o == l)
            continue;
        spare += o->priv->spare;
        up += o->state == LINK_UP && !o->priv->spare;
    }
    l->priv->spare = up - handover_yielding(m, l) >= m->max_peers;
    return !l->priv->spare || may_be_spare(l, spare);
}

static void refuse_place(struct mesh *m, struct mesh_link *l, enum goodbye_reason goodbye,
                         struct moment now)
{
    link_end(m, l, WEFT_ELIMIT,
             "no more links taken: raise limits.peers of this node (a weftd reads it on SIGHUP)",
             true, goodbye, now);
}

/* False: the link was refused and is gone. */
static bool has_room(struct mesh *m, struct mesh_link *l, struct moment now)
{
    bool room = has_place(m, l);
    if (!room)
        refuse_place(m, l, 0, now);
    return room;
}

/* `known`: the handshake carried all that there is to tell. */
static void attach(struct mesh *m, struct mesh_link *l, bool known)
{
    struct endpoint_options options = endpoint_of(m, l);
    if (router_attach(m->router, l->id, &options, known) < 0)
        link_break(m, l);
}

bool greet_declares(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (!l->priv->spare)
        return true;
    l->priv->guarded = false; /* from now on it is a link as any */
    bool room = has_place(m, l);
    if (room)
        attach(m, l, false);
    else
        refuse_place(m, l, GOODBYE_FULL, now);
    return room;
}

/* False: the link was refused and is gone. */
static bool identified(struct mesh *m, struct mesh_link *l, struct moment now)
{
    const uint8_t *id = l->hs.has_node_id ? l->hs.node_id : NULL;
    if (addrbook_banned(m->book, l->hs.peer.text, id, now)) {
        link_end(m, l, WEFT_EDENIED, "banned here by the operator", true, 0, now);
        return false;
    }
    if (!settle_duplicates(m, l, now) || !has_room(m, l, now))
        return false;
    learn_observed(m, l);
    return true;
}

/* ---- UP ---- */

static void register_initial(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct control *initial = l->priv->initial;
    if (!initial)
        return;
    l->priv->initial = NULL;
    routes_receive(m, l, initial, l->hs.stamp, now);
    control_fini(initial);
    mem_free(initial);
}

static void enter_book(struct mesh *m, struct mesh_link *l, struct moment now)
{
    const uint8_t *id = l->hs.has_node_id ? l->hs.node_id : NULL;
    addrbook_linked(m->book, l->priv->book_entry, link_book_name(l), id, now);
    l->priv->book_entry = 0;
    l->priv->in_book = true;
}

static bool linked_in_book(const struct mesh *m, const char *name)
{
    struct addrbook_view view;
    return addrbook_find(m->book, name, &view) && view.linked;
}

void greet_heir(struct mesh *m, const struct mesh_link *l, struct moment now)
{
    list_each (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o == l || o->state != LINK_UP || o->hs.role != ROLE_PEER || !link_same_name(o, l))
            continue;
        if (!linked_in_book(m, link_book_name(l)))
            enter_book(m, o, now);
        return;
    }
}

static void link_up(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (!l->outbound)
        m->inbound_handshakes--;
    l->state = LINK_UP;
    l->up_since = now.mono_ns;
    m->up++;
    if (l->outbound || (l->hs.role == ROLE_PEER && !link_other_there(m, l)))
        enter_book(m, l, now);
    m->ops->up(m->ctx, l);

    bool known = l->priv->initial_complete && l->priv->final_count == l->priv->initial_count &&
                 l->priv->initial_generation == router_generation(m->router);
    if (!l->priv->spare)
        attach(m, l, known);
    register_initial(m, l, now);
    if (l->hs.role == ROLE_PEER && l->hs.dialable) {
        l->priv->unannounced = true;
        m->announce_at = min_u64(m->announce_at, now.mono_ns + ANNOUNCE_NS);
    }
    if (handover_up(m, l, now))
        mesh_event(m, WEFT_EVENT_PEER_UP, l, NULL, 0, NULL);
    warn_same_path(m, l);
    live_start(m, l, now);
    link_drop_machine(l);
}

/* Do what the machine asks for, or end the link if it failed. False: the link is gone. */
static bool obey(struct mesh *m, struct mesh_link *l, int todo, struct moment now)
{
    if (todo < 0) {
        if (todo == WEFT_ESELF && l->outbound)
            addrbook_add_own(m->book, l->priv->dialled);
        link_end(m, l, todo, l->priv->machine->text, true, 0, now);
        return false;
    }
    if ((todo & HANDSHAKE_IDENTIFIED) && !identified(m, l, now))
        return false;
    if ((todo & HANDSHAKE_NOW_DONE) && !has_room(m, l, now))
        return false; /* others were faster */
    if (todo & HANDSHAKE_SEND_INITIAL)
        send_initial(m, l, now);
    if (todo & HANDSHAKE_SEND_FINAL)
        send_final(m, l, now);
    if (todo & HANDSHAKE_SEND_PEERS)
        gossip_send_all(m, l, now);
    if (todo & HANDSHAKE_NOW_DONE)
        link_up(m, l, now);
    return true;
}

void greet_start(struct mesh *m, struct mesh_link *l, const struct url *dialled,
                 const char *remote_host, struct moment now)
{
    uint64_t stamp = dialled ? mesh_stamp(m, now) : 0;
    struct handshake *h = l->priv->machine;
    const struct handshake_self *me = m->in_doubt && !l->local ? &m->asking : &m->me;
    int todo = handshake_start(h, me, dialled, remote_host, stamp, now.mono_ns);
    link_arm(m, l, h->deadline);
    obey(m, l, todo, now);
}

/* Keep the routes an INITIAL carries until the link is UP. */
static void keep_initial(struct mesh_link *l, struct control *c)
{
    if (l->priv->initial || (c->handshake.n_intents == 0 && c->handshake.n_interests == 0))
        return;
    struct control *copy = mem_alloc(sizeof(*copy));
    if (!copy) { /* they come again with the full state, or a digest tells */
        return;
    }
    *copy = *c;
    *c = (struct control){0};
    l->priv->initial = copy;
}

void greet_handshake(struct mesh *m, struct mesh_link *l, struct control *c, uint64_t stamp,
                     struct moment now)
{
    enum stage stage = c->handshake.stage;
    if (l->state >= LINK_UP) {
        if (stage != STAGE_UPDATE)
            link_end(m, l, WEFT_EPROTO, "HANDSHAKE does not fit a link that is up", true, 0, now);
        return;
    }
    uint32_t echoed = (uint32_t)(c->handshake.n_intents + c->handshake.n_interests);
    int todo = handshake_on_handshake(l->priv->machine, &c->handshake, stamp);
    if (todo >= 0 && (todo & HANDSHAKE_IDENTIFIED)) {
        link_identify(l);
        l->priv->met = m->next_id;
    }
    if (todo >= 0) {
        if (stage == STAGE_FINAL && !l->hs.base)
            l->priv->final_count = echoed;
        else
            keep_initial(l, c);
    }
    obey(m, l, todo, now);
}

void greet_peers(struct mesh *m, struct mesh_link *l, const struct control *c, uint64_t nonce,
                 struct moment now)
{
    int todo = handshake_on_peers(l->priv->machine);
    if (!obey(m, l, todo, now))
        return;
    if (l->state == LINK_UP)
        gossip_receive(m, l, c, nonce, now);
}
