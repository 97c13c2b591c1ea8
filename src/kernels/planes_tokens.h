/* SPDX-License-Identifier: Apache-2.0
 * planes_tokens.h - mul_planes* out of mul_group, which an instruction set writes: groups of 8 rows, each with as
 * many tokens at once as are left, MOST_TOKENS (4 or 8) at most. Included behind mul_group; MUL_PLANES(isa) then
 * defines the kernels of all widths. */
INLINE void mul_planes(const struct planes *p, const int i, int64_t group, int64_t n_rows, const void *x,
                       size_t x_row_bytes, int64_t n_x, float *y, size_t y_stride)
{
    struct luts t = make_luts(&p->tables, i);
    struct acts a = {x, x_row_bytes, act_q8_d(p->n_cols), act_q8_sum(p->n_cols)};
    for (; n_rows > 0; n_rows -= PLANES_ROWS, group++, y += PLANES_ROWS) {
        for (int64_t k = 0; k < n_x;) {
            int64_t left = n_x - k, n = left >= 4 ? 4 : left >= 2 ? 2 : 1;
            float *out = y + (size_t)k * y_stride;
            a.x = (const uint8_t *)x + (size_t)k * x_row_bytes;
#if MOST_TOKENS == 8
            if (left >= 8) {
                mul_group(p, i, &t, group, n_rows, &a, 8, out, y_stride);
                k += 8;
                continue;
            }
#endif
            if (n == 4) mul_group(p, i, &t, group, n_rows, &a, 4, out, y_stride);
            else if (n == 2) mul_group(p, i, &t, group, n_rows, &a, 2, out, y_stride);
            else mul_group(p, i, &t, group, n_rows, &a, 1, out, y_stride);
            k += n;
        }
    }
}

#define MUL_WIDTH(bits, isa)                                                                       \
    void mul_planes##bits##_##isa(const struct planes *p, int64_t group, int64_t n_rows,           \
                                  const void *x, size_t x_row_bytes, int64_t n_x, float *y,        \
                                  size_t y_stride)                                                 \
    {                                                                                              \
        mul_planes(p, planes_index(bits), group, n_rows, x, x_row_bytes, n_x, y, y_stride);        \
    }
#define MUL_PLANES(isa)                                                                            \
    MUL_WIDTH(2, isa)                                                                              \
    MUL_WIDTH(3, isa)                                                                              \
    MUL_WIDTH(4, isa)                                                                              \
    MUL_WIDTH(5, isa)                                                                              \
    MUL_WIDTH(6, isa)                                                                              \
    MUL_WIDTH(8, isa)
