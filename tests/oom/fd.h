/* Descriptors that run out: see fd.c. */
#ifndef TESTS_OOM_FD_H
#define TESTS_OOM_FD_H

#include <stdatomic.h>

#define FD_MAX 256 /* more than a scenario opens */

extern atomic_uint fd_accepts; /* calls of accept4 */
unsigned fd_open(void);        /* descriptors of this process */

#endif
