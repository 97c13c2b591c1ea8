/* SPDX-License-Identifier: Apache-2.0
 * distill_text.c - see distill_text.h. The same source and text give the same pieces, whatever the threads. */
#include "src/train/distill_text.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/precision/quantize.h"
#include "src/train/rollout.h"

#define PIECE DISTILL_PIECE
#define HELD_PIECES 4
#define OWN_PIECES 64 /* that the source writes at a time */
#define PROMPT 32     /* tokens of the text that it goes on from */
#define PARALLEL 32
#define SHUFFLE_KEY 1
#define PLACE_KEY 2

static int held_at(const struct distill_text *t, int i)
{
    return (int)((int64_t)(2 * i + 1) * t->n_pieces / (2 * t->n_held));
}

static bool is_held(const struct distill_text *t, int piece)
{
    for (int i = 0; i < t->n_held; i++)
        if (piece == held_at(t, i)) return true;
    return false;
}

const int32_t *distill_text_held(const struct distill_text *t, int i)
{
    return t->ids.ids + (size_t)held_at(t, i) * PIECE;
}

static void begin_pieces(const struct distill_text *t, int32_t *ids, int n)
{
    const struct tokenizer *k = t->source->tokenizer;
    for (int i = 0; i < n && tokenizer_adds_bos(k); i++) ids[(size_t)i * PIECE] = tokenizer_bos(k);
}

/* All of the text but what is held back, shuffled. */
static void read_text(struct distill_text *t)
{
    for (int i = 0; i < t->n_pieces; i++) {
        if (is_held(t, i)) continue;
        int at = (int)(rng_u64(SHUFFLE_KEY, 0, (uint64_t)t->n_round) % (uint64_t)(t->n_round + 1));
        int32_t *last = t->round + (size_t)t->n_round * PIECE, *to = t->round + (size_t)at * PIECE;
        memcpy(last, to, PIECE * sizeof *to);
        memcpy(to, t->ids.ids + (size_t)i * PIECE, PIECE * sizeof *to);
        t->n_round++;
    }
}

enum fk_status distill_text_open(struct distill_text *t, const struct model *source, const char *text, size_t n_bytes,
                                 int n_threads, struct fk_error *err)
{
    *t = (struct distill_text){.source = source, .n_threads = n_threads};
    if (!text) n_bytes = calibration_text_bytes;
    TRY(tokenizer_encode(source->tokenizer, text ? text : calibration_text, n_bytes, NULL, &t->ids, err));
    t->n_pieces = (int)(t->ids.n / PIECE);
    t->n_held = t->n_pieces < 2 * HELD_PIECES ? t->n_pieces / 2 : HELD_PIECES;
    if (!t->n_held)
        return fail(err, FK_EINVAL, "the text has %zu tokens; distillation needs %d", t->ids.n, 2 * PIECE);
    begin_pieces(t, t->ids.ids, t->n_pieces);
    size_t room = (size_t)(t->n_pieces > OWN_PIECES ? t->n_pieces : OWN_PIECES) * PIECE;
    t->round = mem_array(room, sizeof *t->round, MEM_TRAIN);
    if (!t->round) return fail_nomem(err, room * sizeof *t->round, "the pieces of a text");
    read_text(t);
    return FK_OK;
}

void distill_text_close(struct distill_text *t)
{
    mem_free(t->ids.ids);
    mem_free(t->round);
    *t = (struct distill_text){0};
}

/* A place of the text that begins no held piece's tokens. */
static const int32_t *place(const struct distill_text *t, uint64_t i)
{
    uint64_t span = (uint64_t)(PIECE - PROMPT + 1), n = (uint64_t)t->n_pieces * span;
    for (uint64_t k = 0;; k++) {
        uint64_t at = rng_u64(PLACE_KEY, i, k) % n;
        if (!is_held(t, (int)(at / span))) return t->ids.ids + at / span * PIECE + at % span;
    }
}

/* Replies that end before their time are filled up with the next ones. */
static void join(struct distill_text *t, const struct rollout *r, int n)
{
    size_t room = (size_t)OWN_PIECES * PIECE, at = 0;
    for (int i = 0; i < n; i++) {
        size_t len = (size_t)(r[i].n_prompt + r[i].n_reply);
        if (len > room - at) len = room - at;
        memcpy(t->round + at, r[i].tokens, len * sizeof *t->round);
        at += len;
    }
    t->n_round = (int)(at / PIECE);
    begin_pieces(t, t->round, t->n_round);
}

static enum fk_status write_own(struct distill_text *t, struct fk_error *err)
{
    struct rollout r[OWN_PIECES] = {{0}};
    int32_t prompts[OWN_PIECES][PROMPT];
    struct rollout_params p = {.n_threads = t->n_threads, .n_ctx = PIECE, .max_new = PIECE - PROMPT,
                               .n_parallel = PARALLEL, .temperature = 1, .in_answer = true};
    t->i_round++;
    for (int i = 0; i < OWN_PIECES; i++) {
        uint64_t seed = t->i_round * OWN_PIECES + (uint64_t)i;
        memcpy(prompts[i], place(t, seed), sizeof prompts[i]);
        if (tokenizer_adds_bos(t->source->tokenizer)) prompts[i][0] = tokenizer_bos(t->source->tokenizer);
        r[i] = (struct rollout){.prompt = prompts[i], .n_prompt = PROMPT, .seed = seed};
    }
    enum fk_status st = rollout_run(t->source, &p, r, OWN_PIECES, err);
    if (st == FK_OK) join(t, r, OWN_PIECES);
    for (int i = 0; i < OWN_PIECES; i++) rollout_fini(&r[i]);
    return st;
}

enum fk_status distill_text_next(struct distill_text *t, int most, const int32_t **pieces, int *n, struct fk_error *err)
{
    while (t->at >= t->n_round) {
        t->at = 0;
        TRY(write_own(t, err));
    }
    *n = most < t->n_round - t->at ? most : t->n_round - t->at;
    *pieces = t->round + (size_t)t->at * PIECE;
    t->at += *n;
    return FK_OK;
}
