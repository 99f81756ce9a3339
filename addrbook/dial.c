/* Dialling: who is next, and what becomes of it.
 *
 * The earliest due entry (of hearsay: the due one whose source waits longest) is reserved and
 * handed out; the owner dials and reports back once, by addrbook_linked or addrbook_dial_failed, or
 * the entry is removed meanwhile. A link makes all names of its node linked and unscheduled; its
 * end schedules one of them soon and the others later.
 *
 *     scheduled ──next_dial──▶ out ──linked──▶ linked
 *         ▲                    │                 │
 *         └──pause─────────────┴──pause──────────┘
 *
 * Every pause is drawn uniformly between the floor and the backoff (full jitter), so that peers
 * that lost a router together do not return together. The backoff grows with each failure and each
 * link that did not last, and only a stable link resets it. A peer that is not persistent is given
 * up after max_attempts failures in a row: for good if it never answered, else it is dormant, tried
 * seldom, and dropped a day after its last success.
 *
 * Out of memory never loses an entry: at worst two names of one node are not known to be one, and
 * the second is dialled once in a while to find the standing link. */
#include "addrbook/private.h"

#define STAGGER_NS                                                                                 \
    (10 * NS_PER_SEC)               /* the other names of a lost node wait this long or twice it   \
                                     */
#define SIBLING_NS (3 * NS_PER_SEC) /* the longest dial of another name of the same node */
#define DORMANT_LIFE_NS (24 * 3600 * NS_PER_SEC)

static uint64_t spread(struct addrbook *book, uint64_t low, uint64_t high)
{
    return prng_between(book->prng, low, high);
}

/* ---- Pauses ---- */

static uint64_t next_backoff(const struct entry *e)
{
    const struct addrbook_policy *p = &e->policy;
    if (!e->backoff_ns)
        return min_u64(p->default_backoff_ns, p->max_backoff_ns);
    double grown = (double)e->backoff_ns * (double)p->multiplier;
    return grown < (double)p->max_backoff_ns ? (uint64_t)grown : p->max_backoff_ns;
}

static void back_off(struct addrbook *book, struct entry *e, struct moment now)
{
    e->backoff_ns = next_backoff(e);
    uint64_t longest = max_u64(ADDRBOOK_JITTER_FLOOR_NS, e->backoff_ns);
    schedule_at(book, e, after(now.mono_ns, spread(book, ADDRBOOK_JITTER_FLOOR_NS, longest)));
}

bool entry_given_up(const struct entry *e)
{
    return !e->policy.persistent && e->failures >= e->policy.max_attempts;
}

static bool worth_keeping(const struct entry *e, uint64_t wall_ns)
{
    if (entry_banned(e, wall_ns))
        return true; /* or the ban would go with it */
    return e->last_success &&
           (wall_ns < e->last_success || wall_ns - e->last_success < DORMANT_LIFE_NS);
}

static void rest_or_drop(struct addrbook *book, struct entry *e, struct moment now)
{
    if (!worth_keeping(e, now.wall_ns)) {
        entry_remove(book, e);
        return;
    }
    uint64_t pause = spread(book, ADDRBOOK_DORMANT_NS / 2, ADDRBOOK_DORMANT_NS * 3 / 2);
    schedule_at(book, e, after(now.mono_ns, pause));
}

/* ---- Reserving ---- */

static void reserve_dial(struct addrbook *book, struct entry *e)
{
    schedule_drop(book, e);
    e->dialing = true;
    if (e->attempts < UINT32_MAX)
        e->attempts++;
    if (e->node)
        e->node->dialing++;
    book->out[kind_of(e)]++;
}

void release_dial(struct addrbook *book, struct entry *e)
{
    if (!e->dialing)
        return;
    e->dialing = false;
    if (e->node)
        e->node->dialing--;
    book->out[kind_of(e)]--;
}

/* The other side's dial is still awaited, and links come one after the other: a mesh forms, and it
 * may have many to dial. */
static bool wait_politely(struct addrbook *book, struct entry *e, uint64_t now)
{
    uint64_t until = e->polite_until, formed = after(book->linked_at, ADDRBOOK_FORMING_NS);
    if (!book->linked_at || until <= now || formed <= now)
        return false;
    schedule_at(book, e, min_u64(formed, until));
    e->polite_until = until;
    return true;
}

/* A due entry that is not to be dialled now waits on. A ban ends by the wall clock, which may step:
 * look again before it ends. */
