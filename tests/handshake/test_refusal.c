/* What a handshake refuses, and that the sentence names the place and the remedy. The sentence goes
 * out as RESULT: handshake_fail hands it to the other machine as the owner does. */
#include "tests/check.h"

#include <weft/weft.h>

#include "pair.h"

#define A "tcp://10.0.0.7:7400/arm"
#define B "tcp://10.0.0.2:7400/base"

/* b refuses a's INITIAL; both sides end up with the same error and text. */
static void refused(struct pair *p, int error, const char *text)
{
    CHECK_EQ(p->hb.state, HANDSHAKE_FAILED);
    CHECK_EQ(p->hb.error, error);
    CHECK_STR(p->hb.text, text);
    CHECK(p->hb.peer.text[0] == '\0');
    handshake_fail(&p->ha, result_to_error(result_from_error(error)), p->hb.text);
    CHECK_EQ(p->ha.state, HANDSHAKE_FAILED);
    CHECK_EQ(p->ha.error, error);
    CHECK_STR(p->ha.text, text);
}

/* b refuses what a's INITIAL becomes after `change`. */
static void refuse_changed(struct pair *p, const struct handshake_msg *msg, int error,
                           const char *part)
{
    pair_start(p, B);
    CHECK_EQ(handshake_on_handshake(&p->hb, msg, 1), error);
    CHECK_EQ(p->hb.error, error);
    if (!strstr(p->hb.text, part))
        FAIL("\"%s\" lacks \"%s\"", p->hb.text, part);
}

/* a's INITIAL as it goes out. */
static struct handshake_msg initial(struct pair *p)
{
    struct handshake_msg msg;
    pair_start(p, B);
    handshake_fill(&p->ha, STAGE_INITIAL, &msg);
    letter_write(&p->last, &msg);
    return p->last.msg;
}

TEST(refusal, connection_to_itself)
{
    struct pair p;
    pair_init(&p, A, A);
    p.b = p.a;
    CHECK_EQ(pair_run(&p, A), WEFT_ESELF);
    refused(&p, WEFT_ESELF, "'" A "' is this node itself: remove it from its own peers");
}

TEST(refusal, copied_address_book)
{
    struct pair p;
    pair_init(&p, A, B);
    memcpy(p.b.node_id, p.a.node_id, 16);
    CHECK_EQ(pair_run(&p, B), WEFT_EDENIED);
    refused(&p, WEFT_EDENIED,
            "'" A "' and '" B
            "' have the same node id: one address book was copied from the other; "
            "remove it on one of them");
}

TEST(refusal, another_network)
{
    struct pair p;
    pair_init(&p, A, B);
    p.a.network = "lab";
    p.b.network = "field";
    CHECK_EQ(pair_run(&p, B), WEFT_ENETWORK);
    refused(&p, WEFT_ENETWORK,
            "'" B "' is in network \"field\", '" A "' in \"lab\": give both the same 'network', or "
            "do not link them");
    p.a.network = "";
    CHECK_EQ(pair_run(&p, B), WEFT_ENETWORK);
    p.a.network = "field";
    CHECK_EQ(pair_run(&p, B), 0);
    CHECK_STR(p.ha.network, "field");
}

/* The initiator checks as the responder does: here the responder has let it pass. */
TEST(refusal, by_the_initiator)
{
    struct pair p;
    pair_init(&p, A, B);
    pair_start(&p, B);
    CHECK(pair_a_to_b(&p, STAGE_INITIAL) > 0);
    p.b.network = "field";
    CHECK_EQ(pair_b_to_a(&p, STAGE_INITIAL), WEFT_ENETWORK);
    CHECK_STR(p.ha.text, "'" A "' is in network \"\", '" B "' in \"field\": give both the same "
                         "'network', or do not link them");
    CHECK_EQ(p.ha.peer.text[0], '\0');
}

TEST(refusal, leaf_outside_the_path)
{
    static const char *const outside[] = {"other.arm", "robotics", "rob"};
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        char me[64], text[256];
        struct pair p;
        snprintf(me, sizeof(me), "unix://0.0.0.0:0/%s", outside[i]);
        snprintf(text, sizeof(text),
                 "leaf path '%s' is not below 'robot', the path of its router: choose one below it "
                 "or none",
                 outside[i]);
        pair_init(&p, me, B);
        p.a.role = ROLE_LEAF;
        p.b.path = "robot";
        CHECK_EQ(pair_run(&p, "unix:///run/weft.sock/robot"), WEFT_EDENIED);
        refused(&p, WEFT_EDENIED, text);
    }
}

