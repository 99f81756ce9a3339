/* Leaves: programs on a router's host, one link each, for which the router relays. */
#include "fixture.h"

#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

struct scene {
    char folder[64], door[160], router_url[192];
    weft_node *router, *peer, *one, *two;
    struct events events_one, events_two, events_router;
};

static weft_node *open_router(struct scene *s)
{
    weft_options o = fx_options("tcp://127.0.0.1:0/r");
    const char *listen[] = {s->door, NULL};
    const char *peers[] = {weft_node_url(s->peer), NULL};
    o.listen = listen;
    o.peers = peers;
    o.on_event = events_take;
    o.user = &s->events_router;
    return fx_open_options(&o);
}

static weft_node *open_leaf(struct scene *s, const char *path, struct events *events)
{
    weft_options o = fx_options(NULL);
    const char *peers[] = {s->door, NULL};
    o.path = path;
    o.peers = peers;
    o.on_event = events_take;
    o.user = events;
    return fx_open_options(&o);
}

static void open_scene(struct scene *s)
{
    events_init(&s->events_one);
    events_init(&s->events_two);
    events_init(&s->events_router);
    fx_mkdir(s->folder, sizeof(s->folder));
    snprintf(s->door, sizeof(s->door), "unix://%s/door/r", s->folder);
    s->peer = fx_open("tcp://127.0.0.1:0/p", NULL, NULL);
    s->router = open_router(s);
    s->one = open_leaf(s, "r.one", &s->events_one);
    s->two = open_leaf(s, "r.two", &s->events_two);
    CHECK_EQ(weft_node_wait_peers(s->one, 1, WAIT_MS), 0);
    CHECK_EQ(weft_node_wait_peers(s->two, 1, WAIT_MS), 0);
    CHECK_EQ(weft_node_wait_peers(s->router, 3, WAIT_MS), 0);
}

static void close_scene(struct scene *s)
{
    weft_node_close(s->one);
    weft_node_close(s->two);
    weft_node_close(s->router);
    weft_node_close(s->peer);
    fx_rmdir(s->folder);
}

static void expect_numbers(weft_interest *in, uint32_t count, const char *route, const char *sender)
{
    for (uint32_t i = 0; i < count; i++) {
        weft_msg *msg;
        CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
        CHECK_EQ(weft_msg_size(msg), sizeof(i));
        CHECK_MEM(weft_msg_data(msg), &i, sizeof(i));
        CHECK_STR(weft_msg_route(msg), route);
        if (sender)
            CHECK_STR(weft_msg_sender(msg), sender);
        weft_msg_unref(msg);
    }
}

static void send_numbers(weft_intent *out, uint32_t count)
{
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(weft_send(out, &i, sizeof(i)), 0);
}

TEST(leaf, subscribes_from_across_the_mesh)
{
    static struct scene s;
    open_scene(&s);
    weft_interest *one = fx_subscribe(s.one, "t.L@p.out"), *two = fx_subscribe(s.two, "t.L@p.**"),
                  *router = fx_subscribe(s.router, "t.L@p.out");
    weft_intent *out = fx_publish(s.peer, "t.L@p.out");
    CHECK_EQ(weft_interest_wait(one, WAIT_MS), 0);
    CHECK_EQ(weft_interest_wait(two, WAIT_MS), 0);
    CHECK_EQ(weft_interest_wait(router, WAIT_MS), 0);
    UNTIL(fx_stats(s.peer).remote_interests == 2); /* the router asks once a route */
    UNTIL(fx_stats(s.router).remote_interests == 2);
    send_numbers(out, 2000);
    expect_numbers(one, 2000, "t.L@p.out", weft_node_url(s.peer));
    expect_numbers(two, 2000, "t.L@p.out", weft_node_url(s.peer));
    expect_numbers(router, 2000, "t.L@p.out", weft_node_url(s.peer));
    CHECK_EQ(fx_stats(s.router).relayed, 4000);
    close_scene(&s);
}

