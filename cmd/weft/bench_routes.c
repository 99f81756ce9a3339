/* weft bench routes: what it takes that a node with many intents and one with as many interests
 * know what matches, in time on the clock and in memory on either side.
 *
 *     this process  intents                        the other one  interests
 *       URL ─────────────────────────────────────────▶ links
 *       declares, types.Sample@bench.g17.r4
 *       … ◀───────────────────────────────── INTENTS: all of them are known
 *       INTERESTS ───────────────────────────────────▶ declares: most of the same routes, and
 *                                                      patterns such as *@bench.g17.*
 *       every intent has an interest                   every interest has an intent
 *       … ◀───────────────────────────────── MATCHED
 *       … ◀──────────────────────────────── bytes of its heap
 *
 * The other process is forked before there are threads, so that each has a heap of its own. The
 * clock is that of this process. The routes are in groups of equal size, one pattern a group; what
 * the patterns take the place of has no interest of its own but theirs.
 *
 * Failure: the other process ends early, which reads as the end of the socket, or what is waited
 * for does not come in time. The end of the socket ends the other process, too. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/units.h"
#include "bench.h"
#include "bench_heap.h"

#define WAIT_MS 60000 /* the longest for any one step */
#define ROUTE_TEXT 96
#define COUNT_MAX 400000 /* a node takes half a million routes of one link */

enum { OPTION_COUNT = OPTION_OWN, OPTION_PATTERNS, OPTION_JSON };

static const struct option options[] = {
    {"count", required_argument, NULL, OPTION_COUNT},
    {"patterns", required_argument, NULL, OPTION_PATTERNS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct routes {
    uint64_t count, patterns;
    bool json;
};

struct figures {
    double intents_seconds, interests_seconds;
    double intents_bytes, interests_bytes;
};

static int parse(int argc, char **argv, struct routes *r, bool *ret_done)
{
    int option;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        switch (option) {
        case 'h':
            fputs(bench_routes.help, stdout);
            *ret_done = true;
            return EXIT_OK;
        case OPTION_COUNT:
            if (!count_parse(optarg, 1, COUNT_MAX, &r->count))
                return bench_usage(&bench_routes, "--count %s: expected a number from 1 to %d",
                                   optarg, COUNT_MAX);
            break;
        case OPTION_PATTERNS:
            if (!count_parse(optarg, 0, COUNT_MAX, &r->patterns))
                return bench_usage(&bench_routes, "--patterns %s: expected a number up to %d",
                                   optarg, COUNT_MAX);
            break;
        case OPTION_JSON:
            r->json = true;
            break;
        default:
            return bench_usage(&bench_routes, "wrong options");
        }
    }
    if (optind < argc)
        return bench_usage(&bench_routes, "%s: not expected here", argv[optind]);
    if (r->patterns > r->count)
        return bench_usage(&bench_routes, "--patterns are among the interests: at most --count");
    return EXIT_OK;
}

/* ---- Routes ------------------------------------------------------------------------------------
 */

static const char *route_at(const struct routes *r, uint64_t i, char text[ROUTE_TEXT])
{
    uint64_t group = r->patterns ? i * r->patterns / r->count : 0;
    snprintf(text, ROUTE_TEXT, "types.Sample@bench.g%" PRIu64 ".r%" PRIu64, group, i);
    return text;
}

/* The interests: patterns first, then routes from the first on. The last ones, as many as there are
 * patterns, are covered by patterns alone. */
static const char *interest_at(const struct routes *r, uint64_t i, char text[ROUTE_TEXT])
{
    if (i >= r->patterns)
        return route_at(r, i - r->patterns, text);
    snprintf(text, ROUTE_TEXT,
             i % 2 ? "*@bench.g%" PRIu64 ".*" : "types.Sample@bench.g%" PRIu64 ".**", i);
    return text;
}

/* ---- Between the processes ---------------------------------------------------------------------
 */

static bool tell(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* A message of the other process into `data`; its size, or 0 if none comes. */
static size_t hear(int fd, void *data, size_t size)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, WAIT_MS) <= 0)
        return 0;
    ssize_t n = recv(fd, data, size, 0);
    return n > 0 ? (size_t)n : 0;
}

static bool hear_sign(int fd)
{
    char sign;
    return hear(fd, &sign, 1) == 1;
}

/* ---- What is waited for -----------------------------------------------------------------------
 */

