/* What bad options get: the error's code, and a sentence that names the place. And what becomes of
 * peers that must not be linked, and of the address book's file. */
#include "fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static void expect_error(const weft_options *o, int error, const char *place)
{
    weft_node *node = NULL;
    char *text = NULL;
    int rc = weft_node_open_explain(o, &node, &text);
    if (rc != error || node || !text || !strstr(text, place))
        FAIL("expected %s and '%s', got %s: %s", weft_err_name(error), place, weft_err_name(rc),
             text ? text : "(no text)");
    weft_free(text);
    CHECK_EQ(weft_node_open(o, &node), error);
    CHECK(node == NULL);
}

TEST(options, numbers)
{
    weft_options o = fx_options("inproc://options/a");
    o.size = 0;
    expect_error(&o, WEFT_EINVAL, "weft_options_init");
    o = fx_options("inproc://options/a");
    o.max_frame = 1000;
    expect_error(&o, WEFT_EINVAL, "max_frame");
    o.max_frame = (64u << 20) + 1;
    expect_error(&o, WEFT_EINVAL, "max_frame");
    o = fx_options("inproc://options/a");
    o.max_peers = 0;
    expect_error(&o, WEFT_EINVAL, "max_peers");
    o = fx_options("inproc://options/a");
    o.outbox = 0;
    expect_error(&o, WEFT_EINVAL, "outbox");
    o = fx_options("inproc://options/a");
    o.role = (enum weft_role)9;
    expect_error(&o, WEFT_EINVAL, "role");
    CHECK_EQ(weft_node_open(NULL, &(weft_node *){NULL}), WEFT_EINVAL);
    CHECK_EQ(weft_node_open(&o, NULL), WEFT_EINVAL);
}

TEST(options, urls)
{
    static const struct {
        const char *url;
        int error;
    } bad[] = {
        {"", WEFT_EURL},
        {"tcp", WEFT_EURL},
        {"tcp://", WEFT_EURL},
        {"tcp://127.0.0.1:99999/a", WEFT_EURL},
        {"tcp://127.0.0.1:x/a", WEFT_EURL},
        {"tcp://127.0.0.1:0/a..b", WEFT_EURL},
        {"tcp://[::1/a", WEFT_EURL},
        {"ftp://127.0.0.1:1/a", WEFT_ENOTSUP},
        {"unix:///no/such/folder/weft.sock/a", WEFT_ENOTFOUND},
        {"tcp://203.0.113.77:0/a", WEFT_EADDRNOTAVAIL},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        weft_options o = fx_options(bad[i].url);
        expect_error(&o, bad[i].error, bad[i].url);
        o = fx_options("inproc://options/a");
        const char *list[] = {bad[i].url, NULL};
        o.listen = list;
        expect_error(&o, bad[i].error, bad[i].url);
        if (bad[i].error != WEFT_EURL && bad[i].error != WEFT_ENOTSUP)
            continue;
        o = fx_options("inproc://options/a");
        o.peers = list;
        expect_error(&o, bad[i].error, "peers: ");
        o.peers = NULL;
        o.advertise = bad[i].url;
        expect_error(&o, bad[i].error, "advertise: ");
    }
    weft_options o = fx_options("inproc://options/a");
    const char *nowhere[] = {"tcp://0.0.0.0:0/a", NULL};
    o.peers = nowhere;
    expect_error(&o, WEFT_EURL, "peers: tcp://0.0.0.0:0/a");
}

TEST(options, roles)
{
    const char *two[] = {"unix:///tmp/none/a", "unix:///tmp/none2/b", NULL};
    weft_options o = fx_options(NULL);
    o.peers = two;
    expect_error(&o, WEFT_EINVAL, "leaf");
    o.role = WEFT_ROLE_PEER;
    expect_error(&o, WEFT_EINVAL, "self");
    o = fx_options("inproc://options/a");
    o.role = WEFT_ROLE_CLIENT;
    expect_error(&o, WEFT_EINVAL, "self");
    o.role = WEFT_ROLE_AUTO;
    o.path = "other";
    expect_error(&o, WEFT_EINVAL, "path");
    o = fx_options(NULL);
    o.path = "a b";
    expect_error(&o, WEFT_EURL, "path");
}

