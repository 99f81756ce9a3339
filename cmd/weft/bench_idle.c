/* weft bench idle: what a node costs that has one peer and hears of it a few times a second.
 *
 * The happy path: a second process is forked before there are threads. This one opens a node and
 * tells the other where, the other links to it and sends at the rate asked for, and once the first
 * message has come the processor time of this process is read at the beginning and the end of the
 * time. The main thread sleeps meanwhile, so that what is counted is the node's.
 *
 *     this process   node, subscriber ◀── TCP ── node, publisher   the other one
 *                    pipe ── URL, then its end ──▶
 *
 * Failure: the other process ends early, or no message comes. The end of the pipe, for whatever
 * reason, ends the other process. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common/suggest.h"
#include "../common/units.h"
#include "bench.h"

#define ROUTE "types.Tick@bench.idle"
#define SIZE 64       /* bytes a message */
#define START_MS 5000 /* the longest until the first message */

enum { OPTION_RATE = OPTION_OWN, OPTION_SECONDS, OPTION_JSON };

static const struct option options[] = {
    {"rate", required_argument, NULL, OPTION_RATE},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct idle {
    uint64_t rate;
    uint32_t ms;
    bool json;
};

struct figures {
    double seconds, cpu_seconds;
    uint64_t messages;
};

static int parse(int argc, char **argv, struct idle *i, bool *ret_done)
{
    int option;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        switch (option) {
        case 'h':
            fputs(bench_idle.help, stdout);
            *ret_done = true;
            return EXIT_OK;
        case OPTION_RATE:
            if (!count_parse(optarg, 1, 1000, &i->rate))
                return bench_usage(&bench_idle, "--rate %s: expected a number from 1 to 1000",
                                   optarg);
            break;
        case OPTION_SECONDS:
            if (!parse_seconds(optarg, &i->ms) || i->ms == 0 || i->ms > 3600000)
                return bench_usage(&bench_idle, "--seconds %s: expected seconds or %s, up to 1h",
                                   optarg, DURATION_EXPECTED);
            break;
        case OPTION_JSON:
            i->json = true;
            break;
        default:
            return bench_usage(&bench_idle, "wrong options");
        }
    }
    if (optind < argc)
        return bench_usage(&bench_idle, "%s: not expected here", argv[optind]);
    return EXIT_OK;
}

/* ---- The other process: it sends ---------------------------------------------------------------
 */

/* Send at the rate until the pipe ends. */
static void send_all(weft_intent *intent, uint64_t rate, int pipe)
{
    static const uint8_t payload[SIZE];
    uint64_t step = 1000000000 / rate, due = now_ns();
    struct pollfd end = {.fd = pipe, .events = POLLIN};
    for (;;) {
        uint64_t now = now_ns();
        int wait_ms = due > now ? (int)((due - now + 999999) / 1000000) : 0;
        if (poll(&end, 1, wait_ms) > 0)
            return;
        if (now_ns() < due)
            continue;
        weft_send(intent, payload, sizeof(payload));
        due += step;
    }
}

static int be_sender(const struct idle *i, int pipe)
{
    char url[512];
    ssize_t n = read(pipe, url, sizeof(url) - 1);
    if (n <= 0)
        return EXIT_FAILED;
    url[n] = '\0';
    weft_options o;
    weft_node *node;
    weft_intent *intent;
    weft_options_init(&o);
    o.peers = (const char *[]){url, NULL};
    o.role = WEFT_ROLE_CLIENT;
    int rc = weft_node_open(&o, &node);
    if (rc < 0)
        return bench_failed(&bench_idle, "the sending node: %s", weft_strerror(rc));
    rc = weft_publish(node, ROUTE, NULL, &intent);
    if (rc == 0)
        rc = weft_intent_wait(intent, START_MS);
    if (rc == 0)
        send_all(intent, i->rate, pipe);
    weft_node_close(node);
    return rc < 0 ? bench_failed(&bench_idle, "the sending node: %s", weft_strerror(rc)) : EXIT_OK;
}

