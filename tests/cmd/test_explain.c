/* Explaining a route: every reason, from reports made by hand. */
#include "../check.h"

#include "../../cmd/common/explain.h"
#include "../../cmd/common/memory.h"

#define A "tcp://10.0.0.1:7400/lab.a"
#define B "tcp://10.0.0.2:7400/lab.b"
#define C "tcp://10.0.0.3:7400/lab.c"
#define LEAF "unix://0.0.0.0:0/lab.a"
#define ROUTE "T@lab.a.x"
#define MOST 8

/* A node that tells: its report is put together in place. */
struct told {
    weft_status status;
    weft_peer_info peers[MOST];
    weft_route_info routes[MOST];
    weft_incident incidents[MOST];
    weft_report report;
};

static void give_id(uint8_t id[16], const char *url)
{
    memset(id, url[13], 16); /* the last digit of the host: one for each of A, B and C */
}

static struct explain_view node(struct told *t, const char *url)
{
    memset(t, 0, sizeof(*t));
    t->status.url = url;
    t->status.path = strrchr(url, '/') + 1;
    give_id(t->status.node_id, url);
    t->report = (weft_report){
        .status = &t->status, .peers = t->peers, .routes = t->routes, .incidents = t->incidents};
    return (struct explain_view){.url = url, .report = &t->report};
}

static weft_peer_info *peer(struct told *t, const char *url, const char *state)
{
    weft_peer_info *p = &t->peers[t->report.n_peers++];
    *p = (weft_peer_info){.url = url,
                          .path = strrchr(url, '/') + 1,
                          .state = state,
                          .agent = "",
                          .role = WEFT_ROLE_PEER,
                          .last_error = "",
                          .next_dial_ms = UINT64_MAX};
    if (url_dialable(url))
        give_id(p->node_id, url);
    else
        p->role = WEFT_ROLE_LEAF;
    return p;
}

static weft_route_info *route(struct told *t, const char *name, bool intent, const char *from)
{
    weft_route_info *r = &t->routes[t->report.n_routes++];
    *r = (weft_route_info){.route = name, .intent = intent, .peer = from};
    return r;
}

static void incident(struct told *t, enum weft_event_type type, int error, const char *from,
                     const char *name, const char *text)
{
    t->incidents[t->report.n_incidents++] = (weft_incident){
        .type = type, .error = error, .count = 1, .peer = from, .route = name, .text = text};
}

static struct explanation explained(const char *name, const struct explain_view *views, size_t n)
{
    struct explanation e;
    explain(name, views, n, &e);
    if (!e.verdict || !*e.verdict)
        FAIL("no verdict");
    return e;
}

/* The one pair is A to B, of that reason, and says so. */
static void check_pair(const struct explain_view *views, size_t n, enum explain_reason reason,
                       const char *words)
{
    struct explanation e = explained(ROUTE, views, n);
    CHECK_EQ(e.n_pairs, 1);
    CHECK_STR(e.pairs[0].from, A);
    CHECK_STR(e.pairs[0].to, B);
    if (e.pairs[0].reason != reason || !strstr(e.pairs[0].text, words))
        FAIL("%s: %s", explain_word(e.pairs[0].reason), e.pairs[0].text);
    CHECK(e.flows == (reason == EXPLAIN_MATCHES));
    if (!e.flows && !strstr(e.verdict, e.pairs[0].text))
        FAIL("the verdict does not say why: %s", e.verdict);
    explanation_fini(&e);
}

/* The other finding of that reason, whose text holds `words`. */
static void check_other(const char *name, const struct explain_view *views, size_t n,
                        const char *from, const char *to, enum explain_reason reason,
                        const char *words)
{
    struct explanation e = explained(name, views, n);
    bool found = false;
    for (size_t i = 0; i < e.n_others; i++)
        found |= e.others[i].reason == reason && strcmp(e.others[i].from, from) == 0 &&
                 strcmp(e.others[i].to, to) == 0 && strstr(e.others[i].text, words);
    if (!found)
        FAIL("nothing of %s with '%s': %s", explain_word(reason), words, e.verdict);
    CHECK(!e.flows);
    explanation_fini(&e);
}

