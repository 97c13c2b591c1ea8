/* SPDX-License-Identifier: Apache-2.0
 * dry_pass.c - a forward on a device that computes nothing, to learn how much memory the real one
 * takes. The activations are allocated as always and stay untouched, so this costs address space
 * for a moment and no time. */
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/device/device.h"
#include "src/engine/engine.h"

static enum fk_status nothing(struct device *d, const struct op_call *call, struct fk_error *err)
{
    (void)d;
    (void)call;
    (void)err;
    return FK_OK;
}

static const struct device_ops dry_ops = {
    .name = "dry",
    .op = {
        [OP_EMBED] = nothing,        [OP_MATMUL] = nothing,  [OP_MATMUL_HEADS] = nothing,
        [OP_RMSNORM] = nothing,      [OP_ADD] = nothing,     [OP_SCALE] = nothing,
        [OP_ROPE] = nothing,         [OP_CONCAT] = nothing,  [OP_GLU] = nothing,
        [OP_KV_WRITE] = nothing,     [OP_ATTENTION] = nothing, [OP_ROUTE] = nothing,
        [OP_EXPERTS] = nothing,      [OP_TAKE_ROWS] = nothing, [OP_SOFTCAP] = nothing,
        [OP_COLUMNS] = nothing,
    },
};

enum fk_status engine_activation_bytes(const struct model *m, const struct kv_layout *kv, int n_rows,
                                       int n_out, uint64_t *bytes, struct fk_error *err)
{
    struct device device = {.ops = &dry_ops, .n_threads = 1, .isa = "dry"};
    size_t n = (size_t)n_rows, n_pages = n / (size_t)kv->page_tokens + 1;
    int32_t *ids = mem_calloc(3 * n, sizeof *ids, MEM_ENGINE);
    void **pages = mem_calloc(n_pages, sizeof *pages, MEM_ENGINE);
    enum fk_status st = FK_OK;
    *bytes = 0;
    if (!ids || !pages) {
        st = fail_nomem(err, 3 * n * sizeof *ids, "a dry pass");
    } else {
        int32_t *pos = ids + n, *out_rows = ids + 2 * n;
        for (int i = 0; i < n_rows; i++) pos[i] = i;
        for (int i = 0; i < n_out; i++) out_rows[i] = n_rows - n_out + i;
        for (size_t i = 0; i < n_pages; i++) pages[i] = pages; /* never read */
        struct batch_seq seq = {.n_rows = n_rows, .pages = pages};
        struct batch b = {.n_rows = n_rows, .tokens = ids, .pos = pos, .n_seqs = 1, .seqs = &seq,
                          .kv = kv, .n_out = n_out, .out_rows = out_rows};
        struct ops o;
        ops_init(&o, &device, 0);
        ops_begin(&o, &b);
        m->forward(m, &o);
        st = ops_status(&o, err);
        for (int i = 0; i < 2; i++) *bytes += o.arenas[i].total_bytes;
        ops_fini(&o);
    }
    mem_free(ids);
    mem_free(pages);
    return st;
}