TEST(options, an_address_in_use)
{
    char folder[64], door[128];
    fx_mkdir(folder, sizeof(folder));
    snprintf(door, sizeof(door), "unix://%s/door/a", folder);
    const char *urls[] = {"tcp://127.0.0.1:0/a", "inproc://in-use/a", door};
    for (int i = 0; i < 3; i++) {
        weft_node *first = fx_open(urls[i], NULL, NULL);
        weft_options o = fx_options(weft_node_url(first));
        expect_error(&o, WEFT_EADDRINUSE, weft_node_url(first));
        weft_node_close(first);
        weft_node_close(fx_open(urls[i], NULL, NULL)); /* and free again */
    }
    fx_rmdir(folder);
}

TEST(options, routes)
{
    weft_node *node = fx_open("inproc://routes/a", NULL, NULL);
    static const struct {
        const char *route;
        int publish, subscribe;
    } cases[] = {
        {"", WEFT_EROUTE, WEFT_EROUTE},
        {"t.X", WEFT_EROUTE, WEFT_EROUTE},
        {"@a", WEFT_EROUTE, WEFT_EROUTE},
        {"t.X@", WEFT_EROUTE, WEFT_EROUTE},
        {"t.X@a..b", WEFT_EROUTE, WEFT_EROUTE},
        {"t.X@b", WEFT_ESCOPE, 0},
        {"t.X@ab", WEFT_ESCOPE, 0},
        {"t.X@a.*", WEFT_EPATTERN, 0},
        {"*@**", WEFT_EPATTERN, 0},
        {"t.X@a", 0, 0},
        {"t.X@a.b", 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        weft_intent *out = NULL;
        weft_interest *in = NULL;
        int rc = weft_publish(node, cases[i].route, NULL, &out);
        if (rc != cases[i].publish || (rc < 0) != (out == NULL))
            FAIL("publish '%s': %s", cases[i].route, weft_err_name(rc));
        rc = weft_subscribe(node, cases[i].route, NULL, &in);
        if (rc != cases[i].subscribe || (rc < 0) != (in == NULL))
            FAIL("subscribe '%s': %s", cases[i].route, weft_err_name(rc));
    }
    weft_intent *out = fx_publish(node, "t.X@a.large");
    weft_interest *in = fx_subscribe(node, "t.X@a.large");
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_interest_wait(in, WAIT_MS), 0);
    static char large[(4u << 20) + 1];
    CHECK_EQ(weft_send(out, large, sizeof(large)), WEFT_ETOOBIG);
    CHECK_EQ(weft_send(out, NULL, 5), WEFT_EINVAL);
    CHECK_EQ(weft_send(NULL, "x", 1), WEFT_EINVAL);
    weft_node_close(node);
}

TEST(options, too_many_routes)
{
    weft_options o = fx_options("inproc://routes/a");
    o.max_routes = 3;
    weft_node *node = fx_open_options(&o);
    weft_intent *one = fx_publish(node, "t.X@a.one"), *more = NULL;
    fx_publish(node, "t.X@a.two");
    fx_subscribe(node, "t.X@a.one");
    CHECK_EQ(weft_publish(node, "t.X@a.three", NULL, &more), WEFT_ELIMIT);
    CHECK(more == NULL);
    weft_intent_close(one);
    UNTIL(weft_publish(node, "t.X@a.three", NULL, &more) == 0);
    weft_node_close(node);
}

/* ---- Peers that must not be linked ---- */

static struct events ours, theirs;

static weft_node *open_with(weft_options *o, const char *peer, struct events *events)
{
    const char *peers[] = {peer, NULL};
    events_init(events);
    o->peers = peer ? peers : NULL;
    o->on_event = events_take;
    o->user = events;
    return fx_open_options(o);
}

TEST(options, another_network)
{
    weft_options a = fx_options("tcp://127.0.0.1:0/a"), b = fx_options("tcp://127.0.0.1:0/b");
    a.network = "lab";
    b.network = "field";
    weft_node *first = open_with(&a, NULL, &ours);
    weft_node *second = open_with(&b, weft_node_url(first), &theirs);
    struct events *sides[] = {&ours, &theirs};
    for (int i = 0; i < 2; i++) {
        struct seen s = events_wait(sides[i], WEFT_EVENT_REFUSED, 1);
        CHECK_EQ(s.error, WEFT_ENETWORK);
        CHECK(strstr(s.text, "lab") && strstr(s.text, "field"));
    }
    CHECK_EQ(fx_peer_count(first), 0);
    weft_node_close(second);
    weft_node_close(first);
}

