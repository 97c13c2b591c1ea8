/* SPDX-License-Identifier: Apache-2.0
 * bandwidth.c - how fast this machine reads the weights where they lie: the ceiling of decode; how
 * fast it multiplies: that of prefill; and where the time of steps goes. */
#include <stdlib.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/engine/engine.h"

#define SPAN_BYTES ((size_t)1 << 20)
#define ROUND_SPANS 64 /* between looks at the clock */

/* Whether t is a plane, or a gap before one, that reading at `bits` leaves alone. */
static bool is_above(const struct gguf_tensor *t, int bits)
{
    static const char pad[] = "fikr.pad.";
    const char *end = t->name.p + t->name.n;
    if (t->name.n > strlen(pad) && memcmp(t->name.p, pad, strlen(pad)) == 0) return true;
    return bits && t->name.n > 3 && t->dtype == DT_I8 && end[-3] == '.' && end[-2] == 'p' &&
           end[-1] - '0' > bits;
}

static size_t cut_spans(const struct model *m, int bits, struct device_span *out)
{
    size_t n = 0;
    for (size_t i = 0; i < gguf_n_tensors(m->gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(m->gguf, i);
        if (is_above(t, bits)) continue;
        for (uint64_t at = 0; at < t->bytes; at += SPAN_BYTES, n++) {
            if (!out) continue;
            uint64_t left = t->bytes - at;
            out[n] = (struct device_span){t->data + at, left < SPAN_BYTES ? (size_t)left : SPAN_BYTES};
        }
    }
    return n;
}

struct reading {
    double bytes, seconds;
};

/* Adds the spans from *first on, at most ROUND_SPANS of them; moves *first. */
static void read_round(struct device *d, const struct device_span *spans, size_t n, size_t *first,
                       struct reading *r)
{
    size_t n_round = n - *first < ROUND_SPANS ? n - *first : ROUND_SPANS;
    for (size_t i = 0; i < n_round; i++) r->bytes += (double)spans[*first + i].bytes;
    r->seconds += device_get_ops(d)->read_spans(d, spans + *first, n_round);
    *first = *first + n_round < n ? *first + n_round : 0;
}

/* The mean, as the speed of decoding is a mean over many tokens: where neighbours share the memory, the
 * best of many short rounds is a tenth above what any longer reading gets. Rounds of a few small
 * spans are left out: they measure the caches and the barrier. */
static double read_for(struct device *d, const struct device_span *spans, size_t n, double seconds)
{
    double begun = clock_seconds();
    struct reading warm = {0, 0}, sum = {0, 0};
    size_t first = 0;
    /* Once around first, so that the pages are mapped. Of a file that takes too long to come in, the
     * part that came is measured: the rest would tell the disk's speed. */
    do read_round(d, spans, n, &first, &warm);
    while (first && clock_seconds() - begun < 10 * seconds);
    if (first) n = first;
    first = 0;
    begun = clock_seconds();
    do {
        bool is_whole = n - first >= ROUND_SPANS || n < ROUND_SPANS;
        struct reading skipped = {0, 0};
        read_round(d, spans, n, &first, is_whole ? &sum : &skipped);
    } while (clock_seconds() - begun < seconds || sum.bytes == 0);
    return sum.seconds > 0 ? sum.bytes / sum.seconds / 1e9 : 0;
}

enum fk_status engine_bandwidth(const struct model *m, struct device *d, int bits, double seconds,
                                double *gb_per_s, struct fk_error *err)
{
    size_t n = cut_spans(m, bits, NULL);
    *gb_per_s = 0;
    if (!n) return fail(err, FK_ESTATE, "the file has no weights to read");
    if (!device_get_ops(d)->read_spans)
        return fail(err, FK_EUNSUPPORTED, "device %s measures no bandwidth", device_get_ops(d)->name);
    struct device_span *spans = mem_array(n, sizeof *spans, MEM_ENGINE);
    if (!spans) return fail_nomem(err, n * sizeof *spans, "measuring the bandwidth");
    *gb_per_s = read_for(d, spans, cut_spans(m, bits, spans), seconds);
    mem_free(spans);
    if (gguf_failed(m->gguf))
        return fail(err, FK_EGONE, "%s was cut while it was being read", gguf_path(m->gguf));
    return FK_OK;
}

enum fk_status engine_int8_rate(struct device *d, double seconds, double *products_per_s,
                                struct fk_error *err)
{
    const struct device_ops *ops = device_get_ops(d);
    if (!ops->int8_rate)
        return fail(err, FK_EUNSUPPORTED, "device %s does not tell how fast it multiplies", ops->name);
    *products_per_s = ops->int8_rate(d, seconds);
    return FK_OK;
}

static int by_seconds(const void *a, const void *b)
{
    const struct op_line *x = a, *y = b;
    return (x->sum.seconds < y->sum.seconds) - (x->sum.seconds > y->sum.seconds);
}

size_t engine_op_times(fk_engine *e, struct fk_op_time *out, size_t cap)
{
    size_t n = e->ops.times ? e->times.n : 0;
    qsort(e->times.lines, n, sizeof e->times.lines[0], by_seconds);
    for (size_t i = 0; i < n && i < cap; i++) out[i] = e->times.lines[i].sum;
    e->times.n = 0;
    e->ops.times = &e->times;
    return n;
}
