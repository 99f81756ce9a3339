/* Messages: what programs send, how it waits, travels and arrives, and whether that is right.
 *
 * Happy path: net_send gives a program messages to send; each becomes a frame in the ordered lane
 * of every target of its flow, under the alias of the intent; the other side finds the intent by
 * alias or route, and hands it to the interests of the flow. The rules are those of node/send.c,
 * outbox.c and deliver.c: room is looked at for each peer, BLOCK waits before anything is queued,
 * of a KEEP_LAST intent one message waits for a peer, a link that is held or has a reader without
 * room pauses, a leaf is relayed to.
 *
 * A message names its intent (a uid) and its number. Each direction of a connection has a ledger of
 * what was queued, in order: a message that arrives must be the next in it. What is in the ledger
 * when the connection goes was lost, which is wrong unless a fault has met that connection. At the
 * node that reads, the model knows which interests are open and cover the route: these get it, each
 * once, with growing numbers. Nobody there wants it: then it must have been queued before its
 * sender had read the withdrawal. */
#include "net_ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#define BLOCK_NS NS_PER_SEC
#define STAMP_SIZE 24u /* uid, number, check */

struct net_seen {
    uint64_t uid, seq;
};

/* ---- Queueing for a peer ---- */

static size_t frame_size(const struct net_end *end, const struct router_target *t, size_t size)
{
    struct header h = {.timestamp = UINT64_MAX,
                       .type = UINT32_MAX,
                       .route = t->route->text,
                       .route_len = t->route->len};
    return size + (end->compact ? FRAME_COMPACT_HEAD : header_size(&h) + 16);
}

static bool has_room(const struct net_end *end, size_t need)
{
    size_t limit = end->conn->net->options.outbox;
    return end->waiting == 0 || end->waiting + need <= (limit ? limit : OUTBOX_DEFAULT);
}

static void put_frame(struct net_end *end, const struct net_flow *flow,
                      const struct router_target *t, const struct net_bytes *body)
{
    uint8_t head[FRAME_HEADER_MAX + 16];
    uint64_t wall = net_moment_of(end->node).wall_ns;
    size_t size = FRAME_COMPACT_HEAD;
    struct header h = {.timestamp = wall,
                       .type = MSG_MESSAGE,
                       .route = t->route->text,
                       .route_len = t->route->len};
    if (end->compact)
        frame_put_compact(head, flow->rec->alias, wall, body->len);
    else
        size = frame_put_standard(head, &h, body->len);
    struct parcel parcel = {.uid = load_u64(body->data),
                            .seq = load_u64(body->data + 8),
                            .frame = (uint32_t)(size + body->len),
                            .interests_read = end->interests_read};
    net_ledger_put(end, &parcel);
    end->conn->net->traffic.queued++;
    if (!net_passes(end, &h, NULL))
        return;
    net_bytes_put(&end->lane[1], head, size);
    net_bytes_put(&end->lane[1], body->data, body->len);
    end->waiting += parcel.frame;
    net_write_soon(end);
}

/* The end of a target that takes messages; NULL: the link has gone, or says goodbye. */
static struct net_end *open_end(struct net_node *node, const struct router_target *t)
{
    struct net_end *end = t->interest ? NULL : net_end_by_id(node, t->endpoint);
    return end && end->up && !end->retired && !end->closed ? end : NULL;
}

static void refuse(struct net_node *node, const struct router_target *t)
{
    struct net_end *end = net_end_by_id(node, t->endpoint);
    node->net->traffic.refused++;
    if (!end || net_may_lose(end))
        return;
    net_wrong(node->net, "n%u has a target left whose link takes no messages any more",
              node->index);
}

static void queue_for(struct net_node *node, const struct net_flow *flow,
                      const struct router_target *t, const struct net_bytes *body, int policy)
{
    struct net_end *end = open_end(node, t);
    if (!end) {
        refuse(node, t);
        return;
    }
    size_t need = frame_size(end, t, body->len);
    if (policy == WEFT_KEEP_LAST) { /* there is always room for the newest */
        node->net->traffic.refused += net_take_back_of(end, load_u64(body->data));
        put_frame(end, flow, t, body);
        return;
    }
    if (policy == WEFT_DROP_OLDEST && !has_room(end, need))
        node->net->traffic.refused += net_take_back(end, need);
    if (has_room(end, need))
        put_frame(end, flow, t, body);
    else
        node->net->traffic.refused++;
}

/* ---- Delivery ---- */

