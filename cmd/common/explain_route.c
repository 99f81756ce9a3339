/* What two routes have to do with each other: the same, covered, or missed narrowly. */
#include <stdio.h>
#include <string.h>

#include "explain_private.h"

#define ROUTE_TEXT 1100

const char *explain_path(const char *route)
{
    const char *at = strchr(route, '@');
    return at ? at + 1 : "";
}

/* Do the segments of `prefix` begin `path`? */
static bool path_begins(const char *path, const char *prefix)
{
    if (*prefix == '\0')
        return true;
    for (; *prefix; path++, prefix++) {
        bool parts = strchr("./", *prefix) && *path && strchr("./", *path);
        if (*path != *prefix && !parts)
            return false;
    }
    return *path == '\0' || strchr("./#", *path);
}

/* Does a hashed route stand for this plain one? */
static bool is_hash_of(const char *hashed, const char *plain)
{
    char prefix[ROUTE_TEXT], buf[ROUTE_TEXT];
    const char *sharp = strrchr(hashed, '#');
    snprintf(prefix, sizeof(prefix), "%.*s", sharp ? (int)(sharp - hashed) : 0, hashed);
    return weft_route_hash(plain, prefix, buf, sizeof(buf)) > 0 && strcmp(buf, hashed) == 0;
}

/* Do they differ in their type alone? `interest` may be a pattern. */
static bool type_differs(const char *interest, const char *route)
{
    char any[ROUTE_TEXT];
    return weft_route_make("*", explain_path(interest), any, sizeof(any)) > 0 &&
           weft_route_matches(any, route) == 1;
}

static enum explain_relation relation_to_hashed(const char *hashed, const char *declared)
{
    int kind = weft_route_check(declared, NULL);
    if (strcmp(hashed, declared) == 0)
        return PARTY;
    if (kind == WEFT_ROUTE_PLAIN && is_hash_of(hashed, declared))
        return NEAR_HASHED;
    return UNRELATED;
}

static enum explain_relation relation_to_pattern(const char *pattern, const char *declared,
                                                 bool intent)
{
    if (strcmp(pattern, declared) == 0 || weft_route_matches(pattern, declared) == 1)
        return PARTY;
    if (weft_route_check(declared, NULL) == WEFT_ROUTE_HASHED)
        return UNSEEN;
    return intent && type_differs(pattern, declared) ? NEAR_TYPE : UNRELATED;
}

enum explain_relation explain_relation(const char *route, const char *declared, bool intent)
{
    int asked = weft_route_check(route, NULL), kind = weft_route_check(declared, NULL);
    if (asked == WEFT_ROUTE_HASHED)
        return relation_to_hashed(route, declared);
    if (asked == WEFT_ROUTE_PATTERN)
        return relation_to_pattern(route, declared, intent);
    if (kind == WEFT_ROUTE_HASHED)
        return is_hash_of(declared, route) ? NEAR_HASHED : UNRELATED;
    if (weft_route_matches(declared, route) == 1)
        return PARTY;
    return kind > 0 && type_differs(declared, route) ? NEAR_TYPE : UNRELATED;
}

bool explain_other_words(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), begin = 0, end = 0;
    while (begin < la && a[begin] == b[begin])
        begin++;
    while (end < la - begin && end < lb - begin && a[la - end - 1] == b[lb - end - 1])
        end++;
    return (begin == 0 || strchr("@./", a[begin - 1])) && (end == 0 || strchr("@./", a[la - end]));
}

bool explain_in_scope(const char *route, const char *path)
{
    if (weft_route_check(route, NULL) == WEFT_ROUTE_HASHED) {
        char prefix[ROUTE_TEXT];
        snprintf(prefix, sizeof(prefix), "%.*s", (int)(strrchr(route, '#') - route), route);
        return path_begins(prefix, path) || path_begins(path, prefix);
    }
    return path_begins(explain_path(route), path);
}
