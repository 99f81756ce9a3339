/* An outbox against a list: random messages put, replaced, dropped to make room, taken and written;
 * what comes out is what the model says, and every message is written, dropped for one counted
 * reason, or still there. */
#include "../check.h"

#include "base/mem.h"
#include "base/prng.h"
#include "node/node.h"

#define FLOWS 5
#define MODEL_MAX 20000
#define SEED UINT64_C(0x0b0c5)

struct box {
    weft_node node;
    struct outbox out;
    struct flow flows[FLOWS];
    struct str *route;
    struct list flight;
};

static void box_open(struct box *b, size_t limit, bool compact)
{
    memset(b, 0, sizeof(*b));
    list_init(&b->node.spare_chunks);
    b->node.flows.ours = true;
    pthread_mutex_init(&b->node.plane, NULL);
    outbox_init(&b->out, limit);
    b->out.open = true;
    b->out.compact = compact;
    b->out.peer_max = 4u << 20;
    b->route = str_new("t.X@a", 5);
    list_init(&b->flight);
    for (uint32_t i = 0; i < FLOWS; i++) {
        b->flows[i].alias = i + 1;
        CHECK_EQ(alias_put(&b->node.flows, &b->flows[i]), 0);
    }
}

static void box_close(struct box *b)
{
    outbox_done(&b->node, &b->out, &b->flight, true);
    outbox_clear(&b->node, &b->out, false);
    struct list *it;
    while ((it = list_pop(&b->node.spare_chunks)) != NULL)
        mem_free(list_entry(it, struct seg, node));
    for (uint32_t i = 0; i < FLOWS; i++)
        mem_free(b->flows[i].dropped);
    alias_fini(&b->node.flows);
    str_unref(b->route);
    pthread_mutex_destroy(&b->node.plane);
}

static struct sending sending_of(struct box *b, uint32_t flow, const uint8_t *data, size_t size,
                                 uint64_t number)
{
    return (struct sending){
        .flow = &b->flows[flow], .data = data, .size = size, .time = number, .type = MSG_MESSAGE};
}

static uint64_t dropped_of(const struct outbox *o)
{
    uint64_t sum = 0;
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        sum += o->dropped[i];
    return sum;
}

static uint64_t flow_dropped(const struct flow *f, enum weft_drop reason)
{
    return f->dropped ? f->dropped[reason] : 0;
}

/* The bytes of a flight in a row, as they go to the wire. */
static void flatten(const struct list *flight, struct buf *to)
{
    list_each (it, (struct list *)(uintptr_t)flight) {
        const struct seg *seg = list_entry(it, struct seg, node);
        CHECK(buf_put(to, seg->data + seg->off, seg->len - seg->off));
        if (seg->msg)
            CHECK(buf_put(to, seg->msg->data, seg->msg->size));
    }
}

/* What is queued, oldest first: numbers, which the frames carry as their time. */
struct model {
    struct entry {
        uint64_t number;
        uint32_t flow;
        size_t size;
    } entries[MODEL_MAX];
    size_t head, tail, bytes; /* bytes waiting or in flight */
    uint64_t dropped[FLOWS];
};

/* Compare the frames of a flight with the front of the model. */
static void check_flight(struct box *b, struct model *m, const uint8_t *noise)
{
    struct buf wire;
    buf_init(&wire, 64u << 20);
    flatten(&b->flight, &wire);
    size_t at = 0;
    while (at < wire.len) {
        struct frame f;
        CHECK_EQ(frame_scan(wire.data + at, wire.len - at, 8u << 20, &f), 1);
        CHECK(m->head < m->tail);
        const struct entry *e = &m->entries[m->head++];
        if (b->out.compact) {
            CHECK_EQ(f.alias, e->flow + 1);
            CHECK_EQ(f.timestamp, e->number);
        } else {
            struct header h;
            CHECK_EQ(header_decode(f.header, f.header_size, &h), 0);
            CHECK_EQ(h.timestamp, e->number);
        }
        CHECK_EQ(f.body_size, e->size);
        CHECK_MEM(f.body, noise + e->number % 1000, e->size);
        at += f.size;
        m->bytes -= f.size;
    }
    buf_fini(&wire);
}

static size_t random_size(struct prng *prng)
{
    switch (prng_between(prng, 0, 19)) {
    case 0:
        return prng_between(prng, COPY_MAX - 20, COPY_MAX + 20);
    case 1:
        return prng_between(prng, 0, 100000);
    default:
        return prng_between(prng, 0, 600);
    }
}

/* DROP_OLDEST as intent.c does it. */
static void put_dropping(struct box *b, struct model *m, struct prng *prng, const uint8_t *noise)
{
    uint64_t number = m->tail;
    uint32_t flow = (uint32_t)prng_between(prng, 0, FLOWS - 1);
    size_t size = random_size(prng);
    struct sending s = sending_of(b, flow, noise + number % 1000, size, number);
    size_t need = outbox_frame_size(&b->out, b->route, size);
    CHECK(need > size);
    uint64_t before = dropped_of(&b->out);
    size_t queued = b->out.queued;
    if (!outbox_has_room(&b->out, need))
        outbox_make_room(&b->node, &b->out, need);
    for (uint64_t n = dropped_of(&b->out) - before; n > 0; n--) {
        CHECK(queued > 0 && m->head < m->tail);
        m->dropped[m->entries[m->head++].flow]++;
    }
    CHECK_EQ(outbox_put(&b->node, &b->out, &s, b->route), 0);
    m->entries[m->tail++] = (struct entry){number, flow, size};
}

