"""`fikr train` and the conversion of its checkpoints: a tiny recipe, broken off and resumed, gives the file
of one that was not; a file that is no recipe gives a sentence."""
import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import support
from support import Case

RECIPE = {
    "name": "tiny", "seed": 3, "vocab_sample": 300, "checkpoint_steps": 3, "log_steps": 1, "eval_steps": 3,
    "eval_count": 2, "final_count": 2, "eval_max_new": 16, "samples": 2,
    "model": {"vocab": 400, "context": 256, "embd": 32, "layers": 2, "ff": 32, "heads": 1, "q_rank": 32,
              "kv_rank": 32, "experts": 2, "experts_used": 1, "ff_expert": 32},
    "stages": [{"name": "only", "steps": 5, "batch_tokens": 512, "warmup": 1, "families": {"add": 1}}],
}


class Train(Case):
    def recipe(self, **changes):
        path = self.dir / "recipe.json"
        path.write_text(json.dumps({**RECIPE, **changes}))
        return path

    def test_resumed_run_equals_unbroken_one(self):
        whole, part = self.dir / "whole", self.dir / "part"
        r = self.fikr("train", self.recipe(), "--out", whole, "--threads", "1", "--json")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        doc = json.loads(r.stdout)
        self.assertEqual(doc["steps"], 5)
        self.assertTrue(0 < doc["loss"] < 7)
        r = self.fikr("train", self.recipe(), "--out", part, "--threads", "1", "--steps", "2")
        self.assertEqual(r.returncode, 130)
        self.assertIn(b"stopped after step 2", r.stderr)
        self.assertIn(b"optimizer.beta2 0.95", r.stdout)
        r = self.fikr("train", self.recipe(), "--out", part, "--threads", "1", "--resume")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual((whole / "model.gguf").read_bytes(), (part / "model.gguf").read_bytes())
        lines = [json.loads(x) for x in (part / "run.jsonl").read_text().splitlines()]
        self.assertEqual([x["step"] for x in lines if "loss" in x], [1, 2, 3, 4, 5])
        evals = [x for x in lines if "eval" in x]
        self.assertEqual([x["step"] for x in evals], [3, 5])
        self.assertEqual(evals[1]["eval"]["families"]["add"]["n"], 2)
        self.assertEqual(len(evals[1]["eval"]["samples"]), 2)
        cpu = [x["cpu_seconds"] for x in lines]
        self.assertEqual(cpu, sorted(cpu))
        out = self.dir / "converted.gguf"
        r = self.fikr("convert", whole / "ckpt-00000005.fikr", out)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(out.read_bytes(), (whole / "model.gguf").read_bytes())

    def test_other_weights_bring_their_vocabulary(self):
        """A run that begins with the weights of another has its tokens too, whatever its own stages ask."""
        def ids(folder):
            r = self.fikr("tokenize", "-m", folder / "fresh.gguf", "--json", stdin=b"sort these numbers, please")
            self.assertEqual(r.returncode, 0, r.stderr)
            return r.stdout

        mine, own, taken = self.dir / "mine", self.dir / "own", self.dir / "taken"
        other = [{**RECIPE["stages"][0], "families": {"sort": 1}}]
        self.assertEqual(self.fikr("train", self.recipe(), "--out", mine, "--threads", "1").returncode, 0)
        init = mine / "ckpt-00000005.fikr"
        for folder, more in ((own, ()), (taken, ("--init", init))):
            r = self.fikr("train", self.recipe(stages=other), "--out", folder, "--threads", "1", "--steps", "1", *more)
            self.assertEqual(r.returncode, 130, r.stderr)
        self.assertNotEqual(ids(mine), ids(own))
        self.assertEqual(ids(mine), ids(taken))
        model = {**RECIPE["model"], "vocab": 416}
        r = self.fikr("train", self.recipe(model=model), "--out", self.dir / "no", "--init", init)
        self.assertEqual(r.returncode, 2)
        self.assertIn(b"400 tokens and the recipe 416", r.stderr)

    def test_blas_has_kernels_for_the_features(self):
        """OpenBLAS goes by model numbers; where it does not know one, fikr has named the kernels."""
        cpu = Path("/proc/cpuinfo")
        if not cpu.exists() or " avx2 " not in cpu.read_text():
            self.skipTest("no CPU with AVX2")
        for env, wanted in (({}, "SkylakeX|Haswell"), ({"OPENBLAS_CORETYPE": "Prescott"}, "Prescott")):
            r = self.fikr("train", self.recipe(), "--out", self.dir / wanted[:3], "--threads", "1", "--steps", "1",
                          **env)
            self.assertEqual(r.returncode, 130, r.stderr)
            self.assertRegex(r.stdout.decode(), rf"1 threads, ({wanted})\n")

    def test_a_copy_takes_the_module_beside_it(self):
        copy = self.dir / "bin"
        copy.mkdir()
        shutil.copy(support.PROGRAM, copy)
        (copy / "fikr-train.so").write_text("no module")
        r = subprocess.run([copy / Path(support.PROGRAM).name, "train", "absent.json"], capture_output=True, env=self.env)
        self.assertEqual(r.returncode, 2)
        self.assertRegex(r.stderr.decode(), r"\Afikr: the part of fikr that trains cannot be loaded: \S+/bin/fikr-train\.so: ")

    def test_page_and_card(self):
        """--watch starts the desktop's viewer once, where there is a desktop; --watts and --price count."""
        tools, log, out = self.dir / "tools", self.dir / "opened", self.dir / "run"
        tools.mkdir()
        (tools / "xdg-open").write_text(f'#!/bin/sh\necho "$1" >> {log}\n')
        (tools / "xdg-open").chmod(0o755)
        path = str(tools) + os.pathsep + os.environ["PATH"]
        r = self.fikr("train", self.recipe(), "--out", out, "--watch", "--watts", "20", "--price", "3.5",
                      "--json", PATH=path, DISPLAY=":7")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        doc = json.loads(r.stdout)
        self.assertAlmostEqual(doc["kwh_estimate"], doc["cpu_seconds"] / 3600 * 20 / 1000)
        self.assertAlmostEqual(doc["money_estimate"], doc["cpu_seconds"] / 3600 * 3.5)
        self.assertEqual(doc["currency"], "USD")
        for _ in range(100):
            if log.exists():
                break
            time.sleep(0.1)
        self.assertEqual(log.read_text(), str((out / "run.html").resolve()) + "\n")
        page, card = (out / "run.html").read_text(), (out / "card.md").read_text()
        self.assertIn('data-live="0"', page)
        self.assertIn("at 20 W a busy core", card)
        self.assertRegex(card, r"\| add \| \d of 2 \|")
        log.unlink()
        self.fikr("train", self.recipe(), "--out", self.dir / "other", "--watch",
                  PATH=path, DISPLAY="", WAYLAND_DISPLAY="")
        self.assertFalse(log.exists())

    def test_a_run_that_is_there_is_not_overwritten(self):
        out = self.dir / "run"
        self.assertEqual(self.fikr("train", self.recipe(), "--out", out, "--steps", "1").returncode, 130)
        r = self.fikr("train", self.recipe(), "--out", out)
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"--resume", r.stderr)

    def test_adapters(self):
        """Over the tiny model: trained, kept apart, merged, converted from a checkpoint, and refused."""
        base, out, merged = self.dir / "base", self.dir / "lora", self.dir / "merged.gguf"
        self.assertEqual(self.fikr("train", self.recipe(), "--out", base, "--steps", "1").returncode, 130)
        model, adapter = base / "fresh.gguf", out / "adapter.gguf"
        (self.dir / "gsm8k").mkdir()
        (self.dir / "gsm8k/train.jsonl").write_text(
            json.dumps({"question": "3 and 4?", "answer": "3+4=<<3+4=7>>7\n#### 7"}) + "\n")
        recipe = self.dir / "lora.json"
        recipe.write_text(json.dumps({"name": "pair", "lora": {"rank": 4}, "stages": [
            {"name": "sft", "steps": 3, "batch_tokens": 256, "lr": 0.01, "warmup": 0, "sets": {"gsm8k": 1}}]}))
        r = self.fikr("train", recipe, "--out", out, "--data", self.dir)
        self.assertEqual(r.returncode, 2)
        self.assertIn(b"name the model that they adapt (-m)", r.stderr)
        r = self.fikr("train", recipe, "-m", model, "--out", out, "--data", self.dir)
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertIn(b"lora/adapter.gguf: 3 steps", r.stdout)
        self.assertIn("Low-rank adapters", (out / "card.md").read_text())
        again = self.dir / "again.gguf"
        self.assertEqual(self.fikr("convert", out / "ckpt-00000003.fikr", again).returncode, 0)
        self.assertEqual(again.read_bytes(), adapter.read_bytes())
        self.assertEqual(self.fikr("convert", model, merged, "--lora", adapter).returncode, 0)
        logits = {}
        for name, args in (("base", [model]), ("apart", [model, "--lora", adapter]), ("merged", [merged])):
            file = self.dir / (name + ".f32")
            r = self.fikr("logits", "-m", *args, "--ids", "3,70,12,33", "-o", file, "--kv", "f32")
            self.assertEqual(r.returncode, 0, r.stderr)
            logits[name] = [x[0] for x in struct.iter_unpack("<f", file.read_bytes())]
        far = max(abs(a - b) for a, b in zip(logits["base"], logits["apart"]))
        near = max(abs(a - b) for a, b in zip(logits["merged"], logits["apart"]))
        self.assertTrue(far > 0.01 and near < 1e-3, (far, near))
        self.refused("run", "-m", model, "--lora", model, "-p", "hi", says="is no LoRA adapter")
        self.refused("convert", model, self.dir / "x.gguf", "--lora", self.dir / "absent.gguf", says="absent")
        self.assertFalse((self.dir / "x.gguf").exists())

    def test_sentences(self):
        r = self.fikr("train", self.recipe(sede=1))
        self.assertEqual(r.returncode, 2)
        self.assertIn(b"no key 'sede'", r.stderr)
        self.assertEqual(r.stderr.count(b"\n"), 1)
        r = self.fikr("train", self.recipe(), "--out", self.dir / "empty", "--resume")
        self.assertEqual(r.returncode, 2)
        self.assertIn(b"no checkpoint", r.stderr)


if __name__ == "__main__":
    support.main()
