/* The daemon's log: a record a line, as text, as JSON, or as an entry of the journal. */
#ifndef WEFTD_LOG_H
#define WEFTD_LOG_H

#include <weft/weft.h>

enum log_format {
    LOG_AUTO = 0, /* the journal where standard error leads there, else text */
    LOG_TEXT,     /* TIME LEVEL TEXT */
    LOG_JSON,     /* an object a line: time, level, event, peer, route, error, text */
    LOG_JOURNAL,  /* MESSAGE, PRIORITY, WEFT_EVENT, WEFT_PEER, WEFT_ROUTE, WEFT_ERROR */
};

struct log_record {
    enum weft_log_level level;
    const char *event; /* what it tells of, "peer_up"; NULL: nothing in particular */
    const char *peer;  /* or NULL, as route */
    const char *route;
    int error;        /* WEFT_E… or 0 */
    const char *text; /* a sentence */
};

/* The format to write, AUTO resolved. The journal is left for text, with a warning, where there is
 * none. */
enum log_format log_open(enum log_format wanted);

/* Write a record to standard error or the journal. Text from peers is escaped. */
void log_write(enum log_format format, const struct log_record *record);

/* The name of an event, "peer_up". */
const char *log_event_name(enum weft_event_type type);

#endif
