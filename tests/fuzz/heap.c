/* An allocator that counts and, when told to, fails. malloc_usable_size tells what a block has, so
 * that blocks need no header and the sanitizers watch both of their ends. */
#include "fuzz.h"

#include <malloc.h>

#include <weft/weft.h>

static struct {
    size_t live, peak;
    uint32_t until_failure, failures;
    bool failed, calm;
} heap;

static bool fails(void)
{
    if (heap.failures == 0 || heap.calm)
        return false;
    if (heap.until_failure > 1) {
        heap.until_failure--;
        return false;
    }
    heap.failures--;
    heap.failed = true;
    return true;
}

static void *counted(void *p)
{
    heap.live += p ? malloc_usable_size(p) : 0;
    if (heap.live > heap.peak)
        heap.peak = heap.live;
    return p;
}

static void *watched_alloc(size_t size)
{
    return fails() ? NULL : counted(malloc(size));
}

static void *watched_resize(void *p, size_t size)
{
    if (fails())
        return NULL;
    size_t before = p ? malloc_usable_size(p) : 0;
    void *q = realloc(p, size);
    if (q)
        heap.live -= before;
    return q ? counted(q) : NULL;
}

static void watched_release(void *p)
{
    heap.live -= p ? malloc_usable_size(p) : 0;
    free(p);
}

void heap_watch(void)
{
    memset(&heap, 0, sizeof(heap));
    weft_set_allocator(watched_alloc, watched_resize, watched_release);
}

size_t heap_live(void)
{
    return heap.live;
}

size_t heap_peak(void)
{
    return heap.peak;
}

void heap_mark(void)
{
    heap.peak = heap.live;
}

void heap_fail(uint32_t n, uint32_t count)
{
    heap.until_failure = n;
    heap.failures = n ? count : 0;
    heap.failed = false;
}

bool heap_failed(void)
{
    return heap.failed;
}

void heap_calm(bool on)
{
    heap.calm = on;
}

uint8_t *exact_copy(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    return copy;
}