TEST(refusal, dialled_node_that_only_dials)
{
    struct pair p;
    pair_init(&p, A, B);
    p.b.role = ROLE_CLIENT;
    CHECK_EQ(pair_run(&p, B), WEFT_EPROTO);
    CHECK_STR(p.ha.text, "'" B "' was dialled but says it is a client, which only dials");
    p.b.role = ROLE_LEAF;
    CHECK_EQ(pair_run(&p, B), WEFT_EPROTO);
}

TEST(refusal, names_that_do_not_parse)
{
    struct pair p;
    pair_init(&p, A, B);
    struct handshake_msg msg = initial(&p);
    msg.me = "robot.arm";
    refuse_changed(&p, &msg, WEFT_EURL, "HANDSHAKE field 'me': ");
    msg = initial(&p);
    msg.me = NULL;
    refuse_changed(&p, &msg, WEFT_EURL, "HANDSHAKE field 'me': ");
    msg = initial(&p);
    msg.you = "";
    refuse_changed(&p, &msg, WEFT_EURL, "HANDSHAKE field 'you': ");
    msg = initial(&p);
    msg.role = (enum role)7;
    refuse_changed(&p, &msg, WEFT_EPROTO, "has role 7, which is unknown here");
}

/* A name that fits by itself, but not with the host it is seen from. */
TEST(refusal, name_too_long_as_seen)
{
    char me[URL_MAX + 1];
    struct pair p;
    snprintf(me, sizeof(me), "tcp://0.0.0.0:7400/%0*d", URL_MAX - 19, 1);
    pair_init(&p, me, B);
    p.a_seen_from = "fe80:1111:2222:3333:4444:5555:6666:7777";
    CHECK_EQ(pair_run(&p, B), WEFT_EURL);
    CHECK(strstr(p.hb.text, "becomes too long as seen from here") != NULL);
}

TEST(refusal, text_of_others_moves_no_cursor)
{
    struct pair p;
    pair_init(&p, A, B);
    p.a.network = "\x1b[2Jlab\n";
    CHECK_EQ(pair_run(&p, B), WEFT_ENETWORK);
    CHECK(strstr(p.hb.text, "\"?[2Jlab?\"") != NULL);
    p.a.network = "";
    p.a.agent = "weft\r0123456789012345678901234567890123456789012345678901234567890123456789";
    CHECK_EQ(pair_run(&p, B), 0);
    CHECK_EQ(strlen(p.hb.agent), sizeof(p.hb.agent) - 1);
    CHECK_EQ(p.hb.agent[4], '?');
}

