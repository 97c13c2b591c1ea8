/* SPDX-License-Identifier: Apache-2.0
 * chat_form.c - asks the template; knows no model family. */
#include "src/train/chat_form.h"
#include <string.h>
#include "src/base/fail.h"
#include "src/base/utf8.h"

static enum fk_status render(const struct chat_form *f, const struct fk_message *m, size_t n,
                             bool is_open, struct token_vec *out, int *opens, struct fk_error *err)
{
    struct fk_chat_params p;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    fk_chat_default_params(&p);
    p.no_generation_prompt = !is_open;
    enum fk_status st = fk_chat_render(f->model, m, n, &p, NULL, &ids, &n_ids, opens, err);
    for (size_t i = 0; !st && i < n_ids; i++)
        if (!token_vec_push(out, ids[i])) st = fail_nomem(err, n_ids * sizeof *ids, "a conversation");
    fk_free(ids);
    return st;
}

/* The last end token of a whole conversation; where the template writes none, the model's own. */
static enum fk_status find_end(struct chat_form *f, struct fk_error *err)
{
    static const struct fk_message talk[] = {{.role = "user", .content = "1 + 1?"},
                                             {.role = "assistant", .content = "2"}};
    struct token_vec v = {0};
    int opens;
    enum fk_status st = render(f, talk, 2, false, &v, &opens, err);
    f->end = tokenizer_eos(f->t);
    for (size_t i = 0; !st && i < v.n; i++)
        if (tokenizer_is_end(f->t, v.ids[i])) f->end = v.ids[i];
    v.n = 0;
    if (!st) st = render(f, talk, 1, true, &v, &opens, err);
    f->opens_thinking = !st && opens;
    mem_free(v.ids);
    if (!st && f->end < 0) st = fail(err, FK_EUNSUPPORTED, "the model has no token that ends a turn");
    return st;
}

enum fk_status chat_form_open(struct chat_form *f, const char *path, const struct tokenizer *t,
                              struct fk_error *err)
{
    struct fk_model_info info;
    *f = (struct chat_form){.t = t};
    enum fk_status st = fk_model_open(&f->model, path, NULL, err);
    if (!st) st = fk_model_get_info(f->model, &info);
    if (!st) f->thinks = info.has_thinking;
    if (!st) st = find_end(f, err);
    if (st) chat_form_close(f);
    return st;
}

void chat_form_close(struct chat_form *f)
{
    fk_model_close(&f->model);
    *f = (struct chat_form){0};
}

enum fk_status chat_form_prompt(const struct chat_form *f, const char *question, struct token_vec *out,
                                struct fk_error *err)
{
    struct fk_message m = {.role = "user", .content = question};
    int opens;
    return render(f, &m, 1, true, out, &opens, err);
}

/* A tag is one token where the vocabulary has it, else plain text. */
static enum fk_status push_tag(const struct chat_form *f, const char *tag, struct token_vec *out,
                               struct fk_error *err)
{
    int32_t id = tokenizer_find(f->t, tag);
    if (id < 0) return tokenizer_encode(f->t, tag, strlen(tag), NULL, out, err);
    return token_vec_push(out, id) ? FK_OK : fail_nomem(err, sizeof id, "a conversation");
}

enum fk_status chat_form_reply(const struct chat_form *f, const char *solution, const char *answer,
                               struct token_vec *out, struct fk_error *err)
{
    bool in_tags = f->thinks || f->opens_thinking;
    struct buf b;
    buf_init(&b, 0, MEM_TRAIN);
    if (in_tags && !f->opens_thinking) TRY(push_tag(f, "<think>", out, err));
    buf_printf(&b, "%s%s\n", in_tags && !f->opens_thinking ? "\n" : "", solution);
    enum fk_status st = FK_OK;
    if (in_tags) {
        st = b.failed ? FK_OK : tokenizer_encode(f->t, b.data, b.n, NULL, out, err);
        if (!st) st = push_tag(f, "</think>", out, err);
        buf_clear(&b);
        buf_puts(&b, "\n\n");
    }
    buf_printf(&b, "The answer is %s.", answer);
    if (!st) st = b.failed ? fail_nomem(err, b.n, "a conversation")
                           : tokenizer_encode(f->t, b.data, b.n, NULL, out, err);
    buf_fini(&b);
    if (st) return st;
    return token_vec_push(out, f->end) ? FK_OK : fail_nomem(err, sizeof f->end, "a conversation");
}
