/* The pure parts of weftd's HTTP listener: addresses and headers, and the bounds of the metrics,
 * which no mesh of a test is large enough for. */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cmd/weftd/http_address.h"
#include "../../cmd/weftd/http_parts.h"

#define MANY 1500
#define NAME 64

/* ---- Addresses ------------------------------------------------------------------------------- */

static bool parses(const char *text, bool local)
{
    struct http_address address;
    return http_address_parse(text, &address) && address.local == local;
}

TEST(http_address, those_of_this_host)
{
    CHECK(parses("127.0.0.1:7480", true));
    CHECK(parses("127.9.9.9:0", true));
    CHECK(parses("[::1]:65535", true));
    CHECK(parses("localhost:80", true));
    CHECK(parses("unix:/run/weft/http.sock", true));
}

TEST(http_address, those_that_others_reach)
{
    CHECK(parses("0.0.0.0:7480", false));
    CHECK(parses("[::]:7480", false));
    CHECK(parses("128.0.0.1:1", false));
    CHECK(parses("[::ffff:127.0.0.1]:1", false));
}

TEST(http_address, those_that_are_none)
{
    static const char *const wrong[] = {
        "",
        "7480",
        ":7480",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:7480x",
        "::1:7480",
        "[::1]7480",
        "[::1",
        "robot:80",
        "unix:",
        "unix:relative",
        "127.1:80",
        "http://a:1",
        "127.0.0.1:7480/",
    };
    struct http_address address;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        if (http_address_parse(wrong[i], &address))
            FAIL("\"%s\" was taken", wrong[i]);
    char longest[400] = "unix:/";
    memset(longest + 6, 'x', 300);
    CHECK(!http_address_parse(longest, &address));
}

TEST(http_address, hosts_beyond_the_loopback)
{
    CHECK(http_host_allowed("10.0.0.1:7480", false, NULL));
    CHECK(!http_host_allowed("10.0.0.1:7480", true, NULL));
    CHECK(http_host_allowed("[fe80::1]", false, NULL));
    CHECK(!http_host_allowed("robot.lan", false, NULL));
    CHECK(http_host_allowed("robot.lan", false, (const char *const[]){"a", "robot.lan", NULL}));
}

/* ---- Metrics --------------------------------------------------------------------------------- */

/* A node with n linked peers and n routes of its own, the last of them the busiest. */
struct large {
    weft_report report;
    weft_status status;
    weft_peer_info peers[MANY];
    weft_route_info routes[MANY];
    weft_addrbook book;
    char names[MANY][NAME];
};

static struct large *large_new(size_t n)
{
    struct large *l = calloc(1, sizeof(*l));
    l->status = (weft_status){.agent = "weftd", .version = "1", .path = "lab"};
    l->report = (weft_report){.status = &l->status,
                              .peers = l->peers,
                              .n_peers = n,
                              .routes = l->routes,
                              .n_routes = n,
                              .book = &l->book};
    for (size_t i = 0; i < n; i++) {
        snprintf(l->names[i], NAME, "tcp://h:1/%04zu", i);
        l->peers[i] = (weft_peer_info){.url = l->names[i], .path = "p", .state = "linked"};
        l->routes[i] = (weft_route_info){.route = l->names[i], .intent = true, .messages = i};
    }
    return l;
}

static char *metrics_of(const struct large *l, uint64_t left_out)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    http_metrics(&l->report, &(struct http_process){1, 0}, left_out, false, out);
    fclose(out);
    return text;
}

/* How many lines begin with it. Without strchr, which a sanitizer has read the whole text each
 * time. */
static size_t lines_of(const char *text, const char *start)
{
    size_t n = 0, size = strlen(start);
    const char *end = text + strlen(text);
    for (const char *line = text; line; line = memchr(line, '\n', (size_t)(end - line))) {
        line += *line == '\n';
        n += (size_t)(end - line) >= size && memcmp(line, start, size) == 0;
    }
    return n;
}

