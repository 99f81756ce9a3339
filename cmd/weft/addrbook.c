/* weft addrbook: finds the verb, takes the command line apart, and runs it. A verb has a file of
 * its own, or shares one with its likes; addrbook.h says what they have in common. */
#include "addrbook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/suggest.h"
#include "../common/units.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_DAY (UINT64_C(86400000) * NS_PER_MS)
#define DAYS_MAX 36500

static const struct verb *const verbs[] = {&dump_verb,  &why_verb,   &add_verb, &remove_verb,
                                           &ban_verb,   &unban_verb, &pin_verb, &unpin_verb,
                                           &merge_verb, &check_verb};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))
#define FAMILY "addrbook " /* a verb's name begins with it */

enum {
    OPTION_TIMEOUT = OPTION_OWN,
    OPTION_JSON,
    OPTION_TSV,
    OPTION_TEXT,
    OPTION_DRY_RUN,
    OPTION_FROM,
    OPTION_PERSISTENT,
    OPTION_NO_PERSISTENT,
    OPTION_MAX_ATTEMPTS,
    OPTION_BACKOFF,
    OPTION_MAX_BACKOFF,
    OPTION_MULTIPLIER,
    OPTION_FOR,
    OPTION_UNTIL,
    OPTION_REPAIR,
};

static const struct option options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"tsv", no_argument, NULL, OPTION_TSV},
    {"text", no_argument, NULL, OPTION_TEXT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"network", required_argument, NULL, OPTION_NETWORK},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"from", required_argument, NULL, OPTION_FROM},
    {"persistent", no_argument, NULL, OPTION_PERSISTENT},
    {"no-persistent", no_argument, NULL, OPTION_NO_PERSISTENT},
    {"max-attempts", required_argument, NULL, OPTION_MAX_ATTEMPTS},
    {"backoff", required_argument, NULL, OPTION_BACKOFF},
    {"max-backoff", required_argument, NULL, OPTION_MAX_BACKOFF},
    {"multiplier", required_argument, NULL, OPTION_MULTIPLIER},
    {"for", required_argument, NULL, OPTION_FOR},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {"repair", no_argument, NULL, OPTION_REPAIR},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Which verbs take an option: one of what it says must be among what the verb takes. */
static unsigned taken_by(int option)
{
    switch (option) {
    case OPTION_JSON:
        return TAKES_FORM | TAKES_JSON;
    case OPTION_TSV:
    case OPTION_TEXT:
        return TAKES_FORM;
    case OPTION_TIMEOUT:
    case OPTION_NETWORK:
        return TAKES_LINK;
    case OPTION_DRY_RUN:
        return TAKES_DRY_RUN;
    case OPTION_FOR:
    case OPTION_UNTIL:
        return TAKES_UNTIL;
    case OPTION_REPAIR:
    case 'o':
        return TAKES_REPAIR;
    default:
        return TAKES_POLICY;
    }
}

static const char *option_name(int option)
{
    size_t i = 0;
    while (options[i].name && options[i].val != option)
        i++;
    return options[i].name ? options[i].name : "";
}

/* ---- Values ------------------------------------------------------------------------------------
 */

static int take_form(struct job *job, enum table_form form)
{
    if (job->has_form)
        return usage_error(&job->verb->command, "give one of --json, --tsv and --text");
    job->has_form = true;
    job->form = form;
    return EXIT_OK;
}

static int take_timeout(struct job *job)
{
    if (parse_seconds(optarg, &job->timeout_ms) && job->timeout_ms && job->timeout_ms <= 3600000)
        return EXIT_OK;
    return usage_error(&job->verb->command, "--timeout %s: expected seconds or %s, up to 1h",
                       optarg, DURATION_EXPECTED);
}

