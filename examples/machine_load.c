/* Publishes how this machine is doing, twice a second: load, memory and network counters as a
 * weft.demo.Machine (machine.proto), on the route weft.demo.Machine@PATH where PATH is this node's.
 *
 *     machine_load --self tcp://0.0.0.0:7401/lab.one --peer tcp://10.0.0.2:7400/lab.seed
 *
 * Ends at --count or SIGTERM and SIGINT. What /proc does not tell stays 0. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weft/protobuf.h>

#include "machine.h"
#include "machine.pb-c.h"

#define NETWORKS 16
#define USAGE "machine_load --self URL [--peer URL]... [--addrbook FILE] [--count N]"

/* A message with the memory of all it points to. */
struct sample {
    Weft__Demo__Machine machine;
    Weft__Demo__Machine__Network networks[NETWORKS], *list[NETWORKS];
    char names[NETWORKS][32], host[256];
};

static void read_load(Weft__Demo__Machine *m)
{
    FILE *file = fopen("/proc/loadavg", "r");
    if (!file)
        return;
    if (fscanf(file, "%lf %lf %lf", &m->load1, &m->load5, &m->load15) != 3)
        m->load1 = m->load5 = m->load15 = 0;
    fclose(file);
}

static void read_memory(Weft__Demo__Machine *m)
{
    FILE *file = fopen("/proc/meminfo", "r");
    char line[128];
    uint64_t kib;
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "MemTotal: %" SCNu64, &kib) == 1)
            m->memory_total = kib * 1024;
        else if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            m->memory_available = kib * 1024;
    }
    fclose(file);
}

/* The columns of /proc/net/dev: bytes and packets are the first two of eight, for each direction.
 */
static void read_networks(struct sample *s)
{
    FILE *file = fopen("/proc/net/dev", "r");
    char line[256];
    size_t n = 0;
    if (!file)
        return;
    while (n < NETWORKS && fgets(line, sizeof(line), file)) {
        Weft__Demo__Machine__Network *net = &s->networks[n];
        weft__demo__machine__network__init(net);
        if (sscanf(line,
                   " %31[^: ]: %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64
                   " %" SCNu64,
                   s->names[n], &net->received_bytes, &net->received_packets, &net->sent_bytes,
                   &net->sent_packets) != 5)
            continue; /* the headings */
        net->name = s->names[n];
        s->list[n++] = net;
    }
    fclose(file);
    s->machine.n_networks = n;
    s->machine.networks = s->list;
}

static void take_sample(struct sample *s, uint64_t sequence)
{
    weft__demo__machine__init(&s->machine);
    if (gethostname(s->host, sizeof(s->host)) < 0)
        s->host[0] = '\0';
    s->host[sizeof(s->host) - 1] = '\0';
    s->machine.host = s->host;
    s->machine.sequence = sequence;
    read_load(&s->machine);
    read_memory(&s->machine);
    read_networks(s);
}

/* Send a sample each half second until the count is reached or a signal of `stop` comes. */
static int publish(weft_node *node, const char *path, unsigned long count, const sigset_t *stop)
{
    const struct timespec pause = {.tv_nsec = 500000000};
    struct sample sample;
    weft_intent *intent;
    int rc = weft_publish_pb(node, &weft__demo__machine__descriptor, path, NULL, &intent);
    if (rc < 0)
        return rc;
    for (uint64_t n = 1; rc == 0 && (count == 0 || n <= count); n++) {
        take_sample(&sample, n);
        rc = weft_send_pb(intent, &sample.machine.base);
        if (rc == WEFT_EDROPPED) /* a slow watcher misses one; the next is as good */
            rc = 0;
        if (sigtimedwait(stop, NULL, &pause) > 0)
            break;
    }
    weft_intent_close(intent);
    return rc;
}

int main(int argc, char **argv)
{
    struct machine_options o;
    weft_node *node;
    sigset_t stop;
    if (machine_parse(argc, argv, USAGE, &o) < 0)
        return 2;
    if (!o.node.self || o.operand) {
        fprintf(stderr, "usage: " USAGE "\n");
        return 2;
    }
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* before the node's thread exists, which inherits it */
    if (machine_open(&o, &node) < 0)
        return EXIT_FAILURE;
    printf("listening on %s\n", weft_node_url(node));
    fflush(stdout);
    int rc = publish(node, strrchr(weft_node_url(node), '/') + 1, o.count, &stop);
    weft_node_close(node);
    if (rc < 0)
        fprintf(stderr, "machine_load: cannot publish: %s\n", weft_strerror(rc));
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
