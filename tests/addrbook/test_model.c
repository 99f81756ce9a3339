/* The book against a naive model, under random operations and a clock that the test moves.
 *
 * The universe is PEERS addresses of PEERS / 2 nodes, two names each. The model keeps plain arrays
 * of what must be true of each address and never looks into the book to decide it; each operation
 * checks what it did, and every few steps book and model are compared, address by address. */
#include "fixture.h"

#define PEERS 32
#define STEPS 6000
#define DAY_NS (24 * HOUR_NS)

struct peer {
    char url[64];
    bool exists, configured, persistent, own, out;
    bool named; /* known as a name of its node */
    bool up;    /* the standing link was reached by this name */
    uint32_t id, failures;
    uint64_t ban, tomb, success, pull_after;
    uint64_t hold;                     /* it departed: not dialled before, by whatever is heard */
    uint64_t polite_due, polite_until; /* gossip left it to the other side until polite_due */
};

struct model {
    struct fixture f;
    struct prng prng; /* of the test's choices */
    uint64_t seed;
    int step;
    struct peer peers[PEERS];
    bool linked[PEERS / 2];
    uint64_t linked_at; /* the latest link was made; 0: none */
};

#define EXPECT(m, cond)                                                                            \
    do {                                                                                           \
        if (!(cond))                                                                               \
            FAIL("seed %llu step %d: %s", (unsigned long long)(m)->seed, (m)->step, #cond);        \
    } while (0)

static bool banned(const struct model *m, int i)
{
    uint64_t until = m->peers[i].ban;
    if (m->peers[i].named && m->peers[i ^ 1].named)
        until = until > m->peers[i ^ 1].ban ? until : m->peers[i ^ 1].ban;
    return until > m->f.now.wall_ns;
}

static bool linked(const struct model *m, int i)
{
    return m->peers[i].named && m->linked[i / 2];
}

static void node_id_of(int i, uint8_t id[16])
{
    memset(id, 0, 16);
    id[0] = (uint8_t)(i / 2 + 1);
}

/* Gone from the book. Its node is forgotten with its last name. */
static void gone(struct model *m, int i)
{
    struct peer *p = &m->peers[i];
    p->exists = p->configured = p->persistent = p->out = p->named = p->up = false;
    p->failures = 0;
    p->ban = p->success = p->pull_after = 0;
    if (!m->peers[i ^ 1].named)
        m->linked[i / 2] = false;
}

static void came(struct model *m, int i)
{
    m->peers[i].exists = true;
    m->peers[i].tomb = 0;
}

/* ---- Operations: each applies to book and model ---- */

static void configure(struct model *m, int i)
{
    struct peer *p = &m->peers[i];
    struct addrbook_policy policy = {.persistent = prng_next(&m->prng) & 1, .max_attempts = 3};
    int rc = addrbook_add_configured(m->f.book, p->url, &policy, m->f.now);
    EXPECT(m, rc == (p->own ? WEFT_ESELF : 0));
    if (rc < 0)
        return;
    came(m, i);
    p->hold = 0;
    p->configured = true;
    p->persistent = policy.persistent;
    p->failures = 0;
    struct addrbook_view v = view_of(&m->f, p->url);
    EXPECT(m, v.next_dial == (p->out || linked(m, i) ? NEVER : m->f.now.mono_ns));
}

static void gossip(struct model *m, int i)
{
    struct peer *p = &m->peers[i];
    uint64_t before = p->exists ? view_of(&m->f, p->url).next_dial : NEVER;
    int rc = addrbook_add_gossip(m->f.book, p->url, "tcp://teller:1", true, m->f.now);
    if (p->own || (!p->exists && p->tomb > m->f.now.mono_ns)) {
        EXPECT(m, rc == (p->own ? WEFT_ESELF : WEFT_EFORGOTTEN));
        return;
    }
    EXPECT(m, rc == !p->exists);
    came(m, i);
    uint64_t from = p->hold > m->f.now.mono_ns ? p->hold : m->f.now.mono_ns;
    uint64_t due = from + (strcmp(SELF, p->url) < 0 ? 0 : ADDRBOOK_POLITE_NS);
    if (rc == 0 &&
        (before == NEVER || before <= due || banned(m, i) || m->f.now.mono_ns < p->pull_after))
        due = before;
    else if (rc == 0)
        p->pull_after = m->f.now.mono_ns + 5 * NS_PER_SEC;
    EXPECT(m, view_of(&m->f, p->url).next_dial == due);
    if (due != before && strcmp(SELF, p->url) > 0) {
        p->polite_due = due;
        p->polite_until = from + ADDRBOOK_POLITE_MAX_NS;
    }
}

static void bury(struct model *m, int i)
{
    gone(m, i);
    m->peers[i].tomb = m->f.now.mono_ns + ADDRBOOK_TOMBSTONE_NS;
}

static void leave(struct model *m, int i)
{
    gone(m, i);
    m->peers[i].hold = m->f.now.mono_ns + ADDRBOOK_HOLD_NS;
}

static void depart(struct model *m, int i)
{
    struct peer *p = &m->peers[i], *other = &m->peers[i ^ 1];
    addrbook_departed(m->f.book, p->url, m->f.now);
    if (p->own)
        return;
    if (!p->exists) {
        p->hold = m->f.now.mono_ns + ADDRBOOK_HOLD_NS;
        return;
    }
    if (p->named && other->named && !other->configured && other->ban <= m->f.now.wall_ns)
        leave(m, i ^ 1);
    if (!p->configured && p->ban <= m->f.now.wall_ns)
        leave(m, i);
}

static void forget(struct model *m, int i)
{
    struct peer *p = &m->peers[i], *other = &m->peers[i ^ 1];
    int rc = addrbook_forget(m->f.book, p->url, m->f.now);
    EXPECT(m, rc == (p->exists ? 0 : WEFT_ENOTFOUND));
    if (rc < 0)
        return;
    if (p->named && other->named)
        bury(m, i ^ 1);
    bury(m, i);
}

static void ban(struct model *m, int i)
{
    struct peer *p = &m->peers[i];
    bool lift = prng_next(&m->prng) & 1;
    uint64_t until = lift ? 0 : m->f.now.wall_ns + prng_between(&m->prng, 1, 600) * NS_PER_SEC;
    int rc = addrbook_ban(m->f.book, p->url, until, m->f.now);
    EXPECT(m, rc == (p->exists ? 0 : WEFT_ENOTFOUND));
    if (rc < 0)
        return;
    p->ban = until;
    if (lift && p->named && m->peers[i ^ 1].named)
        m->peers[i ^ 1].ban = 0;
}

static void own(struct model *m, int i)
{
    if (prng_between(&m->prng, 0, 99) != 0)
        return;
    addrbook_add_own(m->f.book, m->peers[i].url);
    gone(m, i);
    m->peers[i].own = true;
}

static void up(struct model *m, int i)
{
    struct peer *p = &m->peers[i];
    if (!p->exists && p->own)
        return;
    came(m, i);
    p->named = p->up = true;
    p->hold = 0;
    p->failures = 0;
    p->success = m->f.now.wall_ns;
    m->linked[i / 2] = true;
}

static void link_up(struct model *m, int i, int dialled)
{
    uint8_t id[16];
    node_id_of(i, id);
    uint32_t entry = dialled < 0 ? 0 : m->peers[dialled].id;
    EXPECT(m, addrbook_linked(m->f.book, entry, m->peers[i].url, id, m->f.now) == 0);
    if (entry || !m->peers[i].own)
        m->linked_at = m->f.now.mono_ns;
    if (dialled >= 0) {
        m->peers[dialled].out = false;
        up(m, dialled);
    }
    up(m, i);
}

/* One name is due soon, the other later; with a name out, none is due soon. */
static void check_staggered(const struct model *m, int i)
{
    int soon = 0, names = 0;
    bool any_out = false;
    for (int j = i & ~1; j <= (i | 1); j++) {
        if (!m->peers[j].named)
            continue;
        names++;
        any_out = any_out || m->peers[j].out;
        struct addrbook_view v = view_of(&m->f, m->peers[j].url);
        if (m->peers[j].out)
            continue;
        EXPECT(m, v.next_dial >= m->f.now.mono_ns + ADDRBOOK_JITTER_FLOOR_NS);
        EXPECT(m, v.next_dial <= m->f.now.mono_ns + 60 * NS_PER_SEC);
        bool later = v.next_dial >= m->f.now.mono_ns + 10 * NS_PER_SEC;
        soon += !later || v.next_dial <= m->f.now.mono_ns + v.backoff_ns;
    }
    EXPECT(m, names == 0 || any_out || soon >= 1);
}

static void link_down(struct model *m, int i)
{
    if (!m->linked[i / 2])
        return;
    uint8_t id[16];
    node_id_of(i, id);
    bool stable = prng_next(&m->prng) & 1;
    addrbook_unlinked(m->f.book, m->peers[i].url, id, WEFT_ELOST, "lost", stable, m->f.now);
    m->linked[i / 2] = false;
    for (int j = i & ~1; j <= (i | 1); j++) {
        if (m->peers[j].up)
            m->peers[j].success = m->f.now.wall_ns;
        m->peers[j].up = false;
    }
    check_staggered(m, i);
}

/* ---- Dials ---- */

/* PEERS if it is none of them. */
static int peer_of(const struct model *m, const char *url)
{
    int i = 0;
    while (i < PEERS && strcmp(m->peers[i].url, url) != 0)
        i++;
    return i;
}

/* Known by more than gossip. */
static bool vouched(const struct peer *p)
{
    return p->configured || p->named;
}

/* Are as many out as may be, of this kind? */
static bool busy_kind(const struct model *m, bool kind)
{
    unsigned out = 0;
    for (int i = 0; i < PEERS; i++)
        out += m->peers[i].out && vouched(&m->peers[i]) == kind;
    return out >= ADDRBOOK_DIALS_MAX;
}

static void check_may_dial(const struct model *m, int i, uint64_t due)
{
    const struct peer *p = &m->peers[i], *other = &m->peers[i ^ 1];
    EXPECT(m, !busy_kind(m, vouched(p)));
    EXPECT(m, p->exists && !p->out && !p->own);
    EXPECT(m, !linked(m, i) && !banned(m, i));
    EXPECT(m, !(p->named && other->named && other->out));
    EXPECT(m, due <= m->f.now.mono_ns);
    EXPECT(m, p->hold <= m->f.now.mono_ns);
}

/* Links come, and it was left to the other side: it waits on, if it is still due for that reason.
 */
static bool polite(const struct model *m, int i, uint64_t due)
{
    const struct peer *p = &m->peers[i];
    uint64_t now = m->f.now.mono_ns;
    return due == p->polite_due && p->polite_until > now && m->linked_at &&
           m->linked_at + ADDRBOOK_FORMING_NS > now;
}

static bool busy(const struct model *m, int i)
{
    return m->peers[i].named && m->peers[i ^ 1].named && m->peers[i ^ 1].out;
}

/* Those that were passed over for politeness: until when? */
static void check_polite(struct model *m, const uint64_t due_of[PEERS])
{
    uint64_t formed = m->linked_at + ADDRBOOK_FORMING_NS;
    for (int i = 0; i < PEERS; i++) {
        struct peer *p = &m->peers[i];
        if (!p->exists || p->out || due_of[i] > m->f.now.mono_ns || !polite(m, i, due_of[i]) ||
            banned(m, i) || busy(m, i))
            continue;
        uint64_t due = view_of(&m->f, p->url).next_dial;
        if (due == due_of[i])
            continue; /* another was due before it */
        EXPECT(m, due == (formed < p->polite_until ? formed : p->polite_until));
        p->polite_due = due;
    }
}

/* The earliest time of all, and whether any entry that may be dialled is due. */
static uint64_t earliest(const struct model *m, uint64_t due_of[PEERS], bool *ret_ready)
{
    uint64_t first = NEVER;
    *ret_ready = false;
    for (int i = 0; i < PEERS; i++) {
        if (!m->peers[i].exists)
            continue;
        uint64_t due = view_of(&m->f, m->peers[i].url).next_dial;
        due_of[i] = due;
        if (busy_kind(m, vouched(&m->peers[i])))
            continue;
        first = due < first ? due : first;
        if (due <= m->f.now.mono_ns && !banned(m, i) && !busy(m, i) && !polite(m, i, due))
            *ret_ready = true;
    }
    return first;
}

static void next(struct model *m)
{
    bool ready;
    uint64_t due_of[PEERS];
    uint64_t first = earliest(m, due_of, &ready), deadline = addrbook_deadline(m->f.book);
    EXPECT(m, deadline == first);
    struct addrbook_dial dial;
    bool got = addrbook_next_dial(m->f.book, m->f.now, &dial);
    EXPECT(m, got == ready);
    check_polite(m, due_of);
    if (!got)
        return;
    int i = peer_of(m, dial.url);
    EXPECT(m, i < PEERS);
    check_may_dial(m, i, due_of[i]);
    EXPECT(m, dial.entry == view_of(&m->f, dial.url).id);
    m->peers[i].out = true;
    m->peers[i].id = dial.entry;
}

static int pick_out(struct model *m)
{
    unsigned at = (unsigned)prng_between(&m->prng, 0, PEERS - 1);
    for (unsigned n = 0; n < PEERS; n++)
        if (m->peers[(at + n) % PEERS].out)
            return (int)((at + n) % PEERS);
    return -1;
}

/* What a failure must have done to the schedule. */
static void check_pause(const struct model *m, int i, const struct addrbook_view *before)
{
    const struct peer *p = &m->peers[i];
    struct addrbook_view v = view_of(&m->f, p->url);
    uint64_t pause = v.next_dial - m->f.now.mono_ns;
    if (!p->persistent && p->failures >= before->policy.max_attempts) {
        EXPECT(m, pause >= ADDRBOOK_DORMANT_NS / 2 && pause <= ADDRBOOK_DORMANT_NS * 3 / 2);
        return;
    }
    double grown = before->backoff_ns ? (double)before->backoff_ns * 1.5 : 1e9;
    uint64_t backoff = grown < 60e9 ? (uint64_t)grown : 60 * NS_PER_SEC;
    EXPECT(m, v.backoff_ns == backoff);
    EXPECT(m, pause >= ADDRBOOK_JITTER_FLOOR_NS && pause <= backoff);
}

static bool must_drop(const struct model *m, int i, uint32_t max_attempts)
{
    const struct peer *p = &m->peers[i];
    if (p->persistent || p->failures < max_attempts || banned(m, i))
        return false;
    uint64_t wall = m->f.now.wall_ns;
    return !p->success || (wall >= p->success && wall - p->success >= DAY_NS);
}

static void fail(struct model *m)
{
    int i = pick_out(m);
    if (i < 0)
        return;
    struct peer *p = &m->peers[i];
    struct addrbook_view before = view_of(&m->f, p->url);
    bool duplicate = prng_between(&m->prng, 0, 9) == 0;
    addrbook_dial_failed(m->f.book, p->id, duplicate ? WEFT_EDUPLICATE : WEFT_EREFUSED, "no",
                         m->f.now);
    p->out = false;
    if (linked(m, i))
        return;
    p->failures = duplicate ? 0 : p->failures + 1;
    if (must_drop(m, i, before.policy.max_attempts))
        gone(m, i);
    else
        check_pause(m, i, &before);
}

static void succeed(struct model *m)
{
    int i = pick_out(m);
    if (i >= 0)
        link_up(m, prng_next(&m->prng) & 1 ? i : i ^ 1, i);
}

/* ---- The walk ---- */

static void move_clock(struct model *m)
{
    uint64_t kind = prng_between(&m->prng, 0, 99);
    if (kind == 0)
        pass(&m->f, 25 * HOUR_NS);
    else if (kind < 4) /* the wall clock alone steps an hour, either way */
        m->f.now.wall_ns += kind & 1 ? HOUR_NS : -HOUR_NS;
    else if (kind < 40)
        pass(&m->f, prng_between(&m->prng, 0, 20 * NS_PER_SEC));
    else
        pass(&m->f, prng_between(&m->prng, 0, NS_PER_SEC));
}

static void compare(const struct model *m)
{
    size_t count = 0;
    for (int i = 0; i < PEERS; i++) {
        const struct peer *p = &m->peers[i];
        struct addrbook_view v;
        EXPECT(m, addrbook_find(m->f.book, p->url, &v) == p->exists);
        if (!p->exists)
            continue;
        count++;
        EXPECT(m, v.linked == linked(m, i) && v.dialing == p->out);
        EXPECT(m, (v.next_dial == NEVER) == (v.linked || v.dialing));
        EXPECT(m, v.policy.persistent == p->persistent && v.failed_attempts == p->failures);
        EXPECT(m, v.last_success == p->success && v.banned_until == p->ban);
        EXPECT(m, (v.node_id != NULL) == p->named);
    }
    EXPECT(m, addrbook_count(m->f.book) == count);
}

static void one_step(struct model *m)
{
    int i = (int)prng_between(&m->prng, 0, PEERS - 1);
    uint64_t kind = prng_between(&m->prng, 0, 99);
    if (kind < 6)
        configure(m, i);
    else if (kind < 18)
        gossip(m, i);
    else if (kind < 20)
        depart(m, i);
    else if (kind < 22)
        forget(m, i);
    else if (kind < 24)
        ban(m, i);
    else if (kind < 25)
        own(m, i);
    else if (kind < 28)
        link_up(m, i, -1);
    else if (kind < 34)
        link_down(m, i);
    else if (kind < 50)
        move_clock(m);
    else if (kind < 75)
        next(m);
    else if (kind < 93)
        fail(m);
    else
        succeed(m);
}

static void walk(uint64_t seed)
{
    static struct model m;
    memset(&m, 0, sizeof(m));
    m.seed = seed;
    prng_init(&m.prng, seed * 7919);
    fixture_open(&m.f, seed, SELF, false);
    for (int i = 0; i < PEERS; i++)
        snprintf(m.peers[i].url, sizeof(m.peers[i].url), "tcp://10.0.0.%d:7400/p", 10 + 3 * i);
    for (m.step = 0; m.step < STEPS; m.step++) {
        one_step(&m);
        if (m.step % 8 == 0)
            compare(&m);
    }
    fixture_close(&m.f);
}

TEST(model, random_walks)
{
    for (uint64_t seed = 1; seed <= 8; seed++)
        walk(seed);
}

/* Thousands of entries: dials come in the order of their times. */
TEST(model, large_schedule_is_in_order)
{
    struct fixture f;
    fixture_open(&f, 5, SELF, true);
    char url[64], from[64];
    struct prng prng;
    prng_init(&prng, 5);
    for (unsigned n = 0; n < 4000; n++) {
        snprintf(url, sizeof(url), "tcp://10.4.%u.%u:7400", n / 256, n % 256);
        snprintf(from, sizeof(from), "tcp://10.5.0.%u:7400", n % 8);
        f.now.mono_ns = NS_PER_SEC + prng_between(&prng, 0, NS_PER_SEC); /* any order of times */
        CHECK_EQ(addrbook_add_gossip(f.book, url, from, true, f.now), 1);
    }
    f.now.mono_ns = 3 * NS_PER_SEC;
    uint64_t last = 0;
    for (unsigned n = 0; n < 4000; n++) {
        uint64_t due = addrbook_deadline(f.book);
        CHECK(due >= last && due <= f.now.mono_ns);
        last = due;
        struct addrbook_dial dial;
        CHECK(addrbook_next_dial(f.book, f.now, &dial));
        addrbook_dial_failed(f.book, dial.entry, WEFT_EREFUSED, NULL, f.now);
    }
    CHECK(addrbook_deadline(f.book) > f.now.mono_ns);
    fixture_close(&f);
}
