/* inproc between two loops on two threads. The other thread only records; the test checks. */
#include "fixture.h"

#include <pthread.h>

#include <weft/weft.h>

enum { ROUNDS = 200, BURST = 10, BULK = 16 * 1024 * 1024 };

/* A loop on its own thread that listens until it is told to stop. */
struct server {
    struct fixture f;
    pthread_t thread;
    uv_async_t stop;
    uv_sem_t listening;
    bool stopped;
};

static void on_stop(uv_async_t *async)
{
    struct server *s = async->data;
    s->stopped = true;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    fixture_listen(&s->f);
    uv_sem_post(&s->listening);
    while (!s->stopped && !s->f.timed_out) {
        uv_run(&s->f.loop, UV_RUN_ONCE);
        if (s->f.listener_closed == s->f.listens)
            fixture_listen(&s->f);
    }
    uv_close((uv_handle_t *)&s->stop, NULL);
    return NULL;
}

static void start(struct server *s, const struct end *like, bool one_each)
{
    fixture_init(&s->f, "inproc");
    s->f.like = *like;
    s->f.close_listener_at_accept = one_each; /* then it listens anew */
    CHECK_EQ(uv_async_init(&s->f.loop, &s->stop, on_stop), 0);
    CHECK_EQ(uv_sem_init(&s->listening, 0), 0);
    s->stop.data = s;
    CHECK_EQ(pthread_create(&s->thread, NULL, serve, s), 0);
    uv_sem_wait(&s->listening);
}

static void stop(struct server *s)
{
    uv_async_send(&s->stop);
    CHECK_EQ(pthread_join(s->thread, NULL), 0);
    uv_sem_destroy(&s->listening);
    CHECK(!s->f.timed_out);
    for (unsigned i = 0; i < s->f.server_count; i++)
        CHECK(!s->f.servers[i]->mismatch);
    fixture_fini(&s->f);
}

TEST(inproc_threads, bulk_both_ways)
{
    static struct server server;
    static struct fixture f;
    fixture_init(&f, "inproc");
    struct end like = {.to_send = BULK};
    start(&server, &like, false);
    struct end *c = fixture_dial(&f, &like);
    RUN_UNTIL(&f, c->got == BULK && c->sent == BULK);
    CHECK(!c->mismatch);
    end_close(c);
    RUN_UNTIL(&f, c->closed);
    stop(&server);
    fixture_fini(&f);
}

static bool settled(const struct end *e)
{
    return e->closed || e->open_error || e->ended || e->written_error || e->got == e->to_send;
}

/* Ends close at every moment of their life, and the listener after each connection, while the other
 * thread dials, writes and reads. */
TEST(inproc_threads, closing_at_every_moment)
{
    static struct server server;
    static struct fixture f;
    fixture_init(&f, "inproc");
    struct end echo = {.echo = true};
    start(&server, &echo, true);
    for (int i = 0; i < ROUNDS; i += BURST) {
        for (int k = 0; k < BURST; k++) {
            struct end like = {.to_send = 400000};
            like.close_at = (enum moment_in_life)((i / BURST + k) % AT_ACCEPT);
            fixture_dial(&f, &like);
        }
        for (int k = 0; k < BURST; k++)
            RUN_UNTIL(&f, settled(f.clients[i + k]));
    }
    for (unsigned i = 0; i < f.client_count; i++)
        CHECK(!f.clients[i]->mismatch);
    stop(&server);
    fixture_fini(&f);
}

/* The other thread's loop is gone while this end still writes. */
TEST(inproc_threads, other_loop_goes_first)
{
    static struct server server;
    static struct fixture f;
    fixture_init(&f, "inproc");
    struct end hold = {.hold = true}, like = {.to_send = BULK};
    start(&server, &hold, false);
    struct end *c = fixture_dial(&f, &like);
    RUN_UNTIL(&f, c->writing);
    stop(&server);
    RUN_UNTIL(&f, c->written_error && c->ended);
    CHECK_EQ(c->written_error, WEFT_ELOST);
    CHECK_EQ(c->end_error, WEFT_ECLOSED);
    fixture_fini(&f);
}
