#include "names.h"

#include <string.h>

#include "memory.h"

bool names_add(struct names *names, const char *text)
{
    if (names->count == NAMES_MAX)
        return false;
    names->items = xresize(names->items, (names->count + 2) * sizeof(*names->items));
    names->items[names->count++] = xcopy(text, strlen(text));
    names->items[names->count] = NULL;
    return true;
}

void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        xfree(names->items[i]);
    xfree(names->items);
    *names = (struct names){0};
}

const char *const *names_list(const struct names *names)
{
    return (const char *const *)names->items;
}
