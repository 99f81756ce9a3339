/* Writing: an outbox goes to the kernel in as few calls as it takes.
 *
 * The loop takes what has gathered, control frames first, up to WRITE_BYTES, and writes it with one
 * gathering call; what the kernel does not take stays in `flight` until on_written. Everything that
 * is queued meanwhile waits for the next round, so one wake-up serves any number of messages.
 *
 * A base peer reads with single reads (docs/protocol.md section 8): each frame goes in a write of
 * its own, and only when the kernel has sent off the one before; messages wait until it
 * has read our INTENT. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"

#define ROUNDS_MAX 8    /* writes of one connection in one turn of the loop */
#define BASE_ROUNDS 256 /* frames to a base peer in one turn */
#define BULK_MIN 4096u  /* so much gathered during a write: a burst */

/* The unwritten buffers of a flight of which `skip` bytes are written. */
static unsigned gather(const struct list *flight, size_t skip, uv_buf_t *bufs, unsigned max)
{
    unsigned n = 0;
    list_each (it, (struct list *)(uintptr_t)flight) {
        struct seg *seg = list_entry(it, struct seg, node);
        if (n + 2 > max)
            break;
        uv_buf_t parts[] = {
            uv_buf_init((char *)seg->data + seg->off, (unsigned)(seg->len - seg->off)),
            uv_buf_init(seg->msg ? (char *)seg->msg->data : NULL,
                        seg->msg ? (unsigned)seg->msg->size : 0),
        };
        for (int i = 0; i < 2; i++) {
            size_t less = skip < parts[i].len ? skip : parts[i].len;
            skip -= less;
            if (parts[i].len > less)
                bufs[n++] = uv_buf_init(parts[i].base + less, (unsigned)(parts[i].len - less));
        }
    }
    return n;
}

/* Base: the one frame is written. The flight holds its message, or the control segment that it used
 * up, or nothing. */
static void leave_base_trail(struct conn *c)
{
    const struct seg *seg = list_entry(c->flight.next, struct seg, node);
    bool message = !list_empty(&c->flight) && seg->kind == SEG_MESSAGE;
    trail_add(&c->trail, c->stream, message ? seg->alias : 0, message, c->base_frame.len);
}

/* What was under way is written: remember it until the other side has got it. By who holds the
 * token. */
static void leave_trail(struct conn *c)
{
    if (c->base_frame.len) {
        leave_base_trail(c);
        return;
    }
    list_each (it, &c->flight) {
        struct seg *seg = list_entry(it, struct seg, node);
        trail_add_seg(&c->trail, c->stream, seg, seg_bytes(seg));
    }
}

static size_t bytes_under_way(const struct conn *c)
{
    size_t bytes = 0;
    if (c->base_frame.len)
        return c->base_frame.len;
    list_each (it, (struct list *)(uintptr_t)&c->flight)
        bytes += seg_bytes(list_entry(it, struct seg, node));
    return bytes;
}

/* ---- The token ---- */

bool conn_take(struct conn *c, size_t bytes)
{
    struct outbox *o = &c->out;
    if (o->writing) {
        o->passed_over = true;
        return false;
    }
    if (list_empty(&c->flight))
        outbox_take(c->node, o, &c->flight, bytes);
    o->writing = !list_empty(&c->flight);
    o->passed_over = false;
    return o->writing;
}

void conn_land_part(struct conn *c)
{
    size_t written = c->writing ? bytes_under_way(c) - stream_unwritten(c->stream) : c->flight_done;
    outbox_land_part(c->node, &c->out, &c->flight, written, &c->trail, c->stream);
    c->flight_done = 0;
}

/* The flight is written, or lost. plane held; returns as node_post. */
static bool land(struct conn *c, bool lost)
{
    weft_node *node = c->node;
    if (lost)
        conn_land_part(c);
    outbox_done(node, &c->out, &c->flight, lost);
    c->flight_done = 0;
    c->out.writing = false;
    if (node->room_waiters)
        pthread_cond_broadcast(&node->room);
    if (!c->out.awaited)
        return false;
    c->out.awaited = false;
    return node_todo(node, TODO_RESUME);
}

static void finish(struct conn *c, bool lost)
{
    plane_lock(c->node);
    bool wake = land(c, lost);
    plane_unlock(c->node);
    if (wake)
        node_wake(c->node);
}

/* ---- Senders ---- */

enum { PARTLY = 0, WHOLLY = 1 };

