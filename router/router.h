/* The router core: who intends, who is interested, and who gets what (docs/protocol.md section 5).
 *
 *        declarations                 tables                      what is to be done
 *   local handles ─┐          ┌ path tree of routes ┐       ┌ adverts    → to be sent to endpoints
 *   INTENT, INTEREST ─ router ┤ tree of patterns    ├───────┤ changed    → fan-outs to be rebuilt
 *   links come and go ┘       └ records per endpoint┘       └ notices    → matches, conflicts
 *
 * Control plane only: no I/O, clock, randomness or locks; one thread at a time. Matching happens
 * here, when something is declared; a message only reads the fan-out its owner built from
 * router_each_target.
 *
 * An endpoint is who declares: the program itself (ROUTER_LOCAL) or a link, by the id its owner
 * gives it. Outputs queue up until drained; if one cannot be queued for want of memory, the
 * endpoint it concerns is marked broken (router_broken) and its owner ends that link, which starts
 * anew with full state. */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"

struct router;
struct decl; /* proto/codec.h */

#define ROUTER_LOCAL 0u /* endpoint id of this node */
#define ROUTER_HOPS_MAX 8u

enum endpoint_class {
    ENDPOINT_PEER,   /* hears our own and our leaves' routes */
    ENDPOINT_LEAF,   /* attached to us: hears all we can reach, its routes are relayed */
    ENDPOINT_UPLINK, /* we are its leaf: hears our own (and our leaves'), tells of everyone */
};

struct endpoint_options {
    enum endpoint_class class;
    const char *path; /* of the other side; scope is checked against it */
    const char
        *name;     /* FQN of the other side: origin of what it declares, as a leaf is told of it */
    bool base;     /* dndm: told INTEREST only in reply to its INTENT, INTENT only in reply to its
                      INTEREST;     no scope, no patterns, no hashed routes, no ttl, never INTEREST
                      register=false */
    bool patterns; /* takes pattern interests; else patterns are expanded against its intents */
};

/* One route a source can send on: all local handles of one route share one; a link has one per
 * (route, origin). Owned by the router; the fields above the line are the owner's to read. */
struct router_intent {
    struct str *route;  /* as declared */
    struct str *origin; /* FQN of the publisher, or NULL where it is the endpoint itself */
    void *user;         /* the data plane's */
    uint64_t schema;
    uint32_t endpoint; /* ROUTER_LOCAL or a link */
    uint32_t alias; /* its number on every link we send it over; unique in this router, never 0 or
                       reused */
    uint32_t link_alias; /* its number on the link it came over; 0: none */
    uint8_t hops;
    bool dead; /* withdrawn: release it once no table refers to it */
    /* ---- private ---- */
    uint16_t priv_refs;              /* ours: handles, at least 1 */
    struct router_intent *priv_next; /* changed, the last one's is itself; NULL: it is not listed */
};

struct router_config {
    uint32_t
        max_routes; /* intents and interests in all; 7/8 of them for links, and half for any one */
};

/* Errors: WEFT_ENOMEM. */
int router_new(const struct router_config *config, struct router **ret_router);
void router_free(struct router *router); /* NULL is ignored; frees all intents, released or not */
/* From now on; what is over a lowered limit stays. */
void router_set_max(struct router *router, uint32_t max_routes);

/* ---- Endpoints ---- */

/* A link is DONE: register it and queue the full state for it, unless `quiet` (its handshake
 * carried all). Errors: WEFT_ENOMEM, WEFT_EEXIST. */
int router_attach(struct router *router, uint32_t endpoint, const struct endpoint_options *options,
                  bool quiet);

/* The link is gone: forget everything of it. Its intents become dead and changed; queued adverts
 * for it are dropped. Unknown ids are ignored. */
void router_detach(struct router *router, uint32_t endpoint);

/* ---- Local declarations ---- */

