/* The happy path is a look at malloc's own statistics, which add up all its arenas. */
#include "bench_heap.h"

#include <malloc.h>
#include <time.h>

#define PAUSE_NS 100000000 /* between two looks */
#define LOOKS 5            /* in a row that find the same */
#define LOOKS_MAX 100

size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
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
