/* SPDX-License-Identifier: Apache-2.0
 * quantize.h - a model's weights in planes: one file that is read at 2, 3, 4, 5, 6 or 8 bits. */
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
    double kl[6];        /* read at 2, 3, 4, 5, 6, 8 bits, from `in`; all 0 without calibration */
    int n_tokens;        /* that kl is a mean of */
    /* With a budget: how many weights are read at 2, 3, 4, 5, 6 and 8 bits. */
    int n_at[6];
    uint64_t plan_bytes; /* of weights, that a token reads */
    double plan_bpw;
    double plan_loss; /* what the budget took it to lose, from the losses of single weights */
    double plan_kl;   /* of the plan from `in`, or from its widest read where `in` is in planes */
};

#define FK_STRIP_PLAN (-1)

struct fk_quantize_params {
    int n_threads;             /* 0: all usable cores */
    const char *text;          /* to calibrate with; NULL: the text that the library brings */
    size_t n_bytes;
    int max_tokens;            /* of it; 0: 16384 */
    int no_calibration;        /* plain rounding: much worse, for comparisons */
    /* What a weight is read at where --bits says nothing, and what its codes are chosen for:
     * "token_embd=8,ffn_down=6,=4". The first pair whose text stands in the weight's name counts; NULL, or
     * none: all there is, with codes that serve all widths. Or the name of a file of planes of this model,
     * without '=': its plan; with a budget its measurements, if it has them. */
    const char *plan;
    fk_progress_fn progress;
    void *progress_arg;
    /* A budget, from which a plan follows: bits a weight of what a token reads, bytes of all weights, or
     * (kl) a divergence that is not passed, for the fewest bits a weight; 0: none. Not together with a list
     * as plan. `in` may then be in planes already: only its plan changes, not its codes. */
    double bpw;
    uint64_t size_bytes;
    struct fk_quantize_report *report; /* NULL, or where to write it */
    const char *imatrix; /* where to write what the calibration saw, as llama.cpp takes it; or NULL */
    double kl;
    /* Planes above these bits are left out, or (FK_STRIP_PLAN) for each weight those above its plan; 0: all
     * are written. `in` may be in planes already. */
    int strip;
    /* Called with a sentence, and progress_arg, when a run goes on where one was broken off, cannot, or has
     * left something to go on from; or NULL. */
    void (*notice)(void *progress_arg, const char *sentence);
    /* Where the file is read as planned its output head is read in two stages (see fk_engine_params), the first
     * of so many bits, 2, 3, 4, 5 or 6, the second of all: what the head is planned for then. 0: in one. */
    int head_bits;
};
FK_API void fk_quantize_default_params(struct fk_quantize_params *p);

/* in: a GGUF file of any weight type. out: where to write, whole or not at all. A file of codes, out.resume, is
 * kept beside out while it runs (a byte a weight) and stays where the run fails or is killed: the same call
 * goes on from it and makes the same bytes. FK_EBUSY while another run has it. params may be NULL. */
FK_API enum fk_status fk_quantize(const char *in, const char *out,
                                  const struct fk_quantize_params *params, struct fk_error *err);

struct fk_check_report {
    uint64_t n_weights, n_bytes; /* that are as they were written */
};
/* Reads every plane of a file and compares it with the CRC-32C that was written for it. FK_EFORMAT names
 * what is damaged, FK_EUNSUPPORTED says that the file has no planes. report may be NULL. */
FK_API enum fk_status fk_check_planes(const char *path, fk_progress_fn progress, void *progress_arg,
                                      struct fk_check_report *report, struct fk_error *err);

#ifdef __cplusplus
}
#endif
#endif
