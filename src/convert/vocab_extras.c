/* SPDX-License-Identifier: Apache-2.0
 * vocab_extras.c - tokenizer_config.json, config.json and generation_config.json: which tokens begin
 * and end, what is added, and the chat template. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/base/fail.h"
#include "src/convert/vocab_in.h"

#define MAX_JSON_BYTES (16u << 20)
#define MAX_TEMPLATE_BYTES (1u << 20)

static const char *const names[SPECIAL_N] = {"bos", "eos", "unk", "sep", "pad", "cls", "mask", "eot"};

enum fk_status vocab_load_json(const char *folder, const char *name, json_t **out,
                               struct fk_error *err)
{
    char path[4096], *text;
    size_t n;
    json_error_t e;
    *out = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return fail(err, FK_EINVAL, "%s: the path is longer than %zu bytes", folder, sizeof path);
    if (access(path, F_OK) != 0) return FK_OK;
    TRY(file_read(path, MAX_JSON_BYTES, &text, &n, err));
    *out = json_loadb(text, n, 0, &e);
    mem_free(text);
    if (json_is_object(*out)) return FK_OK;
    bool parsed = *out;
    json_decref(*out);
    *out = NULL;
    return fail(err, FK_EFORMAT, "%s: line %d: %s", path, parsed ? 1 : e.line,
                parsed ? "no JSON object" : e.text);
}

/* "bos_token": "text" or {"content": "text"} */
static void find_by_text(struct vocab_in *v)
{
    for (int i = 0; i < SPECIAL_N; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_token", names[i]);
        const json_t *t = json_object_get(v->config, key);
        const char *text = json_string_value(json_is_object(t) ? json_object_get(t, "content") : t);
        if (text && v->special[i] < 0) v->special[i] = vocab_in_find(v, text, strlen(text));
    }
}

/* "bos_token_id": number */
static void find_by_id(struct vocab_in *v, const json_t *config)
{
    for (int i = 0; i < SPECIAL_N; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_token_id", names[i]);
        const json_t *t = json_object_get(config, key);
        if (v->special[i] < 0 && json_is_integer(t) && json_integer_value(t) >= 0 &&
            json_integer_value(t) < (json_int_t)v->n)
            v->special[i] = (int)json_integer_value(t);
    }
}

static void add_end(struct vocab_in *v, const json_t *id)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) >= (json_int_t)v->n || v->n_ends == MAX_END_TOKENS)
        return;
    for (int i = 0; i < v->n_ends; i++)
        if (v->ends[i] == json_integer_value(id)) return;
    v->ends[v->n_ends++] = (int32_t)json_integer_value(id);
}

/* eos_token_id may be a list: all of it ends a reply. */
static void read_ends(struct vocab_in *v, const json_t *config)
{
    const json_t *t = json_object_get(config, "eos_token_id");
    if (json_is_integer(t)) add_end(v, t);
    for (size_t i = 0; i < json_array_size(t); i++) add_end(v, json_array_get(t, i));
}

/* Where another token than EOS ends a turn, other programs want to know it by its own key. */
static void find_turn_end(struct vocab_in *v)
{
    static const char *const turn_ends[] = {"<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>",
                                            "<|end_of_turn|>"};
    for (int i = 0; i < v->n_ends && v->special[SPECIAL_EOT] < 0; i++) {
        struct gguf_str s = v->tokens[v->ends[i]];
        if (v->ends[i] == v->special[SPECIAL_EOS]) continue;
        for (size_t k = 0; k < sizeof turn_ends / sizeof *turn_ends; k++)
            if (s.p && s.n == strlen(turn_ends[k]) && memcmp(s.p, turn_ends[k], s.n) == 0)
                v->special[SPECIAL_EOT] = v->ends[i];
    }
}

static void read_flag(const struct vocab_in *v, const char *key, int *out)
{
    const json_t *t = json_object_get(v->config, key);
    if (json_is_boolean(t)) *out = json_is_true(t);
}

static enum fk_status read_template_file(struct vocab_in *v, struct fk_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/chat_template.jinja", v->folder);
    if (access(path, F_OK) != 0) return FK_OK;
    return file_read(path, MAX_TEMPLATE_BYTES, &v->template_file, &v->template_bytes, err);
}

/* tokenizer_config.json lists added tokens too; tokenizer.model knows no others. */
static enum fk_status read_added(struct vocab_in *v, struct fk_error *err)
{
    const char *key;
    json_t *token;
    json_object_foreach(json_object_get(v->config, "added_tokens_decoder"), key, token)
    {
        unsigned long long id = 0;
        int used = 0;
        if (sscanf(key, "%9llu%n", &id, &used) != 1 || key[used] || id >= v->n) continue;
        TRY(vocab_add(v, token, id, err));
    }
    return FK_OK;
}

enum fk_status vocab_read_special(struct vocab_in *v, struct fk_error *err)
{
    json_t *config = NULL, *generation = NULL;
    TRY(vocab_load_json(v->folder, "tokenizer_config.json", &v->config, err));
    TRY(read_added(v, err));
    name_table_fini(&v->table);
    TRY(vocab_build_table(v, err));
    enum fk_status st = vocab_load_json(v->folder, "config.json", &config, err);
    if (st == FK_OK) st = vocab_load_json(v->folder, "generation_config.json", &generation, err);
    if (st == FK_OK) st = read_template_file(v, err);
    if (st == FK_OK) {
        find_by_text(v);
        find_by_id(v, config);
        find_by_id(v, json_object_get(config, "text_config"));
        find_by_id(v, generation);
        read_ends(v, generation);
        if (!v->n_ends) read_ends(v, config);
        find_turn_end(v);
        read_flag(v, "add_bos_token", &v->add_bos);
        read_flag(v, "add_eos_token", &v->add_eos);
        read_flag(v, "add_prefix_space", &v->add_space_prefix);
    }
    json_decref(config);
    json_decref(generation);
    return st;
}
