#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

#include "base/mem.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->error = 0;
}

static bool buf_fail(struct buf *b, int error)
{
    if (!b->error)
        b->error = error;
    return false;
}

static bool buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    uint8_t *data = mem_realloc(b->data, cap);
    if (!data)
        return buf_fail(b, WEFT_ENOMEM);
    b->data = data;
    b->cap = cap;
    return true;
}

uint8_t *buf_reserve(struct buf *b, size_t size)
{
    if (b->error)
        return NULL;
    if (size > b->max || b->len > b->max - size) {
        buf_fail(b, WEFT_ELIMIT);
        return NULL;
    }
    if (b->len + size > b->cap || !b->data) {
        if (!buf_grow(b, b->len + size))
            return NULL;
    }
    return b->data + b->len;
}

bool buf_put(struct buf *b, const void *data, size_t size)
{
    uint8_t *to = buf_reserve(b, size);
    if (!to)
        return false;
    if (size)
        memcpy(to, data, size);
    b->len += size;
    return true;
}

bool buf_put_u8(struct buf *b, uint8_t v)
{
    return buf_put(b, &v, 1);
}

bool buf_put_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];
    store_u32(bytes, v);
    return buf_put(b, bytes, sizeof(bytes));
}

bool buf_put_u64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    store_u64(bytes, v);
    return buf_put(b, bytes, sizeof(bytes));
}

bool buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return buf_fail(b, WEFT_EINVAL);
    uint8_t *to = buf_reserve(b, (size_t)n + 1);
    if (!to)
        return false;
    va_start(args, format);
    vsnprintf((char *)to, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
    return true;
}

void buf_consume(struct buf *b, size_t size)
{
    b->len -= size;
    if (b->len && size)
        memmove(b->data, b->data + size, b->len);
}
