/* The harness: what a measured system offers, and the few lines of every hot loop, which are the
 * same for all.
 *
 * A measurement runs in processes of its own (crew.h). The publisher asks a `feed` for one payload
 * after another until the time is over; a subscriber gives each message it gets to its `sink`. Both
 * are inline here: a message costs the harness two stores on one side, two loads, two compares and
 * one store on the other, no call and no clock, whatever the system.
 *
 * Every message carries its number at both ends of its payload. The sink expects the next number:
 * a gap is counted as lost, and a number that came before, a payload whose ends differ, or one of
 * another size is a wrong message, with which a measurement fails. Marks are messages of their own:
 * one that is sent again and again until every subscriber has heard it, before the measurement
 * begins, and one that ends it and says how many there were. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "histogram.h"

#define BENCH_ADDRESS 256 /* bytes of an address with its NUL */
#define BENCH_SUBSCRIBERS 100
#define BENCH_SIZE_MIN 16
#define BENCH_SIZE_MAX (32 * 1024 * 1024)

enum bench_transport { TRANSPORT_TCP, TRANSPORT_UNIX };
enum bench_mode { MODE_RECV, MODE_CALLBACK, MODE_THREAD };

/* What is to be measured. */
struct bench_setup {
    size_t size; /* of a payload, BENCH_SIZE_MIN at least */
    unsigned subscribers;
    bool stop; /* one subscriber will stop reading: choose what a user would choose for that */
    unsigned other_routes;
    enum bench_transport transport;
    enum bench_mode mode;
    uint16_t port;      /* of the broker, where the system has one */
    const char *folder; /* for socket files; NULL with TRANSPORT_TCP */
    uint64_t run_ns;    /* how long to send */
};

uint64_t bench_now_ns(void); /* monotonic, the same clock in all processes */

/* Print "bench: …" to stderr. Returns -1. */
__attribute__((format(printf, 1, 2))) int bench_error(const char *format, ...);

/* ---- Marks ------------------------------------------------------------------------------------
 */

#define MARK_HELLO UINT64_MAX
#define MARK_END (UINT64_MAX - 1)
#define NUMBER_NONE (UINT64_MAX - 2) /* greater than any number of a message */

struct mark {
    uint64_t kind, count; /* count: messages sent before the end */
};

/* ---- Feed: the publisher's side -------------------------------------------------------------
 */

/* Small payloads lie in a ring and are numbered FEED_LEAD messages ahead: a system that copies
 * eight bytes and eight bytes that were just written as one word of sixteen would wait for them to
 * reach the cache, and what is measured would be that. */
#define FEED_SLOTS 16
#define FEED_LEAD 8

struct feed {
    uint64_t next; /* number of the next message, which is how many there were */
    uint32_t left; /* messages until the next look at the clock */
    uint32_t batch;
    size_t size;
    uint64_t lead, mask; /* of the ring; 0 where there is one payload */
    unsigned shift;      /* of the size of a slot */
    uint8_t *payload;
    uint64_t until_ns;
};

int feed_init(struct feed *s, const struct bench_setup *setup);
void feed_fini(struct feed *s);
void feed_start(struct feed *s, uint64_t run_ns); /* the time runs from now */
bool feed_more(struct feed *s);                   /* is there time for another batch? */

static inline uint8_t *feed_slot(struct feed *s, uint64_t number)
{
    return s->payload + ((number & s->mask) << s->shift);
}

static inline void feed_number(struct feed *s, uint64_t number)
{
    uint8_t *slot = feed_slot(s, number);
    memcpy(slot, &number, sizeof(number));
    memcpy(slot + s->size - sizeof(number), &number, sizeof(number));
}

/* The next payload, of s->size bytes, or NULL when the time is over. It is overwritten by the next
 * calls: the system copies or sends it first, as it would have to for any caller. */
static inline const void *feed_next(struct feed *s)
{
    if (s->left == 0 && !feed_more(s))
        return NULL;
    s->left--;
    feed_number(s, s->next + s->lead);
    return feed_slot(s, s->next++);
}

/* ---- Sink: a subscriber's side ----------------------------------------------------------------
 */

/* In memory shared with the process that started the measurement, which looks at the counters while
 * they run. Written by the thread that receives, alone. */
