/* What the files of node/ share: the composition root's own structures.
 *
 * Kinds of state, and who may touch them:
 *
 * - loop: the loop's thread alone, without a lock. Mesh, connections, alias tables.
 * - plane: who holds node->plane. Fan-outs of our intents, outboxes, the list for callbacks, posted
 *   commands, counters of what was sent. Held for short, and never while user code runs.
 * - token: who set outbox->writing under plane. What of an outbox is being written.
 * - a queue's two locks (queue.c): what waits for weft_recv. Taken after plane, never before.
 *
 * docs/internals/node.md has the drawing of a message's way. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <pthread.h>
#include <stdatomic.h>

#include <uv.h>

#include <weft/uv.h>
#include <weft/weft.h>

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "mesh/mesh.h"
#include "node/flow.h"
#include "node/outbox.h"
#include "node/report.h"
#include "transport/transport.h"

#define TEXT_SIZE 1024         /* of a sentence on what went wrong */
#define RX_BUFFER (256u << 10) /* one a node: where all links read to */
#define RX_PEEK (16u << 10)    /* read behind a large frame, to see how large the next is */
#define RELAY_BLOCK_MS 1000u   /* a relay waits so long for room at a leaf, then drops */
#define SAVE_NS (120 * NS_PER_SEC)
#define REBUILD_NS (100 * NS_PER_MS)   /* until fan-outs are tried again */
#define CONTROL_MAX ((size_t)64 << 20) /* the full state of a million routes fits */
#define BASE_FRAME_BYTES 60000u
#define BASE_SEEN_PAUSE_NS                                                                         \
    (1500 * NS_PER_US)                  /* from the sign that INTENT was read to a message         \
                                         */
#define BASE_UNSEEN_PAUSE_NS NS_PER_SEC /* where that sign does not come */
#define BASE_RETRY_NS NS_PER_MS

/* ---- Connections (conn.c, writer.c) ---- */

enum conn_state {
    CONN_OPEN,     /* belongs to a mesh link (or will, while it connects) */
    CONN_DRAINING, /* the link is gone: writes what is queued, reads nothing but the end */
    CONN_CLOSING   /* waits for on_closed */
};

struct conn {
    weft_node *node;
    struct list list_node;  /* node->conns */
    struct map_node by_id;  /* node->conns_by_id, once it has a link */
    struct mesh_link *link; /* NULL once the link is gone */
    struct stream *stream;
    enum conn_state state;
    bool connected, ended, up, base, compact;
    uint32_t id; /* of the link */

    struct outbox out; /* plane */

    /* writing: who holds the outbox's token */
    struct list flight;
    size_t flight_done; /* bytes of it that are written */
    struct trail trail; /* what was written before */

    /* writing; loop */
    bool writing;          /* the loop holds the token until on_written */
    bool shut;             /* our side is shut down */
    struct buf base_frame; /* base: the frame under way */
    uint64_t drain_deadline;
    uint64_t retry_at;   /* base: when to try the next frame; NEVER */
    uint64_t hold_until; /* base: no message before */

    /* reading; loop */
    struct buf partial; /* bytes of a frame that is not whole, or all unread while paused */
    bool in_shared;     /* on_alloc handed out the node's buffer, with `partial` at its front */
    bool large;         /* the last frame did not fit there: the next may not either */
    size_t rx_max;      /* the largest frame it may send */
    size_t rx_agreed;   /* the limit when it began, which may have been lowered since */
    struct alias_table aliases;
    uint32_t last_alias; /* cache of the table */
    struct flow *last_flow;
    bool stalled;         /* no frame is taken: the mesh has others come first */
    bool held;            /* no message is taken: an older link to the node is read to its end */
    bool retired;         /* no message is queued: another link carries them */
    uint32_t replaced_by; /* id of the link in its place, as far as that has interests; 0: none */
    bool discarding;      /* the link is given up: what is still read is counted */
    bool paused;          /* some target has no room, or it is held: nothing is read */
    uint64_t pause_until;
    struct list paused_node; /* node->paused */
    struct str *name;        /* FQN: sender of its messages; made for the first flow (flow.c) */
    uint64_t messages_in, bytes_in;
};

