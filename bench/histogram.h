/* Durations in buckets of less than one percent of their value, up to an hour. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 7 /* 128 buckets for each power of two */
#define HISTOGRAM_POWERS 36
#define HISTOGRAM_BUCKETS ((HISTOGRAM_POWERS + 1) << HISTOGRAM_BITS)

struct histogram {
    uint64_t samples, max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t ns);

/* The duration that `part` (0 to 1) of the samples do not exceed; 0 without samples. */
uint64_t histogram_quantile(const struct histogram *h, double part);

#endif
