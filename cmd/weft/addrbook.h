/* What the verbs of `weft addrbook` share. Each works on a file or on a live node: what has a "://"
 * in it is the URL of a node. */
#ifndef CMD_WEFT_ADDRBOOK_H
#define CMD_WEFT_ADDRBOOK_H

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include <weft/addrbook.h>
#include <weft/admin.h>

#include "../common/table.h"
#include "command.h"

struct verb;

/* A command line, taken apart. */
struct job {
    const struct verb *verb;
    struct link_options link; /* --network */
    const char *book;         /* FILE or URL */
    char **args;              /* what follows it */
    size_t n_args;
    uint32_t timeout_ms;
    bool dry_run;

    enum table_form form; /* dump; of the others --json alone */
    bool has_form;
    const char *from; /* add: a file of JSON, "-": standard input, or NULL */
    weft_dial_options policy;
    unsigned policy_given; /* enum policy_field, or them together */
    uint64_t until;        /* ban */
    bool until_given;
    bool repair;     /* check */
    const char *out; /* check -o, or NULL */
};

enum policy_field {
    POLICY_PERSISTENT = 1,
    POLICY_MAX_ATTEMPTS = 2,
    POLICY_BACKOFF = 4,
    POLICY_MAX_BACKOFF = 8,
    POLICY_MULTIPLIER = 16,
};

/* Options a verb may take; or them together. */
enum {
    TAKES_FORM = 1,    /* --json, --tsv, --text */
    TAKES_JSON = 2,    /* --json alone */
    TAKES_LINK = 4,    /* --timeout, --network */
    TAKES_DRY_RUN = 8, /* --dry-run */
    TAKES_POLICY = 16, /* --from, --persistent, --backoff … */
    TAKES_UNTIL = 32,  /* --for, --until */
    TAKES_REPAIR = 64, /* --repair, -o */
};

struct verb {
    struct command command; /* named "addrbook VERB"; run is NULL */
    int (*run)(struct job *job);
    unsigned takes;
    size_t args_min, args_max; /* behind FILE or URL */
    const char *expected;      /* all arguments, "a file or URL and …" */
};

extern const struct verb dump_verb, why_verb, add_verb, remove_verb, ban_verb, unban_verb, pin_verb,
    unpin_verb, merge_verb, check_verb;

#define ADDRBOOK_LINK_HELP                                                                         \
    "      --timeout S     URL: seconds for the link and for an answer (default 5)\n"              \
    "      --network NAME  URL: the mesh's network name, where it has one\n"                       \
    "  -h, --help          this text\n"
#define ADDRBOOK_CHANGE_HELP                                                                       \
    "      --dry-run       say what would be done, and do nothing\n"                               \
    "      --json          one JSON object: file or url, dry_run, changes\n"
#define ADDRBOOK_PEER_HELP "PEER is a peer's URL, its path, or the beginning of its node id.\n"

/* ---- Books (addrbook_books.c) ------------------------------------------------------------------
 */

bool is_url(const char *book);

/* A link to the node at `url`. EXIT_OK, or EXIT_FAILED after an explanation, with nothing to
 * close. */
int live_open(const struct job *job, const char *url, struct session *s);

/* The book of a live node, and its report with these parts besides; NULL from a node that tells
 * only its book. EXIT_OK, or EXIT_FAILED after an explanation. */
int live_report(const struct job *job, struct session *s, uint32_t parts, weft_addrbook **ret_book,
                weft_report **ret_report);

/* Have the live node do something. `args` ends with NULL. */
int live_command(const struct job *job, struct session *s, const char *verb,
                 const char *const *args);

/* The book of a file or a live node, to be read only. EXIT_OK, or EXIT_FAILED after an
 * explanation. */
int book_get(const struct job *job, const char *from, weft_addrbook **ret_book);

/* Why a file could not be read. Returns EXIT_FAILED. */
int book_unreadable(const char *file, int error);

/* ---- Editing (addrbook_edit.c) -----------------------------------------------------------------
 */

/* A book that is being changed. Of a file everything is changed in memory and saved at the end; a
 * live node is told of each change, and `book` is what it had. */
struct edit {
    const struct job *job;
    weft_addrbook *book;
    weft_book_lock *lock; /* of a file */
    struct session session;
    bool live, dirty;
    FILE *told; /* a line a change, printed at the end */
    char *text;
    size_t size;
    json_t *report; /* with --json: an object that is printed instead; else NULL */
    bool lost;      /* some of it, out of memory */
};

/* EXIT_OK, or EXIT_FAILED after an explanation, with nothing to finish. A file that does not exist
 * is made if `make`. */
int edit_open(struct edit *edit, const struct job *job, bool make);

/* Is the change to be made on the book in memory? Notes that there was one. */
bool edit_in_memory(struct edit *edit);
/* Have the live node make it, unless nothing is to be done really. Returns an exit code. */
int edit_at_node(struct edit *edit, const char *verb, const char *const *args);
/* Put into the book in memory. Returns an exit code. */
int edit_put(struct edit *edit, const weft_addrbook_entry *entry);

/* A line on what was done to a peer: "removed PEER" followed by the rest, or, in a dry run,
 * "would remove PEER". As JSON an object with `done` as its kind. */
struct deed {
    const char *done, *would;
};
__attribute__((format(printf, 4, 5))) void edit_tell(struct edit *edit, struct deed deed,
                                                     const char *peer, const char *format, ...);
/* A line on a peer to which nothing was done. */
void edit_unchanged(struct edit *edit, const char *peer, const char *why);
/* Another member for the last of these, which only JSON shows. Takes `value`; NULL: no memory. */
void edit_detail(struct edit *edit, const char *name, json_t *value);
/* How many entries of the book `from` were added, updated, and left as they were. */
void edit_tally(struct edit *edit, const char *from, size_t added, size_t updated, size_t kept);

/* Save, if all went well so far (`code`), say what was done, and give everything back. Returns the
 * exit code of the whole. */
int edit_finish(struct edit *edit, int code);

/* ---- Finding (addrbook_match.c) ----------------------------------------------------------------
 */

struct matches {
    const weft_addrbook_entry **items; /* borrowed from the book */
    size_t count;
};

/* The entries that `word` means: a URL, a path, or the beginning of a node id. Free with
 * matches_fini. */
struct matches match(const weft_addrbook *book, const char *word);
/* The one, or the ones of a single node. EXIT_OK, or EXIT_FAILED after an explanation. */
int match_peer(const weft_addrbook *book, const char *word, struct matches *ret_matches);
void matches_fini(struct matches *matches);

/* Are two entries names of one node, as far as is known? */
bool same_node(const weft_addrbook_entry *a, const weft_addrbook_entry *b);

/* Say that nothing fits, with what might have been meant. Returns EXIT_FAILED. */
int no_match(const weft_addrbook *book, const char *word);

/* ---- JSON (addrbook_json.c) --------------------------------------------------------------------
 */

/* Read what `dump --json` wrote, of a file or, for "-", standard input. EXIT_OK, or EXIT_FAILED
 * after an explanation that names the place. */
int book_read_json(const char *file, weft_addrbook **ret_book);

#endif
