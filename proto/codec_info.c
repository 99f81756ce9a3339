/* QUERY and ANSWER: what a node tells of itself (docs/protocol.md section 9).
 *
 * The public structs of a report are what is encoded and what decoding gives; the messages differ
 * in small things only: times in ns, enums numbered as elsewhere on the wire, drop counters without
 * the zeros at their end. What a newer node may say more is brought into what these structs can
 * hold: an unknown role is a peer's, an unknown incident a warning, further drop counters are left
 * out. */
#include <string.h>

#include "base/util.h"
#include "proto/codec_parts.h"

/* ---- What both directions share ---- */

static uint64_t ns_from_ms(uint64_t ms)
{
    return ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : ms * NS_PER_MS;
}

/* On the wire 0 is never. */
static uint64_t dial_to_wire(uint64_t ms)
{
    return ms == UINT64_MAX ? 0 : max_u64(ns_from_ms(ms), 1);
}

static uint64_t dial_from_wire(uint64_t ns)
{
    return ns == 0 ? UINT64_MAX : ns / NS_PER_MS;
}

static Weft__Role role_to_wire(enum weft_role role)
{
    if (role == WEFT_ROLE_CLIENT)
        return WEFT__ROLE__ROLE_CLIENT;
    return role == WEFT_ROLE_LEAF ? WEFT__ROLE__ROLE_LEAF : WEFT__ROLE__ROLE_PEER;
}

static enum weft_role role_from_wire(Weft__Role role)
{
    if (role == WEFT__ROLE__ROLE_CLIENT)
        return WEFT_ROLE_CLIENT;
    return role == WEFT__ROLE__ROLE_LEAF ? WEFT_ROLE_LEAF : WEFT_ROLE_PEER;
}

static enum weft_log_level level_from_wire(uint32_t level)
{
    if (level < WEFT_LOG_ERROR)
        return WEFT_LOG_ERROR;
    return level > WEFT_LOG_DEBUG ? WEFT_LOG_DEBUG : (enum weft_log_level)level;
}

static enum weft_event_type incident_from_wire(Weft__IncidentType type)
{
    switch (type) {
    case WEFT__INCIDENT_TYPE__INCIDENT_PEER_DOWN:
        return WEFT_EVENT_PEER_DOWN;
    case WEFT__INCIDENT_TYPE__INCIDENT_REFUSED:
        return WEFT_EVENT_REFUSED;
    case WEFT__INCIDENT_TYPE__INCIDENT_DIAL_FAILED:
        return WEFT_EVENT_DIAL_FAILED;
    case WEFT__INCIDENT_TYPE__INCIDENT_ROUTE_REFUSED:
        return WEFT_EVENT_ROUTE_REFUSED;
    case WEFT__INCIDENT_TYPE__INCIDENT_ADDRBOOK:
        return WEFT_EVENT_ADDRBOOK;
    default:
        return WEFT_EVENT_WARNING;
    }
}

/* All zeros is none. */
static ProtobufCBinaryData id_to_wire(const uint8_t id[16])
{
    static const uint8_t none[16];
    return pb_bytes(memcmp(id, none, sizeof(none)) == 0 ? NULL : id, 16);
}

static int id_from_wire(const ProtobufCBinaryData *bytes, uint8_t ret_id[16])
{
    const uint8_t *id;
    if (!read_node_id(bytes, &id))
        return WEFT_EMALFORMED;
    if (id)
        memcpy(ret_id, id, 16);
    return 0;
}

static size_t count_drops(const uint64_t dropped[WEFT_DROP_REASONS])
{
    size_t n = WEFT_DROP_REASONS;
    while (n > 0 && dropped[n - 1] == 0)
        n--;
    return n;
}

static void read_drops(const uint64_t *values, size_t count,
                       uint64_t ret_dropped[WEFT_DROP_REASONS])
{
    for (size_t i = 0; i < count && i < WEFT_DROP_REASONS; i++)
        ret_dropped[i] = values[i];
}

static size_t size_from_wire(uint64_t size)
{
    return (size_t)min_u64(size, SIZE_MAX);
}

/* "" stands for none. */
static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