/* A publishes, B wants it; both tell. */
static void two(struct told t[2], struct explain_view views[2])
{
    views[0] = node(&t[0], A);
    views[1] = node(&t[1], B);
    route(&t[0], ROUTE, true, NULL);
    route(&t[1], "*@lab.**", false, NULL);
}

TEST(explain, two_that_meet)
{
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    peer(&t[0], B, "linked");
    peer(&t[1], A, "linked");
    route(&t[0], "*@lab.**", false, B);
    route(&t[1], ROUTE, true, A);
    check_pair(views, 2, EXPLAIN_MATCHES, "has the interest");
    struct explanation e = explained(ROUTE, views, 2);
    CHECK_EQ(e.n_parties, 2); /* told twice each */
    CHECK_EQ(e.n_others, 0);
    CHECK(strstr(e.verdict, "from 1 publisher to 1 subscriber"));
    explanation_fini(&e);
    /* The same seen by the subscriber's node alone. */
    check_pair(&views[1], 1, EXPLAIN_MATCHES, "the publisher's does not tell");
}

TEST(explain, at_one_node_and_through_it)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, ROUTE, true, LEAF);
    route(&t, ROUTE, false, NULL);
    peer(&t, LEAF, "linked");
    struct explanation e = explained(ROUTE, &view, 1);
    CHECK_EQ(e.n_pairs, 1);
    CHECK(e.flows && e.pairs[0].reason == EXPLAIN_MATCHES);
    CHECK_STR(e.pairs[0].from, LEAF);
    CHECK_STR(e.parties[0].home, A);
    explanation_fini(&e);
}

TEST(explain, a_leaf_is_one_party_whoever_tells_of_it)
{
    struct told t[2];
    struct explain_view views[2] = {node(&t[0], A), node(&t[1], B)};
    peer(&t[0], LEAF, "linked");
    peer(&t[0], B, "linked");
    peer(&t[1], A, "linked");
    route(&t[0], ROUTE, true, LEAF);
    route(&t[0], ROUTE, false, B);
    route(&t[1], ROUTE, true, LEAF)->via = A;
    route(&t[1], ROUTE, false, NULL);
    struct explanation e = explained(ROUTE, views, 2);
    CHECK_EQ(e.n_parties, 2);
    CHECK_EQ(e.n_pairs, 1);
    CHECK(e.flows);
    explanation_fini(&e);
}

TEST(explain, a_leafs_interest_is_passed_on_as_its_routers)
{
    struct told t[2];
    struct explain_view views[2] = {node(&t[0], A), node(&t[1], B)};
    peer(&t[0], B, "linked");
    peer(&t[1], A, "linked");
    peer(&t[1], LEAF, "linked");
    route(&t[0], ROUTE, true, NULL);
    route(&t[0], ROUTE, false, B);
    route(&t[1], ROUTE, false, LEAF);
    struct explanation e = explained(ROUTE, views, 2);
    CHECK_EQ(e.n_parties, 2);
    CHECK_EQ(e.n_pairs, 1);
    CHECK_STR(e.pairs[0].to, LEAF);
    CHECK(e.flows);
    explanation_fini(&e);
    e = explained(ROUTE, views, 1); /* as far as A knows, it is B's own */
    CHECK_STR(e.pairs[0].to, B);
    CHECK(e.flows);
    explanation_fini(&e);
}

TEST(explain, two_leaves_of_one_name_count_twice)
{
    struct told t;
    struct explain_view view = node(&t, A);
    peer(&t, LEAF, "linked");
    peer(&t, LEAF, "linked");
    route(&t, ROUTE, true, NULL);
    route(&t, ROUTE, false, LEAF);
    route(&t, ROUTE, false, LEAF);
    struct explanation e = explained(ROUTE, &view, 1);
    CHECK_EQ(e.n_parties, 2);
    CHECK(strstr(e.verdict, "to 2 subscribers"));
    explanation_fini(&e);
}

