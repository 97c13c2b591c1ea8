/* SPDX-License-Identifier: Apache-2.0
 * bar.c - the progress bar. Draws on stderr at most ten times a second and wipes itself, so that
 * what stays on the screen is only the result. */
#include <stdio.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"

void bar_init(struct bar *b)
{
    memset(b, 0, sizeof *b);
    b->begun = clock_seconds();
}

static void draw_left(double left)
{
    if (left >= 100)
        fprintf(stderr, " %.0f min left", left / 60 + 0.5);
    else
        fprintf(stderr, " %.0f s left", left + 0.5);
}

static void draw(const char *what, unsigned long long done, unsigned long long total, double spent,
                 double left)
{
    enum { WIDTH = 24, NARROW = 8, TEXT = 50, ROOM = 56 }; /* ROOM: of text and cells together */
    char cells[WIDTH + 1];
    fputs("\r\033[K", stderr);
    int n = (int)strnlen(what, TEXT), width = ROOM - n;
    width = width > WIDTH ? WIDTH : width < NARROW ? NARROW : width;
    term_escaped(stderr, what, (size_t)n);
    if (total == 0) {
        fprintf(stderr, " %s", term_count(done));
    } else {
        double share = done >= total ? 1 : (double)done / (double)total;
        int full = (int)(share * width);
        for (int i = 0; i < width; i++) cells[i] = i < full ? '#' : '.';
        cells[width] = 0;
        fprintf(stderr, " [%s] %3.0f%%", cells, share * 100);
        if (left > 0) draw_left(left);
        else if (share > 0.02 && share < 1) draw_left(spent * (1 - share) / share);
    }
    fflush(stderr);
}

int bar_update(void *bar, const char *what, unsigned long long done, unsigned long long total)
{
    struct bar *b = bar;
    double now = clock_seconds();
    if (now - b->begun >= 1 && now - b->shown >= 0.1 && term_is_tty(stderr)) {
        draw(what, done, total, now - b->begun, b->left);
        b->shown = now;
        b->visible = true;
    }
    return signals_interrupted();
}

void bar_fini(struct bar *b)
{
    if (b->visible) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    bar_init(b);
}
