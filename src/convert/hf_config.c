/* SPDX-License-Identifier: Apache-2.0
 * hf_config.c - reads config.json. Every number is checked against the bounds that models have before
 * anything is computed with it. */
#include "src/convert/hf_config.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/alloc.h"
#include "src/base/fail.h"
#include "src/base/map.h"

#define MAX_CONFIG_BYTES (1u << 20)
#define MAX_WIDTH (1 << 20)

static const struct {
    const char *architecture;
    enum model_family family;
    const char *arch;
} architectures[] = {
    {"LlamaForCausalLM", FAMILY_LLAMA, "llama"},
    {"MistralForCausalLM", FAMILY_LLAMA, "llama"},
    {"Qwen2ForCausalLM", FAMILY_QWEN2, "qwen2"},
    {"Qwen3ForCausalLM", FAMILY_QWEN3, "qwen3"},
    {"Qwen3MoeForCausalLM", FAMILY_QWEN3MOE, "qwen3moe"},
    {"Gemma3ForCausalLM", FAMILY_GEMMA3, "gemma3"},
    {"Gemma3ForConditionalGeneration", FAMILY_GEMMA3, "gemma3"},
    {"DeepseekV2ForCausalLM", FAMILY_DEEPSEEK2, "deepseek2"},
    {"DeepseekV3ForCausalLM", FAMILY_DEEPSEEK2, "deepseek2"},
};

const json_t *hf_get(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return v && !json_is_null(v) ? v : NULL;
}

enum fk_status hf_int(const struct hf_config *c, const json_t *object, const char *key, int64_t min,
                      int64_t max, int *out, struct fk_error *err)
{
    const json_t *v = hf_get(object, key);
    if (!v) return FK_OK;
    if (!json_is_integer(v)) return fail(err, FK_EFORMAT, "%s: %s is no integer", c->path, key);
    json_int_t n = json_integer_value(v);
    if (n < min || n > max)
        return fail(err, FK_EFORMAT, "%s: %s is %lld, allowed are %lld to %lld", c->path, key,
                    (long long)n, (long long)min, (long long)max);
    *out = (int)n;
    return FK_OK;
}

enum fk_status hf_f64(const struct hf_config *c, const json_t *object, const char *key, double min,
                      double max, double *out, struct fk_error *err)
{
    const json_t *v = hf_get(object, key);
    if (!v) return FK_OK;
    if (!json_is_number(v)) return fail(err, FK_EFORMAT, "%s: %s is no number", c->path, key);
    double n = json_number_value(v);
    if (!(n >= min && n <= max))
        return fail(err, FK_EFORMAT, "%s: %s is %g, allowed are %g to %g", c->path, key, n, min, max);
    *out = n;
    return FK_OK;
}

bool hf_bool(const json_t *object, const char *key, bool absent)
{
    const json_t *v = hf_get(object, key);
    return v ? json_is_true(v) : absent;
}

static enum fk_status load(struct hf_config *c, struct fk_error *err)
{
    char *text;
    size_t n;
    json_error_t e;
    TRY(file_read(c->path, MAX_CONFIG_BYTES, &text, &n, err));
    c->root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    mem_free(text);
    if (!json_is_object(c->root))
        return fail(err, FK_EFORMAT, "%s: line %d: %s", c->path, c->root ? 1 : e.line,
                    c->root ? "no JSON object" : e.text);
    const json_t *inner = hf_get(c->root, "text_config");
    c->text = json_is_object(inner) ? inner : c->root;
    return FK_OK;
}

static enum fk_status find_family(struct hf_config *c, struct fk_error *err)
{
    const char *name = json_string_value(json_array_get(hf_get(c->root, "architectures"), 0));
    if (!name)
        return fail(err, FK_EFORMAT, "%s: architectures does not name an architecture", c->path);
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
        if (strcmp(name, architectures[i].architecture) != 0) continue;
        c->family = architectures[i].family;
        c->arch = architectures[i].arch;
        c->is_v3 = strcmp(name, "DeepseekV3ForCausalLM") == 0;
        return FK_OK;
    }
    return fail(err, FK_EUNSUPPORTED,
                "%s: architectures is '%s'; llama, qwen2, qwen3, qwen3moe, gemma3 and deepseek v2 and v3"
                " can be converted", c->path, name);
}

