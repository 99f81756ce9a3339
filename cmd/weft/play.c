/* weft play: repeat what weft record kept, in its order and with its spacing.
 *
 * Happy path: the file is read through (play_info.c), an intent declared for every route in it, and
 * once somebody listens each message is sent at its moment. Moments are counted from the start of
 * the whole, never from the message before, so that nothing drifts; where a moment was missed, the
 * messages follow one another until the schedule is met again, and the longest delay is told.
 *
 * What nobody wanted, what a subscriber had no room for, and what the file itself lacks are counted
 * and told at the end. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/units.h"
#include "play.h"
#include "progress.h"

#define OTHERS_NS UINT64_C(500000000) /* how long the first subscriber's other routes may take */
#define LATE_NS UINT64_C(100000000)   /* worth telling */
#define BLOCK_MS 10000

enum {
    OPTION_RATE = OPTION_OWN,
    OPTION_LOOP,
    OPTION_ROUTE,
    OPTION_WAIT,
    OPTION_INFO,
    OPTION_JSON,
};

static const struct option options[] = {
    LINK_LONG,
    {"rate", required_argument, NULL, OPTION_RATE},
    {"loop", required_argument, NULL, OPTION_LOOP},
    {"route", required_argument, NULL, OPTION_ROUTE},
    {"wait", required_argument, NULL, OPTION_WAIT},
    {"info", no_argument, NULL, OPTION_INFO},
    {"json", no_argument, NULL, OPTION_JSON},
    {NULL, 0, NULL, 0},
};

struct player {
    struct link_options link;
    struct session session;
    struct contents contents;
    struct names renames; /* FROM=TO */
    const char *file;
    bool info, json;
    double rate;      /* of the recorded one; 0: as fast as it is taken */
    uint64_t loop;    /* times; 0: until stopped */
    uint32_t wait_ms; /* UINT32_MAX: for ever */

    struct progress progress;
    uint64_t start; /* of the monotonic clock: when moment 0 of the first round is */
    uint64_t sent, bytes, unheard, dropped, latest_ns;
};

/* ---- The command line --------------------------------------------------------------------------
 */

static int take_rate(struct player *p)
{
    uint64_t millionths;
    if (strcmp(optarg, "max") == 0) {
        p->rate = 0;
        return EXIT_OK;
    }
    if (!decimal_parse(optarg, &millionths))
        return usage_error(&play_command,
                           "--rate %s: expected max, or a factor such as 2 (twice as fast) or 0.5",
                           optarg);
    p->rate = (double)millionths / 1e6;
    return EXIT_OK;
}

static int take_rename(struct player *p)
{
    const char *to = strchr(optarg, '=');
    if (!to || to == optarg)
        return usage_error(&play_command, "--route %s: expected FROM=TO, two routes", optarg);
    int kind = weft_route_check(to + 1, NULL);
    if (kind < 0)
        return no_route(&play_command, to + 1);
    if (kind == WEFT_ROUTE_PATTERN)
        return usage_error(&play_command, "--route %s: '%s' is a pattern; name one route", optarg,
                           to + 1);
    if (!names_add(&p->renames, optarg))
        return usage_error(&play_command, "more than %d times --route", NAMES_MAX);
    return EXIT_OK;
}

static int take_option(int option, struct player *p)
{
    switch (option) {
    case OPTION_RATE:
        return take_rate(p);
    case OPTION_LOOP:
        if (count_parse(optarg, 0, UINT64_MAX, &p->loop))
            return EXIT_OK;
        return usage_error(&play_command, "--loop %s: expected a number, 0 for no end", optarg);
    case OPTION_ROUTE:
        return take_rename(p);
    case OPTION_WAIT:
        if (parse_seconds(optarg, &p->wait_ms))
            return EXIT_OK;
        return usage_error(&play_command, "--wait %s: expected seconds or %s", optarg,
                           DURATION_EXPECTED);
    case OPTION_INFO:
        p->info = true;
        return EXIT_OK;
    case OPTION_JSON:
        p->json = true;
        return EXIT_OK;
    }
    return EXIT_USAGE;
}

