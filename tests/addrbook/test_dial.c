/* When which peer is dialled, and what becomes of it. */
#include "fixture.h"

#define A "tcp://10.0.0.60:7400/a"
#define DAY_NS (24 * HOUR_NS)

static const struct addrbook_policy plain;
static const struct addrbook_policy persistent = {.persistent = true};
static const uint8_t node_a[16] = {0xa}, node_b[16] = {0xb};

static uint64_t pause_of(const struct fixture *f, const char *url)
{
    return view_of(f, url).next_dial - f->now.mono_ns;
}

static void fail(struct fixture *f, const char *url, int error)
{
    uint32_t out = dial_next(f, url);
    addrbook_dial_failed(f->book, out, error, "it failed", f->now);
}

TEST(dial, eight_at_a_time)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    char url[64];
    uint32_t out[10];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(url, sizeof(url), "tcp://10.0.0.%u:7400", 60 + i);
        CHECK_EQ(addrbook_add_configured(f.book, url, &plain, f.now), 0);
    }
    for (unsigned i = 0; i < ADDRBOOK_DIALS_MAX; i++) {
        out[i] = dial_next(&f, NULL);
        for (unsigned j = 0; j < i; j++)
            CHECK(out[i] != out[j]);
    }
    struct addrbook_dial dial;
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    CHECK(!addrbook_next_dial(f.book, f.now, &dial));
    addrbook_dial_failed(f.book, out[3], WEFT_EREFUSED, NULL, f.now);
    CHECK_EQ(addrbook_deadline(f.book), f.now.mono_ns);
    out[3] = dial_next(&f, NULL);
    CHECK(!addrbook_next_dial(f.book, f.now, &dial));
    /* A removed entry's reservation ends with it. */
    CHECK_EQ(addrbook_forget(f.book, "tcp://10.0.0.60:7400", f.now), 0);
    CHECK(addrbook_next_dial(f.book, f.now, &dial));
    CHECK(!addrbook_next_dial(f.book, f.now, &dial));
    fixture_close(&f);
}

/* Names that were merely heard of have dials of their own, and their sources take turns. */
TEST(dial, hearsay_keeps_nobody_waiting)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, true);
    char url[64];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(url, sizeof(url), "tcp://10.1.0.%u:7400", i);
        CHECK_EQ(addrbook_add_gossip(f.book, url, "tcp://10.2.0.1:7400/liar", true, f.now), 1);
    }
    pass(&f, NS_PER_SEC);
    uint32_t first = dial_next(&f, NULL);
    for (unsigned i = 1; i < ADDRBOOK_DIALS_MAX; i++)
        dial_next(&f, NULL);
    struct addrbook_dial dial;
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    CHECK(!addrbook_next_dial(f.book, f.now, &dial));
    CHECK_EQ(addrbook_add_configured(f.book, A, &plain, f.now), 0);
    CHECK_EQ(addrbook_deadline(f.book), f.now.mono_ns);
    dial_next(&f, A);
    const char *fresh = "tcp://10.3.0.1:7400";
    CHECK_EQ(addrbook_add_gossip(f.book, fresh, "tcp://10.2.0.2:7400/honest", true, f.now), 1);
    CHECK(!addrbook_next_dial(f.book, f.now, &dial));
    addrbook_dial_failed(f.book, first, WEFT_ETIMEDOUT, NULL, f.now);
    dial_next(&f, fresh); /* though 92 names are due before it */
    fixture_close(&f);
}

