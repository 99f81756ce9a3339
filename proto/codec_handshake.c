/* HANDSHAKE (docs/protocol.md section 4). public_key is dndm's and unused: skipped, never sent. */
#include <weft/weft.h>

#include "proto/codec_parts.h"

ProtobufCMessage *build_handshake(struct arena *arena, const struct control *control)
{
    const struct handshake_msg *h = &control->handshake;
    Weft__Handshake *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__handshake__init(m);
    m->me = pb_text(h->me);
    m->you = pb_text(h->you);
    m->stage = (Weft__Stage)h->stage;
    m->n_intents = h->n_intents;
    m->n_interests = h->n_interests;
    m->version = h->version;
    m->node_id = pb_bytes(h->node_id, 16);
    m->incarnation = h->incarnation;
    m->network = pb_text(h->network);
    m->features = h->features;
    m->max_frame = h->max_frame;
    m->agent = pb_text(h->agent);
    m->role = (Weft__Role)h->role;
    if (build_intent_list(arena, h->intents, h->n_intents, &m->intents) < 0 ||
        build_interest_list(arena, h->interests, h->n_interests, &m->interests) < 0)
        return NULL;
    return &m->base;
}

int read_handshake(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Handshake *m = (const Weft__Handshake *)message;
    struct handshake_msg *h = &control->handshake;
    *h = (struct handshake_msg){
        .me = m->me,
        .you = m->you,
        .stage = (enum stage)m->stage,
        .n_intents = m->n_intents,
        .n_interests = m->n_interests,
        .version = m->version,
        .incarnation = m->incarnation,
        .network = m->network,
        .agent = m->agent,
        .features = m->features,
        .max_frame = m->max_frame,
        .role = (enum role)m->role,
    };
    if (!read_node_id(&m->node_id, &h->node_id))
        return WEFT_EMALFORMED;
    int rc = read_intent_list(arena, m->intents, m->n_intents, &h->intents);
    return rc < 0 ? rc : read_interest_list(arena, m->interests, m->n_interests, &h->interests);
}
