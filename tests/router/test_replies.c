/* Endpoints that are told in reply: base peers, and those without patterns. */
#include "fixture.h"

static void *const one = (void *)1;

TEST(router_replies, a_base_peer_is_told_nothing_of_its_own_accord)
{
    struct router *r = fixture_new(100);
    fixture_publish(r, "T@a");
    fixture_subscribe(r, "T@b", one);
    fixture_attach_base(r, 1);
    fixture_subscribe(r, "T@**", one);
    fixture_publish(r, "T@c");
    CHECK_STR(fixture_adverts(r), "");
    router_free(r);
}

TEST(router_replies, a_base_intent_is_answered_with_interest_for_good)
{
    struct router *r = fixture_new(100);
    fixture_attach_base(r, 1);
    fixture_intent(r, 1, "T@a/b", 0);
    CHECK_STR(fixture_adverts(r), "");
    struct router_interest *s = fixture_subscribe(r, "T@a.*", one);
    CHECK_STR(fixture_adverts(r), "1+N T@a/b"); /* in its own spelling */
    struct router_interest *t = fixture_subscribe(r, "T@a.b", one);
    router_close_interest(r, s);
    router_close_interest(r, t);
    CHECK_STR(fixture_adverts(r), "");
    fixture_gone(r, 1, "T@a.b", true);
    fixture_subscribe(r, "T@**", one);
    CHECK_STR(fixture_adverts(r), "");
    fixture_intent(r, 1, "T@a.b", 0); /* a new registration there */
    CHECK_STR(fixture_adverts(r), "1+N T@a.b");
    fixture_intent(r, 1, "T@a.b", 0);
    CHECK_STR(fixture_adverts(r), "1+N T@a.b");
    router_readvertise(r, 1);
    CHECK_STR(fixture_adverts(r), "1+N T@a.b");
    router_free(r);
}

TEST(router_replies, a_base_interest_is_answered_with_one_intent)
{
    struct router *r = fixture_new(100);
    fixture_attach_base(r, 1);
    fixture_attach(r, 2, ENDPOINT_LEAF, "");
    fixture_attach(r, 3, ENDPOINT_PEER, "");
    fixture_interest(r, 1, "T@a/b");
    fixture_intent(r, 3, "T@a.b", 1); /* it hears a peer itself */
    CHECK_STR(fixture_adverts(r), "2+N T@a.b, 2+I T@a.b<tcp://3>");
    struct router_intent *own = fixture_publish(r, "T@a.b");
    CHECK_STR(fixture_adverts(r), "2+I T@a.b, 3+I T@a.b, 1+I T@a/b");
    fixture_intent(r, 2, "T@a.b", 1);
    router_close_intent(r, own);
    CHECK_STR(fixture_adverts(r), "3+I T@a.b<tcp://2>, 2-I T@a.b, 3-I T@a.b");
    fixture_gone(r, 2, "T@a.b", true);
    CHECK_STR(fixture_adverts(r), "3-I T@a.b<tcp://2>, 1-I T@a/b");
    fixture_publish(r, "T@a.b");
    fixture_adverts(r);
    router_readvertise(r, 1);
    CHECK_STR(fixture_adverts(r), "1+I T@a/b");
    fixture_gone(r, 1, "T@a.b", false);
    CHECK_STR(fixture_adverts(r), "2-N T@a.b, 1-I T@a/b");
    router_free(r);
}

TEST(router_replies, hashed_routes_do_not_travel_to_base_peers)
{
    static const char hashed[] = "a#AAAAAAAAAAAAAAAAAAAAAAAAAAA";
    struct router *r = fixture_new(100);
    fixture_attach_base(r, 1);
    struct router_intent *own = fixture_publish(r, hashed);
    fixture_subscribe(r, hashed, one);
    CHECK_EQ(fixture_interest(r, 1, hashed), 0);
    CHECK_EQ(fixture_intent(r, 1, hashed, 0), 0);
    CHECK_STR(fixture_adverts(r), "");
    CHECK_STR(fixture_targets(r, own), "L1");
    router_free(r);
}

TEST(router_replies, a_base_peer_is_not_held_to_scope_nor_to_time)
{
    struct router *r = fixture_new(100);
    struct endpoint_options base = {.class = ENDPOINT_PEER, .path = "far.away", .base = true};
    struct decl d = {.route = "T@a", .registered = true, .ttl_ns = 1, .origin = ""};
    CHECK_EQ(router_attach(r, 1, &base, false), 0);
    CHECK_EQ(router_learn_intent(r, 1, &d, 1), 0);
    CHECK(router_expire(r, 1, 60 * NS_PER_SEC) == NEVER);
    CHECK(router_find_intent_by_route(r, 1, "T@a", 3) != NULL);
    router_free(r);
}

TEST(router_replies, patterns_are_expanded_for_who_does_not_take_them)
{
    struct router *r = fixture_new(100);
    struct endpoint_options plain = {.class = ENDPOINT_PEER, .path = ""};
    CHECK_EQ(router_attach(r, 1, &plain, false), 0);
    struct router_interest *all = fixture_subscribe(r, "T@**", one);
    CHECK_STR(fixture_adverts(r), "");
    fixture_intent(r, 1, "T@a", 1);
    fixture_intent(r, 1, "U@a", 2);
    CHECK_STR(fixture_adverts(r), "1+N T@a");
    struct router_interest *exact = fixture_subscribe(r, "T@a", one);
    struct router_interest *any = fixture_subscribe(r, "*@a", one);
    CHECK_STR(fixture_adverts(r), "1+N U@a");
    router_close_interest(r, all);
    router_close_interest(r, exact);
    CHECK_STR(fixture_adverts(r), "");
    router_close_interest(r, any);
    CHECK_STR(fixture_adverts(r), "1-N U@a, 1-N T@a");
    fixture_subscribe(r, "T@*", one);
    CHECK_STR(fixture_adverts(r), "1+N T@a");
    fixture_gone(r, 1, "T@a", true);
    CHECK_STR(fixture_adverts(r), "1-N T@a");
    router_free(r);
}
