/* Real nodes on a loop of the test's: opened, linked, sending, asked, closed, while the n-th
 * allocation fails. Each call answers with WEFT_ENOMEM or what weft.h says; what is lost is
 * counted; and when there is memory again the mesh is whole without help, and a message passes. */
#include <unistd.h>

#include <weft/addrbook.h>
#include <weft/admin.h>

#include "tests/oom/talk.h"

/* What is the same over inproc is played there for every n; sockets take real time. */
#define SOCKET_RUNS 40

static bool attach_two(struct talk *t, const char *self_from, const char *self_to)
{
    weft_options o;
    weft_options_init(&o);
    o.self = self_from;
    t->from = world_attach(&t->w, &o);
    if (!t->from)
        return false;
    weft_options_init(&o);
    o.self = self_to;
    const char *peers[] = {weft_node_url(t->from), NULL};
    o.peers = peers;
    t->to = world_attach(&t->w, &o);
    return t->to != NULL;
}

static void mesh_over(const char *self_from, const char *self_to, bool sockets)
{
    struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
    world_open(&t.w, sockets);
    static const size_t sizes[] = {10, 3000, 20000, 600000, 0};
    if (attach_two(&t, self_from, self_to) && talk_begin(&t)) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            talk_send(&t, sizes[i]);
        if (talk_settle(&t))
            talk_passes(&t);
    }
    talk_end(&t);
}

static void over_inproc(void)
{
    mesh_over("inproc://oom-a/a", "inproc://oom-b/b", false);
}

static void over_tcp(void)
{
    mesh_over("tcp://127.0.0.1:0/a", "tcp://127.0.0.1:0/b", true);
}

TEST(oom_node, mesh_over_inproc)
{
    oom_each("mesh_over_inproc", &(struct oom_plan){.at_least = 150}, over_inproc);
}

TEST(oom_node, mesh_over_tcp)
{
    struct oom_plan plan = {.at_least = 150, .runs_max = SOCKET_RUNS};
    oom_each("mesh_over_tcp", &plan, over_tcp);
}

/* ---- A router and its leaves ---- */

static bool attach_leaf(struct talk *t, const char *path, const char *router, weft_node **ret_node)
{
    weft_options o;
    weft_options_init(&o);
    const char *peers[] = {router, NULL};
    o.peers = peers;
    o.role = WEFT_ROLE_LEAF;
    o.path = path;
    *ret_node = world_attach(&t->w, &o);
    return *ret_node != NULL;
}

/* From a leaf over its router to another leaf. */
static void relayed(const char *url, bool sockets)
{
    struct talk t = {.route = "t.A@r.a.out", .pattern = "*@r.a.*"};
    world_open(&t.w, sockets);
    weft_options o;
    weft_options_init(&o);
    o.self = url;
    if (world_attach(&t.w, &o) && attach_leaf(&t, "r.a", url, &t.from) &&
        attach_leaf(&t, "r.b", url, &t.to) && talk_begin(&t)) {
        static const size_t sizes[] = {10, 3000, 20000, 300000};
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            talk_send(&t, sizes[i]);
        if (talk_settle(&t))
            talk_passes(&t);
    }
    talk_end(&t);
}

static char file[100]; /* what a test makes */

static void relay_over_inproc(void)
{
    relayed("inproc://oom-r/r", false);
}

static void relay_over_unix(void)
{
    char url[128];
    snprintf(url, sizeof(url), "unix://%s/r", file);
    relayed(url, true);
}

TEST(oom_node, relay_over_inproc)
{
    oom_each("relay_over_inproc", &(struct oom_plan){.at_least = 200}, relay_over_inproc);
}

TEST(oom_node, relay_over_unix)
{
    struct oom_plan plan = {.at_least = 200, .runs_max = SOCKET_RUNS, .file = file};
    snprintf(file, sizeof(file), "/tmp/weft-oom-%d.sock", (int)getpid());
    oom_each("relay_over_unix", &plan, relay_over_unix);
}

/* ---- Policies ---- */

