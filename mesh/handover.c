/* Handing a peer over from one link to another, without losing what is on its way
 * (docs/protocol.md section 4, "Handing over").
 *
 * The happy path: two nodes dialled each other, the first link is UP and carries messages, and the
 * second one wins the arbitration. The first stays UP until the second is; then it steps back
 * (RETIRING): it counts as a link no more, but is still read, and still written for every route on
 * which the new one has no interest yet. With the first DIGEST that agrees, the new link has them
 * all: GOODBYE goes behind the last message of the old one. Until the other side's GOODBYE has been
 * read there, no message is taken from the new link, so that the order of an intent holds. The old
 * link ends when both have said GOODBYE.
 *
 * Failure modes: the new link ends before that: the old one stands again, or follows the link that
 * displaced the new one. The old one ends or falls silent: what was read is delivered, and the new
 * one goes on without it. No DIGEST agrees, or none can be read since both sides hold messages
 * before it: GOODBYE goes out after 5 s all the same. A node with leaves does not hand over: there
 * the old link ends at once, and what was on its way over it is lost with it.
 *
 * Links may displace one another in a chain, and the end of one be the end of others. Whoever ends
 * a link walks a list of them, so no link ends another here: it is marked, and mesh_settle ends it.
 */
#include "mesh/private.h"

static struct mesh_link *winner_of(const struct mesh *m, const struct mesh_link *l)
{
    if (!l->priv->displaced_by)
        return NULL;
    list_each (it, (struct list *)(uintptr_t)&m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o->id == l->priv->displaced_by)
            return o;
    }
    return NULL;
}

static void displace(struct mesh *m, struct mesh_link *l, uint32_t by)
{
    m->displaced -= l->priv->displaced_by != 0;
    m->displaced += by != 0;
    l->priv->displaced_by = by;
}

/* The first of those that won over it, one over the other, that is UP. */
static struct mesh_link *standing_winner(const struct mesh *m, const struct mesh_link *l)
{
    struct mesh_link *winner = winner_of(m, l);
    while (winner && winner->state < LINK_UP)
        winner = winner_of(m, winner);
    return winner;
}

/* Is `l`, UP or just about to be, the link that takes the place of `o`? */
static bool yields_to(const struct mesh *m, const struct mesh_link *o, const struct mesh_link *l)
{
    const struct mesh_link *winner = winner_of(m, o);
    while (winner && winner != l && winner->state < LINK_UP)
        winner = winner_of(m, winner);
    return winner == l;
}

/* Messages of a link wait while an older one may still bring some. */
static void update_hold(struct mesh *m, struct mesh_link *l)
{
    bool hold = false;
    list_each (it, &m->links) {
        const struct mesh_link *o = list_entry(it, struct mesh_link, node);
        hold |= o->priv->displaced_by == l->id && !o->priv->heard_goodbye;
    }
    if (l->priv->held == hold)
        return;
    l->priv->held = hold;
    m->ops->hold(m->ctx, l, hold);
}

static bool both_can(const struct mesh *m, const struct mesh_link *l)
{
    uint64_t needed = FEATURE_DIGEST | FEATURE_GOODBYE;
    return !l->hs.base && (l->hs.features & needed) == needed && l->hs.role != ROLE_LEAF &&
           m->me.role != ROLE_LEAF;
}

/* A leaf would hear of a peer's intents twice, the second time under another name, which they would
 * keep (router/intents.c). */
static bool has_leaves(const struct mesh *m)
{
    list_each (it, (struct list *)(uintptr_t)&m->links) {
        if (list_entry(it, struct mesh_link, node)->hs.role == ROLE_LEAF)
            return true;
    }
    return false;
}

/* It is ended with this step. */
static void finish(struct mesh *m, struct mesh_link *l)
{
    l->priv->handed_over = m->any_broken = true;
}

void handover_finish(struct mesh *m, struct mesh_link *l, struct moment now)
{
    link_end(m, l, WEFT_EDISPLACED, DISPLACED_TEXT, false, 0, now);
}

/* A link that retires is read as long as it brings anything, and counts against no limit: of too
 * many to the node that `l` leads to, the first made goes at once. */
static void limit_retiring(struct mesh *m, const struct mesh_link *l)
{
    struct mesh_link *first = NULL;
    uint32_t count = 0;
    list_each (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o == l || o->state != LINK_RETIRING || o->priv->handed_over || !link_same_node(o, l))
            continue;
        first = first ? first : o;
        count++;
    }
    if (count >= HANDOVERS_MAX)
        finish(m, first);
}

bool handover_begin(struct mesh *m, struct mesh_link *old, struct mesh_link *l)
{
    if (old->hs.incarnation != l->hs.incarnation || !both_can(m, old) || !both_can(m, l) ||
        has_leaves(m) || !link_is_up_there(old))
        return false;
    limit_retiring(m, l);
    displace(m, old, l->id);
    update_hold(m, l);
    return true;
}

bool handover_under_way(struct mesh *m, struct mesh_link *old, struct mesh_link *l)
{
    if (!old->priv->displaced_by || old->hs.incarnation != l->hs.incarnation)
        return false;
    if (!winner_of(m, old)) {
        displace(m, old, l->id);
        update_hold(m, l);
    }
    return true;
}

uint32_t handover_yielding(const struct mesh *m, const struct mesh_link *l)
{
    uint32_t n = 0;
    if (!m->displaced)
        return 0;
    list_each (it, (struct list *)(uintptr_t)&m->links) {
        const struct mesh_link *o = list_entry(it, struct mesh_link, node);
        n += o->state == LINK_UP && yields_to(m, o, l);
    }
    return n;
}

