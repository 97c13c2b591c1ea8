#!/usr/bin/env python3
"""Compares what `fikr fit` predicts with the peak memory of a run that fills the context.
Usage: oracle_fit.py --build BUILD --data DIR [MODEL ...]   ends with `N passed, N failed`."""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def peak_bytes(command):
    """Peak resident bytes of this child alone."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return os.wait4(child.pid, 0)[2].ru_maxrss * 1024


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("models", nargs="*", default=[])
    a = ap.parse_args()
    text = (a.data / "wikitext2-valid/valid.txt").read_text()
    models = a.models or sorted(map(str, (ROOT / ".cache/models").glob("*.gguf")))
    passed = failed = 0
    for model in models:
        for ctx in (1024, 4096):
            fit = subprocess.run([str(a.build / "fikr"), "fit", "-m", model, "--ctx", str(ctx), "--threads",
                                  "2", "--json"], capture_output=True, check=True)
            predicted = json.loads(fit.stdout)["total_bytes"]
            measured = peak_bytes([str(a.build / "fikr"), "run", "-m", model, "--raw", "--temp", "1", "--ctx",
                                   str(ctx), "--threads", "2", "-n", str(ctx), "-p", text[:3 * ctx]])
            ok = abs(predicted / measured - 1) <= 0.1
            passed, failed = passed + ok, failed + (not ok)
            print(f"{'ok    ' if ok else 'FAILED'} fit {Path(model).stem} context {ctx}: predicted "
                  f"{predicted / 1e6:.1f} MB, measured {measured / 1e6:.1f} MB, ratio "
                  f"{predicted / measured:.3f}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
