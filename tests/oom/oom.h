/* An allocator whose n-th allocation fails, and what plays a scenario with it: for n = 1, 2, 3 …
 * until a run needs fewer, in three ways:
 *
 *   once     the n-th fails, the next succeeds
 *   awhile   all fail from the n-th on, until the scenario has memory come back (oom_relent)
 *   on       all fail from the n-th on, to the end of the scenario
 *
 * After each run nothing may be left of what weft allocated. A scenario runs in a child process of
 * its own, so that a crash and a hang are told like a failed check: with the n and the way, which
 * play that run alone:
 *
 *     WEFT_OOM_N=17 WEFT_OOM_MODE=once build/gcc/tests/oom/test_oom_node oom_node/mesh_over_inproc
 *
 * The same is done with descriptors (fd.c), of which the n-th cannot be had.
 *
 * With WEFT_OOM_TRACE=1 the first allocation that fails prints where it was.
 *
 * Where a plan says so, and in the instrumented builds where a scenario has many, only every k-th n
 * is played. WEFT_OOM_STEP sets k. */
#ifndef TESTS_OOM_OOM_H
#define TESTS_OOM_OOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/weft.h>

#include "tests/check.h"

enum oom_mode { OOM_ONCE, OOM_AWHILE, OOM_ON, OOM_MODES };

struct oom_plan {
    const char *file;  /* removed at the end, however that comes; NULL: none */
    bool descriptors;  /* they are what is short, and memory is not */
    unsigned at_least; /* allocations an undisturbed run makes, or the allocator was not ours */
    unsigned modes;    /* bits 1 << OOM_ONCE …; 0: all */
    unsigned quiet;    /* runs in a row without a failure that end it; 0: 1. Threads need more */
    unsigned
        awhile; /* failures after which memory is back by itself, in the mode AWHILE; 0: never */
    unsigned runs_max; /* runs per mode at most; 0: 400 where instrumented */
};

/* Play a scenario for every n; the test fails if any run does. NULL: the plan is all zeros. */
void oom_each(const char *name, const struct oom_plan *plan, void (*scenario)(void));

/* ---- Inside a scenario, from any thread ---- */

enum oom_mode oom_mode(void);
bool oom_failed(void);    /* has an allocation failed in this run? */
bool oom_failing(void);   /* would the next one? */
void oom_relent(void);    /* memory is back, for the rest of the run */
void oom_pause(bool on);  /* on: all succeed, and are not counted */
uint64_t oom_n(void);     /* what fails in this run */
uint64_t oom_count(void); /* allocations of this run so far */
int64_t oom_living(void); /* blocks not yet freed */

/* The allocator alone, for tests that play their own way: from the n-th allocation on (from 1; 0:
 * none) `failures` fail. Resets the counters, and hands the allocator to weft. */
void oom_arm(uint64_t n, uint64_t failures);
/* Every allocation is counted, and fails as armed, also those handed to libuv. */
void *oom_alloc(size_t size);
void *oom_zalloc(size_t count, size_t size);
void *oom_resize(void *p, size_t size);
/* libuv ends the process where its table of descriptors cannot grow, all that it resizes. */
void *oom_resize_always(void *p, size_t size);
void oom_release(void *p);

/* The same for descriptors; none is short yet. */
void oom_arm_descriptors(void);
/* After `n` more all fail, until oom_relent. */
void oom_exhaust_after(uint64_t n);
/* May one more descriptor be had? Counted and failing as allocations are otherwise. */
bool oom_descriptor(void);

/* A call's result: fine, or out of memory because an allocation did fail; or WEFT_EMFILE, where
 * descriptors are short. Returns rc >= 0. */
bool oom_ok(int rc);

/* Make a call again as its caller would: false once it is done, or in the mode ON, where memory
 * does not come back. do rc = call(); while (oom_again(rc)); */
bool oom_again(int rc);

#endif
