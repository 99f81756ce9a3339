/* The course of a handshake: every pairing of roles, names as each side observes them, time, and
 * what is out of turn. */
#include "tests/check.h"

#include <weft/weft.h>

#include "pair.h"

TEST(handshake, two_peers_agree)
{
    struct pair p;
    pair_init(&p, "tcp://10.0.0.7:7400/arm", "tcp://10.0.0.2:7400/base");
    p.a.features = FEATURE_COMPACT | FEATURE_ACK;
    p.b.max_frame = 1u << 20;
    CHECK_EQ(pair_run(&p, "tcp://10.0.0.2:7400/base"), 0);
    CHECK_STR(p.ha.peer.text, "tcp://10.0.0.2:7400/base");
    CHECK_STR(p.hb.peer.text, "tcp://10.0.0.7:7400/arm");
    CHECK(p.ha.features == FEATURE_COMPACT && p.hb.features == FEATURE_COMPACT);
    CHECK(p.ha.max_frame == 1u << 20 && p.hb.max_frame == 1u << 20);
    CHECK(p.ha.node_id[0] == 2 && p.hb.node_id[0] == 1);
    CHECK(p.ha.has_node_id && !p.ha.base && !p.hb.base);
    CHECK(p.ha.incarnation == 102 && p.hb.incarnation == 101);
    CHECK(p.ha.stamp == 77 && p.hb.stamp == 77);
    CHECK_STR(p.hb.agent, "test/1");
}

TEST(handshake, max_frame_has_floor_default_and_ceiling)
{
    static const struct {
        uint32_t a, b, agreed;
    } cases[] = {
        {0, 0, FRAME_MAX_DEFAULT},       {1000, 0, FRAME_MAX_HANDSHAKE},
        {0, 1, FRAME_MAX_HANDSHAKE},     {8u << 20, 0, 4u << 20},
        {8u << 20, 16u << 20, 8u << 20}, {UINT32_MAX, UINT32_MAX, FRAME_MAX_LIMIT},
        {65537, UINT32_MAX, 65537},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair p;
        pair_init(&p, "inproc://a/a", "inproc://b/b");
        p.a.max_frame = cases[i].a;
        p.b.max_frame = cases[i].b;
        CHECK_EQ(pair_run(&p, "inproc://b/b"), 0);
        CHECK_EQ(p.ha.max_frame, cases[i].agreed);
        CHECK_EQ(p.hb.max_frame, cases[i].agreed);
    }
}

/* me of both sides, where each is seen, what is dialled, and the names both must end up with. */
static const struct {
    const char *a, *a_from, *b, *b_from, *dialled, *a_name, *b_name;
} observed[] = {
    {"tcp://0.0.0.0:7400/arm", "10.0.0.7", "tcp://0.0.0.0:7401/base", "10.0.0.2",
     "tcp://robot.lan:7401/base", "tcp://10.0.0.7:7400/arm", "tcp://robot.lan:7401/base"},
    {"tcp://[::]:7400/arm", "fe80::7%eth0", "tcp://[::]:7401/base", "fe80::2",
     "tcp://[fe80::2%eth1]:7401/base", "tcp://[fe80::7%eth0]:7400/arm",
     "tcp://[fe80::2%eth1]:7401/base"},
    {"tcp://[::]:7400/arm", "10.0.0.7", "tcp://0.0.0.0:7401/base", "10.0.0.2",
     "tcp://10.0.0.2:9999/other", "tcp://10.0.0.7:7400/arm", "tcp://10.0.0.2:7401/base"},
    {"tcp://10.1.1.1:7400/arm", "192.168.0.1", "tcp://base.lan:7401/base", "10.0.0.2",
     "tcp://10.0.0.2:7401/base", "tcp://10.1.1.1:7400/arm", "tcp://base.lan:7401/base"},
    {"tcp://0.0.0.0:0/arm", "10.0.0.7", "tcp://0.0.0.0:7401/base", "10.0.0.2",
     "tcp://10.0.0.2:7401/base", "tcp://0.0.0.0:0/arm", "tcp://10.0.0.2:7401/base"},
    {"tcp://0.0.0.0:7400/arm", NULL, "tcp://0.0.0.0:7401/base", NULL, "unix:///run/w.sock/base",
     "tcp://0.0.0.0:7400/arm", "tcp://0.0.0.0:7401/base"},
    {"tcp://0.0.0.0:7400/arm", "127.0.0.1", "tcp://0.0.0.0:7401/base", "127.0.0.1",
     "tcp://0.0.0.0:7401/base", "tcp://127.0.0.1:7400/arm", "tcp://127.0.0.1:7401/base"},
    {"inproc://a/arm", NULL, "inproc://b/base", NULL, "inproc://b/base", "inproc://a/arm",
     "inproc://b/base"},
    {"unix:///run/a.sock/arm", "", "unix:///run/b.sock/base", "", "unix:///run/b.sock/base",
     "unix:///run/a.sock/arm", "unix:///run/b.sock/base"},
};

