/* Between the files of the codec only: one pair of functions for each kind of message.
 *
 * build_x fills a protobuf-c message that borrows from the control; lists come from the arena.
 * Returns NULL when the arena fails. read_x fills a control that borrows from the message; lists
 * come from the arena. Errors: WEFT_EMALFORMED, or the arena's. */
#ifndef PROTO_CODEC_PARTS_H
#define PROTO_CODEC_PARTS_H

#include "proto/arena.h"
#include "proto/codec.h"
#include "proto/weft.pb-c.h"

typedef ProtobufCMessage *build_fn(struct arena *arena, const struct control *control);
typedef int read_fn(struct arena *arena, const ProtobufCMessage *message, struct control *control);

build_fn build_intent, build_intents, build_interest, build_interests, build_notify;
build_fn build_result, build_ping, build_pong, build_peers, build_goodbye, build_digest;
build_fn build_handshake, build_book, build_query, build_answer;
read_fn read_intent, read_intents, read_interest, read_interests, read_notify;
read_fn read_result, read_ping, read_pong, read_peers, read_goodbye, read_digest;
read_fn read_handshake, read_book, read_query, read_answer;

/* Lists, for HANDSHAKE too. Errors as above; outputs are written on success only. */
int build_intent_list(struct arena *arena, const struct decl *decls, size_t count,
                      Weft__Intent ***ret_list);
int build_interest_list(struct arena *arena, const struct decl *decls, size_t count,
                        Weft__Interest ***ret_list);
int read_intent_list(struct arena *arena, Weft__Intent *const *list, size_t count,
                     struct decl **ret_decls);
int read_interest_list(struct arena *arena, Weft__Interest *const *list, size_t count,
                       struct decl **ret_decls);

/* One AddrbookEntry, for the address-book file too. */
void build_record(const struct book_record *record, Weft__AddrbookEntry *entry);
int read_record(const Weft__AddrbookEntry *entry, struct book_record *record);

/* protobuf-c's fields are not const, though packing does not write to them. */
static inline char *pb_text(const char *s)
{
    return (char *)(s ? s : "");
}

static inline ProtobufCBinaryData pb_bytes(const uint8_t *data, size_t len)
{
    return (ProtobufCBinaryData){.len = data ? len : 0, .data = (uint8_t *)data};
}

/* A node id is 16 bytes or absent. Returns false for any other length. */
static inline bool read_node_id(const ProtobufCBinaryData *bytes, const uint8_t **ret_id)
{
    if (bytes->len != 0 && bytes->len != 16)
        return false;
    *ret_id = bytes->len ? bytes->data : NULL;
    return true;
}

#endif
