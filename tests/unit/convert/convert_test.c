/* SPDX-License-Identifier: Apache-2.0
 * convert_test.c - weights: names, order of rows, stacking, splitting, types, there and back; and what
 * is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "src/base/alloc.h"
#include "src/base/map.h"
#include "src/convert/convert.h"
#include "src/file/le.h"
#include "tests/unit/convert/tiny.h"

static char root[] = "/tmp/fikr-conv-XXXXXX";
static char in[64], out[64], back[64], again[64];

static void convert(const char *from, const char *to, const char *type)
{
    struct fk_convert_params p = {.type = type};
    struct fk_error err = {.message = ""};
    if (convert_run(from, to, &p, &err) != FK_OK) fail_msg("%s", err.message);
}

static void refuse(const char *from, const char *to, const char *type, const char *sentence)
{
    struct fk_convert_params p = {.type = type};
    struct fk_error err = {.message = ""};
    enum fk_status st = convert_run(from, to, &p, &err);
    assert_int_not_equal(st, FK_OK);
    if (!strstr(err.message, sentence)) fail_msg("\"%s\" lacks \"%s\"", err.message, sentence);
    assert_int_equal(access(to, F_OK), -1);
}

static struct gguf *open_out(const char *path)
{
    struct gguf *g;
    struct fk_error err;
    if (gguf_open(&g, path, &err) != FK_OK) fail_msg("%s", err.message);
    return g;
}

static const struct gguf_tensor *tensor(const struct gguf *g, const char *name, enum dtype dtype,
                                        uint64_t cols, uint64_t rows, uint64_t mats)
{
    const struct gguf_tensor *t = gguf_find_tensor(g, name);
    if (!t) fail_msg("no tensor '%s'", name);
    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->shape[0], cols);
    assert_int_equal(t->shape[1], rows);
    assert_int_equal(t->shape[2], mats);
    return t;
}

static float number(const struct gguf_tensor *t, uint64_t row, uint64_t col)
{
    uint64_t i = row * t->shape[0] + col;
    if (t->dtype == DT_F32) return le_f32(t->data + 4 * i);
    if (t->dtype == DT_F16) return f16_to_f32(le16(t->data + 2 * i));
    return bf16_to_f32(le16(t->data + 2 * i));
}

static void expect(const struct gguf_tensor *t, uint64_t row, uint64_t col, float want)
{
    if (number(t, row, col) != want)
        fail_msg("'%.*s' [%d][%d] is %g, not %g", (int)t->name.n, t->name.p, (int)row, (int)col,
                 (double)number(t, row, col), (double)want);
}

static void permutes_llama(void **state)
{
    (void)state;
    tiny_llama(in, DT_F16, "");
    convert(in, out, NULL);
    struct gguf *g = open_out(out);
    assert_int_equal(gguf_n_tensors(g), 23); /* 3 and 10 a layer; inv_freq is no weight */
    const struct gguf_tensor *q = tensor(g, "blk.1.attn_q.weight", DT_F16, 32, 32, 1);
    const struct gguf_tensor *b = tensor(g, "blk.1.attn_q.bias", DT_F32, 32, 1, 1);
    const struct gguf_tensor *k = tensor(g, "blk.0.attn_k.weight", DT_F16, 32, 16, 1);
    const struct gguf_tensor *v = tensor(g, "blk.0.attn_v.weight", DT_F16, 32, 16, 1);
    for (uint64_t r = 0; r < 32; r++) {
        uint64_t from = r / 8 * 8 + r % 2 * 4 + r % 8 / 2; /* halves to pairs within heads of 8 */
        expect(b, 0, r, tiny_value("model.layers.1.self_attn.q_proj.bias", 0, from));
        for (uint64_t c = 0; c < 32; c++) {
            expect(q, r, c, tiny_value("model.layers.1.self_attn.q_proj.weight", from, c));
            if (r >= 16) continue;
            expect(k, r, c, tiny_value("model.layers.0.self_attn.k_proj.weight", from, c));
            expect(v, r, c, tiny_value("model.layers.0.self_attn.v_proj.weight", r, c));
        }
    }
    tensor(g, "blk.0.attn_norm.weight", DT_F32, 32, 1, 1);
    tensor(g, "blk.0.ffn_norm.weight", DT_F32, 32, 1, 1);
    tensor(g, "blk.0.ffn_down.weight", DT_F16, 48, 32, 1);
    tensor(g, "output.weight", DT_F16, 32, 40, 1);
    gguf_close(&g);
    unlink(out);
}

