/* The command line of a measurement, the same for weft bench and bench-peers. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cmd/common/units.h"
#include "crew.h"
#include "scenario.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum {
    OPTION_SIZE = 256,
    OPTION_SECONDS,
    OPTION_SUBSCRIBERS,
    OPTION_STOP,
    OPTION_OTHER_ROUTES,
    OPTION_TRANSPORT,
    OPTION_MODE,
    OPTION_PORT,
    OPTION_JSON,
};

static const struct option long_options[] = {
    {"size", required_argument, NULL, OPTION_SIZE},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"subscribers", required_argument, NULL, OPTION_SUBSCRIBERS},
    {"stop", no_argument, NULL, OPTION_STOP},
    {"other-routes", required_argument, NULL, OPTION_OTHER_ROUTES},
    {"transport", required_argument, NULL, OPTION_TRANSPORT},
    {"mode", required_argument, NULL, OPTION_MODE},
    {"port", required_argument, NULL, OPTION_PORT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct scenario {
    const char *name;
    const char *summary, *help;
    int (*run)(const struct bench_system *, const struct bench_setup *, struct result *);
    size_t size;
    unsigned subscribers;
    const int *options; /* besides those all have; ends with 0 */
};

#define HELP_SIZE "      --size BYTES       payload of a message, 16 B to 32 MiB (default %zu)\n"
#define HELP_TRANSPORT "      --transport T      tcp over the loopback, or unix (default tcp)\n"

