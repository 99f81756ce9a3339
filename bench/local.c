/* Messages within one process, which is a child like the others, so that one that hangs is ended.
 */
#include "crew.h"
#include "scenario.h"

#define END_MS 60000

struct local {
    const struct bench_system *system;
    const struct bench_setup *setup;
    struct sink *sink; /* shared */
};

static int both(int fd, void *arg)
{
    struct local *l = arg;
    struct feed feed;
    if (feed_init(&feed, l->setup) < 0)
        return -1;
    int rc = l->system->local(l->setup, &feed, l->sink);
    if (rc == 0)
        crew_tell(fd, TOLD_SENT, &feed.next, sizeof(feed.next));
    feed_fini(&feed);
    return rc;
}

static int measure(struct local *l, uint64_t *ret_sent)
{
    struct crew crew = {0};
    int run_ms = (int)(l->setup->run_ns / 1000000);
    int member = crew_start(&crew, "process", both, l);
    int rc = member < 0 ? -1
                        : crew_expect(&crew, member, TOLD_SENT, ret_sent, sizeof(*ret_sent),
                                      END_MS + run_ms);
    if (rc == 0)
        rc = crew_join(&crew, member, END_MS);
    crew_end(&crew);
    return rc;
}

int local_run(const struct bench_system *system, const struct bench_setup *setup,
              struct result *result)
{
    static const char *const modes[] = {
        [MODE_RECV] = "recv", [MODE_CALLBACK] = "callback", [MODE_THREAD] = "thread"};
    struct local l = {.system = system, .setup = setup, .sink = bench_share(sizeof(*l.sink))};
    uint64_t sent = 0;
    if (!l.sink)
        return -1;
    sink_init(l.sink, setup);
    if (measure(&l, &sent) < 0)
        return -1;
    uint64_t received = sink_received(l.sink), wrong = atomic_load(&l.sink->wrong);
    if (wrong)
        return bench_error("%llu messages were damaged, out of order or came twice",
                           (unsigned long long)wrong);
    if (received < 2)
        return bench_error("too short: not two messages came");
    double seconds = (double)(l.sink->last_ns - l.sink->first_ns) / 1e9;
    double per_s = (double)(received - 1) / seconds;
    result_count(result, "size", setup->size);
    result_words(result, "mode", modes[setup->mode]);
    result_count(result, "sent", sent);
    result_count(result, "received", received);
    result_count(result, "lost", sent - received);
    result_number(result, "seconds", seconds);
    result_number(result, "msgs_per_s", per_s);
    result_number(result, "ns_per_msg", 1e9 / per_s);
    return 0;
}
