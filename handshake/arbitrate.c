/* Which of two links to one node stays (docs/protocol.md section 4, "One link a pair").
 *
 * Happy path: two nodes dial each other at the same instant, and each side of each link, whenever
 * it learns of the second one, closes the one that the smaller node id initiated. The verdict
 * depends on nothing but ids and stamps, so the order in which messages arrive cannot change it.
 *
 * Time comes in for one case only: a link that has been DONE for longer than a race of two dials
 * can last, while the other side dials anew. Then that side has lost it. A connection takes 3 s to
 * come up and its handshake 5 s, so 10 s tell at the responder. The initiator learns of the second
 * link only after the responder has let it pass, and the two ends of the old one have become DONE
 * within 5 s of each other: there the half is enough. With much less, the model in the tests finds
 * races in which each side keeps another link.
 *
 * A new incarnation displaces the old one's link at once. But a node that was killed in the middle
 * of its handshake can leave an INITIAL behind that is read only after that of its successor: of
 * two links that one side initiated, the one with the earlier stamp is then the stale one. Stamps
 * of another node come from a clock that may be set back over a restart, so they count only for as
 * long as such an INITIAL can linger, the time of one handshake. */
#include "handshake/handshake.h"

#include <string.h>

/* DONE for at least `time`? */
static bool done_for(const struct link_claim *claim, uint64_t mono_ns, uint64_t time)
{
    return claim->done_since != NEVER && mono_ns >= claim->done_since &&
           mono_ns - claim->done_since >= time;
}

static enum verdict by_incarnation(const struct link_claim *old, const struct link_claim *fresh,
                                   uint64_t mono_ns)
{
    bool belated = old->initiated == fresh->initiated && fresh->stamp < old->stamp &&
                   !done_for(old, mono_ns, HANDSHAKE_TIMEOUT_NS);
    return belated ? KEEP_OLD : KEEP_NEW;
}

/* Each side initiated one of them. A base peer keeps both, so ours to choose: what we dialled. */
static enum verdict by_initiator(const uint8_t our_id[16], const uint8_t their_id[16],
                                 const struct link_claim *old, const struct link_claim *fresh,
                                 uint64_t mono_ns)
{
    uint64_t settled = fresh->initiated ? HANDSHAKE_SETTLED_DIALER_NS : HANDSHAKE_SETTLED_NS;
    if (done_for(old, mono_ns, settled))
        return KEEP_NEW;
    bool ours_wins = fresh->base || memcmp(our_id, their_id, 16) > 0;
    return fresh->initiated == ours_wins ? KEEP_NEW : KEEP_OLD;
}

enum verdict handshake_arbitrate(const uint8_t our_id[16], const uint8_t their_id[16],
                                 const struct link_claim *old, const struct link_claim *fresh,
                                 uint64_t mono_ns)
{
    if (old->incarnation != fresh->incarnation)
        return by_incarnation(old, fresh, mono_ns);
    if (old->initiated != fresh->initiated)
        return by_initiator(our_id, their_id, old, fresh, mono_ns);
    if (fresh->base)
        return KEEP_NEW;
    return fresh->stamp < old->stamp ? KEEP_OLD : KEEP_NEW;
}
