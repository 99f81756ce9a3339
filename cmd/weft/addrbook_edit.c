/* A book that is being changed.
 *
 * Of a file: locked, loaded, changed in memory, saved as a whole, and only then is told what was
 * done; where anything fails the file is as before. A live node is told of each change; what it did
 * is told even if a later one fails: a line each, or one JSON object. */
#include <stdlib.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/report_json.h"
#include "addrbook.h"
#include "inspect.h"

#define REST_TEXT 4608 /* of a line behind the peer, which may name a file */

/* ---- Opening ----------------------------------------------------------------------------------
 */

static int load_locked(struct edit *e, bool make)
{
    int rc = weft_addrbook_load(e->job->book, &e->book);
    if (rc == WEFT_ENOTFOUND && make) {
        rc = weft_addrbook_new(&e->book);
        e->dirty = rc == 0;
    }
    return rc == 0 ? EXIT_OK : book_unreadable(e->job->book, rc);
}

static int open_file(struct edit *e, bool make)
{
    char *text = NULL;
    int rc = weft_addrbook_lock(e->job->book, &e->lock, &text);
    if (rc < 0) {
        failure("%s", text ? text : weft_strerror(rc));
        weft_free(text);
        return EXIT_FAILED;
    }
    int code = load_locked(e, make);
    if (code != EXIT_OK)
        weft_addrbook_unlock(e->lock);
    return code;
}

static int open_live(struct edit *e)
{
    weft_report *report;
    int code = live_open(e->job, e->job->book, &e->session);
    if (code != EXIT_OK)
        return code;
    code = live_report(e->job, &e->session, WEFT_PART_BOOK, &e->book, &report);
    if (code == EXIT_OK)
        weft_report_free(report);
    else
        session_close(&e->session);
    return code;
}

static json_t *empty_report(const struct edit *e)
{
    json_t *book = text_json(e->job->book);
    return json_pack("{s:o, s:o, s:b, s:[]}", "file", e->live ? json_null() : book, "url",
                     e->live ? book : json_null(), "dry_run", e->job->dry_run, "changes");
}

int edit_open(struct edit *e, const struct job *job, bool make)
{
    *e = (struct edit){.job = job, .live = is_url(job->book)};
    int code = e->live ? open_live(e) : open_file(e, make);
    if (code != EXIT_OK)
        return code;
    e->told = open_memstream(&e->text, &e->size);
    e->report = job->has_form ? empty_report(e) : NULL;
    if (!e->told || (job->has_form && !e->report))
        return edit_finish(e, failure("out of memory"));
    return EXIT_OK;
}

/* ---- Changing ---------------------------------------------------------------------------------
 */

bool edit_in_memory(struct edit *e)
{
    e->dirty = e->dirty || !e->live;
    return !e->live;
}

int edit_at_node(struct edit *e, const char *verb, const char *const *args)
{
    if (!e->live || e->job->dry_run)
        return EXIT_OK;
    return live_command(e->job, &e->session, verb, args);
}

int edit_put(struct edit *e, const weft_addrbook_entry *entry)
{
    char why[512];
    int rc = weft_addrbook_put(e->book, entry);
    if (rc >= 0)
        return EXIT_OK;
    char *peer = text_safe_copy(entry->peer);
    weft_url_explain(entry->peer, why, sizeof(why));
    failure("%s: %s", peer,
            rc == WEFT_EURL     ? why
            : rc == WEFT_EINVAL ? "not an address that can be dialled; give host and port, or a "
                                  "unix socket"
                                : weft_strerror(rc));
    xfree(peer);
    return EXIT_FAILED;
}

/* ---- Telling ----------------------------------------------------------------------------------
 */

static void tell_json(struct edit *e, const char *kind, const char *deed, const char *peer,
                      const char *rest)
{
    FILE *out;
    char *text = NULL;
    size_t size;
    out = open_memstream(&text, &size);
    if (out)
        fprintf(out, "%s %s%s", deed, peer, rest);
    json_t *change = out && fclose(out) == 0 ? json_pack("{s:s, s:o, s:o}", "kind", kind, "peer",
                                                         text_json(peer), "text", text_json(text))
                                             : NULL;
    free(text); /* open_memstream's */
    e->lost |= json_array_append_new(json_object_get(e->report, "changes"), change) != 0;
}

static void tell(struct edit *e, const char *kind, const char *deed, const char *peer,
                 const char *rest)
{
    if (e->report) {
        tell_json(e, kind, deed, peer, rest);
        return;
    }
    fprintf(e->told, "%s ", deed);
    text_safe(e->told, peer, strlen(peer));
    fprintf(e->told, "%s\n", rest);
}

void edit_tell(struct edit *e, struct deed deed, const char *peer, const char *format, ...)
{
    char rest[REST_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(rest, sizeof(rest), format, args);
    va_end(args);
    tell(e, deed.done, e->job->dry_run ? deed.would : deed.done, peer, rest);
}

void edit_unchanged(struct edit *e, const char *peer, const char *why)
{
    char rest[REST_TEXT];
    snprintf(rest, sizeof(rest), ", %s", why);
    tell(e, "unchanged", "unchanged", peer, rest);
}

void edit_detail(struct edit *e, const char *name, json_t *value)
{
    const json_t *changes = json_object_get(e->report, "changes");
    json_t *last = json_array_get(changes, json_array_size(changes) - 1);
    if (e->report)
        e->lost |= json_object_set_new(last, name, value) != 0;
    else
        json_decref(value);
}

void edit_tally(struct edit *e, const char *from, size_t added, size_t updated, size_t kept)
{
    if (!e->report) {
        fprintf(e->told, "%s: %zu added, %zu updated, %zu as they were\n", from, added, updated,
                kept);
        return;
    }
    json_t *merged = json_object_get(e->report, "merged");
    if (!merged && json_object_set_new(e->report, "merged", merged = json_array()) != 0)
        merged = NULL;
    json_t *tally =
        json_pack("{s:o, s:I, s:I, s:I}", "from", text_json(from), "added", (json_int_t)added,
                  "updated", (json_int_t)updated, "unchanged", (json_int_t)kept);
    e->lost |= json_array_append_new(merged, tally) != 0;
}

/* ---- Finishing --------------------------------------------------------------------------------
 */

static int save(struct edit *e)
{
    int rc = weft_addrbook_save(e->lock, e->book);
    if (rc == 0)
        return EXIT_OK;
    return failure("%s could not be saved, and is as it was: %s%s", e->job->book, weft_strerror(rc),
                   rc == WEFT_EACCESS ? "; do it as the user whose file it is" : "");
}

/* What was done, also where something failed later. */
static int print_told(struct edit *e, int code)
{
    if (!e->report) {
        fputs(e->text ? e->text : "", stdout);
        return code;
    }
    if (code != EXIT_OK && json_array_size(json_object_get(e->report, "changes")) == 0)
        return code;
    int printed = print_json(e->lost ? NULL : json_incref(e->report), false);
    return code == EXIT_OK ? printed : code;
}

int edit_finish(struct edit *e, int code)
{
    if (code == EXIT_OK && e->lock && e->dirty && !e->job->dry_run)
        code = save(e);
    if (e->told)
        fclose(e->told);
    if (code == EXIT_OK || e->live)
        code = print_told(e, code);
    free(e->text); /* open_memstream's */
    json_decref(e->report);
    weft_addrbook_free(e->book);
    weft_addrbook_unlock(e->lock);
    if (e->live)
        session_close(&e->session);
    if (fflush(stdout) != 0)
        code = failure("cannot write the output");
    return code;
}
