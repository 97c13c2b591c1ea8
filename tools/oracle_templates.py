#!/usr/bin/env python3
"""Compares fikr's chat templates with jinja2 as transformers sets it up; part of `make oracle`.

Templates: *.jinja of a folder (--templates DIR) or of llama-cpp-python's source distribution
(--sdist FILE, fetched into .cache by default), where the C++ tests hold older ones as strings too,
and the chat_template of GGUF files (--gguf FILE; those of .cache/models by default). Every template is
rendered with every conversation of jinja_reference.py; equal means the same text, or a refusal by
both. The texts stay where they are: none is copied into the repository.

Prints a table (template, cases, equal, of these refused by both) and ends with
`N passed, N failed`; --show N prints the first N differences."""
import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import jinja_reference as reference

ROOT = Path(__file__).resolve().parent.parent


def gguf_template(path):
    from gguf import GGUFReader
    field = GGUFReader(path).get_field("tokenizer.chat_template")
    return field.contents() if field else None


def strings_of_cpp(text):
    """name -> template of llama.cpp's tests/test-chat-template.cpp"""
    literal = r'"(?:[^"\\\n]|\\.)*"'
    entry = re.compile(r'name=\s*\*/\s*(' + literal + r')\s*,\s*/\*\s*\.template_str=\s*\*/\s*'
                       r'((?:' + literal + r'\s*)+|R"\w*\((.*?)\)\w*")', re.S)
    found = {}
    for name, plain, raw in entry.findall(text):
        name = "test: " + ast.literal_eval(name)
        found[name] = raw or "".join(map(ast.literal_eval, re.findall(literal, plain)))
    return found


def gather(args):
    found = {}
    if args.templates:
        for path in sorted(Path(args.templates).glob("*.jinja")):
            found[path.stem] = path.read_text(encoding="utf-8")
    if args.sdist:
        with tarfile.open(args.sdist) as tar:
            for member in tar:
                if member.name.endswith(".jinja") and "/models/templates/" in member.name:
                    found[Path(member.name).stem] = tar.extractfile(member).read().decode()
                elif member.name.endswith("/tests/test-chat-template.cpp"):
                    found.update(strings_of_cpp(tar.extractfile(member).read().decode()))
    for path in args.gguf:
        text = gguf_template(path)
        if text:
            found[Path(path).stem] = text
    return found


def ours(cli, jobs):
    lines = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run([str(cli), "-b"], input=lines.encode(), capture_output=True,
                          env={**os.environ, "TZ": "UTC"})
    if done.returncode:
        sys.exit(f"{cli}: exit {done.returncode}\n{done.stderr.decode(errors='replace')[-3000:]}")
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def show(name, case, want, refusal, got):
    print(f"--- {name} / {case}")
    if want is None or "error" in got:
        print(f"    jinja2: {refusal or 'a text'}\n    fikr:   {got.get('error', 'a text')}")
        return
    at = next((i for i, (a, b) in enumerate(zip(want, got["text"])) if a != b),
              min(len(want), len(got["text"])))
    print(f"    at {at}: jinja2 {want[max(0, at - 30):at + 50]!r}\n"
          f"            fikr   {got['text'][max(0, at - 30):at + 50]!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=ROOT / "build", type=Path)
    parser.add_argument("--cli", help="the program template_cli, if not in the build folder")
    parser.add_argument("--templates")
    parser.add_argument("--sdist")
    parser.add_argument("--gguf", action="append", default=[])
    parser.add_argument("--show", type=int, default=5)
    args = parser.parse_args()
    if not (args.templates or args.sdist or args.gguf):
        from oracle_tokenizers import get_sdist
        args.sdist, args.gguf = get_sdist(ROOT / ".cache"), sorted((ROOT / ".cache/models").glob("*.gguf"))
    cli = args.cli or args.build / "tests/unit/text/template_cli"
    templates, cases = gather(args), reference.conversations()
    if not templates:
        sys.exit("no templates: give --templates, --sdist or --gguf")
    passed = failed = shown = 0
    print(f"{'template':56} cases equal refused")
    for name, text in templates.items():
        answers = ours(cli, [{"template": text, "vars": v} for v in cases.values()])
        equal = refused = 0
        for (case, variables), got in zip(cases.items(), answers):
            want, refusal = reference.render(text, variables)
            same = "error" in got if want is None else got.get("text") == want
            equal += same
            refused += same and want is None
            if not same and shown < args.show:
                shown += 1
                show(name, case, want, refusal, got)
        passed, failed = passed + equal, failed + len(cases) - equal
        print(f"{name:56} {len(cases):5} {equal:5} {refused:7}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
