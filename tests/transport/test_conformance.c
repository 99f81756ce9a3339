/* What every transport promises, run on each: tcp over IPv4, IPv6 and a name, unix, inproc. */
#include "fixture.h"

#include <weft/weft.h>

#define MIB (1024u * 1024u)

/* The pair all of these begin with. */
static struct end *connect_pair(struct fixture *f, const char *kind, const struct end *like)
{
    fixture_init(f, kind);
    if (like)
        f->like = *like;
    fixture_listen(f);
    struct end *c = fixture_dial(f, like);
    RUN_UNTIL(f, c->opened && f->server_count == 1);
    CHECK_EQ(c->open_error, 0);
    return c;
}

static void case_connect(const char *kind)
{
    struct fixture f;
    struct end *c = connect_pair(&f, kind, NULL);
    struct stream *s = f.servers[0]->s;
    CHECK(stream_is_local(c->s) && stream_is_local(s));
    if (f.url.port) {
        bool v6 = strchr(stream_remote_host(s), ':') != NULL;
        CHECK_STR(stream_remote_host(s), v6 ? "::1" : "127.0.0.1");
        CHECK_STR(stream_remote_host(c->s), v6 ? "::1" : "127.0.0.1");
    } else {
        CHECK_STR(stream_remote_host(s), "");
        CHECK_STR(stream_remote_host(c->s), "");
    }
    fixture_fini(&f);
}

static void case_refuse(const char *kind)
{
    struct fixture f;
    fixture_init(&f, kind);
    fixture_listen(&f);
    listener_close(f.listener);
    f.listener = NULL;
    RUN_UNTIL(&f, f.listener_closed == 1);
    struct end *c = fixture_dial(&f, NULL);
    CHECK_EQ(c->opened, 0);
    RUN_UNTIL(&f, c->opened);
    CHECK_EQ(c->open_error, f.dir[0] ? WEFT_ENOTFOUND : WEFT_EREFUSED);
    fixture_fini(&f);
}

static void case_echo(const char *kind)
{
    struct fixture f;
    fixture_init(&f, kind);
    f.like.echo = true;
    fixture_listen(&f);
    struct end like = {.to_send = 3 * MIB + 1};
    struct end *c = fixture_dial(&f, &like);
    RUN_UNTIL(&f, c->got == like.to_send);
    CHECK(!c->mismatch && !f.servers[0]->mismatch);
    CHECK_EQ(c->sent, like.to_send);
    fixture_fini(&f);
}

static void case_bulk(const char *kind)
{
    struct fixture f;
    struct end like = {.to_send = 64 * MIB};
    struct end *c = connect_pair(&f, kind, &like), *s = f.servers[0];
    RUN_UNTIL(&f, c->got == like.to_send && s->got == like.to_send);
    CHECK(!c->mismatch && !s->mismatch);
    RUN_UNTIL(&f, c->sent == like.to_send && s->sent == like.to_send);
    fixture_fini(&f);
}

static void case_back_pressure(const char *kind)
{
    struct fixture f;
    struct end hold = {.hold = true};
    struct end *c = connect_pair(&f, kind, &hold), *s = f.servers[0];
    c->to_send = 32 * MIB;
    end_pump(c);
    CHECK(c->writing); /* more than the kernel takes */
    fixture_idle(&f);
    CHECK_EQ(s->got, 0);
    while (s->got < c->to_send) {
        s->stop_at = s->got + MIB;
        end_read(s);
        size_t goal = min_size(s->stop_at, c->to_send);
        RUN_UNTIL(&f, s->got >= goal);
        size_t got = s->got;
        end_stop(s);
        fixture_idle(&f);
        CHECK_EQ(s->got, got);
    }
    CHECK(!s->mismatch);
    RUN_UNTIL(&f, c->sent == c->to_send);
    CHECK_EQ(c->written_error, 0);
    CHECK(c->written > 0);
    fixture_fini(&f);
}

/* What was written is delivered though the writer closes at once, has bytes unread itself, and the
 * reader begins only then. */
