/* Connections: bytes in, frames out of them, and the way a connection ends.
 *
 * The happy path of a read: libuv reads into the node's one large buffer, behind what was left of
 * the last frame; frames are taken apart in place; messages go to deliver.c through the link's
 * alias table, all else to the mesh; the rest of a frame that is not whole is kept in `partial`. A
 * frame too large for the buffer is gathered in `partial` itself.
 *
 * When a target of a message has no room the connection pauses: what was read stays in `partial`,
 * nothing more is read, and TCP tells the other side to wait. It goes on when there is room, or
 * when the time that the target's policy allows is over; then the message is dropped for that
 * target and counted.
 *
 * A link that goes while it is paused, or that is given up while the other side still sends (it was
 * silent for too long, and is not any more), has messages that nobody will get: they are read on,
 * and counted as lost with it.
 *
 * The end: the mesh gives the link up (conn_release); what is queued is written, our side is shut
 * down, and the connection closes when the other side has closed too, or after the linger time.
 * Closing at once would let unread bytes of the other side reset the connection and destroy the
 * reason we gave.
 *
 * What was queued or written for a peer and did not get there counts as lost with the link: for
 * what was written, the trail tells how many messages the unacknowledged bytes are. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"

struct conn *conn_new(weft_node *node)
{
    struct conn *c = mem_zalloc(sizeof(*c));
    if (!c)
        return NULL;
    c->node = node;
    c->rx_max = FRAME_MAX_HANDSHAKE;
    c->rx_agreed = atomic_load(&node->max_frame);
    c->aliases.key = node->alias_key;
    c->drain_deadline = c->retry_at = NEVER;
    outbox_init(&c->out, node->options.outbox);
    list_init(&c->flight);
    list_init(&c->paused_node);
    buf_init(&c->partial, FRAME_MAX_LIMIT + RX_BUFFER);
    buf_init(&c->base_frame, FRAME_MAX_HANDSHAKE + BASE_FRAME_BYTES);
    list_push(&node->conns, &c->list_node);
    return c;
}

static void conn_free(struct conn *c)
{
    weft_node *node = c->node;
    plane_lock(node);
    outbox_done(node, &c->out, &c->flight, true);
    outbox_clear(node, &c->out, false);
    node->messages_out += c->out.messages;
    node->bytes_out += c->out.bytes;
    list_remove(&c->out.dirty_node);
    bulk_leave(&c->out);
    plane_unlock(node);
    if (c->by_id.hh.tbl)
        map_del(&node->conns_by_id, &c->by_id);
    list_remove(&c->list_node);
    list_remove(&c->paused_node);
    alias_fini(&c->aliases);
    buf_fini(&c->partial);
    buf_fini(&c->base_frame);
    trail_fini(&c->trail);
    str_unref(c->name);
    mem_free(c);
}

struct conn *conn_find(const weft_node *node, uint32_t id)
{
    struct map_node *found = map_get(&node->conns_by_id, &id, sizeof(id));
    return found ? container_of(found, struct conn, by_id) : NULL;
}

static int bind_link(struct conn *c, struct mesh_link *link)
{
    c->id = link->id;
    int rc = map_put(&c->node->conns_by_id, &c->by_id, &c->id, sizeof(c->id));
    if (rc < 0) {
        memset(&c->by_id, 0, sizeof(c->by_id));
        return rc;
    }
    c->link = link;
    link->user = c;
    return 0;
}

/* A dial that fails at once is told like one that fails later: from the loop's next turn. */
struct failed_dial {
    struct command command;
    struct mesh_link *link;
    uint32_t id;
    int error;
};

static void report_failed_dial(weft_node *node, struct command *command)
{
    struct failed_dial *f = container_of(command, struct failed_dial, command);
    list_each (it, mesh_links(node->mesh)) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->id != f->id)
            continue;
        mesh_opened(node->mesh, l, f->error, NULL, false, node_now());
        break;
    }
    mem_free(f);
}

/* Out of memory even for this: the mesh's own limit on the time of a dial ends it. */
static void fail_dial(weft_node *node, struct mesh_link *link, int error)
{
    struct failed_dial *f = mem_alloc(sizeof(*f));
    if (!f)
        return;
    *f = (struct failed_dial){.command.run = report_failed_dial, .id = link->id, .error = error};
    plane_lock(node);
    bool wake = node_post(node, &f->command);
    plane_unlock(node);
    if (wake)
        node_wake(node);
}

void conn_dial(weft_node *node, struct mesh_link *link, const struct url *url)
{
    struct conn *c = conn_new(node);
    int rc = c ? bind_link(c, link) : WEFT_ENOMEM;
    if (rc == 0)
        rc = transport_dial(node->loop, url, &conn_handler, c, &c->stream);
    if (rc == 0) {
        node->handles++;
        return;
    }
    if (c) {
        conn_free(c);
        link->user = NULL;
    }
    fail_dial(node, link, rc);
}