/* Counts on the loop's thread; the main thread sleeps until the count is reached. */
struct tally {
    uint64_t goal;
    atomic_uint_fast64_t count;
    int pipe[2]; /* readable once it is */
};

static int tally_open(struct tally *t, uint64_t goal)
{
    t->goal = goal;
    atomic_init(&t->count, 0);
    return pipe(t->pipe);
}

static void tally_close(struct tally *t)
{
    close(t->pipe[0]);
    close(t->pipe[1]);
}

static void tally_add(struct tally *t)
{
    if (atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed) + 1 == t->goal &&
        write(t->pipe[1], "!", 1) != 1)
        atomic_store(&t->count, 0); /* and the wait runs out of time */
}

static bool tally_wait(struct tally *t)
{
    struct pollfd p = {.fd = t->pipe[0], .events = POLLIN};
    return poll(&p, 1, WAIT_MS) == 1;
}

static void on_intent_match(weft_intent *intent, bool interested, void *user)
{
    (void)intent;
    if (interested)
        tally_add(user);
}

static void on_interest_match(weft_interest *interest, bool matched, void *user)
{
    (void)interest;
    if (matched)
        tally_add(user);
}

/* Until the node knows that many of the other's. Each look runs on the loop, so not too often. */
static int wait_known(weft_node *node, uint64_t intents, uint64_t interests)
{
    uint64_t deadline = deadline_after(WAIT_MS);
    for (;;) {
        weft_stats stats;
        int rc = weft_node_stats(node, &stats);
        if (rc < 0)
            return rc;
        if (stats.remote_intents >= intents && stats.remote_interests >= interests)
            return 0;
        if (now_ns() > deadline)
            return WEFT_ETIMEDOUT;
        poll(NULL, 0, 1);
    }
}

/* ---- The other process: interests --------------------------------------------------------------
 */

