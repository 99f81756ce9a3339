/* Nodes and the entries that lead to them. A link shows that an address is answered by a certain
 * node; from then on that entry is a name of it, and all its names are linked, dialled one at a
 * time, and banned together. A node lives as long as it has a name.
 *
 * A node that comes back with another port each time would gather names without end, and so would
 * one that claims another address on each link: names_trim keeps the freshest few. */
#include "addrbook/private.h"

struct node *node_find(const struct addrbook *book, const uint8_t *id)
{
    struct map_node *n = map_get(&book->nodes, id, NODE_ID_SIZE);
    return n ? container_of(n, struct node, by_id) : NULL;
}

struct node *node_get(struct addrbook *book, const uint8_t *id)
{
    struct node *node = id ? node_find(book, id) : NULL;
    if (node)
        return node;
    node = mem_zalloc(sizeof(*node));
    if (!node)
        return NULL;
    list_init(&node->names);
    if (!id)
        return node;
    memcpy(node->id, id, NODE_ID_SIZE);
    node->has_id = true;
    if (map_put(&book->nodes, &node->by_id, node->id, NODE_ID_SIZE) < 0) {
        mem_free(node);
        return NULL;
    }
    return node;
}

void node_release(struct addrbook *book, struct node *node)
{
    if (node->count)
        return;
    if (node->has_id)
        map_del(&book->nodes, &node->by_id);
    mem_free(node);
}

void name_detach(struct addrbook *book, struct entry *e)
{
    struct node *node = e->node;
    if (!node)
        return;
    list_remove(&e->in_node);
    node->count--;
    node->dialing -= e->dialing;
    e->node = NULL;
    e->reached = false;
    node_release(book, node);
}

void name_attach(struct addrbook *book, struct node *node, struct entry *e)
{
    if (e->node == node)
        return;
    name_detach(book, e);
    e->node = node;
    list_push(&node->names, &e->in_node);
    node->count++;
    node->dialing += e->dialing;
    if (node->linked)
        schedule_drop(book, e);
}

static struct entry *stalest_name(const struct node *node, const struct entry *keep,
                                  const struct entry *also, uint64_t wall_ns)
{
    struct entry *found = NULL;
    list_each (it, &node->names) {
        struct entry *e = list_entry(it, struct entry, in_node);
        if (e == keep || e == also || e->dialing || e->reached || entry_configured(e) ||
            e->policy.persistent || e->banned_until > wall_ns)
            continue;
        if (!found || e->last_success < found->last_success)
            found = e;
    }
    return found;
}

void names_trim(struct addrbook *book, struct node *node, const struct entry *keep,
                const struct entry *also, struct moment now)
{
    while (node->count > NODE_NAMES_MAX) {
        struct entry *e = stalest_name(node, keep, also, now.wall_ns);
        if (!e)
            return;
        entry_remove(book, e);
    }
}

uint64_t entry_banned_until(const struct entry *e)
{
    uint64_t until = e->banned_until;
    if (!e->node)
        return until;
    list_each (it, &e->node->names)
        until = max_u64(until, list_entry(it, struct entry, in_node)->banned_until);
    return until;
}

bool entry_banned(const struct entry *e, uint64_t wall_ns)
{
    return entry_banned_until(e) > wall_ns;
}

bool entry_kept(const struct entry *e)
{
    bool kept = e->policy.persistent;
    if (!e->node)
        return kept;
    list_each (it, &e->node->names)
        kept |= list_entry(it, struct entry, in_node)->policy.persistent;
    return kept;
}