/* Queues of a few kilobytes that overflow, and KEEP_LAST on the way. */
static void overflow(enum weft_policy sender, enum weft_policy receiver)
{
    struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
    world_open(&t.w, false);
    weft_publish_options_init(&t.publishing);
    weft_subscribe_options_init(&t.subscribing);
    t.publishing.policy = sender;
    t.subscribing.policy = receiver;
    t.subscribing.queue = 4000;
    t.may_drop = true;
    if (attach_two(&t, "inproc://oom-a/a", "inproc://oom-b/b") && talk_begin(&t)) {
        for (int i = 0; i < 6; i++)
            talk_send(&t, i % 2 ? 1500 : 3000);
        if (talk_settle(&t))
            talk_passes(&t);
    }
    talk_end(&t);
}

static void keep_last(void)
{
    overflow(WEFT_KEEP_LAST, WEFT_KEEP_LAST);
}

static void drop_oldest(void)
{
    overflow(WEFT_DROP_OLDEST, WEFT_DROP_OLDEST);
}

static void refuse(void)
{
    overflow(WEFT_REFUSE, WEFT_REFUSE);
}

TEST(oom_node, keep_last)
{
    oom_each("keep_last", &(struct oom_plan){.at_least = 150}, keep_last);
}

TEST(oom_node, drop_oldest)
{
    oom_each("drop_oldest", &(struct oom_plan){.at_least = 150}, drop_oldest);
}

TEST(oom_node, refuse)
{
    oom_each("refuse", &(struct oom_plan){.at_least = 150}, refuse);
}

/* ---- Questions ---- */

static void ask_all(weft_node *node, const char *peer)
{
    weft_peer_info *peers = NULL;
    weft_route_info *routes = NULL;
    weft_addrbook *book = NULL;
    size_t n = 0;
    int rc;
    do
        rc = weft_node_peers(node, &peers, &n);
    while (oom_again(rc));
    CHECK((rc == 0) == (peers != NULL));
    CHECK(rc < 0 || n == 1);
    weft_peers_free(peers, rc < 0 ? 0 : n);
    do
        rc = weft_node_routes(node, &routes, &n);
    while (oom_again(rc));
    CHECK((rc == 0) == (routes != NULL));
    CHECK(rc < 0 || n == 4); /* the intent, and three interests; b hides none */
    weft_routes_free(routes, rc < 0 ? 0 : n);
    do
        rc = weft_node_addrbook(node, &book);
    while (oom_again(rc));
    CHECK((rc == 0) == (book != NULL));
    weft_addrbook_free(book);
    weft_msg *msg = NULL;
    do
        rc = weft_msg_new(100, &msg);
    while (oom_again(rc));
    CHECK((rc == 0) == (msg != NULL));
    weft_msg_unref(msg);
    do
        rc = weft_node_dial(node, "inproc://nobody/x", NULL);
    while (oom_again(rc));
    do
        rc = weft_node_forget(node, "inproc://nobody/x");
    while (rc != WEFT_ENOTFOUND && oom_again(rc));
}

/* All is whole before memory becomes short, so that each question is asked of a mesh. */
static void questions(void)
{
    struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
    world_open(&t.w, false);
    if (attach_two(&t, "inproc://oom-a/a", "inproc://oom-b/b") && talk_begin(&t)) {
        ask_all(t.from, weft_node_url(t.to));
        int fd = weft_interest_fd(t.queue);
        CHECK(fd >= 0 || (fd == WEFT_ENOMEM && oom_failed()));
        weft_msg *msg = NULL;
        int rc = weft_msg_new(5000, &msg);
        if (oom_ok(rc)) {
            memset(weft_msg_data(msg), 0, 5000);
            rc = weft_send_msg(t.out, msg);
            CHECK(rc == 0 || rc == WEFT_EDROPPED || rc == WEFT_ENOMEM);
            CHECK(rc == 0 || oom_failed());
            weft_msg_unref(msg);
        }
    }
    weft_intent_close(t.out);
    weft_interest_close(t.queue);
    weft_interest_close(t.callback);
    weft_interest_close(t.here);
    world_close(&t.w);
}

