/* Connections: what the meshes send becomes chunks, chunks become frames.
 *
 * Happy path: a dial arrives at the node that has the address, which accepts; an OPEN chunk goes
 * back. Each end gathers what its mesh sends and writes it in a turn of its own, the control lane
 * first, as a loop does. A chunk arrives whole or in pieces; whole frames go to the mesh.
 *
 * A direction delivers its chunks in the order they were sent: an event says only that the first
 * one is due. Between partitioned nodes it is due again a little later, so that nothing is lost
 * that TCP would not lose. Closing sends what is queued, then an END.
 *
 * An end that pauses reads nothing more: what comes is kept, the other side is told of no room, and
 * once the window is full what it has waits in its lanes. */
#include "net_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#define BLOCKED_RETRY_NS (50 * NS_PER_MS)
#define SYN_RETRY_NS NS_PER_SEC
#define TURN_MAX_NS (300 * NS_PER_US)
#define RESEND_NS (200 * NS_PER_MS) /* of a chunk that was lost; doubles */
#define HARM_NS (2 * NS_PER_SEC)    /* kept apart for so long, a link may be given up */

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
    const struct net_options *o = &conn->net->options;
    *end = (struct net_end){.conn = conn, .node = node, .turn_at = NEVER};
    end->delay_ns = prng_between(&conn->prng, o->delay_min_ns, o->delay_max_ns);
    list_init(&end->chunks);
    list_init(&end->in_raw);
    list_init(&end->in_node);
    list_init(&end->in_paused);
    if (node)
        list_push(&node->ends, &end->in_node);
}

static uint64_t conn_chance(struct net_conn *conn, uint64_t low, uint64_t high)
{
    return prng_between(&conn->prng, low, high);
}

static struct net_conn *conn_new(struct net_node *from, struct net_node *to)
{
    struct net_conn *conn = net_alloc(NULL, sizeof(*conn));
    *conn = (struct net_conn){.net = from->net};
    net_seed_prng(from->net, &conn->prng, from->index, to ? to->index : UINT32_MAX,
                  ++from->dialled);
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
        net_ledger_close(end);
        list_remove(&end->in_raw);
        list_remove(&end->in_node);
        list_remove(&end->in_paused);
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
    const struct net_node *to = net_other(end)->node;
    struct chunk *chunk = net_alloc(NULL, sizeof(*chunk) + size);
    *chunk = (struct chunk){.type = type, .error = error, .size = size};
    if (size)
        memcpy(chunk->data, data, size);
    list_push(&end->chunks, &chunk->node);
    uint64_t delay = end->delay_ns + (end->node ? end->node->lag_ns : 0) + (to ? to->lag_ns : 0);
    uint64_t at = net->now + delay + conn_chance(end->conn, 0, delay / 4);
    for (uint64_t wait = RESEND_NS; conn_chance(end->conn, 1, 1000) <= net->options.loss; wait *= 2)
        at += wait;
    if (type == CHUNK_DATA)
        end->flying += size;
    end->last_arrival = max_u64(end->last_arrival, at);
    net_schedule(net, (struct event){.at = end->last_arrival, .type = EVENT_CHUNK, .end = end});
}

void net_put_data(struct net_end *end, const uint8_t *data, size_t size)
{
    struct net_conn *conn = end->conn;
    bool pieces = conn_chance(conn, 1, 100) <= conn->net->options.pieces;
    while (size) {
        size_t piece = pieces && size > 1 ? (size_t)conn_chance(conn, 1, size) : size;
        put_chunk(end, CHUNK_DATA, 0, data, piece);
        data += piece;
        size -= piece;
    }
}

void net_write_soon(struct net_end *end)
{
    struct net *net = end->conn->net;
    if (end->turn_at != NEVER || end->window_full)
        return;
    end->turn_at = net->now + conn_chance(end->conn, 0, TURN_MAX_NS);
    net_schedule(net, (struct event){.at = end->turn_at, .type = EVENT_TURN, .end = end});
}