extern const struct stream_handler conn_handler;
struct conn *conn_new(weft_node *node);
struct conn *conn_find(const weft_node *node, uint32_t id); /* NULL: gone */
void conn_dial(weft_node *node, struct mesh_link *link, const struct url *url);
void conn_accept(weft_node *node, struct stream *stream);
/* The link is over: drain and close. */
void conn_release(struct conn *c, bool drain);
void conn_close(struct conn *c);
/* Free the node's buffer for large frames, if none came of late. */
void conn_drop_large(weft_node *node);
/* Parse what was read while paused, and read on. */
void conn_resume(struct conn *c);
void conn_flush(struct conn *c);
/* base: have it flushed then. */
void conn_retry_at(struct conn *c, uint64_t mono);
/* Continue after on_written. */
void conn_written(struct conn *c, int error);
/* The link is over: keep apart what was written of the flight. plane held, nobody writes */
void conn_land_part(struct conn *c);
/* Nobody but the loop writes from here on, and nobody else is still at it. */
void conn_stop_senders(struct conn *c);

/* A sender's own writing, in three steps. Take the token and what waits, or false. plane held */
bool conn_take(struct conn *c, size_t bytes);
/* Write as much as the kernel takes. Returns what conn_give wants. No lock held. */
int conn_write_taken(struct conn *c);
/* Take the token of a connection for which nothing waits, and write one frame from where it lies.
 * Returns what conn_give wants. plane is held, and released meanwhile: the flow may go. */
int conn_write_through(struct conn *c, uint32_t alias, const uv_buf_t bufs[2]);
/* Give the token back. plane held; returns as node_post. */
bool conn_give(struct conn *c, int result);

/* ---- Bulk (bulk.c): outboxes that senders write, and the tick that looks after them ---- */

int bulk_open(weft_node *node); /* WEFT_EMFILE, WEFT_ENOMEM: senders do not write, then */
void bulk_close(weft_node *node, uv_close_cb on_closed);
/* plane held; returns as node_post. */
bool bulk_enter(weft_node *node, struct outbox *o);
void bulk_leave(struct outbox *o);
void bulk_arm(weft_node *node); /* loop */

/* ---- Delivery (deliver.c) ---- */

struct incoming {
    const uint8_t *data;
    size_t size;
    uint64_t time;
    uint32_t type; /* MSG_MESSAGE, or a user type */
};
/* Hand a message to a flow's targets. False: some target has no room and may get it; nothing was
 * delivered, pause the link. loop */
bool deliver(weft_node *node, struct conn *from, struct flow *flow, const struct incoming *in,
             bool may_pause);
/* The same where all targets are callbacks of this node, which always have room. loop */
void deliver_calls(weft_node *node, struct flow *flow, const struct incoming *in);
/* Call an interest's callback. loop */
void deliver_call(weft_node *node, weft_interest *interest, const weft_msg *msg);
/* Run what other threads sent to callbacks of this node. Returns how many messages. loop */
size_t deliver_local(weft_node *node);

/* Messages that threads of this node sent to its callbacks, on their way to the loop. plane */
struct local_queue {
    weft_msg *head, **tail;
    size_t bytes;
};
void local_init(struct local_queue *q);
void local_clear(struct local_queue *q);
/* The flow dies: its messages have nowhere to go. */
void local_forget(struct local_queue *q, const struct flow *flow);
#define LOCAL_COST sizeof(weft_msg) /* of an empty message */
static inline bool local_has_room(const struct local_queue *q, size_t limit, size_t size)
{
    return q->bytes == 0 || q->bytes + size + LOCAL_COST <= limit;
}
/* Queue by policy; takes the caller's reference over. Errors: WEFT_EDROPPED, counted, the reference
 * is released. */
int local_put(weft_node *node, struct flow *flow, weft_msg *msg, enum weft_policy policy);

/* ---- Interests and intents ---- */

struct command {
    struct list node;
    void (*run)(weft_node *node, struct command *command); /* loop */
};

/* What both have: `command` opens the handle on the loop, and closes it later. A close that comes
 * before the opening has run is left to that, so that one command does. `route` and `schema` are
 * for the opening. */
struct weft_intent {
    weft_node *node;
    struct flow *flow;      /* plane; NULL until it is opened */
    struct list flow_node;  /* own_flow->handles; loop */
    struct list list_node;  /* node->intents; plane */
    struct command command; /* plane */
    struct str *route;      /* NULL once it is opened; loop */
    uint64_t schema;
    struct {
        void (*on_match)(weft_intent *intent, bool interested, void *user);
        void *user;
        enum weft_policy policy;
        uint32_t block_ms;
    } options;
    int error; /* it could not be opened; plane */
    atomic_bool closed;
    atomic_bool interested;
    bool opened, close_wanted; /* plane */
};

