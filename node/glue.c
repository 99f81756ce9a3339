/* What the mesh asks of its owner: connections, outboxes, events. None of these calls back into the
 * mesh. */
#include <string.h>

#include "base/mem.h"
#include "node/ask.h"
#include "node/node.h"

static void glue_dial(void *ctx, struct mesh_link *link, const struct url *url)
{
    conn_dial(ctx, link, url);
}

static int glue_send(void *ctx, struct mesh_link *link, const void *frames, size_t size,
                     enum lane lane)
{
    weft_node *node = ctx;
    struct conn *c = link->user;
    if (!c)
        return 0; /* it could not even be dialled; its end is on the way */
    plane_lock(node);
    int rc = outbox_put_control(node, &c->out, frames, size, lane);
    bool wake = rc == 0 && node_mark_dirty(node, &c->out);
    c->out.bytes += size;
    plane_unlock(node);
    if (wake)
        node_wake(node);
    return rc;
}

static void glue_up(void *ctx, struct mesh_link *link)
{
    weft_node *node = ctx;
    struct conn *c = link->user;
    c->up = true;
    c->base = link->hs.base;
    c->compact = (link->hs.features & FEATURE_COMPACT) != 0;
    c->rx_max = max_u64(c->rx_agreed, atomic_load(&node->max_frame));
    refusal_lift(node);
    plane_lock(node);
    c->out.open = true;
    c->out.compact = c->compact;
    c->out.direct = !c->base && node->tick_fd >= 0 && stream_can_write_some(c->stream) &&
                    c->out.limit >= 4 * (size_t)DIRECT_BYTES;
    c->out.peer_max = c->base ? BASE_FRAME_BYTES : link->hs.max_frame;
    c->out.compact_max = c->compact ? c->out.peer_max : 0;
    node->up_count++;
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
}

static void glue_replaced(void *ctx, struct mesh_link *link, const struct mesh_link *by)
{
    weft_node *node = ctx;
    struct conn *c = link->user;
    plane_lock(node);
    node->up_count += c->replaced_by != 0;
    node->up_count -= by != NULL;
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
    c->replaced_by = by ? by->id : 0;
}

static void glue_retire(void *ctx, struct mesh_link *link)
{
    weft_node *node = ctx;
    struct conn *c = link->user;
    plane_lock(node);
    outbox_flush_slots(node, &c->out, NULL);
    c->out.open = false;
    c->out.compact_max = 0;
    pthread_cond_broadcast(&node->room);
    plane_unlock(node);
    c->retired = true;
}

static void resume(weft_node *node)
{
    plane_lock(node);
    bool wake = node_todo(node, TODO_RESUME);
    plane_unlock(node);
    if (wake)
        node_wake(node);
}

static void glue_hold(void *ctx, struct mesh_link *link, bool on)
{
    struct conn *c = link->user;
    if (!c)
        return;
    c->held = on;
    if (!on)
        resume(ctx);
}

static void glue_stall(void *ctx, struct mesh_link *link, bool on)
{
    struct conn *c = link->user;
    if (!c)
        return;
    c->stalled = on;
    if (!on)
        resume(ctx);
}

static void glue_close(void *ctx, struct mesh_link *link, bool drain)
{
    weft_node *node = ctx;
    struct conn *c = link->user;
    if (!c)
        return;
    plane_lock(node);
    node->up_count -= c->up && !c->replaced_by;
    pthread_cond_broadcast(&node->changed);
    plane_unlock(node);
    if (c->up)
        refusal_lift(node);
    conn_release(c, drain);
}

static void glue_intents_seen(void *ctx, struct mesh_link *link)
{
    struct conn *c = link->user;
    c->hold_until = node_now().mono_ns + BASE_SEEN_PAUSE_NS;
    if (c->retry_at != NEVER)
        conn_retry_at(c, min_u64(c->retry_at, c->hold_until));
}

/* The first dial of a peer that fails since it was linked or configured, if somebody here wants it
 * dialled: gossip may bring a hundred dead names. The book has counted this failure already. */
static bool is_news(weft_node *node, const weft_event *event)
{
    struct addrbook_view view;
    return event->peer && addrbook_find(mesh_addrbook(node->mesh), event->peer, &view) &&
           view.failed_attempts == 1 && (view.configured || view.policy.persistent);
}

static void glue_event(void *ctx, const weft_event *event)
{
    weft_node *node = ctx;
    static const char *const names[] = {
        [WEFT_EVENT_PEER_UP] = "peer up",
        [WEFT_EVENT_PEER_DOWN] = "peer down",
        [WEFT_EVENT_REFUSED] = "refused",
        [WEFT_EVENT_DIAL_FAILED] = "dial failed",
        [WEFT_EVENT_ROUTE_REFUSED] = "route refused",
        [WEFT_EVENT_WARNING] = "warning",
    };
    enum weft_log_level level = WEFT_LOG_INFO;
    if (event->type == WEFT_EVENT_DIAL_FAILED)
        level = is_news(node, event) ? WEFT_LOG_INFO : WEFT_LOG_DEBUG;
    else if (event->type == WEFT_EVENT_PEER_DOWN && event->error == WEFT_ESHUTDOWN)
        level = WEFT_LOG_INFO; /* a goodbye is in order */
    else if (event->error || event->type == WEFT_EVENT_WARNING)
        level = WEFT_LOG_WARN;
    node_record(node, level, event, "%s: %s%s%s", names[event->type],
                event->peer ? event->peer : "this node", event->text ? ": " : "",
                event->text ? event->text : "");
    node_event(node, event);
}

static void glue_refused(void *ctx, const char *route, bool intent, int error, uint64_t stamp)
{
    if (route)
        refusal_note(ctx, route, intent, error, stamp);
    else
        refusal_lift(ctx);
}

static void glue_matched(void *ctx, void *interest, bool matched)
{
    weft_node *node = ctx;
    weft_interest *i = interest;
    if (list_empty(&i->match_node))
        list_push(&node->matched, &i->match_node);
}

static void glue_answer(void *ctx, uint64_t token, int error, uint64_t rtt_ns,
                        const struct book_record *records, size_t count)
{
    if (!asks_ended(ctx, token, error))
        node_answer(ctx, token, error, rtt_ns, records, count);
}

static void glue_log(void *ctx, enum weft_log_level level, const char *text)
{
    node_log(ctx, level, "%s", text);
}

static void glue_told(void *ctx, uint64_t token, const struct answer_msg *part)
{
    asks_told(ctx, token, part);
}

static void glue_query(void *ctx, struct mesh_link *link, uint64_t nonce,
                       const struct query_msg *query)
{
    answer_note(ctx, link, nonce, query);
}

const struct mesh_ops node_mesh_ops = {
    .dial = glue_dial,
    .send = glue_send,
    .up = glue_up,
    .replaced = glue_replaced,
    .retire = glue_retire,
    .hold = glue_hold,
    .stall = glue_stall,
    .close = glue_close,
    .intents_seen = glue_intents_seen,
    .event = glue_event,
    .refused = glue_refused,
    .matched = glue_matched,
    .answer = glue_answer,
    .told = glue_told,
    .query = glue_query,
    .log = glue_log,
};
