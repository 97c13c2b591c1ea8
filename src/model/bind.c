/* SPDX-License-Identifier: Apache-2.0
 * bind.c - the tensors of a file by their GGUF names, as views; every shape is checked against the
 * config and every matrix's type against the table of types, so that no op can be handed a tensor
 * that does not fit. Counts what a forward can read and what one decoded token reads.
 *
 * Vectors (norms, biases) are f32 in memory: those that a file keeps in another float type or
 * unaligned are copied once. Tensors that no forward here reads (MTP layers) are left alone. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/model/blocks.h"

struct binder {
    struct model *m;
    struct fk_error *err;
    int i_layer;   /* -1: not of a layer */
    char name[96];
};

static const struct gguf_tensor *find(struct binder *b, const char *suffix)
{
    if (b->i_layer < 0)
        snprintf(b->name, sizeof b->name, "%s", suffix);
    else
        snprintf(b->name, sizeof b->name, "blk.%d.%s", b->i_layer, suffix);
    return gguf_find_tensor(b->m->gguf, b->name);
}

static enum fk_status missing(struct binder *b)
{
    return fail(b->err, FK_EFORMAT, "tensor '%s' is missing", b->name);
}

static enum fk_status wrong_shape(struct binder *b, const struct gguf_tensor *t, int64_t n0,
                                  int64_t n1, int64_t n2)
{
    return fail(b->err, FK_EFORMAT,
                "tensor '%s' has the shape [%llu, %llu, %llu, %llu]; the metadata asks for "
                "[%lld, %lld, %lld]", b->name, (unsigned long long)t->shape[0],
                (unsigned long long)t->shape[1], (unsigned long long)t->shape[2],
                (unsigned long long)t->shape[3], (long long)n0, (long long)n1, (long long)n2);
}

static struct tensor *new_tensor(struct binder *b)
{
    struct tensor *t = arena_alloc(&b->m->memory, sizeof *t);
    if (!t) {
        fail_nomem(b->err, sizeof *t, "the table of tensors");
        return NULL;
    }
    *t = (struct tensor){.dtype = DT_F32, .n_rows = 1, .n_mats = 1,
                         .name = arena_strndup(&b->m->memory, b->name, strlen(b->name))};
    if (t->name) return t;
    fail_nomem(b->err, sizeof b->name, "the table of tensors");
    return NULL;
}

/* of / out: how much of it one token reads. */
static void count(struct binder *b, uint64_t bytes, uint64_t params, uint64_t part, uint64_t of)
{
    struct model *m = b->m;
    m->weight_bytes += bytes;
    m->n_params += params;
    m->active_bytes += bytes / of * part;
    m->n_active_params += params / of * part;
}

/* A head that is planned in two stages reads less than its planes; with few rows it has one. */
static void count_stages(struct model *m)
{
    const struct planes *p = m->output->dtype == DT_PLANES ? m->output->data : NULL;
    if (!p || !p->first || planes_index(p->first) >= p->n_planes - 1 || HEAD_BEST_GROUPS >= p->n_groups) return;
    m->active_bytes -= planes_read_bytes(p, 0, p->n_groups, 0);
    m->active_bytes += planes_staged_bytes(p, p->first, HEAD_BEST_GROUPS);
}

/* The weight b->name kept in planes, or *out NULL. */
static enum fk_status plane_matrix(struct binder *b, int64_t n_cols, int64_t n_rows, int64_t n_mats,
                                   struct tensor **out)
{
    struct planes *p;
    *out = NULL;
    TRY(model_find_planes(b->m, b->name, &p, b->err));
    if (!p) return FK_OK;
    if (p->n_cols != n_cols || p->n_rows != n_rows || p->n_mats != n_mats)
        return fail(b->err, FK_EFORMAT, "the planes of '%s' have the shape [%lld, %lld, %lld]; the "
                    "metadata asks for [%lld, %lld, %lld]", b->name, (long long)p->n_cols,
                    (long long)p->n_rows, (long long)p->n_mats, (long long)n_cols, (long long)n_rows,
                    (long long)n_mats);
    struct tensor *t = new_tensor(b);
    if (!t) return FK_ENOMEM;
    t->dtype = DT_PLANES;
    t->n_cols = n_cols;
    t->n_rows = n_rows;
    t->n_mats = n_mats;
    t->row_bytes = (size_t)(n_cols / PLANES_COLS * 33 + 2);
    t->mat_bytes = (size_t)planes_read_bytes(p, 0, p->n_groups, 0);
    t->data = p;
    *out = t;
    return FK_OK;
}

