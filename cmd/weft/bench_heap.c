/* The happy path is a look at malloc's own statistics, which add up all its arenas.
 *
 * Failure: what allocates is not the libc whose statistics these are, but a sanitizer's runtime or
 * a preloaded library. Then they are zero, or stand still, whatever is allocated. */
#include "bench_heap.h"

#include <malloc.h>
#include <stdbool.h>
#include <time.h>

#include "../common/memory.h"

#define PAUSE_NS 100000000 /* between two looks */
#define LOOKS 5            /* in a row that find the same */
#define LOOKS_MAX 100
#define PROBE 65536 /* too large for a thread's cache, whose memory counts as in use already */

size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static bool heap_told(void)
{
    size_t before = heap_bytes();
    void *volatile probe = xresize(NULL, PROBE); /* volatile: or it might be optimised away */
    bool grown = heap_bytes() >= before + PROBE;
    xfree(probe);
    return grown;
}

size_t heap_settled(void)
{
    size_t last = heap_bytes();
    for (int looks = 0, same = 0; looks < LOOKS_MAX && same < LOOKS; looks++) {
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        size_t now = heap_bytes();
        same = now == last ? same + 1 : 0;
        last = now;
    }
    return last;
}

void heap_result(struct result *r, const char *name, double value)
{
    if (heap_told())
        result_number(r, name, value);
    else
        result_untold(r, name, "not told by this allocator");
}
