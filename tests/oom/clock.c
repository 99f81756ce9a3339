#include "tests/oom/clock.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

static atomic_uint_fast64_t skipped;

void clock_skip(uint64_t ns)
{
    atomic_fetch_add(&skipped, ns);
}

uint64_t clock_skipped(void)
{
    return atomic_load(&skipped);
}

/* Found by the dynamic linker before libc's. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
    long rc = syscall(SYS_clock_gettime, id, ts);
    if (rc < 0)
        return -1;
    uint64_t ns = (uint64_t)ts->tv_nsec + atomic_load(&skipped);
    ts->tv_sec += (time_t)(ns / SECOND);
    ts->tv_nsec = (long)(ns % SECOND);
    return 0;
}
