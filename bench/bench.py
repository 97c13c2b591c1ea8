#!/usr/bin/env python3
"""`make bench`: fikr beside llama.cpp on this machine, alternating, medians and ratios.

Every measurement of either engine is a process of its own, and the engines take turns within a round.
Writes results.csv (each run: model, figure, x, engine, round, value) in bench/ or the folder of --out, then
report.py makes RESULTS.md and the plots from it. The files: SmolLM2 and Gemma where they are, and the synthetic
ones of tools/make_synthetic.py, which are made when missing (6 GB).

Usage: bench.py [--figures start,prefill,decode,batch,depth,ppl] [--models FILE...] [--rounds N]
                [--depth 4096,8192,16384,32768] [--peer-depth 4096] [--data DIR] [--keep]"""
import argparse
import csv
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / ".cache/models"
SYNTHETIC = [(shape, kind) for shape in ("dense", "moe") for kind in ("q4_k_m", "q8_0")]
TEXT_BYTES = 60000
FIELDS = ["model", "figure", "x", "engine", "round", "value", "threads", "commit", "date", "cpu"]


def cpu_name():
    text = Path("/proc/cpuinfo").read_text()
    name = next((line.split(":")[1].strip() for line in text.splitlines() if "model name" in line), "?")
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    isa = [n for n, f in (("AVX-512", "avx512f"), ("VNNI", "avx512_vnni"), ("BF16", "avx512_bf16"),
                         ("AMX", "amx_int8"))
           if f in flags] or (["AVX2"] if "avx2" in flags else ["baseline"])
    return f"{name}, {os.cpu_count()} cores, {' '.join(isa)}"


def warm(path):
    """Reads the file once, so that no engine pays for the disk."""
    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 24):
            pass


