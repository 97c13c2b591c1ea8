/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.c - puts the parts together: special tokens are cut out of the text, the rest goes
 * through the encoder of the vocabulary's kind. */
#include "src/text/tokenizer.h"
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/text/bpe.h"
#include "src/text/nfc.h"
#include "src/text/pretokenize.h"
#include "src/text/spm.h"
#include "src/text/unigram.h"

#define MAX_TEXT ((size_t)1 << 30)

struct tokenizer {
    struct vocab v;
    struct bpe bpe;
    struct unigram unigram;
    struct pretokenizer *pre; /* BPE with merges only */
};

const struct vocab *tokenizer_vocab(const struct tokenizer *t)
{
    return &t->v;
}

bool token_vec_push(struct token_vec *v, int32_t id)
{
    if (v->n == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 64;
        int32_t *ids = mem_realloc(v->ids, cap * sizeof *ids, MEM_TEXT);
        if (!ids) return false;
        v->ids = ids;
        v->cap = cap;
    }
    v->ids[v->n++] = id;
    return true;
}

static enum fk_status read_merges(struct tokenizer *t, const struct gguf *g, struct fk_error *err)
{
    struct gguf_str pre = {0};
    if (t->v.kind == VOCAB_CHAR_BPE) pre = (struct gguf_str){"gemma4", 6};
    else TRY(gguf_get_str(g, "tokenizer.ggml.pre", false, &pre, err));
    TRY(pretokenizer_create(&t->pre, pre, err));
    if (t->v.bos >= 0 && pretokenizer_traits(t->pre)->add_bos &&
        !gguf_find(g, "tokenizer.ggml.add_bos_token"))
        t->v.add_bos = true;
    return bpe_read(&t->bpe, &t->v, g, err);
}

enum fk_status tokenizer_from_gguf(struct tokenizer **out, const struct gguf *g,
                                   struct fk_error *err)
{
    enum fk_status st;
    *out = NULL;
    struct tokenizer *t = mem_zalloc(sizeof *t, MEM_TEXT);
    if (!t) return fail_nomem(err, sizeof *t, "a tokenizer");
    TRY_GOTO(vocab_read(&t->v, g, err), failed);
    if (t->v.kind == VOCAB_UNIGRAM) TRY_GOTO(unigram_read(&t->unigram, &t->v, g, err), failed);
    else if (t->v.kind != VOCAB_SPM) TRY_GOTO(read_merges(t, g, err), failed);
    *out = t;
    return FK_OK;
failed:
    tokenizer_destroy(&t);
    return st;
}

void tokenizer_destroy(struct tokenizer **t)
{
    if (!*t) return;
    pretokenizer_destroy(&(*t)->pre);
    bpe_fini(&(*t)->bpe);
    unigram_fini(&(*t)->unigram);
    vocab_fini(&(*t)->v);
    mem_free(*t);
    *t = NULL;
}

/* All the memory of one encoding. */
struct encoder {
    const struct tokenizer *t;
    struct merger merger;
    struct pre_scratch *pre;
    struct unigram_scratch unigram;
    struct nfc_scratch nfc;
    struct buf text;
    struct token_vec *out;
    struct fk_error *err;
};

static bool is_newlines(const char *s, size_t n)
{
    while (n && s[n - 1] == '\n') n--;
    return !n;
}

static bool encode_word(void *arg, const char *word, size_t n)
{
    struct encoder *e = arg;
    const struct tokenizer *t = e->t;
    bool chars = t->v.kind == VOCAB_CHAR_BPE;
    if (chars ? is_newlines(word, n) : pretokenizer_traits(t->pre)->ignore_merges) {
        int32_t id = vocab_find(&t->v, word, n);
        if (id >= 0) return token_vec_push(e->out, id);
    }
    return chars ? bpe_encode_chars(&t->bpe, &t->v, &e->merger, word, n, e->out)
                 : bpe_encode_bytes(&t->bpe, &t->v, &e->merger, word, n, e->out);
}

static enum fk_status no_memory(const struct encoder *e, size_t n)
{
    return fail_nomem(e->err, n, "the tokens of a text");
}

static enum fk_status encode_valid(struct encoder *e, const char *s, size_t n, bool maybe_not_nfc)
{
    const struct tokenizer *t = e->t;
    if (!e->pre && !(e->pre = pre_scratch_create(t->pre))) return no_memory(e, n);
    if (maybe_not_nfc && pretokenizer_traits(t->pre)->nfc) {
        if (!nfc_normalize(&e->nfc, s, n, &e->text)) return no_memory(e, n);
        s = e->text.data;
        n = e->text.n;
    } else if (t->v.kind == VOCAB_CHAR_BPE) {
        buf_clear(&e->text);
        if (!buf_append(&e->text, s, n)) return no_memory(e, n);
        s = e->text.data;
        n = spaces_decode(s, n, e->text.data);
    }
    return pretokenize(t->pre, e->pre, s, n, encode_word, e, e->err);
}

/* Patterns want valid UTF-8, so bytes that are not become byte tokens one by one. */
static enum fk_status encode_merges(struct encoder *e, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t begin = i, len;
        bool maybe_not_nfc = false;
        while (i < n) {
            if ((uint8_t)s[i] < 0x80) {
                i++;
                continue;
            }
            uint32_t cp = utf8_decode(s + i, n - i, &len);
            if (cp == UTF8_BAD) break;
            if (cp >= 0x300) maybe_not_nfc = true; /* below that all text is NFC */
            i += len;
        }
        if (i > begin) TRY(encode_valid(e, s + begin, i - begin, maybe_not_nfc));
        for (; i < n && utf8_decode(s + i, n - i, &len) == UTF8_BAD; i++) {
            int32_t id = e->t->v.byte_id[(uint8_t)s[i]];
            if (id >= 0 && !token_vec_push(e->out, id)) return no_memory(e, n);
        }
    }
    return FK_OK;
}

