#!/usr/bin/env python3
"""Checks what a formatter cannot: banned calls, file heads, sizes, stray bytes, promises of later work."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BANNED = re.compile(r"^[^*/\"]*\b(malloc|calloc|realloc|free|exit|abort|strcpy|strcat|sprintf|atoi|strtok|"
                    r"alloca|printf|puts|gets)\s*\(")
PROMISES = re.compile(r"\b(TODO|FIXME|XXX|HACK|not implemented|placeholder)\b")
BANNER = re.compile(r"^\s*(//|/\*)\s*[-=*#]{8,}")
INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
MAY_CALL = {"src/base/alloc.c": {"malloc", "free", "realloc", "calloc"}}


def files():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                         capture_output=True, text=True)
    if out.returncode == 0:
        return [ROOT / f for f in out.stdout.splitlines()]
    return [f for f in ROOT.rglob("*") if f.is_file() and "build" not in f.parts[len(ROOT.parts)]]


def main():
    bad = []
    n = 0
    for path in sorted(files()):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix not in {".c", ".h", ".def"} or not path.exists():
            continue
        n += 1
        text = path.read_text(errors="replace")
        lines = text.splitlines()
        if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(lines[:3]):
            bad.append(f"{name}:1: no SPDX line in the file head")
        if len(lines) > 1000 and "tables" not in name:
            bad.append(f"{name}: {len(lines)} lines; stop at 1,000")
        if text and not text.endswith("\n"):
            bad.append(f"{name}: no newline at the end")
        in_library = name.startswith("src/") and not name.startswith("src/cli/")
        for i, line in enumerate(lines, 1):
            where = f"{name}:{i}"
            if "\t" in line and not name.endswith(".def"):
                bad.append(f"{where}: a tab")
            if line != line.rstrip():
                bad.append(f"{where}: trailing space")
            if INVISIBLE.search(line):
                bad.append(f"{where}: an invisible character")
            if PROMISES.search(line):
                bad.append(f"{where}: promises later work")
            if BANNER.match(line):
                bad.append(f"{where}: a banner comment means a missing file")
            m = BANNED.match(line)
            if in_library and m and m.group(1) not in MAY_CALL.get(name, set()):
                bad.append(f"{where}: libraries do not call {m.group(1)}")
    print("\n".join(bad))
    print(f"{n} files, {len(bad)} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
