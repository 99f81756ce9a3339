/* The file format of recordings: what is written reads back, and nothing that is not what was
 * written is taken for it. */
#include "../check.h"

#include <errno.h>

#include "../../cmd/common/memory.h"
#include "../../cmd/common/recording.h"

static const struct record samples[] = {
    {RECORD_MESSAGE, 5, UINT64_C(1700000000123456789), 0, 0, "T@lab.a", "tcp://h:1/lab", "abc", 3},
    {RECORD_MESSAGE, 6, 0, 0, 0, "", "", "", 0},
    {RECORD_GAP, 7, 0, 12, 0, "*@lab.**", "", NULL, 0},
    {RECORD_MESSAGE, UINT64_MAX, UINT64_MAX, 0, 0, "U@x", "", "\0\xff", 2},
    {RECORD_END, 9, 0, 3, 12, "", "", NULL, 0},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static size_t write_samples(char *buf, size_t room)
{
    FILE *out = fmemopen(buf, room, "w");
    uint64_t size = RECORDING_HEADER;
    CHECK(out && recording_begin(out, 42));
    for (size_t i = 0; i < SAMPLES; i++)
        CHECK(recording_write(out, &samples[i], &size));
    CHECK_EQ(ftell(out), (long)size);
    CHECK_EQ(fclose(out), 0);
    return (size_t)size;
}

static bool same(const struct record *a, const struct record *b)
{
    return a->kind == b->kind && a->at_ns == b->at_ns && a->time_ns == b->time_ns &&
           a->count == b->count && a->lost == b->lost && strcmp(a->route, b->route) == 0 &&
           strcmp(a->sender, b->sender) == 0 && a->size == b->size &&
           (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* Records in `buf` up to the first that is not as it was written; how it ended. */
static size_t read_samples(char *buf, size_t size, enum recording_result *ret_end)
{
    struct recording recording;
    struct record record;
    size_t n = 0;
    FILE *in = fmemopen(buf, size, "r");
    CHECK(in != NULL);
    *ret_end = recording_open(&recording, in);
    while (*ret_end == RECORDING_OK &&
           (*ret_end = recording_next(&recording, &record)) == RECORDING_OK) {
        CHECK(n < SAMPLES && same(&record, &samples[n]));
        n++;
    }
    recording_fini(&recording);
    fclose(in);
    return n;
}

TEST(recording, reads_back)
{
    char buf[1024];
    enum recording_result end;
    size_t size = write_samples(buf, sizeof(buf));
    CHECK_EQ(read_samples(buf, size, &end), SAMPLES);
    CHECK_EQ(end, RECORDING_EOF);
}

TEST(recording, rewinds)
{
    char buf[1024];
    struct recording recording;
    struct record record;
    FILE *in = fmemopen(buf, write_samples(buf, sizeof(buf)), "r");
    CHECK(in && recording_open(&recording, in) == RECORDING_OK);
    CHECK_EQ(recording.started_ns, 42);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < SAMPLES; i++)
            CHECK(recording_next(&recording, &record) == RECORDING_OK &&
                  same(&record, &samples[i]));
        CHECK_EQ(recording_next(&recording, &record), RECORDING_EOF);
        CHECK_EQ(recording_rewind(&recording), RECORDING_OK);
    }
    recording_fini(&recording);
    fclose(in);
}

TEST(recording, cut_anywhere_it_is_sound_up_to_the_last_whole_record)
{
    char buf[1024], *exact;
    enum recording_result end;
    size_t size = write_samples(buf, sizeof(buf)), whole = 0;
    for (size_t cut = 1; cut < size; cut++) {
        exact = xcopy(buf, cut);
        size_t n = read_samples(exact, cut, &end);
        CHECK(n >= whole && n < SAMPLES);
        whole = n;
        if (end != RECORDING_CUT && !(end == RECORDING_EOF && cut >= RECORDING_HEADER))
            FAIL("cut at %zu: %d", cut, end);
        xfree(exact);
    }
    CHECK_EQ(whole, SAMPLES - 1);
}

TEST(recording, each_flipped_bit_is_noticed)
{
    char buf[1024];
    enum recording_result end;
    size_t size = write_samples(buf, sizeof(buf));
    for (size_t bit = 0; bit < 8 * size; bit++) {
        buf[bit / 8] ^= (char)(1 << bit % 8);
        size_t n = read_samples(buf, size, &end);
        if (n == SAMPLES || end == RECORDING_OK || end == RECORDING_EOF)
            FAIL("bit %zu of byte %zu: %zu records, %d", bit % 8, bit / 8, n, end);
        buf[bit / 8] ^= (char)(1 << bit % 8);
    }
}

TEST(recording, unknown_kinds_are_skipped)
{
    char buf[1024];
    enum recording_result end;
    struct record later = samples[0];
    uint64_t size = RECORDING_HEADER;
    later.kind = (enum record_kind)77; /* written with the head alone */
    FILE *out = fmemopen(buf, sizeof(buf), "w");
    CHECK(out && recording_begin(out, 42) && recording_write(out, &later, &size));
    for (size_t i = 0; i < SAMPLES; i++)
        CHECK(recording_write(out, &samples[i], &size));
    fclose(out);
    CHECK_EQ(read_samples(buf, size, &end), SAMPLES);
    CHECK_EQ(end, RECORDING_EOF);
}

TEST(recording, too_long_is_refused_whole)
{
    static char route[RECORDING_TEXT_MAX + 2];
    char buf[64];
    memset(route, 'r', sizeof(route) - 1);
    struct record record = {.kind = RECORD_GAP, .route = route, .sender = ""};
    uint64_t size = 0;
    FILE *out = fmemopen(buf, sizeof(buf), "w");
    CHECK(out && !recording_write(out, &record, &size));
    CHECK_EQ(errno, EMSGSIZE);
    CHECK_EQ(size, 0);
    CHECK_EQ(ftell(out), 0);
    fclose(out);
}

TEST(recording, other_files_are_told_apart)
{
    char text[] = "#!/bin/sh\necho this is something else\n", buf[1024];
    enum recording_result end;
    read_samples(text, sizeof(text), &end);
    CHECK_EQ(end, RECORDING_FOREIGN);
    size_t size = write_samples(buf, sizeof(buf));
    buf[11] = 2;
    read_samples(buf, size, &end);
    CHECK_EQ(end, RECORDING_NEWER);
}
