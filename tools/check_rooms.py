#!/usr/bin/env python3
"""Checks the law of src/ROOMS: which folder may include which. Prints file:line of every breach."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_law():
    law, order = {}, []
    for n, line in enumerate((ROOT / "src/ROOMS").read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        room, allowed = (s.strip() for s in line.split(":"))
        for a in allowed.split():
            if a != "public" and a not in order:
                sys.exit(f"src/ROOMS:{n}: {room} names {a}, which does not stand above it")
        law[room] = set(allowed.split()) | {room}
        order.append(room)
    return law


def main():
    law, bad, n_files = read_law(), 0, 0
    include = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        room = path.relative_to(ROOT / "src").parts[0]
        n_files += 1
        if room not in law:
            print(f"{path.relative_to(ROOT)}: room {room} is not in src/ROOMS")
            bad += 1
            continue
        for n, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            m = include.match(line)
            if not m:
                continue
            target = m.group(1)
            if target.startswith("fikr/"):
                to = "public"
            elif target.startswith("src/"):
                to = target.split("/")[1]
            else:
                print(f"{path.relative_to(ROOT)}:{n}: include is not rooted: {target}")
                bad += 1
                continue
            if to not in law[room]:
                print(f"{path.relative_to(ROOT)}:{n}: {room} may not include {to}")
                bad += 1
    print(f"{n_files} files, {len(law)} rooms, {bad} breaches")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
