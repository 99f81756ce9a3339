/* Types from a FileDescriptorSet (google/protobuf/descriptor.proto), which is read with the reader
 * that reads messages. First all names with their fields, then, in typed_schema_link, what the
 * fields refer to. What comes in is not trusted: names resolve or it is refused, and numbers, types
 * and the shape of map entries are checked, so that nothing behind this has to. */
#include "typed.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../common/memory.h"
#include "../common/suggest.h"

#define NEST_MAX 32 /* types declared in one another */
#define NUMBER_MAX ((UINT32_C(1) << 29) - 1)

struct loader {
    struct typed_schema *schema;
    char *error;
    bool proto3;
};

static bool fail(struct loader *l, const char *name, const char *why)
{
    if (!*l->error)
        snprintf(l->error, TYPED_ERROR, "the descriptors are damaged: %s: %s", name, why);
    return false;
}

static struct typed_reader reader_of(struct typed_bytes bytes)
{
    const unsigned char *start = (const unsigned char *)(bytes.size ? bytes.data : "");
    return (struct typed_reader){start, start + bytes.size};
}

/* The next field. False at the end, and with *ok false where there is none. */
static bool next(struct typed_reader *r, struct typed_tag *tag, bool *ok)
{
    if (r->at == r->end)
        return false;
    *ok = typed_read(r, tag);
    return *ok;
}

/* The bytes of the last field of that number, empty where there is none. */
static struct typed_bytes find(struct typed_bytes in, uint32_t number)
{
    struct typed_reader r = reader_of(in);
    struct typed_tag tag;
    struct typed_bytes found = {"", 0};
    for (bool ok = true; next(&r, &tag, &ok);)
        if (tag.number == number && tag.wire == 2)
            found = tag.bytes;
    return found;
}

/* The same of a number; `missing` where there is none. */
static uint64_t find_number(struct typed_bytes in, uint32_t number, uint64_t missing)
{
    struct typed_reader r = reader_of(in);
    struct typed_tag tag;
    for (bool ok = true; next(&r, &tag, &ok);)
        if (tag.number == number && tag.wire == 0)
            missing = tag.value;
    return missing;
}

static const char *text_of(struct loader *l, struct typed_bytes bytes)
{
    return typed_copy(&l->schema->pool, bytes.data, bytes.size);
}

/* "scope.name", or the name where the scope is empty. */
static const char *full_name(struct loader *l, const char *scope, struct typed_bytes name)
{
    size_t before = strlen(scope);
    char *full = typed_alloc(&l->schema->pool, before + name.size + 2);
    memcpy(full, scope, before);
    if (before)
        full[before++] = '.';
    if (name.size)
        memcpy(full + before, name.data, name.size);
    return full;
}

/* ---- Enums -------------------------------------------------------------------------------------
 */

static bool load_enum(struct loader *l, const char *scope, struct typed_bytes in)
{
    struct typed_schema *s = l->schema;
    struct typed_enum *e = typed_alloc(&s->pool, sizeof(*e));
    struct typed_reader r = reader_of(in);
    struct typed_tag tag;
    bool ok = true;
    size_t count = 0;
    e->name = full_name(l, scope, find(in, 1));
    e->closed = !l->proto3;
    while (next(&r, &tag, &ok))
        count += tag.number == 2 && tag.wire == 2;
    e->values = typed_alloc(&s->pool, count * sizeof(*e->values));
    r = reader_of(in);
    while (ok && next(&r, &tag, &ok))
        if (tag.number == 2 && tag.wire == 2)
            e->values[e->count++] = (struct typed_enum_value){
                text_of(l, find(tag.bytes, 1)), (int32_t)(uint32_t)find_number(tag.bytes, 2, 0)};
    if (!ok || e->count == 0)
        return fail(l, e->name, "an enum without values");
    s->enums = xresize(s->enums, (s->enum_count + 1) * sizeof(*s->enums));
    s->enums[s->enum_count++] = e;
    return true;
}

/* ---- Fields ------------------------------------------------------------------------------------
 */

/* As protoc makes it where the descriptor has none: "some_name" becomes "someName". */
static const char *json_name(struct loader *l, const char *name)
{
    char *made = typed_copy(&l->schema->pool, name, strlen(name)), *to = made;
    for (bool up = false; *name; name++) {
        if (*name == '_') {
            up = true;
            continue;
        }
        *to++ = up ? (char)toupper((unsigned char)*name) : *name;
        up = false;
    }
    *to = '\0';
    return made;
}

static bool packable(enum typed_type type)
{
    return type != TYPED_STRING && type != TYPED_BYTES && type != TYPED_MESSAGE &&
           type != TYPED_GROUP;
}