static void check_order(struct net_node *node, struct net_route *interest, uint64_t uid,
                        uint64_t seq)
{
    size_t i = 0;
    while (i < interest->n_seen && interest->seen[i].uid != uid)
        i++;
    if (i == interest->cap_seen) {
        interest->cap_seen = i ? 2 * i : 4;
        interest->seen = net_alloc(interest->seen, interest->cap_seen * sizeof(*interest->seen));
    }
    if (i == interest->n_seen)
        interest->seen[interest->n_seen++] = (struct net_seen){.uid = uid};
    if (seq <= interest->seen[i].seq)
        net_wrong(node->net, "n%u: message %llu of intent %llu came to %s after message %llu: %s",
                  node->index, (unsigned long long)seq, (unsigned long long)uid, interest->text,
                  (unsigned long long)interest->seen[i].seq,
                  seq == interest->seen[i].seq ? "twice" : "out of order");
    interest->seen[i].seq = seq;
}

static void deliver_to(struct net_node *node, struct net_route *interest,
                       const struct net_bytes *body)
{
    check_order(node, interest, load_u64(body->data), load_u64(body->data + 8));
    if (interest->every_ns && interest->waiting >= interest->limit) {
        interest->stuck = true;
        node->net->traffic.expired++;
        return;
    }
    interest->waiting += interest->every_ns != 0;
    interest->got++;
    node->net->traffic.delivered++;
}

/* Those the model knows of, against those of the flow. */
static void deliver(struct net_node *node, const struct net_flow *flow,
                    const struct net_bytes *body)
{
    size_t expected = 0, found = 0;
    list_each (it, &node->routes) {
        const struct net_route *r = list_entry(it, struct net_route, in_node);
        expected += !r->intent && route_covers(&r->route, &flow->route);
    }
    for (size_t i = 0; i < flow->count; i++) {
        if (!flow->targets[i].interest)
            continue;
        found++;
        deliver_to(node, flow->targets[i].interest, body);
    }
    if (found != expected)
        net_wrong(node->net, "n%u has %zu interests that cover %s, and %zu are served", node->index,
                  expected, flow->text->text, found);
}

/* ---- Programs that send ---- */

static void fill(struct net *net, const struct net_route *r)
{
    struct net_bytes *body = &net->payload;
    if (body->cap < r->size) {
        body->cap = r->size;
        body->data = net_alloc(body->data, body->cap);
    }
    body->len = r->size;
    store_u64(body->data, r->uid);
    store_u64(body->data + 8, r->seq);
    store_u64(body->data + 16, r->uid * 31 + r->seq * 7 + r->size);
    memset(body->data + STAMP_SIZE, (int)(r->seq & 0xff), r->size - STAMP_SIZE);
}

static bool intact(const struct net_bytes *body)
{
    if (body->len < STAMP_SIZE)
        return false;
    uint64_t uid = load_u64(body->data), seq = load_u64(body->data + 8);
    if (load_u64(body->data + 16) != uid * 31 + seq * 7 + body->len)
        return false;
    for (size_t i = STAMP_SIZE; i < body->len; i++) {
        if (body->data[i] != (uint8_t)seq)
            return false;
    }
    return true;
}

/* BLOCK: is there a peer or an interest of our own worth waiting for? `give_up` marks them. */
static bool must_wait(struct net_node *node, const struct net_flow *flow, size_t size, bool give_up)
{
    bool wait = false;
    for (size_t i = 0; i < flow->count; i++) {
        struct net_route *local = flow->targets[i].interest;
        struct net_end *end = open_end(node, &flow->targets[i]);
        if (local && local->every_ns && local->waiting >= local->limit) {
            wait |= !local->stuck;
            local->stuck |= give_up;
        } else if (end && !has_room(end, frame_size(end, &flow->targets[i], size))) {
            wait |= !end->stuck;
            end->stuck |= give_up;
        }
    }
    return wait;
}

static void send_one(struct net_node *node, struct net_route *r)
{
    const struct net_flow *flow = r->rec->user;
    struct net_bytes *body = &node->net->payload;
    bool local = false;
    r->seq++;
    node->net->traffic.sent++;
    if (!flow)
        return;
    fill(node->net, r);
    for (size_t i = 0; i < flow->count; i++) {
        if (flow->targets[i].interest)
            local = true;
        else
            queue_for(node, flow, &flow->targets[i], body, r->policy);
    }
    if (local)
        deliver(node, flow, body);
}

