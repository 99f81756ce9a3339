/* weft bench: one measurement a call, a file for each. */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../../bench/scenario.h"
#include "../common/suggest.h"

static int throughput(int argc, char **argv)
{
    return scenario_main(&system_weft, "throughput", argc, argv);
}

static int latency(int argc, char **argv)
{
    return scenario_main(&system_weft, "latency", argc, argv);
}

static int fanout(int argc, char **argv)
{
    return scenario_main(&system_weft, "fanout", argc, argv);
}

static int local(int argc, char **argv)
{
    return scenario_main(&system_weft, "local", argc, argv);
}

static const struct bench_command benches_harness[] = {
    {"throughput", "messages a second from one process to another", throughput, NULL},
    {"latency", "round trips between two processes, callback to callback", latency, NULL},
    {"fanout", "messages from one process to many, or to many with one stopped", fanout, NULL},
    {"local", "messages within one process, between threads or on the loop's", local, NULL},
};

static const struct bench_command *const benches[] = {
    &benches_harness[0], &benches_harness[1], &benches_harness[2], &benches_harness[3],
    &bench_mesh,         &bench_routes,       &bench_idle,         NULL,
};
#define BENCHES_MAX 16

/* ---- For the measurements ---------------------------------------------------------------------
 */

__attribute__((format(printf, 2, 0))) static void say(const struct bench_command *command,
                                                      const char *format, va_list args)
{
    fprintf(stderr, "weft bench %s: ", command->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int bench_usage(const struct bench_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(command, format, args);
    va_end(args);
    fprintf(stderr, "See 'weft bench %s --help'.\n", command->name);
    return EXIT_USAGE;
}

int bench_failed(const struct bench_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(command, format, args);
    va_end(args);
    return EXIT_FAILED;
}

int bench_report(const struct bench_command *command, const struct result *result, bool json)
{
    if (result_print(result, stdout, json))
        return EXIT_OK;
    return bench_failed(command, "cannot write the result");
}

/* ---- The command ------------------------------------------------------------------------------
 */

static void print_help(FILE *out)
{
    fputs("usage: weft bench NAME [options] [--json]\n"
          "\n"
          "Runs one measurement on this machine and prints what came of it.\n"
          "\n",
          out);
    for (size_t i = 0; benches[i]; i++)
        fprintf(out, "  %-11s %s\n", benches[i]->name, benches[i]->summary);
    fputs("\n"
          "      --json  one JSON object on one line instead of a text\n"
          "  -h, --help  this text; after NAME: the options of that measurement\n"
          "\n"
          "Exit codes: 0 measured; 1 it failed; 2 wrong usage.\n",
          out);
}

static const struct bench_command *find(const char *name)
{
    for (size_t i = 0; benches[i]; i++)
        if (strcmp(benches[i]->name, name) == 0)
            return benches[i];
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[BENCHES_MAX];
    size_t count = 0;
    for (; count < BENCHES_MAX && benches[count]; count++)
        names[count] = benches[count]->name;
    const char *near = count ? suggest(name, names, count, sizeof(names[0])) : NULL;
    return usage_error(&bench_command, "'%s' is no measurement%s%s%s", name,
                       near ? "; did you mean '" : "; 'weft bench --help' lists them",
                       near ? near : "", near ? "'?" : "");
}

static int run(int argc, char **argv)
{
    char name[64];
    if (argc < 2)
        return usage_error(&bench_command, "no measurement named");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    const struct bench_command *bench = find(argv[1]);
    if (!bench)
        return unknown(argv[1]);
    snprintf(name, sizeof(name), "weft bench %s", bench->name);
    argv[1] = name; /* getopt's own messages begin with it */
    return bench->run(argc - 1, argv + 1);
}

const struct command bench_command = {
    .name = "bench",
    .run = run,
    .summary = "measure what this machine can do",
};