/* prefix: the text begins here, or a control token stands before it. */
static enum fk_status encode_plain(struct encoder *e, const char *s, size_t n, bool prefix)
{
    const struct vocab *v = &e->t->v;
    prefix = prefix && v->add_space_prefix;
    if (!n) return FK_OK;
    if (v->kind == VOCAB_UNIGRAM)
        return unigram_encode(&e->t->unigram, v, &e->unigram, s, n, prefix, e->out)
                   ? FK_OK : no_memory(e, n);
    if (v->kind != VOCAB_SPM) return encode_merges(e, s, n);
    buf_clear(&e->text);
    if (prefix) buf_putc(&e->text, ' ');
    if (!buf_append(&e->text, s, n) || e->text.failed) return no_memory(e, n);
    size_t len = spaces_decode(e->text.data, e->text.n, e->text.data);
    return spm_encode(v, &e->merger, e->text.data, len, e->out) ? FK_OK : no_memory(e, n);
}

/* The bytes at s that stand for one byte of a token, which is *c: SentencePiece's kinds hold U+2581
 * for a space, in a text too. */
static size_t special_step(const struct vocab *v, const char *s, size_t n, uint8_t *c)
{
    *c = (uint8_t)*s;
    if (*c != 0xe2 || n < 3 || (v->kind != VOCAB_SPM && v->kind != VOCAB_UNIGRAM) ||
        memcmp(s, "\xe2\x96\x81", 3))
        return 1;
    *c = ' ';
    return 3;
}

/* The longest special token that s[0..n) begins with and that the marks allow; -1: none. */
static int32_t match_special(const struct vocab *v, const char *s, size_t n, const uint8_t *trusted,
                             size_t *len)
{
    int32_t found = -1;
    uint32_t node = 0;
    bool all_trusted = trusted != NULL;
    for (size_t i = 0; i < n;) {
        uint8_t c;
        size_t end = i + special_step(v, s + i, n - i, &c);
        node = trie_child(&v->specials, node, c);
        if (!node) break;
        for (; i < end; i++) all_trusted = all_trusted && trusted[i];
        int32_t id = v->specials.ids[node];
        if (id < 0 || (!all_trusted && (v->flags[id] & TOKEN_TRUSTED))) continue;
        found = id;
        *len = end;
    }
    return found;
}

static enum fk_status encode_all(struct encoder *e, const char *s, size_t n,
                                 const uint8_t *trusted)
{
    const struct vocab *v = &e->t->v;
    size_t begin = 0, len = 0;
    bool prefix = true;
    for (size_t i = 0; i < n;) {
        int32_t id = -1;
        uint8_t c;
        special_step(v, s + i, n - i, &c);
        if (v->specials.first[c])
            id = match_special(v, s + i, n - i, trusted ? trusted + i : NULL, &len);
        if (id < 0) {
            i++;
            continue;
        }
        TRY(encode_plain(e, s + begin, i - begin, prefix));
        if (!token_vec_push(e->out, id)) return no_memory(e, n);
        prefix = (v->flags[id] & TOKEN_HIDDEN) || (prefix && i == begin);
        i += len;
        begin = i;
    }
    return encode_plain(e, s + begin, n - begin, prefix);
}

enum fk_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t n,
                                const uint8_t *trusted, struct token_vec *out,
                                struct fk_error *err)
{
    struct encoder e = {.t = t, .out = out, .err = err};
    size_t n_before = out->n;
    if (n > MAX_TEXT)
        return fail(err, FK_ETOOBIG, "a text of %zu bytes is longer than the limit of %zu", n,
                    MAX_TEXT);
    buf_init(&e.text, 0, MEM_TEXT);
    unigram_scratch_init(&e.unigram);
    enum fk_status st = encode_all(&e, text, n, trusted);
    merger_fini(&e.merger);
    pre_scratch_destroy(&e.pre);
    unigram_scratch_fini(&e.unigram);
    nfc_scratch_fini(&e.nfc);
    buf_fini(&e.text);
    if (st) out->n = n_before;
    return st;
}

int32_t tokenizer_n_vocab(const struct tokenizer *t)
{
    return t->v.n;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->v.bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->v.eos;
}

bool tokenizer_adds_bos(const struct tokenizer *t)
{
    return t->v.add_bos;
}

bool tokenizer_adds_eos(const struct tokenizer *t)
{
    return t->v.add_eos;
}

static bool has_flag(const struct tokenizer *t, int32_t id, unsigned flag)
{
    return id >= 0 && id < t->v.n && (t->v.flags[id] & flag);
}

bool tokenizer_is_end(const struct tokenizer *t, int32_t id)
{
    return has_flag(t, id, TOKEN_END);
}

bool tokenizer_is_control(const struct tokenizer *t, int32_t id)
{
    return has_flag(t, id, TOKEN_HIDDEN);
}

int32_t tokenizer_find(const struct tokenizer *t, const char *text)
{
    size_t n = strlen(text);
    int32_t id = trie_find(&t->v.specials, text, n);
    if (id < 0) id = vocab_find(&t->v, text, n);
    return id < 0 && n == 1 ? t->v.byte_id[(uint8_t)*text] : id;
}

bool tokenizer_token_bytes(const struct tokenizer *t, int32_t id, const char **bytes, size_t *n)
{
    if (id < 0 || id >= t->v.n) return false;
    *bytes = vocab_bytes(&t->v, id, n);
    return true;
}
