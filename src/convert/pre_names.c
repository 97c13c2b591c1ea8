/* SPDX-License-Identifier: Apache-2.0
 * pre_names.c - the published pre-tokenizers: their patterns in tokenizer.json on one side, the names
 * of tokenizer.ggml.pre on the other. text/pre_patterns.h has what the names mean. */
#include <string.h>
#include "src/convert/vocab_in.h"

#define CASED "[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define SHORT_FORMS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CASED_TAIL " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#define LLAMA3 SHORT_FORMS "|" CASED "\\p{L}+|\\p{N}{1,3}|" TAIL
#define QWEN2 SHORT_FORMS "|" CASED "\\p{L}+|\\p{N}|" TAIL
#define DEEPSEEK3                                                                                  \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"\
    " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT4O                                                                                      \
    CASED UPPER "*" LOWER "+" SHORT_FORMS "?|" CASED UPPER "+" LOWER "*" SHORT_FORMS               \
    "?|\\p{N}{1,3}|" CASED_TAIL
#define TEKKEN CASED UPPER "*" LOWER "+|" CASED UPPER "+" LOWER "*|\\p{N}|" CASED_TAIL
/* U+4E00-U+9FA5, U+3040-U+309F, U+30A0-U+30FF */
#define CJK_AND_KANA "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+"
#define DIGITS "@digits"   /* {"type": "Digits", "individual_digits": true} */
#define GPT2 "@byte_level" /* ByteLevel with its own pattern */
#define ANY "@any"         /* the rest, whatever it is: only ever read */

static const struct pre {
    const char *name;
    const char *steps[4];
    int nfc, ignore_merges; /* -1: does not tell */
} pres[] = {
    {"llama-bpe", {LLAMA3}, -1, 1},
    {"dbrx", {LLAMA3}, -1, 0},
    {"qwen2", {QWEN2}, 1, -1},
    {"deepseek-r1-qwen", {QWEN2}, 0, -1},
    {"deepseek-v3", {"\\p{N}{1,3}", CJK_AND_KANA, DEEPSEEK3}, -1, -1},
    {"deepseek-llm", {"[\\r\\n]", "\\s?[A-Za-z\xc2\xb5", ANY}, -1, -1},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", ANY}, -1, -1},
    {"gpt-4o", {GPT4O}, -1, -1},
    {"tekken", {TEKKEN}, -1, -1},
    {"smollm", {DIGITS, GPT2}, -1, -1},
    {"olmo", {GPT2}, 1, -1},
    {"gpt-2", {GPT2}, 0, -1},
};

#define MAX_PATTERN 2048

/* What one entry of a pre_tokenizer does, in the words above; "" for nothing. NULL: not known. */
static const char *step_of(const json_t *step, char b[MAX_PATTERN])
{
    const char *type = json_string_value(json_object_get(step, "type"));
    if (!type) return NULL;
    if (strcmp(type, "Digits") == 0)
        return json_is_true(json_object_get(step, "individual_digits")) ? DIGITS : NULL;
    if (strcmp(type, "ByteLevel") == 0) {
        if (json_is_true(json_object_get(step, "add_prefix_space"))) return NULL;
        return json_is_false(json_object_get(step, "use_regex")) ? "" : GPT2;
    }
    const char *regex = json_string_value(json_object_get(json_object_get(step, "pattern"), "Regex"));
    if (strcmp(type, "Split") != 0 || !regex) return NULL;
    size_t n = 0;
    for (; *regex && n < MAX_PATTERN - 2; regex++) { /* some write line ends as they are, some escaped */
        if (*regex == '\r' || *regex == '\n') b[n++] = '\\';
        b[n++] = *regex == '\r' ? 'r' : *regex == '\n' ? 'n' : *regex;
    }
    b[n] = 0;
    return b; /* a longer one is cut: only deepseek-llm has one, and it is told by its beginning */
}

static bool has_nfc(const json_t *normalizer)
{
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    if (type && strcmp(type, "NFC") == 0) return true;
    const json_t *list = json_object_get(normalizer, "normalizers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        type = json_string_value(json_object_get(json_array_get(list, i), "type"));
        if (type && strcmp(type, "NFC") == 0) return true;
    }
    return false;
}

static bool matches(const struct pre *p, const json_t *list)
{
    char b[MAX_PATTERN];
    size_t k = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (k < 4 && p->steps[k] && strcmp(p->steps[k], ANY) == 0) return true;
        const char *step = step_of(json_array_get(list, i), b);
        if (!step) return false;
        if (!*step) continue;
        if (k == 4 || !p->steps[k]) return false;
        /* a step before ANY is told by its beginning */
        bool open = k + 1 < 4 && p->steps[k + 1] && strcmp(p->steps[k + 1], ANY) == 0;
        if (open ? strncmp(step, p->steps[k], strlen(p->steps[k])) : strcmp(step, p->steps[k]))
            return false;
        k++;
    }
    return k == 4 || !p->steps[k];
}

const char *pre_name_of(const json_t *pre_tokenizer, const json_t *normalizer, bool ignore_merges)
{
    json_t *list = json_object_get(pre_tokenizer, "pretokenizers");
    json_t *one = NULL;
    const char *name = NULL;
    bool nfc = has_nfc(normalizer);
    if (!list) {
        list = one = json_array();
        json_array_append(one, (json_t *)(uintptr_t)pre_tokenizer);
    }
    for (size_t i = 0; i < sizeof pres / sizeof *pres && !name; i++) {
        if (pres[i].nfc >= 0 && pres[i].nfc != nfc) continue;
        if (pres[i].ignore_merges >= 0 && pres[i].ignore_merges != ignore_merges) continue;
        if (matches(&pres[i], list)) name = pres[i].name;
    }
    json_decref(one);
    return name;
}

json_t *pre_of_name(struct gguf_str name, bool *nfc, bool *ignore_merges)
{
    json_t *list;
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++) {
        const struct pre *p = &pres[i];
        if (name.n != strlen(p->name) || memcmp(name.p, p->name, name.n) != 0) continue;
        bool own_pattern = false;
        list = json_array();
        *nfc = p->nfc == 1;
        *ignore_merges = p->ignore_merges == 1 || strcmp(p->name, "tekken") == 0;
        for (size_t k = 0; k < 4 && p->steps[k]; k++) {
            if (strcmp(p->steps[k], ANY) == 0) {
                json_decref(list);
                return NULL;
            }
            if (strcmp(p->steps[k], GPT2) == 0) {
                own_pattern = true;
            } else if (strcmp(p->steps[k], DIGITS) == 0) {
                json_array_append_new(list, json_pack("{s:s, s:b}", "type", "Digits",
                                                      "individual_digits", 1));
            } else {
                json_array_append_new(
                    list, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex",
                                    p->steps[k], "behavior", "Isolated", "invert", 0));
            }
        }
        json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel",
                                              "add_prefix_space", 0, "trim_offsets", 1, "use_regex",
                                              own_pattern));
        return json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", list);
    }
    return NULL;
}
