/* weft for operators: looking into nodes and steering them, this one or one at the other end of a
 * link (feature INFO, docs/protocol.md section 9).
 *
 * A report is a snapshot: all its parts are of one moment. The same call makes it of this node
 * (url NULL) and of a linked one, which answers if its `info` option lets the asker (weft_access).
 * Commands likewise, by its `control` option. Conventions are those of weft.h. */
#ifndef WEFT_ADMIN_H
#define WEFT_ADMIN_H

#include <weft/weft.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Reports ------------------------------------------------------------------------------- */

/* What a report is to hold; or them together. */
enum weft_part {
    WEFT_PART_STATUS = 1,
    WEFT_PART_PEERS = 2,
    WEFT_PART_ROUTES = 4,
    WEFT_PART_BOOK = 8,
    WEFT_PART_INCIDENTS = 16,
};

typedef struct weft_query {
    size_t size;       /* set by weft_query_init */
    uint32_t parts;    /* of enum weft_part; default STATUS */
    const char *route; /* ROUTES: those alone that have to do with this one: what it matches or is
                          matched by, and what misses it narrowly (another type at the same path, a
                          hashed route whose prefix covers it). NULL: all */
} weft_query;
WEFT_API void weft_query_init(weft_query *query);

typedef struct weft_status {
    const char *url;      /* FQN, as it is known to others */
    const char *path;     /* its path */
    const char *agent;    /* program and version */
    const char *version;  /* of the library */
    const char *network;  /* or "" */
    const char *listen;   /* URLs it listens on, separated by spaces; "" where it dials only */
    const char *addrbook; /* file, or "" */
    uint8_t node_id[16];
    enum weft_role role;
    enum weft_log_level log_level;
    uint32_t pid;
    uint64_t now;     /* the node's clock, ns since the epoch */
    uint64_t started; /* likewise */
    uint32_t max_frame, max_peers, max_routes;
    uint64_t outbox;
    weft_stats stats;
} weft_status;

/* Something that went wrong lately: the last 64 are kept. */
typedef struct weft_incident {
    uint64_t time;  /* ns since the epoch; of the last of `count` */
    uint32_t count; /* how often the same happened since it was first kept */
    enum weft_event_type
        type;          /* PEER_DOWN, REFUSED, DIAL_FAILED, ROUTE_REFUSED, ADDRBOOK, WARNING */
    int error;         /* WEFT_E… or 0 */
    const char *peer;  /* FQN, or "" */
    const char *route; /* or "" */
    const char *text;  /* a sentence */
} weft_incident;

typedef struct weft_report {
    weft_status *status; /* NULL unless asked for, like what follows */
    /* All links, and all entries of the address book that have none: state says "linked",
     * "handshake", "dialing", "waiting", "given up" or "banned". Sorted by URL. */
    weft_peer_info *peers;
    size_t n_peers;
    weft_route_info *routes; /* as of weft_node_routes */
    size_t n_routes;
    weft_addrbook *book;
    weft_incident *incidents; /* oldest first */
    size_t n_incidents;
} weft_report;

/* A report of this node (url NULL), or of the peer linked by that URL, timeout_ms at most. On
 * failure *ret_error_text (if given) is a sentence, or NULL; free it with weft_free. Free the
 * report with weft_report_free. [any but loop; with url NULL any]
 * Errors: WEFT_EURL, WEFT_EINVAL (query), WEFT_EROUTE, WEFT_ENOTFOUND (no link to url),
 * WEFT_ENOTSUP (the peer lacks the feature), WEFT_EDENIED (it does not tell us), WEFT_ELIMIT (it is
 * being asked already, or the report is too large: narrow it by `route`), WEFT_EMALFORMED (it told
 * less than it was asked for), WEFT_ETIMEDOUT, WEFT_ELOST, WEFT_ELOOP, WEFT_ENOMEM, WEFT_ECLOSED.
 */
WEFT_API int weft_node_inspect(weft_node *node, const char *url, const weft_query *query,
                               int timeout_ms, weft_report **ret_report, char **ret_error_text);

/* The same without waiting: on_report is called once, with an error and a sentence (or NULL), or
 * with a report that is the callee's to free. It is also called when the node closes meanwhile.
 * [any; on_report: loop] Errors: those of the arguments; the callback does not run then. */