/* `count` messages of `size` bytes, and the list of pointers to them that protobuf-c wants. NULL
 * when the arena fails. */
static void *new_list(struct arena *arena, size_t count, size_t size)
{
    void **list = arena_array(arena, count, sizeof(*list));
    char *items = arena_array(arena, count, size);
    if (!list || !items)
        return NULL;
    for (size_t i = 0; i < count; i++)
        list[i] = items + i * size;
    return list;
}

/* ---- QUERY ---- */

ProtobufCMessage *build_query(struct arena *arena, const struct control *control)
{
    const struct query_msg *q = &control->query;
    Weft__Query *m = arena_alloc(arena, sizeof(*m));
    char **arguments = arena_array(arena, q->n_args, sizeof(*arguments));
    if (!m || !arguments)
        return NULL;
    for (size_t i = 0; i < q->n_args; i++)
        arguments[i] = pb_text(q->args[i]);
    weft__query__init(m);
    m->parts = q->parts;
    m->route = pb_text(q->route);
    m->command = pb_text(q->command);
    m->n_arguments = q->n_args;
    m->arguments = arguments;
    return &m->base;
}

int read_query(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Query *m = (const Weft__Query *)message;
    control->query = (struct query_msg){
        .parts = m->parts,
        .route = m->route,
        .command = m->command,
        .args = (const char *const *)m->arguments,
        .n_args = m->n_arguments,
    };
    return 0;
}

/* ---- Status ---- */

static void build_stats(const weft_stats *s, Weft__Stats *m)
{
    weft__stats__init(m);
    m->uptime = ns_from_ms(s->uptime_ms);
    m->peers = s->peers;
    m->intents = s->intents;
    m->interests = s->interests;
    m->remote_intents = s->remote_intents;
    m->remote_interests = s->remote_interests;
    m->messages_in = s->messages_in;
    m->messages_out = s->messages_out;
    m->bytes_in = s->bytes_in;
    m->bytes_out = s->bytes_out;
    m->delivered = s->delivered;
    m->relayed = s->relayed;
    m->n_dropped = count_drops(s->dropped);
    m->dropped = (uint64_t *)s->dropped;
    m->dials = s->dials;
    m->dials_failed = s->dials_failed;
    m->refused = s->refused;
    m->outbox_bytes = s->outbox_bytes;
}

static void read_stats(const Weft__Stats *m, weft_stats *s)
{
    *s = (weft_stats){
        .uptime_ms = m->uptime / NS_PER_MS,
        .peers = m->peers,
        .intents = m->intents,
        .interests = m->interests,
        .remote_intents = m->remote_intents,
        .remote_interests = m->remote_interests,
        .messages_in = m->messages_in,
        .messages_out = m->messages_out,
        .bytes_in = m->bytes_in,
        .bytes_out = m->bytes_out,
        .delivered = m->delivered,
        .relayed = m->relayed,
        .dials = m->dials,
        .dials_failed = m->dials_failed,
        .refused = m->refused,
        .outbox_bytes = size_from_wire(m->outbox_bytes),
    };
    read_drops(m->dropped, m->n_dropped, s->dropped);
}

/* NULL when the arena fails. */
static Weft__Status *build_status(struct arena *arena, const weft_status *s)
{
    Weft__Status *m = arena_alloc(arena, sizeof(*m));
    Weft__Stats *stats = arena_alloc(arena, sizeof(*stats));
    if (!m || !stats)
        return NULL;
    build_stats(&s->stats, stats);
    weft__status__init(m);
    m->url = pb_text(s->url);
    m->path = pb_text(s->path);
    m->agent = pb_text(s->agent);
    m->version = pb_text(s->version);
    m->network = pb_text(s->network);
    m->listen = pb_text(s->listen);
    m->addrbook = pb_text(s->addrbook);
    m->node_id = id_to_wire(s->node_id);
    m->role = role_to_wire(s->role);
    m->log_level = (uint32_t)s->log_level;
    m->pid = s->pid;
    m->now = s->now;
    m->started = s->started;
    m->max_frame = s->max_frame;
    m->max_peers = s->max_peers;
    m->max_routes = s->max_routes;
    m->outbox = s->outbox;
    m->stats = stats;
    return m;
}