struct weft_interest {
    weft_node *node;
    struct router_interest *rec; /* loop */
    struct list list_node;       /* node->interests; plane */
    struct list match_node;      /* node->matched; loop */
    struct command command;      /* plane */
    struct str *route;           /* NULL once it is opened; loop */
    uint64_t schema;
    struct {
        void (*on_message)(weft_interest *interest, const weft_msg *msg, void *user);
        void (*on_match)(weft_interest *interest, bool matched, void *user);
        void *user;
        enum weft_policy policy;
        uint32_t block_ms;
    } options;
    atomic_int error; /* it could not be opened */
    atomic_bool closed;
    bool opened, close_wanted; /* plane */
    bool matched;              /* plane; the loop alone writes it */
    int refusal;               /* a leaf's: its router does not take it; plane */
    uint64_t declared_after;   /* the mesh's last stamp when it was opened; loop */

    _Atomic(struct queue *) queue; /* for weft_recv; NULL: nothing came and nobody asked */
    size_t queue_limit;
    atomic_uint_fast64_t dropped;
    atomic_uint_fast64_t no_memory; /* so many of them for want of memory */
    atomic_uint_fast64_t called;    /* times its callback was; the loop alone counts */
};

/* ---- Queues (queue.c): what waits for weft_recv ---- */

struct parcel;                    /* records.h */
void queue_free(struct queue *q); /* NULL is ignored */
/* The interest is closed: nobody is left in weft_recv once this returns. */
void queue_expel(weft_interest *i);
/* The interest's error is set: whoever waits for a message hears of it. */
void queue_refused(weft_interest *i);
/* How long a message may wait for room; 0: there is room, or it must not wait. A wait that begins
 * is ended by weft_recv. */
uint32_t interest_wait_ms(weft_interest *i, size_t size);
/* Queue a message for weft_recv, by the interest's policy. False: dropped and counted. `promised`:
 * it need not wait, said interest_wait_ms just now. */
bool interest_push(weft_interest *i, const struct parcel *p, bool promised);
/* The same if nothing has to be dropped or waited for. False: nothing happened. */
bool interest_push_at_once(weft_interest *i, const struct parcel *p);
uint64_t queue_pushed(const weft_interest *i); /* messages that ever came in */
/* Would it be dropped, for want of room? */
bool interest_refuses(weft_interest *i, size_t size);
/* Add what its queue dropped, by reason. */
void interest_add_drops(const weft_interest *i, uint64_t dropped[WEFT_DROP_REASONS]);
void interest_no_memory(weft_interest *i); /* count one that was dropped for want of memory */
void interest_handle_free(weft_interest *i);
void interest_settle_matches(weft_node *node);
void intent_handle_free(weft_intent *i);
void intent_tell(weft_node *node);

/* ---- Named peers (named.c) ---- */

/* The option `peers`; NULL: none is given, and nothing is let go. Errors as weft_node_open, with a
 * sentence in text[TEXT_SIZE]. loop */
int named_open(weft_node *node, const char *const *peers, char *text);
/* As weft_node_dial, and who says so. [any] */
int named_add(weft_node *node, const char *url, enum addrbook_by by,
              const weft_dial_options *options);
/* As weft_node_forget, for an operator: 1 where the configuration names it, too, and it stays as
 * that. [any] */
int named_remove(weft_node *node, const char *url);

/* ---- Refusals (refusal.c): what a leaf's only router does not take. loop ---- */

/* `stamp`: as mesh_ops.refused. What was opened since had no part in that. */
void refusal_note(weft_node *node, const char *route, bool intent, int error, uint64_t stamp);
void refusal_lift(weft_node *node); /* all is declared anew, or to another */
/* Of a new interest: others in the route may be refused already. plane held */
void refusal_inherit(weft_node *node, weft_interest *i, const char *route);

/* ---- The node ---- */

/* An event or a log line on its way to the program: callbacks never run below the mesh. */
struct owned_event {
    struct list node;
    weft_event event; /* strings are owned; type 0: none, a log line alone */
    const char *line; /* for the log, owned; NULL: for on_event */
    enum weft_log_level level;
};