TEST(oom_node, questions)
{
    oom_each("questions", &(struct oom_plan){.at_least = 150}, questions);
}

/* ---- Reports and commands ---- */

#define ALL_PARTS                                                                                  \
    (WEFT_PART_STATUS | WEFT_PART_PEERS | WEFT_PART_ROUTES | WEFT_PART_BOOK | WEFT_PART_INCIDENTS)

static void check_report(const weft_report *r)
{
    CHECK(r->status && r->peers && r->routes && r->book && r->incidents);
    CHECK_EQ(r->n_routes, 4);
    CHECK(r->n_peers >= 1);
}

static void report_here(weft_node *node, const weft_query *query)
{
    weft_report *r = NULL;
    int rc;
    do
        rc = weft_node_inspect(node, NULL, query, 0, &r, NULL);
    while (oom_again(rc));
    CHECK((rc == 0) == (r != NULL));
    if (r)
        check_report(r);
    weft_report_free(r);
}

struct question {
    weft_node *node;
    const char *url;
    weft_query query;
    bool asked, answered;
};

static void on_report(int error, const char *text, weft_report *report, void *user)
{
    struct question *q = user;
    q->asked = false;
    q->answered = error == 0;
    CHECK(error == 0 || oom_failed());
    CHECK((error == 0) == (report != NULL));
    if (report)
        check_report(report);
    weft_report_free(report);
}

/* Whoever has no memory to answer says so, or the link breaks: then it is asked again. */
static bool is_answered(struct world *w, void *arg)
{
    struct question *q = arg;
    if (q->asked || q->answered)
        return q->answered;
    int rc = weft_node_inspect_async(q->node, q->url, &q->query, 20000, on_report, q);
    q->asked = oom_ok(rc);
    return false;
}

static int tell(weft_node *node, const char *verb, const char *arg)
{
    const char *const args[] = {arg, NULL};
    weft_command command = {.verb = verb, .args = args};
    int rc;
    do {
        char *text = NULL;
        rc = weft_node_command(node, NULL, &command, 0, &text);
        weft_free(text);
    } while (oom_again(rc));
    return rc;
}

static void inspecting(void)
{
    struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
    world_open(&t.w, false);
    if (attach_two(&t, "inproc://oom-a/a", "inproc://oom-b/b") && talk_begin(&t)) {
        struct question q = {.node = t.to, .url = weft_node_url(t.from)};
        weft_query_init(&q.query);
        q.query.parts = ALL_PARTS;
        report_here(t.from, &q.query);
        world_until(&t.w, "the question is answered", is_answered, &q);
        CHECK_EQ(tell(t.from, "log", "debug"), 0);
        tell(t.from, "add", "inproc://nobody/x");
        int rc = tell(t.from, "ban", "inproc://nobody/y");
        CHECK(rc < 0 || tell(t.from, "unban", "inproc://nobody/y") == 0);
        CHECK(rc < 0 || tell(t.from, "pin", "inproc://nobody/y") == 0);
        if (talk_whole(&t))
            talk_passes(&t);
    }
    talk_end(&t);
}

TEST(oom_node, inspecting)
{
    oom_each("inspecting", &(struct oom_plan){.at_least = 200}, inspecting);
}

/* ---- The address book's file ---- */

static void remove_book(void)
{
    char other[200];
    snprintf(other, sizeof(other), "%s.tmp", file);
    CHECK(access(other, F_OK) < 0); /* an attempt that failed leaves none */
    unlink(file);
}