/* Open one more local intent on a route; the first creates the record, *ret_intent. `user` is set
 * on a new record only. Scope is the caller's to check. Errors: WEFT_EROUTE, WEFT_EPATTERN,
 * WEFT_ESCHEMA (another local intent of the route has a different schema), WEFT_ELIMIT
 * (also for more than 65,535 of one route), WEFT_ENOMEM. */
int router_open_intent(struct router *router, const char *route, uint64_t schema, void *user,
                       struct router_intent **ret_intent);

/* Close one; the last makes the record dead and changed, and withdraws it everywhere. */
void router_close_intent(struct router *router, struct router_intent *intent);

struct router_interest;

/* Open a local interest. `user` is what router_each_target hands out. Errors: WEFT_EROUTE,
 * WEFT_ELIMIT, WEFT_ENOMEM. */
int router_open_interest(struct router *router, const char *route, uint64_t schema, void *user,
                         struct router_interest **ret_interest);
void router_close_interest(struct router *router, struct router_interest *interest);

/* Call fn with the user of each local interest in just this route, however it spells it. A route
 * that does not parse has none. */
void router_each_own_interest(struct router *router, const char *route,
                              void (*fn)(void *ctx, void *user), void *ctx);

/* Number of intents, ours and others', that the interest matches now. */
uint32_t router_interest_matches(const struct router_interest *interest);
/* As it was opened; borrowed. */
struct str *router_interest_route(const struct router_interest *interest);

/* ---- What links declare ---- */

/* An INTENT (or INTEREST) came from an endpoint: register, refresh or withdraw. decl->origin is the
 * publisher where it is not the endpoint. mono_ns is now, for expiry. Withdrawing what is not there
 * is no error. A refresh keeps the record and its first spelling of the route. On failure nothing
 * changed. Errors: WEFT_EROUTE, WEFT_EPATTERN (intent), WEFT_ESCOPE (intent outside the endpoint's
 * path), WEFT_EPROTO (more than 8 hops, an alias used twice, an origin over 512 bytes),
 * WEFT_ELIMIT, WEFT_ENOMEM, WEFT_ENOTFOUND (no such endpoint). */
int router_learn_intent(struct router *router, uint32_t endpoint, const struct decl *decl,
                        uint64_t mono_ns);
int router_learn_interest(struct router *router, uint32_t endpoint, const struct decl *decl,
                          uint64_t mono_ns);

/* Would router_learn_… take it? For the FINAL of a handshake, before the link is attached. */
bool router_would_take(const struct router *router, const struct endpoint_options *options,
                       const struct decl *decl, bool intent);

/* The intent that messages with this alias, or with this route, coming over the endpoint belong to;
 * or NULL. By route: one of them, where it has several publishers. For the owner's alias tables and
 * for standard frames. */
struct router_intent *router_find_intent(const struct router *router, uint32_t endpoint,
                                         uint32_t alias);
struct router_intent *router_find_intent_by_route(const struct router *router, uint32_t endpoint,
                                                  const char *route, size_t len);

/* ---- Digest, resync, expiry ---- */

struct router_digest {
    uint32_t intents, interests;
    uint64_t intents_hash, interests_hash;
};

/* Of what we have registered with the endpoint (sent), and of what it has registered with us (held;
 * without what a resync in progress has marked stale). Sent counts adverts when queued. */
void router_digest_sent(const struct router *router, uint32_t endpoint,
                        struct router_digest *ret_digest);
void router_digest_held(const struct router *router, uint32_t endpoint,
                        struct router_digest *ret_digest);

/* Queue the full state for the endpoint again (it asked for a resync, or it is time to refresh). */
void router_readvertise(struct router *router, uint32_t endpoint);

/* Mark all that the endpoint has registered as stale; what it declares again is fresh. resync_end
 * drops what is stale still. Without a begin, end does nothing. */
void router_resync_begin(struct router *router, uint32_t endpoint);
void router_resync_end(struct router *router, uint32_t endpoint);

/* An agreeing digest renews all at once. */
void router_renew(struct router *router, uint32_t endpoint, uint64_t mono_ns);

