/* weft pub: declare the intent, wait until somebody listens, send, and close when all has been
 * written out.
 *
 * A message that nobody was interested in and one that a slow subscriber had no room for are
 * counted and told at the end; only the latter is a failure, for it was wanted. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/units.h"
#include "source.h"
#include "command.h"
#include "proto.h"

enum {
    OPTION_COUNT = OPTION_OWN,
    OPTION_RATE,
    OPTION_SIZE,
    OPTION_WAIT,
    OPTION_FILE,
    OPTION_PROTO,
};

static const struct option options[] = {
    LINK_LONG,
    {"count", required_argument, NULL, OPTION_COUNT},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"wait", required_argument, NULL, OPTION_WAIT},
    {"file", required_argument, NULL, OPTION_FILE},
    PROTO_LONG,
    {NULL, 0, NULL, 0},
};

struct pub {
    struct link_options link;
    struct session session;
    struct source source;
    const char *route, *data, *file;
    bool has_count, has_size;
    uint64_t count;       /* messages to send; 0: until the end of input, or stopped */
    uint64_t interval_ns; /* from one message to the next; 0: none */
    uint64_t size;
    uint32_t wait_ms; /* UINT32_MAX: for ever */
    struct proto proto;
    const struct typed_message *type; /* --proto: what is sent is text of this */

    weft_intent *intent;
    uint64_t lines; /* of standard input */
    uint64_t sent, unheard, dropped;
};

/* ---- The command line --------------------------------------------------------------------------
 */

static int take_rate(struct pub *p)
{
    uint64_t millionths;
    if (!decimal_parse(optarg, &millionths) || millionths > UINT64_C(1000000000000))
        return usage_error(&pub_command,
                           "--rate %s: expected messages a second, such as 0.5 or 100", optarg);
    p->interval_ns = UINT64_C(1000000000000000) / millionths;
    return EXIT_OK;
}

static int take_option(int option, struct pub *p)
{
    switch (option) {
    case OPTION_COUNT:
        p->has_count = true;
        if (!count_parse(optarg, 0, UINT64_MAX, &p->count))
            return usage_error(&pub_command, "--count %s: expected a number, 0 for no end", optarg);
        return EXIT_OK;
    case OPTION_RATE:
        return take_rate(p);
    case OPTION_SIZE:
        p->has_size = true;
        if (!size_parse(optarg, &p->size) || p->size > MESSAGE_MAX)
            return usage_error(&pub_command, "--size %s: expected %s, at most 64MiB", optarg,
                               SIZE_EXPECTED);
        return EXIT_OK;
    case OPTION_WAIT:
        if (!parse_seconds(optarg, &p->wait_ms))
            return usage_error(&pub_command, "--wait %s: expected seconds or %s", optarg,
                               DURATION_EXPECTED);
        return EXIT_OK;
    case OPTION_FILE:
        p->file = optarg;
        return EXIT_OK;
    case 'I':
    case OPTION_PROTO:
        return proto_option(&p->proto, &pub_command, option, OPTION_PROTO);
    }
    return EXIT_USAGE;
}

/* The route and what to send, which comes from exactly one of four places. */
static int take_operands(int argc, char **argv, struct pub *p)
{
    if (optind == argc)
        return usage_error(&pub_command, "no route; give one such as types.Pose@robot.arm");
    p->route = argv[optind++];
    if (optind < argc)
        p->data = argv[optind++];
    if (optind < argc)
        return usage_error(&pub_command, "'%s' is one argument too many; quote the data",
                           argv[optind]);
    int kind = weft_route_check(p->route, NULL);
    if (kind < 0)
        return no_route(&pub_command, p->route);
    if (kind == WEFT_ROUTE_PATTERN)
        return usage_error(&pub_command, "'%s' is a pattern; publish one route, without *",
                           p->route);
    int sources = (p->data != NULL) + (p->file != NULL) + p->has_size;
    if (sources != 1)
        return usage_error(&pub_command,
                           "%s; give one of DATA, - (lines of standard input), --file "
                           "and --size",
                           sources ? "more than one thing to send" : "nothing to send");
    if (p->proto.files.count && p->has_size)
        return usage_error(&pub_command, "--size makes bytes of no type; leave --proto out");
    if (p->proto.dirs.count && !p->proto.files.count)
        return usage_error(&pub_command, "-I is for --proto");
    return EXIT_OK;
}

