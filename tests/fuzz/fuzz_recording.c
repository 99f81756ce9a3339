/* Target: recordings of traffic.
 *
 *     input   how (1), the file
 *
 * With an odd first byte all CRCs are made to fit, so that what is behind them is reached. What is
 * read, up to the end or the first damage, is within the limits, ends where the file did, and,
 * written anew, reads the same. */
#include "fuzz.h"

#include <zlib.h>

#include "cmd/common/memory.h"
#include "cmd/common/recording.h"

static uint32_t get4(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put4(uint8_t *p, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(n >> (24 - 8 * i));
}

static void mend(uint8_t *data, size_t size)
{
    if (size < RECORDING_HEADER)
        return;
    put4(data + 20, (uint32_t)crc32(0, data, 20));
    for (size_t at = RECORDING_HEADER; size - at >= 8;) {
        uint32_t body = get4(data + at);
        if (body > size - at - 8)
            return;
        put4(data + at + 4, (uint32_t)crc32(crc32(0, data + at, 4), data + at + 8, body));
        at += 8 + body;
    }
}

static void check_same(const struct record *a, const struct record *b)
{
    CHECK(a->kind == b->kind && a->at_ns == b->at_ns && a->time_ns == b->time_ns);
    CHECK(a->count == b->count && a->lost == b->lost && a->size == b->size);
    CHECK_STR(a->route, b->route);
    CHECK_STR(a->sender, b->sender);
    CHECK(a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* Read `data`, and write each record to `out`, or compare it with what `twin` holds. Returns the
 * bytes that were written. */
static uint64_t walk(uint8_t *data, size_t size, FILE *out, struct recording *twin)
{
    struct recording recording;
    struct record record, other;
    uint64_t written = RECORDING_HEADER;
    FILE *in = fmemopen(data, size, "r");
    CHECK(in != NULL);
    enum recording_result result = recording_open(&recording, in);
    if (result == RECORDING_OK && out)
        CHECK(recording_begin(out, recording.started_ns));
    while (result == RECORDING_OK &&
           (result = recording_next(&recording, &record)) == RECORDING_OK) {
        CHECK(recording.offset <= size && record.size <= size);
        if (out)
            CHECK(recording_write(out, &record, &written));
        if (twin) {
            CHECK_EQ(recording_next(twin, &other), RECORDING_OK);
            check_same(&record, &other);
        }
    }
    CHECK(result != RECORDING_EOF || recording.offset == size);
    CHECK(result != RECORDING_FAILED);
    recording_fini(&recording);
    fclose(in);
    return written;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return -1;
    uint8_t *file = exact_copy(data + 1, size - 1);
    if (data[0] & 1)
        mend(file, size - 1);
    char *copy = NULL;
    size_t copied = 0;
    FILE *out = open_memstream(&copy, &copied);
    CHECK(out != NULL);
    uint64_t written = walk(file, size - 1, out, NULL);
    fclose(out);
    if (copied) {
        struct recording twin;
        CHECK_EQ(copied, written);
        FILE *in = fmemopen(copy, copied, "r");
        CHECK(in && recording_open(&twin, in) == RECORDING_OK);
        walk(file, size - 1, NULL, &twin);
        recording_fini(&twin);
        fclose(in);
    }
    free(copy);
    free(file);
    return 0;
}
