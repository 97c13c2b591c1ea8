"""The chat, typed at through a pseudo-terminal."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unittest

import support
from support import Case

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>]")
WAIT = 60


class Terminal:
    """A program on a pty of 100 columns; `seen` is what it wrote, without colours."""

    def __init__(self, args, env):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.process = subprocess.Popen(args, stdin=slave, stdout=slave, stderr=slave,
                                        env={**env, "TERM": "xterm"}, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.raw = b""
        self.at = 0  # what was waited for already

    @property
    def seen(self):
        return ESCAPES.sub("", self.raw.decode(errors="replace")).replace("\r", "")

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                piece = b""
            self.raw += piece
            return bool(piece)
        return True

    def wait(self, pattern):
        """The match of what comes next."""
        end = time.monotonic() + WAIT
        while True:
            m = re.compile(pattern).search(self.seen, self.at)
            if m:
                self.at = m.end()
                return m
            if time.monotonic() > end or not self.read(0.2):
                raise AssertionError("no %r after %r" % (pattern, self.seen[self.at:]))

    def type(self, text):
        os.write(self.master, text.encode())

    def prompt(self):
        self.wait(r"(?m)^> ")
        # libedit has its terminal in order once it waits for keys.
        time.sleep(0.05)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            os.close(self.master)

    def end(self):
        end = time.monotonic() + WAIT
        while time.monotonic() < end and self.read(0.2):
            if self.process.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                break
        code = self.process.wait(WAIT)
        os.close(self.master)
        return code


@unittest.skipUnless(support.model_path(), "needs the real model: make chat, or FIKR_SMOLLM2")
class Repl(Case):
    def start(self, *args):
        (self.dir / "models").mkdir(exist_ok=True)
        link = self.dir / "models/smollm2.gguf"
        if not link.exists():
            link.symlink_to(os.path.abspath(support.model_path()))
        t = Terminal([support.PROGRAM, "run", "-m", "smollm2", "--temp", "0", *args], self.env)
        self.addCleanup(t.kill)
        t.prompt()
        return t

    def test_answer_and_exit(self):
        t = self.start()
        t.type("What is the capital of France?\r")
        t.wait(r"\w+")
        t.wait(r"\[\d+ tokens.*tok/s.*cached")
        t.prompt()
        t.type("/exit\r")
        self.assertEqual(t.end(), 0)
        history = self.dir / ".local/state/fikr/history"
        self.assertEqual(history.stat().st_mode & 0o777, 0o600)
        self.assertIn("France", history.read_text())

    def test_interrupt_stops_only_the_reply(self):
        t = self.start()
        t.type("Write a long story about the sea, at least one thousand words.\r")
        t.wait(r"\w+ \w+ \w+")
        time.sleep(0.5)
        t.type("\x03")
        t.wait(r"tokens.*stopped\]")
        t.prompt()
        t.type("\x03")
        t.wait("/exit")
        t.prompt()
        t.type("abc")
        t.wait("abc")
        t.type("\x03")
        t.prompt()
        t.type("\x04")
        self.assertEqual(t.end(), 0)
        self.assertEqual(t.seen.count("/exit or"), 1)

    def test_multiline_save_regen(self):
        t = self.start("-n", "12")
        t.type('"""Say these\r')
        t.wait(r"(?m)^\. ")
        t.type('two words: سلام 水"""\r')
        t.wait(r"tokens")
        t.prompt()
        t.type("and\\\r")
        t.wait(r"(?m)^\. ")
        t.type("more\r")
        t.wait(r"tokens")
        t.prompt()
        t.type("/regen\r")
        t.wait("always the same")
        t.wait(r"tokens")
        t.prompt()
        path = self.dir / "talk.json"
        t.type("/save %s\r" % path)
        t.wait("4 messages saved")
        t.prompt()
        t.type("/clear\r")
        t.prompt()
        t.type("/save %s\r" % path)
        t.wait("0 messages saved")
        t.prompt()
        messages = json.loads(path.read_text())
        self.assertEqual(messages, [])
        other = self.dir / "other.txt"
        other.write_text("mine")
        t.type("/save %s\r" % other)
        t.wait("is there already")
        t.prompt()
        t.type("/exit\r")
        self.assertEqual(t.end(), 0)
        self.assertEqual(other.read_text(), "mine")

    def test_saved_text(self):
        t = self.start("-n", "4", "--system", "Be brief.")
        t.type('"""one\r')
        t.wait(r"(?m)^\. ")
        t.type('two"""\r')
        t.wait("tokens")
        t.prompt()
        path = self.dir / "talk.json"
        t.type("/save %s\r" % path)
        t.wait("3 messages saved")
        t.prompt()
        t.type("\x04")
        self.assertEqual(t.end(), 0)
        messages = json.loads(path.read_text())
        self.assertEqual([m["role"] for m in messages], ["system", "user", "assistant"])
        self.assertEqual(messages[1]["content"], "one\ntwo")
        self.assertTrue(messages[2]["content"])

    def test_paste_and_read(self):
        t = self.start("-n", "4")
        note = self.dir / "note.txt"
        note.write_text("A note.")
        t.type("/read %s\r" % note)
        t.wait("before your next message")
        t.prompt()
        t.type("\x1b[200~first\rsecond \x1b]0;x\x07\tthird\r\x1b[201~")
        t.wait("third")
        t.type("!\r")
        t.wait("tokens")
        t.prompt()
        path = self.dir / "talk.json"
        t.type("/save %s\r" % path)
        t.wait("2 messages saved")
        t.prompt()
        t.type("\x04")
        self.assertEqual(t.end(), 0)
        self.assertEqual(json.loads(path.read_text())[0]["content"],
                         "A note.\n\n\nfirst\nsecond ]0;x third!")

    def test_commands(self):
        t = self.start()
        for typed, said in (("/help", "/regen"), ("/stats", "resident"), ("/bits", "bits a weight"),
                            ("/bits 4", "not in planes"), ("/bits exact", "low planes"),
                            ("/head", "as the file plans"), ("/head 4", "not in planes"), ("/head x", "whole number"),
                            ("/head whole", "in one stage"),
                            ("/ctx", "of 4096 tokens"), ("/ctx 512", "of 512 tokens"),
                            ("/ctx x", "whole number"), ("/think 50", "at most 50"),
                            ("/think off", "is off"), ("/think maybe", "allowed are"),
                            ("/system You are a cat.", "a cat"), ("/system -", "no system"),
                            ("/regen", "no reply"), ("/hlep", "did you mean /help"),
                            ("/read nowhere", "nowhere"), ("/sta\t", "resident")):
            with self.subTest(typed=typed):
                t.type(typed + "\r")
                t.wait(re.escape(said))
                t.prompt()
        t.type("/quit\r")
        self.assertEqual(t.end(), 0)

    def test_another_model(self):
        t = self.start("-n", "8")
        t.type("Hi\r")
        t.wait("tokens")
        t.prompt()
        t.type("/model\r")
        listed = t.wait("(?s)In use: .*smollm2.*goes over").group()
        t.prompt()
        t.type("/model nowhere\r")
        t.wait("no file and no model called nowhere")
        t.prompt()
        if "to be fetched" in listed:  # it may lie beside the program
            t.type("/model gemma3-270m\r")
            t.wait(r"253 MB.*\n?.*Fetch it")
            t.type("n\r")
            t.wait("Nothing was changed")
            t.prompt()
        t.type("/model smollm2\r")
        t.wait("context")
        t.prompt()
        t.type("/stats\r")
        t.wait("engine")
        t.prompt()
        t.type("Hi\r")
        t.wait(r"\d+ tokens.* 0 cached")  # a new conversation on a new engine
        t.prompt()
        t.type("\x04")
        self.assertEqual(t.end(), 0)

    def test_message_that_does_not_fit(self):
        t = self.start("--ctx", "128")
        note = self.dir / "long.txt"
        note.write_text("word " * 500)
        t.type("/read %s\r" % note)
        t.prompt()
        t.type("so?\r")
        t.wait(r"fikr: .*\d{3}.*128")
        t.prompt()
        t.type("Hi\r")
        t.wait(r"\[\d+ tokens")
        t.prompt()
        t.type("\x04")
        self.assertEqual(t.end(), 0)

    def test_no_color(self):
        self.env["NO_COLOR"] = "1"
        t = self.start("-n", "4")
        t.type("Hi\r")
        t.wait("tokens")
        t.prompt()
        t.type("\x04")
        self.assertEqual(t.end(), 0)
        self.assertNotIn(b"\x1b[1m", t.raw)
        self.assertNotIn(b"\x1b[2m", t.raw)


if __name__ == "__main__":
    support.main()
