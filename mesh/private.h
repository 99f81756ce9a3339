/* What the mesh's files share. */
#ifndef MESH_PRIVATE_H
#define MESH_PRIVATE_H

#include "mesh/mesh.h"

#define DIAL_TIMEOUT_NS (3 * NS_PER_SEC)
#define HANDSHAKES_MAX 100u /* inbound, at a time */
#define PING_IDLE_NS (2500 * NS_PER_MS)
#define DEAD_NS (10 * NS_PER_SEC)
#define HANDOVER_NS (5 * NS_PER_SEC) /* until GOODBYE at the latest; of silence, and it is over */
#define HANDOVERS_MAX 4u             /* links to one node that retire at a time */
#define TTL_NS (60 * NS_PER_SEC)
#define REFRESH_NS (TTL_NS / 3)
#define DIGEST_NS (30 * NS_PER_SEC)
#define RESYNC_MIN_NS (25 * NS_PER_SEC)
#define RESYNC_ANSWER_NS (1 * NS_PER_SEC)
#define RESYNC_MAX_NS (600 * NS_PER_SEC)
#define ANNOUNCE_NS (20 * NS_PER_MS) /* newly linked peers are announced together */
#define ASK_TIMEOUT_NS (10 * NS_PER_SEC)
#define ANSWER_MAX ((size_t)256 << 20)    /* bytes of all pieces of one answer, decoded */
#define QUERIES_MAX 4u                    /* of the other side that are open, a link */
#define INITIAL_LISTS_MAX (32u << 10)     /* bytes of routes in an INITIAL */
#define BATCH_BYTES (32u << 10)           /* of routes in an INTENTS or INTERESTS */
#define BATCH_MAX 512u                    /* routes */
#define BASE_FRAME_MAX 60000u             /* to a base peer */
#define PINGS_MAX 8u                      /* outstanding on a link */
#define REFUSALS_KEPT 256u                /* of a link, for its digest */
#define REFUSALS_MAX 8u                   /* RESULTs told about one list of routes ... */
#define REFUSALS_LEAF_MAX (2 * BATCH_MAX) /* ... to a leaf, whose programs wait for them */
#define SLICE_STEPS 100000u               /* of router_steps that a link may cost at once ... */
#define SLICE_NS (5 * NS_PER_MS)          /* ... in so much time */
#define PUT_OFF_MAX 500000u               /* declarations of all links that wait for a slice */
#define PEERS_NAMES_MAX 250u
#define TEXT_MAX 1024u
#define DISPLACED_TEXT "displaced by a newer link to the same node"

struct ping {
    uint64_t nonce; /* first 8 bytes of the payload; 0: free */
    uint64_t sent;  /* monotonic */
    uint64_t token; /* 0: our own, for liveness */
};

/* A declaration we refused: the other side counts it as registered, so that a digest must count it
 * too. */
struct refusal {
    uint64_t hash; /* route_digest */
    bool intent;
};

/* Declarations to one link, gathered until they fill a frame or the step ends. */
struct batch {
    bool intent;
    uint32_t count, bytes;
    struct str **strings; /* references held: route, origin */
    struct decl *decls;
};

/* A question of ours (inquiry.c). */
struct asking {
    uint64_t token; /* 0: none is open */
    uint64_t nonce; /* of the last one; 0: none yet */
    uint64_t deadline;
    size_t taken; /* bytes of the answer so far */
};

struct link_private {
    /* Some 4 KiB, until the link is UP: then what is still needed of its names is in `names`. NULL
     * from then on, unless there was no memory for those. */
    struct handshake *machine;
    char *names;
    const char *me, *dialled; /* what it calls us; what we dialled, or "" */
    uint64_t name_hash;       /* of the address it calls itself by, once it is identified */
    uint32_t met;    /* id of the latest link that there was when it was identified; 0: it is not */
    bool succeeded;  /* it displaced a link of a former incarnation: */
    uint64_t former; /* that one */
    bool guarded;    /* it came over a unix socket of ours, or from this process */
    bool spare;      /* it has a place beyond max_peers, or is about to be refused one */
    bool in_book;    /* its end is the book's to know: that was told of it, or of one before it */
    uint32_t book_entry;       /* reservation in the address book; 0: none */
    uint64_t connect_deadline; /* DIALING */
    uint64_t wake_at;          /* of what it waits for, the earliest, or before it; timers.c */
    uint32_t wake_slot;
    uint64_t last_rx, last_ping;
    bool probe_due; /* base: an INTENT was queued in this step */
    uint64_t probe; /* base: nonce of the PING behind the last INTENT; 0: answered, or none */
    struct ping pings[PINGS_MAX];

