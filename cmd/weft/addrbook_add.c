/* weft addrbook add: peers named on the command line, or entries as `dump --json` writes them. */
#include <inttypes.h>
#include <string.h>

#include "../common/memory.h"
#include "addrbook.h"
#include "book.h"

#define NS_PER_MS UINT64_C(1000000)
#define SETTING_TEXT 48

static const struct deed added = {"added", "would add"}, replaced = {"replaced", "would replace"},
                         configured = {"configured", "would configure"};

/* ---- A file ------------------------------------------------------------------------------------
 */

/* What was said on the command line; the rest is as it was, or the default. */
static void set_policy(const struct job *job, weft_addrbook_entry *e, bool fresh)
{
    const weft_dial_options *p = &job->policy;
    if (fresh || job->policy_given & POLICY_PERSISTENT)
        e->persistent = p->persistent;
    if (job->policy_given & POLICY_MAX_ATTEMPTS)
        e->max_attempts = p->max_attempts;
    if (job->policy_given & POLICY_BACKOFF)
        e->default_backoff_ns = p->backoff_ms * NS_PER_MS;
    if (job->policy_given & POLICY_MAX_BACKOFF)
        e->max_backoff_ns = p->max_backoff_ms * NS_PER_MS;
    if (job->policy_given & POLICY_MULTIPLIER)
        e->multiplier = p->multiplier;
}

static bool is_like(const weft_addrbook_entry *a, const weft_addrbook_entry *b)
{
    return strcmp(a->peer, b->peer) == 0 && a->max_attempts == b->max_attempts &&
           a->default_backoff_ns == b->default_backoff_ns &&
           a->max_backoff_ns == b->max_backoff_ns && !(a->multiplier < b->multiplier) &&
           !(a->multiplier > b->multiplier) && a->attempts == b->attempts &&
           a->failed_attempts == b->failed_attempts && a->last_success == b->last_success &&
           a->backoff_ns == b->backoff_ns && a->persistent == b->persistent &&
           memcmp(a->node_id, b->node_id, sizeof(a->node_id)) == 0 &&
           strcmp(a->source, b->source) == 0 && a->origin == b->origin &&
           strcmp(a->last_error, b->last_error) == 0 && a->banned_until == b->banned_until &&
           a->added == b->added && a->in_config == b->in_config;
}

/* Put it, and tell what became of it. */
static int put(struct edit *e, const weft_addrbook_entry *entry, struct deed instead)
{
    const weft_addrbook_entry *known = weft_addrbook_find(e->book, entry->peer);
    bool was_known = known;
    if (known && is_like(known, entry)) {
        edit_unchanged(e, entry->peer, "it is in the book already");
        return EXIT_OK;
    }
    int code = edit_put(e, entry);
    if (code == EXIT_OK && edit_in_memory(e))
        edit_tell(e, was_known ? instead : added, entry->peer, "%s", "");
    return code;
}

static int add_to_file(struct edit *e, const char *url)
{
    weft_addrbook_entry entry = {.added = wall_clock()};
    const weft_addrbook_entry *known = weft_addrbook_find(e->book, url);
    char *source = xcopy(known ? known->source : "", strlen(known ? known->source : ""));
    char *error = xcopy(known ? known->last_error : "", strlen(known ? known->last_error : ""));
    if (known)
        entry = *known;
    set_policy(e->job, &entry, !known || !entry_configured(known));
    entry.peer = url;
    entry.source = source;
    entry.last_error = error;
    entry.origin = WEFT_ORIGIN_OPERATOR;
    int code = put(e, &entry, configured);
    xfree(source);
    xfree(error);
    return code;
}

/* ---- A live node -------------------------------------------------------------------------------
 */

struct settings {
    char text[5][SETTING_TEXT];
    const char *args[7]; /* URL, settings, NULL */
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void setting(struct settings *s, const char *format,
                                                          ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->text[s->n], SETTING_TEXT, format, args);
    va_end(args);
    s->args[1 + s->n] = s->text[s->n];
    s->n++;
}

static int add_at_node(struct edit *e, const char *url, const weft_dial_options *p, unsigned given)
{
    struct settings s = {.args = {url}};
    setting(&s, "persistent=%s", p->persistent ? "true" : "false");
    if (given & POLICY_MAX_ATTEMPTS)
        setting(&s, "max_attempts=%" PRIu32, p->max_attempts);
    if (given & POLICY_BACKOFF)
        setting(&s, "backoff_ms=%" PRIu32, p->backoff_ms);
    if (given & POLICY_MAX_BACKOFF)
        setting(&s, "max_backoff_ms=%" PRIu32, p->max_backoff_ms);
    if (given & POLICY_MULTIPLIER)
        setting(&s, "multiplier=%g", (double)p->multiplier);
    int code = edit_at_node(e, "add", s.args);
    if (code == EXIT_OK)
        edit_tell(e, weft_addrbook_find(e->book, url) ? configured : added, url, "%s", "");
    return code;
}

