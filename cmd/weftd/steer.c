/* A running daemon is told to read its configuration anew: by SIGHUP, or by `weft reload URL`.
 *
 * Happy path: the file is read with the command line on top, as at the start; the difference to
 * what the daemon runs with is applied piece by piece, and what takes a restart is named. Links of
 * peers that stay are not touched. A dry run ends before the first piece.
 *
 * Failure modes. Anything wrong with the file, and nothing is changed: all of it is told, with line
 * and column. A piece that fails is told, the others are applied, and it is tried again at the next
 * reload. Peers and settings that were changed at run time by commands are not in the file and stay
 * as they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>
#include <weft/addrbook.h>
#include <weft/admin.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "daemon.h"
#include "reload.h"

#define PROBLEM_TEXT 1280

struct reload {
    struct config next;
    struct problems problems;
    struct changes changes;
    bool dry_run;
};

/* ---- Applying -------------------------------------------------------------------------------- */

static bool is_limit(const struct change *c)
{
    return c->kind == CHANGE_SETTING && strncmp(c->setting, "limits.", 7) == 0;
}

/* All limits are taken or none. */
static int apply_limits(struct daemon *d, const struct config *next)
{
    weft_limits limits = {
        .size = sizeof(limits),
        .max_frame = (uint32_t)next->max_frame,
        .max_peers = (uint32_t)next->max_peers,
        .max_routes = (uint32_t)next->max_routes,
        .outbox = (size_t)next->outbox,
    };
    return weft_node_set_limits(d->node, &limits);
}

static int apply_setting(struct daemon *d, const struct config *next, const struct change *c)
{
    if (is_limit(c))
        return apply_limits(d, next);
    if (strcmp(c->setting, "log.level") == 0)
        return weft_node_set_log_level(d->node, (enum weft_log_level)next->log);
    d->format = log_open((enum log_format)next->log_format);
    return 0;
}

static bool is_configured(const weft_addrbook *book, const char *url)
{
    const weft_addrbook_entry *e = weft_addrbook_find(book, url);
    return e && e->in_config;
}

/* The names of its node go with a peer, and one that differs in its path alone is the same to the
 * book: those that the file still has are dialled anew, but not what a command took out before. It
 * may itself have been given up and gone before. What an operator added stays. */
static int drop_peer(struct daemon *d, const struct config *next, const char *url)
{
    weft_addrbook *before = NULL, *after = NULL;
    int rc = weft_node_addrbook(d->node, &before);
    if (rc == 0)
        rc = weft_node_unconfigure_peer(d->node, url);
    if (rc >= 0)
        rc = weft_node_addrbook(d->node, &after);
    for (size_t i = 0; i < next->peer_count && rc == 0; i++) {
        const struct config_peer *peer = &next->peers[i];
        if (is_configured(before, peer->url) && !is_configured(after, peer->url))
            rc = weft_node_configure_peer(d->node, peer->url, &peer->dial);
    }
    weft_addrbook_free(before);
    weft_addrbook_free(after);
    return rc == WEFT_ENOTFOUND ? 0 : rc;
}

/* Which dropped peers stay, as an operator added them, too. */
static void foresee(const struct daemon *d, struct changes *changes)
{
    weft_addrbook *book = NULL;
    for (size_t i = 0; i < changes->count; i++) {
        struct change *c = &changes->list[i];
        if (c->kind != CHANGE_PEER_DROPPED || (!book && weft_node_addrbook(d->node, &book) < 0))
            continue;
        const weft_addrbook_entry *e = weft_addrbook_find(book, c->peer);
        c->stays = e && e->origin == WEFT_ORIGIN_OPERATOR;
    }
    weft_addrbook_free(book);
}

