/* Target: routes, patterns and paths, against a naive model written from docs/protocol.md.
 *
 *     input   interest NUL route NUL path
 *
 * The model takes a text apart into a list of segments and compares lists; patterns are matched by
 * a table over (segments of the pattern, segments of the path). The product walks in place. */
#include "fuzz.h"

#include <weft/weft.h>

#include "base/util.h"
#include "proto/route.h"

/* ---- The model ---- */

struct names {
    struct {
        const char *text;
        size_t len;
    } list[ROUTE_MAX + 1];
    size_t count;
};

struct model {
    enum route_kind kind;
    char type[ROUTE_MAX + 1];
    struct names path;
};

static bool is_text(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = p[i] < 0x80       ? 1
                   : p[i] >> 5 == 6  ? 2
                   : p[i] >> 4 == 14 ? 3
                   : p[i] >> 3 == 30 ? 4
                                     : 0;
        if (n == 0 || n > len - i)
            return false;
        uint32_t code = n == 1 ? p[i] : p[i] & (0x7fu >> n);
        for (size_t k = 1; k < n; k++) {
            if (p[i + k] >> 6 != 2)
                return false;
            code = code << 6 | (p[i + k] & 63);
        }
        bool overlong =
            (n == 2 && code < 0x80) || (n == 3 && code < 0x800) || (n == 4 && code < 0x10000);
        bool control = code <= 0x20 || (code >= 0x7f && code < 0xa0);
        if (overlong || control || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        i += n;
    }
    return true;
}

static void split(const char *text, size_t len, struct names *names)
{
    names->count = 0;
    if (len == 0)
        return;
    for (size_t from = 0, i = 0; i <= len; i++) {
        if (i < len && text[i] != '.' && text[i] != '/')
            continue;
        names->list[names->count].text = text + from;
        names->list[names->count++].len = i - from;
        from = i + 1;
    }
}

static bool named(const struct names *names, size_t i, const char *word)
{
    return names->list[i].len == strlen(word) &&
           memcmp(names->list[i].text, word, names->list[i].len) == 0;
}

static bool same_name(const struct names *a, size_t i, const struct names *b, size_t j)
{
    return a->list[i].len == b->list[j].len &&
           memcmp(a->list[i].text, b->list[j].text, a->list[i].len) == 0;
}

/* Is each segment a name, or a wildcard where the rules let it? */
static bool are_names(const struct names *names, bool wildcards, bool *wild)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *text = names->list[i].text;
        size_t len = names->list[i].len;
        if (len == 0 || memchr(text, '@', len) || memchr(text, '#', len))
            return false;
        if (!memchr(text, '*', len))
            continue;
        if (!wildcards || (!named(names, i, "*") && !named(names, i, "**")))
            return false;
        *wild = true;
    }
    return names->count <= ROUTE_DEPTH_MAX;
}

static bool is_type(const char *type)
{
    char before = '.';
    for (; *type; before = *type++) {
        bool letter =
            (*type >= 'a' && *type <= 'z') || (*type >= 'A' && *type <= 'Z') || *type == '_';
        bool digit = *type >= '0' && *type <= '9';
        if (before == '.' ? !letter : !letter && !digit && *type != '.')
            return false;
    }
    return before != '.';
}

/* 27 characters of base64 that are the only way to write some 20 bytes. */
static bool is_hash(const char *hash)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (strlen(hash) != 27 || strspn(hash, digits) != 27)
        return false;
    return (strchr(digits, hash[26]) - digits) % 4 == 0;
}

