/* The book's file: every field survives, every damage is found, and nothing is half taken. */
#include "fixture.h"

#include <zlib.h>

#include "base/mem.h"
#include "proto/codec.h"

#define A "tcp://10.0.0.60:7400/a"
#define B "tcp://10.0.0.61:7400/b"
#define C "tcp://10.0.0.62:7400/c"

static const uint8_t node_a[16] = {0xa, 1, 2, 3}, node_b[16] = {0xb};

/* Three entries with something in every field. */
static void fill(struct fixture *f)
{
    struct addrbook_policy policy = {.persistent = true,
                                     .max_attempts = 7,
                                     .default_backoff_ns = 2 * NS_PER_SEC,
                                     .max_backoff_ns = 9 * NS_PER_SEC,
                                     .multiplier = 2.5f};
    CHECK_EQ(addrbook_add_configured(f->book, A, &policy, f->now), 0);
    CHECK_EQ(addrbook_linked(f->book, dial_next(f, A), A, node_a, f->now), 0);
    pass(f, NS_PER_SEC);
    addrbook_unlinked(f->book, A, node_a, WEFT_ELOST, "the cable was pulled", false, f->now);
    addrbook_dial_failed(f->book, dial_next(f, A), WEFT_EREFUSED, "nobody listens", f->now);
    CHECK_EQ(addrbook_add_gossip(f->book, B, "tcp://teller:1/t", true, f->now), 1);
    CHECK_EQ(addrbook_ban(f->book, B, f->now.wall_ns + HOUR_NS, f->now), 0);
    CHECK_EQ(addrbook_linked(f->book, 0, C, NULL, f->now), 0);
}

static void encode(struct fixture *f, struct buf *out)
{
    buf_init(out, 1 << 20);
    CHECK_EQ(addrbook_encode(f->book, out), 0);
}

TEST(file, every_field_survives)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    fill(&f);
    struct buf out;
    encode(&f, &out);
    struct addrbook_file file;
    CHECK_EQ(addrbook_decode(out.data, out.len, &file), 0);
    CHECK_STR(file.where, "");
    CHECK_MEM(file.node_id, fixture_id, 16);
    CHECK_EQ(file.count, 3);
    const struct book_record *a = &file.records[0];
    CHECK_STR(a->peer, A);
    CHECK_EQ(a->max_attempts, 7);
    CHECK_EQ(a->default_backoff_ns, 2 * NS_PER_SEC);
    CHECK_EQ(a->max_backoff_ns, 9 * NS_PER_SEC);
    CHECK(a->multiplier == 2.5f);
    CHECK_EQ(a->attempts, 2);
    CHECK_EQ(a->failed_attempts, 1);
    CHECK_EQ(a->last_success, WALL_START + NS_PER_SEC);
    CHECK_EQ(a->backoff_ns, 5 * NS_PER_SEC);
    CHECK(a->persistent);
    CHECK_MEM(a->node_id, node_a, 16);
    CHECK_STR(a->source, "");
    CHECK_EQ(a->origin, WEFT_ORIGIN_CONFIGURED);
    CHECK_STR(a->last_error, "nobody listens");
    CHECK_EQ(a->banned_until, 0);
    CHECK_EQ(a->added, WALL_START);
    const struct book_record *b = &file.records[1];
    CHECK_STR(b->peer, B);
    CHECK_STR(b->source, "tcp://teller:1/t");
    CHECK_EQ(b->origin, WEFT_ORIGIN_GOSSIP);
    CHECK_EQ(b->banned_until, f.now.wall_ns + HOUR_NS);
    CHECK(b->node_id == NULL && !b->persistent);
    CHECK_EQ(file.records[2].origin, WEFT_ORIGIN_INBOUND);
    addrbook_file_fini(&file);
    buf_fini(&out);
    fixture_close(&f);
}

