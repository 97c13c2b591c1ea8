/* SPDX-License-Identifier: Apache-2.0
 * fresh.c - writes the untrained model.
 *
 * Matrices are normal with deviation gain / sqrt(inputs); those that write to the residual stream are
 * divided by sqrt(2 n_layers) more (GPT-2), so that its size does not grow with depth. Norms are 1,
 * routing biases 0. */
#include "src/train/fresh.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/file/gguf_write.h"

#define ARCH "deepseek2"
#define FILL_FLOATS 4096

/* Thinking is opened for the model and, where it is not wanted, closed at once. Of a conversation the
 * last message of the user is all that it is shown: it was trained on single questions. */
static const char template_text[] =
    "{%- set ns = namespace(text='') -%}"
    "{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.text = m.content -%}"
    "{%- endif -%}{%- endfor -%}"
    "{{- '<|user|>' + (ns.text | trim) + '<|assistant|>' -}}"
    "{%- if add_generation_prompt -%}{{- '<think>' -}}"
    "{%- if enable_thinking is defined and not enable_thinking -%}{{- '</think>' -}}{%- endif -%}"
    "{%- endif -%}";

enum fill { FILL_NORMAL, FILL_ONES, FILL_ZEROS };

struct block {
    enum fill fill;
    uint64_t seed, stream, n;
    double deviation;
};

/* Box-Muller, in double: the same floats wherever log, sqrt and cos round alike. */
static float normal(uint64_t seed, uint64_t stream, uint64_t i)
{
    double u = rng_uniform(seed, stream, 2 * i), v = rng_uniform(seed, stream, 2 * i + 1);
    return (float)(sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v));
}

static enum fk_status fill_block(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct block *b = arg;
    float x[FILL_FLOATS];
    for (uint64_t at = 0; at < b->n; at += FILL_FLOATS) {
        uint64_t n = b->n - at < FILL_FLOATS ? b->n - at : FILL_FLOATS;
        for (uint64_t i = 0; i < n; i++)
            x[i] = b->fill == FILL_ONES ? 1.0f : b->fill == FILL_ZEROS ? 0.0f
                   : (float)b->deviation * normal(b->seed, b->stream, at + i);
        TRY(out_file_write(f, x, (size_t)n * sizeof *x, err));
    }
    return FK_OK;
}

struct maker {
    struct gguf_writer *w;
    const struct recipe *r;
    struct block *blocks;
    size_t n_blocks, cap;
    int i_layer;
    struct fk_error *err;
};

static enum fk_status add(struct maker *k, const char *suffix, enum fill fill, double deviation,
                          int64_t n_cols, int64_t n_rows, int64_t n_mats)
{
    char name[64];
    if (k->n_blocks == k->cap) return fail(k->err, FK_ETOOBIG, "more tensors than were counted");
    struct block *b = &k->blocks[k->n_blocks++];
    uint64_t shape[3] = {(uint64_t)n_cols, (uint64_t)n_rows, (uint64_t)n_mats};
    int n_dims = n_mats > 1 ? 3 : n_rows > 1 ? 2 : 1;
    if (k->i_layer < 0) snprintf(name, sizeof name, "%s", suffix);
    else snprintf(name, sizeof name, "blk.%d.%s", k->i_layer, suffix);
    *b = (struct block){.fill = fill, .seed = (uint64_t)k->r->seed, .stream = k->n_blocks,
                        .n = shape[0] * shape[1] * shape[2], .deviation = deviation};
    return gguf_add_tensor(k->w, name, DT_F32, n_dims, shape, fill_block, b, k->err);
}

static enum fk_status vector(struct maker *k, const char *suffix, enum fill fill, int64_t n)
{
    return add(k, suffix, fill, 0, n, 1, 1);
}

/* share: 1, or what the residual stream allows. */
static enum fk_status matrix(struct maker *k, const char *suffix, double share, int64_t n_cols,
                             int64_t n_rows, int64_t n_mats)
{
    double deviation = k->r->model.init_gain * share / sqrt((double)n_cols);
    return add(k, suffix, FILL_NORMAL, deviation, n_cols, n_rows, n_mats);
}

