/* weft sub: an interest for each route, whose queues are polled together with the signals; each
 * message is printed as it comes, and flushed when no more wait.
 *
 * With --proto a message is shown as what its type says; one that is not of its type is shown in
 * hex with the reason, and counted.
 *
 * Ends at --count, at --timeout, at a signal, or when nobody reads the output any more. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/escape.h"
#include "../common/suggest.h"
#include "../common/units.h"
#include "command.h"
#include "proto.h"

#define ROUTES_MAX 32

enum { OPTION_COUNT = OPTION_OWN, OPTION_TIMEOUT, OPTION_FORMAT, OPTION_PROTO };

static const struct option options[] = {
    LINK_LONG,
    {"count", required_argument, NULL, OPTION_COUNT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"verbose", no_argument, NULL, 'v'},
    PROTO_LONG,
    {NULL, 0, NULL, 0},
};

struct sub {
    struct link_options link;
    struct session session;
    char **routes; /* of argv */
    size_t route_count;
    uint64_t count;      /* messages to print; 0: no end */
    uint32_t timeout_ms; /* UINT32_MAX: none */
    bool verbose;        /* text and hex: the route before the data */
    bool terminal;       /* the output is one: nothing may steer it */
    void (*print)(struct sub *s, const weft_msg *msg);
    void (*print_typed)(struct sub *s, const weft_msg *msg); /* NULL: --format has none */
    struct proto proto;

    weft_interest *interests[ROUTES_MAX];
    int fds[ROUTES_MAX];
    uint64_t printed;
};

/* ---- Formats -----------------------------------------------------------------------------------
 */

static void print_route(const struct sub *s, const weft_msg *msg)
{
    const char *route = weft_msg_route(msg);
    if (!s->verbose)
        return;
    text_safe(stdout, route, strlen(route));
    putchar(' ');
}

static void print_text(struct sub *s, const weft_msg *msg)
{
    print_route(s, msg);
    if (s->terminal)
        text_safe(stdout, weft_msg_data(msg), weft_msg_size(msg));
    else
        fwrite(weft_msg_data(msg), 1, weft_msg_size(msg), stdout);
    putchar('\n');
}

static void write_hex(const weft_msg *msg)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = weft_msg_data(msg);
    for (size_t i = 0; i < weft_msg_size(msg); i++) {
        putchar(digits[p[i] >> 4]);
        putchar(digits[p[i] & 15]);
    }
}

static void print_hex(struct sub *s, const weft_msg *msg)
{
    print_route(s, msg);
    write_hex(msg);
    putchar('\n');
}

static void print_raw(struct sub *s, const weft_msg *msg)
{
    fwrite(weft_msg_data(msg), 1, weft_msg_size(msg), stdout);
}

/* What all messages have, up to the comma before their content. */
static void write_head(const weft_msg *msg)
{
    char time[TIME_TEXT];
    const char *route = weft_msg_route(msg), *sender = weft_msg_sender(msg);
    fputs("{\"route\":", stdout);
    json_quoted(stdout, route, strlen(route));
    fputs(",\"sender\":", stdout);
    json_quoted(stdout, sender, strlen(sender));
    printf(",\"time\":\"%s\",\"size\":%zu,", time_format(weft_msg_time(msg), 9, time),
           weft_msg_size(msg));
}

static void write_base64(const weft_msg *msg)
{
    fputs("\"base64\":\"", stdout);
    base64_write(stdout, weft_msg_data(msg), weft_msg_size(msg));
    putchar('"');
}

static void print_json(struct sub *s, const weft_msg *msg)
{
    const void *data = weft_msg_data(msg);
    size_t size = weft_msg_size(msg);
    write_head(msg);
    if (utf8_valid(data, size)) {
        fputs("\"text\":", stdout);
        json_quoted(stdout, data, size);
    } else {
        write_base64(msg);
    }
    puts("}");
}

/* A message that is not of its type becomes a comment, which weft pub --proto skips. */
static void print_typed_text(struct sub *s, const weft_msg *msg)
{
    char error[TYPED_ERROR];
    const struct typed_object *object = proto_decode(&s->proto, msg, error);
    if (object) {
        print_route(s, msg);
        typed_print_text(stdout, object);
    } else {
        const char *route = weft_msg_route(msg);
        fputs("# ", stdout);
        text_safe(stdout, route, strlen(route));
        fputs(": ", stdout);
        text_safe(stdout, error, strlen(error));
        fputs(": ", stdout);
        write_hex(msg);
    }
    putchar('\n');
}

