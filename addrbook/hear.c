/* What the book is told of: configured peers, gossip, departures, and the operator's orders.
 *
 * A configured peer is due at once, whatever was known of it. A gossiped one is checked, counted
 * against its source, and due at once only where we are the smaller FQN, so that of two nodes that
 * hear of each other one dials. What departed is held: others who still have a dead link to it may
 * tell its name for a while, so the name is taken, but not dialled before the hold is over. What
 * was forgotten leaves a tombstone, which gossip does not get past. A link or the operator ends
 * both.
 *
 * Gossip is the one way for a stranger to make the book grow, and to make it dial: names that no
 * link has proven yet are bounded a source and in all, and a known name is pulled forward once in
 * PULL_NS at most. A ban outlives everything but the operator's own forget: neither a departure nor
 * a full book removes a banned entry. */
#include "addrbook/private.h"

#define PULL_NS (5 * NS_PER_SEC)

/* ---- Configured ---- */

/* The configured text counts if it says more than the address: known paths are not lost to a
 * shorter URL. */
static void upgrade(struct addrbook *book, struct entry *e, const struct url *url)
{
    entry_proven(book, e);
    if (url->query[0] || (url->path[0] && !entry_linked(e)))
        entry_set_peer(book, e, url->text);
    book->dirty = true;
}

/* Who said so last does not undo what another said. But an earlier configuration's word, which
 * would be taken back, is not left alone where the program gives its own. */
static void set_origin(struct entry *e, enum addrbook_by by)
{
    if (by == ADDRBOOK_BY_OPERATOR)
        e->origin = WEFT_ORIGIN_OPERATOR;
    else if (e->origin != WEFT_ORIGIN_OPERATOR)
        e->origin = WEFT_ORIGIN_CONFIGURED;
    if (by == ADDRBOOK_BY_CONFIG)
        e->in_config = e->named = true;
    else if (by == ADDRBOOK_BY_PROGRAM && !e->named)
        e->in_config = false;
}

int addrbook_add_configured(struct addrbook *book, const char *text,
                            const struct addrbook_policy *policy, struct moment now)
{
    return addrbook_add_named(book, text, ADDRBOOK_BY_PROGRAM, policy, now);
}

int addrbook_add_named(struct addrbook *book, const char *text, enum addrbook_by by,
                       const struct addrbook_policy *policy, struct moment now)
{
    struct url url;
    char identity[URL_MAX + 1];
    int rc = identify(text, &url, identity);
    if (rc < 0)
        return rc;
    if (is_own(book, identity))
        return WEFT_ESELF;
    if (!url_dialable(&url))
        return WEFT_EURL;
    struct entry *e = entry_by_identity(book, identity);
    if (e)
        upgrade(book, e, &url);
    else
        rc = entry_new(book, url.text, identity, WEFT_ORIGIN_CONFIGURED, "", now, &e);
    if (rc < 0)
        return rc;
    set_origin(e, by);
    e->policy = addrbook_policy_complete(policy);
    if (by == ADDRBOOK_BY_CONFIG)
        e->config_policy = e->policy;
    e->failures = 0;
    e->backoff_ns = 0;
    marks_drop(&book->departed, identity);
    if (!e->dialing && !entry_linked(e))
        schedule_at(book, e, now.mono_ns);
    return 0;
}

/* ---- Gossip ---- */

bool dials_first(const struct addrbook *book, const struct entry *e)
{
    return book->dials_all || strcmp(book->self.text, e->peer) < 0;
}

uint64_t held_until(const struct addrbook *book, const struct entry *e, uint64_t now)
{
    return max_u64(now, marks_until(&book->departed, e->identity));
}

static uint64_t heard_due(const struct addrbook *book, const struct entry *e, uint64_t now)
{
    uint64_t from = held_until(book, e, now);
    return dials_first(book, e) ? from : after(from, ADDRBOOK_POLITE_NS);
}

static void schedule_heard(struct addrbook *book, struct entry *e, uint64_t now)
{
    schedule_at(book, e, heard_due(book, e, now));
    uint64_t until = after(held_until(book, e, now), ADDRBOOK_POLITE_MAX_NS);
    e->polite_until = dials_first(book, e) ? 0 : until;
}

static void pull_forward(struct addrbook *book, struct entry *e, struct moment now)
{
    if (e->slot == UNSCHEDULED || e->next_dial <= heard_due(book, e, now.mono_ns) ||
        now.mono_ns < e->pull_after || entry_banned(e, now.wall_ns))
        return;
    e->pull_after = after(now.mono_ns, PULL_NS);
    schedule_heard(book, e, now.mono_ns);
}

static void heard_again(struct addrbook *book, struct entry *e, const struct url *url,
                        struct moment now)
{
    if (url->path[0] && !entry_configured(e) && e->bare)
        entry_set_peer(book, e, url->text);
    pull_forward(book, e, now);
}

