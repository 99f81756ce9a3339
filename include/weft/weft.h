/* weft: publish/subscribe mesh without a broker. The public API.
 *
 * A program opens a node, publishes *intents* ("I can send types.Pose@robot.arm") and subscribes
 * *interests*; nodes find each other, intents meet interests, and bytes flow straight from
 * publisher to subscriber.
 *
 * Errors: functions return 0 (or a count) or a negative WEFT_E… code. On failure nothing changed
 * hands and no output is written, unless the comment says otherwise.
 *
 * Outputs come last and are named ret_….
 *
 * Threads: [any] may be called from any thread, callbacks included. [loop] runs on the node's loop
 * thread. Callbacks run on the loop thread and must not block.
 *
 * Strings passed in are copied; strings handed out live as long as the object they belong to.
 *
 * Options: fill option structs with their *_init function, then change what you need.
 */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEFT_API __attribute__((visibility("default")))
#else
#define WEFT_API
#endif

/* ---- Errors ------------------------------------------------------------------------------ */

/* The one table of errors: X(name, value, text). Values are part of the ABI and never reused. */
#define WEFT_ERRORS(X)                                                                             \
    X(EINVAL, -1, "invalid argument")                                                              \
    X(ENOMEM, -2, "out of memory")                                                                 \
    X(EROUTE, -3, "malformed route")                                                               \
    X(EURL, -4, "malformed peer URL")                                                              \
    X(ESCOPE, -5, "route is outside this node's path")                                             \
    X(EPATTERN, -6, "a pattern cannot be published")                                               \
    X(EAGAIN, -7, "would block, nothing was sent")                                                 \
    X(ETIMEDOUT, -8, "timed out")                                                                  \
    X(EDROPPED, -9, "not queued for at least one subscriber")                                      \
    X(ECLOSED, -10, "closed")                                                                      \
    X(ETOOBIG, -11, "larger than the frame limit")                                                 \
    X(ELIMIT, -12, "limit reached")                                                                \
    X(ELOOP, -13, "would wait for the loop on the loop's own thread")                              \
    X(EMALFORMED, -14, "malformed data")                                                           \
    X(ESELF, -15, "connection to itself")                                                          \
    X(EDUPLICATE, -16, "duplicate link")                                                           \
    X(ENETWORK, -17, "network name differs")                                                       \
    X(EVERSION, -18, "unsupported version")                                                        \
    X(EDENIED, -19, "not allowed")                                                                 \
    X(ENOROUTE, -20, "no such route")                                                              \
    X(ESCHEMA, -21, "schema differs")                                                              \
    X(EHANDSHAKE, -22, "handshake timed out")                                                      \
    X(ESHUTDOWN, -23, "shutting down")                                                             \
    X(ELOST, -24, "connection lost")                                                               \
    X(EDEAD, -25, "peer is silent")                                                                \
    X(EREFUSED, -26, "connection refused")                                                         \
    X(EUNREACHABLE, -27, "unreachable")                                                            \
    X(EADDRINUSE, -28, "address in use")                                                           \
    X(EADDRNOTAVAIL, -29, "address not available")                                                 \
    X(ERESOLVE, -30, "name does not resolve")                                                      \
    X(EACCESS, -31, "permission denied")                                                           \
    X(EIO, -32, "input/output error")                                                              \
    X(ENOSPC, -33, "no space left")                                                                \
    X(ENOTFOUND, -34, "not found")                                                                 \
    X(ECORRUPT, -35, "file is corrupt")                                                            \
    X(ENOTSUP, -36, "not supported")                                                               \
    X(EEXIST, -37, "exists already")                                                               \
    X(EMFILE, -38, "too many open files")                                                          \
    X(EDISPLACED, -39, "displaced by a newer link")                                                \
    X(EFORGOTTEN, -40, "forgotten by the operator")                                                \
    X(EPROTO, -41, "protocol error")                                                               \
    X(EBUSY, -42, "in use by another process")

