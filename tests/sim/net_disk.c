/* The modelled disk: what node/bookfile.c does with the address book.
 *
 * Saved at once where there was none, every two minutes when it changed, and at exit: the whole
 * book to another file, then the rename. Until the rename the former book is what a crash leaves.
 */
#include "net_private.h"

#include <assert.h>

#include <weft/weft.h>

#define SAVE_NS (120 * NS_PER_SEC) /* as in node/ */
#define WRITE_MAX_NS (200 * NS_PER_MS)

void net_disk_start(struct net_node *node, bool found)
{
    node->saved_at = NEVER;
    node->save_at = NEVER;
    if (node->net->options.disk)
        node->save_at = node->net->now + (found ? SAVE_NS : 0);
}

uint64_t net_disk_deadline(const struct net_node *node)
{
    return min_u64(node->save_at, node->saved_at);
}

static void encode(struct net_node *node, struct buf *out)
{
    buf_reset(out);
    int rc = addrbook_encode(mesh_addrbook(node->mesh), out);
    assert(rc == 0 || rc == WEFT_ENOMEM);
    (void)rc;
}

void net_disk_tick(struct net_node *node)
{
    uint64_t now = node->net->now;
    if (node->saved_at <= now) { /* the rename */
        struct buf former = node->book;
        node->book = node->writing;
        node->writing = former;
        node->saved_at = NEVER;
    }
    if (node->save_at > now)
        return;
    node->save_at = now + SAVE_NS;
    if (!addrbook_dirty(mesh_addrbook(node->mesh)))
        return;
    encode(node, &node->writing);
    node->saved_at = now + net_chance(node->net, 0, WRITE_MAX_NS);
}

void net_disk_crash(struct net_node *node)
{
    if (!node->net->options.disk)
        encode(node, &node->book);
}

void net_disk_leave(struct net_node *node)
{
    encode(node, &node->book);
}
