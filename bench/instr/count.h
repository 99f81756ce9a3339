/* Counting the instructions of fixed work under callgrind, started with --collect-atstart=no: what
 * runs between count_begin and count_end on the calling thread is counted; count_done writes a dump
 * that bears the case's name, and tells instr.py how many messages it was for. */
#ifndef BENCH_INSTR_COUNT_H
#define BENCH_INSTR_COUNT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

static inline void count_begin(void)
{
    CALLGRIND_TOGGLE_COLLECT;
}

static inline void count_end(void)
{
    CALLGRIND_TOGGLE_COLLECT;
}

static inline void count_done(const char *name, unsigned messages)
{
    CALLGRIND_DUMP_STATS_AT(name);
    printf("%s\t%u\n", name, messages);
}

__attribute__((noreturn)) static inline void give_up(const char *what)
{
    fprintf(stderr, "instr: %s\n", what);
    exit(1);
}

#endif
