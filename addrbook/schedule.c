/* When which entry is due: a binary heap by monotonic time for each kind, each entry knowing its
 * slot.
 *
 *     slots[0] is the earliest; the children of slot i are 2i + 1 and 2i + 2 */
#include "addrbook/private.h"

static void place(struct schedule *s, size_t slot, struct entry *e)
{
    s->slots[slot] = e;
    e->slot = slot;
}

static void sift_up(struct schedule *s, struct entry *e)
{
    size_t slot = e->slot;
    while (slot > 0) {
        struct entry *parent = s->slots[(slot - 1) / 2];
        if (parent->next_dial <= e->next_dial)
            break;
        size_t up = parent->slot;
        place(s, slot, parent);
        slot = up;
    }
    place(s, slot, e);
}

static void sift_down(struct schedule *s, struct entry *e)
{
    size_t slot = e->slot;
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= s->count)
            break;
        if (child + 1 < s->count && s->slots[child + 1]->next_dial < s->slots[child]->next_dial)
            child++;
        if (e->next_dial <= s->slots[child]->next_dial)
            break;
        place(s, slot, s->slots[child]);
        slot = child;
    }
    place(s, slot, e);
}

void schedule_at(struct addrbook *book, struct entry *e, uint64_t when)
{
    struct schedule *s = &book->schedules[kind_of(e)];
    if (e->slot == UNSCHEDULED)
        place(s, s->count++, e);
    e->next_dial = when;
    e->polite_until = 0;
    sift_up(s, e);
    sift_down(s, e);
}

void schedule_drop(struct addrbook *book, struct entry *e)
{
    if (e->slot == UNSCHEDULED)
        return;
    struct schedule *s = &book->schedules[kind_of(e)];
    struct entry *last = s->slots[--s->count];
    if (last != e) {
        place(s, e->slot, last);
        sift_up(s, last);
        sift_down(s, last);
    }
    e->slot = UNSCHEDULED;
}

struct entry *schedule_first(const struct addrbook *book, enum kind kind)
{
    const struct schedule *s = &book->schedules[kind];
    return s->count ? s->slots[0] : NULL;
}

uint64_t after(uint64_t now, uint64_t pause)
{
    return pause >= NEVER - 1 - now ? NEVER - 1 : now + pause;
}