/* All that has interests here has them over the new link: this one carries nothing more from us. */
static void say_goodbye(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct control c = {.type = MSG_GOODBYE,
                        .goodbye = {.reason = GOODBYE_DISPLACED, .description = DISPLACED_TEXT}};
    m->ops->retire(m->ctx, l);
    link_send(m, l, &c, LANE_ORDERED, false, now);
    l->priv->said_goodbye = true;
    if (l->priv->heard_goodbye)
        finish(m, l);
}

static void step_back(struct mesh *m, struct mesh_link *l, struct mesh_link *winner,
                      struct moment now)
{
    l->state = LINK_RETIRING;
    m->up--;
    winner->priv->in_book |= l->priv->in_book;
    m->ops->replaced(m->ctx, l, winner);
    l->priv->goodbye_by = now.mono_ns + HANDOVER_NS;
    link_arm(m, l, now.mono_ns);
    if (winner->priv->agreed)
        say_goodbye(m, l, now);
}

bool handover_up(struct mesh *m, struct mesh_link *l, struct moment now)
{
    struct mesh_link *winner = standing_winner(m, l);
    if (winner) {
        step_back(m, l, winner, now);
        return false;
    }
    if (!m->displaced)
        return true;
    list_each_safe (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o->state < LINK_UP || !yields_to(m, o, l))
            continue;
        if (o->state == LINK_RETIRING) { /* the one it stepped back for has gone meanwhile */
            m->ops->replaced(m->ctx, o, l);
            continue;
        }
        mesh_event(m, WEFT_EVENT_PEER_DOWN, o, NULL, WEFT_EDISPLACED, DISPLACED_TEXT);
        step_back(m, o, l, now);
    }
    return true;
}

void handover_agreed(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (l->priv->agreed)
        return;
    l->priv->agreed = true;
    if (!m->displaced)
        return;
    list_each_safe (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (o->state == LINK_RETIRING && yields_to(m, o, l) && !o->priv->said_goodbye)
            say_goodbye(m, o, now);
    }
}

bool handover_goodbye(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (l->state != LINK_RETIRING)
        return false;
    l->priv->heard_goodbye = true;
    struct mesh_link *winner = winner_of(m, l);
    if (winner)
        update_hold(m, winner);
    if (l->priv->said_goodbye || !winner)
        link_end(m, l, WEFT_EDISPLACED, DISPLACED_TEXT, true, GOODBYE_DISPLACED, now);
    return true;
}

/* What stepped back stands again, unless it is on its way out already. */
static void stand_again(struct mesh *m, struct mesh_link *l)
{
    const struct link_private *p = l->priv;
    if (p->heard_goodbye || p->said_goodbye || l->state != LINK_RETIRING || m->leaving)
        return;
    l->state = LINK_UP;
    m->up++;
    m->ops->replaced(m->ctx, l, NULL);
    mesh_event(m, WEFT_EVENT_PEER_UP, l, NULL, 0, NULL);
}

/* The link that o stepped back for has gone, and that one's winner is in its place. */
static void follow(struct mesh *m, struct mesh_link *o, struct mesh_link *winner, struct moment now)
{
    if (winner->state < LINK_UP)
        return;
    m->ops->replaced(m->ctx, o, winner);
    if (winner->priv->agreed && !o->priv->said_goodbye)
        say_goodbye(m, o, now);
}

/* Did `o` step back for the link `id`, with none between them but such as are not UP? */
static bool stepped_back_for(const struct mesh *m, const struct mesh_link *o, uint32_t id)
{
    if (o->state != LINK_RETIRING)
        return false;
    while (o && o->priv->displaced_by != id) {
        o = winner_of(m, o);
        if (o && o->state >= LINK_UP)
            return false;
    }
    return o != NULL;
}

/* Who waited for the link that ended waits for that one's winner, or for nobody. */
static void pass_on(struct mesh *m, struct mesh_link *l, const struct mesh_link *winner,
                    struct moment now)
{
    list_each (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        struct link_private *p = o->priv;
        if (p->displaced_by != l->id)
            continue;
        link_arm(m, o, now.mono_ns);
        if (winner || (!p->heard_goodbye && !p->said_goodbye))
            displace(m, o, winner ? winner->id : 0);
    }
}

void handover_ended(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (!m->displaced)
        return;
    struct mesh_link *winner = winner_of(m, l);
    list_each_safe (it, &m->links) {
        struct mesh_link *o = list_entry(it, struct mesh_link, node);
        if (!stepped_back_for(m, o, l->id))
            continue;
        if (winner)
            follow(m, o, winner, now);
        else
            stand_again(m, o);
    }
    pass_on(m, l, winner, now);
    displace(m, l, 0);
    if (winner)
        update_hold(m, winner);
}

/* Each side may hold the new link for the other's GOODBYE, and the DIGEST that GOODBYE waits for
 * may lie behind a message that is held: then nobody would ever be the first to let go. */
void handover_hurry(struct mesh *m, struct mesh_link *l, struct moment now)
{
    const struct link_private *p = l->priv;
    if (l->state == LINK_RETIRING && !p->said_goodbye && p->goodbye_by <= now.mono_ns)
        say_goodbye(m, l, now);
}

bool handover_over(const struct mesh_link *l, uint64_t mono_ns)
{
    const struct link_private *p = l->priv;
    return l->state == LINK_RETIRING && p->last_rx + HANDOVER_NS <= mono_ns;
}
