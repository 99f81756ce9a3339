/* Bytes from the network on their way to a terminal, a table or JSON: never as they are. */
#ifndef CMD_ESCAPE_H
#define CMD_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Are the bytes valid UTF-8 (no surrogates, nothing overlong)? */
bool utf8_valid(const void *data, size_t size);

/* A copy as a string; bytes that are no UTF-8 become U+FFFD. The caller frees it with xfree. */
char *utf8_copy(const void *data, size_t size);

/* Write as a JSON string with its quotes, control characters (C1, too) escaped. Bytes that are no
 * UTF-8 become U+FFFD. */
void json_quoted(FILE *out, const void *data, size_t size);

/* Write base64 with padding. */
void base64_write(FILE *out, const void *data, size_t size);

/* Write with control characters as \xNN, tab and newline as \t and \n, the backslash doubled, and
 * bytes that are no UTF-8 as \xNN. */
void text_safe(FILE *out, const void *data, size_t size);

/* A copy of `s` as text_safe writes it; the caller frees it with xfree. */
char *text_safe_copy(const char *s);

#endif
