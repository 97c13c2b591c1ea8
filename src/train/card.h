/* SPDX-License-Identifier: Apache-2.0
 * card.h - the card of a model that was just trained: what it is made of, how good, at what cost. */
#ifndef TRAIN_CARD_H
#define TRAIN_CARD_H
#include "src/train/page.h"

/* Appends Markdown. False: out of memory. */
bool card_write(const struct run_facts *f, struct buf *out);

#endif
