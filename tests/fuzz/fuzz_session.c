/* Target: a session, from the first connection to the last (session.h has the input). Each record
 * is done, then everything that holds is checked. At the end the faults stop, all other links are
 * gone, and a peer that keeps to the protocol must be served: it links, its intent meets our
 * interest, its PING is answered. Then the mesh leaves, and all memory is back. */
#include "session.h"

#include <weft/weft.h>

#include "proto/codec.h"

#define RECORDS_MAX 400
#define SERVED_WITHIN_NS (200 * NS_PER_SEC)

/* ---- What happens to connections ---- */

static struct slot *slot_from(struct world *w, uint8_t from, bool dialing)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &w->slots[(from + i) % SLOTS];
        if (s->used && s->dialing == dialing)
            return s;
    }
    return NULL;
}

static void connect_some(struct world *w, const struct record *r)
{
    const struct who *who = &whos[r->a % WHOS];
    unsigned used = 0;
    for (size_t i = 0; i < SLOTS; i++)
        used += w->slots[i].used;
    for (unsigned i = 0; i <= r->b / 16 && used + i + 24 < SLOTS; i++)
        world_connect(w, who, (r->b & 1) || !who->host[0]);
}

static const struct who *who_at(const char *url)
{
    for (size_t i = 0; i < WHOS; i++) {
        if (strcmp(whos[i].url, url) == 0)
            return &whos[i];
    }
    return strcmp(url, honest.url) == 0 ? &honest : NULL;
}

static void open_dial(struct world *w, struct slot *s, const struct record *r)
{
    static const int errors[] = {0, WEFT_EREFUSED, WEFT_ETIMEDOUT, WEFT_EUNREACHABLE};
    int error = errors[r->a % ARRAY_LEN(errors)];
    const struct who *who = who_at(s->dialled);
    s->dialing = false;
    s->opened = error == 0;
    s->who = who && !(r->c & 128) ? who : &whos[r->c % WHOS];
    mesh_opened(w->mesh, s->link, error, s->who->host, r->b & 1, w->now);
    world_drain(w);
}

static void cut(struct world *w, struct slot *s, const struct record *r)
{
    static const int errors[] = {WEFT_ECLOSED, WEFT_ELOST, WEFT_ENOMEM};
    if (s->dialing) {
        s->dialing = false;
        mesh_opened(w->mesh, s->link, WEFT_EREFUSED, "", false, w->now);
    } else {
        mesh_ended(w->mesh, s->link, errors[r->a % ARRAY_LEN(errors)], w->now);
    }
    world_drain(w);
}

static void shake(struct world *w, struct slot *s, const struct record *r)
{
    uint32_t id = s->link_id;
    for (unsigned i = 0; i < 4; i++) {
        if (!world_shake(w, s, r) || r->a || !s->used || s->link_id != id)
            return;
    }
}

/* ---- What our own program does ---- */

static void open_route(struct world *w, const struct record *r)
{
    struct router *router = mesh_router(w->mesh);
    struct open_route *o = NULL;
    for (size_t i = 0; i < ROUTES_OPEN && !o; i++)
        o = w->routes[i].used ? NULL : &w->routes[i];
    if (!o)
        return;
    char room[ROUTE_ROOM];
    *o = (struct open_route){.used = true, .intent = r->a & 1, .schema = r->c % 3};
    snprintf(o->text, sizeof(o->text), "%s", route_of(r->b, room, sizeof(room)));
    int rc = o->intent ? router_open_intent(router, o->text, o->schema, NULL, &o->rec)
                       : router_open_interest(router, o->text, o->schema, o, &o->handle);
    o->used = rc == 0;
    mesh_settle(w->mesh, w->now);
    world_drain(w);
}

static void close_route(struct world *w, uint8_t which)
{
    struct router *router = mesh_router(w->mesh);
    struct open_route *o = &w->routes[which % ROUTES_OPEN];
    if (!o->used)
        return;
    if (o->intent)
        router_close_intent(router, o->rec);
    else
        router_close_interest(router, o->handle);
    o->used = false;
    mesh_settle(w->mesh, w->now);
    world_drain(w);
}

