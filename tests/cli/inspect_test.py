"""fikr inspect: what a file says is shown escaped, everywhere; JSON stays JSON."""
import json
import os
import pty
import subprocess

import support
from support import Case, tiny_gguf

NASTY = b"a\x1b[31mred\x1b]0;title\x07\r\n\x9b2J\x7f\xc2\x9b1m\xe2\x80\xae\xff\xf3\xa0\x81\x81 \xd8\xb3"


def is_safe(text, newlines=True):
    """No control, no bidi override, valid UTF-8."""
    for c in text.decode():
        o = ord(c)
        if (o < 32 and not (newlines and c in "\n")) or 0x7F <= o < 0xA0 or 0x202A <= o <= 0x202E or \
                0xE0000 <= o < 0xE0080:
            return False
    return True


class Inspect(Case):
    def write(self, **fields):
        path = self.dir / "t.gguf"
        path.write_bytes(tiny_gguf(**fields))
        return path

    def hostile(self):
        return self.write(name=NASTY, value=NASTY * 20, tensor=b"t\x1b]52;c;x\x07")

    def test_plain(self):
        r = self.fikr("inspect", self.write(name=b"Tiny"), "--tensors")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        for part in (b"llama", b"Tiny", b"general.note", b"token_embd.weight", b"F32"):
            self.assertIn(part, r.stdout)

    def test_hostile_text_in_a_pipe(self):
        r = self.fikr("inspect", self.hostile(), "--tensors")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertTrue(is_safe(r.stdout), r.stdout)
        self.assertIn("س".encode(), r.stdout)

    def test_hostile_text_on_a_terminal(self):
        master, slave = pty.openpty()
        p = subprocess.Popen([support.PROGRAM, "inspect", self.hostile(), "--tensors"], stdout=slave,
                             stderr=slave, stdin=subprocess.DEVNULL, env=self.env)
        os.close(slave)
        out = support.read_pty(master)
        self.assertEqual(p.wait(), 0)
        self.assertTrue(is_safe(out.replace(b"\r\n", b"\n")), out)

    def test_json(self):
        r = self.fikr("inspect", self.hostile(), "--tensors", "--json")
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertTrue(r.stdout.isascii() and is_safe(r.stdout))
        doc = json.loads(r.stdout)
        self.assertEqual(doc["architecture"], "llama")
        self.assertEqual(doc["n_tensors"], 1)
        self.assertFalse(doc["runs"])
        self.assertTrue(doc["why_not"])
        self.assertEqual(doc["tensors"][0]["shape"], [4])
        self.assertEqual(doc["tensors"][0]["bytes"], 16)
        self.assertIn("general.note", [m["key"] for m in doc["metadata"]])

    def test_hostile_file_in_a_sentence(self):
        path = self.dir / "x\x1b[31m.gguf"
        path.write_bytes(b"GGUF")
        text = self.refused("inspect", path)
        self.assertTrue(is_safe(text.encode()))

    def test_cut_anywhere(self):
        data = tiny_gguf()
        path = self.dir / "cut.gguf"
        for n in range(0, len(data), 7):
            path.write_bytes(data[:n])
            self.refused("inspect", path)


if __name__ == "__main__":
    support.main()
