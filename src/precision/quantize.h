/* SPDX-License-Identifier: Apache-2.0
 * quantize.h - what the files of the quantizer share. */
#ifndef PRECISION_QUANTIZE_H
#define PRECISION_QUANTIZE_H
#include "fikr/quantize.h"
#include "src/base/pool.h"
#include "src/kernels/kernels.h"
#include "src/model/model.h"
#include "src/precision/feedback.h"

#define NAME_BYTES 128

/* A weight on its way into planes. Its codes and its side part lie in the spool. */
struct plane_weight {
    const struct gguf_tensor *src;
    char name[NAME_BYTES];
    uint64_t n_cols, n_rows, n_mats;
    struct planes_sizes sizes;
    uint8_t *side;  /* head, row factors, scales: as they go into the file */
    uint8_t *codes; /* [n_tiles][256] */
    int tap, plan;
};

/* A file without a name beside the target that holds the codes: it may be larger than memory. */
struct spool {
    int fd;
    uint8_t *data;
    uint64_t bytes;
};
enum fk_status spool_open(struct spool *s, const char *beside, uint64_t bytes, struct fk_error *err);
void spool_close(struct spool *s);

/* Which tensors of g go into planes; the rest is copied. */
bool plane_weight_wanted(const struct gguf_tensor *t);

/* Fills w's side and codes. f NULL: without feedback; h NULL: all columns weigh alike. */
enum fk_status plane_weight_quantize(struct plane_weight *w, const struct feedback *f,
                                     const struct kernels *k, struct pool *pool,
                                     struct fk_error *err);

/* Writes the file: what is not in planes, side parts, then plane after plane, each at a page. */
enum fk_status plane_file_write(const struct gguf *g, const struct plane_weight *w, size_t n,
                                const char *path, fk_progress_fn progress, void *progress_arg,
                                struct fk_error *err);

/* The bits that a plan has for a name; see fk_quantize_params. */
enum fk_status plan_bits(const char *plan, const char *name, int *bits, struct fk_error *err);

enum fk_status quantize_run(const char *in, const char *out, const struct fk_quantize_params *params,
                            struct fk_error *err);

/* The text that the library brings. */
extern const char calibration_text[];
extern const size_t calibration_text_bytes;

#endif
