/* One control message of each kind with every field set, and what it takes to be equal to one. */
#ifndef TESTS_PROTO_SAMPLES_H
#define TESTS_PROTO_SAMPLES_H

#include "proto/codec.h"

#define SAMPLE_TYPES 15
#define SAMPLE_DECLS 2
#define SAMPLE_RECORDS 2

extern const uint32_t types[SAMPLE_TYPES];
extern struct decl sample_decls[SAMPLE_DECLS];
extern struct book_record sample_records[SAMPLE_RECORDS];

/* Borrows from static memory. */
struct control sample(uint32_t type);

struct control sample_info(uint32_t type); /* QUERY, ANSWER */

/* End the test if they differ. */
void same_control(const struct control *a, const struct control *b);
void same_records(const struct book_record *a, const struct book_record *b, size_t n);
void same_query(const struct query_msg *a, const struct query_msg *b);
void same_answer(const struct answer_msg *a, const struct answer_msg *b);

#endif