static bool model_parse(const char *text, size_t len, struct model *m)
{
    bool wild = false;
    size_t mark = 0;
    while (mark < len && text[mark] != '@' && text[mark] != '#')
        mark++;
    if (len > ROUTE_MAX || mark == len || !is_text((const uint8_t *)text, len))
        return false;
    bool hashed = text[mark] == '#';
    const char *type = hashed ? text + mark + 1 : text;
    size_t type_len = hashed ? len - mark - 1 : mark;
    memcpy(m->type, type, type_len);
    m->type[type_len] = '\0';
    if (hashed)
        split(text, mark, &m->path);
    else
        split(text + mark + 1, len - mark - 1, &m->path);
    bool any = !hashed && strcmp(m->type, "*") == 0;
    if (!are_names(&m->path, !hashed, &wild) || (!hashed && m->path.count == 0))
        return false;
    m->kind = hashed ? ROUTE_HASHED : any || wild ? ROUTE_PATTERN : ROUTE_PLAIN;
    return hashed ? is_hash(m->type) : any || is_type(m->type);
}

/* reach[i]: the first i segments of the pattern fit what was walked of the path. */
static void walk_none(const struct names *pattern, bool *reach)
{
    for (size_t i = 0; i < pattern->count; i++)
        reach[i + 1] |= reach[i] && named(pattern, i, "**");
}

static bool fits(const struct names *pattern, const struct names *path, bool prefix)
{
    bool reach[ROUTE_DEPTH_MAX + 1] = {true};
    walk_none(pattern, reach);
    for (size_t s = 0; s < path->count; s++) {
        bool next[ROUTE_DEPTH_MAX + 1] = {false};
        for (size_t i = 0; i < pattern->count; i++) {
            if (!reach[i])
                continue;
            next[i] |= named(pattern, i, "**");
            next[i + 1] |= named(pattern, i, "*") || same_name(pattern, i, path, s);
        }
        memcpy(reach, next, sizeof(reach));
        walk_none(pattern, reach);
    }
    bool any = false;
    for (size_t i = 0; i <= pattern->count; i++)
        any |= reach[i] && (prefix || i == pattern->count);
    return any;
}

static bool begins(const struct names *prefix, const struct names *path)
{
    for (size_t i = 0; i < prefix->count; i++) {
        if (i == path->count || !same_name(prefix, i, path, i))
            return false;
    }
    return true;
}

static bool model_covers(const struct model *interest, const struct model *route)
{
    bool any = strcmp(interest->type, "*") == 0;
    if (!any && strcmp(interest->type, route->type) != 0)
        return false;
    if (interest->kind == ROUTE_PATTERN)
        return route->kind == ROUTE_PLAIN && fits(&interest->path, &route->path, false);
    return interest->kind == route->kind && interest->path.count == route->path.count &&
           begins(&interest->path, &route->path);
}

static bool model_in_scope(const struct model *m, const struct names *path)
{
    if (m->kind == ROUTE_PATTERN)
        return false;
    return begins(path, &m->path) || (m->kind == ROUTE_HASHED && begins(&m->path, path));
}

/* ---- The product beside it ---- */

static struct model models[2];
static struct names node_path;

static void check_sentence(const char *text, size_t len)
{
    char out[256];
    for (size_t size = 1; size <= sizeof(out); size *= 4) {
        int n = route_explain(text, len, out, size);
        CHECK(n >= 0 && (size_t)n < size && out[n] == '\0' && strlen(out) == (size_t)n);
    }
}

static bool parse_both(const char *text, size_t len, struct model *m, struct route *route)
{
    size_t where = SIZE_MAX;
    int rc = route_parse(text, len, route, &where);
    CHECK_EQ(rc == 0, model_parse(text, len, m));
    check_sentence(text, len);
    if (rc < 0) {
        CHECK(rc == WEFT_EROUTE && where <= len && where <= ROUTE_MAX);
        return false;
    }
    CHECK(route->kind == m->kind && route->text == text && route->len == len);
    CHECK(route->type_len == strlen(m->type) && memcmp(route->type, m->type, route->type_len) == 0);
    return true;
}

