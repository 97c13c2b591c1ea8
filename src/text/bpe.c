/* SPDX-License-Identifier: Apache-2.0
 * bpe.c - reads tokenizer.ggml.merges into a table of pairs and encodes words with it.
 *
 * A merge "left right" joins two tokens into a third; its place in the list is its rank. All three
 * have to be normal tokens of the vocabulary, as the reference implementation demands. A byte
 * without a token of its own is left out, as there. */
#include "src/text/bpe.h"
#include <inttypes.h>
#include "src/base/alloc.h"
#include "src/base/buf.h"
#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/text/byte_fallback.h"

#define MAX_MERGES ((uint64_t)1 << 26)
#define BLOCK 16

/* A token whose text may be what a merge gives. */
struct candidate { int32_t id; struct gguf_str text; /* as the file has it; n 0: none */ };

/* Merges are read in blocks, each in three passes, so that the memory a pass looks into is on its
 * way while the pass before it works. */
struct merge_block {
    struct gguf_walk walk;    /* over the merges */
    struct gguf_walk tokens;  /* over the tokens, behind next */
    const struct gguf_kv *tokens_kv;
    struct candidate last, next;
    struct alphabet alphabet;
    struct buf text; /* decoded: left and right, one behind the other, and PADDING more */
    struct merge_item {
        size_t at, n_left, n; /* at: in text, where the merge was decoded */
        uint32_t hash_left, hash_right;
        int32_t joined;
        bool is_decoded;
        uint64_t key;
    } items[BLOCK];
};

static uint64_t pair_key(int32_t left, int32_t right)
{
    return ((uint64_t)left << 32 | (uint32_t)right) + 1;
}

static size_t slot_of(const struct bpe *b, uint64_t key)
{
    return (size_t)hash_mix(key * 0x9fb21c651e98df25u) & b->mask;
}

/* Decodes "left right" to out, one behind the other. False: there are no two such parts. */
static bool decode_merge(const struct merge_block *m, const struct vocab *v, struct gguf_str s,
                         char *out, size_t *n_left, size_t *n_right)
{
    size_t cut, n_read;
    if (v->kind == VOCAB_BYTE_BPE) { /* a space is no letter of the alphabet */
        const char *end = (const char *)m->walk.end;
        *n_left = alphabet_decode(&m->alphabet, s.p, s.n, end, out, &cut);
        if (!cut || cut + 1 >= s.n || s.p[cut] != ' ') return false;
        *n_right = alphabet_decode(&m->alphabet, s.p + cut + 1, s.n - cut - 1, end, out + *n_left,
                                   &n_read);
        return cut + 1 + n_read == s.n;
    }
    const char *space = s.n > 1 ? memchr(s.p + 1, ' ', s.n - 1) : NULL;
    if (!space || space == s.p + s.n - 1) return false;
    cut = (size_t)(space - s.p);
    *n_left = spaces_decode(s.p, cut, out);
    *n_right = spaces_decode(space + 1, s.n - cut - 1, out + *n_left);
    return true;
}

static enum fk_status fail_merge(struct gguf_str s, uint64_t i, struct fk_error *err)
{
    const char *space = s.n > 1 ? memchr(s.p + 1, ' ', s.n - 1) : NULL;
    int shown = (int)(s.n < 60 ? s.n : 60);
    if (!space || space == s.p + s.n - 1)
        return fail(err, FK_EFORMAT, "tokenizer.ggml.merges: item %" PRIu64 " '%.*s' is no pair of "
                    "tokens with a space between", i, shown, s.p);
    return fail(err, FK_EFORMAT, "tokenizer.ggml.merges: item %" PRIu64 " '%.*s' has a character that "
                "stands for no byte", i, shown, s.p);
}

/* Makes id the next candidate. */
static void set_next(struct merge_block *m, const struct vocab *v, int32_t id)
{
    m->next = (struct candidate){id, {"", 0}};
    if (id >= v->n || !gguf_walk_next(&m->tokens, &m->next.text)) return;
    if (v->type[id] != TOKEN_NORMAL || (v->flags[id] & (TOKEN_LITERAL | TOKEN_SHADOWED)))
        m->next.text.n = 0;
}

/* Letters of p[0..n), n > 0: its bytes without those that go on with a character. */
static size_t count_letters(const uint8_t *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101u;
    size_t n_letters = n;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t w = le64(p + i) & (n - i < 8 ? word_mask(n - i) : ~(uint64_t)0);
        n_letters -= (size_t)(((w >> 7 & ~(w >> 6)) & ones) * ones >> 56);
    }
    return n_letters;
}