    /* INITIAL of both sides */
    struct control *initial;     /* the other side's, kept until DONE */
    uint64_t initial_generation; /* router_generation when ours was made */
    uint32_t initial_count;      /* declarations ours carried */
    bool initial_complete;       /* ours carried everything */
    uint32_t final_count;        /* declarations its FINAL said it takes */

    struct batch batch;
    /* Declarations are taken in slices where they cost much (routes.c) */
    struct control *declared; /* lists of which a part is still to be taken; NULL: none */
    size_t declared_at;       /* how much of them is taken */
    uint64_t declared_nonce;
    uint64_t slice_began;
    uint64_t slice_steps; /* that its declarations took since then */
    uint64_t slice_at;    /* when it goes on; NEVER: it is not stalled */

    struct refusal *refusals; /* what it registered and we shall never take */
    uint32_t n_refusals;
    bool broken;      /* output was lost: to be closed */
    bool overrun;     /* it was lost because the other side does not read what it asks for */
    bool unannounced; /* other peers have not been told of it */
    bool resyncing;   /* we asked for full lists; the DIGEST that ends them is awaited */
    uint64_t next_resync, resync_pause;
    uint64_t next_answer; /* its wish for the full lists is not heard before */
    uint64_t digest_at, refresh_at, expire_at;
    uint64_t ask_token, ask_deadline; /* an address book was asked for */
    struct asking asked;
    uint64_t queries[QUERIES_MAX]; /* nonces of those that we have not answered */
    unsigned n_queries;
    uint64_t last_pong_transit; /* for jitter */

    /* Handing over (handover.c) */
    uint32_t displaced_by; /* the link that won over this one; 0: none */
    uint64_t goodbye_by;   /* RETIRING: when GOODBYE is due, agreed or not */
    bool said_goodbye;     /* behind our last message: nothing is sent any more */
    bool heard_goodbye;    /* behind its last message */
    bool agreed;           /* a DIGEST agreed: we have all its interests */
    bool handed_over;      /* both have said GOODBYE: it ends with this step */
    bool held;             /* its messages wait for the end of one that it displaced */
};

/* A link in the heap, beside its wake_at: a walk of the heap reads no link (timers.c). */
struct timer {
    uint64_t at;
    struct mesh_link *link;
};

struct mesh {
    const struct mesh_ops *ops;
    void *ctx;
    struct url self;
    struct url given; /* self as configured; differs where others told us our host */
    struct handshake_self me;
    struct handshake_self asking; /* me under the given name: the other side says what it sees */
    bool in_doubt;                /* of what others told: a link ended as if we had moved */
    char *network, *agent;
    struct prng prng;
    struct router *router;
    struct addrbook *book;
    struct list links;
    uint32_t next_id, up, inbound_handshakes;
    uint32_t max_peers;
    uint32_t displaced; /* links that another has won over */
    uint64_t last_stamp;
    struct timer *timers; /* binary heap by time; room for n_links */
    uint32_t n_timers, cap_timers, n_links;
    uint64_t not_before; /* in a tick: no link is armed for a time before */
    uint64_t announce_at;
    bool leaving;
    bool sliced;        /* in a tick: some link had its slice */
    size_t put_off;     /* declarations that wait for one */
    bool any_broken;    /* some link may be, or handed_over */
    struct buf scratch; /* frames under construction */
    struct mesh_counts counts;
    struct { /* our observed host, and who said so */
        char host[URL_MAX + 1];
        uint8_t witness[16];
    } observed;
};

/* A link that was UP is gone for this reason: has our address changed? Until two peers agree on one
 * again, each one on another host is asked. */
void greet_doubt(struct mesh *m, const struct mesh_link *l, int error);

/* A timestamp for a header, strictly increasing over this node's life. */
uint64_t mesh_stamp(struct mesh *m, struct moment now);

void mesh_log(struct mesh *m, enum weft_log_level level, const char *format, ...) PRINTF_LIKE(3, 4);
void mesh_event(struct mesh *m, enum weft_event_type type, const struct mesh_link *l,
                const char *route, int error, const char *text);
/* A declaration was refused, by us or by the other side. */
void mesh_route_event(struct mesh *m, const struct mesh_link *l, const char *route, bool intent,
                      int error, const char *text);

