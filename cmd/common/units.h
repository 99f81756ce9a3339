/* Numbers as people write them: durations ("10s", "500ms"), sizes ("4MiB"), counts, and back. */
#ifndef CMD_UNITS_H
#define CMD_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the parsers below accept, to be quoted in messages. */
#define DURATION_EXPECTED "a duration such as 500ms, 10s, 2m or 1h"
#define SIZE_EXPECTED "a size such as 65536, 64KiB, 4MiB or 1GB"

/* A duration: digits, perhaps a fraction, and a unit (ms, s, m, h). A number without a unit counts
 * in `bare_ms` milliseconds; 0 demands a unit. Fractions of a millisecond are cut off. False: it is
 * none, or longer than UINT32_MAX ms (49 days); the output is untouched. */
bool duration_parse(const char *text, uint32_t bare_ms, uint32_t *ret_ms);

/* A size in bytes: digits, perhaps a fraction, and a unit (B, KB, KiB, MB, MiB, GB, GiB, in any
 * case) or none. */
bool size_parse(const char *text, uint64_t *ret_bytes);

/* A decimal number, digits only, from min to max. */
bool count_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count);

/* A positive decimal number such as 0.5 or 1000, in millionths; at most 10^9. */
bool decimal_parse(const char *text, uint64_t *ret_millionths);

/* "500ms", "90s", "2m"; "4MiB", "1000B". Exact, so that they parse back to the same value. */
#define UNITS_TEXT 32
const char *duration_format(uint64_t ms, char buf[UNITS_TEXT]);
const char *size_format(uint64_t bytes, char buf[UNITS_TEXT]);

/* For people, three digits: a length of time as "850ns", "1.23ms", "3.45s", "12m", "5h", "9d" (from
 * two minutes, hours, days on cut to whole ones); a number as "999", "1.23k", "45.6M". */
const char *ns_format(uint64_t ns, char buf[UNITS_TEXT]);
const char *amount_format(double n, char buf[UNITS_TEXT]);

/* "2026-01-31T12:00:00.123Z" from ns since the epoch, with `digits` (0, 3 or 9) of a second. */
#define TIME_TEXT 40
const char *time_format(uint64_t ns, int digits, char buf[TIME_TEXT]);

/* Back: a date of years up to 2262, UTC, such as 2026-01-31, 2026-01-31T12:00 or
 * 2026-01-31T12:00:00.123Z. False: it is none; the output is untouched. */
#define TIME_EXPECTED "a time such as 2026-01-31T12:00:00Z or 2026-01-31"
bool time_parse(const char *text, uint64_t *ret_ns);

#endif