/* A name that proves true while it is out, or waits, changes sides. */
TEST(dial, hearsay_that_is_vouched_for)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, true);
    char url[64];
    for (unsigned i = 0; i < 2 * ADDRBOOK_DIALS_MAX; i++) {
        snprintf(url, sizeof(url), "tcp://10.1.0.%u:7400", i);
        CHECK_EQ(addrbook_add_gossip(f.book, url, "tcp://10.2.0.1:7400/x", true, f.now), 1);
    }
    for (unsigned i = 0; i < ADDRBOOK_DIALS_MAX; i++)
        dial_next(&f, NULL);
    unsigned out = ADDRBOOK_DIALS_MAX;
    for (unsigned i = 0; i < 2 * ADDRBOOK_DIALS_MAX; i++) {
        snprintf(url, sizeof(url), "tcp://10.1.0.%u:7400", i);
        CHECK_EQ(addrbook_add_configured(f.book, url, &plain, f.now), 0);
    }
    struct addrbook_dial dial;
    CHECK(!addrbook_next_dial(f.book, f.now, &dial)); /* those that are out count as such */
    for (unsigned i = 0; i < 2 * ADDRBOOK_DIALS_MAX; i++) {
        snprintf(url, sizeof(url), "tcp://10.1.0.%u:7400", i);
        struct addrbook_view v = view_of(&f, url);
        if (!v.dialing)
            continue;
        addrbook_dial_failed(f.book, v.id, WEFT_EREFUSED, NULL, f.now);
        out--;
        dial_next(&f, NULL);
        if (++out == ADDRBOOK_DIALS_MAX)
            CHECK(!addrbook_next_dial(f.book, f.now, &dial));
    }
    fixture_close(&f);
}

TEST(dial, what_is_not_out_is_ignored)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, A, &plain, f.now), 0);
    addrbook_dial_failed(f.book, 0, WEFT_EREFUSED, NULL, f.now);
    addrbook_dial_failed(f.book, 4711, WEFT_ESELF, NULL, f.now);
    addrbook_dial_failed(f.book, view_of(&f, A).id, WEFT_EREFUSED, NULL, f.now);
    CHECK_EQ(view_of(&f, A).failed_attempts, 0);
    addrbook_unlinked(f.book, A, NULL, WEFT_ELOST, NULL, true, f.now);
    CHECK_EQ(view_of(&f, A).next_dial, f.now.mono_ns);
    fixture_close(&f);
}

/* backoff = min(max_backoff, default_backoff * multiplier^(failures - 1)), pause uniform below. */
TEST(dial, backoff_and_jitter)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, A, &persistent, f.now), 0);
    double expected = (double)NS_PER_SEC;
    uint64_t shortest = NEVER, longest = 0;
    for (uint32_t i = 1; i <= 400; i++) {
        fail(&f, A, WEFT_EREFUSED);
        struct addrbook_view v = view_of(&f, A);
        CHECK_EQ(v.failed_attempts, i);
        CHECK_EQ(v.attempts, i);
        double off = (double)v.backoff_ns - expected;
        CHECK(off < 1000 && off > -1000); /* rounding, in ns */
        CHECK(pause_of(&f, A) >= ADDRBOOK_JITTER_FLOOR_NS);
        CHECK(pause_of(&f, A) <= v.backoff_ns);
        expected = expected * 1.5 > 60e9 ? 60e9 : expected * 1.5;
        if (i > 20) {
            shortest = pause_of(&f, A) < shortest ? pause_of(&f, A) : shortest;
            longest = pause_of(&f, A) > longest ? pause_of(&f, A) : longest;
        }
    }
    CHECK(shortest < 3 * NS_PER_SEC && longest > 57 * NS_PER_SEC); /* full jitter */
    CHECK_STR(view_of(&f, A).last_error, "it failed");
    fixture_close(&f);
}

TEST(dial, floor_under_a_tiny_backoff)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    struct addrbook_policy tiny = {.persistent = true, .max_backoff_ns = 1, .multiplier = -3.0f};
    CHECK_EQ(addrbook_add_configured(f.book, A, &tiny, f.now), 0);
    for (int i = 0; i < 50; i++) {
        fail(&f, A, WEFT_EREFUSED);
        CHECK_EQ(pause_of(&f, A), ADDRBOOK_JITTER_FLOOR_NS);
    }
    fixture_close(&f);
}

TEST(dial, never_reached_is_dropped)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_gossip(f.book, A, "tcp://s:1", true, f.now), 1);
    for (int i = 0; i < 10; i++) {
        CHECK(has(&f, A));
        fail(&f, A, WEFT_EREFUSED);
    }
    CHECK(!has(&f, A));
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    CHECK_EQ(addrbook_add_gossip(f.book, A, "tcp://s:1", true, f.now), 1); /* no tombstone */
    fixture_close(&f);
}

