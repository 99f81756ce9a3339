/* The heap of links' timers against a list that is searched. */
#include <stdlib.h>

#include <weft/weft.h>

#include "base/mem.h"
#include "mesh/private.h"
#include "tests/check.h"

#define LINKS 60u
#define STEPS 40000u

struct one {
    struct mesh_link link;
    struct link_private priv;
    bool there;
    uint64_t at; /* as it should be; NEVER: not armed */
};

struct bench {
    struct mesh mesh;
    struct prng prng;
    struct one ones[LINKS];
    uint64_t now;
};

static void *no_alloc(size_t size)
{
    (void)size;
    return NULL;
}

static void *no_resize(void *p, size_t size)
{
    (void)p;
    (void)size;
    return NULL;
}

static struct one *earliest(struct bench *b)
{
    struct one *first = NULL;
    for (unsigned i = 0; i < LINKS; i++) {
        struct one *o = &b->ones[i];
        if (o->there && o->at != NEVER && (!first || o->at < first->at))
            first = o;
    }
    return first;
}

static void add(struct bench *b, struct one *o)
{
    if (o->there)
        return;
    o->link.priv = &o->priv;
    CHECK_EQ(timers_add(&b->mesh, &o->link), 0);
    o->there = true;
    o->at = NEVER;
}

static void take_away(struct bench *b, struct one *o)
{
    if (!o->there)
        return;
    timers_remove(&b->mesh, &o->link);
    o->there = false;
}

/* Of two times the earlier one counts, and none before `not_before`. */
static void arm(struct bench *b, struct one *o, uint64_t when)
{
    if (!o->there)
        return;
    link_arm(&b->mesh, &o->link, when);
    when = max_u64(when, b->mesh.not_before);
    o->at = min_u64(o->at, when);
}

/* All that is due comes out, the earliest first, and nothing else does. */
static void pass_time(struct bench *b, uint64_t by)
{
    b->now += by;
    uint64_t last = 0;
    struct mesh_link *l;
    while ((l = timers_next_due(&b->mesh, b->now)) != NULL) {
        struct one *o = container_of(l, struct one, link);
        CHECK(o->there && o->at <= b->now && o->at >= last);
        CHECK_EQ(o->at, earliest(b)->at);
        last = o->at;
        o->at = NEVER;
    }
    const struct one *first = earliest(b);
    CHECK(!first || first->at > b->now);
}

static void step(struct bench *b)
{
    struct one *o = &b->ones[prng_between(&b->prng, 0, LINKS - 1)];
    uint64_t what = prng_between(&b->prng, 0, 19), ahead = prng_between(&b->prng, 0, 500);
    if (what < 3)
        add(b, o);
    else if (what < 5)
        take_away(b, o);
    else if (what < 17)
        arm(b, o, b->now + ahead);
    else
        pass_time(b, ahead / 50);
}

static void check_deadline(struct bench *b)
{
    const struct one *first = earliest(b);
    CHECK_EQ(timers_deadline(&b->mesh), first ? first->at : NEVER);
}

TEST(timers, as_a_list_that_is_searched)
{
    static struct bench b;
    prng_init(&b.prng, 20);
    check_deadline(&b);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&b);
        check_deadline(&b);
    }
    for (unsigned i = 0; i < LINKS; i++) {
        take_away(&b, &b.ones[i]);
        check_deadline(&b);
    }
    CHECK_EQ(b.mesh.n_links, 0);
    CHECK_EQ(b.mesh.n_timers, 0);
    mem_free(b.mesh.timers);
}

/* In a tick a link is looked at once, though it asks for the same instant again. */
TEST(timers, nothing_is_due_twice_in_a_tick)
{
    static struct bench b;
    struct one *o = &b.ones[0];
    add(&b, o);
    arm(&b, o, 5);
    b.mesh.not_before = 11;
    CHECK(timers_next_due(&b.mesh, 10) == &o->link);
    o->at = NEVER;
    arm(&b, o, 5);
    CHECK(timers_next_due(&b.mesh, 10) == NULL);
    check_deadline(&b);
    b.mesh.not_before = 0;
    CHECK(timers_next_due(&b.mesh, 11) == &o->link);
    timers_remove(&b.mesh, &o->link);
    mem_free(b.mesh.timers);
}

/* Room is made with a link; where there is none the link is not, and the others are as they were.
 */
TEST(timers, no_memory_for_one_more)
{
    static struct bench b;
    unsigned n = 0;
    for (; n < 8; n++) { /* what the first block holds */
        add(&b, &b.ones[n]);
        arm(&b, &b.ones[n], 100 - n);
    }
    CHECK_EQ(b.mesh.n_links, b.mesh.cap_timers);
    weft_set_allocator(no_alloc, no_resize, free);
    b.ones[n].link.priv = &b.ones[n].priv;
    CHECK_EQ(timers_add(&b.mesh, &b.ones[n].link), WEFT_ENOMEM);
    weft_set_allocator(NULL, NULL, NULL);
    CHECK_EQ(b.mesh.n_links, n);
    b.now = 92;
    pass_time(&b, 8);
    CHECK_EQ(b.mesh.n_timers, 0);
    for (unsigned i = 0; i < n; i++)
        take_away(&b, &b.ones[i]);
    mem_free(b.mesh.timers);
}