static bool load_field(struct loader *l, const char *scope, struct typed_bytes in,
                       struct typed_field *ret_field)
{
    enum { LABEL_REQUIRED = 2, LABEL_REPEATED = 3 };
    uint64_t label = find_number(in, 4, 1), type = find_number(in, 5, 0);
    uint64_t number = find_number(in, 3, 0), oneof = find_number(in, 9, UINT64_MAX);
    struct typed_bytes json = find(in, 10), type_name = find(in, 6), options = find(in, 8);
    struct typed_field f = {.name = text_of(l, find(in, 1))};
    if (number < 1 || number > NUMBER_MAX || type < TYPED_DOUBLE || type > TYPED_SINT64)
        return fail(l, full_name(l, scope, find(in, 1)), "a field without number or type");
    if (type_name.size && type_name.data[0] == '.')
        type_name = (struct typed_bytes){type_name.data + 1, type_name.size - 1};
    f.number = (uint32_t)number;
    f.type = (enum typed_type)type;
    f.type_name = text_of(l, type_name);
    f.json_name = json.size ? text_of(l, json) : json_name(l, f.name);
    f.oneof = oneof < 100000 ? (int)oneof : -1;
    f.repeated = label == LABEL_REPEATED;
    f.required = label == LABEL_REQUIRED;
    f.packed = f.repeated && packable(f.type) && find_number(options, 2, l->proto3);
    f.presence = !l->proto3 || f.oneof >= 0 || f.type == TYPED_MESSAGE || f.type == TYPED_GROUP;
    f.utf8 = l->proto3 && f.type == TYPED_STRING;
    *ret_field = f;
    return true;
}

static void add_field(struct loader *l, struct typed_message *m, struct typed_field field)
{
    if (m->count == m->allocated) {
        size_t room = m->allocated ? 2 * m->allocated : 4;
        struct typed_field *grown = typed_alloc(&l->schema->pool, room * sizeof(*grown));
        if (m->count)
            memcpy(grown, m->fields, m->count * sizeof(*grown));
        m->fields = grown;
        m->allocated = room;
    }
    m->fields[m->count++] = field;
}

/* Extensions wait as fields of a message of their own until all messages are known: its name is
 * "[" and what they extend, which no type has. */
static bool load_extension(struct loader *l, const char *scope, struct typed_bytes in)
{
    struct typed_schema *s = l->schema;
    struct typed_bytes extendee = find(in, 2), name = find(in, 1);
    struct typed_field field;
    if (!load_field(l, scope, in, &field))
        return false;
    const char *full = full_name(l, scope, name);
    size_t size = strlen(full) + 3;
    char *bracketed = typed_alloc(&s->pool, size);
    snprintf(bracketed, size, "[%s]", full);
    field.name = field.json_name = bracketed;
    field.oneof = -1;
    field.presence = true;
    struct typed_message *m = typed_alloc(&s->pool, sizeof(*m));
    char *held = typed_alloc(&s->pool, extendee.size + 2);
    held[0] = '[';
    if (extendee.size > 1)
        memcpy(held + 1, extendee.data + 1, extendee.size - 1); /* behind its dot */
    m->name = held;
    add_field(l, m, field);
    s->messages = xresize(s->messages, (s->message_count + 1) * sizeof(*s->messages));
    s->messages[s->message_count++] = m;
    return true;
}

/* ---- Messages and files ------------------------------------------------------------------------
 */