/* A peer that is this node itself is passed over, as at the start. */
static int apply_change(struct daemon *d, const struct config *next, const struct change *c)
{
    switch (c->kind) {
    case CHANGE_PEER_ADDED:
    case CHANGE_PEER_SCHEDULE:
        return weft_node_configure_peer(d->node, c->peer, c->dial);
    case CHANGE_PEER_DROPPED:
        return drop_peer(d, next, c->peer);
    case CHANGE_SETTING:
        return apply_setting(d, next, c);
    case CHANGE_RESTART:
        break;
    }
    return 0;
}

/* Returns the first error of a piece, or 0. */
static int first_error(const struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        if (changes->list[i].error)
            return changes->list[i].error;
    return 0;
}

static void reload_fini(struct reload *r)
{
    changes_fini(&r->changes);
    problems_fini(&r->problems);
    config_fini(&r->next);
}

static void tell_log(const struct daemon *d, const struct reload *r)
{
    char text[PROBLEM_TEXT + CHANGE_TEXT], part[PROBLEM_TEXT + CHANGE_TEXT - 16];
    for (size_t i = 0; i < r->problems.count; i++) {
        problems_text(&r->problems, i, part, sizeof(part));
        snprintf(text, sizeof(text), "reload: %s", part);
        daemon_log(d, WEFT_LOG_ERROR, "reload", text);
    }
    if (r->problems.total)
        daemon_log(d, WEFT_LOG_ERROR, "reload", "reload: nothing was changed");
    else if (r->changes.count == 0)
        daemon_log(d, WEFT_LOG_INFO, "reload", "reload: nothing is different");
    for (size_t i = 0; i < r->changes.count; i++) {
        const struct change *c = &r->changes.list[i];
        snprintf(text, sizeof(text), "reload: %s", change_text(c, false, part));
        daemon_log(d, c->error || c->kind == CHANGE_RESTART ? WEFT_LOG_WARN : WEFT_LOG_INFO,
                   "reload", text);
    }
}

/* A pipe that was read at the start has nothing more to give, and to open it may wait for ever. */
static void check_file(const char *file, struct problems *problems)
{
    struct stat st;
    if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
        problems_add(problems, 0, 0,
                     "%s is not a regular file and cannot be read a second time; restart weftd",
                     file);
}

/* Read, compare, and unless it is a dry run, apply. The caller calls reload_fini. */
static void reload_run(struct daemon *d, bool dry_run, struct reload *r)
{
    *r = (struct reload){.dry_run = dry_run};
    config_init(&r->next);
    if (!dry_run)
        service_reloading(&d->service);
    check_file(d->args->file, &r->problems);
    if (r->problems.total == 0)
        arguments_gather(d->args, &r->next, &r->problems);
    if (r->problems.total == 0)
        config_diff(d->config, &r->next, &r->changes);
    foresee(d, &r->changes);
    if (dry_run)
        return;
    for (size_t i = 0; i < r->changes.count; i++) {
        struct change *c = &r->changes.list[i];
        c->error = apply_change(d, &r->next, c);
        if (c->error == WEFT_ESELF) { /* passed over, as at the start */
            c->error = 0;
            xreplace(&c->to, "or rather not: it is this node itself");
        }
    }
    if (r->problems.total == 0)
        config_adopt(d->config, &r->next, &r->changes);
    tell_log(d, r);
    service_reloaded(&d->service);
}

