#include "suggest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ERRORS_MAX 2
#define WORD_MAX 255 /* nothing longer is anybody's command, key or route */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, delete, replace or swap with their neighbour to make b of a. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    size_t la = strlen(a), lb = strlen(b);
    if (la > WORD_MAX || lb > WORD_MAX || la > lb + ERRORS_MAX || lb > la + ERRORS_MAX)
        return WORD_MAX;
    memset(before, 0, sizeof(rows[0]));
    for (size_t j = 0; j <= lb; j++)
        above[j] = j;
    for (size_t i = 1; i <= la; i++) {
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[lb];
}

const char *suggest(const char *word, const char *const *first, size_t count, size_t stride)
{
    const char *best = NULL;
    size_t best_distance = ERRORS_MAX + 1;
    for (size_t i = 0; i < count; i++) {
        const char *name = *(const char *const *)((const char *)first + i * stride);
        size_t d = distance(word, name);
        if (d < best_distance && d < strlen(name)) {
            best = name;
            best_distance = d;
        }
    }
    return best;
}

/* The word is the last that getopt took; behind '=' begins its value. */
static void suggest_option(const char *word, const struct option *longs)
{
    char name[WORD_MAX + 1];
    size_t count = 0;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    while (longs[count].name)
        count++;
    const char *near = count ? suggest(name, &longs->name, count, sizeof(*longs)) : NULL;
    if (near)
        fprintf(stderr, "Did you mean '--%s'?\n", near);
}

int suggest_getopt(int argc, char **argv, const char *shorts, const struct option *longs)
{
    int option = getopt_long(argc, argv, shorts, longs, NULL);
    bool unknown = option == '?' && optopt == 0; /* else a letter, or an argument is missing */
    if (unknown && strncmp(argv[optind - 1], "--", 2) == 0)
        suggest_option(argv[optind - 1] + 2, longs);
    return option;
}
