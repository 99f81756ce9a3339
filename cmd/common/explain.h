/* Why a route's messages flow from publishers to subscribers, or do not: found in the reports of
 * several nodes, without asking any. */
#ifndef CMD_EXPLAIN_H
#define CMD_EXPLAIN_H

#include <jansson.h>

#include <weft/admin.h>

#define EXPLAIN_VIEWS 64

/* What one node told, asked for status, peers, incidents and the routes that have to do with the
 * one in question. */
struct explain_view {
    const char *url;           /* how it is asked */
    const weft_report *report; /* NULL: it did not tell */
    bool unreached;            /* since no connection was made, or no answer came over it */
};

enum explain_reason {
    EXPLAIN_MATCHES,    /* they meet: messages go from the one to the other */
    EXPLAIN_TYPE,       /* the path fits, the type differs */
    EXPLAIN_HASHED,     /* one is hashed, the other is not: such two never meet */
    EXPLAIN_SCHEMA,     /* same type name, different descriptors */
    EXPLAIN_SCOPE,      /* the publisher's path is no prefix of the route's */
    EXPLAIN_REFUSED,    /* one node did not take what the other declared */
    EXPLAIN_NETWORK,    /* their networks differ */
    EXPLAIN_NOT_LINKED, /* no link between them now */
    EXPLAIN_BANNED,     /* one bans the other */
    EXPLAIN_PENDING,    /* linked, and the interest is not there (yet) */
    EXPLAIN_SILENT,     /* it may publish the route, and does not */
    EXPLAIN_UNTOLD,     /* the node that would know does not tell */
    EXPLAIN_SPELLING,   /* another route, some letters away */
};

/* Who publishes the route, or wants it. */
struct explain_party {
    char *peer;      /* FQN */
    char *home;      /* FQN of the node that is linked for it: itself, or a leaf's router */
    char *route;     /* as declared */
    bool intent;     /* else an interest */
    unsigned count;  /* several clients of one name are told apart by nothing */
    uint64_t schema; /* 0: unknown */
    uint64_t messages;
    uint64_t told_by; /* bit i: view i */
};

/* From whom to whom, and why or why not. */
struct explain_finding {
    char *from, *to; /* FQNs; one of them is empty where there is no counterpart */
    enum explain_reason reason;
    char *text; /* a sentence without a full stop */
};

struct explanation {
    struct explain_party *parties;
    size_t n_parties;
    struct explain_finding *pairs; /* each publisher with each subscriber that it could serve */
    size_t n_pairs;
    struct explain_finding *others; /* near misses, and nodes that could publish the route */
    size_t n_others;
    char *verdict; /* one sentence */
    bool flows;    /* somebody publishes it, somebody wants it, and all of these meet */
    bool certain;  /* who was not reached, or does not tell, could not make it otherwise */
};

/* Does nobody publish it, or nobody want it? */
bool explanation_one_sided(const struct explanation *e);

/* Explain `route` from `n` views, the first of the node asked. Give back with explanation_fini. */
void explain(const char *route, const struct explain_view *views, size_t n,
             struct explanation *ret_explanation);
void explanation_fini(struct explanation *e);

/* FQN of the node to ask for what a party does, or NULL if no node can be dialled for it. */
const char *explain_home(const struct explain_party *party);

/* May a peer of that URL be dialled? Clients and leaves may not. */
bool url_dialable(const char *url);

/* "matches", "type", "not_linked" and so on. */
const char *explain_word(enum explain_reason reason);

/* NULL: out of memory. */
json_t *explanation_json(const char *route, const struct explanation *e);

#endif