static enum fk_status read_sizes(struct hf_config *c, struct fk_error *err)
{
    const json_t *t = c->text;
    bool gemma = c->family == FAMILY_GEMMA3;
    c->n_layers = gemma ? 26 : 0;
    c->n_embd = gemma ? 2304 : 0;
    c->n_heads = gemma ? 8 : 0;
    c->n_vocab = gemma ? 262208 : 0;
    TRY(hf_int(c, t, "num_hidden_layers", 1, MODEL_MAX_LAYERS, &c->n_layers, err));
    TRY(hf_int(c, t, "hidden_size", 1, MAX_WIDTH, &c->n_embd, err));
    TRY(hf_int(c, t, "num_attention_heads", 1, 65536, &c->n_heads, err));
    TRY(hf_int(c, t, "vocab_size", 1, 1 << 24, &c->n_vocab, err));
    if (!c->n_layers || !c->n_embd || !c->n_heads || !c->n_vocab)
        return fail(err, FK_EFORMAT, "%s: %s is missing", c->path,
                    !c->n_layers  ? "num_hidden_layers"
                    : !c->n_embd  ? "hidden_size"
                    : !c->n_heads ? "num_attention_heads"
                                  : "vocab_size");
    c->n_kv_heads = gemma ? 4 : c->n_heads;
    c->head_dim = gemma ? 256 : c->family == FAMILY_QWEN3 || c->family == FAMILY_QWEN3MOE
                                    ? 128 : c->n_embd / c->n_heads;
    TRY(hf_int(c, t, "num_key_value_heads", 1, 65536, &c->n_kv_heads, err));
    TRY(hf_int(c, t, "head_dim", 2, 65536, &c->head_dim, err));
    c->tied = hf_bool(t, "tie_word_embeddings",
                      hf_bool(c->root, "tie_word_embeddings", gemma));
    return FK_OK;
}

static enum fk_status read_experts(struct hf_config *c, struct fk_error *err)
{
    const json_t *t = c->text;
    if (c->family == FAMILY_QWEN3MOE) {
        TRY(hf_int(c, t, "num_local_experts", 1, MODEL_MAX_EXPERTS, &c->n_experts, err));
        TRY(hf_int(c, t, "num_experts", 1, MODEL_MAX_EXPERTS, &c->n_experts, err));
        if (!c->n_experts) c->n_experts = 128;
        c->n_ff_expert = 768;
    }
    if (c->family == FAMILY_DEEPSEEK2) {
        c->kv_rank = 512;
        c->nope_dim = c->v_dim = 128;
        c->rope_dim = 64;
        c->n_ff_expert = c->is_v3 ? 2048 : 1407;
        TRY(hf_int(c, t, "n_routed_experts", 0, MODEL_MAX_EXPERTS, &c->n_experts, err));
        TRY(hf_int(c, t, "kv_lora_rank", 1, 65536, &c->kv_rank, err));
        TRY(hf_int(c, t, "qk_nope_head_dim", 1, 65536, &c->nope_dim, err));
        TRY(hf_int(c, t, "qk_rope_head_dim", 2, 65536, &c->rope_dim, err));
        TRY(hf_int(c, t, "v_head_dim", 1, 65536, &c->v_dim, err));
        TRY(hf_int(c, t, "num_nextn_predict_layers", 0, 64, &c->n_mtp_layers, err));
    }
    return hf_int(c, t, "moe_intermediate_size", 1, MAX_WIDTH, &c->n_ff_expert, err);
}

static enum fk_status read_blocks(struct hf_config *c, struct fk_error *err)
{
    const json_t *q = hf_get(c->root, "quantization_config");
    c->block_rows = c->block_cols = 128;
    if (!q) return FK_OK;
    const char *method = json_string_value(hf_get(q, "quant_method"));
    if (!method || strcmp(method, "fp8") != 0)
        return fail(err, FK_EUNSUPPORTED, "%s: quant_method is '%s', only fp8 is supported", c->path,
                    method ? method : "absent");
    const json_t *size = hf_get(q, "weight_block_size");
    if (!size) return FK_OK;
    json_int_t rows = json_integer_value(json_array_get(size, 0));
    json_int_t cols = json_integer_value(json_array_get(size, 1));
    if (rows < 1 || rows > 65536 || cols < 1 || cols > 65536)
        return fail(err, FK_EFORMAT, "%s: weight_block_size is no pair of numbers from 1 to 65536",
                    c->path);
    c->block_rows = (int)rows;
    c->block_cols = (int)cols;
    return FK_OK;
}

