/* --proto: the types of .proto files, read by protoc once at the start. */
#ifndef CMD_WEFT_PROTO_H
#define CMD_WEFT_PROTO_H

#include <weft/weft.h>

#include "../typed/typed.h"
#include "command.h"

struct proto {
    struct names files; /* --proto; empty: nothing is typed */
    struct names dirs;  /* -I */
    struct typed_schema schema;
    struct typed_pool pool; /* of the message in hand */
    uint64_t undecoded;     /* messages that were none of their type */
};

#define PROTO_SHORT "I:"
#define PROTO_LONG                                                                                 \
    {                                                                                              \
        "proto", required_argument, NULL, OPTION_PROTO                                             \
    }

/* Keep the argument of --proto or -I. Returns an exit code. */
int proto_option(struct proto *proto, const struct command *command, int option, int option_proto);

/* Have protoc read the files. EXIT_OK, or EXIT_FAILED after an explanation. Before session_open:
 * protoc gets the signals. */
int proto_load(struct proto *proto);

/* The type of a route's messages, NULL if it is not told (hashed) or not in the files. */
const struct typed_message *proto_type(const struct proto *proto, const char *route);

/* Does the route say a type, and do the files have it? EXIT_OK, also for a pattern of types, or
 * EXIT_FAILED after an explanation. */
int proto_check(const struct proto *proto, const char *route);

/* Text or JSON (which begins with a brace) to the wire format. The caller frees it with xfree.
 * False: *error says where and why. */
bool proto_encode(struct proto *proto, const struct typed_message *type, const char *text,
                  size_t size, struct typed_buffer *ret_buffer, char error[TYPED_ERROR]);

/* The message as an object, valid until the next call. NULL, counted: *error says why. */
struct typed_object *proto_decode(struct proto *proto, const weft_msg *msg,
                                  char error[TYPED_ERROR]);

void proto_fini(struct proto *proto);

#endif
