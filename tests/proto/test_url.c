/* Peer URLs: parts of every form, what is refused and where, replacing parts, and questions. */
#include "tests/check.h"

#include <weft/weft.h>

#include "base/prng.h"
#include "base/util.h"
#include "proto/url.h"

static struct url must_parse(const char *text)
{
    struct url u;
    CHECK_EQ(url_parse(text, strlen(text), &u, NULL), 0);
    CHECK_STR(u.text, text);
    return u;
}

TEST(url, parts)
{
    static const struct {
        const char *text, *scheme, *address, *host;
        unsigned port;
        const char *path, *query;
    } cases[] = {
        {"tcp://10.0.0.7:7400/robot.arm", "tcp", "10.0.0.7:7400", "10.0.0.7", 7400, "robot.arm",
         ""},
        {"tcp://[fe80::1%eth0]:7400/robot", "tcp", "[fe80::1%eth0]:7400", "fe80::1%eth0", 7400,
         "robot", ""},
        {"tcp://robot-1.lan:1", "tcp", "robot-1.lan:1", "robot-1.lan", 1, "", ""},
        {"tcp://robot:65535/", "tcp", "robot:65535", "robot", 65535, "", ""},
        {"tcp://:0?a=b", "tcp", ":0", "", 0, "", "a=b"},
        {"tcp://h:1/a/b?x=/y&z", "tcp", "h:1", "h", 1, "a/b", "x=/y&z"},
        {"unix:///run/weft.sock/robot", "unix", "/run/weft.sock", "", 0, "robot", ""},
        {"unix:///run/weft.sock/robot/arm", "unix", "/run/weft.sock", "", 0, "robot/arm", ""},
        {"unix:///run/weft.sock", "unix", "/run/weft.sock", "", 0, "", ""},
        {"unix:///a.sock/b.sock", "unix", "/a.sock", "", 0, "b.sock", ""},
        {"unix:///run/weft/robot", "unix", "/run/weft", "", 0, "robot", ""},
        {"unix:///run/weft/", "unix", "/run/weft", "", 0, "", ""},
        {"unix://0.0.0.0:0/path", "unix", "0.0.0.0:0", "", 0, "path", ""},
        {"serial:///dev/ttyUSB0/sensors?baud=115200", "serial", "/dev/ttyUSB0", "", 0, "sensors",
         "baud=115200"},
        {"inproc://name/path", "inproc", "name", "", 0, "path", ""},
        {"x1+y.z-0://a", "x1+y.z-0", "a", "", 0, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url u = must_parse(cases[i].text);
        CHECK_STR(u.scheme, cases[i].scheme);
        CHECK_STR(u.address, cases[i].address);
        CHECK_STR(u.host, cases[i].host);
        CHECK_EQ(u.port, cases[i].port);
        CHECK_STR(u.path, cases[i].path);
        CHECK_STR(u.query, cases[i].query);
    }
}

TEST(url, malformed_with_place)
{
    static const struct {
        const char *text;
        size_t where;
    } cases[] = {
        {"", 0},
        {"tcp", 3},
        {"tcp:/h:1", 3},
        {"://h:1", 0},
        {"Tcp://h:1", 0},
        {"t_p://h:1", 1},
        {"abcdefghijklmnop://h", 16},
        {"tcp://", 6},
        {"tcp:///a", 6},
        {"tcp://h", 7},
        {"tcp://h/a", 7},
        {"tcp://h:", 8},
        {"tcp://h:x", 8},
        {"tcp://h:+1", 8},
        {"tcp://h:65536", 8},
        {"tcp://h:4294967297", 8},
        {"tcp://h:01", 8},
        {"tcp://::1:7400", 6},
        {"tcp://[::1:7400", 6},
        {"tcp://[::1]", 11},
        {"tcp://[::1]7400", 11},
        {"tcp://[10.0.0.1]:1", 6},
        {"tcp://[]:1", 6},
        {"tcp://[::1%]:1", 6},
        {"tcp://user@h:1", 6},
        {"tcp://h:1/a..b", 12},
        {"tcp://h:1/a/", 12},
        {"tcp://h:1//a", 10},
        {"tcp://h:1/a@b", 11},
        {"tcp://h:1/*", 10},
        {"tcp://h:1/a#b", 11},
        {"tcp://h:1#b", 9},
        {"tcp://h:1/a b", 11},
        {"tcp://h:1/a?b c", 13},
        {"unix:///foo", 7},
        {"unix:///", 7},
        {"inproc:///", 9},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url u = {.port = 77};
        size_t where = 999;
        const char *text = cases[i].text;
        if (url_parse(text, strlen(text), &u, &where) != WEFT_EURL || where != cases[i].where)
            FAIL("\"%s\": place %zu, expected %zu", text, where, cases[i].where);
        CHECK_EQ(u.port, 77);
    }
}

TEST(url, length)
{
    char text[URL_MAX + 2] = "inproc://";
    memset(text + 9, 'a', sizeof(text) - 9);
    struct url u;
    size_t where;
    CHECK_EQ(url_parse(text, URL_MAX, &u, NULL), 0);
    CHECK_EQ(strlen(u.address), URL_MAX - 9);
    CHECK_EQ(url_parse(text, URL_MAX + 1, &u, &where), WEFT_EURL);
    CHECK_EQ(where, URL_MAX);
}

TEST(url, explanation)
{
    char out[128], small[8];
    CHECK_EQ(url_explain("tcp://h:x", 9, out, sizeof(out)), strlen(out));
    CHECK_STR(out, "URL \"tcp://h:x\": at byte 8: expected a port from 0 to 65535");
    CHECK_EQ(url_explain("tcp://h:x", 9, small, sizeof(small)), 7);
}

TEST(url, replace)
{
    struct url u = must_parse("tcp://0.0.0.0:7400/robot?x=1");
    CHECK_EQ(url_set_host(&u, "fe80::1%eth0"), 0);
    CHECK_STR(u.text, "tcp://[fe80::1%eth0]:7400/robot?x=1");
    CHECK_STR(u.host, "fe80::1%eth0");
    CHECK_EQ(url_set_host(&u, "10.0.0.1"), 0);
    CHECK_EQ(url_set_port(&u, 9), 0);
    CHECK_EQ(url_set_path(&u, ""), 0);
    CHECK_STR(u.text, "tcp://10.0.0.1:9?x=1");
    CHECK_EQ(url_set_path(&u, "a/b"), 0);
    CHECK_STR(u.text, "tcp://10.0.0.1:9/a/b?x=1");

    struct url before = u;
    char large[URL_MAX + 2];
    memset(large, 'a', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    CHECK_EQ(url_set_host(&u, "a b"), WEFT_EURL);
    CHECK_EQ(url_set_host(&u, "a/b"), WEFT_EURL);
    CHECK_EQ(url_set_host(&u, large), WEFT_EURL);
    CHECK_EQ(url_set_path(&u, large), WEFT_EURL);
    CHECK_EQ(url_set_path(&u, "a?b"), WEFT_EURL);
    CHECK_EQ(url_set_path(&u, "a.*"), WEFT_EURL);
    CHECK_STR(u.text, before.text);
    CHECK_STR(u.address, before.address);
    CHECK_STR(u.host, before.host);
    CHECK_STR(u.path, before.path);
}

TEST(url, replace_in_files)
{
    struct url u = must_parse("unix:///run/weft.sock");
    CHECK_EQ(url_set_path(&u, "robot/arm"), 0);
    CHECK_STR(u.text, "unix:///run/weft.sock/robot.arm");
    CHECK_EQ(url_set_path(&u, ""), 0);
    CHECK_STR(u.text, "unix:///run/weft.sock");
    CHECK_EQ(url_set_host(&u, "h"), WEFT_EURL);
    CHECK_EQ(url_set_port(&u, 1), WEFT_EURL);

    u = must_parse("serial:///dev/ttyUSB0/sensors");
    CHECK_EQ(url_set_path(&u, ""), 0);
    CHECK_STR(u.text, "serial:///dev/ttyUSB0/");
    CHECK_STR(u.address, "/dev/ttyUSB0");
    CHECK_EQ(url_set_path(&u, "a/b"), 0);
    CHECK_STR(u.address, "/dev/ttyUSB0");
    CHECK_STR(u.path, "a.b");
    CHECK_EQ(url_set_path(&u, "x.sock"), WEFT_EURL); /* would become part of the address */
}

TEST(url, questions)
{
    static const struct {
        const char *text;
        bool unspecified, loopback, own_host, dialable;
    } cases[] = {
        {"tcp://0.0.0.0:7400/a", true, false, false, false},
        {"tcp://:7400/a", true, false, false, false},
        {"tcp://[::]:7400", true, false, false, false},
        {"tcp://[0::0%eth0]:7400", true, false, false, false},
        {"tcp://[::ffff:0.0.0.0]:7400", true, false, false, false},
        {"tcp://0:7400", true, false, false, false},
        {"tcp://10.0.0.1:0", false, false, false, false},
        {"tcp://10.0.0.1:1", false, false, false, true},
        {"tcp://127.0.0.1:1", false, true, true, true},
        {"tcp://127.255.0.1:1", false, true, true, true},
        {"tcp://127.1:1", false, true, true, true},
        {"tcp://128.0.0.1:1", false, false, false, true},
        {"tcp://[::1]:1", false, true, true, true},
        {"tcp://[::ffff:127.0.0.1]:1", false, true, true, true},
        {"tcp://LocalHost:1", false, true, true, true},
        {"tcp://localhost.:1", false, true, true, true},
        {"tcp://a.LOCALHOST.:1", false, true, true, true},
        {"tcp://localhost.localdomain:1", false, true, true, true},
        {"tcp://ip6-localhost:1", false, true, true, true},
        {"tcp://ip6-loopback:1", false, true, true, true},
        {"tcp://localhost.lan:1", false, false, false, true},
        {"tcp://notlocalhost:1", false, false, false, true},
        {"tcp://localhost..:1", false, false, false, true},
        {"unix:///run/a.sock", false, false, true, true},
        {"serial:///dev/ttyUSB0/a", false, false, true, true},
        {"unix://0.0.0.0:0/a", false, false, true, false},
        {"inproc://0.0.0.0:0/a", false, false, true, false},
        {"inproc://localhost/a", false, false, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url u = must_parse(cases[i].text);
        if (url_host_unspecified(&u) != cases[i].unspecified ||
            url_host_loopback(&u) != cases[i].loopback ||
            url_on_own_host(&u) != cases[i].own_host || url_dialable(&u) != cases[i].dialable)
            FAIL("%s", cases[i].text);
    }
}

TEST(url, identity)
{
    struct url a = must_parse("tcp://Robot.Lan:1/a?q"), b = must_parse("tcp://robot.lan:1/b");
    struct url c = must_parse("tcp://robot.lan:2/b"), d = must_parse("tcp://[FE80::1%Eth0]:1");
    char out[URL_MAX + 1];
    CHECK_EQ(url_identity(&a, out), 17);
    CHECK_STR(out, "tcp://robot.lan:1");
    CHECK(url_same_address(&a, &b) && !url_same_address(&b, &c));
    CHECK_EQ(url_identity(&d, out), 22);
    CHECK_STR(out, "tcp://[fe80::1%Eth0]:1");
    a = must_parse("unix:///run/A.sock/x");
    b = must_parse("unix:///run/a.sock/x");
    CHECK(!url_same_address(&a, &b));
    b = must_parse("serial:///run/A.sock/x");
    CHECK(!url_same_address(&a, &b));
}

TEST(url, parameters)
{
    struct url u = must_parse("serial:///dev/x/y?baud=115200&flow&parity=&ba=1&baud=2");
    char out[8];
    CHECK(url_param(&u, "baud", out, sizeof(out)));
    CHECK_STR(out, "115200");
    CHECK(url_param(&u, "flow", out, sizeof(out)));
    CHECK_STR(out, "");
    CHECK(url_param(&u, "parity", out, sizeof(out)));
    CHECK_STR(out, "");
    CHECK(url_param(&u, "ba", out, sizeof(out)));
    CHECK_STR(out, "1");
    CHECK(!url_param(&u, "bau", out, sizeof(out)));
    CHECK(!url_param(&u, "baud", out, 6));
    CHECK_STR(out, "1");
}

/* Whatever parses can be taken apart and put together again. */
TEST(url, random_text)
{
    static const char *const pieces[] = {"tcp", "unix", "://", "/",   ":", "[",        "]",
                                         "::1", "%",    "h",   "a.b", ".", ".sock",    "0.0.0.0",
                                         "?",   "=",    "&",   "#",   "7", "\xc3\xa9", " "};
    const uint64_t seed = 20260201;
    struct prng prng;
    prng_init(&prng, seed);
    int parsed = 0;
    for (int i = 0; i < 50000; i++) {
        char text[128];
        size_t len = 0, where = 0;
        if (i % 2) {
            memcpy(text, i % 4 == 1 ? "tcp://h:1" : "unix:///", 9);
            len = i % 4 == 1 ? 9 : 8;
        }
        for (uint64_t n = prng_between(&prng, 0, 8); n > 0; n--) {
            const char *piece = pieces[prng_between(&prng, 0, ARRAY_LEN(pieces) - 1)];
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        struct url u, again;
        if (url_parse(text, len, &u, &where) < 0) {
            CHECK(where <= len);
            continue;
        }
        parsed++;
        again = u;
        bool file = u.address[0] == '/' && strchr(u.path, '/');
        if (!file && (url_set_path(&again, u.path) < 0 || strcmp(again.path, u.path) != 0 ||
                      strcmp(again.address, u.address) != 0))
            FAIL("seed %llu: %s", (unsigned long long)seed, u.text);
    }
    CHECK(parsed > 1000);
}
