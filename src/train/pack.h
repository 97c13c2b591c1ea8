/* SPDX-License-Identifier: Apache-2.0
 * pack.h - conversations as the rows of a training batch: whole documents one after the other, each a
 * sequence of its own that begins at position 0, so none sees another and nothing is padded. */
#ifndef TRAIN_PACK_H
#define TRAIN_PACK_H
#include "fikr/grade.h"
#include "src/tape/pass.h"
#include "src/text/tokenizer.h"
#include "src/train/chat_form.h"
#include "src/train/sets.h"

/*   <|user|> prompt <|assistant|><think> thinking </think> answer <|end|>
 * The loss is on what follows <think>, or on the answer alone where there is no thinking: then </think>
 * is given, as a template gives it that does without thinking. With choose_thinking it is on that
 * </think> too, so that the model decides by itself whether to think. loss_on_prompt: on everything.
 * Word problems have the form of chat_form.h, and the loss is on the reply. */
/* Word problems in the words of a base model, instead of puzzles in our own; all borrowed. */
struct pack_words {
    const struct chat_form *form;
    const struct sets *sets;
    const uint32_t *weights; /* [N_SETS] */
};

struct pack {
    const struct pack_words *words;    /* borrowed; NULL: puzzles */
    const struct tokenizer *tokenizer; /* borrowed */
    const fk_book *book;               /* borrowed; may be NULL */
    int64_t max_tokens;                /* of a batch */
    int n_ctx;                         /* longer conversations are left out and counted */
    bool loss_on_prompt, choose_thinking;
    int32_t *tokens;                   /* [n_tokens], of all documents */
    uint8_t *is_target;                /* [n_tokens] */
    struct pass_doc *docs;             /* [n_docs] */
    int n_tokens, n_docs;
    int64_t n_too_long;
    struct token_vec doc;              /* of the conversation at hand */
    struct fk_puzzle puzzle;
};

enum fk_status pack_init(struct pack *p, const struct tokenizer *t, const fk_book *book,
                         int64_t max_tokens, int n_ctx, struct fk_error *err);
/* The same for word problems. */
enum fk_status pack_init_words(struct pack *p, const struct tokenizer *t, const struct pack_words *words,
                               int64_t max_tokens, int n_ctx, struct fk_error *err);
void pack_fini(struct pack *p);

/* Fills the batch with conversations of mix from *cursor on and moves it behind the last one. */
enum fk_status pack_fill(struct pack *p, const struct fk_mix *mix, uint64_t *cursor,
                         struct fk_error *err);

/* Conversation `index` of mix (of the words: by its seed) into p->puzzle. */
enum fk_status pack_draw(struct pack *p, const struct fk_mix *mix, uint64_t index, struct fk_error *err);

/* The ids of p->puzzle's prompt, up to and with the mark that opens the thinking, into p->doc: what a
 * reply is sampled after. Its answer in the puzzle plays no part. */
enum fk_status pack_encode_prompt(struct pack *p, struct fk_error *err);
/* The ids of p->puzzle into p->doc; *first: the first id that the loss is on. */
enum fk_status pack_encode(struct pack *p, size_t *first, struct fk_error *err);

#endif
