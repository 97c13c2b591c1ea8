/* SPDX-License-Identifier: Apache-2.0
 * vocab_special.c - which tokens are special: hidden from plain text, matched only where the text
 * is trusted, or the end of a generation.
 *
 * A file names eos, eot and eom; older files name only eos, so tokens with the well-known texts of
 * an end count too. A token that a file calls user-defined or normal, but whose text is a tag
 * ("<think>", "<|im_end|>", "[PAD7]"), is matched in trusted text only: a user who types it means
 * the letters. Other user-defined tokens (runs of spaces, letters) are matched in every text. */
#include <inttypes.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/text/vocab.h"

/* Ends whatever their type; their texts occur in no ordinary writing. */
static const char *const sure_ends[] = {
    "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>",
    "<|end|>", "<|return|>", "<|call|>", "<end_of_utterance>", "<｜end▁of▁sentence｜>"};
/* Ends where the file marks them as control or user-defined tokens. */
static const char *const ends[] = {
    "</s>", "<eos>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<turn|>", "<|tool_response>",
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|repo_name|>", "<|fim_repo|>",
    "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"};

static bool is_one_of(const char *p, size_t n, const char *const *texts, size_t n_texts)
{
    for (size_t i = 0; i < n_texts; i++)
        if (strlen(texts[i]) == n && !memcmp(texts[i], p, n)) return true;
    return false;
}

static bool contains(const char *p, size_t n, const char *what)
{
    size_t k = strlen(what);
    for (size_t i = 0; i + k <= n; i++)
        if (!memcmp(p + i, what, k)) return true;
    return false;
}

static bool looks_like_tag(const char *p, size_t n)
{
    if (n < 2) return false;
    if ((p[0] == '<' && p[n - 1] == '>') || (p[0] == '[' && p[n - 1] == ']')) return true;
    return contains(p, n, "<|") || contains(p, n, "|>") || contains(p, n, "｜");
}

/* The text as the file has it: U+2581 was decoded to a space in SentencePiece kinds. */
static void classify(struct vocab *v, int32_t id)
{
    size_t n;
    const char *p = vocab_bytes(v, id, &n);
    uint8_t type = v->type[id];
    bool marked = type == TOKEN_CONTROL || type == TOKEN_USER || type == TOKEN_UNKNOWN;
    if (!n || n > 64 || !(p[0] == '<' || p[0] == '[' || p[0] == '_')) return;
    bool sure = is_one_of(p, n, sure_ends, sizeof sure_ends / sizeof *sure_ends);
    if (sure || (marked && is_one_of(p, n, ends, sizeof ends / sizeof *ends))) {
        v->flags[id] |= TOKEN_END;
        if (!marked || type == TOKEN_USER) v->type[id] = TOKEN_CONTROL;
    }
}

static enum fk_status mark_end(struct vocab *v, const struct gguf *g, const char *key,
                               struct fk_error *err)
{
    int64_t id = -1;
    TRY(gguf_get_int(g, key, false, -1, UINT32_MAX, &id, err));
    if (id < 0 || id == UINT32_MAX) return FK_OK;
    if (id >= v->n)
        return fail(err, FK_EFORMAT, "%s is %" PRId64 ", but there are %" PRId32 " tokens", key, id,
                    v->n);
    v->flags[id] |= TOKEN_END;
    return FK_OK;
}

static enum fk_status mark_ends(struct vocab *v, const struct gguf *g, struct fk_error *err)
{
    TRY(mark_end(v, g, "tokenizer.ggml.eos_token_id", err));
    TRY(mark_end(v, g, "tokenizer.ggml.eot_token_id", err));
    TRY(mark_end(v, g, "tokenizer.ggml.eom_token_id", err));
    const struct gguf_kv *kv = gguf_find(g, "fikr.eog_token_ids");
    if (!kv) return FK_OK;
    if (kv->type != GGUF_ARRAY || kv->n_items > 1024)
        return fail(err, FK_EFORMAT, "fikr.eog_token_ids is no array of at most 1024 ids");
    for (uint64_t i = 0; i < kv->n_items; i++) {
        int64_t id;
        if (!gguf_item_int(kv, i, &id) || id < 0 || id >= v->n)
            return fail(err, FK_EFORMAT, "fikr.eog_token_ids: item %" PRIu64
                        " is no id below %" PRId32, i, v->n);
        v->flags[id] |= TOKEN_END;
    }
    return FK_OK;
}

enum fk_status vocab_mark_special(struct vocab *v, const struct gguf *g, struct fk_error *err)
{
    bool has_types = gguf_find(g, "tokenizer.ggml.token_type") != NULL;
    int32_t named[3] = {v->bos, v->eos, v->unk};
    for (int i = 0; i < 3; i++) { /* files without types name these only by id */
        size_t n;
        if (named[i] < 0 || v->type[named[i]] != TOKEN_NORMAL) continue;
        const char *p = vocab_bytes(v, named[i], &n);
        if (!has_types || looks_like_tag(p, n)) v->type[named[i]] = TOKEN_CONTROL;
    }
    TRY(mark_ends(v, g, err));
    for (int32_t i = 0; i < v->n; i++) {
        size_t n;
        const char *p = vocab_bytes(v, i, &n);
        classify(v, i);
        uint8_t type = v->type[i];
        if (type != TOKEN_UNKNOWN && type != TOKEN_CONTROL && type != TOKEN_USER) continue;
        if (type != TOKEN_USER) v->flags[i] |= TOKEN_HIDDEN | TOKEN_TRUSTED;
        else if (looks_like_tag(p, n)) v->flags[i] |= TOKEN_TRUSTED;
        if (n && n <= SPECIAL_MAX_BYTES) TRY(trie_add(&v->specials, p, n, i, err));
    }
    return FK_OK;
}
