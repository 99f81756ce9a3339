/* weft addrbook why: what is known of a peer, where it came from, and what happens to it next. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/report_json.h"
#include "../common/units.h"
#include "../common/words.h"
#include "addrbook.h"
#include "book.h"
#include "inspect.h"

#define NS_PER_MS UINT64_C(1000000)
#define INCIDENTS_MAX 5 /* the latest */
#define NEXT_TEXT 320

/* What there is to tell from; of a file the report is empty. */
struct inquiry {
    const weft_addrbook *book;
    const weft_report *report;
    bool live;
    uint64_t now;
};

static int read_inquiry(const struct job *job, weft_addrbook **ret_book, weft_report **ret_report)
{
    struct session s;
    if (!is_url(job->book))
        return book_get(job, job->book, ret_book);
    int code = live_open(job, job->book, &s);
    if (code != EXIT_OK)
        return code;
    code = live_report(job, &s, WEFT_PART_PEERS | WEFT_PART_INCIDENTS, ret_book, ret_report);
    session_close(&s);
    return code;
}

/* ---- Facts -------------------------------------------------------------------------------------
 */

static bool id_is(const uint8_t *a, const uint8_t *b)
{
    static const uint8_t none[16];
    return memcmp(a, none, sizeof(none)) != 0 && memcmp(a, b, sizeof(none)) == 0;
}

/* The link to it, by this name or another. */
static const weft_peer_info *link_of(const struct inquiry *q, const weft_addrbook_entry *e)
{
    for (size_t i = 0; e->linked && q->report && i < q->report->n_peers; i++) {
        const weft_peer_info *p = &q->report->peers[i];
        if (strcmp(p->state, "linked") == 0 &&
            (strcmp(p->url, e->peer) == 0 || id_is(e->node_id, p->node_id)))
            return p;
    }
    return NULL;
}

/* Of this or another name of the node. */
static uint64_t node_banned_until(const struct inquiry *q, const weft_addrbook_entry *e)
{
    uint64_t until = e->banned_until;
    for (size_t i = 0; i < q->book->count; i++) {
        const weft_addrbook_entry *other = &q->book->entries[i];
        if (same_node(e, other) && other->banned_until > until)
            until = other->banned_until;
    }
    return until > q->now ? until : 0;
}

/* As 'weft peers' has it, which lists what is not linked by the names of the book. */
static const char *state_of(const struct inquiry *q, const weft_addrbook_entry *e)
{
    for (size_t i = 0; q->report && i < q->report->n_peers; i++)
        if (strcmp(q->report->peers[i].url, e->peer) == 0)
            return q->report->peers[i].state;
    return entry_state(e, q->now);
}

static bool is_given_up(const weft_addrbook_entry *e)
{
    return !e->persistent && e->max_attempts && e->failed_attempts >= e->max_attempts;
}

static const char *in_text(uint64_t ns, char buf[UNITS_TEXT])
{
    return ns >= NS_PER_MS ? ns_format(ns, buf) : "a moment";
}

/* When a node is not there to say so. */
static const char *next_of_file(const weft_addrbook_entry *e)
{
    if (is_given_up(e) && !e->last_success)
        return "A node that opens this book dials it once more, and drops it if that fails.";
    if (is_given_up(e))
        return "It is given up: a node that opens this book dials it once, and then only every 5 "
               "to 15 minutes.";
    return "A node that opens this book dials it within two seconds.";
}

/* What happens to it next, in a sentence. */
static const char *next_of(const struct inquiry *q, const weft_addrbook_entry *e,
                           char buf[NEXT_TEXT])
{
    char when[TIME_TEXT], in[UNITS_TEXT];
    uint64_t banned = node_banned_until(q, e);
    if (banned == UINT64_MAX)
        return "It is banned for ever: it is not dialled, and its links are refused, until 'weft "
               "addrbook unban'.";
    if (banned)
        snprintf(buf, NEXT_TEXT,
                 "It is banned until %s, for %s more: until then it is not dialled, and its links "
                 "are refused.",
                 time_format(banned, 0, when), ns_format(banned - q->now, in));
    else if (!q->live)
        return next_of_file(e);
    else if (e->linked)
        return "It is linked; nothing is to be done.";
    else if (e->dialing)
        return "It is being dialled now.";
    else if (!q->report)
        snprintf(buf, NEXT_TEXT, "The node does not tell when it dials next; %s at the latest.",
                 ns_format(e->max_backoff_ns, in));
    else if (!e->next_dial_ns)
        return "No dial is planned; it may dial us, or be heard of again.";
    else if (is_given_up(e))
        snprintf(buf, NEXT_TEXT,
                 "It is given up after %" PRIu32 " failures, and dialled next in %s.",
                 e->failed_attempts, in_text(e->next_dial_ns, in));
    else
        snprintf(buf, NEXT_TEXT, "It is dialled next in %s.", in_text(e->next_dial_ns, in));
    return buf;
}