static void run(uint64_t seed, bool compact)
{
    static struct box b;
    static struct model m;
    static uint8_t noise[128 << 10];
    struct prng prng;
    prng_init(&prng, seed);
    prng_fill(&prng, noise, sizeof(noise));
    memset(&m, 0, sizeof(m));
    box_open(&b, 200000, compact);
    while (m.tail < MODEL_MAX) {
        uint64_t what = prng_between(&prng, 0, 99);
        if (what < 90) {
            put_dropping(&b, &m, &prng, noise);
        } else if (list_empty(&b.flight)) {
            outbox_take(&b.node, &b.out, &b.flight, prng_between(&prng, 1, 300000));
            check_flight(&b, &m, noise);
        } else {
            outbox_done(&b.node, &b.out, &b.flight, false);
        }
        if (b.out.queued > b.out.limit + 100000 + 64)
            FAIL("seed %llu: %zu bytes queued", (unsigned long long)seed, b.out.queued);
    }
    outbox_done(&b.node, &b.out, &b.flight, false);
    while (!outbox_empty(&b.out)) {
        outbox_take(&b.node, &b.out, &b.flight, WRITE_BYTES);
        check_flight(&b, &m, noise);
        outbox_done(&b.node, &b.out, &b.flight, false);
    }
    CHECK_EQ(m.head, m.tail);
    CHECK_EQ(b.out.queued, 0);
    CHECK_EQ(b.out.messages, MODEL_MAX);
    CHECK_EQ(b.node.dropped[WEFT_DROP_OLD], b.out.dropped[WEFT_DROP_OLD]);
    CHECK(b.out.dropped[WEFT_DROP_OLD] > 0);
    for (int i = 0; i < FLOWS; i++)
        CHECK_EQ(flow_dropped(&b.flows[i], WEFT_DROP_OLD), m.dropped[i]);
    box_close(&b);
}

TEST(outbox, drop_oldest_against_a_model)
{
    for (uint64_t seed = SEED; seed < SEED + 8; seed++)
        run(seed, true);
}

TEST(outbox, drop_oldest_in_standard_frames)
{
    for (uint64_t seed = SEED; seed < SEED + 8; seed++)
        run(seed, false);
}

/* One message a flow waits at most; every other one is counted as replaced. */
TEST(outbox, keep_last)
{
    static struct box b;
    box_open(&b, 1000, true);
    for (uint64_t n = 0; n < 1000; n++) {
        struct sending s = sending_of(&b, (uint32_t)(n % FLOWS), (const uint8_t *)&n, sizeof(n), n);
        CHECK_EQ(outbox_put_last(&b.node, &b.out, &s, b.route), 0);
    }
    CHECK_EQ(b.out.dropped[WEFT_DROP_REPLACED], 1000 - FLOWS);
    CHECK_EQ(flow_dropped(&b.flows[0], WEFT_DROP_REPLACED), 1000 / FLOWS - 1);
    CHECK_EQ(b.out.messages, 0);
    outbox_take(&b.node, &b.out, &b.flight, WRITE_BYTES);
    struct buf wire;
    buf_init(&wire, 1 << 20);
    flatten(&b.flight, &wire);
    CHECK_EQ(wire.len, FLOWS * (FRAME_COMPACT_HEAD + sizeof(uint64_t)));
    for (uint64_t i = 0; i < FLOWS; i++) {
        struct frame f;
        size_t at = i * (FRAME_COMPACT_HEAD + sizeof(uint64_t));
        CHECK_EQ(frame_scan(wire.data + at, wire.len - at, 1 << 20, &f), 1);
        CHECK_EQ(f.timestamp, 1000 - FLOWS + i);
    }
    CHECK_EQ(b.out.messages, FLOWS);
    buf_fini(&wire);
    outbox_done(&b.node, &b.out, &b.flight, true); /* the link went with them */
    CHECK_EQ(b.out.dropped[WEFT_DROP_LINK], FLOWS);
    CHECK_EQ(b.out.queued, 0);
    CHECK(outbox_empty(&b.out));
    box_close(&b);
}

/* A backlog of one flow for several writes, and the newest message of another. Returns the round of
 * outbox_take in which that came out. */
static int round_of_slot(struct box *b)
{
    uint64_t newest = 999999;
    struct sending s = sending_of(b, 1, (const uint8_t *)&newest, sizeof(newest), newest);
    CHECK_EQ(outbox_put_last(&b->node, &b->out, &s, b->route), 0);
    for (int round = 0;; round++) {
        bool found = false;
        outbox_take(&b->node, &b->out, &b->flight, CHUNK_SIZE);
        CHECK(!list_empty(&b->flight));
        list_each (it, &b->flight) {
            const struct seg *seg = list_entry(it, struct seg, node);
            found |= seg->kind == SEG_MESSAGE && seg->alias == 2;
        }
        outbox_done(&b->node, &b->out, &b->flight, false);
        if (found)
            return round;
    }
}

