/* One run of a virtual cluster: a schedule carried out, and the invariants looked at. */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include "net.h"
#include "schedule.h"

struct sim_result {
    bool failed;
    char why[640]; /* the invariant that does not hold, in a sentence */
    uint64_t hash; /* of all that happened */
    uint64_t events, virtual_ns, recovery_ns;
    uint64_t dials, budget;
    uint64_t dialled_again; /* dials after the mesh was whole */
    uint64_t blocks;        /* of memory, at their most */
    struct net_traffic traffic;
};

/* A defect planted for a test of the instruments; NULL: none. Called once the network is made. */
typedef void sim_plant(struct net *net);

void sim_run(const struct schedule *schedule, sim_plant *plant, struct sim_result *ret_result);

/* Of a schedule that fails, the shortest found by leaving out steps (ddmin), and with them nodes,
 * that fails in the same way. `runs` is how many runs that may take. */
void sim_shrink(const struct schedule *schedule, sim_plant *plant, unsigned runs,
                struct schedule *ret_shortest, struct sim_result *ret_result);

#endif