/* What is told of a live book: as it stands now, and of that nothing in its file. */
TEST(file, what_is_so_now)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    fill(&f); /* A waits for its next dial, B is banned, C is linked */
    struct addrbook_view view = view_of(&f, A);
    size_t count;
    struct book_record *now = addrbook_records(f.book, f.now, &count);
    CHECK_EQ(count, 3);
    CHECK(!now[0].linked && !now[0].dialing);
    CHECK(now[0].next_dial_ns > 0 && now[0].next_dial_ns == view.next_dial - f.now.mono_ns);
    CHECK(!now[1].linked && now[1].next_dial_ns == 0);
    CHECK(now[2].linked && now[2].next_dial_ns == 0);
    mem_free(now);
    struct moment late = {.mono_ns = view.next_dial + NS_PER_SEC, .wall_ns = f.now.wall_ns};
    now = addrbook_records(f.book, late, &count); /* overdue */
    CHECK_EQ(now[0].next_dial_ns, 1);
    mem_free(now);
    struct addrbook_dial dial;
    pass(&f, view.next_dial - f.now.mono_ns);
    while (addrbook_next_dial(f.book, f.now, &dial)) {
    }
    now = addrbook_records(f.book, f.now, &count);
    CHECK(now[0].dialing && now[0].next_dial_ns == 0);
    mem_free(now);
    struct buf out;
    encode(&f, &out);
    struct addrbook_file file;
    CHECK_EQ(addrbook_decode(out.data, out.len, &file), 0);
    for (size_t i = 0; i < file.count; i++)
        CHECK(!file.records[i].linked && !file.records[i].dialing &&
              file.records[i].next_dial_ns == 0);
    addrbook_file_fini(&file);
    buf_fini(&out);
    fixture_close(&f);
}

/* Reading a file into an empty book and writing it again gives the same bytes. */
TEST(file, merge_then_encode_is_the_identity)
{
    struct fixture f, g;
    fixture_open(&f, 1, SELF, false);
    fixture_open(&g, 2, SELF, false);
    fill(&f);
    struct buf first, second;
    encode(&f, &first);
    struct addrbook_file file;
    CHECK_EQ(addrbook_decode(first.data, first.len, &file), 0);
    CHECK_EQ(addrbook_merge(g.book, &file, g.now), 0);
    CHECK(addrbook_dirty(g.book));
    encode(&g, &second);
    CHECK_EQ(first.len, second.len);
    CHECK_MEM(first.data, second.data, first.len);
    addrbook_file_fini(&file);
    buf_fini(&first);
    buf_fini(&second);
    fixture_close(&f);
    fixture_close(&g);
}

TEST(file, encode_appends_or_leaves_alone)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    fill(&f);
    struct buf alone, behind;
    encode(&f, &alone);
    for (size_t room = 0; room <= alone.len; room++) {
        CHECK_EQ(addrbook_ban(f.book, A, 0, f.now), 0); /* dirty again */
        buf_init(&behind, room + 4);
        CHECK(buf_put(&behind, "head", 4));
        int rc = addrbook_encode(f.book, &behind);
        if (rc == 0) {
            CHECK_EQ(behind.len, alone.len + 4);
            CHECK_MEM(behind.data + 4, alone.data, alone.len);
            CHECK(!addrbook_dirty(f.book));
            buf_fini(&behind);
            break;
        }
        CHECK_EQ(rc, WEFT_ELIMIT);
        CHECK_EQ(behind.len, 4);
        CHECK(addrbook_dirty(f.book));
        buf_fini(&behind);
    }
    buf_fini(&alone);
    fixture_close(&f);
}

TEST(file, empty_book)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    struct buf out;
    encode(&f, &out);
    CHECK_EQ(out.len, 44);
    struct addrbook_file file;
    CHECK_EQ(addrbook_decode(out.data, out.len, &file), 0);
    CHECK_EQ(file.count, 0);
    addrbook_file_fini(&file);
    buf_fini(&out);
    fixture_close(&f);
}

