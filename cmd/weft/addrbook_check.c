/* weft addrbook check: is a file sound, what can be had of it if not, and its repair. */
#include <jansson.h>
#include <string.h>

#include "../common/report_json.h"
#include "addrbook.h"
#include "inspect.h"

/* What was found, and what was made of it. */
struct finding {
    weft_addrbook *book;
    weft_addrbook_damage damage;
    const char *written; /* file the repaired book went to, or NULL */
    char *aside;         /* where the damaged file is kept, or NULL */
};

static bool is_sound(const struct finding *f)
{
    return f->damage.n_places == 0;
}

static int read_file(const struct job *job, struct finding *f)
{
    char *text = NULL;
    int rc = weft_addrbook_repair(job->book, &f->book, &f->damage, &text);
    if (rc == 0)
        return EXIT_OK;
    if (rc == WEFT_ENOTSUP)
        book_unreadable(job->book, rc);
    else
        failure("%s%s", text ? text : weft_strerror(rc),
                rc == WEFT_ECORRUPT   ? "; nothing of it can be used"
                : rc == WEFT_EVERSION ? "; check it with that one, nothing was changed"
                                      : "");
    weft_free(text);
    return EXIT_FAILED;
}

static int lock(const char *file, weft_book_lock **ret_lock)
{
    char *text = NULL;
    int rc = weft_addrbook_lock(file, ret_lock, &text);
    if (rc == 0)
        return EXIT_OK;
    failure("%s", text ? text : weft_strerror(rc));
    weft_free(text);
    return EXIT_FAILED;
}

/* Write what is sound, keeping the damaged file if it is to be replaced. */
static int write_repaired(const struct job *job, weft_book_lock *held, struct finding *f)
{
    const char *to = job->out ? job->out : job->book;
    if (!job->out) {
        int rc = weft_addrbook_set_aside(held, &f->aside);
        if (rc < 0)
            return failure("%s could not be set aside, and is as it was: %s", to,
                           weft_strerror(rc));
    }
    int rc = weft_addrbook_save(held, f->book);
    if (rc < 0)
        return failure("%s could not be written: %s", to, weft_strerror(rc));
    f->written = to;
    return EXIT_OK;
}

static json_t *finding_json(const struct job *job, const struct finding *f)
{
    const weft_addrbook_damage *d = &f->damage;
    json_t *places = json_array();
    for (uint64_t i = 0; i < d->n_places && i < WEFT_DAMAGE_PLACES; i++)
        json_array_append_new(places, json_pack("{sI, sI}", "from", (json_int_t)d->places[i].from,
                                                "to", (json_int_t)d->places[i].to));
    json_t *o = json_pack("{sb, sI, sI, sI, sI, sb, so}", "sound", is_sound(f), "bytes",
                          (json_int_t)d->size, "entries", (json_int_t)d->kept, "lost_bytes",
                          (json_int_t)d->lost, "damaged_places", (json_int_t)d->n_places,
                          "owner_lost", d->owner_lost, "damage", places);
    if (!o)
        return NULL;
    json_object_set_new(o, "file", text_json(job->book));
    json_object_set_new(o, "entries_expected",
                        d->expected ? json_integer((json_int_t)d->expected) : json_null());
    json_object_set_new(o, "repaired", f->written ? text_json(f->written) : json_null());
    json_object_set_new(o, "set_aside", f->aside ? text_json(f->aside) : json_null());
    return o;
}

static int tell(const struct job *job, const struct finding *f)
{
    char text[1024];
    if (job->has_form)
        return print_json(finding_json(job, f), false);
    weft_addrbook_damage_text(&f->damage, text, sizeof(text));
    printf("%s: %s, %s\n", job->book, is_sound(f) ? "sound" : "damaged", text);
    if (f->aside)
        printf("the damaged file is kept as %s\n", f->aside);
    if (f->written)
        printf("%s written with %zu %s\n", f->written, f->book->count,
               f->book->count == 1 ? "entry" : "entries");
    else if (job->dry_run && job->repair && (job->out || !is_sound(f)))
        printf("would write %s with %zu %s\n", job->out ? job->out : job->book, f->book->count,
               f->book->count == 1 ? "entry" : "entries");
    else if (!is_sound(f))
        printf("'weft addrbook check %s --repair' keeps what is sound\n", job->book);
    return EXIT_OK;
}

static int check(const struct job *job, weft_book_lock *held, struct finding *f)
{
    int code = read_file(job, f);
    bool write = job->repair && !job->dry_run && (job->out || !is_sound(f));
    if (code == EXIT_OK && write)
        code = write_repaired(job, held, f);
    if (code == EXIT_OK)
        code = tell(job, f);
    if (code == EXIT_OK && fflush(stdout) != 0)
        code = failure("cannot write the output");
    return code == EXIT_OK && !is_sound(f) && !f->written ? EXIT_FAILED : code;
}

static int run_check(struct job *job)
{
    struct finding f = {0};
    weft_book_lock *held = NULL;
    if (is_url(job->book))
        return usage_error(&job->verb->command,
                           "%s: expected a file; a live node has checked its "
                           "own when it started",
                           job->book);
    if (job->out && !job->repair)
        return usage_error(&job->verb->command, "-o %s goes with --repair", job->out);
    int code = job->repair ? lock(job->out ? job->out : job->book, &held) : EXIT_OK;
    if (code == EXIT_OK)
        code = check(job, held, &f);
    weft_addrbook_unlock(held);
    weft_addrbook_free(f.book);
    weft_free(f.aside);
    return code;
}

const struct verb check_verb = {
    .command =
        {
            .name = "addrbook check",
            .summary = "is a file sound; repair it",
            .help =
                "usage: weft addrbook check FILE [--repair [-o OUT]] [--json]\n"
                "\n"
                "Checks the file of an address book. Of a damaged one every entry that is sound\n"
                "can be kept; what is lost is told by its bytes. A node does the same when it\n"
                "starts.\n"
                "\n"
                "      --repair        write what is sound in the place of a damaged file,\n"
                "                      which is kept as FILE.corrupt-TIME\n"
                "  -o, --output OUT    write it there instead, and leave FILE alone\n"
                "      --dry-run       say what would be written, and write nothing\n"
                "      --json          one JSON object\n"
                "  -h, --help          this text\n"
                "\n"
                "Exit codes: 0 sound, or repaired; 1 damaged, or it failed; 2 wrong usage.\n",
        },
    .run = run_check,
    .takes = TAKES_JSON | TAKES_REPAIR | TAKES_DRY_RUN,
    .args_min = 0,
    .args_max = 0,
    .expected = "one file",
};
