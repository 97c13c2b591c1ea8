/* SPDX-License-Identifier: Apache-2.0
 * engine.c - makes a model ready to compute, and runs one step over many sequences. Knows no
 * requests, no text and no sampling. */
#include "src/engine/engine.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/memory.h"

#define DEFAULT_KV_BYTES ((uint64_t)64 << 20)
#define DRAFT_PLANES 3 /* exact mode drafts at 4 bits: doc/precision.md */

static enum fk_status check_int(const char *name, int value, int min, int max, int *out,
                                struct fk_error *err)
{
    if (!value) return FK_OK; /* the default, which *out holds */
    if (value < min || value > max)
        return fail(err, FK_EINVAL, "%s is %d; it must be from %d to %d (0: the default)", name,
                    value, min, max);
    *out = value;
    return FK_OK;
}

enum fk_status engine_plan(struct engine_plan *out, const struct model *m,
                           const struct fk_engine_params *params, struct fk_error *err)
{
    static const struct fk_engine_params defaults;
    const struct fk_engine_params *p = params ? params : &defaults;
    int n_train = m->config.n_ctx_train;
    *out = (struct engine_plan){.n_batch = ENGINE_DEFAULT_BATCH};
    out->n_ctx = n_train > 0 && n_train < ENGINE_DEFAULT_CTX ? n_train : ENGINE_DEFAULT_CTX;
    TRY(check_int("n_ctx", p->n_ctx, 2, ENGINE_MAX_CTX, &out->n_ctx, err));
    TRY(check_int("n_batch", p->n_batch, 1, ENGINE_MAX_BATCH, &out->n_batch, err));

    int page_tokens = ENGINE_DEFAULT_PAGE;
    TRY(check_int("page_tokens", p->page_tokens, 16, 256, &page_tokens, err));
    if (page_tokens & (page_tokens - 1))
        return fail(err, FK_EINVAL, "page_tokens is %d; it must be a power of two", page_tokens);
    enum dtype dtype;
    switch (p->kv_type) {
    case FK_KV_F16: dtype = DT_F16; break;
    case FK_KV_F32: dtype = DT_F32; break;
    case FK_KV_I8: dtype = DT_I8; break;
    case FK_KV_I4: dtype = DT_KV_I4; break;
    default: return fail(err, FK_EINVAL, "kv_type is %d; there are f16, f32, i8 and i4", (int)p->kv_type);
    }
    enum mla_form form;
    switch (p->mla) {
    case FK_MLA_AUTO: form = MLA_AUTO; break;
    case FK_MLA_ABSORBED: form = MLA_ABSORBED; break;
    case FK_MLA_EXPANDED: form = MLA_EXPANDED; break;
    default: return fail(err, FK_EINVAL, "mla is %d; there are auto, absorbed and expanded", (int)p->mla);
    }
    TRY(model_kv_layout(m, dtype, form, page_tokens, &out->kv, err));

    uint64_t n_pages = ((uint64_t)out->n_ctx + (uint64_t)page_tokens - 1) / (uint64_t)page_tokens;
    if (out->kv.page_bytes > UINT64_MAX / (2 * n_pages))
        return fail(err, FK_ETOOBIG, "a cache of %d tokens is too large: %zu bytes a page", out->n_ctx,
                    out->kv.page_bytes);
    out->kv_bytes_max = out->kv_bytes_wanted = p->kv_bytes_max;
    if (!out->kv_bytes_max) {
        out->kv_bytes_wanted = n_pages * out->kv.page_bytes;
        out->kv_bytes_max = 2 * out->kv_bytes_wanted;
        if (out->kv_bytes_max < DEFAULT_KV_BYTES && out->kv.page_bytes <= DEFAULT_KV_BYTES)
            out->kv_bytes_max = DEFAULT_KV_BYTES;
    }
    return FK_OK;
}

static enum fk_status encode_tag(const struct tokenizer *t, const char *text, struct token_vec *out,
                                 struct fk_error *err)
{
    uint8_t trusted[16];
    size_t n = strlen(text);
    memset(trusted, 1, sizeof trusted);
    return n <= sizeof trusted ? tokenizer_encode(t, text, n, trusted, out, err)
                               : fail(err, FK_EINVAL, "the tag %s is too long", text);
}