/* [n_mats][n_rows, n_cols]; two-dimensional files of n_mats matrices in one are the same bytes. */
static enum fk_status matrix(struct binder *b, const char *suffix, bool required, int64_t n_cols,
                             int64_t n_rows, int64_t n_mats, struct tensor **out)
{
    const struct gguf_tensor *g = find(b, suffix);
    if (!g) TRY(plane_matrix(b, n_cols, n_rows, n_mats, out));
    if (!g && *out) return FK_OK;
    if (!g) return required ? missing(b) : FK_OK;
    bool is_flat = g->shape[2] == 1 && g->shape[1] == (uint64_t)(n_rows * n_mats);
    bool is_split = g->shape[2] == (uint64_t)n_mats && g->shape[1] == (uint64_t)n_rows;
    if (g->shape[0] != (uint64_t)n_cols || g->shape[3] != 1 || !(is_flat || is_split))
        return wrong_shape(b, g, n_cols, n_rows, n_mats);
    const struct dtype_info *info = dtype_info(g->dtype);
    if (!info || !info->is_weight)
        return fail(b->err, FK_EUNSUPPORTED, "tensor '%s' has the type %s, which no kernel reads",
                    b->name, dtype_name(g->dtype));
    uint64_t row;
    if (!dtype_row_bytes(g->dtype, (uint64_t)n_cols, &row) ||
        g->bytes != row * (uint64_t)n_rows * (uint64_t)n_mats)
        return fail(b->err, FK_EFORMAT, "tensor '%s' has rows of %lld, which are no blocks of %s",
                    b->name, (long long)n_cols, info->name);
    struct tensor *t = new_tensor(b);
    if (!t) return FK_ENOMEM;
    t->dtype = g->dtype;
    t->n_cols = n_cols;
    t->n_rows = n_rows;
    t->n_mats = n_mats;
    t->row_bytes = (size_t)row;
    t->mat_bytes = (size_t)row * (size_t)n_rows;
    t->data = (void *)(uintptr_t)g->data;
    *out = t;
    return FK_OK;
}

/* A matrix of which every token reads all. */
static enum fk_status weight(struct binder *b, const char *suffix, bool required, int64_t n_cols,
                             int64_t n_rows, int64_t n_mats, struct tensor **out)
{
    TRY(matrix(b, suffix, required, n_cols, n_rows, n_mats, out));
    if (*out) count(b, (*out)->mat_bytes * (uint64_t)n_mats, (uint64_t)tensor_n_elements(*out), 1, 1);
    return FK_OK;
}

static enum fk_status experts(struct binder *b, const char *suffix, int64_t n_cols, int64_t n_rows,
                              struct tensor **out)
{
    const struct model_config *c = &b->m->config;
    TRY(matrix(b, suffix, true, n_cols, n_rows, c->n_experts, out));
    count(b, (*out)->mat_bytes * (uint64_t)c->n_experts, (uint64_t)tensor_n_elements(*out),
          (uint64_t)c->n_experts_used, (uint64_t)c->n_experts);
    return FK_OK;
}

