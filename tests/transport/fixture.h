/* One loop with a listener and any number of stream ends that record what happens to them.
 * Callbacks only record; the test looks at the records between turns of the loop. */
#ifndef TESTS_TRANSPORT_FIXTURE_H
#define TESTS_TRANSPORT_FIXTURE_H

#include "base/prng.h"
#include "base/util.h"
#include "transport/transport.h"

#include "tests/check.h"

enum { ENDS_MAX = 256, FAILSAFE_MS = 20000 };

enum moment_in_life { NEVER_CLOSE, AT_OPEN, AT_ALLOC, AT_READ, AT_WRITTEN, AT_END, AT_ACCEPT };

struct fixture;

struct end {
    struct fixture *f;
    struct stream *s; /* NULL once closed */

    /* What it does. */
    bool hold;                    /* does not read at first */
    bool echo;                    /* writes back what it reads */
    size_t to_send;               /* bytes of the pattern */
    size_t stop_at;               /* stops reading once it has this many; 0: never */
    enum moment_in_life close_at; /* closes inside this callback */

    /* What has happened. */
    unsigned opened, written, ended, closed;
    int open_error, written_error, end_error;
    size_t sent, got;
    bool mismatch;                  /* something else came than the pattern */
    unsigned late, nested;          /* callbacks after close, callbacks inside a call */
    bool closing, in_call, writing; /* writing: until on_written */
    size_t piece;
    size_t buf_len;
    char buf[16 * 1024];
};

struct fixture {
    uv_loop_t loop;
    uv_timer_t failsafe;
    bool timed_out;
    char dir[64]; /* unix: where the socket is; else empty */
    struct url url;
    struct listener *listener;
    bool close_listener_at_accept;
    unsigned listener_errors;
    int listener_error;
    unsigned listens, listener_closed;
    struct end like; /* how accepted ends behave */
    struct end *servers[ENDS_MAX], *clients[ENDS_MAX];
    unsigned server_count, client_count;
    struct prng prng;
};

/* "tcp4", "tcp6", "name", "unix", "inproc". False if this machine lacks it. */
bool fixture_supported(const char *kind);

/* A loop, and the URL to listen on in f->url. */
void fixture_init(struct fixture *f, const char *kind);

/* Listen on f->url, which becomes the real one. */
void fixture_listen(struct fixture *f);

/* Dial f->url. */
struct end *fixture_dial(struct fixture *f, const struct end *like);

/* Close what is open, let the loop run dry, and check that every stream closed exactly once and no
 * callback came at a wrong moment. */
void fixture_fini(struct fixture *f);

void end_close(struct end *e);
void end_read(struct end *e);
void end_stop(struct end *e);

/* Go on sending the pattern until to_send is reached or a write is under way. */
void end_pump(struct end *e);

/* Turn the loop until `cond` holds. */
#define RUN_UNTIL(f, cond)                                                                         \
    do {                                                                                           \
        while (!(cond)) {                                                                          \
            uv_run(&(f)->loop, UV_RUN_ONCE);                                                       \
            if ((f)->timed_out)                                                                    \
                FAIL("waited in vain for %s", #cond);                                              \
        }                                                                                          \
    } while (0)

/* A few turns without waiting, to see that something does not happen. */
void fixture_idle(struct fixture *f);

unsigned count_opened(const struct fixture *f);
unsigned count_over(const struct fixture *f); /* clients refused or ended */

struct url parse_url(const char *text);

#endif
