#!/usr/bin/env python3
"""Runs every test that `make check` promises, short ones first, and counts them.

Stages: the plain build with its unit, kernel, golden, fuzz-corpus and command-line tests; the same
goldens under every CPU mask this machine has; AddressSanitizer with UBSan; ThreadSanitizer for what
uses threads; the slow suite (aarch64 under qemu, the installed library). The last line is
`N passed, N failed` (`, N skipped` may follow), and the exit code says whether all passed."""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
passed = failed = skipped = 0


def say(text):
    print(text, flush=True)


def build(folder, *options):
    """A folder that `make` configured before cmocka was there has no unit tests: it is told to."""
    unit_tests = "-Dunit_tests=enabled"
    commands = [[str(ROOT / "tools/build.sh"), str(folder), unit_tests, *options]]
    if (folder / "build.ninja").exists():
        commands.insert(0, ["meson", "configure", str(folder), unit_tests])
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            say(done.stdout + done.stderr)
            return False
    return True


def meson_test(title, folder, *args, env=None):
    """Runs `meson test` in folder and adds its results to the totals."""
    global passed, failed, skipped
    start = time.monotonic()
    log = folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    done = subprocess.run(["meson", "test", "-C", str(folder), "--no-rebuild", "--print-errorlogs",
                           "--timeout-multiplier", "4", *args], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, **(env or {})})
    p = f = s = 0
    if log.exists():
        for line in log.read_text(errors="replace").splitlines():
            test = json.loads(line)
            result = test["result"]
            if result in ("OK", "EXPECTEDFAIL"):
                p += 1
            elif result == "SKIP":
                s += 1
                reason = (test.get("stdout") or "").strip().splitlines()
                say(f"  skipped {test['name']}: {reason[-1] if reason else 'no reason given'}")
            else:
                f += 1
                say(f"  FAILED {test['name']} ({result})")
                for part in ("stdout", "stderr"):
                    tail = (test.get(part) or "").splitlines()[-40:]
                    say("\n".join("    " + t for t in tail))
    elif done.returncode:
        f = 1
        say(done.stdout[-4000:] + done.stderr[-4000:])
    passed, failed, skipped = passed + p, failed + f, skipped + s
    say(f"{title}: {p} passed, {f} failed, {s} skipped in {time.monotonic() - start:.0f} s")


def stage_build(title, folder, *options):
    global failed
    start = time.monotonic()
    if build(folder, *options):
        say(f"{title}: built in {time.monotonic() - start:.0f} s")
        return True
    failed += 1
    say(f"{title}: does not build")
    return False


def cpu_masks():
    """Names that FIKR_CPU takes, up to what this machine has, the lowest first."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    if "asimd" in flags:
        return ["ref", "neon"]
    ladder = [("avx2", {"avx2", "fma", "f16c"}), ("avx512", {"avx512bw", "avx512vl", "avx512dq"}),
              ("avx512vnni", {"avx512_vnni"}), ("avx512bf16", {"avx512_bf16"}),
              ("amx", {"amx_int8"})]
    masks = ["ref"]
    for name, needs in ladder:
        if not needs <= flags:
            break
        masks.append(name)
    return masks


def main():
    if stage_build("plain", BUILD):
        env = {"FIKR_MODELS": str(ROOT / ".cache/models")}
        pull = subprocess.run([str(BUILD / "fikr"), "pull", "smollm2"], env={**os.environ, **env})
        if pull.returncode:
            say("SmolLM2 could not be fetched: its tests are skipped")
        model = ROOT / ".cache/models/smollm2.gguf"
        if model.exists():
            env["FIKR_SMOLLM2"] = str(model)
        meson_test("short", BUILD, "--suite", "short", env=env)
        for mask in cpu_masks():
            meson_test(f"goldens, FIKR_CPU={mask}", BUILD, "--suite", "golden",
                       env={**env, "FIKR_CPU": mask})
        meson_test("medium", BUILD, "--suite", "medium", env=env)
    if stage_build("ASan and UBSan", ROOT / "build-asan", "-Db_sanitize=address,undefined",
                   "-Dbuildtype=debugoptimized", "-Db_lundef=false"):
        meson_test("ASan and UBSan", ROOT / "build-asan", "--suite", "short",
                   env={"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})
    if stage_build("TSan", ROOT / "build-tsan", "-Db_sanitize=thread", "-Dbuildtype=debugoptimized",
                   "-Db_lundef=false"):
        meson_test("TSan", ROOT / "build-tsan", "--suite", "threads")
    say(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
