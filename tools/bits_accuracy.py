#!/usr/bin/env python3
"""What reading fewer bits costs in answers: accuracy over all trained puzzle families against bytes a token.

Usage: bits_accuracy.py MODEL FOLDER [--fikr build/fikr] [--count 100] [--seeds 1,2,3,4] [--temp 0.6]
                        [--plans 8,7,6,5,4.5] [--only WORDS ...] [--distill MINUTES] [--kv i4]
                        [--threads 1] [--csv FILE]
MODEL is a GGUF file of 16 bits that was trained on fikr's puzzles (models/thinker.gguf). FOLDER keeps what is made of
it: one file in planes, read at 8, 6, 5, 4, 3 and 2 bits; files that are rounded for one width; files rounded for a
measured plan of so many bits a weight. With --distill the last two kinds once more, each taught for so long by
MODEL's replies to 1,500 English prompts of training puzzles (`fikr quantize --distill --calibrate`). --only keeps
what has one of the words in its name. Each answers the same held-out puzzles, greedily and, with every seed, at
--temp. Loss is 1 - right / right of MODEL; its 95 % interval is of 2,000 bootstrap samples over questions (with
all their seeds), paired. Bytes are what the engine counted for a decoded token behind 512 others (`fikr bench
--ctx-depth 512`), its cache included: of f16 for MODEL, of --kv for the rest, which also answer with it. Families that MODEL answers in less than half of the cases are left out and named."""
import argparse
import csv
import json
import subprocess
from pathlib import Path

import numpy as np


def quantize(a, name, *options):
    path = a.folder / (name + ".gguf")
    if not path.exists():
        subprocess.run([a.fikr, "quantize", *options[:1], path, "--threads", str(a.threads), *map(str, options[1:])],
                       check=True, stderr=subprocess.DEVNULL)
    return path


def prompts(a):
    """One a line, of the training puzzles: what users of MODEL say."""
    path = a.folder / "prompts.txt"
    made = subprocess.run([a.fikr, "puzzles", "--split", "train", "-n", "1500", "--seed", "5", "--lang", "en", "--json"],
                          check=True, stdout=subprocess.PIPE)
    puzzles = json.loads(made.stdout)["puzzles"]
    path.write_text("".join(p["prompt"].replace("\n", " ") + "\n" for p in puzzles))
    return path


def answers(a, model, bits, kv, *options):
    """{question: right} of the held-out puzzles, and the family of each."""
    out = a.folder / "replies.jsonl"
    subprocess.run([a.fikr, "eval", "puzzles", "-m", model, "--bits", bits, "--kv", kv, "--count", str(a.count), "--threads",
                    str(a.threads), "--json", "-o", out, *options], check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    out.unlink()
    return rows


def measure(a, model, bits, kv):
    greedy = answers(a, model, bits, kv, "--temp", "0")
    drawn = [answers(a, model, bits, kv, "--temp", str(a.temp), "--seed", s) for s in a.seeds.split(",")]
    bench = json.loads(subprocess.run([a.fikr, "bench", "-m", model, "--bits", bits, "--kv", kv, "--pp", "16", "--tg", "16",
                                       "--ctx-depth", "512", "--reps", "1", "--threads", "1", "--json"],
                                      check=True, stdout=subprocess.PIPE).stdout)
    return greedy, drawn, bench["depth"][0]["bytes_per_token"]


def table(rows):
    """questions x runs, in the order of the question's number; and families."""
    runs = [sorted(r, key=lambda x: (x["group"], x["item"])) for r in rows]
    return (np.array([[x["verdict"] == "right" for x in r] for r in runs], dtype=float).T,
            np.array([x["group"] for x in runs[0]]))


def loss(base, got, rng):
    n = len(base)
    picks = rng.integers(0, n, (2000, n))
    b, g = base.mean(axis=1)[picks].mean(axis=1), got.mean(axis=1)[picks].mean(axis=1)
    low, high = np.percentile(1 - g / b, (2.5, 97.5))
    return 1 - got.mean() / base.mean(), low, high


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    p.add_argument("folder", type=Path)
    p.add_argument("--fikr", default="build/fikr")
    p.add_argument("--count", type=int, default=100)
    p.add_argument("--seeds", default="1,2,3,4")
    p.add_argument("--temp", type=float, default=0.6)
    p.add_argument("--plans", default="8,7,6,5,4.5")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--only", nargs="+", default=[""])
    p.add_argument("--distill", default="")
    p.add_argument("--kv", default="f16")
    p.add_argument("--csv", type=Path)
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    planes = quantize(a, "planes", a.model)
    measured = quantize(a, "measured", planes, "--bpw", 8)
    ways = [("16 bits", a.model, "auto", None)] + [(f"planes at {b}", planes, b, None) for b in "865432"]
    made = [(f"for {b} bits", ["--plan", f"={b}"]) for b in "865432"]
    made += [(f"plan of {x}", ["--plan", measured, "--bpw", x]) for x in a.plans.split(",") if x]
    ways += [(name, name.replace(" ", "-"), "auto", options) for name, options in made]
    if a.distill:
        taught = ["--distill", a.distill, "--calibrate", prompts(a)]
        ways += [(name + ", distilled", name.replace(" ", "-") + "-distilled", "auto", options + taught)
                 for name, options in made]
    ways = ways[:1] + [w for w in ways[1:] if any(x in w[0] for x in a.only)]
    rng, base, rows = np.random.default_rng(1), None, []
    print("| read | bytes a token | of 16 bits | greedy | loss | drawn | loss |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name, model, bits, options in ways:
        if options:
            model = quantize(a, model, a.model, "--strip", "plan", *options)
        greedy, drawn, size = measure(a, model, bits, a.kv if rows else "f16")
        (g, families), (d, _) = table([greedy]), table(drawn)
        if base is None:
            kept = [f for f in sorted(set(families)) if g[families == f].mean() >= 0.5]
            left = sorted(set(families) - set(kept))
            base = g, d, size
        mask = np.isin(families, kept)
        lg, ld = (loss(b[mask], x[mask], rng) for b, x in zip(base, (g, d)))
        rows.append([name, size, size / base[2], g[mask].mean(), *lg, d[mask].mean(), *ld])
        print(f"| {name} | {size} | {100 * size / base[2]:.1f} % | {100 * g[mask].mean():.1f} % | {100 * lg[0]:.1f} % "
              f"({100 * lg[1]:.1f} to {100 * lg[2]:.1f}) | {100 * d[mask].mean():.1f} % | {100 * ld[0]:.1f} % "
              f"({100 * ld[1]:.1f} to {100 * ld[2]:.1f}) |", flush=True)
    print(f"\n{int(mask.sum())} questions of {len(kept)} families; left out: {', '.join(left) or 'none'}")
    if a.csv:
        with open(a.csv, "w", newline="") as f:
            csv.writer(f).writerows([["read", "bytes_per_token", "of_16_bits", "greedy", "loss", "low", "high", "drawn",
                                      "drawn_loss", "drawn_low", "drawn_high"], *rows])


main()
