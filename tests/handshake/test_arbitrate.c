/* One link a pair: the rules one by one, then every order of events for up to three connections,
 * and chance with time for the rest. What must hold after the last event: exactly one link, the
 * same on both sides. */
#include "tests/check.h"

#include <weft/weft.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model.h"

static const uint8_t small[16] = {0x7f, 0xff}, large[16] = {0x80};

#define CLAIM(...) (&(struct link_claim){.done_since = NEVER, __VA_ARGS__})

TEST(arbitrate, larger_id_decides_a_race)
{
    CHECK_EQ(handshake_arbitrate(small, large, CLAIM(.initiated = true), CLAIM(.stamp = 1), 0),
             KEEP_NEW);
    CHECK_EQ(handshake_arbitrate(small, large, CLAIM(.stamp = 1), CLAIM(.initiated = true), 0),
             KEEP_OLD);
    CHECK_EQ(handshake_arbitrate(large, small, CLAIM(.initiated = true), CLAIM(.stamp = 1), 0),
             KEEP_OLD);
    CHECK_EQ(handshake_arbitrate(large, small, CLAIM(.stamp = 1), CLAIM(.initiated = true), 0),
             KEEP_NEW);
}

TEST(arbitrate, later_stamp_of_one_initiator_stays)
{
    for (int ours = 0; ours < 2; ours++) {
        struct link_claim early = {.initiated = ours, .stamp = 4, .done_since = NEVER};
        struct link_claim late = {.initiated = ours, .stamp = 5, .done_since = NEVER};
        CHECK_EQ(handshake_arbitrate(small, large, &early, &late, 0), KEEP_NEW);
        CHECK_EQ(handshake_arbitrate(small, large, &late, &early, 0), KEEP_OLD);
    }
}

TEST(arbitrate, settled_link_is_lost_to_who_dials)
{
    const uint64_t since = 1000;
    struct link_claim old = {.initiated = true, .done_since = since}, fresh = {.done_since = NEVER};
    CHECK_EQ(handshake_arbitrate(large, small, &old, &fresh, since + HANDSHAKE_SETTLED_NS - 1),
             KEEP_OLD);
    CHECK_EQ(handshake_arbitrate(large, small, &old, &fresh, since + HANDSHAKE_SETTLED_NS),
             KEEP_NEW);
    old.initiated = false;
    fresh.initiated = true;
    CHECK_EQ(
        handshake_arbitrate(small, large, &old, &fresh, since + HANDSHAKE_SETTLED_DIALER_NS - 1),
        KEEP_OLD);
    CHECK_EQ(handshake_arbitrate(small, large, &old, &fresh, since + HANDSHAKE_SETTLED_DIALER_NS),
             KEEP_NEW);
    CHECK_EQ(handshake_arbitrate(small, large, &old, &fresh, since - 1), KEEP_OLD);
}

TEST(arbitrate, new_incarnation_displaces_at_once)
{
    for (int old = 0; old < 2; old++) {
        for (int fresh = 0; fresh < 2; fresh++)
            CHECK_EQ(handshake_arbitrate(
                         large, small, CLAIM(.initiated = old, .incarnation = 1, .stamp = 1),
                         CLAIM(.initiated = fresh, .incarnation = 2, .stamp = 2), 0),
                     KEEP_NEW);
    }
}

/* An INITIAL read late, of a process that was killed: its successor's link stays. But a clock that
 * was set back keeps nobody out for longer than one handshake. */
TEST(arbitrate, belated_initial_displaces_nothing)
{
    struct link_claim old = {.incarnation = 2, .stamp = 9, .done_since = NEVER};
    struct link_claim late = {.incarnation = 1, .stamp = 8, .done_since = NEVER};
    CHECK_EQ(handshake_arbitrate(large, small, &old, &late, NS_PER_SEC), KEEP_OLD);
    old.done_since = 0;
    CHECK_EQ(handshake_arbitrate(large, small, &old, &late, HANDSHAKE_TIMEOUT_NS - 1), KEEP_OLD);
    CHECK_EQ(handshake_arbitrate(large, small, &old, &late, HANDSHAKE_TIMEOUT_NS), KEEP_NEW);
}

