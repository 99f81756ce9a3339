/* The daemon is a node on this thread's own loop and a few handles beside it.
 *
 * Happy path: take the pid file, attach, say "listening on URL" on stdout and READY=1 to a service
 * manager, run; at the first SIGTERM or SIGINT detach (goodbye, drain for `linger`, save the
 * address book), and when the node is gone close the handles, which lets the loop run out. A second
 * signal ends the process at once: whoever repeats it does not want to wait. SIGHUP reads the
 * configuration anew (steer.c). When the node cannot be opened the library's sentence is printed,
 * and the exit code tells a bad configuration (3) from a bad moment (1).
 *
 * All else goes to the log (log.c). */
#include "daemon.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weft/admin.h>

#include "../common/memory.h"

/* ---- Logging --------------------------------------------------------------------------------- */

static void on_record(enum weft_log_level level, const char *text, const weft_event *event,
                      void *user)
{
    const struct daemon *d = user;
    struct log_record record = {.level = level, .text = text};
    if (event) {
        record.event = log_event_name(event->type);
        record.peer = event->peer;
        record.route = event->route;
        record.error = event->error;
    }
    log_write(d->format, &record);
}

/* It may have been changed by a command since it was configured. */
static enum weft_log_level level_now(const struct daemon *d)
{
    enum weft_log_level level = (enum weft_log_level)d->config->log;
    weft_report *report;
    weft_query query;
    weft_query_init(&query);
    if (d->node && weft_node_inspect(d->node, NULL, &query, 0, &report, NULL) == 0) {
        level = report->status->log_level;
        weft_report_free(report);
    }
    return level;
}

void daemon_log(const struct daemon *d, enum weft_log_level level, const char *event,
                const char *text)
{
    if (level_now(d) >= level)
        log_write(d->format, &(struct log_record){.level = level, .event = event, .text = text});
}

static void on_event(weft_node *node, const weft_event *event, void *user)
{
    struct daemon *d = user;
    if (event->type == WEFT_EVENT_PEER_UP || event->type == WEFT_EVENT_PEER_DOWN)
        service_changed(&d->service);
    http_event(d->http, event);
}

static void on_http_log(enum weft_log_level level, const char *text, void *user)
{
    daemon_log(user, level, "http", text);
}

/* ---- Signals --------------------------------------------------------------------------------- */

