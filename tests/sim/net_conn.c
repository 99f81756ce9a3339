/* Connections: what the meshes send becomes chunks, chunks become frames.
 *
 * Happy path: a dial arrives at the node that has the address, which accepts; an OPEN chunk goes
 * back. Each end gathers what its mesh sends and writes it in a turn of its own, the control lane
 * first, as a loop does. A chunk arrives whole or in pieces; whole frames go to the mesh.
 *
 * A direction delivers its chunks in the order they were sent: an event says only that the first
 * one is due. Between partitioned nodes it is due again a little later, so that nothing is lost
 * that TCP would not lose. Closing sends what is queued, then an END. */
#include "net_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#define BLOCKED_RETRY_NS (50 * NS_PER_MS)
#define SYN_RETRY_NS NS_PER_SEC
#define TURN_MAX_NS (300 * NS_PER_US)

enum chunk_type { CHUNK_OPEN, CHUNK_DATA, CHUNK_END, CHUNK_LOST };

struct chunk {
    struct list node;
    enum chunk_type type;
    int error; /* OPEN */
    size_t size;
    uint8_t data[];
};

/* ---- Connections ---- */

static void end_init(struct net_end *end, struct net_conn *conn, struct net_node *node)
{
    struct net *net = conn->net;
    *end = (struct net_end){.conn = conn, .node = node, .turn_at = NEVER};
    end->delay_ns = net_chance(net, net->options.delay_min_ns, net->options.delay_max_ns);
    list_init(&end->chunks);
    list_init(&end->in_raw);
}

static struct net_conn *conn_new(struct net_node *from, struct net_node *to)
{
    struct net_conn *conn = net_alloc(NULL, sizeof(*conn));
    *conn = (struct net_conn){.net = from->net};
    end_init(&conn->ends[0], conn, from);
    end_init(&conn->ends[1], conn, to);
    list_push(&conn->net->conns, &conn->in_net);
    return conn;
}

void net_conn_free(struct net_conn *conn)
{
    for (unsigned i = 0; i < 2; i++) {
        struct net_end *end = &conn->ends[i];
        struct list *it;
        while ((it = list_pop(&end->chunks)) != NULL)
            free(list_entry(it, struct chunk, node));
        list_remove(&end->in_raw);
        free(end->rx.data);
        free(end->lane[0].data);
        free(end->lane[1].data);
    }
    list_remove(&conn->in_net);
    free(conn);
}

void net_conn_sweep(struct net_conn *conn)
{
    bool over = conn->ends[0].closed && (conn->ends[1].closed || !conn->ends[1].connected);
    if (over && conn->events == 0)
        net_conn_free(conn);
}

/* ---- Writing ---- */

static void put_chunk(struct net_end *end, enum chunk_type type, int error, const void *data,
                      size_t size)
{
    struct net *net = end->conn->net;
    struct chunk *chunk = net_alloc(NULL, sizeof(*chunk) + size);
    *chunk = (struct chunk){.type = type, .error = error, .size = size};
    if (size)
        memcpy(chunk->data, data, size);
    list_push(&end->chunks, &chunk->node);
    uint64_t at = net->now + end->delay_ns + net_chance(net, 0, end->delay_ns / 4);
    end->last_arrival = max_u64(end->last_arrival, at);
    net_schedule(net, (struct event){.at = end->last_arrival, .type = EVENT_CHUNK, .end = end});
}

void net_put_data(struct net_end *end, const uint8_t *data, size_t size)
{
    struct net *net = end->conn->net;
    bool pieces = net_chance(net, 1, 100) <= net->options.pieces;
    while (size) {
        size_t piece = pieces && size > 1 ? (size_t)net_chance(net, 1, size) : size;
        put_chunk(end, CHUNK_DATA, 0, data, piece);
        data += piece;
        size -= piece;
    }
}

/* Control overtakes; what is ordered may wait behind a backlog for another turn. */
static void write_lanes(struct net_end *end, bool all)
{
    struct net *net = end->conn->net;
    bool waits = !all && net_chance(net, 1, 100) <= net->options.backlog;
    for (unsigned lane = 0; lane < (waits ? 1u : 2u); lane++) {
        net_put_data(end, end->lane[lane].data, end->lane[lane].len);
        end->lane[lane].len = 0;
    }
    if (!waits)
        return;
    end->turn_at = net->now + net_chance(net, 1, 20 * TURN_MAX_NS);
    net_schedule(net, (struct event){.at = end->turn_at, .type = EVENT_TURN, .end = end});
}