TEST(arbitrate, of_a_base_peer_we_keep_what_we_dialled)
{
    static const uint8_t none[16] = {0};
    struct link_claim ours = {.initiated = true, .base = true, .stamp = 1, .done_since = NEVER};
    struct link_claim theirs = {.base = true, .stamp = 9, .done_since = NEVER};
    CHECK_EQ(handshake_arbitrate(small, none, &ours, &theirs, 0), KEEP_OLD);
    CHECK_EQ(handshake_arbitrate(small, none, &theirs, &ours, 0), KEEP_NEW);
    struct link_claim again = {.base = true, .stamp = 3, .done_since = NEVER};
    CHECK_EQ(handshake_arbitrate(small, none, &theirs, &again, 0), KEEP_NEW);
}

/* ---- Every order of events ---- */

#define SEEN_SLOTS (1u << 20)

struct search {
    uint64_t *seen; /* hashes of the states that were gone through */
    unsigned states, ends;
};

/* What a model's future depends on. */
static uint64_t fingerprint(const struct model *m, const int *dials)
{
    uint64_t hash = hash64(HASH64_SEED, dials, 2 * sizeof(*dials));
    for (int i = 0; i < MODEL_CONNS; i++) {
        for (int n = 0; n < 2; n++) {
            const struct end *end = &m->conns[i].end[n];
            uint64_t key[6] = {
                end->h.state, end->open, end->h.got_final, end->h.stamp, end->done_since == NEVER,
                end->queued};
            hash = hash64(hash, key, sizeof(key));
            for (unsigned q = 0; q < end->queued; q++) {
                uint64_t what[2] = {end->queue[q].kind, end->queue[q].stage};
                hash = hash64(hash, what, sizeof(what));
            }
        }
    }
    int links[2] = {m->nodes[0].link, m->nodes[1].link};
    return hash64(hash, links, sizeof(links)) | 1;
}

static bool first_visit(struct search *s, uint64_t hash)
{
    for (uint64_t i = hash >> 1;; i++) {
        uint64_t *slot = &s->seen[i & (SEEN_SLOTS - 1)];
        if (*slot == hash)
            return false;
        if (*slot == 0) {
            *slot = hash;
            CHECK(++s->states < SEEN_SLOTS / 2);
            return true;
        }
    }
}

/* Go through all that can happen next: `dials` connections of each node are still to come up. */
static void explore(struct search *s, const struct model *m, const int *dials)
{
    if (!first_visit(s, fingerprint(m, dials)))
        return;
    struct model *next = mem_alloc(sizeof(*next));
    bool over = true;
    CHECK(next);
    for (int n = 0; n < 2; n++) {
        if (dials[n] > 0) {
            int left[2] = {dials[0] - (n == 0), dials[1] - (n == 1)};
            *next = *m;
            model_connect(next, n);
            explore(s, next, left);
            over = false;
        }
        for (int i = 0; i < MODEL_CONNS; i++) {
            if (m->conns[i].end[n].queued == 0)
                continue;
            *next = *m;
            model_deliver(next, i, n);
            explore(s, next, dials);
            over = false;
        }
    }
    if (over) {
        s->ends++;
        CHECK(model_is_linked(m));
    }
    mem_free(next);
}

static void explore_all(int dials_a, int dials_b)
{
    for (int larger = 0; larger < 2; larger++) {
        struct search s = {.seen = mem_zalloc(SEEN_SLOTS * sizeof(uint64_t))};
        struct model *m = mem_alloc(sizeof(*m));
        CHECK(s.seen && m);
        model_init(m, larger, NULL);
        explore(&s, m, (int[2]){dials_a, dials_b});
        CHECK(s.ends > 0);
        mem_free(m);
        mem_free(s.seen);
    }
}

