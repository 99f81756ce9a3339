/* Steering a node: the calls, and the commands that do the same. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/admin.h>

#include "fixture.h"

/* What a command of this node says; the caller frees it. */
static char *command(weft_node *node, int expected, const char *verb, const char *const *args)
{
    weft_command c = {.verb = verb, .args = args};
    char *text = NULL;
    int rc = weft_node_command(node, NULL, &c, WAIT_MS, &text);
    if (rc != expected)
        FAIL("%s: %s instead of %s: %s", verb, weft_err_name(rc), weft_err_name(expected),
             text ? text : "");
    return text;
}

#define SAYS(node, expected, part, verb, ...)                                                      \
    do {                                                                                           \
        const char *const says_args[] = {__VA_ARGS__, NULL};                                       \
        char *says_text = command(node, expected, verb, says_args);                                \
        if (!says_text || !strstr(says_text, part))                                                \
            FAIL("\"%s\" lacks \"%s\"", says_text ? says_text : "(nothing)", part);                \
        weft_free(says_text);                                                                      \
    } while (0)

static weft_addrbook_entry entry(weft_node *node, const char *url)
{
    weft_addrbook *book;
    CHECK_EQ(weft_node_addrbook(node, &book), 0);
    weft_addrbook_entry e = {0};
    for (size_t i = 0; i < book->count; i++) {
        if (strcmp(book->entries[i].peer, url) == 0)
            e = book->entries[i];
    }
    weft_addrbook_free(book);
    e.peer = e.peer ? url : NULL; /* the strings are gone */
    e.source = e.last_error = NULL;
    return e;
}

static weft_status status(weft_node *node)
{
    weft_query query;
    weft_query_init(&query);
    weft_report *r;
    CHECK_EQ(weft_node_inspect(node, NULL, &query, 0, &r, NULL), 0);
    weft_status s = *r->status;
    weft_report_free(r);
    return s;
}

/* ---- Verbs ---- */

TEST(command, verbs_do_what_they_say)
{
    const char *peer = "tcp://127.0.0.1:1/x";
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    SAYS(a, 0, "debug", "log", "debug");
    CHECK_EQ(status(a).log_level, WEFT_LOG_DEBUG);
    SAYS(a, 0, peer, "add", peer, "persistent=false", "max_attempts=3", "backoff_ms=70000",
         "max_backoff_ms=80000", "multiplier=2.5");
    weft_addrbook_entry e = entry(a, peer);
    CHECK(e.peer && !e.persistent && e.max_attempts == 3 && e.multiplier == 2.5f);
    CHECK_EQ(e.default_backoff_ns, UINT64_C(70000000000));
    CHECK_EQ(e.max_backoff_ns, UINT64_C(80000000000));
    SAYS(a, 0, "for ever", "pin", peer);
    CHECK(entry(a, peer).persistent);
    SAYS(a, 0, peer, "unpin", peer);
    CHECK(!entry(a, peer).persistent);
    SAYS(a, 0, "for ever", "ban", peer);
    CHECK_EQ(entry(a, peer).banned_until, UINT64_MAX);
    SAYS(a, 0, "not banned", "unban", peer);
    CHECK_EQ(entry(a, peer).banned_until, 0);
    SAYS(a, 0, "banned for", "ban", peer, "18446744073709551614");
    CHECK_EQ(entry(a, peer).banned_until, UINT64_MAX - 1);
    SAYS(a, 0, "out of", "remove", peer);
    CHECK(!entry(a, peer).peer);
    weft_node_close(a);
}