void net_end_close(struct net_end *end, bool tell)
{
    if (end->closed)
        return;
    end->closed = true;
    end->link = NULL;
    end->up = false;
    end->turn_at = NEVER;
    if (!tell)
        return;
    if (end->connected)
        write_lanes(end, true);
    put_chunk(end, CHUNK_END, 0, NULL, 0);
}

/* ---- Arriving ---- */

static bool is_raw(const struct net_node *node)
{
    return node && !node->mesh && node->alive;
}

static bool blocked(const struct net_conn *conn)
{
    const struct net_node *a = conn->ends[0].node, *b = conn->ends[1].node;
    return a && b && a->group != b->group;
}

static void hand_frame(struct net_end *end, const struct frame *frame)
{
    struct mesh *mesh = end->node->mesh;
    struct moment now = net_moment_of(end->node);
    struct header header;
    if (!frame->compact && header_decode(frame->header, frame->header_size, &header) < 0)
        mesh_malformed(mesh, end->link, WEFT_EMALFORMED, "the header does not parse", now);
    else if (!frame->compact && header.type != MSG_MESSAGE && header.type < MSG_USER)
        mesh_frame(mesh, end->link, frame, &header, now);
    else if (!end->up)
        mesh_malformed(mesh, end->link, WEFT_EPROTO, "a message before the handshake was done",
                       now);
    net_plane_drain(end->node);
}

static void receive(struct net_end *end, const struct chunk *chunk)
{
    mesh_received(end->link, net_moment_of(end->node).mono_ns);
    net_bytes_put(&end->rx, chunk->data, chunk->size);
    size_t used = 0;
    while (!end->closed) {
        struct frame frame;
        uint32_t max = end->up ? FRAME_MAX_DEFAULT : FRAME_MAX_HANDSHAKE;
        int rc = frame_scan(end->rx.data + used, end->rx.len - used, max, &frame);
        if (rc < 0)
            mesh_malformed(end->node->mesh, end->link, rc, "no frame", net_moment_of(end->node));
        if (rc <= 0)
            break;
        hand_frame(end, &frame);
        used += frame.size;
    }
    net_bytes_drop(&end->rx, used);
}

static void opened(struct net_end *end, int error)
{
    end->connected = error == 0;
    struct net_node *there = net_other(end)->node;
    if (is_raw(end->node))
        return;
    mesh_opened(end->node->mesh, end->link, error, there ? there->host : "", end->conn->local,
                net_moment_of(end->node));
}

static void arrive(struct net_end *from, const struct chunk *chunk)
{
    struct net_end *to = net_other(from);
    if (to->closed) {
        if (chunk->type == CHUNK_DATA && from->conn->resets && !from->closed) {
            to->closed = false; /* its host answers for it */
            net_end_close(to, true);
        }
        return;
    }
    if (chunk->type == CHUNK_OPEN) {
        opened(to, chunk->error);
    } else if (!to->connected) {
        return; /* nobody took the dial */
    } else if (is_raw(to->node)) {
        net_bytes_put(&to->rx, chunk->data, chunk->size);
        to->got_end |= chunk->type == CHUNK_END;
    } else if (chunk->type == CHUNK_DATA) {
        receive(to, chunk);
    } else {
        mesh_ended(to->node->mesh, to->link, WEFT_ECLOSED, net_moment_of(to->node));
    }
    if (to->node->mesh)
        net_after(to->node);
}

static void chunk_due(struct net *net, struct net_end *from)
{
    const struct net_end *to = net_other(from);
    bool awaited = !to->closed && (to->connected || to == &to->conn->ends[0]);
    if (blocked(from->conn) && awaited) {
        from->last_arrival = max_u64(from->last_arrival, net->now + BLOCKED_RETRY_NS);
        net_schedule(net, (struct event){
                              .at = net->now + BLOCKED_RETRY_NS, .type = EVENT_CHUNK, .end = from});
        return;
    }
    struct chunk *chunk = list_entry(list_pop(&from->chunks), struct chunk, node);
    if (!from->silent && chunk->type != CHUNK_LOST)
        arrive(from, chunk);
    free(chunk);
}

/* ---- Dialling ---- */

static void accept_dial(struct net_end *end)
{
    struct net_node *node = end->node, *from = net_other(end)->node;
    struct net *net = node->net;
    net->counts.accepted++;
    end->connected = true;
    put_chunk(end, CHUNK_OPEN, 0, NULL, 0);
    if (is_raw(node)) {
        list_push(&node->conns, &end->in_raw);
        return;
    }
    end->link = mesh_accept(node->mesh, end, from->host, end->conn->local, net_moment_of(node));
    if (!end->link)
        net_end_close(end, true);
    net_after(node);
}