bool gossip_full(const struct addrbook *book, const char *source)
{
    if (book->unproven >= ADDRBOOK_GOSSIP_TOTAL)
        return true;
    struct map_node *n = map_get(&book->sources, source, strnlen(source, TEXT_MAX));
    return n && container_of(n, struct source, by_text)->unproven >= ADDRBOOK_GOSSIP_SOURCE;
}

static struct source *fullest_source(const struct addrbook *book)
{
    struct source *most = NULL;
    map_each (it, &book->sources) {
        struct source *s = container_of(it, struct source, by_text);
        if (!most || s->unproven > most->unproven)
            most = s;
    }
    return most;
}

/* Of the names of a source, the one that failed most; not one that is out. */
static struct entry *worst_name(const struct addrbook *book, const struct source *source)
{
    const struct schedule *s = &book->schedules[KIND_HEARSAY];
    struct entry *worst = NULL;
    for (size_t i = 0; i < s->count; i++) {
        struct entry *e = s->slots[i];
        if (e->source == source && (!worst || e->failures > worst->failures))
            worst = e;
    }
    return worst;
}

/* Sources that fill the book must not keep another one out: who has the most makes room for who has
 * fewer. */
static bool make_gossip_room(struct addrbook *book, const char *text, struct moment now)
{
    if (!gossip_full(book, text))
        return true;
    struct map_node *n = map_get(&book->sources, text, strnlen(text, TEXT_MAX));
    uint32_t own = n ? container_of(n, struct source, by_text)->unproven : 0;
    const struct source *most = fullest_source(book);
    if (own >= ADDRBOOK_GOSSIP_SOURCE || !most || most->unproven <= own + 1)
        return false;
    struct entry *e = worst_name(book, most);
    if (!e || entry_banned(e, now.wall_ns))
        return false;
    entry_remove(book, e);
    return true;
}

int addrbook_add_gossip(struct addrbook *book, const char *text, const char *source, bool remote,
                        struct moment now)
{
    struct url url;
    char identity[URL_MAX + 1];
    int rc = identify(text, &url, identity);
    if (rc < 0)
        return rc;
    struct entry *e = entry_by_identity(book, identity);
    if (e && e->slot == UNSCHEDULED && !e->bare)
        return 0; /* most of what is told in a mesh that stands: nothing is left to do */
    if (is_own(book, identity))
        return WEFT_ESELF;
    if (!url_dialable(&url) || (remote && url_on_own_host(&url)))
        return WEFT_EDENIED;
    if (marks_until(&book->tombstones, identity) > now.mono_ns)
        return WEFT_EFORGOTTEN;
    if (e) {
        heard_again(book, e, &url, now);
        return 0;
    }
    if (!make_gossip_room(book, source, now))
        return WEFT_ELIMIT;
    rc = entry_new(book, url.text, identity, WEFT_ORIGIN_GOSSIP, source, now, &e);
    if (rc < 0)
        return rc;
    schedule_heard(book, e, now.mono_ns);
    return 1;
}

/* ---- Departed and forgotten ---- */

/* What stays of a name that goes. */
enum trace { TRACE_NONE, TRACE_HOLD, TRACE_TOMBSTONE };

static void leave_trace(struct addrbook *book, const char *identity, enum trace trace,
                        struct moment now)
{
    if (trace == TRACE_HOLD)
        marks_put(&book->departed, identity, after(now.mono_ns, ADDRBOOK_HOLD_NS));
    else if (trace == TRACE_TOMBSTONE)
        marks_put(&book->tombstones, identity, after(now.mono_ns, ADDRBOOK_TOMBSTONE_NS));
}

static void bury(struct addrbook *book, struct entry *e, enum trace trace, struct moment now)
{
    leave_trace(book, e->identity, trace, now);
    entry_remove(book, e);
}

/* Did an operator or the program say that it is to stay? */
static bool is_wanted(const struct entry *e, uint64_t wall_ns)
{
    return entry_configured(e) || e->policy.persistent || e->banned_until > wall_ns;
}

/* Bury the entry and the other names of its node; of these, those that nobody wants kept unless
 * `all`. A node goes with its last name, so the entry itself is buried last. */
static void bury_names(struct addrbook *book, struct entry *e, bool all, enum trace trace,
                       struct moment now)
{
    if (e->node) {
        list_each_safe (it, &e->node->names) {
            struct entry *name = list_entry(it, struct entry, in_node);
            if (name != e && (all || !is_wanted(name, now.wall_ns)))
                bury(book, name, trace, now);
        }
    }
    if (all || !is_wanted(e, now.wall_ns))
        bury(book, e, trace, now);
}

static void depart(struct addrbook *book, const char *text, enum trace trace, struct moment now)
{
    struct url url;
    char identity[URL_MAX + 1];
    if (identify(text, &url, identity) < 0 || !url_dialable(&url) || is_own(book, identity))
        return;
    struct entry *e = entry_by_identity(book, identity);
    if (e)
        bury_names(book, e, false, trace, now);
    else
        leave_trace(book, identity, trace, now);
}

/* A peer that comes back dials whom it finds, but finds no client: those must dial it when others
 * tell its name, however soon. */