static enum fk_status vector(struct binder *b, const char *suffix, bool required, int64_t n,
                             struct tensor **out)
{
    const struct gguf_tensor *g = find(b, suffix);
    if (!g) return required ? missing(b) : FK_OK;
    if (g->shape[0] != (uint64_t)n || g->shape[1] != 1 || g->shape[2] != 1 || g->shape[3] != 1)
        return wrong_shape(b, g, n, 1, 1);
    if (g->dtype != DT_F32 && g->dtype != DT_F16 && g->dtype != DT_BF16)
        return fail(b->err, FK_EUNSUPPORTED, "tensor '%s' has the type %s; a vector is F32, F16 or "
                    "BF16", b->name, dtype_name(g->dtype));
    struct tensor *t = new_tensor(b);
    if (!t) return FK_ENOMEM;
    t->n_cols = n;
    t->row_bytes = t->mat_bytes = (size_t)n * sizeof(float);
    t->data = (void *)(uintptr_t)g->data;
    count(b, g->bytes, (uint64_t)n, 1, 1);
    *out = t;
    if (g->dtype == DT_F32 && (uintptr_t)g->data % sizeof(float) == 0) return FK_OK;
    float *copy = arena_array(&b->m->memory, (size_t)n, sizeof(float));
    if (!copy) return fail_nomem(b->err, t->row_bytes, b->name);
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        if (g->dtype == DT_F32) {
            memcpy(&copy[i], g->data + i * 4, 4);
            continue;
        }
        memcpy(&h, g->data + i * 2, 2);
        copy[i] = g->dtype == DT_F16 ? f16_to_f32(h) : bf16_to_f32(h);
    }
    t->data = copy;
    return FK_OK;
}

static enum fk_status bind_gqa(struct binder *b, struct model_layer *l)
{
    const struct model_config *c = &b->m->config;
    int64_t d = c->n_embd, n_q = (int64_t)c->n_heads * c->head_dim;
    int64_t n_k = (int64_t)c->n_kv_heads * c->head_dim, n_v = (int64_t)c->n_kv_heads * c->v_head_dim;
    TRY(weight(b, "attn_q.weight", true, d, n_q, 1, &l->wq));
    TRY(weight(b, "attn_k.weight", true, d, n_k, 1, &l->wk));
    TRY(weight(b, "attn_v.weight", true, d, n_v, 1, &l->wv));
    TRY(weight(b, "attn_output.weight", true, (int64_t)c->n_heads * c->v_head_dim, d, 1, &l->wo));
    bool needs_bias = c->family == FAMILY_QWEN2;
    TRY(vector(b, "attn_q.bias", needs_bias, n_q, &l->bq));
    TRY(vector(b, "attn_k.bias", needs_bias, n_k, &l->bk));
    TRY(vector(b, "attn_v.bias", needs_bias, n_v, &l->bv));
    TRY(vector(b, "attn_output.bias", false, d, &l->bo));
    bool has_norms = c->family != FAMILY_LLAMA && c->family != FAMILY_QWEN2;
    if (!has_norms) return FK_OK;
    TRY(vector(b, "attn_q_norm.weight", true, c->head_dim, &l->q_norm));
    return vector(b, "attn_k_norm.weight", true, c->head_dim, &l->k_norm);
}

/* A view of n_rows rows of every head of kv_b [h][nope + v, kv_rank]. */
static enum fk_status view_of_kv_b(struct binder *b, const struct tensor *kv_b, int64_t first,
                                   int64_t n_rows, struct tensor **out)
{
    const struct model_config *c = &b->m->config;
    struct tensor *t = new_tensor(b);
    if (!t) return FK_ENOMEM;
    const char *name = t->name;
    *t = *kv_b;
    t->name = name;
    t->n_rows = n_rows;
    t->n_mats = c->n_heads;
    t->mat_bytes = (size_t)(c->nope_dim + c->v_head_dim) * kv_b->row_bytes;
    t->data = (char *)kv_b->data + (size_t)first * kv_b->row_bytes;
    *out = t;
    return FK_OK;
}