static int read_status(struct arena *arena, const Weft__Status *m, weft_status **ret_status)
{
    weft_status *s = arena_alloc(arena, sizeof(*s));
    if (!s)
        return arena->error;
    *s = (weft_status){
        .url = m->url,
        .path = m->path,
        .agent = m->agent,
        .version = m->version,
        .network = m->network,
        .listen = m->listen,
        .addrbook = m->addrbook,
        .role = role_from_wire(m->role),
        .log_level = level_from_wire(m->log_level),
        .pid = m->pid,
        .now = m->now,
        .started = m->started,
        .max_frame = m->max_frame,
        .max_peers = m->max_peers,
        .max_routes = m->max_routes,
        .outbox = m->outbox,
    };
    if (m->stats)
        read_stats(m->stats, &s->stats);
    *ret_status = s;
    return id_from_wire(&m->node_id, s->node_id);
}

/* ---- Peers, routes, entries, incidents ---- */

static void build_peer(const weft_peer_info *p, Weft__PeerStatus *m)
{
    weft__peer_status__init(m);
    m->url = pb_text(p->url);
    m->path = pb_text(p->path);
    m->agent = pb_text(p->agent);
    m->state = pb_text(p->state);
    m->node_id = id_to_wire(p->node_id);
    m->role = role_to_wire(p->role);
    m->inbound = p->inbound;
    m->base_peer = p->base;
    m->features = p->features;
    m->uptime = ns_from_ms(p->uptime_ms);
    m->rtt = p->rtt_ns;
    m->jitter = p->jitter_ns;
    m->messages_in = p->messages_in;
    m->messages_out = p->messages_out;
    m->bytes_in = p->bytes_in;
    m->bytes_out = p->bytes_out;
    m->outbox_bytes = p->outbox_bytes;
    m->n_dropped = count_drops(p->dropped);
    m->dropped = (uint64_t *)p->dropped;
    m->last_error = pb_text(p->last_error);
    m->next_dial = dial_to_wire(p->next_dial_ms);
    m->failed_attempts = p->failed_attempts;
    m->persistent = p->persistent;
}

static int read_peer(const Weft__PeerStatus *m, weft_peer_info *p)
{
    *p = (weft_peer_info){
        .url = m->url,
        .path = m->path,
        .agent = m->agent,
        .state = m->state,
        .role = role_from_wire(m->role),
        .inbound = m->inbound,
        .base = m->base_peer,
        .features = m->features,
        .uptime_ms = m->uptime / NS_PER_MS,
        .rtt_ns = m->rtt,
        .jitter_ns = m->jitter,
        .messages_in = m->messages_in,
        .messages_out = m->messages_out,
        .bytes_in = m->bytes_in,
        .bytes_out = m->bytes_out,
        .outbox_bytes = size_from_wire(m->outbox_bytes),
        .last_error = m->last_error,
        .next_dial_ms = dial_from_wire(m->next_dial),
        .failed_attempts = m->failed_attempts,
        .persistent = m->persistent,
    };
    read_drops(m->dropped, m->n_dropped, p->dropped);
    return id_from_wire(&m->node_id, p->node_id);
}

static void build_route(const weft_route_info *r, Weft__RouteStatus *m)
{
    weft__route_status__init(m);
    m->route = pb_text(r->route);
    m->peer = pb_text(r->peer);
    m->intent = r->intent;
    m->hops = r->hops;
    m->matches = r->matches;
    m->messages = r->messages;
    m->n_dropped = count_drops(r->dropped);
    m->dropped = (uint64_t *)r->dropped;
    m->via = pb_text(r->via);
    m->schema = r->schema;
}

static void read_route(const Weft__RouteStatus *m, weft_route_info *r)
{
    *r = (weft_route_info){
        .route = m->route,
        .peer = text_or_null(m->peer),
        .intent = m->intent,
        .hops = m->hops,
        .matches = m->matches,
        .messages = m->messages,
        .via = text_or_null(m->via),
        .schema = m->schema,
    };
    read_drops(m->dropped, m->n_dropped, r->dropped);
}

