#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of the shipped model's card: greedy, of every claimed family so many held-out puzzles right with the 95 %
interval, in wordings that were never trained, longer than trained, and without thinking.

  card_table.py FIKR MODEL DATA [COUNT]     (1000; a third of it unseen, a fifth longer and without thinking)"""
import json
import subprocess
import sys

FAMILIES = "add sub mul div paren countdown sort calendar outside".split()


def run(fikr, model, data, family, count, *more):
    """The group's counts; None where the family has no such puzzles."""
    done = subprocess.run([fikr, "eval", "puzzles", "-m", model, "--family", family, "--count", str(count), "--data", data,
                           "--temp", "0", "--json", *more], capture_output=True, text=True)
    return json.loads(done.stdout)["all"] if done.returncode == 0 else None


def main():
    fikr, model, data = sys.argv[1:4]
    n = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    print("| family | right | 95 % interval | unseen wording | longer | without thinking |\n| --- | --- | --- | --- | --- | --- |")
    refused = asked = 0
    for family in FAMILIES:
        all_levels = run(fikr, model, data, family, n, "--think", "on")
        others = [run(fikr, model, data, family, n * 3 // 10, "--think", "on", "--split", "unseen"),
                  run(fikr, model, data, family, n // 5, "--think", "on", "--split", "longer"),
                  run(fikr, model, data, family, n // 5, "--think", "off")]
        cells = [f"{100 * x['accuracy']:.1f}" if x and x["n"] else "-" for x in others]
        print(f"| {family} | {100 * all_levels['accuracy']:.1f} | {100 * all_levels['low']:.1f} to "
              f"{100 * all_levels['high']:.1f} | {' | '.join(cells)} |", flush=True)
        if family != "outside":
            refused += all_levels["refused"] * all_levels["n"]
            asked += all_levels["n"]
    print(f"\nRefused although a puzzle: {refused:.0f} of {asked}.")


if __name__ == "__main__":
    main()
