/* Memory for the programs. A command line tool that is out of memory has nothing better to do than
 * say so and end, so none of these returns NULL; the library beneath never decides that. */
#ifndef CMD_MEMORY_H
#define CMD_MEMORY_H

#include <stddef.h>

/* Grow or shrink `p` (NULL: a new block) to `size` bytes. Ends the program when out of memory. */
void *xresize(void *p, size_t size);

/* A copy of the first `len` bytes of `s`, NUL-terminated. Ends the program when out of memory. */
char *xcopy(const char *s, size_t len);

/* Replace the string in *slot by a copy of `s` (NULL: by nothing). */
void xreplace(char **slot, const char *s);

void xfree(void *p); /* NULL is ignored */

#endif
