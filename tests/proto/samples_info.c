/* QUERY and ANSWER (docs/protocol.md section 9). */
#include <weft/weft.h>

#include "base/util.h"
#include "tests/check.h"
#include "tests/proto/samples.h"

static const char *const arguments[] = {"tcp://h:1/a", "persistent=true", ""};

static weft_status status = {
    .url = "tcp://h:1/a",
    .path = "a",
    .agent = "weftd/0.3.0",
    .version = "0.3.0",
    .network = "lab",
    .listen = "tcp://h:1/a unix:///run/a.sock",
    .addrbook = "/var/lib/weft/addrbook",
    .node_id = {16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1},
    .role = WEFT_ROLE_CLIENT,
    .log_level = WEFT_LOG_DEBUG,
    .pid = UINT32_MAX,
    .now = UINT64_C(1795230441000909513),
    .started = UINT64_C(1795230440000000001),
    .max_frame = FRAME_MAX_DEFAULT,
    .max_peers = 1024,
    .max_routes = 1000000,
    .outbox = UINT64_C(1) << 40,
    .stats =
        {
            .uptime_ms = UINT64_C(1) << 40,
            .peers = 1,
            .intents = 2,
            .interests = 3,
            .remote_intents = 4,
            .remote_interests = 5,
            .messages_in = UINT64_MAX,
            .messages_out = 7,
            .bytes_in = 8,
            .bytes_out = 9,
            .delivered = 10,
            .relayed = 11,
            .dropped = {1, 2, 3, 4, 5, 6, 7, UINT64_MAX},
            .dials = 13,
            .dials_failed = 14,
            .refused = 15,
            .outbox_bytes = 16,
        },
};
static weft_peer_info peers[] = {
    {.url = "tcp://h:2/b",
     .path = "b",
     .agent = "weft/0.2.0",
     .state = "linked",
     .node_id = {1, [15] = 255},
     .role = WEFT_ROLE_LEAF,
     .inbound = true,
     .base = true,
     .features = 0x7f,
     .uptime_ms = 1,
     .rtt_ns = 2,
     .jitter_ns = 3,
     .messages_in = 4,
     .messages_out = 5,
     .bytes_in = 6,
     .bytes_out = UINT64_MAX,
     .outbox_bytes = 8,
     .dropped = {[3] = 9},
     .last_error = "refused by the other side",
     .next_dial_ms = 1500,
     .failed_attempts = 3,
     .persistent = true},
    {.role = WEFT_ROLE_PEER, .next_dial_ms = 0},
    {.role = WEFT_ROLE_PEER, .next_dial_ms = UINT64_MAX},
};
static weft_route_info routes[] = {
    {.route = "T@a.b",
     .peer = "tcp://h:3/c",
     .intent = true,
     .hops = 2,
     .matches = 3,
     .messages = UINT64_MAX,
     .dropped = {1, [7] = 2},
     .via = "tcp://h:2/b",
     .schema = UINT64_C(0xfedcba9876543210)},
    {.route = "*@**"},
};
static weft_incident incidents[] = {
    {.time = UINT64_C(1795230441000909513),
     .count = 7,
     .type = WEFT_EVENT_DIAL_FAILED,
     .error = WEFT_EBUSY,
     .peer = "tcp://h:2/b",
     .route = "T@a.b",
     .text = "nothing listens there"},
    {.type = WEFT_EVENT_PEER_DOWN},
    {.type = WEFT_EVENT_REFUSED},
    {.type = WEFT_EVENT_ROUTE_REFUSED},
    {.type = WEFT_EVENT_ADDRBOOK},
    {.type = WEFT_EVENT_WARNING},
};

struct control sample_info(uint32_t type)
{
    struct control c = {.type = type};
    if (type == MSG_QUERY)
        c.query = (struct query_msg){
            .parts = WEFT_PART_PEERS | WEFT_PART_INCIDENTS,
            .route = "T@a.**",
            .command = "add",
            .args = arguments,
            .n_args = ARRAY_LEN(arguments),
        };
    else
        c.answer = (struct answer_msg){
            .nonce = UINT64_MAX - 3,
            .more = true,
            .status = &status,
            .peers = peers,
            .n_peers = ARRAY_LEN(peers),
            .routes = routes,
            .n_routes = ARRAY_LEN(routes),
            .records = sample_records,
            .n_records = SAMPLE_RECORDS,
            .incidents = incidents,
            .n_incidents = ARRAY_LEN(incidents),
            .text = "added",
        };
    return c;
}

/* ---- Comparing ---- */

/* What is NULL here comes as "" there. */
static void same_text(const char *a, const char *b)
{
    CHECK_STR(a ? a : "", b ? b : "");
}

