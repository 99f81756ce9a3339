/* The difference of two configurations, and which part of it can be had without a restart.
 *
 * Peers are compared by their URL as it is written; where one is listed twice the last counts, as
 * it does when they are dialled. All else is compared setting by setting, as text: what differs can
 * so be shown as the file spells it. */
#include "reload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/memory.h"
#include "../common/units.h"

#define LIST_TEXT 512

static struct change *add(struct changes *changes, enum change_kind kind, const char *setting)
{
    changes->list = xresize(changes->list, (changes->count + 1) * sizeof(*changes->list));
    struct change *change = &changes->list[changes->count++];
    *change = (struct change){.kind = kind, .setting = setting};
    return change;
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static const struct config_peer *find_peer(const struct config *config, const char *url)
{
    for (size_t i = config->peer_count; i-- > 0;)
        if (strcmp(config->peers[i].url, url) == 0)
            return &config->peers[i];
    return NULL;
}

static bool same_schedule(const weft_dial_options *a, const weft_dial_options *b)
{
    return a->persistent == b->persistent && a->backoff_ms == b->backoff_ms &&
           a->max_backoff_ms == b->max_backoff_ms && a->multiplier == b->multiplier &&
           (a->persistent || a->max_attempts == b->max_attempts);
}

static void peer_change(struct changes *changes, enum change_kind kind,
                        const struct config_peer *from, const struct config_peer *to)
{
    char schedule[SCHEDULE_TEXT];
    struct change *change = add(changes, kind, "peers");
    xreplace(&change->peer, to ? to->url : from->url);
    if (from)
        xreplace(&change->from, config_schedule(&from->dial, schedule));
    if (to) {
        xreplace(&change->to, config_schedule(&to->dial, schedule));
        change->dial = &to->dial;
    }
}

static void diff_peers(const struct config *old, const struct config *new, struct changes *changes)
{
    for (size_t i = 0; i < old->peer_count; i++) {
        const struct config_peer *was = &old->peers[i];
        if (find_peer(old, was->url) == was && !find_peer(new, was->url))
            peer_change(changes, CHANGE_PEER_DROPPED, was, NULL);
    }
    for (size_t i = 0; i < new->peer_count; i++) {
        const struct config_peer *is = &new->peers[i], *was = find_peer(old, is->url);
        if (find_peer(new, is->url) != is)
            continue;
        if (!was)
            peer_change(changes, CHANGE_PEER_ADDED, NULL, is);
        else if (!same_schedule(&was->dial, &is->dial))
            peer_change(changes, CHANGE_PEER_SCHEDULE, was, is);
    }
}

/* ---- Settings -------------------------------------------------------------------------------- */

static void diff_text(struct changes *changes, enum change_kind kind, const char *setting,
                      const char *from, const char *to)
{
    if (from == to || (from && to && strcmp(from, to) == 0))
        return;
    struct change *change = add(changes, kind, setting);
    xreplace(&change->from, from);
    xreplace(&change->to, to);
}

static void diff_size(struct changes *changes, const char *setting, uint64_t from, uint64_t to)
{
    char was[UNITS_TEXT], is[UNITS_TEXT];
    diff_text(changes, CHANGE_SETTING, setting, size_format(from, was), size_format(to, is));
}

static void diff_count(struct changes *changes, const char *setting, uint64_t from, uint64_t to)
{
    char was[UNITS_TEXT], is[UNITS_TEXT];
    snprintf(was, sizeof(was), "%" PRIu64, from);
    snprintf(is, sizeof(is), "%" PRIu64, to);
    diff_text(changes, CHANGE_SETTING, setting, was, is);
}

/* "[a, b]", cut where it is long; NULL for an empty list. */
static const char *list_text(const struct names *names, char buf[LIST_TEXT])
{
    size_t len = 0;
    for (size_t i = 0; i < names->count && len < LIST_TEXT; i++)
        len +=
            (size_t)snprintf(buf + len, LIST_TEXT - len, "%s%s", i ? ", " : "[", names->items[i]);
    if (len < LIST_TEXT)
        snprintf(buf + len, LIST_TEXT - len, "]");
    else
        snprintf(buf + LIST_TEXT - 5, 5, "...]");
    return names->count ? buf : NULL;
}

static bool same_names(const struct names *a, const struct names *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->items[i], b->items[i]) == 0;
    return same;
}

static void diff_names(struct changes *changes, const char *setting, const struct names *from,
                       const struct names *to)
{
    char was[LIST_TEXT], is[LIST_TEXT];
    if (same_names(from, to))
        return;
    struct change *change = add(changes, CHANGE_RESTART, setting);
    xreplace(&change->from, list_text(from, was));
    xreplace(&change->to, list_text(to, is));
}

static void diff_restart(const struct config *old, const struct config *new,
                         struct changes *changes)
{
    static const char *const roles[] = {"auto", "peer", "client", "leaf"};
    char was[UNITS_TEXT], is[UNITS_TEXT];
    diff_text(changes, CHANGE_RESTART, "self", old->self, new->self);
    diff_text(changes, CHANGE_RESTART, "advertise", old->advertise, new->advertise);
    diff_names(changes, "listen", &old->listen, &new->listen);
    diff_text(changes, CHANGE_RESTART, "network", old->network, new->network);
    diff_text(changes, CHANGE_RESTART, "path", old->path, new->path);
    diff_text(changes, CHANGE_RESTART, "role", roles[config_role(old)], roles[config_role(new)]);
    diff_text(changes, CHANGE_RESTART, "allow_base", old->allow_base ? "true" : "false",
              new->allow_base ? "true" : "false");
    diff_text(changes, CHANGE_RESTART, "addrbook", old->addrbook, new->addrbook);
    diff_text(changes, CHANGE_RESTART, "linger", duration_format(old->linger_ms, was),
              duration_format(new->linger_ms, is));
    diff_text(changes, CHANGE_RESTART, "access.info", config_access_name(old->info),
              config_access_name(new->info));
    diff_text(changes, CHANGE_RESTART, "access.control", config_access_name(old->control),
              config_access_name(new->control));
    diff_text(changes, CHANGE_RESTART, "pid_file", old->pid_file, new->pid_file);
    diff_names(changes, "http.listen", &old->http.listen, &new->http.listen);
    diff_names(changes, "http.names", &old->http.names, &new->http.names);
    diff_text(changes, CHANGE_RESTART, "http.remote", old->http.remote ? "true" : "false",
              new->http.remote ? "true" : "false");
}

