#include "tests/proto/samples.h"

#include <weft/weft.h>

#include "base/util.h"
#include "tests/check.h"

static const uint8_t id_a[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

struct decl sample_decls[SAMPLE_DECLS] = {
    {.route = "T@a.b",
     .hops = 2,
     .ttl_ns = 60 * NS_PER_SEC,
     .registered = true,
     .alias = 77,
     .schema = UINT64_C(0xfedcba9876543210),
     .origin = "tcp://h:1/a"},
    {.route = "U@c", .origin = ""},
};
static struct decl sample_wants[] = {
    {.route = "*@a.**", .hops = 1, .ttl_ns = 5, .registered = true, .schema = 9, .origin = ""},
    {.route = "U@c", .origin = ""},
};
static const char *const sample_ids[] = {"tcp://h:1/a", "tcp://[::1]:2/b", ""};
struct book_record sample_records[SAMPLE_RECORDS] = {
    {.peer = "tcp://h:1/a",
     .max_attempts = 10,
     .default_backoff_ns = NS_PER_SEC,
     .max_backoff_ns = 60 * NS_PER_SEC,
     .multiplier = 1.5f,
     .attempts = 4,
     .failed_attempts = 3,
     .last_success = UINT64_C(1795230441000909513),
     .backoff_ns = 7,
     .persistent = true,
     .node_id = id_a,
     .source = "tcp://h:2",
     .origin = WEFT_ORIGIN_GOSSIP,
     .last_error = "refused",
     .banned_until = 8,
     .added = 9,
     .linked = true,
     .dialing = true,
     .next_dial_ns = 11},
    {.peer = "tcp://h:3",
     .source = "",
     .last_error = "",
     .origin = WEFT_ORIGIN_OPERATOR,
     .in_config = true},
};

const uint32_t types[SAMPLE_TYPES] = {MSG_INTENT,    MSG_INTENTS,       MSG_INTEREST, MSG_INTERESTS,
                                      MSG_RESULT,    MSG_NOTIFY_INTENT, MSG_PING,     MSG_PONG,
                                      MSG_HANDSHAKE, MSG_PEERS,         MSG_ADDRBOOK, MSG_GOODBYE,
                                      MSG_DIGEST,    MSG_QUERY,         MSG_ANSWER};

struct control sample(uint32_t type)
{
    struct control c = {.type = type};
    switch (type) {
    case MSG_INTENT:
    case MSG_INTENTS:
        c.decls.items = sample_decls;
        c.decls.count = type == MSG_INTENT ? 1 : 2;
        break;
    case MSG_INTEREST:
    case MSG_INTERESTS:
        c.decls.items = sample_wants;
        c.decls.count = type == MSG_INTEREST ? 1 : 2;
        break;
    case MSG_NOTIFY_INTENT:
        c.notify.route = "T@a";
        break;
    case MSG_RESULT:
        c.result.nonce = UINT64_MAX;
        c.result.error = RESULT_SCHEMA;
        c.result.description = "schemas differ";
        c.result.route = "T@a";
        c.result.intent = true;
        break;
    case MSG_PONG:
        c.ping.receive_timestamp = 5;
        c.ping.ping_timestamp = UINT64_C(1) << 63;
        c.ping.payload = id_a;
        c.ping.payload_len = 15;
        break;
    case MSG_PING:
        c.ping.payload = id_a;
        c.ping.payload_len = 16;
        break;
    case MSG_HANDSHAKE:
        c.handshake = (struct handshake_msg){.me = "tcp://h:1/a",
                                             .you = "tcp://h:2/b",
                                             .stage = STAGE_INITIAL,
                                             .intents = sample_decls,
                                             .n_intents = 2,
                                             .interests = sample_wants,
                                             .n_interests = 2,
                                             .version = PROTO_VERSION,
                                             .node_id = id_a,
                                             .incarnation = UINT64_MAX - 1,
                                             .network = "lab",
                                             .agent = "weft/0",
                                             .features = 0x7f,
                                             .max_frame = FRAME_MAX_DEFAULT,
                                             .role = ROLE_LEAF};
        break;
    case MSG_PEERS:
        c.peers.ids = sample_ids;
        c.peers.count = ARRAY_LEN(sample_ids);
        c.peers.remove = true;
        break;
    case MSG_ADDRBOOK:
        c.book.records = sample_records;
        c.book.count = ARRAY_LEN(sample_records);
        break;
    case MSG_GOODBYE:
        c.goodbye.reason = GOODBYE_IDLE;
        c.goodbye.description = "idle";
        break;
    case MSG_DIGEST:
        c.digest.intents = 3;
        c.digest.intents_hash = UINT64_MAX;
        c.digest.interests = UINT32_MAX;
        c.digest.interests_hash = 1;
        c.digest.resync = true;
        break;
    case MSG_QUERY:
    case MSG_ANSWER:
        return sample_info(type);
    }
    return c;
}

/* ---- Comparing ---- */

static void same_decls(const struct decl *a, const struct decl *b, size_t n, bool intents)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_STR(a[i].route, b[i].route);
        CHECK_STR(a[i].origin, b[i].origin);
        CHECK(a[i].hops == b[i].hops && a[i].ttl_ns == b[i].ttl_ns);
        CHECK(a[i].registered == b[i].registered && a[i].schema == b[i].schema);
        CHECK_EQ(a[i].alias, intents ? b[i].alias : 0);
    }
}

