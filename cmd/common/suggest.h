/* "Did you mean …?" for a mistyped word. */
#ifndef CMD_SUGGEST_H
#define CMD_SUGGEST_H

#include <stddef.h>

/* Of `count` names, `stride` bytes apart beginning with the pointer at `first`, the one nearest to
 * `word`; NULL if none is within two typing errors. */
const char *suggest(const char *word, const char *const *first, size_t count, size_t stride);

#endif
