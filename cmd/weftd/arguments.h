/* weftd's command line. It is kept, since it is laid over the file each time that is read. */
#ifndef WEFTD_ARGUMENTS_H
#define WEFTD_ARGUMENTS_H

#include <stdbool.h>

#include "config.h"

struct arguments {
    const char *file, *addrbook, *log, *log_format, *pid_file; /* NULL: not given */
    struct names listen, peers;
    bool check;
    int code; /* what to end with where parsing says so */
};

/* Take the command line. False: all is said, end with a->code. */
bool arguments_parse(struct arguments *a, int argc, char **argv);
void arguments_fini(struct arguments *a);

/* Read the file, lay the command line over it, and check the whole. `config` is initialised. */
void arguments_gather(const struct arguments *a, struct config *config, struct problems *problems);

#endif
