/* SPDX-License-Identifier: Apache-2.0
 * chart.h - curves as inline SVG that needs no script: axes with round numbers, boundaries of stages,
 * lines thinned to what a screen can show. Knows nothing of training. */
#ifndef TRAIN_CHART_H
#define TRAIN_CHART_H
#include "src/base/buf.h"

/* y[i] at x[i], x rising. Points that are not finite are left out. */
struct chart_line {
    const char *css; /* class of the line */
    const double *x, *y;
    size_t n;
};

struct chart {
    const char *title; /* trusted text */
    const char *unit;  /* behind the last value, "" */
    int decimals;      /* of the last value */
    const struct chart_line *lines;
    size_t n_lines;    /* the last line's last value stands beside the title */
    double x_min, x_max;
    double y_min, y_max; /* of the axis at least; equal: as the data says */
    bool is_log;         /* y > 0; what is not is left out */
    const double *marks; /* x of vertical lines */
    size_t n_marks;
};

/* Appends a <figure>. out->failed when memory runs out. */
void chart_write(const struct chart *c, struct buf *out);
/* Appends a small <svg> without axes; y from 0 to 1. */
void chart_spark(const struct chart_line *line, double x_max, struct buf *out);

#endif
