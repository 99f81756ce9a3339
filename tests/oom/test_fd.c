/* No descriptors left: opening fails cleanly, a running node goes on serving, does not spin, and
 * recovers when there are some again. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/oom/clock.h"
#include "tests/oom/fd.h"
#include "tests/oom/talk.h"

/* ---- The n-th descriptor cannot be had ---- */

/* libuv keeps some for the process, from its first loop on. */
static void first_loop(void)
{
    uv_loop_t loop;
    CHECK(uv_loop_init(&loop) == 0 && uv_loop_close(&loop) == 0);
}

static void check_fd(weft_interest *in)
{
    int fd;
    do
        fd = weft_interest_fd(in);
    while (oom_again(fd < 0 ? fd : 0));
}

static char file[100]; /* the address book */

/* Two nodes over sockets, one with a file; the same a second time, when the file is there. */
static void two_nodes(void)
{
    unsigned before = fd_open();
    for (int round = 0; round < 2; round++) {
        struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
        oom_pause(true); /* the loop is the test's own */
        world_open(&t.w, true);
        oom_pause(false);
        weft_options o;
        weft_options_init(&o);
        o.self = "tcp://127.0.0.1:0/a";
        o.addrbook = file;
        t.from = world_attach(&t.w, &o);
        weft_options_init(&o);
        o.self = "tcp://127.0.0.1:0/b";
        const char *peers[] = {t.from ? weft_node_url(t.from) : NULL, NULL};
        o.peers = peers;
        t.to = t.from ? world_attach(&t.w, &o) : NULL;
        if (t.to && talk_begin(&t)) {
            check_fd(t.queue);
            talk_passes(&t);
        }
        talk_end(&t);
        weft_addrbook *book = NULL;
        int rc = weft_addrbook_load(file, &book);
        if (rc != WEFT_ENOTFOUND || !oom_failed()) /* it could not be saved */
            oom_ok(rc);
        weft_addrbook_free(book);
    }
    unlink(file);
    CHECK_EQ(fd_open(), before);
}

TEST(oom_fd, two_nodes)
{
    first_loop();
    struct oom_plan plan = {.descriptors = true, .at_least = 12, .file = file};
    bool ram = access("/dev/shm", W_OK) == 0; /* where fsync takes no time */
    snprintf(file, sizeof(file), "%s/weft-oom-fd-%d", ram ? "/dev/shm" : "/tmp", (int)getpid());
    oom_each("two_nodes", &plan, two_nodes);
}

/* A loop that cannot be had whole leaves descriptors open, depending on libuv's version. So many,
 * by the one that fails; a loop needs fewer than LOOP_NEEDS. */
#define LOOP_NEEDS 8
static unsigned libuv_leaks[LOOP_NEEDS];

static void learn_leaks(void)
{
    for (unsigned n = 1; n < LOOP_NEEDS; n++) {
        uv_loop_t loop;
        unsigned before = fd_open();
        oom_arm_descriptors();
        oom_exhaust_after(n - 1);
        int rc = uv_loop_init(&loop);
        libuv_leaks[n] = rc < 0 ? fd_open() - before : 0;
        CHECK(rc < 0 || uv_loop_close(&loop) == 0);
    }
}

/* A node on a thread of its own is opened, and closed again. */
static void own_thread(void)
{
    unsigned before = fd_open();
    weft_options o;
    weft_options_init(&o);
    o.self = "tcp://127.0.0.1:0/a";
    weft_node *node = NULL;
    int rc;
    do {
        char *text = NULL;
        rc = weft_node_open_explain(&o, &node, &text);
        CHECK((rc == 0) == (node != NULL) && (rc == 0) == (text == NULL));
        weft_free(text);
    } while (oom_again(rc));
    CHECK_EQ(weft_node_close(node), 0);
    CHECK_EQ(fd_open(), before + (oom_n() < LOOP_NEEDS ? libuv_leaks[oom_n()] : 0));
}

TEST(oom_fd, own_thread)
{
    first_loop();
    learn_leaks();
    oom_each("own_thread", &(struct oom_plan){.descriptors = true, .at_least = 4}, own_thread);
}

/* ---- A listener without descriptors ---- */

#define SECONDS 10
#define NS_PER_SEC UINT64_C(1000000000)

static unsigned told;

static void on_log(enum weft_log_level level, const char *text, void *user)
{
    told += strstr(text, "could not be accepted") != NULL;
}

static bool time_is_over(struct world *w, void *arg)
{
    return clock_skipped() >= *(uint64_t *)arg;
}

/* Somebody who connects, and says nothing. */
static int connect_to(const char *url)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *port = strrchr(url, ':') + 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

/* Does the node end the connection? It has accepted it then, and waited in vain for a word. */
static bool is_ended(struct world *w, void *arg)
{
    char c;
    ssize_t n = recv(*(int *)arg, &c, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static bool attach_logging(struct talk *t)
{
    weft_options o;
    weft_options_init(&o);
    o.self = "tcp://127.0.0.1:0/a";
    o.on_log = on_log;
    t->from = world_attach(&t->w, &o);
    weft_options_init(&o);
    o.self = "tcp://127.0.0.1:0/b";
    const char *peers[] = {weft_node_url(t->from), NULL};
    o.peers = peers;
    t->to = world_attach(&t->w, &o);
    return talk_begin(t);
}

static unsigned dials(weft_node *node)
{
    weft_stats stats;
    CHECK_EQ(weft_node_stats(node, &stats), 0);
    return (unsigned)stats.dials;
}

/* Ten seconds without a descriptor: the link that stands serves, the listener looks ten times a
 * second, dials back off, the log says it once; and then all is made up for. */
TEST(oom_fd, a_listener_without_descriptors_rests)
{
    struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
    oom_arm_descriptors();
    world_open(&t.w, true);
    CHECK(attach_logging(&t));
    oom_exhaust_after(1);
    int fd = connect_to(weft_node_url(t.from));
    CHECK_EQ(weft_node_dial(t.to, "tcp://127.0.0.1:1/nobody", NULL), 0);
    unsigned accepts = atomic_load(&fd_accepts), dialled = dials(t.to);
    uint64_t end = clock_skipped() + SECONDS * NS_PER_SEC;
    CHECK(world_until(&t.w, "time passes", time_is_over, &end));
    CHECK(oom_failed());
    accepts = atomic_load(&fd_accepts) - accepts;
    if (accepts < 5 * SECONDS || accepts > 12 * SECONDS)
        FAIL("%u attempts to accept in %d s", accepts, SECONDS);
    dialled = dials(t.to) - dialled;
    if (dialled < 2 || dialled > 2 * SECONDS)
        FAIL("%u dials in %d s", dialled, SECONDS);
    t.dials = UINT64_MAX; /* those were others */
    talk_send(&t, 1000);
    CHECK(talk_settle(&t) && t.got == TALK_SUBSCRIBERS);
    CHECK_EQ(told, 1);
    oom_relent();
    CHECK(world_until(&t.w, "the connection is accepted, and ended", is_ended, &fd));
    close(fd);
    talk_end(&t);
}