int conn_write_taken(struct conn *c)
{
    uv_buf_t bufs[WRITE_BUFS];
    unsigned n = gather(&c->flight, c->flight_done, bufs, WRITE_BUFS);
    size_t size = 0;
    for (unsigned i = 0; i < n; i++)
        size += bufs[i].len;
    ssize_t done = stream_write_some(c->stream, bufs, n);
    if (done < 0)
        return (int)done;
    c->flight_done += (size_t)done;
    if ((size_t)done < size)
        return PARTLY;
    leave_trail(c);
    return WHOLLY;
}

bool conn_give(struct conn *c, int result)
{
    struct outbox *o = &c->out;
    bool wake = false;
    if (result == WHOLLY) {
        wake = land(c, false);
    } else if (result == PARTLY) {
        o->writing = false;        /* the loop waits until the socket takes more */
        if (c->node->room_waiters) /* conn_stop_senders */
            pthread_cond_broadcast(&c->node->room);
    } else {
        wake = land(c, true);
        o->error = result;
        o->direct = false;
    }
    bool left = o->passed_over && !o->bulk;
    o->passed_over = false;
    if (result != WHOLLY || left || !list_empty(&o->control))
        wake |= node_mark_dirty(c->node, o);
    return wake;
}

/* What the kernel did not take goes to the flight, which belongs to who holds the token. Returns
 * what conn_give wants, or an error: half a frame is out, and the link cannot go on. */
static int keep_rest(struct conn *c, uint32_t alias, const uv_buf_t bufs[2], ssize_t done)
{
    if (done < 0)
        return (int)done;
    if ((size_t)done == bufs[0].len + bufs[1].len)
        return WHOLLY;
    int rc = outbox_keep_rest(c->node, &c->flight, alias, bufs, (size_t)done);
    return rc < 0 ? rc : PARTLY;
}

int conn_write_through(struct conn *c, uint32_t alias, const uv_buf_t bufs[2])
{
    weft_node *node = c->node;
    struct outbox *o = &c->out;
    size_t size = bufs[0].len + bufs[1].len;
    o->writing = true;
    o->passed_over = false;
    outbox_count_flying(o, size);
    plane_unlock(node);
    ssize_t done = stream_write_some(c->stream, bufs, 2);
    int result = keep_rest(c, alias, bufs, done);
    if (result >= 0)
        trail_add(&c->trail, c->stream, alias, result == WHOLLY, (size_t)done);
    plane_lock(node);
    if (result < 0)
        outbox_count_lost(node, o, alias, size);
    else
        outbox_count_written(o, (size_t)done);
    return result;
}

void conn_stop_senders(struct conn *c)
{
    plane_lock(c->node);
    c->out.direct = false;
    while (c->out.writing && !c->writing)
        node_wait(c->node, &c->node->room, NEVER);
    plane_unlock(c->node);
}

static void fail(struct conn *c, int error)
{
    c->ended = true;
    if (c->state == CONN_OPEN)
        mesh_ended(c->node->mesh, c->link, error, node_now());
    else
        conn_close(c);
}

/* All is written and the link is gone: say so to the other side, and wait for its end. */
static void finish_drain(struct conn *c)
{
    if (c->state != CONN_DRAINING || c->writing || c->shut)
        return;
    plane_lock(c->node);
    bool empty = outbox_empty(&c->out) && !c->out.writing && list_empty(&c->flight);
    plane_unlock(c->node);
    if (!empty)
        return;
    c->shut = true;
    stream_shutdown(c->stream);
}

static void again(struct conn *c)
{
    plane_lock(c->node);
    bool wake = node_mark_dirty(c->node, &c->out);
    plane_unlock(c->node);
    if (wake)
        node_wake(c->node);
}

/* ---- Base peers ---- */

void conn_retry_at(struct conn *c, uint64_t mono)
{
    c->retry_at = mono;
    c->node->conns_at = min_u64(c->node->conns_at, mono);
}

/* Copy the first frame of a segment to the connection; true if the segment is used up. */
static bool take_frame(struct conn *c, struct seg *seg)
{
    if (seg->kind == SEG_MESSAGE) {
        buf_put(&c->base_frame, seg->data + seg->off, seg->len - seg->off);
        if (seg->msg)
            buf_put(&c->base_frame, seg->msg->data, seg->msg->size);
        return true;
    }
    size_t size = load_u32(seg->data + seg->off + 4) + 8;
    buf_put(&c->base_frame, seg->data + seg->off, size);
    seg->off += size;
    c->out.control_bytes -= size;
    return seg->off == seg->len;
}

