/* The daemon is a node on this thread's own loop and three signal handles beside it.
 *
 * Happy path: attach, say "listening on URL" on stdout, run; at the first signal detach (goodbye,
 * drain for `linger`, save the address book), and when the node is gone close the signal handles,
 * which lets the loop run out. A second signal ends the process at once: whoever repeats it does
 * not want to wait. When the node cannot be opened the library's sentence is printed, and the exit
 * code tells a bad configuration (3) from a bad moment (1).
 *
 * All else goes to stderr, a line each with time and level. */
#include "daemon.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weft/uv.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/units.h"

#define SIGNALS 3

struct daemon {
    uv_loop_t loop;
    uv_signal_t signals[SIGNALS];
    size_t signals_open; /* handles of `signals` that are to be closed */
    weft_node *node;     /* NULL once detached */
    uint64_t log;        /* enum weft_log_level: lines above it are not made */
};

/* ---- Logging --------------------------------------------------------------------------------- */

static void log_line(enum weft_log_level level, const char *text, void *user)
{
    static const char *const names[] = {"", "error", "warn", "info", "debug"};
    char stamp[TIME_TEXT];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    char *safe = text_safe_copy(text); /* some of it comes from peers */
    fprintf(stderr, "%s %-5s %s\n", time_format(ns, 3, stamp), names[level], safe);
    xfree(safe);
}

/* A line of the daemon's own; the node keeps to its level by itself. */
static void log_info(const struct daemon *d, const char *text)
{
    if (d->log >= WEFT_LOG_INFO)
        log_line(WEFT_LOG_INFO, text, NULL);
}

/* ---- Signals --------------------------------------------------------------------------------- */

static void close_signals(struct daemon *d)
{
    for (size_t i = 0; i < d->signals_open; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    d->signals_open = 0;
}

static void on_detached(void *user)
{
    close_signals(user);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *d = handle->data;
    weft_node *node = d->node;
    if (!node)
        _exit(EXIT_FAILED);
    char text[64];
    snprintf(text, sizeof(text), "%s: closing down", strsignal(number));
    log_info(d, text);
    d->node = NULL;
    weft_node_detach(node, on_detached, d);
}

static int start_signals(struct daemon *d)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < SIGNALS; i++) {
        int rc = uv_signal_init(&d->loop, &d->signals[i]);
        if (rc < 0)
            return rc;
        d->signals[i].data = d;
        d->signals_open++;
        rc = uv_signal_start(&d->signals[i], on_signal, numbers[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- The node -------------------------------------------------------------------------------- */

static void fill_options(const struct config *config, weft_options *ret_options)
{
    weft_options_init(ret_options);
    ret_options->self = config->self;
    ret_options->advertise = config->advertise;
    ret_options->listen = names_list(&config->listen);
    ret_options->path = config->path;
    ret_options->network = config->network;
    ret_options->addrbook = config->addrbook;
    ret_options->agent = "weftd/" WEFT_VERSION;
    ret_options->role = config_role(config);
    ret_options->allow_base = config->allow_base;
    ret_options->max_frame = (uint32_t)config->max_frame;
    ret_options->max_peers = (uint32_t)config->max_peers;
    ret_options->max_routes = (uint32_t)config->max_routes;
    ret_options->outbox = (size_t)config->outbox;
    ret_options->linger_ms = config->linger_ms;
    ret_options->log_level = (enum weft_log_level)config->log;
    ret_options->on_log = log_line;
}

static int explain_failure(int rc, char *text)
{
    fprintf(stderr, "weftd: %s\n", text ? text : weft_strerror(rc));
    weft_free(text);
    return rc == WEFT_EURL || rc == WEFT_EINVAL || rc == WEFT_ENOTSUP ? EXIT_CONFIG : EXIT_FAILED;
}

/* All peers, each with its own schedule. Those that cannot be dialled are named; if any, the daemon
 * does not start, for it would not be what was asked for. Our own URL is passed over: one list of
 * peers for all nodes is a good way to configure them. */
static int dial_peers(const struct daemon *d, const struct config *config)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < config->peer_count; i++) {
        const struct config_peer *peer = &config->peers[i];
        int rc = weft_node_dial(d->node, peer->url, &peer->dial);
        if (rc == WEFT_ESELF)
            log_info(d, "one of peers is this node itself and is passed over");
        if (rc == 0 || rc == WEFT_ESELF)
            continue;
        fprintf(stderr, "weftd: cannot dial %s: %s; correct or remove it under peers\n", peer->url,
                weft_strerror(rc));
        code = rc == WEFT_ENOMEM ? EXIT_FAILED : EXIT_CONFIG;
    }
    return code;
}

/* Attach and dial. On failure nothing is left on the loop but handles that are closing. */
static int start_node(struct daemon *d, const struct config *config)
{
    weft_options options;
    char *text = NULL;
    fill_options(config, &options);
    int rc = weft_node_attach(&d->loop, &options, &d->node, &text);
    if (rc < 0)
        return explain_failure(rc, text);
    int code = dial_peers(d, config);
    if (code != EXIT_OK) {
        weft_node_detach(d->node, NULL, NULL);
        d->node = NULL;
        return code;
    }
    if (config->self)
        printf("listening on %s\n", weft_node_url(d->node));
    else
        printf("dialling only\n");
    fflush(stdout);
    return EXIT_OK;
}

int daemon_run(const struct config *config)
{
    struct daemon d = {.log = config->log};
    int code = EXIT_FAILED;
    signal(SIGPIPE, SIG_IGN);
    int rc = uv_loop_init(&d.loop);
    if (rc < 0)
        goto out;
    rc = start_signals(&d);
    if (rc == 0)
        code = start_node(&d, config);
    if (code != EXIT_OK)
        close_signals(&d);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
out:
    if (rc < 0)
        fprintf(stderr, "weftd: cannot start the event loop: %s\n", uv_strerror(rc));
    return code;
}
