/* The book as bytes (docs/internals/addrbook.md).
 *
 *     "WEFTBOOK" | u32 version | node id 16
 *     { u32 length | u32 CRC-32 of the entry | AddrbookEntry } …
 *     "WEFTEND." | u32 count | u32 CRC-32 of everything before this field
 *
 * Encoding writes the entries sorted by peer, so that equal books are equal files. Decoding walks
 * the frame of the file first, checks every length and sum, and only then allocates and decodes: a
 * file is taken as a whole or not at all, and an error names the byte and what was expected there.
 * Merging takes what is valid by today's rules: own addresses and full gossip limits hold for a
 * file as they do for a peer. */
#include "addrbook/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define MERGE_SPREAD_NS NS_PER_SEC

uint32_t file_checksum(const uint8_t *data, size_t size)
{
    return (uint32_t)crc32_z(0, data, size);
}

/* ---- Encoding ---- */

static struct book_record to_record(const struct entry *e)
{
    return (struct book_record){
        .peer = e->peer,
        .max_attempts = e->policy.max_attempts,
        .default_backoff_ns = e->policy.default_backoff_ns,
        .max_backoff_ns = e->policy.max_backoff_ns,
        .multiplier = e->policy.multiplier,
        .attempts = e->attempts,
        .failed_attempts = e->failures,
        .last_success = e->last_success,
        .backoff_ns = e->backoff_ns,
        .persistent = e->policy.persistent,
        .node_id = e->node && e->node->has_id ? e->node->id : NULL,
        .source = e->source->text,
        .origin = (uint32_t)e->origin,
        .last_error = entry_last_error(e),
        .banned_until = e->banned_until,
        .added = e->added,
        .in_config = e->in_config,
    };
}

/* A banned one is scheduled too, but only to be looked at again. */
static uint64_t until_dial(const struct entry *e, struct moment now)
{
    if (e->slot == UNSCHEDULED || entry_banned(e, now.wall_ns))
        return 0;
    return e->next_dial > now.mono_ns ? e->next_dial - now.mono_ns : 1;
}

struct book_record *addrbook_records(const struct addrbook *book, struct moment now,
                                     size_t *ret_count)
{
    size_t count = addrbook_count(book);
    struct entry **sorted = entries_sorted(book);
    struct book_record *records = mem_alloc((count + 1) * sizeof(*records));
    if (!records)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        records[i] = to_record(sorted[i]);
        records[i].linked = entry_linked(sorted[i]);
        records[i].dialing = sorted[i]->dialing;
        records[i].next_dial_ns = until_dial(sorted[i], now);
    }
    *ret_count = count;
    return records;
}

static int put_record(struct buf *out, const struct book_record *record)
{
    size_t at = out->len;
    static const uint8_t blank[FILE_RECORD_HEADER];
    if (!buf_put(out, blank, sizeof(blank)))
        return out->error;
    int rc = codec_encode_record(out, record);
    if (rc < 0)
        return rc;
    uint8_t *header = out->data + at;
    uint32_t size = (uint32_t)(out->len - at - FILE_RECORD_HEADER);
    if (!*record->peer || size > FILE_RECORD_MAX)
        return WEFT_EINVAL;
    store_u32(header, size);
    store_u32(header + 4, file_checksum(header + FILE_RECORD_HEADER, size));
    return 0;
}

static void put_header(struct buf *out, const uint8_t *node_id)
{
    buf_put(out, FILE_MAGIC, FILE_MAGIC_SIZE);
    buf_put_u32(out, FILE_VERSION);
    buf_put(out, node_id, NODE_ID_SIZE);
}

/* The file began at `start` of the buffer. */
static int put_trailer(struct buf *out, size_t start, size_t count)
{
    buf_put(out, FILE_TRAILER, FILE_MAGIC_SIZE);
    if (!buf_put_u32(out, (uint32_t)count))
        return out->error;
    buf_put_u32(out, file_checksum(out->data + start, out->len - start));
    return out->error;
}

