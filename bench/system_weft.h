/* Between the two files of weft's part. */
#ifndef BENCH_SYSTEM_WEFT_H
#define BENCH_SYSTEM_WEFT_H

#include "bench.h"

/* Explain the error. Returns -1. */
int weft_failed(const char *what, int error);

/* struct bench_system's local. */
int weft_local(const struct bench_setup *setup, struct feed *feed, struct sink *sink);

#endif
