/* weft ping: link to one node as its leaf, so that no other hears of it, and measure round trips at
 * the protocol level, PING to PONG: neither routes nor queues of messages are in the way. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/units.h"
#include "command.h"

#define COUNT_MAX 1000000

enum { OPTION_COUNT = OPTION_OWN, OPTION_INTERVAL, OPTION_TIMEOUT };

static const struct option options[] = {
    {"count", required_argument, NULL, OPTION_COUNT},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"network", required_argument, NULL, OPTION_NETWORK},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct ping {
    struct link_options link;
    struct session session;
    const char *url;
    uint64_t count;
    uint32_t interval_ms, timeout_ms;

    uint64_t *rtt_ns; /* of the answered ones, in order of sending; count slots */
    uint64_t sent, answered;
};

static int take_option(int option, struct ping *p)
{
    if (option == OPTION_COUNT && !count_parse(optarg, 1, COUNT_MAX, &p->count))
        return usage_error(&ping_command, "--count %s: expected a number from 1 to %d", optarg,
                           COUNT_MAX);
    if (option == OPTION_INTERVAL && !parse_seconds(optarg, &p->interval_ms))
        return usage_error(&ping_command, "--interval %s: expected seconds or %s", optarg,
                           DURATION_EXPECTED);
    if (option == OPTION_TIMEOUT &&
        (!parse_seconds(optarg, &p->timeout_ms) || p->timeout_ms == 0 || p->timeout_ms > 3600000))
        return usage_error(&ping_command, "--timeout %s: expected seconds or %s, up to 1h", optarg,
                           DURATION_EXPECTED);
    return EXIT_OK;
}

static int parse(int argc, char **argv, struct ping *p, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        int taken = link_option(option, &ping_command, &p->link, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, p)) != EXIT_OK)
            return code;
    }
    if (argc - optind != 1)
        return usage_error(&ping_command,
                           "expected one URL, such as tcp://10.0.0.2:7400/robot.arm");
    p->url = argv[optind];
    return link_url(p->url, &ping_command, &p->link);
}

/* ---- The figures -------------------------------------------------------------------------------
 */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double ms(double ns)
{
    return ns / 1e6;
}

/* Jitter is the mean difference from one round trip to the next; it is taken before sorting. */
static void summarize(const struct ping *p)
{
    uint64_t n = p->answered, *rtt = p->rtt_ns;
    double sum = 0, jitter = 0;
    printf("%" PRIu64 " sent, %" PRIu64 " answered, %.1f %% lost\n", p->sent, n,
           p->sent ? 100.0 * (double)(p->sent - n) / (double)p->sent : 0.0);
    if (n == 0)
        return;
    for (uint64_t i = 0; i < n; i++) {
        sum += (double)rtt[i];
        jitter += i ? fabs((double)rtt[i] - (double)rtt[i - 1]) : 0;
    }
    qsort(rtt, n, sizeof(*rtt), by_size);
    printf("min/avg/p99/jitter %.3f/%.3f/%.3f/%.3f ms\n", ms((double)rtt[0]), ms(sum / (double)n),
           ms((double)rtt[(n * 99 + 99) / 100 - 1]), n > 1 ? ms(jitter / (double)(n - 1)) : 0.0);
}

/* ---- Pinging -----------------------------------------------------------------------------------
 */

static void ping_once(struct ping *p)
{
    uint64_t rtt_ns;
    int rc = weft_node_ping(p->session.node, p->session.peer, (int)p->timeout_ms, &rtt_ns);
    p->sent++;
    if (rc == 0) {
        p->rtt_ns[p->answered++] = rtt_ns;
        printf("%" PRIu64 ": %.3f ms\n", p->sent, ms((double)rtt_ns));
    } else {
        printf("%" PRIu64 ": %s\n", p->sent, rc == WEFT_ENOTFOUND ? "no link" : weft_strerror(rc));
    }
    fflush(stdout);
}

static bool pause_between(struct ping *p)
{
    uint64_t deadline = deadline_after(p->interval_ms);
    enum session_event e;
    do
        e = session_wait(&p->session, deadline, NULL, 0);
    while (e == SESSION_WOKEN);
    return e != SESSION_SIGNAL;
}

static int ping_all(struct ping *p)
{
    int code = session_wait_link(&p->session, p->url, deadline_after(p->timeout_ms));
    if (code != EXIT_OK)
        return code;
    printf("linked to %s\n", p->session.peer);
    do
        ping_once(p);
    while (p->sent < p->count && pause_between(p));
    summarize(p);
    return p->answered ? EXIT_OK : EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct ping p = {.count = 5, .interval_ms = 1000, .timeout_ms = 5000};
    weft_options o;
    bool done = false;
    int code = parse(argc, argv, &p, &done);
    if (code != EXIT_OK || done)
        goto out;
    p.session.quiet = true;
    p.link.role = WEFT_ROLE_LEAF;
    session_options(&p.link, &o);
    o.linger_ms = 1000;
    p.rtt_ns = xresize(NULL, (size_t)p.count * sizeof(*p.rtt_ns));
    code = session_open(&p.session, &o);
    if (code != EXIT_OK)
        goto out;
    code = ping_all(&p);
    session_close(&p.session);
out:
    xfree(p.rtt_ns);
    link_fini(&p.link);
    return code;
}

const struct command ping_command = {
    .name = "ping",
    .run = run,
    .summary = "measure round trips to a node",
    .help = "usage: weft ping URL [--count N] [--interval S] [--timeout S] [--network NAME]\n"
            "\n"
            "Links to the node at URL and measures round trips at the protocol level. Jitter\n"
            "is the mean difference between one round trip and the next.\n"
            "\n"
            "      --count N       pings to send, at most 1000000 (default 5)\n"
            "      --interval S    seconds between them (default 1)\n"
            "      --timeout S     seconds to wait for the link and for each answer (default\n"
            "                      5)\n"
            "      --network NAME  the mesh's network name, where it has one\n"
            "  -h, --help          this text\n"
            "\n"
            "Exit codes: 0 at least one was answered; 1 none was, or there was no link; 2\n"
            "wrong usage.\n",
};
