#!/usr/bin/env python3
"""One measurement of llama.cpp in a process of its own, so that engines do not warm each other's memory.

Usage: peer_run.py MODEL JSON     prints one JSON object. JSON: {"threads": 2, and one of
  "start": true                       load, read a short prompt, first token; Python's own start is not counted
  "pp": 512                           prefill of so many tokens, the best setting of the peer: its default
  "tg": 64                            decode from an empty context
  "batch": [4, 16], "steps": 32       so many sequences decoding together
  "depth": [4096], "steps": 16, "states": DIR   decode with so many tokens in the cache, f16
  "text": FILE, "bytes": N}           perplexity by the same protocol as `fikr perplexity`"""
import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from peer_llamacpp import Peer  # noqa: E402


def ids_of(peer, n):
    return [1 + (i * 7919) % (peer.n_vocab - 2) for i in range(n)]


def start(model, a):
    begun = time.perf_counter()
    p = Peer(model, n_ctx=512, n_threads=a["threads"])
    p.greedy(p.tokenize("The capital of France is", bos=p.adds_bos()), 1)
    spent = time.perf_counter() - begun
    p.clear()
    p.time_decode(64)
    return {"first_token_ms": 1e3 * spent,
            "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def prefill(model, a):
    p = Peer(model, n_ctx=a["pp"] + 16, n_threads=a["threads"])
    text = ids_of(p, a["pp"])
    p.time_prefill(text)
    return {"prefill": p.time_prefill(text)}


def decode(model, a):
    p = Peer(model, n_ctx=a["tg"] + 64, n_threads=a["threads"])
    p.time_decode(8)
    p.clear()
    return {"decode": p.time_decode(a["tg"])}


def batch(model, a):
    out = {}
    for n in a["batch"]:
        p = Peer(model, n_ctx=a["steps"] + 16, n_threads=a["threads"], n_seq=n)
        p.time_batch(n, 4)
        out[str(n)] = p.time_batch(n, a["steps"])
        p.close()
    return {"batch": out}


def depth(model, a):
    """Flash attention on and off: the faster counts. Filled caches are kept, since filling takes minutes."""
    out = {}
    states = Path(a["states"])
    states.mkdir(parents=True, exist_ok=True)
    for n in a["depth"]:
        for flash in (0, 1):
            p = Peer(model, n_ctx=n + a["steps"] + 32, n_threads=a["threads"], flash=flash)
            p.fill(n, states / f"{Path(model).stem}-{n}-{'off' if not flash else 'on'}-f16.state")
            p.time_decode_at(n, 4)
            out[str(n)] = max(out.get(str(n), 0), p.time_decode_at(n, a["steps"]))
            p.close()
    return {"depth": out}


def perplexity(model, a):
    p = Peer(model, n_ctx=512, n_threads=a["threads"])
    return {"ppl": p.perplexity(Path(a["text"]).read_bytes()[:a["bytes"]])["ppl"]}


def main():
    model, a = sys.argv[1], json.loads(sys.argv[2])
    kinds = {"start": start, "pp": prefill, "tg": decode, "batch": batch, "depth": depth, "text": perplexity}
    print(json.dumps(next(run for key, run in kinds.items() if key in a)(model, a)))


if __name__ == "__main__":
    main()