static bool postpone(struct addrbook *book, struct entry *e, struct moment now)
{
    uint64_t until = entry_banned_until(e);
    if (until > now.wall_ns) {
        uint64_t left = min_u64(until - now.wall_ns, BAN_RECHECK_NS);
        schedule_at(book, e, after(now.mono_ns, left));
        return true;
    }
    if (e->node && e->node->dialing) {
        uint64_t pause = spread(book, SIBLING_NS, 2 * SIBLING_NS);
        schedule_at(book, e, after(now.mono_ns, pause));
        return true;
    }
    return wait_politely(book, e, now.mono_ns);
}

/* NULL: none is due. */
static struct entry *next_vouched(struct addrbook *book, struct moment now)
{
    struct entry *e;
    while ((e = schedule_first(book, KIND_VOUCHED)) != NULL && e->next_dial <= now.mono_ns) {
        if (!postpone(book, e, now))
            return e;
    }
    return NULL;
}

/* Of all that are due: postponing moves them about in the heap, so they are gathered first. */
static struct entry *next_hearsay(struct addrbook *book, struct moment now)
{
    const struct schedule *s = &book->schedules[KIND_HEARSAY];
    const struct entry *first = schedule_first(book, KIND_HEARSAY);
    struct entry *best = NULL;
    size_t due = 0;
    if (!first || first->next_dial > now.mono_ns)
        return NULL;
    for (size_t i = 0; i < s->count; i++) {
        if (s->slots[i]->next_dial <= now.mono_ns)
            book->scratch[due++] = s->slots[i];
    }
    for (size_t i = 0; i < due; i++) {
        struct entry *e = book->scratch[i];
        if (postpone(book, e, now))
            continue;
        bool longer = best && e->source->served == best->source->served
                          ? e->next_dial < best->next_dial
                          : best && e->source->served < best->source->served;
        if (!best || longer)
            best = e;
    }
    if (best)
        best->source->served = ++book->served;
    return best;
}

bool addrbook_next_dial(struct addrbook *book, struct moment now, struct addrbook_dial *ret_dial)
{
    struct entry *e = NULL;
    if (book->out[KIND_VOUCHED] < ADDRBOOK_DIALS_MAX)
        e = next_vouched(book, now);
    if (!e && book->out[KIND_HEARSAY] < ADDRBOOK_DIALS_MAX)
        e = next_hearsay(book, now);
    if (!e)
        return false;
    reserve_dial(book, e);
    *ret_dial = (struct addrbook_dial){.entry = e->id, .url = e->peer};
    return true;
}

uint64_t addrbook_deadline(const struct addrbook *book)
{
    uint64_t deadline = NEVER;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const struct entry *e = schedule_first(book, (enum kind)kind);
        if (e && book->out[kind] < ADDRBOOK_DIALS_MAX)
            deadline = min_u64(deadline, e->next_dial);
    }
    return deadline;
}

/* ---- Failure ---- */

void addrbook_dial_failed(struct addrbook *book, uint32_t id, int error, const char *text,
                          struct moment now)
{
    struct entry *e = entry_by_id(book, id);
    if (!e || !e->dialing)
        return;
    release_dial(book, e);
    if (error == WEFT_ESELF) {
        marks_put(&book->own, e->identity, NEVER);
        entry_remove(book, e);
        return;
    }
    entry_set_error(book, e, error, text);
    if (entry_linked(e))
        return;
    if (error == WEFT_EDUPLICATE)
        e->failures = 0; /* somebody answers there */
    else if (e->failures < UINT32_MAX)
        e->failures++;
    if (entry_given_up(e))
        rest_or_drop(book, e, now);
    else
        back_off(book, e, now);
}

/* ---- Links ---- */

/* The entry of the agreed FQN. Null where there is to be none: it has no address, or ours. */
static int agreed_entry(struct addrbook *book, const char *text, bool dialled, struct moment now,
                        struct entry **ret_entry)
{
    struct url url;
    char identity[URL_MAX + 1];
    *ret_entry = NULL;
    if (identify(text, &url, identity) < 0 || !url_dialable(&url) || is_own(book, identity))
        return 0;
    struct entry *e = entry_by_identity(book, identity);
    if (!e) {
        enum weft_origin origin = dialled ? WEFT_ORIGIN_OBSERVED : WEFT_ORIGIN_INBOUND;
        return entry_new(book, url.text, identity, origin, url.text, now, ret_entry);
    }
    struct url known;
    if (url_parse(e->peer, strlen(e->peer), &known, NULL) < 0 || !known.query[0])
        entry_set_peer(book, e, url.text);
    *ret_entry = e;
    return 0;
}

