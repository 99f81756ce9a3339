/* Expiry, renewal, resync. */
#include "fixture.h"

static int declare(struct router *r, bool intent, const char *route, uint64_t ttl_ns, uint64_t now)
{
    struct decl d = {.route = route, .registered = true, .ttl_ns = ttl_ns, .origin = ""};
    return intent ? router_learn_intent(r, 1, &d, now) : router_learn_interest(r, 1, &d, now);
}

static uint32_t known(struct router *r)
{
    struct router_counts c;
    router_count(r, &c);
    return c.remote_intents + c.remote_interests;
}

TEST(router_leases, what_is_not_refreshed_expires)
{
    struct router *r = fixture_new(100);
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    CHECK(router_expire(r, 1, 0) == NEVER && router_expire(r, 9, 0) == NEVER);
    declare(r, true, "T@a", 10 * NS_PER_SEC, 0);
    declare(r, false, "T@a", 20 * NS_PER_SEC, 0);
    declare(r, true, "T@forever", 0, 0);
    CHECK_EQ(router_expire(r, 1, 1), 10 * NS_PER_SEC);
    declare(r, true, "T@a", 10 * NS_PER_SEC, 5 * NS_PER_SEC);
    CHECK_EQ(router_expire(r, 1, 10 * NS_PER_SEC), 15 * NS_PER_SEC);
    CHECK_EQ(router_expire(r, 1, 15 * NS_PER_SEC), 20 * NS_PER_SEC);
    CHECK_EQ(known(r), 2);
    CHECK(router_expire(r, 1, 20 * NS_PER_SEC) == NEVER);
    CHECK_EQ(known(r), 1);
    router_free(r);
}

TEST(router_leases, looks_are_not_closer_than_their_cost)
{
    struct router *r = fixture_new(100);
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    declare(r, true, "T@a", 1, 0);
    declare(r, true, "T@b", 2 * NS_PER_MS, 0);
    CHECK_EQ(router_expire(r, 1, NS_PER_MS), 101 * NS_PER_MS);
    CHECK_EQ(known(r), 1);
    router_free(r);
}

TEST(router_leases, an_agreeing_digest_renews_all)
{
    struct router *r = fixture_new(100);
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    declare(r, true, "T@a", 10 * NS_PER_SEC, 0);
    declare(r, false, "T@a", 10 * NS_PER_SEC, 0);
    router_renew(r, 1, 8 * NS_PER_SEC);
    CHECK_EQ(router_expire(r, 1, 12 * NS_PER_SEC), 18 * NS_PER_SEC);
    CHECK_EQ(known(r), 2);
    router_free(r);
}

/* One link takes half at most, also while what it had is stale: else each resync would double it.
 */
TEST(router_leases, a_resync_makes_no_room)
{
    struct router *r = fixture_new(8);
    struct decl more = {.route = "T@e", .registered = true};
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    declare(r, true, "T@a", 0, 0);
    declare(r, false, "T@a", 0, 0);
    declare(r, true, "T@b", 0, 0);
    declare(r, true, "T@c", 0, 0);
    CHECK_EQ(router_learn_intent(r, 1, &more, 0), WEFT_ELIMIT);
    router_resync_begin(r, 1);
    router_resync_begin(r, 1); /* asked for again */
    CHECK_EQ(router_learn_intent(r, 1, &more, 0), WEFT_ELIMIT);
    declare(r, true, "T@a", 0, 0);
    fixture_gone(r, 1, "T@b", true);
    CHECK_EQ(router_learn_intent(r, 1, &more, 0), 0);
    router_resync_end(r, 1);
    CHECK_EQ(known(r), 2);
    declare(r, true, "T@b", 0, 0);
    declare(r, true, "T@c", 0, 0);
    more.route = "T@f";
    CHECK_EQ(router_learn_intent(r, 1, &more, 0), WEFT_ELIMIT);
    router_free(r);
}

TEST(router_leases, a_resync_replaces_what_was)
{
    struct router *r = fixture_new(100);
    struct router_digest d, empty = {0};
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    declare(r, true, "T@a", 0, 0);
    declare(r, true, "T@b", 0, 0);
    declare(r, false, "T@a", 0, 0);
    router_resync_end(r, 1); /* without a begin */
    CHECK_EQ(known(r), 3);
    router_resync_begin(r, 1);
    router_digest_held(r, 1, &d);
    CHECK_MEM(&d, &empty, sizeof(d));
    declare(r, true, "T@b", 0, 0);
    declare(r, true, "T@c", 0, 0);
    fixture_gone(r, 1, "T@a", true); /* a stale one is not counted off twice */
    router_digest_held(r, 1, &d);
    CHECK(d.intents == 2 && d.interests == 0 && d.interests_hash == 0);
    CHECK_EQ(known(r), 3);
    router_resync_end(r, 1);
    router_resync_end(r, 1);
    CHECK_EQ(known(r), 2);
    CHECK(router_find_intent_by_route(r, 1, "T@b", 3) &&
          router_find_intent_by_route(r, 1, "T@c", 3));
    router_free(r);
}
