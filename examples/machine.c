#include "machine.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static void on_event(weft_node *node, const weft_event *e, void *user)
{
    const char *text = e->text ? e->text : weft_strerror(e->error);
    switch (e->type) {
    case WEFT_EVENT_PEER_UP:
        printf("peer up %s\n", e->peer);
        break;
    case WEFT_EVENT_PEER_DOWN:
        printf("peer down %s: %s\n", e->peer, text);
        break;
    case WEFT_EVENT_REFUSED:
        printf("refused %s: %s\n", e->peer, text);
        break;
    default:
        return;
    }
    fflush(stdout);
}

static int bad_usage(const char *usage)
{
    fprintf(stderr, "usage: %s\n", usage);
    return -1;
}

/* A whole number of at most `max`, or -1. */
static long number(const char *text, long max)
{
    char *end;
    long n = strtol(text, &end, 10);
    return end != text && !*end && n >= 0 && n <= max ? n : -1;
}

int machine_parse(int argc, char **argv, const char *usage, struct machine_options *ret_options)
{
    static const struct option options[] = {
        {"self", required_argument, NULL, 's'},     {"peer", required_argument, NULL, 'p'},
        {"addrbook", required_argument, NULL, 'a'}, {"count", required_argument, NULL, 'c'},
        {"timeout", required_argument, NULL, 't'},  {NULL, 0, NULL, 0},
    };
    struct machine_options *o = ret_options;
    size_t peers = 0;
    long count = 0, timeout = 0;
    int option;
    *o = (struct machine_options){.timeout_ms = -1};
    weft_options_init(&o->node);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            o->node.self = optarg;
        else if (option == 'a')
            o->node.addrbook = optarg;
        else if (option == 'p' && peers < MACHINE_PEERS)
            o->peers[peers++] = optarg;
        else if (option == 'c' && (count = number(optarg, 1000000000)) >= 0)
            o->count = (unsigned long)count;
        else if (option == 't' && (timeout = number(optarg, 86400)) >= 0)
            o->timeout_ms = (int)timeout * 1000;
        else
            return bad_usage(usage);
    }
    if (argc - optind > 1 || (!o->node.self && peers == 0))
        return bad_usage(usage);
    o->operand = argv[optind];
    o->node.peers = o->peers;
    o->node.on_event = on_event;
    return 0;
}

int machine_open(const struct machine_options *options, weft_node **ret_node)
{
    char *text = NULL;
    int rc = weft_node_open_explain(&options->node, ret_node, &text);
    if (rc == 0)
        return 0;
    fprintf(stderr, "%s\n", text ? text : weft_strerror(rc));
    weft_free(text);
    return -1;
}
