/* A growing byte buffer with a maximum. Once an append fails the buffer stays failed, so that a
 * caller may append many times and check once. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"

struct buf {
    uint8_t *data; /* NULL while nothing was appended */
    size_t len, cap;
    size_t max;
    int error; /* 0, WEFT_ENOMEM or WEFT_ELIMIT: the first append that failed */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);

/* Forget content and error, keep the memory. */
void buf_reset(struct buf *b);

/* Make room for `size` more bytes and return where they go (length unchanged), or NULL. */
uint8_t *buf_reserve(struct buf *b, size_t size);

/* Append; false if the buffer has failed. */
bool buf_put(struct buf *b, const void *data, size_t size);
bool buf_put_u8(struct buf *b, uint8_t v);
bool buf_put_u32(struct buf *b, uint32_t v); /* big-endian */
bool buf_put_u64(struct buf *b, uint64_t v); /* big-endian */
bool buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Drop `size` bytes from the front, moving the rest down. */
void buf_consume(struct buf *b, size_t size);

/* Big-endian integers in place. */
static inline uint32_t load_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static inline uint64_t load_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

static inline void store_u32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store_u64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof(v));
}

#endif
