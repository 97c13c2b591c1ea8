/* SPDX-License-Identifier: Apache-2.0
 * judge.c - runs pieces of a text through a model and compares distributions. The first quarter of a
 * piece is only context. With p the base and z the logits that are judged,
 *
 *   KL = sum p log p - sum p z + log sum exp z
 *
 * of which the first term is kept beside p, so that a row costs one exponential an entry. */
#include "src/precision/judge.h"
#include <math.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"

#define PIECE 128
#define CONTEXT 32
#define PREDICTED (PIECE - CONTEXT)
#define PAGE 64

struct judge {
    struct ops ops;
    struct device *device;
    struct kv_layout kv;
    void *pages[PIECE / PAGE];
    struct token_vec ids;
    size_t starts[64];
    int n_pieces, stride; /* every stride-th counts */
    int64_t n_vocab;
    float *p;          /* [n_pieces * PREDICTED, n_vocab] */
    double *p_log_p;   /* [n_pieces * PREDICTED] */
    double *kl;        /* of rows, before they are added in order */
};

/* One piece's rows on all threads. */
struct rows {
    struct judge *j;
    const float *logits; /* [PREDICTED, n_vocab] */
    int64_t first;
    bool is_base;
};

static void judge_row(void *arg, int64_t chunk, int worker)
{
    const struct rows *r = arg;
    struct judge *j = r->j;
    const float *z = r->logits + chunk * j->n_vocab;
    float *p = j->p + (r->first + chunk) * j->n_vocab, top = z[0];
    double sum = 0, pz = 0;
    (void)worker;
    for (int64_t i = 1; i < j->n_vocab; i++) top = z[i] > top ? z[i] : top;
    for (int64_t i = 0; i < j->n_vocab; i++) {
        float e = expf(z[i] - top);
        sum += (double)e;
        if (r->is_base) p[i] = e;
    }
    double log_sum = log(sum) + (double)top, scale = 1 / sum;
    if (r->is_base)
        for (int64_t i = 0; i < j->n_vocab; i++) p[i] = (float)((double)p[i] * scale);
    for (int64_t i = 0; i < j->n_vocab; i++) pz += (double)p[i] * ((double)z[i] - log_sum);
    if (r->is_base) j->p_log_p[r->first + chunk] = pz;
    else j->kl[r->first + chunk] = j->p_log_p[r->first + chunk] - pz;
}

static enum fk_status run_piece(struct judge *j, const struct model *m, const int32_t *ids, int n,
                                int n_out, const float **logits, struct fk_error *err)
{
    int32_t pos[PIECE], rows[PIECE];
    for (int i = 0; i < n; i++) pos[i] = i;
    for (int i = 0; i < n_out; i++) rows[i] = n - n_out + i;
    struct batch_seq seq = {.n_rows = n, .pages = j->pages};
    struct batch b = {.n_rows = n, .tokens = ids, .pos = pos, .n_seqs = 1, .seqs = &seq,
                      .kv = &j->kv, .n_out = n_out, .out_rows = rows};
    return model_step(m, &j->ops, &b, logits, err);
}

static enum fk_status run_all(struct judge *j, const struct model *m, int bits, bool is_base,
                              struct fk_error *err)
{
    j->ops.bits = bits;
    for (int k = 0; k < j->n_pieces; k += j->stride) {
        struct rows r = {.j = j, .first = (int64_t)k * PREDICTED, .is_base = is_base};
        TRY(run_piece(j, m, j->ids.ids + j->starts[k], PIECE, PREDICTED, &r.logits, err));
        device_parallel(j->device, judge_row, &r, PREDICTED);
    }
    return FK_OK;
}

enum fk_status judge_base(struct judge *j, const struct model *m, int bits, struct fk_error *err)
{
    return run_all(j, m, bits, true, err);
}

enum fk_status judge_kl(struct judge *j, const struct model *m, int bits, double *kl,
                        struct fk_error *err)
{
    if (m->config.n_vocab != j->n_vocab)
        return fail(err, FK_EINVAL, "a vocabulary of %d tokens cannot be judged by one of %lld",
                    m->config.n_vocab, (long long)j->n_vocab);
    TRY(run_all(j, m, bits, false, err));
    double sum = 0;
    int n = 0;
    for (int k = 0; k < j->n_pieces; k += j->stride, n += PREDICTED)
        for (int i = 0; i < PREDICTED; i++) sum += j->kl[k * PREDICTED + i];
    *kl = sum > 0 ? sum / n : 0;
    return FK_OK;
}

