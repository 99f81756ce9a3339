/* The handshake, step by step (docs/protocol.md section 4).
 *
 * Happy path: handshake_start puts both sides into WAIT, and the initiator sends INITIAL. The first
 * HANDSHAKE that comes says who the other side is (identity.c); the owner arbitrates, then sends
 * what the bits ask for. Each side confirms the agreed names with FINAL. The responder is DONE once
 * it has confirmed, and sends PEERS; the initiator is DONE when those have come, and sends its own.
 *
 * Base peers know one HANDSHAKE from each side and no confirmation: FINAL in place of INITIAL takes
 * the initiator from WAIT to PEERS, and to a base initiator the responder sends FINAL and PEERS at
 * once, whatever the stage of what came.
 *
 * Failure: whatever is out of turn, refused or late ends in FAILED with an error and a sentence
 * that reads the same on both sides: it goes out as RESULT and into our log. A failed machine stays
 * failed, and every later call returns the first error. */
#include "handshake/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

const char *handshake_state_name(enum handshake_state state)
{
    static const char *const names[] = {"init", "wait", "peers", "done", "failed"};
    return (unsigned)state < ARRAY_LEN(names) ? names[state] : "?";
}

/* The only place where the state changes. */
static void enter(struct handshake *h, enum handshake_state state)
{
    static const uint8_t allowed[] = {
        [HANDSHAKE_INIT] = 1 << HANDSHAKE_WAIT | 1 << HANDSHAKE_FAILED,
        [HANDSHAKE_WAIT] = 1 << HANDSHAKE_PEERS | 1 << HANDSHAKE_FAILED,
        [HANDSHAKE_PEERS] = 1 << HANDSHAKE_DONE | 1 << HANDSHAKE_FAILED,
        [HANDSHAKE_DONE] = 1 << HANDSHAKE_FAILED,
        [HANDSHAKE_FAILED] = 0,
    };
    assert(allowed[h->state] & 1 << state);
    h->state = state;
    if (state == HANDSHAKE_DONE || state == HANDSHAKE_FAILED)
        h->deadline = NEVER;
}

void handshake_fail(struct handshake *h, int error, const char *text)
{
    if (h->state == HANDSHAKE_FAILED)
        return;
    enter(h, HANDSHAKE_FAILED);
    h->error = error;
    snprintf(h->text, sizeof(h->text), "%s", text ? text : weft_strerror(error));
}

