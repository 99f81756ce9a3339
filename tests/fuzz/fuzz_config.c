/* Target: weftd's configuration file.
 *
 *     input   the file
 *
 * Whatever it holds, the settings are within their limits and every problem has a place in the file
 * and a sentence. A file without a problem, written anew from the settings it gave, gives the same
 * settings: there is no change from the one to the other. */
#include "fuzz.h"

#include <stdarg.h>

#include "cmd/common/memory.h"
#include "cmd/weftd/config.h"
#include "cmd/weftd/reload.h"

struct text {
    char *data;
    size_t len, cap;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *out, const char *format, ...)
{
    va_list args;
    char line[64];
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < sizeof(line));
    if (out->len + (size_t)n + 1 > out->cap) {
        out->cap = 2 * (out->len + (size_t)n + 1);
        out->data = xresize(out->data, out->cap);
    }
    memcpy(out->data + out->len, line, (size_t)n + 1);
    out->len += (size_t)n;
}

/* The character at *text, which is UTF-8 as libyaml lets it pass; *text moves on. */
static uint32_t next_char(const char **text)
{
    const uint8_t *p = (const uint8_t *)*text;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        CHECK(p[i] >> 6 == 2);
        code = code << 6 | (p[i] & 0x3f);
    }
    *text += n;
    return code;
}

/* In double quotes, with escapes for all that is not plain. */
static void put_string(struct text *out, const char *key, const char *value)
{
    if (!value)
        return;
    put(out, "%s\"", key);
    while (*value) {
        uint32_t c = next_char(&value);
        if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7f)
            put(out, "\\U%08x", c);
        else
            put(out, "%c", (int)c);
    }
    put(out, "\"\n");
}

static void write_peer(struct text *out, const struct config_peer *peer)
{
    put_string(out, "  - url: ", peer->url);
    put(out, "    persistent: %s\n", peer->dial.persistent ? "true" : "false");
    put(out, "    backoff: %ums\n", peer->dial.backoff_ms);
    put(out, "    max_backoff: %ums\n", peer->dial.max_backoff_ms);
    put(out, "    multiplier: %.6f\n", (double)peer->dial.multiplier);
    put(out, "    max_attempts: %u\n", peer->dial.max_attempts);
}

static void write_list(struct text *out, const char *indent, const char *key,
                       const struct names *names)
{
    put(out, "%s%s: %s", indent, key, names->count ? "\n" : "[]\n");
    for (size_t i = 0; i < names->count; i++) {
        put(out, "%s  - ", indent);
        put_string(out, "", names->items[i]);
    }
}

static void write_service(struct text *out, const struct config *c)
{
    put_string(out, "pid_file: ", c->pid_file);
    put(out, "log: {level: %s, format: %s}\n", config_level_name(c->log),
        config_format_name(c->log_format));
    put(out, "access: {info: %s, ", config_access_name(c->info));
    put(out, "control: %s}\n", config_access_name(c->control));
    put(out, "http:\n  remote: %s\n", c->http.remote ? "true" : "false");
    write_list(out, "  ", "listen", &c->http.listen);
    write_list(out, "  ", "names", &c->http.names);
}

static void write_config(struct text *out, const struct config *c)
{
    static const char *const roles[] = {"auto", "peer", "client", "leaf"};
    put_string(out, "self: ", c->self);
    put_string(out, "advertise: ", c->advertise);
    put_string(out, "network: ", c->network);
    put_string(out, "path: ", c->path);
    put_string(out, "addrbook: ", c->addrbook);
    put(out, "role: %s\n", roles[c->role]);
    write_service(out, c);
    put(out, "allow_base: %s\nlinger: %ums\n", c->allow_base ? "yes" : "no", c->linger_ms);
    put(out, "limits:\n  max_frame: %llu\n", (unsigned long long)c->max_frame);
    put(out, "  peers: %llu\n", (unsigned long long)c->max_peers);
    put(out, "  routes: %llu\n", (unsigned long long)c->max_routes);
    put(out, "  outbox: %llu\n", (unsigned long long)c->outbox);
    write_list(out, "", "listen", &c->listen);
    put(out, "peers: %s", c->peer_count ? "\n" : "[]\n");
    for (size_t i = 0; i < c->peer_count; i++)
        write_peer(out, &c->peers[i]);
}

/* What is told of each change; of the same settings written anew there is none, but for the last
 * digit of a multiplier. */
static void check_changes(const struct config *from, const struct config *to, bool same)
{
    char text[CHANGE_TEXT];
    struct changes changes;
    config_diff(from, to, &changes);
    for (size_t i = 0; i < changes.count; i++) {
        CHECK(change_text(&changes.list[i], i % 2, text)[0]);
        CHECK(!same || changes.list[i].kind == CHANGE_PEER_SCHEDULE);
    }
    changes_fini(&changes);
}

