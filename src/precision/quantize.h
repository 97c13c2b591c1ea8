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

/* A weight on its way into planes, its codes and its side part in the spool; or one that a file has in
 * planes: src is its side part then. */
struct plane_weight {
    const struct gguf_tensor *src;
    char name[NAME_BYTES];
    uint64_t n_cols, n_rows, n_mats;
    struct planes_sizes sizes;
    uint8_t *side;  /* head, row factors, scales: as they go into the file */
    uint8_t *codes; /* [n_tiles][256] */
    const uint8_t *plane[PLANES_N]; /* without codes: as they are */
    int n_planes;   /* that are written */
    int tap, plan;
    float loss[PLANES_N - 1]; /* as in a head */
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

/* The weights of a file in planes, in its order (mem_free); whether t is a part of one, or a pad. */
enum fk_status plane_list(const struct model *m, struct plane_weight **out, size_t *n, struct fk_error *err);
bool plane_list_has(const struct plane_weight *w, size_t n, const struct gguf_tensor *t);

/* Writes the file in planes at `in` without those above `bits` (or FK_STRIP_PLAN: above what each weight
 * is planned for). */
enum fk_status planes_strip(const char *in, const char *out, int bits, fk_progress_fn progress,
                            void *progress_arg, struct fk_error *err);
/* See fk_check_planes. */
enum fk_status planes_check(const char *path, fk_progress_fn progress, void *progress_arg,
                            struct fk_check_report *report, struct fk_error *err);

/* Writes the file: what is not in planes, side parts, then plane after plane, each at a page. */
enum fk_status plane_file_write(const struct gguf *g, const struct plane_weight *w, size_t n,
                                const char *path, fk_progress_fn progress, void *progress_arg,
                                struct fk_error *err);

/* Whether a plan is the name of a file of planes, not a list; the bits that a list has for a name; the
 * plans and losses of n weights from a file. See fk_quantize_params. */
bool plan_is_file(const char *plan);
enum fk_status plan_bits(const char *plan, const char *name, int *bits, struct fk_error *err);
enum fk_status plan_of_file(const char *path, struct plane_weight *w, size_t n, struct fk_error *err);

enum fk_status quantize_run(const char *in, const char *out, const struct fk_quantize_params *params,
                            struct fk_error *err);

/* The text that the library brings. */
extern const char calibration_text[];
extern const size_t calibration_text_bytes;

#endif
