/* weftd at work. */
#ifndef WEFTD_DAEMON_H
#define WEFTD_DAEMON_H

#include <weft/uv.h>

#include "arguments.h"
#include "config.h"
#include "http.h"
#include "log.h"
#include "pidfile.h"
#include "service.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3 };

#define SIGNALS 3

struct daemon {
    uv_loop_t loop;
    uv_signal_t signals[SIGNALS];
    size_t signals_open;          /* handles of `signals` that are to be closed */
    weft_node *node;              /* NULL once detached */
    const struct arguments *args; /* laid over the file when that is read anew */
    struct config *config;        /* what it runs with */
    enum log_format format;       /* resolved */
    struct pidfile pidfile;
    struct service service;
    struct http *http; /* NULL: off */
};

/* Run a node until SIGTERM or SIGINT. Returns the exit code. `config` is kept up to date when it is
 * reloaded. */
int daemon_run(const struct arguments *args, struct config *config);

/* Write a line of the daemon's own, if the node's level lets it. `event` names what it tells of. */
void daemon_log(const struct daemon *d, enum weft_log_level level, const char *event,
                const char *text);

/* Read the configuration anew and apply what can be applied; all is told in the log. */
void daemon_reload(struct daemon *d);

/* An on_command with the daemon as its user: "reload" ["dry-run"] ["json"]. */
struct weft_command;
int daemon_command(weft_node *node, const struct weft_command *command, char **ret_text,
                   void *user);

#endif