static bool same_text(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static void same_peer(const struct config_peer *a, const struct config_peer *b)
{
    CHECK_STR(a->url, b->url);
    CHECK(a->dial.persistent == b->dial.persistent);
    CHECK(a->dial.backoff_ms == b->dial.backoff_ms);
    CHECK(a->dial.max_backoff_ms == b->dial.max_backoff_ms);
    CHECK(a->dial.max_attempts == b->dial.max_attempts);
    float off = a->dial.multiplier - b->dial.multiplier;
    CHECK(off < 0.00001f && off > -0.00001f);
}

static void same_config(const struct config *a, const struct config *b)
{
    CHECK(same_text(a->self, b->self) && same_text(a->advertise, b->advertise));
    CHECK(same_text(a->network, b->network) && same_text(a->path, b->path));
    CHECK(same_text(a->addrbook, b->addrbook));
    CHECK(a->role == b->role && a->log == b->log && a->allow_base == b->allow_base);
    CHECK(a->linger_ms == b->linger_ms && a->max_frame == b->max_frame);
    CHECK(a->max_peers == b->max_peers && a->max_routes == b->max_routes);
    CHECK(a->outbox == b->outbox);
    CHECK(a->listen.count == b->listen.count && a->peer_count == b->peer_count);
    for (size_t i = 0; i < a->listen.count; i++)
        CHECK_STR(a->listen.items[i], b->listen.items[i]);
    for (size_t i = 0; i < a->peer_count; i++)
        same_peer(&a->peers[i], &b->peers[i]);
}

static void check_url(const char *url)
{
    CHECK(!url || weft_url_check(url, NULL) == 0);
}

static void check_limits(const struct config *c)
{
    CHECK(c->log_format <= LOG_JOURNAL && c->info >= WEFT_ACCESS_NONE);
    CHECK(c->info <= WEFT_ACCESS_ANY && c->control >= WEFT_ACCESS_NONE);
    CHECK(c->role <= WEFT_ROLE_LEAF && c->log >= WEFT_LOG_ERROR && c->log <= WEFT_LOG_DEBUG);
    CHECK(c->max_frame >= 64 << 10 && c->max_frame <= 64 << 20);
    CHECK(c->max_peers >= 1 && c->max_peers <= 65535);
    CHECK(c->max_routes >= 1 && c->max_routes <= 100000000);
    CHECK(c->outbox >= 64 << 10 && c->linger_ms <= 3600000);
    CHECK(c->listen.count <= NAMES_MAX && c->peer_count <= NAMES_MAX);
    check_url(c->self);
    check_url(c->advertise);
    for (size_t i = 0; i < c->listen.count; i++)
        check_url(c->listen.items[i]);
    for (size_t i = 0; i < c->peer_count; i++) {
        const weft_dial_options *d = &c->peers[i].dial;
        check_url(c->peers[i].url);
        CHECK(d->backoff_ms >= 100 && d->max_backoff_ms >= 100 && d->max_attempts >= 1);
        CHECK(d->multiplier >= 1.0f && d->multiplier <= 10.0f);
    }
}

static void check_problems(const struct problems *problems, size_t size)
{
    CHECK(problems->count <= PROBLEMS_MAX && problems->count <= problems->total);
    CHECK(problems->count == problems->total || problems->count == PROBLEMS_MAX);
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *p = &problems->list[i];
        CHECK(p->text && p->text[0]);
        CHECK(p->line <= size + 2 && p->column <= size + 2);
    }
}

static void check_again(const struct config *config)
{
    struct text out = {0};
    struct config again;
    struct problems problems = {0};
    write_config(&out, config);
    config_init(&again);
    config_parse(&again, out.data, out.len, &problems);
    if (problems.total)
        FAIL("%s\n%s", problems.list[0].text, out.data);
    same_config(config, &again);
    check_changes(config, &again, true);
    problems_fini(&problems);
    config_fini(&again);
    xfree(out.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 16384)
        return -1;
    struct config config, defaults;
    struct problems problems = {.file = "file"};
    char *text = (char *)exact_copy(size ? data : (const uint8_t *)"", size);
    config_init(&config);
    config_init(&defaults);
    config_parse(&config, text, size, &problems);
    check_limits(&config);
    check_problems(&problems, size);
    if (problems.total == 0)
        check_again(&config);
    config_role(&config);
    check_changes(&defaults, &config, false);
    check_changes(&config, &defaults, false);
    config_check(&config, &problems);
    problems_fini(&problems);
    config_fini(&config);
    config_fini(&defaults);
    free(text);
    return 0;
}
