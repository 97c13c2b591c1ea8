/* SPDX-License-Identifier: Apache-2.0
 * folder_vocab.c - the vocabulary of a GGUF file as a published folder has it: tokenizer.json for
 * byte-level BPE, tokenizer.model for SentencePiece, and the small files beside them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/convert/convert.h"
#include "src/convert/recommended.h"
#include "src/convert/vocab_in.h"
#include "src/file/le.h"

struct vocab_out {
    const struct gguf *g;
    const char *folder;
    const struct gguf_kv *tokens, *types;
    struct fk_error *err;
};

static struct gguf_str token_at(const struct vocab_out *v, uint64_t i)
{
    struct gguf_str s = {"", 0};
    gguf_item_str(v->g, v->tokens, i, &s);
    return s;
}

static int type_at(const struct vocab_out *v, uint64_t i)
{
    int64_t t = TOKEN_NORMAL;
    if (v->types) gguf_item_int(v->types, i, &t);
    return t >= TOKEN_NORMAL && t <= TOKEN_BYTE ? (int)t : TOKEN_NORMAL;
}

static int64_t id_of(const struct vocab_out *v, const char *key)
{
    int64_t id = -1;
    gguf_get_int(v->g, key, false, 0, (int64_t)v->tokens->n_items - 1, &id, NULL);
    return id;
}

static void put_json(struct buf *b, struct gguf_str s)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f) buf_printf(b, "\\u%04x", c);
        else buf_putc(b, (char)c);
    }
    buf_putc(b, '"');
}

static enum fk_status put_file(const struct vocab_out *v, const char *name, struct buf *b)
{
    char path[4200];
    if (b->failed) return fail_nomem(v->err, b->n, name);
    snprintf(path, sizeof path, "%s/%s", v->folder, name);
    return out_file_put(path, b->data, b->n, v->err);
}

static enum fk_status put_tree(const struct vocab_out *v, const char *name, json_t *tree)
{
    char *text = tree ? json_dumps(tree, JSON_INDENT(2)) : NULL;
    json_decref(tree);
    if (!text) return fail_nomem(v->err, 0, name);
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", v->folder, name);
    enum fk_status st = out_file_put(path, text, strlen(text), v->err);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return st;
}

/* A number that the embedding has and the vocabulary not. */
static bool is_padding(const struct vocab_out *v, uint64_t i)
{
    char pad[40];
    struct gguf_str s = token_at(v, i);
    int n = snprintf(pad, sizeof pad, "[PAD%" PRIu64 "]", i);
    return type_at(v, i) == TOKEN_UNUSED && s.n == (size_t)n && memcmp(s.p, pad, s.n) == 0;
}

static enum fk_status put_tokens(const struct vocab_out *v, struct buf *b)
{
    const char *comma = "";
    buf_puts(b, "\"added_tokens\":[");
    for (uint64_t i = 0; i < v->tokens->n_items; i++) {
        struct gguf_str s = token_at(v, i);
        int type = type_at(v, i);
        if (!utf8_is_valid(s.p, s.n))
            return fail(v->err, FK_EFORMAT, "tokenizer.ggml.tokens: token %" PRIu64 " is no UTF-8", i);
        if (type != TOKEN_CONTROL && type != TOKEN_USER_DEFINED) continue;
        buf_printf(b, "%s{\"id\":%" PRIu64 ",\"content\":", comma, i);
        put_json(b, s);
        buf_printf(b, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
                   "\"special\":%s}", type == TOKEN_CONTROL ? "true" : "false");
        comma = ",\n";
    }
    buf_puts(b, "],\n");
    return FK_OK;
}