TEST(command, errors_name_the_remedy)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    SAYS(a, WEFT_EINVAL, "error, warn, info, debug", "log", "loud");
    SAYS(a, WEFT_EINVAL, "usage: log LEVEL", "log", "info", "twice");
    SAYS(a, WEFT_EINVAL, "usage: ban URL", "ban", NULL);
    SAYS(a, WEFT_EINVAL, "ns since the epoch", "ban", "tcp://127.0.0.1:1/x", "12x");
    SAYS(a, WEFT_EINVAL, "to come", "ban", "tcp://127.0.0.1:1/x", "1");
    SAYS(a, WEFT_EURL, "scheme", "ban", "nonsense");
    SAYS(a, WEFT_EURL, "no address", "ban", "tcp://0.0.0.0:0/x");
    SAYS(a, WEFT_ESELF, "itself", "ban", weft_node_url(a));
    SAYS(a, WEFT_ENOTFOUND, "not in the address book", "unban", "tcp://127.0.0.1:1/x");
    SAYS(a, WEFT_ENOTFOUND, "not in the address book", "pin", "tcp://127.0.0.1:1/x");
    SAYS(a, WEFT_ENOTFOUND, "not in the address book", "remove", "tcp://127.0.0.1:1/x");
    SAYS(a, WEFT_EINVAL, "max_attempts=", "add", "tcp://127.0.0.1:1/x", "attempts=3");
    SAYS(a, WEFT_EINVAL, "whole numbers", "add", "tcp://127.0.0.1:1/x", "max_attempts=-3");
    SAYS(a, WEFT_EINVAL, "1 or more", "add", "tcp://127.0.0.1:1/x", "multiplier=0.5");
    SAYS(a, WEFT_ENOTSUP, "knows no command \"dance\"", "dance", "x");
    CHECK(!entry(a, "tcp://127.0.0.1:1/x").peer);
    weft_command c = {.verb = ""};
    CHECK_EQ(weft_node_command(a, NULL, &c, 0, NULL), WEFT_EINVAL);
    weft_node_close(a);
}

static int on_command(weft_node *node, const weft_command *c, char **ret_text, void *user)
{
    *(unsigned *)user += 1;
    if (strcmp(c->verb, "reload") != 0)
        return WEFT_ENOTSUP;
    *ret_text = strdup(c->args && c->args[0] ? c->args[0] : "reloaded");
    return strcmp(*ret_text, "dry") == 0 ? WEFT_EBUSY : 0;
}

TEST(command, others_go_to_the_program)
{
    unsigned calls = 0;
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    o.on_command = on_command;
    o.user = &calls;
    weft_node *a = fx_open_options(&o);
    SAYS(a, 0, "reloaded", "reload", NULL);
    SAYS(a, WEFT_EBUSY, "dry", "reload", "dry");
    CHECK(command(a, WEFT_ENOTSUP, "dance", NULL) == NULL);
    SAYS(a, 0, "warn", "log", "warn"); /* the node's own stay its own */
    CHECK_EQ(calls, 3);
    weft_node_close(a);
}

/* ---- Calls ---- */

TEST(command, limits)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_limits l = {.size = sizeof(l), .max_frame = 1 << 20, .max_peers = 1, .outbox = 12345};
    CHECK_EQ(weft_node_set_limits(a, &l), 0);
    weft_status s = status(a);
    CHECK_EQ(s.max_frame, 1 << 20);
    CHECK_EQ(s.max_peers, 1);
    CHECK_EQ(s.max_routes, 1000000);
    CHECK_EQ(s.outbox, 12345);
    l.max_frame = 1000;
    CHECK_EQ(weft_node_set_limits(a, &l), WEFT_EINVAL);
    l.size = 1;
    CHECK_EQ(weft_node_set_limits(a, &l), WEFT_EINVAL);
    CHECK_EQ(status(a).max_frame, 1 << 20);

    struct events refused;
    events_init(&refused);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(a), NULL);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    weft_node *c = fx_open("tcp://127.0.0.1:0/c", weft_node_url(a), &refused);
    CHECK_EQ(events_wait(&refused, WEFT_EVENT_REFUSED, 1).error, WEFT_ELIMIT);
    l = (weft_limits){.size = sizeof(l), .max_peers = 10, .max_routes = 2};
    CHECK_EQ(weft_node_set_limits(a, &l), 0);
    CHECK_EQ(weft_node_wait_peers(c, 2, WAIT_MS), 0);
    fx_publish(a, "types.X@a.x");
    fx_publish(a, "types.X@a.y");
    weft_intent *none;
    CHECK_EQ(weft_publish(a, "types.X@a.z", NULL, &none), WEFT_ELIMIT);
    weft_node_close(c);
    weft_node_close(b);
    weft_node_close(a);
}

