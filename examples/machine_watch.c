/* Prints what machine_load publishes, a line a message, and which peers come and go.
 *
 *     machine_watch --self tcp://0.0.0.0:7402/lab.two --peer tcp://10.0.0.2:7400/lab.seed \
 *                   --count 10 --timeout 30 'weft.demo.Machine@**'
 *
 * Exit codes: 0 after --count messages or at SIGTERM and SIGINT, 1 if --timeout seconds passed
 * before or the node cannot be opened, 2 for wrong usage. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <weft/protobuf.h>

#include "machine.h"
#include "machine.pb-c.h"

#define MIB (1024 * 1024)
#define USAGE                                                                                      \
    "machine_watch [--self URL] [--peer URL]... [--addrbook FILE] [--count N] [--timeout S] ROUTE"

struct watch {
    weft_interest *interest;
    unsigned long count, seen;
    int64_t deadline_ms; /* of the monotonic clock; -1: none */
    int signal_fd;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void print_message(const weft_msg *msg)
{
    ProtobufCMessage *unpacked;
    uint64_t received = 0, sent = 0;
    if (weft_msg_unpack(msg, &weft__demo__machine__descriptor, &unpacked) < 0) {
        printf("%s: not a weft.demo.Machine\n", weft_msg_route(msg));
        return;
    }
    const Weft__Demo__Machine *m = (const Weft__Demo__Machine *)unpacked;
    for (size_t i = 0; i < m->n_networks; i++) {
        received += m->networks[i]->received_bytes;
        sent += m->networks[i]->sent_bytes;
    }
    printf("%s #%" PRIu64 " %s: load %.2f %.2f %.2f, memory %" PRIu64 " of %" PRIu64
           " MiB available, network %" PRIu64 " MiB in %" PRIu64 " MiB out\n",
           weft_msg_route(msg), m->sequence, m->host, m->load1, m->load5, m->load15,
           m->memory_available / MIB, m->memory_total / MIB, received / MIB, sent / MIB);
    protobuf_c_message_free_unpacked(unpacked, NULL);
}

/* Print what has arrived. True once the count is reached. */
static bool drain(struct watch *w)
{
    weft_msg *msg;
    while (weft_recv(w->interest, &msg, 0) == 0) {
        print_message(msg);
        fflush(stdout);
        weft_msg_unref(msg);
        if (++w->seen == w->count)
            return true;
    }
    return false;
}

/* Until the count is reached, the time is up or a signal comes. Returns the exit code. */
static int watch(struct watch *w)
{
    struct pollfd fds[] = {{.fd = weft_interest_fd(w->interest), .events = POLLIN},
                           {.fd = w->signal_fd, .events = POLLIN}};
    for (;;) {
        int64_t left = w->deadline_ms < 0 ? -1 : w->deadline_ms - now_ms();
        if (w->deadline_ms >= 0 && left <= 0)
            break;
        if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        if (fds[1].revents)
            return EXIT_SUCCESS;
        if (fds[0].revents && drain(w))
            return EXIT_SUCCESS;
    }
    fprintf(stderr, "machine_watch: time is up after %lu messages\n", w->seen);
    return EXIT_FAILURE;
}

static int watch_node(weft_node *node, const struct machine_options *o, int signal_fd)
{
    struct watch w = {.count = o->count, .signal_fd = signal_fd, .deadline_ms = -1};
    int rc = weft_subscribe(node, o->operand, NULL, &w.interest);
    if (rc < 0) {
        fprintf(stderr, "machine_watch: %s: %s\n", o->operand, weft_strerror(rc));
        return EXIT_FAILURE;
    }
    if (o->timeout_ms >= 0)
        w.deadline_ms = now_ms() + o->timeout_ms;
    int code = watch(&w);
    weft_interest_close(w.interest);
    return code;
}

int main(int argc, char **argv)
{
    struct machine_options o;
    weft_node *node;
    sigset_t stop;
    if (machine_parse(argc, argv, USAGE, &o) < 0)
        return 2;
    if (!o.operand) {
        fprintf(stderr, "usage: " USAGE "\n");
        return 2;
    }
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* before the node's thread exists, which inherits it */
    int signal_fd = signalfd(-1, &stop, SFD_CLOEXEC);
    if (signal_fd < 0 || machine_open(&o, &node) < 0)
        return EXIT_FAILURE;
    if (o.node.self)
        printf("listening on %s\n", weft_node_url(node));
    fflush(stdout);
    int code = watch_node(node, &o, signal_fd);
    weft_node_close(node);
    close(signal_fd);
    return code;
}
