/* SPDX-License-Identifier: Apache-2.0
 * tokenizer_api.c - text to ids and back over a model's tokenizer. */
#include <string.h>
#include "fikr/tokenizer.h"
#include "src/api/handles.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"

static const struct tokenizer *tokenizer_of(const fk_model *m)
{
    return m ? m->tokenizer : NULL;
}

/* Rows of logits; a model may have more than its vocabulary has tokens (padding). */
int32_t fk_n_vocab(const fk_model *m)
{
    const struct tokenizer *t = tokenizer_of(m);
    if (m && m->model) return m->model->config.n_vocab;
    return t ? tokenizer_n_vocab(t) : 0;
}

enum fk_status fk_tokenize(const fk_model *m, const char *text, size_t n_bytes, unsigned flags,
                           int32_t **ids, size_t *n_ids, struct fk_error *err)
{
    const struct tokenizer *t = tokenizer_of(m);
    if (!ids || !n_ids) return fail(err, FK_EINVAL, "fk_tokenize: ids or n_ids is NULL");
    *ids = NULL;
    *n_ids = 0;
    if (!t) return fail(err, FK_EINVAL, "fk_tokenize: the model has no tokenizer");
    if (!text && n_bytes) return fail(err, FK_EINVAL, "fk_tokenize: text is NULL");
    struct token_vec v = {NULL, 0, 0};
    uint8_t *trusted = NULL;
    enum fk_status st = FK_ENOMEM;
    if (flags & FK_TOKENIZE_SPECIAL) {
        trusted = mem_alloc(n_bytes + 1, MEM_TEXT);
        if (!trusted) return fail_nomem(err, n_bytes, "trust marks");
        memset(trusted, 1, n_bytes + 1);
    }
    bool wants = flags & FK_TOKENIZE_BOS;
    if (wants && tokenizer_adds_bos(t) && tokenizer_bos(t) >= 0 && !token_vec_push(&v, tokenizer_bos(t)))
        goto nomem;
    TRY_GOTO(tokenizer_encode(t, text ? text : "", n_bytes, trusted, &v, err), fail);
    if (wants && tokenizer_adds_eos(t) && tokenizer_eos(t) >= 0 && !token_vec_push(&v, tokenizer_eos(t)))
        goto nomem;
    if (!v.ids && !(v.ids = mem_zalloc(sizeof *v.ids, MEM_TEXT))) goto nomem;
    mem_free(trusted);
    *ids = v.ids;
    *n_ids = v.n;
    return FK_OK;
nomem:
    st = fail_nomem(err, v.n * sizeof *v.ids, "the token ids");
fail:
    mem_free(trusted);
    mem_free(v.ids);
    return st;
}

enum fk_status fk_detokenize(const fk_model *m, const int32_t *ids, size_t n_ids, int special,
                             char **text, size_t *n_bytes, struct fk_error *err)
{
    const struct tokenizer *t = tokenizer_of(m);
    if (!text || !n_bytes) return fail(err, FK_EINVAL, "fk_detokenize: text or n_bytes is NULL");
    *text = NULL;
    *n_bytes = 0;
    if (!t) return fail(err, FK_EINVAL, "fk_detokenize: the model has no tokenizer");
    if (!ids && n_ids) return fail(err, FK_EINVAL, "fk_detokenize: ids is NULL");
    struct detokenizer d;
    struct buf b;
    detokenizer_init(&d, t, special != 0);
    buf_init(&b, 0, MEM_TEXT);
    for (size_t i = 0; i < n_ids; i++) {
        if (ids[i] < 0 || ids[i] >= fk_n_vocab(m)) {
            buf_fini(&b);
            return fail(err, FK_EINVAL, "token %zu is %d; the vocabulary has %d", i, (int)ids[i],
                        (int)fk_n_vocab(m));
        }
        if (!detokenizer_push(&d, ids[i], &b)) {
            buf_fini(&b);
            return fail_nomem(err, b.n, "the text");
        }
    }
    *n_bytes = b.n;
    *text = buf_take(&b);
    return *text ? FK_OK : fail_nomem(err, 1, "the text");
}

enum fk_status fk_token_bytes(const fk_model *m, int32_t id, const char **bytes, size_t *n)
{
    const struct tokenizer *t = tokenizer_of(m);
    if (!t || !bytes || !n || id < 0 || id >= tokenizer_n_vocab(t)) return FK_EINVAL;
    return tokenizer_token_bytes(t, id, bytes, n) ? FK_OK : FK_EINVAL;
}

int fk_token_is_control(const fk_model *m, int32_t id)
{
    const struct tokenizer *t = tokenizer_of(m);
    return t && tokenizer_is_control(t, id);
}

int fk_token_is_end(const fk_model *m, int32_t id)
{
    const struct tokenizer *t = tokenizer_of(m);
    return t && tokenizer_is_end(t, id);
}

int32_t fk_token_bos(const fk_model *m)
{
    const struct tokenizer *t = tokenizer_of(m);
    return t ? tokenizer_bos(t) : -1;
}

int32_t fk_token_eos(const fk_model *m)
{
    const struct tokenizer *t = tokenizer_of(m);
    return t ? tokenizer_eos(t) : -1;
}

int fk_adds_bos(const fk_model *m)
{
    const struct tokenizer *t = tokenizer_of(m);
    return t && tokenizer_adds_bos(t);
}

void fk_free(void *p)
{
    mem_free(p);
}
