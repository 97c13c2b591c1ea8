/* SPDX-License-Identifier: Apache-2.0
 * vocab_json.c - tokenizer.json: byte-level BPE, and SentencePiece-style BPE with byte fallback. The
 * vocabulary and the merges, which make nearly all of the file, are walked in place.
 *
 * A SentencePiece-style vocabulary merges by score in GGUF, by rank in tokenizer.json: a token's score is
 * the negative rank of the first merge that makes it. */
#include <inttypes.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/convert/vocab_in.h"
#include "src/file/json_scan.h"

#define MAX_MERGES (1u << 24)

/* Where the parts of the file stand. */
struct parts {
    struct gguf_str added, normalizer, pre, post, decoder, vocab, merges, type, unk;
    bool byte_fallback, ignore_merges, has_vocab;
};

static bool is(struct gguf_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static enum fk_status bad(const struct vocab_in *v, const struct json_scan *s, const char *want,
                          struct fk_error *err)
{
    return fail(err, FK_EFORMAT, "%s: byte %zu: expected %s", v->path,
                (size_t)(s->text + s->at - (const char *)v->map.data), want);
}

static bool find_model_parts(struct json_scan *s, struct parts *p)
{
    bool first = true, end, escapes;
    struct gguf_str key, value;
    while (json_scan_member(s, &first, &key, &escapes, &end)) {
        if (!json_scan_value(s, &value)) return false;
        if (is(key, "vocab")) p->vocab = value;
        if (is(key, "merges")) p->merges = value;
        if (is(key, "type")) p->type = value;
        if (is(key, "unk_token")) p->unk = value;
        if (is(key, "byte_fallback")) p->byte_fallback = is(value, "true");
        if (is(key, "ignore_merges")) p->ignore_merges = is(value, "true");
    }
    return end;
}

static enum fk_status find_parts(const struct vocab_in *v, struct parts *p, struct fk_error *err)
{
    struct json_scan s = {(const char *)v->map.data, v->map.bytes, 0};
    bool first = true, end, escapes;
    struct gguf_str key, value;
    *p = (struct parts){0};
    while (json_scan_member(&s, &first, &key, &escapes, &end)) {
        if (is(key, "model")) {
            if (!find_model_parts(&s, p)) return bad(v, &s, "the members of model", err);
            continue;
        }
        if (!json_scan_value(&s, &value)) return bad(v, &s, "a JSON value", err);
        if (is(key, "added_tokens")) p->added = value;
        if (is(key, "normalizer")) p->normalizer = value;
        if (is(key, "pre_tokenizer")) p->pre = value;
        if (is(key, "post_processor")) p->post = value;
        if (is(key, "decoder")) p->decoder = value;
    }
    if (!end) return bad(v, &s, "',' or '}'", err);
    if (!p->vocab.p) return fail(err, FK_EFORMAT, "%s: model.vocab is missing", v->path);
    return FK_OK;
}

/* A part as a tree; NULL for an absent one. */
static enum fk_status load(const struct vocab_in *v, struct gguf_str part, json_t **out,
                           struct fk_error *err)
{
    json_error_t e;
    *out = NULL;
    if (!part.p) return FK_OK;
    *out = json_loadb(part.p, part.n, JSON_DECODE_ANY, &e);
    if (*out) return FK_OK;
    return fail(err, FK_EFORMAT, "%s: byte %zu: %s", v->path,
                (size_t)(part.p - (const char *)v->map.data) + (size_t)e.position, e.text);
}

static enum fk_status meaning(struct vocab_in *v, struct gguf_str raw, bool escapes,
                              struct gguf_str *out, struct fk_error *err)
{
    *out = raw;
    if (!escapes) return FK_OK;
    struct buf b;
    buf_init(&b, 1 << 20, MEM_FILE);
    bool ok = json_scan_unescape(&b, raw);
    char *copy = ok ? arena_strndup(&v->memory, b.data ? b.data : "", b.n) : NULL;
    *out = (struct gguf_str){copy, b.n};
    bool nomem = b.failed || (ok && !copy);
    buf_fini(&b);
    if (copy) return FK_OK;
    if (nomem) return fail_nomem(err, raw.n, v->path);
    return fail(err, FK_EFORMAT, "%s: byte %zu: a string with an escape that is no character", v->path,
                (size_t)(raw.p - (const char *)v->map.data));
}

static enum fk_status read_vocab(struct vocab_in *v, struct gguf_str text, struct fk_error *err)
{
    struct json_scan s = {text.p, text.n, 0};
    bool first = true, end, escapes;
    struct gguf_str key;
    uint64_t id;
    while (json_scan_member(&s, &first, &key, &escapes, &end)) {
        if (!json_scan_uint(&s, &id)) return bad(v, &s, "a token id", err);
        TRY(meaning(v, key, escapes, &key, err));
        TRY(vocab_set(v, id, key, NO_SCORE, TOKEN_NORMAL, err));
    }
    return end ? FK_OK : bad(v, &s, "',' or '}' in model.vocab", err);
}

static enum fk_status read_merge(struct vocab_in *v, struct json_scan *s, struct gguf_str pair[2],
                                 struct fk_error *err)
{
    bool escapes;
    struct gguf_str one;
    if (json_scan_peek(s) == '[') {
        for (int i = 0; i < 2; i++) {
            if (!json_scan_char(s, i ? ',' : '[') || !json_scan_string(s, &one, &escapes))
                return bad(v, s, "a pair of strings in model.merges", err);
            TRY(meaning(v, one, escapes, &pair[i], err));
        }
        return json_scan_char(s, ']') ? FK_OK : bad(v, s, "']' after a pair", err);
    }
    if (!json_scan_string(s, &one, &escapes)) return bad(v, s, "a merge", err);
    TRY(meaning(v, one, escapes, &one, err));
    const char *space = one.n ? memchr(one.p + 1, ' ', one.n - 1) : NULL;
    if (!space) return bad(v, s, "two tokens with a space between before here", err);
    pair[0] = (struct gguf_str){one.p, (size_t)(space - one.p)};
    pair[1] = (struct gguf_str){space + 1, one.n - pair[0].n - 1};
    return FK_OK;
}

/* "a b", with spaces inside of a token as U+0120, as byte-level vocabularies write them. */
static enum fk_status keep_merge(struct vocab_in *v, const struct gguf_str pair[2],
                                 struct fk_error *err)
{
    char *p = arena_alloc(&v->memory, 2 * (pair[0].n + pair[1].n) + 2);
    if (!p) return fail_nomem(err, pair[0].n + pair[1].n, v->path);
    size_t n = 0;
    for (int k = 0; k < 2; k++) {
        if (k) p[n++] = ' ';
        for (size_t i = 0; i < pair[k].n; i++) {
            if (pair[k].p[i] != ' ') {
                p[n++] = pair[k].p[i];
            } else {
                p[n++] = '\xc4';
                p[n++] = '\xa0';
            }
        }
    }
    v->merges[v->n_merges++] = (struct gguf_str){p, n};
    return FK_OK;
}

static enum fk_status score_merge(struct vocab_in *v, const struct gguf_str pair[2], size_t rank,
                                  struct fk_error *err)
{
    char joined[1024];
    size_t n = pair[0].n + pair[1].n;
    if (n > sizeof joined)
        return fail(err, FK_EFORMAT, "%s: merge %zu makes a token of %zu bytes, the limit is %zu", v->path,
                    rank, n, sizeof joined);
    memcpy(joined, pair[0].p, pair[0].n);
    memcpy(joined + pair[0].n, pair[1].p, pair[1].n);
    int id = vocab_in_find(v, joined, n);
    if (id < 0)
        return fail(err, FK_EFORMAT, "%s: merge %zu makes '%.*s', which is no token", v->path, rank,
                    n < 64 ? (int)n : 64, joined);
    if (v->scores[id] == NO_SCORE) v->scores[id] = rank ? -(float)rank : 0;
    return FK_OK;
}

static enum fk_status read_merges(struct vocab_in *v, struct gguf_str text, bool as_scores,
                                  struct fk_error *err)
{
    struct json_scan s = {text.p, text.n, 0};
    struct gguf_str pair[2], skipped;
    bool first = true, end;
    size_t n = 0;
    if (!text.p) return FK_OK;
    while (json_scan_item(&s, &first, &end)) {
        if (!json_scan_value(&s, &skipped)) return bad(v, &s, "a merge", err);
        n++;
    }
    if (!end) return bad(v, &s, "',' or ']' in model.merges", err);
    if (n > MAX_MERGES)
        return fail(err, FK_EFORMAT, "%s: %zu merges, the limit is %u", v->path, n, MAX_MERGES);
    if (!as_scores) {
        v->merges = mem_array(n + 1, sizeof *v->merges, MEM_FILE);
        if (!v->merges) return fail_nomem(err, n * sizeof *v->merges, v->path);
    }
    s.at = 0;
    first = true;
    for (size_t i = 0; i < n && json_scan_item(&s, &first, &end); i++) {
        TRY(read_merge(v, &s, pair, err));
        TRY(as_scores ? score_merge(v, pair, i, err) : keep_merge(v, pair, err));
    }
    return FK_OK;
}

static enum fk_status read_added(struct vocab_in *v, struct gguf_str text, struct fk_error *err)
{
    json_t *list;
    TRY(load(v, text, &list, err));
    enum fk_status st = FK_OK;
    for (size_t i = 0; i < json_array_size(list) && st == FK_OK; i++) {
        const json_t *token = json_array_get(list, i), *id = json_object_get(token, "id");
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            st = fail(err, FK_EFORMAT, "%s: added_tokens: entry %zu has no id", v->path, i);
        else
            st = vocab_add(v, token, (uint64_t)json_integer_value(id), err);
    }
    json_decref(list);
    return st;
}

/* "<0x0A>" */
static bool is_byte_token(struct gguf_str s)
{
    return s.n == 6 && memcmp(s.p, "<0x", 3) == 0 && s.p[5] == '>' &&
           strspn(s.p + 3, "0123456789abcdefABCDEF") >= 2;
}

static void mark_sentencepiece(struct vocab_in *v, const struct parts *p)
{
    for (size_t i = 0; i < v->n; i++) {
        if (!v->tokens[i].p) continue;
        if (is_byte_token(v->tokens[i])) v->types[i] = TOKEN_BYTE;
        bool unknown = p->unk.n == v->tokens[i].n + 2 &&
                       memcmp(p->unk.p + 1, v->tokens[i].p, v->tokens[i].n) == 0;
        if (unknown && v->types[i] == TOKEN_NORMAL) v->types[i] = TOKEN_UNKNOWN;
    }
}

/* Does the text get a space in front? "Prepend" of the normalizer or Metaspace says so. */
static int adds_space(const json_t *normalizer, const json_t *pre)
{
    const json_t *list = json_object_get(normalizer, "normalizers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *type = json_string_value(json_object_get(json_array_get(list, i), "type"));
        if (type && strcmp(type, "Prepend") == 0) return 1;
    }
    const char *scheme = json_string_value(json_object_get(pre, "prepend_scheme"));
    if (scheme) return strcmp(scheme, "never") != 0;
    return json_is_true(json_object_get(pre, "add_prefix_space"));
}

/* A leading special token of the template is BOS, a trailing one EOS; flags of tokenizer_config.json
 * come later and win. */
static void read_post(struct vocab_in *v, const json_t *post)
{
    const json_t *list = json_object_get(post, "processors");
    size_t n = list ? json_array_size(list) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *p = list ? json_array_get(list, i) : post;
        const char *type = json_string_value(json_object_get(p, "type"));
        const json_t *single = json_object_get(p, "single");
        size_t k = json_array_size(single);
        if (!type || strcmp(type, "TemplateProcessing") != 0 || k < 2) continue;
        if (json_object_get(json_array_get(single, 0), "SpecialToken")) v->add_bos = 1;
        if (json_object_get(json_array_get(single, k - 1), "SpecialToken")) v->add_eos = 1;
    }
}

