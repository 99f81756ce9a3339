/* Routes: what parses and what does not, with the place; matching and scope, by table and against a
 * naive model that tries everything. */
#include "tests/check.h"

#include <weft/weft.h>

#include "base/prng.h"
#include "base/util.h"
#include "proto/route.h"

#define HASH27 "qUqP5cyxm6YcTAhz05Hph5gvu9M" /* SHA-1 of "test" */

static struct route must_parse(const char *text)
{
    struct route r;
    CHECK_EQ(route_parse(text, strlen(text), &r, NULL), 0);
    return r;
}

TEST(route, kinds_and_parts)
{
    struct route r = must_parse("types.Pose@robot.arm/pose");
    CHECK_EQ(r.kind, ROUTE_PLAIN);
    CHECK_EQ(r.len, 25);
    CHECK(r.type_len == 10 && memcmp(r.type, "types.Pose", 10) == 0);
    CHECK(r.path_len == 14 && memcmp(r.path, "robot.arm/pose", 14) == 0);

    r = must_parse("robot.arm#" HASH27);
    CHECK_EQ(r.kind, ROUTE_HASHED);
    CHECK(r.type_len == 27 && memcmp(r.type, HASH27, 27) == 0);
    CHECK(r.path_len == 9 && memcmp(r.path, "robot.arm", 9) == 0);

    CHECK_EQ(must_parse("#" HASH27).path_len, 0);
    CHECK_EQ(must_parse("*@robot").kind, ROUTE_PATTERN);
    CHECK_EQ(must_parse("T@*").kind, ROUTE_PATTERN);
    CHECK_EQ(must_parse("T@**").kind, ROUTE_PATTERN);
    CHECK_EQ(must_parse("T@a.*/**.b").kind, ROUTE_PATTERN);
    CHECK_EQ(must_parse("T@caf\xc3\xa9.\xf0\x9f\xa4\x96").kind, ROUTE_PLAIN);
    CHECK_EQ(must_parse("_a1.B_2@0").kind, ROUTE_PLAIN);
}