enum weft_error {
    WEFT_OK = 0,
#define WEFT_X(name, value, text) WEFT_##name = (value),
    WEFT_ERRORS(WEFT_X)
#undef WEFT_X
};

/* Text for an error code, e.g. "malformed route". Never NULL; static storage. [any] */
WEFT_API const char *weft_strerror(int err);

/* Name of an error code, e.g. "WEFT_EROUTE". Never NULL; static storage. [any] */
WEFT_API const char *weft_err_name(int err);

/* Version of the library, e.g. "0.1.0". Static storage. [any] */
WEFT_API const char *weft_version(void);

/* Replace the allocator for the whole process. All three functions must be given and be callable
 * from any thread. Call before anything else of weft, once. NULL functions restore libc's. [any]
 * Errors: WEFT_EINVAL if only some of the functions are NULL. */
WEFT_API int weft_set_allocator(void *(*alloc)(size_t size), void *(*resize)(void *p, size_t size),
                                void (*release)(void *p));

/* ---- Routes (docs/protocol.md section 1) --------------------------------------------------- */

enum weft_route_kind { WEFT_ROUTE_PLAIN = 1, WEFT_ROUTE_HASHED = 2, WEFT_ROUTE_PATTERN = 3 };

/* Check a route. Returns its weft_route_kind, or WEFT_EROUTE. Where ret_where is not NULL it is
 * set, on error only, to the offset of the first byte that does not fit. [any] */
WEFT_API int weft_route_check(const char *route, size_t *ret_where);

/* Compose "type@path" into buf of size bytes, NUL-terminated. Returns the length without the NUL.
 * Errors: WEFT_EINVAL for NULL, WEFT_EROUTE if the parts make no valid route, WEFT_ELIMIT if buf is
 * too small. [any] */
WEFT_API int weft_route_make(const char *type, const char *path, char *buf, size_t size);

/* Compose the hashed form "prefix#base64(sha1(route))" of a plain route; prefix must be a
 * whole-segment prefix of its path. Returns and errors as weft_route_make. [any] */
WEFT_API int weft_route_hash(const char *route, const char *prefix, char *buf, size_t size);

/* Does `interest` (plain, hashed or pattern) cover `route` (plain or hashed)? Returns 1 or 0, or
 * WEFT_EROUTE if either is malformed or `route` is a pattern. [any] */
WEFT_API int weft_route_matches(const char *interest, const char *route);

/* Check a peer URL (docs/protocol.md section 1). ret_where as in weft_route_check. [any]
 * Errors: WEFT_EURL, WEFT_ENOTSUP (no transport for its scheme). */
WEFT_API int weft_url_check(const char *url, size_t *ret_where);

/* A sentence on what is wrong with a URL or route that does not parse, into buf, NUL-terminated.
 * Returns its length. [any] */
WEFT_API int weft_url_explain(const char *url, char *buf, size_t size);
WEFT_API int weft_route_explain(const char *route, char *buf, size_t size);

/* ---- Node ---------------------------------------------------------------------------------- */

typedef struct weft_node weft_node;
typedef struct weft_intent weft_intent;
typedef struct weft_interest weft_interest;
typedef struct weft_msg weft_msg;

/* What a node is to the mesh. AUTO: a peer if it listens; else a leaf if every peer URL is a unix
 * socket; else a client. */
enum weft_role { WEFT_ROLE_AUTO = 0, WEFT_ROLE_PEER = 1, WEFT_ROLE_CLIENT = 2, WEFT_ROLE_LEAF = 3 };

/* What happens to a message for which there is no room. It applies to each peer alone.
 *   BLOCK        wait up to block_ms for room, then drop the new message. A peer for which that
 *                time ran out once is not waited for again until it has room.
 *   REFUSE       drop the new message.
 *   DROP_OLDEST  drop queued messages, oldest first, until the new one fits.
 *   KEEP_LAST    queue at most one message of this intent; a newer one replaces it. */
