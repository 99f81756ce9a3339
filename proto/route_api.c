/* The public functions on routes (weft/weft.h): each parses its text, then asks the core. */
#include <string.h>

#include <weft/weft.h>

#include "proto/route.h"

_Static_assert((int)ROUTE_PLAIN == (int)WEFT_ROUTE_PLAIN &&
                   (int)ROUTE_HASHED == (int)WEFT_ROUTE_HASHED &&
                   (int)ROUTE_PATTERN == (int)WEFT_ROUTE_PATTERN,
               "public and internal kinds are the same numbers");

int weft_route_check(const char *route, size_t *ret_where)
{
    struct route parsed;
    int rc = route_parse(route ? route : "", route ? strlen(route) : 0, &parsed, ret_where);
    return rc < 0 ? rc : (int)parsed.kind;
}

int weft_route_make(const char *type, const char *path, char *buf, size_t size)
{
    if (!type || !path || !buf)
        return WEFT_EINVAL;
    char text[ROUTE_MAX];
    size_t type_len = strlen(type), path_len = strlen(path);
    if (type_len >= ROUTE_MAX || path_len > ROUTE_MAX - 1 - type_len)
        return WEFT_EROUTE;
    size_t len = type_len + 1 + path_len;
    memcpy(text, type, type_len);
    text[type_len] = '@';
    memcpy(text + type_len + 1, path, path_len);

    struct route route;
    int rc = route_parse(text, len, &route, NULL);
    if (rc < 0)
        return rc;
    if (len >= size)
        return WEFT_ELIMIT;
    memcpy(buf, text, len);
    buf[len] = '\0';
    return (int)len;
}

int weft_route_hash(const char *route, const char *prefix, char *buf, size_t size)
{
    if (!route || !prefix || !buf)
        return WEFT_EINVAL;
    struct route parsed;
    int rc = route_parse(route, strlen(route), &parsed, NULL);
    return rc < 0 ? rc : route_hash(&parsed, prefix, strlen(prefix), buf, size);
}

int weft_route_matches(const char *interest, const char *route)
{
    struct route want, have;
    if (!interest || !route || route_parse(interest, strlen(interest), &want, NULL) < 0 ||
        route_parse(route, strlen(route), &have, NULL) < 0 || have.kind == ROUTE_PATTERN)
        return WEFT_EROUTE;
    return route_covers(&want, &have);
}