void addrbook_departed(struct addrbook *book, const char *text, struct moment now)
{
    depart(book, text, book->dials_all ? TRACE_NONE : TRACE_HOLD, now);
}

void addrbook_unwanted(struct addrbook *book, const char *text, struct moment now)
{
    depart(book, text, TRACE_TOMBSTONE, now);
}

int addrbook_forget(struct addrbook *book, const char *text, struct moment now)
{
    struct entry *e;
    int rc = entry_lookup(book, text, &e);
    if (rc < 0)
        return rc;
    bury_names(book, e, true, TRACE_TOMBSTONE, now);
    return 0;
}

/* ---- No longer configured ---- */

/* It is a name like those that peers told of: what the configuration said of it goes with it. */
static void release(struct addrbook *book, struct entry *e)
{
    e->in_config = false;
    book->dirty = true;
    if (e->origin == WEFT_ORIGIN_OPERATOR)
        return;
    e->origin = WEFT_ORIGIN_OBSERVED;
    e->policy = default_policy;
}

int addrbook_unconfigure(struct addrbook *book, const char *text, struct moment now)
{
    struct entry *e;
    int rc = entry_lookup(book, text, &e);
    if (rc < 0)
        return rc;
    release(book, e);
    if (e->origin == WEFT_ORIGIN_OPERATOR)
        return 1;
    bury_names(book, e, false, TRACE_TOMBSTONE, now);
    return 0;
}

bool addrbook_let_go(struct addrbook *book, struct addrbook_view *ret_view)
{
    map_each (it, &book->by_id) {
        struct entry *e = container_of(it, struct entry, by_id);
        if (!e->in_config || e->named)
            continue;
        release(book, e);
        entry_view(e, ret_view);
        return true;
    }
    return false;
}

int addrbook_disown(struct addrbook *book, const char *text, struct moment now)
{
    struct entry *e;
    int rc = entry_lookup(book, text, &e);
    if (rc < 0)
        return rc;
    if (e->origin != WEFT_ORIGIN_OPERATOR || !e->in_config)
        return 0;
    bool rested = entry_given_up(e);
    e->origin = WEFT_ORIGIN_CONFIGURED;
    if (e->named)
        e->policy = e->config_policy;
    book->dirty = true;
    if (rested && e->slot != UNSCHEDULED)
        schedule_at(book, e, held_until(book, e, now.mono_ns));
    return 1;
}

/* ---- Bans ---- */

/* Lifting counts for the node, whichever of its names the ban was put on. */
static void lift_ban(struct entry *e)
{
    e->banned_until = 0;
    if (!e->node)
        return;
    list_each (it, &e->node->names)
        list_entry(it, struct entry, in_node)->banned_until = 0;
}

int addrbook_ban(struct addrbook *book, const char *text, uint64_t until_wall_ns, struct moment now)
{
    struct entry *e;
    int rc = entry_lookup(book, text, &e);
    if (rc < 0)
        return rc;
    if (until_wall_ns)
        e->banned_until = until_wall_ns;
    else
        lift_ban(e);
    book->dirty = true;
    if (e->slot != UNSCHEDULED && !entry_banned(e, now.wall_ns))
        schedule_at(book, e, held_until(book, e, now.mono_ns));
    return 0;
}

bool addrbook_banned(const struct addrbook *book, const char *text, const uint8_t *node_id,
                     struct moment now)
{
    const struct node *node = node_id ? node_find(book, node_id) : NULL;
    if (node && entry_banned(list_entry(node->names.next, struct entry, in_node), now.wall_ns))
        return true;
    struct entry *e;
    return entry_lookup(book, text, &e) == 0 && entry_banned(e, now.wall_ns);
}

/* Nobody vouches for it, but the operator knows it: it is no hearsay. */
int addrbook_add_banned(struct addrbook *book, const char *text, uint64_t until_wall_ns,
                        struct moment now)
{
    int rc = addrbook_ban(book, text, until_wall_ns, now);
    if (rc != WEFT_ENOTFOUND)
        return rc;
    struct url url;
    char identity[URL_MAX + 1];
    rc = identify(text, &url, identity);
    if (rc < 0)
        return rc;
    if (is_own(book, identity))
        return WEFT_ESELF;
    if (!url_dialable(&url))
        return WEFT_EURL;
    struct entry *e;
    rc = entry_new(book, url.text, identity, WEFT_ORIGIN_OBSERVED, "", now, &e);
    if (rc < 0)
        return rc;
    e->banned_until = until_wall_ns;
    schedule_at(book, e, now.mono_ns);
    return 0;
}

/* ---- Pins ---- */

int addrbook_pin(struct addrbook *book, const char *text, bool on, struct moment now)
{
    struct entry *e;
    int rc = entry_lookup(book, text, &e);
    if (rc < 0)
        return rc;
    bool rested = entry_given_up(e);
    e->policy.persistent = on;
    book->dirty = true;
    if (!on)
        return 0;
    entry_proven(book, e);
    if (rested && e->slot != UNSCHEDULED)
        schedule_at(book, e, held_until(book, e, now.mono_ns));
    return 0;
}
