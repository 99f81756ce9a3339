/* "Did you mean …?" for a mistyped word. */
#ifndef CMD_SUGGEST_H
#define CMD_SUGGEST_H

#include <getopt.h>
#include <stddef.h>

/* Of `count` names, `stride` bytes apart beginning with the pointer at `first`, the one nearest to
 * `word`; NULL if none is within two typing errors. */
const char *suggest(const char *word, const char *const *first, size_t count, size_t stride);

/* getopt_long, which says on stderr what it did not understand, and behind that the long option
 * that may have been meant. */
int suggest_getopt(int argc, char **argv, const char *shorts, const struct option *longs);

#endif