static void must_fail(const uint8_t *data, size_t size, const char *what, size_t at)
{
    uint8_t *exact = malloc(size ? size : 1); /* so that ASan sees one byte too far */
    CHECK(exact != NULL);
    memcpy(exact, data, size);
    struct addrbook_file file;
    memset(&file, 0x55, sizeof(file));
    int rc = addrbook_decode(exact, size, &file);
    if (rc != WEFT_ECORRUPT && rc != WEFT_EVERSION)
        FAIL("%s at byte %zu of %zu: %d", what, at, size, rc);
    if (strncmp(file.where, "byte ", 5) != 0 || !strstr(file.where, "expected"))
        FAIL("%s at byte %zu: says \"%s\"", what, at, file.where);
    if (file.count != (size_t)0x5555555555555555)
        FAIL("%s at byte %zu: output was touched", what, at);
    free(exact);
}

TEST(file, every_corruption_is_found)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    fill(&f);
    struct buf out;
    encode(&f, &out);
    for (size_t at = 0; at < out.len; at++) {
        uint8_t was = out.data[at];
        for (unsigned value = 0; value < 256; value++) {
            out.data[at] = (uint8_t)value;
            if (value != was)
                must_fail(out.data, out.len, "corruption", at);
        }
        out.data[at] = was;
    }
    buf_fini(&out);
    fixture_close(&f);
}

TEST(file, every_truncation_and_extension_is_found)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    fill(&f);
    struct buf out;
    encode(&f, &out);
    size_t whole = out.len;
    for (size_t size = 0; size < whole; size++)
        must_fail(out.data, size, "truncation", size);
    for (unsigned extra = 1; extra < 64; extra++) {
        CHECK(buf_put_u8(&out, (uint8_t)extra));
        must_fail(out.data, out.len, "extension", out.len);
    }
    out.len = whole;
    CHECK(buf_reserve(&out, whole) != NULL);
    memcpy(out.data + whole, out.data, whole); /* two books in one file */
    must_fail(out.data, 2 * whole, "extension", whole);
    buf_fini(&out);
    fixture_close(&f);
}

TEST(file, says_where)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    struct buf out;
    encode(&f, &out);
    struct addrbook_file file;
    CHECK_EQ(addrbook_decode((const uint8_t *)"hello", 5, &file), WEFT_ECORRUPT);
    CHECK_STR(file.where, "byte 0: expected \"WEFTBOOK\", the start of an address book");
    out.data[11] = 9;
    CHECK_EQ(addrbook_decode(out.data, out.len, &file), WEFT_EVERSION);
    CHECK_STR(file.where, "byte 8: expected version 1, found 9: a newer weft wrote it");
    out.data[11] = 1;
    out.data[20] ^= 1;
    CHECK_EQ(addrbook_decode(out.data, out.len, &file), WEFT_ECORRUPT);
    CHECK_STR(file.where, "byte 40: expected the CRC-32 of all before it");
    buf_fini(&out);
    fixture_close(&f);
}

/* Build a file around records as a stranger may have written them, sums in order. */
static void wrap(struct buf *out, const uint8_t *body, size_t size, uint32_t count)
{
    buf_init(out, 1 << 20);
    buf_put(out, "WEFTBOOK", 8);
    buf_put_u32(out, 1);
    buf_put(out, fixture_id, 16);
    buf_put_u32(out, (uint32_t)size);
    buf_put_u32(out, (uint32_t)crc32_z(0, body, size));
    buf_put(out, body, size);
    buf_put(out, "WEFTEND.", 8);
    buf_put_u32(out, count);
    CHECK(buf_put_u32(out, (uint32_t)crc32_z(0, out->data, out->len)));
}

