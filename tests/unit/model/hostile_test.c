/* SPDX-License-Identifier: Apache-2.0
 * hostile_test.c - hyper-parameters and tensors that lie: each is refused with a sentence that names
 * it, and what is not refused can be run. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/clock.h"
#include "src/base/rng.h"
#include "src/model/blocks.h"
#include "tests/unit/model/mutant.h"

struct lie {
    const char *file, *key;
    double value; /* of a float key where is_float */
    bool is_float;
    const char *says;
};

static const struct lie lies[] = {
    {"llama.gguf", "llama.attention.head_count", 0, false, "llama.attention.head_count"},
    {"llama.gguf", "llama.attention.head_count", 4294967295.0, false, "llama.attention.head_count"},
    {"llama.gguf", "llama.attention.head_count", 3, false, "llama.attention.head_count"},
    {"llama.gguf", "llama.attention.head_count_kv", 0, false, "llama.attention.head_count_kv"},
    {"llama.gguf", "llama.attention.head_count_kv", 3, false, "llama.attention.head_count_kv"},
    {"llama.gguf", "llama.attention.head_count_kv", 8, false, "llama.attention.head_count_kv"},
    {"llama.gguf", "llama.attention.head_count_kv", 4, false, "blk.0.attn_k.weight"},
    {"llama.gguf", "llama.block_count", 0, false, "llama.block_count"},
    {"llama.gguf", "llama.block_count", 3, false, "blk.2."},
    {"llama.gguf", "llama.block_count", 513, false, "llama.block_count"},
    {"llama.gguf", "llama.block_count", 2147483648.0, false, "llama.block_count"},
    {"llama.gguf", "llama.rope.dimension_count", 7, false, "llama.rope.dimension_count"},
    {"llama.gguf", "llama.rope.dimension_count", 0, false, "llama.rope.dimension_count"},
    {"llama.gguf", "llama.rope.dimension_count", 10, false, "llama.rope.dimension_count"},
    {"llama.gguf", "llama.embedding_length", 0, false, "llama.embedding_length"},
    {"llama.gguf", "llama.embedding_length", 2147483648.0, false, "llama.embedding_length"},
    {"llama.gguf", "llama.embedding_length", 64, false, "token_embd.weight"},
    {"llama.gguf", "llama.feed_forward_length", 0, false, "llama.feed_forward_length"},
    {"llama.gguf", "llama.feed_forward_length", 49, false, "blk.0.ffn_gate.weight"},
    {"llama.gguf", "llama.context_length", 0, false, "llama.context_length"},
    {"llama.gguf", "llama.vocab_size", 0, false, "llama.vocab_size"},
    {"llama.gguf", "llama.vocab_size", 289, false, "llama.vocab_size"},
    {"llama.gguf", "llama.attention.layer_norm_rms_epsilon", NAN, true, "layer_norm_rms_epsilon"},
    {"llama.gguf", "llama.attention.layer_norm_rms_epsilon", INFINITY, true, "_rms_epsilon"},
    {"llama.gguf", "llama.attention.layer_norm_rms_epsilon", 0, true, "layer_norm_rms_epsilon"},
    {"llama.gguf", "llama.attention.layer_norm_rms_epsilon", -1e-5, true, "_rms_epsilon"},
    {"llama.gguf", "llama.rope.freq_base", 0, true, "llama.rope.freq_base"},
    {"llama.gguf", "llama.rope.freq_base", NAN, true, "llama.rope.freq_base"},
    {"qwen2-yarn.gguf", "qwen2.rope.scaling.factor", NAN, true, "qwen2.rope.scaling.factor"},
    {"qwen2-yarn.gguf", "qwen2.rope.scaling.factor", -1, true, "qwen2.rope.scaling.factor"},
    {"qwen2-yarn.gguf", "qwen2.rope.scaling.original_context_length", 0, false,
     "rope.scaling.original_context_length"},
    {"qwen3.gguf", "qwen3.attention.key_length", 15, false, "rope.dimension_count"},
    {"qwen3.gguf", "qwen3.attention.key_length", 100000, false, "qwen3.attention.key_length"},
    {"qwen3.gguf", "qwen3.attention.value_length", 0, false, "qwen3.attention.value_length"},
    {"gemma3.gguf", "gemma3.final_logit_softcapping", NAN, true, "final_logit_softcapping"},
    {"gemma3.gguf", "gemma3.attention.sliding_window", 4294967295.0, false, "sliding_window"},
    {"qwen3moe.gguf", "qwen3moe.expert_count", 0, false, "qwen3moe.expert_count"},
    {"qwen3moe.gguf", "qwen3moe.expert_count", 7, false, "blk.0.ffn_gate_inp.weight"},
    {"qwen3moe.gguf", "qwen3moe.expert_count", 1 << 20, false, "qwen3moe.expert_count"},
    {"qwen3moe.gguf", "qwen3moe.expert_used_count", 9, false, "qwen3moe.expert_used_count"},
    {"qwen3moe.gguf", "qwen3moe.expert_used_count", 0, false, "qwen3moe.expert_used_count"},
    {"qwen3moe.gguf", "qwen3moe.expert_feed_forward_length", 13, false, "ffn_gate_exps.weight"},
    {"deepseek2-v3.gguf", "deepseek2.expert_group_count", 3, false, "expert_group_count"},
    {"deepseek2-v3.gguf", "deepseek2.expert_group_count", 8, false, "expert_group_count"},
    {"deepseek2-v3.gguf", "deepseek2.expert_group_used_count", 5, false, "expert_group_used_count"},
    {"deepseek2-v3.gguf", "deepseek2.expert_group_used_count", 1, false, "expert_used_count"},
    {"deepseek2-v3.gguf", "deepseek2.expert_gating_func", 9, false, "expert_gating_func"},
    {"deepseek2-v3.gguf", "deepseek2.expert_shared_count", 2, false, "ffn_gate_shexp.weight"},
    {"deepseek2-v3.gguf", "deepseek2.expert_weights_scale", NAN, true, "expert_weights_scale"},
    {"deepseek2-v3.gguf", "deepseek2.leading_dense_block_count", 4294967295.0, false,
     "leading_dense_block_count"},
    {"deepseek2-v3.gguf", "deepseek2.leading_dense_block_count", 0, false, "blk.0.ffn_gate_inp"},
    {"deepseek2-v3.gguf", "deepseek2.attention.kv_lora_rank", 0, false, "kv_lora_rank"},
    {"deepseek2-v3.gguf", "deepseek2.attention.kv_lora_rank", 21, false, "blk.0.attn_kv_a_mqa"},
    {"deepseek2-v3.gguf", "deepseek2.attention.q_lora_rank", 0, false, "blk.0.attn_q.weight"},
    {"deepseek2-v3.gguf", "deepseek2.attention.key_length_mla", 8, false, "dimension_count"},
    {"deepseek2-v3.gguf", "deepseek2.attention.value_length_mla", 17, false, "attn_output.weight"},
    {"deepseek2-v3.gguf", "deepseek2.rope.dimension_count", 7, false, "dimension_count"},
    {"deepseek2-v3.gguf", "deepseek2.rope.scaling.yarn_log_multiplier", NAN, true, "yarn_log_mul"},
};

