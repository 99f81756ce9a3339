/* Who named a peer, the configuration or an operator, and what becomes of it when the configuration
 * names it no more. */
#include "fixture.h"

#include "proto/codec.h"

#define PEER "tcp://10.0.0.60:7400/x"
#define OTHER "tcp://10.0.0.61:7400/y"
#define LAN "tcp://robot.lan:7400/x"

static const uint8_t id[16] = {7};
static const struct addrbook_policy persistent = {.persistent = true, .max_attempts = 3};

static void name(struct fixture *f, const char *url, enum addrbook_by by)
{
    CHECK_EQ(addrbook_add_named(f->book, url, by, &persistent, f->now), 0);
}

/* Save, and open another book with what was saved, as a restart does. */
static void restart(struct fixture *f)
{
    struct buf out;
    struct addrbook_file file;
    buf_init(&out, 1 << 20);
    CHECK_EQ(addrbook_encode(f->book, &out), 0);
    addrbook_free(f->book);
    struct addrbook_config config = {.self = SELF, .node_id = fixture_id, .prng = &f->prng};
    CHECK_EQ(addrbook_new(&config, &f->book), 0);
    CHECK_EQ(addrbook_decode(out.data, out.len, &file), 0);
    CHECK_EQ(addrbook_merge(f->book, &file, f->now), 0);
    addrbook_file_fini(&file);
    buf_fini(&out);
}

static size_t let_go(struct fixture *f)
{
    struct addrbook_view view;
    size_t count = 0;
    while (addrbook_let_go(f->book, &view)) {
        CHECK(!view.in_config);
        count++;
    }
    return count;
}

TEST(named, each_origin_is_kept_apart)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    name(&f, PEER, ADDRBOOK_BY_CONFIG);
    name(&f, OTHER, ADDRBOOK_BY_OPERATOR);
    name(&f, LAN, ADDRBOOK_BY_PROGRAM);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(view_of(&f, PEER).origin, WEFT_ORIGIN_CONFIGURED);
        CHECK(view_of(&f, PEER).in_config && view_of(&f, PEER).configured);
        CHECK_EQ(view_of(&f, OTHER).origin, WEFT_ORIGIN_OPERATOR);
        CHECK(!view_of(&f, OTHER).in_config && view_of(&f, OTHER).configured);
        CHECK_EQ(view_of(&f, LAN).origin, WEFT_ORIGIN_CONFIGURED);
        CHECK(!view_of(&f, LAN).in_config && view_of(&f, LAN).configured);
        restart(&f);
    }
    fixture_close(&f);
}

/* Whoever of the two comes first, and whatever the program says later. */
TEST(named, both_may_name_one)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    name(&f, PEER, ADDRBOOK_BY_CONFIG);
    name(&f, PEER, ADDRBOOK_BY_OPERATOR);
    name(&f, OTHER, ADDRBOOK_BY_OPERATOR);
    name(&f, OTHER, ADDRBOOK_BY_CONFIG);
    name(&f, OTHER, ADDRBOOK_BY_PROGRAM);
    restart(&f);
    static const char *const both[] = {PEER, OTHER};
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(view_of(&f, both[i]).origin, WEFT_ORIGIN_OPERATOR);
        CHECK(view_of(&f, both[i]).in_config);
    }
    CHECK_EQ(addrbook_disown(f.book, PEER, f.now), 1);
    CHECK_EQ(view_of(&f, PEER).origin, WEFT_ORIGIN_CONFIGURED);
    CHECK(view_of(&f, PEER).in_config);
    CHECK_EQ(addrbook_disown(f.book, PEER, f.now), 0); /* nobody but the configuration is left */
    CHECK_EQ(addrbook_disown(f.book, LAN, f.now), WEFT_ENOTFOUND);
    CHECK_EQ(addrbook_disown(f.book, "nonsense", f.now), WEFT_EURL);
    CHECK_EQ(addrbook_unconfigure(f.book, OTHER, f.now), 1);
    CHECK_EQ(view_of(&f, OTHER).origin, WEFT_ORIGIN_OPERATOR);
    CHECK(!view_of(&f, OTHER).in_config && view_of(&f, OTHER).policy.persistent);
    CHECK_EQ(addrbook_disown(f.book, OTHER, f.now), 0);
    fixture_close(&f);
}

/* An operator's schedule goes with the operator's word. */
TEST(named, taken_back_with_its_schedule)
{
    struct fixture f;
    struct addrbook_policy once = {.max_attempts = 1}, slow = {.persistent = true};
    fixture_open(&f, 1, SELF, false);
    slow.max_backoff_ns = 7 * NS_PER_SEC;
    CHECK_EQ(addrbook_add_named(f.book, PEER, ADDRBOOK_BY_CONFIG, &slow, f.now), 0);
    CHECK_EQ(addrbook_add_named(f.book, PEER, ADDRBOOK_BY_OPERATOR, &once, f.now), 0);
    CHECK(!view_of(&f, PEER).policy.persistent);
    CHECK_EQ(addrbook_disown(f.book, PEER, f.now), 1);
    CHECK(view_of(&f, PEER).policy.persistent);
    CHECK_EQ(view_of(&f, PEER).policy.max_backoff_ns, 7 * NS_PER_SEC);
    fixture_close(&f);
}

