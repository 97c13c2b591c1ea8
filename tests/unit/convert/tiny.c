/* SPDX-License-Identifier: Apache-2.0
 * tiny.c - writes the tiny folders. */
#include "tests/unit/convert/tiny.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/file/le.h"

float tiny_value(const char *name, uint64_t row, uint64_t col)
{
    uint32_t h = 2166136261u;
    for (const char *s = name; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    h ^= (uint32_t)(row * 7919 + col * 104729);
    h *= 0x9e3779b1u;
    return (float)((int)(h >> 25) - 64) / 64;
}

static enum fk_status fill(void *arg, struct out_file *f, struct fk_error *err)
{
    const struct st_out *t = arg;
    uint64_t cols = t->shape[t->n_dims - 1], rows = 1;
    for (int i = 0; i + 1 < t->n_dims; i++) rows *= t->shape[i];
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < cols; c++) {
            float v = tiny_value(t->name, r, c);
            uint8_t b[4];
            uint32_t u;
            size_t n = 2;
            if (t->dtype == DT_F16) put_le(b, f32_to_f16(v), 2);
            else if (t->dtype == DT_BF16) put_le(b, f32_to_bf16(v), 2);
            else if (t->dtype == DT_F8_E4M3) b[0] = (uint8_t)(0x30 + (r * 5 + c) % 32), n = 1;
            else memcpy(&u, &v, 4), put_le(b, u, 4), n = 4;
            enum fk_status st = out_file_write(f, b, n, err);
            if (st != FK_OK) return st;
        }
    return FK_OK;
}

void tiny_init(struct tiny *t, const char *folder)
{
    memset(t, 0, sizeof *t);
    t->folder = folder;
}

void tiny_add(struct tiny *t, enum dtype dtype, uint64_t rows, uint64_t cols, const char *name, ...)
{
    va_list ap;
    if (t->n == TINY_MAX) exit(1);
    va_start(ap, name);
    vsnprintf(t->names[t->n], sizeof t->names[0], name, ap);
    va_end(ap);
    struct st_out *o = &t->tensors[t->n];
    *o = (struct st_out){t->names[t->n], dtype, rows ? 2 : 1, {rows ? rows : cols, cols}, fill, o};
    t->n++;
}

void tiny_write(struct tiny *t)
{
    char path[512];
    struct fk_error err;
    snprintf(path, sizeof path, "%s/model.safetensors", t->folder);
    if (safetensors_write(path, t->tensors, t->n, NULL, NULL, &err) != FK_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

void tiny_put(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) exit(1);
}

void tiny_clear(const char *folder)
{
    DIR *d = opendir(folder);
    char path[1024];
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.') unlink(path);
    }
    if (d) closedir(d);
}

