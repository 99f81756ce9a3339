/* Typed publish and subscribe with protobuf-c: the route's type is the message's full name. Header
 * only; link with libprotobuf-c. */
#ifndef WEFT_PROTOBUF_H
#define WEFT_PROTOBUF_H

#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fingerprint of a message type: FNV-1a 64 over the full name and each field's number, type, label
 * and name, in order of number, nested message types by name. Equal descriptors, equal
 * fingerprints. [any] */
static inline uint64_t weft_pb_schema(const ProtobufCMessageDescriptor *desc);

/* weft_publish of "full.Name@path" with the schema set. [any] Errors: as weft_publish,
 * weft_route_make. */
static inline int weft_publish_pb(weft_node *node, const ProtobufCMessageDescriptor *desc,
                                  const char *path, const weft_publish_options *options,
                                  weft_intent **ret_intent);

/* weft_subscribe to "full.Name@path" (path may hold wildcards) with the schema set. [any] */
static inline int weft_subscribe_pb(weft_node *node, const ProtobufCMessageDescriptor *desc,
                                    const char *path, const weft_subscribe_options *options,
                                    weft_interest **ret_interest);

/* Pack and send. [any] Errors: as weft_send_msg. */
static inline int weft_send_pb(weft_intent *intent, const ProtobufCMessage *message);

/* Unpack a message; free with protobuf_c_message_free_unpacked(…, NULL). [any]
 * Errors: WEFT_EMALFORMED. */
static inline int weft_msg_unpack(const weft_msg *msg, const ProtobufCMessageDescriptor *desc,
                                  ProtobufCMessage **ret_message);

/* ---- Inline bodies -------------------------------------------------------------------------- */

static inline uint64_t weft_pb_fnv(uint64_t h, const void *data, size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static inline uint64_t weft_pb_schema(const ProtobufCMessageDescriptor *desc)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    h = weft_pb_fnv(h, desc->name, strlen(desc->name) + 1);
    for (unsigned i = 0; i < desc->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &desc->fields[i];
        unsigned char head[6] = {(unsigned char)(f->id >> 24), (unsigned char)(f->id >> 16),
                                 (unsigned char)(f->id >> 8),  (unsigned char)f->id,
                                 (unsigned char)f->type,       (unsigned char)f->label};
        h = weft_pb_fnv(h, head, sizeof(head));
        h = weft_pb_fnv(h, f->name, strlen(f->name) + 1);
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && f->descriptor) {
            const ProtobufCMessageDescriptor *sub =
                (const ProtobufCMessageDescriptor *)f->descriptor;
            h = weft_pb_fnv(h, sub->name, strlen(sub->name) + 1);
        }
    }
    return h ? h : 1;
}

static inline int weft_publish_pb(weft_node *node, const ProtobufCMessageDescriptor *desc,
                                  const char *path, const weft_publish_options *options,
                                  weft_intent **ret_intent)
{
    char route[2048];
    weft_publish_options o;
    if (options)
        o = *options;
    else
        weft_publish_options_init(&o);
    int rc = weft_route_make(desc->name, path, route, sizeof(route));
    if (rc < 0)
        return rc;
    o.schema = weft_pb_schema(desc);
    return weft_publish(node, route, &o, ret_intent);
}

static inline int weft_subscribe_pb(weft_node *node, const ProtobufCMessageDescriptor *desc,
                                    const char *path, const weft_subscribe_options *options,
                                    weft_interest **ret_interest)
{
    char route[2048];
    weft_subscribe_options o;
    if (options)
        o = *options;
    else
        weft_subscribe_options_init(&o);
    int rc = weft_route_make(desc->name, path, route, sizeof(route));
    if (rc < 0)
        return rc;
    o.schema = weft_pb_schema(desc);
    return weft_subscribe(node, route, &o, ret_interest);
}

static inline int weft_send_pb(weft_intent *intent, const ProtobufCMessage *message)
{
    weft_msg *msg;
    int rc = weft_msg_new(protobuf_c_message_get_packed_size(message), &msg);
    if (rc < 0)
        return rc;
    protobuf_c_message_pack(message, (uint8_t *)weft_msg_data(msg));
    rc = weft_send_msg(intent, msg);
    weft_msg_unref(msg);
    return rc;
}

static inline int weft_msg_unpack(const weft_msg *msg, const ProtobufCMessageDescriptor *desc,
                                  ProtobufCMessage **ret_message)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(desc, NULL, weft_msg_size(msg),
                                                    (const uint8_t *)weft_msg_data(msg));
    if (!m)
        return WEFT_EMALFORMED;
    *ret_message = m;
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif
