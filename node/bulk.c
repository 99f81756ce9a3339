/* Bulk: who writes, when messages come faster than the loop could be woken for them.
 *
 * A lone message wakes the loop, which writes it at once. When the loop finds that more has
 * gathered while it wrote, or a sender that DIRECT_MIN bytes have, the outbox is in bulk: from then
 * on a sender writes whenever so much has gathered, with the bytes still in its cache and no thread
 * switched to, and nobody wakes the loop. What a sender leaves behind is the loop's: every
 * BULK_TICK_US it looks at the outboxes in bulk, and one to which no sender has written since the
 * last look is written by the loop, and out of bulk.
 *
 *     idle ──queued──▶ loop writes ──more has come──▶ bulk ──a tick without a write──▶ idle
 *
 * Failure modes: without a timer (no descriptors left) nothing goes to bulk, and the loop writes
 * everything. A socket that takes no more makes the loop wait for it; senders go on queueing. */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "node/node.h"

#define BULK_TICK_US 250

static void set_timer(weft_node *node, long us)
{
    struct itimerspec spec = {.it_interval.tv_nsec = us * 1000, .it_value.tv_nsec = us * 1000};
    timerfd_settime(node->tick_fd, 0, &spec, NULL);
    node->ticking = us != 0;
}

bool bulk_enter(weft_node *node, struct outbox *o)
{
    if (o->bulk || !o->direct)
        return false;
    o->bulk = true;
    o->writes_seen = o->writes;
    o->messages_seen = o->messages;
    o->stamp_uses = 0;
    list_push(&node->bulk, &o->bulk_node);
    return node_todo(node, TODO_TICK);
}

void bulk_leave(struct outbox *o)
{
    o->bulk = false;
    list_remove(&o->bulk_node);
}

/* Outboxes that no sender wrote to since the last tick are the loop's again. */
static void look_after(weft_node *node)
{
    plane_lock(node);
    list_each_safe (it, &node->bulk) {
        struct outbox *o = list_entry(it, struct outbox, bulk_node);
        o->stamp_uses = 0;
        bool quiet = o->writing ? o->messages == o->messages_seen : o->writes == o->writes_seen;
        if (quiet) {
            bulk_leave(o);
            if (o->writing)
                o->passed_over = true; /* who writes has the loop look again */
            else
                node_mark_dirty(node, o);
        }
        o->writes_seen = o->writes;
        o->messages_seen = o->messages;
    }
    bool idle = list_empty(&node->bulk);
    plane_unlock(node);
    if (idle)
        set_timer(node, 0);
}

static void on_tick(uv_poll_t *poll, int status, int events)
{
    weft_node *node = poll->data;
    uint64_t times;
    if (read(node->tick_fd, &times, sizeof(times)) < 0 && errno == EAGAIN)
        return;
    node_enter(node);
    look_after(node);
    node_leave(node);
}

void bulk_arm(weft_node *node)
{
    if (!(atomic_load(&node->todo) & TODO_TICK))
        return;
    atomic_fetch_and(&node->todo, ~(unsigned)TODO_TICK);
    if (!node->ticking)
        set_timer(node, BULK_TICK_US);
}

int bulk_open(weft_node *node)
{
    node->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (node->tick_fd < 0)
        return errno == EMFILE || errno == ENFILE ? WEFT_EMFILE : WEFT_ENOMEM;
    if (uv_poll_init(node->loop, &node->tick, node->tick_fd) < 0) {
        close(node->tick_fd);
        node->tick_fd = -1;
        return WEFT_ENOMEM;
    }
    node->tick.data = node;
    uv_poll_start(&node->tick, UV_READABLE, on_tick);
    node->handles++;
    return 0;
}

void bulk_close(weft_node *node, uv_close_cb on_closed)
{
    if (node->tick_fd < 0)
        return;
    uv_close((uv_handle_t *)&node->tick, on_closed);
    close(node->tick_fd);
    node->tick_fd = -1;
}
