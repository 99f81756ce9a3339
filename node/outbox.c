/* Outboxes: what waits to be written to one peer. All functions here are called with plane held.
 *
 *     control   [seg] [seg]                          overtakes everything
 *     ordered   [chunk|frame|frame|frame] [message] [control] [chunk|…]
 *     slots     {flow: newest message} …             KEEP_LAST, becomes frames when the writer is
 * ready
 *
 * The happy path is one memcpy into the last chunk. A message over COPY_MAX, or one to a peer
 * without aliases, has a segment of its own. `queued` counts bytes of messages from the moment they
 * are queued until they are written, and is held under `limit` by the senders; control frames are
 * bounded by the routes there are.
 *
 * What is dropped is counted three times: for the peer, for the route, for the node. */
#include <string.h>

#include "base/mem.h"
#include "node/node.h"

void outbox_init(struct outbox *o, size_t limit)
{
    list_init(&o->control);
    list_init(&o->ordered);
    list_init(&o->slots);
    list_init(&o->dirty_node);
    list_init(&o->bulk_node);
    o->limit = limit;
}

size_t seg_bytes(const struct seg *seg)
{
    return seg->len - seg->off + (seg->msg ? seg->msg->size : 0);
}

static struct seg *seg_new(weft_node *node, enum seg_kind kind, size_t cap)
{
    struct seg *seg = NULL;
    if (kind == SEG_CHUNK && node->n_spare) {
        seg = list_entry(list_pop(&node->spare_chunks), struct seg, node);
        node->n_spare--;
    } else {
        seg = mem_alloc(sizeof(*seg) + cap);
    }
    if (!seg)
        return NULL;
    seg->kind = kind;
    seg->alias = 0;
    seg->msg = NULL;
    seg->off = seg->len = 0;
    seg->cap = cap;
    list_init(&seg->node);
    return seg;
}

void seg_free(weft_node *node, struct seg *seg)
{
    weft_msg_unref(seg->msg);
    if (seg->kind == SEG_CHUNK && node->n_spare < CHUNKS_SPARE) {
        seg->msg = NULL;
        list_push_front(&node->spare_chunks, &seg->node); /* the one still in the cache */
        node->n_spare++;
    } else {
        mem_free(seg);
    }
}

bool outbox_empty(const struct outbox *o)
{
    return list_empty(&o->control) && list_empty(&o->ordered) && list_empty(&o->slots);
}

static struct header message_header(const struct str *route, uint64_t time, uint32_t type)
{
    return (struct header){
        .timestamp = time, .type = type, .route = route->text, .route_len = route->len};
}

size_t outbox_frame_size(const struct outbox *o, const struct str *route, size_t size)
{
    size_t head = FRAME_COMPACT_HEAD;
    if (!o->compact) {
        struct header header = message_header(route, UINT64_MAX, UINT32_MAX);
        head = header_size(&header) + 16;
    }
    return head + size > o->peer_max ? 0 : head + size;
}

int outbox_put_control(weft_node *node, struct outbox *o, const void *frames, size_t size,
                       enum lane lane)
{
    if (o->control_bytes + size > CONTROL_MAX)
        return WEFT_ELIMIT;
    struct list *list = lane == LANE_CONTROL ? &o->control : &o->ordered;
    struct seg *last = list_empty(list) ? NULL : list_entry(list->prev, struct seg, node);
    if (!last || last->kind != SEG_CONTROL || last->cap - last->len < size) {
        last = seg_new(node, SEG_CONTROL, size > 512 ? size : 512);
        if (!last)
            return WEFT_ENOMEM;
        list_push(list, &last->node);
    }
    memcpy(last->data + last->len, frames, size);
    last->len += size;
    o->control_bytes += size;
    return 0;
}

static struct seg *chunk_with_room(weft_node *node, struct outbox *o, size_t need)
{
    if (!list_empty(&o->ordered)) {
        struct seg *last = list_entry(o->ordered.prev, struct seg, node);
        if (last->kind == SEG_CHUNK && last->cap - last->len >= need)
            return last;
    }
    struct seg *seg = seg_new(node, SEG_CHUNK, CHUNK_SIZE);
    if (seg)
        list_push(&o->ordered, &seg->node);
    return seg;
}

