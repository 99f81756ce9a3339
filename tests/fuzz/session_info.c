/* Questions in a session: what the mesh asks its peers, what they ask it, and the answers either
 * way (docs/protocol.md section 9). */
#include "session.h"

#include <weft/weft.h>

#include "mesh/private.h"
#include "proto/codec.h"

/* ---- What the mesh is asked ---- */

static unsigned find_question(const struct slot *s, uint64_t nonce)
{
    unsigned i = 0;
    while (i < s->n_questions && s->questions[i] != nonce)
        i++;
    return i;
}

bool question_open(const struct slot *s, uint64_t nonce)
{
    return find_question(s, nonce) < s->n_questions;
}

static void end_question(struct slot *s, uint64_t nonce)
{
    unsigned i = find_question(s, nonce);
    CHECK(i < s->n_questions);
    s->questions[i] = s->questions[--s->n_questions];
}

/* how: 0 the answer, 1 a piece, 2 a refusal; `size` records in it. */
static void reply(struct world *w, struct slot *s, uint64_t nonce, unsigned how, uint8_t size)
{
    static weft_peer_info peers[256];
    weft_status status = {.url = "tcp://10.0.0.50:7400/self"};
    struct answer_msg part = {
        .more = how == 1,
        .status = size % 3 == 0 ? &status : NULL,
        .peers = peers,
        .n_peers = size,
        .text = "said",
    };
    bool open = question_open(s, nonce);
    if (how == 2) {
        if (open)
            end_question(s, nonce);
        mesh_refuse_query(w->mesh, s->link, nonce, WEFT_EDENIED, size & 1 ? NULL : "no", w->now);
        return;
    }
    int rc = mesh_reply(w->mesh, s->link, nonce, &part, w->now);
    if (open && !s->got_goodbye)
        CHECK(rc == 0 || rc == WEFT_ENOMEM || rc == WEFT_ELIMIT || rc == WEFT_EAGAIN);
    else
        CHECK_EQ(rc, WEFT_ENOTFOUND);
    if (rc == 0 && !part.more)
        end_question(s, nonce);
}

void session_query(void *ctx, struct mesh_link *link, uint64_t nonce, const struct query_msg *query)
{
    struct world *w = ctx;
    struct slot *s = link->user;
    CHECK(s->up && s->link == link && (link->hs.features & FEATURE_INFO));
    CHECK(query->route && query->command && s->n_questions < QUERIES_MAX);
    s->questions[s->n_questions++] = nonce;
    if (query->parts % 4 < 3)
        reply(w, s, nonce, query->parts % 4, (uint8_t)query->parts);
}

void session_reply(struct world *w, struct slot *s, const struct record *r)
{
    if (!s->up)
        return;
    bool known = s->n_questions && r->b % 4;
    reply(w, s, known ? s->questions[r->b % s->n_questions] : r->b, r->a % 3, r->c);
    mesh_settle(w->mesh, w->now);
    world_drain(w);
}

/* ---- What it asks ---- */

void session_told(void *ctx, uint64_t token, const struct answer_msg *part)
{
    const struct world *w = ctx;
    CHECK(token && token <= w->next_token && !w->ended[token]);
    CHECK(part->text);
}

void session_inquire(struct world *w, struct slot *s, const struct record *r)
{
    char text[256], room[ROUTE_ROOM];
    const char *argument = text;
    snprintf(text, sizeof(text), "%.*s", (int)r->n, (const char *)r->bytes);
    struct query_msg q = {
        .parts = r->a,
        .route = route_of(r->b, room, sizeof(room)),
        .command = text,
        .args = &argument,
        .n_args = r->c & 1,
    };
    if (!s->up)
        return;
    w->asked++;
    int rc = mesh_query(w->mesh, s->link, &q, ++w->next_token, w->now);
    CHECK(rc == 0 || (s->link->hs.features & FEATURE_INFO) || rc == WEFT_ENOTSUP);
    w->asked -= rc < 0;
    mesh_settle(w->mesh, w->now);
    world_drain(w);
}

/* ---- What its peers say ---- */

/* a: parts; b: 1 the nonce c, else the time; the bytes: a command. */
void say_query(struct world *w, struct slot *s, const struct record *r)
{
    char text[256];
    const char *const args[] = {text, ""};
    snprintf(text, sizeof(text), "%.*s", (int)r->n, (const char *)r->bytes);
    for (char *p = text; *p; p++)
        *p = (char)(*p & 0x7f);
    struct control c = {
        .type = MSG_QUERY,
        .query = {.parts = r->a, .command = text, .args = args, .n_args = r->d % 3},
    };
    world_send(w, s, &c, r->b & 1 ? r->c : w->now.wall_ns, !(r->b & 2));
}

/* a: 0 what was asked last, 1 something else; b: 1 more follows; c, d: so many of each. */
void say_answer(struct world *w, struct slot *s, const struct record *r)
{
    static weft_peer_info peers[256];
    static weft_route_info routes[256];
    static weft_incident incidents[256];
    static struct book_record records[256];
    weft_status status = {.pid = r->d};
    char text[256];
    snprintf(text, sizeof(text), "%.*s", (int)r->n, (const char *)r->bytes);
    for (char *p = text; *p; p++)
        *p = (char)(*p & 0x7f);
    struct control c = {.type = MSG_ANSWER};
    c.answer = (struct answer_msg){
        .nonce = s->nonce + r->a % 3,
        .more = r->b & 1,
        .status = r->d & 1 ? &status : NULL,
        .peers = peers,
        .n_peers = r->c,
        .routes = routes,
        .n_routes = r->d,
        .records = records,
        .n_records = r->c / 2u,
        .incidents = incidents,
        .n_incidents = r->d / 2u,
        .text = text,
    };
    world_send(w, s, &c, w->now.wall_ns, r->b & 2);
}
