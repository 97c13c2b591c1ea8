#!/usr/bin/env python3
"""Compares `fikr convert` with the published converter and loaders on tiny random models of every family.

Usage: oracle_convert.py --fikr PROGRAM [--llama-cpp FOLDER] [--keep FOLDER] [--only NAME]

 1. transformers writes a folder; fikr converts it to GGUF; llama.cpp's own converter (FOLDER has conversion/
    and gguf-py/, as in its source tree) converts it too: same tensors bit for bit, same keys and values.
    Keys that only one side writes are listed in EXTRA and MISSING with the reason.
 2. GGUF -> folder -> GGUF is bit for bit the same, and transformers computes the same logits from the folder
    as from the original one.
 3. the program's own logits of the converted file agree with transformers' within 1e-4.
 4. F8_E4M3 weights with block scales are what torch makes of them; a bf16 folder stays bf16.
Prints a line per check, ends with `N passed, N failed`."""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

passed = failed = 0
TEXT = ["The quick brown fox jumps over the lazy dog. 0123456789", "def f(x):\n    return x + 1\n",
        "مرحبا بالعالم", "深度求索 深度学习", "naïve café — “quotes” …", "<tag> {json: [1, 2, 3]} </tag>"] * 4
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
# What fikr writes and the other converter leaves out: defaults that the file should say, and our own keys.
EXTRA = {"expert_gating_func", "expert_group_count", "expert_group_used_count", "expert_weights_norm",
         "expert_weights_scale", "nextn_predict_layers", "attention.sliding_window_pattern", "attention.scale",
         "attention.key_length", "attention.value_length", "expert_feed_forward_length", "vocab_size"}
OWN = {"fikr.eog_token_ids", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.add_space_prefix",
       "tokenizer.ggml.unknown_token_id"}
# What it writes from the model card or counts, which nothing reads.
MISSING = {"general.size_label", "general.license", "general.tags", "general.languages", "general.basename",
           "general.finetune", "general.version", "general.organization", "tokenizer.ggml.add_sep_token"}


def check(name, ok, detail=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok    ' if ok else 'FAILED'} {name}{': ' + detail if detail else ''}", flush=True)
    return ok


def byte_level(pattern, nfc, ignore_merges, specials):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False,
                                                                                       use_regex=False)]
    t.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if nfc:
        t.normalizer = normalizers.NFC()
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, special_tokens=specials,
                                                    initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def tokenizer(folder, family, n_vocab):
    specials = ["<|begin|>", "<|end|>", "<|im_end|>", "<think>", "<|endoftext|>"]
    t = byte_level(QWEN2 if family.startswith("qwen") else LLAMA3, family.startswith("qwen"),
                   not family.startswith("qwen"), specials)
    bos = t.token_to_id(specials[0])
    if not family.startswith("qwen"):
        t.post_processor = processors.TemplateProcessing("<|begin|> $A", "<|begin|> $A <|begin|> $B",
                                                         [("<|begin|>", bos)])
    t.add_tokens(["<|user-defined|>", "▁▁spaces"])
    t.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": specials[0], 
              "eos_token": {"__type": "AddedToken", "content": specials[1], "lstrip": False, "rstrip": False,
                            "normalized": False, "single_word": False, "special": True}, "pad_token": specials[1], "chat_template": "{{ messages[0]['content'] }}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 2], "bos_token_id": 0}))
    assert t.get_vocab_size() <= n_vocab


