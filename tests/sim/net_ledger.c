/* Ledgers, and the lane in which messages wait: what is taken off it before it was sent. */
#include "net_ledger.h"

#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

struct net_ledger *net_ledger_of(struct net_end *end)
{
    if (!end->ledger) {
        end->ledger = net_alloc(NULL, sizeof(*end->ledger));
        *end->ledger = (struct net_ledger){0};
    }
    return end->ledger;
}

void net_ledger_put(struct net_end *end, const struct parcel *parcel)
{
    struct net_ledger *l = net_ledger_of(end);
    if (l->head == l->len)
        l->head = l->len = 0;
    if (l->len == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->items = net_alloc(l->items, l->cap * sizeof(*l->items));
    }
    l->items[l->len++] = *parcel;
}

size_t net_ledger_count(const struct net_end *end)
{
    return end->ledger ? end->ledger->len - end->ledger->head : 0;
}

bool net_may_lose(const struct net_end *end)
{
    const struct net_conn *conn = end->conn;
    const struct net_node *a = conn->ends[0].node, *b = conn->ends[1].node;
    return conn->harmed || !a || !b || a->router || b->router;
}

static void lost(struct net_end *end, const struct parcel *parcel, const char *where)
{
    struct net_end *to = net_other(end);
    if (!net_may_lose(end))
        net_wrong(
            end->conn->net,
            "message %llu of intent %llu was lost %s from n%u to n%u, on a connection that no "
            "fault has met",
            (unsigned long long)parcel->seq, (unsigned long long)parcel->uid, where,
            index_of(end->node), index_of(to->node));
}

void net_ledger_close(struct net_end *end)
{
    struct net_ledger *l = end->ledger;
    if (!l)
        return;
    for (size_t i = l->head; i < l->len; i++)
        lost(end, &l->items[i], "on its way");
    end->conn->net->traffic.lost_away += l->len - l->head;
    for (size_t i = 0; i < l->n_closed; i++)
        free(l->closed[i].text);
    free(l->closed);
    free(l->items);
    free(l);
    end->ledger = NULL;
}

/* ---- The ordered lane ---- */

bool net_is_message(const struct frame *frame)
{
    struct header header;
    if (frame->compact)
        return true;
    return header_decode(frame->header, frame->header_size, &header) == 0 &&
           (header.type == MSG_MESSAGE || header.type >= MSG_USER);
}

/* How many of the ledger's latest still wait in the lane. */
static size_t count_waiting(const struct net_end *end)
{
    size_t bytes = 0, count = 0;
    while (bytes < end->waiting)
        bytes += end->ledger->items[end->ledger->len - ++count].frame;
    return count;
}

/* Take messages off the ordered lane and the ledger, oldest first, of one intent or (uid 0) of any,
 * until `enough` bytes of them are gone. What tells of intents stays. Returns how many. */
static size_t take_back(struct net_end *end, size_t enough, uint64_t uid)
{
    struct net_bytes *lane = &end->lane[1];
    struct net_ledger *l = end->ledger;
    struct frame frame;
    size_t item = l->len - count_waiting(end), left = item, before = l->len, kept = 0, gone = 0;
    for (size_t at = 0; at < lane->len; at += frame.size) {
        if (frame_scan(lane->data + at, lane->len - at, FRAME_MAX_LIMIT, &frame) != 1)
            abort(); /* a lane holds whole frames */
        if (net_is_message(&frame)) {
            struct parcel parcel = l->items[item++];
            if (gone < enough && (!uid || parcel.uid == uid)) {
                gone += frame.size;
                continue;
            }
            l->items[left++] = parcel;
        }
        memmove(lane->data + kept, lane->data + at, frame.size);
        kept += frame.size;
    }
    lane->len = kept;
    end->waiting -= gone;
    l->len = left;
    return before - left;
}

size_t net_take_back(struct net_end *end, size_t bytes)
{
    return end->waiting ? take_back(end, bytes, 0) : 0;
}

size_t net_take_back_of(struct net_end *end, uint64_t uid)
{
    return end->waiting ? take_back(end, SIZE_MAX, uid) : 0;
}

void net_drop_waiting(struct net_end *end)
{
    if (!end->waiting)
        return;
    struct net_ledger *l = end->ledger;
    for (size_t i = l->len - count_waiting(end); i < l->len; i++)
        lost(end, &l->items[i], "while it waited for its way");
    end->conn->net->traffic.lost += net_take_back(end, SIZE_MAX);
}

void net_written(struct net_end *end, size_t size)
{
    struct net_node *node = end->node;
    size_t limit = node->net->options.outbox ? node->net->options.outbox : OUTBOX_DEFAULT;
    end->waiting -= size;
    if (end->waiting <= limit / 2)
        end->stuck = false;
    node->pump = true;
    node->resume |= !list_empty(&node->paused);
}
