/* What can still be had of a damaged book.
 *
 * Records stand one after the other, each with its length and its sum. Where one is not sound the
 * bytes behind it are searched for the next that is, or for the trailer; what lies between is lost,
 * and told. So a flipped byte costs the record it is in, and a file that was cut off the record
 * that was cut. A header or trailer that is damaged costs no record.
 *
 * Could a damaged record hold something that looks like a sound one? Its texts come from other
 * nodes, but a record's length begins with two zero bytes, which no text holds. The sum makes it
 * unlikely of all else.
 *
 * A file of a newer weft is not ours to judge: what we do not know in it would look damaged, and be
 * lost by the repair. It is refused, unless its number alone is what is damaged.
 *
 * A file made to be searched for long is given up: what was found until then is kept. */
#include "addrbook/private.h"

#include <stdio.h>
#include <zlib.h>

#define SEARCH_MAX ((size_t)1 << 30) /* bytes summed up while searching: about a second */

struct walk {
    const uint8_t *data;
    size_t size;
    size_t *found; /* offsets of sound records */
    size_t count, cap;
    size_t summed; /* bytes, while searching */
    struct addrbook_damage damage;
};

static void note_place(struct addrbook_damage *d, size_t from, size_t to)
{
    if (d->n_places < ADDRBOOK_PLACES) {
        d->places[d->n_places].from = from;
        d->places[d->n_places].to = to;
    }
    d->n_places++;
}

/* ---- Finding records ---- */

static size_t length_at(const struct walk *w, size_t at)
{
    if (w->size - at < FILE_RECORD_HEADER)
        return 0;
    uint32_t length = load_u32(w->data + at);
    bool fits = length <= FILE_RECORD_MAX && length <= w->size - at - FILE_RECORD_HEADER;
    return fits ? length : 0;
}

/* The size of the record there with its header, or 0 if none is sound. */
static size_t record_at(const struct walk *w, size_t at)
{
    size_t length = length_at(w, at);
    if (!length ||
        load_u32(w->data + at + 4) != file_checksum(w->data + at + FILE_RECORD_HEADER, length))
        return 0;
    return FILE_RECORD_HEADER + length;
}

static bool trailer_at(const struct walk *w, size_t at)
{
    return w->size - at == FILE_TRAILER_SIZE &&
           memcmp(w->data + at, FILE_TRAILER, FILE_MAGIC_SIZE) == 0;
}

static bool begins_at(const struct walk *w, size_t at)
{
    return record_at(w, at) || trailer_at(w, at);
}

/* The next sound record or the trailer, from `at` on; the end of the file if there is none. */
static size_t search(struct walk *w, size_t at)
{
    for (; at < w->size; at++) {
        if (trailer_at(w, at))
            return at;
        w->summed += length_at(w, at);
        if (w->summed > SEARCH_MAX)
            break;
        if (record_at(w, at))
            return at;
    }
    return w->size;
}

static int keep(struct walk *w, size_t at)
{
    if (w->count == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        size_t *grown = mem_realloc(w->found, cap * sizeof(*grown));
        if (!grown)
            return WEFT_ENOMEM;
        w->found = grown;
        w->cap = cap;
    }
    w->found[w->count++] = at;
    return 0;
}

/* Walk from `at`, where a record or the trailer should begin. */
static int walk_records(struct walk *w, size_t at)
{
    while (at < w->size && !trailer_at(w, at)) {
        size_t size = record_at(w, at);
        if (size) {
            int rc = keep(w, at);
            if (rc < 0)
                return rc;
            at += size;
            continue;
        }
        size_t next = search(w, at + 1);
        note_place(&w->damage, at, next);
        w->damage.lost += next - at;
        at = next;
    }
    return 0;
}

/* ---- Header and trailer ---- */

static bool sum_is_right(const struct walk *w)
{
    size_t at = w->size - 4;
    return load_u32(w->data + at) == file_checksum(w->data, at);
}

/* Is it, apart from the number of its version, a sound file of ours? */
static bool is_ours_but_version(const struct walk *w)
{
    uint8_t ours[4];
    size_t rest = FILE_MAGIC_SIZE + sizeof(ours), at = w->size - 4;
    store_u32(ours, FILE_VERSION);
    uint32_t sum = (uint32_t)crc32_z(crc32_z(0, w->data, FILE_MAGIC_SIZE), ours, sizeof(ours));
    return load_u32(w->data + at) == (uint32_t)crc32_z(sum, w->data + rest, at - rest);
}

static bool is_another_version(const struct walk *w, uint32_t version)
{
    if (version == FILE_VERSION)
        return false;
    return sum_is_right(w) ||
           (version > FILE_VERSION && version <= FILE_VERSION_NEWER && !is_ours_but_version(w));
}

/* The header, and where the records begin: behind it, unless bytes of it are missing or too many.
 */