TEST(leaf, publishes_across_the_mesh)
{
    static struct scene s;
    open_scene(&s);
    weft_interest *in = fx_subscribe(s.peer, "t.L@r.one.out"),
                  *router = fx_subscribe(s.router, "*@r.**");
    weft_intent *out = fx_publish(s.one, "t.L@r.one.out");
    CHECK_EQ(weft_interest_wait(in, WAIT_MS), 0);
    CHECK_EQ(weft_interest_wait(router, WAIT_MS), 0);
    send_numbers(out, 2000);
    expect_numbers(in, 2000, "t.L@r.one.out", NULL);
    expect_numbers(router, 2000, "t.L@r.one.out", NULL);
    weft_intent_close(out);
    UNTIL(fx_stats(s.peer).remote_intents == 0);
    close_scene(&s);
}

TEST(leaf, to_another_leaf_and_back)
{
    static struct scene s;
    open_scene(&s);
    weft_interest *in_one = fx_subscribe(s.one, "t.L@r.two.out"),
                  *in_two = fx_subscribe(s.two, "t.L@r.one.**");
    weft_intent *out_one = fx_publish(s.one, "t.L@r.one.out"),
                *out_two = fx_publish(s.two, "t.L@r.two.out");
    send_numbers(out_one, 2000);
    send_numbers(out_two, 2000);
    expect_numbers(in_one, 2000, "t.L@r.two.out", NULL);
    expect_numbers(in_two, 2000, "t.L@r.one.out", NULL);
    CHECK_EQ(fx_peer_count(s.one), 1);
    CHECK_EQ(fx_peer_count(s.two), 1);
    CHECK_EQ(fx_peer_count(s.peer), 1);
    close_scene(&s);
}

/* The router goes and comes back: its leaves are back by themselves, with all they declared. */
TEST(leaf, the_router_restarts)
{
    static struct scene s;
    open_scene(&s);
    weft_interest *in = fx_subscribe(s.one, "t.L@p.out"),
                  *far = fx_subscribe(s.peer, "t.L@r.two.out");
    weft_intent *out = fx_publish(s.peer, "t.L@p.out"), *back = fx_publish(s.two, "t.L@r.two.out");
    send_numbers(out, 100);
    send_numbers(back, 100);
    expect_numbers(in, 100, "t.L@p.out", NULL);
    expect_numbers(far, 100, "t.L@r.two.out", NULL);
    weft_node_close(s.router);
    events_wait(&s.events_one, WEFT_EVENT_PEER_DOWN, 1);
    events_wait(&s.events_two, WEFT_EVENT_PEER_DOWN, 1);
    UNTIL(!weft_intent_interested(out) && !weft_intent_interested(back));
    uint64_t start = fx_now_ms();
    s.router = open_router(&s);
    events_wait(&s.events_one, WEFT_EVENT_PEER_UP, 2);
    events_wait(&s.events_two, WEFT_EVENT_PEER_UP, 2);
    uint64_t took = fx_now_ms() - start;
    fprintf(stderr, "leaves back within %llu ms\n", (unsigned long long)took);
    if (!INSTRUMENTED)
        CHECK(took < 2000);
    send_numbers(out, 100);
    send_numbers(back, 100);
    expect_numbers(in, 100, "t.L@p.out", NULL);
    expect_numbers(far, 100, "t.L@r.two.out", NULL);
    close_scene(&s);
}

/* ---- One link, filled from two sides ---- */

#define FEW (INSTRUMENTED ? 500u : 4000u)
#define SIZE 200000u /* copied for two leaves between the look for room and its use */

struct two_sides {
    weft_intent *near, *far;
    atomic_uint got_near, got_far; /* by both leaves */
    atomic_bool far_done;
    unsigned sent_near;
};

static const uint8_t many_bytes[SIZE];

static void *send_far(void *arg)
{
    struct two_sides *s = arg;
    for (unsigned i = 0; i < FEW; i++)
        CHECK_EQ(weft_send(s->far, many_bytes, sizeof(many_bytes)), 0);
    atomic_store(&s->far_done, true);
    return NULL;
}

