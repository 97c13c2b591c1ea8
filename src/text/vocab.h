/* SPDX-License-Identifier: Apache-2.0
 * vocab.h - the tables of a vocabulary: the bytes, type and score of every token, and the way back
 * from bytes to ids. Token bytes are stored decoded: the GPT-2 alphabet is undone and U+2581 is a
 * space, so the encoders below work on plain text. Internal to this room. */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H
#include "src/file/gguf.h"
#include "src/text/alphabet.h"
#include "src/text/hash.h"
#include "src/text/trie.h"

#define VOCAB_MAX_TOKENS ((int64_t)1 << 24)
#define SPECIAL_MAX_BYTES 256u /* longer special tokens are not looked for in text */
#define PIECE_MAX_BYTES 1024u  /* longer normal tokens are never the result of encoding */

enum vocab_kind {
    VOCAB_BYTE_BPE, /* "gpt2": merges over the GPT-2 byte alphabet */
    VOCAB_CHAR_BPE, /* "gemma4": merges over characters, space as U+2581 */
    VOCAB_SPM,      /* "llama": SentencePiece BPE, the order comes from scores */
    VOCAB_UNIGRAM   /* "t5": SentencePiece unigram */
};

enum token_type { /* as in tokenizer.ggml.token_type */
    TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER, TOKEN_UNUSED, TOKEN_BYTE
};

enum { /* token flags */
    TOKEN_HIDDEN = 1,  /* control or unknown: no text of its own */
    TOKEN_TRUSTED = 2, /* matched in trusted text only */
    TOKEN_END = 4,     /* ends a generation */
    TOKEN_LITERAL = 8, /* its text is not of the GPT-2 alphabet */
    TOKEN_SHADOWED = 16  /* a later token has the same bytes */
};

struct vocab_slot { uint32_t hash, next_id; }; /* id + 1; 0 marks an empty slot */

struct vocab {
    enum vocab_kind kind;
    int32_t n;
    char *bytes;       /* PADDING more than the texts have */
    uint32_t *start;   /* token i is bytes[start[i] .. start[i + 1]) */
    uint8_t *type, *flags;
    float *score;      /* SPM and unigram */
    struct vocab_slot *slots; /* [mask + 1], page-backed: normal tokens by bytes */
    uint32_t mask, max_len;
    struct trie specials;     /* unknown, control and user-defined tokens */
    int32_t byte_id[256];     /* the token of a single byte, or -1 */
    int32_t bos, eos, unk;    /* -1: none */
    bool add_bos, add_eos, add_space_prefix, remove_extra_spaces;
    bool words_split;         /* SPM: no token has a space after another character */
};

/* v must be zeroed. On failure vocab_fini releases what was built. */
enum fk_status vocab_read(struct vocab *v, const struct gguf *g, struct fk_error *err);
void vocab_fini(struct vocab *v);

/* The normal token with exactly these bytes, or -1. */
int32_t vocab_find(const struct vocab *v, const char *bytes, size_t n);
/* Replaces U+2581 by a space; returns the length. out may be text. */
size_t spaces_decode(const char *text, size_t n, char *out);

static inline const char *vocab_bytes(const struct vocab *v, int32_t id, size_t *n)
{
    *n = v->start[id + 1] - v->start[id];
    return v->bytes + v->start[id];
}

/* The same, n > 0, for hash_bytes(bytes, n) that is known, after its slot was asked for in time. Behind
 * bytes are PADDING more. */
static inline int32_t vocab_find_padded(const struct vocab *v, const char *bytes, size_t n,
                                        uint32_t hash)
{
    for (uint32_t i = hash & v->mask; v->slots[i].next_id; i = (i + 1) & v->mask) {
        if (v->slots[i].hash != hash) continue;
        size_t len;
        int32_t id = (int32_t)v->slots[i].next_id - 1;
        const char *p = vocab_bytes(v, id, &len);
        if (len == n && same_padded(p, bytes, n)) return id;
    }
    return -1;
}
static inline void vocab_prefetch(const struct vocab *v, uint32_t hash)
{
    __builtin_prefetch(&v->slots[hash & v->mask]);
}

struct tokenizer;
const struct vocab *tokenizer_vocab(const struct tokenizer *t);

/* vocab_special.c: marks ends of generation and fills the trie of special tokens. */
enum fk_status vocab_mark_special(struct vocab *v, const struct gguf *g, struct fk_error *err);

#endif
