#include "tests/oom/world.h"

#include <poll.h>

#include "tests/oom/clock.h"

#define TURNS_SHORT 40                     /* without memory, before it comes back */
#define PATIENCE_NS UINT64_C(300000000000) /* of the loop's time, for whatever must happen */
#define TURNS_MAX 200000
#define GRACE_NS 300000 /* real time that bytes between sockets may take */
#define REQUEST_MS 20000
#define MS UINT64_C(1000000)

static void on_event(weft_node *node, const weft_event *event, void *user)
{
    struct world *w = user;
    w->ups += event->type == WEFT_EVENT_PEER_UP;
    w->downs += event->type == WEFT_EVENT_PEER_DOWN;
    w->refused_routes += event->type == WEFT_EVENT_ROUTE_REFUSED;
    w->matches += event->type == WEFT_EVENT_MATCH;
}

void world_open(struct world *w, bool sockets)
{
    *w = (struct world){.sockets = sockets};
    int rc;
    do {
        rc = uv_loop_init(&w->loop); /* libuv may be short of memory, too */
        CHECK(rc == 0 || rc == UV_ENOMEM);
    } while (oom_again(rc < 0 ? WEFT_ENOMEM : 0));
    w->open = rc == 0;
}

weft_node *world_attach(struct world *w, weft_options *options)
{
    weft_node *node = NULL;
    options->on_event = on_event;
    options->user = w;
    CHECK(w->n_nodes < WORLD_NODES);
    if (!w->open)
        return NULL;
    int rc;
    do {
        char *text = NULL;
        node = NULL;
        rc = weft_node_attach(&w->loop, options, &node, &text);
        CHECK((rc == 0) == (node != NULL) && (rc < 0 || !text));
        weft_free(text);
        if (rc < 0)
            uv_run(&w->loop, UV_RUN_NOWAIT); /* its address is free again once it is gone */
    } while (oom_again(rc));
    if (node)
        w->nodes[w->n_nodes++] = node;
    return node;
}

static void on_detached(void *user)
{
    ((struct world *)user)->detached++;
}

void world_detach(struct world *w, weft_node *node)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        if (w->nodes[i] == node)
            w->nodes[i] = NULL;
    }
    weft_node_detach(node, on_detached, w);
}

/* Have events come in by themselves, within the grace? */
static bool something_came(struct world *w)
{
    struct pollfd p = {.fd = uv_backend_fd(&w->loop), .events = POLLIN};
    if (w->loop.active_reqs.count) /* another thread works for it, in real time */
        return poll(&p, 1, REQUEST_MS) > 0;
    struct timespec grace = {.tv_nsec = w->sockets ? GRACE_NS : 0};
    return ppoll(&p, 1, &grace, NULL) > 0;
}

void world_turn(struct world *w)
{
    uv_run(&w->loop, UV_RUN_NOWAIT);
    uv_run(&w->loop, UV_RUN_NOWAIT); /* what the first began to watch is watched now */
    int timeout = uv_backend_timeout(&w->loop);
    if (timeout != 0 && !something_came(w) && timeout > 0)
        clock_skip((uint64_t)timeout * MS);
}

/* What the nodes have come to, for whoever has to find out why. */
static void describe(struct world *w)
{
    for (unsigned i = 0; i < w->n_nodes; i++) {
        weft_stats s;
        if (!w->nodes[i] || weft_node_stats(w->nodes[i], &s) < 0)
            continue;
        fprintf(
            stderr,
            "%s: %u peers, %llu dials (%llu failed), %u intents, %u interests, of others %u, %u\n",
            weft_node_url(w->nodes[i]), s.peers, (unsigned long long)s.dials,
            (unsigned long long)s.dials_failed, s.intents, s.interests, s.remote_intents,
            s.remote_interests);
    }
}

bool world_until(struct world *w, const char *what, bool (*holds)(struct world *w, void *arg),
                 void *arg)
{
    unsigned turns = 0, without = 0;
    uint64_t end = clock_skipped() + PATIENCE_NS;
    while (!holds(w, arg)) {
        if (oom_failing() && oom_mode() != OOM_ONCE) {
            end = clock_skipped() + PATIENCE_NS;
            if (++without >= TURNS_SHORT && oom_mode() == OOM_ON)
                return false;
            if (without >= TURNS_SHORT)
                oom_relent();
        }
        if (clock_skipped() > end || ++turns > TURNS_MAX) {
            describe(w);
            FAIL("%s: not within 300 s of the loop's time", what);
        }
        world_turn(w);
    }
    return true;
}

void world_close(struct world *w)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        if (w->nodes[i])
            world_detach(w, w->nodes[i]);
    }
    uint64_t end = clock_skipped() + PATIENCE_NS;
    while (w->open && uv_loop_alive(&w->loop)) {
        if (clock_skipped() > end)
            FAIL("a closing node does not come to its end");
        world_turn(w);
    }
    CHECK_EQ(w->detached, w->n_nodes);
    CHECK(!w->open || uv_loop_close(&w->loop) == 0);
}