enum fk_status hf_config_read(struct hf_config *c, const char *folder, struct fk_error *err)
{
    *c = (struct hf_config){0};
    size_t n = strlen(folder) + sizeof "/config.json";
    c->path = mem_alloc(n, MEM_FILE);
    if (!c->path) return fail_nomem(err, n, folder);
    snprintf(c->path, n, "%s/config.json", folder);
    TRY(load(c, err));
    TRY(find_family(c, err));
    TRY(read_sizes(c, err));
    TRY(read_experts(c, err));
    return read_blocks(c, err);
}

void hf_config_fini(struct hf_config *c)
{
    json_decref(c->root);
    mem_free(c->path);
    *c = (struct hf_config){0};
}

enum fk_status hf_rope_read(const struct hf_config *c, struct hf_rope *rope, struct fk_error *err)
{
    bool gemma = c->family == FAMILY_GEMMA3;
    const json_t *given = hf_get(c->text, "rope_parameters");
    if (!given) given = hf_get(c->text, "rope_scaling");
    const json_t *full = hf_get(given, "full_attention");
    const json_t *local = hf_get(given, "sliding_attention");
    *rope = (struct hf_rope){.scaling = full ? full : given, .type = "default",
                             .theta = gemma ? 1e6 : 1e4, .theta_local = 1e4};
    TRY(hf_f64(c, c->text, "rope_theta", 1, 1e15, &rope->theta, err));
    TRY(hf_f64(c, rope->scaling, "rope_theta", 1, 1e15, &rope->theta, err));
    TRY(hf_f64(c, c->text, "rope_local_base_freq", 1, 1e15, &rope->theta_local, err));
    TRY(hf_f64(c, local, "rope_theta", 1, 1e15, &rope->theta_local, err));
    const char *type = json_string_value(hf_get(rope->scaling, "rope_type"));
    if (!type) type = json_string_value(hf_get(rope->scaling, "type"));
    if (type) rope->type = type;
    static const char *const known[] = {"default", "linear", "yarn", "llama3"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(rope->type, known[i]) == 0) return FK_OK;
    return fail(err, FK_EUNSUPPORTED,
                "%s: rope_type is '%s', supported are default, linear, yarn and llama3", c->path,
                rope->type);
}

/* Llama 3.1's rule: long waves are slowed by factor, short ones kept, those between interpolated. */
enum fk_status hf_rope_factors(const struct hf_config *c, const struct hf_rope *rope, float *out,
                               struct fk_error *err)
{
    double factor = 8, low = 1, high = 4;
    int n_ctx = 8192;
    TRY(hf_f64(c, rope->scaling, "factor", 1e-3, 1e6, &factor, err));
    TRY(hf_f64(c, rope->scaling, "low_freq_factor", 1e-3, 1e6, &low, err));
    TRY(hf_f64(c, rope->scaling, "high_freq_factor", 1e-3, 1e6, &high, err));
    TRY(hf_int(c, c->text, "original_max_position_embeddings", 1, 1 << 30, &n_ctx, err));
    TRY(hf_int(c, rope->scaling, "original_max_position_embeddings", 1, 1 << 30, &n_ctx, err));
    if (high <= low)
        return fail(err, FK_EFORMAT, "%s: high_freq_factor is %g, not above low_freq_factor %g", c->path,
                    high, low);
    for (int i = 0; i < c->head_dim / 2; i++) {
        double freq = 1 / pow(rope->theta, 2.0 * i / c->head_dim);
        double wave = 2 * 3.14159265358979323846 / freq;
        if (wave < n_ctx / high) out[i] = 1;
        else if (wave > n_ctx / low) out[i] = (float)factor;
        else {
            double smooth = (n_ctx / wave - low) / (high - low);
            out[i] = (float)(1 / ((1 - smooth) / factor + smooth));
        }
    }
    return FK_OK;
}
