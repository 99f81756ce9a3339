/* A route is taken apart at its first '@' or '#': what stands before is a type or a prefix, what
 * follows a path or a hash. It is a pattern if type or path hold a wildcard. Every way to fail ends
 * in a `struct fault`, from which route_parse takes the place and route_explain the sentence. */
#include "proto/route.h"

#include <string.h>

#include <weft/weft.h>

#include "base/hash.h"
#include "proto/text.h"

#define HASH_CHARS 27 /* SHA-1 in base64 without its padding */

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A full protobuf name: identifiers separated by dots. */
static bool type_check(const char *type, size_t len, struct fault *fault)
{
    if (len == 0)
        return fault_at(fault, 0, "the type is empty, expected a message name or '*'");
    bool start = true;
    for (size_t i = 0; i < len; i++) {
        if (type[i] == '*')
            return fault_at(fault, i, "a wildcard is the whole type, '*'");
        if (start ? !is_alpha(type[i]) : !is_alpha(type[i]) && !is_digit(type[i]) && type[i] != '.')
            return fault_at(fault, i, "expected a message name: identifiers separated by '.'");
        start = type[i] == '.';
    }
    if (start)
        return fault_at(fault, len, "expected an identifier after '.'");
    return true;
}

/* Value of a base64 digit, or -1. */
static int base64_value(char c)
{
    if (is_digit(c))
        return c - '0' + 52;
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* 27 digits carry 162 bits for 160: the last two must be 0, or one hash had four spellings. */
static bool hash_check(const char *hash, size_t len, size_t at, struct fault *fault)
{
    for (size_t i = 0; i < len && i < HASH_CHARS; i++) {
        int value = base64_value(hash[i]);
        if (value < 0 || (i == HASH_CHARS - 1 && value % 4 != 0))
            return fault_at(fault, at + i, "expected the hash as 27 characters of base64");
    }
    if (len != HASH_CHARS)
        return fault_at(fault, at + (len < HASH_CHARS ? len : HASH_CHARS),
                        "expected the hash as 27 characters of base64");
    return true;
}

static bool parse_hashed(struct route *r, const char *mark, struct fault *fault)
{
    bool wild;
    r->kind = ROUTE_HASHED;
    r->path = r->text;
    r->path_len = (uint16_t)(mark - r->text);
    r->type = mark + 1;
    r->type_len = (uint16_t)(r->len - r->path_len - 1);
    if (r->path_len > 0 && !path_check(r->path, r->path_len, PATH_PLAIN, &wild, fault))
        return false;
    return hash_check(r->type, r->type_len, (size_t)(r->type - r->text), fault);
}

static bool parse_typed(struct route *r, const char *mark, struct fault *fault)
{
    bool wild;
    r->type = r->text;
    r->type_len = (uint16_t)(mark - r->text);
    r->path = mark + 1;
    r->path_len = (uint16_t)(r->len - r->type_len - 1);
    bool any = r->type_len == 1 && r->type[0] == '*';
    if (!any && !type_check(r->type, r->type_len, fault))
        return false;
    if (!path_check(r->path, r->path_len, PATH_WILD, &wild, fault)) {
        fault->at += (size_t)(r->path - r->text);
        return false;
    }
    r->kind = any || wild ? ROUTE_PATTERN : ROUTE_PLAIN;
    return true;
}

static bool parse(const char *text, size_t len, struct route *r, struct fault *fault)
{
    if (len == 0)
        return fault_at(fault, 0, "the route is empty, expected type@path");
    if (len > ROUTE_MAX)
        return fault_at(fault, ROUTE_MAX, "expected no more than 1024 bytes");
    if (!text_check(text, len, fault))
        return false;
    *r = (struct route){.text = text, .len = (uint16_t)len};
    for (const char *p = text; p < text + len; p++) {
        if (*p == '@')
            return parse_typed(r, p, fault);
        if (*p == '#')
            return parse_hashed(r, p, fault);
    }
    return fault_at(fault, len, "expected '@' between type and path");
}

int route_parse(const char *text, size_t len, struct route *ret_route, size_t *ret_where)
{
    struct fault fault;
    struct route route;
    if (!parse(text, len, &route, &fault)) {
        if (ret_where)
            *ret_where = fault.at;
        return WEFT_EROUTE;
    }
    *ret_route = route;
    return 0;
}

int route_explain(const char *text, size_t len, char *out, size_t size)
{
    struct fault fault = {0, "nothing is wrong"};
    struct route route;
    parse(text, len, &route, &fault);
    return fault_explain(&fault, "route", text, len, out, size);
}

uint64_t route_digest(const char *route, size_t route_len, const char *origin, size_t origin_len)
{
    uint64_t h = hash64(HASH64_SEED, route, route_len);
    h = hash64(h, "", 1);
    return hash64(h, origin, origin_len);
}
