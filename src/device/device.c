/* SPDX-License-Identifier: Apache-2.0
 * device.c - dispatch to a device's table, and the fall-back to a CPU device for what it lacks. */
#include "src/device/device.h"
#include <stdio.h>
#include "src/base/fail.h"

static const char *const kind_names[OP_N_KINDS] = {
    [OP_EMBED] = "embed",         [OP_MATMUL] = "matmul",
    [OP_MATMUL_HEADS] = "matmul_heads", [OP_RMSNORM] = "rmsnorm",
    [OP_ADD] = "add",             [OP_SCALE] = "scale",
    [OP_ROPE] = "rope",           [OP_CONCAT] = "concat",
    [OP_GLU] = "glu",             [OP_KV_WRITE] = "kv_write",
    [OP_ATTENTION] = "attention", [OP_ROUTE] = "route",
    [OP_EXPERTS] = "experts",     [OP_TAKE_ROWS] = "take_rows",
    [OP_SOFTCAP] = "softcap",     [OP_COLUMNS] = "columns",
};

const char *op_kind_name(enum op_kind kind)
{
    if ((unsigned)kind >= OP_N_KINDS || !kind_names[kind]) return "unknown";
    return kind_names[kind];
}

const struct device_ops *device_get_ops(const struct device *d)
{
    return d->ops;
}

int device_n_threads(const struct device *d)
{
    return d->n_threads;
}

void device_parallel(struct device *d, device_chunk_fn fn, void *arg, int64_t n_chunks)
{
    if (d->ops->parallel) {
        d->ops->parallel(d, fn, arg, n_chunks);
        return;
    }
    for (int64_t i = 0; i < n_chunks; i++) fn(arg, i, 0);
}

bool device_multiplies_bf16(const struct device *d)
{
    return d->multiplies_bf16;
}

const char *device_isa(const struct device *d)
{
    return d->isa;
}

const char *device_note(const struct device *d)
{
    return d->note[0] ? d->note : NULL;
}

void device_destroy(struct device **d)
{
    if (!*d) return;
    if ((*d)->fallback) device_destroy(&(*d)->fallback);
    (*d)->ops->destroy(*d);
    *d = NULL;
}

enum fk_status device_run(struct device *d, const struct op_call *call, struct fk_error *err)
{
    if (d->ops->op[call->kind]) return d->ops->op[call->kind](d, call, err);
    if (!d->fallback) {
        struct device_params p = {.n_threads = d->n_threads};
        TRY(device_cpu_create(&d->fallback, &p, err));
        snprintf(d->note, sizeof d->note, "device %s lacks the op %s: it runs on the CPU",
                 d->ops->name, op_kind_name(call->kind));
    }
    struct device *cpu = d->fallback;
    if (!cpu->ops->op[call->kind])
        return fail(err, FK_EUNSUPPORTED, "no device implements the op %s",
                    op_kind_name(call->kind));
    return cpu->ops->op[call->kind](cpu, call, err);
}
