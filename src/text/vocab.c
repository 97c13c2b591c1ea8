/* SPDX-License-Identifier: Apache-2.0
 * vocab.c - reads tokenizer.ggml.* into tables. Does not know how text is split or merged; which
 * tokens are special is decided in vocab_special.c.
 *
 * Conditions, each refused with a sentence: (1) tokens is an array of 1 to 2^24 strings, at most 1
 * GiB together; (2) token_type and scores, where present, have as many items as tokens, and scores
 * are finite; (3) SentencePiece kinds have scores; (4) a byte token reads "<0xNN>"; (5) ids of
 * special tokens lie inside the vocabulary. */
#include "src/text/vocab.h"
#include <inttypes.h>
#include <math.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/utf8.h"

#define MAX_BYTES ((size_t)1 << 30)
#define BLOCK 16 /* tokens whose slots are on their way at the same time */

static enum fk_status read_kind(struct vocab *v, const struct gguf *g, struct fk_error *err)
{
    static const struct { const char *name; enum vocab_kind kind; } kinds[] = {
        {"gpt2", VOCAB_BYTE_BPE}, {"gemma4", VOCAB_CHAR_BPE},
        {"llama", VOCAB_SPM}, {"t5", VOCAB_UNIGRAM}};
    struct gguf_str name = {0};
    TRY(gguf_get_str(g, "tokenizer.ggml.model", true, &name, err));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i].name) == name.n && !memcmp(kinds[i].name, name.p, name.n)) {
            v->kind = kinds[i].kind;
            return FK_OK;
        }
    }
    return fail(err, FK_EUNSUPPORTED,
                "tokenizer.ggml.model is '%.*s'; this program knows gpt2, llama, t5 and gemma4",
                (int)(name.n < 60 ? name.n : 60), name.p);
}

static enum fk_status find_tokens(struct vocab *v, const struct gguf *g,
                                  const struct gguf_kv **out, struct fk_error *err)
{
    const struct gguf_kv *kv = gguf_find(g, "tokenizer.ggml.tokens");
    if (!kv) return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens is missing");
    if (kv->type != GGUF_ARRAY || kv->item_type != GGUF_STRING) /* (1) */
        return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens is no array of strings");
    if (kv->n_items < 1 || kv->n_items > (uint64_t)VOCAB_MAX_TOKENS)
        return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens has %" PRIu64
                    " items, not 1 to %" PRId64, kv->n_items, VOCAB_MAX_TOKENS);
    if (kv->data_bytes - 8 * kv->n_items > MAX_BYTES) /* each string has its length in front */
        return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens holds more than %zu bytes of text",
                    MAX_BYTES);
    v->n = (int32_t)kv->n_items;
    *out = kv;
    return FK_OK;
}

/* The array key, checked to have as many items as there are tokens; NULL where it is absent. */
static enum fk_status find_parallel(const struct vocab *v, const struct gguf *g, const char *key,
                                    const struct gguf_kv **out, struct fk_error *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    *out = NULL;
    if (!kv) return FK_OK;
    if (kv->type != GGUF_ARRAY) return fail(err, FK_EFORMAT, "%s is no array", key);
    if (kv->n_items != (uint64_t)v->n) /* (2) */
        return fail(err, FK_EFORMAT, "%s has %" PRIu64 " items for %" PRId32 " tokens", key,
                    kv->n_items, v->n);
    *out = kv;
    return FK_OK;
}

static enum fk_status read_types(struct vocab *v, const struct gguf *g, struct fk_error *err)
{
    const struct gguf_kv *kv;
    TRY(find_parallel(v, g, "tokenizer.ggml.token_type", &kv, err));
    for (int32_t i = 0; i < v->n; i++) {
        int64_t type = TOKEN_NORMAL;
        if (kv && (!gguf_item_int(kv, (uint64_t)i, &type) || type < 0 || type > TOKEN_BYTE))
            return fail(err, FK_EFORMAT, "tokenizer.ggml.token_type: item %" PRId32
                        " is no type from 1 to 6", i);
        v->type[i] = type ? (uint8_t)type : TOKEN_NORMAL;
    }
    return FK_OK;
}