def configs():
    base = dict(vocab_size=512, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                intermediate_size=96, max_position_embeddings=256)
    T = transformers
    yield "llama", T.LlamaConfig(**base)
    yield "llama3", T.LlamaConfig(**base, head_dim=32, tie_word_embeddings=True, rope_parameters={
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192})
    yield "llama-bias", T.LlamaConfig(**base, attention_bias=True, rope_parameters={
        "rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0})
    yield "qwen2", T.Qwen2Config(**base, rope_parameters={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 1e6})
    yield "qwen3", T.Qwen3Config(**base, head_dim=32, tie_word_embeddings=True)
    yield "qwen3moe", T.Qwen3MoeConfig(**base, head_dim=32, num_experts=8, num_experts_per_tok=2,
                                       moe_intermediate_size=32, norm_topk_prob=True)
    yield "gemma3", T.Gemma3TextConfig(**{**base, "num_hidden_layers": 7}, head_dim=32, sliding_window=16,
                                       query_pre_attn_scalar=32)
    mla = dict(kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=24, n_routed_experts=8,
               num_experts_per_tok=3, moe_intermediate_size=32, n_shared_experts=2, first_k_dense_replace=1)
    base["num_key_value_heads"] = 4
    yield "deepseek-v2-lite", T.DeepseekV2Config(**base, **mla, q_lora_rank=None, topk_method="greedy", n_group=1,
                                                 topk_group=1, head_dim=16)
    yield "deepseek-v2", T.DeepseekV2Config(**base, **mla, q_lora_rank=48, topk_method="group_limited_greedy",
                                            n_group=4, topk_group=2, routed_scaling_factor=16.0, head_dim=16)
    yield "deepseek-v3", T.DeepseekV3Config(**base, **mla, q_lora_rank=48, n_group=4, topk_group=2, head_dim=16,
                                            rope_parameters={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1,
        "mscale": 1.0, "mscale_all_dim": 1.0, "rope_theta": 10000.0})


def make_model(folder, name, config, dtype=torch.float32):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(torch.randn(p.shape) * (0.2 if "norm" in key else 0.05) + ("norm" in key and name != "gemma3"))
        for key, p in model.named_buffers():
            if "e_score" in key:
                p.copy_(torch.randn(p.shape) * 0.1)
    model.eval().save_pretrained(folder)
    tokenizer(folder, name, config.vocab_size)
    return model


def fikr(args, a, b, kind=None, want=0):
    cmd = [args.fikr, "convert", str(a), str(b)] + (["--type", kind] if kind else [])
    if Path(args.fikr).name == "conv":
        cmd = [args.fikr, str(a), str(b)] + ([kind] if kind else [])
    done = subprocess.run(cmd, capture_output=True, text=True)
    if done.returncode != want:
        raise RuntimeError(f"{' '.join(cmd)}: {done.returncode} {done.stderr}")
    return done.stderr


def read(path):
    import gguf
    r = gguf.GGUFReader(path)
    keys = {k: f.contents() for k, f in r.fields.items() if not k.startswith("GGUF.")}
    return keys, {t.name: (t.tensor_type.name, [int(x) for x in t.shape], t.data.tobytes()) for t in r.tensors}


RUN = """
import sys
from pathlib import Path
root, folder, out, kind = sys.argv[1:5]
sys.path.insert(0, root); sys.path.insert(1, root + "/gguf-py")
import logging; logging.disable(logging.WARNING)
import torch, gguf
from conversion.base import TextModel, ModelBase
import conversion
TextModel.get_vocab_base_pre = lambda self, tokenizer: sys.argv[5]
hparams = ModelBase.load_hparams(Path(folder), False)
arch = hparams["architectures"][0]
try:
    cls = conversion.get_model_class(arch)
except AttributeError:
    cls = ModelBase.from_model_architecture(arch)
ftype = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16,
         "bf16": gguf.LlamaFileType.MOSTLY_BF16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}[kind]
with torch.inference_mode():
    cls(Path(folder), ftype, Path(out), model_name=Path(folder).name).write()
"""


def same_values(a, b):
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1e-30)
    return a == b


def compare(name, ours, theirs):
    keys_a, tensors_a = read(ours)
    keys_b, tensors_b = read(theirs)
    arch = keys_b["general.architecture"]
    bad = []
    for k in sorted(set(keys_a) | set(keys_b)):
        short = k.removeprefix(arch + ".")
        if k not in keys_b:
            if short not in EXTRA and k not in OWN:
                bad.append(f"{k} only here: {str(keys_a[k])[:60]}")
        elif k not in keys_a:
            if k not in MISSING:
                bad.append(f"{k} only there: {str(keys_b[k])[:60]}")
        elif name.startswith("spm") and k == "tokenizer.ggml.token_type":
            # pieces that the trainer's user defined are plain ones there
            if [1 if t == 4 else t for t in keys_a[k]] != keys_b[k]:
                bad.append(k)
        elif not same_values(keys_a[k], keys_b[k]) and k != "general.name":
            bad.append(f"{k}: {str(keys_a[k])[:80]} is not {str(keys_b[k])[:80]}")
    check(f"{name} keys", not bad, "; ".join(bad) or f"{len(keys_b)} keys")
    bad = []
    for k in sorted(set(tensors_a) | set(tensors_b)):
        if k not in tensors_a or k not in tensors_b:
            bad.append(f"{k} only {'here' if k in tensors_a else 'there'}")
        elif k == "rope_freqs.weight":  # computed in double here, in float there
            if not np.allclose(np.frombuffer(tensors_a[k][2], np.float32), np.frombuffer(tensors_b[k][2], np.float32),
                               rtol=1e-6):
                bad.append(f"{k}: values differ")
        elif name.startswith("gemma3") and k == "token_embd.weight":
            # there the rows that the vocabulary has no token for are cut off, here they stay as in the folder
            if not tensors_a[k][2].startswith(tensors_b[k][2]):
                bad.append(f"{k}: bytes differ")
        elif tensors_a[k][:2] != tensors_b[k][:2]:
            bad.append(f"{k}: {tensors_a[k][:2]} is not {tensors_b[k][:2]}")
        elif tensors_a[k][2] != tensors_b[k][2]:
            bad.append(f"{k}: bytes differ")
    check(f"{name} tensors", not bad, "; ".join(bad[:6]) or f"{len(tensors_b)} tensors bit for bit")


def against_published(args, work, name, folder, kinds):
    for kind in kinds:
        ours, theirs = work / f"{name}-{kind}.gguf", work / f"{name}-{kind}-theirs.gguf"
        fikr(args, folder, ours, kind)
        pre = read(ours)[0]["tokenizer.ggml.pre"]
        done = subprocess.run([sys.executable, "-c", RUN, str(args.llama_cpp), str(folder), str(theirs), kind, pre],
                              capture_output=True, text=True)
        if done.returncode:
            check(f"{name} {kind}", False, "the published converter fails: " + done.stderr.strip()[-400:])
            continue
        compare(f"{name} {kind}", ours, theirs)


def logits(folder, ids):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(ids).logits


def round_trip(args, work, name, folder, model):
    for kind in ("f32", "f16"):
        one, back, two = work / f"{name}-{kind}-1.gguf", work / f"{name}-{kind}-back", work / f"{name}-{kind}-2.gguf"
        fikr(args, folder, one, kind)
        fikr(args, one, back)
        fikr(args, back, two)
        (k1, t1), (k2, t2) = read(one), read(two)
        k1.pop("general.name"), k2.pop("general.name")
        bad = [k for k in set(k1) | set(k2) if k not in k1 or k not in k2 or not same_values(k1[k], k2[k])]
        bad += [t for t in set(t1) | set(t2) if t1.get(t) != t2.get(t)]
        check(f"{name} {kind} round trip", not bad, ", ".join(f"{b}: {str(k1.get(b, ''))[:60]} {str(k2.get(b, ''))[:60]}"
                                                            for b in bad[:5]) or f"{len(k1)} keys, {len(t1)} tensors")
        if kind == "f32":
            ids = torch.arange(48).reshape(1, -1) * 7 % 500
            with torch.no_grad():
                want = model(ids).logits
            got = logits(back, ids)
            diff = float((got - want).abs().max() / want.abs().max())
            check(f"{name} logits from the folder", diff < 1e-5, f"largest difference {diff:.1e}")
            a = transformers.AutoTokenizer.from_pretrained(folder)
            b = transformers.AutoTokenizer.from_pretrained(back)
            texts = TEXT[:6] + ["<|im_end|>x<|user-defined|> y", " spaces   and\nlines\n\n 12345"]
            bad = [t for t in texts if a(t)["input_ids"] != b(t)["input_ids"]]
            check(f"{name} tokenizer from the folder", not bad, "; ".join(f"{t!r}: {a(t)['input_ids']} {b(t)['input_ids']}"
                                                                          for t in bad[:2]))


def engine(args, work, name, model):
    """The program's own logits of the converted file against transformers'."""
    if Path(args.fikr).name == "conv":
        return
    ids = (torch.arange(48) * 7 % 500).tolist()
    done = subprocess.run([args.fikr, "logits", "-m", str(work / f"{name}-f32-1.gguf"), "--kv", "f32", "--ids",
                           ",".join(map(str, ids)), "-o", str(work / "logits")], capture_output=True, text=True)
    if not check(f"{name} runs", done.returncode == 0, done.stderr.strip()[:200]):
        return
    with torch.no_grad():
        want = model(torch.tensor([ids])).logits[0].numpy()
    got = np.fromfile(work / "logits", np.float32).reshape(48, -1)
    diff = float(np.abs(got - want).max() / np.abs(want).max())
    check(f"{name} logits", diff < 1e-4 and (got.argmax(1) == want.argmax(1)).all(), f"largest difference {diff:.1e}")


def f8(args, work):
    """DeepSeek's way: F8_E4M3 weights with one f32 scale per 128 x 128 block."""
    name, config = [c for c in configs() if c[0] == "deepseek-v3"][0]
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = 192, 160, 2
    folder = work / "f8"
    make_model(folder, name, config, torch.bfloat16)
    tensors, want = load_file(folder / "model.safetensors"), {}
    for key in list(tensors):
        w = tensors[key]
        if w.ndim != 2 or "proj" not in key:
            continue
        blocks = [(w.shape[0] + 127) // 128, (w.shape[1] + 127) // 128]
        scale = torch.rand(blocks) * 0.01 + 0.001
        full = scale.repeat_interleave(128, 0)[:w.shape[0]].repeat_interleave(128, 1)[:, :w.shape[1]]
        tensors[key] = (w.float() / full).clamp(-448, 448).to(torch.float8_e4m3fn)
        tensors[key + "_scale_inv"] = scale
        want[key] = (tensors[key].float() * full).to(torch.bfloat16)
    for layer in (2,):  # a multi-token-prediction layer, as published: a whole layer and five tensors more
        for key in [k for k in tensors if k.startswith("model.layers.1.")]:
            tensors[key.replace("layers.1.", f"layers.{layer}.")] = tensors[key].clone()
        p = f"model.layers.{layer}."
        tensors.update({p + "eh_proj.weight": torch.randn(192, 384).bfloat16(), p + "enorm.weight": torch.ones(192),
                        p + "hnorm.weight": torch.ones(192), p + "shared_head.norm.weight": torch.ones(192),
                        p + "shared_head.head.weight": tensors["lm_head.weight"].clone(),
                        p + "embed_tokens.weight": tensors["model.embed_tokens.weight"].clone()})
    save_file(tensors, folder / "model.safetensors")
    c = json.loads((folder / "config.json").read_text())
    c["num_nextn_predict_layers"] = 1
    c["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
    (folder / "config.json").write_text(json.dumps(c))
    fikr(args, folder, work / "f8.gguf")
    keys, got = read(work / "f8.gguf")

    def bits(t):
        return t.contiguous().view(torch.int16).numpy().tobytes()
    pairs = {"blk.0.attn_output.weight": "model.layers.0.self_attn.o_proj.weight",
             "blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight",
             "blk.1.ffn_up_shexp.weight": "model.layers.1.mlp.shared_experts.up_proj.weight"}
    bad = [g for g, h in pairs.items() if got[g][0] != "BF16" or got[g][2] != bits(want[h])]
    stacked = torch.stack([want[f"model.layers.1.mlp.experts.{e}.gate_proj.weight"] for e in range(8)])
    if got["blk.1.ffn_gate_exps.weight"][2] != bits(stacked):
        bad.append("experts")
    kv = want["model.layers.0.self_attn.kv_b_proj.weight"].view(4, 40, 32)
    if got["blk.0.attn_k_b.weight"][2] != bits(kv[:, :16].transpose(1, 2)):
        bad.append("k_b")
    if got["blk.0.attn_v_b.weight"][2] != bits(kv[:, 16:]):
        bad.append("v_b")
    check("f8 blocks", not bad, ", ".join(bad) or f"{len(want)} F8 tensors are the BF16 that torch makes")
    nextn = [t for t in got if ".nextn." in t]
    check("mtp layer", len(nextn) == 6 and keys["deepseek2.block_count"] == 3
          and keys["deepseek2.nextn_predict_layers"] == 1, f"{sorted(nextn)}")


def sentencepiece(args, work):
    """tokenizer.model, and the tokenizer.json that transformers makes of it."""
    import sentencepiece as spm
    folder = work / "spm"
    config = dict(configs())["llama"]
    make_model(folder, "llama", config)
    for f in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (folder / f).unlink()
    (work / "text").write_text("\n".join(TEXT * 20))
    spm.SentencePieceTrainer.train(input=str(work / "text"), model_prefix=str(folder / "tokenizer"), vocab_size=470,
                                   model_type="bpe", byte_fallback=True, character_coverage=0.99, minloglevel=2,
                                   user_defined_symbols=["[INST]"], hard_vocab_limit=False,
                                   normalization_rule_name="identity", remove_extra_whitespaces=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "add_bos_token": True, "add_eos_token": False, "added_tokens_decoder": {
            str(i): {"content": t, "special": True, "lstrip": False, "rstrip": False, "normalized": False,
                     "single_word": False} for i, t in enumerate(["<unk>", "<s>", "</s>"])}}))
    if args.llama_cpp:
        against_published(args, work, "spm", folder, ["f32"])
    fikr(args, folder, work / "spm.gguf")
    keys = read(work / "spm.gguf")[0]
    p = spm.SentencePieceProcessor(str(folder / "tokenizer.model"))
    want = [p.id_to_piece(i) for i in range(p.vocab_size())]
    check("sentencepiece tokens", keys["tokenizer.ggml.tokens"][:len(want)] == want and keys["tokenizer.ggml.model"] == "llama",
          f"{len(want)} pieces")
    check("sentencepiece scores", all(a == b for a, b in zip(keys["tokenizer.ggml.scores"][3:],
                                                             (p.get_score(i) for i in range(3, len(want))))))
    fikr(args, work / "spm.gguf", work / "spm-back")
    fikr(args, work / "spm-back", work / "spm2.gguf")
    again = read(work / "spm2.gguf")[0]
    bad = [k for k in keys if k != "general.name" and keys[k] != again.get(k)]
    check("sentencepiece round trip", not bad, ", ".join(bad))
    q = spm.SentencePieceProcessor(str(work / "spm-back" / "tokenizer.model"))
    check("sentencepiece loads what is written", all(p.encode(t) == q.encode(t) for t in TEXT[:6]))
    (folder / "tokenizer.model").unlink()
    vocab = {t: i for i, t in enumerate(want)}
    merges = [(t[:k], t[k:]) for t in sorted(want[3:], key=lambda t: -p.get_score(vocab[t]))  # as transformers makes them
              for k in range(1, len(t)) if t[:k] in vocab and t[k:] in vocab and not p.is_byte(vocab[t])]
    tree = {"added_tokens": [{"id": i, "content": t, "special": True} for i, t in enumerate(want[:3])],
            "normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
            "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "vocab": vocab,
                      "merges": [list(m) for m in merges]}}
    (folder / "tokenizer.json").write_text(json.dumps(tree))
    fikr(args, folder, work / "spm3.gguf")
    ranks = read(work / "spm3.gguf")[0]
    ids = [i for i, s in enumerate(ranks["tokenizer.ggml.scores"]) if i < len(want) and -1e6 < s and i > 2
           and ranks["tokenizer.ggml.token_type"][i] == 1]
    order = sorted(ids, key=lambda i: -ranks["tokenizer.ggml.scores"][i])
    check("scores of tokenizer.json", len(ids) > 50 and order == sorted(ids, key=lambda i: -p.get_score(i)),
          f"{len(ids)} merged tokens in the order of tokenizer.model")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--fikr", required=True)
    ap.add_argument("--llama-cpp", type=Path)
    ap.add_argument("--keep", type=Path)
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    work = args.keep or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    transformers.logging.set_verbosity_error()
    try:
        for name, config in configs():
            if args.only and name not in args.only.split(","):
                continue
            folder = work / name
            model = make_model(folder, name, config)
            if args.llama_cpp:
                kinds = ["f32", "f16", "bf16", "q8_0"] if name in ("llama", "deepseek-v3") else ["f32", "q8_0"]
                against_published(args, work, name, folder, kinds)
            round_trip(args, work, name, folder, model)
            engine(args, work, name, model)
        if not args.only or "f8" in args.only.split(","):
            f8(args, work)
        if not args.only or "spm" in args.only.split(","):
            sentencepiece(args, work)
    finally:
        if not args.keep:
            shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
