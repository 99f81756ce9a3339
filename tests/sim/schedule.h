/* Schedules: what is done to a virtual cluster, and when. Drawn from a seed first and carried out
 * afterwards, so that steps can be left out and the rest is what it was. */
#ifndef TESTS_SIM_SCHEDULE_H
#define TESTS_SIM_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What a step does, and what its numbers mean. */
#define SCHEDULE_OPS(X)                                                                            \
    X(START, "start")     /* a; x: with its book; y: who it is configured with besides n0 */       \
    X(KILL, "kill")       /* a; x: enum net_death */                                               \
    X(LEAVE, "leave")     /* a: in good order */                                                   \
    X(OPEN, "open")       /* a; x: which route; y: an intent */                                    \
    X(CLOSE, "close")     /* a; x: which of its routes */                                          \
    X(SEND, "send")       /* a; b: messages; x: which of its intents; y: bytes, policy, pace */    \
    X(SLOW, "slow")       /* a; b: ms a message takes, 0: at once; x: interest; y: queue */        \
    X(CUT, "cut")         /* a, b; x: enum net_cut; y: whose end */                                \
    X(SILENCE, "silence") /* a, b; y: whose end */                                                 \
    X(PARTITION, "partition") /* x, y: who is on which side, as bits drawn from both */            \
    X(HEAL, "heal")           /* the partition */                                                  \
    X(STALL, "stall")         /* a; x: ms */                                                       \
    X(LAG, "lag")             /* a; x: ms; 0: no more */                                           \
    X(CLOCK, "clock")         /* a; x: s its wall clock goes ahead by; y: 1: back instead */       \
    X(DIALS, "dials")         /* a; x: enum net_dials */                                           \
    X(AGAIN, "again")         /* a, b: it dials b under another address, while its link stands */

enum step_op {
#define X(name, text) STEP_##name,
    SCHEDULE_OPS(X)
#undef X
        STEP_OPS
};

struct step {
    uint32_t at_ms;
    enum step_op op;
    uint32_t a, b, x, y;
};

struct schedule {
    uint64_t seed; /* of the network and all in it */
    uint32_t nodes;
    uint32_t ends_ms;   /* then faults stop */
    struct step *steps; /* by at_ms */
    size_t count, cap;
};

/* Draw the schedule of a seed; `calm`: no faults but for some cuts. */
void schedule_draw(struct schedule *s, uint64_t seed, uint32_t nodes, bool calm);
void schedule_add(struct schedule *s, const struct step *step);
/* Without the steps where keep[i] is false. */
void schedule_copy(struct schedule *to, const struct schedule *from, const bool *keep);
void schedule_fini(struct schedule *s);

/* "NODES,ENDS: AT OP A B X Y; AT OP …", which schedule_parse reads. False: it does not parse. */
void schedule_print(const struct schedule *s, FILE *out);
bool schedule_parse(struct schedule *s, uint64_t seed, const char *text);

#endif
