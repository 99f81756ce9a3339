/* The 64-bit hash that digests sum up (docs/protocol.md section 5): FNV-1a. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH64_SEED UINT64_C(0xcbf29ce484222325)

static inline uint64_t hash64(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

#endif
