/* A report as JSON, and the words and figures that tables are made of. */
#include "../check.h"

#include "../../cmd/common/memory.h"
#include "../../cmd/common/rates.h"
#include "../../cmd/common/report_json.h"
#include "../../cmd/common/table.h"
#include "../../cmd/common/units.h"
#include "../../cmd/common/words.h"

static const char *text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        FAIL("%s is no string", name);
    return json_string_value(value);
}

static long long number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value))
        FAIL("%s is no integer", name);
    return json_integer_value(value);
}

static bool is_null(const json_t *object, const char *name)
{
    return json_is_null(json_object_get(object, name));
}

TEST(report, has_only_the_parts_that_are_there)
{
    weft_report r = {0};
    json_t *o = report_json(&r);
    CHECK_EQ(json_object_size(o), 0);
    json_decref(o);

    weft_incident incident = {.type = WEFT_EVENT_ROUTE_REFUSED,
                              .error = WEFT_ESCHEMA,
                              .count = 2,
                              .time = 7,
                              .peer = "tcp://h:1/",
                              .route = "T@a",
                              .text = "no"};
    r.incidents = &incident;
    r.n_incidents = 1;
    o = report_json(&r);
    CHECK_EQ(json_object_size(o), 1);
    const json_t *first = json_array_get(json_object_get(o, "incidents"), 0);
    CHECK_STR(text_of(first, "type"), "route_refused");
    CHECK_STR(text_of(first, "error"), "WEFT_ESCHEMA");
    CHECK_STR(text_of(first, "route"), "T@a");
    CHECK_EQ(number_of(first, "time_ns"), 7);
    CHECK_EQ(number_of(first, "count"), 2);
    json_decref(o);
}

TEST(report, status_has_its_counters_and_drops_by_reason)
{
    weft_status s = {.url = "tcp://h:1/a",
                     .path = "a",
                     .agent = "x/1",
                     .version = "1",
                     .network = "",
                     .listen = "",
                     .addrbook = "",
                     .role = WEFT_ROLE_PEER,
                     .log_level = WEFT_LOG_DEBUG,
                     .pid = 12,
                     .now = UINT64_MAX};
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        s.stats.dropped[i] = (uint64_t)i + 1;
    s.node_id[15] = 0xfe;
    s.stats.uptime_ms = 99;
    weft_report r = {.status = &s};
    json_t *o = report_json(&r);
    const json_t *status = json_object_get(o, "status");
    CHECK_STR(text_of(status, "role"), "peer");
    CHECK_STR(text_of(status, "log_level"), "debug");
    CHECK_STR(text_of(status, "node_id"), "000000000000000000000000000000fe");
    CHECK_EQ(number_of(status, "now_ns"), INT64_MAX);
    const json_t *stats = json_object_get(status, "stats");
    CHECK_EQ(number_of(stats, "uptime_ms"), 99);
    const json_t *dropped = json_object_get(stats, "dropped");
    static const char *const reasons[] = {"timeout", "refused", "old",    "replaced",
                                          "link",    "too_big", "closed", "no_memory"};
    CHECK_EQ(json_object_size(dropped), WEFT_DROP_REASONS);
    for (int i = 0; i < WEFT_DROP_REASONS; i++)
        CHECK_EQ(number_of(dropped, reasons[i]), i + 1);
    json_decref(o);
}

TEST(report, peers_and_routes)
{
    weft_peer_info p = {.url = "tcp://h:1/a",
                        .path = "a",
                        .agent = "bad \xff name",
                        .state = "linked",
                        .last_error = "",
                        .features = 1 | 64 | UINT64_C(1) << 40,
                        .next_dial_ms = UINT64_MAX};
    weft_route_info route = {.route = "T@a", .intent = true, .matches = 3, .schema = 0xab};
    weft_report r = {.peers = &p, .n_peers = 1, .routes = &route, .n_routes = 1};
    json_t *o = report_json(&r);
    const json_t *peer = json_array_get(json_object_get(o, "peers"), 0);
    CHECK_STR(text_of(peer, "agent"), "bad \xef\xbf\xbd name");
    CHECK(is_null(peer, "next_dial_ms") && is_null(peer, "node_id") && is_null(peer, "rtt_ns"));
    const json_t *features = json_object_get(peer, "features");
    CHECK_EQ(json_array_size(features), 3);
    CHECK_STR(json_string_value(json_array_get(features, 1)), "info");
    CHECK_STR(json_string_value(json_array_get(features, 2)), "bit 40");
    const json_t *first = json_array_get(json_object_get(o, "routes"), 0);
    CHECK(is_null(first, "peer") && is_null(first, "via"));
    CHECK_STR(text_of(first, "schema"), "00000000000000ab");
    CHECK_EQ(number_of(first, "matches"), 3);
    json_decref(o);
}

TEST(report, book)
{
    weft_addrbook_entry e = {.peer = "tcp://h:1/a",
                             .source = "",
                             .last_error = "",
                             .origin = WEFT_ORIGIN_GOSSIP,
                             .multiplier = 1.5f,
                             .dialing = true,
                             .banned_until = UINT64_MAX};
    weft_addrbook book = {.entries = &e, .count = 1};
    weft_report r = {.book = &book};
    json_t *o = report_json(&r);
    const json_t *entry = json_array_get(json_object_get(o, "addrbook"), 0);
    CHECK_STR(text_of(entry, "origin"), "gossip");
    CHECK(json_is_true(json_object_get(entry, "dialing")) && is_null(entry, "next_dial_ns"));
    CHECK_EQ(number_of(entry, "banned_until_ns"), INT64_MAX);
    CHECK(json_real_value(json_object_get(entry, "multiplier")) == 1.5);
    json_decref(o);
    e.multiplier = -1.0f / 0.0f;
    o = report_json(&r);
    entry = json_array_get(json_object_get(o, "addrbook"), 0);
    CHECK(json_real_value(json_object_get(entry, "multiplier")) == 0);
    json_decref(o);
}