/* What waits for the loop. */
enum todo {
    TODO_COMMANDS = 1, /* node->commands */
    TODO_LOCAL = 2,    /* node->local */
    TODO_RESUME = 4,   /* room was made: paused connections may go on */
    TODO_FLUSH = 8,    /* node->dirty */
    TODO_TICK = 16,    /* node->bulk: the timer must run */
};

struct weft_node {
    weft_options options; /* scalars and callbacks; strings below. Limits: plane, but as follows */
    atomic_uint max_frame;
    atomic_int log_level;
    char *network, *addrbook_file, *agent, *path;
    struct url self;      /* as listened on, or our nominal name */
    struct str *url_text; /* sender of our messages; set once it listens */
    enum role role;

    uv_loop_t *loop;
    uv_loop_t own_loop;
    bool owns_loop;
    uv_thread_t thread, loop_thread;
    uv_async_t wake;
    uv_timer_t timer;
    uv_poll_t tick; /* of tick_fd */
    int tick_fd;    /* a timer finer than libuv's; -1: none */
    bool ticking;
    unsigned handles; /* uv handles and streams still to be closed */

    struct mesh *mesh;
    struct list conns;      /* of struct conn */
    struct map conns_by_id; /* by id of their link */
    struct gather *gather;  /* scratch of the rebuild (flow.c) */
    uint64_t rebuild_at;    /* a fan-out could not be built for want of memory; NEVER: all were */
    struct list listeners;  /* of struct node_listener */
    uint64_t accept_told;   /* when a failed accept was last logged; monotonic, 0: never */
    struct list paused;     /* of struct conn */
    struct list matches;    /* of struct flow: handles to be told */
    struct list matched;    /* of weft_interest: to be told */
    struct list events;     /* of struct owned_event */
    struct incidents incidents;
    struct list asked, answered;    /* of struct ask: under way, and to be called back */
    struct list questions, answers; /* of struct answer: to be begun, and under way */
    size_t answer_bytes;            /* of the answers */
    uint8_t *rx;                    /* RX_BUFFER */
    struct buf large; /* for the next frame that does not fit into rx; NULL: none kept */
    bool large_used;  /* since the last tick of the timer */
    struct msg_pool *pool;
    unsigned depth;  /* of entries from the loop */
    bool delivering; /* a callback runs: no direct delivery below it */
    bool unsettled;  /* an entry has caused something that node_leave must see to */
    bool leaving, closing_handles, save_failed;
    bool refused;                     /* some route of ours may be, by our router */
    struct weft_book_lock *book_lock; /* held while we are open; NULL: not needed, or impossible */
    uint64_t save_at;
    uint64_t conns_at; /* no connection's own time is up before */
    uint8_t node_id[16];
    uint32_t alias_key; /* random: of all alias tables */
    struct command leave_cmd;
    uv_sem_t running; /* the own thread has started */
    uint64_t started;
    uint64_t armed;                                     /* when the timer fires */
    bool in_timer;                                      /* its callback runs */
    uint64_t delivered, relayed, messages_in, bytes_in; /* loop */
    uint64_t next_token;
    void (*on_detached)(void *user);
    void *detached_user;

    pthread_mutex_t plane;
    pthread_cond_t changed; /* peers, matches, finished calls */
    pthread_cond_t room;    /* some outbox or queue has room again */
    unsigned room_waiters;
    atomic_bool wake_sent;
    atomic_uint todo; /* of enum todo: set under plane, looked at by the loop without it */
    bool closed;      /* takes no more calls */
    struct list commands;
    struct list dirty;           /* of struct outbox */
    struct list bulk;            /* of struct outbox */
    uint64_t stamp, stamp_ticks; /* the clock as last read for a message, and when */
    struct list intents, interests;
    struct local_queue local;       /* for callbacks of this node */
    struct local_queue local_batch; /* what the loop is at */
    struct alias_table flows;       /* those with targets, by our alias, for counting drops */
    struct list spare_chunks;
    uint32_t n_spare;
    uint32_t up_count;
    uint32_t routes_open;
    struct list calls_waiting; /* of struct call, for an answer by token */
    uint64_t dropped[WEFT_DROP_REASONS];
    uint64_t messages_out, bytes_out; /* of connections that are gone, and control frames */
    uint64_t queued_here;             /* messages of this node's threads to its own queues */
};

static inline void plane_lock(weft_node *node)
{
    pthread_mutex_lock(&node->plane);
}

