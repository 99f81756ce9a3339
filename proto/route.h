/* Routes: what a stream is called and of what type it is (docs/protocol.md section 1).
 *
 *     types.Pose@robot.arm.pose      plain
 *     robot.arm#bM0pVb…              hashed: prefix, SHA-1 of the plain route
 *     *@robot.*.temp  types.Pose@robot.**    patterns, for interests
 *
 * A parsed route borrows its text. Segments are separated by '.' or '/', which are equal. `**`
 * stands for zero or more segments, `*` for exactly one. */
#ifndef PROTO_ROUTE_H
#define PROTO_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTE_MAX 1024     /* bytes; a header of 2,048 has room for it */
#define ROUTE_DEPTH_MAX 64 /* segments */

enum route_kind { ROUTE_PLAIN = 1, ROUTE_HASHED = 2, ROUTE_PATTERN = 3 }; /* as weft_route_kind */

struct route {
    enum route_kind kind;
    const char *text; /* borrowed, need not be NUL-terminated */
    uint16_t len;
    const char *type; /* plain, pattern: the type ("*" for any). hashed: the hash */
    uint16_t type_len;
    const char *path; /* plain, pattern: the path. hashed: the prefix */
    uint16_t path_len;
};

/* Parse and validate. ret_where (may be NULL) is set on error to the offset of the first byte that
 * does not fit. Text must be UTF-8 without control characters or spaces. Errors: WEFT_EROUTE. */
int route_parse(const char *text, size_t len, struct route *ret_route, size_t *ret_where);

/* Does the interest cover the route? `route` is plain or hashed. Segment by segment; linear in
 * both. */
bool route_covers(const struct route *interest, const struct route *route);

/* A sentence on what is wrong with a route that does not parse, naming the place and what was
 * expected. Returns its length; out is NUL-terminated. */
int route_explain(const char *text, size_t len, char *out, size_t size);

/* Hash of a plain route below prefix, as "prefix#hash" into out, NUL-terminated. Returns its
 * length. Errors: WEFT_EROUTE (not plain, prefix does not fit), WEFT_ELIMIT (out too small),
 * WEFT_ENOTSUP (libcrypto was configured without SHA-1). */
int route_hash(const struct route *route, const char *prefix, size_t prefix_len, char *out,
               size_t size);

/* ---- Paths ---- */

/* Walk the segments of a path:  for (struct segment s = path_first(p, n); s.text; s = path_next(s))
 */
struct segment {
    const char *text; /* NULL: no more */
    uint16_t len;
    const char *end; /* of the path */
};
struct segment path_first(const char *path, size_t len);
struct segment path_next(struct segment s);

/* Is the path valid as a node's path: empty, or segments as in a plain route? ret_where as above.
 */
bool path_valid(const char *path, size_t len, size_t *ret_where);

/* Is `prefix` a whole-segment prefix of `path`? The empty path is a prefix of everything. */
bool path_covers(const char *prefix, size_t prefix_len, const char *path, size_t path_len);

/* Scope (docs/protocol.md section 1): may a node at `path` publish `route`? For a hashed route,
 * whose path is not known, one of path and prefix must cover the other. Patterns: false. */
bool route_in_scope(const struct route *route, const char *path, size_t path_len);

/* Could a node at `path` publish something that `interest` covers? */
bool route_reaches(const struct route *interest, const char *path, size_t path_len);

/* The hash of a route with its origin that digests sum up: FNV-1a 64 of route text, a zero byte,
 * origin (empty where the sender is the origin). */
uint64_t route_digest(const char *route, size_t route_len, const char *origin, size_t origin_len);

#endif