static void dial(struct world *w, const char *url, bool persistent)
{
    struct addrbook_policy policy = {.persistent = persistent};
    addrbook_add_configured(mesh_addrbook(w->mesh), url, &policy, w->now);
    mesh_settle(w->mesh, w->now);
    world_drain(w);
}

static void ban(struct world *w, const char *url, uint8_t seconds)
{
    uint64_t until = seconds ? w->now.wall_ns + seconds * NS_PER_SEC : 0;
    addrbook_ban(mesh_addrbook(w->mesh), url, until, w->now);
    mesh_settle(w->mesh, w->now);
    world_drain(w);
}

static void ask(struct world *w, struct slot *s, const struct record *r)
{
    struct url url;
    char room[NAME_ROOM];
    const char *name = name_of(r->b, room, sizeof(room));
    int rc = -1;
    w->asked++; /* the answer may come at once */
    w->next_token++;
    if (r->a % 4 == 0 && s->up)
        rc = mesh_ping(w->mesh, s->link, w->next_token, w->now);
    else if (r->a % 4 == 1 && s->up)
        rc = mesh_ask_book(w->mesh, s->link, w->next_token, w->now);
    else if (r->a % 4 == 2 && url_parse(name, strlen(name), &url, NULL) == 0)
        mesh_find(w->mesh, &url);
    else if (r->a % 4 == 3 && s->opened)
        mesh_paused(w->mesh, s->link, w->now);
    w->asked -= rc < 0;
    mesh_settle(w->mesh, w->now);
    world_drain(w);
}

static void rename_self(struct world *w, uint8_t index)
{
    struct url url;
    char room[NAME_ROOM];
    const char *name = name_of(index, room, sizeof(room));
    if (url_parse(name, strlen(name), &url, NULL) == 0)
        mesh_set_self(w->mesh, &url);
    mesh_settle(w->mesh, w->now);
    world_drain(w);
}

static void step_wall(struct world *w, uint8_t minutes)
{
    uint64_t by = (uint64_t)(minutes < 128 ? 128 - minutes : minutes - 128) * 60 * NS_PER_SEC;
    w->now.wall_ns = minutes < 128 ? w->now.wall_ns - by : w->now.wall_ns + by;
}

/* ---- Records ---- */

static void do_slot(struct world *w, struct slot *s, const struct record *r)
{
    switch ((enum op)r->op) {
    case OP_SHAKE:
        shake(w, s, r);
        break;
    case OP_CUT:
        cut(w, s, r);
        break;
    case OP_LOSE:
        s->fail_sends = r->a;
        s->fail_with = r->b & 1 ? WEFT_ENOMEM : WEFT_ELIMIT;
        break;
    case OP_ASK:
        ask(w, s, r);
        break;
    case OP_INQUIRE:
        session_inquire(w, s, r);
        break;
    case OP_REPLY:
        session_reply(w, s, r);
        break;
    default:
        session_say(w, s, r);
        break;
    }
}

static void do_program(struct world *w, const struct record *r)
{
    char room[NAME_ROOM];
    const char *url = name_of(r->a, room, sizeof(room));
    switch ((enum op)r->op) {
    case OP_OPEN:
        open_route(w, r);
        break;
    case OP_CLOSE:
        close_route(w, r->a);
        break;
    case OP_DIAL:
        dial(w, url, r->b & 1);
        break;
    case OP_FORGET:
        mesh_forget(w->mesh, url, w->now);
        world_drain(w);
        break;
    case OP_BAN:
        ban(w, url, r->b);
        break;
    default:
        rename_self(w, r->a);
        break;
    }
}

