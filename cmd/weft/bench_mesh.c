/* weft bench mesh: nodes in one process that know one seed, from the first open until each is
 * linked to every other.
 *
 * The happy path: the nodes are opened once without a peer, which tells what they cost alone, and
 * closed. Then they are opened again, all but the first with the first as their peer, and the clock
 * runs until each has a link to every other. Once the heap has come to rest, what it grew by beyond
 * the nodes alone is that of the links. Both ends of a link are in this process.
 *
 * Duplicates are connections beyond the one a pair: what was dialled and did not fail, less the
 * links that stand.
 *
 * Failure: too few file descriptors, which is said before anything is opened, and a mesh that is
 * not full in time. Whatever was opened is closed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/units.h"
#include "bench.h"
#include "bench_heap.h"

#define MESH_NODES_MAX 1000
#define FDS_A_NODE 16  /* its loop's and its listener's, generously */
#define FULL_MS 120000 /* the longest a mesh may take to form */

enum { OPTION_NODES = OPTION_OWN, OPTION_TRANSPORT, OPTION_JSON };

static const struct option options[] = {
    {"nodes", required_argument, NULL, OPTION_NODES},
    {"transport", required_argument, NULL, OPTION_TRANSPORT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct mesh {
    uint64_t count;
    const char *transport;
    bool json;
    weft_node **nodes;
    uint64_t opened;
};

struct figures {
    double seconds;
    uint64_t links, duplicates;
    double bytes; /* of all links */
};

static int parse(int argc, char **argv, struct mesh *m, bool *ret_done)
{
    int option;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        switch (option) {
        case 'h':
            fputs(bench_mesh.help, stdout);
            *ret_done = true;
            return EXIT_OK;
        case OPTION_NODES:
            if (!count_parse(optarg, 2, MESH_NODES_MAX, &m->count))
                return bench_usage(&bench_mesh, "--nodes %s: expected a number from 2 to %d",
                                   optarg, MESH_NODES_MAX);
            break;
        case OPTION_TRANSPORT:
            if (strcmp(optarg, "tcp") != 0 && strcmp(optarg, "inproc") != 0)
                return bench_usage(&bench_mesh, "--transport %s: expected tcp or inproc", optarg);
            m->transport = optarg;
            break;
        case OPTION_JSON:
            m->json = true;
            break;
        default:
            return bench_usage(&bench_mesh, "wrong options");
        }
    }
    if (optind < argc)
        return bench_usage(&bench_mesh, "%s: not expected here", argv[optind]);
    return EXIT_OK;
}

/* Two descriptors a link over TCP. The soft limit is raised to the hard one, which may still be too
 * low. */
static int raise_limit(const struct mesh *m)
{
    uint64_t need = 64 + m->count * FDS_A_NODE;
    if (strcmp(m->transport, "tcp") == 0)
        need += m->count * (m->count - 1);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return bench_failed(&bench_mesh, "the limit on open files cannot be read");
    if (limit.rlim_cur >= need)
        return EXIT_OK;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_cur < need || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return bench_failed(
            &bench_mesh,
            "%" PRIu64 " nodes need %" PRIu64 " open files, and the limit is %" PRIu64
            ": raise it with ulimit -Hn, or take fewer --nodes or --transport inproc",
            m->count, need, (uint64_t)limit.rlim_max);
    return EXIT_OK;
}

/* ---- Nodes ------------------------------------------------------------------------------------
 */

static void close_all(struct mesh *m)
{
    while (m->opened)
        weft_node_close(m->nodes[--m->opened]);
}

/* Open the next node; it knows `seed`, unless that is NULL. */
static int open_next(struct mesh *m, const char *seed)
{
    char self[128];
    const char *peers[] = {seed, NULL};
    weft_options o;
    weft_options_init(&o);
    if (strcmp(m->transport, "tcp") == 0)
        snprintf(self, sizeof(self), "tcp://127.0.0.1:0/bench.n%" PRIu64, m->opened);
    else
        snprintf(self, sizeof(self), "inproc://bench-n%" PRIu64 "/bench.n%" PRIu64, m->opened,
                 m->opened);
    o.self = self;
    o.peers = peers;
    char *why = NULL;
    int rc = weft_node_open_explain(&o, &m->nodes[m->opened], &why);
    if (rc < 0) {
        bench_failed(&bench_mesh, "node %" PRIu64 ": %s", m->opened, why ? why : weft_strerror(rc));
        weft_free(why);
        return EXIT_FAILED;
    }
    m->opened++;
    return EXIT_OK;
}

static int open_all(struct mesh *m, bool linked)
{
    int code = EXIT_OK;
    while (m->opened < m->count && code == EXIT_OK)
        code = open_next(m, linked && m->opened ? weft_node_url(m->nodes[0]) : NULL);
    return code;
}

static int wait_full(struct mesh *m)
{
    uint64_t deadline = deadline_after(FULL_MS);
    for (uint64_t i = 0; i < m->count; i++) {
        uint64_t now = now_ns();
        int left = now < deadline ? (int)((deadline - now) / 1000000) : 0;
        int rc = weft_node_wait_peers(m->nodes[i], (unsigned)m->count - 1, left);
        if (rc < 0)
            return bench_failed(&bench_mesh,
                                "node %" PRIu64 " has not found all others within %d s: %s", i,
                                FULL_MS / 1000, weft_strerror(rc));
    }
    return EXIT_OK;
}

/* ---- The figures -------------------------------------------------------------------------------
 */

/* Every node must still have all its links; a duplicate that was closed late may not have been the
 * link. */
static int count_connections(struct mesh *m, struct figures *f)
{
    uint64_t ends = 0, made = 0;
    for (uint64_t i = 0; i < m->count; i++) {
        weft_stats stats;
        int rc = weft_node_stats(m->nodes[i], &stats);
        if (rc < 0)
            return bench_failed(&bench_mesh, "node %" PRIu64 ": %s", i, weft_strerror(rc));
        ends += stats.peers;
        made += stats.dials - stats.dials_failed;
    }
    f->links = m->count * (m->count - 1) / 2;
    if (ends != 2 * f->links)
        return bench_failed(
            &bench_mesh, "the mesh was full and is no more: %" PRIu64 " ends of %" PRIu64 " links",
            ends, f->links);
    f->duplicates = made - f->links;
    return EXIT_OK;
}

static int measure(struct mesh *m, struct figures *f)
{
    size_t empty = heap_bytes();
    int code = open_all(m, false);
    if (code != EXIT_OK)
        return code;
    size_t alone = heap_settled() - empty;
    close_all(m);
    size_t before = heap_bytes();
    uint64_t start = now_ns();
    if ((code = open_all(m, true)) != EXIT_OK || (code = wait_full(m)) != EXIT_OK)
        return code;
    f->seconds = (double)(now_ns() - start) / 1e9;
    f->bytes = (double)heap_settled() - (double)before - (double)alone;
    return count_connections(m, f);
}

static int report(const struct mesh *m, const struct figures *f)
{
    struct result r;
    double kib = f->bytes / 1024 / (double)f->links;
    result_begin(&r, "mesh", "weft", weft_version());
    result_words(&r, "transport", m->transport);
    result_count(&r, "nodes", m->count);
    result_count(&r, "links", f->links);
    result_number(&r, "seconds", f->seconds);
    result_count(&r, "duplicates", f->duplicates);
    result_number(&r, "duplicates_percent", 100.0 * (double)f->duplicates / (double)f->links);
    heap_result(&r, "kib_per_link", kib);
    heap_result(&r, "kib_per_end", kib / 2);
    return bench_report(&bench_mesh, &r, m->json);
}

static int run(int argc, char **argv)
{
    struct mesh m = {.count = 25, .transport = "tcp"};
    struct figures f = {0};
    bool done = false;
    int code = parse(argc, argv, &m, &done);
    if (code != EXIT_OK || done)
        return code;
    if ((code = raise_limit(&m)) != EXIT_OK)
        return code;
    m.nodes = xresize(NULL, (size_t)m.count * sizeof(weft_node *));
    code = measure(&m, &f);
    close_all(&m);
    xfree(m.nodes);
    return code == EXIT_OK ? report(&m, &f) : code;
}

const struct bench_command bench_mesh = {
    .name = "mesh",
    .run = run,
    .summary = "how fast nodes that know one seed find each other",
    .help = "usage: weft bench mesh [--nodes N] [--transport tcp|inproc] [--json]\n"
            "\n"
            "Opens nodes in this process, all but the first with the first as their only\n"
            "peer, and measures the time until each is linked to every other, how many\n"
            "connections were made beyond the one a pair, and the heap that an idle link\n"
            "takes, both its ends together.\n"
            "\n"
            "      --nodes N         from 2 to 1000 (default 25)\n"
            "      --transport NAME  tcp, over loopback (default), or inproc\n"
            "      --json            one JSON object on one line\n"
            "  -h, --help            this text\n"
            "\n"
            "Exit codes: 0 measured; 1 it failed; 2 wrong usage.\n",
};