static void same_status(const weft_status *a, const weft_status *b)
{
    same_text(a->url, b->url);
    same_text(a->path, b->path);
    same_text(a->agent, b->agent);
    same_text(a->version, b->version);
    same_text(a->network, b->network);
    same_text(a->listen, b->listen);
    same_text(a->addrbook, b->addrbook);
    CHECK_MEM(a->node_id, b->node_id, 16);
    CHECK(a->role == b->role && a->log_level == b->log_level && a->pid == b->pid);
    CHECK(a->now == b->now && a->started == b->started && a->outbox == b->outbox);
    CHECK(a->max_frame == b->max_frame && a->max_peers == b->max_peers);
    CHECK_EQ(a->max_routes, b->max_routes);
    const weft_stats *s = &a->stats, *t = &b->stats;
    CHECK(s->uptime_ms == t->uptime_ms && s->peers == t->peers);
    CHECK(s->intents == t->intents && s->interests == t->interests);
    CHECK(s->remote_intents == t->remote_intents && s->remote_interests == t->remote_interests);
    CHECK(s->messages_in == t->messages_in && s->messages_out == t->messages_out);
    CHECK(s->bytes_in == t->bytes_in && s->bytes_out == t->bytes_out);
    CHECK(s->delivered == t->delivered && s->relayed == t->relayed);
    CHECK(s->dials == t->dials && s->dials_failed == t->dials_failed && s->refused == t->refused);
    CHECK_EQ(s->outbox_bytes, t->outbox_bytes);
    CHECK_MEM(s->dropped, t->dropped, sizeof(s->dropped));
}

static void same_peer(const weft_peer_info *a, const weft_peer_info *b)
{
    same_text(a->url, b->url);
    same_text(a->path, b->path);
    same_text(a->agent, b->agent);
    same_text(a->state, b->state);
    same_text(a->last_error, b->last_error);
    CHECK_MEM(a->node_id, b->node_id, 16);
    CHECK(a->role == b->role && a->inbound == b->inbound && a->base == b->base);
    CHECK(a->features == b->features && a->uptime_ms == b->uptime_ms);
    CHECK(a->rtt_ns == b->rtt_ns && a->jitter_ns == b->jitter_ns);
    CHECK(a->messages_in == b->messages_in && a->messages_out == b->messages_out);
    CHECK(a->bytes_in == b->bytes_in && a->bytes_out == b->bytes_out);
    CHECK(a->outbox_bytes == b->outbox_bytes && a->next_dial_ms == b->next_dial_ms);
    CHECK(a->failed_attempts == b->failed_attempts && a->persistent == b->persistent);
    CHECK_MEM(a->dropped, b->dropped, sizeof(a->dropped));
}

static void same_route(const weft_route_info *a, const weft_route_info *b)
{
    same_text(a->route, b->route);
    CHECK(!a->peer == !b->peer && !a->via == !b->via);
    same_text(a->peer, b->peer);
    same_text(a->via, b->via);
    CHECK(a->intent == b->intent && a->hops == b->hops && a->matches == b->matches);
    CHECK(a->messages == b->messages && a->schema == b->schema);
    CHECK_MEM(a->dropped, b->dropped, sizeof(a->dropped));
}

static void same_incident(const weft_incident *a, const weft_incident *b)
{
    CHECK(a->time == b->time && a->count == b->count);
    CHECK(a->type == b->type && a->error == b->error);
    same_text(a->peer, b->peer);
    same_text(a->route, b->route);
    same_text(a->text, b->text);
}

void same_answer(const struct answer_msg *a, const struct answer_msg *b)
{
    CHECK(a->nonce == b->nonce && a->more == b->more && !a->status == !b->status);
    same_text(a->text, b->text);
    CHECK(a->n_peers == b->n_peers && a->n_routes == b->n_routes);
    CHECK(a->n_records == b->n_records && a->n_incidents == b->n_incidents);
    if (a->status)
        same_status(a->status, b->status);
    for (size_t i = 0; i < a->n_peers; i++)
        same_peer(&a->peers[i], &b->peers[i]);
    for (size_t i = 0; i < a->n_routes; i++)
        same_route(&a->routes[i], &b->routes[i]);
    same_records(a->records, b->records, a->n_records);
    for (size_t i = 0; i < a->n_incidents; i++)
        same_incident(&a->incidents[i], &b->incidents[i]);
}

void same_query(const struct query_msg *a, const struct query_msg *b)
{
    CHECK(a->parts == b->parts && a->n_args == b->n_args);
    same_text(a->route, b->route);
    same_text(a->command, b->command);
    for (size_t i = 0; i < a->n_args; i++)
        CHECK_STR(a->args[i], b->args[i]);
}
