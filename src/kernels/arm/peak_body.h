/* SPDX-License-Identifier: Apache-2.0
 * peak_body.h - the most products of bytes that a core does when nothing else is done: dot16 of
 * dot_neon.h or dot_dotprod.h, in 8 sums that do not wait for each other. */
uint64_t VARIANT(peak_i8)(uint64_t n, uint32_t *sum)
{
    enum { SUMS = 8 };
    int8x16_t w = vdupq_n_s8(PEAK_W), x = vdupq_n_s8(PEAK_X);
    int32x4_t v[SUMS];
    for (int i = 0; i < SUMS; i++)
        v[i] = vdupq_n_s32(0);
    uint64_t done = 0;
    for (; done < n; done += 16 * SUMS)
        UNROLL
        for (int i = 0; i < SUMS; i++) {
            __asm__("" : "+w"(w)); /* or the product is computed once for all */
            v[i] = dot16(v[i], w, x);
        }
    *sum = 0;
    for (int i = 0; i < SUMS; i++)
        *sum += (uint32_t)vaddvq_s32(v[i]);
    return done;
}