/* What shared a node without id with a name of `node` belongs to `node` too. */
static void absorb(struct addrbook *book, struct node *node, struct node *from)
{
    if (!from || from == node || from->has_id)
        return;
    for (uint32_t left = from->count; left; left--) /* `from` is freed with its last name */
        name_attach(book, node, list_entry(from->names.next, struct entry, in_node));
}

static void reach(struct addrbook *book, struct node *node, struct entry *e, struct moment now)
{
    absorb(book, node, e->node);
    name_attach(book, node, e);
    entry_proven(book, e);
    marks_drop(&book->departed, e->identity);
    e->reached = true;
    e->failures = 0;
    e->last_success = max_u64(now.wall_ns, 1);
    book->dirty = true;
}

/* The node of a peer that gave no id: the one that such a link was known by, else a new one. */
static struct node *nameless_node(struct addrbook *book, const struct entry *dialled,
                                  const struct entry *agreed)
{
    if (agreed && agreed->node && !agreed->node->has_id)
        return agreed->node;
    if (dialled && dialled->node && !dialled->node->has_id)
        return dialled->node;
    return node_get(book, NULL);
}

/* Out of memory for the node: what is not dialled anyhow finds the standing link later. */
static void retry_later(struct addrbook *book, struct entry *e, struct moment now)
{
    if (e && e->slot == UNSCHEDULED && !e->dialing && !entry_linked(e))
        back_off(book, e, now);
}

static void mark_linked(struct addrbook *book, struct node *node)
{
    node->linked = true;
    list_each (it, &node->names)
        schedule_drop(book, list_entry(it, struct entry, in_node));
}

int addrbook_linked(struct addrbook *book, uint32_t id, const char *url, const uint8_t *node_id,
                    struct moment now)
{
    struct entry *agreed;
    int rc = agreed_entry(book, url, entry_by_id(book, id) != NULL, now, &agreed);
    struct entry *dialled = entry_by_id(book, id);
    if (dialled)
        release_dial(book, dialled);
    if (!dialled && !agreed)
        return rc;
    struct node *node = node_id ? node_get(book, node_id) : nameless_node(book, dialled, agreed);
    if (!node) {
        retry_later(book, dialled, now);
        retry_later(book, agreed, now);
        return WEFT_ENOMEM;
    }
    if (dialled)
        reach(book, node, dialled, now);
    if (agreed)
        reach(book, node, agreed, now);
    mark_linked(book, node);
    book->linked_at = now.mono_ns;
    names_trim(book, node, dialled, agreed, now);
    return rc;
}

/* ---- The end of a link ---- */

/* Whose link ended. A peer with an id is known by that alone: its address may since have turned out
 * to be another node's, whose link stands. */
static struct node *lost_node(const struct addrbook *book, const char *text, const uint8_t *node_id)
{
    if (node_id)
        return node_find(book, node_id);
    struct entry *e;
    if (entry_lookup(book, text, &e) < 0)
        return NULL;
    return e->node && !e->node->has_id ? e->node : NULL;
}

/* The name to try first: a configured one, else the one that last led there. */
static struct entry *best_name(const struct node *node)
{
    struct entry *best = NULL;
    list_each (it, &node->names) {
        struct entry *e = list_entry(it, struct entry, in_node);
        bool ours = entry_configured(e);
        bool held = best && entry_configured(best);
        if (!best || (ours && !held) || (ours == held && e->last_success > best->last_success))
            best = e;
    }
    return best;
}

static void end_link(struct addrbook *book, struct entry *e, bool stable, struct moment now)
{
    if (stable)
        e->backoff_ns = 0;
    if (e->reached)
        e->last_success = max_u64(now.wall_ns, 1); /* it stood until now */
    e->reached = false;
    book->dirty = true;
}

void addrbook_unlinked(struct addrbook *book, const char *url, const uint8_t *node_id, int error,
                       const char *text, bool stable, struct moment now)
{
    struct node *node = lost_node(book, url, node_id);
    if (!node || !node->linked)
        return;
    node->linked = false;
    list_each (it, &node->names) {
        struct entry *e = list_entry(it, struct entry, in_node);
        entry_set_error(book, e, error, text);
        end_link(book, e, stable, now);
    }
    const struct entry *first = node->dialing ? NULL : best_name(node);
    list_each (it, &node->names) {
        struct entry *e = list_entry(it, struct entry, in_node);
        if (e == first)
            back_off(book, e, now);
        else if (!e->dialing)
            schedule_at(book, e, after(now.mono_ns, spread(book, STAGGER_NS, 2 * STAGGER_NS)));
    }
}
