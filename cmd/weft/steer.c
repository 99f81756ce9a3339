/* weft reload, weft log: tell a running node to do something. They link to it as its leaf, so that
 * no other hears of it, and wait for what it says. */
#include <stdio.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/report_json.h"
#include "../common/suggest.h"
#include "../common/units.h"
#include "inspect.h"

#define TIMEOUT_MAX_MS 3600000

enum { OPTION_DRY_RUN = OPTION_INSPECT };

struct steer {
    const struct command *command;
    struct link_options link;
    struct session session;
    const char *url;
    uint32_t timeout_ms;
    bool dry_run, json;
};

static int take_option(int option, struct steer *s)
{
    s->dry_run = s->dry_run || option == OPTION_DRY_RUN;
    s->json = s->json || option == OPTION_JSON;
    if (option == OPTION_TIMEOUT && (!parse_seconds(optarg, &s->timeout_ms) || s->timeout_ms == 0 ||
                                     s->timeout_ms > TIMEOUT_MAX_MS))
        return usage_error(s->command, "--timeout %s: expected seconds or %s, up to 1h", optarg,
                           DURATION_EXPECTED);
    return EXIT_OK;
}

/* The options, then `words` arguments of which the last is the URL. */
static int parse(int argc, char **argv, const struct option *options, int words, struct steer *s,
                 bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "h", options)) != -1) {
        int taken = link_option(option, s->command, &s->link, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, s)) != EXIT_OK)
            return code;
    }
    if (argc - optind != words)
        return usage_error(s->command, "expected %sone URL, such as unix:///run/weft/weftd.sock/",
                           words == 2 ? "a level and " : "");
    s->url = argv[argc - 1];
    return link_url(s->url, s->command, &s->link);
}

static int told(const struct steer *s, int rc, const char *text)
{
    char *safe = text_safe_copy(text ? text : weft_strerror(rc));
    int code = failure("%s: %s", s->url, safe);
    xfree(safe);
    return code;
}

/* Link and have the command done. EXIT_OK with what the node said in *ret_text (or NULL), or
 * another exit code after an explanation. */
static int command(struct steer *s, const struct weft_command *c, char **ret_text)
{
    weft_options o;
    char *text = NULL;
    s->session.quiet = true;
    s->link.role = WEFT_ROLE_LEAF;
    session_options(&s->link, &o);
    o.linger_ms = 1000;
    int code = session_open(&s->session, &o);
    if (code != EXIT_OK)
        return code;
    code = session_wait_link(&s->session, s->url, deadline_after(s->timeout_ms));
    if (code == EXIT_OK) {
        int rc = weft_node_command(s->session.node, s->session.peer, c, (int)s->timeout_ms, &text);
        if (rc == 0) {
            *ret_text = text;
        } else {
            code = told(s, rc, text);
            weft_free(text);
        }
    }
    session_close(&s->session);
    return code;
}

/* ---- weft reload ------------------------------------------------------------------------------
 */

static const struct option reload_options[] = {
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"json", no_argument, NULL, OPTION_JSON},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"network", required_argument, NULL, OPTION_NETWORK},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* A line for each member "text" of the array's objects. */
static size_t print_texts(FILE *out, const json_t *array)
{
    const json_t *item;
    size_t i;
    json_array_foreach(array, i, item)
    {
        const char *text = json_string_value(json_object_get(item, "text"));
        char *safe = text_safe_copy(text ? text : "");
        fprintf(out, "%s\n", safe);
        xfree(safe);
    }
    return json_array_size(array);
}

static bool any_failed(const json_t *changes)
{
    const json_t *item;
    size_t i;
    json_array_foreach(changes, i, item)
    {
        if (json_is_string(json_object_get(item, "error")))
            return true;
    }
    return false;
}

static int print_answer(const json_t *changes, const json_t *problems)
{
    if (print_texts(stderr, problems) > 0)
        fputs("weft: nothing was changed; correct this and reload again\n", stderr);
    else if (print_texts(stdout, changes) == 0)
        puts("nothing is different");
    return output_done();
}

/* What the node said, checked: it came over the network. */
static int show_reload(const struct steer *s, const char *text)
{
    json_t *answer = json_loads(text ? text : "", 0, NULL);
    const json_t *changes = json_object_get(answer, "changes");
    const json_t *problems = json_object_get(answer, "problems");
    if (!json_is_array(changes) || !json_is_array(problems)) {
        json_decref(answer);
        return failure("%s: the answer is not understood; is it a weftd of another version?",
                       s->url);
    }
    bool failed = json_array_size(problems) || any_failed(changes);
    int code = s->json ? print_json(json_incref(answer), false) : print_answer(changes, problems);
    json_decref(answer);
    return failed ? EXIT_FAILED : code;
}

