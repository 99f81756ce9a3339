/* A whole mesh under a fuzzer: one real mesh on a virtual clock, and peers that an input plays.
 *
 *     input   8 bytes of configuration, then records
 *     record  u8 op | u8 slot | u8 a, b, c, d | u8 n | n bytes
 *
 * Every input is a session: what is missing is 0, what is too large wraps. A slot is a connection,
 * seen from the other side. */
#ifndef TESTS_FUZZ_SESSION_H
#define TESTS_FUZZ_SESSION_H

#include "fuzz.h"
#include "mesh/mesh.h"
#include "proto/route.h"

#define CONFIG_SIZE 8u
#define RECORD_HEAD 7u
#define SLOTS 160u
#define ROUTES_OPEN 64u /* of the mesh's program */

enum op {
    OP_CONNECT, /* a: who, b: 1 local, b / 16: so many more */
    OP_OPENED,  /* answer a dial. a: 0 it stands, else why not; b: 1 local; c: 128 as who c says */
    OP_SHAKE,   /* the next step of a proper handshake. a: 0 all steps; b, c, d: how */
    OP_DECLS,   /* a: of what kind and how many; each item 4 bytes of the record */
    OP_PEERS,   /* a: 1 remove; each byte a name; b: so often 8 names more */
    OP_BOOK,    /* a: 1 want_result; each byte a record */
    OP_DIGEST,  /* a: 0 what the mesh holds, 1 something else, 2 resync */
    OP_PING,    /* the bytes */
    OP_PONG,    /* a: 0 the last PING's payload, else the bytes */
    OP_GOODBYE, /* a: reason */
    OP_RESULT,  /* a: error; b: nonce, or d: 1 that of the mesh's last question */
    OP_GREET,   /* HANDSHAKE out of turn. a: stage, b: me, c: you, d: as in SHAKE */
    OP_MESSAGE, /* a: 1 compact; b: alias or route */
    OP_RAW,     /* the bytes */
    OP_TYPE,    /* a frame of type a + 256 b with the bytes as its body */
    OP_DAMAGE,  /* of the next frame byte a is changed by b */
    OP_CUT,     /* a: how */
    OP_TIME,    /* (b + 1) << a % 36 ns pass */
    OP_WALL,    /* the wall clock steps by (a - 128) minutes */
    OP_OPEN,    /* the program opens a route. a: 1 intent; b: route; c: schema */
    OP_CLOSE,   /* a: which */
    OP_DIAL,    /* configure a peer. a: URL, b: 1 persistent */
    OP_FORGET,  /* a: URL */
    OP_BAN,     /* a: URL, b: seconds, 0 lifts it */
    OP_ASK,     /* a: 0 ping, 1 address book, 2 find, 3 paused */
    OP_SELF,    /* our own name changes. a: URL */
    OP_LOSE,    /* a sends fail. b: 1 for want of memory */
    OP_STARVE,  /* the (256 a + b)-th allocation from here fails, and c more */
    OP_RESTART, /* a: 1 with its book, b: 1 without a word */
    OP_QUERY,   /* a: parts; b, c: nonce; d: arguments; the bytes: command */
    OP_ANSWER,  /* a: nonce; b: 1 more; c, d: what is in it */
    OP_INQUIRE, /* the mesh asks. a: parts; b: route; c: 1 an argument; the bytes: command */
    OP_REPLY,   /* it answers. a: how; b: which question; c: so much */
    OP_COUNT
};

struct record {
    uint8_t op, slot, a, b, c, d, n;
    const uint8_t *bytes;
};

/* Take the next record; false: none is left. */
static inline bool take_record(struct input *in, struct record *ret_record)
{
    size_t n;
    if (in->left == 0)
        return false;
    struct record r = {.op = take_u8(in), .slot = take_u8(in)};
    r.a = take_u8(in);
    r.b = take_u8(in);
    r.c = take_u8(in);
    r.d = take_u8(in);
    r.n = take_u8(in);
    r.bytes = take_bytes(in, r.n, &n);
    r.n = (uint8_t)n;
    *ret_record = r;
    return true;
}