static void same_node_id(const uint8_t *a, const uint8_t *b)
{
    CHECK(!a == !b);
    CHECK(!a || memcmp(a, b, 16) == 0);
}

void same_records(const struct book_record *a, const struct book_record *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_STR(a[i].peer, b[i].peer);
        CHECK_STR(a[i].source, b[i].source);
        CHECK_STR(a[i].last_error, b[i].last_error);
        same_node_id(a[i].node_id, b[i].node_id);
        CHECK(a[i].max_attempts == b[i].max_attempts && a[i].attempts == b[i].attempts);
        CHECK(a[i].default_backoff_ns == b[i].default_backoff_ns);
        CHECK(a[i].max_backoff_ns == b[i].max_backoff_ns && a[i].backoff_ns == b[i].backoff_ns);
        CHECK(a[i].multiplier == b[i].multiplier);
        CHECK(a[i].failed_attempts == b[i].failed_attempts && a[i].origin == b[i].origin);
        CHECK(a[i].last_success == b[i].last_success && a[i].persistent == b[i].persistent);
        CHECK(a[i].banned_until == b[i].banned_until && a[i].added == b[i].added);
        CHECK(a[i].linked == b[i].linked && a[i].dialing == b[i].dialing);
        CHECK_EQ(a[i].next_dial_ns, b[i].next_dial_ns);
        CHECK_EQ(a[i].in_config, b[i].in_config);
    }
}

static void same_handshake(const struct handshake_msg *a, const struct handshake_msg *b)
{
    CHECK_STR(a->me, b->me);
    CHECK_STR(a->you, b->you);
    CHECK_STR(a->network, b->network);
    CHECK_STR(a->agent, b->agent);
    CHECK(a->stage == b->stage && a->version == b->version && a->role == b->role);
    CHECK(a->incarnation == b->incarnation && a->features == b->features);
    CHECK_EQ(a->max_frame, b->max_frame);
    same_node_id(a->node_id, b->node_id);
    CHECK(a->n_intents == b->n_intents && a->n_interests == b->n_interests);
    same_decls(a->intents, b->intents, a->n_intents, true);
    same_decls(a->interests, b->interests, a->n_interests, false);
}

static void same_link(const struct control *a, const struct control *b)
{
    switch (a->type) {
    case MSG_RESULT:
        CHECK(a->result.nonce == b->result.nonce && a->result.error == b->result.error);
        CHECK_STR(a->result.description, b->result.description);
        CHECK_STR(a->result.route, b->result.route);
        CHECK_EQ(a->result.intent, b->result.intent);
        break;
    case MSG_PONG:
        CHECK(a->ping.receive_timestamp == b->ping.receive_timestamp);
        CHECK(a->ping.ping_timestamp == b->ping.ping_timestamp);
        __attribute__((fallthrough));
    case MSG_PING:
        CHECK_EQ(a->ping.payload_len, b->ping.payload_len);
        CHECK_MEM(a->ping.payload, b->ping.payload, a->ping.payload_len);
        break;
    case MSG_PEERS:
        CHECK(a->peers.count == b->peers.count && a->peers.remove == b->peers.remove);
        for (size_t i = 0; i < a->peers.count; i++)
            CHECK_STR(a->peers.ids[i], b->peers.ids[i]);
        break;
    case MSG_GOODBYE:
        CHECK_EQ(a->goodbye.reason, b->goodbye.reason);
        CHECK_STR(a->goodbye.description, b->goodbye.description);
        break;
    case MSG_DIGEST:
        CHECK(a->digest.intents == b->digest.intents && a->digest.resync == b->digest.resync);
        CHECK_EQ(a->digest.interests, b->digest.interests);
        CHECK(a->digest.intents_hash == b->digest.intents_hash);
        CHECK(a->digest.interests_hash == b->digest.interests_hash);
        break;
    default:
        FAIL("type %u is not compared", a->type);
    }
}

void same_control(const struct control *a, const struct control *b)
{
    CHECK_EQ(a->type, b->type);
    switch (a->type) {
    case MSG_INTENT:
    case MSG_INTENTS:
    case MSG_INTEREST:
    case MSG_INTERESTS:
        CHECK_EQ(a->decls.count, b->decls.count);
        same_decls(a->decls.items, b->decls.items, a->decls.count,
                   a->type == MSG_INTENT || a->type == MSG_INTENTS);
        break;
    case MSG_NOTIFY_INTENT:
        CHECK_STR(a->notify.route, b->notify.route);
        break;
    case MSG_HANDSHAKE:
        same_handshake(&a->handshake, &b->handshake);
        break;
    case MSG_ADDRBOOK:
        CHECK_EQ(a->book.count, b->book.count);
        same_records(a->book.records, b->book.records, a->book.count);
        break;
    case MSG_QUERY:
        same_query(&a->query, &b->query);
        break;
    case MSG_ANSWER:
        same_answer(&a->answer, &b->answer);
        break;
    default:
        same_link(a, b);
    }
}
