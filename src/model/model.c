/* SPDX-License-Identifier: Apache-2.0
 * model.c - opening and closing a model, the cache it needs, one step. */
#include "src/model/model.h"
#include <string.h>
#include "src/base/fail.h"
#include "src/model/blocks.h"

static struct tensor *(*forward_of(enum model_family f))(const struct model *, struct ops *)
{
    switch (f) {
    case FAMILY_LLAMA: return forward_llama;
    case FAMILY_QWEN2: return forward_qwen2;
    case FAMILY_QWEN3: return forward_qwen3;
    case FAMILY_QWEN3MOE: return forward_qwen3moe;
    case FAMILY_GEMMA3: return forward_gemma3;
    case FAMILY_DEEPSEEK2: return forward_deepseek2;
    }
    return NULL;
}

enum fk_status model_open(struct model **out, const char *path, bool need_tokenizer,
                          struct fk_error *err)
{
    *out = NULL;
    struct model *m = mem_zalloc(sizeof *m, MEM_MODEL);
    if (!m) return fail_nomem(err, sizeof *m, "a model");
    arena_init(&m->memory, 64 << 10, 0, MEM_MODEL);
    enum fk_status st;
    TRY_GOTO(gguf_open(&m->gguf, path, err), failed);
    TRY_GOTO(model_config_read(&m->config, m->gguf, err), failed);
    TRY_GOTO(model_bind(m, err), failed);
    TRY_GOTO(model_rope_init(m, err), failed);
    if (need_tokenizer) TRY_GOTO(tokenizer_from_gguf(&m->tokenizer, m->gguf, err), failed);
    m->forward = forward_of(m->config.family);
    *out = m;
    return FK_OK;
failed:
    model_close(&m);
    return st;
}

void model_close(struct model **m)
{
    if (!*m) return;
    tokenizer_destroy(&(*m)->tokenizer);
    gguf_close(&(*m)->adapter_gguf);
    gguf_close(&(*m)->gguf);
    arena_fini(&(*m)->memory);
    mem_free(*m);
    *m = NULL;
}

enum fk_status model_kv_layout(const struct model *m, enum dtype dtype, enum mla_form form,
                               int page_tokens, struct kv_layout *out, struct fk_error *err)
{
    const struct model_config *c = &m->config;
    bool absorbed = c->family == FAMILY_DEEPSEEK2 && form != MLA_EXPANDED;
    int n_heads = absorbed ? 1 : c->n_kv_heads;
    int k_dim = absorbed ? c->kv_rank + c->rope_dim : c->head_dim;
    int v_dim = absorbed ? c->kv_rank : c->v_head_dim;
    if (kv_layout_init(out, dtype, c->n_layers, n_heads, k_dim, v_dim, absorbed, page_tokens))
        return FK_OK;
    return fail(err, FK_EINVAL,
                "no cache of type %s with %d layers, %d heads of %d and %d in pages of %d tokens",
                dtype_name(dtype), c->n_layers, n_heads, k_dim, v_dim, page_tokens);
}

/* x * 0 is 0 for finite x and NaN otherwise; 16 sums so that the compiler uses wide registers. */
static bool all_finite(const float *x, size_t n)
{
    float sums[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) sums[j] += x[i + j] * 0.0f;
    for (; i < n; i++) sums[0] += x[i] * 0.0f;
    for (int j = 1; j < 16; j++) sums[0] += sums[j];
    return sums[0] == 0;
}

enum fk_status model_step(const struct model *m, struct ops *o, const struct batch *batch,
                          const float **logits, struct fk_error *err)
{
    *logits = NULL;
    if (!batch->kv || batch->n_out < 0 || batch->n_out > batch->n_rows)
        return fail(err, FK_EINVAL, "a batch of %d rows asks for the logits of %d, %s",
                    batch->n_rows, batch->n_out, batch->kv ? "with a cache" : "without a cache");
    ops_begin(o, batch);
    struct tensor *t = m->forward(m, o);
    enum fk_status st = ops_status(o, err);
    if (gguf_failed(m->gguf))
        return fail(err, FK_EGONE, "%s was cut while it was being read", gguf_path(m->gguf));
    if (m->adapter_gguf && gguf_failed(m->adapter_gguf))
        return fail(err, FK_EGONE, "%s was cut while it was being read", gguf_path(m->adapter_gguf));
    if (st != FK_OK) return st;
    for (int i = 0; i < batch->n_out; i++) {
        if (all_finite(tensor_row_f32(t, i), (size_t)t->n_cols)) continue;
        return fail(err, FK_ENONFINITE,
                    "non-finite logits at position %d: the weights of %s or the cache hold NaN or "
                    "infinity", batch->pos[batch->out_rows[i]], gguf_path(m->gguf));
    }
    *logits = t->data;
    return FK_OK;
}
