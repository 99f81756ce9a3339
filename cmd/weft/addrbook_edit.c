/* A book that is being changed.
 *
 * Of a file: locked, loaded, changed in memory, saved as a whole, and only then is told what was
 * done; where anything fails the file is as before. A live node is told of each change; what it did
 * is told even if a later one fails. */
#include <stdlib.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "addrbook.h"

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

int edit_open(struct edit *e, const struct job *job, bool make)
{
    *e = (struct edit){.job = job, .live = is_url(job->book)};
    int code = e->live ? open_live(e) : open_file(e, make);
    if (code != EXIT_OK)
        return code;
    e->told = open_memstream(&e->text, &e->size);
    if (!e->told)
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

void edit_tell(struct edit *e, struct deed deed, const char *peer, const char *format, ...)
{
    va_list args;
    fprintf(e->told, "%s ", e->job->dry_run ? deed.would : deed.done);
    text_safe(e->told, peer, strlen(peer));
    va_start(args, format);
    vfprintf(e->told, format, args);
    va_end(args);
    fputc('\n', e->told);
}

void edit_unchanged(struct edit *e, const char *peer, const char *why)
{
    fputs("unchanged ", e->told);
    text_safe(e->told, peer, strlen(peer));
    fprintf(e->told, ", %s\n", why);
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

int edit_finish(struct edit *e, int code)
{
    if (code == EXIT_OK && e->lock && e->dirty && !e->job->dry_run)
        code = save(e);
    if (e->told) {
        fclose(e->told);
        if (code == EXIT_OK || e->live)
            fputs(e->text, stdout);
        free(e->text); /* open_memstream's */
    }
    weft_addrbook_free(e->book);
    weft_addrbook_unlock(e->lock);
    if (e->live)
        session_close(&e->session);
    if (fflush(stdout) != 0)
        code = failure("cannot write the output");
    return code;
}