static void print_typed_json(struct sub *s, const weft_msg *msg)
{
    char error[TYPED_ERROR];
    const struct typed_object *object = proto_decode(&s->proto, msg, error);
    write_head(msg);
    if (object) {
        fputs("\"message\":", stdout);
        typed_print_json(stdout, object);
    } else {
        fputs("\"error\":", stdout);
        json_quoted(stdout, error, strlen(error));
        putchar(',');
        write_base64(msg);
    }
    puts("}");
}

static const struct {
    const char *name;
    void (*print)(struct sub *s, const weft_msg *msg);
    void (*print_typed)(struct sub *s, const weft_msg *msg);
} formats[] = {{"text", print_text, print_typed_text},
               {"hex", print_hex, NULL},
               {"raw", print_raw, NULL},
               {"json", print_json, print_typed_json}};

/* ---- The command line --------------------------------------------------------------------------
 */

static int take_format(struct sub *s)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, optarg) == 0) {
            s->print = formats[i].print;
            s->print_typed = formats[i].print_typed;
            return EXIT_OK;
        }
    }
    return usage_error(&sub_command, "--format %s: expected text, hex, raw or json", optarg);
}

static int take_option(int option, struct sub *s)
{
    switch (option) {
    case OPTION_COUNT:
        if (count_parse(optarg, 1, UINT64_MAX, &s->count))
            return EXIT_OK;
        return usage_error(&sub_command, "--count %s: expected a number from 1", optarg);
    case OPTION_TIMEOUT:
        if (parse_seconds(optarg, &s->timeout_ms))
            return EXIT_OK;
        return usage_error(&sub_command, "--timeout %s: expected seconds or %s", optarg,
                           DURATION_EXPECTED);
    case OPTION_FORMAT:
        return take_format(s);
    case 'v':
        s->verbose = true;
        return EXIT_OK;
    case 'I':
    case OPTION_PROTO:
        return proto_option(&s->proto, &sub_command, option, OPTION_PROTO);
    }
    return EXIT_USAGE;
}

static int take_routes(int argc, char **argv, struct sub *s)
{
    s->routes = argv + optind;
    s->route_count = (size_t)(argc - optind);
    if (s->route_count == 0)
        return usage_error(&sub_command, "no route; give one such as types.Pose@robot.arm or "
                                         "'*@robot.**'");
    if (s->route_count > ROUTES_MAX)
        return usage_error(&sub_command, "more than %d routes; use a pattern", ROUTES_MAX);
    for (size_t i = 0; i < s->route_count; i++)
        if (weft_route_check(s->routes[i], NULL) < 0)
            return no_route(&sub_command, s->routes[i]);
    if (s->proto.files.count && !s->print_typed)
        return usage_error(&sub_command, "--proto shows --format text or json");
    if (s->proto.dirs.count && !s->proto.files.count)
        return usage_error(&sub_command, "-I is for --proto");
    return EXIT_OK;
}

static int parse(int argc, char **argv, struct sub *s, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, LINK_SHORT PROTO_SHORT "v", options)) != -1) {
        int taken = link_option(option, &sub_command, &s->link, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, s)) != EXIT_OK)
            return code;
    }
    code = take_routes(argc, argv, s);
    return code == EXIT_OK ? link_check(&s->link, &sub_command) : code;
}

/* ---- Receiving ---------------------------------------------------------------------------------
 */

static int declare(struct sub *s)
{
    for (size_t i = 0; i < s->route_count; i++) {
        int rc = weft_subscribe(s->session.node, s->routes[i], NULL, &s->interests[i]);
        if (rc < 0)
            return failure("cannot subscribe to %s: %s", s->routes[i], weft_strerror(rc));
        s->fds[i] = weft_interest_fd(s->interests[i]);
        if (s->fds[i] < 0)
            return failure("cannot wait for %s: %s", s->routes[i], weft_strerror(s->fds[i]));
    }
    return EXIT_OK;
}

static bool wanted(const struct sub *s)
{
    return s->count == 0 || s->printed < s->count;
}

/* Print what waits in all queues, a bounded number from each in turn. False: nobody reads. */
static bool print_waiting(struct sub *s)
{
    enum { TURN = 256 };
    for (size_t i = 0; i < s->route_count; i++) {
        weft_msg *msg;
        for (int n = 0; n < TURN && wanted(s) && weft_recv(s->interests[i], &msg, 0) == 0; n++) {
            s->print(s, msg);
            s->printed++;
            weft_msg_unref(msg);
        }
    }
    return fflush(stdout) == 0;
}

/* Whoever closed the pipe has what it wanted; a full disk is a failure. */
static int output_failed(void)
{
    return errno == EPIPE ? EXIT_OK : failure("cannot write the output: %s", strerror(errno));
}

