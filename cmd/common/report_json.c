/* Tables of fields say what stands in each struct and how it is written; one function walks them.
 *
 * Out of memory at any place, the object under way is given back and the whole is NULL: nobody
 * gets a report with a hole in it. */
#include "report_json.h"

#include <stdio.h>
#include <string.h>

#include "escape.h"
#include "memory.h"
#include "words.h"

enum kind {
    TEXT,      /* string; NULL: null */
    BOOL,      /* bool */
    U32,       /* uint32_t */
    U64,       /* uint64_t */
    SIZE,      /* size_t */
    PLANNED,   /* uint64_t; UINT64_MAX: null */
    PLANNED_0, /* uint64_t; 0: null */
    FACTOR,    /* float */
    SCHEMA,    /* uint64_t in hex; 0: null */
    NODE_ID,   /* 16 bytes in hex; zeros: null */
    FEATURES,  /* uint64_t, a bit a word */
    DROPS,     /* WEFT_DROP_REASONS uint64_t */
    ROLE,      /* enums, as words */
    LEVEL,
    ORIGIN,
    EVENT,
    ERROR /* int: the error's name; 0: null */
};

struct field {
    const char *name;
    enum kind kind;
    size_t at; /* offset in the struct */
};

#define AT(type, member) offsetof(type, member)
#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

static const struct field status_fields[] = {
    {"url", TEXT, AT(weft_status, url)},
    {"path", TEXT, AT(weft_status, path)},
    {"agent", TEXT, AT(weft_status, agent)},
    {"version", TEXT, AT(weft_status, version)},
    {"network", TEXT, AT(weft_status, network)},
    {"listen", TEXT, AT(weft_status, listen)},
    {"addrbook", TEXT, AT(weft_status, addrbook)},
    {"node_id", NODE_ID, AT(weft_status, node_id)},
    {"role", ROLE, AT(weft_status, role)},
    {"log_level", LEVEL, AT(weft_status, log_level)},
    {"pid", U32, AT(weft_status, pid)},
    {"now_ns", U64, AT(weft_status, now)},
    {"started_ns", U64, AT(weft_status, started)},
    {"max_frame", U32, AT(weft_status, max_frame)},
    {"max_peers", U32, AT(weft_status, max_peers)},
    {"max_routes", U32, AT(weft_status, max_routes)},
    {"outbox", U64, AT(weft_status, outbox)},
};

static const struct field stats_fields[] = {
    {"uptime_ms", U64, AT(weft_stats, uptime_ms)},
    {"peers", U32, AT(weft_stats, peers)},
    {"intents", U32, AT(weft_stats, intents)},
    {"interests", U32, AT(weft_stats, interests)},
    {"remote_intents", U32, AT(weft_stats, remote_intents)},
    {"remote_interests", U32, AT(weft_stats, remote_interests)},
    {"messages_in", U64, AT(weft_stats, messages_in)},
    {"messages_out", U64, AT(weft_stats, messages_out)},
    {"bytes_in", U64, AT(weft_stats, bytes_in)},
    {"bytes_out", U64, AT(weft_stats, bytes_out)},
    {"delivered", U64, AT(weft_stats, delivered)},
    {"relayed", U64, AT(weft_stats, relayed)},
    {"dropped", DROPS, AT(weft_stats, dropped)},
    {"dials", U64, AT(weft_stats, dials)},
    {"dials_failed", U64, AT(weft_stats, dials_failed)},
    {"refused", U64, AT(weft_stats, refused)},
    {"outbox_bytes", SIZE, AT(weft_stats, outbox_bytes)},
};

