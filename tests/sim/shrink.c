/* Shrinking: of a schedule that fails, the steps that make it fail.
 *
 * Whole nodes go first, then ddmin (Zeller and Hildebrandt): the steps are cut into n parts, and a
 * part is left out for good when the rest still fails in the same way; when none can be, n doubles,
 * until a part is one step. Each candidate is a run of its own: the network draws its chance for
 * each node and connection apart, so that the rest goes much as before. The first start of n0,
 * which all others know the mesh by, stays: without it nobody finds anybody. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct shrink {
    struct schedule best;
    struct sim_result result;
    sim_plant *plant;
    unsigned runs;
};

/* The same invariant in the same words, whatever the numbers. */
static bool same_way(const struct sim_result *a, const struct sim_result *b)
{
    static const char digits[] = "0123456789";
    const char *x = a->why, *y = b->why;
    while (*x && *y) {
        x += strspn(x, digits);
        y += strspn(y, digits);
        if (*x != *y)
            return false;
        x += *x != '\0';
        y += *y != '\0';
    }
    return b->failed && *x == *y;
}

static bool pinned(const struct shrink *s, size_t i)
{
    return i == 0 && s->best.steps[0].op == STEP_START && s->best.steps[0].a == 0;
}

/* Take the candidate in the place of the best if it fails. */
static bool try(struct shrink *s, const bool *keep)
{
    struct schedule candidate;
    struct sim_result result;
    if (s->runs == 0)
        return false;
    s->runs--;
    schedule_copy(&candidate, &s->best, keep);
    sim_run(&candidate, s->plant, &result);
    if (candidate.count == s->best.count || !same_way(&s->result, &result)) {
        schedule_fini(&candidate);
        return false;
    }
    schedule_fini(&s->best);
    s->best = candidate;
    s->result = result;
    return true;
}

static bool *all_kept(const struct shrink *s)
{
    bool *keep = malloc(s->best.count + 1);
    if (!keep)
        abort();
    memset(keep, true, s->best.count + 1);
    return keep;
}

static bool without_node(struct shrink *s, uint32_t node)
{
    bool *keep = all_kept(s), any = false;
    for (size_t i = 0; i < s->best.count; i++) {
        keep[i] = s->best.steps[i].a != node;
        any |= !keep[i];
    }
    bool done = any && try(s, keep);
    free(keep);
    return done;
}

static bool without_part(struct shrink *s, size_t from, size_t to)
{
    bool *keep = all_kept(s), any = false;
    for (size_t i = from; i < to && i < s->best.count; i++) {
        keep[i] = pinned(s, i);
        any |= !keep[i];
    }
    bool done = any && try(s, keep);
    free(keep);
    return done;
}

static void ddmin(struct shrink *s)
{
    for (size_t parts = 2; parts;) {
        size_t count = s->best.count, size = (count + parts - 1) / parts;
        bool any = false;
        for (size_t from = 0; from < s->best.count;) {
            if (without_part(s, from, from + size))
                any = true; /* what follows has moved here */
            else
                from += size;
        }
        if (size <= 1 && !any)
            return;
        if (!any)
            parts = min_size(2 * parts, count);
        else
            parts = parts > 2 ? parts - 1 : 2;
        if (s->runs == 0)
            return;
    }
}

/* A step's numbers: fewer messages, an earlier end of faults. */
static void trim_end(struct shrink *s)
{
    struct schedule shorter;
    struct sim_result result;
    schedule_copy(&shorter, &s->best, NULL);
    shorter.ends_ms = shorter.count ? shorter.steps[shorter.count - 1].at_ms + 1 : 0;
    sim_run(&shorter, s->plant, &result);
    if (same_way(&s->result, &result)) {
        schedule_fini(&s->best);
        s->best = shorter;
        s->result = result;
        return;
    }
    schedule_fini(&shorter);
}

void sim_shrink(const struct schedule *schedule, sim_plant *plant, unsigned runs,
                struct schedule *ret_shortest, struct sim_result *ret_result)
{
    struct shrink s = {.plant = plant, .runs = runs};
    schedule_copy(&s.best, schedule, NULL);
    sim_run(&s.best, plant, &s.result);
    for (uint32_t node = schedule->nodes; node-- > 1 && s.result.failed;)
        without_node(&s, node);
    if (s.result.failed) {
        ddmin(&s);
        trim_end(&s);
    }
    *ret_shortest = s.best;
    *ret_result = s.result;
}