enum weft_policy {
    WEFT_BLOCK = 0,
    WEFT_REFUSE = 1,
    WEFT_DROP_OLDEST = 2,
    WEFT_KEEP_LAST = 3,
};

/* Why a message did not reach a subscriber; index into drop counters. */
enum weft_drop {
    WEFT_DROP_TIMEOUT = 0,  /* BLOCK ran out of time */
    WEFT_DROP_REFUSED = 1,  /* REFUSE, no room */
    WEFT_DROP_OLD = 2,      /* DROP_OLDEST made room */
    WEFT_DROP_REPLACED = 3, /* KEEP_LAST, a newer message came */
    WEFT_DROP_LINK = 4,     /* queued or under way, and the link went (may have arrived) */
    WEFT_DROP_TOOBIG = 5,   /* larger than this peer's frame limit */
    WEFT_DROP_CLOSED = 6,   /* arrived for an interest that was just closed */
    WEFT_DROP_NOMEM = 7,    /* out of memory */
    WEFT_DROP_REASONS = 8
};

enum weft_event_type {
    WEFT_EVENT_PEER_UP = 1, /* peer: a link is established */
    WEFT_EVENT_PEER_DOWN,   /* peer, error, text: an established link ended, and why */
    WEFT_EVENT_REFUSED,     /* peer, error, text: a link was refused, by us or by the other side */
    WEFT_EVENT_DIAL_FAILED, /* peer, error, text: no connection could be made */
    WEFT_EVENT_MATCH,       /* route: this node's intent or interest found its first counterpart */
    WEFT_EVENT_UNMATCH,     /* route: … lost its last counterpart */
    WEFT_EVENT_ROUTE_REFUSED, /* peer, route, error, text: the peer does not take this route */
    WEFT_EVENT_ADDRBOOK,      /* error, text: the address book was damaged, or could not be saved */
    WEFT_EVENT_WARNING        /* peer, text: something an operator should know */
};

typedef struct weft_event {
    enum weft_event_type type;
    const char *peer;  /* peer URL, or NULL */
    const char *route; /* route, or NULL */
    int error;         /* WEFT_E… or 0 */
    const char *text;  /* a sentence for people, or NULL */
    bool intent;       /* MATCH, UNMATCH, ROUTE_REFUSED: of an intent, not an interest */
} weft_event;          /* valid during the callback only */

/* Who may ask a node about itself, or steer it (weft/admin.h). */
enum weft_access {
    WEFT_ACCESS_DEFAULT = 0, /* LOCAL to ask, UNIX to steer */
    WEFT_ACCESS_NONE = 1,
    WEFT_ACCESS_UNIX = 2,  /* who came over a unix socket of ours, which has permissions */
    WEFT_ACCESS_LOCAL = 3, /* and from addresses of this host */
    WEFT_ACCESS_ANY = 4
};

struct weft_command; /* weft/admin.h */

enum weft_log_level {
    WEFT_LOG_ERROR = 1,
    WEFT_LOG_WARN = 2,
    WEFT_LOG_INFO = 3,
    WEFT_LOG_DEBUG = 4
};

