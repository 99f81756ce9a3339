/* The happy path is a call through one of three pointers, set once before threads exist. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

static void *(*alloc_fn)(size_t) = malloc;
static void *(*resize_fn)(void *, size_t) = realloc;
static void (*release_fn)(void *) = free;

int weft_set_allocator(void *(*alloc)(size_t), void *(*resize)(void *, size_t),
                       void (*release)(void *))
{
    if (!alloc != !resize || !alloc != !release)
        return WEFT_EINVAL;
    alloc_fn = alloc ? alloc : malloc;
    resize_fn = resize ? resize : realloc;
    release_fn = release ? release : free;
    return 0;
}

void weft_free(void *p)
{
    mem_free(p);
}

void *mem_alloc(size_t size)
{
    return alloc_fn(size ? size : 1);
}

void *mem_zalloc(size_t size)
{
    void *p = mem_alloc(size);
    if (p)
        memset(p, 0, size);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    return resize_fn(p, size ? size : 1);
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

void mem_free(void *p)
{
    if (p)
        release_fn(p);
}

void mem_free_malloced(void *p)
{
    free(p);
}
