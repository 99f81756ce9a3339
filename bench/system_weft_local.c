/* weft within one process: one node that nobody is linked to, which publishes and subscribes the
 * same route. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/uv.h>
#include <weft/weft.h>

#include "system_weft.h"

#define ROUTE "bench.Message@bench.local"
#define WAIT_MS 60000
#define BLOCK_MS 60000
#define TURN 1024 /* messages of a turn of the loop */

struct local {
    weft_node *node;
    weft_intent *out;
    weft_interest *in;
    struct feed *feed;
    struct sink *sink;
    uint64_t run_ns;
    uv_idle_t idle;
    int rc;
};

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct local *l = user;
    sink_take(l->sink, weft_msg_data(msg), weft_msg_size(msg));
}

static int declare(struct local *l, bool callback)
{
    weft_publish_options p;
    weft_subscribe_options s;
    weft_publish_options_init(&p);
    weft_subscribe_options_init(&s);
    p.block_ms = s.block_ms = BLOCK_MS;
    s.on_message = callback ? on_message : NULL;
    s.user = l;
    int rc = weft_subscribe(l->node, ROUTE, &s, &l->in);
    if (rc == 0)
        rc = weft_publish(l->node, ROUTE, &p, &l->out);
    return rc < 0 ? weft_failed(ROUTE, rc) : 0;
}

static int send_end(struct local *l)
{
    struct mark end = {.kind = MARK_END, .count = l->feed->next};
    int rc = weft_send(l->out, &end, sizeof(end));
    return rc < 0 ? weft_failed("send", rc) : 0;
}

/* ---- One thread sends, a thread that calls weft_recv or the loop's receives --------------------
 */

static int flood(struct local *l)
{
    const void *payload;
    int rc;
    while ((payload = feed_next(l->feed)) != NULL)
        if ((rc = weft_send(l->out, payload, l->feed->size)) < 0)
            return weft_failed("send", rc);
    return send_end(l);
}

static void *receive(void *arg)
{
    struct local *l = arg;
    while (!sink_done(l->sink)) {
        weft_msg *msg;
        int rc = weft_recv(l->in, &msg, -1);
        if (rc < 0) {
            l->rc = weft_failed("recv", rc);
            break;
        }
        sink_take(l->sink, weft_msg_data(msg), weft_msg_size(msg));
        weft_msg_unref(msg);
    }
    return NULL;
}

static int between_threads(struct local *l, const struct bench_setup *setup)
{
    pthread_t thread;
    bool recv = setup->mode == MODE_RECV;
    if (recv && pthread_create(&thread, NULL, receive, l) != 0)
        return bench_error("cannot start a thread");
    feed_start(l->feed, setup->run_ns);
    int rc = flood(l);
    if (rc < 0)
        return rc; /* the thread goes with the process */
    if (recv)
        pthread_join(thread, NULL);
    else
        sink_wait(l->sink);
    return l->rc;
}

static int own_thread(const struct bench_setup *setup, struct local *l)
{
    weft_options o;
    weft_options_init(&o);
    if (setup->size + 1024 > o.max_frame)
        o.max_frame = (uint32_t)setup->size + 1024;
    int rc = weft_node_open(&o, &l->node);
    if (rc < 0)
        return weft_failed("node", rc);
    rc = declare(l, setup->mode == MODE_THREAD);
    if (rc == 0 && (rc = weft_intent_wait(l->out, WAIT_MS)) < 0)
        weft_failed("the interest is not matched", rc);
    if (rc == 0)
        rc = between_threads(l, setup);
    if (rc == 0)
        weft_node_close(l->node);
    return rc < 0 ? -1 : 0;
}

/* ---- The loop's thread sends to a callback of its own ------------------------------------------
 */

static void end_loop(struct local *l, int rc)
{
    l->rc = rc;
    uv_close((uv_handle_t *)&l->idle, NULL);
    weft_node_detach(l->node, NULL, NULL);
}

/* A part of the messages in each turn, as a program with other things on its loop would. */
static void on_turn(uv_idle_t *idle)
{
    struct local *l = idle->data;
    if (!weft_intent_interested(l->out))
        return;
    if (!l->feed->until_ns)
        feed_start(l->feed, l->run_ns);
    for (int i = 0; i < TURN; i++) {
        const void *payload = feed_next(l->feed);
        int rc = payload ? weft_send(l->out, payload, l->feed->size) : send_end(l);
        if (!payload || rc < 0) {
            end_loop(l, rc < 0 ? weft_failed("send", rc) : 0);
            return;
        }
    }
}

static int on_loop(const struct bench_setup *setup, struct local *l)
{
    uv_loop_t loop;
    weft_options o;
    weft_options_init(&o);
    if (setup->size + 1024 > o.max_frame)
        o.max_frame = (uint32_t)setup->size + 1024;
    if (uv_loop_init(&loop) < 0)
        return bench_error("out of memory");
    int rc = weft_node_attach(&loop, &o, &l->node, NULL);
    if (rc < 0)
        return weft_failed("node", rc);
    if (declare(l, true) < 0)
        return -1;
    uv_idle_init(&loop, &l->idle);
    l->idle.data = l;
    uv_idle_start(&l->idle, on_turn);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return l->rc;
}

int weft_local(const struct bench_setup *setup, struct feed *feed, struct sink *sink)
{
    struct local l = {.feed = feed, .sink = sink, .run_ns = setup->run_ns};
    return setup->mode == MODE_CALLBACK ? on_loop(setup, &l) : own_thread(setup, &l);
}