static enum fk_status read_scores(struct vocab *v, const struct gguf *g, struct fk_error *err)
{
    const struct gguf_kv *kv;
    if (v->kind != VOCAB_SPM && v->kind != VOCAB_UNIGRAM) return FK_OK;
    TRY(find_parallel(v, g, "tokenizer.ggml.scores", &kv, err));
    if (!kv) /* (3) */
        return fail(err, FK_EFORMAT, "tokenizer.ggml.scores is missing");
    v->score = mem_array((size_t)v->n, sizeof *v->score, MEM_TEXT);
    if (!v->score) return fail_nomem(err, (size_t)v->n * sizeof *v->score, "token scores");
    for (int32_t i = 0; i < v->n; i++) {
        double score;
        if (!gguf_item_f64(kv, (uint64_t)i, &score) || !isfinite(score) || fabs(score) > 1e30)
            return fail(err, FK_EFORMAT, "tokenizer.ggml.scores: item %" PRId32
                        " is no number within 1e30", i);
        v->score[i] = (float)score;
    }
    return FK_OK;
}

size_t spaces_decode(const char *text, size_t n, char *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n;) {
        if ((uint8_t)text[i] == 0xe2 && n - i >= 3 && !memcmp(text + i, "\xe2\x96\x81", 3)) {
            out[k++] = ' ';
            i += 3;
        } else {
            out[k++] = text[i++];
        }
    }
    return k;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* Writes the bytes token id stands for to out and returns their number. Behind s, up to end, is memory
 * that may be read. */
static size_t decode_token(struct vocab *v, const struct alphabet *a, int32_t id, struct gguf_str s,
                           const char *end, char *out)
{
    size_t n, n_read;
    if (v->type[id] == TOKEN_BYTE) {
        *out = (char)(hex_digit(s.p[3]) << 4 | hex_digit(s.p[4]));
        v->byte_id[(uint8_t)*out] = id;
        return 1;
    }
    bool plain = v->type[id] == TOKEN_NORMAL || v->type[id] == TOKEN_UNUSED;
    if (v->kind != VOCAB_BYTE_BPE && (plain || v->type[id] == TOKEN_USER))
        return spaces_decode(s.p, s.n, out);
    if (v->kind == VOCAB_BYTE_BPE && plain) {
        n = alphabet_decode(a, s.p, s.n, end, out, &n_read);
        if (n_read == s.n) return n;
    }
    v->flags[id] |= TOKEN_LITERAL;
    memcpy(out, s.p, s.n);
    return s.n;
}

static enum fk_status read_tokens(struct vocab *v, const struct gguf_kv *kv, struct fk_error *err)
{
    size_t k = 0;
    struct gguf_walk w = gguf_walk_begin(kv);
    struct alphabet a;
    alphabet_init(&a);
    v->words_split = true;
    for (int32_t i = 0; i < v->n; i++) {
        struct gguf_str s;
        if (!gguf_walk_next(&w, &s))
            return fail(err, FK_EGONE, "tokenizer.ggml.tokens was changed while it was read");
        if (v->type[i] == TOKEN_BYTE &&
            (s.n != 6 || memcmp(s.p, "<0x", 3) || hex_digit(s.p[3]) < 0 || hex_digit(s.p[4]) < 0 ||
             s.p[5] != '>')) /* (4) */
            return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens: token %" PRId32
                        " is marked as a byte but reads '%.*s', not <0x00> to <0xFF>", i,
                        (int)(s.n < 40 ? s.n : 40), s.p);
        v->start[i] = (uint32_t)k;
        size_t n = decode_token(v, &a, i, s, (const char *)w.end, v->bytes + k);
        if (v->type[i] == TOKEN_NORMAL && v->kind == VOCAB_SPM && v->words_split)
            for (size_t j = 1; j < n; j++)
                if (v->bytes[k + j] == ' ' && v->bytes[k + j - 1] != ' ') v->words_split = false;
        k += n;
    }
    v->start[v->n] = (uint32_t)k;
    return FK_OK;
}

