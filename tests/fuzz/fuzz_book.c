/* Target: the file of the address book, and the book that it fills.
 *
 *     input   u8 how | u8 the place of a damage | u8 steps | steps | the file
 *     how     bit 0: the file is a list of (u16 size, record), which is put into a frame whose
 *             lengths and sums are right, so that the records are reached
 *
 * A file is taken as a whole or not at all; what a repair makes of it is a sound file. What was
 * taken can be saved, and what is saved loads into a book that saves the same. Of a saved file each
 * changed byte and each truncation is noticed. Then dials come and go by the steps, while deadlines
 * move on and the limits hold. */
#include "fuzz.h"

#include <weft/weft.h>
#include <zlib.h>

#include "addrbook/addrbook.h"
#include "proto/codec.h"

#define FILE_MAX ((size_t)16 << 20)
#define SELF "tcp://10.0.0.50:7400/self"
#define EPOCH (UINT64_C(1700000000) * NS_PER_SEC)
#define NAMES 6
#define OUT_MAX (8 * ADDRBOOK_DIALS_MAX) /* so many of a kind, which may change while it is out */

static const uint8_t own_id[16] = "the book's owner";
static const char *const urls[NAMES] = {
    "tcp://10.0.0.1:7400/a", "tcp://10.0.0.2:7400/b", "tcp://10.0.0.60:7400/c",
    "tcp://h.lan:1/d",       "unix:///run/x.sock/e",  "tcp://127.0.0.1:9/f",
};

struct bench {
    struct addrbook *book;
    struct prng prng;
    struct moment now;
    uint32_t out[OUT_MAX]; /* reservations */
    unsigned n_out;
};

static void bench_open(struct bench *b)
{
    *b = (struct bench){.now = {.mono_ns = NS_PER_SEC, .wall_ns = EPOCH}};
    prng_init(&b->prng, 1);
    struct addrbook_config config = {.self = SELF, .node_id = own_id, .prng = &b->prng};
    CHECK_EQ(addrbook_new(&config, &b->book), 0);
}

static void save(struct addrbook *book, struct buf *out)
{
    buf_init(out, FILE_MAX);
    CHECK_EQ(addrbook_encode(book, out), 0);
    CHECK(!addrbook_dirty(book));
}

/* ---- The file ---- */

static void frame_records(struct input *in, struct buf *out)
{
    uint32_t count = 0;
    buf_put(out, "WEFTBOOK", 8);
    buf_put_u32(out, 1);
    buf_put(out, own_id, sizeof(own_id));
    while (in->left > 2) {
        size_t size;
        uint16_t wanted = take_u16(in);
        const uint8_t *record = take_bytes(in, wanted, &size);
        if (size == 0)
            continue;
        buf_put_u32(out, (uint32_t)size);
        buf_put_u32(out, (uint32_t)crc32_z(0, record, size));
        buf_put(out, record, size);
        count++;
    }
    buf_put(out, "WEFTEND.", 8);
    buf_put_u32(out, count);
    CHECK(buf_put_u32(out, (uint32_t)crc32_z(0, out->data, out->len)));
}

/* What is kept of it makes a sound file with the same records. */
static bool check_repair(const uint8_t *data, size_t size)
{
    struct addrbook_file file, again;
    struct addrbook_damage damage;
    uint8_t *copy = exact_copy(data, size);
    int rc = addrbook_repair(copy, size, &file, &damage);
    free(copy);
    CHECK(rc == 0 || rc == WEFT_ECORRUPT || rc == WEFT_EVERSION);
    if (rc < 0) {
        CHECK(file.where[0] && strlen(file.where) < sizeof(file.where));
        return false;
    }
    CHECK_EQ(damage.kept, file.count);
    CHECK(damage.lost <= size && (damage.lost == 0 || damage.n_places));
    for (size_t i = 0; i < damage.n_places && i < ADDRBOOK_PLACES; i++)
        CHECK(damage.places[i].from <= damage.places[i].to && damage.places[i].to <= size);
    struct buf sound;
    buf_init(&sound, FILE_MAX);
    CHECK_EQ(addrbook_encode_records(file.node_id, file.records, file.count, &sound), 0);
    CHECK_EQ(addrbook_decode(sound.data, sound.len, &again), 0);
    CHECK_EQ(again.count, file.count);
    for (size_t i = 0; i < file.count; i++)
        CHECK_STR(again.records[i].peer, file.records[i].peer);
    addrbook_file_fini(&again);
    addrbook_file_fini(&file);
    buf_fini(&sound);
    return damage.n_places == 0;
}