int handshake_refuse(struct handshake *h, int error, const char *format, ...)
{
    char text[sizeof(h->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    handshake_fail(h, error, text);
    return error;
}

int handshake_start(struct handshake *h, const struct handshake_self *self,
                    const struct url *dialled, const char *remote_host, uint64_t stamp,
                    uint64_t mono_ns)
{
    *h = (struct handshake){.self = self, .initiator = dialled != NULL, .deadline = NEVER};
    if (url_parse(self->me, strlen(self->me), &h->me, NULL) < 0)
        return handshake_refuse(h, WEFT_EURL, "own name '%.100s' is not a peer URL", self->me);
    if (remote_host && strlen(remote_host) < sizeof(h->remote_host))
        memcpy(h->remote_host, remote_host, strlen(remote_host) + 1);
    enter(h, HANDSHAKE_WAIT);
    h->deadline = mono_ns + HANDSHAKE_TIMEOUT_NS;
    if (!dialled)
        return 0;
    h->dialled = *dialled;
    h->stamp = stamp;
    return HANDSHAKE_SEND_INITIAL;
}

static const char *stage_name(enum stage stage)
{
    static const char *const names[] = {"unspecified", "INITIAL", "FINAL", "UPDATE"};
    return (unsigned)stage < ARRAY_LEN(names) ? names[stage] : "of unknown stage";
}

static int out_of_turn(struct handshake *h, const struct handshake_msg *msg)
{
    return handshake_refuse(h, WEFT_EPROTO, "HANDSHAKE %s does not fit the state '%s' of the %s",
                            stage_name(msg->stage), handshake_state_name(h->state),
                            h->initiator ? "initiator" : "responder");
}

/* WAIT: the first HANDSHAKE, which for a base peer may be of any stage. */
static int on_first(struct handshake *h, const struct handshake_msg *msg, uint64_t stamp)
{
    if (msg->version != 0 && msg->stage != STAGE_INITIAL)
        return out_of_turn(h, msg);
    int rc = identity_consume(h, msg);
    if (rc < 0)
        return rc;
    enter(h, HANDSHAKE_PEERS);
    if (!h->initiator)
        h->stamp = stamp;
    if (!h->base)
        return HANDSHAKE_IDENTIFIED |
               (h->initiator ? HANDSHAKE_SEND_FINAL : HANDSHAKE_SEND_INITIAL);
    if (h->initiator) {
        h->got_final = true;
        return HANDSHAKE_IDENTIFIED;
    }
    h->sent_peers = true;
    return HANDSHAKE_IDENTIFIED | HANDSHAKE_SEND_FINAL | HANDSHAKE_SEND_PEERS;
}

/* PEERS: the FINAL that confirms. The initiator stays, and waits for PEERS. */
static int on_final(struct handshake *h, const struct handshake_msg *msg)
{
    if (msg->stage != STAGE_FINAL || h->got_final)
        return out_of_turn(h, msg);
    if (h->base) {
        enter(h, HANDSHAKE_DONE);
        h->got_final = true;
        return HANDSHAKE_NOW_DONE;
    }
    int rc = identity_confirm(h, msg);
    if (rc < 0)
        return rc;
    h->got_final = true;
    if (h->initiator)
        return 0;
    enter(h, HANDSHAKE_DONE);
    h->sent_peers = true;
    return HANDSHAKE_SEND_FINAL | HANDSHAKE_SEND_PEERS | HANDSHAKE_NOW_DONE;
}

int handshake_on_handshake(struct handshake *h, const struct handshake_msg *msg, uint64_t stamp)
{
    switch (h->state) {
    case HANDSHAKE_WAIT:
        return on_first(h, msg, stamp);
    case HANDSHAKE_PEERS:
        return on_final(h, msg);
    case HANDSHAKE_DONE:
        return msg->stage == STAGE_UPDATE ? 0 : out_of_turn(h, msg);
    case HANDSHAKE_FAILED:
        return h->error;
    case HANDSHAKE_INIT:
        break;
    }
    return out_of_turn(h, msg);
}

int handshake_on_peers(struct handshake *h)
{
    if (h->state == HANDSHAKE_FAILED)
        return h->error;
    if (h->state == HANDSHAKE_DONE)
        return 0;
    if (h->state != HANDSHAKE_PEERS || !h->initiator || !h->got_final)
        return handshake_refuse(h, WEFT_EPROTO, "PEERS does not fit the state '%s' of the %s",
                                handshake_state_name(h->state),
                                h->initiator ? "initiator" : "responder");
    enter(h, HANDSHAKE_DONE);
    h->sent_peers = true;
    return HANDSHAKE_SEND_PEERS | HANDSHAKE_NOW_DONE;
}

void handshake_fill(const struct handshake *h, enum stage stage, struct handshake_msg *ret_msg)
{
    const struct handshake_self *self = h->self;
    bool opening = h->initiator && stage == STAGE_INITIAL;
    *ret_msg = (struct handshake_msg){
        .me = h->me.text,
        .you = opening ? h->dialled.text : h->peer.text,
        .stage = stage,
        .version = PROTO_VERSION,
        .node_id = self->node_id,
        .incarnation = self->incarnation,
        .network = self->network,
        .agent = self->agent,
        .features = self->features,
        .max_frame = self->max_frame,
        .role = self->role,
    };
}

static const char *waiting_for(const struct handshake *h)
{
    if (h->state == HANDSHAKE_WAIT)
        return "the first HANDSHAKE";
    return h->initiator && h->got_final ? "PEERS" : "HANDSHAKE FINAL";
}

bool handshake_expired(struct handshake *h, uint64_t mono_ns)
{
    if (h->deadline == NEVER || mono_ns < h->deadline)
        return false;
    const char *from = h->initiator ? "responder" : "initiator";
    handshake_refuse(h, WEFT_EHANDSHAKE, "no handshake within %u s: the %s did not send %s",
                     (unsigned)(HANDSHAKE_TIMEOUT_NS / NS_PER_SEC), from, waiting_for(h));
    return true;
}