static int put_book(const struct addrbook *book, struct buf *out)
{
    size_t start = out->len, count = addrbook_count(book);
    struct entry **sorted = entries_sorted(book);
    put_header(out, book->node_id);
    for (size_t i = 0; i < count; i++) {
        struct book_record record = to_record(sorted[i]);
        int rc = put_record(out, &record);
        if (rc < 0)
            return rc;
    }
    return put_trailer(out, start, count);
}

static int by_peer(const void *a, const void *b)
{
    return strcmp(((const struct book_record *)a)->peer, ((const struct book_record *)b)->peer);
}

int addrbook_encode_records(const uint8_t *node_id, struct book_record *records, size_t count,
                            struct buf *out)
{
    size_t start = out->len;
    int rc = 0;
    if (count)
        qsort(records, count, sizeof(*records), by_peer);
    put_header(out, node_id);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = put_record(out, &records[i]);
    if (rc == 0)
        rc = put_trailer(out, start, count);
    if (rc < 0)
        out->len = start;
    return rc;
}

bool addrbook_dirty(const struct addrbook *book)
{
    return book->dirty;
}

int addrbook_encode(struct addrbook *book, struct buf *out)
{
    size_t start = out->len;
    int rc = put_book(book, out);
    if (rc < 0) {
        out->len = start;
        return rc;
    }
    book->dirty = false;
    return 0;
}

/* ---- Decoding ---- */

static int corrupt(struct addrbook_file *file, size_t at, const char *expected)
{
    snprintf(file->where, sizeof(file->where), "byte %zu: expected %s", at, expected);
    return WEFT_ECORRUPT;
}

int file_other_version(struct addrbook_file *file, uint32_t version)
{
    snprintf(file->where, sizeof(file->where), "byte %u: expected version %u, found %u%s",
             FILE_MAGIC_SIZE, FILE_VERSION, version,
             version > FILE_VERSION && version <= FILE_VERSION_NEWER ? ": a newer weft wrote it"
                                                                     : "");
    return WEFT_EVERSION;
}

static int check_header(const uint8_t *data, size_t size, struct addrbook_file *file)
{
    if (size < FILE_MAGIC_SIZE || memcmp(data, FILE_MAGIC, FILE_MAGIC_SIZE) != 0)
        return corrupt(file, 0, "\"" FILE_MAGIC "\", the start of an address book");
    if (size < FILE_HEADER_SIZE)
        return corrupt(file, size, "version and node id, but the file ends");
    uint32_t version = load_u32(data + FILE_MAGIC_SIZE);
    return version == FILE_VERSION ? 0 : file_other_version(file, version);
}

static int check_trailer(const uint8_t *data, size_t size, size_t count, struct addrbook_file *file)
{
    size_t at = size - FILE_TRAILER_SIZE;
    if (memcmp(data + at, FILE_TRAILER, FILE_MAGIC_SIZE) != 0)
        return corrupt(file, at, "a record or the trailer \"" FILE_TRAILER "\"");
    at += FILE_MAGIC_SIZE;
    if (load_u32(data + at) != count)
        return corrupt(file, at, "the number of records in the file");
    at += 4;
    if (load_u32(data + at) != file_checksum(data, at))
        return corrupt(file, at, "the CRC-32 of all before it");
    return 0;
}

/* The record at `at`, which is before the trailer's place. */
static int check_record(const uint8_t *data, size_t end, size_t at, struct addrbook_file *file)
{
    if (memcmp(data + at, FILE_TRAILER, min_size(FILE_MAGIC_SIZE, end - at)) == 0)
        return corrupt(file, at + FILE_TRAILER_SIZE, "the end of the file after the trailer");
    if (end - at < FILE_RECORD_HEADER)
        return corrupt(file, at, "a record or the trailer, but the file ends");
    uint32_t size = load_u32(data + at);
    if (!size || size > FILE_RECORD_MAX)
        return corrupt(file, at, "a record's length, 1 to 4096");
    if (size > end - at - FILE_RECORD_HEADER)
        return corrupt(file, at, "a record and the trailer, but the file ends");
    if (load_u32(data + at + 4) != file_checksum(data + at + FILE_RECORD_HEADER, size))
        return corrupt(file, at + 4, "the CRC-32 of the record");
    return 0;
}

