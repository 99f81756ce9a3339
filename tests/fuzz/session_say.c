/* What the peers of a session say: records made into frames. */
#include "session.h"

#include <weft/weft.h>

#include "proto/codec.h"

const struct who whos[WHOS] = {
    {"tcp://10.0.0.1:7400/p1", "10.0.0.1", 0x01, ROLE_PEER, false},
    {"tcp://10.0.0.2:7400/p2", "10.0.0.2", 0xf2, ROLE_PEER, false},
    {"tcp://10.0.0.3:7400/p3", "10.0.0.3", 0, ROLE_PEER, true},
    {"tcp://0.0.0.0:0/self.leaf", "10.0.0.4", 0x04, ROLE_LEAF, false},
    {"tcp://0.0.0.0:0/c", "10.0.0.5", 0x05, ROLE_CLIENT, false},
    {"tcp://10.0.0.9:7400/p1", "10.0.0.9", 0x01, ROLE_PEER, false}, /* another name of the first */
    {"tcp://10.0.0.50:7400/self", "10.0.0.50", 0x55, ROLE_PEER, false}, /* the mesh itself */
    {"tcp://0.0.0.0:7400/p7", "10.0.0.7", 0xf7, ROLE_PEER, false},
    {"unix:///run/weft.sock/self.unix", "", 0x08, ROLE_LEAF, false},
};
const struct who honest = {"tcp://10.9.9.9:7400/honest", "10.9.9.9", 0x99, ROLE_PEER, false};

static const char *const names[URLS - WHOS] = {
    "tcp://127.0.0.1:7400/loop", "tcp://0.0.0.0:7400/any",
    "tcp://h.lan:7400/p1",       "tcp://10.0.0.1:7400/other",
    "tcp://10.0.0.1:7401/p1",    "tcp://[::1]:7400/six",
    "unix:///run/x.sock/u",      "no url",
    "tcp://10.0.0.50:7400/self", "tcp://0.0.0.0:0/none",
    "inproc://name/in",
};

static const char *const routes[] = {
    "T@p1.a",
    "T@p2.a",
    "T@self.a",
    "T@p1/a",
    "U@p1.a",
    "*@**",
    "*@p1.*",
    "T@**.a",
    "T@self.leaf.x",
    "T@self.leaf.*",
    "p1#bM0pVbnRwMlhRzGWmRkVWFJ4DVM",
    "#bM0pVbnRwMlhRzGWmRkVWFJ4DVM",
    "T@",
    "T@p1.a.b.c",
    "*@self.**",
    "T@other.x",
    "T@p3.a",
    "*@*.a",
    "T@c.a",
    "T@p7.a",
    "T@self.unix.y",
    "T@**",
    "*@p3.**",
    "T@p1..a",
    "T@self/leaf/x",
};

const char *name_of(uint8_t index, char *room, size_t size)
{
    if (index < WHOS)
        return whos[index].url;
    if (index < URLS)
        return names[index - WHOS];
    snprintf(room, size, "tcp://10.1.0.%u:7400/g%u", index, index);
    return room;
}

const char *route_of(uint8_t index, char *room, size_t size)
{
    if (index < ARRAY_LEN(routes))
        return routes[index];
    if (index == 255) { /* as long as one may be */
        snprintf(room, size, "T@p1.%01019d", 0);
        return room;
    }
    snprintf(room, size, "T@%s.r%u", index & 1 ? "p1" : "self", index);
    return room;
}

static const uint64_t all_features = FEATURE_COMPACT | FEATURE_PATTERNS | FEATURE_DIGEST |
                                     FEATURE_GOODBYE | FEATURE_BOOK | FEATURE_INFO;

/* ---- The handshake ---- */

static struct decl lists[4] = {
    {.route = "T@p1.a", .registered = true, .alias = 1, .origin = ""},
    {.route = "T@p2.a", .registered = true, .alias = 2, .ttl_ns = NS_PER_SEC, .origin = ""},
    {.route = "*@self.**", .registered = true, .origin = ""},
    {.route = "T@self.a", .registered = true, .schema = 7, .origin = ""},
};

/* how->b: features, c: incarnation and stamp, d: 1 lists, 2 no version, 4 another role, 8 another
 * network, 16 small frames, 32 no node id. */
void world_greet(struct world *w, struct slot *s, enum stage stage, const char *me, const char *you,
                 const struct record *how)
{
    uint8_t id[16];
    bool base = s->who->base || (how->d & 2), other = how->d & 4;
    memset(id, s->who->id, sizeof(id));
    if (s->who->id == 0x55)
        memcpy(id, w->config.node_id, sizeof(id));
    const char *network = how->d & 8 ? "elsewhere" : w->config.network;
    struct control c = {.type = MSG_HANDSHAKE, .handshake = {.me = me, .you = you, .stage = stage}};
    if (!base) {
        c.handshake.version = PROTO_VERSION;
        c.handshake.node_id = s->who->id && !(how->d & 32) ? id : NULL;
        c.handshake.incarnation = 1u + (how->c & 3u) / 2u;
        c.handshake.network = network ? network : "";
        c.handshake.agent = "fuzz";
        c.handshake.features = how->b == 0 ? all_features : how->b;
        c.handshake.max_frame = how->d & 16 ? 1000 : FRAME_MAX_DEFAULT;
        c.handshake.role = (enum role)((s->who->role + other) % 3);
    }
    s->features = s->named ? s->features : c.handshake.features;
    s->named = true;
    if (how->d & 1) {
        c.handshake.intents = lists;
        c.handshake.n_intents = 2;
        c.handshake.interests = lists + 2;
        c.handshake.n_interests = 2;
    }
    w->stamp = max_u64(w->stamp + 1, w->now.wall_ns);
    uint64_t stamp = how->c & 1 ? how->c * NS_PER_SEC : w->stamp;
    world_send(w, s, &c, stamp, false);
}

