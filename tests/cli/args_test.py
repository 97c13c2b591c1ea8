"""Help, options and refusals of every verb; man page and completions know all of them."""
import re
import shutil
import subprocess

import support
from support import ROOT, Case

VERBS = ["run", "inspect", "fit", "tokenize", "logits", "perplexity", "bench", "eval", "convert",
         "quantize", "pull",
         "puzzles", "train"]


class Args(Case):
    def options(self, verb):
        text = self.fikr(verb, "--help").stdout.decode()
        return re.findall(r"^  (?:(-\w), )?(--[a-z0-9-]+)", text, re.M)

    def test_help(self):
        r = self.fikr("--help")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        for verb in VERBS:
            self.assertIn(("  " + verb + " ").encode(), r.stdout)
            a, b = self.fikr(verb, "--help"), self.fikr("help", verb)
            self.assertEqual((a.returncode, a.stderr), (0, b""))
            self.assertEqual(a.stdout, b.stdout)
            self.assertIn(("usage: fikr " + verb).encode(), a.stdout)
            self.assertTrue(all(len(line) < 80 for line in a.stdout.split(b"\n")))
        self.assertEqual(self.fikr("help").stdout, r.stdout)

    def test_readme_in_arabic_has_the_same_commands(self):
        english, arabic = (ROOT / "README.md").read_text(), (ROOT / "doc/README.ar.md").read_text()
        for span in re.findall(r"`([^`\n]+)`", english):
            self.assertIn(span, arabic, "doc/README.ar.md lacks what README.md has")
        self.assertEqual(english.count("\n## "), arabic.count("\n## "))

    def test_version(self):
        self.assertRegex(self.fikr("--version").stdout, rb"\Afikr \d+\.\d+\.\d+\n\Z")

    def test_no_verb(self):
        r = self.fikr()
        self.assertEqual((r.returncode, r.stdout), (2, b""))
        self.assertIn(b"usage:", r.stderr)

    def test_nearest(self):
        self.refused("rnu", says="did you mean `fikr run`")
        self.refused("--hlep", says="unknown option")
        self.refused("zzz", says="--help")
        self.refused("run", "--tmep", "0", says="did you mean --temp")
        self.refused("run", "--temperature=1", says="did you mean --temp")
        self.refused("bench", "--treads", "1", says="did you mean --threads")
        self.refused("run", "--zzzzzz", says="--help")
        self.refused("tokenize", "--pp", "4", says="unknown option --pp of tokenize")
        self.refused("run", "-q", says="unknown option -q")
        self.refused("run", "--" + "x" * 5000, says="unknown option")

    def test_numbers_are_strict(self):
        bad = [("--ctx", "abc"), ("--ctx", ""), ("--ctx", "12x"), ("--ctx", " 12"), ("--ctx", "0"),
               ("--ctx", "-5"), ("--ctx", "99999999999999999999"), ("--ctx", "1e3"), ("--ctx", "+5"),
               ("--threads", "0"), ("--threads", "9999999"), ("--temp", "nan"), ("--temp", "inf"),
               ("--temp", "-1"), ("--temp", "0x1"), ("--temp", "1,5"), ("--top-p", "1.1"),
               ("--seed", "-1"), ("--seed", "18446744073709551616"), ("-n", "1.5"),
               ("--kv", "f8"), ("--mla", ""), ("--think", "maybe"), ("--think", "-3")]
        for option, value in bad:
            with self.subTest(option=option, value=value):
                self.refused("run", "-p", "x", option, value, says=re.escape(option.lstrip("-"))
                             if option != "--think" else "think")
        for value in ("", "1,", ",1", "1,,2", "1;2", "a", "-1", "1" * 30, "2147483648"):
            with self.subTest(ids=value):
                self.refused("logits", "-o", "x", "--ids", value, says="--ids")

    def test_shape(self):
        self.refused("run", "--ctx", says="needs a value")
        self.refused("run", "--raw=1", says="takes no value")
        self.refused("run", "stray", says="one too many")
        self.refused("inspect", "a", "b", says="one too many")
        self.refused("convert", "a", says="IN OUT")
        self.refused("logits", "--ids", "1", says="-o")
        self.refused("logits", "-o", "x", says="--ids")
        self.refused("perplexity", says="-f")
        self.refused("run", "-p", "", says="empty")
        self.refused("run", "-p", "x", "--special", says="--raw")
        self.refused("run", "-p", "x", "--", "-y", says="one too many")

    def test_missing_models(self):
        (self.dir / "models").mkdir()
        self.refused("run", "-p", "x", "-m", "smolm2", says="did you mean smollm2")
        self.refused("run", "-p", "x", "-m", "wholly-other", says="fikr pull")
        self.refused("inspect", self.dir / "none.gguf")
        self.refused("inspect", self.dir, says="is a folder; `fikr convert")
        self.refused("fit", "/dev/zero")

    def test_folder_hides_no_model(self):
        (self.dir / "models").mkdir()
        (self.dir / "tiny").mkdir()
        self.refused("inspect", "tiny", says="tiny is a folder; `fikr convert")
        (self.dir / "models/tiny.gguf").write_bytes(support.tiny_gguf())
        r = self.fikr("inspect", "tiny")
        self.assertEqual((r.returncode, r.stderr), (0, b""))

    def test_bad_prompts(self):
        self.refused("run", stdin=b"", says="empty")
        self.refused("run", stdin=b"a\0b", says="NUL at byte 1")
        self.refused("run", stdin=b"ab\xff", says="UTF-8 at byte 2")

    def test_full_disk(self):
        (self.dir / "tiny.gguf").write_bytes(support.tiny_gguf(value=b"x" * 20000))
        for args in (["--help"], ["inspect", self.dir / "tiny.gguf", "--json"]):
            with open("/dev/full", "wb") as full:
                r = subprocess.run([support.PROGRAM, *args], stdout=full, stderr=subprocess.PIPE, env=self.env)
            self.assertEqual(r.returncode, 1)
            self.assertRegex(r.stderr, rb"\Afikr: [^\n]*standard output[^\n]*No space[^\n]*\n\Z")

    def test_man_page_knows_every_option(self):
        text = (ROOT / "doc/fikr.1").read_text().replace("\\-", "-")
        for verb in VERBS:
            self.assertIn(".SS " + verb, text)
            for short, option in self.options(verb):
                with self.subTest(verb=verb, option=option):
                    self.assertRegex(text, re.escape(option) + r"\b")
                    if short:
                        self.assertRegex(text, r"\B" + re.escape(short) + r"\b")

    def test_man_page_renders(self):
        if not shutil.which("groff"):
            self.skipTest("groff is not here")
        r = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z", ROOT / "doc/fikr.1"],
                           capture_output=True)
        self.assertEqual((r.returncode, r.stderr), (0, b""))

    def complete(self, *words):
        script = ("source %s; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _fikr; "
                  "printf '%%s\\n' \"${COMPREPLY[@]}\"" % (ROOT / "tools/completion/fikr.bash"))
        r = subprocess.run(["bash", "-c", script, "bash", support.PROGRAM, *words], env=self.env,
                           capture_output=True, cwd=self.dir)
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        return r.stdout.decode().split("\n")[:-1]

    def test_bash_completion(self):
        self.assertEqual(set(self.complete("")), {*VERBS, "help", "--help", "--version"})
        for verb in VERBS:
            self.assertEqual(sorted(self.complete(verb, "--")),
                             sorted(option for _, option in self.options(verb)))
        self.assertIn("smollm2", self.complete("pull", ""))
        self.assertEqual(self.complete("run", "--kv", "f"), ["f16", "f32"])
        (self.dir / "models").mkdir()
        (self.dir / "models/mine.gguf").write_bytes(b"")
        self.assertIn("mine", self.complete("run", "-m", "m"))

    def test_other_completions_parse(self):
        for shell, name in (("zsh", "_fikr"), ("fish", "fikr.fish")):
            if shutil.which(shell):
                r = subprocess.run([shell, "-n", ROOT / "tools/completion" / name],
                                   capture_output=True)
                self.assertEqual((r.returncode, r.stderr), (0, b""))


if __name__ == "__main__":
    support.main()
