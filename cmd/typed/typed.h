/* Messages of types that are known at run time only: the wire format, protobuf text and JSON, one
 * into the other, by descriptors. No I/O but the FILE that a printer is given.
 *
 *     descriptors ──typed_schema_load──▶ struct typed_schema
 *     wire ──typed_decode──▶ struct typed_object ──typed_print_text, typed_print_json──▶ FILE
 *     text ──typed_parse_text─┐
 *     JSON ──typed_parse_json─┴─▶ struct typed_object ──typed_encode──▶ wire
 *
 * Objects and what they point at are in a pool, which is emptied as a whole. */
#ifndef CMD_TYPED_TYPED_H
#define CMD_TYPED_TYPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TYPED_DEPTH 100 /* messages in one another, at most */
#define TYPED_ERROR 512 /* bytes of a sentence on what was wrong */

/* ---- Memory ------------------------------------------------------------------------------------
 */

struct typed_pool {
    struct typed_block *blocks; /* the newest first */
};

void *typed_alloc(struct typed_pool *pool, size_t size);                  /* zeroed */
char *typed_copy(struct typed_pool *pool, const void *data, size_t size); /* NUL behind it */
void typed_pool_empty(struct typed_pool *pool);

/* ---- Types -------------------------------------------------------------------------------------
 */

/* As in google/protobuf/descriptor.proto. */
enum typed_type {
    TYPED_DOUBLE = 1,
    TYPED_FLOAT,
    TYPED_INT64,
    TYPED_UINT64,
    TYPED_INT32,
    TYPED_FIXED64,
    TYPED_FIXED32,
    TYPED_BOOL,
    TYPED_STRING,
    TYPED_GROUP,
    TYPED_MESSAGE,
    TYPED_BYTES,
    TYPED_UINT32,
    TYPED_ENUM,
    TYPED_SFIXED32,
    TYPED_SFIXED64,
    TYPED_SINT32,
    TYPED_SINT64,
};

struct typed_enum_value {
    const char *name;
    int32_t number;
};

struct typed_enum {
    const char *name; /* with its package */
    struct typed_enum_value *values;
    size_t count;
    bool closed; /* proto2: a number without a name is an unknown field */
};

struct typed_field {
    const char *name; /* of an extension "[package.name]", of a group its type's */
    const char *json_name;
    const char *type_name; /* of message and enum, with its package */
    uint32_t number;
    enum typed_type type;
    int oneof; /* index within the message; -1: in none */
    bool repeated, required, packed;
    bool presence;                       /* absent and default are two things */
    bool utf8;                           /* a string that must be */
    const struct typed_message *message; /* of message and group */
    const struct typed_enum *enumeration;
};

struct typed_message {
    const char *name;           /* with its package */
    struct typed_field *fields; /* sorted by number */
    size_t count, allocated;
    bool map_entry; /* fields 1 and 2 are key and value */
};

struct typed_schema {
    struct typed_pool pool;
    struct typed_message **messages; /* sorted by name */
    struct typed_enum **enums;
    size_t message_count, enum_count;
};

/* Add the types of a FileDescriptorSet. Call typed_schema_link when all are in. False: *error says
 * why. typed_schema_fini either way. */
bool typed_schema_load(struct typed_schema *schema, const void *data, size_t size,
                       char error[TYPED_ERROR]);
bool typed_schema_link(struct typed_schema *schema, char error[TYPED_ERROR]);
void typed_schema_fini(struct typed_schema *schema);

/* The message of that full name, or NULL. */
const struct typed_message *typed_find(const struct typed_schema *schema, const char *name);
/* The name of one that might have been meant, or NULL. */
const char *typed_near(const struct typed_schema *schema, const char *name);

const struct typed_field *typed_field_by_number(const struct typed_message *type, uint32_t number);
const struct typed_enum_value *typed_value_by_number(const struct typed_enum *e, int32_t number);
const struct typed_enum_value *typed_value_by_name(const struct typed_enum *e, const char *name);

/* ---- Values ------------------------------------------------------------------------------------
 */