static bool greet_step(struct world *w, struct slot *s, enum stage stage, const struct record *how)
{
    bool *sent = stage == STAGE_INITIAL ? &s->sent_initial : &s->sent_final;
    if (*sent)
        return false;
    *sent = true;
    const char *me = s->called[0] ? s->called : s->who->url;
    const char *you = s->its_me[0] ? s->its_me : "tcp://10.0.0.50:7400/self";
    world_greet(w, s, stage, me, you, how);
    return true;
}

static bool peers_step(struct world *w, struct slot *s)
{
    struct control c = {.type = MSG_PEERS};
    if (s->sent_peers)
        return false;
    s->sent_peers = true;
    world_send(w, s, &c, w->now.wall_ns, false);
    return true;
}

/* A base peer answers with FINAL and PEERS; what it dials tells it FINAL first. */
static bool shake_base(struct world *w, struct slot *s, const struct record *how)
{
    if (s->link->outbound)
        return (s->got_initial && greet_step(w, s, STAGE_FINAL, how)) ||
               (s->sent_final && peers_step(w, s));
    return greet_step(w, s, STAGE_INITIAL, how) ||
           (s->got_final && greet_step(w, s, STAGE_FINAL, how));
}

bool world_shake(struct world *w, struct slot *s, const struct record *how)
{
    if (!s->used || !s->opened || !s->who)
        return false;
    if (s->who->base || (how->d & 2))
        return shake_base(w, s, how);
    if (s->link->outbound)
        return (s->got_initial && greet_step(w, s, STAGE_INITIAL, how)) ||
               (s->got_final && greet_step(w, s, STAGE_FINAL, how)) ||
               (s->sent_final && peers_step(w, s));
    return greet_step(w, s, STAGE_INITIAL, how) ||
           (s->got_initial && greet_step(w, s, STAGE_FINAL, how)) ||
           (s->got_peers && peers_step(w, s));
}

/* ---- Messages ---- */

static void say_decls(struct world *w, struct slot *s, const struct record *r)
{
    static const uint32_t kinds[] = {MSG_INTENT, MSG_INTENTS, MSG_INTEREST, MSG_INTERESTS};
    static const uint64_t ttls[] = {60 * NS_PER_SEC, 0, NS_PER_SEC, 1};
    static char rooms[64][ROUTE_ROOM], origins[64][NAME_ROOM];
    struct decl items[64];
    size_t n = 0;
    for (size_t i = 0; i + 3 < r->n && n < ARRAY_LEN(items); i += 4, n++) {
        uint8_t how = r->bytes[i + 1], origin = r->bytes[i + 3];
        items[n] = (struct decl){
            .route = route_of(r->bytes[i], rooms[n], sizeof(rooms[n])),
            .hops = how >> 4,
            .ttl_ns = ttls[how >> 2 & 3],
            .registered = !(how & 1),
            .alias = r->bytes[i + 2],
            .schema = how & 2 ? how >> 4 : 0,
            .origin = origin ? name_of(origin, origins[n], sizeof(origins[n])) : "",
        };
    }
    struct control c = {.type = kinds[r->a % 4], .decls = {.items = items, .count = n}};
    if (n == 0)
        return;
    if (r->a % 2 == 0)
        c.decls.count = 1;
    world_send(w, s, &c, w->now.wall_ns, r->b & 1);
}

static void say_peers(struct world *w, struct slot *s, const struct record *r)
{
    static char rooms[512][NAME_ROOM];
    static const char *ids[512];
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++, n++)
        ids[n] = name_of(r->bytes[i], rooms[n], sizeof(rooms[n]));
    for (size_t i = 0; i < 8 * (size_t)(r->b % 32); i++, n++) {
        snprintf(rooms[n], sizeof(rooms[n]), "tcp://10.%u.%u.%zu:7400/x", 2 + r->c, r->d, i);
        ids[n] = rooms[n];
    }
    struct control c = {.type = MSG_PEERS, .peers = {.ids = ids, .count = n, .remove = r->a & 1}};
    world_send(w, s, &c, w->now.wall_ns, false);
}

