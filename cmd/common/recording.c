/* A header, then records: length, CRC, body. Each record is whole in itself, so a file that was cut
 * anywhere is good up to its last whole record, and nothing is ever written but at its end.
 *
 * Reading trusts nothing: a length beyond the bounds, a CRC that does not fit, or fields that do
 * not fit into their record end it. Behind a damaged record there is no telling where the next one
 * begins, so nothing behind it is read. Memory grows with what was really read. */
#include "recording.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "memory.h"

#define VERSION 1
#define PREFIX 8        /* length, CRC */
#define MESSAGE_HEAD 21 /* kind, at, time, lengths */
#define GAP_HEAD 19
#define END_SIZE 25
#define CHUNK ((size_t)256 * 1024)

static const unsigned char magic[8] = {0x89, 'w', 'e', 'f', 't', 'r', 'e', '\n'};

/* ---- Numbers, the most significant byte first --------------------------------------------------
 */

static unsigned char *put(unsigned char *p, uint64_t n, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *p++ = (unsigned char)(n >> (8 * i));
    return p;
}

static uint64_t get(const unsigned char *p, int bytes)
{
    uint64_t n = 0;
    for (int i = 0; i < bytes; i++)
        n = n << 8 | p[i];
    return n;
}

static uint32_t crc(uint32_t before, const void *data, size_t size)
{
    return (uint32_t)crc32(before, data, (uInt)size);
}

/* ---- Writing -----------------------------------------------------------------------------------
 */

bool recording_begin(FILE *out, uint64_t started_ns)
{
    unsigned char header[RECORDING_HEADER];
    unsigned char *p = header;
    memcpy(p, magic, sizeof(magic));
    p = put(p + sizeof(magic), VERSION, 4);
    p = put(p, started_ns, 8);
    put(p, crc(0, header, RECORDING_HEADER - 4), 4);
    return fwrite(header, 1, sizeof(header), out) == sizeof(header);
}

/* The fields before the texts. Returns how many bytes they are. */
static size_t put_head(const struct record *r, unsigned char *head)
{
    unsigned char *p = put(put(head, r->kind, 1), r->at_ns, 8);
    switch (r->kind) {
    case RECORD_MESSAGE:
        p = put(p, r->time_ns, 8);
        p = put(p, strlen(r->route), 2);
        p = put(p, strlen(r->sender), 2);
        break;
    case RECORD_GAP:
        p = put(p, r->count, 8);
        p = put(p, strlen(r->route), 2);
        break;
    case RECORD_END:
        p = put(p, r->count, 8);
        p = put(p, r->lost, 8);
        break;
    }
    return (size_t)(p - head);
}