static void writes_types(void **state)
{
    (void)state;
    static const struct { const char *name; enum dtype matrix, odd; } types[] = {
        {"f32", DT_F32, DT_F32}, {"f16", DT_F16, DT_F16}, {"bf16", DT_BF16, DT_BF16},
        {"q8_0", DT_Q8_0, DT_F16}}; /* rows of 48 are no blocks of 32 */
    tiny_llama(in, DT_F32, "");
    for (size_t i = 0; i < 4; i++) {
        convert(in, out, types[i].name);
        struct gguf *g = open_out(out);
        tensor(g, "blk.0.ffn_up.weight", types[i].matrix, 32, 48, 1);
        tensor(g, "blk.0.ffn_down.weight", types[i].odd, 48, 32, 1);
        tensor(g, "output_norm.weight", DT_F32, 32, 1, 1);
        if (types[i].matrix == DT_Q8_0) {
            const struct gguf_tensor *t = gguf_find_tensor(g, "token_embd.weight");
            float max = 0;
            for (uint64_t c = 0; c < 32; c++)
                max = fmaxf(max, fabsf(tiny_value("model.embed_tokens.weight", 5, c)));
            assert_int_equal(le16(t->data + 5 * 34), f32_to_f16(max / 127));
            for (uint64_t c = 0; c < 32; c++) {
                float x = tiny_value("model.embed_tokens.weight", 5, c);
                assert_int_equal((int8_t)t->data[5 * 34 + 2 + c], (int8_t)roundf(x * (127 / max)));
            }
        }
        gguf_close(&g);
    }
    unlink(out);
}

static void splits_deepseek(void **state)
{
    (void)state;
    tiny_deepseek(in, true);
    convert(in, out, NULL);
    struct gguf *g = open_out(out);
    struct fk_error err;
    int64_t v = 0;
    const char *kv = "model.layers.1.self_attn.kv_b_proj.weight";
    const struct gguf_tensor *k_b = tensor(g, "blk.1.attn_k_b.weight", DT_BF16, 4, 8, 2);
    const struct gguf_tensor *v_b = tensor(g, "blk.1.attn_v_b.weight", DT_BF16, 8, 3, 2);
    for (uint64_t h = 0; h < 2; h++)
        for (uint64_t j = 0; j < 8; j++) {
            for (uint64_t i = 0; i < 4; i++) expect(k_b, h * 8 + j, i, tiny_value(kv, h * 7 + i, j));
            for (uint64_t i = 0; i < 3; i++) expect(v_b, h * 3 + i, j, tiny_value(kv, h * 7 + 4 + i, j));
        }
    const struct gguf_tensor *down = tensor(g, "blk.2.ffn_down_exps.weight", DT_BF16, 16, 32, 3);
    for (uint64_t e = 0; e < 3; e++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.2.mlp.experts.%d.down_proj.weight", (int)e);
        for (uint64_t r = 0; r < 32; r++) expect(down, e * 32 + r, 7, tiny_value(name, r, 7));
    }
    tensor(g, "blk.1.ffn_gate_inp.weight", DT_F32, 32, 3, 1);
    tensor(g, "blk.1.exp_probs_b.bias", DT_F32, 3, 1, 1);
    tensor(g, "blk.1.ffn_up_shexp.weight", DT_BF16, 32, 16, 1);
    tensor(g, "blk.2.nextn.eh_proj.weight", DT_BF16, 64, 32, 1);
    tensor(g, "blk.2.nextn.shared_head_norm.weight", DT_F32, 32, 1, 1);
    gguf_get_int(g, "deepseek2.block_count", true, 3, 3, &v, &err);
    assert_int_equal(v, 3);
    assert_int_equal(gguf_get_int(g, "deepseek2.nextn_predict_layers", true, 1, 1, &v, &err), FK_OK);
    assert_int_equal(gguf_get_int(g, "deepseek2.attention.key_length", true, 10, 10, &v, &err), FK_OK);
    assert_int_equal(gguf_get_int(g, "deepseek2.attention.key_length_mla", true, 6, 6, &v, &err), FK_OK);
    assert_int_equal(gguf_get_int(g, "deepseek2.expert_gating_func", true, 2, 2, &v, &err), FK_OK);
    gguf_close(&g);
    tiny_deepseek(in, false); /* config.json still promises the layer */
    convert(in, out, NULL);
    g = open_out(out);
    assert_int_equal(gguf_get_int(g, "deepseek2.block_count", true, 2, 2, &v, &err), FK_OK);
    assert_null(gguf_find(g, "deepseek2.nextn_predict_layers"));
    gguf_close(&g);
    unlink(out);
}