void daemon_reload(struct daemon *d)
{
    struct reload r;
    reload_run(d, false, &r);
    reload_fini(&r);
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* Append a line to *text, which is malloc's as answers are. Without memory the line is missing. */
static void add_line(char **text, const char *line)
{
    size_t have = *text ? strlen(*text) : 0, more = strlen(line);
    char *grown = realloc(*text, have + more + 2);
    if (!grown)
        return;
    snprintf(grown + have, more + 2, "%s%s", have ? "\n" : "", line);
    *text = grown;
}

static char *answer_text(const struct reload *r)
{
    char line[PROBLEM_TEXT + CHANGE_TEXT], *text = NULL;
    for (size_t i = 0; i < r->problems.count; i++) {
        problems_text(&r->problems, i, line, sizeof(line));
        add_line(&text, line);
    }
    for (size_t i = 0; i < r->changes.count; i++)
        add_line(&text, change_text(&r->changes.list[i], r->dry_run, line));
    if (!text)
        add_line(&text, "nothing is different");
    return text;
}

static json_t *text_or_null(const char *text)
{
    if (!text)
        return json_null();
    char *safe = utf8_valid(text, strlen(text)) ? NULL : text_safe_copy(text);
    json_t *string = json_string(safe ? safe : text);
    xfree(safe);
    return string;
}

static json_t *change_json(const struct change *c, bool dry_run)
{
    static const char *const kinds[] = {
        [CHANGE_PEER_ADDED] = "peer_added",       [CHANGE_PEER_DROPPED] = "peer_dropped",
        [CHANGE_PEER_SCHEDULE] = "peer_schedule", [CHANGE_SETTING] = "setting",
        [CHANGE_RESTART] = "needs_restart",
    };
    char text[CHANGE_TEXT];
    json_t *object = json_object();
    json_object_set_new(object, "change", json_string(kinds[c->kind]));
    json_object_set_new(object, "setting", json_string(c->setting));
    json_object_set_new(object, "peer", text_or_null(c->peer));
    json_object_set_new(object, "from", text_or_null(c->from));
    json_object_set_new(object, "to", text_or_null(c->to));
    json_object_set_new(object, "error", text_or_null(c->error ? weft_err_name(c->error) : NULL));
    json_object_set_new(object, "text", text_or_null(change_text(c, dry_run, text)));
    return object;
}

static json_t *problem_json(const struct problems *problems, size_t i)
{
    const struct problem *p = &problems->list[i];
    char text[PROBLEM_TEXT];
    problems_text(problems, i, text, sizeof(text));
    json_t *object = json_object();
    json_object_set_new(object, "line", p->line ? json_integer((json_int_t)p->line) : json_null());
    json_object_set_new(object, "column",
                        p->line ? json_integer((json_int_t)p->column) : json_null());
    json_object_set_new(object, "text", text_or_null(text));
    return object;
}

static char *answer_json(const struct reload *r)
{
    json_t *changes = json_array(), *problems = json_array(), *object = json_object();
    for (size_t i = 0; i < r->changes.count; i++)
        json_array_append_new(changes, change_json(&r->changes.list[i], r->dry_run));
    for (size_t i = 0; i < r->problems.count; i++)
        json_array_append_new(problems, problem_json(&r->problems, i));
    json_object_set_new(object, "dry_run", json_boolean(r->dry_run));
    json_object_set_new(object, "file", text_or_null(r->problems.file));
    json_object_set_new(object, "changes", changes);
    json_object_set_new(object, "problems", problems);
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

/* The error with a sentence in *ret_text. */
static int refuse(char **ret_text, int error, const char *text)
{
    add_line(ret_text, text);
    return error;
}

int daemon_command(weft_node *node, const struct weft_command *command, char **ret_text, void *user)
{
    struct daemon *d = user;
    bool dry_run = false, json = false;
    struct reload r;
    if (strcmp(command->verb, "reload") != 0)
        return refuse(ret_text, WEFT_ENOTSUP, "weftd knows no such command; it knows reload");
    for (size_t i = 0; command->args && command->args[i]; i++) {
        if (strcmp(command->args[i], "dry-run") == 0)
            dry_run = true;
        else if (strcmp(command->args[i], "json") == 0)
            json = true;
        else
            return refuse(ret_text, WEFT_EINVAL, "reload takes \"dry-run\" and \"json\" alone");
    }
    if (!d->args->file)
        return refuse(ret_text, WEFT_EINVAL,
                      "this weftd was started without a file to read anew; start it with -c FILE");
    reload_run(d, dry_run, &r);
    *ret_text = json ? answer_json(&r) : answer_text(&r);
    /* In JSON what went wrong is part of the answer. */
    int rc = json ? 0 : r.problems.total ? WEFT_EINVAL : first_error(&r.changes);
    reload_fini(&r);
    return rc;
}
