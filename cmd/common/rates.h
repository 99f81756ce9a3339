/* Rates from two reports of the same node, one later than the other. */
#ifndef CMD_RATES_H
#define CMD_RATES_H

#include <weft/admin.h>

/* What is unknown (not in the earlier report, or counted anew since) is negative. */
#define RATE_UNKNOWN (-1.0)

struct route_rate {
    const weft_route_info *info; /* of the later report */
    double hz;                   /* messages a second */
};

struct peer_rate {
    const weft_peer_info *info;
    double messages_in, messages_out, bytes_in, bytes_out; /* a second */
};

/* Seconds between them by the node's own clock; 0 if either has no status, or time did not pass. */
double report_seconds(const weft_report *before, const weft_report *after);

/* Of two readings of a counter. */
double rate_of(uint64_t before, uint64_t after, double seconds);

/* One for each route and peer of `after`, in its order, into memory that the caller gives back with
 * xfree. `before` may be NULL: all are unknown. */
struct route_rate *route_rates(const weft_report *before, const weft_report *after);
struct peer_rate *peer_rates(const weft_report *before, const weft_report *after);

#endif
