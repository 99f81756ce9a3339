/* Numbers, suggestions and escapes of the programs. */
#include "../check.h"

#include "../../cmd/common/escape.h"
#include "../../cmd/common/memory.h"
#include "../../cmd/common/names.h"
#include "../../cmd/common/suggest.h"
#include "../../cmd/common/units.h"

TEST(units, durations)
{
    static const struct {
        const char *text;
        uint32_t ms;
    } good[] = {{"500ms", 500}, {"10s", 10000},       {"2m", 120000}, {"1h", 3600000},
                {"0.5s", 500},  {"1.25s", 1250},      {"0s", 0},      {"4294967295ms", UINT32_MAX},
                {"0.5ms", 0},   {"1193h", 4294800000}};
    static const char *const bad[] = {"",      "s",
                                      "-1s",   "1",
                                      "1 s",   "1x",
                                      "1.s",   ".5s",
                                      "1e3s",  "4294967296ms",
                                      "1194h", "99999999999999999999s",
                                      "1sm"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint32_t ms = 1;
        if (!duration_parse(good[i].text, 0, &ms) || ms != good[i].ms)
            FAIL("%s: %u", good[i].text, ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t ms = 77;
        if (duration_parse(bad[i], 0, &ms) || ms != 77)
            FAIL("\"%s\" was taken, or the output touched", bad[i]);
    }
}

TEST(units, bare_numbers_have_the_unit_given)
{
    uint32_t ms = 0;
    CHECK(duration_parse("0.25", 1000, &ms));
    CHECK_EQ(ms, 250);
    CHECK(duration_parse("250ms", 1000, &ms));
    CHECK_EQ(ms, 250);
}

TEST(units, sizes)
{
    uint64_t n = 0;
    CHECK(size_parse("65536", &n) && n == 65536);
    CHECK(size_parse("4MiB", &n) && n == 4194304);
    CHECK(size_parse("4mib", &n) && n == 4194304);
    CHECK(size_parse("1.5KiB", &n) && n == 1536);
    CHECK(size_parse("2MB", &n) && n == 2000000);
    CHECK(size_parse("1024GiB", &n) && n == UINT64_C(1) << 40);
    n = 77;
    CHECK(!size_parse("", &n) && !size_parse("-1", &n) && !size_parse("4XB", &n));
    CHECK(!size_parse("1025GiB", &n) && !size_parse("MiB", &n) && !size_parse("4 MiB", &n));
    CHECK_EQ(n, 77);
}

TEST(units, counts_keep_to_their_bounds)
{
    uint64_t n = 77;
    CHECK(!count_parse("0", 1, 9, &n) && !count_parse("10", 1, 9, &n) &&
          !count_parse("", 0, 9, &n));
    CHECK(!count_parse("+1", 0, 9, &n) && !count_parse("1x", 0, 9, &n));
    CHECK(!count_parse("99999999999999999999999", 0, UINT64_MAX, &n));
    CHECK_EQ(n, 77);
    CHECK(count_parse("9", 1, 9, &n));
    CHECK_EQ(n, 9);
}

TEST(units, what_is_written_reads_back)
{
    static const uint64_t values[] = {0,     1,     999,     1000,    1024,
                                      60000, 61000, 3600000, 4194304, 86400000};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[UNITS_TEXT];
        uint64_t bytes = 1;
        uint32_t ms = 1;
        CHECK(duration_parse(duration_format(values[i], text), 0, &ms));
        CHECK_EQ(ms, values[i]);
        CHECK(size_parse(size_format(values[i], text), &bytes));
        CHECK_EQ(bytes, values[i]);
    }
}

TEST(units, times)
{
    char text[TIME_TEXT];
    uint64_t ns = UINT64_C(1700000000123456789);
    CHECK_STR(time_format(ns, 9, text), "2023-11-14T22:13:20.123456789Z");
    CHECK_STR(time_format(ns, 3, text), "2023-11-14T22:13:20.123Z");
    CHECK_STR(time_format(ns, 0, text), "2023-11-14T22:13:20Z");
    time_format(UINT64_MAX, 9, text); /* no time of ours, but it fits */
    CHECK(strlen(text) < TIME_TEXT);
}