WEFT_API int weft_node_inspect_async(
    weft_node *node, const char *url, const weft_query *query, int timeout_ms,
    void (*on_report)(int error, const char *text, weft_report *report, void *user), void *user);
/* NULL is ignored. [any] */
WEFT_API void weft_report_free(weft_report *report);

/* ---- Commands ------------------------------------------------------------------------------ */

/* A verb and its arguments. Those every node knows:
 *   "log" LEVEL                  error, warn, info or debug
 *   "add" URL [KEY=VALUE]…       as weft_node_dial, by an operator; persistent, max_attempts,
 *                                backoff_ms, max_backoff_ms, multiplier
 *   "remove" URL                 as weft_node_forget; what an operator added and the configuration
 *                                names, too, stays as configured
 *   "ban" URL [UNTIL]            as weft_node_ban; ns since the epoch
 *   "unban" URL
 *   "pin" URL, "unpin" URL       as weft_node_pin
 * Others go to the node's on_command (weft_options). */
typedef struct weft_command {
    const char *verb;
    const char *const *args; /* NULL-terminated, or NULL */
} weft_command;

/* Have this node (url NULL) or a linked peer do something. *ret_text (if given) is what it said,
 * also on failure, or NULL; free it with weft_free. [any but loop; with url NULL any] Errors: as
 * weft_node_inspect; WEFT_ENOTSUP for an unknown verb; WEFT_ETOOBIG if verb and arguments are more
 * than a frame the peer takes; and what the command fails with. */
WEFT_API int weft_node_command(weft_node *node, const char *url, const weft_command *command,
                               int timeout_ms, char **ret_text);

/* ---- Steering this node -------------------------------------------------------------------- */

/* Lines above the level are not made from now on. [any] Errors: WEFT_EINVAL. */
WEFT_API int weft_node_set_log_level(weft_node *node, enum weft_log_level level);

/* Limits as in weft_options; 0 leaves one as it is. They hold for what comes from now on: links and
 * routes beyond a lowered limit stay, max_frame is agreed anew with each link. [any; waits for the
 * loop] Errors: WEFT_EINVAL (out of range; nothing is changed), WEFT_ECLOSED. */
typedef struct weft_limits {
    size_t size;
    uint32_t max_frame, max_peers, max_routes;
    size_t outbox;
} weft_limits;
WEFT_API int weft_node_set_limits(weft_node *node, const weft_limits *limits);

/* Peers of a configuration that the program reads. The address book keeps that it was the
 * configuration that named them, so that one that names them no more takes them back:
 *
 *     weft_node_open, weft_node_configure_peer …, weft_node_configure_done    at the start
 *     weft_node_configure_peer, weft_node_unconfigure_peer                    what changed later
 */

/* As weft_node_dial, for a peer that the configuration names. [any] */
WEFT_API int weft_node_configure_peer(weft_node *node, const char *url,
                                      const weft_dial_options *options);

/* The configuration names it no more: as weft_node_forget, but what an operator added, pinned or
 * banned of its node's names stays. Returns 1 if an operator added the peer itself: then it stays
 * with its link. [any] Errors: as weft_node_forget. */
WEFT_API int weft_node_unconfigure_peer(weft_node *node, const char *url);

/* All that the configuration names has been told. What the address book remembers of an earlier
 * one and was not named since is let go, with a line in the log each: it stays and is dialled like
 * a name that peers told of, and given up when it does not answer. What an operator added stays.
 * Links are not touched. [any] Errors: WEFT_ECLOSED. */
WEFT_API int weft_node_configure_done(weft_node *node);

/* Never dial this peer or another name of its node, and refuse it, until that time (ns since the
 * epoch; UINT64_MAX: for ever). A link to it ends. 0 lifts the ban. A URL that is not in the
 * address book gets an entry. [any; waits for the loop] Errors: WEFT_EURL, WEFT_ESELF,
 * WEFT_ENOTFOUND (lift: no such entry), WEFT_ELIMIT, WEFT_ENOMEM, WEFT_ECLOSED. */
WEFT_API int weft_node_ban(weft_node *node, const char *url, uint64_t until);

/* Keep a peer of the address book and dial it for ever (on), or give it up as others (off). [any;
 * waits for the loop] Errors: WEFT_EURL, WEFT_ENOTFOUND, WEFT_ECLOSED. */
WEFT_API int weft_node_pin(weft_node *node, const char *url, bool on);

#ifdef __cplusplus
}
#endif

#endif