struct sender {
    weft_intent *intent;
    atomic_bool stop;
};

static void *keep_sending(void *arg)
{
    struct sender *s = arg;
    char bytes[3000] = {0};
    while (!atomic_load(&s->stop)) {
        int rc = weft_send(s->intent, bytes, sizeof(bytes));
        CHECK(rc == 0 || rc == WEFT_EDROPPED);
    }
    return NULL;
}

static void ignore_message(weft_interest *interest, const weft_msg *msg, void *user)
{
}

/* Limits and the log's level move, and reports are made, while threads send. */
TEST(command, while_threads_send)
{
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(a), NULL);
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = ignore_message;
    weft_interest *here, *there;
    CHECK_EQ(weft_subscribe(a, "types.X@a.x", &o, &here), 0);
    CHECK_EQ(weft_subscribe(b, "types.X@a.x", &o, &there), 0);
    struct sender sender = {.intent = fx_publish(a, "types.X@a.x")};
    UNTIL(fx_stats(a).remote_interests == 1);
    pthread_t thread;
    pthread_create(&thread, NULL, keep_sending, &sender);
    for (uint32_t i = 0; i < 100; i++) {
        weft_limits l = {.size = sizeof(l),
                         .max_frame = 65536 + i,
                         .max_peers = 10 + i,
                         .max_routes = 100 + i,
                         .outbox = 1000000 + i};
        CHECK_EQ(weft_node_set_limits(a, &l), 0);
        CHECK_EQ(weft_node_set_log_level(a, i & 1 ? WEFT_LOG_DEBUG : WEFT_LOG_ERROR), 0);
        weft_report_free(fx_inspect(a, NULL, FX_ALL_PARTS, NULL));
        weft_report_free(fx_inspect(b, weft_node_url(a), FX_ALL_PARTS, NULL));
    }
    atomic_store(&sender.stop, true);
    pthread_join(thread, NULL);
    CHECK_EQ(status(a).max_frame, 65536 + 99);
    weft_node_close(b);
    weft_node_close(a);
}

static void count_debug(enum weft_log_level level, const char *text, void *user)
{
    if (level == WEFT_LOG_DEBUG)
        atomic_fetch_add((atomic_uint *)user, 1);
}

TEST(command, log_level)
{
    atomic_uint lines = 0;
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    o.on_log = count_debug;
    o.user = &lines;
    weft_node *a = fx_open_options(&o);
    CHECK_EQ(weft_node_set_log_level(a, (enum weft_log_level)0), WEFT_EINVAL);
    CHECK_EQ(weft_node_set_log_level(a, (enum weft_log_level)5), WEFT_EINVAL);
    weft_dial_options dial;
    weft_dial_options_init(&dial);
    dial.backoff_ms = dial.max_backoff_ms = 1;
    CHECK_EQ(weft_node_dial(a, "unix:///nonexistent/socket", &dial), 0); /* DEBUG each time */
    UNTIL(fx_stats(a).dials_failed >= 2);
    CHECK_EQ(atomic_load(&lines), 0);
    CHECK_EQ(weft_node_set_log_level(a, WEFT_LOG_DEBUG), 0);
    UNTIL(atomic_load(&lines) >= 2);
    weft_node_close(a);
}

/* ---- Bans ---- */

