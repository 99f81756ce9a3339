/* Steering a node: the calls of weft/admin.h, and the commands that do the same by name.
 *
 * A command is a verb with arguments, as an operator typed it here or at another node: each verb
 * checks its arguments, does its work on the loop and says in a sentence what came of it. What this
 * file does not know goes to the program (on_command). What changes the address book by an
 * operator's will is saved soon. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/ask.h"
#include "node/node.h"

#define SAVE_SOON_NS NS_PER_SEC
#define ARGS_MAX 16u

/* ---- The log ---- */

int weft_node_set_log_level(weft_node *node, enum weft_log_level level)
{
    if (!node || level < WEFT_LOG_ERROR || level > WEFT_LOG_DEBUG)
        return WEFT_EINVAL;
    atomic_store(&node->log_level, (int)level);
    return 0;
}

/* ---- Limits ---- */

static int run_limits(weft_node *node, void *arg)
{
    const weft_limits *l = arg;
    plane_lock(node);
    if (l->max_frame)
        atomic_store(&node->max_frame, l->max_frame);
    if (l->max_peers)
        node->options.max_peers = l->max_peers;
    if (l->max_routes)
        node->options.max_routes = l->max_routes;
    if (l->outbox)
        node->options.outbox = l->outbox;
    plane_unlock(node);
    mesh_set_limits(node->mesh, atomic_load(&node->max_frame), node->options.max_peers,
                    node->options.max_routes);
    return 0;
}

int weft_node_set_limits(weft_node *node, const weft_limits *limits)
{
    if (!node || !limits || limits->size != sizeof(*limits))
        return WEFT_EINVAL;
    uint32_t frame = limits->max_frame;
    if (frame && (frame < FRAME_MAX_HANDSHAKE || frame > FRAME_MAX_LIMIT))
        return WEFT_EINVAL;
    return node_call(node, run_limits, (void *)(uintptr_t)limits);
}

/* ---- The address book ---- */

static void save_soon(weft_node *node)
{
    if (node->addrbook_file && !node->leaving)
        node->save_at = min_u64(node->save_at, node_now().mono_ns + SAVE_SOON_NS);
    if (node->depth == 0)
        node_request_turn(node);
}

struct banning {
    const char *url;
    uint64_t until;
};

static int run_ban(weft_node *node, void *arg)
{
    const struct banning *b = arg;
    int rc = mesh_ban(node->mesh, b->url, b->until, node_now());
    save_soon(node);
    return rc;
}

int weft_node_ban(weft_node *node, const char *url, uint64_t until)
{
    if (!node || !url)
        return WEFT_EINVAL;
    return node_call(node, run_ban, &(struct banning){url, until});
}

struct pinning {
    const char *url;
    bool on;
};

static int run_pin(weft_node *node, void *arg)
{
    const struct pinning *p = arg;
    int rc = addrbook_pin(mesh_addrbook(node->mesh), p->url, p->on, node_now());
    save_soon(node);
    return rc;
}

int weft_node_pin(weft_node *node, const char *url, bool on)
{
    if (!node || !url)
        return WEFT_EINVAL;
    return node_call(node, run_pin, &(struct pinning){url, on});
}

/* ---- Verbs ---- */

/* What a verb has to say: TEXT_SIZE bytes, "" at first. */
typedef int verb_fn(weft_node *node, const char *const *args, char *text);

static int say_url_error(int rc, const char *url, char *text)
{
    if (rc == WEFT_EURL && weft_url_check(url, NULL) < 0)
        weft_url_explain(url, text, TEXT_SIZE);
    else if (rc == WEFT_EURL)
        snprintf(text, TEXT_SIZE, "%.600s names no address to connect to; give a host and a port",
                 url);
    else if (rc == WEFT_ESELF)
        snprintf(text, TEXT_SIZE, "%.600s is this node itself", url);
    else if (rc == WEFT_ENOTFOUND)
        snprintf(text, TEXT_SIZE,
                 "%.600s is not in the address book of this node; its entries are listed by "
                 "\"weft addrbook dump\"",
                 url);
    else
        snprintf(text, TEXT_SIZE, "%.600s: %s", url, weft_strerror(rc));
    return rc;
}

