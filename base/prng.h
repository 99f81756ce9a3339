/* A seeded generator (xoshiro256**, Blackman and Vigna, public domain). Cores draw all their chance
 * from one of these, handed in, so that a seed replays a run. Not for secrets. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t s[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);

/* Uniform in [low, high], both included. */
uint64_t prng_between(struct prng *prng, uint64_t low, uint64_t high);

void prng_fill(struct prng *prng, void *out, size_t size);

#endif