static void case_close_after_write(const char *kind)
{
    struct fixture f;
    struct end hold = {.hold = true};
    struct end *c = connect_pair(&f, kind, &hold), *s = f.servers[0];
    s->to_send = 100;
    end_pump(s);
    c->to_send = 32 * 1024;
    end_pump(c);
    CHECK_EQ(c->sent, c->to_send);
    end_close(c);
    RUN_UNTIL(&f, c->closed);
    end_read(s);
    RUN_UNTIL(&f, s->ended);
    CHECK_EQ(s->end_error, WEFT_ECLOSED);
    CHECK_EQ(s->got, c->to_send);
    CHECK(!s->mismatch);
    fixture_fini(&f);
}

/* The reader goes away under a write. With the default action of SIGPIPE that must not kill us. */
static void case_close_under_write(const char *kind)
{
    struct fixture f;
    struct end hold = {.hold = true};
    struct end *c = connect_pair(&f, kind, &hold);
    c->to_send = 64 * MIB;
    end_pump(c);
    CHECK(c->writing);
    end_close(f.servers[0]);
    RUN_UNTIL(&f, c->written_error);
    CHECK_EQ(c->written_error, WEFT_ELOST);
    RUN_UNTIL(&f, f.servers[0]->closed);
    uv_buf_t more = uv_buf_init(c->buf, 1);
    CHECK_EQ(stream_write(c->s, &more, 1), WEFT_ELOST);
    fixture_fini(&f);
}

static void case_close_own_write(const char *kind)
{
    struct fixture f;
    struct end hold = {.hold = true};
    struct end *c = connect_pair(&f, kind, &hold);
    c->to_send = 64 * MIB;
    end_pump(c);
    CHECK(c->writing);
    unsigned written = c->written;
    end_close(c);
    CHECK_EQ(stream_read_start(c->s), WEFT_ECLOSED);
    end_read(f.servers[0]);
    RUN_UNTIL(&f, f.servers[0]->ended);
    CHECK_EQ(c->written, written);
    CHECK_EQ(f.servers[0]->end_error, WEFT_ECLOSED);
    CHECK(!f.servers[0]->mismatch);
    fixture_fini(&f);
}

static void case_close_inside(const char *kind)
{
    for (int side = 0; side < 2; side++) {
        for (int at = side ? AT_ALLOC : AT_OPEN; at <= AT_WRITTEN; at++) {
            struct fixture f;
            fixture_init(&f, kind);
            struct end plain = {.to_send = 8 * MIB}, closing = {.to_send = 8 * MIB};
            closing.close_at = (enum moment_in_life)at;
            f.like = side ? closing : plain;
            fixture_listen(&f);
            struct end *c = fixture_dial(&f, side ? &plain : &closing);
            RUN_UNTIL(&f, f.server_count == 1);
            struct end *first = side ? f.servers[0] : c, *other = side ? c : f.servers[0];
            RUN_UNTIL(&f, first->closed);
            RUN_UNTIL(&f, other->ended || other->written_error);
            CHECK(!other->mismatch);
            fixture_fini(&f);
        }
    }
}

static void case_close_at_end(const char *kind)
{
    struct fixture f;
    struct end like = {.close_at = AT_END};
    struct end *c = connect_pair(&f, kind, &like);
    end_close(c);
    RUN_UNTIL(&f, f.servers[0]->closed);
    CHECK_EQ(f.servers[0]->end_error, WEFT_ECLOSED);
    fixture_fini(&f);
}

/* Closed n turns of the loop after dialling, with nobody or somebody listening. */
static void case_close_dialling(const char *kind)
{
    for (int listening = 0; listening < 2; listening++) {
        for (int turns = 0; turns < 4; turns++) {
            struct fixture f;
            fixture_init(&f, kind);
            fixture_listen(&f);
            if (!listening) {
                listener_close(f.listener);
                f.listener = NULL;
            }
            struct end *c = fixture_dial(&f, NULL);
            for (int i = 0; i < turns; i++)
                uv_run(&f.loop, UV_RUN_NOWAIT);
            unsigned opened = c->opened;
            end_close(c);
            RUN_UNTIL(&f, c->closed);
            CHECK_EQ(c->opened, opened);
            fixture_fini(&f);
        }
    }
}

static void case_many(const char *kind)
{
    struct fixture f;
    fixture_init(&f, kind);
    f.like.echo = true;
    fixture_listen(&f);
    struct end like = {.to_send = 1000};
    for (int i = 0; i < 200; i++)
        fixture_dial(&f, &like);
    for (unsigned i = 0; i < f.client_count; i++) {
        RUN_UNTIL(&f, f.clients[i]->got == like.to_send || f.clients[i]->open_error);
        CHECK_EQ(f.clients[i]->open_error, 0);
        CHECK(!f.clients[i]->mismatch);
    }
    CHECK_EQ(f.server_count, 200);
    CHECK_EQ(count_opened(&f), 200);
    fixture_fini(&f);
}