bool recording_write(FILE *out, const struct record *r, uint64_t *size)
{
    unsigned char start[PREFIX + END_SIZE];
    bool message = r->kind == RECORD_MESSAGE;
    size_t route = r->kind == RECORD_END ? 0 : strlen(r->route);
    size_t sender = message ? strlen(r->sender) : 0, data = message ? r->size : 0;
    if (route > RECORDING_TEXT_MAX || sender > RECORDING_TEXT_MAX || data > RECORDING_DATA_MAX) {
        errno = EMSGSIZE;
        return false;
    }
    size_t head = put_head(r, start + PREFIX), body = head + route + sender + data;
    put(start, body, 4);
    uint32_t sum = crc(crc(0, start, 4), start + PREFIX, head);
    sum = route ? crc(sum, r->route, route) : sum;
    sum = sender ? crc(sum, r->sender, sender) : sum;
    sum = data ? crc(sum, r->data, data) : sum;
    put(start + 4, sum, 4);
    if (fwrite(start, 1, PREFIX + head, out) != PREFIX + head ||
        (route && fwrite(r->route, 1, route, out) != route) ||
        (sender && fwrite(r->sender, 1, sender, out) != sender) ||
        (data && fwrite(r->data, 1, data, out) != data))
        return false;
    *size += PREFIX + body;
    return true;
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

/* Read `size` bytes to `p`, or say what came instead. */
static enum recording_result take(FILE *in, void *p, size_t size, size_t *ret_got)
{
    errno = 0;
    *ret_got = fread(p, 1, size, in);
    if (*ret_got == size)
        return RECORDING_OK;
    return ferror(in) ? RECORDING_FAILED : RECORDING_CUT;
}

enum recording_result recording_open(struct recording *recording, FILE *in)
{
    unsigned char header[RECORDING_HEADER];
    size_t got;
    *recording = (struct recording){.in = in};
    enum recording_result result = take(in, header, sizeof(header), &got);
    if (result == RECORDING_FAILED)
        return result;
    if (got == 0 || memcmp(header, magic, got < sizeof(magic) ? got : sizeof(magic)) != 0)
        return RECORDING_FOREIGN;
    if (result == RECORDING_CUT)
        return result;
    if (get(header + 8, 4) > VERSION)
        return RECORDING_NEWER;
    if (get(header + 20, 4) != crc(0, header, 20) || get(header + 8, 4) != VERSION)
        return RECORDING_DAMAGED;
    recording->started_ns = get(header + 12, 8);
    recording->offset = RECORDING_HEADER;
    return RECORDING_OK;
}

/* The body, in bounded steps, so that a wrong length costs no memory. A byte is left for the NUL
 * behind each of the two texts, which are moved apart later. */
static enum recording_result take_body(struct recording *r, size_t size)
{
    for (size_t have = 0; have < size;) {
        size_t part = size - have < CHUNK ? size - have : CHUNK, got;
        if (r->allocated < have + part) {
            r->allocated = have + part;
            r->body = xresize(r->body, r->allocated);
        }
        enum recording_result result = take(r->in, r->body + have, part, &got);
        if (result != RECORDING_OK)
            return result;
        have += part;
    }
    return RECORDING_OK;
}

/* Texts get their NUL by moving down over the head, which has been read. False: they do not fit, or
 * hold a NUL of their own. */
static bool take_texts(struct recording *r, size_t head, size_t size, size_t route, size_t sender,
                       struct record *record)
{
    char *body = (char *)r->body;
    if (route + sender > size - head || memchr(body + head, '\0', route + sender))
        return false;
    memmove(body, body + head, route);
    body[route] = '\0';
    record->route = body;
    record->sender = "";
    if (sender) {
        char *to = body + route + 1;
        memmove(to, body + head + route, sender);
        to[sender] = '\0';
        record->sender = to;
    }
    record->data = body + head + route + sender;
    record->size = size - head - route - sender;
    return true;
}

/* False: the body is none of its kind. */
static bool take_fields(struct recording *r, size_t size, struct record *record)
{
    const unsigned char *p = r->body;
    *record = (struct record){.kind = p[0], .route = "", .sender = ""};
    if (size < 9)
        return false;
    record->at_ns = get(p + 1, 8);
    switch (record->kind) {
    case RECORD_MESSAGE:
        if (size < MESSAGE_HEAD)
            return false;
        record->time_ns = get(p + 9, 8);
        return take_texts(r, MESSAGE_HEAD, size, get(p + 17, 2), get(p + 19, 2), record);
    case RECORD_GAP:
        if (size < GAP_HEAD || size != GAP_HEAD + get(p + 17, 2))
            return false;
        record->count = get(p + 9, 8);
        return take_texts(r, GAP_HEAD, size, get(p + 17, 2), 0, record);
    case RECORD_END:
        if (size != END_SIZE)
            return false;
        record->count = get(p + 9, 8);
        record->lost = get(p + 17, 8);
        return true;
    }
    return false;
}

static bool known(unsigned char kind)
{
    return kind >= RECORD_MESSAGE && kind <= RECORD_END;
}

enum recording_result recording_next(struct recording *r, struct record *ret_record)
{
    for (;;) {
        unsigned char prefix[PREFIX];
        size_t got;
        enum recording_result result = take(r->in, prefix, sizeof(prefix), &got);
        if (result != RECORDING_OK)
            return result == RECORDING_CUT && got == 0 ? RECORDING_EOF : result;
        size_t size = get(prefix, 4);
        if (size == 0 || size > RECORDING_BODY_MAX)
            return RECORDING_DAMAGED;
        result = take_body(r, size);
        if (result != RECORDING_OK)
            return result;
        if (get(prefix + 4, 4) != crc(crc(0, prefix, 4), r->body, size))
            return RECORDING_DAMAGED;
        bool ours = known(r->body[0]);
        if (ours && !take_fields(r, size, ret_record))
            return RECORDING_DAMAGED;
        r->offset += PREFIX + size;
        if (ours)
            return RECORDING_OK;
    }
}

enum recording_result recording_rewind(struct recording *r)
{
    if (fseeko(r->in, RECORDING_HEADER, SEEK_SET) < 0)
        return RECORDING_FAILED;
    r->offset = RECORDING_HEADER;
    return RECORDING_OK;
}

void recording_fini(struct recording *r)
{
    xfree(r->body);
    *r = (struct recording){0};
}
