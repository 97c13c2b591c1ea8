/* SPDX-License-Identifier: Apache-2.0
 * pass.c - packing documents into a batch, cache pages for them, and the loss at the head. */
#include <math.h>
#include <string.h>
#include "src/base/clones.h"
#include "src/base/fail.h"
#include "src/engine/logits.h"
#include "src/tape/pass.h"

#define PAGE_TOKENS 64 /* as the engine's default: attention adds page by page */

struct pass {
    const struct model *m;
    struct device *device;
    struct ops ops;
    struct tape *tape;
    struct kv_layout kv;
    int max_rows;
    int32_t *tokens, *pos, *rows, *targets; /* [max_rows] */
    float *logp, *entropy;
    uint8_t *is_best;
    struct batch_seq *seqs; /* [max_rows] */
    void **pages;           /* [n_pages], each mapped when first needed */
    int n_pages, max_pages;
    struct batch batch;
    bool is_plain; /* distributions alone */
    struct tensor *logits;
    const float *coef;
    const struct tensor *teacher;
    float teacher_coef;
};

static enum fk_status take_memory(struct pass *p, struct fk_error *err)
{
    size_t n = (size_t)p->max_rows;
    p->max_pages = p->max_rows / PAGE_TOKENS + p->max_rows + 1; /* a document has one page at least */
    p->tokens = mem_array(n, sizeof *p->tokens, MEM_TRAIN);
    p->pos = mem_array(n, sizeof *p->pos, MEM_TRAIN);
    p->rows = mem_array(n, sizeof *p->rows, MEM_TRAIN);
    p->targets = mem_array(n, sizeof *p->targets, MEM_TRAIN);
    p->logp = mem_array(n, sizeof *p->logp, MEM_TRAIN);
    p->entropy = mem_array(n, sizeof *p->entropy, MEM_TRAIN);
    p->is_best = mem_array(n, 1, MEM_TRAIN);
    p->seqs = mem_array(n, sizeof *p->seqs, MEM_TRAIN);
    p->pages = mem_calloc((size_t)p->max_pages, sizeof *p->pages, MEM_TRAIN);
    if (p->tokens && p->pos && p->rows && p->targets && p->logp && p->entropy && p->is_best &&
        p->seqs && p->pages)
        return FK_OK;
    return fail_nomem(err, n * 32, "a training pass");
}

enum fk_status pass_create(struct pass **out, const struct model *m, struct device *d, int max_rows,
                           struct fk_error *err)
{
    *out = NULL;
    if (max_rows < 1 || max_rows > 1 << 20)
        return fail(err, FK_EINVAL, "a training pass of %d tokens; it may have 1 to %d", max_rows,
                    1 << 20);
    struct pass *p = mem_zalloc(sizeof *p, MEM_TRAIN);
    if (!p) return fail_nomem(err, sizeof *p, "a training pass");
    p->m = m;
    p->device = d;
    p->max_rows = max_rows;
    ops_init(&p->ops, d, 0);
    enum fk_status st;
    TRY_GOTO(model_kv_layout(m, DT_F32, MLA_EXPANDED, PAGE_TOKENS, &p->kv, err), failed);
    TRY_GOTO(take_memory(p, err), failed);
    TRY_GOTO(tape_create(&p->tape, d, err), failed);
    *out = p;
    return FK_OK;
failed:
    pass_destroy(&p);
    return st;
}

void pass_destroy(struct pass **out)
{
    struct pass *p = *out;
    if (!p) return;
    tape_destroy(&p->tape);
    ops_fini(&p->ops);
    for (int i = 0; p->pages && i < p->max_pages; i++) mem_free(p->pages[i]);
    mem_free(p->tokens);
    mem_free(p->pos);
    mem_free(p->rows);
    mem_free(p->targets);
    mem_free(p->logp);
    mem_free(p->entropy);
    mem_free(p->is_best);
    mem_free(p->seqs);
    mem_free(p->pages);
    mem_free(p);
    *out = NULL;
}

