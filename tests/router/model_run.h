/* One run of the property test: the router, its model, and where we are. */
#ifndef TESTS_ROUTER_MODEL_RUN_H
#define TESTS_ROUTER_MODEL_RUN_H

#include "model.h"
#include "tests/check.h"

extern struct model m; /* large, so not on the stack */
extern struct router *router;
extern uint64_t seed;
extern unsigned step;

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond))                                                                               \
            FAIL("seed %llu step %u: %s", (unsigned long long)seed, step, #cond);                  \
    } while (0)

struct model_intent *model_find_intent(uint32_t endpoint, const char *norm, const char *origin);

/* Drain the router and compare. */
void model_check(void);
void model_check_reset(void);

#endif