/* A router lists its leaves alike, and passes the later one on under a name of its own. */
TEST(explain, publishers_of_one_name_count_once_each_whoever_tells)
{
    struct told t[2];
    struct explain_view views[2] = {node(&t[0], B), node(&t[1], A)};
    peer(&t[0], A, "linked");
    peer(&t[1], B, "linked");
    peer(&t[1], LEAF, "linked");
    peer(&t[1], LEAF, "linked");
    route(&t[0], ROUTE, true, LEAF)->via = A;
    route(&t[0], ROUTE, true, LEAF "?link=12")->via = A;
    route(&t[0], ROUTE, false, NULL);
    route(&t[1], ROUTE, true, LEAF);
    route(&t[1], ROUTE, true, LEAF);
    route(&t[1], ROUTE, false, B);
    for (size_t n = 1; n <= 2; n++) {
        struct explanation e = explained(ROUTE, views, n);
        CHECK_EQ(e.n_parties, 2);
        CHECK_STR(e.parties[e.parties[0].intent ? 0 : 1].peer, LEAF);
        CHECK(strstr(e.verdict, "from 2 publishers to 1 subscriber"));
        explanation_fini(&e);
    }
    t[0].routes[1].peer = LEAF "?link=x"; /* no such mark: a name */
    struct explanation e = explained(ROUTE, views, 1);
    CHECK_EQ(e.n_parties, 3);
    explanation_fini(&e);
}

TEST(explain, two_names_of_one_node)
{
    static const char other[] = "tcp://robot.lan:7400/lab.b";
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    memcpy(peer(&t[0], other, "linked")->node_id, t[1].status.node_id, 16);
    route(&t[0], "*@lab.**", false, other);
    struct explanation e = explained(ROUTE, views, 2);
    CHECK_EQ(e.n_parties, 2);
    CHECK(e.flows);
    explanation_fini(&e);
}

TEST(explain, not_linked_and_when_it_is_dialled)
{
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    weft_peer_info *p = peer(&t[0], B, "waiting");
    p->next_dial_ms = 3500;
    p->last_error = "connection refused";
    check_pair(views, 2, EXPLAIN_NOT_LINKED,
               "it is dialled next in 3.50s; the last one: connection refused");
    t[0].report.n_peers = 0; /* the other side's word, then */
    peer(&t[1], A, "given up");
    check_pair(views, 2, EXPLAIN_NOT_LINKED, "(given up); it is not dialled");
    t[1].peers[0].state = "dialing";
    check_pair(views, 2, EXPLAIN_NOT_LINKED, "(dialing); it is being dialled");
    t[1].report.n_peers = 0;
    check_pair(views, 2, EXPLAIN_NOT_LINKED, "do not know of each other");
}

TEST(explain, banned)
{
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    peer(&t[0], B, "banned");
    check_pair(views, 2, EXPLAIN_BANNED, A " bans " B);
    two(t, views); /* the other way round: the banned one only sees its dials fail */
    peer(&t[0], B, "waiting");
    peer(&t[1], A, "banned");
    check_pair(views, 2, EXPLAIN_BANNED, B " bans " A);
}

TEST(explain, other_network)
{
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    peer(&t[0], B, "waiting");
    incident(&t[0], WEFT_EVENT_REFUSED, WEFT_ENETWORK, B, "", "network \"two\" is not \"one\"");
    check_pair(views, 2, EXPLAIN_NETWORK, "network \"two\" is not \"one\"");
}

TEST(explain, one_of_another_network_that_nobody_knows)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, "T@lab.b.x", false, NULL);
    incident(&t, WEFT_EVENT_REFUSED, WEFT_EDUPLICATE, "10.0.0.8", "", "twice");
    incident(&t, WEFT_EVENT_REFUSED, WEFT_ENETWORK, "10.0.0.9", "", "in another network");
    check_other("T@lab.b.x", &view, 1, "10.0.0.9", "", EXPLAIN_NETWORK, "in another network");
    struct explanation e = explained("T@lab.b.x", &view, 1);
    CHECK(strstr(e.verdict, "but 10.0.0.9 was refused: in another network") &&
          !strstr(e.verdict, "twice"));
    explanation_fini(&e);
    t.status.now = UINT64_C(3600) * 1000000000; /* long ago */
    e = explained("T@lab.b.x", &view, 1);
    CHECK(!strstr(e.verdict, "network"));
    explanation_fini(&e);
}