enum fk_status judge_bytes(struct judge *j, const struct model *m, int bits, uint64_t *bytes,
                           struct fk_error *err)
{
    const float *logits;
    j->ops.bits = bits;
    TRY(run_piece(j, m, j->ids.ids, 1, 1, &logits, err));
    *bytes = j->ops.weight_bytes_read;
    return FK_OK;
}

void judge_use_part(struct judge *j, int n)
{
    j->stride = n;
}

int judge_n_tokens(const struct judge *j)
{
    return j->n_pieces * PREDICTED;
}

static enum fk_status read_text(struct judge *j, const struct model *m, const char *text,
                                size_t n_bytes, size_t max_tokens, int n_pieces, struct fk_error *err)
{
    const struct tokenizer *t = m->tokenizer;
    if (!t) return fail(err, FK_EINVAL, "the model has no vocabulary to read a text with");
    TRY(tokenizer_encode(t, text, n_bytes, NULL, &j->ids, err));
    size_t n = j->ids.n < max_tokens ? j->ids.n : max_tokens;
    if (n < PIECE)
        return fail(err, FK_EINVAL, "the text has %zu tokens; at least %d are needed to judge by", n,
                    PIECE);
    if (n_pieces > 64) n_pieces = 64;
    j->n_pieces = n / PIECE < (size_t)n_pieces ? (int)(n / PIECE) : n_pieces;
    for (int i = 0; i < j->n_pieces; i++) {
        j->starts[i] = (n - PIECE) / (size_t)(j->n_pieces > 1 ? j->n_pieces - 1 : 1) * (size_t)i;
        if (tokenizer_adds_bos(t)) j->ids.ids[j->starts[i]] = tokenizer_bos(t);
    }
    return FK_OK;
}

static enum fk_status reserve(struct judge *j, struct fk_error *err)
{
    size_t rows = (size_t)judge_n_tokens(j), vocab = (size_t)j->n_vocab;
    j->p = mem_array(rows * vocab, sizeof *j->p, MEM_MODEL);
    j->p_log_p = mem_array(rows, sizeof *j->p_log_p, MEM_MODEL);
    j->kl = mem_array(rows, sizeof *j->kl, MEM_MODEL);
    if (!j->p || !j->p_log_p || !j->kl)
        return fail_nomem(err, rows * vocab * sizeof *j->p, "the distributions to judge by");
    for (int i = 0; i < PIECE / PAGE; i++) {
        j->pages[i] = mem_map(j->kv.page_bytes, MEM_KV);
        if (!j->pages[i]) return fail_nomem(err, j->kv.page_bytes, "the cache to judge with");
    }
    return FK_OK;
}

enum fk_status judge_create(struct judge **out, const struct model *m, struct device *d,
                            const char *text, size_t n_bytes, size_t max_tokens, int n_pieces,
                            struct fk_error *err)
{
    enum fk_status st;
    *out = NULL;
    struct judge *j = mem_zalloc(sizeof *j, MEM_MODEL);
    if (!j) return fail_nomem(err, sizeof *j, "a judge");
    j->device = d;
    j->stride = 1;
    j->n_vocab = m->config.n_vocab;
    ops_init(&j->ops, d, 0);
    TRY_GOTO(model_kv_layout(m, DT_F32, MLA_AUTO, PAGE, &j->kv, err), failed);
    TRY_GOTO(read_text(j, m, text, n_bytes, max_tokens, n_pieces, err), failed);
    TRY_GOTO(reserve(j, err), failed);
    *out = j;
    return FK_OK;
failed:
    judge_destroy(&j);
    return st;
}

void judge_destroy(struct judge **jp)
{
    struct judge *j = *jp;
    if (!j) return;
    ops_fini(&j->ops);
    for (int i = 0; i < PIECE / PAGE; i++)
        if (j->pages[i]) mem_unmap(j->pages[i], j->kv.page_bytes, MEM_KV);
    mem_free(j->ids.ids);
    mem_free(j->p);
    mem_free(j->p_log_p);
    mem_free(j->kl);
    mem_free(j);
    *jp = NULL;
}
