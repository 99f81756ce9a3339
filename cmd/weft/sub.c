/* weft sub: an interest for each route, whose queues are polled together with the signals; each
 * message is printed as it comes, and flushed when no more wait.
 *
 * Ends at --count, at --timeout, at a signal, or when nobody reads the output any more. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/escape.h"
#include "../common/units.h"
#include "command.h"

#define ROUTES_MAX 32

enum { OPTION_COUNT = OPTION_OWN, OPTION_TIMEOUT, OPTION_FORMAT };

static const struct option options[] = {
    LINK_LONG,
    {"count", required_argument, NULL, OPTION_COUNT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"verbose", no_argument, NULL, 'v'},
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
    void (*print)(const struct sub *s, const weft_msg *msg);

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

static void print_text(const struct sub *s, const weft_msg *msg)
{
    print_route(s, msg);
    if (s->terminal)
        text_safe(stdout, weft_msg_data(msg), weft_msg_size(msg));
    else
        fwrite(weft_msg_data(msg), 1, weft_msg_size(msg), stdout);
    putchar('\n');
}

static void print_hex(const struct sub *s, const weft_msg *msg)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = weft_msg_data(msg);
    print_route(s, msg);
    for (size_t i = 0; i < weft_msg_size(msg); i++) {
        putchar(digits[p[i] >> 4]);
        putchar(digits[p[i] & 15]);
    }
    putchar('\n');
}

static void print_raw(const struct sub *s, const weft_msg *msg)
{
    fwrite(weft_msg_data(msg), 1, weft_msg_size(msg), stdout);
}

static void print_json(const struct sub *s, const weft_msg *msg)
{
    char time[TIME_TEXT];
    const char *route = weft_msg_route(msg), *sender = weft_msg_sender(msg);
    const void *data = weft_msg_data(msg);
    size_t size = weft_msg_size(msg);
    fputs("{\"route\":", stdout);
    json_quoted(stdout, route, strlen(route));
    fputs(",\"sender\":", stdout);
    json_quoted(stdout, sender, strlen(sender));
    printf(",\"time\":\"%s\",\"size\":%zu,", time_format(weft_msg_time(msg), 9, time), size);
    if (utf8_valid(data, size)) {
        fputs("\"text\":", stdout);
        json_quoted(stdout, data, size);
    } else {
        fputs("\"base64\":\"", stdout);
        base64_write(stdout, data, size);
        putchar('"');
    }
    puts("}");
}

static const struct {
    const char *name;
    void (*print)(const struct sub *s, const weft_msg *msg);
} formats[] = {{"text", print_text}, {"hex", print_hex}, {"raw", print_raw}, {"json", print_json}};

/* ---- The command line --------------------------------------------------------------------------
 */

static int take_format(struct sub *s)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, optarg) == 0) {
            s->print = formats[i].print;
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
    return EXIT_OK;
}

static int parse(int argc, char **argv, struct sub *s, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = getopt_long(argc, argv, LINK_SHORT "v", options, NULL)) != -1) {
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
    for (size_t i = 0; i < s->route_count; i++)
        weft_interest_close(s->interests[i]);
    session_close(&s->session);
    return code;
}

static int run(int argc, char **argv)
{
    struct sub s = {.timeout_ms = UINT32_MAX, .print = print_text};
    bool done = false;
    s.terminal = isatty(STDOUT_FILENO);
    int code = parse(argc, argv, &s, &done);
    if (code == EXIT_OK && !done)
        code = subscribe(&s);
    link_fini(&s.link);
    return code;
}

const struct command sub_command = {
    .name = "sub",
    .run = run,
    .summary = "subscribe and print messages",
    .help =
        "usage: weft sub ROUTE... [-P URL]... [-l URL] [--count N] [--timeout S] [--format "
        "FORMAT]\n"
        "\n"
        "Prints the messages of each ROUTE: types.Pose@robot.arm, a hashed route, or a pattern in\n"
        "quotes: '*@robot.*.temp', 'types.Pose@robot.**'.\n"
        "\n"
        "      --count N       end after N messages\n"
        "      --timeout S     end after S seconds\n"
        "      --format FORMAT text: a message a line (on a terminal with controls escaped)\n"
        "                      hex:  a message a line, in hex\n"
        "                      raw:  the bytes, with nothing between messages\n"
        "                      json: an object a line: route, sender, time, size, and text, or\n"
        "                            base64 where it is not UTF-8\n"
        "  -v, --verbose       text and hex: the route before each message\n" LINK_HELP "\n"
        "Exit codes: 0 ended by --count, SIGINT, a closed output, or --timeout after a message;\n"
        "1 it failed, messages were dropped, or time was up before --count, or without any "
        "message;\n"
        "2 wrong usage.\n",
};
