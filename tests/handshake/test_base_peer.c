/* Handshakes with base peers (docs/protocol.md section 8): one HANDSHAKE from each side. */
#include "tests/check.h"

#include <weft/weft.h>

#include "pair.h"

#define US "tcp://10.0.0.2:7400/base"
#define THEM "tcp://10.0.0.7:19001/example/a"

static const struct handshake_msg base_initial = {.me = THEM, .you = US, .stage = STAGE_INITIAL};
static const struct handshake_msg base_final = {.me = THEM, .you = US, .stage = STAGE_FINAL};

static void dial_base(struct handshake *h, const struct handshake_self *self)
{
    struct url url;
    CHECK_EQ(url_parse(THEM, strlen(THEM), &url, NULL), 0);
    CHECK_EQ(handshake_start(h, self, &url, "10.0.0.7", 5, 0), HANDSHAKE_SEND_INITIAL);
}

static void check_base(const struct handshake *h)
{
    CHECK_STR(h->peer.text, THEM);
    CHECK_STR(h->me.text, US);
    CHECK(h->base && !h->has_node_id && h->role == ROLE_PEER);
    CHECK(h->features == 0 && h->incarnation == 0);
    CHECK_EQ(h->max_frame, FRAME_MAX_DEFAULT);
}

TEST(base_peer, dials_us)
{
    struct handshake h;
    struct handshake_self self = self_make(US, 1);
    CHECK_EQ(handshake_start(&h, &self, NULL, "10.0.0.7", 0, 0), 0);
    CHECK_EQ(handshake_on_handshake(&h, &base_initial, 9),
             HANDSHAKE_IDENTIFIED | HANDSHAKE_SEND_FINAL | HANDSHAKE_SEND_PEERS);
    CHECK_EQ(h.state, HANDSHAKE_PEERS);
    CHECK_EQ(h.stamp, 9);
    check_base(&h);
    struct handshake_msg ours;
    handshake_fill(&h, STAGE_FINAL, &ours);
    CHECK_STR(ours.me, US);
    CHECK_STR(ours.you, THEM);
    CHECK_EQ(handshake_on_handshake(&h, &base_final, 10), HANDSHAKE_NOW_DONE);
    CHECK_EQ(h.state, HANDSHAKE_DONE);
    CHECK_EQ(handshake_on_peers(&h), 0);
}

TEST(base_peer, is_dialled_by_us)
{
    struct handshake h;
    struct handshake_self self = self_make(US, 1);
    dial_base(&h, &self);
    CHECK_EQ(handshake_on_handshake(&h, &base_final, 9), HANDSHAKE_IDENTIFIED);
    CHECK_EQ(h.state, HANDSHAKE_PEERS);
    CHECK_EQ(h.stamp, 5);
    check_base(&h);
    CHECK_EQ(handshake_on_peers(&h), HANDSHAKE_SEND_PEERS | HANDSHAKE_NOW_DONE);
    CHECK_EQ(h.state, HANDSHAKE_DONE);
}

/* Whatever the stage of its first HANDSHAKE. */
TEST(base_peer, any_handshake_counts)
{
    for (int stage = STAGE_NONE; stage <= STAGE_UPDATE; stage++) {
        struct handshake h;
        struct handshake_self self = self_make(US, 1);
        struct handshake_msg msg = base_initial;
        msg.stage = (enum stage)stage;
        dial_base(&h, &self);
        CHECK_EQ(handshake_on_handshake(&h, &msg, 9), HANDSHAKE_IDENTIFIED);
        CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
        CHECK_EQ(handshake_on_handshake(&h, &msg, 9),
                 HANDSHAKE_IDENTIFIED | HANDSHAKE_SEND_FINAL | HANDSHAKE_SEND_PEERS);
    }
}

/* Its `you` names us where we did not know our host, and is let pass where it does not fit. */
TEST(base_peer, you_is_taken_where_it_fits)
{
    static const struct {
        const char *you, *me;
    } cases[] = {
        {"tcp://10.0.0.2:7400/base", "tcp://10.0.0.2:7400/base"},
        {"tcp://10.0.0.2:7400/other", "tcp://0.0.0.0:7400/base"},
        {"rubbish", "tcp://0.0.0.0:7400/base"},
        {NULL, "tcp://0.0.0.0:7400/base"},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct handshake h;
        struct handshake_self self = self_make("tcp://0.0.0.0:7400/base", 1);
        struct handshake_msg msg = base_initial;
        msg.you = cases[i / 2].you;
        if (i & 1)
            dial_base(&h, &self);
        else
            CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
        CHECK(handshake_on_handshake(&h, &msg, 9) > 0);
        CHECK_STR(h.me.text, cases[i / 2].me);
    }
}

TEST(base_peer, me_carries_the_scheme)
{
    struct handshake h;
    struct handshake_self self = self_make(US, 1);
    struct handshake_msg msg = base_final;
    msg.me = "serial:///dev/ttyUSB0/a";
    dial_base(&h, &self);
    CHECK_EQ(handshake_on_handshake(&h, &msg, 9), WEFT_EURL);
    CHECK_STR(h.text, "HANDSHAKE field 'me': expected a name that begins with 'tcp://', as the "
                      "connection does, got 'serial:///dev/ttyUSB0/a'");
    CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
    CHECK_EQ(handshake_on_handshake(&h, &msg, 9), WEFT_EURL);
    msg.you = "serial:///dev/ttyUSB1/base";
    CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
    CHECK(handshake_on_handshake(&h, &msg, 9) > 0);
    msg.me = "";
    CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
    CHECK_EQ(handshake_on_handshake(&h, &msg, 9), WEFT_EURL);
}

TEST(base_peer, named_network_takes_it_only_when_told)
{
    struct handshake h;
    struct handshake_self self = self_make(US, 1);
    self.network = "lab";
    CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
    CHECK_EQ(handshake_on_handshake(&h, &base_initial, 9), WEFT_EDENIED);
    CHECK_STR(h.text, "'" THEM "' speaks the base protocol, and '" US
                      "' is in network \"lab\": set 'allow_base' there to link them");
    self.allow_base = true;
    CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
    CHECK(handshake_on_handshake(&h, &base_initial, 9) > 0);
}

TEST(base_peer, out_of_turn)
{
    struct handshake h;
    struct handshake_self self = self_make(US, 1);
    CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
    CHECK(handshake_on_handshake(&h, &base_initial, 9) > 0);
    CHECK_EQ(handshake_on_peers(&h), WEFT_EPROTO);
    CHECK_EQ(handshake_start(&h, &self, NULL, NULL, 0, 0), 0);
    CHECK(handshake_on_handshake(&h, &base_initial, 9) > 0);
    CHECK_EQ(handshake_on_handshake(&h, &base_initial, 9), WEFT_EPROTO);
    dial_base(&h, &self);
    CHECK(handshake_on_handshake(&h, &base_final, 9) > 0);
    CHECK_EQ(handshake_on_handshake(&h, &base_final, 9), WEFT_EPROTO);
}
