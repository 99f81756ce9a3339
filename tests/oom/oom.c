#include "tests/oom/oom.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

#define RUN_SECONDS 60 /* a run takes milliseconds; who needs longer hangs */
#if TSAN               /* each run takes ten times as long */
#define RUNS_MAX 60
#else
#define RUNS_MAX 400
#endif
#define PATIENCE 3 /* calls that fail before memory comes back, in the mode AWHILE */

static const char *const mode_names[] = {"once", "awhile", "on"};

/* ---- The allocator ---- */

static struct {
    atomic_uint_fast64_t count, first, failures; /* first 0: none fails */
    atomic_int_fast64_t living;
    atomic_bool failed;
    bool paused;
    bool descriptors; /* are what is counted */
    unsigned asked;   /* times oom_again was told of a failure */
} heap;

static bool fails(uint64_t n)
{
    uint64_t first = atomic_load(&heap.first);
    return first && n >= first && n - first < atomic_load(&heap.failures);
}

static void trace(void)
{
    void *frames[32];
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
}

static bool may_have_one(void)
{
    if (heap.paused)
        return true;
    if (!fails(atomic_fetch_add(&heap.count, 1) + 1))
        return true;
    if (!atomic_exchange(&heap.failed, true) && getenv("WEFT_OOM_TRACE"))
        trace();
    return false;
}

static bool may_allocate(void)
{
    return heap.descriptors || may_have_one();
}

bool oom_descriptor(void)
{
    return !heap.descriptors || may_have_one();
}

/* What is not written to is no zero by chance. */
void *oom_alloc(size_t size)
{
    void *p = may_allocate() ? malloc(size) : NULL;
    if (!p)
        return NULL;
    atomic_fetch_add(&heap.living, 1);
    return memset(p, 0xA5, size < 4096 ? size : 4096);
}

void *oom_zalloc(size_t count, size_t size)
{
    void *p = may_allocate() ? calloc(count, size) : NULL;
    atomic_fetch_add(&heap.living, p != NULL);
    return p;
}

void *oom_resize(void *p, size_t size)
{
    if (!p)
        return oom_alloc(size);
    return may_allocate() ? realloc(p, size) : NULL;
}

void *oom_resize_always(void *p, size_t size)
{
    atomic_fetch_add(&heap.living, p == NULL);
    return realloc(p, size);
}

void oom_release(void *p)
{
    atomic_fetch_sub(&heap.living, p != NULL);
    free(p);
}

void oom_arm(uint64_t n, uint64_t failures)
{
    CHECK_EQ(weft_set_allocator(oom_alloc, oom_resize, oom_release), 0);
    atomic_store(&heap.first, n);
    atomic_store(&heap.failures, failures);
    atomic_store(&heap.count, 0);
    atomic_store(&heap.living, 0);
    atomic_store(&heap.failed, false);
    heap.asked = 0;
}

void oom_arm_descriptors(void)
{
    oom_arm(0, 0);
    heap.descriptors = true;
}

void oom_exhaust_after(uint64_t n)
{
    atomic_store(&heap.failures, UINT64_MAX);
    atomic_store(&heap.first, oom_count() + n + 1);
}

bool oom_failed(void)
{
    return atomic_load(&heap.failed);
}

bool oom_failing(void)
{
    return fails(atomic_load(&heap.count) + 1);
}

void oom_relent(void)
{
    atomic_store(&heap.failures, 0);
}

void oom_pause(bool on)
{
    heap.paused = on;
}

uint64_t oom_n(void)
{
    return atomic_load(&heap.first);
}

uint64_t oom_count(void)
{
    return atomic_load(&heap.count);
}

int64_t oom_living(void)
{
    return atomic_load(&heap.living);
}

/* ---- The scenario's side ---- */

/* Shared with the parent, which tells it when the child has died. */
static struct progress {
    uint64_t n, runs, allocations, failures;
    enum oom_mode mode;
} * now;

enum oom_mode oom_mode(void)
{
    return now ? now->mode : OOM_ONCE;
}