TEST(options, itself)
{
    events_init(&ours);
    weft_node *node = fx_open("tcp://0.0.0.0:0/a", NULL, &ours);
    CHECK_EQ(weft_node_dial(node, weft_node_url(node), NULL), WEFT_ESELF);
    char loop[128];
    snprintf(loop, sizeof(loop), "tcp://127.0.0.1%s", strrchr(weft_node_url(node), ':'));
    CHECK_EQ(weft_node_dial(node, loop, NULL), 0);
    for (size_t end = 1; end <= 2; end++) /* of the one connection */
        CHECK_EQ(events_wait(&ours, WEFT_EVENT_REFUSED, end).error, WEFT_ESELF);
    CHECK_EQ(weft_node_dial(node, loop, NULL), WEFT_ESELF); /* now it is known */
    CHECK_EQ(fx_peer_count(node), 0);
    weft_node_close(node);
    node = fx_open("inproc://itself/a", NULL, NULL);
    CHECK_EQ(weft_node_dial(node, weft_node_url(node), NULL), WEFT_ESELF);
    CHECK_EQ(weft_node_dial(node, "what", NULL), WEFT_EURL);
    CHECK_EQ(weft_node_dial(node, "ftp://x:1/a", NULL), WEFT_ENOTSUP);
    CHECK_EQ(weft_node_forget(node, "what"), WEFT_EURL);
    CHECK_EQ(weft_node_forget(node, "tcp://127.0.0.1:1/a"), WEFT_ENOTFOUND);
    weft_node_close(node);
}

TEST(options, more_peers_than_allowed)
{
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    o.max_peers = 2;
    weft_node *full = open_with(&o, NULL, &ours);
    weft_node *one = fx_open("tcp://127.0.0.1:0/b", weft_node_url(full), NULL);
    weft_node *two = fx_open(NULL, weft_node_url(full), NULL);
    CHECK_EQ(weft_node_wait_peers(full, 2, WAIT_MS), 0);
    weft_options c = fx_options("tcp://127.0.0.1:0/c");
    weft_node *three = open_with(&c, weft_node_url(full), &theirs);
    struct seen s = events_wait(&theirs, WEFT_EVENT_REFUSED, 1);
    CHECK_EQ(s.error, WEFT_ELIMIT);
    CHECK_EQ(events_wait(&ours, WEFT_EVENT_REFUSED, 1).error, WEFT_ELIMIT);
    CHECK_EQ(fx_stats(full).peers, 2);
    weft_node_close(two); /* makes room, and the third one tries again by itself */
    CHECK_EQ(weft_node_wait_peers(three, 1, WAIT_MS), 0);
    weft_node_close(three);
    weft_node_close(one);
    weft_node_close(full);
}

TEST(options, nobody_there)
{
    weft_options o = fx_options("inproc://lonely/a");
    weft_node *node = open_with(&o, "tcp://127.0.0.1:1/nobody", &ours);
    struct seen s = events_wait(&ours, WEFT_EVENT_DIAL_FAILED, 1);
    CHECK_EQ(s.error, WEFT_EREFUSED);
    CHECK_STR(s.peer, "tcp://127.0.0.1:1/nobody");
    weft_addrbook *book;
    CHECK_EQ(weft_node_addrbook(node, &book), 0);
    CHECK_EQ(book->count, 1);
    CHECK(book->entries[0].failed_attempts >= 1 && book->entries[0].last_error[0]);
    CHECK(book->entries[0].persistent && !book->entries[0].linked);
    weft_addrbook_free(book);
    weft_node_close(node);
}

/* ---- The address book's file ---- */

static char folder[64], file[128];

static weft_node *open_kept(const char *peer, struct events *events)
{
    weft_options o = fx_options("tcp://127.0.0.1:0/kept");
    o.addrbook = file;
    return open_with(&o, peer, events);
}

static void open_folder(void)
{
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/book", folder);
}

TEST(options, the_book_is_kept_with_the_node_id)
{
    open_folder();
    weft_node *peer = fx_open("tcp://127.0.0.1:0/peer", NULL, NULL);
    weft_node *node = open_kept(weft_node_url(peer), &ours);
    CHECK_EQ(weft_node_wait_peers(node, 1, WAIT_MS), 0);
    weft_addrbook *live, *saved;
    CHECK_EQ(weft_node_addrbook(node, &live), 0);
    weft_node_close(node);
    CHECK_EQ(weft_addrbook_load(file, &saved), 0);
    CHECK_EQ(saved->count, live->count);
    CHECK_MEM(saved->node_id, live->node_id, 16);
    CHECK_STR(saved->entries[0].peer, weft_node_url(peer));
    weft_addrbook_free(saved);

    node = open_kept(NULL, &ours); /* knows the peer from the file alone */
    CHECK_EQ(weft_node_wait_peers(node, 1, WAIT_MS), 0);
    CHECK_EQ(weft_node_addrbook(node, &saved), 0);
    CHECK_MEM(saved->node_id, live->node_id, 16);
    weft_addrbook_free(saved);
    weft_addrbook_free(live);
    weft_node_close(node);
    weft_node_close(peer);
    fx_rmdir(folder);
}