/* The responder calls the initiator something its name cannot become. */
TEST(refusal, another_name_in_initial)
{
    static const struct {
        const char *me, *you;
        enum role role;
        bool fits;
    } cases[] = {
        {"tcp://0.0.0.0:7400/arm", "tcp://10.9.9.9:7400/arm", ROLE_PEER, true},
        {"tcp://0.0.0.0:7400/arm", "tcp://10.9.9.9:7401/arm", ROLE_PEER, false},
        {"tcp://0.0.0.0:7400/arm", "tcp://10.9.9.9:7400/leg", ROLE_PEER, false},
        {"tcp://0.0.0.0:7400/arm", "tls://10.9.9.9:7400/arm", ROLE_PEER, false},
        {"tcp://10.0.0.7:7400/arm", "tcp://10.9.9.9:7400/arm", ROLE_PEER, false},
        {"tcp://0.0.0.0:0/arm", "tcp://10.9.9.9:0/arm", ROLE_CLIENT, false},
        {"tcp://0.0.0.0:0/", "tcp://0.0.0.0:0/arm", ROLE_CLIENT, false},
        {"tcp://0.0.0.0:0/", "tcp://0.0.0.0:0/arm", ROLE_LEAF, true},
        {"tcp://0.0.0.0:0/arm", "tcp://0.0.0.0:0/arm.x", ROLE_LEAF, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair p;
        struct handshake_msg msg;
        pair_init(&p, cases[i].me, B);
        p.a.role = cases[i].role;
        pair_start(&p, B);
        CHECK(pair_a_to_b(&p, STAGE_INITIAL) > 0);
        handshake_fill(&p.hb, STAGE_INITIAL, &msg);
        msg.you = cases[i].you;
        int rc = handshake_on_handshake(&p.ha, &msg, 1);
        CHECK_EQ(rc, cases[i].fits ? HANDSHAKE_IDENTIFIED | HANDSHAKE_SEND_FINAL : WEFT_EPROTO);
        CHECK(cases[i].fits || strstr(p.ha.text, "by another name: '") != NULL);
    }
}

/* FINAL with one name changed, to the responder and to the initiator. */
TEST(refusal, final_that_differs)
{
    static const struct {
        bool to_a;
        const char *me, *you;
        int error;
        const char *part;
    } cases[] = {
        {false, "tcp://10.0.0.7:7400/leg", NULL, WEFT_EPROTO, "'me' is 'tcp://10.0.0.7:7400/leg'"},
        {false, "tcp://10.0.0.8:7400/arm", NULL, WEFT_EPROTO, "agreed was '" A "'"},
        {false, "", NULL, WEFT_EURL, "field 'me'"},
        {false, NULL, "tcp://10.0.0.2:7401/base", WEFT_EPROTO,
         "'you' is 'tcp://10.0.0.2:7401/base'"},
        {false, NULL, "tcp://10.0.0.2:7400/", WEFT_EPROTO, "'you' is"},
        {true, "tcp://10.0.0.3:7400/base", NULL, WEFT_EPROTO, "agreed was '" B "'"},
        {true, NULL, "tcp://10.0.0.8:7400/arm", WEFT_EPROTO, "agreed was '" A "'"},
        {true, NULL, "x", WEFT_EURL, "field 'you'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair p;
        struct handshake_msg msg;
        pair_init(&p, "tcp://0.0.0.0:7400/arm", "tcp://0.0.0.0:7400/base");
        p.a_seen_from = "10.0.0.7";
        pair_start(&p, B);
        CHECK(pair_a_to_b(&p, STAGE_INITIAL) > 0);
        CHECK(pair_b_to_a(&p, STAGE_INITIAL) > 0);
        if (cases[i].to_a)
            CHECK(pair_a_to_b(&p, STAGE_FINAL) > 0);
        struct handshake *to = cases[i].to_a ? &p.ha : &p.hb;
        handshake_fill(cases[i].to_a ? &p.hb : &p.ha, STAGE_FINAL, &msg);
        msg.me = cases[i].me ? cases[i].me : msg.me;
        msg.you = cases[i].you ? cases[i].you : msg.you;
        CHECK_EQ(handshake_on_handshake(to, &msg, 1), cases[i].error);
        if (!strstr(to->text, cases[i].part))
            FAIL("\"%s\" lacks \"%s\"", to->text, cases[i].part);
        CHECK_EQ(to->state, HANDSHAKE_FAILED);
    }
}

/* Once it was told its observed name, the initiator still takes its claimed one for an answer: the
 * responder may have kept to what was said first. */
TEST(refusal, claimed_name_in_final_is_taken)
{
    struct pair p;
    struct handshake_msg msg;
    pair_init(&p, "tcp://0.0.0.0:7400/arm", "tcp://0.0.0.0:7400/base");
    p.a_seen_from = "10.0.0.7";
    pair_start(&p, B);
    CHECK(pair_a_to_b(&p, STAGE_INITIAL) > 0);
    CHECK(pair_b_to_a(&p, STAGE_INITIAL) > 0);
    CHECK(pair_a_to_b(&p, STAGE_FINAL) > 0);
    handshake_fill(&p.hb, STAGE_FINAL, &msg);
    msg.me = "tcp://0.0.0.0:7400/base";
    msg.you = "tcp://0.0.0.0:7400/arm";
    CHECK_EQ(handshake_on_handshake(&p.ha, &msg, 1), 0);
    CHECK_STR(p.ha.me.text, "tcp://10.0.0.7:7400/arm");
    CHECK_STR(p.ha.peer.text, B);
}