TEST(route, malformed_with_place)
{
    static const struct {
        const char *text;
        size_t where;
    } cases[] = {
        {"", 0},
        {"robot.arm", 9},
        {"@robot", 0},
        {"T@", 2},
        {"T@a..b", 4},
        {"T@.a", 2},
        {"T@a.", 4},
        {"T@a//b", 4},
        {"T@a@b", 3},
        {"T@a#b", 3},
        {"T@a b", 3},
        {"T@a\tb", 3},
        {"T@a\x7f", 3},
        {"T@\xc2\x80", 2}, /* C1 */
        {"T@a\xff", 3},
        {"T@\xc0\xaf", 2},         /* overlong '/' */
        {"T@\xed\xa0\x80", 2},     /* surrogate */
        {"T@\xf4\x90\x80\x80", 2}, /* beyond Unicode */
        {"T@a\xc3", 3},            /* cut short */
        {"T@a*", 3},
        {"T@*a", 2},
        {"T@x.***", 4},
        {"T@a.*b*", 4},
        {"**@a", 0},
        {"T*@a", 1},
        {"a.*@b", 2},
        {"1T@a", 0},
        {"a..b@c", 2},
        {".a@b", 0},
        {"a.@b", 2},
        {"a/b@c", 1},
        {"a-b@c", 1},
        {"robot#", 6},
        {"robot#abc", 9},
        {"robot#" HASH27 "=", 33},
        {"robot#qUqP5cyxm6YcTAhz05Hph5gvu9N", 32}, /* bits beyond the hash */
        {"robot#qUqP5cyxm6YcT-hz05Hph5gvu9M", 19},
        {"a..b#" HASH27, 2},
        {"*#" HASH27, 0},
        {"a.#" HASH27, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route r = {.kind = ROUTE_PLAIN};
        size_t where = 999;
        const char *text = cases[i].text;
        if (route_parse(text, strlen(text), &r, &where) != WEFT_EROUTE || where != cases[i].where)
            FAIL("\"%s\": place %zu, expected %zu", text, where, cases[i].where);
        CHECK(r.len == 0 && r.text == NULL);
        CHECK_EQ(route_parse(text, strlen(text), &r, NULL), WEFT_EROUTE);
    }
    size_t where = 0;
    struct route r;
    CHECK_EQ(route_parse("T@a\0b", 5, &r, &where), WEFT_EROUTE);
    CHECK_EQ(where, 3);
}

TEST(route, limits)
{
    char text[ROUTE_MAX + 2];
    struct route r;
    size_t where;
    memset(text, 'a', sizeof(text));
    text[1] = '@';
    CHECK_EQ(route_parse(text, ROUTE_MAX, &r, NULL), 0);
    CHECK_EQ(route_parse(text, ROUTE_MAX + 1, &r, &where), WEFT_EROUTE);
    CHECK_EQ(where, ROUTE_MAX);
    for (size_t i = 3; i < sizeof(text); i += 2)
        text[i] = '.';
    CHECK_EQ(route_parse(text, 2 + 64 * 2 - 1, &r, NULL), 0);
    CHECK_EQ(route_parse(text, 2 + 65 * 2 - 1, &r, &where), WEFT_EROUTE);
    CHECK_EQ(where, 2 + 64 * 2);
}

TEST(route, explanation)
{
    char out[256], small[10];
    const char *text = "T@a..b";
    int n = route_explain(text, strlen(text), out, sizeof(out));
    CHECK_STR(out, "route \"T@a..b\": at byte 4: a path segment is empty, expected a name");
    CHECK_EQ(n, strlen(out));
    CHECK_EQ(route_explain(text, strlen(text), small, sizeof(small)), 9);
    CHECK_STR(small, "route \"T@");
    route_explain("T@a\n\x1b[2J", 8, out, sizeof(out));
    CHECK(strchr(out, '\n') == NULL && strchr(out, '\x1b') == NULL);
}

/* ---- Matching by table ---- */

TEST(route, covers_table)
{
    static const struct {
        const char *interest, *route;
        bool covers;
    } cases[] = {
        {"T@a.b", "T@a.b", true},
        {"T@a.b", "T@a/b", true},
        {"T@a.b", "U@a.b", false},
        {"T@a.b", "T@a.bc", false},
        {"T@a.b", "T@a", false},
        {"*@a.b", "T@a.b", true},
        {"*@a.b", "some.long.Name@a/b", true},
        {"T@*", "T@a", true},
        {"T@*", "T@a.b", false},
        {"T@a.*", "T@a", false},
        {"T@a.**", "T@a", true},
        {"T@a.**", "T@a.b.c", true},
        {"T@a.**", "T@ab", false},
        {"T@**", "T@a.b.c", true},
        {"T@**.c", "T@c", true},
        {"T@**.c", "T@a/b.c", true},
        {"T@**.c", "T@a.b.cc", false},
        {"T@a.**.c", "T@a.c", true},
        {"T@a.**.c", "T@a.x.c.y.c", true},
        {"T@a.**.c", "T@a.x.c.y", false},
        {"T@**.a.**.b.**", "T@x.a.a.x.b", true},
        {"T@**.a.**.b.**", "T@x.b.a", false},
        {"T@**.**", "T@a", true},
        {"T@**.*", "T@a", true},
        {"T@*.**.*", "T@a", false},
        {"*@robot.*.temp", "T@robot.arm.temp", true},
        {"T@**", "robot#" HASH27, false},
        {"*@**", "robot#" HASH27, false},
        {"robot#" HASH27, "robot#" HASH27, true},
        {"robot.arm#" HASH27, "robot/arm#" HASH27, true},
        {"robot#" HASH27, "#" HASH27, false},
        {"robot#" HASH27, "robot#qUqP5cyxm6YcTAhz05Hph5gvu9A", false},
        {"T@robot", "robot#" HASH27, false},
        {"T@*", "T@*", false}, /* a pattern is no route */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route a = must_parse(cases[i].interest), b = must_parse(cases[i].route);
        if (route_covers(&a, &b) != cases[i].covers)
            FAIL("%s over %s is not %d", cases[i].interest, cases[i].route, cases[i].covers);
    }
}

/* A pattern that makes a recursive matcher take exponential time. */
TEST(route, covers_worst_case)
{
    char pattern[ROUTE_MAX] = "T@", path[ROUTE_MAX] = "T@";
    size_t p = 2, n = 2;
    for (int i = 0; i < 31; i++, p += 5)
        memcpy(pattern + p, "**.a.", 5);
    memcpy(pattern + p, "**.b", 5);
    for (int i = 0; i < 64; i++, n += 2)
        memcpy(path + n, "a.", 2);
    path[n - 1] = '\0';
    struct route a = must_parse(pattern), b = must_parse(path);
    for (int i = 0; i < 1000; i++)
        CHECK(!route_covers(&a, &b));
}

TEST(route, scope_table)
{
    static const struct {
        const char *route, *path;
        bool in_scope, reaches;
    } cases[] = {
        {"T@robot.arm", "", true, true},
        {"T@robot.arm", "robot", true, true},
        {"T@robot/arm", "robot.arm", true, true},
        {"T@robotics", "robot", false, false},
        {"T@robot", "robot.arm", false, false},
        {"robot#" HASH27, "robot.arm", true, true},
        {"robot.arm.x#" HASH27, "robot/arm", true, true},
        {"robot.eye#" HASH27, "robot.arm", false, false},
        {"#" HASH27, "robot", true, true},
        {"T@robot.*", "robot", false, true},
        {"T@robot.*", "robot.arm", false, true},
        {"T@robot.*", "robot.arm.x", false, false},
        {"T@*.arm", "robot.eye", false, false},
        {"T@**.temp", "robot.eye.x.y", false, true},
        {"T@robot.**", "base", false, false},
        {"*@a", "b", false, false},
        {"*@a", "a", false, true},
        {"*@**", "", false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route r = must_parse(cases[i].route);
        const char *path = cases[i].path;
        if (route_in_scope(&r, path, strlen(path)) != cases[i].in_scope)
            FAIL("scope of %s at \"%s\"", cases[i].route, path);
        if (route_reaches(&r, path, strlen(path)) != cases[i].reaches)
            FAIL("%s reaching \"%s\"", cases[i].route, path);
    }
}

TEST(route, paths)
{
    size_t where = 7;
    CHECK(path_valid("", 0, NULL) && path_valid("a/b.c", 5, &where));
    CHECK_EQ(where, 7);
    CHECK(!path_valid("a..b", 4, &where));
    CHECK_EQ(where, 2);
    CHECK(!path_valid("a.*", 3, NULL) && !path_valid("a@b", 3, NULL) && !path_valid("/", 1, NULL));
    int n = 0;
    for (struct segment s = path_first("ab/c.d", 6); s.text; s = path_next(s), n++)
        CHECK(s.len == (n == 0 ? 2 : 1) && s.text[0] == "acd"[n]);
    CHECK_EQ(n, 3);
    CHECK(path_first("", 0).text == NULL);
    CHECK(path_covers("", 0, "", 0) && path_covers("", 0, "a", 1));
    CHECK(path_covers("a.b", 3, "a/b/c", 5) && !path_covers("a.b", 3, "a.bc", 4));
    CHECK(!path_covers("a", 1, "", 0));
}

/* ---- Matching against a model ---- */

enum { NAMES = 3, STAR = 10, STARS = 11, DEEP = 5 };

/* A path as numbers: names, STAR, STARS. */
struct model {
    int seg[2 * DEEP];
    int n;
    int type; /* a name, or STAR */
};

static bool model_match(const int *p, int pn, const int *s, int sn)
{
    if (pn == 0)
        return sn == 0;
    if (p[0] == STARS)
        return model_match(p + 1, pn - 1, s, sn) || (sn > 0 && model_match(p, pn, s + 1, sn - 1));
    return sn > 0 && (p[0] == STAR || p[0] == s[0]) && model_match(p + 1, pn - 1, s + 1, sn - 1);
}

static bool model_covers(const struct model *p, const struct model *s)
{
    return (p->type == STAR || p->type == s->type) && model_match(p->seg, p->n, s->seg, s->n);
}

/* Is there a path below `base`, up to `more` segments longer, that the pattern covers? */
static bool model_reaches(const struct model *p, struct model *base, int more)
{
    if (base->n > 0 && model_match(p->seg, p->n, base->seg, base->n))
        return true;
    for (int name = 0; more > 0 && name < NAMES; name++) {
        base->seg[base->n++] = name;
        bool found = model_reaches(p, base, more - 1);
        base->n--;
        if (found)
            return true;
    }
    return false;
}

static bool model_prefix(const struct model *a, const struct model *b)
{
    return a->n <= b->n && memcmp(a->seg, b->seg, (size_t)a->n * sizeof(int)) == 0;
}

static struct model model_random(struct prng *prng, bool pattern, int least)
{
    struct model m = {.n = (int)prng_between(prng, (uint64_t)least, DEEP - 1)};
    m.type = pattern && prng_between(prng, 0, 3) == 0 ? STAR : (int)prng_between(prng, 0, 1);
    for (int i = 0; i < m.n; i++) {
        m.seg[i] = (int)prng_between(prng, 0, 1);
        if (pattern && prng_between(prng, 0, 2) == 0)
            m.seg[i] = prng_between(prng, 0, 1) ? STAR : STARS;
    }
    return m;
}

/* Names are prefixes of one another, so that a comparison of bytes alone would err. */
static size_t model_path(const struct model *m, struct prng *prng, char *out)
{
    static const char *const names[] = {"a", "ab", "b"};
    size_t n = 0;
    for (int i = 0; i < m->n; i++) {
        const char *s = m->seg[i] == STAR ? "*" : m->seg[i] == STARS ? "**" : names[m->seg[i]];
        if (i > 0)
            out[n++] = prng_between(prng, 0, 1) ? '.' : '/';
        memcpy(out + n, s, strlen(s));
        n += strlen(s);
    }
    out[n] = '\0';
    return n;
}

static void model_text(const struct model *m, struct prng *prng, char *out)
{
    out[0] = m->type == STAR ? '*' : m->type ? 'U' : 'T';
    out[1] = '@';
    model_path(m, prng, out + 2);
}

TEST(route, covers_like_the_model)
{
    const uint64_t seed = 20260101;
    struct prng prng;
    prng_init(&prng, seed);
    int covered = 0;
    for (int i = 0; i < 60000; i++) {
        struct model p = model_random(&prng, i % 8 != 0, 1), s = model_random(&prng, false, 1);
        char interest[64], text[64];
        model_text(&p, &prng, interest);
        model_text(&s, &prng, text);
        struct route a = must_parse(interest), b = must_parse(text);
        bool expected = model_covers(&p, &s);
        covered += expected;
        if (route_covers(&a, &b) != expected)
            FAIL("seed %llu: %s over %s is not %d", (unsigned long long)seed, interest, text,
                 expected);
    }
    CHECK(covered > 1000);
}

TEST(route, reaches_like_the_model)
{
    const uint64_t seed = 20260102;
    struct prng prng;
    prng_init(&prng, seed);
    int reached = 0, missed = 0;
    for (int i = 0; i < 8000; i++) {
        struct model p = model_random(&prng, i % 8 != 0, 1), at = model_random(&prng, false, 0);
        char interest[64], path[64];
        model_text(&p, &prng, interest);
        size_t len = model_path(&at, &prng, path);
        struct route a = must_parse(interest);
        struct model base = at;
        bool expected = model_reaches(&p, &base, DEEP - 1);
        reached += expected;
        missed += !expected;
        if (route_reaches(&a, path, len) != expected)
            FAIL("seed %llu: %s reaching \"%s\" is not %d", (unsigned long long)seed, interest,
                 path, expected);
        if (route_in_scope(&a, path, len) != (a.kind == ROUTE_PLAIN && model_prefix(&at, &p)))
            FAIL("seed %llu: scope of %s at \"%s\"", (unsigned long long)seed, interest, path);
    }
    CHECK(reached > 500 && missed > 500);
}

TEST(route, hashed_scope_like_the_model)
{
    const uint64_t seed = 20260103;
    struct prng prng;
    prng_init(&prng, seed);
    for (int i = 0; i < 8000; i++) {
        struct model prefix = model_random(&prng, false, 0), at = model_random(&prng, false, 0);
        char text[96], path[64];
        size_t n = model_path(&prefix, &prng, text);
        memcpy(text + n, "#" HASH27, sizeof("#" HASH27));
        size_t len = model_path(&at, &prng, path);
        struct route r = must_parse(text);
        bool expected = model_prefix(&prefix, &at) || model_prefix(&at, &prefix);
        if (route_in_scope(&r, path, len) != expected || route_reaches(&r, path, len) != expected)
            FAIL("seed %llu: %s at \"%s\" is not %d", (unsigned long long)seed, text, path,
                 expected);
    }
}

/* Arbitrary bytes are parsed or refused within their bounds, and what parses adds up. */
TEST(route, random_bytes)
{
    static const char alphabet[] = "aT.*@#/ \x01\xc3\xa9z9";
    struct prng prng;
    prng_init(&prng, 20260104);
    for (int i = 0; i < 100000; i++) {
        size_t len = prng_between(&prng, 0, 12), where = 0;
        char *text = malloc(len + 1); /* exact, for the sanitizer */
        for (size_t k = 0; k < len; k++)
            text[k] = alphabet[prng_between(&prng, 0, sizeof(alphabet) - 2)];
        struct route r;
        if (route_parse(text, len, &r, &where) == 0)
            CHECK(r.type_len + r.path_len + 1 == r.len && r.len == len);
        else
            CHECK(where <= len);
        free(text);
    }
}

/* ---- Public functions, hash, digest ---- */

TEST(route, api)
{
    char out[128];
    size_t where = 0;
    CHECK_EQ(weft_route_check("T@a", NULL), WEFT_ROUTE_PLAIN);
    CHECK_EQ(weft_route_check("*@a", NULL), WEFT_ROUTE_PATTERN);
    CHECK_EQ(weft_route_check("a#" HASH27, NULL), WEFT_ROUTE_HASHED);
    CHECK_EQ(weft_route_check("T@a..b", &where), WEFT_EROUTE);
    CHECK_EQ(where, 4);
    CHECK_EQ(weft_route_check(NULL, &where), WEFT_EROUTE);
    CHECK_EQ(where, 0);

    CHECK_EQ(weft_route_make("types.Foo", "robot.arm", out, sizeof(out)), 19);
    CHECK_STR(out, "types.Foo@robot.arm");
    CHECK_EQ(weft_route_make("types.Foo", "robot.arm", out, 20), 19);
    CHECK_EQ(weft_route_make("types.Foo", "robot.arm", out, 19), WEFT_ELIMIT);
    CHECK_EQ(weft_route_make("types.Foo", "", out, sizeof(out)), WEFT_EROUTE);
    CHECK_EQ(weft_route_make("T", "a@b", out, sizeof(out)), WEFT_EROUTE);
    CHECK_EQ(weft_route_make("a@T", "b", out, sizeof(out)), WEFT_EROUTE);
    CHECK_EQ(weft_route_make(NULL, "a", out, sizeof(out)), WEFT_EINVAL);
    CHECK_EQ(weft_route_make("T", "a", NULL, 0), WEFT_EINVAL);

    CHECK_EQ(weft_route_matches("*@a.**", "T@a.b"), 1);
    CHECK_EQ(weft_route_matches("*@a.*", "T@a"), 0);
    CHECK_EQ(weft_route_matches("*@a.*", "T@*"), WEFT_EROUTE);
    CHECK_EQ(weft_route_matches("x", "T@a"), WEFT_EROUTE);
    CHECK_EQ(weft_route_matches("T@a", NULL), WEFT_EROUTE);
}

TEST(route, hash)
{
    char out[128], same[128];
    CHECK_EQ(weft_route_hash("types.Foo@robot.arm.temp", "robot.arm", out, sizeof(out)), 37);
    CHECK_STR(out, "robot.arm#v5tNagLmDJrGeh7U6n4eL5x8Xks");
    CHECK_EQ(weft_route_check(out, NULL), WEFT_ROUTE_HASHED);
    CHECK_EQ(weft_route_hash("types.Foo@robot/arm.temp", "robot.arm", same, sizeof(same)), 37);
    CHECK_STR(same, out);
    CHECK_EQ(weft_route_hash("types.Foo@robot.arm.temp", "", out, 29), 28);
    CHECK_STR(out, "#v5tNagLmDJrGeh7U6n4eL5x8Xks");
    CHECK_EQ(weft_route_hash("types.Foo@robot.arm.temp", "", out, 28), WEFT_ELIMIT);
    CHECK_EQ(weft_route_hash("types.Foo@robot.arm", "rob", out, sizeof(out)), WEFT_EROUTE);
    CHECK_EQ(weft_route_hash("types.Foo@robot.arm", "robot.", out, sizeof(out)), WEFT_EROUTE);
    CHECK_EQ(weft_route_hash("*@robot.arm", "robot", out, sizeof(out)), WEFT_EROUTE);
    CHECK_EQ(weft_route_hash("a#" HASH27, "a", out, sizeof(out)), WEFT_EROUTE);
    CHECK_EQ(weft_route_hash(NULL, "a", out, sizeof(out)), WEFT_EINVAL);
}

TEST(route, digest)
{
    /* FNV-1a 64 of "a\0b" and "a\0", computed apart. */
    CHECK(route_digest("a", 1, "b", 1) == UINT64_C(0xe5d29919042666b2));
    CHECK(route_digest("a", 1, "", 0) == UINT64_C(0x089be207b544f1e4));
    CHECK(route_digest("a", 1, NULL, 0) == route_digest("a", 1, "", 0));
}
