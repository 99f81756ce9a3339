/* Objects in memory, and the pool they are in. */
#include "typed.h"

#include <stdlib.h>
#include <string.h>

#include "../common/memory.h"

#define BLOCK ((size_t)16 * 1024)

struct typed_block {
    struct typed_block *next;
    size_t used, size;
    _Alignas(16) char data[];
};

void *typed_alloc(struct typed_pool *pool, size_t size)
{
    struct typed_block *block = pool->blocks;
    size = (size + 15) & ~(size_t)15;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        block = xresize(NULL, sizeof(*block) + room);
        *block = (struct typed_block){.next = pool->blocks, .size = room};
        pool->blocks = block;
    }
    void *p = block->data + block->used;
    block->used += size;
    memset(p, 0, size);
    return p;
}

char *typed_copy(struct typed_pool *pool, const void *data, size_t size)
{
    char *copy = typed_alloc(pool, size + 1);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

void typed_pool_empty(struct typed_pool *pool)
{
    while (pool->blocks) {
        struct typed_block *next = pool->blocks->next;
        xfree(pool->blocks);
        pool->blocks = next;
    }
}

/* Room for one more of `size` bytes in an array of the pool; doubling keeps what is left behind
 * below what is used. */
static void *grow(struct typed_pool *pool, void *items, size_t count, size_t *allocated,
                  size_t size)
{
    if (count < *allocated)
        return items;
    size_t room = *allocated ? 2 * *allocated : 1;
    void *grown = typed_alloc(pool, room * size);
    if (count)
        memcpy(grown, items, count * size);
    *allocated = room;
    return grown;
}

struct typed_object *typed_object_new(struct typed_pool *pool, const struct typed_message *type)
{
    struct typed_object *object = typed_alloc(pool, sizeof(*object));
    object->type = type;
    return object;
}

/* Where the field's slot is, or would be. */
static size_t place_of(const struct typed_object *object, uint32_t number)
{
    size_t low = 0, high = object->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (object->slots[middle].field->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct typed_slot *typed_slot_find(const struct typed_object *object,
                                   const struct typed_field *field)
{
    size_t at = place_of(object, field->number);
    return at < object->count && object->slots[at].field == field ? &object->slots[at] : NULL;
}

static void leave_oneof(struct typed_object *object, const struct typed_field *field)
{
    for (size_t i = 0; field->oneof >= 0 && i < object->count; i++) {
        const struct typed_field *other = object->slots[i].field;
        if (other == field || other->oneof != field->oneof)
            continue;
        object->count--;
        memmove(&object->slots[i], &object->slots[i + 1],
                (object->count - i) * sizeof(*object->slots));
        return;
    }
}

static struct typed_slot *slot_of(struct typed_pool *pool, struct typed_object *object,
                                  const struct typed_field *field)
{
    leave_oneof(object, field);
    size_t at = place_of(object, field->number);
    if (at < object->count && object->slots[at].field == field)
        return &object->slots[at];
    object->slots =
        grow(pool, object->slots, object->count, &object->allocated, sizeof(*object->slots));
    memmove(&object->slots[at + 1], &object->slots[at],
            (object->count - at) * sizeof(*object->slots));
    object->count++;
    object->slots[at] = (struct typed_slot){.field = field};
    return &object->slots[at];
}

void typed_put(struct typed_pool *pool, struct typed_object *object,
               const struct typed_field *field, union typed_value value)
{
    struct typed_slot *slot = slot_of(pool, object, field);
    if (!field->repeated)
        slot->count = 0;
    slot->values = grow(pool, slot->values, slot->count, &slot->allocated, sizeof(value));
    slot->values[slot->count++] = value;
}

/* ---- Maps: entries are kept as they come, sorted and thinned out when all are there ------------
 */

void typed_put_entry(struct typed_pool *pool, struct typed_object *object,
                     const struct typed_field *field, struct typed_object *entry)
{
    const struct typed_message *type = entry->type;
    for (uint32_t number = 1; number <= 2; number++) {
        const struct typed_field *part = typed_field_by_number(type, number);
        if (!typed_slot_find(entry, part))
            typed_put(pool, entry, part, typed_entry_value(pool, entry, number));
    }
    typed_put(pool, object, field, (union typed_value){.object = entry});
}

union typed_value typed_entry_value(struct typed_pool *pool, const struct typed_object *entry,
                                    uint32_t number)
{
    const struct typed_field *field = typed_field_by_number(entry->type, number);
    const struct typed_slot *slot = typed_slot_find(entry, field);
    if (slot)
        return slot->values[0];
    union typed_value value = {.bytes = {"", 0}};
    switch (field->type) {
    case TYPED_MESSAGE:
    case TYPED_GROUP:
        value.object = typed_object_new(pool, field->message);
        break;
    case TYPED_STRING:
    case TYPED_BYTES:
        break;
    case TYPED_FLOAT:
    case TYPED_DOUBLE:
        value.real = 0;
        break;
    case TYPED_ENUM:
        value.number =
            field->enumeration->count ? (uint64_t)(int64_t)field->enumeration->values[0].number : 0;
        break;
    default:
        value.number = 0;
        break;
    }
    return value;
}

static int compare_bytes(struct typed_bytes a, struct typed_bytes b)
{
    size_t least = a.size < b.size ? a.size : b.size;
    int order = least ? memcmp(a.data, b.data, least) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_keys(const struct typed_object *a, const struct typed_object *b)
{
    const struct typed_field *key = a->slots[0].field;
    union typed_value x = a->slots[0].values[0], y = b->slots[0].values[0];
    switch (key->type) {
    case TYPED_STRING:
        return compare_bytes(x.bytes, y.bytes);
    case TYPED_UINT32:
    case TYPED_UINT64:
    case TYPED_FIXED32:
    case TYPED_FIXED64:
    case TYPED_BOOL:
        return (x.number > y.number) - (x.number < y.number);
    default:
        return ((int64_t)x.number > (int64_t)y.number) - ((int64_t)x.number < (int64_t)y.number);
    }
}

struct numbered {
    struct typed_object *entry;
    size_t place; /* in the order they came */
};

static int compare_entries(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    int order = compare_keys(x->entry, y->entry);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* Of several with one key the last counts. */
static void sort_map(struct typed_slot *slot)
{
    struct numbered *all = xresize(NULL, slot->count * sizeof(*all));
    for (size_t i = 0; i < slot->count; i++)
        all[i] = (struct numbered){slot->values[i].object, i};
    qsort(all, slot->count, sizeof(*all), compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < slot->count; i++)
        if (i + 1 == slot->count || compare_keys(all[i].entry, all[i + 1].entry) != 0)
            slot->values[kept++].object = all[i].entry;
    slot->count = kept;
    xfree(all);
}

void typed_sort_maps(struct typed_object *object)
{
    for (size_t i = 0; i < object->count; i++) {
        struct typed_slot *slot = &object->slots[i];
        if (!slot->field->message)
            continue;
        if (slot->field->message->map_entry && slot->field->repeated)
            sort_map(slot);
        for (size_t k = 0; k < slot->count; k++)
            typed_sort_maps(slot->values[k].object);
    }
}

/* ---- The rest ----------------------------------------------------------------------------------
 */

void typed_put_unknown(struct typed_pool *pool, struct typed_object *object,
                       struct typed_unknown unknown)
{
    object->unknown = grow(pool, object->unknown, object->unknown_count, &object->unknown_allocated,
                           sizeof(unknown));
    object->unknown[object->unknown_count++] = unknown;
}

bool typed_present(const struct typed_slot *slot)
{
    const struct typed_field *field = slot->field;
    if (field->repeated)
        return slot->count > 0;
    if (field->presence || slot->count == 0)
        return slot->count > 0;
    union typed_value value = slot->values[0];
    if (field->type == TYPED_STRING || field->type == TYPED_BYTES)
        return value.bytes.size > 0;
    return value.number != 0; /* of a float its bits: -0 is something */
}
