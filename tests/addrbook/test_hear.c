/* What the book takes, from whom, and how much of it. */
#include "fixture.h"

static const struct addrbook_policy persistent = {.persistent = true};
static const struct addrbook_policy plain;

#define SOURCE "tcp://10.0.0.9:7400/teller"

static int gossip(struct fixture *f, const char *url)
{
    return addrbook_add_gossip(f->book, url, SOURCE, true, f->now);
}

TEST(hear, new_book)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_count(f.book), 0);
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    CHECK(addrbook_dirty(f.book));
    struct addrbook_dial dial;
    CHECK(!addrbook_next_dial(f.book, f.now, &dial));
    struct addrbook *none = NULL;
    struct addrbook_config bad = {.self = "no url", .node_id = fixture_id, .prng = &f.prng};
    CHECK_EQ(addrbook_new(&bad, &none), WEFT_EURL);
    CHECK(none == NULL);
    addrbook_free(NULL);
    fixture_close(&f);
}

TEST(hear, configured_is_due_at_once)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://10.0.0.60:7400/a", &plain, f.now), 0);
    CHECK_EQ(addrbook_deadline(f.book), f.now.mono_ns);
    struct addrbook_view v = view_of(&f, "tcp://10.0.0.60:7400");
    CHECK_STR(v.peer, "tcp://10.0.0.60:7400/a");
    CHECK_EQ(v.origin, WEFT_ORIGIN_CONFIGURED);
    CHECK_EQ(v.policy.max_attempts, 10);
    CHECK_EQ(v.policy.default_backoff_ns, NS_PER_SEC);
    CHECK_EQ(v.policy.max_backoff_ns, 60 * NS_PER_SEC);
    CHECK(v.policy.multiplier == 1.5f);
    CHECK_EQ(v.added, f.now.wall_ns);
    CHECK_STR(v.last_error, "");
    fixture_close(&f);
}

TEST(hear, configured_refusals)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(addrbook_add_configured(f.book, "10.0.0.1", &plain, f.now), WEFT_EURL);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://0.0.0.0:7400/x", &plain, f.now), WEFT_EURL);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://10.0.0.50:7400/x", &plain, f.now), WEFT_ESELF);
    addrbook_add_own(f.book, "tcp://127.0.0.1:7400");
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://127.0.0.1:7400/x", &plain, f.now), WEFT_ESELF);
    CHECK_EQ(addrbook_count(f.book), 0);
    fixture_close(&f);
}

TEST(hear, configured_upgrades_gossip)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/arm"), 1);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://10.0.0.60:7400", &persistent, f.now), 0);
    CHECK_EQ(addrbook_count(f.book), 1);
    struct addrbook_view v = view_of(&f, "tcp://10.0.0.60:7400");
    CHECK_EQ(v.origin, WEFT_ORIGIN_CONFIGURED);
    CHECK_STR(v.peer, "tcp://10.0.0.60:7400/arm"); /* the path is not lost to the shorter name */
    CHECK(v.policy.persistent);
    fixture_close(&f);
}

TEST(hear, smaller_name_dials_first)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/larger"), 1);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.40:7400/smaller"), 1);
    CHECK_EQ(view_of(&f, "tcp://10.0.0.60:7400").next_dial, f.now.mono_ns);
    CHECK_EQ(view_of(&f, "tcp://10.0.0.40:7400").next_dial, f.now.mono_ns + ADDRBOOK_POLITE_NS);
    CHECK_EQ(addrbook_set_self(f.book, "tcp://10.0.0.10:7400/self"), 0);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.30:7400/x"),
             1); /* smaller than the old name, not than ours */
    CHECK_EQ(view_of(&f, "tcp://10.0.0.30:7400").next_dial, f.now.mono_ns);
    fixture_close(&f);
}

/* Both ends hear of each other at once: exactly one of them dials within the second. */
TEST(hear, one_of_two_dials)
{
    static const char *const names[] = {"tcp://10.0.0.1:7400/x", "tcp://10.0.0.2:7400/a"};
    int dials = 0;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        fixture_open(&f, 1, names[i], false);
        CHECK_EQ(gossip(&f, names[1 - i]), 1);
        pass(&f, ADDRBOOK_POLITE_NS - 1);
        struct addrbook_dial dial;
        dials += addrbook_next_dial(f.book, f.now, &dial);
        fixture_close(&f);
    }
    CHECK_EQ(dials, 1);
}

