/* Where `weft pub` takes its messages from. */
#ifndef CMD_WEFT_SOURCE_H
#define CMD_WEFT_SOURCE_H

#include "command.h"

#define MESSAGE_MAX ((size_t)64 * 1024 * 1024) /* the library's own limit */

/* Either one message again and again, or the lines of standard input. */
struct source {
    bool lines;
    char *data;       /* the message, or what has been read of the input */
    size_t size;      /* of data */
    size_t taken;     /* lines: bytes of data handed out already */
    size_t scanned;   /* lines: bytes of data known to hold no newline, from taken on */
    size_t allocated; /* lines: of data */
    bool ended;       /* lines: the input has ended */
};

/* Each fills an empty source. source_file: EXIT_OK, or EXIT_FAILED after saying why. */
void source_text(struct source *source, const char *text);
void source_filler(struct source *source, size_t size); /* printable, so that it can be looked at */
int source_file(struct source *source, const char *file);
void source_lines(struct source *source);

enum source_result { SOURCE_MESSAGE, SOURCE_END, SOURCE_SIGNAL, SOURCE_ERROR };

/* The next message, valid until the next call. Waits for input, and for a signal meanwhile. After
 * SOURCE_ERROR the reason has been printed. */
enum source_result source_next(struct source *source, struct session *session,
                               const void **ret_data, size_t *ret_size);

void source_fini(struct source *source);

#endif
