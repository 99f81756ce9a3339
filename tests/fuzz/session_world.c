/* The world of a session: the mesh's owner on one side, the peers that the input plays on the
 * other. Whatever the mesh asks for happens at once; time passes where the input says so, from
 * deadline to deadline. The target's own memory is libc's, and the codecs it uses never fail, so
 * that lost memory hurts the mesh alone. */
#include "session.h"

#include <weft/weft.h>

#include "base/mem.h"
#include "proto/codec.h"

#define STUCK_MAX 16u
#define PASS_MAX (4 * 3600 * NS_PER_SEC) /* in one session */

/* ---- Slots ---- */

static struct slot *slot_take(struct world *w, bool dialing)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &w->slots[i];
        if (s->used)
            continue;
        memset(s, 0, sizeof(*s));
        s->used = true;
        s->dialing = dialing;
        return s;
    }
    return NULL;
}

static void slot_free(struct slot *s)
{
    free(s->rx);
    memset(s, 0, sizeof(*s));
}

/* ---- What the mesh asks for ---- */

static void op_dial(void *ctx, struct mesh_link *link, const struct url *url)
{
    struct world *w = ctx;
    struct slot *s = slot_take(w, true);
    if (!s) {
        w->overrun = true;
        return;
    }
    CHECK(url_dialable(url));
    CHECK_EQ(link->state, LINK_DIALING);
    s->link = link;
    s->link_id = link->id;
    link->user = s;
    snprintf(s->dialled, sizeof(s->dialled), "%s", url->text);
}

static int op_send(void *ctx, struct mesh_link *link, const void *frames, size_t size,
                   enum lane lane)
{
    struct world *w = ctx;
    struct slot *s = link->user;
    if (!s)
        return 0;
    CHECK(s->used && s->link == link);
    if (s->fail_sends) {
        s->fail_sends--;
        return s->fail_with;
    }
    heap_calm(true);
    check_frame_sent(w, s, frames, size);
    heap_calm(false);
    return 0;
}

static void op_up(void *ctx, struct mesh_link *link)
{
    struct world *w = ctx;
    struct slot *s = link->user;
    CHECK(!s->up && link->state == LINK_UP);
    s->up = true;
    s->base = link->hs.base;
    w->ups++;
}

static void op_replaced(void *ctx, struct mesh_link *link, const struct mesh_link *by)
{
    const struct slot *s = link->user;
    if (!s)
        return;
    CHECK(s->up && by != link);
    CHECK_EQ(link->state, by ? LINK_RETIRING : LINK_UP);
    CHECK(!by || by->state >= LINK_UP);
}

static void op_retire(void *ctx, struct mesh_link *link)
{
    struct slot *s = link->user;
    if (!s)
        return;
    CHECK(s->up && !s->retired);
    s->retired = true;
}

static void op_hold(void *ctx, struct mesh_link *link, bool on)
{
    struct slot *s = link->user;
    if (!s)
        return;
    CHECK(s->held != on);
    s->held = on;
}

static void op_close(void *ctx, struct mesh_link *link, bool drain)
{
    struct world *w = ctx;
    struct slot *s = link->user;
    if (!s)
        return;
    CHECK(s->used && s->link == link);
    w->ups -= s->up;
    slot_free(s);
}

static void op_intents_seen(void *ctx, struct mesh_link *link)
{
    CHECK(link->hs.base);
}

static void op_event(void *ctx, const weft_event *event)
{
    CHECK(event->type);
}

static void op_matched(void *ctx, void *interest, bool matched)
{
    const struct open_route *route = interest;
    CHECK(route->used && !route->intent);
}

static void op_answer(void *ctx, uint64_t token, int error, uint64_t rtt_ns,
                      const struct book_record *records, size_t count)
{
    struct world *w = ctx;
    CHECK(token && token <= w->next_token);
    CHECK(!w->ended[token]);
    w->ended[token] = true;
    w->answered++;
    CHECK(w->answered <= w->asked);
}

static void op_log(void *ctx, enum weft_log_level level, const char *text)
{
    CHECK(text && level >= WEFT_LOG_ERROR && level <= WEFT_LOG_DEBUG);
    if (getenv("WEFT_FUZZ_TRACE"))
        fprintf(stderr, "log %s\n", text);
}

static const struct mesh_ops ops = {
    .dial = op_dial,
    .send = op_send,
    .up = op_up,
    .replaced = op_replaced,
    .retire = op_retire,
    .hold = op_hold,
    .close = op_close,
    .intents_seen = op_intents_seen,
    .event = op_event,
    .matched = op_matched,
    .answer = op_answer,
    .told = session_told,
    .query = session_query,
    .log = op_log,
};

