/* SPDX-License-Identifier: Apache-2.0
 * tiles256_amx.c - q4_k, q5_k and iq4_xs times many ACT_Q8K rows, for CPUs with AMX. Fewer rows:
 * tiles256_vnni.c.
 *
 * Why: a tile register multiplies 16 tokens with 16 rows over the 32 inputs that share a scale in 16
 * cycles, where vpdpbusd takes 64. What is left is to scale the sums: one vpdpwssd for 16 rows of a token
 * where they fit in 16 bits (q4_k's are made to by taking 8 from every weight; the sums of the inputs put
 * it back), vpmulld and vpaddd elsewhere. While a superblock is scaled, the next one is multiplied.
 *
 * What has a scale per 16 inputs (q2_k, q3_k, q6_k) fills a quarter of a tile and was no faster than
 * vpdpbusd; doc/performance.md has the figures.
 *
 * The order of float additions is that of row256.h. */
#include "src/kernels/x86/amx.h"
#include "src/kernels/x86/tiles256_fill.h"

enum { MIN_TOKENS = 24, GROUP = 32, GROUPS = 256 / GROUP, LIFT = 8 };

struct type {
    void (*fill)(struct super *s, const uint8_t *const row[16], size_t at);
    int block_bytes;
    enum layout layout;
    bool has_dmin;  /* mins per group */
    bool is_signed; /* the bytes that unpack makes */
    bool is_lifted; /* LIFT was taken from them, so that a group's sums fit in 16 bits */
};

/* Makes the tile's weights bytes in order. */
INLINE void unpack(struct type t, struct super *s)
{
    static const int8_t values[16] = IQ4_TABLE;
    const __m512i low = bytes_of(15), lift = bytes_of(LIFT);
    if (t.layout == NIBBLES64)
        for (int z = 3; z >= 0; z--) {
            __m512i v[8];
            UNROLL
            for (int c = 0; c < 8; c++)
                v[c] = s->w[8 * z + c];
            UNROLL
            for (int c = 0; c < 8; c++) {
                s->w[16 * z + c] = _mm512_sub_epi8(_mm512_and_si512(v[c], low), lift);
                s->w[16 * z + 8 + c] =
                    _mm512_sub_epi8(_mm512_and_si512(shift_right(v[c], 4), low), lift);
            }
        }
    if (t.layout == NIBBLES32) {
        const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)values));
        for (int g = 7; g >= 0; g--) {
            __m512i v[4];
            UNROLL
            for (int c = 0; c < 4; c++)
                v[c] = s->w[4 * g + c];
            UNROLL
            for (int c = 0; c < 4; c++) {
                s->w[8 * g + c] = _mm512_shuffle_epi8(table, _mm512_and_si512(v[c], low));
                s->w[8 * g + 4 + c] =
                    _mm512_shuffle_epi8(table, _mm512_and_si512(shift_right(v[c], 4), low));
            }
        }
    }
    /* The lift of groups 2g and 2g + 1, times their scales: behind the mins. */
    for (int g = 0; t.is_lifted && g < GROUPS / 2; g++) {
        __m512i odd = _mm512_slli_epi32(s->scales[2 * g + 1], 16);
        __m512i pair = _mm512_or_si512(s->scales[2 * g], odd);
        s->mins[GROUPS / 2 + g] = _mm512_mullo_epi16(pair, _mm512_set1_epi16(LIFT));
    }
}

/* lanes[i] += one superblock of 16 rows times tokens i to i + n (a constant) */
INLINE void add_super(struct type t, const struct super *s, const struct acts *x, const int n, int i,
                      const int32_t *sums, __m512 *lanes)
{
    __m512i dot[2][2], mins[2];
    sums += 16 * i;
    UNROLL
    for (int e = 0; e < n; e++)
        dot[e][0] = dot[e][1] = mins[e] = _mm512_setzero_si512();
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        UNROLL
        for (int e = 0; e < n; e++) {
            __m512i v = _mm512_load_si512(sums + 256 * g + 16 * e), *to = &dot[e][g % 2];
            *to = t.is_lifted ? _mm512_dpwssd_epi32(*to, v, s->scales[g])
                             : _mm512_add_epi32(*to, _mm512_mullo_epi32(v, s->scales[g]));
        }
    if (t.has_dmin)
        UNROLL
        for (int g = 0; g < GROUPS / 2; g++)
            UNROLL
            for (int e = 0; e < n; e++) {
                __m512i v = broadcast4(of_token(x->sum32 + 2 * g, x->stride, i + e));
                mins[e] = _mm512_dpwssd_epi32(mins[e], s->mins[g], v);
                if (t.is_lifted)
                    dot[e][g % 2] =
                        _mm512_dpwssd_epi32(dot[e][g % 2], s->mins[GROUPS / 2 + g], v);
            }
    UNROLL
    for (int e = 0; e < n; e++) {
        float d;
        memcpy(&d, of_token(x->d, x->stride, i + e), 4);
        __m512 dx = _mm512_set1_ps(d);
        __m512 v = _mm512_cvtepi32_ps(_mm512_add_epi32(dot[e][0], dot[e][1]));
        v = _mm512_fmadd_ps(v, _mm512_mul_ps(s->d, dx), lanes[i + e]);
        if (t.has_dmin)
            v = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(mins[e]), _mm512_mul_ps(s->dmin, dx), v);
        lanes[i + e] = v;
    }
}

