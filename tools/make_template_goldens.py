#!/usr/bin/env python3
"""Writes tests/unit/text/templates/goldens.json: what jinja2, set up as transformers does, makes of the
templates written for these tests. --check compares instead of writing; needs jinja2 (part of
`make oracle`), the unit test needs only the file.

expressions.txt has one template a line ("\\" at a line's end joins the next); *.jinja are whole chat
templates, rendered with conversations of jinja_reference.py. null stands for a refusal."""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import jinja_reference as reference

FOLDER = Path(__file__).resolve().parent.parent / "tests/unit/text/templates"
VARS = {"d": {"a": 1, "nest": {"x": "y", "list": [1, "two", None]}}, "l": [1, 2, 3, 4, 5],
        "s": "abcdéf世界", "t": ["a", "b"], "big": 1 << 40, "neg": -5, "fl": 2.50, "yes": True, "nul": None,
        "ms": [{"role": "user", "content": " Hello "}, {"role": "assistant", "content": "Hi", "tool": 1},
               {"role": "user", "content": "Bye"}]}
CASES = ("single", "no generation prompt", "system turns", "thought inside", "reasoning", "think off",
         "tools system", "tool call", "tool call text", "two calls answered", "odd order", "parts", "specials",
         "simple call")


def expressions():
    lines, joined = (FOLDER / "expressions.txt").read_text().split("\n")[:-1], []
    for line in lines:
        if joined and joined[-1].endswith("\\"):
            joined[-1] += "\n" + line
        else:
            joined.append(line)
    return joined


def make():
    cases = {k: v for k, v in reference.conversations().items() if k in CASES}
    return {"vars": VARS,
            "expressions": [[e, reference.render(e, VARS)[0]] for e in expressions()],
            "cases": cases,
            "templates": {path.name: {k: reference.render(path.read_text(), v)[0] for k, v in cases.items()}
                          for path in sorted(FOLDER.glob("*.jinja"))}}


def main():
    text = json.dumps(make(), ensure_ascii=False, indent=0) + "\n"
    path = FOLDER / "goldens.json"
    if "--check" in sys.argv:
        ok = path.read_text() == text
        print(f"{int(ok)} passed, {int(not ok)} failed")
        return not ok
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
