#!/usr/bin/env python3
"""Fuzzes parsers with libFuzzer, ASan and UBSan for a given CPU time each.

Usage: run.py NAME|all [CPU_SECONDS]     (1800: what a release asks for)
New inputs go to build-fuzz/NAME-corpus, a finding to build-fuzz/NAME-crash-*; put what matters into
tests/fuzz/corpus/NAME. Prints executions and CPU seconds; exits 1 on a finding."""
import glob
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = ["-g", "-O1", "-std=gnu11", "-D_GNU_SOURCE", '-DFIKR_VERSION="fuzz"', "-I.", "-Iinclude",
         "-ffp-contract=off", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]
LIBS = ["-lpcre2-8", "-lutf8proc", "-ljansson", "-lpthread", "-lm"]
ROOMS = {"utf8": ["base"], "gguf": ["base", "tensor", "file"], "safetensors": ["base", "tensor", "file"],
         "folder": ["base", "tensor", "file", "convert/hf_[ck]", "convert/vocab_", "convert/pre_"]}
MAX_LEN = {"gguf": 8192, "safetensors": 8192, "utf8": 4096, "tokenizer": 4096, "template": 4096}


def build(name):
    out = ROOT / "build-fuzz"
    out.mkdir(exist_ok=True)
    rooms = ROOMS.get(name, ["base", "tensor", "file", "text"])
    sources = [f for room in rooms for f in sorted(glob.glob(f"src/{room}{'' if '/' in room else '/'}*.c", root_dir=ROOT))]
    subprocess.run(["clang", *FLAGS, "-o", str(out / name), f"tests/fuzz/fuzz_{name}.c", *sources, *LIBS],
                   cwd=ROOT, check=True)
    (out / f"{name}-corpus").mkdir(exist_ok=True)
    return out / name


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def only_starved(program, log):
    """libFuzzer's timeout is wall time; on a busy machine an input that needs no time can meet it. Such an
    input is run again and counts as a finding only if it takes five seconds of CPU."""
    m = re.search(r"Test unit written to (\S+-timeout-\w+)", log)
    if not m:
        return False
    before = cpu()
    again = subprocess.run([str(program), "-timeout=600", m.group(1)], cwd=ROOT, capture_output=True)
    starved = again.returncode == 0 and cpu() - before < 5
    if starved:
        (ROOT / m.group(1)).unlink()
    return starved


def fuzz(name, seconds):
    program = build(name)
    start, runs = cpu(), 0
    while cpu() - start < seconds:
        slice_s = max(10, min(300, 4 * int(seconds - (cpu() - start)) + 4))  # wall time, on a busy machine too
        done = subprocess.run(
            [str(program), f"-max_total_time={slice_s}", "-rss_limit_mb=2048",
             "-timeout=60", f"-max_len={MAX_LEN.get(name, 65536)}", "-print_final_stats=1",
             f"-artifact_prefix=build-fuzz/{name}-crash-", f"build-fuzz/{name}-corpus",
             f"tests/fuzz/corpus/{name}"], cwd=ROOT, capture_output=True, text=True, errors="replace")
        m = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        runs += int(m.group(1)) if m else 0
        print(f"{name}: {runs} executions, {cpu() - start:.0f} CPU seconds", flush=True)
        if done.returncode and only_starved(program, done.stderr):
            continue
        if done.returncode:
            print(done.stderr[-6000:])
            print(f"{name}: FINDING")
            return False
    print(f"{name}: no finding in {runs} executions, {cpu() - start:.0f} CPU seconds")
    return True


def main():
    if os.nice(0) == 0:  # who asked for a priority keeps it
        os.nice(19)
    names = [sys.argv[1]]
    if names == ["all"]:
        names = sorted(p.stem[5:] for p in (ROOT / "tests/fuzz").glob("fuzz_*.c"))
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1800
    return 0 if all([fuzz(n, seconds) for n in names]) else 1


if __name__ == "__main__":
    sys.exit(main())