static int run_reload(int argc, char **argv)
{
    struct steer s = {.command = &reload_command, .timeout_ms = 5000};
    const char *args[] = {"json", NULL, NULL};
    char *text = NULL;
    bool done = false;
    int code = parse(argc, argv, reload_options, 1, &s, &done);
    if (code == EXIT_OK && !done) {
        if (s.dry_run)
            args[1] = "dry-run";
        code = command(&s, &(struct weft_command){.verb = "reload", .args = args}, &text);
        if (code == EXIT_OK)
            code = show_reload(&s, text);
        weft_free(text);
    }
    link_fini(&s.link);
    return code;
}

const struct command reload_command = {
    .name = "reload",
    .run = run_reload,
    .summary = "have a weftd read its configuration anew",
    .help = "usage: weft reload URL [--dry-run] [--json] [--timeout S] [--network NAME]\n"
            "\n"
            "Has the weftd at URL read its configuration file anew and apply what is\n"
            "different, and tells what that was: peers added, dropped and rescheduled,\n"
            "limits, log level and format. Links of peers that stay are not touched.\n"
            "Settings that take a restart are named. If the file is wrong all that is wrong\n"
            "is told and nothing is changed. Peers and levels that were set by commands are\n"
            "not in the file and stay. A peer that is dropped is told to forget this node;\n"
            "if its own configuration names this node, it dials and is linked again: ban\n"
            "what is to stay away. Access: see 'access' in 'weftd --help'.\n"
            "\n"
            "      --dry-run       only tell what would be done\n"
            "      --json          as one JSON object: dry_run, file, changes, problems\n"
            "      --timeout S     seconds to wait for link and answer (default 5)\n"
            "      --network NAME  the mesh's network name, where it has one\n"
            "  -h, --help          this text\n"
            "\n"
            "Exit codes: 0 done; 1 the file is wrong, a change failed, it is not allowed, or\n"
            "there was no link; 2 wrong usage.\n",
};

/* ---- weft log ---------------------------------------------------------------------------------
 */

static const struct option log_options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"network", required_argument, NULL, OPTION_NETWORK},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int check_level(const char *level)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(levels[i], level) == 0)
            return EXIT_OK;
    const char *near = suggest(level, levels, 4, sizeof(levels[0]));
    return usage_error(&log_command, "level %s: expected error, warn, info or debug%s%s%s", level,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int show_level(const struct steer *s, const char *level)
{
    if (s->json)
        return print_json(json_pack("{s:o, s:s}", "url", text_json(s->url), "log_level", level),
                          false);
    printf("%s logs at level %s\n", s->url, level);
    return output_done();
}

static int run_log(int argc, char **argv)
{
    struct steer s = {.command = &log_command, .timeout_ms = 5000};
    const char *args[] = {NULL, NULL};
    char *text = NULL;
    bool done = false;
    int code = parse(argc, argv, log_options, 2, &s, &done);
    if (code == EXIT_OK && !done) {
        args[0] = argv[argc - 2];
        code = check_level(args[0]);
        if (code == EXIT_OK)
            code = command(&s, &(struct weft_command){.verb = "log", .args = args}, &text);
        if (code == EXIT_OK)
            code = show_level(&s, args[0]);
        weft_free(text);
    }
    link_fini(&s.link);
    return code;
}

const struct command log_command = {
    .name = "log",
    .run = run_log,
    .summary = "set how much a node logs",
    .help = "usage: weft log LEVEL URL [--json] [--timeout S] [--network NAME]\n"
            "\n"
            "Sets the log level of the node at URL, until it ends or the level of its\n"
            "configuration changes. LEVEL is error, warn, info or debug. Access: see\n"
            "'access' in 'weftd --help'.\n"
            "\n"
            "      --json          one JSON object: url, log_level\n"
            "      --timeout S     seconds to wait for link and answer (default 5)\n"
            "      --network NAME  the mesh's network name, where it has one\n"
            "  -h, --help          this text\n"
            "\n"
            "Exit codes: 0 done; 1 it failed, it is not allowed, or there was no link; 2\n"
            "wrong usage.\n",
};
