#include "problems.h"

#include <stdarg.h>

#include "../common/memory.h"

void problems_add(struct problems *problems, size_t line, size_t column, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (problems->total++ >= PROBLEMS_MAX)
        return;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0)
        len = 0;
    size_t kept = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    problems->list[problems->count++] = (struct problem){line, column, xcopy(text, kept)};
}

void problems_text(const struct problems *problems, size_t i, char *buf, size_t size)
{
    const struct problem *p = &problems->list[i];
    if (p->line && problems->file)
        snprintf(buf, size, "%s:%zu:%zu: %s", problems->file, p->line, p->column, p->text);
    else
        snprintf(buf, size, "%s", p->text);
}

void problems_print(const struct problems *problems, FILE *out)
{
    for (size_t i = 0; i < problems->count; i++) {
        char text[5120]; /* a path and a problem */
        problems_text(problems, i, text, sizeof(text));
        fprintf(out, "%s%s\n", problems->list[i].line ? "" : "weftd: ", text);
    }
    if (problems->total > problems->count)
        fprintf(out, "weftd: and %zu more problems\n", problems->total - problems->count);
}

void problems_fini(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        xfree(problems->list[i].text);
    *problems = (struct problems){0};
}
