/* One test a rule of router.h. */
#include "fixture.h"
#include "proto/route.h"

static void *const one = (void *)1, *const two = (void *)2;

TEST(router_rules, local_intents_of_a_route_share_a_record)
{
    struct router *r = fixture_new(10);
    struct router_intent *a = fixture_publish(r, "T@a.b"), *b = fixture_publish(r, "T@a/b"), *c;
    CHECK(a == b);
    CHECK_EQ(router_open_intent(r, "T@a.b", 7, NULL, &c), 0); /* the schema becomes known */
    CHECK_EQ(a->schema, 7);
    CHECK_EQ(router_open_intent(r, "T@a.b", 8, NULL, &c), WEFT_ESCHEMA);
    router_close_intent(r, a);
    router_close_intent(r, a);
    CHECK(!a->dead);
    CHECK(router_next_changed(r) == a);
    router_close_intent(r, a);
    CHECK(a->dead && router_next_changed(r) == a && !router_next_changed(r));
    router_release_intent(r, a);
    router_free(r);
}

TEST(router_rules, handles_of_a_route_are_limited)
{
    struct router *r = fixture_new(10);
    struct router_intent *a, *b = NULL;
    for (unsigned n = 0; n < UINT16_MAX; n++)
        CHECK_EQ(router_open_intent(r, "T@a", 0, NULL, &a), 0);
    CHECK_EQ(router_open_intent(r, "T@a", 0, NULL, &b), WEFT_ELIMIT);
    CHECK(b == NULL);
    for (unsigned n = 0; n < UINT16_MAX; n++) {
        CHECK(!a->dead);
        router_close_intent(r, a);
    }
    CHECK(a->dead);
    router_free(r);
}

/* Whether ours, a leaf's or a peer's comes first, ours is found. */
TEST(router_rules, our_intent_is_found_among_others)
{
    for (unsigned order = 0; order < 3; order++) {
        struct router *r = fixture_new(10);
        struct router_intent *ours = NULL;
        fixture_attach(r, 1, ENDPOINT_LEAF, "");
        fixture_attach(r, 2, ENDPOINT_PEER, "");
        for (unsigned n = order; n < order + 3; n++) {
            if (n % 3 == 0)
                ours = fixture_publish(r, "T@a");
            else
                CHECK_EQ(fixture_intent(r, n % 3, "T@a", 1), 0);
        }
        CHECK(router_find_intent_by_route(r, ROUTER_LOCAL, "T@a", 3) == ours);
        CHECK(fixture_publish(r, "T@a") == ours);
        router_close_intent(r, ours);
        router_close_intent(r, ours);
        CHECK(ours->dead && !router_find_intent_by_route(r, ROUTER_LOCAL, "T@a", 3));
        CHECK(router_find_intent_by_route(r, 1, "T@a", 3)->endpoint == 1);
        CHECK(router_find_intent_by_route(r, 2, "T@a", 3)->endpoint == 2);
        router_free(r);
    }
}

TEST(router_rules, a_dead_intent_can_be_put_back_and_is_freed_with_the_router)
{
    struct router *r = fixture_new(10);
    struct router_intent *a = fixture_publish(r, "T@a");
    router_close_intent(r, a);
    CHECK(router_next_changed(r) == a);
    router_mark_changed(r, a);
    CHECK(router_next_changed(r) == a);
    router_free(r);
}

TEST(router_rules, what_is_malformed_is_refused)
{
    struct router *r = fixture_new(10);
    struct router_intent *i = NULL;
    struct router_interest *s = NULL;
    fixture_attach(r, 1, ENDPOINT_PEER, "a");
    CHECK_EQ(router_open_intent(r, "nonsense", 0, NULL, &i), WEFT_EROUTE);
    CHECK_EQ(router_open_intent(r, "T@a.*", 0, NULL, &i), WEFT_EPATTERN);
    CHECK_EQ(router_open_interest(r, "T@", 0, NULL, &s), WEFT_EROUTE);
    CHECK_EQ(fixture_intent(r, 1, "T@", 1), WEFT_EROUTE);
    CHECK_EQ(fixture_intent(r, 1, "*@a", 1), WEFT_EPATTERN);
    CHECK_EQ(fixture_intent(r, 1, "T@b", 1), WEFT_ESCOPE);
    CHECK_EQ(fixture_interest(r, 1, "T"), WEFT_EROUTE);
    CHECK_EQ(fixture_interest(r, 9, "T@a"), WEFT_ENOTFOUND);
    CHECK_EQ(fixture_gone(r, 1, "T@a.nothing", true), 0);
    CHECK(!i && !s && router_generation(r) == 0);
    router_free(r);
}