static int do_log(weft_node *node, const char *const *args, char *text)
{
    static const char *const names[] = {
        [WEFT_LOG_ERROR] = "error",
        [WEFT_LOG_WARN] = "warn",
        [WEFT_LOG_INFO] = "info",
        [WEFT_LOG_DEBUG] = "debug",
    };
    for (unsigned i = WEFT_LOG_ERROR; i < ARRAY_LEN(names); i++) {
        if (strcmp(args[0], names[i]) != 0)
            continue;
        snprintf(text, TEXT_SIZE, "the log level is %s", names[i]);
        return weft_node_set_log_level(node, (enum weft_log_level)i);
    }
    snprintf(text, TEXT_SIZE, "log: \"%.200s\" is none of error, warn, info, debug", args[0]);
    return WEFT_EINVAL;
}

static bool parse_u64(const char *text, uint64_t *ret_value)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end)
        return false;
    *ret_value = value;
    return true;
}

static bool parse_u32(const char *text, uint32_t *ret_value)
{
    uint64_t value;
    if (!parse_u64(text, &value) || value > UINT32_MAX)
        return false;
    *ret_value = (uint32_t)value;
    return true;
}

static bool parse_multiplier(const char *text, float *ret_value)
{
    char *end;
    float value = strtof(text, &end);
    if (end == text || *end || !(value >= 1.0f) || value > 1000.0f)
        return false;
    *ret_value = value;
    return true;
}

static bool parse_bool(const char *text, bool *ret_value)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return false;
    *ret_value = yes;
    return true;
}

/* KEY=VALUE of "add". */
static int set_dial_option(weft_dial_options *o, const char *arg, char *text)
{
    const char *value = strchr(arg, '=');
    int len = (int)(value ? value - arg : 0);
#define IS(name) (len == (int)sizeof(name) - 1 && memcmp(arg, name, sizeof(name) - 1) == 0)
    bool known = true, good = false;
    if (IS("persistent"))
        good = parse_bool(value + 1, &o->persistent);
    else if (IS("max_attempts"))
        good = parse_u32(value + 1, &o->max_attempts);
    else if (IS("backoff_ms"))
        good = parse_u32(value + 1, &o->backoff_ms);
    else if (IS("max_backoff_ms"))
        good = parse_u32(value + 1, &o->max_backoff_ms);
    else if (IS("multiplier"))
        good = parse_multiplier(value + 1, &o->multiplier);
    else
        known = false;
#undef IS
    if (good)
        return 0;
    if (known)
        snprintf(text, TEXT_SIZE,
                 "add: \"%.200s\": persistent is true or false, multiplier 1 or more, the others "
                 "are whole numbers",
                 arg);
    else
        snprintf(text, TEXT_SIZE,
                 "add: \"%.200s\" is none of persistent=, max_attempts=, backoff_ms=, "
                 "max_backoff_ms=, multiplier=",
                 arg);
    return WEFT_EINVAL;
}

static int do_add(weft_node *node, const char *const *args, char *text)
{
    weft_dial_options options;
    weft_dial_options_init(&options);
    for (size_t i = 1; args[i]; i++) {
        int rc = set_dial_option(&options, args[i], text);
        if (rc < 0)
            return rc;
    }
    int rc = named_add(node, args[0], ADDRBOOK_BY_OPERATOR, &options);
    if (rc < 0)
        return say_url_error(rc, args[0], text);
    save_soon(node);
    snprintf(text, TEXT_SIZE, "%.600s is in the address book and is dialled", args[0]);
    return 0;
}

static int do_remove(weft_node *node, const char *const *args, char *text)
{
    int rc = named_remove(node, args[0]);
    if (rc < 0)
        return say_url_error(rc, args[0], text);
    save_soon(node);
    snprintf(text, TEXT_SIZE,
             rc == 1 ? "%.600s stays in the address book, as the configuration names it"
                     : "%.600s is out of the address book",
             args[0]);
    return 0;
}