static inline void plane_unlock(weft_node *node)
{
    pthread_mutex_unlock(&node->plane);
}

/* plane held; returns as node_post. */
bool node_todo(weft_node *node, enum todo what);

struct moment node_now(void);
uint64_t mono_ns(void);
uint64_t wall_ns(void);
bool on_loop(const weft_node *node);

/* loop.c */
void node_enter(weft_node *node);
void node_leave(weft_node *node);         /* settles when the outermost entry ends */
void node_leave_lightly(weft_node *node); /* the same, of an entry that only called callbacks */
/* Run a command on the loop. plane is held; returns whether the caller must call node_wake after
 * unlocking. */
bool node_post(weft_node *node, struct command *command);
void node_wake(weft_node *node);
/* The loop has something to do; plane held; returns as node_post. */
bool node_request_wake(weft_node *node);
/* Count a new intent or interest, list it and post its command. Errors: WEFT_ECLOSED, WEFT_ELIMIT.
 */
int node_post_open(weft_node *node, struct list *list, struct list *member,
                   struct command *command);
/* Mark an outbox for writing by the loop. plane is held; returns as node_post. */
bool node_mark_dirty(weft_node *node, struct outbox *o);
/* A message was queued: have it written, unless that is under way. plane is held; returns as
 * node_post. */
bool node_queued(weft_node *node, struct outbox *o);
/* Run fn on the loop and wait for it. Errors: what fn returns, WEFT_ECLOSED. */
int node_call(weft_node *node, int (*fn)(weft_node *node, void *arg), void *arg);
/* As node_call, but fn begins something that mesh answers by token. */
int node_ask(weft_node *node, int timeout_ms,
             int (*begin)(weft_node *node, uint64_t token, void *arg), void *arg,
             void (*take)(void *arg, uint64_t rtt, const struct book_record *records,
                          size_t count));
void node_answer(weft_node *node, uint64_t token, int error, uint64_t rtt,
                 const struct book_record *records, size_t count);
void node_rearm(weft_node *node);
/* Wait on a condition with plane held. False: the time is up. deadline: monotonic, NEVER for none.
 */
bool node_wait(weft_node *node, pthread_cond_t *cond, uint64_t deadline);
uint64_t deadline_after(int timeout_ms); /* monotonic; NEVER for a negative timeout */
void cond_init(pthread_cond_t *cond);    /* on the monotonic clock */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline);
void node_log(weft_node *node, enum weft_log_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* A log line that tells of an event; where the program takes no records it is a line as any. */
void node_record(weft_node *node, enum weft_log_level level, const weft_event *event,
                 const char *format, ...) PRINTF_LIKE(4, 5);
void node_event(weft_node *node, const weft_event *event);
void node_dispatch_events(weft_node *node);
void node_drop_events(weft_node *node);
/* Settle in a turn of the loop's own: for calls made on its thread outside any entry. */
void node_request_turn(weft_node *node);

/* glue.c */
extern const struct mesh_ops node_mesh_ops;

/* bookfile.c */
/* Lock the file and read it. What is damaged is set aside and told, what is sound in it kept.
 * `text` (TEXT_SIZE) gets a sentence on failure. Errors: WEFT_EBUSY (another node or tool has it),
 * WEFT_ENOTSUP (a folder, a pipe or a device), WEFT_EACCESS, WEFT_EIO, WEFT_ENOMEM. */
int bookfile_load(weft_node *node, struct addrbook_file *ret_file, bool *ret_found, char *text);
void bookfile_save(weft_node *node);
void bookfile_close(weft_node *node); /* others may have it; harmless where it is not held */

/* node.c */
int node_random(void *out, size_t size); /* Errors: WEFT_EIO. */
struct node_listener {
    struct list node;
    weft_node *owner;
    struct listener *listener;
    char *url; /* as bound */
};
/* listen.c: listen on self and all of listen, and make what was bound our name. `text` (TEXT_SIZE)
 * gets a sentence on failure. */
int node_listen(weft_node *node, const weft_options *o, char *text);
void node_maybe_gone(weft_node *node);
void node_check_left(weft_node *node);

/* info.c */
weft_addrbook *book_from_records(const struct book_record *records, size_t count);
/* Its strings are the entry's. */
struct book_record record_from_entry(const weft_addrbook_entry *e);

/* options.c */
int options_check(const weft_options *options, struct url *ret_self, enum role *ret_role,
                  char *text, size_t size);

#endif
