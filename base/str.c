#include "base/str.h"

#include <string.h>

#include "base/mem.h"

struct str *str_new(const char *text, size_t len)
{
    struct str *s = mem_alloc(sizeof(*s) + len + 1);
    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    s->len = (uint32_t)len;
    memcpy(s->text, text, len);
    s->text[len] = '\0';
    return s;
}

struct str *str_ref(struct str *s)
{
    if (s)
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void str_unref(struct str *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        mem_free(s);
}
