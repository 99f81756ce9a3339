/* One that swallows everything costs nobody else's detection, and a dead name costs nobody else's
 * dial: the same run, in virtual time, with and without. */
#include "lab.h"

#include <stdio.h>

#define DEAD_NS (10 * NS_PER_SEC) /* without a byte */

/* ---- Dead peers ---- */

/* Ways to be of no use. None of them ever reads; `PINGS` and `DRIPS` go on speaking, so that the
 * node holds them for alive. */
enum swallower { NOBODY, SILENT, PINGS, DRIPS, MUTE_BEFORE_DONE, SWALLOWERS };

struct scene {
    struct net *net;
    struct net_node *node;
    struct net_end *dead, *swallowers[16];
};

static void swallow(struct scene *s, enum swallower kind)
{
    for (unsigned i = 0; i < ARRAY_LEN(s->swallowers) && kind != NOBODY; i++) {
        char url[64];
        snprintf(url, sizeof(url), "tcp://10.9.3.%u:7400/s", i + 1);
        struct net_node *raw = net_raw_listen(s->net, url);
        s->swallowers[i] = net_raw_connect(s->net, raw, s->node, false);
        if (kind != MUTE_BEFORE_DONE)
            CHECK(lab_shake(s->swallowers[i], NULL));
        if (kind == DRIPS) { /* the head of a frame that never ends */
            uint8_t head[64];
            frame_put_standard(head, &(struct header){.type = MSG_PING}, 1 << 20);
            net_raw_write(s->swallowers[i], head, 12);
        }
    }
}

/* What the swallowers go on doing. */
static void keep_busy(struct scene *s, enum swallower kind)
{
    uint8_t payload[16] = {1};
    struct control ping = {.type = MSG_PING, .ping = {.payload = payload, .payload_len = 16}};
    for (unsigned i = 0; i < ARRAY_LEN(s->swallowers); i++) {
        if (kind == PINGS)
            lab_send(s->swallowers[i], &ping);
        else if (kind == DRIPS)
            net_raw_write(s->swallowers[i], "\0", 1);
    }
}

/* When is a peer found dead that falls silent after 3 s? Since when it last said something. */
static uint64_t detection(uint64_t seed, enum swallower kind)
{
    /* No chance in the network: what differs comes from the swallowers. */
    struct net_options options = {
        .seed = seed, .delay_min_ns = NS_PER_MS, .delay_max_ns = NS_PER_MS + 1};
    struct scene s = {.net = net_new(&options)};
    s.node = lab_node(s.net);
    struct net_node *raw = net_raw_listen(s.net, "tcp://10.9.9.9:7400/dead");
    if (kind)
        swallow(&s, kind);
    s.dead = lab_join(s.net, raw, s.node, NULL);
    net_run(s.net, 3 * NS_PER_SEC);
    lab_alive(s.dead);
    uint64_t last = net_now(s.net);
    while (lab_link(s.dead)) {
        if (net_now(s.net) - last > 2 * DEAD_NS)
            FAIL("not found dead beside swallowers of kind %d", (int)kind);
        if ((net_now(s.net) / NS_PER_MS) % 500 == 0)
            keep_busy(&s, kind);
        net_run(s.net, NS_PER_MS);
    }
    uint64_t took = net_now(s.net) - last;
    net_free(s.net);
    return took;
}

TEST(adversarial, a_peer_that_swallows_everything_delays_no_detection)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t alone = detection(seed, NOBODY);
        CHECK(alone >= DEAD_NS - 2 * NS_PER_MS && alone <= DEAD_NS + 10 * NS_PER_MS);
        for (int kind = NOBODY + 1; kind < SWALLOWERS; kind++) {
            uint64_t beside = detection(seed, (enum swallower)kind);
            if (seed == 1)
                fprintf(stderr, "beside swallowers of kind %d: %.3f s, alone %.3f s\n", kind,
                        (double)beside / 1e9, (double)alone / 1e9);
            uint64_t apart = beside > alone ? beside - alone : alone - beside;
            CHECK(apart <= 2 * NS_PER_MS); /* the step of this test */
        }
    }
}

/* ---- Dead names ---- */

enum first { NONE, REFUSES, BLACKHOLE, ACCEPTS_AND_IS_MUTE, FIRSTS };

static void configure_dead(struct net *net, struct net_node *node, enum first first, unsigned index)
{
    char url[64];
    snprintf(url, sizeof(url), "tcp://10.8.%d.%u:7400/dead", (int)first, index + 1);
    if (first == BLACKHOLE)
        net_raw_listen(net, url)->group = 1;
    else if (first == ACCEPTS_AND_IS_MUTE)
        net_raw_listen(net, url);
    CHECK_EQ(net_configure(node, url), 0);
}

/* How long until all five live entries of a list are linked, the first of it being dead (in each
 * way, as often as `dead` says). */
static uint64_t list_linked(uint64_t seed, enum first first, unsigned dead)
{
    struct net_options options = {
        .seed = seed, .delay_min_ns = NS_PER_MS, .delay_max_ns = NS_PER_MS + 1};
    struct net *net = net_new(&options);
    struct net_node *live[5];
    for (unsigned i = 0; i < ARRAY_LEN(live); i++)
        live[i] = lab_node(net);
    struct net_node *node = lab_node(net);
    uint64_t start = net_now(net);
    for (unsigned i = 0; i < dead; i++)
        configure_dead(net, node, first, i);
    for (unsigned i = 0; i < ARRAY_LEN(live); i++)
        CHECK_EQ(net_configure(node, live[i]->url), 0);
    while (mesh_up_count(node->mesh) < ARRAY_LEN(live)) {
        if (net_now(net) - start > 10 * NS_PER_SEC)
            FAIL("not all linked behind a first entry of kind %d", (int)first);
        net_run(net, NS_PER_MS);
    }
    uint64_t took = net_now(net) - start;
    net_free(net);
    return took;
}

TEST(adversarial, a_dead_first_entry_delays_none_of_the_rest)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t alone = list_linked(seed, NONE, 0);
        CHECK(alone <= 50 * NS_PER_MS);
        for (int first = REFUSES; first < FIRSTS; first++) {
            uint64_t behind = list_linked(seed, (enum first)first, 1);
            if (seed == 1)
                fprintf(stderr, "behind a dead first of kind %d: %.3f s, alone %.3f s\n", first,
                        (double)behind / 1e9, (double)alone / 1e9);
            CHECK(behind <= alone + 2 * NS_PER_MS);
        }
    }
}

/* As many as are dialled at a time: the rest waits until the first of them is given up, once. */
TEST(adversarial, a_list_that_begins_with_eight_dead_entries)
{
    uint64_t limits[] = {[REFUSES] = 3 * NS_PER_SEC + 100 * NS_PER_MS,
                         [BLACKHOLE] = 3 * NS_PER_SEC + 100 * NS_PER_MS,
                         [ACCEPTS_AND_IS_MUTE] = 5 * NS_PER_SEC + 100 * NS_PER_MS};
    for (int first = REFUSES; first < FIRSTS; first++) {
        uint64_t behind = list_linked(1, (enum first)first, ADDRBOOK_DIALS_MAX);
        fprintf(stderr, "behind eight of kind %d: %.3f s\n", first, (double)behind / 1e9);
        CHECK(behind <= limits[first]);
    }
}
