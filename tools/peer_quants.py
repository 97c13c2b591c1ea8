#!/usr/bin/env python3
"""Planes beside llama.cpp's quantized types: bytes of a token against the divergence from 16 bits.

Usage: peer_quants.py MODEL TEXT FOLDER [--fikr build/fikr] [--windows 10] [--bpw 3.3,3.9,4.3] [--raw]
MODEL is permuted first (fikr convert --permute 7), so that its weights lie on no quantizer's grid; --raw
leaves it. llama.cpp gets the importance matrix of our own calibration. All are judged by fikr's kernels
against the f16 file on TEXT. What is in FOLDER already is not made again. Prints a table."""
import argparse
import ctypes
import json
import struct
import subprocess
from pathlib import Path

import numpy as np

TYPES = {"Q8_0": 7, "Q6_K": 18, "Q5_K_M": 17, "Q4_K_M": 15, "IQ4_XS": 30, "Q3_K_M": 12, "Q2_K": 10}


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
    items = read_imatrix(imatrix)
    array = (L.llama_model_imatrix_data * (len(items) + 1))()
    for entry, (name, values) in zip(array, items):
        entry.name, entry.size = name, len(values)
        entry.data = values.ctypes.data_as(type(entry.data))
    params = L.llama_model_quantize_default_params()
    params.ftype = kind
    params.imatrix = ctypes.cast(array, type(params.imatrix))
    if L.llama_model_quantize(str(source).encode(), str(out).encode(), params):
        raise SystemExit(f"llama.cpp made no {out}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model", type=Path)
    ap.add_argument("text")
    ap.add_argument("folder", type=Path)
    ap.add_argument("--fikr", default="build/fikr")
    ap.add_argument("--windows", default="10")
    ap.add_argument("--bpw", type=lambda s: [float(x) for x in s.split(",")],
                    default=[3.3, 3.6, 3.9, 4.3, 4.8, 5.3, 5.45, 6.17])
    ap.add_argument("--raw", action="store_true")
    a = ap.parse_args()
    a.folder.mkdir(exist_ok=True)

    def fikr(*words):
        return json.loads(subprocess.run([a.fikr, *map(str, words), "--json"], check=True,
                                         stdout=subprocess.PIPE).stdout)

    def judge(path, *more):
        return fikr("perplexity", "-m", path, "-f", a.text, "--ctx", 512, "--windows", a.windows, *more)

    source = a.model if a.raw else a.folder / "f16.gguf"
    planes, imatrix, base = (a.folder / n for n in ("planes.gguf", "imatrix", "base"))
    if not source.exists():
        fikr("convert", "--permute", 7, a.model, source)
    if not planes.exists() or not imatrix.exists():
        fikr("quantize", source, planes, "--imatrix", imatrix)
    whole = judge(source, "--save-logits", base)
    rows = []

    def add(name, path, *bits):
        r = judge(path, "--kl-base", base, *bits)
        d = fikr("bench", "-m", path, "--pp", 1, "--tg", 1, "--reps", 1, *bits)
        info = fikr("inspect", path)
        n_params = info["n_active_params"]
        n_bytes = d["decode"]["bytes_per_token"]
        rows.append((8 * n_bytes / n_params, name, n_bytes, r))

    for name, kind in TYPES.items():
        path = a.folder / f"{name}.gguf"
        if not path.exists():
            quantize_peer(source, imatrix, path, kind)
        add(name, path)
    for bits in (8, 6, 4, 3):
        add(f"planes at {bits}", planes, "--bits", bits)
    plan = planes
    for bpw in a.bpw:
        path = a.folder / f"plan-{bpw}.gguf"
        if not path.exists():
            fikr("quantize", plan, path, "--bpw", bpw)
        plan = path
        add(f"planned for {bpw}", path)
    print(f"{whole['tokens']} predictions, perplexity at 16 bits {whole['ppl']:.3f}")
    print("| file | MB | bits a weight | perplexity | KL mean | KL p99 | same top token |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for bpw, name, n_bytes, r in sorted(rows, key=lambda row: -row[0]):
        print(f"| {name} | {n_bytes / 1e6:.1f} | {bpw:.2f} | {r['ppl']:.3f} | {r['kl_mean']:.4f} "
              f"± {1.96 * r['kl_error']:.4f} | {r['kl_p99']:.3f} | {100 * r['top1_agreement']:.1f} % |")


if __name__ == "__main__":
    main()
