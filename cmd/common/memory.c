#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *xresize(void *p, size_t size)
{
    void *grown = realloc(p, size ? size : 1);
    if (!grown) {
        fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
        exit(EXIT_FAILURE);
    }
    return grown;
}

char *xcopy(const char *s, size_t len)
{
    char *copy = xresize(NULL, len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

void xreplace(char **slot, const char *s)
{
    char *copy = s ? xcopy(s, strlen(s)) : NULL;
    xfree(*slot);
    *slot = copy;
}

void xfree(void *p)
{
    free(p);
}