static int check(int argc, char **argv, struct player *p)
{
    if (optind == argc)
        return usage_error(&play_command, "no file; give one that weft record made");
    p->file = argv[optind++];
    if (optind < argc)
        return usage_error(&play_command, "'%s' is one argument too many", argv[optind]);
    if (p->json && !p->info)
        return usage_error(&play_command, "--json is for --info");
    return p->info ? EXIT_OK : link_check(&p->link, &play_command);
}

static int parse(int argc, char **argv, struct player *p, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, LINK_SHORT, options)) != -1) {
        int taken = link_option(option, &play_command, &p->link, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, p)) != EXIT_OK)
            return code;
    }
    return check(argc, argv, p);
}

/* ---- Routes ------------------------------------------------------------------------------------
 */

static int no_such_route(const struct player *p, const char *from)
{
    const struct contents *c = &p->contents;
    const char *near = c->count ? suggest(from, (const char *const *)&c->routes[0].name, c->count,
                                          sizeof(c->routes[0]))
                                : NULL;
    char *safe = near ? text_safe_copy(near) : NULL;
    int code = failure("--route: %s has no route %s%s%s%s; see weft play --info", p->file, from,
                       safe ? "; did you mean '" : "", safe ? safe : "", safe ? "'?" : "");
    xfree(safe);
    return code;
}

static int rename_routes(struct player *p)
{
    for (size_t i = 0; i < p->renames.count; i++) {
        char *equals = strchr(p->renames.items[i], '=');
        *equals = '\0';
        struct played_route *route = contents_find(&p->contents, p->renames.items[i]);
        if (!route)
            return no_such_route(p, p->renames.items[i]);
        route->as = equals + 1;
    }
    return EXIT_OK;
}

static void on_match(weft_intent *intent, bool interested, void *user)
{
    session_wake(user);
}

/* The intent of a route that was renamed to one that is declared already, or to the same. */
static struct played_route *declared(struct player *p, const char *as)
{
    struct contents *c = &p->contents;
    struct played_route *same = contents_find(c, as);
    if (same && same->intent && strcmp(same->as, as) == 0)
        return same;
    for (size_t i = 0; p->renames.count && i < c->count; i++)
        if (c->routes[i].intent && strcmp(c->routes[i].as, as) == 0)
            return &c->routes[i];
    return NULL;
}

static int declare_one(struct player *p, struct played_route *route)
{
    weft_publish_options o;
    weft_publish_options_init(&o);
    o.on_match = on_match;
    o.user = &p->session;
    o.block_ms = BLOCK_MS;
    const struct played_route *same = declared(p, route->as);
    route->same_as = (size_t)((same ? same : route) - p->contents.routes);
    int rc = same ? 0 : weft_publish(p->session.node, route->as, &o, &route->intent);
    if (rc == 0)
        return EXIT_OK;
    char *safe = text_safe_copy(route->as);
    int code = failure("cannot publish %s: %s%s", safe, weft_strerror(rc),
                       rc == WEFT_ESCOPE
                           ? "; leave the path out of -l and --path, or rename it with --route"
                           : "");
    xfree(safe);
    return code;
}

static int declare(struct player *p)
{
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < p->contents.count; i++)
        if (p->contents.routes[i].messages)
            code = declare_one(p, &p->contents.routes[i]);
    return code;
}

/* ---- Waiting for subscribers -------------------------------------------------------------------
 */

static size_t interested(const struct player *p, bool all)
{
    const struct contents *c = &p->contents;
    size_t heard = 0, unheard = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!c->routes[i].intent)
            continue;
        bool yes = weft_intent_interested(c->routes[i].intent);
        heard += yes;
        unheard += !yes;
        if (yes && !all)
            return 1;
    }
    return all ? unheard == 0 : heard;
}

/* False: stop here, with *ret_code. */
static bool wait_until(struct player *p, bool all, uint64_t deadline, enum session_event *ret_last,
                       int *ret_code)
{
    while (!interested(p, all)) {
        *ret_last = session_wait(&p->session, deadline, NULL, 0);
        if (*ret_last == SESSION_SIGNAL)
            return false;
        if (session_denied(&p->session)) {
            *ret_code = failure("a route was refused; nothing was sent");
            return false;
        }
        if (*ret_last == SESSION_TIMEOUT)
            break;
    }
    return true;
}

