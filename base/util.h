/* Small things every floor uses. */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)
#define NEVER UINT64_MAX /* a deadline that does not come */

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define unlikely(x) __builtin_expect(!!(x), 0)
#define likely(x) __builtin_expect(!!(x), 1)
#else
#define PRINTF_LIKE(fmt, args)
#define unlikely(x) (x)
#define likely(x) (x)
#endif

/* In a loop that looks at memory until another thread writes to it. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* A counter of the processor that runs evenly and is cheaper to read than a clock; 0 where there is
 * none. CPU_TICKS_SHORT of it are at most some microseconds on any machine. */
static inline uint64_t cpu_ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}
#define CPU_TICKS_SHORT 4096u

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A moment, as the caller read it: cores have no clock of their own. Schedules use mono_ns alone,
 * so that a step of the wall clock moves nothing. */
struct moment {
    uint64_t mono_ns; /* monotonic */
    uint64_t wall_ns; /* since the epoch */
};

#endif