struct tape *pass_tape(struct pass *p)
{
    return p->tape;
}

void pass_set_plain(struct pass *p)
{
    p->is_plain = true;
}

static enum fk_status add_pages(struct pass *p, struct batch_seq *s, struct fk_error *err)
{
    int n = (s->n_rows + PAGE_TOKENS - 1) / PAGE_TOKENS;
    s->pages = p->pages + p->n_pages;
    for (int i = 0; i < n; i++, p->n_pages++) {
        void **page = &p->pages[p->n_pages];
        if (!*page) *page = mem_zalloc(p->kv.page_bytes, MEM_TRAIN);
        if (!*page) return fail_nomem(err, p->kv.page_bytes, "keys and values");
    }
    return FK_OK;
}

/* Rows that predict a target become the batch's out rows. */
static enum fk_status pack(struct pass *p, const struct pass_doc *docs, int n_docs,
                           struct fk_error *err)
{
    int row = 0, n_out = 0;
    p->n_pages = 0;
    for (int d = 0; d < n_docs; d++) {
        const struct pass_doc *doc = &docs[d];
        if (doc->n < 1 || doc->n > p->max_rows - row)
            return fail(err, FK_ETOOBIG, "document %d of %d tokens comes after %d; a pass holds %d",
                        d, doc->n, row, p->max_rows);
        p->seqs[d] = (struct batch_seq){.first_row = row, .n_rows = doc->n};
        TRY(add_pages(p, &p->seqs[d], err));
        for (int i = 0; i < doc->n; i++, row++) {
            p->tokens[row] = doc->tokens[i];
            p->pos[row] = i;
            if (i + 1 == doc->n || !doc->is_target[i + 1]) continue;
            p->targets[n_out] = doc->tokens[i + 1];
            p->rows[n_out++] = row;
        }
    }
    p->batch = (struct batch){.n_rows = row, .tokens = p->tokens, .pos = p->pos, .n_seqs = n_docs,
                              .seqs = p->seqs, .kv = &p->kv, .n_out = n_out, .out_rows = p->rows};
    return FK_OK;
}

/* logits -> probabilities in place; *logp of the target, the entropy, and whether it is the best. logp
 * is the engine's own function of the logits, so that a sampled token has one log-probability. */
