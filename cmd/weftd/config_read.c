/* The configuration file: the file is read whole (it may have a MiB), libyaml makes a document of
 * it, and the tables below say what may stand in it. Syntax errors end the reading, since what
 * follows them cannot be told; all others are gathered.
 *
 *     top ─┬─ self, advertise, network, path, addrbook, role, allow_base, linger, pid_file
 *          ├─ log: LEVEL | {level, format}
 *          ├─ access: {info, control}
 *          ├─ listen: [URL …]
 *          ├─ peers:  [URL | {url, persistent, max_backoff, backoff, multiplier, max_attempts} …]
 *          ├─ http:   {listen, names, remote} (config_http.c)
 *          └─ limits: {max_frame, peers, routes, outbox} */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/memory.h"
#include "../common/units.h"
#include "config.h"
#include "config_http.h"
#include "yaml_fields.h"

#define FILE_MAX (1024 * 1024)
#define DAY_MS 86400000
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct choice roles[] = {
    {"auto", WEFT_ROLE_AUTO},
    {"peer", WEFT_ROLE_PEER},
    {"client", WEFT_ROLE_CLIENT},
    {"leaf", WEFT_ROLE_LEAF},
    {NULL, 0},
};

static const struct choice levels[] = {
    {"error", WEFT_LOG_ERROR},
    {"warn", WEFT_LOG_WARN},
    {"info", WEFT_LOG_INFO},
    {"debug", WEFT_LOG_DEBUG},
    {NULL, 0},
};

static const struct choice formats[] = {
    {"auto", LOG_AUTO}, {"text", LOG_TEXT}, {"json", LOG_JSON}, {"journal", LOG_JOURNAL}, {NULL, 0},
};

static const struct choice accesses[] = {
    {"none", WEFT_ACCESS_NONE},
    {"unix", WEFT_ACCESS_UNIX},
    {"local", WEFT_ACCESS_LOCAL},
    {"any", WEFT_ACCESS_ANY},
    {NULL, 0},
};

static bool choose(const struct choice *choices, const char *name, uint64_t *ret_value)
{
    for (const struct choice *c = choices; c->name; c++) {
        if (strcmp(c->name, name) == 0) {
            *ret_value = c->value;
            return true;
        }
    }
    return false;
}

static const char *name_of(const struct choice *choices, uint64_t value)
{
    for (const struct choice *c = choices; c->name; c++)
        if (c->value == value)
            return c->name;
    return "?";
}

bool config_set_log(struct config *config, const char *level)
{
    return choose(levels, level, &config->log);
}

bool config_set_log_format(struct config *config, const char *format)
{
    return choose(formats, format, &config->log_format);
}

const char *config_level_name(uint64_t level)
{
    return name_of(levels, level);
}

const char *config_format_name(uint64_t format)
{
    return name_of(formats, format);
}

const char *config_access_name(uint64_t access)
{
    return name_of(accesses, access);
}

/* ---- Lists and nested mappings --------------------------------------------------------------- */

static void read_multiplier(struct reader *r, const struct field *f, const yaml_node_t *v,
                            void *out)
{
    uint64_t millionths;
    const char *text = v->type == YAML_SCALAR_NODE ? (const char *)v->data.scalar.value : "";
    if (decimal_parse(text, &millionths) && millionths >= f->min && millionths <= f->max)
        *(float *)out = (float)millionths / 1e6f;
    else
        read_unexpected(r, v, "a number from 1 to 10, such as 1.5");
}

static void read_attempts(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    uint64_t n = *(uint32_t *)out;
    read_count(r, f, v, &n);
    *(uint32_t *)out = (uint32_t)n;
}

#define PEER(key, read, member, ...)                                                               \
    {                                                                                              \
        key, read, offsetof(struct config_peer, member), __VA_ARGS__                               \
    }

static const struct field peer_fields[] = {
    PEER("url", read_url, url, 0, 0, NULL, NULL),
    PEER("persistent", read_bool, dial.persistent, 0, 0, NULL, NULL),
    PEER("backoff", read_duration, dial.backoff_ms, 100, DAY_MS, NULL, NULL),
    PEER("max_backoff", read_duration, dial.max_backoff_ms, 100, DAY_MS, NULL, NULL),
    PEER("multiplier", read_multiplier, dial.multiplier, 1000000, 10000000, NULL, NULL),
    PEER("max_attempts", read_attempts, dial.max_attempts, 1, UINT32_MAX, NULL, NULL),
};

/* One of peers: a URL, or a mapping that has one. A peer without a valid URL is dropped; the
 * problem has been noted. */