static int parse(int argc, char **argv, struct pub *p, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, LINK_SHORT PROTO_SHORT, options)) != -1) {
        int taken = link_option(option, &pub_command, &p->link, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, p)) != EXIT_OK)
            return code;
    }
    code = take_operands(argc, argv, p);
    return code == EXIT_OK ? link_check(&p->link, &pub_command) : code;
}

/* What is sent again and again is translated once. */
static int translate(struct pub *p)
{
    char error[TYPED_ERROR];
    struct typed_buffer made;
    int code = proto_load(&p->proto);
    if (code == EXIT_OK)
        code = proto_check(&p->proto, p->route);
    if (code != EXIT_OK)
        return code;
    p->type = proto_type(&p->proto, p->route);
    if (p->source.lines)
        return EXIT_OK;
    if (!proto_encode(&p->proto, p->type, p->source.data, p->source.size, &made, error))
        return failure("%s%s%s; nothing was sent", p->file ? p->file : "", p->file ? ": " : "",
                       error);
    xfree(p->source.data);
    p->source.data = made.data;
    p->source.size = made.size;
    return EXIT_OK;
}

static int open_source(struct pub *p)
{
    bool lines = p->data && strcmp(p->data, "-") == 0;
    int code = EXIT_OK;
    if (!p->has_count)
        p->count = lines || p->interval_ns ? 0 : 1;
    if (p->file)
        code = source_file(&p->source, p->file);
    else if (lines)
        source_lines(&p->source);
    else if (p->data)
        source_text(&p->source, p->data);
    else
        source_filler(&p->source, (size_t)p->size);
    return code == EXIT_OK && p->proto.files.count ? translate(p) : code;
}

/* ---- Sending -----------------------------------------------------------------------------------
 */

static void on_match(weft_intent *intent, bool interested, void *user)
{
    session_wake(user);
}

static int declare(struct pub *p)
{
    weft_publish_options o;
    weft_publish_options_init(&o);
    o.on_match = on_match;
    o.user = &p->session;
    o.block_ms = 10000;
    int rc = weft_publish(p->session.node, p->route, &o, &p->intent);
    if (rc == 0)
        return EXIT_OK;
    return failure("cannot publish %s: %s%s", p->route, weft_strerror(rc),
                   rc == WEFT_ESCOPE ? "; publish under the path of -l or --path" : "");
}

/* False: stop here, with *ret_code. */
static bool wait_for_interest(struct pub *p, int *ret_code)
{
    uint64_t deadline = deadline_after(p->wait_ms);
    while (p->wait_ms > 0 && !weft_intent_interested(p->intent)) {
        enum session_event e = session_wait(&p->session, deadline, NULL, 0);
        if (e == SESSION_SIGNAL) {
            *ret_code = EXIT_OK;
            return false;
        }
        if (session_denied(&p->session)) {
            *ret_code = failure("%s was refused; nothing was sent", p->route);
            return false;
        }
        if (e == SESSION_TIMEOUT) {
            char text[UNITS_TEXT];
            *ret_code = failure("nobody subscribed to %s within %s; nothing was sent", p->route,
                                duration_format(p->wait_ms, text));
            return false;
        }
    }
    return true;
}

/* Wait for the moment of message number `sent`. False: a signal came. Without a rate the signal is
 * looked for now and then. */
static bool keep_pace(struct pub *p, uint64_t start)
{
    enum session_event e;
    if (!p->interval_ns && p->sent % 64 != 0)
        return true;
    uint64_t due = p->interval_ns ? start + p->sent * p->interval_ns : 0;
    do
        e = session_wait(&p->session, due, NULL, 0);
    while (e == SESSION_WOKEN);
    return e != SESSION_SIGNAL;
}

static int send_one(struct pub *p, const void *data, size_t size)
{
    bool heard = weft_intent_interested(p->intent);
    int rc = weft_send(p->intent, data, size);
    p->sent++;
    if (rc == WEFT_EDROPPED)
        p->dropped++;
    else if (rc < 0)
        return failure("cannot send a message of %zu bytes: %s", size, weft_strerror(rc));
    else if (!heard)
        p->unheard++;
    return EXIT_OK;
}

/* A line of text or JSON. Comments, such as weft sub --proto makes of what is none of its type, are
 * passed over. */
