/* A damaged book: what is sound in it is kept, whatever happened to the rest, and what is lost is
 * told by its place. */
#include "fixture.h"

#include <zlib.h>

#include "base/mem.h"
#include "proto/codec.h"

#define RECORDS 5
#define HEADER 28
#define TRAILER 16

/* A sound file of five records, and where each begins; starts[RECORDS] is the trailer. */
struct sample {
    struct buf bytes;
    size_t starts[RECORDS + 1];
    char peers[RECORDS][64];
};

static void sample_open(struct sample *s)
{
    struct book_record records[RECORDS];
    for (size_t i = 0; i < RECORDS; i++) {
        snprintf(s->peers[i], sizeof(s->peers[i]), "tcp://10.0.0.%zu:7400/robot.%zu", 60 + i, i);
        records[i] = (struct book_record){.peer = s->peers[i],
                                          .source = i & 1 ? "tcp://teller:1/t" : "",
                                          .last_error = "WEFTEND. of the line",
                                          .origin = WEFT_ORIGIN_GOSSIP,
                                          .attempts = (uint32_t)i,
                                          .added = WALL_START};
    }
    buf_init(&s->bytes, 1 << 20);
    CHECK_EQ(addrbook_encode_records(fixture_id, records, RECORDS, &s->bytes), 0);
    size_t at = HEADER;
    for (size_t i = 0; i < RECORDS; i++) {
        s->starts[i] = at;
        at += 8 + load_u32(s->bytes.data + at);
    }
    s->starts[RECORDS] = at;
    CHECK_EQ(at + TRAILER, s->bytes.len);
}

static void sample_close(struct sample *s)
{
    buf_fini(&s->bytes);
}

/* Repair a copy that is exactly as long, so that ASan sees one byte too far. */
static int repair(const uint8_t *data, size_t size, struct addrbook_file *ret_file,
                  struct addrbook_damage *ret_damage)
{
    uint8_t *exact = calloc(1, size ? size : 1);
    CHECK(exact != NULL);
    if (size)
        memcpy(exact, data, size);
    int rc = addrbook_repair(exact, size, ret_file, ret_damage);
    free(exact);
    return rc;
}

static bool holds(const struct addrbook_file *file, const char *peer)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->records[i].peer, peer) == 0)
            return true;
    return false;
}

/* All records but those that touch [from, to) are kept, and that place is among the told. */
static void expect_kept(const struct sample *s, const uint8_t *data, size_t size, size_t from,
                        size_t to, const char *what)
{
    struct addrbook_file file;
    struct addrbook_damage damage;
    size_t kept = 0, hit = 0;
    int rc = repair(data, size, &file, &damage);
    if (rc < 0)
        FAIL("%s at %zu: %d", what, from, rc);
    for (size_t i = 0; i < RECORDS; i++) {
        bool touched = s->starts[i] < to && from < s->starts[i + 1];
        hit += touched;
        if (holds(&file, s->peers[i]))
            kept++;
        else if (!touched)
            FAIL("%s at %zu: record %zu is lost", what, from, i);
    }
    CHECK_EQ(file.count, kept);
    CHECK_EQ(damage.kept, kept);
    CHECK_EQ(damage.size, size);
    if (damage.n_places == 0)
        FAIL("%s at %zu: not told", what, from);
    if (hit && kept == RECORDS)
        FAIL("%s at %zu: taken although damaged", what, from);
    if (damage.places[0].from > (to > HEADER ? to : HEADER) &&
        damage.places[0].from < s->starts[RECORDS])
        FAIL("%s at %zu: told of byte %zu", what, from, damage.places[0].from);
    addrbook_file_fini(&file);
}

TEST(repair, a_sound_file_is_read_as_it_is)
{
    struct sample s;
    struct addrbook_file file, whole;
    struct addrbook_damage damage;
    sample_open(&s);
    CHECK_EQ(repair(s.bytes.data, s.bytes.len, &file, &damage), 0);
    CHECK_EQ(addrbook_decode(s.bytes.data, s.bytes.len, &whole), 0);
    CHECK_EQ(damage.n_places, 0);
    CHECK_EQ(damage.lost, 0);
    CHECK_EQ(damage.kept, RECORDS);
    CHECK(damage.owner_known);
    CHECK_MEM(file.node_id, fixture_id, 16);
    CHECK_EQ(file.count, whole.count);
    for (size_t i = 0; i < file.count; i++) {
        CHECK_STR(file.records[i].peer, whole.records[i].peer);
        CHECK_STR(file.records[i].source, whole.records[i].source);
        CHECK_EQ(file.records[i].attempts, whole.records[i].attempts);
    }
    addrbook_file_fini(&file);
    addrbook_file_fini(&whole);
    sample_close(&s);
}

TEST(repair, a_flipped_byte_costs_one_record_at_most)
{
    struct sample s;
    sample_open(&s);
    for (size_t at = 0; at < s.bytes.len; at++) {
        uint8_t was = s.bytes.data[at];
        for (unsigned flip = 1; flip < 256; flip += at % 8 ? 51 : 1) {
            s.bytes.data[at] = (uint8_t)(was ^ flip);
            expect_kept(&s, s.bytes.data, s.bytes.len, at, at + 1, "flip");
        }
        s.bytes.data[at] = was;
    }
    sample_close(&s);
}