typedef struct weft_options {
    size_t size;      /* set by weft_options_init */
    const char *self; /* peer URL to listen on, "tcp://0.0.0.0:7400/robot.arm"; NULL: dial only.
                         Port 0 takes a free one, see weft_node_url. */
    const char *advertise;     /* FQN to be known by where it differs from self, or NULL */
    const char *const *listen; /* further URLs to listen on, NULL-terminated, or NULL */
    /* Peer URLs to dial for ever, NULL-terminated, or NULL. A list, be it empty, is all that is
     * configured: what the address book remembers of an earlier one is let go, as by
     * weft_node_configure_done (weft/admin.h). */
    const char *const *peers;
    const char *path;     /* this node's path where self is NULL; NULL: empty */
    const char *network;  /* nodes of another network are refused; NULL: none */
    const char *addrbook; /* file the address book and node id are kept in; NULL: memory only */
    const char *agent;    /* program name and version told to peers; NULL: "weft/VERSION" */
    enum weft_role role;
    bool allow_base;     /* with a network name, take base (dndm) peers all the same */
    uint32_t max_frame;  /* bytes; default 4 MiB, at most 64 MiB */
    uint32_t max_peers;  /* links; default 1024. Four more leaves that publish and subscribe nothing
                            may come over unix sockets, to ask or command */
    uint32_t max_routes; /* intents and interests known, ours and others'; default 1,000,000; half
                            for one link */
    size_t outbox;       /* bytes queued for one peer; default 16 MiB */
    uint32_t linger_ms;  /* how long close waits for queues to drain; default 1000 */
    /* One callback for all node events; NULL for none. [loop] */
    void (*on_event)(weft_node *node, const weft_event *event, void *user);
    /* Log lines without a newline; NULL for none. [loop] */
    void (*on_log)(enum weft_log_level level, const char *text, void *user);
    enum weft_log_level log_level; /* lines above it are not made; default WEFT_LOG_INFO */
    void *user;
    enum weft_access info;    /* who is told of status, peers and routes */
    enum weft_access control; /* whose commands are done */
    /* A command that the node does not know itself (weft/admin.h). Returns 0 or WEFT_E…, and in
     * *ret_text what the sender is told, allocated with malloc, or NULL. NULL: there are none.
     * [loop] */
    int (*on_command)(weft_node *node, const struct weft_command *command, char **ret_text,
                      void *user);
    /* Where set, log lines come here instead of to on_log, with the event a line tells of, or NULL.
     * [loop] */
    void (*on_record)(enum weft_log_level level, const char *text, const weft_event *event,
                      void *user);
} weft_options;

/* Fill with the defaults. [any] */
WEFT_API void weft_options_init(weft_options *options);

/* Open a node on a thread and loop of its own, listening when this returns. Dialling goes on
 * behind. If ret_error_text is not NULL it receives, on failure only, a sentence that names the
 * place and the remedy; free it with weft_free. [any, but not from a weft callback] Errors:
 * WEFT_EURL (self, advertise, listen, peers), WEFT_EADDRINUSE, WEFT_EADDRNOTAVAIL, WEFT_EACCESS,
 * WEFT_ERESOLVE, WEFT_EINVAL (an option out of range), WEFT_EBUSY (another process or node has the
 * address book), WEFT_ENOMEM, WEFT_EMFILE, WEFT_EIO. */
WEFT_API int weft_node_open(const weft_options *options, weft_node **ret_node);

/* As weft_node_open; on failure *ret_error_text gets a sentence that says what was wrong, where,
 * and what to do about it (or NULL when out of memory). Free it with weft_free. */
WEFT_API int weft_node_open_explain(const weft_options *options, weft_node **ret_node,
                                    char **ret_error_text);

/* Say goodbye to every peer, drain what is queued for up to linger_ms, save the address book, and
 * free the node with all its intents and interests. Other threads must be out of its functions.
 * NULL is ignored. [any thread but the loop's; from a callback of an own-thread node it is
 * WEFT_ELOOP] */
WEFT_API int weft_node_close(weft_node *node);

/* The node's FQN as it listens, with the real port. Lives as long as the node. [any] */
WEFT_API const char *weft_node_url(const weft_node *node);

typedef struct weft_dial_options {
    size_t size;
    bool persistent;         /* never give up; default true */
    uint32_t max_attempts;   /* consecutive failures before a non-persistent peer is given up; 10 */
    uint32_t backoff_ms;     /* first pause after a failure; default 1000 */
    uint32_t max_backoff_ms; /* longest pause; default 60000 */
    float multiplier;        /* growth of the pause; default 1.5 */
} weft_dial_options;
WEFT_API void weft_dial_options_init(weft_dial_options *options);

/* Put a peer into the address book as configured and dial it. It stays there until it is forgotten.
 * NULL options are the defaults. [any]
 * Errors: WEFT_EURL, WEFT_ESELF, WEFT_ENOTSUP (scheme), WEFT_ENOMEM, WEFT_ECLOSED. */
