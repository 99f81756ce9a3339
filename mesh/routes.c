/* INTENT(S), INTEREST(S) and DIGEST from the other side (docs/protocol.md section 5).
 *
 * A declaration that cannot be taken is told by RESULT, with the route in the sentence; the link
 * and the other routes go on. A digest that differs asks for the full lists, at most every
 * RESYNC_MIN_NS and less often each time it did not help. What we refuse for good the other side
 * goes on counting, so the comparison counts it too; what there was no room for is asked for again.
 */
#include "mesh/private.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/route.h"

/* ---- What we refused ---- */

static uint64_t decl_hash(const struct decl *d, bool intent)
{
    const char *origin = intent && d->origin ? d->origin : "";
    return route_digest(d->route, strlen(d->route), origin, strlen(origin));
}

static struct refusal *find_refusal(struct link_private *p, uint64_t hash, bool intent)
{
    for (uint32_t i = 0; i < p->n_refusals; i++) {
        if (p->refusals[i].hash == hash && p->refusals[i].intent == intent)
            return &p->refusals[i];
    }
    return NULL;
}

static void note_refusal(struct link_private *p, const struct decl *d, bool intent)
{
    uint64_t hash = decl_hash(d, intent);
    if (p->n_refusals == REFUSALS_KEPT || find_refusal(p, hash, intent))
        return;
    if (!p->refusals)
        p->refusals = mem_alloc(REFUSALS_KEPT * sizeof(*p->refusals));
    if (p->refusals)
        p->refusals[p->n_refusals++] = (struct refusal){.hash = hash, .intent = intent};
}

static void forget_refusal(struct link_private *p, const struct decl *d, bool intent)
{
    if (p->n_refusals == 0)
        return;
    struct refusal *r = find_refusal(p, decl_hash(d, intent), intent);
    if (r)
        *r = p->refusals[--p->n_refusals];
}

static bool is_final(int error)
{
    return error == WEFT_EROUTE || error == WEFT_EPATTERN || error == WEFT_ESCOPE ||
           error == WEFT_EPROTO;
}

/* The `nth` of a list, from 0. */
static void refuse_route(struct mesh *m, struct mesh_link *l, const struct decl *d, bool intent,
                         uint64_t nonce, int error, unsigned nth, struct moment now)
{
    char text[TEXT_MAX];
    if (nth >= (l->hs.role == ROLE_LEAF ? REFUSALS_LEAF_MAX : REFUSALS_MAX))
        return;
    const char *what = intent ? "intent" : "interest";
    if (error == WEFT_ESCOPE)
        snprintf(text, sizeof(text),
                 "%s %.200s is outside the path \"%s\" of %s; publish below that path", what,
                 d->route, l->hs.peer.path, link_name(l));
    else if (error == WEFT_ELIMIT)
        snprintf(text, sizeof(text),
                 "%s %.200s: limit reached: raise limits.routes of %s, half of which is for one "
                 "link",
                 what, d->route, m->self.text);
    else
        snprintf(text, sizeof(text), "%s %.200s: %s", what, d->route, weft_strerror(error));
    if (!l->hs.base)
        link_send_refusal(m, l, nonce, d, intent, error, text, now);
    if (nth < REFUSALS_MAX)
        mesh_route_event(m, l, d->route, intent, error, text);
}

/* Expiry is looked at when the first of these could be due, not at each refresh. */
static void expect_refresh(struct mesh *m, struct mesh_link *l, const struct decl *d,
                           struct moment now)
{
    uint64_t ttl = d->registered && d->ttl_ns ? d->ttl_ns : NEVER;
    if (l->hs.base || ttl >= NEVER - now.mono_ns || now.mono_ns + ttl >= l->priv->expire_at)
        return;
    l->priv->expire_at = now.mono_ns + ttl;
    link_arm(m, l, l->priv->expire_at);
}

/* ---- Taking declarations ---- */

/* Lists one behind the other: of a frame the one, of a HANDSHAKE intents and interests. */
static size_t declared_count(const struct control *c)
{
    return c->type == MSG_HANDSHAKE ? c->handshake.n_intents + c->handshake.n_interests
                                    : c->decls.count;
}