/* While links come the larger waits on, but not for ever; once none came for a while it dials. */
TEST(hear, larger_waits_while_the_mesh_forms)
{
    struct fixture f;
    struct addrbook_dial dial;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.40:7400"), 1);
    uint64_t heard = f.now.mono_ns;
    for (unsigned n = 0; f.now.mono_ns < heard + ADDRBOOK_POLITE_MAX_NS; n++) {
        char url[64];
        uint8_t id[16] = {(uint8_t)(n + 1)};
        snprintf(url, sizeof(url), "tcp://10.0.1.%u:7400", n);
        CHECK_EQ(addrbook_linked(f.book, 0, url, id, f.now), 0);
        CHECK(!addrbook_next_dial(f.book, f.now, &dial));
        pass(&f, ADDRBOOK_FORMING_NS - 1);
    }
    CHECK(addrbook_next_dial(f.book, f.now, &dial));
    CHECK_STR(dial.url, "tcp://10.0.0.40:7400");
    CHECK_EQ(gossip(&f, "tcp://10.0.0.41:7400"), 1);
    pass(&f, ADDRBOOK_POLITE_NS);
    CHECK(addrbook_next_dial(f.book, f.now, &dial));
    fixture_close(&f);
}

TEST(hear, who_is_never_dialled_dials_all)
{
    struct fixture f;
    fixture_open(&f, 1, "tcp://0.0.0.0:0/client", true);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.40:7400"), 1);
    CHECK_EQ(addrbook_add_gossip(f.book, "inproc://aaa/x", SOURCE, false, f.now), 1);
    CHECK_EQ(view_of(&f, "tcp://10.0.0.40:7400").next_dial, f.now.mono_ns);
    CHECK_EQ(view_of(&f, "inproc://aaa/x").next_dial, f.now.mono_ns);
    fixture_close(&f);
}

TEST(hear, gossip_refusals)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(gossip(&f, ""), WEFT_EURL);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.1"), WEFT_EURL);
    CHECK_EQ(gossip(&f, "tcp://0.0.0.0:7400/x"), WEFT_EDENIED);
    CHECK_EQ(gossip(&f, "tcp://[::]:7400/x"), WEFT_EDENIED);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.1:0/x"), WEFT_EDENIED);
    CHECK_EQ(gossip(&f, "tcp://127.0.0.1:7400/x"), WEFT_EDENIED);
    CHECK_EQ(gossip(&f, "unix:///run/x.sock/x"), WEFT_EDENIED);
    CHECK_EQ(gossip(&f, "inproc://x/x"), WEFT_EDENIED);
    CHECK_EQ(gossip(&f, "tcp://[::1]:7400/x"), WEFT_EDENIED);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.50:7400/other"), WEFT_ESELF);
    CHECK_EQ(addrbook_count(f.book), 0);
    CHECK_EQ(addrbook_add_gossip(f.book, "tcp://127.0.0.1:7400/x", SOURCE, false, f.now), 1);
    fixture_close(&f);
}

TEST(hear, known_name_is_pulled_forward_once_in_a_while)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    const char *url = "tcp://10.0.0.60:7400/x";
    struct addrbook_policy slow = {.default_backoff_ns = HOUR_NS, .max_backoff_ns = HOUR_NS};
    CHECK_EQ(addrbook_add_configured(f.book, url, &slow, f.now), 0);
    addrbook_dial_failed(f.book, dial_next(&f, url), WEFT_EREFUSED, "refused", f.now);
    CHECK(view_of(&f, url).next_dial > f.now.mono_ns);
    CHECK_EQ(gossip(&f, url), 0);
    CHECK_EQ(view_of(&f, url).next_dial, f.now.mono_ns);
    addrbook_dial_failed(f.book, dial_next(&f, url), WEFT_EREFUSED, "refused", f.now);
    uint64_t due = view_of(&f, url).next_dial;
    CHECK(due > f.now.mono_ns + 6 * NS_PER_SEC);
    pass(&f, 5 * NS_PER_SEC - 1);
    CHECK_EQ(gossip(&f, url), 0);
    CHECK_EQ(view_of(&f, url).next_dial, due);
    pass(&f, 1);
    CHECK_EQ(gossip(&f, url), 0);
    CHECK_EQ(view_of(&f, url).next_dial, f.now.mono_ns);
    fixture_close(&f);
}

