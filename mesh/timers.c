/* When which link is to be looked at: a binary heap by time, each link knowing its slot.
 *
 *     timers[0] is the earliest; the children of slot i are 2i + 1 and 2i + 2
 *
 * A link has one time, the earliest of all it waits for; looked at then, it arms the next. So a
 * node with a thousand links looks at the one that is due and not at a thousand. Room is made with
 * the link: arming never fails. */
#include "mesh/private.h"

#include "base/mem.h"

#define UNARMED UINT32_MAX

static void place(struct mesh *m, uint32_t slot, struct timer timer)
{
    m->timers[slot] = timer;
    timer.link->priv->wake_slot = slot;
}

static void sift_up(struct mesh *m, uint32_t slot)
{
    struct timer timer = m->timers[slot];
    while (slot > 0 && m->timers[(slot - 1) / 2].at > timer.at) {
        place(m, slot, m->timers[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    place(m, slot, timer);
}

static void sift_down(struct mesh *m, uint32_t slot)
{
    struct timer timer = m->timers[slot];
    for (;;) {
        uint32_t child = 2 * slot + 1;
        if (child >= m->n_timers)
            break;
        if (child + 1 < m->n_timers && m->timers[child + 1].at < m->timers[child].at)
            child++;
        if (m->timers[child].at >= timer.at)
            break;
        place(m, slot, m->timers[child]);
        slot = child;
    }
    place(m, slot, timer);
}

int timers_add(struct mesh *m, struct mesh_link *l)
{
    if (m->n_links == m->cap_timers) {
        uint32_t cap = m->cap_timers ? 2 * m->cap_timers : 8;
        struct timer *timers = mem_realloc(m->timers, cap * sizeof(*timers));
        if (!timers)
            return WEFT_ENOMEM;
        m->timers = timers;
        m->cap_timers = cap;
    }
    m->n_links++;
    l->priv->wake_at = NEVER;
    l->priv->wake_slot = UNARMED;
    return 0;
}

static void disarm(struct mesh *m, struct mesh_link *l)
{
    uint32_t slot = l->priv->wake_slot;
    l->priv->wake_at = NEVER;
    if (slot == UNARMED)
        return;
    l->priv->wake_slot = UNARMED;
    struct timer last = m->timers[--m->n_timers];
    if (last.link == l)
        return;
    place(m, slot, last);
    sift_up(m, slot);
    sift_down(m, last.link->priv->wake_slot);
}

void timers_remove(struct mesh *m, struct mesh_link *l)
{
    disarm(m, l);
    m->n_links--;
}

void link_arm(struct mesh *m, struct mesh_link *l, uint64_t when)
{
    struct link_private *p = l->priv;
    when = max_u64(when, m->not_before);
    if (when >= p->wake_at)
        return;
    p->wake_at = when;
    place(m, p->wake_slot == UNARMED ? m->n_timers++ : p->wake_slot, (struct timer){when, l});
    sift_up(m, p->wake_slot);
}

uint64_t timers_deadline(const struct mesh *m)
{
    return m->n_timers ? m->timers[0].at : NEVER;
}

struct mesh_link *timers_next_due(struct mesh *m, uint64_t mono_ns)
{
    if (timers_deadline(m) > mono_ns)
        return NULL;
    struct mesh_link *l = m->timers[0].link;
    disarm(m, l);
    return l;
}
