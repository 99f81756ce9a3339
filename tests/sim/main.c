/* weft-sim: the virtual cluster from the command line.
 *
 *     weft-sim [--seeds N] [--from S] [--nodes M[-K]] [--jobs J] [--calm] [--no-shrink]
 *     weft-sim --replay SEED --nodes M[-K] [--calm] [--trace] [--schedule STEPS]
 *
 * Runs the seeds S … S+N-1, each with a cluster of M to K nodes, in J processes at a time. One line
 * sums up. A seed that fails is named with the invariant that does not hold and with the command
 * that replays it; then its schedule is shrunk, and printed with the command that replays that.
 * --calm draws few faults, for clusters that are large. --trace prints all that happens. Exit code:
 * 0, or 1 where a seed failed, or 2 for a wrong command line. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "run.h"

#define JOBS_MAX 64
#define SHRINK_RUNS 600u

struct sums {
    uint64_t seeds, failed, events, virtual_ns, recovery_ns, worst_seed, dials, worst_permille,
        blocks;
    uint64_t sent, queued, delivered, refused, expired, unwanted, lost, lost_away, handovers;
    long memory_kib;
};

struct command {
    uint64_t seeds, from;
    uint32_t least, most; /* nodes */
    unsigned jobs;
    bool calm, shrink, trace, replay;
    const char *schedule;
};

static void usage(void)
{
    fprintf(stderr, "usage: weft-sim [--seeds N] [--from S] [--nodes M[-K]] [--jobs J] [--calm] "
                    "[--no-shrink]\n"
                    "       weft-sim --replay SEED --nodes M[-K] [--calm] [--trace] "
                    "[--schedule STEPS]\n");
    exit(2);
}

static uint64_t number(const char *text, const char **ret_end)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (end == text || (!ret_end && *end))
        usage();
    if (ret_end)
        *ret_end = end;
    return n;
}

static void parse_nodes(struct command *c, const char *text)
{
    const char *rest;
    c->least = c->most = (uint32_t)number(text, &rest);
    if (*rest == '-')
        c->most = (uint32_t)number(rest + 1, NULL);
    else if (*rest)
        usage();
    if (c->least == 0 || c->most < c->least)
        usage();
}

static void parse_command(struct command *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 's'},    {"from", required_argument, NULL, 'f'},
        {"nodes", required_argument, NULL, 'n'},    {"jobs", required_argument, NULL, 'j'},
        {"calm", no_argument, NULL, 'c'},           {"no-shrink", no_argument, NULL, 'S'},
        {"trace", no_argument, NULL, 't'},          {"replay", required_argument, NULL, 'r'},
        {"schedule", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0},
    };
    *c = (struct command){
        .seeds = 100, .from = 1, .least = 5, .most = 20, .jobs = 1, .shrink = true};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            c->seeds = number(optarg, NULL);
            break;
        case 'r':
            c->replay = true;
            c->seeds = 1;
            c->shrink = false;
            c->from = number(optarg, NULL);
            break;
        case 'f':
            c->from = number(optarg, NULL);
            break;
        case 'n':
            parse_nodes(c, optarg);
            break;
        case 'j':
            c->jobs = (unsigned)number(optarg, NULL);
            break;
        case 'c':
            c->calm = true;
            break;
        case 'S':
            c->shrink = false;
            break;
        case 't':
            c->trace = true;
            break;
        case 'p':
            c->schedule = optarg;
            break;
        default:
            usage();
        }
    }
    if (optind < argc || c->jobs == 0 || c->jobs > JOBS_MAX || (c->schedule && !c->replay))
        usage();
}

/* ---- A seed ---- */

static void draw(const struct command *c, uint64_t seed, struct schedule *ret_schedule)
{
    uint32_t nodes = c->least + (uint32_t)(seed * 7 % (c->most - c->least + 1));
    if (!c->schedule)
        schedule_draw(ret_schedule, seed, nodes, c->calm);
    else if (!schedule_parse(ret_schedule, seed, c->schedule))
        usage();
}

static void print_command(const struct command *c, const struct schedule *s, bool steps)
{
    printf("  replay: weft-sim --replay %" PRIu64 " --nodes %" PRIu32, s->seed, c->least);
    if (c->most != c->least)
        printf("-%" PRIu32, c->most);
    printf("%s", c->calm ? " --calm" : "");
    if (steps) {
        printf(" --schedule '");
        schedule_print(s, stdout);
        printf("'");
    }
    printf("\n");
}

static void report_failure(const struct command *c, const struct schedule *s,
                           const struct sim_result *result)
{
    printf("seed %" PRIu64 ", %" PRIu32 " nodes: %s\n", s->seed, s->nodes, result->why);
    print_command(c, s, c->schedule != NULL);
    fflush(stdout);
    if (!c->shrink)
        return;
    struct schedule shortest;
    struct sim_result shrunk;
    sim_shrink(s, NULL, SHRINK_RUNS, &shortest, &shrunk);
    printf("  shrunk from %zu steps to %zu: %s\n", s->count, shortest.count, shrunk.why);
    print_command(c, &shortest, true);
    fflush(stdout);
    schedule_fini(&shortest);
}

