/* Feed, sink and pinger, apart from their hot lines in bench.h. */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "crew.h"

#define NS_PER_SECOND UINT64_C(1000000000)

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

int bench_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flockfile(stderr);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(args);
    return -1;
}

/* ---- Feed -----------------------------------------------------------------------------------
 */

/* Small messages share a look at the clock, which costs as much as several of them. */
int feed_init(struct feed *s, const struct bench_setup *setup)
{
    size_t room = setup->size;
    *s = (struct feed){.size = setup->size};
    s->batch = setup->size <= 256 ? 256 : setup->size <= 4096 ? 64 : setup->size <= 65536 ? 4 : 1;
    if (setup->size <= 1024) {
        s->lead = FEED_LEAD;
        s->mask = FEED_SLOTS - 1;
        while (((size_t)1 << s->shift) < setup->size)
            s->shift++;
        room = (size_t)FEED_SLOTS << s->shift;
    }
    s->payload = malloc(room);
    if (!s->payload)
        return bench_error("out of memory");
    for (size_t i = 0; i < room; i++)
        s->payload[i] = (uint8_t)(i * 31);
    for (uint64_t i = 0; i < s->lead; i++)
        feed_number(s, i);
    return 0;
}

void feed_fini(struct feed *s)
{
    free(s->payload);
}

void feed_start(struct feed *s, uint64_t run_ns)
{
    s->until_ns = bench_now_ns() + run_ns;
}

bool feed_more(struct feed *s)
{
    if (bench_now_ns() >= s->until_ns)
        return false;
    s->left = s->batch;
    return true;
}

/* ---- Sink -------------------------------------------------------------------------------------
 */

void sink_init(struct sink *s, const struct bench_setup *setup)
{
    memset(s, 0, sizeof(*s));
    atomic_init(&s->next, NUMBER_NONE);
    s->size = setup->size;
    s->told = -1;
    sem_init(&s->finished, 1, 0);
}

static void sink_finish(struct sink *s, uint64_t sent)
{
    uint64_t next = atomic_load(&s->next);
    if (next == NUMBER_NONE)
        next = 0;
    if (sent < next)
        atomic_fetch_add(&s->wrong, 1);
    else
        atomic_fetch_add(&s->lost, sent - next);
    s->last_ns = bench_now_ns();
    atomic_store(&s->next, sent);
    atomic_store(&s->done, true);
    crew_tell(s->told, TOLD_END, NULL, 0);
    sem_post(&s->finished);
}

static void sink_mark(struct sink *s, const struct mark *mark)
{
    if (mark->kind == MARK_HELLO && !s->heard) {
        s->heard = true;
        crew_tell(s->told, TOLD_HEARD, NULL, 0);
    } else if (mark->kind == MARK_END && !sink_done(s)) {
        sink_finish(s, mark->count);
    }
}

/* The first message, one behind a gap, or a wrong one. */
static void sink_number(struct sink *s, uint64_t head, uint64_t tail)
{
    uint64_t next = atomic_load(&s->next);
    if (next == NUMBER_NONE) {
        s->first_ns = bench_now_ns();
        next = 0;
    }
    if (head != tail || head < next || head >= NUMBER_NONE) {
        atomic_fetch_add(&s->wrong, 1);
        return;
    }
    atomic_fetch_add(&s->lost, head - next);
    atomic_store(&s->next, head + 1);
}

void sink_odd(struct sink *s, const void *data, size_t size)
{
    struct mark mark;
    uint64_t tail;
    if (size < sizeof(mark)) {
        atomic_fetch_add(&s->wrong, 1);
        return;
    }
    memcpy(&mark, data, sizeof(mark));
    if (size == sizeof(mark) && mark.kind >= MARK_END) {
        sink_mark(s, &mark);
        return;
    }
    memcpy(&tail, (const uint8_t *)data + size - sizeof(tail), sizeof(tail));
    if (size != s->size)
        atomic_fetch_add(&s->wrong, 1);
    else
        sink_number(s, mark.kind, tail);
}

void sink_wait(struct sink *s)
{
    while (!sink_done(s))
        sem_wait(&s->finished);
}

/* Messages with a number below `next`, without those passed over. */
uint64_t sink_received(struct sink *s)
{
    uint64_t next = atomic_load(&s->next);
    return next == NUMBER_NONE ? 0 : next - atomic_load(&s->lost);
}

/* ---- Pinger -----------------------------------------------------------------------------------
 */

int pinger_init(struct pinger *p, const struct bench_setup *setup)
{
    *p = (struct pinger){.size = setup->size};
    sem_init(&p->finished, 0, 0);
    p->payload = calloc(1, setup->size);
    return p->payload ? 0 : bench_error("out of memory");
}

void pinger_fini(struct pinger *p)
{
    sem_destroy(&p->finished);
    free(p->payload);
}

static void pinger_number(struct pinger *p, uint64_t number)
{
    p->number = number;
    memcpy(p->payload, &number, sizeof(number));
    memcpy(p->payload + p->size - sizeof(number), &number, sizeof(number));
}

/* The first tenth warms caches, connections and the processor's clock. */
void pinger_start(struct pinger *p, uint64_t run_ns)
{
    p->sent_ns = bench_now_ns();
    p->from_ns = p->sent_ns + run_ns / 10;
    p->until_ns = p->from_ns + run_ns;
    pinger_number(p, 0);
}

/* One look at the clock ends a round trip and begins the next. */
bool pinger_take(struct pinger *p, const void *data, size_t size)
{
    uint64_t now = bench_now_ns();
    p->wrong += size != p->size || memcmp(data, p->payload, size) != 0;
    if (p->sent_ns >= p->from_ns)
        histogram_add(&p->round_trips, now - p->sent_ns);
    bool more = now < p->until_ns;
    pinger_number(p, more ? p->number + 1 : MARK_END);
    p->sent_ns = now;
    return more;
}

bool pinger_ends(const struct pinger *p, const void *data, size_t size)
{
    uint64_t head = 0;
    if (size == p->size)
        memcpy(&head, data, sizeof(head));
    return head == MARK_END;
}