/* "7d" besides what durations are otherwise. */
static bool parse_span(const char *text, uint64_t *ret_ns)
{
    char number[16];
    uint64_t days;
    uint32_t ms;
    size_t n = strlen(text);
    if (n > 1 && n < sizeof(number) && text[n - 1] == 'd') {
        snprintf(number, sizeof(number), "%.*s", (int)(n - 1), text);
        if (!count_parse(number, 1, DAYS_MAX, &days))
            return false;
        *ret_ns = days * NS_PER_DAY;
        return true;
    }
    if (!duration_parse(text, 0, &ms) || !ms)
        return false;
    *ret_ns = ms * NS_PER_MS;
    return true;
}

static int take_until(int option, struct job *job)
{
    uint64_t now = wall_clock(), span;
    if (job->until_given)
        return usage_error(&job->verb->command, "give one of --for and --until");
    job->until_given = true;
    if (option == OPTION_FOR && !parse_span(optarg, &span))
        return usage_error(&job->verb->command,
                           "--for %s: expected a duration such as 30m, 12h or "
                           "7d",
                           optarg);
    if (option == OPTION_UNTIL && !time_parse(optarg, &job->until))
        return usage_error(&job->verb->command, "--until %s: expected %s", optarg, TIME_EXPECTED);
    if (option == OPTION_FOR)
        job->until = now + span;
    else if (job->until <= now)
        return usage_error(&job->verb->command, "--until %s: that is past", optarg);
    return EXIT_OK;
}

static int take_pause(int option, struct job *job, uint32_t *ret_ms)
{
    if (duration_parse(optarg, 1000, ret_ms) && *ret_ms)
        return EXIT_OK;
    return usage_error(&job->verb->command, "--%s %s: expected seconds or %s", option_name(option),
                       optarg, DURATION_EXPECTED);
}

static int take_numbers(int option, struct job *job)
{
    uint64_t n;
    if (option == OPTION_MAX_ATTEMPTS) {
        if (!count_parse(optarg, 1, UINT32_MAX, &n))
            return usage_error(&job->verb->command, "--max-attempts %s: expected a number from 1",
                               optarg);
        job->policy.max_attempts = (uint32_t)n;
        job->policy_given |= POLICY_MAX_ATTEMPTS;
        return EXIT_OK;
    }
    if (!decimal_parse(optarg, &n) || n < 1000000 || n > 100000000)
        return usage_error(&job->verb->command, "--multiplier %s: expected a number from 1 to 100",
                           optarg);
    job->policy.multiplier = (float)((double)n / 1e6);
    job->policy_given |= POLICY_MULTIPLIER;
    return EXIT_OK;
}

static int take_policy(int option, struct job *job)
{
    switch (option) {
    case OPTION_FROM:
        job->from = optarg;
        return EXIT_OK;
    case OPTION_PERSISTENT:
    case OPTION_NO_PERSISTENT:
        job->policy.persistent = option == OPTION_PERSISTENT;
        job->policy_given |= POLICY_PERSISTENT;
        return EXIT_OK;
    case OPTION_BACKOFF:
        job->policy_given |= POLICY_BACKOFF;
        return take_pause(option, job, &job->policy.backoff_ms);
    case OPTION_MAX_BACKOFF:
        job->policy_given |= POLICY_MAX_BACKOFF;
        return take_pause(option, job, &job->policy.max_backoff_ms);
    default:
        return take_numbers(option, job);
    }
}

static int take_option(int option, struct job *job)
{
    switch (option) {
    case OPTION_JSON:
        return take_form(job, TABLE_JSON);
    case OPTION_TSV:
        return take_form(job, TABLE_TSV);
    case OPTION_TEXT:
        return take_form(job, TABLE_TEXT);
    case OPTION_TIMEOUT:
        return take_timeout(job);
    case OPTION_DRY_RUN:
        job->dry_run = true;
        return EXIT_OK;
    case OPTION_FOR:
    case OPTION_UNTIL:
        return take_until(option, job);
    case OPTION_REPAIR:
        job->repair = true;
        return EXIT_OK;
    case 'o':
        job->out = optarg;
        return EXIT_OK;
    default:
        return take_policy(option, job);
    }
}

