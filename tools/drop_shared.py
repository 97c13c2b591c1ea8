#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the lines of TEXT that share no run of thirteen words, numbers masked, with JUDGED: what a model may
learn from before it is judged by JUDGED.

Usage: drop_shared.py TEXT JUDGED > OUT
"""
import re
import sys

RUN = 13


def runs(text):
    words = re.sub(r"\d+", "#", text).split()
    return {tuple(words[i:i + RUN]) for i in range(len(words) - RUN + 1)}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with open(sys.argv[2], encoding="utf-8") as f:
        judged = runs(f.read())
    n_all = n_kept = 0
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            n_all += 1
            if runs(line).isdisjoint(judged):
                n_kept += 1
                sys.stdout.write(line)
    print(f"{n_all - n_kept} of {n_all} lines left out", file=sys.stderr)


main()