static bool contains(struct gguf_str s, const char *part)
{
    return s.n && memmem(s.p, s.n, part, strlen(part));
}

/* Most models write lines of their own for the tags, as R1 does; ours and others whose template opens
 * the tag without a line end have never seen one there. */
static enum fk_status has_bare_tags(const struct model *m, bool *bare, struct fk_error *err)
{
    struct gguf_str s = {NULL, 0};
    TRY(gguf_get_str(m->gguf, "tokenizer.chat_template", false, &s, err));
    *bare = contains(s, "<think>") && !contains(s, "<think>\n") && !contains(s, "<think>\\n");
    return FK_OK;
}

static enum fk_status find_tags(struct think_tags *tags, const struct model *m, struct fk_error *err)
{
    const struct tokenizer *t = m->tokenizer;
    bool bare;
    tags->open = tags->close = -1;
    if (!t) return FK_OK;
    tags->open = tokenizer_find(t, "<think>");
    tags->close = tokenizer_find(t, "</think>");
    TRY(has_bare_tags(m, &bare, err));
    TRY(encode_tag(t, bare ? "<think>" : "<think>\n", &tags->open_ids, err));
    return encode_tag(t, bare ? "</think>" : "\n</think>\n\n", &tags->close_ids, err);
}

static enum fk_status make_step(fk_engine *e, struct fk_error *err)
{
    size_t n = (size_t)e->plan.n_batch;
    e->tokens = mem_array(n, sizeof *e->tokens, MEM_ENGINE);
    e->pos = mem_array(n, sizeof *e->pos, MEM_ENGINE);
    e->out_rows = mem_array(n, sizeof *e->out_rows, MEM_ENGINE);
    e->seqs = mem_array(n, sizeof *e->seqs, MEM_ENGINE);
    e->parts = mem_array(n, sizeof *e->parts, MEM_ENGINE);
    e->members = mem_array(n, sizeof *e->members, MEM_ENGINE);
    e->draft_parts = mem_array(n, sizeof *e->draft_parts, MEM_ENGINE);
    e->drafting = mem_array(n, sizeof *e->drafting, MEM_ENGINE);
    if (e->tokens && e->pos && e->out_rows && e->seqs && e->parts && e->members && e->draft_parts &&
        e->drafting)
        return FK_OK;
    return fail_nomem(err, n * sizeof *e->seqs, "the rows of a step");
}

enum fk_status engine_create(fk_engine **out, const struct model *m,
                             const struct fk_engine_params *params, struct fk_error *err)
{
    struct engine_plan plan;
    *out = NULL;
    TRY(engine_plan(&plan, m, params, err));
    fk_engine *e = mem_zalloc(sizeof *e, MEM_ENGINE);
    if (!e) return fail_nomem(err, sizeof *e, "an engine");
    e->model = m;
    e->plan = plan;
    struct device_params dp = {.n_threads = params ? params->n_threads : 0,
                               .cpu_mask = params ? params->cpu_mask : NULL,
                               .fetch_experts = m->config.n_experts > 0 &&
                                                gguf_file_bytes(m->gguf) > memory_available()};
    enum fk_status st;
    TRY_GOTO(device_cpu_create(&e->device, &dp, err), failed);
    ops_init(&e->ops, e->device, 0);
    TRY_GOTO(engine_set_bits(e, params ? params->bits : 0, err), failed);
    TRY_GOTO(engine_set_head(e, params ? params->head_bits : 0, err), failed);
    TRY_GOTO(kv_pool_init(&e->pool, &e->plan.kv, plan.kv_bytes_max, err), failed);
    e->pool.n_wanted = (int32_t)(plan.kv_bytes_wanted / plan.kv.page_bytes);
    TRY_GOTO(prefix_init(&e->tree, &e->pool, err), failed);
    TRY_GOTO(sampler_init(&e->sampler, m->config.n_vocab, err), failed);
    TRY_GOTO(find_tags(&e->tags, m, err), failed);
    TRY_GOTO(make_step(e, err), failed);
    *out = e;
    return FK_OK;
failed:
    engine_destroy(&e);
    return st;
}

