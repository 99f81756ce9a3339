/* What the library has of the heap, counted: the C library's own figures count its fragments with
 * it. What is large, buffers that are kept for the next burst, is counted apart from what is small,
 * the records of routes, peers and messages: these are where leaks are. */
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "soak.h"

#define LARGE 32768u /* bytes */

static atomic_size_t small, large;

static void count(void *p, size_t sign)
{
    size_t size = p ? malloc_usable_size(p) : 0;
    atomic_fetch_add_explicit(size < LARGE ? &small : &large, sign * size, memory_order_relaxed);
}

static void *alloc(size_t size)
{
    void *p = malloc(size);
    count(p, 1);
    return p;
}

static void release(void *p)
{
    count(p, (size_t)-1);
    free(p);
}

static void *resize(void *p, size_t size)
{
    count(p, (size_t)-1);
    void *q = realloc(p, size);
    count(q ? q : p, 1);
    return q;
}

int heap_count(void)
{
    return weft_set_allocator(alloc, resize, release);
}

void heap_counts(size_t *ret_small, size_t *ret_large)
{
    *ret_small = atomic_load(&small);
    *ret_large = atomic_load(&large);
}

void *heap_lose(size_t size)
{
    return alloc(size);
}
