/* Round trips between two processes: one asks, the other sends back what it gets. */
#include "crew.h"
#include "scenario.h"

#define OPEN_MS 60000
#define END_MS 60000

struct latency {
    const struct bench_system *system;
    const struct bench_setup *setup;
    bool asks; /* the side that is being started */
    char address[BENCH_ADDRESS];
    struct found {
        struct histogram round_trips;
        uint64_t wrong;
    } * found; /* shared */
};

static int ask(struct latency *l, void *self, struct pinger *pinger)
{
    pinger_start(pinger, l->setup->run_ns);
    int rc = l->system->pair_ask(self, pinger);
    l->found->round_trips = pinger->round_trips;
    l->found->wrong = pinger->wrong;
    return rc;
}

static int side(int fd, void *arg)
{
    struct latency *l = arg;
    struct pinger pinger;
    void *self;
    if (pinger_init(&pinger, l->setup) < 0 ||
        l->system->pair_open(l->setup, l->asks, l->address, &self) < 0)
        return -1;
    if (!l->asks)
        crew_tell(fd, TOLD_ADDRESS, l->address, sizeof(l->address));
    int rc = l->system->pair_wait ? l->system->pair_wait(self, &pinger) : 0;
    if (rc == 0) {
        crew_tell(fd, TOLD_READY, NULL, 0);
        rc = crew_await(fd, TOLD_GO, NULL, 0, -1);
    }
    if (rc == 0)
        rc = l->asks ? ask(l, self, &pinger) : l->system->pair_answer(self, &pinger);
    if (rc == 0) {
        crew_tell(fd, TOLD_END, NULL, 0);
        rc = crew_await(fd, TOLD_QUIT, NULL, 0, -1);
    }
    l->system->pair_close(self);
    pinger_fini(&pinger);
    return rc;
}

static int measure(struct latency *l, struct crew *crew)
{
    int run_ms = (int)(l->setup->run_ns / 1000000), sides[2];
    sides[0] = crew_start(crew, "answering side", side, l);
    if (sides[0] < 0 ||
        crew_expect(crew, sides[0], TOLD_ADDRESS, l->address, sizeof(l->address), OPEN_MS) < 0)
        return -1;
    l->asks = true;
    sides[1] = crew_start(crew, "asking side", side, l);
    if (sides[1] < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (crew_expect(crew, sides[i], TOLD_READY, NULL, 0, OPEN_MS) < 0)
            return -1;
    for (int i = 0; i < 2; i++)
        crew_tell(crew->members[sides[i]].fd, TOLD_GO, NULL, 0);
    for (int i = 1; i >= 0; i--)
        if (crew_expect(crew, sides[i], TOLD_END, NULL, 0, END_MS + run_ms) < 0)
            return -1;
    for (int i = 1; i >= 0; i--) {
        crew_tell(crew->members[sides[i]].fd, TOLD_QUIT, NULL, 0);
        if (crew_join(crew, sides[i], END_MS) < 0)
            return -1;
    }
    return 0;
}

int latency_run(const struct bench_system *system, const struct bench_setup *setup,
                struct result *result)
{
    struct latency l = {.system = system, .setup = setup};
    struct crew crew = {0};
    l.found = bench_share(sizeof(*l.found));
    if (!l.found)
        return -1;
    int rc = measure(&l, &crew);
    crew_end(&crew);
    if (rc < 0)
        return -1;
    const struct histogram *h = &l.found->round_trips;
    if (l.found->wrong)
        return bench_error("%llu answers were not what was asked",
                           (unsigned long long)l.found->wrong);
    if (h->samples == 0)
        return bench_error("too short: no answer came in time to be counted");
    result_count(result, "size", setup->size);
    result_count(result, "samples", h->samples);
    result_count(result, "p50_ns", histogram_quantile(h, 0.5));
    result_count(result, "p90_ns", histogram_quantile(h, 0.9));
    result_count(result, "p99_ns", histogram_quantile(h, 0.99));
    result_count(result, "p999_ns", histogram_quantile(h, 0.999));
    result_count(result, "max_ns", h->max_ns);
    return 0;
}
