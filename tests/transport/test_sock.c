/* What only sockets have: ports, names, addresses, files, running out of descriptors. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <weft/weft.h>

static int listen_rc(struct fixture *f, const char *text)
{
    static const struct listener_handler none;
    struct url url = parse_url(text), real;
    struct listener *l;
    return transport_listen(&f->loop, &url, &none, NULL, &l, &real);
}

TEST(tcp, port_zero_becomes_real)
{
    const char *kinds[] = {"tcp4", "name"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct fixture f;
        fixture_init(&f, kinds[i]);
        CHECK_EQ(f.url.port, 0);
        fixture_listen(&f);
        CHECK(f.url.port != 0);
        char text[64];
        snprintf(text, sizeof(text), "tcp://%s:%u/t", i ? "localhost" : "127.0.0.1", f.url.port);
        CHECK_STR(f.url.text, text);
        fixture_fini(&f);
    }
}

TEST(tcp, every_address_is_listened_on)
{
    const char *hosts[] = {"tcp://0.0.0.0:0/t", "tcp://[::]:0/t", "tcp://:0/t"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        if (i == 1 && !fixture_supported("tcp6"))
            continue;
        struct fixture f;
        fixture_init(&f, "tcp4");
        f.url = parse_url(hosts[i]);
        fixture_listen(&f);
        CHECK_EQ(url_set_host(&f.url, "127.0.0.1"), 0);
        struct end *c = fixture_dial(&f, NULL);
        RUN_UNTIL(&f, c->opened && f.server_count == 1);
        CHECK_EQ(c->open_error, 0);
        CHECK_STR(stream_remote_host(f.servers[0]->s), "127.0.0.1"); /* not ::ffff:127.0.0.1 */
        CHECK(stream_is_local(f.servers[0]->s));
        fixture_fini(&f);
    }
}

TEST(tcp, later_address_is_tried)
{
    if (!fixture_supported("tcp6"))
        return;
    const char *hosts[] = {"tcp4", "tcp6"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct fixture f;
        fixture_init(&f, hosts[i]);
        fixture_listen(&f);
        CHECK_EQ(url_set_host(&f.url, "localhost"), 0); /* may be either, or both */
        struct end *c = fixture_dial(&f, NULL);
        RUN_UNTIL(&f, c->opened);
        if (i == 0)
            CHECK_EQ(c->open_error, 0);
        fixture_fini(&f);
    }
}

TEST(tcp, unknown_name_does_not_resolve)
{
    struct fixture f;
    fixture_init(&f, "tcp4");
    char label[80] = {0};
    memset(label, 'a', 70); /* longer than a label may be: no name server is asked */
    snprintf(f.url.host, sizeof(f.url.host), "%s", label);
    f.url.port = 1;
    struct end *c = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, c->opened);
    CHECK_EQ(c->open_error, WEFT_ERESOLVE);
    fixture_fini(&f);
}

TEST(tcp, foreign_address_cannot_be_listened_on)
{
    struct fixture f;
    fixture_init(&f, "tcp4");
    CHECK_EQ(listen_rc(&f, "tcp://192.0.2.1:0/t"), WEFT_EADDRNOTAVAIL);
    fixture_fini(&f);
}

TEST(tcp, unsent_bytes_are_counted)
{
    struct fixture f;
    fixture_init(&f, "tcp4");
    f.like.hold = true;
    fixture_listen(&f);
    struct end like = {.to_send = 64 * 1024 * 1024};
    struct end *c = fixture_dial(&f, &like);
    RUN_UNTIL(&f, c->opened && f.server_count == 1);
    CHECK_EQ(stream_unsent(f.servers[0]->s), 0);
    RUN_UNTIL(&f, stream_unsent(c->s) > 0); /* the reader's window is full */
    fixture_fini(&f);
}

/* The end of our side counts as a byte for the kernel, but is none that was written. */
TEST(tcp, unacknowledged_bytes_are_those_written)
{
    static char data[1 << 20];
    struct fixture f;
    fixture_init(&f, "tcp4");
    fixture_listen(&f);
    f.like.hold = true;
    struct end *c = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, c->opened && f.server_count == 1);
    uv_buf_t buf = uv_buf_init(data, sizeof(data));
    while (stream_write_some(c->s, &buf, 1) > 0)
        ;
    while (stream_unacked(c->s) != stream_unsent(c->s))
        usleep(1000);
    size_t before = stream_unacked(c->s);
    CHECK(before > 0);
    stream_shutdown(c->s);
    CHECK(stream_unacked(c->s) <= before);
    fixture_fini(&f);
}

TEST(dispatch, unknown_scheme)
{
    struct fixture f;
    fixture_init(&f, "tcp4");
    CHECK(transport_known("tcp") && transport_known("unix") && transport_known("inproc"));
    CHECK(!transport_known("serial") && !transport_known(""));
    CHECK_EQ(listen_rc(&f, "serial:///dev/ttyUSB0/a"), WEFT_ENOTSUP);
    static const struct stream_handler none;
    struct url url = parse_url("serial:///dev/ttyUSB0/a");
    struct stream *s;
    CHECK_EQ(transport_dial(&f.loop, &url, &none, NULL, &s), WEFT_ENOTSUP);
    fixture_fini(&f);
}

/* ---- Running out of descriptors ---- */