static void program_at(struct net_node *node, uint64_t at)
{
    net_schedule(node->net,
                 (struct event){.at = at, .type = EVENT_PUMP, .node = node, .life = node->life});
}

static void pump(struct net_node *node, struct net_route *r)
{
    uint64_t now = node->net->now;
    while (r->todo && r->pump_at <= now) {
        const struct net_flow *flow = r->rec->user;
        if (r->policy == WEFT_BLOCK && flow && must_wait(node, flow, r->size, false)) {
            if (!r->deadline) {
                r->deadline = now + BLOCK_NS;
                program_at(node, r->deadline);
            }
            if (now < r->deadline)
                return;
            must_wait(node, flow, r->size, true);
        }
        r->deadline = 0;
        send_one(node, r);
        r->todo--;
        r->pump_at = now + r->gap_ns;
        if (r->todo && r->gap_ns)
            program_at(node, r->pump_at);
    }
}

void net_send(struct net_node *node, struct net_route *intent, uint32_t count, uint32_t size,
              int policy, uint64_t gap_ns)
{
    intent->todo += count;
    intent->size = size > STAMP_SIZE ? size : STAMP_SIZE;
    intent->policy = policy;
    intent->gap_ns = gap_ns;
    intent->pump_at = node->net->now;
    pump(node, intent);
}

/* ---- Programs that read ---- */

void net_read_slowly(struct net_node *node, struct net_route *interest, uint64_t every_ns,
                     uint32_t limit)
{
    interest->every_ns = every_ns;
    interest->limit = limit;
    interest->read_at = node->net->now + every_ns;
    if (every_ns) {
        program_at(node, interest->read_at);
        return;
    }
    interest->waiting = 0;
    interest->stuck = false;
    node->resume = node->pump = true;
    net_settle(node);
}

static void read_one(struct net_node *node, struct net_route *r)
{
    if (!r->every_ns || r->read_at > node->net->now)
        return;
    r->waiting -= r->waiting != 0;
    r->stuck &= r->waiting > r->limit / 2;
    r->read_at = node->net->now + r->every_ns;
    program_at(node, r->read_at);
    node->resume |= !list_empty(&node->paused);
    node->pump = true;
}

void net_programs_run(struct net_node *node)
{
    node->pump = false;
    list_each_safe (it, &node->routes) {
        struct net_route *r = list_entry(it, struct net_route, in_node);
        if (r->intent)
            pump(node, r);
        else
            read_one(node, r);
    }
}

/* ---- Reading from a link ---- */

static struct net_flow *flow_of(const struct net_end *end, const struct frame *frame)
{
    struct router *router = mesh_router(end->node->mesh);
    uint32_t id = end->link->id;
    const struct router_intent *rec = NULL;
    struct header h;
    if (frame->compact)
        rec = router_find_intent(router, id, frame->alias);
    else if (header_decode(frame->header, frame->header_size, &h) == 0)
        rec = router_find_intent_by_route(router, id, h.route ? h.route : "", h.route_len);
    return rec ? rec->user : NULL;
}

/* Does a reader of ours, or a leaf, lack room and still have time to find it? */
static bool has_to_wait(struct net_end *end, const struct net_flow *flow, size_t size)
{
    uint64_t now = end->conn->net->now;
    if (end->pause_until && end->pause_until <= now)
        return false;
    if (!must_wait(end->node, flow, size, false))
        return false;
    if (!end->pause_until)
        end->pause_until = now + BLOCK_NS;
    return true;
}

static bool pause_end(struct net_end *end)
{
    struct net_node *node = end->node;
    end->paused = true;
    list_push(&node->paused, &end->in_paused);
    mesh_paused(node->mesh, end->link, net_moment_of(node));
    return false;
}

/* Nobody here wants it. Had its sender been told so when it sent it? */
static void check_unwanted(struct net_end *end, const struct frame *frame,
                           const struct parcel *parcel)
{
    struct net *net = end->conn->net;
    struct router *router = mesh_router(end->node->mesh);
    const struct router_intent *rec = NULL;
    net->traffic.unwanted++;
    if (frame->compact)
        rec = router_find_intent(router, end->link->id, frame->alias);
    struct route route;
    if (frame->compact && !rec)
        net_wrong(net, "n%u got message %llu of intent %llu under an alias that it does not know",
                  end->node->index, (unsigned long long)parcel->seq,
                  (unsigned long long)parcel->uid);
    /* A router may have had the message sent for a leaf that is gone by now. */
    if (!rec || end->node->router || !end->ledger || end->link->state != LINK_UP ||
        route_parse(rec->route->text, rec->route->len, &route, NULL) < 0)
        return;
    for (size_t i = end->ledger->n_closed; i-- > 0;) {
        const struct closed *c = &end->ledger->closed[i];
        if (!route_covers(&c->route, &route))
            continue;
        if (parcel->interests_read >= c->mark)
            net_wrong(net, "n%u sent message %llu of %s to n%u, whose withdrawal of %s it had read",
                      index_of(net_other(end)->node), (unsigned long long)parcel->seq, route.text,
                      end->node->index, c->text);
        return;
    }
}

