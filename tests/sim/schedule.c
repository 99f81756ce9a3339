/* Drawing, printing and parsing of schedules. */
#include "schedule.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/util.h"

#define STARTS_MS 2000  /* all nodes start within */
#define CALM_STEPS 200u /* at most, whatever the size */
#define HUGE 500u       /* nodes, from which on each route is told to so many that there are ... */
#define HUGE_STEPS 30u  /* ... fewer */

static const char *const names[] = {
#define X(name, text) [STEP_##name] = text,
    SCHEDULE_OPS(X)
#undef X
};

void schedule_add(struct schedule *s, const struct step *step)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->steps = realloc(s->steps, s->cap * sizeof(*s->steps));
        if (!s->steps)
            abort();
    }
    size_t at = s->count++;
    while (at > 0 && s->steps[at - 1].at_ms > step->at_ms) {
        s->steps[at] = s->steps[at - 1];
        at--;
    }
    s->steps[at] = *step;
}

void schedule_copy(struct schedule *to, const struct schedule *from, const bool *keep)
{
    *to = (struct schedule){.seed = from->seed, .nodes = from->nodes, .ends_ms = from->ends_ms};
    for (size_t i = 0; i < from->count; i++) {
        if (!keep || keep[i])
            schedule_add(to, &from->steps[i]);
    }
}

void schedule_fini(struct schedule *s)
{
    free(s->steps);
    *s = (struct schedule){0};
}

/* ---- Drawing ---- */

struct draw {
    struct schedule *s;
    struct prng prng;
};

/* One a statement: C leaves open which of two arguments is drawn first, and a seed is to mean the
 * same whatever compiler. */
static uint32_t pick(struct draw *d, uint32_t n)
{
    return (uint32_t)prng_between(&d->prng, 0, n - 1);
}

static void add(struct draw *d, uint32_t at_ms, enum step_op op, uint32_t a, uint32_t b, uint32_t x,
                uint32_t y)
{
    struct step step = {.at_ms = at_ms, .op = op, .a = a, .b = b, .x = x, .y = y};
    schedule_add(d->s, &step);
}

static void add_routes(struct draw *d, uint32_t at, uint32_t a, uint32_t n)
{
    while (n--) {
        uint32_t intent = pick(d, 2);
        add(d, at, STEP_OPEN, a, 0, pick(d, 1u << 16), intent);
    }
}

static void add_start(struct draw *d, uint32_t at, uint32_t a, bool remembers)
{
    add(d, at, STEP_START, a, 0, remembers, pick(d, d->s->nodes));
    add_routes(d, at + 1, a, 1 + pick(d, 4));
    if (pick(d, 2)) { /* at a steady pace while links come, double and are handed over */
        uint32_t how = 3 << 4 | pick(d, 1u << 4);
        add(d, at + 2, STEP_SEND, a, 1 + pick(d, 600), 0, how);
    }
}

/* Down, and mostly up again: at once, soon or late. */
static void add_death(struct draw *d, uint32_t at, uint32_t a)
{
    static const uint32_t pauses[] = {1, 300, 15000};
    if (pick(d, 4) == 0)
        add(d, at, STEP_LEAVE, a, 0, 0, 0);
    else
        add(d, at, STEP_KILL, a, 0, pick(d, 3), 0);
    if (pick(d, 4)) {
        bool remembers = pick(d, 3) != 0;
        add_start(d, at + 1 + pick(d, pauses[pick(d, 3)]), a, remembers);
    }
}

/* A fault and, for those that last, its end. */
static void add_fault(struct draw *d, uint32_t at)
{
    uint32_t nodes = d->s->nodes, a = pick(d, nodes), b = pick(d, nodes);
    uint32_t lasts = 1 + pick(d, pick(d, 3) ? 3000 : 25000);
    uint32_t what = pick(d, 14), y;
    switch (what) {
    case 0:
    case 1:
        add_death(d, at, a);
        break;
    case 2:
        add(d, at, STEP_SILENCE, a, b, 0, pick(d, 2));
        break;
    case 3:
        y = pick(d, UINT32_MAX);
        add(d, at, STEP_PARTITION, 0, 0, pick(d, UINT32_MAX), y);
        add(d, at + lasts, STEP_HEAL, 0, 0, 0, 0);
        break;
    case 4:
        add(d, at, STEP_STALL, a, 0, lasts, 0);
        break;
    case 5:
        add(d, at, STEP_LAG, a, 0, 1 + pick(d, 600), 0);
        add(d, at + lasts, STEP_LAG, a, 0, 0, 0);
        break;
    case 6:
        y = pick(d, 2);
        add(d, at, STEP_CLOCK, a, 0, 1 + pick(d, 3600), y);
        break;
    case 8:
    case 9:
        add(d, at, STEP_AGAIN, a, b, 0, 0);
        break;
    case 7:
        add(d, at, STEP_DIALS, a, 0, 1 + pick(d, 2), 0);
        add(d, at + lasts, STEP_DIALS, a, 0, 0, 0);
        break;
    default:
        y = pick(d, 2);
        add(d, at, STEP_CUT, a, b, pick(d, 4), y);
    }
}

