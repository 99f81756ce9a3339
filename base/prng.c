#include "base/prng.h"

#include <string.h>

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* The state is filled by splitmix64, as the generator's authors advise. */
void prng_init(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        prng->s[i] = z ^ (z >> 31);
    }
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* The bias of the modulus is under 2^-24 for every span used here (at most 2^40 ns). */
uint64_t prng_between(struct prng *prng, uint64_t low, uint64_t high)
{
    uint64_t span = high - low + 1;
    return span ? low + prng_next(prng) % span : prng_next(prng);
}

void prng_fill(struct prng *prng, void *out, size_t size)
{
    uint8_t *p = out;
    while (size) {
        uint64_t v = prng_next(prng);
        size_t n = size < sizeof(v) ? size : sizeof(v);
        memcpy(p, &v, n);
        p += n;
        size -= n;
    }
}