static void with_a_file(void)
{
    for (int round = 0; round < 2; round++) {
        struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
        world_open(&t.w, false);
        weft_options o;
        weft_options_init(&o);
        o.self = "inproc://oom-a/a";
        o.addrbook = file;
        const char *peers[] = {"inproc://oom-b/b", "inproc://oom-c/c", NULL};
        o.peers = peers;
        t.from = world_attach(&t.w, &o);
        weft_options_init(&o);
        o.self = "inproc://oom-b/b";
        t.to = t.from ? world_attach(&t.w, &o) : NULL;
        if (t.to && talk_begin(&t))
            talk_passes(&t);
        talk_end(&t);
        weft_addrbook *book = NULL;
        int rc = weft_addrbook_load(file, &book);
        if (rc != WEFT_ENOTFOUND || !oom_failed())
            oom_ok(rc);
        CHECK(!book || book->count >= 2);
        weft_addrbook_free(book);
    }
    remove_book();
}

TEST(oom_node, address_book)
{
    bool ram = access("/dev/shm", W_OK) == 0; /* where fsync takes no time */
    snprintf(file, sizeof(file), "%s/weft-oom-book-%d", ram ? "/dev/shm" : "/tmp", (int)getpid());
    oom_each("address_book", &(struct oom_plan){.at_least = 250, .file = file}, with_a_file);
}

/* An editor of books: each call does it all or changes nothing, and the file is whole. */
static void edit_a_book(void)
{
    weft_addrbook *book = NULL, *again = NULL;
    weft_book_lock *lock = NULL;
    weft_addrbook_damage damage;
    char url[64], *text = NULL;
    int rc = weft_addrbook_new(&book);
    oom_ok(rc);
    for (unsigned i = 0; book && i < 3; i++) {
        snprintf(url, sizeof(url), "tcp://10.0.0.%u:7400/x", i % 2);
        weft_addrbook_entry e = {.peer = url, .last_error = "cut", .attempts = i};
        size_t before = book->count;
        rc = weft_addrbook_put(book, &e);
        CHECK_EQ(book->count, before + (rc == 1));
        oom_ok(rc < 0 ? rc : 0);
    }
    rc = weft_addrbook_lock(file, &lock, &text);
    oom_ok(rc);
    rc = book && lock ? weft_addrbook_save(lock, book) : WEFT_ENOMEM;
    oom_ok(rc);
    int read = weft_addrbook_repair(file, &again, &damage, NULL);
    CHECK(read == 0 || read == WEFT_ENOMEM || rc < 0);
    CHECK(read < 0 || damage.n_places == 0);
    weft_free(text);
    weft_addrbook_free(again);
    weft_addrbook_free(book);
    weft_addrbook_unlock(lock);
    remove_book();
}

TEST(oom_node, editing_a_book)
{
    bool ram = access("/dev/shm", W_OK) == 0; /* where fsync takes no time */
    snprintf(file, sizeof(file), "%s/weft-oom-edit-%d", ram ? "/dev/shm" : "/tmp", (int)getpid());
    oom_each("editing_a_book", &(struct oom_plan){.at_least = 20, .file = file}, edit_a_book);
}

/* ---- libuv's own allocations ---- */

/* A name is resolved by libuv, which allocates for that, as it does for a loop. */
static void by_name(void)
{
    CHECK_EQ(uv_replace_allocator(oom_alloc, oom_resize_always, oom_zalloc, oom_release), 0);
    struct talk t = {.route = "t.A@a.out", .pattern = "*@a.*"};
    world_open(&t.w, true);
    weft_options o;
    weft_options_init(&o);
    o.self = "tcp://localhost:0/a";
    t.from = world_attach(&t.w, &o);
    if (t.from) {
        weft_options_init(&o);
        o.self = "tcp://localhost:0/b";
        const char *peers[] = {weft_node_url(t.from), NULL};
        o.peers = peers;
        t.to = world_attach(&t.w, &o);
    }
    if (t.to && talk_begin(&t))
        talk_passes(&t);
    talk_end(&t);
    CHECK_EQ(uv_replace_allocator(malloc, realloc, calloc, free), 0);
}

TEST(oom_node, by_name_with_libuv)
{
    struct oom_plan plan = {.at_least = 150, .quiet = 5, .runs_max = SOCKET_RUNS};
    oom_each("by_name_with_libuv", &plan, by_name);
}