static void scales_f8_blocks(void **state)
{
    (void)state;
    tiny_deepseek(in, false);
    for (int i = 0; i < 2; i++) {
        convert(in, out, i ? "f32" : NULL);
        struct gguf *g = open_out(out);
        const struct gguf_tensor *t = tensor(g, "blk.0.attn_output.weight", i ? DT_F32 : DT_BF16, 6, 32, 1);
        for (uint64_t r = 0; r < 32; r++)
            for (uint64_t c = 0; c < 6; c++) {
                float scale = tiny_value("model.layers.0.self_attn.o_proj.weight_scale_inv", r / 16, c / 4);
                float want = f8_e4m3_to_f32((uint8_t)(0x30 + (r * 5 + c) % 32)) * scale;
                expect(t, r, c, i ? want : bf16_to_f32(f32_to_bf16(want)));
            }
        gguf_close(&g);
    }
    unlink(out);
}

static void fused_experts(void **state)
{
    (void)state;
    struct tiny t;
    tiny_clear(in);
    tiny_init(&t, in);
    tiny_add(&t, DT_F32, 40, 32, "model.embed_tokens.weight");
    tiny_add(&t, DT_F32, 0, 32, "model.norm.weight");
    tiny_add(&t, DT_F32, 0, 32, "model.layers.0.input_layernorm.weight");
    tiny_add(&t, DT_F32, 2 * 3, 32, "model.layers.0.mlp.experts.gate_up_proj");
    t.tensors[t.n - 1].n_dims = 3;
    memcpy(t.tensors[t.n - 1].shape, (uint64_t[4]){2, 6, 32, 0}, 32);
    tiny_write(&t);
    tiny_put(in, "config.json", "{\"architectures\":[\"Qwen3MoeForCausalLM\"],\"vocab_size\":40,"
             "\"hidden_size\":32,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"num_experts\":2,"
             "\"moe_intermediate_size\":3,\"tie_word_embeddings\":true}");
    convert(in, out, NULL);
    struct gguf *g = open_out(out);
    const struct gguf_tensor *up = tensor(g, "blk.0.ffn_up_exps.weight", DT_F32, 32, 3, 2);
    for (uint64_t e = 0; e < 2; e++)
        for (uint64_t r = 0; r < 3; r++)
            expect(up, e * 3 + r, 9, tiny_value("model.layers.0.mlp.experts.gate_up_proj", e * 6 + 3 + r, 9));
    gguf_close(&g);
    unlink(out);
}