TEST(hear, gossip_completes_a_path)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400"), 1);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/arm"), 0);
    CHECK_STR(view_of(&f, "tcp://10.0.0.60:7400").peer, "tcp://10.0.0.60:7400/arm");
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/other"), 0);
    CHECK_STR(view_of(&f, "tcp://10.0.0.60:7400").peer, "tcp://10.0.0.60:7400/arm");
    fixture_close(&f);
}

static int tell(struct fixture *f, unsigned n, unsigned source)
{
    char url[64], from[64];
    snprintf(url, sizeof(url), "tcp://10.1.%u.%u:7400", n / 256, n % 256);
    snprintf(from, sizeof(from), "tcp://10.2.0.%u:7400/teller", source);
    return addrbook_add_gossip(f->book, url, from, true, f->now);
}

TEST(hear, gossip_limits)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    for (unsigned n = 0; n < ADDRBOOK_GOSSIP_TOTAL; n++) {
        unsigned source = n / ADDRBOOK_GOSSIP_SOURCE;
        CHECK_EQ(tell(&f, n, source), 1);
        if (n == ADDRBOOK_GOSSIP_SOURCE - 1) {
            CHECK_EQ(tell(&f, 60000, source), WEFT_ELIMIT);
            CHECK_EQ(tell(&f, 0, source), 0); /* the known ones are still known */
        }
    }
    CHECK_EQ(addrbook_count(f.book), ADDRBOOK_GOSSIP_TOTAL);
    /* A proven name makes room for another, of this source and in all. */
    CHECK_EQ(addrbook_linked(f.book, 0, "tcp://10.1.0.7:7400/x", NULL, f.now), 0);
    CHECK_EQ(tell(&f, 60001, 1), WEFT_ELIMIT);
    CHECK_EQ(tell(&f, 60001, 0), 1);
    CHECK_EQ(tell(&f, 60002, 0), WEFT_ELIMIT);
    CHECK_EQ(addrbook_forget(f.book, "tcp://10.1.0.8:7400", f.now), 0);
    CHECK_EQ(tell(&f, 60002, 0), 1);
    fixture_close(&f);
}

/* Sources that have filled their share together make room for one that tells few. */
TEST(hear, no_source_keeps_another_out)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    for (unsigned n = 0; n < ADDRBOOK_GOSSIP_TOTAL; n++)
        CHECK_EQ(tell(&f, n, n / ADDRBOOK_GOSSIP_SOURCE), 1);
    unsigned taken = 0;
    for (unsigned n = 0; n < ADDRBOOK_GOSSIP_SOURCE; n++) {
        int rc = tell(&f, 20000 + n, 9);
        CHECK(rc == 1 || rc == WEFT_ELIMIT);
        taken += rc == 1;
    }
    CHECK_EQ(taken, ADDRBOOK_GOSSIP_TOTAL / 5); /* as much as each of the others has left */
    CHECK(has(&f, "tcp://10.1.78.32:7400"));    /* its first is among them */
    CHECK_EQ(addrbook_count(f.book), ADDRBOOK_GOSSIP_TOTAL);
    fixture_close(&f);
}

TEST(hear, book_is_bounded)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    char url[64];
    for (unsigned n = 0; n <= ADDRBOOK_ENTRIES_MAX; n++) {
        snprintf(url, sizeof(url), "tcp://10.3.%u.%u:7400", n / 256, n % 256);
        CHECK_EQ(addrbook_linked(f.book, 0, url, NULL, f.now), 0);
        addrbook_unlinked(f.book, url, NULL, 0, NULL, true, f.now);
        pass(&f, 1);
        if (n == 1)
            CHECK_EQ(addrbook_add_configured(f.book, "tcp://10.3.0.0:7400", &plain, f.now), 0);
    }
    CHECK_EQ(addrbook_count(f.book), ADDRBOOK_ENTRIES_MAX);
    CHECK(has(&f, "tcp://10.3.0.0:7400"));  /* configured */
    CHECK(!has(&f, "tcp://10.3.0.1:7400")); /* the stalest */
    CHECK(has(&f, "tcp://10.3.0.2:7400"));
    fixture_close(&f);
}

