/* SPDX-License-Identifier: Apache-2.0
 * cmd_tokenize.c - standard input to ids, or ids to text. */
#include <stdio.h>
#include <string.h>

#include "fikr/tokenizer.h"
#include "src/base/fail.h"
#include "src/cli/fileio.h"
#include "src/cli/models.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

/* Ids as this verb prints them or as a JSON list: digits with white space, commas or brackets
 * between. */
static enum fk_status read_ids(const struct buf *in, int32_t n_vocab, int32_t **ids, size_t *n,
                               struct fk_error *err)
{
    struct buf out;
    buf_init(&out, 0, MEM_CLI);
    *n = 0;
    for (size_t i = 0; i < in->n;) {
        unsigned char c = (unsigned char)in->data[i];
        if (c && strchr(" \t\r\n,[]", c)) {
            i++;
            continue;
        }
        int64_t v = 0;
        size_t begin = i;
        while (i < in->n && in->data[i] >= '0' && in->data[i] <= '9' && v < n_vocab)
            v = v * 10 + (in->data[i++] - '0');
        if (i == begin) {
            buf_fini(&out);
            return fail(err, FK_EINVAL, "standard input holds no token id at byte %zu", begin);
        }
        if (v >= n_vocab) {
            buf_fini(&out);
            return fail(err, FK_EINVAL, "id %zu of standard input is %lld or more; the vocabulary "
                        "has %d", *n, (long long)v, (int)n_vocab);
        }
        int32_t id = (int32_t)v;
        if (!buf_append(&out, &id, sizeof id)) {
            buf_fini(&out);
            return fail_nomem(err, out.n, "the ids");
        }
        ++*n;
    }
    *ids = (int32_t *)(void *)buf_take(&out);
    return FK_OK;
}

static enum fk_status encode(const struct args *a, const fk_model *m, const struct buf *in,
                             int *code, struct fk_error *err)
{
    int32_t *ids = NULL;
    size_t n = 0;
    unsigned flags = (a->no_special ? 0 : FK_TOKENIZE_BOS) | (a->special ? FK_TOKENIZE_SPECIAL : 0);
    TRY(fk_tokenize(m, in->n ? in->data : "", in->n, flags, &ids, &n, err));
    if (a->json) {
        json_t *doc = json_object(), *list = json_array();
        for (size_t i = 0; list && i < n; i++)
            if (json_array_append_new(list, json_integer(ids[i]))) {
                json_decref(list);
                list = NULL;
            }
        if (!json_put(doc, "ids", list) || !json_put(doc, "n_tokens", json_count(n))) {
            json_decref(doc);
            doc = NULL;
        }
        *code = json_emit(doc, 0);
    } else {
        for (size_t i = 0; i < n; i++) printf("%s%d", i ? " " : "", (int)ids[i]);
        putchar('\n');
        *code = term_finish(0);
    }
    fk_free(ids);
    return FK_OK;
}

static enum fk_status decode(const struct args *a, const fk_model *m, const struct buf *in,
                             int *code, struct fk_error *err)
{
    int32_t *ids = NULL;
    size_t n = 0, n_bytes = 0;
    char *text = NULL;
    TRY(read_ids(in, fk_n_vocab(m), &ids, &n, err));
    enum fk_status st = fk_detokenize(m, ids, n, !a->no_special, &text, &n_bytes, err);
    mem_free(ids);
    if (st) return st;
    if (a->json) {
        json_t *doc = json_object();
        if (!json_put(doc, "text", json_text(text, n_bytes))) {
            json_decref(doc);
            doc = NULL;
        }
        *code = json_emit(doc, 0);
    } else {
        term_text(stdout, text, n_bytes);
        if (term_is_tty(stdout)) putchar('\n');
        *code = term_finish(0);
    }
    fk_free(text);
    return FK_OK;
}

int cmd_tokenize(const struct args *a)
{
    struct opened o;
    struct fk_error err = {0};
    struct buf in;
    int code = 1;
    if (opened_model(&o, a->model, NULL, false, &err)) return term_complain(&err);
    buf_init(&in, 0, MEM_CLI);
    enum fk_status st = fileio_read_stdin(&in, &err);
    if (!st)
        st = a->decode ? decode(a, o.model, &in, &code, &err) : encode(a, o.model, &in, &code, &err);
    buf_fini(&in);
    opened_close(&o);
    return st ? term_complain(&err) : code;
}