static void add_traffic(struct draw *d, uint32_t at)
{
    uint32_t a = pick(d, d->s->nodes), lasts = 1 + pick(d, 3000);
    switch (pick(d, 8)) {
    case 0:
    case 1:
        add_routes(d, at, a, 1);
        break;
    case 2:
        add(d, at, STEP_CLOSE, a, 0, pick(d, 1u << 16), 0);
        break;
    case 3: {
        uint32_t which = pick(d, 1u << 16), queue = 1 + pick(d, 20);
        add(d, at, STEP_SLOW, a, 1 + pick(d, 100), which, queue);
        add(d, at + lasts, STEP_SLOW, a, 0, which, 0);
        break;
    }
    default: {
        uint32_t how = pick(d, 1u << 16), which = pick(d, 1u << 16);
        add(d, at, STEP_SEND, a, 1 + pick(d, pick(d, 3) ? 10 : 600), which, how);
    }
    }
}

void schedule_draw(struct schedule *s, uint64_t seed, uint32_t nodes, bool calm)
{
    *s = (struct schedule){.seed = seed, .nodes = nodes};
    struct draw d = {.s = s};
    prng_init(&d.prng, seed ^ UINT64_C(0x73636865642121));
    for (uint32_t i = 0; i < nodes; i++)
        add_start(&d, i ? pick(&d, STARTS_MS) : 0, i, false);
    uint32_t steps = 20 + 4 * nodes + pick(&d, 4 * nodes), at = pick(&d, 3000);
    if (calm && steps > CALM_STEPS)
        steps = nodes > HUGE ? HUGE_STEPS : CALM_STEPS;
    uint32_t pace = 2 * (calm ? 8000 + pick(&d, 8000) : 15000 + pick(&d, 45000)) / steps;
    for (uint32_t i = 0; i < steps; i++) {
        at += pick(&d, pace ? pace : 1);
        if (calm ? pick(&d, 20) == 0 : pick(&d, 3) == 0)
            add_fault(&d, at);
        else
            add_traffic(&d, at);
    }
    s->ends_ms = s->steps[s->count - 1].at_ms + 1;
}

/* ---- Text ---- */

void schedule_print(const struct schedule *s, FILE *out)
{
    fprintf(out, "%" PRIu32 ",%" PRIu32 ":", s->nodes, s->ends_ms);
    for (size_t i = 0; i < s->count; i++) {
        const struct step *t = &s->steps[i];
        fprintf(out, " %" PRIu32 " %s %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 "%s", t->at_ms,
                names[t->op], t->a, t->b, t->x, t->y, i + 1 < s->count ? ";" : "");
    }
}

static bool parse_step(const char *text, uint32_t nodes, struct step *ret_step, int *ret_used)
{
    char op[16];
    struct step t = {.op = STEP_OPS};
    if (sscanf(text, " %" SCNu32 " %15[a-z] %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 "%n",
               &t.at_ms, op, &t.a, &t.b, &t.x, &t.y, ret_used) != 6)
        return false;
    for (unsigned i = 0; i < STEP_OPS; i++) {
        if (strcmp(op, names[i]) == 0)
            t.op = (enum step_op)i;
    }
    *ret_step = t;
    return t.op != STEP_OPS && t.a < nodes;
}

bool schedule_parse(struct schedule *s, uint64_t seed, const char *text)
{
    int used = 0;
    *s = (struct schedule){.seed = seed};
    if (sscanf(text, "%" SCNu32 ",%" SCNu32 ":%n", &s->nodes, &s->ends_ms, &used) != 2 || !used ||
        s->nodes == 0)
        return false;
    for (text += used; *text;) {
        struct step step;
        if (!parse_step(text, s->nodes, &step, &used)) {
            schedule_fini(s);
            return false;
        }
        schedule_add(s, &step);
        text += used;
        text += *text == ';';
        text += strspn(text, " \n");
    }
    return true;
}