TEST(hear, departed)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/x"), 1);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://10.0.0.61:7400/x", &plain, f.now), 0);
    addrbook_departed(f.book, "tcp://10.0.0.60:7400/x", f.now);
    addrbook_departed(f.book, "tcp://10.0.0.61:7400/x", f.now);
    addrbook_departed(f.book, "tcp://10.0.0.62:7400/never-known", f.now);
    addrbook_departed(f.book, "no url", f.now);
    CHECK(!has(&f, "tcp://10.0.0.60:7400"));
    CHECK(has(&f, "tcp://10.0.0.61:7400"));
    CHECK_EQ(gossip(&f, "tcp://10.0.0.61:7400/y"), 0);
    dial_next(&f, "tcp://10.0.0.61:7400/x");
    fixture_close(&f);
}

/* Whoever tells the name of one that has departed may not know it yet, or may know that it is back:
 * it is taken, but not dialled before a link to who has gone would have been found dead. */
TEST(hear, departed_is_held)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    const char *known = "tcp://10.0.0.60:7400/x", *unknown = "tcp://10.0.0.62:7400/x";
    const char *larger = "tcp://10.0.0.40:7400/x"; /* we are the larger: it is to dial us */
    CHECK_EQ(gossip(&f, known), 1);
    uint64_t until = f.now.mono_ns + ADDRBOOK_HOLD_NS;
    addrbook_departed(f.book, known, f.now);
    addrbook_departed(f.book, unknown, f.now);
    addrbook_departed(f.book, larger, f.now);
    CHECK_EQ(gossip(&f, known), 1);
    CHECK_EQ(view_of(&f, known).next_dial, until);
    pass(&f, 10 * NS_PER_SEC);
    CHECK_EQ(gossip(&f, known), 0); /* nor is it pulled forward */
    CHECK_EQ(gossip(&f, unknown), 1);
    CHECK_EQ(gossip(&f, larger), 1);
    CHECK_EQ(view_of(&f, known).next_dial, until);
    CHECK_EQ(view_of(&f, unknown).next_dial, until);
    CHECK_EQ(view_of(&f, larger).next_dial, until + ADDRBOOK_POLITE_NS);
    CHECK_EQ(view_of(&f, known).origin, WEFT_ORIGIN_GOSSIP);
    for (int i = 0; i < 10; i++) { /* hearsay like any other */
        CHECK(has(&f, known));
        struct addrbook_dial dial;
        while (!addrbook_next_dial(f.book, f.now, &dial))
            pass(&f, addrbook_deadline(f.book) - f.now.mono_ns);
        CHECK(f.now.mono_ns >= until);
        bool other = strcmp(dial.url, known) != 0;
        addrbook_dial_failed(f.book, dial.entry, WEFT_EREFUSED, "no", f.now);
        i -= other;
    }
    CHECK(!has(&f, known));
    CHECK_EQ(gossip(&f, known), 1); /* the hold is over */
    CHECK_EQ(view_of(&f, known).next_dial, f.now.mono_ns);
    fixture_close(&f);
}

