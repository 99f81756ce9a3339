#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MILLION UINT64_C(1000000)

/* The number at the start of *text, in millionths, at most `max` whole. Moves *text behind it.
 * strtod is not used: it takes signs, exponents, hex, infinity and the locale's comma. */
static bool take_number(const char **text, uint64_t max, uint64_t *ret_millionths)
{
    const char *p = *text;
    uint64_t whole = 0, part = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        whole = whole * 10 + (uint64_t)(*p - '0');
        if (whole > max)
            return false;
    }
    if (*p == '.') {
        uint64_t unit = MILLION / 10;
        if (p[1] < '0' || p[1] > '9')
            return false;
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            part += unit * (uint64_t)(*p - '0');
    }
    *text = p;
    *ret_millionths = whole * MILLION + part;
    return true;
}

bool duration_parse(const char *text, uint32_t bare_ms, uint32_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint32_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    uint64_t n;
    uint32_t unit = bare_ms;
    if (!take_number(&text, UINT32_MAX, &n))
        return false;
    if (*text) {
        unit = 0;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
            if (strcmp(text, units[i].unit) == 0)
                unit = units[i].ms;
    }
    if (!unit || n / MILLION > UINT32_MAX / unit)
        return false;
    uint64_t ms = n / MILLION * unit + n % MILLION * unit / MILLION;
    if (ms > UINT32_MAX)
        return false;
    *ret_ms = (uint32_t)ms;
    return true;
}

bool size_parse(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        uint64_t bytes;
    } units[] = {
        {"", 1},         {"B", 1},         {"KB", 1000},       {"KiB", 1 << 10},
        {"MB", 1000000}, {"MiB", 1 << 20}, {"GB", 1000000000}, {"GiB", 1 << 30},
    };
    uint64_t n;
    if (!take_number(&text, UINT64_C(1) << 40, &n))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(text, units[i].unit) != 0)
            continue;
        if (n / MILLION > (UINT64_C(1) << 40) / units[i].bytes)
            return false;
        *ret_bytes = n / MILLION * units[i].bytes + n % MILLION * units[i].bytes / MILLION;
        return true;
    }
    return false;
}

bool count_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count)
{
    uint64_t n = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    if (n < min || n > max)
        return false;
    *ret_count = n;
    return true;
}

bool decimal_parse(const char *text, uint64_t *ret_millionths)
{
    uint64_t n;
    if (!take_number(&text, 1000000000, &n) || *text || n == 0)
        return false;
    *ret_millionths = n;
    return true;
}

const char *duration_format(uint64_t ms, char buf[UNITS_TEXT])
{
    if (ms % 1000)
        snprintf(buf, UNITS_TEXT, "%" PRIu64 "ms", ms);
    else if (ms && ms % 3600000 == 0)
        snprintf(buf, UNITS_TEXT, "%" PRIu64 "h", ms / 3600000);
    else if (ms && ms % 60000 == 0)
        snprintf(buf, UNITS_TEXT, "%" PRIu64 "m", ms / 60000);
    else
        snprintf(buf, UNITS_TEXT, "%" PRIu64 "s", ms / 1000);
    return buf;
}

const char *size_format(uint64_t bytes, char buf[UNITS_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    size_t i = 0;
    for (; bytes && bytes % 1024 == 0 && i < 3; i++)
        bytes /= 1024;
    snprintf(buf, UNITS_TEXT, "%" PRIu64 "%s", bytes, units[i]);
    return buf;
}

/* Three digits, however large: 1.23, 12.3, 123. */
static const char *three_digits(double n, const char *unit, char buf[UNITS_TEXT])
{
    snprintf(buf, UNITS_TEXT, "%.*f%s", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, unit);
    return buf;
}

const char *ns_format(uint64_t ns, char buf[UNITS_TEXT])
{
    uint64_t s = ns / 1000000000;
    if (s >= 120) {
        const char *unit = s < 7200 ? "m" : s < 172800 ? "h" : "d";
        snprintf(buf, UNITS_TEXT, "%" PRIu64 "%s",
                 s / (s < 7200     ? 60
                      : s < 172800 ? 3600
                                   : 86400),
                 unit);
        return buf;
    }
    if (ns < 1000)
        snprintf(buf, UNITS_TEXT, "%" PRIu64 "ns", ns);
    else if (ns < 999500)
        three_digits((double)ns / 1e3, "us", buf);
    else if (ns < 999500000)
        three_digits((double)ns / 1e6, "ms", buf);
    else
        three_digits((double)ns / 1e9, "s", buf);
    return buf;
}

const char *amount_format(double n, char buf[UNITS_TEXT])
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
    size_t i = 0;
    for (; n >= 999.5 && i < 6; i++)
        n /= 1000;
    if (i == 0 && n == (double)(uint64_t)n)
        snprintf(buf, UNITS_TEXT, "%.0f", n);
    else
        three_digits(n, units[i], buf);
    return buf;
}

const char *time_format(uint64_t ns, int digits, char buf[TIME_TEXT])
{
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    char date[24] = "", part[12] = "";
    if (gmtime_r(&seconds, &tm))
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    if (digits == 3)
        snprintf(part, sizeof(part), ".%03u", (unsigned)(ns % 1000000000 / 1000000));
    else if (digits == 9)
        snprintf(part, sizeof(part), ".%09u", (unsigned)(ns % 1000000000));
    snprintf(buf, TIME_TEXT, "%s%sZ", date, part);
    return buf;
}

/* The clock time behind a date: "", "T12:30", "T12:30:15" or with a fraction of a second, and "Z".
 */
static bool take_clock(const char *text, struct tm *tm, uint64_t *ret_ns)
{
    const char *rest = text;
    uint64_t unit = 100000000;
    if (*rest == 'T' || *rest == ' ') {
        rest = strptime(rest + 1, "%H:%M", tm);
        if (rest && *rest == ':')
            rest = strptime(rest + 1, "%S", tm);
        if (rest && *rest == '.') {
            for (rest++; *rest >= '0' && *rest <= '9' && unit; rest++, unit /= 10)
                *ret_ns += unit * (uint64_t)(*rest - '0');
        }
    }
    return rest && (!*rest || strcmp(rest, "Z") == 0);
}

bool time_parse(const char *text, uint64_t *ret_ns)
{
    struct tm tm = {0}, back;
    uint64_t part = 0;
    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    if (!rest || !take_clock(rest, &tm, &part))
        return false;
    int day = tm.tm_mday;
    time_t seconds = timegm(&tm);
    if (seconds < 0 || (uint64_t)seconds > INT64_MAX / 1000000000 || !gmtime_r(&seconds, &back) ||
        back.tm_mday != day)
        return false;
    *ret_ns = (uint64_t)seconds * 1000000000 + part;
    return true;
}
