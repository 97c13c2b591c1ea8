/* SPDX-License-Identifier: Apache-2.0
 * pack.c - from a mix and a cursor to a batch. */
#include "src/train/pack.h"
#include <string.h>
#include "src/base/fail.h"
#include "src/train/words.h"

static enum fk_status take_memory(struct pack *p, struct fk_error *err)
{
    size_t n = (size_t)p->max_tokens;
    p->tokens = mem_array(n, sizeof *p->tokens, MEM_TRAIN);
    p->is_target = mem_array(n, sizeof *p->is_target, MEM_TRAIN);
    p->docs = mem_array(n, sizeof *p->docs, MEM_TRAIN);
    if (p->tokens && p->is_target && p->docs) return FK_OK;
    pack_fini(p);
    return fail_nomem(err, n * sizeof *p->docs, "a batch");
}

enum fk_status pack_init(struct pack *p, const struct tokenizer *t, const fk_book *book,
                         int64_t max_tokens, int n_ctx, struct fk_error *err)
{
    *p = (struct pack){.tokenizer = t, .book = book, .max_tokens = max_tokens, .n_ctx = n_ctx};
    for (int i = 0; i < N_MARKS; i++)
        if (tokenizer_find(t, train_marks[i]) < 0)
            return fail(err, FK_EUNSUPPORTED, "the vocabulary has no token '%s'", train_marks[i]);
    return take_memory(p, err);
}

enum fk_status pack_init_words(struct pack *p, const struct tokenizer *t, const struct pack_words *words,
                               int64_t max_tokens, int n_ctx, struct fk_error *err)
{
    *p = (struct pack){.words = words, .tokenizer = t, .max_tokens = max_tokens, .n_ctx = n_ctx};
    return take_memory(p, err);
}

void pack_fini(struct pack *p)
{
    mem_free(p->tokens);
    mem_free(p->is_target);
    mem_free(p->docs);
    mem_free(p->doc.ids);
    fk_puzzle_free(&p->puzzle);
    *p = (struct pack){0};
}

static enum fk_status push_mark(struct pack *p, enum train_mark mark, struct fk_error *err)
{
    if (token_vec_push(&p->doc, tokenizer_find(p->tokenizer, train_marks[mark]))) return FK_OK;
    return fail_nomem(err, sizeof(int32_t), "a conversation");
}

static enum fk_status push_text(struct pack *p, const char *text, size_t n, struct fk_error *err)
{
    return tokenizer_encode(p->tokenizer, text, n, NULL, &p->doc, err);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* As the chat template trims. */
static enum fk_status push_prompt(struct pack *p, struct fk_error *err)
{
    const char *s = p->puzzle.prompt, *end = s + strlen(s);
    while (s < end && is_space(*s)) s++;
    while (s < end && is_space(end[-1])) end--;
    return push_text(p, s, (size_t)(end - s), err);
}

enum fk_status pack_draw(struct pack *p, const struct fk_mix *mix, uint64_t index, struct fk_error *err)
{
    if (!p->words) return fk_puzzle_make(p->book, mix, index, &p->puzzle, err);
    return sets_make(p->words->sets, p->words->weights, mix->seed, index, &p->puzzle, err);
}

enum fk_status pack_encode_prompt(struct pack *p, struct fk_error *err)
{
    p->doc.n = 0;
    if (p->words) return chat_form_prompt(p->words->form, p->puzzle.prompt, &p->doc, err);
    TRY(push_mark(p, MARK_USER, err));
    TRY(push_prompt(p, err));
    TRY(push_mark(p, MARK_ASSISTANT, err));
    return push_mark(p, MARK_THINK, err);
}

enum fk_status pack_encode(struct pack *p, size_t *first, struct fk_error *err)
{
    const struct fk_puzzle *z = &p->puzzle;
    TRY(pack_encode_prompt(p, err));
    size_t thinking = p->doc.n;
    if (p->words) {
        *first = p->loss_on_prompt ? 1 : thinking;
        return chat_form_reply(p->words->form, z->thinking, z->answer, &p->doc, err);
    }
    TRY(push_text(p, z->thinking, strlen(z->thinking), err));
    TRY(push_mark(p, MARK_THINK_END, err));
    size_t answer = p->doc.n;
    TRY(push_text(p, z->answer, strlen(z->answer), err));
    TRY(push_mark(p, MARK_END, err));
    *first = p->loss_on_prompt ? 1 : z->thinking[0] || p->choose_thinking ? thinking : answer;
    return FK_OK;
}

static void add_document(struct pack *p, size_t first)
{
    int32_t *tokens = p->tokens + p->n_tokens;
    uint8_t *is_target = p->is_target + p->n_tokens;
    for (size_t i = 0; i < p->doc.n; i++) {
        tokens[i] = p->doc.ids[i];
        is_target[i] = i >= first;
    }
    p->docs[p->n_docs++] = (struct pass_doc){tokens, is_target, (int)p->doc.n};
    p->n_tokens += (int)p->doc.n;
}

enum fk_status pack_fill(struct pack *p, const struct fk_mix *mix, uint64_t *cursor,
                         struct fk_error *err)
{
    int64_t limit = p->n_ctx < p->max_tokens ? p->n_ctx : p->max_tokens;
    p->n_tokens = p->n_docs = 0;
    for (;; ++*cursor) {
        size_t first;
        TRY(pack_draw(p, mix, *cursor, err));
        TRY(pack_encode(p, &first, err));
        int64_t n = (int64_t)p->doc.n;
        if (n > limit) {
            p->n_too_long++;
            continue;
        }
        if (p->n_tokens + n > p->max_tokens) return FK_OK;
        add_document(p, first);
    }
}
