/* A node on a loop of one's own: no hidden threads, everything happens inside uv_run.
 *
 *     embedded_loop [--count N] SELF [PEER]...  embedded_loop tcp://0.0.0.0:7400/demo
 *
 * A timer publishes; an interest with a callback hears it, here and wherever else it is heard. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/uv.h>

struct app {
    weft_node *node;
    weft_intent *intent;
    uv_timer_t timer;
    unsigned long count, sent;
};

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    printf("%s: %.*s\n", weft_msg_route(msg), (int)weft_msg_size(msg),
           (const char *)weft_msg_data(msg));
    fflush(stdout);
}

static void on_tick(uv_timer_t *timer)
{
    struct app *app = timer->data;
    char text[64];
    if (!weft_intent_interested(app->intent)) /* nothing is made for nobody */
        return;
    int len = snprintf(text, sizeof(text), "tick %lu", ++app->sent);
    int rc = weft_send(app->intent, text, (size_t)len); /* on the loop's thread it never blocks */
    if (rc < 0)
        fprintf(stderr, "embedded_loop: tick %lu: %s\n", app->sent, weft_strerror(rc));
    if (app->sent != app->count)
        return;
    uv_close((uv_handle_t *)timer, NULL);
    weft_node_detach(app->node, NULL, NULL); /* once its handles are gone, uv_run returns */
}

static int start(struct app *app, uv_loop_t *loop)
{
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = on_message;
    weft_interest *interest; /* goes with the node */
    int rc = weft_subscribe(app->node, "demo.Text@demo.clock", &o, &interest);
    if (rc == 0)
        rc = weft_publish(app->node, "demo.Text@demo.clock", NULL, &app->intent);
    if (rc == 0 && uv_timer_init(loop, &app->timer) < 0)
        rc = WEFT_EIO;
    app->timer.data = app;
    return rc == 0 && uv_timer_start(&app->timer, on_tick, 0, 100) < 0 ? WEFT_EIO : rc;
}

int main(int argc, char **argv)
{
    struct app app = {0};
    int first = argc > 2 && strcmp(argv[1], "--count") == 0 ? 3 : 1;
    if (first >= argc) {
        fprintf(stderr, "usage: embedded_loop [--count N] SELF [PEER]...\n");
        return EXIT_FAILURE;
    }
    app.count = first == 3 ? strtoul(argv[2], NULL, 10) : 0;

    weft_options o;
    weft_options_init(&o);
    o.self = argv[first];
    o.peers = (const char *const *)&argv[first + 1];
    int rc = weft_node_attach(uv_default_loop(), &o, &app.node, NULL);
    if (rc == 0 && (rc = start(&app, uv_default_loop())) < 0)
        weft_node_detach(app.node, NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "embedded_loop: %s: %s\n", o.self, weft_strerror(rc));
    int left = uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return rc == 0 && left == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