/* Takes room in the very moment there is some, but not so often that nobody else gets any. */
static void *send_near(void *arg)
{
    struct two_sides *s = arg;
    while (!atomic_load(&s->far_done)) {
        if (2 * s->sent_near > atomic_load(&s->got_far) + 4) {
            sched_yield();
            continue;
        }
        int rc = weft_try_send(s->near, many_bytes, sizeof(many_bytes));
        CHECK(rc == 0 || rc == WEFT_EAGAIN);
        s->sent_near += rc == 0;
    }
    return NULL;
}

static void count_side(weft_interest *interest, const weft_msg *msg, void *user)
{
    (void)interest;
    struct two_sides *s = user;
    bool far = strcmp(weft_msg_route(msg), "t.F@p.x") == 0;
    atomic_fetch_add(far ? &s->got_far : &s->got_near, 1);
}

static weft_node *open_counting_leaf(const weft_node *router, const char *path, struct two_sides *s)
{
    weft_options o = fx_options(NULL);
    o.path = path;
    o.peers = (const char *[]){weft_node_url(router), NULL};
    o.role = WEFT_ROLE_LEAF;
    weft_node *leaf = fx_open_options(&o);
    weft_subscribe_options so;
    weft_subscribe_options_init(&so);
    so.on_message = count_side;
    so.user = s;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(leaf, "t.F@*.x", &so, &in), 0);
    CHECK_EQ(weft_interest_wait(in, WAIT_MS), 0);
    return leaf;
}

/* The router's loop, which relays, and a thread of the router both find room for one message in the
 * outbox of a leaf: neither is dropped, since both would have waited. */
TEST(leaf, room_that_two_have_found)
{
    weft_node *peer = fx_open("inproc://found-p/p", NULL, NULL);
    weft_options o = fx_options("inproc://found-r/r");
    o.peers = (const char *[]){weft_node_url(peer), NULL};
    o.outbox = 2 * SIZE;
    weft_node *router = fx_open_options(&o);
    static struct two_sides s;
    s.near = fx_publish(router, "t.F@r.x");
    s.far = fx_publish(peer, "t.F@p.x");
    weft_node *one = open_counting_leaf(router, "r.one", &s),
              *two = open_counting_leaf(router, "r.two", &s);
    UNTIL(fx_stats(router).remote_interests == 2 && fx_stats(peer).remote_interests == 1);
    pthread_t threads[2];
    CHECK_EQ(pthread_create(&threads[0], NULL, send_near, &s), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, send_far, &s), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    UNTIL(atomic_load(&s.got_near) + atomic_load(&s.got_far) +
              fx_stats(router).dropped[WEFT_DROP_TIMEOUT] ==
          2 * (FEW + s.sent_near));
    CHECK_EQ(fx_stats(router).dropped[WEFT_DROP_TIMEOUT], 0);
    CHECK_EQ(weft_node_close(one), 0);
    CHECK_EQ(weft_node_close(two), 0);
    CHECK_EQ(weft_node_close(router), 0);
    CHECK_EQ(weft_node_close(peer), 0);
}

/* A node publishes below its own path, and a leaf's path lies below its router's. */
TEST(leaf, scope_is_kept)
{
    static struct scene s;
    open_scene(&s);
    weft_intent *out;
    CHECK_EQ(weft_publish(s.one, "t.L@r.two.out", NULL, &out), WEFT_ESCOPE);
    CHECK_EQ(weft_publish(s.one, "t.L@elsewhere", NULL, &out), WEFT_ESCOPE);
    static struct events events;
    events_init(&events);
    weft_node *stray = open_leaf(&s, "elsewhere", &events);
    struct seen refused = events_wait(&events, WEFT_EVENT_REFUSED, 1);
    CHECK_EQ(refused.error, WEFT_EDENIED);
    CHECK(strstr(refused.text, "elsewhere") != NULL);
    struct seen told = events_wait(&s.events_router, WEFT_EVENT_REFUSED, 1);
    CHECK_EQ(told.error, WEFT_EDENIED);
    weft_node_close(stray);
    close_scene(&s);
}

