/* weft_recv and those who wait in it, when the interest is closed. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUTE "t.C@a.out"
#if INSTRUMENTED
#define THEFTS 150
#else
#define THEFTS 1000
#endif

struct receiver {
    weft_interest *in;
    int rc;
    atomic_int tid; /* set right before it calls weft_recv */
};

static void *receive_one(void *arg)
{
    struct receiver *r = arg;
    weft_msg *msg;
    atomic_store(&r->tid, (int)gettid());
    r->rc = weft_recv(r->in, &msg, -1);
    if (r->rc == 0)
        weft_msg_unref(msg);
    return NULL;
}

/* How often the thread has gone to sleep; -1: it does not sleep now. */
static long sleeps(int tid)
{
    char path[64], line[128], state = 0;
    long count = -1;
    snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        sscanf(line, "State: %c", &state);
        sscanf(line, "voluntary_ctxt_switches: %ld", &count);
    }
    if (file)
        fclose(file);
    return state == 'S' ? count : -1;
}

/* Do all sleep at one moment? Then none waits for another's lock. They are seen asleep twice, and
 * have not run between. */
static bool all_asleep(struct receiver *r, int n)
{
    long before = 0, after = 0;
    for (int look = 0; look < 2 * n; look++) {
        long count = sleeps(atomic_load(&r[look % n].tid));
        if (count < 0)
            return false;
        *(look < n ? &before : &after) += count;
    }
    return before == after;
}

TEST(queue, closing_an_interest_ends_waiting_receivers)
{
    weft_node *node = fx_open("inproc://expel/a", NULL, NULL);
    for (int round = 0; round < 3; round++) {
        weft_interest *in = fx_subscribe(node, ROUTE);
        struct receiver r[3] = {{.in = in}, {.in = in}, {.in = in}};
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, receive_one, &r[i]), 0);
        UNTIL(all_asleep(r, 3));
        weft_interest_close(in);
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            CHECK_EQ(r[i].rc, WEFT_ECLOSED);
        }
    }
    weft_node_close(node);
}

/* A receiver is woken for a message that somebody else takes, and the interest is closed while it
 * finds nothing. Its call began long before. */
TEST(queue, closing_while_a_receiver_looks_for_what_was_taken)
{
    weft_node *node = fx_open("inproc://theft/a", NULL, NULL);
    weft_intent *out = fx_publish(node, ROUTE);
    for (int round = 0; round < THEFTS; round++) {
        struct receiver r = {.in = fx_subscribe(node, ROUTE)};
        pthread_t thread;
        CHECK_EQ(weft_interest_wait(r.in, WAIT_MS), 0);
        CHECK_EQ(pthread_create(&thread, NULL, receive_one, &r), 0);
        UNTIL(all_asleep(&r, 1));
        CHECK_EQ(weft_send(out, "abc", 3), 0);
        weft_msg *msg;
        int rc = weft_recv(r.in, &msg, 0);
        for (volatile int i = 0; i < round * 37 % 2000; i++)
            ; /* each round closes at another moment */
        weft_interest_close(r.in);
        pthread_join(thread, NULL);
        if (rc == 0)
            weft_msg_unref(msg);
        CHECK(rc == 0 ? r.rc == WEFT_ECLOSED : rc == WEFT_ETIMEDOUT && r.rc == 0);
    }
    weft_intent_close(out);
    weft_node_close(node);
}

/* ---- Out of memory ---- */

static atomic_bool memory_is_short;

static void *scarce_alloc(size_t size)
{
    return atomic_load(&memory_is_short) ? NULL : malloc(size);
}

static void *scarce_resize(void *p, size_t size)
{
    return atomic_load(&memory_is_short) ? NULL : realloc(p, size);
}

static int send_in_need(weft_intent *out, size_t size)
{
    static const uint8_t data[5000];
    atomic_store(&memory_is_short, true);
    int rc = weft_send(out, data, size);
    atomic_store(&memory_is_short, false);
    return rc;
}

static uint64_t dropped_by_queue(weft_node *node, enum weft_drop reason)
{
    weft_route_info *routes;
    size_t n;
    uint64_t dropped = 0;
    CHECK_EQ(weft_node_routes(node, &routes, &n), 0);
    for (size_t i = 0; i < n; i++)
        dropped += routes[i].intent ? 0 : routes[i].dropped[reason];
    weft_routes_free(routes, n);
    return dropped;
}

/* A queue that cannot grow drops for want of memory, and says that, whatever its policy is. A large
 * message is lost before it comes to any queue: the node tells. */
static void drops_in_need(enum weft_policy policy, enum weft_drop reason_of_policy)
{
    CHECK_EQ(weft_set_allocator(scarce_alloc, scarce_resize, free), 0);
    weft_node *node = fx_open("inproc://need/a", NULL, NULL);
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.policy = policy;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(node, ROUTE, &o, &in), 0);
    weft_intent *out = fx_publish(node, ROUTE);
    CHECK_EQ(weft_intent_wait(out, WAIT_MS), 0);
    CHECK_EQ(weft_send(out, "abc", 3), 0);
    CHECK_EQ(send_in_need(out, 2000), WEFT_EDROPPED);
    CHECK_EQ(weft_interest_dropped(in), 1);
    CHECK_EQ(dropped_by_queue(node, WEFT_DROP_NOMEM), 1);
    CHECK_EQ(dropped_by_queue(node, reason_of_policy), 0);
    CHECK_EQ(send_in_need(out, 5000), WEFT_EDROPPED);
    CHECK_EQ(weft_interest_dropped(in), 1);
    CHECK_EQ(fx_stats(node).dropped[WEFT_DROP_NOMEM], 2);
    CHECK_EQ(fx_stats(node).dropped[reason_of_policy], 0);
    CHECK_EQ(weft_send(out, "defg", 4), 0);
    for (size_t size = 3; size <= 4; size++) { /* the others are as they were */
        weft_msg *msg;
        CHECK_EQ(weft_recv(in, &msg, WAIT_MS), 0);
        CHECK_EQ(weft_msg_size(msg), size);
        weft_msg_unref(msg);
    }
    weft_node_close(node);
    CHECK_EQ(weft_set_allocator(NULL, NULL, NULL), 0);
}

TEST(queue, what_is_dropped_for_want_of_memory_is_told_as_that)
{
    drops_in_need(WEFT_BLOCK, WEFT_DROP_TIMEOUT);
    drops_in_need(WEFT_REFUSE, WEFT_DROP_REFUSED);
    drops_in_need(WEFT_DROP_OLDEST, WEFT_DROP_OLD);
}
