#!/usr/bin/env python3
"""Every public header compiles alone as C99 and as C++, is at most 300 lines, and the shared library
exports fk_ and nothing else. Usage: check_headers.py LIBFIKR.SO"""
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
bad = 0


def check(ok, text):
    global bad
    if not ok:
        bad += 1
        print(text)


headers = sorted((ROOT / "include/fikr").glob("*.h"))
compilers = [("cc", ["-x", "c", "-std=c99"])]
if shutil.which("g++"):
    compilers.append(("g++", ["-x", "c++", "-std=c++11"]))
for header in headers:
    check(len(header.read_text().splitlines()) <= 300, f"{header.name}: more than 300 lines")
    for compiler, flags in compilers:
        done = subprocess.run([compiler, *flags, "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                               "-fsyntax-only", "-I", str(ROOT / "include"), "-"],
                              input=f'#include "fikr/{header.name}"\n', capture_output=True, text=True)
        check(done.returncode == 0, f"{header.name} with {compiler}: {done.stderr}")
names = subprocess.run(["nm", "-D", "--defined-only", sys.argv[1]], capture_output=True, text=True,
                       check=True).stdout.split("\n")
symbols = [line.split()[-1] for line in names if line.strip()]
check(len(symbols) > 20, f"only {len(symbols)} symbols are exported")
for symbol in symbols:
    check(symbol.startswith("fk_"), f"exported and not fk_: {symbol}")
declared = "\n".join(h.read_text() for h in headers)
for symbol in symbols:
    check(symbol + "(" in declared, f"exported and in no header: {symbol}")
print(f"{len(headers)} headers, {len(symbols)} symbols, {bad} findings")
sys.exit(1 if bad else 0)
