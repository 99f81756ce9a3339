/* An item of the later report is looked up in the earlier one, sorted by what makes it the same: a
 * route by its text, kind, declarer and link; a peer by URL and node id. Where several are the same
 * (two clients without a name), no rate can be told, and the first stands for all of them. */
#include "rates.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

double report_seconds(const weft_report *before, const weft_report *after)
{
    if (!before || !before->status || !after->status || after->status->now <= before->status->now)
        return 0;
    return (double)(after->status->now - before->status->now) / 1e9;
}

double rate_of(uint64_t before, uint64_t after, double seconds)
{
    return seconds > 0 && after >= before ? (double)(after - before) / seconds : RATE_UNKNOWN;
}

/* An array of pointers to the items, sorted. */
static const void **sorted(const void *items, size_t n, size_t size,
                           int (*compare)(const void *, const void *))
{
    const void **list = xresize(NULL, n * sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = (const char *)items + i * size;
    qsort(list, n, sizeof(*list), compare);
    return list;
}

/* ---- Routes ------------------------------------------------------------------------------------
 */

static int by_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int same_route(const void *a, const void *b)
{
    const weft_route_info *x = *(const weft_route_info *const *)a;
    const weft_route_info *y = *(const weft_route_info *const *)b;
    int order = by_text(x->route, y->route);
    order = order ? order : (int)x->intent - (int)y->intent;
    order = order ? order : by_text(x->peer, y->peer);
    return order ? order : by_text(x->via, y->via);
}

struct route_rate *route_rates(const weft_report *before, const weft_report *after)
{
    double seconds = report_seconds(before, after);
    size_t n = before ? before->n_routes : 0;
    struct route_rate *rates = xresize(NULL, after->n_routes * sizeof(*rates));
    const void **list = sorted(n ? before->routes : NULL, n, sizeof(*after->routes), same_route);
    for (size_t i = 0; i < after->n_routes; i++) {
        const weft_route_info *now = &after->routes[i];
        const weft_route_info *const *then = bsearch(&now, list, n, sizeof(*list), same_route);
        rates[i] = (struct route_rate){
            now, then ? rate_of((*then)->messages, now->messages, seconds) : RATE_UNKNOWN};
    }
    xfree(list);
    return rates;
}

/* ---- Peers -------------------------------------------------------------------------------------
 */

static int same_peer(const void *a, const void *b)
{
    const weft_peer_info *x = *(const weft_peer_info *const *)a;
    const weft_peer_info *y = *(const weft_peer_info *const *)b;
    int order = strcmp(x->url, y->url);
    return order ? order : memcmp(x->node_id, y->node_id, sizeof(x->node_id));
}

static struct peer_rate peer_rate(const weft_peer_info *then, const weft_peer_info *now,
                                  double seconds)
{
    if (!then || now->uptime_ms < then->uptime_ms) /* a new link counts from 0 */
        return (struct peer_rate){now, RATE_UNKNOWN, RATE_UNKNOWN, RATE_UNKNOWN, RATE_UNKNOWN};
    return (struct peer_rate){
        .info = now,
        .messages_in = rate_of(then->messages_in, now->messages_in, seconds),
        .messages_out = rate_of(then->messages_out, now->messages_out, seconds),
        .bytes_in = rate_of(then->bytes_in, now->bytes_in, seconds),
        .bytes_out = rate_of(then->bytes_out, now->bytes_out, seconds),
    };
}

struct peer_rate *peer_rates(const weft_report *before, const weft_report *after)
{
    double seconds = report_seconds(before, after);
    size_t n = before ? before->n_peers : 0;
    struct peer_rate *rates = xresize(NULL, after->n_peers * sizeof(*rates));
    const void **list = sorted(n ? before->peers : NULL, n, sizeof(*after->peers), same_peer);
    for (size_t i = 0; i < after->n_peers; i++) {
        const weft_peer_info *now = &after->peers[i];
        const weft_peer_info *const *then = bsearch(&now, list, n, sizeof(*list), same_peer);
        rates[i] = peer_rate(then ? *then : NULL, now, seconds);
    }
    xfree(list);
    return rates;
}
