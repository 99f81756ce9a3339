/* Two nodes that talk: an intent at one, at the other (and at the same) interests with a queue and
 * with a callback; what was sent, and what came. */
#ifndef TESTS_OOM_TALK_H
#define TESTS_OOM_TALK_H

#include "tests/oom/world.h"

enum subscriber { AT_QUEUE, AT_CALLBACK, AT_HERE, TALK_SUBSCRIBERS };

struct talk {
    struct world w;
    weft_node *from, *to;
    weft_intent *out;
    weft_interest *queue, *callback, *here; /* here: at `from` itself */
    const char *route, *pattern;
    weft_publish_options publishing;
    weft_subscribe_options subscribing; /* of the two queues */
    bool may_drop;                      /* the queues are too small for what is sent */
    uint64_t expected, got, dials;
    uint32_t sent, last[TALK_SUBSCRIBERS]; /* numbers of messages */
    uint32_t probe;                        /* the message that must pass; 0: none under way */
    unsigned probe_came;                   /* bits 1 << enum subscriber */
    uint64_t probe_at;
};

/* The routes are open and known to both sides; who was refused for want of memory asks again. False
 * in the mode ON. */
bool talk_begin(struct talk *t);
/* Open what was refused, and wait until the intent's interest is known. */
bool talk_whole(struct talk *t);
/* Send one message of `size` bytes, and note what must come of it. */
void talk_send(struct talk *t, size_t size);
/* Take what has come. */
void talk_take(struct talk *t);
/* Turn until each message has arrived, or is counted as dropped, or a link has gone with it. */
bool talk_settle(struct talk *t);
/* Memory is back: a message passes, to all. */
bool talk_passes(struct talk *t);
void talk_end(struct talk *t);

#endif