/* Send the whole frames of a lane for which there is room. False: some have to wait. */
static bool write_lane(struct net_end *end, unsigned which, bool all)
{
    struct net_bytes *lane = &end->lane[which];
    size_t window = end->conn->net->options.window, size = 0, messages = 0;
    while (size < lane->len && (all || !window || end->flying + size < window)) {
        struct frame frame;
        int rc = frame_scan(lane->data + size, lane->len - size, FRAME_MAX_LIMIT, &frame);
        assert(rc == 1);
        (void)rc;
        size += frame.size;
        if (which == 1 && end->waiting && net_is_message(&frame))
            messages += frame.size;
    }
    bool done = size == lane->len;
    net_put_data(end, lane->data, size);
    if (done)
        net_bytes_free(lane);
    else
        net_bytes_drop(lane, size);
    if (messages)
        net_written(end, messages);
    return done;
}

/* Control overtakes; what is ordered may wait behind a backlog for another turn. */
static void write_lanes(struct net_end *end, bool all)
{
    struct net *net = end->conn->net;
    bool waits = !all && conn_chance(end->conn, 1, 100) <= net->options.backlog;
    end->window_full = !write_lane(end, 0, all) || (!waits && !write_lane(end, 1, all));
    if (!waits || end->window_full)
        return;
    end->turn_at = net->now + conn_chance(end->conn, 1, 20 * TURN_MAX_NS);
    net_schedule(net, (struct event){.at = end->turn_at, .type = EVENT_TURN, .end = end});
}

void net_end_close(struct net_end *end, bool tell)
{
    if (end->closed)
        return;
    end->closed = true;
    if (end->node && end->link)
        net_bind(end, NULL);
    end->link = NULL;
    end->up = end->paused = false;
    end->turn_at = NEVER;
    list_remove(&end->in_paused);
    net_bytes_free(&end->rx);
    if (tell && end->connected)
        write_lanes(end, true);
    else
        net_drop_waiting(end);
    if (tell)
        put_chunk(end, CHUNK_END, 0, NULL, 0);
}

/* ---- Arriving ---- */

bool net_is_raw(const struct net_node *node)
{
    return node && !node->mesh && node->alive;
}

/* Nothing passes between partitioned nodes; for long, and both give the link up. */
static bool blocked(struct net_conn *conn)
{
    const struct net_node *a = conn->ends[0].node, *b = conn->ends[1].node;
    if (!a || !b || a->group == b->group) {
        conn->blocked_since = 0;
        return false;
    }
    if (!conn->blocked_since)
        conn->blocked_since = conn->net->now;
    conn->harmed |= conn->net->now - conn->blocked_since >= HARM_NS;
    return true;
}

/* False: the end pauses, and the frame stays. */
static bool hand_frame(struct net_end *end, const struct frame *frame)
{
    struct mesh *mesh = end->node->mesh;
    struct moment now = net_moment_of(end->node);
    struct header header = {0};
    bool taken = true;
    if (!frame->compact && header_decode(frame->header, frame->header_size, &header) < 0) {
        mesh_malformed(mesh, end->link, WEFT_EMALFORMED, "the header does not parse", now);
    } else if (!frame->compact && header.type != MSG_MESSAGE && header.type < MSG_USER) {
        end->interests_read += header.type == MSG_INTEREST || header.type == MSG_INTERESTS;
        mesh_frame(mesh, end->link, frame, &header, now);
    } else if (!end->up) {
        mesh_malformed(mesh, end->link, WEFT_EPROTO, "a message before the handshake was done",
                       now);
    } else {
        taken = net_take_message(end, frame);
    }
    net_plane_drain(end->node);
    return taken;
}

/* Take apart what has come. Returns how many bytes were used. */
static size_t parse(struct net_end *end, const uint8_t *data, size_t len)
{
    size_t used = 0;
    while (!end->closed && !end->paused) {
        struct frame frame;
        uint32_t max = end->up ? FRAME_MAX_DEFAULT : FRAME_MAX_HANDSHAKE;
        int rc = frame_scan(data + used, len - used, max, &frame);
        if (rc < 0)
            mesh_malformed(end->node->mesh, end->link, rc, "no frame", net_moment_of(end->node));
        if (rc <= 0 || !hand_frame(end, &frame))
            break;
        used += frame.size;
    }
    return used;
}

/* The sender may send as much more. */
static void tell_room(struct net_end *end, size_t size)
{
    struct net_end *from = net_other(end);
    from->flying -= size;
    if (!from->window_full)
        return;
    from->window_full = false;
    if (!from->closed)
        net_write_soon(from);
}

