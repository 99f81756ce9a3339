/* The processes of a measurement: forked while there is no thread yet, told what to do by messages
 * over a socket each, killed when one of them fails, and gone when the one who started them is. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CREW_MAX 128

enum told {
    TOLD_ADDRESS = 'A', /* member: open, and this is its address */
    TOLD_READY = 'R',   /* member: it can begin */
    TOLD_HEARD = 'H',   /* subscriber: messages reach it */
    TOLD_GO = 'G',      /* to a member: begin */
    TOLD_SENT = 'S',    /* publisher: done, with how many it sent */
    TOLD_END = 'E',     /* subscriber: the end mark has come */
    TOLD_QUIT = 'Q',    /* to a member: end */
};

/* Tell the other side of `fd` (negative: nobody), with up to 256 bytes. */
void crew_tell(int fd, enum told what, const void *data, size_t size);

/* Wait for `what` and its `size` bytes for `timeout_ms` (-1: for ever; 0: look whether it is
 * there). Returns 0; 1: not in time; -1: interrupted, the other side is gone, or it told something
 * else. */
int crew_await(int fd, enum told what, void *data, size_t size, int timeout_ms);

/* From now on SIGINT and SIGTERM end the measurement instead of the process: what waits here gives
 * up. The members do not see a SIGINT. Returns 0, or -1 after an explanation. */
int crew_catch_signals(void);
bool crew_interrupted(void);

/* Sleep until then by bench_now_ns, or until interrupted. */
void crew_sleep_until(uint64_t ns);

struct crew {
    unsigned count;
    struct member {
        const char *role; /* for messages */
        pid_t pid;        /* 0: has ended */
        int fd;
        bool may_fail; /* no reason to give up */
    } members[CREW_MAX];
};

/* Fork a member that runs `role_run(fd, arg)` and exits, with 0 if that returned 0. Returns its
 * index, or -1 after an explanation. */
int crew_start(struct crew *crew, const char *role, int (*role_run)(int fd, void *arg), void *arg);

/* As crew_await of a member, with an explanation when it is late, or when any of them fails.
 * Returns 0 or -1. */
int crew_expect(struct crew *crew, int member, enum told what, void *data, size_t size,
                int timeout_ms);

/* Wait for a member to exit by itself. Returns 0, or -1 after an explanation. */
int crew_join(struct crew *crew, int member, int timeout_ms);

/* Kill who is left. */
void crew_end(struct crew *crew);

#endif
