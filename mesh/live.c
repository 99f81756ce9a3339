/* Liveness and the timers of a link (docs/protocol.md section 7).
 *
 * PING after 2.5 s without received bytes, and once when the link comes up, so that its round trip
 * is known from the start. Nothing received for 10 s ends the link. Round trips are smoothed as in
 * RFC 6298, jitter as in RFC 3550, both on the monotonic clock. */
#include "mesh/private.h"

#include <string.h>

#define PING_PAYLOAD 16u

static void arm_next(struct mesh *m, struct mesh_link *l)
{
    struct link_private *p = l->priv;
    if (l->state == LINK_DIALING) {
        link_arm(m, l, p->connect_deadline);
        return;
    }
    if (l->state == LINK_HANDSHAKE) {
        link_arm(m, l, l->priv->machine->deadline);
        return;
    }
    link_arm(m, l, p->slice_at);
    link_arm(m, l, p->asked.deadline);
    uint64_t quiet = max_u64(p->last_rx, p->last_ping);
    if (l->state == LINK_RETIRING) {
        link_arm(m, l, min_u64(quiet + PING_IDLE_NS, p->last_rx + HANDOVER_NS));
        if (!p->said_goodbye)
            link_arm(m, l, p->goodbye_by);
        return;
    }
    link_arm(m, l, min_u64(quiet + PING_IDLE_NS, p->last_rx + DEAD_NS));
    link_arm(m, l, p->digest_at);
    link_arm(m, l, p->refresh_at);
    link_arm(m, l, p->expire_at);
    link_arm(m, l, p->ask_deadline);
}

void live_start(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct link_private *p = l->priv;
    if (l->hs.features & FEATURE_DIGEST) {
        p->digest_at = now.mono_ns; /* right after the full state */
    } else if (!l->hs.base) {
        p->refresh_at = now.mono_ns + REFRESH_NS;
    }
    live_ping(m, l, 0, now);
    arm_next(m, l);
}

static void send_ping(struct mesh *m, struct mesh_link *l, const uint8_t *payload, enum lane lane,
                      struct moment now)
{
    struct control c = {.type = MSG_PING,
                        .ping = {.payload = payload, .payload_len = PING_PAYLOAD}};
    link_send(m, l, &c, lane, false, now);
}

void live_ping(struct mesh *m, struct mesh_link *l, uint64_t token, struct moment now)
{
    uint8_t payload[PING_PAYLOAD];
    prng_fill(&m->prng, payload, sizeof(payload));
    l->priv->last_ping = now.mono_ns;
    for (unsigned i = 0; i < PINGS_MAX; i++) {
        struct ping *ping = &l->priv->pings[i];
        if (ping->nonce && (token || ping->token))
            continue;
        /* A free place; or our own former ping, which a new one replaces. */
        *ping = (struct ping){.nonce = load_u64(payload) | 1, .sent = now.mono_ns, .token = token};
        store_u64(payload, ping->nonce);
        break;
    }
    send_ping(m, l, payload, LANE_CONTROL, now);
}

void live_probe(struct mesh *m, struct mesh_link *l, struct moment now)
{
    uint8_t payload[PING_PAYLOAD];
    prng_fill(&m->prng, payload, sizeof(payload));
    l->priv->probe = load_u64(payload) | 1;
    store_u64(payload, l->priv->probe);
    send_ping(m, l, payload, LANE_ORDERED, now);
}

void mesh_paused(struct mesh *m, struct mesh_link *l, struct moment now)
{
    l->priv->last_rx = now.mono_ns;
    if (l->state != LINK_UP)
        return;
    if (l->priv->last_ping + PING_IDLE_NS <= now.mono_ns)
        live_ping(m, l, 0, now);
    link_arm(m, l, l->priv->last_ping + PING_IDLE_NS);
}

void live_receive_ping(struct mesh *m, struct mesh_link *l, const struct control *c,
                       const struct header *h, struct moment now)
{
    struct control pong = {
        .type = MSG_PONG,
        .ping =
            {
                .receive_timestamp = now.wall_ns,
                .ping_timestamp = h->timestamp,
                .payload = c->ping.payload,
                .payload_len = c->ping.payload_len,
            },
    };
    link_send(m, l, &pong, LANE_CONTROL, false, now);
}

static void take_sample(struct mesh_link *l, uint64_t rtt)
{
    if (l->rtt_ns == 0) {
        l->rtt_ns = rtt;
        l->rtt_var_ns = rtt / 2;
    } else {
        uint64_t delta = l->rtt_ns > rtt ? l->rtt_ns - rtt : rtt - l->rtt_ns;
        l->rtt_var_ns = l->rtt_var_ns - l->rtt_var_ns / 4 + delta / 4;
        l->rtt_ns = l->rtt_ns - l->rtt_ns / 8 + rtt / 8;
        uint64_t last = l->priv->last_pong_transit;
        uint64_t change = last > rtt ? last - rtt : rtt - last;
        l->jitter_ns = l->jitter_ns - l->jitter_ns / 16 + change / 16;
    }
    l->priv->last_pong_transit = rtt;
}

