/* The trail against a list of all messages ever written: of any number of unacknowledged bytes it
 * must say which messages they held, exactly while it has a run for each, and never too few. */
#include "../check.h"

#include "base/mem.h"
#include "base/prng.h"
#include "node/node.h"

#define FLOWS 4
#define WRITTEN_MAX 60000
#define CONTROL 0

struct written {
    uint32_t alias; /* CONTROL: no message */
    uint64_t end;
};

struct log {
    struct stream stream; /* first: the trail asks it */
    struct prng prng;
    struct trail trail;
    struct written *written;
    size_t count;
    uint64_t total, acked;
};

static size_t log_unacked(struct stream *s)
{
    struct log *l = (struct log *)s;
    return (size_t)(l->total - l->acked);
}

static const struct stream_ops log_ops = {.unacked = log_unacked};

static void log_open(struct log *l, uint64_t seed)
{
    *l = (struct log){.stream.ops = &log_ops};
    prng_init(&l->prng, seed);
    l->written = mem_alloc(WRITTEN_MAX * sizeof(*l->written));
    CHECK(l->written != NULL);
}

static void log_close(struct log *l)
{
    trail_fini(&l->trail);
    mem_free(l->written);
}

static void note(struct log *l, uint32_t alias, size_t size)
{
    CHECK(l->count < WRITTEN_MAX);
    l->total += size;
    l->written[l->count++] = (struct written){.alias = alias, .end = l->total};
}

static void write_chunk(struct log *l, uint32_t messages, bool mixed)
{
    struct seg *seg = mem_zalloc(sizeof(*seg) + CHUNK_SIZE);
    CHECK(seg != NULL);
    seg->kind = SEG_CHUNK;
    uint32_t alias = 1 + (uint32_t)prng_between(&l->prng, 0, FLOWS - 1);
    size_t size = prng_between(&l->prng, 0, 40);
    for (uint32_t i = 0; i < messages; i++) {
        if (mixed && prng_between(&l->prng, 0, 3) == 0) {
            alias = 1 + (uint32_t)prng_between(&l->prng, 0, FLOWS - 1);
            size = prng_between(&l->prng, 0, 40);
        }
        frame_put_compact(seg->data + seg->len, alias, 1, size);
        seg->len += FRAME_COMPACT_HEAD + size;
        note(l, alias, FRAME_COMPACT_HEAD + size);
    }
    CHECK_EQ(trail_add_seg(&l->trail, &l->stream, seg, seg->len), seg->len);
    mem_free(seg);
}

static void write_some(struct log *l, bool mixed)
{
    size_t size;
    uint32_t alias;
    switch (prng_between(&l->prng, 0, 4)) {
    case 0:
        size = prng_between(&l->prng, 20, 300);
        note(l, CONTROL, size);
        trail_add(&l->trail, &l->stream, 0, 0, size);
        break;
    case 1:
        size = prng_between(&l->prng, 20, 100000);
        alias = 1 + (uint32_t)prng_between(&l->prng, 0, FLOWS - 1);
        note(l, alias, size);
        trail_add(&l->trail, &l->stream, alias, 1, size);
        break;
    default:
        write_chunk(l, (uint32_t)prng_between(&l->prng, 1, 200), mixed);
    }
}

/* How many messages of each flow were not acknowledged whole. Index 0: in all. */
static void expected(const struct log *l, uint64_t acked, uint64_t lost[FLOWS + 1])
{
    memset(lost, 0, (FLOWS + 1) * sizeof(*lost));
    for (size_t i = l->count; i > 0 && l->written[i - 1].end > acked; i--) {
        uint32_t alias = l->written[i - 1].alias;
        lost[0] += alias != CONTROL;
        if (alias != CONTROL)
            lost[alias]++;
    }
}

static void told(const struct log *l, uint64_t acked, uint64_t lost[FLOWS + 1])
{
    weft_node *node = mem_zalloc(sizeof(*node));
    struct flow flows[FLOWS] = {0};
    struct outbox out = {0};
    CHECK(node != NULL);
    node->flows.ours = true;
    for (uint32_t i = 0; i < FLOWS; i++) {
        flows[i].alias = i + 1;
        CHECK_EQ(alias_put(&node->flows, &flows[i]), 0);
    }
    outbox_count_trail(node, &out, &l->trail, (size_t)(l->total - acked));
    CHECK_EQ(node->dropped[WEFT_DROP_LINK], out.dropped[WEFT_DROP_LINK]);
    lost[0] = out.dropped[WEFT_DROP_LINK];
    for (uint32_t i = 0; i < FLOWS; i++) {
        lost[i + 1] = flows[i].dropped ? flows[i].dropped[WEFT_DROP_LINK] : 0;
        mem_free(flows[i].dropped);
    }
    alias_fini(&node->flows);
    mem_free(node);
}

