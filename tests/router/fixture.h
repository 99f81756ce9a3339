/* A router with a few endpoints, and short words for what tests do with it. */
#ifndef TESTS_ROUTER_FIXTURE_H
#define TESTS_ROUTER_FIXTURE_H

#include <weft/weft.h>

#include "base/util.h"
#include "proto/codec.h"
#include "router/router.h"
#include "tests/check.h"

struct router *fixture_new(uint32_t max_routes);

/* Attach a peer, leaf or uplink that takes patterns; `name` is "tcp://ENDPOINT". */
void fixture_attach(struct router *router, uint32_t endpoint, enum endpoint_class class,
                    const char *path);
void fixture_attach_base(struct router *router, uint32_t endpoint);

struct router_intent *fixture_publish(struct router *router, const char *route);
struct router_interest *fixture_subscribe(struct router *router, const char *route, void *user);

/* Declare or withdraw; returns router_learn_…. Time is 1. */
int fixture_intent(struct router *router, uint32_t endpoint, const char *route, uint32_t alias);
int fixture_interest(struct router *router, uint32_t endpoint, const char *route);
int fixture_gone(struct router *router, uint32_t endpoint, const char *route, bool intent);

/* All adverts waiting, as "3+I a@b<origin> …": endpoint, + or -, I (intent) or N (interest), route;
 * in a static buffer. */
const char *fixture_adverts(struct router *router);

/* Targets of an intent, as "L1 E3:a@b …": users (as numbers) and endpoints. */
const char *fixture_targets(struct router *router, const struct router_intent *intent);

#endif