void conn_accept(weft_node *node, struct stream *stream)
{
    struct conn *c = conn_new(node);
    if (!c) {
        stream_close(stream);
        return;
    }
    node->handles++;
    c->stream = stream;
    c->connected = true;
    stream_accept_start(stream, &conn_handler, c);
    struct mesh_link *link =
        mesh_accept(node->mesh, c, stream_remote_host(stream), stream_is_local(stream),
                    stream_is_guarded(stream), node_now());
    if (!link || bind_link(c, link) < 0) {
        if (link)
            mesh_ended(node->mesh, link, WEFT_ENOMEM, node_now());
        else
            conn_close(c);
        return;
    }
    int rc = stream_read_start(stream);
    if (rc < 0)
        mesh_ended(node->mesh, link, rc, node_now());
}

/* ---- Frames ---- */

static void refuse_frame(struct conn *c, int error, const char *text)
{
    mesh_malformed(c->node->mesh, c->link, error, text, node_now());
}

static void pause_reading(struct conn *c)
{
    c->paused = true;
    list_push(&c->node->paused, &c->paused_node);
    mesh_paused(c->node->mesh, c->link, node_now());
    stream_read_stop(c->stream);
}

/* False: paused, the frame stays. */
static bool take_message(struct conn *c, struct flow *flow, const struct incoming *in)
{
    weft_node *node = c->node;
    if (c->held) {
        c->pause_until = NEVER;
        pause_reading(c);
        return false;
    }
    if (c->pause_until == NEVER)
        c->pause_until = 0;
    if (!flow) {
        /* Nobody here wants it any more; or there was no memory to note who does. */
        enum weft_drop reason = node->rebuild_at == NEVER ? WEFT_DROP_CLOSED : WEFT_DROP_NOMEM;
        plane_lock(node);
        outbox_drop(node, &c->out, NULL, reason);
        plane_unlock(node);
        return true;
    }
    if (flow->callbacks_only) {
        deliver_calls(node, flow, in);
        c->messages_in++;
        return true;
    }
    bool expired = c->pause_until && c->pause_until <= node_now().mono_ns;
    if (deliver(node, c, flow, in, !expired)) {
        c->pause_until = 0;
        c->messages_in++;
        return true;
    }
    pause_reading(c);
    return false;
}

static bool take_compact(struct conn *c, const struct frame *f)
{
    if (!c->up || !c->compact) {
        refuse_frame(c, WEFT_EPROTO, "a compact frame came that was not agreed on");
        return true;
    }
    if (f->alias != c->last_alias || !c->last_flow) {
        c->last_alias = f->alias;
        c->last_flow = alias_get(&c->aliases, f->alias);
    }
    struct incoming in = {
        .data = f->body, .size = f->body_size, .time = f->timestamp, .type = MSG_MESSAGE};
    return take_message(c, c->last_flow, &in);
}

static bool take_standard(struct conn *c, const struct frame *f)
{
    struct header h;
    if (header_decode(f->header, f->header_size, &h) < 0) {
        refuse_frame(c, WEFT_EMALFORMED, "the header of a frame does not parse");
        return true;
    }
    if (h.type != MSG_MESSAGE && h.type < MSG_USER) {
        mesh_frame(c->node->mesh, c->link, f, &h, node_now());
        flow_rebuild_changed(c->node); /* messages of a new intent may follow in the same read */
        return true;
    }
    if (!c->up) {
        refuse_frame(c, WEFT_EPROTO, "a message came before the handshake was done");
        return true;
    }
    struct router_intent *intent = router_find_intent_by_route(mesh_router(c->node->mesh), c->id,
                                                               h.route ? h.route : "", h.route_len);
    struct incoming in = {
        .data = f->body, .size = f->body_size, .time = h.timestamp, .type = h.type};
    return take_message(c, intent ? intent->user : NULL, &in);
}

static const char *scan_error(int error)
{
    return error == WEFT_ETOOBIG
               ? "a frame is larger than the limit, or its header than 2,048 bytes"
               : "what came is no frame: wrong magic, or lengths that do not add up";
}

/* Returns how many bytes were used. */
static size_t parse(struct conn *c, const uint8_t *data, size_t len)
{
    size_t used = 0;
    while (c->state == CONN_OPEN && !c->paused) {
        struct frame frame;
        if (c->stalled) {
            c->pause_until = NEVER;
            pause_reading(c);
            break;
        }
        int rc = frame_scan_compact(data + used, len - used, c->rx_max, &frame)
                     ? 1
                     : frame_scan(data + used, len - used, c->rx_max, &frame);
        if (rc < 0) {
            refuse_frame(c, rc, scan_error(rc));
            break;
        }
        if (rc == 0)
            break;
        if (!(frame.compact ? take_compact(c, &frame) : take_standard(c, &frame)))
            break;
        used += frame.size;
    }
    return used;
}

