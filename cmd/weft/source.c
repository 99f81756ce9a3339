/* Lines are cut out of a buffer that is filled in large reads; it grows with the longest line, up
 * to the largest message there can be. The last line needs no newline; "\r\n" loses its "\r" as
 * well. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/memory.h"

#define READ_SIZE ((size_t)64 * 1024)

void source_text(struct source *source, const char *text)
{
    source->size = strlen(text);
    source->data = xcopy(text, source->size);
}

void source_filler(struct source *source, size_t size)
{
    source->size = size;
    source->data = xresize(NULL, size);
    for (size_t i = 0; i < size; i++)
        source->data[i] = (char)('a' + i % 26);
}

/* Read fd to its end. False with errno; EFBIG for more than MESSAGE_MAX. */
static bool read_whole(int fd, struct source *source)
{
    for (;;) {
        if (source->size > MESSAGE_MAX) {
            errno = EFBIG;
            return false;
        }
        source->data = xresize(source->data, source->size + READ_SIZE);
        ssize_t n = read(fd, source->data + source->size, READ_SIZE);
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        source->size += n > 0 ? (size_t)n : 0;
    }
}

int source_file(struct source *source, const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failure("cannot open %s: %s", file, strerror(errno));
    bool ok = read_whole(fd, source);
    int error = errno;
    close(fd);
    if (ok)
        return EXIT_OK;
    if (error == EFBIG)
        return failure("%s is larger than 64 MiB, the most a message can have; split it", file);
    return failure("cannot read %s: %s", file, strerror(error));
}

void source_lines(struct source *source)
{
    source->lines = true;
    source->allocated = 2 * READ_SIZE;
    source->data = xresize(NULL, source->allocated);
}

void source_fini(struct source *source)
{
    xfree(source->data);
}

/* ---- Lines -------------------------------------------------------------------------------------
 */

/* The next whole line in the buffer; at the end of the input what is left counts as one. */
static bool cut_line(struct source *s, const void **ret_data, size_t *ret_size)
{
    char *start = s->data + s->taken;
    size_t left = s->size - s->taken;
    char *newline = left > s->scanned ? memchr(start + s->scanned, '\n', left - s->scanned) : NULL;
    s->scanned = left;
    if (!newline && !(s->ended && left))
        return false;
    size_t len = newline ? (size_t)(newline - start) : left;
    s->taken += len + (newline != NULL);
    s->scanned = 0;
    *ret_data = start;
    *ret_size = newline && len && start[len - 1] == '\r' ? len - 1 : len;
    return true;
}

static void make_room(struct source *s)
{
    if (s->taken) {
        memmove(s->data, s->data + s->taken, s->size - s->taken);
        s->size -= s->taken;
        s->taken = 0;
    }
    if (s->allocated - s->size >= READ_SIZE)
        return;
    s->allocated *= 2;
    s->data = xresize(s->data, s->allocated);
}

static enum source_result fill(struct source *s, struct session *session)
{
    static const int input = STDIN_FILENO;
    enum session_event e;
    make_room(s);
    if (s->size > MESSAGE_MAX) {
        failure("a line of standard input is longer than 64 MiB, the most a message can have");
        return SOURCE_ERROR;
    }
    do
        e = session_wait(session, FOREVER, &input, 1);
    while (e == SESSION_WOKEN);
    if (e == SESSION_SIGNAL)
        return SOURCE_SIGNAL;
    ssize_t n = read(input, s->data + s->size, READ_SIZE);
    if (n < 0 && errno != EINTR && errno != EAGAIN) {
        failure("cannot read standard input: %s", strerror(errno));
        return SOURCE_ERROR;
    }
    s->ended = n == 0;
    s->size += n > 0 ? (size_t)n : 0;
    return SOURCE_MESSAGE;
}

enum source_result source_next(struct source *source, struct session *session,
                               const void **ret_data, size_t *ret_size)
{
    if (!source->lines) {
        *ret_data = source->data;
        *ret_size = source->size;
        return SOURCE_MESSAGE;
    }
    while (!cut_line(source, ret_data, ret_size)) {
        if (source->ended)
            return SOURCE_END;
        enum source_result result = fill(source, session);
        if (result != SOURCE_MESSAGE)
            return result;
    }
    return SOURCE_MESSAGE;
}