/* ---- The command line --------------------------------------------------------------------------
 */

static int check_arguments(int argc, char **argv, struct job *job)
{
    const struct verb *v = job->verb;
    size_t n = (size_t)(argc - optind);
    if (n < 1 + v->args_min || n - 1 > v->args_max)
        return usage_error(&v->command, "expected %s", v->expected);
    job->book = argv[optind];
    job->args = argv + optind + 1;
    job->n_args = n - 1;
    if (!is_url(job->book))
        return EXIT_OK;
    char why[512];
    if (weft_url_check(job->book, NULL) == 0)
        return EXIT_OK;
    weft_url_explain(job->book, why, sizeof(why));
    return usage_error(&v->command, "not a peer URL: %s", why);
}

static int parse(int argc, char **argv, struct job *job, bool *ret_done)
{
    const struct command *command = &job->verb->command;
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, "ho:", options)) != -1) {
        if (option != 'h' && option != '?' && !(taken_by(option) & job->verb->takes))
            return usage_error(command, "--%s is no option of '%s'", option_name(option),
                               command->name);
        int taken = option == 'o' ? 0 : link_option(option, command, &job->link, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, job)) != EXIT_OK)
            return code;
    }
    return check_arguments(argc, argv, job);
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    char name[64];
    struct job job = {.verb = verb, .timeout_ms = 5000, .form = TABLE_COLUMNS};
    bool done = false;
    weft_dial_options_init(&job.policy);
    snprintf(name, sizeof(name), "weft %s", verb->command.name);
    argv[0] = name; /* getopt's own messages begin with it */
    int code = parse(argc, argv, &job, &done);
    if (code == EXIT_OK && !done)
        code = verb->run(&job);
    link_fini(&job.link);
    return code;
}

static const char *short_name(const struct verb *verb)
{
    return verb->command.name + strlen(FAMILY);
}

static int no_verb(const char *word)
{
    const char *names[VERBS];
    for (size_t i = 0; i < VERBS; i++)
        names[i] = short_name(verbs[i]);
    const char *near = suggest(word, names, VERBS, sizeof(names[0]));
    if (near)
        return usage_error(&addrbook_command, "no verb '%s'; did you mean '%s'?", word, near);
    return usage_error(&addrbook_command,
                       "no verb '%s'; there are dump, why, add, remove, ban, unban, pin, unpin, "
                       "merge and check",
                       word);
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return usage_error(&addrbook_command, "expected a verb, such as dump, why or add");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(addrbook_command.help, stdout);
        return EXIT_OK;
    }
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(argv[1], short_name(verbs[i])) == 0)
            return run_verb(verbs[i], argc - 1, argv + 1);
    return no_verb(argv[1]);
}

const struct command addrbook_command = {
    .name = "addrbook",
    .run = run,
    .summary = "look into and change the address book of a file or a live node",
    .help = "usage: weft addrbook VERB FILE|URL [PEER...] [options]\n"
            "\n"
            "Looks into or changes an address book: of a file, which a running node keeps\n"
            "for itself, or, where there is a \"://\", of the live node at that URL.\n"
            "\n"
            "  dump      print all entries\n"
            "  why       all that is known of a peer, and what happens next\n"
            "  add       add peers, or what 'dump --json' wrote\n"
            "  remove    drop peers, with all names of their nodes\n"
            "  ban       neither dial peers nor take their links, for ever or for a while\n"
            "  unban     lift a ban\n"
            "  pin       keep peers and dial them for ever\n"
            "  unpin     give peers up as others\n"
            "  merge     take into a file what other books know\n"
            "  check     is a file sound; repair it\n"
            "\n"
            "'weft addrbook VERB --help' tells more. A file is saved as a whole or not at\n"
            "all; what was done is printed, a line an entry. A live node takes changes over\n"
            "its unix socket, unless its configuration says otherwise.\n"
            "\n"
            "Exit codes: 0 done; 1 it failed; 2 wrong usage.\n",
};