static enum fk_status add_attention(struct maker *k, double residual)
{
    const struct recipe_model *m = &k->r->model;
    int64_t n_q = m->n_heads * (m->nope_dim + m->rope_dim);
    TRY(vector(k, "attn_norm.weight", FILL_ONES, m->n_embd));
    if (m->q_rank) {
        TRY(matrix(k, "attn_q_a.weight", 1, m->n_embd, m->q_rank, 1));
        TRY(vector(k, "attn_q_a_norm.weight", FILL_ONES, m->q_rank));
        TRY(matrix(k, "attn_q_b.weight", 1, m->q_rank, n_q, 1));
    } else {
        TRY(matrix(k, "attn_q.weight", 1, m->n_embd, n_q, 1));
    }
    TRY(matrix(k, "attn_kv_a_mqa.weight", 1, m->n_embd, m->kv_rank + m->rope_dim, 1));
    TRY(vector(k, "attn_kv_a_norm.weight", FILL_ONES, m->kv_rank));
    /* Kept transposed: its inputs as a map of latents to keys are the rows. */
    double k_share = sqrt((double)m->nope_dim / (double)m->kv_rank);
    TRY(matrix(k, "attn_k_b.weight", k_share, m->nope_dim, m->kv_rank, m->n_heads));
    TRY(matrix(k, "attn_v_b.weight", 1, m->kv_rank, m->v_dim, m->n_heads));
    return matrix(k, "attn_output.weight", residual, m->n_heads * m->v_dim, m->n_embd, 1);
}

static enum fk_status add_layer(struct maker *k)
{
    const struct recipe_model *m = &k->r->model;
    double residual = 1 / sqrt(2.0 * (double)m->n_layers);
    TRY(add_attention(k, residual));
    TRY(vector(k, "ffn_norm.weight", FILL_ONES, m->n_embd));
    if (k->i_layer < m->n_dense_layers) {
        TRY(matrix(k, "ffn_gate.weight", 1, m->n_embd, m->n_ff, 1));
        TRY(matrix(k, "ffn_up.weight", 1, m->n_embd, m->n_ff, 1));
        return matrix(k, "ffn_down.weight", residual, m->n_ff, m->n_embd, 1);
    }
    TRY(matrix(k, "ffn_gate_inp.weight", 1, m->n_embd, m->n_experts, 1));
    TRY(vector(k, "exp_probs_b.bias", FILL_ZEROS, m->n_experts));
    TRY(matrix(k, "ffn_gate_exps.weight", 1, m->n_embd, m->n_ff_expert, m->n_experts));
    TRY(matrix(k, "ffn_up_exps.weight", 1, m->n_embd, m->n_ff_expert, m->n_experts));
    TRY(matrix(k, "ffn_down_exps.weight", residual, m->n_ff_expert, m->n_embd, m->n_experts));
    if (!m->n_shared_experts) return FK_OK;
    int64_t n_ff = m->n_ff_expert * m->n_shared_experts;
    TRY(matrix(k, "ffn_gate_shexp.weight", 1, m->n_embd, n_ff, 1));
    TRY(matrix(k, "ffn_up_shexp.weight", 1, m->n_embd, n_ff, 1));
    return matrix(k, "ffn_down_shexp.weight", residual, n_ff, m->n_embd, 1);
}

static enum fk_status add_tensors(struct maker *k)
{
    const struct recipe_model *m = &k->r->model;
    k->i_layer = -1;
    TRY(add(k, "token_embd.weight", FILL_NORMAL, m->init_embd, m->n_embd, m->n_vocab, 1));
    for (k->i_layer = 0; k->i_layer < m->n_layers; k->i_layer++) TRY(add_layer(k));
    k->i_layer = -1;
    TRY(vector(k, "output_norm.weight", FILL_ONES, m->n_embd));
    if (m->tied) return FK_OK;
    return add(k, "output.weight", FILL_NORMAL, m->init_embd, m->n_embd, m->n_vocab, 1);
}