TEST(explain, schema)
{
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    peer(&t[0], B, "linked");
    route(&t[0], "*@lab.**", false, B);
    t[0].routes[0].schema = 1;
    check_pair(views, 2, EXPLAIN_MATCHES, ""); /* unknown is no difference */
    t[1].routes[0].schema = 2;
    check_pair(views, 2, EXPLAIN_SCHEMA, "0000000000000001, 0000000000000002");
}

TEST(explain, refused)
{
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    peer(&t[0], B, "linked");
    peer(&t[1], A, "linked");
    incident(&t[1], WEFT_EVENT_ROUTE_REFUSED, WEFT_ELIMIT, A, "*@lab.**", "too many routes");
    check_pair(views, 2, EXPLAIN_REFUSED, "*@lab.** was refused: too many routes");
    t[1].incidents[0].error = WEFT_ESCHEMA;
    check_pair(views, 2, EXPLAIN_SCHEMA, "too many routes");
    t[1].incidents[0].peer = C; /* not about these two */
    check_pair(views, 2, EXPLAIN_PENDING, "has not been told of the interest");
}

TEST(explain, publisher_out_of_scope)
{
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    peer(&t[0], B, "linked");
    peer(&t[1], A, "linked")->path = "lab.ab";
    check_pair(views, 2, EXPLAIN_SCOPE, "path lab.ab is no prefix of lab.a.x");
}

/* The links still stand as far as the others know; nobody vouches for who did not answer. */
TEST(explain, one_that_should_meet_did_not_answer)
{
    struct told t;
    struct explain_view views[3] = {node(&t, B), {.url = A}, {.url = C}};
    peer(&t, A, "linked");
    peer(&t, C, "linked");
    route(&t, ROUTE, true, A);
    route(&t, "*@lab.**", false, NULL);
    struct explanation e = explained(ROUTE, views, 3); /* it answered: it does not tell */
    CHECK(strncmp(e.verdict, "It flows", 8) == 0);
    CHECK(e.flows && e.certain);
    explanation_fini(&e);
    views[2].unreached = true; /* who has nothing to do with it */
    e = explained(ROUTE, views, 3);
    CHECK(strncmp(e.verdict, "It flows", 8) == 0);
    explanation_fini(&e);
    views[1].unreached = true;
    e = explained(ROUTE, views, 3);
    CHECK_STR(e.verdict,
              "It should flow, from 1 publisher to 1 subscriber, but " A " did not answer.");
    CHECK(e.flows && !e.certain);
    explanation_fini(&e);
}

TEST(explain, publisher_does_not_tell)
{
    struct told t;
    struct explain_view views[2] = {node(&t, C), {.url = A}};
    peer(&t, A, "linked");
    peer(&t, B, "linked");
    route(&t, ROUTE, true, A);
    route(&t, "*@lab.**", false, B);
    check_pair(views, 2, EXPLAIN_UNTOLD, "run there: weft explain '" ROUTE "' " A);
    /* A leaf's node cannot be told by its name. */
    t.routes[0].peer = LEAF;
    struct explanation e = explained(ROUTE, views, 2);
    CHECK(strstr(e.pairs[0].text, "cannot be asked"));
    CHECK(!e.flows && !e.certain);
    explanation_fini(&e);
}

TEST(explain, type_differs)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, "U@lab.a.x", true, NULL);
    route(&t, "U@lab.*.x", false, B);
    route(&t, "U@lab.a.y", true, NULL); /* another path: nothing to do with it */
    route(&t, ROUTE, false, C);
    check_other(ROUTE, &view, 1, A, "", EXPLAIN_TYPE, "publishes U@lab.a.x");
    check_other(ROUTE, &view, 1, "", B, EXPLAIN_TYPE, "wants U@lab.*.x");
    struct explanation e = explained(ROUTE, &view, 1);
    CHECK(strstr(e.verdict, "wanted by 1, and nobody publishes it, but " A " publishes U@lab.a.x"));
    for (size_t i = 0; i < e.n_others; i++)
        CHECK(!strstr(e.others[i].text, "lab.a.y"));
    explanation_fini(&e);
}

