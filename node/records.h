/* Messages in a row of memory, as a queue holds them: small ones as bytes, large ones by reference.
 *
 *     | NAMES route sender | BYTES size time payload | BYTES … | SHARED size time msg | NAMES …
 *      ◀── head                                                                       end ──▶
 *
 * One thread writes and another reads such a row from one end to the other, which is what
 * processors are best at. The names are written where they change, and a row holds a reference to
 * them only there. Whoever owns the row locks it. */
#ifndef NODE_RECORDS_H
#define NODE_RECORDS_H

#include "node/outbox.h"

#define RECORD_COPY_MAX 2048u /* a larger message is referenced */
#define RECORD_COST 32u       /* of an empty message */

/* A message on its way into queues. */
struct parcel {
    const void *data;
    size_t size;
    uint64_t time;
    struct str *route, *sender;
    weft_msg *msg; /* complete, holds the same; needed if size > RECORD_COPY_MAX */
};

struct names {
    struct str *route, *sender;
};

struct records {
    uint8_t *data;
    size_t head, end, cap;
    uint32_t count;       /* of messages */
    struct names written; /* that the next message written would have; borrowed */
    struct names read;    /* of the message read last; references held */
};

void records_fini(struct records *r);
/* Errors: WEFT_ENOMEM, nothing happened. */
int records_push(struct records *r, const struct parcel *p);
/* Take the first message; there is one. Takes a block from the pool, whose lock is held. NULL: out
 * of memory, the message stays. */
weft_msg *records_pop(struct records *r, struct msg_pool *pool);
/* Drop the first message; there is one. Returns its size. */
size_t records_drop(struct records *r);
/* Nothing is in it: give its memory back if that is much. */
void records_trim(struct records *r);

#endif
