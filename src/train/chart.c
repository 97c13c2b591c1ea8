/* SPDX-License-Identifier: Apache-2.0
 * chart.c - from numbers to paths. */
#include "src/train/chart.h"
#include <math.h>
#include <stdio.h>

#define WIDTH 360.0
#define HEIGHT 176.0
#define LEFT 40.0
#define RIGHT 8.0
#define TOP 8.0
#define BOTTOM 22.0
#define BUCKETS 300 /* points of a line at most */

struct axis {
    double lo, hi;
    bool is_log;
};

static bool fits(double y, bool is_log)
{
    return isfinite(y) && (!is_log || y > 0);
}

/* 0 at the bottom, 1 at the top. */
static double share(const struct axis *a, double y)
{
    if (a->is_log) return (log(y) - log(a->lo)) / (log(a->hi) - log(a->lo));
    return (y - a->lo) / (a->hi - a->lo);
}

static struct axis y_axis(const struct chart *c)
{
    struct axis a = {INFINITY, -INFINITY, c->is_log};
    if (c->y_min < c->y_max) a.lo = c->y_min, a.hi = c->y_max;
    for (size_t k = 0; k < c->n_lines; k++)
        for (size_t i = 0; i < c->lines[k].n; i++) {
            double y = c->lines[k].y[i];
            if (!fits(y, c->is_log)) continue;
            if (y < a.lo) a.lo = y;
            if (y > a.hi) a.hi = y;
        }
    if (a.lo == a.hi && !c->is_log) { /* flat: a line in the middle */
        a.lo = a.lo > 0 ? 0 : a.lo - 1;
        a.hi = a.hi > 0 ? 2 * a.hi : a.hi + 1;
    }
    if (!(a.lo <= a.hi)) a.lo = c->is_log ? 0.1 : 0, a.hi = 1;
    if (c->is_log) {
        a.lo *= 0.9;
        a.hi *= 1.1;
    } else if (c->y_min >= c->y_max) {
        double pad = 0.05 * (a.hi - a.lo) + 1e-9 * fabs(a.hi) + 1e-12;
        a.lo = a.lo >= 0 && a.lo < a.hi / 2 ? 0 : a.lo - pad;
        a.hi += pad;
    }
    return a;
}

static double round_step(double span, int n)
{
    double raw = span / n, power = pow(10, floor(log10(raw))), x = raw / power;
    return power * (x <= 1 ? 1 : x <= 2 ? 2 : x <= 2.5 ? 2.5 : x <= 5 ? 5 : 10);
}

static void put_number(double v, struct buf *out)
{
    double size = fabs(v);
    if (size >= 1e6) buf_printf(out, "%.3gM", v / 1e6);
    else if (size >= 1e4) buf_printf(out, "%.3gk", v / 1e3);
    else if (size >= 1 || v == 0) buf_printf(out, "%.4g", v);
    else buf_printf(out, "%.2g", v);
}

static void put_y_tick(const struct axis *a, double v, struct buf *out)
{
    double y = TOP + (1 - share(a, v)) * (HEIGHT - TOP - BOTTOM);
    buf_printf(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
               "text-anchor=\"end\">", LEFT, y, WIDTH - RIGHT, LEFT - 4, y + 3.5);
    put_number(v, out);
    buf_puts(out, "</text>");
}

static void put_y_ticks(const struct axis *a, struct buf *out)
{
    if (!a->is_log) {
        double step = round_step(a->hi - a->lo, 4);
        for (double v = ceil(a->lo / step) * step; v <= a->hi * (1 + 1e-12) + 1e-300; v += step)
            put_y_tick(a, fabs(v) < step / 1e6 ? 0 : v, out);
        return;
    }
    static const double within[] = {1, 2, 5};
    bool is_wide = a->hi / a->lo > 100;
    for (int e = -12; e < 12; e++)
        for (int i = 0; i < (is_wide ? 1 : 3); i++) {
            double v = within[i] * pow(10, e);
            if (v >= a->lo && v <= a->hi) put_y_tick(a, v, out);
        }
}

