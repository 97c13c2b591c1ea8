"""A training run of three stages (two supervised, one of GRPO) killed again and again (SIGKILL, anywhere: in a
step, in a checkpoint, in sampling) and resumed each time ends with the bytes of an unbroken one. FIKR_KILLS says
how often (8), FIKR_STEPS multiplies the steps (1); time limits grow with the steps."""
import json
import os
import random
import subprocess
import time

import support
from support import Case

STEPS = int(os.environ.get("FIKR_STEPS", "1"))
LIMIT = 120 * STEPS  # seconds; a run takes 2 to 4 for each of STEPS on an idle core
RECIPE = {
    "name": "tiny", "seed": 3, "vocab_sample": 300, "checkpoint_steps": 5, "log_steps": 1, "eval_steps": 100,
    "eval_count": 2, "final_count": 2, "eval_max_new": 32,
    "model": {"vocab": 400, "context": 256, "embd": 64, "layers": 3, "ff": 64, "heads": 2, "q_rank": 32,
              "kv_rank": 32, "experts": 4, "experts_used": 2, "ff_expert": 32},
    "stages": [{"name": "a", "steps": 200 * STEPS, "batch_tokens": 512, "warmup": 10,
                "families": {"add": 1, "sort": 1}},
               {"name": "b", "steps": 50 * STEPS, "batch_tokens": 512, "warmup": 0, "decay": 20,
                "families": {"add": 1}},
               {"name": "rl", "steps": 12 * STEPS, "batch_tokens": 512, "lr": 1e-4, "warmup": 0,
                "families": {"add": 1}, "grpo": {"prompts": 2, "group": 4, "max_new": 24, "kl": 0.01}}],
}


class Kill(Case):
    def test_the_same_bytes(self):
        recipe, whole, part = self.dir / "recipe.json", self.dir / "whole", self.dir / "part"
        recipe.write_text(json.dumps(RECIPE))
        begun = time.monotonic()
        r = self.fikr("train", recipe, "--out", whole, "--threads", "1", timeout=LIMIT)
        self.assertEqual(r.returncode, 0, r.stderr)
        seconds = time.monotonic() - begun
        dice, n_killed, ended = random.Random(1), 0, False
        n_kills = int(os.environ.get("FIKR_KILLS", "8"))
        while not ended:
            command = [support.PROGRAM, "train", recipe, "--out", part, "--threads", "1"]
            if part.exists() and list(part.glob("ckpt-*.fikr")):
                command.append("--resume")
            p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                wait = dice.uniform(0.2, 1.6) * seconds / n_kills if n_killed < n_kills else LIMIT
                _, said = p.communicate(timeout=wait)
                self.assertEqual(p.returncode, 0, said)
                ended = True
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
                n_killed += 1
        self.assertGreater(n_killed, 0)
        marks = [support.sha256((folder / "model.gguf").read_bytes()) for folder in (whole, part)]
        print(f"{seconds:.0f} s unbroken, model {marks[0]}; {n_killed} kills, model {marks[1]}")
        self.assertEqual(*marks)


if __name__ == "__main__":
    support.main()
