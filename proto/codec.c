/* Encoding builds a protobuf-c message that borrows from the control and packs it straight into the
 * output behind its frame's header. Decoding lets protobuf-c unpack into an arena, then reads the
 * message into the control, whose strings stay in the arena: control->owned holds it.
 *
 * What another node sends cannot make us take more memory than it justifies: the arena's budget
 * grows with the body, and running over it is WEFT_ELIMIT, which is told apart from a body that
 * does not parse (WEFT_EMALFORMED) and from a machine that has no more (WEFT_ENOMEM). */
#include "proto/codec.h"

#include <string.h>

#include <weft/weft.h>

#include "proto/codec_parts.h"

#define BUDGET_LEAST ((size_t)256 << 10)
#define BUDGET_FACTOR 24u /* a route in a list costs about its own size and 200 bytes */

struct codec {
    enum msg_type type;
    const ProtobufCMessageDescriptor *descriptor;
    build_fn *build;
    read_fn *read;
};

static const struct codec codecs[] = {
    {MSG_INTENT, &weft__intent__descriptor, build_intent, read_intent},
    {MSG_INTENTS, &weft__intents__descriptor, build_intents, read_intents},
    {MSG_INTEREST, &weft__interest__descriptor, build_interest, read_interest},
    {MSG_INTERESTS, &weft__interests__descriptor, build_interests, read_interests},
    {MSG_NOTIFY_INTENT, &weft__notify_intent__descriptor, build_notify, read_notify},
    {MSG_RESULT, &weft__result__descriptor, build_result, read_result},
    {MSG_PING, &weft__ping__descriptor, build_ping, read_ping},
    {MSG_PONG, &weft__pong__descriptor, build_pong, read_pong},
    {MSG_HANDSHAKE, &weft__handshake__descriptor, build_handshake, read_handshake},
    {MSG_PEERS, &weft__peers__descriptor, build_peers, read_peers},
    {MSG_ADDRBOOK, &weft__addrbook__descriptor, build_book, read_book},
    {MSG_GOODBYE, &weft__goodbye__descriptor, build_goodbye, read_goodbye},
    {MSG_DIGEST, &weft__digest__descriptor, build_digest, read_digest},
    {MSG_QUERY, &weft__query__descriptor, build_query, read_query},
    {MSG_ANSWER, &weft__answer__descriptor, build_answer, read_answer},
};

static const struct codec *find_codec(uint32_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        if (codecs[i].type == type)
            return &codecs[i];
    }
    return NULL;
}

/* ---- Encoding ---- */

/* An arena on the stack of the encoder: only long lists reach beyond its first piece. */
struct scratch {
    struct arena arena;
    max_align_t first[1024 / sizeof(max_align_t)];
};

static void scratch_init(struct scratch *scratch)
{
    arena_init(&scratch->arena, SIZE_MAX, scratch->first, sizeof(scratch->first));
}

static int append_frame(struct buf *out, const struct header *header, const ProtobufCMessage *body)
{
    size_t body_size = protobuf_c_message_get_packed_size(body);
    size_t head_size = header_size(header) + 16;
    if (head_size - 16 > FRAME_HEADER_MAX)
        return WEFT_EINVAL;
    if (body_size > FRAME_MAX_LIMIT)
        return WEFT_ELIMIT;
    uint8_t *to = buf_reserve(out, head_size + body_size);
    if (!to)
        return out->error;
    frame_put_standard(to, header, body_size);
    protobuf_c_message_pack(body, to + head_size);
    out->len += head_size + body_size;
    return 0;
}

int codec_encode(struct buf *out, const struct header *header, const struct control *control)
{
    const struct codec *codec = find_codec(control->type);
    bool single = control->type == MSG_INTENT || control->type == MSG_INTEREST;
    if (!codec || (single && control->decls.count != 1))
        return WEFT_EINVAL;

    struct header h = *header;
    h.type = control->type;
    if (single && !h.route) {
        h.route = pb_text(control->decls.items[0].route);
        h.route_len = strlen(h.route);
    }
    struct scratch scratch;
    scratch_init(&scratch);
    const ProtobufCMessage *body = codec->build(&scratch.arena, control);
    int rc = body ? append_frame(out, &h, body) : scratch.arena.error;
    arena_free(scratch.arena.chunks);
    return rc;
}

int codec_encode_record(struct buf *out, const struct book_record *record)
{
    Weft__AddrbookEntry entry;
    build_record(record, &entry);
    size_t size = protobuf_c_message_get_packed_size(&entry.base);
    uint8_t *to = buf_reserve(out, size);
    if (!to)
        return out->error;
    protobuf_c_message_pack(&entry.base, to);
    out->len += size;
    return 0;
}

/* ---- Decoding ---- */

static void *unpack_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

/* Everything goes with the arena. */
static void unpack_free(void *arena, void *p)
{
}

static size_t budget_for(size_t size)
{
    size_t budget = size > SIZE_MAX / BUDGET_FACTOR ? SIZE_MAX : size * BUDGET_FACTOR;
    return budget > BUDGET_LEAST ? budget : BUDGET_LEAST;
}

/* Unpack with `descriptor`, then read; the arena's chunks become the control's on success. */
static int decode(const ProtobufCMessageDescriptor *descriptor, read_fn *read, uint32_t type,
                  const uint8_t *body, size_t size, struct control *ret_control)
{
    struct arena arena;
    arena_init(&arena, budget_for(size), NULL, 0);
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &arena};
    struct control control = {.type = type};
    int rc = WEFT_EMALFORMED;
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, size, body);
    if (message)
        rc = read(&arena, message, &control);
    else if (arena.error)
        rc = arena.error;
    if (rc < 0) {
        arena_free(arena.chunks);
        return rc;
    }
    control.owned = arena.chunks;
    *ret_control = control;
    return 0;
}

int codec_decode(uint32_t type, const uint8_t *body, size_t size, struct control *ret_control)
{
    const struct codec *codec = find_codec(type);
    if (!codec)
        return WEFT_ENOTSUP;
    return decode(codec->descriptor, codec->read, type, body, size, ret_control);
}

/* A book of one entry. */
static int read_entry(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    struct book_record *record = arena_array(arena, 1, sizeof(*record));
    if (!record)
        return arena->error;
    control->book.records = record;
    control->book.count = 1;
    return read_record((const Weft__AddrbookEntry *)message, record);
}

int codec_decode_record(const uint8_t *data, size_t size, struct control *ret_control)
{
    return decode(&weft__addrbook_entry__descriptor, read_entry, MSG_ADDRBOOK, data, size,
                  ret_control);
}

void control_fini(struct control *control)
{
    arena_free(control->owned);
    control->owned = NULL;
}