static void read_peer(struct reader *r, const yaml_node_t *node, size_t index,
                      struct config_peer *ret_peer)
{
    char prefix[32];
    size_t before = r->problems->total;
    snprintf(prefix, sizeof(prefix), "peers[%zu]", index);
    snprintf(r->place, sizeof(r->place), "%s", prefix);
    weft_dial_options_init(&ret_peer->dial);
    if (node->type != YAML_MAPPING_NODE) {
        const char *url = read_url_text(r, node);
        if (url)
            xreplace(&ret_peer->url, url);
        return;
    }
    read_mapping(r, peer_fields, COUNT_OF(peer_fields), node, prefix, ret_peer);
    snprintf(r->place, sizeof(r->place), "%s", prefix);
    if (!ret_peer->url && r->problems->total == before)
        problems_add(r->problems, node->start_mark.line + 1, node->start_mark.column + 1,
                     "%s: the key url is missing; add it, as in {url: tcp://10.0.0.2:7400/arm}",
                     prefix);
    else if (ret_peer->dial.max_backoff_ms < ret_peer->dial.backoff_ms)
        problems_add(r->problems, node->start_mark.line + 1, node->start_mark.column + 1,
                     "%s: max_backoff is shorter than backoff; raise it or lower backoff", prefix);
}

/* Is the node a list of at most NAMES_MAX? A problem if not. */
static bool is_list(struct reader *r, const yaml_node_t *v, const char *expected)
{
    if (v->type == YAML_SEQUENCE_NODE &&
        v->data.sequence.items.top - v->data.sequence.items.start <= NAMES_MAX)
        return true;
    read_unexpected(r, v, expected);
    return false;
}

static void read_peers(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    struct config *config = out;
    if (!is_list(r, v, "a list of at most 4096 peer URLs, one a line after \"- \""))
        return;
    for (const int *i = v->data.sequence.items.start; i < v->data.sequence.items.top; i++) {
        struct config_peer peer = {0};
        read_peer(r, yaml_document_get_node(&r->doc, *i),
                  (size_t)(i - v->data.sequence.items.start), &peer);
        if (!peer.url || config->peer_count == NAMES_MAX) {
            xfree(peer.url);
            continue;
        }
        config->peers = xresize(config->peers, (config->peer_count + 1) * sizeof(*config->peers));
        config->peers[config->peer_count++] = peer;
    }
}

static void read_listen(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    struct names *names = out;
    if (!is_list(r, v, "a list of at most 4096 URLs to listen on, one a line after \"- \""))
        return;
    for (const int *i = v->data.sequence.items.start; i < v->data.sequence.items.top; i++) {
        snprintf(r->place, sizeof(r->place), "listen[%zu]",
                 (size_t)(i - v->data.sequence.items.start));
        const char *url = read_url_text(r, yaml_document_get_node(&r->doc, *i));
        if (url)
            names_add(names, url);
    }
}

#define CONFIG(key, read, member, ...)                                                             \
    {                                                                                              \
        key, read, offsetof(struct config, member), __VA_ARGS__                                    \
    }
#define MIB (UINT64_C(1) << 20)

static const struct field limit_fields[] = {
    CONFIG("max_frame", read_size, max_frame, 64 * 1024, 64 * MIB, NULL, NULL),
    CONFIG("peers", read_count, max_peers, 1, 65535, NULL, NULL),
    CONFIG("routes", read_count, max_routes, 1, 100000000, NULL, NULL),
    CONFIG("outbox", read_size, outbox, 64 * 1024, 4096 * MIB, NULL, NULL),
};

static void read_limits(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    if (v->type == YAML_MAPPING_NODE)
        read_mapping(r, limit_fields, COUNT_OF(limit_fields), v, "limits", out);
    else
        read_unexpected(r, v, "a mapping of max_frame, peers, routes and outbox");
}

static const struct field access_fields[] = {
    CONFIG("info", read_choice, info, 0, 0, accesses, "none, unix, local or any"),
    CONFIG("control", read_choice, control, 0, 0, accesses, "none, unix, local or any"),
};

static void read_access(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    if (v->type == YAML_MAPPING_NODE)
        read_mapping(r, access_fields, COUNT_OF(access_fields), v, "access", out);
    else
        read_unexpected(r, v, "a mapping of info and control");
}

static const struct field log_fields[] = {
    CONFIG("level", read_choice, log, 0, 0, levels, "error, warn, info or debug"),
    CONFIG("format", read_choice, log_format, 0, 0, formats, "auto, text, json or journal"),
};

/* The level alone, or both. */
static void read_log(struct reader *r, const struct field *f, const yaml_node_t *v, void *out)
{
    if (v->type == YAML_MAPPING_NODE)
        read_mapping(r, log_fields, COUNT_OF(log_fields), v, "log", out);
    else
        read_choice(r, f, v, &((struct config *)out)->log);
}

