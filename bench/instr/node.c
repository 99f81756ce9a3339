/* Instructions a message through two nodes, from weft_send to the callback or to weft_recv.
 *
 * Both nodes run in this process, each on a loop of its own that only turns when it is told to, and
 * linked by TCP. So every part of a message's way can be counted by itself and nothing depends on
 * how threads are scheduled: a thread sends while no loop turns; then the publisher's loop writes
 * what has gathered, then the subscriber's loop reads and delivers it. Under 64 KiB of frames a
 * turn would do; MESSAGES are more, so the two loops take turns until all have arrived.
 *
 * What fails, including a wait of more than PATIENCE_S, ends the program with an explanation. */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <weft/uv.h>
#include <weft/weft.h>

#include "count.h"

#define MESSAGES 20000u
#define WARM 100u
#define BODY 64u
#define PATIENCE_S 60

struct side {
    uv_loop_t loop;
    weft_node *node;
};

static struct side publisher, subscriber;
static unsigned arrived;
static uint8_t body[BODY];

static void need(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "instr: %s: %s\n", what, weft_strerror(rc));
    exit(1);
}

static void turn(struct side *side)
{
    uv_run(&side->loop, UV_RUN_NOWAIT);
}

static void in_time(time_t started)
{
    if (time(NULL) - started > PATIENCE_S)
        give_up("what should have happened did not");
}

/* ---- Sending, from a thread that is no loop's ---- */

struct batch {
    weft_intent *intent;
    unsigned count;
};

static void *send_all(void *user)
{
    const struct batch *batch = user;
    count_begin();
    for (unsigned i = 0; i < batch->count; i++)
        need(weft_send(batch->intent, body, BODY), "weft_send");
    count_end();
    return NULL;
}

static void send_from_thread(weft_intent *intent, unsigned count)
{
    struct batch batch = {intent, count};
    pthread_t thread;
    if (pthread_create(&thread, NULL, send_all, &batch) != 0 || pthread_join(thread, NULL) != 0)
        give_up("no thread");
}

/* ---- Receiving ---- */

static void take(weft_interest *interest, const weft_msg *msg, void *user)
{
    arrived += weft_msg_size(msg) == BODY;
}

/* Take what waits, counting its messages in `arrived`. */
static void receive(weft_interest *interest)
{
    weft_msg *msg;
    while (weft_recv(interest, &msg, 0) == 0) {
        arrived += weft_msg_size(msg) == BODY;
        weft_msg_unref(msg);
    }
}

/* Turn both loops until `count` messages are queued at or delivered to the subscriber, counting
 * the turns of one side alone. Looking for them costs the receiving loop nothing. */
static void carry(struct side *counted, unsigned count)
{
    weft_stats stats;
    time_t started = time(NULL);
    need(weft_node_stats(subscriber.node, &stats), "weft_node_stats");
    uint64_t goal = stats.delivered + count;
    do {
        for (int i = 0; i < 2; i++) {
            struct side *side = i ? &subscriber : &publisher;
            if (side == counted)
                count_begin();
            turn(side);
            if (side == counted)
                count_end();
        }
        in_time(started);
        need(weft_node_stats(subscriber.node, &stats), "weft_node_stats");
    } while (stats.delivered < goal);
}

/* ---- The cases ---- */

static void all_arrived(unsigned count)
{
    if (arrived != count)
        give_up("messages were lost, damaged or doubled");
    arrived = 0;
}

/* To a callback of the linked node: three passes, as one counts a single part of the way. */
static void to_callback(weft_intent *intent)
{
    send_from_thread(intent, MESSAGES);
    count_done("send to a linked peer", MESSAGES);
    carry(&publisher, MESSAGES);
    count_done("write what has gathered", MESSAGES);
    all_arrived(MESSAGES);

    send_from_thread(intent, MESSAGES);
    CALLGRIND_ZERO_STATS;
    carry(&subscriber, MESSAGES);
    count_done("read and deliver to a callback", MESSAGES);
    all_arrived(MESSAGES);
}

static void to_recv(weft_intent *intent, weft_interest *interest)
{
    send_from_thread(intent, MESSAGES);
    CALLGRIND_ZERO_STATS;
    carry(&subscriber, MESSAGES);
    count_done("read and deliver to a queue", MESSAGES);
    count_begin();
    receive(interest);
    count_end();
    count_done("take from the queue with weft_recv", MESSAGES);
    all_arrived(MESSAGES);
}

