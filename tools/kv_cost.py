#!/usr/bin/env python3
"""What narrower cells of the KV cache cost in perplexity: the same text, window by window, with f16 and with each
other type, and the 95 % interval of the difference (windows are pairs, so the text's own spread cancels out). As any
other rounding does, f16 itself stirs the sums, so f32 stands there as a measure of what is chance.

Usage: kv_cost.py MODEL TEXT [--kv f32,i8,i4] [--ctx 512] [--windows N] [--threads N] [--build DIR]"""
import argparse
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def judge(a, model, kv):
    more = ["--windows", str(a.windows)] if a.windows else []
    done = subprocess.run([str(a.build / "fikr"), "perplexity", "-m", model, "-f", a.text, "--ctx", str(a.ctx),
                           "--kv", kv, "--threads", str(a.threads), "--json", *more],
                          stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)  # it has said why
    return json.loads(done.stdout)


def loss(base, got):
    """What got's perplexity is above base's, in per cent: the interval's low end, the middle, the high end."""
    d = [x - y for x, y in zip(got["windows_nll"], base["windows_nll"])]
    mean, half = statistics.mean(d), 1.96 * statistics.stdev(d) / math.sqrt(len(d)) if len(d) > 1 else math.nan
    return [100 * math.expm1(v) for v in (mean - half, mean, mean + half)]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("text")
    ap.add_argument("--kv", default="f32,i8,i4")
    ap.add_argument("--ctx", type=int, default=512)
    ap.add_argument("--windows", type=int, default=0, help="only the first N (0: all)")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    a = ap.parse_args()
    base = judge(a, a.model, "f16")
    print(f"f16 {base['ppl']:.4f}, {base['tokens']} tokens in {base['windows']} windows", flush=True)
    for kv in a.kv.split(","):
        r = judge(a, a.model, kv)
        low, mid, high = loss(base, r)
        print(f"{kv} {r['ppl']:.4f}, {mid:+.3f} % ({low:+.3f} to {high:+.3f})", flush=True)


if __name__ == "__main__":
    main()