TEST(dial, once_reached_rests_for_a_day)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_linked(f.book, 0, A, node_a, f.now), 0);
    addrbook_unlinked(f.book, A, node_a, WEFT_ELOST, "lost", true, f.now);
    uint64_t success = f.now.wall_ns;
    for (int i = 0; i < 9; i++)
        fail(&f, A, WEFT_EREFUSED);
    CHECK(pause_of(&f, A) <= 60 * NS_PER_SEC);
    unsigned tries = 0;
    while (has(&f, A)) {
        fail(&f, A, WEFT_EREFUSED);
        if (!has(&f, A))
            break;
        CHECK(pause_of(&f, A) >= ADDRBOOK_DORMANT_NS / 2);
        CHECK(pause_of(&f, A) <= ADDRBOOK_DORMANT_NS * 3 / 2);
        CHECK(f.now.wall_ns - success < DAY_NS);
        tries++;
    }
    CHECK(f.now.wall_ns - success >= DAY_NS);
    CHECK(tries > 120 && tries < 170); /* every ten minutes */
    fixture_close(&f);
}

TEST(dial, dormant_peer_comes_back)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_linked(f.book, 0, A, node_a, f.now), 0);
    addrbook_unlinked(f.book, A, node_a, WEFT_ELOST, "lost", true, f.now);
    for (int i = 0; i < 11; i++)
        fail(&f, A, WEFT_EREFUSED);
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, A), A, node_a, f.now), 0);
    CHECK_EQ(view_of(&f, A).failed_attempts, 0);
    addrbook_unlinked(f.book, A, node_a, WEFT_ELOST, "lost", true, f.now);
    CHECK(pause_of(&f, A) <= NS_PER_SEC);
    fixture_close(&f);
}

TEST(dial, persistent_is_never_given_up)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, A, &persistent, f.now), 0);
    for (int i = 0; i < 2000; i++)
        fail(&f, A, WEFT_EUNREACHABLE);
    CHECK(pause_of(&f, A) <= 60 * NS_PER_SEC);
    fixture_close(&f);
}

TEST(dial, only_a_stable_link_resets)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, A, &persistent, f.now), 0);
    uint64_t backoff = 0;
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(addrbook_linked(f.book, dial_next(&f, A), A, node_a, f.now), 0);
        CHECK(view_of(&f, A).linked);
        CHECK_EQ(addrbook_deadline(f.book), NEVER);
        addrbook_unlinked(f.book, A, node_a, WEFT_ELOST, "lost", false, f.now);
        CHECK(view_of(&f, A).backoff_ns > backoff);
        backoff = view_of(&f, A).backoff_ns;
    }
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, A), A, node_a, f.now), 0);
    addrbook_unlinked(f.book, A, node_a, WEFT_ELOST, "lost", true, f.now);
    CHECK_EQ(view_of(&f, A).backoff_ns, NS_PER_SEC);
    CHECK_STR(view_of(&f, A).last_error, "lost");
    fixture_close(&f);
}

TEST(dial, duplicate_is_no_failure)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_gossip(f.book, A, "tcp://s:1", true, f.now), 1);
    for (int i = 0; i < 30; i++) {
        fail(&f, A, WEFT_EDUPLICATE);
        CHECK_EQ(view_of(&f, A).failed_attempts, 0);
        CHECK(pause_of(&f, A) >= ADDRBOOK_JITTER_FLOOR_NS);
        CHECK(pause_of(&f, A) <= view_of(&f, A).backoff_ns);
    }
    CHECK_EQ(view_of(&f, A).backoff_ns, 60 * NS_PER_SEC);
    /* Both dialled, theirs won: ours is told of it before or after its end, and waits either way.
     */
    uint32_t out = dial_next(&f, A);
    CHECK_EQ(addrbook_linked(f.book, 0, A, node_a, f.now), 0);
    CHECK(view_of(&f, A).dialing && view_of(&f, A).linked);
    addrbook_dial_failed(f.book, out, WEFT_EDUPLICATE, "duplicate", f.now);
    CHECK(!view_of(&f, A).dialing && view_of(&f, A).linked);
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    fixture_close(&f);
}