WEFT_API int weft_node_dial(weft_node *node, const char *url, const weft_dial_options *options);

/* Remove a peer from the address book and end the link to it, if any. [any]
 * Errors: WEFT_EURL, WEFT_ENOTFOUND, WEFT_ENOMEM. */
WEFT_API int weft_node_forget(weft_node *node, const char *url);

/* Wait until at least `count` peers are linked, timeout_ms at most (-1: for ever). [any but loop]
 * Errors: WEFT_ETIMEDOUT, WEFT_ECLOSED, WEFT_ELOOP. */
WEFT_API int weft_node_wait_peers(weft_node *node, unsigned count, int timeout_ms);

typedef struct weft_stats {
    uint64_t uptime_ms;
    uint32_t peers;     /* links established */
    uint32_t intents;   /* ours */
    uint32_t interests; /* ours */
    uint32_t remote_intents;
    uint32_t remote_interests;
    uint64_t messages_in, messages_out; /* over links; out: when queued, later drops included */
    uint64_t bytes_in, bytes_out;       /* over links, frames of every kind */
    uint64_t delivered;                 /* to interests of this node */
    uint64_t relayed;
    uint64_t dropped[WEFT_DROP_REASONS];
    uint64_t dials, dials_failed, refused;
    size_t outbox_bytes; /* queued for all peers */
} weft_stats;

/* A snapshot of the node's counters. [any] Errors: WEFT_ECLOSED. */
WEFT_API int weft_node_stats(weft_node *node, weft_stats *ret_stats);

typedef struct weft_peer_info {
    const char *url;     /* FQN */
    const char *path;    /* its path */
    const char *agent;   /* or "" */
    const char *state;   /* "linked", "handshake" */
    uint8_t node_id[16]; /* zeros for a base peer */
    enum weft_role role;
    bool inbound;      /* it dialled us */
    bool base;         /* speaks the base protocol alone */
    uint64_t features; /* as agreed, docs/protocol.md section 3 */
    uint64_t uptime_ms;
    uint64_t rtt_ns, jitter_ns; /* smoothed; 0 while unknown */
    uint64_t messages_in, messages_out, bytes_in, bytes_out;
    size_t outbox_bytes;
    uint64_t dropped[WEFT_DROP_REASONS];
    const char *last_error;   /* why the last link or dial ended, or "" */
    uint64_t next_dial_ms;    /* from now; UINT64_MAX: none is planned */
    uint32_t failed_attempts; /* dials that failed since the last link */
    bool persistent;          /* never given up */
} weft_peer_info;

/* The links as they are now, sorted by URL. Free with weft_peers_free. [any; waits for the loop]
 * Errors: WEFT_ENOMEM, WEFT_ECLOSED. */
WEFT_API int weft_node_peers(weft_node *node, weft_peer_info **ret_peers, size_t *ret_count);
WEFT_API void weft_peers_free(weft_peer_info *peers, size_t count);

typedef struct weft_route_info {
    const char *route;
    const char *peer; /* FQN of who declared it; NULL: this node */
    bool intent;      /* else an interest */
    uint32_t hops;
    uint32_t matches; /* counterparts */
    uint64_t messages;
    uint64_t dropped[WEFT_DROP_REASONS];
    const char *via; /* FQN of the link it came over, where that is not `peer`; else NULL */
    uint64_t schema; /* 0: unknown */
} weft_route_info;

/* The routes known now, ours and others', sorted. Free with weft_routes_free. [any; waits for the
 * loop] Errors: WEFT_ENOMEM, WEFT_ECLOSED. */
WEFT_API int weft_node_routes(weft_node *node, weft_route_info **ret_routes, size_t *ret_count);
WEFT_API void weft_routes_free(weft_route_info *routes, size_t count);

