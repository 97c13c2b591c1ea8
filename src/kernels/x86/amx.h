/* SPDX-License-Identifier: Apache-2.0
 * amx.h - the eight tile registers of AMX and what the kernels use them for.
 *
 * tdpb*d adds, to 16 x 16 sums, the products of 16 tokens with 16 rows of weights over up to 64 inputs,
 * a token a cycle. Tokens lie in an A tile as they lie in memory; a B tile wants four inputs of each row
 * side by side, which is how tiles*_fill.h fills a tile. A pass over fewer tokens has its registers cut to
 * their number and costs no more than they are.
 *
 * A product is there 52 cycles after it begins, and a store that waits for it holds up what is behind it:
 * sums are stored AMX_LAG products later.
 *
 * Written as asm: intrinsics of some compilers do not say that they read and write memory. */
#ifndef KERNELS_X86_AMX_H
#define KERNELS_X86_AMX_H
#include <string.h>
#include "src/kernels/x86/wide.h"

enum { AMX_TOKENS = 16, AMX_LAG = 2 };
/* tmm0 to tmm3: sums; tmm4, tmm5: tokens; tmm6, tmm7: weights; product q uses q % 4, 4 + q % 2, 6 + q % 2. */
/* Configures the registers for n tokens, 1 to 16, with n_rows, as many; a token's inputs take group bytes. */
INLINE void amx_begin(int group, int n, int n_rows)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t n_rows[16];
    } c;
    memset(&c, 0, sizeof c);
    c.palette = 1;
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = (uint16_t)(i / 2 == 2 ? group : 4 * n_rows);
        c.n_rows[i] = i / 2 == 3 ? (uint8_t)(group / 4) : (uint8_t)n;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(c));
}

/* Tile registers that are in use make a system call and a change of threads dearer. */
INLINE void amx_end(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

#define AMX_MULTIPLY(sums, tokens, weights, type)                                                  \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tokens "\n\t"                                   \
                     "tileloadd (%2,%3,1), %%tmm" #weights "\n\t"                                  \
                     "tilezero %%tmm" #sums "\n\t"                                                 \
                     "tdpb" type "d %%tmm" #weights ", %%tmm" #tokens ", %%tmm" #sums              \
                     :                                                                             \
                     : "r"(x), "r"(x_stride), "r"(w), "r"((size_t)64)                              \
                     : "memory")

/* Begins product q: for every token t and row r the sum over a group of inputs of x[t] w[r]. w: signed
 * or not, a constant. */
INLINE void amx_multiply(const bool is_signed, unsigned q, const void *x, size_t x_stride,
                         const void *w)
{
    if (is_signed) switch (q % 4) {
        case 0: AMX_MULTIPLY(0, 4, 6, "ss"); return;
        case 1: AMX_MULTIPLY(1, 5, 7, "ss"); return;
        case 2: AMX_MULTIPLY(2, 4, 6, "ss"); return;
        default: AMX_MULTIPLY(3, 5, 7, "ss"); return;
    }
    switch (q % 4) {
    case 0: AMX_MULTIPLY(0, 4, 6, "su"); return;
    case 1: AMX_MULTIPLY(1, 5, 7, "su"); return;
    case 2: AMX_MULTIPLY(2, 4, 6, "su"); return;
    default: AMX_MULTIPLY(3, 5, 7, "su"); return;
    }
}

#define AMX_STORE(sums)                                                                            \
    __asm__ volatile("tilestored %%tmm" #sums ", (%0,%1,1)"                                        \
                     :                                                                             \
                     : "r"(out), "r"((size_t)64)                                                   \
                     : "memory")

/* out[t][r]: the sums of product q */
INLINE void amx_store(unsigned q, int32_t *out)
{
    switch (q % 4) {
    case 0: AMX_STORE(0); return;
    case 1: AMX_STORE(1); return;
    case 2: AMX_STORE(2); return;
    default: AMX_STORE(3); return;
    }
}

#endif