/* A segment of its own: head, and payload copied or referenced. */
static int put_alone(weft_node *node, struct outbox *o, const struct sending *s, struct str *route)
{
    bool copied = s->size <= COPY_MAX;
    struct header header = message_header(route, s->time, s->type);
    bool compact = o->compact && s->type == MSG_MESSAGE;
    size_t head = compact ? FRAME_COMPACT_HEAD : header_size(&header) + 16;
    struct seg *seg = seg_new(node, SEG_MESSAGE, head + (copied ? s->size : 0));
    if (!seg)
        return WEFT_ENOMEM;
    if (!copied) {
        seg->msg =
            s->msg ? weft_msg_ref(s->msg) : msg_copy(node->pool, s->data, s->size, NULL, NULL, 0);
        if (!seg->msg) {
            seg_free(node, seg);
            return WEFT_ENOMEM;
        }
    }
    if (compact)
        frame_put_compact(seg->data, s->flow->alias, s->time, s->size);
    else
        frame_put_standard(seg->data, &header, s->size);
    if (copied && s->size)
        memcpy(seg->data + head, s->data, s->size);
    seg->alias = s->flow->alias;
    seg->len = seg->cap;
    list_push(&o->ordered, &seg->node);
    o->queued += head + s->size;
    o->messages++;
    o->bytes += head + s->size;
    return 0;
}

int outbox_put(weft_node *node, struct outbox *o, const struct sending *s, struct str *route)
{
    if (!o->compact || s->size > COPY_MAX || s->type != MSG_MESSAGE)
        return put_alone(node, o, s, route);
    size_t need = FRAME_COMPACT_HEAD + s->size;
    struct seg *seg = chunk_with_room(node, o, need);
    if (!seg)
        return WEFT_ENOMEM;
    outbox_append(o, seg, s->flow->alias, s->time, s->data, s->size);
    return 0;
}

/* ---- KEEP_LAST ---- */

static void slot_free(struct slot *slot)
{
    list_remove(&slot->node);
    weft_msg_unref(slot->msg);
    str_unref(slot->route);
    mem_free(slot);
}

static struct slot *find_flow_slot(struct outbox *o, const struct flow *flow)
{
    list_each (it, &o->slots) {
        struct slot *slot = list_entry(it, struct slot, node);
        if (slot->flow == flow)
            return slot;
    }
    return NULL;
}

int outbox_put_last(weft_node *node, struct outbox *o, const struct sending *s, struct str *route)
{
    weft_msg *msg =
        s->msg ? weft_msg_ref(s->msg) : msg_copy(node->pool, s->data, s->size, NULL, NULL, 0);
    if (!msg)
        return WEFT_ENOMEM;
    struct slot *slot = find_flow_slot(o, s->flow);
    if (slot) {
        weft_msg_unref(slot->msg);
        slot->msg = msg;
        slot->time = s->time;
        outbox_drop(node, o, s->flow, WEFT_DROP_REPLACED);
        return 0;
    }
    slot = mem_alloc(sizeof(*slot));
    if (!slot) {
        weft_msg_unref(msg);
        return WEFT_ENOMEM;
    }
    *slot = (struct slot){.flow = s->flow, .route = str_ref(route), .msg = msg, .time = s->time};
    list_push(&o->slots, &slot->node);
    return 0;
}

void outbox_drop_slot(weft_node *node, struct outbox *o, const struct flow *flow)
{
    struct slot *slot = find_flow_slot(o, flow);
    if (!slot)
        return;
    outbox_drop(node, o, slot->flow, WEFT_DROP_LINK);
    slot_free(slot);
}

static void send_slot(weft_node *node, struct outbox *o, struct slot *slot,
                      int (*put)(weft_node *, struct outbox *, const struct sending *,
                                 struct str *))
{
    struct sending s = {
        .flow = slot->flow,
        .data = slot->msg->data,
        .size = slot->msg->size,
        .msg = slot->msg,
        .time = slot->time,
        .type = MSG_MESSAGE,
    };
    if (put(node, o, &s, slot->route) < 0)
        outbox_drop(node, o, slot->flow, WEFT_DROP_NOMEM);
    slot_free(slot);
}

void outbox_flush_slots(weft_node *node, struct outbox *o, const struct flow *only)
{
    list_each_safe (it, &o->slots) {
        struct slot *slot = list_entry(it, struct slot, node);
        if (!only || slot->flow == only)
            send_slot(node, o, slot, outbox_put);
    }
}