static void case_address_in_use(const char *kind)
{
    struct fixture f;
    fixture_init(&f, kind);
    fixture_listen(&f);
    struct listener *first = f.listener, *second = NULL;
    struct url url = f.url, untouched = {.port = 1};
    static const struct listener_handler none;
    int rc = transport_listen(&f.loop, &url, &none, NULL, &second, &untouched);
    CHECK_EQ(rc, WEFT_EADDRINUSE);
    CHECK(!second && untouched.port == 1 && f.listener == first);
    struct end *c = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, c->opened && f.server_count >= 1); /* unix: one may be the probe */
    CHECK_EQ(c->open_error, 0);
    fixture_fini(&f);
}

/* Of ten that dial, the first to be accepted closes the listener: nobody is left hanging. */
static void case_listener_close(const char *kind)
{
    struct fixture f;
    fixture_init(&f, kind);
    f.close_listener_at_accept = true;
    f.like.close_at = AT_ACCEPT;
    fixture_listen(&f);
    for (int i = 0; i < 10; i++)
        fixture_dial(&f, NULL);
    RUN_UNTIL(&f, f.listener_closed == 1);
    RUN_UNTIL(&f, count_over(&f) == 10);
    CHECK_EQ(f.server_count, 1);
    fixture_listen(&f); /* the address is free again */
    listener_close(f.listener);
    f.listener = NULL;
    RUN_UNTIL(&f, f.listener_closed == 2);
    fixture_fini(&f);
}

static void case_accept_close(const char *kind)
{
    struct fixture f;
    fixture_init(&f, kind);
    f.like.close_at = AT_ACCEPT;
    fixture_listen(&f);
    struct end *c = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, c->ended);
    CHECK_EQ(c->open_error, 0);
    CHECK_EQ(c->end_error, WEFT_ECLOSED);
    fixture_fini(&f);
}

/* Nothing to write is written at once, and more buffers than one system call takes all go. */
static void case_odd_writes(const char *kind)
{
    struct fixture f;
    struct end *c = connect_pair(&f, kind, NULL), *s = f.servers[0];
    CHECK_EQ(stream_write(c->s, NULL, 0), 1);
    uv_buf_t bufs[500];
    for (unsigned i = 0; i < ARRAY_LEN(bufs); i++)
        bufs[i] = uv_buf_init(c->buf, i % 3 ? 7 : 0);
    CHECK_EQ(stream_write(c->s, bufs, ARRAY_LEN(bufs)), 1);
    size_t total = 333 * 7;
    RUN_UNTIL(&f, s->got == total);
    fixture_fini(&f);
}

#define ALL_KINDS(name)                                                                            \
    TEST(tcp4, name)                                                                               \
    {                                                                                              \
        case_##name("tcp4");                                                                       \
    }                                                                                              \
    TEST(tcp6, name)                                                                               \
    {                                                                                              \
        if (fixture_supported("tcp6"))                                                             \
            case_##name("tcp6");                                                                   \
    }                                                                                              \
    TEST(localhost, name)                                                                          \
    {                                                                                              \
        case_##name("name");                                                                       \
    }                                                                                              \
    TEST(unix_socket, name)                                                                        \
    {                                                                                              \
        case_##name("unix");                                                                       \
    }                                                                                              \
    TEST(inproc, name)                                                                             \
    {                                                                                              \
        case_##name("inproc");                                                                     \
    }

/* clang-format off */
ALL_KINDS(connect)
ALL_KINDS(refuse)
ALL_KINDS(echo)
ALL_KINDS(bulk)
ALL_KINDS(back_pressure)
ALL_KINDS(close_after_write)
ALL_KINDS(close_under_write)
ALL_KINDS(close_own_write)
ALL_KINDS(close_inside)
ALL_KINDS(close_at_end)
ALL_KINDS(close_dialling)
ALL_KINDS(many)
ALL_KINDS(address_in_use)
ALL_KINDS(listener_close)
ALL_KINDS(accept_close)
ALL_KINDS(odd_writes)
/* clang-format on */
