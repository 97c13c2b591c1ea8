/* SPDX-License-Identifier: Apache-2.0
 * pre_patterns.h - the published pre-tokenizer patterns, by the names that GGUF files use in
 * tokenizer.ggml.pre. Data only; included once, by pretokenize.c.
 *
 * The patterns are those of each model's tokenizer.json, with \s written out as the characters of
 * Unicode's White_Space: PCRE2 counts U+180E too, the regex engines of the reference do not. A
 * scheme of several steps splits the pieces of one step by the next. "\s+$" is no pattern here:
 * searched for from every start it takes quadratic time on spaces, so step SPACES_AT_END does
 * it. */
#ifndef TEXT_PRE_PATTERNS_H
#define TEXT_PRE_PATTERNS_H

#define SPACE                                                                                      \
    "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"                \
    "\\x{205f}\\x{3000}"
#define S "[" SPACE "]"
#define S_AT_END S "+(?![^" SPACE "])"
#define SPACES_AT_END ""

#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define ANY_CASE_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define SYMBOLS " ?[^" SPACE "\\p{L}\\p{N}]+"
#define NEWLINES_AND_SPACES S "*[\\r\\n]+|" S_AT_END "|" S "+"
#define ASCII_PUNCT "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"

#define GPT2                                                                                       \
    CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+|" SYMBOLS "|" S_AT_END "|" S "+"
#define LLAMA3_WITH(digits)                                                                        \
    ANY_CASE_CONTRACTIONS "|" LEAD "\\p{L}+|" digits "|" SYMBOLS "[\\r\\n]*|" NEWLINES_AND_SPACES
#define CASED_WITH(suffix, digits)                                                                 \
    LEAD UPPER "*" LOWER "+" suffix "|" LEAD UPPER "+" LOWER "*" suffix "|" digits "|"             \
    SYMBOLS "[\\r\\n/]*|" NEWLINES_AND_SPACES
#define QWEN35                                                                                     \
    ANY_CASE_CONTRACTIONS "|" LEAD "[\\p{L}\\p{M}]+|\\p{N}| ?[^" SPACE                             \
    "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" NEWLINES_AND_SPACES
#define SEED_CODER                                                                                 \
    ANY_CASE_CONTRACTIONS "|" LEAD "\\p{L}+|\\p{N}| ?[^" SPACE "\\p{L}\\p{N}\\r\\n]+|"             \
    NEWLINES_AND_SPACES
#define BAILING                                                                                    \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^" SPACE                       \
    "\\p{L}\\p{N}]++[\\r\\n]*|" S "*[\\r\\n]|" S_AT_END "|" S "+"
#define JAIS2                                                                                      \
    ANY_CASE_CONTRACTIONS "|" LEAD "\\p{L}+|\\p{N}{1,3}|" SYMBOLS "[\\r\\n]*|" S "*[\\r\\n]+|"     \
    S "{512}(?![^" SPACE "])|" S "{256}(?![^" SPACE "])|" S "{128}(?![^" SPACE "])|"               \
    S "{64}(?![^" SPACE "])|" S "{32}(?![^" SPACE "])|" S "{16}(?![^" SPACE "])|"                  \
    S "{8}(?![^" SPACE "])|" S "{4}(?![^" SPACE "])|" S "{1,2}(?![^" SPACE "])|" S "{1}"

#define CJK_AND_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define DEEPSEEK3_MAIN                                                                             \
    ASCII_PUNCT "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|"\
    NEWLINES_AND_SPACES
#define DEEPSEEK_CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
/* Letters of scripts with case, as DeepSeek LLM lists them. */
#define DEEPSEEK_LETTERS                                                                           \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"                 \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}" \
    "\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}"         \
    "\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}"  \
    "\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}"                 \
    "\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}"                 \
    "\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}"         \
    "\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}"        \
    "\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}"                 \
    "\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}"\
    "\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"         \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"         \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}"                  \
    "\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}"                 \
    "\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}"                 \
    "\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}"         \
    "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define DEEPSEEK_PUNCT                                                                             \
    "!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}"
/* Falcon's first step is the reference's "Punctuation": ASCII's, and \p{P} of the older Unicode that
 * its tables hold. What came later is left out, and so the set does not depend on PCRE2's age.
 * Under UCP [:punct:] is \p{P} and ASCII's symbols. */