/* Where the name of a peer came from. Others may be added. */
enum weft_origin {
    WEFT_ORIGIN_CONFIGURED = 1, /* the program named it, or its configuration (in_config) */
    WEFT_ORIGIN_GOSSIP = 2,     /* another peer told of it */
    WEFT_ORIGIN_INBOUND = 3,    /* it dialled us */
    WEFT_ORIGIN_OBSERVED = 4,   /* what a peer calls itself; or it is banned; or was configured */
    WEFT_ORIGIN_OPERATOR = 5,   /* an operator added it; the configuration may name it, too */
};

/* One entry of an address book (docs/protocol.md section 3). Times are ns since the epoch, 0 for
 * never; durations are ns. */
typedef struct weft_addrbook_entry {
    const char *peer; /* FQN */
    uint32_t max_attempts;
    uint64_t default_backoff_ns, max_backoff_ns;
    float multiplier;
    uint32_t attempts;        /* dials made */
    uint32_t failed_attempts; /* consecutive failures */
    uint64_t last_success;
    uint64_t backoff_ns; /* the present pause */
    bool persistent;
    bool linked; /* of a live node: a link stands */
    uint8_t node_id[16];
    const char *source; /* FQN of who told us, or "" */
    enum weft_origin origin;
    const char *last_error; /* or "" */
    uint64_t banned_until;
    uint64_t added;
    bool dialing;          /* of a live node: a dial is under way */
    uint64_t next_dial_ns; /* of a live node: from now; 0: none is planned */
    bool in_config;        /* the configuration of the book's owner names it */
} weft_addrbook_entry;

typedef struct weft_addrbook {
    weft_addrbook_entry *entries; /* sorted by peer */
    size_t count;
    uint8_t node_id[16]; /* of the book's owner, zeros if unknown */
} weft_addrbook;

/* The node's own address book as it is now. Free with weft_addrbook_free. [any; waits for the loop]
 * Errors: WEFT_ENOMEM, WEFT_ECLOSED. */
WEFT_API int weft_node_addrbook(weft_node *node, weft_addrbook **ret_book);

/* Ask a linked peer for its address book (feature BOOK). [any but loop]
 * Errors: WEFT_ENOTFOUND (no link to url), WEFT_ENOTSUP (the peer lacks the feature), WEFT_EDENIED,
 * WEFT_ELIMIT (it is being asked already, its book is larger than max_frame, or it has no memory
 * to tell it), WEFT_ETIMEDOUT, WEFT_ELOST, WEFT_ELOOP, WEFT_ENOMEM, WEFT_ECLOSED. */
WEFT_API int weft_node_fetch_addrbook(weft_node *node, const char *url, int timeout_ms,
                                      weft_addrbook **ret_book);

/* Read an address-book file. Changes nothing. [any]
 * Errors: WEFT_ENOTFOUND, WEFT_ENOTSUP (not a regular file), WEFT_EACCESS, WEFT_EIO, WEFT_ECORRUPT,
 * WEFT_EVERSION (a newer weft wrote it), WEFT_ELIMIT (64 MiB), WEFT_ENOMEM. */
WEFT_API int weft_addrbook_load(const char *file, weft_addrbook **ret_book);
WEFT_API void weft_addrbook_free(weft_addrbook *book);

/* One round trip to a linked peer at the protocol level, PING to PONG. [any but loop]
 * Errors: WEFT_ENOTFOUND (no link to url), WEFT_ETIMEDOUT, WEFT_ELIMIT (8 are unanswered on this
 * link), WEFT_ELOST, WEFT_ELOOP, WEFT_ECLOSED. */
WEFT_API int weft_node_ping(weft_node *node, const char *url, int timeout_ms, uint64_t *ret_rtt_ns);

/* ---- Intents ------------------------------------------------------------------------------- */

typedef struct weft_publish_options {
    size_t size;
    enum weft_policy policy; /* default WEFT_BLOCK */
    uint32_t block_ms;       /* WEFT_BLOCK: longest wait for room; default 1000 */
    uint64_t schema;         /* fingerprint of the type's descriptor; 0: unknown */
    /* First interest (true) and last interest gone (false). NULL for none. [loop] */
    void (*on_match)(weft_intent *intent, bool interested, void *user);
    void *user;
} weft_publish_options;
WEFT_API void weft_publish_options_init(weft_publish_options *options);

