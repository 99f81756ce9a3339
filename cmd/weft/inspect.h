/* Asking a live node about itself: what the commands that look into one share. Each links to the
 * node as its leaf, so that no other hears of it, and asks for reports (weft/admin.h). */
#ifndef CMD_WEFT_INSPECT_H
#define CMD_WEFT_INSPECT_H

#include <jansson.h>

#include <weft/admin.h>

#include "command.h"

struct inspector {
    struct link_options link;
    const char *url;     /* who is asked */
    uint32_t timeout_ms; /* for the link, and for each answer */
    uint32_t watch_ms;   /* 0: once */
    bool json;

    struct session session;
    uint8_t self_id[16]; /* ours, by which our own link is left out of what is shown */
    bool interrupted;    /* a signal has come */
    /* The question under way, under session.lock. */
    bool answered;
    int error;
    char *text;
    weft_report *report;
};

/* A report as it is shown: without the link of this very command. */
struct answer {
    weft_report shown; /* borrows from `whole` */
    weft_peer_info *peers;
    weft_report *whole;
};

/* ---- The command line -------------------------------------------------------------------------
 */

enum { OPTION_JSON = OPTION_OWN, OPTION_TIMEOUT, OPTION_WATCH, OPTION_INSPECT };

#define INSPECT_LONG                                                                               \
    {"json", no_argument, NULL, OPTION_JSON},                                                      \
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},                                      \
        {"network", required_argument, NULL, OPTION_NETWORK},                                      \
    {                                                                                              \
        "help", no_argument, NULL, 'h'                                                             \
    }
#define INSPECT_WATCH                                                                              \
    {                                                                                              \
        "watch", required_argument, NULL, OPTION_WATCH                                             \
    }

#define INSPECT_HELP                                                                               \
    "      --timeout S     seconds to wait for link and answer (default 5)\n"                      \
    "      --network NAME  the mesh's network name, where it has one\n"                            \
    "  -h, --help          this text\n"
#define INSPECT_WATCH_HELP "      --watch S       again every S seconds, until interrupted\n"

#define INSPECTOR_DEFAULTS .timeout_ms = 5000, .session = {.quiet = true}

/* Was the option taken? Negative: it was, and the command ends with the exit code in *ret_code. */
int inspect_option(int option, const struct command *command, struct inspector *in, int *ret_code);

/* Take the one argument that is the URL. EXIT_OK, or EXIT_USAGE after an explanation. */
int inspect_url(const char *url, const struct command *command, struct inspector *in);

/* For commands that take these options and the URL alone. An exit code; *ret_done: with it the
 * command ends, even if it is EXIT_OK. */
int inspect_parse(int argc, char **argv, const struct option *options,
                  const struct command *command, struct inspector *in, bool *ret_done);

/* ---- Asking -----------------------------------------------------------------------------------
 */

/* Link to the node. EXIT_OK, or EXIT_FAILED after an explanation, with nothing to close. */
int inspector_open(struct inspector *in);

/* The same in two steps, for those who ask several nodes at once: begin dialling; wait until
 * deadline_ns. inspector_link gives 0, or -1 and in *ret_reason why not (free with xfree); the
 * inspector is to be closed in either case. */
int inspector_begin(struct inspector *in);
int inspector_link(struct inspector *in, uint64_t deadline_ns, char **ret_reason);

void inspector_close(struct inspector *in);

#define INTERRUPTED 1

/* Ask for a report. 0, or INTERRUPTED by a signal, or WEFT_E… with a sentence in *ret_text, which
 * is safe to print and freed with xfree. */
int inspector_ask(struct inspector *in, const weft_query *query, struct answer *ret_answer,
                  char **ret_text);

/* The same in two steps, for those who have something else to wait for: session_wait returns when
 * inspector_answered gives true. inspector_take gives what inspector_ask gives. */
int inspector_start(struct inspector *in, const weft_query *query, char **ret_text);
bool inspector_answered(struct inspector *in);
int inspector_take(struct inspector *in, struct answer *ret_answer, char **ret_text);

/* As inspector_ask; EXIT_OK, or EXIT_FAILED after an explanation. */
int inspector_report(struct inspector *in, const weft_query *query, struct answer *ret_answer);

void answer_fini(struct answer *answer);

/* Wait a while. False: a signal has come. */
bool inspector_pause(struct inspector *in, uint32_t ms);

/* Open, call `once` with `arg` (again every watch_ms, if that is set, until a signal), close.
 * Returns the last exit code; `once` that fails ends it. */
int inspector_run(struct inspector *in, int (*once)(struct inspector *in, void *arg), void *arg);

/* ---- Output -----------------------------------------------------------------------------------
 */

/* Write to stdout and give `value` back (NULL: out of memory): one line if `line`, else indented.
 * Returns an exit code. */
int print_json(json_t *value, bool line);

/* Flush stdout. Returns an exit code. */
int output_done(void);

/* Write a string that came from elsewhere. */
void print_safe(const char *text);

#endif
