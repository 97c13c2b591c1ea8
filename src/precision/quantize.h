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
    int tap, plan, first; /* see planes_head */
    bool is_done;    /* side and codes are what they shall be */
    size_t i_record; /* in the spool */
    float loss[PLANES_N - 1]; /* as in a head */
};

/* OUT.resume, that holds the codes while they are made: it may be larger than memory, and stays when the
 * run is broken off. One run at a time has it. */
struct spool {
    int fd;
    char *path;
    uint8_t *data;
    uint64_t bytes;
    struct spool_head *head;
    struct spool_record *records; /* [n] */
    size_t n;
    size_t n_kept, n_damaged; /* weights that an earlier run had done; whose data are not what it wrote */
    bool is_owned;            /* the file may be removed: locked, a quantizer's, and no work that this run could not read */
    bool is_foreign;          /* what was there is of another command, or damaged */
    bool has_work;
};

/* What is known when weights are rounded for a budget, beside their plans and losses. */
struct spool_round {
    struct fk_quantize_report report;
    double kl_per_loss, max_kl;
    int32_t n_tries;
};

/* Gives n weights places for side and codes. Where out.resume was made under the same key, sets is_done of
 * what is in it, and plan and loss of a round that was planned. FK_EBUSY while another run has it,
 * FK_EINVAL where it is a user's. */
enum fk_status spool_open(struct spool *s, const char *out, const char key[65], struct plane_weight *w,
                          size_t n, struct fk_error *err);
/* The round that was planned, NULL before one was. */
const struct spool_round *spool_round(const struct spool *s);
/* w's plans and losses from now on; nothing is done. */
void spool_begin_round(struct spool *s, const struct spool_round *r, struct plane_weight *w);
/* w is done. */
void spool_keep(struct spool *s, struct plane_weight *w);
/* Removes the file, unless it is needed and has something. Whether it was kept. */
bool spool_close(struct spool *s, bool is_needed);

/* What has to be the same for a run to go on where another was broken off: a hash of the model's bytes,
 * of the options that codes depend on, of the text and of the kernels. */
struct quantize_inputs {
    const struct model *model;
    const struct fk_quantize_params *params;
    const char *text, *isa;
    size_t n_bytes, max_tokens;
};
enum fk_status resume_key(const struct quantize_inputs *in, char key[65], struct fk_error *err);

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