static void build_incident(const weft_incident *i, Weft__Incident *m)
{
    weft__incident__init(m);
    m->time = i->time;
    m->count = i->count;
    m->type = (Weft__IncidentType)i->type; /* numbered alike */
    m->error = i->error;
    m->peer = pb_text(i->peer);
    m->route = pb_text(i->route);
    m->text = pb_text(i->text);
}

static void read_incident(const Weft__Incident *m, weft_incident *i)
{
    *i = (weft_incident){
        .time = m->time,
        .count = m->count,
        .type = incident_from_wire(m->type),
        .error = m->error > 0 ? WEFT_EPROTO : m->error,
        .peer = m->peer,
        .route = m->route,
        .text = m->text,
    };
}

/* ---- ANSWER ---- */

/* WEFT_ENOMEM or WEFT_ELIMIT of the arena. */
static int build_lists(struct arena *arena, const struct answer_msg *a, Weft__Answer *m)
{
    m->peers = new_list(arena, a->n_peers, sizeof(**m->peers));
    m->routes = new_list(arena, a->n_routes, sizeof(**m->routes));
    m->entries = new_list(arena, a->n_records, sizeof(**m->entries));
    m->incidents = new_list(arena, a->n_incidents, sizeof(**m->incidents));
    if (!m->peers || !m->routes || !m->entries || !m->incidents)
        return arena->error;
    for (size_t i = 0; i < a->n_peers; i++)
        build_peer(&a->peers[i], m->peers[i]);
    for (size_t i = 0; i < a->n_routes; i++)
        build_route(&a->routes[i], m->routes[i]);
    for (size_t i = 0; i < a->n_records; i++)
        build_record(&a->records[i], m->entries[i]);
    for (size_t i = 0; i < a->n_incidents; i++)
        build_incident(&a->incidents[i], m->incidents[i]);
    m->n_peers = a->n_peers;
    m->n_routes = a->n_routes;
    m->n_entries = a->n_records;
    m->n_incidents = a->n_incidents;
    return 0;
}

ProtobufCMessage *build_answer(struct arena *arena, const struct control *control)
{
    const struct answer_msg *a = &control->answer;
    Weft__Answer *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__answer__init(m);
    m->nonce = a->nonce;
    m->more = a->more;
    m->text = pb_text(a->text);
    if (a->status) {
        m->status = build_status(arena, a->status);
        if (!m->status)
            return NULL;
    }
    return build_lists(arena, a, m) < 0 ? NULL : &m->base;
}

static int new_arrays(struct arena *arena, struct answer_msg *a)
{
    a->peers = arena_array(arena, a->n_peers, sizeof(*a->peers));
    a->routes = arena_array(arena, a->n_routes, sizeof(*a->routes));
    a->records = arena_array(arena, a->n_records, sizeof(*a->records));
    a->incidents = arena_array(arena, a->n_incidents, sizeof(*a->incidents));
    return a->peers && a->routes && a->records && a->incidents ? 0 : arena->error;
}

static int read_lists(const Weft__Answer *m, struct answer_msg *a)
{
    int rc = 0;
    for (size_t i = 0; i < a->n_peers && rc == 0; i++)
        rc = read_peer(m->peers[i], &a->peers[i]);
    for (size_t i = 0; i < a->n_routes; i++)
        read_route(m->routes[i], &a->routes[i]);
    for (size_t i = 0; i < a->n_records && rc == 0; i++)
        rc = read_record(m->entries[i], &a->records[i]);
    for (size_t i = 0; i < a->n_incidents; i++)
        read_incident(m->incidents[i], &a->incidents[i]);
    return rc;
}

int read_answer(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Answer *m = (const Weft__Answer *)message;
    struct answer_msg *a = &control->answer;
    *a = (struct answer_msg){
        .nonce = m->nonce,
        .more = m->more,
        .n_peers = m->n_peers,
        .n_routes = m->n_routes,
        .n_records = m->n_entries,
        .n_incidents = m->n_incidents,
        .text = m->text,
    };
    int rc = new_arrays(arena, a);
    if (rc == 0)
        rc = read_lists(m, a);
    if (rc == 0 && m->status)
        rc = read_status(arena, m->status, &a->status);
    return rc;
}