/* Until somebody subscribes to one of the routes, and then a moment for the others, whose
 * declarations are on their way. False: stop here, with *ret_code. */
static bool wait_for_interest(struct player *p, int *ret_code)
{
    enum session_event last = SESSION_WOKEN;
    if (p->wait_ms == 0)
        return true;
    if (!wait_until(p, false, deadline_after(p->wait_ms), &last, ret_code))
        return false;
    if (last == SESSION_TIMEOUT && !interested(p, false)) {
        char text[UNITS_TEXT];
        *ret_code = failure("nobody subscribed to a route of %s within %s; nothing was sent",
                            p->file, duration_format(p->wait_ms, text));
        return false;
    }
    return wait_until(p, true, now_ns() + OTHERS_NS, &last, ret_code);
}

/* ---- Playing -----------------------------------------------------------------------------------
 */

/* At most 292 years, whatever the file and the rate say: added to a time of the clock it does not
 * overflow. */
static uint64_t whole_ns(double ns)
{
    const uint64_t most = INT64_MAX;
    return ns < (double)most ? (uint64_t)ns : most;
}

/* When something at `at_ns` of the file is to be sent in this round. */
static uint64_t due_at(const struct player *p, uint64_t round, uint64_t at_ns)
{
    double since = (double)at_ns + (double)round * (double)p->contents.duration_ns;
    return p->start + whole_ns(since / p->rate);
}

static void draw(struct player *p, uint64_t done_ns)
{
    progress_draw(&p->progress, p->sent, p->bytes, done_ns, p->contents.duration_ns);
}

/* Wait for the moment. False: a signal came. At rate max the signal is looked for now and then. */
static bool keep_pace(struct player *p, uint64_t round, uint64_t at_ns)
{
    if (p->rate == 0) {
        draw(p, at_ns);
        return p->sent % 64 != 0 || session_wait(&p->session, 0, NULL, 0) != SESSION_SIGNAL;
    }
    uint64_t due = due_at(p, round, at_ns);
    for (;;) {
        uint64_t redraw = progress_due(&p->progress);
        enum session_event e = session_wait(&p->session, due < redraw ? due : redraw, NULL, 0);
        if (e == SESSION_SIGNAL)
            return false;
        uint64_t now = now_ns();
        if (now >= due) {
            p->latest_ns = now - due > p->latest_ns ? now - due : p->latest_ns;
            draw(p, at_ns);
            return true;
        }
        uint64_t ahead = whole_ns((double)(due - now) * p->rate);
        draw(p, ahead < at_ns ? at_ns - ahead : 0);
    }
}

static int send_one(struct player *p, const struct record *record)
{
    const struct contents *c = &p->contents;
    const struct played_route *route = contents_find(c, record->route);
    if (!route)
        return failure("%s has changed while it was played", p->file);
    weft_intent *intent = c->routes[route->same_as].intent;
    bool heard = weft_intent_interested(intent);
    int rc = weft_send(intent, record->data, record->size);
    p->sent++;
    p->bytes += record->size;
    if (rc == WEFT_EDROPPED)
        p->dropped++;
    else if (rc < 0)
        return failure("cannot send a message of %zu bytes: %s", record->size, weft_strerror(rc));
    else if (!heard)
        p->unheard++;
    return EXIT_OK;
}

