#include "fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft/weft.h>

#include "base/mem.h"

enum { PATTERN = 1024 * 1024 - 3, PIECE_MAX = 150000, BUFS_MAX = 40, SEED = 20240817 };

/* The bytes every end sends, over and over. They stay in place, as writes want it. */
static char pattern[PATTERN];

static const struct stream_handler stream_handler;
static const struct listener_handler listener_handler;

struct url parse_url(const char *text)
{
    struct url url;
    size_t where = 0;
    if (url_parse(text, strlen(text), &url, &where) < 0)
        FAIL("%s: malformed at %zu", text, where);
    return url;
}

/* ---- Ends ---- */

static bool note(struct end *e, enum moment_in_life at)
{
    e->late += e->closing;
    e->nested += e->in_call;
    uv_stop(&e->f->loop); /* the test looks before the loop waits again */
    if (e->close_at != at || e->closing)
        return false;
    end_close(e);
    return true;
}

void end_close(struct end *e)
{
    e->closing = true;
    e->in_call = true;
    stream_close(e->s);
    stream_close(e->s); /* twice is harmless */
    e->in_call = false;
}

void end_read(struct end *e)
{
    e->in_call = true;
    CHECK_EQ(stream_read_start(e->s), 0);
    e->in_call = false;
}

void end_stop(struct end *e)
{
    e->in_call = true;
    stream_read_stop(e->s);
    e->in_call = false;
}

static int write_bufs(struct end *e, const uv_buf_t *bufs, unsigned count)
{
    e->in_call = true;
    int rc = stream_write(e->s, bufs, count);
    e->in_call = false;
    e->writing = rc == 0;
    if (rc < 0)
        e->written_error = rc;
    return rc;
}

void end_pump(struct end *e)
{
    while (e->sent < e->to_send && !e->writing && !e->written_error && !e->closing) {
        size_t at = e->sent % PATTERN;
        size_t left = min_size(e->to_send - e->sent, PATTERN - at);
        e->piece = (size_t)prng_between(&e->f->prng, 1, min_size(left, PIECE_MAX));
        unsigned count = (unsigned)prng_between(&e->f->prng, 1, BUFS_MAX);
        uv_buf_t bufs[BUFS_MAX];
        size_t done = 0;
        for (unsigned i = 0; i < count; i++) {
            size_t n = i + 1 == count ? e->piece - done
                                      : (size_t)prng_between(&e->f->prng, 0, e->piece - done);
            bufs[i] = uv_buf_init(pattern + at + done, (unsigned)n);
            done += n;
        }
        if (write_bufs(e, bufs, count) == 1)
            e->sent += e->piece;
    }
}

static void on_open(struct stream *s, int error, void *user)
{
    struct end *e = user;
    e->opened++;
    e->open_error = error;
    if (note(e, AT_OPEN) || error)
        return;
    if (!e->hold)
        end_read(e);
    end_pump(e);
}

static void on_alloc(struct stream *s, uv_buf_t *ret_buf, void *user)
{
    struct end *e = user;
    if (note(e, AT_ALLOC))
        return;
    *ret_buf = uv_buf_init(e->buf, sizeof(e->buf));
}

static void on_read(struct stream *s, size_t size, void *user)
{
    struct end *e = user;
    for (size_t i = 0; i < size;) {
        size_t at = (e->got + i) % PATTERN, n = min_size(size - i, PATTERN - at);
        e->mismatch |= memcmp(e->buf + i, pattern + at, n) != 0;
        i += n;
    }
    e->got += size;
    if (note(e, AT_READ))
        return;
    if (e->stop_at && e->got >= e->stop_at)
        end_stop(e);
    uv_buf_t buf = uv_buf_init(e->buf, (unsigned)size);
    if (e->echo && write_bufs(e, &buf, 1) == 0)
        end_stop(e);
}

static void on_written(struct stream *s, int error, void *user)
{
    struct end *e = user;
    e->written++;
    e->writing = false;
    e->written_error = error;
    if (!error)
        e->sent += e->piece;
    if (note(e, AT_WRITTEN) || error)
        return;
    if (e->echo)
        end_read(e);
    end_pump(e);
}

static void on_end(struct stream *s, int error, void *user)
{
    struct end *e = user;
    e->ended++;
    e->end_error = error;
    note(e, AT_END);
}

static void on_closed(struct stream *s, void *user)
{
    struct end *e = user;
    e->nested += e->in_call;
    e->closed++;
    e->s = NULL;
}

static const struct stream_handler stream_handler = {
    .on_open = on_open,
    .on_alloc = on_alloc,
    .on_read = on_read,
    .on_written = on_written,
    .on_end = on_end,
    .on_closed = on_closed,
};

static struct end *new_end(struct fixture *f, const struct end *like)
{
    struct end *e = mem_zalloc(sizeof(*e));
    if (!e)
        abort();
    if (like)
        *e = *like;
    e->f = f;
    return e;
}