static int send_line(struct pub *p, const char *line, size_t size)
{
    char error[TYPED_ERROR];
    struct typed_buffer made;
    p->lines++;
    if (size && *line == '#')
        return EXIT_OK;
    if (!proto_encode(&p->proto, p->type, line, size, &made, error))
        return failure("standard input, line %" PRIu64 ": %s; it and what follows was not sent",
                       p->lines, error);
    int code = send_one(p, made.data, made.size);
    xfree(made.data);
    return code;
}

static int send_all(struct pub *p)
{
    uint64_t start = now_ns();
    while ((p->count == 0 || p->sent < p->count) && keep_pace(p, start)) {
        const void *data;
        size_t size;
        enum source_result result = source_next(&p->source, &p->session, &data, &size);
        if (result == SOURCE_ERROR)
            return EXIT_FAILED;
        if (result != SOURCE_MESSAGE)
            break;
        int code = p->type && p->source.lines ? send_line(p, data, size) : send_one(p, data, size);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static int report(const struct pub *p)
{
    if (p->unheard)
        fprintf(stderr,
                "weft: %" PRIu64 " of %" PRIu64 " messages were sent to nobody, for nobody "
                "was interested\n",
                p->unheard, p->sent);
    if (p->dropped)
        return failure("%" PRIu64 " of %" PRIu64
                       " messages did not reach every subscriber: no room "
                       "for them; send slower, with --rate",
                       p->dropped, p->sent);
    return EXIT_OK;
}

static int publish(struct pub *p)
{
    weft_options o;
    session_options(&p->link, &o);
    int code = session_open(&p->session, &o);
    if (code != EXIT_OK)
        return code;
    code = declare(p);
    if (code == EXIT_OK && wait_for_interest(p, &code)) {
        code = send_all(p);
        int reported = report(p);
        code = code == EXIT_OK ? reported : code;
    }
    weft_intent_close(p->intent);
    session_close(&p->session); /* its thread has ended: nobody else writes to it any more */
    if (code == EXIT_OK && p->session.denied)
        code = failure("%s was refused, not all messages were sent", p->route);
    return code;
}

static int run(int argc, char **argv)
{
    struct pub p = {.wait_ms = UINT32_MAX};
    bool done = false;
    int code = parse(argc, argv, &p, &done);
    if (code == EXIT_OK && !done)
        code = open_source(&p);
    if (code == EXIT_OK && !done)
        code = publish(&p);
    source_fini(&p.source);
    proto_fini(&p.proto);
    link_fini(&p.link);
    return code;
}

const struct command pub_command = {
    .name = "pub",
    .run = run,
    .summary = "publish messages",
    .help = "usage: weft pub ROUTE (DATA | - | --file F | --size BYTES)\n"
            "                [-P URL]... [-l URL] [options]\n"
            "\n"
            "Publishes messages of ROUTE, such as types.Pose@robot.arm, once somebody\n"
            "subscribes to it.\n"
            "\n"
            "  DATA                this text as one message (after --, if it begins with -)\n"
            "  -                   each line of standard input as one message\n"
            "      --file F        this file as one message\n"
            "      --size BYTES    a message of this size, such as 1000 or 64KiB\n"
            "      --count N       send it N times, 0: until stopped (default: once; with\n"
            "                      --rate: until stopped; of standard input: all lines)\n"
            "      --rate HZ       messages a second (default: as fast as they are taken)\n"
            "      --wait S        seconds to wait for a subscriber, 0: none (default:\n"
            "                      for ever)\n"
            "      --proto FILE    DATA, - and --file are protobuf text or JSON of the\n"
            "                      route's type, which FILE (.proto) declares; may be given\n"
            "                      several times\n"
            "  -I DIR              --proto: look for FILE and its imports here (default:\n"
            "                      FILE's own folder); may be given several times\n" LINK_HELP "\n"
            "--proto runs protoc (protobuf-compiler) once. Lines that begin with # are passed\n"
            "over.\n"
            "\n"
            "Exit codes: 0 all was sent, or it was stopped by SIGINT; 1 it failed, nobody\n"
            "subscribed in time, or a subscriber was too slow for all of it; 2 wrong usage.\n"
            "\n"
            "  weft pub types.Text@robot.arm hello -P unix:///run/weft/weftd.sock\n"
            "  weft pub types.Pose@robot.arm 'x: 1 y: 2' --proto types.proto \\\n"
            "      -P unix:///run/weft/weftd.sock\n",
};