/* ---- The data plane ---- */

static void add_target(void *ctx, const struct router_target *target)
{
    struct flow *f = ctx;
    if (f->count == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 4;
        f->targets = realloc(f->targets, f->cap * sizeof(*f->targets));
        if (!f->targets)
            abort();
    }
    f->targets[f->count++] = *target;
}

static struct flow *flow_of(struct world *w, struct router_intent *rec)
{
    for (size_t i = 0; i < w->n_flows; i++) {
        if (w->flows[i].rec == rec)
            return &w->flows[i];
    }
    if (w->n_flows == w->cap_flows) {
        w->cap_flows = w->cap_flows ? 2 * w->cap_flows : 64;
        w->flows = realloc(w->flows, w->cap_flows * sizeof(*w->flows));
        if (!w->flows)
            abort();
    }
    w->flows[w->n_flows] = (struct flow){.rec = rec};
    return &w->flows[w->n_flows++];
}

void world_drain(struct world *w)
{
    struct router *router = mesh_router(w->mesh);
    struct router_intent *rec;
    while ((rec = router_next_changed(router)) != NULL) {
        struct flow *f = flow_of(w, rec);
        f->count = 0;
        if (!rec->dead) {
            router_each_target(router, rec, add_target, f);
            continue;
        }
        free(f->targets);
        *f = w->flows[--w->n_flows];
        router_release_intent(router, rec);
    }
}

static void forget_flows(struct world *w)
{
    for (size_t i = 0; i < w->n_flows; i++)
        free(w->flows[i].targets);
    free(w->flows);
    w->flows = NULL;
    w->n_flows = w->cap_flows = 0;
}

/* ---- Life ---- */

static int recall(struct world *w)
{
    struct addrbook_file file;
    int rc = addrbook_decode(w->book.data, w->book.len, &file);
    if (rc < 0)
        return rc;
    rc = addrbook_merge(mesh_addrbook(w->mesh), &file, w->now);
    addrbook_file_fini(&file);
    return rc;
}

bool world_start(struct world *w, bool remembers)
{
    w->config.incarnation++;
    if (mesh_new(&w->config, &ops, w, w->now, &w->mesh) < 0) {
        w->mesh = NULL;
        return false;
    }
    w->alive = true;
    if (remembers && w->book.len) {
        int rc = recall(w);
        CHECK(rc == 0 || rc == WEFT_ENOMEM);
    }
    mesh_settle(w->mesh, w->now);
    world_drain(w);
    return true;
}

void world_stop(struct world *w, bool silent)
{
    struct mesh *m = w->mesh;
    if (!m)
        return;
    heap_calm(true);
    buf_fini(&w->book);
    buf_init(&w->book, (size_t)1 << 22);
    CHECK_EQ(addrbook_encode(mesh_addrbook(m), &w->book), 0);
    heap_calm(false);
    list_each_safe (it, mesh_links(m)) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (silent && l->user) {
            struct slot *s = l->user;
            w->ups -= s->up;
            slot_free(s);
            l->user = NULL;
        }
    }
    mesh_leave(m, w->now);
    CHECK(list_empty(mesh_links(m)));
    CHECK_EQ(mesh_up_count(m), 0);
    CHECK_EQ(mesh_deadline(m), NEVER);
    CHECK(!mesh_accept(m, NULL, "10.0.0.1", false, false, w->now));
    forget_flows(w);
    mesh_free(m);
    w->mesh = NULL;
    memset(w->routes, 0, sizeof(w->routes));
    memset(w->aliases, 0, sizeof(w->aliases));
    for (size_t i = 0; i < SLOTS; i++)
        CHECK(!w->slots[i].used);
    CHECK_EQ(w->ups, 0);
    CHECK_EQ(w->answered, w->asked);
}

/* Deadlines must move on: a loop that is woken for nothing is a loop that burns a core. */
static void tick(struct world *w)
{
    for (unsigned i = 0; mesh_deadline(w->mesh) <= w->now.mono_ns; i++) {
        if (i == STUCK_MAX)
            FAIL("a deadline of %llu does not move on at %llu",
                 (unsigned long long)mesh_deadline(w->mesh), (unsigned long long)w->now.mono_ns);
        mesh_tick(w->mesh, w->now);
        world_drain(w);
    }
}

static void move(struct world *w, uint64_t to)
{
    w->now.wall_ns += to - w->now.mono_ns;
    w->now.mono_ns = to;
}

