/* What the subcommands of weft share: exit codes, the options of a node, and a node that can be
 * waited for together with signals. */
#ifndef CMD_WEFT_COMMAND_H
#define CMD_WEFT_COMMAND_H

#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/weft.h>

#include "../common/names.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* A subcommand: run with its own argv (argv[0] is "weft NAME"), returns the exit code. */
struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary; /* for `weft help` */
    const char *help;    /* for `weft help NAME`, ends with a newline */
};

extern const struct command pub_command, sub_command, ping_command, addrbook_command, bench_command,
    reload_command, log_command, record_command, play_command;
extern const struct command status_command, peers_command, routes_command, explain_command,
    trace_command, top_command, graph_command;

/* Print "weft NAME: …" to stderr and where help is found. Returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int usage_error(const struct command *command,
                                                      const char *format, ...);

/* The same of a route that does not parse, naming the place. */
int no_route(const struct command *command, const char *route);

/* Print "weft: …" to stderr. Returns EXIT_FAILED. */
__attribute__((format(printf, 1, 2))) int failure(const char *format, ...);

/* ---- Options every command with a node takes --------------------------------------------------
 */

struct link_options {
    struct names peers;  /* -P */
    const char *listen;  /* -l, or NULL */
    const char *network; /* --network, or NULL */
    const char *path;    /* --path, or NULL */
    enum weft_role role; /* --leaf, --client, else AUTO */
};

enum { OPTION_NETWORK = 256, OPTION_PATH, OPTION_LEAF, OPTION_CLIENT, OPTION_OWN };

#define LINK_SHORT "P:l:h"
#define LINK_LONG                                                                                  \
    {"peer", required_argument, NULL, 'P'}, {"listen", required_argument, NULL, 'l'},              \
        {"network", required_argument, NULL, OPTION_NETWORK},                                      \
        {"path", required_argument, NULL, OPTION_PATH}, {"leaf", no_argument, NULL, OPTION_LEAF},  \
        {"client", no_argument, NULL, OPTION_CLIENT},                                              \
    {                                                                                              \
        "help", no_argument, NULL, 'h'                                                             \
    }

#define LINK_HELP                                                                                  \
    "  -P, --peer URL      a node of the mesh to link to; may be given several times\n"            \
    "  -l, --listen URL    listen here and be a peer, known as this URL\n"                         \
    "      --leaf          let the node at -P relay (default if all are unix://)\n"                \
    "      --client        link to every peer oneself (default elsewhere, if no -l)\n"             \
    "      --network NAME  the mesh's network name, where it has one\n"                            \
    "      --path PATH     publish and subscribe below it (default: everything)\n"                 \
    "  -h, --help          this text\n"

/* Is the option one of the above, and was it taken? Negative: it was, and the command ends with the
 * exit code in *ret_code (help was printed, or an error). */
int link_option(int option, const struct command *command, struct link_options *link,
                int *ret_code);

/* Take an argument that is the URL of a node. EXIT_OK, or EXIT_USAGE after an explanation. */
int link_url(const char *url, const struct command *command, struct link_options *link);

/* Check what was given together. EXIT_OK, or EXIT_USAGE after an explanation. */
int link_check(const struct link_options *link, const struct command *command);

void link_fini(struct link_options *link);

/* ---- A running node ---------------------------------------------------------------------------
 */

#define TOLD_MAX 64 /* peers whose failure has been told once */
#define PEER_TEXT 512

struct session {
    weft_node *node;
    int signal_fd; /* readable once SIGINT or SIGTERM has come */
    int wake_fd;   /* eventfd: something happened on the loop */
    bool quiet;    /* tell only of links to the peers asked for, and nothing that is in order */

    pthread_mutex_t lock; /* of what follows, written on the loop's thread */
    bool linked;          /* a link has been made at least once */
    bool failed;          /* no connection could be made, or it was refused */
    bool unreachable;     /* the former, the last time */
    bool denied;          /* a peer does not let us declare our route */
    char peer[PEER_TEXT]; /* who the first link goes to */
    char reason[1024];    /* why it failed */
    struct names told;
};

/* Options with the tools' choices in place: frames up to the largest possible, ten seconds of
 * linger. */
void session_options(const struct link_options *link, weft_options *ret_options);

/* Open a node with `options` (on_event and user are set here). EXIT_OK, or another exit code after
 * an explanation, with nothing to close. From here SIGINT and SIGTERM only make signal_fd readable.
 */
int session_open(struct session *s, weft_options *options);

/* Close the node: queues drain. A signal from here on ends the program at once. */
void session_close(struct session *s);

enum session_event {
    SESSION_SIGNAL = -1,
    SESSION_TIMEOUT = 0,
    SESSION_WOKEN = 1,
    SESSION_INPUT = 2
};

/* Wait for a signal, for session_wake, or for one of `fds` (NULL, 0: none) to become readable,
 * until `deadline_ns` of the monotonic clock (FOREVER: without end). */
#define FOREVER UINT64_MAX
#define FDS_MAX 64
enum session_event session_wait(struct session *s, uint64_t deadline_ns, const int *fds,
                                size_t count);

/* Did a peer refuse to let us declare our route? */
bool session_denied(struct session *s);

/* End a session_wait from another thread. */
void session_wake(struct session *s);

/* Wait for the first link. EXIT_OK with the peer's name in s->peer, or EXIT_FAILED after saying
 * why: the first failure is final. */
int session_wait_link(struct session *s, const char *url, uint64_t deadline_ns);

/* The same without a word: 0, or -1 and in *ret_reason why not (free with xfree; empty for a
 * signal). */
int session_try_link(struct session *s, uint64_t deadline_ns, char **ret_reason);
/* NULL: there is a link now. Else why there is none, safe to print. xfree it. */
char *session_lost(struct session *s);

uint64_t now_ns(void);                                  /* monotonic */
uint64_t deadline_after(uint32_t ms);                   /* UINT32_MAX: FOREVER */
bool parse_seconds(const char *text, uint32_t *ret_ms); /* "2", "0.5", "500ms", "1m" */

#endif
