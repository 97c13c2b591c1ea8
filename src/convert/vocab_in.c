/* SPDX-License-Identifier: Apache-2.0
 * vocab_in.c - chooses the file that holds a folder's vocabulary, collects the tokens, and puts them
 * into GGUF keys. */
#include "src/convert/vocab_in.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/fail.h"

enum fk_status vocab_set(struct vocab_in *v, uint64_t id, struct gguf_str text, float score, int type,
                         struct fk_error *err)
{
    if (id >= v->n)
        return fail(err, FK_EFORMAT, "%s: token '%.*s' has id %" PRIu64 ", the embedding has %zu rows",
                    v->path, text.n < 64 ? (int)text.n : 64, text.p, id, v->n);
    if (v->tokens[id].p)
        return fail(err, FK_EFORMAT, "%s: id %" PRIu64 " stands for '%.*s' and for '%.*s'", v->path, id,
                    v->tokens[id].n < 64 ? (int)v->tokens[id].n : 64, v->tokens[id].p,
                    text.n < 64 ? (int)text.n : 64, text.p);
    v->tokens[id] = text;
    v->scores[id] = score;
    v->types[id] = type;
    return FK_OK;
}

/* Some models mark tokens that control as if they did not. */
static bool looks_special(const char *s, size_t n)
{
    static const char bar[] = "\xef\xbd\x9c"; /* U+FF5C */
    if (strcmp(s, "<pad>") == 0 || strcmp(s, "<mask>") == 0 || strcmp(s, "<2mass>") == 0 ||
        strcmp(s, "[@BOS@]") == 0)
        return true;
    if (n < 4 || s[0] != '<' || s[n - 1] != '>') return false;
    if (strncmp(s, "<unused", 7) == 0) return true;
    if (s[1] == '|' && s[n - 2] == '|') return true;
    return n >= 8 && memcmp(s + 1, bar, 3) == 0 && memcmp(s + n - 4, bar, 3) == 0;
}

enum fk_status vocab_add(struct vocab_in *v, const json_t *token, uint64_t id, struct fk_error *err)
{
    const json_t *content = json_object_get(token, "content");
    const char *text = json_string_value(content);
    size_t n = json_string_length(content);
    if (!text || n == 0)
        return fail(err, FK_EFORMAT, "%s: added token %" PRIu64 " has no content", v->path, id);
    if (id >= v->n)
        return fail(err, FK_EFORMAT, "%s: added token '%.*s' has id %" PRIu64
                    ", the embedding has %zu rows", v->path, n < 64 ? (int)n : 64, text, id, v->n);
    bool special = json_is_true(json_object_get(token, "special")) || looks_special(text, n);
    char *copy = arena_strndup(&v->memory, text, n);
    if (!copy) return fail_nomem(err, n, v->path);
    if (!special) { /* what users define is matched in plain text: U+2581 is a space there */
        size_t k = 0;
        for (size_t i = 0; i < n; k++) {
            bool blank = n - i >= 3 && memcmp(copy + i, "\xe2\x96\x81", 3) == 0;
            copy[k] = blank ? ' ' : copy[i];
            i += blank ? 3 : 1;
        }
        n = k;
    }
    bool keeps_type = v->types[id] == TOKEN_BYTE && v->tokens[id].p;
    v->tokens[id] = (struct gguf_str){copy, n};
    v->scores[id] = -1000;
    if (!keeps_type) v->types[id] = special ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
    return FK_OK;
}

int vocab_in_find(const struct vocab_in *v, const char *text, size_t n)
{
    size_t i = name_table_find(&v->table, v->tokens, sizeof *v->tokens, text, n);
    return i == SIZE_MAX ? -1 : (int)i;
}

enum fk_status vocab_build_table(struct vocab_in *v, struct fk_error *err)
{
    size_t a, b;
    for (size_t i = 0; i < v->n; i++) {
        if (v->tokens[i].p) continue;
        char pad[32];
        int n = snprintf(pad, sizeof pad, "[PAD%zu]", i);
        char *copy = arena_strndup(&v->memory, pad, (size_t)n);
        if (!copy) return fail_nomem(err, (size_t)n, v->path);
        v->tokens[i] = (struct gguf_str){copy, (size_t)n};
        v->scores[i] = -10000;
        v->types[i] = TOKEN_UNUSED;
    }
    switch (name_table_build(&v->table, v->tokens, sizeof *v->tokens, v->n, &a, &b)) {
    case NAME_TABLE_OK:
        return FK_OK;
    case NAME_TABLE_NOMEM:
        return fail_nomem(err, v->n * 8, v->path);
    case NAME_TABLE_CROWDED:
        return fail(err, FK_EFORMAT, "%s: its tokens are made to collide", v->path);
    case NAME_TABLE_TWICE:
        break;
    }
    return fail(err, FK_EFORMAT, "%s: tokens %zu and %zu are both '%.*s'", v->path, a, b,
                v->tokens[a].n < 64 ? (int)v->tokens[a].n : 64, v->tokens[a].p);
}

static bool open_file(struct vocab_in *v, const char *name, enum fk_status *st, struct fk_error *err)
{
    size_t n = strlen(v->folder) + strlen(name) + 2;
    char *path = arena_alloc(&v->memory, n);
    if (!path) {
        *st = fail_nomem(err, n, v->folder);
        return false;
    }
    snprintf(path, n, "%s/%s", v->folder, name);
    if (access(path, F_OK) != 0) return false;
    v->path = path;
    file_map_close(&v->map);
    *st = file_map_open(&v->map, path, err);
    return *st == FK_OK;
}