static int compare_fields(const void *a, const void *b)
{
    const struct typed_field *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static bool load_message(struct loader *l, const char *scope, struct typed_bytes in,
                         unsigned depth);

/* A field of a DescriptorProto. */
static bool load_part(struct loader *l, struct typed_message *m, const struct typed_tag *tag,
                      unsigned depth)
{
    struct typed_field field;
    switch (tag->wire == 2 ? tag->number : 0) {
    case 2:
        if (!load_field(l, m->name, tag->bytes, &field))
            return false;
        add_field(l, m, field);
        return true;
    case 3:
        return load_message(l, m->name, tag->bytes, depth + 1);
    case 4:
        return load_enum(l, m->name, tag->bytes);
    case 6:
        return load_extension(l, m->name, tag->bytes);
    default:
        return true;
    }
}

static bool load_message(struct loader *l, const char *scope, struct typed_bytes in, unsigned depth)
{
    struct typed_schema *s = l->schema;
    struct typed_message *m = typed_alloc(&s->pool, sizeof(*m));
    struct typed_reader r = reader_of(in);
    struct typed_tag tag;
    bool ok = true;
    m->name = full_name(l, scope, find(in, 1));
    m->map_entry = find_number(find(in, 7), 7, 0) != 0;
    s->messages = xresize(s->messages, (s->message_count + 1) * sizeof(*s->messages));
    s->messages[s->message_count++] = m;
    if (depth > NEST_MAX)
        return fail(l, m->name, "too many types in one another");
    while (next(&r, &tag, &ok))
        if (!load_part(l, m, &tag, depth))
            return false;
    return ok ? true : fail(l, m->name, "cut short");
}

static bool load_file(struct loader *l, struct typed_bytes in)
{
    struct typed_bytes syntax = find(in, 12);
    const char *package = text_of(l, find(in, 2)), *file = text_of(l, find(in, 1));
    struct typed_reader r = reader_of(in);
    struct typed_tag tag;
    bool ok = true;
    l->proto3 = syntax.size == 6 && memcmp(syntax.data, "proto3", 6) == 0;
    if (syntax.size && !l->proto3 && !(syntax.size == 6 && memcmp(syntax.data, "proto2", 6) == 0)) {
        snprintf(l->error, TYPED_ERROR,
                 "%s is neither proto2 nor proto3; editions are not understood, write syntax = "
                 "\"proto3\"",
                 file);
        return false;
    }
    while (next(&r, &tag, &ok)) {
        if (tag.wire != 2)
            continue;
        if ((tag.number == 4 && !load_message(l, package, tag.bytes, 1)) ||
            (tag.number == 5 && !load_enum(l, package, tag.bytes)) ||
            (tag.number == 7 && !load_extension(l, package, tag.bytes)))
            return false;
    }
    return ok ? true : fail(l, file, "cut short");
}

bool typed_schema_load(struct typed_schema *schema, const void *data, size_t size,
                       char error[TYPED_ERROR])
{
    struct loader l = {.schema = schema, .error = error};
    struct typed_reader r = reader_of((struct typed_bytes){data, size});
    struct typed_tag tag;
    bool ok = true;
    *error = '\0';
    while (next(&r, &tag, &ok))
        if (tag.number == 1 && tag.wire == 2 && !load_file(&l, tag.bytes))
            return false;
    return ok ? true : fail(&l, "the set of files", "cut short");
}

/* ---- Linking -----------------------------------------------------------------------------------
 */

static int compare_messages(const void *a, const void *b)
{
    return strcmp((*(struct typed_message *const *)a)->name,
                  (*(struct typed_message *const *)b)->name);
}

static int compare_enums(const void *a, const void *b)
{
    return strcmp((*(struct typed_enum *const *)a)->name, (*(struct typed_enum *const *)b)->name);
}

static struct typed_message *find_message(const struct typed_schema *s, const char *name)
{
    struct typed_message key = {.name = name}, *wanted = &key;
    struct typed_message **found =
        s->message_count
            ? bsearch(&wanted, s->messages, s->message_count, sizeof(wanted), compare_messages)
            : NULL;
    return found ? *found : NULL;
}

static const struct typed_enum *find_enum(const struct typed_schema *s, const char *name)
{
    struct typed_enum key = {.name = name}, *wanted = &key;
    struct typed_enum **found =
        s->enum_count ? bsearch(&wanted, s->enums, s->enum_count, sizeof(wanted), compare_enums)
                      : NULL;
    return found ? *found : NULL;
}

/* A file that several of the given ones import comes with each: one of each name is enough. */
static void leave_out_twins(struct typed_schema *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->message_count; i++)
        if (!kept || s->messages[i]->name[0] == '[' ||
            strcmp(s->messages[kept - 1]->name, s->messages[i]->name) != 0)
            s->messages[kept++] = s->messages[i];
    s->message_count = kept;
    kept = 0;
    for (size_t i = 0; i < s->enum_count; i++)
        if (!kept || strcmp(s->enums[kept - 1]->name, s->enums[i]->name) != 0)
            s->enums[kept++] = s->enums[i];
    s->enum_count = kept;
}

/* To the messages that they extend; their own, whose names no route has, stay behind. */
static void place_extensions(struct loader *l)
{
    struct typed_schema *s = l->schema;
    for (size_t i = 0; i < s->message_count; i++) {
        const struct typed_message *held = s->messages[i];
        struct typed_message *extended =
            held->name[0] == '[' ? find_message(s, held->name + 1) : NULL;
        bool there = false;
        for (size_t k = 0; extended && k < extended->count; k++)
            there = there || strcmp(extended->fields[k].name, held->fields[0].name) == 0;
        if (extended && !there)
            add_field(l, extended, held->fields[0]);
    }
}

