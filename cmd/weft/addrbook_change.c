/* weft addrbook add, remove, ban, unban, pin, unpin.
 *
 * All peers of a command line are looked up before anything is changed, so that a mistyped one
 * changes nothing. What an operator says of a peer holds for all names of its node where that is
 * how a node takes it: it is removed with all its names, and unbanned with them. */
#include <inttypes.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/units.h"
#include "addrbook.h"

#define NS_PER_MS UINT64_C(1000000)

/* A peer of the command line. */
struct target {
    char *peer;   /* URL */
    bool known;   /* it has an entry */
    bool another; /* a further name of the one before */
    /* It, or the name that was asked for, was added by an operator and is configured. */
    bool named_twice;
};

struct targets {
    struct target *items;
    size_t count;
};

/* Is that peer among them already? */
static bool has_target(const struct targets *t, const char *peer)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->items[i].peer, peer) == 0)
            return true;
    return false;
}

static void add_target(struct targets *t, const char *peer, bool known, bool another)
{
    if (has_target(t, peer))
        return;
    t->items = xresize(t->items, (t->count + 1) * sizeof(t->items[0]));
    t->items[t->count++] =
        (struct target){.peer = xcopy(peer, strlen(peer)), .known = known, .another = another};
}

static void targets_fini(struct targets *t)
{
    for (size_t i = 0; i < t->count; i++)
        xfree(t->items[i].peer);
    xfree(t->items);
}

static int check_url(const char *url)
{
    char why[512];
    if (weft_url_check(url, NULL) == 0)
        return EXIT_OK;
    weft_url_explain(url, why, sizeof(why));
    return failure("%s", why);
}

/* What the words mean. A URL need not be in the book if `unknown`; `names`: with all other names of
 * the node. */
static int find_targets(const struct edit *e, bool unknown, bool names, struct targets *ret_targets)
{
    const struct job *job = e->job;
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < job->n_args; i++) {
        const char *word = job->args[i];
        struct matches m;
        if (is_url(word) && (code = check_url(word)) != EXIT_OK)
            break;
        if (unknown && is_url(word) && !weft_addrbook_find(e->book, word)) {
            add_target(ret_targets, word, false, false);
            continue;
        }
        code = match_peer(e->book, word, &m);
        if (code != EXIT_OK)
            break;
        for (size_t k = 0; k < m.count; k++)
            add_target(ret_targets, m.items[k]->peer, true, k > 0);
        for (size_t k = 0; names && k < e->book->count; k++)
            if (same_node(m.items[0], &e->book->entries[k]))
                add_target(ret_targets, e->book->entries[k].peer, true, true);
        matches_fini(&m);
    }
    return code;
}

static void mark_named_twice(const struct edit *e, struct targets *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct target *item = &t->items[i];
        const weft_addrbook_entry *known = weft_addrbook_find(e->book, item->peer);
        if (item->another && i > 0)
            item->named_twice = t->items[i - 1].named_twice;
        else
            item->named_twice = known && known->in_config && known->origin == WEFT_ORIGIN_OPERATOR;
    }
}

/* Open, look up, have `change` made to each, save. */
static int change_each(struct job *job, bool unknown, bool names,
                       int (*change)(struct edit *e, const struct target *t))
{
    struct edit e;
    struct targets t = {0};
    int code = edit_open(&e, job, unknown);
    if (code != EXIT_OK)
        return code;
    code = find_targets(&e, unknown, names, &t);
    mark_named_twice(&e, &t);
    for (size_t i = 0; code == EXIT_OK && i < t.count; i++)
        code = change(&e, &t.items[i]);
    targets_fini(&t);
    return edit_finish(&e, code);
}

static int at_node(struct edit *e, const char *verb, const char *peer)
{
    const char *const args[] = {peer, NULL};
    return edit_at_node(e, verb, args);
}

/* ---- remove ------------------------------------------------------------------------------------
 */

/* An operator added it, and the configuration names it, too: the one is taken back, the other is
 * not an operator's. Its other names stay with it. */
static int take_back(struct edit *e, const struct target *t)
{
    if (t->another)
        return EXIT_OK;
    int code = EXIT_OK;
    if (edit_in_memory(e))
        weft_addrbook_find(e->book, t->peer)->origin = WEFT_ORIGIN_CONFIGURED;
    else
        code = at_node(e, "remove", t->peer);
    if (code == EXIT_OK)
        edit_tell(e, (struct deed){"released", "would release"}, t->peer,
                  ", which stays: the configuration names it, too; take it out there and reload");
    return code;
}