static void receive(struct net_end *end, const struct chunk *chunk)
{
    if (end->paused) {
        net_bytes_put(&end->rx, chunk->data, chunk->size);
        end->unread += chunk->size;
        return;
    }
    mesh_received(end->link, net_moment_of(end->node).mono_ns);
    tell_room(end, chunk->size);
    if (end->rx.len == 0) {
        size_t used = parse(end, chunk->data, chunk->size);
        if (!end->closed)
            net_bytes_put(&end->rx, chunk->data + used, chunk->size - used);
        return;
    }
    net_bytes_put(&end->rx, chunk->data, chunk->size);
    size_t used = parse(end, end->rx.data, end->rx.len);
    if (!end->closed)
        net_bytes_drop(&end->rx, used);
}

static void resume_end(struct net_end *end)
{
    end->paused = false;
    list_remove(&end->in_paused);
    if (end->unread)
        mesh_received(end->link, net_moment_of(end->node).mono_ns);
    size_t used = parse(end, end->rx.data, end->rx.len);
    if (end->closed)
        return;
    net_bytes_drop(&end->rx, used);
    if (end->paused)
        return;
    tell_room(end, end->unread);
    end->unread = 0;
    if (end->got_end)
        mesh_ended(end->node->mesh, end->link, WEFT_ECLOSED, net_moment_of(end->node));
}

void net_resume(struct net_node *node, bool expired)
{
    struct list batch, *it;
    node->resume &= expired;
    list_init(&batch);
    list_splice(&batch, &node->paused);
    while ((it = list_pop(&batch)) != NULL) {
        struct net_end *end = list_entry(it, struct net_end, in_paused);
        if (expired && end->pause_until > node->net->now)
            list_push(&node->paused, it);
        else
            resume_end(end);
    }
}

static void opened(struct net_end *end, int error)
{
    end->connected = error == 0;
    struct net_node *there = net_other(end)->node;
    if (net_is_raw(end->node))
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
    } else if (net_is_raw(to->node)) {
        net_bytes_put(&to->rx, chunk->data, chunk->size);
        if (chunk->type == CHUNK_DATA)
            tell_room(to, chunk->size);
        to->got_end |= chunk->type == CHUNK_END;
    } else if (chunk->type == CHUNK_DATA) {
        receive(to, chunk);
    } else if (to->paused) {
        to->got_end = true;
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
    net_note(net, chunk->size);
    if (!from->silent && chunk->type != CHUNK_LOST)
        arrive(from, chunk);
    free(chunk);
}

void net_lose_chunks(struct net_end *end)
{
    list_each (it, &end->chunks)
        list_entry(it, struct chunk, node)->type = CHUNK_LOST;
}

/* ---- Dialling ---- */

static void accept_dial(struct net_end *end)
{
    struct net_node *node = end->node, *from = net_other(end)->node;
    struct net *net = node->net;
    net->counts.accepted++;
    end->connected = true;
    put_chunk(end, CHUNK_OPEN, 0, NULL, 0);
    if (net_is_raw(node)) {
        list_push(&node->conns, &end->in_raw);
        return;
    }
    struct mesh_link *link =
        mesh_accept(node->mesh, end, from->host, end->conn->local, false, net_moment_of(node));
    if (link)
        net_bind(end, link);
    else
        net_end_close(end, true);
    net_after(node);
}

static void count_links(struct net *net, struct net_node *node)
{
    uint64_t all = 0, pending = 0;
    if (net->count > 64)
        return;
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
    enum net_dials dials = end->node ? end->node->dials : NET_DIALS_TAKEN;
    bool there = end->node && end->node->alive && dials == NET_DIALS_TAKEN;
    bool silent = dials == NET_DIALS_UNANSWERED ||
                  (dials == NET_DIALS_TAKEN && !there && conn_chance(dialler->conn, 0, 2) == 0);
    if (dialler->closed && list_empty(&dialler->chunks))
        return; /* given up meanwhile */
    if (blocked(dialler->conn) || silent) {
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
        if (end->node->mesh && (end->node->pump || end->node->resume))
            net_after(end->node);
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
