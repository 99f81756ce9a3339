/* Messages from one publisher process to one or many subscriber processes.
 *
 * Happy path: the publisher opens and tells its address; the subscribers open with it; the
 * publisher sends hello until each of them has heard it, then floods until the time is over, tells
 * how many it sent, and sends the end mark until all have told that it came. Marks are repeated
 * because some of the systems lose messages.
 *
 * With `stop`, the last subscriber is stopped half-way (SIGSTOP) and goes on when the time is over,
 * so that a publisher that waits for it comes to an end. Whether the end mark still reaches it is
 * the system's affair: its messages are counted, but nothing is expected of it. */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "crew.h"
#include "scenario.h"

#define NS_PER_SECOND 1e9
#define OPEN_MS 60000
#define END_MS 60000
#define STOPPED_MS 3000
#define REPEAT_MS 5

struct stream {
    const struct bench_system *system;
    const struct bench_setup *setup;
    struct sink *sinks; /* shared, one for each subscriber */
    char address[BENCH_ADDRESS];
    unsigned index; /* of the subscriber that is being started */

    struct crew crew;
    int publisher;
    int subscribers[BENCH_SUBSCRIBERS];
    uint64_t sent;
    double before_per_s, after_per_s; /* deliveries to those that are not stopped */
};

void *bench_share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED)
        return p;
    bench_error("mmap: out of memory");
    return NULL;
}

/* ---- The publisher's process ------------------------------------------------------------------
 */

static int repeat_mark(struct stream *s, void *self, struct mark mark, int fd, enum told until)
{
    int rc;
    do {
        if (s->system->publisher_send(self, &mark, sizeof(mark)) < 0)
            return -1;
        rc = crew_await(fd, until, NULL, 0, REPEAT_MS);
    } while (rc > 0);
    return rc;
}

static int flood(struct stream *s, void *self, struct feed *feed, int fd)
{
    if (s->system->publisher_wait && s->system->publisher_wait(self) < 0)
        return -1;
    if (repeat_mark(s, self, (struct mark){.kind = MARK_HELLO}, fd, TOLD_GO) < 0)
        return -1;
    feed_start(feed, s->setup->run_ns);
    if (s->system->publisher_flood(self, feed) < 0)
        return -1;
    crew_tell(fd, TOLD_SENT, &feed->next, sizeof(feed->next));
    struct mark end = {.kind = MARK_END, .count = feed->next};
    return repeat_mark(s, self, end, fd, TOLD_QUIT);
}

static int publisher(int fd, void *arg)
{
    struct stream *s = arg;
    struct feed feed;
    void *self;
    if (feed_init(&feed, s->setup) < 0 ||
        s->system->publisher_open(s->setup, s->address, &self) < 0)
        return -1;
    crew_tell(fd, TOLD_ADDRESS, s->address, sizeof(s->address));
    int rc = flood(s, self, &feed, fd);
    s->system->publisher_close(self);
    feed_fini(&feed);
    return rc;
}

/* ---- A subscriber's process -------------------------------------------------------------------
 */

static int subscriber(int fd, void *arg)
{
    struct stream *s = arg;
    struct sink *sink = &s->sinks[s->index];
    void *self;
    sink->told = fd;
    if (s->system->subscriber_open(s->setup, s->address, &self) < 0)
        return -1;
    crew_tell(fd, TOLD_READY, NULL, 0);
    int rc = s->system->subscriber_receive(self, sink);
    if (rc == 0)
        rc = crew_await(fd, TOLD_QUIT, NULL, 0, -1);
    s->system->subscriber_close(self);
    return rc;
}

/* ---- The process that started them ------------------------------------------------------------
 */

static int start_subscribers(struct stream *s)
{
    for (s->index = 0; s->index < s->setup->subscribers; s->index++) {
        sink_init(&s->sinks[s->index], s->setup);
        int member = crew_start(&s->crew, "subscriber", subscriber, s);
        if (member < 0)
            return -1;
        s->subscribers[s->index] = member;
    }
    for (unsigned i = 0; i < s->setup->subscribers; i++)
        if (crew_expect(&s->crew, s->subscribers[i], TOLD_READY, NULL, 0, OPEN_MS) < 0)
            return -1;
    return 0;
}

static int start(struct stream *s)
{
    s->publisher = crew_start(&s->crew, "publisher", publisher, s);
    if (s->publisher < 0 || crew_expect(&s->crew, s->publisher, TOLD_ADDRESS, s->address,
                                        sizeof(s->address), OPEN_MS) < 0)
        return -1;
    if (start_subscribers(s) < 0)
        return -1;
    for (unsigned i = 0; i < s->setup->subscribers; i++)
        if (crew_expect(&s->crew, s->subscribers[i], TOLD_HEARD, NULL, 0, OPEN_MS) < 0)
            return -1;
    return 0;
}

static uint64_t received_by_others(struct stream *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i + 1 < s->setup->subscribers; i++)
        sum += sink_received(&s->sinks[i]);
    return sum;
}

/* Deliveries a second to the others from now until `end_ns`. */
static double rate_until(struct stream *s, uint64_t end_ns)
{
    uint64_t began = bench_now_ns(), count = received_by_others(s);
    crew_sleep_until(end_ns);
    return (double)(received_by_others(s) - count) * NS_PER_SECOND /
           (double)(bench_now_ns() - began);
}

/* The first tenth is left out: the flood has to get going. What a publisher does when it finds the
 * subscriber stuck is not left out. */