TEST(repair, a_cut_costs_the_records_it_cut)
{
    struct sample s;
    sample_open(&s);
    for (size_t size = HEADER; size < s.bytes.len; size++)
        expect_kept(&s, s.bytes.data, size, size, s.bytes.len, "cut");
    for (size_t size = 0; size < HEADER; size++) {
        struct addrbook_file file;
        struct addrbook_damage damage;
        CHECK_EQ(repair(s.bytes.data, size, &file, &damage), WEFT_ECORRUPT);
        CHECK(strncmp(file.where, "byte ", 5) == 0);
    }
    sample_close(&s);
}

/* A hole anywhere, and bytes put in anywhere: all that lies behind is found again. */
TEST(repair, what_moved_is_found)
{
    struct sample s;
    uint8_t moved[2048];
    sample_open(&s);
    CHECK(s.bytes.len + 16 < sizeof(moved));
    for (size_t at = 0; at < s.starts[RECORDS]; at++) {
        size_t rest = s.bytes.len - at;
        memcpy(moved, s.bytes.data, at);
        memcpy(moved + at, s.bytes.data + at + 3, rest - 3);
        expect_kept(&s, moved, s.bytes.len - 3, at, at + 3, "hole");
        memset(moved + at, 0xee, 5);
        memcpy(moved + at + 5, s.bytes.data + at, rest);
        expect_kept(&s, moved, s.bytes.len + 5, at, at, "wedge");
    }
    sample_close(&s);
}

/* The start is gone, as after a lost first block: the records are there, the owner is not. */
TEST(repair, without_the_beginning)
{
    struct sample s;
    struct addrbook_file file;
    struct addrbook_damage damage;
    static const uint8_t none[16];
    sample_open(&s);
    CHECK_EQ(repair(s.bytes.data + 40, s.bytes.len - 40, &file, &damage), 0);
    CHECK_EQ(file.count, RECORDS - 1);
    CHECK_EQ(damage.expected, RECORDS);
    CHECK(!damage.owner_known);
    CHECK_MEM(file.node_id, none, 16);
    addrbook_file_fini(&file);
    sample_close(&s);
}

TEST(repair, many_damages_are_counted)
{
    struct sample s;
    struct addrbook_file file;
    struct addrbook_damage damage;
    sample_open(&s);
    s.bytes.data[s.starts[0] + 20] ^= 1;
    s.bytes.data[s.starts[2] + 1] ^= 1;
    s.bytes.data[s.starts[4] + 5] ^= 1;
    CHECK_EQ(repair(s.bytes.data, s.bytes.len, &file, &damage), 0);
    CHECK_EQ(file.count, 2);
    CHECK_EQ(damage.expected, RECORDS);
    CHECK_EQ(damage.n_places, 3);
    size_t lost = 0;
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(damage.places[i].from, s.starts[2 * i]);
        CHECK_EQ(damage.places[i].to, s.starts[2 * i + 1]);
        lost += damage.places[i].to - damage.places[i].from;
    }
    CHECK_EQ(damage.lost, lost);
    addrbook_file_fini(&file);
    sample_close(&s);
}

TEST(repair, what_is_no_book)
{
    struct addrbook_file file;
    struct addrbook_damage damage;
    CHECK_EQ(repair((const uint8_t *)"", 0, &file, &damage), WEFT_ECORRUPT);
    CHECK_EQ(repair((const uint8_t *)"self: tcp://0.0.0.0:7400/robot.base\n", 36, &file, &damage),
             WEFT_ECORRUPT);
    CHECK_STR(file.where, "byte 0: expected \"WEFTBOOK\", the start of an address book");
    struct buf zeros;
    buf_init(&zeros, 1 << 20);
    CHECK(buf_reserve(&zeros, 100000) != NULL);
    memset(zeros.data, 0, 100000);
    CHECK_EQ(repair(zeros.data, 100000, &file, &damage), WEFT_ECORRUPT);
    buf_fini(&zeros);
}

/* A later version is sound and not ours to judge, unless the number is what was damaged. */
TEST(repair, another_version)
{
    struct sample s;
    struct addrbook_file file;
    struct addrbook_damage damage;
    sample_open(&s);
    s.bytes.data[11] = 2;
    size_t at = s.bytes.len - 4;
    store_u32(s.bytes.data + at, (uint32_t)crc32_z(0, s.bytes.data, at));
    CHECK_EQ(repair(s.bytes.data, s.bytes.len, &file, &damage), WEFT_EVERSION);
    CHECK_STR(file.where, "byte 8: expected version 1, found 2: a newer weft wrote it");
    sample_close(&s);
}