static int check_header(struct walk *w, struct addrbook_file *file, size_t *ret_at)
{
    struct addrbook_damage *d = &w->damage;
    bool whole = w->size >= FILE_HEADER_SIZE;
    bool magic = whole && memcmp(w->data, FILE_MAGIC, FILE_MAGIC_SIZE) == 0;
    uint32_t version = whole ? load_u32(w->data + FILE_MAGIC_SIZE) : 0;
    if (magic && is_another_version(w, version))
        return file_other_version(file, version);
    size_t first = whole && begins_at(w, FILE_HEADER_SIZE) ? FILE_HEADER_SIZE : search(w, 0);
    bool moved = first < FILE_HEADER_SIZE || !whole;
    d->owner_known = !moved && (magic || version == FILE_VERSION);
    *ret_at = moved ? first : FILE_HEADER_SIZE;
    if (moved || !magic)
        note_place(d, 0, moved ? first : FILE_MAGIC_SIZE);
    else if (version != FILE_VERSION)
        note_place(d, FILE_MAGIC_SIZE, FILE_MAGIC_SIZE + 4);
    d->lost += moved ? first : 0;
    return 0;
}

static void check_trailer(struct walk *w)
{
    struct addrbook_damage *d = &w->damage;
    size_t at = w->size - FILE_TRAILER_SIZE;
    if (w->size < FILE_TRAILER_SIZE || !trailer_at(w, at)) {
        bool told = d->n_places && d->n_places <= ADDRBOOK_PLACES &&
                    d->places[d->n_places - 1].to == w->size;
        if (!told)
            note_place(d, w->size, w->size);
        return;
    }
    uint32_t expected = load_u32(w->data + at + FILE_MAGIC_SIZE);
    if (d->n_places) {
        d->expected = expected >= w->count && expected - w->count <= d->lost ? expected : 0;
        return;
    }
    if (expected != w->count)
        note_place(d, at + FILE_MAGIC_SIZE, at + FILE_MAGIC_SIZE + 4);
    else if (!sum_is_right(w))
        note_place(d, w->size - 4, w->size);
}

/* ---- What was found ---- */

/* Decode what was found, leaving out what is no entry. */
static int decode_found(struct walk *w, struct addrbook_file *file)
{
    for (size_t i = 0; i < w->count; i++) {
        const uint8_t *at = w->data + w->found[i];
        uint32_t size = load_u32(at);
        struct control *owned = &file->owned[file->count];
        int rc = codec_decode_record(at + FILE_RECORD_HEADER, size, owned);
        if (rc == 0 && *owned->book.records[0].peer) {
            file->records[file->count++] = owned->book.records[0];
            continue;
        }
        control_fini(owned);
        *owned = (struct control){0};
        if (rc == WEFT_ENOMEM)
            return rc;
        note_place(&w->damage, w->found[i], w->found[i] + FILE_RECORD_HEADER + size);
        w->damage.lost += FILE_RECORD_HEADER + size;
    }
    w->damage.kept = file->count;
    return 0;
}

static int take_found(struct walk *w, struct addrbook_file *file)
{
    file->count = 0;
    file->owned = mem_zalloc((w->count + 1) * sizeof(*file->owned));
    file->records = mem_zalloc((w->count + 1) * sizeof(*file->records));
    int rc = file->owned && file->records ? decode_found(w, file) : WEFT_ENOMEM;
    if (rc < 0)
        addrbook_file_fini(file);
    return rc;
}

static int repair(struct walk *w, struct addrbook_file *file)
{
    size_t at = 0;
    int rc = check_header(w, file, &at);
    if (rc == 0)
        rc = walk_records(w, at);
    if (rc < 0)
        return rc;
    check_trailer(w);
    rc = take_found(w, file);
    if (rc < 0)
        return rc;
    bool is_empty = w->size >= FILE_HEADER_SIZE && trailer_at(w, FILE_HEADER_SIZE);
    if (file->count || !w->damage.n_places || is_empty)
        return 0;
    struct addrbook_file none = {0}; /* the reader of sound files says best what is wrong */
    rc = addrbook_decode(w->data, w->size, &none);
    if (rc == 0)
        addrbook_file_fini(&none); /* records without a peer, which are no entries */
    if (rc == 0 || (rc == WEFT_ECORRUPT && w->damage.owner_known))
        return 0;
    addrbook_file_fini(file);
    memcpy(file->where, none.where, sizeof(file->where));
    return rc;
}

int addrbook_repair(const uint8_t *data, size_t size, struct addrbook_file *ret_file,
                    struct addrbook_damage *ret_damage)
{
    struct walk w = {.data = data, .size = size, .damage.size = size};
    struct addrbook_file file = {0};
    int rc = repair(&w, &file);
    mem_free(w.found);
    if (rc < 0) {
        memcpy(ret_file->where, file.where, sizeof(file.where));
        return rc;
    }
    if (w.damage.owner_known)
        memcpy(file.node_id, data + FILE_MAGIC_SIZE + 4, NODE_ID_SIZE);
    *ret_file = file;
    *ret_damage = w.damage;
    return 0;
}
