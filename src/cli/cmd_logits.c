/* SPDX-License-Identifier: Apache-2.0
 * cmd_logits.c - the logits of a sequence as a file of little-endian float32 [n_ids, n_vocab]. */
#include <stdio.h>

#include "fikr/session.h"
#include "fikr/tokenizer.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/cli/fileio.h"
#include "src/cli/models.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

static void to_little_endian(float *values, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    uint32_t *words = (uint32_t *)(void *)values;
    for (size_t i = 0; i < n; i++) words[i] = __builtin_bswap32(words[i]);
#else
    (void)values;
    (void)n;
#endif
}

static enum fk_status evaluate(const struct args *a, fk_engine *e, float *logits,
                               struct fk_error *err)
{
    fk_session *s = NULL;
    struct fk_session_params p;
    struct bar bar;
    bar_init(&bar);
    fk_session_default_params(&p);
    p.progress = bar_update;
    p.progress_arg = &bar;
    TRY(fk_session_create(&s, e, &p, err));
    signals_watch(s);
    enum fk_status st = fk_session_eval(s, a->ids.values, a->ids.n, 0, a->chunk, logits, err);
    signals_watch(NULL);
    bar_fini(&bar);
    fk_session_destroy(&s);
    return st;
}

static enum fk_status write_logits(const struct args *a, const fk_model *m, fk_engine *e,
                                   struct fk_error *err)
{
    size_t n_vocab = (size_t)fk_n_vocab(m), n = 0, bytes = 0;
    if (!size_mul(a->ids.n, n_vocab, &n) || !size_mul(n, sizeof(float), &bytes))
        return fail(err, FK_ETOOBIG, "%zu rows of %zu logits are too many", a->ids.n, n_vocab);
    float *logits = mem_alloc(bytes, MEM_CLI);
    if (!logits) return fail_nomem(err, bytes, "the logits");
    struct output out = {.fd = -1};
    enum fk_status st;
    TRY_GOTO(output_open(&out, a->out, err), done);
    TRY_GOTO(evaluate(a, e, logits, err), done);
    to_little_endian(logits, n);
    TRY_GOTO(output_write(&out, logits, bytes, err), done);
    st = output_commit(&out, err);
done:
    output_discard(&out);
    mem_free(logits);
    return st;
}

static enum fk_status check(const struct args *a, struct fk_error *err)
{
    if (!a->ids.n) return fail(err, FK_EINVAL, "logits needs --ids, such as --ids 1,2,3");
    if (!a->out) return fail(err, FK_EINVAL, "logits needs -o FILE to write to");
    return FK_OK;
}

int cmd_logits(const struct args *a)
{
    struct opened o = {0};
    struct fk_error err = {0};
    struct fk_engine_params p;
    enum fk_status st;
    TRY_GOTO(check(a, &err), done);
    TRY_GOTO(opened_model(&o, a->model, a->lora, false, &err), done);
    opened_params(a, &p);
    if (!a->kv_given) p.kv_type = FK_KV_F32;
    if (!a->ctx) p.n_ctx = a->ids.n < 15 ? 16 : (int)a->ids.n + 1;
    for (size_t i = 0; i < a->ids.n; i++)
        if (a->ids.values[i] >= fk_n_vocab(o.model)) {
            st = fail(&err, FK_EINVAL, "id %zu of --ids is %d; the vocabulary has %d", i,
                      (int)a->ids.values[i], (int)fk_n_vocab(o.model));
            goto done;
        }
    TRY_GOTO(opened_engine(&o, &p, &err), done);
    st = write_logits(a, o.model, o.engine, &err);
done:;
    int code = st ? term_complain(&err) : 0;
    if (!st && a->json) {
        json_t *doc = json_object();
        if (!json_put(doc, "out", json_cstr(a->out)) ||
            !json_put(doc, "n_ids", json_count(a->ids.n)) ||
            !json_put(doc, "n_vocab", json_integer(fk_n_vocab(o.model)))) {
            json_decref(doc);
            doc = NULL;
        }
        code = json_emit(doc, 0);
    }
    opened_close(&o);
    return code;
}
