/* Paths are walked segment by segment in place; nothing is copied or rewritten. '.' and '/' both
 * end a segment, so two spellings of one path compare equal here and nowhere need a canonical form.
 */
#include "proto/route.h"

#include <string.h>

#include "proto/text.h"

static bool is_separator(char c)
{
    return c == '.' || c == '/';
}

static struct segment segment_at(const char *text, const char *end)
{
    const char *p = text;
    while (p < end && !is_separator(*p))
        p++;
    return (struct segment){text, (uint16_t)(p - text), end};
}

struct segment path_first(const char *path, size_t len)
{
    if (len == 0)
        return (struct segment){0};
    return segment_at(path, path + len);
}

struct segment path_next(struct segment s)
{
    const char *p = s.text + s.len;
    if (p >= s.end)
        return (struct segment){0};
    return segment_at(p + 1, s.end);
}

/* One segment at offset `at` of its path. */
static bool segment_check(struct segment s, size_t at, enum path_rule rule, bool *wild,
                          struct fault *fault)
{
    if (s.len == 0)
        return fault_at(fault, at, "a path segment is empty, expected a name");
    for (size_t i = 0; i < s.len; i++) {
        if (s.text[i] == '@' || s.text[i] == '#')
            return fault_at(fault, at + i, "'@' and '#' cannot be part of a path");
    }
    const char *star = memchr(s.text, '*', s.len);
    if (!star)
        return true;
    *wild = true;
    if (rule == PATH_PLAIN)
        return fault_at(fault, at + (size_t)(star - s.text), "a wildcard is for interests only");
    bool whole = s.len == 1 || (s.len == 2 && s.text[1] == '*');
    if (!whole || star != s.text)
        return fault_at(fault, at + (size_t)(star - s.text),
                        "a wildcard is a whole segment, '*' or '**'");
    return true;
}

bool path_check(const char *path, size_t len, enum path_rule rule, bool *ret_wild,
                struct fault *fault)
{
    bool wild = false;
    size_t depth = 0;
    if (len == 0)
        return fault_at(fault, 0, "the path is empty, expected a name");
    /* A path that ends in a separator has an empty last segment, which path_next hands out too. */
    for (struct segment s = path_first(path, len); s.text; s = path_next(s)) {
        size_t at = (size_t)(s.text - path);
        if (++depth > ROUTE_DEPTH_MAX)
            return fault_at(fault, at, "expected no more than 64 path segments");
        if (!segment_check(s, at, rule, &wild, fault))
            return false;
    }
    *ret_wild = wild;
    return true;
}

bool path_valid(const char *path, size_t len, size_t *ret_where)
{
    struct fault fault = {0};
    bool wild;
    bool ok = true;
    if (len > ROUTE_MAX)
        ok = fault_at(&fault, ROUTE_MAX, "too long");
    else if (len > 0)
        ok = text_check(path, len, &fault) && path_check(path, len, PATH_PLAIN, &wild, &fault);
    if (!ok && ret_where)
        *ret_where = fault.at;
    return ok;
}

bool path_covers(const char *prefix, size_t prefix_len, const char *path, size_t path_len)
{
    if (prefix_len > path_len)
        return false;
    for (size_t i = 0; i < prefix_len; i++) {
        if (prefix[i] != path[i] && !(is_separator(prefix[i]) && is_separator(path[i])))
            return false;
    }
    return prefix_len == 0 || prefix_len == path_len || is_separator(path[prefix_len]);
}