static enum fk_status read_kind(struct vocab_in *v, const struct parts *p, struct fk_error *err)
{
    json_t *pre = NULL, *normalizer = NULL, *post = NULL;
    enum fk_status st = load(v, p->pre, &pre, err);
    if (st == FK_OK) st = load(v, p->normalizer, &normalizer, err);
    if (st == FK_OK) st = load(v, p->post, &post, err);
    if (st != FK_OK) goto done;
    read_post(v, post);
    if (p->byte_fallback) {
        v->model = "llama";
        v->pre = "default";
        v->add_space_prefix = adds_space(normalizer, pre);
        goto done;
    }
    v->model = "gpt2";
    v->pre = pre_name_of(pre, normalizer, p->ignore_merges);
    if (!v->pre)
        st = fail(err, FK_EUNSUPPORTED, "%s: pre_tokenizer is none of the published ones: %.*s", v->path,
                  p->pre.n < 200 ? (int)p->pre.n : 200, p->pre.p ? p->pre.p : "");
done:
    json_decref(pre);
    json_decref(normalizer);
    json_decref(post);
    return st;
}

bool vocab_json_is_byte_level(const struct vocab_in *v)
{
    struct parts p;
    return find_parts(v, &p, NULL) == FK_OK && !p.byte_fallback;
}

enum fk_status vocab_read_json(struct vocab_in *v, struct fk_error *err)
{
    struct parts p;
    TRY(find_parts(v, &p, err));
    if (!is(p.type, "\"BPE\""))
        return fail(err, FK_EUNSUPPORTED, "%s: model.type is %.*s, only \"BPE\" is supported", v->path,
                    p.type.n < 64 ? (int)p.type.n : 64, p.type.p ? p.type.p : "absent");
    TRY(read_kind(v, &p, err));
    TRY(read_vocab(v, p.vocab, err));
    bool as_scores = p.byte_fallback;
    v->has_scores = as_scores;
    if (as_scores) {
        mark_sentencepiece(v, &p);
        TRY(vocab_build_table(v, err));
    }
    TRY(read_merges(v, p.merges, as_scores, err));
    return read_added(v, p.added, err);
}