static void local_to_recv(weft_intent *intent, weft_interest *interest)
{
    send_from_thread(intent, MESSAGES);
    count_done("send to a queue of the same node", MESSAGES);
    receive(interest);
    all_arrived(MESSAGES);
}

/* On the loop's own thread, from sending until the callback is through. */
static void local_to_callback(weft_intent *intent)
{
    time_t started = time(NULL);
    count_begin();
    for (unsigned i = 0; i < MESSAGES; i++)
        need(weft_send(intent, body, BODY), "weft_send");
    while (arrived < MESSAGES) {
        turn(&publisher);
        in_time(started);
    }
    count_end();
    count_done("send to a callback of the same node", MESSAGES);
    all_arrived(MESSAGES);
}

/* ---- Setting up ---- */

static void attach(struct side *side, const char *self, const char *peer)
{
    const char *peers[] = {peer, NULL};
    weft_options options;
    weft_options_init(&options);
    options.self = self;
    options.peers = peer ? peers : NULL;
    if (uv_loop_init(&side->loop) != 0)
        give_up("no loop");
    need(weft_node_attach(&side->loop, &options, &side->node, NULL), "weft_node_attach");
}

/* Both say goodbye and are gone before either loop is closed. */
static void detach_both(void)
{
    time_t started = time(NULL);
    weft_node_detach(publisher.node, NULL, NULL);
    weft_node_detach(subscriber.node, NULL, NULL);
    while (uv_loop_alive(&publisher.loop) || uv_loop_alive(&subscriber.loop)) {
        turn(&publisher);
        turn(&subscriber);
        in_time(started);
    }
    if (uv_loop_close(&publisher.loop) != 0 || uv_loop_close(&subscriber.loop) != 0)
        give_up("a loop is still in use");
}

static weft_intent *publish(const char *route)
{
    weft_intent *intent;
    need(weft_publish(publisher.node, route, NULL, &intent), "weft_publish");
    return intent;
}

static weft_interest *subscribe(weft_node *node, const char *route, bool with_callback)
{
    weft_subscribe_options options;
    weft_interest *interest;
    weft_subscribe_options_init(&options);
    options.on_message = with_callback ? take : NULL;
    need(weft_subscribe(node, route, &options, &interest), "weft_subscribe");
    return interest;
}

static void match(weft_intent *intent)
{
    time_t started = time(NULL);
    while (!weft_intent_interested(intent)) {
        turn(&publisher);
        turn(&subscriber);
        in_time(started);
    }
}

/* A first few messages: routes have their aliases then, and memory is as it stays. */
static void warm_up(weft_intent *intent, weft_interest *queue)
{
    match(intent);
    send_from_thread(intent, WARM);
    carry(NULL, WARM);
    if (queue)
        receive(queue);
    all_arrived(WARM);
    CALLGRIND_ZERO_STATS;
}

static void between_nodes(void)
{
    weft_intent *one = publish("bench.Sample@bench.a.callback");
    weft_intent *two = publish("bench.Sample@bench.a.queue");
    subscribe(subscriber.node, "bench.Sample@bench.a.callback", true);
    weft_interest *queue = subscribe(subscriber.node, "bench.Sample@bench.a.queue", false);
    warm_up(one, NULL);
    to_callback(one);
    warm_up(two, queue);
    to_recv(two, queue);
}

static void within_one(void)
{
    weft_intent *one = publish("bench.Sample@bench.a.here");
    weft_intent *two = publish("bench.Sample@bench.a.there");
    subscribe(publisher.node, "bench.Sample@bench.a.here", true);
    weft_interest *queue = subscribe(publisher.node, "bench.Sample@bench.a.there", false);
    match(one);
    match(two);
    local_to_callback(one);
    local_to_recv(two, queue);
}

int main(void)
{
    attach(&subscriber, "tcp://127.0.0.1:0/bench.b", NULL);
    attach(&publisher, "tcp://127.0.0.1:0/bench.a", weft_node_url(subscriber.node));
    between_nodes();
    within_one();
    detach_both();
    return 0;
}