void world_pass(struct world *w, uint64_t ns)
{
    if (w->passed + ns > PASS_MAX)
        return;
    w->passed += ns;
    uint64_t until = w->now.mono_ns + ns;
    while (mesh_deadline(w->mesh) <= until) {
        move(w, max_u64(mesh_deadline(w->mesh), w->now.mono_ns));
        tick(w);
    }
    move(w, until);
}

/* ---- Peers ---- */

struct slot *world_connect(struct world *w, const struct who *who, bool local)
{
    struct slot *s = slot_take(w, false);
    if (!s)
        return NULL;
    s->who = who;
    s->opened = true;
    s->link = mesh_accept(w->mesh, s, who->host, local, !who->host[0], w->now);
    if (!s->link) {
        slot_free(s);
        world_drain(w);
        return NULL;
    }
    s->link_id = s->link->id;
    world_drain(w);
    return s;
}

static void take_message(struct world *w, struct slot *s, const struct frame *frame,
                         const struct header *header)
{
    struct router *router = mesh_router(w->mesh);
    const struct router_intent *rec =
        frame->compact
            ? router_find_intent(router, s->link->id, frame->alias)
            : router_find_intent_by_route(router, s->link->id, header->route, header->route_len);
    CHECK(!rec || (rec->endpoint == s->link->id && !rec->dead));
    CHECK(!rec || !frame->compact || rec->link_alias == frame->alias);
}

/* One frame, as the node's reader hands it on. */
static void hand_frame(struct world *w, struct slot *s, const struct frame *frame)
{
    struct header header = {0};
    if (!frame->compact && header_decode(frame->header, frame->header_size, &header) < 0)
        mesh_malformed(w->mesh, s->link, WEFT_EMALFORMED, "the header does not parse", w->now);
    else if (!frame->compact && header.type != MSG_MESSAGE && header.type < MSG_USER)
        mesh_frame(w->mesh, s->link, frame, &header, w->now);
    else if (!s->up)
        mesh_malformed(w->mesh, s->link, WEFT_EPROTO, "a message before the handshake was done",
                       w->now);
    else
        take_message(w, s, frame, &header);
    world_drain(w);
}

static void append(struct slot *s, const uint8_t *data, size_t size)
{
    s->rx = realloc(s->rx, s->rx_len + size + 1);
    if (!s->rx)
        abort();
    memcpy(s->rx + s->rx_len, data, size);
    s->rx_len += size;
}

/* The first frame in memory of its own; true: it was handed on. */
static bool feed_one(struct world *w, struct slot *s, uint32_t id)
{
    struct frame frame;
    size_t max = s->up ? w->config.max_frame : FRAME_MAX_HANDSHAKE;
    uint8_t *copy = exact_copy(s->rx, s->rx_len);
    int rc = frame_scan(copy, s->rx_len, max, &frame);
    if (rc == 1)
        hand_frame(w, s, &frame);
    else if (rc < 0)
        mesh_malformed(w->mesh, s->link, rc, "no frame", w->now);
    world_drain(w);
    free(copy);
    if (rc != 1 || !s->used || s->link_id != id)
        return false;
    s->rx_len -= frame.size;
    memmove(s->rx, s->rx + frame.size, s->rx_len);
    return true;
}

void world_feed(struct world *w, struct slot *s, const uint8_t *data, size_t size)
{
    if (!s->used || !s->opened || size == 0)
        return;
    uint32_t id = s->link_id;
    s->doubt |= !s->sure;
    s->sure = false;
    w->fed += size;
    mesh_received(s->link, w->now.mono_ns);
    append(s, data, size);
    while (feed_one(w, s, id)) {
    }
}

void world_send(struct world *w, struct slot *s, const struct control *c, uint64_t stamp,
                bool want_result)
{
    struct buf out;
    struct header header = {.timestamp = stamp, .type = c->type, .want_result = want_result};
    heap_calm(true);
    buf_init(&out, FRAME_MAX_LIMIT);
    int rc = codec_encode(&out, &header, c);
    uint8_t *copy = exact_copy(out.data ? out.data : (const uint8_t *)"", out.len);
    size_t len = out.len;
    buf_fini(&out);
    heap_calm(false);
    if (w->damaged && len)
        copy[(size_t)w->damage_at * len / 256] ^= w->damage;
    else
        s->sure = true;
    w->damaged = false;
    if (rc == 0)
        world_feed(w, s, copy, len);
    free(copy);
}