/* listen's target is its list; those with offset 0 fill more than one member and get the whole. */
static const struct field top_fields[] = {
    CONFIG("self", read_url, self, 0, 0, NULL, NULL),
    CONFIG("network", read_string, network, 0, 0, NULL, NULL),
    CONFIG("advertise", read_url, advertise, 0, 0, NULL, NULL),
    CONFIG("listen", read_listen, listen, 0, 0, NULL, NULL),
    {"peers", read_peers, 0, 0, 0, NULL, NULL},
    CONFIG("addrbook", read_string, addrbook, 0, 0, NULL, NULL),
    {"limits", read_limits, 0, 0, 0, NULL, NULL},
    CONFIG("linger", read_duration, linger_ms, 0, 3600000, NULL, NULL),
    {"log", read_log, 0, 0, 0, levels, "error, warn, info or debug"},
    {"access", read_access, 0, 0, 0, NULL, NULL},
    CONFIG("pid_file", read_string, pid_file, 0, 0, NULL, NULL),
    CONFIG("path", read_string, path, 0, 0, NULL, NULL),
    CONFIG("role", read_choice, role, 0, 0, roles, "auto, peer, client or leaf"),
    CONFIG("allow_base", read_bool, allow_base, 0, 0, NULL, NULL),
    CONFIG("http", read_http, http, 0, 0, NULL, NULL),
};
_Static_assert(COUNT_OF(top_fields) <= FIELDS_MAX, "raise FIELDS_MAX");

/* ---- The file -------------------------------------------------------------------------------- */

static void syntax_problem(const yaml_parser_t *parser, struct problems *problems)
{
    const char *what = parser->problem ? parser->problem : "it cannot be read";
    bool token = strstr(what, "cannot start any token") || strstr(what, "tab character");
    size_t line = parser->problem_mark.line, column = parser->problem_mark.column;
    if (parser->error == YAML_READER_ERROR)
        problems_add(problems, 1, 1, "not valid YAML: %s at byte %zu; the file must be UTF-8 text",
                     what, parser->problem_offset);
    else
        problems_add(problems, line + 1, column + 1, "not valid YAML: %s%s%s; %s", what,
                     parser->context ? " " : "", parser->context ? parser->context : "",
                     token ? "indent with spaces, not tabs, and quote values that begin with one "
                             "of @ ` % & * ! |"
                           : "compare the indentation and the brackets with the lines above");
}

/* The document must be one mapping, and the only one. */
static void read_document(struct reader *r, yaml_parser_t *parser, struct config *config)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc);
    if (!root)
        return;
    snprintf(r->place, sizeof(r->place), "top level");
    if (root->type != YAML_MAPPING_NODE) {
        read_unexpected(r, root, "settings, one a line, such as \"self: tcp://0.0.0.0:7400/name\"");
        return;
    }
    read_mapping(r, top_fields, COUNT_OF(top_fields), root, "", config);
    yaml_document_t more;
    if (!yaml_parser_load(parser, &more)) {
        syntax_problem(parser, r->problems);
        return;
    }
    root = yaml_document_get_root_node(&more);
    if (root)
        problems_add(r->problems, root->start_mark.line + 1, root->start_mark.column + 1,
                     "a second document begins here, expected one; remove the line \"---\"");
    yaml_document_delete(&more);
}

void config_parse(struct config *config, const char *text, size_t size, struct problems *problems)
{
    yaml_parser_t parser;
    struct reader r = {.problems = problems};
    if (!yaml_parser_initialize(&parser)) {
        problems_add(problems, 0, 0, "out of memory");
        return;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    if (yaml_parser_load(&parser, &r.doc)) {
        read_document(&r, &parser, config);
        yaml_document_delete(&r.doc);
    } else {
        syntax_problem(&parser, problems);
    }
    yaml_parser_delete(&parser);
}

/* Read the whole file into buf. Returns its size, or -1 with errno; EFBIG if it is larger. */
static ssize_t slurp(const char *file, char *buf, size_t max)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t n = -1;
    if (fd < 0)
        return -1;
    while (size < max) {
        n = read(fd, buf + size, max - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size += (size_t)n;
    }
    int failed = n < 0 ? errno : size == max ? EFBIG : 0;
    close(fd);
    errno = failed;
    return failed ? -1 : (ssize_t)size;
}

void config_read(struct config *config, const char *file, struct problems *problems)
{
    char *text = xresize(NULL, FILE_MAX + 1);
    problems->file = file;
    ssize_t size = slurp(file, text, FILE_MAX + 1);
    if (size >= 0)
        config_parse(config, text, (size_t)size, problems);
    else if (errno == EFBIG)
        problems_add(problems, 0, 0, "%s: larger than a MiB, which no configuration is", file);
    else
        problems_add(problems, 0, 0,
                     "cannot read the configuration %s: %s; check the name after -c", file,
                     strerror(errno));
    xfree(text);
}