/* ---- Dropping ---- */

static void count_drops(weft_node *node, struct outbox *o, struct flow *flow, enum weft_drop reason,
                        uint64_t count)
{
    o->dropped[reason] += count;
    node->dropped[reason] += count;
    flow_count_drops(flow, reason, count);
}

void outbox_drop(weft_node *node, struct outbox *o, struct flow *flow, enum weft_drop reason)
{
    count_drops(node, o, flow, reason, 1);
}

static void drop_by_alias(weft_node *node, struct outbox *o, uint32_t alias, enum weft_drop reason)
{
    outbox_drop(node, o, alias_get(&node->flows, alias), reason);
}

void outbox_count_flying(struct outbox *o, size_t size)
{
    o->queued += size;
    o->flying += size;
    o->messages++;
    o->bytes += size;
}

void outbox_count_written(struct outbox *o, size_t size)
{
    o->queued -= size;
    o->flying -= size;
}

void outbox_count_lost(weft_node *node, struct outbox *o, uint32_t alias, size_t size)
{
    outbox_count_written(o, size);
    drop_by_alias(node, o, alias, WEFT_DROP_LINK);
}

void outbox_count_trail(weft_node *node, struct outbox *o, const struct trail *trail,
                        size_t unacked)
{
    for (uint32_t i = trail->count + 1; i > 0; i--) {
        const struct run *run = i > 1 ? &trail->runs[i - 2] : &trail->all;
        uint32_t lost = run_lost(run, unacked);
        if (lost)
            count_drops(node, o, alias_get(&node->flows, run->alias), WEFT_DROP_LINK, lost);
        unacked -= min_size(unacked, run->bytes);
    }
}

int outbox_keep_rest(weft_node *node, struct list *flight, uint32_t alias, const uv_buf_t bufs[2],
                     size_t written)
{
    size_t size = bufs[0].len + bufs[1].len - written;
    struct seg *seg = seg_new(node, SEG_MESSAGE, size);
    if (!seg)
        return WEFT_ENOMEM;
    seg->alias = alias;
    for (int i = 0; i < 2; i++) {
        size_t skip = written < bufs[i].len ? written : bufs[i].len;
        written -= skip;
        memcpy(seg->data + seg->len, bufs[i].base + skip, bufs[i].len - skip);
        seg->len += bufs[i].len - skip;
    }
    list_push(flight, &seg->node);
    return 0;
}

/* Drop the first frame of a chunk; returns its size. */
static size_t drop_front(weft_node *node, struct outbox *o, struct seg *chunk,
                         enum weft_drop reason)
{
    const uint8_t *frame = chunk->data + chunk->off;
    size_t size = load_u32(frame + 4) + 8;
    drop_by_alias(node, o, load_u32(frame + 8), reason);
    chunk->off += size;
    return size;
}

/* Count all messages of a segment as dropped. */
static void drop_seg(weft_node *node, struct outbox *o, struct seg *seg, enum weft_drop reason)
{
    if (seg->kind == SEG_CONTROL) {
        o->control_bytes -= seg_bytes(seg);
        return;
    }
    o->queued -= seg_bytes(seg);
    if (seg->kind == SEG_MESSAGE) {
        drop_by_alias(node, o, seg->alias, reason);
        return;
    }
    while (seg->off < seg->len)
        drop_front(node, o, seg, reason);
}

void outbox_make_room(weft_node *node, struct outbox *o, size_t need)
{
    list_each_safe (it, &o->ordered) {
        struct seg *seg = list_entry(it, struct seg, node);
        if (seg->kind == SEG_CONTROL)
            continue;
        while (seg->kind == SEG_CHUNK && seg->off < seg->len && !outbox_has_room(o, need))
            o->queued -= drop_front(node, o, seg, WEFT_DROP_OLD);
        if (seg->kind == SEG_MESSAGE && !outbox_has_room(o, need)) {
            drop_seg(node, o, seg, WEFT_DROP_OLD);
            list_remove(&seg->node);
            seg_free(node, seg);
        } else if (seg->kind == SEG_CHUNK && seg->off == seg->len) {
            list_remove(&seg->node);
            seg_free(node, seg);
        }
        if (outbox_has_room(o, need))
            return;
    }
}