TEST(router_rules, hops_aliases_and_origins_are_checked)
{
    struct router *r = fixture_new(10);
    char origin[600] = {0};
    struct decl d = {.route = "T@a", .registered = true, .alias = 4, .origin = ""};
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    d.hops = 9;
    CHECK_EQ(router_learn_intent(r, 1, &d, 1), WEFT_EPROTO);
    CHECK_EQ(router_learn_interest(r, 1, &d, 1), WEFT_EPROTO);
    d.hops = 8;
    CHECK_EQ(router_learn_intent(r, 1, &d, 1), 0);
    CHECK_EQ(fixture_intent(r, 1, "T@b", 4), WEFT_EPROTO);
    CHECK_EQ(fixture_intent(r, 1, "T@b", 5), 0);
    memset(origin, 'x', sizeof(origin) - 1);
    d.origin = origin;
    CHECK_EQ(router_learn_intent(r, 1, &d, 1), WEFT_EPROTO);
    router_free(r);
}

TEST(router_rules, the_number_of_routes_is_limited)
{
    struct router *r = fixture_new(2);
    struct router_interest *s;
    struct router_intent *i = fixture_publish(r, "T@a");
    struct endpoint_options peer = {.class = ENDPOINT_PEER, .path = ""};
    struct decl d = {.route = "T@c", .registered = true, .origin = ""};
    CHECK(router_would_take(r, &peer, &d, true));
    fixture_subscribe(r, "T@b", one);
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    CHECK(!router_would_take(r, &peer, &d, true));
    CHECK_EQ(router_open_interest(r, "T@b", 0, two, &s), WEFT_ELIMIT);
    CHECK_EQ(fixture_intent(r, 1, "T@c", 1), WEFT_ELIMIT);
    CHECK(fixture_publish(r, "T@a") == i); /* takes no more room */
    router_free(r);
}

/* A lower limit refuses what is new and leaves what is there; a link is still told all of it. */
TEST(router_rules, the_limit_can_be_moved)
{
    struct router *r = fixture_new(8);
    fixture_publish(r, "T@a");
    fixture_publish(r, "T@b");
    router_set_max(r, 1);
    struct router_interest *s;
    CHECK_EQ(router_open_interest(r, "T@c", 0, one, &s), WEFT_ELIMIT);
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    CHECK_EQ(router_next_broken(r), 0);
    struct router_counts n;
    router_count(r, &n);
    CHECK_EQ(n.local_intents, 2);
    router_set_max(r, 3);
    CHECK_EQ(router_open_interest(r, "T@c", 0, one, &s), 0);
    CHECK_EQ(router_open_interest(r, "T@d", 0, two, &s), WEFT_ELIMIT);
    router_free(r);
}

/* A link may not take the room of others, nor the program's own. */
TEST(router_rules, routes_are_shared_out)
{
    struct router *r = fixture_new(80);
    char route[ROUTE_MAX];
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    fixture_attach(r, 2, ENDPOINT_PEER, "");
    for (uint32_t n = 0; n < 80; n++) {
        snprintf(route, sizeof(route), "T@a.n%u", n);
        CHECK_EQ(fixture_intent(r, 1, route, n + 1), n < 40 ? 0 : WEFT_ELIMIT);
    }
    for (uint32_t n = 0; n < 40; n++) {
        snprintf(route, sizeof(route), "T@b.n%u", n);
        CHECK_EQ(fixture_intent(r, 2, route, n + 1), n < 30 ? 0 : WEFT_ELIMIT);
    }
    CHECK(fixture_publish(r, "T@mine") != NULL);
    router_free(r);
}

/* Sixty segments a route are sixty nodes: they count. */
TEST(router_rules, deep_routes_are_limited)
{
    struct router *r = fixture_new(80);
    uint32_t taken = 0;
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    for (uint32_t n = 0; n < 40; n++) {
        char route[ROUTE_MAX];
        int len = snprintf(route, sizeof(route), "T@r%u", n);
        for (int depth = 1; depth < 60; depth++)
            len += snprintf(route + len, sizeof(route) - (size_t)len, ".s");
        taken += fixture_intent(r, 1, route, n + 1) == 0;
    }
    CHECK(taken > 8 && taken < 14);
    router_free(r);
}

