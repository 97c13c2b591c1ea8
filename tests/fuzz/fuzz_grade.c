/* SPDX-License-Identifier: Apache-2.0
 * fuzz_grade.c - any bytes as a prompt and a reply (a NUL between them): recognition and grading end,
 * a right answer is right, and what is recognised can be thought through. */
#include <string.h>
#include "src/grade/grade.h"
#include "src/grade/number.h"
#include "tests/fuzz/fuzz.h"

static void check_puzzle(const struct grade_puzzle *p, enum fk_lang lang)
{
    struct buf answer, thinking;
    buf_init(&answer, 0, MEM_TEXT);
    buf_init(&thinking, 0, MEM_TEXT);
    uint64_t hash = grade_hash(p);
    MUST(hash == grade_hash(p));
    if (grade_answer(p, lang, &answer) && answer.data) {
        MUST(answer.n < 250);
        struct mem_stats before, after;
        mem_get_stats(&before);
        bool right = grade_verify(p, lang, answer.data, answer.n);
        mem_get_stats(&after);
        /* An injected failure may make a right answer look wrong, never the other way round. */
        MUST(right || after.n_calls != before.n_calls);
    }
    struct dice dice = dice_make(1, hash);
    grade_think(p, lang, FK_STYLE_SEARCH, &dice, &thinking);
    buf_fini(&answer);
    buf_fini(&thinking);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *prompt = (const char *)data;
    const char *nul = n ? memchr(prompt, 0, n) : NULL;
    size_t n_prompt = nul ? (size_t)(nul - prompt) : n;
    const char *reply = nul ? nul + 1 : prompt;
    size_t n_reply = nul ? n - n_prompt - 1 : n;
    struct grade_puzzle p;
    struct number v;
    enum fk_lang lang;
    if (grade_parse(prompt, n_prompt, &p, &lang)) {
        check_puzzle(&p, lang);
        bool strict = grade_verify(&p, lang, reply, n_reply);
        bool loose = grade_verify_loosely(&p, lang, reply, n_reply);
        (void)strict;
        (void)loose;
    }
    if (number_find_last(reply, n_reply, &v)) MUST(v.den > 0);
    struct fk_check out;
    fk_check_reply(prompt, n_prompt, reply, n_reply, &out);
    MUST(memchr(out.right, 0, sizeof out.right));
    return 0;
}
