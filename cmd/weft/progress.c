/* Drawn a few times a second, in one write, never wider than the terminal; where standard error is
 * no terminal, nothing is written at all. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../common/units.h"
#include "command.h"

#define REDRAW_NS UINT64_C(250000000)
#define BAR 24
#define LINE 160

void progress_init(struct progress *p)
{
    *p = (struct progress){.shown = isatty(STDERR_FILENO)};
    p->started = p->next = p->rated = now_ns();
}

uint64_t progress_due(const struct progress *p)
{
    return p->shown ? p->next : FOREVER;
}

static size_t width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void draw_bar(char bar[BAR + 1], uint64_t done, uint64_t total)
{
    size_t full = done >= total ? BAR : (size_t)((double)done / (double)total * BAR);
    memset(bar, '#', full);
    memset(bar + full, '.', BAR - full);
    bar[BAR] = '\0';
}

void progress_draw(struct progress *p, uint64_t messages, uint64_t bytes, uint64_t done_ns,
                   uint64_t total_ns)
{
    uint64_t now = now_ns();
    if (!p->shown || now < p->next)
        return;
    if (now > p->rated)
        p->rate = (double)(messages - p->messages_rated) * 1e9 / (double)(now - p->rated);
    p->rated = now;
    p->messages_rated = messages;
    p->next = now + REDRAW_NS;
    char line[LINE], count[UNITS_TEXT], size[UNITS_TEXT], rate[UNITS_TEXT], done[UNITS_TEXT],
        total[UNITS_TEXT], bar[BAR + 1];
    size_t columns = width();
    amount_format((double)messages, count);
    amount_format((double)bytes, size);
    amount_format(p->rate, rate);
    ns_format(done_ns, done);
    int n = snprintf(line, sizeof(line), "%s messages  %sB  %s/s  %s", count, size, rate, done);
    if (total_ns) {
        draw_bar(bar, done_ns, total_ns);
        n += snprintf(line + n, sizeof(line) - (size_t)n, " of %s  [%s]",
                      ns_format(total_ns, total), bar);
    }
    if ((size_t)n >= columns) /* the last column is left free: some terminals wrap there */
        line[columns - 1] = '\0';
    fprintf(stderr, "\r%s\x1b[K", line);
    p->drawn = true;
}

void progress_clear(struct progress *p)
{
    if (p->drawn)
        fputs("\r\x1b[K", stderr);
    p->drawn = false;
}
