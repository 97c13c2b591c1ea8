/* SPDX-License-Identifier: Apache-2.0
 * quantize.h - a model's weights in planes: one file that is read at 2, 3, 4, 6 or 8 bits. */
#ifndef FIKR_QUANTIZE_H
#define FIKR_QUANTIZE_H
#include <stddef.h>
#include <stdint.h>
#include "fikr/status.h"
#ifdef __cplusplus
extern "C" {
#endif

/* What was made, over a few hundred tokens of the calibration text; mean divergences in nats a token. */
struct fk_quantize_report {
    double kl[5];        /* read at 2, 3, 4, 6, 8 bits, from `in`; all 0 without calibration */
    int n_tokens;        /* that kl is a mean of */
    /* With a budget: how many weights are read at 2, 3, 4, 6 and 8 bits, and the divergence of that from
     * reading the widest. */
    int n_at[5];
    uint64_t plan_bytes; /* of weights, that a token reads */
    double plan_bpw, plan_kl;
};

struct fk_quantize_params {
    int n_threads;             /* 0: all usable cores */
    const char *text;          /* to calibrate with; NULL: the text that the library brings */
    size_t n_bytes;
    int max_tokens;            /* of it; 0: 16384 */
    int no_calibration;        /* plain rounding: much worse, for comparisons */
    /* What a weight is read at where --bits says nothing: "token_embd=8,ffn_down=6,=4". The first pair
     * whose text stands in the weight's name counts; NULL, or none: all there is. */
    const char *plan;
    fk_progress_fn progress;
    void *progress_arg;
    /* A budget, from which a plan follows: bits a weight of what a token reads, or bytes of all weights;
     * 0: none. Not together with a plan. `in` may then be in planes already: only its plan changes. */
    double bpw;
    uint64_t size_bytes;
    struct fk_quantize_report *report; /* NULL, or where to write it */
    const char *imatrix; /* where to write what the calibration saw, as llama.cpp takes it; or NULL */
    void *reserved[3];
};
FK_API void fk_quantize_default_params(struct fk_quantize_params *p);

/* in: a GGUF file of any weight type. out: where to write, whole or not at all. A file of codes is
 * kept beside out while it runs (a byte a weight). params may be NULL. */
FK_API enum fk_status fk_quantize(const char *in, const char *out,
                                  const struct fk_quantize_params *params, struct fk_error *err);

#ifdef __cplusplus
}
#endif
#endif