/* A live node removes the other names with the first. */
static int remove_one(struct edit *e, const struct target *t)
{
    int code = EXIT_OK;
    if (t->named_twice)
        return take_back(e, t);
    if (edit_in_memory(e))
        weft_addrbook_remove(e->book, t->peer);
    else if (!t->another)
        code = at_node(e, "remove", t->peer);
    if (code == EXIT_OK)
        edit_tell(e, (struct deed){"removed", "would remove"}, t->peer, "%s",
                  t->another ? ", another name of the same node" : "");
    return code;
}

static int run_remove(struct job *job)
{
    return change_each(job, false, true, remove_one);
}

const struct verb remove_verb = {
    .command =
        {
            .name = "addrbook remove",
            .summary = "drop peers, with all names of their nodes",
            .help =
                "usage: weft addrbook remove FILE|URL PEER... [options]\n"
                "\n"
                "Drops peers from an address book, each with all names of its "
                "node.\n" ADDRBOOK_PEER_HELP
                "A live node also ends the link to it and for ten minutes takes its name from\n"
                "nobody, but a link that it dials; ban what is to stay away. What the node's\n"
                "configuration names comes back when the node starts; take it out there.\n"
                "\n" ADDRBOOK_CHANGE_HELP ADDRBOOK_LINK_HELP "\n"
                "Exit codes: 0 done; 1 no such peer, or it failed, a file is as before; 2 wrong\n"
                "usage.\n",
        },
    .run = run_remove,
    .takes = TAKES_JSON | TAKES_DRY_RUN | TAKES_LINK,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .expected = "a file or URL, and the peers to remove",
};

/* ---- ban, unban -------------------------------------------------------------------------------
 */

static const char *until_text(uint64_t until, char buf[TIME_TEXT])
{
    return until == UINT64_MAX ? "for ever" : time_format(until, 0, buf);
}

static uint64_t banned_until(const struct edit *e, const char *peer)
{
    const weft_addrbook_entry *known = weft_addrbook_find(e->book, peer);
    return known && known->banned_until > wall_clock() ? known->banned_until : 0;
}

static int ban_in_memory(struct edit *e, const struct target *t)
{
    weft_addrbook_entry *known = weft_addrbook_find(e->book, t->peer);
    if (known) {
        known->banned_until = e->job->until;
        return EXIT_OK;
    }
    weft_addrbook_entry fresh = {.peer = t->peer,
                                 .origin = WEFT_ORIGIN_OBSERVED,
                                 .banned_until = e->job->until,
                                 .added = wall_clock()};
    return edit_put(e, &fresh);
}

static int ban_one(struct edit *e, const struct target *t)
{
    char when[TIME_TEXT], ns[24];
    const char *const args[] = {t->peer, ns, NULL};
    snprintf(ns, sizeof(ns), "%" PRIu64, e->job->until);
    int code = edit_in_memory(e) ? ban_in_memory(e, t) : edit_at_node(e, "ban", args);
    if (code != EXIT_OK)
        return code;
    edit_tell(e, (struct deed){"banned", "would ban"}, t->peer, "%s%s%s",
              e->job->until == UINT64_MAX ? " " : " until ", until_text(e->job->until, when),
              t->known ? "" : ", which was not in the book");
    edit_detail(e, "banned_until_ns",
                json_integer(e->job->until > INT64_MAX ? INT64_MAX : (json_int_t)e->job->until));
    return EXIT_OK;
}

static int run_ban(struct job *job)
{
    if (!job->until_given)
        job->until = UINT64_MAX;
    return change_each(job, true, false, ban_one);
}

const struct verb ban_verb = {
    .command =
        {
            .name = "addrbook ban",
            .summary = "neither dial peers nor take their links, for ever or for a while",
            .help =
                "usage: weft addrbook ban FILE|URL PEER... [--for D | --until TIME] [options]\n"
                "\n"
                "A banned peer is not dialled and its links are refused, under all names of its\n"
                "node. A live node ends the link to it. A URL that is not in the book gets an\n"
                "entry.\n" ADDRBOOK_PEER_HELP "\n"
                "      --for D         so long, such as 30m, 12h or 7d (default: for ever)\n"
                "      --until TIME    UTC, such as 2030-01-31T12:00:00Z or "
                "2030-01-31\n" ADDRBOOK_CHANGE_HELP ADDRBOOK_LINK_HELP "\n"
                "Exit codes: 0 done; 1 no such peer, or it failed, a file is as before; 2 wrong\n"
                "usage.\n",
        },
    .run = run_ban,
    .takes = TAKES_JSON | TAKES_DRY_RUN | TAKES_LINK | TAKES_UNTIL,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .expected = "a file or URL, and the peers to ban",
};

