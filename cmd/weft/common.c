/* What every subcommand does with its command line. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../common/units.h"
#include "command.h"

int usage_error(const struct command *command, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "weft %s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nSee 'weft help %s'.\n", command->name);
    return EXIT_USAGE;
}

int failure(const char *format, ...)
{
    va_list args;
    fputs("weft: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

bool parse_seconds(const char *text, uint32_t *ret_ms)
{
    return duration_parse(text, 1000, ret_ms);
}

static int take_url(const char *option, const char *url, const struct command *command)
{
    char why[512];
    if (weft_url_check(url, NULL) == 0)
        return EXIT_OK;
    weft_url_explain(url, why, sizeof(why));
    return usage_error(command,
                       "%s%s: not a peer URL: %s; expected one such as "
                       "tcp://10.0.0.2:7400/robot.arm or unix:///run/weft.sock/robot.arm",
                       option, url, why);
}

int no_route(const struct command *command, const char *route)
{
    char why[512];
    weft_route_explain(route, why, sizeof(why));
    return usage_error(command, "%s; a route is TYPE@PATH, such as types.Pose@robot.arm", why);
}

/* `option` is how it was given, with a space behind it; "" for an argument. */
static int take_peer(const char *option, const char *url, const struct command *command,
                     struct link_options *link)
{
    int code = take_url(option, url, command);
    if (code == EXIT_OK && !names_add(&link->peers, url))
        code = usage_error(command, "more than %d peers", NAMES_MAX);
    return code;
}

int link_url(const char *url, const struct command *command, struct link_options *link)
{
    return take_peer("", url, command, link);
}

static int take(int option, const struct command *command, struct link_options *link)
{
    int code = EXIT_OK;
    switch (option) {
    case 'P':
        code = take_peer("-P ", optarg, command, link);
        break;
    case 'l':
        code = take_url("-l ", optarg, command);
        link->listen = optarg;
        break;
    case OPTION_NETWORK:
        link->network = optarg;
        break;
    case OPTION_PATH:
        link->path = optarg;
        break;
    case OPTION_LEAF:
        link->role = WEFT_ROLE_LEAF;
        break;
    case OPTION_CLIENT:
        link->role = WEFT_ROLE_CLIENT;
        break;
    }
    return code;
}

int link_option(int option, const struct command *command, struct link_options *link, int *ret_code)
{
    bool ours = option == 'P' || option == 'l' || (option >= OPTION_NETWORK && option < OPTION_OWN);
    if (option == 'h') {
        fputs(command->help, stdout);
        *ret_code = EXIT_OK;
        return -1;
    }
    if (option == '?')
        fprintf(stderr, "See 'weft help %s'.\n", command->name);
    if (option == '?' || (ours && take(option, command, link) != EXIT_OK)) {
        *ret_code = EXIT_USAGE;
        return -1;
    }
    return ours;
}

int link_check(const struct link_options *link, const struct command *command)
{
    if (!link->listen && link->peers.count == 0)
        return usage_error(command, "no mesh to go to; give -P URL of a node to link to, or -l URL "
                                    "to listen");
    if (link->listen && link->role != WEFT_ROLE_AUTO)
        return usage_error(command, "-l makes a peer, which is neither --leaf nor --client; give "
                                    "one of them");
    if (link->listen && link->path)
        return usage_error(command, "the path of a peer is part of its URL; write it behind the "
                                    "address of -l and leave --path out");
    return EXIT_OK;
}

void link_fini(struct link_options *link)
{
    names_fini(&link->peers);
}
