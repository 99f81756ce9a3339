/* A text passes when every character in it is whole, shortest-form UTF-8 and visible. The first
 * that is not ends the check, with its offset: control characters (C0, DEL, C1) and the space would
 * garble logs and tables, overlong forms and surrogates would give one name two spellings. */
#include "proto/text.h"

#include <stdint.h>
#include <stdio.h>

#include "base/util.h"

#define EXPLAIN_SHOWN 80 /* bytes of the text that are quoted */

bool fault_at(struct fault *fault, size_t at, const char *what)
{
    *fault = (struct fault){at, what};
    return false;
}

int fault_explain(const struct fault *fault, const char *noun, const char *text, size_t len,
                  char *out, size_t size)
{
    char shown[EXPLAIN_SHOWN + 1];
    size_t n = min_size(len, EXPLAIN_SHOWN);
    for (size_t i = 0; i < n; i++)
        shown[i] = (text[i] > ' ' && text[i] < 0x7f) ? text[i] : '?';
    shown[n] = '\0';
    int rc = snprintf(out, size, "%s \"%s%s\": at byte %zu: %s", noun, shown, len > n ? "..." : "",
                      fault->at, fault->what);
    if (rc < 0 || size == 0)
        return 0;
    return (size_t)rc < size ? rc : (int)(size - 1);
}

/* Length of the character at p, which has `left` bytes before the end; 0 if it is not one we take.
 */
static size_t character(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return p[0] > 0x20 && p[0] != 0x7f;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n > left)
        return 0;
    uint32_t code = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000}; /* from 0xa0: no C1 */
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[n] || code > 0x10ffff || surrogate ? 0 : n;
}

bool text_check(const char *text, size_t len, struct fault *fault)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = character((const uint8_t *)text + i, len - i);
        if (n == 0)
            return fault_at(fault, i, "expected UTF-8 without spaces and control characters");
    }
    return true;
}