/* Publish the intent to send messages of `route`, plain or hashed, under this node's path. It is
 * announced behind; weft_intent_wait tells when somebody listens. NULL options are the defaults.
 * Should the loop have no memory for it, WEFT_EVENT_ROUTE_REFUSED says so, and weft_send and
 * weft_intent_wait return WEFT_ENOMEM: close it and try again. [any] Errors: WEFT_EROUTE,
 * WEFT_EPATTERN, WEFT_ESCOPE, WEFT_ELIMIT (max_routes), WEFT_EINVAL, WEFT_ENOMEM, WEFT_ECLOSED. */
WEFT_API int weft_publish(weft_node *node, const char *route, const weft_publish_options *options,
                          weft_intent **ret_intent);

/* Send one message to everyone interested now; with nobody, it is a cheap no-op. The bytes are
 * copied or sent before this returns. [any; on the loop's own thread it never blocks] Errors:
 * WEFT_ETOOBIG, WEFT_ECLOSED, WEFT_ENOMEM: nothing sent. WEFT_EDROPPED: not queued for at least one
 * subscriber (its policy, counted); the others have it. */
WEFT_API int weft_send(weft_intent *intent, const void *data, size_t size);

/* As weft_send, all or nothing and without waiting, whatever the policy.
 * Errors: as weft_send, and WEFT_EAGAIN: some peer has no room, nothing was sent or counted. */
WEFT_API int weft_try_send(weft_intent *intent, const void *data, size_t size);

/* As weft_send without a copy: every subscriber shares the message. The caller keeps its reference
 * and must not write to the data any more. [any] Errors: as weft_send. */
WEFT_API int weft_send_msg(weft_intent *intent, weft_msg *msg);

/* Is anybody interested now? [any] */
WEFT_API bool weft_intent_interested(const weft_intent *intent);

/* Wait until somebody is interested, timeout_ms at most (-1: for ever). [any but loop]
 * Errors: WEFT_ETIMEDOUT, WEFT_ECLOSED, WEFT_ELOOP, WEFT_ENOMEM (see weft_publish). A leaf whose
 * router does not take the route hears of it here, as long as that stands: WEFT_EDENIED (it is
 * outside the router's path), WEFT_ELIMIT (no room; it is told again now and then, and may be taken
 * later), WEFT_EMALFORMED. A peer or client, which has others to hope for, waits on; all get
 * WEFT_EVENT_ROUTE_REFUSED. */
WEFT_API int weft_intent_wait(weft_intent *intent, int timeout_ms);

/* Withdraw. What was sent before is still delivered. The handle is gone when this returns; its
 * callback is not called again. NULL is ignored. [any, its own callback included] */
WEFT_API void weft_intent_close(weft_intent *intent);

/* ---- Interests ----------------------------------------------------------------------------- */

typedef struct weft_subscribe_options {
    size_t size;
    /* Deliver here, on the loop thread; the message is valid during the call, weft_msg_ref keeps
     * it. NULL: messages queue up for weft_recv. */
    void (*on_message)(weft_interest *interest, const weft_msg *msg, void *user);
    /* First publisher (true) and last publisher gone (false). NULL for none. [loop] */
    void (*on_match)(weft_interest *interest, bool matched, void *user);
    void *user;
    size_t queue;            /* without on_message: bytes queued at most; default 16 MiB */
    enum weft_policy policy; /* when the queue is full: default WEFT_BLOCK, which stops reading from
                                the publisher's link for up to block_ms */
    uint32_t block_ms;       /* default 1000 */
    uint64_t schema;         /* as in weft_publish_options */
} weft_subscribe_options;
WEFT_API void weft_subscribe_options_init(weft_subscribe_options *options);