static enum fk_status bind_mla(struct binder *b, struct model_layer *l)
{
    const struct model_config *c = &b->m->config;
    int64_t d = c->n_embd, n_q = (int64_t)c->n_heads * c->head_dim;
    if (c->q_rank) {
        TRY(weight(b, "attn_q_a.weight", true, d, c->q_rank, 1, &l->q_a));
        TRY(vector(b, "attn_q_a_norm.weight", true, c->q_rank, &l->q_a_norm));
        TRY(weight(b, "attn_q_b.weight", true, c->q_rank, n_q, 1, &l->q_b));
    } else {
        TRY(weight(b, "attn_q.weight", true, d, n_q, 1, &l->wq));
    }
    TRY(weight(b, "attn_kv_a_mqa.weight", true, d, c->kv_rank + c->rope_dim, 1, &l->kv_a));
    TRY(vector(b, "attn_kv_a_norm.weight", true, c->kv_rank, &l->kv_a_norm));
    TRY(weight(b, "attn_output.weight", true, (int64_t)c->n_heads * c->v_head_dim, d, 1, &l->wo));
    TRY(weight(b, "attn_k_b.weight", false, c->nope_dim, c->kv_rank, c->n_heads, &l->k_b));
    if (l->k_b) {
        TRY(weight(b, "attn_v_b.weight", true, c->kv_rank, c->v_head_dim, c->n_heads, &l->v_b));
        l->v_b_flat = new_tensor(b);
        if (!l->v_b_flat) return FK_ENOMEM;
        const char *name = l->v_b_flat->name;
        *l->v_b_flat = *l->v_b;
        l->v_b_flat->name = name;
        l->v_b_flat->n_rows *= l->v_b->n_mats;
        l->v_b_flat->n_mats = 1;
        l->v_b_flat->mat_bytes *= (size_t)l->v_b->n_mats;
        return FK_OK;
    }
    int64_t n_kv = (int64_t)c->n_heads * (c->nope_dim + c->v_head_dim);
    if (!find(b, "attn_kv_b.weight"))
        return fail(b->err, FK_EFORMAT, "tensors 'blk.%d.attn_k_b.weight' and '%s' are missing",
                    b->i_layer, b->name);
    TRY(weight(b, "attn_kv_b.weight", true, c->kv_rank, n_kv, 1, &l->kv_b));
    TRY(view_of_kv_b(b, l->kv_b, 0, c->nope_dim, &l->k_b));
    l->k_b_transposed = true;
    return view_of_kv_b(b, l->kv_b, c->nope_dim, c->v_head_dim, &l->v_b);
}

static enum fk_status bind_ffn(struct binder *b, struct model_layer *l)
{
    int64_t d = b->m->config.n_embd, n_ff = b->m->config.n_ff;
    TRY(weight(b, "ffn_gate.weight", true, d, n_ff, 1, &l->gate));
    TRY(weight(b, "ffn_up.weight", true, d, n_ff, 1, &l->up));
    return weight(b, "ffn_down.weight", true, n_ff, d, 1, &l->down);
}

static enum fk_status bind_moe(struct binder *b, struct model_layer *l)
{
    struct model_config *c = &b->m->config;
    int64_t d = c->n_embd;
    /* Older qwen3moe files do not say the width of an expert. */
    const struct gguf_tensor *gate = find(b, "ffn_gate_exps.weight");
    if (!c->n_ff_expert && gate && gate->shape[1] <= 1 << 20) c->n_ff_expert = (int)gate->shape[1];
    l->is_moe = true;
    TRY(weight(b, "ffn_gate_inp.weight", true, d, c->n_experts, 1, &l->router));
    if (c->family == FAMILY_DEEPSEEK2) {
        TRY(vector(b, "exp_probs_b.bias", false, c->n_experts, &l->router_bias));
        if (!l->router_bias) TRY(vector(b, "exp_probs_b", false, c->n_experts, &l->router_bias));
    }
    TRY(experts(b, "ffn_gate_exps.weight", d, c->n_ff_expert, &l->gate_exps));
    TRY(experts(b, "ffn_up_exps.weight", d, c->n_ff_expert, &l->up_exps));
    TRY(experts(b, "ffn_down_exps.weight", c->n_ff_expert, d, &l->down_exps));
    if (!c->n_shared_experts) return FK_OK;
    int64_t n_ff = (int64_t)c->n_ff_expert * c->n_shared_experts;
    TRY(weight(b, "ffn_gate_shexp.weight", true, d, n_ff, 1, &l->gate_shared));
    TRY(weight(b, "ffn_up_shexp.weight", true, d, n_ff, 1, &l->up_shared));
    return weight(b, "ffn_down_shexp.weight", true, n_ff, d, 1, &l->down_shared);
}

