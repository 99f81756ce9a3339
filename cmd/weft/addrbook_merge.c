/* weft addrbook merge: what several books know, in one. */
#include <string.h>

#include "../common/memory.h"
#include "../common/report_json.h"
#include "addrbook.h"
#include "book.h"

static uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When an entry last learnt something that it keeps. */
static uint64_t news(const weft_addrbook_entry *e)
{
    return latest(e->last_success, e->added);
}

struct tally {
    size_t added, taken, kept;
};

/* What was said here is not unsaid elsewhere, nor by one that only heard of it. */
static void keep_word(weft_addrbook_entry *copy, const weft_addrbook_entry *known)
{
    copy->in_config = known->in_config;
    if (!entry_configured(known))
        return;
    if (!entry_configured(copy)) {
        copy->persistent = known->persistent;
        copy->max_attempts = known->max_attempts;
        copy->default_backoff_ns = known->default_backoff_ns;
        copy->max_backoff_ns = known->max_backoff_ns;
        copy->multiplier = known->multiplier;
    }
    copy->origin = known->origin;
}

/* The newer of the two entries, but no ban is lost: it has no time by which it could be older. */
static int merge_known(struct edit *e, const weft_addrbook_entry *known,
                       const weft_addrbook_entry *other, const char *from, struct tally *tally)
{
    bool newer = news(other) > news(known);
    uint64_t banned = latest(known->banned_until, other->banned_until);
    if (!newer && banned == known->banned_until) {
        tally->kept++;
        return EXIT_OK;
    }
    if (!newer) {
        weft_addrbook_entry *ours = weft_addrbook_find(e->book, known->peer);
        ours->banned_until = banned;
        edit_in_memory(e);
        tally->taken++;
        edit_tell(e, (struct deed){"banned", "would ban"}, ours->peer, ", as in %s", from);
        edit_detail(e, "from", text_json(from));
        return EXIT_OK;
    }
    weft_addrbook_entry copy = *other;
    copy.banned_until = banned;
    keep_word(&copy, known);
    int code = edit_put(e, &copy);
    if (code == EXIT_OK) {
        edit_in_memory(e);
        tally->taken++;
        edit_tell(e, (struct deed){"updated", "would update"}, copy.peer, ", newer in %s", from);
        edit_detail(e, "from", text_json(from));
    }
    return code;
}

static int merge_entry(struct edit *e, const weft_addrbook_entry *other, const char *from,
                       struct tally *tally)
{
    const weft_addrbook_entry *known = weft_addrbook_find(e->book, other->peer);
    if (known)
        return merge_known(e, known, other, from, tally);
    weft_addrbook_entry copy = *other;
    copy.in_config = false; /* that is said of another configuration */
    int code = edit_put(e, &copy);
    if (code == EXIT_OK) {
        edit_in_memory(e);
        tally->added++;
        edit_tell(e, (struct deed){"added", "would add"}, other->peer, ", from %s", from);
        edit_detail(e, "from", text_json(from));
    }
    return code;
}

static int merge_book(struct edit *e, const char *from)
{
    weft_addrbook *book;
    struct tally tally = {0};
    int code = book_get(e->job, from, &book);
    if (code != EXIT_OK)
        return code;
    for (size_t i = 0; code == EXIT_OK && i < book->count; i++)
        code = merge_entry(e, &book->entries[i], from, &tally);
    edit_tally(e, from, tally.added, tally.taken, tally.kept);
    weft_addrbook_free(book);
    return code;
}

static int run_merge(struct job *job)
{
    struct edit e;
    if (is_url(job->book))
        return usage_error(&job->verb->command,
                           "%s: the books are merged into a file; a live node takes entries by "
                           "'weft addrbook add URL --from'",
                           job->book);
    int code = edit_open(&e, job, true);
    if (code != EXIT_OK)
        return code;
    for (size_t i = 0; code == EXIT_OK && i < job->n_args; i++)
        code = merge_book(&e, job->args[i]);
    return edit_finish(&e, code);
}

const struct verb merge_verb = {
    .command =
        {
            .name = "addrbook merge",
            .summary = "take into a file what other books know",
            .help =
                "usage: weft addrbook merge INTO FROM... [options]\n"
                "\n"
                "Takes into the file INTO, which is made if there is none, the entries of other\n"
                "files or of live nodes. Where both have one of the same address the newer\n"
                "wins, the one that was linked or added later; no ban is lost. INTO keeps its\n"
                "owner's node id.\n"
                "\n" ADDRBOOK_CHANGE_HELP ADDRBOOK_LINK_HELP "\n"
                "Exit codes: 0 done; 1 it failed, INTO is as before; 2 wrong usage.\n",
        },
    .run = run_merge,
    .takes = TAKES_JSON | TAKES_DRY_RUN | TAKES_LINK,
    .args_min = 1,
    .args_max = SIZE_MAX,
    .expected = "a file to merge into, and files or URLs to merge from",
};