/* True if s is the candidate's text with a space in it: then nothing needs to be decoded. */
static bool cut_candidate(const struct merge_block *m, const struct vocab *v,
                          const struct candidate *c, struct gguf_str s, struct merge_item *item)
{
    const uint8_t *p = (const uint8_t *)s.p, *q = (const uint8_t *)c->text.p;
    size_t n = c->text.n, cut = 0;
    if (s.n != n + 1 || n < 2 || m->walk.end - p < (ptrdiff_t)(n + 1 + PADDING) ||
        m->tokens.end - q < (ptrdiff_t)(n + PADDING))
        return false;
    for (uint64_t differ = 0; !differ && cut < n;) {
        differ = le64(p + cut) ^ le64(q + cut);
        cut += differ ? (size_t)__builtin_ctzll(differ) / 8 : 8;
    }
    if (!cut || cut >= n || p[cut] != ' ' || (p[cut + 1] & 0xc0) == 0x80 || /* within a letter */
        !same_padded(s.p + cut + 1, c->text.p + cut, n - cut))
        return false;
    vocab_bytes(v, c->id, &item->n);
    item->n_left = item->n == n ? cut : count_letters(p, cut);
    if (!item->n_left || item->n_left >= item->n) return false; /* another process writes to the file */
    item->joined = c->id;
    item->is_decoded = false;
    return true;
}

static enum fk_status decode_item(struct merge_block *m, const struct vocab *v, struct gguf_str s,
                                  struct merge_item *item, uint64_t i, struct fk_error *err)
{
    size_t n_left = 0, n_right = 0;
    if (!buf_reserve(&m->text, s.n + PADDING)) return fail_nomem(err, s.n, "a merge");
    char *out = m->text.data + m->text.n;
    if (!decode_merge(m, v, s, out, &n_left, &n_right)) return fail_merge(s, i, err);
    item->at = m->text.n;
    item->n_left = n_left;
    item->n = n_left + n_right;
    item->joined = vocab_find(v, out, item->n);
    item->is_decoded = true;
    m->text.n += item->n;
    return FK_OK;
}

static const char *item_text(const struct merge_block *m, const struct vocab *v,
                             const struct merge_item *item)
{
    size_t n;
    return item->is_decoded ? m->text.data + item->at : vocab_bytes(v, item->joined, &n);
}

/* Vocabularies list tokens in the order of their merges, so the one behind the last is tried first, then
 * the last one again: some lists have all pairs that make a token. */
static enum fk_status parse_merge(struct merge_block *m, int k, const struct vocab *v,
                                  const struct gguf *g, uint64_t i, struct fk_error *err)
{
    struct merge_item *item = &m->items[k];
    struct gguf_str s;
    if (!gguf_walk_next(&m->walk, &s))
        return fail(err, FK_EGONE, "tokenizer.ggml.merges was changed while it was read");
    if (cut_candidate(m, v, &m->next, s, item)) {
        m->last = m->next;
        set_next(m, v, m->last.id + 1);
    } else if (!cut_candidate(m, v, &m->last, s, item)) {
        TRY(decode_item(m, v, s, item, i, err));
        struct gguf_str text;
        if (v->kind == VOCAB_BYTE_BPE && item->joined >= 0 &&
            gguf_item_str(g, m->tokens_kv, (uint64_t)item->joined, &text)) {
            m->tokens = gguf_walk_begin(m->tokens_kv);
            m->tokens.p = (const uint8_t *)text.p - 8;
            set_next(m, v, item->joined);
            m->last = m->next;
            set_next(m, v, item->joined + 1);
        }
    }
    const char *p = item_text(m, v, item);
    item->hash_left = hash_padded(p, item->n_left);
    item->hash_right = hash_padded(p + item->n_left, item->n - item->n_left);
    vocab_prefetch(v, item->hash_left);
    vocab_prefetch(v, item->hash_right);
    return FK_OK;
}

static enum fk_status find_tokens(struct merge_block *m, int k, const struct bpe *b,
                                  const struct vocab *v, uint64_t i, struct fk_error *err)
{
    struct merge_item *item = &m->items[k];
    const char *p = item_text(m, v, item);
    size_t n_left = item->n_left, n_right = item->n - n_left;
    int32_t left = vocab_find_padded(v, p, n_left, item->hash_left);
    int32_t right = vocab_find_padded(v, p + n_left, n_right, item->hash_right);
    if (left < 0 || right < 0 || item->joined < 0)
        return fail(err, FK_EFORMAT, "tokenizer.ggml.merges: item %" PRIu64 " joins '%.*s' and "
                    "'%.*s', and not all of these and the whole are tokens", i,
                    (int)(n_left < 60 ? n_left : 60), p, (int)(n_right < 60 ? n_right : 60),
                    p + n_left);
    item->key = pair_key(left, right);
    __builtin_prefetch(&b->pairs[slot_of(b, item->key)]);
    return FK_OK;
}

