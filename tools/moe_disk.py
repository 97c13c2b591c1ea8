#!/usr/bin/env python3
"""Experts from disk: tokens a second of a mixture-of-experts file that memory cannot hold.

Evaluates the same N ids one by one, whatever the model says, so that experts vary as in a text: first with
nothing of the file in memory, then again at once. Prints a row for each width (of planes) or file, with what the
disk gave just before: a piece of the file in order, 8 MB at a time, past the page cache.
Usage: moe_disk.py MODEL [--bits 2,3,4,8] [--peer] [-n 128] [--threads 2] [--build BUILD]
--peer: llama.cpp on the same file, mapped and not repacked. A large file: make_synthetic.py large planes."""
import argparse
import json
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def evict(path):
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def plain_read(path, seconds=3, piece=8 << 20):
    """Bytes a second."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    buf, n, begun = mmap.mmap(-1, piece), 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        got = os.preadv(fd, [buf], n)
        if got < piece:
            break
        n += got
    os.close(fd)
    return n / spent


def spend(argv):
    """Seconds, bytes read from disk, most memory resident."""
    begun = time.perf_counter()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit(f"{argv[0]} ended with status {status}")
    return time.perf_counter() - begun, usage.ru_inblock * 512, usage.ru_maxrss * 1024


def peer(model, ids, threads):
    """In a process of its own: all ids, one at a time."""
    sys.path.insert(0, str(ROOT / "tools"))
    from peer_llamacpp import Peer
    p = Peer(str(model), n_ctx=len(ids) + 16, n_threads=threads, no_repack=True)
    for i, token in enumerate(ids):
        p.decode([token], i)
    os._exit(0)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model", type=Path)
    ap.add_argument("--bits", default="")
    ap.add_argument("--peer", action="store_true")
    ap.add_argument("--inside", help=argparse.SUPPRESS)
    ap.add_argument("-n", type=int, default=128)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    a = ap.parse_args()
    if a.inside:
        peer(a.model, json.loads(a.inside), a.threads)
    ids = [1 + i * 7919 % 100000 for i in range(a.n)]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    print(f"{a.model.name}: {a.model.stat().st_size / 1e9:.1f} GB, memory {memory / 1e9:.1f} GB, {a.n} ids")
    print("| engine | bits | plain read, GB/s | cold, tokens/s | GB read | GB/s | again, tokens/s | GB read | GB resident |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for bits in a.bits.split(",") if a.bits else [""]:
        if a.peer:
            argv = [sys.executable, __file__, str(a.model), "--threads", str(a.threads), "--inside", json.dumps(ids)]
        else:
            argv = [str(a.build / "fikr"), "logits", "-m", str(a.model), "--threads", str(a.threads), "--chunk",
                    "1", "--kv", "f16", "--ids", ",".join(map(str, ids)), "-o", os.devnull]
            argv += ["--bits", bits] if bits else []
        evict(a.model)
        disk = plain_read(a.model)
        cold, cold_read, _ = spend(argv)
        warm, warm_read, resident = spend(argv)
        print(f"| {'llama.cpp' if a.peer else 'fikr'} | {bits or '-'} | {disk / 1e9:.2f} | {a.n / cold:.2f} | "
              f"{cold_read / 1e9:.1f} | {cold_read / cold / 1e9:.2f} | "
              f"{a.n / warm:.2f} | {warm_read / 1e9:.1f} | {resident / 1e9:.1f} |", flush=True)


if __name__ == "__main__":
    main()