/* Who may be at the other end. */
struct who {
    const char *url;
    const char *host; /* where its connections come from */
    uint8_t id;       /* first byte of its node id, the rest repeats it; 0: none */
    enum role role;
    bool base;
};
#define WHOS 9u
extern const struct who whos[WHOS];
extern const struct who honest;

#define URLS 20u
const char *name_of(uint8_t index, char *room, size_t size);
const char *route_of(uint8_t index, char *room, size_t size);
#define NAME_ROOM 64u
#define ROUTE_ROOM 1100u

/* A connection, seen from the other side. */
struct slot {
    bool used, dialing, opened, up, retired, held, base;
    bool got_initial, got_final, got_peers, got_goodbye;
    bool sent_initial, sent_final, sent_peers;
    uint8_t fail_sends;
    int fail_with;
    const struct who *who;
    struct mesh_link *link;
    uint32_t link_id;
    uint64_t features; /* that this side has named first */
    bool named;        /* it has */
    bool sure, doubt;  /* what is fed next is as it should be; something else was fed */
    char dialled[URL_MAX + 1], called[URL_MAX + 1], its_me[URL_MAX + 1];
    uint8_t ping[64];
    size_t ping_len, pongs, pong_len;
    uint64_t questions[8]; /* open ones, asked by this side */
    unsigned n_questions;
    size_t answers; /* pieces that came */
    uint64_t nonce; /* of the mesh's last question */
    uint8_t pong[64];
    uint8_t *rx; /* to the mesh, no whole frame yet */
    size_t rx_len;
};

struct flow { /* what a data plane keeps of an intent */
    struct router_intent *rec;
    struct router_target *targets;
    size_t count, cap;
};

struct open_route {
    bool used, intent;
    char text[ROUTE_ROOM];
    uint64_t schema;
    struct router_intent *rec;
    struct router_interest *handle;
};

struct world {
    struct mesh_config config;
    struct mesh *mesh;
    struct moment now;
    uint64_t passed; /* ns in all */
    struct slot slots[SLOTS];
    struct open_route routes[ROUTES_OPEN];
    struct flow *flows;
    size_t n_flows, cap_flows;
    uint64_t fed, next_token, asked, answered;
    bool ended[512]; /* by token */
    uint64_t stamp;
    uint8_t damage_at, damage;
    bool damaged, alive, overrun, starved;
    size_t ups; /* up and not yet closed */
    struct {
        uint32_t alias;
        uint64_t hash;
    } aliases[1024];
    struct buf book;
};

/* ---- session_world.c ---- */

/* False: out of memory, and nothing is left. */
bool world_start(struct world *w, bool remembers);
/* Leave or die, and give everything back. */
void world_stop(struct world *w, bool silent);
void world_drain(struct world *w);
void world_pass(struct world *w, uint64_t ns);
struct slot *world_connect(struct world *w, const struct who *who, bool local);
void world_feed(struct world *w, struct slot *s, const uint8_t *data, size_t size);
void world_send(struct world *w, struct slot *s, const struct control *c, uint64_t stamp,
                bool want_result);

/* ---- session_say.c ---- */

/* The next step of a proper handshake; false: it is not this side's turn. */
bool world_shake(struct world *w, struct slot *s, const struct record *how);
void world_greet(struct world *w, struct slot *s, enum stage stage, const char *me, const char *you,
                 const struct record *how);
/* Any other message. */
void session_say(struct world *w, struct slot *s, const struct record *r);

/* ---- session_info.c ---- */

/* Of mesh_ops. */
void session_query(void *ctx, struct mesh_link *link, uint64_t nonce,
                   const struct query_msg *query);
void session_told(void *ctx, uint64_t token, const struct answer_msg *part);
void session_reply(struct world *w, struct slot *s, const struct record *r);
void session_inquire(struct world *w, struct slot *s, const struct record *r);
void say_query(struct world *w, struct slot *s, const struct record *r);
void say_answer(struct world *w, struct slot *s, const struct record *r);
bool question_open(const struct slot *s, uint64_t nonce);

/* ---- session_check.c ---- */

/* What a mesh sends must be a frame that this link may carry now. */
void check_frame_sent(struct world *w, struct slot *s, const void *data, size_t size);
/* Everything that holds between two steps. */
void check_world(struct world *w);

#endif