static void expect_refusal(struct mutant *m, const char *says)
{
    struct model *model = NULL;
    struct fk_error err = {0};
    double t0 = clock_seconds();
    enum fk_status st = model_open(&model, mutant_save(m), true, &err);
    if (st != FK_EFORMAT && st != FK_EUNSUPPORTED)
        fail_msg("'%s': status %s, '%s'", says, fk_status_name(st), err.message);
    if (!strstr(err.message, says)) fail_msg("no '%s' in '%s'", says, err.message);
    assert_null(model);
    assert_true(clock_seconds() - t0 < 1);
}

static void lies_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct mutant m;
        mutant_init(&m, lies[i].file);
        if (lies[i].is_float)
            mutant_set_f32(&m, lies[i].key, (float)lies[i].value);
        else
            mutant_set_u32(&m, lies[i].key, (uint32_t)lies[i].value);
        expect_refusal(&m, lies[i].says);
        mutant_fini(&m);
    }
}

static void tensors_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"token_embd.weight", "output_norm.weight",
                                        "blk.1.attn_norm.weight", "blk.0.attn_k.weight",
                                        "blk.1.ffn_down.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct mutant m;
        mutant_init(&m, "llama.gguf");
        mutant_tensor(&m, names[i])[-1] = '_'; /* the name's last letter: no such tensor any more */
        expect_refusal(&m, names[i]);
        mutant_fini(&m);
    }
    struct mutant m;
    mutant_init(&m, "llama.gguf");
    uint8_t *at = mutant_tensor(&m, "blk.0.attn_k.weight");
    memcpy(at + 4, (uint64_t[2]){16, 32}, 16); /* [32, 16] transposed */
    expect_refusal(&m, "blk.0.attn_k.weight' has the shape [16, 32");
    memcpy(at + 4, (uint64_t[2]){32, 16}, 16);
    at[20] = DT_I32;
    expect_refusal(&m, "blk.0.attn_k.weight' has the type I32");
    mutant_fini(&m);
    mutant_init(&m, "llama.gguf");
    mutant_tensor(&m, "blk.0.attn_norm.weight")[12] = DT_I32;
    expect_refusal(&m, "blk.0.attn_norm.weight' has the type I32");
    mutant_fini(&m);
    mutant_init(&m, "llama.gguf");
    memcpy(mutant_value(&m, "general.architecture") + 8, "ll\033[m", 5);
    expect_refusal(&m, "'ll\\x1b[m'");
    mutant_fini(&m);
}

