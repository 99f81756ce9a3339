/* weft: one program, a file for each subcommand. */
#include <stdio.h>
#include <string.h>

#include "../common/suggest.h"
#include "command.h"

static const struct command *const commands[] = {
    &pub_command, &sub_command, &ping_command, &addrbook_command, &bench_command,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_help(FILE *out)
{
    fputs("usage: weft COMMAND [arguments]\n"
          "\n"
          "The command line of the weft mesh.\n"
          "\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help       this text; 'weft help COMMAND' for the options of a command\n"
          "  version    the version\n"
          "\n"
          "Exit codes: 0 done; 1 it failed or nothing came of it; 2 wrong usage.\n"
          "\n"
          "Two terminals, one message:\n"
          "  weft sub types.Text@demo -l tcp://127.0.0.1:7400/\n"
          "  weft pub types.Text@demo hello -P tcp://127.0.0.1:7400/\n",
          out);
}

static int unknown(const char *name)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *near = suggest(name, names, COMMANDS, sizeof(names[0]));
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
    argv[0] = argv[1];
    argv[1] = (char[]){"--help"};
    return command->run(2, argv);
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
