/* Shared by the parsers of routes, paths and URLs; not for other modules. */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* What is wrong with a text: the offset of the first byte that does not fit, and a phrase that
 * tells what was expected there. */
struct fault {
    size_t at;
    const char *what;
};

/* Note a fault and return false, for `return fault_at(…)`. */
bool fault_at(struct fault *fault, size_t at, const char *what);

/* Compose `route "a..b": at byte 2: a path segment is empty`, NUL-terminated and cut to size. Bytes
 * that would disturb a log are shown as '?'. Returns the length. */
int fault_explain(const struct fault *fault, const char *noun, const char *text, size_t len,
                  char *out, size_t size);

/* Is the text UTF-8 without control characters and spaces? */
bool text_check(const char *text, size_t len, struct fault *fault);

/* What may a path hold besides names? */
enum path_rule { PATH_PLAIN, PATH_WILD };

/* Is the path at least one segment, each a name or, where the rule lets it, a wildcard? The bytes
 * must have passed text_check. *ret_wild tells whether there was a wildcard. */
bool path_check(const char *path, size_t len, enum path_rule rule, bool *ret_wild,
                struct fault *fault);

#endif
