/* bench-peers SYSTEM NAME [options]: one measurement of a system that is not weft. */
#include <stdio.h>
#include <string.h>

#include "peers.h"
#include "scenario.h"

static const struct bench_system *const systems[] = {
    &system_tcp,
#ifdef BENCH_ZMQ
    &system_zmq,
#endif
#ifdef BENCH_NNG
    &system_nng,
#endif
#ifdef BENCH_NATS
    &system_nats,
#endif
#ifdef BENCH_REDIS
    &system_redis,
#endif
#ifdef BENCH_MOSQUITTO
    &system_mosquitto,
#endif
};
#define SYSTEMS (sizeof(systems) / sizeof(systems[0]))

static void print_usage(FILE *out)
{
    fputs("usage: bench-peers SYSTEM NAME [options] [--json]\n"
          "\n"
          "Puts another system to the measurements of weft bench. NAME is one of\n"
          "\n",
          out);
    scenario_list(out);
    fputs("\nSYSTEM is one of\n\n", out);
    for (size_t i = 0; i < SYSTEMS; i++) {
        char version[64];
        systems[i]->version(version, sizeof(version));
        fprintf(out, "  %-11s %s%s\n", systems[i]->name, version,
                systems[i]->broker ? "; needs --port of its broker" : "");
    }
    fputs("\nExit codes: 0 measured; 1 it failed; 2 wrong usage.\n", out);
}

static const struct bench_system *find(const char *name)
{
    for (size_t i = 0; i < SYSTEMS; i++)
        if (strcmp(systems[i]->name, name) == 0)
            return systems[i];
    return NULL;
}

int main(int argc, char **argv)
{
    char program[64];
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout);
        return 0;
    }
    const struct bench_system *system = argc > 2 ? find(argv[1]) : NULL;
    if (argc > 2 && !system)
        fprintf(stderr, "bench-peers: no system '%s', or built without its library\n\n", argv[1]);
    if (!system || !scenario_exists(argv[2])) {
        print_usage(stderr);
        return 2;
    }
    snprintf(program, sizeof(program), "bench-peers %s %s", argv[1], argv[2]);
    argv[2] = program;
    return scenario_main(system, strrchr(program, ' ') + 1, argc - 2, argv + 2);
}