TEST(arbitrate, every_order_of_one_dial)
{
    explore_all(1, 0);
}

TEST(arbitrate, every_order_of_two_crossing_dials)
{
    explore_all(1, 1);
}

TEST(arbitrate, every_order_of_one_side_dialling_twice)
{
    explore_all(2, 0);
}

TEST(arbitrate, every_order_of_three_dials)
{
    explore_all(2, 1);
    explore_all(1, 2);
}

/* ---- Chance, with time ---- */

#define ROUNDS 3000

static void check_linked(const struct model *m, uint64_t seed)
{
    if (!model_is_linked(m))
        FAIL("seed %llu: links %d and %d", (unsigned long long)seed, m->nodes[0].link,
             m->nodes[1].link);
}

/* Both dial within 2 s of each other, and each connection takes up to 3 s to come up. Nobody dials
 * again: the one link comes out of the race itself. */
TEST(arbitrate, slow_race_needs_no_second_dial)
{
    static struct model m;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        model_init(&m, (int)(seed & 1), &prng);
        m.max_latency = 1200 * NS_PER_MS;
        for (int n = 0; n < 2; n++)
            m.nodes[n].dial_at =
                prng_between(&prng, 0, 2 * NS_PER_SEC) + prng_between(&prng, 0, 3 * NS_PER_SEC);
        model_run(&m, 30 * NS_PER_SEC);
        check_linked(&m, seed);
        CHECK_EQ(m.nodes[0].dials + m.nodes[1].dials, 2);
    }
}

/* One side loses a link, and the other notices 10 s later. A link that was settled is given up for
 * the first dial, any other at the latest when it is noticed. */
TEST(arbitrate, lost_on_one_side)
{
    static struct model m;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        model_init(&m, (int)(seed & 1), &prng);
        int dialler = (int)prng_between(&prng, 0, 1), loser = (int)prng_between(&prng, 0, 1);
        int link = model_connect(&m, dialler);
        model_run(&m, 0);
        CHECK(model_is_linked(&m));
        uint64_t lost = prng_between(&prng, 0, 20 * NS_PER_SEC);
        model_run(&m, lost);
        m.max_latency = 500 * NS_PER_MS;
        m.max_redial = NS_PER_SEC;
        model_lose(&m, link, loser);
        model_run(&m, lost + 10 * NS_PER_SEC);
        bool settled = lost >= HANDSHAKE_SETTLED_NS;
        CHECK(!settled || model_is_linked(&m));
        CHECK(!settled || m.nodes[loser].dials == (loser == dialler ? 2u : 1u));
        if (m.nodes[!loser].link == link && m.nodes[loser].link != link)
            model_notice(&m, link, !loser);
        model_run(&m, lost + 40 * NS_PER_SEC);
        check_linked(&m, seed);
    }
}

/* A node dies at any moment of a race, or after it, and comes back, half the time with a clock that
 * was set back. */
TEST(arbitrate, restart_at_any_moment)
{
    static struct model m;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        model_init(&m, (int)(seed & 1), &prng);
        m.max_latency = 400 * NS_PER_MS;
        m.max_redial = NS_PER_SEC;
        m.nodes[0].last_stamp = m.nodes[1].last_stamp = 1000;
        for (int n = 0; n < 2; n++)
            m.nodes[n].dial_at = prng_between(&prng, 0, 500 * NS_PER_MS);
        uint64_t died =
            prng_between(&prng, 0, prng_between(&prng, 0, 1) ? NS_PER_SEC : 15 * NS_PER_SEC);
        int who = (int)prng_between(&prng, 0, 1);
        model_run(&m, died);
        m.nodes[who].last_stamp = prng_between(&prng, 0, 1) ? 500 : 2000;
        model_restart(&m, who);
        model_run(&m, died + 30 * NS_PER_SEC);
        check_linked(&m, seed);
    }
}
