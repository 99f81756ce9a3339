/* An immutable refcounted string: routes and peer names are shared by tables and messages, and
 * outlive the link they came over. [any] for all functions; the count is atomic. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    atomic_uint refs;
    uint32_t len;
    char text[]; /* NUL-terminated */
};

/* One reference; NULL when out of memory. */
struct str *str_new(const char *text, size_t len);
struct str *str_ref(struct str *s); /* NULL gives NULL */
void str_unref(struct str *s);      /* NULL is ignored */

static inline const char *str_text(const struct str *s)
{
    return s ? s->text : "";
}

#endif