static bool map_entry_sound(const struct typed_message *m)
{
    if (m->count != 2 || m->fields[0].number != 1 || m->fields[1].number != 2)
        return false;
    enum typed_type key = m->fields[0].type;
    return !m->fields[0].repeated && !m->fields[1].repeated && m->fields[0].oneof < 0 &&
           m->fields[1].oneof < 0 && key != TYPED_DOUBLE && key != TYPED_FLOAT &&
           key != TYPED_GROUP && key != TYPED_MESSAGE && key != TYPED_BYTES && key != TYPED_ENUM;
}

static bool link_field(struct loader *l, const struct typed_message *m, struct typed_field *f)
{
    struct typed_schema *s = l->schema;
    if (f->type == TYPED_ENUM && !(f->enumeration = find_enum(s, f->type_name)))
        return fail(l, f->name, "its enum is not there");
    if (f->type != TYPED_MESSAGE && f->type != TYPED_GROUP)
        return true;
    const struct typed_message *type = find_message(s, f->type_name);
    if (!type || type->name[0] == '[')
        return fail(l, f->name, "its message is not there");
    if (type->map_entry && (!f->repeated || f->type != TYPED_MESSAGE || m->map_entry))
        return fail(l, f->name, "a map entry where none can be");
    f->message = type;
    if (f->type == TYPED_GROUP && f->name[0] != '[') { /* text has the type's name */
        const char *dot = strrchr(type->name, '.');
        f->name = dot ? dot + 1 : type->name;
    }
    return true;
}

static bool link_message(struct loader *l, struct typed_message *m)
{
    if (m->count)
        qsort(m->fields, m->count, sizeof(*m->fields), compare_fields);
    for (size_t i = 0; i < m->count; i++) {
        if (i && m->fields[i].number == m->fields[i - 1].number)
            return fail(l, m->name, "two fields have one number");
        if (!link_field(l, m, &m->fields[i]))
            return false;
    }
    if (m->map_entry && !map_entry_sound(m))
        return fail(l, m->name, "a map entry without key and value");
    return true;
}

bool typed_schema_link(struct typed_schema *schema, char error[TYPED_ERROR])
{
    struct loader l = {.schema = schema, .error = error};
    *error = '\0';
    if (schema->message_count)
        qsort(schema->messages, schema->message_count, sizeof(*schema->messages), compare_messages);
    if (schema->enum_count)
        qsort(schema->enums, schema->enum_count, sizeof(*schema->enums), compare_enums);
    leave_out_twins(schema);
    place_extensions(&l);
    for (size_t i = 0; i < schema->message_count; i++)
        if (!link_message(&l, schema->messages[i]))
            return false;
    return true;
}

void typed_schema_fini(struct typed_schema *schema)
{
    xfree(schema->messages);
    xfree(schema->enums);
    typed_pool_empty(&schema->pool);
    *schema = (struct typed_schema){0};
}

/* ---- Looking up --------------------------------------------------------------------------------
 */

const struct typed_message *typed_find(const struct typed_schema *schema, const char *name)
{
    const struct typed_message *m = name[0] == '[' ? NULL : find_message(schema, name);
    return m && !m->map_entry ? m : NULL;
}

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

const char *typed_near(const struct typed_schema *schema, const char *name)
{
    size_t count = 0;
    const char *near = NULL;
    const char **names = xresize(NULL, (schema->message_count + 1) * sizeof(*names));
    for (size_t i = 0; i < schema->message_count; i++) {
        const struct typed_message *m = schema->messages[i];
        if (m->map_entry || m->name[0] == '[')
            continue;
        names[count++] = m->name;
        if (strcmp(last_part(m->name), last_part(name)) == 0) /* of another package */
            near = m->name;
    }
    const char *spelled = suggest(name, names, count, sizeof(*names));
    xfree(names);
    return spelled ? spelled : near;
}

const struct typed_field *typed_field_by_number(const struct typed_message *type, uint32_t number)
{
    struct typed_field key = {.number = number};
    return type->count ? bsearch(&key, type->fields, type->count, sizeof(key), compare_fields)
                       : NULL;
}

const struct typed_enum_value *typed_value_by_number(const struct typed_enum *e, int32_t number)
{
    for (size_t i = 0; i < e->count; i++)
        if (e->values[i].number == number)
            return &e->values[i];
    return NULL;
}

const struct typed_enum_value *typed_value_by_name(const struct typed_enum *e, const char *name)
{
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->values[i].name, name) == 0)
            return &e->values[i];
    return NULL;
}
