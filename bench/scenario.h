/* The measurements every system can be put to, and their command lines. */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include "bench.h"
#include "result.h"

/* Run one measurement and add what it found. Returns 0, or -1 after an explanation. */
int stream_run(const struct bench_system *system, const struct bench_setup *setup,
               struct result *result);
int fanout_run(const struct bench_system *system, const struct bench_setup *setup,
               struct result *result);
int latency_run(const struct bench_system *system, const struct bench_setup *setup,
                struct result *result);
int local_run(const struct bench_system *system, const struct bench_setup *setup,
              struct result *result);

/* Memory for the children of crew_start to write to, zeroed; it lives until the process ends. NULL
 * after an explanation. */
void *bench_share(size_t size);

/* The measurement `name` of `system` with the options in argv; argv[0] is what the program is
 * called in messages. Prints the result. Returns the exit code: 0, 1 failed, 2 wrong usage. */
int scenario_main(const struct bench_system *system, const char *name, int argc, char **argv);

/* "  NAME  what it measures" of all of them. */
void scenario_list(FILE *out);
bool scenario_exists(const char *name);

#endif