/* What is wanted explains no missing publisher, and what is published no missing subscriber. */
TEST(explain, the_verdict_names_a_near_miss_of_the_missing_side)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, "U@lab.**", false, NULL);
    route(&t, "U@lab.a.x", true, B);
    route(&t, "U@lab.a.x", true, B "?link=2"); /* the same near miss */
    weft_route_info *other = route(&t, ROUTE, false, C);
    struct explanation e = explained(ROUTE, &view, 1);
    CHECK_EQ(e.others[0].reason, EXPLAIN_TYPE);
    CHECK_STR(e.others[0].to, A); /* which comes first */
    CHECK_STR(e.others[1].from, B);
    CHECK(e.n_others < 3 || e.others[2].reason != EXPLAIN_TYPE);
    CHECK(strstr(e.verdict, "nobody publishes it, but " B " publishes U@lab.a.x"));
    explanation_fini(&e);
    t.routes[1].route = t.routes[2].route = "U@lab.a.y";
    e = explained(ROUTE, &view, 1);
    CHECK(!strstr(e.verdict, "type differs"));
    explanation_fini(&e);
    *other = (weft_route_info){.route = ROUTE, .intent = true};
    e = explained(ROUTE, &view, 1);
    CHECK(strstr(e.verdict, "nobody wants it, but " A " wants U@lab.**"));
    explanation_fini(&e);
}

TEST(explain, misspelt)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, "T@lab.a.pose.of.the.left.gripper", true, B); /* nearer than the next */
    route(&t, "T@lab.a.posse.of.the.left.gripper", true, B);
    route(&t, "T@lab.a.force", true, NULL);
    static const char asked[] = "T@lab.a.poze.of.the.left.gripper";
    check_other(asked, &view, 1, B, "", EXPLAIN_SPELLING,
                "publishes T@lab.a.pose.of.the.left.gripper");
    struct explanation e = explained(asked, &view, 1);
    size_t near = 0;
    for (size_t i = 0; i < e.n_others; i++)
        near += e.others[i].reason == EXPLAIN_SPELLING;
    CHECK_EQ(near, 1);
    CHECK(strstr(e.verdict, "nobody wants it, but " B " publishes "
                            "T@lab.a.pose.of.the.left.gripper: did you mean that?"));
    CHECK(e.verdict[strlen(e.verdict) - 1] == '?');
    explanation_fini(&e);
    /* What is published is no misspelling of it. */
    e = explained("T@lab.a.force", &view, 1);
    for (size_t i = 0; i < e.n_others; i++)
        CHECK(e.others[i].reason != EXPLAIN_SPELLING);
    explanation_fini(&e);
    t.routes[0].intent = false;
    check_other(asked, &view, 1, "", B, EXPLAIN_SPELLING, "wants T@lab.a.pose.of");
    /* Too far off, and other words. */
    static const char *const others[] = {"T@lab.a.forge.of", "T@lab.b.force", "U@lab.a.force"};
    for (size_t i = 0; i < 3; i++) {
        e = explained(others[i], &view, 1);
        CHECK(!strstr(e.verdict, "did you mean"));
        explanation_fini(&e);
    }
}

/* A spelling may be meant; a node that is known and out of reach is more likely to be who wants
 * it, unless nobody has to do with the route at all. */
TEST(explain, misspelt_and_out_of_reach)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, "T@lab.a.pose", true, NULL);
    peer(&t, C, "waiting");
    struct explanation e = explained("T@lab.a.poze", &view, 1);
    CHECK(strstr(e.verdict, "did you mean"));
    explanation_fini(&e);
    route(&t, "T@lab.a.poze", false, NULL);
    e = explained("T@lab.a.poze", &view, 1);
    CHECK(strstr(e.verdict, "nobody publishes it, but " A " has no link to " C));
    explanation_fini(&e);
}

TEST(explain, hashed)
{
    char hashed[256], other[256];
    struct told t;
    struct explain_view view = node(&t, A);
    CHECK(weft_route_hash(ROUTE, "lab", hashed, sizeof(hashed)) > 0);
    CHECK(weft_route_hash("T@lab.a.y", "lab", other, sizeof(other)) > 0);
    route(&t, hashed, false, B);
    route(&t, other, false, C);
    route(&t, ROUTE, true, NULL);
    check_other(ROUTE, &view, 1, "", B, EXPLAIN_HASHED, "the same route in its hashed form");
    check_other(hashed, &view, 1, A, "", EXPLAIN_HASHED, "the same route in its plain form");
    check_other("T@lab.**", &view, 1, "", C, EXPLAIN_HASHED, "cannot be told");
    struct explanation e = explained(ROUTE, &view, 1);
    CHECK_EQ(e.n_others, 1); /* the other hash is another route */
    explanation_fini(&e);
}

