/* What the parsers of text and JSON share. */
#ifndef CMD_TYPED_PARSE_H
#define CMD_TYPED_PARSE_H

#include "typed.h"

/* The field of that name; with `json` also by its JSON name. NULL: there is none. */
const struct typed_field *typed_field_by_name(const struct typed_message *type, const char *name,
                                              bool json);
/* The name of one that might have been meant, or NULL. */
const char *typed_near_field(const struct typed_message *type, const char *name, bool json);
const char *typed_near_value(const struct typed_enum *e, const char *name);

/* A whole number: decimal, or, if `c_style`, with 0x or 0 in front. False: it is none, or does not
 * fit into the type. */
bool typed_integer(const char *text, enum typed_type type, bool c_style, uint64_t *ret_number);

/* A float or double; infinities and NaN are the caller's. False: it is none. */
bool typed_float(const char *text, enum typed_type type, double *ret_value);

/* What the type takes, in words. */
const char *typed_expected(const struct typed_field *field);

#endif