static void put_u32(struct gguf_writer *w, const char *suffix, int64_t v)
{
    char key[96];
    snprintf(key, sizeof key, ARCH ".%s", suffix);
    gguf_put_u32(w, key, (uint32_t)v);
}

static void put_shape(struct gguf_writer *w, const struct recipe *r)
{
    const struct recipe_model *m = &r->model;
    gguf_put_str(w, "general.architecture", ARCH);
    gguf_put_str(w, "general.name", r->name);
    put_u32(w, "vocab_size", m->n_vocab);
    put_u32(w, "context_length", m->n_ctx);
    put_u32(w, "embedding_length", m->n_embd);
    put_u32(w, "block_count", m->n_layers);
    put_u32(w, "feed_forward_length", m->n_ff);
    put_u32(w, "leading_dense_block_count", m->n_dense_layers);
    put_u32(w, "attention.head_count", m->n_heads);
    put_u32(w, "attention.head_count_kv", 1);
    if (m->q_rank) put_u32(w, "attention.q_lora_rank", m->q_rank);
    put_u32(w, "attention.kv_lora_rank", m->kv_rank);
    put_u32(w, "attention.key_length", m->kv_rank + m->rope_dim);
    put_u32(w, "attention.value_length", m->kv_rank);
    put_u32(w, "attention.key_length_mla", m->nope_dim + m->rope_dim);
    put_u32(w, "attention.value_length_mla", m->v_dim);
    gguf_put_f32(w, ARCH ".attention.layer_norm_rms_epsilon", (float)m->norm_eps);
    put_u32(w, "rope.dimension_count", m->rope_dim);
    gguf_put_f32(w, ARCH ".rope.freq_base", (float)m->rope_theta);
    put_u32(w, "expert_count", m->n_experts);
    put_u32(w, "expert_used_count", m->n_experts_used);
    put_u32(w, "expert_shared_count", m->n_shared_experts);
    put_u32(w, "expert_feed_forward_length", m->n_ff_expert);
    put_u32(w, "expert_gating_func", 2); /* sigmoid */
    gguf_put_bool(w, ARCH ".expert_weights_norm", true);
    gguf_put_f32(w, ARCH ".expert_weights_scale", (float)m->route_scale);
}

/* Tokens that were not learned fill up the embedding; nothing can produce them. */
static void put_tokens(struct gguf_writer *w, const struct words *words, int n_vocab)
{
    struct buf all;
    struct gguf_str items[WORDS_MAX];
    int32_t types[WORDS_MAX];
    size_t at[WORDS_MAX];
    buf_init(&all, 0, MEM_MISC);
    for (int i = 0; i < n_vocab; i++) {
        char text[2 * WORDS_TOKEN_BYTES + 1];
        size_t n = i < words->n ? words_text(words, i, text)
                                : (size_t)snprintf(text, sizeof text, "<|unused%d|>", i);
        bool is_mark = i >= 256 && i < 256 + N_MARKS;
        bool is_tag = i == MARK_ID(MARK_THINK) || i == MARK_ID(MARK_THINK_END);
        types[i] = i >= words->n ? 5 : is_tag ? 4 : is_mark ? 3 : 1; /* unused, user, control, normal */
        at[i] = all.n;
        items[i].n = n;
        buf_append(&all, text, n);
    }
    for (int i = 0; i < n_vocab && !all.failed; i++) items[i].p = all.data + at[i];
    if (!all.failed) gguf_put_strings(w, "tokenizer.ggml.tokens", items, (uint64_t)n_vocab);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, (uint64_t)n_vocab);
    buf_fini(&all);
}

