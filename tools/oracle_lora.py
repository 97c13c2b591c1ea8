#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares an adapter of ours in fikr and in llama.cpp, kept apart and merged. By hand; needs .venv.

  python3 tools/oracle_lora.py --base smollm2.gguf --lora lora/adapter.gguf [--n 48]

 1. apart, on the base as F32: greedy tokens equal, logits differ by 1e-2 at most
 2. merged (F32) against apart, both in fikr: the same
 3. merged in llama.cpp against merged in fikr: the same
 4. apart, on the base as it is: equal, or the first difference is a tie (the gap of the two best is below
    the logit difference there, for either side rounds activations to int8 in its own way)
Prints one line per check and ends with `N passed, N failed`."""
import argparse
import sys
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np

import oracle
from peer_llamacpp import Peer

ASK = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
PROMPTS = [
    "Tom has 12 apples and gives 5 to Ann. How many apples does he have left?",
    "A box holds 6 eggs. How many eggs are in 7 boxes?",
    "Mia read 14 pages on Monday and 23 on Tuesday. How many pages did she read in all?",
    "There are 48 chairs in 6 rows. How many chairs are in a row?"]


def logits_of(build, model, lora, ids):
    with tempfile.NamedTemporaryFile() as f:
        more = ["--lora", lora] if lora else []
        oracle.fikr(build, "logits", "-m", model, *more, "--kv", "f32", "--ids", ",".join(map(str, ids)),
                    "-o", f.name, raw=True)
        return np.fromfile(f.name, np.float32).reshape(len(ids), -1)


def compare(name, tokens, ours, theirs, max_diff):
    """theirs: the logits that chose `tokens`; max_diff None: a tie is enough."""
    worst = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs))
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if int(np.argmax(a)) == tokens[i]:
            continue
        two, diff = np.sort(b)[-2:], float(np.abs(a - b).max())
        gap = float(two[1] - two[0])
        oracle.check(name, gap <= diff and (max_diff is None or worst <= max_diff),
                     f"differs at {i} of {len(tokens)}: gap {gap:.4f}, logits differ by {diff:.1e} there")
        return
    oracle.check(name, max_diff is None or worst <= max_diff,
                 f"{len(tokens)} tokens equal, logits differ by {worst:.1e} at most")


def against_peer(build, name, model, lora, n, max_diff):
    peer = Peer(model, kv=llama_cpp.GGML_TYPE_F32, flash=0, lora=lora)
    kept = []
    for prompt in PROMPTS:
        ids = peer.tokenize(ASK.format(prompt), bos=False, special=True)
        tokens, steps = peer.greedy(ids, n)
        ours = logits_of(build, model, lora, ids + tokens[:-1])[len(ids) - 1:]
        compare(f"{name} {prompt!r}", tokens, ours, steps, max_diff)
        kept.append((prompt, ids, tokens, ours))
    peer.close()
    return kept


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=Path, default=oracle.ROOT / "build")
    ap.add_argument("--base", type=Path, required=True)
    ap.add_argument("--lora", type=Path, required=True)
    ap.add_argument("--n", type=int, default=48)
    a = ap.parse_args()
    build = a.build.resolve()
    with tempfile.TemporaryDirectory() as tmp:
        f32, merged = Path(tmp) / "base.gguf", Path(tmp) / "merged.gguf"
        oracle.fikr(build, "convert", a.base, f32, "--type", "f32", raw=True)
        oracle.fikr(build, "convert", f32, merged, "--lora", a.lora, raw=True)
        for prompt, ids, tokens, ours in against_peer(build, "apart, F32", f32, a.lora, a.n, 1e-2):
            again = logits_of(build, merged, None, ids + tokens[:-1])[len(ids) - 1:]
            compare(f"merged is apart {prompt!r}", [int(np.argmax(x)) for x in ours], again, ours, 1e-2)
        against_peer(build, "merged, F32", merged, None, a.n, 1e-2)
        against_peer(build, "apart, base as it is", a.base, a.lora, a.n, None)
    print(f"{oracle.passed} passed, {oracle.failed} failed")
    return 1 if oracle.failed else 0


if __name__ == "__main__":
    sys.exit(main())