/* Put together from its parts with '.' throughout it is the same route. */
static void check_canonical(const struct route *r, const struct model *m)
{
    char text[ROUTE_MAX + 1];
    size_t n = 0;
    bool hashed = r->kind == ROUTE_HASHED;
    if (!hashed)
        n = (size_t)snprintf(text, sizeof(text), "%s@", m->type);
    for (size_t i = 0; i < m->path.count; i++) {
        if (i)
            text[n++] = '.';
        memcpy(text + n, m->path.list[i].text, m->path.list[i].len);
        n += m->path.list[i].len;
    }
    if (hashed)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "#%s", m->type);
    CHECK_EQ(n, r->len);
    struct route again;
    CHECK_EQ(route_parse(text, n, &again, NULL), 0);
    CHECK_EQ(again.kind, r->kind);
    CHECK(route_covers(&again, r) == route_covers(r, r) &&
          route_covers(r, &again) == route_covers(r, r));
    CHECK(r->kind == ROUTE_PATTERN || route_covers(r, r));
}

static void check_hash(const struct route *r, const char *prefix, size_t prefix_len)
{
    char text[ROUTE_MAX + 1];
    int n = route_hash(r, prefix, prefix_len, text, sizeof(text));
    if (r->kind != ROUTE_PLAIN || !path_covers(prefix, prefix_len, r->path, r->path_len)) {
        CHECK_EQ(n, WEFT_EROUTE);
        return;
    }
    struct route hashed;
    if (n == WEFT_EROUTE && prefix_len + 28 > ROUTE_MAX)
        return;
    CHECK_EQ(n, prefix_len + 28);
    CHECK_EQ(route_parse(text, (size_t)n, &hashed, NULL), 0);
    CHECK(hashed.kind == ROUTE_HASHED && hashed.path_len == prefix_len);
    CHECK(route_in_scope(&hashed, r->path, r->path_len));
    CHECK_EQ(route_hash(r, prefix, prefix_len, text, (size_t)n), WEFT_ELIMIT);
}

static void check_path(const struct route *r, const struct model *m, const char *path, size_t len)
{
    bool scoped = model_in_scope(m, &node_path);
    CHECK_EQ(route_in_scope(r, path, len), scoped);
    bool reaches = r->kind == ROUTE_PATTERN ? fits(&m->path, &node_path, true) : scoped;
    CHECK_EQ(route_reaches(r, path, len), reaches);
    if (r->kind != ROUTE_PATTERN)
        CHECK_EQ(path_covers(path, len, r->path, r->path_len), begins(&node_path, &m->path));
    check_hash(r, path, len);
}

/* One of the three parts of the input, in memory of its own. */
static char *part(struct input *in, size_t *ret_len)
{
    const uint8_t *end = memchr(in->at, '\0', in->left);
    const uint8_t *text = take_bytes(in, end ? (size_t)(end - in->at) : in->left, ret_len);
    char *copy = (char *)exact_copy(text, *ret_len);
    take_u8(in);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 3072)
        return -1;
    struct input in = input_of(data, size);
    char *texts[3];
    size_t lens[3], where = SIZE_MAX;
    for (size_t i = 0; i < 3; i++)
        texts[i] = part(&in, &lens[i]);
    struct route routes[2];
    bool ok[2], wild = false;
    for (size_t i = 0; i < 2; i++) {
        ok[i] = parse_both(texts[i], lens[i], &models[i], &routes[i]);
        if (ok[i])
            check_canonical(&routes[i], &models[i]);
    }
    if (lens[2] <= ROUTE_MAX)
        split(texts[2], lens[2], &node_path);
    bool path_ok = lens[2] <= ROUTE_MAX && is_text((const uint8_t *)texts[2], lens[2]) &&
                   are_names(&node_path, false, &wild);
    CHECK_EQ(path_valid(texts[2], lens[2], &where), path_ok);
    CHECK(path_ok || where <= lens[2]);
    for (size_t i = 0; i < 2; i++) {
        if (ok[i] && path_ok)
            check_path(&routes[i], &models[i], texts[2], lens[2]);
    }
    if (ok[0] && ok[1]) {
        CHECK_EQ(route_covers(&routes[0], &routes[1]), model_covers(&models[0], &models[1]));
        CHECK_EQ(route_covers(&routes[1], &routes[0]), model_covers(&models[1], &models[0]));
    }
    for (size_t i = 0; i < 3; i++)
        free(texts[i]);
    return 0;
}
