/* INTENT, INTEREST, alone and in lists, and NOTIFY_INTENT (docs/protocol.md section 5). */
#include <weft/weft.h>

#include "proto/codec_parts.h"

static void build_one_intent(const struct decl *decl, Weft__Intent *m)
{
    weft__intent__init(m);
    m->route = pb_text(decl->route);
    m->hops = decl->hops;
    m->ttl = decl->ttl_ns;
    m->register_ = decl->registered;
    m->alias = decl->alias;
    m->schema = decl->schema;
    m->origin = pb_text(decl->origin);
}

static void build_one_interest(const struct decl *decl, Weft__Interest *m)
{
    weft__interest__init(m);
    m->route = pb_text(decl->route);
    m->hops = decl->hops;
    m->ttl = decl->ttl_ns;
    m->register_ = decl->registered;
    m->schema = decl->schema;
}

static struct decl read_one_intent(const Weft__Intent *m)
{
    return (struct decl){
        .route = m->route,
        .hops = m->hops,
        .ttl_ns = m->ttl,
        .registered = m->register_,
        .alias = m->alias,
        .schema = m->schema,
        .origin = m->origin,
    };
}

static struct decl read_one_interest(const Weft__Interest *m)
{
    return (struct decl){
        .route = m->route,
        .hops = m->hops,
        .ttl_ns = m->ttl,
        .registered = m->register_,
        .schema = m->schema,
        .origin = "",
    };
}

/* ---- Lists ---- */

int build_intent_list(struct arena *arena, const struct decl *decls, size_t count,
                      Weft__Intent ***ret_list)
{
    Weft__Intent **list = arena_array(arena, count, sizeof(*list));
    Weft__Intent *messages = arena_array(arena, count, sizeof(*messages));
    if (!list || !messages)
        return arena->error;
    for (size_t i = 0; i < count; i++) {
        build_one_intent(&decls[i], &messages[i]);
        list[i] = &messages[i];
    }
    *ret_list = list;
    return 0;
}

int build_interest_list(struct arena *arena, const struct decl *decls, size_t count,
                        Weft__Interest ***ret_list)
{
    Weft__Interest **list = arena_array(arena, count, sizeof(*list));
    Weft__Interest *messages = arena_array(arena, count, sizeof(*messages));
    if (!list || !messages)
        return arena->error;
    for (size_t i = 0; i < count; i++) {
        build_one_interest(&decls[i], &messages[i]);
        list[i] = &messages[i];
    }
    *ret_list = list;
    return 0;
}

int read_intent_list(struct arena *arena, Weft__Intent *const *list, size_t count,
                     struct decl **ret_decls)
{
    struct decl *decls = arena_array(arena, count, sizeof(*decls));
    if (!decls)
        return arena->error;
    for (size_t i = 0; i < count; i++)
        decls[i] = read_one_intent(list[i]);
    *ret_decls = decls;
    return 0;
}

int read_interest_list(struct arena *arena, Weft__Interest *const *list, size_t count,
                       struct decl **ret_decls)
{
    struct decl *decls = arena_array(arena, count, sizeof(*decls));
    if (!decls)
        return arena->error;
    for (size_t i = 0; i < count; i++)
        decls[i] = read_one_interest(list[i]);
    *ret_decls = decls;
    return 0;
}

/* ---- Messages ---- */

ProtobufCMessage *build_intent(struct arena *arena, const struct control *control)
{
    Weft__Intent *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    build_one_intent(&control->decls.items[0], m);
    return &m->base;
}

ProtobufCMessage *build_interest(struct arena *arena, const struct control *control)
{
    Weft__Interest *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    build_one_interest(&control->decls.items[0], m);
    return &m->base;
}

ProtobufCMessage *build_intents(struct arena *arena, const struct control *control)
{
    Weft__Intents *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__intents__init(m);
    m->n_intents = control->decls.count;
    if (build_intent_list(arena, control->decls.items, m->n_intents, &m->intents) < 0)
        return NULL;
    return &m->base;
}

ProtobufCMessage *build_interests(struct arena *arena, const struct control *control)
{
    Weft__Interests *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__interests__init(m);
    m->n_interests = control->decls.count;
    if (build_interest_list(arena, control->decls.items, m->n_interests, &m->interests) < 0)
        return NULL;
    return &m->base;
}

ProtobufCMessage *build_notify(struct arena *arena, const struct control *control)
{
    Weft__NotifyIntent *m = arena_alloc(arena, sizeof(*m));
    if (!m)
        return NULL;
    weft__notify_intent__init(m);
    m->route = pb_text(control->notify.route);
    return &m->base;
}

/* A single declaration is a list of one. */
static int read_single(struct arena *arena, struct decl decl, struct control *control)
{
    struct decl *items = arena_array(arena, 1, sizeof(*items));
    if (!items)
        return arena->error;
    items[0] = decl;
    control->decls.items = items;
    control->decls.count = 1;
    return 0;
}

int read_intent(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    return read_single(arena, read_one_intent((const Weft__Intent *)message), control);
}

int read_interest(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    return read_single(arena, read_one_interest((const Weft__Interest *)message), control);
}

int read_intents(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Intents *m = (const Weft__Intents *)message;
    control->decls.count = m->n_intents;
    return read_intent_list(arena, m->intents, m->n_intents, &control->decls.items);
}

int read_interests(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Interests *m = (const Weft__Interests *)message;
    control->decls.count = m->n_interests;
    return read_interest_list(arena, m->interests, m->n_interests, &control->decls.items);
}

int read_notify(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    control->notify.route = ((const Weft__NotifyIntent *)message)->route;
    return 0;
}
