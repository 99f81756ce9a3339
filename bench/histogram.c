#include "histogram.h"

#define FINE (UINT64_C(1) << HISTOGRAM_BITS)

/* Below FINE a bucket is a nanosecond; above, the leading bits after the first choose one of FINE
 * buckets of that power of two. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < FINE)
        return (unsigned)ns;
    unsigned power = 63 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(ns);
    if (power >= HISTOGRAM_POWERS)
        return HISTOGRAM_BUCKETS - 1;
    return (unsigned)(((power + 1) << HISTOGRAM_BITS) + ((ns >> power) & (FINE - 1)));
}

static uint64_t middle_of(unsigned bucket)
{
    uint64_t power = bucket >> HISTOGRAM_BITS, low = bucket & (FINE - 1);
    if (power == 0)
        return low;
    power--;
    return ((FINE + low) << power) + ((UINT64_C(1) << power) >> 1);
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->samples++;
    h->max_ns = ns > h->max_ns ? ns : h->max_ns;
    h->buckets[bucket_of(ns)]++;
}

uint64_t histogram_quantile(const struct histogram *h, double part)
{
    uint64_t seen = 0, wanted = (uint64_t)(part * (double)h->samples);
    if (h->samples == 0)
        return 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > wanted || seen == h->samples)
            return middle_of(i) < h->max_ns ? middle_of(i) : h->max_ns;
    }
    return h->max_ns;
}
