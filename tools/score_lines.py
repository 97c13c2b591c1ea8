#!/usr/bin/env python3
"""Asks a model lines that a newcomer would type and scores the replies, thinking on, greedy.

Usage: score_lines.py [--build build] [--model models/thinker.gguf] [FILE]   (tests/puzzles/newcomer.txt)
A tab and the right reply follow where fikr's grader does not know the puzzle. Where it does, it judges. Of
all others the right reply points to /model smollm2. Prints what went wrong, and the counts."""
import argparse
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    ap.add_argument("--model", type=Path, default=ROOT / "models/thinker.gguf")
    ap.add_argument("file", type=Path, nargs="?", default=ROOT / "tests/puzzles/newcomer.txt")
    a = ap.parse_args()
    fikr, lines, asked = str(a.build / "fikr"), a.file.read_text().splitlines(), []
    for line, _, want in (line.partition("\t") for line in lines):
        done = subprocess.run([fikr, "run", "-m", str(a.model), "-p", line, "--think", "on", "--temp", "0",
                               "-n", "600", "--json"], capture_output=True, text=True, check=True)
        asked.append({"prompt": line, "reply": json.loads(done.stdout)["text"], "want": want})
    done = subprocess.run([fikr, "puzzles", "--grade"], input="\n".join(map(json.dumps, asked)),
                          capture_output=True, text=True, check=True)
    verdicts = done.stdout.splitlines()
    if len(verdicts) != len(asked):
        raise SystemExit(f"{len(verdicts)} verdicts for {len(asked)} replies")
    right = 0
    for said, verdict in zip(asked, verdicts):
        if said["want"]:
            good, verdict = said["reply"] == said["want"], f"wrong: {said['want']}"
        elif verdict == "none":
            good = "/model smollm2" in said["reply"]
        else:
            good = verdict.startswith("right")
        right += good
        if not good:
            print(f"{verdict:28} {said['prompt']!r}: {said['reply']!r}")
    print(f"{right} of {len(asked)} right")


if __name__ == "__main__":
    main()
