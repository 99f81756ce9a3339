/* What a measurement found: names and values in the order they were added, printed as one line of
 * JSON or as a short text. */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RESULT_FIELDS 32
#define RESULT_TEXT 512

enum result_kind { RESULT_COUNT, RESULT_NUMBER, RESULT_WORDS, RESULT_UNTOLD };

struct result {
    size_t count; /* at most RESULT_FIELDS; more is a mistake of ours */
    struct result_field {
        const char *name; /* a literal */
        enum result_kind kind;
        uint64_t n;
        double number;
        char words[RESULT_TEXT];
    } fields[RESULT_FIELDS];
};

/* Begin with the keys all measurements have: bench, system, version. */
void result_begin(struct result *r, const char *bench, const char *system, const char *version);

void result_count(struct result *r, const char *name, uint64_t value);
void result_number(struct result *r, const char *name, double value);
void result_words(struct result *r, const char *name, const char *value);

/* There is no such figure here: JSON leaves it out, a text says why. Not the first of a result. */
void result_untold(struct result *r, const char *name, const char *why);

/* One object on one line, or "name value" lines. Returns false if `out` did not take it. */
bool result_print(const struct result *r, FILE *out, bool json);

#endif
