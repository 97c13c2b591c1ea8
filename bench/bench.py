#!/usr/bin/env python3
"""`make bench`: fikr beside llama.cpp on this machine, alternating, medians and ratios.

Writes bench/results.csv (one row per figure and engine) and bench/RESULTS.md. A run of each engine is
a process of its own, so that neither warms the other's memory; rounds alternate."""
import argparse
import csv
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEER = r"""
import json, sys, time
start = time.perf_counter()
sys.path.insert(0, sys.argv[1])
import resource
from peer_llamacpp import Peer
model, threads, pp, tg, batches = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), json.loads(sys.argv[6])
start = time.perf_counter()
p = Peer(model, n_ctx=max(pp, tg) + 16, n_threads=threads)
ids = p.tokenize("The capital of France is", bos=p.adds_bos())
p.greedy(ids, 1)  # from loading on; importing Python is not counted
out = {"first_token_ms": 1e3 * (time.perf_counter() - start)}
text = [1 + (i * 7919) % (p.n_vocab - 2) for i in range(pp)]
p.time_prefill(text)
out["prefill"] = p.time_prefill(text)
p.clear(); p.time_decode(4); p.clear()
out["decode"] = p.time_decode(tg)
out["peak_rss_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
p.close()
for b in batches:
    if b > 1:
        q = Peer(model, n_ctx=80, n_threads=threads, n_seq=b)
        q.time_batch(b, 4)
        out["batch%d" % b] = q.time_batch(b, 48)
        q.close()
print(json.dumps(out))
"""


def cpu_name():
    text = Path("/proc/cpuinfo").read_text()
    name = next((line.split(":")[1].strip() for line in text.splitlines() if "model name" in line), "?")
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    isa = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "baseline"
    return f"{name}, {os.cpu_count()} cores, {isa}"


def ours(build, model, a):
    done = subprocess.run([str(build / "fikr"), "bench", "-m", str(model), "--pp", str(a.pp), "--tg",
                           str(a.tg), "--batch", ",".join(map(str, a.batch)), "--threads",
                           str(a.threads), "--reps", "1", "--json"], capture_output=True, check=True)
    r = json.loads(done.stdout)
    out = {"prefill": r["prefill"]["tokens_per_s"]["median"],
           "decode": r["decode"]["tokens_per_s"]["median"],
           "bandwidth_share": r["decode"]["bandwidth_share"], "gb_per_s": r["decode"]["gb_per_s"],
           "bandwidth_gb_per_s": r["bandwidth_gb_per_s"], "peak_rss_bytes": r["peak_rss_bytes"]}
    # A whole process, from its start to its end after one token of a short prompt.
    begun = time.perf_counter()
    subprocess.run([str(build / "fikr"), "run", "-m", str(model), "--raw", "--temp", "0", "-n", "1",
                    "--threads", str(a.threads), "-p", "The capital of France is"],
                   capture_output=True, check=True)
    out["first_token_ms"] = 1e3 * (time.perf_counter() - begun)
    for row in r["batch"]:
        if row["n"] > 1:
            out[f"batch{row['n']}"] = row["tokens_per_s"]["median"]
    return out


def peer(model, a):
    done = subprocess.run([sys.executable, "-c", PEER, str(ROOT / "tools"), str(model), str(a.threads),
                           str(a.pp), str(a.tg), json.dumps(a.batch)], capture_output=True)
    if done.returncode:
        sys.exit(done.stderr.decode())
    return json.loads(done.stdout.splitlines()[-1])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    ap.add_argument("--models", nargs="*", type=Path, default=[])
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--pp", type=int, default=512)
    ap.add_argument("--tg", type=int, default=128)
    ap.add_argument("--batch", type=lambda s: [int(x) for x in s.split(",")], default=[1, 4, 16])
    ap.add_argument("--rounds", type=int, default=5)
    a = ap.parse_args()
    models = a.models or sorted((ROOT / ".cache/models").glob("*.gguf"))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True,
                            text=True).stdout.strip()
    rows, lines = [], [
        "# Results", "", f"`make bench`, {datetime.date.today()}, commit {commit}, {cpu_name()}, "
        f"{a.threads} threads, medians of {a.rounds} alternating rounds. Ratio: above 1 is better for "
        "fikr (times and memory: below 1).", ""]
    for model in models:
        runs = {"fikr": [], "llama.cpp": []}
        for i in range(a.rounds):
            runs["fikr"].append(ours(a.build.resolve(), model, a))
            runs["llama.cpp"].append(peer(model, a))
            print(f"{model.name}: round {i + 1} of {a.rounds}", file=sys.stderr)
        lines += [f"## {model.name}", "", "| figure | fikr | llama.cpp | ratio |", "| --- | --- | --- | --- |"]
        for key in runs["fikr"][0]:
            med = {e: statistics.median(r[key] for r in rs) for e, rs in runs.items() if key in rs[0]}
            for e, v in med.items():
                rows.append([model.name, key, e, f"{v:.6g}", a.threads, commit, cpu_name()])
            theirs = med.get("llama.cpp")
            lines.append(f"| {key} | {med['fikr']:.4g} | " +
                         (f"{theirs:.4g} | {med['fikr'] / theirs:.2f} |" if theirs else "- | - |"))
        lines.append("")
    with open(ROOT / "bench/results.csv", "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["model", "figure", "engine", "median", "threads", "commit", "cpu"])
        w.writerows(rows)
    (ROOT / "bench/RESULTS.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