static void shifts_gemma_norms(void **state)
{
    (void)state;
    struct tiny t;
    tiny_clear(in);
    tiny_init(&t, in);
    tiny_add(&t, DT_BF16, 40, 32, "language_model.model.embed_tokens.weight");
    tiny_add(&t, DT_BF16, 0, 32, "language_model.model.norm.weight");
    tiny_add(&t, DT_BF16, 0, 32, "language_model.model.layers.0.input_layernorm.weight");
    tiny_add(&t, DT_BF16, 0, 32, "language_model.model.layers.0.post_attention_layernorm.weight");
    tiny_add(&t, DT_BF16, 0, 32, "language_model.model.layers.0.pre_feedforward_layernorm.weight");
    tiny_add(&t, DT_BF16, 4, 4, "vision_tower.patch.weight");
    tiny_write(&t);
    tiny_put(in, "config.json", "{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"text_config\":{"
             "\"vocab_size\":40,\"hidden_size\":32,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
             "\"sliding_window\":64,\"rope_scaling\":{\"factor\":8.0,\"rope_type\":\"linear\"}}}");
    convert(in, out, NULL);
    struct gguf *g = open_out(out);
    assert_int_equal(gguf_n_tensors(g), 5);
    const struct gguf_tensor *norm = tensor(g, "blk.0.post_attention_norm.weight", DT_F32, 32, 1, 1);
    for (uint64_t c = 0; c < 32; c++)
        expect(norm, 0, c, 1 + tiny_value("language_model.model.layers.0.post_attention_layernorm.weight", 0, c));
    tensor(g, "blk.0.ffn_norm.weight", DT_F32, 32, 1, 1);
    double f = 0;
    struct fk_error err;
    assert_int_equal(gguf_get_f64(g, "gemma3.rope.scaling.factor", true, 8, 8, &f, &err), FK_OK);
    assert_int_equal(gguf_get_f64(g, "gemma3.rope.freq_base", true, 1e6, 1e6, &f, &err), FK_OK);
    gguf_close(&g);
    unlink(out);
}

static void expect_same_files(const char *a, const char *b)
{
    struct gguf *x = open_out(a), *y = open_out(b);
    assert_int_equal(gguf_n_tensors(x), gguf_n_tensors(y));
    for (size_t i = 0; i < gguf_n_tensors(x); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(x, i);
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)t->name.n, t->name.p);
        const struct gguf_tensor *u = tensor(y, name, t->dtype, t->shape[0], t->shape[1], t->shape[2]);
        assert_int_equal(t->bytes, u->bytes);
        if (memcmp(t->data, u->data, t->bytes) != 0) fail_msg("'%s' differs", name);
    }
    for (size_t i = 0; i < gguf_n_kv(x); i++) {
        const struct gguf_kv *kv = gguf_kv_at(x, i);
        char key[128];
        snprintf(key, sizeof key, "%.*s", (int)kv->key.n, kv->key.p);
        if (strcmp(key, "general.name") == 0) continue; /* the folder's */
        const struct gguf_kv *other = gguf_find(y, key);
        if (!other) fail_msg("no key %s", key);
        assert_int_equal(kv->type, other->type);
        if (kv->data_bytes != other->data_bytes || memcmp(kv->data, other->data, kv->data_bytes) != 0)
            fail_msg("%s differs", key);
    }
    assert_int_equal(gguf_n_kv(x), gguf_n_kv(y));
    gguf_close(&x);
    gguf_close(&y);
}

static void there_and_back(const char *type)
{
    convert(in, out, type);
    convert(out, back, NULL);
    convert(back, again, NULL);
    expect_same_files(out, again);
    tiny_clear(back);
    rmdir(back);
    unlink(again);
    convert(out, again, NULL);
    expect_same_files(out, again);
    unlink(again);
    unlink(out);
}

static void round_trips(void **state)
{
    (void)state;
    tiny_llama(in, DT_F16, ",\"attention_bias\":true,\"rope_parameters\":{\"rope_type\":\"llama3\",\"factor\":8,"
               "\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":8192,"
               "\"rope_theta\":500000}");
    tiny_vocab(in);
    there_and_back(NULL);
    there_and_back("f32");
    tiny_deepseek(in, true);
    tiny_vocab(in);
    there_and_back(NULL);
    there_and_back("f16");
}