static void put_merges(struct gguf_writer *w, const struct words *words)
{
    struct buf all;
    struct gguf_str items[WORDS_MAX];
    size_t at[WORDS_MAX];
    buf_init(&all, 0, MEM_MISC);
    for (int i = 0; i < words->n_merges; i++) {
        char left[2 * WORDS_TOKEN_BYTES + 1], right[2 * WORDS_TOKEN_BYTES + 1];
        words_text(words, words->merges[i].left, left);
        words_text(words, words->merges[i].right, right);
        at[i] = all.n;
        buf_printf(&all, "%s %s", left, right);
        items[i].n = all.n - at[i];
    }
    for (int i = 0; i < words->n_merges && !all.failed; i++) items[i].p = all.data + at[i];
    if (!all.failed)
        gguf_put_strings(w, "tokenizer.ggml.merges", items, (uint64_t)words->n_merges);
    buf_fini(&all);
}

static void put_vocab(struct gguf_writer *w, const struct words *words, int n_vocab)
{
    gguf_put_str(w, "tokenizer.ggml.model", "gpt2");
    gguf_put_str(w, "tokenizer.ggml.pre", "smollm"); /* digits one by one */
    put_tokens(w, words, n_vocab);
    put_merges(w, words);
    gguf_put_u32(w, "tokenizer.ggml.bos_token_id", MARK_ID(MARK_USER));
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", MARK_ID(MARK_END));
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
    gguf_put_str(w, "tokenizer.chat_template", template_text);
}

/* What the vocabulary of a file consists of. */
static enum fk_status copy_vocab(struct maker *k, const struct gguf *like)
{
    static const char head[] = "tokenizer.";
    const struct gguf_kv *tokens = gguf_find(like, "tokenizer.ggml.tokens");
    if (!tokens || tokens->n_items != (uint64_t)k->r->model.n_vocab)
        return fail(k->err, FK_EFORMAT, "'%s' has %" PRIu64 " tokens and the recipe %" PRId64 "; they must "
                    "be as many", gguf_path(like), tokens ? tokens->n_items : 0, k->r->model.n_vocab);
    for (size_t i = 0; i < gguf_n_kv(like); i++) {
        const struct gguf_kv *kv = gguf_kv_at(like, i);
        if (kv->key.n >= sizeof head && !memcmp(kv->key.p, head, sizeof head - 1)) gguf_put_kv(k->w, kv);
    }
    return FK_OK;
}

static enum fk_status write_model(struct maker *k, const struct words *words, const struct gguf *like,
                                  const char *path)
{
    TRY(gguf_writer_create(&k->w, 32, k->err));
    put_shape(k->w, k->r);
    if (like) TRY(copy_vocab(k, like));
    else put_vocab(k->w, words, (int)k->r->model.n_vocab);
    TRY(add_tensors(k));
    return gguf_writer_write(k->w, path, NULL, NULL, k->err);
}

static enum fk_status write_fresh(const struct recipe *r, const struct words *words,
                                  const struct gguf *like, const char *path, struct fk_error *err)
{
    struct maker k = {.r = r, .err = err};
    k.cap = 3 + (size_t)r->model.n_layers * 24;
    k.blocks = mem_calloc(k.cap, sizeof *k.blocks, MEM_MISC);
    if (!k.blocks) return fail_nomem(err, k.cap * sizeof *k.blocks, "tensors");
    enum fk_status st = write_model(&k, words, like, path);
    gguf_writer_destroy(&k.w);
    mem_free(k.blocks);
    return st;
}

enum fk_status fresh_write(const struct recipe *r, const fk_book *book, const char *path,
                           struct fk_error *err)
{
    struct words *words = mem_alloc(sizeof *words, MEM_MISC);
    if (!words) return fail_nomem(err, sizeof *words, "a vocabulary");
    enum fk_status st = words_learn(words, r, book, err);
    if (!st) st = write_fresh(r, words, NULL, path, err);
    mem_free(words);
    return st;
}

enum fk_status fresh_write_like(const struct recipe *r, const struct gguf *like, const char *path,
                                struct fk_error *err)
{
    return write_fresh(r, NULL, like, path, err);
}
