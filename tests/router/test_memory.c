/* Every allocation fails once: the n-th, then the next run the n + 1st, until a run needs fewer. A
 * failed operation has changed nothing; an advert lost has broken its endpoint, and its link starts
 * anew. At the end of each run the tables are those of a run without failures. */
#include "fixture.h"

#include "tests/oom/oom.h"

/* Repeat an operation until memory allows it; what fails must have left the generation alone. */
#define INSIST(call)                                                                               \
    do {                                                                                           \
        uint64_t before = router_generation(r);                                                    \
        int insist = (call);                                                                       \
        if (insist == WEFT_ENOMEM) {                                                               \
            CHECK(oom_failed() && router_generation(r) == before);                                 \
            insist = (call);                                                                       \
        }                                                                                          \
        CHECK_EQ(insist, 0);                                                                       \
    } while (0)

static void drain(struct router *r, bool *relink)
{
    struct router_advert a;
    struct router_notice n;
    struct router_intent *i;
    uint32_t id;
    while (router_next_advert(r, &a))
        CHECK(a.endpoint != 0);
    while (router_next_notice(r, &n))
        CHECK(n.route != NULL);
    while ((i = router_next_changed(r))) {
        if (i->dead)
            router_release_intent(r, i);
    }
    while ((id = router_next_broken(r))) {
        CHECK(oom_failed());
        relink[id] = true;
    }
}

static const struct endpoint_options options[] = {
    {.class = ENDPOINT_UPLINK, .path = "", .name = "tcp://0"}, /* not used: ids begin at 1 */
    {.class = ENDPOINT_PEER, .path = "", .name = "tcp://1", .patterns = true},
    {.class = ENDPOINT_LEAF, .path = "", .name = "tcp://2", .patterns = true},
    {.class = ENDPOINT_LEAF, .path = "", .name = "tcp://2"},
    {.class = ENDPOINT_PEER, .path = "", .name = "tcp://4", .base = true},
};

static void declare_all(struct router *r, uint32_t id)
{
    struct decl d[] = {
        {.route = "T@a.b", .registered = true, .alias = 1, .schema = 5, .origin = ""},
        {.route = "T@a/c", .registered = true, .alias = 2, .origin = "tcp://far"},
        {.route = "T@a.b", .registered = true, .schema = 6, .origin = ""},
        {.route = "*@a.**", .registered = true, .origin = ""},
    };
    if (options[id].base)
        d[1].origin = "";
    INSIST(router_learn_intent(r, id, &d[0], 1));
    INSIST(router_learn_intent(r, id, &d[1], 1));
    INSIST(router_learn_interest(r, id, &d[2], 1));
    if (options[id].patterns)
        INSIST(router_learn_interest(r, id, &d[3], 1));
}

/* What a run ends with. */
struct outcome {
    struct router_counts counts;
    struct router_digest sent[ARRAY_LEN(options)];
};

static bool scenario(struct outcome *ret_outcome)
{
    struct router_config config = {.max_routes = 1000};
    struct router *r;
    struct router_intent *own;
    struct router_interest *s, *t;
    bool relink[ARRAY_LEN(options)] = {0};
    int rc = router_new(&config, &r);
    if (rc == WEFT_ENOMEM)
        rc = router_new(&config, &r);
    CHECK_EQ(rc, 0);
    for (uint32_t id = 1; id < ARRAY_LEN(options); id++)
        INSIST(router_attach(r, id, &options[id], false));
    INSIST(router_open_intent(r, "T@a.b", 5, NULL, &own));
    INSIST(router_open_interest(r, "T@a/b", 6, r, &s));
    INSIST(router_open_interest(r, "*@*.*", 0, r, &t));
    for (uint32_t id = 1; id < ARRAY_LEN(options); id++)
        declare_all(r, id);
    drain(r, relink);
    router_close_intent(r, own);
    router_close_interest(r, s);
    router_detach(r, 2);
    relink[2] = false;
    drain(r, relink);
    for (uint32_t id = 1; id < ARRAY_LEN(options); id++) {
        if (!relink[id])
            continue;
        router_detach(r, id);
        INSIST(router_attach(r, id, &options[id], false));
        declare_all(r, id);
    }
    for (uint32_t id = 1; id < ARRAY_LEN(options); id++)
        router_digest_sent(r, id, &ret_outcome->sent[id]);
    router_count(r, &ret_outcome->counts);
    router_free(r);
    return oom_failed();
}

TEST(router_memory, any_allocation_may_fail)
{
    struct outcome plain, outcome;
    memset(&plain, 0, sizeof(plain));
    oom_arm(0, 0);
    CHECK(!scenario(&plain));
    CHECK(plain.counts.remote_intents == 6 && plain.counts.local_interests == 1);
    uint64_t n = 0;
    for (bool more = true; more; n++) {
        memset(&outcome, 0, sizeof(outcome));
        oom_arm(n + 1, 1);
        more = scenario(&outcome);
        CHECK_EQ(oom_living(), 0);
        CHECK_MEM(&outcome.counts, &plain.counts, sizeof(plain.counts));
        for (size_t id = 1; id < ARRAY_LEN(options); id++)
            CHECK(outcome.sent[id].interests == plain.sent[id].interests &&
                  outcome.sent[id].intents == plain.sent[id].intents);
    }
    CHECK(n > 50); /* or the allocator was not ours */
    CHECK_EQ(weft_set_allocator(NULL, NULL, NULL), 0);
}

TEST(router_memory, an_endpoint_that_is_not_drained_is_broken)
{
    struct router *r = fixture_new(10);
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    uint32_t id = 0;
    for (int i = 0; i < 1000 && id == 0; i++) {
        router_close_intent(r, fixture_publish(r, "T@a"));
        id = router_next_broken(r);
    }
    CHECK_EQ(id, 1);
    CHECK_STR(fixture_adverts(r), ""); /* what is left would not be whole */
    router_free(r);
}
