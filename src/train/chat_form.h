/* SPDX-License-Identifier: Apache-2.0
 * chat_form.h - conversations in the words of a base model: its own chat template and tokens.
 *
 *   prompt   the template's text of one user message, up to where the assistant begins
 *   reply    solution, "The answer is N." and the token that ends a turn; where the template opens a
 *            thinking, or knows thinking, the solution stands in it */
#ifndef TRAIN_CHAT_FORM_H
#define TRAIN_CHAT_FORM_H
#include "fikr/chat.h"
#include "src/text/tokenizer.h"

struct chat_form {
    fk_model *model;           /* owned: the base file once more, for its template */
    const struct tokenizer *t; /* borrowed, of the same file */
    int32_t end;               /* ends the assistant's turn */
    bool opens_thinking;       /* a prompt ends inside the thinking */
    bool thinks;               /* the template knows thinking */
};

enum fk_status chat_form_open(struct chat_form *f, const char *path, const struct tokenizer *t,
                              struct fk_error *err);
void chat_form_close(struct chat_form *f); /* a zeroed one is fine */

/* Appends the ids of the prompt. */
enum fk_status chat_form_prompt(const struct chat_form *f, const char *question, struct token_vec *out,
                                struct fk_error *err);
/* Appends the ids of the reply that is to be learned. */
enum fk_status chat_form_reply(const struct chat_form *f, const char *solution, const char *answer,
                               struct token_vec *out, struct fk_error *err);

#endif