static bool load(struct addrbook *book, const uint8_t *data, size_t size, struct moment now)
{
    struct addrbook_file file;
    uint8_t *copy = exact_copy(data, size);
    int rc = addrbook_decode(copy, size, &file);
    free(copy);
    CHECK(rc == 0 || rc == WEFT_ECORRUPT || rc == WEFT_EVERSION);
    if (rc < 0) {
        CHECK(file.where[0] && strlen(file.where) < sizeof(file.where));
        return false;
    }
    CHECK_EQ(addrbook_merge(book, &file, now), 0);
    addrbook_file_fini(&file);
    CHECK(addrbook_count(book) <= ADDRBOOK_ENTRIES_MAX);
    return true;
}

/* Saved, loaded and saved: the same bytes. */
static void check_again(const struct buf *saved)
{
    struct bench other;
    struct buf again;
    bench_open(&other);
    CHECK(load(other.book, saved->data, saved->len, other.now));
    save(other.book, &again);
    CHECK_EQ(saved->len, again.len);
    CHECK_MEM(saved->data, again.data, saved->len);
    buf_fini(&again);
    addrbook_free(other.book);
}

static void check_damage(const struct buf *saved, uint8_t place)
{
    struct addrbook_file file;
    struct addrbook_damage damage;
    CHECK_EQ(addrbook_decode(saved->data, saved->len, &file), 0);
    size_t count = file.count;
    addrbook_file_fini(&file);
    size_t at = saved->len * place / 256;
    uint8_t *copy = exact_copy(saved->data, saved->len);
    copy[at] ^= (uint8_t)(1 + place % 255);
    CHECK(addrbook_decode(copy, saved->len, &file) < 0);
    CHECK_EQ(addrbook_repair(copy, saved->len, &file, &damage), 0);
    CHECK(damage.n_places && file.count + 1 >= count && file.count <= count);
    addrbook_file_fini(&file);
    free(copy);
    copy = exact_copy(saved->data, at);
    CHECK_EQ(addrbook_decode(copy, at, &file), WEFT_ECORRUPT);
    free(copy);
}

/* ---- The book ---- */

static bool is_out(const struct bench *b, uint32_t entry)
{
    for (unsigned i = 0; i < b->n_out; i++) {
        if (b->out[i] == entry)
            return true;
    }
    return false;
}

static void dial_all(struct bench *b)
{
    struct addrbook_dial dial;
    while (addrbook_next_dial(b->book, b->now, &dial)) {
        CHECK(b->n_out < OUT_MAX && !is_out(b, dial.entry));
        CHECK(dial.url && dial.url[0] && dial.entry);
        b->out[b->n_out++] = dial.entry;
    }
    CHECK(addrbook_deadline(b->book) > b->now.mono_ns);
}

/* Report one reservation back. */
static void settle_dial(struct bench *b, uint8_t how)
{
    static const int errors[] = {WEFT_EREFUSED, WEFT_EDUPLICATE, WEFT_ESELF, WEFT_ETIMEDOUT};
    if (b->n_out == 0)
        return;
    uint32_t entry = b->out[--b->n_out];
    uint8_t id[16] = {(uint8_t)(how / 16)};
    if (how & 4)
        addrbook_linked(b->book, entry, urls[how / 16 % NAMES], how & 8 ? id : NULL, b->now);
    else
        addrbook_dial_failed(b->book, entry, errors[how % 4], how & 8 ? "a reason" : NULL, b->now);
}

