/* SPDX-License-Identifier: Apache-2.0
 * imatrix.h - writes an importance matrix for other quantizers. */
#ifndef PRECISION_IMATRIX_H
#define PRECISION_IMATRIX_H
#include "src/base/fail.h"
#include "src/file/out_file.h"

/* The caller commits or aborts f. n weights follow. */
enum fk_status imatrix_begin(struct out_file *f, const char *path, size_t n, struct fk_error *err);
/* h[n * n]: sums over n_tokens of products of inputs, of which the diagonal counts. */
enum fk_status imatrix_add(struct out_file *f, const char *name, const float *h, int64_t n,
                           size_t n_tokens, struct fk_error *err);

#endif
