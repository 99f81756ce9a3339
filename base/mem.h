/* The process-wide allocator. Everything in weft allocates through here, so that an application can
 * supply its own and a test can make the n-th allocation fail. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Each returns NULL when out of memory. [any] */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *p, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
void mem_free(void *p); /* NULL is ignored */

/* Free what the program made with malloc, whatever allocator it gave us. NULL is ignored. [any] */
void mem_free_malloced(void *p);

#endif
