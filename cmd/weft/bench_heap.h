/* How much of the heap is in use: what this process holds by malloc, wherever it was called, and in
 * whichever arena it lies. What the allocator keeps of freed memory is not in use; what a thread
 * caches for itself cannot be told from what is, a few KiB a thread. */
#ifndef CMD_WEFT_BENCH_HEAP_H
#define CMD_WEFT_BENCH_HEAP_H

#include <stddef.h>

#include "../../bench/result.h"

size_t heap_bytes(void);

/* The same once it has not changed for half a second, or after ten seconds at the latest. */
size_t heap_settled(void);

/* Add a figure that comes from these sizes; or, if the allocator in use does not tell them, that it
 * is not told. To be called while no other thread allocates. */
void heap_result(struct result *r, const char *name, double value);

#endif