static const struct scenario scenarios[] = {
    {.name = "throughput",
     .summary = "messages a second from one process to another",
     .help = "Messages of one publisher process to one subscriber process, as fast as they go.\n"
             "Every message carries its number: what is lost is counted, and a message out of\n"
             "order is an error. The rate is the subscriber's, from its first message to its\n"
             "last.\n"
             "\n" HELP_SIZE HELP_TRANSPORT
             "      --other-routes N   so many other routes declared on both sides (default 0)\n",
     .run = stream_run,
     .size = 256,
     .subscribers = 1,
     .options = (const int[]){OPTION_TRANSPORT, OPTION_OTHER_ROUTES, 0}},
    {.name = "latency",
     .summary = "round trips between two processes, callback to callback",
     .help = "Round trips between two processes, from callback to callback: each message is\n"
             "sent when the answer to the one before has come.\n"
             "\n" HELP_SIZE HELP_TRANSPORT,
     .run = latency_run,
     .size = 64,
     .subscribers = 1,
     .options = (const int[]){OPTION_TRANSPORT, 0}},
    {.name = "fanout",
     .summary = "messages from one process to many, or to many with one stopped",
     .help = "Messages of one publisher process to many subscriber processes; a delivery is a\n"
             "message that has reached one of them.\n"
             "\n" HELP_SIZE "      --subscribers N    subscriber processes, 1 to 100 (default 10)\n"
             "      --stop             stop one half-way, and tell what it does to the "
             "others\n" HELP_TRANSPORT,
     .run = fanout_run,
     .size = 256,
     .subscribers = 10,
     .options = (const int[]){OPTION_SUBSCRIBERS, OPTION_STOP, OPTION_TRANSPORT, 0}},
    {.name = "local",
     .summary = "messages within one process, between threads or on the loop's",
     .help = "Messages within one process.\n"
             "\n" HELP_SIZE
             "      --mode recv        one thread sends, another receives (the default)\n"
             "      --mode thread      one thread sends, a callback on the loop's thread\n"
             "                         receives\n"
             "      --mode callback    the loop's thread sends to a callback of its own\n",
     .run = local_run,
     .size = 16,
     .subscribers = 1,
     .options = (const int[]){OPTION_MODE, 0}},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static const struct scenario *find(const char *name)
{
    for (size_t i = 0; i < SCENARIOS; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    return NULL;
}

bool scenario_exists(const char *name)
{
    return find(name) != NULL;
}

void scenario_list(FILE *out)
{
    for (size_t i = 0; i < SCENARIOS; i++)
        fprintf(out, "  %-11s %s\n", scenarios[i].name, scenarios[i].summary);
}

/* ---- Options ----------------------------------------------------------------------------------
 */

struct command_line {
    const char *program;
    const struct bench_system *system;
    const struct scenario *scenario;
    struct bench_setup setup;
    bool json, help;
};

__attribute__((format(printf, 2, 3))) static int misuse(const struct command_line *c,
                                                        const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s: ", c->program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nSee '%s --help'.\n", c->program);
    return EXIT_USAGE;
}

static const char *name_of(int option)
{
    for (const struct option *o = long_options; o->name; o++)
        if (o->val == option)
            return o->name;
    return "?";
}

/* One of the words, NULL-terminated; its index, or -1. */
static int take_word(const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    return -1;
}

static int take_size(struct command_line *c)
{
    uint64_t n;
    if (!size_parse(optarg, &n) || n < BENCH_SIZE_MIN || n > BENCH_SIZE_MAX)
        return misuse(c, "--size %s: expected %s, 16 to 32MiB", optarg, SIZE_EXPECTED);
    c->setup.size = (size_t)n;
    return EXIT_OK;
}

static int take_seconds(struct command_line *c)
{
    uint32_t ms;
    if (!duration_parse(optarg, 1000, &ms) || ms < 10 || ms > 3600000)
        return misuse(c, "--seconds %s: expected seconds or %s, 0.01 to 3600", optarg,
                      DURATION_EXPECTED);
    c->setup.run_ns = (uint64_t)ms * 1000000;
    return EXIT_OK;
}

static int take_counts(int option, struct command_line *c)
{
    uint64_t n;
    switch (option) {
    case OPTION_SUBSCRIBERS:
        if (!count_parse(optarg, 1, BENCH_SUBSCRIBERS, &n))
            return misuse(c, "--subscribers %s: expected a number from 1 to %d", optarg,
                          BENCH_SUBSCRIBERS);
        c->setup.subscribers = (unsigned)n;
        return EXIT_OK;
    case OPTION_OTHER_ROUTES:
        if (!count_parse(optarg, 0, 400000, &n))
            return misuse(c, "--other-routes %s: expected a number up to 400000", optarg);
        c->setup.other_routes = (unsigned)n;
        return EXIT_OK;
    default:
        if (!count_parse(optarg, 1, UINT16_MAX, &n))
            return misuse(c, "--port %s: expected a number from 1 to 65535", optarg);
        c->setup.port = (uint16_t)n;
        return EXIT_OK;
    }
}

static int take_words(int option, struct command_line *c)
{
    static const char *const transports[] = {"tcp", "unix", NULL};
    static const char *const modes[] = {"recv", "callback", "thread", NULL};
    bool mode = option == OPTION_MODE;
    int word = take_word(optarg, mode ? modes : transports);
    if (word < 0)
        return misuse(c, "--%s %s: expected %s", name_of(option), optarg,
                      mode ? "recv, callback or thread" : "tcp or unix");
    if (mode)
        c->setup.mode = (enum bench_mode)word;
    else
        c->setup.transport = (enum bench_transport)word;
    return EXIT_OK;
}

static bool belongs(const struct command_line *c, int option)
{
    if (option == OPTION_SIZE || option == OPTION_SECONDS || option == OPTION_JSON || option == 'h')
        return true;
    if (option == OPTION_PORT)
        return c->system->broker;
    for (const int *o = c->scenario->options; *o; o++)
        if (*o == option)
            return true;
    return false;
}

static int take(int option, struct command_line *c)
{
    switch (option) {
    case OPTION_SIZE:
        return take_size(c);
    case OPTION_SECONDS:
        return take_seconds(c);
    case OPTION_STOP:
        c->setup.stop = true;
        return EXIT_OK;
    case OPTION_JSON:
        c->json = true;
        return EXIT_OK;
    case 'h':
        c->help = true;
        return EXIT_OK;
    case OPTION_TRANSPORT:
    case OPTION_MODE:
        return take_words(option, c);
    default:
        return take_counts(option, c);
    }
}

static int parse(int argc, char **argv, struct command_line *c)
{
    int option, code;
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == '?') {
            fprintf(stderr, "See '%s --help'.\n", c->program);
            return EXIT_USAGE;
        }
        if (!belongs(c, option))
            return misuse(c, "--%s is no option of this measurement", name_of(option));
        if ((code = take(option, c)) != EXIT_OK)
            return code;
    }
    if (c->help)
        return EXIT_OK;
    if (optind < argc)
        return misuse(c, "'%s' is one argument too many", argv[optind]);
    if (c->system->broker && !c->setup.port)
        return misuse(c, "no broker; give --port");
    if (c->setup.stop && c->setup.subscribers < 2)
        return misuse(c, "--stop needs two subscribers at least");
    return EXIT_OK;
}