TEST(handshake, names_are_as_observed)
{
    for (size_t i = 0; i < ARRAY_LEN(observed); i++) {
        struct pair p;
        pair_init(&p, observed[i].a, observed[i].b);
        p.a_seen_from = observed[i].a_from;
        p.b_seen_from = observed[i].b_from;
        CHECK_EQ(pair_run(&p, observed[i].dialled), 0);
        CHECK_STR(p.ha.me.text, observed[i].a_name);
        CHECK_STR(p.ha.peer.text, observed[i].b_name);
    }
}

/* Both keep their configured names; what the other side sees still serves to reach them. */
TEST(handshake, advertised_wins_over_observed)
{
    for (int who = 1; who < 4; who++) {
        struct pair p;
        pair_init(&p, "tcp://0.0.0.0:7400/arm", "tcp://0.0.0.0:7401/base");
        p.a_seen_from = "10.0.0.7";
        p.a.advertised = who & 1;
        p.b.advertised = who & 2;
        CHECK_EQ(pair_run(&p, "tcp://10.0.0.2:7401/base"), 0);
        CHECK_STR(p.ha.me.text, who & 1 ? p.a.me : "tcp://10.0.0.7:7400/arm");
        CHECK_STR(p.hb.me.text, who & 2 ? p.b.me : "tcp://10.0.0.2:7401/base");
        CHECK_STR(p.ha.peer.text, "tcp://10.0.0.2:7401/base");
        CHECK_STR(p.hb.peer.text, "tcp://10.0.0.7:7400/arm");
    }
}

/* A node that learns from one peer how it is reached, while it shakes hands with another. */
TEST(handshake, own_name_changes_meanwhile)
{
    for (int step = 0; step < 4; step++) {
        struct pair p;
        pair_init(&p, "tcp://0.0.0.0:7400/arm", "tcp://0.0.0.0:7401/base");
        p.a_seen_from = "10.0.0.7";
        pair_start(&p, "tcp://10.0.0.2:7401/base");
        for (int i = 0; i < 4; i++) {
            enum stage stage = i < 2 ? STAGE_INITIAL : STAGE_FINAL;
            if (i == step) {
                p.a.me = "tcp://192.168.9.7:7400/arm";
                p.b.me = "tcp://192.168.9.2:7401/base";
            }
            CHECK(i & 1 ? pair_b_to_a(&p, stage) >= 0 : pair_a_to_b(&p, stage) > 0);
        }
        CHECK_STR(p.ha.me.text, "tcp://10.0.0.7:7400/arm");
        CHECK_STR(p.hb.me.text, "tcp://10.0.0.2:7401/base");
    }
}

TEST(handshake, client_keeps_its_name_without_address)
{
    struct pair p;
    pair_init(&p, "tcp://0.0.0.0:0/tool", "tcp://0.0.0.0:7401/base");
    p.a_seen_from = "10.0.0.7";
    p.a.role = ROLE_CLIENT;
    CHECK_EQ(pair_run(&p, "tcp://10.0.0.2:7401"), 0);
    CHECK_STR(p.hb.peer.text, "tcp://0.0.0.0:0/tool");
    CHECK_EQ(p.hb.role, ROLE_CLIENT);
    CHECK_EQ(p.ha.role, ROLE_PEER);
}