static enum fk_status put_pair(struct bpe *b, uint64_t key, uint64_t rank, int32_t joined,
                               struct fk_error *err)
{
    uint32_t probe = 0;
    size_t i = slot_of(b, key);
    for (; b->pairs[i].key; i = (i + 1) & b->mask) {
        if (b->pairs[i].key == key) return FK_OK; /* of two equal merges the first counts */
        if (++probe > TABLE_MAX_PROBE)
            return fail(err, FK_EFORMAT, "tokenizer.ggml.merges: pairs collide in a table");
    }
    b->pairs[i] = (struct bpe_pair){key, (uint32_t)rank, joined};
    return FK_OK;
}

static enum fk_status read_block(struct bpe *b, struct merge_block *m, const struct vocab *v,
                                 const struct gguf *g, uint64_t first, int n, struct fk_error *err)
{
    buf_clear(&m->text);
    for (int k = 0; k < n; k++) TRY(parse_merge(m, k, v, g, first + (uint64_t)k, err));
    for (int k = 0; k < n; k++) TRY(find_tokens(m, k, b, v, first + (uint64_t)k, err));
    for (int k = 0; k < n; k++)
        TRY(put_pair(b, m->items[k].key, first + (uint64_t)k, m->items[k].joined, err));
    return FK_OK;
}

enum fk_status bpe_read(struct bpe *b, const struct vocab *v, const struct gguf *g,
                        struct fk_error *err)
{
    const struct gguf_kv *kv = gguf_find(g, "tokenizer.ggml.merges");
    if (!kv) return fail(err, FK_EFORMAT, "tokenizer.ggml.merges is missing");
    if (kv->type != GGUF_ARRAY || (kv->n_items && kv->item_type != GGUF_STRING) ||
        kv->n_items > MAX_MERGES)
        return fail(err, FK_EFORMAT, "tokenizer.ggml.merges is no array of at most %" PRIu64
                    " strings", MAX_MERGES);
    size_t n_slots = 16;
    while (n_slots < kv->n_items * 3 / 2) n_slots *= 2;
    b->pairs = mem_map(n_slots * sizeof *b->pairs, MEM_TEXT);
    if (!b->pairs) return fail_nomem(err, n_slots * sizeof *b->pairs, "the table of merges");
    b->mask = n_slots - 1;
    const struct gguf_kv *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    struct merge_block m = {.walk = gguf_walk_begin(kv), .tokens = gguf_walk_begin(tokens),
                            .tokens_kv = tokens};
    if (v->kind == VOCAB_BYTE_BPE) set_next(&m, v, 0);
    alphabet_init(&m.alphabet);
    buf_init(&m.text, 0, MEM_TEXT);
    enum fk_status st = FK_OK;
    for (uint64_t i = 0; !st && i < kv->n_items; i += BLOCK)
        st = read_block(b, &m, v, g, i, kv->n_items - i < BLOCK ? (int)(kv->n_items - i) : BLOCK, err);
    buf_fini(&m.text);
    return st;
}

void bpe_fini(struct bpe *b)
{
    mem_unmap(b->pairs, (b->mask + 1) * sizeof *b->pairs, MEM_TEXT);
    *b = (struct bpe){0};
}

static void rank_pair(const void *arg, const char *word, struct merge_sym *a,
                      const struct merge_sym *next)
{
    const struct bpe *b = arg;
    (void)word;
    a->rank = MERGE_NEVER;
    if (a->id < 0 || next->id < 0) return;
    uint64_t key = pair_key(a->id, next->id);
    for (size_t i = slot_of(b, key); b->pairs[i].key; i = (i + 1) & b->mask) {
        if (b->pairs[i].key != key) continue;
        a->rank = b->pairs[i].rank;
        a->joined = b->pairs[i].joined;
        return;
    }
}

bool bpe_encode_bytes(const struct bpe *b, const struct vocab *v, struct merger *m,
                      const char *word, size_t n, struct token_vec *out)
{
    if (!merger_reserve(m, n)) return false;
    m->n = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = v->byte_id[(uint8_t)word[i]];
        if (id < 0) continue;
        m->syms[m->n++] = (struct merge_sym){.start = (uint32_t)i, .end = (uint32_t)i + 1,
                                             .id = id, .rank = MERGE_NEVER};
    }
    if (!merger_run(m, word, rank_pair, b)) return false;
    for (size_t i = 0; i < m->n; i++)
        if (!token_vec_push(out, m->syms[i].id)) return false;
    return true;
}

bool bpe_encode_chars(const struct bpe *b, const struct vocab *v, struct merger *m,
                      const char *word, size_t n, struct token_vec *out)
{
    if (!merger_reserve(m, n)) return false;
    m->n = 0;
    for (size_t i = 0, len; i < n; i += len) {
        utf8_decode(word + i, n - i, &len);
        m->syms[m->n++] = (struct merge_sym){.start = (uint32_t)i, .end = (uint32_t)(i + len),
                                             .id = vocab_find(v, word + i, len),
                                             .rank = MERGE_NEVER};
    }
    return merger_run(m, word, rank_pair, b) && push_with_fallback(v, m, word, out);
}