static int subscribe_all(weft_node *node, const struct routes *r, struct tally *tally)
{
    weft_subscribe_options s;
    weft_subscribe_options_init(&s);
    s.on_match = on_interest_match;
    s.user = tally;
    for (uint64_t i = 0; i < r->count; i++) {
        char text[ROUTE_TEXT];
        weft_interest *interest; /* lives as long as the node */
        int rc = weft_subscribe(node, interest_at(r, i, text), &s, &interest);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int measure_interests(weft_node *node, const struct routes *r, struct tally *tally, int fd)
{
    int rc = weft_node_wait_peers(node, 1, WAIT_MS);
    if (rc < 0)
        return rc;
    double before = (double)heap_settled();
    if (!tell(fd, "l", 1))
        return WEFT_ECLOSED;
    if ((rc = wait_known(node, r->count, 0)) < 0)
        return rc;
    if (!tell(fd, "k", 1) || !hear_sign(fd))
        return WEFT_ECLOSED;
    if ((rc = subscribe_all(node, r, tally)) < 0)
        return rc;
    if (!tally_wait(tally))
        return WEFT_ETIMEDOUT;
    if (!tell(fd, "m", 1))
        return WEFT_ECLOSED;
    double bytes = (double)heap_settled() - before;
    if (!tell(fd, &bytes, sizeof(bytes)))
        return WEFT_ECLOSED;
    hear_sign(fd); /* the end: until then the link must stand */
    return 0;
}

static int be_subscriber(const struct routes *r, int fd)
{
    static struct tally tally;
    char url[512] = "";
    weft_options o;
    weft_node *node;
    if (hear(fd, url, sizeof(url) - 1) == 0)
        return EXIT_FAILED;
    weft_options_init(&o);
    o.peers = (const char *[]){url, NULL};
    o.role = WEFT_ROLE_CLIENT;
    if (tally_open(&tally, r->count) < 0)
        return bench_failed(&bench_routes, "no pipe: %s", strerror(errno));
    int rc = weft_node_open(&o, &node);
    if (rc == 0) {
        rc = measure_interests(node, r, &tally, fd);
        weft_node_close(node);
    }
    return rc < 0 ? bench_failed(&bench_routes, "the interests: %s", weft_strerror(rc)) : EXIT_OK;
}

/* ---- This process: intents ---------------------------------------------------------------------
 */

static int publish_all(weft_node *node, const struct routes *r, struct tally *tally)
{
    weft_publish_options p;
    weft_publish_options_init(&p);
    p.on_match = on_intent_match;
    p.user = tally;
    for (uint64_t i = 0; i < r->count; i++) {
        char text[ROUTE_TEXT];
        weft_intent *intent; /* lives as long as the node */
        int rc = weft_publish(node, route_at(r, i, text), &p, &intent);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int measure_intents(weft_node *node, const struct routes *r, struct tally *tally, int fd,
                           struct figures *f)
{
    int rc = weft_node_wait_peers(node, 1, WAIT_MS);
    if (rc < 0)
        return rc;
    double before = (double)heap_settled();
    if (!hear_sign(fd))
        return WEFT_ECLOSED;
    uint64_t start = now_ns();
    if ((rc = publish_all(node, r, tally)) < 0)
        return rc;
    if (!hear_sign(fd))
        return WEFT_ECLOSED;
    uint64_t known = now_ns();
    if (!tell(fd, "d", 1))
        return WEFT_ECLOSED;
    if (!tally_wait(tally))
        return WEFT_ETIMEDOUT;
    if ((rc = wait_known(node, 0, r->count)) < 0)
        return rc;
    if (!hear_sign(fd))
        return WEFT_ECLOSED;
    f->intents_seconds = (double)(known - start) / 1e9;
    f->interests_seconds = (double)(now_ns() - known) / 1e9;
    f->intents_bytes = (double)heap_settled() - before;
    return hear(fd, &f->interests_bytes, sizeof(f->interests_bytes)) == sizeof(f->interests_bytes)
               ? 0
               : WEFT_ECLOSED;
}

static int be_publisher(const struct routes *r, int fd, struct figures *f)
{
    static struct tally tally;
    weft_options o;
    weft_node *node;
    weft_options_init(&o);
    o.self = "tcp://127.0.0.1:0/bench";
    if (tally_open(&tally, r->count) < 0)
        return bench_failed(&bench_routes, "no pipe: %s", strerror(errno));
    int rc = weft_node_open(&o, &node);
    if (rc == 0) {
        const char *url = weft_node_url(node);
        rc = tell(fd, url, strlen(url)) ? measure_intents(node, r, &tally, fd, f) : WEFT_ECLOSED;
        shutdown(fd, SHUT_WR);
        weft_node_close(node);
    }
    tally_close(&tally);
    return rc < 0 ? bench_failed(&bench_routes, "the intents: %s", weft_strerror(rc)) : EXIT_OK;
}

static int report(const struct routes *r, const struct figures *f)
{
    struct result result;
    double count = (double)r->count;
    result_begin(&result, "routes", "weft", weft_version());
    result_count(&result, "intents", r->count);
    result_count(&result, "interests", r->count);
    result_count(&result, "patterns", r->patterns);
    result_number(&result, "seconds", f->intents_seconds + f->interests_seconds);
    result_number(&result, "intents_seconds", f->intents_seconds);
    result_number(&result, "interests_seconds", f->interests_seconds);
    heap_result(&result, "bytes_per_intent", f->intents_bytes / count);
    heap_result(&result, "bytes_per_interest", f->interests_bytes / count);
    return bench_report(&bench_routes, &result, r->json);
}

static int run(int argc, char **argv)
{
    struct routes r = {.count = 100000, .patterns = 1000};
    struct figures f = {0};
    bool done = false;
    int fds[2];
    int code = parse(argc, argv, &r, &done);
    if (code != EXIT_OK || done)
        return code;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
        return bench_failed(&bench_routes, "no socket: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        return bench_failed(&bench_routes, "no second process: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        _exit(be_subscriber(&r, fds[1]));
    }
    close(fds[1]);
    code = be_publisher(&r, fds[0], &f);
    close(fds[0]);
    if (code != EXIT_OK)
        kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return code == EXIT_OK ? report(&r, &f) : code;
}

const struct bench_command bench_routes = {
    .name = "routes",
    .run = run,
    .summary = "what many routes take in time and memory",
    .help = "usage: weft bench routes [--count N] [--patterns N] [--json]\n"
            "\n"
            "One process declares N intents; once another knows them all it declares N\n"
            "interests, some of them patterns. The time runs from the first declaration\n"
            "until every match is known on both sides. The bytes are what the heap of each\n"
            "process grew by, a route: its own declarations and what it knows of the other's.\n"
            "\n"
            "      --count N     intents, and interests, at most 400000 (default 100000)\n"
            "      --patterns N  of the interests (default 1000)\n"
            "      --json        one JSON object on one line\n"
            "  -h, --help    this text\n"
            "\n"
            "Exit codes: 0 measured; 1 it failed; 2 wrong usage.\n",
};