TEST(command, a_ban_ends_the_link_and_holds)
{
    struct events banned;
    events_init(&banned);
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, NULL);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", weft_node_url(a), &banned);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    CHECK_EQ(weft_node_wait_peers(b, 1, WAIT_MS), 0);
    CHECK_EQ(weft_node_ban(a, weft_node_url(b), UINT64_MAX), 0);
    struct seen down = events_wait(&banned, WEFT_EVENT_PEER_DOWN, 1);
    CHECK_EQ(down.error, WEFT_EDENIED);
    CHECK(strstr(down.text, "banned here by the operator") != NULL);
    struct seen refused = events_wait(&banned, WEFT_EVENT_REFUSED, 1); /* it dials again */
    CHECK_EQ(refused.error, WEFT_EDENIED);
    CHECK(strstr(refused.text, "banned here by the operator") != NULL);
    CHECK_EQ(fx_peer_count(a), 0);
    CHECK_EQ(weft_node_ban(a, weft_node_url(b), 0), 0);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    weft_node_close(b);
    weft_node_close(a);
}

TEST(command, a_ban_survives_a_restart)
{
    char folder[64], file[128], url[128];
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/book", folder);
    struct events banned;
    events_init(&banned);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", NULL, &banned);
    snprintf(url, sizeof(url), "%s", weft_node_url(b));
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    o.addrbook = file;
    weft_node *a = fx_open_options(&o);
    CHECK_EQ(weft_node_ban(a, url, UINT64_MAX), 0); /* not in the book before */
    weft_node_close(a);
    a = fx_open_options(&o);
    CHECK_EQ(entry(a, url).banned_until, UINT64_MAX);
    CHECK_EQ(weft_node_dial(b, weft_node_url(a), NULL), 0);
    CHECK_EQ(events_wait(&banned, WEFT_EVENT_REFUSED, 1).error, WEFT_EDENIED);
    CHECK_EQ(fx_peer_count(a), 0);
    weft_node_close(a);
    weft_node_close(b);
    fx_rmdir(folder);
}

static bool holds_ban(const char *file)
{
    weft_addrbook *book;
    if (weft_addrbook_load(file, &book) < 0)
        return false;
    bool holds = book->count == 1 && book->entries[0].banned_until == UINT64_MAX;
    weft_addrbook_free(book);
    return holds;
}

/* It is on disk soon, whatever becomes of the node. */
TEST(command, a_ban_is_saved_at_once)
{
    char folder[64], file[128];
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/book", folder);
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    o.addrbook = file;
    weft_node *a = fx_open_options(&o);
    CHECK_EQ(weft_node_ban(a, "tcp://127.0.0.1:1/x", UINT64_MAX), 0);
    UNTIL(holds_ban(file));
    weft_node_close(a);
    fx_rmdir(folder);
}

/* ---- Over a link ---- */

static int send_command(weft_node *node, const char *url, const char *verb, const char *arg,
                        const char *says)
{
    const char *const args[] = {arg, NULL};
    weft_command c = {.verb = verb, .args = args};
    char *text = NULL;
    int rc = weft_node_command(node, url, &c, WAIT_MS, &text);
    if (!text || !strstr(text, says))
        FAIL("%s: \"%s\" lacks \"%s\"", weft_err_name(rc), text ? text : "(nothing)", says);
    weft_free(text);
    return rc;
}

