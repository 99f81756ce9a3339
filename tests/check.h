/* Tests are written against these few macros. By default they are Criterion's; with WEFT_TEST_PLAIN
 * they run in a small runner that forks for each test, because Criterion's sandbox cannot start
 * under ThreadSanitizer and does not see the exit code of LeakSanitizer.
 *
 *     TEST(suite, name) { CHECK(x == 1); CHECK_EQ(rc, 0); CHECK_STR(a, "b"); }
 *
 * A failed check ends the test. Threads a test starts report by their result, not by CHECK. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Built with a sanitizer that makes everything several times slower. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

#ifdef WEFT_TEST_FUZZ /* tests/fuzz: no tests here, and a fuzzer takes an abort for a finding */

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        abort();                                                                                   \
    } while (0)

#elif defined(WEFT_TEST_PLAIN)

void check_register(const char *suite, const char *name, void (*fn)(void));

#define TEST(suite, name)                                                                          \
    static void test_##suite##_##name(void);                                                       \
    __attribute__((constructor)) static void register_##suite##_##name(void)                       \
    {                                                                                              \
        check_register(#suite, #name, test_##suite##_##name);                                      \
    }                                                                                              \
    static void test_##suite##_##name(void)

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        _Exit(1);                                                                                  \
    } while (0)

#else

#include <criterion/criterion.h>

#define TEST(suite, name) Test(suite, name)
#define FAIL(...) cr_assert_fail(__VA_ARGS__)

#endif

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            FAIL("%s", #cond);                                                                     \
    } while (0)

#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        long long check_a = (long long)(a), check_b = (long long)(b);                              \
        if (check_a != check_b)                                                                    \
            FAIL("%s == %s: %lld, %lld", #a, #b, check_a, check_b);                                \
    } while (0)

#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *check_a = (a), *check_b = (b);                                                 \
        if (!check_a || !check_b || strcmp(check_a, check_b) != 0)                                 \
            FAIL("%s == %s: \"%s\", \"%s\"", #a, #b, check_a ? check_a : "(null)",                 \
                 check_b ? check_b : "(null)");                                                    \
    } while (0)

#define CHECK_MEM(a, b, size)                                                                      \
    do {                                                                                           \
        if ((size) != 0 && memcmp((a), (b), (size)) != 0)                                          \
            FAIL("%s and %s differ within %zu bytes", #a, #b, (size_t)(size));                     \
    } while (0)

#endif