/* y[t*y_stride + r] (+)= tile times n tokens
 * In step j of superblock b its product j begins; the one AMX_LAG before is stored; and the j-th of the
 * tokens of the last superblock that is stored are scaled. */
INLINE void mul_tokens(struct type t, const struct super *tile, const struct span *c,
                       struct ahead *ahead, const char *x, const int n, float *y)
{
    _Alignas(64) int32_t sums[2][GROUPS * 256];
    __m512 lanes[4][AMX_TOKENS];
    enum { EACH = AMX_TOKENS / GROUPS };
    const int n_blocks = (int)c->n_blocks;
    struct acts a[3] = {acts_of(c, x)}; /* of superblocks b, b - 1, b - 2 */
    fetch_y(y, c->y_stride, n);
    UNROLL
    for (int e = 0; e < 4; e++)
        for (int i = 0; i < n; i++)
            lanes[e][i] = _mm512_setzero_ps();
    for (int b = 0; b < n_blocks + 2; b++) {
        if (b < n_blocks) fetch_ahead(ahead);
        for (int first = 0; first < GROUPS; first += 4)
            UNROLL
            for (int q = 0; q < 4; q++) {
                const int j = first + q, late = first == 0 && q < AMX_LAG, whole = b - 1 - late;
                if (b < n_blocks)
                    amx_multiply(t.is_signed, (unsigned)q, a[0].q + j * GROUP, a[0].stride,
                                 tile[b].w + j * (GROUP / 4));
                if (b - late >= 0 && b - late < n_blocks)
                    amx_store((unsigned)(q + 4 - AMX_LAG),
                              sums[(b - late) % 2] + 256 * (j - AMX_LAG + late * GROUPS));
                if (whole < 0 || whole >= n_blocks) continue;
                const int i = EACH * j;
                if (i + EACH <= n)
                    add_super(t, tile + whole, a + 1 + late, EACH, i, sums[whole % 2], lanes[whole % 4]);
                else if (i < n)
                    add_super(t, tile + whole, a + 1 + late, 1, i, sums[whole % 2], lanes[whole % 4]);
            }
        a[2] = a[1];
        a[1] = a[0];
        a[0] = acts_next(a[0]);
    }
    for (int i = 0; i < n; i++)
        add_rows(c, add_four(lanes[0][i], lanes[1][i], lanes[2][i], lanes[3][i]),
                 y + (size_t)i * c->y_stride);
}

INLINE void mul_tile(struct type t, const struct span *c, const uint8_t *const row[16],
                     const uint8_t *next, float *y)
{
    struct super tile[CHUNK];
    for (int64_t b = 0; b < c->n_blocks; b++) {
        t.fill(&tile[b], row, (size_t)(c->block + b) * (size_t)t.block_bytes);
        unpack(t, &tile[b]);
    }
    int64_t i = 0, n_passes = (c->n_x + AMX_TOKENS - 1) / AMX_TOKENS;
    struct ahead ahead = ahead_of(c, next, t.block_bytes, c->n_blocks * n_passes);
    if (c->n_x >= AMX_TOKENS) amx_begin(GROUP, AMX_TOKENS, 16);
    for (; i + AMX_TOKENS <= c->n_x; i += AMX_TOKENS)
        mul_tokens(t, tile, c, &ahead, c->x + (size_t)i * c->x_row_bytes,
                   AMX_TOKENS, y + (size_t)i * c->y_stride);
    if (i == c->n_x) return;
    const int n = (int)(c->n_x - i);
    amx_begin(GROUP, n, 16);
    mul_tokens(t, tile, c, &ahead, c->x + (size_t)i * c->x_row_bytes, n,
               y + (size_t)i * c->y_stride);
}

#define TYPE(name, ...)                                                                            \
    static void mul_tile_##name(const struct span *c, const uint8_t *const row[16],                \
                                const uint8_t *next, float *y)                                     \
    {                                                                                              \
        const struct type t = {fill_##name, sizeof(struct block_##name), __VA_ARGS__};             \
        mul_tile(t, c, row, next, y);                                                              \
    }                                                                                              \
    void mul_##name##_amx(const void *w, size_t w_row_bytes, int64_t n_rows, int64_t k,            \
                          const void *x, size_t x_row_bytes, int64_t n_x, float *y,                \
                          size_t y_stride)                                                         \
    {                                                                                              \
        const struct stretch s = {256, sizeof(struct block_##name), CHUNK};                        \
        if (n_x < MIN_TOKENS || k == 0) {                                                          \
            mul_##name##_vnni(w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y, y_stride);        \
            return;                                                                                \
        }                                                                                          \
        mul_tiles(mul_tile_##name, s, w, w_row_bytes, n_rows, k, x, x_row_bytes, n_x, y,           \
                  y_stride);                                                                       \
        amx_end();                                                                                 \
    }
TYPE(q4_k, NIBBLES64, true, true, true)
TYPE(q5_k, BYTES, true, false, false)
TYPE(iq4_xs, NIBBLES32, false, true, false)
