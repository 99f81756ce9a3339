/* What the files of router/ share.
 *
 *     router ─┬─ endpoints: local, and one a link ─┬─ intents ───┐ each record hangs in two lists:
 *             │                                    ├─ interests ─┤ its endpoint's and its entry's
 *             │                                    └─ asks       │
 *             ├─ routes    (tree of entries) ◀───────────────────┤
 *             ├─ patterns  (tree of entries) ◀───────────────────┘
 *             ├─ tables: intents and interests by endpoint and route, intents by alias
 *             └─ out: adverts, changed intents, notices, broken endpoints
 *
 * An operation first makes what needs memory and fails there with nothing changed; the rest cannot
 * fail, save that an advert cannot be queued, which marks its endpoint broken. */
#ifndef ROUTER_PRIVATE_H
#define ROUTER_PRIVATE_H

#include <weft/weft.h>

#include "base/mem.h"
#include "base/util.h"
#include "proto/codec.h"
#include "proto/route.h"
#include "router/router.h"
#include "router/table.h"
#include "router/tree.h"

#define ORIGIN_MAX 512u           /* bytes of a publisher's name that we take */
#define ROUTER_NODES_PER_ROUTE 8u /* of max_routes, in both trees, for what links declare */
#define CONFLICTS_MAX 256u /* schema conflicts waiting to be told; further ones are not told */

struct endpoint {
    struct table_node by_id;
    struct list all; /* in router->endpoints; not the local one */
    uint32_t id;
    uint32_t serial; /* tells an endpoint from a later one with its id; never 0 */
    enum endpoint_class class;
    bool local;
    bool near; /* local or a leaf: what it declares is told to peers */
    bool base, patterns;
    bool broken;      /* an advert for it was lost; nothing more is queued */
    bool resyncing;   /* between resync_begin and resync_end */
    uint16_t epoch;   /* of the latest resync; a record of another epoch is stale. It wraps around,
                         but what is stale goes at the end of each resync */
    const char *path; /* owned, but for one that only describes options */
    size_t path_len;
    struct str *name;               /* NULL: it has none */
    struct list intents, interests; /* in_endpoint of the records; not of our intents */
    struct list asks;               /* if base or without patterns */
    struct list in_broken;          /* router->broken */
    uint32_t queued;                /* its adverts in the queue */
    uint64_t renewed_ns;            /* a refresh of all its records */
    uint64_t visit;                 /* router->visit of the walk that met it last */
    struct router_digest sent, held;
    uint32_t
        stale; /* records that are not in `held`: a resync goes on and has not named them yet */
};

/* Must what it wants to hear be told by plain route, in reply to its intents? */
static inline bool endpoint_is_asked(const struct endpoint *e)
{
    return e->base || !e->patterns;
}

/* There are as many of the following as routes, or more: what only links need is not in our
 * records, what hardly any record needs is added at its end, and the sizes fit malloc's steps of 16
 * bytes. */

#define LEASE_MS_BITS 42 /* 139 years */

/* What a link declared last, and when. */
struct lease {
    uint64_t hash; /* route_digest of the declaration: of its spelling, not the record's */
    uint64_t seen_ms : LEASE_MS_BITS; /* rounded up, so that nothing expires early */
    uint64_t epoch : 16;              /* of the endpoint when it was declared last */
    uint64_t hops : 4;                /* interests */
    uint64_t replied : 1;   /* interests of a base peer: our intent on the route is advertised */
    uint64_t has_extra : 1; /* there is an `extra` at the record's end */
    uint32_t ttl_ms;        /* 0: does not expire */
    uint32_t matches;       /* interests: linked intents */
};

/* Ours are in no list of their endpoint: a walk over the near nodes meets them. */
struct intent {
    struct router_intent pub;
    struct chain in_entry; /* or in router->dead */
    struct entry *entry;   /* NULL once dead */
    struct endpoint *from; /* NULL once dead */
};

struct link_intent {
    struct intent base;
    struct list in_endpoint;
    struct table_node by_key;   /* router->intents, by entry and publisher's name */
    struct table_node by_alias; /* router->aliases; only if pub.link_alias is not 0 */
    struct lease lease;
    struct str *extra[]; /* origin as others are told, where the publisher's name was taken */
};

static inline bool intent_is_ours(const struct intent *i)
{
    return i->pub.endpoint == ROUTER_LOCAL;
}

/* Of one that is not ours. */
static inline struct link_intent *intent_of_link(const struct intent *i)
{
    return container_of(i, struct link_intent, base);
}

struct router_interest {
    struct chain in_entry;
    struct list in_endpoint; /* or, ours, in router->pending, while `told` is not what is */
    struct entry *entry;
    struct endpoint *from;
    uint64_t schema;
};

struct own_interest {
    struct router_interest base;
    void *user;
    uint32_t matches; /* linked intents */
    bool told;        /* the last notice was "matched" */
    bool pending;
    bool has_extra;      /* as in a lease */
    struct str *extra[]; /* route as declared, where the entry spells it otherwise */
};

