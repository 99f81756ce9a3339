/* What a mesh asks of its node, and the faults of single connections. */
#include "net_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#define CONTROL_MAX ((size_t)64 << 20) /* as in node/ */

/* ---- What a mesh asks for ---- */

struct net_end *net_end_by_id(const struct net_node *node, uint32_t id)
{
    return id < node->cap_by_id ? node->by_id[id] : NULL;
}

/* The link of an end; NULL: it has gone. */
void net_bind(struct net_end *end, struct mesh_link *link)
{
    struct net_node *node = end->node;
    uint32_t id = link ? link->id : end->link->id, cap = node->cap_by_id;
    if (id >= cap) {
        node->cap_by_id = 2 * (id + 8);
        node->by_id = net_alloc(node->by_id, node->cap_by_id * sizeof(struct net_end *));
        memset(node->by_id + cap, 0, (node->cap_by_id - cap) * sizeof(struct net_end *));
    }
    node->by_id[id] = link ? end : NULL;
    end->link = link;
    if (link)
        link->user = end;
}

static void op_dial(void *ctx, struct mesh_link *link, const struct url *url)
{
    struct net_node *node = ctx;
    struct net_conn *conn = net_dial(node, net_node_at(node->net, url));
    net_bind(&conn->ends[0], link);
    node->net->counts.dials++;
    const struct net_node *to = conn->ends[1].node;
    node->net->counts.dials_second += to && strcmp(url->host, to->second) == 0;
    net_trace(node->net, node, "dials %s", url->text);
}

bool net_passes(const struct net_end *end, const struct header *header, const struct frame *frame)
{
    const struct net *net = end->conn->net;
    return !net->filter || net->filter(net->filter_ctx, end, header, frame);
}

static bool passes(struct net_end *end, const void *data, size_t size)
{
    struct net *net = end->conn->net;
    struct frame frame;
    struct header header;
    int rc = frame_scan(data, size, FRAME_MAX_LIMIT, &frame);
    assert(rc == 1 && frame.size == size);
    rc = header_decode(frame.header, frame.header_size, &header);
    assert(rc == 0);
    (void)rc;
    net->counts.frames[header.type < NET_TYPES ? header.type : 0]++;
    net->counts.bytes += size;
    end->interests_put += header.type == MSG_INTEREST || header.type == MSG_INTERESTS;
    return net_passes(end, &header, &frame);
}

static int op_send(void *ctx, struct mesh_link *link, const void *frames, size_t size,
                   enum lane lane)
{
    struct net_end *end = link->user;
    const struct net_node *node = ctx;
    if (!node->alive || !passes(end, frames, size))
        return 0;
    assert(end->connected && !end->closed);
    if (end->lane[0].len + end->lane[1].len - end->waiting + size > CONTROL_MAX)
        return WEFT_ELIMIT;
    net_bytes_put(&end->lane[lane == LANE_ORDERED], frames, size);
    net_write_soon(end);
    return 0;
}

static void op_up(void *ctx, struct mesh_link *link)
{
    struct net_end *end = link->user;
    end->up = true;
    end->compact = (link->hs.features & FEATURE_COMPACT) != 0;
}

static void op_replaced(void *ctx, struct mesh_link *link, const struct mesh_link *by)
{
    struct net_end *end = link->user;
    end->replaced_by = by ? by->id : 0;
    end->conn->net->traffic.handovers += by != NULL;
}

static void op_retire(void *ctx, struct mesh_link *link)
{
    struct net_end *end = link->user;
    assert(!end->retired);
    end->retired = true;
}

static void op_hold(void *ctx, struct mesh_link *link, bool on)
{
    struct net_end *end = link->user;
    struct net_node *node = ctx;
    assert(end->held != on);
    end->held = on;
    node->resume |= !on;
}

static void op_close(void *ctx, struct mesh_link *link, bool drain)
{
    struct net_end *end = link->user;
    if (!drain)
        net_drop_waiting(end);
    net_end_close(end, true);
}

