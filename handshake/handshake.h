/* The handshake core: four states, the check of who the other side is, and which of two links to
 * one node stays (docs/protocol.md sections 4 and 8).
 *
 *     initiator  INIT ──start──▶ WAIT ──INITIAL──▶ PEERS ──FINAL, PEERS──▶ DONE
 *     responder  INIT ─────────▶ WAIT ──INITIAL──▶ PEERS ──FINAL─────────▶ DONE
 *     base peer  (initiator side)  WAIT ──FINAL──▶ PEERS ──PEERS──▶ DONE
 *                (responder side)  WAIT ──INITIAL: we send FINAL, PEERS──▶ PEERS ──FINAL──▶ DONE
 *
 * A machine is told what came and says what to send; its owner sends it, in the order of the bits.
 * Nothing is kept of a message but what the fields below hold: lists of routes are the owner's to
 * register once the machine is DONE. No I/O, no clock, no allocation. */
#ifndef HANDSHAKE_HANDSHAKE_H
#define HANDSHAKE_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "proto/codec.h"
#include "proto/url.h"

#define HANDSHAKE_TIMEOUT_NS (5 * NS_PER_SEC)
/* A link DONE this long is lost to who dials anew; and the dialler's view of it, see
 * handshake_arbitrate. */
#define HANDSHAKE_SETTLED_NS (10 * NS_PER_SEC)
#define HANDSHAKE_SETTLED_DIALER_NS (5 * NS_PER_SEC)

/* What we are. Borrowed by every machine. `me` may change while machines run: each keeps to the one
 * it was started with. The other strings outlive them. */
struct handshake_self {
    const char *me;   /* FQN as configured or advertised; may have an unspecified host */
    bool advertised;  /* `me` is configured `advertise`: it always wins over what others observe */
    const char *path; /* ours: a leaf's path must lie under it */
    uint8_t node_id[16];
    uint64_t incarnation;
    const char *network; /* "" for none */
    bool allow_base;     /* with a network: take base peers all the same */
    uint64_t features;
    uint32_t max_frame;
    const char *agent;
    enum role role;
};

enum handshake_state {
    HANDSHAKE_INIT,
    HANDSHAKE_WAIT,
    HANDSHAKE_PEERS,
    HANDSHAKE_DONE,
    HANDSHAKE_FAILED
};

/* What to do now, in this order. */
enum handshake_do {
    HANDSHAKE_IDENTIFIED = 1 << 0, /* peer fields are set: arbitrate before doing the rest */
    HANDSHAKE_SEND_INITIAL = 1 << 1,
    HANDSHAKE_SEND_FINAL = 1 << 2,
    HANDSHAKE_SEND_PEERS = 1 << 3,
    HANDSHAKE_NOW_DONE = 1 << 4, /* register what INITIAL carried, send the rest */
};

struct handshake {
    const struct handshake_self *self;
    enum handshake_state state;
    bool initiator;
    uint64_t deadline; /* monotonic; NEVER once DONE or FAILED */

    struct url dialled; /* initiator: what was dialled */
    char remote_host[URL_MAX +
                     1]; /* address the connection comes from; "" where there is none (unix) */

    /* Of this link, once IDENTIFIED. */
    struct url me;   /* what the other side calls us; before, what we claim to be */
    struct url peer; /* FQN of the other side */
    bool base;       /* it speaks the base protocol alone */
    bool has_node_id;
    uint8_t node_id[16];
    uint64_t incarnation;
    uint64_t features;  /* of both */
    uint32_t max_frame; /* the smaller of both */
    enum role role;     /* its role */
    char agent[64], network[64];
    uint64_t stamp; /* timestamp of the initiator's INITIAL: orders links of one initiator */

    bool got_final, sent_peers;
    int error;      /* FAILED: WEFT_E… */
    char text[256]; /* FAILED: a sentence for the other side and our own log */
};

/* A connection is up. `dialled` is NULL for the responder; `remote_host` may be NULL. The timeout
 * starts. Returns what to do: the initiator sends INITIAL. `stamp` is the timestamp of our INITIAL
 * (initiator): strictly increasing over the machines of one node. */
int handshake_start(struct handshake *h, const struct handshake_self *self,
                    const struct url *dialled, const char *remote_host, uint64_t stamp,
                    uint64_t mono_ns);

/* A HANDSHAKE came, `stamp` being its header's timestamp. Returns handshake_do bits, or an error;
 * then the machine is FAILED, and text says why: tell the other side by RESULT and close. Errors:
 * WEFT_EPROTO (not expected now, FINAL differs from what was agreed), WEFT_EURL (me or you does not
 * parse), WEFT_ESELF, WEFT_ENETWORK, WEFT_EDENIED (our node id in another process, base peer on a
 * named network, a leaf outside our path). */
int handshake_on_handshake(struct handshake *h, const struct handshake_msg *msg, uint64_t stamp);

/* PEERS came. Returns handshake_do bits or an error as above; its names are the owner's to use once
 * DONE. */
int handshake_on_peers(struct handshake *h);

/* Fill a HANDSHAKE to be sent, without the lists of routes. It borrows from the machine. */
void handshake_fill(const struct handshake *h, enum stage stage, struct handshake_msg *ret_msg);

/* The time is up? Then the machine is FAILED with WEFT_EHANDSHAKE. */
bool handshake_expired(struct handshake *h, uint64_t mono_ns);

/* End it from outside, e.g. the loser of an arbitration or a RESULT that came. */
void handshake_fail(struct handshake *h, int error, const char *text);

const char *handshake_state_name(enum handshake_state state);

/* ---- One link a pair ---- */

/* One of two links to the same node (node id; a base peer by address), as this side sees it. */
struct link_claim {
    bool initiated; /* by us */
    bool base;
    uint64_t incarnation;
    uint64_t stamp;      /* handshake.stamp */
    uint64_t done_since; /* monotonic; NEVER while not DONE */
};

enum verdict { KEEP_OLD, KEEP_NEW };

/* Two links to one node: `old` was known before, `fresh` has just been identified. Both sides of
 * both links come to the same verdict, whatever state each has reached:
 *   - another incarnation: the new stays. Only where one side initiated both, `fresh` has the
 *     earlier stamp and `old` is not DONE for HANDSHAKE_TIMEOUT_NS yet, it is the INITIAL of a dead
 *     process that was read late, and the old stays;
 *   - one side initiated both: the later stamp stays (of a base peer: the new);
 *   - each initiated one: the new, if the old has been DONE long enough to show that the other side
 *     lost it; else the one that the larger node id initiated (of a base peer: the one we did).
 * "Long enough" is HANDSHAKE_SETTLED_NS for who was dialled. Who dialled takes half of that: the
 * responder has seen the old link and let the new one pass, which a race of two dials cannot
 * explain. */
enum verdict handshake_arbitrate(const uint8_t our_id[16], const uint8_t their_id[16],
                                 const struct link_claim *old, const struct link_claim *fresh,
                                 uint64_t mono_ns);

#endif