static double x_at(const struct chart *c, double x)
{
    return LEFT + (x - c->x_min) / (c->x_max - c->x_min) * (WIDTH - LEFT - RIGHT);
}

static void put_x_ticks(const struct chart *c, struct buf *out)
{
    double span = c->x_max - c->x_min, step = round_step(span, 5);
    for (double v = ceil(c->x_min / step) * step; v <= c->x_max; v += step) {
        buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x_at(c, v), HEIGHT - 7,
                   c->x_max - v < 0.03 * span ? "end" : "middle");
        put_number(v, out);
        buf_puts(out, "</text>");
    }
    for (size_t i = 0; i < c->n_marks; i++)
        if (c->marks[i] > c->x_min && c->marks[i] < c->x_max)
            buf_printf(out, "<path class=\"mark\" d=\"M%.1f %.1fV%.1f\"/>", x_at(c, c->marks[i]), TOP,
                       HEIGHT - BOTTOM);
}

/* Means of equal shares of the points, so that no line has more than BUCKETS. */
static void put_points(const struct chart_line *l, const struct axis *a, double x_min, double x_max,
                       double left, double top, double width, double height, struct buf *out)
{
    size_t every = (l->n + BUCKETS - 1) / BUCKETS;
    if (!every) every = 1;
    for (size_t at = 0; at < l->n; at += every) {
        double x = 0, y = 0, n = 0;
        for (size_t i = at; i < at + every && i < l->n; i++) {
            if (!fits(l->y[i], a->is_log)) continue;
            x += l->x[i];
            y += l->y[i];
            n++;
        }
        /* A line of one point is that point twice: a dot. */
        for (int i = 0; n && i < (l->n == 1 ? 2 : 1); i++)
            buf_printf(out, "%.1f,%.1f ", left + (x / n - x_min) / (x_max - x_min) * width,
                       top + (1 - share(a, y / n)) * height);
    }
}

static void put_last(const struct chart *c, struct buf *out)
{
    if (!c->n_lines) return;
    const struct chart_line *l = &c->lines[c->n_lines - 1];
    for (size_t i = l->n; i-- > 0;) {
        if (!fits(l->y[i], c->is_log)) continue;
        buf_printf(out, "<output>%.*f%s</output>", c->decimals, l->y[i], c->unit);
        return;
    }
}

void chart_write(const struct chart *given, struct buf *out)
{
    struct chart c = *given;
    if (!(c.x_max > c.x_min)) c.x_max = c.x_min + 1;
    struct axis a = y_axis(&c);
    buf_printf(out, "<figure><figcaption>%s ", c.title);
    put_last(&c, out);
    buf_printf(out, "</figcaption><svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\" "
               "data-box=\"%.0f %.0f %.0f %.0f\" data-x=\"%.9g %.9g\" data-y=\"%.9g %.9g\" data-log=\"%d\">",
               WIDTH, HEIGHT, c.title, LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM, c.x_min, c.x_max, a.lo, a.hi,
               c.is_log);
    put_y_ticks(&a, out);
    put_x_ticks(&c, out);
    for (size_t i = 0; i < c.n_lines; i++) {
        buf_printf(out, "<polyline class=\"%s\" points=\"", c.lines[i].css);
        put_points(&c.lines[i], &a, c.x_min, c.x_max, LEFT, TOP, WIDTH - LEFT - RIGHT,
                   HEIGHT - TOP - BOTTOM, out);
        buf_puts(out, "\"/>");
    }
    buf_puts(out, "</svg></figure>\n");
}

void chart_spark(const struct chart_line *line, double x_max, struct buf *out)
{
    const struct axis a = {0, 1, false};
    buf_printf(out, "<svg class=\"spark\" viewBox=\"0 0 120 34\" aria-hidden=\"true\">"
               "<path class=\"grid\" d=\"M0 2H120M0 32H120\"/><polyline class=\"%s\" points=\"", line->css);
    put_points(line, &a, 0, x_max > 0 ? x_max : 1, 0, 2, 120, 30, out);
    buf_puts(out, "\"/></svg>");
}
