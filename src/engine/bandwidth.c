/* SPDX-License-Identifier: Apache-2.0
 * bandwidth.c - how fast this machine reads the weights where they lie: the ceiling of decode. */
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fail.h"
#include "src/base/pool.h"
#include "src/engine/engine.h"
#include <string.h>

#define CHUNK_BYTES ((size_t)1 << 20)
#define ROUND_CHUNKS 64 /* between looks at the clock */

struct span {
    const uint8_t *data;
    size_t bytes;
};

struct reading {
    const struct span *spans;
    size_t n_spans;
    size_t first;        /* of this round */
    uint64_t sums[64];   /* by chunk modulo 64: keeps the reads alive */
};

static void read_chunk(void *arg, int64_t chunk, int worker)
{
    struct reading *r = arg;
    const struct span *s = &r->spans[(r->first + (size_t)chunk) % r->n_spans];
    uint64_t sums[8] = {0}, words[8];
    (void)worker;
    for (size_t i = 0; i + sizeof words <= s->bytes; i += sizeof words) {
        memcpy(words, s->data + i, sizeof words);
        for (int j = 0; j < 8; j++) sums[j] += words[j];
    }
    for (int j = 1; j < 8; j++) sums[0] += sums[j];
    r->sums[chunk % 64] = sums[0];
}

static size_t cut_spans(const struct model *m, struct span *out)
{
    size_t n = 0;
    for (size_t i = 0; i < gguf_n_tensors(m->gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(m->gguf, i);
        for (uint64_t at = 0; at < t->bytes; at += CHUNK_BYTES, n++) {
            if (!out) continue;
            uint64_t left = t->bytes - at;
            out[n] = (struct span){t->data + at, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES};
        }
    }
    return n;
}

/* Bytes per second of one round over the next ROUND_CHUNKS spans. */
static double read_round(struct reading *r, struct pool *pool)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ROUND_CHUNKS; i++)
        bytes += r->spans[(r->first + i) % r->n_spans].bytes;
    double begun = clock_seconds();
    pool_run(pool, read_chunk, r, ROUND_CHUNKS);
    r->first = (r->first + ROUND_CHUNKS) % r->n_spans;
    return (double)bytes / (clock_seconds() - begun);
}

/* The best round counts: others lost time to something that is not the memory. */
static double read_for(struct reading *r, struct pool *pool, double seconds)
{
    double begun = clock_seconds(), best = 0;
    /* Once around first, so that the pages are mapped; a large file may not all fit or come in. */
    for (size_t n = 0; n < r->n_spans && clock_seconds() - begun < 10 * seconds; n += ROUND_CHUNKS)
        read_round(r, pool);
    begun = clock_seconds();
    do {
        double speed = read_round(r, pool);
        if (speed > best) best = speed;
    } while (clock_seconds() - begun < seconds);
    return best / 1e9;
}

enum fk_status engine_bandwidth(const struct model *m, int n_threads, double seconds,
                                double *gb_per_s, struct fk_error *err)
{
    struct pool *pool = NULL;
    size_t n = cut_spans(m, NULL);
    *gb_per_s = 0;
    if (!n) return fail(err, FK_ESTATE, "the file has no weights to read");
    struct span *spans = mem_array(n, sizeof *spans, MEM_ENGINE);
    if (!spans) return fail_nomem(err, n * sizeof *spans, "measuring the bandwidth");
    enum fk_status st = pool_create(&pool, n_threads, err);
    if (st == FK_OK) {
        struct reading r = {.spans = spans, .n_spans = cut_spans(m, spans)};
        *gb_per_s = read_for(&r, pool, seconds);
        pool_destroy(&pool);
    }
    mem_free(spans);
    if (st == FK_OK && gguf_failed(m->gguf))
        return fail(err, FK_EGONE, "%s was cut while it was being read", gguf_path(m->gguf));
    return st;
}
