/* Addresses that the book treats apart: its own for ever, departed and forgotten ones for a while.
 * A mark is put, found until its time is over, and evicted when MARKS_MAX younger ones have come;
 * nothing sweeps, since an expired mark costs no more than its place in the queue. */
#include "addrbook/private.h"

struct mark {
    struct map_node node;
    struct list in_order;
    uint64_t until; /* monotonic; NEVER: does not expire */
    char identity[];
};

static struct mark *mark_find(const struct marks *marks, const char *identity)
{
    struct map_node *n = map_get(&marks->map, identity, strlen(identity));
    return n ? container_of(n, struct mark, node) : NULL;
}

static void mark_free(struct marks *marks, struct mark *m)
{
    map_del(&marks->map, &m->node);
    list_remove(&m->in_order);
    mem_free(m);
}

void marks_init(struct marks *marks)
{
    marks->map = (struct map){NULL};
    list_init(&marks->order);
}

void marks_fini(struct marks *marks)
{
    list_each_safe (it, &marks->order)
        mark_free(marks, list_entry(it, struct mark, in_order));
}

void marks_put(struct marks *marks, const char *identity, uint64_t until)
{
    marks_drop(marks, identity);
    if (map_count(&marks->map) >= MARKS_MAX)
        mark_free(marks, list_entry(marks->order.next, struct mark, in_order));
    size_t len = strlen(identity);
    struct mark *m = mem_zalloc(sizeof(*m) + len + 1);
    if (!m)
        return;
    memcpy(m->identity, identity, len);
    m->until = until;
    if (map_put(&marks->map, &m->node, m->identity, len) < 0) {
        mem_free(m);
        return;
    }
    list_push(&marks->order, &m->in_order);
}

uint64_t marks_until(const struct marks *marks, const char *identity)
{
    const struct mark *m = mark_find(marks, identity);
    return m ? m->until : 0;
}

void marks_drop(struct marks *marks, const char *identity)
{
    struct mark *m = mark_find(marks, identity);
    if (m)
        mark_free(marks, m);
}