TEST(suggest, nearest_within_two_errors)
{
    static const char *const names[] = {"pub", "sub", "ping", "addrbook"};
    CHECK_STR(suggest("pign", names, 4, sizeof(names[0])), "ping");
    CHECK_STR(suggest("adrbok", names, 4, sizeof(names[0])), "addrbook");
    CHECK_STR(suggest("sbu", names, 4, sizeof(names[0])), "sub");
    static const char *const route = "types.Pose@robot.arm.left.gripper.pose";
    CHECK_STR(suggest("types.Pose@robot.arm.left.gripper.poze", &route, 1, sizeof(route)), route);
    CHECK(suggest("xyz", names, 4, sizeof(names[0])) == NULL);
    CHECK(suggest("", names, 4, sizeof(names[0])) == NULL);
    CHECK(suggest("a-word-that-is-much-longer-than-any-command", names, 4, sizeof(names[0])) ==
          NULL);
}

/* What a writer makes of some bytes. */
static char *written(void (*write_fn)(FILE *, const void *, size_t), const char *data, size_t size)
{
    static char text[256];
    FILE *out = fmemopen(text, sizeof(text), "w");
    CHECK(out != NULL);
    write_fn(out, data, size);
    CHECK(fclose(out) == 0);
    return text;
}

TEST(escape, utf8)
{
    CHECK(utf8_valid("", 0) && utf8_valid("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10));
    CHECK(!utf8_valid("\xc3", 1) && !utf8_valid("\xc0\x80", 2) && !utf8_valid("\xe0\x80\x80", 3));
    CHECK(!utf8_valid("\xed\xa0\x80", 3)); /* a surrogate */
    CHECK(!utf8_valid("\xf4\x90\x80\x80", 4) && !utf8_valid("\xff", 1) && !utf8_valid("\x80", 1));
}

TEST(escape, json)
{
    CHECK_STR(written(json_quoted, "a\"b\\c\n\t\x01\xc3\xa4", 10),
              "\"a\\\"b\\\\c\\n\\t\\u0001\xc3\xa4\"");
    CHECK_STR(written(json_quoted, "\xff\xc3", 2), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_STR(written(json_quoted, "\0", 1), "\"\\u0000\"");
    CHECK_STR(written(json_quoted, "\xc2\x9b\x33\x31m\xc2\xa0", 7), "\"\\u009b31m\xc2\xa0\"");
}

TEST(escape, base64)
{
    CHECK_STR(written(base64_write, "", 0), "");
    CHECK_STR(written(base64_write, "f", 1), "Zg==");
    CHECK_STR(written(base64_write, "fo", 2), "Zm8=");
    CHECK_STR(written(base64_write, "foo", 3), "Zm9v");
    CHECK_STR(written(base64_write, "\xff\xff\xfe", 3), "///+");
}

TEST(escape, nothing_steers_a_terminal)
{
    CHECK_STR(written(text_safe, "a\x1b[31m\n\t\\\xc2\x9b\xff", 12),
              "a\\x1b[31m\\n\\t\\\\\\xc2\\x9b\\xff");
    CHECK_STR(written(text_safe, "\xc3\xa4", 2), "\xc3\xa4");
    CHECK_STR(written(text_safe, "\xe2\x80\xae", 3), "\\xe2\\x80\\xae"); /* right to left */
    CHECK_STR(written(text_safe, "\xe2\x81\xa9", 3), "\\xe2\\x81\\xa9");
    CHECK_STR(written(text_safe, "\xe2\x80\xa6", 3), "\xe2\x80\xa6"); /* an ellipsis */
    char *copy = text_safe_copy("x\ny");
    CHECK_STR(copy, "x\\ny");
    xfree(copy);
}

TEST(names, bounded_and_terminated)
{
    struct names names = {0};
    CHECK(names_list(&names) == NULL);
    for (int i = 0; i < NAMES_MAX; i++)
        CHECK(names_add(&names, "x"));
    CHECK(!names_add(&names, "one too many"));
    CHECK_EQ(names.count, NAMES_MAX);
    CHECK(names_list(&names)[NAMES_MAX] == NULL);
    names_fini(&names);
    CHECK_EQ(names.count, 0);
}
