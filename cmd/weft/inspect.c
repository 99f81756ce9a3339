/* Happy path: link as a leaf, send the question with the loop's thread, wait for its answer and for
 * signals alike, leave our own link out of it, print.
 *
 * A node that does not answer is told apart from one that does not tell us: the first wants a
 * longer
 * --timeout or a newer weft, the second its own unix socket or another `access`. An answer that
 * comes after a signal or a timeout stays with the inspector, which frees it. */
#include "inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/table.h"
#include "../common/units.h"

#define HOUR_MS 3600000

/* ---- The command line --------------------------------------------------------------------------
 */

static int take_duration(const char *name, const struct command *command, uint32_t *ret_ms)
{
    if (parse_seconds(optarg, ret_ms) && *ret_ms && *ret_ms <= HOUR_MS)
        return EXIT_OK;
    return usage_error(command, "%s %s: expected seconds or %s, up to 1h", name, optarg,
                       DURATION_EXPECTED);
}

int inspect_option(int option, const struct command *command, struct inspector *in, int *ret_code)
{
    int taken = link_option(option, command, &in->link, ret_code);
    if (taken != 0)
        return taken;
    switch (option) {
    case OPTION_JSON:
        in->json = true;
        return 1;
    case OPTION_TIMEOUT:
        *ret_code = take_duration("--timeout", command, &in->timeout_ms);
        return *ret_code == EXIT_OK ? 1 : -1;
    case OPTION_WATCH:
        *ret_code = take_duration("--watch", command, &in->watch_ms);
        return *ret_code == EXIT_OK ? 1 : -1;
    }
    return 0;
}

int inspect_url(const char *url, const struct command *command, struct inspector *in)
{
    in->url = url;
    return link_url(url, command, &in->link);
}

int inspect_parse(int argc, char **argv, const struct option *options,
                  const struct command *command, struct inspector *in, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        if (inspect_option(option, command, in, &code) < 0) {
            *ret_done = true;
            return code;
        }
    }
    if (argc - optind != 1)
        return usage_error(command, "expected one URL, such as unix:///run/weft/weftd.sock/");
    return inspect_url(argv[optind], command, in);
}

/* ---- Linking -----------------------------------------------------------------------------------
 */

int inspector_begin(struct inspector *in)
{
    weft_options o;
    weft_query query;
    weft_report *self;
    in->link.role = WEFT_ROLE_LEAF;
    session_options(&in->link, &o);
    o.linger_ms = 1000;
    int code = session_open(&in->session, &o);
    if (code != EXIT_OK)
        return code;
    weft_query_init(&query);
    if (weft_node_inspect(in->session.node, NULL, &query, 0, &self, NULL) == 0) {
        memcpy(in->self_id, self->status->node_id, sizeof(in->self_id));
        weft_report_free(self);
    }
    return EXIT_OK;
}

int inspector_link(struct inspector *in, uint64_t deadline_ns, char **ret_reason)
{
    return session_try_link(&in->session, deadline_ns, ret_reason);
}

int inspector_open(struct inspector *in)
{
    int code = inspector_begin(in);
    if (code != EXIT_OK)
        return code;
    code = session_wait_link(&in->session, in->url, deadline_after(in->timeout_ms));
    if (code != EXIT_OK)
        inspector_close(in);
    return code;
}

void inspector_close(struct inspector *in)
{
    session_close(&in->session);
    weft_report_free(in->report);
    xfree(in->text);
    in->report = NULL;
    in->text = NULL;
}

bool inspector_pause(struct inspector *in, uint32_t ms)
{
    uint64_t deadline = deadline_after(ms);
    enum session_event e;
    do
        e = session_wait(&in->session, deadline, NULL, 0);
    while (e == SESSION_WOKEN);
    return e != SESSION_SIGNAL;
}

/* ---- Asking ------------------------------------------------------------------------------------
 */

/* [loop] */
static void on_report(int error, const char *text, weft_report *report, void *user)
{
    struct inspector *in = user;
    pthread_mutex_lock(&in->session.lock);
    in->answered = true;
    in->error = error;
    in->report = report;
    in->text = text ? text_safe_copy(text) : NULL;
    pthread_mutex_unlock(&in->session.lock);
    session_wake(&in->session);
}

/* What to do about an error, where the node that refused did not say it itself. */
static const char *remedy(int error, bool told)
{
    switch (error) {
    case WEFT_EDENIED:
        return told ? "" : "; ask on its own host, or allow it by access: {info: any} there";
    case WEFT_ENOTSUP:
        return "; it answers no questions: an older weft, or a base (dndm) peer";
    case WEFT_ETIMEDOUT:
        return "; give it longer with --timeout";
    }
    return "";
}

