#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training beside PyTorch (CPU, float32), in turns on the same weights, batches and threads; medians and ratios.

  .venv/bin/python bench/train.py [--build BUILD] [--threads 2] [--rounds 3] [--only step,zero,dense,rollout] [--compile]

step: a whole step (batch, forward, backward, clipping, AdamW) of the model of recipes/thinker.json on 2,048 tokens of
puzzles; zero: the same of recipes/zero.json with its optimizer (Muon) here and AdamW there; dense: of a dense model of 30 M
weights; rollout: 64 sequences of the first model sampled together, 128 tokens each after 16, with an f32 cache. PyTorch is
transformers' DeepseekV3 with its attention by SDPA, documents as one padded batch of which only real tokens count, fused
AdamW; its experts by two implementations; with --compile each eager and compiled (compiling takes minutes). The last line of
each names the fastest of PyTorch's and, since a padded batch of puzzles is more than twice as long, what the ratio were if
padding counted. Rollouts there are a loop with a cache and multinomial, eager. OPENBLAS_* of the caller's
environment are taken out: fikr chooses its own kernels."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
WARM, BATCH, SEQUENCES, PROMPT, REPLY = 2, 2048, 64, 16, 128
ENV = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
THINKER, ZERO = (json.loads((ROOT / f"recipes/{name}.json").read_text())["model"] for name in ("thinker", "zero"))
DENSE = {"vocab": 448, "context": 1024, "embd": 512, "layers": 11, "dense_layers": 11, "ff": 1536, "heads": 8,
         "nope_dim": 32, "rope_dim": 16, "v_dim": 32, "q_rank": 128, "kv_rank": 64}


def recipe(model, steps, kind):
    return {"name": "bench", "seed": 1, "vocab_sample": 2000, "eval_steps": 0, "log_steps": 1, "model": model,
            "checkpoint_steps": 1000, "final_count": 1, "optimizer": {"kind": kind, "balance": 0, "bias_rate": 0},
            "stages": [{"name": "a", "steps": steps, "batch_tokens": BATCH, "lr": 1e-3, "warmup": 2,
                        "families": {"add": 1, "sub": 1, "sort": 1, "countdown": 1}}]}