static void do_world(struct world *w, const struct record *r)
{
    struct slot *s = NULL;
    switch ((enum op)r->op) {
    case OP_CONNECT:
        connect_some(w, r);
        break;
    case OP_OPENED:
        s = slot_from(w, r->slot, true);
        if (s)
            open_dial(w, s, r);
        break;
    case OP_DAMAGE:
        w->damaged = true;
        w->damage_at = r->a;
        w->damage = r->b;
        break;
    case OP_TIME:
        world_pass(w, (uint64_t)(r->b + 1) << r->a % 36);
        break;
    case OP_WALL:
        step_wall(w, r->a);
        break;
    case OP_STARVE:
        heap_fail(1 + r->b + 256u * r->a, 1 + r->c);
        break;
    default:
        world_stop(w, r->b & 1);
        world_start(w, r->a & 1);
        break;
    }
}

static void do_record(struct world *w, struct record *r)
{
    r->op %= OP_COUNT;
    switch ((enum op)r->op) {
    case OP_CONNECT:
    case OP_OPENED:
    case OP_DAMAGE:
    case OP_TIME:
    case OP_WALL:
    case OP_STARVE:
    case OP_RESTART:
        do_world(w, r);
        return;
    case OP_OPEN:
    case OP_CLOSE:
    case OP_DIAL:
    case OP_FORGET:
    case OP_BAN:
    case OP_SELF:
        do_program(w, r);
        return;
    default:
        break;
    }
    struct slot *s = slot_from(w, r->slot, false);
    if (!s && r->op == OP_CUT)
        s = slot_from(w, r->slot, true);
    if (s)
        do_slot(w, s, r);
}

/* ---- The end ---- */

/* A link with the honest peer, dialled by it or by us. */
static struct slot *meet(struct world *w)
{
    if (w->config.role == ROLE_PEER)
        return world_connect(w, &honest, false);
    dial(w, honest.url, true);
    uint64_t until = w->now.mono_ns + SERVED_WITHIN_NS;
    w->passed = 0;
    while (w->now.mono_ns < until && !w->overrun) {
        for (size_t i = 0; i < SLOTS; i++) {
            struct slot *s = &w->slots[i];
            struct record how = {.a = strcmp(s->dialled, honest.url) == 0 ? 0 : 1};
            if (!s->used || !s->dialing)
                continue;
            open_dial(w, s, &how);
            if (how.a == 0)
                return s;
        }
        world_pass(w, 50 * NS_PER_MS);
    }
    return NULL;
}

static void check_served(struct world *w, struct slot *s)
{
    static const uint8_t payload[16] = "are you there?";
    static char theirs[] = "T@honest.x";
    struct router_interest *interest;
    struct open_route mine = {.used = true};
    struct router *router = mesh_router(w->mesh);
    struct decl d = {.route = theirs, .registered = true, .alias = 9, .origin = ""};
    struct control c = {.type = MSG_INTENT, .decls = {.items = &d, .count = 1}};
    if (router_open_interest(router, theirs, 0, &mine, &interest) == 0) {
        mesh_settle(w->mesh, w->now);
        uint32_t before = router_interest_matches(interest);
        world_send(w, s, &c, w->now.wall_ns, false);
        CHECK(s->used && s->up);
        CHECK(router_interest_matches(interest) == before + 1 || w->config.max_routes < 1000);
        router_close_interest(router, interest);
        mesh_settle(w->mesh, w->now);
        world_drain(w);
    }
    c = (struct control){.type = MSG_PING,
                         .ping = {.payload = payload, .payload_len = sizeof(payload)}};
    size_t pongs = s->pongs;
    world_send(w, s, &c, w->now.wall_ns, false);
    CHECK(s->used && s->pongs == pongs + 1 && s->pong_len == sizeof(payload));
    CHECK_MEM(s->pong, payload, sizeof(payload));
    c = (struct control){.type = MSG_QUERY};
    size_t answers = s->answers;
    world_send(w, s, &c, w->now.wall_ns, true);
    CHECK(s->used && s->answers == answers + ((s->link->hs.features & FEATURE_INFO) != 0));
}