static int do_ban(weft_node *node, const char *const *args, char *text)
{
    uint64_t until = UINT64_MAX;
    if (args[1] && (!parse_u64(args[1], &until) || until <= wall_ns())) {
        snprintf(text, TEXT_SIZE,
                 "ban: \"%.200s\" is no time to come, in ns since the epoch; leave it out to ban "
                 "for ever",
                 args[1]);
        return WEFT_EINVAL;
    }
    int rc = weft_node_ban(node, args[0], until);
    if (rc < 0)
        return say_url_error(rc, args[0], text);
    if (until == UINT64_MAX)
        snprintf(text, TEXT_SIZE, "%.600s is banned for ever", args[0]);
    else
        snprintf(text, TEXT_SIZE, "%.600s is banned for %" PRIu64 " s", args[0],
                 (until - wall_ns()) / NS_PER_SEC);
    return 0;
}

static int do_unban(weft_node *node, const char *const *args, char *text)
{
    int rc = weft_node_ban(node, args[0], 0);
    if (rc < 0)
        return say_url_error(rc, args[0], text);
    snprintf(text, TEXT_SIZE, "%.600s is not banned", args[0]);
    return 0;
}

static int do_pin(weft_node *node, const char *const *args, char *text)
{
    int rc = weft_node_pin(node, args[0], true);
    if (rc < 0)
        return say_url_error(rc, args[0], text);
    snprintf(text, TEXT_SIZE, "%.600s is kept and dialled for ever", args[0]);
    return 0;
}

static int do_unpin(weft_node *node, const char *const *args, char *text)
{
    int rc = weft_node_pin(node, args[0], false);
    if (rc < 0)
        return say_url_error(rc, args[0], text);
    snprintf(text, TEXT_SIZE, "%.600s is given up when it does not answer", args[0]);
    return 0;
}

struct verb {
    const char *name, *usage;
    size_t min_args, max_args;
    verb_fn *run;
};

static const struct verb verbs[] = {
    {"log", "log LEVEL", 1, 1, do_log},
    {"add", "add URL [KEY=VALUE]...", 1, ARGS_MAX, do_add},
    {"remove", "remove URL", 1, 1, do_remove},
    {"ban", "ban URL [UNTIL]", 1, 2, do_ban},
    {"unban", "unban URL", 1, 1, do_unban},
    {"pin", "pin URL", 1, 1, do_pin},
    {"unpin", "unpin URL", 1, 1, do_unpin},
};

/* ---- Commands ---- */

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static int run_verb(weft_node *node, const struct verb *verb, const char *const *args, char *text)
{
    static const char *const none[] = {NULL};
    size_t count = 0;
    args = args ? args : none;
    while (args[count])
        count++;
    if (count >= verb->min_args && count <= verb->max_args)
        return verb->run(node, args, text);
    snprintf(text, TEXT_SIZE, "%s: %s; usage: %s", verb->name,
             count < verb->min_args ? "an argument is missing" : "too many arguments", verb->usage);
    return WEFT_EINVAL;
}

/* The program's own. */
static int run_foreign(weft_node *node, const weft_command *command, char **ret_text)
{
    char *said = NULL;
    int rc = node->options.on_command(node, command, &said, node->options.user);
    *ret_text = said ? mem_strdup(said) : NULL;
    mem_free_malloced(said);
    return rc;
}

int command_run(weft_node *node, const weft_command *command, char **ret_text)
{
    char text[TEXT_SIZE] = "";
    const struct verb *verb = find_verb(command->verb);
    int rc = WEFT_ENOTSUP;
    if (!verb && node->options.on_command)
        return run_foreign(node, command, ret_text);
    if (verb)
        rc = run_verb(node, verb, command->args, text);
    else
        snprintf(text, sizeof(text),
                 "this node knows no command \"%.200s\"; it knows log, add, remove, ban, unban, "
                 "pin, unpin",
                 command->verb);
    node_log(node, WEFT_LOG_INFO, "command %.200s: %s", command->verb,
             text[0] ? text : weft_strerror(rc));
    *ret_text = text[0] ? mem_strdup(text) : NULL;
    return rc;
}