/* Whose word it was. */
static void take_back(struct bench *b, unsigned who, const char *url)
{
    struct addrbook_view view;
    switch (who % 4) {
    case 0:
        addrbook_forget(b->book, url, b->now);
        break;
    case 1:
        addrbook_unconfigure(b->book, url, b->now);
        break;
    case 2:
        addrbook_disown(b->book, url, b->now);
        break;
    default:
        while (addrbook_let_go(b->book, &view))
            CHECK(!view.in_config);
        break;
    }
}

static void step(struct bench *b, uint8_t op, uint8_t how)
{
    const char *url = urls[how % NAMES];
    uint8_t id[16] = {(uint8_t)(how / 16)};
    struct addrbook_policy policy = {.persistent = how & 64, .max_attempts = how / 32};
    switch (op % 9) {
    case 0:
        settle_dial(b, how);
        break;
    case 1:
        b->now.mono_ns += NS_PER_MS << how % 24;
        b->now.wall_ns += NS_PER_MS << how % 24;
        break;
    case 2:
        addrbook_add_named(b->book, url, (enum addrbook_by)(op / 9 % 3), &policy, b->now);
        break;
    case 3:
        addrbook_add_gossip(b->book, url, urls[how / 8 % NAMES], how & 128, b->now);
        break;
    case 4:
        addrbook_departed(b->book, url, b->now);
        break;
    case 5:
        addrbook_ban(b->book, url, how & 128 ? b->now.wall_ns + NS_PER_SEC * how : 0, b->now);
        break;
    case 6:
        take_back(b, op / 9, url);
        break;
    case 7:
        addrbook_linked(b->book, 0, url, how & 8 ? id : NULL, b->now);
        break;
    default:
        addrbook_unlinked(b->book, url, how & 8 ? id : NULL, WEFT_ELOST, "gone", how & 128, b->now);
        break;
    }
}

/* A reservation ends with its entry, which a step may have removed. */
static void forget_gone(struct bench *b)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->n_out; i++) {
        size_t count;
        struct addrbook_view view;
        bool found = false;
        struct book_record *records = addrbook_records(b->book, b->now, &count);
        CHECK(records);
        for (size_t k = 0; k < count && !found; k++)
            found = addrbook_find(b->book, records[k].peer, &view) && view.id == b->out[i] &&
                    view.dialing;
        weft_free(records);
        if (found)
            b->out[n++] = b->out[i];
    }
    b->n_out = n;
}

static void run_steps(struct bench *b, const uint8_t *steps, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        step(b, steps[i], steps[i + 1]);
        forget_gone(b);
        dial_all(b);
        CHECK(addrbook_count(b->book) <= ADDRBOOK_ENTRIES_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 32768)
        return -1;
    struct input in = input_of(data, size);
    struct bench bench;
    struct buf file, saved;
    uint8_t how = take_u8(&in), place = take_u8(&in);
    size_t n_steps = take_u8(&in);
    const uint8_t *steps = take_bytes(&in, n_steps, &n_steps);
    heap_watch();
    bench_open(&bench);
    buf_init(&file, FILE_MAX);
    if (how & 1)
        frame_records(&in, &file);
    else
        buf_put(&file, in.at, in.left);
    bool loaded = load(bench.book, file.data, file.len, bench.now);
    CHECK(!check_repair(file.data, file.len) || loaded);
    save(bench.book, &saved);
    check_again(&saved);
    check_damage(&saved, place);
    buf_fini(&saved);
    run_steps(&bench, steps, n_steps);
    save(bench.book, &saved);
    check_again(&saved);
    buf_fini(&saved);
    buf_fini(&file);
    addrbook_free(bench.book);
    CHECK_EQ(heap_live(), 0);
    return 0;
}