TEST(metrics, peers_are_bounded)
{
    struct large *l = large_new(MANY);
    char *text = metrics_of(l, 0);
    CHECK_EQ(lines_of(text, "weft_peer_up{"), 1000);
    CHECK_EQ(lines_of(text, "weft_peers_left_out 500\n"), 1);
    CHECK_EQ(lines_of(text, "weft_peers{state=\"linked\"} 1500\n"), 1);
    free(text);
    free(l);
}

TEST(metrics, routes_are_bounded_to_the_busiest)
{
    struct large *l = large_new(MANY);
    char *text = metrics_of(l, 0);
    CHECK_EQ(lines_of(text, "weft_route_messages_total{"), 200);
    CHECK_EQ(lines_of(text, "weft_routes_left_out 1300\n"), 1);
    CHECK_EQ(lines_of(text, "weft_route_messages_total{route=\"tcp://h:1/1499\""), 1);
    CHECK_EQ(lines_of(text, "weft_route_messages_total{route=\"tcp://h:1/1299\""), 0);
    free(text);
    free(l);
}

/* Of one name: one series. Of others' routes only those that went through here. */
TEST(metrics, routes_of_one_name_are_one)
{
    struct large *l = large_new(3);
    for (int i = 0; i < 3; i++)
        l->routes[i] =
            (weft_route_info){.route = "T@a", .peer = "x", .intent = true, .messages = 5};
    l->routes[2].messages = 0;
    char *text = metrics_of(l, 0);
    CHECK_EQ(lines_of(text, "weft_route_messages_total{route=\"T@a\",kind=\"intent\"} 10\n"), 1);
    free(text);
    free(l);
}

TEST(metrics, none_are_listed_where_there_are_too_many)
{
    struct large *l = large_new(0);
    l->report.routes = NULL;
    char *text = metrics_of(l, 123456);
    CHECK_EQ(lines_of(text, "weft_routes_left_out 123456\n"), 1);
    CHECK_EQ(lines_of(text, "weft_route_messages_total{"), 0);
    free(text);
    free(l);
}

/* Each state but "linked" comes to one entry, whenever it is dialled next. */
TEST(metrics, entries_by_state)
{
    weft_addrbook_entry entries[6] = {
        {.max_attempts = 10, .failed_attempts = 9, .next_dial_ns = 1},
        {.max_attempts = 10, .failed_attempts = 10, .next_dial_ns = 1},
        {.max_attempts = 10, .failed_attempts = 10, .dialing = true},
        {.max_attempts = 10, .failed_attempts = 10, .banned_until = UINT64_MAX},
        {.max_attempts = 10, .failed_attempts = 99, .persistent = true, .linked = true},
        {.max_attempts = 10, .failed_attempts = 0, .linked = true},
    };
    struct large *l = large_new(0);
    l->book = (weft_addrbook){.entries = entries, .count = 6};
    char *text = metrics_of(l, 0);
    CHECK_EQ(lines_of(text, "weft_addrbook_entries{state=\"waiting\"} 1\n"), 1);
    CHECK_EQ(lines_of(text, "weft_addrbook_entries{state=\"given up\"} 1\n"), 1);
    CHECK_EQ(lines_of(text, "weft_addrbook_entries{state=\"dialing\"} 1\n"), 1);
    CHECK_EQ(lines_of(text, "weft_addrbook_entries{state=\"banned\"} 1\n"), 1);
    CHECK_EQ(lines_of(text, "weft_addrbook_entries{state=\"linked\"} 2\n"), 1);
    free(text);
    free(l);
}

TEST(metrics, labels_are_escaped_and_utf8)
{
    struct large *l = large_new(1);
    l->peers[0].path = "a\"b\\c\nd\xff";
    char *text = metrics_of(l, 0);
    CHECK_EQ(lines_of(text, "weft_peer_up{peer=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\",url="), 1);
    free(text);
    free(l);
}
