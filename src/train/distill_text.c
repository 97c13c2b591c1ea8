/* SPDX-License-Identifier: Apache-2.0
 * distill_text.c - see distill_text.h. The same source and text give the same pieces, whatever the threads. */
#include "src/train/distill_text.h"
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/base/utf8.h"
#include "src/precision/quantize.h"
#include "src/train/rollout.h"

#define PIECE DISTILL_PIECE
#define HELD_PIECES 4
#define OWN_PIECES 128 /* that the source writes at a time */
#define PROMPT 32     /* tokens of the text that it goes on from */
#define PARALLEL 64
#define SHUFFLE_KEY 1
#define PLACE_KEY 2
#define LINE_MIN 8 /* bytes of a line that a user could have written */
#define LINE_MAX 300

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
    t->has_chat = gguf_find(source->gguf, "tokenizer.chat_template");
    if (t->has_chat) TRY(chat_form_open(&t->form, gguf_path(source->gguf), source->tokenizer, err));
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
    chat_form_close(&t->form);
    mem_free(t->ids.ids);
    mem_free(t->round);
    *t = (struct distill_text){0};
}

/* A piece of the text that is not held back; *rest: 0 to span - 1. */
static const int32_t *draw_piece(const struct distill_text *t, uint64_t seed, uint64_t span, uint64_t *rest)
{
    for (uint64_t k = 0;; k++) {
        uint64_t at = rng_u64(PLACE_KEY, seed, k) % ((uint64_t)t->n_pieces * span);
        *rest = at % span;
        if (!is_held(t, (int)(at / span))) return t->ids.ids + at / span * PIECE;
    }
}

static enum fk_status push_all(struct token_vec *v, const int32_t *ids, int n, struct fk_error *err)
{
    for (int i = 0; i < n; i++)
        if (!token_vec_push(v, ids[i])) return fail_nomem(err, (size_t)n * sizeof *ids, "a prompt");
    return FK_OK;
}

/* PROMPT tokens of the text, to go on from. */
static enum fk_status plain_prompt(const struct distill_text *t, uint64_t seed, struct token_vec *out, struct fk_error *err)
{
    const struct tokenizer *k = t->source->tokenizer;
    uint64_t at;
    const int32_t *piece = draw_piece(t, seed, PIECE - PROMPT + 1, &at);
    int32_t bos = tokenizer_bos(k);
    out->n = 0;
    if (tokenizer_adds_bos(k)) TRY(push_all(out, &bos, 1, err));
    return push_all(out, piece + at, PROMPT - (int)out->n, err);
}

/* A whole line of [s, s + n), that a user could have written: the one after position `from`. */
static bool next_line(const char *s, size_t n, size_t from, struct buf *line)
{
    for (const char *a = memchr(s + from, '\n', n - from); a;) {
        const char *b = memchr(a + 1, '\n', n - (size_t)(a + 1 - s));
        size_t len = b ? (size_t)(b - a - 1) : 0;
        if (len >= LINE_MIN && len <= LINE_MAX) return buf_append(line, a + 1, len) && buf_append(line, "", 1);
        a = b;
    }
    return false;
}

/* A line of the text as what a user says; where there is none, a plain prompt. */
static enum fk_status chat_prompt(const struct distill_text *t, uint64_t seed, struct token_vec *out, struct fk_error *err)
{
    struct detokenizer d;
    struct buf text, line;
    uint64_t from;
    const int32_t *piece = draw_piece(t, seed, PIECE, &from);
    buf_init(&text, 0, MEM_TRAIN);
    buf_init(&line, 0, MEM_TRAIN);
    detokenizer_init(&d, t->source->tokenizer, false);
    for (int i = 0; i < PIECE; i++) detokenizer_push(&d, piece[i], &text);
    enum fk_status st = FK_OK;
    bool is_found = !text.failed && text.n && next_line(text.data, text.n, (size_t)from * text.n / PIECE, &line);
    out->n = 0;
    if (is_found && utf8_is_valid(line.data, line.n - 1)) st = chat_form_prompt(&t->form, line.data, out, err);
    buf_fini(&text);
    buf_fini(&line);
    bool is_usable = out->n && out->n <= PIECE / 2;
    return st != FK_OK || is_usable ? st : plain_prompt(t, seed, out, err);
}

/* Replies that end before their time are filled up with the next ones; plain ones, r[0] to r[n / 2 - 1], and those of a
 * chat take turns. */
static void join(struct distill_text *t, const struct rollout *r, int n)
{
    size_t room = (size_t)OWN_PIECES * PIECE, at = 0;
    for (int i = 0; i < n; i++) {
        const struct rollout *one = &r[i % 2 ? n / 2 + i / 2 : i / 2];
        size_t len = (size_t)(one->n_prompt + one->n_reply);
        if (len > room - at) len = room - at;
        memcpy(t->round + at, one->tokens, len * sizeof *t->round);
        at += len;
    }
    t->n_round = (int)(at / PIECE);
    begin_pieces(t, t->round, t->n_round);
}

static enum fk_status write_half(struct distill_text *t, struct rollout *r, struct token_vec *prompts, bool is_chat,
                                 struct fk_error *err)
{
    struct rollout_params p = {.n_threads = t->n_threads, .n_ctx = 2 * PIECE, .max_new = PIECE - PROMPT,
                               .n_parallel = PARALLEL, .temperature = 1, .in_answer = !(is_chat && t->form.opens_thinking)};
    for (int i = 0; i < OWN_PIECES / 2; i++) {
        uint64_t seed = t->i_round * OWN_PIECES + (uint64_t)i + (is_chat ? OWN_PIECES / 2 : 0);
        TRY((is_chat ? chat_prompt : plain_prompt)(t, seed, &prompts[i], err));
        r[i] = (struct rollout){.prompt = prompts[i].ids, .n_prompt = (int)prompts[i].n, .seed = seed};
    }
    return rollout_run(t->source, &p, r, OWN_PIECES / 2, err);
}

static enum fk_status write_own(struct distill_text *t, struct fk_error *err)
{
    struct rollout r[OWN_PIECES] = {{0}};
    struct token_vec prompts[OWN_PIECES] = {{0}};
    t->i_round++;
    enum fk_status st = write_half(t, r, prompts, false, err);
    if (st == FK_OK) st = write_half(t, r + OWN_PIECES / 2, prompts + OWN_PIECES / 2, t->has_chat, err);
    if (st == FK_OK) join(t, r, OWN_PIECES);
    for (int i = 0; i < OWN_PIECES; i++) {
        rollout_fini(&r[i]);
        mem_free(prompts[i].ids);
    }
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

enum fk_status distill_text_seek(struct distill_text *t, uint64_t i_round, uint64_t at, struct fk_error *err)
{
    if (i_round) {
        t->i_round = i_round - 1;
        TRY(write_own(t, err));
    }
    if (at > (uint64_t)t->n_round) return fail(err, FK_EINVAL, "a round of %d pieces has no piece %llu", t->n_round, (unsigned long long)at);
    t->at = (int)at;
    return FK_OK;
}