/* ---- The listener ---- */

static void on_accept(struct listener *l, struct stream *s, void *user)
{
    struct fixture *f = user;
    if (f->close_listener_at_accept && f->listener) {
        f->listener = NULL;
        listener_close(l);
    }
    if (f->like.close_at == AT_ACCEPT) {
        f->server_count++;
        stream_close(s);
        return;
    }
    struct end *e = new_end(f, &f->like);
    f->servers[f->server_count++] = e;
    e->s = s;
    stream_accept_start(s, &stream_handler, e);
    if (!e->hold)
        end_read(e);
    end_pump(e);
}

static void on_error(struct listener *l, int error, void *user)
{
    struct fixture *f = user;
    f->listener_errors++;
    f->listener_error = error;
}

static void on_listener_closed(struct listener *l, void *user)
{
    struct fixture *f = user;
    f->listener_closed++;
}

static const struct listener_handler listener_handler = {
    .on_accept = on_accept,
    .on_error = on_error,
    .on_closed = on_listener_closed,
};

/* ---- The whole ---- */

bool fixture_supported(const char *kind)
{
    if (strcmp(kind, "tcp6") != 0)
        return true;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool works = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
    if (fd >= 0)
        close(fd);
    return works;
}

static void on_failsafe(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    f->timed_out = true;
}

void fixture_init(struct fixture *f, const char *kind)
{
    memset(f, 0, sizeof(*f));
    struct prng prng;
    prng_init(&prng, SEED);
    prng_fill(&prng, pattern, sizeof(pattern));
    prng_init(&f->prng, SEED + 1);
    CHECK_EQ(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->failsafe);
    f->failsafe.data = f;
    uv_timer_start(&f->failsafe, on_failsafe, FAILSAFE_MS, 0);

    char text[128];
    if (strcmp(kind, "tcp4") == 0) {
        snprintf(text, sizeof(text), "tcp://127.0.0.1:0/t");
    } else if (strcmp(kind, "tcp6") == 0) {
        snprintf(text, sizeof(text), "tcp://[::1]:0/t");
    } else if (strcmp(kind, "name") == 0) {
        snprintf(text, sizeof(text), "tcp://localhost:0/t");
    } else if (strcmp(kind, "unix") == 0) {
        snprintf(f->dir, sizeof(f->dir), "/tmp/weft-test-XXXXXX");
        CHECK(mkdtemp(f->dir));
        snprintf(text, sizeof(text), "unix://%s/t.sock/t", f->dir);
    } else {
        snprintf(text, sizeof(text), "inproc://test/t");
    }
    f->url = parse_url(text);
}

void fixture_listen(struct fixture *f)
{
    struct url wanted = f->url;
    CHECK_EQ(transport_listen(&f->loop, &wanted, &listener_handler, f, &f->listener, &f->url), 0);
    f->listens++;
}

struct end *fixture_dial(struct fixture *f, const struct end *like)
{
    struct end *e = new_end(f, like);
    e->in_call = true;
    CHECK_EQ(transport_dial(&f->loop, &f->url, &stream_handler, e, &e->s), 0);
    e->in_call = false;
    f->clients[f->client_count++] = e;
    return e;
}

void fixture_idle(struct fixture *f)
{
    for (int i = 0; i < 20; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void close_all(struct end **ends, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (ends[i] && ends[i]->s && !ends[i]->closing)
            end_close(ends[i]);
}

static unsigned count_open(struct end *const *ends, unsigned count)
{
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++)
        n += ends[i] && ends[i]->s;
    return n;
}

static void check_all(struct end **ends, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!ends[i])
            continue;
        CHECK_EQ(ends[i]->closed, 1);
        CHECK_EQ(ends[i]->late, 0);
        CHECK_EQ(ends[i]->nested, 0);
        CHECK(ends[i]->opened <= 1 && ends[i]->ended <= 1);
        mem_free(ends[i]);
    }
}

void fixture_fini(struct fixture *f)
{
    close_all(f->clients, f->client_count);
    close_all(f->servers, f->server_count);
    if (f->listener)
        listener_close(f->listener);
    f->listener = NULL;
    RUN_UNTIL(f, count_open(f->clients, f->client_count) == 0);
    RUN_UNTIL(f, count_open(f->servers, f->server_count) == 0);
    uv_close((uv_handle_t *)&f->failsafe, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&f->loop), 0);
    CHECK_EQ(f->listener_closed, f->listens);
    check_all(f->clients, f->client_count);
    check_all(f->servers, f->server_count);
    if (f->dir[0])
        CHECK_EQ(rmdir(f->dir), 0); /* the socket file is gone */
}

unsigned count_opened(const struct fixture *f)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f->client_count; i++)
        n += f->clients[i]->opened && !f->clients[i]->open_error;
    return n;
}

unsigned count_over(const struct fixture *f)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f->client_count; i++)
        n += f->clients[i]->open_error || f->clients[i]->ended;
    return n;
}