/* Check everything but the records' insides, and count them. */
static int check_frame(const uint8_t *data, size_t size, size_t *ret_count,
                       struct addrbook_file *file)
{
    int rc = check_header(data, size, file);
    if (rc < 0)
        return rc;
    if (size < FILE_HEADER_SIZE + FILE_TRAILER_SIZE)
        return corrupt(file, size, "a record or the trailer, but the file ends");
    size_t end = size - FILE_TRAILER_SIZE, count = 0;
    for (size_t at = FILE_HEADER_SIZE; at < end; count++) {
        rc = check_record(data, end, at, file);
        if (rc < 0)
            return rc;
        at += FILE_RECORD_HEADER + load_u32(data + at);
    }
    rc = check_trailer(data, size, count, file);
    if (rc < 0)
        return rc;
    *ret_count = count;
    return 0;
}

static void free_records(struct control *owned, size_t count)
{
    for (size_t i = 0; i < count; i++)
        control_fini(&owned[i]);
    mem_free(owned);
}

/* Decode `count` checked records; on failure none is left. */
static int decode_records(const uint8_t *data, struct control *owned, struct book_record *records,
                          size_t count, struct addrbook_file *file)
{
    size_t at = FILE_HEADER_SIZE;
    for (size_t i = 0; i < count; i++) {
        uint32_t size = load_u32(data + at);
        int rc = codec_decode_record(data + at + FILE_RECORD_HEADER, size, &owned[i]);
        if (rc == WEFT_ENOMEM)
            return rc;
        if (rc < 0)
            return corrupt(file, at + FILE_RECORD_HEADER, "an AddrbookEntry message");
        records[i] = owned[i].book.records[0];
        at += FILE_RECORD_HEADER + size;
    }
    return 0;
}

int addrbook_decode(const uint8_t *data, size_t size, struct addrbook_file *ret_file)
{
    ret_file->where[0] = '\0';
    size_t count = 0;
    int rc = check_frame(data, size, &count, ret_file);
    if (rc < 0)
        return rc;
    rc = WEFT_ENOMEM;
    struct control *owned = mem_zalloc(count * sizeof(*owned));
    if (!owned)
        return rc;
    struct book_record *records = mem_zalloc(count * sizeof(*records));
    if (!records)
        goto fail_owned;
    rc = decode_records(data, owned, records, count, ret_file);
    if (rc < 0)
        goto fail_records;
    memcpy(ret_file->node_id, data + FILE_MAGIC_SIZE + 4, NODE_ID_SIZE);
    ret_file->records = records;
    ret_file->count = count;
    ret_file->owned = owned;
    return 0;

fail_records:
    mem_free(records);
fail_owned:
    free_records(owned, count);
    return rc;
}

void addrbook_file_fini(struct addrbook_file *file)
{
    free_records(file->owned, file->count);
    mem_free(file->records);
    *file = (struct addrbook_file){.count = 0};
}

/* ---- Merging ---- */

static struct addrbook_policy policy_of(const struct book_record *r)
{
    struct addrbook_policy policy = {
        .persistent = r->persistent,
        .max_attempts = r->max_attempts,
        .default_backoff_ns = r->default_backoff_ns,
        .max_backoff_ns = r->max_backoff_ns,
        .multiplier = r->multiplier,
    };
    return addrbook_policy_complete(&policy);
}

enum weft_origin addrbook_origin(uint32_t origin)
{
    bool known = origin >= WEFT_ORIGIN_CONFIGURED && origin <= WEFT_ORIGIN_OPERATOR;
    return known ? (enum weft_origin)origin : WEFT_ORIGIN_GOSSIP;
}