static const struct field peer_fields[] = {
    {"url", TEXT, AT(weft_peer_info, url)},
    {"path", TEXT, AT(weft_peer_info, path)},
    {"agent", TEXT, AT(weft_peer_info, agent)},
    {"state", TEXT, AT(weft_peer_info, state)},
    {"node_id", NODE_ID, AT(weft_peer_info, node_id)},
    {"role", ROLE, AT(weft_peer_info, role)},
    {"inbound", BOOL, AT(weft_peer_info, inbound)},
    {"base", BOOL, AT(weft_peer_info, base)},
    {"features", FEATURES, AT(weft_peer_info, features)},
    {"uptime_ms", U64, AT(weft_peer_info, uptime_ms)},
    {"rtt_ns", PLANNED_0, AT(weft_peer_info, rtt_ns)},
    {"jitter_ns", U64, AT(weft_peer_info, jitter_ns)},
    {"messages_in", U64, AT(weft_peer_info, messages_in)},
    {"messages_out", U64, AT(weft_peer_info, messages_out)},
    {"bytes_in", U64, AT(weft_peer_info, bytes_in)},
    {"bytes_out", U64, AT(weft_peer_info, bytes_out)},
    {"outbox_bytes", SIZE, AT(weft_peer_info, outbox_bytes)},
    {"dropped", DROPS, AT(weft_peer_info, dropped)},
    {"last_error", TEXT, AT(weft_peer_info, last_error)},
    {"next_dial_ms", PLANNED, AT(weft_peer_info, next_dial_ms)},
    {"failed_attempts", U32, AT(weft_peer_info, failed_attempts)},
    {"persistent", BOOL, AT(weft_peer_info, persistent)},
};

static const struct field route_fields[] = {
    {"route", TEXT, AT(weft_route_info, route)},
    {"peer", TEXT, AT(weft_route_info, peer)},
    {"via", TEXT, AT(weft_route_info, via)},
    {"intent", BOOL, AT(weft_route_info, intent)},
    {"hops", U32, AT(weft_route_info, hops)},
    {"matches", U32, AT(weft_route_info, matches)},
    {"messages", U64, AT(weft_route_info, messages)},
    {"dropped", DROPS, AT(weft_route_info, dropped)},
    {"schema", SCHEMA, AT(weft_route_info, schema)},
};

static const struct field entry_fields[] = {
    {"peer", TEXT, AT(weft_addrbook_entry, peer)},
    {"linked", BOOL, AT(weft_addrbook_entry, linked)},
    {"dialing", BOOL, AT(weft_addrbook_entry, dialing)},
    {"next_dial_ns", PLANNED_0, AT(weft_addrbook_entry, next_dial_ns)},
    {"persistent", BOOL, AT(weft_addrbook_entry, persistent)},
    {"origin", ORIGIN, AT(weft_addrbook_entry, origin)},
    {"in_config", BOOL, AT(weft_addrbook_entry, in_config)},
    {"source", TEXT, AT(weft_addrbook_entry, source)},
    {"node_id", NODE_ID, AT(weft_addrbook_entry, node_id)},
    {"attempts", U32, AT(weft_addrbook_entry, attempts)},
    {"failed_attempts", U32, AT(weft_addrbook_entry, failed_attempts)},
    {"max_attempts", U32, AT(weft_addrbook_entry, max_attempts)},
    {"backoff_ns", U64, AT(weft_addrbook_entry, backoff_ns)},
    {"default_backoff_ns", U64, AT(weft_addrbook_entry, default_backoff_ns)},
    {"max_backoff_ns", U64, AT(weft_addrbook_entry, max_backoff_ns)},
    {"multiplier", FACTOR, AT(weft_addrbook_entry, multiplier)},
    {"last_success_ns", U64, AT(weft_addrbook_entry, last_success)},
    {"last_error", TEXT, AT(weft_addrbook_entry, last_error)},
    {"banned_until_ns", U64, AT(weft_addrbook_entry, banned_until)},
    {"added_ns", U64, AT(weft_addrbook_entry, added)},
};

static const struct field incident_fields[] = {
    {"time_ns", U64, AT(weft_incident, time)}, {"count", U32, AT(weft_incident, count)},
    {"type", EVENT, AT(weft_incident, type)},  {"error", ERROR, AT(weft_incident, error)},
    {"peer", TEXT, AT(weft_incident, peer)},   {"route", TEXT, AT(weft_incident, route)},
    {"text", TEXT, AT(weft_incident, text)},
};

/* ---- Values ------------------------------------------------------------------------------------
 */

json_t *text_json(const char *text)
{
    size_t size = strlen(text);
    if (utf8_valid(text, size))
        return json_stringn_nocheck(text, size);
    char *valid = utf8_copy(text, size);
    json_t *value = json_string(valid);
    xfree(valid);
    return value;
}

