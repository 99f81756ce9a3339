/* weftd: the router as a daemon. The command line is laid over the file, the whole is checked, and
 * then either explained (--check) or run. */
#include <stdio.h>

#include "arguments.h"
#include "daemon.h"

static int run(const struct arguments *a)
{
    struct config config;
    struct problems problems = {0};
    int code;
    config_init(&config);
    arguments_gather(a, &config, &problems);
    if (a->check && problems.total == 0)
        config_explain(&config, &problems);
    if (problems.total > 0) {
        fflush(stdout);
        problems_print(&problems, stderr);
        code = a->check ? EXIT_FAILED : EXIT_CONFIG;
    } else {
        code = a->check ? EXIT_OK : daemon_run(a, &config);
    }
    problems_fini(&problems);
    config_fini(&config);
    return code;
}

int main(int argc, char **argv)
{
    struct arguments a = {0};
    int code = arguments_parse(&a, argc, argv) ? run(&a) : a.code;
    arguments_fini(&a);
    return code;
}