CLONES static bool softmax_row(float *x, int64_t n, int32_t target, float *logp, float *entropy,
                               uint8_t *is_best)
{
    float max = x[0], at = x[target];
    double sum = 0, dot = 0;
    *logp = logits_logprob(x, (int)n, target);
    for (int64_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    for (int64_t i = 0; i < n; i++) {
        float z = x[i] - max, e = expf(z);
        sum += (double)e;
        dot += (double)e * (z > -80 ? (double)z : 0);
        x[i] = e;
    }
    float inv = (float)(1 / sum);
    for (int64_t i = 0; i < n; i++) x[i] *= inv;
    *entropy = (float)(log(sum) - dot / sum);
    *is_best = at == max;
    return isfinite(*logp);
}

static bool plain_row(float *x, int64_t n, int32_t target)
{
    float max = logits_max(x, (int)n);
    bool is_finite = isfinite(max) && isfinite(x[target]);
    logits_softmax(x, (int)n, max);
    return is_finite;
}

struct head_job {
    struct pass *p;
    int64_t n_chunks;
    bool failed[64];
};

static void softmax_chunk(void *arg, int64_t chunk, int worker)
{
    struct head_job *j = arg;
    struct pass *p = j->p;
    (void)worker;
    int64_t n = p->batch.n_out, end = n * (chunk + 1) / j->n_chunks;
    for (int64_t i = n * chunk / j->n_chunks; i < end; i++) {
        float *x = tensor_row_f32(p->logits, i);
        int64_t k = p->logits->n_cols;
        bool is_finite = p->is_plain ? plain_row(x, k, p->targets[i])
                                     : softmax_row(x, k, p->targets[i], &p->logp[i], &p->entropy[i], &p->is_best[i]);
        if (!is_finite) j->failed[chunk] = true;
    }
}

enum fk_status pass_forward(struct pass *p, const struct pass_doc *docs, int n_docs,
                            struct fk_error *err)
{
    p->logits = NULL;
    TRY(pack(p, docs, n_docs, err));
    for (int i = 0; i < p->batch.n_out; i++)
        if (p->targets[i] < 0 || p->targets[i] >= p->m->config.n_vocab)
            return fail(err, FK_EINVAL, "token %d is not in a vocabulary of %d", p->targets[i],
                        p->m->config.n_vocab);
    p->ops.recorder = tape_recorder(p->tape);
    ops_begin(&p->ops, &p->batch);
    tape_begin(p->tape, &p->batch);
    struct tensor *logits = p->m->forward(p->m, &p->ops);
    TRY(ops_status(&p->ops, err));
    p->logits = logits;
    struct head_job j = {.p = p, .n_chunks = p->batch.n_out < 64 ? p->batch.n_out : 64};
    device_parallel(p->device, softmax_chunk, &j, j.n_chunks);
    for (int64_t i = 0; i < j.n_chunks; i++) {
        if (!j.failed[i]) continue;
        p->logits = NULL;
        return fail(err, FK_ENONFINITE, "a log-probability is no finite number");
    }
    return FK_OK;
}

int pass_n_targets(const struct pass *p)
{
    return p->logits ? p->batch.n_out : 0;
}

const float *pass_logp(const struct pass *p)
{
    return p->logp;
}

const float *pass_entropy(const struct pass *p)
{
    return p->entropy;
}

const uint8_t *pass_is_best(const struct pass *p)
{
    return p->is_best;
}

/* d(-coef logp)/d logits = coef (prob - 1[target]) */
static void grad_chunk(void *arg, int64_t chunk, int worker)
{
    struct head_job *j = arg;
    struct pass *p = j->p;
    (void)worker;
    int64_t n = p->batch.n_out, end = n * (chunk + 1) / j->n_chunks;
    for (int64_t i = n * chunk / j->n_chunks; i < end; i++) {
        float *x = tensor_row_f32(p->logits, i), c = p->coef ? p->coef[i] : 1;
        x[p->targets[i]] -= 1;
        for (int64_t k = 0; k < p->logits->n_cols; k++) x[k] *= c;
    }
}

/* d(coef KL)/d logits = coef (prob - teacher) */
static void teacher_chunk(void *arg, int64_t chunk, int worker)
{
    struct head_job *j = arg;
    struct pass *p = j->p;
    (void)worker;
    int64_t n = p->batch.n_out, end = n * (chunk + 1) / j->n_chunks;
    for (int64_t i = n * chunk / j->n_chunks; i < end; i++) {
        float *x = tensor_row_f32(p->logits, i);
        const float *to = tensor_row_f32(p->teacher, i);
        for (int64_t k = 0; k < p->logits->n_cols; k++) x[k] = p->teacher_coef * (x[k] - to[k]);
    }
}

static enum fk_status go_back(struct pass *p, device_chunk_fn head, struct fk_error *err)
{
    if (!p->logits) return fail(err, FK_ESTATE, "there is no forward pass to go back through");
    struct tensor *logits = p->logits;
    struct head_job j = {.p = p, .n_chunks = p->batch.n_out < 64 ? p->batch.n_out : 64};
    device_parallel(p->device, head, &j, j.n_chunks);
    p->logits = NULL;
    return tape_backward(p->tape, logits, logits->data, err);
}

const struct tensor *pass_probs(const struct pass *p)
{
    return p->logits;
}

enum fk_status pass_backward(struct pass *p, const float *coef, struct fk_error *err)
{
    p->coef = coef;
    return go_back(p, grad_chunk, err);
}

enum fk_status pass_backward_toward(struct pass *p, const struct tensor *teacher, float coef,
                                    struct fk_error *err)
{
    p->teacher = teacher;
    p->teacher_coef = coef;
    return go_back(p, teacher_chunk, err);
}