static int unban_one(struct edit *e, const struct target *t)
{
    if (!banned_until(e, t->peer)) {
        if (!t->another)
            edit_unchanged(e, t->peer, "it is not banned");
        return EXIT_OK;
    }
    int code = EXIT_OK;
    if (edit_in_memory(e))
        weft_addrbook_find(e->book, t->peer)->banned_until = 0;
    else
        code = at_node(e, "unban", t->peer);
    if (code == EXIT_OK)
        edit_tell(e, (struct deed){"unbanned", "would unban"}, t->peer, "%s", "");
    return code;
}

static int run_unban(struct job *job)
{
    return change_each(job, false, true, unban_one);
}

const struct verb unban_verb = {
    .command =
        {
            .name = "addrbook unban",
            .summary = "lift a ban",
            .help =
                "usage: weft addrbook unban FILE|URL PEER... [options]\n"
                "\n"
                "Lifts the ban of peers, under all names of their nodes.\n" ADDRBOOK_PEER_HELP
                "\n" ADDRBOOK_CHANGE_HELP ADDRBOOK_LINK_HELP "\n"
                "Exit codes: 0 done, or there was no ban; 1 no such peer, or it failed, a file\n"
                "is as before; 2 wrong usage.\n",
        },
    .run = run_unban,
    .takes = TAKES_JSON | TAKES_DRY_RUN | TAKES_LINK,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .expected = "a file or URL, and the peers whose ban is lifted",
};

/* ---- pin, unpin --------------------------------------------------------------------------------
 */

static int set_pin(struct edit *e, const struct target *t, bool on)
{
    weft_addrbook_entry *known = weft_addrbook_find(e->book, t->peer);
    if (known->persistent == on) {
        edit_unchanged(e, t->peer, on ? "it is pinned" : "it is not pinned");
        return EXIT_OK;
    }
    int code = EXIT_OK;
    if (edit_in_memory(e))
        known->persistent = on;
    else
        code = at_node(e, on ? "pin" : "unpin", t->peer);
    struct deed deed =
        on ? (struct deed){"pinned", "would pin"} : (struct deed){"unpinned", "would unpin"};
    if (code == EXIT_OK)
        edit_tell(e, deed, t->peer, "%s", "");
    return code;
}

static int pin_one(struct edit *e, const struct target *t)
{
    return set_pin(e, t, true);
}

static int unpin_one(struct edit *e, const struct target *t)
{
    return set_pin(e, t, false);
}

static int run_pin(struct job *job)
{
    return change_each(job, false, false, pin_one);
}

static int run_unpin(struct job *job)
{
    return change_each(job, false, false, unpin_one);
}

#define PIN_EXITS                                                                                  \
    "\n"                                                                                           \
    "Exit codes: 0 done, or it was so; 1 no such peer, or it failed, a file is as\n"               \
    "before; 2 wrong usage.\n"

const struct verb pin_verb = {
    .command = {.name = "addrbook pin",
                .summary = "keep peers and dial them for ever",
                .help =
                    "usage: weft addrbook pin FILE|URL PEER... [options]\n"
                    "\n"
                    "A pinned peer stays in the book and is dialled for ever, however often that\n"
                    "fails.\n" ADDRBOOK_PEER_HELP
                    "\n" ADDRBOOK_CHANGE_HELP ADDRBOOK_LINK_HELP PIN_EXITS},
    .run = run_pin,
    .takes = TAKES_JSON | TAKES_DRY_RUN | TAKES_LINK,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .expected = "a file or URL, and the peers to pin",
};

const struct verb unpin_verb = {
    .command = {.name = "addrbook unpin",
                .summary = "give peers up as others",
                .help = "usage: weft addrbook unpin FILE|URL PEER... [options]\n"
                        "\n"
                        "A peer that is not pinned is given up when too many dials in a row have\n"
                        "failed. Those of a node's configuration are pinned again when it "
                        "starts.\n" ADDRBOOK_PEER_HELP
                        "\n" ADDRBOOK_CHANGE_HELP ADDRBOOK_LINK_HELP PIN_EXITS},
    .run = run_unpin,
    .takes = TAKES_JSON | TAKES_DRY_RUN | TAKES_LINK,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .expected = "a file or URL, and the peers to unpin",
};
