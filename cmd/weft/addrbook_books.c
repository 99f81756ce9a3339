/* Where books come from: files, and live nodes, asked over a link that serves for nothing else. */
#include <string.h>
#include <sys/stat.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "addrbook.h"

bool is_url(const char *book)
{
    return strstr(book, "://") != NULL;
}

/* ---- Live nodes --------------------------------------------------------------------------------
 */

int live_open(const struct job *job, const char *url, struct session *s)
{
    char why[512];
    weft_options o;
    *s = (struct session){.quiet = true};
    if (weft_url_check(url, NULL) < 0) {
        weft_url_explain(url, why, sizeof(why));
        return failure("%s", why);
    }
    const char *const peers[] = {url, NULL};
    session_options(&job->link, &o);
    o.peers = peers;
    o.role = WEFT_ROLE_LEAF;
    o.linger_ms = 1000;
    int code = session_open(s, &o);
    if (code != EXIT_OK)
        return code;
    code = session_wait_link(s, url, deadline_after(job->timeout_ms));
    if (code != EXIT_OK)
        session_close(s);
    return code;
}

/* "WHO WHAT: why", in the node's own words, which name the remedy, where it has some. Returns
 * EXIT_FAILED. */
static int refused(const char *who, const char *what, int error, char *text)
{
    bool own_words = text && *text;
    char *safe = text_safe_copy(own_words ? text : weft_strerror(error));
    failure("%s %s: %s%s", who, what, safe,
            own_words               ? ""
            : error == WEFT_EDENIED ? "; ask it over its unix socket, or allow it by 'access' there"
            : error == WEFT_ENOTSUP ? "; it is too old for that, or no weftd"
                                    : "");
    xfree(safe);
    weft_free(text);
    return EXIT_FAILED;
}

int live_report(const struct job *job, struct session *s, uint32_t parts, weft_addrbook **ret_book,
                weft_report **ret_report)
{
    char *text = NULL;
    int timeout_ms = (int)job->timeout_ms;
    weft_report *report = NULL;
    weft_query query;
    weft_query_init(&query);
    query.parts = parts | WEFT_PART_BOOK;
    int rc = weft_node_inspect(s->node, s->peer, &query, timeout_ms, &report, &text);
    if (rc == WEFT_ENOTSUP || rc == WEFT_EDENIED)
        rc = weft_node_fetch_addrbook(s->node, s->peer, timeout_ms, ret_book);
    if (rc < 0)
        return refused(s->peer, "did not give its address book", rc, text);
    weft_free(text);
    if (report) {
        *ret_book = report->book;
        report->book = NULL;
    }
    *ret_report = report;
    return EXIT_OK;
}

int live_command(const struct job *job, struct session *s, const char *verb,
                 const char *const *args)
{
    char *text = NULL, what[300];
    weft_command command = {.verb = verb, .args = args};
    int rc = weft_node_command(s->node, s->peer, &command, (int)job->timeout_ms, &text);
    if (rc == 0) {
        weft_free(text);
        return EXIT_OK;
    }
    snprintf(what, sizeof(what), "refused '%s %s'", verb, args[0]);
    return refused(s->peer, what, rc, text);
}

/* ---- Both --------------------------------------------------------------------------------------
 */

/* What stands there that is no regular file, or NULL. */
static const char *special(const char *file)
{
    struct stat s;
    if (stat(file, &s) < 0 || S_ISREG(s.st_mode))
        return NULL;
    return S_ISDIR(s.st_mode)    ? "a folder"
           : S_ISFIFO(s.st_mode) ? "a pipe"
           : S_ISSOCK(s.st_mode) ? "a socket"
                                 : "a device";
}

int book_unreadable(const char *file, int error)
{
    const char *what = special(file);
    if (what)
        return failure("%s: %s, not a regular file; name the file of an address book, or the URL "
                       "of a live node",
                       file, what);
    return failure("%s: %s%s", file, weft_strerror(error),
                   error == WEFT_ENOTFOUND ? "; a live node is asked by its URL"
                   : error == WEFT_ECORRUPT
                       ? "; it is no address book, or was damaged: see 'weft addrbook check'"
                   : error == WEFT_EVERSION
                       ? "; a newer weft wrote it, or it was damaged: see 'weft addrbook check'"
                       : "");
}

int book_get(const struct job *job, const char *from, weft_addrbook **ret_book)
{
    if (!is_url(from)) {
        int rc = weft_addrbook_load(from, ret_book);
        return rc == 0 ? EXIT_OK : book_unreadable(from, rc);
    }
    struct session s;
    weft_report *report;
    int code = live_open(job, from, &s);
    if (code != EXIT_OK)
        return code;
    code = live_report(job, &s, WEFT_PART_BOOK, ret_book, &report);
    session_close(&s);
    if (code == EXIT_OK)
        weft_report_free(report);
    return code;
}