static void requantizes(void **state)
{
    (void)state;
    tiny_llama(in, DT_F32, "");
    convert(in, out, "q8_0");
    convert(out, again, "f32");
    struct gguf *x = open_out(out), *y = open_out(again);
    const struct gguf_tensor *q = tensor(x, "output.weight", DT_Q8_0, 32, 40, 1);
    const struct gguf_tensor *f = tensor(y, "output.weight", DT_F32, 32, 40, 1);
    for (uint64_t r = 0; r < 40; r++)
        for (uint64_t c = 0; c < 32; c++)
            expect(f, r, c, f16_to_f32(le16(q->data + r * 34)) * (float)(int8_t)q->data[r * 34 + 2 + c]);
    gguf_close(&x);
    gguf_close(&y);
    unlink(again);
    unlink(out);
}

static void patch_config(const char *text)
{
    tiny_llama(in, DT_F16, "");
    tiny_put(in, "config.json", text);
}

static void refuses(void **state)
{
    (void)state;
    struct tiny t;
    refuse("/nonexistent", out, NULL, "/nonexistent: No such file");
    refuse(in, back, NULL, "is converted to a path that ends in .gguf");
    tiny_llama(in, DT_F16, "");
    refuse(in, out, "q4_0", "type is 'q4_0', allowed are f32, f16, bf16 and q8_0");
    tiny_llama(in, DT_F16, ",\"head_dim\":7");
    refuse(in, out, NULL, "q_proj.weight' has 32 rows, which are no 4 heads of 7");
    patch_config("{}");
    refuse(in, out, NULL, "architectures does not name");
    patch_config("{\"architectures\":[\"GPT2LMHeadModel\"]}");
    refuse(in, out, NULL, "architectures is 'GPT2LMHeadModel'");
    patch_config("{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":513}");
    refuse(in, out, NULL, "num_hidden_layers is 513, allowed are 1 to 512");
    patch_config("{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":\"2\"}");
    refuse(in, out, NULL, "num_hidden_layers is no integer");
    patch_config("{\"architectures\":[\"LlamaForCausalLM\"],");
    refuse(in, out, NULL, "config.json: line 1");
    tiny_llama(in, DT_F16, ",\"rope_scaling\":{\"rope_type\":\"dynamic\",\"factor\":2}");
    refuse(in, out, NULL, "rope_type is 'dynamic'");
    tiny_llama(in, DT_F16, ",\"quantization_config\":{\"quant_method\":\"gptq\"}");
    refuse(in, out, NULL, "quant_method is 'gptq', only fp8");
    tiny_llama(in, DT_F16, "");
    tiny_init(&t, in);
    tiny_add(&t, DT_F16, 40, 32, "model.embed_tokens.weight");
    tiny_write(&t);
    refuse(in, out, NULL, "tensor 'model.norm.weight' is missing");
    tiny_add(&t, DT_F16, 0, 32, "model.norm.weight");
    tiny_add(&t, DT_F16, 40, 32, "lm_head.weight");
    tiny_add(&t, DT_F16, 0, 32, "model.layers.1.input_layernorm.weight");
    tiny_write(&t);
    refuse(in, out, NULL, "input_layernorm.weight is there for 1 of 2 layers");
    tiny_add(&t, DT_F16, 0, 32, "model.layers.2.input_layernorm.weight");
    tiny_write(&t);
    refuse(in, out, NULL, "is of layer 2, but there are 2");
    t.n--;
    tiny_add(&t, DT_F16, 0, 32, "model.layers.1.self_attn.sinks");
    tiny_write(&t);
    refuse(in, out, NULL, "tensor 'model.layers.1.self_attn.sinks' is none that llama has");
    tiny_deepseek(in, false);
    tiny_init(&t, in);
    tiny_add(&t, DT_BF16, 16, 32, "model.layers.1.mlp.experts.0.gate_proj.weight");
    tiny_write(&t);
    refuse(in, out, NULL, "tensor 'model.layers.1.mlp.experts.1.gate_proj.weight' is missing; there are 3");
    tiny_init(&t, in);
    tiny_add(&t, DT_BF16, 16, 32, "model.layers.1.mlp.experts.3.gate_proj.weight");
    tiny_write(&t);
    refuse(in, out, NULL, "is of expert 3, but there are 3");
    tiny_init(&t, in);
    tiny_add(&t, DT_F8_E4M3, 16, 32, "model.layers.0.mlp.gate_proj.weight");
    tiny_write(&t);
    refuse(in, out, NULL, "is of type F8_E4M3, but 'model.layers.0.mlp.gate_proj.weight_scale_inv' is missing");
    tiny_add(&t, DT_F32, 2, 8, "model.layers.0.mlp.gate_proj.weight_scale_inv");
    tiny_write(&t);
    refuse(in, out, NULL, "is no F32 matrix of 1 x 8 scales");
    tiny_llama(in, DT_F16, "");
    convert(in, out, NULL);
    refuse(out, back, "q8_0", "a safetensors folder holds f32, f16 or bf16");
    mkdir(back, 0700);
    tiny_put(back, "mine", "x");
    struct fk_error err;
    assert_int_equal(convert_run(out, back, NULL, &err), FK_EINVAL);
    assert_int_equal(tiny_n_files(back), 1);
    tiny_clear(back);
    rmdir(back);
    assert_int_equal(convert_run(out, out, NULL, &err), FK_EINVAL);
    unlink(out);
}

