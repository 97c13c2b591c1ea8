/* SPDX-License-Identifier: Apache-2.0
 * ffn.c - the gated feed-forward block (Shazeer 2020).   y = Wdown (act(Wgate x) * Wup x) */
#include "src/model/blocks.h"

struct tensor *ffn(struct ops *o, enum act act, const struct tensor *gate, const struct tensor *up,
                   const struct tensor *down, const struct tensor *x)
{
    const struct tensor *w[2] = {gate, up};
    struct tensor *h[2];
    op_matmul_many(o, 2, w, NULL, x, h);
    return op_matmul(o, down, NULL, op_glu(o, act, h[0], h[1]));
}
