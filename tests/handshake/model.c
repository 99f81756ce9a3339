#include "model.h"

#include <string.h>

#include <weft/weft.h>

#include "tests/check.h"

static const char *const names[2] = {"inproc://a/a", "inproc://b/b"};
static struct handshake_self selves[2][MODEL_LIVES];

void model_init(struct model *m, int larger, struct prng *prng)
{
    memset(m, 0, sizeof(*m));
    m->prng = prng;
    for (int n = 0; n < 2; n++) {
        m->nodes[n] = (struct model_node){.link = -1, .dial_at = NEVER};
        for (int life = 0; life < MODEL_LIVES; life++) {
            selves[n][life] = (struct handshake_self){
                .me = names[n],
                .path = "",
                .node_id = {n == larger ? 0x80 : 0x7f},
                .incarnation = (uint64_t)(10 * n + life + 1),
                .network = "",
                .agent = "",
            };
        }
    }
}

static void push(struct model *m, struct conn *c, int to, struct parcel parcel)
{
    struct end *end = &c->end[to];
    CHECK(end->queued < MODEL_QUEUE);
    parcel.at = m->now;
    if (m->prng && m->max_latency) /* most are quick, some slow */
        parcel.at += prng_between(m->prng, 0, 3) ? prng_between(m->prng, 0, NS_PER_MS)
                                                 : prng_between(m->prng, 0, m->max_latency);
    if (end->queued)
        parcel.at = max_u64(parcel.at, end->queue[end->queued - 1].at);
    parcel.life = m->nodes[!to].life;
    parcel.stamp = c->end[!to].h.stamp;
    end->queue[end->queued++] = parcel;
}

static struct parcel shift(struct end *end)
{
    struct parcel parcel = end->queue[0];
    memmove(end->queue, end->queue + 1, --end->queued * sizeof(parcel));
    return parcel;
}

static bool slot_is_free(const struct conn *c)
{
    return !c->end[0].open && !c->end[1].open && !c->end[0].queued && !c->end[1].queued;
}

int model_connect(struct model *m, int node)
{
    int i = 0;
    while (i < MODEL_CONNS && !slot_is_free(&m->conns[i]))
        i++;
    CHECK(i < MODEL_CONNS);
    struct conn *c = &m->conns[i];
    struct model_node *n = &m->nodes[node];
    struct url url;
    CHECK_EQ(url_parse(names[!node], strlen(names[!node]), &url, NULL), 0);
    memset(c, 0, sizeof(*c));
    c->initiator = node;
    c->end[0].open = c->end[1].open = true;
    c->end[0].done_since = c->end[1].done_since = NEVER;
    n->dial_at = NEVER;
    n->dials++;
    const struct handshake_self *self = &selves[node][n->life];
    CHECK(handshake_start(&c->end[node].h, self, &url, NULL, ++n->last_stamp, m->now) > 0);
    self = &selves[!node][m->nodes[!node].life];
    CHECK_EQ(handshake_start(&c->end[!node].h, self, NULL, NULL, 0, m->now), 0);
    push(m, c, !node, (struct parcel){.kind = PARCEL_HANDSHAKE, .stage = STAGE_INITIAL});
    return i;
}

/* A node that has neither a link nor a dial of its own under way dials again after a while. */
static void redial(struct model *m, int node)
{
    struct model_node *n = &m->nodes[node];
    if (!m->max_redial || n->link >= 0 || n->dial_at != NEVER)
        return;
    for (int i = 0; i < MODEL_CONNS; i++) {
        if (m->conns[i].initiator == node && m->conns[i].end[node].open)
            return;
    }
    n->dial_at = m->now + prng_between(m->prng, NS_PER_MS, m->max_redial);
}

static void shut(struct model *m, int conn, int node)
{
    struct end *end = &m->conns[conn].end[node];
    end->open = false;
    end->queued = 0;
    handshake_fail(&end->h, WEFT_ECLOSED, NULL);
    if (m->nodes[node].link == conn)
        m->nodes[node].link = -1;
    redial(m, node);
}

static void close_end(struct model *m, int conn, int node)
{
    push(m, &m->conns[conn], !node, (struct parcel){.kind = PARCEL_CLOSE});
    shut(m, conn, node);
}

static struct link_claim claim(const struct model *m, int conn, int node)
{
    const struct end *end = &m->conns[conn].end[node];
    return (struct link_claim){.initiated = m->conns[conn].initiator == node,
                               .incarnation = end->h.incarnation,
                               .stamp = end->h.stamp,
                               .done_since = end->done_since};
}