enum fk_status engine_set_bits(fk_engine *e, int bits, struct fk_error *err)
{
    int n = e->model->n_planes, draft_bits = 0;
    if (bits == FK_BITS_EXACT) {
        if (n < 2)
            return fail(err, FK_EINVAL, "exact mode drafts with the low planes of a file, and this one has %s; "
                        "`fikr quantize` makes a file that can be read at any width",
                        n ? "one plane" : "none");
        bits = planes_bits(n - 1);
        draft_bits = planes_bits(n > DRAFT_PLANES ? DRAFT_PLANES - 1 : n - 2);
    }
    if (bits && !planes_is_width(bits))
        return fail(err, FK_EINVAL, "bits is %d; weights are read at " PLANES_WIDTHS, bits);
    if (bits && !n)
        return fail(err, FK_EINVAL, "bits is %d, but the weights are not in planes; `fikr quantize` "
                    "makes a file that can be read at any width", bits);
    if (bits && planes_index(bits) >= n)
        return fail(err, FK_EINVAL, "bits is %d, but the file ends after the plane of %d bits", bits,
                    planes_bits(n - 1));
    e->ops.bits = bits;
    e->draft_bits = draft_bits;
    return FK_OK;
}

enum fk_status engine_set_head(fk_engine *e, int bits, struct fk_error *err)
{
    bool is_stage = bits && bits != FK_HEAD_WHOLE;
    if (is_stage && (bits == 8 || !planes_is_width(bits)))
        return fail(err, FK_EINVAL, "head_bits is %d; the head's first stage is read at " PLANES_NARROWER, bits);
    if (is_stage && !e->model->n_planes)
        return fail(err, FK_EINVAL, "head_bits is %d, but the weights are not in planes; `fikr quantize` "
                    "makes a file that can be read at any width", bits);
    e->ops.head_bits = bits;
    return FK_OK;
}

int engine_bits(const fk_engine *e)
{
    int n = e->model->n_planes;
    if (e->model->has_plan && !e->ops.bits) return 0;
    return n && !e->ops.bits ? planes_bits(n - 1) : e->ops.bits;
}

void engine_destroy(fk_engine **engine)
{
    fk_engine *e = *engine;
    if (!e) return;
    mem_free(e->tokens);
    mem_free(e->pos);
    mem_free(e->out_rows);
    mem_free(e->seqs);
    mem_free(e->parts);
    mem_free(e->members);
    mem_free(e->draft_parts);
    mem_free(e->drafting);
    mem_free(e->tags.open_ids.ids);
    mem_free(e->tags.close_ids.ids);
    sampler_fini(&e->sampler);
    if (e->tree.pool) prefix_fini(&e->tree);
    kv_pool_fini(&e->pool);
    if (e->device) {
        ops_fini(&e->ops);
        device_destroy(&e->device);
    }
    mem_free(e);
    *engine = NULL;
}

enum fk_status engine_step(fk_engine *e, const struct step_part *parts, int n,
                           const float **logits, struct fk_error *err)
{
    struct batch b = {.tokens = e->tokens, .pos = e->pos, .n_seqs = n, .seqs = e->seqs,
                      .kv = &e->plan.kv, .out_rows = e->out_rows};
    for (int i = 0; i < n; i++) {
        const struct sequence *s = parts[i].seq;
        int pos0 = s->n_computed + parts[i].skip;
        e->seqs[i] = (struct batch_seq){.first_row = b.n_rows, .n_rows = parts[i].n_rows,
                                        .pos0 = pos0, .pages = s->pages};
        for (int r = 0; r < parts[i].n_rows; r++, b.n_rows++) {
            e->tokens[b.n_rows] = s->tokens[pos0 + r];
            e->pos[b.n_rows] = pos0 + r;
            if (r >= parts[i].n_rows - parts[i].n_out) e->out_rows[b.n_out++] = b.n_rows;
        }
    }
    return model_step(e->model, &e->ops, &b, logits, err);
}
