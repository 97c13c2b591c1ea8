#!/usr/bin/env python3
"""Planes beside llama.cpp's quantized types: bytes of a file against the divergence from 16 bits.

Usage: peer_quants.py MODEL TEXT FOLDER [--fikr build/fikr] [--name NAME] [--windows 16] [--threads 1]
                      [--bpw 3.6,4.3,...] [--raw] [--joined] [--csv FILE] [--svg FILE]
MODEL is permuted first (fikr convert --permute 7), so that its weights lie on no quantizer's grid; --raw takes
it as it is. llama.cpp gets the importance matrix of our own calibration (the text that fikr brings, so TEXT is
another). All are judged by fikr's kernels against the 16-bit file, on windows of 512 tokens of TEXT.

--joined adds what K-quants would make of a model whose widths are no multiple of 256 (peer_joined.py): an emulation.

Three kinds of ours: one file of planes, read at a width; files that are rounded for one width; files that are
rounded for a measured plan, stripped to it. The bytes are those of a file that holds what is read, no more.

What is in FOLDER already (models, base, rows/*.json) is not made again: a run that was stopped goes on.
Prints a table; --csv adds this model's rows to a file in place of its older ones, --svg draws that file."""
import argparse
import csv
import ctypes
import json
import multiprocessing
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import peer_joined

TYPES = {"Q8_0": 7, "Q6_K": 18, "Q5_K_M": 17, "Q4_K_M": 15, "IQ4_XS": 30, "Q3_K_M": 12, "Q2_K": 10}
WIDTHS = (8, 6, 5, 4, 3)
COLUMNS = ("model", "kind", "name", "file_bytes", "bits_a_weight", "ppl", "kl_mean", "kl_95", "kl_p99",
           "top1_agreement", "tokens")
KINDS = {"llama.cpp, imatrix": ("tab:orange", "s"), "llama.cpp, joined rows (emulated)": ("tab:red", "x"),
         "one file, read at a width": ("tab:gray", "^"),
         "rounded for a width": ("tab:green", "v"), "rounded for a plan": ("tab:blue", "o")}
PEER, JOINED, ONE, WIDTH, PLAN = KINDS


def read_imatrix(path):
    data, items = path.read_bytes(), []
    n, at = struct.unpack_from("<i", data)[0], 4
    for _ in range(n):
        length, = struct.unpack_from("<i", data, at)
        name = data[at + 4:at + 4 + length]
        at += 4 + length
        _, n_cols = struct.unpack_from("<ii", data, at)
        items.append((name, np.frombuffer(data, "<f4", n_cols, at + 8).copy()))
        at += 8 + 4 * n_cols
    return items


def quantize_peer(source, imatrix, out, kind):
    import llama_cpp.llama_cpp as L
    quiet = L.llama_log_callback(lambda *_: None)
    L.llama_log_set(quiet, None)
    items = read_imatrix(imatrix)
    array = (L.llama_model_imatrix_data * (len(items) + 1))()
    for entry, (name, values) in zip(array, items):
        entry.name, entry.size = name, len(values)
        entry.data = values.ctypes.data_as(type(entry.data))
    params = L.llama_model_quantize_default_params()
    params.ftype = kind
    params.nthread = 1
    params.imatrix = ctypes.cast(array, type(params.imatrix))
    part = out.with_suffix(".part")
    if L.llama_model_quantize(str(source).encode(), str(part).encode(), params):
        raise SystemExit(f"llama.cpp made no {out}")
    part.rename(out)


