/* What a recording holds, as weft play needs it before it begins and --info prints it. */
#ifndef CMD_WEFT_PLAY_H
#define CMD_WEFT_PLAY_H

#include "../common/recording.h"
#include "command.h"

struct played_route {
    char *name; /* in the file */
    uint64_t messages, bytes, lost, first_ns, last_ns;
    const char *as;      /* the name it is played under */
    weft_intent *intent; /* NULL of one without messages, and of a second one of that name */
    size_t same_as;      /* index of the one whose intent it uses, often its own */
};

struct contents {
    struct recording recording;
    const char *file;
    struct played_route *routes; /* sorted by name */
    size_t count;
    uint64_t messages, bytes, lost, duration_ns, largest;
    bool whole; /* its end was written */
    enum recording_result end;
};

/* Read a file once from its beginning to its end or the first damage, and stand at its first
 * record again. EXIT_OK, or EXIT_FAILED after an explanation; contents_fini either way. */
int contents_read(struct contents *contents, const char *file);

/* The route of that name, NULL if it has none. */
struct played_route *contents_find(const struct contents *contents, const char *name);

/* Say on standard error what is wrong with it, if anything. EXIT_FAILED if it is damaged. */
int contents_report(const struct contents *contents);

/* Print them to standard output. Returns an exit code. */
int contents_print(const struct contents *contents, bool json);

void contents_fini(struct contents *contents);

#endif
