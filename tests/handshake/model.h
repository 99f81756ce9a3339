/* Two nodes, the connections between them, and what is in flight on each: a model in which the real
 * machines run and the real verdicts fall. A connection delivers in order; what is on different
 * connections, or in different directions, overtakes freely. */
#ifndef TESTS_HANDSHAKE_MODEL_H
#define TESTS_HANDSHAKE_MODEL_H

#include "base/prng.h"
#include "handshake/handshake.h"

#define MODEL_CONNS 6 /* a slot is used again once nothing of its connection is left */
#define MODEL_QUEUE 8
#define MODEL_LIVES 2 /* incarnations of one node */

enum parcel_kind { PARCEL_HANDSHAKE, PARCEL_PEERS, PARCEL_CLOSE };

struct parcel {
    enum parcel_kind kind;
    enum stage stage;
    int life; /* of the sender */
    uint64_t stamp, at;
};

struct end {
    struct handshake h;
    bool open;
    uint64_t done_since;
    struct parcel queue[MODEL_QUEUE]; /* on the way to this end */
    unsigned queued;
};

struct conn {
    int initiator;
    struct end end[2]; /* by node */
};

struct model_node {
    int link; /* the connection that stands for the other node, or -1 */
    int life;
    uint64_t dial_at; /* NEVER: no dial under way */
    uint64_t last_stamp;
    unsigned dials;
};

struct model {
    struct conn conns[MODEL_CONNS];
    struct model_node nodes[2];
    uint64_t now;
    struct prng *prng;    /* draws latencies; NULL: none */
    uint64_t max_latency; /* of one parcel */
    uint64_t max_redial;  /* pause before a node without a link dials again; 0: it does not */
};

/* Node ids: whose is the larger. */
void model_init(struct model *m, int larger, struct prng *prng);

/* `node`'s connection comes up now. Returns its index. */
int model_connect(struct model *m, int node);

/* Deliver the next parcel to one end; there must be one. */
void model_deliver(struct model *m, int conn, int node);

/* The process of `node` dies and starts anew: the other side reads what was sent, then the close.
 */
void model_restart(struct model *m, int node);

/* `node` loses the connection without the other side noticing. */
void model_lose(struct model *m, int conn, int node);

/* The other side of a lost connection notices. */
void model_notice(struct model *m, int conn, int node);

/* Run connections, parcels and deadlines in order of time until `until`. */
void model_run(struct model *m, uint64_t until);

/* One link, the same on both sides, DONE at both, and nothing else open or in flight. */
bool model_is_linked(const struct model *m);

#endif