static bool is_message(const struct frame *f)
{
    struct header h;
    return f->compact || (header_decode(f->header, f->header_size, &h) == 0 &&
                          (h.type == MSG_MESSAGE || h.type >= MSG_USER));
}

/* The link is given up: count the messages that still come over it and nobody will get. Returns how
 * many bytes were used; all, once what comes is no frame. */
static size_t discard(struct conn *c, const uint8_t *data, size_t len)
{
    weft_node *node = c->node;
    size_t used = 0;
    struct frame f;
    int rc = 0;
    plane_lock(node);
    while (used < len && (rc = frame_scan(data + used, len - used, c->rx_max, &f)) > 0) {
        if (is_message(&f))
            outbox_drop(node, &c->out, f.compact ? alias_get(&c->aliases, f.alias) : NULL,
                        WEFT_DROP_LINK);
        used += f.size;
    }
    plane_unlock(node);
    return rc < 0 ? len : used;
}

static size_t consume(struct conn *c, const uint8_t *data, size_t len)
{
    size_t used = c->state == CONN_OPEN ? parse(c, data, len) : 0;
    return c->discarding ? used + discard(c, data + used, len - used) : used;
}

/* ---- Reading ---- */

static bool takes_bytes(const struct conn *c)
{
    return c->state == CONN_OPEN || c->discarding;
}

static size_t missing_bytes(const struct conn *c)
{
    struct frame frame;
    if (frame_scan(c->partial.data, c->partial.len, c->rx_max, &frame) == 0 && frame.size)
        return frame.size - c->partial.len;
    return 1;
}

/* Room in `partial` for the rest of a frame that is larger than the node's buffer. */
static uint8_t *reserve_large(struct conn *c, size_t missing)
{
    weft_node *node = c->node;
    size_t kept = c->partial.len;
    c->large = true;
    node->large_used = true;
    if (node->large.cap >= kept + missing && c->partial.cap < kept + missing) {
        struct buf small = c->partial;
        c->partial = node->large;
        memcpy(c->partial.data, small.data, kept);
        c->partial.len = kept;
        buf_fini(&small);
        buf_init(&node->large, small.max);
    }
    return buf_reserve(&c->partial, missing);
}

/* All of `partial` is used: an idle link holds no memory, the node one large buffer. */
static void release_partial(struct conn *c)
{
    weft_node *node = c->node;
    if (c->partial.cap > RX_BUFFER && !node->large.data) {
        node->large = c->partial;
        buf_init(&c->partial, node->large.max);
    }
    buf_fini(&c->partial);
}

void conn_drop_large(weft_node *node)
{
    if (!node->large_used)
        buf_fini(&node->large);
    node->large_used = false;
}

/* What follows cannot be told apart any more, for want of memory. */
static void give_up_reading(struct conn *c)
{
    buf_fini(&c->partial);
    if (c->state == CONN_OPEN)
        mesh_ended(c->node->mesh, c->link, WEFT_ENOMEM, node_now());
    c->discarding = false; /* also where that began it */
}

static void on_alloc(struct stream *s, uv_buf_t *ret_buf, void *user)
{
    struct conn *c = user;
    weft_node *node = c->node;
    size_t kept = takes_bytes(c) ? c->partial.len : 0;
    size_t missing = kept ? missing_bytes(c) : 1;
    if (kept + missing > RX_BUFFER) {
        uint8_t *to = reserve_large(c, missing);
        if (to) {
            c->in_shared = false;
            *ret_buf = uv_buf_init((char *)to, (unsigned)missing);
            return;
        }
        node_enter(node);
        give_up_reading(c);
        node_leave(node);
        kept = 0;
    }
    if (kept)
        memcpy(node->rx, c->partial.data, kept);
    c->in_shared = true;
    size_t room = RX_BUFFER - kept;
    if (c->large && kept == 0)
        room = RX_PEEK; /* what is read of a large frame here is copied */
    *ret_buf = uv_buf_init((char *)node->rx + kept, (unsigned)room);
}

/* Keep what was not used of [data, data + len). */
static void keep_rest(struct conn *c, const uint8_t *data, size_t len)
{
    buf_reset(&c->partial);
    if (len == 0) {
        buf_fini(&c->partial); /* an idle link holds no memory */
    } else if (!buf_put(&c->partial, data, len)) {
        give_up_reading(c);
    }
}

