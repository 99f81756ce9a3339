/* The unfinished part of a write. A write of up to REST_INLINE buffers needs no memory of its own;
 * a longer one takes an array from the heap for as long as it lasts. */
#include "transport/private.h"

#include <assert.h>
#include <string.h>

#include <weft/weft.h>

#include "base/mem.h"

int rest_keep(struct rest *r, const uv_buf_t *bufs, unsigned count, size_t done)
{
    assert(!r->bufs);
    while (count > 0 && done >= bufs->len) {
        done -= bufs->len;
        bufs++;
        count--;
    }
    assert(count > 0);

    uv_buf_t *copy = r->few;
    if (count > REST_INLINE) {
        copy = mem_alloc(count * sizeof(*copy));
        if (!copy)
            return WEFT_ENOMEM;
    }
    memcpy(copy, bufs, count * sizeof(*copy));
    r->bufs = copy;
    r->count = count;
    r->next = 0;
    rest_skip(r, done);
    return 0;
}

void rest_skip(struct rest *r, size_t size)
{
    while (r->next < r->count && size >= r->bufs[r->next].len)
        size -= r->bufs[r->next++].len;
    if (size == 0)
        return;
    assert(r->next < r->count);
    r->bufs[r->next].base += size;
    r->bufs[r->next].len -= size;
}

bool rest_empty(const struct rest *r)
{
    return r->next == r->count;
}

size_t rest_bytes(const struct rest *r)
{
    size_t bytes = 0;
    for (unsigned i = r->next; i < r->count; i++)
        bytes += r->bufs[i].len;
    return bytes;
}

void rest_clear(struct rest *r)
{
    if (r->bufs != r->few)
        mem_free(r->bufs);
    r->bufs = NULL;
    r->count = r->next = 0;
}