/* What a file adds to an entry that is known already, from the configuration or another file. */
static void merge_known(struct entry *e, const struct book_record *r)
{
    enum weft_origin origin = addrbook_origin(r->origin);
    if (origin_configured(origin)) {
        if (!entry_configured(e))
            e->policy = policy_of(r);
        if (e->origin != WEFT_ORIGIN_OPERATOR)
            e->origin = origin;
        e->in_config |= r->in_config;
    }
    e->attempts = e->attempts > r->attempts ? e->attempts : r->attempts;
    e->banned_until = max_u64(e->banned_until, r->banned_until);
    if (r->added && (!e->added || r->added < e->added))
        e->added = r->added;
}

static void merge_new(struct entry *e, const struct book_record *r)
{
    e->policy = policy_of(r);
    e->attempts = r->attempts;
    e->failures = r->failed_attempts;
    e->backoff_ns = min_u64(r->backoff_ns, e->policy.max_backoff_ns);
    e->banned_until = r->banned_until;
    e->added = r->added;
    e->in_config = r->in_config && origin_configured(e->origin);
}

/* Spread, and, since who is remembered may have restarted with us and remember us, too, by the rule
 * for gossip: of two the smaller FQN dials, the other after a while. */
static void schedule_remembered(struct addrbook *book, struct entry *e, uint64_t now)
{
    uint64_t from = held_until(book, e, now);
    uint64_t due = after(from, prng_between(book->prng, 0, MERGE_SPREAD_NS));
    bool first = entry_configured(e) || dials_first(book, e);
    schedule_at(book, e, first ? due : after(due, ADDRBOOK_POLITE_NS));
    e->polite_until = first ? 0 : after(from, ADDRBOOK_POLITE_MAX_NS);
}

/* The entry a record goes to: found, or made; null if the record is to be skipped. */
static int entry_for_record(struct addrbook *book, const struct book_record *r, struct moment now,
                            struct entry **ret_entry)
{
    struct url url;
    char identity[URL_MAX + 1];
    *ret_entry = NULL;
    if (identify(r->peer, &url, identity) < 0 || !url_dialable(&url) || is_own(book, identity) ||
        marks_until(&book->tombstones, identity) > now.mono_ns)
        return 0;
    struct entry *e = entry_by_identity(book, identity);
    if (e) {
        merge_known(e, r);
        *ret_entry = e;
        return 0;
    }
    enum weft_origin origin = addrbook_origin(r->origin);
    if (origin == WEFT_ORIGIN_GOSSIP && !r->last_success && gossip_full(book, r->source))
        return 0;
    int rc = entry_new(book, url.text, identity, origin, r->source, now, &e);
    if (rc < 0)
        return rc == WEFT_ELIMIT ? 0 : rc;
    merge_new(e, r);
    schedule_remembered(book, e, now.mono_ns);
    *ret_entry = e;
    return 0;
}

static int merge_record(struct addrbook *book, const struct book_record *r, struct moment now)
{
    struct entry *e;
    int rc = entry_for_record(book, r, now, &e);
    if (rc < 0 || !e)
        return rc;
    if (!*entry_last_error(e))
        entry_set_error(book, e, 0, r->last_error);
    e->last_success = max_u64(e->last_success, r->last_success);
    if (e->last_success || entry_configured(e))
        entry_proven(book, e);
    if (!r->node_id || e->node || memcmp(r->node_id, book->node_id, NODE_ID_SIZE) == 0)
        return 0;
    struct node *node = node_get(book, r->node_id);
    if (!node)
        return WEFT_ENOMEM;
    name_attach(book, node, e);
    names_trim(book, node, e, NULL, now);
    return 0;
}

int addrbook_merge(struct addrbook *book, const struct addrbook_file *file, struct moment now)
{
    for (size_t i = 0; i < file->count; i++) {
        int rc = merge_record(book, &file->records[i], now);
        if (rc < 0)
            return rc;
        book->dirty = true;
    }
    return 0;
}