bool oom_ok(int rc)
{
    int wanted = heap.descriptors ? WEFT_EMFILE : WEFT_ENOMEM;
    if (rc < 0 && (rc != wanted || !oom_failed()))
        FAIL("%s where %s", weft_err_name(rc),
             oom_failed() ? "only memory or descriptors were short" : "nothing was short");
    return rc >= 0;
}

bool oom_again(int rc)
{
    if (oom_ok(rc))
        return false;
    if (oom_mode() == OOM_ON)
        return false;
    if (++heap.asked >= PATIENCE)
        oom_relent();
    return true;
}

/* ---- Playing ---- */

static uint64_t failures(const struct oom_plan *plan, enum oom_mode mode)
{
    if (mode == OOM_ONCE)
        return 1;
    return mode == OOM_AWHILE && plan->awhile ? plan->awhile : UINT64_MAX;
}

static void play_once(const struct oom_plan *plan, uint64_t n, enum oom_mode mode,
                      void (*scenario)(void))
{
    now->n = n;
    now->mode = mode;
    oom_arm(n, failures(plan, mode));
    alarm(RUN_SECONDS);
    scenario();
    alarm(0);
    now->runs++;
    now->failures += oom_failed();
    for (int ms = 0; oom_living() != 0 && ms < 1000 * RUN_SECONDS; ms++)
        usleep(1000); /* a thread that looks up a name goes on by itself for as long as it takes */
    if (oom_living() != 0)
        FAIL("%lld blocks are left", (long long)oom_living());
}

static uint64_t stride(const struct oom_plan *plan, uint64_t count)
{
    const char *step = getenv("WEFT_OOM_STEP");
    if (step)
        return strtoull(step, NULL, 10);
    uint64_t max = plan->runs_max ? plan->runs_max : RUNS_MAX;
    bool sample = INSTRUMENTED || plan->runs_max;
    return sample && count > max ? (count + max - 1) / max : 1;
}

static void play_mode(const struct oom_plan *plan, enum oom_mode mode, void (*scenario)(void))
{
    if (plan->modes && !(plan->modes & 1u << mode))
        return;
    play_once(plan, 0, mode, scenario);
    uint64_t count = now->allocations = oom_count();
    if (count < plan->at_least)
        FAIL("%llu were wanted; %u were expected at least", (unsigned long long)count,
             plan->at_least);
    unsigned quiet = 0, enough = plan->quiet ? plan->quiet : 1;
    uint64_t step = stride(plan, count);
    for (uint64_t n = 1; quiet < enough; n += step) {
        play_once(plan, n, mode, scenario);
        quiet = oom_failed() ? 0 : quiet + 1;
    }
}

static enum oom_mode mode_wanted(void)
{
    const char *name = getenv("WEFT_OOM_MODE");
    for (unsigned i = 0; name && i < OOM_MODES; i++) {
        if (strcmp(name, mode_names[i]) == 0)
            return (enum oom_mode)i;
    }
    return OOM_ONCE;
}

static void play(const struct oom_plan *plan, void (*scenario)(void))
{
    const char *n = getenv("WEFT_OOM_N");
    if (n) {
        play_once(plan, strtoull(n, NULL, 10), mode_wanted(), scenario);
        return;
    }
    for (unsigned mode = 0; mode < OOM_MODES; mode++)
        play_mode(plan, (enum oom_mode)mode, scenario);
}

void oom_each(const char *name, const struct oom_plan *plan, void (*scenario)(void))
{
    static const struct oom_plan plain;
    now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(now != MAP_FAILED);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        heap.descriptors = plan && plan->descriptors;
        play(plan ? plan : &plain, scenario);
        exit(0); /* through LeakSanitizer */
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (plan && plan->file)
        unlink(plan->file);
    if (status != 0)
        FAIL("%s: %s %d; again: WEFT_OOM_N=%llu WEFT_OOM_MODE=%s", name,
             WIFSIGNALED(status) ? WTERMSIG(status) == SIGALRM ? "hung, signal" : "signal"
                                 : "exit code",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             (unsigned long long)now->n, mode_names[now->mode]);
    printf("%s: %llu wanted, %llu runs, %llu with a failure\n", name,
           (unsigned long long)now->allocations, (unsigned long long)now->runs,
           (unsigned long long)now->failures);
    munmap(now, sizeof(*now));
    now = NULL;
}