static const struct decl *declared_item(const struct control *c, size_t i, bool *ret_intent)
{
    if (c->type != MSG_HANDSHAKE) {
        *ret_intent = c->type == MSG_INTENT || c->type == MSG_INTENTS;
        return &c->decls.items[i];
    }
    *ret_intent = i < c->handshake.n_intents;
    return *ret_intent ? &c->handshake.intents[i]
                       : &c->handshake.interests[i - c->handshake.n_intents];
}

static void take_one(struct mesh *m, struct mesh_link *l, const struct decl *d, bool intent,
                     uint64_t nonce, unsigned *refused, struct moment now)
{
    int rc = intent ? router_learn_intent(m->router, l->id, d, now.mono_ns)
                    : router_learn_interest(m->router, l->id, d, now.mono_ns);
    if (rc == 0 || !d->registered)
        forget_refusal(l->priv, d, intent);
    else if (is_final(rc))
        note_refusal(l->priv, d, intent);
    if (rc == WEFT_ENOMEM)
        link_break(m, l);
    else if (rc < 0)
        refuse_route(m, l, d, intent, nonce, rc, (*refused)++, now);
    expect_refresh(m, l, d, now);
}

/* From `at` on, until the link has had its slice. Returns how far that was. */
static size_t take(struct mesh *m, struct mesh_link *l, const struct control *c, size_t at,
                   uint64_t nonce, uint64_t slice, struct moment now)
{
    size_t count = declared_count(c);
    unsigned refused = 0;
    while (at < count && l->priv->slice_steps < slice) {
        uint64_t before = router_steps(m->router);
        bool intent;
        const struct decl *d = declared_item(c, at++, &intent);
        take_one(m, l, d, intent, nonce, &refused, now);
        l->priv->slice_steps += router_steps(m->router) - before;
    }
    return at;
}

/* ---- Slices ----
 *
 * A pattern may cover any number of routes, and one frame hold any number of patterns: what a link
 * declares is taken until it has cost SLICE_STEPS, and the link fed no more until the others had
 * their turn. */

static void stall(struct mesh *m, struct mesh_link *l, uint64_t until)
{
    bool first = l->priv->slice_at == NEVER;
    l->priv->slice_at = until;
    link_arm(m, l, until);
    if (first && m->ops->stall)
        m->ops->stall(m->ctx, l, true);
}

static void unstall(struct mesh *m, struct mesh_link *l)
{
    bool stalled = l->priv->slice_at != NEVER;
    l->priv->slice_at = NEVER;
    if (stalled && m->ops->stall)
        m->ops->stall(m->ctx, l, false);
}

/* Keep what is left of the lists, which `c` holds no more then. Where there is no room for that it
 * is left out: the tables differ then, and the next DIGEST asks for it. */
static void put_off(struct mesh *m, struct mesh_link *l, struct control *c, size_t at,
                    uint64_t nonce)
{
    size_t count = declared_count(c);
    if (m->put_off + count > PUT_OFF_MAX)
        return;
    l->priv->declared = mem_alloc(sizeof(*c));
    if (!l->priv->declared)
        return;
    m->put_off += count;
    *l->priv->declared = *c;
    *c = (struct control){.type = c->type};
    l->priv->declared_at = at;
    l->priv->declared_nonce = nonce;
}

void routes_receive(struct mesh *m, struct mesh_link *l, struct control *c, uint64_t nonce,
                    struct moment now)
{
    struct link_private *p = l->priv;
    if (now.mono_ns - p->slice_began >= SLICE_NS) {
        p->slice_began = now.mono_ns;
        p->slice_steps = 0;
    }
    size_t at = take(m, l, c, 0, nonce, SLICE_STEPS, now);
    if (p->slice_steps < SLICE_STEPS)
        return;
    if (at < declared_count(c))
        put_off(m, l, c, at, nonce);
    stall(m, l, now.mono_ns + SLICE_NS);
}

