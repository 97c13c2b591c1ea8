/* SPDX-License-Identifier: Apache-2.0
 * bf16_amx.c - BF16 weights times ACT_BF16 rows with tile registers. tdpbf16ps multiplies 16 rows with 16
 * others over 32 inputs in 16 cycles; vdpbf16ps takes 256 for that, or 512 where it starts once in two
 * cycles (Emerald Rapids).
 *
 * One side, the rows, lies in a tile as in memory. Of the other, the strip, a tile has two inputs of every
 * row side by side. Few tokens make the strip and meet weights as they lie; many tokens meet a strip of
 * weights, which is turned over once for all of them. Two tiles of rows meet two of strips, so that each
 * load is used twice: 64 cycles of products beside four loads of 16 lines.
 *
 * Canonical order, whichever side is the strip: by 32 inputs as the instruction adds them, even and odd ones
 * apart; that to the sum so far. Numbers below 2^-126, weights, activations and sums, count as zero. */
#include "src/kernels/x86/amx.h"

enum { GROUP = 32, ROWS = 16, FEW_TOKENS = 2 * ROWS };
enum { CHUNK = 640 }; /* inputs of two strips that share the first-level cache with rows: 40 KB */
enum { MANY_ROWS = 512 }; /* that meet a strip of tokens before it is made anew */

/* A tile is 1 KB: GROUP inputs of ROWS rows. */
struct strip {
    _Alignas(64) uint32_t pairs[CHUNK / 2][ROWS];
};

/* n inputs of up to ROWS rows; what a tile has beyond them is 0. */
static void fill_strip(struct strip *s, const char *rows, size_t row_bytes, int64_t n_rows, int64_t n)
{
    for (int64_t i = 0; i < n; i += GROUP) {
        __m512i m[ROWS], z[ROWS];
        const __mmask32 mask = n - i < GROUP ? (1u << (n - i)) - 1 : 0xffffffff;
        UNROLL
        for (int r = 0; r < ROWS; r++)
            m[r] = r < n_rows ? _mm512_maskz_loadu_epi16(mask, rows + (size_t)r * row_bytes + 2 * i)
                              : _mm512_setzero_si512();
        transpose16(m, z);
        UNROLL
        for (int r = 0; r < ROWS; r++)
            _mm512_store_si512(s->pairs[i / 2 + r], z[r]);
    }
}

