/* What the measurements of `weft bench` share. Each is a file bench_NAME.c with one
 * `const struct bench_command`, which bench.c has in its table; results go out through
 * bench/result.h. */
#ifndef CMD_WEFT_BENCH_H
#define CMD_WEFT_BENCH_H

#include <stdbool.h>

#include "../../bench/result.h"
#include "command.h"

struct bench_command {
    const char *name;
    const char *summary;               /* one line, for `weft help bench` */
    int (*run)(int argc, char **argv); /* argv[0] is "weft bench NAME"; returns the exit code */
    const char *help; /* its options, for `weft bench NAME --help`; ends with a newline */
};

extern const struct bench_command bench_mesh, bench_routes, bench_idle;

/* Print "weft bench NAME: …" to stderr and where help is found. Returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int bench_usage(const struct bench_command *command,
                                                      const char *format, ...);

/* Print "weft bench NAME: …" to stderr. Returns EXIT_FAILED. */
__attribute__((format(printf, 2, 3))) int bench_failed(const struct bench_command *command,
                                                       const char *format, ...);

/* Print the result to stdout. Returns the exit code. */
int bench_report(const struct bench_command *command, const struct result *result, bool json);

#endif