void live_receive_pong(struct mesh *m, struct mesh_link *l, const struct control *c,
                       struct moment now)
{
    if (c->ping.payload_len != PING_PAYLOAD)
        return;
    uint64_t nonce = load_u64(c->ping.payload);
    if (nonce && nonce == l->priv->probe) {
        l->priv->probe = 0;
        m->ops->intents_seen(m->ctx, l);
        return;
    }
    for (unsigned i = 0; i < PINGS_MAX; i++) {
        struct ping *ping = &l->priv->pings[i];
        if (nonce == 0 || ping->nonce != nonce)
            continue;
        uint64_t rtt = now.mono_ns - ping->sent;
        take_sample(l, rtt ? rtt : 1);
        if (ping->token)
            m->ops->answer(m->ctx, ping->token, 0, rtt, NULL, 0);
        *ping = (struct ping){0};
        return;
    }
}

/* Why the link ended is the event's matter; who waits is told that it did. */
void live_abandon(struct mesh *m, struct mesh_link *l)
{
    int error = m->leaving ? WEFT_ECLOSED : WEFT_ELOST;
    for (unsigned i = 0; i < PINGS_MAX; i++) {
        if (l->priv->pings[i].token)
            m->ops->answer(m->ctx, l->priv->pings[i].token, error, 0, NULL, 0);
        l->priv->pings[i] = (struct ping){0};
    }
    if (l->priv->ask_token)
        m->ops->answer(m->ctx, l->priv->ask_token, error, 0, NULL, 0);
    l->priv->ask_token = 0;
    inquiry_abandon(m, l, error);
}

/* A PING whose PONG is not coming gives its place back. */
static void expire_pings(struct mesh *m, struct mesh_link *l, struct moment now)
{
    for (unsigned i = 0; i < PINGS_MAX; i++) {
        struct ping *ping = &l->priv->pings[i];
        if (!ping->nonce || ping->sent + ASK_TIMEOUT_NS > now.mono_ns)
            continue;
        if (ping->token)
            m->ops->answer(m->ctx, ping->token, WEFT_ETIMEDOUT, 0, NULL, 0);
        *ping = (struct ping){0};
    }
}

static void tick_up(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct link_private *p = l->priv;
    if (max_u64(p->last_rx, p->last_ping) + PING_IDLE_NS <= now.mono_ns)
        live_ping(m, l, 0, now);
    expire_pings(m, l, now);
    inquiry_tick(m, l, now);
    if (l->state == LINK_RETIRING)
        return; /* that is left to the one in its place */
    if (p->digest_at <= now.mono_ns) {
        advert_flush(m, now);
        digest_send(m, l, false, now);
        p->digest_at = now.mono_ns + prng_between(&m->prng, DIGEST_NS / 5 * 4, DIGEST_NS / 5 * 6);
    }
    if (p->refresh_at <= now.mono_ns) {
        router_readvertise(m->router, l->id);
        p->refresh_at = now.mono_ns + REFRESH_NS;
    }
    if (p->expire_at <= now.mono_ns)
        p->expire_at = router_expire(m->router, l->id, now.mono_ns);
    if (p->ask_deadline <= now.mono_ns) {
        p->ask_deadline = NEVER;
        if (p->ask_token)
            m->ops->answer(m->ctx, p->ask_token, WEFT_ETIMEDOUT, 0, NULL, 0);
        p->ask_token = 0;
    }
}

void live_tick(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct link_private *p = l->priv;
    if (l->state == LINK_DIALING) {
        if (p->connect_deadline <= now.mono_ns) {
            link_end(m, l, WEFT_ETIMEDOUT, "no connection within 3 s", false, 0, now);
            return;
        }
    } else if (l->state == LINK_HANDSHAKE) {
        if (handshake_expired(l->priv->machine, now.mono_ns)) {
            link_end(m, l, WEFT_EHANDSHAKE, l->priv->machine->text, true, 0, now);
            return;
        }
    } else {
        if (handover_over(l, now.mono_ns)) {
            link_end(m, l, WEFT_EDISPLACED, "displaced by a newer link, and silent", true,
                     GOODBYE_DISPLACED, now);
            return;
        }
        if (p->last_rx + DEAD_NS <= now.mono_ns) {
            link_end(m, l, WEFT_EDEAD, "nothing received for 10 s", true, GOODBYE_IDLE, now);
            return;
        }
        routes_tick(m, l, now);
        tick_up(m, l, now);
        handover_hurry(m, l, now);
    }
    arm_next(m, l);
}