TEST(router_rules, peers_hear_of_us_and_our_leaves_leaves_of_everyone)
{
    struct router *r = fixture_new(100);
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    fixture_attach(r, 2, ENDPOINT_PEER, "");
    fixture_attach(r, 3, ENDPOINT_LEAF, "");
    fixture_attach(r, 4, ENDPOINT_UPLINK, "");
    fixture_intent(r, 1, "T@p", 1);
    CHECK_STR(fixture_adverts(r), "3+I T@p<tcp://1>");
    fixture_intent(r, 3, "T@l", 1);
    CHECK_STR(fixture_adverts(r), "1+I T@l<tcp://3>, 2+I T@l<tcp://3>, 4+I T@l<tcp://3>");
    fixture_intent(r, 4, "T@u", 1);
    CHECK_STR(fixture_adverts(r), "3+I T@u<tcp://4>");
    fixture_publish(r, "T@o");
    CHECK_STR(fixture_adverts(r), "1+I T@o, 2+I T@o, 3+I T@o, 4+I T@o");
    router_detach(r, 3);
    CHECK_STR(fixture_adverts(r), "1-I T@l<tcp://3>, 2-I T@l<tcp://3>, 4-I T@l<tcp://3>");
    router_free(r);
}

TEST(router_rules, interests_are_told_once_a_route)
{
    struct router *r = fixture_new(100);
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    fixture_attach(r, 2, ENDPOINT_LEAF, "");
    fixture_attach(r, 3, ENDPOINT_LEAF, "");
    fixture_interest(r, 2, "T@a/b");
    CHECK_STR(fixture_adverts(r), "1+N T@a.b, 3+N T@a.b");
    fixture_interest(r, 3, "T@a.b"); /* now 2 hears of it too */
    CHECK_STR(fixture_adverts(r), "2+N T@a.b");
    struct router_interest *s = fixture_subscribe(r, "T@a.b", one);
    router_close_interest(r, s);
    CHECK_STR(fixture_adverts(r), "");
    fixture_gone(r, 2, "T@a.b", false);
    CHECK_STR(fixture_adverts(r), "3-N T@a.b");
    router_detach(r, 3);
    CHECK_STR(fixture_adverts(r), "1-N T@a.b, 2-N T@a.b");
    router_free(r);
}

TEST(router_rules, interests_go_where_a_match_could_be_published)
{
    struct router *r = fixture_new(100);
    fixture_attach(r, 1, ENDPOINT_PEER, "robot.arm");
    fixture_attach(r, 2, ENDPOINT_PEER, "robot.eye");
    fixture_attach(r, 3, ENDPOINT_UPLINK, "lab");
    fixture_subscribe(r, "T@robot.arm.pose", one);
    CHECK_STR(fixture_adverts(r), "1+N T@robot.arm.pose, 3+N T@robot.arm.pose");
    fixture_subscribe(r, "T@*.eye.**", one);
    CHECK_STR(fixture_adverts(r), "2+N T@*.eye.**, 3+N T@*.eye.**");
    router_free(r);
}

TEST(router_rules, messages_pass_by_the_rules_of_relay)
{
    struct router *r = fixture_new(100);
    for (uint32_t e = 1; e <= 4; e++) {
        fixture_attach(r, e, e <= 2 ? ENDPOINT_PEER : ENDPOINT_LEAF, "");
        fixture_intent(r, e, "T@a", e);
        fixture_interest(r, e, e % 2 ? "T@*" : "T@a");
    }
    struct router_intent *own = fixture_publish(r, "T@a");
    fixture_subscribe(r, "*@a", one);
    CHECK_STR(fixture_targets(r, own), "E4:T@a, E2:T@a, E3:T@a, E1:T@a, L1");
    CHECK_STR(fixture_targets(r, router_find_intent(r, 1, 1)), "E4:T@a, E3:T@a, L1");
    CHECK_STR(fixture_targets(r, router_find_intent(r, 3, 3)), "E4:T@a, E2:T@a, E1:T@a, L1");
    CHECK(router_find_intent(r, 3, 1) == NULL && router_find_intent(r, 3, 0) == NULL);
    CHECK(router_find_intent_by_route(r, 3, "T@a", 3) == router_find_intent(r, 3, 3));
    CHECK(router_find_intent_by_route(r, ROUTER_LOCAL, "T@a", 3) == own);
    router_free(r);
}

TEST(router_rules, an_endpoint_is_a_target_once_and_each_local_interest_is_one)
{
    struct router *r = fixture_new(100);
    struct router_intent *own = fixture_publish(r, "T@a.b");
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    fixture_interest(r, 1, "T@**");
    fixture_interest(r, 1, "T@a/b");
    fixture_interest(r, 1, "*@*.b");
    fixture_subscribe(r, "T@a.b", one);
    fixture_subscribe(r, "T@a.b", two);
    CHECK_STR(fixture_targets(r, own), "L2, L1, E1:T@a/b");
    router_free(r);
}

