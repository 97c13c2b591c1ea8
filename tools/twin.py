#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the same small model twice, here and in PyTorch (transformers' DeepseekV3, float32, AdamW), from the same
weights on the same batches, and compares the loss of every step.

  twin.py [--build BUILD] [--steps 200] [--threads N]    needs torch and transformers (make oracle's .venv)

Two models: one dense with MLA, one with routed experts, whose choices are replayed as recorded: a choice that turns on the
last bit would lead elsewhere. Says the largest difference of the loss, and fails where it is over 1e-3."""
import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import DeepseekV3ForCausalLM

BOUND = 1e-3
SHAPE = {"vocab": 400, "context": 256, "embd": 64, "layers": 3, "ff": 128, "heads": 4, "nope_dim": 32, "rope_dim": 16,
         "v_dim": 32, "q_rank": 32, "kv_rank": 32, "ff_expert": 32, "shared_experts": 1}


def recipe(is_moe, steps):
    experts = {"dense_layers": 1, "experts": 8, "experts_used": 2} if is_moe else {"dense_layers": SHAPE["layers"]}
    return {"name": "twin", "seed": 5, "vocab_sample": 500, "eval_steps": 0, "model": {**SHAPE, **experts},
            "optimizer": {"balance": 0, "bias_rate": 0},
            "stages": [{"name": "a", "steps": steps, "batch_tokens": 512, "lr": 2e-3, "warmup": 10, "decay": 50,
                        "families": {"add": 1, "sort": 1}}]}


def predicting(step):
    """The tokens after which a target comes, in order."""
    rows, at = [], 0
    for n in step["lengths"]:
        rows += [i for i in range(at, at + n - 1) if step["is_target"][i + 1]]
        at += n
    return torch.tensor(rows)


def read_steps(path):
    data = path.read_bytes()
    at = 0

    def ints(n):
        nonlocal at
        at += 4 * n
        return torch.frombuffer(bytearray(data[at - 4 * n:at]), dtype=torch.int32).long() if n else None

    while at < len(data):
        n, n_docs, n_layers, used = ints(4).tolist()
        step = {"lengths": ints(n_docs).tolist(), "tokens": ints(n), "is_target": ints(n).bool()}
        step["experts"] = torch.zeros(n_layers, n, max(used, 1), dtype=torch.long) + torch.arange(max(used, 1))
        for layer in range(n_layers):
            n_rows = int(ints(1))
            rows = torch.arange(n) if n_rows == n else predicting(step)
            step["experts"][layer, rows] = ints(n_rows * used).view(n_rows, used)
        step["loss"], step["norm"], step["lr"] = struct.unpack_from("<3d", data, at)
        at += 24
        yield step


class Replay(torch.nn.Module):
    """A router that takes the experts it is told, and weighs them as DeepSeek-V3 does."""

    def __init__(self, gate, layer):
        super().__init__()
        self.gate, self.layer, self.chosen = gate, layer, None

    def forward(self, x):
        g = self.gate
        logits = torch.nn.functional.linear(x.view(-1, x.shape[-1]), g.weight)
        weights = logits.sigmoid().gather(1, self.chosen)
        if g.norm_topk_prob:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return logits, weights * g.routed_scaling_factor, self.chosen


def twin(model, steps):
    replays = [m for m in model.modules() if isinstance(m, Replay)]
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    optim = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                              betas=(0.9, 0.95), eps=1e-8)
    worst = 0
    for i, s in enumerate(steps):
        n_targets, at, total = 0, 0, 0
        for n in s["lengths"]:
            ids, target = s["tokens"][at:at + n], s["is_target"][at:at + n][1:]
            for layer, r in enumerate(replays):
                r.chosen = s["experts"][layer, at:at + n]
            logits = model(ids[None], use_cache=False).logits[0].float()
            total = total + torch.nn.functional.cross_entropy(logits[:-1][target], ids[1:][target], reduction="sum")
            n_targets += int(target.sum())
            at += n
        loss = total / n_targets
        optim.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        for group in optim.param_groups:
            group["lr"] = s["lr"]
        optim.step()
        worst = max(worst, abs(loss.item() - s["loss"]))
        if i % 50 == 0 or i + 1 == len(steps):
            print(f"  step {i + 1}: loss {s['loss']:.6f} and {loss.item():.6f}, norm {s['norm']:.5f} and {norm:.5f}")
    return worst


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default="build", type=Path)
    p.add_argument("--steps", default=200, type=int)
    p.add_argument("--threads", default=1, type=int)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    failed = False
    for name, is_moe in (("dense, MLA", False), ("experts, choices replayed", True)):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "recipe.json").write_text(json.dumps(recipe(is_moe, a.steps)))
            subprocess.run([a.build / "tests/unit/train/twin", folder / "recipe.json", folder], check=True)
            subprocess.run([a.build / "fikr", "convert", folder / "fresh.gguf", folder / "hf"], check=True,
                           stdout=subprocess.DEVNULL)
            model = DeepseekV3ForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32,
                                                          attn_implementation="eager")
            for i, layer in enumerate(model.model.layers):
                if hasattr(layer.mlp, "gate"):
                    layer.mlp.gate = Replay(layer.mlp.gate, i)
            print(name)
            worst = twin(model, list(read_steps(folder / "steps.bin")))
            print(f"  largest difference of the loss: {worst:.2e} (bound {BOUND:.0e})")
            failed |= not worst < BOUND
    return failed


if __name__ == "__main__":
    sys.exit(main())