/* Drop what was not refreshed within its ttl; returns when to look again, NEVER if nothing expires:
 * when the next is due, but 100 ms from now at the earliest, since each look is at every record.
 * Base endpoints never expire. */
uint64_t router_expire(struct router *router, uint32_t endpoint, uint64_t mono_ns);

/* ---- What is to be done ---- */

struct router_advert {
    uint32_t endpoint;
    bool intent; /* else an interest */
    bool registered;
    uint32_t alias; /* intents */
    uint32_t hops;
    uint64_t schema;
    struct str *route;  /* borrowed until the next call */
    struct str *origin; /* borrowed; NULL: we are the origin. Two publishers of one name on a route
                           are told apart: the later is "name?link=ENDPOINT" */
};

/* Take the next advert, in the order they were queued. False: none. */
bool router_next_advert(struct router *router, struct router_advert *ret_advert);

/* Take an intent that is new, whose targets or alias may have changed, or that died; NULL: none.
 * Each is handed out once however often it changed. */
struct router_intent *router_next_changed(struct router *router);

/* Put it back, e.g. because its fan-out could not grow for want of memory. Never fails. */
void router_mark_changed(struct router *router, struct router_intent *intent);

/* Free a dead intent that no table refers to any more. */
void router_release_intent(struct router *router, struct router_intent *intent);

struct router_target {
    void *interest;    /* local: the interest's user; NULL for a link */
    uint32_t endpoint; /* link: whom to send to, each at most once */
    struct str
        *route; /* link: the route as that endpoint spells it, for standard frames; borrowed */
};

/* Call fn for each target of an intent: local interests and linked endpoints whose interests cover
 * it, by the rules of relay (never peer to peer), schemas agreeing. */
void router_each_target(struct router *router, const struct router_intent *intent,
                        void (*fn)(void *ctx, const struct router_target *target), void *ctx);

enum router_notice_type {
    ROUTER_INTEREST_MATCHED,   /* interest: its first intent came */
    ROUTER_INTEREST_UNMATCHED, /* interest: its last intent went */
    ROUTER_SCHEMA_CONFLICT, /* endpoint, route, ours, theirs: matched by route, kept apart by schema
                             */
};

struct router_notice {
    enum router_notice_type type;
    void *interest; /* its user */
    uint32_t endpoint;
    struct str *route; /* borrowed until the next call */
    uint64_t ours, theirs;
};

/* Take the next notice. False: none. A notice of an interest that was closed is dropped, as are
 * those of matches that came and went in between; conflicts beyond 256 that wait are not told. */
bool router_next_notice(struct router *router, struct router_notice *ret_notice);

/* Take an endpoint whose output was lost for want of memory; 0: none. */
uint32_t router_next_broken(struct router *router);

/* ---- Introspection ---- */

struct router_info {
    bool intent;
    const char *route;
    const char *origin;
    uint32_t endpoint, hops, matches;
    uint64_t schema;
    const struct router_intent *record; /* intents */
    void *user;                         /* local interests */
};

/* Call fn for everything known, in no particular order. */
void router_each(const struct router *router, void (*fn)(void *ctx, const struct router_info *info),
                 void *ctx);

struct router_counts {
    uint32_t local_intents, local_interests, remote_intents, remote_interests;
};
void router_count(const struct router *router, struct router_counts *ret_counts);

/* Nodes of its tables visited so far because of wildcards: what declarations cost beyond their
 * number. */
uint64_t router_steps(const struct router *router);

/* Changes whenever anything was opened, closed, learnt or forgotten. */
uint64_t router_generation(const struct router *router);

/* Call fn for each declaration that would be advertised to such an endpoint now: for the INITIAL of
 * a handshake. Stops when fn returns false. */
void router_each_advert(const struct router *router, const struct endpoint_options *options,
                        bool (*fn)(void *ctx, const struct router_advert *advert), void *ctx);

#endif