static void say_book(struct world *w, struct slot *s, const struct record *r)
{
    static char rooms[256][NAME_ROOM];
    struct book_record records[256];
    for (size_t i = 0; i < r->n; i++)
        records[i] = (struct book_record){
            .peer = name_of(r->bytes[i], rooms[i], sizeof(rooms[i])),
            .source = "",
            .last_error = "",
        };
    struct control c = {.type = MSG_ADDRBOOK, .book = {.records = records, .count = r->n}};
    world_send(w, s, &c, w->now.wall_ns, r->a & 1);
}

static void say_digest(struct world *w, struct slot *s, const struct record *r)
{
    struct router_digest d;
    router_digest_held(mesh_router(w->mesh), s->link->id, &d);
    struct control c = {.type = MSG_DIGEST,
                        .digest = {.intents = d.intents + (r->a % 3 == 1),
                                   .intents_hash = d.intents_hash + r->b,
                                   .interests = d.interests,
                                   .interests_hash = d.interests_hash,
                                   .resync = r->a % 3 == 2}};
    if (r->a % 3 == 0)
        c.digest.intents_hash = d.intents_hash;
    world_send(w, s, &c, w->now.wall_ns, false);
}

static void say_ping(struct world *w, struct slot *s, const struct record *r)
{
    bool echo = r->op == OP_PONG && r->a == 0;
    struct control c = {.type = r->op == OP_PING ? MSG_PING : MSG_PONG,
                        .ping = {.payload = echo ? s->ping : r->bytes,
                                 .payload_len = echo ? s->ping_len : r->n,
                                 .ping_timestamp = r->b}};
    if (c.ping.payload_len == 0)
        c.ping.payload = NULL;
    world_send(w, s, &c, w->now.wall_ns, r->c & 1);
}

static void say_words(struct world *w, struct slot *s, const struct record *r)
{
    char text[256];
    snprintf(text, sizeof(text), "%.*s", (int)r->n, (const char *)r->bytes);
    struct control c = {.type = MSG_GOODBYE, .goodbye = {.reason = r->a, .description = text}};
    if (r->op == OP_RESULT)
        c = (struct control){
            .type = MSG_RESULT,
            .result = {.nonce = r->d & 1 ? s->nonce : r->b, .error = r->a, .description = text},
        };
    for (char *p = text; *p; p++)
        *p = (char)(*p & 0x7f);
    world_send(w, s, &c, w->now.wall_ns, r->c & 1);
}

static void say_greet(struct world *w, struct slot *s, const struct record *r)
{
    char me[NAME_ROOM], you[NAME_ROOM];
    struct record how = {.b = r->n ? r->bytes[0] : 0, .c = r->n > 1 ? r->bytes[1] : 0, .d = r->d};
    if (s->who)
        world_greet(w, s, (enum stage)(r->a % 5), name_of(r->b, me, sizeof(me)),
                    name_of(r->c, you, sizeof(you)), &how);
}

/* A frame with a Header of type `type` and the bytes of the record as its body. */
static void say_frame(struct world *w, struct slot *s, const struct record *r, uint32_t type,
                      const char *route)
{
    uint8_t out[FRAME_HEADER_MAX + 1024];
    struct header h = {
        .timestamp = w->now.wall_ns,
        .type = type,
        .want_result = r->d & 1,
        .route = route,
        .route_len = route ? strlen(route) : 0,
    };
    size_t n = frame_put_standard(out, &h, r->n);
    memcpy(out + n, r->bytes, r->n);
    world_feed(w, s, out, n + r->n);
}

static void say_message(struct world *w, struct slot *s, const struct record *r)
{
    char room[ROUTE_ROOM];
    uint8_t out[FRAME_COMPACT_HEAD + 256];
    if (!(r->a & 1)) {
        say_frame(w, s, r, r->c & 1 ? MSG_USER + r->d : MSG_MESSAGE,
                  route_of(r->b, room, sizeof(room)));
        return;
    }
    frame_put_compact(out, r->b, w->now.wall_ns, r->n);
    memcpy(out + FRAME_COMPACT_HEAD, r->bytes, r->n);
    world_feed(w, s, out, (size_t)FRAME_COMPACT_HEAD + r->n);
}

void session_say(struct world *w, struct slot *s, const struct record *r)
{
    switch ((enum op)r->op) {
    case OP_DECLS:
        say_decls(w, s, r);
        break;
    case OP_PEERS:
        say_peers(w, s, r);
        break;
    case OP_BOOK:
        say_book(w, s, r);
        break;
    case OP_DIGEST:
        say_digest(w, s, r);
        break;
    case OP_PING:
    case OP_PONG:
        say_ping(w, s, r);
        break;
    case OP_GOODBYE:
    case OP_RESULT:
        say_words(w, s, r);
        break;
    case OP_GREET:
        say_greet(w, s, r);
        break;
    case OP_MESSAGE:
        say_message(w, s, r);
        break;
    case OP_RAW:
        world_feed(w, s, r->bytes, r->n);
        break;
    case OP_QUERY:
        say_query(w, s, r);
        break;
    case OP_ANSWER:
        say_answer(w, s, r);
        break;
    case OP_TYPE:
        say_frame(w, s, r, r->a + 256u * r->b, NULL);
        break;
    default:
        break;
    }
}