TEST(report, words_for_what_is_none)
{
    CHECK_STR(role_word(4), "");
    CHECK_STR(event_word(-1), "");
    CHECK_STR(drop_word(WEFT_DROP_REASONS), "");
    CHECK_STR(feature_word(63), "");
}

TEST(report, short_figures)
{
    char t[UNITS_TEXT];
    CHECK_STR(ns_format(850, t), "850ns");
    CHECK_STR(ns_format(85000, t), "85.0us");
    CHECK_STR(ns_format(999499, t), "999us");
    CHECK_STR(ns_format(999500, t), "1.00ms");
    CHECK_STR(ns_format(1234567, t), "1.23ms");
    CHECK_STR(ns_format(99960000, t), "100ms");
    CHECK_STR(ns_format(3450000000, t), "3.45s");
    CHECK_STR(ns_format(UINT64_C(121000000000), t), "2m");
    CHECK_STR(ns_format(UINT64_C(7200000000000), t), "2h");
    CHECK_STR(ns_format(UINT64_C(200000000000000), t), "2d");
    CHECK_STR(amount_format(0, t), "0");
    CHECK_STR(amount_format(999, t), "999");
    CHECK_STR(amount_format(0.5, t), "0.50");
    CHECK_STR(amount_format(1234, t), "1.23k");
    CHECK_STR(amount_format(999600, t), "1.00M");
    CHECK_STR(amount_format(45600000, t), "45.6M");
}

TEST(report, cells_are_exact_or_for_people)
{
    struct cell c = {.now = UINT64_C(1000) * 1000000000};
    CHECK_STR(cell_time(UINT64_C(940) * 1000000000, &c), "60s ago");
    CHECK_STR(cell_time(UINT64_C(1300) * 1000000000, &c), "in 5m");
    CHECK_STR(cell_time(0, &c), "");
    CHECK_STR(cell_ns(1500000, &c), "1.50ms");
    CHECK_STR(cell_amount(1500, &c), "1.50k");
    CHECK_STR(cell_bool(false, &c), "");
    c.exact = true;
    CHECK_STR(cell_time(UINT64_C(940) * 1000000000, &c), "1970-01-01T00:15:40.000Z");
    CHECK_STR(cell_ns(1500000, &c), "1500000");
    CHECK_STR(cell_amount(1500, &c), "1500");
    CHECK_STR(cell_bool(false, &c), "false");
}

/* ---- Rates ---- */

static weft_report at_second(weft_status *status, uint64_t second, weft_route_info *routes,
                             size_t n)
{
    *status = (weft_status){.now = second * 1000000000};
    return (weft_report){.status = status, .routes = routes, .n_routes = n};
}

TEST(rates, of_routes_by_what_makes_them_the_same)
{
    weft_status s1, s2;
    weft_route_info before[] = {{.route = "T@b", .intent = true, .messages = 10},
                                {.route = "T@a", .intent = true, .messages = 100},
                                {.route = "T@a", .peer = "tcp://h:1/", .messages = 7}};
    weft_route_info after[] = {{.route = "T@a", .intent = true, .messages = 150},
                               {.route = "T@a", .peer = "tcp://h:1/", .messages = 7},
                               {.route = "T@b", .intent = true, .messages = 9},
                               {.route = "T@c", .intent = true, .messages = 5}};
    weft_report a = at_second(&s1, 10, before, 3), b = at_second(&s2, 12, after, 4);
    struct route_rate *rates = route_rates(&a, &b);
    CHECK(report_seconds(&a, &b) == 2.0);
    CHECK(rates[0].info == &after[0] && rates[0].hz == 25.0);
    CHECK(rates[1].hz == 0.0);
    CHECK(rates[2].hz == RATE_UNKNOWN); /* counted anew */
    CHECK(rates[3].hz == RATE_UNKNOWN); /* new */
    xfree(rates);
    rates = route_rates(NULL, &b);
    CHECK(rates[0].hz == RATE_UNKNOWN);
    xfree(rates);
    s2.now = s1.now; /* no time has passed */
    rates = route_rates(&a, &b);
    CHECK(rates[0].hz == RATE_UNKNOWN);
    xfree(rates);
}

TEST(rates, of_peers_begin_anew_with_each_link)
{
    weft_status s1 = {.now = 1000000000}, s2 = {.now = 2000000000};
    weft_peer_info before[] = {{.url = "tcp://h:1/", .uptime_ms = 500, .bytes_in = 10},
                               {.url = "tcp://h:2/", .uptime_ms = 500, .bytes_in = 10}};
    weft_peer_info after[] = {
        {.url = "tcp://h:1/", .uptime_ms = 1500, .bytes_in = 40, .messages_out = 3},
        {.url = "tcp://h:2/", .uptime_ms = 100, .bytes_in = 50}};
    weft_report a = {.status = &s1, .peers = before, .n_peers = 2};
    weft_report b = {.status = &s2, .peers = after, .n_peers = 2};
    struct peer_rate *rates = peer_rates(&a, &b);
    CHECK(rates[0].bytes_in == 30.0 && rates[0].messages_out == 3.0 && rates[0].bytes_out == 0.0);
    CHECK(rates[1].bytes_in == RATE_UNKNOWN);
    xfree(rates);
}