int32_t vocab_find(const struct vocab *v, const char *bytes, size_t n)
{
    if (n > v->max_len || !n) return -1;
    uint32_t hash = hash_bytes(bytes, n);
    for (uint32_t i = hash & v->mask; v->slots[i].next_id; i = (i + 1) & v->mask) {
        if (v->slots[i].hash != hash) continue;
        size_t len;
        int32_t id = (int32_t)v->slots[i].next_id - 1;
        const char *p = vocab_bytes(v, id, &len);
        if (len == n && !memcmp(p, bytes, n)) return id;
    }
    return -1;
}

/* Of two tokens with the same bytes the later one counts, as in a Python dictionary. */
static bool put(struct vocab *v, int32_t id, uint32_t hash)
{
    size_t n, len;
    const char *p = vocab_bytes(v, id, &n);
    uint32_t probe = 0, i = hash & v->mask;
    for (; v->slots[i].next_id; i = (i + 1) & v->mask) {
        if (v->slots[i].hash == hash) {
            const char *q = vocab_bytes(v, (int32_t)v->slots[i].next_id - 1, &len);
            if (len == n && same_padded(p, q, n)) {
                v->flags[v->slots[i].next_id - 1] |= TOKEN_SHADOWED;
                break;
            }
        }
        if (++probe > TABLE_MAX_PROBE) return false;
    }
    v->slots[i] = (struct vocab_slot){hash, (uint32_t)id + 1};
    return true;
}

static bool is_in_map(const struct vocab *v, int32_t id, size_t n)
{
    return v->type[id] == TOKEN_NORMAL && !(v->flags[id] & TOKEN_LITERAL) && n &&
           !(v->kind == VOCAB_SPM && n > PIECE_MAX_BYTES);
}

/* Puts tokens first to first + n - 1 into the map, whose slots are asked for before they are used. */
static bool put_block(struct vocab *v, int32_t first, int32_t n_ids)
{
    uint32_t hashes[BLOCK];
    size_t n;
    for (int32_t k = 0; k < n_ids; k++) {
        const char *p = vocab_bytes(v, first + k, &n);
        hashes[k] = n ? hash_padded(p, n) : 0;
        vocab_prefetch(v, hashes[k]);
    }
    for (int32_t k = 0; k < n_ids; k++) {
        vocab_bytes(v, first + k, &n);
        if (!is_in_map(v, first + k, n)) continue;
        if (!put(v, first + k, hashes[k])) return false;
        if (n > v->max_len) v->max_len = (uint32_t)n;
    }
    return true;
}

static enum fk_status build_map(struct vocab *v, struct fk_error *err)
{
    size_t n_slots = 16;
    while (n_slots < (size_t)v->n * 2) n_slots *= 2;
    v->slots = mem_map(n_slots * sizeof *v->slots, MEM_TEXT);
    if (!v->slots) return fail_nomem(err, n_slots * sizeof *v->slots, "the table of tokens");
    v->mask = (uint32_t)(n_slots - 1);
    for (int32_t i = 0; i < v->n; i += BLOCK)
        if (!put_block(v, i, v->n - i < BLOCK ? v->n - i : BLOCK))
            return fail(err, FK_EFORMAT, "tokenizer.ggml.tokens: token texts collide in a table");
    if (v->kind == VOCAB_BYTE_BPE) {
        for (int b = 0; b < 256; b++) {
            char c = (char)b;
            v->byte_id[b] = vocab_find(v, &c, 1);
        }
    }
    return FK_OK;
}