TEST(router_rules, notices_tell_of_the_first_and_the_last_intent)
{
    struct router *r = fixture_new(100);
    struct router_notice n;
    struct router_interest *s = fixture_subscribe(r, "T@**", one);
    CHECK(!router_next_notice(r, &n));
    struct router_intent *a = fixture_publish(r, "T@a"), *b = fixture_publish(r, "T@b");
    CHECK(router_next_notice(r, &n) && n.type == ROUTER_INTEREST_MATCHED && n.interest == one);
    CHECK(!router_next_notice(r, &n));
    CHECK_EQ(router_interest_matches(s), 2);
    router_close_intent(r, a);
    CHECK(!router_next_notice(r, &n));
    router_close_intent(r, b);
    CHECK(router_next_notice(r, &n) && n.type == ROUTER_INTEREST_UNMATCHED);
    fixture_publish(r, "T@a");
    router_close_interest(r, s);
    CHECK(!router_next_notice(r, &n)); /* of one that was closed */
    router_free(r);
}

TEST(router_rules, schemas_that_differ_are_told_and_not_linked)
{
    struct router *r = fixture_new(100);
    struct router_notice n;
    struct router_intent *own;
    struct router_interest *s;
    struct decl d = {.route = "T@a", .registered = true, .schema = 8, .origin = ""};
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    CHECK_EQ(router_open_intent(r, "T@a", 7, NULL, &own), 0);
    CHECK_EQ(router_learn_interest(r, 1, &d, 1), 0);
    CHECK_STR(fixture_targets(r, own), "");
    CHECK(router_next_notice(r, &n) && n.type == ROUTER_SCHEMA_CONFLICT);
    CHECK(n.endpoint == 1 && n.ours == 7 && n.theirs == 8 && !strcmp(n.route->text, "T@a"));
    CHECK_EQ(router_learn_interest(r, 1, &d, 1), 0); /* a refresh tells nothing new */
    CHECK(!router_next_notice(r, &n));
    d.schema = 0;
    CHECK_EQ(router_learn_interest(r, 1, &d, 1), 0);
    CHECK_STR(fixture_targets(r, own), "E1:T@a");
    CHECK_EQ(router_open_interest(r, "T@a", 9, one, &s), 0);
    router_close_interest(r, s); /* takes its conflict along */
    CHECK(!router_next_notice(r, &n));
    router_free(r);
}

TEST(router_rules, an_interest_of_several_schemas_names_none)
{
    struct router *r = fixture_new(100);
    struct router_interest *s;
    struct router_advert a;
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    CHECK_EQ(router_open_interest(r, "T@a", 7, one, &s), 0);
    CHECK(router_next_advert(r, &a) && a.schema == 7);
    CHECK_EQ(router_open_interest(r, "T@a", 8, two, &s), 0);
    CHECK(router_next_advert(r, &a) && a.registered && a.schema == 0);
    router_free(r);
}

TEST(router_rules, relaying_adds_a_hop_and_ends_at_eight)
{
    struct router *r = fixture_new(100);
    struct router_advert a;
    struct decl d = {.route = "T@a", .registered = true, .hops = 7, .origin = ""};
    fixture_attach(r, 1, ENDPOINT_LEAF, "");
    fixture_attach(r, 2, ENDPOINT_PEER, "");
    CHECK_EQ(router_learn_intent(r, 1, &d, 1), 0);
    CHECK(router_next_advert(r, &a) && a.hops == 8 && a.registered);
    CHECK_EQ(router_learn_interest(r, 1, &d, 1), 0);
    CHECK(router_next_advert(r, &a) && a.hops == 8 && !a.intent);
    d.hops = 8;
    CHECK_EQ(router_learn_intent(r, 1, &d, 1), 0);
    CHECK_EQ(router_learn_interest(r, 1, &d, 1), 0);
    CHECK_STR(fixture_adverts(r), "2-I T@a<tcp://1>, 2-N T@a");
    router_free(r);
}

/* Two leaves of one name, as leaves without an address and with the same path have. */
TEST(router_rules, publishers_of_one_name_stay_apart)
{
    struct router *r = fixture_new(100);
    struct endpoint_options leaf = {.class = ENDPOINT_LEAF, .path = "", .name = "unix://x"};
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    CHECK_EQ(router_attach(r, 2, &leaf, false), 0);
    CHECK_EQ(router_attach(r, 3, &leaf, false), 0);
    fixture_intent(r, 2, "T@a", 1);
    fixture_intent(r, 3, "T@a", 1);
    CHECK_STR(fixture_adverts(r), "1+I T@a<unix://x>, 3+I T@a<unix://x>, "
                                  "1+I T@a<unix://x?link=3>, 2+I T@a<unix://x?link=3>");
    router_free(r);
}