/* A link and the operator know better. */
TEST(hear, a_hold_ends)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    const char *a = "tcp://10.0.0.60:7400/x", *b = "tcp://10.0.0.61:7400/x";
    const uint8_t id[16] = {7};
    addrbook_departed(f.book, a, f.now);
    addrbook_departed(f.book, b, f.now);
    CHECK_EQ(gossip(&f, a), 1);
    CHECK_EQ(gossip(&f, b), 1);
    CHECK_EQ(addrbook_add_configured(f.book, b, &plain, f.now), 0);
    CHECK_EQ(view_of(&f, b).next_dial, f.now.mono_ns);
    addrbook_dial_failed(f.book, dial_next(&f, b), WEFT_EREFUSED, "no", f.now);
    CHECK_EQ(gossip(&f, b), 0);
    CHECK(view_of(&f, b).next_dial <= f.now.mono_ns + NS_PER_SEC);
    CHECK_EQ(addrbook_linked(f.book, 0, a, id, f.now), 0);
    addrbook_unlinked(f.book, a, id, WEFT_ELOST, "lost", false, f.now);
    CHECK(view_of(&f, a).next_dial <= f.now.mono_ns + NS_PER_SEC);
    CHECK_EQ(gossip(&f, a), 0);
    CHECK(view_of(&f, a).next_dial <= f.now.mono_ns + NS_PER_SEC);
    fixture_close(&f);
}

/* A peer that restarts finds no client to dial: the client has to dial it, as soon as it hears. But
 * one that has forgotten us stays forgotten. */
TEST(hear, a_client_learns_again_of_the_departed)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, true);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/x"), 1);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.61:7400/x"), 1);
    addrbook_departed(f.book, "tcp://10.0.0.60:7400/x", f.now);
    addrbook_unwanted(f.book, "tcp://10.0.0.61:7400/x", f.now);
    CHECK(!has(&f, "tcp://10.0.0.60:7400"));
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/x"), 1);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.61:7400/x"), WEFT_EFORGOTTEN);
    fixture_close(&f);
}

static bool held(const struct fixture *f, const char *url)
{
    return view_of(f, url).next_dial >= f->now.mono_ns + ADDRBOOK_HOLD_NS;
}

TEST(hear, holds_are_bounded)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    char url[64];
    for (unsigned n = 0; n <= 4096; n++) {
        snprintf(url, sizeof(url), "tcp://10.3.%u.%u:7400", n / 256, n % 256);
        addrbook_departed(f.book, url, f.now);
    }
    CHECK_EQ(gossip(&f, "tcp://10.3.0.0:7400"), 1);
    CHECK_EQ(gossip(&f, "tcp://10.3.0.1:7400"), 1);
    CHECK_EQ(gossip(&f, url), 1);
    CHECK(!held(&f, "tcp://10.3.0.0:7400")); /* the oldest made room */
    CHECK(held(&f, "tcp://10.3.0.1:7400"));
    CHECK(held(&f, url));
    fixture_close(&f);
}

TEST(hear, forget)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    const uint8_t id[16] = {7};
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://robot.lan:7400", &persistent, f.now), 0);
    uint32_t out = dial_next(&f, NULL);
    CHECK_EQ(addrbook_linked(f.book, out, "tcp://10.0.0.60:7400/x", id, f.now), 0);
    CHECK_EQ(addrbook_forget(f.book, "tcp://10.0.0.99:7400", f.now), WEFT_ENOTFOUND);
    CHECK_EQ(addrbook_forget(f.book, "nonsense", f.now), WEFT_EURL);
    CHECK_EQ(addrbook_forget(f.book, "tcp://10.0.0.60:7400", f.now), 0);
    CHECK_EQ(addrbook_count(f.book), 0); /* its other name went with it */
    CHECK_EQ(gossip(&f, "tcp://robot.lan:7400"), WEFT_EFORGOTTEN);
    addrbook_unlinked(f.book, "tcp://10.0.0.60:7400/x", id, 0, NULL, true, f.now);
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    pass(&f, ADDRBOOK_TOMBSTONE_NS - 1);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/x"), WEFT_EFORGOTTEN);
    pass(&f, 1);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.60:7400/x"), 1);
    CHECK_EQ(addrbook_add_configured(f.book, "tcp://robot.lan:7400", &persistent, f.now), 0);
    CHECK_EQ(gossip(&f, "tcp://robot.lan:7400"), 0);
    fixture_close(&f);
}