static enum fk_status take_arrays(struct vocab_in *v, size_t n, struct fk_error *err)
{
    v->n = n;
    v->tokens = mem_calloc(n, sizeof *v->tokens, MEM_FILE);
    v->scores = mem_calloc(n, sizeof *v->scores, MEM_FILE);
    v->types = mem_calloc(n, sizeof *v->types, MEM_FILE);
    if (!v->tokens || !v->scores || !v->types) return fail_nomem(err, n * 24, "a vocabulary");
    return FK_OK;
}

enum fk_status vocab_in_read(struct vocab_in *v, const char *folder, size_t n_vocab,
                             struct fk_error *err)
{
    enum fk_status st = FK_OK;
    *v = (struct vocab_in){.folder = folder, .map = {.slot = -1}, .add_bos = -1, .add_eos = -1,
                           .add_space_prefix = -1, .remove_spaces = -1};
    for (int i = 0; i < SPECIAL_N; i++) v->special[i] = -1;
    arena_init(&v->memory, 1 << 16, 0, MEM_FILE);
    bool json = open_file(v, "tokenizer.json", &st, err);
    if (st != FK_OK) return st;
    bool byte_level = json && vocab_json_is_byte_level(v);
    bool model = !byte_level && open_file(v, "tokenizer.model", &st, err);
    if (st != FK_OK || (!json && !model)) return st;
    TRY(take_arrays(v, n_vocab, err));
    TRY(model ? vocab_read_model(v, err) : vocab_read_json(v, err));
    TRY(vocab_read_special(v, err));
    if (file_map_failed(&v->map))
        return fail(err, FK_EGONE, "%s: the file was cut while it was read", v->path);
    return FK_OK;
}

void vocab_in_fini(struct vocab_in *v)
{
    file_map_close(&v->map);
    name_table_fini(&v->table);
    mem_free(v->tokens);
    mem_free(v->scores);
    mem_free(v->types);
    mem_free(v->merges);
    mem_free(v->template_file);
    json_decref(v->config);
    arena_fini(&v->memory);
}

/* One template, or a list of {"name", "template"}: the one named default, the others by name. */
static void put_templates(const struct vocab_in *v, struct gguf_writer *w)
{
    static const char key[] = "tokenizer.chat_template";
    const json_t *t = json_object_get(v->config, "chat_template");
    if (v->template_file) gguf_put_strn(w, key, v->template_file, v->template_bytes);
    else if (json_is_string(t)) gguf_put_strn(w, key, json_string_value(t), json_string_length(t));
    if (v->template_file) return;
    struct gguf_str names[64];
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(t) && n < 64; i++) {
        const json_t *name = json_object_get(json_array_get(t, i), "name");
        const json_t *text = json_object_get(json_array_get(t, i), "template");
        char named[128];
        if (!json_is_string(name) || !json_is_string(text) || json_string_length(name) > 64) continue;
        snprintf(named, sizeof named, "%s.%s", key, json_string_value(name));
        bool is_default = strcmp(json_string_value(name), "default") == 0;
        const char *to = is_default ? key : named;
        if (gguf_has_key(w, to)) continue;
        gguf_put_strn(w, to, json_string_value(text), json_string_length(text));
        if (!is_default)
            names[n++] = (struct gguf_str){json_string_value(name), json_string_length(name)};
    }
    if (n) gguf_put_strings(w, "tokenizer.chat_templates", names, n);
}

static void put_flag(struct gguf_writer *w, const char *key, int v)
{
    if (v >= 0) gguf_put_bool(w, key, v != 0);
}

void vocab_in_put(const struct vocab_in *v, struct gguf_writer *w)
{
    static const char *const keys[SPECIAL_N] = {
        "tokenizer.ggml.bos_token_id",       "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.unknown_token_id",   "tokenizer.ggml.seperator_token_id",
        "tokenizer.ggml.padding_token_id",   "tokenizer.ggml.cls_token_id",
        "tokenizer.ggml.mask_token_id",      "tokenizer.ggml.eot_token_id"};
    if (!v->model) return;
    gguf_put_str(w, "tokenizer.ggml.model", v->model);
    gguf_put_str(w, "tokenizer.ggml.pre", v->pre);
    gguf_put_strings(w, "tokenizer.ggml.tokens", v->tokens, v->n);
    if (v->has_scores) gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, v->scores, v->n);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, v->types, v->n);
    if (v->merges) gguf_put_strings(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
    for (int i = 0; i < SPECIAL_N; i++)
        if (v->special[i] >= 0) gguf_put_u32(w, keys[i], (uint32_t)v->special[i]);
    if (v->n_ends > 1 || (v->n_ends == 1 && v->ends[0] != v->special[SPECIAL_EOS]))
        gguf_put_array(w, "fikr.eog_token_ids", GGUF_I32, v->ends, (uint64_t)v->n_ends);
    put_flag(w, "tokenizer.ggml.add_bos_token", v->add_bos);
    put_flag(w, "tokenizer.ggml.add_eos_token", v->add_eos);
    put_flag(w, "tokenizer.ggml.add_space_prefix", v->add_space_prefix);
    put_flag(w, "tokenizer.ggml.remove_extra_whitespaces", v->remove_spaces);
    if (v->charsmap.n)
        gguf_put_array(w, "tokenizer.ggml.precompiled_charsmap", GGUF_U8, v->charsmap.p, v->charsmap.n);
    put_templates(v, w);
}
