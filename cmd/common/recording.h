/* A recording: messages in a file with their timing, docs/recording.md. */
#ifndef CMD_RECORDING_H
#define CMD_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RECORDING_HEADER 24                                  /* bytes */
#define RECORDING_DATA_MAX ((size_t)64 * 1024 * 1024)        /* of one message */
#define RECORDING_TEXT_MAX 65535                             /* of a route or a sender */
#define RECORDING_BODY_MAX (RECORDING_DATA_MAX + 160 * 1024) /* of one record */

enum record_kind { RECORD_MESSAGE = 1, RECORD_GAP = 2, RECORD_END = 3 };

struct record {
    enum record_kind kind;
    uint64_t at_ns;     /* since the recording began, by the monotonic clock */
    uint64_t time_ns;   /* MESSAGE: when it was sent, since the epoch by the publisher's clock */
    uint64_t count;     /* GAP: messages lost; END: messages in the file */
    uint64_t lost;      /* END: the sum of all gaps */
    const char *route;  /* MESSAGE: as published; GAP: the route recorded; else "" */
    const char *sender; /* MESSAGE: FQN of the publisher; else "" */
    const void *data;   /* MESSAGE */
    size_t size;
};

/* ---- Writing -----------------------------------------------------------------------------------
 */

/* Begin a file. False: it cannot be written, see errno. */
bool recording_begin(FILE *out, uint64_t started_ns);

/* Append one record. *size grows by its bytes. False: see errno; EMSGSIZE: a route, sender or
 * message over the limits above, nothing was written. */
bool recording_write(FILE *out, const struct record *record, uint64_t *size);

/* ---- Reading -----------------------------------------------------------------------------------
 */

enum recording_result {
    RECORDING_OK,
    RECORDING_EOF,     /* between two records */
    RECORDING_CUT,     /* within a record: what is there is sound */
    RECORDING_DAMAGED, /* a record that is not what was written */
    RECORDING_FOREIGN, /* begin: not a recording */
    RECORDING_NEWER,   /* begin: of a later version */
    RECORDING_FAILED,  /* see errno */
};

struct recording {
    FILE *in; /* the caller's */
    uint64_t started_ns;
    uint64_t offset; /* of the first record that was not read */
    unsigned char *body;
    size_t allocated;
};

/* Read the beginning of a file, at its start. Free with recording_fini whatever comes of it. */
enum recording_result recording_open(struct recording *recording, FILE *in);

/* The next record, valid until the next call. Kinds that are not known are skipped. */
enum recording_result recording_next(struct recording *recording, struct record *ret_record);

/* Go back to the first record. */
enum recording_result recording_rewind(struct recording *recording);

void recording_fini(struct recording *recording);

#endif