static uint32_t to_ms(uint64_t ns)
{
    return ns / NS_PER_MS > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / NS_PER_MS);
}

/* A node takes the policy of an entry and its ban; its history is the node's own. */
static int entry_at_node(struct edit *e, const weft_addrbook_entry *entry)
{
    char ns[24];
    const char *const ban[] = {entry->peer, ns, NULL};
    weft_dial_options p;
    weft_dial_options_init(&p);
    p.persistent = entry->persistent;
    p.max_attempts = entry->max_attempts;
    p.backoff_ms = to_ms(entry->default_backoff_ns);
    p.max_backoff_ms = to_ms(entry->max_backoff_ns);
    p.multiplier = entry->multiplier;
    int code =
        add_at_node(e, entry->peer, &p,
                    POLICY_MAX_ATTEMPTS | POLICY_BACKOFF | POLICY_MAX_BACKOFF | POLICY_MULTIPLIER);
    if (code != EXIT_OK || entry->banned_until <= wall_clock())
        return code;
    snprintf(ns, sizeof(ns), "%" PRIu64, entry->banned_until);
    code = edit_at_node(e, "ban", ban);
    if (code == EXIT_OK)
        edit_tell(e, (struct deed){"banned", "would ban"}, entry->peer, "%s", "");
    return code;
}

/* ---- Both --------------------------------------------------------------------------------------
 */

static int add_book(struct edit *e, const weft_addrbook *book)
{
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < book->count; i++)
        code = e->live ? entry_at_node(e, &book->entries[i]) : put(e, &book->entries[i], replaced);
    return code;
}

static int add_words(struct edit *e)
{
    const struct job *job = e->job;
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < job->n_args; i++)
        code = e->live ? add_at_node(e, job->args[i], &job->policy, job->policy_given)
                       : add_to_file(e, job->args[i]);
    return code;
}

static int check_words(const struct job *job)
{
    char why[512];
    for (size_t i = 0; i < job->n_args; i++) {
        if (weft_url_check(job->args[i], NULL) == 0)
            continue;
        if (!is_url(job->args[i]))
            return failure("%s is not a URL: add wants one, such as "
                           "tcp://10.0.0.2:7400/robot.arm; why, ban and the others take a path, "
                           "too, of a peer that the book has",
                           job->args[i]);
        weft_url_explain(job->args[i], why, sizeof(why));
        return failure("%s", why);
    }
    return EXIT_OK;
}

static int run_add(struct job *job)
{
    struct edit e;
    weft_addrbook *book = NULL;
    if (!job->from == !job->n_args)
        return usage_error(&job->verb->command, "give peer URLs, or --from FILE with entries, one "
                                                "of the two");
    if (job->from && job->policy_given)
        return usage_error(&job->verb->command,
                           "--from FILE says for each entry how it is dialled; leave --persistent "
                           "and the like out");
    int code = job->from ? book_read_json(job->from, &book) : check_words(job);
    if (code == EXIT_OK)
        code = edit_open(&e, job, true);
    if (code == EXIT_OK)
        code = edit_finish(&e, job->from ? add_book(&e, book) : add_words(&e));
    weft_addrbook_free(book);
    return code;
}

const struct verb add_verb = {
    .command =
        {
            .name = "addrbook add",
            .summary = "add peers, or what 'dump --json' wrote",
            .help =
                "usage: weft addrbook add FILE|URL PEER_URL... [options]\n"
                "       weft addrbook add FILE|URL --from BOOK.json [options]\n"
                "\n"
                "Adds peers, which stay whatever the node's configuration names; a live node\n"
                "dials them at once. A file is made if there is none. --from takes entries with\n"
                "all they hold, as 'weft addrbook dump --json' writes them, in the place of\n"
                "entries with the same address; a live node takes how they are dialled, and\n"
                "their bans.\n"
                "\n"
                "      --from FILE     entries as JSON, - for standard input\n"
                "      --persistent    dial for ever (the default)\n"
                "      --no-persistent  give up after --max-attempts failures in a row\n"
                "      --max-attempts N  failures in a row before it is given up (default 10)\n"
                "      --backoff D     first pause after a failure (default 1s)\n"
                "      --max-backoff D  longest pause (default 1m)\n"
                "      --multiplier X  growth of the pause (default 1.5)\n" ADDRBOOK_CHANGE_HELP
                    ADDRBOOK_LINK_HELP "\n"
                "Exit codes: 0 done; 1 it failed, a file is as before; 2 wrong usage.\n",
        },
    .run = run_add,
    .takes = TAKES_JSON | TAKES_DRY_RUN | TAKES_LINK | TAKES_POLICY,
    .args_min = 0,
    .args_max = SIZE_MAX,
    .expected = "a file or URL, and the peers to add",
};