static int time_is_up(const struct sub *s)
{
    char text[UNITS_TEXT];
    duration_format(s->timeout_ms, text);
    if (s->count)
        return failure("%" PRIu64 " of %" PRIu64 " messages came within %s", s->printed, s->count,
                       text);
    return s->printed ? EXIT_OK : failure("no message came within %s", text);
}

static int receive(struct sub *s)
{
    uint64_t deadline = deadline_after(s->timeout_ms);
    while (wanted(s)) {
        enum session_event e = session_wait(&s->session, deadline, s->fds, s->route_count);
        if (e == SESSION_SIGNAL)
            return EXIT_OK;
        if (e == SESSION_TIMEOUT || now_ns() >= deadline) /* also where messages never cease */
            return time_is_up(s);
        if (e == SESSION_INPUT && !print_waiting(s))
            return output_failed();
    }
    return EXIT_OK;
}

/* Before the mesh is gone to. */
static int load_types(struct sub *s)
{
    if (!s->proto.files.count)
        return EXIT_OK;
    s->print = s->print_typed;
    int code = proto_load(&s->proto);
    for (size_t i = 0; code == EXIT_OK && i < s->route_count; i++)
        code = proto_check(&s->proto, s->routes[i]);
    return code;
}

static int report_undecoded(const struct sub *s)
{
    if (!s->proto.undecoded)
        return EXIT_OK;
    return failure("%" PRIu64 " of %" PRIu64
                   " messages were not of their type, and are shown in hex",
                   s->proto.undecoded, s->printed);
}

static int report_dropped(const struct sub *s)
{
    uint64_t dropped = 0;
    for (size_t i = 0; i < s->route_count; i++)
        dropped += weft_interest_dropped(s->interests[i]);
    if (!dropped || !wanted(s))
        return EXIT_OK;
    return failure("%" PRIu64 " messages were dropped: the output was too slow for them", dropped);
}

static int subscribe(struct sub *s)
{
    weft_options o;
    session_options(&s->link, &o);
    int code = session_open(&s->session, &o);
    if (code != EXIT_OK)
        return code;
    code = declare(s);
    if (code == EXIT_OK)
        code = receive(s);
    if (code == EXIT_OK)
        code = report_dropped(s);
    if (code == EXIT_OK)
        code = report_undecoded(s);
    for (size_t i = 0; i < s->route_count; i++)
        weft_interest_close(s->interests[i]);
    session_close(&s->session);
    return code;
}

static int run(int argc, char **argv)
{
    struct sub s = {.timeout_ms = UINT32_MAX, .print = print_text, .print_typed = print_typed_text};
    bool done = false;
    s.terminal = isatty(STDOUT_FILENO);
    int code = parse(argc, argv, &s, &done);
    if (code == EXIT_OK && !done)
        code = load_types(&s);
    if (code == EXIT_OK && !done)
        code = subscribe(&s);
    proto_fini(&s.proto);
    link_fini(&s.link);
    return code;
}

const struct command sub_command = {
    .name = "sub",
    .run = run,
    .summary = "subscribe and print messages",
    .help = "usage: weft sub ROUTE... [-P URL]... [-l URL] [--count N] [--timeout S]\n"
            "                [--format FORMAT] [options]\n"
            "\n"
            "Prints the messages of each ROUTE: types.Pose@robot.arm, a hashed route, or a\n"
            "pattern in quotes: '*@robot.*.temp', 'types.Pose@robot.**'.\n"
            "\n"
            "      --count N       end after N messages\n"
            "      --timeout S     end after S seconds\n"
            "      --format FORMAT text: a message a line (on a terminal, controls escaped)\n"
            "                      hex:  a message a line, in hex\n"
            "                      raw:  the bytes, with nothing between messages\n"
            "                      json: an object a line: route, sender, time, size, and\n"
            "                            text, or base64 where it is not UTF-8\n"
            "  -v, --verbose       text and hex: the route before each message\n"
            "      --proto FILE    show messages by their types, which FILE (.proto)\n"
            "                      declares: as protobuf text, or with --format json as\n"
            "                      member \"message\"; may be given several times\n"
            "  -I DIR              --proto: look for FILE and its imports here (default:\n"
            "                      FILE's own folder); may be given several times\n" LINK_HELP "\n"
            "--proto takes the type from each message's route, and runs protoc\n"
            "(protobuf-compiler) once.\n"
            "\n"
            "Exit codes: 0 ended by --count, SIGINT, a closed output, or --timeout after a\n"
            "message; 1 it failed, messages were dropped or not of their type, or time was up\n"
            "before --count, or without any message; 2 wrong usage.\n",
};