struct link_interest {
    struct router_interest base;
    struct table_node by_key; /* router->interests, by entry and endpoint */
    struct lease lease;
    struct str *extra[]; /* as above */
};

static inline struct own_interest *interest_of_us(const struct router_interest *i)
{
    return container_of(i, struct own_interest, base);
}

static inline struct link_interest *interest_of_link(const struct router_interest *i)
{
    return container_of(i, struct link_interest, base);
}

/* Its route as declared. */
static inline struct str *interest_route(const struct router_interest *i)
{
    if (i->from->local)
        return interest_of_us(i)->has_extra ? interest_of_us(i)->extra[0] : i->entry->route;
    return interest_of_link(i)->lease.has_extra ? interest_of_link(i)->extra[0] : i->entry->route;
}

/* What a base peer, or one without patterns, sends on a route: while it has intents there we tell
 * it of whatever interest covers the route, since it does not understand the pattern itself. */
struct ask {
    struct table_node by_key; /* router->asks, by entry and endpoint */
    struct list in_endpoint;
    struct endpoint *to;
    struct entry *entry;
    struct str *route; /* as we tell it: a base peer's own spelling, else the entry's */
    uint32_t intents;  /* its intents on the route, at least 1 */
    bool sent;         /* our INTEREST is registered there */
};

struct advert {
    uint32_t endpoint, serial;
    uint32_t alias;
    uint8_t hops;
    bool intent, registered;
    uint64_t schema;
    struct str *route, *origin; /* a reference each */
};

struct queue {
    struct advert *ring; /* NULL while empty */
    uint32_t cap;        /* 0 or a power of two */
    uint32_t head, count;
};

struct conflict {
    struct list node;                       /* router->conflicts */
    const struct router_interest *interest; /* NULL: it is a link's */
    struct router_notice notice;            /* holds a reference of its route */
};

struct router {
    uint32_t max_routes, most_routes; /* as it is, and as it ever was */
    uint32_t last_alias, last_serial;
    uint64_t generation;
    uint64_t visit; /* counts walks over targets */
    struct endpoint local;
    struct list endpoints;
    struct table by_id;
    uint32_t n_base, n_asked; /* endpoints that are base; that must be asked */
    uint32_t n_leaves;        /* endpoints that are; of all others' declarations they alone hear */
    struct tree routes, patterns;
    struct table intents, aliases, interests, asks;
    struct router_counts counts;
    struct queue queue;
    struct str *last_advert[2];                   /* route and origin that the owner borrows */
    struct router_intent *changed, *last_changed; /* by priv_next; NULL: none */
    struct chain *dead;  /* in_entry of intents that were not yet released */
    struct list pending; /* in_endpoint of local interests with a notice to give */
    struct list conflicts;
    uint32_t n_conflicts;
    struct str *last_route; /* of the notice that the owner borrows */
    struct list broken;
};

/* ---- router.c ---- */

struct endpoint *router_endpoint(const struct router *router, uint32_t id); /* links; or NULL */

/* Is what `from` declares passed on to `to`? Of the classes alone (docs/protocol.md section 5). */
bool endpoint_hears(const struct endpoint *to, const struct endpoint *from);

/* Parse and check a declaration against what such an endpoint may declare. Errors: WEFT_EROUTE,
 * WEFT_EPATTERN, WEFT_ESCOPE, WEFT_EPROTO. */
int decl_check(const struct endpoint *from, const struct decl *decl, bool intent,
               struct route *ret_route);
/* May `from` declare nothing more? */
bool router_is_full(const struct router *router, const struct endpoint *from);

bool str_equals(const struct str *s, const char *text, size_t len); /* NULL: false */

/* A reference to `same` if it reads like the text, else a new string; NULL when out of memory. */
struct str *str_share(struct str *same, const char *text, size_t len);

/* ---- intents.c, interests.c ---- */

struct intent *intent_listed(const struct list *in_endpoint); /* whose node it is; a link's */

/* Our intent on the route of an entry; or NULL. */
struct intent *intent_ours(const struct entry *entry);

void intent_forget(struct router *router, struct intent *intent);
void intent_free(struct intent *intent);
struct router_interest *interest_find(const struct router *router, const struct endpoint *from,
                                      const struct entry *entry);
void interest_forget(struct router *router, struct router_interest *interest);
uint32_t *interest_matches(const struct router_interest *interest);
void interest_free(struct router_interest *interest);

/* Hash of (endpoint, entry): the key of interests and asks. */
uint32_t pair_hash(const struct endpoint *endpoint, const struct entry *entry);

/* For the tables. */
uint32_t intent_key_hash(const struct table_node *node);
uint32_t intent_alias_hash(const struct table_node *node);
uint32_t interest_key_hash(const struct table_node *node);

/* ---- match.c ---- */