static void finale(struct world *w)
{
    struct record how = {0};
    heap_fail(0, 0);
    w->damaged = false;
    for (size_t i = 0; i < SLOTS; i++) {
        if (w->slots[i].used)
            cut(w, &w->slots[i], &how);
    }
    struct slot *s = meet(w);
    if (w->overrun)
        return;
    CHECK(s);
    shake(w, s, &how);
    CHECK(s->used && s->up);
    check_served(w, s);
    check_world(w);
}

/* ---- The input ---- */

/* With WEFT_FUZZ_TRACE set: what is done, and how the links stand after it. */
static void trace(const struct world *w, const struct record *r)
{
    static const char *const ops[OP_COUNT] = {
        "CONNECT", "OPENED",  "SHAKE", "DECLS",   "PEERS",   "BOOK", "DIGEST", "PING", "PONG",
        "GOODBYE", "RESULT",  "GREET", "MESSAGE", "RAW",     "TYPE", "DAMAGE", "CUT",  "TIME",
        "WALL",    "OPEN",    "CLOSE", "DIAL",    "FORGET",  "BAN",  "ASK",    "SELF", "LOSE",
        "STARVE",  "RESTART", "QUERY", "ANSWER",  "INQUIRE", "REPLY"};
    static const char states[] = "dhUr";
    if (!getenv("WEFT_FUZZ_TRACE"))
        return;
    fprintf(stderr, "%9.3f %-7s %u: %u %u %u %u +%u |", (double)w->now.mono_ns / 1e9, ops[r->op],
            r->slot, r->a, r->b, r->c, r->d, r->n);
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *s = &w->slots[i];
        if (s->used)
            fprintf(stderr, " %zu%c%c%s", i, s->link->outbound ? '>' : '<', states[s->link->state],
                    s->who ? strrchr(s->who->url, '/') : "");
    }
    fputc('\n', stderr);
}

static void configure(struct world *w, struct input *in)
{
    static const uint64_t features[] = {0x7b, 0x13, 0x2b, 0};
    static const uint32_t peers[] = {1024, 1, 2, 5};
    static const char *const selves[] = {"tcp://10.0.0.50:7400/self", "tcp://0.0.0.0:7400/self"};
    uint8_t role = take_u8(in) % 8, flags = take_u8(in);
    w->config = (struct mesh_config){
        .role = role < 6 ? ROLE_PEER : (enum role)(role - 5),
        .network = flags & 1 ? "lab" : "",
        .allow_base = flags & 2,
        .advertised = flags & 4,
        .agent = "fuzz",
        .features = features[take_u8(in) % ARRAY_LEN(features)],
        .max_peers = peers[take_u8(in) % ARRAY_LEN(peers)],
        .max_routes = take_u8(in) % 4 == 1 ? 40 : 100000,
        .max_frame = take_u8(in) % 4 == 1 ? FRAME_MAX_HANDSHAKE : FRAME_MAX_DEFAULT,
        .seed = take_u16(in),
    };
    memset(w->config.node_id, 0x55, sizeof(w->config.node_id));
    const char *self =
        w->config.role == ROLE_PEER ? selves[flags >> 3 & 1] : "tcp://0.0.0.0:0/self";
    CHECK_EQ(url_parse(self, strlen(self), &w->config.self, NULL), 0);
    w->now = (struct moment){.mono_ns = NS_PER_SEC, .wall_ns = UINT64_C(1700000000) * NS_PER_SEC};
    buf_init(&w->book, (size_t)1 << 22);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct world *w = &world;
    struct input in = input_of(data, size);
    struct record r;
    memset(w, 0, sizeof(*w));
    heap_watch();
    configure(w, &in);
    world_start(w, false);
    for (unsigned i = 0; w->mesh && !w->overrun && i < RECORDS_MAX && take_record(&in, &r); i++) {
        do_record(w, &r);
        trace(w, &r);
        if (w->mesh)
            check_world(w);
    }
    if (w->mesh && !w->overrun)
        finale(w);
    heap_fail(0, 0);
    world_stop(w, false);
    buf_fini(&w->book);
    CHECK_EQ(heap_live(), 0);
    return 0;
}
