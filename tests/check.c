/* The plain runner: each test in a process of its own, which must exit with 0. Names given as
 * arguments
 * ("suite/name" or "suite") select. */
#include "check.h"

#ifdef WEFT_TEST_PLAIN

#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#define TESTS_MAX 512

static struct {
    const char *suite, *name;
    void (*fn)(void);
} tests[TESTS_MAX];
static int count;

void check_register(const char *suite, const char *name, void (*fn)(void))
{
    if (count == TESTS_MAX)
        abort();
    tests[count].suite = suite;
    tests[count].name = name;
    tests[count++].fn = fn;
}

static bool selected(int i, int argc, char **argv)
{
    bool any = false;
    for (int a = 1; a < argc; a++) {
        if (argv[a][0] == '-')
            continue;
        any = true;
        size_t n = strlen(tests[i].suite);
        if (strncmp(argv[a], tests[i].suite, n) == 0 &&
            (argv[a][n] == '\0' || strcmp(argv[a] + n + 1, tests[i].name) == 0))
            return true;
    }
    return !any;
}

static int run(int i)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        tests[i].fn();
        exit(0);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    for (int i = 0; i < count; i++) {
        if (!selected(i, argc, argv))
            continue;
        int status = run(i);
        if (status == 0) {
            passed++;
            continue;
        }
        failed++;
        fprintf(stderr, "FAILED %s/%s (%s %d)\n", tests[i].suite, tests[i].name,
                WIFSIGNALED(status) ? "signal" : "exit code",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: 0\n",
           passed + failed, passed, failed);
    return failed || passed == 0;
}

#else

typedef int check_is_criterion; /* a source file may not be empty */

#endif
