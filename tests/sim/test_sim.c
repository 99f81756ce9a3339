/* The instruments themselves: a seed is one run, an invariant that is broken on purpose is seen,
 * and the schedule that shows it is shrunk. Then a share of the seeds, for the sanitizers. */
#include <weft/weft.h>

#include "run.h"
#include "tests/check.h"

static struct sim_result run(uint64_t seed, uint32_t nodes, sim_plant *plant)
{
    struct schedule schedule;
    struct sim_result result;
    schedule_draw(&schedule, seed, nodes, false);
    sim_run(&schedule, plant, &result);
    schedule_fini(&schedule);
    return result;
}

/* ---- A seed is one run ---- */

TEST(sim, a_seed_replays_exactly)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim_result one = run(seed, 6, NULL), two = run(seed, 6, NULL),
                          other = run(seed + 100, 6, NULL);
        CHECK(one.hash == two.hash);
        CHECK_EQ(one.events, two.events);
        CHECK_EQ(one.virtual_ns, two.virtual_ns);
        CHECK(one.hash != other.hash);
    }
}

TEST(sim, a_schedule_survives_its_text)
{
    struct schedule drawn, parsed;
    struct sim_result one, two;
    char text[32768] = "";
    schedule_draw(&drawn, 7, 6, false);
    FILE *out = fmemopen(text, sizeof(text), "w");
    CHECK(out != NULL);
    schedule_print(&drawn, out);
    fclose(out);
    CHECK(schedule_parse(&parsed, 7, text));
    CHECK_EQ(parsed.count, drawn.count);
    sim_run(&drawn, NULL, &one);
    sim_run(&parsed, NULL, &two);
    CHECK(one.hash == two.hash);
    schedule_fini(&drawn);
    schedule_fini(&parsed);
    CHECK(!schedule_parse(&parsed, 7, "5,100: 1 dance 0 0 0 0"));
    CHECK(!schedule_parse(&parsed, 7, "5,100: 1 start 9 0 0 0"));
    CHECK(!schedule_parse(&parsed, 7, "no schedule"));
}

/* A step that is left out moves nothing elsewhere: nodes and connections draw for themselves. */
TEST(sim, chance_is_drawn_apart)
{
    struct net_options options = {.seed = 3};
    uint64_t ids[2];
    for (int i = 0; i < 2; i++) {
        struct net *net = net_new(&options);
        for (int n = 0; n < 3; n++)
            net_add(net, NULL);
        if (i)
            CHECK(net_start(net_node(net, 0), false));
        net_run(net, NS_PER_SEC);
        CHECK(net_start(net_node(net, 2), false));
        ids[i] = net_node(net, 2)->id[0];
        net_free(net);
    }
    CHECK_EQ(ids[0], ids[1]);
}

/* ---- Defects planted: each must be seen, and told for what it is ---- */

/* One message in a hundred does not arrive. */
static bool swallow_message(void *ctx, const struct net_end *from, const struct header *header,
                            const struct frame *frame)
{
    unsigned *count = ctx;
    return header->type != MSG_MESSAGE || ++*count % 100 != 0;
}

static void plant_loss(struct net *net)
{
    static unsigned count;
    count = 0;
    net_set_filter(net, swallow_message, &count);
}

static bool swallow_withdrawals(void *ctx, const struct net_end *from, const struct header *header,
                                const struct frame *frame)
{
    struct control c;
    if (header->type != MSG_INTEREST ||
        codec_decode(MSG_INTEREST, frame->body, frame->body_size, &c) < 0)
        return true;
    bool passes = c.decls.items[0].registered;
    control_fini(&c);
    if (!passes) { /* as one who reads it and does nothing */
        struct net_conn *conn = from->conn;
        conn->ends[from == &conn->ends[0]].interests_read++;
    }
    return passes;
}

static void plant_withdrawals(struct net *net)
{
    net_set_filter(net, swallow_withdrawals, NULL);
}

/* The handshake's last message is lost, always, from n3 and to it. */
static bool swallow_peers(void *ctx, const struct net_end *from, const struct header *header,
                          const struct frame *frame)
{
    const struct net_end *ends = from->conn->ends;
    return header->type != MSG_PEERS || (ends[0].node->index != 3 && ends[1].node->index != 3);
}