void config_diff(const struct config *old, const struct config *new, struct changes *ret_changes)
{
    struct changes changes = {0};
    diff_peers(old, new, &changes);
    diff_size(&changes, "limits.max_frame", old->max_frame, new->max_frame);
    diff_count(&changes, "limits.peers", old->max_peers, new->max_peers);
    diff_count(&changes, "limits.routes", old->max_routes, new->max_routes);
    diff_size(&changes, "limits.outbox", old->outbox, new->outbox);
    diff_text(&changes, CHANGE_SETTING, "log.level", config_level_name(old->log),
              config_level_name(new->log));
    diff_text(&changes, CHANGE_SETTING, "log.format", config_format_name(old->log_format),
              config_format_name(new->log_format));
    diff_restart(old, new, &changes);
    *ret_changes = changes;
}

void changes_fini(struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        xfree(changes->list[i].peer);
        xfree(changes->list[i].from);
        xfree(changes->list[i].to);
    }
    xfree(changes->list);
    *changes = (struct changes){0};
}

/* ---- In words -------------------------------------------------------------------------------- */

const char *change_text(const struct change *c, bool dry_run, char buf[CHANGE_TEXT])
{
    const char *from = c->from ? c->from : "nothing", *to = c->to ? c->to : "nothing";
    size_t len = 0;
    switch (c->kind) {
    case CHANGE_PEER_ADDED:
        snprintf(buf, CHANGE_TEXT, "%s %s, %s", dry_run ? "would dial" : "dials", c->peer, to);
        break;
    case CHANGE_PEER_DROPPED:
        if (c->stays)
            snprintf(buf, CHANGE_TEXT, "%s %s: an operator added it, too",
                     dry_run ? "would keep" : "keeps", c->peer);
        else
            snprintf(buf, CHANGE_TEXT, "%s %s and any link to it",
                     dry_run ? "would drop" : "dropped", c->peer);
        break;
    case CHANGE_PEER_SCHEDULE:
        snprintf(buf, CHANGE_TEXT, "%s the schedule of %s: %s (was: %s)",
                 dry_run ? "would change" : "changed", c->peer, to, from);
        break;
    case CHANGE_SETTING:
        snprintf(buf, CHANGE_TEXT, "%s %s: %s (was: %s)", dry_run ? "would change" : "changed",
                 c->setting, to, from);
        break;
    case CHANGE_RESTART:
        snprintf(buf, CHANGE_TEXT, "%s a restart: %s: %s (is: %s)",
                 dry_run ? "would need" : "needs", c->setting, to, from);
        break;
    }
    len = strlen(buf);
    if (c->error)
        snprintf(buf + len, CHANGE_TEXT - len, "; it failed: %s", weft_strerror(c->error));
    return buf;
}

/* ---- Taking over -------------------------------------------------------------------------------
 */

static const struct change *failed(const struct changes *changes, const char *setting,
                                   const char *peer)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct change *c = &changes->list[i];
        if (c->error && strcmp(c->setting, setting) == 0 &&
            (!peer || (c->peer && strcmp(c->peer, peer) == 0)))
            return c;
    }
    return NULL;
}

/* Take it over into the list. */
static void move_peer(struct config *to, struct config_peer *peer)
{
    to->peers = xresize(to->peers, (to->peer_count + 1) * sizeof(*to->peers));
    to->peers[to->peer_count++] = *peer;
    peer->url = NULL;
}

/* The new list of peers, without those that could not be dialled, and with those that could not be
 * dropped: they are new, or gone, the next time, too. */
static void adopt_peers(struct config *running, struct config *next, const struct changes *changes)
{
    struct config adopted = {0};
    for (size_t i = 0; i < next->peer_count; i++)
        if (!failed(changes, "peers", next->peers[i].url))
            move_peer(&adopted, &next->peers[i]);
    for (size_t i = 0; i < running->peer_count; i++) {
        const struct change *c = failed(changes, "peers", running->peers[i].url);
        if (c && c->kind == CHANGE_PEER_DROPPED)
            move_peer(&adopted, &running->peers[i]);
    }
    for (size_t i = 0; i < running->peer_count; i++)
        xfree(running->peers[i].url);
    xfree(running->peers);
    running->peers = adopted.peers;
    running->peer_count = adopted.peer_count;
}

void config_adopt(struct config *running, struct config *next, const struct changes *changes)
{
    adopt_peers(running, next, changes);
    if (!failed(changes, "limits.max_frame", NULL))
        running->max_frame = next->max_frame;
    if (!failed(changes, "limits.peers", NULL))
        running->max_peers = next->max_peers;
    if (!failed(changes, "limits.routes", NULL))
        running->max_routes = next->max_routes;
    if (!failed(changes, "limits.outbox", NULL))
        running->outbox = next->outbox;
    running->log = next->log;
    running->log_format = next->log_format;
}