TEST(handshake, leaf_is_below_its_router)
{
    static const struct {
        const char *me, *router, *path;
    } cases[] = {
        {"unix://0.0.0.0:0/", "robot", "robot"},
        {"unix://0.0.0.0:0/robot.arm", "robot", "robot.arm"},
        {"unix://0.0.0.0:0/robot", "robot", "robot"},
        {"unix://0.0.0.0:0/any", "", "any"},
        {"unix://0.0.0.0:0/", "", ""},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct pair p;
        pair_init(&p, cases[i / 2].me, "tcp://10.0.0.2:7400/robot");
        p.a.role = ROLE_LEAF;
        p.b.path = cases[i / 2].router;
        p.a.advertised = i & 1;
        CHECK_EQ(pair_run(&p, "unix:///run/weft.sock/robot"), 0);
        CHECK_STR(p.hb.peer.path, cases[i / 2].path);
        CHECK_EQ(p.hb.role, ROLE_LEAF);
    }
}

TEST(handshake, silence_ends_it_in_every_state)
{
    static const char *const said[] = {
        "no handshake within 5 s: the responder did not send the first HANDSHAKE",
        "no handshake within 5 s: the initiator did not send HANDSHAKE FINAL",
        "no handshake within 5 s: the responder did not send HANDSHAKE FINAL",
        "no handshake within 5 s: the responder did not send PEERS",
    };
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        struct pair p;
        pair_init(&p, "tcp://10.0.0.7:7400/arm", "tcp://10.0.0.2:7400/base");
        pair_start(&p, "tcp://10.0.0.2:7400/base");
        if (i > 0)
            CHECK(pair_a_to_b(&p, STAGE_INITIAL) > 0);
        if (i > 1)
            CHECK(pair_b_to_a(&p, STAGE_INITIAL) > 0);
        if (i > 2) {
            CHECK(pair_a_to_b(&p, STAGE_FINAL) > 0);
            CHECK_EQ(pair_b_to_a(&p, STAGE_FINAL), 0);
        }
        struct handshake *h = i == 1 ? &p.hb : &p.ha;
        CHECK(!handshake_expired(h, HANDSHAKE_TIMEOUT_NS - 1));
        CHECK(handshake_expired(h, HANDSHAKE_TIMEOUT_NS));
        CHECK_EQ(h->state, HANDSHAKE_FAILED);
        CHECK_EQ(h->error, WEFT_EHANDSHAKE);
        CHECK_STR(h->text, said[i]);
        CHECK(!handshake_expired(h, NEVER));
        CHECK_EQ(handshake_on_peers(h), WEFT_EHANDSHAKE);
        CHECK_EQ(handshake_on_handshake(h, &p.last.msg, 1), WEFT_EHANDSHAKE);
    }
}

TEST(handshake, done_does_not_expire)
{
    struct pair p;
    pair_init(&p, "tcp://10.0.0.7:7400/arm", "tcp://10.0.0.2:7400/base");
    CHECK_EQ(pair_run(&p, "tcp://10.0.0.2:7400/base"), 0);
    CHECK(!handshake_expired(&p.ha, NEVER) && !handshake_expired(&p.hb, NEVER));
}

TEST(handshake, after_done_only_update_passes)
{
    struct pair p;
    pair_init(&p, "tcp://10.0.0.7:7400/arm", "tcp://10.0.0.2:7400/base");
    CHECK_EQ(pair_run(&p, "tcp://10.0.0.2:7400/base"), 0);
    CHECK_EQ(pair_a_to_b(&p, STAGE_UPDATE), 0);
    CHECK_EQ(pair_b_to_a(&p, STAGE_UPDATE), 0);
    CHECK_EQ(handshake_on_peers(&p.hb), 0);
    CHECK_EQ(pair_a_to_b(&p, STAGE_FINAL), WEFT_EPROTO);
    CHECK_EQ(pair_b_to_a(&p, STAGE_INITIAL), WEFT_EPROTO);
    CHECK_STR(p.hb.text, "HANDSHAKE FINAL does not fit the state 'done' of the responder");
    CHECK_STR(p.ha.text, "HANDSHAKE INITIAL does not fit the state 'done' of the initiator");
}