TEST(options, a_failed_open_leaves_the_book_alone)
{
    open_folder();
    weft_node *node = open_kept("tcp://127.0.0.1:1/b", &ours), *second;
    weft_node_close(node);
    node = fx_open("tcp://127.0.0.1:0/other", NULL, NULL);
    struct stat before, after;
    CHECK_EQ(stat(file, &before), 0);
    weft_options o = fx_options(weft_node_url(node));
    o.addrbook = file;
    CHECK_EQ(weft_node_open(&o, &second), WEFT_EADDRINUSE);
    CHECK_EQ(stat(file, &after), 0);
    CHECK_EQ(before.st_ino, after.st_ino);
    weft_node_close(node);
    fx_rmdir(folder);
}

static void count_call(weft_node *node, const weft_event *event, void *user)
{
    ++*(int *)user;
}

/* A book is set aside and the first address can be had, but the second is in use. */
TEST(options, a_failed_open_calls_nothing_back)
{
    open_folder();
    FILE *f = fopen(file, "w");
    CHECK(f && fputs("WEFTBOOK and then nonsense", f) >= 0 && fclose(f) == 0);
    int calls = 0;
    weft_node *node = fx_open("inproc://in-use/a", NULL, NULL), *second;
    weft_options o = fx_options("inproc://free/b");
    const char *const listen[] = {"inproc://in-use/b", NULL};
    o.listen = listen;
    o.addrbook = file;
    o.on_event = count_call;
    o.user = &calls;
    CHECK_EQ(weft_node_open(&o, &second), WEFT_EADDRINUSE);
    CHECK_EQ(calls, 0);
    weft_node_close(node);
    fx_rmdir(folder);
}

TEST(options, a_corrupt_book_is_set_aside)
{
    open_folder();
    FILE *f = fopen(file, "w");
    CHECK(f && fputs("WEFTBOOK and then nonsense", f) >= 0 && fclose(f) == 0);
    weft_addrbook *book = NULL;
    CHECK_EQ(weft_addrbook_load(file, &book), WEFT_ECORRUPT);
    weft_node *node = open_kept(NULL, &ours);
    struct seen s = events_wait(&ours, WEFT_EVENT_ADDRBOOK, 1);
    CHECK(s.error == WEFT_ECORRUPT || s.error == WEFT_EVERSION);
    CHECK(strstr(s.text, file) && strstr(s.text, "set aside as "));
    char aside[256];
    snprintf(aside, sizeof(aside), "%s", strstr(s.text, "set aside as ") + strlen("set aside as "));
    *strchr(aside, ',') = '\0';
    CHECK_EQ(access(aside, R_OK), 0);
    weft_node_close(node);
    CHECK_EQ(weft_addrbook_load(file, &book), 0); /* a sound one in its place */
    weft_addrbook_free(book);
    fx_rmdir(folder);
}

/* There is no folder: the node says so at once, and when it closes, which it does all the same.
 * This fails for root too, as permissions would not. */
TEST(options, a_book_that_cannot_be_saved)
{
    open_folder();
    fx_rmdir(folder);
    weft_node *node = open_kept(NULL, &ours);
    struct seen s = events_wait(&ours, WEFT_EVENT_ADDRBOOK, 1);
    CHECK_EQ(weft_node_close(node), 0);
    events_wait(&ours, WEFT_EVENT_ADDRBOOK, 2);
    CHECK_EQ(s.error, WEFT_ENOTFOUND);
    CHECK(strstr(s.text, file) && strstr(s.text, "could not be saved"));
}

TEST(options, a_book_that_cannot_be_read)
{
    open_folder();
    weft_options o = fx_options("inproc://unread/a");
    o.addrbook = folder; /* a folder is no file */
    expect_error(&o, WEFT_ENOTSUP, folder);
    FILE *f = fopen(file, "w");
    CHECK(f && fclose(f) == 0);
    CHECK_EQ(chmod(file, 0), 0);
    if (access(file, R_OK) != 0) { /* root may read everything */
        o.addrbook = file;
        expect_error(&o, WEFT_EACCESS, file);
    }
    fx_rmdir(folder);
}
