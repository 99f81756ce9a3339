/* weftd at work. */
#ifndef WEFTD_DAEMON_H
#define WEFTD_DAEMON_H

#include "config.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3 };

/* Run a node until SIGTERM, SIGINT or SIGHUP. Returns the exit code. */
int daemon_run(const struct config *config);

#endif