static void op_event(void *ctx, const weft_event *event)
{
    struct net_node *node = ctx;
    net_note(node->net, (uint64_t)event->type << 32 | node->index);
    net_trace(node->net, node, "event %d %s: %s %s", event->type, event->peer ? event->peer : "",
              event->route ? event->route : "", event->text ? event->text : "");
    node->ups += event->type == WEFT_EVENT_PEER_UP;
    node->downs += event->type == WEFT_EVENT_PEER_DOWN;
    node->refused += event->type == WEFT_EVENT_REFUSED;
    node->route_refused += event->type == WEFT_EVENT_ROUTE_REFUSED;
    node->warnings += event->type == WEFT_EVENT_WARNING;
    if (!event->error)
        return;
    node->last_error = event->error;
    snprintf(node->last_text, sizeof(node->last_text), "%s", event->text ? event->text : "");
    snprintf(node->last_peer, sizeof(node->last_peer), "%s", event->peer ? event->peer : "");
}

static void op_refused(void *ctx, const char *route, bool intent, int error, uint64_t stamp)
{
    struct net_node *node = ctx;
    node->not_taken += route != NULL;
    node->taken_anew += route == NULL;
}

static void op_intents_seen(void *ctx, struct mesh_link *link)
{
}

static void op_matched(void *ctx, void *interest, bool matched)
{
}

static void op_answer(void *ctx, uint64_t token, int error, uint64_t rtt_ns,
                      const struct book_record *records, size_t count)
{
    struct net_node *node = ctx;
    node->answers++;
    node->last_answer = error;
    node->last_rtt = rtt_ns;
    node->last_records = count;
}

static void op_log(void *ctx, enum weft_log_level level, const char *text)
{
    const struct net_node *node = ctx;
    net_trace(node->net, node, "log %s", text);
}

const struct mesh_ops net_ops = {
    .dial = op_dial,
    .send = op_send,
    .up = op_up,
    .replaced = op_replaced,
    .retire = op_retire,
    .hold = op_hold,
    .close = op_close,
    .event = op_event,
    .refused = op_refused,
    .intents_seen = op_intents_seen,
    .matched = op_matched,
    .answer = op_answer,
    .log = op_log,
};

/* ---- Faults ---- */

void net_silence(struct net_conn *conn, unsigned end)
{
    conn->ends[end].silent = true;
    conn->harmed = true;
}

static void tell_end(struct net_end *end)
{
    if (end->closed || !end->connected)
        return;
    if (net_is_raw(end->node))
        end->got_end = true;
    else
        mesh_ended(end->node->mesh, end->link, WEFT_ECLOSED, net_moment_of(end->node));
    if (end->node->mesh)
        net_after(end->node);
}

void net_cut(struct net_conn *conn, unsigned end, enum net_cut how)
{
    struct net_end *one = &conn->ends[end], *two = &conn->ends[!end];
    one->silent = two->silent = true;
    conn->harmed = true;
    if (how == NET_CUT_NONE)
        return;
    tell_end(one);
    if (how == NET_CUT_BOTH) {
        tell_end(two);
    } else if (how == NET_CUT_RESET) {
        one->silent = two->silent = false;
        conn->resets = true;
        net_lose_chunks(one);
    }
}

void net_stall(struct net_node *node, uint64_t ns)
{
    node->stalled_until = node->net->now + ns;
    node->stall_harms = ns >= 2 * NS_PER_SEC;
    if (!node->stall_harms)
        return;
    list_each (it, &node->ends)
        list_entry(it, struct net_end, in_node)->conn->harmed = true;
}

struct net_conn *net_find(struct net *net, const struct net_node *a, const struct net_node *b)
{
    list_each (it, &net->conns) {
        struct net_conn *conn = list_entry(it, struct net_conn, in_net);
        const struct net_node *x = conn->ends[0].node, *y = conn->ends[1].node;
        bool fits = (!a || x == a || y == a) && (!b || x == b || y == b) && (a != b || !a);
        if (fits && conn->ends[0].up && conn->ends[1].up)
            return conn;
    }
    return NULL;
}

struct net_conn *net_pick(struct net *net)
{
    uint64_t count = 0;
    list_each (it, &net->conns)
        count++;
    uint64_t n = count ? net_chance(net, 0, count - 1) : 0;
    list_each (it, &net->conns) {
        if (n-- == 0)
            return list_entry(it, struct net_conn, in_net);
    }
    return NULL;
}