/* Flips of bytes in metadata and directory: refused, or what opens can be run. */
static void flips_do_not_break(void **state)
{
    (void)state;
    static const char *const files[] = {"llama-rope3.gguf", "qwen2-yarn.gguf", "qwen3moe.gguf",
                                        "gemma3.gguf", "deepseek2-v3.gguf",
                                        "deepseek2-lite-unsplit.gguf"};
    int n_open = 0;
    for (uint64_t i = 0; i < 600; i++) {
        struct mutant m;
        struct model *model;
        mutant_init(&m, files[i % 6]);
        size_t head = 12000 < m.n ? 12000 : m.n;
        for (uint64_t k = 0; k <= i % 3; k++)
            m.data[rng_u64(1, i, 2 * k) % head] ^= (uint8_t)(1u << rng_u64(1, i, 2 * k + 1) % 8);
        if (model_open(&model, mutant_save(&m), false, NULL) == FK_OK) {
            const float *logits;
            struct rig r;
            model_close(&model);
            rig_open(&r, m.path, 1, DT_F32, i & 1 ? MLA_EXPANDED : MLA_AUTO);
            enum fk_status st = rig_step(&r, (int32_t[]){1, 2, 3, 4, 5}, 5, 2, &logits, NULL);
            assert_true(st == FK_OK || st == FK_ENONFINITE || st == FK_EINVAL);
            n_open++;
            rig_close(&r);
        }
        mutant_fini(&m);
    }
    assert_in_range(n_open, 50, 599);
}

/* A row of the table, with metadata only: what older files of large models do not say. */
static void groups_of_older_files(void **state)
{
    (void)state;
    struct mutant m;
    struct gguf *g;
    struct model_config c;
    mutant_init(&m, "deepseek2-v3.gguf");
    memcpy(mutant_value(&m, "deepseek2.expert_group_count") - 4 - 1, "X", 1);
    memcpy(mutant_value(&m, "deepseek2.expert_group_used_count") - 4 - 1, "X", 1);
    mutant_set_u32(&m, "deepseek2.expert_count", 256);
    assert_int_equal(gguf_open(&g, mutant_save(&m), NULL), FK_OK);
    assert_int_equal(model_config_read(&c, g, NULL), FK_OK);
    assert_int_equal(c.route.n_groups, 8);
    assert_int_equal(c.route.n_groups_used, 4);
    assert_true(c.route.group_by_top2);
    gguf_close(&g);
    mutant_set_u32(&m, "deepseek2.expert_count", 160);
    mutant_set_u32(&m, "deepseek2.expert_gating_func", 1);
    assert_int_equal(gguf_open(&g, mutant_save(&m), NULL), FK_OK);
    assert_int_equal(model_config_read(&c, g, NULL), FK_OK);
    assert_int_equal(c.route.n_groups, 8);
    assert_int_equal(c.route.n_groups_used, 3);
    assert_false(c.route.group_by_top2);
    gguf_close(&g);
    mutant_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_are_refused_by_name),
        cmocka_unit_test(tensors_are_refused_by_name),
        cmocka_unit_test(flips_do_not_break),
        cmocka_unit_test(groups_of_older_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
