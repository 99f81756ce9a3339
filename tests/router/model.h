/* A router as one would write it without caring for time: flat arrays, and everything that follows
 * from them computed from scratch by the rules of router.h. The property test drives it beside the
 * real one and compares all that can be seen after every step. */
#ifndef TESTS_ROUTER_MODEL_H
#define TESTS_ROUTER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/route.h"
#include "router/router.h"

#define MODEL_ENDPOINTS 8 /* ids 0 (local) to 7 */
#define MODEL_RECORDS 256
#define MODEL_TEXT 96
#define MODEL_ADVERTS 512
#define MODEL_TARGETS 300

struct model_endpoint {
    bool attached, local, base, patterns, resyncing;
    enum endpoint_class class;
    char path[16], name[32];
};

struct model_intent {
    bool used, stale;
    uint32_t endpoint, link_alias, hops, refs;
    uint64_t schema;
    char route[MODEL_TEXT], norm[MODEL_TEXT], origin[32], shown[64];
    char latest[MODEL_TEXT]; /* the route as declared last */
    struct router_intent *record;
    uint64_t targets; /* hash of the targets its owner has seen */
};

struct model_interest {
    bool used, stale, told;
    uint32_t endpoint, hops;
    uint64_t schema;
    char route[MODEL_TEXT], norm[MODEL_TEXT], latest[MODEL_TEXT];
    struct router_interest *handle; /* local */
};

/* What an endpoint was told and not told to forget. */
struct model_advert {
    bool intent;
    uint32_t alias, hops;
    uint64_t schema;
    char route[MODEL_TEXT], norm[MODEL_TEXT], origin[64];
};

struct model_adverts {
    uint32_t count;
    struct model_advert items[MODEL_ADVERTS];
};

struct model {
    struct model_endpoint endpoints[MODEL_ENDPOINTS];
    struct model_intent intents[MODEL_RECORDS];
    struct model_interest interests[MODEL_RECORDS];
    struct model_adverts told[MODEL_ENDPOINTS]; /* as the adverts said */
};

struct model_conflict {
    uint32_t intent, interest;
    uint64_t ours, theirs;
};

struct route model_parse(const char *text);
void model_normal(const char *route, char *out);

/* The rules. */
bool model_hears(const struct model *m, uint32_t to, uint32_t from);
bool model_visible(const struct model *m, uint32_t to, const struct model_interest *s);
bool model_linked(const struct model *m, const struct model_intent *i,
                  const struct model_interest *s, bool *ret_conflict);
uint32_t model_matches(const struct model *m, const struct model_interest *s);

/* What the endpoint must have been told by now. Not for base peers' interests, which depend on
 * history: those are `model_wants` and stick. */
void model_demand(const struct model *m, uint32_t to, struct model_adverts *ret_adverts);
bool model_wants(const struct model *m, uint32_t to, const char *norm);

/* Apply what the router says to what the endpoint knows. */
void model_hear(struct model *m, const struct router_advert *advert);
struct model_advert *model_find_advert(struct model_adverts *adverts, bool intent, const char *norm,
                                       const char *origin);

/* Hash of an intent's targets, any order; route spellings included. */
uint64_t model_targets(const struct model *m, const struct model_intent *i);
uint64_t model_target_hash(const struct router_target *target);

#endif
