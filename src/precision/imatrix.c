/* SPDX-License-Identifier: Apache-2.0
 * imatrix.c - the mean squares of what each column of a weight sees, in the format that llama.cpp's
 * quantizer takes, so that it can be compared with on the same knowledge:
 *
 *   i32 n;  n times: i32 length of name, name, i32 calls (1), i32 n_cols, f32[n_cols] */
#include "src/precision/imatrix.h"
#include <string.h>
#include "src/file/le.h"

static enum fk_status put_i32(struct out_file *f, uint64_t v, struct fk_error *err)
{
    uint8_t b[4];
    put_le(b, v, 4);
    return out_file_write(f, b, 4, err);
}

enum fk_status imatrix_begin(struct out_file *f, const char *path, size_t n, struct fk_error *err)
{
    TRY(out_file_open(f, path, err));
    return put_i32(f, n, err);
}

enum fk_status imatrix_add(struct out_file *f, const char *name, const float *h, int64_t n,
                           size_t n_tokens, struct fk_error *err)
{
    TRY(put_i32(f, strlen(name), err));
    TRY(out_file_write(f, name, strlen(name), err));
    TRY(put_i32(f, 1, err));
    TRY(put_i32(f, (uint64_t)n, err));
    for (int64_t i = 0; i < n; i++) {
        float mean = h[i * n + i] / (float)n_tokens;
        uint32_t u;
        memcpy(&u, &mean, 4);
        TRY(put_i32(f, u, err));
    }
    return FK_OK;
}