int tiny_n_files(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

/* 2 layers, width 32, 4 heads and 2 key heads of 8. */
void tiny_llama(const char *folder, enum dtype dtype, const char *more_config)
{
    char config[2048];
    struct tiny t;
    tiny_clear(folder);
    tiny_init(&t, folder);
    tiny_add(&t, dtype, 40, 32, "model.embed_tokens.weight");
    tiny_add(&t, dtype, 0, 32, "model.norm.weight");
    tiny_add(&t, dtype, 40, 32, "lm_head.weight");
    for (int i = 0; i < 2; i++) {
        tiny_add(&t, dtype, 0, 32, "model.layers.%d.input_layernorm.weight", i);
        tiny_add(&t, dtype, 0, 32, "model.layers.%d.post_attention_layernorm.weight", i);
        tiny_add(&t, dtype, 32, 32, "model.layers.%d.self_attn.q_proj.weight", i);
        tiny_add(&t, dtype, 16, 32, "model.layers.%d.self_attn.k_proj.weight", i);
        tiny_add(&t, dtype, 16, 32, "model.layers.%d.self_attn.v_proj.weight", i);
        tiny_add(&t, dtype, 32, 32, "model.layers.%d.self_attn.o_proj.weight", i);
        tiny_add(&t, dtype, 0, 32, "model.layers.%d.self_attn.q_proj.bias", i);
        tiny_add(&t, DT_F32, 0, 4, "model.layers.%d.self_attn.rotary_emb.inv_freq", i);
        tiny_add(&t, dtype, 48, 32, "model.layers.%d.mlp.gate_proj.weight", i);
        tiny_add(&t, dtype, 48, 32, "model.layers.%d.mlp.up_proj.weight", i);
        tiny_add(&t, dtype, 32, 48, "model.layers.%d.mlp.down_proj.weight", i);
    }
    tiny_write(&t);
    snprintf(config, sizeof config,
             "{\"architectures\":[\"LlamaForCausalLM\"],\"vocab_size\":40,\"hidden_size\":32,"
             "\"intermediate_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
             "\"num_key_value_heads\":2,\"max_position_embeddings\":128,\"rms_norm_eps\":1e-5%s}",
             more_config);
    tiny_put(folder, "config.json", config);
}

/* 2 layers, the first dense; 3 experts; heads of 4 + 2, values of 3, rank 8. F8 in o_proj of layer 0. */
void tiny_deepseek(const char *folder, bool with_mtp)
{
    struct tiny t;
    int n = with_mtp ? 3 : 2;
    tiny_clear(folder);
    tiny_init(&t, folder);
    tiny_add(&t, DT_BF16, 40, 32, "model.embed_tokens.weight");
    tiny_add(&t, DT_BF16, 0, 32, "model.norm.weight");
    tiny_add(&t, DT_BF16, 40, 32, "lm_head.weight");
    for (int i = 0; i < n; i++) {
        tiny_add(&t, DT_BF16, 0, 32, "model.layers.%d.input_layernorm.weight", i);
        tiny_add(&t, DT_BF16, 0, 32, "model.layers.%d.post_attention_layernorm.weight", i);
        tiny_add(&t, DT_BF16, 12, 32, "model.layers.%d.self_attn.q_proj.weight", i);
        tiny_add(&t, DT_BF16, 10, 32, "model.layers.%d.self_attn.kv_a_proj_with_mqa.weight", i);
        tiny_add(&t, DT_BF16, 0, 8, "model.layers.%d.self_attn.kv_a_layernorm.weight", i);
        tiny_add(&t, DT_BF16, 14, 8, "model.layers.%d.self_attn.kv_b_proj.weight", i);
        tiny_add(&t, i ? DT_BF16 : DT_F8_E4M3, 32, 6, "model.layers.%d.self_attn.o_proj.weight", i);
        if (i == 0) {
            tiny_add(&t, DT_F32, 2, 2, "model.layers.0.self_attn.o_proj.weight_scale_inv");
            tiny_add(&t, DT_BF16, 48, 32, "model.layers.0.mlp.gate_proj.weight");
            tiny_add(&t, DT_BF16, 48, 32, "model.layers.0.mlp.up_proj.weight");
            tiny_add(&t, DT_BF16, 32, 48, "model.layers.0.mlp.down_proj.weight");
            continue;
        }
        tiny_add(&t, DT_BF16, 3, 32, "model.layers.%d.mlp.gate.weight", i);
        tiny_add(&t, DT_F32, 0, 3, "model.layers.%d.mlp.gate.e_score_correction_bias", i);
        for (int e = 0; e < 3; e++) {
            tiny_add(&t, DT_BF16, 16, 32, "model.layers.%d.mlp.experts.%d.gate_proj.weight", i, e);
            tiny_add(&t, DT_BF16, 16, 32, "model.layers.%d.mlp.experts.%d.up_proj.weight", i, e);
            tiny_add(&t, DT_BF16, 32, 16, "model.layers.%d.mlp.experts.%d.down_proj.weight", i, e);
        }
        tiny_add(&t, DT_BF16, 16, 32, "model.layers.%d.mlp.shared_experts.gate_proj.weight", i);
        tiny_add(&t, DT_BF16, 16, 32, "model.layers.%d.mlp.shared_experts.up_proj.weight", i);
        tiny_add(&t, DT_BF16, 32, 16, "model.layers.%d.mlp.shared_experts.down_proj.weight", i);
    }
    if (with_mtp) {
        tiny_add(&t, DT_BF16, 32, 64, "model.layers.2.eh_proj.weight");
        tiny_add(&t, DT_BF16, 0, 32, "model.layers.2.enorm.weight");
        tiny_add(&t, DT_BF16, 0, 32, "model.layers.2.hnorm.weight");
        tiny_add(&t, DT_BF16, 40, 32, "model.layers.2.embed_tokens.weight");
        tiny_add(&t, DT_BF16, 0, 32, "model.layers.2.shared_head.norm.weight");
        tiny_add(&t, DT_BF16, 40, 32, "model.layers.2.shared_head.head.weight");
    }
    tiny_write(&t);
    tiny_put(folder, "config.json",
             "{\"architectures\":[\"DeepseekV3ForCausalLM\"],\"vocab_size\":40,\"hidden_size\":32,"
             "\"intermediate_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":2,"
             "\"num_key_value_heads\":2,\"kv_lora_rank\":8,\"q_lora_rank\":null,\"qk_nope_head_dim\":4,"
             "\"qk_rope_head_dim\":2,\"v_head_dim\":3,\"n_routed_experts\":3,\"num_experts_per_tok\":2,"
             "\"moe_intermediate_size\":16,\"n_shared_experts\":1,\"first_k_dense_replace\":1,"
             "\"n_group\":1,\"topk_group\":1,\"num_nextn_predict_layers\":1,\"norm_topk_prob\":true,"
             "\"routed_scaling_factor\":2.5,\"scoring_func\":\"sigmoid\",\"topk_method\":\"noaux_tc\","
             "\"rms_norm_eps\":1e-6,\"rope_theta\":10000,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":40,"
             "\"original_max_position_embeddings\":4096,\"beta_fast\":32,\"beta_slow\":1,\"mscale\":1.0,"
             "\"mscale_all_dim\":1.0},\"quantization_config\":{\"quant_method\":\"fp8\","
             "\"weight_block_size\":[16,4]}}");
}

void tiny_vocab(const char *folder)
{
    tiny_put(folder, "tokenizer.json",
             "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<|begin|>\",\"special\":true},"
             "{\"id\":8,\"content\":\"<tool>\",\"special\":false},{\"id\":9,\"content\":\"<|im_end|>\","
             "\"special\":false}],\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
             "\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
             "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "
             "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
             "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
             "\"trim_offsets\":false,\"use_regex\":false}]},\"post_processor\":null,"
             "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"byte_fallback\":false,"
             "\"vocab\":{\"a\":1,\"b\":2,\"\\u0120\":3,\"ab\":4,\"\\\"\":5,\"\\u0120a\":6,\"\\ud83d\\ude00\":7},"
             "\"merges\":[[\"a\",\"b\"],\"\\u0120 a\"]}}");
    tiny_put(folder, "tokenizer_config.json",
             "{\"bos_token\":\"<|begin|>\",\"eos_token\":{\"content\":\"<tool>\"},\"add_bos_token\":true,"
             "\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"T\"},{\"name\":\"default\","
             "\"template\":\"D\"}]}");
    tiny_put(folder, "generation_config.json",
             "{\"eos_token_id\":[8,9],\"temperature\":0.6,\"top_k\":20,\"top_p\":7}");
}
