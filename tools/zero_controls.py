#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Controls of recipes/zero.json at a smaller scale: other seeds, a base that never saw search, a dense model.

  tools/zero_controls.py OUT [--program build/fikr] [--base 3000] [--rl 80] [--family add,sub,countdown]
                         [--count 30] [--samples 16] [--threads 1] [--only "NAME;NAME"]

Each control is zero.json with its two stages cut to --base and --rl steps (warm-up and decay in proportion) and with
the families named alone; OUT/NAME.json is what ran. no-search moves the weight of search traces to stepwise ones; dense
has no experts and a feed-forward width with as many active weights. Held-out puzzles, sampled at temperature 1 and
greedy, before and after GRPO. What is there already is not run again; prints the table at the end."""
import argparse
import copy
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ZERO = json.loads((ROOT / "recipes/zero.json").read_text())
ALL = {"moe, seed 1": {}, "moe, seed 2": {"seed": 2}, "moe, seed 3": {"seed": 3}, "no search": {}, "dense": {}}
DENSE_FF = 224  # of five layers: 384 + 4 (2 + 1) 64 are active a token in zero.json, 1,152 in all


def cut(stage, steps, families):
    part = steps / stage["steps"]
    for key in ("warmup", "decay"):
        stage[key] = round(stage[key] * part)
    stage["steps"] = steps
    for key in ("families", "styles"):
        if key in stage:
            stage[key] = {f: w for f, w in stage[key].items() if f in families}


def recipe(name, a):
    r = copy.deepcopy(ZERO)
    r.update(ALL[name], name=f"zero control, {name}", checkpoint_steps=a.base, eval_steps=100000,
             final_count=1)
    base, rl = r["stages"]
    cut(base, a.base, a.family)
    cut(rl, a.rl, a.family)
    rl["eval_steps"] = 100000
    if name == "no search":
        base["styles"] = {f: [direct, stepwise + search, 0] for f, (direct, stepwise, search) in base["styles"].items()}
    if name == "dense":
        for key in ("experts", "experts_used", "shared_experts", "ff_expert"):
            del r["model"][key]
        r["model"].update(dense_layers=r["model"]["layers"], ff=DENSE_FF)
    return r


def call(a, *args):
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    return subprocess.run([a.program, *map(str, args), "--threads", str(a.threads)], check=True, env=env,
                          stdout=subprocess.PIPE, text=True).stdout


def evaluate(a, model, out):
    """Means over the families: of samples (pass@1, pass@k, thinking, styles), and greedy."""
    if not out.exists():
        ask = ("eval", "puzzles", "-m", model, "--family", ",".join(a.family), "--lang", "en", "--count", a.count,
               "--at-once", 64, "--json")
        got = {"sampled": json.loads(call(a, *ask, "--samples", a.samples))["all"], "greedy": json.loads(call(a, *ask))["all"]}
        out.write_text(json.dumps(got))
    return json.loads(out.read_text())


def run(a, name):
    base = a.out / name.replace(", ", "-").replace(" ", "-")
    made = base.with_suffix(".json")
    if not made.exists():
        made.write_text(json.dumps(recipe(name, a), indent=2))
    if not (base / "model.gguf").exists():
        resume = ["--resume"] if list(base.glob("ckpt-*.fikr")) else []
        call(a, "train", made, "--out", base, *resume)
    if not (base / "base.gguf").exists():
        subprocess.run([a.program, "convert", base / f"ckpt-{a.base:08}.fikr", base / "base.gguf"], check=True,
                       stdout=subprocess.DEVNULL)
    before, after = (evaluate(a, base / f"{m}.gguf", base / f"{m}.json") for m in ("base", "model"))
    last = [json.loads(line) for line in (base / "run.jsonl").read_text().splitlines()]
    seconds = max(row.get("cpu_seconds", 0) for row in last)
    cells = [name]
    for e in before, after:
        s = e["sampled"]
        cells += [f"{100 * s['accuracy']:.1f}", f"{100 * s['pass_at_k']:.1f}", f"{100 * e['greedy']['accuracy']:.1f}",
                  f"{100 * s['without_thinking']:.0f}", f"{100 * s['search']:.0f}", f"{s['thinking_tokens']:.0f}"]
    return "| " + " | ".join([*cells, f"{seconds:.0f}"]) + " |"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out", type=Path)
    p.add_argument("--program", default=ROOT / "build/fikr", type=Path)
    p.add_argument("--base", default=3000, type=int)
    p.add_argument("--rl", default=80, type=int)
    p.add_argument("--family", default=["add", "sub", "countdown"], type=lambda s: s.split(","))
    p.add_argument("--count", default=30, type=int)
    p.add_argument("--samples", default=16, type=int)
    p.add_argument("--threads", default=1, type=int)
    p.add_argument("--only", default=list(ALL), type=lambda s: s.split(";"))
    a = p.parse_args()
    a.program = a.program.resolve()
    a.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in a.only:
        rows.append(run(a, name))
        print(rows[-1], flush=True)
    half = f"pass@1 | pass@{a.samples} | greedy | direct | search | thinking"
    print(f"\n| control | base: {half} | GRPO: {half} | CPU-seconds |")
    print("| --- " * 14 + "|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
