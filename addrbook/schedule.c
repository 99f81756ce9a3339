/* When which entry is due: a binary heap by monotonic time, each entry knowing its slot.
 *
 *     schedule[0] is the earliest; the children of slot i are 2i + 1 and 2i + 2 */
#include "addrbook/private.h"

static void place(struct addrbook *book, size_t slot, struct entry *e)
{
    book->schedule[slot] = e;
    e->slot = slot;
}

static void sift_up(struct addrbook *book, struct entry *e)
{
    size_t slot = e->slot;
    while (slot > 0) {
        struct entry *parent = book->schedule[(slot - 1) / 2];
        if (parent->next_dial <= e->next_dial)
            break;
        size_t up = parent->slot;
        place(book, slot, parent);
        slot = up;
    }
    place(book, slot, e);
}

static void sift_down(struct addrbook *book, struct entry *e)
{
    size_t slot = e->slot;
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= book->scheduled)
            break;
        if (child + 1 < book->scheduled &&
            book->schedule[child + 1]->next_dial < book->schedule[child]->next_dial)
            child++;
        if (e->next_dial <= book->schedule[child]->next_dial)
            break;
        place(book, slot, book->schedule[child]);
        slot = child;
    }
    place(book, slot, e);
}

void schedule_at(struct addrbook *book, struct entry *e, uint64_t when)
{
    if (e->slot == UNSCHEDULED)
        place(book, book->scheduled++, e);
    e->next_dial = when;
    e->polite_until = 0;
    sift_up(book, e);
    sift_down(book, e);
}

void schedule_drop(struct addrbook *book, struct entry *e)
{
    if (e->slot == UNSCHEDULED)
        return;
    struct entry *last = book->schedule[--book->scheduled];
    if (last != e) {
        place(book, e->slot, last);
        sift_up(book, last);
        sift_down(book, last);
    }
    e->slot = UNSCHEDULED;
}

struct entry *schedule_first(const struct addrbook *book)
{
    return book->scheduled ? book->schedule[0] : NULL;
}

uint64_t after(uint64_t now, uint64_t pause)
{
    return pause >= NEVER - 1 - now ? NEVER - 1 : now + pause;
}
