/* The messages about the link itself and its neighbours: RESULT, PING, PONG, PEERS, GOODBYE, DIGEST
 * (docs/protocol.md sections 3, 6 and 7). */
#include <weft/weft.h>

#include "proto/codec_parts.h"

ProtobufCMessage *build_result(struct arena *arena, const struct control *control)
{
    Weft__Result *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__result__init(m);
    m->nonce = control->result.nonce;
    m->error = control->result.error;
    m->description = pb_text(control->result.description);
    m->route = pb_text(control->result.route);
    m->intent = control->result.intent;
    return &m->base;
}

int read_result(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Result *m = (const Weft__Result *)message;
    control->result.nonce = m->nonce;
    control->result.error = m->error;
    control->result.description = m->description;
    control->result.route = m->route;
    control->result.intent = m->intent;
    return 0;
}

ProtobufCMessage *build_ping(struct arena *arena, const struct control *control)
{
    Weft__Ping *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__ping__init(m);
    m->payload = pb_bytes(control->ping.payload, control->ping.payload_len);
    return &m->base;
}

int read_ping(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Ping *m = (const Weft__Ping *)message;
    control->ping.payload = m->payload.data;
    control->ping.payload_len = m->payload.len;
    return 0;
}

ProtobufCMessage *build_pong(struct arena *arena, const struct control *control)
{
    Weft__Pong *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__pong__init(m);
    m->receive_timestamp = control->ping.receive_timestamp;
    m->ping_timestamp = control->ping.ping_timestamp;
    m->payload = pb_bytes(control->ping.payload, control->ping.payload_len);
    return &m->base;
}

int read_pong(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Pong *m = (const Weft__Pong *)message;
    control->ping.receive_timestamp = m->receive_timestamp;
    control->ping.ping_timestamp = m->ping_timestamp;
    control->ping.payload = m->payload.data;
    control->ping.payload_len = m->payload.len;
    return 0;
}

ProtobufCMessage *build_peers(struct arena *arena, const struct control *control)
{
    size_t count = control->peers.count;
    Weft__Peers *m = arena_alloc(arena, sizeof(*m));
    char **ids = arena_array(arena, count, sizeof(*ids));
    if (!m || !ids)
        return NULL;
    for (size_t i = 0; i < count; i++)
        ids[i] = pb_text(control->peers.ids[i]);
    weft__peers__init(m);
    m->n_ids = count;
    m->ids = ids;
    m->remove = control->peers.remove;
    return &m->base;
}

int read_peers(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Peers *m = (const Weft__Peers *)message;
    control->peers.ids = (const char *const *)m->ids;
    control->peers.count = m->n_ids;
    control->peers.remove = m->remove;
    return 0;
}

ProtobufCMessage *build_goodbye(struct arena *arena, const struct control *control)
{
    Weft__Goodbye *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__goodbye__init(m);
    m->reason = control->goodbye.reason;
    m->description = pb_text(control->goodbye.description);
    return &m->base;
}

int read_goodbye(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Goodbye *m = (const Weft__Goodbye *)message;
    control->goodbye.reason = m->reason;
    control->goodbye.description = m->description;
    return 0;
}

ProtobufCMessage *build_digest(struct arena *arena, const struct control *control)
{
    Weft__Digest *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__digest__init(m);
    m->intents = control->digest.intents;
    m->intents_hash = control->digest.intents_hash;
    m->interests = control->digest.interests;
    m->interests_hash = control->digest.interests_hash;
    m->resync = control->digest.resync;
    return &m->base;
}

int read_digest(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Digest *m = (const Weft__Digest *)message;
    control->digest.intents = m->intents;
    control->digest.intents_hash = m->intents_hash;
    control->digest.interests = m->interests;
    control->digest.interests_hash = m->interests_hash;
    control->digest.resync = m->resync;
    return 0;
}
