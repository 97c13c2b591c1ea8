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

/* Merges are read in blocks, each in three passes, so that the memory a pass looks into is on its
 * way while the pass before it works. */
struct merge_block {
    struct buf text; /* decoded: left and right, one behind the other */
    struct { size_t at, n_left, n; uint32_t hash_left, hash_right; uint64_t key; } items[BLOCK];
    int32_t joined[BLOCK], last;
};

static size_t slot_of(const struct bpe *b, uint64_t key)
{
    return (size_t)hash_mix(key * 0x9fb21c651e98df25u) & b->mask;
}

/* Cuts "left right" at its space and decodes both halves into the block's text. */
static enum fk_status parse_merge(struct merge_block *m, int k, const struct vocab *v,
                                  struct gguf_str s, uint64_t i, struct fk_error *err)
{
    const char *space = s.n > 1 ? memchr(s.p + 1, ' ', s.n - 1) : NULL;
    size_t n_left, n_right;
    if (!space || space == s.p + s.n - 1)
        return fail(err, FK_EFORMAT, "tokenizer.ggml.merges: item %" PRIu64 " '%.*s' is no pair of "
                    "tokens with a space between", i, (int)(s.n < 60 ? s.n : 60), s.p);
    if (!buf_reserve(&m->text, s.n)) return fail_nomem(err, s.n, "a merge");
    char *out = m->text.data + m->text.n;
    size_t cut = (size_t)(space - s.p);
    if (v->kind == VOCAB_BYTE_BPE) {
        if (!alphabet_decode(s.p, cut, out, &n_left) ||
            !alphabet_decode(space + 1, s.n - cut - 1, out + n_left, &n_right))
            return fail(err, FK_EFORMAT, "tokenizer.ggml.merges: item %" PRIu64 " '%.*s' has a "
                        "character that stands for no byte", i, (int)(s.n < 60 ? s.n : 60), s.p);
    } else {
        n_left = spaces_decode(s.p, cut, out);
        n_right = spaces_decode(space + 1, s.n - cut - 1, out + n_left);
    }
    m->items[k].at = m->text.n;
    m->items[k].n_left = n_left;
    m->items[k].n = n_left + n_right;
    m->items[k].hash_left = hash_bytes(out, n_left);
    m->items[k].hash_right = hash_bytes(out + n_left, n_right);
    m->text.n += n_left + n_right;
    vocab_prefetch(v, m->items[k].hash_left);
    vocab_prefetch(v, m->items[k].hash_right);
    return FK_OK;
}

/* The token with the bytes of the whole. Vocabularies list tokens in the order of their merges, so
 * the one after the last is tried first: it is at hand, while the table is not in the cache. */
static int32_t find_whole(const struct merge_block *m, const struct vocab *v, const char *p,
                          size_t n)
{
    size_t len;
    int32_t next = m->last + 1;
    if (next < v->n && v->type[next] == TOKEN_NORMAL && !(v->flags[next] & TOKEN_LITERAL)) {
        const char *q = vocab_bytes(v, next, &len);
        if (len == n && !memcmp(p, q, n)) return next;
    }
    return vocab_find(v, p, n);
}

static enum fk_status find_tokens(struct merge_block *m, int k, const struct bpe *b,
                                  const struct vocab *v, uint64_t i, struct fk_error *err)
{
    const char *p = m->text.data + m->items[k].at;
    size_t n_left = m->items[k].n_left, n_right = m->items[k].n - n_left;
    int32_t left = vocab_find_hashed(v, p, n_left, m->items[k].hash_left);
    int32_t right = vocab_find_hashed(v, p + n_left, n_right, m->items[k].hash_right);
    m->last = m->joined[k] = find_whole(m, v, p, n_left + n_right);
    if (left < 0 || right < 0 || m->last < 0)
        return fail(err, FK_EFORMAT, "tokenizer.ggml.merges: item %" PRIu64 " joins '%.*s' and "
                    "'%.*s', and not all of these and the whole are tokens", i,
                    (int)(n_left < 60 ? n_left : 60), p, (int)(n_right < 60 ? n_right : 60),
                    p + n_left);
    m->items[k].key = (uint64_t)left << 32 | (uint32_t)right;
    __builtin_prefetch(&b->pairs[slot_of(b, m->items[k].key)]);
    return FK_OK;
}

static enum fk_status put_pair(struct bpe *b, uint64_t key, uint64_t rank, int32_t joined,
                               struct fk_error *err)
{
    uint32_t probe = 0;
    size_t i = slot_of(b, key);
    for (; b->pairs[i].joined >= 0; i = (i + 1) & b->mask) {
        if (b->pairs[i].key == key) return FK_OK; /* of two equal merges the first counts */
        if (++probe > TABLE_MAX_PROBE)
            return fail(err, FK_EFORMAT, "tokenizer.ggml.merges: pairs collide in a table");
    }
    b->pairs[i] = (struct bpe_pair){key, (uint32_t)rank, joined};
    return FK_OK;
}

static enum fk_status read_block(struct bpe *b, struct merge_block *m, const struct vocab *v,
                                 const struct gguf *g, const struct gguf_kv *kv, uint64_t first,
                                 struct fk_error *err)
{
    int n = kv->n_items - first < BLOCK ? (int)(kv->n_items - first) : BLOCK;
    buf_clear(&m->text);
    for (int k = 0; k < n; k++) {
        struct gguf_str s;
        if (!gguf_item_str(g, kv, first + (uint64_t)k, &s)) s = (struct gguf_str){"", 0};
        TRY(parse_merge(m, k, v, s, first + (uint64_t)k, err));
    }
    for (int k = 0; k < n; k++) TRY(find_tokens(m, k, b, v, first + (uint64_t)k, err));
    for (int k = 0; k < n; k++)
        TRY(put_pair(b, m->items[k].key, first + (uint64_t)k, m->joined[k], err));
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
    b->pairs = mem_array(n_slots, sizeof *b->pairs, MEM_TEXT);
    if (!b->pairs) return fail_nomem(err, n_slots * sizeof *b->pairs, "the table of merges");
    memset(b->pairs, 0xff, n_slots * sizeof *b->pairs);
    b->mask = n_slots - 1;
    struct merge_block m = {.last = -1};
    buf_init(&m.text, 0, MEM_TEXT);
    enum fk_status st = FK_OK;
    for (uint64_t i = 0; !st && i < kv->n_items; i += BLOCK)
        st = read_block(b, &m, v, g, kv, i, err);
    buf_fini(&m.text);
    return st;
}

void bpe_fini(struct bpe *b)
{
    mem_free(b->pairs);
    *b = (struct bpe){0};
}

static void rank_pair(const void *arg, const char *word, struct merge_sym *a,
                      const struct merge_sym *next)
{
    const struct bpe *b = arg;
    (void)word;
    a->rank = MERGE_NEVER;
    if (a->id < 0 || next->id < 0) return;
    uint64_t key = (uint64_t)a->id << 32 | (uint32_t)next->id;
    for (size_t i = slot_of(b, key); b->pairs[i].joined >= 0; i = (i + 1) & b->mask) {
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
