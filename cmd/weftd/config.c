/* The settings themselves: defaults, what the command line adds, and what contradicts. */
#include "config.h"

#include <string.h>

#include "../common/memory.h"

void config_init(struct config *config)
{
    weft_options o;
    weft_options_init(&o);
    *config = (struct config){
        .role = o.role,
        .log = o.log_level,
        .log_format = LOG_AUTO,
        .info = WEFT_ACCESS_LOCAL,
        .control = WEFT_ACCESS_UNIX,
        .linger_ms = o.linger_ms,
        .max_frame = o.max_frame,
        .max_peers = o.max_peers,
        .max_routes = o.max_routes,
        .outbox = o.outbox,
    };
}

void config_fini(struct config *config)
{
    for (size_t i = 0; i < config->peer_count; i++)
        xfree(config->peers[i].url);
    xfree(config->peers);
    names_fini(&config->listen);
    names_fini(&config->http.listen);
    names_fini(&config->http.names);
    xfree(config->self);
    xfree(config->advertise);
    xfree(config->network);
    xfree(config->path);
    xfree(config->addrbook);
    xfree(config->pid_file);
    *config = (struct config){0};
}

static bool url_ok(const char *option, const char *url, struct problems *problems)
{
    size_t where = 0;
    if (weft_url_check(url, &where) == 0)
        return true;
    problems_add(problems, 0, 0,
                 "%s %s: not a peer URL, it goes wrong after %zu bytes; expected one such as "
                 "tcp://10.0.0.2:7400/robot.arm or unix:///run/weft.sock/robot.arm",
                 option, url, where);
    return false;
}

void config_add_listen(struct config *config, const char *url, size_t *listens,
                       struct problems *problems)
{
    if (!url_ok("-l", url, problems))
        return;
    if ((*listens)++ == 0)
        xreplace(&config->self, url);
    else if (!names_add(&config->listen, url))
        problems_add(problems, 0, 0, "-l %s: more than %d URLs to listen on", url, NAMES_MAX);
}

void config_add_peer(struct config *config, const char *url, struct problems *problems)
{
    if (!url_ok("-P", url, problems))
        return;
    if (config->peer_count == NAMES_MAX) {
        problems_add(problems, 0, 0, "-P %s: more than %d peers", url, NAMES_MAX);
        return;
    }
    config->peers = xresize(config->peers, (config->peer_count + 1) * sizeof(*config->peers));
    struct config_peer *peer = &config->peers[config->peer_count++];
    *peer = (struct config_peer){.url = xcopy(url, strlen(url))};
    weft_dial_options_init(&peer->dial);
}

enum weft_role config_role(const struct config *config)
{
    bool all_unix = config->peer_count > 0;
    if (config->role != WEFT_ROLE_AUTO)
        return (enum weft_role)config->role;
    if (config->self)
        return WEFT_ROLE_PEER;
    for (size_t i = 0; i < config->peer_count; i++)
        all_unix = all_unix && strncmp(config->peers[i].url, "unix://", 7) == 0;
    return all_unix ? WEFT_ROLE_LEAF : WEFT_ROLE_CLIENT;
}

static bool is_tcp(const char *url)
{
    return strncmp(url, "tcp://", 6) == 0;
}

static bool is_loopback(const char *url)
{
    const char *host = url + 6;
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           strncasecmp(host, "localhost:", 10) == 0;
}

const char *config_warning(const struct config *config, char buf[WARNING_TEXT])
{
    const char *self = config->self;
    if (!self || config->advertise || !is_tcp(self) || !is_loopback(self))
        return NULL;
    for (size_t i = 0; i < config->peer_count; i++) {
        const char *peer = config->peers[i].url;
        if (!is_tcp(peer) || is_loopback(peer))
            continue;
        snprintf(buf, WARNING_TEXT,
                 "self %s is a loopback address: nodes on other hosts, such as %s, cannot reach "
                 "this one there; give self the address of this host",
                 self, peer);
        return buf;
    }
    return NULL;
}

void config_check(const struct config *config, struct problems *problems)
{
    enum weft_role role = config_role(config);
    if (!config->self && config->peer_count == 0)
        problems_add(problems, 0, 0,
                     "nothing to do: neither a URL to listen on nor a peer to dial; add \"self: "
                     "tcp://0.0.0.0:7400/NAME\" to the configuration or give -l URL");
    else if (!config->self && role == WEFT_ROLE_PEER)
        problems_add(problems, 0, 0,
                     "role: a peer must listen; add \"self: URL\" or make it a client or a leaf");
    else if (config->self && role != WEFT_ROLE_PEER)
        problems_add(problems, 0, 0,
                     "role: clients and leaves do not listen; remove self (or -l) or the role");
    if (config->self && config->path)
        problems_add(problems, 0, 0,
                     "path: self has a path already; write it there and remove this setting");
    if (!config->self && config->listen.count)
        problems_add(problems, 0, 0, "listen: there is no self; make the first of these URLs self");
    if (!config->self && config->advertise)
        problems_add(problems, 0, 0,
                     "advertise: a node that does not listen cannot be dialled; add self or remove "
                     "this setting");
}