/* Over loopback tcp nobody may steer a node, unless it says so. */
TEST(command, denied_unless_allowed)
{
    unsigned calls = 0;
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    for (int allowed = 0; allowed < 2; allowed++) {
        o.control = allowed ? WEFT_ACCESS_LOCAL : WEFT_ACCESS_DEFAULT;
        o.on_command = on_command;
        o.user = &calls;
        weft_node *a = fx_open_options(&o);
        weft_node *b = fx_open(NULL, weft_node_url(a), NULL);
        const char *url = weft_node_url(a);
        CHECK_EQ(weft_node_wait_peers(b, 1, WAIT_MS), 0);
        if (allowed) {
            CHECK_EQ(send_command(b, url, "log", "debug", "debug"), 0);
            CHECK_EQ(status(a).log_level, WEFT_LOG_DEBUG);
            CHECK_EQ(send_command(b, url, "log", "loud", "error, warn, info, debug"), WEFT_EINVAL);
            CHECK_EQ(send_command(b, url, "pin", "tcp://127.0.0.1:1/x", "not in the address book"),
                     WEFT_ENOTFOUND);
            CHECK_EQ(send_command(b, url, "reload", NULL, "reloaded"), 0);
            CHECK_EQ(send_command(b, url, "reload", "dry", "dry"), WEFT_EBUSY);
        } else {
            CHECK_EQ(send_command(b, url, "log", "debug", "access: {control: local} there"),
                     WEFT_EDENIED);
            CHECK_EQ(send_command(b, url, "reload", NULL, "unix socket"), WEFT_EDENIED);
            CHECK_EQ(status(a).log_level, WEFT_LOG_INFO);
        }
        CHECK_EQ(calls, allowed ? 2 : 0);
        weft_node_close(b);
        weft_node_close(a);
    }
}

TEST(command, over_a_unix_socket)
{
    char folder[64], url[128];
    fx_mkdir(folder, sizeof(folder));
    snprintf(url, sizeof(url), "unix://%s/door/a", folder);
    weft_node *a = fx_open(url, NULL, NULL);
    weft_node *b = fx_open(NULL, url, NULL);
    CHECK_EQ(weft_node_wait_peers(b, 1, WAIT_MS), 0);
    CHECK_EQ(send_command(b, url, "add", "tcp://127.0.0.1:1/x", "is dialled"), 0);
    CHECK(entry(a, "tcp://127.0.0.1:1/x").persistent);
    CHECK_EQ(send_command(b, url, "dance", NULL, "knows no command \"dance\""), WEFT_ENOTSUP);
    weft_command c = {.verb = "log"};
    CHECK_EQ(weft_node_command(b, "tcp://127.0.0.1:1/x", &c, WAIT_MS, NULL), WEFT_ENOTFOUND);
    CHECK_EQ(weft_node_command(b, "nonsense", &c, WAIT_MS, NULL), WEFT_EURL);
    weft_node_close(b);
    weft_node_close(a);
    fx_rmdir(folder);
}

/* The permissions of another's socket say nothing of who may steer us: we may have learnt of it
 * from anybody. */
TEST(command, not_from_whom_we_dialled)
{
    char folder[64], url[128];
    fx_mkdir(folder, sizeof(folder));
    snprintf(url, sizeof(url), "unix://%s/door/b", folder);
    weft_node *b = fx_open(url, NULL, NULL);
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", url, NULL);
    CHECK_EQ(weft_node_wait_peers(b, 1, WAIT_MS), 0);
    CHECK_EQ(send_command(b, weft_node_url(a), "log", "debug", "unix socket"), WEFT_EDENIED);
    CHECK_EQ(status(a).log_level, WEFT_LOG_INFO);
    weft_node_close(a);
    weft_node_close(b);
    fx_rmdir(folder);
}

/* Larger than any frame the other side takes: it is not sent, and said so. */
TEST(command, larger_than_a_frame)
{
    enum { FRAME = 64 << 10 };
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    o.max_frame = FRAME;
    weft_node *a = fx_open_options(&o);
    weft_node *b = fx_open(NULL, weft_node_url(a), NULL);
    CHECK_EQ(weft_node_wait_peers(b, 1, WAIT_MS), 0);
    char *word = malloc(FRAME + 1), *text = NULL;
    CHECK(word != NULL);
    memset(word, 'x', FRAME);
    word[FRAME] = '\0';
    const char *const args[] = {word, NULL};
    weft_command c = {.verb = "log", .args = args};
    CHECK_EQ(weft_node_command(b, weft_node_url(a), &c, WAIT_MS, &text), WEFT_ETOOBIG);
    CHECK(text && strstr(text, "takes no frame as large as this command"));
    weft_free(text);
    free(word);
    weft_node_close(b);
    weft_node_close(a);
}