static int stop_soon(void *arg, const char *what, unsigned long long done, unsigned long long total)
{
    (void)arg;
    (void)what;
    (void)done;
    (void)total;
    return 1;
}

static void leaves_nothing_behind(void **state)
{
    (void)state;
    struct fk_convert_params p = {.progress = stop_soon};
    struct fk_error err;
    tiny_llama(in, DT_F16, "");
    convert(in, out, NULL);
    assert_int_equal(convert_run(in, again, &p, &err), FK_ECANCELLED);
    assert_int_equal(convert_run(out, back, &p, &err), FK_ECANCELLED);
    assert_int_equal(tiny_n_files(root), 2); /* in and out */
    unlink(out);
}

/* Every allocation of a conversion fails once: no crash, no leak, no target. */
static void survives_failed_allocations(void **state)
{
    (void)state;
    struct mem_stats before, after;
    tiny_deepseek(in, true);
    tiny_vocab(in);
    for (int way = 0; way < 2; way++) {
        const char *from = way ? out : in, *to = way ? back : out;
        uint64_t injected = 1;
        mem_get_stats(&before);
        for (int k = 0; injected; k++) {
            struct fk_error err;
            mem_inject(k, false);
            enum fk_status st = convert_run(from, to, NULL, &err);
            injected = mem_inject(-1, false);
            mem_get_stats(&after);
            assert_int_equal(after.live_bytes, before.live_bytes);
            if ((st == FK_OK) == (injected > 0)) fail_msg("way %d, allocation %d", way, k);
            if (injected) assert_int_equal(access(to, F_OK), -1);
        }
    }
    assert_int_equal(tiny_n_files(root), 3);
    tiny_clear(back);
    rmdir(back);
    unlink(out);
}

int main(void)
{
    if (!mkdtemp(root)) return 1;
    snprintf(in, sizeof in, "%s/in", root);
    snprintf(out, sizeof out, "%s/out.gguf", root);
    snprintf(back, sizeof back, "%s/back", root);
    snprintf(again, sizeof again, "%s/again.gguf", root);
    mkdir(in, 0700);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permutes_llama),        cmocka_unit_test(writes_types),
        cmocka_unit_test(splits_deepseek),       cmocka_unit_test(scales_f8_blocks),
        cmocka_unit_test(fused_experts),         cmocka_unit_test(shifts_gemma_norms),
        cmocka_unit_test(round_trips),           cmocka_unit_test(requantizes),
        cmocka_unit_test(refuses),               cmocka_unit_test(leaves_nothing_behind),
        cmocka_unit_test(survives_failed_allocations),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    tiny_clear(in);
    rmdir(in);
    rmdir(root);
    return rc;
}
