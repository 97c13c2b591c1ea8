#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/: tiny random models of every family as GGUF, and what transformers says.

  python3 tools/make_goldens.py [OUT_DIR]     needs torch, transformers and gguf (tools/oracle.py)

The oracle is the published code of transformers, float32, eager attention. Names and layouts in the
GGUF files are those of llama.cpp's converter: Wq and Wk of llama permuted to neighbouring rotary
pairs, Gemma's norms as 1 + w, kv_b split in k_b (transposed) and v_b, yarn_log_multiplier as 0.1 times
mscale_all_dim. A file NAME.gold is little-endian:

  8 bytes "FKGOLD01", u32 n_ids, n_vocab, n_prompt, n_greedy
  i32 ids[n_ids]; f32 logits[n_ids][n_vocab]        of one pass over ids
  i32 greedy[n_greedy]; f32 gap[n_greedy]           after ids[:n_prompt]; gap of the two best logits

The sizes make 64 positions cross pages and windows of 16 and YaRN's original context of 32. A seed is
taken only if no two best logits anywhere are closer than GAP of the largest, so that tests may ask for
equal tokens, and if the greedy text is no short cycle.
"""
import math
import os
import struct
import sys

import gguf
import numpy as np
import torch
import transformers as tf

N_IDS, N_PROMPT, N_GREEDY, GAP = 64, 8, 64, 1e-3
N_VOCAB = 128
torch.set_num_threads(1)


def tiny(cls, config, seed):
    """A model whose attention and routing are far from uniform."""
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    torch.manual_seed(seed)
    model = cls(config).float().eval()
    g = torch.Generator().manual_seed(seed)
    for name, p in sorted(list(model.named_parameters()) + list(model.named_buffers())):
        if "inv_freq" in name or "embed_scale" in name:
            continue
        r = torch.randn(p.shape, generator=g)
        if name.endswith("e_score_correction_bias"):
            r = 0.1 * r
        elif "norm" in name:
            r = 0.1 * r + (0 if "gemma" in config.model_type else 1)
        elif name.endswith("bias"):
            r = 0.3 * r
        elif "embed_tokens" in name:
            r = r * (0.25 if config.tie_word_embeddings else 1)
        else:
            gain = 2.5 if ".gate.weight" in name else 1.5 if "q_" in name or "k_" in name else 1
            r = gain * r / math.sqrt(p.shape[-1])
        p.data.copy_(r)
    model.tie_weights()
    return model


def run(model):
    """ids, logits, greedy tokens and their gaps; None if two best logits are too close."""
    g = torch.Generator().manual_seed(7)
    ids = torch.randint(0, model.config.vocab_size, (N_IDS,), generator=g)
    with torch.no_grad():
        logits = model(ids[None], use_cache=False).logits[0].float()
        best = logits.topk(2).values
        if float((best[:, 0] - best[:, 1]).min()) < GAP * float(logits.abs().max()):
            return None
        seq, gaps = ids[:N_PROMPT], []
        for _ in range(N_GREEDY):
            last = model(seq[None], use_cache=False).logits[0, -1].float()
            top = last.topk(2)
            gaps.append(float(top.values[0] - top.values[1]))
            if gaps[-1] < GAP * float(last.abs().max()):
                return None
            seq = torch.cat([seq, top.indices[:1]])
    if len(set(seq[N_PROMPT:].tolist())) < N_GREEDY // 6:
        return None
    return ids, logits, seq[N_PROMPT:], gaps


def save_gold(path, result):
    ids, logits, greedy, gaps = result
    with open(path, "wb") as f:
        f.write(b"FKGOLD01" + struct.pack("<4I", N_IDS, logits.shape[1], N_PROMPT, N_GREEDY))
        f.write(ids.numpy().astype("<i4").tobytes() + logits.numpy().astype("<f4").tobytes())
        f.write(greedy.numpy().astype("<i4").tobytes() + np.array(gaps, "<f4").tobytes())


def add_vocab(w, n):
    """Byte-level BPE over ASCII; where n allows, over all bytes, so that engines can be tested."""
    table = {b: chr(b) for b in [*range(33, 127), *range(161, 173), *range(174, 256)]}
    rest = [b for b in range(256) if b not in table]
    table.update({b: chr(256 + i) for i, b in enumerate(rest)})
    order = [*range(32, 127), 10] + [b for b in range(256) if b not in [*range(32, 127), 10]]
    tokens = ["<s>", "</s>"] + [table[b] for b in order]
    types = [3, 3] + [1] * 256
    words = ["the", "and", "ing", "\u0120t", "he", "in", "\u0120a", "on", "er", "re", "th", "an", "nd", "ng"]
    merges = ["t h", "th e", "a n", "an d", "i n", "in g", "\u0120 t", "h e", "\u0120 a", "o n",
              "e r", "r e", "n d", "n g"]
    if n < len(tokens):
        tokens, types = tokens[:98], types[:98]
    for word in words:
        tokens.append(word)
        types.append(1)
    while len(tokens) < n:
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(5)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens[:n])
    w.add_token_types(types[:n])
    w.add_token_merges(merges)
    w.add_bos_token_id(0)
    w.add_eos_token_id(1)
    w.add_add_bos_token(False)


def writer(path, arch, c):
    w = gguf.GGUFWriter(path, arch)
    w.add_name("golden " + os.path.basename(path)[:-5])
    w.add_vocab_size(c.vocab_size)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    add_vocab(w, c.vocab_size)
    return w


def add_rope(w, p):
    w.add_rope_freq_base(p["rope_theta"])
    kind = p.get("rope_type", "default")
    if kind == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(p["factor"])
    if kind == "yarn":
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(p["factor"])
        w.add_rope_scaling_orig_ctx_len(p["original_max_position_embeddings"])
        if "beta_fast" in p:
            w.add_rope_scaling_yarn_beta_fast(p["beta_fast"])
        if "beta_slow" in p:
            w.add_rope_scaling_yarn_beta_slow(p["beta_slow"])
        if p.get("mscale_all_dim") is not None:
            w.add_rope_scaling_yarn_log_mul(0.1 * p["mscale_all_dim"])


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


class Tensors:
    def __init__(self, w, model):
        self.w, self.s, self.used = w, model.state_dict(), set()

    def take(self, name):
        self.used.add(name)
        return self.s[name]

    def put(self, out, t):
        self.w.add_tensor(out, np.ascontiguousarray(t.detach().numpy().astype("<f4")))

    def move(self, out, name, change=lambda t: t):
        self.put(out, change(self.take(name)))

    def done(self):
        left = [n for n in self.s if n not in self.used and "inv_freq" not in n]
        assert not left, left


def permute(t, n_heads):
    return t.reshape(n_heads, 2, t.shape[0] // n_heads // 2, *t.shape[1:]).swapaxes(1, 2).reshape(t.shape)


def put_ends(t, c, shift=lambda x: x):
    t.move("token_embd.weight", "model.embed_tokens.weight")
    t.move("output_norm.weight", "model.norm.weight", shift)
    if c.tie_word_embeddings:
        t.used.add("lm_head.weight")
    else:
        t.move("output.weight", "lm_head.weight")


def put_mlp(t, src, dst, suffix=""):
    for a in ("gate", "up", "down"):
        t.move(f"{dst}ffn_{a}{suffix}.weight", f"{src}{a}_proj.weight")


def put_experts(t, src, dst):
    gate, up = t.take(src + "gate_up_proj").chunk(2, dim=1)
    t.put(dst + "ffn_gate_exps.weight", gate)
    t.put(dst + "ffn_up_exps.weight", up)
    t.move(dst + "ffn_down_exps.weight", src + "down_proj")


def write_gqa(path, arch, model):
    c = model.config
    is_gemma, is_llama = arch == "gemma3", arch == "llama"
    w = writer(path, arch, c)
    w.add_head_count_kv(c.num_key_value_heads)
    head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    if arch != "qwen2" and not is_llama:
        w.add_key_length(head)
        w.add_value_length(head)
    rope = c.rope_parameters
    if is_gemma:
        w.add_sliding_window(c.sliding_window)
        w.add_final_logit_softcapping(c.final_logit_softcapping)
        rope = rope["full_attention"]
    if is_llama:
        w.add_rope_dimension_count(head)
    add_rope(w, rope)
    if arch == "qwen3moe":
        w.add_expert_count(c.num_experts)
        w.add_expert_used_count(c.num_experts_per_tok)
        w.add_expert_feed_forward_length(c.moe_intermediate_size)
    t = Tensors(w, model)
    shift = (lambda x: x + 1) if is_gemma else (lambda x: x)
    put_ends(t, c, shift)
    if rope.get("rope_type") == "llama3":
        plain = rope["rope_theta"] ** (-torch.arange(0, head, 2).float() / head)
        t.put("rope_freqs.weight", plain / model.model.rotary_emb.inv_freq)
    for i in range(c.num_hidden_layers):
        src, dst = f"model.layers.{i}.", f"blk.{i}."
        t.move(dst + "attn_norm.weight", src + "input_layernorm.weight", shift)
        for a, b, n in (("q_proj", "attn_q", c.num_attention_heads),
                        ("k_proj", "attn_k", c.num_key_value_heads), ("v_proj", "attn_v", 0),
                        ("o_proj", "attn_output", 0)):
            for kind in ("weight", "bias"):
                if f"{src}self_attn.{a}.{kind}" in t.s:
                    t.move(f"{dst}{b}.{kind}", f"{src}self_attn.{a}.{kind}",
                           (lambda x, n=n: permute(x, n)) if is_llama and n else (lambda x: x))
        for a in ("q", "k"):
            if f"{src}self_attn.{a}_norm.weight" in t.s:
                t.move(f"{dst}attn_{a}_norm.weight", f"{src}self_attn.{a}_norm.weight", shift)
        if is_gemma:
            t.move(dst + "post_attention_norm.weight", src + "post_attention_layernorm.weight", shift)
            t.move(dst + "ffn_norm.weight", src + "pre_feedforward_layernorm.weight", shift)
            t.move(dst + "post_ffw_norm.weight", src + "post_feedforward_layernorm.weight", shift)
        else:
            t.move(dst + "ffn_norm.weight", src + "post_attention_layernorm.weight")
        if arch == "qwen3moe":
            t.move(dst + "ffn_gate_inp.weight", src + "mlp.gate.weight")
            put_experts(t, src + "mlp.experts.", dst)
        else:
            put_mlp(t, src + "mlp.", dst)
    t.done()
    finish(w)


def write_mla(path, arch, model, legacy=False):
    c = model.config
    is_v3 = c.model_type == "deepseek_v3"
    w = writer(path, arch, c)
    head = c.qk_nope_head_dim + c.qk_rope_head_dim
    w.add_head_count_kv(c.num_attention_heads if legacy else 1)
    w.add_kv_lora_rank(c.kv_lora_rank)
    if c.q_lora_rank:
        w.add_q_lora_rank(c.q_lora_rank)
    w.add_key_length(head if legacy else c.kv_lora_rank + c.qk_rope_head_dim)
    w.add_value_length(c.v_head_dim if legacy else c.kv_lora_rank)
    if not legacy:
        w.add_key_length_mla(head)
        w.add_value_length_mla(c.v_head_dim)
    w.add_rope_dimension_count(c.qk_rope_head_dim)
    add_rope(w, c.rope_parameters)
    w.add_leading_dense_block_count(c.first_k_dense_replace)
    w.add_expert_count(c.n_routed_experts)
    w.add_expert_used_count(c.num_experts_per_tok)
    w.add_expert_shared_count(c.n_shared_experts)
    w.add_expert_feed_forward_length(c.moe_intermediate_size)
    w.add_expert_weights_scale(c.routed_scaling_factor)
    if is_v3:
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
        w.add_expert_weights_norm(c.norm_topk_prob)
    if c.n_group and getattr(c, "topk_method", "") != "greedy":
        w.add_expert_group_count(c.n_group)
        w.add_expert_group_used_count(c.topk_group)
    t = Tensors(w, model)
    put_ends(t, c)
    for i in range(c.num_hidden_layers):
        src, dst = f"model.layers.{i}.", f"blk.{i}."
        at = src + "self_attn."
        t.move(dst + "attn_norm.weight", src + "input_layernorm.weight")
        if c.q_lora_rank:
            t.move(dst + "attn_q_a.weight", at + "q_a_proj.weight")
            t.move(dst + "attn_q_a_norm.weight", at + "q_a_layernorm.weight")
            t.move(dst + "attn_q_b.weight", at + "q_b_proj.weight")
        else:
            t.move(dst + "attn_q.weight", at + "q_proj.weight")
        t.move(dst + "attn_kv_a_mqa.weight", at + "kv_a_proj_with_mqa.weight")
        t.move(dst + "attn_kv_a_norm.weight", at + "kv_a_layernorm.weight")
        t.move(dst + "attn_output.weight", at + "o_proj.weight")
        kv_b = t.take(at + "kv_b_proj.weight")
        if legacy:
            t.put(dst + "attn_kv_b.weight", kv_b)
        else:
            kv_b = kv_b.view(c.num_attention_heads, -1, c.kv_lora_rank)
            k_b, v_b = kv_b.split([c.qk_nope_head_dim, c.v_head_dim], dim=1)
            t.put(dst + "attn_k_b.weight", k_b.transpose(1, 2))
            t.put(dst + "attn_v_b.weight", v_b)
        t.move(dst + "ffn_norm.weight", src + "post_attention_layernorm.weight")
        if i < c.first_k_dense_replace:
            put_mlp(t, src + "mlp.", dst)
            continue
        t.move(dst + "ffn_gate_inp.weight", src + "mlp.gate.weight")
        if is_v3:
            t.move(dst + "exp_probs_b.bias", src + "mlp.gate.e_score_correction_bias")
        put_experts(t, src + "mlp.experts.", dst)
        put_mlp(t, src + "mlp.shared_experts.", dst, "_shexp")
    t.done()
    finish(w)


def sizes(**more):
    base = dict(vocab_size=N_VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
                tie_word_embeddings=False, rms_norm_eps=1e-6)
    return {**base, **more}


def plain(theta=10000.0):
    return dict(rope_type="default", rope_theta=theta)


def yarn(**more):
    return dict(rope_type="yarn", rope_theta=10000.0, factor=4.0,
                original_max_position_embeddings=32, **more)


def deepseek(**more):
    base = sizes(num_hidden_layers=2, num_key_value_heads=4, intermediate_size=40, kv_lora_rank=20,
                 qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=16, moe_intermediate_size=8,
                 n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2,
                 first_k_dense_replace=1, num_mtp_layers=0)
    if "v2" in more.pop("kind"):
        del base["num_mtp_layers"]
    return {**base, **more}


def families():
    llama3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                  high_freq_factor=4.0, original_max_position_embeddings=32)
    moe = dict(num_experts=8, num_experts_per_tok=3, moe_intermediate_size=12, norm_topk_prob=True,
               head_dim=8)
    v2_lite = deepseek(kind="v2", q_lora_rank=None, topk_method="greedy", n_group=1, topk_group=1,
                       rope_parameters=yarn(beta_fast=32, beta_slow=1, mscale=0.707,
                                            mscale_all_dim=0.707))
    v2 = deepseek(kind="v2", q_lora_rank=24, topk_method="group_limited_greedy", n_group=4,
                  topk_group=2, routed_scaling_factor=16.0,
                  rope_parameters=yarn())
    v3 = deepseek(kind="v3", q_lora_rank=24, n_group=4, topk_group=2, norm_topk_prob=True,
                  n_shared_experts=1, num_hidden_layers=3,
                  rope_parameters=yarn(beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=1.0))
    v3_noq = deepseek(kind="v3", q_lora_rank=None, n_group=2, topk_group=1, norm_topk_prob=False,
                      routed_scaling_factor=1.5, rope_parameters=plain())
    gqa, mla = write_gqa, write_mla
    L, Q2, Q3, QM = tf.LlamaForCausalLM, tf.Qwen2ForCausalLM, tf.Qwen3ForCausalLM, tf.Qwen3MoeForCausalLM
    yield "llama", "llama", gqa, L, tf.LlamaConfig(
        **sizes(vocab_size=288, tie_word_embeddings=True, rope_parameters=plain()))
    yield "llama-rope3", "llama", gqa, L, tf.LlamaConfig(
        **sizes(num_hidden_layers=3, attention_bias=True, rope_parameters=llama3))
    yield "qwen2", "qwen2", gqa, Q2, tf.Qwen2Config(**sizes(rope_parameters=plain(1e6)))
    yield "qwen2-yarn", "qwen2", gqa, Q2, tf.Qwen2Config(
        **sizes(tie_word_embeddings=True, rope_parameters=yarn()))
    yield "qwen3", "qwen3", gqa, Q3, tf.Qwen3Config(
        **sizes(head_dim=16, tie_word_embeddings=True, rope_parameters=plain(1e6)))
    yield "qwen3moe", "qwen3moe", gqa, QM, tf.Qwen3MoeConfig(
        **sizes(rope_parameters=plain(1e6), **moe))
    yield "gemma3", "gemma3", gqa, tf.Gemma3ForCausalLM, tf.Gemma3TextConfig(
        **sizes(hidden_size=24, head_dim=12, num_attention_heads=2, num_key_value_heads=1,
                intermediate_size=24, num_hidden_layers=7, tie_word_embeddings=True,
                sliding_window=16, query_pre_attn_scalar=12, final_logit_softcapping=15.0,
                rope_parameters={"full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1e6),
                                 "sliding_attention": plain()}))
    V2, V2C = tf.DeepseekV2ForCausalLM, tf.DeepseekV2Config
    V3, V3C = tf.DeepseekV3ForCausalLM, tf.DeepseekV3Config
    yield "deepseek2-lite", "deepseek2", mla, V2, V2C(**v2_lite)
    yield "deepseek2-v2", "deepseek2", mla, V2, V2C(**v2)
    yield "deepseek2-v3", "deepseek2", mla, V3, V3C(**v3)
    yield "deepseek2-v3-noq", "deepseek2", mla, V3, V3C(**v3_noq)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../tests/golden")
    for name, arch, write, cls, config in families():
        for seed in range(1, 1000):
            model = tiny(cls, config, seed)
            result = run(model)
            if result:
                break
        else:
            sys.exit(f"{name}: no seed without near ties")
        path = os.path.join(out, name + ".gguf")
        write(path, arch, model)
        save_gold(path[:-5] + ".gold", result)
        if name == "deepseek2-lite":
            write(os.path.join(out, name + "-unsplit.gguf"), arch, model, legacy=True)
        print(f"{name}: seed {seed}, {os.path.getsize(path)} bytes, "
              f"max |logit| {float(result[1].abs().max()):.2f}, least gap {min(result[3]):.4f}, "
              f"{len(set(result[2].tolist()))} different tokens")


if __name__ == "__main__":
    main()