def fikr_step(a, folder, i):
    """Tokens a second over all steps but the first ones. --steps stops before the final evaluation."""
    out = folder / f"run{i}"
    steps = json.loads((folder / "recipe.json").read_text())["stages"][0]["steps"]
    subprocess.run([a.build / "fikr", "train", folder / "recipe.json", "--out", out, "--threads", str(a.threads),
                    "--steps", str(steps)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
    rows = [r for r in map(json.loads, (out / "run.jsonl").read_text().splitlines()) if "loss" in r]
    return (rows[-1]["tokens"] - rows[WARM - 1]["tokens"]) / (rows[-1]["seconds"] - rows[WARM - 1]["seconds"])


def fikr_rollout(a, folder, i):
    done = subprocess.run([a.build / "fikr", "bench", "-m", folder / "fresh.gguf", "--pp", str(PROMPT), "--tg", str(REPLY),
                           "--batch", str(SEQUENCES), "--kv", "f32", "--reps", "1", "--threads", str(a.threads), "--json"],
                          capture_output=True, text=True, check=True, env=ENV)
    return next(b["tokens_per_s"]["median"] for b in json.loads(done.stdout)["batch"] if b["n"] == SEQUENCES)


class Torch:
    def __init__(self, a, folder, experts, is_compiled):
        import torch
        from transformers import DeepseekV3ForCausalLM
        from twin import read_steps
        torch.set_num_threads(a.threads)
        self.torch = torch
        self.model = DeepseekV3ForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32, attn_implementation="sdpa",
                                                           experts_implementation=experts)
        self.call = torch.compile(self.model, dynamic=True) if is_compiled else self.model
        self.steps = [self.padded(s) for s in read_steps(folder / "steps.bin")]
        self.padding = sum(ids.numel() for ids, *_ in self.steps) / sum(real for *_, real in self.steps)

    def padded(self, step):
        torch, at = self.torch, 0
        docs = torch.split(step["tokens"], step["lengths"])
        marks = torch.split(step["is_target"], step["lengths"])
        ids = torch.nn.utils.rnn.pad_sequence(docs, batch_first=True)
        labels = [torch.where(m, d, -100) for d, m in zip(docs, marks)]
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(d) for d in docs], batch_first=True)
        return (ids, torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100), mask,
                int(mask.sum()))

    def step(self, *_):
        torch, model = self.torch, self.model.train()
        optim = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
        n = 0
        for i, (ids, labels, mask, real) in enumerate(self.steps):
            if i == WARM:
                begun = time.perf_counter()
            optim.zero_grad()
            self.call(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optim.step()
            n += real if i >= WARM else 0
        return n / (time.perf_counter() - begun)

    def rollout(self, *_):
        torch, model = self.torch, self.model.eval()
        ids, cache = torch.randint(256, (SEQUENCES, PROMPT)), None
        with torch.inference_mode():
            for i in range(REPLY + 1):
                out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache = out.past_key_values
                ids = torch.multinomial(out.logits[:, -1].softmax(-1), 1)
                if i == 0:
                    begun = time.perf_counter()
        return SEQUENCES * REPLY / (time.perf_counter() - begun)


def measure(a, name, shape, steps, kind, ours, theirs):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "recipe.json").write_text(json.dumps(recipe(shape, steps, kind)))
        subprocess.run([a.build / "tests/unit/train/twin", folder / "recipe.json", folder], check=True)
        subprocess.run([a.build / "fikr", "convert", folder / "fresh.gguf", folder / "hf"], check=True,
                       stdout=subprocess.DEVNULL)
        has_experts = shape["dense_layers"] < shape["layers"]
        compiled = (False, True) if a.compile and theirs == "step" else (False,)
        peers = {f"{e} experts, {'compiled' if c else 'eager'}": Torch(a, folder, e, c)
                 for e in (("eager", "grouped_mm") if has_experts else ("eager",)) for c in compiled}
        for e, t in peers.items():
            begun = time.perf_counter()
            getattr(t, theirs)()  # compiles, and fills what is kept
            print(f"{name}: PyTorch ({e}) is ready after {time.perf_counter() - begun:.0f} s", flush=True)
        mine, other = [], {e: [] for e in peers}
        for i in range(a.rounds):
            mine.append(ours(a, folder, i))
            for e, t in peers.items():
                other[e].append(getattr(t, theirs)())
        m = statistics.median(mine)
        speeds = {e: statistics.median(runs) for e, runs in other.items()}
        for e, r in speeds.items():
            print(f"{name}: fikr {m:.0f} tokens/s, PyTorch ({e}) {r:.0f}", flush=True)
        best = max(speeds, key=speeds.get)
        padding = peers[best].padding if theirs == "step" else 1
        counted = f"; {m / speeds[best] / padding:.2f} times, were its padding counted as tokens" if padding > 1 else ""
        print(f"{name}: {m / speeds[best]:.2f} times the fastest of PyTorch's ({best}){counted}", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default=ROOT / "build", type=Path)
    p.add_argument("--threads", default=2, type=int)
    p.add_argument("--rounds", default=3, type=int)
    p.add_argument("--only", default="step,zero,dense,rollout")
    p.add_argument("--compile", action="store_true")
    a = p.parse_args()
    for name, shape, steps, kind, ours, theirs in (("step", THINKER, 24, "adamw", fikr_step, "step"),
                                                   ("zero", ZERO, 24, "muon", fikr_step, "step"),
                                                   ("dense", DENSE, 6, "adamw", fikr_step, "step"),
                                                   ("rollout", THINKER, 3, "adamw", fikr_rollout, "rollout")):
        if name in a.only.split(","):
            measure(a, name, shape, steps, kind, ours, theirs)


if __name__ == "__main__":
    main()