/* A route from behind a router: whose it is, and over which link it came. */
TEST(leaf, a_report_says_which_way)
{
    static struct scene s;
    open_scene(&s);
    weft_interest *in = fx_subscribe(s.peer, "t.L@r.one.out");
    fx_publish(s.one, "t.L@r.one.out");
    CHECK_EQ(weft_interest_wait(in, WAIT_MS), 0);
    weft_report *r = fx_inspect(s.peer, NULL, WEFT_PART_ROUTES, "t.L@r.one.out");
    CHECK_EQ(r->n_routes, 2);
    CHECK(r->routes[0].intent && !r->routes[1].intent);
    CHECK_STR(r->routes[0].peer, weft_node_url(s.one));
    CHECK_STR(r->routes[0].via, weft_node_url(s.router));
    CHECK(!r->routes[1].peer && !r->routes[1].via);
    weft_report_free(r);
    r = fx_inspect(s.router, NULL, WEFT_PART_ROUTES, "t.L@r.one.out");
    CHECK_STR(r->routes[0].peer, weft_node_url(s.one));
    CHECK(!r->routes[0].via);
    weft_report_free(r);
    close_scene(&s);
}

/* ---- A router that does not take a route ---- */

/* Whoever waits for a counterpart hears of it, and waits again once the router may think better. */
TEST(leaf, a_refused_intent)
{
    static struct scene s;
    static struct events events;
    open_scene(&s);
    events_init(&events);
    weft_node *leaf = open_leaf(&s, NULL, &events);
    weft_intent *out = fx_publish(leaf, "t.L@elsewhere.x");
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), WEFT_EDENIED);
    struct seen refused = events_wait(&events, WEFT_EVENT_ROUTE_REFUSED, 1);
    CHECK_STR(refused.route, "t.L@elsewhere.x");
    CHECK(refused.intent && refused.error == WEFT_EDENIED);
    CHECK_STR(refused.peer, weft_node_url(s.router));
    weft_intent *again =
        fx_publish(leaf, "t.L@elsewhere/x"); /* the same route: not declared anew */
    CHECK_EQ(weft_intent_wait(again, WAIT_MS), WEFT_EDENIED);
    CHECK_EQ(weft_node_dial(leaf, "inproc://refused-nobody/x", NULL), 0);
    events_wait(&events, WEFT_EVENT_DIAL_FAILED, 1); /* which is no reason to hope */
    CHECK_EQ(weft_intent_wait(out, 0), WEFT_EDENIED);
    weft_intent *good = fx_publish(leaf, "t.L@r.x");
    CHECK_EQ(weft_intent_wait(good, 0), WEFT_ETIMEDOUT);
    fx_subscribe(s.peer, "t.L@r.x");
    CHECK_EQ(weft_intent_wait(good, WAIT_MS), 0);

    weft_node_close(s.router);
    events_wait(&events, WEFT_EVENT_PEER_DOWN, 1);
    CHECK_EQ(weft_intent_wait(out, 0), WEFT_ETIMEDOUT);
    s.router = open_router(&s);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), WEFT_EDENIED);
    fx_subscribe(leaf, "t.L@elsewhere.*");
    UNTIL(weft_intent_wait(out, 0) == 0); /* somebody here listens */
    weft_node_close(leaf);
    close_scene(&s);
}