TEST(file, sound_sums_around_nonsense)
{
    static const uint8_t bodies[][4] = {{0x0a, 0x7f, 'x', 'y'}, {0xff, 0xff, 0xff, 0xff}};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct buf out;
        wrap(&out, bodies[i], sizeof(bodies[i]), 1);
        struct addrbook_file file;
        CHECK_EQ(addrbook_decode(out.data, out.len, &file), WEFT_ECORRUPT);
        CHECK_STR(file.where, "byte 36: expected an AddrbookEntry message");
        buf_fini(&out);
    }
    struct buf out;
    static const uint8_t large[5000];
    wrap(&out, large, sizeof(large), 1);
    must_fail(out.data, out.len, "a record over the limit", 28);
    buf_fini(&out);
    wrap(&out, large, 0, 1);
    must_fail(out.data, out.len, "a record of nothing", 28);
    buf_fini(&out);
    static const uint8_t entry[] = {0x0a, 0x03, 'a', ':', 'b'};
    struct addrbook_file file;
    wrap(&out, entry, sizeof(entry), 1);
    CHECK_EQ(addrbook_decode(out.data, out.len, &file), 0);
    addrbook_file_fini(&file);
    buf_fini(&out);
    wrap(&out, entry, sizeof(entry), 2);
    CHECK_EQ(addrbook_decode(out.data, out.len, &file), WEFT_ECORRUPT);
    CHECK_STR(file.where, "byte 49: expected the number of records in the file");
    buf_fini(&out);
}

/* ---- Merging ---- */

static struct book_record record(const char *peer)
{
    return (struct book_record){
        .peer = peer, .source = "", .last_error = "", .origin = WEFT_ORIGIN_INBOUND};
}

static int merge_one(struct fixture *f, const struct book_record *r)
{
    struct book_record copy = *r;
    struct addrbook_file file = {.records = &copy, .count = 1};
    return addrbook_merge(f->book, &file, f->now);
}

TEST(file, merge_spreads_over_a_second)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    char url[64];
    uint64_t first = NEVER, last = 0;
    for (unsigned i = 0; i < 50; i++) {
        snprintf(url, sizeof(url), "tcp://10.6.0.%u:7400", i);
        struct book_record r = record(url);
        CHECK_EQ(merge_one(&f, &r), 0);
        uint64_t due = view_of(&f, url).next_dial - f.now.mono_ns;
        CHECK(due <= NS_PER_SEC);
        first = due < first ? due : first;
        last = due > last ? due : last;
    }
    CHECK(last - first > NS_PER_SEC / 2);
    fixture_close(&f);
}

/* Of two that restarted together one dials; but what is configured is never left to others. */
TEST(file, merge_leaves_half_to_the_other_side)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    for (unsigned i = 0; i < 20; i++) {
        char url[64];
        snprintf(url, sizeof(url), "tcp://10.0.0.1:%u", 7000 + i); /* smaller than our own */
        struct book_record r = record(url);
        if (i % 2)
            r.origin = WEFT_ORIGIN_CONFIGURED;
        CHECK_EQ(merge_one(&f, &r), 0);
        uint64_t due = view_of(&f, url).next_dial - f.now.mono_ns;
        uint64_t from = i % 2 ? 0 : ADDRBOOK_POLITE_NS;
        CHECK(due >= from && due <= from + NS_PER_SEC);
    }
    fixture_close(&f);
}

/* A file is older than the departure, but may be all that leads back. */
TEST(file, merge_holds_the_departed)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    addrbook_departed(f.book, A, f.now);
    struct book_record r = record(A);
    CHECK_EQ(merge_one(&f, &r), 0);
    uint64_t until = f.now.mono_ns + ADDRBOOK_HOLD_NS, due = view_of(&f, A).next_dial;
    CHECK(due >= until && due <= until + ADDRBOOK_POLITE_NS + NS_PER_SEC);
    fixture_close(&f);
}

