/* Peers of a configuration: what a restart and a reload take back, what an operator keeps, and that
 * the other side is not kept out by it. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <weft/addrbook.h>

#define P1 "inproc://nobody/p1"
#define P2 "inproc://nobody2/p2"
#define P3 "inproc://nobody3/p3"

static int say(weft_node *node, const char *verb, const char *url, char **ret_text)
{
    const char *const args[] = {url, NULL};
    const weft_command command = {.verb = verb, .args = args};
    return weft_node_command(node, NULL, &command, 0, ret_text);
}

/* "origin in_config persistent" of an entry; "none" if there is none. */
static const char *entry_text(weft_node *node, const char *url)
{
    static char text[64];
    weft_addrbook *book;
    CHECK_EQ(weft_node_addrbook(node, &book), 0);
    snprintf(text, sizeof(text), "none");
    for (size_t i = 0; i < book->count; i++) {
        const weft_addrbook_entry *e = &book->entries[i];
        if (strcmp(e->peer, url) == 0)
            snprintf(text, sizeof(text), "%d %d %d", (int)e->origin, e->in_config, e->persistent);
    }
    weft_addrbook_free(book);
    return text;
}

static void count_let_go(enum weft_log_level level, const char *line, void *user)
{
    atomic_uint *counts = user;
    if (strstr(line, "is no longer configured: it is given up"))
        atomic_fetch_add(&counts[0], 1);
    else if (strstr(line, "is no longer configured: it stays"))
        atomic_fetch_add(&counts[1], 1);
}

TEST(named, a_restart_lets_go_of_what_is_no_longer_configured)
{
    char folder[64], file[128];
    static const char *const all[] = {P1, P2, P3, NULL}, *const none[] = {NULL};
    static atomic_uint counts[2];
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/book", folder);
    weft_options o = fx_options("inproc://named/a");
    o.addrbook = file;
    o.on_log = count_let_go;
    o.user = counts;
    o.peers = all;
    weft_node *node = fx_open_options(&o);
    CHECK_EQ(say(node, "add", P2, NULL), 0);
    CHECK_EQ(weft_node_dial(node, "inproc://nobody4/p4", NULL), 0);
    CHECK_STR(entry_text(node, P1), "1 1 1");
    CHECK_STR(entry_text(node, P2), "5 1 1");
    CHECK_STR(entry_text(node, "inproc://nobody4/p4"), "1 0 1");
    weft_node_close(node);

    o.peers = NULL; /* no list at all: nothing is let go */
    node = fx_open_options(&o);
    CHECK_STR(entry_text(node, P1), "1 1 1");
    weft_node_close(node);
    CHECK(atomic_load(&counts[0]) == 0 && atomic_load(&counts[1]) == 0);

    o.peers = none;
    node = fx_open_options(&o);
    CHECK_EQ(weft_node_configure_peer(node, P3, NULL), 0);
    CHECK_STR(entry_text(node, P2), "5 0 1");
    CHECK_STR(entry_text(node, P3), "1 1 1"); /* let go, and named again */
    CHECK_STR(entry_text(node, "inproc://nobody4/p4"), "1 0 1");
    weft_node_close(node);
    CHECK(atomic_load(&counts[0]) == 2 && atomic_load(&counts[1]) == 1);
    fx_rmdir(folder);
}

/* As weftd does it: peer by peer, and then that these are all. */
TEST(named, a_configuration_told_by_calls)
{
    char folder[64], file[128];
    static atomic_uint counts[2];
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/book", folder);
    weft_options o = fx_options("inproc://named/a");
    o.addrbook = file;
    o.on_log = count_let_go;
    o.user = counts;
    for (unsigned run = 0; run < 2; run++) {
        weft_node *node = fx_open_options(&o);
        CHECK_EQ(weft_node_configure_peer(node, run ? P2 : P1, NULL), 0);
        CHECK_EQ(weft_node_configure_done(node), 0);
        CHECK_STR(entry_text(node, run ? P2 : P1), "1 1 1");
        weft_node_close(node);
        CHECK_EQ(atomic_load(&counts[0]), run);
    }
    CHECK_EQ(weft_node_configure_peer(NULL, P1, NULL), WEFT_EINVAL);
    CHECK_EQ(weft_node_unconfigure_peer(NULL, P1), WEFT_EINVAL);
    CHECK_EQ(weft_node_configure_done(NULL), WEFT_EINVAL);
    fx_rmdir(folder);
}