class Bench:
    def __init__(self, a):
        self.a, self.folder = a, a.folder
        self.source = a.model if a.raw else a.folder / "f16.gguf"
        self.planes, self.imatrix, self.measured, self.base = (
            a.folder / n for n in ("planes.gguf", "imatrix", "measured.gguf", "base"))
        self.rows = []
        (a.folder / "rows").mkdir(parents=True, exist_ok=True)

    def fikr(self, *words):
        a = [self.a.fikr, *map(str, words), "--json"]
        return json.loads(subprocess.run(a, check=True, stdout=subprocess.PIPE).stdout)

    def quantize(self, source, out, *more):
        """Whole or not at all, and once."""
        if not out.exists():
            part = out.with_suffix(".part")
            self.fikr("quantize", source, part, "--threads", self.a.threads, *more)
            part.rename(out)
        return out

    def judge(self, path, *more):
        return self.fikr("perplexity", "-m", path, "-f", self.a.text, "--ctx", 512, "--windows", self.a.windows,
                         "--threads", self.a.threads, *more)

    def add(self, kind, name, path, *bits, made=None):
        """made: makes path where no row is known yet, and may give the bytes that count."""
        row = self.folder / "rows" / f"{name.replace(' ', '-')}.json"
        if not row.exists():
            n_bytes = made() if made else None
            r = self.judge(path, "--kl-base", self.base, *bits)
            r["file_bytes"] = n_bytes if isinstance(n_bytes, int) else os.path.getsize(path)
            r["n_params"] = self.fikr("inspect", path)["n_params"]
            row.write_text(json.dumps(r))
        r = json.loads(row.read_text())
        self.rows.append({
            "model": self.a.name, "kind": kind, "name": name, "file_bytes": r["file_bytes"],
            "bits_a_weight": f"{8 * r['file_bytes'] / r['n_params']:.3f}", "ppl": f"{r['ppl']:.4f}",
            "kl_mean": f"{r['kl_mean']:.6f}", "kl_95": f"{1.96 * r['kl_error']:.6f}",
            "kl_p99": f"{r['kl_p99']:.5f}", "top1_agreement": f"{r['top1_agreement']:.4f}",
            "tokens": r["tokens"]})
        print(f"{name}: {r['file_bytes']} bytes, KL {r['kl_mean']:.5f}", flush=True)

    def run(self):
        a, d = self.a, self.folder
        if not self.source.exists():
            self.fikr("convert", "--permute", 7, a.model, self.source)
        if not (d / "rows/base").exists():
            r = self.judge(self.source, "--save-logits", self.base)
            (d / "rows/base").write_text(json.dumps(r))
        if not self.imatrix.exists():
            self.planes.unlink(missing_ok=True)
        self.quantize(self.source, self.planes, "--imatrix", self.imatrix)
        for name, kind in TYPES.items():
            path = d / f"{name}.gguf"
            if not path.exists():
                quantize_peer(self.source, self.imatrix, path, kind)
            self.add(PEER, name, path)
        for name in peer_joined.WANTED if a.joined else ():
            path = d / "joined.gguf"
            self.add(JOINED, f"{name} joined", path, made=lambda: peer_joined.make(
                self.source, d / f"{name}.gguf", read_imatrix(self.imatrix), path, name))
        (d / "joined.gguf").unlink(missing_ok=True)
        for bits in WIDTHS:
            cut = d / f"cut-{bits}.gguf"
            if bits < 8:
                self.add(ONE, f"planes at {bits}", cut, made=lambda: self.quantize(self.planes, cut, "--strip", bits))
            else:
                self.add(ONE, f"planes at {bits}", self.planes)
        for bits in WIDTHS:
            out = d / f"width-{bits}.gguf"
            self.add(WIDTH, f"for {bits} bits", out, made=lambda: self.quantize(
                self.source, out, "--plan", f"={bits}", "--strip", "plan"))
        for bpw in a.bpw:
            out = d / f"plan-{bpw}.gguf"
            self.add(PLAN, f"plan of {bpw}", out, made=lambda: self.quantize(
                self.source, out, "--bpw", bpw, "--strip", "plan", "--plan",
                self.quantize(self.planes, self.measured, "--bpw", a.bpw[-1])))


def merge(path, rows):
    """All rows of the file, those of this model new."""
    old = []
    if path.exists():
        with open(path, newline="") as f:
            old = [r for r in csv.DictReader(f) if r["model"] != rows[0]["model"]]
    rows = old + sorted(rows, key=lambda r: -int(r["file_bytes"]))
    with open(path, "w", newline="") as f:
        w = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        w.writeheader()
        w.writerows(rows)
    return rows


def draw(path, rows):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "fikr"
    import matplotlib.pyplot as plt
    models = sorted({r["model"] for r in rows})
    fig, axes = plt.subplots(1, len(models), figsize=(5.5 * len(models), 4.2), squeeze=False)
    for ax, model in zip(axes[0], models):
        for kind, (color, marker) in KINDS.items():
            of = sorted(((int(r["file_bytes"]) / 1e6, float(r["kl_mean"]), float(r["kl_95"]), r["name"])
                         for r in rows if r["model"] == model and r["kind"] == kind))
            if not of:
                continue
            x, y, e, names = zip(*of)
            ax.errorbar(x, y, e, color=color, marker=marker, ms=4, lw=1, label=kind)
            for at, level, name in zip(x, y, names if kind in (PEER, JOINED) else ()):
                ax.annotate(name, (at, level), fontsize=6, xytext=(3, 3), textcoords="offset points")
        ax.set_yscale("log")
        ax.set_title(model, fontsize=9)
        ax.set_xlabel("file, MB")
        ax.grid(alpha=0.3)
        ax.legend(fontsize=7)
    axes[0][0].set_ylabel("KL from 16 bits, nats a token")
    fig.tight_layout()
    fig.savefig(path, metadata={"Date": None})


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", type=Path)
    ap.add_argument("text")
    ap.add_argument("folder", type=Path)
    ap.add_argument("--fikr", default="build/fikr")
    ap.add_argument("--name", help="of the model in table and plot")
    ap.add_argument("--windows", type=int, default=16)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--bpw", type=lambda s: s.split(","), default=["3.6", "4.3", "5.26", "6.13"],
                    help="of plans")
    ap.add_argument("--raw", action="store_true")
    ap.add_argument("--joined", action="store_true")
    ap.add_argument("--csv", type=Path)
    ap.add_argument("--svg", type=Path)
    a = ap.parse_args()
    a.name = a.name or a.model.stem
    bench = Bench(a)
    bench.run()
    rows = sorted(bench.rows, key=lambda r: -int(r["file_bytes"]))
    print("\n| file | MB | bits a weight | perplexity | KL mean | KL p99 | same top token |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for r in rows:
        print(f"| {r['name']} | {int(r['file_bytes']) / 1e6:.1f} | {float(r['bits_a_weight']):.2f} | "
              f"{float(r['ppl']):.3f} | {float(r['kl_mean']):.4f} ± {float(r['kl_95']):.4f} | "
              f"{float(r['kl_p99']):.3f} | {100 * float(r['top1_agreement']):.1f} % |")
    if a.csv:
        rows = merge(a.csv, rows)
    if a.svg:
        # In a process of its own: llama.cpp's library and matplotlib's do not get along in one.
        p = multiprocessing.get_context("spawn").Process(target=draw, args=(a.svg, rows))
        p.start()
        p.join()
        if p.exitcode:
            raise SystemExit(f"drawing {a.svg} failed")


if __name__ == "__main__":
    main()