static void on_read(struct stream *s, size_t size, void *user)
{
    struct conn *c = user;
    weft_node *node = c->node;
    if (!takes_bytes(c))
        return;
    node_enter(node);
    node->bytes_in += size;
    c->bytes_in += size;
    if (c->state == CONN_OPEN)
        mesh_received(c->link, mono_ns());
    if (c->in_shared) {
        size_t len = c->partial.len + size;
        size_t used = consume(c, node->rx, len);
        c->large &= used == 0;
        if (takes_bytes(c))
            keep_rest(c, node->rx + used, len - used);
    } else {
        c->partial.len += size;
        size_t used = consume(c, c->partial.data, c->partial.len);
        if (used == c->partial.len)
            release_partial(c);
        else
            buf_consume(&c->partial, used);
    }
    node_leave(node);
}

void conn_resume(struct conn *c)
{
    c->paused = false;
    list_remove(&c->paused_node);
    const uint8_t *data = c->partial.len ? c->partial.data : c->node->rx; /* any but NULL */
    size_t used = consume(c, data, c->partial.len);
    if (used && used == c->partial.len)
        buf_fini(&c->partial);
    else
        buf_consume(&c->partial, used);
    if (c->paused || c->state == CONN_CLOSING)
        return;
    int rc = stream_read_start(c->stream); /* for the end at least, if what waited ended the link */
    if (rc < 0 && c->state == CONN_OPEN)
        mesh_ended(c->node->mesh, c->link, rc, node_now());
}

/* ---- The end ---- */

void conn_release(struct conn *c, bool drain)
{
    weft_node *node = c->node;
    c->link = NULL;
    c->up = false;
    if (c->state != CONN_OPEN)
        return;
    c->state = CONN_DRAINING;
    list_remove(&c->paused_node);
    plane_lock(node);
    c->out.open = c->out.direct = false;
    c->out.compact_max = 0;
    bulk_leave(&c->out);
    bool wake = c->out.awaited && node_todo(node, TODO_RESUME);
    c->out.awaited = false;
    if (!drain)
        outbox_clear(node, &c->out, true);
    wake |= node_mark_dirty(node, &c->out);
    pthread_cond_broadcast(&node->room);
    plane_unlock(node);
    if (wake)
        node_wake(node);
    bool paused = c->paused;
    c->paused = false;
    c->discarding = true;
    if (paused)
        buf_consume(&c->partial, discard(c, c->partial.data, c->partial.len));
    if (!c->connected || c->ended) {
        conn_close(c);
        return;
    }
    if (paused)
        stream_read_start(c->stream);
    c->drain_deadline = mono_ns() + node->options.linger_ms * NS_PER_MS;
    node->conns_at = min_u64(node->conns_at, c->drain_deadline);
}

/* What was written and did not come to the other side is lost as well. */
static void count_on_its_way(struct conn *c)
{
    plane_lock(c->node);
    conn_land_part(c);
    outbox_count_trail(c->node, &c->out, &c->trail, stream_unacked(c->stream));
    plane_unlock(c->node);
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    c->state = CONN_CLOSING;
    c->drain_deadline = c->retry_at = NEVER;
    conn_stop_senders(c);
    count_on_its_way(c);
    stream_close(c->stream);
}

static void on_open(struct stream *s, int error, void *user)
{
    struct conn *c = user;
    weft_node *node = c->node;
    if (c->state != CONN_OPEN)
        return;
    node_enter(node);
    c->connected = error == 0;
    if (error == 0)
        error = stream_read_start(s);
    mesh_opened(node->mesh, c->link, error, stream_remote_host(s), stream_is_local(s), node_now());
    node_leave(node);
}

static void on_end(struct stream *s, int error, void *user)
{
    struct conn *c = user;
    weft_node *node = c->node;
    node_enter(node);
    c->ended = true;
    if (c->state == CONN_OPEN)
        mesh_ended(node->mesh, c->link, error, node_now());
    else
        conn_close(c);
    node_leave(node);
}

static void on_written(struct stream *s, int error, void *user)
{
    struct conn *c = user;
    node_enter(c->node);
    conn_written(c, error);
    node_leave(c->node);
}

static void on_closed(struct stream *s, void *user)
{
    struct conn *c = user;
    weft_node *node = c->node;
    node_enter(node);
    flow_rebuild_changed(node); /* a write that failed ended the link behind the turn's rebuild */
    conn_free(c);
    node->handles--;
    node_leave(node);
    node_maybe_gone(node);
}

const struct stream_handler conn_handler = {
    .on_open = on_open,
    .on_alloc = on_alloc,
    .on_read = on_read,
    .on_written = on_written,
    .on_end = on_end,
    .on_closed = on_closed,
};