/* Once from beginning to end, as far as it was sound when it was read first. */
static int play_round(struct player *p, uint64_t round, bool *ret_stopped)
{
    struct contents *c = &p->contents;
    struct record record;
    enum recording_result result = recording_rewind(&c->recording);
    for (uint64_t n = 0; n < c->messages;) {
        if (result == RECORDING_OK)
            result = recording_next(&c->recording, &record);
        if (result != RECORDING_OK)
            return failure("cannot read %s: %s", p->file,
                           result == RECORDING_FAILED ? strerror(errno)
                                                      : "it has changed while it was played");
        if (record.kind != RECORD_MESSAGE)
            continue;
        n++;
        if (!keep_pace(p, round, record.at_ns)) {
            *ret_stopped = true;
            return EXIT_OK;
        }
        int code = send_one(p, &record);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static int play_all(struct player *p)
{
    bool stopped = false;
    int code = EXIT_OK;
    p->start = now_ns();
    for (uint64_t round = 0; code == EXIT_OK && !stopped && (p->loop == 0 || round < p->loop);
         round++)
        code = play_round(p, round, &stopped);
    progress_clear(&p->progress);
    return code;
}

static int report(const struct player *p)
{
    char bytes[UNITS_TEXT], time[UNITS_TEXT];
    fprintf(stderr, "weft: played %" PRIu64 " messages, %sB, in %s\n", p->sent,
            amount_format((double)p->bytes, bytes), ns_format(now_ns() - p->start, time));
    if (p->latest_ns > LATE_NS)
        fprintf(stderr, "weft: at worst a message was sent %s late\n",
                ns_format(p->latest_ns, time));
    if (p->unheard)
        fprintf(stderr,
                "weft: %" PRIu64 " of them were sent to nobody, for nobody was interested\n",
                p->unheard);
    if (p->dropped)
        return failure("%" PRIu64 " of them did not reach every subscriber: no room for them; play "
                       "slower, with --rate",
                       p->dropped);
    return EXIT_OK;
}

static int play(struct player *p)
{
    weft_options o;
    session_options(&p->link, &o);
    int code = session_open(&p->session, &o);
    if (code != EXIT_OK)
        return code;
    progress_init(&p->progress);
    code = declare(p);
    if (code == EXIT_OK && wait_for_interest(p, &code)) {
        code = play_all(p);
        int reported = report(p);
        code = code == EXIT_OK ? reported : code;
    }
    for (size_t i = 0; i < p->contents.count; i++)
        weft_intent_close(p->contents.routes[i].intent);
    session_close(&p->session); /* its thread has ended: nobody else writes to it any more */
    if (code == EXIT_OK && p->session.denied)
        code = failure("a route was refused, its messages were not sent");
    return code;
}

static int play_file(struct player *p)
{
    struct contents *c = &p->contents;
    int code = contents_read(c, p->file);
    if (code != EXIT_OK)
        return code;
    int damage = contents_report(c);
    if (p->info) {
        code = contents_print(c, p->json);
        return code == EXIT_OK ? damage : code;
    }
    if (c->messages == 0)
        return failure("%s has no message", p->file);
    for (size_t i = 0; i < c->count; i++)
        c->routes[i].as = c->routes[i].name;
    code = rename_routes(p);
    if (code == EXIT_OK)
        code = play(p);
    return code == EXIT_OK ? damage : code;
}

static int run(int argc, char **argv)
{
    struct player p = {.rate = 1, .loop = 1, .wait_ms = UINT32_MAX};
    bool done = false;
    int code = parse(argc, argv, &p, &done);
    if (code == EXIT_OK && !done)
        code = play_file(&p);
    contents_fini(&p.contents);
    names_fini(&p.renames);
    link_fini(&p.link);
    return code;
}

const struct command play_command = {
    .name = "play",
    .run = run,
    .summary = "repeat what was recorded",
    .help = "usage: weft play FILE [-P URL]... [-l URL] [options]\n"
            "       weft play --info FILE [--json]\n"
            "\n"
            "Publishes the messages that weft record kept, each under its own route, in their\n"
            "order and with their spacing, once somebody subscribes to one of the routes.\n"
            "\n"
            "      --rate FACTOR   2 twice as fast, 0.5 half; max: as fast as they are taken\n"
            "      --loop N        play it N times, 0: until stopped (default 1)\n"
            "      --route FROM=TO publish what was recorded of FROM as TO; may be given\n"
            "                      several times\n"
            "      --wait S        seconds to wait for a subscriber, 0: none (default:\n"
            "                      for ever)\n"
            "      --info          only tell what is in the file: routes, counts, duration\n"
            "      --json          --info as one JSON object\n" LINK_HELP "\n"
            "Exit codes: 0 all was sent, or it was stopped by SIGINT; 1 it failed, the file\n"
            "is damaged, nobody subscribed in time, or a subscriber was too slow for all of\n"
            "it; 2 wrong usage.\n"
            "\n"
            "  weft play drive.weftrec -P unix:///run/weft/weftd.sock --rate 2\n",
};