#define LATER_PUNCT                                                                                \
    "\\x{61d}\\x{9fd}\\x{a76}\\x{c77}\\x{c84}\\x{1b4e}\\x{1b4f}\\x{1b7d}-\\x{1b7f}"                \
    "\\x{2e43}-\\x{2e4f}\\x{2e52}-\\x{2e5d}\\x{10d6e}\\x{10ead}\\x{10f55}-\\x{10f59}"              \
    "\\x{10f86}-\\x{10f89}\\x{113d4}\\x{113d5}\\x{113d7}\\x{113d8}\\x{1144b}-\\x{1144f}"           \
    "\\x{1145a}\\x{1145b}\\x{1145d}\\x{11660}-\\x{1166c}\\x{116b9}\\x{1183b}\\x{11944}-\\x{11946}" \
    "\\x{119e2}\\x{11a3f}-\\x{11a46}\\x{11a9a}-\\x{11a9c}\\x{11a9e}-\\x{11aa2}"                    \
    "\\x{11b00}-\\x{11b09}\\x{11be1}\\x{11c41}-\\x{11c45}\\x{11c70}\\x{11c71}\\x{11ef7}\\x{11ef8}" \
    "\\x{11f43}-\\x{11f4f}\\x{11fff}\\x{12ff1}\\x{12ff2}\\x{16d6d}-\\x{16d6f}\\x{16e97}-\\x{16e9a}"\
    "\\x{16fe2}\\x{1e5ff}\\x{1e95e}\\x{1e95f}"
#define FALCON_PUNCT "(?:[^[:^punct:]" LATER_PUNCT "]++|[\\x{166d}\\x{111c9}])++"
#define BLOOM_WORDS                                                                                \
    " ?[^(" SPACE "|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"