static void backlog(struct box *b)
{
    static uint8_t big[10000];
    for (uint64_t n = 0; n < 100; n++) {
        struct sending s = sending_of(b, 0, big, sizeof(big), n);
        CHECK_EQ(outbox_put(&b->node, &b->out, &s, b->route), 0);
    }
}

/* The newest message passes a backlog of other flows, but never what may be its own INTENT. */
TEST(outbox, keep_last_passes_a_backlog)
{
    static struct box b;
    static const uint8_t intent[100];
    box_open(&b, 16u << 20, true);
    backlog(&b);
    CHECK_EQ(round_of_slot(&b), 0);
    CHECK(!outbox_empty(&b.out));
    CHECK_EQ(outbox_put_control(&b.node, &b.out, intent, sizeof(intent), LANE_ORDERED), 0);
    CHECK(round_of_slot(&b) > 5);
    box_close(&b);
}

/* A peer that makes us answer and does not read is not answered without end. */
TEST(outbox, control_is_bounded)
{
    static struct box b;
    static uint8_t pong[60000];
    box_open(&b, 1000, true);
    size_t put = 0;
    while (outbox_put_control(&b.node, &b.out, pong, sizeof(pong), LANE_CONTROL) == 0)
        put += sizeof(pong);
    CHECK(put <= CONTROL_MAX && put + sizeof(pong) > CONTROL_MAX);
    while (!list_empty(&b.out.control)) {
        outbox_take(&b.node, &b.out, &b.flight, WRITE_BYTES);
        outbox_done(&b.node, &b.out, &b.flight, false);
    }
    CHECK_EQ(b.out.control_bytes, 0);
    CHECK_EQ(outbox_put_control(&b.node, &b.out, pong, sizeof(pong), LANE_CONTROL), 0);
    box_close(&b);
}

/* Control frames overtake messages, keep their order, and are never dropped. */
TEST(outbox, control_frames)
{
    static struct box b;
    static uint8_t big[3000];
    box_open(&b, 500, true);
    struct sending s = sending_of(&b, 0, big, 400, 1);
    CHECK_EQ(outbox_put(&b.node, &b.out, &s, b.route), 0);
    for (int i = 0; i < 300; i++) {
        char text[16];
        int n = snprintf(text, sizeof(text), "c%03d", i);
        CHECK_EQ(outbox_put_control(&b.node, &b.out, text, (size_t)n, LANE_CONTROL), 0);
        text[0] = 'o';
        CHECK_EQ(outbox_put_control(&b.node, &b.out, text, (size_t)n, LANE_ORDERED), 0);
    }
    CHECK_EQ(outbox_put_control(&b.node, &b.out, big, sizeof(big), LANE_ORDERED), 0);
    outbox_make_room(&b.node, &b.out, 500);
    CHECK_EQ(b.out.dropped[WEFT_DROP_OLD], 1);
    CHECK_EQ(b.out.queued, 0);
    s = sending_of(&b, 0, big, 10, 2);
    CHECK_EQ(outbox_put(&b.node, &b.out, &s, b.route), 0);
    outbox_clear(&b.node, &b.out, true);
    CHECK_EQ(b.out.dropped[WEFT_DROP_LINK], 1);
    outbox_take(&b.node, &b.out, &b.flight, WRITE_BYTES);
    struct buf wire;
    buf_init(&wire, 1 << 20);
    flatten(&b.flight, &wire);
    CHECK_EQ(wire.len, 2 * 300 * 4 + sizeof(big));
    for (int i = 0; i < 600; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%c%03d", i < 300 ? 'c' : 'o', i % 300);
        CHECK_MEM(wire.data + 4 * i, text, 4);
    }
    CHECK_EQ(dropped_of(&b.out), 2);
    buf_fini(&wire);
    box_close(&b);
}

TEST(outbox, limits)
{
    static struct box b;
    box_open(&b, 1000, true);
    CHECK_EQ(outbox_frame_size(&b.out, b.route, (4u << 20) - FRAME_COMPACT_HEAD), 4u << 20);
    CHECK_EQ(outbox_frame_size(&b.out, b.route, (4u << 20) - FRAME_COMPACT_HEAD + 1), 0);
    CHECK(outbox_has_room(&b.out, 5000)); /* larger than the limit: when nothing else waits */
    struct sending s = sending_of(&b, 0, (const uint8_t *)"x", 1, 1);
    CHECK_EQ(outbox_put(&b.node, &b.out, &s, b.route), 0);
    CHECK(!outbox_has_room(&b.out, 5000));
    CHECK(outbox_has_room(&b.out, 1000 - b.out.queued));
    CHECK(!outbox_has_room(&b.out, 1001 - b.out.queued));
    box_close(&b);
}