/* ---- For people --------------------------------------------------------------------------------
 */

static void label(const char *name)
{
    printf("  %-12s ", name);
}

static void safe(const char *text)
{
    text_safe(stdout, text, strlen(text));
}

static void tell_time(const char *name, uint64_t ns)
{
    char text[TIME_TEXT];
    struct cell ago = {.now = wall_clock()};
    if (!ns)
        return;
    label(name);
    if (ns == UINT64_MAX)
        puts("for ever");
    else
        printf("%s (%s)\n", time_format(ns, 0, text), cell_time(ns, &ago));
}

static const char *origin_text(const weft_addrbook_entry *e)
{
    switch (e->origin) {
    case WEFT_ORIGIN_CONFIGURED:
        return e->in_config ? "the configuration" : "configured here, or added by the operator";
    case WEFT_ORIGIN_GOSSIP:
        return "told";
    case WEFT_ORIGIN_INBOUND:
        return "it dialled us";
    case WEFT_ORIGIN_OBSERVED:
        return "observed: what a peer calls itself, banned by the operator, or configured once";
    case WEFT_ORIGIN_OPERATOR:
        return e->in_config ? "an operator; the configuration names it, too" : "an operator";
    }
    return "unknown";
}

static void tell_origin(const weft_addrbook_entry *e)
{
    label("name from");
    fputs(origin_text(e), stdout);
    /* An entry that was heard of first and configured later keeps its source. */
    if (!entry_configured(e) && *e->source && strcmp(e->source, e->peer) != 0) {
        fputs(" by ", stdout);
        safe(e->source);
    }
    putchar('\n');
}

static void tell_dials(const weft_addrbook_entry *e)
{
    char first[UNITS_TEXT], longest[UNITS_TEXT], now[UNITS_TEXT];
    label("dials");
    printf("%" PRIu32 ", %" PRIu32 " failed in a row", e->attempts, e->failed_attempts);
    if (e->persistent)
        puts("; pinned, never given up");
    else
        printf("; given up at %" PRIu32 "\n", e->max_attempts);
    label("pause");
    if (e->backoff_ns)
        printf("up to %s now; ", ns_format(e->backoff_ns, now));
    printf("%s at first, then %.3g times that each, %s at most\n",
           ns_format(e->default_backoff_ns, first), (double)e->multiplier,
           ns_format(e->max_backoff_ns, longest));
}

static void tell_link(const struct inquiry *q, const weft_addrbook_entry *e)
{
    const weft_peer_info *p = link_of(q, e);
    char text[UNITS_TEXT];
    if (!p)
        return;
    tell_time("linked since", q->now - p->uptime_ms * NS_PER_MS);
    label("link");
    printf("%s", p->inbound ? "it dialled" : "we dialled");
    if (p->rtt_ns)
        printf(", round trip %s", ns_format(p->rtt_ns, text));
    if (*p->agent) {
        fputs(", ", stdout);
        safe(p->agent);
    }
    putchar('\n');
}

static void tell_names(const struct inquiry *q, const weft_addrbook_entry *e)
{
    char text[NODE_ID_TEXT];
    if (*node_id_format(e->node_id, text)) {
        label("node id");
        puts(text);
    }
    for (size_t i = 0; i < q->book->count; i++) {
        const weft_addrbook_entry *other = &q->book->entries[i];
        if (other == e || !same_node(e, other))
            continue;
        label("also");
        safe(other->peer);
        putchar('\n');
    }
}

static bool is_about(const weft_incident *i, const char *peer)
{
    return strcmp(i->peer, peer) == 0;
}

/* What lately went wrong with a peer. Returns how many lines that were. */
static size_t tell_incidents(const struct inquiry *q, const char *peer)
{
    const weft_report *r = q->report;
    size_t shown = 0, first = r ? r->n_incidents : 0;
    while (first > 0 && shown < INCIDENTS_MAX) /* oldest first, but no more than the latest few */
        shown += is_about(&r->incidents[--first], peer);
    for (size_t i = first; r && i < r->n_incidents; i++) {
        const weft_incident *it = &r->incidents[i];
        struct cell ago = {.now = q->now};
        if (!is_about(it, peer))
            continue;
        label("lately");
        printf("%s, %s", cell_time(it->time, &ago), event_word((int)it->type));
        if (it->count > 1)
            printf(", %" PRIu32 " times", it->count);
        fputs(": ", stdout);
        safe(it->text);
        putchar('\n');
    }
    return shown;
}

