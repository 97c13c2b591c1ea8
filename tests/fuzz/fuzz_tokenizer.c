/* SPDX-License-Identifier: Apache-2.0
 * fuzz_tokenizer.c - any text through small vocabularies of every kind: ids exist, plain text never
 * becomes a control token, decoding gives the bytes back. Byte 0 chooses the vocabulary; the marks
 * of trust come from the text itself. */
#include <string.h>
#include "src/base/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/text/vocab_build.h"

static const char *const pres[] = {"gpt-2", "llama-bpe", "deepseek-v3", "deepseek-llm",
                                   "deepseek-coder", "smollm", "gpt-4o", "falcon", "default",
                                   "qwen35", "tekken", "bailingmoe", "jais-2", "bloom"};
#define N_PRES (sizeof pres / sizeof *pres)
#define NFC_PRE 9
#define N_KINDS (N_PRES + 4)

static struct tokenizer *tokenizers[N_KINDS];

/* Before any input, so that what is built does not look like a leak of the first one. */
__attribute__((constructor)) static void build_all(void)
{
    struct fk_error err;
    for (size_t i = 0; i < N_PRES; i++)
        MUST(!small_bpe(&tokenizers[i], pres[i], small_joins, N_SMALL_JOINS, &err));
    for (size_t i = 0; i < 4; i++)
        MUST(!small_spm(&tokenizers[N_PRES + i], i & 1 ? "t5" : "llama", i & 2, small_pieces,
                        N_SMALL_PIECES, &err));
}

__attribute__((destructor)) static void destroy_all(void)
{
    for (size_t i = 0; i < N_KINDS; i++) tokenizer_destroy(&tokenizers[i]);
}

/* What decoding has to give: SentencePiece takes U+2581 for a space. */
static size_t expected(char *out, const char *s, size_t n, bool sp)
{
    size_t k = 0;
    for (size_t i = 0; i < n;) {
        if (sp && n - i >= 3 && !memcmp(s + i, "\xe2\x96\x81", 3)) {
            out[k++] = ' ';
            i += 3;
        } else {
            out[k++] = s[i++];
        }
    }
    return k;
}

static void check(const struct tokenizer *t, size_t kind, const char *s, size_t n,
                  const uint8_t *trusted)
{
    struct token_vec ids = {0};
    struct fk_error err;
    struct detokenizer d;
    struct buf back;
    buf_init(&back, 0, MEM_MISC);
    char *want = malloc(n + 1);
    MUST(want);
    size_t n_want = expected(want, s, n, kind >= N_PRES);
    enum fk_status st = tokenizer_encode(t, s, n, trusted, &ids, &err);
    MUST(st == FK_OK || st == FK_ENOMEM);
    detokenizer_init(&d, t, true);
    for (size_t i = 0; i < ids.n; i++) {
        MUST(ids.ids[i] >= 0 && ids.ids[i] < tokenizer_n_vocab(t));
        MUST(trusted || !tokenizer_is_control(t, ids.ids[i]));
        detokenizer_push(&d, ids.ids[i], &back);
    }
    if (st == FK_OK && !back.failed && kind != NFC_PRE) {
        MUST(back.n == n_want);
        MUST(!n_want || !memcmp(back.data, want, n_want));
    }
    free(want);
    mem_free(ids.ids);
    buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n) return 0;
    size_t kind = data[0] % N_KINDS;
    const char *s = (const char *)data + 1;
    n--;
    check(tokenizers[kind], kind, s, n, NULL);
    uint8_t *marks = malloc(n + 1);
    MUST(marks);
    for (size_t i = 0; i < n; i++) marks[i] = data[0] & 0x80 ? 1 : (uint8_t)s[i] % 61 != 0;
    check(tokenizers[kind], kind, s, n, marks);
    free(marks);
    return 0;
}
