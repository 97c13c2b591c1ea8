"""A training run of three stages (two supervised, one of GRPO) killed again and again (SIGKILL, anywhere: in a
step, in a checkpoint, in sampling) and resumed each time ends with the bytes of an unbroken one. FIKR_KILLS says
how often (8), a third in each stage; FIKR_STEPS multiplies the steps (1). When to kill goes by the run's log, not by
the clock: on a busy machine a run may take ten times as long as the one before."""
import json
import os
import random
import resource
import subprocess
import time

import support
from support import Case

STEPS = int(os.environ.get("FIKR_STEPS", "1"))
N_KILLS = int(os.environ.get("FIKR_KILLS", "8"))
LIMIT = 240 * STEPS  # seconds; a run takes 2 to 4 of CPU time for each of STEPS
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


def last_step(log):
    """The step of the log's last whole line; 0 where there is none."""
    if not log.exists():
        return 0
    with log.open("rb") as f:
        f.seek(max(0, log.stat().st_size - 65536))
        lines = f.read().split(b"\n")[-2:-1]
    return json.loads(lines[0])["step"] if lines and lines[0].startswith(b"{") else 0


class Kill(Case):
    def kill_after(self, p, log, step, pause):
        """Ends p a pause after the log has reached the step; false where it ended before."""
        until = time.monotonic() + LIMIT
        while last_step(log) < step and p.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(pause)
        p.kill()
        p.communicate()
        return p.returncode == -9

    def points(self, dice):
        """The steps after which to kill, in order, alike in number in each stage: after the first checkpoint
        and well before the end, which a run must not reach within a pause."""
        first, spans = 0, []
        for stage in RECIPE["stages"]:
            spans.append((first + 6, first + stage["steps"] * 3 // 4))
            first += stage["steps"]
        return sorted(dice.randint(*spans[i % len(spans)]) for i in range(N_KILLS))

    def test_the_same_bytes(self):
        recipe, whole, part = self.dir / "recipe.json", self.dir / "whole", self.dir / "part"
        recipe.write_text(json.dumps(RECIPE))
        r = self.fikr("train", recipe, "--out", whole, "--threads", "1", timeout=LIMIT)
        self.assertEqual(r.returncode, 0, r.stderr)
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        dice, n_killed = random.Random(1), 0
        for step in [*self.points(dice), None]:
            command = [support.PROGRAM, "train", recipe, "--out", part, "--threads", "1"]
            if part.exists() and list(part.glob("ckpt-*.fikr")):
                command.append("--resume")
            p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if step is not None:
                n_killed += self.kill_after(p, part / "run.jsonl", step, dice.uniform(0, 0.02))
                continue
            _, said = p.communicate(timeout=LIMIT)
            self.assertEqual(p.returncode, 0, said)
        self.assertEqual(n_killed, N_KILLS)
        marks = [support.sha256((folder / "model.gguf").read_bytes()) for folder in (whole, part)]
        print(f"{seconds:.0f} CPU-seconds unbroken, model {marks[0]}; {n_killed} kills, model {marks[1]}")
        self.assertEqual(*marks)


if __name__ == "__main__":
    support.main()