#define MAX_STEPS 6
static const struct scheme { const char *steps[MAX_STEPS]; } schemes[] = {
#define SCHEME_DEFAULT 0
    {{"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
#define SCHEME_GPT2 1
    {{GPT2}},
#define SCHEME_DIGITS_GPT2 2
    {{"\\p{N}", GPT2}},
#define SCHEME_LLAMA3 3
    {{LLAMA3_WITH("\\p{N}{1,3}")}},
#define SCHEME_QWEN2 4
    {{LLAMA3_WITH("\\p{N}")}},
#define SCHEME_QWEN35 5
    {{QWEN35}},
#define SCHEME_DEEPSEEK_LLM 6
    {{"[\\r\\n]", S "?[" DEEPSEEK_LETTERS "]+", S "?[" DEEPSEEK_PUNCT "]+", SPACES_AT_END,
      DEEPSEEK_CJK, "\\p{N}+"}},
#define SCHEME_DEEPSEEK_CODER 7
    {{"[\\r\\n]", S "?\\p{L}+", S "?\\p{P}+", DEEPSEEK_CJK, "\\p{N}"}},
#define SCHEME_DEEPSEEK3 8
    {{"\\p{N}{1,3}", CJK_AND_KANA, DEEPSEEK3_MAIN}},
#define SCHEME_FALCON 9
    {{FALCON_PUNCT, GPT2, "[0-9][0-9][0-9]"}},
#define SCHEME_GPT4O 10
    {{CASED_WITH(ANY_CASE_CONTRACTIONS "?", "\\p{N}{1,3}")}},
#define SCHEME_TEKKEN 11
    {{CASED_WITH("", "\\p{N}")}},
#define SCHEME_BLOOM 12
    {{BLOOM_WORDS}},
#define SCHEME_VIKING 13
    {{BLOOM_WORDS, "\\p{N}"}},
#define SCHEME_BAILING 14
    {{BAILING}},
#define SCHEME_SEED_CODER 15
    {{SEED_CODER}},
#define SCHEME_MINICPM5 16
    {{"\\p{N}{1,3}", LLAMA3_WITH("\\p{N}+")}},
#define SCHEME_JAIS2 17
    {{JAIS2}},
#define SCHEME_LINES 18
    {{"\\n+"}},
};

static const struct pre_name {
    const char *name;
    int scheme;
    struct pre_traits traits; /* ignore_merges, add_bos, nfc */
} pre_names[] = {
    {"default", SCHEME_DEFAULT, {0, 0, 0}},
    {"gpt-2", SCHEME_GPT2, {0, 0, 0}},
    {"phi-2", SCHEME_GPT2, {0, 0, 0}},
    {"gigachat", SCHEME_GPT2, {0, 0, 0}},
    {"modern-bert", SCHEME_GPT2, {0, 0, 0}},
    {"mellum", SCHEME_GPT2, {0, 0, 0}},
    {"jais", SCHEME_GPT2, {0, 0, 0}},
    {"trillion", SCHEME_GPT2, {0, 0, 0}},
    {"granite-docling", SCHEME_GPT2, {0, 0, 0}},
    {"mpt", SCHEME_GPT2, {0, 0, 1}},
    {"olmo", SCHEME_GPT2, {0, 0, 1}},
    {"smollm", SCHEME_DIGITS_GPT2, {0, 0, 0}},
    {"starcoder", SCHEME_DIGITS_GPT2, {0, 0, 0}},
    {"refact", SCHEME_DIGITS_GPT2, {0, 0, 0}},
    {"command-r", SCHEME_DIGITS_GPT2, {0, 0, 1}},
    {"codeshell", SCHEME_DIGITS_GPT2, {0, 0, 0}},
    {"exaone", SCHEME_DIGITS_GPT2, {0, 0, 0}},
    {"minerva-7b", SCHEME_DIGITS_GPT2, {0, 0, 0}},
    {"mellum2", SCHEME_DIGITS_GPT2, {0, 0, 0}},
    {"llama-bpe", SCHEME_LLAMA3, {1, 1, 0}},
    {"llama3", SCHEME_LLAMA3, {1, 1, 0}},
    {"llama-v3", SCHEME_LLAMA3, {1, 1, 0}},
    {"falcon3", SCHEME_LLAMA3, {1, 1, 0}},
    {"falcon-h1", SCHEME_LLAMA3, {1, 1, 0}},
    {"pixtral", SCHEME_LLAMA3, {1, 1, 0}},
    {"midm-2.0", SCHEME_LLAMA3, {1, 1, 0}},
    {"lfm2", SCHEME_LLAMA3, {1, 1, 0}},
    {"dbrx", SCHEME_LLAMA3, {0, 0, 0}},
    {"smaug-bpe", SCHEME_LLAMA3, {0, 0, 0}},
    {"chatglm-bpe", SCHEME_LLAMA3, {0, 0, 0}},
    {"glm4", SCHEME_LLAMA3, {1, 0, 0}},
    {"glm5", SCHEME_LLAMA3, {1, 0, 0}},
    {"qwen2", SCHEME_QWEN2, {0, 0, 1}},
    {"deepseek-r1-qwen", SCHEME_QWEN2, {0, 0, 0}},
    {"kormo", SCHEME_QWEN2, {0, 0, 0}},
    {"stablelm2", SCHEME_QWEN2, {0, 0, 0}},
    {"hunyuan", SCHEME_QWEN2, {0, 0, 0}},
    {"solar-open", SCHEME_QWEN2, {0, 0, 0}},
    {"megrez", SCHEME_QWEN2, {0, 0, 0}},
    {"grok-2", SCHEME_QWEN2, {0, 0, 0}},
    {"qwen35", SCHEME_QWEN35, {0, 0, 1}},
    {"deepseek-llm", SCHEME_DEEPSEEK_LLM, {0, 0, 0}},
    {"deepseek-coder", SCHEME_DEEPSEEK_CODER, {0, 0, 0}},
    {"deepseek-v3", SCHEME_DEEPSEEK3, {0, 0, 0}},
    {"hunyuan-dense", SCHEME_DEEPSEEK3, {0, 0, 0}},
    {"joyai-llm", SCHEME_DEEPSEEK3, {0, 0, 0}},
    {"falcon", SCHEME_FALCON, {0, 0, 0}},
    {"gpt-4o", SCHEME_GPT4O, {0, 0, 0}},
    {"llama4", SCHEME_GPT4O, {0, 0, 0}},
    {"kanana2", SCHEME_GPT4O, {0, 0, 0}},
    {"minimax-m2", SCHEME_GPT4O, {0, 0, 0}},
    {"tekken", SCHEME_TEKKEN, {1, 1, 0}},
    {"bloom", SCHEME_BLOOM, {0, 0, 0}},
    {"poro-chat", SCHEME_BLOOM, {0, 0, 0}},
    {"gpt3-finnish", SCHEME_BLOOM, {0, 0, 0}},
    {"viking", SCHEME_VIKING, {0, 0, 0}},
    {"bailingmoe", SCHEME_BAILING, {0, 0, 0}},
    {"bailingmoe2", SCHEME_BAILING, {0, 0, 0}},
    {"llada-moe", SCHEME_BAILING, {0, 0, 0}},
    {"seed-coder", SCHEME_SEED_CODER, {0, 0, 0}},
    {"minicpm5", SCHEME_MINICPM5, {1, 0, 0}},
    {"jais-2", SCHEME_JAIS2, {0, 0, 0}},
    {"gemma4", SCHEME_LINES, {0, 0, 0}},
};

#endif