struct typed_bytes {
    const char *data;
    size_t size;
};

union typed_value {
    uint64_t number; /* integers, bool, enum; those with a sign extended to 64 bits */
    double real;     /* float, double */
    struct typed_bytes bytes;
    struct typed_object *object;
};

/* A field that is there. */
struct typed_slot {
    const struct typed_field *field;
    union typed_value *values; /* of one that is not repeated exactly 1 */
    size_t count, allocated;
};

/* A field that the type does not have. */
struct typed_unknown {
    uint32_t number;
    unsigned wire;            /* 0, 1, 2, 3 (a group) or 5 */
    uint64_t value;           /* 0, 1, 5 */
    struct typed_bytes bytes; /* 2, 3 */
};

struct typed_object {
    const struct typed_message *type;
    struct typed_slot *slots; /* sorted by number */
    size_t count, allocated;
    struct typed_unknown *unknown; /* as they came */
    size_t unknown_count, unknown_allocated;
};

struct typed_object *typed_object_new(struct typed_pool *pool, const struct typed_message *type);
/* The slot of a field, NULL if it is not there. */
struct typed_slot *typed_slot_find(const struct typed_object *object,
                                   const struct typed_field *field);
/* Append to a repeated field, or set another. Setting a member of a oneof takes the others out. */
void typed_put(struct typed_pool *pool, struct typed_object *object,
               const struct typed_field *field, union typed_value value);
/* Add an entry to a map, completed with defaults; typed_sort_maps leaves the last of each key. */
void typed_put_entry(struct typed_pool *pool, struct typed_object *object,
                     const struct typed_field *field, struct typed_object *entry);
void typed_put_unknown(struct typed_pool *pool, struct typed_object *object,
                       struct typed_unknown unknown);
/* The value of an entry's key (1) or value (2), the default where it is not there. */
union typed_value typed_entry_value(struct typed_pool *pool, const struct typed_object *entry,
                                    uint32_t number);
/* Is it to be printed and sent: not the default of a field without presence? */
bool typed_present(const struct typed_slot *slot);
/* Sort the entries of all maps by key, in the whole object: what a decoder or parser made is so. */
void typed_sort_maps(struct typed_object *object);

/* ---- The wire format ---------------------------------------------------------------------------
 */

struct typed_reader {
    const unsigned char *at, *end;
};

struct typed_tag {
    uint32_t number;
    unsigned wire;
    uint64_t value;           /* wire 0, 1, 5 */
    struct typed_bytes bytes; /* wire 2, and 3: what the group holds */
};

/* The next field, with groups read to their end. False: the bytes are none. */
bool typed_read(struct typed_reader *reader, struct typed_tag *ret_tag);

/* NULL: *error says where and why. What is decoded points into `data`. */
struct typed_object *typed_decode(struct typed_pool *pool, const struct typed_message *type,
                                  const void *data, size_t size, char error[TYPED_ERROR]);

struct typed_buffer {
    char *data;
    size_t size, allocated;
};

/* Write to an empty buffer, free data with xfree. False: a required field is not there. */
bool typed_encode(const struct typed_object *object, struct typed_buffer *ret_buffer,
                  char error[TYPED_ERROR]);

/* ---- Text and JSON -----------------------------------------------------------------------------
 */

/* On one line, as protobuf's short form. */
void typed_print_text(FILE *out, const struct typed_object *object);
/* proto3's JSON; without fields that are unknown. */
void typed_print_json(FILE *out, const struct typed_object *object);

/* NULL: *error says where and why. */
struct typed_object *typed_parse_text(struct typed_pool *pool, const struct typed_message *type,
                                      const char *text, size_t size, char error[TYPED_ERROR]);
struct typed_object *typed_parse_json(struct typed_pool *pool, const struct typed_message *type,
                                      const char *text, size_t size, char error[TYPED_ERROR]);

/* The shortest decimal that reads back as the same float or double, "inf", "-inf" or "nan". */
#define TYPED_REAL 40
const char *typed_real(double value, bool single, char buf[TYPED_REAL]);

#endif