TEST(explain, hashed_routes_meet)
{
    char hashed[256];
    struct told t;
    struct explain_view view = node(&t, A);
    CHECK(weft_route_hash(ROUTE, "lab", hashed, sizeof(hashed)) > 0);
    route(&t, hashed, true, NULL);
    route(&t, hashed, false, NULL);
    struct explanation e = explained(hashed, &view, 1);
    CHECK(e.flows);
    explanation_fini(&e);
}

TEST(explain, who_could_publish_it)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, "T@lab.b.x", false, NULL);
    peer(&t, B, "linked");
    peer(&t, C, "waiting");
    check_other("T@lab.b.x", &view, 1, A, "", EXPLAIN_SCOPE, "its path lab.a is no prefix");
    check_other("T@lab.b.x", &view, 1, B, "", EXPLAIN_SILENT, "may publish it");
    check_other("T@lab.b.x", &view, 1, C, "", EXPLAIN_NOT_LINKED, "no link to " C);
    check_other("T@lab.bb.x", &view, 1, B, "", EXPLAIN_SCOPE, "its path lab.b is no prefix");
    struct explanation e = explained("T@lab.d.x", &view, 1);
    CHECK(
        strstr(e.verdict, "Nobody publishes it, and nobody wants it, but " A " has no link to " C));
    explanation_fini(&e);
    t.report.n_peers = 1;
    e = explained("T@lab.d.x", &view, 1);
    CHECK(strstr(e.verdict, "no node known has a path that allows it"));
    explanation_fini(&e);
}

TEST(explain, nobody_wants_it)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, ROUTE, true, NULL);
    struct explanation e = explained(ROUTE, &view, 1);
    CHECK(!e.flows && e.certain);
    CHECK(!e.flows && strstr(e.verdict, "nobody wants it"));
    CHECK_EQ(e.n_others, 0);
    explanation_fini(&e);
}

TEST(explain, nobody_wants_it_but_somebody_is_out_of_reach)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, ROUTE, true, NULL);
    peer(&t, B, "linked");
    peer(&t, C, "waiting")->last_error = "connection refused";
    check_other(ROUTE, &view, 1, "", C, EXPLAIN_NOT_LINKED, "connection refused");
    struct explanation e = explained(ROUTE, &view, 1);
    CHECK_EQ(e.n_others, 1);
    CHECK(strstr(e.verdict, "nobody wants it, but " A " has no link to " C));
    explanation_fini(&e);
}

TEST(explain, a_pattern)
{
    struct told t;
    struct explain_view view = node(&t, A);
    route(&t, "T@lab.a.x", true, NULL);
    route(&t, "U@lab.a.x", true, NULL);
    route(&t, "T@lab.**", false, B);
    route(&t, "T@lab.a.x", false, NULL);
    peer(&t, B, "linked");
    struct explanation e = explained("T@lab.**", &view, 1);
    CHECK_EQ(e.n_pairs, 2);
    CHECK(e.flows);
    CHECK_EQ(e.n_others, 1);
    CHECK_EQ(e.others[0].reason, EXPLAIN_TYPE);
    explanation_fini(&e);
}

TEST(explain, json)
{
    struct told t[2];
    struct explain_view views[2];
    two(t, views);
    peer(&t[0], B, "banned");
    struct explanation e = explained(ROUTE, views, 2);
    json_t *o = explanation_json(ROUTE, &e);
    const json_t *first = json_array_get(json_object_get(o, "pairs"), 0);
    CHECK_STR(json_string_value(json_object_get(first, "reason")), "banned");
    CHECK_STR(json_string_value(json_object_get(first, "from")), A);
    CHECK(json_is_false(json_object_get(o, "flows")));
    CHECK_EQ(json_array_size(json_object_get(o, "publishers")), 1);
    CHECK_EQ(json_array_size(json_object_get(o, "subscribers")), 1);
    json_decref(o);
    explanation_fini(&e);
}