/* The intent or interest has just been put into, or is about to be taken out of, its entry: count
 * matches, mark changed, give notice. */
void match_intent(struct router *router, struct intent *intent, bool added);
void match_interest(struct router *router, struct router_interest *interest, bool added);

/* Number of interests the intent is linked with. */
uint32_t match_count(const struct router *router, struct intent *intent);

/* Drop the conflicts of a local interest that closes, or (NULL) of an endpoint that goes; or all.
 */
void notices_drop(struct router *router, const struct router_interest *interest, uint32_t endpoint);
void notices_drop_all(struct router *router);

/* ---- adverts.c: who is told what ---- */

/* How many of the interests on an entry the endpoint may hear of. */
uint32_t interests_visible(const struct router *router, const struct endpoint *to,
                           const struct entry *entry);

/* Is the endpoint told of the interest on this very route or pattern, and not only in reply? */
bool interest_is_sent(const struct router *router, const struct endpoint *to,
                      const struct entry *entry);

/* May the endpoint hear of the intent: by its classes, its hops and, for a base peer, its kind? */
bool intent_is_relayed(const struct endpoint *to, const struct intent *intent);

/* The publisher's name as others are told it; not of ours. */
struct str *intent_origin(const struct intent *intent);

/* Tell everyone whom it concerns. ADD: the record has just been put into its entry. UPDATE: they
 * know it, and something in it is new. REMOVE: it has just been taken out of its entry. Interests
 * are counted in their entry here. */
enum change { ADVERT_ADD, ADVERT_UPDATE, ADVERT_REMOVE };
void advertise_intent(struct router *router, struct intent *intent, enum change change);
void advertise_interest(struct router *router, struct router_interest *interest,
                        enum change change);

/* Call fn for all that the endpoint is to know now, until fn returns false. */
void each_advert(const struct router *router, const struct endpoint *to,
                 bool (*fn)(void *ctx, const struct router_advert *advert), void *ctx);

/* Queue all that, or with `quiet` only count it as sent; what was sent before counts no more. */
void advertise_all(struct router *router, struct endpoint *to, bool quiet);

/* An advert as `to` is told it, borrowing its strings. */
void intent_advert(const struct endpoint *to, const struct intent *intent, struct str *route,
                   struct router_advert *ret_advert);
void interest_advert(const struct endpoint *to, const struct entry *entry, struct str *route,
                     struct router_advert *ret_advert);

/* ---- asks.c: what is told in reply ---- */

uint32_t ask_key_hash(const struct table_node *node); /* for the table */

struct ask *ask_find(const struct router *router, const struct endpoint *to,
                     const struct entry *entry);

/* The ask of an endpoint on a route, made where there is none. One that is new has no intents yet;
 * ask_drop undoes it. `route` is how the endpoint spells it. Errors: WEFT_ENOMEM. */
int ask_make(struct router *router, struct endpoint *to, struct entry *entry, struct str *route,
             struct ask **ret_ask);

/* The endpoint's last intent on the route is gone. */
void ask_drop(struct router *router, struct ask *ask);
void ask_free(struct router *router, struct ask *ask);

/* Tell what follows from the interests that are visible now: of one ask, or of all asks of an
 * endpoint on routes that the pattern covers. */
void ask_update(struct router *router, struct ask *ask);
void ask_update_covered(struct router *router, struct endpoint *to, const struct entry *pattern);

/* Tell a base peer again that we are interested, if it was told. */
void ask_repeat(struct router *router, struct ask *ask);

/* A base peer hears of our intents on a route while it has an interest there. The intent it is told
 * of now; NULL: there is none. */
struct intent *reply_intent(const struct router_interest *interest);
void reply_update(struct router *router, struct router_interest *interest);
void reply_update_all(struct router *router, const struct entry *entry); /* of all base peers */
void reply_withdraw(struct router *router, struct router_interest *interest);

/* ---- queue.c ---- */

/* Queue an advert; ADD and REMOVE count in the endpoint's sent digest. Never fails: for want of
 * memory or room the endpoint is marked broken. */
void queue_advert(struct router *router, struct endpoint *to, const struct router_advert *advert,
                  enum change change);
void queue_clear(struct router *router);

/* ---- digest.c ---- */

/* Count a declaration with this route_digest into, or out of, a digest. */
void digest_count(struct router_digest *digest, bool intent, bool added, uint64_t hash);
void digest_count_advert(struct router_digest *digest, const struct router_advert *advert,
                         bool added);

/* A record is declared, declared again, forgotten: keep its lease, and what the endpoint holds. */
void lease_start(struct lease *lease, struct endpoint *from, const struct decl *decl, bool intent,
                 uint64_t mono_ns);
void lease_renew(struct lease *lease, struct endpoint *from, const struct decl *decl, bool intent,
                 uint64_t mono_ns);
void lease_end(const struct lease *lease, struct endpoint *from, bool intent);

#endif