static void tell_entry(const struct inquiry *q, const weft_addrbook_entry *e)
{
    char next[NEXT_TEXT];
    safe(e->peer);
    putchar('\n');
    label("state");
    safe(state_of(q, e));
    putchar('\n');
    tell_link(q, e);
    tell_origin(e);
    tell_time("added", e->added);
    tell_names(q, e);
    tell_dials(e);
    tell_time("last success", e->last_success);
    if (*e->last_error) {
        label("last error");
        safe(e->last_error);
        putchar('\n');
    }
    tell_time("banned until", node_banned_until(q, e));
    tell_incidents(q, e->peer);
    puts(next_of(q, e, next));
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

/* The entry as reports have it, with what else there is to it. */
static json_t *entry_json(const struct inquiry *q, const weft_addrbook_entry *e)
{
    char next[NEXT_TEXT];
    weft_addrbook one = {.entries = (weft_addrbook_entry *)(uintptr_t)e, .count = 1};
    weft_report part = {.book = &one};
    if (q->report && q->report->incidents)
        part.incidents = xresize(NULL, (q->report->n_incidents + 1) * sizeof(*part.incidents));
    for (size_t i = 0; part.incidents && i < q->report->n_incidents; i++)
        if (is_about(&q->report->incidents[i], e->peer))
            part.incidents[part.n_incidents++] = q->report->incidents[i];
    json_t *whole = report_json(&part), *o = NULL;
    const weft_peer_info *link = link_of(q, e);
    if (whole)
        o = json_incref(json_array_get(json_object_get(whole, "addrbook"), 0));
    if (o) {
        json_object_set_new(o, "state", text_json(state_of(q, e)));
        json_object_set_new(o, "link", link ? peer_json(link) : json_null());
        json_t *incidents = json_object_get(whole, "incidents");
        json_object_set(o, "incidents", incidents ? incidents : json_null());
        json_object_set_new(o, "next", text_json(next_of(q, e, next)));
    }
    json_decref(whole);
    xfree(part.incidents);
    return o;
}

static int print_entries_json(const struct inquiry *q, const struct matches *m)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < m->count; i++)
        ok = json_array_append_new(list, entry_json(q, m->items[i])) == 0;
    return print_json(ok ? json_pack("{so}", "entries", list) : NULL, false);
}

/* ---- The command -------------------------------------------------------------------------------
 */

/* A peer that was dropped from the book, or never was in it, may still have been dialled. */
static int tell_stranger(const struct job *job, const struct inquiry *q)
{
    const char *word = job->args[0];
    if (!job->has_form && is_url(word) && tell_incidents(q, word))
        fflush(stdout);
    return no_match(q->book, word);
}

static int tell_matches(const struct job *job, const struct inquiry *q)
{
    struct matches m = match(q->book, job->args[0]);
    int code = EXIT_OK;
    if (m.count == 0)
        return tell_stranger(job, q);
    if (job->has_form)
        code = print_entries_json(q, &m);
    for (size_t i = 0; !job->has_form && i < m.count; i++) {
        if (i)
            putchar('\n');
        tell_entry(q, m.items[i]);
    }
    matches_fini(&m);
    return code;
}

static int run_why(struct job *job)
{
    weft_addrbook *book = NULL;
    weft_report *report = NULL;
    int code = read_inquiry(job, &book, &report);
    if (code != EXIT_OK)
        return code;
    struct inquiry q = {
        .book = book, .report = report, .live = is_url(job->book), .now = wall_clock()};
    code = tell_matches(job, &q);
    weft_addrbook_free(book);
    weft_report_free(report);
    if (code == EXIT_OK && fflush(stdout) != 0)
        code = failure("cannot write the output");
    return code;
}

const struct verb why_verb = {
    .command =
        {
            .name = "addrbook why",
            .summary = "all that is known of a peer, and what happens next",
            .help =
                "usage: weft addrbook why FILE|URL PEER [--json] [options]\n"
                "\n"
                "Tells where a peer's name came from, how its dials went, why it is not linked,\n"
                "and, in the last line, what happens next.\n" ADDRBOOK_PEER_HELP "\n"
                "      --json          one JSON object, {\"entries\": [...]}\n" ADDRBOOK_LINK_HELP
                "\n"
                "Exit codes: 0 told; 1 no such peer, or the book cannot be had; 2 wrong usage.\n",
        },
    .run = run_why,
    .takes = TAKES_JSON | TAKES_LINK,
    .args_min = 1,
    .args_max = 1,
    .expected = "a file or URL, and one peer",
};
