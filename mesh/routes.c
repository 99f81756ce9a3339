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

static void refuse_route(struct mesh *m, struct mesh_link *l, const struct decl *d, bool intent,
                         uint64_t nonce, int error, struct moment now)
{
    char text[TEXT_MAX];
    const char *what = intent ? "intent" : "interest";
    if (error == WEFT_ESCOPE)
        snprintf(text, sizeof(text),
                 "%s %.200s is outside the path \"%s\" of %s; publish below that path", what,
                 d->route, l->hs.peer.path, link_name(l));
    else
        snprintf(text, sizeof(text), "%s %.200s: %s", what, d->route, weft_strerror(error));
    if (!l->hs.base)
        link_send_result(m, l, nonce, error == WEFT_ESCOPE ? WEFT_EDENIED : error, text, now);
    mesh_event(m, WEFT_EVENT_ROUTE_REFUSED, l, d->route, error, text);
}

/* Expiry is looked at when the first of these could be due, not at each refresh. */
static void expect_refresh(struct mesh *m, struct mesh_link *l, const struct decl *items,
                           size_t count, struct moment now)
{
    uint64_t ttl = NEVER;
    for (size_t i = 0; i < count; i++) {
        if (items[i].registered && items[i].ttl_ns)
            ttl = min_u64(ttl, items[i].ttl_ns);
    }
    if (l->hs.base || ttl >= NEVER - now.mono_ns || now.mono_ns + ttl >= l->priv->expire_at)
        return;
    l->priv->expire_at = now.mono_ns + ttl;
    link_arm(m, l, l->priv->expire_at);
}

void routes_register(struct mesh *m, struct mesh_link *l, const struct decl *items, size_t count,
                     bool intents, uint64_t nonce, struct moment now)
{
    unsigned refused = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = intents ? router_learn_intent(m->router, l->id, &items[i], now.mono_ns)
                         : router_learn_interest(m->router, l->id, &items[i], now.mono_ns);
        if (rc == 0 || !items[i].registered)
            forget_refusal(l->priv, &items[i], intents);
        else if (is_final(rc))
            note_refusal(l->priv, &items[i], intents);
        if (rc == WEFT_ENOMEM)
            link_break(m, l);
        else if (rc < 0 && refused++ < REFUSALS_MAX)
            refuse_route(m, l, &items[i], intents, nonce, rc, now);
    }
    expect_refresh(m, l, items, count, now);
}

void routes_receive(struct mesh *m, struct mesh_link *l, const struct control *c,
                    const struct header *h, struct moment now)
{
    bool intents = c->type == MSG_INTENT || c->type == MSG_INTENTS;
    routes_register(m, l, c->decls.items, c->decls.count, intents, h->timestamp, now);
}

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
