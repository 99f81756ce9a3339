/* The file that holds the daemon's process id. */
#ifndef WEFTD_PIDFILE_H
#define WEFTD_PIDFILE_H

#include <stddef.h>

struct pidfile {
    const char *path; /* NULL: there is none; borrowed */
    int fd;           /* holds the lock */
};

/* Take `path` (NULL: do nothing) and write our process id into it. A file that was left behind is
 * taken over. Returns 0, or -1 with a sentence in `text` that names the place and the remedy. */
int pidfile_open(struct pidfile *file, const char *path, char *text, size_t size);

/* Remove the file, if it is there. */
void pidfile_close(struct pidfile *file);

#endif