#define LOAD(tile, p, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(p), "r"((size_t)(stride)) : "memory")
#define STORE(tile, p, stride) \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(p), "r"((size_t)(stride)) : "memory")
#define ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile : :)
#define MULTIPLY(sums, rows, strip) \
    __asm__ volatile("tdpbf16ps %%tmm" #strip ", %%tmm" #rows ", %%tmm" #sums : :)

/* A chunk of inputs of one strip or two (of one token, `one`, as it lies) times up to 32 rows:
 * out[row][of the strips] (+)=. */
struct square {
    const struct strip *s;
    const char *one, *rows;
    size_t row_bytes, out_bytes;
    int64_t n_in;
    float *out;
    bool is_first; /* chunk: out is written, not added to */
};

/* A group of inputs. tmm0, tmm1: sums of rows 0 to 15 with both strips; tmm2, tmm3: of rows 16 to 31; tmm4, tmm5:
 * rows; tmm6, tmm7: strips, whose lines are strip_bytes apart. */
INLINE void mul_group(const void *s0, const void *s1, size_t strip_bytes, const void *r0, const void *r1,
                      size_t row_bytes, const bool two_strips, const bool two_rows)
{
    LOAD(6, s0, strip_bytes);
    LOAD(4, r0, row_bytes);
    MULTIPLY(0, 4, 6);
    if (two_strips) LOAD(7, s1, strip_bytes);
    if (two_strips) MULTIPLY(1, 4, 7);
    if (two_rows) LOAD(5, r1, row_bytes);
    if (two_rows) MULTIPLY(2, 5, 6);
    if (two_rows && two_strips) MULTIPLY(3, 5, 7);
}

/* Nothing may come of what lies behind a row. */
INLINE void copy_rest(uint16_t to[ROWS][GROUP], const char *rows, size_t row_bytes, int n_rows, int64_t n)
{
    for (int r = 0; r < n_rows; r++)
        _mm512_store_si512(to[r], _mm512_maskz_loadu_epi16((1u << n) - 1, rows + (size_t)r * row_bytes));
}

/* n_rows: of which the registers know; with two_rows 16 of each. fetch: the rows behind them are next. */
INLINE void mul_square(const struct square *q, const bool is_one, const bool two_strips, const bool two_rows, int n_rows,
                       const bool fetch)
{
    const char *r0 = q->rows, *r1 = r0 + ROWS * q->row_bytes;
    float *out0 = q->out, *out1 = (float *)((char *)out0 + ROWS * q->out_bytes);
    const size_t strip_bytes = is_one ? 4 : 64;
    int64_t i = 0;
    if (q->is_first) {
        ZERO(0);
        if (two_strips) ZERO(1);
        if (two_rows) ZERO(2);
        if (two_rows && two_strips) ZERO(3);
    } else {
        LOAD(0, out0, q->out_bytes);
        if (two_strips) LOAD(1, out0 + ROWS, q->out_bytes);
        if (two_rows) LOAD(2, out1, q->out_bytes);
        if (two_rows && two_strips) LOAD(3, out1 + ROWS, q->out_bytes);
    }
    for (; i + GROUP <= q->n_in; i += GROUP) {
        const void *s0 = is_one ? (const void *)(q->one + 2 * i) : q->s[0].pairs[i / 2];
        mul_group(s0, is_one ? NULL : q->s[1].pairs[i / 2], strip_bytes, r0 + 2 * i, r1 + 2 * i, q->row_bytes, two_strips,
                  two_rows);
        for (int r = 0; fetch && r < (two_rows ? 2 : 1) * ROWS; r++)
            _mm_prefetch(r0 + 2 * i + (size_t)(r + (two_rows ? 2 : 1) * ROWS) * q->row_bytes, _MM_HINT_T0);
    }
    if (i < q->n_in) {
        _Alignas(64) uint16_t rest[3][ROWS][GROUP];
        copy_rest(rest[0], r0 + 2 * i, q->row_bytes, n_rows, q->n_in - i);
        if (two_rows) copy_rest(rest[1], r1 + 2 * i, q->row_bytes, n_rows, q->n_in - i);
        if (is_one) copy_rest(rest[2], q->one + 2 * i, 0, 1, q->n_in - i);
        mul_group(is_one ? (const void *)rest[2] : q->s[0].pairs[i / 2], is_one ? NULL : q->s[1].pairs[i / 2],
                  strip_bytes, rest[0], rest[1], sizeof rest[0][0], two_strips, two_rows);
    }
    STORE(0, out0, q->out_bytes);
    if (two_strips) STORE(1, out0 + ROWS, q->out_bytes);
    if (two_rows) STORE(2, out1, q->out_bytes);
    if (two_rows && two_strips) STORE(3, out1 + ROWS, q->out_bytes);
}

/* n_strip: rows of each strip. */
INLINE void mul_rows(struct square q, const bool is_one, const bool two_strips, int n_strip, int64_t n_rows,
                     const bool fetch)
{
    amx_begin(2 * GROUP, ROWS, n_strip);
    for (; n_rows >= 2 * ROWS; n_rows -= 2 * ROWS) {
        mul_square(&q, is_one, two_strips, true, ROWS, fetch);
        q.rows += 2 * ROWS * q.row_bytes;
        q.out = (float *)((char *)q.out + 2 * ROWS * q.out_bytes);
    }
    while (n_rows > 0) {
        int n = n_rows < ROWS ? (int)n_rows : ROWS;
        if (n < ROWS) amx_begin(2 * GROUP, n, n_strip);
        mul_square(&q, is_one, two_strips, false, n, false);
        q.rows += ROWS * q.row_bytes;
        q.out = (float *)((char *)q.out + ROWS * q.out_bytes);
        n_rows -= n;
    }
}

/* Of a chunk: as many as the others, a multiple of GROUP but in the last. */
static int64_t chunk_inputs(int64_t k)
{
    int64_t n_chunks = (k + CHUNK - 1) / CHUNK, each = (k + n_chunks - 1) / n_chunks;
    return (each + GROUP - 1) / GROUP * GROUP;
}

/* One call's arguments: y[t * y_stride + r]. */
struct product {
    const char *w, *x;
    size_t w_row_bytes, x_row_bytes, y_stride;
    int64_t n_rows, n_x, k, each;
    float *y;
};

static void mul_one(const struct product *p)
{
    struct square q = {.one = p->x, .rows = p->w, .row_bytes = p->w_row_bytes, .out_bytes = sizeof(float), .n_in = p->k,
                       .out = p->y, .is_first = true};
    mul_rows(q, true, false, 1, p->n_rows, true);
}

/* y <- sums of n_rows with n_x tokens, turned over */
static void put_few(const float sums[][FEW_TOKENS], int64_t n_rows, int64_t n_x, float *y, size_t y_stride)
{
    for (int64_t r = 0; r < n_rows; r += ROWS)
        for (int64_t t = 0; t < n_x; t += ROWS) {
            __m512i m[ROWS], z[ROWS];
            UNROLL
            for (int i = 0; i < ROWS; i++)
                m[i] = _mm512_load_si512(&sums[r + i][t]);
            transpose16(m, z);
            const __mmask16 mask = n_rows - r < ROWS ? (__mmask16)((1u << (n_rows - r)) - 1) : 0xffff;
            UNROLL
            for (int i = 0; i < ROWS; i++)
                if (t + i < n_x) _mm512_mask_storeu_epi32(y + (size_t)(t + i) * y_stride + r, mask, z[i]);
        }
}

static void mul_few(const struct product *p)
{
    struct strip strips[2];
    _Alignas(64) float sums[MANY_ROWS][FEW_TOKENS];
    for (int64_t r = 0; r < p->n_rows; r += MANY_ROWS) {
        int64_t n = p->n_rows - r < MANY_ROWS ? p->n_rows - r : MANY_ROWS;
        for (int64_t i = 0; i < p->k; i += p->each) {
            struct square q = {.s = strips, .rows = p->w + (size_t)r * p->w_row_bytes + 2 * i,
                               .row_bytes = p->w_row_bytes, .out_bytes = sizeof sums[0],
                               .n_in = p->k - i < p->each ? p->k - i : p->each, .out = sums[0], .is_first = i == 0};
            bool is_there = r && p->k <= p->each;
            if (!is_there) fill_strip(&strips[0], p->x + 2 * i, p->x_row_bytes, p->n_x, q.n_in);
            if (!is_there && p->n_x > ROWS)
                fill_strip(&strips[1], p->x + ROWS * p->x_row_bytes + 2 * i, p->x_row_bytes, p->n_x - ROWS, q.n_in);
            if (p->n_x > ROWS)
                mul_rows(q, false, true, ROWS, n, true);
            else
                mul_rows(q, false, false, ROWS, n, true);
        }
        put_few((const float(*)[FEW_TOKENS])sums, n, p->n_x, p->y + r, p->y_stride);
    }
}

static void mul_many(const struct product *p)
{
    struct strip strips[2];
    for (int64_t r = 0, n; r < p->n_rows; r += n) {
        const char *from = p->w + (size_t)r * p->w_row_bytes;
        n = p->n_rows - r < ROWS ? p->n_rows - r : p->n_rows - r < 2 * ROWS ? ROWS : 2 * ROWS;
        for (int64_t i = 0; i < p->k; i += p->each) {
            struct square q = {.s = strips, .rows = p->x + 2 * i, .row_bytes = p->x_row_bytes,
                               .out_bytes = p->y_stride * sizeof(float),
                               .n_in = p->k - i < p->each ? p->k - i : p->each, .out = p->y + r, .is_first = i == 0};
            fill_strip(&strips[0], from + 2 * i, p->w_row_bytes, n, q.n_in);
            if (n > ROWS) fill_strip(&strips[1], from + ROWS * p->w_row_bytes + 2 * i, p->w_row_bytes, ROWS, q.n_in);
            if (n > ROWS)
                mul_rows(q, false, true, ROWS, p->n_x, false);
            else
                mul_rows(q, false, false, (int)n, p->n_x, false);
        }
    }
}

void mul_bf16_bf16_amx(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k, const void *x, size_t x_row_bytes,
                       int64_t n_x, float *y, size_t y_stride)
{
    struct product p = {w, x, w_row_bytes, x_row_bytes, y_stride, n_rows, n_x, k, k ? chunk_inputs(k) : 0, y};
    if (!k)
        for (int64_t t = 0; t < n_x; t++) memset(y + (size_t)t * y_stride, 0, (size_t)n_rows * sizeof *y);
    else if (n_x == 1)
        mul_one(&p);
    else if (n_x <= FEW_TOKENS)
        mul_few(&p);
    else
        mul_many(&p);
    amx_end();
}