static void put_post(const struct vocab_out *v, struct buf *b, bool adds_bos)
{
    int64_t bos = id_of(v, "tokenizer.ggml.bos_token_id");
    if (!adds_bos || bos < 0) {
        buf_puts(b, "\"post_processor\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
                    "\"trim_offsets\":false,\"use_regex\":true},\n");
        return;
    }
    struct buf name;
    buf_init(&name, 0, MEM_FILE);
    put_json(&name, token_at(v, (uint64_t)bos));
    b->failed |= name.failed;
    const char *s = name.data ? name.data : "";
    buf_printf(b, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
               "{\"id\":%s,\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":["
               "{\"SpecialToken\":{\"id\":%s,\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
               "{\"SpecialToken\":{\"id\":%s,\"type_id\":1}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
               "\"special_tokens\":{%s:{\"id\":%s,\"ids\":[%" PRId64 "],\"tokens\":[%s]}}},\n",
               s, s, s, s, s, bos, s);
    buf_fini(&name);
}

static void put_bpe(const struct vocab_out *v, struct buf *b, bool ignore_merges)
{
    const char *comma = "";
    struct gguf_str s;
    const struct gguf_kv *merges = gguf_find(v->g, "tokenizer.ggml.merges");
    buf_printf(b, "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
               "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,"
               "\"byte_fallback\":false,\"ignore_merges\":%s,\n\"vocab\":{",
               ignore_merges ? "true" : "false");
    for (uint64_t i = 0; i < v->tokens->n_items; i++) {
        if (is_padding(v, i)) continue;
        buf_puts(b, comma);
        put_json(b, token_at(v, i));
        buf_printf(b, ":%" PRIu64, i);
        comma = ",\n";
    }
    buf_puts(b, "},\n\"merges\":[");
    for (uint64_t i = 0; merges && gguf_item_str(v->g, merges, i, &s); i++) {
        if (i) buf_puts(b, ",\n");
        put_json(b, s);
    }
    buf_puts(b, "]}}\n");
}

static enum fk_status put_byte_level(const struct vocab_out *v, bool adds_bos)
{
    struct gguf_str pre_name = {"", 0};
    bool nfc = false, ignore_merges = false;
    TRY(gguf_get_str(v->g, "tokenizer.ggml.pre", true, &pre_name, v->err));
    json_t *pre = pre_of_name(pre_name, &nfc, &ignore_merges);
    char *pre_text = pre ? json_dumps(pre, 0) : NULL;
    json_decref(pre);
    if (!pre_text)
        return fail(v->err, FK_EUNSUPPORTED,
                    "tokenizer.ggml.pre is '%.*s', whose pattern tokenizer.json cannot be given",
                    pre_name.n < 64 ? (int)pre_name.n : 64, pre_name.p);
    struct buf b;
    buf_init(&b, 0, MEM_FILE);
    buf_puts(&b, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n");
    enum fk_status st = put_tokens(v, &b);
    buf_printf(&b, "\"normalizer\":%s,\n\"pre_tokenizer\":%s,\n", nfc ? "{\"type\":\"NFC\"}" : "null",
               pre_text);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(pre_text);
    put_post(v, &b, adds_bos);
    buf_puts(&b, "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,"
                 "\"use_regex\":true},\n");
    put_bpe(v, &b, ignore_merges);
    if (st == FK_OK) st = put_file(v, "tokenizer.json", &b);
    buf_fini(&b);
    return st;
}

static void put_varint(struct buf *b, uint64_t v)
{
    while (v >= 0x80) {
        buf_putc(b, (char)(v | 0x80));
        v >>= 7;
    }
    buf_putc(b, (char)v);
}

static void put_bytes_field(struct buf *b, uint64_t number, const char *p, size_t n)
{
    put_varint(b, number << 3 | 2);
    put_varint(b, n);
    buf_append(b, p, n);
}

static void put_int_field(struct buf *b, uint64_t number, uint64_t v)
{
    put_varint(b, number << 3);
    put_varint(b, v);
}

/* The trainer and the normalizer of a SentencePiece model (see vocab_model.c for the fields). */
static void put_model_tail(const struct vocab_out *v, struct buf *b)
{
    struct buf m;
    bool space = true;
    static const struct { uint64_t number; const char *key; } ids[] = {
        {40, "tokenizer.ggml.unknown_token_id"}, {41, "tokenizer.ggml.bos_token_id"},
        {42, "tokenizer.ggml.eos_token_id"},     {43, "tokenizer.ggml.padding_token_id"}};
    buf_init(&m, 0, MEM_FILE);
    put_int_field(&m, 3, 2);
    put_int_field(&m, 4, v->tokens->n_items);
    put_int_field(&m, 35, 1);
    for (size_t i = 0; i < 4; i++) put_int_field(&m, ids[i].number, (uint64_t)id_of(v, ids[i].key));
    put_bytes_field(b, 2, m.data, m.n);
    b->failed |= m.failed;
    buf_clear(&m);
    gguf_get_bool(v->g, "tokenizer.ggml.add_space_prefix", false, &space, NULL);
    put_bytes_field(&m, 1, "identity", 8);
    put_int_field(&m, 3, space);
    put_int_field(&m, 4, 0);
    put_int_field(&m, 5, 1);
    put_bytes_field(b, 3, m.data, m.n);
    b->failed |= m.failed;
    buf_fini(&m);
}

static enum fk_status put_sentencepiece(const struct vocab_out *v)
{
    struct buf b, piece;
    const struct gguf_kv *scores = gguf_find(v->g, "tokenizer.ggml.scores");
    buf_init(&b, 0, MEM_FILE);
    buf_init(&piece, 0, MEM_FILE);
    for (uint64_t i = 0; i < v->tokens->n_items; i++) {
        double score = 0;
        uint8_t bits[4];
        float f;
        uint32_t u;
        struct gguf_str s = token_at(v, i);
        if (scores) gguf_item_f64(scores, i, &score);
        f = (float)score;
        memcpy(&u, &f, sizeof u);
        put_le(bits, u, 4);
        buf_clear(&piece);
        put_bytes_field(&piece, 1, s.p, s.n);
        put_varint(&piece, 2 << 3 | 5);
        buf_append(&piece, bits, 4);
        put_int_field(&piece, 3, (uint64_t)type_at(v, i));
        put_bytes_field(&b, 1, piece.data, piece.n);
        b.failed |= piece.failed;
    }
    put_model_tail(v, &b);
    enum fk_status st = put_file(v, "tokenizer.model", &b);
    buf_fini(&piece);
    buf_fini(&b);
    return st;
}

static json_t *token_text(const struct vocab_out *v, int64_t id)
{
    struct gguf_str s = token_at(v, (uint64_t)id);
    return json_stringn(s.p, s.n);
}

static void put_template(const struct vocab_out *v, json_t *o)
{
    struct gguf_str s = {NULL, 0}, name;
    const struct gguf_kv *names = gguf_find(v->g, "tokenizer.chat_templates");
    gguf_get_str(v->g, "tokenizer.chat_template", false, &s, NULL);
    if (!names || names->type != GGUF_ARRAY || names->item_type != GGUF_STRING) {
        if (s.p) json_object_set_new(o, "chat_template", json_stringn(s.p, s.n));
        return;
    }
    json_t *list = json_array();
    if (s.p) json_array_append_new(list, json_pack("{s:s, s:s%}", "name", "default", "template", s.p, s.n));
    for (uint64_t i = 0; i < names->n_items && gguf_item_str(v->g, names, i, &name); i++) {
        char key[128];
        snprintf(key, sizeof key, "tokenizer.chat_template.%.*s", name.n < 64 ? (int)name.n : 64, name.p);
        s.p = NULL;
        gguf_get_str(v->g, key, false, &s, NULL);
        if (s.p)
            json_array_append_new(list, json_pack("{s:s%, s:s%}", "name", name.p, name.n, "template", s.p,
                                                  s.n));
    }
    json_object_set_new(o, "chat_template", list);
}

static void put_flag(const struct vocab_out *v, json_t *o, const char *name, const char *key)
{
    bool value = false;
    if (!gguf_find(v->g, key)) return;
    gguf_get_bool(v->g, key, false, &value, NULL);
    json_object_set_new(o, name, json_boolean(value));
}

static enum fk_status put_config(const struct vocab_out *v, const char *class_name, int64_t n_ctx)
{
    static const char *const ids[][2] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
                                         {"eos_token", "tokenizer.ggml.eos_token_id"},
                                         {"unk_token", "tokenizer.ggml.unknown_token_id"},
                                         {"pad_token", "tokenizer.ggml.padding_token_id"}};
    json_t *o = json_pack("{s:s, s:b, s:I}", "tokenizer_class", class_name,
                          "clean_up_tokenization_spaces", 0, "model_max_length", (json_int_t)n_ctx);
    json_t *added = json_object();
    const struct gguf_kv *scores = gguf_find(v->g, "tokenizer.ggml.scores");
    for (size_t i = 0; i < 4; i++) {
        int64_t id = id_of(v, ids[i][1]);
        json_object_set_new(o, ids[i][0], id >= 0 ? token_text(v, id) : json_null());
    }
    for (uint64_t i = 0; i < v->tokens->n_items; i++) {
        char key[24];
        int type = type_at(v, i);
        double score = -1000; /* of added tokens; others are in tokenizer.model already */
        if (scores) gguf_item_f64(scores, i, &score);
        if ((type != TOKEN_CONTROL && type != TOKEN_USER_DEFINED) || score != -1000) continue;
        snprintf(key, sizeof key, "%" PRIu64, i);
        json_object_set_new(added, key, json_pack("{s:o, s:b, s:b, s:b, s:b, s:b}", "content",
                                                  token_text(v, (int64_t)i), "lstrip", 0, "normalized", 0,
                                                  "rstrip", 0, "single_word", 0, "special",
                                                  type == TOKEN_CONTROL));
    }
    json_object_set_new(o, "added_tokens_decoder", added);
    put_flag(v, o, "add_bos_token", "tokenizer.ggml.add_bos_token");
    put_flag(v, o, "add_eos_token", "tokenizer.ggml.add_eos_token");
    put_flag(v, o, "add_prefix_space", "tokenizer.ggml.add_space_prefix");
    put_template(v, o);
    return put_tree(v, "tokenizer_config.json", o);
}

static enum fk_status put_generation(const struct vocab_out *v)
{
    json_t *o = json_object(), *ends = json_array();
    int64_t id;
    const struct gguf_kv *list = gguf_find(v->g, "fikr.eog_token_ids");
    for (uint64_t i = 0; list && gguf_item_int(list, i, &id); i++)
        json_array_append_new(ends, json_integer(id));
    int64_t eos = id_of(v, "tokenizer.ggml.eos_token_id"), eot = id_of(v, "tokenizer.ggml.eot_token_id");
    if (!list && eos >= 0) json_array_append_new(ends, json_integer(eos));
    if (!list && eot >= 0 && eot != eos) json_array_append_new(ends, json_integer(eot));
    json_object_set(o, "eos_token_id", json_array_size(ends) == 1 ? json_array_get(ends, 0) : ends);
    json_decref(ends);
    if ((id = id_of(v, "tokenizer.ggml.bos_token_id")) >= 0)
        json_object_set_new(o, "bos_token_id", json_integer(id));
    if ((id = id_of(v, "tokenizer.ggml.padding_token_id")) >= 0)
        json_object_set_new(o, "pad_token_id", json_integer(id));
    recommended_put_json(v->g, o);
    return put_tree(v, "generation_config.json", o);
}

enum fk_status folder_put_vocab(const struct gguf *g, const struct model_config *c, const char *folder,
                                struct fk_error *err)
{
    struct vocab_out v = {.g = g, .folder = folder, .err = err};
    struct gguf_str model = {NULL, 0};
    bool adds_bos = false;
    TRY(gguf_get_str(g, "tokenizer.ggml.model", false, &model, err));
    v.tokens = gguf_find(g, "tokenizer.ggml.tokens");
    v.types = gguf_find(g, "tokenizer.ggml.token_type");
    if (!model.p || !v.tokens || v.tokens->type != GGUF_ARRAY || v.tokens->item_type != GGUF_STRING ||
        v.tokens->n_items == 0)
        return FK_OK; /* a model without a vocabulary */
    TRY(gguf_get_bool(g, "tokenizer.ggml.add_bos_token", false, &adds_bos, err));
    bool byte_level = model.n == 4 && memcmp(model.p, "gpt2", 4) == 0;
    if (!byte_level && (model.n != 5 || memcmp(model.p, "llama", 5) != 0))
        return fail(err, FK_EUNSUPPORTED,
                    "tokenizer.ggml.model is '%.*s'; vocabularies of gpt2 and llama can be written",
                    model.n < 64 ? (int)model.n : 64, model.p);
    TRY(byte_level ? put_byte_level(&v, adds_bos) : put_sentencepiece(&v));
    TRY(put_config(&v, byte_level                    ? "PreTrainedTokenizerFast"
                       : c->family == FAMILY_GEMMA3 ? "GemmaTokenizer"
                                                    : "LlamaTokenizer", c->n_ctx_train));
    return put_generation(&v);
}
