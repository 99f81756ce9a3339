/* What the address book's tests share: a book with a seed, a clock that the test moves, and peers
 * named by number. */
#ifndef TESTS_ADDRBOOK_FIXTURE_H
#define TESTS_ADDRBOOK_FIXTURE_H

#include "addrbook/addrbook.h"
#include "tests/check.h"

#define WALL_START (UINT64_C(1700000000) * NS_PER_SEC)
#define HOUR_NS (3600 * NS_PER_SEC)
#define SELF "tcp://10.0.0.50:7400/self"

struct fixture {
    struct addrbook *book;
    struct prng prng;
    struct moment now;
};

static const uint8_t fixture_id[16] = "the book's owner";

static inline void fixture_open(struct fixture *f, uint64_t seed, const char *self, bool dials_all)
{
    prng_init(&f->prng, seed);
    f->now = (struct moment){.mono_ns = NS_PER_SEC, .wall_ns = WALL_START};
    struct addrbook_config config = {
        .self = self, .node_id = fixture_id, .prng = &f->prng, .dials_all = dials_all};
    CHECK_EQ(addrbook_new(&config, &f->book), 0);
}

static inline void fixture_close(struct fixture *f)
{
    addrbook_free(f->book);
}

static inline void pass(struct fixture *f, uint64_t ns)
{
    f->now.mono_ns += ns;
    f->now.wall_ns += ns;
}

/* Move to the next deadline and take the dial that must be there. */
static inline uint32_t dial_next(struct fixture *f, const char *url)
{
    uint64_t deadline = addrbook_deadline(f->book);
    CHECK(deadline != NEVER);
    if (deadline > f->now.mono_ns)
        pass(f, deadline - f->now.mono_ns);
    struct addrbook_dial dial;
    CHECK(addrbook_next_dial(f->book, f->now, &dial));
    if (url)
        CHECK_STR(dial.url, url);
    return dial.entry;
}

static inline struct addrbook_view view_of(const struct fixture *f, const char *url)
{
    struct addrbook_view view;
    if (!addrbook_find(f->book, url, &view))
        FAIL("%s is not in the book", url);
    return view;
}

static inline bool has(const struct fixture *f, const char *url)
{
    struct addrbook_view view;
    return addrbook_find(f->book, url, &view);
}

#endif
