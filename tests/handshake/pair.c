#include "pair.h"

#include <string.h>

#include "tests/check.h"

struct handshake_self self_make(const char *me, uint8_t id)
{
    struct handshake_self self = {
        .me = me,
        .path = "",
        .node_id = {id},
        .incarnation = 100u + id,
        .network = "",
        .features = FEATURE_COMPACT | FEATURE_DIGEST,
        .agent = "test/1",
    };
    return self;
}

void letter_write(struct letter *letter, const struct handshake_msg *msg)
{
    letter->msg = *msg;
    snprintf(letter->me, sizeof(letter->me), "%s", msg->me);
    snprintf(letter->you, sizeof(letter->you), "%s", msg->you);
    snprintf(letter->network, sizeof(letter->network), "%s", msg->network);
    snprintf(letter->agent, sizeof(letter->agent), "%s", msg->agent);
    letter->msg.me = letter->me;
    letter->msg.you = letter->you;
    letter->msg.network = letter->network;
    letter->msg.agent = letter->agent;
    if (msg->node_id) {
        memcpy(letter->node_id, msg->node_id, sizeof(letter->node_id));
        letter->msg.node_id = letter->node_id;
    }
}

void pair_init(struct pair *pair, const char *a, const char *b)
{
    *pair = (struct pair){.a = self_make(a, 1), .b = self_make(b, 2)};
}

void pair_start(struct pair *pair, const char *dialled)
{
    struct url url;
    CHECK_EQ(url_parse(dialled, strlen(dialled), &url, NULL), 0);
    CHECK_EQ(handshake_start(&pair->ha, &pair->a, &url, pair->b_seen_from, 77, 0),
             HANDSHAKE_SEND_INITIAL);
    CHECK_EQ(handshake_start(&pair->hb, &pair->b, NULL, pair->a_seen_from, 0, 0), 0);
}

static int send(struct pair *pair, struct handshake *from, struct handshake *to, enum stage stage)
{
    struct handshake_msg msg;
    handshake_fill(from, stage, &msg);
    letter_write(&pair->last, &msg);
    return handshake_on_handshake(to, &pair->last.msg, from->stamp);
}

int pair_a_to_b(struct pair *pair, enum stage stage)
{
    return send(pair, &pair->ha, &pair->hb, stage);
}

int pair_b_to_a(struct pair *pair, enum stage stage)
{
    return send(pair, &pair->hb, &pair->ha, stage);
}

int pair_run(struct pair *pair, const char *dialled)
{
    pair_start(pair, dialled);
    int rc = pair_a_to_b(pair, STAGE_INITIAL);
    if (rc < 0)
        return rc;
    CHECK_EQ(rc, HANDSHAKE_IDENTIFIED | HANDSHAKE_SEND_INITIAL);
    if ((rc = pair_b_to_a(pair, STAGE_INITIAL)) < 0)
        return rc;
    CHECK_EQ(rc, HANDSHAKE_IDENTIFIED | HANDSHAKE_SEND_FINAL);
    if ((rc = pair_a_to_b(pair, STAGE_FINAL)) < 0)
        return rc;
    CHECK_EQ(rc, HANDSHAKE_SEND_FINAL | HANDSHAKE_SEND_PEERS | HANDSHAKE_NOW_DONE);
    if ((rc = pair_b_to_a(pair, STAGE_FINAL)) < 0)
        return rc;
    CHECK_EQ(rc, 0);
    if ((rc = handshake_on_peers(&pair->ha)) < 0)
        return rc;
    CHECK_EQ(rc, HANDSHAKE_SEND_PEERS | HANDSHAKE_NOW_DONE);
    CHECK_EQ(handshake_on_peers(&pair->hb), 0);
    CHECK_EQ(pair->ha.state, HANDSHAKE_DONE);
    CHECK_EQ(pair->hb.state, HANDSHAKE_DONE);
    CHECK(pair->ha.sent_peers && pair->hb.sent_peers);
    CHECK(pair->ha.deadline == NEVER && pair->hb.deadline == NEVER);
    CHECK_STR(pair->ha.me.text, pair->a.advertised ? pair->a.me : pair->hb.peer.text);
    CHECK_STR(pair->hb.me.text, pair->b.advertised ? pair->b.me : pair->ha.peer.text);
    return 0;
}
