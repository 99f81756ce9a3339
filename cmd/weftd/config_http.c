/* http: {listen: [127.0.0.1:7480, unix:/run/weft/http.sock], names: [robot.lan], remote: false}
 *
 * Without `listen` it is HTTP_DEFAULT_ADDRESS. An address that other hosts reach needs `remote`,
 * which is asked for once all of the mapping is read, at the address's own place. */
#include "config_http.h"

#include <string.h>

#include "config.h"
#include "http_address.h"

#define LISTEN_MAX 16 /* HTTP_LISTENERS_MAX in http.h */
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Each text of a list to `take`, which says whether it is as `expected`. */
static void read_texts(struct reader *r, const yaml_node_t *v, const char *key,
                       const char *expected, bool (*take)(struct names *names, const char *text),
                       struct names *names)
{
    if (v->type != YAML_SEQUENCE_NODE ||
        v->data.sequence.items.top - v->data.sequence.items.start > LISTEN_MAX) {
        char list[160];
        snprintf(list, sizeof(list), "a list of at most %d, each %s", LISTEN_MAX, expected);
        read_unexpected(r, v, list);
        return;
    }
    for (const int *i = v->data.sequence.items.start; i < v->data.sequence.items.top; i++) {
        const yaml_node_t *item = yaml_document_get_node(&r->doc, *i);
        snprintf(r->place, sizeof(r->place), "http.%s[%zu]", key,
                 (size_t)(i - v->data.sequence.items.start));
        if (item->type != YAML_SCALAR_NODE ||
            strlen((const char *)item->data.scalar.value) != item->data.scalar.length ||
            !take(names, (const char *)item->data.scalar.value))
            read_unexpected(r, item, expected);
    }
}

static bool take_address(struct names *names, const char *text)
{
    struct http_address address;
    return http_address_parse(text, &address) && names_add(names, text);
}

static bool take_name(struct names *names, const char *text)
{
    return http_name_valid(text) && names_add(names, text);
}

static void read_addresses(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    read_texts(r, v, "listen", HTTP_ADDRESS_EXPECTED, take_address, out);
}

static void read_names(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    read_texts(r, v, "names", "a host name such as robot.lan", take_name, out);
}

static const struct field http_fields[] = {
    {"listen", read_addresses, offsetof(struct config_http, listen), 0, 0, NULL, NULL},
    {"names", read_names, offsetof(struct config_http, names), 0, 0, NULL, NULL},
    {"remote", read_bool, offsetof(struct config_http, remote), 0, 0, NULL, NULL},
};

/* The value of `listen`, or NULL. */
static const yaml_node_t *listen_of(struct reader *r, const yaml_node_t *mapping)
{
    for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start;
         p < mapping->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        if (key->type == YAML_SCALAR_NODE &&
            strcmp((const char *)key->data.scalar.value, "listen") == 0)
            return yaml_document_get_node(&r->doc, p->value);
    }
    return NULL;
}

/* `list` has an item for each address. */
static void require_remote(struct reader *r, const yaml_node_t *list,
                           const struct config_http *http)
{
    for (size_t i = 0; i < http->listen.count && !http->remote; i++) {
        const char *text = http->listen.items[i];
        struct http_address address;
        if (!http_address_parse(text, &address) || address.local)
            continue;
        const yaml_node_t *item =
            yaml_document_get_node(&r->doc, list->data.sequence.items.start[i]);
        problems_add(r->problems, item->start_mark.line + 1, item->start_mark.column + 1,
                     "http.listen[%zu]: %s can be reached from other hosts, and there is neither "
                     "encryption nor a password; add \"remote: true\" if that is meant, or listen "
                     "on " HTTP_DEFAULT_ADDRESS,
                     i, text);
    }
}

void read_http(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    struct config_http *http = out;
    size_t before = r->problems->total;
    if (v->type != YAML_MAPPING_NODE) {
        read_unexpected(r, v,
                        "a mapping of listen, names and remote such as "
                        "{listen: [" HTTP_DEFAULT_ADDRESS "]}");
        return;
    }
#ifndef WEFTD_HTTP
    problems_add(r->problems, v->start_mark.line + 1, v->start_mark.column + 1,
                 "http: this weftd was built without the HTTP listener; build it with meson's "
                 "-Dhttp=enabled, or remove this setting");
#endif
    read_mapping(r, http_fields, COUNT_OF(http_fields), v, "http", http);
    if (r->problems->total != before)
        return;
    const yaml_node_t *list = listen_of(r, v);
    if (list)
        require_remote(r, list, http);
    else
        names_add(&http->listen, HTTP_DEFAULT_ADDRESS);
}
