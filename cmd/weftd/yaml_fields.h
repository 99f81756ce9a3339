/* Typed reading of a YAML document by tables of fields. Private to weftd. */
#ifndef WEFTD_YAML_FIELDS_H
#define WEFTD_YAML_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#include "problems.h"

#define FIELDS_MAX 24 /* keys of one mapping */
#define PLACE_MAX 96

struct reader {
    yaml_document_t doc;
    struct problems *problems;
    char place[PLACE_MAX]; /* the setting being read, "peers[1].max_backoff" */
};

/* One key of a mapping: how its value is read and where it goes.
 *
 *     { "linger", read_duration, offsetof(struct config, linger_ms), .max = UINT32_MAX }      */
struct field {
    const char *key;
    void (*read)(struct reader *r, const struct field *field, const yaml_node_t *value, void *out);
    size_t offset;              /* of the target in the struct the mapping is read into */
    uint64_t min, max;          /* of numbers and sizes */
    const struct choice *names; /* read_choice; ends with a NULL name */
    const char *expected;       /* read_choice: the names as a sentence */
};

struct choice {
    const char *name;
    uint64_t value;
};

/* Read a mapping into `base`. `prefix` is its place ("" at the top). Unknown keys, keys given twice
 * and keys that are no scalars are problems; the rest is read all the same. */
void read_mapping(struct reader *r, const struct field *fields, size_t count,
                  const yaml_node_t *node, const char *prefix, void *base);

/* Each reads one value into `out`, which is the field's target: char * (replaced), uint64_t,
 * uint32_t ms, bool. A value that does not fit is a problem and leaves the target alone. */
void read_string(struct reader *r, const struct field *f, const yaml_node_t *v, void *out);
void read_url(struct reader *r, const struct field *f, const yaml_node_t *v, void *out);
void read_size(struct reader *r, const struct field *f, const yaml_node_t *v, void *out);
void read_count(struct reader *r, const struct field *f, const yaml_node_t *v, void *out);
void read_duration(struct reader *r, const struct field *f, const yaml_node_t *v, void *out);
void read_bool(struct reader *r, const struct field *f, const yaml_node_t *v, void *out);
void read_choice(struct reader *r, const struct field *f, const yaml_node_t *v, void *out);

/* Add "PLACE: found X, expected EXPECTED" at the value's place, X being the value as written or its
 * kind. */
void read_unexpected(struct reader *r, const yaml_node_t *value, const char *expected);

/* A URL as it stands in the file: NULL and a problem if the node is none. Borrowed. */
const char *read_url_text(struct reader *r, const yaml_node_t *value);

#endif