static void stop_one(struct stream *s)
{
    uint64_t start_ns = bench_now_ns(), run_ns = s->setup->run_ns;
    struct member *stopped = &s->crew.members[s->subscribers[s->setup->subscribers - 1]];
    stopped->may_fail = true;
    crew_sleep_until(start_ns + run_ns / 10);
    s->before_per_s = rate_until(s, start_ns + run_ns / 2);
    kill(stopped->pid, SIGSTOP);
    s->after_per_s = rate_until(s, start_ns + run_ns);
    kill(stopped->pid, SIGCONT);
}

static int finish(struct stream *s)
{
    unsigned expected = s->setup->subscribers - s->setup->stop;
    int run_ms = (int)(s->setup->run_ns / 1000000);
    if (crew_expect(&s->crew, s->publisher, TOLD_SENT, &s->sent, sizeof(s->sent), END_MS + run_ms))
        return -1;
    for (unsigned i = 0; i < expected; i++)
        if (crew_expect(&s->crew, s->subscribers[i], TOLD_END, NULL, 0, END_MS) < 0)
            return -1;
    if (s->setup->stop)
        crew_await(s->crew.members[s->subscribers[expected]].fd, TOLD_END, NULL, 0, STOPPED_MS);
    crew_tell(s->crew.members[s->publisher].fd, TOLD_QUIT, NULL, 0);
    if (crew_join(&s->crew, s->publisher, END_MS) < 0)
        return -1;
    for (unsigned i = 0; i < expected; i++)
        crew_tell(s->crew.members[s->subscribers[i]].fd, TOLD_QUIT, NULL, 0);
    for (unsigned i = 0; i < expected; i++)
        if (crew_join(&s->crew, s->subscribers[i], END_MS) < 0)
            return -1;
    return 0;
}

static int check(struct stream *s)
{
    for (unsigned i = 0; i < s->setup->subscribers; i++) {
        uint64_t wrong = atomic_load(&s->sinks[i].wrong);
        if (wrong)
            return bench_error("%llu messages were damaged, out of order or came twice",
                               (unsigned long long)wrong);
    }
    return s->sent ? 0 : bench_error("not one message was sent");
}

static int measure(struct stream *s)
{
    int rc = start(s);
    if (rc == 0) {
        crew_tell(s->crew.members[s->publisher].fd, TOLD_GO, NULL, 0);
        if (s->setup->stop)
            stop_one(s);
        rc = finish(s);
    }
    crew_end(&s->crew);
    return rc == 0 ? check(s) : -1;
}

static int stream_init(struct stream *s, const struct bench_system *system,
                       const struct bench_setup *setup)
{
    *s = (struct stream){.system = system, .setup = setup};
    s->sinks = bench_share(setup->subscribers * sizeof(*s->sinks));
    return s->sinks ? 0 : -1;
}

/* ---- What came of it --------------------------------------------------------------------------
 */

struct totals {
    uint64_t received, lost, lost_others;
    double seconds, per_s;
};

/* From the first message anywhere to the last: what a subscriber got after its first, over that. */
static struct totals add_up(struct stream *s)
{
    struct totals t = {0};
    unsigned n = s->setup->subscribers;
    uint64_t from = UINT64_MAX, to = 0, intervals = 0;
    for (unsigned i = 0; i < n; i++) {
        struct sink *sink = &s->sinks[i];
        uint64_t received = sink_received(sink);
        t.received += received;
        t.lost += s->sent - received;
        t.lost_others += i + 1 < n ? s->sent - received : 0;
        if (received == 0)
            continue;
        intervals += received - 1;
        from = sink->first_ns < from ? sink->first_ns : from;
        to = sink->last_ns > to ? sink->last_ns : to;
    }
    if (to > from) {
        t.seconds = (double)(to - from) / NS_PER_SECOND;
        t.per_s = (double)intervals / t.seconds;
    }
    return t;
}

int stream_run(const struct bench_system *system, const struct bench_setup *setup,
               struct result *result)
{
    struct stream s;
    if (stream_init(&s, system, setup) < 0 || measure(&s) < 0)
        return -1;
    struct totals t = add_up(&s);
    result_count(result, "size", setup->size);
    result_count(result, "sent", s.sent);
    result_count(result, "received", t.received);
    result_count(result, "lost", t.lost);
    result_number(result, "seconds", t.seconds);
    result_number(result, "msgs_per_s", t.per_s);
    result_number(result, "bytes_per_s", t.per_s * (double)setup->size);
    return 0;
}

int fanout_run(const struct bench_system *system, const struct bench_setup *setup,
               struct result *result)
{
    struct stream s;
    if (stream_init(&s, system, setup) < 0 || measure(&s) < 0)
        return -1;
    struct totals t = add_up(&s);
    result_count(result, "size", setup->size);
    result_count(result, "subscribers", setup->subscribers);
    result_count(result, "sent", s.sent);
    result_count(result, "received", t.received);
    result_count(result, "lost", t.lost);
    result_number(result, "seconds", t.seconds);
    result_number(result, "deliveries_per_s", t.per_s);
    if (setup->stop) {
        result_number(result, "others_before_per_s", s.before_per_s);
        result_number(result, "others_after_per_s", s.after_per_s);
        result_number(result, "ratio", s.before_per_s > 0 ? s.after_per_s / s.before_per_s : 0);
        result_count(result, "lost_others", t.lost_others);
    }
    return 0;
}