TEST(named, what_both_name_stays_on_either_removal)
{
    static struct events events;
    events_init(&events);
    char *text = NULL;
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", NULL, NULL);
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, &events);
    const char *url = weft_node_url(b);
    CHECK_EQ(weft_node_configure_peer(a, url, NULL), 0);
    CHECK_EQ(weft_node_wait_peers(a, 1, WAIT_MS), 0);
    CHECK_EQ(say(a, "add", url, NULL), 0);
    CHECK_STR(entry_text(a, url), "5 1 1");
    CHECK_EQ(say(a, "remove", url, &text), 0);
    CHECK(strstr(text, "as the configuration names it") != NULL);
    weft_free(text);
    CHECK_STR(entry_text(a, url), "1 1 1");
    CHECK_EQ(say(a, "add", url, NULL), 0);
    CHECK_EQ(weft_node_unconfigure_peer(a, url), 1);
    CHECK_STR(entry_text(a, url), "5 0 1");
    CHECK_EQ(events_count(&events, WEFT_EVENT_PEER_DOWN), 0);
    CHECK_EQ(say(a, "remove", url, &text), 0);
    CHECK(strstr(text, "is out of the address book") != NULL);
    weft_free(text);
    events_wait(&events, WEFT_EVENT_PEER_DOWN, 1);
    CHECK_STR(entry_text(a, url), "none");
    CHECK_EQ(weft_node_unconfigure_peer(a, url), WEFT_ENOTFOUND);
    weft_node_close(a);
    weft_node_close(b);
}

/* Who has us in its own configuration is told to forget us, and yet links again. */
TEST(named, a_dropped_peer_that_is_configured_to_reach_us_comes_back)
{
    static struct events events;
    events_init(&events);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", NULL, NULL);
    weft_node *a = fx_open("tcp://127.0.0.1:0/a", NULL, &events);
    CHECK_EQ(weft_node_configure_peer(a, weft_node_url(b), NULL), 0);
    CHECK_EQ(weft_node_configure_peer(b, weft_node_url(a), NULL), 0);
    events_wait(&events, WEFT_EVENT_PEER_UP, 1);
    CHECK_EQ(weft_node_unconfigure_peer(a, weft_node_url(b)), 0);
    size_t downs = 1; /* where both dials crossed, one link makes way for the other first */
    while (events_wait(&events, WEFT_EVENT_PEER_DOWN, downs).error == WEFT_EDISPLACED)
        downs++;
    CHECK_EQ(events_wait(&events, WEFT_EVENT_PEER_DOWN, downs).error, WEFT_EFORGOTTEN);
    events_wait(&events, WEFT_EVENT_PEER_UP, downs + 1);
    CHECK_STR(entry_text(a, weft_node_url(b)), "3 0 0");
    weft_node_close(a);
    weft_node_close(b);
}

/* A book that knows another name of that node. */
static void write_book(const char *file, weft_node *of, const char *name)
{
    weft_book_lock *lock;
    weft_addrbook *book, *its;
    weft_addrbook_entry e = {.peer = name, .origin = WEFT_ORIGIN_OBSERVED};
    CHECK_EQ(weft_node_addrbook(of, &its), 0);
    memcpy(e.node_id, its->node_id, sizeof(e.node_id));
    weft_addrbook_free(its);
    CHECK_EQ(weft_addrbook_lock(file, &lock, NULL), 0);
    CHECK_EQ(weft_addrbook_new(&book), 0);
    CHECK_EQ(weft_addrbook_put(book, &e), 1);
    CHECK_EQ(weft_addrbook_save(lock, book), 0);
    weft_addrbook_free(book);
    weft_addrbook_unlock(lock);
}

/* It dialled us: its link has the name that it gives itself, and we know another of its names. */
TEST(named, a_peer_forgotten_by_its_other_name)
{
    char folder[64], file[128];
    static struct events events;
    events_init(&events);
    fx_mkdir(folder, sizeof(folder));
    snprintf(file, sizeof(file), "%s/book", folder);
    weft_node *b = fx_open("tcp://127.0.0.1:0/b", NULL, NULL);
    write_book(file, b, P1);
    weft_options o = fx_options("tcp://127.0.0.1:0/a");
    o.addrbook = file;
    o.on_event = events_take;
    o.user = &events;
    weft_node *a = fx_open_options(&o);
    CHECK_EQ(weft_node_dial(b, weft_node_url(a), NULL), 0);
    events_wait(&events, WEFT_EVENT_PEER_UP, 1);
    CHECK_EQ(weft_node_forget(a, P1), 0);
    CHECK_EQ(events_wait(&events, WEFT_EVENT_PEER_DOWN, 1).error, WEFT_EFORGOTTEN);
    weft_node_close(a);
    weft_node_close(b);
    fx_rmdir(folder);
}
