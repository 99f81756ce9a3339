#include "tests/oom/talk.h"

#include "tests/oom/clock.h"

#define PROBE_NS UINT64_C(5000000000)

static char payload[1 << 20];

/* In order, and at most once. */
static void note(struct talk *t, enum subscriber who, const weft_msg *msg)
{
    uint32_t number;
    t->got++;
    CHECK_STR(weft_msg_route(msg), t->route);
    CHECK_STR(weft_msg_sender(msg), weft_node_url(t->from));
    if (weft_msg_size(msg) < sizeof(number))
        return;
    memcpy(&number, weft_msg_data(msg), sizeof(number));
    CHECK(number > t->last[who] && number <= t->sent);
    t->last[who] = number;
    if (number == t->probe)
        t->probe_came |= 1u << who;
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    note(user, AT_CALLBACK, msg);
    weft_msg *kept = weft_msg_ref(msg);
    if (!kept) {
        CHECK(oom_failed());
        return;
    }
    CHECK_EQ(weft_msg_size(kept), weft_msg_size(msg));
    weft_msg_unref(kept);
}

/* ---- Routes ---- */

/* Open what is not open, or was refused for want of memory. False: it has to be tried again. */
static bool open_intent(struct talk *t)
{
    int rc = t->out ? weft_intent_wait(t->out, 0) : WEFT_ENOMEM;
    if (t->out && (rc == 0 || rc == WEFT_ELOOP))
        return rc == 0;
    if (t->out) {
        oom_ok(rc);
        weft_intent_close(t->out);
        t->out = NULL;
    }
    rc = weft_publish(t->from, t->route, &t->publishing, &t->out);
    CHECK((rc == 0) == (t->out != NULL));
    oom_ok(rc);
    return false;
}

static bool open_interest(weft_node *node, const char *route, const weft_subscribe_options *o,
                          weft_interest **in)
{
    int rc = *in ? weft_interest_wait(*in, 0) : WEFT_ENOMEM;
    if (*in && (rc == 0 || rc == WEFT_ELOOP))
        return rc == 0;
    if (*in) {
        oom_ok(rc);
        weft_interest_close(*in);
        *in = NULL;
    }
    rc = weft_subscribe(node, route, o, in);
    CHECK((rc == 0) == (*in != NULL));
    oom_ok(rc);
    return false;
}

/* Everything is open, everybody knows of everybody. */
static bool whole(struct world *w, void *arg)
{
    struct talk *t = arg;
    weft_subscribe_options calls = t->subscribing;
    calls.on_message = on_message;
    calls.user = t;
    bool ok = open_intent(t);
    ok &= open_interest(t->to, t->route, &t->subscribing, &t->queue);
    ok &= open_interest(t->to, t->pattern, &calls, &t->callback);
    ok &= open_interest(t->from, t->route, &t->subscribing, &t->here);
    weft_stats stats;
    CHECK_EQ(weft_node_stats(t->from, &stats), 0);
    return ok && stats.remote_interests == 2 && stats.peers >= 1;
}

bool talk_whole(struct talk *t)
{
    return world_until(&t->w, "the mesh is whole", whole, t);
}

/* Links that were dialled: one more, and a link has gone. The event of its end needs memory. */
static uint64_t dials(const struct talk *t)
{
    weft_stats stats;
    uint64_t sum = 0;
    for (unsigned i = 0; i < t->w.n_nodes; i++) {
        CHECK_EQ(weft_node_stats(t->w.nodes[i], &stats), 0);
        sum += stats.dials;
    }
    return sum;
}

bool talk_begin(struct talk *t)
{
    if (!t->publishing.size)
        weft_publish_options_init(&t->publishing);
    if (!t->subscribing.size)
        weft_subscribe_options_init(&t->subscribing);
    t->publishing.block_ms = 0;
    bool ok = talk_whole(t);
    t->dials = dials(t);
    return ok;
}

/* ---- Messages ---- */

void talk_send(struct talk *t, size_t size)
{
    CHECK(size <= sizeof(payload));
    t->sent++;
    memcpy(payload, &t->sent, sizeof(t->sent));
    bool interested = weft_intent_interested(t->out);
    int rc = weft_send(t->out, payload, size);
    CHECK(rc == 0 || rc == WEFT_EDROPPED || rc == WEFT_ENOMEM);
    CHECK(rc == 0 || oom_failed() || t->may_drop);
    if (rc != WEFT_ENOMEM && interested)
        t->expected += TALK_SUBSCRIBERS;
}

static void take_from(struct talk *t, enum subscriber who, weft_interest *in)
{
    weft_msg *msg = NULL;
    int rc;
    while (in && (rc = weft_recv(in, &msg, 0)) != WEFT_ETIMEDOUT) {
        if (!oom_ok(rc))
            return; /* it stays */
        note(t, who, msg);
        weft_msg_unref(msg);
    }
}

void talk_take(struct talk *t)
{
    take_from(t, AT_QUEUE, t->queue);
    take_from(t, AT_HERE, t->here);
}

static uint64_t dropped(const struct talk *t)
{
    weft_stats stats;
    uint64_t sum = 0;
    for (unsigned n = 0; n < t->w.n_nodes; n++) {
        CHECK_EQ(weft_node_stats(t->w.nodes[n], &stats), 0);
        for (unsigned i = 0; i < WEFT_DROP_REASONS; i++)
            sum += stats.dropped[i];
    }
    return sum;
}

static bool settled(struct world *w, void *arg)
{
    struct talk *t = arg;
    talk_take(t);
    CHECK(t->got <= t->expected);
    /* One that was dropped for a link is missed by both interests behind it. */
    return t->got + 2 * dropped(t) >= t->expected || dials(t) > t->dials;
}

bool talk_settle(struct talk *t)
{
    return world_until(&t->w, "all messages are accounted for", settled, t);
}

/* Messages may have gone with a link that broke behind our back: another follows then. */
static bool all_came(struct world *w, void *arg)
{
    struct talk *t = arg;
    talk_take(t);
    if (t->probe && t->probe_came == (1u << TALK_SUBSCRIBERS) - 1)
        return true;
    if (whole(w, t) && (!t->probe || clock_skipped() > t->probe_at + PROBE_NS)) {
        talk_send(t, 100);
        t->probe = t->sent;
        t->probe_came = 0;
        t->probe_at = clock_skipped();
    }
    return false;
}

bool talk_passes(struct talk *t)
{
    if (oom_mode() == OOM_ON)
        return false;
    return world_until(&t->w, "a message passes", all_came, t);
}

void talk_end(struct talk *t)
{
    weft_intent_close(t->out);
    weft_interest_close(t->queue);
    weft_interest_close(t->callback);
    weft_interest_close(t->here);
    world_close(&t->w);
}