/* ---- Running it -------------------------------------------------------------------------------
 */

static void print_help(const struct command_line *c)
{
    printf("usage: %s [options]\n\n", c->program);
    /* The only conversion in these texts is the default size. */
    const char *help = c->scenario->help, *size = strstr(help, "%zu");
    printf("%.*s%zu%s", (int)(size - help), help, c->scenario->size, size + 3);
    fputs("      --seconds S        how long to send (default 1)\n", stdout);
    if (c->system->broker)
        fputs("      --port N           where the broker listens on 127.0.0.1\n", stdout);
    fputs("      --json             one JSON object on one line instead of a text\n"
          "  -h, --help             this text\n"
          "\n"
          "Exit codes: 0 measured; 1 it failed; 2 wrong usage.\n",
          stdout);
}

static int run_in(struct command_line *c, struct result *result)
{
    char folder[64], path[80];
    const char *parent = getenv("TMPDIR");
    if (c->setup.transport == TRANSPORT_TCP)
        return c->scenario->run(c->system, &c->setup, result);
    snprintf(folder, sizeof(folder), "%s/weft-bench-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(folder))
        return bench_error("%s: %s", folder, strerror(errno));
    c->setup.folder = folder;
    int rc = c->scenario->run(c->system, &c->setup, result);
    snprintf(path, sizeof(path), "%s/socket", folder);
    unlink(path); /* most have done so themselves */
    if (rmdir(folder) < 0)
        bench_error("%s: %s", folder, strerror(errno));
    return rc;
}

static bool offered(const struct bench_system *system, const char *name)
{
    if (strcmp(name, "local") == 0)
        return system->local != NULL;
    return strcmp(name, "latency") == 0 ? system->pair_open != NULL
                                        : system->publisher_open != NULL;
}

int scenario_main(const struct bench_system *system, const char *name, int argc, char **argv)
{
    struct command_line c = {.program = argv[0], .system = system, .scenario = find(name)};
    struct result result;
    char version[64];
    c.setup.size = c.scenario->size;
    c.setup.subscribers = c.scenario->subscribers;
    c.setup.run_ns = 1000000000;
    int code = parse(argc, argv, &c);
    if (code != EXIT_OK)
        return code;
    if (c.help) {
        print_help(&c);
        return EXIT_OK;
    }
    if (!offered(system, name))
        return misuse(&c, "%s does not offer this measurement", system->name);
    system->version(version, sizeof(version));
    result_begin(&result, name, system->name, version);
    if (crew_catch_signals() < 0 || run_in(&c, &result) < 0)
        return EXIT_FAILED;
    result_words(&result, "setting", system->setting);
    if (result_print(&result, stdout, c.json))
        return EXIT_OK;
    bench_error("cannot write the result");
    return EXIT_FAILED;
}
