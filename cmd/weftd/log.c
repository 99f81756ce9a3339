/* A record becomes a line on standard error, or an entry of the journal.
 *
 * Happy path: what the library logs arrives with the event it tells of, so that one thing is one
 * record with its fields. Text is for people, and what peers have a hand in is escaped; JSON and
 * the journal have the fields apart, for programs.
 *
 * Failure modes. Standard error that is gone loses records; one that is full and that nobody reads
 * stops the daemon, as it does any program: lead it to a file or the journal. The library of the
 * journal says nothing where there is no journal, so that is looked at once, before. */
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* the line of code that logs tells nobody anything */
#include <systemd/sd-journal.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/units.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS 7

static const char *const levels[] = {"", "error", "warn", "info", "debug"};

const char *log_event_name(enum weft_event_type type)
{
    static const char *const names[] = {
        [WEFT_EVENT_PEER_UP] = "peer_up",
        [WEFT_EVENT_PEER_DOWN] = "peer_down",
        [WEFT_EVENT_REFUSED] = "refused",
        [WEFT_EVENT_DIAL_FAILED] = "dial_failed",
        [WEFT_EVENT_MATCH] = "match",
        [WEFT_EVENT_UNMATCH] = "unmatch",
        [WEFT_EVENT_ROUTE_REFUSED] = "route_refused",
        [WEFT_EVENT_ADDRBOOK] = "addrbook",
        [WEFT_EVENT_WARNING] = "warning",
    };
    return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
}

/* $JOURNAL_STREAM holds device and inode of the stream to the journal that we were started with;
 * standard error may have been led elsewhere since. */
static bool leads_to_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat st;
    if (!stream || fstat(fd, &st) < 0)
        return false;
    snprintf(ours, sizeof(ours), "%" PRIuMAX ":%" PRIuMAX, (uintmax_t)st.st_dev,
             (uintmax_t)st.st_ino);
    return strcmp(stream, ours) == 0;
}

enum log_format log_open(enum log_format wanted)
{
    if (wanted == LOG_AUTO)
        wanted = leads_to_journal(STDERR_FILENO) ? LOG_JOURNAL : LOG_TEXT;
    if (wanted != LOG_JOURNAL || access(JOURNAL_SOCKET, W_OK) == 0)
        return wanted;
    log_write(LOG_TEXT, &(struct log_record){.level = WEFT_LOG_WARN,
                                             .event = "log",
                                             .text = "log: there is no journal at " JOURNAL_SOCKET
                                                     "; logging as text"});
    return LOG_TEXT;
}

static const char *time_now(char stamp[TIME_TEXT])
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return time_format((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, 3, stamp);
}

static void write_text(const struct log_record *r)
{
    char stamp[TIME_TEXT];
    char *safe = text_safe_copy(r->text);
    fprintf(stderr, "%s %-5s %s\n", time_now(stamp), levels[r->level], safe);
    xfree(safe);
}

/* Text that is no UTF-8 goes in as the log for people would show it. */
static void set_string(json_t *object, const char *key, const char *text)
{
    if (!text)
        return;
    char *safe = utf8_valid(text, strlen(text)) ? NULL : text_safe_copy(text);
    json_object_set_new(object, key, json_string(safe ? safe : text));
    xfree(safe);
}

static void write_json(const struct log_record *r)
{
    char stamp[TIME_TEXT];
    json_t *object = json_object();
    set_string(object, "time", time_now(stamp));
    set_string(object, "level", levels[r->level]);
    set_string(object, "event", r->event);
    set_string(object, "peer", r->peer);
    set_string(object, "route", r->route);
    if (r->error)
        set_string(object, "error", weft_err_name(r->error));
    set_string(object, "text", r->text);
    char *line = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (line)
        fprintf(stderr, "%s\n", line);
    free(line);
    json_decref(object);
}

/* "NAME=value" into the next of the fields, if there is a value. */
static void add_field(struct iovec fields[FIELDS], int *count, const char *name, const char *value)
{
    if (!value)
        return;
    size_t size = strlen(name) + strlen(value) + 2;
    char *field = xresize(NULL, size);
    snprintf(field, size, "%s=%s", name, value);
    fields[(*count)++] = (struct iovec){field, size - 1};
}

static void write_journal(const struct log_record *r)
{
    static const char *const priorities[] = {"", "3", "4", "6", "7"}; /* as syslog's */
    struct iovec fields[FIELDS];
    int count = 0;
    char *safe = text_safe_copy(r->text);
    add_field(fields, &count, "MESSAGE", safe);
    add_field(fields, &count, "PRIORITY", priorities[r->level]);
    add_field(fields, &count, "SYSLOG_IDENTIFIER", "weftd");
    add_field(fields, &count, "WEFT_EVENT", r->event);
    add_field(fields, &count, "WEFT_PEER", r->peer);
    add_field(fields, &count, "WEFT_ROUTE", r->route);
    add_field(fields, &count, "WEFT_ERROR", r->error ? weft_err_name(r->error) : NULL);
    if (sd_journal_sendv(fields, count) < 0)
        write_text(r);
    for (int i = 0; i < count; i++)
        xfree(fields[i].iov_base);
    xfree(safe);
}

void log_write(enum log_format format, const struct log_record *record)
{
    if (format == LOG_JSON)
        write_json(record);
    else if (format == LOG_JOURNAL)
        write_journal(record);
    else
        write_text(record);
}
