/* SPDX-License-Identifier: Apache-2.0
 * engine.h - a model with threads, cache memory and the scratch of one step. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H
#include "fikr/engine.h"
#include "src/device/op_times.h"
#include "src/engine/draft.h"
#include "src/engine/sampler.h"
#include "src/engine/sequence.h"
#include "src/model/model.h"

#define ENGINE_DEFAULT_CTX 4096
#define ENGINE_MAX_CTX (1 << 24)
#define ENGINE_DEFAULT_BATCH 512
#define ENGINE_MAX_BATCH 65536
#define ENGINE_DEFAULT_PAGE 64

/* What fk_engine_params comes to for a model, every field checked. */
struct engine_plan {
    int n_ctx, n_batch;
    uint64_t kv_bytes_max;
    uint64_t kv_bytes_wanted; /* beyond this only living sessions make the cache grow */
    struct kv_layout kv;
};
enum fk_status engine_plan(struct engine_plan *out, const struct model *m,
                           const struct fk_engine_params *params, struct fk_error *err);

/* A tag of thinking as the model's tokens: what is forced to open or close it. */
struct think_tags {
    int32_t open, close; /* the single tokens "<think>" and "</think>"; -1: the vocabulary has none */
    struct token_vec open_ids, close_ids;
};

struct fk_engine {
    const struct model *model; /* borrowed */
    struct device *device;
    struct ops ops;
    struct engine_plan plan;
    struct kv_pool pool;
    struct prefix_tree tree;
    struct sampler sampler;
    struct think_tags tags;
    int draft_bits; /* exact mode: what drafts are read at; else 0 */
    struct pace pace;
    uint64_t draft_weight_bytes, draft_kv_bytes; /* read by drafts since the last step that is no draft */
    /* one step: [n_batch] each */
    int32_t *tokens, *pos, *out_rows;
    struct batch_seq *seqs;
    struct step_part *parts;
    size_t *members; /* which session of a call a part is */
    struct step_part *draft_parts;
    struct fk_session **drafting;
    struct op_times times; /* once asked for */
};

enum fk_status engine_create(fk_engine **out, const struct model *m,
                             const struct fk_engine_params *params, struct fk_error *err);
void engine_destroy(fk_engine **e);

/* bits: 0, FK_BITS_EXACT or a width that the model has. What engine_bits gives is never more than the
 * file has; 0: as the file plans, or no planes. */
enum fk_status engine_set_bits(fk_engine *e, int bits, struct fk_error *err);
int engine_bits(const fk_engine *e);
/* bits: of the output head's first stage, as fk_engine_params have it. */
enum fk_status engine_set_head(fk_engine *e, int bits, struct fk_error *err);

/* One sequence's rows of a step: n_rows positions from n_computed + skip on, whose pages are reserved;
 * those that are skipped are written. The logits of the last n_out of them are wanted. */
struct step_part {
    struct sequence *seq;
    int skip, n_rows, n_out;
};

/* Computes n parts of together at most n_batch rows. *logits: [sum of n_out, n_vocab], valid until
 * the next step. Advances no sequence. */
enum fk_status engine_step(fk_engine *e, const struct step_part *parts, int n,
                           const float **logits, struct fk_error *err);

/* Reads the mapped weights again and again for about `seconds` with the device's threads. */
/* bits: planes above are left alone; 0: none is. */
enum fk_status engine_bandwidth(const struct model *m, struct device *d, int bits, double seconds,
                                double *gb_per_s, struct fk_error *err);

/* See fk_engine_measure_int8. */
enum fk_status engine_int8_rate(struct device *d, double seconds, double *products_per_s,
                                struct fk_error *err);

/* Seconds that decoding one token at empty context takes here, found by decoding a few for about
 * limit_seconds; of a model too large for that, by the first part of a token. */
enum fk_status engine_trial(const struct model *m, const struct kv_layout *kv, struct device *d,
                            double limit_seconds, double *seconds, struct fk_error *err);

/* See fk_engine_op_times. */
size_t engine_op_times(fk_engine *e, struct fk_op_time *out, size_t cap);

/* Bytes of activations that a step of n_rows with n_out logits takes, found by a pass that computes
 * nothing. */
enum fk_status engine_activation_bytes(const struct model *m, const struct kv_layout *kv, int n_rows,
                                       int n_out, uint64_t *bytes, struct fk_error *err);

#endif
