#!/usr/bin/env python3
"""`make oracle`: compares fikr with reference implementations on real models. Prints one line per
check and ends with `N passed, N failed`. Needs .venv (tools/setup.sh oracle) and a data folder.

 1. perplexity on wikitext2-valid against llama.cpp: same file, context 512, within 0.2 %
 2. greedy text of 10 prompts x 48 tokens against llama.cpp: equal, or the first difference is a tie
    (the gap of the two best is below the logit difference measured there)
 3. the same on an F16 conversion of SmolLM2, where a first difference must be a tie within 1e-2 (the
    peer rounds activations to F16 there), and on an F32 one, where logits differ by 1e-2 at most
 4. tokenizers, chat templates and tiny models of every family, by their own scripts"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
PROMPTS = [
    "The capital of France is", "Once upon a time, in a small village,", "def fibonacci(n):",
    "Water boils at a temperature of", "The three primary colours are", "To bake bread you need",
    "In 1969, humans first", "The opposite of hot is", "She opened the door and saw",
    "The meaning of the word 'justice' is"]
passed = failed = 0


def check(name, ok, detail):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok    ' if ok else 'FAILED'} {name}: {detail}", flush=True)


def fikr(build, *args, stdin=None, raw=False):
    done = subprocess.run([str(build / "fikr"), *map(str, args)], input=stdin, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"fikr {args[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout if raw else json.loads(done.stdout)


def our_logits(build, model, ids, kv):
    with tempfile.NamedTemporaryFile() as f:
        fikr(build, "logits", "-m", model, "--kv", kv, "--ids", ",".join(map(str, ids)), "-o", f.name,
             raw=True)
        return np.fromfile(f.name, np.float32).reshape(len(ids), -1)


def every_20_windows(done, total, nll):
    if done % 20 == 0 or done == total:
        print(f"    llama.cpp: {done} of {total} windows, nll {nll:.6f}", file=sys.stderr, flush=True)


def perplexity(build, name, model, text_path, limit_bytes, threads):
    from peer_llamacpp import Peer
    text = Path(text_path).read_text()[:limit_bytes] if limit_bytes else Path(text_path).read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write(text)
        f.flush()
        ours = fikr(build, "perplexity", "-m", model, "-f", f.name, "--ctx", 512, "--threads",
                    threads, "--json")
    print(f"    fikr: nll {ours['nll']:.6f} over {ours['windows']} windows", file=sys.stderr, flush=True)
    peer = Peer(model, n_threads=threads)
    theirs = peer.perplexity(text, progress=every_20_windows)
    peer.close()
    ratio = ours["ppl"] / theirs["ppl"] - 1
    check(f"perplexity {name}", abs(ratio) <= 0.002 and ours["tokens"] == theirs["tokens"],
          f"fikr {ours['ppl']:.4f}, llama.cpp {theirs['ppl']:.4f}, {ratio:+.4%}, "
          f"{ours['tokens']} and {theirs['tokens']} tokens")


def greedy(build, name, model, max_gap=None, max_diff=None, n=48):
    import llama_cpp
    from peer_llamacpp import Peer
    peer = Peer(model, kv=llama_cpp.GGML_TYPE_F32, flash=0)
    for prompt in PROMPTS:
        ids = peer.tokenize(prompt, bos=peer.adds_bos())
        tokens, steps = peer.greedy(ids, n)
        logits = our_logits(build, model, ids + tokens[:-1], "f32")[len(ids) - 1:]
        worst = max(float(np.abs(a - b).max()) for a, b in zip(logits, steps))
        ok, detail = True, f"{len(tokens)} tokens equal, logits differ by {worst:.4f} at most"
        for i, (a, b) in enumerate(zip(logits, steps)):
            if int(np.argmax(a)) != tokens[i]:
                two = np.sort(b)[-2:]
                gap, diff = float(two[1] - two[0]), float(np.abs(a - b).max())
                ok = gap <= (max_gap or diff)
                detail = f"differs at {i}: gap {gap:.4f}, logits differ by {diff:.4f} there"
                break
        else:
            text = fikr(build, "run", "-m", model, "--raw", "--temp", 0, "-n", n, "--kv", "f32", "-p",
                        prompt, raw=True)
            want = peer.piece([t for t in tokens if not peer.is_end(t)])
            if text.rstrip(b"\n") != want.rstrip(b"\n"):
                ok, detail = False, f"text {text!r} is not {want!r}"
        if max_diff and worst > max_diff:
            ok, detail = False, f"logits differ by {worst:.4f}, more than {max_diff}"
        check(f"greedy {name} {prompt!r}", ok, detail)
    peer.close()


def script(name, *args):
    done = subprocess.run([sys.executable, str(ROOT / "tools" / name), *map(str, args)],
                          capture_output=True, text=True)
    lines = (done.stdout + done.stderr).strip().splitlines()
    print("\n".join("    " + line for line in lines[-40:]))
    check(name, done.returncode == 0, lines[-1] if lines else "no output")


def goldens(build):
    """Tiny models of every family, made anew by the installed transformers."""
    with tempfile.TemporaryDirectory() as tmp:
        script("make_goldens.py", tmp)
        done = subprocess.run([str(build / "tests/golden/test_golden")], capture_output=True, text=True,
                              env={**os.environ, "FIKR_GOLDEN_DIR": tmp})
        lines = (done.stdout + done.stderr).strip().splitlines()
        check("goldens made anew", done.returncode == 0, lines[-1] if lines else "no output")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--only", default="", help="comma list of perplexity, greedy, f16, scripts")
    ap.add_argument("--models", default="smollm2,gemma3-270m", help="comma list of these and thinker")
    ap.add_argument("--bytes", type=int, default=0, help="of the text for perplexity; 0: all")
    ap.add_argument("--threads", type=int, default=2, help="for perplexity; 1 wastes least beside other work")
    a = ap.parse_args()
    build = a.build.resolve()
    only = set(filter(None, a.only.split(",")))
    models = {n: ROOT / ("models" if n == "thinker" else ".cache/models") / f"{n}.gguf"
              for n in a.models.split(",")}
    env = {**os.environ, "FIKR_MODELS": str(ROOT / ".cache/models")}
    for name, path in models.items():
        if not path.exists():
            subprocess.run([str(build / "fikr"), "pull", name], env=env, check=True)
    text = a.data / "wikitext2-valid/valid.txt"
    for name, path in models.items():
        if not only or "greedy" in only:
            greedy(build, name, path)
    if not only or "f16" in only:
        with tempfile.TemporaryDirectory() as tmp:
            for kind, limits in (("f16", {"max_gap": 1e-2}), ("f32", {"max_diff": 1e-2})):
                path = Path(tmp) / f"smollm2-{kind}.gguf"
                fikr(build, "convert", ROOT / ".cache/models/smollm2.gguf", path, "--type", kind, raw=True)
                greedy(build, f"smollm2-{kind}", path, **limits)
    for name, path in models.items():
        if not only or "perplexity" in only:
            perplexity(build, name, path, text, a.bytes, a.threads)
    if not only or "scripts" in only:
        script("oracle_tokenizers.py", "--build", build, "--data", a.data)
        script("oracle_templates.py", "--build", build)
        goldens(build)
        script("oracle_convert.py", "--fikr", build / "fikr")
        script("oracle_fit.py", "--build", build, "--data", a.data)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