/* The owner's part when a machine says IDENTIFIED. False: the fresh one lost. */
static bool arbitrate(struct model *m, int conn, int node)
{
    struct model_node *n = &m->nodes[node];
    int old = n->link;
    if (old >= 0 && old != conn) {
        struct link_claim was = claim(m, old, node), is = claim(m, conn, node);
        const struct handshake *h = &m->conns[conn].end[node].h;
        if (handshake_arbitrate(h->self->node_id, h->node_id, &was, &is, m->now) == KEEP_OLD) {
            close_end(m, conn, node);
            return false;
        }
        n->link = conn;
        close_end(m, old, node);
    }
    n->link = conn;
    return true;
}

static void act(struct model *m, int conn, int node, int todo)
{
    struct conn *c = &m->conns[conn];
    CHECK(todo >= 0);
    if (todo & HANDSHAKE_IDENTIFIED && !arbitrate(m, conn, node))
        return;
    if (todo & HANDSHAKE_SEND_INITIAL)
        push(m, c, !node, (struct parcel){.kind = PARCEL_HANDSHAKE, .stage = STAGE_INITIAL});
    if (todo & HANDSHAKE_SEND_FINAL)
        push(m, c, !node, (struct parcel){.kind = PARCEL_HANDSHAKE, .stage = STAGE_FINAL});
    if (todo & HANDSHAKE_SEND_PEERS)
        push(m, c, !node, (struct parcel){.kind = PARCEL_PEERS});
    if (todo & HANDSHAKE_NOW_DONE)
        c->end[node].done_since = m->now;
}

void model_deliver(struct model *m, int conn, int node)
{
    struct conn *c = &m->conns[conn];
    struct parcel parcel = shift(&c->end[node]);
    struct handshake *h = &c->end[node].h;
    if (!c->end[node].open)
        return;
    if (parcel.kind == PARCEL_CLOSE) {
        shut(m, conn, node);
        return;
    }
    if (parcel.kind == PARCEL_PEERS) {
        act(m, conn, node, handshake_on_peers(h));
        return;
    }
    struct handshake sender = {.self = &selves[!node][parcel.life]};
    struct handshake_msg msg;
    handshake_fill(&sender, parcel.stage, &msg);
    msg.me = names[!node];
    msg.you = names[node];
    act(m, conn, node, handshake_on_handshake(h, &msg, parcel.stamp));
}

void model_restart(struct model *m, int node)
{
    m->nodes[node].life++;
    CHECK(m->nodes[node].life < MODEL_LIVES);
    m->nodes[node].dial_at = NEVER;
    for (int i = 0; i < MODEL_CONNS; i++) {
        if (m->conns[i].end[node].open) {
            m->nodes[node].life--; /* the kernel closes for the one that died */
            close_end(m, i, node);
            m->nodes[node].life++;
        }
    }
    redial(m, node);
}

void model_lose(struct model *m, int conn, int node)
{
    m->conns[conn].end[!node].queued = 0;
    shut(m, conn, node);
}

void model_notice(struct model *m, int conn, int node)
{
    if (m->conns[conn].end[node].open && !m->conns[conn].end[!node].open)
        shut(m, conn, node);
}

/* The next thing to happen. */
struct next {
    uint64_t at;
    int conn, node;
    enum { NEXT_DIAL, NEXT_PARCEL, NEXT_DEADLINE } what;
};

static void consider(struct next *next, struct next other)
{
    if (other.at < next->at)
        *next = other;
}

static struct next find_next(const struct model *m)
{
    struct next next = {.at = NEVER};
    for (int n = 0; n < 2; n++) {
        consider(&next, (struct next){m->nodes[n].dial_at, -1, n, NEXT_DIAL});
        for (int i = 0; i < MODEL_CONNS; i++) {
            const struct end *end = &m->conns[i].end[n];
            if (end->queued)
                consider(&next, (struct next){end->queue[0].at, i, n, NEXT_PARCEL});
            if (end->open)
                consider(&next, (struct next){end->h.deadline, i, n, NEXT_DEADLINE});
        }
    }
    return next;
}

void model_run(struct model *m, uint64_t until)
{
    for (struct next next = find_next(m); next.at <= until; next = find_next(m)) {
        m->now = max_u64(m->now, next.at);
        if (next.what == NEXT_DIAL)
            model_connect(m, next.node);
        else if (next.what == NEXT_PARCEL)
            model_deliver(m, next.conn, next.node);
        else if (handshake_expired(&m->conns[next.conn].end[next.node].h, m->now))
            close_end(m, next.conn, next.node);
    }
    m->now = until;
}

bool model_is_linked(const struct model *m)
{
    int link = m->nodes[0].link;
    if (link < 0 || m->nodes[1].link != link)
        return false;
    for (int i = 0; i < MODEL_CONNS; i++) {
        for (int n = 0; n < 2; n++) {
            const struct end *end = &m->conns[i].end[n];
            if (end->queued || end->open != (i == link))
                return false;
            if (i == link && end->h.state != HANDSHAKE_DONE)
                return false;
        }
    }
    return true;
}
