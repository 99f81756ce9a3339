/* What the harness of the benchmark must notice: a loss, a wrong order, damage; and that what it
 * says of durations is near the truth. */
#include "../check.h"

#include "../../bench/bench.h"

#define SIZE 64

static struct sink sink;
static uint8_t payload[SIZE];

static void fresh(void)
{
    struct bench_setup setup = {.size = SIZE};
    sink_init(&sink, &setup);
}

static void give(uint64_t number)
{
    memcpy(payload, &number, sizeof(number));
    memcpy(payload + SIZE - sizeof(number), &number, sizeof(number));
    sink_take(&sink, payload, SIZE);
}

static void give_mark(uint64_t kind, uint64_t count)
{
    struct mark mark = {.kind = kind, .count = count};
    sink_take(&sink, &mark, sizeof(mark));
}

static void check(uint64_t received, uint64_t lost, uint64_t wrong)
{
    CHECK_EQ(sink_received(&sink), received);
    CHECK_EQ(atomic_load(&sink.lost), lost);
    CHECK_EQ(atomic_load(&sink.wrong), wrong);
}

TEST(sink, in_order)
{
    fresh();
    give_mark(MARK_HELLO, 0);
    give_mark(MARK_HELLO, 0);
    for (uint64_t i = 0; i < 1000; i++)
        give(i);
    check(1000, 0, 0);
    CHECK(!sink_done(&sink));
    give_mark(MARK_END, 1000);
    CHECK(sink_done(&sink));
    check(1000, 0, 0);
    CHECK(sink.first_ns > 0 && sink.last_ns >= sink.first_ns);
    give_mark(MARK_END, 1000); /* it is repeated */
    check(1000, 0, 0);
}

TEST(sink, losses)
{
    fresh();
    give(2); /* 0 and 1 */
    give(3);
    give(7); /* 4, 5 and 6 */
    check(3, 5, 0);
    give_mark(MARK_END, 10); /* 8 and 9 */
    check(3, 7, 0);
}

TEST(sink, nothing_came)
{
    fresh();
    give_mark(MARK_HELLO, 0);
    give_mark(MARK_END, 5);
    check(0, 5, 0);
}

TEST(sink, twice_and_out_of_order)
{
    fresh();
    give(0);
    give(0);
    check(1, 0, 1);
    give(2);
    give(1);
    check(2, 1, 2);
    give(3);
    check(3, 1, 2);
}

TEST(sink, more_than_were_sent)
{
    fresh();
    give(0);
    give(1);
    give_mark(MARK_END, 1);
    CHECK_EQ(atomic_load(&sink.wrong), 1);
}

TEST(sink, damage)
{
    fresh();
    give(0);
    uint64_t number = 1, other = 2;
    memcpy(payload, &number, sizeof(number));
    memcpy(payload + SIZE - sizeof(other), &other, sizeof(other));
    sink_take(&sink, payload, SIZE); /* the end of another message */
    check(1, 0, 1);
    give(1);
    for (volatile size_t size = 0; size < SIZE; size++)
        if (size != sizeof(struct mark))
            sink_take(&sink, payload, size);
    check(2, 0, SIZE);
}

/* Every payload of the ring has its number at both ends when it is handed out. */
static void run_feed(size_t size)
{
    struct bench_setup setup = {.size = size};
    struct feed feed;
    CHECK_EQ(feed_init(&feed, &setup), 0);
    sink_init(&sink, &setup);
    feed.until_ns = UINT64_MAX;
    for (int i = 0; i < 5000; i++)
        sink_take(&sink, feed_next(&feed), size);
    CHECK_EQ(feed.next, 5000);
    check(5000, 0, 0);
    feed.until_ns = 0;
    while (feed_next(&feed))
        ;
    CHECK(feed.next < 5000 + 256);
    feed_fini(&feed);
}

TEST(feed, numbers)
{
    static const size_t sizes[] = {16, 17, 24, 255, 256, 1000, 1024, 1025, 65536};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        run_feed(sizes[i]);
}

static struct histogram histogram;

TEST(histogram, quantiles)
{
    static const struct {
        double part;
        uint64_t ns;
    } expected[] = {{0.5, 500000}, {0.9, 900000}, {0.99, 990000}, {0.999, 999000}, {1, 1000000}};
    CHECK_EQ(histogram_quantile(&histogram, 0.5), 0);
    for (uint64_t ns = 1000000; ns > 0; ns--)
        histogram_add(&histogram, ns);
    CHECK_EQ(histogram.samples, 1000000);
    CHECK_EQ(histogram.max_ns, 1000000);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        uint64_t got = histogram_quantile(&histogram, expected[i].part), want = expected[i].ns;
        if (got < want - want / 100 || got > want + want / 100)
            FAIL("%g: %llu", expected[i].part, (unsigned long long)got);
    }
}

TEST(histogram, extremes)
{
    histogram_add(&histogram, 0);
    CHECK_EQ(histogram_quantile(&histogram, 1), 0);
    for (unsigned shift = 0; shift < 64; shift++)
        histogram_add(&histogram, UINT64_C(1) << shift);
    histogram_add(&histogram, UINT64_MAX);
    CHECK(histogram.max_ns == UINT64_MAX);
    CHECK_EQ(histogram.samples, 66);
    CHECK(histogram_quantile(&histogram, 1) > UINT64_C(3600) * 1000000000);
}
