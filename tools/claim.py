#!/usr/bin/env python3
"""What a file in planes reads of the bytes of its 16-bit source, and what that costs in perplexity.

Usage: claim.py SOURCE PLANES TEXT [--kv i8] [--ctx 512] [--windows N] [--threads N] [--build DIR]
Bytes: of one decoded token behind 512 others, weights, head and cache, as the engine counts them (`fikr bench
--ctx-depth`); SOURCE with a cache of f16, PLANES with that of --kv. Beside it what of PLANES was in memory (mincore)
and the page faults of its process, after decoding 16 tokens from a file that was not cached before.
Perplexity: the same windows of TEXT with both; its loss, and the 95 % interval from the windows' differences."""
import argparse
import ctypes
import json
import mmap
import os
import resource
import subprocess
from pathlib import Path

from kv_cost import judge, loss

ROOT = Path(__file__).resolve().parent.parent


def fikr(a, *words):
    done = subprocess.run([a.build / "fikr", *map(str, words), "--threads", str(a.threads), "--json"], check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def bytes_of_token(a, model, kv):
    return fikr(a, "bench", "-m", model, "--pp", 16, "--tg", 16, "--reps", 1, "--ctx-depth", 512, "--kv", kv)["depth"][0]


def resident(path):
    """Bytes of the file that are in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = os.path.getsize(path)
    with open(path, "rb") as f, mmap.mmap(f.fileno(), size, prot=mmap.PROT_READ | mmap.PROT_WRITE,
                                          flags=mmap.MAP_PRIVATE) as m:
        pages = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
        at = ctypes.addressof(ctypes.c_char.from_buffer(m))
        if libc.mincore(ctypes.c_void_p(at), ctypes.c_size_t(size), pages):
            raise OSError(ctypes.get_errno(), "mincore")
        return mmap.PAGESIZE * sum(p & 1 for p in pages)


def touched(a, model):
    with open(model, "rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([a.build / "fikr", "logits", "-m", model, "--ids", ",".join(map(str, range(100, 116))), "--chunk", "1",
                    "--threads", str(a.threads), "-o", os.devnull], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return resident(model), after.ru_minflt - before.ru_minflt, after.ru_majflt - before.ru_majflt


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("source")
    ap.add_argument("planes")
    ap.add_argument("text")
    ap.add_argument("--kv", default="i8")
    ap.add_argument("--ctx", type=int, default=512)
    ap.add_argument("--windows", type=int)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    a = ap.parse_args()
    whole, part = bytes_of_token(a, a.source, "f16"), bytes_of_token(a, a.planes, a.kv)
    in_memory, minor, major = touched(a, a.planes)
    x, y = judge(a, a.source, "f16"), judge(a, a.planes, a.kv)
    low, middle, high = loss(x, y)
    print(f"bytes of a token behind 512: {part['bytes_per_token']} ({part['kv_bytes']} of them cache) of "
          f"{whole['bytes_per_token']} ({whole['kv_bytes']}): {100 * part['bytes_per_token'] / whole['bytes_per_token']:.2f} %")
    print(f"of the file's {os.path.getsize(a.planes)} bytes in memory after 16 tokens: {in_memory}; page faults {minor} "
          f"and {major} with reading")
    print(f"perplexity {y['ppl']:.4f} of {x['ppl']:.4f} over {x['windows']} windows of {a.ctx}, {x['tokens']} tokens: "
          f"{middle:+.2f} % ({low:+.2f} to {high:+.2f})")


if __name__ == "__main__":
    main()
