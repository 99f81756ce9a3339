/* Control messages between C structs and protobuf (docs/protocol.md section 3). The only user of
 * protobuf-c inside libweft: everyone else sees these structs.
 *
 * Encoding appends one whole standard frame to a buffer. Decoding gives a `struct control` whose
 * strings live until control_fini. A decoder's memory is bounded by a multiple of the body's size.
 */
#ifndef PROTO_CODEC_H
#define PROTO_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/admin.h>

#include "base/buf.h"
#include "proto/frame.h"

#define PROTO_VERSION 1u

enum feature {
    FEATURE_COMPACT = 1u << 0,
    FEATURE_PATTERNS = 1u << 1,
    FEATURE_ACK = 1u << 2,
    FEATURE_DIGEST = 1u << 3,
    FEATURE_GOODBYE = 1u << 4,
    FEATURE_BOOK = 1u << 5,
    FEATURE_INFO = 1u << 6,
};

enum result_code { /* docs/protocol.md section 3, RESULT errors */
                   RESULT_OK = 0,
                   RESULT_FAILURE = 1,
                   RESULT_MALFORMED = 2,
                   RESULT_SELF = 3,
                   RESULT_DUPLICATE = 4,
                   RESULT_NETWORK = 5,
                   RESULT_VERSION = 6,
                   RESULT_DENIED = 7,
                   RESULT_LIMIT = 8,
                   RESULT_NO_ROUTE = 9,
                   RESULT_SCHEMA = 10,
                   RESULT_TIMEOUT = 11,
                   RESULT_SHUTDOWN = 12,
                   RESULT_NOT_SUPPORTED = 13,
                   RESULT_NOT_FOUND = 14,
                   RESULT_INVALID = 15,
                   RESULT_TIMED_OUT = 16,
                   RESULT_BUSY = 17,
                   RESULT_IO = 18,
};

/* WEFT_E… for a result code and back. Unknown codes map to WEFT_EPROTO and RESULT_FAILURE. */
int result_to_error(uint64_t code);
enum result_code result_from_error(int error);

enum goodbye_reason {
    GOODBYE_SHUTDOWN = 1,
    GOODBYE_DISPLACED = 2,
    GOODBYE_FORGOTTEN = 3,
    GOODBYE_IDLE = 4,
    GOODBYE_PROTOCOL = 5,
    GOODBYE_BANNED = 6,
    GOODBYE_FULL = 7,
};

enum stage { STAGE_NONE = 0, STAGE_INITIAL = 1, STAGE_FINAL = 2, STAGE_UPDATE = 3 };
enum role { ROLE_PEER = 0, ROLE_CLIENT = 1, ROLE_LEAF = 2 };

/* INTENT or INTEREST, alone or in a list. */
struct decl {
    const char *route; /* never NULL after decoding */
    uint64_t hops;
    uint64_t ttl_ns;
    bool registered; /* field `register`; false withdraws */
    uint32_t alias;  /* intents */
    uint64_t schema;
    const char *origin; /* intents; "" where the sender is the origin */
};

struct handshake_msg {
    const char *me, *you; /* never NULL after decoding */
    enum stage stage;
    struct decl *intents;
    size_t n_intents;
    struct decl *interests;
    size_t n_interests;
    uint32_t version;       /* 0: a base peer */
    const uint8_t *node_id; /* 16 bytes, or NULL */
    uint64_t incarnation;
    const char *network, *agent; /* never NULL after decoding */
    uint64_t features;
    uint32_t max_frame;
    enum role role;
};

/* AddrbookEntry; durations and times in ns, times since the epoch. */
struct book_record {
    const char *peer;
    uint32_t max_attempts;
    uint64_t default_backoff_ns, max_backoff_ns;
    float multiplier;
    uint32_t attempts, failed_attempts;
    uint64_t last_success, backoff_ns;
    bool persistent;
    const uint8_t *node_id; /* 16 bytes, or NULL */
    const char *source;
    uint32_t origin; /* enum weft_origin, 0 unknown */
    const char *last_error;
    uint64_t banned_until, added;
    bool linked, dialing;  /* of a live node; never in a file */
    uint64_t next_dial_ns; /* likewise: from now; 0: none is planned */
    bool in_config;        /* the owner's configuration names it */
};

/* What is asked of a node (docs/protocol.md section 9): parts of a report, or a command. */
struct query_msg {
    uint32_t parts;          /* of enum weft_part */
    const char *route;       /* these and the next never NULL after decoding; "": all routes */
    const char *command;     /* "": none */
    const char *const *args; /* of the command */
    size_t n_args;
};

/* One piece of the answer. Its parts are the public structs themselves; decoded, their strings are
 * never NULL, save peer and via of a route as in weft.h, and their enums are of the known values.
 */
struct answer_msg {
    uint64_t nonce;      /* the query's timestamp */
    bool more;           /* another piece follows */
    weft_status *status; /* or NULL */
    weft_peer_info *peers;
    size_t n_peers;
    weft_route_info *routes;
    size_t n_routes;
    struct book_record *records;
    size_t n_records;
    weft_incident *incidents;
    size_t n_incidents;
    const char *text; /* of a command; never NULL after decoding */
};

/* Any control message. Which member counts follows from the type. */
struct control {
    uint32_t type; /* enum msg_type */
    union {
        struct { /* INTENT, INTENTS, INTEREST, INTERESTS */
            struct decl *items;
            size_t count;
        } decls;
        struct {
            const char *route;
        } notify;
        struct {
            uint64_t nonce, error;
            const char *description;
            const char *route; /* a declaration that was refused; else "" (or NULL, of ours) */
            bool intent;       /* it was that of an intent */
        } result;
        struct { /* PING: payload only */
            uint64_t receive_timestamp, ping_timestamp;
            const uint8_t *payload;
            size_t payload_len;
        } ping; /* and PONG */
        struct handshake_msg handshake;
        struct {
            const char *const *ids;
            size_t count;
            bool remove;
        } peers;
        struct {
            struct book_record *records;
            size_t count;
        } book;
        struct {
            uint32_t reason;
            const char *description;
        } goodbye;
        struct {
            uint32_t intents, interests;
            uint64_t intents_hash, interests_hash;
            bool resync;
        } digest;
        struct query_msg query;
        struct answer_msg answer;
    };
    void *owned; /* of the decoder */
};

/* Append one frame. header->type is taken from control->type; its route, where NULL, from the
 * single declaration of INTENT and INTEREST, as dndm has it. On error nothing is appended. Errors:
 * WEFT_ENOMEM, WEFT_ELIMIT (the buffer's maximum), WEFT_EINVAL (type without a codec, INTENT or
 * INTEREST without exactly one declaration, a Header over FRAME_HEADER_MAX). */
int codec_encode(struct buf *out, const struct header *header, const struct control *control);

/* Decode the body of a control message. Errors: WEFT_EMALFORMED, WEFT_ENOMEM, WEFT_ENOTSUP (a type
 * without a codec), WEFT_ELIMIT (needs more memory than its size justifies). */
int codec_decode(uint32_t type, const uint8_t *body, size_t size, struct control *ret_control);

/* Free what decoding took. Harmless on a zeroed control. */
void control_fini(struct control *control);

/* One AddrbookEntry alone, for the address-book file. */
int codec_encode_record(struct buf *out, const struct book_record *record);
int codec_decode_record(const uint8_t *data, size_t size,
                        struct control *ret_control); /* book of one */

#endif
