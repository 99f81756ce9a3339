/* Messages: one refcounted block with header and bytes together, or a header over another's bytes.
 * A transient message is a header on the stack over a read buffer; keeping it means copying it. */
#include "node/node.h"

#include <string.h>

#include "base/mem.h"

static weft_msg *msg_alloc(size_t size)
{
    weft_msg *msg = mem_alloc(sizeof(*msg) + size);
    if (!msg)
        return NULL;
    *msg = (weft_msg){.data = (uint8_t *)(msg + 1), .size = size};
    atomic_init(&msg->refs, 1);
    return msg;
}

weft_msg *msg_copy(const void *data, size_t size, struct str *route, struct str *sender,
                   uint64_t time)
{
    weft_msg *msg = msg_alloc(size);
    if (!msg)
        return NULL;
    if (size)
        memcpy(msg->data, data, size);
    msg->route = str_ref(route);
    msg->sender = str_ref(sender);
    msg->time = time;
    return msg;
}

weft_msg *msg_wrap(weft_msg *parent, struct str *route, struct str *sender, uint64_t time)
{
    weft_msg *msg = msg_alloc(0);
    if (!msg)
        return NULL;
    msg->parent = weft_msg_ref(parent);
    msg->data = parent->data;
    msg->size = parent->size;
    msg->route = str_ref(route);
    msg->sender = str_ref(sender);
    msg->time = time;
    return msg;
}

int weft_msg_new(size_t size, weft_msg **ret_msg)
{
    if (!ret_msg)
        return WEFT_EINVAL;
    if (size > FRAME_MAX_LIMIT)
        return WEFT_ETOOBIG;
    weft_msg *msg = msg_alloc(size);
    if (!msg)
        return WEFT_ENOMEM;
    *ret_msg = msg;
    return 0;
}

void *weft_msg_data(const weft_msg *msg)
{
    return msg->data;
}

size_t weft_msg_size(const weft_msg *msg)
{
    return msg->size;
}

const char *weft_msg_route(const weft_msg *msg)
{
    return str_text(msg->route);
}

const char *weft_msg_sender(const weft_msg *msg)
{
    return str_text(msg->sender);
}

uint64_t weft_msg_time(const weft_msg *msg)
{
    return msg->time;
}

weft_msg *weft_msg_ref(const weft_msg *msg)
{
    if (msg->transient)
        return msg_copy(msg->data, msg->size, msg->route, msg->sender, msg->time);
    weft_msg *shared =
        (weft_msg *)(uintptr_t)msg; /* the count is not part of what const promises */
    atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    return shared;
}

void weft_msg_unref(weft_msg *msg)
{
    if (!msg || atomic_fetch_sub_explicit(&msg->refs, 1, memory_order_acq_rel) != 1)
        return;
    weft_msg_unref(msg->parent);
    str_unref(msg->route);
    str_unref(msg->sender);
    mem_free(msg);
}