static enum fk_status read_id(const struct vocab *v, const struct gguf *g, const char *key,
                              int32_t *out, struct fk_error *err)
{
    int64_t id = -1;
    *out = -1;
    TRY(gguf_get_int(g, key, false, -1, UINT32_MAX, &id, err));
    if (id == UINT32_MAX) id = -1; /* how some writers say "none" */
    if (id >= v->n) /* (5) */
        return fail(err, FK_EFORMAT, "%s is %" PRId64 ", but there are %" PRId32 " tokens", key, id,
                    v->n);
    *out = (int32_t)id;
    return FK_OK;
}

static enum fk_status read_options(struct vocab *v, const struct gguf *g, struct fk_error *err)
{
    bool sp = v->kind == VOCAB_SPM, ugm = v->kind == VOCAB_UNIGRAM;
    v->add_bos = sp;
    v->add_eos = ugm;
    v->add_space_prefix = sp || ugm;
    TRY(gguf_get_bool(g, "tokenizer.ggml.add_bos_token", false, &v->add_bos, err));
    TRY(gguf_get_bool(g, "tokenizer.ggml.add_eos_token", false, &v->add_eos, err));
    TRY(gguf_get_bool(g, "tokenizer.ggml.add_space_prefix", false, &v->add_space_prefix, err));
    TRY(gguf_get_bool(g, "tokenizer.ggml.remove_extra_whitespaces", false,
                      &v->remove_extra_spaces, err));
    if (!sp && !ugm) v->add_space_prefix = false;
    if (!ugm) v->remove_extra_spaces = false; /* SentencePiece BPE files never ask for it */
    TRY(read_id(v, g, "tokenizer.ggml.bos_token_id", &v->bos, err));
    TRY(read_id(v, g, "tokenizer.ggml.eos_token_id", &v->eos, err));
    TRY(read_id(v, g, "tokenizer.ggml.unknown_token_id", &v->unk, err));
    if (v->bos < 0) v->add_bos = false;
    if (v->eos < 0) v->add_eos = false;
    for (int32_t i = 0; v->unk < 0 && i < v->n; i++)
        if (v->type[i] == TOKEN_UNKNOWN) v->unk = i;
    return FK_OK;
}

enum fk_status vocab_read(struct vocab *v, const struct gguf *g, struct fk_error *err)
{
    const struct gguf_kv *kv = NULL;
    memset(v->byte_id, 0xff, sizeof v->byte_id);
    v->bos = v->eos = v->unk = -1;
    TRY(read_kind(v, g, err));
    TRY(find_tokens(v, g, &kv, err));
    /* More than the texts need, so that a file which another process changes writes into it all the same. */
    size_t bytes = (size_t)kv->data_bytes + PADDING;
    v->bytes = mem_alloc(bytes, MEM_TEXT);
    v->start = mem_array((size_t)v->n + 1, sizeof *v->start, MEM_TEXT);
    v->type = mem_alloc((size_t)v->n, MEM_TEXT);
    v->flags = mem_zalloc((size_t)v->n, MEM_TEXT);
    if (!v->bytes || !v->start || !v->type || !v->flags)
        return fail_nomem(err, bytes + (size_t)v->n * 6, "the texts of tokens");
    TRY(read_types(v, g, err));
    TRY(read_scores(v, g, err));
    TRY(read_tokens(v, kv, err));
    TRY(read_options(v, g, err));
    TRY(vocab_mark_special(v, g, err));
    return build_map(v, err);
}

void vocab_fini(struct vocab *v)
{
    mem_free(v->bytes);
    mem_free(v->start);
    mem_free(v->type);
    mem_free(v->flags);
    mem_free(v->score);
    mem_unmap(v->slots, ((size_t)v->mask + 1) * sizeof *v->slots, MEM_TEXT);
    trie_fini(&v->specials);
    memset(v, 0, sizeof *v);
}