static void case_no_descriptors(const char *kind)
{
    struct fixture f;
    fixture_init(&f, kind);
    fixture_listen(&f);
    struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    int fds[64], count = 0;
    while ((fds[count] = dup(0)) >= 0 || (fds[count] = dup(2)) >= 0)
        count++;
    CHECK(count > 0);
    close(fds[--count]); /* one for the dialler, none for accepting */
    struct end like = {.to_send = 100};
    struct end *c = fixture_dial(&f, &like);
    RUN_UNTIL(&f, f.listener_errors > 0);
    CHECK_EQ(f.listener_error, WEFT_EMFILE);
    struct end *other = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, other->opened);
    CHECK_EQ(other->open_error, WEFT_EMFILE);
    while (count > 0)
        close(fds[--count]);
    RUN_UNTIL(&f, f.server_count == 1 && f.servers[0]->got == 100);
    CHECK_EQ(c->open_error, 0);
    fixture_fini(&f);
}

TEST(tcp, no_descriptors)
{
    case_no_descriptors("tcp4");
}

TEST(unix_socket, no_descriptors)
{
    case_no_descriptors("unix");
}

/* ---- Socket files ---- */

static void socket_path(const struct fixture *f, struct sockaddr_un *addr)
{
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/t.sock", f->dir);
}

/* What a process that was killed leaves behind. */
static void leave_stale_file(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
    CHECK_EQ(listen(fd, 1), 0);
    close(fd);
}

TEST(unix_socket, stale_file_is_replaced)
{
    struct fixture f;
    fixture_init(&f, "unix");
    struct sockaddr_un addr;
    socket_path(&f, &addr);
    leave_stale_file(&addr);
    struct end *c = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, c->opened);
    CHECK_EQ(c->open_error, WEFT_EREFUSED);
    fixture_listen(&f);
    c = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, c->opened);
    CHECK_EQ(c->open_error, 0);
    fixture_fini(&f);
}

TEST(unix_socket, other_files_are_kept)
{
    struct fixture f;
    fixture_init(&f, "unix");
    struct sockaddr_un addr;
    socket_path(&f, &addr);
    int fd = open(addr.sun_path, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && write(fd, "kept", 4) == 4);
    close(fd);
    CHECK_EQ(listen_rc(&f, f.url.text), WEFT_EADDRINUSE);
    struct stat st;
    CHECK(lstat(addr.sun_path, &st) == 0 && st.st_size == 4);
    unlink(addr.sun_path);

    CHECK_EQ(symlink("/nowhere", addr.sun_path), 0);
    CHECK_EQ(listen_rc(&f, f.url.text), WEFT_EADDRINUSE);
    CHECK(lstat(addr.sun_path, &st) == 0 && S_ISLNK(st.st_mode));
    unlink(addr.sun_path);
    fixture_fini(&f);
}

/* Somebody put another socket in our file's place: closing leaves it there. */
TEST(unix_socket, only_our_own_file_is_removed)
{
    struct fixture f;
    fixture_init(&f, "unix");
    struct sockaddr_un addr;
    socket_path(&f, &addr);
    fixture_listen(&f);
    char aside[128];
    snprintf(aside, sizeof(aside), "%s.aside", addr.sun_path);
    CHECK_EQ(rename(addr.sun_path, aside), 0);
    leave_stale_file(&addr);
    listener_close(f.listener);
    f.listener = NULL;
    RUN_UNTIL(&f, f.listener_closed);
    CHECK_EQ(unlink(addr.sun_path), 0);
    CHECK_EQ(unlink(aside), 0);
    fixture_fini(&f);
}

/* A full queue is no refusal: the dialler gets in once the listener has accepted others. */
TEST(unix_socket, full_queue_is_waited_for)
{
    struct fixture f;
    fixture_init(&f, "unix");
    struct sockaddr_un addr;
    socket_path(&f, &addr);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    CHECK_EQ(listen(fd, 0), 0);
    struct end *first = fixture_dial(&f, NULL), *second = fixture_dial(&f, NULL);
    struct end *closed = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, first->opened);
    fixture_idle(&f);
    CHECK_EQ(second->opened, 0);
    end_close(closed); /* while it waits */
    RUN_UNTIL(&f, closed->closed);
    int accepted = accept(fd, NULL, NULL);
    CHECK(accepted >= 0);
    RUN_UNTIL(&f, second->opened);
    CHECK_EQ(second->open_error, 0);
    close(accepted);
    close(fd);
    unlink(addr.sun_path);
    fixture_fini(&f);
}

TEST(unix_socket, bad_paths)
{
    struct fixture f;
    fixture_init(&f, "unix");
    char text[URL_MAX + 1];
    snprintf(text, sizeof(text), "unix://%s/missing/t.sock/t", f.dir);
    CHECK_EQ(listen_rc(&f, text), WEFT_ENOTFOUND);
    snprintf(text, sizeof(text), "unix://%s/%0120d.sock/t", f.dir, 0);
    CHECK_EQ(listen_rc(&f, text), WEFT_EADDRNOTAVAIL);
    f.url = parse_url(text);
    struct end *c = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, c->opened);
    CHECK_EQ(c->open_error, WEFT_ENOTFOUND);
    fixture_fini(&f);
}

TEST(dispatch, errors_have_codes)
{
    CHECK_EQ(transport_error(0), 0);
    CHECK_EQ(transport_error(UV_ECONNREFUSED), WEFT_EREFUSED);
    CHECK_EQ(transport_error(UV_EAI_NONAME), WEFT_ERESOLVE);
    CHECK_EQ(transport_error(UV_EPIPE), WEFT_ELOST);
    CHECK_EQ(transport_error(UV_EOF), WEFT_ECLOSED);
    CHECK_EQ(transport_error(UV_EILSEQ), WEFT_EIO);
}
