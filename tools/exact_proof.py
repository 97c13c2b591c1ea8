#!/usr/bin/env python3
"""Exact mode against plain decoding: the same tokens, and how long both take.

Usage: exact_proof.py PLANES [--fikr build/fikr] [--tokens 10000] [--each 400] [--temp 0,0.8] [--threads 1]
                      [--puzzles] [--widest 8]
PLANES is a file of `fikr quantize`, which is read at its widest and in exact mode (--bits exact). For every
temperature: replies of --each tokens at most, to openings of stories or (--puzzles) to puzzles of `fikr
puzzles`, each with a seed of its own, until --tokens were compared one by one. Ends with an error at the first
difference. The speeds are of the same replies, one mode after the other; the shares are of drafted tokens."""
import argparse
import json
import subprocess
import sys

OPENINGS = ["The old lighthouse", "A good way to learn mathematics is", "In the year 1815", "The recipe begins",
            "My grandmother used to say", "The first computers", "Once upon a time there was a fox who",
            "Water is a strange substance", "The court decided", "Dear Sir,"]


def run(a, bits, prompt, temp, seed):
    cmd = [a.fikr, "run", "-m", a.model, "-p", prompt, "-n", str(a.each), "--temp", str(temp), "--seed", str(seed),
           "--threads", str(a.threads), "--bits", bits, "--json"]
    if not a.puzzles:
        cmd.append("--raw")
    return json.loads(subprocess.run(cmd, check=True, stdout=subprocess.PIPE).stdout)


def prompts(a):
    if not a.puzzles:
        n = 0
        while True:
            yield OPENINGS[n % len(OPENINGS)], n
            n += 1
    made = subprocess.run([a.fikr, "puzzles", "--split", "test", "--seed", "11", "-n", "4000", "--json"], check=True,
                          stdout=subprocess.PIPE).stdout
    for n, p in enumerate(json.loads(made)["puzzles"]):
        yield p["prompt"], n


def compare(a, temp):
    n = drafted = accepted = replies = 0
    seconds = {"8": 0.0, "exact": 0.0}
    for prompt, seed in prompts(a):
        plain, exact = run(a, a.widest, prompt, temp, seed), run(a, "exact", prompt, temp, seed)
        if plain["ids"] != exact["ids"]:
            at = next((i for i, (x, y) in enumerate(zip(plain["ids"], exact["ids"])) if x != y), -1)
            sys.exit(f"DIFFERENT: temperature {temp}, seed {seed}, prompt {prompt!r}, token {at}")
        n += len(plain["ids"])
        replies += 1
        seconds["8"] += plain["timings"]["decode_s"]
        seconds["exact"] += exact["timings"]["decode_s"]
        drafted += exact["usage"]["drafted_tokens"]
        accepted += exact["usage"]["accepted_tokens"]
        if n >= a.tokens:
            break
    print(f"temperature {temp}: {n} tokens of {replies} replies are the same; plain {n / seconds['8']:.1f} tokens/s, "
          f"exact {n / seconds['exact']:.1f} ({seconds['8'] / seconds['exact']:.2f} times); {drafted} drafted, "
          f"{100 * accepted / max(drafted, 1):.1f} % of them right", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--fikr", default="build/fikr")
    p.add_argument("--tokens", type=int, default=10000)
    p.add_argument("--each", type=int, default=400)
    p.add_argument("--temp", default="0,0.8")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--widest", default="8")
    p.add_argument("--puzzles", action="store_true")
    a = p.parse_args()
    for temp in a.temp.split(","):
        compare(a, float(temp))


main()