static char *sentence(int error, const char *text)
{
    char buf[1024];
    bool told = text && *text;
    snprintf(buf, sizeof(buf), "%s%s", told ? text : weft_strerror(error), remedy(error, told));
    return xcopy(buf, strlen(buf));
}

static bool is_self(const struct inspector *in, const weft_peer_info *peer)
{
    static const uint8_t none[16];
    return memcmp(peer->node_id, none, sizeof(none)) != 0 &&
           memcmp(peer->node_id, in->self_id, sizeof(in->self_id)) == 0;
}

static void show(const struct inspector *in, weft_report *report, struct answer *a)
{
    *a = (struct answer){.shown = *report, .whole = report};
    if (!report->peers)
        return;
    a->peers = xresize(NULL, (report->n_peers + 1) * sizeof(*a->peers));
    a->shown.peers = a->peers;
    a->shown.n_peers = 0;
    for (size_t i = 0; i < report->n_peers; i++)
        if (!is_self(in, &report->peers[i]))
            a->peers[a->shown.n_peers++] = report->peers[i];
}

void answer_fini(struct answer *answer)
{
    weft_report_free(answer->whole);
    xfree(answer->peers);
    *answer = (struct answer){0};
}

int inspector_start(struct inspector *in, const weft_query *query, char **ret_text)
{
    in->answered = false;
    int rc = weft_node_inspect_async(in->session.node, in->session.peer, query, (int)in->timeout_ms,
                                     on_report, in);
    if (rc < 0)
        *ret_text = sentence(rc, NULL);
    return rc;
}

bool inspector_answered(struct inspector *in)
{
    pthread_mutex_lock(&in->session.lock);
    bool answered = in->answered;
    pthread_mutex_unlock(&in->session.lock);
    return answered;
}

int inspector_take(struct inspector *in, struct answer *ret_answer, char **ret_text)
{
    if (in->error == 0)
        show(in, in->report, ret_answer);
    else
        *ret_text = sentence(in->error, in->text);
    xreplace(&in->text, NULL);
    in->report = NULL;
    in->answered = false;
    return in->error;
}

int inspector_ask(struct inspector *in, const weft_query *query, struct answer *ret_answer,
                  char **ret_text)
{
    int rc = inspector_start(in, query, ret_text);
    if (rc < 0)
        return rc;
    while (!inspector_answered(in))
        if (session_wait(&in->session, FOREVER, NULL, 0) == SESSION_SIGNAL)
            return INTERRUPTED;
    return inspector_take(in, ret_answer, ret_text);
}

int inspector_report(struct inspector *in, const weft_query *query, struct answer *ret_answer)
{
    char *text = NULL;
    int rc = inspector_ask(in, query, ret_answer, &text);
    if (rc == 0)
        return EXIT_OK;
    if (rc == INTERRUPTED)
        in->interrupted = true;
    else
        failure("%s: %s", in->url, text);
    xfree(text);
    return EXIT_FAILED;
}

/* ---- Again and again ---------------------------------------------------------------------------
 */

static void between(const struct inspector *in)
{
    if (in->json)
        return;
    fputs(isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n", stdout);
}

int inspector_run(struct inspector *in, int (*once)(struct inspector *in, void *arg), void *arg)
{
    int code = inspector_open(in);
    if (code != EXIT_OK)
        return code;
    code = once(in, arg);
    while (code == EXIT_OK && in->watch_ms && inspector_pause(in, in->watch_ms)) {
        between(in);
        code = once(in, arg);
        if (in->interrupted)
            code = EXIT_OK; /* as it is meant to end */
    }
    inspector_close(in);
    return code;
}

/* ---- Output ------------------------------------------------------------------------------------
 */

/* Whoever closed the pipe has what it wanted, and need not be told. */
static int output_failed(void)
{
    return errno == EPIPE ? EXIT_FAILED : failure("cannot write the output: %s", strerror(errno));
}

int output_done(void)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_OK : output_failed();
}

int print_json(json_t *value, bool line)
{
    if (!value)
        return failure("out of memory");
    /* ASCII: as it stands, JSON lets C1 controls through to the terminal. */
    int rc = json_dumpf(value, stdout, JSON_ENSURE_ASCII | (line ? JSON_COMPACT : JSON_INDENT(2)));
    json_decref(value);
    if (rc == 0)
        putchar('\n');
    return rc == 0 ? output_done() : output_failed();
}

void print_safe(const char *text)
{
    text_safe(stdout, text, strlen(text));
}
