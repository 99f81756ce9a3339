/* Publishes ten lines of text a second, as soon as somebody listens.
 *
 *     publisher [--count N] SELF [PEER]...      publisher tcp://0.0.0.0:7400/demo
 *
 * SELF is where this node listens and who it is; peers find each other, so one PEER is enough. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <weft/weft.h>

static int fail(const char *what, int rc)
{
    fprintf(stderr, "publisher: %s: %s\n", what, weft_strerror(rc));
    return EXIT_FAILURE;
}

/* Wait for the first listener, then send. 0 is no count: for ever. */
static int publish(weft_node *node, unsigned long count)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    weft_intent *intent;
    int rc = weft_publish(node, "demo.Text@demo.greeting", NULL, &intent);
    if (rc < 0)
        return rc;
    rc = weft_intent_wait(intent, -1);
    for (unsigned long n = 1; rc == 0 && (count == 0 || n <= count); n++) {
        char text[64];
        int len = snprintf(text, sizeof(text), "hello number %lu", n);
        rc = weft_send(intent, text, (size_t)len);
        if (rc == WEFT_EDROPPED) /* a subscriber is too slow: it misses one, the others do not */
            rc = 0;
        nanosleep(&pause, NULL);
    }
    weft_intent_close(intent);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"count", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    unsigned long count = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) == 'c')
        count = strtoul(optarg, NULL, 10);
    if (option != -1 || optind == argc) {
        fprintf(stderr, "usage: publisher [--count N] SELF [PEER]...\n");
        return EXIT_FAILURE;
    }

    weft_options o;
    weft_options_init(&o);
    o.self = argv[optind];
    o.peers = (const char *const *)&argv[optind + 1]; /* argv ends with a NULL, as peers must */

    weft_node *node;
    int rc = weft_node_open(&o, &node);
    if (rc < 0)
        return fail(o.self, rc);
    printf("listening on %s\n", weft_node_url(node));
    fflush(stdout);
    rc = publish(node, count);
    weft_node_close(node); /* waits until what was sent has left */
    return rc < 0 ? fail("demo.Text@demo.greeting", rc) : EXIT_SUCCESS;
}
