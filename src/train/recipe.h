/* SPDX-License-Identifier: Apache-2.0
 * recipe.h - a training recipe: a JSON file that says which model, on what, for how long.
 *
 * Strict: a key that is not known, a value out of its bounds or a stage without steps is refused with
 * one sentence. What a file leaves out has the default of recipe.c, and recipe_print() writes every
 * value that a run uses. Budgets count steps and tokens, never time. */
#ifndef TRAIN_RECIPE_H
#define TRAIN_RECIPE_H
#include <stdbool.h>
#include "fikr/grade.h"
#include "src/base/buf.h"
#include "src/train/grpo_params.h"
#include "src/train/sets.h"

#define RECIPE_MAX_STAGES 16
#define RECIPE_STAGE_SEEDS 8 /* how far apart the seeds of two runs are; what was trained rests on it */
#define RECIPE_MAX_BYTES ((size_t)1 << 20)

/* DeepSeek-V3's shape: MLA, dense layers first, then shared and routed experts. */
struct recipe_model {
    int64_t n_vocab, n_ctx, n_embd, n_layers, n_dense_layers, n_ff;
    int64_t n_heads, nope_dim, rope_dim, v_dim, q_rank, kv_rank;
    int64_t n_experts, n_experts_used, n_shared_experts, n_ff_expert;
    double rope_theta, norm_eps, route_scale;
    double init_embd; /* standard deviation of embeddings */
    double init_gain; /* of matrices, times 1 / sqrt(inputs) */
    bool tied;        /* the head is the embedding */
};

enum optim_kind { OPTIM_ADAMW, OPTIM_MUON };

struct recipe_optim {
    enum optim_kind kind;
    double momentum;  /* of Muon's matrices */
    double beta1, beta2, eps, weight_decay, clip;
    double balance;   /* coefficient of the sequence balance loss */
    double bias_rate; /* step of the routing bias */
};

/* Adapters over a base model instead of a model of our own. */
struct recipe_lora {
    bool is_on;
    int64_t rank, n_ctx;
    double alpha;
    uint32_t targets; /* bits of lora_targets; 0: all that the base has */
};

struct recipe_stage {
    char name[32];
    int64_t n_steps, batch_tokens;
    int64_t eval_steps;         /* 0: the recipe's */
    double lr, lr_end;          /* lr_end: share of lr that is left at the end of the decay */
    int64_t n_warmup, n_decay;  /* steps */
    bool loss_on_prompt;
    bool choose_thinking;       /* the loss is on the mark that closes an empty thinking, too */
    bool is_grpo;               /* learns from replies of its own (GRPO, or rejection sampling); else
                                 * next-token training on the mix */
    struct grpo_params grpo;
    struct fk_mix mix;
    uint32_t sets[N_SETS];      /* with adapters: weights of the word problems; no puzzles then */
};

struct recipe {
    char name[64];
    int64_t seed, ckpt_steps, ckpt_keep, log_steps, vocab_sample;
    /* Evaluation on the dev set: every so many steps (0: never), puzzles of a family then and at the
     * end of the run, tokens of a reply at most, prompts whose replies are kept to be read. */
    int64_t eval_steps, eval_count, final_count, eval_max_new, n_samples;
    double watts, price;   /* of a busy core; of a CPU-hour */
    char currency[8];
    struct recipe_model model;
    struct recipe_lora lora;
    struct recipe_optim optim;
    struct recipe_stage stages[RECIPE_MAX_STAGES];
    size_t n_stages;
    char sha256[65]; /* of the file's bytes */
};

enum fk_status recipe_read(struct recipe *r, const char *path, struct fk_error *err);
/* The same from bytes; name stands in sentences. */
enum fk_status recipe_parse(struct recipe *r, const char *text, size_t n, const char *name,
                            struct fk_error *err);
/* Every value, one "key value" a line. */
bool recipe_print(const struct recipe *r, struct buf *out);

/* The learning rate of a stage's step (from 0): linear warm-up, constant, linear decay to lr_end. */
double recipe_lr(const struct recipe_stage *s, int64_t step);
int64_t recipe_n_steps(const struct recipe *r);

#endif