static void plant_peers(struct net *net)
{
    net_set_filter(net, swallow_peers, NULL);
}

/* Frames that tell of intents are lost, and so are the digests that would tell. */
static bool swallow_intents(void *ctx, const struct net_end *from, const struct header *header,
                            const struct frame *frame)
{
    return header->type != MSG_INTENT && header->type != MSG_DIGEST;
}

static void plant_intents(struct net *net)
{
    net_set_filter(net, swallow_intents, NULL);
}

/* Of what a planted defect leads to, the first that is told in these words. */
static struct sim_result first_failure(sim_plant *plant, uint32_t nodes, const char *words,
                                       uint64_t *ret_seed)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct sim_result result = run(seed, nodes, plant);
        *ret_seed = seed;
        if (result.failed && strstr(result.why, words))
            return result;
    }
    FAIL("what was planted is not found in 60 seeds");
    return (struct sim_result){0};
}

TEST(sim, a_link_that_never_comes_is_seen)
{
    uint64_t seed;
    first_failure(plant_peers, 5, "not whole in time: ", &seed);
}

TEST(sim, tables_that_differ_are_seen)
{
    uint64_t seed;
    first_failure(plant_intents, 5, "tables differ", &seed);
}

TEST(sim, a_message_that_is_missing_is_seen)
{
    uint64_t seed;
    first_failure(plant_loss, 5, "was the next on that link", &seed);
}

TEST(sim, messages_sent_after_a_withdrawal_are_seen)
{
    uint64_t seed;
    first_failure(plant_withdrawals, 5, "whose withdrawal of", &seed);
}

TEST(sim, memory_that_is_left_is_seen)
{
    struct schedule schedule;
    struct sim_result result;
    schedule_draw(&schedule, 1, 5, true);
    sim_run(&schedule, NULL, &result);
    CHECK(!result.failed);
    CHECK(result.blocks > 100); /* they were counted */
    schedule_fini(&schedule);
}

/* ---- Shrinking ---- */

TEST(sim, a_failure_is_shrunk_to_what_it_takes)
{
    uint64_t seed;
    struct schedule drawn, shortest;
    struct sim_result shrunk, again;
    struct sim_result result = first_failure(plant_peers, 8, "not whole in time: ", &seed);
    schedule_draw(&drawn, seed, 8, false);
    sim_shrink(&drawn, plant_peers, 400, &shortest, &shrunk);
    CHECK(drawn.count > 50);
    CHECK(shrunk.failed);
    CHECK(strncmp(shrunk.why, result.why, 18) == 0);
    /* n3 cannot be linked to anybody: it takes its start and that of another, or of two; or that of
     * one that is configured with it. */
    CHECK(shortest.count <= 3);
    bool has_n3 = false;
    for (size_t i = 0; i < shortest.count; i++) {
        CHECK_EQ(shortest.steps[i].op, STEP_START);
        uint32_t second = shortest.steps[i].y;
        has_n3 |= shortest.steps[i].a == 3 || (second % 3 == 0 && second % 8 == 3);
    }
    CHECK(has_n3);
    sim_run(&shortest, plant_peers, &again);
    CHECK(again.failed && again.hash == shrunk.hash);
    schedule_fini(&drawn);
    schedule_fini(&shortest);
}

/* With the start of a node left out, those that are configured with it would dial it for ever: no
 * failure that shrinking should take for the one it looks for. */
TEST(sim, a_node_that_others_name_is_started_at_last)
{
    struct schedule schedule;
    struct sim_result result;
    CHECK(schedule_parse(&schedule, 1, "4,100: 1 start 0 0 0 1; 2 start 1 0 0 6"));
    sim_run(&schedule, NULL, &result);
    if (result.failed)
        FAIL("%s", result.why);
    schedule_fini(&schedule);
}

/* ---- A share of the seeds ---- */

TEST(sim, thirty_seeds_hold)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct sim_result result = run(seed, (uint32_t)(5 + seed % 6), NULL);
        if (result.failed)
            FAIL("weft-sim --replay %llu --nodes %llu: %s", (unsigned long long)seed,
                 (unsigned long long)(5 + seed % 6), result.why);
    }
}