/* Layer i is local where (i + 1) % pattern != 0, or where an array of the file says so. */
static int window_of(const struct model *m, int i)
{
    const struct model_config *c = &m->config;
    if (!c->window) return 0;
    int64_t is_local = (i + 1) % c->window_pattern != 0;
    char key[96];
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", c->architecture);
    const struct gguf_kv *kv = gguf_find(m->gguf, key);
    if (kv && kv->type == GGUF_ARRAY && (uint64_t)i < kv->n_items) {
        if (kv->item_type == GGUF_BOOL)
            is_local = kv->data[i] != 0;
        else
            gguf_item_int(kv, (uint64_t)i, &is_local);
    }
    return is_local ? c->window : 0;
}

static enum fk_status bind_layer(struct binder *b, int i)
{
    struct model *m = b->m;
    const struct model_config *c = &m->config;
    struct model_layer *l = &m->layers[i];
    b->i_layer = i;
    l->window = window_of(m, i);
    TRY(vector(b, "attn_norm.weight", true, c->n_embd, &l->attn_norm));
    TRY(c->family == FAMILY_DEEPSEEK2 ? bind_mla(b, l) : bind_gqa(b, l));
    TRY(vector(b, "ffn_norm.weight", true, c->n_embd, &l->ffn_norm));
    if (c->family == FAMILY_GEMMA3) {
        TRY(vector(b, "post_attention_norm.weight", true, c->n_embd, &l->attn_post_norm));
        TRY(vector(b, "post_ffw_norm.weight", true, c->n_embd, &l->ffn_post_norm));
    }
    return i < c->n_dense_layers ? bind_ffn(b, l) : bind_moe(b, l);
}

/* n_vocab is the number of embedding rows; the vocabulary may be shorter (padding), not longer. */
static enum fk_status bind_vocab(struct binder *b)
{
    struct model *m = b->m;
    struct model_config *c = &m->config;
    const struct gguf_tensor *g = find(b, "token_embd.weight");
    struct planes *planes = NULL;
    if (!g) TRY(model_find_planes(m, b->name, &planes, b->err));
    if (!g && !planes) return missing(b);
    uint64_t n_vocab = g ? g->shape[1] : (uint64_t)planes->n_rows;
    if (n_vocab < 1 || n_vocab > 1 << 24)
        return fail(b->err, FK_EFORMAT, "tensor '%s' has %llu rows; a vocabulary has 1 to %d",
                    b->name, (unsigned long long)n_vocab, 1 << 24);
    int n_rows = (int)n_vocab;
    if (c->n_vocab > n_rows)
        return fail(b->err, FK_EFORMAT, "%s.vocab_size is %d, tensor '%s' has %d rows",
                    c->architecture, c->n_vocab, b->name, n_rows);
    const struct gguf_kv *tokens = gguf_find(m->gguf, "tokenizer.ggml.tokens");
    if (tokens && tokens->type == GGUF_ARRAY && tokens->n_items > (uint64_t)n_rows)
        return fail(b->err, FK_EFORMAT, "tokenizer.ggml.tokens has %llu tokens, tensor '%s' %d rows",
                    (unsigned long long)tokens->n_items, b->name, n_rows);
    c->n_vocab = n_rows;
    TRY(matrix(b, "token_embd.weight", true, c->n_embd, n_rows, 1, &m->tok_embd));
    TRY(weight(b, "output.weight", false, c->n_embd, n_rows, 1, &m->output));
    uint64_t bytes = m->tok_embd->mat_bytes, params = (uint64_t)tensor_n_elements(m->tok_embd);
    bool is_tied = !m->output;
    if (is_tied) m->output = m->tok_embd;
    count(b, bytes, params, is_tied, 1); /* untied: one row, which follows */
    if (!is_tied) m->n_active_params += params;
    m->active_bytes += m->tok_embd->row_bytes;
    count_stages(m);
    return vector(b, "output_norm.weight", true, c->n_embd, &m->output_norm);
}

enum fk_status model_bind(struct model *m, struct fk_error *err)
{
    struct binder b = {.m = m, .err = err, .i_layer = -1};
    TRY(bind_vocab(&b));
    size_t bytes = (size_t)m->config.n_layers * sizeof *m->layers;
    m->layers = arena_alloc(&m->memory, bytes);
    if (!m->layers) return fail_nomem(err, bytes, "layers");
    memset(m->layers, 0, bytes);
    for (int i = 0; i < m->config.n_layers; i++) TRY(bind_layer(&b, i));
    return FK_OK;
}
