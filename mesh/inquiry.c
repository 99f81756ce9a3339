/* QUERY and ANSWER: looking into another node, and being looked into (docs/protocol.md section 9).
 *
 * Asking: mesh_query sends one QUERY, each ANSWER with its nonce goes to ops->told, and the last of
 * them to ops->answer. One question at a time a link. It ends with an error when the other side
 * refuses it (RESULT with its nonce), tells nothing for 10 s, tells more than anybody can want, or
 * when the link ends. What comes for a question that is over is dropped.
 *
 * Answering: a QUERY is noted as open and handed to the owner, who knows what is asked for and who
 * may know it; it answers piece by piece or refuses. Who leaves too many open is refused another.
 */
#include "mesh/private.h"

#include <assert.h>

/* ---- Asking ---- */

/* Unlike link_send it breaks no link: WEFT_ELIMIT, larger than the other side takes; WEFT_EAGAIN,
 * no room for it now; WEFT_ENOMEM. */
static int send_whole(struct mesh *m, struct mesh_link *l, const struct control *c,
                      bool want_result, uint64_t timestamp)
{
    struct header header = {.timestamp = timestamp, .type = c->type, .want_result = want_result};
    buf_reset(&m->scratch);
    int rc = codec_encode(&m->scratch, &header, c);
    if (rc < 0)
        return rc;
    if (m->scratch.len > l->hs.max_frame)
        return WEFT_ELIMIT;
    rc = m->ops->send(m->ctx, l, m->scratch.data, m->scratch.len, LANE_CONTROL);
    return rc == WEFT_ELIMIT ? WEFT_EAGAIN : rc;
}

int mesh_query(struct mesh *m, struct mesh_link *l, const struct query_msg *query, uint64_t token,
               struct moment now)
{
    struct asking *asked = &l->priv->asked;
    if (!(l->hs.features & FEATURE_INFO))
        return WEFT_ENOTSUP;
    if (asked->token || l->priv->said_goodbye)
        return WEFT_ELIMIT;
    struct control c = {.type = MSG_QUERY, .query = *query};
    uint64_t nonce = mesh_stamp(m, now);
    if (nonce ==
        now.wall_ns) /* what else is sent in this step has that: tell their RESULTs apart */
        nonce = mesh_stamp(m, now);
    int rc = send_whole(m, l, &c, true, nonce);
    if (rc < 0)
        return rc == WEFT_EAGAIN ? WEFT_ELIMIT : rc == WEFT_ELIMIT ? WEFT_ETOOBIG : rc;
    *asked =
        (struct asking){.token = token, .nonce = nonce, .deadline = now.mono_ns + ASK_TIMEOUT_NS};
    link_arm(m, l, asked->deadline);
    return 0;
}

/* The question is over; its nonce is kept, so that what comes late is known. */
static void finish(struct mesh *m, struct mesh_link *l, int error, const char *text)
{
    uint64_t token = l->priv->asked.token;
    l->priv->asked.token = 0;
    l->priv->asked.deadline = NEVER;
    if (text && text[0] && m->ops->told)
        m->ops->told(m->ctx, token, &(struct answer_msg){.text = text});
    m->ops->answer(m->ctx, token, error, 0, NULL, 0);
}

static size_t answer_size(const struct answer_msg *a)
{
    return a->n_peers * sizeof(*a->peers) + a->n_routes * sizeof(*a->routes) +
           a->n_records * sizeof(*a->records) + a->n_incidents * sizeof(*a->incidents);
}

void inquiry_receive_answer(struct mesh *m, struct mesh_link *l, const struct control *c,
                            size_t size, struct moment now)
{
    struct asking *asked = &l->priv->asked;
    if (!asked->token || c->answer.nonce != asked->nonce)
        return; /* nobody asked, or it came too late */
    asked->taken += size + answer_size(&c->answer);
    if (asked->taken > ANSWER_MAX) {
        finish(m, l, WEFT_ELIMIT, "the answer takes more than 256 MiB: ask for less at a time");
        return;
    }
    if (m->ops->told)
        m->ops->told(m->ctx, asked->token, &c->answer);
    if (!c->answer.more) {
        finish(m, l, 0, NULL);
        return;
    }
    asked->deadline = now.mono_ns + ASK_TIMEOUT_NS;
    link_arm(m, l, asked->deadline);
}

bool inquiry_receive_result(struct mesh *m, struct mesh_link *l, const struct control *c)
{
    const struct asking *asked = &l->priv->asked;
    if (asked->nonce == 0 || c->result.nonce != asked->nonce)
        return false;
    if (asked->token)
        finish(m, l, result_to_error(c->result.error), c->result.description);
    return true;
}

void inquiry_tick(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (l->priv->asked.token && l->priv->asked.deadline <= now.mono_ns)
        finish(m, l, WEFT_ETIMEDOUT, NULL);
}

void inquiry_abandon(struct mesh *m, struct mesh_link *l, int error)
{
    l->priv->n_queries = 0;
    if (l->priv->asked.token)
        finish(m, l, error, NULL);
}

/* ---- Answering ---- */

static void send_refusal(struct mesh *m, struct mesh_link *l, uint64_t nonce, int error,
                         const char *text, struct moment now)
{
    struct control c = {
        .type = MSG_RESULT,
        .result = {.nonce = nonce, .error = result_from_error(error), .description = text},
    };
    if (!text || link_takes(m, l, &c) < 0)
        c.result.description = weft_strerror(error);
    link_send(m, l, &c, LANE_CONTROL, false, now);
}

void inquiry_receive_query(struct mesh *m, struct mesh_link *l, const struct control *c,
                           const struct header *h, struct moment now)
{
    struct link_private *p = l->priv;
    if (!(l->hs.features & FEATURE_INFO))
        return; /* the answer would be of a type that it may not know */
    if (!m->ops->query) {
        send_refusal(m, l, h->timestamp, WEFT_ENOTSUP, "this node answers no questions", now);
        return;
    }
    if (p->n_queries == QUERIES_MAX) {
        send_refusal(m, l, h->timestamp, WEFT_ELIMIT,
                     "too many questions at once: wait for an answer", now);
        return;
    }
    p->queries[p->n_queries++] = h->timestamp;
    m->ops->query(m->ctx, l, h->timestamp, &c->query);
}

/* Its place among the open ones; n_queries: it is none of them. */
static unsigned find_query(const struct mesh_link *l, uint64_t nonce)
{
    unsigned i = 0;
    while (i < l->priv->n_queries && l->priv->queries[i] != nonce)
        i++;
    return i;
}

static void close_query(struct mesh_link *l, unsigned i)
{
    struct link_private *p = l->priv;
    p->queries[i] = p->queries[--p->n_queries];
}

int mesh_reply(struct mesh *m, struct mesh_link *l, uint64_t nonce, const struct answer_msg *part,
               struct moment now)
{
    unsigned i = find_query(l, nonce);
    if (i == l->priv->n_queries || l->priv->said_goodbye)
        return WEFT_ENOTFOUND;
    struct control c = {.type = MSG_ANSWER, .answer = *part};
    c.answer.nonce = nonce;
    int rc = send_whole(m, l, &c, false, now.wall_ns);
    if (rc == 0 && !part->more)
        close_query(l, i);
    return rc;
}

void mesh_refuse_query(struct mesh *m, struct mesh_link *l, uint64_t nonce, int error,
                       const char *text, struct moment now)
{
    assert(error < 0);
    unsigned i = find_query(l, nonce);
    if (i == l->priv->n_queries)
        return;
    close_query(l, i);
    send_refusal(m, l, nonce, error, text, now);
}
