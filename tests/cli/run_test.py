"""The verbs that compute, on the tiny random models of tests/golden, and run on the real one."""
import json
import math
import os
import pty
import shutil
import signal
import struct
import subprocess
import unittest

import support
from support import ROOT, Case

TINY = ROOT / "tests/golden/llama.gguf"
TEXT = ("A small model reads what people write, one piece at a time, and says what might come next. "
        "It knows نص and 文字 too. ") * 12


class Tiny(Case):
    def json(self, *args, stdin=b"", code=0):
        r = self.fikr(*args, "--json", stdin=stdin)
        self.assertEqual((r.returncode, r.stderr), (code, b""))
        return json.loads(r.stdout)

    def ids(self, text, *args):
        return self.json("tokenize", "-m", TINY, *args, stdin=text)["ids"]

    def test_tokenize_both_ways(self):
        raw = TEXT.encode() + bytes(range(1, 256)) + b"\n"
        ids = self.ids(raw, "--no-special")
        plain = self.fikr("tokenize", "-m", TINY, "--no-special", stdin=raw)
        self.assertEqual([int(w) for w in plain.stdout.split()], ids)
        self.assertEqual(plain.stdout.count(b"\n"), 1)
        for form in (plain.stdout, json.dumps(ids).encode()):
            back = self.fikr("tokenize", "-m", TINY, "--decode", stdin=form)
            self.assertEqual((back.returncode, back.stdout), (0, raw))
        self.assertEqual(self.json("tokenize", "-m", TINY, "--decode", stdin=b"")["text"], "")

    def test_control_characters_do_not_reach_a_terminal(self):
        raw = "\x1b[31mred\x07 \u202e\u0633\n".encode()
        ids = self.fikr("tokenize", "-m", TINY, "--no-special", stdin=raw).stdout
        self.assertEqual(self.fikr("tokenize", "-m", TINY, "--decode", stdin=ids).stdout, raw)
        master, slave = pty.openpty()
        p = subprocess.Popen([support.PROGRAM, "tokenize", "-m", TINY, "--decode"], env=self.env,
                             stdin=subprocess.PIPE, stdout=slave)
        os.close(slave)
        p.communicate(ids)
        seen = support.read_pty(master).decode()
        self.assertEqual(p.returncode, 0)
        self.assertIn("\\x1b[31mred\\x07 ", seen)
        self.assertIn("\u0633", seen)
        self.assertNotRegex(seen, "[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]")

    def test_tokenize_refuses(self):
        self.refused("tokenize", "-m", TINY, "--decode", stdin=b"1 x", says="byte 2")
        self.refused("tokenize", "-m", TINY, "--decode", stdin=b"99999999999999999999",
                     says="vocabulary")

    def test_a_budget_closes_thinking_as_the_template_does(self):
        said = self.json("run", "-m", ROOT / "models/thinker.gguf", "-p", "What is 48213 + 9977?",
                         "--think", "8", "--temp", "0")
        self.assertEqual(said["usage"]["thinking_tokens"], 9)
        self.assertRegex(said["reasoning"], r"\A\S+\Z")  # no line end is put in before the tag
        self.assertNotIn("think", said["text"])

    def logits(self, ids, *args):
        out = self.dir / "out.f32"
        r = self.fikr("logits", "-m", TINY, "--ids", ",".join(map(str, ids)), "-o", out, *args)
        self.assertEqual((r.returncode, r.stdout, r.stderr), (0, b"", b""))
        return out.read_bytes()

    def test_logits_are_the_golden_ones(self):
        gold = (ROOT / "tests/golden/llama.gold").read_bytes()
        self.assertEqual(gold[:8], b"FKGOLD01")
        n_ids, n_vocab = struct.unpack_from("<2I", gold, 8)
        ids = struct.unpack_from("<%di" % n_ids, gold, 24)
        want = struct.unpack_from("<%df" % (n_ids * n_vocab), gold, 24 + 4 * n_ids)
        whole = self.logits(ids, "--threads", "1")
        self.assertEqual(len(whole), n_ids * n_vocab * 4)
        for args in (["--chunk", "1"], ["--chunk", "7"], ["--threads", "2"]):
            self.assertEqual(self.logits(ids, *args), whole, args)
        got = struct.unpack("<%df" % (n_ids * n_vocab), whole)
        self.assertLess(max(abs(a - b) for a, b in zip(got, want)),
                        1e-4 * max(abs(v) for v in want))
        self.assertEqual(self.logits(ids[:5]), whole[:5 * n_vocab * 4])

    def test_logits_refuses(self):
        self.refused("logits", "-m", TINY, "--ids", "1,100000", "-o", "x", says="100000")
        self.refused("logits", "-m", TINY, "--ids", "1", "-o", "no/such/folder/x")
        self.assertEqual(list(self.dir.glob("*")), [])

    def test_perplexity(self):
        text = self.dir / "t.txt"
        text.write_text(TEXT)
        base = self.dir / "base"
        args = ["perplexity", "-m", TINY, "-f", text, "--ctx", "32"]
        doc = self.json(*args, "--save-logits", base)
        n = len(self.ids(TEXT.encode())) // 32
        self.assertEqual((doc["windows"], doc["tokens"]), (n, n * 15))
        self.assertAlmostEqual(doc["ppl"], math.exp(doc["nll"]), delta=doc["ppl"] * 1e-9)
        self.assertEqual(len(doc["windows_nll"]), n)
        self.assertAlmostEqual(sum(doc["windows_nll"]) / n, doc["nll"], delta=1e-9)
        again = self.json(*args, "--kl-base", base)
        self.assertEqual((again["ppl"], again["top1_agreement"]), (doc["ppl"], 1))
        self.assertLess(again["kl_mean"], 1e-6)
        self.assertLess(again["kl_p99"], 1e-6)
        int8 = self.json(*args, "--kl-base", base, "--kv", "i8")
        self.assertGreater(int8["kl_mean"], 0)
        self.assertTrue(0 < int8["kl_error"] < int8["kl_mean"])
        self.assertGreaterEqual(int8["kl_p99"], 0)

    def test_perplexity_by_hand(self):
        text = self.dir / "t.txt"
        text.write_text(TEXT[:400])
        doc = self.json("perplexity", "-m", TINY, "-f", text, "--ctx", "16", "--kv", "f32")
        ids = self.ids(TEXT[:400].encode())
        bos = self.ids(b"")  # what the model adds to nothing
        total, count = 0.0, 0
        for w in range(len(ids) // 16):
            window = ids[16 * w:16 * w + 16]
            if bos:
                window[0] = bos[0]
            data = self.logits(window)
            n_vocab = len(data) // 64
            for i in range(8, 15):
                row = struct.unpack_from("<%df" % n_vocab, data, i * n_vocab * 4)
                top = max(row)
                total -= row[window[i + 1]] - top - math.log(sum(math.exp(v - top) for v in row))
                count += 1
        self.assertEqual(doc["tokens"], count)
        self.assertAlmostEqual(doc["nll"], total / count, places=4)

    def test_perplexity_refuses(self):
        text = self.dir / "t.txt"
        text.write_text("short")
        args = ["perplexity", "-m", TINY, "-f", text]
        self.refused(*args, says="a window takes 512")
        self.refused("perplexity", "-m", TINY, "-f", self.dir / "none")
        text.write_text(TEXT)
        base = self.dir / "base"
        for data in (b"", b"fikrbase", b"x" * 100):
            base.write_bytes(data)
            self.refused(*args, "--ctx", "32", "--kl-base", base)
        self.json(*args, "--ctx", "32", "--save-logits", base)
        self.refused(*args, "--ctx", "16", "--kl-base", base, says="windows")
        text.write_text(TEXT.replace("small", "large"))
        self.refused(*args, "--ctx", "32", "--kl-base", base, says="another text")
        data = base.read_bytes()
        base.write_bytes(data[:-1])
        text.write_text(TEXT)
        self.refused(*args, "--ctx", "32", "--kl-base", base, says="asks for")

    def test_bench(self):
        doc = self.json("bench", "-m", TINY, "--pp", "24", "--tg", "8", "--batch", "1,4",
                        "--threads", "2", "--reps", "2", "--ctx-depth", "300,600")
        for part in (doc["prefill"], doc["decode"], *doc["batch"], *doc["depth"]):
            speed = part["tokens_per_s"]
            self.assertTrue(0 < speed["min"] <= speed["median"] <= speed["max"])
        for key in ("bytes_per_token", "gb_per_s", "bandwidth_share"):
            self.assertGreater(doc["decode"][key], 0)
        for key in ("bandwidth_gb_per_s", "first_token_ms", "peak_rss_bytes"):
            self.assertGreater(doc[key], 0)
        self.assertEqual([b["n"] for b in doc["batch"]], [1, 4])
        self.assertEqual([d["n_ctx"] for d in doc["depth"]], [300, 600])
        near, far = (d["kv_bytes"] for d in doc["depth"])
        self.assertTrue(1.9 * near < far < 2.1 * near)
        self.assertEqual(doc["threads"], 2)
        # No share of the int8 limit where weights are floats: nothing is multiplied as int8.
        self.assertEqual(doc["prefill"]["int8_products_per_token"], 0)
        self.assertNotIn("int8_share", doc["prefill"])
        plain = self.fikr("bench", "-m", TINY, "--pp", "8", "--tg", "4", "--reps", "1")
        self.assertEqual((plain.returncode, plain.stderr), (0, b""))
        self.assertIn(b"decode", plain.stdout)

    def test_fit_and_inspect(self):
        doc = self.json("fit", TINY)
        self.assertTrue(doc["fits"])
        self.assertEqual(doc["total_bytes"], doc["weight_bytes"] + doc["kv_bytes"] +
                         doc["scratch_bytes"] + doc["other_bytes"])
        self.assertIn(b"It fits", self.fikr("fit", TINY).stdout)
        info = self.json("inspect", TINY)
        self.assertEqual(info["architecture"], "llama")
        self.assertGreater(info["n_layers"], 0)

    def test_raw_run(self):
        args = ["run", "-m", TINY, "-p", "once upon", "--raw", "-n", "12", "--temp", "0"]
        a, b = self.fikr(*args), self.fikr(*args, "--threads", "1", stdin=b"not read")
        self.assertEqual((a.returncode, a.stderr), (0, b""))
        self.assertEqual(a.stdout, b.stdout)
        a.stdout.decode()  # whole characters only
        piped = self.fikr(*args[:3], *args[5:], stdin=b"once upon")
        self.assertEqual(piped.stdout, a.stdout)
        doc = self.json(*args)
        self.assertEqual(doc["text"].encode(), a.stdout)
        self.assertLessEqual(doc["usage"]["answer_tokens"], 12)

    def test_exact(self):
        planes = self.dir / "planes.gguf"
        made = self.fikr("quantize", TINY, planes, "--calibrate-tokens", "256")
        self.assertEqual(made.returncode, 0, made.stderr)
        args = ["run", "-p", "once upon", "--raw", "-n", "60", "--temp", "1", "--seed", "4", "-m"]
        plain, exact = self.json(*args, planes), self.json(*args, planes, "--bits", "exact")
        self.assertGreater(len(plain["ids"]), 0)
        self.assertEqual(plain["ids"], exact["ids"])
        self.assertEqual(len(plain["ids"]), plain["usage"]["thinking_tokens"] + plain["usage"]["answer_tokens"])
        self.assertEqual(plain["text"], exact["text"])
        self.assertEqual(plain["usage"]["drafted_tokens"], 0)
        self.assertLessEqual(exact["usage"]["accepted_tokens"], exact["usage"]["drafted_tokens"])
        self.refused(*args, TINY, "--bits", "exact", says="low planes")

    def test_every_width(self):
        """A file cut to a width is that width of the whole file, and --bits, --strip and --plan know the same ones."""
        planes, cut = self.dir / "planes.gguf", self.dir / "cut.gguf"
        made = self.fikr("quantize", TINY, planes, "--calibrate-tokens", "256")
        self.assertEqual(made.returncode, 0, made.stderr)
        args = ["run", "-p", "once upon", "--raw", "-n", "20", "--temp", "1", "--seed", "4", "-m"]
        for bits in "23456":
            made = self.fikr("quantize", planes, cut, "--strip", bits)
            self.assertEqual(made.returncode, 0, made.stderr)
            self.assertEqual(self.json(*args, planes, "--bits", bits)["ids"], self.json(*args, cut)["ids"])
            made = self.fikr("quantize", TINY, cut, "--plan", f"={bits}", "--strip", "plan", "--calibrate", "none")
            self.assertEqual(made.returncode, 0, made.stderr)
            self.refused(*args, cut, "--bits", "8", says=f"plane of {bits} bits")
        self.refused("quantize", planes, cut, "--strip", "7", says="2, 3, 4, 5, 6 or 8")
        self.refused("quantize", planes, cut, "--strip", "x", says="bits or plan")

    def test_quantize_keeps_its_source(self):
        model, link = self.dir / "model.gguf", self.dir / "link.gguf"
        shutil.copyfile(TINY, model)
        whole = model.read_bytes()
        link.symlink_to(model)
        for out in (model, link):
            self.refused("quantize", model, out, "--calibrate", "none", says="both what is read and what is written")
        self.assertEqual(model.read_bytes(), whole)

    def test_distill(self):
        planes, kept = self.dir / "planes.gguf", self.dir / "planes.gguf.distill"
        args = ["quantize", TINY, planes, "--calibrate-tokens", "256", "--plan", "=3", "--distill", "0.01"]
        kept.write_text("mine")
        self.refused(*args, says="none of ours")
        self.assertEqual(kept.read_text(), "mine")
        self.assertFalse(planes.exists())
        kept.unlink()
        made = self.fikr(*args)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertRegex(made.stderr.decode(), r"distilled in [1-9]\d* steps")
        self.assertFalse(kept.exists())

    def test_seed(self):
        args = ["run", "-m", TINY, "-p", "x", "--raw", "-n", "24", "--temp", "2", "--seed"]
        a, b, c = (self.fikr(*args, s).stdout for s in ("7", "7", "8"))
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)

    def test_template(self):
        args = ["run", "-m", TINY, "-p", "x", "-n", "1", "--temp", "0", "--template"]
        path = self.dir / "t.jinja"
        path.write_text("{{ messages[0].content }}")
        a = self.json(*args, path)
        b = self.json(*args, "chatml")
        bos = len(self.ids(b""))
        self.assertEqual(a["usage"]["prompt_tokens"], bos + len(self.ids(b"x", "--no-special")))
        self.assertGreater(b["usage"]["prompt_tokens"], a["usage"]["prompt_tokens"])
        self.refused(*args, "nosuch", says="nosuch")
        self.refused(*args, self.dir / "none.jinja", says="none.jinja")
        path.write_text("{% for i in %}")
        self.refused(*args, path)

    def test_too_long(self):
        text = self.refused("run", "-m", TINY, "--raw", "--ctx", "32", stdin=TEXT.encode())
        n = len(self.ids(TEXT.encode()))
        self.assertIn(str(n), text)
        self.assertIn("32", text)

    def test_prompt_may_not_read_stdin(self):
        """With -p a standard input that never ends is no matter."""
        r, w = os.pipe()
        try:
            done = subprocess.run([support.PROGRAM, "run", "-m", TINY, "--raw", "-p", "x", "-n", "2"],
                                  stdin=r, capture_output=True, env=self.env, timeout=60)
        finally:
            os.close(r)
            os.close(w)
        self.assertEqual(done.returncode, 0)


