/* What operators look at: reports of a node, and the incidents that they tell of. Everything here
 * belongs to the loop. */
#ifndef NODE_REPORT_H
#define NODE_REPORT_H

#include <weft/admin.h>

#include "base/list.h"
#include "proto/codec.h"
#include "proto/route.h"

/* ---- Incidents (incident.c) ---- */

#define INCIDENTS_MAX 64u

struct incidents {
    struct list items; /* of struct incident, oldest first */
    unsigned count;
};

void incidents_init(struct incidents *incidents);
void incidents_fini(struct incidents *incidents);
/* Keep it, if it is one. Out of memory keeps nothing. */
void incidents_note(struct incidents *incidents, const weft_event *event, uint64_t wall_ns);
/* A copy; free it with incidents_free. Errors: WEFT_ENOMEM. */
int incidents_copy(const struct incidents *incidents, weft_incident **ret_items, size_t *ret_count);
void incidents_free(weft_incident *items, size_t count);

/* ---- Pieces of a report ---- */

/* Copies that the caller owns. Errors: WEFT_ENOMEM. */
int stats_take(weft_node *node, weft_stats *ret_stats);
/* The links that stand; or (`all`) those in their handshake too, and the book's entries that have
 * none. */
int peers_take(weft_node *node, bool all, weft_peer_info **ret_peers, size_t *ret_count);
/* Those that concern a route; NULL: all. Errors besides: WEFT_ELIMIT, they take more than `max`
 * bytes by route_size; then the rest is not looked at. */
int routes_take(weft_node *node, const struct route *about, size_t max,
                weft_route_info **ret_routes, size_t *ret_count);
#define ROUTE_BYTES_COMMON 32u /* what a row mostly takes on the wire, besides its strings */
size_t route_size(const weft_route_info *route);
void routes_sort(weft_route_info *routes, size_t count);
int book_take(weft_node *node, weft_addrbook **ret_book);

/* Has the one to do with the other? They match either way, or would if the type were another, or
 * one is hashed and its prefix covers the path of the other. */
bool route_concerns(const struct route *a, const struct route *b);

/* ---- Reports (report.c) ---- */

/* Errors: WEFT_EINVAL, WEFT_EROUTE. */
int query_check(const weft_query *query);
void status_free(weft_status *status); /* NULL is ignored */
/* Errors: WEFT_EROUTE, WEFT_ELIMIT (the routes, as above), WEFT_ENOMEM. */
int report_build(weft_node *node, uint32_t parts, const char *route, size_t max_routes_size,
                 weft_report **ret_report);
/* gather.c: add a piece of an answer, as far as `parts` has it. Errors: WEFT_ENOMEM; what was added
 * stays. */
int report_gather(weft_report *report, uint32_t parts, const struct answer_msg *part);

#endif
