/* SPDX-License-Identifier: Apache-2.0
 * model.h - a model: its hyper-parameters, its weights as views into a file, its forward.
 *
 * Immutable after model_open(), so any number of threads and engines may share one. Nothing here
 * knows sessions, pages or samplers. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H
#include "src/device/ops.h"
#include "src/file/gguf.h"
#include "src/tensor/planes.h"
#include "src/text/tokenizer.h"

#define MODEL_MAX_LAYERS 512
#define MODEL_MAX_EXPERTS 1024

enum model_family { FAMILY_LLAMA, FAMILY_QWEN2, FAMILY_QWEN3, FAMILY_QWEN3MOE, FAMILY_GEMMA3,
                    FAMILY_DEEPSEEK2 };

/* Every field is checked against the bounds in config.c before anything uses it. */
struct model_config {
    enum model_family family;
    char architecture[32]; /* "llama" */
    char name[128];
    int n_layers;          /* that run; MTP layers are counted apart */
    int n_mtp_layers;
    int n_vocab, n_embd, n_ff, n_ctx_train;
    int n_heads, n_kv_heads, head_dim, v_head_dim;
    float norm_eps;
    float embed_scale;     /* gemma3: sqrt(n_embd); else 1 */
    float logit_softcap, attn_softcap; /* 0: none */
    float attn_scale;
    /* sliding window: layers with (i + 1) % window_pattern != 0 are local (gemma3) */
    int window, window_pattern;
    /* rope: inv_freq tables are in struct model */
    enum rope_style rope_style;
    int n_rot;
    float rope_theta, rope_theta_local;
    struct rope_scaling {
        enum rope_scaling_kind { ROPE_PLAIN, ROPE_LINEAR, ROPE_YARN } kind;
        float factor;
        int n_ctx_orig;
        float beta_fast, beta_slow, ext_factor;
        float mscale;         /* multiplies the rotated columns */
    } rope_scaling;
    /* MLA (deepseek2) */
    int q_rank, kv_rank;   /* q_rank 0: a plain q projection */
    int rope_dim, nope_dim;
    /* MoE */
    int n_experts, n_experts_used, n_shared_experts, n_ff_expert, n_dense_layers;
    struct route_params route;
};

struct model_layer {
    struct tensor *attn_norm, *wq, *wk, *wv, *wo, *bq, *bk, *bv, *bo, *q_norm, *k_norm;
    struct tensor *attn_post_norm, *ffn_post_norm;                     /* gemma3 */
    /* MLA; see mla.c for which of them a file has */
    struct tensor *q_a, *q_a_norm, *q_b, *kv_a, *kv_a_norm, *k_b, *v_b, *kv_b;
    struct tensor *v_b_flat;                                           /* v_b as one matrix */
    bool k_b_transposed;                                               /* k_b is a view of kv_b */
    struct tensor *ffn_norm, *gate, *up, *down;
    struct tensor *router, *router_bias, *gate_exps, *up_exps, *down_exps;
    struct tensor *gate_shared, *up_shared, *down_shared;
    const struct rope_params *rope;
    int window;                                                       /* 0: global */
    bool is_moe;
};

/* A weight that the file keeps in planes. */
struct model_planes {
    struct planes *planes;
    const char *name; /* "blk.0.attn_q.weight" */
    struct model_planes *next;
};

#define HEAD_BEST_GROUPS 128 /* of 8 tokens, that the second stage of a head reads: doc/precision.md */

struct model {
    struct model_config config;
    struct gguf *gguf;                 /* owned: the file stays mapped */
    struct gguf *adapter_gguf;         /* owned; NULL: no adapter */
    struct model_adapter *adapters;    /* adapter.h; in the order of tying, newest first */
    struct tokenizer *tokenizer;       /* owned; NULL when opened without vocabulary */
    struct tensor *tok_embd, *output_norm, *output; /* output == tok_embd when tied */
    struct model_layer *layers;        /* [n_layers] */
    struct rope_params rope_global, rope_local;
    struct rope_params rope_k;         /* MLA: the angles of rope_global, for a key that is alone */
    struct arena memory;               /* tensors, layers, tables */
    int n_planes;                      /* the most that a plane weight has; 0: the file has no planes */
    struct model_planes *plane_weights; /* in the order of binding, newest first */
    bool has_plan;                     /* the file says what its planes are read at */
    uint64_t weight_bytes;             /* of all tensors that a forward can read */
    uint64_t active_bytes;             /* read for one decoded token at empty context */
    uint64_t n_params, n_active_params; /* active: unused experts left out */
    struct tensor *(*forward)(const struct model *m, struct ops *o); /* logits [n_out, n_vocab] */
};

/* Opens a GGUF file (the first of a split set is enough). need_tokenizer false skips the vocabulary
 * text. Refuses with FK_EFORMAT/FK_EUNSUPPORTED and a sentence naming key, value and limit. */
enum fk_status model_open(struct model **out, const char *path, bool need_tokenizer,
                          struct fk_error *err);
void model_close(struct model **m);

enum mla_form { MLA_AUTO, MLA_ABSORBED, MLA_EXPANDED };
/* The cache this model needs. MLA: absorbed keeps latents (v_in_k), expanded full heads;
 * MLA_AUTO is absorbed. The forward takes its form from the layout in the batch. */
enum fk_status model_kv_layout(const struct model *m, enum dtype dtype, enum mla_form form,
                               int page_tokens, struct kv_layout *out, struct fk_error *err);

/* One step: runs the forward over batch and leaves logits [n_out, n_vocab] in *logits (in o's
 * arena until the next ops_begin). FK_ENONFINITE if a logit is NaN or infinite, FK_EGONE if the file
 * was cut during the step. */
enum fk_status model_step(const struct model *m, struct ops *o, const struct batch *batch,
                          const float **logits, struct fk_error *err);

#endif