TEST(leaf, a_refused_interest)
{
    weft_options o = fx_options("inproc://refused-r/r");
    o.max_routes = 2; /* one for a link */
    weft_node *router = fx_open_options(&o);
    o = fx_options(NULL);
    o.peers = (const char *[]){weft_node_url(router), NULL};
    o.role = WEFT_ROLE_LEAF;
    weft_node *leaf = fx_open_options(&o);
    fx_subscribe(leaf, "t.L@p.one");
    UNTIL(fx_stats(router).remote_interests == 1);
    weft_interest *in = fx_subscribe(leaf, "t.L@p.*.two");
    CHECK_EQ(weft_interest_wait(in, WAIT_MS), WEFT_ELIMIT);
    weft_interest *same = fx_subscribe(leaf, "t.L@p/*/two");
    CHECK_EQ(weft_interest_wait(same, WAIT_MS), WEFT_ELIMIT);
    weft_msg *msg;
    CHECK_EQ(weft_recv(in, &msg, 0), WEFT_ETIMEDOUT); /* the router may take it yet */
    fx_publish(leaf, "t.L@p.x.two");
    UNTIL(weft_interest_wait(in, 0) == 0);
    weft_node_close(leaf);
    weft_node_close(router);
}

static void hold_up(weft_interest *interest, const weft_msg *msg, void *user)
{
    (void)interest, (void)msg;
    while (sem_wait(user) != 0)
        continue;
}

/* A router whose loop stands still until `release` is posted. */
static void hold_router(weft_node *router, sem_t *release)
{
    weft_interest *in;
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = hold_up;
    o.user = release;
    sem_init(release, 0, 0);
    CHECK_EQ(weft_subscribe(router, "t.L@r.hold", &o, &in), 0);
    weft_intent *out = fx_publish(router, "t.L@r.hold");
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_send(out, "", 0), 0);
}

/* A route is refused, and was closed and opened again before that is heard: the second time there
 * is room. */
TEST(leaf, a_refusal_that_comes_late)
{
    static struct events events;
    enum { ROOM = 3 };
    weft_intent *some[ROOM];
    sem_t release;
    char route[32];
    weft_options o = fx_options("inproc://late-r/r");
    o.max_routes = 2 * ROOM; /* half for a link */
    weft_node *router = fx_open_options(&o);
    events_init(&events);
    o = fx_options(NULL);
    o.peers = (const char *[]){weft_node_url(router), NULL};
    o.role = WEFT_ROLE_LEAF;
    o.on_event = events_take;
    o.user = &events;
    weft_node *leaf = fx_open_options(&o);
    for (unsigned i = 0; i < ROOM; i++) {
        snprintf(route, sizeof(route), "t.L@r.some.%u", i);
        some[i] = fx_publish(leaf, route);
    }
    UNTIL(fx_stats(router).remote_intents == ROOM);
    hold_router(router, &release);
    weft_intent *out = fx_publish(leaf, "t.L@r.x");
    fx_stats(leaf); /* it is declared */
    weft_intent_close(some[0]);
    weft_intent_close(out);
    out = fx_publish(leaf, "t.L@r.x");
    fx_stats(leaf);
    sem_post(&release);
    CHECK_STR(events_wait(&events, WEFT_EVENT_ROUTE_REFUSED, 1).route, "t.L@r.x");
    UNTIL(fx_stats(router).remote_intents == ROOM);
    CHECK_EQ(weft_intent_wait(out, 0), WEFT_ETIMEDOUT);
    weft_node_close(leaf);
    weft_node_close(router);
    sem_destroy(&release);
}

/* Of many peers one may refuse: others may listen. */
TEST(leaf, a_peer_waits_on)
{
    static struct events events;
    weft_options o = fx_options("inproc://waits-full/f");
    o.max_routes = 2;
    weft_node *full = fx_open_options(&o);
    events_init(&events);
    weft_node *node = fx_open("inproc://waits-n/n", weft_node_url(full), &events);
    CHECK_EQ(weft_node_wait_peers(node, 1, WAIT_MS), 0);
    fx_publish(node, "t.L@n.one");
    UNTIL(fx_stats(full).remote_intents == 1);
    weft_intent *out = fx_publish(node, "t.L@n.two");
    weft_interest *in = fx_subscribe(node, "t.L@f.x");
    CHECK_EQ(events_wait(&events, WEFT_EVENT_ROUTE_REFUSED, 2).error, WEFT_ELIMIT);
    CHECK_EQ(weft_intent_wait(out, 0), WEFT_ETIMEDOUT);
    CHECK_EQ(weft_interest_wait(in, 0), WEFT_ETIMEDOUT);
    weft_node *other = fx_open("inproc://waits-o/o", weft_node_url(node), NULL);
    fx_subscribe(other, "t.L@n.two");
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    weft_node_close(other);
    weft_node_close(node);
    weft_node_close(full);
}