class Bench:
    def __init__(self, args):
        self.a = args
        self.rows = []
        self.stamp = {
            "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True,
                                     capture_output=True).stdout.strip(),
            "date": datetime.date.today().isoformat(), "cpu": cpu_name()}

    def add(self, model, figure, x, engine, i, value, threads=None):
        self.rows.append({"model": model.stem, "figure": figure, "x": x, "engine": engine, "round": i,
                          "value": f"{value:.6g}", "threads": threads or self.a.threads, **self.stamp})

    def fikr(self, model, *args, threads=None):
        done = subprocess.run([str(self.a.build / "fikr"), "bench", "-m", str(model), "--reps", "1",
                               "--threads", str(threads or self.a.threads), "--json", *map(str, args)],
                              capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return json.loads(done.stdout)

    def peer(self, model, **what):
        what.setdefault("threads", self.a.threads)
        done = subprocess.run([sys.executable, str(ROOT / "bench/peer_run.py"), str(model),
                               json.dumps(what)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def start(self, model, i):
        """A whole process: from exec to exit after one token; then one of 64 tokens for its memory."""
        common = [str(self.a.build / "fikr"), "run", "-m", str(model), "--raw", "--temp", "0", "--threads",
                  str(self.a.threads), "--ctx", "512", "-p", "The capital of France is", "-n"]
        begun = time.perf_counter()
        subprocess.run(common + ["1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        self.add(model, "first_token_ms", "", "fikr", i, 1e3 * (time.perf_counter() - begun))
        child = subprocess.Popen(common + ["64"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        usage = os.wait4(child.pid, 0)[2]
        child.returncode = 0
        self.add(model, "peak_rss_bytes", "", "fikr", i, 1024 * usage.ru_maxrss)
        theirs = self.peer(model, start=True)
        for figure in ("first_token_ms", "peak_rss_bytes"):
            self.add(model, figure, "", "llama.cpp", i, theirs[figure])

    def prefill(self, model, i):
        r = self.fikr(model, "--pp", self.a.pp, "--tg", 1)["prefill"]
        self.add(model, "prefill", self.a.pp, "fikr", i, r["tokens_per_s"]["median"])
        if "int8_share" in r:
            self.add(model, "int8_share", self.a.pp, "fikr", i, r["int8_share"])
        self.add(model, "prefill", self.a.pp, "llama.cpp", i, self.peer(model, pp=self.a.pp)["prefill"])

    def decode(self, model, i):
        for threads in sorted({1, self.a.threads}, reverse=True):
            r = self.fikr(model, "--pp", 16, "--tg", self.a.tg, threads=threads)
            d = r["decode"]
            self.add(model, "decode", threads, "fikr", i, d["tokens_per_s"]["median"], threads)
            self.add(model, "bandwidth_share", threads, "fikr", i, d["bandwidth_share"], threads)
            self.add(model, "read_gb_per_s", threads, "fikr", i, r["bandwidth_gb_per_s"], threads)
            theirs = self.peer(model, tg=self.a.tg, threads=threads)["decode"]
            self.add(model, "decode", threads, "llama.cpp", i, theirs, threads)

    def batch(self, model, i):
        sizes = [n for n in self.a.batch if n > 1]
        r = self.fikr(model, "--pp", 16, "--tg", self.a.steps, "--batch", ",".join(map(str, self.a.batch)))
        for row in r["batch"]:
            self.add(model, "batch", row["n"], "fikr", i, row["tokens_per_s"]["median"])
        for n, v in self.peer(model, batch=sizes, steps=self.a.steps)["batch"].items():
            self.add(model, "batch", n, "llama.cpp", i, v)

    def depth(self, model, i):
        if "syn-" not in model.stem:  # the others end at 8k and below
            return
        for kv in ("f16", "i8"):
            r = self.fikr(model, "--pp", 16, "--tg", self.a.steps, "--kv", kv, "--ctx-depth",
                          ",".join(map(str, self.a.depth)))
            for row in r["depth"]:
                self.add(model, f"depth_{kv}", row["n_ctx"], "fikr", i, row["tokens_per_s"]["median"])
        theirs = self.peer(model, depth=self.a.peer_depth, steps=self.a.steps,
                           states=str(ROOT / ".cache/bench-states"))["depth"]
        for n, v in theirs.items():
            self.add(model, "depth_f16", n, "llama.cpp", i, v)

    def ppl(self, model, i):
        text = self.a.data / "wikitext2-valid/valid.txt"
        if "syn-" in model.stem or i or not text.exists():
            return
        sample = ROOT / ".cache/bench-text.txt"
        sample.write_bytes(text.read_bytes()[:TEXT_BYTES])
        for kv in ("f16", "i8"):
            done = subprocess.run([str(self.a.build / "fikr"), "perplexity", "-m", str(model), "-f",
                                   str(sample), "--ctx", "512", "--kv", kv, "--json"],
                                  capture_output=True, text=True, check=True)
            self.add(model, f"ppl_{kv}", TEXT_BYTES, "fikr", i, json.loads(done.stdout)["ppl"])
        theirs = self.peer(model, text=str(text), bytes=TEXT_BYTES)["ppl"]
        self.add(model, "ppl_f16", TEXT_BYTES, "llama.cpp", i, theirs)

    def save(self):
        self.a.out.mkdir(parents=True, exist_ok=True)
        path = self.a.out / "results.csv"
        old = []
        if self.a.keep and path.exists():
            done = {(r["model"], r["figure"]) for r in self.rows}
            old = [r for r in csv.DictReader(path.open()) if (r["model"], r["figure"]) not in done]
        with open(path, "w", newline="") as f:
            w = csv.DictWriter(f, FIELDS, lineterminator="\n")
            w.writeheader()
            w.writerows(old + self.rows)


def models_of(a):
    if a.models:
        return a.models
    MODELS.mkdir(parents=True, exist_ok=True)
    for shape, kind in SYNTHETIC:
        path = MODELS / f"syn-{shape}-{kind}.gguf"
        if not path.exists():
            part = path.with_suffix(".part")
            subprocess.run([sys.executable, str(ROOT / "tools/make_synthetic.py"), shape, kind, str(part)],
                           check=True)
            part.rename(path)
    real = [p for n in ("smollm2", "gemma3-270m") if (p := MODELS / f"{n}.gguf").exists()]
    return real + [MODELS / f"syn-{s}-{k}.gguf" for s, k in SYNTHETIC]


def numbers(text):
    return [int(x) for x in text.split(",")]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    ap.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    ap.add_argument("--models", nargs="*", type=Path, default=[])
    ap.add_argument("--figures", default="start,prefill,decode,batch,depth,ppl")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--pp", type=int, default=512)
    ap.add_argument("--tg", type=int, default=64)
    ap.add_argument("--steps", type=int, default=32)
    ap.add_argument("--batch", type=numbers, default=[1, 2, 4, 8, 16])
    ap.add_argument("--depth", type=numbers, default=[4096, 8192, 16384, 32768])
    ap.add_argument("--peer-depth", type=numbers, default=[4096])
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--keep", action="store_true", help="keep the other figures that results.csv has")
    ap.add_argument("--out", type=Path, default=ROOT / "bench",
                    help="folder of results.csv, RESULTS.md and plots (one for each machine)")
    a = ap.parse_args()
    a.build = a.build.resolve()
    bench = Bench(a)
    for model in models_of(a):
        warm(model)
        for i in range(a.rounds):
            for figure in a.figures.split(","):
                begun = time.monotonic()
                getattr(bench, figure)(model, i)
                print(f"{model.stem}: {figure}, round {i + 1} of {a.rounds}, "
                      f"{time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        bench.save()
    subprocess.run([sys.executable, str(ROOT / "bench/report.py"), str(a.out)], check=True)


if __name__ == "__main__":
    main()
