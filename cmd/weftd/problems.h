/* What is wrong with a configuration: all of it, with the place, so that one run tells everything.
 */
#ifndef WEFTD_PROBLEMS_H
#define WEFTD_PROBLEMS_H

#include <stddef.h>
#include <stdio.h>

#define PROBLEMS_MAX 64 /* more are counted, not kept */

struct problem {
    size_t line, column; /* from 1; line 0: no place in the file */
    char *text;          /* what was found, what was expected, what to do */
};

struct problems {
    const char *file; /* borrowed; NULL: no file was read */
    struct problem list[PROBLEMS_MAX];
    size_t count; /* of list */
    size_t total; /* count and those there was no room for */
};

/* Add a problem. line 0 means none of the file's lines is to blame, but the options together. */
__attribute__((format(printf, 4, 5))) void problems_add(struct problems *problems, size_t line,
                                                        size_t column, const char *format, ...);

/* The i-th as "FILE:LINE:COLUMN: text", or its text alone where it has no place. */
void problems_text(const struct problems *problems, size_t i, char *buf, size_t size);

/* Print them, "FILE:LINE:COLUMN: text" a line. */
void problems_print(const struct problems *problems, FILE *out);

void problems_fini(struct problems *problems);

#endif