/* ---- link.c ---- */

const char *link_name(
    const struct mesh_link *l); /* its FQN, what was dialled, or where it comes from */

/* The name under which the address book may know it. Where it comes from another host and calls
 * itself by what leads to a place on our own, which we would dial, that is the one we dialled it
 * by, or "". */
const char *link_book_name(const struct mesh_link *l);

/* Encode and queue one control message. Failure marks the link broken. */
void link_send(struct mesh *m, struct mesh_link *l, const struct control *c, enum lane lane,
               bool want_result, struct moment now);
/* Is the frame that it would make no larger than the other side takes? Errors: WEFT_ELIMIT,
 * WEFT_ENOMEM. */
int link_takes(struct mesh *m, const struct mesh_link *l, const struct control *c);
void link_send_result(struct mesh *m, struct mesh_link *l, uint64_t nonce, int error,
                      const char *text, struct moment now);
/* The same, of a declaration that is not taken. */
void link_send_refusal(struct mesh *m, struct mesh_link *l, uint64_t nonce, const struct decl *d,
                       bool intent, int error, const char *text, struct moment now);

/* End a link with a reason; the other side is told by RESULT (`tell`), or GOODBYE where `goodbye`
 * is not 0 and it knows that. Frees the link. */
void link_end(struct mesh *m, struct mesh_link *l, int error, const char *text, bool tell,
              enum goodbye_reason goodbye, struct moment now);

struct mesh_link *link_new(struct mesh *m, bool outbound);

/* Its output was lost: it ends with this step. */
void link_break(struct mesh *m, struct mesh_link *l);

/* The handshake has identified the other side. */
void link_identify(struct mesh_link *l);

/* The handshake is over: keep the names alone. */
void link_drop_machine(struct mesh_link *l);

/* Does a URL, which may be "" or no URL, name the same listener? */
bool same_address(const char *text, const struct url *url);

/* Do the nodes behind two links call themselves by the same address? Both must be identified. */
bool link_same_name(const struct mesh_link *a, const struct mesh_link *b);

/* Do two links lead to the same node? One must be identified; one that is not leads to nobody. */
bool link_same_node(const struct mesh_link *a, const struct mesh_link *b);
bool link_identified(const struct mesh_link *l);

/* A link of another node that calls itself by the same address, or NULL. A name belongs to whom we
 * dialled under it, else to who had it first, as long as that link stands. */
struct mesh_link *link_other_there(struct mesh *m, const struct mesh_link *l);

/* Will the other side be UP when it reads what we send now? */
bool link_is_up_there(const struct mesh_link *l);

/* ---- timers.c ---- */

/* Errors: WEFT_ENOMEM. */
int timers_add(struct mesh *m, struct mesh_link *l);
void timers_remove(struct mesh *m, struct mesh_link *l);
/* Something may have to be done for the link at `when`, if not before. */
void link_arm(struct mesh *m, struct mesh_link *l, uint64_t when);
uint64_t timers_deadline(const struct mesh *m); /* NEVER: nothing waits */
/* Take one whose time has come; it is not armed any more. NULL: none. */
struct mesh_link *timers_next_due(struct mesh *m, uint64_t mono_ns);

/* ---- handover.c: from one link to another, to the same node ---- */

/* `l` has won over `old`. False: old cannot be handed over, end it. */
bool handover_begin(struct mesh *m, struct mesh_link *old, struct mesh_link *l);
/* Is `old` on its way out already, so that only the one that displaced it counts against `l`? */
bool handover_under_way(struct mesh *m, struct mesh_link *old, struct mesh_link *l);
/* How many links step back when `l` goes UP. */
uint32_t handover_yielding(const struct mesh *m, const struct mesh_link *l);
/* The link is UP: those that it displaced step back. False: it stepped back itself. */
bool handover_up(struct mesh *m, struct mesh_link *l, struct moment now);
/* A DIGEST has agreed with what we hold. May mark other links handed_over. */
void handover_agreed(struct mesh *m, struct mesh_link *l, struct moment now);
/* GOODBYE for a displaced link. False: it does not retire, end it. True: it may be gone. */
bool handover_goodbye(struct mesh *m, struct mesh_link *l, struct moment now);
/* The link ends; it is off the list. */
void handover_ended(struct mesh *m, struct mesh_link *l, struct moment now);
/* End a link that is marked handed_over. */
void handover_finish(struct mesh *m, struct mesh_link *l, struct moment now);
/* It retires, and has waited for a DIGEST that agrees as long as it may. */
void handover_hurry(struct mesh *m, struct mesh_link *l, struct moment now);
/* It retires, and nothing comes any more. */
bool handover_over(const struct mesh_link *l, uint64_t mono_ns);

