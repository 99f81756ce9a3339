/* weft_recv and those who wait in it, when the interest is closed. */
#include "fixture.h"

#include <stdatomic.h>
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
