#!/usr/bin/env python3
"""Decoding at a depth with llama.cpp: tokens per second with so many tokens in the cache.

Usage: peer_depth.py MODEL DEPTH[,DEPTH] [--flash on|off] [--kv f16|q8_0] [--states DIR] [--fill-only]
The filled caches are kept in DIR, since filling takes minutes: a first run with --fill-only, then timed
ones. Prints one JSON object per depth."""
import argparse
import json
import statistics
from pathlib import Path

from peer_llamacpp import Peer

KV = {"f16": 1, "q8_0": 8}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model", type=Path)
    ap.add_argument("depths", type=lambda s: [int(x) for x in s.split(",")])
    ap.add_argument("--flash", choices=("on", "off"), default="on")
    ap.add_argument("--kv", choices=KV, default="f16")
    ap.add_argument("--states", type=Path)
    ap.add_argument("--fill-only", action="store_true")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--tg", type=int, default=32)
    ap.add_argument("--reps", type=int, default=3)
    a = ap.parse_args()
    for depth in a.depths:
        peer = Peer(a.model, n_ctx=depth + a.tg + 32, n_threads=a.threads, kv=KV[a.kv],
                    flash=int(a.flash == "on"))
        state = a.states and a.states / f"{a.model.stem}-{depth}-{a.flash}-{a.kv}.state"
        peer.fill(depth, state)
        rates = []
        if not a.fill_only:
            peer.time_decode_at(depth, 4)
            rates = sorted(peer.time_decode_at(depth, a.tg) for _ in range(a.reps))
            print(json.dumps({"model": a.model.stem, "n_ctx": depth, "flash": a.flash, "kv": a.kv,
                              "tokens_per_s": {"min": rates[0], "median": statistics.median(rates),
                                               "max": rates[-1]}}), flush=True)
        peer.close()


if __name__ == "__main__":
    main()