TEST(hear, own_addresses)
{
    struct fixture f;
    fixture_open(&f, 1, "tcp://0.0.0.0:7400/self", false);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.50:7400/self"), 1);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.51:7400/self"), 1);
    CHECK_EQ(addrbook_set_self(f.book, "tcp://10.0.0.50:7400/self"), 0);
    CHECK(!has(&f, "tcp://10.0.0.50:7400"));
    addrbook_add_own(f.book, "tcp://10.0.0.51:7400/self");
    CHECK(!has(&f, "tcp://10.0.0.51:7400"));
    CHECK_EQ(gossip(&f, "tcp://10.0.0.51:7400"), WEFT_ESELF);
    CHECK_EQ(addrbook_set_self(f.book, "tcp://robot.lan:7400/self"), 0);
    CHECK_EQ(gossip(&f, "tcp://10.0.0.50:7400"), WEFT_ESELF); /* the former name still is ours */
    CHECK_EQ(gossip(&f, "tcp://robot.lan:7400"), WEFT_ESELF);
    CHECK_EQ(addrbook_set_self(f.book, "robot"), WEFT_EURL);
    CHECK_EQ(addrbook_linked(f.book, 0, "tcp://10.0.0.51:7400/liar", NULL, f.now), 0);
    CHECK_EQ(addrbook_count(f.book), 0);
    fixture_close(&f);
}

TEST(hear, ban)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    const char *url = "tcp://10.0.0.60:7400/x";
    const uint8_t id[16] = {7};
    CHECK_EQ(addrbook_ban(f.book, url, f.now.wall_ns + HOUR_NS, f.now), WEFT_ENOTFOUND);
    CHECK_EQ(addrbook_linked(f.book, 0, url, id, f.now), 0);
    CHECK(!addrbook_banned(f.book, url, id, f.now));
    uint64_t until = f.now.wall_ns + HOUR_NS;
    CHECK_EQ(addrbook_ban(f.book, url, until, f.now), 0);
    addrbook_unlinked(f.book, url, id, WEFT_EDENIED, "banned", false, f.now);
    addrbook_departed(f.book, url, f.now); /* a ban is not to be slipped out of */
    CHECK(addrbook_banned(f.book, url, NULL, f.now));
    CHECK(addrbook_banned(f.book, "tcp://10.0.0.77:7400", id, f.now));
    CHECK(!addrbook_banned(f.book, "tcp://10.0.0.77:7400", NULL, f.now));
    struct addrbook_dial dial;
    while (f.now.wall_ns < until) {
        CHECK(!addrbook_next_dial(f.book, f.now, &dial));
        CHECK(addrbook_deadline(f.book) > f.now.mono_ns);
        pass(&f, addrbook_deadline(f.book) - f.now.mono_ns);
    }
    CHECK(!addrbook_banned(f.book, url, id, f.now));
    CHECK(addrbook_next_dial(f.book, f.now, &dial));
    addrbook_dial_failed(f.book, dial.entry, WEFT_EREFUSED, NULL, f.now);
    CHECK_EQ(addrbook_ban(f.book, url, NEVER, f.now), 0);
    pass(&f, HOUR_NS);
    CHECK(!addrbook_next_dial(f.book, f.now, &dial));
    CHECK_EQ(addrbook_ban(f.book, url, 0, f.now), 0);
    CHECK(addrbook_next_dial(f.book, f.now, &dial));
    fixture_close(&f);
}

static void collect(void *ctx, const struct addrbook_view *view)
{
    char *text = ctx;
    size_t len = strlen(text);
    snprintf(text + len, 256 - len, "%s ", view->peer);
}

TEST(hear, views_are_sorted)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    char text[256] = "";
    addrbook_each(f.book, collect, text);
    CHECK_STR(text, "");
    CHECK_EQ(gossip(&f, "tcp://c:1"), 1);
    CHECK_EQ(addrbook_add_gossip(f.book, "inproc://x/y", SOURCE, false, f.now), 1);
    CHECK_EQ(gossip(&f, "tcp://a:1/z"), 1);
    CHECK_EQ(gossip(&f, "tcp://b:1"), 1);
    addrbook_each(f.book, collect, text);
    CHECK_STR(text, "inproc://x/y tcp://a:1/z tcp://b:1 tcp://c:1 ");
    CHECK_STR(view_of(&f, "tcp://a:1").source, SOURCE);
    fixture_close(&f);
}