void net_interest_closing(struct net_node *node, const struct net_route *interest)
{
    if (node->net->count > 64)
        return;
    list_each (it, &node->ends) {
        struct net_end *end = list_entry(it, struct net_end, in_node);
        if (!end->up || end->retired || end->closed)
            continue;
        struct net_ledger *l = net_ledger_of(end);
        if (l->n_closed == l->cap_closed) {
            l->cap_closed = l->cap_closed ? 2 * l->cap_closed : 4;
            l->closed = net_alloc(l->closed, l->cap_closed * sizeof(*l->closed));
        }
        struct closed *c = &l->closed[l->n_closed];
        size_t len = strlen(interest->text);
        c->text = net_alloc(NULL, len + 1);
        memcpy(c->text, interest->text, len + 1);
        c->mark = end->interests_put;
        if (route_parse(c->text, len, &c->route, NULL) == 0)
            l->n_closed++;
        else
            free(c->text);
    }
}

/* The oldest in the ledger of its sender is what must come. False: something else came. */
static bool next_in_ledger(struct net_end *end, const struct net_bytes *body,
                           struct parcel *ret_parcel)
{
    struct net_end *from = net_other(end);
    if (!intact(body) || net_ledger_count(from) == 0) {
        net_wrong(end->conn->net, "n%u got a message that nobody sent so", end->node->index);
        return false;
    }
    *ret_parcel = from->ledger->items[from->ledger->head++];
    uint64_t uid = load_u64(body->data), seq = load_u64(body->data + 8);
    if (uid == ret_parcel->uid && seq == ret_parcel->seq)
        return true;
    net_wrong(end->conn->net,
              "n%u got message %llu of intent %llu, where %llu of %llu was the next on that link",
              end->node->index, (unsigned long long)seq, (unsigned long long)uid,
              (unsigned long long)ret_parcel->seq, (unsigned long long)ret_parcel->uid);
    return false;
}

bool net_take_message(struct net_end *end, const struct frame *frame)
{
    struct net_node *node = end->node;
    if (net_is_raw(net_other(end)->node))
        return true; /* what a test's own end sends is in no ledger */
    if (end->held) {
        end->pause_until = NEVER;
        return pause_end(end);
    }
    if (end->pause_until == NEVER)
        end->pause_until = 0;
    struct net_flow *flow = flow_of(end, frame);
    if (flow && has_to_wait(end, flow, frame->body_size))
        return pause_end(end);
    end->pause_until = 0;
    struct net_bytes body = {.data = (uint8_t *)(uintptr_t)frame->body, .len = frame->body_size};
    struct parcel parcel;
    if (!next_in_ledger(end, &body, &parcel))
        return true;
    if (!flow) {
        check_unwanted(end, frame, &parcel);
        return true;
    }
    deliver(node, flow, &body);
    for (size_t i = 0; i < flow->count; i++) {
        const struct router_target *t = &flow->targets[i];
        struct net_end *to = open_end(node, t);
        if (!t->interest && to && has_room(to, frame_size(to, t, body.len)))
            put_frame(to, flow, t, &body);
        else if (!t->interest)
            node->net->traffic.expired++;
    }
    return true;
}

void net_route_free(struct net_route *route)
{
    free(route->seen);
    free(route);
}

bool net_busy(const struct net *net)
{
    list_each (it, (struct list *)(uintptr_t)&net->conns) {
        const struct net_conn *conn = list_entry(it, struct net_conn, in_net);
        if (net_ledger_count(&conn->ends[0]) || net_ledger_count(&conn->ends[1]))
            return true;
    }
    for (uint32_t i = 0; i < net->count; i++) {
        list_each (it, &net->nodes[i]->routes) {
            if (list_entry(it, struct net_route, in_node)->todo)
                return true;
        }
    }
    return false;
}
