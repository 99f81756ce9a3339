/* A report as JSON, the same wherever the programs give one. */
#ifndef CMD_REPORT_JSON_H
#define CMD_REPORT_JSON_H

#include <jansson.h>

#include <weft/admin.h>

/* One object with the members status, peers, routes, addrbook and incidents, those that the report
 * has. Its fields are named as in weft/admin.h, with the unit of times and durations behind: _ns,
 * _ms. Enums are words, drops an object by reason, node ids and schemas hex digits, features a list
 * of words. null stands for what is unknown, not planned, or this node itself (of a route's peer).
 * Numbers over 2^63-1 become that. Bytes that are no UTF-8 become U+FFFD. The caller gives it back
 * with json_decref. NULL: out of memory. */
json_t *report_json(const weft_report *report);

/* A string as above. NULL: out of memory. */
json_t *text_json(const char *text);

/* Its parts alone, for those who watch figures. NULL: out of memory. */
json_t *peer_json(const weft_peer_info *peer);
json_t *route_json(const weft_route_info *route);

#endif