TEST(handshake, out_of_turn_is_refused)
{
    static const struct {
        int sent; /* HANDSHAKEs exchanged before */
        bool to_a;
        enum stage stage;
    } cases[] = {
        {0, false, STAGE_FINAL},  {0, false, STAGE_UPDATE},  {0, false, STAGE_NONE},
        {1, true, STAGE_FINAL},   {1, true, STAGE_UPDATE},   {1, false, STAGE_INITIAL},
        {2, true, STAGE_INITIAL}, {2, false, STAGE_INITIAL}, {2, false, STAGE_UPDATE},
        {2, true, STAGE_NONE},    {4, true, STAGE_FINAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair p;
        pair_init(&p, "tcp://10.0.0.7:7400/arm", "tcp://10.0.0.2:7400/base");
        pair_start(&p, "tcp://10.0.0.2:7400/base");
        if (cases[i].sent > 0)
            CHECK(pair_a_to_b(&p, STAGE_INITIAL) > 0);
        if (cases[i].sent > 1)
            CHECK(pair_b_to_a(&p, STAGE_INITIAL) > 0);
        if (cases[i].sent > 2)
            CHECK(pair_a_to_b(&p, STAGE_FINAL) > 0);
        if (cases[i].sent > 3)
            CHECK_EQ(pair_b_to_a(&p, STAGE_FINAL), 0);
        struct handshake *h = cases[i].to_a ? &p.ha : &p.hb;
        int rc = cases[i].to_a ? pair_b_to_a(&p, cases[i].stage) : pair_a_to_b(&p, cases[i].stage);
        CHECK_EQ(rc, WEFT_EPROTO);
        CHECK_EQ(h->state, HANDSHAKE_FAILED);
        CHECK(strstr(h->text, "does not fit the state") != NULL);
    }
}

TEST(handshake, peers_before_final_is_refused)
{
    struct pair p;
    pair_init(&p, "tcp://10.0.0.7:7400/arm", "tcp://10.0.0.2:7400/base");
    pair_start(&p, "tcp://10.0.0.2:7400/base");
    CHECK(pair_a_to_b(&p, STAGE_INITIAL) > 0);
    CHECK(pair_b_to_a(&p, STAGE_INITIAL) > 0);
    CHECK_EQ(handshake_on_peers(&p.ha), WEFT_EPROTO);
    CHECK_EQ(handshake_on_peers(&p.hb), WEFT_EPROTO);
    CHECK_STR(p.ha.text, "PEERS does not fit the state 'peers' of the initiator");
    pair_start(&p, "tcp://10.0.0.2:7400/base");
    CHECK_EQ(handshake_on_peers(&p.ha), WEFT_EPROTO);
}

TEST(handshake, ended_from_outside_keeps_the_first_reason)
{
    struct pair p;
    pair_init(&p, "tcp://10.0.0.7:7400/arm", "tcp://10.0.0.2:7400/base");
    pair_start(&p, "tcp://10.0.0.2:7400/base");
    handshake_fail(&p.ha, WEFT_EDUPLICATE, NULL);
    handshake_fail(&p.ha, WEFT_ELOST, "lost");
    CHECK_EQ(p.ha.error, WEFT_EDUPLICATE);
    CHECK_STR(p.ha.text, "duplicate link");
    CHECK(p.ha.deadline == NEVER);
    CHECK_STR(handshake_state_name(p.ha.state), "failed");
}

TEST(handshake, own_name_must_parse)
{
    struct handshake h;
    struct handshake_self self = self_make("nonsense", 1);
    CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), WEFT_EURL);
    CHECK_EQ(h.state, HANDSHAKE_FAILED);
    CHECK_STR(h.text, "own name 'nonsense' is not a peer URL");
}