@unittest.skipUnless(support.model_path(), "needs the real model: make chat, or FIKR_SMOLLM2")
class Real(Case):
    def setUp(self):
        super().setUp()
        (self.dir / "models").mkdir()
        (self.dir / "models/smollm2.gguf").symlink_to(os.path.abspath(support.model_path()))

    def test_answer(self):
        """What the model says to this is its own affair (llama.cpp's is no better with this file)."""
        r = self.fikr("run", "-m", "smollm2", "--temp", "0",
                      stdin=b"What is the capital of France?\n")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertGreater(len(r.stdout.split()), 2)
        self.assertNotIn(b"<|im", r.stdout)
        again = self.fikr("run", "-m", "smollm2", "--temp", "0", "-p", "What is the capital of France?")
        self.assertEqual(again.stdout, r.stdout)

    def test_continuation(self):
        r = self.fikr("run", "-m", "smollm2", "--raw", "--temp", "0", "-n", "8", "-p", "The capital of France is")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertIn(b"Paris", r.stdout)

    def test_thinking_in_its_tags(self):
        """A template that opens the thinking; the budget closes it."""
        path = self.dir / "think.jinja"
        path.write_text("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
                        "{% endfor %}<|im_start|>assistant\n<think>\n")
        args = ["run", "-m", "smollm2", "--template", path, "-p", "Why is the sky blue?", "--temp", "0", "-n", "40",
                "--think", "12"]
        plain, doc = self.fikr(*args), json.loads(self.fikr(*args, "--json").stdout)
        self.assertEqual((plain.returncode, plain.stderr), (0, b""))
        self.assertTrue(doc["reasoning"] and doc["text"])
        self.assertEqual(plain.stdout.decode(), "<think>\n%s\n</think>\n\n%s" %
                         (doc["reasoning"].rstrip("\n"), doc["text"]))
        self.assertGreaterEqual(doc["usage"]["thinking_tokens"], 12)
        self.assertEqual(doc["usage"]["thinking_tokens"] + doc["usage"]["answer_tokens"], 40)

    def test_interrupt(self):
        p = subprocess.Popen([support.PROGRAM, "run", "-m", "smollm2", "-p", "Count to one thousand.", "--temp", "0"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env)
        p.stdout.read(1)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=20)
        self.assertEqual(p.returncode, 130, err)
        self.assertEqual(err, b"fikr: interrupted\n")

    def test_file_cut_under_us(self):
        """The request ends with a sentence; the process is not killed by a signal."""
        with open(support.model_path(), "rb") as f:
            data = f.read()
        path = self.dir / "cut.gguf"
        path.write_bytes(data)
        p = subprocess.Popen([support.PROGRAM, "run", "-m", path, "-p", "Count to one thousand."],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env)
        p.stdout.read(1)
        os.truncate(path, 4096)
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 1, err)
        self.assertRegex(err, rb"\Afikr: [^\n]+\n\Z")


if __name__ == "__main__":
    support.main()