static bool count_advert(void *ctx, const struct router_advert *advert)
{
    return ++*(int *)ctx < 2;
}

TEST(router_rules, full_state_is_told_on_attach_and_on_request)
{
    struct router *r = fixture_new(100);
    struct endpoint_options peer = {.class = ENDPOINT_PEER, .path = "", .patterns = true};
    struct router_digest loud, quiet;
    int count = 0;
    fixture_publish(r, "T@a");
    fixture_publish(r, "T@b");
    fixture_subscribe(r, "T@*", one);
    router_each_advert(r, &peer, count_advert, &count);
    CHECK_EQ(count, 2); /* stopped by itself */
    CHECK_EQ(router_attach(r, 1, &peer, true), 0);
    CHECK_STR(fixture_adverts(r), "");
    CHECK_EQ(router_attach(r, 2, &peer, false), 0);
    CHECK_STR(fixture_adverts(r), "2+I T@b, 2+I T@a, 2+N T@*");
    router_digest_sent(r, 1, &quiet);
    router_digest_sent(r, 2, &loud);
    CHECK(quiet.intents == 2 && quiet.interests == 1);
    CHECK_MEM(&quiet, &loud, sizeof(loud));
    router_readvertise(r, 1);
    CHECK_STR(fixture_adverts(r), "1+I T@b, 1+I T@a, 1+N T@*");
    router_digest_sent(r, 1, &quiet);
    CHECK_MEM(&quiet, &loud, sizeof(loud));
    router_free(r);
}

static bool sum_adverts(void *ctx, const struct router_advert *advert)
{
    uint32_t *sum = ctx;
    sum[advert->intent]++;
    return true;
}

/* What an INITIAL carries is what an attached leaf is told, also the first of all. */
TEST(router_rules, the_first_leaf_hears_of_others_before_it_is_attached)
{
    struct router *r = fixture_new(100);
    struct endpoint_options leaf = {.class = ENDPOINT_LEAF, .path = "", .patterns = true};
    uint32_t sum[2] = {0};
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    fixture_publish(r, "T@a");
    fixture_intent(r, 1, "T@b", 1);
    fixture_interest(r, 1, "T@c");
    CHECK_STR(fixture_adverts(r), "1+I T@a");
    router_each_advert(r, &leaf, sum_adverts, sum);
    CHECK(sum[0] == 1 && sum[1] == 2);
    CHECK_EQ(router_attach(r, 2, &leaf, false), 0);
    CHECK_STR(fixture_adverts(r), "2+I T@a, 2+I T@b<tcp://1>, 2+N T@c");
    router_free(r);
}

TEST(router_rules, adverts_for_a_link_that_went_are_dropped)
{
    struct router *r = fixture_new(100);
    fixture_publish(r, "T@a");
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    router_detach(r, 1);
    fixture_attach(r, 1, ENDPOINT_PEER, ""); /* the same id, another link */
    CHECK_STR(fixture_adverts(r), "1+I T@a");
    router_detach(r, 77);
    router_free(r);
}

static void sum_info(void *ctx, const struct router_info *info)
{
    uint32_t *sum = ctx;
    sum[info->intent]++;
    sum[2] += info->matches;
    CHECK(info->route && (info->intent == (info->record != NULL)));
}

TEST(router_rules, what_is_known_can_be_listed)
{
    struct router *r = fixture_new(100);
    struct router_counts c;
    uint32_t sum[3] = {0};
    fixture_attach(r, 1, ENDPOINT_PEER, "");
    fixture_publish(r, "T@a");
    fixture_subscribe(r, "T@*", one);
    fixture_intent(r, 1, "T@b", 1);
    fixture_interest(r, 1, "T@a");
    router_each(r, sum_info, sum);
    CHECK(sum[0] == 2 && sum[1] == 2);
    CHECK_EQ(sum[2], 2 + 1 + 2 + 1); /* T@a: 2, T@b: 1, T@*: 2, the peer's T@a: 1 */
    router_count(r, &c);
    CHECK(c.local_intents == 1 && c.local_interests == 1);
    CHECK(c.remote_intents == 1 && c.remote_interests == 1);
    router_free(r);
}