static void count_links(struct net *net, struct net_node *node)
{
    uint64_t all = 0, pending = 0;
    list_each (it, mesh_links(node->mesh)) {
        const struct mesh_link *l = list_entry(it, struct mesh_link, node);
        all++;
        pending += !l->outbound && l->state == LINK_HANDSHAKE;
    }
    net->counts.links_max = max_u64(net->counts.links_max, all);
    net->counts.pending_max = max_u64(net->counts.pending_max, pending);
}

/* Nobody there: refused, or no answer at all, until the dialler has had enough. */
static void dial_due(struct net *net, struct net_end *dialler)
{
    struct net_end *end = net_other(dialler);
    bool there = end->node && end->node->alive;
    if (dialler->closed && list_empty(&dialler->chunks))
        return; /* given up meanwhile */
    if (blocked(dialler->conn) || (!there && net_chance(net, 0, 2) == 0)) {
        if (!dialler->closed)
            net_schedule(
                net,
                (struct event){.at = net->now + SYN_RETRY_NS, .type = EVENT_DIAL, .end = dialler});
        return;
    }
    if (!there) {
        put_chunk(end, CHUNK_OPEN, WEFT_EREFUSED, NULL, 0);
        return;
    }
    accept_dial(end);
    if (end->node->mesh)
        count_links(net, end->node);
}

void net_conn_event(struct net *net, const struct event *event)
{
    struct net_end *end = event->end;
    struct net_conn *conn = end->conn;
    if (event->type == EVENT_DIAL) {
        dial_due(net, end);
    } else if (event->type == EVENT_CHUNK) {
        chunk_due(net, end);
    } else if (end->turn_at == event->at) {
        end->turn_at = NEVER;
        write_lanes(end, false);
    }
    conn->events--;
    net_conn_sweep(conn);
}

struct net_conn *net_dial(struct net_node *from, struct net_node *to)
{
    struct net_conn *conn = conn_new(from, to);
    struct net *net = from->net;
    struct net_end *end = &conn->ends[0];
    end->last_arrival = net->now + end->delay_ns;
    net_schedule(net, (struct event){.at = end->last_arrival, .type = EVENT_DIAL, .end = end});
    return conn;
}

/* ---- What a mesh asks for ---- */

static void op_dial(void *ctx, struct mesh_link *link, const struct url *url)
{
    struct net_node *node = ctx;
    struct net_conn *conn = net_dial(node, net_node_at(node->net, url));
    conn->ends[0].link = link;
    link->user = &conn->ends[0];
    node->net->counts.dials++;
    net_trace(node->net, node, "dials %s", url->text);
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
    return !net->filter || net->filter(net->filter_ctx, end, &header, &frame);
}

static void write_soon(struct net_end *end)
{
    struct net *net = end->conn->net;
    if (end->turn_at != NEVER)
        return;
    end->turn_at = net->now + net_chance(net, 0, TURN_MAX_NS);
    net_schedule(net, (struct event){.at = end->turn_at, .type = EVENT_TURN, .end = end});
}

static int op_send(void *ctx, struct mesh_link *link, const void *frames, size_t size,
                   enum lane lane)
{
    struct net_end *end = link->user;
    const struct net_node *node = ctx;
    if (!node->alive || !passes(end, frames, size))
        return 0;
    assert(end->connected && !end->closed);
    net_bytes_put(&end->lane[lane == LANE_ORDERED], frames, size);
    write_soon(end);
    return 0;
}

static void op_up(void *ctx, struct mesh_link *link)
{
    struct net_end *end = link->user;
    end->up = true;
}

static void op_replaced(void *ctx, struct mesh_link *link, const struct mesh_link *by)
{
    struct net_end *end = link->user;
    end->replaced_by = by ? by->id : 0;
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
    assert(end->held != on);
    end->held = on;
}

static void op_close(void *ctx, struct mesh_link *link, bool drain)
{
    net_end_close(link->user, true);
}

static void op_event(void *ctx, const weft_event *event)
{
    struct net_node *node = ctx;
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
    .intents_seen = op_intents_seen,
    .matched = op_matched,
    .answer = op_answer,
    .log = op_log,
};

/* ---- Faults ---- */

void net_silence(struct net_conn *conn, unsigned end)
{
    conn->ends[end].silent = true;
}

static void tell_end(struct net_end *end)
{
    if (end->closed || !end->connected)
        return;
    if (is_raw(end->node))
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
    if (how == NET_CUT_NONE)
        return;
    tell_end(one);
    if (how == NET_CUT_BOTH) {
        tell_end(two);
    } else if (how == NET_CUT_RESET) {
        one->silent = two->silent = false;
        conn->resets = true;
        list_each (it, &one->chunks)
            list_entry(it, struct chunk, node)->type = CHUNK_LOST;
    }
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