/* Take the next frame for a base peer into base_frame. False: none may go now. */
static bool next_base_frame(struct conn *c, uint64_t mono_ns)
{
    weft_node *node = c->node;
    struct outbox *o = &c->out;
    bool found = false;
    buf_reset(&c->base_frame);
    plane_lock(node);
    if (list_empty(&o->ordered))
        outbox_flush_slots(node, o, NULL);
    struct list *lane = list_empty(&o->control) ? &o->ordered : &o->control;
    if (!list_empty(lane)) {
        struct seg *seg = list_entry(lane->next, struct seg, node);
        if (seg->kind == SEG_MESSAGE && mono_ns < c->hold_until) {
            conn_retry_at(c, c->hold_until);
        } else {
            found = true;
            if (seg->kind == SEG_CONTROL && lane == &o->ordered)
                c->hold_until = mono_ns + BASE_UNSEEN_PAUSE_NS;
            if (take_frame(c, seg)) {
                list_remove(&seg->node);
                outbox_fly(o, seg, &c->flight);
            }
        }
    }
    plane_unlock(node);
    return found;
}

static void flush_base(struct conn *c)
{
    c->retry_at = NEVER;
    for (int i = 0; i < BASE_ROUNDS; i++) {
        uint64_t mono = node_now().mono_ns;
        if (stream_unsent(c->stream) > 0) {
            conn_retry_at(c, mono + BASE_RETRY_NS);
            return;
        }
        if (!next_base_frame(c, mono))
            return;
        uv_buf_t buf = uv_buf_init((char *)c->base_frame.data, (unsigned)c->base_frame.len);
        int rc = c->base_frame.error ? c->base_frame.error : stream_write(c->stream, &buf, 1);
        if (rc == 0) {
            c->writing = true;
            return;
        }
        if (rc > 0)
            leave_trail(c);
        finish(c, rc < 0);
        if (rc < 0) {
            fail(c, rc);
            return;
        }
    }
    again(c);
}

/* ---- Everyone else ---- */

/* More has come while we wrote: leave it to the senders. plane held */
static bool leave_to_senders(struct conn *c)
{
    size_t waiting = outbox_waiting(&c->out);
    if (waiting < BULK_MIN || waiting >= DIRECT_MIN)
        return false;
    bulk_enter(c->node, &c->out);
    return c->out.bulk;
}

/* Write what is taken, and take what has come meanwhile. Returns whether something is taken. */
static bool write_round(struct conn *c)
{
    weft_node *node = c->node;
    uv_buf_t bufs[WRITE_BUFS];
    unsigned n = gather(&c->flight, c->flight_done, bufs, WRITE_BUFS);
    int rc = stream_write(c->stream, bufs, n);
    if (rc == 0) {
        c->writing = true;
        return false;
    }
    if (rc > 0)
        leave_trail(c);
    plane_lock(node);
    bool wake = land(c, rc < 0);
    bool more = rc > 0 && !leave_to_senders(c) && conn_take(c, WRITE_BYTES);
    plane_unlock(node);
    if (wake)
        node_wake(node);
    if (rc < 0)
        fail(c, rc);
    return more;
}

/* The first of it, or what a sender's own writing ran into. */
static int begin(struct conn *c, bool *ret_taken)
{
    plane_lock(c->node);
    int error = c->out.error;
    c->out.error = 0;
    *ret_taken = !c->base && error == 0 && conn_take(c, WRITE_BYTES);
    plane_unlock(c->node);
    return error;
}

/* Others have their turn after ROUNDS_MAX. */
static void flush_plain(struct conn *c)
{
    for (int i = 1; write_round(c); i++) {
        if (i < ROUNDS_MAX)
            continue;
        plane_lock(c->node);
        c->out.writing = false; /* what is taken stays in the flight */
        node_mark_dirty(c->node, &c->out);
        plane_unlock(c->node);
        return;
    }
}

void conn_flush(struct conn *c)
{
    if (!c->connected || c->ended || c->writing || c->state == CONN_CLOSING)
        return;
    bool taken;
    int error = begin(c, &taken);
    if (error < 0) {
        fail(c, error);
        return;
    }
    if (c->base)
        flush_base(c);
    else if (taken)
        flush_plain(c);
    finish_drain(c);
}

void conn_written(struct conn *c, int error)
{
    if (!error)
        leave_trail(c);
    finish(c, error != 0);
    c->writing = false;
    if (error) {
        fail(c, error);
        return;
    }
    again(c);
}