TEST(file, merge_skips_what_is_not_valid)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    addrbook_add_own(f.book, B);
    addrbook_unwanted(f.book, C, f.now);
    static const char *const bad[] = {"", "x", "tcp://0.0.0.0:1/x", "tcp://10.0.0.1:0", SELF, B, C};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct book_record r = record(bad[i]);
        CHECK_EQ(merge_one(&f, &r), 0);
        CHECK_EQ(addrbook_count(f.book), 0);
    }
    struct book_record odd = record(A);
    odd.origin = 99;
    odd.multiplier = -1.0f;
    odd.backoff_ns = NEVER;
    odd.failed_attempts = UINT32_MAX;
    odd.attempts = UINT32_MAX;
    CHECK_EQ(merge_one(&f, &odd), 0);
    struct addrbook_view v = view_of(&f, A);
    CHECK_EQ(v.origin, WEFT_ORIGIN_GOSSIP);
    CHECK(v.policy.multiplier == 1.5f);
    CHECK_EQ(v.backoff_ns, 60 * NS_PER_SEC);
    addrbook_dial_failed(f.book, dial_next(&f, A), WEFT_EREFUSED, NULL, f.now);
    CHECK_EQ(addrbook_count(f.book), 0); /* out of attempts, never reached */
    fixture_close(&f);
}

TEST(file, merge_holds_gossip_limits)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    char url[64];
    for (unsigned n = 0; n < 2 * ADDRBOOK_GOSSIP_SOURCE; n++) {
        snprintf(url, sizeof(url), "tcp://10.6.%u.%u:7400", n / 256, n % 256);
        struct book_record r = record(url);
        r.origin = WEFT_ORIGIN_GOSSIP;
        r.source = "tcp://teller:1";
        r.last_success = n & 1; /* every other one was reached once */
        CHECK_EQ(merge_one(&f, &r), 0);
    }
    CHECK_EQ(addrbook_count(f.book), 2 * ADDRBOOK_GOSSIP_SOURCE);
    CHECK_EQ(addrbook_add_gossip(f.book, A, "tcp://teller:1", true, f.now), WEFT_ELIMIT);
    CHECK_EQ(addrbook_add_gossip(f.book, A, "tcp://other:1", true, f.now), 1);
    fixture_close(&f);
}

TEST(file, merge_adds_history_to_what_is_known)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    struct addrbook_policy policy = {.persistent = true, .max_backoff_ns = 3 * NS_PER_SEC};
    CHECK_EQ(addrbook_add_configured(f.book, A, &policy, f.now), 0);
    struct book_record r = record("tcp://10.0.0.60:7400/older");
    r.node_id = node_a;
    r.last_success = 5;
    r.banned_until = 7;
    r.added = 3;
    r.last_error = "old";
    r.attempts = 40;
    CHECK_EQ(merge_one(&f, &r), 0);
    struct addrbook_view v = view_of(&f, A);
    CHECK_STR(v.peer, A);
    CHECK_EQ(v.origin, WEFT_ORIGIN_CONFIGURED);
    CHECK_EQ(v.next_dial, f.now.mono_ns);
    CHECK(v.policy.persistent);
    CHECK_EQ(v.policy.max_backoff_ns, 3 * NS_PER_SEC);
    CHECK_MEM(v.node_id, node_a, 16);
    CHECK_EQ(v.last_success, 5);
    CHECK_EQ(v.banned_until, 7);
    CHECK_EQ(v.added, 3);
    CHECK_EQ(v.attempts, 40);
    CHECK_STR(v.last_error, "old");
    fixture_close(&f);
}

/* A file knows which names are one node; a link to one of them keeps the others quiet. */
TEST(file, merge_knows_names)
{
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    struct book_record r = record("tcp://robot.lan:7400");
    r.node_id = node_b;
    CHECK_EQ(merge_one(&f, &r), 0);
    CHECK_EQ(addrbook_linked(f.book, 0, B, node_b, f.now), 0);
    CHECK(view_of(&f, "tcp://robot.lan:7400").linked);
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    r = record(C); /* and the other way round */
    r.node_id = node_b;
    CHECK_EQ(merge_one(&f, &r), 0);
    CHECK(view_of(&f, C).linked);
    CHECK_EQ(addrbook_deadline(f.book), NEVER);
    fixture_close(&f);
}