/* ---- This process: it receives -----------------------------------------------------------------
 */

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    (void)interest;
    (void)msg;
    atomic_fetch_add_explicit((atomic_uint_fast64_t *)user, 1, memory_order_relaxed);
}

static void sleep_ms(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int listen_to(const struct idle *i, atomic_uint_fast64_t *count, struct figures *f)
{
    for (int waited = 0; atomic_load(count) == 0; waited++) {
        if (waited == START_MS)
            return bench_failed(&bench_idle, "no message came within %d s", START_MS / 1000);
        sleep_ms(1);
    }
    uint64_t first = atomic_load(count), start = now_ns();
    double cpu = cpu_seconds();
    sleep_ms(i->ms);
    f->cpu_seconds = cpu_seconds() - cpu;
    f->seconds = (double)(now_ns() - start) / 1e9;
    f->messages = atomic_load(count) - first;
    return f->messages ? EXIT_OK : bench_failed(&bench_idle, "no further message came");
}

static int be_receiver(const struct idle *i, int pipe, struct figures *f)
{
    static atomic_uint_fast64_t count;
    weft_options o;
    weft_node *node;
    weft_interest *interest;
    weft_subscribe_options s;
    weft_options_init(&o);
    o.self = "tcp://127.0.0.1:0/bench.listener";
    weft_subscribe_options_init(&s);
    s.on_message = on_message;
    s.user = &count;
    int rc = weft_node_open(&o, &node);
    if (rc < 0)
        return bench_failed(&bench_idle, "the receiving node: %s", weft_strerror(rc));
    rc = weft_subscribe(node, ROUTE, &s, &interest);
    const char *url = weft_node_url(node);
    int code =
        rc < 0 ? bench_failed(&bench_idle, "the receiving node: %s", weft_strerror(rc)) : EXIT_OK;
    if (code == EXIT_OK && write(pipe, url, strlen(url)) != (ssize_t)strlen(url))
        code = bench_failed(&bench_idle, "the sending process has ended");
    if (code == EXIT_OK)
        code = listen_to(i, &count, f);
    weft_node_close(node);
    return code;
}

static int report(const struct idle *i, const struct figures *f)
{
    struct result r;
    result_begin(&r, "idle", "weft", weft_version());
    result_count(&r, "rate", i->rate);
    result_number(&r, "seconds", f->seconds);
    result_number(&r, "cpu_percent", 100 * f->cpu_seconds / f->seconds);
    result_count(&r, "messages", f->messages);
    return bench_report(&bench_idle, &r, i->json);
}

static int run(int argc, char **argv)
{
    struct idle i = {.rate = 10, .ms = 10000};
    struct figures f = {0};
    bool done = false;
    int pipes[2];
    int code = parse(argc, argv, &i, &done);
    if (code != EXIT_OK || done)
        return code;
    if (pipe(pipes) < 0)
        return bench_failed(&bench_idle, "no pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        return bench_failed(&bench_idle, "no second process: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pipes[1]);
        _exit(be_sender(&i, pipes[0]));
    }
    close(pipes[0]);
    code = be_receiver(&i, pipes[1], &f);
    close(pipes[1]);
    if (code != EXIT_OK)
        kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return code == EXIT_OK ? report(&i, &f) : code;
}

const struct bench_command bench_idle = {
    .name = "idle",
    .run = run,
    .summary = "what a node costs that hears little",
    .help = "usage: weft bench idle [--rate N] [--seconds S] [--json]\n"
            "\n"
            "A node with one peer, in another process, that sends a message now and then: the\n"
            "processor time of the receiving process, in per cent of a core.\n"
            "\n"
            "      --rate N     messages a second, from 1 to 1000 (default 10)\n"
            "      --seconds S  how long to measure (default 10)\n"
            "      --json       one JSON object on one line\n"
            "  -h, --help       this text\n"
            "\n"
            "Exit codes: 0 measured; 1 it failed; 2 wrong usage.\n",
};