/* ---- greet.c: the handshake's part ---- */

void greet_start(struct mesh *m, struct mesh_link *l, const struct url *dialled,
                 const char *remote_host, struct moment now);
/* Takes the message over. The link may be gone after these. */
void greet_handshake(struct mesh *m, struct mesh_link *l, struct control *c, uint64_t stamp,
                     struct moment now);
/* The link ended: of those that have the same name the first made enters the book, where none is
 * there yet. */
void greet_heir(struct mesh *m, const struct mesh_link *l, struct moment now);
void greet_peers(struct mesh *m, struct mesh_link *l, const struct control *c, uint64_t nonce,
                 struct moment now);
/* It declares routes. False: its place is for questions alone, and it is gone. */
bool greet_declares(struct mesh *m, struct mesh_link *l, struct moment now);

/* ---- gossip.c ---- */

void gossip_send_all(struct mesh *m, struct mesh_link *l, struct moment now);
void gossip_announce(struct mesh *m, struct moment now); /* when announce_at has come */
void gossip_receive(struct mesh *m, struct mesh_link *l, const struct control *c, uint64_t nonce,
                    struct moment now);
void gossip_depart(struct mesh *m, struct mesh_link *l, struct moment now);

/* ---- advert.c ---- */

void advert_flush(struct mesh *m, struct moment now);
void batch_clear(struct batch *b);

/* ---- routes.c: INTENT(S), INTEREST(S), DIGEST ---- */

/* Take the lists of a frame or a HANDSHAKE; what they hold may become the link's own. */
void routes_receive(struct mesh *m, struct mesh_link *l, struct control *c, uint64_t nonce,
                    struct moment now);
/* Go on with what was put off: a slice of it, or all. */
void routes_tick(struct mesh *m, struct mesh_link *l, struct moment now);
void routes_finish(struct mesh *m, struct mesh_link *l, struct moment now);
void routes_abandon(struct mesh *m, struct mesh_link *l);
/* A refusal names `nonce`, the timestamp of the frame that declared. */
void digest_send(struct mesh *m, struct mesh_link *l, bool resync, struct moment now);
void digest_receive(struct mesh *m, struct mesh_link *l, const struct control *c,
                    struct moment now);

/* ---- live.c ---- */

void live_start(struct mesh *m, struct mesh_link *l, struct moment now); /* link is UP */
void live_ping(struct mesh *m, struct mesh_link *l, uint64_t token, struct moment now);
/* PING behind what is queued in the ordered lane; its PONG tells that a base peer has read all of
 * it. */
void live_probe(struct mesh *m, struct mesh_link *l, struct moment now);
void live_receive_ping(struct mesh *m, struct mesh_link *l, const struct control *c,
                       const struct header *h, struct moment now);
void live_receive_pong(struct mesh *m, struct mesh_link *l, const struct control *c,
                       struct moment now);
/* Timers of one link. May end it. */
void live_tick(struct mesh *m, struct mesh_link *l, struct moment now);
/* Answer all that waits for this link. */
void live_abandon(struct mesh *m, struct mesh_link *l);

/* ---- inquiry.c: QUERY and ANSWER ---- */

void inquiry_receive_query(struct mesh *m, struct mesh_link *l, const struct control *c,
                           const struct header *h, struct moment now);
/* `size` is the body's. */
void inquiry_receive_answer(struct mesh *m, struct mesh_link *l, const struct control *c,
                            size_t size, struct moment now);
/* Does the RESULT, which is no RESULT 0, answer a question of ours? Then it is dealt with. */
bool inquiry_receive_result(struct mesh *m, struct mesh_link *l, const struct control *c);
void inquiry_tick(struct mesh *m, struct mesh_link *l, struct moment now);
void inquiry_abandon(struct mesh *m, struct mesh_link *l, int error);

/* ---- book.c ---- */

void book_receive(struct mesh *m, struct mesh_link *l, const struct control *c,
                  const struct header *h, struct moment now);
void book_dial(struct mesh *m, struct moment now); /* dial all that is due */

#endif