static void compare(const struct log *l, bool exact)
{
    uint64_t want[FLOWS + 1], got[FLOWS + 1];
    expected(l, l->acked, want);
    told(l, l->acked, got);
    CHECK(got[0] >= want[0]);
    for (int i = 0; exact && i <= FLOWS; i++)
        CHECK_EQ(got[i], want[i]);
}

static void run(uint64_t seed, unsigned steps, uint64_t window, bool mixed, bool exact)
{
    struct log l;
    log_open(&l, seed);
    for (unsigned i = 0; i < steps; i++) {
        write_some(&l, mixed);
        uint64_t oldest = l.total > window ? l.total - window : 0;
        if (oldest > l.acked)
            l.acked = oldest;
        l.acked = prng_between(&l.prng, l.acked, l.total);
        compare(&l, exact);
    }
    log_close(&l);
}

/* Little under way: a run for each stretch of one flow and size, every message known. */
TEST(trail, few_are_exact)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        run(seed, 200, 2000, seed % 2, true);
}

/* More stretches than runs: neighbours are joined. */
TEST(trail, many_are_never_too_few)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        run(seed, 200, UINT64_MAX, true, false);
}

TEST(trail, a_lone_flow_is_one_run)
{
    struct log l;
    log_open(&l, 1);
    for (int i = 0; i < 10000; i++) {
        note(&l, 1, 36);
        trail_add(&l.trail, &l.stream, 1, 1, 36);
    }
    CHECK_EQ(l.trail.count, 1);
    compare(&l, true);
    log_close(&l);
}

static void *no_memory(size_t size)
{
    return NULL;
}

static void *no_more(void *p, size_t size)
{
    return NULL;
}

TEST(trail, without_memory_it_counts_all)
{
    struct log l;
    log_open(&l, 1);
    struct written *written = l.written;
    CHECK_EQ(weft_set_allocator(no_memory, no_more, free), 0);
    for (int i = 0; i < 100; i++) {
        size_t size = 20 + (size_t)i;
        note(&l, 1, size);
        trail_add(&l.trail, &l.stream, 1, 1, size);
    }
    CHECK_EQ(weft_set_allocator(NULL, NULL, NULL), 0);
    CHECK(l.trail.runs == NULL && l.written == written);
    l.acked = l.total - 200;
    compare(&l, false);
    log_close(&l);
}

/* ---- A connection's ---- */

static int log_write(struct stream *s, const uv_buf_t *bufs, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ((struct log *)s)->total += bufs[i].len;
    return 1; /* all of it */
}

static size_t log_unsent(struct stream *s)
{
    return 0;
}

static const struct stream_ops conn_ops = {
    .write = log_write, .unsent = log_unsent, .unacked = log_unacked};

/* What a base peer has not acknowledged may be a PING alone, as with each that falls silent: the
 * messages before it came there. */
TEST(trail, of_a_base_peer_knows_its_control_frames)
{
    static weft_node node;
    struct log l;
    uint8_t ping[64] = {0};
    log_open(&l, 1);
    store_u32(ping + 4, sizeof(ping) - 8);
    l.stream.ops = &conn_ops;
    pthread_mutex_init(&node.plane, NULL);
    node.flows.ours = true;
    struct conn c = {
        .node = &node, .stream = &l.stream, .connected = true, .base = true, .rx_max = 4096};
    list_init(&c.flight);
    buf_init(&c.base_frame, 4096);
    outbox_init(&c.out, 4096);
    c.out.open = true;
    struct flow flow = {.alias = 1};
    struct str *route = str_new("t.X@a", 5);
    struct sending s = {.flow = &flow, .data = "text", .size = 4, .time = 1, .type = MSG_MESSAGE};
    CHECK_EQ(outbox_put(&node, &c.out, &s, route), 0);
    conn_flush(&c);
    size_t message = l.total;
    CHECK(message > 0 && outbox_empty(&c.out));
    CHECK_EQ(outbox_put_control(&node, &c.out, ping, sizeof(ping), LANE_CONTROL), 0);
    CHECK_EQ(outbox_put_control(&node, &c.out, ping, sizeof(ping), LANE_CONTROL), 0);
    conn_flush(&c);
    CHECK_EQ(l.total, message + 2 * sizeof(ping));
    outbox_count_trail(&node, &c.out, &c.trail, 2 * sizeof(ping));
    CHECK_EQ(c.out.dropped[WEFT_DROP_LINK], 0u);
    outbox_count_trail(&node, &c.out, &c.trail, 2 * sizeof(ping) + 1);
    CHECK_EQ(c.out.dropped[WEFT_DROP_LINK], 1u);
    mem_free(flow.dropped);
    trail_fini(&c.trail);
    buf_fini(&c.base_frame);
    str_unref(route);
    pthread_mutex_destroy(&node.plane);
    log_close(&l);
}
