/* SPDX-License-Identifier: Apache-2.0
 * op_times.h - where a pass spends its time: one line per kind of op and shape of its weights. */
#ifndef DEVICE_OP_TIMES_H
#define DEVICE_OP_TIMES_H
#include <stddef.h>
#include "fikr/engine.h"
#include "src/device/ops.h"

#define OP_TIMES_MAX 96 /* lines; what does not fit any more counts as "other" in the last one */

struct op_times {
    struct op_line {
        enum op_kind kind;
        const struct tensor *w[OP_MAX_OUT]; /* those of the first call */
        struct fk_op_time sum;
    } lines[OP_TIMES_MAX];
    size_t n;
};

/* Adds one call that took `seconds` and read `bytes`. */
void op_times_add(struct op_times *t, const struct op_call *call, double seconds, uint64_t bytes);

#endif
