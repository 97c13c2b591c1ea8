/* SPDX-License-Identifier: Apache-2.0
 * device.h - what every device has in common. Only devices (and their tests) include this; a
 * forward sees ops.h. */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H
#include "src/device/ops.h"

/* First member of every device's own struct. */
struct device {
    const struct device_ops *ops;
    int n_threads;
    const char *isa;
    bool multiplies_bf16;    /* pairs of bf16 as they are, at twice the pace of f32 */
    struct device *fallback; /* a CPU device, made when an op is first missing; owned */
    char note[160];          /* says so once; "" until then */
};

/* Runs call on d, or on its fall-back when d lacks the op. */
enum fk_status device_run(struct device *d, const struct op_call *call, struct fk_error *err);

#endif
