#include "escape.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* Length of the UTF-8 sequence at p (of at most `left` bytes), 0 if there is none. */
static size_t sequence(const unsigned char *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = *p < 0x80             ? 1
                 : (*p & 0xe0) == 0xc0 ? 2
                 : (*p & 0xf0) == 0xe0 ? 3
                 : (*p & 0xf8) == 0xf0 ? 4
                                       : 0;
    if (len <= 1)
        return len;
    if (len > left)
        return 0;
    uint32_t code = *p & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return len;
}

/* C1 controls (U+0080 to U+009F) steer terminals as well as the ASCII ones. */
static bool control(const unsigned char *p, size_t len)
{
    return (len == 1 && (*p < 0x20 || *p == 0x7f)) || (len == 2 && *p == 0xc2 && p[1] < 0xa0);
}

bool utf8_valid(const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0, len; i < size; i += len) {
        len = sequence(p + i, size - i);
        if (!len)
            return false;
    }
    return true;
}

char *utf8_copy(const void *data, size_t size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    const unsigned char *p = data;
    char *copy = xresize(NULL, 3 * size + 1); /* each byte may be replaced by three */
    size_t at = 0;
    for (size_t i = 0, len; i < size; i += len ? len : 1) {
        len = sequence(p + i, size - i);
        memcpy(copy + at, len ? (const char *)p + i : replacement, len ? len : 3);
        at += len ? len : 3;
    }
    copy[at] = '\0';
    return copy;
}

static void json_char(FILE *out, unsigned char c)
{
    if (c == '"' || c == '\\')
        fprintf(out, "\\%c", c);
    else if (c == '\n')
        fputs("\\n", out);
    else if (c == '\t')
        fputs("\\t", out);
    else if (c < 0x20 || c == 0x7f)
        fprintf(out, "\\u%04x", c);
    else
        putc(c, out);
}

void json_quoted(FILE *out, const void *data, size_t size)
{
    const unsigned char *p = data;
    putc('"', out);
    for (size_t i = 0; i < size;) {
        size_t len = sequence(p + i, size - i);
        if (len == 1)
            json_char(out, p[i]);
        else if (len && control(p + i, len))
            fprintf(out, "\\u%04x", p[i + 1]); /* C1: its second byte is its number */
        else if (len)
            fwrite(p + i, 1, len, out);
        else
            fputs("\xef\xbf\xbd", out);
        i += len ? len : 1;
    }
    putc('"', out);
}

void base64_write(FILE *out, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)p[i] << 16;
        bits |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        bits |= left > 2 ? p[i + 2] : 0;
        putc(digits[bits >> 18], out);
        putc(digits[bits >> 12 & 63], out);
        putc(left > 1 ? digits[bits >> 6 & 63] : '=', out);
        putc(left > 2 ? digits[bits & 63] : '=', out);
    }
}

/* U+200E, U+200F, U+2028 to U+202E and U+2066 to U+2069 turn the order of what stands beside them,
 * or break the line: a name could look like another. */
static bool reorders(const unsigned char *p, size_t len)
{
    if (len != 3 || p[0] != 0xe2 || (p[1] != 0x80 && p[1] != 0x81))
        return false;
    unsigned char c = p[2];
    return p[1] == 0x81 ? c >= 0xa6 && c <= 0xa9
                        : c == 0x8e || c == 0x8f || (c >= 0xa8 && c <= 0xae);
}

void text_safe(FILE *out, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size;) {
        size_t len = sequence(p + i, size - i);
        if (len == 1 && p[i] == '\\')
            fputs("\\\\", out);
        else if (len == 1 && p[i] == '\n')
            fputs("\\n", out);
        else if (len == 1 && p[i] == '\t')
            fputs("\\t", out);
        else if (len && !control(p + i, len) && !reorders(p + i, len))
            fwrite(p + i, 1, len, out);
        else
            for (size_t k = 0; k < (len ? len : 1); k++)
                fprintf(out, "\\x%02x", p[i + k]);
        i += len ? len : 1;
    }
}

char *text_safe_copy(const char *s)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return xcopy("", 0);
    text_safe(out, s, strlen(s));
    if (fclose(out) != 0)
        return xcopy("", 0);
    return text;
}