static json_t *number(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *drops(const uint64_t *dropped)
{
    json_t *object = json_object();
    for (int i = 0; object && i < WEFT_DROP_REASONS; i++) {
        if (json_object_set_new(object, drop_word(i), number(dropped[i])) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *features(uint64_t bits)
{
    json_t *list = json_array();
    for (unsigned i = 0; list && i < 64; i++) {
        if (!(bits >> i & 1))
            continue;
        const char *word = feature_word(i);
        if (json_array_append_new(list, *word ? json_string(word) : json_sprintf("bit %u", i))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *node_id(const uint8_t *id)
{
    char text[NODE_ID_TEXT];
    return *node_id_format(id, text) ? json_string(text) : json_null();
}

/* A damaged peer may send infinity, which JSON does not know. */
static json_t *factor(float f)
{
    return json_real(f >= 0 && f < 1e6f ? (double)f : 0);
}

static json_t *error(int code)
{
    return code ? json_string(weft_err_name(code)) : json_null();
}

static json_t *long_value(enum kind kind, uint64_t n)
{
    switch (kind) {
    case PLANNED:
        return n == UINT64_MAX ? json_null() : number(n);
    case PLANNED_0:
        return n ? number(n) : json_null();
    case SCHEMA:
        return n ? json_sprintf("%016llx", (unsigned long long)n) : json_null();
    case FEATURES:
        return features(n);
    default:
        return number(n);
    }
}

static json_t *word_value(enum kind kind, int n)
{
    switch (kind) {
    case ROLE:
        return json_string(role_word(n));
    case LEVEL:
        return json_string(level_word(n));
    case ORIGIN:
        return json_string(origin_word(n));
    case EVENT:
        return json_string(event_word(n));
    default:
        return error(n);
    }
}

static json_t *value(enum kind kind, const void *at)
{
    switch (kind) {
    case TEXT: {
        const char *text = *(const char *const *)at;
        return text ? text_json(text) : json_null();
    }
    case BOOL:
        return json_boolean(*(const bool *)at);
    case U32:
        return number(*(const uint32_t *)at);
    case SIZE:
        return number(*(const size_t *)at);
    case FACTOR:
        return factor(*(const float *)at);
    case NODE_ID:
        return node_id(at);
    case DROPS:
        return drops(at);
    case U64:
    case PLANNED:
    case PLANNED_0:
    case SCHEMA:
    case FEATURES:
        return long_value(kind, *(const uint64_t *)at);
    default:
        return word_value(kind, *(const int *)at);
    }
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

static json_t *object_of(const struct field *fields, size_t n, const void *item)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < n; i++) {
        json_t *v = value(fields[i].kind, (const char *)item + fields[i].at);
        if (json_object_set_new(object, fields[i].name, v) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *list_of(const struct field *fields, size_t n_fields, const void *items, size_t n,
                       size_t size)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        json_t *item = object_of(fields, n_fields, (const char *)items + i * size);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

#define OBJECT(fields, item) object_of(fields, LENGTH(fields), item)
#define LIST(fields, items, n) list_of(fields, LENGTH(fields), items, n, sizeof(*(items)))

json_t *peer_json(const weft_peer_info *peer)
{
    return OBJECT(peer_fields, peer);
}

json_t *route_json(const weft_route_info *route)
{
    return OBJECT(route_fields, route);
}

static json_t *status_json(const weft_status *status)
{
    json_t *object = OBJECT(status_fields, status);
    if (object && json_object_set_new(object, "stats", OBJECT(stats_fields, &status->stats)) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* Is the part there, and did it not get in? */
static bool failed(json_t *report, bool there, const char *name, json_t *part)
{
    return there && json_object_set_new(report, name, part) != 0;
}

json_t *report_json(const weft_report *r)
{
    json_t *o = json_object();
    if (!o)
        return NULL;
    bool status = r->status, peers = r->peers, routes = r->routes, book = r->book;
    bool incidents = r->incidents;
    if (failed(o, status, "status", status ? status_json(r->status) : NULL) ||
        failed(o, peers, "peers", peers ? LIST(peer_fields, r->peers, r->n_peers) : NULL) ||
        failed(o, routes, "routes", routes ? LIST(route_fields, r->routes, r->n_routes) : NULL) ||
        failed(o, book, "addrbook",
               book ? LIST(entry_fields, r->book->entries, r->book->count) : NULL) ||
        failed(o, incidents, "incidents",
               incidents ? LIST(incident_fields, r->incidents, r->n_incidents) : NULL)) {
        json_decref(o);
        return NULL;
    }
    return o;
}