TEST(dial, self_is_dropped_for_good)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, A, &persistent, f.now), 0);
    fail(&f, A, WEFT_ESELF);
    CHECK_EQ(addrbook_count(f.book), 0);
    CHECK_EQ(addrbook_add_gossip(f.book, A, "tcp://s:1", true, f.now), WEFT_ESELF);
    CHECK_EQ(addrbook_add_configured(f.book, A, &persistent, f.now), WEFT_ESELF);
    fixture_close(&f);
}

TEST(dial, agreed_name_replaces_a_bare_address)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://10.0.0.60:7400", &persistent, f.now), 0);
    CHECK_EQ(addrbook_add_configured(f.book, "serial:///dev/tty0/x?baud=9600", &plain, f.now), 0);
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, NULL), A, node_a, f.now), 0);
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, NULL), "serial:///dev/tty0/y", node_b, f.now),
             0);
    CHECK_EQ(addrbook_count(f.book), 2);
    CHECK_STR(view_of(&f, A).peer, A);
    /* A query says how to dial; the agreed name does not carry it. */
    CHECK_STR(view_of(&f, "serial:///dev/tty0/x").peer, "serial:///dev/tty0/x?baud=9600");
    CHECK_MEM(view_of(&f, A).node_id, node_a, 16);
    fixture_close(&f);
}

/* A configured DNS name and the agreed address are two names of one node. */
static void two_names(const uint8_t *node_id)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    const char *dns = "tcp://robot.lan:7400";
    CHECK_EQ(addrbook_add_configured(f.book, dns, &persistent, f.now), 0);
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, dns), A, node_id, f.now), 0);
    CHECK_EQ(addrbook_count(f.book), 2);
    CHECK(view_of(&f, dns).linked && view_of(&f, A).linked);
    CHECK_STR(view_of(&f, dns).peer, dns);
    CHECK_EQ(view_of(&f, A).origin, WEFT_ORIGIN_OBSERVED);
    CHECK_EQ(addrbook_add_gossip(f.book, A, "tcp://s:1", true, f.now), 0);
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    pass(&f, HOUR_NS);
    addrbook_unlinked(f.book, A, node_id, WEFT_EDEAD, "silent", true, f.now);
    CHECK(!view_of(&f, dns).linked && !view_of(&f, A).linked);
    CHECK_EQ(view_of(&f, A).last_success, f.now.wall_ns);
    CHECK(pause_of(&f, dns) <= NS_PER_SEC); /* what the operator wrote goes first */
    CHECK(pause_of(&f, A) >= 10 * NS_PER_SEC && pause_of(&f, A) <= 20 * NS_PER_SEC);
    uint32_t out = dial_next(&f, dns);
    struct addrbook_dial dial;
    CHECK_EQ(addrbook_add_gossip(f.book, A, "tcp://s:1", true, f.now), 0); /* pulled forward */
    CHECK(!addrbook_next_dial(f.book, f.now, &dial)); /* but not while the other name is out */
    CHECK_EQ(addrbook_linked(f.book, out, A, node_id, f.now), 0);
    CHECK(view_of(&f, dns).linked && view_of(&f, A).linked);
    fixture_close(&f);
}

TEST(dial, two_names_of_a_node)
{
    two_names(node_a);
}

TEST(dial, two_names_of_a_base_peer)
{
    two_names(NULL);
}

/* The owner knows which link a refused duplicate met, and says so: the name is dialled no more. */
TEST(dial, duplicate_shows_another_name)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_linked(f.book, 0, A, node_a, f.now), 0);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://robot.lan:7400", &persistent, f.now), 0);
    uint32_t out = dial_next(&f, "tcp://robot.lan:7400");
    CHECK_EQ(addrbook_linked(f.book, out, A, node_a, f.now), 0);
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    CHECK(view_of(&f, "tcp://robot.lan:7400").linked);
    fixture_close(&f);
}

TEST(dial, address_changes_hands)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_linked(f.book, 0, A, node_a, f.now), 0);
    CHECK_EQ(addrbook_linked(f.book, 0, A, node_b, f.now), 0); /* a restart without its book */
    addrbook_unlinked(f.book, A, node_a, WEFT_EDEAD, NULL, true, f.now); /* the stale link goes */
    CHECK(view_of(&f, A).linked);
    CHECK_MEM(view_of(&f, A).node_id, node_b, 16);
    addrbook_unlinked(f.book, A, node_b, WEFT_EDEAD, NULL, true, f.now);
    CHECK(!view_of(&f, A).linked);
    CHECK_STR(view_of(&f, A).last_error, weft_strerror(WEFT_EDEAD));
    fixture_close(&f);
}