/* What stands beside the node: nothing here outlives it. */
static void close_handles(struct daemon *d)
{
    for (size_t i = 0; i < d->signals_open; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    d->signals_open = 0;
    service_close(&d->service);
}

static void on_detached(void *user)
{
    close_handles(user);
}

static void close_down(struct daemon *d, int number)
{
    weft_node *node = d->node;
    char text[64];
    snprintf(text, sizeof(text), "%s: closing down", strsignal(number));
    daemon_log(d, WEFT_LOG_INFO, "closing", text);
    d->node = NULL;
    service_stopping(&d->service);
    http_close(d->http);
    weft_node_detach(node, on_detached, d);
}

/* Without a file there is nothing to read anew: then SIGHUP means what it means to any program
 * whose terminal goes. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *d = handle->data;
    bool reload = number == SIGHUP && d->args->file;
    if (d->node && reload)
        daemon_reload(d);
    else if (d->node)
        close_down(d, number);
    else if (!reload) {
        pidfile_close(&d->pidfile);
        _exit(EXIT_FAILED);
    }
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

static void fill_options(struct daemon *d, weft_options *ret_options)
{
    const struct config *config = d->config;
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
    ret_options->info = (enum weft_access)config->info;
    ret_options->control = (enum weft_access)config->control;
    ret_options->on_record = on_record;
    ret_options->on_event = on_event;
    ret_options->on_command = daemon_command;
    ret_options->user = d;
}

/* Why it does not start: for people as any program says it, for others as a record. */
static void explain(const struct daemon *d, int error, const char *text)
{
    if (d->format == LOG_TEXT)
        fprintf(stderr, "weftd: %s\n", text);
    else
        log_write(d->format,
                  &(struct log_record){
                      .level = WEFT_LOG_ERROR, .event = "start", .error = error, .text = text});
}

static int explain_failure(const struct daemon *d, int rc, char *text)
{
    explain(d, rc, text ? text : weft_strerror(rc));
    weft_free(text);
    return rc == WEFT_EURL || rc == WEFT_EINVAL || rc == WEFT_ENOTSUP ? EXIT_CONFIG : EXIT_FAILED;
}

/* All peers, each with its own schedule; what the address book still has of an earlier
 * configuration is let go, then. Those that cannot be dialled are named; if any, the daemon
 * does not start, for it would not be what was asked for. Our own URL is passed over: one list of
 * peers for all nodes is a good way to configure them. */
static int dial_peers(const struct daemon *d)
{
    char text[1536];
    int code = EXIT_OK;
    for (size_t i = 0; i < d->config->peer_count; i++) {
        const struct config_peer *peer = &d->config->peers[i];
        int rc = weft_node_configure_peer(d->node, peer->url, &peer->dial);
        if (rc == WEFT_ESELF)
            daemon_log(d, WEFT_LOG_INFO, "start",
                       "one of peers is this node itself and is passed over");
        if (rc == 0 || rc == WEFT_ESELF)
            continue;
        snprintf(text, sizeof(text), "cannot dial %s: %s; correct or remove it under peers",
                 peer->url, weft_strerror(rc));
        explain(d, rc, text);
        code = rc == WEFT_ENOMEM ? EXIT_FAILED : EXIT_CONFIG;
    }
    if (code == EXIT_OK)
        weft_node_configure_done(d->node);
    return code;
}

/* A leaf's router has to be known when the node is made. */
static int attach(struct daemon *d)
{
    const struct config *config = d->config;
    struct names routers = {0};
    weft_options options;
    char *text = NULL;
    fill_options(d, &options);
    for (size_t i = 0; i < config->peer_count && options.role == WEFT_ROLE_LEAF; i++)
        names_add(&routers, config->peers[i].url);
    options.peers = names_list(&routers);
    int rc = weft_node_attach(&d->loop, &options, &d->node, &text);
    names_fini(&routers);
    return rc < 0 ? explain_failure(d, rc, text) : EXIT_OK;
}

/* Attach and dial. On failure nothing is left on the loop but handles that are closing. */
static int start_node(struct daemon *d)
{
    char warning[WARNING_TEXT];
    int code = attach(d);
    if (code != EXIT_OK)
        return code;
    code = dial_peers(d);
    if (code == EXIT_OK &&
        http_open(&d->loop, d->node, &d->config->http, on_http_log, d, &d->http) < 0)
        code = EXIT_FAILED;
    if (code != EXIT_OK) {
        weft_node_detach(d->node, NULL, NULL);
        d->node = NULL;
        return code;
    }
    if (d->config->self)
        printf("listening on %s\n", weft_node_url(d->node));
    else
        printf("dialling only\n");
    fflush(stdout);
    if (config_warning(d->config, warning))
        daemon_log(d, WEFT_LOG_WARN, "start", warning);
    service_ready(&d->service, d->node);
    return EXIT_OK;
}

static int start(struct daemon *d)
{
    char text[1536];
    if (pidfile_open(&d->pidfile, d->config->pid_file, text, sizeof(text)) < 0) {
        explain(d, 0, text);
        return EXIT_FAILED;
    }
    service_start(&d->service, &d->loop);
    return start_node(d);
}

int daemon_run(const struct arguments *args, struct config *config)
{
    struct daemon d = {.args = args, .config = config, .pidfile = {.fd = -1}};
    int code = EXIT_FAILED;
    signal(SIGPIPE, SIG_IGN);
    config->role = config_role(config); /* other peers make no other node of it */
    d.format = log_open((enum log_format)config->log_format);
    int rc = uv_loop_init(&d.loop);
    if (rc < 0)
        goto out;
    rc = start_signals(&d);
    if (rc == 0)
        code = start(&d);
    if (code != EXIT_OK)
        close_handles(&d);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    http_free(d.http);
    uv_loop_close(&d.loop);
    pidfile_close(&d.pidfile);
out:
    if (rc < 0)
        fprintf(stderr, "weftd: cannot start the event loop: %s\n", uv_strerror(rc));
    return code;
}