/* Neither is one whose rest looks damaged to us: it may be cut off, or of another form. */
TEST(repair, a_newer_version_is_not_damage)
{
    struct sample s;
    struct addrbook_file file;
    struct addrbook_damage damage;
    sample_open(&s);
    s.bytes.data[11] = 3;
    s.bytes.data[s.starts[2] + 12] ^= 1;
    CHECK_EQ(repair(s.bytes.data, s.bytes.len, &file, &damage), WEFT_EVERSION);
    CHECK(strstr(file.where, "newer"));
    CHECK_EQ(repair(s.bytes.data, s.starts[3], &file, &damage), WEFT_EVERSION);
    CHECK_EQ(repair(s.bytes.data, HEADER, &file, &damage), WEFT_EVERSION);
    s.bytes.data[8] = 0x40; /* no weft counts so far: the number is damaged as well */
    CHECK_EQ(repair(s.bytes.data, s.bytes.len, &file, &damage), 0);
    CHECK_EQ(file.count, RECORDS - 1);
    addrbook_file_fini(&file);
    sample_close(&s);
}

/* Nothing is lost of a book without entries, whatever byte of it is hit. */
TEST(repair, an_empty_book)
{
    struct addrbook_file file;
    struct addrbook_damage damage;
    struct buf out;
    buf_init(&out, 1 << 20);
    CHECK_EQ(addrbook_encode_records(fixture_id, NULL, 0, &out), 0);
    for (size_t at = 0; at < out.len; at++) {
        out.data[at] ^= 0x41;
        if (repair(out.data, out.len, &file, &damage) != 0)
            FAIL("byte %zu: %s", at, file.where);
        CHECK_EQ(file.count, 0);
        CHECK(damage.n_places > 0 && damage.owner_known);
        addrbook_file_fini(&file);
        out.data[at] ^= 0x41;
    }
    buf_fini(&out);
}

/* Sums in order around what is no entry. */
TEST(repair, nonsense_with_a_sum)
{
    static const uint8_t body[] = {0x0a, 0x7f, 'x', 'y'};
    struct addrbook_file file;
    struct addrbook_damage damage;
    struct sample s;
    struct buf out;
    sample_open(&s);
    buf_init(&out, 1 << 20);
    buf_put(&out, s.bytes.data, s.starts[1]);
    buf_put_u32(&out, sizeof(body));
    buf_put_u32(&out, (uint32_t)crc32_z(0, body, sizeof(body)));
    buf_put(&out, body, sizeof(body));
    CHECK(buf_put(&out, s.bytes.data + s.starts[1], s.bytes.len - s.starts[1]));
    CHECK_EQ(repair(out.data, out.len, &file, &damage), 0);
    CHECK_EQ(file.count, RECORDS);
    CHECK(damage.n_places > 0);
    CHECK(holds(&file, s.peers[4]));
    addrbook_file_fini(&file);
    buf_fini(&out);
    sample_close(&s);
}

/* Lengths that fit at every byte: the search ends. */
TEST(repair, a_file_made_to_be_searched)
{
    struct addrbook_file file;
    struct addrbook_damage damage;
    struct buf out;
    size_t size = 4 << 20;
    buf_init(&out, 2 * size);
    buf_put(&out, "WEFTBOOK\0\0\0\1the book's owner", HEADER);
    CHECK(buf_reserve(&out, size) != NULL);
    for (size_t i = 0; i < size; i++)
        out.data[out.len++] = i % 4 == 2 ? 15 : 0;
    CHECK_EQ(addrbook_repair(out.data, out.len, &file, &damage), 0);
    CHECK_EQ(file.count, 0);
    CHECK_EQ(damage.lost, size);
    addrbook_file_fini(&file);
    buf_fini(&out);
}

/* ---- Encoding records without a book ---- */

TEST(repair, records_are_written_as_they_are)
{
    struct sample s;
    struct addrbook_file file;
    struct buf again;
    sample_open(&s);
    CHECK_EQ(addrbook_decode(s.bytes.data, s.bytes.len, &file), 0);
    struct book_record swap = file.records[0];
    file.records[0] = file.records[3];
    file.records[3] = swap;
    buf_init(&again, 1 << 20);
    CHECK_EQ(addrbook_encode_records(file.node_id, file.records, file.count, &again), 0);
    CHECK_EQ(again.len, s.bytes.len);
    CHECK_MEM(again.data, s.bytes.data, again.len);
    buf_fini(&again);
    for (size_t room = 0; room < s.bytes.len; room++) {
        buf_init(&again, room);
        CHECK_EQ(addrbook_encode_records(file.node_id, file.records, file.count, &again),
                 WEFT_ELIMIT);
        CHECK_EQ(again.len, 0);
        buf_fini(&again);
    }
    file.records[0].peer = "";
    buf_init(&again, 1 << 20);
    CHECK_EQ(addrbook_encode_records(file.node_id, file.records, file.count, &again), WEFT_EINVAL);
    buf_fini(&again);
    file.records[0].peer = "tcp://10.0.0.1:1";
    static char large[5000];
    memset(large, 'x', sizeof(large) - 1);
    file.records[0].last_error = large;
    buf_init(&again, 1 << 20);
    CHECK_EQ(addrbook_encode_records(file.node_id, file.records, file.count, &again), WEFT_EINVAL);
    CHECK_EQ(again.len, 0);
    buf_fini(&again);
    addrbook_file_fini(&file);
    sample_close(&s);
}
