/* What machine_load and machine_watch have in common: their options and what they tell of peers. */
#ifndef EXAMPLES_MACHINE_H
#define EXAMPLES_MACHINE_H

#include <weft/weft.h>

#define MACHINE_PEERS 16

struct machine_options {
    weft_options node;
    const char *peers[MACHINE_PEERS + 1]; /* of node.peers */
    unsigned long count;                  /* messages; 0: no end */
    int timeout_ms;                       /* -1: none */
    const char *operand;                  /* the only argument that is no option, or NULL */
};

/* Read the command line; node events go to stdout, a line each. 0, or -1 after saying what is
 * wrong. */
int machine_parse(int argc, char **argv, const char *usage, struct machine_options *ret_options);

/* Open the node or say why not. 0, or -1. */
int machine_open(const struct machine_options *options, weft_node **ret_node);

#endif
