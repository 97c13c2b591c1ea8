#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times a training step of PyTorch (CPU, eager and compiled) on the model that train_step times.

  .venv/bin/python bench/peer_train.py [threads [rows [document [reps]]]] [--compile]

transformers' DeepseekV3 of the shipped model's shape, float32: documents of equal length as a batch,
two thirds of their tokens as targets, forward, cross entropy and backward. No optimizer, as there.
"""
import sys
import time

import torch
import transformers as tf

words = [a for a in sys.argv[1:] if not a.startswith("-")]
threads, rows, length, reps = [int(x) for x in words] + [2, 4096, 128, 3][len(words):]
torch.set_num_threads(threads)
config = tf.DeepseekV3Config(
    vocab_size=448, hidden_size=192, intermediate_size=512, num_hidden_layers=5,
    num_attention_heads=6, num_key_value_heads=6, max_position_embeddings=1024,
    tie_word_embeddings=False, kv_lora_rank=64, q_lora_rank=96, qk_nope_head_dim=32,
    qk_rope_head_dim=16, v_head_dim=32, moe_intermediate_size=96, n_routed_experts=8,
    num_experts_per_tok=2, n_shared_experts=1, first_k_dense_replace=1, n_group=1, topk_group=1,
    norm_topk_prob=True, routed_scaling_factor=1.0, num_mtp_layers=0)
torch.manual_seed(1)
model = tf.DeepseekV3ForCausalLM(config).float().train()
if "--compile" in sys.argv:
    model.forward = torch.compile(model.forward)
n_docs = rows // length
ids = torch.randint(0, 448, (n_docs, length))
labels = ids.clone()
labels[:, : length // 3 + 1] = -100


def step():
    model.zero_grad(set_to_none=False)
    a = time.perf_counter()
    loss = model(ids, labels=labels, use_cache=False).loss
    b = time.perf_counter()
    loss.backward()
    return b - a, time.perf_counter() - b


step()
times = [step() for _ in range(reps)]
forward, backward = min(t[0] for t in times), min(t[1] for t in times)
n = n_docs * length
print(f"torch {torch.__version__}, {n} tokens, {threads} threads: forward {1e3 * forward:.1f} ms, "
      f"backward {1e3 * backward:.1f} ms, {n / (forward + backward):.0f} tokens/s")
