/* One control message of each kind with every field set, and what it takes to be equal to one. */
#ifndef TESTS_PROTO_SAMPLES_H
#define TESTS_PROTO_SAMPLES_H

#include "proto/codec.h"

#define SAMPLE_TYPES 13
#define SAMPLE_DECLS 2
#define SAMPLE_RECORDS 2

extern const uint32_t types[SAMPLE_TYPES];
extern struct decl sample_decls[SAMPLE_DECLS];
extern struct book_record sample_records[SAMPLE_RECORDS];

/* Borrows from static memory. */
struct control sample(uint32_t type);

/* End the test if they differ. */
void same_control(const struct control *a, const struct control *b);
void same_records(const struct book_record *a, const struct book_record *b, size_t n);

#endif