static void add_result(struct sums *sums, uint64_t seed, const struct sim_result *r)
{
    sums->seeds++;
    sums->failed += r->failed;
    sums->events += r->events;
    sums->virtual_ns += r->virtual_ns;
    if (r->recovery_ns > sums->recovery_ns)
        sums->worst_seed = seed;
    sums->recovery_ns = max_u64(sums->recovery_ns, r->recovery_ns);
    sums->dials += r->dials;
    if (r->budget)
        sums->worst_permille = max_u64(sums->worst_permille, 1000 * r->dials / r->budget);
    sums->blocks = max_u64(sums->blocks, r->blocks);
    sums->sent += r->traffic.sent;
    sums->queued += r->traffic.queued;
    sums->delivered += r->traffic.delivered;
    sums->refused += r->traffic.refused;
    sums->expired += r->traffic.expired;
    sums->unwanted += r->traffic.unwanted;
    sums->lost += r->traffic.lost;
    sums->lost_away += r->traffic.lost_away;
    sums->handovers += r->traffic.handovers;
}

/* Every J-th seed, beginning with `first`. */
static void run_seeds(const struct command *c, uint64_t first, struct sums *sums)
{
    for (uint64_t i = first; i < c->seeds; i += c->jobs) {
        struct schedule schedule;
        struct sim_result result;
        draw(c, c->from + i, &schedule);
        sim_run(&schedule, NULL, &result);
        add_result(sums, schedule.seed, &result);
        if (result.failed)
            report_failure(c, &schedule, &result);
        if (c->replay)
            printf("seed %" PRIu64 ": %s; trace %016" PRIx64 "\n", schedule.seed,
                   result.failed ? result.why : "all holds", result.hash);
        schedule_fini(&schedule);
    }
    struct rusage usage_now;
    if (getrusage(RUSAGE_SELF, &usage_now) == 0)
        sums->memory_kib = usage_now.ru_maxrss;
}

/* ---- Jobs ---- */

static void merge(struct sums *all, const struct sums *one)
{
    all->seeds += one->seeds;
    all->failed += one->failed;
    all->events += one->events;
    all->virtual_ns += one->virtual_ns;
    if (one->recovery_ns > all->recovery_ns)
        all->worst_seed = one->worst_seed;
    all->recovery_ns = max_u64(all->recovery_ns, one->recovery_ns);
    all->dials += one->dials;
    all->worst_permille = max_u64(all->worst_permille, one->worst_permille);
    all->blocks = max_u64(all->blocks, one->blocks);
    all->sent += one->sent;
    all->queued += one->queued;
    all->delivered += one->delivered;
    all->refused += one->refused;
    all->expired += one->expired;
    all->unwanted += one->unwanted;
    all->lost += one->lost;
    all->lost_away += one->lost_away;
    all->handovers += one->handovers;
    all->memory_kib = all->memory_kib > one->memory_kib ? all->memory_kib : one->memory_kib;
}

static int spawn(const struct command *c, uint64_t first)
{
    int pipes[2];
    if (pipe(pipes) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct sums sums = {0};
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing runs on when the command is ended */
        close(pipes[0]);
        run_seeds(c, first, &sums);
        fflush(stdout);
        _exit(write(pipes[1], &sums, sizeof(sums)) == (ssize_t)sizeof(sums) ? 0 : 1);
    }
    close(pipes[1]);
    if (pid > 0)
        return pipes[0];
    close(pipes[0]);
    return -1;
}

/* False: a job died. */
static bool run_jobs(const struct command *c, struct sums *sums)
{
    int fds[JOBS_MAX];
    bool ok = true;
    for (unsigned j = 0; j < c->jobs; j++)
        fds[j] = spawn(c, j);
    for (unsigned j = 0; j < c->jobs; j++) {
        struct sums one;
        if (fds[j] < 0 || read(fds[j], &one, sizeof(one)) != (ssize_t)sizeof(one))
            ok = false;
        else
            merge(sums, &one);
        if (fds[j] >= 0)
            close(fds[j]);
    }
    while (wait(NULL) > 0)
        ;
    return ok;
}

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void print_sums(const struct command *c, const struct sums *s, double seconds)
{
    printf("%" PRIu64 " seeds of %" PRIu32 "-%" PRIu32 " nodes, %" PRIu64 " failed; %" PRIu64
           " events, %.1f h of virtual time in %.1f s; worst recovery %.1f s (seed %" PRIu64
           "); %" PRIu64 " messages queued for peers of %" PRIu64 " sent, %" PRIu64
           " delivered, %" PRIu64 " counted as lost with links, %" PRIu64 " on their way, %" PRIu64
           " refused, %" PRIu64 " expired, %" PRIu64 " unwanted; %" PRIu64 " handovers; %" PRIu64
           " dials, at most %.1f %% of a budget; %" PRIu64 " blocks and %ld MiB at most\n",
           s->seeds, c->least, c->most, s->failed, s->events, (double)s->virtual_ns / 3.6e12,
           seconds, (double)s->recovery_ns / 1e9, s->worst_seed, s->queued, s->sent, s->delivered,
           s->lost, s->lost_away, s->refused, s->expired, s->unwanted, s->handovers, s->dials,
           (double)s->worst_permille / 10, s->blocks, s->memory_kib / 1024);
}

int main(int argc, char **argv)
{
    struct command c;
    struct sums sums = {0};
    parse_command(&c, argc, argv);
    if (c.trace)
        setenv("WEFT_NET_TRACE", "1", 1);
    double began = now_s();
    bool ok = true;
    if (c.jobs > 1)
        ok = run_jobs(&c, &sums);
    else
        run_seeds(&c, 0, &sums);
    if (!ok)
        fprintf(stderr, "weft-sim: a process of it died\n");
    print_sums(&c, &sums, now_s() - began);
    return ok && sums.failed == 0 && sums.seeds == c.seeds ? 0 : 1;
}
