/* Two handshake machines that talk to each other without a wire: what one sends is copied, so that
 * nothing borrowed outlives its call, and stepped into the other. */
#ifndef TESTS_HANDSHAKE_PAIR_H
#define TESTS_HANDSHAKE_PAIR_H

#include "handshake/handshake.h"

/* A HANDSHAKE with strings of its own. */
struct letter {
    struct handshake_msg msg;
    char me[URL_MAX + 1], you[URL_MAX + 1], network[128], agent[128];
    uint8_t node_id[16];
};

struct pair {
    struct handshake_self a, b; /* initiator, responder */
    struct handshake ha, hb;
    const char *a_seen_from, *b_seen_from; /* remote_host at the other side */
    struct letter last;                    /* what was sent last */
};

/* A peer called `me` with the given first byte of its node id. */
struct handshake_self self_make(const char *me, uint8_t id);

void letter_write(struct letter *letter, const struct handshake_msg *msg);

/* b listens on its `me`, a has dialled `url`. */
void pair_init(struct pair *pair, const char *a, const char *b);
void pair_start(struct pair *pair, const char *dialled);

/* One HANDSHAKE of that stage from one side to the other; returns what the other makes of it. */
int pair_a_to_b(struct pair *pair, enum stage stage);
int pair_b_to_a(struct pair *pair, enum stage stage);

/* The whole handshake between two weft nodes. Returns 0 when both are DONE, or the first error. */
int pair_run(struct pair *pair, const char *dialled);

#endif