/* A base peer is replaced by one that has an id, while the base link still counts as standing. */
TEST(dial, base_peer_gets_an_id)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://robot.lan:7400", &persistent, f.now), 0);
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, NULL), A, NULL, f.now), 0);
    CHECK_EQ(addrbook_linked(f.book, 0, A, node_a, f.now), 0);
    addrbook_unlinked(f.book, A, NULL, WEFT_EDEAD, NULL, true, f.now);
    CHECK(view_of(&f, A).linked);
    addrbook_unlinked(f.book, A, node_a, WEFT_EDEAD, NULL, true, f.now);
    CHECK(!view_of(&f, A).linked && !view_of(&f, "tcp://robot.lan:7400").linked);
    CHECK(pause_of(&f, "tcp://robot.lan:7400") <= NS_PER_SEC);
    fixture_close(&f);
}

/* A node that comes back with another port each time does not gather names without end. */
TEST(dial, names_of_a_node_are_bounded)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    char url[64];
    for (unsigned port = 1000; port < 1100; port++) {
        snprintf(url, sizeof(url), "tcp://10.0.0.60:%u/a", port);
        CHECK_EQ(addrbook_linked(f.book, 0, url, node_a, f.now), 0);
        pass(&f, NS_PER_SEC);
        addrbook_unlinked(f.book, url, node_a, WEFT_ELOST, NULL, false, f.now);
        CHECK(addrbook_count(f.book) <= 8);
    }
    CHECK(has(&f, url));
    CHECK(pause_of(&f, url) <= 60 * NS_PER_SEC);
    CHECK(has(&f, "tcp://10.0.0.60:1092"));
    CHECK(!has(&f, "tcp://10.0.0.60:1091"));
    fixture_close(&f);
}

TEST(dial, a_client_is_no_entry)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_linked(f.book, 0, "tcp://0.0.0.0:0/client", node_a, f.now), 0);
    addrbook_unlinked(f.book, "tcp://0.0.0.0:0/client", node_a, 0, NULL, true, f.now);
    CHECK_EQ(addrbook_count(f.book), 0);
    fixture_close(&f);
}

TEST(dial, wall_clock_steps_move_nothing)
{
    for (int step = -1; step <= 1; step++) {
        struct fixture f;
        fixture_open(&f, 1, SELF, false);
        CHECK_EQ(addrbook_add_configured(f.book, A, &persistent, f.now), 0);
        fail(&f, A, WEFT_EREFUSED);
        uint64_t due = addrbook_deadline(f.book);
        f.now.wall_ns += (uint64_t)step * HOUR_NS;
        struct addrbook_dial dial;
        f.now.mono_ns = due - 1;
        CHECK(!addrbook_next_dial(f.book, f.now, &dial));
        CHECK_EQ(addrbook_deadline(f.book), due);
        f.now.mono_ns = due;
        CHECK(addrbook_next_dial(f.book, f.now, &dial));
        addrbook_dial_failed(f.book, dial.entry, WEFT_EREFUSED, NULL, f.now);
        CHECK(pause_of(&f, A) <= view_of(&f, A).backoff_ns);
        fixture_close(&f);
    }
}

TEST(dial, saved_when_worth_it)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    struct buf out;
    buf_init(&out, 1 << 20);
    CHECK_EQ(addrbook_add_configured(f.book, A, &persistent, f.now), 0);
    fail(&f, A, WEFT_EREFUSED);
    CHECK_EQ(addrbook_encode(f.book, &out), 0);
    CHECK(!addrbook_dirty(f.book));
    fail(&f, A, WEFT_EREFUSED); /* the same as before */
    CHECK(!addrbook_dirty(f.book));
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, A), A, node_a, f.now), 0);
    CHECK(addrbook_dirty(f.book));
    buf_fini(&out);
    fixture_close(&f);
}
