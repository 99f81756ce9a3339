/* What covers what. A plain interest is compared byte by byte, a pattern segment by segment: each
 * '*' takes one, each '**' first none, and one more whenever what follows it does not fit. Only the
 * last '**' is ever reconsidered; an earlier one could gain nothing that the last cannot, which
 * keeps the work below pattern times path, at most 64 by 64 segments, without recursion. */
#include "proto/route.h"

#include <string.h>

static bool is_star(struct segment s)
{
    return s.len == 1 && s.text[0] == '*';
}

static bool is_stars(struct segment s)
{
    return s.len == 2 && s.text[0] == '*' && s.text[1] == '*';
}

static bool segment_fits(struct segment pattern, struct segment name)
{
    return is_star(pattern) ||
           (pattern.len == name.len && memcmp(pattern.text, name.text, name.len) == 0);
}

static bool path_matches(const char *pattern, size_t pattern_len, const char *path, size_t path_len)
{
    struct segment p = path_first(pattern, pattern_len);
    struct segment s = path_first(path, path_len);
    struct segment after = {0}; /* what follows the last '**' */
    struct segment retry = {0}; /* where in the path that was tried last */
    bool stars = false;
    while (s.text) {
        if (p.text && is_stars(p)) {
            stars = true;
            after = p = path_next(p);
            retry = s;
        } else if (p.text && segment_fits(p, s)) {
            p = path_next(p);
            s = path_next(s);
        } else if (stars) {
            p = after;
            s = retry = path_next(retry);
        } else {
            return false;
        }
    }
    while (p.text && is_stars(p))
        p = path_next(p);
    return !p.text;
}

static bool same_path(const struct route *a, const struct route *b)
{
    return a->path_len == b->path_len && path_covers(a->path, a->path_len, b->path, b->path_len);
}

static bool same_type(const struct route *a, const struct route *b)
{
    return a->type_len == b->type_len && memcmp(a->type, b->type, a->type_len) == 0;
}

bool route_covers(const struct route *interest, const struct route *route)
{
    if (interest->kind != ROUTE_PATTERN)
        return interest->kind == route->kind && same_type(interest, route) &&
               same_path(interest, route);
    if (route->kind != ROUTE_PLAIN)
        return false;
    bool any = interest->type_len == 1 && interest->type[0] == '*';
    return (any || same_type(interest, route)) &&
           path_matches(interest->path, interest->path_len, route->path, route->path_len);
}

bool route_in_scope(const struct route *route, const char *path, size_t path_len)
{
    if (route->kind == ROUTE_PATTERN)
        return false;
    if (path_covers(path, path_len, route->path, route->path_len))
        return true;
    return route->kind == ROUTE_HASHED && path_covers(route->path, route->path_len, path, path_len);
}

/* Beyond its own path a node may call a route what it likes, so only the node's segments have to
 * fit, and from the first '**' on they all do. */
bool route_reaches(const struct route *interest, const char *path, size_t path_len)
{
    if (interest->kind != ROUTE_PATTERN)
        return route_in_scope(interest, path, path_len);
    struct segment p = path_first(interest->path, interest->path_len);
    struct segment s = path_first(path, path_len);
    for (; s.text; s = path_next(s), p = path_next(p)) {
        if (!p.text)
            return false;
        if (is_stars(p))
            return true;
        if (!segment_fits(p, s))
            return false;
    }
    return true;
}
