/* weft: one program, a file for each subcommand. */
#include <stdio.h>
#include <string.h>

#include "../common/suggest.h"
#include "command.h"

#define MOST 12 /* commands in a group */

/* All commands, as `weft help` shows them: on one screen of 24 lines and 80 columns. */
static const struct group {
    const char *title;
    const struct command *commands[MOST]; /* ends with NULL where there are fewer */
} groups[] = {
    {"Messages", {&pub_command, &sub_command, &record_command, &play_command, &bench_command}},
    {"Looking into a node and its mesh",
     {&ping_command, &status_command, &peers_command, &routes_command, &explain_command,
      &trace_command, &top_command, &graph_command}},
    {"Steering", {&addrbook_command, &reload_command, &log_command}},
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* The i-th of all, NULL behind the last. */
static const struct command *command_at(size_t i)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t k = 0; k < MOST && groups[g].commands[k]; k++)
            if (i-- == 0)
                return groups[g].commands[k];
    return NULL;
}

static const struct command *find(const char *name)
{
    const struct command *command;
    for (size_t i = 0; (command = command_at(i)); i++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

static void print_help(FILE *out)
{
    fputs("usage: weft COMMAND [arguments]      'weft help COMMAND' tells more of a command\n",
          out);
    for (size_t g = 0; g < GROUPS; g++) {
        fprintf(out, "%s:\n", groups[g].title);
        for (size_t k = 0; k < MOST && groups[g].commands[k]; k++)
            fprintf(out, "  %-9s %s\n", groups[g].commands[k]->name,
                    groups[g].commands[k]->summary);
    }
    fputs("'weft help' prints this text, 'weft version' the version.\n"
          "Exit codes: 0 done; 1 it failed or nothing came of it; 2 wrong usage.\n",
          out);
}

static int unknown(const char *name)
{
    const char *names[GROUPS * MOST + 4] = {"help", "version", "--help", "--version"};
    const struct command *command;
    size_t count = 4;
    for (size_t i = 0; (command = command_at(i)); i++)
        names[count++] = command->name;
    const char *near = suggest(name, names, count, sizeof(names[0]));
    fprintf(stderr, "weft: '%s' is no command%s%s%s\nSee 'weft help'.\n", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return EXIT_USAGE;
}

static int help(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stdout);
        return EXIT_OK;
    }
    const struct command *command = find(argv[1]);
    if (!command)
        return unknown(argv[1]);
    char *verb = argc > 2 ? argv[2] : NULL; /* 'weft help addrbook why' */
    char *args[] = {argv[1], verb ? verb : (char[]){"--help"}, verb ? (char[]){"--help"} : NULL,
                    NULL};
    return command->run(verb ? 3 : 2, args);
}

int main(int argc, char **argv)
{
    char name[64];
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0 ||
        strcmp(argv[1], "-V") == 0) {
        printf("weft %s\n", weft_version());
        return EXIT_OK;
    }
    const struct command *command = find(argv[1]);
    if (!command)
        return unknown(argv[1]);
    snprintf(name, sizeof(name), "weft %s", command->name);
    argv[1] = name; /* getopt's own messages begin with it */
    return command->run(argc - 1, argv + 1);
}
