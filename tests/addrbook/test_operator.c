/* What an operator tells the book: bans of peers it does not know, and pins. */
#include "fixture.h"

#define PEER "tcp://10.0.0.60:7400/x"
#define OTHER "tcp://10.0.0.61:7400/x"

static const uint8_t id[16] = {7};

/* Dial and fail until nothing is due within the hour. Returns how often. */
static unsigned fail_all(struct fixture *f)
{
    uint64_t end = f->now.mono_ns + HOUR_NS;
    unsigned count = 0;
    while (addrbook_deadline(f->book) < end) {
        struct addrbook_dial dial;
        if (addrbook_deadline(f->book) > f->now.mono_ns)
            pass(f, addrbook_deadline(f->book) - f->now.mono_ns);
        while (addrbook_next_dial(f->book, f->now, &dial)) {
            addrbook_dial_failed(f->book, dial.entry, WEFT_EREFUSED, NULL, f->now);
            count++;
        }
    }
    return count;
}

TEST(operator, a_ban_of_an_unknown_peer)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    uint64_t until = f.now.wall_ns + HOUR_NS;
    CHECK_EQ(addrbook_add_banned(f.book, "nonsense", until, f.now), WEFT_EURL);
    CHECK_EQ(addrbook_add_banned(f.book, "tcp://0.0.0.0:7400/x", until, f.now), WEFT_EURL);
    CHECK_EQ(addrbook_add_banned(f.book, SELF, until, f.now), WEFT_ESELF);
    CHECK_EQ(addrbook_count(f.book), 0);
    CHECK_EQ(addrbook_add_banned(f.book, PEER, until, f.now), 0);
    CHECK(addrbook_banned(f.book, PEER, NULL, f.now));
    struct addrbook_view v = view_of(&f, PEER);
    CHECK_EQ(v.node_banned_until, until);
    CHECK(!v.kept);
    CHECK_EQ(addrbook_add_gossip(f.book, PEER, OTHER, true, f.now),
             0); /* known, and stays banned */
    CHECK_EQ(fail_all(&f), 0);
    pass(&f, HOUR_NS);
    CHECK(!addrbook_banned(f.book, PEER, NULL, f.now));
    CHECK_EQ(fail_all(&f), 10); /* nobody knows whether it is there: then it goes */
    CHECK_EQ(addrbook_count(f.book), 0);
    fixture_close(&f);
}

/* A ban counts for the node, whichever of its names it was put on. */
TEST(operator, a_ban_of_one_name)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_linked(f.book, 0, PEER, id, f.now), 0);
    CHECK_EQ(addrbook_linked(f.book, 0, OTHER, id, f.now), 0);
    CHECK_EQ(addrbook_add_banned(f.book, PEER, NEVER, f.now), 0);
    CHECK_EQ(view_of(&f, OTHER).banned_until, 0);
    CHECK_EQ(view_of(&f, OTHER).node_banned_until, NEVER);
    CHECK_EQ(addrbook_pin(f.book, OTHER, true, f.now), 0);
    CHECK(view_of(&f, PEER).kept && !view_of(&f, PEER).policy.persistent);
    fixture_close(&f);
}

TEST(operator, a_pinned_peer_is_never_given_up)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_pin(f.book, PEER, true, f.now), WEFT_ENOTFOUND);
    CHECK_EQ(addrbook_pin(f.book, "nonsense", true, f.now), WEFT_EURL);
    CHECK_EQ(addrbook_add_gossip(f.book, PEER, OTHER, true, f.now), 1);
    CHECK_EQ(addrbook_pin(f.book, PEER, true, f.now), 0);
    CHECK(view_of(&f, PEER).kept);
    uint64_t end = f.now.mono_ns + HOUR_NS;
    unsigned dials = 0;
    while (f.now.mono_ns < end) {
        addrbook_dial_failed(f.book, dial_next(&f, PEER), WEFT_EREFUSED, NULL, f.now);
        dials++;
    }
    CHECK(dials > 60); /* the longest pause is a minute */
    CHECK(!view_of(&f, PEER).given_up);
    addrbook_departed(f.book, PEER, f.now); /* it is kept, like a configured one */
    CHECK_EQ(addrbook_count(f.book), 1);
    CHECK_EQ(addrbook_pin(f.book, PEER, false, f.now), 0);
    CHECK(view_of(&f, PEER).given_up);
    fail_all(&f);
    CHECK_EQ(addrbook_count(f.book), 0);
    fixture_close(&f);
}

/* One that was given up and is tried seldom is due at once when it is pinned. */
TEST(operator, a_pin_wakes_the_dormant)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_linked(f.book, 0, PEER, id, f.now), 0);
    addrbook_unlinked(f.book, PEER, id, WEFT_ELOST, NULL, true, f.now);
    for (int i = 0; i < 10; i++)
        addrbook_dial_failed(f.book, dial_next(&f, PEER), WEFT_EREFUSED, NULL, f.now);
    CHECK(view_of(&f, PEER).given_up);
    CHECK(view_of(&f, PEER).next_dial > f.now.mono_ns + 60 * NS_PER_SEC);
    CHECK_EQ(addrbook_pin(f.book, PEER, true, f.now), 0);
    CHECK_EQ(view_of(&f, PEER).next_dial, f.now.mono_ns);
    CHECK(!view_of(&f, PEER).given_up);
    fixture_close(&f);
}
