/* A bounded list of strings that is at every moment what the library takes: NULL-terminated. */
#ifndef CMD_NAMES_H
#define CMD_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define NAMES_MAX 4096

struct names {
    char **items; /* count strings of its own and a NULL; NULL while empty */
    size_t count; /* at most NAMES_MAX */
};

/* Append a copy. False: the list is full, nothing changed. */
bool names_add(struct names *names, const char *text);

void names_fini(struct names *names);

/* As weft_options wants it: NULL-terminated, or NULL where the list is empty. */
const char *const *names_list(const struct names *names);

#endif
