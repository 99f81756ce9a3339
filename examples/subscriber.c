/* Prints every text published below "demo", whoever publishes it.
 *
 *     subscriber [--count N] PEER...            subscriber tcp://127.0.0.1:7400/demo
 *
 * It listens nowhere: it is a client, which dials its peers and, through them, finds the others. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

static int fail(const char *what, int rc)
{
    fprintf(stderr, "subscriber: %s: %s\n", what, weft_strerror(rc));
    return EXIT_FAILURE;
}

/* 0 is no count: for ever. */
static int print_messages(weft_node *node, unsigned long count)
{
    weft_interest *interest;
    int rc = weft_subscribe(node, "demo.Text@demo.**", NULL, &interest);
    if (rc < 0)
        return rc;
    for (unsigned long n = 1; count == 0 || n <= count; n++) {
        weft_msg *msg;
        rc = weft_recv(interest, &msg, -1);
        if (rc < 0)
            break;
        printf("%s: %.*s\n", weft_msg_route(msg), (int)weft_msg_size(msg),
               (const char *)weft_msg_data(msg));
        fflush(stdout);
        weft_msg_unref(msg);
    }
    weft_interest_close(interest);
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
        fprintf(stderr, "usage: subscriber [--count N] PEER...\n");
        return EXIT_FAILURE;
    }

    weft_options o;
    weft_options_init(&o);
    o.peers = (const char *const *)&argv[optind]; /* argv ends with a NULL, as peers must */

    weft_node *node;
    int rc = weft_node_open(&o, &node);
    if (rc < 0)
        return fail(argv[optind], rc);
    rc = print_messages(node, count);
    weft_node_close(node);
    return rc < 0 ? fail("demo.Text@demo.**", rc) : EXIT_SUCCESS;
}
