/* The n-th allocation fails, for every n until none is left: calls return an error and change
 * nothing, callbacks say so, and nothing leaks. */
#include "fixture.h"

#include <weft/weft.h>

#include "tests/oom/oom.h"

static unsigned accepted, accept_errors, closed, opened;
static int accept_error;

static void on_accept(struct listener *l, struct stream *s, void *user)
{
    accepted++;
    stream_close(s);
}

static void on_error(struct listener *l, int error, void *user)
{
    accept_errors++;
    accept_error = error;
}

static void on_listener_closed(struct listener *l, void *user)
{
    closed++;
}

static void on_open(struct stream *s, int error, void *user)
{
    opened++;
}

static void on_closed(struct stream *s, void *user)
{
    closed++;
}

static const struct listener_handler listener_handler = {
    .on_accept = on_accept, .on_error = on_error, .on_closed = on_listener_closed};
static const struct stream_handler stream_handler = {.on_open = on_open, .on_closed = on_closed};

/* Listen, dial, accept, with the n-th allocation failing. False: fewer than n were made. */
static bool attempt(struct fixture *f, unsigned n)
{
    accepted = accept_errors = closed = opened = 0;
    accept_error = 0;
    oom_arm(n, 1);
    struct url wanted = f->url, real;
    struct listener *l = NULL;
    struct stream *s = NULL;
    unsigned to_close = 0;
    int rc = transport_listen(&f->loop, &wanted, &listener_handler, NULL, &l, &real);
    if (rc == 0) {
        to_close++;
        rc = transport_dial(&f->loop, &real, &stream_handler, NULL, &s);
    }
    if (rc == 0) {
        to_close++;
        RUN_UNTIL(f, opened && accepted + accept_errors > 0);
        CHECK(!accept_errors || accept_error == WEFT_ENOMEM);
        CHECK_EQ(accept_errors > 0, oom_failed());
        stream_close(s);
    } else {
        CHECK_EQ(rc, WEFT_ENOMEM);
        CHECK(oom_failed() && !s);
    }
    oom_relent();
    if (l)
        listener_close(l);
    RUN_UNTIL(f, closed == to_close);
    CHECK_EQ(oom_living(), 0);
    return oom_failed();
}

static void case_out_of_memory(const char *kind)
{
    struct fixture f;
    fixture_init(&f, kind);
    unsigned n = 1;
    while (attempt(&f, n))
        n++;
    CHECK(n > 3); /* listener, dialled stream and accepted stream at least */
    fixture_fini(&f);
}

TEST(memory, tcp)
{
    case_out_of_memory("tcp4");
}

TEST(memory, name)
{
    case_out_of_memory("name");
}

TEST(memory, unix_socket)
{
    case_out_of_memory("unix");
}

TEST(memory, inproc)
{
    case_out_of_memory("inproc");
}