static void clear_list(weft_node *node, struct outbox *o, struct list *list, bool keep_control)
{
    list_each_safe (it, list) {
        struct seg *seg = list_entry(it, struct seg, node);
        if (keep_control && seg->kind == SEG_CONTROL)
            continue;
        drop_seg(node, o, seg, WEFT_DROP_LINK);
        list_remove(&seg->node);
        seg_free(node, seg);
    }
}

void outbox_clear(weft_node *node, struct outbox *o, bool keep_control)
{
    clear_list(node, o, &o->control, keep_control);
    clear_list(node, o, &o->ordered, keep_control);
    list_each_safe (it, &o->slots) {
        struct slot *slot = list_entry(it, struct slot, node);
        outbox_drop(node, o, slot->flow, WEFT_DROP_LINK);
        slot_free(slot);
    }
}

/* ---- For the writer ---- */

/* Must what waits keep its place before a slot's message? */
static bool order_matters(const struct outbox *o)
{
    for (const struct list *it = o->ordered.next; it != &o->ordered; it = it->next) {
        if (list_entry((struct list *)(uintptr_t)it, struct seg, node)->kind == SEG_CONTROL)
            return true;
    }
    return false;
}

/* Turn the first slot into a segment and hand that out; NULL: there is none, or no memory. It never
 * joins the ordered lane, where a newer message of its flow could pass it. */
static struct list *take_slot(weft_node *node, struct outbox *o)
{
    if (list_empty(&o->slots))
        return NULL;
    const struct list *last = o->ordered.prev;
    send_slot(node, o, list_entry(o->slots.next, struct slot, node), put_alone);
    struct list *seg = o->ordered.prev;
    if (seg == last)
        return NULL;
    list_remove(seg);
    return seg;
}

size_t outbox_fly(struct outbox *o, struct seg *seg, struct list *flight)
{
    size_t bytes = seg_bytes(seg);
    if (seg->kind != SEG_CONTROL)
        o->flying += bytes;
    list_push(flight, &seg->node);
    return bytes;
}

/* Control frames first. One slot goes past the messages of other flows, so that a lasting backlog
 * does not hold it back, unless its own INTENT may be among what waits; the others follow when
 * nothing else does. At most WRITE_BUFS / 2 segments, each of which may need two buffers. */
void outbox_take(weft_node *node, struct outbox *o, struct list *flight, size_t bytes)
{
    bool slot_turn = !list_empty(&o->slots) && !order_matters(o);
    size_t taken = 0;
    for (unsigned count = 0; count < WRITE_BUFS / 2 && taken < bytes; count++) {
        struct list *it = list_pop(&o->control);
        if (!it && slot_turn) {
            it = take_slot(node, o);
            slot_turn = false;
        }
        if (!it)
            it = list_pop(&o->ordered);
        if (!it)
            it = take_slot(node, o);
        if (!it)
            return;
        taken += outbox_fly(o, list_entry(it, struct seg, node), flight);
    }
}

static void seg_done(weft_node *node, struct outbox *o, struct seg *seg, bool lost)
{
    list_remove(&seg->node);
    if (seg->kind != SEG_CONTROL)
        o->flying -= seg_bytes(seg);
    if (lost)
        drop_seg(node, o, seg, WEFT_DROP_LINK);
    else if (seg->kind == SEG_CONTROL)
        o->control_bytes -= seg_bytes(seg);
    else
        o->queued -= seg_bytes(seg);
    seg_free(node, seg);
}

void outbox_land_part(weft_node *node, struct outbox *o, struct list *flight, size_t written,
                      struct trail *trail, struct stream *stream)
{
    while (written && !list_empty(flight)) {
        struct seg *seg = list_entry(flight->next, struct seg, node);
        size_t bytes = min_size(written, seg_bytes(seg));
        size_t whole = trail_add_seg(trail, stream, seg, bytes);
        written -= bytes;
        if (bytes == seg_bytes(seg)) {
            seg_done(node, o, seg, false);
        } else if (seg->kind == SEG_CHUNK) {
            seg->off += whole;
            o->queued -= whole;
            o->flying -= whole;
        }
    }
}

void outbox_done(weft_node *node, struct outbox *o, struct list *flight, bool lost)
{
    list_each_safe (it, flight)
        seg_done(node, o, list_entry(it, struct seg, node), lost);
    if (o->queued <= o->limit / 2)
        o->stuck = false;
}