TEST(named, an_earlier_configuration_is_let_go)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    name(&f, PEER, ADDRBOOK_BY_CONFIG);
    name(&f, OTHER, ADDRBOOK_BY_CONFIG);
    name(&f, OTHER, ADDRBOOK_BY_OPERATOR);
    name(&f, LAN, ADDRBOOK_BY_CONFIG);
    CHECK_EQ(let_go(&f), 0); /* nothing of this run */
    restart(&f);
    name(&f, LAN, ADDRBOOK_BY_CONFIG);
    CHECK_EQ(let_go(&f), 2);
    struct addrbook_view v = view_of(&f, PEER);
    CHECK_EQ(v.origin, WEFT_ORIGIN_OBSERVED);
    CHECK(!v.configured && !v.policy.persistent && v.policy.max_attempts == 10);
    CHECK_EQ(view_of(&f, OTHER).origin, WEFT_ORIGIN_OPERATOR);
    CHECK(view_of(&f, OTHER).policy.persistent);
    CHECK(view_of(&f, LAN).in_config && view_of(&f, LAN).policy.persistent);
    CHECK_EQ(let_go(&f), 0);
    fixture_close(&f);
}

/* The program may dial what an earlier configuration named before it says what the present one
 * does. */
TEST(named, what_the_program_dials_is_not_let_go)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    name(&f, PEER, ADDRBOOK_BY_CONFIG);
    name(&f, OTHER, ADDRBOOK_BY_CONFIG);
    restart(&f);
    name(&f, PEER, ADDRBOOK_BY_PROGRAM);
    name(&f, OTHER, ADDRBOOK_BY_PROGRAM);
    name(&f, OTHER, ADDRBOOK_BY_CONFIG);
    CHECK_EQ(let_go(&f), 0);
    CHECK(view_of(&f, PEER).configured && view_of(&f, PEER).policy.persistent);
    CHECK(!view_of(&f, PEER).in_config && view_of(&f, OTHER).in_config);
    fixture_close(&f);
}

/* It is dialled like any name, and goes if nobody ever was there. */
TEST(named, what_was_let_go_is_given_up)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    name(&f, PEER, ADDRBOOK_BY_CONFIG);
    restart(&f);
    CHECK_EQ(let_go(&f), 1);
    for (unsigned i = 0; i < 10; i++)
        addrbook_dial_failed(f.book, dial_next(&f, PEER), WEFT_EREFUSED, NULL, f.now);
    CHECK_EQ(addrbook_count(f.book), 0);
    fixture_close(&f);
}

/* A file of before knows no configuration, and what it has stays; a dump of another's, too. */
TEST(named, what_nobody_knows_the_configuration_of_stays)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    struct book_record old = {.peer = PEER,
                              .source = "",
                              .last_error = "",
                              .persistent = true,
                              .origin = WEFT_ORIGIN_CONFIGURED};
    struct book_record odd = {.peer = OTHER,
                              .source = "",
                              .last_error = "",
                              .origin = WEFT_ORIGIN_OPERATOR + 1,
                              .in_config = true};
    struct book_record records[] = {old, odd};
    struct addrbook_file file = {.records = records, .count = 2};
    CHECK_EQ(addrbook_merge(f.book, &file, f.now), 0);
    CHECK_EQ(let_go(&f), 0);
    CHECK(view_of(&f, PEER).configured && view_of(&f, PEER).policy.persistent);
    CHECK_EQ(view_of(&f, OTHER).origin, WEFT_ORIGIN_GOSSIP); /* an origin of a later version */
    CHECK(!view_of(&f, OTHER).in_config);
    name(&f, PEER, ADDRBOOK_BY_CONFIG);
    restart(&f);
    CHECK_EQ(let_go(&f), 1);
    fixture_close(&f);
}

/* A peer that the configuration takes back goes with its names, but not against an operator. */
TEST(named, unconfigured)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    name(&f, LAN, ADDRBOOK_BY_CONFIG);
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, LAN), PEER, id, f.now), 0);
    CHECK_EQ(addrbook_linked(f.book, 0, OTHER, id, f.now), 0);
    CHECK_EQ(addrbook_pin(f.book, OTHER, true, f.now), 0);
    CHECK_EQ(addrbook_unconfigure(f.book, LAN, f.now), 0);
    CHECK(!has(&f, LAN) && !has(&f, PEER));
    CHECK(view_of(&f, OTHER).policy.persistent);
    CHECK_EQ(addrbook_add_gossip(f.book, PEER, OTHER, true, f.now), WEFT_EFORGOTTEN);
    CHECK_EQ(addrbook_linked(f.book, 0, PEER, id, f.now), 0); /* which a link does */
    CHECK_EQ(view_of(&f, PEER).origin, WEFT_ORIGIN_INBOUND);
    CHECK_EQ(addrbook_add_gossip(f.book, PEER, OTHER, true, f.now), 0);
    CHECK_EQ(addrbook_unconfigure(f.book, LAN, f.now), WEFT_ENOTFOUND);
    CHECK_EQ(addrbook_unconfigure(f.book, "nonsense", f.now), WEFT_EURL);
    fixture_close(&f);
}

/* A ban is the operator's, and outlives the configuration that named the peer. */
TEST(named, a_ban_outlives_the_configuration)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    name(&f, PEER, ADDRBOOK_BY_CONFIG);
    CHECK_EQ(addrbook_ban(f.book, PEER, NEVER, f.now), 0);
    CHECK_EQ(addrbook_unconfigure(f.book, PEER, f.now), 0);
    CHECK(addrbook_banned(f.book, PEER, NULL, f.now));
    CHECK(!view_of(&f, PEER).configured);
    fixture_close(&f);
}