/* Subscribe to a route: plain, hashed or pattern. Should the loop have no memory for it,
 * WEFT_EVENT_ROUTE_REFUSED says so, and weft_recv and weft_interest_wait return WEFT_ENOMEM: close
 * it and try again. [any]
 * Errors: WEFT_EROUTE, WEFT_ELIMIT (max_routes), WEFT_EINVAL, WEFT_ENOMEM, WEFT_ECLOSED. */
WEFT_API int weft_subscribe(weft_node *node, const char *route,
                            const weft_subscribe_options *options, weft_interest **ret_interest);

/* Take the next message, waiting timeout_ms at most (-1: for ever, 0: not at all). The caller owns
 * one reference: weft_msg_unref. That a leaf's router refuses the interest is no error here, as it
 * may take it yet: weft_interest_wait tells. [any; on the loop's thread only with timeout 0]
 * Errors: WEFT_ETIMEDOUT, WEFT_ECLOSED, WEFT_ELOOP, WEFT_EINVAL (the interest has on_message),
 * WEFT_ENOMEM (the message stays; or the interest was refused, see weft_subscribe). */
WEFT_API int weft_recv(weft_interest *interest, weft_msg **ret_msg, int timeout_ms);

/* A descriptor that polls readable while messages wait. The first call makes it; the interest
 * closes it. [any] Errors: WEFT_EMFILE, WEFT_ENOMEM, WEFT_EINVAL (the interest has on_message). */
WEFT_API int weft_interest_fd(weft_interest *interest);

/* Wait until somebody publishes it, timeout_ms at most (-1: for ever). [any but loop]
 * Errors: WEFT_ETIMEDOUT, WEFT_ECLOSED, WEFT_ELOOP, WEFT_ENOMEM (see weft_subscribe). A leaf whose
 * router does not take the route: WEFT_ELIMIT or WEFT_EMALFORMED, as weft_intent_wait. */
WEFT_API int weft_interest_wait(weft_interest *interest, int timeout_ms);

/* Messages this interest's own queue dropped. [any] */
WEFT_API uint64_t weft_interest_dropped(const weft_interest *interest);

/* Unsubscribe. When this returns no callback of it runs or will run (called from its own callback:
 * none after that one), weft_recv calls that waited have returned WEFT_ECLOSED, and the handle is
 * gone: a thread that receives in a loop must not come back to it. From another thread it waits for
 * a running callback: hold no lock that callback takes. NULL is ignored. [any] */
WEFT_API void weft_interest_close(weft_interest *interest);

/* ---- Messages ------------------------------------------------------------------------------ */

/* A message of `size` bytes with one reference. Errors: WEFT_ENOMEM, WEFT_ETOOBIG (over 64 MiB).
 * [any] */
WEFT_API int weft_msg_new(size_t size, weft_msg **ret_msg);

/* Its bytes; writable until it is first sent. [any] */
WEFT_API void *weft_msg_data(const weft_msg *msg);
WEFT_API size_t weft_msg_size(const weft_msg *msg);

/* Its route as published, or "". Lives as long as the message. [any] */
WEFT_API const char *weft_msg_route(const weft_msg *msg);

/* FQN of the publisher, or "". Lives as long as the message. [any] */
WEFT_API const char *weft_msg_sender(const weft_msg *msg);

/* When it was sent, ns since the epoch by the publisher's clock. [any] */
WEFT_API uint64_t weft_msg_time(const weft_msg *msg);

/* Keep a message beyond its callback, or share it. Returns the message to use from now on, which is
 * a copy where the callback's message lies in a read buffer; NULL when out of memory. [any] */
WEFT_API weft_msg *weft_msg_ref(const weft_msg *msg);

/* Give a reference back. NULL is ignored. [any] */
WEFT_API void weft_msg_unref(weft_msg *msg);

/* Free what weft handed out as plain memory. NULL is ignored. [any] */
WEFT_API void weft_free(void *p);

#ifdef __cplusplus
}
#endif

#endif
