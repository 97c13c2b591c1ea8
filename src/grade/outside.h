/* SPDX-License-Identifier: Apache-2.0
 * outside.h - the family of everything that is no puzzle of ours: it asks for one honest sentence. */
#ifndef GRADE_OUTSIDE_H
#define GRADE_OUTSIDE_H
#include "src/grade/book.h"
#include "src/grade/family.h"

extern const struct family family_outside;

/* Draws a prompt into p->text; p->kind is the language. */
bool outside_draw(const struct fk_book *book, enum fk_lang lang, enum fk_split split, bool plain,
                  struct dice *dice, struct grade_puzzle *p);

#endif
