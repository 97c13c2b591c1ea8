/* SPDX-License-Identifier: Apache-2.0
 * ops_impl.h - what the op_* files share: sticky failure, new activations, running a call. */
#ifndef DEVICE_OPS_IMPL_H
#define DEVICE_OPS_IMPL_H
#include "src/base/fail.h"
#include "src/device/device.h"

/* True once something failed: the op does nothing then. */
static inline bool ops_dead(const struct ops *o)
{
    return o->status != FK_OK;
}

/* If ok is false, fails o with FK_EINVAL and the sentence. Returns ok. */
#define OPS_NEED(o, ok, ...) ((ok) || ops_fail(o, fail(&(o)->error, FK_EINVAL, __VA_ARGS__)))
bool ops_fail(struct ops *o, enum fk_status status); /* false */

/* A new activation [n_rows, n_cols], uninitialised, rows without gaps; NULL fails o. */
struct tensor *ops_new(struct ops *o, int64_t n_rows, int64_t n_cols);

/* Counts nothing, checks nothing: device, then recorder. False fails o. */
bool ops_run(struct ops *o, const struct op_call *call);

/* The checks that many ops share; each writes its sentence. `op` and `what` name the place. */
bool ops_is_act(struct ops *o, const char *op, const char *what, const struct tensor *t);
bool ops_is_weight(struct ops *o, const char *op, const struct tensor *w, int64_t n_cols);
bool ops_is_vector(struct ops *o, const char *op, const char *what, const struct tensor *t,
                   int64_t n);

/* " 'blk.0.attn_q.weight'" for sentences; "" without a name. */
const char *ops_name(const struct tensor *t);

#endif
