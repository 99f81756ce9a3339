#include "node/records.h"

#include "base/mem.h"

#define KEEP (64u << 10) /* bytes an empty row may hold on to */

enum kind { BYTES, SHARED, NAMES };

struct record {
    uint32_t size; /* of the message */
    uint32_t kind;
    uint64_t time;
    /* Follows: the payload, a weft_msg *, or struct names. Records begin at multiples of 8. */
};

static size_t round_up(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static size_t body_size(const struct record *rec)
{
    switch ((enum kind)rec->kind) {
    case SHARED:
        return sizeof(weft_msg *);
    case NAMES:
        return sizeof(struct names);
    default:
        return round_up(rec->size);
    }
}

/* ---- Writing ---- */

static bool make_room(struct records *r, size_t need)
{
    if (r->end + need <= r->cap)
        return true;
    size_t used = r->end - r->head;
    size_t cap = r->cap ? r->cap : 1024;
    while (cap < used + need || (cap == r->cap && r->head < cap / 2))
        cap *= 2;
    uint8_t *data = cap == r->cap ? r->data : mem_alloc(cap);
    if (!data)
        return false;
    if (used)
        memmove(data, r->data + r->head, used);
    if (data != r->data)
        mem_free(r->data);
    r->data = data;
    r->cap = cap;
    r->head = 0;
    r->end = used;
    return true;
}

/* There is room for it. */
static void write_record(struct records *r, struct record rec, const void *body, size_t size)
{
    memcpy(r->data + r->end, &rec, sizeof(rec));
    if (size)
        memcpy(r->data + r->end + sizeof(rec), body, size);
    r->end += sizeof(rec) + round_up(size);
}

static void write_names(struct records *r, const struct parcel *p)
{
    if (r->written.route == p->route && r->written.sender == p->sender)
        return;
    r->written = (struct names){.route = p->route, .sender = p->sender};
    str_ref(p->route);
    str_ref(p->sender);
    write_record(r, (struct record){.kind = NAMES}, &r->written, sizeof(r->written));
}

int records_push(struct records *r, const struct parcel *p)
{
    bool shared = p->size > RECORD_COPY_MAX;
    size_t body = shared ? sizeof(p->msg) : p->size;
    if (!make_room(r, 2 * sizeof(struct record) + sizeof(struct names) + round_up(body)))
        return WEFT_ENOMEM;
    struct record rec = {.size = (uint32_t)p->size, .kind = shared ? SHARED : BYTES};
    rec.time = p->time;
    if (shared) {
        weft_msg *msg = weft_msg_ref(p->msg);
        write_record(r, rec, &msg, sizeof(msg));
    } else {
        write_names(r, p);
        write_record(r, rec, p->data, p->size);
    }
    r->count++;
    return 0;
}

/* ---- Reading ---- */

static struct record first(const struct records *r, const uint8_t **ret_body)
{
    struct record rec;
    memcpy(&rec, r->data + r->head, sizeof(rec));
    *ret_body = r->data + r->head + sizeof(rec);
    return rec;
}

static void skip(struct records *r, const struct record *rec)
{
    r->head += sizeof(*rec) + body_size(rec);
    if (r->head == r->end)
        r->head = r->end = 0;
}

/* The first message, past the names before it. */
static struct record first_message(struct records *r, const uint8_t **ret_body)
{
    struct record rec = first(r, ret_body);
    while (rec.kind == NAMES) {
        str_unref(r->read.route);
        str_unref(r->read.sender);
        memcpy(&r->read, *ret_body, sizeof(r->read));
        skip(r, &rec);
        rec = first(r, ret_body);
    }
    return rec;
}

weft_msg *records_pop(struct records *r, struct msg_pool *pool)
{
    const uint8_t *body;
    struct record rec = first_message(r, &body);
    weft_msg *msg;
    if (rec.kind == SHARED)
        memcpy(&msg, body, sizeof(msg));
    else
        msg = msg_copy(pool, body, rec.size, r->read.route, r->read.sender, rec.time);
    if (!msg)
        return NULL;
    skip(r, &rec);
    r->count--;
    return msg;
}

size_t records_drop(struct records *r)
{
    const uint8_t *body;
    struct record rec = first_message(r, &body);
    if (rec.kind == SHARED) {
        weft_msg *msg;
        memcpy(&msg, body, sizeof(msg));
        weft_msg_unref(msg);
    }
    skip(r, &rec);
    r->count--;
    return rec.size;
}

/* ---- The end ---- */

void records_trim(struct records *r)
{
    if (r->count || r->cap <= KEEP)
        return;
    mem_free(r->data);
    r->data = NULL;
    r->head = r->end = r->cap = 0;
}

void records_fini(struct records *r)
{
    while (r->count)
        records_drop(r);
    str_unref(r->read.route);
    str_unref(r->read.sender);
    mem_free(r->data);
    *r = (struct records){0};
}