struct sink {
    _Alignas(64) _Atomic uint64_t next; /* the number expected; NUMBER_NONE before the first */
    size_t size;
    _Atomic uint64_t lost;  /* numbers passed over */
    _Atomic uint64_t wrong; /* damaged, out of order or twice */
    uint64_t first_ns, last_ns;
    _Atomic bool done; /* the end has come: receive no more */
    sem_t finished;    /* posted with it, for who waits on another thread */
    int told;          /* where the start and the end are told, see crew.h */
    bool heard;        /* hello has come */
};

void sink_init(struct sink *s, const struct bench_setup *setup);

/* What is not simply the next message. */
void sink_odd(struct sink *s, const void *data, size_t size);

static inline void sink_take(struct sink *s, const void *data, size_t size)
{
    uint64_t expected = atomic_load_explicit(&s->next, memory_order_relaxed), head, tail;
    if (__builtin_expect(size == s->size, 1)) {
        memcpy(&head, data, sizeof(head));
        memcpy(&tail, (const uint8_t *)data + size - sizeof(tail), sizeof(tail));
        if (__builtin_expect(head == expected && tail == expected, 1)) {
            atomic_store_explicit(&s->next, expected + 1, memory_order_relaxed);
            return;
        }
    }
    sink_odd(s, data, size);
}

static inline bool sink_done(struct sink *s)
{
    return atomic_load_explicit(&s->done, memory_order_acquire);
}

/* Wait for the end, where messages come on another thread. */
void sink_wait(struct sink *s);

uint64_t sink_received(struct sink *s);

/* ---- Pinger: both sides of a round trip -------------------------------------------------------
 */

/* The side that asks sends pinger->payload, gives every answer to pinger_take, and sends the new
 * payload while that returns true; then it sends pinger->payload a last time, which is the end
 * mark. The side that answers sends back what it gets until pinger_ends says that it was the end.
 */
struct pinger {
    uint8_t *payload;
    size_t size;
    uint64_t number, wrong;
    uint64_t sent_ns, from_ns, until_ns; /* samples count from from_ns on */
    sem_t finished;
    struct histogram round_trips;
};

int pinger_init(struct pinger *p, const struct bench_setup *setup);
void pinger_fini(struct pinger *p);
void pinger_start(struct pinger *p, uint64_t run_ns);
bool pinger_take(struct pinger *p, const void *data, size_t size);
bool pinger_ends(const struct pinger *p, const void *data, size_t size);

/* ---- A system ---------------------------------------------------------------------------------
 */

/* All functions return 0 or, after an explanation by bench_error, -1. A publisher listens (or
 * connects to the broker) and fills in the address that subscribers are then given. `self` is what
 * open made; close takes whatever open returned. What a system cannot do is NULL. */
struct bench_system {
    const char *name;
    const char *setting; /* how it was set up, one sentence for the report */
    bool broker;         /* needs setup->port */
    void (*version)(char *buf, size_t size);

    int (*publisher_open)(const struct bench_setup *setup, char address[BENCH_ADDRESS],
                          void **ret_self);
    int (*publisher_wait)(void *self); /* until all subscribers are there, where it can know */
    int (*publisher_send)(void *self, const void *data, size_t size); /* at once */
    int (*publisher_flood)(void *self, struct feed *feed);            /* all, flushed at the end */
    void (*publisher_close)(void *self);

    int (*subscriber_open)(const struct bench_setup *setup, const char *address, void **ret_self);
    int (*subscriber_receive)(void *self, struct sink *sink); /* until the sink is done */
    void (*subscriber_close)(void *self);

    /* Round trips: the answering side opens first, with an empty address to fill in. The first
     * question may come as soon as pair_wait has returned on both sides. */
    int (*pair_open)(const struct bench_setup *setup, bool asks, char address[BENCH_ADDRESS],
                     void **ret_self);
    int (*pair_wait)(void *self, struct pinger *pinger); /* until the other side hears us; NULL: it
                                                            does */
    int (*pair_ask)(void *self, struct pinger *pinger);
    int (*pair_answer)(void *self, struct pinger *pinger);
    void (*pair_close)(void *self);

    /* From one thread to another, or on the loop's: all of the feed, then the end mark. */
    int (*local)(const struct bench_setup *setup, struct feed *feed, struct sink *sink);
};

extern const struct bench_system system_weft;

#endif