void routes_abandon(struct mesh *m, struct mesh_link *l)
{
    if (l->priv->declared) {
        m->put_off -= declared_count(l->priv->declared);
        control_fini(l->priv->declared);
        mem_free(l->priv->declared);
    }
    l->priv->declared = NULL;
}

static void go_on(struct mesh *m, struct mesh_link *l, uint64_t slice, struct moment now)
{
    struct link_private *p = l->priv;
    p->slice_began = now.mono_ns;
    p->slice_steps = 0;
    p->declared_at = take(m, l, p->declared, p->declared_at, p->declared_nonce, slice, now);
    if (p->declared_at == declared_count(p->declared))
        routes_abandon(m, l);
}

/* One link a tick has a slice; the others come first next time, for its time is later. */
void routes_tick(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct link_private *p = l->priv;
    if (p->slice_at > now.mono_ns)
        return;
    if (p->declared && m->sliced) {
        link_arm(m, l, p->slice_at);
        return;
    }
    if (p->declared) {
        m->sliced = true;
        go_on(m, l, SLICE_STEPS, now);
    }
    if (p->declared)
        stall(m, l, now.mono_ns + SLICE_NS);
    else
        unstall(m, l);
}

void routes_finish(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (l->priv->declared)
        go_on(m, l, NEVER, now);
}

/* ---- Digests ---- */

void digest_send(struct mesh *m, struct mesh_link *l, bool resync, struct moment now)
{
    struct router_digest d;
    if (resync)
        router_digest_held(m->router, l->id, &d);
    else
        router_digest_sent(m->router, l->id, &d);
    struct control c = {
        .type = MSG_DIGEST,
        .digest =
            {
                .intents = d.intents,
                .intents_hash = d.intents_hash,
                .interests = d.interests,
                .interests_hash = d.interests_hash,
                .resync = resync,
            },
    };
    link_send(m, l, &c, LANE_ORDERED, false, now);
}

static bool digest_agrees(struct mesh *m, const struct mesh_link *l, const struct control *c)
{
    struct router_digest held;
    router_digest_held(m->router, l->id, &held);
    for (uint32_t i = 0; i < l->priv->n_refusals; i++) {
        const struct refusal *r = &l->priv->refusals[i];
        held.intents += r->intent;
        held.intents_hash += r->intent ? r->hash : 0;
        held.interests += !r->intent;
        held.interests_hash += r->intent ? 0 : r->hash;
    }
    return held.intents == c->digest.intents && held.intents_hash == c->digest.intents_hash &&
           held.interests == c->digest.interests && held.interests_hash == c->digest.interests_hash;
}

void digest_receive(struct mesh *m, struct mesh_link *l, const struct control *c, struct moment now)
{
    struct link_private *p = l->priv;
    if (c->digest.resync) { /* the other side lacks something: everything again, then the digest */
        if (now.mono_ns < p->next_answer)
            return; /* nobody needs it that often */
        p->next_answer = now.mono_ns + RESYNC_ANSWER_NS;
        if (m->me.role == ROLE_LEAF && m->ops->refused)
            m->ops->refused(m->ctx, NULL, false, 0, 0);
        router_readvertise(m->router, l->id);
        advert_flush(m, now);
        digest_send(m, l, false, now);
        return;
    }
    if (p->resyncing) {
        p->resyncing = false;
        router_resync_end(m->router, l->id);
    }
    if (digest_agrees(m, l, c)) {
        router_renew(m->router, l->id, now.mono_ns);
        p->resync_pause = RESYNC_MIN_NS;
        handover_agreed(m, l, now);
    } else if (now.mono_ns >= p->next_resync) {
        mesh_log(m, WEFT_LOG_DEBUG, "%s: tables differ, asking for the full lists", link_name(l));
        p->next_resync = now.mono_ns + p->resync_pause;
        p->resync_pause = min_u64(2 * p->resync_pause, RESYNC_MAX_NS);
        p->resyncing = true;
        digest_send(m, l, true, now);
        router_resync_begin(m->router, l->id);
        p->n_refusals = 0;
    }
}
