/* The n-th allocation fails, for every n until none is left: each call answers with 0 or out of
 * memory, nothing leaks, and no persistent peer is lost to the schedule. */
#include "fixture.h"

#include <weft/weft.h>

#include "tests/oom/oom.h"

static void check_rc(int rc)
{
    CHECK(rc >= 0 || rc == WEFT_ENOMEM);
}

/* Scheduled, out or linked: what is none of these would never be dialled again. */
static void check_alive(void *ctx, const struct addrbook_view *view)
{
    if (view->next_dial == NEVER && !view->dialing && !view->linked)
        FAIL("%s will never be dialled again", view->peer);
}

static void tell_many(struct fixture *f)
{
    char url[64];
    for (unsigned i = 0; i < 20; i++) { /* enough for the tables to grow */
        snprintf(url, sizeof(url), "tcp://10.7.0.%u:7400", i);
        check_rc(addrbook_add_gossip(f->book, url, "tcp://s:1", true, f->now));
    }
}

static void link_all(struct fixture *f)
{
    static const uint8_t id[16] = {1};
    struct addrbook_dial dial;
    pass(f, 10 * NS_PER_SEC);
    for (int i = 0; i < 3 && addrbook_next_dial(f->book, f->now, &dial); i++) {
        if (i == 0)
            check_rc(addrbook_linked(f->book, dial.entry, "tcp://10.8.0.1:7400/x", id, f->now));
        else if (i == 1)
            check_rc(addrbook_linked(f->book, dial.entry, "tcp://10.8.0.2:7400/x", NULL, f->now));
        else
            addrbook_dial_failed(f->book, dial.entry, WEFT_EREFUSED, "refused", f->now);
    }
    check_rc(addrbook_linked(f->book, 0, "tcp://10.8.0.3:7400/x", NULL, f->now));
    addrbook_each(f->book, check_alive, NULL);
    addrbook_unlinked(f->book, "tcp://10.8.0.1:7400/x", id, WEFT_ELOST, "lost", true, f->now);
    addrbook_unlinked(f->book, "tcp://10.8.0.2:7400/x", NULL, WEFT_ELOST, "lost", true, f->now);
    addrbook_each(f->book, check_alive, NULL);
    addrbook_departed(f->book, "tcp://10.8.0.3:7400/x", f->now);
}

static int copy_over(struct fixture *from, struct fixture *to)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    int rc = addrbook_encode(from->book, &out);
    struct addrbook_file file;
    if (rc == 0) {
        rc = addrbook_decode(out.data, out.len, &file);
        check_rc(rc);
        if (rc == 0) {
            rc = addrbook_merge(to->book, &file, to->now);
            addrbook_file_fini(&file);
        }
    }
    buf_fini(&out);
    check_rc(rc);
    addrbook_each(to->book, check_alive, NULL);
    return rc;
}

/* A damaged file, and what is kept of it as a file again. */
static void mend(struct fixture *f)
{
    struct buf out, again;
    struct addrbook_file file;
    struct addrbook_damage damage;
    buf_init(&out, 1 << 20);
    buf_init(&again, 1 << 20);
    int rc = addrbook_encode(f->book, &out);
    check_rc(rc);
    if (rc == 0) {
        out.data[40] ^= 1;
        rc = addrbook_repair(out.data, out.len, &file, &damage);
        check_rc(rc);
        if (rc == 0) {
            CHECK_EQ(damage.n_places, 1);
            check_rc(addrbook_encode_records(file.node_id, file.records, file.count, &again));
            addrbook_file_fini(&file);
        }
    }
    buf_fini(&out);
    buf_fini(&again);
}

static void scenario(void)
{
    struct fixture f = {.now = {.mono_ns = 1, .wall_ns = WALL_START}}, g = f;
    prng_init(&f.prng, 1);
    prng_init(&g.prng, 2);
    struct addrbook_config config = {.self = SELF, .node_id = fixture_id, .prng = &f.prng};
    const struct addrbook_policy persistent = {.persistent = true};
    int rc = addrbook_new(&config, &f.book);
    check_rc(rc);
    if (rc < 0)
        return;
    int kept = addrbook_add_configured(f.book, "tcp://robot.lan:7400", &persistent, f.now);
    check_rc(kept);
    tell_many(&f);
    link_all(&f);
    addrbook_add_own(f.book, "tcp://10.7.0.3:7400");
    CHECK(!has(&f, "tcp://10.7.0.3:7400"));
    CHECK(kept < 0 || has(&f, "tcp://robot.lan:7400"));
    mend(&f);
    rc = addrbook_new(&config, &g.book);
    check_rc(rc);
    if (rc == 0) {
        copy_over(&f, &g);
        addrbook_free(g.book);
    }
    addrbook_free(f.book);
}

TEST(oom, every_allocation_fails_once)
{
    uint64_t n = 0;
    do {
        oom_arm(++n, 1);
        scenario();
        CHECK_EQ(oom_living(), 0);
    } while (oom_failed());
    CHECK(n > 150);
}

/* From the n-th on nothing can be allocated any more. */
TEST(oom, memory_never_comes_back)
{
    oom_arm(0, 0);
    struct fixture f;
    fixture_open(&f, 1, SELF, false);
    const char *url = "tcp://robot.lan:7400";
    const struct addrbook_policy persistent = {.persistent = true};
    CHECK_EQ(addrbook_add_configured(f.book, url, &persistent, f.now), 0);
    static const uint8_t id[16] = {1};
    for (int i = 0; i < 20; i++) {
        uint32_t out = dial_next(&f, url);
        oom_exhaust_after(0);
        for (int call = 0; call < 2; call++) {
            int rc = addrbook_linked(f.book, out, "tcp://10.8.0.1:7400/x", id, f.now);
            CHECK(rc == WEFT_ENOMEM);
        }
        oom_relent();
        addrbook_each(f.book, check_alive, NULL);
        addrbook_unlinked(f.book, "tcp://10.8.0.1:7400/x", id, WEFT_ELOST, "lost", false, f.now);
    }
    CHECK_EQ(addrbook_linked(f.book, dial_next(&f, url), "tcp://10.8.0.1:7400/x", id, f.now), 0);
    CHECK(view_of(&f, url).linked);
    fixture_close(&f);
    CHECK_EQ(oom_living(), 0);
}