/* ---- A router that takes no more links ---- */

static weft_node *open_asker(const char *url, struct events *events)
{
    weft_options o = fx_options(NULL);
    o.peers = (const char *[]){url, NULL};
    o.role = WEFT_ROLE_LEAF;
    events_init(events);
    o.on_event = events_take;
    o.user = events;
    return fx_open_options(&o);
}

static void expect_refused(weft_node *node, struct events *events)
{
    CHECK_EQ(events_wait(events, WEFT_EVENT_REFUSED, 1).error, WEFT_ELIMIT);
    weft_node_close(node);
}

/* Who comes over the unix socket may ask and command all the same; and no more than that. */
TEST(leaf, places_for_who_asks)
{
    static struct events events[9];
    char folder[64], door[128];
    fx_mkdir(folder, sizeof(folder));
    snprintf(door, sizeof(door), "unix://%s/door/r", folder);
    weft_options o = fx_options("tcp://127.0.0.1:0/r");
    o.listen = (const char *[]){door, NULL};
    o.max_peers = 1;
    weft_node *router = fx_open_options(&o);
    weft_node *peer = fx_open("tcp://127.0.0.1:0/p", weft_node_url(router), NULL);
    CHECK_EQ(weft_node_wait_peers(router, 1, WAIT_MS), 0);

    weft_node *askers[4];
    for (unsigned i = 0; i < 4; i++) {
        askers[i] = open_asker(door, &events[i]);
        CHECK_EQ(weft_node_wait_peers(askers[i], 1, WAIT_MS), 0);
    }
    weft_report_free(fx_inspect(askers[3], door, WEFT_PART_STATUS, NULL));
    expect_refused(open_asker(door, &events[4]), &events[4]);
    weft_node_close(askers[3]);
    UNTIL(fx_stats(router).peers == 4);
    expect_refused(open_asker(weft_node_url(router), &events[5]), &events[5]);
    events_init(&events[6]);
    expect_refused(fx_open("inproc://places/x", door, &events[6]), &events[6]);

    fx_subscribe(peer, "t.L@r.in");
    UNTIL(fx_stats(router).remote_interests == 1);
    weft_node *sender = open_asker(door, &events[8]);
    CHECK_EQ(weft_node_wait_peers(sender, 1, WAIT_MS), 0);
    fx_publish(sender, "t.L@r.in"); /* what it sent now would be lost */
    CHECK_EQ(events_wait(&events[8], WEFT_EVENT_PEER_DOWN, 1).error, WEFT_ELIMIT);
    CHECK_EQ(events_count(&events[8], WEFT_EVENT_MATCH), 0);
    weft_node_close(sender);

    weft_node *user = open_asker(door, &events[7]);
    CHECK_EQ(weft_node_wait_peers(user, 1, WAIT_MS), 0);
    weft_interest *in = fx_subscribe(user, "t.L@p.out");
    CHECK_EQ(events_wait(&events[7], WEFT_EVENT_PEER_DOWN, 1).error, WEFT_ELIMIT);
    CHECK_EQ(events_wait(&events[7], WEFT_EVENT_REFUSED, 1).error, WEFT_ELIMIT);
    CHECK_EQ(fx_stats(router).peers, 4);
    weft_limits more = {.size = sizeof(more), .max_peers = 2};
    CHECK_EQ(weft_node_set_limits(router, &more), 0); /* who asks does not count */
    fx_publish(peer, "t.L@p.out");
    CHECK_EQ(weft_interest_wait(in, WAIT_MS), 0);
    weft_node_close(user);
    for (unsigned i = 0; i < 3; i++)
        weft_node_close(askers[i]);
    weft_node_close(peer);
    weft_node_close(router);
    fx_rmdir(folder);
}
