/* Agreement between two nodes on what one has registered with the other (docs/protocol.md section
 * 5).
 *
 * Each endpoint carries two digests, kept up to date as adverts are queued (sent) and as it
 * declares and withdraws (held), so that reading one costs nothing. A sum of hashes can be kept so,
 * in any order. Staleness in a resync and renewal by an agreeing digest cost nothing either: the
 * endpoint counts its resyncs and remembers when it was renewed, and a record is compared with
 * that. */
#include "router/private.h"

#include <string.h>

#define EXPIRE_STEP_NS (100 * NS_PER_MS) /* least pause between two looks at all records */

void digest_count(struct router_digest *digest, bool intent, bool added, uint64_t hash)
{
    uint32_t *count = intent ? &digest->intents : &digest->interests;
    uint64_t *sum = intent ? &digest->intents_hash : &digest->interests_hash;
    *count += added ? 1 : UINT32_MAX;
    *sum += added ? hash : -hash;
}

void digest_count_advert(struct router_digest *digest, const struct router_advert *advert,
                         bool added)
{
    const struct str *origin = advert->origin;
    uint64_t hash = route_digest(advert->route->text, advert->route->len, str_text(origin),
                                 origin ? origin->len : 0);
    digest_count(digest, advert->intent, added, hash);
}

void router_digest_sent(const struct router *router, uint32_t endpoint,
                        struct router_digest *ret_digest)
{
    const struct endpoint *e = router_endpoint(router, endpoint);
    *ret_digest = e ? e->sent : (struct router_digest){0};
}

void router_digest_held(const struct router *router, uint32_t endpoint,
                        struct router_digest *ret_digest)
{
    const struct endpoint *e = router_endpoint(router, endpoint);
    *ret_digest = e ? e->held : (struct router_digest){0};
}

void router_readvertise(struct router *router, uint32_t endpoint)
{
    struct endpoint *e = router_endpoint(router, endpoint);
    if (e)
        advertise_all(router, e, false);
}

/* ---- Leases and resync ---- */

/* Not stale: declared since the latest resync began, and counted as held. */
static bool is_fresh(const struct lease *lease, const struct endpoint *from)
{
    return lease->epoch == from->epoch;
}

static uint64_t round_up_ms(uint64_t ns)
{
    return ns / NS_PER_MS + (ns % NS_PER_MS != 0);
}

void lease_start(struct lease *lease, struct endpoint *from, const struct decl *decl, bool intent,
                 uint64_t mono_ns)
{
    const char *origin = intent && decl->origin ? decl->origin : "";
    lease->seen_ms = round_up_ms(mono_ns) & ((UINT64_C(1) << LEASE_MS_BITS) - 1);
    lease->hash = route_digest(decl->route, strlen(decl->route), origin, strlen(origin));
    lease->ttl_ms = from->base ? 0 : (uint32_t)min_u64(round_up_ms(decl->ttl_ns), UINT32_MAX);
    lease->epoch = from->epoch;
    digest_count(&from->held, intent, true, lease->hash);
}

void lease_end(const struct lease *lease, struct endpoint *from, bool intent)
{
    if (is_fresh(lease, from))
        digest_count(&from->held, intent, false, lease->hash);
    else
        from->stale--;
}

void lease_renew(struct lease *lease, struct endpoint *from, const struct decl *decl, bool intent,
                 uint64_t mono_ns)
{
    lease_end(lease, from, intent);
    lease_start(lease, from, decl, intent, mono_ns);
}

void router_resync_begin(struct router *router, uint32_t endpoint)
{
    struct endpoint *e = router_endpoint(router, endpoint);
    if (!e)
        return;
    e->resyncing = true;
    e->epoch++;
    e->stale += e->held.intents + e->held.interests;
    e->held = (struct router_digest){0};
}

void router_resync_end(struct router *router, uint32_t endpoint)
{
    struct endpoint *e = router_endpoint(router, endpoint);
    if (!e || !e->resyncing)
        return;
    e->resyncing = false;
    list_each_safe (it, &e->interests) {
        struct router_interest *i = list_entry(it, struct router_interest, in_endpoint);
        if (!is_fresh(&interest_of_link(i)->lease, e))
            interest_forget(router, i);
    }
    list_each_safe (jt, &e->intents) {
        struct intent *i = intent_listed(jt);
        if (!is_fresh(&intent_of_link(i)->lease, e))
            intent_forget(router, i);
    }
}

/* ---- Expiry ---- */

static uint64_t lease_due(const struct lease *lease, const struct endpoint *from)
{
    if (lease->ttl_ms == 0)
        return NEVER;
    return max_u64(lease->seen_ms * NS_PER_MS, from->renewed_ns) + lease->ttl_ms * NS_PER_MS;
}

void router_renew(struct router *router, uint32_t endpoint, uint64_t mono_ns)
{
    struct endpoint *e = router_endpoint(router, endpoint);
    if (e)
        e->renewed_ns = mono_ns;
}

uint64_t router_expire(struct router *router, uint32_t endpoint, uint64_t mono_ns)
{
    struct endpoint *e = router_endpoint(router, endpoint);
    uint64_t next = NEVER;
    if (!e || e->base)
        return NEVER;
    list_each_safe (it, &e->interests) {
        struct router_interest *i = list_entry(it, struct router_interest, in_endpoint);
        uint64_t due = lease_due(&interest_of_link(i)->lease, e);
        if (due <= mono_ns)
            interest_forget(router, i);
        else
            next = min_u64(next, due);
    }
    list_each_safe (jt, &e->intents) {
        struct intent *i = intent_listed(jt);
        uint64_t due = lease_due(&intent_of_link(i)->lease, e);
        if (due <= mono_ns)
            intent_forget(router, i);
        else
            next = min_u64(next, due);
    }
    return next == NEVER ? NEVER : max_u64(next, mono_ns + EXPIRE_STEP_NS);
}
